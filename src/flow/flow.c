/* What happens to a flow: it begins, its records open and close, it ends.
 *
 * Every decision here is taken with the time of the packet at hand and the
 * entry alone, never with what the wheel has swept so far: the records are
 * the same however packets are batched.
 */
#include <string.h>

#include "flow/flow_key.h"
#include "flow/statistics_private.h"
#include "flow/tcp_private.h"

/* Bits that a dormant flow takes into its next record. */
#define HOT_KEPT (HOT_INITIATOR | HOT_OPENING)

static void ended_count(struct flow_table *table, enum flow_end reason)
{
	struct flow_counters *counters = &table->counters;

	switch (reason) {
	case FLOW_END_IDLE:
		counters->ended_idle++;
		break;
	case FLOW_END_ACTIVE:
		counters->ended_active++;
		break;
	case FLOW_END_DETECTED:
		counters->ended_detected++;
		break;
	case FLOW_END_RESOURCES:
		counters->ended_resources++;
		break;
	default:
		counters->ended_forced++;
		break;
	}
}

static void record_open(struct flow_table *table, uint32_t index, int64_t at_ns)
{
	struct flow_hot *hot = &table->hot[index];
	struct flow_cold *cold = &table->cold[index];

	hot->bits &= HOT_KEPT;
	hot->last_ns = at_ns;
	memset(hot->tcp_flags, 0, sizeof hot->tcp_flags);
	memset(hot->ttl_min, UINT8_MAX, sizeof hot->ttl_min);
	memset(hot->ttl_max, 0, sizeof hot->ttl_max);
	memset(hot->sums, 0, sizeof hot->sums);
	memset(cold->fragments, 0, sizeof cold->fragments);
	cold->start_ns = at_ns;
	cold->seq = table->seq++;
	if (table->statistics.bytes)
		statistics_begin(table, index);
	table->counters.created++;
	table->live++;
}

static void record_close(struct flow_table *table, uint32_t index,
			 enum flow_end reason)
{
	const struct flow_record *record;

	for (unsigned side = 0; side < 2; side++) {
		if (table->hot[index].sums[side].packets > 0)
			table->cold[index].bits |= COLD_SAW(side);
	}
	record = record_make(table, index, reason);
	ended_count(table, reason);
	table->live--;
	table->hot[index].bits |= HOT_DORMANT;
	table->emit(table->context, record);
}

void flow_finish(struct flow_table *table, uint32_t index, enum flow_end reason)
{
	if (table->hot[index].bits & HOT_DORMANT)
		return;
	if (table->hot[index].phase == FLOW_PHASE_CLOSED)
		reason = FLOW_END_DETECTED;
	record_close(table, index, reason);
}

void flow_end(struct flow_table *table, uint32_t index, enum flow_end reason)
{
	if (!(table->hot[index].bits & HOT_DORMANT))
		record_close(table, index, reason);
	wheel_take(table, index);
	if (table->marks)
		duplicate_leave(table, index);
	table_remove(table, index);
}

/* What is due first happens first; both at once: the flow is idle. */
bool flow_settle(struct flow_table *table, uint32_t index)
{
	struct flow_hot *hot = &table->hot[index];
	int64_t idle_ns = flow_idle_at_ns(table, index);
	int64_t active_ns = flow_active_at_ns(table, index);
	bool open = !(hot->bits & HOT_DORMANT);

	if (open && active_ns < idle_ns && table->now_ns >= active_ns)
		record_close(table, index, FLOW_END_ACTIVE);
	if (table->now_ns < idle_ns)
		return false;
	flow_end(table, index,
		 hot->phase == FLOW_PHASE_CLOSED ? FLOW_END_DETECTED
						 : FLOW_END_IDLE);
	return true;
}

void flow_backdate(struct flow_table *table, uint32_t index, int64_t at_ns)
{
	struct flow_cold *cold = &table->cold[index];

	if (at_ns >= cold->start_ns)
		return;
	cold->start_ns = at_ns;
	table->hot[index].bits |=
		HOT_DUE; /* due earlier than the wheel knows */
}

/* Makes room for a new flow; false: every flow near is busier than a packet
 * of 'at_ns'. */
static bool room_make(struct flow_table *table, const struct flow_key *key,
		      int64_t at_ns)
{
	uint32_t victim;

	if (table->used < table->flow_count)
		return true;
	victim = table_victim(table, key);
	if (table->hot[victim].last_ns > at_ns)
		return false;
	if (!flow_settle(table, victim))
		flow_end(table, victim, FLOW_END_RESOURCES);
	return true;
}

static void outer_note(struct flow_table *table, uint32_t index,
		       const struct packet *packet, unsigned side)
{
	struct flow_outer *outer = &table->outer[index];

	table->cold[index].tunnel = packet->tunnel;
	if (packet->tunnel == TUNNEL_NONE)
		return;
	memcpy(outer->address[side], packet->outer_address[0], 16);
	memcpy(outer->address[side ^ 1], packet->outer_address[1], 16);
	outer->ip_version = packet->outer_ip_version;
}

static uint32_t flow_begin(struct flow_table *table, const struct flow_key *key,
			   const struct packet *packet)
{
	int64_t at_ns = stamp_clamp_ns(packet->at.ns);
	struct initiator initiator = initiator_tell(packet);
	uint32_t index;

	if (!room_make(table, key, at_ns)) {
		table->counters.refused_full++;
		return FLOW_NONE;
	}
	index = table_insert(table, key);
	if ((key->side ^ (unsigned)initiator.receiver) & 1)
		table->hot[index].bits = HOT_INITIATOR;
	table->hot[index].phase = (uint8_t)flow_phase_first(packet);
	if (table->hot[index].phase == FLOW_PHASE_OPENING)
		table->hot[index].bits |= HOT_OPENING;
	table->cold[index].initiator = (uint8_t)initiator.how;
	outer_note(table, index, packet, key->side);
	record_open(table, index, at_ns);
	if (tcp_measured(table, index))
		tcp_begin(table, index);
	if (packet->tcp_flags & TCP_SIGNALS)
		tcp_update(table, index, packet, key->side);
	wheel_put(table, index);
	if (table->marks)
		duplicate_enter(table, index, key);
	return index;
}

/* Brings a flow that is there up to this packet.  False: it has ended, and
 * the packet begins another. */
static bool flow_continue(struct flow_table *table, uint32_t index,
			  const struct packet *packet, unsigned side)
{
	struct flow_hot *hot = &table->hot[index];

	if (flow_settle(table, index))
		return false;
	if (tcp_begins_anew(table, index, packet, side)) {
		flow_end(table, index, FLOW_END_DETECTED);
		return false;
	}
	if (hot->bits & HOT_DORMANT) {
		record_open(table, index, stamp_clamp_ns(packet->at.ns));
		if (tcp_measured(table, index))
			tcp_continue(table, index);
		wheel_take(table, index);
		wheel_put(table, index);
	}
	if (packet->tcp_flags & TCP_SIGNALS || hot->bits & HOT_OPENING)
		tcp_update(table, index, packet, side);
	return true;
}

uint32_t flow_enter(struct flow_table *table, const struct flow_key *key,
		    const struct packet *packet)
{
	uint32_t index = table_find(table, key);

	if (index != FLOW_NONE &&
	    flow_continue(table, index, packet, key->side))
		return index;
	return flow_begin(table, key, packet);
}
