#include "cli/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* IANA "Assigned Internet Protocol Numbers". */
static const char *const protocols[256] = {
	[0] = "hopopt", [1] = "icmp",   [2] = "igmp",      [4] = "ipip",
	[6] = "tcp",    [17] = "udp",   [33] = "dccp",     [41] = "ipv6",
	[47] = "gre",   [50] = "esp",   [51] = "ah",       [58] = "icmp6",
	[88] = "eigrp", [89] = "ospf",  [103] = "pim",     [112] = "vrrp",
	[115] = "l2tp", [132] = "sctp", [136] = "udplite",
};

char *protocol_text(uint8_t protocol, char ret_text[static PROTOCOL_SIZE])
{
	if (protocols[protocol])
		snprintf(ret_text, PROTOCOL_SIZE, "%s", protocols[protocol]);
	else
		snprintf(ret_text, PROTOCOL_SIZE, "%u", protocol);
	return ret_text;
}

char *address_text(const uint8_t address[16], uint8_t ip_version,
		   char ret_text[static ENDPOINT_SIZE])
{
	if (!inet_ntop(ip_version == 4 ? AF_INET : AF_INET6, address, ret_text,
		       ENDPOINT_SIZE))
		*ret_text = 0;
	return ret_text;
}

static bool has_ports(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return true;
	default:
		return false;
	}
}

char *endpoint_text(const struct packet_tuple *tuple, int side,
		    char ret_text[static ENDPOINT_SIZE])
{
	char address[ENDPOINT_SIZE];

	address_text(tuple->address[side], tuple->ip_version, address);
	if (!has_ports(tuple->protocol))
		snprintf(ret_text, ENDPOINT_SIZE, "%.46s", address);
	else
		snprintf(ret_text, ENDPOINT_SIZE,
			 tuple->ip_version == 4 ? "%.46s:%u" : "[%.46s]:%u",
			 address, tuple->port[side]);
	return ret_text;
}

char *fit_text(const char *text, size_t width, char *buffer, size_t size)
{
	size_t length = strlen(text);
	size_t left, right;

	if (width >= size)
		width = size - 1;
	if (length <= width || width < 4) {
		snprintf(buffer, size, "%-*.*s", (int)width, (int)width, text);
		return buffer;
	}
	/* The end has the port: it is worth more than the middle. */
	right = (width - 2) * 2 / 3;
	left = width - 2 - right;
	snprintf(buffer, size, "%.*s..%s", (int)left, text,
		 text + length - right);
	return buffer;
}
