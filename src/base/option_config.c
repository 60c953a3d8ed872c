/* The configuration file, read by the rows.
 *
 *     line    = blank / comment / key '=' value [comment]
 *     value   = bare / quoted, and for a list: value *("," value)
 *     quoted  = '"' *(byte / '\"' / '\\') '"'
 *     comment = '#' *byte      behind a blank or at the start
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/option_private.h"

#define FILE_SIZE_MAX (1 << 20)

struct config_reader {
	const struct option_table *table;
	const char *name;
	unsigned int line;
	void *options;
	option_report *report;
	void *context;
	int mistakes;
	struct {
		const struct option_row *row;
		unsigned int line;
	} seen[OPTION_ROWS_MAX];
	size_t seen_count;
};

__attribute__((format(printf, 2, 3))) static void
mistake(struct config_reader *reader, const char *format, ...)
{
	char text[512];
	int size = snprintf(text, sizeof text, "%.200s:%u: ", reader->name,
			    reader->line);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + size, sizeof text - (size_t)size, format, arguments);
	va_end(arguments);
	/* What a file holds goes to a terminal: no control bytes. */
	for (char *at = text; *at; at++) {
		if (iscntrl((unsigned char)*at))
			*at = '?';
	}
	reader->mistakes++;
	reader->report(reader->context, text);
}

static const char *blank_skip(const char *at)
{
	while (*at == ' ' || *at == '\t' || *at == '\r')
		at++;
	return at;
}

/* Up to a comment, a list's comma or the end; blanks behind are left out. */
static const char *bare_take(const char *at, bool list, char *out)
{
	const char *start = at, *end = at;

	for (; *at && !(list && *at == ','); at++) {
		bool blank = *at == ' ' || *at == '\t' || *at == '\r';

		if (*at == '#' &&
		    (at == start || at[-1] == ' ' || at[-1] == '\t'))
			break;
		if (!blank)
			end = at + 1;
	}
	memcpy(out, start, (size_t)(end - start));
	out[end - start] = 0;
	return at;
}

/* NULL: the quote is not closed. */
static const char *quoted_take(const char *at, char *out)
{
	for (at++; *at != '"'; at++) {
		if (*at == '\\' && (at[1] == '"' || at[1] == '\\'))
			at++;
		if (!*at)
			return NULL;
		*out++ = *at;
	}
	*out = 0;
	return blank_skip(at + 1);
}

static int entries_set(struct config_reader *reader, const char *key,
		       const char *at, const struct option_row *row, void *slot)
{
	bool list = row->type == OPTION_LIST;
	char *out = malloc(strlen(at) + 1);
	struct fault fault;
	int rc = out ? 0 : -ENOMEM;

	at = blank_skip(at);
	/* A list that has no entry by default may be said to have none. */
	if (list && !row->preset_text && (!*at || *at == '#')) {
		free(out);
		return rc;
	}
	while (rc == 0) {
		at = blank_skip(at);
		at = *at == '"' ? quoted_take(at, out)
				: bare_take(at, list, out);
		if (!at || (*at && *at != '#' && !(list && *at == ','))) {
			mistake(reader, "%s: %s", key,
				at ? "something stands behind the quote"
				   : "the quote is not closed");
			break;
		}
		rc = option_value_set(row, key, out, slot, &fault);
		if (rc < 0 && rc != -ENOMEM) {
			mistake(reader, "%s", fault.text);
			rc = 0;
		}
		if (*at++ != ',')
			break;
	}
	free(out);
	return rc;
}

/* The line where the row was set before; 0: this is the first. */
static unsigned int seen_before(struct config_reader *reader,
				const struct option_row *row)
{
	for (size_t i = 0; i < reader->seen_count; i++) {
		if (reader->seen[i].row == row)
			return reader->seen[i].line;
	}
	if (reader->seen_count < OPTION_ROWS_MAX) {
		reader->seen[reader->seen_count].row = row;
		reader->seen[reader->seen_count++].line = reader->line;
	}
	return 0;
}

static int key_set(struct config_reader *reader, const char *key,
		   const char *value)
{
	const struct option_group *group;
	const struct option_row *row =
		option_find(reader->table, key, OPTION_CONFIG, &group);
	struct fault fault;
	unsigned int before;
	void *slot;

	if (!row) {
		option_unknown(reader->table, key, OPTION_CONFIG, &fault);
		mistake(reader, "%s", fault.text);
		return 0;
	}
	before = seen_before(reader, row);
	if (before) {
		mistake(reader, "%s: given already on line %u", key, before);
		return 0;
	}
	slot = option_slot(group, row, reader->options);
	if (row->type == OPTION_LIST)
		option_list_clear(slot);
	return entries_set(reader, key, value, row, slot);
}

static bool key_letter(char letter)
{
	return isalnum((unsigned char)letter) || letter == '_' || letter == '-';
}

static int line_read(struct config_reader *reader, const char *at)
{
	char key[64];
	size_t size = 0;

	at = blank_skip(at);
	if (!*at || *at == '#')
		return 0;
	while (key_letter(at[size]) && size < sizeof key - 1)
		size++;
	memcpy(key, at, size);
	key[size] = 0;
	at = blank_skip(at + size);
	if (size == 0 || *at != '=') {
		mistake(reader, "%s%sexpected 'key = value'", key,
			size ? ": " : "");
		return 0;
	}
	return key_set(reader, key, at + 1);
}

static int lines_read(struct config_reader *reader, char *text, size_t size)
{
	char *end = text + size;
	int rc = 0;

	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	while (rc == 0 && text < end) {
		char *line_end =
			memchr(text, '\n', (size_t)(end - text)) ?: end;

		*line_end = 0;
		reader->line++;
		if (memchr(text, 0, (size_t)(line_end - text)))
			mistake(reader, "a zero byte: this is not a text");
		else
			rc = line_read(reader, text);
		text = line_end + 1;
	}
	return rc;
}

int options_config_parse(const struct option_source *source, const char *bytes,
			 size_t size, void *options)
{
	struct config_reader reader = {.table = source->table,
				       .name = source->name,
				       .options = options,
				       .report = source->report,
				       .context = source->context};
	char *text = malloc(size + 1);
	int rc;

	if (!text)
		return -ENOMEM;
	memcpy(text, bytes, size);
	text[size] = 0;
	rc = lines_read(&reader, text, size);
	free(text);
	return rc < 0 ? rc : reader.mistakes;
}

static int file_read(int fd, char *buffer, size_t size, size_t *ret_size)
{
	size_t used = 0;
	ssize_t count;

	while ((count = read(fd, buffer + used, size - used)) != 0) {
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		used += (size_t)count;
		if (used == size)
			return -EFBIG;
	}
	*ret_size = used;
	return 0;
}

int options_config_read(const struct option_source *source, void *options)
{
	int fd = open(source->name, O_RDONLY | O_CLOEXEC);
	char *buffer;
	size_t size = 0;
	int rc;

	if (fd < 0)
		return -errno;
	buffer = malloc(FILE_SIZE_MAX);
	rc = buffer ? file_read(fd, buffer, FILE_SIZE_MAX, &size) : -ENOMEM;
	close(fd);
	if (rc == 0)
		rc = options_config_parse(source, buffer, size, options);
	free(buffer);
	return rc;
}
