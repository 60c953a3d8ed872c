/* The programs' clock and CLOCK_REALTIME. */
#include <sys/timex.h>

#include "base/clock.h"
#include "kernel/points_private.h"

#define TRIES     32
#define TAI_LEAST (NS_PER_S * 86400 * 365 * 30)

/* Both clocks advance alike between two steps of the wall clock; how far they
 * are apart is known to half of the shortest time in which both were read. */
static int64_t monotonic_offset_ns(void)
{
	int64_t shortest = INT64_MAX, offset = 0;

	for (int i = 0; i < TRIES; i++) {
		int64_t before = mono_now().ns;
		int64_t wall = wall_now().ns;
		int64_t width = mono_now().ns - before;

		if (width >= shortest)
			continue;
		shortest = width;
		offset = wall - before - width / 2;
	}
	return offset;
}

/* CLOCK_TAI counts from 1970, CLOCK_MONOTONIC from the start of the host. */
int64_t points_offset_ns(int64_t sample_ns)
{
	struct timex clock = {0};

	if (sample_ns < TAI_LEAST)
		return monotonic_offset_ns();
	if (adjtimex(&clock) < 0)
		return 0;
	return -clock.tai * NS_PER_S;
}
