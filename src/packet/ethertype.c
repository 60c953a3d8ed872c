/* From an ethertype to an IP header, over tags and labels.
 *
 * Ethernet and lengths: IEEE 802.3; LLC and SNAP: IEEE 802.2, RFC 1042; tags:
 * IEEE 802.1Q, 802.1ad, 802.1ah; MPLS: RFC 3032, pseudowires RFC 4385 and
 * RFC 4448; PPPoE: RFC 2516; PPP: RFC 1661.
 */
#include "packet/packet_private.h"

#define ETHERNET_HEADER_SIZE 14
#define LENGTH_MAX           1500
#define VLAN_VID_MASK        0x0fff
#define SERVICE_SIZE_MIN     8
#define SAP_SNAP             0xaa
#define SAP_IP               0x06
#define LLC_UNNUMBERED       0x03
#define OUI_ETHERTYPE        0x000000
#define OUI_BRIDGED          0x0000f8 /* IEEE 802.1H */
#define MPLS_BOTTOM          0x0100
#define PPPOE_VERSION        0x11
#define PPP_ADDRESS          0xff03 /* and control */
#define PPP_IP4              0x0021
#define PPP_IP6              0x0057
#define PPP_MPLS             0x0281
#define PPP_MPLS_MULTICAST   0x0283

static enum verdict ethernet_step(struct walk *w, uint16_t *type)
{
	const uint8_t *header;

	if (!cursor_bytes(&w->c, ETHERNET_HEADER_SIZE, &header))
		return VERDICT_LINK_TRUNCATED;
	*type = load_be16(header + 12);
	if (*type >= TYPE_MIN)
		return VERDICT_OK;
	if (*type > 0 && *type <= LENGTH_MAX)
		walk_narrow(w, walk_offset(w) + *type);
	*type = TYPE_LLC;
	return VERDICT_OK;
}

/* A priority tag (VID 0) names no VLAN. */
static enum verdict vlan_step(struct walk *w, uint16_t *type)
{
	const uint8_t *header;
	uint16_t tag;

	if (!cursor_bytes(&w->c, 4, &header))
		return VERDICT_LINK_TRUNCATED;
	tag = load_be16(header) & VLAN_VID_MASK;
	*type = load_be16(header + 2);
	if (tag) {
		if (w->vlan && !w->vlan_outer)
			w->vlan_outer = w->vlan;
		w->vlan = tag;
	}
	if (*type < TYPE_MIN)
		*type = TYPE_LLC;
	return VERDICT_OK;
}

static enum verdict llc_step(struct walk *w, uint16_t *type)
{
	const uint8_t *at = w->c.at;

	if (cursor_size(&w->c) < 3)
		return VERDICT_LINK_TRUNCATED;
	if (at[0] == SAP_IP && at[1] == SAP_IP && at[2] == LLC_UNNUMBERED) {
		walk_skip(w, 3);
		*type = TYPE_IP4;
		return VERDICT_OK;
	}
	if (at[0] != SAP_SNAP || at[1] != SAP_SNAP || at[2] != LLC_UNNUMBERED)
		return VERDICT_LLC;
	if (cursor_size(&w->c) < 8)
		return VERDICT_LINK_TRUNCATED;
	*type = load_be16(at + 6);
	if ((load_be24(at + 3) != OUI_ETHERTYPE &&
	     load_be24(at + 3) != OUI_BRIDGED) ||
	    *type < TYPE_MIN)
		return VERDICT_LLC;
	walk_skip(w, 8);
	return VERDICT_OK;
}

/* Whether an Ethernet header that leads somewhere is at 'at'. */
static bool ethernet_plausible(const uint8_t *at, const uint8_t *end)
{
	uint8_t version;

	if (end - at <= ETHERNET_HEADER_SIZE)
		return false;
	version = at[ETHERNET_HEADER_SIZE] >> 4;
	switch (load_be16(at + 12)) {
	case TYPE_IP4:
		return version == 4;
	case TYPE_IP6:
		return version == 6;
	case TYPE_ARP:
	case TYPE_VLAN:
	case TYPE_VLAN_SERVICE:
	case TYPE_VLAN_OLD:
	case TYPE_MPLS:
	case TYPE_PPPOE_SESSION:
		return true;
	default:
		return false;
	}
}

/* Whether the sizes of an IP header at 'at' fit into 'room' bytes. */
static bool ip_plausible(const struct cursor *c, uint32_t room)
{
	const uint8_t *at = c->at;

	if (cursor_size(c) < IP4_HEADER_SIZE)
		return false;
	if (at[0] >> 4 == 6)
		return load_be16(at + 4) + (uint32_t)IP6_HEADER_SIZE <= room;
	return at[0] >> 4 == 4 && (at[0] & 0x0f) >= 5 &&
	       load_be16(at + 2) >= IP4_HEADER_SIZE &&
	       load_be16(at + 2) <= room;
}

/* Nothing says what is under a label stack: IP by its version (RFC 4928), else
 * Ethernet, else Ethernet behind a control word, which begins with 0.  In this
 * order, as a tagged frame always looks like one with a control word, too. */
static enum verdict pseudowire_step(struct walk *w, uint16_t *type)
{
	const uint8_t *at = w->c.at;

	if (at == w->c.end)
		return VERDICT_LINK_TRUNCATED;
	*type = TYPE_ETHERNET;
	if (ip_plausible(&w->c, w->wire - walk_offset(w))) {
		*type = TYPE_IP4;
		return VERDICT_OK;
	}
	if (ethernet_plausible(at, w->c.end))
		return VERDICT_OK;
	if (at[0] >> 4 == 4 || at[0] >> 4 == 6) {
		*type = TYPE_IP4;
		return VERDICT_OK;
	}
	if (at[0] >> 4 != 0 || cursor_size(&w->c) <= 4 ||
	    !ethernet_plausible(at + 4, w->c.end))
		return VERDICT_NOT_IP;
	walk_skip(w, 4);
	return VERDICT_OK;
}

/* One label. */
static enum verdict mpls_step(struct walk *w, uint16_t *type)
{
	uint32_t label;

	if (!cursor_u32(&w->c, &label))
		return VERDICT_LINK_TRUNCATED;
	if (w->tunnel == TUNNEL_NONE)
		w->mpls_labels++;
	return label & MPLS_BOTTOM ? pseudowire_step(w, type) : VERDICT_OK;
}

static enum verdict pppoe_step(struct walk *w, uint16_t *type)
{
	const uint8_t *header;

	if (!cursor_bytes(&w->c, 6, &header))
		return VERDICT_LINK_TRUNCATED;
	if (header[0] != PPPOE_VERSION || header[1] != 0)
		return VERDICT_NOT_IP;
	walk_narrow(w, walk_offset(w) + load_be16(header + 4));
	*type = TYPE_PPP;
	return VERDICT_OK;
}

static uint16_t ppp_type(uint16_t protocol)
{
	switch (protocol) {
	case PPP_IP4:
		return TYPE_IP4;
	case PPP_IP6:
		return TYPE_IP6;
	case PPP_MPLS:
		return TYPE_MPLS;
	case PPP_MPLS_MULTICAST:
		return TYPE_MPLS_MULTICAST;
	default:
		return TYPE_NONE;
	}
}

/* Address and control may have been left out, and the protocol's first byte
 * if it is 0 (RFC 1661 6.5, 6.6). */
static enum verdict ppp_step(struct walk *w, uint16_t *type)
{
	uint16_t protocol;

	if (cursor_size(&w->c) < 2)
		return VERDICT_LINK_TRUNCATED;
	if (load_be16(w->c.at) == PPP_ADDRESS)
		walk_skip(w, 2);
	if (cursor_size(&w->c) < 2)
		return VERDICT_LINK_TRUNCATED;
	protocol = w->c.at[0];
	if (protocol & 1) {
		walk_skip(w, 1);
	} else {
		protocol = load_be16(w->c.at);
		walk_skip(w, 2);
	}
	*type = ppp_type(protocol);
	return VERDICT_OK;
}

/* Ethernet in Ethernet behind 'size' bytes: a provider backbone's service
 * tag, FabricPath's tag. */
static enum verdict backbone_step(struct walk *w, uint16_t *type, size_t size)
{
	*type = TYPE_ETHERNET;
	return cursor_skip(&w->c, size) ? VERDICT_OK : VERDICT_LINK_TRUNCATED;
}

/* Network service header (RFC 8300): its size in words of 4 bytes and what
 * is next, in a numbering of its own. */
static enum verdict service_step(struct walk *w, uint16_t *type)
{
	static const uint16_t types[] = {TYPE_NONE,     TYPE_IP4,  TYPE_IP6,
					 TYPE_ETHERNET, TYPE_NONE, TYPE_MPLS};
	const uint8_t *header = w->c.at;
	size_t size;

	if (cursor_size(&w->c) < SERVICE_SIZE_MIN)
		return VERDICT_LINK_TRUNCATED;
	size = (size_t)(header[1] & 0x3f) * 4;
	if (header[0] >> 6 || size < SERVICE_SIZE_MIN)
		return VERDICT_NOT_IP;
	*type = header[3] < sizeof types / sizeof *types ? types[header[3]]
							 : TYPE_NONE;
	return cursor_skip(&w->c, size) ? VERDICT_OK : VERDICT_LINK_TRUNCATED;
}

static enum verdict ethertype_step(struct walk *w, uint16_t *type)
{
	switch (*type) {
	case TYPE_ETHERNET:
		return ethernet_step(w, type);
	case TYPE_VLAN:
	case TYPE_VLAN_SERVICE:
	case TYPE_VLAN_OLD:
		return vlan_step(w, type);
	case TYPE_MPLS:
	case TYPE_MPLS_MULTICAST:
		return mpls_step(w, type);
	case TYPE_PPPOE_SESSION:
		return pppoe_step(w, type);
	case TYPE_PPP:
		return ppp_step(w, type);
	case TYPE_LLC:
		return llc_step(w, type);
	case TYPE_BACKBONE:
		return backbone_step(w, type, 4);
	case TYPE_FABRIC:
		return backbone_step(w, type, 2);
	case TYPE_SERVICE:
		return service_step(w, type);
	case TYPE_ARP:
	case TYPE_RARP:
		return VERDICT_ARP;
	default:
		return VERDICT_NOT_IP;
	}
}

enum verdict ethertype_walk(struct walk *w, uint16_t type)
{
	while (type != TYPE_IP4 && type != TYPE_IP6) {
		enum verdict verdict;

		if (w->depth == PACKET_DEPTH_MAX)
			return VERDICT_DEPTH;
		w->depth++;
		verdict = ethertype_step(w, &type);
		if (verdict != VERDICT_OK)
			return verdict;
	}
	return VERDICT_OK;
}
