/* TCP's metrics: every segment that is not the plain next one.
 *
 * docs/TCP.md is the definition of each of them; where a word is one of the
 * usual analysers' (retransmission, duplicate ACK, keep-alive, ...) it means
 * the same here.  Sequence numbers: RFC 9293, section 3.4; window scale: RFC
 * 7323, section 2; ECN: RFC 3168.
 */
#include "flow/tcp_private.h"

#define LATE_NS (3 * INT64_C(1000000))  /* without a round trip known */
#define FAST_NS (20 * INT64_C(1000000)) /* a duplicate ACK asked for it */
/* No window is larger (RFC 7323, section 2.2): a jump beyond it is no loss
 * but another connection, or a long hole in the capture. */
#define JUMP (UINT32_C(1) << 30)

struct segment {
	const struct packet *packet;
	struct tcp_side *us;
	struct tcp_side *them;
	struct tcp_rare *rare;
	unsigned side;
	uint32_t from;
	uint32_t to;   /* behind payload, SYN and FIN */
	uint32_t size; /* payload */
	uint8_t flags;
	int64_t at_ns;
};

enum kind { KIND_PLAIN, KIND_PROBE, KIND_KEEPALIVE };

static void add(uint32_t *counter, uint32_t count)
{
	if (__builtin_add_overflow(*counter, count, counter))
		*counter = UINT32_MAX;
}

static struct tcp_rare_side *counters(const struct segment *s)
{
	return &s->rare->sides[s->side];
}

/* What the peer has acknowledged; nothing: far behind. */
static uint32_t acked(const struct segment *s)
{
	return s->them->bits & TCP_ACKED ? s->them->ack : s->us->next - JUMP;
}

static void marks_note(const struct segment *s)
{
	uint8_t tos = s->packet->tos;

	if ((tos & 3) == 3)
		add(&counters(s)->ce, s->packet->packets);
	if (s->us->bits & TCP_SEEN && (tos ^ s->us->dscp) & 0xfc)
		add(&counters(s)->dscp_changes, 1);
	s->us->dscp = tos & 0xfc;
}

static void side_begin(const struct segment *s)
{
	struct tcp_side *us = s->us;

	tcp_gap_drop(s->rare, s->side);
	us->bits |= TCP_SEEN;
	us->next = s->from;
	us->next_ns = s->at_ns;
	counters(s)->base = s->from;
	counters(s)->bits |= RARE_BASE;
}

/* The latest SYN counts: a sender may leave out options in a second try. */
static void options_note(const struct segment *s)
{
	const struct packet_tcp *tcp = &s->packet->tcp;
	struct tcp_rare_side *rare = counters(s);

	rare->syn_window = tcp->window;
	rare->bits |= RARE_SYN_NOW;
	rare->mss = tcp->mss;
	rare->scale = tcp->window_scale;
	rare->bits &= (uint8_t) ~(RARE_SYN | RARE_SACK);
	if (s->packet->flags & PACKET_TCP_OPTIONS)
		rare->bits |= RARE_SYN;
	if (tcp->sack_permitted)
		rare->bits |= RARE_SACK;
}

static void handshake_break(const struct segment *s)
{
	s->rare->handshake = HANDSHAKE_BROKEN;
	s->us->bits &= (uint8_t)~TCP_AWAITED;
	s->them->bits &= (uint8_t)~TCP_AWAITED;
}

static void syn_note(const struct segment *s)
{
	struct tcp_rare *rare = s->rare;

	if (rare->handshake >= HANDSHAKE_DONE)
		return;
	if (s->them->bits & TCP_AWAITED) { /* both open */
		handshake_break(s);
		return;
	}
	rare->handshake = HANDSHAKE_SYN;
	rare->times_ns[0] = s->at_ns;
	s->us->bits |= TCP_AWAITED;
}

static void answer_note(const struct segment *s)
{
	struct tcp_rare *rare = s->rare;

	if (!(s->them->bits & TCP_AWAITED))
		return;
	if (rare->handshake == HANDSHAKE_SYN)
		rare->times_ns[0] = s->at_ns - rare->times_ns[0];
	rare->handshake = HANDSHAKE_ANSWER;
	rare->times_ns[1] = s->at_ns;
	if (rare->times_ns[0] < 0)
		handshake_break(s);
}

/* The first acknowledgment of who sent the SYN. */
static void third_note(const struct segment *s)
{
	struct tcp_rare *rare = s->rare;

	if (rare->handshake != HANDSHAKE_ANSWER ||
	    s->at_ns < rare->times_ns[1]) {
		handshake_break(s);
		return;
	}
	rare->times_ns[1] = s->at_ns - rare->times_ns[1];
	rare->handshake = HANDSHAKE_DONE;
	s->us->bits &= (uint8_t)~TCP_AWAITED;
}

static void handshake_note(const struct segment *s)
{
	bool ack = s->flags & TCP_ACK;

	if (s->flags & TCP_SYN) {
		options_note(s);
		if (ack)
			answer_note(s);
		else
			syn_note(s);
	} else if (ack && s->us->bits & TCP_AWAITED) {
		third_note(s);
	}
}

static void window_note(const struct segment *s)
{
	uint16_t window = s->packet->tcp.window;

	if (s->flags & TCP_SYN)
		return;
	if (window < s->us->window_min)
		s->us->window_min = window;
	if (window > s->us->window_max)
		s->us->window_max = window;
}

static enum kind kind_tell(const struct segment *s)
{
	if (s->size == 1 && s->from == s->us->next &&
	    s->them->bits & TCP_SEEN && s->them->window == 0)
		return KIND_PROBE;
	if (s->size <= 1 && s->from == s->us->next - 1 &&
	    !(s->flags & (TCP_SYN | TCP_FIN)))
		return KIND_KEEPALIVE;
	return KIND_PLAIN;
}

/* An empty segment that repeats the one before in every number. */
static bool repeats(const struct segment *s)
{
	return s->size == 0 && s->from == s->us->next &&
	       !(s->flags & (TCP_SYN | TCP_FIN)) && s->flags & TCP_ACK &&
	       s->us->bits & TCP_ACKED &&
	       s->packet->tcp.acknowledgment == s->us->ack &&
	       s->packet->tcp.window == s->us->window;
}

static void ack_note(const struct segment *s)
{
	if (s->packet->tcp.window == 0) {
		if (!(s->flags & (TCP_SYN | TCP_FIN)))
			add(&counters(s)->zero_windows, s->packet->packets);
		return;
	}
	if (!repeats(s) || s->them->bits & TCP_KEEPALIVE)
		return;
	add(&counters(s)->duplicate_acks, 1);
	if ((s->us->bits & TCP_DUP_MASK) != TCP_DUP_MASK)
		s->us->bits += TCP_DUP_ONE;
}

static bool within(int64_t ns, int64_t limit_ns)
{
	return ns >= 0 && ns < limit_ns;
}

static int64_t late_limit_ns(const struct tcp_rare *rare)
{
	int64_t trip_ns = rare->times_ns[0] + rare->times_ns[1];

	return rare->handshake == HANDSHAKE_DONE && trip_ns ? trip_ns : LATE_NS;
}

/* All of it was acknowledged before it was sent. */
static bool needless(const struct segment *s)
{
	return s->size > 0 && s->them->bits & TCP_ACKED &&
	       !seq_after(s->from + s->size, s->them->ack);
}

static bool asked_for(const struct segment *s)
{
	return (s->them->bits & TCP_DUP_MASK) >= 2 * TCP_DUP_ONE &&
	       s->them->ack == s->from &&
	       within(s->at_ns - s->them->last_ns, FAST_NS);
}

static void retransmission_count(const struct segment *s, uint32_t old)
{
	uint64_t packets = s->packet->packets;

	if (old > s->size)
		old = s->size;
	if (packets > 1) /* of a super-frame only what is old */
		packets = (old * packets + s->size - 1) / s->size;
	add(&counters(s)->retransmitted, packets ? (uint32_t)packets : 1);
	counters(s)->retransmitted_bytes += old;
}

/* 'filled': some of it was not seen before. */
static void kind_count(const struct segment *s, bool filled)
{
	uint32_t old = s->us->next - s->from;

	if (!seq_after(s->us->next, s->from)) {
		if (needless(s))
			retransmission_count(s, s->size);
		return;
	}
	if (s->size > 1 && old == 1 && !needless(s)) /* behind a probe */
		return;
	if (!needless(s) && !asked_for(s) && filled &&
	    within(s->at_ns - s->us->next_ns, late_limit_ns(s->rare)))
		add(&counters(s)->out_of_order, s->packet->packets);
	else
		retransmission_count(s, old);
}

/* Below what was seen first nothing is known, and nothing is missing. */
static bool base_lower(const struct segment *s)
{
	struct tcp_rare_side *rare = counters(s);
	struct tcp_gap between = {s->to, rare->base};

	if (!(rare->bits & RARE_BASE) || !seq_after(rare->base, s->from))
		return false;
	rare->base = s->from;
	if (seq_after(between.to, between.from))
		tcp_gap_add(s->rare, (uint8_t)(s->side | GAP_REPORTED), between,
			    acked(s));
	return true;
}

static void gap_note(const struct segment *s)
{
	struct tcp_gap gap = {s->us->next, s->from};

	if (gap.to - counters(s)->base >= JUMP)
		counters(s)->bits &= (uint8_t)~RARE_BASE;
	tcp_gap_add(s->rare, (uint8_t)s->side, gap, acked(s));
}

static void sequence_note(const struct segment *s)
{
	struct tcp_gap all = {s->from, s->to};
	uint32_t ahead = s->from - s->us->next;
	bool filled = false;

	if (ahead >= JUMP && ahead <= UINT32_MAX - JUMP) {
		side_begin(s);
		ahead = 0;
	}
	if (s->from != s->to) {
		if (seq_after(s->us->next, s->from)) {
			filled = tcp_gap_fill(s->rare, s->side, all, acked(s));
			filled |= base_lower(s);
		}
		kind_count(s, filled);
	}
	if (ahead && ahead < JUMP)
		gap_note(s);
	if (!seq_after(s->to, s->us->next))
		return;
	s->us->next = s->to;
	s->us->next_ns = s->at_ns;
}

static void side_update(const struct segment *s, enum kind kind)
{
	struct tcp_side *us = s->us;
	uint8_t bits = us->bits & (uint8_t) ~(TCP_PROBE | TCP_KEEPALIVE);

	if (kind == KIND_PROBE)
		bits |= TCP_PROBE;
	if (kind == KIND_KEEPALIVE)
		bits |= TCP_KEEPALIVE;
	if (s->flags & TCP_ACK) {
		if (s->packet->tcp.acknowledgment != us->ack)
			bits &= (uint8_t)~TCP_DUP_MASK;
		us->ack = s->packet->tcp.acknowledgment;
		bits |= TCP_ACKED;
	}
	us->bits = bits;
	us->window = s->packet->tcp.window;
	us->last_ns = s->at_ns;
}

static struct segment segment_make(struct flow_table *table, uint32_t index,
				   unsigned side, const struct packet *packet)
{
	struct segment s = {
		.packet = packet,
		.us = &table->tcp[index].sides[side],
		.them = &table->tcp[index].sides[side ^ 1],
		.rare = &table->tcp_rare[index],
		.side = side,
		.from = packet->tcp.sequence,
		.size = packet->payload_bytes,
		.flags = packet->tcp_flags,
		.at_ns = stamp_clamp_ns(packet->at.ns),
	};

	s.to = s.from + s.size + !!(s.flags & TCP_SYN) + !!(s.flags & TCP_FIN);
	return s;
}

/* The byte of a window probe is not counted as sent until it is taken. */
static void probe_taken(const struct segment *s)
{
	if (s->them->bits & TCP_PROBE && s->flags & TCP_ACK &&
	    s->packet->tcp.acknowledgment == s->them->next + 1)
		s->them->next++;
}

void tcp_measure(struct flow_table *table, uint32_t index, unsigned side,
		 const struct packet *packet)
{
	struct segment s = segment_make(table, index, side, packet);
	enum kind kind;

	marks_note(&s);
	if (s.flags & TCP_RST)
		return;
	if (!(s.us->bits & TCP_SEEN))
		side_begin(&s);
	handshake_note(&s);
	window_note(&s);
	kind = kind_tell(&s);
	if (kind != KIND_PROBE)
		ack_note(&s);
	probe_taken(&s);
	if (kind == KIND_PLAIN)
		sequence_note(&s);
	side_update(&s, kind);
}

void tcp_lose(struct flow_table *table, uint32_t index, unsigned side)
{
	table->tcp[index].sides[side].bits &= TCP_AWAITED;
}
