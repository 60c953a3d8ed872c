/* The first pass of flow_table_meter() by itself, so that its share of the
 * whole can be told: order and hash every tuple, prefetch its bucket. */
#ifndef STAGE_H
#define STAGE_H

#include "flow/flow.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#define STAGE_TICKS "TSC cycles"
static inline uint64_t stage_ticks(void)
{
	unsigned core;

	return __rdtscp(&core);
}
#else
#include <time.h>
#define STAGE_TICKS "ns"
static inline uint64_t stage_ticks(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
#endif

/* Returns a sum that depends on every hash, so that none is left out. */
uint64_t stage_hash(const struct flow_table *table,
		    const struct packet *packets, size_t count);

#endif
