/* Packets into flows, 32 at a time in three passes, so that the memory they
 * need is on its way while others are looked at:
 *
 *     1  order and hash every tuple          prefetch its bucket
 *     2  compare tags                        prefetch its entry
 *     3  compare the key and count           in the packets' order
 *
 * What the second pass finds is a guess: before the third comes to it the
 * entry may have ended or the flow may just have begun.  The third compares
 * the whole key and, where the guess fails, looks again.
 */
#include "flow/flow_key.h"
#include "flow/tcp_private.h"

#define BATCH 32

static inline void count(struct flow_table *table, uint32_t index,
			 unsigned side, const struct packet *packet)
{
	struct flow_hot *hot = &table->hot[index];
	struct flow_sums *sums = &hot->sums[side];
	int64_t at_ns = stamp_clamp_ns(packet->at.ns);

	if (sums->packets == 0)
		table->cold[index].tos[side] = packet->tos;
	sums->frame_bytes += packet->frame_bytes;
	sums->bytes += packet->ip_bytes;
	sums->payload_bytes += packet->payload_bytes;
	sums->packets += packet->packets;
	hot->tcp_flags[side] |= packet->tcp_flags;
	if (packet->ttl < hot->ttl_min[side])
		hot->ttl_min[side] = packet->ttl;
	if (packet->ttl > hot->ttl_max[side])
		hot->ttl_max[side] = packet->ttl;
	if (at_ns >= hot->last_ns)
		hot->last_ns = at_ns;
	else
		flow_backdate(table, index, at_ns);
	table->counters.metered++;
	if (packet->packets > 1)
		table->counters.segments_extra += packet->packets - 1;
}

void flow_count(struct flow_table *table, uint32_t index, unsigned side,
		const struct packet *packet)
{
	count(table, index, side, packet);
	if (!table->tcp || !(packet->flags & PACKET_TCP))
		return;
	if (packet->flags & PACKET_FRAGMENT_LAST) /* and first: it is whole */
		tcp_count(table, index, side, packet);
	else
		tcp_lose(table, index, side);
}

static inline void time_take(struct flow_table *table,
			     const struct packet *packet)
{
	int64_t at_ns = stamp_clamp_ns(packet->at.ns);

	if (at_ns < table->previous_ns)
		table->counters.time_backwards++;
	table->previous_ns = at_ns;
	if (at_ns <= table->now_ns)
		return;
	table->now_ns = at_ns;
	if (at_ns >= table->event_ns)
		flow_time_pass(table);
}

/* Whether the entry is the packet's, open, and nothing but sums changes. */
static inline bool plain(const struct flow_table *table, uint32_t guess,
			 const struct flow_key *key,
			 const struct packet *packet)
{
	const struct flow_hot *hot = &table->hot[guess];

	return key_equal(&hot->key, &key->tuple) && !(hot->bits & HOT_WATCH) &&
	       !(packet->tcp_flags & TCP_SIGNALS) &&
	       table->now_ns - hot->last_ns < table->limit_ns[hot->state];
}

static inline __attribute__((always_inline)) void
packet_meter(struct flow_table *table, const struct flow_key *key,
	     const struct packet *packet, uint32_t guess, bool metrics)
{
	time_take(table, packet);
	if (packet->flags & PACKET_FRAGMENT) {
		fragment_meter(table, packet);
		return;
	}
	if (guess == FLOW_NONE || !plain(table, guess, key, packet))
		guess = flow_enter(table, key, packet);
	if (guess == FLOW_NONE)
		return;
	count(table, guess, key->side, packet);
	if (metrics && packet->flags & PACKET_TCP)
		tcp_count(table, guess, key->side, packet);
}

/* The entry that the key's tag points at, on its way to the cache. */
static inline __attribute__((always_inline)) uint32_t
guess_make(const struct flow_table *table, const struct flow_key *key,
	   bool metrics)
{
	const struct flow_bucket *bucket = &table->buckets[key->home];
	unsigned match = tags_match(table, bucket, key->tag);
	uint32_t guess;

	if (!match && bucket->passed) {
		bucket++; /* its neighbour, unless it is the last */
		if (key->home + 1 < table->bucket_count)
			match = tags_match(table, bucket, key->tag);
	}
	if (!match)
		return FLOW_NONE;
	guess = bucket->entries[__builtin_ctz(match)];
	__builtin_prefetch(&table->hot[guess], 1);
	__builtin_prefetch(&table->hot[guess].sums, 1);
	if (metrics)
		__builtin_prefetch(&table->tcp[guess], 1);
	return guess;
}

/* 'metrics' is known when it is compiled: there are two of it. */
static inline __attribute__((always_inline)) void
batch_meter(struct flow_table *table, const struct packet *packets,
	    unsigned count, bool metrics)
{
	struct flow_key keys[BATCH];
	uint32_t guesses[BATCH];

	for (unsigned i = 0; i < count; i++) {
		key_make(table, &packets[i].tuple,
			 packets[i].flags & PACKET_ICMP_ONE_WAY, &keys[i]);
		__builtin_prefetch(&table->buckets[keys[i].home], 1);
	}
	for (unsigned i = 0; i < count; i++)
		guesses[i] = guess_make(table, &keys[i], metrics);
	for (unsigned i = 0; i < count; i++)
		packet_meter(table, &keys[i], &packets[i], guesses[i], metrics);
}

static void batch_meter_plain(struct flow_table *table,
			      const struct packet *packets, unsigned count)
{
	batch_meter(table, packets, count, false);
}

static void batch_meter_tcp(struct flow_table *table,
			    const struct packet *packets, unsigned count)
{
	batch_meter(table, packets, count, true);
}

void flow_table_meter(struct flow_table *table, const struct packet *packets,
		      size_t count)
{
	while (count > 0) {
		unsigned part = count < BATCH ? (unsigned)count : BATCH;

		if (table->tcp)
			batch_meter_tcp(table, packets, part);
		else
			batch_meter_plain(table, packets, part);
		packets += part;
		count -= part;
	}
}
