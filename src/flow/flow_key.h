/* Canonical order, hash and tags: the innermost part of a lookup.  Included
 * by the files of this room only.
 *
 * The hash is XXH3 over the whole canonical tuple with a secret drawn anew
 * at each start: who does not know it cannot choose tuples that collide.
 */
#ifndef FLOW_KEY_H
#define FLOW_KEY_H

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/cursor.h"
#include "flow/flow_private.h"

/* 1 if endpoint 0 is higher than endpoint 1; without a branch, because in
 * traffic either order is as likely. */
static inline unsigned key_descends(const struct packet_tuple *tuple)
{
	uint64_t a = load_be64(tuple->address[0]);
	uint64_t b = load_be64(tuple->address[1]);
	uint64_t c = load_be64(tuple->address[0] + 8);
	uint64_t d = load_be64(tuple->address[1] + 8);
	unsigned ports = tuple->port[0] > tuple->port[1];
	unsigned low = (unsigned)(c > d) | ((unsigned)(c == d) & ports);

	return (unsigned)(a > b) | ((unsigned)(a == b) & low);
}

/* *ret = *tuple, its endpoints exchanged if 'swap' is 1. */
static inline void key_order(const struct packet_tuple *tuple, unsigned swap,
			     struct packet_tuple *ret)
{
	uint64_t mask = 0 - (uint64_t)swap;
	uint64_t a[4], difference;
	unsigned ports;

	memcpy(a, tuple->address, sizeof a);
	difference = (a[0] ^ a[2]) & mask;
	a[0] ^= difference;
	a[2] ^= difference;
	difference = (a[1] ^ a[3]) & mask;
	a[1] ^= difference;
	a[3] ^= difference;
	memcpy(ret->address, a, sizeof a);
	ports = (unsigned)(tuple->port[0] ^ tuple->port[1]) & (unsigned)mask;
	ret->port[0] = (uint16_t)(tuple->port[0] ^ ports);
	ret->port[1] = (uint16_t)(tuple->port[1] ^ ports);
	memcpy(&ret->protocol, &tuple->protocol,
	       sizeof *tuple - offsetof(struct packet_tuple, protocol));
}

static inline void key_make(const struct flow_table *table,
			    const struct packet_tuple *tuple, bool one_way,
			    struct flow_key *ret_key)
{
	unsigned side = key_descends(tuple) & !one_way;
	uint64_t hash;
	uint16_t tag;

	key_order(tuple, side, &ret_key->tuple);
	hash = XXH3_64bits_withSecret(&ret_key->tuple, sizeof ret_key->tuple,
				      table->secret, sizeof table->secret);
	tag = (uint16_t)hash;
	ret_key->home = (uint32_t)(((hash >> 32) * table->bucket_count) >> 32);
	ret_key->tag = tag ? tag : 1;
	ret_key->side = (uint8_t)side;
}

static inline bool key_equal(const struct packet_tuple *a,
			     const struct packet_tuple *b)
{
	uint64_t x[6], y[6];

	memcpy(x, a, sizeof x);
	memcpy(y, b, sizeof y);
	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) |
		(x[4] ^ y[4]) | (x[5] ^ y[5])) == 0;
}

#define WAYS_MASK ((1u << BUCKET_WAYS) - 1)

/* A bit for each way whose tag is 'tag'. */
static inline unsigned tags_match_portable(const struct flow_bucket *bucket,
					   uint16_t tag)
{
	unsigned match = 0;

	for (unsigned way = 0; way < BUCKET_WAYS; way++)
		match |= (unsigned)(bucket->tags[way] == tag) << way;
	return match;
}

#ifdef __SSE2__
/* The second load runs into the entries: its upper lanes are masked off. */
static inline unsigned tags_match_simd(const struct flow_bucket *bucket,
				       uint16_t tag)
{
	const __m128i *lanes = (const __m128i *)(const void *)bucket;
	__m128i wanted = _mm_set1_epi16((short)tag);
	__m128i low = _mm_cmpeq_epi16(_mm_load_si128(lanes), wanted);
	__m128i high = _mm_cmpeq_epi16(_mm_load_si128(lanes + 1), wanted);

	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(low, high)) &
	       WAYS_MASK;
}
#endif

static inline unsigned tags_match(const struct flow_table *table,
				  const struct flow_bucket *bucket,
				  uint16_t tag)
{
#ifdef __SSE2__
	if (!table->portable)
		return tags_match_simd(bucket, tag);
#endif
	return tags_match_portable(bucket, tag);
}

#endif
