/* What does it cost to decode a frame?
 *
 * Decodes generated frames from memory, in an order that no branch predictor
 * learns by heart, and prints the median of the rounds for each mix.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "packet/packet.h"

#define FRAME_COUNT 4096 /* a ring's worth: headers stay in the cache */
#define FRAME_SIZE  128  /* captured of 1500 */
#define PASSES      512
#define ROUNDS      9

enum shape {
	IP4_TCP,
	IP4_UDP,
	IP6_TCP,
	IP6_UDP,
	VLAN_TCP,
	VXLAN,
	OPTIONS,
	QINQ,
	MPLS,
	PPPOE,
	GENEVE,
	GTPU,
	GRE,
	IPIP,
	SHAPE_COUNT
};

/* Shares of 16 of each shape. */
static const struct mix {
	const char *name;
	uint8_t share[SHAPE_COUNT];
} mixes[] = {
	{"ipv4-tcp", {[IP4_TCP] = 16}},
	{"ipv4-udp", {[IP4_UDP] = 16}},
	{"ipv6-tcp", {[IP6_TCP] = 16}},
	{"tcp-options", {[OPTIONS] = 16}},
	{"vlan-tcp", {[VLAN_TCP] = 16}},
	{"qinq-tcp", {[QINQ] = 16}},
	{"mpls-tcp", {[MPLS] = 16}},
	{"pppoe-tcp", {[PPPOE] = 16}},
	{"vxlan", {[VXLAN] = 16}},
	{"geneve", {[GENEVE] = 16}},
	{"gtp-u", {[GTPU] = 16}},
	{"gre", {[GRE] = 16}},
	{"ip-in-ip", {[IPIP] = 16}},
	{"tunnels",
	 {[VXLAN] = 4, [GENEVE] = 3, [GTPU] = 3, [GRE] = 3, [IPIP] = 3}},
	{"internet", {9, 3, 2, 1, 1, 0}},
	{"data-center", {6, 2, 1, 0, 3, 4}},
};

static uint8_t frames[FRAME_COUNT][FRAME_SIZE];
static uint32_t seed = 1;

static uint32_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static uint8_t *put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

static uint8_t *put_ethernet(uint8_t *at, uint16_t type)
{
	memset(at, 2, 12);
	return put16(at + 12, type);
}

static uint8_t *put_ip4(uint8_t *at, uint8_t protocol, uint16_t size)
{
	uint32_t host = next_random();

	memset(at, 0, 20);
	at[0] = 0x45;
	(void)put16(at + 2, size);
	at[8] = 64;
	at[9] = protocol;
	memcpy(at + 12, &host, 4);
	memcpy(at + 16, &seed, 4);
	return at + 20;
}

static uint8_t *put_ip6(uint8_t *at, uint8_t protocol, uint16_t size)
{
	memset(at, 0x20, 40);
	at[0] = 0x60;
	(void)put16(at + 4, size);
	at[6] = protocol;
	return at + 40;
}

static uint8_t *put_udp(uint8_t *at, uint16_t port, uint16_t size)
{
	at = put16(at, (uint16_t)next_random());
	at = put16(at, port);
	at = put16(at, size);
	return put16(at, 0);
}

/* Two of three with the timestamp option, as between hosts. */
static void put_tcp(uint8_t *at)
{
	static const uint8_t option[] = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
	bool stamped = next_random() % 3;

	memset(at, 0, 20);
	(void)put16(at, (uint16_t)next_random());
	(void)put16(at + 2, 443);
	at[12] = stamped ? 0x80 : 0x50;
	at[13] = 0x10;
	if (stamped)
		memcpy(at + 20, option, sizeof option);
}

/* What a connection begins with, in two ways, and what loss brings. */
static void put_options(uint8_t *at)
{
	static const uint8_t options[3][24] = {
		{2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7},
		{2, 4, 5, 180, 1, 3, 3, 8, 1, 1, 4, 2},
		{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2,
		 1, 1, 5, 10, 0, 0, 1, 0, 0, 0, 2, 0},
	};
	static const uint8_t sizes[3] = {20, 12, 24};
	uint32_t which = next_random() % 3;

	put_tcp(at);
	at[12] = (uint8_t)((20 + sizes[which]) / 4 << 4);
	memcpy(at + 20, options[which], sizes[which]);
}

/* IP and TCP behind 'at', within 1500 bytes of a frame. */
static void put_inner(const uint8_t *frame, uint8_t *at)
{
	put_tcp(put_ip4(at, 6, (uint16_t)(1500 - (at - frame))));
}

/* A tunnel in UDP behind Ethernet; where its content begins. */
static uint8_t *put_udp_tunnel(uint8_t *at, uint16_t port,
			       const uint8_t header[8])
{
	at = put_ip4(put_ethernet(at, 0x0800), 17, 1486);
	at = put_udp(at, port, 1466);
	memcpy(at, header, 8);
	return at + 8;
}

static void put_tunnel(uint8_t *frame, enum shape shape)
{
	static const uint8_t vxlan[8] = {8, 0, 0, 0, 0, 0, 7, 0};
	static const uint8_t geneve[8] = {0, 0, 0x65, 0x58, 0, 0, 7, 0};
	static const uint8_t gtp[8] = {0x30, 255, 5, 170, 0, 0, 0, 7};
	uint8_t *at = frame;

	if (shape == VXLAN)
		at = put_udp_tunnel(at, 4789, vxlan);
	else if (shape == GENEVE)
		at = put_udp_tunnel(at, 6081, geneve);
	else if (shape == GTPU)
		at = put_udp_tunnel(at, 2152, gtp);
	else
		at = put_ip4(put_ethernet(at, 0x0800), shape == GRE ? 47 : 4,
			     1486);
	if (shape == VXLAN || shape == GENEVE)
		at = put_ethernet(at, 0x0800);
	if (shape == GRE)
		at = put16(put16(at, 0), 0x0800);
	put_inner(frame, at);
}

static void put_labels(uint8_t *frame, enum shape shape)
{
	uint8_t *at = frame;

	if (shape == VLAN_TCP) {
		at = put16(put16(put_ethernet(at, 0x8100), 7), 0x0800);
	} else if (shape == QINQ) {
		at = put16(put16(put_ethernet(at, 0x88a8), 7), 0x8100);
		at = put16(put16(at, 8), 0x0800);
	} else if (shape == MPLS) {
		at = put16(put16(put_ethernet(at, 0x8847), 1), 0x0040);
		at = put16(put16(at, 2), 0x0140);
	} else {
		at = put16(put16(put_ethernet(at, 0x8864), 0x1100), 7);
		at = put16(put16(at, 1500 - 20), 0x0021);
	}
	put_inner(frame, at);
}

static void put_plain(uint8_t *at, enum shape shape)
{
	bool tcp = shape == IP4_TCP || shape == IP6_TCP || shape == OPTIONS;
	uint8_t protocol = tcp ? 6 : 17;
	bool ip6 = shape == IP6_TCP || shape == IP6_UDP;

	if (ip6)
		at = put_ip6(put_ethernet(at, 0x86dd), protocol, 1440);
	else
		at = put_ip4(put_ethernet(at, 0x0800), protocol, 1486);
	if (shape == OPTIONS)
		put_options(at);
	else if (tcp)
		put_tcp(at);
	else
		(void)put_udp(at, 443, ip6 ? 1440 : 1466);
}

static void put_frame(uint8_t *at, enum shape shape)
{
	memset(at, 0, FRAME_SIZE);
	if (shape == VXLAN || shape >= GENEVE)
		put_tunnel(at, shape);
	else if (shape == VLAN_TCP || (shape >= QINQ && shape <= PPPOE))
		put_labels(at, shape);
	else
		put_plain(at, shape);
}

static void mix_frames(const struct mix *mix)
{
	for (int i = 0; i < FRAME_COUNT; i++) {
		uint32_t left = next_random() % 16;
		int shape = 0;

		while (left >= mix->share[shape])
			left -= mix->share[shape++];
		put_frame(frames[i], (enum shape)shape);
	}
}

/* A mix of frames that the decoder takes for something else says nothing. */
static bool mix_is(const struct mix *mix)
{
	struct packet_input input = {
		.captured_size = FRAME_SIZE, .size = 1500, .link_type = 1};
	bool tunnels = mix->share[VXLAN] == 16 || mix->share[GENEVE] == 16;
	struct packet packet;

	tunnels |= mix->share[GTPU] == 16 || mix->share[GRE] == 16;
	tunnels |= mix->share[IPIP] == 16;
	for (int i = 0; i < FRAME_COUNT; i++) {
		input.bytes = frames[i];
		if (packet_decode(&input, &packet) != VERDICT_OK ||
		    (tunnels && packet.tunnel == TUNNEL_NONE))
			return false;
	}
	return true;
}

/* Nanoseconds a frame.  *sum keeps the work from being left out. */
static double round_ns(uint64_t *sum)
{
	struct packet_input input = {
		.captured_size = FRAME_SIZE, .size = 1500, .link_type = 1};
	struct packet packets[32]; /* as a batch of the pipeline has them */
	int64_t start = mono_now().ns;

	for (int pass = 0; pass < PASSES; pass++) {
		for (int i = 0; i < FRAME_COUNT; i++) {
			struct packet *packet = &packets[i % 32];

			input.bytes = frames[i];
			if (packet_decode(&input, packet) == VERDICT_OK)
				*sum += packet->payload_bytes;
		}
	}
	return (double)(mono_now().ns - start) / PASSES / FRAME_COUNT;
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	uint64_t sum = 0;

	for (size_t m = 0; m < sizeof mixes / sizeof *mixes; m++) {
		double ns[ROUNDS];

		mix_frames(&mixes[m]);
		if (!mix_is(&mixes[m])) {
			fprintf(stderr, "%s: not decoded\n", mixes[m].name);
			return EXIT_FAILURE;
		}
		(void)round_ns(&sum); /* warm */
		for (int i = 0; i < ROUNDS; i++)
			ns[i] = round_ns(&sum);
		qsort(ns, ROUNDS, sizeof *ns, order);
		printf("%-12s %6.2f ns/packet (best %.2f, worst %.2f)\n",
		       mixes[m].name, ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1]);
	}
	return sum ? EXIT_SUCCESS : EXIT_FAILURE;
}
