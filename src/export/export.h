/* Writing records as text: JSON lines, CSV, a table.
 *
 * The writer knows no record: it walks a field_table (base/field.h).  JSON
 * is one object a line (RFC 8259), CSV has a head line and RFC 4180's quoting
 * (its lines end in LF, as the tools that read it expect), the table is for
 * people: it aligns, shortens and picks the columns that fit.
 *
 * Threads: one writer, one thread.
 */
#ifndef EXPORT_H
#define EXPORT_H

#include <stdio.h>

#include "base/field.h"
#include "base/hist.h"

struct export_text;

/* X(name, word) */
#define EXPORT_FORMATS(X)        \
	X(EXPORT_TABLE, "table") \
	X(EXPORT_JSON, "json")   \
	X(EXPORT_CSV, "csv")

#define EXPORT_FORMAT_ENUM(name, word) name,
enum export_format { EXPORT_FORMATS(EXPORT_FORMAT_ENUM) EXPORT_FORMAT_COUNT };
#undef EXPORT_FORMAT_ENUM

extern const char *const export_format_words[EXPORT_FORMAT_COUNT];

/* Begins writing records of 'table' to 'to' (borrowed until closed).  Fields
 * with use FIELD_STORED are left out.  For EXPORT_TABLE 'columns' names the
 * fields to show, in order, ending with NULL, and 'width' is the terminal's
 * (0: no limit); other formats ignore both.  NULL shows every field.  An
 * address and the port behind it become one column.  Returns 0, -ENOMEM or
 * -EINVAL (a column that is no field of the table). */
int export_text_open(enum export_format format, FILE *to,
		     const struct field_table *table,
		     const char *const *columns, int width,
		     struct export_text **ret_text);

/* Writes one record.  Returns 0 or a negative errno of the stream (-EPIPE,
 * -ENOSPC, ...); what was written before stays whole lines. */
int export_text_write(struct export_text *text, const void *record);

/* Hands everything written so far to the stream, for someone who waits for
 * it; a table settles its columns' widths by what it has.  Returns as
 * export_text_write(). */
int export_text_flush(struct export_text *text);

/* Flushes and frees; returns as export_text_write().  NULL is fine. */
int export_text_close(struct export_text *text);

/* ---- plots ---------------------------------------------------------------
 *
 * SVG 1.1 by text alone.  Colours by group tell apart what belongs together;
 * every colour has its name in the picture.  Names may be any text. */

#define EXPORT_SVG_GROUPS 8

/* Values over time in bounded memory: least, greatest and mean of every
 * bucket; buckets widen as time goes on, and none is left out. */
#define EXPORT_SERIES_MAX 800

struct export_series {
	int64_t begin_ns, width_ns; /* of a bucket; 0: nothing yet */
	struct export_bucket {
		int64_t min, max;
		double sum;
		uint64_t count;
		uint64_t lost; /* no value: see export_series_lose() */
	} buckets[EXPORT_SERIES_MAX];
};

/* A value, or that there was none, at a time that is not before the first. */
void export_series_add(struct export_series *series, int64_t at_ns,
		       int64_t value);
void export_series_lose(struct export_series *series, int64_t at_ns);

struct export_svg_bar {
	const char *name;
	double mean_ns, median_ns;
	int group; /* colour; below EXPORT_SVG_GROUPS */
};

struct export_svg_curve {
	const char *name;
	const struct export_series *series; /* times */
	const struct hist *hist;            /* distribution */
	int group;
};

/* All return 0 or -errno of the stream.  Values are nanoseconds.
 * waterfall: bars one after the other, as long as their mean, with the median
 * within; 'groups' names the colours (EXPORT_SVG_GROUPS, NULL: not used).
 * times: from least to greatest as an area, the mean as a line, what was lost
 * as marks.  distribution: the share of values up to each, logarithmic. */
int export_svg_waterfall(FILE *to, const char *title,
			 const struct export_svg_bar *bars, size_t count,
			 const char *const groups[EXPORT_SVG_GROUPS]);
int export_svg_times(FILE *to, const char *title,
		     const struct export_svg_curve *curves, size_t count);
int export_svg_distribution(FILE *to, const char *title,
			    const struct export_svg_curve *curves,
			    size_t count);

#endif
