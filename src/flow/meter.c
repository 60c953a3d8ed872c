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
#include "flow/statistics_private.h"
#include "flow/tcp_private.h"

#define BATCH 32
#define AHEAD 4 /* packets: their sums are in the cache by then */

static_assert(BATCH <= ROOM_FLOWS, "a batch finds room for all its flows");

static_assert(offsetof(struct packet, ip_bytes) ==
			      offsetof(struct packet, frame_bytes) + 4 &&
		      offsetof(struct packet, payload_bytes) ==
			      offsetof(struct packet, frame_bytes) + 8 &&
		      offsetof(struct packet, packets) ==
			      offsetof(struct packet, frame_bytes) + 12,
	      "a packet's four numbers are in the order of the sums");

/* 'tos' is above 'packets' in its word and stays as it is. */
static inline void sums_add(struct flow_sums *sums, const struct packet *packet)
{
#ifdef __SSE2__
	const void *numbers = &packet->frame_bytes;
	__m128i *to = (__m128i *)(void *)sums;
	__m128i four = _mm_loadu_si128(numbers), zero = _mm_setzero_si128();

	_mm_store_si128(to, _mm_add_epi64(_mm_load_si128(to),
					  _mm_unpacklo_epi32(four, zero)));
	_mm_store_si128(to + 1, _mm_add_epi64(_mm_load_si128(to + 1),
					      _mm_unpackhi_epi32(four, zero)));
#else
	sums->frame_bytes += packet->frame_bytes;
	sums->bytes += packet->ip_bytes;
	sums->payload_bytes += packet->payload_bytes;
	sums->packets += packet->packets;
#endif
}

static inline void count(struct flow_table *table, uint32_t index,
			 unsigned side, const struct packet *packet)
{
	struct flow_hot *hot = &table->hot[index];
	struct flow_sums *sums = &hot->sums[side];
	int64_t at_ns = stamp_clamp_ns(packet->at.ns);

	if (__builtin_expect(sums->packets == 0, 0))
		sums->tos = packet->tos;
	sums_add(sums, packet);
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
	if (table->statistics.bytes)
		statistics_count(table, index, side, packet);
	count(table, index, side, packet);
	if (!table->tcp || !(packet->flags & PACKET_TCP))
		return;
	if (packet->flags & PACKET_FRAGMENT_LAST) /* and first: it is whole */
		tcp_count(table, index, side, packet);
	else
		tcp_lose(table, index, side);
}

/* Whether the entry is the packet's, open, and nothing but sums changes. */
static inline bool plain(const struct flow_table *table, uint32_t guess,
			 const struct flow_key *key,
			 const struct packet *packet)
{
	const struct flow_hot *hot = &table->hot[guess];

	return key_equal(&hot->key, &key->tuple) && !(hot->bits & HOT_WATCH) &&
	       !(packet->tcp_flags & TCP_SIGNALS) &&
	       table->now_ns - hot->last_ns < table->limit_ns[hot->phase];
}

/* What a table has beside the sums: it is known when each kind of it is
 * compiled. */
#define WITH_TCP        0x1u
#define WITH_STATISTICS 0x2u

static inline __attribute__((always_inline)) void
packet_meter(struct flow_table *table, const struct flow_key *key,
	     const struct packet *packet, uint32_t guess, unsigned with)
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
	if (with & WITH_STATISTICS)
		statistics_count(table, guess, key->side, packet);
	count(table, guess, key->side, packet);
	if (with & WITH_TCP && packet->flags & PACKET_TCP)
		tcp_count(table, guess, key->side, packet);
}

/* The entry that the key's tag points at, on its way to the cache. */
static inline __attribute__((always_inline)) uint32_t
guess_make(const struct flow_table *table, const struct flow_key *key,
	   unsigned with)
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
	if (with & WITH_TCP)
		__builtin_prefetch(&table->tcp[guess], 1);
	if (with & WITH_STATISTICS)
		statistics_prefetch(&table->statistics, guess, key->side);
	return guess;
}

static inline __attribute__((always_inline)) void
batch_meter(struct flow_table *table, const struct packet *packets,
	    unsigned count, unsigned with)
{
	struct flow_key keys[BATCH];
	uint32_t guesses[BATCH];

	for (unsigned i = 0; i < count; i++) {
		key_make(table, &packets[i].tuple,
			 packets[i].flags & PACKET_ICMP_ONE_WAY, &keys[i]);
		__builtin_prefetch(&table->buckets[keys[i].home], 1);
	}
	for (unsigned i = 0; i < count; i++)
		guesses[i] = guess_make(table, &keys[i], with);
	for (unsigned i = 0; i < count; i++) {
		if (with & WITH_STATISTICS && i + AHEAD < count &&
		    guesses[i + AHEAD] != FLOW_NONE)
			statistics_first_prefetch(table, guesses[i + AHEAD]);
		packet_meter(table, &keys[i], &packets[i], guesses[i], with);
	}
}

#define BATCH_METER(name, with)                                        \
	static void name(struct flow_table *table,                     \
			 const struct packet *packets, unsigned count) \
	{                                                              \
		batch_meter(table, packets, count, with);              \
	}

BATCH_METER(batch_plain, 0)
BATCH_METER(batch_tcp, WITH_TCP)
BATCH_METER(batch_statistics, WITH_STATISTICS)
BATCH_METER(batch_all, WITH_TCP | WITH_STATISTICS)

static void packets_meter(struct flow_table *table,
			  const struct packet *packets, size_t count)
{
	static void (*const kinds[])(struct flow_table * table,
				     const struct packet *packets,
				     unsigned count) = {
		batch_plain,
		[WITH_TCP] = batch_tcp,
		[WITH_STATISTICS] = batch_statistics,
		[WITH_TCP | WITH_STATISTICS] = batch_all,
	};
	unsigned with = (table->tcp ? WITH_TCP : 0) |
			(table->statistics.bytes ? WITH_STATISTICS : 0);

	while (count > 0) {
		unsigned part = count < BATCH ? (unsigned)count : BATCH;

		table_room_make(table);
		kinds[with](table, packets, part);
		packets += part;
		count -= part;
	}
}

void flow_table_meter(struct flow_table *table, const struct packet *packets,
		      size_t count)
{
	if (table->sample_threshold)
		flow_sampling_meter(table, packets, count, packets_meter);
	else
		packets_meter(table, packets, count);
}
