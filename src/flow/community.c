/* Names of a flow that others compute alike: flow_id and Community ID.
 *
 * FNV-1a: draft-eastlake-fnv.  Community ID version 1: SHA-1 over seed,
 * addresses, protocol, a zero and ports, the lower endpoint first; ICMP's
 * type stands for a port, and where it has no counterpart the direction is
 * kept.
 */
/* The low-level calls: EVP looks its digest up under locks for each record,
 * which costs more than the digest of one block. */
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/evp.h>
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
	static const uint8_t protocols[] = {1, 6, 17, 58, 132};

	return memchr(protocols, protocol, sizeof protocols) != NULL;
}

static bool community_one_way(const struct packet_tuple *tuple)
{
	bool request;

	return (tuple->protocol == 1 || tuple->protocol == 58) &&
	       !icmp_two_way(tuple, &request);
}

void flow_community_id(const struct packet_tuple *tuple, uint16_t seed,
		       char ret_text[static 32])
{
	struct packet_tuple ordered = *tuple;
	struct text text = {.size = 0};
	uint8_t digest[SHA_DIGEST_LENGTH]; /* 28 characters of base64 */
	SHA_CTX sha;

	if (!community_ports(tuple->protocol)) {
		ordered.port[0] = 0;
		ordered.port[1] = 0;
	}
	if (!community_one_way(tuple))
		key_order(tuple, descends(&ordered), &ordered);
	put_u16(&text, seed);
	put_addresses(&text, &ordered);
	put_u16(&text, (uint16_t)(ordered.protocol << 8));
	if (community_ports(tuple->protocol)) {
		put_u16(&text, ordered.port[0]);
		put_u16(&text, ordered.port[1]);
	}
	SHA1_Init(&sha);
	SHA1_Update(&sha, text.bytes, text.size);
	SHA1_Final(digest, &sha);
	ret_text[0] = '1';
	ret_text[1] = ':';
	(void)EVP_EncodeBlock((uint8_t *)ret_text + 2, digest, sizeof digest);
}
