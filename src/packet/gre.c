/* GRE: RFC 2784, 2890; NVGRE: RFC 7637; version 1 of PPTP: RFC 2637; ERSPAN:
 * draft-foschiano-erspan-03.
 */
#include "packet/packet_private.h"

#define GRE_CHECKSUM       0x8000
#define GRE_ROUTING        0x4000 /* RFC 1701, obsolete: not followed */
#define GRE_KEY            0x2000
#define GRE_SEQUENCE       0x1000
#define GRE_ACKNOWLEDGMENT 0x0080 /* version 1 */
#define GRE_VERSION        0x0007

#define TYPE_ERSPAN   0x88be /* types I and II */
#define TYPE_ERSPAN3  0x22eb
#define TYPE_REDIRECT 0x883e /* WCCP */

#define ERSPAN_VERSION2    1 /* as type II and III have it */
#define ERSPAN_VERSION3    2
#define ERSPAN2_SIZE       8
#define ERSPAN3_SIZE       12
#define ERSPAN3_SUBHEADER  0x0001
#define ERSPAN3_TYPE(word) (((word) >> 10) & 0x1f)
#define ERSPAN3_ETHERNET   0
#define ERSPAN3_IP         2

/* With a sequence number a header of type II, else none at all (type I). */
static bool erspan_enter(struct walk *w, bool sequence, uint16_t *ret_type)
{
	*ret_type = TYPE_ETHERNET;
	w->tunnel = TUNNEL_ERSPAN;
	if (!sequence)
		return true;
	return cursor_size(&w->c) > ERSPAN2_SIZE &&
	       w->c.at[0] >> 4 == ERSPAN_VERSION2 &&
	       cursor_skip(&w->c, ERSPAN2_SIZE);
}

static bool erspan3_enter(struct walk *w, uint16_t *ret_type)
{
	const uint8_t *header;
	uint16_t word;

	w->tunnel = TUNNEL_ERSPAN;
	if (!cursor_bytes(&w->c, ERSPAN3_SIZE, &header) ||
	    header[0] >> 4 != ERSPAN_VERSION3)
		return false;
	word = load_be16(header + 10);
	if (word & ERSPAN3_SUBHEADER && !cursor_skip(&w->c, 8))
		return false;
	*ret_type = ERSPAN3_TYPE(word) == ERSPAN3_IP ? TYPE_IP4 : TYPE_ETHERNET;
	return ERSPAN3_TYPE(word) == ERSPAN3_IP ||
	       ERSPAN3_TYPE(word) == ERSPAN3_ETHERNET;
}

/* IP that a router diverts to a cache: version 2 has 4 bytes before it, which
 * do not begin like IPv4 (draft-mclaggan-wccp-v2rev1 3). */
static bool redirect_enter(struct walk *w, uint16_t *ret_type)
{
	*ret_type = TYPE_IP4;
	if (cursor_size(&w->c) > 0 && w->c.at[0] >> 4 == 4)
		return true;
	return cursor_skip(&w->c, 4);
}

/* Checksum, key and sequence number are there as the flags say. */
static bool gre0_enter(struct walk *w, uint16_t flags, uint16_t *ret_type)
{
	uint32_t key = 0;

	if (flags & GRE_ROUTING ||
	    (flags & GRE_CHECKSUM && !cursor_skip(&w->c, 4)) ||
	    (flags & GRE_KEY && !cursor_u32(&w->c, &key)) ||
	    (flags & GRE_SEQUENCE && !cursor_skip(&w->c, 4)))
		return false;
	if (*ret_type == TYPE_ERSPAN)
		return erspan_enter(w, flags & GRE_SEQUENCE, ret_type);
	if (*ret_type == TYPE_ERSPAN3)
		return erspan3_enter(w, ret_type);
	w->tunnel = TUNNEL_GRE;
	if (*ret_type == TYPE_REDIRECT)
		return redirect_enter(w, ret_type);
	if (*ret_type == TYPE_ETHERNET && flags & GRE_KEY &&
	    !(flags & (GRE_CHECKSUM | GRE_SEQUENCE))) {
		w->tunnel = TUNNEL_NVGRE;
		w->network = key >> 8;
	}
	return true;
}

/* PPTP: the key is payload size and call; the payload is PPP. */
static bool gre1_enter(struct walk *w, uint16_t flags, const uint16_t *type)
{
	uint32_t key;
	uint16_t size;

	if (*type != TYPE_PPP || !(flags & GRE_KEY) ||
	    !(flags & GRE_SEQUENCE) || !cursor_u32(&w->c, &key) ||
	    !cursor_skip(&w->c, 4) ||
	    (flags & GRE_ACKNOWLEDGMENT && !cursor_skip(&w->c, 4)))
		return false;
	size = key >> 16;
	walk_narrow(w, walk_offset(w) + size);
	w->tunnel = TUNNEL_GRE;
	return true;
}

bool gre_enter(struct walk *w, uint16_t *ret_type)
{
	uint16_t flags;

	if (!cursor_u16(&w->c, &flags) || !cursor_u16(&w->c, ret_type))
		return false;
	switch (flags & GRE_VERSION) {
	case 0:
		return gre0_enter(w, flags, ret_type);
	case 1:
		return gre1_enter(w, flags, ret_type);
	default:
		return false;
	}
}
