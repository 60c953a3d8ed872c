/* What people read, made from the rows. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/option_private.h"

#define HELP_COLUMN 30
#define HELP_WIDTH  79

static bool row_on_line(const struct option_row *row)
{
	return !row->where || (row->where & OPTION_LINE);
}

static bool row_in_config(const struct option_row *row)
{
	return !row->where || (row->where & OPTION_CONFIG);
}

static bool group_has(const struct option_group *group,
		      bool (*wanted)(const struct option_row *row))
{
	for (size_t i = 0; i < group->count; i++) {
		if (wanted(&group->rows[i]))
			return true;
	}
	return false;
}

/* On the command line, a bool that is on is named by what turns it off. */
static bool row_negated(const struct option_row *row)
{
	return row->type == OPTION_BOOL && row->preset && row_on_line(row);
}

/* "help text (64M to 2G; default 256M)". */
static void help_text(const struct option_row *row, char *buffer, size_t size)
{
	char range[128], preset[128];
	size_t used;

	option_range_text(row, range, sizeof range);
	option_preset_text(row, preset, sizeof preset);
	if (row->type == OPTION_BOOL && !row->preset && !row->preset_note)
		*preset = 0;
	snprintf(buffer, size, "%s", row->help);
	used = strlen(buffer);
	if (*range || *preset)
		snprintf(buffer + used, size - used, " (%s%s%s%s)", range,
			 *range && *preset ? "; " : "",
			 *preset ? "default " : "", preset);
}

static void line_text(const struct option_row *row, char *buffer, size_t size)
{
	if (row_negated(row))
		snprintf(buffer, size, "without %s", row->help);
	else
		help_text(row, buffer, size);
}

/* Words up to the column, the next lines indented. */
static void wrapped_print(FILE *to, const char *text, int indent)
{
	int column = indent;

	while (*text) {
		int size = (int)strcspn(text, " ");

		if (column > indent && column + 1 + size > HELP_WIDTH)
			column = fprintf(to, "\n%*s", indent, "") - 1;
		if (column > indent)
			column += fprintf(to, " ");
		column += fprintf(to, "%.*s", size, text);
		text += size;
		text += *text == ' ';
	}
	fputc('\n', to);
}

static void row_help_print(const struct option_row *row, FILE *to)
{
	const char *placeholder = option_placeholder(row);
	char left[80], text[512];
	int size;

	size = snprintf(left, sizeof left, "%s%s%s",
			row_negated(row) ? "no-" : "", row->name,
			*placeholder ? " " : "");
	snprintf(left + size, sizeof left - (size_t)size, "%s", placeholder);
	line_text(row, text, sizeof text);
	if (row->letter)
		size = fprintf(to, "  -%c, --%s", row->letter, left);
	else
		size = fprintf(to, "      --%s", left);
	if (size > HELP_COLUMN - 2)
		size = fprintf(to, "\n") - 1;
	fprintf(to, "%*s", HELP_COLUMN - size, "");
	wrapped_print(to, text, HELP_COLUMN);
}

void options_help_print(const struct option_table *table, FILE *to)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option_group *group = &table->groups[i];

		if (!group_has(group, row_on_line))
			continue;
		fprintf(to, "\n%s:\n", group->title);
		for (size_t j = 0; j < group->count; j++) {
			if (row_on_line(&group->rows[j]))
				row_help_print(&group->rows[j], to);
		}
	}
}

/* Text in roff: no dash becomes a hyphen, no line starts a request. */
static void roff_print(FILE *to, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", to);
	for (; *text; text++) {
		if (*text == '-' || *text == '\\')
			fputc('\\', to);
		fputc(*text == '\\' ? 'e' : *text, to);
	}
}

static void row_man_print(const struct option_row *row, FILE *to)
{
	const char *placeholder = option_placeholder(row);
	char text[512];

	fputs(".TP\n", to);
	if (row_on_line(row)) {
		if (row->letter)
			fprintf(to, "\\fB\\-%c\\fR, ", row->letter);
		fputs("\\fB\\-\\-", to);
		if (row_negated(row))
			fputs("no\\-", to);
	} else {
		fputs("\\fB", to);
	}
	roff_print(to, row->name);
	fputs("\\fR", to);
	if (*placeholder) {
		fputs(" \\fI", to);
		roff_print(to, placeholder);
		fputs("\\fR", to);
	}
	line_text(row, text, sizeof text);
	fputc('\n', to);
	roff_print(to, text);
	fputs(".\n", to);
}

void options_man_print(const struct option_table *table, FILE *to)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option_group *group = &table->groups[i];

		fprintf(to, ".PP\n.I %s\n", group->title);
		for (size_t j = 0; j < group->count; j++)
			row_man_print(&group->rows[j], to);
	}
}

static void comment_print(FILE *to, const char *text)
{
	int column = 1;

	fputc('#', to);
	while (*text) {
		int size = (int)strcspn(text, " ");

		if (column > 1 && column + 1 + size > HELP_WIDTH) {
			fputs("\n#", to);
			column = 1;
		}
		column += fprintf(to, " %.*s", size, text);
		text += size;
		text += *text == ' ';
	}
	fputc('\n', to);
}

static void row_config_print(const struct option_row *row, FILE *to)
{
	char text[512], preset[128];
	struct option_row plain = *row;

	plain.preset_note = NULL;
	option_preset_text(&plain, preset, sizeof preset);
	help_text(row, text, sizeof text);
	fputc('\n', to);
	comment_print(to, text);
	fputc('#', to);
	for (const char *at = row->name; *at; at++)
		fputc(*at == '-' ? '_' : *at, to);
	fprintf(to, " =%s%s\n", *preset ? " " : "", preset);
}

void options_config_print(const struct option_table *table, FILE *to)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option_group *group = &table->groups[i];

		if (!group_has(group, row_in_config))
			continue;
		fprintf(to, "\n## %s\n", group->title);
		for (size_t j = 0; j < group->count; j++) {
			if (row_in_config(&group->rows[j]))
				row_config_print(&group->rows[j], to);
		}
	}
}
