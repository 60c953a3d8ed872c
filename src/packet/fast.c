/* The straight road: Ethernet, at most one tag, IP without options, and TCP
 * or UDP that is whole, captured and no tunnel.  Everything else takes the
 * general walk, and so does everything that is odd in the least.
 *
 * Fields are read at places that one check of the size covers, and every
 * field of the struct that is defined for such a packet is written once.  The
 * functions are compiled for each place of the IP header, 14 and 18: with the
 * place known there is little left to compute.
 */
#include <string.h>

#include "packet/packet_private.h"

#define FAST static inline __attribute__((always_inline))

#define ETHERNET_SIZE     14
#define VLAN_SIZE         4
#define FRAME_SIZE_MIN    (ETHERNET_SIZE + IP4_HEADER_SIZE + UDP_HEADER_SIZE)
#define VLAN_VID_MASK     0x0fff
#define IP4_NO_OPTIONS    0x45
#define IP4_FRAGMENT_BITS 0x3fff
#define TIMESTAMP_ALONE   0x0101080a /* two NOPs, kind 8, size 10 */
#define TIMESTAMP_HEADER  32         /* bytes, with them */

/* A frame and where its headers are: constants, once compiled. */
struct road {
	const uint8_t *frame;
	uint32_t captured;
	uint32_t size;      /* on the wire */
	uint32_t ip;        /* offset */
	uint32_t transport; /* offset */
	uint32_t bytes;     /* of the transport header and payload */
};

/* Options that are not timestamps alone, as at a connection's start. */
static __attribute__((noinline)) bool
tcp_rest(const uint8_t *at, uint32_t header, struct packet *p)
{
	tcp_decode(at, header, p);
	return true;
}

/* One by one: an initialised struct would be built elsewhere and copied. */
FAST void tcp_fill(const uint8_t *at, uint32_t header, struct packet *p)
{
	struct packet_tcp *tcp = &p->tcp;

	tcp->sequence = load_be32(at + 4);
	tcp->acknowledgment = load_be32(at + 8);
	tcp->window = load_be16(at + 14);
	tcp->mss = 0;
	tcp->window_scale = 0;
	tcp->sack_permitted = 0;
	tcp->sack_count = 0;
	tcp->header_size = (uint8_t)header;
	tcp->timestamp = 0;
	tcp->timestamp_echo = 0;
	tcp->has_timestamp = 0;
	memset(tcp->pad, 0, sizeof tcp->pad);
	tcp->sack_left = 0;
	tcp->sack_right = 0;
	p->flags |= PACKET_TCP | PACKET_TCP_OPTIONS;
}

/* Whether a segment has timestamps changes by turns in what a link carries:
 * where they could be read they are, and kept or not without a branch. */
FAST bool tcp_options_fast(const struct road *r, uint32_t header,
			   struct packet *p)
{
	const uint8_t *at = r->frame + r->transport;
	uint32_t kept, word;

	if (r->captured < r->transport + TIMESTAMP_HEADER) {
		if (header != TCP_HEADER_SIZE)
			return tcp_rest(at, header, p);
		tcp_fill(at, header, p);
		return true;
	}
	word = load_be32(at + TCP_HEADER_SIZE);
	kept = (word == TIMESTAMP_ALONE) & (header == TIMESTAMP_HEADER);
	if (!(kept | (header == TCP_HEADER_SIZE)))
		return tcp_rest(at, header, p);
	tcp_fill(at, header, p);
	p->tcp.timestamp = load_be32(at + 24) & -kept;
	p->tcp.timestamp_echo = load_be32(at + 28) & -kept;
	p->tcp.has_timestamp = (uint8_t)kept;
	return true;
}

FAST bool tcp_fast(const struct road *r, struct packet *p)
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
	return tcp_options_fast(r, header, p);
}

FAST bool udp_fast(const struct road *r, struct packet *p)
{
	const uint8_t *at = r->frame + r->transport;
	uint16_t port[2] = {load_be16(at), load_be16(at + 2)};
	uint32_t size = load_be16(at + 4);

	if (size < UDP_HEADER_SIZE || size > r->bytes ||
	    udp_tunnel_likely(port))
		return false;
	p->tcp_flags = 0;
	p->payload_offset = (uint16_t)(r->transport + UDP_HEADER_SIZE);
	p->payload_bytes = size - UDP_HEADER_SIZE;
	return true;
}

FAST bool transport_fast(const struct road *r, uint8_t protocol,
			 struct packet *p)
{
	const uint8_t *at = r->frame + r->transport;

	uint32_t ports = load_be32(at);

	p->tuple.port[0] = (uint16_t)(ports >> 16);
	p->tuple.port[1] = (uint16_t)ports;
	p->tuple.protocol = protocol;
	p->ip_offset = (uint16_t)r->ip;
	p->transport_offset = (uint16_t)r->transport;
	p->flags = r->size > r->captured ? PACKET_CUT : 0;
	if (protocol == PROTOCOL_TCP)
		return tcp_fast(r, p);
	return protocol == PROTOCOL_UDP && udp_fast(r, p);
}

FAST bool ip4_fast(struct road *r, struct packet *p)
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

FAST bool ip6_fast(struct road *r, struct packet *p)
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
FAST void frame_fill(const struct packet_input *input, const struct road *r,
		     uint16_t vlan, struct packet *p)
{
	p->tuple.vlan = vlan;
	p->tuple.vlan_outer = 0;
	p->tuple.interface = input->interface;
	p->tuple.network = 0;
	p->at = input->at;
	p->bytes = r->frame;
	p->captured_size = r->captured;
	p->frame_bytes = r->size;
	p->packets = 1;
	p->tunnel = TUNNEL_NONE;
	p->fragment_id = 0;
	p->fragment_offset = 0;
	p->icmp_type = 0;
	p->icmp_code = 0;
	p->mpls_labels = 0;
}

/* 'ip' is the offset of what has the ethertype before it. */
FAST bool road_fast(const struct packet_input *input, uint32_t ip,
		    uint16_t vlan, struct packet *p)
{
	struct road r = {
		.frame = input->bytes,
		.captured = input->captured_size,
		.size = input->size,
		.ip = ip,
	};
	uint16_t type = load_be16(r.frame + ip - 2);

	if (r.size < r.captured)
		r.size = r.captured;
	frame_fill(input, &r, vlan, p);
	if (type == TYPE_IP4)
		return ip4_fast(&r, p);
	return type == TYPE_IP6 && ip6_fast(&r, p);
}

static __attribute__((noinline)) bool
vlan_fast(const struct packet_input *input, struct packet *p)
{
	uint16_t tag = load_be16(input->bytes + ETHERNET_SIZE);

	return road_fast(input, ETHERNET_SIZE + VLAN_SIZE, tag & VLAN_VID_MASK,
			 p);
}

FAST bool frame_fast(const struct packet_input *input, struct packet *p)
{
	if (input->link_type != LINKTYPE_ETHERNET || input->gso_size ||
	    input->captured_size < FRAME_SIZE_MIN)
		return false;
	if (load_be16(input->bytes + ETHERNET_SIZE - 2) == TYPE_VLAN)
		return vlan_fast(input, p);
	return road_fast(input, ETHERNET_SIZE, 0, p);
}

bool packet_decode_fast(const struct packet_input *input,
			struct packet *ret_packet)
{
	return frame_fast(input, ret_packet);
}

enum verdict packet_decode(const struct packet_input *input,
			   struct packet *ret_packet)
{
	if (frame_fast(input, ret_packet))
		return VERDICT_OK;
	return packet_decode_general(input, ret_packet);
}
