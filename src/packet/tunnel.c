/* Tunnels that an IP protocol number names: IP in IP (RFC 2003, 2473, 4213),
 * and what leads to the others. */
#include "packet/packet_private.h"

static bool ip_tunnel_enter(struct walk *w, const struct packet *p,
			    uint16_t *ret_type)
{
	bool inside4 = p->tuple.protocol == PROTOCOL_IP4;

	if (cursor_size(&w->c) < 1 || w->c.at[0] >> 4 != (inside4 ? 4 : 6))
		return false;
	if (p->tuple.ip_version == 4)
		w->tunnel = inside4 ? TUNNEL_IPIP : TUNNEL_6IN4;
	else
		w->tunnel = inside4 ? TUNNEL_4IN6 : TUNNEL_6IN6;
	*ret_type = TYPE_IP4;
	return true;
}

bool tunnel_enter(struct walk *w, const struct packet *p, uint16_t *ret_type)
{
	bool entered = false;

	if (p->flags & PACKET_FRAGMENT)
		return false;
	w->network = 0;
	switch (p->tuple.protocol) {
	case PROTOCOL_IP4:
	case PROTOCOL_IP6:
		entered = ip_tunnel_enter(w, p, ret_type);
		break;
	case PROTOCOL_GRE:
		entered = gre_enter(w, ret_type);
		break;
	case PROTOCOL_UDP:
		entered = udp_tunnel_likely(p->tuple.port) &&
			  udp_tunnel_enter(w, p, ret_type);
		break;
	default:
		break;
	}
	w->network |= (uint32_t)w->tunnel << 24;
	return entered;
}
