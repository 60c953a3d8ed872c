/* What the files of 'sonde run' share.
 *
 * Threads: the process's first.
 */
#ifndef CLI_RUN_PRIVATE_H
#define CLI_RUN_PRIVATE_H

#include "cli/cli_private.h"
#include "cli/status.h"
#include "cli/top.h"
#include "store/store.h"

#define RUN_CONFIG_PRESET   "/etc/sonde/sonde.conf"
#define RUN_DATABASE_PRESET "/var/lib/sonde/sonde.db"

struct run_options {
	struct option_list interfaces;
	struct meter_options meter;
	char *config;
	bool check;
	bool print_config;
	bool tui;
	int64_t report_ns;
	bool store;
	char *database;
	char *probe;
	int64_t keep_age_ns;
	int64_t keep_size;
	struct common_options common;
};

extern const struct option_table run_table;

/* Reads presets, the configuration file and the command line over it.
 * Returns -1 to go on, or the exit code: everything is said already.
 * 'options' is to be freed with options_fini() in either case. */
int run_options_read(const struct verb *verb, int argc, char **argv,
		     struct run_options *options);

struct tui;

struct run {
	const struct run_options *options;
	struct engine *engine;
	struct store *store; /* NULL: none is wanted */
	struct top *top;
	struct tui *tui; /* NULL: a log */
	struct status status;
	char targets[128];
	char probe[128];

	struct mono asked;       /* when an update was asked for last */
	struct wall asked_wall;  /* the same, in packets' time */
	struct wall newest;      /* latest packet that was reported */
	struct mono interval;    /* when the shown interval began */
	uint64_t dropped_before; /* in that interval's beginning */
	int64_t interval_ns;     /* how long it shall be */
	bool updating, retaining;
	uint32_t uncommitted; /* records since the last commit */
	size_t faults;        /* of the engine, told */
	bool quit;            /* on the screen */
	bool output_gone;     /* nobody reads our log any more */
};

/* The log, where there is no screen. */
void run_log_begin(struct run *run);
void run_log_report(struct run *run);

/* Said once a change: the store refuses, the store takes again. */
void run_log_store(struct run *run);
void run_log_fault(struct run *run, const char *sentence);

#endif
