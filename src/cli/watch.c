/* sonde watch: who moves which bytes. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/watch_private.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define AT(member)   offsetof(struct watch_cli_options, member)

#define STEP_MS     1000 /* nothing but readings to wait for */
#define PUMP_MS     10   /* lines wait for their reader */
#define KEYS_MS     50
#define WAITING_MAX (256 << 20)
#define FILTERS_MAX 64

static int number_check(const char *text, uint64_t max, struct fault *ret_fault)
{
	char *end;
	uint64_t number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno)
		return fault_set(ret_fault, -EINVAL, "'%s' is no number", text);
	if (number > max || number == 0)
		return fault_set(ret_fault, ERR_OPTION_RANGE,
				 "%s is out of range: 1 to %llu", text,
				 (unsigned long long)max);
	return 0;
}

static int pid_check(const char *text, struct fault *ret_fault)
{
	return number_check(text, UINT32_MAX, ret_fault);
}

static int port_check(const char *text, struct fault *ret_fault)
{
	return number_check(text, UINT16_MAX, ret_fault);
}

static const struct option_row time_rows[] = {
	{.name = "duration",
	 .letter = 'd',
	 .type = OPTION_DURATION,
	 .zero = true,
	 .offset = AT(duration_ns),
	 .min = NS_PER_S / 10,
	 .max = NS_PER_S * 86400 * 365,
	 .preset_note = "until interrupted",
	 .help = "count for exactly so long"},
	{.name = "interval",
	 .letter = 'i',
	 .type = OPTION_DURATION,
	 .offset = AT(interval_ns),
	 .preset = NS_PER_S / 10,
	 .min = NS_PER_S / 100,
	 .max = NS_PER_S,
	 .help = "length of an interval"},
};

static const struct option_row filter_rows[] = {
	{.name = "pid",
	 .letter = 'p',
	 .type = OPTION_LIST,
	 .offset = AT(pids),
	 .placeholder = "PID,...",
	 .preset_note = "all",
	 .check = pid_check,
	 .help = "show these processes"},
	{.name = "container",
	 .letter = 'c',
	 .type = OPTION_LIST,
	 .offset = AT(containers),
	 .placeholder = "NAME,...",
	 .preset_note = "all",
	 .help = "show these containers: names, or how ids begin"},
	{.name = "port",
	 .type = OPTION_LIST,
	 .offset = AT(ports),
	 .placeholder = "PORT,...",
	 .preset_note = "all",
	 .check = port_check,
	 .help = "show sockets with these ports, on either side"},
};

static const struct option_row view_rows[] = {
	{.name = "json",
	 .type = OPTION_BOOL,
	 .offset = AT(json),
	 .help = "an object a line, as docs/WATCH.md says"},
	{.name = "per-socket",
	 .type = OPTION_BOOL,
	 .offset = AT(per_socket),
	 .help = "with --json: intervals tell sockets too"},
	{.name = "samples",
	 .type = OPTION_BOOL,
	 .offset = AT(samples),
	 .help = "with --json: each socket that changed, once a second"},
	{.name = "events",
	 .type = OPTION_BOOL,
	 .offset = AT(events),
	 .help = "with --json: births of sockets and changes of state"},
	{.name = "top",
	 .letter = 'n',
	 .type = OPTION_COUNT,
	 .offset = AT(top),
	 .preset = 20,
	 .min = 1,
	 .max = WATCH_TOP_MAX,
	 .help = "rows of each table at the end"},
	{.name = "sort",
	 .letter = 's',
	 .type = OPTION_WORD,
	 .offset = AT(sort),
	 .words = watch_sort_words,
	 .placeholder = "KEY",
	 .help = "what goes first in tables and the live view"},
	{.name = "tui",
	 .type = OPTION_BOOL,
	 .offset = AT(tui),
	 .preset = 1,
	 .help = "the live view on a terminal"},
};

static const struct option_row limit_rows[] = {
	{.name = "sockets",
	 .type = OPTION_COUNT,
	 .offset = AT(sockets),
	 .preset = 262144,
	 .min = 16,
	 .max = 16 << 20,
	 .help = "sockets tracked at one time"},
	{.name = "processes",
	 .type = OPTION_COUNT,
	 .offset = AT(processes),
	 .preset = 65536,
	 .min = 16,
	 .max = 4 << 20,
	 .help = "processes tracked at one time"},
	{.name = "drops",
	 .type = OPTION_COUNT,
	 .offset = AT(drops),
	 .preset = 16384,
	 .min = 16,
	 .max = 1 << 20,
	 .help = "sockets and reasons of dropped packets"},
	{.name = "rows",
	 .type = OPTION_COUNT,
	 .offset = AT(rows),
	 .preset = 1 << 20,
	 .min = 16,
	 .max = 64 << 20,
	 .help = "buckets of one reading"},
	{.name = "events-size",
	 .type = OPTION_SIZE,
	 .offset = AT(events_size),
	 .preset = 32 << 20,
	 .min = 4096,
	 .max = 1 << 30,
	 .help = "ring of life events in the kernel"},
	{.name = "buckets-size",
	 .type = OPTION_SIZE,
	 .offset = AT(buckets_size),
	 .preset = 16 << 20,
	 .min = 4096,
	 .max = 1 << 30,
	 .help = "ring of buckets in the kernel"},
};

static const struct option_row source_rows[] = {
	{.name = "existing",
	 .type = OPTION_BOOL,
	 .offset = AT(existing),
	 .preset = 1,
	 .help = "find the sockets that are there at the start"},
	{.name = "other-families",
	 .type = OPTION_BOOL,
	 .offset = AT(other_families),
	 .help = "count netlink, vsock, AF_ALG and so on too"},
	{.name = "interfaces",
	 .type = OPTION_BOOL,
	 .offset = AT(interfaces),
	 .preset = 1,
	 .help = "read the interfaces of every namespace"},
	{.name = "cost",
	 .type = OPTION_BOOL,
	 .offset = AT(cost),
	 .preset = 1,
	 .help = "measure for a second what counting costs"},
};

static const struct option_group groups[] = {
	{"Time", time_rows, COUNT(time_rows), 0},
	{"Filters", filter_rows, COUNT(filter_rows), 0},
	{"View", view_rows, COUNT(view_rows), 0},
	{"Sources", source_rows, COUNT(source_rows), 0},
	{"Limits", limit_rows, COUNT(limit_rows), 0},
	{"Others", common_rows, COMMON_ROWS_COUNT, AT(common)},
};

static const struct option_table table = {groups, COUNT(groups)};

/* --------------------------------------------------------------- visiting */

static void interval_take(void *context, const struct watch_interval *interval)
{
	watch_json_interval(context, interval);
}

static void sample_take(void *context, const struct watch_socket *socket)
{
	watch_json_socket(context, "sample", socket);
}

static void event_take(void *context, const struct kernel_socket *socket)
{
	watch_json_event(context, socket);
}

static void process_take(void *context, const struct watch_process *process)
{
	struct watch_run *run = context;

	if (run->options->json)
		watch_json_process(run, process);
}

/* Keeps the first ones of the order, the last of which makes room. */
static void top_add(struct watch_run *run, const struct watch_socket *socket)
{
	enum watch_sort sort = (enum watch_sort)run->options->sort;
	struct watch_line line;
	size_t at = run->top_count;

	watch_line_set(&line, socket);
	if (at == run->top_max) {
		if (watch_line_compare(&line, &run->top[at - 1], sort) >= 0)
			return;
		at--;
	} else {
		run->top_count++;
	}
	for (; at > 0 && watch_line_compare(&line, &run->top[at - 1], sort) < 0;
	     at--)
		run->top[at] = run->top[at - 1];
	run->top[at] = line;
}

static void socket_take(void *context, const struct watch_socket *socket)
{
	struct watch_run *run = context;

	if (run->options->json)
		watch_json_socket(run, "socket", socket);
	else
		top_add(run, socket);
}

/* ---------------------------------------------------------------- running */

struct filters {
	uint32_t pids[FILTERS_MAX];
	uint16_t ports[FILTERS_MAX];
};

static struct watch_filter filter_of(const struct watch_cli_options *options,
				     struct filters *numbers)
{
	for (size_t i = 0; i < options->pids.count; i++)
		numbers->pids[i] =
			(uint32_t)strtoul(options->pids.texts[i], NULL, 10);
	for (size_t i = 0; i < options->ports.count; i++)
		numbers->ports[i] =
			(uint16_t)strtoul(options->ports.texts[i], NULL, 10);
	return (struct watch_filter){
		.pids = numbers->pids,
		.pid_count = options->pids.count,
		.containers = (const char *const *)options->containers.texts,
		.container_count = options->containers.count,
		.ports = numbers->ports,
		.port_count = options->ports.count,
	};
}

/* The inode of the first one is the kernel's constant PROC_PID_INIT_INO. */
static bool pids_are_first(void)
{
	struct stat pids;

	return stat("/proc/self/ns/pid", &pids) == 0 &&
	       pids.st_ino == 0xeffffffcUL;
}

static struct watch_options options_of(struct watch_run *run,
				       struct filters *numbers)
{
	const struct watch_cli_options *options = run->options;
	bool json = options->json;

	return (struct watch_options){
		.kernel = {.interval_ns = options->interval_ns,
			   .events_size = (size_t)options->events_size,
			   .buckets_size = (size_t)options->buckets_size,
			   .socket_limit = (uint32_t)options->sockets,
			   .process_limit = (uint32_t)options->processes,
			   .drop_limit = (uint32_t)options->drops,
			   .state_events = json && options->events,
			   .other_families = options->other_families,
			   .no_existing = !options->existing},
		.duration_ns = options->duration_ns,
		.process_limit = (uint32_t)options->processes,
		.row_limit = (uint32_t)options->rows,
		.per_socket = json && options->per_socket,
		.no_measure = !options->cost,
		.no_links = !options->interfaces,
		.filter = filter_of(options, numbers),
		.visitor = {.context = run,
			    .interval = json ? interval_take : NULL,
			    .socket = socket_take,
			    .sample = json && options->samples ? sample_take
							       : NULL,
			    .event =
				    json && options->events ? event_take : NULL,
			    .process = process_take},
	};
}

static void loss_print(void *context, const char *sentence)
{
	(void)context;
	fprintf(stderr, "sonde: watch: %s\n", sentence);
}

static void stop_it(void *watch)
{
	watch_stop(watch);
}

static int wait_ms(const struct watch_run *run)
{
	if (run->screen)
		return KEYS_MS;
	return put_waiting(&run->put) > 0 ? PUMP_MS : STEP_MS;
}

/* Returns ERR_END or what failed. */
static int run_loop(struct watch_run *run)
{
	int rc;

	while ((rc = watch_turn(run->watch, wait_ms(run))) >= 0) {
		if (run->options->json && !put_pump(&run->put, false))
			watch_stop(run->watch);
		if (run->screen && rc > 0)
			watch_screen_update(run->screen, run);
		if (run->screen && !watch_screen_keys(run->screen, run))
			watch_stop(run->watch);
	}
	return rc;
}

/* Containers may begin while it counts: only at the end it is sure. */
static void strangers_print(struct watch_run *run)
{
	const struct option_list *names = &run->options->containers;

	for (size_t i = 0; i < names->count; i++) {
		const char *name = names->texts[i];
		bool seen = false;

		for (size_t slot = 0; slot < watch_container_count(run->watch);
		     slot++)
			seen |= watch_container_named(
				watch_container_at(run->watch, slot), name);
		if (!seen)
			fprintf(stderr,
				"sonde: watch: no container '%s' was seen\n",
				name);
	}
}

static int run_end(struct watch_run *run, int rc)
{
	const char *ended = rc != ERR_END            ? "failed"
			    : watch_done(run->watch) ? "duration"
						     : "interrupted";

	watch_screen_close(run->screen);
	run->screen = NULL;
	if (rc != ERR_END)
		fprintf(stderr, "sonde: watch: the last reading failed: %s\n",
			err_sentence(rc));
	if (run->options->json) {
		watch_json_end(run, ended);
		(void)put_pump(&run->put, true);
	} else {
		watch_table_print(run, stdout);
	}
	strangers_print(run);
	if (run->put.failed && run->put.failed != EPIPE)
		fprintf(stderr, "sonde: standard output: %s\n",
			err_sentence(-run->put.failed));
	return rc != ERR_END || run->put.failed ? EXIT_PARTIAL : EXIT_DONE;
}

static bool on_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static int run_begin(struct watch_run *run, struct filters *numbers)
{
	struct watch_options options = options_of(run, numbers);
	struct fault fault = {""};
	int rc = watch_open(&options, &run->watch, &fault);

	if (rc < 0) {
		fprintf(stderr, "sonde: watch: %s\n",
			fault.text[0] ? fault.text : err_sentence(rc));
		fputs("sonde: watch: nothing can be counted by process here; "
		      "'sonde doctor' says what is permitted, 'sonde run' "
		      "meters flows without it\n",
		      stderr);
		return EXIT_NOT_ABLE;
	}
	run->other_pids = !pids_are_first();
	(void)watch_losses(run->watch, loss_print, NULL);
	if (run->other_pids)
		loss_print(NULL, WATCH_OTHER_PIDS);
	signals_catch_for(stop_it, run->watch);
	if (run->options->json)
		watch_json_begin(run);
	else if (run->options->tui && on_terminal())
		run->screen = watch_screen_open(run->options);
	if (run->screen)
		watch_screen_update(run->screen, run);
	else if (!run->options->json && isatty(STDERR_FILENO))
		fprintf(stderr, "sonde: watch: counting%s\n",
			run->options->duration_ns
				? ""
				: ", until interrupted (Ctrl-C)");
	return -1;
}

static int watch_run(const struct watch_cli_options *options)
{
	struct watch_run run = {
		.options = options,
		.put = {.fd = STDOUT_FILENO, .max = WAITING_MAX},
		.top_max = (size_t)options->top};
	struct filters numbers;
	int rc;

	run.filtered = options->pids.count + options->containers.count +
			       options->ports.count >
		       0;
	run.top = calloc(run.top_max, sizeof *run.top);
	if (!run.top)
		return usage_fail("watch: %s", err_sentence(-ENOMEM));
	rc = run_begin(&run, &numbers);
	if (rc < 0) {
		rc = run_loop(&run);
		signals_release();
		rc = run_end(&run, rc);
	}
	watch_close(run.watch);
	put_fini(&run.put);
	free(run.top);
	return rc;
}

/* The process that 'text' names; a thread's number names none of its own. */
static int process_check(const char *text)
{
	char path[64], line[256];
	unsigned long tgid = 0;
	FILE *status;

	(void)snprintf(path, sizeof path, "/proc/%s/status", text);
	status = fopen(path, "re");
	if (!status)
		return usage_fail("watch: pid: there is no process %s", text);
	while (fgets(line, sizeof line, status)) {
		if (strncmp(line, "Tgid:", strlen("Tgid:")) == 0)
			tgid = strtoul(line + strlen("Tgid:"), NULL, 10);
	}
	(void)fclose(status);
	if (tgid != 0 && tgid != strtoul(text, NULL, 10))
		return usage_fail("watch: pid: %s is a thread of process %lu",
				  text, tgid);
	return -1;
}

static int options_check(const struct watch_cli_options *options)
{
	if (options->pids.count > FILTERS_MAX ||
	    options->ports.count > FILTERS_MAX)
		return usage_fail("watch: at most %d of pid or port",
				  FILTERS_MAX);
	if (!options->json &&
	    (options->samples || options->events || options->per_socket))
		return usage_fail("watch: --samples, --events and --per-socket "
				  "go with --json");
	for (size_t i = 0; i < options->pids.count && pids_are_first(); i++) {
		int rc = process_check(options->pids.texts[i]);

		if (rc >= 0)
			return rc;
	}
	return -1;
}

static int watch_main(const struct verb *verb, int argc, char **argv)
{
	struct watch_cli_options options;
	struct option_line line = {NULL, 0, {""}};
	int rc;

	if (options_init(verb->options, &options) < 0)
		return usage_fail("watch: %s", err_sentence(-ENOMEM));
	rc = verb_line_parse(verb, argc, argv, &options, &line);
	if (rc < 0 && line.rest_count > 0)
		rc = usage_fail("watch: takes no arguments");
	if (rc < 0)
		rc = options_check(&options);
	if (rc < 0)
		rc = watch_run(&options);
	options_fini(verb->options, &options);
	return rc;
}

const struct verb watch_verb = {
	.name = "watch",
	.main = watch_main,
	.synopsis = "[OPTION...]",
	.line = "which process and container moves how many bytes",
	.about = "Counts in the kernel, at every send and receive call, the "
		 "bytes of each process,\n"
		 "container and connection, and reads TCP's own state beside "
		 "them. A ledger proves\n"
		 "that nothing is missing; intervals that lack something are "
		 "flagged. On a\n"
		 "terminal it shows them live; an interrupt, or the end of the "
		 "duration, prints\n"
		 "tables. Needs root, or CAP_BPF, CAP_PERFMON and "
		 "CAP_NET_ADMIN. Exits with 1\n"
		 "where nothing can be counted, with 3 if the end could not be "
		 "read or written.",
	.examples = "  sonde watch\n"
		    "  sonde watch --duration 60s --interval 10ms --json\n"
		    "  sonde watch -d 10s --container web --sort retransmits\n"
		    "  sonde watch --port 443,8443 --top 50 --no-tui\n",
	.options = &table,
};
