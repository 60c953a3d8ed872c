#include "traffic_private.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define NS          UINT64_C(1000000000)
#define FLOWS_MAX   (UINT64_C(1) << 26)
#define SERVERS     977
#define PORT_FIRST  32768
#define PORT_COUNT  28232
#define SECRET_SIZE 192
/* The first bytes of XXH3's default secret, which every seed 0 uses. */
#define XXH3_SECRET_BEGIN "\xb8\xfe\x6c\x39\x23\xa4\x4b\xbe"

struct traffic_options traffic_options_preset(void)
{
	return (struct traffic_options){
		.seed = 1,
		.rate_pps = 1000000,
		.flows = 100000,
		.size = TRAFFIC_SIZE_MIN,
	};
}

static bool options_valid(const struct traffic_options *options)
{
	return options->rate_pps >= 1 && options->rate_pps <= NS &&
	       options->flows >= 1 && options->flows <= FLOWS_MAX &&
	       options->new_flows <= options->rate_pps &&
	       (options->size == TRAFFIC_IMIX ||
		(options->size >= TRAFFIC_SIZE_MIN &&
		 options->size <= TRAFFIC_SIZE_MAX)) &&
	       options->ip6_percent <= 100 && options->tunnel_percent <= 100 &&
	       options->tcp <= 1 && options->elephant_percent <= 100 &&
	       options->retransmit_permill + options->reorder_permill <= 1000 &&
	       options->attack < TRAFFIC_ATTACK_COUNT;
}

/* XXH3 of 48 bytes multiplies pairs of words, each with its secret added by
 * exclusive or: a first word that equals the secret's makes the product 0
 * whatever the second one is. */
static void attack_prepare(struct traffic *traffic)
{
	static const uint8_t guess[32] = "what an attacker would guess...";
	uint8_t secret[SECRET_SIZE] = {0};

	memcpy(secret, XXH3_SECRET_BEGIN, sizeof traffic->attack);
	if (traffic->options.attack == TRAFFIC_ATTACK_GUESSED)
		(void)XXH3_generateSecret(secret, sizeof secret, guess,
					  sizeof guess);
	memcpy(traffic->attack, secret, sizeof traffic->attack);
}

struct traffic *traffic_create(const struct traffic_options *options)
{
	struct traffic *traffic;

	if (!options_valid(options))
		return NULL;
	traffic = calloc(1, sizeof *traffic);
	if (!traffic)
		return NULL;
	traffic->options = *options;
	traffic->random = traffic_mix(options->seed);
	attack_prepare(traffic);
	if (options->tcp)
		traffic->connections =
			calloc(options->flows, sizeof *traffic->connections);
	else if (options->new_flows)
		traffic->ids = calloc(options->flows, sizeof *traffic->ids);
	if ((options->tcp && !traffic->connections) ||
	    (!options->tcp && options->new_flows && !traffic->ids)) {
		traffic_destroy(traffic);
		return NULL;
	}
	return traffic;
}

void traffic_destroy(struct traffic *traffic)
{
	if (!traffic)
		return;
	free(traffic->ids);
	free(traffic->connections);
	free(traffic);
}

uint32_t traffic_size(const struct traffic *traffic, uint64_t random)
{
	uint64_t part = random % 12;

	if (traffic->options.size != TRAFFIC_IMIX)
		return (uint32_t)traffic->options.size;
	return part < 7 ? 60 : part < 11 ? 566 : 1514;
}

static void put32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

static void ip6_ends(struct endpoints *ends, uint64_t random)
{
	static const uint8_t prefix[2][6] = {{0x20, 0x01, 0x0d, 0xb8, 0, 1},
					     {0x20, 0x01, 0x0d, 0xb8, 0, 2}};

	memcpy(ends->address[0], prefix[0], sizeof prefix[0]);
	memcpy(ends->address[1], prefix[1], sizeof prefix[1]);
	put32(ends->address[0] + 8, (uint32_t)random);
	put32(ends->address[0] + 12, ends->id);
	put32(ends->address[1] + 12, ends->id % SERVERS + 1);
}

/* All the same but for the words that the product swallows.  The last byte
 * keeps the client first where a table puts endpoints in order. */
static void attack_ends(const struct traffic *traffic, struct endpoints *ends)
{
	memset(ends->address, 0, sizeof ends->address);
	memcpy(ends->address[0], traffic->attack, sizeof traffic->attack);
	put32(ends->address[0] + 8, ends->id);
	memset(ends->address[1], 0xff, sizeof ends->address[1]);
	ends->port[0] = PORT_FIRST;
	ends->ip6 = true;
	ends->tunnel = PLAIN;
}

void endpoints_make(const struct traffic *traffic, uint32_t id,
		    struct endpoints *ret_ends)
{
	const struct traffic_options *options = &traffic->options;
	uint64_t random = traffic_mix(id);

	memset(ret_ends, 0, sizeof *ret_ends);
	ret_ends->id = id;
	/* 2^24 clients; the port tells apart the flows of one. */
	ret_ends->port[0] =
		(uint16_t)(PORT_FIRST +
			   (id * UINT64_C(48271) + (id >> 24)) % PORT_COUNT);
	ret_ends->port[1] = 443;
	ret_ends->ip6 = random % 100 < options->ip6_percent;
	random >>= 8;
	if (random % 100 < options->tunnel_percent)
		ret_ends->tunnel = VXLAN + random / 100 % 3;
	if (options->attack != TRAFFIC_ATTACK_NONE) {
		attack_ends(traffic, ret_ends);
	} else if (ret_ends->ip6) {
		ip6_ends(ret_ends, random);
	} else {
		put32(ret_ends->address[0], 0x0a000000U | (id & 0xffffff));
		put32(ret_ends->address[1], 0xac100000U + id % SERVERS);
	}
}

/* The slot of the next packet; *ret_first: it begins a flow there. */
static uint64_t slot_next(struct traffic *traffic, uint64_t random,
			  bool *ret_first)
{
	const struct traffic_options *options = &traffic->options;
	uint64_t due;

	*ret_first = true;
	if (traffic->sent < options->flows)
		return traffic->sent;
	due = (traffic->sent - options->flows) * options->new_flows /
	      options->rate_pps;
	if (!options->tcp && traffic->replaced < due) {
		traffic->replaced++;
		return traffic->oldest++ % options->flows;
	}
	*ret_first = false;
	if (options->elephant_percent &&
	    traffic_mix(random) % 100 < options->elephant_percent)
		return 0;
	return traffic_below(random, options->flows);
}

static void udp_next(struct traffic *traffic, uint64_t slot, bool first,
		     struct endpoints *ends, struct segment *ret_segment)
{
	uint32_t id = (uint32_t)slot, size, head;

	if (first && traffic->ids)
		traffic->ids[slot] = (uint32_t)traffic->begun++;
	if (traffic->ids)
		id = traffic->ids[slot];
	endpoints_make(traffic, id, ends);
	ret_segment->from = first ? 0 : traffic->random >> 40 & 1;
	size = traffic_size(traffic, traffic_mix(traffic->random));
	head = segment_header_size(ret_segment);
	ret_segment->payload = size > head ? size - head : 0;
}

uint32_t traffic_next(struct traffic *traffic,
		      uint8_t frame[static TRAFFIC_FRAME_MAX],
		      int64_t *ret_at_ns)
{
	uint64_t rate = traffic->options.rate_pps, slot;
	struct endpoints ends;
	struct segment segment = {.ends = &ends};
	bool first;

	traffic->random = traffic_mix(traffic->random + traffic->sent);
	slot = slot_next(traffic, traffic->random, &first);
	*ret_at_ns = TRAFFIC_START_S * (int64_t)NS +
		     (int64_t)(traffic->sent / rate * NS +
			       traffic->sent % rate * NS / rate);
	if (traffic->connections) {
		segment.time_ms = (uint32_t)(*ret_at_ns / 1000000);
		if (first)
			traffic->connections[slot].id =
				(uint32_t)traffic->begun++;
		connection_next(traffic, &traffic->connections[slot], &ends,
				&segment);
	} else {
		udp_next(traffic, slot, first, &ends, &segment);
	}
	traffic->sent++;
	return segment_write(&segment, frame);
}
