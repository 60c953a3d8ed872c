/* Inside of the exchanges' joiner.  Included by this room only. */
#ifndef EXCHANGE_PRIVATE_H
#define EXCHANGE_PRIVATE_H

#include "probe/exchange.h"

#define NONE         UINT32_MAX
#define PENDING_MAX  1024 /* packets whose call has not returned */
#define ARRIVALS_MAX 16384
#define EARLY_MAX    64
#define BUCKETS      131072
#define SETTLE_NS    100000000 /* a complete exchange waits for copies */

static_assert((BUCKETS & (BUCKETS - 1)) == 0, "a mask");

enum item_state {
	ITEM_FREE,
	ITEM_OPEN,
	ITEM_ANSWERED,
	ITEM_LOST,
	ITEM_GONE, /* not to be emitted */
};

/* One packet of an exchange, as it is known again. */
struct half {
	uint64_t hash;             /* of size and head */
	uint32_t interface;        /* the first: another one is another copy */
	uint32_t driver_interface; /* the last */
	uint16_t size;
	uint8_t head_size;
	uint8_t head[EXCHANGE_HEAD_MAX];
	bool copied; /* a reader has it */
};

struct item {
	struct trip trip;
	struct half request, reply;
	uint32_t flow;
	uint32_t next;       /* of its flow, the one before it */
	uint32_t generation; /* of this place in memory */
	int64_t begun_ns, answered_ns;
	enum item_state state;
	enum exchange_side side;
};

struct flow_key {
	uint8_t local[16], remote[16];
	uint16_t local_port, remote_port;
	uint8_t ip_version;
	uint8_t unused[3];
};

struct exchange_flow {
	struct flow_key key;
	uint32_t next;         /* in its bucket, or free */
	uint32_t older, newer; /* by use */
	uint32_t items;        /* the newest */
	uint32_t item_count;
	enum exchange_side side;
	bool unsure; /* of its side: its first packet may have been a reply */
	/* Replies of ambiguous requests that may still come. */
	uint32_t doubt;
	int64_t doubt_until_ns;
};

struct flow_table_lru {
	struct exchange_flow *flows;
	uint32_t *buckets;
	uint32_t free, oldest, newest;
};

/* A packet that a thread took in a call that goes on. */
struct pending {
	uint32_t thread, call;
	uint32_t item, generation;
	enum leg leg;
};

/* A packet that is ready on its socket, and nobody has it yet. */
struct arrival {
	uint64_t socket; /* 0: it is gone */
	int64_t stack_ns;
	uint32_t item, generation; /* NONE: of no exchange */
	uint16_t size;
	enum leg leg;
};

/* Exchanges of one side in order of their requests: a ring. */
struct queue {
	uint32_t *items;
	uint32_t first, count;
	uint32_t emitted;
};

struct exchange_table {
	struct exchange_options options;
	struct item *items;
	uint32_t free; /* by 'next' */
	struct flow_table_lru flows;
	struct queue queues[SIDE_COUNT];
	struct pending pending[PENDING_MAX];
	uint32_t pending_count;
	struct arrival arrivals[ARRIVALS_MAX]; /* a ring */
	uint32_t arrival_first, arrival_count;
	struct exchange_event early[EARLY_MAX]; /* TAKEN before READY */
	uint32_t early_count;
	int64_t now_ns; /* the latest time that was told */
	uint32_t open;
	struct exchange_counters counters;
};

/* ---- exchange.c: exchanges in memory, and when they leave it ------------- */

static inline struct exchange_flow *
exchange_flow_at(struct exchange_table *table, uint32_t flow)
{
	return &table->flows.flows[flow];
}

/* An open one, the newest of its flow; NONE: no room (counted). */
uint32_t exchange_item_make(struct exchange_table *table, uint32_t flow,
			    const struct exchange_event *event);
/* It is over: not open any more. */
void exchange_item_close(struct exchange_table *table, struct item *item,
			 enum item_state state);
void exchange_stamp(struct item *item, enum leg leg, enum point point,
		    int64_t at_ns);

/* A reader has the item's packet of this leg. */
void exchange_take(struct exchange_table *table, struct item *item,
		   enum leg leg, const struct exchange_event *event);

/* ---- exchange_take.c: which packet a reader of a socket has -------------- */

/* READY, of an item or of none (NULL). */
void exchange_arrive(struct exchange_table *table, struct item *item,
		     enum leg leg, const struct exchange_event *event);
/* TAKEN. */
void exchange_taken(struct exchange_table *table,
		    const struct exchange_event *event);

/* The leg of packets that leave this host, or come to it. */
static inline enum leg exchange_leg(enum exchange_side side, bool comes)
{
	return (side == SIDE_CLIENT) == comes ? LEG_BACK : LEG_FORWARD;
}

/* ---- exchange_flow.c: flows by their addresses, the least used goes ------ */

/* Returns 0 or -ENOMEM. */
int exchange_flows_init(struct flow_table_lru *flows);
void exchange_flows_fini(struct flow_table_lru *flows);
/* NONE: not known. */
uint32_t exchange_flow_find(const struct flow_table_lru *flows,
			    const struct exchange_packet *packet);
/* A new one; NONE: every flow has exchanges. */
uint32_t exchange_flow_make(struct flow_table_lru *flows,
			    const struct exchange_packet *packet);
/* It is used: the last to go. */
void exchange_flow_touch(struct flow_table_lru *flows, uint32_t flow);

/* ---- exchange_match.c: which request a reply answers --------------------- */

void exchange_half_set(struct half *half, const struct exchange_packet *packet,
		       uint32_t interface);
bool exchange_half_is(const struct half *half,
		      const struct exchange_packet *packet, uint64_t hash);
uint64_t exchange_packet_hash(const struct exchange_packet *packet);

/* Whether the reply repeats the request's identifier. */
bool exchange_identified(const struct half *request,
			 const struct exchange_packet *reply);
/* Whether it is a reply of the same protocol with another identifier. */
bool exchange_contradicts(const struct half *request,
			  const struct exchange_packet *reply);
/* Whether the request has an identifier of its own, so that the same bytes
 * are the same request sent again. */
bool exchange_has_identifier(const struct half *request);
/* A reply by its own words, whatever came before. */
bool exchange_is_reply(const struct exchange_packet *packet, bool comes);

#endif
