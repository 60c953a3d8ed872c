/* The straight road: Ethernet, IP without options, and TCP or UDP that is
 * whole, captured and no tunnel.  Tags, labels and tunnels of the common kind
 * are a second road (fast_tunnel.c).  Everything else takes the general walk,
 * and so does everything that is odd in the least.
 */
#include "packet/fast_private.h"

/* Compiled for each IP version. */
FAST bool plain_fast(const struct packet_input *input, struct packet *p)
{
	struct road r = road_begin(input);
	struct layer l;

	if (load_be16(r.frame + ETHERNET_SIZE - 2) == TYPE_IP4)
		return ip4_fast(&r, p, &l) && transport_fast(input, &r, &l, p);
	return load_be16(r.frame + ETHERNET_SIZE - 2) == TYPE_IP6 &&
	       ip6_fast(&r, p, &l) && transport_fast(input, &r, &l, p);
}

/* Whether the shortest road may be tried. */
FAST bool plain_is(const struct packet_input *input)
{
	return input->link_type == LINKTYPE_ETHERNET && !input->gso_size &&
	       input->captured_size >= ETHERNET_SIZE;
}

bool packet_decode_fast(const struct packet_input *input,
			struct packet *ret_packet)
{
	return (plain_is(input) && plain_fast(input, ret_packet)) ||
	       tunnel_fast(input, ret_packet);
}

/* What is not plain. */
static __attribute__((noinline)) enum verdict
decode_rest(const struct packet_input *input, struct packet *p)
{
	if (tunnel_fast(input, p))
		return VERDICT_OK;
	return packet_decode_general(input, p);
}

enum verdict packet_decode(const struct packet_input *input,
			   struct packet *ret_packet)
{
	if (plain_is(input) && plain_fast(input, ret_packet))
		return VERDICT_OK;
	return decode_rest(input, ret_packet);
}
