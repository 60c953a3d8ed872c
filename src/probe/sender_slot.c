/* A sender's slots: waiting for them, sending in them, and closing the account
 * of each trip when its time limit is past. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "probe/sender_private.h"

/* Sleep ends before the slot by what timers were late of late, within: */
#define EARLY_MIN_NS   80000
#define EARLY_MAX_NS   400000
#define SPIN_NS        4000 /* the last look at the socket before a slot */
#define BLOCK_NS       100000000
#define START_NS       2000000
#define CLOSING_NS     2000000
#define CLOSING_COUNT  64 /* at most, to a reflector that tells no points */
#define TELLING_NS     500000000 /* a loss waits so long for its direction */
#define LINGER_NS      50000000
#define GATHER_NS      20000000 /* so long it can be put off */
#define GATHER_ROOM_NS 20000    /* it is done in less */

/* Every trip that was under way since the last look is void. */
static void step_note(struct sender *sender, int64_t now_ns)
{
	sender->counters.clock_steps++;
	for (uint32_t seq = sender->emitted; seq != sender->next; seq++) {
		struct passage *passage = passage_at(sender, seq);

		if (passage->sent &&
		    (!passage->answered ||
		     passage->answered_mono_ns >= sender->checked_ns))
			passage->trip.flags |= TRIP_VOID;
	}
	sender->checked_ns = now_ns;
}

static void step_check(struct sender *sender, int64_t now_ns)
{
	uint64_t expired;

	if (sender->step_fd < 0)
		return;
	if (read(sender->step_fd, &expired, sizeof expired) < 0 &&
	    errno == ECANCELED)
		step_note(sender, now_ns);
	else
		sender->checked_ns = now_ns;
}

/* Stamps from elsewhere are taken when no packet waits for it, yet before
 * too many are there. */
static void gather(struct sender *sender, int64_t now_ns)
{
	const struct probe_watch *watch = sender->options.watch;

	if (!watch || !watch->gather)
		return;
	sender->gathered_ns = now_ns;
	watch->gather(watch->context);
}

static void trip_emit(struct sender *sender, struct passage *passage)
{
	passage_finish(sender, passage);
	sender->options.emit(sender->options.context, &passage->trip);
	passage->begun = false;
	sender->emitted++;
}

/* A loss without a direction: an answer that tells may still come. */
static bool is_untold(struct sender *sender, const struct passage *passage)
{
	uint32_t seq = passage->trip.seq;

	return passage->sent && !passage->answered &&
	       sender->peer_knows_points &&
	       !(block_at(sender, seq)->told & block_bit(seq));
}

/* Hands out what is past its time limit, and at the end all. */
static void trips_emit(struct sender *sender, int64_t now_ns, bool all)
{
	while (sender->emitted != sender->next) {
		struct passage *passage = passage_at(sender, sender->emitted);
		int64_t limit =
			passage->sent_mono_ns + sender->options.timeout_ns;

		if (is_untold(sender, passage))
			limit += TELLING_NS;
		if (!all && passage->sent && now_ns < limit)
			return;
		trip_emit(sender, passage);
	}
}

/* Above 0, up to 1: a schedule that can be had again from its seed. */
static double random_unit(struct sender *sender)
{
	return (double)((random_next(&sender->random) >> 11) + 1) / 0x1p53;
}

static void slot_advance(struct sender *sender)
{
	sender->next++;
	sender->counters.slots++;
	if (sender->options.poisson)
		sender->slot_ns += (int64_t)(-log(random_unit(sender)) *
					     (double)sender->interval_ns);
	else
		sender->slot_ns =
			sender->start_ns +
			(int64_t)((double)sender->next * (double)NS_PER_S /
				  sender->options.rate_hz);
}

static struct passage *passage_begin(struct sender *sender)
{
	struct passage *passage = passage_at(sender, sender->next);

	/* The window is full: the oldest accounts close now. */
	while (sender->next - sender->emitted > sender->mask + 1 - 64)
		trip_emit(sender, passage_at(sender, sender->emitted));
	if (sender->next % 64 == 0)
		*block_at(sender, sender->next) = (struct block){.told = 0};
	*passage = (struct passage){
		.trip = {.seq = sender->next,
			 .slot_ns = sender->slot_ns,
			 .dscp = {TRIP_CLASS_UNKNOWN, TRIP_CLASS_UNKNOWN},
			 .ecn = {TRIP_CLASS_UNKNOWN, TRIP_CLASS_UNKNOWN}},
		.begun = true,
	};
	return passage;
}

static int packet_send(struct sender *sender, uint32_t seq, struct wall at,
		       bool stamp)
{
	struct message_request request = {
		.seq = seq,
		.ssid = sender->ssid,
		.error_estimate = sender->error_estimate,
		.at = at,
	};
	struct probe_packet packet = {
		.bytes = sender->bytes, .key = seq, .stamp = stamp, .dscp = -1};
	int sent;

	sender_ask(sender);
	packet.size = message_end(&sender->message, &request, sender->key);
	sent = probe_socket_send(sender->socket, &packet, 1);
	if (sent < 0) /* the refusal of one before: told once, then it goes */
		sent = probe_socket_send(sender->socket, &packet, 1);
	if (sent == 1 && stamp)
		sender->stamps_due += 2;
	return sent;
}

static void slot_send(struct sender *sender, struct passage *passage,
		      int64_t now_ns)
{
	struct trip *trip = &passage->trip;
	bool stamp = !sender->options.interleave || (trip->seq & 1) == 0;
	struct wall at;

	trip->late_ns = now_ns - sender->slot_ns;
	passage->sent_mono_ns = now_ns;
	if (trip->late_ns > sender->options.late_ns) {
		trip->flags |= TRIP_LATE;
		sender->counters.late++;
	}
	if (!stamp)
		trip->flags |= TRIP_UNSTAMPED;
	trip->sent_ns = clock_read_ns(CLOCK_MONOTONIC_RAW);
	at = wall_now();
	if (packet_send(sender, trip->seq, at, stamp) == 1) {
		passage->sent = true;
		sender->counters.sent++;
		sender->last_sent_ns = now_ns;
		passage_stamp(passage, LEG_FORWARD, POINT_SEND, at);
		passage_call(sender, passage);
	} else {
		trip->flags |= TRIP_FAILED;
		sender->counters.failed++;
	}
	slot_advance(sender);
}

/* A slot that is past by more than the next one's distance is not made up
 * for: a burst would measure itself. */
static void slot_skip(struct sender *sender, struct passage *passage)
{
	passage->trip.flags |= TRIP_SKIPPED;
	sender->counters.skipped++;
	slot_advance(sender);
}

static void sleep_until(struct sender *sender, int64_t until_ns)
{
	struct pollfd wait = {probe_socket_fd(sender->socket), POLLIN, 0};
	int64_t left = until_ns - mono_now().ns;
	struct timespec timeout;

	if (left <= 0)
		return;
	if (left > BLOCK_NS)
		left = BLOCK_NS;
	timeout = (struct timespec){left / NS_PER_S, left % NS_PER_S};
	(void)ppoll(&wait, 1, &timeout, NULL);
	if (wait.revents & POLLERR) /* stamps, or a refusal */
		sender->stamps_due += sender->stamps_due == 0;
}

/* Rises at once, falls slowly; what is beyond all measure is no timer. */
static void early_adapt(struct sender *sender, int64_t wake_ns, int64_t now_ns)
{
	int64_t wanted = 3 * (now_ns - wake_ns) / 2;

	if (wanted > INT64_C(2) * EARLY_MAX_NS)
		return;
	if (wanted > EARLY_MAX_NS)
		wanted = EARLY_MAX_NS;
	if (wanted > sender->early_ns)
		sender->early_ns = wanted;
	else if (sender->early_ns > EARLY_MIN_NS)
		sender->early_ns -= sender->early_ns / 256;
}

/* Sleeps until so long before the slot that a late timer does no harm; an
 * answer ends it sooner. */
static void slot_sleep(struct sender *sender, int64_t slot_ns)
{
	int64_t wake_ns = slot_ns - sender->early_ns;
	int64_t now_ns;

	sleep_until(sender, wake_ns);
	now_ns = mono_now().ns;
	if (now_ns > wake_ns)
		early_adapt(sender, wake_ns, now_ns);
}

/* Joins what comes back until the slot is near.  False: not there yet. */
static bool slot_near(struct sender *sender, int64_t until_ns)
{
	int64_t begin_ns = mono_now().ns, now_ns = begin_ns;

	while (until_ns - now_ns > SPIN_NS) {
		bool spin = until_ns - now_ns <= sender->early_ns ||
			    (!sender->options.sleep &&
			     sender_awaits(sender, now_ns));

		if (now_ns - begin_ns > BLOCK_NS || atomic_load(&sender->stop))
			return false;
		if (until_ns - now_ns > GATHER_ROOM_NS &&
		    (!sender_awaits(sender, now_ns) ||
		     now_ns - sender->gathered_ns > GATHER_NS) &&
		    sender->gathered_ns <= sender->last_sent_ns)
			gather(sender, now_ns);
		if (!spin)
			slot_sleep(sender, until_ns);
		(void)sender_take(sender);
		now_ns = mono_now().ns;
	}
	return true;
}

static int64_t spin_until(int64_t until_ns)
{
	int64_t now_ns = mono_now().ns;

	while (now_ns < until_ns)
		now_ns = mono_now().ns;
	return now_ns;
}

static int slot_turn(struct sender *sender)
{
	int64_t now_ns = mono_now().ns;
	struct passage *passage;

	if (now_ns - sender->gathered_ns > GATHER_NS)
		gather(sender, now_ns);
	if (!slot_near(sender, sender->slot_ns))
		return 1;
	passage = passage_begin(sender);
	now_ns = spin_until(sender->slot_ns);
	if (now_ns - sender->slot_ns >= sender->interval_ns &&
	    !sender->options.poisson)
		slot_skip(sender, passage);
	else
		slot_send(sender, passage, now_ns);
	(void)sender_take(sender);
	step_check(sender, now_ns);
	trips_emit(sender, now_ns, false);
	return 1;
}

/* What is known of the reflector's stamps of all packets that came back. */
static bool is_complete(struct sender *sender)
{
	for (uint32_t seq = sender->emitted; seq != sender->next; seq++) {
		const struct passage *passage = passage_at(sender, seq);
		point_set set = sender_points(sender);

		set = trip_points(&passage->trip, set);
		if (passage->trip.flags & TRIP_UNSTAMPED)
			set &= TOLD_ALWAYS;
		if (passage->sent &&
		    (!passage->answered || (set & ~passage->trip.stamped) != 0))
			return false;
	}
	return !sender->peer_knows_points || sender_all_told(sender);
}

/* Often enough to ask about every block four times within the time limit. */
static int64_t closing_interval_ns(const struct sender *sender)
{
	int64_t blocks = (sender->next - sender->emitted) / 64 + 16;
	int64_t interval = sender->options.timeout_ns / (4 * blocks);

	return interval < CLOSING_NS ? interval : CLOSING_NS;
}

static void closing_send(struct sender *sender, int64_t now_ns)
{
	struct wall at = wall_now();

	if (sender->options.echo || now_ns < sender->slot_ns ||
	    (sender->closing >= CLOSING_COUNT && !sender->peer_knows_points))
		return;
	if (sender->closing++ == 0)
		sender->closing_ns = at.ns;
	(void)packet_send(sender, sender->next + sender->closing - 1, at,
			  false);
	sender->slot_ns = now_ns + closing_interval_ns(sender);
}

/* Packets behind the last slot bring what the reflector knows of the last
 * ones; then all there is to do is wait. */
static int closing_turn(struct sender *sender)
{
	int64_t now_ns = mono_now().ns;
	int64_t linger = 10 * sender->rtt_max_ns > LINGER_NS
				 ? 10 * sender->rtt_max_ns
				 : LINGER_NS;
	int64_t end_ns = sender->last_sent_ns + sender->options.timeout_ns;
	bool complete;

	gather(sender, now_ns);
	complete = is_complete(sender);
	if (complete && linger < sender->options.timeout_ns)
		end_ns = sender->last_sent_ns + linger;
	if (sender->emitted == sender->next || now_ns >= end_ns) {
		step_check(sender, now_ns);
		trips_emit(sender, now_ns, true);
		return 0;
	}
	if (!complete)
		closing_send(sender, now_ns);
	sleep_until(sender, now_ns + 1000000);
	(void)sender_take(sender);
	step_check(sender, now_ns);
	return 1;
}

static void start(struct sender *sender)
{
	/* Timers of this thread shall be as exact as they can be. */
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	sender->slack_set = true;
	sender->early_ns = EARLY_MIN_NS;
	sender->checked_ns = mono_now().ns;
	sender->start_ns = sender->options.start_ns
				   ? sender->options.start_ns
				   : sender->checked_ns + START_NS;
	sender->slot_ns = sender->start_ns;
}

int sender_turn(struct sender *sender)
{
	if (!sender->slack_set)
		start(sender);
	if (!atomic_load(&sender->stop) &&
	    (sender->options.count == 0 ||
	     sender->next < sender->options.count))
		return slot_turn(sender);
	return closing_turn(sender);
}
