/* The live view of 'sonde watch': keys, and where they lead. */
#include "cli/watch_screen.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_ESCAPE 27
#define PAGE       10

struct watch_screen *watch_screen_open(const struct watch_cli_options *options)
{
	struct watch_screen *screen = calloc(1, sizeof *screen);

	if (!screen)
		return NULL;
	screen->tui = tui_open();
	if (!screen->tui) {
		free(screen);
		return NULL;
	}
	screen->view = screen->before = SCREEN_PROCESSES;
	screen->sort = options->sort == WATCH_SORT_BYTES
			       ? WATCH_SORT_RATE
			       : (enum watch_sort)options->sort;
	screen->asked_ns = options->duration_ns;
	if (gethostname(screen->host, sizeof screen->host - 1) < 0)
		(void)snprintf(screen->host, sizeof screen->host, "localhost");
	return screen;
}

void watch_screen_close(struct watch_screen *screen)
{
	if (!screen)
		return;
	tui_close(screen->tui);
	free(screen);
}

void watch_screen_update(struct watch_screen *screen, struct watch_run *run)
{
	if (!screen->paused)
		screen_take(screen, run);
	screen_draw(screen);
}

/* ------------------------------------------------------------------ moves */

static void view_set(struct watch_screen *screen, enum screen_view view)
{
	screen->view = view;
	screen->cursor = screen->first = 0;
}

static void cursor_by(struct watch_screen *screen, long rows)
{
	size_t last = screen->count ? screen->count - 1 : 0;

	if (rows < 0 && screen->cursor < (size_t)-rows)
		screen->cursor = 0;
	else
		screen->cursor += (size_t)rows;
	if (screen->cursor > last)
		screen->cursor = last;
}

static void container_enter(struct watch_screen *screen)
{
	const struct screen_container *row =
		&screen->containers[screen->cursor];

	screen->in_container = true;
	memcpy(screen->container_id, row->id, sizeof screen->container_id);
	memcpy(screen->container_name, row->name,
	       sizeof screen->container_name);
	view_set(screen, SCREEN_PROCESSES);
}

static void process_enter(struct watch_screen *screen)
{
	const struct screen_process *row = &screen->processes[screen->cursor];

	if (row->others)
		return;
	screen->in_process = true;
	screen->process = row->key;
	(void)snprintf(screen->process_name, sizeof screen->process_name,
		       "%s (%u)", row->comm[0] ? row->comm : "?", row->key.pid);
	view_set(screen, SCREEN_SOCKETS);
}

static void key_enter(struct watch_screen *screen)
{
	if (screen->cursor >= screen->count)
		return;
	if (screen->view == SCREEN_CONTAINERS) {
		container_enter(screen);
	} else if (screen->view == SCREEN_PROCESSES) {
		process_enter(screen);
	} else if (screen->view == SCREEN_SOCKETS) {
		screen->socket = screen->lines[screen->cursor].kernel.id;
		screen->has_detail = false;
		screen->view = SCREEN_SOCKET;
	}
}

/* One level up; at the top the filter goes. */
static void key_back(struct watch_screen *screen)
{
	if (screen->view == SCREEN_HELP || screen->view == SCREEN_LEDGER) {
		screen->view = screen->before;
	} else if (screen->view == SCREEN_SOCKET) {
		screen->view = SCREEN_SOCKETS;
	} else if (screen->filter[0]) {
		screen->filter[0] = 0;
	} else if (screen->view == SCREEN_SOCKETS) {
		screen->in_process = false;
		view_set(screen, SCREEN_PROCESSES);
	} else if (screen->view == SCREEN_PROCESSES) {
		bool came = screen->in_container;

		screen->in_container = false;
		view_set(screen, came ? SCREEN_CONTAINERS : SCREEN_PROCESSES);
	}
}

/* All of them, wherever the user is. */
static void all_show(struct watch_screen *screen, enum screen_view view)
{
	screen->in_container = screen->in_process = false;
	view_set(screen, view);
}

static void key_containers(struct watch_screen *screen)
{
	all_show(screen, SCREEN_CONTAINERS);
}

static void key_processes(struct watch_screen *screen)
{
	all_show(screen, SCREEN_PROCESSES);
}

static void key_sockets(struct watch_screen *screen)
{
	all_show(screen, SCREEN_SOCKETS);
}

static void aside(struct watch_screen *screen, enum screen_view view)
{
	if (screen->view == view) {
		screen->view = screen->before;
		return;
	}
	if (screen->view < SCREEN_LEDGER)
		screen->before = screen->view;
	screen->view = view;
}

static void key_help(struct watch_screen *screen)
{
	aside(screen, SCREEN_HELP);
}

static void key_ledger(struct watch_screen *screen)
{
	aside(screen, SCREEN_LEDGER);
}

static void key_sort(struct watch_screen *screen)
{
	screen->sort = (screen->sort + 1) % WATCH_SORT_COUNT;
	screen->cursor = screen->first = 0;
}

static void key_filter(struct watch_screen *screen)
{
	memcpy(screen->typed, screen->filter, sizeof screen->typed);
	screen->typing = true;
}

static void key_pause(struct watch_screen *screen)
{
	screen->paused = !screen->paused;
}

static void key_down(struct watch_screen *screen)
{
	cursor_by(screen, 1);
}

static void key_up(struct watch_screen *screen)
{
	cursor_by(screen, -1);
}

static void key_page_down(struct watch_screen *screen)
{
	cursor_by(screen, PAGE);
}

static void key_page_up(struct watch_screen *screen)
{
	cursor_by(screen, -PAGE);
}

static void key_home(struct watch_screen *screen)
{
	screen->cursor = 0;
}

static void key_end(struct watch_screen *screen)
{
	cursor_by(screen, SCREEN_ROWS_MAX);
}

static const struct {
	int key;
	void (*act)(struct watch_screen *screen);
} keys[] = {
	{'\n', key_enter},        {'\r', key_enter},
	{KEY_ENTER, key_enter},   {KEY_RIGHT, key_enter},
	{KEY_ESCAPE, key_back},   {KEY_BACKSPACE, key_back},
	{127, key_back},          {'\b', key_back},
	{KEY_LEFT, key_back},     {'c', key_containers},
	{'p', key_processes},     {'n', key_sockets},
	{'?', key_help},          {'h', key_help},
	{'l', key_ledger},        {'s', key_sort},
	{'f', key_filter},        {'/', key_filter},
	{' ', key_pause},         {'j', key_down},
	{KEY_DOWN, key_down},     {'k', key_up},
	{KEY_UP, key_up},         {KEY_NPAGE, key_page_down},
	{KEY_PPAGE, key_page_up}, {KEY_HOME, key_home},
	{'g', key_home},          {KEY_END, key_end},
	{'G', key_end},
};

static void typing_key(struct watch_screen *screen, int key)
{
	size_t size = strlen(screen->typed);

	if (key == '\n' || key == '\r' || key == KEY_ENTER) {
		memcpy(screen->filter, screen->typed, sizeof screen->filter);
		screen->typing = false;
		screen->cursor = screen->first = 0;
	} else if (key == KEY_ESCAPE) {
		screen->typing = false;
	} else if (size > 0 &&
		   (key == KEY_BACKSPACE || key == 127 || key == '\b')) {
		screen->typed[size - 1] = 0;
	} else if (key > 0 && key < 128 && isprint(key) &&
		   size + 1 < sizeof screen->typed) {
		screen->typed[size] = (char)key;
		screen->typed[size + 1] = 0;
	}
}

static void key_act(struct watch_screen *screen, int key)
{
	if (screen->typing) {
		typing_key(screen, key);
		return;
	}
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		if (keys[i].key == key)
			keys[i].act(screen);
	}
}

/* A list that the user goes to while it is paused is one of now. */
bool watch_screen_keys(struct watch_screen *screen, struct watch_run *run)
{
	bool changed = false;
	int key;

	while ((key = getch()) != ERR) {
		enum screen_view view = screen->view;

		if (!screen->typing && (key == 'q' || key == 'Q'))
			return false;
		key_act(screen, key);
		changed = true;
		if (view != screen->view || !screen->paused)
			screen_take(screen, run);
	}
	if (changed)
		screen_draw(screen);
	return true;
}
