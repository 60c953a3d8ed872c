/* The live view of 'sonde watch': drawing. */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "cli/endpoint.h"
#include "cli/watch_screen.h"

#define CELL_SIZE  320
#define HEAD_LINES 4
#define CURVE_FROM 46

typedef void cell_fill(const struct watch_screen *screen, size_t row,
		       char *buffer, size_t size);

struct cells {
	const char *title;
	int width;   /* below zero: to the right; 0: what is left over */
	int columns; /* shown from this width of the terminal on */
	enum tui_paint color;
	cell_fill *fill;
};

static void rate_put(double rate, char *buffer, size_t size)
{
	char text[TEXT_SIZE];

	/* Bytes a second: as everything here counts bytes. */
	(void)snprintf(buffer, size, "%s",
		       rate > 0 ? text_count(rate, text) : "-");
}

static void bytes_put(uint64_t bytes, char *buffer, size_t size)
{
	char text[TEXT_SIZE];

	(void)snprintf(buffer, size, "%s",
		       bytes ? text_bytes((double)bytes, text) : "-");
}

static void count_put(uint64_t count, char *buffer, size_t size)
{
	char text[TEXT_SIZE];

	(void)snprintf(buffer, size, "%s",
		       count ? text_count((double)count, text) : "-");
}

/* One function a cell: what is behind a row's name is given. */
#define CELL(name, statement)                                           \
	static void name(const struct watch_screen *screen, size_t row, \
			 char *buffer, size_t size)                     \
	{                                                               \
		statement;                                              \
	}
#define CONTAINER (&screen->containers[row])
#define PROCESS   (&screen->processes[row])
#define LINE      (&screen->lines[row])

CELL(container_name, snprintf(buffer, size, "%s", CONTAINER->name))
CELL(container_runtime, snprintf(buffer, size, "%s", CONTAINER->runtime))
CELL(container_id, snprintf(buffer, size, "%.12s", CONTAINER->id))
CELL(container_image, snprintf(buffer, size, "%s", CONTAINER->image))
CELL(container_processes, count_put(CONTAINER->processes, buffer, size))
CELL(container_connections, count_put(CONTAINER->connections, buffer, size))
CELL(container_resent, count_put(CONTAINER->retransmits, buffer, size))
CELL(container_tx_rate, rate_put(CONTAINER->tx_bps, buffer, size))
CELL(container_rx_rate, rate_put(CONTAINER->rx_bps, buffer, size))
CELL(container_tx, bytes_put(CONTAINER->traffic.tx_bytes, buffer, size))
CELL(container_rx, bytes_put(CONTAINER->traffic.rx_bytes, buffer, size))

static const struct cells container_cells[] = {
	{"CONTAINER", 22, 0, PAINT_PLAIN, container_name},
	{"RUNTIME", 10, 60, PAINT_DIM, container_runtime},
	{"TX B/s", -6, 0, PAINT_RATE, container_tx_rate},
	{"RX B/s", -6, 0, PAINT_GOOD, container_rx_rate},
	{"SENT", -8, 50, PAINT_PLAIN, container_tx},
	{"RECEIVED", -8, 50, PAINT_PLAIN, container_rx},
	{"PROCS", -5, 76, PAINT_DIM, container_processes},
	{"CONNS", -5, 84, PAINT_DIM, container_connections},
	{"RESENT", -6, 92, PAINT_BAD, container_resent},
	{"ID", 12, 106, PAINT_DIM, container_id},
	{"IMAGE", 0, 120, PAINT_DIM, container_image},
};

CELL(process_pid,
     snprintf(buffer, size, PROCESS->others ? "-" : "%u", PROCESS->key.pid))
CELL(process_comm, snprintf(buffer, size, "%s%s",
			    PROCESS->others    ? "(others)"
			    : PROCESS->comm[0] ? PROCESS->comm
					       : "?",
			    PROCESS->ended ? " +" : ""))
CELL(process_user, snprintf(buffer, size, "%s", PROCESS->user))
CELL(process_container, snprintf(buffer, size, "%s", PROCESS->container))
CELL(process_command, snprintf(buffer, size, "%s", PROCESS->command))
CELL(process_connections, count_put(PROCESS->connections, buffer, size))
CELL(process_established, count_put(PROCESS->established, buffer, size))
CELL(process_failed, count_put(PROCESS->failed, buffer, size))
CELL(process_resent, count_put(PROCESS->retransmits, buffer, size))
CELL(process_tx_rate, rate_put(PROCESS->tx_bps, buffer, size))
CELL(process_rx_rate, rate_put(PROCESS->rx_bps, buffer, size))
CELL(process_tx, bytes_put(PROCESS->traffic.tx_bytes, buffer, size))
CELL(process_rx, bytes_put(PROCESS->traffic.rx_bytes, buffer, size))

static const struct cells process_cells[] = {
	{"PID", -7, 0, PAINT_DIM, process_pid},
	{"PROCESS", 17, 0, PAINT_PLAIN, process_comm},
	{"USER", 8, 110, PAINT_DIM, process_user},
	{"CONTAINER", 16, 96, PAINT_TITLE, process_container},
	{"TX B/s", -6, 0, PAINT_RATE, process_tx_rate},
	{"RX B/s", -6, 0, PAINT_GOOD, process_rx_rate},
	{"SENT", -8, 58, PAINT_PLAIN, process_tx},
	{"RECEIVED", -8, 58, PAINT_PLAIN, process_rx},
	{"CONNS", -5, 66, PAINT_DIM, process_connections},
	{"OPEN", -5, 72, PAINT_DIM, process_established},
	{"FAILED", -6, 80, PAINT_BAD, process_failed},
	{"RESENT", -6, 88, PAINT_BAD, process_resent},
	{"COMMAND", 0, 120, PAINT_DIM, process_command},
};

static void line_local(const struct watch_screen *screen, size_t row,
		       char *buffer, size_t size)
{
	char text[WATCH_ENDPOINT_SIZE];

	(void)snprintf(buffer, size, "%s",
		       watch_endpoint(&LINE->kernel, false, text));
}

static void line_peer(const struct watch_screen *screen, size_t row,
		      char *buffer, size_t size)
{
	char text[WATCH_ENDPOINT_SIZE];

	(void)snprintf(buffer, size, "%s",
		       watch_endpoint(&LINE->kernel, true, text));
}

static void line_state(const struct watch_screen *screen, size_t row,
		       char *buffer, size_t size)
{
	const char *word = LINE->kernel.kind == KERNEL_CLASS_TCP
				   ? watch_state_word(LINE->kernel.state)
				   : "";

	(void)snprintf(buffer, size, "%s", word ? word : "");
}

static void line_rtt(const struct watch_screen *screen, size_t row,
		     char *buffer, size_t size)
{
	const struct kernel_tcp *tcp = &LINE->kernel.tcp;

	if (LINE->kernel.has_tcp && tcp->srtt_us > 0)
		(void)snprintf(buffer, size, "%.2f", tcp->srtt_us / 1000.0);
	else
		(void)snprintf(buffer, size, "-");
}

CELL(line_class,
     snprintf(buffer, size, "%s", kernel_class_name(LINE->kernel.kind)))
CELL(line_owner, snprintf(buffer, size, "%u %s", LINE->owner.pid, LINE->comm))
CELL(line_container, snprintf(buffer, size, "%s", LINE->container))
CELL(line_resent, count_put(LINE->kernel.retransmits, buffer, size))
CELL(line_tx_rate, rate_put(LINE->tx_bps, buffer, size))
CELL(line_rx_rate, rate_put(LINE->rx_bps, buffer, size))
CELL(line_tx, bytes_put(LINE->traffic.tx_bytes, buffer, size))
CELL(line_rx, bytes_put(LINE->traffic.rx_bytes + LINE->kernel.rx_other_bytes,
			buffer, size))

static const struct cells line_cells[] = {
	{"CLASS", 6, 0, PAINT_DIM, line_class},
	{"LOCAL", 0, 0, PAINT_PLAIN, line_local},
	{"PEER", 0, 0, PAINT_PLAIN, line_peer},
	{"STATE", 11, 100, PAINT_DIM, line_state},
	{"TX B/s", -6, 0, PAINT_RATE, line_tx_rate},
	{"RX B/s", -6, 0, PAINT_GOOD, line_rx_rate},
	{"SENT", -8, 80, PAINT_PLAIN, line_tx},
	{"RECEIVED", -8, 80, PAINT_PLAIN, line_rx},
	{"RTT ms", -7, 110, PAINT_PLAIN, line_rtt},
	{"RESENT", -6, 118, PAINT_BAD, line_resent},
	{"OWNER", 18, 64, PAINT_TITLE, line_owner},
	{"CONTAINER", 14, 150, PAINT_DIM, line_container},
};

/* ------------------------------------------------------------------- list */

static int width_of(const struct cells *cells, size_t count,
		    const struct cells *cell)
{
	int left = COLS - 1, sharing = 0;

	if (cell->width != 0)
		return cell->width < 0 ? -cell->width : cell->width;
	for (size_t i = 0; i < count; i++) {
		if (COLS < cells[i].columns)
			continue;
		left -= (cells[i].width < 0 ? -cells[i].width
					    : cells[i].width) +
			1;
		sharing += cells[i].width == 0;
	}
	left = sharing ? left / sharing : 0;
	return left < 9 ? 9 : left > 200 ? 200 : left;
}

/* Row 'row', or the titles where 'screen' is NULL. */
static void row_draw(const struct watch_screen *screen,
		     const struct cells *cells, size_t count, size_t row,
		     int line)
{
	bool chosen = screen && row == screen->cursor;
	int at = 1;

	for (size_t i = 0; i < count; i++) {
		int width = width_of(cells, count, &cells[i]);
		char text[CELL_SIZE] = "", fitted[CELL_SIZE];
		attr_t attribute =
			screen ? tui_color(cells[i].color)
			       : tui_color(PAINT_TITLE) | A_UNDERLINE;

		if (COLS < cells[i].columns)
			continue;
		if (screen)
			cells[i].fill(screen, row, text, sizeof text);
		else
			(void)snprintf(text, sizeof text, "%s", cells[i].title);
		if (cells[i].width < 0)
			(void)snprintf(fitted, sizeof fitted, "%*.*s", width,
				       width, text);
		else if (cells[i].width == 0 && i + 1 == count)
			/* A command: what does not fit is its end. */
			(void)snprintf(fitted, sizeof fitted, "%-*.*s", width,
				       width, text);
		else
			fit_text(text, (size_t)width, fitted, sizeof fitted);
		tui_put(line, at, chosen ? A_REVERSE : attribute, "%s%s",
			fitted, chosen ? " " : "");
		at += width + 1;
	}
}

static const char *nothing(const struct watch_screen *screen)
{
	if (screen->filter[0])
		return "nothing matches the filter; Esc clears it";
	if (screen->counters.turns == 0)
		return "the first reading comes after a second";
	return "no bytes moved yet";
}

static void list_draw(const struct watch_screen *screen,
		      const struct cells *cells, size_t count, int line,
		      int end)
{
	size_t room = end > line + 1 ? (size_t)(end - line - 1) : 0;
	size_t first = screen->first;

	row_draw(NULL, cells, count, 0, line++);
	if (screen->count == 0)
		tui_put(line, 1, tui_color(PAINT_DIM), "%s", nothing(screen));
	if (screen->cursor < first)
		first = screen->cursor;
	if (room > 0 && screen->cursor >= first + room)
		first = screen->cursor - room + 1;
	for (size_t i = first; i < screen->count && line < end; i++)
		row_draw(screen, cells, count, i, line++);
	/* Where it begins is remembered, so that the list lies still. */
	((struct watch_screen *)screen)->first = first;
}

/* ------------------------------------------------------------- one socket */

static void fields_draw(const struct kernel_field *fields, size_t count,
			const void *record, int line, int end)
{
	int rows = end - line, at = 0;

	for (size_t i = 0; rows > 0 && i < count; i++) {
		int column = 1 + at / rows * 43;
		char text[TEXT_SIZE];

		if (column + 41 > COLS)
			return;
		tui_put(line + at % rows, column, tui_color(PAINT_DIM), "%-16s",
			fields[i].name);
		tui_put(line + at % rows, column + 18, A_NORMAL, "%s %s",
			text_thousands(kernel_field_get(&fields[i], record),
				       text),
			fields[i].unit);
		at++;
	}
}

static void detail_draw(const struct watch_screen *screen, int line, int end)
{
	const struct watch_line *detail = &screen->detail;
	const struct kernel_socket *kernel = &detail->kernel;
	char local[WATCH_ENDPOINT_SIZE], peer[WATCH_ENDPOINT_SIZE];
	char text[2][TEXT_SIZE];
	const char *state = watch_state_word(kernel->state);

	if (!screen->has_detail) {
		tui_put(line, 1, tui_color(PAINT_DIM), "it is gone");
		return;
	}
	tui_put(line++, 1, tui_color(PAINT_TITLE), "%s  %s > %s  %s%s",
		kernel_class_name(kernel->kind),
		watch_endpoint(kernel, false, local),
		watch_endpoint(kernel, true, peer),
		kernel->kind == KERNEL_CLASS_TCP && state ? state : "",
		detail->ended ? "  (ended)" : "");
	tui_put(line++, 1, A_NORMAL,
		"sent %s  received %s  resent %u  resets %u out %u in  netns "
		"%u",
		text_bytes((double)detail->traffic.tx_bytes, text[0]),
		text_bytes((double)(detail->traffic.rx_bytes +
				    kernel->rx_other_bytes),
			   text[1]),
		kernel->retransmits, kernel->resets_sent,
		kernel->resets_received, kernel->netns);
	for (int i = 0; i < kernel->owner_count && line < end; i++) {
		const struct kernel_owner *owner = &kernel->owners[i];

		tui_put(line++, 1, A_NORMAL, "by %u %s  sent %s  received %s",
			owner->key.pid, screen->detail_owners[i].comm,
			text_bytes((double)owner->traffic.tx_bytes, text[0]),
			text_bytes((double)owner->traffic.rx_bytes, text[1]));
	}
	line++;
	if (kernel->has_tcp)
		fields_draw(kernel_tcp_fields, kernel_tcp_field_count,
			    &kernel->tcp, line, end);
	else
		fields_draw(kernel_buffer_fields, kernel_buffer_field_count,
			    &kernel->buffers, line, end);
}

/* ------------------------------------------------------------ ledger, help */

static void ledger_draw(const struct watch_screen *screen, int line, int end)
{
	tui_put(line++, 1, tui_color(PAINT_TITLE), "%s",
		"what must be the same, over every reading (both sides move "
		"while they are read)");
	for (size_t i = 0; i < screen->ledger_count && line < end; i++) {
		const struct watch_identity *row = &screen->ledger[i];
		char text[2][TEXT_SIZE];
		bool sound = row->turns_failed == 0;

		tui_put(line, 1, tui_color(sound ? PAINT_GOOD : PAINT_BAD),
			"%s", sound ? "ok" : "NO");
		tui_put(line++, 4, A_NORMAL, "%-18s %20s %20s  %s", row->name,
			text_thousands(row->left, text[0]),
			text_thousands(row->right, text[1]), row->says);
	}
}

static void help_draw(const struct watch_screen *screen, int line, int end)
{
	static const char *const lines[] = {
		"c  containers     p  processes     n  connections and sockets",
		"Enter, right      into: container, process, connection",
		"Esc, left         back, one level; at a list, clears its "
		"filter",
		"up, down, j, k    choose a row; PgUp, PgDn, Home, End",
		"s                 sort by the next key: rate, connections, "
		"retransmits, ...",
		"/, f              filter: any text of a row, such as ssh, "
		":443, "
		"a pid",
		"space             hold still",
		"l                 the ledger",
		"q                 end, and print what was measured",
		"",
		"TX and RX are bytes a second of the last reading, of send and "
		"receive calls.",
		"SENT and RECEIVED are since the begin.  CONNS: opened and "
		"accepted.  RESENT:",
		"segments sent again.  'name +': it has ended.",
	};

	(void)screen;
	for (size_t i = 0; i < sizeof lines / sizeof *lines && line < end; i++)
		tui_put(line++, 2, A_NORMAL, "%s", lines[i]);
}

/* ------------------------------------------------------------ head and foot */

static void fill_line(int line)
{
	attrset(tui_color(PAINT_HEAD));
	mvhline(line, 0, ' ', COLS);
	attrset(A_NORMAL);
}

static void title_draw(const struct watch_screen *screen)
{
	char age[2][TEXT_SIZE], right[80];
	int size;

	if (screen->asked_ns > 0)
		size = snprintf(right, sizeof right, "%s of %s ",
				text_age(screen->elapsed_ns, age[0]),
				text_age(screen->asked_ns, age[1]));
	else
		size = snprintf(right, sizeof right, "%s ",
				text_age(screen->elapsed_ns, age[0]));
	fill_line(0);
	tui_put(0, 0, tui_color(PAINT_HEAD),
		" sonde watch  %s  intervals of %s%s", screen->host,
		text_duration_exact(screen->interval_ns, age[0]),
		screen->paused ? "  [held]" : "");
	tui_put(0, COLS - size, tui_color(PAINT_HEAD), "%s", right);
}

static void curve_draw(const struct watch_screen *screen, int line)
{
	static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄",
					     "▅", "▆", "▇", "█"};
	static const char plain[] = " .:-=+*##";
	int room = COLS - CURVE_FROM - 1;
	uint64_t count = screen->curve_count;
	double most = 1;

	if (room < 10)
		return;
	if (count > (uint64_t)room)
		count = (uint64_t)room;
	if (count > SCREEN_CURVE)
		count = SCREEN_CURVE;
	for (uint64_t i = 1; i <= count; i++) {
		double value =
			screen->curve[(screen->curve_count - i) % SCREEN_CURVE];

		most = value > most ? value : most;
	}
	for (uint64_t i = 1; i <= count; i++) {
		double value =
			screen->curve[(screen->curve_count - i) % SCREEN_CURVE];
		int level = (int)(value / most * 8 + 0.5);

		level = value > 0 && level == 0 ? 1 : level;
		if (screen->tui->blocks)
			tui_put(line, COLS - 1 - (int)i, tui_color(PAINT_GOOD),
				"%s", blocks[level]);
		else
			tui_put(line, COLS - 1 - (int)i, tui_color(PAINT_GOOD),
				"%c", plain[level]);
	}
}

static void totals_draw(const struct watch_screen *screen)
{
	char text[4][TEXT_SIZE];
	uint64_t damaged = screen->counters.intervals_damaged;
	char line[160];

	(void)snprintf(line, sizeof line, "tx %sB/s  rx %sB/s",
		       text_count(screen->tx_bps, text[0]),
		       text_count(screen->rx_bps, text[1]));
	tui_put(1, 1, tui_color(PAINT_RATE), "%s", line);
	curve_draw(screen, 1);
	(void)snprintf(line, sizeof line, "%s processes  %s sockets",
		       text_thousands(screen->counters.processes, text[2]),
		       text_thousands(screen->kernel.sockets, text[3]));
	tui_put(2, 1, tui_color(PAINT_DIM), "%s", line);
	tui_put(2, (int)strlen(line) + 3,
		tui_color(damaged ? PAINT_BAD : PAINT_GOOD),
		"%s of %s intervals damaged", text_thousands(damaged, text[0]),
		text_thousands(screen->counters.intervals, text[1]));
	if (COLS > 76)
		tui_put(2, COLS - 18,
			tui_color(screen->sound ? PAINT_GOOD : PAINT_BAD),
			"%17s",
			screen->sound ? "ledger holds" : "LEDGER: see l");
}

/* Where the user is. */
static void trail_draw(const struct watch_screen *screen)
{
	static const char *const names[] = {
		[SCREEN_CONTAINERS] = "containers",
		[SCREEN_PROCESSES] = "processes",
		[SCREEN_SOCKETS] = "connections",
		[SCREEN_SOCKET] = "connection",
		[SCREEN_LEDGER] = "ledger",
		[SCREEN_HELP] = "help",
	};
	char text[256];

	(void)snprintf(text, sizeof text, "%s%s%s%s%s",
		       screen->in_container ? screen->container_name : "",
		       screen->in_container ? " > " : "",
		       screen->in_process ? screen->process_name : "",
		       screen->in_process ? " > " : "", names[screen->view]);
	tui_put(3, 1, tui_color(PAINT_TITLE), "%s", text);
	if (screen->view < SCREEN_SOCKET && screen->all_count > screen->count)
		tui_put(3, (int)strlen(text) + 3, tui_color(PAINT_DIM),
			"first %zu of %zu", screen->count, screen->all_count);
}

static void foot_draw(const struct watch_screen *screen)
{
	static const char keys[] =
		" q quit  Enter into  Esc back  c p n lists  s sort  / filter  "
		"l ledger  ? help";
	char right[120];
	int line = LINES - 1, size;

	fill_line(line);
	if (screen->typing) {
		tui_put(line, 0, tui_color(PAINT_HEAD),
			" filter: %s_   (Enter sets it, Esc leaves it)",
			screen->typed);
		return;
	}
	tui_put(line, 0, tui_color(PAINT_HEAD), "%s", keys);
	size = snprintf(right, sizeof right, "%s%s%s  by %s ",
			screen->filter[0] ? "  filter '" : "", screen->filter,
			screen->filter[0] ? "'" : "",
			watch_sort_words[screen->sort]);
	if (screen->filter[0] || COLS - size >= (int)sizeof keys - 1)
		tui_put(line, COLS - size > 0 ? COLS - size : 0,
			tui_color(PAINT_HEAD), "%s", right);
}

#define DRAW(screen, cells, end) \
	list_draw(screen, cells, sizeof cells / sizeof *cells, HEAD_LINES, end)

void screen_draw(const struct watch_screen *screen)
{
	int end = LINES - 1;

	erase();
	title_draw(screen);
	totals_draw(screen);
	trail_draw(screen);
	switch (screen->view) {
	case SCREEN_CONTAINERS:
		DRAW(screen, container_cells, end);
		break;
	case SCREEN_PROCESSES:
		DRAW(screen, process_cells, end);
		break;
	case SCREEN_SOCKETS:
		DRAW(screen, line_cells, end);
		break;
	case SCREEN_SOCKET:
		detail_draw(screen, HEAD_LINES, end);
		break;
	case SCREEN_LEDGER:
		ledger_draw(screen, HEAD_LINES, end);
		break;
	case SCREEN_HELP:
		help_draw(screen, HEAD_LINES, end);
		break;
	}
	foot_draw(screen);
	refresh();
}
