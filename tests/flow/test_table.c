/* The table itself: full, overflowing, evicting, attacked. */
#include <string.h>
#include <time.h>

#include "flow/flow_key.h"
#include "kit.h"

#define T (INT64_C(1700000000) * S)

static void takes_as_many_flows_as_it_says(void **state)
{
	static const uint32_t sizes[] = {4096, 5000, 65536, 100003};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct flow_options options = kept_options();
		uint32_t size = sizes[i];
		struct kept kept;

		options.flow_count = size;
		kept_open(&kept, &options);
		for (unsigned round = 0; round < 2; round++)
			for (uint32_t n = 0; n < size; n++)
				GIVE(&kept, .from = n, .to = ~n, .at_ns = T);
		assert_int_equal(flow_table_live(kept.table), size);
		assert_int_equal(kept.count, 0);
		assert_int_equal(flow_table_counters(kept.table).created, size);
		for (uint32_t n = 0; n < 100; n++)
			GIVE(&kept, .from = size + n, .to = 1, .at_ns = T + 1);
		assert_int_equal(flow_table_live(kept.table), size);
		assert_int_equal(
			flow_table_counters(kept.table).ended_resources, 100);
		flow_table_flush(kept.table, FLOW_END_FORCED);
		kept_check_ledger(&kept, 2 * (uint64_t)size + 100);
		kept_close(&kept);
	}
}

static void is_as_good_as_new_after_a_flush(void **state)
{
	struct flow_options options = kept_options();
	struct kept kept;

	(void)state;
	options.mark_duplicates = true;
	kept_open(&kept, &options);
	for (unsigned round = 1; round < 4; round++) {
		for (uint32_t n = 0; n < 4096; n++)
			GIVE(&kept, .from = n, .to = ~n, .at_ns = T + round);
		assert_int_equal(flow_table_live(kept.table), 4096);
		flow_table_flush(kept.table, FLOW_END_FORCED);
		assert_int_equal(kept.count, 4096 * round);
		assert_false(kept.records[kept.count - 1].duplicate);
		kept_check_ledger(&kept, 4096 * (uint64_t)round);
	}
	kept_close(&kept);
}

/* Half of the flows stay busy, half are idle: evictions take the idle. */
static void evicts_the_longest_idle(void **state)
{
	struct flow_options options = kept_options();
	struct kept kept;
	uint32_t idle = 0;

	(void)state;
	kept_open(&kept, &options);
	for (uint32_t n = 0; n < 4096; n++)
		GIVE(&kept, .from = n, .to = ~n, .from_port = n % 2 ? 2 : 1,
		     .to_port = 3, .at_ns = T);
	for (uint32_t n = 1; n < 4096; n += 2)
		GIVE(&kept, .from = n, .to = ~n, .from_port = 2, .to_port = 3,
		     .at_ns = T + S);
	for (uint32_t n = 0; n < 500; n++)
		GIVE(&kept, .from = 4096 + n, .to = 1, .at_ns = T + 2 * S);
	assert_int_equal(kept.count, 500);
	for (size_t i = 0; i < kept.count; i++) {
		assert_int_equal(kept.records[i].end_reason,
				 FLOW_END_RESOURCES);
		idle += kept.records[i].end.ns == T;
	}
	assert_true(idle >= 490); /* homes without idle ones are rare */
	kept_close(&kept);
}

static void refuses_only_what_is_older_than_everything_near(void **state)
{
	struct flow_options options = kept_options();
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	for (uint32_t n = 0; n < 4096; n++)
		GIVE(&kept, .from = n, .to = ~n, .at_ns = T);
	GIVE(&kept, .from = 1 << 20, .to = 1, .at_ns = T - 1);
	GIVE(&kept, .from = 1 << 21, .to = 1, .at_ns = T);
	assert_int_equal(flow_table_counters(kept.table).refused_full, 1);
	assert_int_equal(kept.count, 1);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	kept_check_ledger(&kept, 4098);
	kept_close(&kept);
}

static struct packet numbered(uint64_t number)
{
	struct packet packet =
		PACKET(.from = (uint32_t)number, .to = (uint32_t)(number >> 32),
		       .from_port = 1, .to_port = 2, .at_ns = T);

	return packet;
}

/* Distance from home to place of every entry, summed. */
static uint64_t overflow_sum(const struct flow_table *table)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < table->bucket_count; i++)
		sum += table->buckets[i].passed;
	return sum;
}

/* 2,000 tuples that share a home under one secret: there they overflow far
 * and are found all the same; under another secret they spread. */
static void cannot_be_attacked_without_the_secret(void **state)
{
	enum { CHOSEN = 2000 };
	struct flow_options options = kept_options();
	static struct packet chosen[CHOSEN];
	struct kept known, unknown;
	uint64_t number = 0;

	(void)state;
	kept_open(&known, &options);
	options.secret[5] ^= 1;
	kept_open(&unknown, &options);
	for (unsigned i = 0; i < CHOSEN;) {
		struct flow_key key;

		chosen[i] = numbered(number++ * 0x9e3779b97f4a7c15);
		flow_key_make(known.table, &chosen[i].tuple, false, &key);
		i += key.home < 4;
	}
	for (unsigned round = 0; round < 2; round++) {
		kept_meter(&known, chosen, CHOSEN, 64);
		kept_meter(&unknown, chosen, CHOSEN, 64);
	}
	assert_int_equal(flow_table_live(known.table), CHOSEN);
	assert_int_equal(flow_table_live(unknown.table), CHOSEN);
	assert_true(overflow_sum(known.table) > 100000);
	assert_true(overflow_sum(unknown.table) < 100);
	kept_close(&known);
	kept_close(&unknown);
}

/* Two numbers whose tuples share bucket and tag; a birthday finds them among
 * some ten thousand. */
static void alike_find(const struct flow_table *table, uint64_t ret[2])
{
	enum { SEEN = 1 << 20 };
	static uint32_t seen[SEEN];

	for (uint32_t number = 1;; number++) {
		struct packet packet = numbered(number), earlier;
		struct flow_key key, other;
		uint32_t *at;

		flow_key_make(table, &packet.tuple, false, &key);
		at = &seen[((uint32_t)key.tag << 16 ^ key.home * 31) % SEEN];
		earlier = numbered(*at);
		flow_key_make(table, &earlier.tuple, false, &other);
		ret[0] = *at;
		ret[1] = number;
		if (*at && other.tag == key.tag && other.home == key.home)
			return;
		*at = number;
	}
}

/* Two tuples with one tag in one bucket are two flows. */
static void never_merges_flows_whose_hash_is_alike(void **state)
{
	struct flow_options options = kept_options();
	struct packet packets[2];
	uint64_t numbers[2];
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	alike_find(kept.table, numbers);
	packets[0] = numbered(numbers[0]);
	packets[1] = numbered(numbers[1]);
	for (unsigned i = 0; i < 5; i++)
		flow_table_meter(kept.table, packets, 2);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.count, 2);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(kept.records[i].packets[0] +
					 kept.records[i].packets[1],
				 5);
	kept_close(&kept);
}

static void compares_tags_alike_with_and_without_simd(void **state)
{
	struct flow_table fast = {.portable = false},
			  plain = {.portable = true};
	struct flow_bucket bucket;
	uint64_t random = 1;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		memset(&bucket, 0xff, sizeof bucket);
		for (unsigned way = 0; way < BUCKET_WAYS; way++)
			bucket.tags[way] =
				(uint16_t)(random_next(&random) % 3 * 0x7fff);
		for (unsigned tag = 0; tag < 3; tag++)
			assert_int_equal(tags_match(&fast, &bucket,
						    (uint16_t)(tag * 0x7fff)),
					 tags_match(&plain, &bucket,
						    (uint16_t)(tag * 0x7fff)));
		assert_int_equal(tags_match(&fast, &bucket, UINT16_MAX), 0);
	}
}

/* Buckets, entries, everything: what a flow costs in a table of any size
 * from a quarter million on. */
static void takes_at_most_192_bytes_a_flow(void **state)
{
	(void)state;
	for (uint32_t count = FLOW_COUNT_PRESET; count <= FLOW_COUNT_MAX;
	     count *= 2)
		assert_true(flow_table_size(count) <= (size_t)count * 192);
}

/* Insertions and removals at random keep the overflow marks exact. */
static void forgets_what_it_removes(void **state)
{
	struct flow_options options = kept_options();
	static uint32_t entries[4096];
	struct kept kept;
	uint64_t random = 3;
	uint32_t count = 0;

	(void)state;
	kept_open(&kept, &options);
	for (unsigned i = 0; i < 100000; i++) {
		bool add = count < 3500 || (count < 4096 && random % 2);
		uint32_t at = (uint32_t)(random_next(&random) % 4096);
		struct packet packet = numbered(random);
		struct flow_key key;

		if (add) {
			flow_key_make(kept.table, &packet.tuple, false, &key);
			entries[count++] = table_insert(kept.table, &key);
			assert_int_equal(table_find(kept.table, &key),
					 entries[count - 1]);
			continue;
		}
		at %= count;
		table_remove(kept.table, entries[at]);
		entries[at] = entries[--count];
	}
	assert_int_equal(kept.table->used, count);
	while (count)
		table_remove(kept.table, entries[--count]);
	assert_int_equal(overflow_sum(kept.table), 0);
	for (uint32_t i = 0; i < kept.table->bucket_count; i++)
		assert_int_equal(
			tags_match(kept.table, &kept.table->buckets[i], 0),
			WAYS_MASK);
	kept_close(&kept);
}

static void begins_time_anew_when_the_clock_was_set_back(void **state)
{
	const int64_t late = 2000 * S, early = 1000 * S;
	struct flow_options options = kept_options();
	struct kept kept;

	(void)state;
	options.mark_duplicates = true;
	kept_open(&kept, &options);
	for (unsigned round = 0; round < 3; round++) {
		int64_t at = round % 2 ? early : late;

		for (uint16_t i = 0; i < 3000; i++)
			GIVE(&kept, .from = 1, .to = 2, .from_port = i,
			     .to_port = 53, .protocol = UDP,
			     .at_ns = at + i * MS);
		for (uint16_t i = 0; i < 3000; i++) /* none has ended */
			GIVE(&kept, .from = 2, .to = 1, .from_port = 53,
			     .to_port = i, .protocol = UDP,
			     .at_ns = at + 4 * S + i * MS);
		GIVE(&kept, .from = 1, .to = 3, .protocol = UDP, .at_ns = at,
		     .flags = PACKET_FRAGMENT, .fragment_id = 1);
		assert_int_equal(flow_table_live(kept.table), 3000);
		flow_table_rewind(kept.table);
		assert_int_equal(flow_table_live(kept.table), 0);
		assert_int_equal(kept.count, (round + 1) * 3001);
	}
	for (size_t i = 0; i < kept.count; i++) {
		const struct flow_record *record = &kept.records[i];

		assert_int_equal(record->end_reason, FLOW_END_FORCED);
		assert_false(record->duplicate);
		if (record->tuple.port[1] == 53)
			assert_int_equal(
				record->packets[0] + record->packets[1], 2);
	}
	kept_check_ledger(&kept, 18003);
	kept_close(&kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_as_many_flows_as_it_says),
		cmocka_unit_test(is_as_good_as_new_after_a_flush),
		cmocka_unit_test(evicts_the_longest_idle),
		cmocka_unit_test(
			refuses_only_what_is_older_than_everything_near),
		cmocka_unit_test(cannot_be_attacked_without_the_secret),
		cmocka_unit_test(never_merges_flows_whose_hash_is_alike),
		cmocka_unit_test(compares_tags_alike_with_and_without_simd),
		cmocka_unit_test(takes_at_most_192_bytes_a_flow),
		cmocka_unit_test(forgets_what_it_removes),
		cmocka_unit_test(begins_time_anew_when_the_clock_was_set_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
