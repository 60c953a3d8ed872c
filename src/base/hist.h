/* A log-linear histogram of int64 values: fixed memory, any value, merges.
 *
 * 512 buckets of equal width to each power of two, on both sides of zero:
 * magnitudes below 1024 are exact, a quantile of larger ones is off by no more
 * than 1/1024 of its value.  Count, sum, least and greatest are exact.  Merging
 * is addition: the order of merging changes nothing.
 *
 * The memory (450 kB of addresses) is zero until it is used: a histogram
 * costs 4 kB for each power of two in which it has values.
 *
 * Threads: a histogram belongs to one thread at a time; no function locks.
 */
#ifndef BASE_HIST_H
#define BASE_HIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/field.h"

struct hist;

/* NULL: out of memory. */
struct hist *hist_create(void);
void hist_destroy(struct hist *hist);
void hist_clear(struct hist *hist);

void hist_add(struct hist *hist, int64_t value);
/* The same 'count' times; 0: nothing happens. */
void hist_add_count(struct hist *hist, int64_t value, uint64_t count);
/* Adds all of 'from'. */
void hist_merge(struct hist *hist, const struct hist *from);

uint64_t hist_count(const struct hist *hist);
/* 0 while it is empty, as all that follows. */
int64_t hist_min(const struct hist *hist);
int64_t hist_max(const struct hist *hist);
double hist_mean(const struct hist *hist);
/* Standard deviation of all values, from the buckets' middles. */
double hist_deviation(const struct hist *hist);

/* The least value that a share of 'quantile' (0 to 1) of all values does not
 * exceed: the nearest rank.  0 gives the least, 1 the greatest. */
int64_t hist_quantile(const struct hist *hist, double quantile);

/* Buckets with values, in order.  Begin with a zeroed struct; false after
 * the last.  Values from 'low' to 'high', both included. */
struct hist_bucket {
	int64_t low, high;
	uint64_t count;
	int32_t place; /* hist_next()'s own */
	bool begun;
};

bool hist_next(const struct hist *hist, struct hist_bucket *bucket);

/* As bytes, one to three for most buckets with values: the same values give
 * the same bytes, on any machine.  Writes up to 'room' bytes and returns how
 * many the whole needs. */
size_t hist_pack(const struct hist *hist, uint8_t *ret_bytes, size_t room);
/* Replaces what is in 'hist'.  Returns 0, or -EBADMSG for bytes that
 * hist_pack() did not write ('hist' is empty then). */
int hist_unpack(struct hist *hist, const uint8_t *bytes, size_t size);

/* What one prints of a histogram.  A quantile is null while no value can lie
 * beyond it: p99.9 of 200 values would be nothing but the greatest. */
struct hist_summary {
	uint64_t count;
	uint32_t present; /* bits: hist_summary_fields */
	int64_t min, p1, p10, p50, p90, p99, p99_9, p99_99, p99_999, max;
	int64_t mean, deviation; /* rounded */
};

void hist_summary(const struct hist *hist, struct hist_summary *ret_summary);

/* Rows of struct hist_summary; the unit is the values' own, nanoseconds
 * nearly always. */
extern const struct field_table hist_summary_fields;

#endif
