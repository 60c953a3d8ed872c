/* The sender.  A part of probe.h, which has the whole picture. */
#ifndef PROBE_SENDER_H
#define PROBE_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/counter.h"
#include "probe/message.h"
#include "probe/socket.h"

struct fault;

/* Sends a packet in each slot of a schedule and joins what comes back.  Every
 * slot becomes a trip, sent or not: nothing is left out of the account. */

/* X(name, unit, line).  slots = sent + skipped + failed;
 * sent = answered + lost + those still awaited. */
#define SENDER_COUNTERS(X)                                                    \
	X(slots, "slots", "of the schedule so far")                           \
	X(sent, "packets", "sent")                                            \
	X(late, "packets", "sent later than the tolerance")                   \
	X(skipped, "slots", "gone by before a packet could be sent")          \
	X(failed, "packets", "refused by the system")                         \
	X(answered, "packets", "answered in time")                            \
	X(lost, "packets", "not answered in time")                            \
	X(duplicates, "answers", "to packets that were answered before")      \
	X(too_late, "answers", "that came after their time limit")            \
	X(strange, "packets", "that answer nothing of this session")          \
	X(short_packets, "packets", "too short for an answer")                \
	X(hmac_wrong, "answers", "with the HMAC of another key")              \
	X(tlvs_unrecognized, "answers",                                       \
	  "with a TLV the reflector does not know")                           \
	X(tlvs_malformed, "answers", "with a TLV that is damaged")            \
	X(tlvs_integrity, "answers", "whose TLVs do not prove themselves")    \
	X(refusals, "messages", "of ICMP: nobody there, no way, not allowed") \
	X(clock_steps, "steps", "of this host's clock")

struct sender_counters {
	SENDER_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row sender_counter_rows[];
extern const size_t sender_counter_count;

#define SENDER_RATE_MIN_HZ 0.001
#define SENDER_RATE_MAX_HZ 20000.0
#define SENDER_TIMEOUT_S   1

struct sender_options {
	const struct sockaddr *local;
	const struct sockaddr *remote;
	const char *interface; /* NULL: any */
	const uint8_t *key;    /* NULL: without authentication */
	size_t key_size;
	bool echo;        /* the peer sends back what it gets, and no more */
	bool poisson;     /* else isochronous */
	uint64_t seed;    /* of the Poisson schedule */
	double rate_hz;   /* SENDER_RATE_MIN_HZ to SENDER_RATE_MAX_HZ */
	uint32_t count;   /* slots; 0: until stopped */
	int64_t start_ns; /* CLOCK_MONOTONIC of the first slot; 0: at once */
	size_t size;      /* UDP payload; 0: as long as the TLVs are */
	uint8_t dscp, ttl;
	int dscp_wanted; /* of the answers; -1: as the requests' */
	bool sleep;      /* wait for answers asleep, not spinning */
	bool hardware;   /* the card's stamps too */
	bool unstamped;  /* no stamps of the kernel: T0 */
	bool interleave; /* every other packet's way out unstamped: what do
			    the stamps cost? */
	const struct probe_watch *watch; /* borrowed; NULL: none */
	point_set wanted;   /* of the reflector's points; 0: those of T1 */
	int64_t timeout_ns; /* 0: SENDER_TIMEOUT_S */
	int64_t late_ns;    /* tolerance of a slot; 0: a tenth of its length,
			       10 us at least */
	bool synchronized;
	int64_t error_ns; /* what the clock is known to; negative: unknown */
	/* Each trip once, in order of 'seq', when its time limit is past;
	 * valid during the call. */
	void (*emit)(void *context, const struct trip *trip);
	void *context;
};

struct sender;

/* Opens the socket, takes all memory.  Returns 0 or a negative code, and
 * *ret_fault says why. */
int sender_create(const struct sender_options *options,
		  struct sender **ret_sender, struct fault *ret_fault);
void sender_destroy(struct sender *sender);

/* One slot: waits for it, joins meanwhile what comes back, sends.  After the
 * last one (or sender_stop()): waits for what is still under way.  Returns 1,
 * 0 when all is over, or -errno.  Blocks up to a slot, 100 ms at most. */
int sender_turn(struct sender *sender);

/* No further slots.  From any thread or a signal handler. */
void sender_stop(struct sender *sender);

/* The points that trips of this run can have at best. */
point_set sender_points(const struct sender *sender);
/* Bytes of UDP payload that are sent. */
size_t sender_size(const struct sender *sender);
/* True once an answer came with the reflector's own stamps (TLV_POINTS). */
bool sender_peer_knows_points(const struct sender *sender);
/* The last refusal, "" if none. */
const char *sender_refusal(const struct sender *sender);

/* A stamp of one of this host's points from elsewhere (BPF).  False: that
 * packet is no longer known. */
bool sender_stamp_add(struct sender *sender, uint32_t seq, enum leg leg,
		      enum point point, struct wall at);

struct sockaddr_storage sender_local(const struct sender *sender);
struct sender_counters sender_counters(const struct sender *sender);

#endif
