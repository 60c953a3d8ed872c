/* The options of 'sonde run', and its configuration file. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/run_private.h"

static const struct option_row run_rows[] = {
	{.name = "interface",
	 .letter = 'i',
	 .type = OPTION_LIST,
	 .offset = offsetof(struct run_options, interfaces),
	 .preset_text = "any",
	 .placeholder = "NAME,...",
	 .help = "capture on these; 'any' is all, also those to come"},
	{.name = "config",
	 .letter = 'c',
	 .where = OPTION_LINE,
	 .type = OPTION_TEXT,
	 .offset = offsetof(struct run_options, config),
	 .min = 1,
	 .preset_note = RUN_CONFIG_PRESET " if it is there",
	 .placeholder = "FILE",
	 .help = "configuration file"},
	{.name = "check",
	 .where = OPTION_LINE,
	 .type = OPTION_BOOL,
	 .offset = offsetof(struct run_options, check),
	 .help = "name every mistake of the configuration, and end"},
	{.name = "print-config",
	 .where = OPTION_LINE,
	 .type = OPTION_BOOL,
	 .offset = offsetof(struct run_options, print_config),
	 .help = "print a configuration with every default, and end"},
	{.name = "probe",
	 .type = OPTION_TEXT,
	 .offset = offsetof(struct run_options, probe),
	 .max = 64,
	 .preset_note = "the host's name",
	 .placeholder = "NAME",
	 .help = "this probe's name in every record"},
};

static const struct option_row view_rows[] = {
	{.name = "tui",
	 .type = OPTION_BOOL,
	 .offset = offsetof(struct run_options, tui),
	 .preset = 1,
	 .help = "the live screen on a terminal"},
	{.name = "report",
	 .type = OPTION_DURATION,
	 .offset = offsetof(struct run_options, report_ns),
	 .preset = 10 * NS_PER_S,
	 .min = NS_PER_S,
	 .max = NS_PER_S * 86400,
	 .help = "how often the log says what goes on"},
};

static const struct option_row store_rows[] = {
	{.name = "store",
	 .type = OPTION_BOOL,
	 .offset = offsetof(struct run_options, store),
	 .preset = 1,
	 .help = "the database of flow records and interface counters"},
	{.name = "database",
	 .type = OPTION_TEXT,
	 .offset = offsetof(struct run_options, database),
	 .min = 1,
	 .preset_text = RUN_DATABASE_PRESET,
	 .placeholder = "FILE",
	 .help = "where they are kept (SQLite)"},
	{.name = "keep-age",
	 .type = OPTION_DURATION,
	 .zero = true,
	 .offset = offsetof(struct run_options, keep_age_ns),
	 .preset = NS_PER_S * 86400 * 7,
	 .min = NS_PER_S * 60,
	 .max = NS_PER_S * 86400 * 3650,
	 .help = "older records are removed; 0 keeps them for ever"},
	{.name = "keep-size",
	 .type = OPTION_SIZE,
	 .zero = true,
	 .offset = offsetof(struct run_options, keep_size),
	 .preset = INT64_C(10) << 30,
	 .min = INT64_C(16) << 20,
	 .max = INT64_C(1024) << 40,
	 .help = "the oldest records are removed beyond it; 0 sets no limit"},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct option_group run_groups[] = {
	{"Probe", run_rows, COUNT(run_rows), 0},
	{"View", view_rows, COUNT(view_rows), 0},
	{"Store", store_rows, COUNT(store_rows), 0},
	{"Capture", capture_rows, CAPTURE_ROWS_COUNT,
	 offsetof(struct run_options, meter)},
	{"Flows", flow_rows, FLOW_ROWS_COUNT,
	 offsetof(struct run_options, meter)},
	{"Timeouts", timeout_rows, TIMEOUT_ROWS_COUNT,
	 offsetof(struct run_options, meter)},
	{"Sampling", sample_rows, SAMPLE_ROWS_COUNT,
	 offsetof(struct run_options, meter)},
	{"Others", common_rows, COMMON_ROWS_COUNT,
	 offsetof(struct run_options, common)},
};

const struct option_table run_table = {run_groups, COUNT(run_groups)};

static void config_print(void)
{
	printf("# sonde.conf: what 'sonde run' does.  Every key is optional "
	       "and stands here\n"
	       "# with its default; the command line goes before this file.  "
	       "'sonde run\n"
	       "# --check' names every mistake in it.\n");
	options_config_print(&run_table, stdout);
}

static void mistake_print(void *context, const char *sentence)
{
	(void)context;
	fprintf(stderr, "sonde: %s\n", sentence);
}

/* The file to read; NULL: none was named and there is none. */
static const char *config_path(const struct run_options *options)
{
	if (options->config)
		return options->config;
	return access(RUN_CONFIG_PRESET, F_OK) == 0 ? RUN_CONFIG_PRESET : NULL;
}

static int config_read(const char *path, struct run_options *options)
{
	struct option_source source = {&run_table, path, mistake_print, NULL};
	int rc = options_config_read(&source, options);

	if (rc < 0)
		return usage_fail("%s: %s", path, err_sentence(rc));
	return rc > 0 ? EXIT_USAGE : -1;
}

/* A line that was good once is good again: this is the second time, over
 * what the file said. */
static int line_again(const struct verb *verb, int argc, char **argv,
		      struct run_options *options)
{
	struct option_line line = {NULL, 0, {""}};

	return verb_line_parse(verb, argc, argv, options, &line);
}

static int config_apply(const struct verb *verb, int argc, char **argv,
			struct run_options *options)
{
	const char *path = config_path(options);
	bool check = options->check;
	char *named = options->config; /* 'path' may lie in it */
	int rc = -1;

	if (!path)
		rc = meter_options_check(&options->meter);
	if (rc >= 0)
		return rc;
	if (!path && check)
		printf("no %s: every key has its default\n", RUN_CONFIG_PRESET);
	if (!path)
		return check ? EXIT_DONE : -1;
	options->config = NULL;
	options_fini(&run_table, options);
	if (options_init(&run_table, options) < 0)
		rc = usage_fail("%s", err_sentence(-ENOMEM));
	if (rc < 0)
		rc = config_read(path, options);
	if (rc < 0)
		rc = line_again(verb, argc, argv, options);
	if (rc < 0)
		rc = meter_options_check(&options->meter);
	if (rc < 0 && check) {
		printf("%s: ok\n", path);
		rc = EXIT_DONE;
	}
	free(named);
	return rc;
}

int run_options_read(const struct verb *verb, int argc, char **argv,
		     struct run_options *options)
{
	struct option_line line = {NULL, 0, {""}};
	int rc;

	if (options_init(&run_table, options) < 0)
		return usage_fail("%s", err_sentence(-ENOMEM));
	rc = verb_line_parse(verb, argc, argv, options, &line);
	if (rc >= 0)
		return rc;
	if (line.rest_count > 0)
		return usage_fail("run: takes no arguments; interfaces are "
				  "named with -i");
	if (options->print_config) {
		config_print();
		return EXIT_DONE;
	}
	return config_apply(verb, argc, argv, options);
}
