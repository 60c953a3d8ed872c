/* One worker: frames in, decoded, metered, given back. */
#include "base/clock.h"
#include "engine/engine_private.h"

#define LOOK_TURNS 16 /* full batches between two looks at the clock */

/* One batch.  As feed_next(). */
static int direct_turn(struct worker *worker)
{
	struct feed *feed = worker->feed;
	struct frame frames[BATCH];
	uint16_t interfaces[BATCH];
	struct packet packets[BATCH];
	struct decode_counts counts = {0};
	struct source *source;
	int count = feed_next(feed, WAIT_MS, BATCH, frames, &source);

	if (count <= 0)
		return count;
	if (worker->table) {
		struct frame_part part = {source, frames, interfaces,
					  (uint32_t)count, source->taken};
		size_t decoded;

		source->taken += (uint64_t)count;
		feed_interfaces(feed, source, frames, count, interfaces);
		decoded = frames_decode(&part, &counts, packets);
		feed_count(feed, &counts);
		timeline_source(&worker->timeline, source);
		worker_meter(worker, packets, decoded);
	}
	feed_deliver(feed, source, frames, count);
	return count;
}

static void direct_wait(struct worker *worker, int timeout_ms)
{
	struct pollfd fds[ENGINE_TARGETS_MAX + 1];
	nfds_t count = feed_fds(worker->feed, fds + 1);

	worker_wait(worker, fds, count + 1, timeout_ms);
}

static void direct_rest(struct worker *worker)
{
	worker_time_pass(worker);
	feed_take_back(worker->feed);
	if (worker->updating) /* the next slice is waiting */
		return;
	direct_wait(worker, WAIT_MS);
}

/* What is in the ring when capturing stops is metered still; nothing new
 * gets in, so this ends. */
static void direct_drain(struct worker *worker)
{
	struct mono begin = mono_now();
	struct feed *feed = worker->feed;
	int count;

	if (!feed->live)
		return;
	feed_quiesce(feed);
	while ((count = direct_turn(worker)) != ERR_END &&
	       mono_ns_between(begin, mono_now()) < DRAIN_NS) {
		if (count == 0) /* the last block comes by a timer */
			direct_wait(worker, RETIRE_MS);
	}
}

/* A stopped file ends where it was read to. */
void direct_run(struct worker *worker)
{
	struct engine *engine = worker->engine;
	uint32_t turn = 0;
	int count = 0;

	while (count != ERR_END && !atomic_load(&engine->stop)) {
		count = direct_turn(worker);
		worker_answer(worker);
		if (count < BATCH || ++turn % LOOK_TURNS == 0) {
			worker_publish(worker, false);
			feed_publish(worker->feed, false);
		}
		if (count == 0)
			direct_rest(worker);
	}
	worker->lossless = true;
	direct_drain(worker);
	atomic_store(&worker->feed->ended, true);
	feed_publish(worker->feed, true);
	engine_wake(engine->poll_fd);
}
