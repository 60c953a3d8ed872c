/* The straight road over tags, labels and one tunnel: 802.1Q and 802.1ad,
 * MPLS, PPPoE; GRE with NVGRE and ERSPAN, IP in IP, VXLAN, Geneve, GTP-U.
 *
 * What each header may be is said where the general walk reads it; here are
 * the same checks for the forms that are on the wire day by day.
 */
#include "packet/fast_private.h"

#define STEPS_MAX   8 /* tags and labels one after another */
#define MPLS_BOTTOM 0x0100

#define PPPOE_SIZE  8      /* with the PPP protocol */
#define PPPOE_START 0x1100 /* version, type, code */
#define PPP_IP4     0x0021
#define PPP_IP6     0x0057

#define GRE_CHECKSUM 0x8000
#define GRE_KEY      0x2000
#define GRE_SEQUENCE 0x1000
#define TYPE_ERSPAN  0x88be
#define ERSPAN2_SIZE 8

#define TUNNEL_HEADER 8 /* bytes of VXLAN's, Geneve's and GTP-U's header */

#define GENEVE_OPTIONS(word) ((uint32_t)((word) >> 56 & 0x3f) * 4)
#define GENEVE_TYPE(word)    ((uint16_t)((word) >> 32))
#define GENEVE_ZERO          UINT64_C(0xc03f0000000000ff)

#define VXLAN_MASK UINT64_C(0xffffffff000000ff)
#define VXLAN      UINT64_C(0x0800000000000000)

#define GTP_MASK           UINT64_C(0xf8ff000000000000)
#define GTP_PDU            UINT64_C(0x30ff000000000000)
#define GTP_BYTES(word)    ((uint32_t)((word) >> 32) & 0xffff)
#define GTP_OPTIONAL(word) ((word) >> 56 & 0x07)
#define GTP_EXTENSION      0x04

/* Whether the layer has 'size' bytes more, and they were captured. */
FAST bool room_is(const struct road *r, uint32_t at, uint32_t size)
{
	return at + size <= r->end;
}

FAST uint16_t version_type(const struct road *r)
{
	uint8_t version = room_is(r, r->ip, 1) ? r->frame[r->ip] >> 4 : 0;

	if (version == 4)
		return TYPE_IP4;
	return version == 6 ? TYPE_IP6 : TYPE_NONE;
}

FAST uint16_t vlan_fast(struct road *r)
{
	const uint8_t *at = r->frame + r->ip;
	uint16_t tag;

	if (!room_is(r, r->ip, 4))
		return TYPE_NONE;
	tag = load_be16(at) & VLAN_VID_MASK;
	if (tag && r->vlan && !r->vlan_outer)
		r->vlan_outer = r->vlan;
	if (tag)
		r->vlan = tag;
	r->ip += 4;
	return load_be16(at + 2);
}

/* Under the last label: IP.  Its version does not prove that, but its sizes
 * do, and they are checked in the next step. */
FAST uint16_t mpls_fast(struct road *r)
{
	uint32_t label;

	if (!room_is(r, r->ip, 4))
		return TYPE_NONE;
	label = load_be32(r->frame + r->ip);
	r->ip += 4;
	r->mpls_labels += r->tunnel == TUNNEL_NONE;
	return label & MPLS_BOTTOM ? version_type(r) : TYPE_MPLS;
}

FAST uint16_t pppoe_fast(struct road *r)
{
	const uint8_t *at = r->frame + r->ip;
	uint32_t wire;

	if (!room_is(r, r->ip, PPPOE_SIZE) || load_be16(at) != PPPOE_START)
		return TYPE_NONE;
	wire = r->ip + PPPOE_SIZE - 2 + load_be16(at + 4);
	if (wire < r->wire)
		road_narrow(r, wire);
	r->ip += PPPOE_SIZE;
	if (load_be16(at + 6) == PPP_IP4)
		return TYPE_IP4;
	return load_be16(at + 6) == PPP_IP6 ? TYPE_IP6 : TYPE_NONE;
}

/* From an ethertype to that of IP, or to one that is not for this road. */
FAST uint16_t type_fast(struct road *r, uint16_t type)
{
	for (int i = 0; i < STEPS_MAX; i++) {
		if (type == TYPE_IP4 || type == TYPE_IP6)
			return type;
		if (type == TYPE_VLAN || type == TYPE_VLAN_SERVICE ||
		    type == TYPE_VLAN_OLD)
			type = vlan_fast(r);
		else if (type == TYPE_MPLS)
			type = mpls_fast(r);
		else if (type == TYPE_PPPOE_SESSION)
			type = pppoe_fast(r);
		else
			break;
	}
	return TYPE_NONE;
}

/* The Ethernet header at r->ip and what follows it. */
FAST uint16_t ethernet_fast(struct road *r)
{
	uint16_t type;

	if (!room_is(r, r->ip, ETHERNET_SIZE))
		return TYPE_NONE;
	type = load_be16(r->frame + r->ip + ETHERNET_SIZE - 2);
	r->ip += ETHERNET_SIZE;
	return type_fast(r, type);
}

FAST uint16_t erspan_fast(struct road *r, uint16_t flags)
{
	r->tunnel = TUNNEL_ERSPAN;
	if (flags & GRE_SEQUENCE) {
		if (!room_is(r, r->ip, ERSPAN2_SIZE) ||
		    r->frame[r->ip] >> 4 != 1)
			return TYPE_NONE;
		r->ip += ERSPAN2_SIZE;
	}
	return TYPE_ETHERNET;
}

/* Checksum, key and sequence number, of 4 bytes each, as the flags say. */
FAST uint16_t gre_fast(struct road *r)
{
	const uint8_t *at = r->frame + r->ip;
	uint16_t flags = load_be16(at), type = load_be16(at + 2);
	uint32_t size = 4, key = 4;

	if (flags & ~(GRE_CHECKSUM | GRE_KEY | GRE_SEQUENCE))
		return TYPE_NONE;
	key += flags & GRE_CHECKSUM ? 4 : 0;
	size += 4U * (uint32_t)__builtin_popcount(flags);
	if (!room_is(r, r->ip, size))
		return TYPE_NONE;
	r->ip += size;
	if (type == TYPE_ERSPAN)
		return erspan_fast(r, flags);
	r->tunnel = TUNNEL_GRE;
	if (type == TYPE_ETHERNET && flags == GRE_KEY) {
		r->tunnel = TUNNEL_NVGRE;
		r->network = load_be32(at + key) >> 8;
	}
	return type;
}

FAST uint16_t vxlan_fast(struct road *r, uint64_t word)
{
	r->tunnel = TUNNEL_VXLAN;
	r->network = word >> 8 & 0xffffff;
	return (word & VXLAN_MASK) == VXLAN ? TYPE_ETHERNET : TYPE_NONE;
}

FAST uint16_t geneve_fast(struct road *r, uint64_t word)
{
	r->tunnel = TUNNEL_GENEVE;
	r->network = word >> 8 & 0xffffff;
	r->ip += GENEVE_OPTIONS(word);
	return word & GENEVE_ZERO || r->ip > r->end ? TYPE_NONE
						    : GENEVE_TYPE(word);
}

/* Four bytes if any of them is used, and one extension header at most. */
FAST bool gtp_optional_fast(struct road *r, uint64_t word)
{
	const uint8_t *at = r->frame + r->ip;
	uint32_t size;

	if (!GTP_OPTIONAL(word))
		return true;
	if (!room_is(r, r->ip, 4))
		return false;
	r->ip += 4;
	if (!(GTP_OPTIONAL(word) & GTP_EXTENSION) || at[3] == 0)
		return true;
	if (!room_is(r, r->ip, 4))
		return false;
	size = at[4] * 4U;
	if (size == 0 || !room_is(r, r->ip, size) || at[4 + size - 1] != 0)
		return false;
	r->ip += size;
	return true;
}

FAST uint16_t gtp_fast(struct road *r, uint64_t word)
{
	uint32_t wire = r->ip + GTP_BYTES(word);

	r->tunnel = TUNNEL_GTPU;
	if ((word & GTP_MASK) != GTP_PDU || wire > r->wire)
		return TYPE_NONE;
	road_narrow(r, wire);
	return gtp_optional_fast(r, word) ? version_type(r) : TYPE_NONE;
}

FAST uint16_t udp_tunnel_fast(struct road *r)
{
	const uint8_t *at = r->frame + r->ip;
	uint32_t size = load_be16(at + 4);
	uint64_t word;

	if (size > r->wire - r->ip)
		return TYPE_NONE;
	road_narrow(r, r->ip + size);
	if (!room_is(r, r->ip, UDP_HEADER_SIZE + TUNNEL_HEADER))
		return TYPE_NONE;
	word = load_be64(at + UDP_HEADER_SIZE);
	r->ip += UDP_HEADER_SIZE + TUNNEL_HEADER;
	switch (load_be16(at + 2)) {
	case PORT_VXLAN:
	case PORT_VXLAN_OLD:
		return vxlan_fast(r, word);
	case PORT_GENEVE:
		return geneve_fast(r, word);
	case PORT_GTPU:
		return gtp_fast(r, word);
	default:
		return TYPE_NONE;
	}
}

FAST uint16_t ip_tunnel_fast(struct road *r, const struct layer *l)
{
	bool inside4 = l->protocol == PROTOCOL_IP4;

	if (l->ip_version == 4)
		r->tunnel = inside4 ? TUNNEL_IPIP : TUNNEL_6IN4;
	else
		r->tunnel = inside4 ? TUNNEL_4IN6 : TUNNEL_6IN6;
	return inside4 ? TYPE_IP4 : TYPE_IP6;
}

/* From the tunnel's packet to the header inside; returns what that is. */
FAST uint16_t inside_fast(struct road *r, const struct layer *l)
{
	uint16_t type;

	r->ip = l->transport;
	switch (l->protocol) {
	case PROTOCOL_UDP:
		type = udp_tunnel_fast(r);
		break;
	case PROTOCOL_GRE:
		type = gre_fast(r);
		break;
	default:
		type = ip_tunnel_fast(r, l);
		break;
	}
	r->network |= (uint32_t)r->tunnel << 24;
	return type == TYPE_ETHERNET ? ethernet_fast(r) : type_fast(r, type);
}

FAST bool tunnel_is(const struct road *r, const struct layer *l)
{
	uint16_t port[2] = {load_be16(r->frame + l->transport),
			    load_be16(r->frame + l->transport + 2)};

	return l->protocol == PROTOCOL_GRE || l->protocol == PROTOCOL_IP4 ||
	       l->protocol == PROTOCOL_IP6 ||
	       (l->protocol == PROTOCOL_UDP && udp_tunnel_likely(port));
}

FAST bool frame_fast(const struct packet_input *input, struct packet *p)
{
	struct road r = road_begin(input, 0);
	struct layer l;
	uint16_t type;

	if (input->link_type != LINKTYPE_ETHERNET ||
	    !ip_fast(&r, ethernet_fast(&r), p, &l))
		return false;
	if (tunnel_is(&r, &l)) {
		memcpy(p->outer_address, p->tuple.address,
		       sizeof p->outer_address);
		r.outer_ip_version = l.ip_version;
		type = inside_fast(&r, &l);
		if (!ip_fast(&r, type, p, &l) || tunnel_is(&r, &l))
			return false;
	}
	return transport_fast(input, &r, &l, p);
}

FAST bool super_fast(const struct packet_input *input, struct packet *p)
{
	if (!frame_fast(input, p))
		return false;
	if (input->gso_size)
		segments_count(p, input->gso_size, p->payload_offset);
	return true;
}

bool tunnel_fast(const struct packet_input *input, struct packet *p)
{
	return super_fast(input, p);
}

enum verdict tunnel_decode(const struct packet_input *input, struct packet *p)
{
	if (super_fast(input, p))
		return VERDICT_OK;
	return packet_decode_general(input, p);
}
