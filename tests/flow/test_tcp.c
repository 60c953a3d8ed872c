/* The TCP metrics: exchanges made by hand, and a plain second meter over
 * random ones (tcp_model.c). */
#include <stdlib.h>
#include <string.h>

#include "kit.h"
#include "tcp_model.h"

#define US       INT64_C(1000)
#define BASE_NS  (INT64_C(1700000000) * NS_PER_S)
#define CLIENT   0
#define SERVER   1
#define SEGMENTS 24

/* One segment; numbers count from the sender's ISN as tshark shows them. */
struct line {
	uint8_t from;  /* CLIENT, SERVER; 'end' ends the list */
	uint8_t flags; /* 0: ACK */
	uint32_t seq;
	uint32_t size;
	uint32_t ack;
	int64_t at_us;
	uint16_t window; /* 0: 1000; CLOSED: 0 */
	uint8_t tos;
	uint32_t packets; /* 0: 1 */
	uint16_t mss;
	uint8_t scale; /* plus 1 */
	bool sack;
};

#define CLOSED UINT16_MAX
#define END               \
	{                 \
		.from = 2 \
	}

struct expected {
	uint32_t retransmitted;
	uint64_t bytes;
	uint32_t late;
	uint64_t missing;
	uint32_t duplicates;
	uint32_t zero;
};

static struct packet segment_packet(const struct line *line, uint32_t isn)
{
	bool back = line->from == SERVER;
	struct packet packet =
		PACKET(.from = back ? 2 : 1, .to = back ? 1 : 2,
		       .from_port = back ? 443 : 40000,
		       .to_port = back ? 40000 : 443, .protocol = TCP,
		       .tcp_flags = line->flags ?: ACK,
		       .sequence = isn + line->seq,
		       .at_ns = BASE_NS + line->at_us * US);

	packet.flags |= PACKET_TCP_OPTIONS;
	packet.payload_bytes = line->size;
	packet.ip_bytes = 40 + line->size;
	packet.packets = line->packets ?: 1;
	packet.tos = line->tos;
	packet.tcp.acknowledgment = isn + line->ack;
	packet.tcp.window = line->window ?: 1000;
	if (line->window == CLOSED)
		packet.tcp.window = 0;
	packet.tcp.mss = line->mss;
	packet.tcp.window_scale = line->scale;
	packet.tcp.sack_permitted = line->sack;
	return packet;
}

static void tcp_open(struct kept *kept)
{
	struct flow_options options = kept_options();

	options.tcp_metrics = true;
	kept_open(kept, &options);
}

/* The record of the exchange; its numbers begin at 'isn'. */
static struct flow_record exchange(const struct line *lines, uint32_t isn)
{
	struct flow_record record;
	struct kept kept;

	tcp_open(&kept);
	for (; lines->from != 2; lines++) {
		struct packet packet = segment_packet(lines, isn);

		flow_table_meter(kept.table, &packet, 1);
	}
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.count, 1);
	record = kept.records[0];
	kept_close(&kept);
	return record;
}

static void assert_counters(const struct flow_tcp *tcp,
			    const struct expected *expected)
{
	assert_int_equal(tcp->retransmitted_packets, expected->retransmitted);
	assert_int_equal(tcp->retransmitted_bytes, expected->bytes);
	assert_int_equal(tcp->out_of_order_packets, expected->late);
	assert_int_equal(tcp->missing_bytes, expected->missing);
	assert_int_equal(tcp->duplicate_acks, expected->duplicates);
	assert_int_equal(tcp->zero_windows, expected->zero);
}

/* A handshake of 10 ms + 5 ms; then the client's next is 1, as the server's. */
#define HANDSHAKE                                             \
	{CLIENT, SYN, 0, 0, 0, .at_us = 0},                   \
		{SERVER, SYN | ACK, 0, 0, 1, .at_us = 10000}, \
	{                                                     \
		CLIENT, ACK, 1, 0, 1, .at_us = 15000          \
	}

static const struct {
	const char *name;
	struct line lines[SEGMENTS];
	struct expected ways[2];
} exchanges[] = {
	{"nothing unusual",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {SERVER, 0, 1, 50, 101, .at_us = 30000},
	  {CLIENT, 0, 101, 0, 51, .at_us = 31000},
	  {CLIENT, FIN | ACK, 101, 0, 51, .at_us = 32000},
	  {SERVER, FIN | ACK, 51, 0, 102, .at_us = 33000},
	  {CLIENT, 0, 102, 0, 52, .at_us = 34000},
	  END},
	 {{0}, {0}}},
	{"a SYN sent again",
	 {{CLIENT, SYN, 0, 0, 0, .at_us = 0},
	  {CLIENT, SYN, 0, 0, 0, .at_us = 1000000},
	  END},
	 {{1, 0, 0, 0, 0, 0}, {0}}},
	{"a FIN sent again",
	 {HANDSHAKE,
	  {CLIENT, FIN | ACK, 1, 0, 1, .at_us = 20000},
	  {CLIENT, FIN | ACK, 1, 0, 1, .at_us = 400000},
	  END},
	 {{1, 0, 0, 0, 0, 0}, {0}}},
	{"after a timeout",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {CLIENT, 0, 1, 100, 1, .at_us = 300000},
	  END},
	 {{1, 100, 0, 0, 0, 0}, {0}}},
	{"at once, but all of it was seen",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {CLIENT, 0, 101, 100, 1, .at_us = 20001},
	  {CLIENT, 0, 1, 100, 1, .at_us = 20002},
	  END},
	 {{1, 100, 0, 0, 0, 0}, {0}}},
	{"half of it old",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {CLIENT, 0, 51, 100, 1, .at_us = 300000},
	  {CLIENT, 0, 151, 9, 1, .at_us = 300001},
	  END},
	 {{1, 50, 0, 0, 0, 0}, {0}}},
	{"the second of three comes last",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {CLIENT, 0, 201, 100, 1, .at_us = 20010},
	  {CLIENT, 0, 101, 100, 1, .at_us = 20020},
	  END},
	 {{0, 0, 1, 0, 0, 0}, {0}}},
	{"later than a round trip it was sent again",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {CLIENT, 0, 201, 100, 1, .at_us = 20010},
	  {CLIENT, 0, 101, 100, 1, .at_us = 35010},
	  END},
	 {{1, 100, 0, 0, 0, 0}, {0}}},
	{"just within a round trip",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {CLIENT, 0, 201, 100, 1, .at_us = 20010},
	  {CLIENT, 0, 101, 100, 1, .at_us = 35009},
	  END},
	 {{0, 0, 1, 0, 0, 0}, {0}}},
	{"without a handshake 3 ms are the limit",
	 {{CLIENT, 0, 1, 100, 1, .at_us = 0},
	  {CLIENT, 0, 201, 100, 1, .at_us = 10},
	  {CLIENT, 0, 101, 50, 1, .at_us = 3009},
	  {CLIENT, 0, 151, 50, 1, .at_us = 3010},
	  END},
	 {{1, 50, 1, 0, 0, 0}, {0}}},
	{"asked for by duplicates",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {SERVER, 0, 1, 0, 101, .at_us = 20001},
	  {CLIENT, 0, 201, 100, 1, .at_us = 20002},
	  {SERVER, 0, 1, 0, 101, .at_us = 20003},
	  {CLIENT, 0, 301, 100, 1, .at_us = 20004},
	  {SERVER, 0, 1, 0, 101, .at_us = 20005},
	  {CLIENT, 0, 101, 100, 1, .at_us = 20006},
	  {SERVER, 0, 1, 0, 401, .at_us = 20007},
	  END},
	 {{1, 100, 0, 0, 0, 0}, {0, 0, 0, 0, 2, 0}}},
	{"one duplicate asks for nothing",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {SERVER, 0, 1, 0, 101, .at_us = 20001},
	  {CLIENT, 0, 201, 100, 1, .at_us = 20002},
	  {SERVER, 0, 1, 0, 101, .at_us = 20003},
	  {CLIENT, 0, 101, 100, 1, .at_us = 20006},
	  END},
	 {{0, 0, 1, 0, 0, 0}, {0, 0, 0, 0, 1, 0}}},
	{"acknowledged before",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {CLIENT, 0, 201, 100, 1, .at_us = 20001},
	  {SERVER, 0, 1, 0, 301, .at_us = 20002},
	  {CLIENT, 0, 101, 100, 1, .at_us = 20003},
	  END},
	 {{1, 100, 0, 0, 0, 0}, {0}}},
	{"a new window is no duplicate",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {SERVER, 0, 1, 0, 101, .at_us = 20001},
	  {SERVER, 0, 1, 0, 101, .at_us = 20002, .window = 1001},
	  END},
	 {{0}, {0}}},
	{"keep-alives, empty and of a byte, and their ACKs",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {SERVER, 0, 1, 0, 101, .at_us = 30000},
	  {CLIENT, 0, 100, 0, 1, .at_us = 5000000},
	  {SERVER, 0, 1, 0, 101, .at_us = 5010000},
	  {CLIENT, 0, 100, 1, 1, .at_us = 9000000},
	  {SERVER, 0, 1, 0, 101, .at_us = 9010000},
	  {SERVER, 0, 1, 0, 101, .at_us = 9010001},
	  END},
	 {{0}, {0, 0, 0, 0, 0, 0}}},
	{"a closed window, probed, taken and opened",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {SERVER, 0, 1, 0, 101, .at_us = 21000, .window = CLOSED},
	  {CLIENT, 0, 101, 1, 1, .at_us = 300000},
	  {SERVER, 0, 1, 0, 101, .at_us = 301000, .window = CLOSED},
	  {CLIENT, 0, 101, 1, 1, .at_us = 900000},
	  {SERVER, 0, 1, 0, 102, .at_us = 901000},
	  {CLIENT, 0, 102, 10, 1, .at_us = 902000},
	  END},
	 {{0}, {0, 0, 0, 0, 0, 2}}},
	{"behind a probe that was not taken",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {SERVER, 0, 1, 0, 101, .at_us = 21000, .window = CLOSED},
	  {CLIENT, 0, 101, 1, 1, .at_us = 300000},
	  {SERVER, 0, 1, 0, 101, .at_us = 301000},
	  {CLIENT, 0, 101, 10, 1, .at_us = 302000},
	  END},
	 {{0}, {0, 0, 0, 0, 0, 1}}},
	{"the window of FIN and RST is not counted",
	 {HANDSHAKE,
	  {CLIENT, FIN | ACK, 1, 0, 1, .at_us = 20000, .window = CLOSED},
	  {SERVER, RST, 1, 0, 0, .at_us = 21000, .window = CLOSED},
	  END},
	 {{0}, {0}}},
	{"two losses, one made good",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {CLIENT, 0, 201, 100, 1, .at_us = 20001},
	  {CLIENT, 0, 401, 100, 1, .at_us = 20002},
	  {CLIENT, 0, 301, 100, 1, .at_us = 300000},
	  END},
	 {{1, 100, 0, 100, 0, 0}, {0}}},
	{"a gap filled from its middle",
	 {HANDSHAKE,
	  {CLIENT, 0, 301, 100, 1, .at_us = 20000},
	  {CLIENT, 0, 101, 100, 1, .at_us = 20001},
	  {CLIENT, 0, 251, 50, 1, .at_us = 20002},
	  {CLIENT, 0, 1, 100, 1, .at_us = 20003},
	  END},
	 {{0, 0, 3, 50, 0, 0}, {0}}},
	{"an ACK alone shows what is missing",
	 {HANDSHAKE,
	  {CLIENT, 0, 501, 0, 1, .at_us = 20000},
	  {CLIENT, 0, 501, 10, 1, .at_us = 30000},
	  END},
	 {{0, 0, 0, 500, 0, 0}, {0}}},
	{"a jump beyond every window is another start",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 100, 1, .at_us = 20000},
	  {CLIENT, 0, 0x40000065, 100, 1, .at_us = 20001},
	  {CLIENT, 0, 0x400000c9, 100, 1, .at_us = 20002},
	  END},
	 {{0}, {0}}},
	{"what came before the first in sight is late",
	 {{CLIENT, 0, 101, 100, 1, .at_us = 0},
	  {CLIENT, 0, 1, 100, 1, .at_us = 100},
	  END},
	 {{0, 0, 1, 0, 0, 0}, {0}}},
	{"more gaps than are kept stay missing",
	 {{CLIENT, 0, 1, 10, 1, .at_us = 0},
	  {CLIENT, 0, 21, 10, 1, .at_us = 1},
	  {CLIENT, 0, 41, 10, 1, .at_us = 2},
	  {CLIENT, 0, 61, 10, 1, .at_us = 3},
	  {CLIENT, 0, 81, 10, 1, .at_us = 4},
	  {CLIENT, 0, 101, 10, 1, .at_us = 5},
	  {CLIENT, 0, 121, 10, 1, .at_us = 6},
	  {CLIENT, 0, 141, 10, 1, .at_us = 7},
	  {CLIENT, 0, 131, 10, 1, .at_us = 8},
	  {CLIENT, 0, 11, 10, 1, .at_us = 9},
	  END},
	 {{1, 10, 1, 60, 0, 0}, {0}}},
	{"super-frames count their segments",
	 {HANDSHAKE,
	  {CLIENT, 0, 1, 3000, 1, .at_us = 20000, .packets = 3},
	  {CLIENT, 0, 1, 3000, 1, .at_us = 300000, .packets = 3},
	  {CLIENT, 0, 2001, 3000, 1, .at_us = 600000, .packets = 3},
	  {CLIENT, 0, 8001, 3000, 1, .at_us = 600001, .packets = 3},
	  {CLIENT, 0, 5001, 3000, 1, .at_us = 600002, .packets = 3},
	  END},
	 {{4, 4000, 3, 0, 0, 0}, {0}}},
};

static void measures_exchanges_made_by_hand(void **state)
{
	/* The second and the third wrap within the exchange. */
	static const uint32_t isns[] = {1000, UINT32_MAX, UINT32_MAX - 100};

	(void)state;
	for (size_t i = 0; i < sizeof exchanges / sizeof *exchanges; i++) {
		for (size_t j = 0; j < 3; j++) {
			struct flow_record record =
				exchange(exchanges[i].lines, isns[j]);

			print_message("# %s from %u\n", exchanges[i].name,
				      isns[j]);
			assert_true(record.tcp_present & FLOW_TCP_METRICS);
			assert_counters(&record.tcp[0], &exchanges[i].ways[0]);
			assert_counters(&record.tcp[1], &exchanges[i].ways[1]);
		}
	}
}

static void splits_the_handshake_where_it_is_seen(void **state)
{
	static const struct {
		struct line lines[8];
		int64_t server_us; /* -1: null */
		int64_t client_us;
	} cases[] = {
		{{HANDSHAKE, END}, 10000, 5000},
		{{{CLIENT, SYN, 0, 0, 0, .at_us = 0},
		  {CLIENT, SYN, 0, 0, 0, .at_us = 1000},
		  {SERVER, SYN | ACK, 0, 0, 1, .at_us = 1500},
		  {CLIENT, 0, 1, 0, 1, .at_us = 1700},
		  {CLIENT, 0, 1, 0, 1, .at_us = 9999},
		  END},
		 500,
		 200},
		{{{CLIENT, SYN, 0, 0, 0, .at_us = 0},
		  {SERVER, SYN | ACK, 0, 0, 1, .at_us = 1500},
		  {SERVER, SYN | ACK, 0, 0, 1, .at_us = 5000},
		  {CLIENT, 0, 1, 10, 1, .at_us = 5100},
		  END},
		 1500,
		 100},
		{{{CLIENT, SYN, 0, 0, 0, .at_us = 0},
		  {SERVER, SYN | ACK, 0, 0, 1, .at_us = 70},
		  END},
		 70,
		 -1},
		{{{CLIENT, SYN, 0, 0, 0, .at_us = 0},
		  {CLIENT, 0, 1, 0, 1, .at_us = 70},
		  END},
		 -1,
		 -1},
		{{{SERVER, SYN | ACK, 0, 0, 1, .at_us = 0},
		  {CLIENT, 0, 1, 0, 1, .at_us = 9},
		  END},
		 -1,
		 -1},
		{{{CLIENT, SYN, 0, 0, 0, .at_us = 0},
		  {SERVER, SYN, 0, 0, 0, .at_us = 10},
		  {CLIENT, SYN | ACK, 0, 0, 1, .at_us = 20},
		  {SERVER, SYN | ACK, 0, 0, 1, .at_us = 30},
		  {CLIENT, 0, 1, 0, 1, .at_us = 40},
		  END},
		 -1,
		 -1},
		{{{CLIENT, SYN, 0, 0, 0, .at_us = 0},
		  {SERVER, RST | ACK, 0, 0, 1, .at_us = 10},
		  END},
		 -1,
		 -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct flow_record r = exchange(cases[i].lines, 77);
		bool server = r.tcp_present & FLOW_TCP_SERVER;
		bool client = r.tcp_present & FLOW_TCP_CLIENT;

		assert_int_equal(server, cases[i].server_us >= 0);
		assert_int_equal(client, cases[i].client_us >= 0);
		if (server)
			assert_int_equal(r.handshake_server_ns,
					 cases[i].server_us * US);
		if (client)
			assert_int_equal(r.handshake_client_ns,
					 cases[i].client_us * US);
	}
}

static void knows_options_and_scaled_windows(void **state)
{
	static const struct line both[] = {
		{CLIENT, SYN, 0, 0, 0, .at_us = 0, .window = 64000, .mss = 1460,
		 .scale = 8, .sack = true},
		{SERVER, SYN | ACK, 0, 0, 1, .at_us = 1, .window = 60000,
		 .mss = 1400, .scale = 3},
		{CLIENT, 0, 1, 0, 1, .at_us = 2, .window = 502},
		{CLIENT, 0, 1, 9, 1, .at_us = 3, .window = 501},
		{SERVER, 0, 1, 0, 10, .at_us = 4, .window = 20000},
		{SERVER, RST, 1, 0, 0, .at_us = 5, .window = CLOSED},
		END};
	static const struct line refused[] = {
		{CLIENT, SYN, 0, 0, 0, .at_us = 0, .window = 64000, .scale = 8},
		{SERVER, SYN | ACK, 0, 0, 1, .at_us = 1, .window = 60000},
		{CLIENT, 0, 1, 0, 1, .at_us = 2, .window = 502},
		END};
	static const struct line unseen[] = {
		{CLIENT, 0, 1, 0, 1, .at_us = 2, .window = 502}, END};
	struct flow_record r = exchange(both, 5);

	(void)state;
	assert_int_equal(r.tcp_present, 0xfff & ~0x8u);
	assert_int_equal(r.tcp[0].mss, 1460);
	assert_int_equal(r.tcp[1].mss, 1400);
	assert_int_equal(r.tcp[0].window_scale, 7);
	assert_int_equal(r.tcp[1].window_scale, 2);
	assert_true(r.tcp[0].sack_permitted);
	assert_false(r.tcp[1].sack_permitted);
	assert_int_equal(r.tcp[0].window_min, 64000);
	assert_int_equal(r.tcp[0].window_max, 502 << 7);
	assert_int_equal(r.tcp[1].window_min, 60000);
	assert_int_equal(r.tcp[1].window_max, 20000 << 2);
	r = exchange(refused, 5);
	assert_int_equal(r.tcp[0].window_min, 502);
	assert_false(r.tcp_present & FLOW_TCP_SCALE(1));
	assert_false(r.tcp_present & FLOW_TCP_MSS(0));
	r = exchange(unseen, 5);
	assert_int_equal(r.tcp_present, FLOW_TCP_METRICS | FLOW_TCP_WINDOW(0));
	assert_int_equal(r.tcp[0].window_min, 502);
}

static void counts_marks_and_changes_of_dscp(void **state)
{
	static const struct line lines[] = {
		{CLIENT, 0, 1, 10, 1, .at_us = 0, .tos = 0x02},
		{CLIENT, 0, 11, 10, 1, .at_us = 1, .tos = 0x03},
		{CLIENT, 0, 21, 10, 1, .at_us = 2, .tos = 0x2b, .packets = 2},
		{CLIENT, 0, 31, 10, 1, .at_us = 3, .tos = 0x28},
		{CLIENT, 0, 41, 10, 1, .at_us = 4, .tos = 0x00},
		{SERVER, 0, 1, 10, 51, .at_us = 5, .tos = 0x28},
		END};
	struct flow_record r = exchange(lines, 5);

	(void)state;
	assert_int_equal(r.tcp[0].ce_packets, 3);
	assert_int_equal(r.tcp[0].dscp_changes, 2);
	assert_int_equal(r.tcp[1].ce_packets, 0);
	assert_int_equal(r.tcp[1].dscp_changes, 0);
}

static void counts_anew_in_the_next_record_of_a_connection(void **state)
{
	static const struct line lines[] = {
		HANDSHAKE,
		{CLIENT, 0, 101, 100, 1, .at_us = 20000},
		{SERVER, 0, 1, 0, 1, .at_us = 25000000, .window = CLOSED},
		{CLIENT, 0, 201, 0, 1, .at_us = 50000000, .window = 999},
		/* The next record: the gap is filled, late. */
		{CLIENT, 0, 1, 100, 1, .at_us = 70000000},
		{CLIENT, 0, 301, 100, 1, .at_us = 70000001},
		END};
	struct kept kept;

	(void)state;
	tcp_open(&kept);
	for (size_t i = 0; lines[i].from != 2; i++) {
		struct packet packet = segment_packet(&lines[i], 9);

		flow_table_meter(kept.table, &packet, 1);
	}
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.count, 2);
	assert_counters(&kept.records[0].tcp[0],
			&(struct expected){.missing = 100});
	assert_counters(&kept.records[0].tcp[1], &(struct expected){.zero = 1});
	assert_counters(&kept.records[1].tcp[0],
			&(struct expected){1, 100, 0, 100, 0, 0});
	assert_counters(&kept.records[1].tcp[1], &(struct expected){0});
	assert_true(kept.records[1].tcp_present & FLOW_TCP_CLIENT);
	assert_false(kept.records[1].tcp_present & FLOW_TCP_WINDOW(1));
	kept_close(&kept);
}

static void expects_nothing_after_fragments(void **state)
{
	struct line lines[] = {{CLIENT, 0, 1, 100, 1, .at_us = 0},
			       {CLIENT, 0, 101, 100, 1, .at_us = 1},
			       {CLIENT, 0, 501, 100, 1, .at_us = 2},
			       {CLIENT, 0, 601, 100, 1, .at_us = 3}};
	struct kept kept;

	(void)state;
	tcp_open(&kept);
	for (size_t i = 0; i < 4; i++) {
		struct packet packet = segment_packet(&lines[i], 9);

		if (i == 1)
			packet.flags |= PACKET_FRAGMENT | PACKET_FRAGMENT_FIRST;
		if (i == 3) /* the only fragment: as any other segment */
			packet.flags |= PACKET_FRAGMENT |
					PACKET_FRAGMENT_FIRST |
					PACKET_FRAGMENT_LAST;
		flow_table_meter(kept.table, &packet, 1);
	}
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_counters(&kept.records[0].tcp[0], &(struct expected){0});
	kept_close(&kept);
}

static void has_no_metrics_of_others_or_unasked(void **state)
{
	struct line line = {CLIENT, SYN, 0, 0, 0, .at_us = 0};
	struct packet packet = segment_packet(&line, 1);
	struct flow_tcp none[2] = {0};
	struct kept kept;

	(void)state;
	tcp_open(&kept);
	packet.tuple.protocol = UDP;
	packet.flags = 0;
	flow_table_meter(kept.table, &packet, 1);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.records[0].tcp_present, 0);
	assert_memory_equal(kept.records[0].tcp, none, sizeof none);
	kept_close(&kept);
	kept_open(&kept, &(struct flow_options){.flow_count = FLOW_COUNT_MIN,
						.idle_ns = 30 * S,
						.active_ns = 60 * S,
						.emit = kept_options().emit});
	packet = segment_packet(&line, 1);
	flow_table_meter(kept.table, &packet, 1);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.records[0].tcp_present, 0);
	assert_memory_equal(kept.records[0].tcp, none, sizeof none);
	kept_close(&kept);
}

static void equals_the_plain_meter_over_random_exchanges(void **state)
{
	uint64_t random = 7, odd[4] = {0};

	(void)state;
	for (unsigned round = 0; round < 400; round++)
		tcp_model_compare(&random, odd);
	for (unsigned i = 0; i < 4; i++) /* it was not all plain */
		assert_true(odd[i] > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(measures_exchanges_made_by_hand),
		cmocka_unit_test(splits_the_handshake_where_it_is_seen),
		cmocka_unit_test(knows_options_and_scaled_windows),
		cmocka_unit_test(counts_marks_and_changes_of_dscp),
		cmocka_unit_test(
			counts_anew_in_the_next_record_of_a_connection),
		cmocka_unit_test(expects_nothing_after_fragments),
		cmocka_unit_test(has_no_metrics_of_others_or_unasked),
		cmocka_unit_test(equals_the_plain_meter_over_random_exchanges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
