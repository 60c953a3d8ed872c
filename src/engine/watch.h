/* Who moved which bytes: the kernel's sockets joined with their owners.
 *
 * A watch opens the kernel's counters (kernel/sockets.h) and the table of
 * processes and containers (owner/owner.h), reads both once a second, adds up
 * and checks that nothing is missing.  It runs for exactly as long as asked:
 * counting stops at the deadline, whatever else goes on.
 *
 *     open -> turn* until ERR_END -> walk over what there is -> close
 *
 * Everything is bounded; what finds no room is counted, and the interval or
 * process that lacks it is flagged.
 *
 * Threads: an object belongs to one at a time, but for watch_stop(), which is
 * async-signal-safe.
 */
#ifndef ENGINE_WATCH_H
#define ENGINE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/err.h"
#include "kernel/kernel.h"
#include "owner/owner.h"

struct watch;

/* ---- where the numbers come from -------------------------------------------
 */

/* The three clocks at one moment; they were read within 'error_ns'. */
struct watch_clocks {
	struct mono mono;
	struct wall wall;
	int64_t boot_ns; /* CLOCK_BOOTTIME */
	int64_t error_ns;
};

/* The kernel's sockets, or a test's.  Every function but open() gets the
 * object that open() gave; each is as its namesake in kernel/sockets.h, blocks
 * as that does, and is called by the watch's thread. */
struct watch_feed {
	int (*open)(void *context, const struct kernel_sockets_options *options,
		    void **ret_object, struct fault *ret_fault);
	void (*close)(void *object);
	struct mono (*start)(void *object);
	uint32_t (*index)(void *object);
	int (*turn)(void *object, const struct kernel_sockets_visitor *visitor);
	int (*gather)(void *object,
		      const struct kernel_sockets_visitor *visitor);
	int (*stop)(void *object, const struct kernel_sockets_visitor *visitor,
		    struct mono *ret_end);
	struct kernel_sockets_counters (*counters)(void *object);
	size_t (*hooks)(void *object, const struct kernel_hook **ret_hooks);
	int (*measure)(void *object, bool on);
	struct kernel_sockets_cost (*cost)(void *object);
	const char *(*drop_name)(void *object, uint32_t reason);
	const char *(*reset_name)(void *object, uint32_t reason);
	/* The clocks now. */
	void (*clocks)(void *object, struct watch_clocks *ret_clocks);
	/* Sleeps until then, or until events should be gathered (true), or
	 * until somebody set the wall clock or a signal came (false).
	 * 'exact': at that moment, as well as the system can. */
	bool (*wait)(void *object, struct mono until, bool exact);
};

/* ---- options ---------------------------------------------------------------
 */

struct watch_filter {
	const uint32_t *pids; /* borrowed, as are the next */
	size_t pid_count;
	const char *const *containers; /* id, its beginning, or name */
	size_t container_count;
	const uint16_t *ports; /* either end's */
	size_t port_count;
};

struct watch_interval;
struct watch_socket;
struct watch_process;

/* NULL members are passed over.  What is handed over is borrowed until the
 * callback ends. */
struct watch_visitor {
	void *context;
	/* In order, each once, the empty ones too. */
	void (*interval)(void *context, const struct watch_interval *interval);
	/* A connection or socket is complete; in the last turn, also those
	 * that are still there. */
	void (*socket)(void *context, const struct watch_socket *socket);
	/* It changed since the last turn. */
	void (*sample)(void *context, const struct watch_socket *socket);
	/* With kernel.state_events. */
	void (*event)(void *context, const struct kernel_socket *socket);
	/* An ended one has to make room: it will not be met in a walk. */
	void (*process)(void *context, const struct watch_process *process);
};

/* Zero takes the value in brackets. */
struct watch_options {
	struct kernel_sockets_options kernel;
	struct owner_options owner;
	int64_t duration_ns;    /* 0: until watch_stop() */
	int64_t turn_ns;        /* [1 s] between readings */
	uint32_t process_limit; /* [65536] with bytes or sockets */
	uint32_t row_limit;     /* [1048576] buckets of one reading */
	bool per_socket;        /* rows of an interval are per socket too */
	bool no_measure;        /* do not sample what the programs cost */
	bool no_links;          /* no interfaces */
	struct watch_filter filter;
	struct watch_visitor visitor;
	const struct watch_feed *feed; /* NULL: the kernel's */
	void *feed_context;
};

/* ---- what is known ---------------------------------------------------------
 */

struct watch_container {
	struct owner_container owner; /* a copy */
	/* Sums over its processes: see watch_containers_sum(). */
	struct kernel_traffic traffic;
	uint64_t rx_other_bytes;
	uint32_t processes;
	uint64_t sockets, connections_active, connections_passive;
	uint64_t connections_failed, retransmits, drop_packets;
	double tx_bps, rx_bps; /* bytes a second, in the last turn */
	/* Of processes that had to make room. */
	struct kernel_traffic gone;
	uint64_t gone_rx_other_bytes, gone_sockets, gone_active, gone_passive;
	uint64_t gone_failed, gone_retransmits, gone_drop_packets;
	uint32_t gone_processes;
};

struct watch_process {
	struct kernel_process_key key;
	bool others; /* those without room of their own, together */
	bool ended;
	bool exact; /* else these are the least that it moved */
	const struct owner_process *owner;       /* NULL: not known */
	const struct watch_container *container; /* NULL: in none */
	char comm[KERNEL_COMM_SIZE];             /* "": not known */
	struct kernel_traffic traffic;
	struct kernel_traffic classes[KERNEL_CLASS_COUNT];
	uint64_t rx_other_bytes;
	uint64_t sockets; /* that it used, made or listened on */
	uint64_t connections_active, connections_passive, connections_failed;
	uint64_t established, connections_max;
	uint64_t retransmits, resets_sent, resets_received, drop_packets;
	uint64_t peak_tx_bytes, peak_rx_bytes; /* in its busiest interval */
	double tx_bps, rx_bps;
};

/* A connection, or a socket that has none.  The traffic in 'kernel' is of the
 * socket since it was first seen; 'traffic' and 'owner_traffic' are of this
 * line: all lines of one socket add up to it. */
struct watch_socket {
	const struct kernel_socket *kernel;
	bool ended;
	bool end_lost; /* the last reading is all there is */
	struct kernel_traffic traffic;
	uint64_t rx_other_bytes, other_tx_bytes, other_rx_bytes;
	struct kernel_traffic owner_traffic[KERNEL_OWNERS_MAX];
	struct watch_process_name {
		struct kernel_process_key key; /* {0, 0}: none, or the kernel */
		const char *comm;              /* "": not known */
		const struct watch_container *container;
	} owners[KERNEL_OWNERS_MAX], creator, listener;
	const struct watch_container
		*container;     /* of the first that is in one */
	const char *reset_name; /* NULL: none */
	double tx_bps, rx_bps;
};

#define WATCH_FLAGS(X)                                                   \
	X(MISSED, "missed", "lacks buckets for which there was no room") \
	X(LATE, "late", "read more than 2 s after its end")              \
	X(CLOCK_STEP, "clock_step", "the wall clock was set")            \
	X(GAP, "gap", "the machine slept")

#define WATCH_FLAG_INDEX(name, word, line) WATCH_##name##_INDEX,
enum watch_flag_index { WATCH_FLAGS(WATCH_FLAG_INDEX) WATCH_FLAG_COUNT };
#undef WATCH_FLAG_INDEX
#define WATCH_FLAG(name, word, line) \
	WATCH_##name = 1 << (int)WATCH_##name##_INDEX,
enum watch_flag { WATCH_FLAGS(WATCH_FLAG) };
#undef WATCH_FLAG

extern const char *const watch_flag_words[WATCH_FLAG_COUNT];

/* What a process moved in the interval; of a socket (0: those without a
 * record of their own) where watch_options.per_socket is set. */
struct watch_row {
	uint64_t socket;
	enum kernel_class kind;
	struct kernel_traffic traffic;
	const struct watch_process *process;
};

struct watch_share {
	const struct watch_container *container;
	struct kernel_traffic traffic;
};

struct watch_interval {
	uint32_t index;
	int64_t offset_ns, duration_ns;
	uint32_t flags; /* enum watch_flag */
	uint64_t missed_buckets, missed_tx_bytes, missed_rx_bytes;
	struct kernel_traffic traffic; /* the rows' */
	const struct watch_row *rows;  /* those of one process together */
	size_t row_count;
	const struct watch_share *containers;
	size_t container_count;
};

struct watch_drop {
	struct kernel_drop kernel;
	const char *name; /* NULL: the running kernel has no such reason */
	struct watch_process_name owner;
};

/* An interface and what it moved in the run. */
struct watch_link {
	uint32_t netns; /* inode */
	bool own;       /* of the namespace that this runs in */
	bool loopback;
	bool counted; /* false: the same packets pass another one here */
	bool gone;
	int index, peer_index, master_index; /* 0: none */
	char name[16];
	char kind[16]; /* "veth"; "": none */
	uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets;
	uint64_t rx_drops, tx_drops, rx_errors, tx_errors;
};

/* An identity: 'left' should be 'right'. */
struct watch_identity {
	const char *name, *unit, *says;
	uint64_t left, right;
	bool holds;
	uint32_t turns_failed; /* readings at which it could not hold */
};

/* X(name, unit, line) */
#define WATCH_COUNTERS(X)                                                   \
	X(records, "records", "of sockets, taken")                          \
	X(records_old, "records", "of these, of before one taken already")  \
	X(sockets, "sockets", "known now")                                  \
	X(sockets_refused, "records", "of sockets beyond the limit")        \
	X(sockets_told, "sockets", "and connections, handed over")          \
	X(processes, "processes", "known now")                              \
	X(processes_told, "processes", "that made room early")              \
	X(processes_refused, "records", "of processes beyond the limit")    \
	X(processes_unknown, "processes", "of which nobody knows a name")   \
	X(containers, "containers", "known")                                \
	X(containers_refused, "containers", "beyond the limit")             \
	X(buckets, "buckets", "taken")                                      \
	X(buckets_refused, "buckets", "of these, beyond the limit of rows") \
	X(buckets_late, "buckets", "for intervals handed over already")     \
	X(drops_refused, "records", "of drops beyond the limit")            \
	X(links_refused, "interfaces", "beyond the limit")                  \
	X(turns, "turns", "of reading")                                     \
	X(turns_late, "turns", "begun more than a second late")             \
	X(turns_failed, "turns", "that the kernel broke off")               \
	X(turn_ns, "ns", "spent in them")                                   \
	X(turn_ns_max, "ns", "in the longest")                              \
	X(intervals, "intervals", "handed over")                            \
	X(intervals_damaged, "intervals", "of these, with any flag")        \
	X(intervals_missed, "intervals", "of these, without all buckets")   \
	X(intervals_late, "intervals", "of these, read late")               \
	X(intervals_clock_step, "intervals", "of these, with a clock set")  \
	X(intervals_gap, "intervals", "of these, around a machine's sleep") \
	X(clock_steps, "steps", "of the wall clock")

struct watch_counters {
	WATCH_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row watch_counter_rows[];
extern const size_t watch_counter_count;

/* ---- the object ------------------------------------------------------------
 */

/* Attaches everything and begins to count: takes some 100 ms and, in most
 * cases, root.  The deadline is 'duration_ns' after watch_start().  Returns 0
 * or a negative code with its sentence. */
int watch_open(const struct watch_options *options, struct watch **ret_watch,
	       struct fault *ret_fault);
/* NULL is fine. */
void watch_close(struct watch *watch);

/* Waits up to timeout_ms for what is to be done next, and does it.  Returns
 * 1 after a reading, 0, or ERR_END: counting has stopped and everything was
 * handed over.  Another negative code: the end itself failed (it is tried
 * once), what was measured before can be walked over. */
int watch_turn(struct watch *watch, int timeout_ms);

/* Ends it now: the next watch_turn() does.  Async-signal-safe. */
void watch_stop(struct watch *watch);

/* Begin of interval 0; the clocks about then. */
struct mono watch_start(const struct watch *watch);
struct watch_clocks watch_clocks_begin(const struct watch *watch);

/* After ERR_END: when counting stopped, the clocks about then, and whether
 * the deadline was reached. */
struct mono watch_end(const struct watch *watch);
struct watch_clocks watch_clocks_end(const struct watch *watch);
bool watch_done(const struct watch *watch);

/* Nanoseconds of an interval, and of the run so far. */
int64_t watch_interval_ns(const struct watch *watch);
int64_t watch_elapsed_ns(const struct watch *watch);

/* ---- walks: what is returned holds until the next turn ---------------------
 */

/* By a running number from 0 to below watch_process_slots(); NULL: no process
 * is there, or the filter leaves it out. */
size_t watch_process_slots(const struct watch *watch);
const struct watch_process *watch_process_at(struct watch *watch, size_t slot);
size_t watch_socket_slots(const struct watch *watch);
bool watch_socket_at(struct watch *watch, size_t slot,
		     struct watch_socket *ret_socket);
size_t watch_drop_count(const struct watch *watch);
bool watch_drop_at(struct watch *watch, size_t slot,
		   struct watch_drop *ret_drop);
size_t watch_container_count(const struct watch *watch);
/* Adds up the containers of now. */
void watch_containers_sum(struct watch *watch);
const struct watch_container *watch_container_at(const struct watch *watch,
						 size_t slot);
/* Whether that is its name, or how its id begins: as the filter takes it. */
bool watch_container_named(const struct watch_container *container,
			   const char *name);
size_t watch_link_count(const struct watch *watch);
const struct watch_link *watch_link_at(const struct watch *watch, size_t slot);

/* The identities as of now; they can be expected to hold after ERR_END. */
#define WATCH_IDENTITIES_MAX 32
size_t watch_ledger(const struct watch *watch,
		    struct watch_identity ret[static WATCH_IDENTITIES_MAX]);

struct watch_counters watch_counters(const struct watch *watch);
struct kernel_sockets_counters watch_kernel_counters(const struct watch *watch);
struct owner_counters watch_owner_counters(const struct watch *watch);
size_t watch_hooks(const struct watch *watch,
		   const struct kernel_hook **ret_hooks);
/* 'measured' is false before the sample was taken. */
struct kernel_sockets_cost watch_cost(const struct watch *watch);
struct kernel_sockets_options watch_limits(const struct watch *watch);

#endif
