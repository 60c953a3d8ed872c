/* What the formats share: a big buffer of whole lines in front of the
 * stream, and a plan of what a line is made of. */
#ifndef EXPORT_PRIVATE_H
#define EXPORT_PRIVATE_H

#include "base/digits.h"
#include "export/export.h"

#define EXPORT_BUFFER_SIZE 262144

struct export_plan;
struct export_table;
struct export_text;

/* One format.  Each function is called on the writer's thread. */
struct export_ops {
	/* Writes one record as a line with its LF at 'at'; 'end' is behind
	 * the last byte that may be stored.  Returns the end of the line, or
	 * NULL: it does not fit for sure.  NULL: 'record' does it. */
	char *(*line)(const struct export_plan *plan, const void *record,
		      char *at, const char *end);

	/* Once, before the first record.  Returns 0 or a negative code.
	 * NULL: nothing to do. */
	int (*begin)(struct export_text *text);

	/* Takes one record.  Returns 0 or a negative code. */
	int (*record)(struct export_text *text, const void *record);

	/* Puts what it holds back into the buffer.  NULL: nothing. */
	int (*flush)(struct export_text *text);
};

/* A word as it stands in a line, copied as a whole; those of small values
 * are kept, as they are met. */
#define STEP_WORDS        16
#define STEP_WORD_SIZE    31
#define STEP_WORD_UNKNOWN 255

struct step_word {
	uint8_t size;
	char text[STEP_WORD_SIZE];
};

/* One value of a line.  What a step needs of its row lies here again: a line
 * is many steps, and they come one after another. */
struct export_step {
	const struct field_row *row;
	const char *head; /* before the value; padded, see STEP_HEAD */
	size_t head_size;
	enum field_type type;
	uint32_t present_mask;
	bool number;   /* an unsigned integer: 64 bits at 'load' ... */
	uint8_t shift; /* ... end with it, less the bits in front of it */
	size_t load;
	size_t offset, aux, present, size;
	struct step_word *words; /* FIELD_WORD: STEP_WORDS of them, by value */
	size_t rest;             /* bytes that the steps behind may take */
};

#define STEP_HEAD 32 /* heads are copied in pieces of so many bytes */

struct export_plan {
	struct export_step *steps;
	size_t step_count;
	size_t size_max; /* of a line, but for strings of unknown size */
	char *heads;
	size_t heads_size;
};

struct export_text {
	const struct export_ops *ops;
	FILE *to;
	int error; /* the stream's first failure: it does not come back */
	struct export_plan plan; /* JSON, CSV */
	char *buffer;
	size_t size;
	size_t fill;
	struct export_table *table;
};

/* Appends whole lines to the buffer.  Returns 0 or a negative code. */
int text_append(struct export_text *text, const char *bytes, size_t size);

extern const struct export_ops export_table_ops;
extern const struct export_ops export_json_ops;
extern const struct export_ops export_csv_ops;

/* plan.c.  Returns 0 or -ENOMEM. */
int plan_make(struct export_plan *plan, const struct field_table *table,
	      bool json);
void plan_free(struct export_plan *plan);

/* table.c.  Returns as export_text_open(). */
int table_create(const struct field_table *fields, const char *const *columns,
		 int width, struct export_table **ret_table);
void table_destroy(struct export_table *table);

/* cell.c: one value for people, UTF-8 of one line. */
#define CELL_SIZE 80

struct cell {
	char text[CELL_SIZE + DIGITS_SLACK];
	uint8_t size;  /* bytes, below CELL_SIZE */
	uint8_t width; /* characters */
};

enum cell_kind {
	CELL_TEXT,     /* words, names, what is not a number */
	CELL_PLAIN,    /* numbers that name: ports, tags */
	CELL_COUNT,    /* 1,234,567 */
	CELL_BYTES,    /* 12.3M */
	CELL_TIME,     /* 2024-01-31 12:00:00.123, local */
	CELL_DURATION, /* 1.23s */
	CELL_ENDPOINT, /* 192.0.2.1:443 */
	CELL_PROTOCOL, /* tcp */
	CELL_FLAGS,    /* ...AP.S. */
};

/* A date and a blank stand before a CELL_TIME's time. */
#define CELL_DATE_SIZE 11

enum cell_kind cell_kind_of(const struct field_row *row);
bool cell_is_number(enum cell_kind kind);

/* Local times by the minute, as far as they were needed: a time zone has its
 * price, and records come in some order. */
#define CLOCK_MINUTES 64
#define CLOCK_TEXT    17 /* 2024-01-31 12:00: */

struct cell_minute {
	int64_t minute; /* since 1970 */
	bool known;
	bool plain; /* its seconds are 00 to 59 behind the same text */
	char text[CLOCK_TEXT];
};

struct cell_clock {
	struct cell_minute minutes[CLOCK_MINUTES];
};

/* What a column shows. */
struct cell_source {
	enum cell_kind kind;
	const struct field_row *row;
	const struct field_row *port; /* CELL_ENDPOINT, else NULL */
};

void cell_write(const struct cell_source *source, const void *record,
		struct cell_clock *clock, struct cell *ret_cell);

#endif
