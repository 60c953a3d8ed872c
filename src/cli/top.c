#include "cli/top.h"

#include <stdlib.h>
#include <string.h>

#include "cli/top_private.h"

const char *const top_sort_words[TOP_SORT_COUNT] = {
	[TOP_BY_RATE] = "rate",
	[TOP_BY_BYTES] = "bytes",
	[TOP_BY_PACKETS] = "packets",
	[TOP_BY_NEWEST] = "newest",
};

struct top *top_create(uint32_t capacity)
{
	struct top *top = calloc(1, sizeof *top);
	uint32_t places = 16;

	if (!top)
		return NULL;
	while (places < capacity * UINT64_C(2))
		places *= 2;
	top->capacity = capacity;
	top->mask = places - 1;
	top->flows = calloc(capacity, sizeof *top->flows);
	top->index = calloc(places, sizeof *top->index);
	if (top->flows && top->index)
		return top;
	top_destroy(top);
	return NULL;
}

void top_destroy(struct top *top)
{
	if (!top)
		return;
	free(top->flows);
	free(top->index);
	free(top);
}

/* Nobody outside chooses epoch or seq: mixing is enough. */
static uint32_t place_of(const struct top *top, uint64_t epoch, uint64_t seq)
{
	uint64_t hash = epoch * UINT64_C(0x9e3779b97f4a7c15) + seq;

	hash ^= hash >> 32;
	hash *= UINT64_C(0xd6e8feb86659fd93);
	hash ^= hash >> 32;
	return (uint32_t)hash & top->mask;
}

/* The place that names the flow, or the empty one where it would go. */
static uint32_t place_find(const struct top *top, uint64_t epoch, uint64_t seq)
{
	uint32_t place = place_of(top, epoch, seq);

	while (top->index[place]) {
		const struct top_flow *flow =
			&top->flows[top->index[place] - 1];

		if (flow->seq == seq && flow->epoch == epoch)
			break;
		place = (place + 1) & top->mask;
	}
	return place;
}

/* Empties a place and moves up what had been pushed behind it. */
static void place_empty(struct top *top, uint32_t hole)
{
	uint32_t place = hole;

	while (top->index[place = (place + 1) & top->mask]) {
		const struct top_flow *flow =
			&top->flows[top->index[place] - 1];
		uint32_t home = place_of(top, flow->epoch, flow->seq);

		if (((place - home) & top->mask) < ((place - hole) & top->mask))
			continue;
		top->index[hole] = top->index[place];
		hole = place;
	}
	top->index[hole] = 0;
}

/* The last flow takes the removed one's slot, so that all lie dense. */
static void flow_remove(struct top *top, uint32_t slot)
{
	struct top_flow *flow = &top->flows[slot];
	const struct top_flow *last = &top->flows[top->count - 1];

	place_empty(top, place_find(top, flow->epoch, flow->seq));
	if (flow != last) {
		top->index[place_find(top, last->epoch, last->seq)] = slot + 1;
		*flow = *last;
	}
	top->count--;
}

static struct top_flow *
flow_add(struct top *top, const struct flow_record *record, uint32_t place)
{
	struct top_flow *flow;

	if (top->count == top->capacity) {
		top->untracked++;
		return NULL;
	}
	flow = &top->flows[top->count++];
	top->index[place] = top->count;
	*flow = (struct top_flow){.epoch = record->epoch,
				  .seq = record->seq,
				  .tuple = record->tuple,
				  .start = record->start};
	memcpy(flow->interface, record->interface, sizeof flow->interface - 1);
	return flow;
}

static bool unchanged(const struct top_flow *flow,
		      const struct flow_record *record)
{
	return flow->packets[0] == record->packets[0] &&
	       flow->packets[1] == record->packets[1] &&
	       flow->state == record->state &&
	       flow->duplicate == record->duplicate &&
	       record->end_reason == FLOW_END_NONE;
}

/* The initiator can be told only later: then the sides are swapped. */
static void sides_follow(struct top_flow *flow,
			 const struct packet_tuple *tuple)
{
	uint64_t packets = flow->packets_before[0];
	uint64_t bytes = flow->bytes_before[0];

	if (memcmp(&flow->tuple, tuple, sizeof *tuple) == 0)
		return;
	flow->packets_before[0] = flow->packets_before[1];
	flow->packets_before[1] = packets;
	flow->bytes_before[0] = flow->bytes_before[1];
	flow->bytes_before[1] = bytes;
	flow->tuple = *tuple;
}

bool top_note(struct top *top, const struct flow_record *record)
{
	uint32_t place = place_find(top, record->epoch, record->seq);
	struct top_flow *flow;

	if (top->index[place]) {
		flow = &top->flows[top->index[place] - 1];
		if (unchanged(flow, record))
			return false;
	} else {
		flow = flow_add(top, record, place);
		if (!flow)
			return true;
	}
	memcpy(flow->packets, record->packets, sizeof flow->packets);
	memcpy(flow->bytes, record->frame_bytes, sizeof flow->bytes);
	sides_follow(flow, &record->tuple);
	flow->start = record->start;
	flow->end = record->end;
	flow->state = record->state;
	flow->tunnel = record->tunnel;
	flow->duplicate = record->duplicate;
	flow->ended = record->end_reason != FLOW_END_NONE;
	return true;
}

static void flow_tick(struct top *top, struct top_flow *flow, double span_s)
{
	for (int i = 0; i < 2; i++) {
		uint64_t packets = flow->packets[i] - flow->packets_before[i];
		uint64_t bytes = flow->bytes[i] - flow->bytes_before[i];

		flow->rate_pps[i] = (double)packets / span_s;
		flow->rate_bps[i] = (double)bytes * 8 / span_s;
		if (!flow->duplicate) {
			top->totals.rate_pps += flow->rate_pps[i];
			top->totals.rate_bps += flow->rate_bps[i];
		}
	}
	memcpy(flow->packets_before, flow->packets, sizeof flow->packets);
	memcpy(flow->bytes_before, flow->bytes, sizeof flow->bytes);
	flow->gone = flow->ended;
}

void top_tick(struct top *top, double span_s)
{
	top->totals = (struct top_totals){0};
	for (uint32_t slot = top->count; slot > 0; slot--) {
		if (top->flows[slot - 1].gone)
			flow_remove(top, slot - 1);
	}
	for (uint32_t slot = 0; slot < top->count; slot++)
		flow_tick(top, &top->flows[slot], span_s);
}

struct top_totals top_totals(const struct top *top)
{
	struct top_totals totals = top->totals;

	totals.flows = top->count;
	totals.untracked = top->untracked;
	return totals;
}
