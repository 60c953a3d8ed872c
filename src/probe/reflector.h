/* The reflector.  A part of probe.h, which has the whole picture. */
#ifndef PROBE_REFLECTOR_H
#define PROBE_REFLECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/counter.h"
#include "base/stamp.h"
#include "probe/message.h"
#include "probe/socket.h"

/* Answers test packets on one or more sockets.  Never sends more bytes than
 * it got, never more packets than its token buckets allow, and forgets the
 * longest idle session when there are too many. */

/* X(name, unit, line).  received = answered + every other row but the last
 * three. */
#define REFLECTOR_COUNTERS(X)                                         \
	X(received, "packets", "came to the reflector")               \
	X(answered, "packets", "answered")                            \
	X(short_packets, "packets", "shorter than a test packet")     \
	X(hmac_wrong, "packets", "with the HMAC of another key")      \
	X(limited, "packets", "beyond the rate of their prefix")      \
	X(refused, "packets", "answers that the kernel did not take") \
	X(stamps_lost, "answers", "whose stamps never came")          \
	X(sessions, "sessions", "begun")                              \
	X(sessions_evicted, "sessions", "forgotten for want of room")

struct reflector_counters {
	REFLECTOR_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row reflector_counter_rows[];
extern const size_t reflector_counter_count;

#define REFLECTOR_SOCKETS_MAX  4
#define REFLECTOR_SESSIONS_MIN 16
#define REFLECTOR_SESSIONS_MAX 65536
#define REFLECTOR_RATE_PRESET  50000 /* packets a second and prefix */
#define REFLECTOR_PREFIX4      24
#define REFLECTOR_PREFIX6      56

/* For tests: a clock as it would be, by true time. */
struct reflector_clock {
	int64_t offset_ns; /* at 'from_ns' */
	int64_t from_ns;
	double drift_ppm;
	int64_t step_ns, step_at_ns; /* it is set by so much then */
};

/* How far it is ahead at that time. */
int64_t reflector_clock_ahead_ns(const struct reflector_clock *clock,
				 struct wall at);

struct reflector_options {
	const uint8_t *key; /* NULL: without authentication */
	size_t key_size;
	uint32_t session_count; /* remembered at most; 0: 4096 */
	uint32_t rate_pps;      /* for each prefix; 0: as many as come */
	bool stateless;    /* answers have the sender's numbers (RFC 8762 4) */
	bool refuse_class; /* answers keep the request's own DSCP */
	bool synchronized; /* the clock is set by NTP, PTP or the like */
	int64_t error_ns;  /* what the clock is known to; negative: unknown */
	const struct reflector_clock *clock; /* borrowed; NULL: the true one */
	const struct probe_watch *watch;     /* borrowed; NULL: none */
};

struct reflector;

/* Takes all memory.  Returns 0, -EINVAL or -ENOMEM. */
int reflector_create(const struct reflector_options *options,
		     struct reflector **ret_reflector);
/* Closes its sockets too. */
void reflector_destroy(struct reflector *reflector);

/* Takes the socket, unless it returns -ENOSPC. */
int reflector_socket_add(struct reflector *reflector,
			 struct probe_socket *socket);

/* Answers what waits; waits up to 'timeout_ms' if nothing does (0: not, -1:
 * for ever).  Returns how many were answered, 0, or -errno. */
int reflector_turn(struct reflector *reflector, int timeout_ms);

/* What became of a stamp. */
enum stamp_fate {
	STAMP_TAKEN,
	STAMP_EARLY, /* of a request not yet read: try again after a turn */
	STAMP_GONE,  /* of a packet that is not remembered, or never was */
};

/* A stamp of a request or answer from elsewhere (BPF): the packet is named
 * by the sender's address and its number. */
enum stamp_fate reflector_stamp_add(struct reflector *reflector,
				    const struct sockaddr_storage *peer,
				    uint32_t seq, enum leg leg,
				    enum point point, struct wall at);

struct reflector_counters reflector_counters(const struct reflector *reflector);

#endif
