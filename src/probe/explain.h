/* Which part of the trip moved, and why.  A part of probe.h, which has the
 * whole picture. */
#ifndef PROBE_EXPLAIN_H
#define PROBE_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "probe/points.h"

/* Which part of the trip moved, between two runs or within one, and what does
 * that.  The trip is cut into parts that have one kind of fault each, as far
 * as the points allow; a part has moved if ranks and tails say so beyond
 * chance; parts are ranked by the time they added. */

/* X(name, word, one line).  What only tracepoints (T2) can tell apart is said
 * together without them: queue and driver; interrupt and wake-up; of a reader
 * that is delayed at random, hog and pause.  So are both ways of a path if
 * the clocks are not known well enough for it. */
#define CULPRIT_TABLE(X)                                                     \
	X(CULPRIT_QUEUE, "queue", "packets wait in the queueing discipline") \
	X(CULPRIT_DRIVER, "driver", "the driver takes packets late")         \
	X(CULPRIT_INTERRUPT, "interrupt",                                    \
	  "received packets wait for the softirq")                           \
	X(CULPRIT_WAKE_UP, "wake-up", "the reader's thread is woken late")   \
	X(CULPRIT_HOG, "hog", "another program has the CPU")                 \
	X(CULPRIT_PAUSE, "pause", "the application itself pauses")           \
	X(CULPRIT_PATH_FORWARD, "path forward",                              \
	  "the network on the way there")                                    \
	X(CULPRIT_PATH_BACK, "path back", "the network on the way back")     \
	X(CULPRIT_STACK, "stack", "the system call and the protocols")

#define CULPRIT_ENUM(name, word, line) name,
enum culprit_kind { CULPRIT_TABLE(CULPRIT_ENUM) CULPRIT_COUNT };
#undef CULPRIT_ENUM

#define CULPRIT_BIT(kind) (1u << (kind))

/* word, "", one line */
extern const struct counter_row culprit_rows[CULPRIT_COUNT];

/* One that moved, with its evidence: that of the part that moved most. */
struct culprit {
	uint32_t kinds; /* CULPRIT_BITs: one of these */
	bool remote;    /* at the reflector's host; no matter for a path */
	char segment[SEGMENT_NAME]; /* "forward sched-sent" */
	int64_t added_ns;  /* a packet, the middle 90 %; negative: less */
	double share;      /* of all that moved */
	double confidence; /* that it moved, 0 to 1 */
	int64_t before_p50_ns, before_p90_ns, before_p99_ns;
	int64_t after_p50_ns, after_p90_ns, after_p99_ns;
	uint32_t packets; /* after, with these stamps */
	uint32_t beyond;  /* of them longer than 95 % of those before */
};

#define CULPRITS_MAX        16
#define EXPLAIN_PACKETS_MIN 20 /* answered, of each run */

struct explanation {
	size_t count;                          /* 0: nothing moved */
	struct culprit culprits[CULPRITS_MAX]; /* the first moved most */
	/* Within a run: the packets that differ from all others. */
	uint32_t first_seq, last_seq;
	uint32_t packets_before, packets_after;
};

/* What 'after' has that 'before' had not.  Trips in the order of their slots.
 * Returns 0, -EINVAL (fewer than EXPLAIN_PACKETS_MIN) or -ENOMEM. */
int explain_runs(const struct trip *before, size_t before_count,
		 const struct trip *after, size_t after_count,
		 struct explanation *ret_explanation);
/* Where a run was slower than else, and why.  -EINVAL below twice as many. */
int explain_run(const struct trip *trips, size_t count,
		struct explanation *ret_explanation);

#endif
