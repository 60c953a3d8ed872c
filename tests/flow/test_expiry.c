/* What the wheel costs, counted in steps, and each timeout by itself. */
#include <string.h>

#include "flow/flow_private.h"
#include "kit.h"

#define T (INT64_C(1700000000) * S)

/* What happens to one flow: packets and when; the records' lengths show
 * where it was split. */
struct life {
	const char *what;
	uint8_t protocol;
	struct {
		uint8_t tcp_flags;
		bool back; /* from the responder */
		int64_t after_ms;
	} packets[6];
	unsigned count;
	int64_t limit_ms; /* the last packet's idle timeout */
	enum flow_end end;
};

#define PHASES                                                              \
	{                                                                   \
		[FLOW_PHASE_TCP] = 60 * S, [FLOW_PHASE_OPENING] = 7 * S,    \
		[FLOW_PHASE_CLOSING] = 11 * S, [FLOW_PHASE_CLOSED] = 2 * S, \
		[FLOW_PHASE_UDP] = 13 * S, [FLOW_PHASE_ICMP] = 3 * S,       \
		[FLOW_PHASE_OTHER] = 17 * S,                                \
	}

static const struct life lives[] = {
	{"a SYN alone", TCP, {{SYN, false, 0}}, 1, 7000, FLOW_END_IDLE},
	{"a handshake half done",
	 TCP,
	 {{SYN, false, 0}, {SYN | ACK, true, 1}},
	 2,
	 7000,
	 FLOW_END_IDLE},
	{"a SYN-ACK alone",
	 TCP,
	 {{SYN | ACK, true, 0}},
	 1,
	 7000,
	 FLOW_END_IDLE},
	{"SYNs again",
	 TCP,
	 {{SYN, false, 0},
	  {SYN, false, 1000},
	  {SYN, false, 3000},
	  {SYN, false, 6999}},
	 4,
	 7000,
	 FLOW_END_IDLE},
	{"a handshake",
	 TCP,
	 {{SYN, false, 0}, {SYN | ACK, true, 1}, {ACK, false, 1}},
	 3,
	 60000,
	 FLOW_END_IDLE},
	{"a handshake whose one side was seen",
	 TCP,
	 {{SYN, false, 0}, {ACK, false, 6999}},
	 2,
	 60000,
	 FLOW_END_IDLE},
	{"a connection whose start was not seen",
	 TCP,
	 {{ACK | PSH, false, 0}},
	 1,
	 60000,
	 FLOW_END_IDLE},
	{"one whose SYN comes again",
	 TCP,
	 {{ACK, false, 0}, {SYN, false, 1}},
	 2,
	 60000,
	 FLOW_END_IDLE},
	{"a FIN",
	 TCP,
	 {{SYN, false, 0},
	  {SYN | ACK, true, 1},
	  {ACK, false, 1},
	  {FIN | ACK, true, 9}},
	 4,
	 11000,
	 FLOW_END_IDLE},
	{"data after a FIN",
	 TCP,
	 {{ACK, false, 0}, {FIN | ACK, true, 9}, {ACK | PSH, false, 10999}},
	 3,
	 11000,
	 FLOW_END_IDLE},
	{"FINs",
	 TCP,
	 {{ACK, false, 0},
	  {FIN | ACK, true, 9},
	  {FIN | ACK, false, 9},
	  {ACK, true, 9}},
	 4,
	 2000,
	 FLOW_END_DETECTED},
	{"a refused SYN",
	 TCP,
	 {{SYN, false, 0}, {RST | ACK, true, 1}},
	 2,
	 2000,
	 FLOW_END_DETECTED},
	{"UDP",
	 UDP,
	 {{0, false, 0}, {0, true, 12999}},
	 2,
	 13000,
	 FLOW_END_IDLE},
	{"ICMP",
	 ICMP,
	 {{0, false, 0}, {0, true, 2999}},
	 2,
	 3000,
	 FLOW_END_IDLE},
	{"ICMPv6",
	 ICMP6,
	 {{0, false, 0}, {0, true, 2999}},
	 2,
	 3000,
	 FLOW_END_IDLE},
	{"ESP", 50, {{0, false, 0}, {0, true, 16999}}, 2, 17000, FLOW_END_IDLE},
	{"SCTP", 132, {{0, false, 0}}, 1, 17000, FLOW_END_IDLE},
};

static void life_give(struct kept *kept, const struct life *life,
		      int64_t late_ns)
{
	int64_t at_ns = T;

	for (unsigned i = 0; i < life->count; i++) {
		bool back = life->packets[i].back;

		at_ns += life->packets[i].after_ms * MS;
		GIVE(kept, .protocol = life->protocol, .from = 1 + back,
		     .to = 2 - back, .tcp_flags = life->packets[i].tcp_flags,
		     .ip6 = life->protocol == ICMP6, .at_ns = at_ns);
	}
	at_ns += life->limit_ms * MS + late_ns;
	GIVE(kept, .protocol = life->protocol, .from = 1, .to = 2,
	     .tcp_flags = life->protocol == TCP ? ACK : 0,
	     .ip6 = life->protocol == ICMP6, .at_ns = at_ns);
}

/* A nanosecond before the timeout it is one flow, at the timeout it is two,
 * whatever else the table holds or has swept. */
static void splits_each_kind_of_flow_to_the_nanosecond(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * sizeof lives / sizeof *lives; i++) {
		const struct life *life = &lives[i / 2];
		struct flow_options options = kept_options();
		const int64_t idle[] = PHASES;
		struct kept kept;

		memcpy(options.phase_idle_ns, idle, sizeof idle);
		if (i % 2) /* another tick */
			options.phase_idle_ns[FLOW_PHASE_TCP] = 3600 * S;
		if (life->limit_ms == 60000 && i % 2)
			continue;
		for (int64_t late_ns = -1; late_ns <= 0; late_ns++) {
			options.active_ns = 86400 * S;
			kept_open(&kept, &options);
			life_give(&kept, life, late_ns);
			if (late_ns < 0 && kept.count != 0)
				fail_msg("%s: ended early", life->what);
			if (late_ns == 0 && kept.count != 1)
				fail_msg("%s: did not end", life->what);
			if (late_ns == 0)
				assert_int_equal(kept.records[0].end_reason,
						 life->end);
			kept_close(&kept);
		}
	}
}

static void has_presets_below_the_idle_timeout(void **state)
{
	static const struct {
		int64_t idle_s, tcp_s, expected_s[FLOW_PHASE_COUNT];
	} cases[] = {
		{300, 0, {300, 120, 120, 5, 300, 300, 300}},
		{30, 0, {30, 30, 30, 5, 30, 30, 30}},
		{300, 3600, {3600, 120, 120, 5, 300, 300, 300}},
		{300, 3, {3, 3, 3, 3, 300, 300, 300}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct flow_options options = kept_options();
		struct kept kept;
		int64_t longest_s = 0;

		options.idle_ns = cases[i].idle_s * S;
		options.phase_idle_ns[FLOW_PHASE_TCP] = cases[i].tcp_s * S;
		kept_open(&kept, &options);
		for (unsigned j = 0; j < FLOW_PHASE_COUNT; j++) {
			assert_int_equal(kept.table->limit_ns[j],
					 cases[i].expected_s[j] * S);
			if (cases[i].expected_s[j] > longest_s)
				longest_s = cases[i].expected_s[j];
		}
		assert_int_equal(flow_options_idle_ns(&options), longest_s * S);
		kept_close(&kept);
	}
}

static void splits_long_flows_by_their_protocol(void **state)
{
	static const struct {
		uint8_t protocol;
		uint8_t tcp_flags;
		int64_t active_s;
	} cases[] = {
		{TCP, SYN, 9}, {TCP, ACK, 9}, {TCP, FIN | ACK, 9},
		{UDP, 0, 4},   {ICMP, 0, 60}, {50, 0, 6},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct flow_options options = kept_options();
		struct kept kept;

		options.phase_active_ns[FLOW_PHASE_TCP] = 9 * S;
		options.phase_active_ns[FLOW_PHASE_UDP] = 4 * S;
		options.phase_active_ns[FLOW_PHASE_OTHER] = 6 * S;
		kept_open(&kept, &options);
		for (int64_t at = 0; at < 120 * S; at += S)
			GIVE(&kept, .protocol = cases[i].protocol, .from = 1,
			     .to = 2, .tcp_flags = cases[i].tcp_flags,
			     .sequence = 1, .at_ns = T + at);
		flow_table_flush(kept.table, FLOW_END_FORCED);
		assert_int_equal(kept.count, (120 + cases[i].active_s - 1) /
						     cases[i].active_s);
		for (size_t j = 0; j + 1 < kept.count; j++)
			assert_int_equal(kept.records[j].packets[0],
					 cases[i].active_s);
		kept_close(&kept);
	}
}

struct effort {
	uint64_t swept;
	uint64_t steps;
	uint64_t flows; /* live, at most */
};

/* 'count' packets of 'flows' flows of all kinds, a flow's packets about
 * 'gap_ns' apart: so 'flows' changes nothing but how many live. */
static struct effort effort_of(uint32_t flows, int64_t gap_ns, uint32_t count)
{
	static const uint8_t protocols[] = {TCP, TCP, UDP, UDP, ICMP, 47};
	static const uint8_t flags[] = {SYN, ACK, ACK, ACK, ACK, FIN, RST};
	const int64_t idle[] = PHASES;
	struct flow_options options = kept_options();
	struct effort effort = {0, 0, 0};
	uint64_t random = flows;
	struct kept kept;

	memcpy(options.phase_idle_ns, idle, sizeof idle);
	options.flow_count = 1 << 18;
	kept_open(&kept, &options);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t flow = (uint32_t)(random_next(&random) % flows);
		uint8_t protocol = protocols[flow % 6];

		GIVE(&kept, .from = flow, .to = ~flow, .from_port = 1,
		     .to_port = 1, .protocol = protocol,
		     .tcp_flags = protocol == TCP
					  ? flags[random_next(&random) % 7]
					  : 0,
		     .at_ns = T + i * gap_ns / flows);
		if (kept.table->used > effort.flows)
			effort.flows = kept.table->used;
	}
	effort.swept = kept.table->wheel->swept;
	effort.steps = kept.table->wheel->steps;
	kept_close(&kept);
	return effort;
}

/* A flow that stays has had a packet since it was swept last, and one that
 * goes had its first: so the sweeps are no more than a few for each packet
 * however many flows live, and few live no cheaper than many. */
static void costs_the_same_however_many_flows_live(void **state)
{
	static const int64_t gaps_ns[] = {S, 3 * S, 30 * S};
	enum { COUNT = 400000 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct effort few = effort_of(200, gaps_ns[i], COUNT);
		struct effort many = effort_of(20000, gaps_ns[i], COUNT);

		assert_true(many.flows > 50 * few.flows);
		assert_true(few.swept > COUNT / 20);
		assert_in_range(many.swept, COUNT / 20, COUNT);
		assert_in_range(few.swept, COUNT / 20, COUNT);
		assert_in_range(many.swept, 0, few.swept + few.swept / 10);
		assert_in_range(few.steps, 0, 3 * COUNT);
		assert_in_range(many.steps, 0, few.steps);
	}
}

/* Years without a packet cost one turn of the wheel. */
static void costs_a_turn_whatever_time_has_passed(void **state)
{
	struct flow_options options = kept_options();
	struct kept kept;

	(void)state;
	kept_open(&kept, &options);
	for (uint32_t n = 0; n < 1000; n++)
		GIVE(&kept, .from = n, .to = ~n, .at_ns = T + n * MS);
	kept.table->wheel->steps = 0;
	GIVE(&kept, .from = 1, .to = ~1u, .at_ns = T + INT64_C(31557600) * S);
	assert_int_equal(kept.count, 1000);
	assert_true(kept.table->wheel->steps <= 2 * WHEEL_SLOTS / 64 + 1000);
	kept_close(&kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_each_kind_of_flow_to_the_nanosecond),
		cmocka_unit_test(has_presets_below_the_idle_timeout),
		cmocka_unit_test(splits_long_flows_by_their_protocol),
		cmocka_unit_test(costs_the_same_however_many_flows_live),
		cmocka_unit_test(costs_a_turn_whatever_time_has_passed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
