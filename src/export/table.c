/* A table for people.
 *
 * The first rows are held back to learn how wide the columns are; then rows
 * pass as they come.  Columns that do not fit the width are left out from
 * the right, but the endpoints are cut before one of the first few goes.  A
 * later, wider value widens its column while there is width
 * left; else a text is cut and a number, which must stay true, sticks out. */
#include "export/export_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_KEPT 6  /* if endpoints that are cut make room for them */
#define ENDPOINT_MIN 12 /* characters */
#define SAMPLE_ROWS  256
#define GAP          2

struct column {
	struct cell_source source;
	int width;
	bool number; /* stands to the right */
	struct cell title;
};

struct export_table {
	struct column *columns;
	size_t column_count; /* all, then those that fit */
	int width;           /* of a line at most, 0: any */
	struct cell *cells;  /* of SAMPLE_ROWS rows, then of one */
	size_t cell_rows;
	bool settled; /* widths are known, the head is out */
	bool dated;   /* times with their date: there are several days */
	char *line;
	struct cell_clock clock;
};

static const struct field_row *row_find(const struct field_table *fields,
					const char *name)
{
	for (size_t i = 0; i < fields->count; i++) {
		if (strcmp(fields->rows[i].name, name) == 0)
			return &fields->rows[i];
	}
	return NULL;
}

/* "src_ip" and "src_port": an endpoint. */
static bool endpoint(const struct field_row *address,
		     const struct field_row *port)
{
	const char *underscore = strrchr(address->name, '_');
	size_t length = underscore ? (size_t)(underscore - address->name) : 0;

	return address->type == FIELD_ADDRESS && port->type == FIELD_U16 &&
	       underscore && strncmp(address->name, port->name, length) == 0 &&
	       strcmp(port->name + length, "_port") == 0;
}

/* What a head leaves out: the values say it. */
static const char *title_suffix(const struct cell_source *source)
{
	if (source->port)
		return "_ip";
	if (source->kind == CELL_TIME || source->kind == CELL_DURATION)
		return "_ns";
	return "";
}

/* "rev_bytes": "REV BYTES". */
static void title_make(struct column *column)
{
	const char *name = column->source.row->name;
	const char *suffix = title_suffix(&column->source);
	size_t length = strnlen(name, CELL_SIZE - 1), cut = strlen(suffix);

	if (length > cut && strncmp(name + length - cut, suffix, cut) == 0)
		length -= cut;
	for (size_t i = 0; i < length; i++) {
		int c = name[i] == '_' ? ' ' : (toupper)((uint8_t)name[i]);

		column->title.text[i] = (char)c;
	}
	column->title.size = column->title.width = (uint8_t)length;
}

static void column_add(struct export_table *table, const struct field_row *row)
{
	struct column *last = table->columns + table->column_count - 1;
	struct column *column = last + 1;

	if (table->column_count > 0 && !last->source.port &&
	    endpoint(last->source.row, row)) {
		last->source.port = row;
		last->source.kind = CELL_ENDPOINT;
		last->number = false;
		title_make(last);
		return;
	}
	column->source.row = row;
	column->source.kind = cell_kind_of(row);
	column->number = cell_is_number(column->source.kind);
	title_make(column);
	table->column_count++;
}

static int columns_choose(struct export_table *table,
			  const struct field_table *fields,
			  const char *const *columns)
{
	for (size_t i = 0; columns && columns[i]; i++) {
		const struct field_row *row = row_find(fields, columns[i]);

		if (!row)
			return -EINVAL;
		column_add(table, row);
	}
	for (size_t i = 0; !columns && i < fields->count; i++) {
		if (fields->rows[i].use == FIELD_SHOWN)
			column_add(table, &fields->rows[i]);
	}
	return 0;
}

static size_t columns_count_max(const struct field_table *fields,
				const char *const *columns)
{
	size_t count = 0;

	while (columns && columns[count])
		count++;
	return columns ? count : fields->count;
}

int table_create(const struct field_table *fields, const char *const *columns,
		 int width, struct export_table **ret_table)
{
	struct export_table *table = calloc(1, sizeof *table);
	size_t count = columns_count_max(fields, columns) + 1;
	int rc = -ENOMEM;

	if (!table)
		return rc;
	table->width = width;
	table->columns = calloc(count, sizeof *table->columns);
	table->cells = calloc(count * SAMPLE_ROWS, sizeof *table->cells);
	table->line = calloc(count, (size_t)2 * CELL_SIZE);
	if (table->columns && table->cells && table->line)
		rc = columns_choose(table, fields, columns);
	if (rc < 0) {
		table_destroy(table);
		return rc;
	}
	*ret_table = table;
	return 0;
}

void table_destroy(struct export_table *table)
{
	if (!table)
		return;
	free(table->columns);
	free(table->cells);
	free(table->line);
	free(table);
}

/* What of a cell is shown: times lose their date where it says nothing. */
static inline size_t cell_hidden(const struct export_table *table,
				 const struct column *column,
				 const struct cell *cell)
{
	bool dated = column->source.kind != CELL_TIME || table->dated ||
		     cell->size < CELL_DATE_SIZE;

	return dated ? 0 : CELL_DATE_SIZE;
}

static inline int cell_width(const struct export_table *table,
			     const struct column *column,
			     const struct cell *cell)
{
	return cell->width - (int)cell_hidden(table, column, cell);
}

static int line_width(const struct export_table *table)
{
	int width = 0;

	for (size_t i = 0; i < table->column_count; i++)
		width += table->columns[i].width + (i > 0 ? GAP : 0);
	return width;
}

/* The first 'width' characters, the last of them a mark. */
static char *put_cut(char *to, const char *text, size_t size, int width)
{
	int done = 0;

	for (size_t i = 0; i < size; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80 && ++done == width)
			break;
		*to++ = text[i];
	}
	return stpcpy(to, "\xe2\x80\xa6");
}

/* An endpoint's middle goes, its beginning and its port stay (ASCII). */
static char *put_cut_middle(char *to, const struct cell *cell, int width)
{
	size_t head = (size_t)(width - 1) / 2, tail = (size_t)width - 1 - head;

	to = mempcpy(to, cell->text, head);
	to = stpcpy(to, "\xe2\x80\xa6");
	return mempcpy(to, cell->text + cell->size - tail, tail);
}

static inline char *put_blanks(char *to, int count)
{
	if (count <= 0)
		return to;
	memset(to, ' ', (size_t)count);
	return to + count;
}

static inline char *put_cell(char *to, const struct export_table *table,
			     const struct column *column,
			     const struct cell *cell, bool last)
{
	size_t hidden = cell_hidden(table, column, cell);
	const char *text = cell->text + hidden;
	size_t size = cell->size - hidden;
	int blanks = column->width - (cell->width - (int)hidden);

	if (column->number)
		to = put_blanks(to, blanks);
	else if (blanks < 0)
		return column->source.kind == CELL_ENDPOINT
			       ? put_cut_middle(to, cell, column->width)
			       : put_cut(to, text, size, column->width);
	to = mempcpy(to, text, size);
	return column->number || last ? to : put_blanks(to, blanks);
}

/* One line of cells; 'cells' NULL: the head. */
static int line_emit(struct export_text *text, const struct cell *cells)
{
	struct export_table *table = text->table;
	char *to = table->line;

	for (size_t i = 0; i < table->column_count; i++) {
		const struct column *column = &table->columns[i];
		const struct cell *cell = cells ? &cells[i] : &column->title;

		if (i > 0)
			to = put_blanks(to, GAP);
		to = put_cell(to, table, column, cell,
			      i + 1 == table->column_count);
	}
	*to++ = '\n';
	return text_append(text, table->line, (size_t)(to - table->line));
}

static struct cell *cells_row(const struct export_table *table, size_t row)
{
	return table->cells + row * table->column_count;
}

/* Whether the sample has times of several days. */
static bool days_differ(const struct export_table *table)
{
	const char *day = NULL;

	for (size_t i = 0; i < table->cell_rows * table->column_count; i++) {
		const struct column *column =
			&table->columns[i % table->column_count];
		const struct cell *cell = &table->cells[i];

		if (column->source.kind != CELL_TIME ||
		    cell->size < CELL_DATE_SIZE)
			continue;
		if (day && memcmp(day, cell->text, CELL_DATE_SIZE) != 0)
			return true;
		day = cell->text;
	}
	return false;
}

static void widths_learn(struct export_table *table)
{
	table->dated = days_differ(table);
	for (size_t i = 0; i < table->column_count; i++) {
		struct column *column = &table->columns[i];

		column->width = column->title.width;
		for (size_t row = 0; row < table->cell_rows; row++) {
			int width = cell_width(table, column,
					       &cells_row(table, row)[i]);

			if (width > column->width)
				column->width = width;
		}
	}
}

static struct column *endpoint_widest(struct export_table *table)
{
	struct column *widest = NULL;

	for (size_t i = 0; i < table->column_count; i++) {
		struct column *column = &table->columns[i];

		if (column->source.kind == CELL_ENDPOINT &&
		    column->width > ENDPOINT_MIN &&
		    (!widest || column->width > widest->width))
			widest = column;
	}
	return widest;
}

/* Drops columns from the end; of what tells most, endpoints get narrow
 * first. */
static void columns_fit(struct export_table *table)
{
	if (table->width <= 0)
		return;
	while (line_width(table) > table->width && table->column_count > 1) {
		struct column *endpoint = endpoint_widest(table);

		if (table->column_count <= COLUMNS_KEPT && endpoint)
			endpoint->width--;
		else
			table->column_count--;
	}
}

/* Writes the head and the sample.  From here on columns may be fewer than
 * cells of a row in the sample, so the count is cut last. */
static int settle(struct export_text *text)
{
	struct export_table *table = text->table;
	size_t stride = table->column_count;
	int rc;

	widths_learn(table);
	columns_fit(table);
	table->settled = true;
	rc = line_emit(text, NULL);
	for (size_t row = 0; row < table->cell_rows && rc == 0; row++)
		rc = line_emit(text, table->cells + row * stride);
	table->cell_rows = 0;
	return rc;
}

static void widths_grow(struct export_table *table)
{
	int room = table->width > 0 ? table->width - line_width(table)
				    : CELL_SIZE * (int)table->column_count;

	for (size_t i = 0; i < table->column_count; i++) {
		struct column *column = &table->columns[i];
		int more = cell_width(table, column, &table->cells[i]) -
			   column->width;

		if (more <= 0 || more > room)
			continue;
		column->width += more;
		room -= more;
	}
}

static int table_record(struct export_text *text, const void *record)
{
	struct export_table *table = text->table;
	struct cell *cells = cells_row(table, table->cell_rows);

	for (size_t i = 0; i < table->column_count; i++)
		cell_write(&table->columns[i].source, record, &table->clock,
			   &cells[i]);
	if (table->settled) {
		widths_grow(table);
		return line_emit(text, cells);
	}
	if (++table->cell_rows == SAMPLE_ROWS)
		return settle(text);
	return 0;
}

static int table_flush(struct export_text *text)
{
	return text->table->settled ? 0 : settle(text);
}

const struct export_ops export_table_ops = {.record = table_record,
					    .flush = table_flush};
