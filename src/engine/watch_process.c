/* Processes with bytes or sockets: their sums, their names, room for more. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "engine/watch_private.h"

#define TRIES_MAX   10 /* turns in which a name is looked for */
#define RETIRE_WAIT 4  /* turns after its end and last change */
#define OTHERS_KEY  ((struct kernel_process_key){UINT64_MAX, 0})

static uint64_t key_hash(const struct kernel_process_key *key)
{
	return random_mix(key->start_ns ^ random_mix(key->pid));
}

struct same {
	const struct watch *watch;
	const struct kernel_process_key *key;
};

static bool process_same(const void *context, uint32_t slot)
{
	const struct same *same = context;

	return key_same(&same->watch->processes[slot].shown.key, same->key);
}

uint32_t watch_process_lookup(const struct watch *watch,
			      const struct kernel_process_key *key)
{
	struct same same = {watch, key};

	return watch_index_find(&watch->process_index, key_hash(key),
				process_same, &same);
}

static uint32_t process_add(struct watch *watch,
			    const struct kernel_process_key *key)
{
	uint32_t slot = watch_slot_take(&watch->process_slots);
	struct process *process;

	if (slot == SLOT_NONE)
		return slot;
	process = &watch->processes[slot];
	*process = (struct process){.shown = {.key = *key},
				    .container = SLOT_NONE,
				    .turn = UINT32_MAX,
				    .rate_turn = UINT32_MAX,
				    .used = true};
	watch->counters.processes++;
	return slot;
}

int watch_processes_init(struct watch *watch)
{
	uint32_t max = watch->options.process_limit;
	int rc = watch_slots_init(&watch->process_slots, max);

	watch->processes = calloc(max, sizeof *watch->processes);
	watch->open_head = watch->touched_head = SLOT_NONE;
	if (rc == 0)
		rc = watch_index_init(&watch->process_index, max);
	if (rc < 0 || !watch->processes)
		return -ENOMEM;
	watch->others = process_add(watch, &OTHERS_KEY);
	watch->processes[watch->others].shown.others = true;
	watch->counters.processes = 0;
	return 0;
}

void watch_processes_fini(struct watch *watch)
{
	watch_slots_fini(&watch->process_slots);
	watch_index_fini(&watch->process_index);
	free(watch->processes);
}

uint32_t watch_process_slot(struct watch *watch,
			    const struct kernel_process_key *key,
			    uint64_t cgroup)
{
	uint32_t slot = watch_process_lookup(watch, key);
	struct process *process;

	if (slot != SLOT_NONE)
		return slot;
	slot = process_add(watch, key);
	if (slot == SLOT_NONE) {
		watch->counters.processes_refused++;
		return watch->others;
	}
	watch_index_add(&watch->process_index, key_hash(key), slot);
	process = &watch->processes[slot];
	process->cgroup = cgroup;
	if (key->pid == 0) {
		memcpy(process->shown.comm, "kernel", sizeof "kernel");
		return slot;
	}
	process->open = true;
	process->next_open = watch->open_head;
	watch->open_head = slot;
	return slot;
}

static void records_sum(const struct process *process, uint64_t *ret_tx,
			uint64_t *ret_rx)
{
	*ret_tx = *ret_rx = 0;
	for (int i = 0; i < KERNEL_CLASS_COUNT; i++) {
		*ret_tx += process->records[i].tx_bytes;
		*ret_rx += process->records[i].rx_bytes;
	}
}

void watch_process_touch(struct watch *watch, struct process *process)
{
	if (process->turn == watch->turn)
		return;
	process->turn = watch->turn;
	records_sum(process, &process->before_tx, &process->before_rx);
	process->next_touched = watch->touched_head;
	watch->touched_head = (uint32_t)(process - watch->processes);
}

/* ---------------------------------------------------------------- events */

void watch_process_event(struct watch *watch,
			 const struct kernel_process *event)
{
	struct owner_event told = {
		.pid = event->key.pid,
		.ppid = event->parent.pid,
		.start_ns = event->key.start_ns,
		.parent_start_ns = event->parent.start_ns,
		.at_ns = (uint64_t)(event->at.ns + watch->clocks_last.boot_ns -
				    watch->clocks_last.mono.ns),
		.cgroup_id = event->cgroup,
		.uid = event->uid,
		.comm = event->comm,
	};
	uint32_t slot;

	if (event->key.pid == 0)
		return;
	switch (event->event) {
	case KERNEL_PROCESS_FORK:
		(void)owner_process_begin(watch->owners, &told);
		break;
	case KERNEL_PROCESS_EXEC:
		told.filename = event->path;
		(void)owner_process_exec(watch->owners, &told);
		break;
	case KERNEL_PROCESS_EXIT:
		(void)owner_process_end(watch->owners, &told);
		slot = watch_process_lookup(watch, &event->key);
		if (slot != SLOT_NONE) {
			watch->processes[slot].shown.ended = true;
			watch->processes[slot].ended_turn = watch->turn;
		}
		break;
	}
}

void watch_process_loose(struct watch *watch,
			 const struct kernel_process_bytes *bytes)
{
	struct process *process =
		&watch->processes[watch_process_slot(watch, &bytes->key, 0)];
	bool others = process->shown.others;

	watch_process_touch(watch, process);
	for (int i = 0; i < KERNEL_CLASS_COUNT; i++) {
		struct kernel_traffic more =
			traffic_beyond(&bytes->traffic[i], &process->loose[i]);

		/* Of several processes together nothing is known of each. */
		if (others)
			continue;
		process->loose[i] =
			traffic_most(&bytes->traffic[i], &process->loose[i]);
		traffic_add(&process->records[i], &more);
		watch->sums.records_tx += more.tx_bytes;
		watch->sums.records_rx += more.rx_bytes;
	}
}

/* ----------------------------------------------------------------- names */

static void container_find(struct watch *watch, struct process *process)
{
	const struct owner_process *owner = process->shown.owner;
	const struct owner_container *container =
		owner ? owner->container : NULL;

	if (!container && process->cgroup > 0)
		container = owner_container_of(watch->owners, process->cgroup);
	if (container)
		process->container = watch_container_slot(watch, container);
}

/* Whether it is known now. */
static bool name_find(struct watch *watch, struct process *process)
{
	const struct kernel_process_key *key = &process->shown.key;

	process->shown.owner =
		owner_process_find(watch->owners, key->pid, key->start_ns);
	if (process->shown.owner) {
		owner_process_hold(watch->owners, process->shown.owner);
		process->shown.ended |= process->shown.owner->ended;
	}
	container_find(watch, process);
	return process->shown.owner;
}

void watch_processes_name(struct watch *watch, bool counts)
{
	uint32_t *link = &watch->open_head;

	while (*link != SLOT_NONE) {
		struct process *process = &watch->processes[*link];

		process->tries += counts;
		if (name_find(watch, process) || process->tries >= TRIES_MAX) {
			*link = process->next_open;
			process->open = false;
			watch->counters.processes_unknown +=
				!process->shown.owner;
		} else {
			link = &process->next_open;
		}
	}
}

static void rates_set(struct watch *watch)
{
	double span_s = (double)watch->span_ns / (double)NS_PER_S;
	uint32_t slot = watch->touched_head, next;

	for (; slot != SLOT_NONE; slot = next) {
		struct process *process = &watch->processes[slot];
		struct watch_process *shown = &process->shown;
		uint64_t tx, rx;

		next = process->next_touched;
		records_sum(process, &tx, &rx);
		shown->tx_bps =
			span_s > 0 ? (double)(tx - process->before_tx) / span_s
				   : 0;
		shown->rx_bps =
			span_s > 0 ? (double)(rx - process->before_rx) / span_s
				   : 0;
		shown->connections_max =
			most(shown->connections_max, shown->established);
		process->rate_turn = watch->turn;
		container_find(watch, process);
	}
	watch->touched_head = SLOT_NONE;
}

/* ------------------------------------------------------------------ room */

static bool retires(const struct watch *watch, const struct process *process)
{
	return process->used && process->shown.ended && process->holders == 0 &&
	       !process->open &&
	       watch->turn - process->ended_turn >= RETIRE_WAIT &&
	       watch->turn - process->turn >= RETIRE_WAIT;
}

static void retire(struct watch *watch, uint32_t slot)
{
	const struct watch_visitor *visitor = &watch->options.visitor;
	struct process *process = &watch->processes[slot];

	watch_process_fill(watch, process);
	if (visitor->process && watch_process_wanted(watch, &process->shown))
		visitor->process(visitor->context, &process->shown);
	watch_container_retire(watch, &process->shown);
	for (int i = 0; i < KERNEL_CLASS_COUNT; i++) {
		struct kernel_traffic best = traffic_most(&process->records[i],
							  &process->buckets[i]);

		watch->gone_tx += best.tx_bytes;
		watch->gone_rx += best.rx_bytes;
	}
	if (process->shown.owner)
		owner_process_release(watch->owners, process->shown.owner);
	watch_index_remove(&watch->process_index, key_hash(&process->shown.key),
			   slot);
	process->used = false;
	watch_slot_give(&watch->process_slots, slot);
	watch->counters.processes--;
	watch->counters.processes_told++;
}

static void room_make(struct watch *watch)
{
	uint32_t max = watch->process_slots.max;

	if (watch->counters.processes < max - max / 4)
		return;
	for (uint32_t i = 0; i < watch->process_slots.used; i++) {
		if (retires(watch, &watch->processes[i]))
			retire(watch, i);
		if (watch->counters.processes < max / 2)
			break;
	}
}

void watch_processes_turn(struct watch *watch)
{
	watch_processes_name(watch, true);
	rates_set(watch);
	room_make(watch);
}

/* ----------------------------------------------------------------- shown */

/* Records lack something where ends were lost or sockets could not be read;
 * the buckets then have it, unless of these some were lost too. */
static bool process_exact(const struct watch *watch,
			  const struct process *process, bool less)
{
	bool records = watch->previous.kernel.end_refused == 0 && !less;

	if (process->shown.others)
		return false;
	return records || (watch->options.filter.port_count == 0 &&
			   watch->previous.kernel.bucket_refused == 0 &&
			   watch->counters.buckets_refused == 0);
}

void watch_process_fill(struct watch *watch, struct process *process)
{
	struct watch_process *shown = &process->shown;
	bool ports = watch->options.filter.port_count > 0, less = false;

	shown->traffic = (struct kernel_traffic){0};
	for (int i = 0; i < KERNEL_CLASS_COUNT; i++) {
		shown->classes[i] = ports ? process->matched[i]
					  : traffic_most(&process->records[i],
							 &process->buckets[i]);
		traffic_add(&shown->traffic, &shown->classes[i]);
		less |= process->records[i].tx_bytes <
				process->buckets[i].tx_bytes ||
			process->records[i].rx_bytes <
				process->buckets[i].rx_bytes;
	}
	shown->exact = process_exact(watch, process, less);
	shown->container = process->container == SLOT_NONE
				   ? NULL
				   : &watch->containers[process->container];
	if (shown->owner) {
		shown->ended |= shown->owner->ended;
		memcpy(shown->comm, shown->owner->comm, sizeof shown->comm);
	}
	/* Of this reading or the last one, or there was no change in it. */
	if (process->rate_turn != watch->turn &&
	    process->rate_turn + 1 != watch->turn)
		shown->tx_bps = shown->rx_bps = 0;
}

struct watch_process_name
watch_process_named(const struct watch *watch,
		    const struct kernel_process_key *key)
{
	struct watch_process_name name = {.key = *key, .comm = ""};
	uint32_t slot = watch_process_lookup(watch, key);
	const struct process *process;

	if (slot == SLOT_NONE)
		return name;
	process = &watch->processes[slot];
	name.comm = process->shown.owner ? process->shown.owner->comm
					 : process->shown.comm;
	if (process->container != SLOT_NONE)
		name.container = &watch->containers[process->container];
	return name;
}

void watch_processes_bytes(const struct watch *watch, uint64_t *ret_tx,
			   uint64_t *ret_rx)
{
	*ret_tx = watch->gone_tx;
	*ret_rx = watch->gone_rx;
	for (uint32_t i = 0; i < watch->process_slots.used; i++) {
		const struct process *process = &watch->processes[i];

		for (int k = 0; process->used && k < KERNEL_CLASS_COUNT; k++) {
			struct kernel_traffic best = traffic_most(
				&process->records[k], &process->buckets[k]);

			*ret_tx += best.tx_bytes;
			*ret_rx += best.rx_bytes;
		}
	}
}

size_t watch_process_slots(const struct watch *watch)
{
	return watch->process_slots.used;
}

const struct watch_process *watch_process_at(struct watch *watch, size_t slot)
{
	struct process *process = &watch->processes[slot];
	const struct watch_process *shown = &process->shown;

	if (!process->used)
		return NULL;
	watch_process_fill(watch, process);
	if (shown->others && process->turn == UINT32_MAX)
		return NULL;
	return watch_process_wanted(watch, shown) ? shown : NULL;
}
