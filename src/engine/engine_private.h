/* Inside the engine.
 *
 *     feed.c     captures of one thread: frames in, interfaces numbered
 *     deliver.c  frames lent to engine_poll() and back
 *     worker.c   the metering thread: decode, meter, answer requests
 *     reader.c   files with several workers: one thread decodes and deals
 *     collect.c  records to the caller
 *     ledger.c   sums, and whether they add up
 *     engine.c   making, starting, ending
 *
 * A feed belongs to the thread that reads it: a worker, or the reader.  What
 * other threads may look at is published under a lock, at most every
 * PUBLISH_NS, so that the packet path shares nothing.
 */
#ifndef ENGINE_PRIVATE_H
#define ENGINE_PRIVATE_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/ring.h"
#include "engine/engine.h"

#define BATCH           64    /* frames decoded and metered at once */
#define INTERFACES_MAX  65534 /* names in a session; beyond: none */
#define FAULTS_MAX      64
#define RECORDS_COUNT   16384 /* records between a worker and the caller */
#define DEALT_COUNT     4096  /* packets between reader and a worker */
#define DELIVERED_COUNT 16384 /* frames between a feed and engine_poll() */
#define PUBLISH_NS      50000000
#define WAIT_MS         50 /* the longest a thread sleeps before it looks */
#define ADVANCE_LAG_NS  INT64_C(1000000000) /* frames wait in rings */
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
	uint32_t lent;  /* frames of it that engine_poll()'s caller holds */
	uint64_t taken; /* frames: the next one's ordinal */
	struct sampler sampler;
	uint16_t *numbers; /* by the capture's own index; 0xffff: ask */
	uint32_t number_count;
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
	struct wall newest;             /* of the packets, and time passed */
	int64_t step_ns;                /* what counts as set back */
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
	struct feed *feed;       /* NULL: fed by the reader */
	struct ring dealt;       /* struct packet, reader -> worker */
	struct wall dealt_until; /* the time it was told; the reader's */
	atomic_bool dealt_ended;
	struct flow_table *table;
	struct ring records; /* worker -> collector: of a flow_record what
				flow_record_size() says; with the table */
	bool pushed;         /* records that the collector was not told of */
	bool lossless;       /* wait for the collector, never lose */
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

struct reader {
	struct engine *engine;
	struct feed *feed;
	pthread_t thread;
	bool started;
	int wake_fd;
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
	struct reader *reader; /* files with several workers, else NULL */
	uint64_t epoch;        /* this start, ns; worker i adds i */
	struct sample_seed sample_seed;
	bool started;
	atomic_bool stop;

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
 * count, 0 or ERR_END; *ret_source is where the frames came from. */
int feed_open(struct engine *engine, struct feed *feed, uint16_t worker,
	      struct fault *ret_fault);
int feed_next(struct feed *feed, struct frame *ret_frames,
	      struct source **ret_source);
void feed_wait(struct feed *feed, int wake_fd, int timeout_ms);
void feed_publish(struct feed *feed, bool now);
void feed_close(struct feed *feed);
void feed_source_close(struct feed *feed, struct source *source);
uint16_t feed_interface(struct feed *feed, struct source *source,
			uint16_t index);
/* Before the first frame: has options.sample apply to each source. */
void feed_sample(struct feed *feed);
/* Decodes those of 'count' frames, at most BATCH, that sampling takes; returns
 * how many packets, in order. */
size_t feed_decode(struct feed *feed, struct source *source,
		   const struct frame *frames, int count,
		   struct packet *ret_packets);

/* How many of the packets lie on one timeline; *ret_rewind: it begins anew
 * with the first of them (see flow_table_rewind()). */
size_t feed_timeline(struct feed *feed, const struct packet *packets,
		     size_t count, bool *ret_rewind);
void feed_time_pass(struct feed *feed, struct wall now);

/* deliver.c.  Hands frames to engine_poll(), or back to the capture. */
void feed_deliver(struct feed *feed, struct source *source,
		  const struct frame *frames, int count);
void feed_take_back(struct feed *feed);

/* Between packets the reader tells every worker the time: before time begins
 * anew, which 'packets' says, and at the end.  So a flow ends for the same
 * reason whatever else its worker has seen. */
static inline bool packet_is_time(const struct packet *packet)
{
	return packet->tuple.ip_version == 0;
}

/* worker.c, reader.c */
int worker_init(struct engine *engine, struct worker *worker, uint16_t index);
void worker_fini(struct worker *worker);
int worker_table_make(struct worker *worker);
bool worker_find(struct worker *worker, struct lookup *lookup);
/* Threads: 'argument' is the worker, the reader. */
void *worker_main(void *argument);
void *reader_main(void *argument);
uint16_t tuple_shard(const struct packet_tuple *tuple, uint16_t count);

/* ---- memory.c */

/* Bytes of memory that this process may use: the machine's, or what its
 * control group leaves of it. */
uint64_t memory_limit(void);

#endif
