/* IPv4 (RFC 791) and IPv6 (RFC 8200) headers.
 *
 * How many bytes a packet counts: what its length field says, as long as that
 * fits into the frame as it was on the wire (or into the tunnel's packet); a
 * field that claims more counts what there is room for.  A field of 0 means
 * that segmentation is offloaded and the packet fills the frame.
 */
#include <string.h>

#include "packet/packet_private.h"

#define IP4_MORE_FRAGMENTS  0x2000
#define IP4_FRAGMENT_OFFSET 0x1fff
#define ETHERNET_MIN        60 /* shorter frames are padded to it */
#define AH_SIZE_MIN         12
#define OFFSET_MAX          (UINT16_MAX - 60) /* the header still fits */

/* The IP packet is 'total' bytes: the walk goes to its transport header. */
static void ip_narrow(struct walk *w, struct packet *p, uint32_t total,
		      uint32_t header)
{
	uint32_t offset = walk_offset(w);

	p->ip_bytes = total;
	walk_narrow(w, offset + total);
	walk_skip(w, header);
	w->transport = offset + header;
}

static void ip4_fragment(uint16_t field, uint16_t id, struct packet *p)
{
	if (!(field & (IP4_MORE_FRAGMENTS | IP4_FRAGMENT_OFFSET)))
		return;
	p->flags |= PACKET_FRAGMENT;
	p->fragment_id = id;
	p->fragment_offset = (uint16_t)((field & IP4_FRAGMENT_OFFSET) * 8);
	if (p->fragment_offset == 0)
		p->flags |= PACKET_FRAGMENT_FIRST;
	if (!(field & IP4_MORE_FRAGMENTS))
		p->flags |= PACKET_FRAGMENT_LAST;
}

/* How many bytes the packet has: 0 if the field cannot be. */
static uint32_t ip4_total(const struct walk *w, uint32_t header,
			  struct packet *p)
{
	uint32_t room = w->wire - walk_offset(w);
	uint32_t total = load_be16(w->c.at + 2);

	if (total == 0 && !w->strict) {
		p->flags |= PACKET_IP_SIZE_ZERO;
		total = room;
	}
	if (total > room)
		total = w->strict ? 0 : room;
	return total < header ? 0 : total;
}

/* An authentication header (RFC 4302) hides nothing: what it protects is the
 * transport.  One that is cut or damaged is the transport itself. */
static void ip4_authentication(struct walk *w, struct packet *p)
{
	while (p->tuple.protocol == PROTOCOL_AH && p->fragment_offset == 0) {
		const uint8_t *at = w->c.at;
		uint32_t size;

		if (cursor_size(&w->c) < AH_SIZE_MIN ||
		    w->depth == PACKET_DEPTH_MAX)
			return;
		size = (at[1] + 2U) * 4;
		if (size < AH_SIZE_MIN || !cursor_skip(&w->c, size))
			return;
		w->depth++;
		w->transport += size;
		p->tuple.protocol = at[0];
	}
}

static enum verdict ip4_decode(struct walk *w, struct packet *p)
{
	const uint8_t *at = w->c.at;
	uint32_t header, total;

	if (cursor_size(&w->c) < IP4_HEADER_SIZE)
		return VERDICT_IP_TRUNCATED;
	header = (at[0] & 0x0f) * 4U;
	if (header > w->wire - walk_offset(w))
		return VERDICT_IP_TRUNCATED;
	total = header < IP4_HEADER_SIZE ? 0 : ip4_total(w, header, p);
	if (total == 0)
		return VERDICT_IP_HEADER;
	p->tuple.ip_version = 4;
	p->tuple.protocol = at[9];
	memcpy(p->tuple.address[0], at + 12, 4);
	memcpy(p->tuple.address[1], at + 16, 4);
	p->tos = at[1];
	p->ttl = at[8];
	ip4_fragment(load_be16(at + 6), load_be16(at + 4), p);
	ip_narrow(w, p, total, header);
	ip4_authentication(w, p);
	return VERDICT_OK;
}

/* Payload length 0: a jumbogram, a super-frame (whose size no field holds),
 * or really nothing behind the header. */
static uint64_t ip6_total_unsaid(const struct walk *w, struct packet *p)
{
	struct cursor c = w->c;
	uint8_t next = c.at[6];
	uint32_t jumbo;

	c.at += IP6_HEADER_SIZE;
	jumbo = next == PROTOCOL_HOP_BY_HOP ? ip6_jumbo_size(c) : 0;
	if (jumbo)
		return (uint64_t)IP6_HEADER_SIZE + jumbo;
	if (next == PROTOCOL_NONE || w->strict || w->wire <= ETHERNET_MIN)
		return IP6_HEADER_SIZE;
	p->flags |= PACKET_IP_SIZE_ZERO;
	return w->wire - walk_offset(w);
}

static enum verdict ip6_decode(struct walk *w, struct packet *p)
{
	const uint8_t *at = w->c.at;
	uint32_t room = w->wire - walk_offset(w);
	uint64_t total;

	if (cursor_size(&w->c) < IP6_HEADER_SIZE)
		return VERDICT_IP_TRUNCATED;
	total = IP6_HEADER_SIZE + (uint64_t)load_be16(at + 4);
	if (total == IP6_HEADER_SIZE)
		total = ip6_total_unsaid(w, p);
	if (total > room) {
		if (w->strict)
			return VERDICT_IP_HEADER;
		total = room;
	}
	p->tuple.ip_version = 6;
	p->tuple.protocol = at[6];
	memcpy(p->tuple.address, at + 8, 32);
	p->tos = (uint8_t)(load_be16(at) >> 4);
	p->ttl = at[7];
	ip_narrow(w, p, (uint32_t)total, IP6_HEADER_SIZE);
	return ip6_extensions(w, p);
}

enum verdict ip_decode(struct walk *w, struct packet *p)
{
	if (w->depth == PACKET_DEPTH_MAX)
		return VERDICT_DEPTH;
	w->depth++;
	if (walk_offset(w) > OFFSET_MAX)
		return VERDICT_DEPTH;
	p->ip_offset = (uint16_t)walk_offset(w);
	if (cursor_size(&w->c) < 1)
		return VERDICT_IP_TRUNCATED;
	switch (w->c.at[0] >> 4) {
	case 4:
		return ip4_decode(w, p);
	case 6:
		return ip6_decode(w, p);
	default:
		return VERDICT_IP_VERSION;
	}
}
