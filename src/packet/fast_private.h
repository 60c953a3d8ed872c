/* The straight road's parts: headers of the common kind, whole and captured.
 *
 * A header is read in words at places that one check of the size covers, and
 * what it says is written in words as well: struct packet has its fields in
 * that order.  A part that meets what is odd in the least returns false, and
 * the general walk decodes the frame from its start.
 *
 * Everything is inlined: on the shortest road offsets are constants.
 *
 * Threads: pure.
 */
#ifndef FAST_PRIVATE_H
#define FAST_PRIVATE_H

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "packet/packet_private.h"

#define FAST static inline __attribute__((always_inline))

#define ETHERNET_SIZE    14
#define VLAN_VID_MASK    0x0fff
#define IP4_UDP_SIZE     (IP4_HEADER_SIZE + UDP_HEADER_SIZE)
#define IP6_UDP_SIZE     (IP6_HEADER_SIZE + UDP_HEADER_SIZE)
#define TIMESTAMP_ALONE  0x0101080a /* two NOPs, kind 8, size 10 */
#define TIMESTAMP_HEADER 32         /* bytes, with them */

/* The first 8 bytes of an IPv4 header: no options, no fragment. */
#define IP4_PLAIN_MASK UINT64_C(0xff00000000003fff)
#define IP4_PLAIN      UINT64_C(0x4500000000000000)

/* A frame, and where in it the road has come to. */
struct road {
	const uint8_t *frame;
	uint32_t captured; /* bytes of the frame */
	uint32_t size;     /* of it on the wire */
	uint32_t ip;       /* offset of the layer's header */
	uint32_t end;      /* where the layer ends: what was captured of it */
	uint32_t wire;     /* and on the wire, never before 'end' */
	uint32_t network;  /* as in the tuple */
	uint16_t interface;
	uint16_t vlan;
	uint16_t vlan_outer;
	uint8_t tunnel;
	uint8_t mpls_labels;
	uint8_t outer_ip_version;
};

/* What an IP header and the transport's say. */
struct layer {
	uint32_t transport; /* offset */
	uint32_t header;    /* bytes of the transport header */
	uint32_t payload;   /* bytes behind it */
	uint8_t protocol;
	uint8_t ip_version;
};

/* Fields that are neighbours in memory, as one value. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define JOIN(first, second, bits) \
	((uint64_t)(first) | (uint64_t)(second) << (bits))
#else
#define JOIN(first, second, bits) \
	((uint64_t)(second) | (uint64_t)(first) << (bits))
#endif
#define JOIN8(first, second)  ((uint16_t)JOIN(first, second, 8))
#define JOIN16(first, second) ((uint32_t)JOIN(first, second, 16))
#define JOIN32(first, second) JOIN((uint32_t)(first), (uint32_t)(second), 32)

/* Writes the fields from 'first' to 'last' at once. */
#define PUT(p, first, last, word)                                              \
	do {                                                                   \
		uint64_t put_ = (word);                                        \
                                                                               \
		static_assert(offsetof(struct packet, first) + sizeof put_ ==  \
				      offsetof(struct packet, last) +          \
					      sizeof(p)->last,                 \
			      "a word");                                       \
		memcpy((uint8_t *)(p) + offsetof(struct packet, first), &put_, \
		       sizeof put_);                                           \
	} while (0)

/* The four bytes at 'from', then zeros. */
FAST void address4_put(uint8_t to[16], const uint8_t *from)
{
#ifdef __SSE2__
	int word;

	memcpy(&word, from, sizeof word);
	_mm_storeu_si128((__m128i *)(void *)to, _mm_cvtsi32_si128(word));
#else
	memset(to, 0, 16);
	memcpy(to, from, 4);
#endif
}

FAST void road_narrow(struct road *r, uint32_t wire)
{
	r->wire = wire;
	if (r->end > wire)
		r->end = wire;
}

FAST bool ip4_fast(struct road *r, struct packet *p, struct layer *l)
{
	const uint8_t *at = r->frame + r->ip;
	uint64_t word;
	uint32_t total;

	if (r->end < r->ip + IP4_UDP_SIZE)
		return false;
	word = load_be64(at);
	total = word >> 32 & 0xffff;
	if ((word & IP4_PLAIN_MASK) != IP4_PLAIN ||
	    total - IP4_UDP_SIZE > r->wire - r->ip - IP4_UDP_SIZE)
		return false;
	address4_put(p->tuple.address[0], at + 12);
	address4_put(p->tuple.address[1], at + 16);
	l->ip_version = 4;
	l->protocol = at[9];
	l->transport = r->ip + IP4_HEADER_SIZE;
	road_narrow(r, r->ip + total);
	return true;
}

FAST bool ip6_fast(struct road *r, struct packet *p, struct layer *l)
{
	const uint8_t *at = r->frame + r->ip;
	uint64_t word;
	uint32_t total;

	if (r->end < r->ip + IP6_UDP_SIZE)
		return false;
	word = load_be64(at);
	total = IP6_HEADER_SIZE + (word >> 16 & 0xffff);
	if (word >> 60 != 6 ||
	    total - IP6_UDP_SIZE > r->wire - r->ip - IP6_UDP_SIZE)
		return false;
	memcpy(p->tuple.address, at + 8, sizeof p->tuple.address);
	l->ip_version = 6;
	l->protocol = at[6];
	l->transport = r->ip + IP6_HEADER_SIZE;
	road_narrow(r, r->ip + total);
	return true;
}

FAST bool ip_fast(struct road *r, uint16_t type, struct packet *p,
		  struct layer *l)
{
	if (type == TYPE_IP4)
		return ip4_fast(r, p, l);
	return type == TYPE_IP6 && ip6_fast(r, p, l);
}

/* What the transport does not change. */
FAST void frame_put(const struct packet_input *input, const struct road *r,
		    struct packet *p)
{
	uint16_t labels = JOIN8(r->mpls_labels, r->outer_ip_version);

	PUT(p, tuple.vlan_outer, tuple.network,
	    JOIN32(JOIN16(r->vlan_outer, r->interface), r->network));
	p->at = input->at;
	p->bytes = r->frame;
	PUT(p, frame_bytes, ip_bytes, JOIN32(r->size, r->wire - r->ip));
	PUT(p, fragment_id, icmp_code, 0);
	PUT(p, mpls_labels, pad, JOIN32(JOIN16(labels, 0), 0));
}

FAST uint16_t ttl_tos(const struct road *r, const struct layer *l)
{
	const uint8_t *at = r->frame + r->ip;
	uint64_t word;

	if (l->ip_version == 4)
		return JOIN8(at[8], at[1]);
	word = load_be64(at);
	return JOIN8(word & 0xff, word >> 52 & 0xff);
}

/* The rest, with the TCP header's flags byte (else 0). */
FAST void packet_put(const struct road *r, const struct layer *l,
		     uint8_t tcp_flags, struct packet *p)
{
	uint32_t ports = load_be32(r->frame + l->transport);
	uint16_t protocol = JOIN8(l->protocol, l->ip_version);
	uint32_t flags = (r->size > r->captured) * (unsigned)PACKET_CUT;

	if (l->protocol == PROTOCOL_TCP)
		flags |= PACKET_TCP | PACKET_TCP_OPTIONS;
	PUT(p, captured_size, tunnel,
	    JOIN32(r->captured, JOIN16(flags, JOIN8(tcp_flags, r->tunnel))));
	PUT(p, payload_bytes, packets, JOIN32(l->payload, 1));
	PUT(p, tuple.port, tuple.vlan,
	    JOIN32(JOIN16(ports >> 16, ports & 0xffff),
		   JOIN16(protocol, r->vlan)));
	PUT(p, ip_offset, tos,
	    JOIN32(JOIN16(r->ip, l->transport),
		   JOIN16(l->transport + l->header, ttl_tos(r, l))));
}

/* 'kept' is 1 if timestamps are at 'option', else 0. */
FAST void tcp_put(const uint8_t *at, const uint8_t *option, uint32_t kept,
		  struct packet *p)
{
	uint64_t numbers = load_be64(at + 4);
	uint64_t times = load_be64(option + 4) & (0 - (uint64_t)kept);
	uint16_t header = JOIN8(0, (at[12] >> 4) * 4);

	PUT(p, tcp.sequence, tcp.acknowledgment,
	    JOIN32(numbers >> 32, numbers));
	PUT(p, tcp.window, tcp.header_size,
	    JOIN32(JOIN16(load_be16(at + 14), 0), JOIN16(0, header)));
	PUT(p, tcp.timestamp, tcp.timestamp_echo, JOIN32(times >> 32, times));
	PUT(p, tcp.has_timestamp, tcp.sack_left,
	    JOIN32(JOIN16(JOIN8(kept, 0), 0), 0));
	PUT(p, tcp.sack_right, tcp_pad, 0);
}

/* Bytes of the TCP header; 0: it is not all there, or shorter than can be. */
FAST uint32_t tcp_header(const struct road *r, const struct layer *l)
{
	uint32_t room = r->end - l->transport, size;

	if (room < TCP_HEADER_SIZE)
		return 0;
	size = (r->frame[l->transport + 12] >> 4) * 4U;
	return size - TCP_HEADER_SIZE > room - TCP_HEADER_SIZE ? 0 : size;
}

/* Options that are not timestamps alone, as at a connection's start. */
static __attribute__((noinline)) bool
tcp_rest(const uint8_t *at, uint32_t header, struct packet *p)
{
	p->flags &= (uint16_t)~PACKET_TCP_OPTIONS;
	tcp_decode(at, header, p);
	return true;
}

/* Whether a segment has timestamps changes by turns in what a link carries:
 * they are read and kept, or something is read and dropped, without a
 * branch. */
FAST bool tcp_fast(const struct road *r, struct layer *l, struct packet *p)
{
	const uint8_t *at = r->frame + l->transport, *option;
	uint32_t stamped, kept;

	l->header = tcp_header(r, l);
	if (l->header == 0)
		return false;
	l->payload = r->wire - l->transport - l->header;
	packet_put(r, l, at[13], p);
	stamped = l->header == TIMESTAMP_HEADER;
	option = at + (size_t)stamped * TCP_HEADER_SIZE;
	kept = stamped & (load_be32(option) == TIMESTAMP_ALONE);
	if ((l->header - TCP_HEADER_SIZE) & (kept - 1))
		return tcp_rest(at, l->header, p);
	tcp_put(at, option, kept, p);
	return true;
}

/* A datagram that is no tunnel, and its length. */
FAST bool udp_plain(const struct road *r, const struct layer *l,
		    uint32_t *ret_size)
{
	const uint8_t *at = r->frame + l->transport;
	uint16_t port[2] = {load_be16(at), load_be16(at + 2)};
	uint32_t bytes = r->wire - l->transport;

	*ret_size = load_be16(at + 4);
	return *ret_size - UDP_HEADER_SIZE <= bytes - UDP_HEADER_SIZE &&
	       !udp_tunnel_likely(port);
}

FAST bool udp_fast(const struct road *r, struct layer *l, struct packet *p)
{
	uint32_t size;

	if (!udp_plain(r, l, &size))
		return false;
	l->header = UDP_HEADER_SIZE;
	l->payload = size - UDP_HEADER_SIZE;
	packet_put(r, l, 0, p);
	return true;
}

FAST bool transport_fast(const struct packet_input *input, const struct road *r,
			 struct layer *l, struct packet *p)
{
	frame_put(input, r, p);
	if (l->protocol == PROTOCOL_TCP)
		return tcp_fast(r, l, p);
	return l->protocol == PROTOCOL_UDP && udp_fast(r, l, p);
}

/* The road of a frame whose IP header is at 'ip'. */
FAST struct road road_begin(const struct packet_input *input, uint32_t ip)
{
	struct road r = {
		.frame = input->bytes,
		.captured = input->captured_size,
		.end = input->captured_size,
		.size = input->size,
		.interface = input->interface,
		.ip = ip,
	};

	if (r.size < r.captured)
		r.size = r.captured;
	r.wire = r.size;
	return r;
}

/* fast_tunnel.c: the same over tags, labels and tunnels. */
bool tunnel_fast(const struct packet_input *input, struct packet *p);

/* fast_tunnel.c: what has to go by that road, or by the general walk. */
enum verdict tunnel_decode(const struct packet_input *input, struct packet *p);

#endif
