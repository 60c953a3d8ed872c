/* The screen: the lines above and below the lists. */
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "cli/tui_private.h"

#define CURVE_LINES_MIN 22 /* terminals lower than this show no curve */
#define LINE_SIZE       512

void tui_put(int line, int column, attr_t attribute, const char *format, ...)
{
	char text[LINE_SIZE];
	va_list arguments;

	if (line < 0 || line >= LINES || column < 0 || column >= COLS)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	attrset(attribute);
	mvaddnstr(line, column, text, COLS - column);
	attrset(A_NORMAL);
}

/* The line's background from edge to edge. */
static void line_fill(int line, attr_t attribute)
{
	attrset(attribute);
	mvhline(line, 0, ' ', COLS);
	attrset(A_NORMAL);
}

static void title_draw(const struct tui *tui)
{
	const struct status *status = &tui->status;
	char left[LINE_SIZE], right[64], age[TEXT_SIZE], clock[16];
	time_t now = time(NULL);
	struct tm local;
	int size;

	strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &local));
	size = snprintf(
		right, sizeof right, "up %s  %s ",
		text_age(mono_ns_between(status->started, status->now), age),
		clock);
	line_fill(0, tui_color(PAINT_HEAD));
	snprintf(left, sizeof left, " sonde %s  %s  on %s%s", SONDE_VERSION,
		 status->probe, status->targets,
		 tui->paused ? "  [paused]" : "");
	tui_put(0, 0, tui_color(PAINT_HEAD), "%s", left);
	if (COLS - size > (int)strlen(left))
		tui_put(0, COLS - size, tui_color(PAINT_HEAD), "%s", right);
}

/* A word and its value; returns the column behind. */
static int item_draw(int line, int column, enum tui_paint color,
		     const char *value, const char *word)
{
	tui_put(line, column, tui_color(color), "%s", value);
	column += (int)strlen(value) + 1;
	tui_put(line, column, tui_color(PAINT_DIM), "%s", word);
	return column + (int)strlen(word) + 3;
}

static void totals_draw(const struct tui *tui)
{
	const struct status *status = &tui->status;
	const struct engine_ledger *ledger = &status->ledger;
	uint64_t dropped = ledger->capture.dropped_kernel +
			   ledger->capture.dropped_interface;
	char text[TEXT_SIZE], store[300];
	int column = 1;

	column = item_draw(1, column, PAINT_RATE,
			   text_rate_bits(status->rate_bps, text), "");
	column = item_draw(1, column - 1, PAINT_RATE,
			   text_count(status->rate_pps, text), "packets/s");
	column = item_draw(1, column, PAINT_PLAIN,
			   text_thousands(ledger->live, text), "flows");
	column = item_draw(1, column, dropped ? PAINT_BAD : PAINT_GOOD,
			   text_thousands(dropped, text), "dropped");
	if (status->untracked)
		column = item_draw(1, column, PAINT_BAD,
				   text_thousands(status->untracked, text),
				   "reports not ranked");
	status_store_text(status, store, sizeof store);
	tui_put(1, column,
		tui_color(status->store_behind ? PAINT_BAD : PAINT_PLAIN), "%s",
		store);
}

/* Eighths of a block, or letters that rise. */
static const char *curve_glyph(const struct tui *tui, double part)
{
	static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄",
					     "▅", "▆", "▇", "█"};
	static const char *const plain[] = {" ", ".", ".", ":", ":",
					    "-", "=", "+", "#"};
	int level = part <= 0 ? 0 : (int)(part * 8 + 0.5);

	if (part > 0 && level == 0)
		level = 1;
	if (level > 8)
		level = 8;
	return tui->blocks ? blocks[level] : plain[level];
}

/* The rate of the last minutes, two lines high, the newest at the right. */
static void curve_draw(const struct tui *tui, int line)
{
	const struct status *status = &tui->status;
	uint64_t count = status->history_count;
	int label = 22, width = COLS - label - 1;
	double peak = 1;
	char text[TEXT_SIZE];

	if (width > STATUS_HISTORY_COUNT)
		width = STATUS_HISTORY_COUNT;
	if ((uint64_t)(width > 0 ? width : 0) < count)
		count = (uint64_t)width;
	for (uint64_t i = 1; i <= count; i++) {
		double rate = status->history_bps[(status->history_count - i) %
						  STATUS_HISTORY_COUNT];

		peak = rate > peak ? rate : peak;
	}
	for (uint64_t i = 1; i <= count; i++) {
		double part = status->history_bps[(status->history_count - i) %
						  STATUS_HISTORY_COUNT] /
			      peak * 2;
		int column = label + width - (int)i;

		tui_put(line, column, tui_color(PAINT_GOOD), "%s",
			curve_glyph(tui, part - 1));
		tui_put(line + 1, column, tui_color(PAINT_GOOD), "%s",
			curve_glyph(tui, part > 1 ? 1 : part));
	}
	tui_put(line, 1, tui_color(PAINT_DIM), "peak %s",
		text_rate_bits(peak > 1 ? peak : 0, text));
	tui_put(line + 1, 1, tui_color(PAINT_DIM), "over %s",
		text_age((int64_t)count * NS_PER_S, text));
}

static double interface_rate(const struct status_interface *interface)
{
	return interface->rx_bps + interface->tx_bps;
}

/* The next busiest one after those that were drawn. */
static int busiest(const struct status *status, uint64_t drawn)
{
	int best = -1;

	for (size_t i = 0; i < status->interface_count; i++) {
		if ((drawn >> i & 1) || !status->interfaces[i].info.up)
			continue;
		if (best < 0 ||
		    interface_rate(&status->interfaces[i]) >
			    interface_rate(&status->interfaces[best]))
			best = (int)i;
	}
	return best;
}

/* As many interfaces as fit on a line, the busiest first. */
static void interfaces_line_draw(const struct tui *tui, int line)
{
	const struct status *status = &tui->status;
	const char *in = tui->blocks ? "↓" : "in",
		   *out = tui->blocks ? "↑" : "out";
	uint64_t drawn = 0;
	int column = 1, best;

	while ((best = busiest(status, drawn)) >= 0 && column + 36 < COLS) {
		const struct status_interface *interface =
			&status->interfaces[best];
		char rx[TEXT_SIZE], tx[TEXT_SIZE], text[128];

		drawn |= UINT64_C(1) << best;
		tui_put(line, column, tui_color(PAINT_TITLE), "%s",
			interface->info.name);
		column += (int)strlen(interface->info.name) + 1;
		snprintf(text, sizeof text, "%s %-11s %s %-11s", in,
			 text_rate_bits(interface->rx_bps, rx), out,
			 text_rate_bits(interface->tx_bps, tx));
		tui_put(line, column, A_NORMAL, "%s", text);
		column += 28 + (tui->blocks ? 2 : 5);
	}
}

int tui_header_draw(const struct tui *tui)
{
	int line = 2;

	title_draw(tui);
	if (LINES > 2)
		totals_draw(tui);
	if (LINES > 8)
		interfaces_line_draw(tui, line++);
	if (LINES >= CURVE_LINES_MIN) {
		curve_draw(tui, line);
		line += 2;
	}
	return line;
}

static void footer_draw(const struct tui *tui, int line)
{
	static const char keys[] = " q quit  s sort  f filter  p pause  "
				   "h hosts  i interfaces  ? help";
	char right[160];
	int size;

	line_fill(line, tui_color(PAINT_HEAD));
	if (tui->typing) {
		tui_put(line, 0, tui_color(PAINT_HEAD),
			" filter: %s_   (Enter sets it, Esc leaves it)",
			tui->typed);
		return;
	}
	tui_put(line, 0, tui_color(PAINT_HEAD), "%s", keys);
	size = snprintf(right, sizeof right, "%s%s%s  by %s ",
			tui->filter[0] ? "filter '" : "", tui->filter,
			tui->filter[0] ? "'" : "", top_sort_words[tui->sort]);
	if (tui->filter[0] || COLS - size > (int)sizeof keys)
		tui_put(line, COLS - size, tui_color(PAINT_HEAD), "%s", right);
}

void tui_draw(const struct tui *tui)
{
	static void (*const views[])(const struct tui *tui, int line,
				     int end) = {
		[TUI_FLOWS] = tui_flows_draw,
		[TUI_HOSTS] = tui_hosts_draw,
		[TUI_INTERFACES] = tui_interfaces_draw,
		[TUI_HELP] = tui_help_draw,
	};
	int line;

	erase();
	line = tui_header_draw(tui);
	if (LINES > 5)
		views[tui->view](tui, line, LINES - 1);
	if (LINES > 5 && tui->status.notice.text[0])
		tui_put(LINES - 2, 1, tui_color(PAINT_BAD), "%-*s", COLS,
			tui->status.notice.text);
	if (LINES > 3)
		footer_draw(tui, LINES - 1);
	refresh();
}
