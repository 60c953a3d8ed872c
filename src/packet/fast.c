/* The straight road: Ethernet, IP without options, and TCP or UDP that is
 * whole, captured and no tunnel.  Tags, labels and tunnels of the common kind
 * are a second road (fast_tunnel.c).  Everything else takes the general walk,
 * and so does everything that is odd in the least.
 */
#include "packet/fast_private.h"

#define VLAN_SIZE      4
#define FRAME_SIZE_MIN (ETHERNET_SIZE + IP4_UDP_SIZE)

/* The road behind the ethertype, compiled for each IP version. */
FAST bool ip_road(const struct packet_input *input, struct road r,
		  struct packet *p)
{
	uint16_t type = load_be16(r.frame + r.ip - 2);
	struct layer l;

	if (type == TYPE_IP4)
		return ip4_fast(&r, p, &l) && transport_fast(input, &r, &l, p);
	return type == TYPE_IP6 && ip6_fast(&r, p, &l) &&
	       transport_fast(input, &r, &l, p);
}

/* Whether the shortest road may be tried. */
FAST bool plain_is(const struct packet_input *input)
{
	return input->link_type == LINKTYPE_ETHERNET && !input->gso_size &&
	       input->captured_size >= FRAME_SIZE_MIN;
}

FAST bool plain_fast(const struct packet_input *input, struct packet *p)
{
	return plain_is(input) &&
	       ip_road(input, road_begin(input, ETHERNET_SIZE), p);
}

/* TCP without what a brief leaves out: options that are not timestamps alone
 * are for packet_decode(), which says whether they are sound. */
FAST bool tcp_brief(const struct road *r, struct layer *l, struct packet *p)
{
	const uint8_t *at = r->frame + l->transport;
	bool stamps;

	l->header = tcp_header(r, l);
	if (l->header == 0 || at[13] & BRIEF_SYN)
		return false;
	stamps = l->header == TIMESTAMP_HEADER &&
		 load_be32(at + TCP_HEADER_SIZE) == TIMESTAMP_ALONE;
	if (l->header != TCP_HEADER_SIZE && !stamps)
		return false;
	l->payload = r->wire - l->transport - l->header;
	packet_put(r, l, at[13], p);
	return true;
}

bool packet_brief_decode(const struct packet_input *input,
			 struct packet_brief *ret_brief)
{
	struct packet p;
	struct layer l;
	struct road r;

	if (!plain_is(input))
		return false;
	r = road_begin(input, ETHERNET_SIZE);
	if (load_be16(r.frame + r.ip - 2) != TYPE_IP4 || !ip4_fast(&r, &p, &l))
		return false;
	frame_put(input, &r, &p);
	if (l.protocol == PROTOCOL_TCP
		    ? !tcp_brief(&r, &l, &p)
		    : l.protocol != PROTOCOL_UDP || !udp_fast(&r, &l, &p))
		return false;
	packet_brief_make(&p, ret_brief);
	return true;
}

/* The same behind one tag. */
FAST bool vlan_fast(const struct packet_input *input, struct packet *p)
{
	struct road r;

	if (!plain_is(input) ||
	    load_be16(input->bytes + ETHERNET_SIZE - 2) != TYPE_VLAN)
		return false;
	r = road_begin(input, ETHERNET_SIZE + VLAN_SIZE);
	r.vlan = load_be16(r.frame + ETHERNET_SIZE) & VLAN_VID_MASK;
	return ip_road(input, r, p);
}

bool packet_decode_fast(const struct packet_input *input,
			struct packet *ret_packet)
{
	return plain_fast(input, ret_packet) || vlan_fast(input, ret_packet) ||
	       tunnel_fast(input, ret_packet);
}

/* By itself, so that it does not cost the shortest road registers. */
static __attribute__((noinline)) enum verdict
vlan_decode(const struct packet_input *input, struct packet *p)
{
	if (vlan_fast(input, p))
		return VERDICT_OK;
	return tunnel_decode(input, p);
}

enum verdict packet_decode(const struct packet_input *input,
			   struct packet *ret_packet)
{
	if (plain_fast(input, ret_packet))
		return VERDICT_OK;
	return vlan_decode(input, ret_packet);
}
