/* Requests and replies of another program.  A part of probe.h, which has the
 * whole picture. */
#ifndef PROBE_EXCHANGE_H
#define PROBE_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "probe/points.h"

/* Joins stamps of UDP packets that this host's kernel gave, and of nothing
 * else, to exchanges: a request and its reply.  An exchange is a trip of which
 * one host is known: of a client the points from 'call' to 'driver' there and
 * from 'received' to 'return' back; of a server those from 'received' to
 * 'return' there and from 'call' to 'driver' back.
 *
 * Which of the two a flow (both addresses, both ports) is, its first packet
 * decides.  A reply belongs to the request whose identifier it repeats (DNS,
 * NTP, STAMP, or all of the request: an echo), else to the only one that is
 * open; with several open and no identifier nothing is guessed: they count as
 * ambiguous and are no trips. */

enum exchange_side { SIDE_SERVER, SIDE_CLIENT, SIDE_COUNT };

extern const char *const exchange_side_words[SIDE_COUNT];

#define EXCHANGE_HEAD_MAX 64

struct exchange_packet {
	uint8_t ip_version;
	uint8_t local[16], remote[16]; /* of IPv4 the first 4 bytes */
	uint16_t local_port, remote_port;
	uint16_t size; /* of the UDP payload */
	uint8_t head_size;
	uint8_t head[EXCHANGE_HEAD_MAX]; /* its begin */
};

enum exchange_kind {
	EXCHANGE_OUT_QUEUE,  /* 'call_ns' too */
	EXCHANGE_OUT_DRIVER, /* the last device's counts */
	EXCHANGE_IN_STACK,   /* 'received_ns' too; the first device's counts */
	EXCHANGE_IN_READY,   /* 'stack_ns', 'socket' too */
	EXCHANGE_IN_COPIED,  /* 'waking_ns', 'running_ns', 'thread', 'call' */
	/* The same of 'socket', which packet is not told: the one that was
	 * ready first.  packet.size alone. */
	EXCHANGE_IN_TAKEN,
	EXCHANGE_RETURN, /* of 'call' of 'thread'; no packet */
};

/* Times are wall time in ns since 1970; 0: not known. */
struct exchange_event {
	enum exchange_kind kind;
	int64_t at_ns;
	int64_t call_ns, received_ns, stack_ns, waking_ns, running_ns;
	uint64_t socket; /* any number that is its own */
	uint32_t thread, call;
	uint32_t interface; /* index */
	/* Of the socket; QUEUE, READY: to a port of the program's choice; to a
	 * peer. */
	bool bound, connected;
	struct exchange_packet packet;
};

/* X(name, unit, line).  requests = answered + unanswered + ambiguous +
 * elsewhere + unfinished + those still open. */
#define EXCHANGE_COUNTERS(X)                                             \
	X(requests, "exchanges", "begun")                                \
	X(answered, "exchanges", "answered in time")                     \
	X(unanswered, "exchanges", "not answered in time")               \
	X(ambiguous, "exchanges",                                        \
	  "several open at once and no identifier: left out")            \
	X(elsewhere, "exchanges", "of another process at the same port") \
	X(unfinished, "exchanges", "open when the watch ended")          \
	X(by_identifier, "replies", "joined by what they repeat")        \
	X(by_order, "replies", "joined to the only open request")        \
	X(request_copies, "packets", "of a request that was sent again") \
	X(reply_copies, "packets", "of a reply that was sent again")     \
	X(unasked, "packets",                                            \
	  "that answer nothing open: late, or a reply's further parts")  \
	X(stamps_strange, "stamps", "of packets that are not known")     \
	X(no_room, "requests", "not followed: too many exchanges or flows")

struct exchange_counters {
	EXCHANGE_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row exchange_counter_rows[];
extern const size_t exchange_counter_count;

#define EXCHANGE_OPEN_MAX 65536 /* exchanges in memory */
#define EXCHANGE_FLOW_MAX 65536

struct exchange_options {
	int64_t timeout_ns; /* a later reply is none */
	int64_t begun_ns;   /* the watch began: until a time limit later a
			       flow's first packet may be a reply, which
			       ports and sockets tell */
	/* Ports that the system gives to clients, both included. */
	uint16_t client_port_low, client_port_high;
	bool one_process; /* exchanges that no stamped thread took part in
			     are another's */
	bool ready;       /* READY can be had */
	uint32_t count;   /* so many requests and no more; 0: any number */
	/* Each answered or unanswered exchange once, in order of its request
	 * among those of its side; valid during the call. */
	void (*emit)(void *context, enum exchange_side side,
		     const struct trip *trip);
	void *context;
};

struct exchange_table;

/* Takes all memory.  Returns 0 or -ENOMEM. */
int exchange_create(const struct exchange_options *options,
		    struct exchange_table **ret_table);
/* NULL is fine. */
void exchange_destroy(struct exchange_table *table);

/* The next stamp, in about the order in which they were made. */
void exchange_add(struct exchange_table *table,
		  const struct exchange_event *event);
/* It is now so late: what is complete or past its time limit is emitted. */
void exchange_expire(struct exchange_table *table, int64_t now_ns);
/* The clock was stepped: exchanges in memory are void. */
void exchange_step(struct exchange_table *table);
/* Emits what is answered; what is open is unfinished. */
void exchange_end(struct exchange_table *table);
/* All of options.count are over. */
bool exchange_done(const struct exchange_table *table);

/* The points that exchanges of a side can have. */
point_set exchange_points(const struct exchange_table *table,
			  enum exchange_side side);
struct exchange_counters exchange_counters(const struct exchange_table *table);

#endif
