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

#undef SAME

/* Whether packet_addresses() tells what 'general' proved to be. */
static inline bool packet_addresses_hold(const struct packet_input *input,
					 enum verdict verdict,
					 const struct packet *general)
{
	uint8_t address[2][16];

	if (!packet_addresses(input, address))
		return true;
	return verdict == VERDICT_OK && general->tunnel == TUNNEL_NONE &&
	       !(general->flags & PACKET_FRAGMENT) &&
	       memcmp(address, general->tuple.address, sizeof address) == 0;
}

#endif
