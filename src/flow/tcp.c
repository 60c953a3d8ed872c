/* TCP's part of a flow: where it stands, and when another one begins
 * (RFC 9293, section 3.3.2 for the states; the meter needs four).
 */
#include "flow/tcp_private.h"

#define PROTOCOL_ICMP  1
#define PROTOCOL_UDP   17
#define PROTOCOL_ICMP6 58

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
	return table->hot[index].phase == FLOW_PHASE_CLOSING ||
	       table->hot[index].phase == FLOW_PHASE_CLOSED;
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

enum flow_phase flow_phase_first(const struct packet *packet)
{
	switch (packet->tuple.protocol) {
	case PROTOCOL_TCP:
		return packet->tcp_flags & TCP_SYN ? FLOW_PHASE_OPENING
						   : FLOW_PHASE_TCP;
	case PROTOCOL_UDP:
		return FLOW_PHASE_UDP;
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMP6:
		return FLOW_PHASE_ICMP;
	default:
		return FLOW_PHASE_OTHER;
	}
}

/* An ACK without SYN says that its sender has the other's SYN: from the
 * initiator it is the handshake's third segment, from the responder data or
 * what is left of it after a loss.  Half of a connection seen is enough. */
static enum flow_phase phase_next(enum flow_phase phase, unsigned fins,
				  uint8_t tcp_flags)
{
	if (phase == FLOW_PHASE_CLOSED || tcp_flags & TCP_RST || fins == 2)
		return FLOW_PHASE_CLOSED;
	if (fins == 1)
		return FLOW_PHASE_CLOSING;
	if ((tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_ACK)
		return FLOW_PHASE_TCP;
	return phase;
}

void tcp_update(struct flow_table *table, uint32_t index,
		const struct packet *packet, unsigned side)
{
	struct flow_hot *hot = &table->hot[index];
	struct flow_cold *cold = &table->cold[index];
	enum flow_phase phase = hot->phase, next;
	unsigned fins;

	if (packet->tcp_flags & TCP_SYN)
		syn_note(table, index, packet, side);
	if (packet->tcp_flags & TCP_FIN)
		cold->bits |= (uint8_t)COLD_FIN(side);
	fins = !!(cold->bits & COLD_FIN(0)) + !!(cold->bits & COLD_FIN(1));
	next = phase_next(phase, fins, packet->tcp_flags);
	if (next == phase)
		return;
	hot->phase = (uint8_t)next;
	hot->bits &= (uint8_t)~HOT_OPENING;
	/* Not in the wheel yet, or due later: that it finds by itself. */
	if (cold->slot == SLOT_NONE ||
	    table->limit_ns[next] >= table->limit_ns[phase])
		return;
	wheel_take(table, index);
	wheel_put(table, index);
}
