/* CSV with a head line (RFC 4180, section 2).  Null is an empty field. */
#include "export/export_private.h"

#include <string.h>

/* Quotes the last 'size' bytes of the line in place if they need it.  Where
 * they were cut, the length becomes an upper bound: the line does not fit
 * either way. */
static void line_quote(struct export_line *line, size_t size)
{
	char *at = line->at + (line->length - size);
	size_t quotes = 0, to;

	if (line->length >= line->room) {
		line->length += size + 2;
		return;
	}
	if (strcspn(at, ",\"\r\n") == size)
		return;
	for (size_t i = 0; i < size; i++)
		quotes += at[i] == '"';
	line->length += quotes + 2;
	if (line->length >= line->room)
		return;
	to = size + quotes + 1;
	at[to] = '"';
	for (size_t from = size; from-- > 0;) {
		at[--to] = at[from];
		if (at[from] == '"')
			at[--to] = '"';
	}
	at[0] = '"';
}

static bool may_need_quotes(const struct field_row *row)
{
	return row->type == FIELD_TEXT || row->type == FIELD_WORD;
}

static size_t csv_line(const struct export_text *text, const void *record,
		       char *at, size_t room)
{
	struct export_line line = {at, room, 0};

	for (size_t i = 0; i < text->row_count; i++) {
		const struct field_row *row = text->rows[i];
		size_t size;

		if (i > 0)
			line_put_byte(&line, ',');
		size = field_text(row, record, line_end(&line),
				  line_room(&line));
		line.length += size;
		if (may_need_quotes(row))
			line_quote(&line, size);
	}
	line_put(&line, "\n", 1);
	return line.length;
}

/* Names of fields are plain words. */
static int csv_begin(struct export_text *text)
{
	int rc = 0;

	for (size_t i = 0; i < text->row_count && rc == 0; i++) {
		const char *name = text->rows[i]->name;

		if (i > 0)
			rc = text_append(text, ",", 1);
		if (rc == 0)
			rc = text_append(text, name, strlen(name));
	}
	return rc ?: text_append(text, "\n", 1);
}

const struct export_ops export_csv_ops = {.line = csv_line, .begin = csv_begin};
