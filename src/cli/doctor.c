/* sonde doctor: what this machine permits, each line proved by doing it. */
#include "cli/doctor_private.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/field.h"
#include "cli/cli_private.h"

static const struct {
	const char *area;
	void (*check)(struct doctor *doctor);
} checks[] = {
	{"Backends", backends_check},     {"Fanout", fanout_check},
	{"Privileges", privileges_check}, {"Software stamps", stamps_check},
	{"Hardware stamps", cards_check}, {"Huge pages", pages_check},
	{"Store", store_check},           {"Clock", clock_check},
	{"Interfaces", interfaces_check}, {"Round trips", points_check},
	{"Sockets", sockets_check},
};

#define CHECK_COUNT (sizeof checks / sizeof checks[0])

struct finding *finding_add(struct doctor *doctor, const char *name,
			    enum finding_verdict verdict, const char *format,
			    ...)
{
	/* Beyond the limit the last one is overwritten: bounded, and the
	 * list of interfaces is the only one that can be long. */
	size_t slot = doctor->count < FINDINGS_MAX ? doctor->count++
						   : FINDINGS_MAX - 1;
	struct finding *finding = &doctor->findings[slot];
	va_list arguments;

	*finding = (struct finding){.area = doctor->area, .verdict = verdict};
	snprintf(finding->name, sizeof finding->name, "%s", name);
	va_start(arguments, format);
	vsnprintf(finding->text, sizeof finding->text, format, arguments);
	va_end(arguments);
	return finding;
}

void finding_remedy(struct finding *finding, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(finding->remedy, sizeof finding->remedy, format, arguments);
	va_end(arguments);
}

static const char *const verdict_words[] = {
	[FINDING_OK] = "ok",
	[FINDING_WARN] = "warn",
	[FINDING_NO] = "no",
};

static void report_print(const struct doctor *doctor)
{
	const char *area = NULL;

	for (size_t i = 0; i < doctor->count; i++) {
		const struct finding *finding = &doctor->findings[i];

		if (finding->area != area)
			printf("%s%s\n", area ? "\n" : "", finding->area);
		area = finding->area;
		printf("  %-5s %-16s %s\n", verdict_words[finding->verdict],
		       finding->name, finding->text);
		if (finding->remedy[0])
			printf("  %-5s %-16s remedy: %s\n", "", "",
			       finding->remedy);
	}
}

static void json_member(const char *name, const char *text, const char *before)
{
	char quoted[2048];

	json_quote(text, quoted, sizeof quoted);
	printf("%s\"%s\":%s", before, name, quoted);
}

static void report_json_print(const struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->count; i++) {
		const struct finding *finding = &doctor->findings[i];

		json_member("area", finding->area, "{");
		json_member("name", finding->name, ",");
		json_member("verdict", verdict_words[finding->verdict], ",");
		json_member("text", finding->text, ",");
		json_member("remedy", finding->remedy, ",");
		printf("}\n");
	}
}

static const char *const report_words[] = {"table", "json", NULL};

struct doctor_options {
	int64_t format; /* index of report_words */
	char *interface;
	struct common_options common;
};

static const struct option_row doctor_rows[] = {
	{.name = "format",
	 .letter = 'f',
	 .where = OPTION_LINE,
	 .type = OPTION_WORD,
	 .offset = offsetof(struct doctor_options, format),
	 .words = report_words,
	 .placeholder = "FORMAT",
	 .help = "how the report is written; json is an object a line"},
	{.name = "interface",
	 .letter = 'i',
	 .where = OPTION_LINE,
	 .type = OPTION_TEXT,
	 .offset = offsetof(struct doctor_options, interface),
	 .min = 1,
	 .placeholder = "NAME",
	 .preset_note = "lo",
	 .help = "round trip packets leave by this interface"},
};

static const struct option_group doctor_groups[] = {
	{"Output", doctor_rows, sizeof doctor_rows / sizeof *doctor_rows, 0},
	{"Others", common_rows, COMMON_ROWS_COUNT,
	 offsetof(struct doctor_options, common)},
};

static const struct option_table doctor_table = {doctor_groups, 2};

static int machine_examine(const struct doctor_options *options)
{
	struct doctor *doctor = calloc(1, sizeof *doctor);
	bool able;

	if (!doctor)
		return usage_fail("out of memory");
	doctor->interface = options->interface;
	for (size_t i = 0; i < CHECK_COUNT; i++) {
		doctor->area = checks[i].area;
		checks[i].check(doctor);
	}
	able = doctor->live && doctor->kept;
	if (options->format == 1)
		report_json_print(doctor);
	else
		report_print(doctor);
	if (options->format == 0)
		printf("\n%s\n",
		       able ? "sonde can capture, meter and keep here."
			    : "sonde run cannot work here: see 'no' above.");
	free(doctor);
	return able ? EXIT_DONE : EXIT_NOT_ABLE;
}

static int doctor_main(const struct verb *verb, int argc, char **argv)
{
	struct doctor_options options;
	struct option_line line = {NULL, 0, {""}};
	int rc;

	if (options_init(verb->options, &options) < 0)
		return usage_fail("out of memory");
	rc = verb_line_parse(verb, argc, argv, &options, &line);
	if (rc < 0 && line.rest_count > 0)
		rc = usage_fail("doctor: takes no arguments");
	if (rc < 0)
		rc = machine_examine(&options);
	options_fini(verb->options, &options);
	return rc;
}

const struct verb doctor_verb = {
	.name = "doctor",
	.main = doctor_main,
	.synopsis = "[OPTION...]",
	.line = "say what this machine permits, and the remedies",
	.about = "Tries everything that sonde does with this machine: "
		 "captures a frame of its own\n"
		 "with every backend, receives a stamped datagram, keeps a "
		 "record in a database\n"
		 "that it removes again. Every line was proved by doing it; "
		 "where it fails, the\n"
		 "remedy stands below. Exits with 1 where 'sonde run' cannot "
		 "work.",
	.examples = "  sonde doctor\n"
		    "  sonde doctor -f json\n",
	.options = &doctor_table,
};
