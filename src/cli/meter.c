/* What the verbs that capture have in common: options, signals, faults. */
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "cli/cli_private.h"

static const char *const stamp_words[] = {
	[CAPTURE_STAMP_AUTO] = "auto",
	[CAPTURE_STAMP_HARDWARE] = "hardware",
	[CAPTURE_STAMP_KERNEL] = "kernel",
	NULL,
};

/* A file's filter is compiled before the file is read, for whatever link
 * types there are: what fails for this one fails for every capture. */
static int filter_check(const char *text, struct fault *ret_fault)
{
	struct capture_options options = {
		.backend = "file", .target = "/dev/null", .filter = text};
	struct capture *capture;
	struct fault fault = {""};
	int rc = capture_open(&options, &capture, &fault);

	if (rc == 0)
		capture_close(capture);
	if (rc != ERR_FILTER)
		return 0;
	return fault_set(
		ret_fault, rc, "%s",
		fault.text + (strncmp(fault.text, "filter ", 7) == 0 ? 7 : 0));
}

const struct option_row capture_rows[CAPTURE_ROWS_COUNT] = {
	{.name = "filter",
	 .type = OPTION_TEXT,
	 .offset = offsetof(struct meter_options, filter),
	 .max = 65535,
	 .check = filter_check,
	 .preset_note = "everything",
	 .placeholder = "EXPRESSION",
	 .help = "take in what matches, see pcap-filter(7)"},
	{.name = "backend",
	 .type = OPTION_TEXT,
	 .offset = offsetof(struct meter_options, backend),
	 .min = 1,
	 .preset_text = "auto",
	 .placeholder = "NAME",
	 .help = "how to capture; 'sonde doctor' lists the names"},
	{.name = "ring-size",
	 .type = OPTION_SIZE,
	 .offset = offsetof(struct meter_options, ring_size),
	 .preset = CAPTURE_RING_SIZE_PRESET,
	 .min = CAPTURE_RING_SIZE_MIN,
	 .max = CAPTURE_RING_SIZE_MAX,
	 .help = "memory shared with the kernel, over all interfaces"},
	{.name = "snap-length",
	 .letter = 's',
	 .type = OPTION_COUNT,
	 .zero = true,
	 .offset = offsetof(struct meter_options, snap_size),
	 .min = CAPTURE_SNAP_MIN,
	 .max = CAPTURE_SNAP_MAX,
	 .placeholder = "BYTES",
	 .help = "bytes kept of a frame; 0 keeps all; what is counted is the "
		 "same"},
	{.name = "promiscuous",
	 .letter = 'p',
	 .type = OPTION_BOOL,
	 .offset = offsetof(struct meter_options, promiscuous),
	 .help = "take in frames for other hosts too"},
	{.name = "timestamp",
	 .type = OPTION_WORD,
	 .offset = offsetof(struct meter_options, stamp),
	 .words = stamp_words,
	 .placeholder = "SOURCE",
	 .help = "who stamps frames; auto takes the card's clock where it "
		 "delivers stamps"},
	{.name = "workers",
	 .letter = 'w',
	 .type = OPTION_COUNT,
	 .offset = offsetof(struct meter_options, workers),
	 .preset = 1,
	 .min = 1,
	 .max = ENGINE_WORKERS_MAX,
	 .help = "threads that decode and meter"},
};

const struct option_row flow_rows[FLOW_ROWS_COUNT] = {
	{.name = "idle-timeout",
	 .type = OPTION_DURATION,
	 .offset = offsetof(struct meter_options, idle_ns),
	 .preset = FLOW_IDLE_S_PRESET * NS_PER_S,
	 .min = FLOW_IDLE_S_MIN * NS_PER_S,
	 .max = FLOW_IDLE_S_MAX * NS_PER_S,
	 .help = "a flow without packets ends after this long"},
	{.name = "active-timeout",
	 .type = OPTION_DURATION,
	 .offset = offsetof(struct meter_options, active_ns),
	 .preset = FLOW_ACTIVE_S_PRESET * NS_PER_S,
	 .min = FLOW_ACTIVE_S_MIN * NS_PER_S,
	 .max = FLOW_ACTIVE_S_MAX * NS_PER_S,
	 .help = "a longer flow is written in parts this long"},
	{.name = "flows",
	 .type = OPTION_COUNT,
	 .offset = offsetof(struct meter_options, flow_count),
	 .preset = FLOW_COUNT_PRESET,
	 .min = FLOW_COUNT_MIN,
	 .max = FLOW_COUNT_MAX,
	 .help = "live flows at most; the idlest leave early beyond it"},
	{.name = "tcp-metrics",
	 .type = OPTION_BOOL,
	 .offset = offsetof(struct meter_options, tcp_metrics),
	 .help = "retransmissions, handshake times, windows and the like"},
};

struct engine_options meter_engine_options(const struct meter_options *options)
{
	bool automatic = strcmp(options->backend, "auto") == 0;

	return (struct engine_options){
		.backend = automatic ? NULL : options->backend,
		.ring_size = (uint64_t)options->ring_size,
		.snap_size = (uint32_t)options->snap_size,
		.promiscuous = options->promiscuous,
		.filter = options->filter,
		.stamp = (enum capture_stamp)options->stamp,
		.workers = (uint16_t)options->workers,
		.meter = true,
		.flush = true,
		.flow = {.flow_count = (uint32_t)options->flow_count,
			 .idle_ns = options->idle_ns,
			 .active_ns = options->active_ns,
			 .tcp_metrics = options->tcp_metrics},
	};
}

static void (*volatile caught_stop)(void *object);
static void *volatile caught_object;
static volatile sig_atomic_t caught;

static void signal_catch(int number)
{
	void (*stop)(void *object) = caught_stop;

	(void)number;
	caught = 1;
	if (stop)
		stop(caught_object);
}

static void engine_stop_it(void *engine)
{
	engine_stop(engine);
}

void signals_catch(struct engine *engine)
{
	signals_catch_for(engine_stop_it, engine);
}

void signals_catch_for(void (*stop)(void *object), void *object)
{
	struct sigaction end = {.sa_handler = signal_catch,
				.sa_flags = (int)SA_RESETHAND};
	struct sigaction ignore = {.sa_handler = SIG_IGN}, hangup;

	caught_object = object;
	caught_stop = stop;
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	/* A terminal that goes ends it too, but under nohup(1). */
	if (sigaction(SIGHUP, NULL, &hangup) == 0 &&
	    hangup.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &end, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

bool signals_caught(void)
{
	return caught != 0;
}

void signals_release(void)
{
	caught_stop = NULL;
}

int faults_print(const struct engine *engine)
{
	const char *sentence;
	int count = 0;

	while ((sentence = engine_fault(engine, (size_t)count))) {
		fprintf(stderr, "sonde: %s\n", sentence);
		count++;
	}
	return count;
}
