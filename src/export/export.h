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

#endif
