/* Transport headers: ports or ICMP types, and where the payload begins.
 *
 * TCP RFC 9293, UDP RFC 768, UDP-Lite RFC 3828, SCTP RFC 9260, DCCP RFC 4340,
 * ICMP RFC 792, 950, 1256, ICMPv6 RFC 4443, 4861, 2710, 4620, 6275.  Whatever
 * else there is has no ports and is all payload.
 */
#include "packet/packet_private.h"

#define PORTS_SIZE        4
#define ICMP_TYPE_SIZE    2 /* type and code */
#define OTHER_HEADER_SIZE 8
#define SCTP_HEADER_SIZE  12
#define DCCP_HEADER_SIZE  12
#define TCP_OFFSET_PLACE  12
#define TCP_FLAGS_PLACE   13
#define DCCP_OFFSET_PLACE 4
#define UDP_SIZE_PLACE    4

/* Types that ask and answer each other: Community ID version 1. */
static const struct icmp_pair {
	uint8_t protocol;
	uint8_t type[2];
} icmp_pairs[] = {
	{PROTOCOL_ICMP, {8, 0}},      /* echo */
	{PROTOCOL_ICMP, {13, 14}},    /* timestamp */
	{PROTOCOL_ICMP, {15, 16}},    /* information */
	{PROTOCOL_ICMP, {10, 9}},     /* router */
	{PROTOCOL_ICMP, {17, 18}},    /* address mask */
	{PROTOCOL_ICMP6, {128, 129}}, /* echo */
	{PROTOCOL_ICMP6, {130, 131}}, /* multicast listener */
	{PROTOCOL_ICMP6, {133, 134}}, /* router */
	{PROTOCOL_ICMP6, {135, 136}}, /* neighbour */
	{PROTOCOL_ICMP6, {139, 140}}, /* node information */
	{PROTOCOL_ICMP6, {144, 145}}, /* home agent address */
};

static bool icmp_counterpart(uint8_t protocol, uint8_t type, uint16_t *ret_type)
{
	for (size_t i = 0; i < sizeof icmp_pairs / sizeof *icmp_pairs; i++) {
		const struct icmp_pair *pair = &icmp_pairs[i];

		if (pair->protocol != protocol)
			continue;
		if (pair->type[0] == type)
			*ret_type = pair->type[1];
		else if (pair->type[1] == type)
			*ret_type = pair->type[0];
		else
			continue;
		return true;
	}
	return false;
}

static void icmp_decode(const uint8_t *at, struct packet *p)
{
	struct packet_tuple *tuple = &p->tuple;

	p->icmp_type = at[0];
	p->icmp_code = at[1];
	tuple->port[0] = at[0];
	tuple->port[1] = at[1];
	if (!icmp_counterpart(tuple->protocol, at[0], &tuple->port[1]))
		p->flags |= PACKET_ICMP_ONE_WAY;
}

/* The size of a header counted in words of 4 bytes; 0: not possible. */
static uint32_t words_size(uint32_t words, uint32_t size_min)
{
	return words * 4 < size_min ? 0 : words * 4;
}

/* The size of the TCP header in 'captured' bytes; without the byte that
 * tells, that of one without options. */
static uint32_t tcp_header(const uint8_t *at, size_t captured, struct packet *p)
{
	uint32_t size = TCP_HEADER_SIZE;

	if (captured > TCP_OFFSET_PLACE)
		size = words_size(at[TCP_OFFSET_PLACE] >> 4, TCP_HEADER_SIZE);
	if (size == 0)
		return 0;
	if (captured > TCP_FLAGS_PLACE)
		p->tcp_flags = at[TCP_FLAGS_PLACE];
	if (captured >= TCP_HEADER_SIZE)
		tcp_decode(at, captured, p);
	return size;
}

/* The datagram ends where its size field says; a size of 0 is that of a
 * jumbogram (RFC 2675 4): all there is. */
static uint32_t udp_header(const uint8_t *at, size_t captured, struct walk *w)
{
	uint32_t size = captured >= UDP_SIZE_PLACE + 2
				? load_be16(at + UDP_SIZE_PLACE)
				: 0;

	if (size > 0 && size < UDP_HEADER_SIZE)
		return 0;
	if (size > 0)
		walk_narrow(w, w->transport + size);
	return UDP_HEADER_SIZE;
}

static uint32_t dccp_header(const uint8_t *at, size_t captured)
{
	if (captured <= DCCP_OFFSET_PLACE)
		return DCCP_HEADER_SIZE;
	return words_size(at[DCCP_OFFSET_PLACE], DCCP_HEADER_SIZE);
}

/* The size of the transport header, 0 if it cannot be. */
static uint32_t header_decode(struct walk *w, struct packet *p)
{
	const uint8_t *at = w->c.at;
	size_t captured = cursor_size(&w->c);

	switch (p->tuple.protocol) {
	case PROTOCOL_TCP:
		return tcp_header(at, captured, p);
	case PROTOCOL_UDP:
		return udp_header(at, captured, w);
	case PROTOCOL_DCCP:
		return dccp_header(at, captured);
	case PROTOCOL_SCTP:
		return SCTP_HEADER_SIZE;
	default: /* ICMP; UDP-Lite, whose size field is the checksum's */
		return OTHER_HEADER_SIZE;
	}
}

/* The payload is behind 'header' bytes, within the walk. */
static void payload_set(struct walk *w, struct packet *p, uint32_t header)
{
	uint32_t size = w->wire - w->transport;

	if (header > size)
		header = size;
	w->payload = w->transport + header;
	p->transport_offset = (uint16_t)w->transport;
	p->payload_offset = walk_clip(
		w->payload, walk_offset(w) + (uint32_t)cursor_size(&w->c));
	p->payload_bytes = size - header;
}

/* How many bytes a flow's identity takes, 0: the protocol has none. */
static uint32_t ports_size(uint8_t protocol)
{
	switch (protocol) {
	case PROTOCOL_TCP:
	case PROTOCOL_UDP:
	case PROTOCOL_UDPLITE:
	case PROTOCOL_SCTP:
	case PROTOCOL_DCCP:
		return PORTS_SIZE;
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMP6:
		return ICMP_TYPE_SIZE;
	default:
		return 0;
	}
}

enum verdict transport_decode(struct walk *w, struct packet *p)
{
	uint32_t ports = ports_size(p->tuple.protocol);
	const uint8_t *at = w->c.at;
	uint32_t header;

	if (w->transport > UINT16_MAX)
		return VERDICT_DEPTH;
	if (ports == 0 || p->fragment_offset > 0) {
		payload_set(w, p, 0);
		return VERDICT_OK;
	}
	if (w->wire - w->transport < ports && p->flags & PACKET_FRAGMENT) {
		p->flags |= PACKET_NO_PORTS;
		payload_set(w, p, 0);
		return VERDICT_OK;
	}
	if (cursor_size(&w->c) < ports)
		return VERDICT_TRANSPORT_TRUNCATED;
	header = header_decode(w, p);
	if (header == 0)
		return VERDICT_TRANSPORT_HEADER;
	if (ports == PORTS_SIZE) {
		p->tuple.port[0] = load_be16(at);
		p->tuple.port[1] = load_be16(at + 2);
	} else {
		icmp_decode(at, p);
	}
	payload_set(w, p, header);
	return VERDICT_OK;
}
