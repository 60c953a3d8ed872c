#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/top.h"

#define EPOCH UINT64_C(1700000000000000000)

/* A report: bytes are the frame bytes sent, one packet a thousand of them. */
static struct flow_record report(uint64_t seq, uint64_t out, uint64_t in)
{
	struct flow_record record = {
		.epoch = EPOCH,
		.seq = seq,
		.tuple = {.protocol = 17,
			  .ip_version = 4,
			  .address = {{192, 0, 2, (uint8_t)seq},
				      {198, 51, 100, 1}},
			  .port = {(uint16_t)(1000 + seq), 53}},
		.packets = {out / 1000, in / 1000},
		.frame_bytes = {out, in},
		.start = {(int64_t)seq},
		.end = {(int64_t)seq + 1000},
	};

	return record;
}

static void note(struct top *top, uint64_t seq, uint64_t out, uint64_t in)
{
	struct flow_record record = report(seq, out, in);

	top_note(top, &record);
}

static void note_end(struct top *top, uint64_t seq, uint64_t out, uint64_t in)
{
	struct flow_record record = report(seq, out, in);

	record.end_reason = FLOW_END_IDLE;
	top_note(top, &record);
}

#define FLOWS_MAX 16

/* The sequence numbers in the order of 'sort', joined: "3 1 2". */
static const char *order(const struct top *top, enum top_sort sort)
{
	static char text[128];
	struct top_query query = {.sort = sort};
	struct top_flow flows[FLOWS_MAX];
	size_t count = top_select(top, &query, flows, FLOWS_MAX), used = 0;

	*text = 0;
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, sizeof text - used,
					 "%s%d", i ? " " : "",
					 (int)flows[i].seq);
	return text;
}

static void rates_are_differences_between_reports(void **state)
{
	struct top *top = top_create(FLOWS_MAX);
	struct top_query query = {.sort = TOP_BY_RATE};
	struct top_flow flow;

	(void)state;
	note(top, 1, 4000, 1000);
	top_tick(top, 2);
	assert_int_equal(top_select(top, &query, &flow, 1), 1);
	assert_true(flow.rate_bps[0] == 16000 && flow.rate_bps[1] == 4000);
	assert_true(flow.rate_pps[0] == 2 && flow.rate_pps[1] == 0.5);
	assert_true(top_totals(top).rate_bps == 20000);
	assert_true(top_totals(top).rate_pps == 2.5);

	note(top, 1, 5000, 1000);
	top_tick(top, 0.5);
	assert_int_equal(top_select(top, &query, &flow, 1), 1);
	assert_true(flow.rate_bps[0] == 16000 && flow.rate_bps[1] == 0);
	assert_int_equal(flow.bytes[0], 5000);

	top_tick(top, 1); /* no report: silent, and still there */
	assert_int_equal(top_select(top, &query, &flow, 1), 1);
	assert_true(flow.rate_bps[0] == 0);
	assert_true(top_totals(top).rate_bps == 0);
	top_destroy(top);
}

static void two_reports_in_one_interval_count_once(void **state)
{
	struct top *top = top_create(FLOWS_MAX);

	(void)state;
	note(top, 1, 1000, 0);
	note(top, 1, 3000, 0);
	top_tick(top, 1);
	assert_true(top_totals(top).rate_bps == 24000);
	top_destroy(top);
}

static void says_whether_a_report_is_news(void **state)
{
	struct top *top = top_create(FLOWS_MAX);
	struct flow_record record = report(1, 1000, 1000);

	(void)state;
	assert_true(top_note(top, &record));
	assert_false(top_note(top, &record));
	record.packets[1]++;
	assert_true(top_note(top, &record));
	assert_false(top_note(top, &record));
	record.state = FLOW_CLOSING;
	assert_true(top_note(top, &record));
	record.duplicate = true;
	assert_true(top_note(top, &record));
	assert_false(top_note(top, &record));
	record.end_reason = FLOW_END_IDLE;
	assert_true(top_note(top, &record));
	top_destroy(top);
}

static void leaves_duplicates_out_of_sums_and_lists(void **state)
{
	struct top *top = top_create(FLOWS_MAX);
	struct flow_record twice = report(2, 9000, 9000);
	struct top_query query = {.sort = TOP_BY_RATE};
	struct top_host hosts[FLOWS_MAX];

	(void)state;
	twice.duplicate = true;
	note(top, 1, 1000, 0);
	top_note(top, &twice);
	top_tick(top, 1);
	assert_string_equal(order(top, TOP_BY_RATE), "1");
	assert_true(top_totals(top).rate_bps == 8000);
	assert_true(top_totals(top).rate_pps == 1);
	assert_int_equal(top_totals(top).flows, 2);
	assert_int_equal(top_hosts(top, &query, hosts, FLOWS_MAX), 2);
	top_destroy(top);
}

static void an_ended_flow_counts_and_leaves_one_interval_later(void **state)
{
	struct top *top = top_create(FLOWS_MAX);

	(void)state;
	note(top, 1, 1000, 0);
	note(top, 2, 2000, 0);
	top_tick(top, 1);
	note_end(top, 1, 5000, 0);
	note_end(top, 3, 500, 0); /* begun and ended since */
	top_tick(top, 1);
	assert_string_equal(order(top, TOP_BY_RATE), "1 3 2");
	assert_true(top_totals(top).rate_bps == 8 * 4500);
	top_tick(top, 1);
	assert_string_equal(order(top, TOP_BY_RATE), "2");
	assert_int_equal(top_totals(top).flows, 1);
	top_destroy(top);
}

static void the_same_number_of_another_epoch_is_another_flow(void **state)
{
	struct top *top = top_create(FLOWS_MAX);
	struct flow_record other = report(1, 3000, 0);

	(void)state;
	other.epoch++;
	note(top, 1, 1000, 0);
	top_note(top, &other);
	top_tick(top, 1);
	assert_int_equal(top_totals(top).flows, 2);
	assert_true(top_totals(top).rate_bps == 32000);
	top_destroy(top);
}

static void follows_a_flow_whose_initiator_is_told_later(void **state)
{
	struct top *top = top_create(FLOWS_MAX);
	struct flow_record record = report(1, 8000, 1000), turned = record;
	struct top_query query = {.sort = TOP_BY_RATE};
	struct top_flow flow;

	(void)state;
	top_note(top, &record);
	top_tick(top, 1);
	for (int i = 0; i < 2; i++) {
		memcpy(turned.tuple.address[i], record.tuple.address[!i],
		       sizeof turned.tuple.address[i]);
		turned.tuple.port[i] = record.tuple.port[!i];
		turned.packets[i] = record.packets[!i] + 1;
		turned.frame_bytes[i] = record.frame_bytes[!i] + 1000;
	}
	top_note(top, &turned);
	top_tick(top, 1);
	assert_int_equal(top_select(top, &query, &flow, 1), 1);
	assert_true(flow.rate_bps[0] == 8000 && flow.rate_bps[1] == 8000);
	assert_true(flow.rate_pps[0] == 1 && flow.rate_pps[1] == 1);
	assert_int_equal(flow.tuple.port[0], 53);
	top_destroy(top);
}

static void sorts_by_what_is_asked(void **state)
{
	struct top *top = top_create(FLOWS_MAX);
	struct top_query query = {.sort = TOP_BY_BYTES};
	struct top_flow flows[2];

	(void)state;
	note(top, 1, 100000, 0);
	note(top, 2, 50000, 60000);
	note(top, 3, 1000, 0);
	top_tick(top, 1);
	note(top, 1, 101000, 0);
	note(top, 3, 9000, 0);
	top_tick(top, 1);
	assert_string_equal(order(top, TOP_BY_RATE), "3 1 2");
	assert_string_equal(order(top, TOP_BY_BYTES), "2 1 3");
	assert_string_equal(order(top, TOP_BY_PACKETS), "2 1 3");
	assert_string_equal(order(top, TOP_BY_NEWEST), "3 2 1");
	assert_int_equal(top_select(top, &query, flows, 2), 2);
	assert_int_equal(flows[0].seq, 2);
	assert_int_equal(flows[1].seq, 1);
	assert_int_equal(top_select(top, &query, flows, 0), 0);
	top_destroy(top);
}

static bool is_odd(void *context, const struct top_flow *flow)
{
	(void)context;
	return flow->seq % 2 == 1;
}

static void shows_only_what_is_wanted(void **state)
{
	struct top *top = top_create(FLOWS_MAX);
	struct top_query query = {.sort = TOP_BY_NEWEST, .wanted = is_odd};
	struct top_flow flows[FLOWS_MAX];

	(void)state;
	for (uint64_t seq = 1; seq <= 9; seq++)
		note(top, seq, seq, 0);
	assert_int_equal(top_select(top, &query, flows, FLOWS_MAX), 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(flows[i].seq, 9 - 2 * i);
	top_destroy(top);
}

static void sums_hosts_over_both_ends_of_their_flows(void **state)
{
	struct top *top = top_create(FLOWS_MAX);
	struct top_query query = {.sort = TOP_BY_RATE};
	struct top_host hosts[FLOWS_MAX];

	(void)state;
	note(top, 1, 1000, 100);
	note(top, 2, 2000, 200);
	top_tick(top, 1);
	assert_int_equal(top_hosts(top, &query, hosts, FLOWS_MAX), 3);
	assert_int_equal(hosts[0].address[0], 198); /* at both flows' end */
	assert_int_equal(hosts[0].flows, 2);
	assert_int_equal(hosts[0].bytes[0], 300);
	assert_int_equal(hosts[0].bytes[1], 3000);
	assert_true(hosts[0].rate_bps[0] == 2400);
	assert_true(hosts[0].rate_bps[1] == 24000);
	assert_int_equal(hosts[1].address[3], 2);
	assert_int_equal(hosts[1].bytes[0], 2000);
	assert_int_equal(hosts[2].address[3], 1);
	assert_int_equal(top_hosts(top, &query, hosts, 1), 1);
	top_destroy(top);
}

static void counts_what_it_has_no_room_for(void **state)
{
	struct top *top = top_create(2);
	struct flow_record third = report(3, 1000, 0);

	(void)state;
	note(top, 1, 1000, 0);
	note(top, 2, 1000, 0);
	assert_true(top_note(top, &third)); /* news all the same */
	top_tick(top, 1);
	assert_int_equal(top_totals(top).untracked, 1);
	assert_int_equal(top_totals(top).flows, 2);
	assert_true(top_totals(top).rate_bps == 16000);
	top_destroy(top);
}

/* Against a plain array: what is known after many comings and goings. */
static void finds_every_flow_after_many_have_left(void **state)
{
	enum { COUNT = 2000, ROUNDS = 200 };
	struct top *top = top_create(COUNT);
	uint64_t *sent = calloc(COUNT, sizeof *sent); /* by seq, 0: not live */
	uint64_t random = 88172645463325252, live = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		double expected = 0;

		for (int i = 0; i < 100; i++) {
			uint64_t seq, more;

			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			seq = random % COUNT;
			more = 1000 + random / COUNT % 5000;
			live += sent[seq] == 0;
			sent[seq] += more;
			expected += (double)more * 8;
			if (random >> 60 < 4) {
				note_end(top, seq, sent[seq], 0);
				top_tick(top, 1);
				assert_true(top_totals(top).rate_bps ==
					    expected);
				expected = 0;
				top_tick(top, 1); /* gone */
				sent[seq] = 0;
				live--;
			} else {
				note(top, seq, sent[seq], 0);
			}
		}
		top_tick(top, 1);
		assert_true(top_totals(top).rate_bps == expected);
		assert_int_equal(top_totals(top).flows, live);
		assert_int_equal(top_totals(top).untracked, 0);
	}
	free(sent);
	top_destroy(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_differences_between_reports),
		cmocka_unit_test(two_reports_in_one_interval_count_once),
		cmocka_unit_test(says_whether_a_report_is_news),
		cmocka_unit_test(leaves_duplicates_out_of_sums_and_lists),
		cmocka_unit_test(
			an_ended_flow_counts_and_leaves_one_interval_later),
		cmocka_unit_test(
			the_same_number_of_another_epoch_is_another_flow),
		cmocka_unit_test(follows_a_flow_whose_initiator_is_told_later),
		cmocka_unit_test(sorts_by_what_is_asked),
		cmocka_unit_test(shows_only_what_is_wanted),
		cmocka_unit_test(sums_hosts_over_both_ends_of_their_flows),
		cmocka_unit_test(counts_what_it_has_no_room_for),
		cmocka_unit_test(finds_every_flow_after_many_have_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
