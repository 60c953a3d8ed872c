/* Whether the benches' traffic is what its options say, by the eyes of the
 * decoder and the meter: a bench of the wrong load measures nothing. */
#include "check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "flow/flow.h"
#include "packet/packet.h"
#include "traffic.h"

#define PACKETS 50000

/* What a table said of the traffic. */
struct seen {
	uint64_t records, tunnels[TUNNEL_COUNT], ip6, closed, one_way;
	uint64_t packets, bytes, largest;
};

static void record_see(void *context, const struct flow_record *record)
{
	struct seen *seen = context;
	uint64_t packets = record->packets[0] + record->packets[1];

	seen->records++;
	seen->tunnels[record->tunnel]++;
	seen->ip6 += record->tuple.ip_version == 6;
	seen->closed += record->end_reason == FLOW_END_DETECTED;
	seen->one_way += record->packets[1] == 0;
	seen->packets += packets;
	seen->bytes += record->frame_bytes[0] + record->frame_bytes[1];
	seen->largest = packets > seen->largest ? packets : seen->largest;
}

static struct packet packet_next(struct traffic *traffic, uint8_t *frame)
{
	struct packet_input input = {.bytes = frame, .link_type = 1};
	struct packet packet = {0};

	input.captured_size = traffic_next(traffic, frame, &input.at.ns);
	input.size = input.captured_size;
	assert_int_equal(packet_decode(&input, &packet), VERDICT_OK);
	return packet;
}

static struct seen meter(const struct traffic_options *options)
{
	static uint8_t frame[TRAFFIC_FRAME_MAX];
	struct seen seen = {0};
	struct flow_options flow = {.flow_count = 1 << 18,
				    .idle_ns = 300 * NS_PER_S,
				    .active_ns = 1800 * NS_PER_S,
				    .emit = record_see,
				    .context = &seen};
	struct traffic *traffic = traffic_create(options);
	struct flow_table *table;

	assert_non_null(traffic);
	assert_int_equal(flow_table_create(&flow, &table), 0);
	for (unsigned i = 0; i < PACKETS; i++) {
		struct packet packet = packet_next(traffic, frame);

		flow_table_meter(table, &packet, 1);
	}
	flow_table_flush(table, FLOW_END_FORCED);
	flow_table_destroy(table);
	traffic_destroy(traffic);
	assert_int_equal(seen.packets, PACKETS);
	return seen;
}

static uint64_t checksum(const struct traffic_options *options)
{
	static uint8_t frame[TRAFFIC_FRAME_MAX];
	struct traffic *traffic = traffic_create(options);
	uint64_t sum = 0;

	assert_non_null(traffic);
	for (unsigned i = 0; i < PACKETS; i++) {
		int64_t at_ns;
		uint32_t size = traffic_next(traffic, frame, &at_ns);

		sum = XXH3_64bits_withSeed(frame, size, sum ^ (uint64_t)at_ns);
	}
	traffic_destroy(traffic);
	return sum;
}

static struct traffic_options everything(void)
{
	struct traffic_options options = traffic_options_preset();

	options.rate_pps = 100000;
	options.flows = 500;
	options.new_flows = 2000;
	options.size = TRAFFIC_IMIX;
	options.ip6_percent = 40;
	options.tunnel_percent = 60;
	options.tcp = 1;
	options.retransmit_permill = 20;
	options.reorder_permill = 20;
	options.elephant_percent = 10;
	return options;
}

static void same_options_make_the_same_bytes(void **state)
{
	struct traffic_options options = everything();
	uint64_t sum = checksum(&options);

	(void)state;
	assert_int_equal(checksum(&options), sum);
	options.seed++;
	assert_int_not_equal(checksum(&options), sum);
}

static void every_flow_is_told_from_every_other(void **state)
{
	struct traffic_options options = traffic_options_preset();
	struct seen seen;

	(void)state;
	options.flows = PACKETS / 2;
	options.ip6_percent = 50;
	options.tunnel_percent = 50;
	seen = meter(&options);
	assert_int_equal(seen.records, options.flows);
	assert_in_range(seen.ip6, options.flows * 48 / 100,
			options.flows * 52 / 100);
	assert_in_range(seen.tunnels[TUNNEL_NONE], options.flows * 48 / 100,
			options.flows * 52 / 100);
	assert_in_range(seen.tunnels[TUNNEL_GRE], options.flows * 15 / 100,
			options.flows * 18 / 100);
	assert_in_range(seen.tunnels[TUNNEL_VXLAN], options.flows * 15 / 100,
			options.flows * 18 / 100);
	assert_in_range(seen.tunnels[TUNNEL_GTPU], options.flows * 15 / 100,
			options.flows * 18 / 100);
}

static void flows_are_replaced_at_the_rate(void **state)
{
	struct traffic_options options = traffic_options_preset();
	struct seen seen;

	(void)state;
	options.rate_pps = 10000;
	options.flows = 1000;
	options.new_flows = 500;
	seen = meter(&options);
	assert_in_range(seen.records, 1000 + 2449, 1000 + 2451);
}

static void connections_begin_and_end_at_the_rate(void **state)
{
	struct traffic_options options = everything();
	uint64_t due = options.new_flows * PACKETS / options.rate_pps;
	struct seen seen;

	(void)state;
	options.elephant_percent = 0;
	seen = meter(&options);
	assert_in_range(seen.closed, due * 3 / 10, due * 11 / 10);
	assert_in_range(seen.records, seen.closed, seen.closed + options.flows);
	assert_int_equal(seen.tunnels[TUNNEL_NONE] + seen.tunnels[TUNNEL_GRE] +
				 seen.tunnels[TUNNEL_VXLAN] +
				 seen.tunnels[TUNNEL_GTPU],
			 seen.records);
}

static void an_elephant_has_its_share(void **state)
{
	struct traffic_options options = traffic_options_preset();
	struct seen seen;

	(void)state;
	options.flows = 1000;
	options.elephant_percent = 90;
	seen = meter(&options);
	assert_in_range(seen.largest, PACKETS * 87 / 100, PACKETS * 90 / 100);
}

static void imix_has_its_mean_size(void **state)
{
	struct traffic_options options = traffic_options_preset();
	struct seen seen;

	(void)state;
	options.size = TRAFFIC_IMIX;
	seen = meter(&options);
	assert_in_range(seen.bytes / PACKETS, 340, 360);
}

/* Sequence numbers of one connection, as the two ends see them. */
static void a_connection_leaves_no_byte_out(void **state)
{
	static uint8_t frame[TRAFFIC_FRAME_MAX];
	struct traffic_options options = everything();
	struct traffic *traffic;
	uint64_t again = 0, early = 0;
	uint32_t next[2] = {0, 0};
	unsigned fins = 0;

	(void)state;
	options.flows = 1;
	options.retransmit_permill = 100;
	options.reorder_permill = 100;
	options.new_flows = 10; /* connections of 10,000 packets */
	traffic = traffic_create(&options);
	assert_non_null(traffic);
	while (fins < 2) {
		struct packet packet = packet_next(traffic, frame);
		unsigned side = packet.tuple.port[0] == 443;
		uint32_t size = packet.payload_bytes;

		if (packet.tcp_flags & 2) {
			next[side] = packet.tcp.sequence + 1;
			continue;
		}
		assert_true(packet.tcp.acknowledgment - next[!side] == 0 ||
			    next[!side] - packet.tcp.acknowledgment <
				    3 * TRAFFIC_SIZE_MAX);
		again += size > 0 && packet.tcp.sequence != next[side] &&
			 next[side] - packet.tcp.sequence < UINT32_C(1) << 31;
		early += packet.tcp.sequence != next[side] &&
			 packet.tcp.sequence + size - next[side] <
				 UINT32_C(1) << 31;
		fins += packet.tcp_flags & 1;
		size += packet.tcp_flags & 1;
		if (packet.tcp.sequence + size - next[side] < UINT32_C(1) << 31)
			next[side] = packet.tcp.sequence + size;
	}
	traffic_destroy(traffic);
	assert_in_range(early, 1, UINT32_MAX);
	/* What came early came late as well, and some came twice. */
	assert_in_range(again, early + 1, UINT32_MAX);
}

static uint64_t tuple_hash(const struct packet_tuple *tuple,
			   enum traffic_attack attack)
{
	static const uint8_t guess[32] = "what an attacker would guess...";
	uint8_t secret[192];

	if (attack == TRAFFIC_ATTACK_PUBLISHED)
		return XXH3_64bits(tuple, sizeof *tuple);
	(void)XXH3_generateSecret(secret, sizeof secret, guess, sizeof guess);
	return XXH3_64bits_withSecret(tuple, sizeof *tuple, secret,
				      sizeof secret);
}

static void chosen_keys_collide_where_they_should(void **state)
{
	static uint8_t frame[TRAFFIC_FRAME_MAX];

	(void)state;
	for (uint64_t attack = TRAFFIC_ATTACK_PUBLISHED;
	     attack < TRAFFIC_ATTACK_COUNT; attack++) {
		struct traffic_options options = traffic_options_preset();
		uint64_t first = 0, other = 0;
		struct traffic *traffic;

		options.attack = attack;
		options.flows = 1000;
		traffic = traffic_create(&options);
		assert_non_null(traffic);
		for (unsigned i = 0; i < 1000; i++) {
			struct packet packet = packet_next(traffic, frame);
			uint64_t hash = tuple_hash(&packet.tuple,
						   (enum traffic_attack)attack);

			if (i == 0)
				first = hash;
			assert_int_equal(hash, first);
			other += tuple_hash(&packet.tuple,
					    attack == 1 ? 2 : 1) != hash;
		}
		assert_int_equal(other, 1000);
		traffic_destroy(traffic);
		assert_int_equal(meter(&options).records, 1000);
	}
}

static void impossible_options_are_refused(void **state)
{
	struct traffic_options options = traffic_options_preset();

	(void)state;
	options.size = 59;
	assert_null(traffic_create(&options));
	options = traffic_options_preset();
	options.flows = 0;
	assert_null(traffic_create(&options));
	options = traffic_options_preset();
	options.new_flows = options.rate_pps + 1;
	assert_null(traffic_create(&options));
	options = traffic_options_preset();
	options.retransmit_permill = options.reorder_permill = 501;
	assert_null(traffic_create(&options));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_options_make_the_same_bytes),
		cmocka_unit_test(every_flow_is_told_from_every_other),
		cmocka_unit_test(flows_are_replaced_at_the_rate),
		cmocka_unit_test(connections_begin_and_end_at_the_rate),
		cmocka_unit_test(an_elephant_has_its_share),
		cmocka_unit_test(imix_has_its_mean_size),
		cmocka_unit_test(a_connection_leaves_no_byte_out),
		cmocka_unit_test(chosen_keys_collide_where_they_should),
		cmocka_unit_test(impossible_options_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
