#include "tcp_model.h"

#include <string.h>

#include "kit.h"

#define SPAN     4096 /* sequence numbers a side, from its start */
#define SEGMENTS 200
#define BASE_NS  (INT64_C(1700000000) * NS_PER_S)

/* Positions count from the side's start; 'sent' marks what was seen. */
struct side {
	uint32_t start;
	bool seen;
	bool sent[SPAN];
	int64_t first; /* what is below is not missing */
	int64_t next;
	int64_t next_ns;
	int64_t ack; /* position in the other side, -1: none */
	int64_t last_ns;
	unsigned window;
	unsigned repeats;
	bool probe;
	bool keepalive;
	uint64_t counters[6]; /* as in struct expected of test_tcp.c */
};

enum { AGAIN, BYTES, LATE, MISSING, DUPLICATES, ZERO };

struct drawn {
	unsigned from;
	int64_t seq;
	int64_t size;
	int64_t ack;
	unsigned window;
	int64_t at_ns;
};

static uint64_t draw(uint64_t *random, uint64_t below)
{
	return random_next(random) % below;
}

static struct packet packet_of(const struct drawn *d, const struct side *sides)
{
	bool back = d->from;
	struct packet p = PACKET(.from = back ? 2 : 1, .to = back ? 1 : 2,
				 .from_port = back ? 443 : 40000,
				 .to_port = back ? 40000 : 443, .protocol = TCP,
				 .tcp_flags = ACK, .at_ns = d->at_ns);

	p.tcp.sequence = sides[d->from].start + (uint32_t)d->seq;
	p.tcp.acknowledgment = sides[!d->from].start + (uint32_t)d->ack;
	p.tcp.window = (uint16_t)d->window;
	p.payload_bytes = (uint32_t)d->size;
	return p;
}

/* Whether some of the segment lies below 'next' and was not seen. */
static bool fills(const struct side *us, const struct drawn *d)
{
	for (int64_t at = d->seq; at < d->seq + d->size && at < us->next; at++)
		if (!us->sent[at])
			return true;
	return false;
}

static void again(struct side *us, int64_t bytes)
{
	us->counters[AGAIN]++;
	us->counters[BYTES] += (uint64_t)bytes;
}

/* The other side's repeated acknowledgments asked for it. */
static bool asked_for(const struct side *them, const struct drawn *d)
{
	return them->repeats >= 2 && them->ack == d->seq &&
	       d->at_ns >= them->last_ns && d->at_ns - them->last_ns < 20 * MS;
}

static bool comes_late(const struct side *us, const struct drawn *d)
{
	return fills(us, d) && d->at_ns >= us->next_ns &&
	       d->at_ns - us->next_ns < 3 * MS;
}

static void sequence(struct side *us, const struct side *them,
		     const struct drawn *d)
{
	int64_t end = d->seq + d->size;
	int64_t old = end < us->next ? d->size : us->next - d->seq;

	if (end <= them->ack)
		again(us, d->seq < us->next ? old : d->size);
	else if (d->seq >= us->next || (d->size > 1 && d->seq == us->next - 1))
		return;
	else if (!asked_for(them, d) && comes_late(us, d))
		us->counters[LATE]++;
	else
		again(us, old);
}

static void advance(struct side *us, const struct drawn *d)
{
	int64_t end = d->seq + d->size;

	for (int64_t at = d->seq; at < end; at++)
		us->sent[at] = true;
	if (end <= us->next)
		return;
	us->next = end;
	us->next_ns = d->at_ns;
}

static void acknowledge(struct side *us, const struct side *them,
			const struct drawn *d)
{
	bool same = d->size == 0 && d->seq == us->next && d->ack == us->ack &&
		    d->window == us->window;

	if (d->window == 0)
		us->counters[ZERO]++;
	else if (same && !them->keepalive) {
		us->counters[DUPLICATES]++;
		us->repeats++;
	}
}

static void model_segment(struct side *us, struct side *them,
			  const struct drawn *d)
{
	bool keepalive, probe;

	if (!us->seen) {
		us->seen = true;
		us->first = d->seq;
		us->next = d->seq;
		us->next_ns = d->at_ns;
	}
	probe = d->size == 1 && d->seq == us->next && them->seen &&
		them->window == 0;
	keepalive = !probe && d->size <= 1 && d->seq == us->next - 1;
	if (!probe)
		acknowledge(us, them, d);
	if (them->probe && d->ack == them->next + 1) {
		them->sent[them->next] = true;
		them->next++;
	}
	if (!probe && !keepalive) {
		if (d->size)
			sequence(us, them, d);
		advance(us, d);
	}
	if (d->ack != us->ack)
		us->repeats = 0;
	us->ack = d->ack;
	us->window = d->window;
	us->last_ns = d->at_ns;
	us->probe = probe;
	us->keepalive = keepalive;
}

/* Mostly the next segment; else one sent again, one beyond, a repeat. */
static struct drawn segment_draw(uint64_t *random, struct side *sides,
				 int64_t *now_ns)
{
	struct drawn d = {.from = (unsigned)draw(random, 2)};
	struct side *us = &sides[d.from], *them = &sides[!d.from];
	uint64_t kind = draw(random, 16);

	d.seq = us->seen ? us->next : 512;
	d.size = (int64_t)(draw(random, 3) ? draw(random, 24) : 0);
	d.ack = us->ack >= 0 ? us->ack : 512;
	d.window = draw(random, 20) ? 100 + (unsigned)draw(random, 2) : 0;
	if (kind < 2 && d.seq > 512)
		d.seq -= (int64_t)draw(random, 40);
	else if (kind == 2)
		d.seq += (int64_t)draw(random, 30);
	else if (kind == 3)
		d.size = 1;
	else if (kind == 4)
		d.seq -= 1;
	else if (kind > 10 && them->seen)
		d.ack = them->next - (int64_t)draw(random, 20);
	*now_ns += (int64_t)draw(random, draw(random, 4) ? MS : 9 * MS);
	if (draw(random, 50) == 0)
		*now_ns -= MS;
	d.at_ns = *now_ns;
	return d;
}

static void missing_count(struct side *side)
{
	for (int64_t at = side->first; at < side->next; at++)
		side->counters[MISSING] += !side->sent[at];
}

static void compare(const struct flow_tcp *tcp, const struct side *side)
{
	const uint64_t *c = side->counters;

	assert_int_equal(tcp->retransmitted_packets, c[AGAIN]);
	assert_int_equal(tcp->retransmitted_bytes, c[BYTES]);
	assert_int_equal(tcp->out_of_order_packets, c[LATE]);
	assert_int_equal(tcp->missing_bytes, c[MISSING]);
	assert_int_equal(tcp->duplicate_acks, c[DUPLICATES]);
	assert_int_equal(tcp->zero_windows, c[ZERO]);
}

/* Runs of numbers in front of 'next' that were not seen. */
static unsigned gaps(const struct side *side)
{
	unsigned count = 0;
	int64_t at = 0;

	while (at < side->next && !side->sent[at])
		at++;
	for (; at < side->next; at++)
		count += !side->sent[at] && side->sent[at - 1];
	return count;
}

void tcp_model_compare(uint64_t *random, uint64_t odd[4])
{
	static struct side sides[2];
	struct flow_options options = kept_options();
	int64_t now_ns = BASE_NS;
	struct kept kept;

	memset(sides, 0, sizeof sides);
	options.tcp_metrics = true;
	kept_open(&kept, &options);
	for (unsigned i = 0; i < 2; i++) {
		sides[i].start = (uint32_t)random_next(random) | 0xfffff000;
		sides[i].ack = -1;
	}
	/* More gaps than a flow keeps are the hand-made cases' matter. */
	for (unsigned i = 0; i < SEGMENTS; i++) {
		struct drawn d = segment_draw(random, sides, &now_ns);
		struct packet packet = packet_of(&d, sides);

		flow_table_meter(kept.table, &packet, 1);
		model_segment(&sides[d.from], &sides[!d.from], &d);
		if (gaps(&sides[0]) + gaps(&sides[1]) >= 6)
			break;
	}
	flow_table_flush(kept.table, FLOW_END_FORCED);
	assert_int_equal(kept.count, 1);
	for (unsigned way = 0; way < 2; way++) {
		const struct flow_record *record = &kept.records[0];
		unsigned side = record->tuple.port[0] == 443 ? !way : way;

		missing_count(&sides[side]);
		compare(&record->tcp[way], &sides[side]);
		odd[0] += sides[side].counters[AGAIN];
		odd[1] += sides[side].counters[LATE];
		odd[2] += sides[side].counters[DUPLICATES];
		odd[3] += sides[side].counters[MISSING];
	}
	kept_close(&kept);
}
