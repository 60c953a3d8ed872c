/* Fragments: every one counted, once, in its flow. */
#include <string.h>

#include "kit.h"

#define A     0x0a000001
#define B     0x0a000002
#define T     (INT64_C(1700000000) * S)
#define FIRST (PACKET_FRAGMENT | PACKET_FRAGMENT_FIRST)
#define MID   PACKET_FRAGMENT
#define WHOLE (FIRST | PACKET_FRAGMENT_LAST)
#define LAST  (PACKET_FRAGMENT | PACKET_FRAGMENT_LAST)

struct piece {
	uint16_t flags;
	uint32_t id;
	int64_t at_s;
};

static void piece_give(struct kept *kept, const struct piece *piece, bool ip6)
{
	bool first = piece->flags & PACKET_FRAGMENT_FIRST;

	/* In IPv6 only the first fragment tells the protocol. */
	GIVE(kept, .from = A, .to = B, .from_port = first ? 50001 : 0,
	     .to_port = first ? 6001 : 0, .protocol = ip6 && !first ? 60 : UDP,
	     .ip6 = ip6, .flags = piece->flags, .fragment_id = piece->id,
	     .at_ns = T + piece->at_s * S, .bytes = 1500);
}

static const struct {
	const char *what;
	struct piece pieces[8];
	uint64_t with_ports;
	uint64_t orphaned;
} orders[] = {
	{"in order", {{FIRST, 1, 0}, {MID, 1, 0}, {LAST, 1, 1}}, 3, 0},
	{"backwards", {{LAST, 1, 0}, {MID, 1, 1}, {FIRST, 1, 2}}, 3, 0},
	{"each one twice",
	 {{LAST, 1, 0},
	  {LAST, 1, 0},
	  {FIRST, 1, 1},
	  {FIRST, 1, 1},
	  {MID, 1, 1},
	  {MID, 1, 1}},
	 6,
	 0},
	{"the first at the last moment", {{LAST, 1, 1}, {FIRST, 1, 30}}, 2, 0},
	{"the first too late", {{LAST, 1, 1}, {FIRST, 1, 31}}, 1, 1},
	{"the first never", {{MID, 1, 1}, {LAST, 1, 2}}, 0, 2},
	{"two datagrams, mixed",
	 {{MID, 1, 1}, {MID, 2, 1}, {FIRST, 2, 2}, {FIRST, 1, 3}},
	 4,
	 0},
	{"a number used again starts its age anew",
	 {{FIRST, 1, 0}, {FIRST, 1, 20}, {LAST, 1, 40}},
	 3,
	 0},
	{"one that is whole", {{WHOLE, 1, 0}, {MID, 1, 0}}, 1, 1},
};

static void finds_the_flow_of_every_fragment(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * (sizeof orders / sizeof *orders); i++) {
		struct flow_options options = kept_options();
		uint64_t with_ports = 0, without = 0, given = 0;
		struct flow_counters counters;
		struct kept kept;

		options.idle_ns = 100 * S;
		print_message("# %s\n", orders[i / 2].what);
		kept_open(&kept, &options);
		for (; orders[i / 2].pieces[given].flags; given++)
			piece_give(&kept, &orders[i / 2].pieces[given], i % 2);
		flow_table_flush(kept.table, FLOW_END_FORCED);
		for (size_t j = 0; j < kept.count; j++) {
			const struct flow_record *r = &kept.records[j];
			uint64_t packets = r->packets[0] + r->packets[1];

			if (r->tuple.port[0] || r->tuple.port[1])
				with_ports += packets;
			else
				without += packets;
			assert_int_equal(r->bytes[0], r->packets[0] * 1500);
			assert_int_equal(r->fragments[0], r->packets[0]);
		}
		counters = flow_table_counters(kept.table);
		assert_int_equal(with_ports, orders[i / 2].with_ports);
		assert_int_equal(without, orders[i / 2].orphaned);
		assert_int_equal(counters.fragments_orphaned,
				 orders[i / 2].orphaned);
		assert_int_equal(counters.fragments, given);
		kept_check_ledger(&kept, given);
		kept_close(&kept);
	}
}

static void keeps_the_times_of_fragments_that_waited(void **state)
{
	static const struct piece pieces[] = {
		{LAST, 1, 3}, {MID, 1, 1}, {FIRST, 1, 5}};
	struct flow_options options = kept_options();
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	for (size_t i = 0; i < 3; i++)
		piece_give(&kept, &pieces[i], false);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.count, 1);
	assert_int_equal(kept.records[0].start.ns, T + S);
	assert_int_equal(kept.records[0].end.ns, T + 5 * S);
	assert_int_equal(flow_table_counters(kept.table).fragments_waited, 2);
	kept_close(&kept);
}

static void keeps_icmp_fragments_with_their_type(void **state)
{
	struct flow_options options = kept_options();
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	GIVE(&kept, .from = B, .to = A, .protocol = ICMP, .flags = MID,
	     .fragment_id = 3, .at_ns = T);
	GIVE(&kept, .from = B, .to = A, .protocol = ICMP, .from_port = 3,
	     .to_port = 3, .flags = FIRST | PACKET_ICMP_ONE_WAY,
	     .fragment_id = 3, .at_ns = T);
	GIVE(&kept, .from = B, .to = A, .protocol = ICMP, .flags = LAST,
	     .fragment_id = 3, .at_ns = T);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.count, 1);
	assert_int_equal(kept.records[0].packets[0], 3);
	kept_close(&kept);
}

/* 4,096 datagrams are kept: a flood of others pushes the real one out, and
 * still no fragment is lost or counted twice. */
static void counts_every_fragment_of_a_flood_once(void **state)
{
	static const struct piece early = {MID, 1, 0}, late = {FIRST, 1, 1};
	struct flow_options options = kept_options();
	uint64_t packets = 0, orphans = 0;
	struct flow_counters counters;
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	piece_give(&kept, &early, false);
	for (uint32_t i = 0; i < 20000; i++)
		GIVE(&kept, .from = i, .to = B, .flags = i % 3 ? MID : LAST,
		     .fragment_id = i / 2, .at_ns = T + i, .bytes = 100);
	counters = flow_table_counters(kept.table);
	assert_int_equal(counters.fragments_evicted, 20001 - 4096);
	piece_give(&kept, &late, false);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	counters = flow_table_counters(kept.table);
	assert_int_equal(counters.fragments, 20002);
	assert_int_equal(counters.fragments_waited, 20001);
	assert_int_equal(counters.fragments_orphaned, 20001);
	for (size_t i = 0; i < kept.count; i++) {
		packets += kept.records[i].packets[0];
		orphans += kept.records[i].tuple.port[0] == 0;
	}
	assert_int_equal(packets + counters.refused_full, 20002);
	assert_int_equal(orphans, kept.count - 1);
	kept_check_ledger(&kept, 20002);
	kept_close(&kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_flow_of_every_fragment),
		cmocka_unit_test(keeps_the_times_of_fragments_that_waited),
		cmocka_unit_test(keeps_icmp_fragments_with_their_type),
		cmocka_unit_test(counts_every_fragment_of_a_flood_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
