/* What the files of the screen share.
 *
 * Threads: the process's first.
 */
#ifndef CLI_TUI_PRIVATE_H
#define CLI_TUI_PRIVATE_H

#include <ncurses.h>

#include "cli/tui.h"

#define TUI_ROWS_MAX    512
#define TUI_FILTER_SIZE 64

enum tui_view { TUI_FLOWS, TUI_HOSTS, TUI_INTERFACES, TUI_HELP };

enum tui_paint {
	PAINT_PLAIN,
	PAINT_TITLE,
	PAINT_HEAD,
	PAINT_GOOD,
	PAINT_BAD,
	PAINT_DIM,
	PAINT_RATE,
	PAINT_USED /* and from here on the same on a bar */
};

struct tui {
	SCREEN *screen;
	enum tui_view view;
	enum top_sort sort;
	bool paused;
	bool typing; /* the filter is being typed */
	bool bars;   /* colours are enough for them */
	bool blocks; /* the terminal shows block characters */
	char filter[TUI_FILTER_SIZE];
	char typed[TUI_FILTER_SIZE];
	size_t first; /* row of the list that is shown first */

	/* What is shown, so that a pause holds it still. */
	struct status status;
	struct top_flow flows[TUI_ROWS_MAX];
	size_t flow_count;
	struct top_host hosts[TUI_ROWS_MAX];
	size_t host_count;
};

/* The attribute of a colour, or its stand-in without colours. */
attr_t tui_color(enum tui_paint color);

/* Text at a place, cut at the right edge; nothing outside the screen. */
void tui_put(int line, int column, attr_t attribute, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The views: each draws from line 'line' to before 'end'. */
void tui_flows_draw(const struct tui *tui, int line, int end);
void tui_hosts_draw(const struct tui *tui, int line, int end);
void tui_interfaces_draw(const struct tui *tui, int line, int end);
void tui_help_draw(const struct tui *tui, int line, int end);

/* What stands in a list's column; 'index' counts from the list's start. */
typedef void cell_text(const struct tui *tui, size_t index, char *buffer,
		       size_t size);

struct column {
	const char *title;
	int width;   /* negative: to the right; 0: what is left over */
	int columns; /* shown from this width of the terminal on ... */
	int below;   /* ... and below this one; 0: on any wider */
	enum tui_paint color;
	cell_text *text;
};

struct list {
	const struct column *columns;
	size_t column_count;
	size_t count;
	double (*share)(const struct tui *tui, size_t index); /* 0 to 1 */
	const char *empty; /* said where there is no row */
};

/* Whether the terminal is as wide as the column wants it. */
static inline bool column_shown(const struct column *column)
{
	return COLS >= column->columns &&
	       (column->below == 0 || COLS < column->below);
}

/* Draws a list from its row tui->first on. */
void tui_list_draw(const struct tui *tui, const struct list *list, int line,
		   int end);

/* "12.3M", or "-" for nothing. */
void tui_rate_text(double rate, char *buffer, size_t size);

/* The lines above the views; returns how many it took. */
int tui_header_draw(const struct tui *tui);

/* The whole screen. */
void tui_draw(const struct tui *tui);

/* Takes a new copy of what there is. */
void tui_snapshot(struct tui *tui, const struct status *status,
		  const struct top *top);

/* How many rows the list of the current view has. */
size_t tui_list_count(const struct tui *tui);

#endif
