/* A plain packet in one cache line, for the way from core to core.
 *
 * Plain: IPv4, no tunnel, no fragment, one segment, no SYN, whose numbers tell
 * connections apart.  What is left out is TCP's header, ICMP's type and code
 * (the tuple has them as ports), the labels and where the bytes are.
 *
 * Threads: pure.
 */
#ifndef PACKET_BRIEF_H
#define PACKET_BRIEF_H

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "packet/packet.h"

/* Both halves are as they lie in struct packet. */
struct packet_brief {
	_Alignas(64) uint32_t address[2];
	uint8_t tuple[16]; /* from the ports on */
	struct wall at;
	uint8_t sums[32]; /* frame_bytes to tos */
};

#define BRIEF_TUPLE offsetof(struct packet_tuple, port)
#define BRIEF_SYN   0x02 /* of TCP's flags */
#define BRIEF_SUMS  offsetof(struct packet, frame_bytes)

static_assert(sizeof(struct packet_brief) == 64, "a cache line");
static_assert(sizeof(struct packet_tuple) - BRIEF_TUPLE == 16 &&
		      offsetof(struct packet, fragment_id) - BRIEF_SUMS == 32,
	      "the parts that are copied");

static inline bool packet_brief_able(const struct packet *packet)
{
	return packet->tuple.ip_version == 4 && packet->tunnel == TUNNEL_NONE &&
	       !(packet->flags & (PACKET_FRAGMENT | PACKET_SUPER)) &&
	       !(packet->tcp_flags & BRIEF_SYN);
}

/* Read word by word, as the decoder writes it: a load that spans two stores
 * waits for both to reach the cache.  The packet must be able. */
static inline void packet_brief_make(const struct packet *packet,
				     struct packet_brief *ret_brief)
{
	const uint8_t *from = (const uint8_t *)packet;
	uint32_t address[2];
	uint64_t words[8];

	memcpy(&address[0], packet->tuple.address[0], 4);
	memcpy(&address[1], packet->tuple.address[1], 4);
	memcpy(&words[0], address, 8);
	memcpy(&words[1], from + BRIEF_TUPLE, 8);
	memcpy(&words[2], from + BRIEF_TUPLE + 8, 8);
	memcpy(&words[3], &packet->at, 8);
	for (size_t i = 0; i < 4; i++)
		memcpy(&words[4 + i], from + BRIEF_SUMS + i * 8, 8);
	for (size_t i = 0; i < 4; i++) {
#ifdef __SSE2__
		_mm_store_si128((__m128i *)(void *)ret_brief + i,
				_mm_set_epi64x((long long)words[2 * i + 1],
					       (long long)words[2 * i]));
#else
		memcpy((uint8_t *)ret_brief + 16 * i, &words[2 * i], 16);
#endif
	}
}

/* Decodes what packet_decode() would make able of the shortest road, straight
 * to a brief; false: only packet_decode() tells. */
bool packet_brief_decode(const struct packet_input *input,
			 struct packet_brief *ret_brief);

/* A copy for another core: lines go past this one's cache, where otherwise
 * they would have to come to first.  packet_briefs_sent() has to come before
 * the other core is told. */
static inline void packet_briefs_send(const struct packet_brief *briefs,
				      size_t count,
				      struct packet_brief *ret_briefs)
{
#ifdef __SSE2__
	const __m128i *from = (const __m128i *)(const void *)briefs;
	__m128i *to = (__m128i *)(void *)ret_briefs;

	for (size_t i = 0; i < 4 * count; i++)
		_mm_stream_si128(&to[i], _mm_load_si128(&from[i]));
#else
	memcpy(ret_briefs, briefs, count * sizeof *briefs);
#endif
}

static inline void packet_briefs_sent(void)
{
#ifdef __SSE2__
	_mm_sfence();
#endif
}

/* Writes what was not left out; 'tcp' and 'outer_address' stay undefined. */
static inline void packet_brief_open(const struct packet_brief *brief,
				     struct packet *ret_packet)
{
	uint8_t *to = (uint8_t *)ret_packet;

	memset(ret_packet->tuple.address, 0, 32);
	memcpy(ret_packet->tuple.address[0], &brief->address[0], 4);
	memcpy(ret_packet->tuple.address[1], &brief->address[1], 4);
	memcpy(to + BRIEF_TUPLE, brief->tuple, 16);
	ret_packet->at = brief->at;
	ret_packet->bytes = NULL;
	memcpy(to + BRIEF_SUMS, brief->sums, 32);
	memset(&ret_packet->fragment_id, 0,
	       offsetof(struct packet, tcp) -
		       offsetof(struct packet, fragment_id));
}

#endif
