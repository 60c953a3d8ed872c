/* Small capture files for tests of the engine. */
#ifndef TESTS_ENGINE_MAKE_PCAP_H
#define TESTS_ENGINE_MAKE_PCAP_H

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The head of a nanosecond pcap of Ethernet. */
static inline void pcap_head(FILE *file)
{
	uint32_t head[6] = {0xa1b23c4dU, 2U | 4U << 16, 0, 0, 262144, 1};

	assert(fwrite(head, sizeof head, 1, file) == 1);
}

/* One frame of 60 bytes: UDP of flow 'flow', sent by the client, or back. */
static inline void pcap_udp(FILE *file, uint64_t at_ns, uint32_t flow,
			    unsigned int back)
{
	uint8_t frame[60] = {2, 0, 0,    0, 0, 2,  2, 0, 0, 0, 0,  1,
			     8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17};
	uint8_t ends[2][6] = {
		{10, 0, (uint8_t)(flow >> 8), (uint8_t)flow, 0x40, 0x01},
		{192, 0, 2, (uint8_t)(flow % 7), 0, 53}};
	uint32_t record[4] = {(uint32_t)(at_ns / 1000000000),
			      (uint32_t)(at_ns % 1000000000), 60, 60};

	memcpy(frame + 26, ends[back], 4);
	memcpy(frame + 30, ends[!back], 4);
	memcpy(frame + 34, ends[back] + 4, 2);
	memcpy(frame + 36, ends[!back] + 4, 2);
	frame[39] = 26;
	assert(fwrite(record, sizeof record, 1, file) == 1);
	assert(fwrite(frame, sizeof frame, 1, file) == 1);
}

/* A file of 'packets' frames over 'flows' flows, a millisecond apart; its
 * name is written to 'path'. */
static inline void pcap_file(char path[static 32], uint32_t packets,
			     uint32_t flows)
{
	FILE *file;
	int fd;

	(void)snprintf(path, 32, "/tmp/sonde-engine-XXXXXX");
	fd = mkstemp(path);
	assert(fd >= 0);
	file = fdopen(fd, "wb");
	assert(file);
	pcap_head(file);
	for (uint32_t i = 0; i < packets; i++)
		pcap_udp(file, UINT64_C(1700000000000000000) + i * 1000000ULL,
			 i % flows, i / flows % 2);
	assert(fclose(file) == 0);
}

#endif
