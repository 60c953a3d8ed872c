/* What the TCP metrics keep of a flow.  Included by the files of this room
 * only.
 *
 * Two more parallel arrays, there only if the metrics are wanted:
 *
 *     tcp       what the next segment is compared with   every segment
 *     tcp_rare  counters, options, gaps, handshake       what is unusual
 *
 * A segment in sequence that acknowledges something new touches one cache
 * line more (tcp_count() below); whatever else it may be is for
 * tcp_measure.c, which defines the metrics (docs/TCP.md).  Sides are the
 * key's, as everywhere in the table.
 */
#ifndef TCP_PRIVATE_H
#define TCP_PRIVATE_H

#include "flow/flow_private.h"

#define PROTOCOL_TCP 6

#define TCP_SEEN      0x01 /* 'next' and what follows are of a segment */
#define TCP_ACKED     0x02 /* 'ack' is */
#define TCP_PROBE     0x04 /* the last segment was a window probe */
#define TCP_KEEPALIVE 0x08 /* the last segment was a keep-alive */
#define TCP_DUP_ONE   0x10 /* duplicates of 'ack' so far, 3 at most */
#define TCP_DUP_MASK  0x30
#define TCP_AWAITED   0x40 /* its ACK ends the handshake */

struct tcp_side {
	uint32_t next;       /* highest sequence number sent so far, plus one */
	uint32_t ack;        /* last acknowledgment number sent */
	int64_t next_ns;     /* when 'next' moved last */
	int64_t last_ns;     /* the last segment */
	uint16_t window;     /* of the last segment, not scaled */
	uint16_t window_min; /* of the record, SYN and RST apart */
	uint16_t window_max; /* below window_min: none so far */
	uint8_t bits;        /* TCP_... */
	uint8_t dscp;        /* upper six bits, of the last packet */
};

struct tcp_hot {
	struct tcp_side sides[2];
} __attribute__((aligned(64)));

static_assert(sizeof(struct tcp_hot) == 64, "a cache line");

#define RARE_SYN     0x01 /* a SYN was seen, and its options are sound */
#define RARE_SACK    0x02 /* SACK permitted was among them */
#define RARE_BASE    0x04 /* 'base' can still be compared with */
#define RARE_SYN_NOW 0x08 /* 'syn_window' is of this record */

struct tcp_rare_side {
	uint64_t retransmitted_bytes;
	uint64_t lost_bytes; /* missing, and in no gap any more */
	uint32_t retransmitted;
	uint32_t out_of_order;
	uint32_t duplicate_acks;
	uint32_t zero_windows;
	uint32_t ce;
	uint32_t dscp_changes;
	uint32_t base; /* lowest sequence number seen */
	uint16_t syn_window;
	uint16_t mss;  /* 0: no option */
	uint8_t scale; /* window scale plus 1, 0: no option */
	uint8_t bits;  /* RARE_... */
	uint8_t pad[6];
};

/* Sequence numbers from..to - 1 that no segment has filled. */
struct tcp_gap {
	uint32_t from;
	uint32_t to;
};

#define TCP_GAPS 6 /* of both sides together */

#define GAP_SIDE     0x01 /* whose sequence numbers they are */
#define GAP_REPORTED 0x02 /* not missing in this record */

enum tcp_handshake {
	HANDSHAKE_NONE,   /* nothing of it seen so far */
	HANDSHAKE_SYN,    /* times[0]: the latest SYN */
	HANDSHAKE_ANSWER, /* times[0]: server's part, [1]: latest SYN-ACK */
	HANDSHAKE_DONE,   /* times[0]: server's part, [1]: client's part */
	HANDSHAKE_BROKEN  /* not as it should be: not measured */
};

struct tcp_rare {
	struct tcp_rare_side sides[2];
	int64_t times_ns[2];           /* see enum tcp_handshake */
	struct tcp_gap gaps[TCP_GAPS]; /* in the order they came to be */
	uint8_t gap_bits[TCP_GAPS];
	uint8_t gap_count;
	uint8_t handshake; /* enum tcp_handshake */
} __attribute__((aligned(64)));

static_assert(sizeof(struct tcp_rare) == 192, "three cache lines");

/* Whether the entry has metrics at all. */
static inline bool tcp_measured(const struct flow_table *table, uint32_t index)
{
	return table->tcp && table->hot[index].key.protocol == PROTOCOL_TCP;
}

/* Whether a comes after b, the numbers wrapping (RFC 9293, section 3.4). */
static inline bool seq_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* ---- tcp_measure.c */

/* Takes in any segment of the entry. */
void tcp_measure(struct flow_table *table, uint32_t index, unsigned side,
		 const struct packet *packet);

/* A segment that cannot be measured, because it came in fragments: what the
 * side sends next is compared with nothing. */
void tcp_lose(struct flow_table *table, uint32_t index, unsigned side);

/* ---- tcp_gap.c */

/* Notes a gap.  When there is no room one is given up, and stays missing:
 * the first that 'acked' (the peer's acknowledgment) shows to be over, else
 * the oldest. */
void tcp_gap_add(struct tcp_rare *rare, uint8_t bits, struct tcp_gap gap,
		 uint32_t acked);

/* Takes 'segment' out of the side's gaps.  True: some of it was missing. */
bool tcp_gap_fill(struct tcp_rare *rare, unsigned side, struct tcp_gap segment,
		  uint32_t acked);

/* The side's gaps will not be filled any more. */
void tcp_gap_drop(struct tcp_rare *rare, unsigned side);

/* What is missing in this record. */
uint64_t tcp_gap_missing(const struct tcp_rare *rare, unsigned side);

/* ---- tcp_record.c */

/* The entry is another flow's from now on. */
void tcp_begin(struct flow_table *table, uint32_t index);

/* Its next record begins: counters start anew, the connection goes on. */
void tcp_continue(struct flow_table *table, uint32_t index);

void tcp_record_make(const struct flow_table *table, uint32_t index,
		     struct flow_record *record);

/* ---- the common case */

/* Whether nothing but 'next', 'ack', 'window' and the times change. */
static inline bool tcp_plain(const struct tcp_side *us,
			     const struct tcp_side *them,
			     const struct packet *packet)
{
	const struct packet_tcp *tcp = &packet->tcp;
	uint32_t size = packet->payload_bytes;
	uint32_t odd = tcp->sequence ^ us->next;

	odd |= (uint32_t)(packet->tcp_flags & (TCP_SIGNALS | TCP_ACK)) ^
	       TCP_ACK;
	odd |= (uint32_t)((us->bits & (TCP_SEEN | TCP_ACKED | TCP_AWAITED)) ^
			  (TCP_SEEN | TCP_ACKED));
	odd |= (uint32_t)(them->bits & (TCP_PROBE | TCP_KEEPALIVE));
	odd |= (uint32_t)((packet->tos ^ us->dscp) & 0xfc);
	odd |= (uint32_t)((packet->tos & 3) == 3);
	odd |= (uint32_t)(tcp->window == 0);
	/* An acknowledgment that says nothing new, a window probe, data that
	 * are acknowledged already. */
	odd |= (uint32_t)((size == 0) & (tcp->acknowledgment == us->ack) &
			  (tcp->window == us->window));
	odd |= (uint32_t)((size == 1) & (them->window == 0));
	odd |= (uint32_t)((size > 0) &
			  !seq_after(tcp->sequence + size, them->ack));
	return odd == 0;
}

/* Data and acknowledgments come by turns: no branch depends on which. */
static inline void tcp_count(struct flow_table *table, uint32_t index,
			     unsigned side, const struct packet *packet)
{
	struct tcp_side *us = &table->tcp[index].sides[side];
	const struct tcp_side *them = &table->tcp[index].sides[side ^ 1];
	int64_t at_ns = stamp_clamp_ns(packet->at.ns);
	uint16_t window = packet->tcp.window;
	uint8_t dup;

	if (__builtin_expect(!tcp_plain(us, them, packet), 0)) {
		tcp_measure(table, index, side, packet);
		return;
	}
	dup = packet->tcp.acknowledgment == us->ack ? TCP_DUP_MASK : 0;
	us->next += packet->payload_bytes;
	us->next_ns = packet->payload_bytes ? at_ns : us->next_ns;
	us->last_ns = at_ns;
	us->bits &= (uint8_t)(TCP_SEEN | TCP_ACKED | dup);
	us->ack = packet->tcp.acknowledgment;
	us->window = window;
	us->window_min = window < us->window_min ? window : us->window_min;
	us->window_max = window > us->window_max ? window : us->window_max;
}

#endif
