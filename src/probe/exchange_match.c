/* Which request a reply answers, by what both say.
 *
 *     DNS    the ID (RFC 1035 section 4.1.1) and the question
 *     NTP    the reply's origin is the request's transmit time (RFC 5905
 *            section 7.3)
 *     STAMP  the sender's number in the reply (RFC 8762 section 4.3)
 *     echo   all of the request
 *
 * By shape and on any port: two packets that look like a pair by accident are
 * the pair that order would make, or one of several, which is ambiguous.
 */
#include <string.h>
#include <xxhash.h>

#include "probe/exchange_private.h"

#define DNS_HEAD     12
#define DNS_PORT     53
#define NTP_SIZE     48
#define NTP_PORT     123
#define NTP_ORIGIN   24
#define NTP_TRANSMIT 40
#define STAMP_SIZE   44 /* unauthenticated, both ways */
#define STAMP_SENDER 24 /* the sender's number and time in a reply */
#define KEYED_SIZE   112
#define KEYED_SENDER 48

enum { NTP_CLIENT = 3, NTP_SERVER = 4 };

uint64_t exchange_packet_hash(const struct exchange_packet *packet)
{
	return XXH3_64bits_withSeed(packet->head, packet->head_size,
				    packet->size);
}

void exchange_half_set(struct half *half, const struct exchange_packet *packet,
		       uint32_t interface)
{
	half->hash = exchange_packet_hash(packet);
	half->interface = interface;
	half->size = packet->size;
	half->head_size = packet->head_size;
	memcpy(half->head, packet->head, packet->head_size);
}

bool exchange_half_is(const struct half *half,
		      const struct exchange_packet *packet, uint64_t hash)
{
	return half->hash == hash && half->size == packet->size &&
	       half->head_size == packet->head_size;
}

/* ---- DNS ----------------------------------------------------------------- */

static unsigned u16_at(const uint8_t *bytes)
{
	return (unsigned)bytes[0] << 8 | bytes[1];
}

static bool dns_is_query(const struct half *half)
{
	const uint8_t *head = half->head;

	return half->size >= DNS_HEAD && half->head_size >= DNS_HEAD &&
	       (head[2] & 0x80) == 0 && (head[2] & 0x78) <= 5 << 3 &&
	       u16_at(head + 4) == 1 && u16_at(head + 6) == 0;
}

/* Bytes of the question, as far as they lie in the head. */
static size_t dns_question_size(const struct half *query)
{
	size_t at = DNS_HEAD;

	while (at < query->head_size && query->head[at] != 0)
		at += 1 + (query->head[at] & 63);
	at += 1 + 4; /* the root; type and class */
	return (at < query->head_size ? at : query->head_size) - DNS_HEAD;
}

static bool dns_answers(const struct half *query,
			const struct exchange_packet *reply)
{
	const uint8_t *head = reply->head;
	size_t size;

	if (!dns_is_query(query) || reply->head_size < DNS_HEAD ||
	    memcmp(query->head, head, 2) != 0 || (head[2] & 0x80) == 0 ||
	    (head[2] & 0x78) != (query->head[2] & 0x78))
		return false;
	if (u16_at(head + 4) == 0)
		return true; /* a refusal need not repeat the question */
	size = dns_question_size(query);
	return u16_at(head + 4) == 1 && reply->head_size >= DNS_HEAD + size &&
	       memcmp(query->head + DNS_HEAD, head + DNS_HEAD, size) == 0;
}

/* ---- NTP ----------------------------------------------------------------- */

static bool is_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

static bool ntp_is_request(const struct half *half)
{
	return half->size >= NTP_SIZE && half->head_size >= NTP_SIZE &&
	       (half->head[0] & 7) == NTP_CLIENT &&
	       !is_zero(half->head + NTP_TRANSMIT, 8);
}

static bool ntp_answers(const struct half *request,
			const struct exchange_packet *reply)
{
	return ntp_is_request(request) && reply->head_size >= NTP_SIZE &&
	       (reply->head[0] & 7) == NTP_SERVER &&
	       memcmp(request->head + NTP_TRANSMIT, reply->head + NTP_ORIGIN,
		      8) == 0;
}

/* ---- STAMP --------------------------------------------------------------- */

/* The number and the time repeated; authenticated, the number behind zeros. */
static bool stamp_answers(const struct half *request,
			  const struct exchange_packet *reply)
{
	if (request->size >= KEYED_SIZE && reply->size >= KEYED_SIZE &&
	    request->head_size >= 16 && reply->head_size >= KEYED_SENDER + 4 &&
	    is_zero(request->head + 4, 12) && is_zero(reply->head + 4, 12))
		return memcmp(request->head, reply->head + KEYED_SENDER, 4) ==
		       0;
	return request->size >= STAMP_SIZE && reply->size >= STAMP_SIZE &&
	       request->head_size >= 12 &&
	       reply->head_size >= STAMP_SENDER + 12 &&
	       memcmp(request->head, reply->head + STAMP_SENDER, 12) == 0;
}

/* ---- all ----------------------------------------------------------------- */

static bool echo_answers(const struct half *request,
			 const struct exchange_packet *reply)
{
	return request->size > 0 && reply->size == request->size &&
	       reply->head_size == request->head_size && reply->head_size > 0 &&
	       memcmp(request->head, reply->head, reply->head_size) == 0;
}

bool exchange_identified(const struct half *request,
			 const struct exchange_packet *reply)
{
	return dns_answers(request, reply) || ntp_answers(request, reply) ||
	       stamp_answers(request, reply) || echo_answers(request, reply);
}

bool exchange_contradicts(const struct half *request,
			  const struct exchange_packet *reply)
{
	const uint8_t *head = reply->head;

	if (dns_is_query(request) && reply->head_size >= DNS_HEAD &&
	    (head[2] & 0x80) != 0 &&
	    (head[2] & 0x78) == (request->head[2] & 0x78))
		return !dns_answers(request, reply);
	if (ntp_is_request(request) && reply->head_size >= NTP_SIZE &&
	    (head[0] & 7) == NTP_SERVER)
		return !ntp_answers(request, reply);
	return false;
}

bool exchange_has_identifier(const struct half *request)
{
	return dns_is_query(request) || ntp_is_request(request);
}

bool exchange_is_reply(const struct exchange_packet *packet, bool comes)
{
	uint16_t server = comes ? packet->remote_port : packet->local_port;

	if (server == DNS_PORT && packet->head_size >= DNS_HEAD)
		return (packet->head[2] & 0x80) != 0;
	if (server == NTP_PORT && packet->head_size >= NTP_SIZE)
		return (packet->head[0] & 7) == NTP_SERVER;
	return false;
}
