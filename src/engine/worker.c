/* The metering thread: decode, meter, answer requests. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/engine_private.h"

#define UPDATE_SLOTS 2048 /* table slots looked at between two batches */
#define DRAIN_NS     (2 * NS_PER_S)
#define RETIRE_MS    10

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
	if (worker->lossless && ring_room(&worker->records) < RECORDS_COUNT / 2)
		flow_record_finish(slot,
				   engine_interface(worker->engine,
						    record->tuple.interface));
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
	if (room <= RECORDS_COUNT / 2)
		return;
	room -= RECORDS_COUNT / 2;
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

static void worker_publish(struct worker *worker, bool now)
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

static void requests_answer(struct worker *worker)
{
	update_answer(worker);
	lookup_answer(worker);
	worker_publish(worker, false);
	records_announce(worker);
}

static void packets_meter(struct worker *worker, const struct packet *packets,
			  size_t count)
{
	while (count > 0) {
		bool rewind;
		size_t part =
			feed_timeline(worker->feed, packets, count, &rewind);

		if (rewind)
			flow_table_rewind(worker->table);
		flow_table_meter(worker->table, packets, part);
		packets += part;
		count -= part;
	}
}

/* One batch from the captures of this worker.  As feed_next(). */
static int feed_turn(struct worker *worker)
{
	struct frame frames[BATCH];
	struct packet packets[BATCH];
	struct source *source;
	int count = feed_next(worker->feed, frames, &source);

	if (count <= 0)
		return count;
	if (worker->table) {
		size_t decoded = feed_decode(worker->feed, source, frames,
					     count, packets);

		packets_meter(worker, packets, decoded);
	}
	feed_deliver(worker->feed, source, frames, count);
	return count;
}

/* Up to the next word on time, or that word. */
static uint32_t dealt_meter(struct worker *worker, const struct packet *packets,
			    uint32_t count)
{
	uint32_t part = 0;

	if (packet_is_time(&packets[0])) {
		flow_table_advance(worker->table, packets[0].at);
		if (packets[0].packets)
			flow_table_rewind(worker->table);
		return 1;
	}
	while (part < count && !packet_is_time(&packets[part]))
		part++;
	flow_table_meter(worker->table, packets, part);
	return part;
}

/* One batch that the reader dealt. */
static int dealt_turn(struct worker *worker)
{
	bool ended = atomic_load(&worker->dealt_ended); /* before the look */
	uint32_t fill = ring_fill(&worker->dealt);
	struct packet *first = ring_item(&worker->dealt, 0);
	uint32_t whole =
		worker->dealt.mask + 1 -
		(uint32_t)(first - (struct packet *)worker->dealt.items);

	if (fill == 0)
		return ended ? ERR_END : 0;
	if (fill > whole) /* the ring's end is a batch's end */
		fill = whole;
	if (fill > BATCH)
		fill = BATCH;
	fill = dealt_meter(worker, first, fill);
	ring_consume(&worker->dealt, fill);
	return (int)fill;
}

/* Live: time goes on without packets.  Those still in the ring are older
 * than now, hence the lag. */
static void time_pass(struct worker *worker)
{
	struct wall now = wall_now();

	if (!worker->feed || !worker->feed->live || !worker->table)
		return;
	now.ns -= ADVANCE_LAG_NS;
	feed_time_pass(worker->feed, now);
	flow_table_advance(worker->table, now);
}

static int worker_turn(struct worker *worker)
{
	return worker->feed ? feed_turn(worker) : dealt_turn(worker);
}

static void worker_rest(struct worker *worker)
{
	time_pass(worker);
	if (worker->feed)
		feed_take_back(worker->feed);
	if (worker->updating) /* the next slice is waiting */
		return;
	feed_wait(worker->feed, worker->wake_fd, WAIT_MS);
}

/* What is in the rings when capturing stops is metered still; nothing new
 * gets in, so this ends. */
static void worker_drain(struct worker *worker)
{
	struct mono begin = mono_now();
	struct feed *feed = worker->feed;
	int count;

	if (!feed || !feed->live)
		return;
	for (size_t i = 0; i < feed->source_count; i++) {
		if (feed->sources[i].capture)
			(void)capture_quiesce(feed->sources[i].capture);
	}
	while ((count = feed_turn(worker)) != ERR_END &&
	       mono_ns_between(begin, mono_now()) < DRAIN_NS) {
		if (count == 0) /* the last block comes by a timer */
			feed_wait(feed, worker->wake_fd, RETIRE_MS);
	}
}

void *worker_main(void *argument)
{
	struct worker *worker = argument;
	struct engine *engine = worker->engine;
	int count = 0;

	/* A stopped file ends where it was read to; packets already dealt
	 * are metered to the last (dealt_turn ends by itself). */
	while (count != ERR_END &&
	       !(atomic_load(&engine->stop) && worker->feed)) {
		count = worker_turn(worker);
		requests_answer(worker);
		if (worker->feed)
			feed_publish(worker->feed, false);
		if (count == 0)
			worker_rest(worker);
	}
	worker->lossless = true;
	worker_drain(worker);
	if (worker->feed) {
		atomic_store(&worker->feed->ended, true);
		feed_publish(worker->feed, true);
		engine_wake(engine->poll_fd);
	}
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
	int rc;

	flow_count_set(worker->engine, &options);
	if (options.idle_ns == 0)
		options.idle_ns = FLOW_IDLE_S_PRESET * NS_PER_S;
	if (options.active_ns == 0)
		options.active_ns = FLOW_ACTIVE_S_PRESET * NS_PER_S;
	options.epoch = worker->engine->epoch + worker->index;
	options.sampled = worker->engine->options.sample;
	options.sample_seed = worker->engine->sample_seed;
	options.emit = record_emit;
	options.context = worker;
	if (getrandom(options.secret, sizeof options.secret, 0) !=
	    (ssize_t)sizeof options.secret)
		return -EIO;
	rc = flow_table_create(&options, &worker->table);
	if (rc == 0)
		rc = ring_init(&worker->records, flow_record_size(&options),
			       RECORDS_COUNT);
	return rc;
}

int worker_init(struct engine *engine, struct worker *worker, uint16_t index)
{
	worker->engine = engine;
	worker->index = index;
	worker->lossless = engine->feeds && !engine->feeds[0].live;
	pthread_mutex_init(&worker->lock, NULL);
	worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->wake_fd < 0)
		return -errno;
	return engine->reader ? ring_init(&worker->dealt, sizeof(struct packet),
					  DEALT_COUNT)
			      : 0;
}

void worker_fini(struct worker *worker)
{
	if (!worker->engine)
		return;
	flow_table_destroy(worker->table);
	ring_fini(&worker->records);
	ring_fini(&worker->dealt);
	close(worker->wake_fd);
	pthread_mutex_destroy(&worker->lock);
}
