/* sonde run: the probe in the foreground.
 *
 * One loop on one thread: records from the engine go to the store and to the
 * accounts of who talks most; twice a second the live flows are asked for,
 * and what has come since is committed, so that a crash takes no more than
 * the last second. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/run_private.h"
#include "cli/tui.h"

#define COLLECT_MS    50
#define ASK_NS        (NS_PER_S / 2)
#define ANSWER_MAX_NS (NS_PER_S / 5)  /* records still to be collected */
#define MARGIN_NS     NS_PER_S        /* packets wait that long in a ring */
#define VIEW_NS       NS_PER_S        /* the screen's interval, a log's first */
#define LAST_NS       (NS_PER_S / 10) /* what a log's last one covers */
#define HEADERS_SIZE  512 /* of a frame: nothing looks at what is behind */
#define COMMIT_COUNT  16384
#define TOP_COUNT_MAX (1U << 20)

/* ----------------------------------------------------------------- store */

static void store_state_set(struct run *run, int rc, const struct fault *fault)
{
	bool behind = rc < 0;
	bool changed = behind != run->status.store_behind;

	run->status.store_behind = behind;
	if (behind)
		run->status.store_fault = *fault;
	if (changed)
		run_log_store(run);
}

static int run_commit(struct run *run)
{
	struct fault fault = {""};
	int rc;

	if (!run->store)
		return 0;
	rc = store_commit(run->store, &fault);
	if (rc < 0 && !fault.text[0])
		fault_set(&fault, rc, "%s", err_sentence(rc));
	run->uncommitted = 0;
	store_state_set(run, rc, &fault);
	return rc;
}

static void record_keep(struct run *run, const struct flow_record *record)
{
	store_flow(run->store, record);
	if (++run->uncommitted >= COMMIT_COUNT && !run->status.store_behind)
		run_commit(run);
}

static void record_take(void *context, const struct flow_record *record)
{
	struct run *run = context;

	if (wall_before(run->newest, record->end))
		run->newest = record->end;
	if (top_note(run->top, record) && run->store)
		record_keep(run, record);
}

static void interfaces_keep(struct run *run, struct wall at)
{
	for (size_t i = 0; i < run->status.interface_count; i++) {
		const struct status_interface *interface =
			&run->status.interfaces[i];
		const struct capture_interface_info *info = &interface->info;
		struct store_interface_sample sample = {
			.name = info->name,
			.at = at,
			.rx_packets = info->rx_packets,
			.rx_bytes = info->rx_bytes,
			.rx_dropped = info->rx_dropped,
			.rx_errors = info->rx_errors,
			.tx_packets = info->tx_packets,
			.tx_bytes = info->tx_bytes,
			.tx_dropped = info->tx_dropped,
			.tx_errors = info->tx_errors,
		};

		if (interface->changed)
			store_interface(run->store, &sample);
	}
}

/* ------------------------------------------------------------- intervals */

/* Live flows with packets since the last time.  Cards stamp by clocks of
 * their own: "since" is on the packets' clock where one was seen. */
static void update_ask(struct run *run, struct mono now)
{
	struct wall since = {INT64_MIN};

	if (run->newest.ns > INT64_MIN) {
		since = wall_before(run->newest, run->asked_wall)
				? run->newest
				: run->asked_wall;
		since.ns -= MARGIN_NS;
	}
	run->asked = now;
	if (!engine_update(run->engine, since))
		return;
	run->asked_wall = wall_now();
	run->updating = true;
}

/* The store is to miss no more than a second, a screen to move.  A log alone
 * wants the live flows at its reports: each costs as much as some packets. */
static bool update_due(const struct run *run, struct mono now)
{
	if (run->updating || mono_ns_between(run->asked, now) < ASK_NS)
		return false;
	return run->store || run->tui ||
	       mono_ns_between(run->interval, now) >=
		       run->interval_ns - ASK_NS / 4;
}

static void faults_tell(struct run *run)
{
	const char *sentence;

	while ((sentence = engine_fault(run->engine, run->faults))) {
		run_log_fault(run, sentence);
		run->faults++;
	}
}

static void view_update(struct run *run)
{
	if (run->tui)
		tui_update(run->tui, &run->status, run->top);
	else
		run_log_report(run);
}

static void interval_end(struct run *run, struct mono now)
{
	struct status *status = &run->status;
	double span_s =
		(double)mono_ns_between(run->interval, now) / (double)NS_PER_S;
	struct top_totals totals;
	uint64_t dropped;

	top_tick(run->top, span_s);
	totals = top_totals(run->top);
	status->rate_pps = totals.rate_pps;
	status->rate_bps = totals.rate_bps;
	status->untracked = totals.untracked;
	engine_ledger(run->engine, &status->ledger);
	dropped = ledger_dropped(&status->ledger);
	status->dropped_pps = (double)(dropped - run->dropped_before) / span_s;
	run->dropped_before = dropped;
	status_interfaces_sample(status, now);
	status->now = now;
	status_history_add(status);
	if (run->store) {
		interfaces_keep(run, wall_now());
		status->store_size = store_size(run->store);
		run->retaining = true;
	}
	run->interval = now;
	run->interval_ns = run->tui ? VIEW_NS : run->options->report_ns;
	view_update(run);
}

/* Every report that was asked for is here, or should be. */
static void update_end(struct run *run, struct mono now)
{
	run->updating = false;
	run_commit(run);
	faults_tell(run);
	/* An interval ends with an update, or its last part were missing. */
	if (mono_ns_between(run->interval, now) >=
	    run->interval_ns - ASK_NS / 4)
		interval_end(run, now);
}

static void run_step(struct run *run, int collected)
{
	struct mono now = mono_now();
	int64_t asked_ns = mono_ns_between(run->asked, now);

	if (update_due(run, now))
		update_ask(run, now);
	else if (run->updating && !engine_updating(run->engine) &&
		 (collected == 0 || asked_ns >= ANSWER_MAX_NS))
		update_end(run, now);
	if (run->retaining && !run->status.store_behind)
		run->retaining = store_retain(run->store, wall_now()) == 1;
	if (run->tui && !tui_keys(run->tui, &run->status, run->top))
		run->quit = true;
	if (run->quit || run->output_gone)
		engine_stop(run->engine);
}

static void run_loop(struct run *run)
{
	int collected;

	run->status.started = run->interval = run->status.now = mono_now();
	run->interval_ns = VIEW_NS;
	run->newest.ns = INT64_MIN;
	status_interfaces_sample(&run->status, run->status.now);
	if (run->store)
		interfaces_keep(run, wall_now());
	if (run->tui)
		tui_update(run->tui, &run->status, run->top);
	while ((collected = engine_collect(run->engine, COLLECT_MS)) != ERR_END)
		run_step(run, collected);
}

/* ------------------------------------------------------ beginning and end */

static int store_begin(struct run *run, const struct flow_options *flow,
		       struct fault *ret_fault)
{
	const struct run_options *options = run->options;
	struct store_options store = {
		.path = options->database,
		.probe = run->probe,
		.version = SONDE_VERSION,
		.epoch = engine_epoch(run->engine),
		.keep_age_ns = options->keep_age_ns,
		.keep_size = (uint64_t)options->keep_size,
		.flow = flow,
	};

	if (!options->store)
		return 0;
	run->status.has_store = true;
	return store_open(&store, &run->store, ret_fault);
}

static int engine_begin(struct run *run, struct fault *ret_fault)
{
	const struct run_options *options = run->options;
	struct engine_options engine = meter_engine_options(&options->meter);
	int rc;

	if (engine.snap_size == 0)
		engine.snap_size = HEADERS_SIZE;
	engine.targets = (const char *const *)options->interfaces.texts;
	engine.target_count = options->interfaces.count;
	engine.record = record_take;
	engine.nameless = !options->store;
	engine.context = run;
	rc = engine_create(&engine, &run->engine, ret_fault);
	if (rc == 0)
		rc = store_begin(run, &engine.flow, ret_fault);
	return rc;
}

static int top_begin(struct run *run, struct fault *ret_fault)
{
	const struct meter_options *options = &run->options->meter;
	uint64_t count = options->flow_count ? (uint64_t)options->flow_count
					     : FLOW_COUNT_PRESET;

	count *= (uint64_t)options->workers;

	run->top = top_create(count < TOP_COUNT_MAX ? (uint32_t)count
						    : TOP_COUNT_MAX);
	return run->top ? 0
			: fault_set(ret_fault, -ENOMEM, "%s",
				    err_sentence(-ENOMEM));
}

static void run_free(struct run *run)
{
	signals_release();
	engine_destroy(run->engine);
	store_close(run->store);
	top_destroy(run->top);
}

static int run_begin(struct run *run)
{
	struct fault fault = {""};
	int rc = top_begin(run, &fault);

	if (rc == 0)
		rc = engine_begin(run, &fault);
	if (rc == 0) {
		signals_catch(run->engine);
		rc = engine_start(run->engine);
	}
	if (rc == 0)
		return 0;
	run_free(run);
	return usage_fail("%s", fault.text[0] ? fault.text : err_sentence(rc));
}

/* The summary of the run goes to the database with the last records. */
static int store_end(struct run *run)
{
	char *json = ledger_json(&run->status.ledger, run->store);
	int rc;

	if (json)
		store_run_note(run->store, wall_now(), json);
	free(json);
	rc = run_commit(run);
	if (rc < 0)
		fprintf(stderr,
			"sonde: store: %s; what was not written is lost\n",
			run->status.store_fault.text);
	return rc;
}

static int run_end(struct run *run)
{
	bool asked = run->quit || run->output_gone || signals_caught();
	int exit_code;

	faults_tell(run);
	exit_code = !asked && run->faults > 0 ? EXIT_PARTIAL : EXIT_DONE;
	if (!run->tui && !run->output_gone &&
	    mono_ns_between(run->interval, mono_now()) >= LAST_NS)
		interval_end(run, mono_now());
	tui_close(run->tui);
	engine_ledger(run->engine, &run->status.ledger);
	if (run->store && store_end(run) < 0)
		exit_code = EXIT_PARTIAL;
	if (run->tui)
		faults_print(run->engine);
	run->tui = NULL;
	if (!run->output_gone)
		ledger_print(&run->status.ledger, run->store, stdout);
	run_free(run);
	return exit_code;
}

static void names_set(struct run *run)
{
	const struct run_options *options = run->options;
	size_t used = 0;

	for (size_t i = 0; i < options->interfaces.count; i++) {
		if (used < sizeof run->targets)
			used += (size_t)snprintf(run->targets + used,
						 sizeof run->targets - used,
						 "%s%s", i ? ", " : "",
						 options->interfaces.texts[i]);
	}
	if (options->probe && options->probe[0])
		snprintf(run->probe, sizeof run->probe, "%s", options->probe);
	else if (gethostname(run->probe, sizeof run->probe - 1) < 0)
		snprintf(run->probe, sizeof run->probe, "localhost");
	run->status.probe = run->probe;
	run->status.targets = run->targets;
}

static int probe_run(const struct run_options *options)
{
	static struct run run; /* large: histories, interfaces */
	int rc;

	run = (struct run){.options = options};
	names_set(&run);
	rc = run_begin(&run);
	if (rc != 0)
		return rc;
	if (options->tui && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		run.tui = tui_open();
	if (!run.tui)
		run_log_begin(&run);
	run_loop(&run);
	return run_end(&run);
}

static int run_main(const struct verb *verb, int argc, char **argv)
{
	struct run_options options;
	int rc = run_options_read(verb, argc, argv, &options);

	if (rc < 0)
		rc = probe_run(&options);
	options_fini(&run_table, &options);
	return rc;
}

const struct verb run_verb = {
	.name = "run",
	.main = run_main,
	.synopsis = "[OPTION...]",
	.line = "capture, meter, keep and show, until interrupted",
	.about = "Captures on every interface unless told otherwise, meters "
		 "bidirectional flows,\n"
		 "keeps them with the interfaces' counters in a database and "
		 "shows who talks most:\n"
		 "on a terminal live, else as a log. A crash takes the last "
		 "second at most. An\n"
		 "interrupt ends it cleanly: what was captured is metered and "
		 "written, then every\n"
		 "counter is printed from the wire to the store. Keys of the "
		 "screen: ? lists them.",
	.examples = "  sonde run\n"
		    "  sonde run -i eth0 --keep-age 30d --no-tui\n"
		    "  sonde run --config ./sonde.conf --check\n"
		    "  sonde run --print-config > sonde.conf\n",
	.options = &run_table,
};
