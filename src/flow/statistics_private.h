/* What the statistics keep of a flow.  Included by the files of this room
 * only.
 *
 * One more parallel array, there only if statistics are wanted.  A flow's
 * slice of it is made of the chosen parts alone, whole cache lines each:
 *
 *     interval   128      two lines, both touched by every packet
 *     lengths    64, 128  IP length, payload or both: one line touched
 *     histogram  512      three lines touched; carries only when one is full
 *     first      16 each  written by the first packets, then left alone
 *
 * Everything is an exact integer, so that it is the same in whatever order
 * it is added; means and deviations are made of it when a record leaves
 * (statistics_record.c).  Packets, bytes and the latest stamp are already in
 * flow_hot: statistics_count() comes before they are counted there.  Sides
 * are the key's, as everywhere in the table.
 */
#ifndef STATISTICS_PRIVATE_H
#define STATISTICS_PRIVATE_H

#include "flow/flow_private.h"

__extension__ typedef unsigned __int128 statistics_u128;

/* Sum of squares in 96 bits, and the extremes. */
struct statistics_length {
	uint64_t squares;
	uint32_t squares_high;
	uint32_t min;
	uint32_t max;
	uint32_t pad;
};

static_assert(sizeof(struct statistics_length) == 24, "two sides in a line");

/* Gaps add up to last_ns - first_ns: the sum is not kept. */
struct statistics_interval_side {
	int64_t first_ns; /* of the side's first packet */
	int64_t last_ns;  /* the latest */
	uint64_t squares[2];
	uint64_t min_ns;
	uint64_t max_ns;
};

/* Both sides' first_ns is that of the side that came first (HOT_FIRST), their
 * last_ns is flow_hot's. */
struct statistics_interval {
	struct statistics_interval_side sides[2];
	uint64_t squares[2];
	uint64_t min_ns;
	uint64_t max_ns;
} __attribute__((aligned(64)));

static_assert(sizeof(struct statistics_interval) == 128, "two cache lines");

struct statistics_first {
	uint64_t interval_ns; /* upper bit: the key's side */
	uint32_t length;
	uint32_t payload;
};

#define FIRST_SIDE (UINT64_C(1) << 63)

enum histogram_row {
	HISTOGRAM_LENGTH = 0,   /* and 1: by side */
	HISTOGRAM_INTERVAL = 2, /* and 3: by side */
	HISTOGRAM_INTERVAL_BOTH = 4,
	HISTOGRAM_COUNT = 5
};

/* 48 bits a bin: a line of lower halves, and what they carry. */
struct statistics_histogram {
	uint32_t low[HISTOGRAM_COUNT][FLOW_BINS];
	uint16_t carry[HISTOGRAM_COUNT][FLOW_BINS];
	int64_t last_ns[2];
	uint8_t pad[16];
} __attribute__((aligned(64)));

static_assert(sizeof(struct statistics_histogram) == 512, "eight lines");

/* One packet as the statistics see it; not a super-frame. */
struct statistics_packet {
	int64_t at_ns; /* clamped */
	uint32_t length;
	uint32_t payload;
};

/* ---- statistics.c */

/* Where each part lies in a flow's slice, and how large the slice is. */
void statistics_init(const struct flow_options *options,
		     struct statistics *ret_statistics);

/* A record of the entry begins. */
void statistics_begin(struct flow_table *table, uint32_t index);

/* Takes in the segments of a super-frame. */
void statistics_segments(struct flow_table *table, uint32_t index,
			 unsigned side, const struct packet *packet);

/* ---- statistics_record.c */

void statistics_record_make(const struct flow_table *table, uint32_t index,
			    struct flow_record *record);

/* n values: their sum and the sum of their squares. */
struct statistics_sums {
	uint64_t n;
	uint64_t sum;
	statistics_u128 squares;
};

/* floor(scale * standard deviation of the sample); n is at least 2 and below
 * 2^63, and the result below 2^63. */
uint64_t statistics_deviation(const struct statistics_sums *sums,
			      uint64_t scale);

/* ---- every packet */

static inline void *statistics_at(const struct statistics *statistics,
				  uint32_t index, uint32_t part)
{
	return statistics->bytes + (size_t)index * statistics->stride + part;
}

static inline void statistics_prefetch(const struct statistics *statistics,
				       uint32_t index, unsigned side)
{
	const uint8_t *slice = statistics_at(statistics, index, 0);

	for (unsigned i = 0; i < statistics->prefetch_count; i++)
		__builtin_prefetch(slice + statistics->prefetch[side][i], 1);
}

static inline void statistics_length_add(struct statistics_length *length,
					 uint32_t value)
{
	uint64_t square = (uint64_t)value * value;

	length->squares_high += __builtin_add_overflow(length->squares, square,
						       &length->squares);
	length->min = value < length->min ? value : length->min;
	length->max = value > length->max ? value : length->max;
}

static inline void statistics_squares_add(uint64_t squares[2], uint64_t value)
{
	statistics_u128 sum = (statistics_u128)squares[1] << 64 | squares[0];

	sum += (statistics_u128)value * value;
	squares[0] = (uint64_t)sum;
	squares[1] = (uint64_t)(sum >> 64);
}

/* Stamps may go back: then no time has passed. */
static inline uint64_t statistics_gap_ns(int64_t last_ns, int64_t at_ns)
{
	return at_ns > last_ns ? (uint64_t)(at_ns - last_ns) : 0;
}

/* The packets of a record before this one. */
struct statistics_before {
	uint64_t side;
	uint64_t both;
};

static inline void statistics_interval_add(struct statistics_interval *interval,
					   unsigned side, int64_t at_ns,
					   const struct flow_hot *hot,
					   struct statistics_before before)
{
	struct statistics_interval_side *us = &interval->sides[side];
	uint64_t gap_ns;

	if (before.both > 0) {
		gap_ns = statistics_gap_ns(hot->last_ns, at_ns);
		statistics_squares_add(interval->squares, gap_ns);
		interval->min_ns =
			gap_ns < interval->min_ns ? gap_ns : interval->min_ns;
		interval->max_ns =
			gap_ns > interval->max_ns ? gap_ns : interval->max_ns;
	}
	if (before.side == 0) {
		us->first_ns = at_ns;
		us->last_ns = at_ns;
		return;
	}
	gap_ns = statistics_gap_ns(us->last_ns, at_ns);
	statistics_squares_add(us->squares, gap_ns);
	us->min_ns = gap_ns < us->min_ns ? gap_ns : us->min_ns;
	us->max_ns = gap_ns > us->max_ns ? gap_ns : us->max_ns;
	us->last_ns += (int64_t)gap_ns;
}

static inline void statistics_bin_add(struct statistics_histogram *histogram,
				      unsigned which, unsigned bin)
{
	if (++histogram->low[which][bin] == 0)
		histogram->carry[which][bin]++;
}

/* Keeps a time of its own: the intervals need not be wanted. */
static inline void
statistics_histogram_add(struct statistics_histogram *histogram, unsigned side,
			 const struct statistics_packet *packet,
			 int64_t last_ns, struct statistics_before before)
{
	uint64_t gap_ns;

	statistics_bin_add(histogram, HISTOGRAM_LENGTH + side,
			   flow_length_bin(packet->length));
	if (before.both > 0)
		statistics_bin_add(histogram, HISTOGRAM_INTERVAL_BOTH,
				   flow_interval_bin(statistics_gap_ns(
					   last_ns, packet->at_ns)));
	if (before.side == 0) {
		histogram->last_ns[side] = packet->at_ns;
		return;
	}
	gap_ns = statistics_gap_ns(histogram->last_ns[side], packet->at_ns);
	histogram->last_ns[side] += (int64_t)gap_ns;
	statistics_bin_add(histogram, HISTOGRAM_INTERVAL + side,
			   flow_interval_bin(gap_ns));
}

static inline void statistics_first_add(struct statistics_first *first,
					unsigned side,
					const struct statistics_packet *packet,
					int64_t last_ns, uint64_t before)
{
	first += before;
	first->interval_ns =
		before ? statistics_gap_ns(last_ns, packet->at_ns) : 0;
	first->interval_ns |= side ? FIRST_SIDE : 0;
	first->length = packet->length;
	first->payload = packet->payload;
}

/* Before the packet is counted in flow_hot: what that has is of the packets
 * before. */
static inline void statistics_add(struct flow_table *table, uint32_t index,
				  unsigned side,
				  const struct statistics_packet *packet)
{
	const struct statistics *s = &table->statistics;
	struct flow_hot *hot = &table->hot[index];
	struct statistics_before before = {hot->sums[side].packets,
					   hot->sums[side ^ 1].packets};
	uint32_t lengths_at = side * s->side_stride;

	before.both += before.side;
	if (before.both == 0 && side)
		hot->bits |= HOT_FIRST;
	if (s->bits & FLOW_STATISTICS_LENGTH)
		statistics_length_add(
			statistics_at(s, index, s->length_at + lengths_at),
			packet->length);
	if (s->bits & FLOW_STATISTICS_PAYLOAD)
		statistics_length_add(
			statistics_at(s, index, s->payload_at + lengths_at),
			packet->payload);
	if (s->bits & FLOW_STATISTICS_INTERVAL)
		statistics_interval_add(statistics_at(s, index, s->interval_at),
					side, packet->at_ns, hot, before);
	if (s->bits & FLOW_STATISTICS_HISTOGRAM)
		statistics_histogram_add(
			statistics_at(s, index, s->histogram_at), side, packet,
			hot->last_ns, before);
	if (before.both < s->first_count)
		statistics_first_add(statistics_at(s, index, s->first_at), side,
				     packet, hot->last_ns, before.both);
}

static inline void statistics_count(struct flow_table *table, uint32_t index,
				    unsigned side, const struct packet *packet)
{
	struct statistics_packet one = {stamp_clamp_ns(packet->at.ns),
					packet->ip_bytes,
					packet->payload_bytes};

	if (__builtin_expect(packet->packets > 1, 0))
		statistics_segments(table, index, side, packet);
	else
		statistics_add(table, index, side, &one);
}

#endif
