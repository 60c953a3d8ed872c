/* An entry turned into a record, and the table as its readers see it. */
#include <assert.h>
#include <string.h>

#include "flow/flow_key.h"
#include "flow/statistics_private.h"
#include "flow/tcp_private.h"

static const uint8_t phase_states[FLOW_PHASE_COUNT] = {
	[FLOW_PHASE_CLOSING] = FLOW_CLOSING,
	[FLOW_PHASE_CLOSED] = FLOW_CLOSED,
};

static void side_copy(const struct flow_hot *hot, unsigned side,
		      unsigned direction, struct flow_record *record)
{
	const struct flow_sums *sums = &hot->sums[side];

	record->packets[direction] = sums->packets;
	record->bytes[direction] = sums->bytes;
	record->frame_bytes[direction] = sums->frame_bytes;
	record->payload_bytes[direction] = sums->payload_bytes;
	record->tcp_flags[direction] = hot->tcp_flags[side];
	if (sums->packets == 0)
		return;
	record->ttl_min[direction] = hot->ttl_min[side];
	record->ttl_max[direction] = hot->ttl_max[side];
}

const struct flow_record *record_make(struct flow_table *table, uint32_t index,
				      enum flow_end reason)
{
	struct flow_record *record = &table->record;
	const struct flow_hot *hot = &table->hot[index];
	const struct flow_cold *cold = &table->cold[index];
	unsigned side = hot->bits & HOT_INITIATOR;

	memset(record, 0, table->record_size);
	record->epoch = table->epoch;
	record->seq = cold->seq;
	key_order(&hot->key, side, &record->tuple);
	record->flow_id = flow_id_of(&record->tuple);
	record->start.ns = cold->start_ns;
	record->end.ns = hot->last_ns;
	record->end_reason = (uint8_t)reason;
	record->state = phase_states[hot->phase];
	record->initiator = cold->initiator;
	record->tunnel = cold->tunnel;
	record->tos = hot->sums[side].tos;
	record->duplicate = cold->bits & COLD_DUPLICATE;
	record->sampling = table->sampling;
	for (unsigned i = 0; i < 2; i++) {
		side_copy(hot, side ^ i, i, record);
		record->fragments[i] = cold->fragments[side ^ i];
		if (cold->tunnel != TUNNEL_NONE)
			memcpy(record->outer_address[i],
			       table->outer[index].address[side ^ i], 16);
	}
	if (cold->tunnel != TUNNEL_NONE)
		record->outer_ip_version = table->outer[index].ip_version;
	if (tcp_measured(table, index))
		tcp_record_make(table, index, record);
	if (table->statistics.bytes)
		statistics_record_make(table, index, record);
	return record;
}

void flow_record_place(struct flow_record *record, const char *interface)
{
	(void)strncpy(record->interface, interface ? interface : "",
		      sizeof record->interface - 1);
	record->interface[sizeof record->interface - 1] = '\0';
}

void flow_record_finish(struct flow_record *record, const char *interface)
{
	flow_record_place(record, interface);
	flow_community_id(&record->tuple, 0, record->community_id);
}

#define ENDS_AT(member)                                              \
	static_assert(offsetof(struct flow_record, member) % 8 == 0, \
		      "copies lie one after another")
ENDS_AT(tcp_present);
ENDS_AT(length);
ENDS_AT(first_interval_ns);
ENDS_AT(length_histogram);

size_t flow_record_size(const struct flow_options *options)
{
	if (options->statistics & FLOW_STATISTICS_HISTOGRAM)
		return sizeof(struct flow_record);
	if (options->statistics & FLOW_STATISTICS_FIRST)
		return offsetof(struct flow_record, length_histogram);
	if (options->statistics)
		return offsetof(struct flow_record, first_interval_ns);
	return options->tcp_metrics ? offsetof(struct flow_record, length)
				    : offsetof(struct flow_record, tcp_present);
}

static bool entry_open(const struct flow_table *table, uint32_t index)
{
	return table->hot[index].key.ip_version != 0 &&
	       !(table->hot[index].bits & HOT_DORMANT);
}

void flow_table_flush(struct flow_table *table, enum flow_end reason)
{
	table_room_make(table);
	fragment_pass(table, INT64_MAX);
	for (uint32_t i = 0; i < table->fresh; i++) {
		if (table->hot[i].key.ip_version == 0 || flow_settle(table, i))
			continue;
		flow_finish(table, i, reason);
		table->hot[i].key.ip_version = 0;
	}
	table_clear(table);
	duplicate_clear(table);
	wheel_clear(table);
	flow_event_update(table);
}

static void entry_end(struct flow_table *table, uint32_t index)
{
	if (table->hot[index].key.ip_version == 0 || flow_settle(table, index))
		return;
	flow_finish(table, index, FLOW_END_FORCED);
	flow_end(table, index, FLOW_END_FORCED);
}

/* Every entry is taken out by itself, which leaves all the rest as new. */
void flow_table_rewind(struct flow_table *table)
{
	table_room_make(table);
	fragment_pass(table, INT64_MAX);
	for (uint32_t i = 0; i < table->fresh; i++)
		entry_end(table, i);
	assert(table->used == 0);
	table->fresh = 0;
	table->free = FLOW_NONE;
	table->now_ns = 0;
	table->previous_ns = 0;
	table->wheel->tick = 0;
	flow_event_update(table);
}

bool flow_table_lookup(struct flow_table *table,
		       const struct packet_tuple *tuple,
		       struct flow_record *ret_record)
{
	/* In order, and as it stands: ICMP that has no answer. */
	for (unsigned one_way = 0; one_way < 2; one_way++) {
		struct flow_key key;
		uint32_t index;

		flow_key_make(table, tuple, one_way, &key);
		index = table_find(table, &key);
		if (index == FLOW_NONE || !entry_open(table, index))
			continue;
		*ret_record = *record_make(table, index, FLOW_END_NONE);
		return true;
	}
	return false;
}

/* The sixth parameter is the callback's context. */
/* NOLINTNEXTLINE(readability-function-size) */
bool flow_table_visit(struct flow_table *table, uint64_t *cursor,
		      uint32_t slot_count, struct wall since,
		      void (*visit)(void *context,
				    const struct flow_record *record),
		      void *context)
{
	uint64_t end = *cursor + slot_count;

	for (; *cursor < end && *cursor < table->fresh; ++*cursor) {
		uint32_t index = (uint32_t)*cursor;

		if (!entry_open(table, index) ||
		    table->hot[index].last_ns < since.ns)
			continue;
		visit(context, record_make(table, index, FLOW_END_NONE));
	}
	if (*cursor < table->fresh)
		return true;
	*cursor = 0;
	return false;
}

uint32_t flow_table_live(const struct flow_table *table)
{
	return table->live;
}

struct flow_counters flow_table_counters(const struct flow_table *table)
{
	return table->counters;
}
