/* What does it cost to decode a frame?
 *
 * Decodes generated frames from memory, in an order that no branch predictor
 * learns by heart, and prints the median of the rounds for each mix.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "packet/packet.h"

#define FRAME_COUNT 4096 /* a ring's worth: headers stay in the cache */
#define FRAME_SIZE  128
#define PASSES      512
#define ROUNDS      9

enum shape { IP4_TCP, IP4_UDP, IP6_TCP, IP6_UDP, VLAN_TCP, VXLAN, SHAPE_COUNT };

/* Shares of 16 of each shape. */
static const struct mix {
	const char *name;
	uint8_t share[SHAPE_COUNT];
} mixes[] = {
	{"ipv4-tcp", {16}},
	{"ipv4-udp", {0, 16}},
	{"ipv6-tcp", {0, 0, 16}},
	{"vlan-tcp", {0, 0, 0, 0, 16}},
	{"vxlan", {0, 0, 0, 0, 0, 16}},
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

static void put_vxlan(uint8_t *at)
{
	static const uint8_t header[8] = {8, 0, 0, 0, 0, 0, 7, 0};

	at = put_ip4(put_ethernet(at, 0x0800), 17, 1486);
	at = put_udp(at, 4789, 1466);
	memcpy(at, header, sizeof header);
	put_tcp(put_ip4(put_ethernet(at + 8, 0x0800), 6, 1436));
}

static void put_frame(uint8_t *at, enum shape shape)
{
	memset(at, 0, FRAME_SIZE);
	switch (shape) {
	case IP4_TCP:
		put_tcp(put_ip4(put_ethernet(at, 0x0800), 6, 1486));
		break;
	case IP4_UDP:
		at = put_ip4(put_ethernet(at, 0x0800), 17, 1486);
		(void)put_udp(at, 443, 1466);
		break;
	case IP6_TCP:
		put_tcp(put_ip6(put_ethernet(at, 0x86dd), 6, 1440));
		break;
	case IP6_UDP:
		at = put_ip6(put_ethernet(at, 0x86dd), 17, 1440);
		(void)put_udp(at, 443, 1440);
		break;
	case VLAN_TCP:
		at = put16(put_ethernet(at, 0x8100), 7);
		put_tcp(put_ip4(put16(at, 0x0800), 6, 1482));
		break;
	default:
		put_vxlan(at);
	}
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

static int64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* Nanoseconds a frame.  *sum keeps the work from being left out. */
static double round_ns(uint64_t *sum)
{
	struct packet_input input = {
		.captured_size = FRAME_SIZE, .size = 1500, .link_type = 1};
	struct packet packets[32]; /* as a batch of the pipeline has them */
	int64_t start = now_ns();

	for (int pass = 0; pass < PASSES; pass++) {
		for (int i = 0; i < FRAME_COUNT; i++) {
			struct packet *packet = &packets[i % 32];

			input.bytes = frames[i];
			if (packet_decode(&input, packet) == VERDICT_OK)
				*sum += packet->payload_bytes;
		}
	}
	return (double)(now_ns() - start) / PASSES / FRAME_COUNT;
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
		(void)round_ns(&sum); /* warm */
		for (int i = 0; i < ROUNDS; i++)
			ns[i] = round_ns(&sum);
		qsort(ns, ROUNDS, sizeof *ns, order);
		printf("%-12s %6.2f ns/packet (best %.2f, worst %.2f)\n",
		       mixes[m].name, ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1]);
	}
	return sum ? EXIT_SUCCESS : EXIT_FAILURE;
}
