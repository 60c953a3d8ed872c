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

__extension__ typedef unsigned __int128 key_address;

/* 1 if endpoint 0 comes after endpoint 1.  Any order will do as long as it is
 * always the same: this one takes the fewest instructions, and no branch,
 * because in traffic either direction is as likely. */
static inline unsigned key_descends(const struct packet_tuple *tuple)
{
	key_address a, b;
	unsigned ports = tuple->port[0] > tuple->port[1];

	memcpy(&a, tuple->address[0], sizeof a);
	memcpy(&b, tuple->address[1], sizeof b);
	return (unsigned)(a > b) | ((unsigned)(a == b) & ports);
}

/* *ret = *tuple, its endpoints exchanged if 'swap' is 1.  The last two words
 * are loaded and stored one by one: the hash reads them at once, and a load
 * that spans two stores has to wait for both to reach the cache. */
static inline void key_order(const struct packet_tuple *tuple, unsigned swap,
			     struct packet_tuple *ret)
{
	uint64_t mask = 0 - (uint64_t)swap;
	uint64_t words[4], difference, ports, rest;
	const uint8_t *from = (const uint8_t *)tuple;
	uint8_t *to = (uint8_t *)ret;

	memcpy(words, from, sizeof words);
	difference = (words[0] ^ words[2]) & mask;
	words[0] ^= difference;
	words[2] ^= difference;
	difference = (words[1] ^ words[3]) & mask;
	words[1] ^= difference;
	words[3] ^= difference;
	memcpy(to, words, sizeof words);
	memcpy(&ports, from + 32, sizeof ports);
	memcpy(&rest, from + 40, sizeof rest);
	difference = le64toh(ports); /* the lower half: exchange its halves */
	difference = (difference ^ (difference >> 16)) & mask & 0xffff;
	ports ^= htole64(difference | difference << 16);
	memcpy(to + 32, &ports, sizeof ports);
	memcpy(to + 40, &rest, sizeof rest);
}

static_assert(offsetof(struct packet_tuple, port) == 32,
	      "the ports begin the fifth word");

/* Both for IPv4 alone: the same order, and a hash of half the bytes, as 24 of
 * the 48 are 0. */
static inline unsigned key4_order(const struct packet_tuple *tuple,
				  bool one_way, struct packet_tuple *ret)
{
	uint64_t words[6], swap, difference;
	const uint8_t *from = (const uint8_t *)tuple;
	uint8_t *to = (uint8_t *)ret;
	unsigned side;

	memcpy(words, from, sizeof words);
	side = (unsigned)(words[0] > words[2]) |
	       ((unsigned)(words[0] == words[2]) &
		(unsigned)(tuple->port[0] > tuple->port[1]));
	side &= !one_way;
	swap = 0 - (uint64_t)side;
	difference = (words[0] ^ words[2]) & swap;
	words[0] ^= difference;
	words[2] ^= difference;
	words[4] = le64toh(words[4]);
	difference = (words[4] ^ (words[4] >> 16)) & swap & 0xffff;
	words[4] = htole64(words[4] ^ (difference | difference << 16));
	for (size_t i = 0; i < 6; i++)
		memcpy(to + i * 8, &words[i], 8);
	return side;
}

static inline uint64_t key4_hash(const struct flow_table *table,
				 const struct packet_tuple *tuple)
{
	const uint8_t *from = (const uint8_t *)tuple;
	uint64_t words[3], other;

	memcpy(&words[0], from, 8);
	memcpy(&other, from + 16, 8);
	words[0] |= other << 32;
	memcpy(&words[1], from + 32, 16);
	return XXH3_64bits_withSecret(words, sizeof words, table->secret,
				      sizeof table->secret);
}

static inline uint64_t key_hash(const struct flow_table *table,
				const struct packet_tuple *tuple)
{
	return XXH3_64bits_withSecret(tuple, sizeof *tuple, table->secret,
				      sizeof table->secret);
}

static inline void key_make(const struct flow_table *table,
			    const struct packet_tuple *tuple, bool one_way,
			    struct flow_key *ret_key)
{
	uint64_t hash;
	unsigned side;
	uint16_t tag;

	if (tuple->ip_version == 4) {
		side = key4_order(tuple, one_way, &ret_key->tuple);
		hash = key4_hash(table, &ret_key->tuple);
	} else {
		side = key_descends(tuple) & !one_way;
		key_order(tuple, side, &ret_key->tuple);
		hash = key_hash(table, &ret_key->tuple);
	}
	tag = (uint16_t)hash;
	ret_key->home = (uint32_t)(((hash >> 32) * table->bucket_count) >> 32);
	ret_key->tag = tag ? tag : 1;
	ret_key->side = (uint8_t)side;
}

#ifdef __SSE2__
static inline __m128i key_part(const struct packet_tuple *tuple, unsigned part)
{
	return _mm_loadu_si128((const __m128i *)(const void *)tuple + part);
}

static inline bool key_equal(const struct packet_tuple *a,
			     const struct packet_tuple *b)
{
	__m128i x = _mm_cmpeq_epi8(key_part(a, 0), key_part(b, 0));
	__m128i y = _mm_cmpeq_epi8(key_part(a, 1), key_part(b, 1));
	__m128i z = _mm_cmpeq_epi8(key_part(a, 2), key_part(b, 2));

	x = _mm_and_si128(_mm_and_si128(x, y), z);
	return _mm_movemask_epi8(x) == 0xffff;
}
#else
static inline bool key_equal(const struct packet_tuple *a,
			     const struct packet_tuple *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}
#endif

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
