/* A segment's bytes, from the outside in: Ethernet, perhaps a tunnel (VXLAN,
 * RFC 7348; GTP-U, 3GPP TS 29.281; GRE, RFC 2784), IP, UDP or TCP.  Lengths
 * and checksums are right; the payload is zeros and adds nothing to them. */
#include "traffic_private.h"

#include <string.h>

#define ETHERNET_SIZE 14
#define IP4_SIZE      20
#define IP6_SIZE      40
#define UDP_SIZE      8
#define TCP_SIZE      20
#define STAMPS_SIZE   12
#define PADDED_SIZE   60
#define TYPE_IP4      0x0800
#define TYPE_IP6      0x86dd
#define IPPROTO_GRE_  47
#define SYN           0x02

struct tunnel_row {
	uint16_t port; /* 0: no UDP */
	uint16_t size; /* of the tunnel's header */
	bool ethernet; /* inside is a frame */
};

static const struct tunnel_row tunnels[TRAFFIC_TUNNEL_COUNT] = {
	[VXLAN] = {4789, 8, true},
	[GTPU] = {2152, 8, false},
	[GRE] = {0, 4, false},
};

static uint8_t *put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
	return put16(put16(at, value >> 16), value);
}

static uint32_t sum16(const uint8_t *at, uint32_t size, uint32_t sum)
{
	for (uint32_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	return sum;
}

static uint32_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* A SYN's options: MSS, SACK permitted, timestamps, window scale; without
 * timestamps the same but for them. */
static uint32_t tcp_options_size(const struct segment *segment)
{
	if (segment->flags & SYN)
		return segment->stamped ? 24 : 12;
	return segment->stamped ? STAMPS_SIZE : 0;
}

static uint32_t transport_size(const struct segment *segment)
{
	return segment->tcp ? TCP_SIZE + tcp_options_size(segment) : UDP_SIZE;
}

static uint32_t packet_size(const struct segment *segment)
{
	return (segment->ends->ip6 ? IP6_SIZE : IP4_SIZE) +
	       transport_size(segment) + segment->payload;
}

uint32_t segment_header_size(const struct segment *segment)
{
	return ETHERNET_SIZE + packet_size(segment) - segment->payload;
}

static uint8_t *put_ethernet(uint8_t *at, unsigned from, uint16_t type)
{
	memset(at, 0, 12); /* 02:00:00:00:00:01 is the client */
	at[0] = at[6] = 2;
	at[5] = (uint8_t)(2 - from);
	at[11] = (uint8_t)(1 + from);
	return put16(at + 12, type);
}

static uint8_t *put_ip4(uint8_t *at, uint8_t protocol, uint32_t size,
			const uint8_t *source, const uint8_t *target)
{
	memset(at, 0, IP4_SIZE);
	at[0] = 0x45;
	(void)put16(at + 2, size);
	at[6] = 0x40; /* do not fragment */
	at[8] = 64;
	at[9] = protocol;
	memcpy(at + 12, source, 4);
	memcpy(at + 16, target, 4);
	(void)put16(at + 10, fold(sum16(at, IP4_SIZE, 0)));
	return at + IP4_SIZE;
}

static uint8_t *put_ip6(uint8_t *at, uint8_t protocol, uint32_t size,
			const uint8_t *source, const uint8_t *target)
{
	(void)put32(at, 0x60000000);
	(void)put16(at + 4, size - IP6_SIZE);
	at[6] = protocol;
	at[7] = 64;
	memcpy(at + 8, source, 16);
	memcpy(at + 24, target, 16);
	return at + IP6_SIZE;
}

static void put_tcp(uint8_t *at, const struct segment *segment)
{
	uint32_t size = transport_size(segment);
	uint8_t *option = at + TCP_SIZE;

	(void)put32(put32(at + 4, segment->sequence), segment->acknowledgment);
	at[12] = (uint8_t)(size / 4 << 4);
	at[13] = segment->flags;
	(void)put32(put16(at + 14, 64240), 0); /* window, checksum, urgent */
	if (segment->flags & SYN) {
		option = put32(option, 0x020405b4); /* MSS 1460 */
		option = put32(option, 0x01030307); /* scale 7 */
		option = put32(option, 0x01010402); /* SACK */
	}
	if (!segment->stamped)
		return;
	if (segment->flags & SYN)
		option = put16(option, 0x080a);
	else
		option = put32(option, 0x0101080a);
	option = put32(option, segment->time_ms);
	option = put32(option, segment->flags & SYN ? 0 : segment->time_ms - 1);
	if (segment->flags & SYN)
		(void)put16(option, 0x0101);
}

static void put_transport(uint8_t *at, const struct segment *segment,
			  uint32_t pseudo)
{
	const struct endpoints *ends = segment->ends;
	uint32_t size = transport_size(segment), sum;

	(void)put16(put16(at, ends->port[segment->from]),
		    ends->port[!segment->from]);
	if (segment->tcp)
		put_tcp(at, segment);
	else
		(void)put32(at + 4, (size + segment->payload) << 16);
	sum = fold(sum16(at, size, pseudo + size + segment->payload));
	if (segment->tcp)
		(void)put16(at + 16, sum);
	else
		(void)put16(at + 6, sum ? sum : 0xffff);
	memset(at + size, 0, segment->payload);
}

/* The IP packet; returns its end. */
static uint8_t *put_packet(uint8_t *at, const struct segment *segment)
{
	const struct endpoints *ends = segment->ends;
	const uint8_t *source = ends->address[segment->from];
	const uint8_t *target = ends->address[!segment->from];
	uint32_t size = packet_size(segment), width = ends->ip6 ? 16 : 4;
	uint8_t protocol = segment->tcp ? 6 : 17;
	uint32_t pseudo = sum16(target, width, sum16(source, width, protocol));
	uint8_t *transport =
		ends->ip6 ? put_ip6(at, protocol, size, source, target)
			  : put_ip4(at, protocol, size, source, target);

	put_transport(transport, segment, pseudo);
	return at + size;
}

static uint8_t *put_tunnel_header(uint8_t *at, const struct segment *segment,
				  uint32_t inner)
{
	uint32_t id = segment->ends->id;

	switch (segment->ends->tunnel) {
	case VXLAN: /* the network's number valid, 1 to 250 */
		return put32(put32(at, 0x08000000), (id % 250 + 1) << 8);
	case GTPU: /* version 1, a user's packet, its tunnel endpoint */
		return put32(put16(put16(at, 0x30ff), inner), id);
	default:
		return put32(at, segment->ends->ip6 ? TYPE_IP6 : TYPE_IP4);
	}
}

static uint8_t *put_outer(uint8_t *at, const struct segment *segment)
{
	const struct tunnel_row *row = &tunnels[segment->ends->tunnel];
	const uint8_t near[4] = {192, 0, 2, 1};
	const uint8_t far[4] = {198, 51, 100,
				(uint8_t)(segment->ends->id % 250 + 1)};
	uint32_t inner =
		packet_size(segment) + (row->ethernet ? ETHERNET_SIZE : 0);
	uint32_t size = row->size + inner + (row->port ? UDP_SIZE : 0);

	at = put_ip4(at, row->port ? 17 : IPPROTO_GRE_, IP4_SIZE + size,
		     segment->from ? far : near, segment->from ? near : far);
	if (row->port) {
		at = put16(put16(at, 49152 + segment->ends->id % 16384),
			   row->port);
		at = put32(at, size << 16);
	}
	return put_tunnel_header(at, segment, inner);
}

uint32_t segment_write(const struct segment *segment, uint8_t *frame)
{
	const struct endpoints *ends = segment->ends;
	uint16_t type = ends->ip6 ? TYPE_IP6 : TYPE_IP4;
	uint8_t *at = frame;

	if (ends->tunnel == PLAIN) {
		at = put_ethernet(at, segment->from, type);
	} else {
		at = put_ethernet(at, segment->from, TYPE_IP4);
		at = put_outer(at, segment);
		if (tunnels[ends->tunnel].ethernet)
			at = put_ethernet(at, segment->from, type);
	}
	at = put_packet(at, segment);
	if (at - frame < PADDED_SIZE) {
		memset(at, 0, (size_t)(PADDED_SIZE - (at - frame)));
		return PADDED_SIZE;
	}
	return (uint32_t)(at - frame);
}
