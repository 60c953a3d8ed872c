/* A table that doubles: every flow stays where it was and is found again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "flow/flow_private.h"
#include "kit.h"

#define T (INT64_C(1700000000) * S)

static struct flow_options growing(uint32_t most)
{
	struct flow_options options = kept_options();

	options.flow_count_max = most;
	return options;
}

static void flows_give(struct kept *kept, uint32_t from, uint32_t to)
{
	for (uint32_t n = from; n < to; n++)
		GIVE(kept, .from = n, .to = ~n, .protocol = TCP,
		     .from_port = 40000, .to_port = 443, .tcp_flags = ACK,
		     .at_ns = T + n);
}

static void finds_every_flow_after_every_doubling(void **state)
{
	static const bool marks[] = {false, true};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct flow_options options = growing(1 << 20);
		struct kept kept;

		options.mark_duplicates = marks[i];
		options.tcp_metrics = marks[i];
		kept_open(&kept, &options);
		for (uint32_t n = 0; n < 300000; n += 1000) {
			struct flow_record record;
			struct packet last;

			flows_give(&kept, n, n + 1000);
			last = PACKET(.from = ~(n / 2), .to = n / 2,
				      .protocol = TCP, .from_port = 443,
				      .to_port = 40000, .at_ns = T);
			assert_true(flow_table_lookup(kept.table, &last.tuple,
						      &record));
			assert_int_equal(record.start.ns, T + n / 2);
		}
		assert_int_equal(flow_table_live(kept.table), 300000);
		assert_int_equal(kept.table->flow_count, 1 << 19);
		flows_give(&kept, 0, 300000);
		assert_int_equal(flow_table_live(kept.table), 300000);
		assert_int_equal(kept.count, 0);
		flow_table_flush(kept.table, FLOW_END_FORCED);
		for (size_t n = 0; n < kept.count; n++)
			assert_int_equal(kept.records[n].packets[0], 2);
		kept_check_ledger(&kept, 600000);
		kept_close(&kept);
	}
}

static void ends_flows_on_time_after_growing(void **state)
{
	struct flow_options options = growing(1 << 17);
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	flows_give(&kept, 0, 100000);
	flow_table_advance(kept.table, (struct wall){T + 31 * S});
	assert_int_equal(kept.count, 100000);
	assert_int_equal(flow_table_counters(kept.table).ended_idle, 100000);
	assert_int_equal(flow_table_live(kept.table), 0);
	flows_give(&kept, 0, 100000); /* none of it was lost */
	assert_int_equal(kept.table->flow_count, 1 << 17);
	kept_close(&kept);
}

static void evicts_at_its_limit_and_no_sooner(void **state)
{
	static const uint32_t limits[] = {4097, 10000, 65536};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct flow_options options = growing(limits[i]);
		struct kept kept;

		kept_open(&kept, &options);
		flows_give(&kept, 0, limits[i]);
		assert_int_equal(
			flow_table_counters(kept.table).ended_resources, 0);
		assert_int_equal(flow_table_live(kept.table), limits[i]);
		flows_give(&kept, limits[i], limits[i] + 100);
		assert_int_equal(
			flow_table_counters(kept.table).ended_resources, 100);
		assert_int_equal(flow_table_live(kept.table), limits[i]);
		kept_close(&kept);
	}
}

struct seen {
	uint32_t count;
	uint8_t *times;
};

static void see(void *context, const struct flow_record *record)
{
	struct seen *seen = context;

	seen->times[record->start.ns - T]++;
	seen->count++;
}

static void is_visited_whole_while_it_grows(void **state)
{
	struct flow_options options = growing(1 << 18);
	struct seen seen = {.times = calloc(1, 100000)};
	uint64_t cursor = 0;
	struct kept kept;
	uint32_t given = 4000;

	(void)state;
	assert_non_null(seen.times);
	kept_open(&kept, &options);
	flows_give(&kept, 0, given);
	while (flow_table_visit(kept.table, &cursor, 1000, (struct wall){0},
				see, &seen)) {
		if (given < 60000)
			flows_give(&kept, given, given + 2000);
		given += given < 60000 ? 2000 : 0;
	}
	assert_true(given > 8192);
	assert_int_equal(seen.count, given);
	for (uint32_t n = 0; n < given; n++)
		assert_int_equal(seen.times[n], 1);
	free(seen.times);
	kept_close(&kept);
}

static void fragment_give(struct kept *kept, uint32_t id, uint16_t flags)
{
	bool first = flags & PACKET_FRAGMENT_FIRST;

	GIVE(kept, .from = 1 + id % 1000, .to = 7, .protocol = UDP,
	     .from_port = first ? 5000 : 0, .to_port = first ? 53 : 0,
	     .flags = flags | PACKET_FRAGMENT, .fragment_id = id,
	     .at_ns = T + id);
}

static void keeps_every_fragment_that_waits(void **state)
{
	const uint32_t count = 50000;
	struct flow_options options = growing(1 << 18);
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	for (uint32_t id = 0; id < count; id++)
		fragment_give(&kept, id, PACKET_FRAGMENT_LAST);
	for (uint32_t id = 0; id < count; id++)
		fragment_give(&kept, id, PACKET_FRAGMENT_FIRST);
	assert_int_equal(flow_table_counters(kept.table).fragments_evicted, 0);
	assert_int_equal(flow_table_live(kept.table), 1000);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	for (size_t i = 0; i < kept.count; i++) {
		assert_int_equal(kept.records[i].tuple.port[1], 53);
		assert_int_equal(kept.records[i].packets[0], 100);
	}
	kept_check_ledger(&kept, 2 * (uint64_t)count);
	kept_close(&kept);
}

/* Every fragment that waits is a flow of its own when time passes: they find
 * room, by whichever way it passes. */
static void has_room_for_what_fragments_turn_into(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 4; way++) {
		struct flow_options options = growing(1 << 18);
		struct kept kept;

		kept_open(&kept, &options);
		for (uint32_t n = 0; n < 20000; n++)
			GIVE(&kept, .from = n, .to = ~n, .protocol = UDP,
			     .flags = PACKET_FRAGMENT, .fragment_id = n,
			     .at_ns = T + n);
		assert_int_equal(flow_table_live(kept.table), 0);
		if (way == 0)
			flow_table_advance(kept.table,
					   (struct wall){T + 30 * S + 20000});
		if (way == 1)
			GIVE(&kept, .from = 1, .to = 2,
			     .at_ns = T + 30 * S + 20000);
		if (way == 2)
			flow_table_rewind(kept.table);
		flow_table_flush(kept.table, FLOW_END_FORCED);
		assert_int_equal(
			flow_table_counters(kept.table).ended_resources, 0);
		assert_int_equal(
			flow_table_counters(kept.table).fragments_orphaned,
			20000);
		assert_int_equal(kept.count, 20000 + (way == 1));
		kept_close(&kept);
	}
}

static void has_no_largest_size_below_its_first(void **state)
{
	struct flow_options options = growing(FLOW_COUNT_MIN - 1);
	struct flow_table *table;
	struct kept kept;

	(void)state;
	kept_open(&kept, &options); /* as one of fixed size */
	flows_give(&kept, 0, 5000);
	assert_int_equal(kept.table->flow_count, FLOW_COUNT_MIN);
	assert_int_equal(flow_table_counters(kept.table).ended_resources,
			 5000 - FLOW_COUNT_MIN);
	kept_close(&kept);
	options = growing(FLOW_COUNT_MAX + 1);
	options.emit = (void (*)(void *, const struct flow_record *))abort;
	assert_int_equal(flow_table_create(&options, &table), -EINVAL);
}

/* Address space for 64 times as much as there may be: less is reserved, and
 * where that is full the table evicts. */
static void stays_within_the_memory_there_is(void **state)
{
	struct flow_options options = growing(FLOW_COUNT_MAX);
	struct rlimit before, limit;
	struct flow_counters counters;
	struct kept kept;

	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	check_skip("sanitizers take address space of their own");
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	check_skip("sanitizers take address space of their own");
#endif
#endif
	assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
	limit = before;
	limit.rlim_cur = 300U << 20;
	assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
	kept_open(&kept, &options);
	kept.size = 200000; /* no memory is taken for them later */
	kept.records = calloc(kept.size, sizeof *kept.records);
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	if (!kept.records)
		kept.records = calloc(kept.size, sizeof *kept.records);
	assert_non_null(kept.records);
	assert_in_range(kept.table->flow_count_max, FLOW_COUNT_MIN,
			FLOW_COUNT_MAX / 8);
	flows_give(&kept, 0, kept.table->flow_count_max + 50);
	counters = flow_table_counters(kept.table);
	assert_int_equal(counters.ended_resources, 50);
	kept_close(&kept);
}

/* The memory ends in the middle of growing: flows are where they were. */
static void evicts_where_the_memory_ends(void **state)
{
	struct flow_options options = growing(1 << 20);
	struct rlimit before, limit = {.rlim_cur = 4096};
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	kept.size = 20000;
	kept.records = calloc(kept.size, sizeof *kept.records);
	assert_non_null(kept.records);
	assert_int_equal(getrlimit(RLIMIT_DATA, &before), 0);
	flows_give(&kept, 0, 10000);
	limit.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_DATA, &limit), 0);
	flows_give(&kept, 10000, 20000);
	assert_int_equal(setrlimit(RLIMIT_DATA, &before), 0);
	assert_int_equal(kept.table->flow_count, 16384);
	assert_int_equal(flow_table_counters(kept.table).ended_resources,
			 20000 - 16384);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.count, 20000);
	kept_check_ledger(&kept, 20000);
	kept_close(&kept);
}

/* Whoever touches pages ahead of the flows may be anywhere. */
static void touches_pages_and_changes_nothing(void **state)
{
	struct flow_options options = growing(1 << 20);
	struct kept kept;
	uint32_t calls = 0;

	(void)state;
	options.populate_later = true;
	kept_open(&kept, &options);
	for (uint32_t n = 0; n < 200000; n += 10000) {
		flows_give(&kept, n, n + 10000);
		if (flow_table_grown(kept.table))
			calls += flow_table_populate(kept.table);
	}
	assert_true(calls > 0);
	while (flow_table_populate(kept.table))
		calls++;
	assert_in_range(calls, 1, 262144 / 16384 + 1);
	assert_false(flow_table_populate(kept.table));
	flows_give(&kept, 0, 200000);
	assert_int_equal(flow_table_live(kept.table), 200000);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	for (size_t n = 0; n < kept.count; n++)
		assert_int_equal(kept.records[n].packets[0], 2);
	kept_check_ledger(&kept, 400000);
	kept_close(&kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_every_flow_after_every_doubling),
		cmocka_unit_test(ends_flows_on_time_after_growing),
		cmocka_unit_test(evicts_at_its_limit_and_no_sooner),
		cmocka_unit_test(is_visited_whole_while_it_grows),
		cmocka_unit_test(keeps_every_fragment_that_waits),
		cmocka_unit_test(has_room_for_what_fragments_turn_into),
		cmocka_unit_test(has_no_largest_size_below_its_first),
		cmocka_unit_test(stays_within_the_memory_there_is),
		cmocka_unit_test(evicts_where_the_memory_ends),
		cmocka_unit_test(touches_pages_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
