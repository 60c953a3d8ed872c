/* A feed for tests of a watch: says what it is told to say, and its clock
 * stands still but for sleeps.
 *
 * Threads: one.
 */
#ifndef TESTS_ENGINE_FEED_H
#define TESTS_ENGINE_FEED_H

#include "engine/engine.h"

#define FEED_START INT64_C(1000000000000)
#define FEED_STEPS 64

/* What a reading hands over; called by turn and stop with their visitor. */
typedef void feed_step(void *context,
		       const struct kernel_sockets_visitor *visitor);

struct feed {
	struct watch_clocks clocks; /* of now */
	int64_t interval_ns;
	feed_step *steps[FEED_STEPS]; /* one a reading; the last: of stop */
	void *context;
	int step;
	int64_t stop_late_ns;  /* stop comes so much after the deadline */
	int64_t sleep_late_ns; /* the next wait() takes longer, once */
	int64_t wall_step_ns;  /* the wall clock is set in the next wait() */
	int64_t asleep_ns;     /* the machine sleeps in the next wait() */
	bool turn_fails;       /* the next turn, once */
	struct kernel_sockets_counters counters;
	const struct kernel_hook *hooks;
	size_t hook_count;
	int opened, closed;
};

void feed_init(struct feed *feed);

extern const struct watch_feed feed_rows;

#endif
