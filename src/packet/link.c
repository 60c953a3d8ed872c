/* Link types: what stands before the first ethertype of a frame.
 *
 * Numbers and layouts: the LINKTYPE_ registry of the tcpdump group, PPP in
 * HDLC-like framing (RFC 1662), Cisco HDLC (RFC 1547 4.3.1 names it).
 */
#include "packet/packet_private.h"

#define SLL_HEADER_SIZE  16
#define SLL2_HEADER_SIZE 20
#define SLL_LLC          0x0004 /* protocol: 802.2 LLC follows */
#define ARPHRD_NETLINK   824    /* not a network's frames */

#define LINKTYPE_PPI 192

#define HDLC_UNICAST   0x0f /* Cisco HDLC's addresses */
#define HDLC_MULTICAST 0x8f

static enum verdict ethernet_enter(struct walk *w, uint16_t *ret_type)
{
	(void)w;
	*ret_type = TYPE_ETHERNET;
	return VERDICT_OK;
}

static enum verdict raw_enter(struct walk *w, uint16_t *ret_type)
{
	(void)w;
	*ret_type = TYPE_IP4; /* or 6: the header says */
	return VERDICT_OK;
}

static enum verdict pppoe_enter(struct walk *w, uint16_t *ret_type)
{
	(void)w;
	*ret_type = TYPE_PPPOE_SESSION;
	return VERDICT_OK;
}

/* Address and control of one byte each, then an ethertype. */
static enum verdict cisco_enter(struct walk *w, uint16_t *ret_type)
{
	if (cursor_size(&w->c) < 4)
		return VERDICT_LINK_TRUNCATED;
	*ret_type = load_be16(w->c.at + 2);
	walk_skip(w, 4);
	return VERDICT_OK;
}

/* A serial line: PPP or Cisco HDLC, told apart by the address. */
static enum verdict serial_enter(struct walk *w, uint16_t *ret_type)
{
	if (cursor_size(&w->c) < 1)
		return VERDICT_LINK_TRUNCATED;
	if (w->c.at[0] == HDLC_UNICAST || w->c.at[0] == HDLC_MULTICAST)
		return cisco_enter(w, ret_type);
	*ret_type = TYPE_PPP;
	return VERDICT_OK;
}

/* PPP as pppd gives it: the direction in place of the address. */
static enum verdict pppd_enter(struct walk *w, uint16_t *ret_type)
{
	if (cursor_size(&w->c) < 2)
		return VERDICT_LINK_TRUNCATED;
	if (w->c.at[1] == 0x03)
		walk_skip(w, 2);
	*ret_type = TYPE_PPP;
	return VERDICT_OK;
}

static uint16_t family_type(uint32_t family)
{
	switch (family) {
	case 2: /* AF_INET everywhere */
		return TYPE_IP4;
	case 10: /* AF_INET6: Linux */
	case 23: /* Windows */
	case 24: /* NetBSD, OpenBSD */
	case 28: /* FreeBSD */
	case 30: /* Darwin */
		return TYPE_IP6;
	default:
		return TYPE_NONE;
	}
}

/* A protocol family of 4 bytes, in the order of the machine that captured. */
static enum verdict loopback_enter(struct walk *w, uint16_t *ret_type)
{
	uint32_t family;

	if (!cursor_u32(&w->c, &family))
		return VERDICT_LINK_TRUNCATED;
	*ret_type = family_type(family);
	if (*ret_type == TYPE_NONE)
		*ret_type = family_type(__builtin_bswap32(family));
	return VERDICT_OK;
}

/* The protocol of a cooked frame as an ethertype. */
static uint16_t cooked_type(uint16_t protocol, uint16_t hardware)
{
	if (hardware == ARPHRD_NETLINK)
		return TYPE_NONE;
	if (protocol == SLL_LLC)
		return TYPE_LLC;
	return protocol < TYPE_MIN ? TYPE_NONE : protocol;
}

static enum verdict sll_enter(struct walk *w, uint16_t *ret_type)
{
	const uint8_t *header;

	if (!cursor_bytes(&w->c, SLL_HEADER_SIZE, &header))
		return VERDICT_LINK_TRUNCATED;
	*ret_type = cooked_type(load_be16(header + 14), load_be16(header + 2));
	return VERDICT_OK;
}

static enum verdict sll2_enter(struct walk *w, uint16_t *ret_type)
{
	const uint8_t *header;

	if (!cursor_bytes(&w->c, SLL2_HEADER_SIZE, &header))
		return VERDICT_LINK_TRUNCATED;
	*ret_type = cooked_type(load_be16(header), load_be16(header + 8));
	return VERDICT_OK;
}

static enum verdict ppi_enter(struct walk *w, uint16_t *ret_type);

static const struct link {
	uint16_t link_type;
	enum verdict (*enter)(struct walk *w, uint16_t *ret_type);
} links[] = {
	{LINKTYPE_ETHERNET, ethernet_enter},
	{0, loopback_enter},   /* NULL */
	{9, serial_enter},     /* PPP */
	{12, raw_enter},       /* RAW, as some systems number it */
	{14, raw_enter},       /* RAW, as OpenBSD does */
	{50, serial_enter},    /* PPP_HDLC */
	{51, pppoe_enter},     /* PPP_ETHER */
	{101, raw_enter},      /* RAW */
	{104, cisco_enter},    /* C_HDLC */
	{108, loopback_enter}, /* LOOP */
	{113, sll_enter},      /* LINUX_SLL */
	{166, pppd_enter},     /* PPP_PPPD */
	{LINKTYPE_PPI, ppi_enter},
	{228, raw_enter},  /* IPV4 */
	{229, raw_enter},  /* IPV6 */
	{276, sll2_enter}, /* LINUX_SLL2 */
};

static const struct link *link_find(uint16_t link_type)
{
	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		if (links[i].link_type == link_type)
			return &links[i];
	}
	return NULL;
}

bool packet_link_known(uint16_t link_type)
{
	return link_find(link_type) != NULL;
}

enum verdict link_enter(struct walk *w, uint16_t link_type, uint16_t *ret_type)
{
	const struct link *link = link_find(link_type);

	return link ? link->enter(w, ret_type) : VERDICT_LINK_UNKNOWN;
}

/* Per-packet information: version, flags, size and the real link type, both
 * little-endian, then fields that are skipped. */
static enum verdict ppi_enter(struct walk *w, uint16_t *ret_type)
{
	const uint8_t *at = w->c.at;
	uint16_t size, link_type;

	if (cursor_size(&w->c) < 8)
		return VERDICT_LINK_TRUNCATED;
	size = __builtin_bswap16(load_be16(at + 2));
	link_type = __builtin_bswap16(load_be16(at + 4));
	if (size < 8 || !cursor_skip(&w->c, size))
		return VERDICT_LINK_TRUNCATED;
	if (link_type == LINKTYPE_PPI)
		return VERDICT_LINK_UNKNOWN;
	return link_enter(w, link_type, ret_type);
}
