/* packet_decode() over any frame.
 *
 * The first 8 bytes choose what is around the frame: link type, segment size,
 * and how many bytes were on the wire beyond those captured (all of 2 bytes,
 * big-endian), then 2 bytes that are not used.
 */
#include <stdlib.h>

#include "../tests/packet/same.h"
#include "packet/packet_private.h"

#define CHOICE_SIZE 8

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void must(bool what)
{
	if (!what)
		__builtin_trap();
}

static void check_tuple(const struct packet *p)
{
	const struct packet_tuple *t = &p->tuple;

	must(t->ip_version == 4 || t->ip_version == 6);
	must(t->network >> 24 == p->tunnel);
	must(t->vlan < 4096 && t->vlan_outer < 4096);
	for (int i = 4; i < 16 && t->ip_version == 4; i++)
		must(t->address[0][i] == 0 && t->address[1][i] == 0);
	for (int i = 4; i < 16 && p->tunnel && p->outer_ip_version == 4; i++)
		must(p->outer_address[0][i] == 0 &&
		     p->outer_address[1][i] == 0);
}

static void check_sizes(const struct packet_input *input,
			const struct packet *p)
{
	uint32_t header = p->tuple.ip_version == 4 ? 20 : 40;

	must(p->ip_offset + header <= input->captured_size);
	must(p->transport_offset >= p->ip_offset + header);
	must(p->payload_offset >= p->transport_offset);
	must(p->payload_offset <= input->captured_size);
	must(p->payload_bytes < p->ip_bytes);
	must(p->ip_bytes <= p->frame_bytes);
	must(p->packets >= 1);
	must(p->packets == 1 || p->flags & PACKET_SUPER);
	must(input->gso_size || p->frame_bytes == input->size);
	if (p->flags & PACKET_TCP)
		must(p->transport_offset + 20U <= input->captured_size);
}

/* Extension headers that are messages: their first bytes tell so. */
static bool message_is(uint8_t protocol)
{
	return protocol == PROTOCOL_MOBILITY || protocol == PROTOCOL_HIP ||
	       protocol == PROTOCOL_SHIM6;
}

/* Captured up to the payload and no further, the packet is the same. */
static void check_cut(const struct packet_input *input, const struct packet *p)
{
	struct packet_input cut = *input;
	struct packet shorter;

	if (p->mpls_labels || p->tunnel || message_is(p->tuple.protocol))
		return; /* more is looked at than the headers */
	cut.captured_size = p->payload_offset;
	cut.size = input->size;
	must(packet_decode(&cut, &shorter) == VERDICT_OK);
	must(memcmp(&shorter.tuple, &p->tuple, sizeof p->tuple) == 0);
	must(shorter.payload_bytes == p->payload_bytes);
	must(shorter.ip_bytes == p->ip_bytes);
	must(shorter.frame_bytes == p->frame_bytes);
	must(shorter.packets == p->packets);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct packet_input input;
	struct packet general, fast;
	enum verdict verdict;

	if (size < CHOICE_SIZE)
		return 0;
	input = (struct packet_input){
		.bytes = bytes + CHOICE_SIZE,
		.captured_size = (uint32_t)(size - CHOICE_SIZE),
		.size = (uint32_t)(size - CHOICE_SIZE) + load_be16(bytes + 4),
		.link_type = load_be16(bytes),
		.gso_size = load_be16(bytes + 2),
		.interface = 1,
	};
	memset(&general, 0x5a, sizeof general);
	memset(&fast, 0xa5, sizeof fast);
	verdict = packet_decode_general(&input, &general);
	must(verdict < VERDICT_COUNT);
	must(packet_link_known(input.link_type) ||
	     verdict == VERDICT_LINK_UNKNOWN);
	if (packet_decode_fast(&input, &fast))
		must(verdict == VERDICT_OK && packet_same(&fast, &general));
	must(packet_brief_holds(&input, verdict, &general));
	if (verdict != VERDICT_OK)
		return 0;
	check_tuple(&general);
	check_sizes(&input, &general);
	check_cut(&input, &general);
	return 0;
}
