/* The reflector: RFC 8762 section 4.3. */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "probe/reflector_private.h"

#define SESSIONS_PRESET 4096
#define ANSWER_ROOM     (65536 + 320) /* any UDP payload; see PACKET_ROOM */

struct reflector {
	struct reflector_options options;
	struct message_key *key;
	struct probe_socket *sockets[REFLECTOR_SOCKETS_MAX];
	uint32_t stamps_due[REFLECTOR_SOCKETS_MAX]; /* that may still come */
	size_t socket_count;
	struct session_table table;
	struct buckets buckets;
	struct reflector_counters counters;
	uint16_t error_estimate;
	point_set watched;           /* points that come as records */
	struct watch_times received; /* as the last packets came */

	struct probe_packet in[PROBE_BATCH], out[PROBE_BATCH];
	struct session *sessions[PROBE_BATCH]; /* of out[] */
	uint8_t *answers;                      /* PROBE_BATCH * ANSWER_ROOM */
};

const struct counter_row reflector_counter_rows[] = {
	REFLECTOR_COUNTERS(COUNTER_ROW)};
const size_t reflector_counter_count =
	sizeof reflector_counter_rows / sizeof *reflector_counter_rows;

static int parts_make(struct reflector *reflector)
{
	const struct reflector_options *options = &reflector->options;
	uint32_t count = options->session_count;
	int rc = 0;

	if (count == 0)
		count = SESSIONS_PRESET;
	if (count < REFLECTOR_SESSIONS_MIN || count > REFLECTOR_SESSIONS_MAX)
		return -EINVAL;
	if (options->key)
		rc = message_key_create(options->key, options->key_size,
					&reflector->key);
	if (rc == 0)
		rc = session_table_init(&reflector->table, count);
	if (rc == 0)
		rc = buckets_init(&reflector->buckets, options->rate_pps);
	reflector->answers = malloc((size_t)PROBE_BATCH * ANSWER_ROOM);
	return rc == 0 && !reflector->answers ? -ENOMEM : rc;
}

int reflector_create(const struct reflector_options *options,
		     struct reflector **ret_reflector)
{
	struct reflector *reflector = calloc(1, sizeof *reflector);
	int rc;

	if (!reflector)
		return -ENOMEM;
	reflector->options = *options;
	reflector->error_estimate = message_error_estimate(
		options->synchronized, options->error_ns);
	reflector->watched =
		watch_points(options->watch, LEG_BACK, LEG_FORWARD) &
		~(POINTS_OF_CALLS(LEG_FORWARD) | POINTS_OF_CALLS(LEG_BACK));
	rc = parts_make(reflector);
	if (rc < 0) {
		reflector_destroy(reflector);
		return rc;
	}
	*ret_reflector = reflector;
	return 0;
}

void reflector_destroy(struct reflector *reflector)
{
	if (!reflector)
		return;
	for (size_t i = 0; i < reflector->socket_count; i++)
		probe_socket_close(reflector->sockets[i]);
	message_key_destroy(reflector->key);
	session_table_fini(&reflector->table);
	buckets_fini(&reflector->buckets);
	free(reflector->answers);
	free(reflector);
}

int reflector_socket_add(struct reflector *reflector,
			 struct probe_socket *socket)
{
	if (reflector->socket_count == REFLECTOR_SOCKETS_MAX)
		return -ENOSPC;
	reflector->sockets[reflector->socket_count++] = socket;
	return 0;
}

int64_t reflector_clock_ahead_ns(const struct reflector_clock *clock,
				 struct wall at)
{
	double drifted =
		clock->drift_ppm * 1e-6 * (double)(at.ns - clock->from_ns);

	return clock->offset_ns + llround(drifted) +
	       (at.ns >= clock->step_at_ns ? clock->step_ns : 0);
}

static int64_t ahead_ns(const struct reflector *reflector, struct wall at)
{
	const struct reflector_clock *clock = reflector->options.clock;

	return clock ? reflector_clock_ahead_ns(clock, at) : 0;
}

static struct wall shifted(const struct reflector *reflector, struct wall at)
{
	return (struct wall){at.ns + ahead_ns(reflector, at)};
}

static void answer_stamp(const struct reflector *reflector,
			 struct answer *answer, enum leg leg, enum point point,
			 struct wall at)
{
	point_set bit = POINT_BIT(leg, point);

	answer->points.stamped |= bit;
	answer->points.at_ns[leg][point] = shifted(reflector, at).ns;
	answer->awaited &= ~bit;
}

static struct watch_leg leg_of(struct answer *answer, enum leg leg)
{
	return (struct watch_leg){leg, &answer->points.stamped,
				  answer->points.at_ns[leg]};
}

enum stamp_fate reflector_stamp_add(struct reflector *reflector,
				    const struct sockaddr_storage *peer,
				    uint32_t seq, enum leg leg,
				    enum point point, struct wall at)
{
	struct session *session;
	struct answer *answer =
		session_answer_find(&reflector->table, peer, seq, &session);

	if (!answer && point <= POINT_SENT_HW)
		return STAMP_GONE; /* what leaves has been made before */
	if (!answer)
		return session_is_past(&reflector->table, peer, seq)
			       ? STAMP_GONE
			       : STAMP_EARLY;
	/* Going out the device nearest to the wire counts, coming in too. */
	if (point <= POINT_SENT_HW ||
	    !(answer->points.stamped & POINT_BIT(leg, point)))
		answer_stamp(reflector, answer, leg, point, at);
	if (answer->awaited == 0)
		session_answer_ready(session, answer);
	return STAMP_TAKEN;
}

static void events_take(struct reflector *reflector, size_t index)
{
	static const enum point points[] = {
		[PROBE_EVENT_SCHED] = POINT_SCHED,
		[PROBE_EVENT_SENT] = POINT_SENT,
		[PROBE_EVENT_SENT_HW] = POINT_SENT_HW,
	};
	struct probe_event events[PROBE_BATCH];
	uint32_t *due = &reflector->stamps_due[index];
	int count;

	while (*due > 0 &&
	       (count = probe_socket_events(reflector->sockets[index],
					    PROBE_BATCH, events)) > 0) {
		*due -= (uint32_t)count < *due ? (uint32_t)count : *due;
		for (int i = 0; i < count; i++) {
			struct session *session;
			struct answer *answer = session_key_find(
				&reflector->table, events[i].key, &session);

			if (events[i].kind == PROBE_EVENT_REFUSED || !answer)
				continue;
			answer_stamp(reflector, answer, LEG_BACK,
				     points[events[i].kind], events[i].at);
			if (events[i].kind != PROBE_EVENT_SCHED)
				session_answer_gone(session, answer);
			if (answer->awaited == 0)
				session_answer_ready(session, answer);
		}
	}
}

static void address_set(const struct sockaddr_storage *from,
			uint8_t *ret_address, uint16_t *ret_port)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

	if (from->ss_family == AF_INET) {
		memcpy(ret_address, &v4->sin_addr, 4);
		*ret_port = ntohs(v4->sin_port);
	} else {
		memcpy(ret_address, &v6->sin6_addr, 16);
		*ret_port = ntohs(v6->sin6_port);
	}
}

/* What is known of the request when it has been read. */
static void reflection_set(const struct reflector *reflector,
			   const struct probe_packet *packet, struct wall at,
			   const struct session *session,
			   struct message_reflection *reflection)
{
	struct stamp best = packet->received_hw.source != STAMP_NONE
				    ? packet->received_hw
				    : packet->received;
	bool stamped = best.source != STAMP_NONE;

	*reflection = (struct message_reflection){
		.error_estimate = reflector->error_estimate,
		.received = shifted(reflector, stamped ? best.at : at),
		.ttl = packet->ttl,
		.dscp = packet->dscp_received,
		.ecn = packet->ecn,
		.ip_version = packet->peer.ss_family == AF_INET ? 4 : 6,
		.sync = reflector->options.synchronized ? SYNC_NTP : SYNC_LOCAL,
		.method = best.source == STAMP_HARDWARE ? METHOD_HARDWARE
							: METHOD_SOFTWARE,
		.received_count = session->received_count,
		.sent_count = session->sent_count,
		.stateless = reflector->options.stateless,
		.first = session->arrivals.first,
		.newest = arrivals_at(&session->arrivals,
				      session->arrivals.highest),
	};
	address_set(&packet->peer, reflection->address[0],
		    &reflection->port[0]);
	address_set(&packet->local, reflection->address[1],
		    &reflection->port[1]);
}

static void answer_begin(struct reflector *reflector, struct answer *answer,
			 const struct probe_packet *packet, struct wall at)
{
	if (packet->received.source != STAMP_NONE)
		answer_stamp(reflector, answer, LEG_FORWARD, POINT_RECEIVED,
			     packet->received.at);
	if (packet->received_hw.source != STAMP_NONE)
		answer_stamp(reflector, answer, LEG_FORWARD, POINT_RECEIVED_HW,
			     packet->received_hw.at);
	answer_stamp(reflector, answer, LEG_FORWARD, POINT_RECEIVE, at);
	watch_received(leg_of(answer, LEG_FORWARD), &reflector->received,
		       ahead_ns(reflector, at));
	answer->awaited = POINT_BIT(LEG_BACK, POINT_SCHED) |
			  POINT_BIT(LEG_BACK, POINT_SENT) | reflector->watched;
}

/* The class that the sender wants its answers to have, else the request's. */
static int class_of(const struct reflector *reflector,
		    const struct message_in *request,
		    const struct probe_packet *packet,
		    struct message_reflection *reflection)
{
	if (request->dscp_wanted < 0)
		return packet->dscp_received;
	reflection->dscp_refused = reflector->options.refuse_class;
	return reflection->dscp_refused ? packet->dscp_received
					: request->dscp_wanted;
}

/* Fills out[index]. */
static void answer_make(struct reflector *reflector,
			const struct message_in *request,
			const struct probe_packet *packet, struct wall at,
			size_t index)
{
	struct session *session = reflector->sessions[index];
	struct probe_packet *out = &reflector->out[index];
	const struct message_points *earlier[MESSAGE_POINTS_MAX];
	uint8_t places[MESSAGE_POINTS_MAX];
	struct message_reflection reflection;
	struct answer *answer;
	struct wall sent;

	session->received_count++;
	arrivals_note(&session->arrivals, request->seq);
	reflection_set(reflector, packet, at, session, &reflection);
	if (request->block_wanted)
		reflection.block =
			arrivals_at(&session->arrivals, request->block_last);
	reflection.seq = reflector->options.stateless ? request->seq
						      : session->sent_count;
	*out = (struct probe_packet){
		.bytes = reflector->answers + index * ANSWER_ROOM,
		.peer = packet->peer,
		.local = packet->local,
		.dscp = class_of(reflector, request, packet, &reflection),
		.stamp = request->stamps_wanted,
	};
	if (out->stamp) {
		reflection.earlier = earlier;
		reflection.earlier_count =
			session_tell(session, earlier, places);
		answer = session_answer_begin(&reflector->table, session,
					      request->seq);
		if (session->newest)
			reflection.follow_up = &session->newest->points;
		answer_begin(reflector, answer, packet, at);
		out->key = session_key(&reflector->table, session, answer);
		sent = wall_now();
		answer_stamp(reflector, answer, LEG_BACK, POINT_SEND, sent);
	} else {
		session_answer_skip(session);
		sent = wall_now();
	}
	reflection.sent = shifted(reflector, sent);
	out->size = message_reply_write(request, &reflection, reflector->key,
					out->bytes);
	session_told(session, places, reflection.told_count);
	session->sent_count++;
}

/* Returns how many answers were made. */
static size_t batch_answer(struct reflector *reflector, int count,
			   struct wall at, struct mono now)
{
	struct reflector_counters *counters = &reflector->counters;
	size_t made = 0;

	for (int i = 0; i < count; i++) {
		const struct probe_packet *packet = &reflector->in[i];
		struct message_in request;
		enum message_verdict verdict = message_request_read(
			packet->bytes, packet->size, reflector->key, &request);

		counters->received++;
		counters->short_packets += verdict == MESSAGE_SHORT;
		counters->hmac_wrong += verdict == MESSAGE_HMAC_WRONG;
		if (verdict != MESSAGE_OK)
			continue;
		if (!buckets_take(&reflector->buckets, &packet->peer, now)) {
			counters->limited++;
			continue;
		}
		reflector->sessions[made] = session_get(
			&reflector->table, &packet->peer, request.ssid, now);
		answer_make(reflector, &request, packet, at, made++);
	}
	return made;
}

/* CALL of those that one system call sent. */
static void calls_stamp(struct reflector *reflector, size_t from, size_t count)
{
	struct watch_times times;

	if (!reflector->options.watch)
		return;
	watch_read(reflector->options.watch, &times);
	for (size_t i = from; i < from + count; i++) {
		struct session *session;
		struct answer *answer =
			reflector->out[i].stamp
				? session_key_find(&reflector->table,
						   reflector->out[i].key,
						   &session)
				: NULL;

		if (answer)
			watch_sent(
				leg_of(answer, LEG_BACK),
				times.call_ns +
					ahead_ns(reflector,
						 (struct wall){times.call_ns}));
	}
}

/* Sends out[0] to out[count - 1]; one that is refused does not keep back
 * those behind it. */
static int batch_send(struct reflector *reflector, size_t index, size_t count)
{
	struct reflector_counters *counters = &reflector->counters;
	size_t at = 0;
	int answered = 0;

	while (at < count) {
		int sent = probe_socket_send(reflector->sockets[index],
					     &reflector->out[at],
					     (int)(count - at));

		if (sent <= 0) {
			counters->refused++;
			at++;
			continue;
		}
		calls_stamp(reflector, at, (size_t)sent);
		for (int i = 0; i < sent; i++, at++)
			reflector->stamps_due[index] +=
				reflector->out[at].stamp ? 2 : 0;
		answered += sent;
	}
	counters->answered += (uint64_t)answered;
	return answered;
}

/* Packets that wait; returns how many were answered, or -errno. */
static int packets_take(struct reflector *reflector, size_t index)
{
	struct probe_socket *socket = reflector->sockets[index];
	const struct probe_watch *watch = reflector->options.watch;
	struct timespec ts;
	struct wall at;
	size_t made;
	int count =
		probe_socket_receive(socket, PROBE_BATCH, reflector->in, &at);

	if (count <= 0)
		return count;
	watch_read(watch, &reflector->received);
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	made = batch_answer(reflector, count, at,
			    (struct mono){ts.tv_sec * NS_PER_S + ts.tv_nsec});
	count = batch_send(reflector, index, made);
	if (watch && watch->gather)
		watch->gather(watch->context);
	return count;
}

/* Stamps of answers come second: reading them takes time that would be the
 * next packet's. */
static int socket_turn(struct reflector *reflector, size_t index)
{
	int answered = packets_take(reflector, index);

	events_take(reflector, index);
	return answered;
}

static int all_turn(struct reflector *reflector)
{
	int answered = 0;

	for (size_t i = 0; i < reflector->socket_count; i++) {
		int rc = socket_turn(reflector, i);

		if (rc < 0)
			return rc;
		answered += rc;
	}
	return answered;
}

int reflector_turn(struct reflector *reflector, int timeout_ms)
{
	struct pollfd fds[REFLECTOR_SOCKETS_MAX];
	int answered = all_turn(reflector);

	if (answered != 0 || timeout_ms == 0)
		return answered;
	for (size_t i = 0; i < reflector->socket_count; i++) {
		fds[i] = (struct pollfd){
			.fd = probe_socket_fd(reflector->sockets[i]),
			.events = POLLIN,
		};
		/* Stamps that came make poll() return at once: take them. */
		reflector->stamps_due[i] += reflector->stamps_due[i] == 0;
	}
	if (poll(fds, reflector->socket_count, timeout_ms) < 0)
		return errno == EINTR ? 0 : -errno;
	return all_turn(reflector);
}

struct reflector_counters reflector_counters(const struct reflector *reflector)
{
	struct reflector_counters counters = reflector->counters;

	counters.sessions = reflector->table.begun;
	counters.sessions_evicted = reflector->table.evicted;
	counters.stamps_lost = reflector->table.stamps_lost;
	return counters;
}
