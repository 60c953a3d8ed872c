/* Statistics as a record has them: means and standard deviations of sums and
 * sums of squares, in integers alone, so that every machine and every other
 * implementation of docs/STATISTICS.md has the same bits.
 *
 *     mean   = floor(scale * S / n)
 *     stddev = floor(scale * sqrt((n * Q - S * S) / (n * (n - 1))))
 *
 * S is the sum, Q the sum of squares.  scale is 1,000 for lengths, 1 for
 * times.  floor(sqrt(x)) is floor(sqrt(floor(x))), so that one division and
 * one integer root do.
 */
#include <math.h>
#include <string.h>

#include "flow/statistics_private.h"

#define MILLI 1000

typedef statistics_u128 u128;

/* 192 bits, lowest first. */
struct wide {
	uint64_t words[3];
};

/* Up to 192 bits of a product. */
static struct wide wide_times(struct wide a, uint64_t b)
{
	u128 carry = 0;

	for (unsigned i = 0; i < 3; i++) {
		carry += (u128)a.words[i] * b;
		a.words[i] = (uint64_t)carry;
		carry >>= 64;
	}
	return a;
}

static struct wide wide_minus(struct wide a, u128 b)
{
	u128 low = (u128)a.words[1] << 64 | a.words[0];

	a.words[2] -= low < b;
	low -= b;
	a.words[0] = (uint64_t)low;
	a.words[1] = (uint64_t)(low >> 64);
	return a;
}

/* Bit by bit where the machine's own division is too narrow; 'b' is below
 * 2^127, the quotient below 2^128. */
static u128 wide_over(struct wide a, u128 b)
{
	u128 rest = 0, quotient = 0;

	if (a.words[2] == 0)
		return ((u128)a.words[1] << 64 | a.words[0]) / b;
	for (int bit = 191; bit >= 0; bit--) {
		rest = rest << 1 | (a.words[bit / 64] >> bit % 64 & 1);
		quotient <<= 1;
		if (rest < b)
			continue;
		rest -= b;
		quotient |= 1;
	}
	return quotient;
}

/* floor(sqrt(value)) of less than 2^126: a guess of 53 bits, one step of
 * Newton's, and what is left. */
static uint64_t root(u128 value)
{
	u128 guess = (u128)sqrt((double)value);

	if (guess == 0)
		return value > 0;
	guess = (guess + value / guess) / 2;
	while (guess * guess > value)
		guess--;
	while ((guess + 1) * (guess + 1) <= value)
		guess++;
	return (uint64_t)guess;
}

static uint64_t mean(const struct statistics_sums *sums, uint64_t scale)
{
	return (uint64_t)((u128)sums->sum * scale / sums->n);
}

uint64_t statistics_deviation(const struct statistics_sums *sums,
			      uint64_t scale)
{
	struct wide spread = {
		{(uint64_t)sums->squares, (uint64_t)(sums->squares >> 64), 0}};

	spread = wide_times(spread, sums->n);
	spread = wide_minus(spread, (u128)sums->sum * sums->sum);
	spread = wide_times(spread, scale * scale);
	return root(wide_over(spread, (u128)sums->n * (sums->n - 1)));
}

/* What a record says of 'n' lengths; returns 'some' and, of two and more,
 * 'spread'. */
static uint32_t lengths_make(const struct statistics_sums *sums, uint32_t some,
			     uint32_t spread, struct flow_lengths *lengths)
{
	if (sums->n == 0) {
		lengths->min = 0;
		return 0;
	}
	lengths->mean_milli = mean(sums, MILLI);
	if (sums->n < 2)
		return some;
	lengths->stddev_milli = statistics_deviation(sums, MILLI);
	return some | spread;
}

static struct statistics_sums lengths_sum(const struct flow_table *table,
					  uint32_t index, unsigned side,
					  bool payload)
{
	const struct statistics *s = &table->statistics;
	const struct flow_sums *counted = &table->hot[index].sums[side];
	const struct statistics_carry *carry =
		statistics_at(s, index, s->carry_at);
	const struct statistics_length *length =
		statistics_at(s, index,
			      payload ? s->payload_at + side * s->payload_stride
				      : s->length_at + side * s->length_stride);

	return (struct statistics_sums){
		counted->packets,
		payload ? counted->payload_bytes : counted->bytes,
		(u128)carry->squares[payload][side] << 64 | length->squares};
}

/* The smaller minimum and the larger maximum. */
static void extremes_add(struct flow_lengths *both,
			 const struct flow_lengths *way)
{
	both->min = way->min < both->min ? way->min : both->min;
	both->max = way->max > both->max ? way->max : both->max;
}

/* One kind of length, each way and both. */
static uint32_t kind_make(const struct flow_table *table, uint32_t index,
			  bool payload, struct flow_lengths lengths[3])
{
	const struct statistics *s = &table->statistics;
	struct statistics_sums both = {0, 0, 0};
	uint32_t some = payload ? FLOW_PAYLOADS(0) : FLOW_LENGTHS(0);
	uint32_t spread =
		payload ? FLOW_PAYLOADS_STDDEV(0) : FLOW_LENGTHS_STDDEV(0);
	uint32_t at = payload ? s->payload_at : s->length_at;
	uint32_t stride = payload ? s->payload_stride : s->length_stride;
	uint32_t present = 0;

	lengths[FLOW_BOTH].min = UINT32_MAX;
	for (unsigned way = 0; way < 2; way++) {
		unsigned side = way ^ (table->hot[index].bits & HOT_INITIATOR);
		const struct statistics_length *length =
			statistics_at(s, index, at + side * stride);
		struct statistics_sums sums =
			lengths_sum(table, index, side, payload);

		both.n += sums.n;
		both.sum += sums.sum;
		both.squares += sums.squares;
		lengths[way].min = length->min;
		lengths[way].max = length->max;
		extremes_add(&lengths[FLOW_BOTH], &lengths[way]);
		present |= lengths_make(&sums, some << way, spread << way,
					&lengths[way]);
	}
	return present | lengths_make(&both, some << FLOW_BOTH,
				      spread << FLOW_BOTH, &lengths[FLOW_BOTH]);
}

static u128 interval_squares(const uint64_t squares[2])
{
	return (u128)squares[1] << 64 | squares[0];
}

/* 'sums' has the packets; there is one gap less. */
static uint32_t intervals_make(struct statistics_sums sums, unsigned way,
			       uint64_t min_ns, uint64_t max_ns,
			       struct flow_intervals *intervals)
{
	if (sums.n < 2)
		return 0;
	sums.n--;
	intervals->min_ns = min_ns;
	intervals->max_ns = max_ns;
	intervals->mean_ns = mean(&sums, 1);
	if (sums.n < 2)
		return FLOW_INTERVALS(way);
	intervals->stddev_ns = statistics_deviation(&sums, 1);
	return FLOW_INTERVALS(way) | FLOW_INTERVALS_STDDEV(way);
}

static uint32_t interval_make(const struct flow_table *table, uint32_t index,
			      struct flow_intervals intervals[3])
{
	const struct flow_hot *hot = &table->hot[index];
	const struct statistics *s = &table->statistics;
	const struct statistics_both *both =
		statistics_at(s, index, s->both_at);
	int64_t first_ns = 0;
	struct statistics_sums sums = {0, 0, interval_squares(both->squares)};
	uint32_t present = 0;

	for (unsigned way = 0; way < 2; way++) {
		unsigned side = way ^ (hot->bits & HOT_INITIATOR);
		const struct statistics_side *us = statistics_at(
			s, index, s->side_at + side * s->side_stride);
		struct statistics_sums own = {
			hot->sums[side].packets,
			(uint64_t)(us->last_ns - us->first_ns),
			interval_squares(us->squares)};

		if (side == (hot->bits & HOT_FIRST ? 1u : 0u))
			first_ns = us->first_ns;
		sums.n += own.n;
		present |= intervals_make(own, way, us->min_ns, us->max_ns,
					  &intervals[way]);
	}
	sums.sum = (uint64_t)(hot->last_ns - first_ns);
	return present | intervals_make(sums, FLOW_BOTH, both->min_ns,
					both->max_ns, &intervals[FLOW_BOTH]);
}

static void first_make(const struct flow_table *table, uint32_t index,
		       struct flow_record *record)
{
	const struct flow_hot *hot = &table->hot[index];
	const struct statistics *s = &table->statistics;
	const struct statistics_first *first =
		statistics_at(s, index, s->first_at);
	uint64_t count = hot->sums[0].packets + hot->sums[1].packets;

	if (count > s->first_count)
		count = s->first_count;
	record->first_count = (uint8_t)count;
	for (unsigned i = 0; i < count; i++) {
		unsigned side = first[i].interval_ns & FIRST_SIDE ? 1 : 0;

		record->first_interval_ns[i] =
			first[i].interval_ns & ~FIRST_SIDE;
		record->first_length[i] = first[i].length;
		record->first_payload[i] = first[i].payload;
		record->first_direction[i] =
			(uint8_t)(side ^ (hot->bits & HOT_INITIATOR));
	}
}

static void histogram_copy(const uint16_t *low, const uint32_t *carry,
			   uint64_t bins[FLOW_BINS])
{
	for (unsigned i = 0; i < FLOW_BINS; i++)
		bins[i] = (uint64_t)carry[i] << 16 | low[i];
}

static void histogram_make(const struct flow_table *table, uint32_t index,
			   struct flow_record *record)
{
	const struct statistics *s = &table->statistics;
	const struct statistics_histogram *h =
		statistics_at(s, index, s->histogram_at);

	record->bin_count = FLOW_BINS;
	for (unsigned way = 0; way < 2; way++) {
		unsigned side = way ^ (table->hot[index].bits & HOT_INITIATOR);

		histogram_copy(h->sides[side].length, h->length_carry[side],
			       record->length_histogram[way]);
		histogram_copy(h->sides[side].interval, h->interval_carry[side],
			       record->interval_histogram[way]);
	}
	histogram_copy(h->both, h->interval_carry[FLOW_BOTH],
		       record->interval_histogram[FLOW_BOTH]);
}

void statistics_record_make(const struct flow_table *table, uint32_t index,
			    struct flow_record *record)
{
	const struct statistics *s = &table->statistics;
	uint32_t present = 0;

	if (s->bits & FLOW_STATISTICS_LENGTH)
		present |= kind_make(table, index, false, record->length);
	if (s->bits & FLOW_STATISTICS_PAYLOAD)
		present |= kind_make(table, index, true, record->payload);
	if (s->bits & FLOW_STATISTICS_INTERVAL)
		present |= interval_make(table, index, record->interval);
	if (s->bits & FLOW_STATISTICS_FIRST) {
		first_make(table, index, record);
		present |= FLOW_FIRSTS;
	}
	if (s->bits & FLOW_STATISTICS_HISTOGRAM) {
		histogram_make(table, index, record);
		present |= FLOW_HISTOGRAMS;
	}
	record->statistics_present = present;
}
