/* The walk: link layer, IP, transport, and again for each tunnel. */
#include <string.h>

#include "packet/packet_private.h"

#define VERDICT_WORD(name, word, line) [name] = word,
static const char *const verdict_words[VERDICT_COUNT] = {
	VERDICT_TABLE(VERDICT_WORD)};

#define VERDICT_LINE(name, word, line) [name] = line,
static const char *const verdict_lines[VERDICT_COUNT] = {
	VERDICT_TABLE(VERDICT_LINE)};

#define TUNNEL_WORD(name, word) [name] = word,
const char *const tunnel_words[TUNNEL_COUNT] = {TUNNEL_TABLE(TUNNEL_WORD)};

const char *verdict_word(enum verdict verdict)
{
	return verdict_words[verdict];
}

const char *verdict_line(enum verdict verdict)
{
	return verdict_lines[verdict];
}

/* Field by field: a packet's tcp and outer fields are written where they are
 * valid, and clearing them as well costs more than an IP header does. */
static void packet_clear(struct packet *p)
{
	memset(&p->tuple, 0, sizeof p->tuple);
	p->flags = 0;
	p->tcp_flags = 0;
	p->fragment_id = 0;
	p->fragment_offset = 0;
	p->icmp_type = 0;
	p->icmp_code = 0;
}

/* One round: from a layer of 'type' to an IP packet and its transport. */
static enum verdict layer_decode(struct walk *w, uint16_t type,
				 struct packet *p)
{
	enum verdict verdict = ethertype_walk(w, type);

	packet_clear(p);
	if (verdict == VERDICT_OK)
		verdict = ip_decode(w, p);
	if (verdict == VERDICT_OK)
		verdict = transport_decode(w, p);
	p->tuple.vlan = w->vlan;
	p->tuple.vlan_outer = w->vlan_outer;
	p->tuple.interface = w->interface;
	p->tuple.network = w->network;
	p->tunnel = w->tunnel;
	p->mpls_labels = w->mpls_labels;
	return verdict;
}

/* Decodes at most 'max' packets of those that are in each other.  *ret_count
 * is how many could be; if the last one could not, *p is lost. */
static enum verdict layers_decode(struct walk *w, uint16_t type, unsigned max,
				  unsigned *ret_count, struct packet *p)
{
	enum verdict verdict = layer_decode(w, type, p);

	*ret_count = 0;
	while (verdict == VERDICT_OK && ++*ret_count < max) {
		uint32_t payload = w->payload;

		if (!tunnel_enter(w, p, &type)) {
			w->payload = payload;
			break;
		}
		if (p->tunnel == TUNNEL_NONE) {
			memcpy(p->outer_address, p->tuple.address,
			       sizeof p->outer_address);
			p->outer_ip_version = p->tuple.ip_version;
		}
		verdict = layer_decode(w, type, p);
	}
	return verdict;
}

static uint32_t add_times(uint32_t bytes, uint64_t count, uint32_t more)
{
	uint64_t sum = bytes + count * more;

	return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

void segments_count(struct packet *p, uint32_t gso_size, uint32_t payload)
{
	bool segmented = p->tuple.protocol == PROTOCOL_TCP ||
			 p->tuple.protocol == PROTOCOL_UDP;
	uint32_t more;

	if (!segmented || p->flags & PACKET_FRAGMENT ||
	    p->payload_bytes <= gso_size)
		return;
	more = (p->payload_bytes - 1) / gso_size;
	p->packets = more + 1;
	p->segment_bytes = (uint16_t)gso_size;
	p->frame_bytes = add_times(p->frame_bytes, more, payload);
	p->ip_bytes = add_times(p->ip_bytes, more, payload - p->ip_offset);
	p->flags |= PACKET_SUPER;
}

/* What a packet has from its frame. */
static void frame_note(const struct packet_input *input, struct packet *p)
{
	p->at = input->at;
	p->bytes = input->bytes;
	p->captured_size = input->captured_size;
	p->frame_bytes = input->size;
	p->packets = 1;
	if (input->size < input->captured_size)
		p->frame_bytes = input->captured_size;
	if (input->size > input->captured_size)
		p->flags |= PACKET_CUT;
	p->transport_offset =
		walk_clip(p->transport_offset, input->captured_size);
}

static enum verdict frame_decode(const struct packet_input *input, unsigned max,
				 unsigned *ret_count, struct packet *p)
{
	struct walk w = {
		.c = {input->bytes, input->bytes + input->captured_size},
		.frame = input->bytes,
		.wire = input->size > input->captured_size
				? input->size
				: input->captured_size,
		.interface = input->interface,
	};
	enum verdict verdict;
	uint16_t type;

	*ret_count = 0;
	verdict = link_enter(&w, input->link_type, &type);
	if (verdict == VERDICT_OK)
		verdict = layers_decode(&w, type, max, ret_count, p);
	if (verdict != VERDICT_OK)
		return verdict;
	frame_note(input, p);
	if (input->gso_size)
		segments_count(p, input->gso_size, w.payload);
	return VERDICT_OK;
}

/* If a tunnel's packet proves to be none, all is decoded again up to the one
 * around it: rarer than tunnels, and cheaper than a copy for each of them. */
enum verdict packet_decode_general(const struct packet_input *input,
				   struct packet *ret_packet)
{
	unsigned count, again;
	enum verdict verdict =
		frame_decode(input, PACKET_DEPTH_MAX, &count, ret_packet);

	if (verdict != VERDICT_OK && count > 0)
		verdict = frame_decode(input, count, &again, ret_packet);
	return verdict;
}
