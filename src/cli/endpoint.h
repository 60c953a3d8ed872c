/* Who talks to whom, as people write it.
 *
 * Threads: pure, any thread. */
#ifndef CLI_ENDPOINT_H
#define CLI_ENDPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "packet/packet.h"

#define ENDPOINT_SIZE 56 /* "[IPv6 address]:65535" */
#define PROTOCOL_SIZE 8

/* "192.0.2.1:443", "[2001:db8::1]:443"; without a port for protocols that
 * have none.  'side' is 0 for the initiator, 1 for the responder. */
char *endpoint_text(const struct packet_tuple *tuple, int side,
		    char ret_text[static ENDPOINT_SIZE]);

/* "192.0.2.1", "2001:db8::1". */
char *address_text(const uint8_t address[16], uint8_t ip_version,
		   char ret_text[static ENDPOINT_SIZE]);

/* "tcp", "icmp6", or the number. */
char *protocol_text(uint8_t protocol, char ret_text[static PROTOCOL_SIZE]);

/* 'text' in 'width' columns: padded behind, or its middle left out. */
char *fit_text(const char *text, size_t width, char *buffer, size_t size);

#endif
