/* TCP's part of a flow: where it stands, and when another one begins
 * (RFC 9293, section 3.3.2 for the states; the meter needs three).
 */
#include "flow/flow_private.h"

/* A SYN with the sequence number of the connection's own SYN is sent again,
 * whatever came between.  One with another number is another connection on
 * the same ports; where the first number is not known that takes a FIN or
 * RST before. */
bool tcp_begins_anew(const struct flow_table *table, uint32_t index,
		     const struct packet *packet, unsigned side)
{
	const struct flow_cold *cold = &table->cold[index];

	if ((packet->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN ||
	    !(packet->flags & PACKET_TCP))
		return false;
	if (cold->bits & COLD_ISN(side))
		return cold->isn[side] != packet->tcp.sequence;
	return table->hot[index].state != FLOW_ACTIVE;
}

static void isn_note(struct flow_cold *cold, unsigned side, uint32_t isn)
{
	if (cold->bits & COLD_ISN(side))
		return;
	cold->bits |= (uint8_t)COLD_ISN(side);
	cold->isn[side] = isn;
}

/* The start was not seen and now is: whoever sends the SYN began it. */
static void initiator_correct(struct flow_table *table, uint32_t index,
			      unsigned side)
{
	struct flow_hot *hot = &table->hot[index];

	if (table->cold[index].initiator == FLOW_INITIATOR_SYN)
		return;
	table->cold[index].initiator = FLOW_INITIATOR_SYN;
	hot->bits = (uint8_t)((hot->bits & ~HOT_INITIATOR) |
			      (side ? HOT_INITIATOR : 0));
}

static void syn_note(struct flow_table *table, uint32_t index,
		     const struct packet *packet, unsigned side)
{
	struct flow_cold *cold = &table->cold[index];
	bool answer = packet->tcp_flags & TCP_ACK;

	if (packet->flags & PACKET_TCP) {
		isn_note(cold, side, packet->tcp.sequence);
		if (answer)
			isn_note(cold, side ^ 1,
				 packet->tcp.acknowledgment - 1);
	}
	initiator_correct(table, index, answer ? side ^ 1 : side);
}

void tcp_update(struct flow_table *table, uint32_t index,
		const struct packet *packet, unsigned side)
{
	struct flow_hot *hot = &table->hot[index];
	struct flow_cold *cold = &table->cold[index];
	uint8_t both = COLD_FIN(0) | COLD_FIN(1);
	uint8_t state = hot->state;

	if (packet->tcp_flags & TCP_SYN)
		syn_note(table, index, packet, side);
	if (packet->tcp_flags & TCP_FIN)
		cold->bits |= (uint8_t)COLD_FIN(side);
	if (packet->tcp_flags & TCP_RST || (cold->bits & both) == both)
		state = FLOW_CLOSED;
	else if (cold->bits & both)
		state = FLOW_CLOSING;
	if (hot->state == FLOW_CLOSED || state == hot->state)
		return;
	hot->state = state;
	if (cold->slot == SLOT_NONE) /* not in the wheel yet */
		return;
	wheel_take(table, index);
	wheel_put(table, index);
}
