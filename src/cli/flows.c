/* sonde flows: files or interfaces in, flow records on standard output. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli_private.h"
#include "cli/progress.h"
#include "export/export.h"

#define COLLECT_MS 100

struct flows_options {
	struct meter_options meter;
	struct option_list interfaces;
	int64_t format; /* enum export_format */
	int64_t duration_ns;
	bool summary;
	bool progress;
	struct common_options common;
};

static const char *const format_words[] = {
#define FORMAT_WORD(name, word) word,
	EXPORT_FORMATS(FORMAT_WORD)
#undef FORMAT_WORD
		NULL,
};

static const struct option_row flows_rows[] = {
	{.name = "interface",
	 .letter = 'i',
	 .where = OPTION_LINE,
	 .type = OPTION_LIST,
	 .offset = offsetof(struct flows_options, interfaces),
	 .placeholder = "NAME,...",
	 .help = "capture live on these; 'any' is all, also those to come"},
	{.name = "format",
	 .letter = 'f',
	 .where = OPTION_LINE,
	 .type = OPTION_WORD,
	 .offset = offsetof(struct flows_options, format),
	 .words = format_words,
	 .placeholder = "FORMAT",
	 .help = "how records are written; json is an object a line"},
	{.name = "duration",
	 .letter = 'd',
	 .where = OPTION_LINE,
	 .type = OPTION_DURATION,
	 .zero = true,
	 .offset = offsetof(struct flows_options, duration_ns),
	 .min = NS_PER_S / 10,
	 .max = NS_PER_S * 86400 * 365,
	 .preset_note = "until interrupted",
	 .help = "end a live capture after this long"},
	{.name = "summary",
	 .letter = 'v',
	 .where = OPTION_LINE,
	 .type = OPTION_BOOL,
	 .offset = offsetof(struct flows_options, summary),
	 .help = "print every counter at the end, as a live capture does"},
	{.name = "progress",
	 .where = OPTION_LINE,
	 .type = OPTION_BOOL,
	 .preset = 1,
	 .offset = offsetof(struct flows_options, progress),
	 .help = "the progress of long files on a terminal"},
};

static const struct option_group flows_groups[] = {
	{"Input and output", flows_rows,
	 sizeof flows_rows / sizeof flows_rows[0], 0},
	{"Capture", capture_rows, CAPTURE_ROWS_COUNT,
	 offsetof(struct flows_options, meter)},
	{"Flows", flow_rows, FLOW_ROWS_COUNT,
	 offsetof(struct flows_options, meter)},
	{"Timeouts", timeout_rows, TIMEOUT_ROWS_COUNT,
	 offsetof(struct flows_options, meter)},
	{"Sampling", sample_rows, SAMPLE_ROWS_COUNT,
	 offsetof(struct flows_options, meter)},
	{"Others", common_rows, COMMON_ROWS_COUNT,
	 offsetof(struct flows_options, common)},
};

static const struct option_table flows_table = {
	flows_groups, sizeof flows_groups / sizeof flows_groups[0]};

/* What the table shows, the most telling first: it drops what does not
 * fit. */
static const char *const flows_columns[] = {
	"proto",     "src_ip",  "src_port",   "dst_ip",
	"dst_port",  "packets", "bytes",      "rev_packets",
	"rev_bytes", "state",   "end_reason", "start_ns",
	"interface", "vlan",    "tunnel",     NULL,
};

struct flows {
	const struct flows_options *options;
	bool live;
	struct engine *engine;
	struct export_text *text;
	struct field_table *fields;
	struct progress progress;
	struct mono started;
	bool on_terminal; /* standard output is one */
	bool unflushed;   /* records wait in the writer */
	int output_rc;    /* of standard output; nothing is written after < 0 */
};

static void record_write(void *context, const struct flow_record *record)
{
	struct flows *flows = context;

	if (flows->output_rc < 0 || record->end_reason == FLOW_END_NONE)
		return;
	if (flows->on_terminal) /* they share it */
		progress_clear(&flows->progress);
	flows->output_rc = export_text_write(flows->text, record);
	flows->unflushed = true;
	if (flows->output_rc < 0)
		engine_stop(flows->engine);
}

/* The columns of the terminal that standard output is; 0: none. */
static int output_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) ||
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col;
}

/* A file in this folder that is named as an interface is not meant. */
static const char *live_backend(const char *asked, const char *target)
{
	const struct capture_backend *backend;

	if (asked || access(target, F_OK) != 0)
		return asked;
	for (size_t i = 0; (backend = capture_backend_at(i)); i++) {
		if (backend->live)
			return backend->name;
	}
	return NULL;
}

static int flows_open(struct flows *flows, const char *const *targets,
		      size_t count)
{
	struct engine_options options =
		meter_engine_options(&flows->options->meter);
	struct fault fault;
	int rc;

	for (size_t i = 0; i < count; i++) {
		if (!targets[i][0])
			return usage_fail("flows: the name of a file is "
					  "empty");
	}
	options.targets = targets;
	options.target_count = count;
	options.record = record_write;
	options.context = flows;
	if (flows->live)
		options.backend = live_backend(options.backend, targets[0]);
	else if (!options.backend)
		options.backend = "file";
	rc = engine_create(&options, &flows->engine, &fault);
	if (rc < 0)
		return usage_fail("%s", fault.text);
	signals_catch(flows->engine); /* frames come from here on */
	/* Keys that would be null in every record are left out. */
	options.flow.sampled = options.sample;
	flows->fields = flow_fields_choose(&options.flow);
	rc = flows->fields ? 0 : -ENOMEM;
	if (rc == 0)
		rc = export_text_open(
			(enum export_format)flows->options->format, stdout,
			flows->fields, flows_columns, output_width(),
			&flows->text);
	if (rc == 0)
		rc = engine_start(flows->engine);
	if (rc == 0)
		return EXIT_DONE;
	export_text_close(flows->text);
	signals_release();
	free(flows->fields);
	engine_destroy(flows->engine);
	return usage_fail("%s", err_sentence(rc));
}

static bool duration_over(const struct flows *flows)
{
	int64_t limit_ns = flows->options->duration_ns;

	return flows->live && limit_ns > 0 &&
	       mono_ns_between(flows->started, mono_now()) >= limit_ns;
}

/* Who watches a live capture sees a record as soon as it ended. */
static void records_flush(struct flows *flows)
{
	if (flows->unflushed && flows->output_rc == 0)
		flows->output_rc = export_text_flush(flows->text);
	flows->unflushed = false;
	if (flows->output_rc < 0)
		engine_stop(flows->engine);
}

static void flows_drain(struct flows *flows)
{
	int count;

	flows->started = mono_now();
	while ((count = engine_collect(flows->engine, COLLECT_MS)) != ERR_END) {
		if (count == 0 && flows->live)
			records_flush(flows);
		if (duration_over(flows))
			engine_stop(flows->engine);
		progress_step(&flows->progress, flows->engine);
	}
	progress_clear(&flows->progress);
}

/* The reader of a pipe may go when it has seen enough. */
static bool output_failed(int rc)
{
	if (rc == 0 || rc == -EPIPE)
		return false;
	fprintf(stderr, "sonde: standard output: %s\n", err_sentence(rc));
	return true;
}

/* Flows in pieces are no fault, but not what was asked for either. */
static void evictions_tell(const struct engine_ledger *ledger)
{
	uint64_t early =
		ledger->flow.ended_resources + ledger->flow.refused_full;
	char number[TEXT_SIZE];

	if (early > 0)
		fprintf(stderr,
			"sonde: the flow table was full: %s flows left it "
			"early and may be in several records, and others "
			"would the next time; --flows makes it larger\n",
			text_thousands(early, number));
}

static int flows_close(struct flows *flows)
{
	struct engine_ledger ledger;
	int rc = export_text_close(flows->text);
	int exit_code = EXIT_DONE;

	if (output_failed(flows->output_rc < 0 ? flows->output_rc : rc))
		exit_code = EXIT_PARTIAL;
	if (faults_print(flows->engine) > 0)
		exit_code = EXIT_PARTIAL;
	engine_ledger(flows->engine, &ledger);
	if (flows->output_rc == 0)
		evictions_tell(&ledger);
	if (flows->options->summary || flows->live)
		ledger_print(&ledger, NULL, stderr);
	signals_release();
	free(flows->fields);
	engine_destroy(flows->engine);
	return exit_code;
}

/* The interfaces of -i and what stands behind, or the files. */
static int targets_list(struct flows *flows, const struct option_line *line,
			const char **ret_targets)
{
	const struct option_list *interfaces = &flows->options->interfaces;
	int count = 0;

	flows->live = interfaces->count > 0;
	for (size_t i = 0; i < interfaces->count; i++)
		ret_targets[count++] = interfaces->texts[i];
	for (int i = 0; i < line->rest_count; i++)
		ret_targets[count++] = line->rest[i];
	return count;
}

static int flows_run(const struct flows_options *options,
		     const struct option_line *line)
{
	struct flows flows = {.options = options,
			      .on_terminal = isatty(STDOUT_FILENO)};
	const char **targets =
		calloc(options->interfaces.count + (size_t)line->rest_count + 1,
		       sizeof *targets);
	int count, rc;

	if (!targets)
		return usage_fail("%s", err_sentence(-ENOMEM));
	count = targets_list(&flows, line, targets);
	if (count == 0) {
		free(targets);
		return usage_fail("flows: nothing to read: name a file, '-', "
				  "or an interface with -i");
	}
	progress_begin(&flows.progress, options->progress && !flows.live &&
						isatty(STDERR_FILENO));
	rc = flows_open(&flows, targets, (size_t)count);
	free(targets);
	if (rc != EXIT_DONE)
		return rc;
	flows_drain(&flows);
	return flows_close(&flows);
}

static int flows_main(const struct verb *verb, int argc, char **argv)
{
	struct flows_options options;
	struct option_line line = {
		.rest = calloc((size_t)argc + 1, sizeof *line.rest)};
	int rc;

	if (!line.rest || options_init(verb->options, &options) < 0) {
		free(line.rest);
		return usage_fail("%s", err_sentence(-ENOMEM));
	}
	rc = verb_line_parse(verb, argc, argv, &options, &line);
	if (rc < 0)
		rc = meter_options_check(&options.meter);
	if (rc < 0)
		rc = flows_run(&options, &line);
	options_fini(verb->options, &options);
	free(line.rest);
	return rc;
}

const struct verb flows_verb = {
	.name = "flows",
	.main = flows_main,
	.synopsis = "[OPTION...] FILE...\n[OPTION...] -i NAME...",
	.line = "meter files or interfaces to standard output",
	.about = "Reads capture files (pcap, pcapng, gzip or zstd over them, "
		 "'-' for standard\n"
		 "input) or captures live, and writes a record for every flow "
		 "that ends. A file\n"
		 "meters the same at any speed. An interrupt ends a live "
		 "capture: what was\n"
		 "captured is metered and written, then the counters are "
		 "printed.",
	.examples =
		"  sonde flows trace.pcap\n"
		"  sonde flows -f json --filter 'tcp port 443' *.pcapng.gz\n"
		"  ssh host tcpdump -w - | sonde flows -f csv -\n"
		"  sonde flows -i eth0 --duration 1m\n",
	.options = &flows_table,
};
