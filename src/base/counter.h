/* Counters as rows: one table a group makes the struct, the metric, the JSON
 * and the documentation.
 *
 *     #define LINK_COUNTERS(X) X(frames, "frames", "seen on the link")
 *     struct link_counters { LINK_COUNTERS(COUNTER_FIELD) };
 *     static const struct counter_row rows[] = {LINK_COUNTERS(COUNTER_ROW)};
 *
 * Every field is a uint64_t in the order of the rows, and nothing else is in
 * the struct: a group can be summed and walked as an array.
 *
 * Threads: pure.
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stddef.h>
#include <stdint.h>

struct counter_row {
	const char *name;
	const char *unit;
	const char *line; /* one line, no full stop */
};

#define COUNTER_FIELD(name, unit, line) uint64_t name;
#define COUNTER_ROW(name, unit, line)   {#name, unit, line},

/* sums[i] += values[i] for 'count' counters of one group. */
static inline void counters_add(uint64_t *sums, const uint64_t *values,
				size_t count)
{
	for (size_t i = 0; i < count; i++)
		sums[i] += values[i];
}

#endif
