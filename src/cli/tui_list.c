/* The screen: a list of any kind, its columns fitted to the terminal. */
#include <string.h>

#include "base/text.h"
#include "cli/endpoint.h"
#include "cli/tui_private.h"

#define ENDPOINT_WIDTH_MIN 9
#define LINE_SIZE          512

static int column_width(const struct column *column)
{
	return column->width < 0 ? -column->width : column->width;
}

/* The width of the columns that share what the others leave. */
static int spare_width(const struct list *list)
{
	int left = COLS - 1, sharing = 0;

	for (size_t i = 0; i < list->column_count; i++) {
		const struct column *column = &list->columns[i];

		if (!column_shown(column))
			continue;
		left -= column_width(column) + 1;
		sharing += column->width == 0;
	}
	left = sharing ? left / sharing : 0;
	if (left > ENDPOINT_SIZE - 8)
		left = ENDPOINT_SIZE - 8;
	return left < ENDPOINT_WIDTH_MIN ? ENDPOINT_WIDTH_MIN : left;
}

static void cell_draw(const struct column *column, int width, int line, int at,
		      const char *text)
{
	char fitted[LINE_SIZE];

	if (column->width < 0)
		snprintf(fitted, sizeof fitted, "%*.*s", width, width, text);
	else
		fit_text(text, (size_t)width, fitted, sizeof fitted);
	tui_put(line, at, tui_color(column->color), "%s", fitted);
}

static void titles_draw(const struct list *list, int spare, int line)
{
	int at = 1;

	attrset(tui_color(PAINT_TITLE));
	for (size_t i = 0; i < list->column_count; i++) {
		const struct column *column = &list->columns[i];
		int width = column->width ? column_width(column) : spare;

		if (!column_shown(column))
			continue;
		tui_put(line, at, tui_color(PAINT_TITLE) | A_UNDERLINE,
			column->width < 0 ? "%*.*s" : "%-*.*s", width, width,
			column->title);
		at += width + 1;
	}
}

static void row_draw(const struct tui *tui, const struct list *list,
		     size_t index, int line)
{
	int spare = spare_width(list), at = 1;

	for (size_t i = 0; i < list->column_count; i++) {
		const struct column *column = &list->columns[i];
		int width = column->width ? column_width(column) : spare;
		char text[LINE_SIZE] = "";

		if (!column_shown(column))
			continue;
		column->text(tui, index, text, sizeof text);
		cell_draw(column, width, line, at, text);
		at += width + 1;
	}
}

/* Shades the row as far as its share of the largest goes. */
static void bar_draw(const struct tui *tui, double share, int line)
{
	int end = (int)(share * COLS);

	for (int column = 0; tui->bars && column < end; column++) {
		wchar_t text[CCHARW_MAX + 1];
		attr_t attribute;
		cchar_t cell;
		short pair;

		mvin_wch(line, column, &cell);
		getcchar(&cell, text, &attribute, &pair, NULL);
		mvchgat(line, column, 1, attribute & A_BOLD,
			(short)(PAINT_USED + pair), NULL);
	}
}

void tui_list_draw(const struct tui *tui, const struct list *list, int line,
		   int end)
{
	titles_draw(list, spare_width(list), line++);
	if (list->count == 0)
		tui_put(line, 1, tui_color(PAINT_DIM), "%s", list->empty);
	for (size_t i = tui->first; i < list->count && line < end; i++) {
		row_draw(tui, list, i, line);
		bar_draw(tui, list->share(tui, i), line++);
	}
}

void tui_rate_text(double rate_bps, char *buffer, size_t size)
{
	char text[TEXT_SIZE];

	if (rate_bps > 0)
		snprintf(buffer, size, "%s", text_count(rate_bps, text));
	else
		snprintf(buffer, size, "-");
}
