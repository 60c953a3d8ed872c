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

/* One round: from a layer of 'type' to an IP packet and its transport. */
static enum verdict layer_decode(struct walk *w, uint16_t type,
				 struct packet *p)
{
	enum verdict verdict = ethertype_walk(w, type);

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

/* The packet in a tunnel in *p, if there is one that can be decoded. */
static bool inner_decode(struct walk *w, struct packet *p)
{
	struct packet inner = {.tuple = {.protocol = 0}};
	uint16_t type;

	if (!tunnel_enter(w, p, &type) ||
	    layer_decode(w, type, &inner) != VERDICT_OK)
		return false;
	if (p->tunnel == TUNNEL_NONE) {
		memcpy(inner.outer_address, p->tuple.address,
		       sizeof inner.outer_address);
		inner.outer_ip_version = p->tuple.ip_version;
	} else {
		memcpy(inner.outer_address, p->outer_address,
		       sizeof inner.outer_address);
		inner.outer_ip_version = p->outer_ip_version;
	}
	*p = inner;
	return true;
}

static uint32_t add_times(uint32_t bytes, uint64_t count, uint32_t more)
{
	uint64_t sum = bytes + count * more;

	return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

/* A super-frame: every segment on the wire has all headers up to 'payload',
 * an offset in the frame. */
static void segments_count(struct packet *p, uint32_t gso_size,
			   uint32_t payload)
{
	bool segmented = p->tuple.protocol == PROTOCOL_TCP ||
			 p->tuple.protocol == PROTOCOL_UDP;
	uint32_t more;

	if (!segmented || p->flags & PACKET_FRAGMENT ||
	    p->payload_bytes <= gso_size)
		return;
	more = (p->payload_bytes - 1) / gso_size;
	p->packets = more + 1;
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

enum verdict packet_decode_general(const struct packet_input *input,
				   struct packet *ret_packet)
{
	uint32_t size = input->size > input->captured_size
				? input->size
				: input->captured_size;
	struct walk w = {
		.c = {input->bytes, input->bytes + input->captured_size},
		.frame = input->bytes,
		.wire = size,
		.interface = input->interface,
	};
	enum verdict verdict;
	uint32_t payload;
	uint16_t type;

	memset(ret_packet, 0, sizeof *ret_packet);
	verdict = link_enter(&w, input->link_type, &type);
	if (verdict == VERDICT_OK)
		verdict = layer_decode(&w, type, ret_packet);
	if (verdict != VERDICT_OK)
		return verdict;
	do
		payload = w.payload;
	while (inner_decode(&w, ret_packet));
	frame_note(input, ret_packet);
	if (input->gso_size)
		segments_count(ret_packet, input->gso_size, payload);
	return VERDICT_OK;
}

enum verdict packet_decode(const struct packet_input *input,
			   struct packet *ret_packet)
{
	if (__builtin_expect(packet_decode_fast(input, ret_packet), 1))
		return VERDICT_OK;
	return packet_decode_general(input, ret_packet);
}
