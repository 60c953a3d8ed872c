/* The screen: the terminal, the keys. */
#include "cli/tui.h"

#include <ctype.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/endpoint.h"
#include "cli/tui_private.h"

#define KEY_ESCAPE 27
#define PAGE       10

static const struct {
	short foreground, background;
	attr_t attribute; /* beside the colour */
	attr_t plain;     /* without colours */
} colors[PAINT_USED] = {
	[PAINT_PLAIN] = {-1, -1, A_NORMAL, A_NORMAL},
	[PAINT_TITLE] = {COLOR_CYAN, -1, A_BOLD, A_BOLD},
	[PAINT_HEAD] = {COLOR_BLACK, COLOR_CYAN, A_NORMAL, A_REVERSE},
	[PAINT_GOOD] = {COLOR_GREEN, -1, A_NORMAL, A_NORMAL},
	[PAINT_BAD] = {COLOR_RED, -1, A_BOLD, A_BOLD},
	[PAINT_DIM] = {COLOR_BLUE, -1, A_BOLD, A_DIM},
	[PAINT_RATE] = {COLOR_YELLOW, -1, A_NORMAL, A_NORMAL},
};

attr_t tui_color(enum tui_paint color)
{
	if (!has_colors())
		return colors[color].plain;
	return (attr_t)COLOR_PAIR(color) | colors[color].attribute;
}

static void colors_begin(struct tui *tui)
{
	const char *none = getenv("NO_COLOR");

	if (!has_colors() || (none && *none))
		return;
	start_color();
	use_default_colors();
	for (int i = 1; i < PAINT_USED; i++)
		init_pair((short)i, colors[i].foreground, colors[i].background);
	if (COLORS < 256)
		return;
	/* Greys that terminals of 256 colours have at fixed places. */
	init_pair(PAINT_DIM, 245, -1);
	init_pair(PAINT_HEAD, 231, 24);
	for (int i = 0; i < PAINT_USED; i++) {
		short foreground = -1, background;

		if (i != PAINT_PLAIN)
			pair_content((short)i, &foreground, &background);
		init_pair((short)(PAINT_USED + i), foreground, 237);
	}
	tui->bars = COLOR_PAIRS > 2 * PAINT_USED;
}

struct tui *tui_open(void)
{
	struct tui *tui = calloc(1, sizeof *tui);
	const char *term = getenv("TERM");

	if (!tui || !term || strcmp(term, "dumb") == 0)
		goto free_tui;
	tui->screen = newterm(NULL, stdout, stdin);
	if (!tui->screen)
		goto free_tui;
	set_term(tui->screen);
	cbreak();
	noecho();
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	colors_begin(tui);
	tui->blocks = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	return tui;

free_tui:
	free(tui);
	return NULL;
}

void tui_close(struct tui *tui)
{
	if (!tui)
		return;
	endwin();
	delscreen(tui->screen);
	free(tui);
}

/* "tcp 192.0.2.1:443 ... eth0 vxlan" holds what was typed. */
static bool flow_wanted(void *context, const struct top_flow *flow)
{
	const struct tui *tui = context;
	char protocol[PROTOCOL_SIZE], from[ENDPOINT_SIZE], to[ENDPOINT_SIZE];
	char all[256];

	snprintf(all, sizeof all, "%s %s %s %s %s %s",
		 protocol_text(flow->tuple.protocol, protocol),
		 endpoint_text(&flow->tuple, 0, from),
		 endpoint_text(&flow->tuple, 1, to), flow->interface,
		 flow->tunnel < TUNNEL_COUNT && tunnel_words[flow->tunnel]
			 ? tunnel_words[flow->tunnel]
			 : "",
		 flow->state < FLOW_STATE_COUNT ? flow_state_words[flow->state]
						: "");
	return strcasestr(all, tui->filter) != NULL;
}

void tui_snapshot(struct tui *tui, const struct status *status,
		  const struct top *top)
{
	struct top_query query = {.sort = tui->sort,
				  .wanted = tui->filter[0] ? flow_wanted : NULL,
				  .context = tui};

	tui->status = *status;
	tui->flow_count = top_select(top, &query, tui->flows, TUI_ROWS_MAX);
	tui->host_count =
		tui->view == TUI_HOSTS
			? top_hosts(top, &query, tui->hosts, TUI_ROWS_MAX)
			: 0;
}

size_t tui_list_count(const struct tui *tui)
{
	const size_t counts[] = {
		[TUI_FLOWS] = tui->flow_count,
		[TUI_HOSTS] = tui->host_count,
		[TUI_INTERFACES] = tui->status.interface_count,
		[TUI_HELP] = 0,
	};

	return counts[tui->view];
}

void tui_update(struct tui *tui, const struct status *status,
		const struct top *top)
{
	if (!tui->paused)
		tui_snapshot(tui, status, top);
	tui_draw(tui);
}

/* ------------------------------------------------------------------ keys */

static void typing_key(struct tui *tui, int key)
{
	size_t size = strlen(tui->typed);

	if (key == '\n' || key == '\r' || key == KEY_ENTER) {
		memcpy(tui->filter, tui->typed, sizeof tui->filter);
		tui->typing = false;
		return;
	}
	if (key == KEY_ESCAPE) {
		tui->typing = false;
		return;
	}
	if (size > 0 && (key == KEY_BACKSPACE || key == 127 || key == '\b'))
		tui->typed[size - 1] = 0;
	if (key < 128 && isprint(key) && size + 1 < sizeof tui->typed) {
		tui->typed[size] = (char)key;
		tui->typed[size + 1] = 0;
	}
}

static void view_set(struct tui *tui, enum tui_view view)
{
	tui->view = tui->view == view ? TUI_FLOWS : view;
	tui->first = 0;
}

static void scroll_by(struct tui *tui, int rows)
{
	size_t count = tui_list_count(tui);

	if (rows < 0 && tui->first < (size_t)-rows)
		tui->first = 0;
	else
		tui->first += (size_t)rows;
	if (tui->first >= count)
		tui->first = count ? count - 1 : 0;
}

static void key_sort(struct tui *tui)
{
	tui->sort = (tui->sort + 1) % TOP_SORT_COUNT;
}

static void key_filter(struct tui *tui)
{
	memcpy(tui->typed, tui->filter, sizeof tui->typed);
	tui->typing = true;
}

static void key_pause(struct tui *tui)
{
	tui->paused = !tui->paused;
}

static void key_interfaces(struct tui *tui)
{
	view_set(tui, TUI_INTERFACES);
}

static void key_hosts(struct tui *tui)
{
	view_set(tui, TUI_HOSTS);
}

static void key_help(struct tui *tui)
{
	view_set(tui, TUI_HELP);
}

static void key_back(struct tui *tui)
{
	if (tui->view == TUI_FLOWS)
		tui->filter[0] = 0;
	tui->view = TUI_FLOWS;
	tui->first = 0;
}

static void key_down(struct tui *tui)
{
	scroll_by(tui, 1);
}

static void key_up(struct tui *tui)
{
	scroll_by(tui, -1);
}

static void key_page_down(struct tui *tui)
{
	scroll_by(tui, PAGE);
}

static void key_page_up(struct tui *tui)
{
	scroll_by(tui, -PAGE);
}

static void key_home(struct tui *tui)
{
	tui->first = 0;
}

static const struct {
	int key;
	void (*act)(struct tui *tui);
} keys[] = {
	{'s', key_sort},          {'f', key_filter},
	{'/', key_filter},        {'p', key_pause},
	{' ', key_pause},         {'i', key_interfaces},
	{'h', key_hosts},         {'?', key_help},
	{KEY_ESCAPE, key_back},   {'j', key_down},
	{KEY_DOWN, key_down},     {'k', key_up},
	{KEY_UP, key_up},         {KEY_NPAGE, key_page_down},
	{KEY_PPAGE, key_page_up}, {KEY_HOME, key_home},
	{'g', key_home},
};

bool tui_keys(struct tui *tui, const struct status *status,
	      const struct top *top)
{
	bool changed = false;
	int key;

	while ((key = getch()) != ERR) {
		changed = true;
		if (tui->typing) {
			typing_key(tui, key);
			continue;
		}
		if (key == 'q' || key == 'Q')
			return false;
		for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
			if (keys[i].key == key)
				keys[i].act(tui);
		}
	}
	if (changed)
		tui_update(tui, status, top);
	return true;
}
