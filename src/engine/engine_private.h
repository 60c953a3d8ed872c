/* Inside the engine.
 *
 *     feed.c     captures of one thread: frames in, interfaces numbered
 *     deliver.c  frames lent to engine_poll() and back
 *     timeline.c the clock of the packets, and where it was set back
 *     worker.c   the thread: its table, its records, its answers
 *     direct.c   one worker: frames in, decoded, metered
 *     pages.c    pages touched before a file's flows need them
 *     lane.c     several workers: batches in order, dealt by whoever has
 *                time, metered by those whose shards they are
 *     batch.c    one batch: dealt; one shard's part decoded and metered
 *     collect.c  records to the caller
 *     ledger.c   sums, and whether they add up
 *     engine.c   making, starting, ending
 *
 * A feed belongs to its worker or, where there are several, to whoever holds
 * its lane's lock.  What other threads may look at is published under a lock,
 * at most every PUBLISH_NS, so that the packet path shares nothing.
 */
#ifndef ENGINE_PRIVATE_H
#define ENGINE_PRIVATE_H

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/ring.h"
#include "engine/engine.h"

#define BATCH          64    /* frames decoded and metered at once */
#define BATCH_MAX      2048  /* frames of one batch in a lane */
#define BATCHES        16    /* a worker has for lanes; half to help with */
#define INTERFACES_MAX 65534 /* names in a session; beyond: none */
#define FAULTS_MAX     64
/* Records between a worker and the caller: a file's worker waits for room, and
 * fewer stay in the cache. */
#define RECORDS_COUNT      16384
#define RECORDS_COUNT_FILE 4096
#define DELIVERED_COUNT    16384 /* frames between a feed and engine_poll() */
#define PUBLISH_NS         50000000
#define WAIT_MS            50 /* the longest a thread sleeps before it looks */
#define DRAIN_NS           (2 * NS_PER_S) /* the longest end of a live capture */
#define RETIRE_MS          10             /* the last block comes by a timer */
#define ADVANCE_LAG_NS     INT64_C(1000000000) /* frames wait in rings */
/* Packets this far before the latest one (and farther than the idle timeout)
 * were not merely late, they find no flow: the clock was set back.  Between
 * two files less says so: the second is of another time. */
#define STEP_NS      INT64_C(60000000000)
#define FILE_STEP_NS INT64_C(1000000000)

struct engine;

/* One capture, and how its interfaces are numbered in the session. */
struct source {
	const char *target;
	struct capture *capture; /* NULL: not open (yet, or any more) */
	bool live;
	bool ended;
	uint32_t lent;  /* frames of it in a lane, or with engine_poll() */
	uint64_t taken; /* frames: the next one's ordinal */
	struct sampler sampler;
	uint16_t *numbers; /* by the capture's own index; 0xffff: ask */
	uint32_t number_count;
};

struct shard_key {
	uint64_t words[4];
};

/* What became of frames. */
struct decode_counts {
	uint64_t selected;
	uint64_t not_selected;
	uint64_t decoded;
	uint64_t verdicts[VERDICT_COUNT];
};

/* The counts of one feed's thread. */
struct feed_counts {
	struct capture_counters capture;
	struct engine_counters engine;
	uint64_t verdicts[VERDICT_COUNT];
};

struct feed {
	struct engine *engine;
	uint16_t index;
	struct source *sources;
	size_t source_count;
	size_t at; /* live: next to ask; files: the current one */
	bool live;
	struct capture_counters closed; /* of sources already closed */
	struct feed_counts counts;

	/* Frames lent to engine_poll(). */
	struct ring delivered; /* struct engine_frame, feed -> poll */
	struct ring returned;  /* struct engine_frame, poll -> feed */
	uint32_t lent;         /* by this feed's count */
	atomic_bool ended;     /* nothing more after what is in 'delivered' */

	pthread_mutex_t lock;
	struct feed_counts published; /* under 'lock' */
	double progress;              /* under 'lock' */
	struct mono published_at;
};

/* The packets' clock.  Each worker keeps one for itself: the same packets in
 * the same order tell all of them the same. */
struct timeline {
	struct wall newest;          /* of the packets, and time passed */
	int64_t step_ns;             /* what counts as set back */
	int64_t step_preset_ns;      /* ... within a file or a capture */
	const struct source *source; /* of the last packets */
};

#define BLOCK     32U /* packets that a table meters at once */
#define BLOCK_MAX (BATCH_MAX / BLOCK + ENGINE_WORKERS_MAX)

/* Packets on their way into a block. */
struct deal_block {
	struct packet_brief briefs[BLOCK];
};

/* One worker's part of a batch: its blocks are a chain, all full but the
 * last. */
struct part {
	_Alignas(64) uint32_t count; /* packets */
	uint16_t first;
	uint16_t last;
};

/* Frames on their way through a lane. */
struct batch {
	struct source *source;
	uint32_t frame_count;
	uint32_t packet_count;
	uint16_t block_count;
	uint16_t own_count; /* blocks from the end */
	bool in_order;      /* no packet is earlier than one before it */
	bool raw;           /* of an interface: not decoded yet */
	bool lent; /* its frames are not given back yet; under the lock */
	struct wall oldest;
	struct wall newest;
	uint64_t ordinal; /* of the first frame in its source */
	struct decode_counts counts;
	struct part parts[ENGINE_WORKERS_MAX];
	uint16_t block_next[BLOCK_MAX];
	uint8_t shard_of[BATCH_MAX]; /* by packet */
	/* How many shards are still to be metered, and one more until the
	 * frames are given back; 0: free. */
	_Alignas(64) _Atomic uint32_t left;
	_Alignas(64) uint16_t interfaces[BATCH_MAX]; /* the session's numbers,
							by frame */
	struct frame frames[BATCH_MAX];
	/* By place in the blocks.  Of what does not fit, a brief has the time
	 * and ip_version 0, and for addresses the index in 'packets' and the
	 * shard.  An interface's batch has all in 'packets'. */
	struct packet_brief briefs[BLOCK_MAX * BLOCK];
	_Alignas(64) struct packet packets[BATCH_MAX];
};

static_assert(BLOCK_MAX <= UINT16_MAX && ENGINE_WORKERS_MAX <= UINT8_MAX,
	      "numbers of blocks and shards have room");

struct lane_slot {
	_Alignas(64) _Atomic uint64_t ready; /* the batch's number plus 1 */
	struct batch *batch;
};

/* A feed's batches in the order in which they were taken. */
struct lane {
	struct engine *engine;
	struct feed *feed;
	uint16_t shard_count; /* all workers meter it, or its owner alone */
	uint16_t owner;
	struct lane_slot *slots;
	uint32_t slot_mask; /* their count, a power of two, less 1 */

	/* Who holds it may use the feed.  Nothing waits for it. */
	_Alignas(64) pthread_mutex_t lock;
	atomic_bool held; /* perhaps: not worth an attempt */
	uint64_t given;   /* batches whose frames were given back */
	/* The part that frames come from next: its reader's turn.  NULL:
	 * whoever has time. */
	_Atomic(const struct capture_part *) turn;
	atomic_bool whole; /* there was no part to reserve */
	struct mono quiesced_at;
	bool quiesced;

	_Alignas(64) _Atomic uint64_t taken; /* batches, under 'lock' */
	atomic_bool ended;                   /* 'taken' stays as it is */
	atomic_bool busy;                    /* more is waiting than fits */
	_Atomic uint32_t metering;           /* workers not done with it */
};

struct lookup {
	struct packet_tuple tuple;
	struct flow_record record;
	bool found;
};

struct worker {
	struct engine *engine;
	uint16_t index;
	pthread_t thread;
	bool started;
	int wake_fd;
	struct feed *feed;     /* the one worker's; NULL: there is a lane */
	struct lane *lane;     /* whose batches it meters */
	uint16_t shard;        /* of it */
	_Atomic uint64_t next; /* batch of it to meter */
	struct batch *batches[BATCHES];
	struct deal_block *blocks;  /* of a file: one a shard */
	struct capture_part *part;  /* read ahead, its turn to come */
	struct source *part_source; /* that it is of */
	bool part_unread;           /* it is reserved only */
	bool part_lent;             /* it was read, which is to be told */
	atomic_bool waits;          /* to be woken by whoever moves a lane on */
	struct timeline timeline;
	struct flow_table *table;
	struct ring records;   /* worker -> collector: of a flow_record what
				  flow_record_size() says; with the table */
	uint32_t records_half; /* of its room */
	bool pushed;           /* records that the collector was not told of */
	bool lossless;         /* wait for the collector, never lose */
	uint64_t records_lost, updates;

	uint64_t update_seen; /* generation answered or being answered */
	uint64_t update_cursor;
	bool updating;
	atomic_ullong update_done;       /* generation fully answered */
	_Atomic(struct lookup *) lookup; /* asked by engine_lookup() */

	pthread_mutex_t lock;
	struct flow_counters published; /* under 'lock' */
	uint64_t published_live, published_lost, published_updates;
	struct mono published_at;

	atomic_bool ended; /* no more records after those in the ring */
};

/* Interfaces by name: an open hash table, by the hash of the whole name. */
#define NAME_SLOTS (1U << 17)

struct name_slot {
	uint64_t hash;
	uint16_t number;
	bool used;
};

static_assert(INTERFACES_MAX < NAME_SLOTS, "there is always a free one");

struct engine {
	struct engine_options options;
	char **targets; /* copies */
	struct feed *feeds;
	size_t feed_count;
	struct worker *workers;
	size_t worker_count;
	struct lane *lanes; /* one a feed with several workers, else NULL */
	struct shard_key shard_key; /* random: nobody can aim at one worker */
	uint64_t epoch;             /* this start, ns; worker i adds i */
	struct sample_seed sample_seed;
	bool started;
	atomic_bool stop;

	pthread_t pages_thread;
	bool pages_started;
	atomic_bool pages_end;
	int pages_fd; /* eventfd: a table has grown, or it is to end */

	int collect_fd; /* eventfd: records wait */
	atomic_bool collect_waits;
	int poll_fd; /* eventfd: frames wait */
	atomic_bool poll_waits;
	atomic_ullong records_out;

	atomic_ullong update_generation;
	atomic_llong update_since;
	atomic_ullong updates_late;

	pthread_mutex_t lookup_lock;

	pthread_mutex_t names_lock;
	char (*names)[FLOW_INTERFACE_NAME_SIZE];
	struct name_slot *name_slots;
	_Atomic uint32_t name_count;

	pthread_mutex_t faults_lock;
	struct fault faults[FAULTS_MAX];
	_Atomic uint32_t fault_count;
};

/* engine.c */
void engine_wake(int fd);
/* How far back a packet's time says that the clock was set back. */
int64_t engine_step_ns(const struct engine *engine);
void engine_fault_add(struct engine *engine, const char *sentence);

/* feed.c.  feed_open() opens or tries every target; feed_next() returns a
 * count, 0 or ERR_END; *ret_source is where the frames came from.  It waits
 * for a pipe's writer, up to timeout_ms, and for nothing else. */
int feed_open(struct engine *engine, struct feed *feed, uint16_t worker,
	      struct fault *ret_fault);
int feed_next(struct feed *feed, int timeout_ms, int count_max,
	      struct frame *ret_frames, struct source **ret_source);
/* Of a file: reserves the next part for the reader, which counts as one frame
 * lent of *ret_source; NULL: none. */
struct capture_part *feed_ahead(struct feed *feed, uint16_t reader,
				struct source **ret_source);
/* The part whose frames come next; NULL: they come as they are read. */
const struct capture_part *feed_part_next(const struct feed *feed);
/* What to poll for frames; ret_fds has room for ENGINE_TARGETS_MAX. */
nfds_t feed_fds(const struct feed *feed, struct pollfd *ret_fds);
/* Frames of 'source' came back; it may be over by now. */
void feed_source_return(struct feed *feed, struct source *source,
			uint32_t count);
void feed_publish(struct feed *feed, bool now);
/* Takes in no more; see capture_quiesce(). */
void feed_quiesce(struct feed *feed);
void feed_close(struct feed *feed);
void feed_source_close(struct feed *feed, struct source *source);
uint16_t feed_interface(struct feed *feed, struct source *source,
			uint16_t index);
/* Before the first frame: has options.sample apply to each source. */
void feed_sample(struct feed *feed);
/* The session's number of each frame's interface. */
void feed_interfaces(struct feed *feed, struct source *source,
		     const struct frame *frames, int count,
		     uint16_t *ret_numbers);

/* Frames of one source in a row. */
struct frame_part {
	const struct source *source;
	const struct frame *frames;
	const uint16_t *interfaces; /* the session's numbers */
	uint32_t count;
	uint64_t ordinal; /* of the first in its source */
};

/* What the decoder wants to know of a frame.  Its last four members are
 * written at once and all is written in its place: the decoder reads words,
 * and a load that spans several stores waits for them to reach the cache. */
static inline void frame_input(const struct frame *frame, uint16_t interface,
			       struct packet_input *ret_input)
{
	uint64_t word = (uint64_t)frame->link_type | (uint64_t)interface << 16 |
			(uint64_t)frame->gso_size << 32;

	static_assert(offsetof(struct packet_input, link_type) == 24 &&
			      offsetof(struct packet_input, interface) == 26 &&
			      offsetof(struct packet_input, gso_size) == 28,
		      "they are a word");
	ret_input->bytes = frame->bytes;
	ret_input->captured_size = frame->captured_size;
	ret_input->size = frame->size;
	ret_input->at = frame->stamp.at;
	if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
		word = (uint64_t)frame->link_type << 48 |
		       (uint64_t)interface << 32 |
		       (uint64_t)frame->gso_size << 16;
	memcpy((uint8_t *)ret_input + 24, &word, sizeof word);
}

#define DECODE_AHEAD 4 /* frames on their way to the cache */

/* The headers of most frames are in the first two cache lines. */
static inline void frame_prefetch(const uint8_t *bytes)
{
	__builtin_prefetch(bytes);
	__builtin_prefetch(bytes + 64);
}

/* Decodes those that sampling takes, adds to *counts; returns how many are
 * packets, written in order.  Any thread. */
size_t frames_decode(const struct frame_part *part,
		     struct decode_counts *counts, struct packet *ret_packets);
/* Adds what was decoded to the feed's counts. */
void feed_count(struct feed *feed, const struct decode_counts *counts);

/* timeline.c.  Packets of 'source' come next: of another file, and less says
 * that the clock was set back. */
void timeline_source(struct timeline *timeline, const struct source *source);

/* How many of the packets lie on one timeline; *ret_rewind: it begins anew
 * with the first of them (see flow_table_rewind()). */
size_t timeline_part(struct timeline *timeline, const struct packet *packets,
		     size_t count, bool *ret_rewind);

/* Takes in one packet's time.  True: the clock was set back to it. */
static inline bool timeline_take(struct timeline *timeline, struct wall at)
{
	bool rewind = wall_ns_between(at, timeline->newest) > timeline->step_ns;

	timeline->step_ns = timeline->step_preset_ns;
	if (rewind || wall_before(timeline->newest, at))
		timeline->newest = at;
	return rewind;
}

/* deliver.c.  Hands frames to engine_poll(), or back to the capture. */
void feed_deliver(struct feed *feed, struct source *source,
		  const struct frame *frames, int count);
void feed_take_back(struct feed *feed);

/* batch.c.  A batch's frames and 'interfaces' are there. */
/* Of a file: decodes all, and deals it to the shards; 'own' is that of who
 * deals, 'blocks' has one a shard. */
void batch_deal(struct batch *batch, const struct lane *lane, uint16_t own,
		struct deal_block *blocks);
/* Of an interface: decodes all. */
void batch_decode(struct batch *batch, const struct engine *engine);
/* Meters the worker's part. */
void part_meter(struct worker *worker, const struct batch *batch);
/* Meters a batch that is all the worker's, decoding it if it is raw. */
void batch_meter(struct worker *worker, struct batch *batch);
/* 0 to count - 1. */
uint16_t address_shard(const uint8_t address[2][16],
		       const struct shard_key *key, uint16_t count);

/* lane.c.  lane_init() after the workers are known, before they run. */
int lane_init(struct engine *engine, struct lane *lane, uint16_t index);
void lane_fini(struct lane *lane);
void lane_run(struct worker *worker);

/* collect.c.  What is left to do for a record that leaves. */
void record_finish(const struct engine *engine, struct flow_record *record);

/* direct.c */
void direct_run(struct worker *worker);

/* pages.c.  Starts the thread if there is a core for it: without it the
 * workers touch each page as they come to it. */
void pages_start(struct engine *engine);
void pages_stop(struct engine *engine);

/* worker.c */
int worker_init(struct engine *engine, struct worker *worker, uint16_t index);
void worker_fini(struct worker *worker);
int worker_table_make(struct worker *worker);
bool worker_find(struct worker *worker, struct lookup *lookup);
/* Meters packets that are all of its table, and in their order. */
void worker_meter(struct worker *worker, const struct packet *packets,
		  size_t count);
/* What is not packets: updates, lookups, records to announce. */
void worker_answer(struct worker *worker);
void worker_publish(struct worker *worker, bool now);
/* Live: time goes on without packets. */
void worker_time_pass(struct worker *worker);
/* Sleeps until a request, a readable one of 'fds' (from the second on; the
 * first is for the worker's own) or the time is up. */
void worker_wait(struct worker *worker, struct pollfd *fds, nfds_t count,
		 int timeout_ms);
/* Threads: 'argument' is the worker. */
void *worker_main(void *argument);

/* ---- memory.c */

/* Bytes of memory that this process may use: the machine's, or what its
 * control group leaves of it. */
uint64_t memory_limit(void);

#endif
