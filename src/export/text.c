/* A writer: its buffer, its stream, and the table of formats. */
#include "export/export_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT_WORD(name, word) [name] = (word),
const char *const export_format_words[] = {EXPORT_FORMATS(EXPORT_WORD)};
#undef EXPORT_WORD

static const struct export_ops *const formats[EXPORT_FORMAT_COUNT] = {
	[EXPORT_TABLE] = &export_table_ops,
	[EXPORT_JSON] = &export_json_ops,
	[EXPORT_CSV] = &export_csv_ops,
};

/* Whole lines leave in one piece: an error cuts between lines where the
 * stream lets it. */
static int buffer_send(struct export_text *text)
{
	size_t size = text->fill;

	text->fill = 0;
	if (text->error || size == 0)
		return text->error;
	errno = 0;
	if (fwrite(text->buffer, 1, size, text->to) < size ||
	    fflush(text->to) != 0)
		text->error = errno ? -errno : -EIO;
	return text->error;
}

static int buffer_grow(struct export_text *text, size_t size)
{
	char *buffer = realloc(text->buffer, size);

	if (!buffer)
		return -ENOMEM;
	text->buffer = buffer;
	text->size = size;
	return 0;
}

int text_append(struct export_text *text, const char *bytes, size_t size)
{
	int rc = 0;

	if (size > text->size - text->fill)
		rc = buffer_send(text);
	if (rc == 0 && size > text->size)
		rc = buffer_grow(text, size);
	if (rc < 0)
		return rc;
	memcpy(text->buffer + text->fill, bytes, size);
	text->fill += size;
	return 0;
}

/* An empty buffer that a line does not fit grows. */
static int line_write(struct export_text *text, const void *record)
{
	int rc = 0;

	while (rc == 0) {
		char *end = text->ops->line(&text->plan, record,
					    text->buffer + text->fill,
					    text->buffer + text->size);

		if (end) {
			text->fill = (size_t)(end - text->buffer);
			return 0;
		}
		rc = text->fill > 0 ? buffer_send(text)
				    : buffer_grow(text, text->size * 2);
	}
	return rc;
}

static void text_free(struct export_text *text)
{
	plan_free(&text->plan);
	free(text->buffer);
	table_destroy(text->table);
	free(text);
}

static int text_begin(struct export_text *text, const struct field_table *table,
		      const char *const *columns, int width)
{
	int rc = buffer_grow(text, EXPORT_BUFFER_SIZE);

	if (rc == 0 && text->ops->line)
		rc = plan_make(&text->plan, table,
			       text->ops == &export_json_ops);
	if (rc == 0 && text->ops == &export_table_ops)
		rc = table_create(table, columns, width, &text->table);
	if (rc == 0 && text->ops->begin)
		rc = text->ops->begin(text);
	return rc;
}

/* Six parameters, for a call that reads like its sentence. */
/* NOLINTNEXTLINE(readability-function-size) */
int export_text_open(enum export_format format, FILE *to,
		     const struct field_table *table,
		     const char *const *columns, int width,
		     struct export_text **ret_text)
{
	struct export_text *text = calloc(1, sizeof *text);
	int rc;

	if (!text)
		return -ENOMEM;
	text->ops = formats[format];
	text->to = to;
	rc = text_begin(text, table, columns, width);
	if (rc < 0) {
		text_free(text);
		return rc;
	}
	*ret_text = text;
	return 0;
}

int export_text_write(struct export_text *text, const void *record)
{
	if (text->error)
		return text->error;
	if (text->ops->line)
		return line_write(text, record);
	return text->ops->record(text, record);
}

int export_text_flush(struct export_text *text)
{
	int rc = text->error;

	if (rc == 0 && text->ops->flush)
		rc = text->ops->flush(text);
	return rc ?: buffer_send(text);
}

int export_text_close(struct export_text *text)
{
	int rc;

	if (!text)
		return 0;
	rc = export_text_flush(text);
	text_free(text);
	return rc;
}
