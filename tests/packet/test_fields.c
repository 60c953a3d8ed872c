/* What the golden packets do not show: super-frames, ICMP pairs, options. */
#include "check.h"

#include <string.h>

#include "golden.h"
#include "packet/packet.h"

static const struct golden *golden_find(const char *name)
{
	for (int i = 0; i < GOLDEN_SETS; i++) {
		for (size_t j = 0; j < golden_sets[i]->count; j++) {
			const struct golden *g = &golden_sets[i]->golden[j];

			if (strcmp(g->name, name) == 0)
				return g;
		}
	}
	fail_msg("no golden packet '%s'", name);
	return NULL;
}

/* Decodes a golden packet that is 'size' bytes on the wire (0: as it is). */
static struct packet decode(const char *name, uint32_t size, uint16_t gso_size)
{
	static uint8_t bytes[GOLDEN_BYTES_MAX];
	const struct golden *g = golden_find(name);
	struct packet_input input = {
		.bytes = bytes,
		.captured_size = (uint32_t)golden_bytes(g, bytes),
		.size = size ? size : g->size,
		.link_type = g->link_type,
		.gso_size = gso_size,
	};
	struct packet p;

	assert_int_equal(packet_decode(&input, &p), VERDICT_OK);
	return p;
}

/* A frame of 14 bytes of Ethernet and an IP packet of 'total' bytes. */
static struct packet decode_super(const char *name, int size_place,
				  uint16_t total, uint16_t gso_size)
{
	uint8_t bytes[GOLDEN_BYTES_MAX];
	const struct golden *g = golden_find(name);
	struct packet_input input = {
		.bytes = bytes,
		.captured_size = (uint32_t)golden_bytes(g, bytes),
		.size = 14U + total,
		.link_type = g->link_type,
		.gso_size = gso_size,
	};
	struct packet p;

	if (size_place == 18)
		total -= 40;
	bytes[size_place] = (uint8_t)(total >> 8);
	bytes[size_place + 1] = (uint8_t)total;
	assert_int_equal(packet_decode(&input, &p), VERDICT_OK);
	return p;
}

static void counts_the_segments_of_super_frames(void **state)
{
	/* name, place of the IP size, IP size, segment, headers of IP and
	 * above, packets */
	static const struct {
		const char *name;
		int place;
		uint16_t total, gso_size, headers;
		uint32_t packets;
	} cases[] = {
		{"IPv4, TCP", 16, 40 + 14600, 1460, 40, 10},
		{"IPv4, TCP", 16, 40 + 14601, 1460, 40, 11},
		{"IPv4, TCP", 16, 40 + 1461, 1460, 40, 2},
		{"IPv4, TCP", 16, 65535, 1, 40, 65495},
		{"IPv6, TCP", 18, 60 + 7000, 1440, 60, 5},
		{"TCP, timestamps", 16, 52 + 2896, 1448, 52, 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint32_t total = cases[i].total, n = cases[i].packets;
		struct packet p =
			decode_super(cases[i].name, cases[i].place,
				     cases[i].total, cases[i].gso_size);

		assert_int_equal(p.payload_bytes, total - cases[i].headers);
		assert_int_equal(p.packets, n);
		assert_int_equal(p.ip_bytes,
				 total + (n - 1) * cases[i].headers);
		assert_int_equal(p.frame_bytes,
				 14 + total +
					 (n - 1) * (14 + cases[i].headers));
		assert_true(p.flags & PACKET_SUPER);
		assert_int_equal(p.segment_bytes, cases[i].gso_size);
	}
}

static void counts_datagrams_of_udp_segmentation(void **state)
{
	static uint8_t bytes[GOLDEN_BYTES_MAX];
	struct packet_input input = {.bytes = bytes,
				     .captured_size = 46,
				     .size = 14 + 28 + 5000,
				     .link_type = 1,
				     .gso_size = 1200};
	struct packet p;

	(void)state;
	(void)golden_bytes(golden_find("Ethernet, IPv4, UDP"), bytes);
	bytes[16] = (28 + 5000) >> 8;
	bytes[17] = (28 + 5000) & 0xff;
	bytes[38] = (8 + 5000) >> 8;
	bytes[39] = (8 + 5000) & 0xff;
	assert_int_equal(packet_decode(&input, &p), VERDICT_OK);
	assert_int_equal(p.packets, 5);
	assert_int_equal(p.segment_bytes, 1200);
	assert_int_equal(p.payload_bytes, 5000);
	assert_int_equal(p.ip_bytes, 5000 + 5 * 28);
	assert_int_equal(p.frame_bytes, 5000 + 5 * (14 + 28));
}

static void counts_one_packet_where_one_segment_is(void **state)
{
	struct packet p = decode_super("IPv4, TCP", 16, 40 + 1460, 1460);

	(void)state;
	assert_int_equal(p.packets, 1);
	assert_int_equal(p.ip_bytes, 1500);
	assert_int_equal(p.frame_bytes, 1514);
	assert_false(p.flags & PACKET_SUPER);
	p = decode("ICMP, echo", 0, 1);
	assert_int_equal(p.packets, 1);
	p = decode("first fragment", 0, 1);
	assert_int_equal(p.packets, 1);
}

/* The segments of what is in a tunnel have the tunnel's headers each. */
static void counts_segments_in_a_tunnel(void **state)
{
	struct packet p = decode("VXLAN", 0, 3);

	(void)state;
	assert_int_equal(p.packets, 2);
	assert_int_equal(p.payload_bytes, 4);
	assert_int_equal(p.ip_bytes, 32 + 28);
	assert_int_equal(p.frame_bytes, 14 + 82 + 92);
	assert_int_equal(p.tunnel, TUNNEL_VXLAN);
}

/* An offloaded size of 0 and segments: more than a size field holds. */
static void counts_segments_beyond_64_kibibytes(void **state)
{
	struct packet p = decode("IPv4, size 0: offloaded", 0, 1000);

	(void)state;
	assert_int_equal(p.packets, 70);
	assert_int_equal(p.payload_bytes, 69960);
	assert_int_equal(p.ip_bytes, 69960 + 70 * 40);
	assert_int_equal(p.frame_bytes, 69960 + 70 * 54);
}

static void does_not_overflow(void **state)
{
	struct packet p = decode("IPv4, size 0: offloaded", UINT32_MAX, 1);

	(void)state;
	assert_int_equal(p.payload_bytes, UINT32_MAX - 54);
	assert_int_equal(p.packets, UINT32_MAX - 54);
	assert_int_equal(p.ip_bytes, UINT32_MAX);
	assert_int_equal(p.frame_bytes, UINT32_MAX);
}

static void takes_the_wire_size_as_captured_if_it_is_less(void **state)
{
	struct packet p = decode("IPv4, TCP", 20, 0);

	(void)state;
	assert_int_equal(p.frame_bytes, 58);
	assert_int_equal(p.ip_bytes, 44);
	assert_false(p.flags & PACKET_CUT);
	p = decode("IPv4, TCP", 60, 0);
	assert_int_equal(p.frame_bytes, 60);
	assert_int_equal(p.ip_bytes, 44);
	assert_true(p.flags & PACKET_CUT);
}

static struct packet decode_icmp(const char *name, int place, uint8_t type)
{
	static uint8_t bytes[GOLDEN_BYTES_MAX];
	struct packet_input input = {.bytes = bytes, .link_type = 1};
	struct packet p;

	input.captured_size = (uint32_t)golden_bytes(golden_find(name), bytes);
	bytes[place] = type;
	bytes[place + 1] = 200; /* the code, which no type is */
	assert_int_equal(packet_decode(&input, &p), VERDICT_OK);
	assert_int_equal(p.icmp_type, type);
	assert_int_equal(p.icmp_code, 200);
	assert_int_equal(p.tuple.port[0], type);
	return p;
}

/* The type that answers 'type', or -1. */
static int counterpart(const uint8_t (*pairs)[2], size_t count, int type)
{
	for (size_t i = 0; i < count; i++) {
		if (pairs[i][0] == type)
			return pairs[i][1];
		if (pairs[i][1] == type)
			return pairs[i][0];
	}
	return -1;
}

static void check_icmp(const struct packet *p, int expected)
{
	if (expected < 0) {
		assert_int_equal(p->tuple.port[1], 200);
		assert_true(p->flags & PACKET_ICMP_ONE_WAY);
	} else {
		assert_int_equal(p->tuple.port[1], expected);
		assert_false(p->flags & PACKET_ICMP_ONE_WAY);
	}
}

static void pairs_icmp_types_that_answer_each_other(void **state)
{
	static const uint8_t icmp[][2] = {
		{8, 0}, {13, 14}, {15, 16}, {10, 9}, {17, 18}};
	static const uint8_t icmp6[][2] = {{128, 129}, {130, 131}, {133, 134},
					   {135, 136}, {139, 140}, {144, 145}};

	(void)state;
	for (int type = 0; type < 256; type++) {
		struct packet p = decode_icmp("ICMP, echo", 34, (uint8_t)type);

		check_icmp(&p, counterpart(icmp, 5, type));
		p = decode_icmp("ICMPv6, neighbour", 54, (uint8_t)type);
		check_icmp(&p, counterpart(icmp6, 6, type));
	}
}

static void reads_tcp_options(void **state)
{
	struct packet p = decode("TCP, connection request", 0, 0);

	(void)state;
	assert_int_equal(p.tcp_flags, 0x02);
	assert_int_equal(p.tcp.sequence, 1);
	assert_int_equal(p.tcp.acknowledgment, 2);
	assert_int_equal(p.tcp.window, 0x2000);
	assert_int_equal(p.tcp.header_size, 40);
	assert_int_equal(p.tcp.mss, 1460);
	assert_int_equal(p.tcp.window_scale, 8);
	assert_int_equal(p.tcp.sack_permitted, 1);
	assert_int_equal(p.tcp.has_timestamp, 1);
	assert_int_equal(p.tcp.timestamp, 7);
	assert_int_equal(p.tcp.timestamp_echo, 0);
	p = decode("TCP, timestamps", 0, 0);
	assert_int_equal(p.tcp_flags, 0x18);
	assert_int_equal(p.tcp.has_timestamp, 1);
	assert_int_equal(p.tcp.timestamp, 10);
	assert_int_equal(p.tcp.timestamp_echo, 11);
	assert_int_equal(p.tcp.mss, 0);
	p = decode("TCP, selective acknowledgment", 0, 0);
	assert_int_equal(p.tcp.sack_count, 1);
	assert_int_equal(p.tcp.sack_left, 100);
	assert_int_equal(p.tcp.sack_right, 200);
	assert_int_equal(p.tcp.has_timestamp, 0);
}

static void tells_fragments_of_a_datagram(void **state)
{
	struct packet p = decode("middle fragment", 0, 0);

	(void)state;
	assert_int_equal(p.fragment_id, 0xabcd);
	assert_int_equal(p.fragment_offset, 128);
	p = decode("IPv6, last fragment", 0, 0);
	assert_int_equal(p.fragment_id, 0x1234);
	assert_int_equal(p.fragment_offset, 16);
	p = decode("IPv4, TCP", 0, 0);
	assert_int_equal(p.fragment_id, 0);
}

static void counts_full_bytes_of_a_96_byte_slice(void **state)
{
	struct packet_input input = {.captured_size = 96, .link_type = 1};
	uint8_t bytes[1514] = {0};
	struct packet whole, slice;

	(void)state;
	(void)golden_bytes(golden_find("IPv4, TCP"), bytes);
	bytes[16] = 1500 >> 8;
	bytes[17] = 1500 & 0xff;
	input.bytes = bytes;
	input.size = sizeof bytes;
	assert_int_equal(packet_decode(&input, &slice), VERDICT_OK);
	input.captured_size = sizeof bytes;
	assert_int_equal(packet_decode(&input, &whole), VERDICT_OK);
	assert_int_equal(slice.ip_bytes, 1500);
	assert_int_equal(slice.ip_bytes, whole.ip_bytes);
	assert_int_equal(slice.frame_bytes, whole.frame_bytes);
	assert_int_equal(slice.payload_bytes, whole.payload_bytes);
	assert_int_equal(slice.payload_bytes, 1460);
	assert_true(slice.flags & PACKET_CUT);
	assert_false(whole.flags & PACKET_CUT);
}

static void keeps_flags_of_a_cut_tcp_header_only_if_there(void **state)
{
	uint8_t bytes[GOLDEN_BYTES_MAX];
	struct packet_input input = {.bytes = bytes, .link_type = 1};
	struct packet p;

	(void)state;
	input.size = (uint32_t)golden_bytes(golden_find("IPv4, TCP"), bytes);
	for (uint32_t n = 34 + 4; n < 34 + 20; n++) {
		input.captured_size = n;
		assert_int_equal(packet_decode(&input, &p), VERDICT_OK);
		assert_int_equal(p.tcp_flags, n > 34 + 13 ? 0x18 : 0);
		assert_false(p.flags & (PACKET_TCP | PACKET_TCP_OPTIONS));
		assert_int_equal(p.payload_bytes, 4);
		assert_int_equal(p.payload_offset, n);
	}
}

/* Frames nested deeper than the walk goes: the last one reached counts. */
static void counts_the_packet_at_the_depth_limit(void **state)
{
	static const uint8_t header[20] = {0x45, 0,  0,   0, 0, 0,   0,
					   0,    64, 4,   0, 0, 192, 0,
					   2,    1,  192, 0, 2, 2};
	uint8_t bytes[14 + 100 * 20] = {[12] = 8};
	struct packet_input input = {.bytes = bytes,
				     .captured_size = sizeof bytes,
				     .size = sizeof bytes,
				     .link_type = 1};
	struct packet p;

	(void)state;
	for (uint16_t i = 0; i < 100; i++) {
		uint8_t *at = bytes + 14 + (size_t)i * 20;
		uint16_t total = (uint16_t)((100 - i) * 20);

		memcpy(at, header, sizeof header);
		at[2] = (uint8_t)(total >> 8);
		at[3] = (uint8_t)total;
	}
	assert_int_equal(packet_decode(&input, &p), VERDICT_OK);
	assert_int_equal(p.tunnel, TUNNEL_IPIP);
	/* Ethernet is one header, and the outermost IP, which is no tunnel */
	assert_int_equal(p.ip_offset, 14 + (PACKET_DEPTH_MAX - 2) * 20);
}

static void every_verdict_and_tunnel_has_its_word_and_packet(void **state)
{
	bool verdicts[VERDICT_COUNT] = {false}, tunnels[TUNNEL_COUNT] = {false};

	(void)state;
	for (int i = 0; i < GOLDEN_SETS; i++) {
		for (size_t j = 0; j < golden_sets[i]->count; j++) {
			verdicts[golden_sets[i]->golden[j].verdict] = true;
			tunnels[golden_sets[i]->golden[j].tunnel] = true;
		}
	}
	/* Cut at every byte in the other test program. */
	verdicts[VERDICT_LINK_TRUNCATED] = true;
	for (enum verdict v = 0; v < VERDICT_COUNT; v++) {
		if (!verdicts[v])
			fail_msg("no packet shows %s", verdict_word(v));
		assert_non_null(verdict_line(v));
		for (enum verdict other = 0; other < v; other++)
			assert_string_not_equal(verdict_word(v),
						verdict_word(other));
	}
	assert_null(tunnel_words[TUNNEL_NONE]);
	for (int t = 1; t < TUNNEL_COUNT; t++) {
		assert_non_null(tunnel_words[t]);
		if (!tunnels[t])
			fail_msg("no packet shows %s", tunnel_words[t]);
	}
}

static void knows_its_link_types(void **state)
{
	(void)state;
	for (int i = 0; i < GOLDEN_SETS; i++) {
		for (size_t j = 0; j < golden_sets[i]->count; j++) {
			const struct golden *g = &golden_sets[i]->golden[j];

			if (g->verdict == VERDICT_OK)
				assert_true(packet_link_known(g->link_type));
		}
	}
	assert_false(packet_link_known(105));
	assert_false(packet_link_known(UINT16_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_the_segments_of_super_frames),
		cmocka_unit_test(counts_datagrams_of_udp_segmentation),
		cmocka_unit_test(counts_one_packet_where_one_segment_is),
		cmocka_unit_test(counts_segments_in_a_tunnel),
		cmocka_unit_test(counts_segments_beyond_64_kibibytes),
		cmocka_unit_test(does_not_overflow),
		cmocka_unit_test(takes_the_wire_size_as_captured_if_it_is_less),
		cmocka_unit_test(pairs_icmp_types_that_answer_each_other),
		cmocka_unit_test(reads_tcp_options),
		cmocka_unit_test(tells_fragments_of_a_datagram),
		cmocka_unit_test(counts_full_bytes_of_a_96_byte_slice),
		cmocka_unit_test(keeps_flags_of_a_cut_tcp_header_only_if_there),
		cmocka_unit_test(counts_the_packet_at_the_depth_limit),
		cmocka_unit_test(
			every_verdict_and_tunnel_has_its_word_and_packet),
		cmocka_unit_test(knows_its_link_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
