/* Statistics by hand: worked examples, edges, limits, refusals.  What random
 * traffic has to say is in test_model.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "flow/statistics_private.h"
#include "kit.h"
#include "statistics_model.h"

#define BASE_NS (INT64_C(1700000000) * NS_PER_S)
#define US      INT64_C(1000)

static void statistics_open(struct kept *kept, uint32_t statistics)
{
	struct flow_options options = kept_options();

	options.statistics = statistics;
	kept_open(kept, &options);
}

/* The record of packets at these times (us): positive lengths are the
 * initiator's. */
static struct flow_record exchange(uint32_t statistics, const int *lengths,
				   const int64_t *at_us, size_t count)
{
	struct flow_record record;
	struct kept kept;

	statistics_open(&kept, statistics);
	for (size_t i = 0; i < count; i++) {
		bool back = lengths[i] < 0;

		GIVE(&kept, .from = back ? 2 : 1, .to = back ? 1 : 2,
		     .from_port = back ? 53 : 40000,
		     .to_port = back ? 40000 : 53,
		     .bytes = (uint32_t)abs(lengths[i]),
		     .at_ns = BASE_NS + at_us[i] * US);
	}
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.count, 1);
	record = kept.records[0];
	kept_close(&kept);
	return record;
}

/* docs/STATISTICS.md, "An example": every number here is there. */
static void gives_the_numbers_of_the_documented_example(void **state)
{
	static const int lengths[] = {60, -100, 60, 1500, -40};
	static const int64_t at_us[] = {0, 10, 30, 25, 1025};
	struct flow_record r = exchange(FLOW_STATISTICS_ALL, lengths, at_us, 5);

	(void)state;
	assert_int_equal(r.length[0].min, 60);
	assert_int_equal(r.length[0].max, 1500);
	assert_int_equal(r.length[0].mean_milli, 540000);
	assert_int_equal(r.length[0].stddev_milli, 831384);
	assert_int_equal(r.length[1].mean_milli, 70000);
	assert_int_equal(r.length[1].stddev_milli, 42426);
	assert_int_equal(r.length[FLOW_BOTH].mean_milli, 352000);
	assert_int_equal(r.length[FLOW_BOTH].stddev_milli, 642121);
	assert_int_equal(r.payload[0].min, 32);
	assert_int_equal(r.payload[0].stddev_milli, 831384);
	assert_int_equal(r.interval[0].min_ns, 0); /* 25 after 30 */
	assert_int_equal(r.interval[0].max_ns, 30000);
	assert_int_equal(r.interval[0].mean_ns, 15000);
	assert_int_equal(r.interval[0].stddev_ns, 21213);
	assert_int_equal(r.interval[1].mean_ns, 1015000);
	assert_false(r.statistics_present & FLOW_INTERVALS_STDDEV(1));
	assert_int_equal(r.interval[FLOW_BOTH].max_ns, 995000);
	assert_int_equal(r.interval[FLOW_BOTH].mean_ns, 256250);
	assert_int_equal(r.interval[FLOW_BOTH].stddev_ns, 492567);
	assert_int_equal(r.first_count, 5);
	assert_int_equal(r.first_interval_ns[3], 0);
	assert_int_equal(r.first_interval_ns[4], 995000);
	assert_int_equal(r.first_direction[4], 1);
	assert_int_equal(r.length_histogram[0][0], 2);
	assert_int_equal(r.length_histogram[0][9], 1);
	assert_int_equal(r.interval_histogram[1][5], 1);
}

static void has_no_deviation_of_one_and_nothing_of_none(void **state)
{
	static const int lengths[] = {60};
	static const int64_t at_us[] = {0};
	struct flow_record r = exchange(FLOW_STATISTICS_ALL, lengths, at_us, 1);

	(void)state;
	assert_int_equal(r.statistics_present,
			 FLOW_LENGTHS(0) | FLOW_LENGTHS(FLOW_BOTH) |
				 FLOW_PAYLOADS(0) | FLOW_PAYLOADS(FLOW_BOTH) |
				 FLOW_FIRSTS | FLOW_HISTOGRAMS);
	assert_int_equal(r.length[1].min, 0);
}

static void begins_anew_after_the_active_timeout(void **state)
{
	struct kept kept;

	(void)state;
	statistics_open(&kept, FLOW_STATISTICS_ALL);
	for (int i = 0; i < 7; i++)
		GIVE(&kept, .from = 1, .to = 2, .bytes = 100,
		     .at_ns = BASE_NS + 20 * S * i);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.count, 3);
	for (unsigned i = 0; i < 3; i++) {
		const struct flow_record *r = &kept.records[i];

		assert_int_equal(r->packets[0], i < 2 ? 3 : 1);
		assert_int_equal(r->first_count, i < 2 ? 3 : 1);
		assert_int_equal(r->interval[0].mean_ns, i < 2 ? 20 * S : 0);
		assert_int_equal(r->interval_histogram[0][13], i < 2 ? 2 : 0);
	}
	kept_close(&kept);
}

/* Three fragments of which the first comes last, between two datagrams of
 * their flow, each with its own time. */
static void gives_waiting_fragments_their_own_times(void **state)
{
	struct given first = {.from = 1,
			      .to = 2,
			      .from_port = 9,
			      .to_port = 9,
			      .fragment_id = 7,
			      .bytes = 300,
			      .at_ns = BASE_NS + 6 * MS,
			      .flags = PACKET_FRAGMENT | PACKET_FRAGMENT_FIRST};
	struct given later = {.from = 1,
			      .to = 2,
			      .fragment_id = 7,
			      .bytes = 100,
			      .flags = PACKET_FRAGMENT};
	struct flow_record *r;
	struct kept kept;

	(void)state;
	statistics_open(&kept, FLOW_STATISTICS_ALL);
	later.at_ns = BASE_NS + 1 * MS;
	kept_give(&kept, &later);
	later.at_ns = BASE_NS + 3 * MS;
	later.bytes = 200;
	kept_give(&kept, &later);
	kept_give(&kept, &first);
	GIVE(&kept, .from = 1, .to = 2, .from_port = 9, .to_port = 9,
	     .bytes = 400, .at_ns = BASE_NS + 10 * MS);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.count, 1);
	r = kept.records;
	assert_int_equal(r->start.ns, BASE_NS + 1 * MS);
	assert_int_equal(r->first_count, 4);
	for (unsigned i = 0; i < 4; i++) {
		static const int64_t gaps_ms[] = {0, 2, 3, 4};

		assert_int_equal(r->first_length[i], 100 * (i + 1));
		assert_int_equal(r->first_interval_ns[i], gaps_ms[i] * MS);
	}
	assert_int_equal(r->interval[0].max_ns, 4 * MS);
	assert_int_equal(r->interval[FLOW_BOTH].mean_ns, 3 * MS);
	kept_close(&kept);
}

/* More than the pool holds: the oldest datagram goes, and all are counted,
 * with statistics as without. */
static void counts_every_fragment_when_too_many_wait(void **state)
{
	const unsigned count = 65536 + 5000;
	struct flow_counters counters;
	uint64_t packets = 0, first = 0;
	struct kept kept;

	(void)state;
	statistics_open(&kept, FLOW_STATISTICS_ALL);
	for (unsigned i = 0; i < count; i++)
		GIVE(&kept, .from = 1, .to = 2, .bytes = 100,
		     .fragment_id = i / 1000, .at_ns = BASE_NS + i,
		     .flags = PACKET_FRAGMENT);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	counters = flow_table_counters(kept.table);
	assert_int_equal(counters.fragments_evicted, 5);
	for (size_t i = 0; i < kept.count; i++) {
		uint64_t lengths = 0;

		packets += kept.records[i].packets[0];
		for (unsigned bin = 0; bin < FLOW_BINS; bin++)
			lengths += kept.records[i].length_histogram[0][bin];
		assert_int_equal(lengths, kept.records[i].packets[0]);
		first += kept.records[i].first_count > 0;
	}
	assert_int_equal(packets, count);
	assert_int_equal(first, kept.count);
	kept_check_ledger(&kept, count);
	kept_close(&kept);
}

/* Four times as many as there is room for at first. */
static void lets_more_fragments_wait_in_a_table_that_grows(void **state)
{
	const unsigned count = 4 * 65536, each = 32;
	struct flow_options options = kept_options();
	struct flow_counters counters;
	struct kept kept;

	(void)state;
	options.statistics = FLOW_STATISTICS_ALL;
	options.first_count = 1;
	options.flow_count = FLOW_COUNT_MIN;
	options.flow_count_max = 1 << 16;
	kept_open(&kept, &options);
	for (unsigned i = 0; i < count; i++)
		GIVE(&kept, .from = 1, .to = 2, .bytes = 100 + i % each,
		     .fragment_id = i / each, .at_ns = BASE_NS + i,
		     .flags = PACKET_FRAGMENT);
	for (unsigned i = 0; i < count / each; i++)
		GIVE(&kept, .from = 1, .to = 2, .from_port = (uint16_t)i,
		     .to_port = 53, .bytes = 50, .fragment_id = i,
		     .at_ns = BASE_NS + count + i,
		     .flags = PACKET_FRAGMENT | PACKET_FRAGMENT_FIRST);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	counters = flow_table_counters(kept.table);
	assert_int_equal(counters.fragments_evicted, 0);
	assert_int_equal(counters.fragments_orphaned, 0);
	assert_int_equal(kept.count, count / each);
	for (size_t i = 0; i < kept.count; i++) {
		const struct flow_record *r = &kept.records[i];

		assert_int_equal(r->length[FLOW_BOTH].min, 50);
		assert_int_equal(r->length[FLOW_BOTH].max, 100 + each - 1);
		assert_int_equal(r->interval[FLOW_BOTH].min_ns, 1);
		assert_int_equal(r->packets[0] + r->packets[1], each + 1);
	}
	kept_check_ledger(&kept, count + count / each);
	kept_close(&kept);
}

/* What flow sampling leaves out waits no longer either: more pass through
 * than there is room for, those whose first comes and those whose does not. */
static void frees_fragments_that_sampling_leaves_out(void **state)
{
	const unsigned count = 80000;
	struct flow_options options = kept_options();
	struct flow_counters counters;
	struct kept kept;

	(void)state;
	options.statistics = FLOW_STATISTICS_LENGTH;
	options.sample_flows = SAMPLE_POPULATION_MAX;
	kept_open(&kept, &options);
	for (unsigned i = 0; i < count; i++) {
		GIVE(&kept, .from = 1, .to = 2, .bytes = 100, .fragment_id = i,
		     .at_ns = BASE_NS + i * US, .flags = PACKET_FRAGMENT);
		if (i % 2 == 0)
			continue;
		GIVE(&kept, .from = 1, .to = 2, .from_port = 1, .to_port = 53,
		     .bytes = 50, .fragment_id = i, .at_ns = BASE_NS + i * US,
		     .flags = PACKET_FRAGMENT | PACKET_FRAGMENT_FIRST);
	}
	flow_table_flush(kept.table, FLOW_END_FORCED);
	counters = flow_table_counters(kept.table);
	assert_int_equal(kept.count, 0);
	assert_int_equal(counters.not_selected, count + count / 2);
	assert_int_equal(counters.fragments_waited, count);
	/* By datagrams, of which there is room for 4,096. */
	assert_int_equal(counters.fragments_evicted, count - 4096);
	kept_close(&kept);
}

/* ---- beyond what any test can meter: state put there by hand */

static void carries_where_32_and_64_bits_end(void **state)
{
	struct statistics_histogram *histogram;
	struct statistics_length *length;
	struct statistics_carry *carry;
	struct flow_record *r;
	struct statistics *s;
	struct kept kept;

	(void)state;
	statistics_open(&kept,
			FLOW_STATISTICS_LENGTH | FLOW_STATISTICS_HISTOGRAM);
	GIVE(&kept, .from = 1, .to = 2, .bytes = 1500, .at_ns = BASE_NS);
	s = &kept.table->statistics;
	histogram = statistics_at(s, 0, s->histogram_at);
	histogram->sides[0].length[9] = UINT16_MAX;
	histogram->length_carry[0][9] = UINT16_MAX;
	length = statistics_at(s, 0, s->length_at);
	/* 2^43 packets of 1,500 bytes. */
	kept.table->hot[0].sums[0].packets = UINT64_C(1) << 43;
	kept.table->hot[0].sums[0].bytes = (UINT64_C(1) << 43) * 1500;
	length->squares = (uint64_t)(((statistics_u128)1 << 43) * 2250000);
	carry = statistics_at(s, 0, s->carry_at);
	carry->squares[0][0] =
		(uint32_t)((((statistics_u128)1 << 43) * 2250000) >> 64);
	assert_true(carry->squares[0][0] > 0);
	GIVE(&kept, .from = 1, .to = 2, .bytes = 1500, .at_ns = BASE_NS);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	r = kept.records;
	assert_int_equal(r->length_histogram[0][9], UINT64_C(1) << 32);
	assert_int_equal(r->length[0].mean_milli, 1500000);
	assert_int_equal(r->length[0].stddev_milli, 0);
	kept_close(&kept);
}

static struct statistics_sums sums_of(const uint64_t *values, size_t count)
{
	struct statistics_sums sums = {count, 0, 0};

	for (size_t i = 0; i < count; i++) {
		sums.sum += values[i];
		sums.squares += (statistics_u128)values[i] * values[i];
	}
	return sums;
}

/* Up to where a sum fills 63 bits: the product of count and squares has more
 * than 128. */
static void computes_deviations_to_the_last_bit(void **state)
{
	uint64_t random = 4711, values[40], wide = 0;

	(void)state;
	for (unsigned turn = 0; turn < 4000; turn++) {
		size_t count = 2 + random_next(&random) % 39;
		unsigned shift = turn % 2 ? 32 : 1;
		uint64_t scale = turn % 2 ? 1000 : 1, left = INT64_MAX;
		struct statistics_sums sums;

		for (size_t i = 0; i < count; i++) {
			values[i] = random_next(&random) >> shift >>
				    random_next(&random) % 32;
			if (values[i] > left)
				values[i] = left;
			left -= values[i];
		}
		sums = sums_of(values, count);
		wide += sums.squares > ~(statistics_u128)0 / count;
		assert_int_equal(statistics_deviation(&sums, scale),
				 values_deviation(values, count, scale));
	}
	values[0] = INT64_MAX;
	values[1] = 0;
	assert_int_equal(
		statistics_deviation(
			&(struct statistics_sums){2, INT64_MAX,
						  (statistics_u128)INT64_MAX *
							  INT64_MAX},
			1),
		values_deviation(values, 2, 1));
	assert_in_range(wide, 10, 4000);
}

/* ---- bins, names, options */

static void puts_every_value_in_its_bin(void **state)
{
	static const uint32_t lengths[] = {64,   96,   128,  192,  256,
					   384,  512,  768,  1024, 1536,
					   2048, 3072, 4096, 6144, 8192};

	(void)state;
	assert_int_equal(flow_length_bin(0), 0);
	assert_int_equal(flow_interval_bin(0), 0);
	for (unsigned i = 0; i < 15; i++) {
		uint64_t edge_ns = UINT64_C(1) << (10 + 2 * i);

		assert_int_equal(flow_length_bin(lengths[i] - 1), i);
		assert_int_equal(flow_length_bin(lengths[i]), i + 1);
		assert_int_equal(flow_interval_bin(edge_ns - 1), i);
		assert_int_equal(flow_interval_bin(edge_ns), i + 1);
	}
	assert_int_equal(flow_length_bin(UINT32_MAX), 15);
	assert_int_equal(flow_interval_bin(UINT64_MAX), 15);
}

static void knows_its_names_and_lists_them_for_others(void **state)
{
	static const char *const wrong[] = {
		"lengths",       "length,",      ",length",
		"length,,first", "length first", "al",
	};
	uint32_t bits = 0;
	struct fault fault;

	(void)state;
	assert_int_equal(flow_statistics_parse("", &bits, &fault), 0);
	assert_int_equal(flow_statistics_parse("none", &bits, &fault), 0);
	assert_int_equal(bits, 0);
	assert_int_equal(flow_statistics_parse("Length, first", &bits, NULL),
			 0);
	assert_int_equal(bits, FLOW_STATISTICS_LENGTH | FLOW_STATISTICS_FIRST);
	assert_int_equal(flow_statistics_parse("all", &bits, &fault), 0);
	assert_int_equal(bits, FLOW_STATISTICS_ALL);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		bits = 2;
		assert_int_equal(flow_statistics_parse(wrong[i], &bits, &fault),
				 -EINVAL);
		assert_int_equal(bits, 2);
	}
	assert_string_equal(fault.text,
			    "'al' is none of: length, payload, interval, "
			    "first, histogram, all, none");
}

static void refuses_what_it_has_not(void **state)
{
	struct flow_options options = kept_options();
	struct flow_table *table;

	(void)state;
	options.statistics = FLOW_STATISTICS_ALL + 1;
	assert_int_equal(flow_table_create(&options, &table), -EINVAL);
	options.statistics = FLOW_STATISTICS_FIRST;
	options.first_count = FLOW_FIRST_MAX + 1;
	assert_int_equal(flow_table_create(&options, &table), -EINVAL);
}

static void takes_the_memory_that_it_says(void **state)
{
	static const struct {
		uint32_t statistics, first;
		size_t table, record;
	} cases[] = {
		{0, 0, 0, offsetof(struct flow_record, tcp_present)},
		{FLOW_STATISTICS_LENGTH, 0, 64,
		 offsetof(struct flow_record, first_interval_ns)},
		{FLOW_STATISTICS_LENGTH | FLOW_STATISTICS_PAYLOAD, 0, 128,
		 offsetof(struct flow_record, first_interval_ns)},
		{FLOW_STATISTICS_INTERVAL, 0, 128,
		 offsetof(struct flow_record, first_interval_ns)},
		{FLOW_STATISTICS_FIRST, 0, 256,
		 offsetof(struct flow_record, length_histogram)},
		{FLOW_STATISTICS_FIRST, 1, 64,
		 offsetof(struct flow_record, length_histogram)},
		{FLOW_STATISTICS_HISTOGRAM, 0, 512, sizeof(struct flow_record)},
		{FLOW_STATISTICS_LENGTH | FLOW_STATISTICS_INTERVAL, 0, 192,
		 offsetof(struct flow_record, first_interval_ns)},
		{FLOW_STATISTICS_ALL, 32, 1280, sizeof(struct flow_record)},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct flow_options options = {.statistics =
						       cases[i].statistics,
					       .first_count = cases[i].first};

		assert_int_equal(flow_statistics_size(&options),
				 cases[i].table);
		assert_int_equal(flow_record_size(&options), cases[i].record);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_the_numbers_of_the_documented_example),
		cmocka_unit_test(has_no_deviation_of_one_and_nothing_of_none),
		cmocka_unit_test(begins_anew_after_the_active_timeout),
		cmocka_unit_test(gives_waiting_fragments_their_own_times),
		cmocka_unit_test(counts_every_fragment_when_too_many_wait),
		cmocka_unit_test(
			lets_more_fragments_wait_in_a_table_that_grows),
		cmocka_unit_test(frees_fragments_that_sampling_leaves_out),
		cmocka_unit_test(carries_where_32_and_64_bits_end),
		cmocka_unit_test(computes_deviations_to_the_last_bit),
		cmocka_unit_test(puts_every_value_in_its_bin),
		cmocka_unit_test(knows_its_names_and_lists_them_for_others),
		cmocka_unit_test(refuses_what_it_has_not),
		cmocka_unit_test(takes_the_memory_that_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
