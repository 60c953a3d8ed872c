/* The ledger: what must be the same, seen from two sides.
 *
 * The sides are read one after the other while both move, so that during the
 * run they are compared over a reading: what the one had then, the other must
 * have now, and the other way round.  At the end both are at rest. */
#include <string.h>

#include "engine/watch_private.h"

enum {
	CALLS_TX,
	CALLS_RX,
	BUCKETS_TX,
	BUCKETS_RX,
	OWNERS_TX,
	OWNERS_RX,
	EVENTS, /* 8 of them */
	TCP_SENT = EVENTS + 8,
	TCP_TX,
	TCP_RX,
	INTERVALS,
	INTERVALS_TX,
	INTERVALS_RX,
	IDENTITIES
};

static_assert(IDENTITIES <= WATCH_IDENTITIES_MAX, "room for all");

static const struct {
	const char *name, *unit, *says;
} rows[IDENTITIES] = {
	[CALLS_TX] = {"calls_tx_bytes", "bytes",
		      "sent by calls = by all processes + unattributed"},
	[CALLS_RX] = {"calls_rx_bytes", "bytes",
		      "received by calls = by all processes + unattributed"},
	[BUCKETS_TX] = {"buckets_tx_bytes", "bytes",
			"sent by calls = in buckets + missed + unattributed"},
	[BUCKETS_RX] = {"buckets_rx_bytes", "bytes",
			"received by calls = in buckets + missed + "
			"unattributed"},
	[OWNERS_TX] = {"owners_tx_bytes", "bytes",
		       "sent on sockets = by their owners + by others"},
	[OWNERS_RX] = {"owners_rx_bytes", "bytes",
		       "received on sockets = by their owners + by others"},
	[EVENTS] = {"process_seen", "events",
		    "of processes: seen = submitted + refused"},
	{"process_consumed", "events", "of processes: submitted = taken"},
	{"state_seen", "events", "of states: seen = submitted + refused"},
	{"state_consumed", "events", "of states: submitted = taken"},
	{"end_seen", "events", "of ends: seen = submitted + refused"},
	{"end_consumed", "events", "of ends: submitted = taken"},
	{"bucket_seen", "buckets", "seen = submitted + refused"},
	{"bucket_consumed", "buckets", "submitted = taken"},
	[TCP_SENT] = {"tcp_sent_bytes", "bytes",
		      "of closed connections: sent = acknowledged + in flight "
		      "+ sent again"},
	[TCP_TX] = {"tcp_tx_bytes", "bytes",
		    "of TCP sockets not thrown away: sent by calls = taken "
		    "by the kernel"},
	[TCP_RX] = {"tcp_rx_bytes", "bytes",
		    "of the same: given by the kernel = received by calls + "
		    "spliced or mapped"},
	[INTERVALS] = {"intervals", "intervals",
		       "handed over = in the run's duration"},
	[INTERVALS_TX] = {"intervals_tx_bytes", "bytes",
			  "sent, in intervals = in buckets"},
	[INTERVALS_RX] = {"intervals_rx_bytes", "bytes",
			  "received, in intervals = in buckets"},
};

static void side(struct watch_identity *identities, int which, uint64_t left,
		 uint64_t right)
{
	identities[which] = (struct watch_identity){
		.name = rows[which].name,
		.unit = rows[which].unit,
		.says = rows[which].says,
		.left = left,
		.right = right,
		.holds = left == right,
	};
}

static void events_fill(const struct kernel_sockets_counters *kernel,
			struct watch_identity *ret)
{
	side(ret, EVENTS, kernel->process_events,
	     kernel->process_submitted + kernel->process_refused);
	side(ret, EVENTS + 1, kernel->process_submitted,
	     kernel->process_consumed);
	side(ret, EVENTS + 2, kernel->state_events,
	     kernel->state_submitted + kernel->state_refused);
	side(ret, EVENTS + 3, kernel->state_submitted, kernel->state_consumed);
	side(ret, EVENTS + 4, kernel->end_events,
	     kernel->end_submitted + kernel->end_refused);
	side(ret, EVENTS + 5, kernel->end_submitted, kernel->end_consumed);
	side(ret, EVENTS + 6, kernel->bucket_events,
	     kernel->bucket_submitted + kernel->bucket_refused);
	side(ret, EVENTS + 7, kernel->bucket_submitted,
	     kernel->bucket_consumed);
}

static void identities_fill(const struct watch *watch,
			    const struct kernel_sockets_counters *kernel,
			    struct watch_identity *ret)
{
	const struct ledger_sums *sums = &watch->sums;
	const struct intervals *all = &watch->intervals;
	uint64_t tx = sums->records_tx, rx = sums->records_rx;

	/* Ends that were lost are made good by the buckets. */
	if (kernel->end_refused > 0 || watch->ended)
		watch_processes_bytes(watch, &tx, &rx);
	side(ret, CALLS_TX, kernel->calls_tx_bytes,
	     tx + kernel->unattributed_tx_bytes);
	side(ret, CALLS_RX, kernel->calls_rx_bytes,
	     rx + kernel->unattributed_rx_bytes);
	side(ret, BUCKETS_TX, kernel->calls_tx_bytes,
	     sums->buckets_tx + kernel->bucket_refused_tx_bytes +
		     kernel->unattributed_tx_bytes);
	side(ret, BUCKETS_RX, kernel->calls_rx_bytes,
	     sums->buckets_rx + kernel->bucket_refused_rx_bytes +
		     kernel->unattributed_rx_bytes);
	side(ret, OWNERS_TX, sums->sockets_tx, sums->owners_tx);
	side(ret, OWNERS_RX, sums->sockets_rx, sums->owners_rx);
	events_fill(kernel, ret);
	side(ret, TCP_SENT, sums->sent, sums->sent_right);
	side(ret, TCP_TX, sums->calls_tx, sums->taken_tx);
	side(ret, TCP_RX, sums->given_rx, sums->calls_rx);
	side(ret, INTERVALS, watch->counters.intervals,
	     watch->ended ? watch_intervals_count(watch)
			  : watch->counters.intervals);
	side(ret, INTERVALS_TX, all->told_tx + all->refused_tx,
	     sums->buckets_tx);
	side(ret, INTERVALS_RX, all->told_rx + all->refused_rx,
	     sums->buckets_rx);
}

/* Whether both sides of 'then' are reached by the other ones of 'now'. */
static bool reached(const struct ledger_side *then,
		    const struct watch_identity *now)
{
	return then->left <= now->right && then->right <= now->left;
}

void watch_ledger_turn(struct watch *watch, uint32_t complete)
{
	struct kernel_sockets_counters kernel =
		watch->feed->counters(watch->object);
	struct watch_identity now[IDENTITIES];
	struct ledger_turn *then = &watch->previous;

	identities_fill(watch, &kernel, now);
	for (int i = 0; then->known && i < IDENTITIES; i++) {
		bool bucket = i == BUCKETS_TX || i == BUCKETS_RX;
		bool holds = reached(&then->sides[i], &now[i]);

		/* Those wait in the kernel until their interval is over. */
		if (bucket && complete <= then->index)
			continue;
		if (i == OWNERS_TX || i == OWNERS_RX)
			holds = now[i].holds;
		if (i < TCP_SENT && !holds)
			watch->ledger_failed[i]++;
	}
	then->known = true;
	then->kernel = kernel;
	for (int i = 0; i < IDENTITIES; i++)
		then->sides[i] =
			(struct ledger_side){now[i].left, now[i].right};
	then->index = watch->feed->index(watch->object);
}

/* ------------------------------------------------------------ connections */

void watch_ledger_connection(struct watch *watch,
			     const struct kernel_socket *record, bool first)
{
	const struct kernel_tcp *tcp = &record->tcp;
	struct ledger_sums *sums = &watch->sums;
	uint64_t right;

	if (record->kind != KERNEL_CLASS_TCP || !record->has_tcp ||
	    record->opened == KERNEL_OPENED_UNKNOWN ||
	    record->established.ns == 0)
		return;
	if (first && (record->event == KERNEL_SOCKET_CLOSED ||
		      record->why != KERNEL_CLOSE_ABORT)) {
		right = tcp->bytes_acked +
			(uint32_t)(tcp->snd_nxt - tcp->snd_una) +
			tcp->bytes_retrans;
		sums->sent += tcp->bytes_sent;
		/* A FIN takes a number and is no byte. */
		sums->sent_right +=
			right == tcp->bytes_sent + 1 ? tcp->bytes_sent : right;
	}
	/* A call may be under way while a connection closes, but not when its
	 * socket ends; the kernel's numbers are of the last connection, and
	 * it forgets them when it throws one away. */
	if (record->event != KERNEL_SOCKET_END || record->existing ||
	    tcp->ulp || record->connections != 1 ||
	    record->why == KERNEL_CLOSE_ABORT)
		return;
	sums->calls_tx += record->traffic.tx_bytes;
	sums->taken_tx += tcp->bytes_queued;
	sums->given_rx += tcp->bytes_consumed;
	sums->calls_rx += record->traffic.rx_bytes + record->rx_other_bytes;
}

size_t watch_ledger(const struct watch *watch,
		    struct watch_identity ret[static WATCH_IDENTITIES_MAX])
{
	identities_fill(watch, &watch->previous.kernel, ret);
	for (int i = 0; i < IDENTITIES; i++)
		ret[i].turns_failed = watch->ledger_failed[i];
	return IDENTITIES;
}
