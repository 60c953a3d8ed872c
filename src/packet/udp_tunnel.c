/* Tunnels in UDP: VXLAN (RFC 7348) with its group policy and generic protocol
 * extensions, Geneve (RFC 8926), GTP-U (3GPP TS 29.281), Teredo (RFC 4380).
 *
 * A port proves nothing: each header is checked as far as its standard lets
 * it be, IP sizes inside must fit, and what does not stays plain UDP.
 */
#include "packet/packet_private.h"

#define PORT_VXLAN_GPE 4790
#define SLOT(port)     [(port) % UDP_TUNNEL_SLOTS] = (port)

const uint16_t udp_tunnel_ports[UDP_TUNNEL_SLOTS] = {
	[0] = 1, /* else port 0 would be found */
	SLOT(PORT_GTPU),   SLOT(PORT_VXLAN),     SLOT(PORT_VXLAN_GPE),
	SLOT(PORT_GENEVE), SLOT(PORT_VXLAN_OLD), SLOT(PORT_TEREDO),
};

#define VXLAN_SIZE         8
#define VXLAN_VNI_VALID    0x08
#define VXLAN_POLICY       0x80 /* group policy: bytes 1 to 3 are used */
#define VXLAN_POLICY_FLAGS 0x48
#define GPE_FLAGS          0x0f /* I, P, B, O; the rest is version, reserved */
#define GPE_PROTOCOL       0x04

#define GENEVE_SIZE     8
#define GENEVE_RESERVED 0x3f

#define GTP_SIZE       8
#define GTP_FIXED_MASK 0xf8
#define GTP_FIXED      0x30 /* version 1, GTP (not GTP'), reserved bit 0 */
#define GTP_EXTENSION  0x04
#define GTP_OPTIONAL   0x07 /* any of extension, sequence, N-PDU number */
#define GTP_PDU        255

static bool vxlan_enter(struct walk *w, uint16_t *ret_type)
{
	const uint8_t *header;
	bool policy;

	if (!cursor_bytes(&w->c, VXLAN_SIZE, &header))
		return false;
	policy = header[0] & VXLAN_POLICY;
	if ((header[0] & ~VXLAN_POLICY) != VXLAN_VNI_VALID || header[7] != 0)
		return false;
	if (policy ? header[1] & ~VXLAN_POLICY_FLAGS : load_be24(header + 1))
		return false;
	w->tunnel = TUNNEL_VXLAN;
	w->network = load_be24(header + 4);
	*ret_type = TYPE_ETHERNET;
	return true;
}

/* draft-ietf-nvo3-vxlan-gpe-13 */
static bool vxlan_gpe_enter(struct walk *w, uint16_t *ret_type)
{
	static const uint16_t types[] = {TYPE_NONE,    TYPE_IP4,
					 TYPE_IP6,     TYPE_ETHERNET,
					 TYPE_SERVICE, TYPE_MPLS};
	const uint8_t *header;

	if (!cursor_bytes(&w->c, VXLAN_SIZE, &header))
		return false;
	if (header[0] & ~GPE_FLAGS || !(header[0] & VXLAN_VNI_VALID) ||
	    load_be16(header + 1) || header[7])
		return false;
	*ret_type = TYPE_ETHERNET;
	if (header[0] & GPE_PROTOCOL)
		*ret_type = header[3] < sizeof types / sizeof *types
				    ? types[header[3]]
				    : TYPE_NONE;
	w->tunnel = TUNNEL_VXLAN;
	w->network = load_be24(header + 4);
	return *ret_type != TYPE_NONE;
}

static bool geneve_enter(struct walk *w, uint16_t *ret_type)
{
	const uint8_t *header;

	if (!cursor_bytes(&w->c, GENEVE_SIZE, &header) ||
	    header[0] & 0xc0 || /* version */
	    header[1] & GENEVE_RESERVED || header[7] ||
	    !cursor_skip(&w->c, (size_t)(header[0] & 0x3f) * 4))
		return false;
	w->tunnel = TUNNEL_GENEVE;
	w->network = load_be24(header + 4);
	*ret_type = load_be16(header + 2);
	return true;
}

/* Extension headers: size in words of 4 bytes first, next type last. */
static bool gtp_extensions(struct cursor *c, uint8_t type)
{
	const uint8_t *rest;
	uint8_t words;

	while (type) {
		if (!cursor_u8(c, &words) || words == 0 ||
		    !cursor_bytes(c, words * 4U - 1, &rest))
			return false;
		type = rest[words * 4 - 2];
	}
	return true;
}

static bool gtp_enter(struct walk *w, uint16_t *ret_type)
{
	const uint8_t *header, *optional;
	uint32_t end;

	if (!cursor_bytes(&w->c, GTP_SIZE, &header) ||
	    (header[0] & GTP_FIXED_MASK) != GTP_FIXED || header[1] != GTP_PDU)
		return false;
	end = walk_offset(w) + load_be16(header + 2);
	if (end > w->wire)
		return false;
	walk_narrow(w, end);
	if (header[0] & GTP_OPTIONAL) {
		if (!cursor_bytes(&w->c, 4, &optional))
			return false;
		if (header[0] & GTP_EXTENSION &&
		    !gtp_extensions(&w->c, optional[3]))
			return false;
	}
	w->tunnel = TUNNEL_GTPU;
	*ret_type = TYPE_IP4;
	return true;
}

/* One end has a Teredo address (2001::/32), or a client and its server talk
 * from link-local addresses (RFC 4380 5.2). */
static bool teredo_plausible(const uint8_t *ip, size_t captured)
{
	return captured >= IP6_HEADER_SIZE && ip[0] >> 4 == 6 &&
	       (load_be32(ip + 8) == 0x20010000 ||
		load_be32(ip + 24) == 0x20010000 ||
		(load_be16(ip + 8) & 0xffc0) == 0xfe80);
}

static bool teredo_enter(struct walk *w, uint16_t *ret_type)
{
	struct cursor *c = &w->c;

	/* Authentication: sizes of client id and of value, both, a nonce of
	 * 8 bytes and one to confirm. */
	if (cursor_size(c) >= 4 && load_be16(c->at) == 1 &&
	    !cursor_skip(c, 13U + c->at[2] + c->at[3]))
		return false;
	/* Origin: port and address. */
	if (cursor_size(c) >= 2 && load_be16(c->at) == 0 && !cursor_skip(c, 8))
		return false;
	w->tunnel = TUNNEL_TEREDO;
	*ret_type = TYPE_IP6;
	return teredo_plausible(c->at, cursor_size(c));
}

bool udp_tunnel_enter(struct walk *w, const struct packet *p,
		      uint16_t *ret_type)
{
	const uint16_t *port = p->tuple.port;

	walk_skip(w, UDP_HEADER_SIZE);
	/* A super-frame's sizes do not fit their fields inside either. */
	w->strict = !(p->flags & PACKET_IP_SIZE_ZERO);
	switch (port[1]) {
	case PORT_VXLAN:
	case PORT_VXLAN_OLD:
		return vxlan_enter(w, ret_type);
	case PORT_VXLAN_GPE:
		return vxlan_gpe_enter(w, ret_type);
	case PORT_GENEVE:
		return geneve_enter(w, ret_type);
	case PORT_GTPU:
		return gtp_enter(w, ret_type);
	default:
		return teredo_enter(w, ret_type);
	}
}
