/* A verb of the command line: one file, one row in main.c.
 *
 * Threads: the process's first thread alone; engine has the others.
 */
#ifndef CLI_PRIVATE_H
#define CLI_PRIVATE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/option.h"
#include "engine/engine.h"

/* What a verb's main returns, and so the process. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_NOT_ABLE = 1, /* doctor: the main job cannot run here */
	EXIT_USAGE = 2,    /* nothing was created */
	EXIT_PARTIAL = 3,  /* what was readable is done, the rest is named */
};

struct verb {
	const char *name;
	int (*main)(const struct verb *verb, int argc, char **argv);
	const char *synopsis; /* behind the name; lines by "\n" */
	const char *line;     /* one line, no full stop */
	const char *about;    /* paragraphs by "\n", for help and manual */
	const char *examples; /* "command\n  what it does\n"... or NULL */
	const struct option_table *options; /* NULL: none */
	bool hidden;
};

extern const struct verb flows_verb, run_verb, watch_verb, rtt_verb,
	reflect_verb, doctor_verb, help_verb, man_verb;

/* The verbs in the table's order; NULL after the last. */
const struct verb *verb_at(size_t index);
const struct verb *verb_find(const char *name);

/* Says on stderr that there is no such verb, and which may be meant. */
int verb_unknown(const char *name);

/* What --help prints. */
void program_help_print(FILE *to);
void verb_help_print(const struct verb *verb, FILE *to);

/* The row that every verb has, the last group of its table. */
struct common_options {
	bool help;
};

extern const struct option_row common_rows[];
#define COMMON_ROWS_COUNT 1

/* Reads the command line into 'options' (initialised).  Returns -1 to go
 * on, or the exit code: --help was given, or a mistake, which is told. */
int verb_line_parse(const struct verb *verb, int argc, char **argv,
		    void *options, struct option_line *line);

/* "sonde: ..." on stderr; returns EXIT_USAGE. */
int usage_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What capturing and metering take, the same for every verb that does. */
struct meter_options {
	char *backend;
	int64_t ring_size;
	int64_t snap_size;
	bool promiscuous;
	char *filter;
	int64_t stamp; /* enum capture_stamp */
	int64_t workers;
	int64_t flow_count;
	int64_t idle_ns;
	int64_t active_ns;
	int64_t phase_idle_ns[FLOW_PHASE_COUNT];
	int64_t phase_active_ns[FLOW_PHASE_COUNT]; /* TCP, UDP, OTHER */
	bool tcp_metrics;
	struct option_list statistics;
	int64_t first_count;
	int64_t sample_packets; /* 1: all */
	int64_t sample_mode;    /* index into the option's words */
	int64_t sample_size;
	int64_t sample_flows; /* 1: all */
	int64_t sample_seed;
};

extern const struct option_row capture_rows[], flow_rows[], timeout_rows[],
	sample_rows[];
#define CAPTURE_ROWS_COUNT 7
#define FLOW_ROWS_COUNT    6
#define TIMEOUT_ROWS_COUNT 10
#define SAMPLE_ROWS_COUNT  5

/* The engine's options from ours; borrows every text. */
struct engine_options meter_engine_options(const struct meter_options *options);

/* Refuses options that contradict each other, by name.  Returns -1 to go on,
 * or the exit code: it is told. */
int meter_options_check(const struct meter_options *options);

/* SIGINT, SIGTERM and SIGHUP end the engine; a second one ends the process.
 * What is written to a closed pipe is an error code and no signal. */
void signals_catch(struct engine *engine);
/* The same for another object; 'stop' may do what a signal handler may. */
void signals_catch_for(void (*stop)(void *object), void *object);
bool signals_caught(void);

/* Before the engine is destroyed. */
void signals_release(void);

/* The faults of the captures, a line each on stderr.  Returns how many. */
int faults_print(const struct engine *engine);

/* Every counter with its line, from the wire to the records, and whether
 * they add up.  'store' may be NULL. */
struct store;
void ledger_print(const struct engine_ledger *ledger, const struct store *store,
		  FILE *to);

/* The same as one JSON object; a text to be freed, NULL: no memory. */
char *ledger_json(const struct engine_ledger *ledger,
		  const struct store *store);

/* Frames that reached the capture and could not be taken in. */
uint64_t ledger_dropped(const struct engine_ledger *ledger);

#endif
