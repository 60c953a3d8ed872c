/* trace PACKETS FLOWS SIZE FILE: a deterministic capture file for benches.
 *
 * Biflows of UDP between 10.0.0.0/8 and 172.16.0.0/12, packets of SIZE bytes
 * (60 to 1514) that pick a flow and a direction at random (xorshift, fixed
 * seed), one microsecond apart: a pcap in microseconds, as every tool reads.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_SIZE 16
#define START_S     1700000000U

static uint64_t xorshift(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

/* Ethernet, and how IPv4 begins. */
static const uint8_t frame_head[] = {2, 0, 0, 0, 0, 2, 2,    0,
				     0, 0, 0, 1, 8, 0, 0x45, 0};

static void frame_make(uint8_t *frame, uint32_t size, uint32_t flow,
		       unsigned int back)
{
	uint32_t client = 0x0a000000U + flow, server = 0xac100000U + flow % 977;
	uint32_t port = 1024 + flow % 50000;

	memcpy(frame, frame_head, sizeof frame_head);
	put16(frame + 16, size - 14);
	frame[22] = 64;
	frame[23] = 17;
	put32(frame + 26, back ? server : client);
	put32(frame + 30, back ? client : server);
	put16(frame + 34, back ? 443 : port);
	put16(frame + 36, back ? port : 443);
	put16(frame + 38, size - 34);
}

static int trace_write(FILE *file, uint64_t packets, uint32_t flows,
		       uint32_t size)
{
	static uint8_t frame[HEADER_SIZE + 1514];
	uint32_t head[6] = {0xa1b2c3d4U, 2U | 4U << 16, 0, 0, 262144, 1};
	uint64_t state = 88172645463325252U;

	if (fwrite(head, sizeof head, 1, file) != 1)
		return -1;
	for (uint64_t i = 0; i < packets; i++) {
		uint64_t random = xorshift(&state);
		/* The first packets begin each flow, client first. */
		uint32_t flow = i < flows ? (uint32_t)i
					  : (uint32_t)(random >> 1) % flows;
		uint32_t record[4] = {START_S + (uint32_t)(i / 1000000),
				      (uint32_t)(i % 1000000), size, size};

		memcpy(frame, record, sizeof record);
		frame_make(frame + HEADER_SIZE, size, flow,
			   i < flows ? 0 : (unsigned int)(random & 1));
		if (fwrite(frame, HEADER_SIZE + size, 1, file) != 1)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t packets = argc == 5 ? strtoull(argv[1], NULL, 10) : 0;
	uint32_t flows = argc == 5 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	uint32_t size = argc == 5 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
	FILE *file;

	if (packets == 0 || flows == 0 || size < 60 || size > 1514) {
		fprintf(stderr, "usage: trace PACKETS FLOWS SIZE FILE\n");
		return 2;
	}
	file = fopen(argv[4], "wb");
	if (!file || trace_write(file, packets, flows, size) < 0 ||
	    fclose(file) != 0) {
		perror(argv[4]);
		return 1;
	}
	return 0;
}
