/* Several workers: batches of a feed on their way to the tables.
 *
 * A batch is taken under the lane's lock, which is short of a plain file: each
 * worker has read a part of it before, side by side with the others, and takes
 * the frames in the part's turn.  Of anything else whoever has time takes the
 * next batch.  Outside of the lock a file's frames are decoded and dealt to
 * shards.  Batches are numbered as they are taken, and every worker whose table
 * they are for meters its part in that order.  Parts and batches are taken
 * first, up to a few ahead, so that there is always something to meter while
 * another has the lock; who is busy with the packets of an elephant leaves
 * reading and dealing to the others.
 *
 *     files        one lane; every worker meters its part of each batch
 *     interfaces   a lane a worker; its owner meters all of it, others take
 *                  batches of it and decode them while they have nothing of
 *                  their own
 *
 * An interface's frames go back when all have metered them, in order as well;
 * a file's as soon as they are decoded, unless engine_poll() is to see them.
 * A batch's memory is its worker's, and half of a worker's batches are kept for
 * its own lane.  So there is always one worker that can go on: who deals or
 * decodes the oldest batch, or has to meter it.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "engine/engine_private.h"

#define AHEAD  4    /* batches of a file that wait to be metered */
#define SPINS  5000 /* looks before a worker sleeps: some 20 us */
#define YIELDS 1000 /* of a file: more looks, others going first */

/* In place of a part: the next one is to be reserved first. */
#define TURN_RESERVE ((const struct capture_part *)(const void *)&turn_reserve)
static const char turn_reserve;

/* What became of an attempt: the feed had no frames; or it is another's at
 * this moment, has ended, or all batches are on their way. */
enum taking { TAKING_DONE, TAKING_EMPTY, TAKING_BUSY };

static inline void spin(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static bool lane_live(const struct lane *lane)
{
	return lane->feed->live;
}

/* --- waking ------------------------------------------------------------- */

static bool worker_rouse(struct worker *worker)
{
	if (!atomic_load(&worker->waits) ||
	    !atomic_exchange(&worker->waits, false))
		return false;
	engine_wake(worker->wake_fd);
	return true;
}

/* A batch is ready, free again or the last one: who waits for it? */
static void lane_rouse(const struct lane *lane)
{
	struct engine *engine = lane->engine;

	if (lane_live(lane)) {
		worker_rouse(&engine->workers[lane->owner]);
		return;
	}
	for (size_t i = 0; i < engine->worker_count; i++)
		worker_rouse(&engine->workers[i]);
}

/* There is more than its owner can do at once. */
static void lane_call_help(const struct lane *lane)
{
	struct engine *engine = lane->engine;

	for (size_t i = 0; i < engine->worker_count; i++) {
		if (i != lane->owner && worker_rouse(&engine->workers[i]))
			return;
	}
}

/* --- under the lane's lock ---------------------------------------------- */

static void batch_give_back(struct lane *lane, struct batch *batch)
{
	struct feed *feed = lane->feed;

	feed_count(feed, &batch->counts);
	feed_deliver(feed, batch->source, batch->frames,
		     (int)batch->frame_count);
	feed_source_return(feed, batch->source, batch->frame_count);
	batch->lent = false;
	atomic_fetch_sub(&batch->left, 1);
}

/* Every batch that all have metered, in order: engine_poll() wants that. */
static void lane_deliver(struct lane *lane)
{
	uint64_t taken = atomic_load(&lane->taken);

	for (; lane->given < taken; lane->given++) {
		struct lane_slot *slot =
			&lane->slots[lane->given & lane->slot_mask];

		if (atomic_load(&slot->ready) != lane->given + 1 ||
		    atomic_load(&slot->batch->left) != 1)
			return;
		batch_give_back(lane, slot->batch);
	}
}

/* Gives frames back: of a file those that the worker has dealt, whose memory
 * is near to its core and taken again next. */
static void lane_settle(struct lane *lane, struct worker *worker)
{
	if (lane->engine->options.deliver || lane_live(lane)) {
		lane_deliver(lane);
		return;
	}
	for (size_t i = BATCHES; i-- > 0;) {
		struct batch *batch = worker->batches[i];

		if (batch->lent)
			batch_give_back(lane, batch);
	}
}

static struct batch *batch_free(struct worker *worker, const struct lane *lane)
{
	size_t count = lane == worker->lane ? BATCHES : BATCHES / 2;

	for (size_t i = 0; i < count; i++) {
		if (atomic_load(&worker->batches[i]->left) == 0)
			return worker->batches[i];
	}
	return NULL;
}

/* Takes frames into the batch, which is the next then. */
static enum taking batch_fill(struct lane *lane, struct batch *batch,
			      uint64_t *ret_number)
{
	struct feed *feed = lane->feed;
	int count;

	if (atomic_load(&lane->ended))
		return TAKING_BUSY;
	count = feed_next(feed, 0, BATCH_MAX, batch->frames, &batch->source);
	feed_publish(feed, false);
	atomic_store_explicit(&lane->busy, count == BATCH_MAX,
			      memory_order_relaxed);
	if (count == ERR_END)
		atomic_store(&lane->ended, true);
	if (count <= 0)
		return TAKING_EMPTY;
	batch->frame_count = (uint32_t)count;
	batch->raw = true;
	batch->lent = true;
	batch->counts = (struct decode_counts){0};
	batch->source->lent += (uint32_t)count;
	batch->ordinal = batch->source->taken;
	batch->source->taken += (uint64_t)count;
	feed_interfaces(feed, batch->source, batch->frames, count,
			batch->interfaces);
	atomic_store(&batch->left, lane->shard_count + 1U);
	*ret_number = atomic_load(&lane->taken);
	lane->slots[*ret_number & lane->slot_mask].batch = batch;
	atomic_store(&lane->taken, *ret_number + 1);
	return TAKING_DONE;
}

/* --- a worker's turn ---------------------------------------------------- */

/* Those that look whether it can be had leave its cache line alone. */
static bool lane_hold(struct lane *lane)
{
	if (atomic_load_explicit(&lane->held, memory_order_relaxed) ||
	    pthread_mutex_trylock(&lane->lock) != 0)
		return false;
	atomic_store_explicit(&lane->held, true, memory_order_relaxed);
	return true;
}

static void lane_release(struct lane *lane)
{
	atomic_store_explicit(&lane->held, false, memory_order_relaxed);
	pthread_mutex_unlock(&lane->lock);
}

/* Batches of a file between the last one taken and the worker's next. */
static uint64_t file_behind(const struct worker *worker)
{
	const struct lane *lane = worker->lane;

	if (lane_live(lane))
		return AHEAD;
	return atomic_load_explicit(&lane->taken, memory_order_relaxed) -
	       atomic_load_explicit(&worker->next, memory_order_relaxed);
}

/* Whether frames may be taken: of a file that is read in parts by several, by
 * the reader of the next part. */
static bool lane_open(const struct lane *lane, const struct worker *worker)
{
	const struct capture_part *turn =
		atomic_load_explicit(&lane->turn, memory_order_relaxed);

	return (!turn || turn == worker->part) && !atomic_load(&lane->ended);
}

/* Under the lock: tells whose turn it is.  'more': of the frames at hand, for
 * whoever has time. */
static void turn_tell(struct lane *lane, bool more)
{
	const struct capture_part *turn = feed_part_next(lane->feed);

	if (more)
		turn = NULL;
	else if (!turn && !lane->whole)
		turn = TURN_RESERVE;
	atomic_store_explicit(&lane->turn, turn, memory_order_relaxed);
}

/* Under the lock: reserves a part for the worker, which has none. */
static void part_reserve(struct lane *lane, struct worker *worker)
{
	worker->part =
		feed_ahead(lane->feed, worker->shard, &worker->part_source);
	atomic_store_explicit(&lane->whole, !worker->part,
			      memory_order_relaxed);
	worker->part_unread = worker->part != NULL;
}

/* Under the lock: the worker has read its part. */
static void part_settle(struct lane *lane, struct worker *worker)
{
	if (!worker->part_lent)
		return;
	worker->part_lent = false;
	feed_source_return(lane->feed, worker->part_source, 1);
}

/* Not under the lock. */
static void part_read(struct worker *worker)
{
	if (!worker->part_unread)
		return;
	capture_part_read(worker->part_source->capture, worker->part);
	worker->part_unread = false;
	worker->part_lent = true;
}

/* Under the lock: whose turn it is after frames were taken; 'more' are there
 * to be taken without a part. */
static void turn_pass(struct lane *lane, struct worker *worker, bool more)
{
	const struct capture_part *turn = feed_part_next(lane->feed);

	if (worker->part && turn != worker->part &&
	    atomic_load_explicit(&lane->turn, memory_order_relaxed) ==
		    worker->part)
		worker->part = NULL; /* it is in the batch */
	if (!turn ||
	    worker->part_source != &lane->feed->sources[lane->feed->at])
		worker->part = NULL; /* it was, or is void */
	if (!worker->part && file_behind(worker) < AHEAD)
		part_reserve(lane, worker);
	else
		atomic_store_explicit(&lane->whole, false,
				      memory_order_relaxed);
	turn_tell(lane, more);
}

/* Reserves a part while the frames of others' are not taken yet. */
static bool lane_reserve(struct lane *lane, struct worker *worker)
{
	if (worker->part || file_behind(worker) >= AHEAD ||
	    atomic_load_explicit(&lane->whole, memory_order_relaxed) ||
	    atomic_load(&lane->ended) || !lane_hold(lane))
		return false;
	part_settle(lane, worker);
	part_reserve(lane, worker);
	if (atomic_load(&lane->turn) == TURN_RESERVE)
		turn_tell(lane, false);
	lane_release(lane);
	part_read(worker);
	return true;
}

/* What a batch of frames is for. */
static void batch_prepare(struct lane *lane, struct worker *worker,
			  struct batch *batch)
{
	if (!lane_live(lane)) {
		lane_rouse(lane);
		batch_deal(batch, lane, worker->shard, worker->blocks);
		return;
	}
	if (atomic_load_explicit(&lane->busy, memory_order_relaxed))
		lane_call_help(lane);
	if (worker->lane != lane)
		batch_decode(batch, lane->engine);
}

/* Takes a batch: deals a file's, decodes another's. */
static enum taking lane_take(struct lane *lane, struct worker *worker)
{
	enum taking taking = TAKING_BUSY;
	struct batch *batch;
	uint64_t number = 0;

	if (!lane_open(lane, worker) || !lane_hold(lane))
		return TAKING_BUSY;
	lane_settle(lane, worker);
	part_settle(lane, worker);
	batch = batch_free(worker, lane);
	if (batch)
		taking = batch_fill(lane, batch, &number);
	if (batch && !lane_live(lane))
		turn_pass(lane, worker,
			  taking == TAKING_DONE &&
				  batch->frame_count == BATCH_MAX);
	if (taking == TAKING_EMPTY && atomic_load(&lane->turn))
		taking = TAKING_BUSY; /* its part is not read yet */
	lane_release(lane);
	if (atomic_load(&lane->ended))
		lane_rouse(lane);
	if (taking == TAKING_DONE) {
		batch_prepare(lane, worker, batch);
		atomic_store(&lane->slots[number & lane->slot_mask].ready,
			     number + 1);
		lane_rouse(lane);
	}
	part_read(worker);
	return taking;
}

/* Meters the next batch, if it is there. */
static bool lane_meter(struct worker *worker)
{
	struct lane *lane = worker->lane;
	uint64_t next =
		atomic_load_explicit(&worker->next, memory_order_relaxed);
	struct lane_slot *slot = &lane->slots[next & lane->slot_mask];
	struct batch *batch;

	if (atomic_load(&slot->ready) != next + 1)
		return false;
	batch = slot->batch;
	if (worker->table && lane_live(lane))
		batch_meter(worker, batch);
	else if (worker->table)
		part_meter(worker, batch);
	atomic_store(&worker->next, next + 1);
	if (atomic_fetch_sub(&batch->left, 1) == 2)
		lane_rouse(lane);
	return true;
}

/* Of interfaces: decodes for a worker that has more than it can do. */
static bool lanes_help(struct worker *worker)
{
	struct engine *engine = worker->engine;

	for (size_t i = 1; i < engine->feed_count; i++) {
		size_t other = (worker->index + i) % engine->feed_count;
		struct lane *lane = &engine->lanes[other];

		if (atomic_load_explicit(&lane->busy, memory_order_relaxed) &&
		    lane_take(lane, worker) == TAKING_DONE)
			return true;
	}
	return false;
}

static bool worker_turn(struct worker *worker, bool *ret_empty)
{
	enum taking taking;

	*ret_empty = false;
	if ((worker->part || file_behind(worker) < AHEAD) &&
	    lane_take(worker->lane, worker) == TAKING_DONE)
		return true;
	if (!lane_live(worker->lane) && lane_reserve(worker->lane, worker))
		return true;
	if (lane_meter(worker))
		return true;
	taking = lane_take(worker->lane, worker);
	*ret_empty = taking == TAKING_EMPTY;
	return taking == TAKING_DONE || lanes_help(worker);
}

/* --- a worker's run ----------------------------------------------------- */

static bool lane_done(const struct worker *worker)
{
	const struct lane *lane = worker->lane;

	return atomic_load(&lane->ended) &&
	       atomic_load(&lane->taken) == worker->next;
}

/* A stopped file ends where it was read to.  What is in an interface's ring
 * is metered still; nothing new gets in, so that ends. */
static void lane_stop(struct worker *worker)
{
	struct lane *lane = worker->lane;

	if (atomic_load(&lane->ended))
		return;
	worker->lossless = true;
	pthread_mutex_lock(&lane->lock);
	if (lane_live(lane) && !lane->quiesced) {
		lane->quiesced = true;
		lane->quiesced_at = mono_now();
		feed_quiesce(lane->feed);
	} else if (!lane_live(lane) ||
		   mono_ns_between(lane->quiesced_at, mono_now()) > DRAIN_NS) {
		atomic_store(&lane->ended, true);
	}
	pthread_mutex_unlock(&lane->lock);
	lane_rouse(lane);
}

/* Sleeps until a lane moves on or, if the feed was found empty, until there
 * are frames in it. */
static void lane_wait(struct worker *worker, bool empty)
{
	struct pollfd fds[ENGINE_TARGETS_MAX + 1];
	struct lane *lane = worker->lane;
	nfds_t count = 0;

	/* Who holds it may be waiting for engine_poll()'s caller. */
	if (pthread_mutex_trylock(&lane->lock) == 0) {
		lane_settle(lane, worker);
		feed_take_back(lane->feed);
		if (empty && !atomic_load(&lane->ended))
			count = feed_fds(lane->feed, fds + 1);
		feed_publish(lane->feed, false);
		pthread_mutex_unlock(&lane->lock);
	}
	worker_wait(worker, fds, count + 1,
		    atomic_load(&worker->engine->stop) ? RETIRE_MS : WAIT_MS);
}

static void lane_rest(struct worker *worker)
{
	bool empty;

	worker_publish(worker, false);
	if (worker->next == atomic_load(&worker->lane->taken))
		worker_time_pass(worker);
	if (worker->updating) /* the next slice is waiting */
		return;
	atomic_store(&worker->waits, true);
	if (!worker_turn(worker, &empty) && !lane_done(worker))
		lane_wait(worker, empty);
	atomic_store(&worker->waits, false);
}

/* The last worker of a lane gives back what is left, and closes it. */
static void lane_end(struct lane *lane)
{
	struct engine *engine = lane->engine;

	if (atomic_fetch_sub(&lane->metering, 1) != 1)
		return;
	pthread_mutex_lock(&lane->lock);
	for (size_t i = 0; i < engine->worker_count; i++)
		lane_settle(lane, &engine->workers[i]);
	atomic_store(&lane->feed->ended, true);
	feed_publish(lane->feed, true);
	pthread_mutex_unlock(&lane->lock);
	engine_wake(engine->poll_fd);
}

void lane_run(struct worker *worker)
{
	uint32_t idle = 0;
	bool empty;

	while (!lane_done(worker)) {
		if (atomic_load(&worker->engine->stop))
			lane_stop(worker);
		idle = worker_turn(worker, &empty) ? 0 : idle + 1;
		worker_answer(worker);
		if (idle == 0)
			worker_publish(worker, false);
		else if (idle < SPINS && !empty)
			spin();
		else if (idle < SPINS + YIELDS && !empty &&
			 !lane_live(worker->lane))
			sched_yield();
		else
			lane_rest(worker);
	}
	worker->lossless = true;
	if (worker->table && worker->lane->shard_count > 1)
		flow_table_advance(worker->table, worker->timeline.newest);
	lane_end(worker->lane);
}

/* --- making ------------------------------------------------------------- */

int lane_init(struct engine *engine, struct lane *lane, uint16_t index)
{
	uint32_t count = 1;

	while (count < engine->worker_count * BATCHES)
		count *= 2;
	lane->engine = engine;
	lane->feed = &engine->feeds[index];
	lane->owner = index;
	lane->shard_count =
		lane_live(lane) ? 1 : (uint16_t)engine->worker_count;
	atomic_init(&lane->metering, lane->shard_count);
	lane->slot_mask = count - 1;
	pthread_mutex_init(&lane->lock, NULL);
	lane->slots = aligned_alloc(64, count * sizeof *lane->slots);
	if (!lane->slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		atomic_init(&lane->slots[i].ready, 0);
	return 0;
}

void lane_fini(struct lane *lane)
{
	if (!lane->engine)
		return;
	free(lane->slots);
	pthread_mutex_destroy(&lane->lock);
}
