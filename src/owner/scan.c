/* Reading all there is, and what events left open. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "owner/owner_private.h"

static void one_scanned(void *context, const char *name, uint8_t type)
{
	struct owner_table *table = context;
	struct process *process;
	char *end;
	unsigned long pid;

	(void)type;
	if (!isdigit((unsigned char)*name))
		return;
	pid = strtoul(name, &end, 10);
	if (*end != 0 || pid == 0 || pid > INT32_MAX)
		return;
	process = owner_proc_read(table, (uint32_t)pid, 0);
	if (process)
		table->counters.processes_scanned++;
}

/* Who was there before the scan and was not seen by it: perhaps it began in
 * between, then /proc says so. */
static void end_unseen(struct owner_table *table)
{
	for (uint32_t i = 0; i < table->options.process_max; i++) {
		struct process *process = &table->processes[i];

		if (process->life != LIFE_LIVE || process->seen == table->scan)
			continue;
		if (owner_proc_read(table, process->view.pid,
				    process->view.start_ns))
			continue;
		table->counters.processes_vanished++;
		owner_slot_end(table, process, 0);
	}
}

/* A child may have been read before what its parent's arguments say. */
static void bind_late(struct owner_table *table)
{
	for (uint32_t i = 0; i < table->options.process_max; i++) {
		struct process *process = &table->processes[i];

		if (process->life == LIFE_LIVE && !process->view.container)
			owner_process_late(table, process);
	}
}

static void users_read(struct owner_table *table)
{
	if (!table->users_wanted)
		return;
	table->users_wanted = false;
	for (uint32_t i = 0; i < table->options.process_max; i++) {
		struct owner_process *view = &table->processes[i].view;

		if (table->processes[i].life != LIFE_FREE && !view->user &&
		    view->uid != OWNER_UID_UNKNOWN)
			view->user = owner_user_name(table, view->uid);
	}
}

static void files_read(struct owner_table *table, int64_t now_ns)
{
	table->relist = false;
	owner_runtimes_list(table);
	owner_runtimes_name(table, now_ns);
	bind_late(table);
	if (table->unsettled)
		owner_settle(table);
}

int owner_scan(struct owner_table *table, struct fault *ret_fault)
{
	struct place proc = {"/proc", SIZE_MAX};
	int fd = owner_place_open(table, proc, O_DIRECTORY);

	if (fd < 0)
		return fault_set(ret_fault, fd, "/proc: %s", err_sentence(fd));
	close(fd);
	owner_clock_read(table);
	table->turn++;
	table->scan++;
	table->cgroup_full = false;
	owner_tree_walk(table);
	owner_folder_list(table, proc, one_scanned, table);
	if (!table->pids_differ)
		end_unseen(table);
	owner_runtimes_again(table);
	files_read(table, 0);
	/* Names may have shown folders, folders containers. */
	if (table->relist)
		files_read(table, 0);
	users_read(table);
	return 0;
}

/* ---- turns ---- */

static void queue_pop(struct owner_table *table)
{
	struct process *process =
		&table->processes[table->queue[table->queue_head]];

	table->queue_head =
		(table->queue_head + 1) % table->options.process_max;
	table->queue_count--;
	process->queued = false;
	if (process->life == LIFE_FREE)
		return;
	if (process->life == LIFE_ENDED || table->pids_differ) {
		table->counters.processes_unresolved++;
		return;
	}
	if (owner_proc_read(table, process->view.pid, process->view.start_ns))
		table->counters.processes_resolved++;
	else
		table->counters.processes_unresolved++;
}

static void wants_read(struct owner_table *table, uint32_t *budget)
{
	while (table->want_count > 0 && *budget > 0) {
		const struct want *want = &table->wants[--table->want_count];

		--*budget;
		if (!table->pids_differ &&
		    owner_proc_read(table, want->pid, want->start_ns)) {
			struct process *process = owner_slot_find(
				table, want->pid, want->start_ns);

			if (process && want->start_ns % OWNER_TICK_NS != 0)
				owner_slot_exact(table, process,
						 want->start_ns);
		}
	}
}

size_t owner_turn(struct owner_table *table, struct mono now)
{
	uint32_t budget = table->options.turn_reads;
	bool due, walk;

	owner_clock_read(table);
	table->turn++;
	table->cgroup_full = false;
	for (; budget > 0 && table->queue_count > 0; budget--)
		queue_pop(table);
	wants_read(table, &budget);
	walk = !owner_tree_ask(table);
	due = table->scanned_ns == 0 ||
	      now.ns - table->scanned_ns >= NS_PER_S / table->options.scans_hz;
	if (due && (walk || table->relist || table->unnamed > 0)) {
		table->scanned_ns = now.ns;
		if (walk)
			owner_tree_walk(table);
		files_read(table, now.ns);
	} else if (table->unsettled) {
		owner_settle(table);
	}
	users_read(table);
	return table->queue_count + table->want_count + table->cgroup_wanted +
	       table->relist;
}
