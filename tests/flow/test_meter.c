/* What becomes of packets: records, their direction, times and ends. */
#include <errno.h>

#include "kit.h"

#define A         0x0a000001
#define B         0x0a000002
#define V4_GROUP  0xe00000fb
#define BROADCAST 0xffffffff
#define T         (INT64_C(1700000000) * S)

struct step {
	bool back; /* sent by B, the server */
	uint8_t flags;
	uint32_t sequence;
	int64_t after_ns; /* the step before */
};

static void steps_give(struct kept *kept, const struct step *steps,
		       size_t count)
{
	int64_t at_ns = T;

	for (size_t i = 0; i < count && (i == 0 || steps[i].flags); i++) {
		const struct step *step = &steps[i];

		at_ns += step->after_ns;
		if (step->back)
			GIVE(kept, .from = B, .to = A, .from_port = 80,
			     .to_port = 50000, .protocol = TCP,
			     .tcp_flags = step->flags,
			     .sequence = step->sequence, .at_ns = at_ns);
		else
			GIVE(kept, .from = A, .to = B, .from_port = 50000,
			     .to_port = 80, .protocol = TCP,
			     .tcp_flags = step->flags,
			     .sequence = step->sequence, .at_ns = at_ns);
	}
	flow_table_flush(kept->table, FLOW_END_FORCED);
}

static const struct {
	const char *what;
	struct step steps[10];
	size_t records;
	struct {
		uint64_t packets[2];
		uint8_t reason;
		uint8_t state;
	} expected[3];
} connections[] = {
	{"a whole connection, with its last ACK",
	 {{0, SYN, 1, 0},
	  {1, SYN | ACK, 1, MS},
	  {0, ACK, 2, MS},
	  {0, FIN | ACK, 2, MS},
	  {1, FIN | ACK, 2, MS},
	  {0, ACK, 3, MS}},
	 1,
	 {{{4, 2}, FLOW_END_DETECTED, FLOW_CLOSED}}},
	{"a SYN sent again is the same connection",
	 {{0, SYN, 1, 0}, {0, SYN, 1, S}, {0, SYN, 1, 2 * S}},
	 1,
	 {{{3, 0}, FLOW_END_FORCED, FLOW_ACTIVE}}},
	{"a refused SYN sent again is, too",
	 {{0, SYN, 1, 0}, {1, RST | ACK, 0, MS}, {0, SYN, 1, S}},
	 1,
	 {{{2, 1}, FLOW_END_DETECTED, FLOW_CLOSED}}},
	{"a new SYN on a closed connection begins another",
	 {{0, SYN, 1, 0},
	  {1, RST | ACK, 0, MS},
	  {0, SYN, 9, MS},
	  {0, ACK, 10, MS}},
	 2,
	 {{{1, 1}, FLOW_END_DETECTED, FLOW_CLOSED},
	  {{2, 0}, FLOW_END_FORCED, FLOW_ACTIVE}}},
	{"ports used again without a FIN seen",
	 {{0, SYN, 1, 0}, {0, ACK, 2, MS}, {0, SYN, 9, S}},
	 2,
	 {{{2, 0}, FLOW_END_DETECTED, FLOW_ACTIVE},
	  {{1, 0}, FLOW_END_FORCED, FLOW_ACTIVE}}},
	{"a new SYN after a FIN of a connection begun unseen",
	 {{0, FIN | ACK, 5, 0}, {0, SYN, 9, MS}},
	 2,
	 {{{1, 0}, FLOW_END_DETECTED, FLOW_CLOSING},
	  {{1, 0}, FLOW_END_FORCED, FLOW_ACTIVE}}},
	{"one FIN is closing and no more",
	 {{0, FIN | ACK, 1, 0}, {0, FIN | ACK, 1, MS}},
	 1,
	 {{{2, 0}, FLOW_END_FORCED, FLOW_CLOSING}}},
	{"late packets within five seconds stay",
	 {{0, RST, 1, 0}, {1, ACK, 1, 4 * S}, {1, ACK, 1, 4 * S}},
	 1,
	 {{{1, 2}, FLOW_END_DETECTED, FLOW_CLOSED}}},
	{"after five seconds they do not",
	 {{0, RST, 1, 0}, {1, ACK, 1, 5 * S}},
	 2,
	 {{{1, 0}, FLOW_END_DETECTED, FLOW_CLOSED},
	  {{0, 1}, FLOW_END_FORCED, FLOW_ACTIVE}}},
	{"a SYN seen after its answer",
	 {{1, SYN | ACK, 7, 0}, {0, SYN, UINT32_MAX, MS}},
	 1,
	 {{{1, 1}, FLOW_END_FORCED, FLOW_ACTIVE}}},
};

static void follows_tcp_connections(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof connections / sizeof *connections; i++) {
		struct flow_options options = kept_options();
		struct kept kept;

		print_message("# %s\n", connections[i].what);
		kept_open(&kept, &options);
		steps_give(&kept, connections[i].steps, 10);
		assert_int_equal(kept.count, connections[i].records);
		for (size_t j = 0; j < kept.count; j++) {
			const struct flow_record *r = &kept.records[j];

			assert_int_equal(r->seq, j);
			assert_int_equal(r->tuple.port[1], 80);
			assert_int_equal(r->packets[0],
					 connections[i].expected[j].packets[0]);
			assert_int_equal(r->packets[1],
					 connections[i].expected[j].packets[1]);
			assert_int_equal(r->end_reason,
					 connections[i].expected[j].reason);
			assert_int_equal(r->state,
					 connections[i].expected[j].state);
		}
		kept_close(&kept);
	}
}

static const struct {
	const char *what;
	struct given first;
	bool receiver;
	uint8_t how;
} beginnings[] = {
	{"a SYN", {A, B, 80, 50000, TCP, .tcp_flags = SYN}, 0, 1},
	{"a SYN-ACK", {A, B, 50000, 80, TCP, .tcp_flags = SYN | ACK}, 1, 1},
	{"data from a server", {A, B, 443, 50000, TCP, .tcp_flags = ACK}, 1, 2},
	{"data from a client", {A, B, 50000, 443, TCP, .tcp_flags = ACK}, 0, 0},
	{"a listed service", {A, B, 3306, 5555, TCP, .tcp_flags = ACK}, 1, 2},
	{"two listed services",
	 {A, B, 8080, 3306, TCP, .tcp_flags = ACK},
	 0,
	 0},
	{"a well-known and a listed one",
	 {A, B, 22, 8080, TCP, .tcp_flags = ACK},
	 1,
	 2},
	{"an ephemeral port and one below",
	 {A, B, 7777, 40000, TCP, .tcp_flags = ACK},
	 1,
	 2},
	{"the same in UDP says nothing",
	 {A, B, 7777, 40000, .protocol = UDP},
	 0,
	 0},
	{"NFS from a privileged port",
	 {A, B, 1023, 2049, .protocol = UDP},
	 0,
	 0},
	{"and its answer", {A, B, 2049, 1023, .protocol = UDP}, 1, 2},
	{"mail over TLS", {A, B, 993, 8080, TCP, .tcp_flags = ACK}, 0, 0},
	{"an answer of DNS", {A, B, 53, 33000, .protocol = UDP}, 1, 2},
	{"a question", {A, B, 33000, 53, .protocol = UDP}, 0, 0},
	{"server to server", {A, B, 123, 123, .protocol = UDP}, 0, 0},
	{"to a group", {A, V4_GROUP, 53, 50000, .protocol = UDP}, 0, 0},
	{"to everybody", {A, BROADCAST, 67, 50068, .protocol = UDP}, 0, 0},
	{"an echo request", {A, B, 8, 0, .protocol = ICMP}, 0, 0},
	{"an echo reply", {A, B, 0, 8, .protocol = ICMP}, 1, 2},
	{"an IPv6 echo reply", {A, B, 129, 128, ICMP6, .ip6 = true}, 1, 2},
	{"unreachable", {A, B, 3, 3, ICMP, .flags = PACKET_ICMP_ONE_WAY}, 0, 0},
	{"no ports", {A, B, 0, 0, .protocol = 47}, 0, 0},
};

static void tells_who_began(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * (sizeof beginnings / sizeof *beginnings);
	     i++) {
		struct flow_options options = kept_options();
		struct given first = beginnings[i / 2].first;
		struct kept kept;

		if (i % 2 &&
		    first.to != B) /* the addresses' order is no hint */
			continue;
		if (i % 2) {
			first.from = B;
			first.to = A;
		}
		print_message("# %s\n", beginnings[i / 2].what);
		kept_open(&kept, &options);
		kept_give(&kept, &first);
		flow_table_flush(kept.table, FLOW_END_FORCED);
		assert_int_equal(kept.count, 1);
		assert_int_equal(kept.records[0].initiator,
				 beginnings[i / 2].how);
		assert_int_equal(kept.records[0].packets[0],
				 !beginnings[i / 2].receiver);
		assert_int_equal(kept.records[0].packets[1],
				 beginnings[i / 2].receiver);
		assert_int_equal(kept.records[0].tuple.port[0],
				 beginnings[i / 2].receiver ? first.to_port
							    : first.from_port);
		kept_close(&kept);
	}
}

static void corrects_the_initiator_when_a_syn_follows(void **state)
{
	struct flow_options options = kept_options();
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	GIVE(&kept, .from = B, .to = A, .from_port = 9999, .to_port = 9998,
	     .protocol = TCP, .tcp_flags = ACK, .at_ns = T, .bytes = 100);
	GIVE(&kept, .from = A, .to = B, .from_port = 9998, .to_port = 9999,
	     .protocol = TCP, .tcp_flags = SYN, .at_ns = T + 1, .bytes = 60);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.count, 1);
	assert_int_equal(kept.records[0].initiator, FLOW_INITIATOR_SYN);
	assert_int_equal(kept.records[0].tuple.port[0], 9998);
	assert_int_equal(kept.records[0].bytes[0], 60);
	assert_int_equal(kept.records[0].bytes[1], 100);
	assert_int_equal(kept.records[0].tcp_flags[0], SYN);
	kept_close(&kept);
}

static void keeps_one_way_icmp_apart_by_direction(void **state)
{
	struct flow_options options = kept_options();
	struct flow_record record;
	struct packet packet = PACKET(.from = B, .to = A, .from_port = 3,
				      .to_port = 3, .protocol = ICMP);
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	for (unsigned i = 0; i < 2; i++)
		GIVE(&kept, .from = i ? A : B, .to = i ? B : A, .from_port = 3,
		     .to_port = 3, .protocol = ICMP,
		     .flags = PACKET_ICMP_ONE_WAY, .at_ns = T);
	assert_int_equal(flow_table_live(kept.table), 2);
	assert_true(flow_table_lookup(kept.table, &packet.tuple, &record));
	kept_close(&kept);
}

static void counts_beyond_32_bits(void **state)
{
	struct flow_options options = kept_options();
	struct packet packet = PACKET(.from = A, .to = B, .at_ns = T);
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	packet.ip_bytes = 65500; /* 4.55 GB: 255 MB in 32 bits */
	packet.frame_bytes = 65514;
	packet.payload_bytes = 65472;
	for (unsigned i = 0; i < 69466; i++)
		flow_table_meter(kept.table, &packet, 1);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.records[0].bytes[0], UINT64_C(4550023000));
	assert_int_equal(kept.records[0].frame_bytes[0],
			 UINT64_C(69466) * 65514);
	assert_int_equal(kept.records[0].payload_bytes[0],
			 UINT64_C(69466) * 65472);
	assert_int_equal(kept.records[0].packets[0], 69466);
	kept_close(&kept);
}

static void counts_segments_as_they_are_on_the_wire(void **state)
{
	struct flow_options options = kept_options();
	struct packet packet = PACKET(.from = A, .to = B, .at_ns = T);
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	packet.packets = 17;
	packet.flags = PACKET_SUPER | PACKET_CUT;
	flow_table_meter(kept.table, &packet, 1);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.records[0].packets[0], 17);
	assert_int_equal(flow_table_counters(kept.table).metered, 1);
	assert_int_equal(flow_table_counters(kept.table).segments_extra, 16);
	kept_close(&kept);
}

static const struct {
	const char *what;
	int64_t at_s[8]; /* packets, 0 ends */
	size_t records;
	uint8_t reasons[4];
	int64_t starts_s[4];
	int64_t ends_s[4];
} timeouts[] = {
	{"29 s are no timeout", {1, 30, 59}, 1, {FLOW_END_FORCED}, {1}, {59}},
	{"30 s are",
	 {1, 31, 60},
	 2,
	 {FLOW_END_IDLE, FLOW_END_FORCED},
	 {1, 31},
	 {1, 60}},
	{"60 s of activity are a record",
	 {1, 21, 41, 60, 61, 62},
	 2,
	 {FLOW_END_ACTIVE, FLOW_END_FORCED},
	 {1, 61},
	 {60, 62}},
	{"a flow may pause behind its record",
	 {1, 21, 41, 70},
	 2,
	 {FLOW_END_ACTIVE, FLOW_END_FORCED},
	 {1, 70},
	 {41, 70}},
	{"and end there",
	 {1, 21, 41, 59, 200},
	 2,
	 {FLOW_END_ACTIVE, FLOW_END_FORCED},
	 {1, 200},
	 {59, 200}},
	{"an earlier stamp moves the start",
	 {10, 3, 20},
	 1,
	 {FLOW_END_FORCED},
	 {3},
	 {20}},
	{"and never time", {40, 1, 60}, 1, {FLOW_END_FORCED}, {1}, {60}},
};

/* Idle 30 s, active 60 s. */
static void ends_flows_when_their_time_has_come(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
		struct flow_options options = kept_options();
		struct kept kept;

		print_message("# %s\n", timeouts[i].what);
		kept_open(&kept, &options);
		for (size_t j = 0; timeouts[i].at_s[j]; j++)
			GIVE(&kept, .from = A, .to = B, .to_port = 53,
			     .from_port = 50000,
			     .at_ns = T + timeouts[i].at_s[j] * S);
		flow_table_flush(kept.table, FLOW_END_FORCED);
		assert_int_equal(kept.count, timeouts[i].records);
		for (size_t j = 0; j < kept.count; j++) {
			const struct flow_record *r = &kept.records[j];

			assert_int_equal(r->end_reason, timeouts[i].reasons[j]);
			assert_int_equal(r->start.ns,
					 T + timeouts[i].starts_s[j] * S);
			assert_int_equal(r->end.ns,
					 T + timeouts[i].ends_s[j] * S);
		}
		kept_close(&kept);
	}
}

static void lets_time_pass_without_packets(void **state)
{
	struct flow_options options = kept_options();
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	GIVE(&kept, .from = A, .to = B, .at_ns = T);
	flow_table_advance(kept.table, (struct wall){T + 29 * S});
	assert_int_equal(kept.count, 0);
	flow_table_advance(kept.table, (struct wall){0});
	assert_int_equal(kept.count, 0);
	flow_table_advance(kept.table, (struct wall){T + 31 * S});
	assert_int_equal(kept.count, 1);
	assert_int_equal(kept.records[0].end_reason, FLOW_END_IDLE);
	assert_int_equal(kept.records[0].end.ns, T);
	assert_int_equal(flow_table_live(kept.table), 0);
	assert_int_equal(flow_table_counters(kept.table).time_backwards, 0);
	kept_close(&kept);
}

/* A year is 400 million ticks: this ends only if empty time is skipped. */
static void survives_stamps_from_any_time(void **state)
{
	static const int64_t stamps[] = {
		0, INT64_MAX, INT64_MIN, -1, 1, T, INT64_MAX - 1, T, 0,
	};
	struct flow_options options = kept_options();
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	for (int64_t year = 0; year < 20000; year++)
		GIVE(&kept, .from = A, .to = B,
		     .at_ns = T + (year % 200) * 365 * 86400 * S);
	for (size_t i = 0; i < sizeof stamps / sizeof *stamps; i++)
		GIVE(&kept, .from = A, .to = B, .at_ns = stamps[i]);
	flow_table_advance(kept.table, (struct wall){INT64_MAX});
	flow_table_flush(kept.table, FLOW_END_FORCED);
	kept_check_ledger(&kept, 20000 + sizeof stamps / sizeof *stamps);
	assert_true(flow_table_counters(kept.table).time_backwards >= 99);
	kept_close(&kept);
}

static void keeps_apart_what_is_not_the_same(void **state)
{
	static const struct given others[] = {
		{A, B, 1000, 2000, .protocol = UDP},
		{A, B, 1000, 2000, .protocol = TCP},
		{A, B, 1000, 2001, .protocol = UDP},
		{A, B, 2000, 1000,
		 .protocol = UDP}, /* other direction, other flow */
		{A, B, 1000, 2000, UDP, .vlan = 5},
		{A, B, 1000, 2000, UDP, .interface = 1},
		{A, B, 1000, 2000, UDP, .network = 4u << 24 | 7},
		{A, B, 1000, 2000, UDP, .network = 4u << 24 | 8},
		{A, B, 1000, 2000, UDP, .ip6 = true},
	};
	struct flow_options options = kept_options();
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		kept_give(&kept, &others[i]);
	assert_int_equal(flow_table_live(kept.table),
			 sizeof others / sizeof *others);
	kept_close(&kept);
}

static void keeps_the_outer_addresses_of_a_tunnel(void **state)
{
	struct flow_options options = kept_options();
	struct packet packet =
		PACKET(.from = B, .to = A, .from_port = 53, .to_port = 50000,
		       .network = (uint32_t)TUNNEL_VXLAN << 24 | 7);
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	packet.outer_ip_version = 4;
	packet.outer_address[0][3] = 2; /* B's side sent it */
	packet.outer_address[1][3] = 1;
	flow_table_meter(kept.table, &packet, 1);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.records[0].tunnel, TUNNEL_VXLAN);
	assert_int_equal(kept.records[0].tuple.port[1], 53);
	assert_int_equal(kept.records[0].outer_ip_version, 4);
	assert_int_equal(kept.records[0].outer_address[0][3], 1);
	assert_int_equal(kept.records[0].outer_address[1][3], 2);
	kept_close(&kept);
}

static void marks_what_was_counted_elsewhere(void **state)
{
	static const struct {
		struct given given;
		bool duplicate;
	} steps[] = {
		{{A, B, 1, 2, .at_ns = T}, false},
		{{A, B, 1, 2, .interface = 1, .at_ns = T}, true},
		/* the other half takes another way: it was not counted */
		{{B, A, 2, 1, .interface = 2, .at_ns = T}, false},
		{{B, A, 2, 1, .interface = 3, .at_ns = T}, true},
		{{A, B, 1, 2, .vlan = 9, .at_ns = T}, true},
		{{A, B, 1, 2, .network = 4u << 24 | 1, .at_ns = T}, true},
		{{A, B, 1, 3, .interface = 1, .at_ns = T}, false},
		{{A, B, 5, 5, .network = 4u << 24 | 1, .at_ns = T}, false},
		{{A, B, 5, 5, .network = 4u << 24 | 2, .at_ns = T}, false},
		/* 30 s on the first has ended: whoever comes next is first */
		{{A, B, 1, 2, .interface = 1, .at_ns = T + 30 * S}, false},
		{{A, B, 1, 2, .at_ns = T + 30 * S}, true},
	};
	struct flow_options options = kept_options();
	struct flow_record record;
	struct kept kept;

	(void)state;
	options.mark_duplicates = true;
	kept_open(&kept, &options);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct packet packet = packet_given(&steps[i].given);

		flow_table_meter(kept.table, &packet, 1);
		assert_true(
			flow_table_lookup(kept.table, &packet.tuple, &record));
		assert_int_equal(record.duplicate, steps[i].duplicate);
	}
	kept_close(&kept);
}

/* The first flow of a second interface comes late: what lives then is first,
 * what has ended is not, and what follows is told apart as ever. */
static void knows_what_began_on_one_interface(void **state)
{
	struct flow_options options = kept_options();
	size_t duplicates = 0;
	struct kept kept;

	(void)state;
	options.mark_duplicates = true;
	kept_open(&kept, &options);
	for (unsigned round = 0; round < 2; round++) {
		for (uint16_t i = 0; i < 1000; i++)
			GIVE(&kept, .from = A, .to = B, .from_port = i,
			     .to_port = 9, .at_ns = T + 20 * S * (i % 2));
		for (uint16_t i = 0; i < 1000; i++)
			GIVE(&kept, .from = A, .to = B, .from_port = i,
			     .to_port = 9, .interface = 1, .at_ns = T + 35 * S);
		flow_table_flush(kept.table, FLOW_END_FORCED);
		assert_int_equal(kept.count, (round + 1) * 2000);
	}
	for (size_t i = 0; i < kept.count; i++) {
		const struct flow_record *record = &kept.records[i];
		bool again = record->tuple.interface == 1 &&
			     record->tuple.port[0] % 2 == 1;

		assert_int_equal(record->duplicate, again);
		duplicates += record->duplicate;
	}
	assert_int_equal(duplicates, 1000);
	kept_close(&kept);
}

static void stays_first_through_the_active_timeout(void **state)
{
	struct flow_options options = kept_options();
	size_t duplicates = 0;
	struct kept kept;

	(void)state;
	options.mark_duplicates = true;
	kept_open(&kept, &options);
	for (int64_t second = 0; second < 300; second++)
		for (uint16_t interface = 0; interface < 2; interface++)
			GIVE(&kept, .from = A, .to = B, .interface = interface,
			     .at_ns = T + second * S);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.count, 10);
	for (size_t i = 0; i < kept.count; i++) {
		assert_int_equal(kept.records[i].duplicate,
				 kept.records[i].tuple.interface);
		duplicates += kept.records[i].duplicate;
	}
	assert_int_equal(duplicates, 5);
	kept_close(&kept);
}

static void remember(void *context, const struct flow_record *record)
{
	uint64_t *ports = context;

	assert_int_equal(record->end_reason, FLOW_END_NONE);
	*ports += record->tuple.port[0];
}

static void shows_live_flows_slice_by_slice(void **state)
{
	struct flow_options options = kept_options();
	uint64_t cursor = 0, ports = 0, slices = 1;
	struct wall all = {0}, late = {T + 500};
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	for (uint16_t i = 1; i <= 1000; i++)
		GIVE(&kept, .from = A, .to = B, .from_port = 20000 + i,
		     .to_port = 2000, .at_ns = T + i);
	while (flow_table_visit(kept.table, &cursor, 64, all, remember, &ports))
		slices++;
	assert_int_equal(cursor, 0);
	assert_int_equal(slices, 16);
	assert_int_equal(ports, 20000 * 1000 + 1000 * 1001 / 2);
	ports = 0;
	assert_false(flow_table_visit(kept.table, &cursor, 4096, late, remember,
				      &ports));
	assert_int_equal(ports, 20000 * 501 + 1000 * 1001 / 2 - 499 * 500 / 2);
	kept_close(&kept);
}

static void refuses_options_out_of_range(void **state)
{
	struct flow_table *table;
	struct flow_options good = kept_options(), bad[13];

	(void)state;
	for (size_t i = 0; i < 13; i++)
		bad[i] = good;
	bad[0].emit = NULL;
	bad[1].flow_count = FLOW_COUNT_MIN - 1;
	bad[2].flow_count = FLOW_COUNT_MAX + 1;
	bad[3].idle_ns = 30 * S - 1;
	bad[4].idle_ns = 3600 * S + 1;
	bad[5].active_ns = S - 1;
	bad[6].active_ns = 86400 * S + 1;
	bad[7].phase_idle_ns[FLOW_PHASE_CLOSED] = -1;
	bad[8].phase_idle_ns[FLOW_PHASE_UDP] = INT64_MAX;
	bad[9].phase_idle_ns[FLOW_PHASE_OTHER] = S - 1;
	bad[10].phase_active_ns[FLOW_PHASE_ICMP] = S - 1;
	bad[12].sample_flows = SAMPLE_POPULATION_MAX + 1;
	bad[11].phase_active_ns[FLOW_PHASE_CLOSING] = S;
	for (size_t i = 0; i < 13; i++)
		assert_int_equal(flow_table_create(&bad[i], &table), -EINVAL);
	assert_int_equal(flow_table_create(&good, &table), 0);
	flow_table_destroy(table);
	flow_table_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_tcp_connections),
		cmocka_unit_test(tells_who_began),
		cmocka_unit_test(corrects_the_initiator_when_a_syn_follows),
		cmocka_unit_test(keeps_one_way_icmp_apart_by_direction),
		cmocka_unit_test(counts_beyond_32_bits),
		cmocka_unit_test(counts_segments_as_they_are_on_the_wire),
		cmocka_unit_test(ends_flows_when_their_time_has_come),
		cmocka_unit_test(lets_time_pass_without_packets),
		cmocka_unit_test(survives_stamps_from_any_time),
		cmocka_unit_test(keeps_apart_what_is_not_the_same),
		cmocka_unit_test(keeps_the_outer_addresses_of_a_tunnel),
		cmocka_unit_test(marks_what_was_counted_elsewhere),
		cmocka_unit_test(knows_what_began_on_one_interface),
		cmocka_unit_test(stays_first_through_the_active_timeout),
		cmocka_unit_test(shows_live_flows_slice_by_slice),
		cmocka_unit_test(refuses_options_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
