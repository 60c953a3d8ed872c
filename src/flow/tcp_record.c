/* What the TCP metrics give to a record, and begin anew with the next. */
#include <string.h>

#include "flow/tcp_private.h"

#define SCALE_MAX 14 /* RFC 7323, section 2.3 */

static void windows_clear(struct tcp_hot *hot)
{
	for (unsigned side = 0; side < 2; side++) {
		hot->sides[side].window_min = UINT16_MAX;
		hot->sides[side].window_max = 0;
	}
}

void tcp_begin(struct flow_table *table, uint32_t index)
{
	memset(&table->tcp[index], 0, sizeof table->tcp[index]);
	memset(&table->tcp_rare[index], 0, sizeof table->tcp_rare[index]);
	windows_clear(&table->tcp[index]);
}

static void counters_clear(struct tcp_rare_side *rare)
{
	rare->retransmitted_bytes = 0;
	rare->lost_bytes = 0;
	rare->retransmitted = 0;
	rare->out_of_order = 0;
	rare->duplicate_acks = 0;
	rare->zero_windows = 0;
	rare->ce = 0;
	rare->dscp_changes = 0;
	rare->bits &= (uint8_t)~RARE_SYN_NOW;
}

void tcp_continue(struct flow_table *table, uint32_t index)
{
	struct tcp_rare *rare = &table->tcp_rare[index];

	windows_clear(&table->tcp[index]);
	counters_clear(&rare->sides[0]);
	counters_clear(&rare->sides[1]);
	for (unsigned i = 0; i < rare->gap_count; i++)
		rare->gap_bits[i] |= GAP_REPORTED;
}

/* The shift of what 'side' sends: both must offer the option, and where the
 * other one's SYN was not seen it is taken to have done so. */
static unsigned scale_of(const struct tcp_rare *rare, unsigned side)
{
	const struct tcp_rare_side *us = &rare->sides[side];
	const struct tcp_rare_side *them = &rare->sides[side ^ 1];
	unsigned shift;

	if (!us->scale || (them->bits & RARE_SYN && !them->scale))
		return 0;
	shift = us->scale - 1U;
	return shift < SCALE_MAX ? shift : SCALE_MAX;
}

/* False: no window was seen. */
static bool windows_make(const struct tcp_side *side,
			 const struct tcp_rare_side *rare, unsigned shift,
			 struct flow_tcp *tcp)
{
	bool syn = rare->bits & RARE_SYN_NOW;

	tcp->window_min = syn ? rare->syn_window : UINT32_MAX;
	tcp->window_max = syn ? rare->syn_window : 0;
	if (side->window_min <= side->window_max) {
		uint32_t least = (uint32_t)side->window_min << shift;
		uint32_t most = (uint32_t)side->window_max << shift;

		if (least < tcp->window_min)
			tcp->window_min = least;
		if (most > tcp->window_max)
			tcp->window_max = most;
		return true;
	}
	if (!syn)
		tcp->window_min = 0;
	return syn;
}

/* The options of the side's SYN; returns their FLOW_TCP_ bits. */
static uint32_t options_make(const struct tcp_rare_side *rare, unsigned way,
			     struct flow_tcp *tcp)
{
	uint32_t present = 0;

	tcp->mss = rare->mss;
	tcp->window_scale = rare->scale ? rare->scale - 1 : 0;
	tcp->sack_permitted = rare->bits & RARE_SACK;
	if (rare->mss)
		present |= FLOW_TCP_MSS(way);
	if (rare->scale)
		present |= FLOW_TCP_SCALE(way);
	if (rare->bits & (RARE_SYN | RARE_SACK))
		present |= FLOW_TCP_SACK(way);
	return present;
}

static void way_make(const struct flow_table *table, uint32_t index,
		     unsigned way, struct flow_record *record)
{
	unsigned side = way ^ (table->hot[index].bits & HOT_INITIATOR);
	const struct tcp_rare *all = &table->tcp_rare[index];
	const struct tcp_rare_side *rare = &all->sides[side];
	struct flow_tcp *tcp = &record->tcp[way];

	tcp->retransmitted_bytes = rare->retransmitted_bytes;
	tcp->missing_bytes = tcp_gap_missing(all, side);
	tcp->retransmitted_packets = rare->retransmitted;
	tcp->out_of_order_packets = rare->out_of_order;
	tcp->duplicate_acks = rare->duplicate_acks;
	tcp->zero_windows = rare->zero_windows;
	tcp->ce_packets = rare->ce;
	tcp->dscp_changes = rare->dscp_changes;
	if (windows_make(&table->tcp[index].sides[side], rare,
			 scale_of(all, side), tcp))
		record->tcp_present |= FLOW_TCP_WINDOW(way);
	record->tcp_present |= options_make(rare, way, tcp);
}

void tcp_record_make(const struct flow_table *table, uint32_t index,
		     struct flow_record *record)
{
	const struct tcp_rare *rare = &table->tcp_rare[index];

	record->tcp_present = FLOW_TCP_METRICS;
	if (rare->handshake == HANDSHAKE_ANSWER ||
	    rare->handshake == HANDSHAKE_DONE) {
		record->handshake_server_ns = rare->times_ns[0];
		record->tcp_present |= FLOW_TCP_SERVER;
	}
	if (rare->handshake == HANDSHAKE_DONE) {
		record->handshake_client_ns = rare->times_ns[1];
		record->tcp_present |= FLOW_TCP_CLIENT;
	}
	way_make(table, index, 0, record);
	way_make(table, index, 1, record);
}
