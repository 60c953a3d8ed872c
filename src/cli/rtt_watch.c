/* 'sonde rtt --watch PID|PORT': another program's requests and replies.
 *
 * An exchange is a trip of which one host is known, so that the result, the
 * table, the screen, the pictures and the store are those of our own round
 * trips; each side (the watched program as a server, or as a client) has a
 * result of its own. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/rtt_private.h"

#define WAIT_MS 10 /* the ring of stamps has room for longer */

/* What one side has; begun with its first exchange. */
struct view {
	bool begun;
	struct rtt_result result;
	struct rtt_store *store;
	struct rtt_plot *plot;
	char host[80], prefix[4000], kept[4000];
	uint64_t trips;
	struct mono since;
};

struct watch {
	const struct rtt_options *options;
	struct exchanger *exchanger;
	struct view views[SIDE_COUNT];
	struct rtt_screen *screen;
	struct mono end; /* 0: none */
	bool failed;     /* an output could not be begun */
};

/* What is for packets of our own. */
static const char *useless_option(const struct rtt_options *options)
{
	const struct {
		bool given;
		const char *name;
	} rows[] = {
		{options->interval_ns > 0, "interval"},
		{options->poisson, "poisson"},
		{options->sleep, "sleep"},
		{options->realtime, "realtime"},
		{options->size > 0, "size"},
		{options->echo, "echo"},
		{options->local != NULL, "local"},
		{options->interface != NULL, "interface"},
		{options->hardware, "hardware"},
		{options->tier != 0, "tier"},
		{options->unstamped, "unstamped"},
		{options->interleave, "interleave"},
		{options->key.hex || options->key.file, "key"},
		{options->sender == RTT_PYTHON, "sender"},
		{options->reflector == RTT_PYTHON, "reflector"},
		{options->explain, "explain"},
		{options->against != NULL, "against"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].given)
			return rows[i].name;
	}
	return NULL;
}

/* ---- views -----------------------------------------------------------------
 */

static int outputs_begin(struct watch *watch, struct view *view,
			 const char *side)
{
	const struct rtt_options *options = watch->options;
	int rc = -1;

	if (options->plot) {
		(void)snprintf(view->prefix, sizeof view->prefix, "%s-%s",
			       options->plot, side);
		rc = rtt_plot_open(view->prefix, &view->plot);
	}
	if (rc >= 0 || !options->store)
		return rc;
	(void)snprintf(view->kept, sizeof view->kept, "%s", options->store);
	/* A store has one run at a time: the other side has its own file. */
	if (watch->views[SIDE_SERVER].store || watch->views[SIDE_CLIENT].store)
		(void)snprintf(view->kept, sizeof view->kept, "%s-%s",
			       options->store, side);
	return rtt_store_open(view->kept, &view->result, &view->store);
}

static void view_begin(struct watch *watch, enum exchange_side side)
{
	struct view *view = &watch->views[side];
	const char *program = exchanger_program(watch->exchanger);
	const char *word = exchange_side_words[side];

	(void)snprintf(view->host, sizeof view->host, "%s%s%s",
		       *program ? program : "", *program ? ", " : "", word);
	view->begun = true;
	view->since = mono_now();
	view->result = (struct rtt_result){
		.options = watch->options,
		.host = view->host,
		/* Two runs of a store begin at two moments. */
		.started = {wall_now().ns + (int64_t)side},
		.watched = watch->exchanger,
		.side = side,
	};
	(void)snprintf(view->result.address, sizeof view->result.address, "%s",
		       exchanger_target(watch->exchanger));
	if (rtt_result_init(&view->result) < 0) {
		fprintf(stderr, "sonde: rtt: %s\n", err_sentence(-ENOMEM));
		watch->failed = true;
	} else if (outputs_begin(watch, view, word) >= 0) {
		watch->failed = true; /* it is told */
	}
}

static void trip_take(void *context, enum exchange_side side,
		      const struct trip *trip)
{
	struct watch *watch = context;
	struct view *view = &watch->views[side];
	point_set points = exchanger_points(watch->exchanger, side);

	if (!view->begun)
		view_begin(watch, side);
	if (watch->failed)
		return;
	view->trips++;
	if (rtt_result_trip(&view->result, trip, points) < 0) {
		fprintf(stderr, "sonde: rtt: %s\n", err_sentence(-ENOMEM));
		watch->failed = true;
	}
	if (watch->options->json)
		rtt_exchange_json(side, trip, points, stdout);
	if (view->store)
		rtt_store_trip(view->store, trip);
	if (view->plot)
		rtt_plot_trip(view->plot, trip);
	if (watch->screen)
		rtt_screen_trip(watch->screen, trip);
}

/* The side that has more to show. */
static const struct rtt_result *busier(const struct watch *watch)
{
	const struct view *server = &watch->views[SIDE_SERVER];
	const struct view *client = &watch->views[SIDE_CLIENT];

	return client->trips > server->trips ? &client->result
					     : &server->result;
}

static void views_tick(struct watch *watch)
{
	struct mono now = mono_now();

	for (int side = 0; side < SIDE_COUNT; side++) {
		struct view *view = &watch->views[side];
		int64_t ns = mono_ns_between(view->since, now);

		if (!view->begun)
			continue;
		if (ns > 0)
			view->result.rate_hz = (double)view->trips *
					       (double)NS_PER_S / (double)ns;
		if (view->store)
			rtt_store_tick(view->store);
	}
}

/* ---- what is told -----------------------------------------------------------
 */

static void counters_json(const struct watch *watch, FILE *to)
{
	struct exchanger_counters counters =
		exchanger_counters(watch->exchanger);
	const uint64_t *values = (const uint64_t *)&counters;

	fprintf(to, "{\"type\":\"summary\",\"watch\":\"%s\"",
		exchanger_target(watch->exchanger));
	for (size_t i = 0; i < exchanger_counter_count; i++)
		fprintf(to, ",\"%s\":%" PRIu64, exchanger_counter_rows[i].name,
			values[i]);
	fprintf(to, ",\"process_ended\":%s",
		exchanger_process_ended(watch->exchanger) ? "true" : "false");
}

static void views_print_json(const struct watch *watch)
{
	bool any = false;

	for (int side = 0; side < SIDE_COUNT; side++) {
		const struct view *view = &watch->views[side];

		if (!view->begun)
			continue;
		any = true;
		counters_json(watch, stdout);
		printf(",\"side\":\"%s\"", exchange_side_words[side]);
		rtt_result_json(&view->result, stdout);
		fputs("}\n", stdout);
	}
	if (any)
		return;
	counters_json(watch, stdout);
	fputs("}\n", stdout);
}

static int terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 80)
		return 80;
	return size.ws_col;
}

static void views_print(const struct watch *watch)
{
	bool before = false;

	if (watch->options->json) {
		views_print_json(watch);
		return;
	}
	for (int side = 0; side < SIDE_COUNT; side++) {
		if (!watch->views[side].begun)
			continue;
		if (before)
			putchar('\n');
		rtt_table_print(&watch->views[side].result, terminal_width(),
				stdout);
		before = true;
	}
}

void rtt_watch_counts_print(const struct rtt_result *result, FILE *to)
{
	struct tally_counters tally = tally_counters(result->tally);
	struct exchanger_counters all = exchanger_counters(result->watched);
	uint64_t lost = tally.lost_unknown;
	double share =
		tally.sent > 0 ? 100 * (double)lost / (double)tally.sent : 0;

	fprintf(to,
		"\nexchanges   %" PRIu64 ": %" PRIu64 " answered, %" PRIu64
		" unanswered (%.3g %%)\n",
		tally.sent, tally.answered, lost, share);
	fprintf(to,
		"copies      %" PRIu64 " of requests, %" PRIu64
		" of replies; %" PRIu64 " packets that answer nothing\n",
		all.request_copies, all.reply_copies, all.unasked);
	fprintf(to,
		"joined      %" PRIu64 " by identifier, %" PRIu64
		" by order; left out: %" PRIu64 " ambiguous, %" PRIu64
		" unfinished\n",
		all.by_identifier, all.by_order, all.ambiguous, all.unfinished);
	if (all.elsewhere + all.no_room > 0)
		fprintf(to,
			"            %" PRIu64
			" were another process's, %" PRIu64 " had no room\n",
			all.elsewhere, all.no_room);
	if (all.bpf_lost > 0)
		fprintf(to,
			"            %" PRIu64
			" stamps lost: this program was behind\n",
			all.bpf_lost);
	if (tally.void_trips > 0)
		fprintf(to,
			"void        %" PRIu64
			" exchanges: a clock was stepped meanwhile\n",
			tally.void_trips);
}

/* ---- the run
 * ----------------------------------------------------------------- */

static bool views_close(struct watch *watch)
{
	bool kept = true;

	for (int side = 0; side < SIDE_COUNT; side++) {
		struct view *view = &watch->views[side];

		if (!view->begun)
			continue;
		if (view->store)
			kept &= rtt_store_close(view->store);
		if (view->plot)
			kept &= rtt_plot_close(view->plot, &view->result);
		rtt_result_fini(&view->result);
	}
	return kept;
}

static int exit_code(const struct watch *watch, bool kept)
{
	struct exchanger_counters counters =
		exchanger_counters(watch->exchanger);
	bool ended = exchanger_process_ended(watch->exchanger);
	const char *target = exchanger_target(watch->exchanger);

	if (ended)
		fprintf(stderr, "sonde: rtt: %s (%s): the process ended\n",
			target, exchanger_program(watch->exchanger));
	if (counters.answered == 0) {
		fprintf(stderr,
			"sonde: rtt: %s: no exchange was answered (%" PRIu64
			" requests seen)\n",
			target, counters.requests);
		return EXIT_NOT_ABLE;
	}
	if (ended || watch->failed || !kept || counters.unanswered > 0 ||
	    counters.ambiguous > 0)
		return EXIT_PARTIAL;
	return EXIT_DONE;
}

static void stop_it(void *exchanger)
{
	exchanger_stop(exchanger);
}

static void watch_loop(struct watch *watch)
{
	int rc = 0;

	while (rc != ERR_END) {
		if (watch->failed ||
		    (watch->end.ns > 0 &&
		     mono_ns_between(watch->end, mono_now()) >= 0))
			exchanger_stop(watch->exchanger);
		rc = exchanger_collect(watch->exchanger, WAIT_MS);
		views_tick(watch);
		if (watch->options->json && fflush(stdout) != 0)
			exchanger_stop(watch->exchanger);
		if (watch->screen &&
		    !rtt_screen_turn(watch->screen, busier(watch)))
			exchanger_stop(watch->exchanger);
	}
}

static int watch_finish(struct watch *watch)
{
	int rc;

	rtt_screen_close(watch->screen);
	watch->screen = NULL;
	for (int side = 0; side < SIDE_COUNT; side++) {
		if (watch->views[side].begun &&
		    watch->views[side].result.offset)
			rtt_result_end(&watch->views[side].result);
	}
	views_print(watch);
	rc = exit_code(watch, views_close(watch));
	exchanger_close(watch->exchanger);
	return rc;
}

int rtt_watch_run(const struct rtt_options *options)
{
	struct watch watch = {.options = options};
	struct exchanger_options exchanger = {
		.target = options->watch,
		.timeout_ns = options->timeout_ns,
		.count = (uint32_t)options->count,
		.trip = trip_take,
		.context = &watch,
	};
	const char *useless = useless_option(options);
	struct fault fault;

	if (useless)
		return usage_fail("rtt: --watch only listens: not with --%s",
				  useless);
	if (exchanger_open(&exchanger, &watch.exchanger, &fault) < 0)
		return usage_fail("rtt: watch: %s", fault.text);
	(void)privileges_drop();
	if (options->duration_ns > 0)
		watch.end.ns = mono_now().ns + options->duration_ns;
	if (!options->json && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO))
		watch.screen = rtt_screen_open();
	signals_catch_for(stop_it, watch.exchanger);
	watch_loop(&watch);
	signals_release();
	return watch_finish(&watch);
}
