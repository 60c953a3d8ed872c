/* A TCP connection as a sequence of short scripts (RFC 9293): a handshake,
 * then requests that are answered with two segments, then both sides' FIN.
 *
 * In a 'resent' answer the first segment was lost behind the point of
 * capture: it is seen, asked for by a duplicate ACK and seen again.  In a
 * 'reordered' one the second overtakes the first.
 */
#include "traffic_private.h"

#define FIN 0x01
#define SYN 0x02
#define PSH 0x08
#define ACK 0x10

#define REQUEST_SIZE 120 /* bytes of payload, in frames that large */

enum step {
	OPEN,   /* SYN */
	ACCEPT, /* SYN, ACK */
	BEGIN,  /* the handshake's ACK */
	REQUEST,
	FIRST, /* segment of the answer */
	SECOND,
	ACK_OLD, /* of what came before the answer */
	ACK_ALL,
	LEAVE,      /* the client's FIN */
	LEAVE_BACK, /* the server's */
	LAST,       /* the FIN's ACK */
	DONE
};

enum episode { OPENING, PLAIN_ANSWER, RESENT, REORDERED, CLOSING };

static const uint8_t scripts[][7] = {
	[OPENING] = {OPEN, ACCEPT, BEGIN, DONE},
	[PLAIN_ANSWER] = {REQUEST, FIRST, SECOND, ACK_ALL, DONE},
	[RESENT] = {REQUEST, FIRST, SECOND, ACK_OLD, FIRST, ACK_ALL, DONE},
	[REORDERED] = {REQUEST, SECOND, ACK_OLD, FIRST, ACK_ALL, DONE},
	[CLOSING] = {LEAVE, LEAVE_BACK, LAST, DONE},
};

#define OPENING_COUNT 3
#define CLOSING_COUNT 3
#define ANSWER_COUNT  4

/* Requests of a connection, so that flows begin at the rate asked for. */
static uint64_t rounds_of(const struct traffic *traffic, uint32_t id)
{
	const struct traffic_options *options = &traffic->options;
	uint64_t packets, mean;

	if (options->new_flows == 0)
		return UINT64_MAX;
	packets = options->rate_pps / options->new_flows;
	if (packets < OPENING_COUNT + CLOSING_COUNT + ANSWER_COUNT)
		return 1;
	mean = (packets - OPENING_COUNT - CLOSING_COUNT) / ANSWER_COUNT;
	return 1 + traffic_mix(id) % (2 * mean - 1);
}

static uint32_t payload_of(const struct traffic *traffic,
			   const struct connection *connection,
			   const struct segment *segment, enum step step)
{
	uint64_t random =
		traffic_mix((uint64_t)connection->id << 32 |
			    (uint32_t)connection->round << 8 | (uint32_t)step);
	uint32_t size = traffic_size(traffic, random);
	uint32_t head = segment_header_size(segment);

	if (step == REQUEST && size > head + REQUEST_SIZE)
		return REQUEST_SIZE;
	return size > head ? size - head : 1;
}

static enum episode episode_next(const struct traffic *traffic,
				 struct connection *connection)
{
	const struct traffic_options *options = &traffic->options;
	uint64_t part = traffic_mix((uint64_t)connection->id << 32 |
				    connection->round) %
			1000;

	if (connection->episode != OPENING)
		connection->round++;
	if (connection->round >= rounds_of(traffic, connection->id))
		return CLOSING;
	if (part < options->retransmit_permill)
		return RESENT;
	part -= options->retransmit_permill;
	return part < options->reorder_permill ? REORDERED : PLAIN_ANSWER;
}

/* The step is over: on to the next one, script or connection. */
static void connection_advance(struct traffic *traffic,
			       struct connection *connection)
{
	connection->step++;
	if (scripts[connection->episode][connection->step] != DONE)
		return;
	connection->step = 0;
	if (connection->episode == CLOSING)
		*connection =
			(struct connection){.id = (uint32_t)traffic->begun++};
	else
		connection->episode =
			(uint8_t)episode_next(traffic, connection);
}

static void sequence_begin(struct connection *connection)
{
	uint64_t random = traffic_mix(~(uint64_t)connection->id);

	connection->sequence[0] = (uint32_t)random;
	connection->sequence[1] = (uint32_t)(random >> 32);
}

/* The answer's two segments; what they take is added when all is ACKed. */
static void answer_fill(const struct traffic *traffic,
			const struct connection *connection, enum step step,
			struct segment *segment)
{
	uint32_t first = payload_of(traffic, connection, segment, FIRST);

	segment->from = 1;
	segment->sequence = connection->sequence[1];
	segment->acknowledgment = connection->sequence[0];
	segment->payload = first;
	if (step == FIRST)
		return;
	segment->flags = ACK | PSH;
	segment->sequence += first;
	segment->payload = payload_of(traffic, connection, segment, SECOND);
}

/* SYN and FIN take a number, the request what it carries. */
static void number_fill(const struct traffic *traffic,
			struct connection *connection, enum step step,
			struct segment *segment)
{
	static const uint8_t flags[DONE] = {
		[OPEN] = SYN,        [ACCEPT] = SYN | ACK,
		[BEGIN] = ACK,       [REQUEST] = ACK | PSH,
		[LEAVE] = FIN | ACK, [LEAVE_BACK] = FIN | ACK,
		[LAST] = ACK,
	};
	bool takes = flags[step] & (SYN | FIN);

	segment->from = step == ACCEPT || step == LEAVE_BACK;
	segment->flags = flags[step];
	segment->sequence = connection->sequence[segment->from];
	segment->acknowledgment =
		step == OPEN ? 0 : connection->sequence[!segment->from];
	if (step == REQUEST)
		segment->payload =
			payload_of(traffic, connection, segment, step);
	connection->sequence[segment->from] += takes + segment->payload;
}

static void ack_fill(const struct traffic *traffic,
		     struct connection *connection, enum step step,
		     struct segment *segment)
{
	if (step == ACK_ALL)
		connection->sequence[1] +=
			payload_of(traffic, connection, segment, FIRST) +
			payload_of(traffic, connection, segment, SECOND);
	segment->sequence = connection->sequence[0];
	segment->acknowledgment = connection->sequence[1];
}

void connection_next(struct traffic *traffic, struct connection *connection,
		     struct endpoints *ends, struct segment *ret_segment)
{
	enum step step = scripts[connection->episode][connection->step];

	endpoints_make(traffic, connection->id, ends);
	ret_segment->tcp = true;
	ret_segment->stamped = traffic->options.size != TRAFFIC_SIZE_MIN;
	ret_segment->flags = ACK;
	if (step == OPEN)
		sequence_begin(connection);
	if (step == FIRST || step == SECOND)
		answer_fill(traffic, connection, step, ret_segment);
	else if (step == ACK_OLD || step == ACK_ALL)
		ack_fill(traffic, connection, step, ret_segment);
	else
		number_fill(traffic, connection, step, ret_segment);
	connection_advance(traffic, connection);
}
