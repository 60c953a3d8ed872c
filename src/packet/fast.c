/* The straight road: Ethernet, at most one tag, IP without options, and TCP
 * or UDP that is whole, captured and no tunnel.  Everything else takes the
 * general walk, and so does everything that is odd in the least.
 *
 * Fields are read at places that one check of the size covers, and every
 * field of the struct that is defined for such a packet is written once.
 */
#include <string.h>

#include "packet/packet_private.h"

#define FAST inline __attribute__((always_inline))

#define ETHERNET_SIZE     14
#define VLAN_SIZE         4
#define FRAME_SIZE_MIN    (ETHERNET_SIZE + IP4_HEADER_SIZE + UDP_HEADER_SIZE)
#define VLAN_VID_MASK     0x0fff
#define IP4_NO_OPTIONS    0x45
#define IP4_FRAGMENT_BITS 0x3fff
#define TIMESTAMP_ALONE   0x0101080a /* two NOPs, kind 8, size 10 */
#define TIMESTAMP_SIZE    32         /* the header that it makes */

/* The frame's end and the places in it. */
struct road {
	const uint8_t *frame;
	uint32_t captured;
	uint32_t size; /* on the wire */
	uint32_t ip;
	uint32_t transport;
	uint32_t bytes; /* of the transport header and payload */
};

static FAST void tcp_fill(const uint8_t *at, uint32_t header, struct packet *p)
{
	bool stamped = header == TIMESTAMP_SIZE &&
		       load_be32(at + TCP_HEADER_SIZE) == TIMESTAMP_ALONE;

	if (header != TCP_HEADER_SIZE && !stamped) {
		tcp_decode(at, header, p);
		return;
	}
	p->flags |= PACKET_TCP | PACKET_TCP_OPTIONS;
	p->tcp = (struct packet_tcp){
		.sequence = load_be32(at + 4),
		.acknowledgment = load_be32(at + 8),
		.window = load_be16(at + 14),
		.header_size = (uint8_t)header,
	};
	if (stamped) {
		p->tcp.timestamp = load_be32(at + 24);
		p->tcp.timestamp_echo = load_be32(at + 28);
		p->tcp.has_timestamp = 1;
	}
}

static FAST bool tcp_fast(const struct road *r, struct packet *p)
{
	const uint8_t *at = r->frame + r->transport;
	uint32_t header;

	if (r->captured < r->transport + TCP_HEADER_SIZE)
		return false;
	header = (at[12] >> 4) * 4U;
	if (header < TCP_HEADER_SIZE || header > r->bytes ||
	    r->transport + header > r->captured)
		return false;
	p->tcp_flags = at[13];
	p->payload_offset = (uint16_t)(r->transport + header);
	p->payload_bytes = r->bytes - header;
	tcp_fill(at, header, p);
	return true;
}

static FAST bool udp_fast(const struct road *r, struct packet *p)
{
	const uint8_t *at = r->frame + r->transport;
	uint32_t size;

	if (r->captured < r->transport + UDP_HEADER_SIZE)
		return false;
	size = load_be16(at + 4);
	if (size < UDP_HEADER_SIZE || size > r->bytes ||
	    udp_tunnel_likely(p->tuple.port))
		return false;
	p->tcp_flags = 0;
	p->payload_offset = (uint16_t)(r->transport + UDP_HEADER_SIZE);
	p->payload_bytes = size - UDP_HEADER_SIZE;
	return true;
}

static FAST bool transport_fast(const struct road *r, uint8_t protocol,
				struct packet *p)
{
	const uint8_t *at = r->frame + r->transport;

	p->tuple.port[0] = load_be16(at);
	p->tuple.port[1] = load_be16(at + 2);
	p->tuple.protocol = protocol;
	p->ip_offset = (uint16_t)r->ip;
	p->transport_offset = (uint16_t)r->transport;
	p->flags = r->size > r->captured ? PACKET_CUT : 0;
	if (protocol == PROTOCOL_TCP)
		return tcp_fast(r, p);
	return protocol == PROTOCOL_UDP && udp_fast(r, p);
}

static FAST bool ip4_fast(struct road *r, struct packet *p)
{
	const uint8_t *at = r->frame + r->ip;
	uint32_t total;

	if (r->captured < r->ip + IP4_HEADER_SIZE + UDP_HEADER_SIZE ||
	    at[0] != IP4_NO_OPTIONS || load_be16(at + 6) & IP4_FRAGMENT_BITS)
		return false;
	total = load_be16(at + 2);
	if (total > r->size - r->ip ||
	    total < IP4_HEADER_SIZE + UDP_HEADER_SIZE)
		return false;
	r->transport = r->ip + IP4_HEADER_SIZE;
	r->bytes = total - IP4_HEADER_SIZE;
	memset(p->tuple.address, 0, sizeof p->tuple.address);
	memcpy(p->tuple.address[0], at + 12, 4);
	memcpy(p->tuple.address[1], at + 16, 4);
	p->tuple.ip_version = 4;
	p->ip_bytes = total;
	p->tos = at[1];
	p->ttl = at[8];
	return transport_fast(r, at[9], p);
}

static FAST bool ip6_fast(struct road *r, struct packet *p)
{
	const uint8_t *at = r->frame + r->ip;
	uint32_t total;

	if (r->captured < r->ip + IP6_HEADER_SIZE + UDP_HEADER_SIZE ||
	    at[0] >> 4 != 6)
		return false;
	total = IP6_HEADER_SIZE + (uint32_t)load_be16(at + 4);
	if (total > r->size - r->ip ||
	    total < IP6_HEADER_SIZE + UDP_HEADER_SIZE)
		return false;
	r->transport = r->ip + IP6_HEADER_SIZE;
	r->bytes = total - IP6_HEADER_SIZE;
	memcpy(p->tuple.address, at + 8, sizeof p->tuple.address);
	p->tuple.ip_version = 6;
	p->ip_bytes = total;
	p->tos = (uint8_t)(load_be16(at) >> 4);
	p->ttl = at[7];
	return transport_fast(r, at[6], p);
}

/* What is the same for every packet of this road. */
static FAST void frame_fill(const struct packet_input *input, uint32_t size,
			    uint16_t vlan, struct packet *p)
{
	p->tuple.vlan = vlan;
	p->tuple.vlan_outer = 0;
	p->tuple.interface = input->interface;
	p->tuple.network = 0;
	p->at = input->at;
	p->bytes = input->bytes;
	p->captured_size = input->captured_size;
	p->frame_bytes = size;
	p->packets = 1;
	p->tunnel = TUNNEL_NONE;
	p->fragment_id = 0;
	p->fragment_offset = 0;
	p->icmp_type = 0;
	p->icmp_code = 0;
	p->mpls_labels = 0;
}

bool packet_decode_fast(const struct packet_input *input,
			struct packet *ret_packet)
{
	const uint8_t *frame = input->bytes;
	uint32_t captured = input->captured_size;
	struct road r = {.frame = frame,
			 .captured = captured,
			 .size = input->size,
			 .ip = ETHERNET_SIZE};
	uint16_t type, vlan = 0;

	if (input->link_type != LINKTYPE_ETHERNET || input->gso_size ||
	    captured < FRAME_SIZE_MIN)
		return false;
	if (r.size < captured)
		r.size = captured;
	type = load_be16(frame + ETHERNET_SIZE - 2);
	if (type == TYPE_VLAN) {
		vlan = load_be16(frame + ETHERNET_SIZE) & VLAN_VID_MASK;
		type = load_be16(frame + ETHERNET_SIZE + 2);
		r.ip += VLAN_SIZE;
	}
	frame_fill(input, r.size, vlan, ret_packet);
	if (type == TYPE_IP4)
		return ip4_fast(&r, ret_packet);
	return type == TYPE_IP6 && ip6_fast(&r, ret_packet);
}
