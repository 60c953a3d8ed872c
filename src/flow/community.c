/* Names of a flow that others compute alike: flow_id and Community ID.
 *
 * FNV-1a: draft-eastlake-fnv.  Community ID version 1: SHA-1 over seed,
 * addresses, protocol, a zero and ports, the lower endpoint first; ICMP's
 * type stands for a port, and where it has no counterpart the direction is
 * kept.
 */
/* The low-level calls, and of them the one that digests a block: EVP looks
 * its digest up under locks for each record, which costs more than the digest,
 * and what is around the block costs as much as it does. */
#define OPENSSL_API_COMPAT 0x10100000L
#include <assert.h>
#include <endian.h>
#include <openssl/sha.h>
#include <string.h>

#include "flow/flow_key.h"

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x00000100000001b3)

struct text {
	uint8_t bytes[40]; /* seed 2, addresses 32, protocol 2, ports 4 */
	size_t size;
};

static void put(struct text *text, const void *bytes, size_t size)
{
	memcpy(text->bytes + text->size, bytes, size);
	text->size += size;
}

static void put_u16(struct text *text, uint16_t value)
{
	uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

	put(text, bytes, 2);
}

static void put_addresses(struct text *text, const struct packet_tuple *tuple)
{
	size_t size = tuple->ip_version == 6 ? 16 : 4;

	put(text, tuple->address[0], size);
	put(text, tuple->address[1], size);
}

/* Whether endpoint 0 is the numerically higher: address, then port. */
static unsigned descends(const struct packet_tuple *tuple)
{
	int order = memcmp(tuple->address[0], tuple->address[1], 16);

	return order > 0 || (order == 0 && tuple->port[0] > tuple->port[1]);
}

uint64_t flow_id_of(const struct packet_tuple *tuple)
{
	struct packet_tuple ordered;
	struct text text = {.size = 0};
	uint64_t hash = FNV_BASIS;

	key_order(tuple, descends(tuple), &ordered);
	put_addresses(&text, &ordered);
	put_u16(&text, ordered.port[0]);
	put_u16(&text, ordered.port[1]);
	put(&text, &ordered.protocol, 1);
	for (size_t i = 0; i < text.size; i++)
		hash = (hash ^ text.bytes[i]) * FNV_PRIME;
	return hash;
}

/* Only these have ports as the Community ID sees it. */
static bool community_ports(uint8_t protocol)
{
	switch (protocol) {
	case 1:
	case 6:
	case 17:
	case 58:
	case 132:
		return true;
	default:
		return false;
	}
}

static bool community_one_way(const struct packet_tuple *tuple)
{
	bool request;

	return (tuple->protocol == 1 || tuple->protocol == 58) &&
	       !icmp_two_way(tuple, &request);
}

static void community_text(const struct packet_tuple *tuple, uint16_t seed,
			   struct text *ret_text)
{
	bool ports = community_ports(tuple->protocol);
	struct packet_tuple ordered = *tuple;

	if (!ports) {
		ordered.port[0] = 0;
		ordered.port[1] = 0;
	}
	if (!community_one_way(tuple))
		key_order(tuple, descends(&ordered), &ordered);
	put_u16(ret_text, seed);
	put_addresses(ret_text, &ordered);
	put_u16(ret_text, (uint16_t)(ordered.protocol << 8));
	if (ports) {
		put_u16(ret_text, ordered.port[0]);
		put_u16(ret_text, ordered.port[1]);
	}
}

#define BLOCK_SIZE   64 /* FIPS 180-4, sections 5.1.1 and 6.1 */
#define DIGEST_WORDS 5  /* of 32 bits */

static_assert(sizeof(((struct text *)0)->bytes) + 1 + 8 <= BLOCK_SIZE,
	      "the text with its padding is one block");

/* SHA-1 of a text that fits one block, as numbers. */
static void block_digest(const struct text *text,
			 uint32_t ret_words[static DIGEST_WORDS])
{
	uint8_t block[BLOCK_SIZE] = {0};
	uint64_t bits = htobe64(text->size * 8);
	SHA_CTX sha;

	memcpy(block, text->bytes, sizeof text->bytes);
	block[text->size] = 0x80;
	memcpy(block + sizeof block - sizeof bits, &bits, sizeof bits);
	SHA1_Init(&sha);
	SHA1_Transform(&sha, block);
	ret_words[0] = sha.h0;
	ret_words[1] = sha.h1;
	ret_words[2] = sha.h2;
	ret_words[3] = sha.h3;
	ret_words[4] = sha.h4;
}

/* Base64 of 20 bytes (RFC 4648, section 4): 26 letters of six bits, one of
 * four and two zeros, and a sign for what is missing. */
static void digest_write(const uint32_t words[static DIGEST_WORDS], char *text)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz0123456789+/";
	uint64_t bits = 0;
	unsigned count = 0;

	for (unsigned i = 0; i < DIGEST_WORDS; i++) {
		bits = bits << 32 | words[i];
		for (count += 32; count >= 6; count -= 6)
			*text++ = letters[bits >> (count - 6) & 63];
	}
	*text++ = letters[bits << (6 - count) & 63];
	*text++ = '=';
	*text = '\0';
}

void flow_community_id(const struct packet_tuple *tuple, uint16_t seed,
		       char ret_text[static 32])
{
	struct text text = {.size = 0};
	uint32_t digest[DIGEST_WORDS];

	community_text(tuple, seed, &text);
	block_digest(&text, digest);
	ret_text[0] = '1';
	ret_text[1] = ':';
	digest_write(digest, ret_text + 2);
}
