/* What the verbs that capture have in common: options, signals, faults. */
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_private.h"

static const char *const stamp_words[] = {
	[CAPTURE_STAMP_AUTO] = "auto",
	[CAPTURE_STAMP_HARDWARE] = "hardware",
	[CAPTURE_STAMP_KERNEL] = "kernel",
	NULL,
};

static int statistics_check(const char *text, struct fault *ret_fault)
{
	uint32_t statistics = 0;

	return flow_statistics_parse(text, &statistics, ret_fault);
}

/* The names were checked when they were given. */
static uint32_t statistics_of(const struct option_list *names)
{
	uint32_t statistics = 0;

	for (size_t i = 0; i < names->count; i++)
		(void)flow_statistics_parse(names->texts[i], &statistics, NULL);
	return statistics;
}

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
	 .help = "bytes kept of a frame; 0: all that is looked at; what is "
		 "counted is the same"},
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
	 .zero = true,
	 .min = FLOW_COUNT_MIN,
	 .max = FLOW_COUNT_MAX,
	 .preset_note = "262144 on interfaces, any number in files",
	 .help = "live flows at most; the idlest leave early beyond it"},
	{.name = "tcp-metrics",
	 .type = OPTION_BOOL,
	 .offset = offsetof(struct meter_options, tcp_metrics),
	 .help = "retransmissions, handshake times, windows and the like"},
	{.name = "statistics",
	 .type = OPTION_LIST,
	 .offset = offsetof(struct meter_options, statistics),
	 .check = statistics_check,
	 .preset_note = "none",
	 .help = "of lengths and gaps: length, payload, interval, first, "
		 "histogram, all"},
	{.name = "first-packets",
	 .type = OPTION_COUNT,
	 .offset = offsetof(struct meter_options, first_count),
	 .preset = FLOW_FIRST_PRESET,
	 .min = 1,
	 .max = FLOW_FIRST_MAX,
	 .help = "packets of a flow that the statistics 'first' keep"},
};

/* Of one phase; 0 is what the note says. */
#define TIMEOUT(row, member, phase, unit, note, line)                         \
	{                                                                     \
		.name = (row), .type = OPTION_DURATION, .zero = true,         \
		.offset = offsetof(struct meter_options, member[phase]),      \
		.min = FLOW_##unit##_S_MIN * NS_PER_S,                        \
		.max = FLOW_##unit##_S_MAX * NS_PER_S, .preset_note = (note), \
		.help = (line)                                                \
	}
#define FLOW_PHASE_S_MAX FLOW_IDLE_S_MAX
#define IDLE(row, phase, note, line) \
	TIMEOUT(row, phase_idle_ns, phase, PHASE, note, line)
#define ACTIVE(row, phase, line) \
	TIMEOUT(row, phase_active_ns, phase, ACTIVE, "active-timeout", line)

const struct option_row timeout_rows[TIMEOUT_ROWS_COUNT] = {
	IDLE("idle-tcp", FLOW_PHASE_TCP, "idle-timeout",
	     "a TCP connection without packets ends after this long"),
	IDLE("idle-tcp-opening", FLOW_PHASE_OPENING, "2m, or idle-tcp if less",
	     "one whose handshake is not done"),
	IDLE("idle-tcp-closing", FLOW_PHASE_CLOSING, "2m, or idle-tcp if less",
	     "one that a FIN has ended from one side"),
	IDLE("idle-tcp-closed", FLOW_PHASE_CLOSED, "5s, or idle-tcp if less",
	     "one that both FINs have ended, or a RST"),
	IDLE("idle-udp", FLOW_PHASE_UDP, "idle-timeout", "a UDP flow"),
	IDLE("idle-icmp", FLOW_PHASE_ICMP, "idle-timeout",
	     "an ICMP or ICMPv6 flow"),
	IDLE("idle-other", FLOW_PHASE_OTHER, "idle-timeout",
	     "a flow of any other protocol"),
	ACTIVE("active-tcp", FLOW_PHASE_TCP,
	       "a longer TCP flow is written in parts this long"),
	ACTIVE("active-udp", FLOW_PHASE_UDP, "a longer UDP flow"),
	ACTIVE("active-other", FLOW_PHASE_OTHER,
	       "a longer flow of any other protocol"),
};

static const char *const sample_words[] = {"random", "count", "probability",
					   NULL};
static const enum sample_mode sample_modes[] = {SAMPLE_RANDOM, SAMPLE_COUNT,
						SAMPLE_PROBABILITY};

const struct option_row sample_rows[SAMPLE_ROWS_COUNT] = {
	{.name = "sample-packets",
	 .type = OPTION_COUNT,
	 .offset = offsetof(struct meter_options, sample_packets),
	 .preset = 1,
	 .min = 1,
	 .max = SAMPLE_POPULATION_MAX,
	 .placeholder = "N",
	 .help = "meter one frame in N; sums are the sample's"},
	{.name = "sample-mode",
	 .type = OPTION_WORD,
	 .offset = offsetof(struct meter_options, sample_mode),
	 .words = sample_words,
	 .placeholder = "MODE",
	 .help = "any of each N, every N-th, or each with probability 1/N"},
	{.name = "sample-size",
	 .type = OPTION_COUNT,
	 .offset = offsetof(struct meter_options, sample_size),
	 .preset = 1,
	 .min = 1,
	 .max = SAMPLE_SIZE_MAX,
	 .placeholder = "COUNT",
	 .help = "frames metered of each N, in mode random"},
	{.name = "sample-flows",
	 .type = OPTION_COUNT,
	 .offset = offsetof(struct meter_options, sample_flows),
	 .preset = 1,
	 .min = 1,
	 .max = SAMPLE_POPULATION_MAX,
	 .placeholder = "N",
	 .help = "meter one flow in N, whole, chosen by a hash"},
	{.name = "sample-seed",
	 .type = OPTION_COUNT,
	 .zero = true,
	 .offset = offsetof(struct meter_options, sample_seed),
	 .min = 1,
	 .max = INT64_MAX,
	 .preset_note = "one for all files, another for each live start",
	 .placeholder = "NUMBER",
	 .help = "what is drawn depends on it; probes with one choose alike"},
};

static struct sample_options sample_options(const struct meter_options *options)
{
	struct sample_options sample = {.size = (uint32_t)options->sample_size};

	if (options->sample_packets < 2)
		return sample;
	sample.mode = sample_modes[options->sample_mode];
	sample.population = (uint32_t)options->sample_packets;
	return sample;
}

int meter_options_check(const struct meter_options *options)
{
	struct engine_options engine = meter_engine_options(options);
	struct fault fault;

	if (engine_sampling_check(&engine, &fault) < 0)
		return usage_fail("%s", fault.text);
	if (options->sample_mode != 0 && options->sample_packets < 2)
		return usage_fail("sample-mode: %s of how many? it goes with "
				  "sample-packets",
				  sample_words[options->sample_mode]);
	if (options->sample_seed != 0 && options->sample_packets < 2 &&
	    options->sample_flows < 2)
		return usage_fail("sample-seed: goes with sample-packets or "
				  "sample-flows");
	return -1;
}

/* ICMP has no active timeout of its own: it is one of the others. */
static void timeouts_give(const struct meter_options *options,
			  struct flow_options *flow)
{
	const int64_t *active_ns = options->phase_active_ns;

	for (unsigned i = 0; i < FLOW_PHASE_COUNT; i++)
		flow->phase_idle_ns[i] = options->phase_idle_ns[i];
	flow->phase_active_ns[FLOW_PHASE_TCP] = active_ns[FLOW_PHASE_TCP];
	flow->phase_active_ns[FLOW_PHASE_UDP] = active_ns[FLOW_PHASE_UDP];
	flow->phase_active_ns[FLOW_PHASE_ICMP] = active_ns[FLOW_PHASE_OTHER];
	flow->phase_active_ns[FLOW_PHASE_OTHER] = active_ns[FLOW_PHASE_OTHER];
}
/* SONDE_PORTABLE set: no vector instructions, for tests and comparisons.
 * The preset of --flows is said in its row. */
static_assert(FLOW_COUNT_PRESET == 262144, "as the row of --flows says");

struct engine_options meter_engine_options(const struct meter_options *options)
{
	bool automatic = strcmp(options->backend, "auto") == 0;
	struct engine_options engine = {
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
			 .tcp_metrics = options->tcp_metrics,
			 .statistics = statistics_of(&options->statistics),
			 .first_count = (uint32_t)options->first_count,
			 .portable = getenv("SONDE_PORTABLE") != NULL,
			 .sample_flows = (uint32_t)options->sample_flows},
		.sample = sample_options(options),
		.sample_seed = (uint64_t)options->sample_seed,
	};

	timeouts_give(options, &engine.flow);
	return engine;
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
