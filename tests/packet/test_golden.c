/* Every golden packet: whole, cut at every byte, sliced and mutated. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "golden.h"
#include "packet/packet_private.h"
#include "same.h"

#define INTERFACE 7
#define MUTATIONS 400 /* of each golden packet */

/* A copy of exactly the captured bytes, so that a sanitizer sees its end. */
struct copy {
	struct packet_input input;
	uint8_t *bytes;
};

static struct copy copy_make(const struct golden *golden, const uint8_t *bytes,
			     size_t captured, size_t size)
{
	struct copy copy = {.bytes = malloc(captured ? captured : 1)};

	assert_non_null(copy.bytes);
	memcpy(copy.bytes, bytes, captured);
	copy.input = (struct packet_input){
		.bytes = copy.bytes,
		.captured_size = (uint32_t)captured,
		.size = golden->size ? golden->size : (uint32_t)size,
		.at = {1234567890},
		.link_type = golden->link_type,
		.interface = INTERFACE,
	};
	return copy;
}

#define MUST(golden, what) must(golden, what, #what)

static void must(const struct golden *golden, bool what, const char *text)
{
	if (!what)
		fail_msg("%s: %s", golden->name, text);
}

static void check_tuple(const struct golden *g, const struct packet *p)
{
	const struct packet_tuple *t = &p->tuple;
	uint32_t network = g->network | (uint32_t)g->tunnel << 24;

	for (int i = 0; i < 2; i++) {
		MUST(g, !memcmp(t->address[i], golden_address(g->ends, i), 16));
		MUST(g, t->port[i] == g->port[i]);
	}
	MUST(g, t->ip_version == golden_ip_version(g->ends));
	MUST(g, t->protocol == g->protocol);
	MUST(g, t->vlan == g->vlan);
	MUST(g, t->vlan_outer == g->vlan_outer);
	MUST(g, t->interface == INTERFACE);
	MUST(g, t->network == network);
}

static void check_rest(const struct golden *g, const struct packet *p)
{
	MUST(g, p->ip_bytes == g->ip_bytes);
	MUST(g, p->payload_bytes == g->payload_bytes);
	MUST(g, p->packets == 1);
	MUST(g, p->ip_offset == g->ip_offset);
	MUST(g, p->transport_offset == g->transport_offset);
	MUST(g, p->payload_offset == g->payload_offset);
	MUST(g, p->flags == g->flags);
	MUST(g, p->mpls_labels == g->mpls_labels);
	MUST(g, p->tunnel == g->tunnel);
	MUST(g, p->ttl == 64);
	if (g->tunnel == TUNNEL_NONE)
		return;
	MUST(g, p->outer_ip_version == golden_ip_version(g->outer));
	for (int i = 0; i < 2; i++)
		MUST(g, !memcmp(p->outer_address[i],
				golden_address(g->outer, i), 16));
}

static void check_golden(const struct golden *g)
{
	uint8_t bytes[GOLDEN_BYTES_MAX];
	size_t size = golden_bytes(g, bytes);
	struct copy copy = copy_make(g, bytes, size, size);
	struct packet p;
	enum verdict verdict;

	memset(&p, 0xa5, sizeof p); /* what is not written shows */
	verdict = packet_decode(&copy.input, &p);
	if (verdict != g->verdict)
		fail_msg("%s: %s", g->name, verdict_word(verdict));
	if (verdict == VERDICT_OK) {
		check_tuple(g, &p);
		check_rest(g, &p);
		MUST(g, p.bytes == copy.bytes && p.captured_size == size);
		MUST(g, p.frame_bytes == copy.input.size);
		MUST(g, p.at.ns == 1234567890);
	}
	free(copy.bytes);
}

typedef void golden_check(const struct golden *golden);

static void for_every_golden(golden_check *check)
{
	for (int i = 0; i < GOLDEN_SETS; i++) {
		for (size_t j = 0; j < golden_sets[i]->count; j++)
			check(&golden_sets[i]->golden[j]);
	}
}

static void decodes_every_golden_packet(void **state)
{
	(void)state;
	for_every_golden(check_golden);
}

/* Both ways on one input, from different leftovers. */
static enum verdict decode_both(const struct golden *g,
				const struct packet_input *input,
				struct packet *ret_packet)
{
	enum verdict verdict = packet_decode_general(input, ret_packet);
	struct packet fast;

	memset(&fast, 0xa5, sizeof fast);
	if (packet_decode_fast(input, &fast)) {
		MUST(g, verdict == VERDICT_OK);
		MUST(g, packet_same(&fast, ret_packet));
	}
	MUST(g, packet_brief_holds(input, verdict, ret_packet));
	return verdict;
}

static bool cut_short(enum verdict verdict)
{
	return verdict == VERDICT_LINK_TRUNCATED ||
	       verdict == VERDICT_IP_TRUNCATED ||
	       verdict == VERDICT_IP_EXTENSION ||
	       verdict == VERDICT_TRANSPORT_TRUNCATED;
}

static uint32_t identity_end(const struct golden *g)
{
	switch (g->protocol) {
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMP6:
		return g->transport_offset + 2U;
	case PROTOCOL_MOBILITY: /* a header and the message itself */
		return g->transport_offset + 8U;
	default:
		return g->transport_offset + (g->port[0] ? 4U : 0U);
	}
}

/* Cut to 'captured' bytes of a frame that was whole on the wire. */
static void check_slice(const struct golden *g, const uint8_t *bytes,
			size_t size, size_t captured)
{
	struct copy copy = copy_make(g, bytes, captured, size);
	struct packet p;
	enum verdict verdict = decode_both(g, &copy.input, &p);

	if (g->verdict == VERDICT_OK && captured >= identity_end(g)) {
		MUST(g, verdict == VERDICT_OK);
		check_tuple(g, &p);
		MUST(g, p.ip_bytes == g->ip_bytes);
		MUST(g, p.frame_bytes == copy.input.size);
		MUST(g, p.packets == 1);
		if (captured >= g->payload_offset)
			MUST(g, p.payload_bytes == g->payload_bytes);
	} else if (g->verdict == VERDICT_OK && g->tunnel == TUNNEL_NONE) {
		MUST(g, cut_short(verdict) ||
				(g->mpls_labels && verdict == VERDICT_NOT_IP) ||
				(g->protocol == PROTOCOL_UDP &&
				 p.tuple.protocol == PROTOCOL_AH));
	} else if (g->verdict != VERDICT_OK) {
		/* Cut before the size that cannot be, only the ports count. */
		MUST(g, verdict == g->verdict || cut_short(verdict) ||
				(g->verdict == VERDICT_TRANSPORT_HEADER &&
				 verdict == VERDICT_OK));
	}
	free(copy.bytes);
}

static void check_slices(const struct golden *g)
{
	uint8_t bytes[GOLDEN_BYTES_MAX];
	size_t size = golden_bytes(g, bytes);

	for (size_t captured = 0; captured < size; captured++)
		check_slice(g, bytes, size, captured);
}

static void counts_full_bytes_of_every_slice(void **state)
{
	(void)state;
	for_every_golden(check_slices);
}

/* As if the frame had ended there on the wire, too. */
static void check_truncations(const struct golden *g)
{
	uint8_t bytes[GOLDEN_BYTES_MAX];
	size_t size = golden_bytes(g, bytes);

	for (size_t captured = 0; captured < size; captured++) {
		struct copy copy = copy_make(g, bytes, captured, captured);
		struct packet p;

		copy.input.size = (uint32_t)captured;
		if (decode_both(g, &copy.input, &p) == VERDICT_OK) {
			MUST(g, p.ip_bytes <= captured);
			MUST(g, p.payload_bytes <= captured);
			MUST(g, p.payload_offset <= captured);
			MUST(g, p.transport_offset <= p.payload_offset);
		}
		free(copy.bytes);
	}
}

static void survives_every_truncation(void **state)
{
	(void)state;
	for_every_golden(check_truncations);
}

static uint32_t seed = 2463534242;

static uint32_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static unsigned fast_count, fast_tunnels, fast_supers;

static void check_mutations(const struct golden *g)
{
	uint8_t bytes[GOLDEN_BYTES_MAX];
	size_t size = golden_bytes(g, bytes);

	for (int i = 0; i < MUTATIONS && size; i++) {
		struct copy copy = copy_make(g, bytes, size, size);
		struct packet p;

		for (uint32_t n = next_random() % 4; n > 0; n--)
			copy.bytes[next_random() % size] =
				(uint8_t)next_random();
		copy.input.size += next_random() % 3;
		if (next_random() % 4 == 0)
			copy.input.gso_size = next_random() % 8;
		(void)decode_both(g, &copy.input, &p);
		if (packet_decode_fast(&copy.input, &p)) {
			fast_count++;
			fast_tunnels += p.tunnel != TUNNEL_NONE;
			fast_supers += p.packets > 1;
		}
		free(copy.bytes);
	}
}

static void both_ways_agree_on_mutations(void **state)
{
	(void)state;
	for_every_golden(check_mutations);
	assert_in_range(fast_count, 10000, UINT32_MAX);
	assert_in_range(fast_tunnels, 4000, UINT32_MAX);
	assert_in_range(fast_supers, 500, UINT32_MAX);
}

static const struct golden *golden_named(const char *name)
{
	for (int i = 0; i < GOLDEN_SETS; i++) {
		for (size_t j = 0; j < golden_sets[i]->count; j++) {
			if (!strcmp(golden_sets[i]->golden[j].name, name))
				return &golden_sets[i]->golden[j];
		}
	}
	fail_msg("no golden packet '%s'", name);
	return NULL;
}

/* None of these may fall back to the general walk unnoticed. */
static void takes_the_straight_road_where_it_can(void **state)
{
	static const char *const names[] = {
		"Ethernet, IPv4, UDP",
		"Ethernet, IPv6, UDP",
		"802.1Q",
		"802.1Q, IPv6",
		"IPv4, TCP",
		"IPv6, TCP",
		"TCP, padded",
		"TCP, timestamps",
		"TCP, selective acknowledgment",
		"a tag, IPv6, TCP",
		"TCP, connection request",
		"802.1Q, priority only",
		"802.1ad and 802.1Q",
		"802.1ad and priority only",
		"0x9100 and 802.1Q",
		"three tags",
		"MPLS",
		"MPLS, two labels, IPv6",
		"MPLS from 8.0.69.0, which looks like Ethernet",
		"PPPoE, IPv4",
		"PPPoE, IPv6",
		"PPPoE in a tag",
		"IP in IP",
		"IPv6 in IPv4",
		"IPv4 in IPv6",
		"IPv6 in IPv6",
		"GRE",
		"GRE over IPv6",
		"GRE, checksum, key and sequence",
		"GRE, IPv6",
		"GRE, Ethernet",
		"GRE, MPLS",
		"NVGRE",
		"ERSPAN type I",
		"ERSPAN type II",
		"VXLAN",
		"VXLAN on Linux's port, tagged inside and outside",
		"Geneve",
		"Geneve with options, IPv6",
		"GTP-U",
		"GTP-U, sequence number",
		"MPLS around GRE",
		"GTP-U, one extension",
	};

	(void)state;
	for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
		const struct golden *g = golden_named(names[n]);
		uint8_t bytes[GOLDEN_BYTES_MAX];
		struct copy copy =
			copy_make(g, bytes, golden_bytes(g, bytes), 0);
		struct packet p;

		MUST(g, packet_decode_fast(&copy.input, &p));
		free(copy.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_every_golden_packet),
		cmocka_unit_test(counts_full_bytes_of_every_slice),
		cmocka_unit_test(survives_every_truncation),
		cmocka_unit_test(both_ways_agree_on_mutations),
		cmocka_unit_test(takes_the_straight_road_where_it_can),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
