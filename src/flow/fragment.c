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
#include "flow/statistics_private.h"

#define DATAGRAMS   4096 /* a power of two */
#define FRAGMENT_NS (30 * NS_PER_S)
#define POOL_COUNT  65536 /* fragments that wait, one by one */

struct waiting {
	struct flow_sums sums;
	int64_t first_ns;
	int64_t last_ns;
	uint64_t frames;
	uint8_t ttl_min;
	uint8_t ttl_max;
	uint8_t tos;    /* of the first to come */
	uint32_t first; /* in the pool, in the order they came */
	uint32_t last;
};

/* A fragment that waits. */
struct pooled {
	int64_t at_ns;
	uint32_t ip_bytes;
	uint32_t payload_bytes;
	uint32_t packets;
	uint16_t segment_bytes;
	uint16_t pad;
	uint32_t next; /* of the same datagram, or free */
};

struct fragment_pool {
	struct pooled all[POOL_COUNT];
	uint32_t free;
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
	struct datagram datagrams[DATAGRAMS];
	uint32_t heads[DATAGRAMS];
	uint32_t oldest;
	uint32_t newest;
	uint32_t free;
};

size_t fragment_table_size(void)
{
	return sizeof(struct fragment_table);
}

void fragment_table_init(struct fragment_table *fragments)
{
	for (uint32_t i = 0; i < DATAGRAMS; i++) {
		fragments->heads[i] = FLOW_NONE;
		fragments->datagrams[i].newer =
			i + 1 < DATAGRAMS ? i + 1 : FLOW_NONE;
	}
	fragments->oldest = FLOW_NONE;
	fragments->newest = FLOW_NONE;
	fragments->free = 0;
}

size_t fragment_pool_size(void)
{
	return sizeof(struct fragment_pool);
}

void fragment_pool_init(struct fragment_pool *pool)
{
	for (uint32_t i = 0; i < POOL_COUNT; i++)
		pool->all[i].next = i + 1 < POOL_COUNT ? i + 1 : FLOW_NONE;
	pool->free = 0;
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

	return &table->fragments->heads[hash % DATAGRAMS];
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

/* There is room. */
static void pool_add(struct fragment_pool *pool, struct waiting *waiting,
		     const struct packet *packet)
{
	uint32_t index = pool->free;
	struct pooled *pooled = &pool->all[index];

	pool->free = pooled->next;
	*pooled = (struct pooled){
		.at_ns = stamp_clamp_ns(packet->at.ns),
		.ip_bytes = packet->ip_bytes,
		.payload_bytes = packet->payload_bytes,
		.packets = packet->packets,
		.segment_bytes = packet->segment_bytes,
		.next = FLOW_NONE,
	};
	if (waiting->frames == 0)
		waiting->first = index;
	else
		pool->all[waiting->last].next = index;
	waiting->last = index;
}

static void pool_give(struct fragment_pool *pool, const struct waiting *waiting)
{
	if (waiting->frames == 0)
		return;
	pool->all[waiting->last].next = pool->free;
	pool->free = waiting->first;
}

/* The statistics of those that wait, each with its own time; they are not in
 * the sums yet, which are here as if they were. */
static void pool_count(struct flow_table *table, const struct waiting *waiting,
		       uint32_t index, unsigned side)
{
	struct flow_hot *hot = &table->hot[index];
	uint64_t before = hot->sums[side].packets;
	uint32_t at = waiting->first;

	if (before + hot->sums[side ^ 1].packets == 0)
		hot->last_ns = table->pool->all[at].at_ns;
	for (; at != FLOW_NONE; at = table->pool->all[at].next) {
		const struct pooled *pooled = &table->pool->all[at];
		struct packet packet = {
			.at = {pooled->at_ns},
			.ip_bytes = pooled->ip_bytes,
			.payload_bytes = pooled->payload_bytes,
			.packets = pooled->packets,
			.segment_bytes = pooled->segment_bytes,
		};

		statistics_count(table, index, side, &packet);
		hot->sums[side].packets += pooled->packets;
		if (pooled->at_ns > hot->last_ns)
			hot->last_ns = pooled->at_ns;
	}
	hot->sums[side].packets = before;
}

/* Nothing waits any more. */
static void waiting_clear(struct flow_table *table, struct waiting *waiting)
{
	if (table->pool)
		pool_give(table->pool, waiting);
	memset(waiting, 0, sizeof *waiting);
}

/* Counts what waits in the flow that it belongs to. */
static void waiting_count(struct flow_table *table, struct waiting *waiting,
			  uint32_t index, unsigned side)
{
	struct flow_hot *hot = &table->hot[index];
	struct flow_sums *sums = &hot->sums[side];

	if (table->pool)
		pool_count(table, waiting, index, side);
	if (sums->packets == 0)
		table->cold[index].tos[side] = waiting->tos;
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
	if (datagram->waiting.frames)
		orphans_count(table, datagram);
	datagram->newer = fragments->free;
	fragments->free = index;
}

void fragment_pass(struct flow_table *table, int64_t by_ns)
{
	while (fragment_due_ns(table->fragments) <= by_ns &&
	       table->fragments->oldest != FLOW_NONE)
		oldest_give_up(table);
}

static struct datagram *datagram_add(struct flow_table *table,
				     const struct datagram *wanted)
{
	struct fragment_table *fragments = table->fragments;
	struct datagram *datagram;
	uint32_t *head;
	uint32_t index;

	if (fragments->free == FLOW_NONE) {
		table->counters.fragments_evicted++;
		oldest_give_up(table);
	}
	index = fragments->free;
	datagram = &fragments->datagrams[index];
	fragments->free = datagram->newer;
	memset(datagram, 0, sizeof *datagram);
	datagram->key = wanted->key;
	datagram->since_ns = table->now_ns;
	head = head_of(table, datagram);
	datagram->hash_next = *head;
	*head = index;
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
		pool_add(table->pool, waiting, packet);

	if (waiting->frames++ == 0) {
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
	while (table->pool->free == FLOW_NONE) {
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
