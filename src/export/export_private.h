/* What the formats share: a big buffer of whole lines in front of the
 * stream. */
#ifndef EXPORT_PRIVATE_H
#define EXPORT_PRIVATE_H

#include "export/export.h"

#define EXPORT_BUFFER_SIZE 65536

struct export_table;

/* One format.  Each function is called on the writer's thread. */
struct export_ops {
	/* Writes one record as a line with its LF at 'at', as snprintf()
	 * would: returns the bytes that it takes, or more, if they are not
	 * below 'room'.  NULL: 'record' does it. */
	size_t (*line)(const struct export_text *text, const void *record,
		       char *at, size_t room);

	/* Once, before the first record.  Returns 0 or a negative code.
	 * NULL: nothing to do. */
	int (*begin)(struct export_text *text);

	/* Takes one record.  Returns 0 or a negative code. */
	int (*record)(struct export_text *text, const void *record);

	/* Puts what it holds back into the buffer.  NULL: nothing. */
	int (*flush)(struct export_text *text);
};

struct export_text {
	const struct export_ops *ops;
	FILE *to;
	int error; /* the stream's first failure: it does not come back */
	const struct field_row **rows; /* shown */
	char **heads;                  /* JSON: what stands before a value */
	size_t *head_sizes;
	size_t row_count;
	char *buffer;
	size_t size;
	size_t fill;
	struct export_table *table;
};

/* Text that grows to the right, cut at its room but fully counted. */
struct export_line {
	char *at;
	size_t room;
	size_t length;
};

static inline char *line_end(const struct export_line *line)
{
	return line->at +
	       (line->length < line->room ? line->length : line->room);
}

static inline size_t line_room(const struct export_line *line)
{
	return line->length < line->room ? line->room - line->length : 0;
}

void line_put(struct export_line *line, const char *bytes, size_t size);

/* line_put() of one byte. */
static inline void line_put_byte(struct export_line *line, char byte)
{
	if (line->length < line->room)
		line->at[line->length] = byte;
	line->length++;
}

/* Appends whole lines to the buffer.  Returns 0 or a negative code. */
int text_append(struct export_text *text, const char *bytes, size_t size);

extern const struct export_ops export_table_ops;
extern const struct export_ops export_json_ops;
extern const struct export_ops export_csv_ops;

/* json.c: the heads of every value.  Returns 0 or -ENOMEM. */
int json_heads_make(struct export_text *text);

/* table.c.  Returns as export_text_open(). */
int table_create(const struct field_table *fields, const char *const *columns,
		 int width, struct export_table **ret_table);
void table_destroy(struct export_table *table);

/* cell.c: one value for people, zero-terminated UTF-8 of one line. */
#define CELL_SIZE 80

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
/* 'port' is NULL but for CELL_ENDPOINT. */
void cell_write(enum cell_kind kind, const struct field_row *row,
		const struct field_row *port, const void *record,
		char ret_text[static CELL_SIZE]);

#endif
