/* IPv6 extension headers: RFC 8200 4, authentication RFC 4302, jumbograms
 * RFC 2675, mobility RFC 6275, HIP RFC 7401, shim6 RFC 5533.
 *
 * All but the fragment header are: next protocol, size, content.
 */
#include "packet/packet_private.h"

#define EXTENSION_SIZE_MIN 8
#define MORE_FRAGMENTS     0x0001
#define FRAGMENT_OFFSET    0xfff8
#define OPTION_PAD1        0
#define OPTION_JUMBO       0xc2

static bool extension_is(uint8_t protocol)
{
	switch (protocol) {
	case PROTOCOL_HOP_BY_HOP:
	case PROTOCOL_ROUTING:
	case PROTOCOL_FRAGMENT:
	case PROTOCOL_AH:
	case PROTOCOL_DESTINATION:
	case PROTOCOL_MOBILITY:
	case PROTOCOL_HIP:
	case PROTOCOL_SHIM6:
		return true;
	default:
		return false;
	}
}

/* Headers that are messages themselves when nothing follows. */
static bool message_is(uint8_t protocol, uint8_t next)
{
	return next == PROTOCOL_NONE &&
	       (protocol == PROTOCOL_MOBILITY || protocol == PROTOCOL_HIP ||
		protocol == PROTOCOL_SHIM6);
}

static uint32_t extension_size(uint8_t protocol, uint8_t field)
{
	if (protocol == PROTOCOL_FRAGMENT)
		return EXTENSION_SIZE_MIN;
	return protocol == PROTOCOL_AH ? (field + 2U) * 4 : (field + 1U) * 8;
}

/* A fragment header at 'at'.  One that is first and last at once is none
 * (an atomic fragment, RFC 6946). */
static void fragment_decode(const uint8_t *at, struct packet *p)
{
	uint16_t field = load_be16(at + 2);

	if (!(field & (FRAGMENT_OFFSET | MORE_FRAGMENTS)))
		return;
	p->flags |= PACKET_FRAGMENT;
	p->fragment_offset = field & FRAGMENT_OFFSET;
	p->fragment_id = load_be32(at + 4);
	if (p->fragment_offset == 0)
		p->flags |= PACKET_FRAGMENT_FIRST;
	if (!(field & MORE_FRAGMENTS))
		p->flags |= PACKET_FRAGMENT_LAST;
}

enum verdict ip6_extensions(struct walk *w, struct packet *p)
{
	uint8_t *protocol = &p->tuple.protocol;

	/* Behind the fragment header of a later fragment is payload. */
	while (extension_is(*protocol) && p->fragment_offset == 0) {
		const uint8_t *at = w->c.at;
		uint32_t size;

		if (w->depth == PACKET_DEPTH_MAX)
			return VERDICT_DEPTH;
		w->depth++;
		if (cursor_size(&w->c) < EXTENSION_SIZE_MIN)
			return VERDICT_IP_EXTENSION;
		if (message_is(*protocol, at[0]))
			break;
		size = extension_size(*protocol, at[1]);
		if (size < EXTENSION_SIZE_MIN || !cursor_skip(&w->c, size))
			return VERDICT_IP_EXTENSION;
		w->transport += size;
		if (*protocol == PROTOCOL_FRAGMENT)
			fragment_decode(at, p);
		*protocol = at[0];
	}
	return VERDICT_OK;
}

uint32_t ip6_jumbo_size(struct cursor c)
{
	uint8_t type, size;
	uint32_t jumbo;
	size_t header;

	if (cursor_size(&c) < EXTENSION_SIZE_MIN)
		return 0;
	header = extension_size(PROTOCOL_HOP_BY_HOP, c.at[1]);
	if (cursor_size(&c) > header)
		c.end = c.at + header;
	(void)cursor_skip(&c, 2);
	while (cursor_u8(&c, &type)) {
		if (type == OPTION_PAD1)
			continue;
		if (!cursor_u8(&c, &size))
			break;
		if (type == OPTION_JUMBO && size == 4)
			return cursor_u32(&c, &jumbo) ? jumbo : 0;
		if (!cursor_skip(&c, size))
			break;
	}
	return 0;
}
