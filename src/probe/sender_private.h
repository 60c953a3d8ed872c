/* What a sender is made of.  Included by this room only. */
#ifndef SENDER_PRIVATE_H
#define SENDER_PRIVATE_H

#include <stdatomic.h>

#include "base/err.h"
#include "probe/probe.h"

#define CLOSING_COUNT 64 /* packets behind the last slot: they fetch stamps */
#define ANSWERS_KNOWN 4  /* the reflector's numbers of a packet's answers */

/* A trip while it is under way. */
struct passage {
	struct trip trip;
	bool begun, sent, answered, done;
	bool came, again, late; /* at the reflector, as it says */
	bool told;              /* the reflector spoke of it */
	uint8_t answers;        /* told apart by the reflector's number */
	uint32_t numbers[ANSWERS_KNOWN];
	int64_t sent_mono_ns, answered_mono_ns;
};

struct sender {
	struct sender_options options;
	struct probe_socket *socket;
	struct message_key *key;
	struct message message; /* made once, sealed anew for each packet */
	uint8_t *bytes;
	uint16_t ssid;
	uint16_t error_estimate;
	int step_fd; /* timerfd that ends when CLOCK_REALTIME is set */
	atomic_bool stop;

	struct passage *passages; /* by sequence number */
	uint32_t mask;
	uint32_t *reflected; /* the sender's number by the reflector's */
	uint32_t next;       /* slot to come */
	uint32_t emitted;    /* trips handed out */
	uint32_t closing;    /* closing packets sent */
	uint32_t stamps_due;
	uint64_t random;

	int64_t interval_ns;
	int64_t slot_ns; /* CLOCK_MONOTONIC, of 'next' */
	int64_t start_ns;
	int64_t checked_ns;   /* no step of the clock up to here */
	int64_t last_sent_ns; /* CLOCK_MONOTONIC */
	int64_t rtt_max_ns;
	uint32_t highest; /* answered or told: for what is overtaken */
	uint32_t number_highest;
	bool number_known;
	struct message_seen seen;
	bool peer_knows_points;
	bool slack_set;
	struct fault refusal;
	struct sender_counters counters;
};

static inline struct passage *passage_at(struct sender *sender, uint32_t seq)
{
	return &sender->passages[seq & sender->mask];
}

/* sender_join.c: takes what waits in the socket; returns how many packets,
 * or -errno. */
int sender_take(struct sender *sender);
/* Completes what can be said of a trip whose time is past. */
void passage_finish(struct sender *sender, struct passage *passage);
void passage_stamp(struct passage *passage, enum leg leg, enum point point,
		   struct wall at);

#endif
