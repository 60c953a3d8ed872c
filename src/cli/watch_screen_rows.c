/* The live view of 'sonde watch': what it shows, taken from the watch. */
#include <stdlib.h>
#include <string.h>

#include "cli/watch_screen.h"

static enum watch_sort rows_sort; /* for qsort() */

static bool wanted(const struct watch_screen *screen, const char *text)
{
	return !screen->filter[0] || strcasestr(text, screen->filter);
}

/* ------------------------------------------------------------- containers */

static void container_set(struct screen_container *row,
			  const struct watch_container *container)
{
	const char *runtime = owner_runtime_word(container->owner.runtime);

	*row = (struct screen_container){
		.traffic = container->traffic,
		.tx_bps = container->tx_bps,
		.rx_bps = container->rx_bps,
		.processes = container->processes,
		.connections = container->connections_active +
			       container->connections_passive,
		.retransmits = container->retransmits,
	};
	memcpy(row->id, container->owner.id, sizeof row->id);
	(void)snprintf(row->name, sizeof row->name, "%.47s",
		       watch_container_name(container));
	(void)snprintf(row->runtime, sizeof row->runtime, "%s",
		       runtime ? runtime : "");
	(void)snprintf(row->image, sizeof row->image, "%.127s",
		       container->owner.image);
}

/* Processes in none, as one row: the way down leads to everything. */
static void host_add(struct screen_container *row,
		     const struct watch_process *process)
{
	row->traffic.tx_bytes += process->traffic.tx_bytes;
	row->traffic.rx_bytes += process->traffic.rx_bytes;
	row->tx_bps += process->tx_bps;
	row->rx_bps += process->rx_bps;
	row->processes++;
	row->connections +=
		process->connections_active + process->connections_passive;
	row->retransmits += process->retransmits;
}

static int container_order(const void *a, const void *b)
{
	return watch_container_compare(*(const void *const *)a,
				       *(const void *const *)b, rows_sort);
}

static void containers_take(struct watch_screen *screen, struct watch *watch)
{
	size_t max = watch_container_count(watch), count = 0;
	const void **rows = calloc(max + 1, sizeof *rows);
	struct screen_container *host = &screen->containers[0];

	*host = (struct screen_container){.name = "(no container)"};
	for (size_t i = 0; i < watch_process_slots(watch); i++) {
		const struct watch_process *process =
			watch_process_at(watch, i);

		if (process && !process->container)
			host_add(host, process);
	}
	watch_containers_sum(watch);
	for (size_t i = 0; rows && i < max; i++) {
		const struct watch_container *container =
			watch_container_at(watch, i);
		char text[OWNER_ID_SIZE + OWNER_NAME_SIZE + OWNER_IMAGE_SIZE];

		(void)snprintf(text, sizeof text, "%s %s %s",
			       container->owner.id, container->owner.name,
			       container->owner.image);
		if (container->processes > 0 && wanted(screen, text))
			rows[count++] = container;
	}
	if (rows)
		qsort(rows, count, sizeof *rows, container_order);
	screen->all_count = count + 1;
	screen->count = 1;
	for (size_t i = 0; i < count && screen->count < SCREEN_ROWS_MAX; i++)
		container_set(&screen->containers[screen->count++], rows[i]);
	free(rows);
}

/* -------------------------------------------------------------- processes */

static void process_set(struct screen_process *row,
			const struct watch_process *process)
{
	const struct owner_process *owner = process->owner;

	*row = (struct screen_process){
		.key = process->key,
		.traffic = process->traffic,
		.tx_bps = process->tx_bps,
		.rx_bps = process->rx_bps,
		.sockets = process->sockets,
		.connections = process->connections_active +
			       process->connections_passive,
		.established = process->established,
		.failed = process->connections_failed,
		.retransmits = process->retransmits,
		.others = process->others,
		.ended = process->ended,
		.exact = process->exact,
	};
	memcpy(row->comm, process->comm, sizeof row->comm);
	(void)snprintf(row->container, sizeof row->container, "%.47s",
		       watch_container_name(process->container));
	if (!owner)
		return;
	(void)snprintf(row->user, sizeof row->user, "%.31s",
		       owner->user ? owner->user : "");
	(void)snprintf(row->command, sizeof row->command, "%.255s",
		       owner->command ? owner->command
		       : owner->exe   ? owner->exe
				      : "");
}

static bool process_here(const struct watch_screen *screen,
			 const struct watch_process *process)
{
	const struct owner_process *owner = process->owner;
	char text[1024];

	if (screen->in_container && !screen->container_id[0] &&
	    process->container)
		return false;
	if (screen->in_container && screen->container_id[0] &&
	    (!process->container ||
	     strcmp(process->container->owner.id, screen->container_id) != 0))
		return false;
	if (!screen->filter[0])
		return true;
	(void)snprintf(text, sizeof text, "%u %s %s %s %.700s",
		       process->key.pid, process->comm,
		       watch_container_name(process->container),
		       owner && owner->user ? owner->user : "",
		       owner && owner->command ? owner->command : "");
	return wanted(screen, text);
}

static int process_order(const void *a, const void *b)
{
	return watch_process_compare(*(const void *const *)a,
				     *(const void *const *)b, rows_sort);
}

static void processes_take(struct watch_screen *screen, struct watch *watch)
{
	size_t max = watch_process_slots(watch), count = 0;
	const void **rows = calloc(max + 1, sizeof *rows);

	for (size_t i = 0; rows && i < max; i++) {
		const struct watch_process *process =
			watch_process_at(watch, i);

		if (process && process_here(screen, process))
			rows[count++] = process;
	}
	if (rows)
		qsort(rows, count, sizeof *rows, process_order);
	screen->all_count = count;
	screen->count = count < SCREEN_ROWS_MAX ? count : SCREEN_ROWS_MAX;
	for (size_t i = 0; i < screen->count; i++)
		process_set(&screen->processes[i], rows[i]);
	free(rows);
}

/* ---------------------------------------------------------------- sockets */

static bool socket_of(const struct watch_screen *screen,
		      const struct watch_socket *socket)
{
	const struct kernel_process_key *key = &screen->process;
	bool mine = false;

	if (!screen->in_process)
		return true;
	for (int i = 0; i < socket->kernel->owner_count; i++)
		mine |= socket->owners[i].key.pid == key->pid &&
			socket->owners[i].key.start_ns == key->start_ns;
	return mine ||
	       (socket->creator.key.pid == key->pid &&
		socket->creator.key.start_ns == key->start_ns) ||
	       (socket->kernel->owner_count == 0 &&
		socket->listener.key.pid == key->pid &&
		socket->listener.key.start_ns == key->start_ns);
}

static bool line_wanted(const struct watch_screen *screen,
			const struct watch_line *line)
{
	char local[WATCH_ENDPOINT_SIZE], peer[WATCH_ENDPOINT_SIZE];
	const char *state = watch_state_word(line->kernel.state);
	char text[512];

	if (!screen->filter[0])
		return true;
	(void)snprintf(text, sizeof text, "%s %s %s %s %u %s %s",
		       kernel_class_name(line->kernel.kind),
		       watch_endpoint(&line->kernel, false, local),
		       watch_endpoint(&line->kernel, true, peer),
		       state ? state : "", line->owner.pid, line->comm,
		       line->container);
	return wanted(screen, text);
}

/* The first ones of the order; the last makes room. */
static void line_add(struct watch_screen *screen, const struct watch_line *line)
{
	size_t at = screen->count, low = 0;

	if (at == SCREEN_ROWS_MAX) {
		if (watch_line_compare(line, &screen->lines[at - 1],
				       screen->sort) >= 0)
			return;
		at--;
	}
	for (size_t high = at; low < high;) {
		size_t middle = (low + high) / 2;

		if (watch_line_compare(line, &screen->lines[middle],
				       screen->sort) < 0)
			high = middle;
		else
			low = middle + 1;
	}
	memmove(&screen->lines[low + 1], &screen->lines[low],
		(at - low) * sizeof *screen->lines);
	screen->lines[low] = *line;
	screen->count = at + 1;
}

static void sockets_take(struct watch_screen *screen, struct watch *watch)
{
	screen->count = screen->all_count = 0;
	for (size_t i = 0; i < watch_socket_slots(watch); i++) {
		struct watch_socket socket;
		struct watch_line line;

		if (!watch_socket_at(watch, i, &socket) ||
		    !socket_of(screen, &socket))
			continue;
		watch_line_set(&line, &socket);
		if (!line_wanted(screen, &line))
			continue;
		screen->all_count++;
		line_add(screen, &line);
	}
}

static void socket_take(struct watch_screen *screen, struct watch *watch)
{
	for (size_t i = 0; i < watch_socket_slots(watch); i++) {
		struct watch_socket socket;

		if (!watch_socket_at(watch, i, &socket) ||
		    socket.kernel->id != screen->socket)
			continue;
		watch_line_set(&screen->detail, &socket);
		memcpy(screen->detail_owners, socket.owners,
		       sizeof screen->detail_owners);
		screen->has_detail = true;
		return;
	}
	screen->detail.ended = true;
}

/* ------------------------------------------------------------------ totals */

static void totals_take(struct watch_screen *screen, struct watch *watch)
{
	double span_s;
	int64_t elapsed_ns = watch_elapsed_ns(watch);

	screen->elapsed_ns = elapsed_ns;
	screen->interval_ns = watch_interval_ns(watch);
	screen->counters = watch_counters(watch);
	screen->kernel = watch_kernel_counters(watch);
	screen->ledger_count = watch_ledger(watch, screen->ledger);
	screen->sound = true;
	for (size_t i = 0; i < screen->ledger_count; i++)
		screen->sound &= screen->ledger[i].turns_failed == 0;
	if (screen->counters.turns == screen->before_turns)
		return;
	screen->before_turns = screen->counters.turns;
	span_s = (double)(elapsed_ns - screen->before_ns) / (double)NS_PER_S;
	screen->tx_bps =
		(double)(screen->kernel.calls_tx_bytes - screen->before_tx) /
		span_s;
	screen->rx_bps =
		(double)(screen->kernel.calls_rx_bytes - screen->before_rx) /
		span_s;
	screen->before_ns = elapsed_ns;
	screen->before_tx = screen->kernel.calls_tx_bytes;
	screen->before_rx = screen->kernel.calls_rx_bytes;
	screen->curve[screen->curve_count++ % SCREEN_CURVE] =
		screen->tx_bps + screen->rx_bps;
}

/* The row that the cursor is on, by its name. */
struct chosen {
	bool any;
	char container[OWNER_ID_SIZE];
	struct kernel_process_key process;
	uint64_t socket;
};

static struct chosen chosen_get(const struct watch_screen *screen)
{
	struct chosen chosen = {.any = screen->cursor > 0 &&
				       screen->cursor < screen->count};

	if (!chosen.any)
		return chosen;
	memcpy(chosen.container, screen->containers[screen->cursor].id,
	       sizeof chosen.container);
	chosen.process = screen->processes[screen->cursor].key;
	chosen.socket = screen->lines[screen->cursor].kernel.id;
	return chosen;
}

static bool chosen_is(const struct watch_screen *screen,
		      const struct chosen *chosen, size_t row)
{
	if (screen->view == SCREEN_CONTAINERS)
		return strcmp(screen->containers[row].id, chosen->container) ==
		       0;
	if (screen->view == SCREEN_PROCESSES)
		return screen->processes[row].key.pid == chosen->process.pid &&
		       screen->processes[row].key.start_ns ==
			       chosen->process.start_ns;
	return screen->lines[row].kernel.id == chosen->socket;
}

/* The cursor follows its row; at the top it stays at the top. */
static void chosen_set(struct watch_screen *screen, const struct chosen *chosen)
{
	for (size_t i = 0; chosen->any && i < screen->count; i++) {
		if (chosen_is(screen, chosen, i)) {
			screen->cursor = i;
			break;
		}
	}
	if (screen->cursor >= screen->count)
		screen->cursor = screen->count ? screen->count - 1 : 0;
}

void screen_take(struct watch_screen *screen, struct watch_run *run)
{
	struct chosen chosen = chosen_get(screen);

	rows_sort = screen->sort;
	totals_take(screen, run->watch);
	switch (screen->view) {
	case SCREEN_CONTAINERS:
		containers_take(screen, run->watch);
		break;
	case SCREEN_PROCESSES:
		processes_take(screen, run->watch);
		break;
	case SCREEN_SOCKETS:
		sockets_take(screen, run->watch);
		break;
	case SCREEN_SOCKET:
		socket_take(screen, run->watch);
		break;
	case SCREEN_LEDGER:
	case SCREEN_HELP:
		break;
	}
	if (screen->view < SCREEN_SOCKET)
		chosen_set(screen, &chosen);
}
