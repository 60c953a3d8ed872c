/* Frames from bench/traffic or from a capture file. */
#include "sender_pool.h"

#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES_MIN    65536
#define FRAMES_A_FLOW 4

static int pool_add(struct pool *pool, const void *bytes, uint32_t size)
{
	if (pool->used + size > pool->size) {
		size_t more = (pool->used + size) * 2 + 65536;
		uint8_t *room = realloc(pool->bytes, more);

		if (!room)
			return sender_fail("no memory");
		pool->bytes = room;
		pool->size = more;
	}
	if (pool->count % 4096 == 0) {
		uint32_t *sizes = realloc(pool->sizes,
					  (pool->count + 4096) * sizeof *sizes);

		if (!sizes)
			return sender_fail("no memory");
		pool->sizes = sizes;
	}
	memcpy(pool->bytes + pool->used, bytes, size);
	pool->used += size;
	pool->sizes[pool->count++] = size;
	pool->room = size > pool->room ? size : pool->room;
	return 0;
}

int pool_from_traffic(struct pool *pool, const struct traffic_options *options,
		      uint64_t count)
{
	static uint8_t frame[TRAFFIC_FRAME_MAX];
	struct traffic *traffic = traffic_create(options);
	int rc = 0;

	if (!traffic)
		return sender_fail(
			"no memory, or options that exclude each other");
	if (count == 0) {
		count = options->flows * FRAMES_A_FLOW;
		count = count < FRAMES_MIN ? FRAMES_MIN : count;
	}
	for (uint64_t i = 0; i < count && rc == 0; i++) {
		int64_t at_ns;
		uint32_t size = traffic_next(traffic, frame, &at_ns);

		rc = pool_add(pool, frame, size);
	}
	traffic_destroy(traffic);
	return rc;
}

int pool_from_file(struct pool *pool, const char *path, uint64_t most)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *file = pcap_open_offline(path, error);
	struct pcap_pkthdr *head;
	const u_char *bytes;
	int rc = 0;

	if (!file)
		return sender_fail("%s", error);
	while (rc == 0 && (!most || pool->count < most) &&
	       pcap_next_ex(file, &head, &bytes) == 1) {
		if (head->len > SENDER_FRAME_MAX || head->caplen < head->len ||
		    head->len < 14)
			pool->skipped++;
		else
			rc = pool_add(pool, bytes, head->len);
	}
	pcap_close(file);
	if (rc == 0 && pool->count == 0)
		return sender_fail("%s: no whole frame of up to %d bytes", path,
				   SENDER_FRAME_MAX);
	return rc;
}

void pool_free(struct pool *pool)
{
	free(pool->bytes);
	free(pool->sizes);
}
