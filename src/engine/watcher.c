/* Stamps by BPF for a sender or a reflector: chooses the tier, hands the
 * stamps over.  A reflector's stamps of a request can be here before the
 * request was read: they wait until it has been. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/engine.h"

#define WAITING_MAX 16384 /* at 10 kHz, and two a request: of 0.8 s */
#define WAITING_NS  NS_PER_S
#define MISSES_MAX  256 /* a turn: a flood must not make it long */

struct watcher {
	struct watcher_options options;
	enum tier tier;
	struct fault note;
	struct kernel_points *points; /* NULL: below T2 */
	struct sender *sender;        /* or */
	struct reflector *reflector;
	struct sockaddr_storage remote;
	struct kernel_stamp waiting[WAITING_MAX];
	size_t waiting_count;
	struct watcher_counters counters;
};

const struct counter_row watcher_counter_rows[] = {
	WATCHER_COUNTERS(COUNTER_ROW)};
const size_t watcher_counter_count =
	sizeof watcher_counter_rows / sizeof *watcher_counter_rows;

static int points_open(struct watcher *watcher, struct fault *ret_fault)
{
	struct kernel_points_options options = watcher->options.points;

	options.tier = watcher->options.tier;
	return kernel_points_open(&options, &watcher->points, ret_fault);
}

/* The best that can be had, or exactly what was asked for. */
static int tier_choose(struct watcher *watcher, struct fault *ret_fault)
{
	const struct watcher_options *options = &watcher->options;
	struct fault fault = {""};
	int rc;

	watcher->tier =
		options->tier < TIER_SOCKET ? options->tier : TIER_SOCKET;
	if (options->tier < TIER_TRACEPOINT)
		return 0;
	rc = points_open(watcher, &fault);
	if (rc == 0) {
		watcher->tier = kernel_points_tier(watcher->points);
		fault_set(&watcher->note, 0, "%s",
			  kernel_points_missing(watcher->points));
	} else {
		watcher->note = fault;
	}
	if (options->forced && watcher->tier < options->tier)
		return fault_set(ret_fault, rc < 0 ? rc : -EPERM, "tier %s: %s",
				 tier_words[options->tier], watcher->note.text);
	return 0;
}

int watcher_open(const struct watcher_options *options,
		 struct watcher **ret_watcher, struct fault *ret_fault)
{
	struct watcher *watcher = calloc(1, sizeof *watcher);
	int rc;

	if (!watcher)
		return fault_set(ret_fault, -ENOMEM, "%s",
				 err_sentence(-ENOMEM));
	watcher->options = *options;
	rc = tier_choose(watcher, ret_fault);
	if (rc < 0) {
		watcher_close(watcher);
		return rc;
	}
	*ret_watcher = watcher;
	return 0;
}

void watcher_close(struct watcher *watcher)
{
	if (!watcher)
		return;
	kernel_points_close(watcher->points);
	free(watcher);
}

enum tier watcher_tier(const struct watcher *watcher)
{
	return watcher->tier;
}

const char *watcher_note(const struct watcher *watcher)
{
	return watcher->note.text;
}

const struct probe_watch *watcher_probe(const struct watcher *watcher)
{
	return watcher->points ? kernel_points_probe(watcher->points) : NULL;
}

struct watcher_counters watcher_counters(const struct watcher *watcher)
{
	struct watcher_counters counters = watcher->counters;
	struct kernel_points_counters kernel = {0};

	if (watcher->points)
		kernel = kernel_points_counters(watcher->points);
	counters.bpf_taken = kernel.taken;
	counters.bpf_lost = kernel.lost;
	counters.bpf_unread = kernel.unread;
	counters.bpf_unjoined = kernel.unjoined;
	return counters;
}

/* ---- sender ---------------------------------------------------------------
 */

static void sender_stamp(void *context, const struct kernel_stamp *stamp)
{
	struct watcher *watcher = context;
	enum leg leg = stamp->point <= POINT_SENT_HW ? LEG_FORWARD : LEG_BACK;

	if (!probe_address_same(&stamp->peer, &watcher->remote) ||
	    !sender_stamp_add(watcher->sender, stamp->seq, leg, stamp->point,
			      stamp->at))
		watcher->counters.bpf_strange++;
}

static void sender_gather(void *context)
{
	struct watcher *watcher = context;

	(void)kernel_points_gather(watcher->points, sender_stamp, watcher);
}

/* ---- reflector ------------------------------------------------------------
 */

static enum stamp_fate reflector_take(struct watcher *watcher,
				      const struct kernel_stamp *stamp)
{
	enum leg leg = stamp->point <= POINT_SENT_HW ? LEG_BACK : LEG_FORWARD;

	return reflector_stamp_add(watcher->reflector, &stamp->peer, stamp->seq,
				   leg, stamp->point, stamp->at);
}

static void reflector_stamp(void *context, const struct kernel_stamp *stamp)
{
	struct watcher *watcher = context;

	enum stamp_fate fate = reflector_take(watcher, stamp);

	if (fate == STAMP_EARLY && watcher->waiting_count < WAITING_MAX)
		watcher->waiting[watcher->waiting_count++] = *stamp;
	else
		watcher->counters.bpf_strange += fate != STAMP_TAKEN;
}

/* A backlog is answered in several turns: stamps wait as long.  What waits in
 * vain goes, or it would keep those behind it from being tried. */
static void waiting_retry(struct watcher *watcher)
{
	int64_t now_ns = wall_now().ns;
	size_t kept = 0, missed = 0;

	for (size_t i = 0; i < watcher->waiting_count; i++) {
		struct kernel_stamp stamp = watcher->waiting[i];
		enum stamp_fate fate = STAMP_EARLY;

		if (missed < MISSES_MAX)
			fate = reflector_take(watcher, &stamp);
		if (fate == STAMP_TAKEN)
			continue;
		missed += fate == STAMP_EARLY;
		if (fate == STAMP_EARLY && now_ns - stamp.at.ns < WAITING_NS)
			watcher->waiting[kept++] = stamp;
		else
			watcher->counters.bpf_strange++;
	}
	watcher->waiting_count = kept;
}

static void reflector_gather(void *context)
{
	struct watcher *watcher = context;

	waiting_retry(watcher);
	(void)kernel_points_gather(watcher->points, reflector_stamp, watcher);
}

/* ---- both -----------------------------------------------------------------
 */

static int watch_begin(struct watcher *watcher,
		       const struct sockaddr_storage *local,
		       void (*gather)(void *context))
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)local;
	struct probe_watch *watch;
	int rc;

	/* The port is in the same place of both families. */
	rc = kernel_points_watch(watcher->points, ntohs(v4->sin_port));
	watch = kernel_points_probe(watcher->points);
	if (rc < 0) {
		watch->points = 0;
		watcher->tier = TIER_SOCKET;
		return fault_set(&watcher->note, rc, "BPF: this thread: %s",
				 err_sentence(rc));
	}
	watch->gather = gather;
	watch->context = watcher;
	return 0;
}

int watcher_sender(struct watcher *watcher, struct sender *sender,
		   const struct sockaddr *remote)
{
	struct sockaddr_storage local = sender_local(sender);

	if (!watcher->points)
		return 0;
	watcher->sender = sender;
	memcpy(&watcher->remote, remote,
	       remote->sa_family == AF_INET ? sizeof(struct sockaddr_in)
					    : sizeof(struct sockaddr_in6));
	return watch_begin(watcher, &local, sender_gather);
}

int watcher_reflector(struct watcher *watcher, struct reflector *reflector,
		      const struct sockaddr_storage *local)
{
	if (!watcher->points)
		return 0;
	watcher->reflector = reflector;
	return watch_begin(watcher, local, reflector_gather);
}
