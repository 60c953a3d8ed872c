/* The pipeline and its threads: captures -> workers -> records.
 *
 *     frame -> packet_decode() -> flow_table_meter() -> record -> caller
 *
 * A worker is a thread that owns one capture of every target (a fanout
 * member) or, for files, takes frames from one reading thread; and one flow
 * table.  Records leave each worker by a single-producer ring and are handed
 * to the caller by engine_collect(), on the caller's thread: there is the
 * only place where shards meet.
 *
 *     create -> start -> collect* -> stop -> collect* until ERR_END -> destroy
 *
 * Threads: create, start, collect, destroy from one thread, the owner's;
 * poll and release from one thread, the same or another; stop, ledger,
 * lookup and update requests from any.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/err.h"
#include "base/sample.h"
#include "capture/capture.h"
#include "engine/exchanger.h"
#include "engine/watch.h"
#include "flow/flow.h"
#include "kernel/kernel.h"
#include "probe/probe.h"

struct engine;

#define ENGINE_WORKERS_MAX 64
#define ENGINE_TARGETS_MAX 64    /* interfaces of one session */
#define ENGINE_FILES_MAX   65535 /* files of one session, read in turn */

struct engine_options {
	const char *const *targets; /* interfaces or files, see capture.h */
	size_t target_count;
	const char *backend; /* NULL: auto */
	uint64_t ring_size;  /* of the session, divided over its captures */
	uint32_t snap_size;
	bool promiscuous;
	const char *filter;
	enum capture_stamp stamp;
	uint16_t workers; /* 0: 1 */
	/* emit, context, epoch, secret, flow_count_max, sampled and
	 * sample_seed: ours.  A flow_count of 0: FLOW_COUNT_PRESET on
	 * interfaces; of files as many flows are kept as there are, in up to
	 * half of the memory. */
	struct flow_options flow;
	/* Which frames are decoded and metered; engine_poll() has them all.
	 * Each capture's frames are a stream by themselves. */
	struct sample_options sample;
	/* What is drawn, of frames and of flows, depends on this: 0 is one
	 * number for files, so that they meter the same each time, and one
	 * that nobody knows for interfaces. */
	uint64_t sample_seed;
	bool meter;    /* decode and meter; else only deliver */
	bool deliver;  /* frames to engine_poll() */
	bool flush;    /* at the end, emit the flows still live */
	bool nameless; /* records need no Community ID */
	/* Called from engine_collect(): a record that ended, or (end_reason
	 * NONE) a live flow that was asked for by engine_update().  Borrowed
	 * during the call; there are flow_record_size() bytes of it, and no
	 * more. */
	void (*record)(void *context, const struct flow_record *record);
	void *context;
};

/* Where frames end between the capture and the flow table.  X as ever. */
#define ENGINE_COUNTERS(X)                                            \
	X(frames, "frames", "taken from the captures")                \
	X(selected, "frames", "given to the decoder")                 \
	X(not_selected, "frames", "left out by packet sampling")      \
	X(decoded, "frames", "decoded to a packet")                   \
	X(records, "records", "handed to the sinks")                  \
	X(records_lost, "records",                                    \
	  "not handed to the sinks: they did not keep up")            \
	X(updates, "records", "live flows reported")                  \
	X(updates_late, "requests",                                   \
	  "updates not begun: the last one was still being answered") \
	X(delivered, "frames", "handed to capture_poll")              \
	X(delivery_dropped, "frames",                                 \
	  "not handed to capture_poll: its reader did not keep up")

struct engine_counters {
	ENGINE_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row engine_counter_rows[];
extern const size_t engine_counter_count;

/* Everything counted, from the wire to the records. */
struct engine_ledger {
	struct capture_counters capture;
	struct engine_counters engine;
	uint64_t verdicts[VERDICT_COUNT]; /* frames by verdict */
	struct flow_counters flow;
	uint64_t live; /* flows */
};

/* Opens every capture; whatever needs privilege happens here.  Returns 0 or
 * a code with its sentence, as capture_open(); then nothing is left. */
int engine_create(const struct engine_options *options,
		  struct engine **ret_engine, struct fault *ret_fault);

/* Whether what is sampled goes together: frames, flows and what flows tell.
 * As sample_check(); engine_create() asks as well. */
int engine_sampling_check(const struct engine_options *options,
			  struct fault *ret_fault);

/* Replaces options.flow and sets options.meter, before engine_start().
 * Returns 0 or ERR_STATE. */
int engine_meter(struct engine *engine, const struct flow_options *flow);

/* The same for options.sample; these pass sample_check(). */
int engine_sample(struct engine *engine, const struct sample_options *sample);

/* This session's start, ns since 1970: the epoch of the first worker's
 * records; the n-th worker's (from 0) is n more. */
uint64_t engine_epoch(const struct engine *engine);

/* Takes the flow tables' memory and starts the workers.  Returns 0,
 * ERR_STATE, -EINVAL (a flow option out of range), -ENOMEM or another
 * negative errno. */
int engine_start(struct engine *engine);

/* Hands waiting records to the callback; waits up to timeout_ms for the
 * first.  Returns how many, or ERR_END: every worker has ended (end of the
 * files, or stopped) and every record was handed over. */
int engine_collect(struct engine *engine, int timeout_ms);

/* Asks every worker to report, once, each live flow with a packet since
 * 'since'; the reports come through engine_collect().  A request while the
 * last one is still being answered is not taken: returns false. */
bool engine_update(struct engine *engine, struct wall since);

/* True while an update is still being answered. */
bool engine_updating(const struct engine *engine);

/* Ends capturing: what is in the rings is still metered, every flow is
 * emitted with FLOW_END_FORCED.  Async-signal-safe. */
void engine_stop(struct engine *engine);

/* A frame lent to engine_poll()'s caller until engine_release(). */
struct engine_frame {
	struct frame frame;
	uint16_t interface; /* number for engine_interface() */
	uint16_t feed;      /* the engine's, as is the next */
	uint16_t source;
};

/* Takes up to 'max' frames that the workers delivered (options.deliver).
 * Waits up to timeout_ms for the first.  Returns how many, 0, or ERR_END
 * when the engine has ended and nothing is left.  One thread at a time. */
int engine_poll(struct engine *engine, int timeout_ms, int max,
		struct engine_frame *ret_frames);

/* Gives frames back, in any order.  The thread of engine_poll(), or under
 * the same lock. */
void engine_release(struct engine *engine, const struct engine_frame *frames,
		    int count);

/* The live flow of 'tuple' in any worker; false: none.  Interface
 * ENGINE_INTERFACE_ANY finds it on whichever saw it first.  While running it
 * waits for the workers' answer; after the end it works as well. */
#define ENGINE_INTERFACE_ANY UINT16_MAX
bool engine_lookup(struct engine *engine, const struct packet_tuple *tuple,
		   struct flow_record *ret_record);

/* The sums over all workers, at most 100 ms old while running, exact after
 * the end. */
void engine_ledger(struct engine *engine, struct engine_ledger *ret_ledger);

/* Whether the ledger adds up; else *ret_fault says which sum does not.
 * Holds exactly once the engine has ended. */
bool engine_ledger_sound(const struct engine_ledger *ledger,
			 struct fault *ret_fault);

/* Live flows of every worker once the engine has ended (nothing before). */
void engine_visit(struct engine *engine,
		  void (*visit)(void *context,
				const struct flow_record *record),
		  void *context);

/* The first failure of a capture (a damaged file, an interface gone), by
 * index from 0; NULL after the last.  The sentence names the target. */
const char *engine_fault(const struct engine *engine, size_t index);

/* 0 to 1 over all files, negative if not known. */
double engine_progress(const struct engine *engine);

/* The session's interfaces by number (packet_tuple.interface); NULL: none. */
const char *engine_interface(const struct engine *engine, uint16_t number);

/* Ends (as engine_stop) and frees; NULL is fine. */
void engine_destroy(struct engine *engine);

/* ---- round trips: stamps from inside the kernel ------------------------- */

struct watcher;

/* X(name, unit, line) */
#define WATCHER_COUNTERS(X)                                              \
	X(bpf_taken, "stamps", "by BPF")                                 \
	X(bpf_lost, "stamps", "by BPF, for want of room in its ring")    \
	X(bpf_unread, "packets",                                         \
	  "not stamped by BPF: their number lay beyond the first page")  \
	X(bpf_unjoined, "wake-ups", "of the socket for no packet known") \
	X(bpf_strange, "stamps", "by BPF, of packets not known")

struct watcher_counters {
	WATCHER_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row watcher_counter_rows[];
extern const size_t watcher_counter_count;

struct watcher_options {
	enum tier tier; /* at most; TIER_FUNCTION: as high as can be had */
	bool forced;    /* this tier and no lower one */
	struct kernel_points_options points; /* 'tier' is ours */
};

/* Attaches what the tier needs, which takes a privilege from T2 on.  Returns
 * 0, with a lower tier unless 'forced', or a negative code and *ret_fault. */
int watcher_open(const struct watcher_options *options,
		 struct watcher **ret_watcher, struct fault *ret_fault);
/* After its sender or reflector; NULL is fine. */
void watcher_close(struct watcher *watcher);

enum tier watcher_tier(const struct watcher *watcher);
/* Why it is not higher, or what it lacks; "": nothing. */
const char *watcher_note(const struct watcher *watcher);
/* For the options of sender or reflector; NULL below T2. */
const struct probe_watch *watcher_probe(const struct watcher *watcher);

/* On the thread that sends or reflects: from now on it is watched.  Takes
 * the same privilege.  Returns 0 or a negative code (the tier is T1 then). */
int watcher_sender(struct watcher *watcher, struct sender *sender,
		   const struct sockaddr *remote);
int watcher_reflector(struct watcher *watcher, struct reflector *reflector,
		      const struct sockaddr_storage *local);

/* On that thread, or when it has ended. */
struct watcher_counters watcher_counters(const struct watcher *watcher);

/* Gives back every capability of this thread, for good; threads started
 * later have none either.  Returns 0 or -errno. */
int privileges_drop(void);

/* ---- round trips: the thread of a sender ------------------------------- */

struct path;

#define PATH_CPU_ANY     (-1)
#define PATH_TRIPS_COUNT 65536 /* between the thread and its reader */

struct path_options {
	struct sender_options sender; /* emit, context: ours */
	enum tier tier;   /* at most; TIER_FUNCTION: as high as can be had */
	bool tier_forced; /* this tier and no lower one */
	int cpu;          /* the thread runs on this one alone; PATH_CPU_ANY */
	bool realtime;    /* SCHED_FIFO where permitted, else as it is */
};

/* Opens the socket and starts the thread, which gives back its capabilities
 * when it has attached everything; the caller's are its own affair.  Returns
 * 0 or a negative code and *ret_fault says why. */
int path_start(const struct path_options *options, struct path **ret_path,
	       struct fault *ret_fault);

/* Hands trips that are complete or given up to 'trip', in order; waits for
 * one up to 'timeout_ms'.  Returns how many, 0, or ERR_END: that was all. */
int path_collect(struct path *path, int timeout_ms,
		 void (*trip)(void *context, const struct trip *trip),
		 void *context);

/* No further packets; what is under way is awaited.  Any thread, or a signal
 * handler. */
void path_stop(struct path *path);

/* Stops and joins the thread; NULL is fine. */
void path_destroy(struct path *path);

/* Valid once path_collect() said ERR_END; before, as of a moment ago. */
struct sender_counters path_counters(struct path *path);
point_set path_points(struct path *path); /* see sender_points() */
/* Only what is fixed from the start, or after ERR_END. */
const struct sender *path_sender(const struct path *path);
/* What stamps the packets; complete once path_collect() said ERR_END. */
const struct watcher *path_watcher(const struct path *path);
/* Trips that found no room because the reader did not keep up. */
uint64_t path_trips_lost(struct path *path);

#endif
