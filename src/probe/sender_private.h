/* What a sender is made of.  Included by this room only. */
#ifndef SENDER_PRIVATE_H
#define SENDER_PRIVATE_H

#include <stdatomic.h>

#include "base/err.h"
#include "probe/probe.h"
#include "probe/watch_private.h"

#define ANSWERS_KNOWN 4 /* of one packet, told apart */

/* The reflector's part of T1. */
#define TOLD_ALWAYS                                                           \
	(POINT_BIT(LEG_FORWARD, POINT_RECEIVED) |                             \
	 POINT_BIT(LEG_FORWARD, POINT_RECEIVE) |                              \
	 POINT_BIT(LEG_BACK, POINT_SEND) | POINT_BIT(LEG_BACK, POINT_SCHED) | \
	 POINT_BIT(LEG_BACK, POINT_SENT))

/* A trip while it is under way. */
struct passage {
	struct trip trip;
	bool begun, sent, answered;
	uint8_t answers; /* told apart by the reflector's number and time */
	uint32_t numbers[ANSWERS_KNOWN];
	int64_t times_ns[ANSWERS_KNOWN];
	int64_t sent_mono_ns, answered_mono_ns;
};

/* What the reflector says of 64 packets; the bit of a packet is the lowest
 * six of its number. */
struct block {
	uint64_t told; /* it spoke of this packet at all */
	uint64_t came, extra[2], late;
	bool closed; /* told after the last slot */
};

struct sender {
	struct sender_options options;
	struct probe_socket *socket;
	struct message_key *key;
	struct message message; /* made once, sealed anew for each packet */
	uint8_t *points_value;  /* of its points TLV; NULL: it has none */
	uint8_t *bytes;
	size_t size; /* of every packet; fixed before the thread starts */
	uint16_t ssid;
	uint16_t error_estimate;
	int step_fd; /* timerfd that ends when CLOCK_REALTIME is set */
	atomic_bool stop;

	struct passage *passages; /* by sequence number */
	struct block *blocks;     /* of the same numbers */
	uint32_t mask;
	uint32_t *reflected; /* the sender's number by the reflector's */
	uint32_t next;       /* slot to come */
	uint32_t emitted;    /* trips handed out */
	uint32_t closing;    /* packets sent behind the last slot: they fetch
				what is known of the ones before */
	int64_t closing_ns;  /* wall time of the first of them */
	uint32_t ask;        /* the block to ask about */
	uint32_t first;      /* of the reflector's session, at first */
	bool first_known;
	uint32_t stamps_due;
	uint64_t random;

	int64_t early_ns; /* so long before a slot the sleep ends */
	int64_t interval_ns;
	int64_t slot_ns; /* CLOCK_MONOTONIC, of 'next' */
	int64_t start_ns;
	int64_t checked_ns;   /* no step of the clock up to here */
	int64_t last_sent_ns; /* CLOCK_MONOTONIC */
	int64_t rtt_max_ns;
	uint32_t number_highest; /* of answers: what comes below is overtaken */
	int64_t time_highest_ns;
	bool number_known;
	bool stateful; /* the reflector counts by itself */
	bool peer_knows_points;
	point_set followed;     /* points of answers that follow-ups tell */
	point_set peer_points;  /* that the reflector told of */
	point_set sleep_points; /* of ours, in any trip */
	struct watch_times received; /* as the last packets came */
	int64_t received_raw_ns;     /* the same, CLOCK_MONOTONIC_RAW */
	int64_t gathered_ns;         /* CLOCK_MONOTONIC */
	bool slack_set;
	struct fault refusal;
	struct sender_counters counters;
};

static inline struct passage *passage_at(struct sender *sender, uint32_t seq)
{
	return &sender->passages[seq & sender->mask];
}

#define ANSWER_SPIN_NS 2000000 /* so long an answer is awaited spinning */

/* An answer is due any moment. */
static inline bool sender_awaits(const struct sender *sender, int64_t now_ns)
{
	const struct passage *last =
		&sender->passages[(sender->next - 1) & sender->mask];

	return sender->next > 0 && last->sent && !last->answered &&
	       now_ns - sender->last_sent_ns < ANSWER_SPIN_NS;
}

/* sender_arrivals.c */
struct block *block_at(struct sender *sender, uint32_t seq);
static inline uint64_t block_bit(uint32_t seq)
{
	return UINT64_C(1) << seq % 64;
}
void sender_arrivals_join(struct sender *sender,
			  const struct message_arrivals *news, uint32_t first);
/* Puts a question about 64 earlier packets into the request. */
void sender_ask(struct sender *sender);
/* Whether every packet under way was told of after the last slot. */
bool sender_all_told(struct sender *sender);

/* sender_join.c: takes what waits in the socket; returns how many packets,
 * or -errno. */
int sender_take(struct sender *sender);
/* After its sending: CALL, from the watch. */
void passage_call(struct sender *sender, struct passage *passage);
/* Completes what can be said of a trip whose time is past. */
void passage_finish(struct sender *sender, struct passage *passage);
void passage_stamp(struct passage *passage, enum leg leg, enum point point,
		   struct wall at);

#endif
