/* Whether two decoded packets are the same in every field that is defined.
 * For tests and fuzz targets. */
#ifndef TESTS_PACKET_SAME_H
#define TESTS_PACKET_SAME_H

#include <string.h>

#include "packet/packet.h"

#define SAME(field) (memcmp(&a->field, &b->field, sizeof a->field) == 0)

static inline bool packet_same_sizes(const struct packet *a,
				     const struct packet *b)
{
	return SAME(frame_bytes) && SAME(ip_bytes) && SAME(payload_bytes) &&
	       SAME(packets);
}

static inline bool packet_same_places(const struct packet *a,
				      const struct packet *b)
{
	return SAME(bytes) && SAME(captured_size) && SAME(ip_offset) &&
	       SAME(transport_offset) && SAME(payload_offset);
}

static inline bool packet_same(const struct packet *a, const struct packet *b)
{
	return SAME(tuple) && SAME(at) && packet_same_sizes(a, b) &&
	       packet_same_places(a, b) && SAME(flags) && SAME(tcp_flags) &&
	       SAME(tunnel) && SAME(ttl) && SAME(tos) && SAME(fragment_id) &&
	       SAME(fragment_offset) && SAME(icmp_type) && SAME(icmp_code) &&
	       SAME(mpls_labels) && (!(a->flags & PACKET_TCP) || SAME(tcp)) &&
	       (a->tunnel == TUNNEL_NONE ||
		(SAME(outer_address) && SAME(outer_ip_version)));
}

/* What a brief keeps. */
static inline bool packet_same_briefly(const struct packet *a,
				       const struct packet *b)
{
	return SAME(tuple) && SAME(at) && packet_same_sizes(a, b) &&
	       SAME(captured_size) && SAME(ip_offset) &&
	       SAME(transport_offset) && SAME(payload_offset) && SAME(flags) &&
	       SAME(tcp_flags) && SAME(tunnel) && SAME(ttl) && SAME(tos) &&
	       SAME(fragment_id) && SAME(fragment_offset);
}

#undef SAME

/* Whether a brief tells what 'general' proved to be, straight from the frame
 * and there and back. */
static inline bool packet_brief_holds(const struct packet_input *input,
				      enum verdict verdict,
				      const struct packet *general)
{
	bool able = verdict == VERDICT_OK && packet_brief_able(general);
	bool syn = able && general->tcp_flags & 0x02;
	struct packet_brief straight, made;
	struct packet open;

	if (syn) /* its sequence number begins a connection */
		return false;
	if (able) {
		packet_brief_make(general, &made);
		memset(&open, 0x5a, sizeof open);
		packet_brief_open(&made, &open);
		if (!packet_same_briefly(&open, general))
			return false;
	}
	if (!packet_brief_decode(input, &straight))
		return true;
	return able && memcmp(&straight, &made, sizeof made) == 0;
}

#endif
