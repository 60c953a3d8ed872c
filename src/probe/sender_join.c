/* What comes back to a sender: answers, stamps, refusals; joined by sequence
 * number, never by order or pointer. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/clock.h"
#include "probe/sender_private.h"

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

bool sender_stamp_add(struct sender *sender, uint32_t seq, enum leg leg,
		      enum point point, struct wall at)
{
	struct passage *passage = passage_find(sender, seq);

	if (!passage)
		return false;
	passage_stamp(passage, leg, point, at);
	return true;
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

static void events_take(struct sender *sender)
{
	static const enum point points[] = {
		[PROBE_EVENT_SCHED] = POINT_SCHED,
		[PROBE_EVENT_SENT] = POINT_SENT,
		[PROBE_EVENT_SENT_HW] = POINT_SENT_HW,
	};
	struct probe_event events[PROBE_BATCH];
	int count;

	while ((count = probe_socket_events(sender->socket, PROBE_BATCH,
					    events)) > 0) {
		for (int i = 0; i < count; i++) {
			if (events[i].kind == PROBE_EVENT_REFUSED) {
				refusal_note(sender, &events[i]);
				continue;
			}
			sender->stamps_due -= sender->stamps_due > 0;
			(void)sender_stamp_add(
				sender, events[i].key, LEG_FORWARD,
				points[events[i].kind], events[i].at);
		}
	}
}

static void points_join(struct sender *sender,
			const struct message_points *points)
{
	struct passage *passage = passage_find(sender, points->seq);
	point_set left = points->stamped;

	if (!passage)
		return;
	for (; left != 0; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);
		enum leg leg = i / POINT_COUNT;
		enum point point = i % POINT_COUNT;

		if (!point_is_local(leg, point))
			passage_stamp(passage, leg, point,
				      (struct wall){points->at_ns[leg][point]});
	}
}

/* What the reflector says of one packet. */
static void told(struct sender *sender, uint32_t seq,
		 const struct message_seen *seen, uint64_t bit)
{
	struct passage *passage = passage_find(sender, seq);

	if (!passage)
		return;
	passage->told = true;
	passage->came |= (seen->seen & bit) != 0;
	passage->again |= (seen->again & bit) != 0;
	passage->late |= (seen->late & bit) != 0;
}

/* Mostly one packet is new and the rest as it was. */
static void seen_join(struct sender *sender, const struct message_seen *seen)
{
	struct message_seen *last = &sender->seen;
	int32_t ahead = (int32_t)(seen->highest - last->highest);
	uint64_t news = UINT64_MAX;

	if (seen->seen == 0)
		return;
	if (last->seen != 0 && ahead >= 0 && ahead < 64) {
		news = (seen->seen ^ last->seen << ahead) |
		       (seen->again ^ last->again << ahead) |
		       (seen->late ^ last->late << ahead) |
		       ((UINT64_C(1) << ahead) - 1);
	}
	for (; news != 0; news &= news - 1) {
		unsigned back = (unsigned)__builtin_ctzll(news);

		told(sender, seen->highest - back, seen, UINT64_C(1) << back);
	}
	if (last->seen == 0 || ahead >= 0)
		*last = *seen;
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

/* Whether this answer has a number that none before had. */
static bool number_is_new(struct passage *passage, uint32_t number)
{
	uint8_t known = passage->answers < ANSWERS_KNOWN ? passage->answers
							 : ANSWERS_KNOWN;

	for (uint8_t i = 0; i < known; i++) {
		if (passage->numbers[i] == number)
			return false;
	}
	if (passage->answers < ANSWERS_KNOWN)
		passage->numbers[passage->answers] = number;
	passage->answers += passage->answers < UINT8_MAX;
	return true;
}

/* Its number is below one that came before: overtaken on its way back. */
static void order_check(struct sender *sender, struct passage *passage,
			uint32_t number)
{
	if (sender->number_known &&
	    (int32_t)(number - sender->number_highest) < 0)
		passage->trip.flags |= TRIP_OVERTAKEN(LEG_BACK);
	else
		sender->number_highest = number;
	sender->number_known = true;
}

static void answer_first(struct sender *sender, struct passage *passage,
			 const struct probe_packet *packet, struct wall at)
{
	struct trip *trip = &passage->trip;
	struct timespec raw;

	clock_gettime(CLOCK_MONOTONIC_RAW, &raw);
	passage->answered = true;
	passage->answered_mono_ns = mono_now().ns;
	trip->rtt_ns = raw.tv_sec * NS_PER_S + raw.tv_nsec - trip->sent_ns;
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
	sender->counters.answered++;
}

static void answer_join(struct sender *sender, struct passage *passage,
			const struct message_reply *reply,
			const struct probe_packet *packet, struct wall at)
{
	struct trip *trip = &passage->trip;
	bool stateful = sender->peer_knows_points;
	bool new = number_is_new(passage, reply->reflected_seq);

	if (new)
		order_check(sender, passage, reply->reflected_seq);
	if (passage->answered) {
		sender->counters.duplicates++;
		if (!new || !stateful)
			trip->duplicates[LEG_BACK] +=
				trip->duplicates[LEG_BACK] < UINT8_MAX;
		return;
	}
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

/* Closing packets have numbers behind the last slot's. */
static bool is_closing(const struct sender *sender, uint32_t seq)
{
	return seq - sender->next < sender->closing;
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
		    const struct message_reply *reply)
{
	return passage && passage->sent &&
	       (reply->ssid == sender->ssid || reply->ssid == 0) &&
	       reply->requested.ns ==
		       passage->trip.at_ns[LEG_FORWARD][POINT_SEND];
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
	if (!is_closing(sender, reply.seq) &&
	    !is_ours(sender, passage, &reply)) {
		bool emitted = reply.seq < sender->emitted;

		counters->too_late += emitted;
		counters->strange += !emitted;
		return;
	}
	flags_count(sender, reply.tlv_flags);
	sender->peer_knows_points |= reply.seen.seen != 0;
	seen_join(sender, &reply.seen);
	for (size_t i = 0; i < reply.points_count; i++)
		points_join(sender, &reply.points[i]);
	if (passage && !is_closing(sender, reply.seq))
		answer_join(sender, passage, &reply, packet, at);
	follow_up_join(sender, &reply);
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
	for (int i = 0; i < count; i++)
		packet_join(sender, &packets[i], at);
	if (sender->stamps_due > 0)
		events_take(sender);
	return count;
}

void passage_finish(struct sender *sender, struct passage *passage)
{
	struct trip *trip = &passage->trip;
	unsigned copies = 1 + passage->again; /* that came to the reflector */

	passage->done = true;
	if (!passage->sent)
		return;
	if (!passage->answered) {
		trip->flags |= TRIP_LOST;
		sender->counters.lost++;
	}
	if (!passage->told)
		return;
	trip->flags |= TRIP_LEG_KNOWN;
	if (passage->late)
		trip->flags |= TRIP_OVERTAKEN(LEG_FORWARD);
	if (!passage->came)
		return;
	if (passage->answers > copies)
		copies = passage->answers;
	trip->duplicates[LEG_FORWARD] = (uint8_t)(copies - 1);
	trip->answers_lost = (uint8_t)(copies - passage->answers);
	if (!passage->answered)
		trip->flags |= TRIP_LOST_BACK;
}
