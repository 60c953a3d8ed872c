/* Reading the clocks.  Only rooms that may (see docs/ARCHITECTURE.md) do.
 *
 * Threads: any.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <time.h>

#include "base/stamp.h"

/* Nanoseconds of any clock: CLOCK_THREAD_CPUTIME_ID and the like. */
static inline int64_t clock_read_ns(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static inline struct wall wall_now(void)
{
	return (struct wall){clock_read_ns(CLOCK_REALTIME)};
}

static inline struct mono mono_now(void)
{
	return (struct mono){clock_read_ns(CLOCK_MONOTONIC)};
}

#endif
