/* What the statistics keep of a flow.  Included by the files of this room
 * only.
 *
 * One more parallel array, there only if statistics are wanted.  A flow's
 * slice of it is made of the chosen parts alone, so placed that a packet
 * touches few cache lines:
 *
 *     times and lengths  a line a side: times 48 bytes, lengths 16; a line of
 *                        both sides: times 32, payloads 2 x 16
 *     histogram          a line a side, a line of both sides; upper halves of
 *                        the counters lie apart
 *     first              16 bytes a packet, the first ones alone
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

#define STATISTICS_LINE 64

/* Sum of squares and the extremes of one side.  What the sum carries out of
 * its 64 bits is counted apart (statistics_carry). */
struct statistics_length {
	uint64_t squares;
	uint32_t min;
	uint32_t max;
};

static_assert(sizeof(struct statistics_length) == 16, "beside the times");

/* By kind (0: length, 1: payload) and side. */
struct statistics_carry {
	uint32_t squares[2][2];
};

/* Gaps add up to last_ns - first_ns: the sum is not kept. */
struct statistics_side {
	int64_t first_ns; /* of the side's first packet */
	int64_t last_ns;  /* the latest */
	uint64_t squares[2];
	uint64_t min_ns;
	uint64_t max_ns;
};

static_assert(sizeof(struct statistics_side) == 48, "lengths fit beside it");

/* Of both sides; first_ns is that of the side that came first (HOT_FIRST),
 * last_ns is flow_hot's. */
struct statistics_both {
	uint64_t squares[2];
	uint64_t min_ns;
	uint64_t max_ns;
};

struct statistics_first {
	uint64_t interval_ns; /* upper bit: the key's side */
	uint32_t length;
	uint32_t payload;
};

#define FIRST_SIDE (UINT64_C(1) << 63)

/* 48 bits a bin: the lower 16, and what they carry. */
struct statistics_histogram {
	struct {
		uint16_t length[FLOW_BINS];
		uint16_t interval[FLOW_BINS];
	} sides[2];
	uint16_t both[FLOW_BINS]; /* intervals */
	int64_t last_ns[2];
	uint8_t pad[16];
	uint32_t length_carry[2][FLOW_BINS];
	uint32_t interval_carry[3][FLOW_BINS];
} __attribute__((aligned(64)));

static_assert(sizeof(struct statistics_histogram) == 512, "eight lines");
static_assert(offsetof(struct statistics_histogram, length_carry) == 192,
	      "three of them are touched");

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
					 uint32_t *carry, uint32_t value)
{
	uint64_t square = (uint64_t)value * value;

	if (__builtin_expect(__builtin_add_overflow(length->squares, square,
						    &length->squares),
			     0))
		++*carry;
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

static inline void statistics_both_add(struct statistics_both *both,
				       uint64_t gap_ns)
{
	statistics_squares_add(both->squares, gap_ns);
	both->min_ns = gap_ns < both->min_ns ? gap_ns : both->min_ns;
	both->max_ns = gap_ns > both->max_ns ? gap_ns : both->max_ns;
}

static inline void statistics_side_add(struct statistics_side *us,
				       int64_t at_ns, bool first)
{
	uint64_t gap_ns;

	if (first) {
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

static inline void statistics_bin_add(uint16_t *low, uint32_t *carry,
				      unsigned bin)
{
	if (__builtin_expect(++low[bin] == 0, 0))
		carry[bin]++;
}

/* Keeps a time of its own: the intervals need not be wanted. */
static inline void statistics_histogram_add(struct statistics_histogram *h,
					    unsigned side, uint32_t length,
					    int64_t at_ns, bool first)
{
	uint64_t gap_ns;

	statistics_bin_add(h->sides[side].length, h->length_carry[side],
			   flow_length_bin(length));
	if (first) {
		h->last_ns[side] = at_ns;
		return;
	}
	gap_ns = statistics_gap_ns(h->last_ns[side], at_ns);
	h->last_ns[side] += (int64_t)gap_ns;
	statistics_bin_add(h->sides[side].interval, h->interval_carry[side],
			   flow_interval_bin(gap_ns));
}

static inline void
statistics_lengths_add(const struct statistics *s, uint32_t index,
		       unsigned side, const struct statistics_packet *packet)
{
	struct statistics_carry *carry = statistics_at(s, index, s->carry_at);

	if (s->bits & FLOW_STATISTICS_LENGTH)
		statistics_length_add(
			statistics_at(s, index,
				      s->length_at + side * s->length_stride),
			&carry->squares[0][side], packet->length);
	if (s->bits & FLOW_STATISTICS_PAYLOAD)
		statistics_length_add(
			statistics_at(s, index,
				      s->payload_at + side * s->payload_stride),
			&carry->squares[1][side], packet->payload);
}

/* What came before a packet: how many of the record's packets from its side
 * and altogether, and how long ago the latest. */
struct statistics_before {
	uint64_t side;
	uint64_t both;
	uint64_t gap_ns;
};

static inline void statistics_times_add(const struct statistics *s,
					uint32_t index, unsigned side,
					const struct statistics_packet *packet,
					struct statistics_before before)
{
	struct statistics_histogram *histogram =
		statistics_at(s, index, s->histogram_at);
	int64_t at_ns = packet->at_ns;

	if (s->bits & FLOW_STATISTICS_INTERVAL) {
		statistics_side_add(
			statistics_at(s, index,
				      s->side_at + side * s->side_stride),
			at_ns, before.side == 0);
		if (before.both > 0)
			statistics_both_add(statistics_at(s, index, s->both_at),
					    before.gap_ns);
	}
	if (s->bits & FLOW_STATISTICS_HISTOGRAM) {
		statistics_histogram_add(histogram, side, packet->length, at_ns,
					 before.side == 0);
		if (before.both > 0)
			statistics_bin_add(histogram->both,
					   histogram->interval_carry[FLOW_BOTH],
					   flow_interval_bin(before.gap_ns));
	}
}

/* Before the packet is counted in flow_hot: what that has is of the packets
 * before. */
static inline void statistics_add(struct flow_table *table, uint32_t index,
				  unsigned side,
				  const struct statistics_packet *packet)
{
	const struct statistics *s = &table->statistics;
	struct flow_hot *hot = &table->hot[index];
	struct statistics_before before = {.side = hot->sums[side].packets};
	struct statistics_first *first;

	before.both = before.side + hot->sums[side ^ 1].packets;
	if (before.both > 0)
		before.gap_ns = statistics_gap_ns(hot->last_ns, packet->at_ns);
	else if (side)
		hot->bits |= HOT_FIRST;
	if (s->bits & (FLOW_STATISTICS_LENGTH | FLOW_STATISTICS_PAYLOAD))
		statistics_lengths_add(s, index, side, packet);
	if (s->bits & (FLOW_STATISTICS_INTERVAL | FLOW_STATISTICS_HISTOGRAM))
		statistics_times_add(s, index, side, packet, before);
	if (before.both >= s->first_count)
		return;
	first = statistics_at(s, index, s->first_at);
	first[before.both] = (struct statistics_first){
		before.gap_ns | (side ? FIRST_SIDE : 0), packet->length,
		packet->payload};
}

/* Where the flow's next packet goes, if it is one of the first. */
static inline void statistics_first_prefetch(const struct flow_table *table,
					     uint32_t index)
{
	const struct statistics *s = &table->statistics;
	const struct flow_sums *sums = table->hot[index].sums;
	uint64_t both = sums[0].packets + sums[1].packets;
	const struct statistics_first *first;

	if (both >= s->first_count)
		return;
	first = statistics_at(s, index, s->first_at);
	__builtin_prefetch(&first[both], 1);
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
