/* Who began: told from the first packet seen, which need not be the first
 * that was sent.
 */
#include "flow/flow_private.h"

#define ICMP     1
#define TCP      6
#define UDP      17
#define DCCP     33
#define ICMP6    58
#define SCTP     132
#define UDP_LITE 136

/* System ports (RFC 6335, section 6) end at 1023, but clients that have to
 * show a privileged port (NFS, rsh) take one from 600 on. */
#define PORT_WELL_KNOWN_END  600
#define PORT_EPHEMERAL_BEGIN 32768 /* Linux's range, and IANA's above it */

/* Other ports where servers listen, sorted. */
static const uint16_t service_ports[] = {
	623,   631,   636,   646,   674,   853,   860,  873,  902,  953,  989,
	990,   992,   993,   995,   1080,  1194,  1433, 1521, 1701, 1723, 1812,
	1813,  1883,  1935,  2049,  2181,  2375,  2376, 2379, 3000, 3128, 3268,
	3306,  3389,  3478,  3868,  4222,  4500,  4739, 4789, 5000, 5060, 5061,
	5222,  5269,  5353,  5355,  5432,  5671,  5672, 5683, 5900, 5984, 6081,
	6379,  6443,  6653,  6667,  7000,  8000,  8008, 8080, 8081, 8086, 8443,
	8883,  8888,  9000,  9042,  9090,  9092,  9100, 9200, 9418, 9999, 10000,
	10050, 10051, 11211, 15672, 25565, 27017,
};

enum port_rank {
	PORT_SERVICE,
	PORT_REGISTERED,
	PORT_EPHEMERAL,
};

static bool service_listed(uint16_t port)
{
	size_t low = 0, high = sizeof service_ports / sizeof *service_ports;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (service_ports[middle] == port)
			return true;
		if (service_ports[middle] < port)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static enum port_rank port_rank(uint16_t port)
{
	if (port == 0)
		return PORT_EPHEMERAL;
	if (port < PORT_WELL_KNOWN_END || service_listed(port))
		return PORT_SERVICE;
	return port < PORT_EPHEMERAL_BEGIN ? PORT_REGISTERED : PORT_EPHEMERAL;
}

/* Whether the receiver's port is a client's and the sender's a server's.  A
 * well-known port beats a registered one.  Only where the start was surely
 * missed (no SYN) does the ephemeral range speak as well: a UDP packet is
 * more likely to be the first than an ephemeral port to be a client. */
static bool sender_serves(const struct packet_tuple *tuple)
{
	enum port_rank from = port_rank(tuple->port[0]);
	enum port_rank to = port_rank(tuple->port[1]);

	if (from == PORT_SERVICE && to == PORT_SERVICE)
		return tuple->port[0] < PORT_WELL_KNOWN_END &&
		       tuple->port[1] >= PORT_WELL_KNOWN_END;
	if (from == PORT_SERVICE || tuple->protocol == TCP)
		return from < to;
	return false;
}

static bool has_ports(uint8_t protocol)
{
	return protocol == TCP || protocol == UDP || protocol == SCTP ||
	       protocol == DCCP || protocol == UDP_LITE;
}

/* Whether nobody can answer from this address: multicast (RFC 5771, RFC
 * 4291), limited broadcast (RFC 919). */
static bool address_is_group(const uint8_t address[16], uint8_t ip_version)
{
	if (ip_version == 6)
		return address[0] == 0xff;
	return (address[0] & 0xf0) == 0xe0 ||
	       (address[0] & address[1] & address[2] & address[3]) == 0xff;
}

/* Requests and their replies (RFC 792, 950, 1256; RFC 4443, 4861, 2710,
 * 4620, 6275). */
static const struct icmp_pair {
	uint8_t protocol;
	uint8_t request;
	uint8_t reply;
} icmp_pairs[] = {
	{ICMP, 8, 0},      {ICMP, 13, 14},    {ICMP, 15, 16},
	{ICMP, 17, 18},    {ICMP, 10, 9},     {ICMP6, 128, 129},
	{ICMP6, 133, 134}, {ICMP6, 135, 136}, {ICMP6, 130, 131},
	{ICMP6, 139, 140}, {ICMP6, 144, 145},
};

bool icmp_two_way(const struct packet_tuple *tuple, bool *ret_request)
{
	size_t count = sizeof icmp_pairs / sizeof *icmp_pairs;

	*ret_request = false;
	for (size_t i = 0; i < count; i++) {
		const struct icmp_pair *pair = &icmp_pairs[i];

		if (pair->protocol != tuple->protocol)
			continue;
		*ret_request = pair->request == tuple->port[0];
		if (*ret_request && pair->reply == tuple->port[1])
			return true;
		if (pair->reply == tuple->port[0] &&
		    pair->request == tuple->port[1])
			return true;
	}
	*ret_request = false;
	return false;
}

static bool receiver_asked(const struct packet *packet)
{
	const struct packet_tuple *tuple = &packet->tuple;
	bool request;

	if (packet->flags & PACKET_ICMP_ONE_WAY ||
	    address_is_group(tuple->address[1], tuple->ip_version))
		return false;
	if (tuple->protocol == ICMP || tuple->protocol == ICMP6)
		return icmp_two_way(tuple, &request) && !request;
	return has_ports(tuple->protocol) && sender_serves(tuple);
}

struct initiator initiator_tell(const struct packet *packet)
{
	if (packet->tcp_flags & TCP_SYN)
		return (struct initiator){FLOW_INITIATOR_SYN,
					  packet->tcp_flags & TCP_ACK};
	if (receiver_asked(packet))
		return (struct initiator){FLOW_INITIATOR_PORT, true};
	return (struct initiator){FLOW_INITIATOR_FIRST, false};
}
