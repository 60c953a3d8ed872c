/* Traffic for benches: frames of made-up flows, the same for the same
 * options wherever and however often they are made.
 *
 * A fixed number of flows lives at a time; each packet picks one of them and
 * a direction at random, at a fixed rate.  The first packets begin every
 * flow in turn.  With new flows a second the oldest flow is replaced again
 * and again; in TCP mode a flow is a whole connection (handshake, requests,
 * answers and their ACKs, FINs) and its end makes room for the next.
 *
 * Endpoints follow from the flow's number alone, so a million flows need no
 * memory unless they are replaced (4 bytes a flow) or speak TCP (16).
 *
 * Threads: one object, one thread.
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stdint.h>

#define TRAFFIC_FRAME_MAX 1664 /* 1514 and the largest tunnel, rounded up */
#define TRAFFIC_SIZE_MIN  60
#define TRAFFIC_SIZE_MAX  1514
#define TRAFFIC_START_S   INT64_C(1700000000)

/* Of twelve: seven of 60, four of 566 and one of 1514 bytes (without FCS). */
#define TRAFFIC_IMIX 0

enum traffic_attack {
	TRAFFIC_ATTACK_NONE,
	TRAFFIC_ATTACK_PUBLISHED, /* collide under XXH3 as published, seed 0 */
	TRAFFIC_ATTACK_GUESSED,   /* collide under a secret that was guessed */
	TRAFFIC_ATTACK_COUNT
};

struct traffic_options {
	uint64_t seed;
	uint64_t rate_pps;           /* 1 to 1e9 */
	uint64_t flows;              /* alive at a time, 1 to 2^26 */
	uint64_t new_flows;          /* a second; 0: none are replaced */
	uint64_t size;               /* bytes a frame, or TRAFFIC_IMIX */
	uint64_t ip6_percent;        /* of the flows */
	uint64_t tunnel_percent;     /* of the flows: VXLAN, GTP-U, GRE */
	uint64_t tcp;                /* 1: TCP connections, 0: UDP */
	uint64_t retransmit_permill; /* of the answers: a segment comes twice */
	uint64_t reorder_permill;    /* of the answers: out of order */
	uint64_t elephant_percent;   /* of the packets belong to one flow */
	uint64_t attack;             /* enum traffic_attack */
};

/* The presets: a million packets a second of UDP over IPv4, 60 bytes. */
struct traffic_options traffic_options_preset(void);

struct traffic;

/* NULL: no memory, or an option out of range. */
struct traffic *traffic_create(const struct traffic_options *options);

/* Writes the next frame; returns its bytes and writes its time, in ns since
 * 1970.  Never more than TRAFFIC_FRAME_MAX. */
uint32_t traffic_next(struct traffic *traffic,
		      uint8_t frame[static TRAFFIC_FRAME_MAX],
		      int64_t *ret_at_ns);

/* NULL is fine. */
void traffic_destroy(struct traffic *traffic);

#endif
