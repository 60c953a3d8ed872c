/* Fragments: every one is counted in its flow, though only the first of a
 * datagram has the ports.
 *
 * The ports of a first fragment are kept for those behind it.  What comes
 * before its first waits as sums, with the earliest and the latest time (and
 * one by one for the statistics, if there are any); it is counted just before
 * the first when that comes, or without ports when that has not come in 30 s
 * (Linux gives up then; RFC 791 says 15 and more, RFC 8200 60 at most), when
 * newer datagrams push it out, or when metering ends.  Nothing is put together
 * and no fragment is compared with another: overlapping and repeated ones count
 * as the packets that they are.
 *
 * A datagram is known by addresses, identification and protocol (RFC 791,
 * section 3.2); in IPv6 without the protocol, which only the first fragment
 * gives (RFC 8200, section 4.5).
 */
#include <string.h>

#include "flow/flow_key.h"
#include "flow/fragment_private.h"

#define FRAGMENT_NS (30 * NS_PER_S)

struct waiting {
	struct flow_sums sums;
	int64_t first_ns;
	int64_t last_ns;
	uint64_t frames;
	uint8_t ttl_min;
	uint8_t ttl_max;
	uint8_t tos;               /* of the first to come */
	struct fragment_list list; /* each, if there are statistics */
};

struct datagram {
	struct {
		struct packet_tuple tuple; /* ports 0 */
		uint32_t id;
		uint32_t zero; /* the whole is hashed and compared */
	} key;
	uint32_t hash_next;
	uint32_t older; /* by age; 'newer' is the free list as well */
	uint32_t newer;
	int64_t since_ns;

	bool resolved; /* the next four are valid */
	bool one_way;
	uint8_t protocol;
	uint16_t port[2];

	uint8_t waiting_protocol; /* of a packet that waits */
	uint8_t tunnel;
	uint8_t outer_ip_version;
	uint8_t outer_address[2][16];
	struct waiting waiting;
};

struct fragment_table {
	struct datagram *datagrams;
	uint32_t *heads; /* as many */
	uint32_t count;  /* a power of two */
	uint32_t count_max;
	uint32_t oldest;
	uint32_t newest;
	uint32_t free;
};

size_t fragment_table_size(void)
{
	return sizeof(struct fragment_table);
}

size_t fragment_datagrams_size(uint32_t count)
{
	return count * sizeof(struct datagram);
}

size_t fragment_heads_size(uint32_t count)
{
	return count * sizeof(uint32_t);
}

/* No hash leads anywhere, and the datagrams from 'from' on are free. */
static void fragments_clear(struct fragment_table *fragments, uint32_t from)
{
	for (uint32_t i = 0; i < fragments->count; i++)
		fragments->heads[i] = FLOW_NONE;
	for (uint32_t i = from; i < fragments->count; i++)
		fragments->datagrams[i].newer =
			i + 1 < fragments->count ? i + 1 : FLOW_NONE;
	fragments->free = from;
}

void fragment_table_init(struct flow_table *table, void *datagrams,
			 uint32_t *heads, uint32_t count_max)
{
	struct fragment_table *fragments = table->fragments;

	fragments->datagrams = datagrams;
	fragments->heads = heads;
	fragments->count = DATAGRAMS;
	fragments->count_max = count_max;
	fragments->oldest = FLOW_NONE;
	fragments->newest = FLOW_NONE;
	fragments_clear(fragments, 0);
}

int64_t fragment_due_ns(const struct fragment_table *fragments)
{
	if (fragments->oldest == FLOW_NONE)
		return INT64_MAX;
	return fragments->datagrams[fragments->oldest].since_ns + FRAGMENT_NS;
}

static void key_take(const struct packet *packet, struct datagram *datagram)
{
	memset(&datagram->key, 0, sizeof datagram->key);
	datagram->key.tuple = packet->tuple;
	datagram->key.tuple.port[0] = 0;
	datagram->key.tuple.port[1] = 0;
	if (packet->tuple.ip_version == 6)
		datagram->key.tuple.protocol = 0;
	datagram->key.id = packet->fragment_id;
}

static uint32_t *head_of(const struct flow_table *table,
			 const struct datagram *datagram)
{
	uint64_t hash =
		XXH3_64bits_withSecret(&datagram->key, sizeof datagram->key,
				       table->secret, sizeof table->secret);

	return &table->fragments->heads[hash & (table->fragments->count - 1)];
}

static struct datagram *datagram_find(const struct flow_table *table,
				      const struct datagram *wanted)
{
	struct datagram *all = table->fragments->datagrams;
	uint32_t index = *head_of(table, wanted);

	for (; index != FLOW_NONE; index = all[index].hash_next)
		if (!memcmp(&all[index].key, &wanted->key, sizeof wanted->key))
			return &all[index];
	return NULL;
}

static void age_append(struct fragment_table *fragments, uint32_t index)
{
	struct datagram *all = fragments->datagrams;

	all[index].newer = FLOW_NONE;
	all[index].older = fragments->newest;
	if (fragments->newest == FLOW_NONE)
		fragments->oldest = index;
	else
		all[fragments->newest].newer = index;
	fragments->newest = index;
}

static void age_take(struct fragment_table *fragments, uint32_t index)
{
	struct datagram *all = fragments->datagrams;
	uint32_t older = all[index].older;
	uint32_t newer = all[index].newer;

	if (older == FLOW_NONE)
		fragments->oldest = newer;
	else
		all[older].newer = newer;
	if (newer == FLOW_NONE)
		fragments->newest = older;
	else
		all[newer].older = older;
}

/* Nothing waits any more. */
static void waiting_clear(struct flow_table *table, struct waiting *waiting)
{
	if (table->pool && waiting->frames > 0)
		fragment_pool_give(table->pool, &waiting->list);
	memset(waiting, 0, sizeof *waiting);
}

/* Counts what waits in the flow that it belongs to. */
static void waiting_count(struct flow_table *table, struct waiting *waiting,
			  uint32_t index, unsigned side)
{
	struct flow_hot *hot = &table->hot[index];
	struct flow_sums *sums = &hot->sums[side];

	if (table->pool)
		fragment_pool_count(table, &waiting->list, index, side);
	if (sums->packets == 0)
		sums->tos = waiting->tos;
	sums->frame_bytes += waiting->sums.frame_bytes;
	sums->bytes += waiting->sums.bytes;
	sums->payload_bytes += waiting->sums.payload_bytes;
	sums->packets += waiting->sums.packets;
	if (waiting->ttl_min < hot->ttl_min[side])
		hot->ttl_min[side] = waiting->ttl_min;
	if (waiting->ttl_max > hot->ttl_max[side])
		hot->ttl_max[side] = waiting->ttl_max;
	if (waiting->last_ns > hot->last_ns)
		hot->last_ns = waiting->last_ns;
	flow_backdate(table, index, waiting->first_ns);
	table->cold[index].fragments[side] += (uint32_t)waiting->frames;
	table->counters.metered += waiting->frames;
	if (waiting->sums.packets > waiting->frames)
		table->counters.segments_extra +=
			waiting->sums.packets - waiting->frames;
	waiting_clear(table, waiting);
}

/* Whether flow sampling leaves out 'frames' frames of 'tuple': now that the
 * ports are known it can be told. */
static bool left_out(struct flow_table *table, const struct packet_tuple *tuple,
		     uint64_t frames)
{
	if (!table->sample_threshold || flow_sampling_takes(table, tuple))
		return false;
	table->counters.not_selected += frames;
	return true;
}

/* The first fragment never came. */
static void orphans_count(struct flow_table *table, struct datagram *datagram)
{
	struct packet packet = {
		.tuple = datagram->key.tuple,
		.at = {datagram->waiting.first_ns},
		.flags = PACKET_FRAGMENT,
		.tunnel = datagram->tunnel,
		.outer_ip_version = datagram->outer_ip_version,
	};
	struct flow_key key;
	uint32_t index;

	packet.tuple.protocol = datagram->waiting_protocol;
	memcpy(packet.outer_address, datagram->outer_address,
	       sizeof packet.outer_address);
	flow_key_make(table, &packet.tuple, false, &key);
	table->counters.fragments_orphaned += datagram->waiting.frames;
	if (left_out(table, &packet.tuple, datagram->waiting.frames)) {
		waiting_clear(table, &datagram->waiting);
		return;
	}
	index = flow_enter(table, &key, &packet);
	if (index == FLOW_NONE) {
		table->counters.refused_full += datagram->waiting.frames - 1;
		waiting_clear(table, &datagram->waiting);
		return;
	}
	waiting_count(table, &datagram->waiting, index, key.side);
}

/* Forgets the oldest datagram, and counts what still waits in it. */
static void oldest_give_up(struct flow_table *table)
{
	struct fragment_table *fragments = table->fragments;
	uint32_t index = fragments->oldest;
	struct datagram *datagram = &fragments->datagrams[index];
	uint32_t *link = head_of(table, datagram);

	while (*link != index)
		link = &fragments->datagrams[*link].hash_next;
	*link = datagram->hash_next;
	age_take(fragments, index);
	if (datagram->waiting.frames) {
		table->waiting--;
		orphans_count(table, datagram);
	}
	datagram->newer = fragments->free;
	fragments->free = index;
}

/* Each at the time when it was due, whenever that is noticed: whether it
 * still finds its flow does not hang on what else the table sees. */
void fragment_pass(struct flow_table *table, int64_t by_ns)
{
	int64_t now_ns = table->now_ns;

	while (fragment_due_ns(table->fragments) <= by_ns &&
	       table->fragments->oldest != FLOW_NONE) {
		int64_t due_ns = fragment_due_ns(table->fragments);

		table->now_ns = due_ns < now_ns ? due_ns : now_ns;
		oldest_give_up(table);
	}
	table->now_ns = now_ns;
}

static void hash_link(struct flow_table *table, uint32_t index)
{
	struct datagram *datagram = &table->fragments->datagrams[index];
	uint32_t *head = head_of(table, datagram);

	datagram->hash_next = *head;
	*head = index;
}

/* Doubles a table in which every datagram is in use.  False: it may not, or
 * there is no memory. */
static bool fragments_grow(struct flow_table *table)
{
	struct fragment_table *fragments = table->fragments;
	uint32_t from = fragments->count;
	uint32_t to = from * 2;

	if (from >= fragments->count_max)
		return false;
	if (memory_commit(fragments->datagrams, fragment_datagrams_size(from),
			  fragment_datagrams_size(to), PAGES_NOW) < 0 ||
	    memory_commit(fragments->heads, fragment_heads_size(from),
			  fragment_heads_size(to), PAGES_NOW) < 0) {
		fragments->count_max = from;
		return false;
	}
	fragments->count = to;
	fragments_clear(fragments, from);
	for (uint32_t i = 0; i < from; i++)
		hash_link(table, i);
	return true;
}

static struct datagram *datagram_add(struct flow_table *table,
				     const struct datagram *wanted)
{
	struct fragment_table *fragments = table->fragments;
	struct datagram *datagram;
	uint32_t index;

	if (fragments->free == FLOW_NONE && !fragments_grow(table)) {
		table->counters.fragments_evicted++;
		oldest_give_up(table);
	}
	index = fragments->free;
	datagram = &fragments->datagrams[index];
	fragments->free = datagram->newer;
	memset(datagram, 0, sizeof *datagram);
	datagram->key = wanted->key;
	datagram->since_ns = table->now_ns;
	hash_link(table, index);
	age_append(fragments, index);
	flow_event_update(table);
	return datagram;
}

/* Meters one fragment whose ports, if it has any, are known, after those that
 * came before it and waited for it, if any (else NULL). */
static void fragment_count(struct flow_table *table,
			   const struct packet *packet, struct waiting *waiting)
{
	struct flow_key key;
	uint32_t index;

	if (left_out(table, &packet->tuple,
		     1 + (waiting ? waiting->frames : 0))) {
		if (waiting)
			waiting_clear(table, waiting);
		return;
	}
	flow_key_make(table, &packet->tuple,
		      packet->flags & PACKET_ICMP_ONE_WAY, &key);
	index = flow_enter(table, &key, packet);
	if (index == FLOW_NONE) {
		if (!waiting)
			return;
		table->counters.refused_full += waiting->frames;
		waiting_clear(table, waiting);
		return;
	}
	if (waiting)
		waiting_count(table, waiting, index, key.side);
	flow_count(table, index, key.side, packet);
	table->cold[index].fragments[key.side]++;
}

/* The identification may come round again while its last user is still kept:
 * the latest first fragment decides, and the age starts anew. */
static void first_meter(struct flow_table *table, struct datagram *datagram,
			const struct packet *packet)
{
	struct fragment_table *fragments = table->fragments;
	uint32_t index = (uint32_t)(datagram - fragments->datagrams);
	bool waits = datagram->waiting.frames > 0;

	table->waiting -= waits;
	age_take(fragments, index);
	age_append(fragments, index);
	datagram->since_ns = table->now_ns;
	flow_event_update(table);
	datagram->resolved = true;
	datagram->one_way = packet->flags & PACKET_ICMP_ONE_WAY;
	datagram->protocol = packet->tuple.protocol;
	datagram->port[0] = packet->tuple.port[0];
	datagram->port[1] = packet->tuple.port[1];
	fragment_count(table, packet, waits ? &datagram->waiting : NULL);
}

static void later_meter(struct flow_table *table,
			const struct datagram *datagram,
			const struct packet *packet)
{
	struct packet known = *packet;

	known.tuple.protocol = datagram->protocol;
	known.tuple.port[0] = datagram->port[0];
	known.tuple.port[1] = datagram->port[1];
	if (datagram->one_way)
		known.flags |= PACKET_ICMP_ONE_WAY;
	fragment_count(table, &known, NULL);
}

static void waiting_add(struct flow_table *table, struct datagram *datagram,
			const struct packet *packet)
{
	struct waiting *waiting = &datagram->waiting;
	int64_t at_ns = stamp_clamp_ns(packet->at.ns);

	if (table->pool)
		fragment_pool_add(table->pool, &waiting->list, packet,
				  waiting->frames == 0);
	if (waiting->frames++ == 0) {
		table->waiting++;
		waiting->first_ns = at_ns;
		waiting->last_ns = at_ns;
		waiting->ttl_min = packet->ttl;
		waiting->tos = packet->tos;
		datagram->waiting_protocol = packet->tuple.protocol;
		datagram->tunnel = packet->tunnel;
		datagram->outer_ip_version = packet->outer_ip_version;
		memcpy(datagram->outer_address, packet->outer_address,
		       sizeof datagram->outer_address);
	}
	if (at_ns < waiting->first_ns)
		waiting->first_ns = at_ns;
	if (at_ns > waiting->last_ns)
		waiting->last_ns = at_ns;
	if (packet->ttl < waiting->ttl_min)
		waiting->ttl_min = packet->ttl;
	if (packet->ttl > waiting->ttl_max)
		waiting->ttl_max = packet->ttl;
	waiting->sums.frame_bytes += packet->frame_bytes;
	waiting->sums.bytes += packet->ip_bytes;
	waiting->sums.payload_bytes += packet->payload_bytes;
	waiting->sums.packets += packet->packets;
}

/* The oldest datagrams go until a fragment more can wait. */
static void pool_room_make(struct flow_table *table)
{
	while (!fragment_pool_room(table->pool)) {
		table->counters.fragments_evicted++;
		oldest_give_up(table);
	}
}

void fragment_meter(struct flow_table *table, const struct packet *packet)
{
	const uint16_t whole = PACKET_FRAGMENT_FIRST | PACKET_FRAGMENT_LAST;
	struct datagram wanted;
	struct datagram *datagram;

	table->counters.fragments++;
	if ((packet->flags & whole) == whole) { /* RFC 6946: alone */
		fragment_count(table, packet, NULL);
		return;
	}
	if (table->pool)
		pool_room_make(table);
	key_take(packet, &wanted);
	datagram = datagram_find(table, &wanted);
	if (!datagram)
		datagram = datagram_add(table, &wanted);
	if (packet->flags & PACKET_FRAGMENT_FIRST) {
		first_meter(table, datagram, packet);
	} else if (datagram->resolved) {
		later_meter(table, datagram, packet);
	} else {
		table->counters.fragments_waited++;
		waiting_add(table, datagram, packet);
	}
}
