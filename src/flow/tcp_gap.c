/* Sequence numbers that were passed over: a few for each flow, enough for
 * the holes that one round trip of losses leaves, exact as long as there is
 * room.
 */
#include <string.h>

#include "flow/tcp_private.h"

static void gap_remove(struct tcp_rare *rare, unsigned at)
{
	unsigned behind = --rare->gap_count - at;

	memmove(&rare->gaps[at], &rare->gaps[at + 1],
		behind * sizeof rare->gaps[0]);
	memmove(&rare->gap_bits[at], &rare->gap_bits[at + 1], behind);
}

/* Its bytes stay missing. */
static void gap_give_up(struct tcp_rare *rare, unsigned at)
{
	const struct tcp_gap *gap = &rare->gaps[at];
	uint8_t bits = rare->gap_bits[at];

	if (!(bits & GAP_REPORTED))
		rare->sides[bits & GAP_SIDE].lost_bytes += gap->to - gap->from;
	gap_remove(rare, at);
}

static unsigned gap_over(const struct tcp_rare *rare, unsigned side,
			 uint32_t acked)
{
	for (unsigned i = 0; i < rare->gap_count; i++) {
		if ((rare->gap_bits[i] & GAP_SIDE) == side &&
		    !seq_after(rare->gaps[i].to, acked))
			return i;
	}
	return 0;
}

void tcp_gap_add(struct tcp_rare *rare, uint8_t bits, struct tcp_gap gap,
		 uint32_t acked)
{
	if (rare->gap_count == TCP_GAPS)
		gap_give_up(rare, gap_over(rare, bits & GAP_SIDE, acked));
	rare->gaps[rare->gap_count] = gap;
	rare->gap_bits[rare->gap_count++] = bits;
}

/* The segment covers some of the gap.  Returns what is left behind it. */
static struct tcp_gap gap_cut(struct tcp_gap *gap, struct tcp_gap segment)
{
	struct tcp_gap rest = {segment.to, gap->to};

	if (!seq_after(rest.to, rest.from))
		rest.to = rest.from;
	gap->to = segment.from;
	if (!seq_after(gap->to, gap->from)) { /* nothing before it */
		*gap = rest;
		rest.to = rest.from;
	}
	return rest;
}

bool tcp_gap_fill(struct tcp_rare *rare, unsigned side, struct tcp_gap segment,
		  uint32_t acked)
{
	unsigned at = 0;
	bool filled = false;

	while (at < rare->gap_count) {
		struct tcp_gap *gap = &rare->gaps[at];
		uint8_t bits = rare->gap_bits[at];
		struct tcp_gap rest;

		if ((bits & GAP_SIDE) != side ||
		    !seq_after(segment.to, gap->from) ||
		    !seq_after(gap->to, segment.from)) {
			at++;
			continue;
		}
		filled = true;
		rest = gap_cut(gap, segment);
		if (gap->from == gap->to) {
			gap_remove(rare, at);
			continue;
		}
		if (rest.from != rest.to) { /* it lay within this one */
			tcp_gap_add(rare, bits, rest, acked);
			break;
		}
		at++;
	}
	return filled;
}

void tcp_gap_drop(struct tcp_rare *rare, unsigned side)
{
	for (unsigned at = rare->gap_count; at-- > 0;)
		if ((rare->gap_bits[at] & GAP_SIDE) == side)
			gap_give_up(rare, at);
}

uint64_t tcp_gap_missing(const struct tcp_rare *rare, unsigned side)
{
	uint64_t bytes = rare->sides[side].lost_bytes;

	for (unsigned i = 0; i < rare->gap_count; i++)
		if (rare->gap_bits[i] == side) /* and not reported */
			bytes += rare->gaps[i].to - rare->gaps[i].from;
	return bytes;
}
