/* What a histogram is made of.  Included by hist*.c only. */
#ifndef HIST_PRIVATE_H
#define HIST_PRIVATE_H

#include "base/hist.h"

#define HIST_BITS  9
#define HIST_PAGE  (1 << HIST_BITS) /* buckets of one power of two */
#define HIST_PAGES 56
#define HIST_SIDE  (HIST_PAGES * HIST_PAGE)

/* Of values with 128 bits: pedantic compilers want the word. */
__extension__ typedef __int128 hist_sum;
__extension__ typedef unsigned __int128 hist_sum_unsigned;

enum { SIDE_PLUS, SIDE_MINUS, SIDE_COUNT };

struct hist {
	uint64_t count;
	int64_t min, max;
	hist_sum sum;
	uint64_t pages[SIDE_COUNT][HIST_PAGES]; /* sums of their buckets */
	uint64_t buckets[SIDE_COUNT][HIST_SIDE];
};

/* A bucket's place: its index, negative for values below zero. */
int32_t hist_place(int64_t value);
/* Its values nearest to zero and farthest from it, ordered. */
int64_t hist_place_low(int32_t place);
int64_t hist_place_high(int32_t place);

static inline uint64_t hist_at(const struct hist *hist, int32_t place)
{
	return place < 0 ? hist->buckets[SIDE_MINUS][-place]
			 : hist->buckets[SIDE_PLUS][place];
}

#endif
