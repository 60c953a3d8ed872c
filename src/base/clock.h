/* Reading the clocks.  Only rooms that may (see docs/ARCHITECTURE.md) do.
 *
 * Threads: any.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <time.h>

#include "base/stamp.h"

static inline struct wall wall_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (struct wall){ts.tv_sec * NS_PER_S + ts.tv_nsec};
}

static inline struct mono mono_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct mono){ts.tv_sec * NS_PER_S + ts.tv_nsec};
}

#endif
