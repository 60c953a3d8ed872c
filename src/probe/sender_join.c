/* What comes back to a sender: answers, stamps, refusals; joined by sequence
 * number, never by order or pointer. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/clock.h"
#include "probe/sender_private.h"

#define STAMPS_WAITING 64 /* the kernel keeps some 250 */
#define EVENTS_SOME    4

void passage_stamp(struct passage *passage, enum leg leg, enum point point,
		   struct wall at)
{
	passage->trip.stamped |= POINT_BIT(leg, point);
	passage->trip.at_ns[leg][point] = at.ns;
}

/* NULL: never sent, or its account is closed. */
static struct passage *passage_find(struct sender *sender, uint32_t seq)
{
	struct passage *passage = passage_at(sender, seq);

	if (!passage->begun || passage->trip.seq != seq)
		return NULL;
	return passage;
}

/* Closing packets have numbers behind the last slot's. */
static bool is_closing(const struct sender *sender, uint32_t seq)
{
	return seq - sender->next < sender->closing;
}

bool sender_stamp_add(struct sender *sender, uint32_t seq, enum leg leg,
		      enum point point, struct wall at)
{
	struct passage *passage = passage_find(sender, seq);

	if (!passage || is_closing(sender, seq))
		return is_closing(sender, seq);
	/* Going out the device nearest to the wire counts, coming in too. */
	if (point <= POINT_SENT_HW ||
	    !(passage->trip.stamped & POINT_BIT(leg, point)))
		passage_stamp(passage, leg, point, at);
	return true;
}

static struct watch_leg leg_of(struct trip *trip, enum leg leg)
{
	return (struct watch_leg){leg, &trip->stamped, trip->at_ns[leg]};
}

void passage_call(struct sender *sender, struct passage *passage)
{
	struct watch_times times;

	watch_read(sender->options.watch, &times);
	watch_sent(leg_of(&passage->trip, LEG_FORWARD), times.call_ns);
}

static void refusal_note(struct sender *sender, const struct probe_event *event)
{
	const struct sockaddr_in *v4 = (const void *)&event->from;
	const struct sockaddr_in6 *v6 = (const void *)&event->from;
	char from[INET6_ADDRSTRLEN] = "?";

	if (event->from.ss_family == AF_INET)
		inet_ntop(AF_INET, &v4->sin_addr, from, sizeof from);
	else if (event->from.ss_family == AF_INET6)
		inet_ntop(AF_INET6, &v6->sin6_addr, from, sizeof from);
	sender->counters.refusals++;
	fault_set(&sender->refusal, event->error,
		  "%s says: %s (ICMP type %u, code %u)", from,
		  err_sentence(-event->error), event->icmp_type,
		  event->icmp_code);
}

static void event_take(struct sender *sender, const struct probe_event *event)
{
	static const enum point points[] = {
		[PROBE_EVENT_SCHED] = POINT_SCHED,
		[PROBE_EVENT_SENT] = POINT_SENT,
		[PROBE_EVENT_SENT_HW] = POINT_SENT_HW,
	};

	if (event->kind == PROBE_EVENT_REFUSED) {
		refusal_note(sender, event);
		return;
	}
	sender->stamps_due -= sender->stamps_due > 0;
	(void)sender_stamp_add(sender, event->key, LEG_FORWARD,
			       points[event->kind], event->at);
}

static void events_take(struct sender *sender)
{
	struct probe_event events[PROBE_BATCH];
	int count;

	do {
		count = probe_socket_events(sender->socket, PROBE_BATCH,
					    events);
		for (int i = 0; i < count; i++)
			event_take(sender, &events[i]);
	} while (count == PROBE_BATCH);
}

/* A few of them, while an answer may come any moment. */
static void events_take_some(struct sender *sender)
{
	struct probe_event events[EVENTS_SOME];
	int count = probe_socket_events(sender->socket, EVENTS_SOME, events);

	for (int i = 0; i < count; i++)
		event_take(sender, &events[i]);
}

static void points_join(struct sender *sender,
			const struct message_points *points)
{
	struct passage *passage = passage_find(sender, points->seq);
	point_set left = points->stamped;

	if (!passage)
		return;
	sender->peer_points |= points->stamped;
	for (; left != 0; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);
		enum leg leg = i / POINT_COUNT;
		enum point point = i % POINT_COUNT;

		if (!point_is_local(leg, point))
			passage_stamp(passage, leg, point,
				      (struct wall){points->at_ns[leg][point]});
	}
}

static void follow_up_join(struct sender *sender,
			   const struct message_reply *reply)
{
	uint32_t seq = sender->reflected[reply->follow_up_seq & sender->mask];
	struct passage *passage = passage_find(sender, seq);
	bool hardware = reply->follow_up_method == METHOD_HARDWARE;

	if (!(reply->present & REPLY_FOLLOW_UP) || !passage ||
	    passage->trip.reflected_seq != reply->follow_up_seq ||
	    !passage->answered)
		return;
	passage_stamp(passage, LEG_BACK, hardware ? POINT_SENT_HW : POINT_SENT,
		      reply->follow_up_at);
	sender->followed |=
		POINT_BIT(LEG_BACK, hardware ? POINT_SENT_HW : POINT_SENT);
}

/* The two stamps that every answer has.  Unless the reflector says that a
 * card made the first, nobody knows how near to the wire it was. */
static void base_join(struct passage *passage,
		      const struct message_reply *reply)
{
	bool hardware = (reply->present & REPLY_TIME) &&
			reply->method_in == METHOD_HARDWARE;
	point_set known = POINT_BIT(LEG_FORWARD, POINT_RECEIVED) |
			  POINT_BIT(LEG_FORWARD, POINT_RECEIVE);

	if (!(passage->trip.stamped & known))
		passage_stamp(passage, LEG_FORWARD,
			      hardware ? POINT_RECEIVED_HW : POINT_RECEIVE,
			      reply->received);
	passage_stamp(passage, LEG_BACK, POINT_SEND, reply->sent);
}

/* Whether it is not a copy of an answer that came before.  A stateless
 * reflector gives the answers to two copies of a packet one number. */
static bool answer_is_new(struct passage *passage,
			  const struct message_reply *reply)
{
	uint8_t known = passage->answers < ANSWERS_KNOWN ? passage->answers
							 : ANSWERS_KNOWN;

	for (uint8_t i = 0; i < known; i++) {
		if (passage->numbers[i] == reply->reflected_seq &&
		    passage->times_ns[i] == reply->sent.ns)
			return false;
	}
	if (passage->answers < ANSWERS_KNOWN) {
		passage->numbers[passage->answers] = reply->reflected_seq;
		passage->times_ns[passage->answers] = reply->sent.ns;
	}
	passage->answers += passage->answers < UINT8_MAX;
	return true;
}

/* Whether an answer that left later came earlier.  The reflector's own count
 * says so unless it was started again; without one its clock does. */
static bool order_check(struct sender *sender,
			const struct message_reply *reply)
{
	int32_t ahead =
		(int32_t)(reply->reflected_seq - sender->number_highest);
	bool earlier = reply->sent.ns < sender->time_highest_ns;

	sender->stateful |= reply->reflected_seq != reply->seq;
	if (sender->number_known && earlier && (!sender->stateful || ahead < 0))
		return true;
	sender->number_highest = reply->reflected_seq;
	sender->time_highest_ns = reply->sent.ns;
	sender->number_known = true;
	return false;
}

static void answer_first(struct sender *sender, struct passage *passage,
			 const struct probe_packet *packet, struct wall at)
{
	struct trip *trip = &passage->trip;

	passage->answered = true;
	passage->answered_mono_ns = mono_now().ns;
	trip->rtt_ns = sender->received_raw_ns - trip->sent_ns;
	if (trip->rtt_ns > sender->rtt_max_ns)
		sender->rtt_max_ns = trip->rtt_ns;
	trip->ttl[LEG_BACK] = packet->ttl;
	trip->dscp[LEG_BACK] = packet->dscp_received;
	trip->ecn[LEG_BACK] = packet->ecn;
	if (packet->received.source != STAMP_NONE)
		passage_stamp(passage, LEG_BACK, POINT_RECEIVED,
			      packet->received.at);
	if (packet->received_hw.source != STAMP_NONE)
		passage_stamp(passage, LEG_BACK, POINT_RECEIVED_HW,
			      packet->received_hw.at);
	passage_stamp(passage, LEG_BACK, POINT_RECEIVE, at);
	watch_received(leg_of(trip, LEG_BACK), &sender->received, 0);
	sender->sleep_points |= trip->stamped & POINTS_OF_SLEEP(LEG_BACK);
	sender->counters.answered++;
}

static void answer_join(struct sender *sender, struct passage *passage,
			const struct message_reply *reply,
			const struct probe_packet *packet, struct wall at)
{
	struct trip *trip = &passage->trip;
	bool new = answer_is_new(passage, reply);
	bool overtaken = new &&order_check(sender, reply);

	if (passage->answered) {
		sender->counters.duplicates++;
		if (!new || !sender->peer_knows_points)
			trip->duplicates[LEG_BACK] +=
				trip->duplicates[LEG_BACK] < UINT8_MAX;
		return;
	}
	if (overtaken)
		trip->flags |= TRIP_OVERTAKEN(LEG_BACK);
	answer_first(sender, passage, packet, at);
	trip->reflected_seq = reply->reflected_seq;
	sender->reflected[reply->reflected_seq & sender->mask] = reply->seq;
	trip->ttl[LEG_FORWARD] = reply->ttl;
	if (reply->present & REPLY_CLASS) {
		trip->dscp[LEG_FORWARD] = reply->dscp;
		trip->ecn[LEG_FORWARD] = reply->ecn;
	}
	if (!sender->options.echo)
		base_join(passage, reply);
}

static void flags_count(struct sender *sender, uint8_t flags)
{
	sender->counters.tlvs_unrecognized += (flags & TLV_UNRECOGNIZED) != 0;
	sender->counters.tlvs_malformed += (flags & TLV_MALFORMED) != 0;
	sender->counters.tlvs_integrity += (flags & TLV_INTEGRITY) != 0;
}

/* An echo is a request that came back. */
static enum message_verdict echo_read(const struct probe_packet *packet,
				      struct message_key *key,
				      struct message_reply *ret_reply)
{
	struct message_in echo;
	enum message_verdict verdict =
		message_request_read(packet->bytes, packet->size, key, &echo);

	*ret_reply = (struct message_reply){.seq = echo.seq,
					    .reflected_seq = echo.seq,
					    .ssid = echo.ssid,
					    .requested = echo.at};
	return verdict;
}

static enum message_verdict reply_read(struct sender *sender,
				       const struct probe_packet *packet,
				       struct message_reply *ret_reply)
{
	if (sender->options.echo)
		return echo_read(packet, sender->key, ret_reply);
	return message_reply_read(packet->bytes, packet->size, sender->key,
				  ret_reply);
}

/* The time in the answer is the one in the request, or it answers another.
 * A peer that knows no SSID returns 0. */
static bool is_ours(const struct sender *sender, const struct passage *passage,
		    const struct message_reply *reply, struct wall at)
{
	if (reply->ssid != sender->ssid && reply->ssid != 0)
		return false;
	if (is_closing(sender, reply->seq))
		return reply->requested.ns >= sender->closing_ns &&
		       reply->requested.ns <= at.ns;
	return passage && passage->sent &&
	       reply->requested.ns ==
		       passage->trip.at_ns[LEG_FORWARD][POINT_SEND];
}

/* Whose account is closed, or could be by now. */
static bool is_too_late(const struct sender *sender,
			const struct passage *passage,
			const struct message_reply *reply)
{
	if (passage)
		return !passage->answered &&
		       mono_now().ns - passage->sent_mono_ns >
			       sender->options.timeout_ns;
	return (int32_t)(reply->seq - sender->emitted) < 0 &&
	       (reply->ssid == sender->ssid || reply->ssid == 0);
}

static void reply_join(struct sender *sender, const struct message_reply *reply)
{
	sender->peer_knows_points |= reply->newest.known;
	sender_arrivals_join(sender, &reply->newest, reply->first);
	sender_arrivals_join(sender, &reply->block, reply->first);
	if (is_closing(sender, reply->seq) && reply->newest.known) {
		(void)order_check(sender, reply);
		if (reply->block.known)
			block_at(sender, reply->block.last)->closed = true;
	}
	for (size_t i = 0; i < reply->points_count; i++)
		points_join(sender, &reply->points[i]);
}

static void packet_join(struct sender *sender,
			const struct probe_packet *packet, struct wall at)
{
	struct sender_counters *counters = &sender->counters;
	struct passage *passage;
	struct message_reply reply;
	enum message_verdict verdict = reply_read(sender, packet, &reply);

	counters->short_packets += verdict == MESSAGE_SHORT;
	counters->hmac_wrong += verdict == MESSAGE_HMAC_WRONG;
	if (verdict != MESSAGE_OK)
		return;
	passage = passage_find(sender, reply.seq);
	if (!is_ours(sender, passage, &reply, at)) {
		bool late = !passage && is_too_late(sender, NULL, &reply);

		counters->too_late += late;
		counters->strange += !late;
		return;
	}
	flags_count(sender, reply.tlv_flags);
	reply_join(sender, &reply);
	if (passage && is_too_late(sender, passage, &reply))
		counters->too_late++;
	else if (passage)
		answer_join(sender, passage, &reply, packet, at);
	follow_up_join(sender, &reply);
}

/* Right after the system call. */
static void received_note(struct sender *sender)
{
	sender->received_raw_ns = clock_read_ns(CLOCK_MONOTONIC_RAW);
	watch_read(sender->options.watch, &sender->received);
}

/* Stamps of what left are read once the answer is there, unless the wait is
 * long: reading them takes microseconds that would be the answer's. */
static void stamps_take(struct sender *sender)
{
	if (sender->options.sleep || !sender_awaits(sender, mono_now().ns))
		events_take(sender);
	else if (sender->stamps_due >= STAMPS_WAITING)
		events_take_some(sender);
}

int sender_take(struct sender *sender)
{
	struct probe_packet packets[PROBE_BATCH];
	struct wall at;
	int count;

	count = probe_socket_receive(sender->socket, PROBE_BATCH, packets, &at);
	if (count < 0) { /* a refusal: the queue of events says more */
		events_take(sender);
		return 0;
	}
	if (count > 0)
		received_note(sender);
	for (int i = 0; i < count; i++)
		packet_join(sender, &packets[i], at);
	if (sender->stamps_due > 0)
		stamps_take(sender);
	return count;
}

/* What the reflector says of the packet, if it does. */
static void legs_finish(struct sender *sender, struct passage *passage)
{
	struct trip *trip = &passage->trip;
	const struct block *block = block_at(sender, trip->seq);
	uint64_t bit = block_bit(trip->seq);
	unsigned copies = 1;

	if (!(block->told & bit))
		return;
	trip->flags |= TRIP_LEG_KNOWN;
	if (block->late & bit)
		trip->flags |= TRIP_OVERTAKEN(LEG_FORWARD);
	if (!(block->came & bit) && !passage->answered)
		return;
	copies += (block->extra[0] & bit) != 0;
	copies += (block->extra[1] & bit) != 0 ? 2 : 0;
	if (passage->answers > copies)
		copies = passage->answers;
	trip->duplicates[LEG_FORWARD] = (uint8_t)(copies - 1);
	trip->answers_lost = (uint8_t)(copies - passage->answers);
	if (!passage->answered)
		trip->flags |= TRIP_LOST_BACK;
}

void passage_finish(struct sender *sender, struct passage *passage)
{
	struct trip *trip = &passage->trip;

	for (enum leg leg = LEG_FORWARD; leg < LEG_COUNT; leg++) {
		if (watch_settle(leg_of(trip, leg)))
			trip->flags |= TRIP_READY_LATE(leg);
	}
	if (!passage->sent)
		return;
	if (!passage->answered) {
		trip->flags |= TRIP_LOST;
		sender->counters.lost++;
	}
	legs_finish(sender, passage);
}
