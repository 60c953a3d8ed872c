/* The command line, read by the rows. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/option_private.h"

struct line_reader {
	const struct option_table *table;
	int argc;
	char *const *argv;
	int at; /* next argument */
	void *options;
	struct option_line *line;
	const struct option_row *lists_seen[OPTION_ROWS_MAX];
	size_t lists_count;
};

/* The first option of a line replaces what the list held before. */
static void list_begin(struct line_reader *reader, const struct option_row *row,
		       void *slot)
{
	for (size_t i = 0; i < reader->lists_count; i++) {
		if (reader->lists_seen[i] == row)
			return;
	}
	if (reader->lists_count < OPTION_ROWS_MAX)
		reader->lists_seen[reader->lists_count++] = row;
	option_list_clear(slot);
}

/* "eth0,lo" is two entries. */
static int list_set(const struct option_row *row, const char *text, void *slot,
		    struct fault *ret_fault)
{
	int rc = 0;

	while (rc == 0) {
		size_t size = strcspn(text, ",");
		char *entry = strndup(text, size);

		if (!entry)
			return fault_set(ret_fault, -ENOMEM, "%s: %s",
					 row->name, err_sentence(-ENOMEM));
		rc = option_value_set(row, row->name, entry, slot, ret_fault);
		free(entry);
		if (!text[size])
			break;
		text += size + 1;
	}
	return rc;
}

static int row_set(struct line_reader *reader, const struct option_group *group,
		   const struct option_row *row, const char *text)
{
	void *slot = option_slot(group, row, reader->options);

	if (row->type != OPTION_LIST)
		return option_value_set(row, row->name, text, slot,
					&reader->line->fault);
	list_begin(reader, row, slot);
	return list_set(row, text, slot, &reader->line->fault);
}

/* The text behind the name: here, or the next argument. */
static int row_set_next(struct line_reader *reader,
			const struct option_group *group,
			const struct option_row *row, const char *text)
{
	if (!text && reader->at < reader->argc)
		text = reader->argv[reader->at++];
	if (!text)
		return fault_set(&reader->line->fault, -EINVAL,
				 "%s: needs a value (%s)", row->name,
				 option_placeholder(row));
	return row_set(reader, group, row, text);
}

static int unknown(struct line_reader *reader, const char *name)
{
	return option_unknown(reader->table, name, OPTION_LINE,
			      &reader->line->fault);
}

/* name, name=value, no-name: what stands behind "--". */
static int long_parse(struct line_reader *reader, const char *text)
{
	const struct option_group *group;
	const struct option_row *row;
	const char *value = strchr(text, '=');
	char name[64];
	size_t size = value ? (size_t)(value - text) : strlen(text);

	if (size >= sizeof name)
		return unknown(reader, text);
	memcpy(name, text, size);
	name[size] = 0;
	row = option_find(reader->table, name, OPTION_LINE, &group);
	if (row && row->type == OPTION_BOOL)
		return row_set(reader, group, row, value ? value + 1 : "yes");
	if (row)
		return row_set_next(reader, group, row,
				    value ? value + 1 : NULL);
	if (!value && strncmp(name, "no-", 3) == 0)
		row = option_find(reader->table, name + 3, OPTION_LINE, &group);
	if (row && row->type == OPTION_BOOL)
		return row_set(reader, group, row, "no");
	return unknown(reader, name);
}

static const struct option_row *letter_find(const struct option_table *table,
					    char letter,
					    const struct option_group **ret)
{
	OPTIONS_EACH(table, group, row)
	{
		if (row->letter == letter) {
			*ret = group;
			return row;
		}
	}
	return NULL;
}

/* What stands behind "-": flags, the last may take the rest as its value. */
static int short_parse(struct line_reader *reader, const char *text)
{
	const struct option_group *group;
	const struct option_row *row;
	int rc = 0;

	for (; rc == 0 && *text; text++) {
		row = letter_find(reader->table, *text, &group);
		if (!row)
			return fault_set(&reader->line->fault,
					 ERR_OPTION_UNKNOWN,
					 "-%c: no such option", *text);
		if (row->type != OPTION_BOOL)
			return row_set_next(reader, group, row,
					    text[1] ? text + 1 : NULL);
		rc = row_set(reader, group, row, "yes");
	}
	return rc;
}

static void rest_add(struct option_line *line, const char *text)
{
	if (line->rest)
		line->rest[line->rest_count] = text;
	line->rest_count++;
}

int options_line_parse(const struct option_table *table, int argc,
		       char *const *argv, void *options,
		       struct option_line *line)
{
	struct line_reader reader = {.table = table,
				     .argc = argc,
				     .argv = argv,
				     .at = 1,
				     .options = options,
				     .line = line};
	bool ended = false;
	int rc = 0;

	line->rest_count = 0;
	line->fault.text[0] = 0;
	while (rc == 0 && reader.at < argc) {
		const char *text = argv[reader.at++];

		if (!ended && strcmp(text, "--") == 0) {
			ended = true;
			continue;
		}
		if (ended || text[0] != '-' || !text[1]) {
			rest_add(line, text);
			continue;
		}
		rc = text[1] == '-' ? long_parse(&reader, text + 2)
				    : short_parse(&reader, text + 1);
	}
	return rc;
}
