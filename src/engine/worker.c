/* The thread of one worker: its table and records, its answers to requests. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/engine_private.h"

#define UPDATE_SLOTS 2048 /* table slots looked at between two batches */

#define GROWING_FLOWS 16384 /* of a table that grows, at first */

/* Waits for room in the ring of records while nothing may be lost. */
static bool records_room(struct worker *worker)
{
	struct timespec pause = {0, 100000};

	while (ring_room(&worker->records) == 0) {
		if (!worker->lossless)
			return false;
		if (atomic_exchange(&worker->engine->collect_waits, false))
			engine_wake(worker->engine->collect_fd);
		nanosleep(&pause, NULL);
	}
	return true;
}

/* A worker that is ahead, and has to wait, takes over the collector's part:
 * at the end of a file all flows end at once. */
static void record_push(struct worker *worker, const struct flow_record *record)
{
	struct flow_record *slot = ring_slot(&worker->records, 0);

	memcpy(slot, record, worker->records.item_size);
	if (worker->lossless &&
	    ring_room(&worker->records) < worker->records_half)
		record_finish(worker->engine, slot);
	ring_publish(&worker->records, 1);
	worker->pushed = true;
}

/* The table's 'emit': one record into the ring. */
static void record_emit(void *context, const struct flow_record *record)
{
	struct worker *worker = context;

	if (!records_room(worker)) {
		worker->records_lost++;
		return;
	}
	record_push(worker, record);
}

static void record_update(void *context, const struct flow_record *record)
{
	struct worker *worker = context;

	record_push(worker, record);
	worker->updates++;
}

/* The collector looks again before it sleeps, so once a push is enough. */
static void records_announce(struct worker *worker)
{
	if (!worker->pushed)
		return;
	worker->pushed = false;
	if (atomic_exchange(&worker->engine->collect_waits, false))
		engine_wake(worker->engine->collect_fd);
}

/* Answers engine_update() by slices, and never takes the half of the ring
 * that records which end may need. */
static void update_answer(struct worker *worker)
{
	struct engine *engine = worker->engine;
	uint64_t asked = atomic_load(&engine->update_generation);
	struct wall since = {atomic_load(&engine->update_since)};
	uint32_t room;

	if (!worker->updating && worker->update_seen == asked)
		return;
	if (!worker->table) { /* nor a ring */
		worker->update_seen = asked;
		atomic_store(&worker->update_done, asked);
		return;
	}
	if (!worker->updating) {
		worker->updating = true;
		worker->update_seen = asked;
		worker->update_cursor = 0;
	}
	room = ring_room(&worker->records);
	if (room <= worker->records_half)
		return;
	room -= worker->records_half;
	if (flow_table_visit(worker->table, &worker->update_cursor,
			     room < UPDATE_SLOTS ? room : UPDATE_SLOTS, since,
			     record_update, worker))
		return;
	worker->updating = false;
	atomic_store(&worker->update_done, worker->update_seen);
}

bool worker_find(struct worker *worker, struct lookup *lookup)
{
	struct packet_tuple tuple = lookup->tuple;
	uint32_t count = atomic_load(&worker->engine->name_count);

	lookup->found = false;
	if (!worker->table)
		return false;
	if (tuple.interface != ENGINE_INTERFACE_ANY) {
		lookup->found = flow_table_lookup(worker->table, &tuple,
						  &lookup->record);
		return lookup->found;
	}
	for (uint32_t i = 0; i < count; i++) {
		tuple.interface = (uint16_t)i;
		if (!flow_table_lookup(worker->table, &tuple, &lookup->record))
			continue;
		lookup->found = true;
		if (!lookup->record.duplicate) /* the one that saw it first */
			break;
	}
	return lookup->found;
}

static void lookup_answer(struct worker *worker)
{
	struct lookup *lookup = atomic_load(&worker->lookup);

	if (!lookup)
		return;
	(void)worker_find(worker, lookup);
	atomic_store(&worker->lookup, NULL);
}

void worker_publish(struct worker *worker, bool now)
{
	struct mono at = mono_now();

	if (!now && mono_ns_between(worker->published_at, at) < PUBLISH_NS)
		return;
	worker->published_at = at;
	pthread_mutex_lock(&worker->lock);
	if (worker->table) {
		worker->published = flow_table_counters(worker->table);
		worker->published_live = flow_table_live(worker->table);
	}
	worker->published_lost = worker->records_lost;
	worker->published_updates = worker->updates;
	pthread_mutex_unlock(&worker->lock);
}

void worker_answer(struct worker *worker)
{
	update_answer(worker);
	lookup_answer(worker);
	records_announce(worker);
	if (worker->table && flow_table_grown(worker->table))
		engine_wake(worker->engine->pages_fd);
}

void worker_meter(struct worker *worker, const struct packet *packets,
		  size_t count)
{
	while (count > 0) {
		bool rewind;
		size_t part = timeline_part(&worker->timeline, packets, count,
					    &rewind);

		if (rewind)
			flow_table_rewind(worker->table);
		flow_table_meter(worker->table, packets, part);
		packets += part;
		count -= part;
	}
}

/* Frames still in a ring are older than now, hence the lag. */
void worker_time_pass(struct worker *worker)
{
	const struct feed *feed =
		worker->lane ? worker->lane->feed : worker->feed;
	struct timeline *timeline = &worker->timeline;
	struct wall now = wall_now();

	if (!feed->live || !worker->table)
		return;
	now.ns -= ADVANCE_LAG_NS;
	if (wall_before(timeline->newest, now))
		timeline->newest = now;
	flow_table_advance(worker->table, now);
}

void worker_wait(struct worker *worker, struct pollfd *fds, nfds_t count,
		 int timeout_ms)
{
	uint64_t drained;

	fds[0] = (struct pollfd){.fd = worker->wake_fd, .events = POLLIN};
	if (poll(fds, count, timeout_ms) > 0 && fds[0].revents)
		(void)!read(worker->wake_fd, &drained, sizeof drained);
}

/* Several workers begin on a core each, where there are that many: the kernel
 * takes some milliseconds to find out that two of them are on one, which is
 * long for a file.  From there on it may move them. */
static void worker_place_core(const struct worker *worker)
{
	cpu_set_t all, one;
	unsigned left = worker->index;

	if (worker->engine->worker_count == 1 ||
	    sched_getaffinity(0, sizeof all, &all) < 0 ||
	    (size_t)CPU_COUNT(&all) < worker->engine->worker_count)
		return;
	for (unsigned core = 0; core < CPU_SETSIZE; core++) {
		if (!CPU_ISSET(core, &all) || left-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(core, &one);
		(void)sched_setaffinity(0, sizeof one, &one);
		break;
	}
	(void)sched_setaffinity(0, sizeof all, &all);
}

void *worker_main(void *argument)
{
	struct worker *worker = argument;
	struct engine *engine = worker->engine;

	worker_place_core(worker);
	if (worker->lane)
		lane_run(worker);
	else
		direct_run(worker);
	if (engine->options.flush && worker->table)
		flow_table_flush(worker->table, FLOW_END_FORCED);
	worker_publish(worker, true);
	atomic_store(&worker->update_done,
		     atomic_load(&engine->update_generation));
	atomic_store(&worker->ended, true);
	engine_wake(engine->collect_fd);
	return NULL;
}

/* Flows that half of the memory has room for, in one of the workers. */
static uint32_t flow_count_most(const struct engine *engine)
{
	size_t size = flow_table_size(FLOW_COUNT_PRESET) / FLOW_COUNT_PRESET;
	uint64_t count;

	size += FLOW_TUNNEL_SIZE + FLOW_MARK_SIZE;
	if (engine->options.flow.tcp_metrics)
		size += FLOW_TCP_SIZE;
	size += flow_statistics_size(&engine->options.flow);
	count = memory_limit() / 2 / engine->worker_count / size;
	return count < FLOW_COUNT_MAX ? (uint32_t)count : FLOW_COUNT_MAX;
}

static void flow_count_set(const struct engine *engine,
			   struct flow_options *options)
{
	uint32_t workers = (uint32_t)engine->worker_count;

	if (options->flow_count == 0 && !engine->feeds[0].live) {
		options->flow_count = GROWING_FLOWS;
		options->flow_count_max = flow_count_most(engine);
		return;
	}
	if (options->flow_count == 0)
		options->flow_count = FLOW_COUNT_PRESET;
	options->flow_count = (options->flow_count + workers - 1) / workers;
	if (options->flow_count < FLOW_COUNT_MIN)
		options->flow_count = FLOW_COUNT_MIN;
}

int worker_table_make(struct worker *worker)
{
	struct flow_options options = worker->engine->options.flow;
	uint32_t records = worker->engine->feeds[0].live ? RECORDS_COUNT
							 : RECORDS_COUNT_FILE;
	int rc;

	flow_count_set(worker->engine, &options);
	if (options.idle_ns == 0)
		options.idle_ns = FLOW_IDLE_S_PRESET * NS_PER_S;
	if (options.active_ns == 0)
		options.active_ns = FLOW_ACTIVE_S_PRESET * NS_PER_S;
	options.populate_later = !worker->engine->feeds[0].live;
	options.epoch = worker->engine->epoch + worker->index;
	options.sampled = worker->engine->options.sample;
	options.sample_seed = worker->engine->sample_seed;
	options.emit = record_emit;
	options.context = worker;
	if (getrandom(options.secret, sizeof options.secret, 0) !=
	    (ssize_t)sizeof options.secret)
		return -EIO;
	rc = flow_table_create(&options, &worker->table);
	worker->records_half = records / 2;
	if (rc == 0)
		rc = ring_init(&worker->records, flow_record_size(&options),
			       records);
	if (rc == 0 && !worker->lossless)
		ring_populate(&worker->records);
	return rc;
}

/* Takes its place at the feeds: the only one, or one of a lane's. */
static int worker_place(struct engine *engine, struct worker *worker)
{
	if (!engine->lanes) {
		worker->feed = &engine->feeds[0];
		return 0;
	}
	worker->lane =
		&engine->lanes[engine->feeds[0].live ? worker->index : 0];
	worker->shard = engine->feeds[0].live ? 0 : worker->index;
	worker->blocks = aligned_alloc(64, engine->worker_count *
						   sizeof *worker->blocks);
	if (!worker->blocks)
		return -ENOMEM;
	for (size_t i = 0; i < BATCHES; i++) {
		struct batch *batch = aligned_alloc(64, sizeof *batch);

		if (!batch)
			return -ENOMEM;
		atomic_init(&batch->left, 0);
		batch->lent = false;
		worker->batches[i] = batch;
	}
	return 0;
}

int worker_init(struct engine *engine, struct worker *worker, uint16_t index)
{
	int64_t step_ns = engine_step_ns(engine);

	worker->engine = engine;
	worker->index = index;
	worker->timeline = (struct timeline){.step_ns = step_ns,
					     .step_preset_ns = step_ns};
	worker->lossless = !engine->feeds[0].live;
	pthread_mutex_init(&worker->lock, NULL);
	worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->wake_fd < 0)
		return -errno;
	return worker_place(engine, worker);
}

void worker_fini(struct worker *worker)
{
	if (!worker->engine)
		return;
	flow_table_destroy(worker->table);
	ring_fini(&worker->records);
	for (size_t i = 0; i < BATCHES; i++)
		free(worker->batches[i]);
	free(worker->blocks);
	if (worker->wake_fd >= 0)
		close(worker->wake_fd);
	pthread_mutex_destroy(&worker->lock);
}
