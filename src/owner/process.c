/* Slots of processes: found by pid and start, ended, forgotten. */
#include <string.h>

#include "owner/owner_private.h"

static uint32_t slot_of(const struct owner_table *table,
			const struct process *process)
{
	return (uint32_t)(process - table->processes);
}

/* The start of an event is exact, that of /proc is cut to a tick; two exact
 * ones that differ are two processes whatever the tick. */
static bool same_start(const struct process *process, uint64_t start_ns)
{
	uint64_t mine = process->view.start_ns;

	if (mine == start_ns)
		return true;
	if (process->view.start_exact && start_ns % OWNER_TICK_NS != 0)
		return false;
	return mine / OWNER_TICK_NS == start_ns / OWNER_TICK_NS;
}

struct process *owner_slot_find(struct owner_table *table, uint32_t pid,
				uint64_t start_ns)
{
	struct process *found = NULL;
	uint32_t slot =
		owner_index_first(&table->by_pid, owner_hash_number(pid));

	for (; slot != OWNER_NONE; slot = table->by_pid.next[slot]) {
		struct process *process = &table->processes[slot];

		if (process->view.pid != pid)
			continue;
		if (start_ns == 0 && process->life == LIFE_LIVE)
			return process;
		if (start_ns == 0)
			continue;
		if (process->view.start_ns == start_ns)
			return process;
		if (!found && same_start(process, start_ns))
			found = process;
	}
	return found;
}

static void ended_unlink(struct owner_table *table, struct process *process)
{
	if (!process->listed)
		return;
	if (process->prev != OWNER_NONE)
		table->processes[process->prev].next = process->next;
	else
		table->oldest = process->next;
	if (process->next != OWNER_NONE)
		table->processes[process->next].prev = process->prev;
	else
		table->newest = process->prev;
	process->listed = false;
}

static void ended_link(struct owner_table *table, struct process *process)
{
	uint32_t slot = slot_of(table, process);

	if (process->listed || process->holds > 0 ||
	    process->life != LIFE_ENDED)
		return;
	process->prev = table->newest;
	process->next = OWNER_NONE;
	if (table->newest != OWNER_NONE)
		table->processes[table->newest].next = slot;
	else
		table->oldest = slot;
	table->newest = slot;
	process->listed = true;
}

static void texts_clear(struct owner_table *table, struct owner_process *view)
{
	const char **texts[] = {&view->exe,    &view->filename, &view->command,
				&view->cgroup, &view->unit,     &view->slice};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		owner_text_set(&table->texts, texts[i], NULL, 0);
}

static void slot_clear(struct owner_table *table, struct process *process)
{
	owner_index_remove(&table->by_pid, owner_hash_number(process->view.pid),
			   slot_of(table, process));
	ended_unlink(table, process);
	texts_clear(table, &process->view);
	owner_process_group(process, &process->group, NULL);
	owner_process_group(process, &process->other, NULL);
	owner_process_bind(process, NULL);
	table->counters.processes--;
}

/* A slot that is free, or that of who ended first. */
static struct process *slot_take(struct owner_table *table)
{
	struct process *process;
	bool queued;

	if (table->free != OWNER_NONE) {
		process = &table->processes[table->free];
		table->free = process->next;
		memset(process, 0, sizeof *process);
		return process;
	}
	if (table->oldest == OWNER_NONE)
		return NULL;
	process = &table->processes[table->oldest];
	slot_clear(table, process);
	table->counters.processes_evicted++;
	queued = process->queued; /* its place in the queue is the new one's */
	memset(process, 0, sizeof *process);
	process->queued = queued;
	return process;
}

/* Who had the pid before has ended, whether or not that was told. */
static void end_others(struct owner_table *table, struct process *process)
{
	uint64_t hash = owner_hash_number(process->view.pid);
	uint32_t slot = owner_index_first(&table->by_pid, hash), next;

	for (; slot != OWNER_NONE; slot = next) {
		struct process *other = &table->processes[slot];

		next = table->by_pid.next[slot];
		if (other == process || other->life != LIFE_LIVE ||
		    other->view.pid != process->view.pid)
			continue;
		if (other->view.start_ns > process->view.start_ns)
			other = process; /* told late: the new one is the old */
		table->counters.processes_vanished++;
		owner_slot_end(table, other, 0);
	}
}

struct process *owner_slot_add(struct owner_table *table, uint32_t pid,
			       uint64_t start_ns, bool exact)
{
	struct process *process = slot_take(table);

	if (!process) {
		table->counters.processes_refused++;
		return NULL;
	}
	table->counters.processes++;
	process->life = LIFE_LIVE;
	process->view.pid = pid;
	process->view.uid = OWNER_UID_UNKNOWN;
	process->view.start_ns = start_ns;
	process->view.start.ns = (int64_t)start_ns + table->wall_offset_ns;
	process->view.start_exact = exact;
	owner_index_put(&table->by_pid, owner_hash_number(pid),
			slot_of(table, process));
	end_others(table, process);
	return process;
}

void owner_slot_exact(struct owner_table *table, struct process *process,
		      uint64_t start_ns)
{
	if (process->view.start_exact)
		return;
	process->view.start_exact = true;
	process->view.start_ns = start_ns;
	process->view.start.ns = (int64_t)start_ns + table->wall_offset_ns;
}

void owner_slot_end(struct owner_table *table, struct process *process,
		    uint64_t end_ns)
{
	if (process->view.end_ns == 0 && end_ns != 0) {
		process->view.end_ns = end_ns;
		process->view.end.ns = (int64_t)end_ns + table->wall_offset_ns;
	}
	if (process->life == LIFE_ENDED)
		return;
	process->life = LIFE_ENDED;
	process->view.ended = true;
	if (process->bound && process->bound->view.init_pid != 0 &&
	    process->bound->view.init_pid == process->view.pid &&
	    process->bound->spaced)
		process->bound->view.ended = true;
	ended_link(table, process);
}

void owner_slot_queue(struct owner_table *table, struct process *process)
{
	uint32_t at;

	if (process->queued)
		return;
	/* A slot is in it at most once: it cannot overflow. */
	at = (uint32_t)(((uint64_t)table->queue_head + table->queue_count++) %
			table->options.process_max);
	table->queue[at] = slot_of(table, process);
	process->queued = true;
}

static struct process *of_view(struct owner_table *table,
			       const struct owner_process *view)
{
	size_t slot = (size_t)((const struct process *)view - table->processes);

	return &table->processes[slot];
}

void owner_process_hold(struct owner_table *table,
			const struct owner_process *process)
{
	struct process *held = of_view(table, process);

	held->holds++;
	ended_unlink(table, held);
}

void owner_process_release(struct owner_table *table,
			   const struct owner_process *process)
{
	struct process *held = of_view(table, process);

	if (held->holds > 0)
		held->holds--;
	ended_link(table, held);
}

static void want(struct owner_table *table, uint32_t pid, uint64_t start_ns)
{
	if (start_ns == 0 || table->want_count == OWNER_WANTS_MAX)
		return;
	for (uint32_t i = 0; i < table->want_count && i < 16; i++) {
		struct want *last = &table->wants[table->want_count - 1 - i];

		if (last->pid == pid && last->start_ns == start_ns)
			return;
	}
	table->wants[table->want_count++] = (struct want){pid, start_ns};
}

const struct owner_process *owner_process_find(struct owner_table *table,
					       uint32_t pid, uint64_t start_ns)
{
	struct process *process = owner_slot_find(table, pid, start_ns);

	table->counters.lookups++;
	if (process)
		return &process->view;
	table->counters.lookups_unknown++;
	want(table, pid, start_ns);
	return NULL;
}

const struct owner_process *
owner_process_next(const struct owner_table *table,
		   const struct owner_process *previous)
{
	const struct process *process = table->processes;

	if (previous)
		process = (const struct process *)previous + 1;
	for (; process < table->processes + table->options.process_max;
	     process++) {
		if (process->life != LIFE_FREE)
			return &process->view;
	}
	return NULL;
}
