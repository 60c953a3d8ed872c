/* What traffic is made of.
 *
 *     traffic.c        which flow is next, and when; UDP
 *     traffic_tcp.c    a connection from SYN to FIN
 *     traffic_frame.c  a packet's bytes
 */
#ifndef TRAFFIC_PRIVATE_H
#define TRAFFIC_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "traffic.h"

#include "base/random.h"

enum traffic_tunnel { PLAIN, VXLAN, GTPU, GRE, TRAFFIC_TUNNEL_COUNT };

/* Who talks to whom: 0 is the client. */
struct endpoints {
	uint8_t address[2][16]; /* IPv4: the first 4 bytes */
	uint16_t port[2];
	bool ip6;
	enum traffic_tunnel tunnel;
	uint32_t id; /* of the flow */
};

/* One packet to be written. */
struct segment {
	const struct endpoints *ends;
	unsigned from; /* 0: the client sends it */
	bool tcp;
	bool stamped; /* TCP: with timestamps */
	uint8_t flags;
	uint32_t sequence;
	uint32_t acknowledgment;
	uint32_t time_ms;
	uint32_t payload; /* bytes, all 0 */
};

/* A connection's state. */
struct connection {
	uint32_t id;
	uint32_t sequence[2]; /* the next to send */
	uint16_t round;       /* requests answered so far */
	uint8_t episode;      /* which script it follows */
	uint8_t step;         /* of the script */
};

struct traffic {
	struct traffic_options options;
	uint64_t random;
	uint64_t sent;
	uint64_t begun; /* flows, and the next one's number */
	uint64_t oldest;
	uint64_t replaced;
	uint32_t *ids;                  /* by slot; NULL: the slot itself */
	struct connection *connections; /* by slot; NULL: UDP */
	uint8_t attack[8];              /* begins the client's address */
};

static inline uint64_t traffic_mix(uint64_t z)
{
	return random_mix(z + RANDOM_STEP);
}

/* A number below 'bound' (at most 2^32) out of 64 random bits. */
static inline uint64_t traffic_below(uint64_t random, uint64_t bound)
{
	return (random >> 32) * bound >> 32;
}

/* Bytes of a frame by the options, from random bits. */
uint32_t traffic_size(const struct traffic *traffic, uint64_t random);

/* The next segment of the connection; at its end it begins anew as the flow
 * 'traffic->begun'.  *ends must outlive *ret_segment. */
void connection_next(struct traffic *traffic, struct connection *connection,
		     struct endpoints *ends, struct segment *ret_segment);

/* The flow's addresses and ports. */
void endpoints_make(const struct traffic *traffic, uint32_t id,
		    struct endpoints *ret_ends);

/* Bytes of headers in front of the payload, without a tunnel's. */
uint32_t segment_header_size(const struct segment *segment);

/* Writes the frame and returns its bytes; short ones are padded to 60. */
uint32_t segment_write(const struct segment *segment, uint8_t *frame);

#endif
