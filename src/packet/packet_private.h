/* What the files of this room share.
 *
 * A walk is where the decoder stands in a frame.  Two ends bound it: 'c.end',
 * one past the last byte that was captured and belongs to the layer, and
 * 'wire', where the layer ends on the wire as the headers around it say.
 * Bytes are read up to the first; sizes are counted up to the second.
 *
 * Threads: pure.
 */
#ifndef PACKET_PRIVATE_H
#define PACKET_PRIVATE_H

#include "packet/packet.h"

#define IP4_HEADER_SIZE 20
#define IP6_HEADER_SIZE 40
#define UDP_HEADER_SIZE 8
#define TCP_HEADER_SIZE 20 /* without options */

#define LINKTYPE_ETHERNET 1

/* IANA protocol numbers. */
#define PROTOCOL_HOP_BY_HOP  0
#define PROTOCOL_ICMP        1
#define PROTOCOL_IP4         4
#define PROTOCOL_TCP         6
#define PROTOCOL_UDP         17
#define PROTOCOL_DCCP        33
#define PROTOCOL_IP6         41
#define PROTOCOL_ROUTING     43
#define PROTOCOL_FRAGMENT    44
#define PROTOCOL_GRE         47
#define PROTOCOL_AH          51
#define PROTOCOL_ICMP6       58
#define PROTOCOL_NONE        59
#define PROTOCOL_DESTINATION 60
#define PROTOCOL_SCTP        132
#define PROTOCOL_MOBILITY    135
#define PROTOCOL_UDPLITE     136
#define PROTOCOL_HIP         139
#define PROTOCOL_SHIM6       140

/* Ethertypes.  GRE and Geneve use them for Ethernet and PPP as well, and
 * what else can follow is mapped to one: the walk knows no other types. */
#define TYPE_IP4            0x0800
#define TYPE_ARP            0x0806
#define TYPE_ETHERNET       0x6558
#define TYPE_RARP           0x8035
#define TYPE_VLAN           0x8100
#define TYPE_IP6            0x86dd
#define TYPE_MPLS           0x8847
#define TYPE_MPLS_MULTICAST 0x8848
#define TYPE_PPPOE_SESSION  0x8864
#define TYPE_LLC            0x8870 /* "jumbo" 802.3: LLC follows at once */
#define TYPE_PPP            0x880b
#define TYPE_VLAN_SERVICE   0x88a8
#define TYPE_BACKBONE       0x88e7
#define TYPE_FABRIC         0x8903 /* Cisco FabricPath */
#define TYPE_SERVICE        0x894f /* network service header */
#define TYPE_VLAN_OLD       0x9100
#define TYPE_NONE           0      /* nothing that is decoded here */
#define TYPE_MIN            0x0600 /* below it is a length, IEEE 802.3 3.2.6 */

struct walk {
	struct cursor c;      /* what was captured, from the next header on */
	const uint8_t *frame; /* its first byte */
	uint32_t wire;        /* offset in the frame; never below c.end */
	uint32_t transport;   /* offset of the transport header, and */
	uint32_t
		payload; /* of its payload, by the headers: perhaps not there */
	uint32_t network; /* as in the tuple */
	uint16_t vlan;
	uint16_t vlan_outer;
	uint16_t interface;
	uint8_t mpls_labels;
	uint8_t tunnel; /* enum tunnel */
	uint8_t depth;  /* headers walked, up to PACKET_DEPTH_MAX */
	bool strict;    /* IP sizes must fit exactly what is around them */
};

static inline uint32_t walk_offset(const struct walk *w)
{
	return (uint32_t)(w->c.at - w->frame);
}

/* The layer ends at offset 'wire' or where the one around it ends. */
static inline void walk_narrow(struct walk *w, uint32_t wire)
{
	if (wire < w->wire)
		w->wire = wire;
	if ((size_t)(w->c.end - w->frame) > w->wire)
		w->c.end = w->frame + w->wire;
	if (w->c.at > w->c.end)
		w->c.at = w->c.end;
}

/* Skips 'size' bytes, or what of them was captured. */
static inline void walk_skip(struct walk *w, size_t size)
{
	if (!cursor_skip(&w->c, size))
		w->c.at = w->c.end;
}

/* An offset for struct packet: within what was captured. */
static inline uint16_t walk_clip(uint32_t offset, uint32_t captured_size)
{
	if (offset > captured_size)
		offset = captured_size;
	return offset > UINT16_MAX ? UINT16_MAX : (uint16_t)offset;
}

/* link.c: moves past the header that every frame of the link type has. */
enum verdict link_enter(struct walk *w, uint16_t link_type, uint16_t *ret_type);

/* ethertype.c: moves to the IP header that something of 'type' leads to. */
enum verdict ethertype_walk(struct walk *w, uint16_t type);

/* ip.c: reads the IP header at the walk with what extends it.  The walk ends
 * up at the transport header and within the IP packet. */
enum verdict ip_decode(struct walk *w, struct packet *p);

/* ip6_extension.c: moves over extension headers from protocol number
 * p->tuple.protocol on, to the last one's. */
enum verdict ip6_extensions(struct walk *w, struct packet *p);

/* ip6_extension.c: the Jumbo Payload option of the hop-by-hop header at 'c'
 * (RFC 2675), or 0. */
uint32_t ip6_jumbo_size(struct cursor c);

/* transport.c: reads the transport header at the walk, without moving. */
enum verdict transport_decode(struct walk *w, struct packet *p);

/* tcp.c: fills p->tcp from a TCP header of which at least 20 bytes are at
 * 'at', and 'captured' bytes altogether. */
void tcp_decode(const uint8_t *at, size_t captured, struct packet *p);

/* tunnel.c, gre.c, udp_tunnel.c: whether 'p', at whose transport header the
 * walk is, carries another packet.  If so the walk moves to it, in a layer of
 * *ret_type.  If not the walk is spent. */
bool tunnel_enter(struct walk *w, const struct packet *p, uint16_t *ret_type);
bool gre_enter(struct walk *w, uint16_t *ret_type);
bool udp_tunnel_enter(struct walk *w, const struct packet *p,
		      uint16_t *ret_type);

#define PORT_GTPU      2152
#define PORT_VXLAN     4789
#define PORT_GENEVE    6081
#define PORT_VXLAN_OLD 8472 /* Linux's default */

/* Ports that lead to udp_tunnel_enter(): slot 'port & 127' holds the port. */
#define UDP_TUNNEL_SLOTS 128
extern const uint16_t udp_tunnel_ports[UDP_TUNNEL_SLOTS];
#define PORT_TEREDO 3544 /* either way; the others as a destination only */

static inline bool udp_tunnel_likely(const uint16_t port[2])
{
	return udp_tunnel_ports[port[1] % UDP_TUNNEL_SLOTS] == port[1] ||
	       port[0] == PORT_TEREDO;
}

/* fast.c: decodes the frames that are most of all traffic, or returns false
 * and leaves *ret_packet undefined.  What it decodes is exactly what
 * packet_decode_general() makes of it. */
bool packet_decode_fast(const struct packet_input *input,
			struct packet *ret_packet);

/* decode.c: counts the segments of a super-frame: each on the wire has all
 * headers up to 'payload', an offset in the frame. */
void segments_count(struct packet *p, uint32_t gso_size, uint32_t payload);

/* decode.c: any frame. */
enum verdict packet_decode_general(const struct packet_input *input,
				   struct packet *ret_packet);

#endif
