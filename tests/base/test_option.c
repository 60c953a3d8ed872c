#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/option.h"
#include "base/stamp.h"

struct shared {
	int64_t ring_size;
	int64_t workers;
	bool promiscuous;
};

struct options {
	int64_t before; /* so that the group's base is not 0 */
	struct shared shared;
	int64_t idle_ns, keep_ns, format;
	bool tui;
	char *filter, *path;
	struct option_list interfaces;
	bool help;
};

static const char *const formats[] = {"table", "json", "csv", NULL};

static const struct option_row shared_rows[] = {
	{.name = "ring-size",
	 .type = OPTION_SIZE,
	 .offset = offsetof(struct shared, ring_size),
	 .preset = INT64_C(256) << 20,
	 .min = INT64_C(64) << 20,
	 .max = INT64_C(2) << 30,
	 .help = "memory shared with the kernel"},
	{.name = "workers",
	 .letter = 'w',
	 .type = OPTION_COUNT,
	 .offset = offsetof(struct shared, workers),
	 .preset = 1,
	 .min = 1,
	 .max = 64,
	 .help = "threads that meter"},
	{.name = "promiscuous",
	 .letter = 'p',
	 .type = OPTION_BOOL,
	 .offset = offsetof(struct shared, promiscuous),
	 .help = "take in frames for other hosts too"},
};

static const struct option_row own_rows[] = {
	{.name = "idle-timeout",
	 .type = OPTION_DURATION,
	 .offset = offsetof(struct options, idle_ns),
	 .preset = 300 * NS_PER_S,
	 .min = 30 * NS_PER_S,
	 .max = 3600 * NS_PER_S,
	 .help = "a silent flow ends after this long"},
	{.name = "keep-age",
	 .where = OPTION_CONFIG,
	 .type = OPTION_DURATION,
	 .offset = offsetof(struct options, keep_ns),
	 .preset = NS_PER_S * 86400 * 7,
	 .min = 60 * NS_PER_S,
	 .max = NS_PER_S * 86400 * 3650,
	 .zero = true,
	 .help = "rows older than this leave"},
	{.name = "format",
	 .letter = 'f',
	 .type = OPTION_WORD,
	 .offset = offsetof(struct options, format),
	 .words = formats,
	 .help = "how records are written"},
	{.name = "tui",
	 .type = OPTION_BOOL,
	 .offset = offsetof(struct options, tui),
	 .preset = 1,
	 .help = "the screen on a terminal"},
	{.name = "filter",
	 .type = OPTION_TEXT,
	 .offset = offsetof(struct options, filter),
	 .max = 32,
	 .placeholder = "EXPRESSION",
	 .help = "what to take in"},
	{.name = "database",
	 .type = OPTION_TEXT,
	 .offset = offsetof(struct options, path),
	 .min = 1,
	 .preset_text = "/var/lib/x.db",
	 .placeholder = "FILE",
	 .help = "where records are kept"},
	{.name = "interface",
	 .letter = 'i',
	 .type = OPTION_LIST,
	 .offset = offsetof(struct options, interfaces),
	 .preset_text = "any",
	 .help = "interfaces to capture on"},
	{.name = "help",
	 .letter = 'h',
	 .where = OPTION_LINE,
	 .type = OPTION_BOOL,
	 .offset = offsetof(struct options, help),
	 .help = "this text"},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct option_group groups[] = {
	{"Capture", shared_rows, COUNT(shared_rows),
	 offsetof(struct options, shared)},
	{"Others", own_rows, COUNT(own_rows), 0},
};
static const struct option_table table = {groups, COUNT(groups)};

/* The value of 'name' as text. */
static const char *value_of(const char *name, const struct options *options)
{
	static char text[128];
	const struct option_group *group;
	const struct option_row *row =
		option_find(&table, name, OPTION_LINE | OPTION_CONFIG, &group);

	assert_non_null(row);
	option_format(row, (const char *)options + group->base, text,
		      sizeof text);
	return text;
}

static const struct {
	const char *name, *text;
	int code;
	const char *value; /* afterwards: the preset if it was refused */
	const char *fault;
} values[] = {
	{"ring-size", "64M", 0, "64M", ""},
	{"ring_size", "2G", 0, "2G", ""},
	{"ring-size", "2147483648", 0, "2G", ""},
	{"ring-size", "1.5 GiB", 0, "1536M", ""},
	{"ring-size", "65537K", 0, "65537K", ""},
	{"ring-size", "16M", ERR_OPTION_RANGE, "256M",
	 "ring-size: 16M is out of range: 64M to 2G"},
	{"ring_size", "99999999999999999999999999", ERR_OPTION_RANGE, "256M",
	 "ring_size: 99999999999999999999999999 is out of range: 64M to 2G"},
	{"ring-size", "9223372036854775807T", ERR_OPTION_RANGE, "256M",
	 "ring-size: 9223372036854775807T is out of range: 64M to 2G"},
	{"ring-size", "-1", ERR_OPTION_RANGE, "256M",
	 "ring-size: -1 is out of range: 64M to 2G"},
	{"ring-size", "64X", -EINVAL, "256M",
	 "ring-size: '64X' is not a size, like 64M or 2G"},
	{"ring-size", "", -EINVAL, "256M",
	 "ring-size: '' is not a size, like 64M or 2G"},
	{"ring-size", "M", -EINVAL, "256M",
	 "ring-size: 'M' is not a size, like 64M or 2G"},
	{"ring-size", "64000000.3333333333", -EINVAL, "256M",
	 "ring-size: '64000000.3333333333' is not a size, like 64M or 2G"},
	{"workers", "64", 0, "64", ""},
	{"workers", "0", ERR_OPTION_RANGE, "1",
	 "workers: 0 is out of range: 1 to 64"},
	{"workers", "two", -EINVAL, "1", "workers: 'two' is not a number"},
	{"workers", "0x10", -EINVAL, "1", "workers: '0x10' is not a number"},
	{"idle-timeout", "300", 0, "5m", ""},
	{"idle-timeout", "90s", 0, "90s", ""},
	{"idle-timeout", "1h", 0, "1h", ""},
	{"idle-timeout", "0.5h", 0, "30m", ""},
	{"idle-timeout", "30500 ms", 0, "30500ms", ""},
	{"idle-timeout", "29", ERR_OPTION_RANGE, "5m",
	 "idle-timeout: 29 is out of range: 30s to 1h"},
	{"idle-timeout", "0", ERR_OPTION_RANGE, "5m",
	 "idle-timeout: 0 is out of range: 30s to 1h"},
	{"idle-timeout", "5 moons", -EINVAL, "5m",
	 "idle-timeout: '5 moons' is not a duration, like 90s, 5m or 1h"},
	{"keep-age", "0", 0, "0", ""},
	{"keep-age", "2w", 0, "14d", ""},
	{"keep-age", "1s", ERR_OPTION_RANGE, "7d",
	 "keep-age: 1s is out of range: 1m to 3650d, or 0"},
	{"promiscuous", "yes", 0, "yes", ""},
	{"promiscuous", "ON", 0, "yes", ""},
	{"tui", "false", 0, "no", ""},
	{"tui", "maybe", -EINVAL, "yes", "tui: 'maybe' is neither yes nor no"},
	{"format", "csv", 0, "csv", ""},
	{"format", "xml", -EINVAL, "table",
	 "format: 'xml' is none of: table, json, csv"},
	{"filter", "tcp port 80, or udp", 0, "tcp port 80, or udp", ""},
	{"filter", "", 0, "", ""},
	{"filter", "123456789012345678901234567890123", ERR_OPTION_RANGE, "",
	 "filter: '123456789012345678901234567890123...' is longer than 32 "
	 "bytes"},
	{"database", "", -EINVAL, "/var/lib/x.db",
	 "database: may not be empty"},
	{"interface", "", -EINVAL, "any", "interface: has an empty entry"},
	{"rings-size", "64M", ERR_OPTION_UNKNOWN, NULL,
	 "rings-size: no such option; did you mean '--ring-size'?"},
	{"xyzzy", "64M", ERR_OPTION_UNKNOWN, NULL, "xyzzy: no such option"},
};

static void sets_a_value_or_refuses_and_says_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		struct options options;
		struct fault fault = {""};
		int rc;

		assert_int_equal(options_init(&table, &options), 0);
		rc = option_set(&table, values[i].name, values[i].text,
				&options, &fault);
		assert_string_equal(fault.text, values[i].fault);
		assert_int_equal(rc, values[i].code);
		if (values[i].value)
			assert_string_equal(value_of(values[i].name, &options),
					    values[i].value);
		options_fini(&table, &options);
	}
}

#define ARGUMENTS_MAX 8

static const struct {
	const char *argv[ARGUMENTS_MAX];
	int code;
	const char *name, *value; /* one value afterwards */
	const char *rest;         /* joined by blanks */
	const char *fault;
} lines[] = {
	{{"--ring-size", "64M"}, 0, "ring-size", "64M", "", ""},
	{{"--ring-size=64M"}, 0, "ring-size", "64M", "", ""},
	{{"--ring_size=64M"}, 0, "ring-size", "64M", "", ""},
	{{"-w", "3"}, 0, "workers", "3", "", ""},
	{{"-w3"}, 0, "workers", "3", "", ""},
	{{"-pw3", "x"}, 0, "workers", "3", "x", ""},
	{{"-pw", "3"}, 0, "promiscuous", "yes", "", ""},
	{{"-ph"}, 0, "help", "yes", "", ""},
	{{"--promiscuous", "x"}, 0, "promiscuous", "yes", "x", ""},
	{{"--promiscuous=no"}, 0, "promiscuous", "no", "", ""},
	{{"--no-tui"}, 0, "tui", "no", "", ""},
	{{"--tui", "--no-tui", "--tui"}, 0, "tui", "yes", "", ""},
	{{"a", "-p", "b", "--", "-w", "--help"},
	 0,
	 "workers",
	 "1",
	 "a b -w --help",
	 ""},
	{{"-"}, 0, "workers", "1", "-", ""},
	{{""}, 0, "workers", "1", "", ""},
	{{"-i", "eth0", "-i", "lo"}, 0, "interface", "eth0, lo", "", ""},
	{{"-ieth0,lo"}, 0, "interface", "eth0, lo", "", ""},
	{{"--filter", "--help"}, 0, "filter", "--help", "", ""},
	{{"-i", "eth0,"},
	 -EINVAL,
	 "workers",
	 "1",
	 "",
	 "interface: has an empty entry"},
	{{"-w"}, -EINVAL, "workers", "1", "", "workers: needs a value (COUNT)"},
	{{"--filter"},
	 -EINVAL,
	 "workers",
	 "1",
	 "",
	 "filter: needs a value (EXPRESSION)"},
	{{"--no-workers"},
	 ERR_OPTION_UNKNOWN,
	 "workers",
	 "1",
	 "",
	 "no-workers: no such option; did you mean '--workers'?"},
	{{"--worker", "2"},
	 ERR_OPTION_UNKNOWN,
	 "workers",
	 "1",
	 "",
	 "worker: no such option; did you mean '--workers'?"},
	{{"--keep-age", "0"},
	 ERR_OPTION_UNKNOWN,
	 "keep-age",
	 "7d",
	 "",
	 "keep-age: no such option"},
	{{"-px"}, ERR_OPTION_UNKNOWN, "workers", "1", "", "-x: no such option"},
	{{"--ring-size", "16M"},
	 ERR_OPTION_RANGE,
	 "ring-size",
	 "256M",
	 "",
	 "ring-size: 16M is out of range: 64M to 2G"},
};

static void rest_join(const struct option_line *line, char *buffer)
{
	*buffer = 0;
	for (int i = 0; i < line->rest_count; i++)
		sprintf(buffer + strlen(buffer), "%s%s", i ? " " : "",
			line->rest[i]);
}

static void reads_every_form_of_a_command_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		const char *rest[ARGUMENTS_MAX + 1];
		char words[ARGUMENTS_MAX + 1][64] = {"x"};
		char *argv[ARGUMENTS_MAX + 1] = {words[0]};
		struct option_line line = {.rest = rest};
		struct options options;
		char joined[128];
		int argc = 1;

		while (lines[i].argv[argc - 1]) {
			snprintf(words[argc], sizeof words[argc], "%s",
				 lines[i].argv[argc - 1]);
			argv[argc] = words[argc];
			argc++;
		}
		assert_int_equal(options_init(&table, &options), 0);
		assert_int_equal(
			options_line_parse(&table, argc, argv, &options, &line),
			lines[i].code);
		assert_string_equal(line.fault.text, lines[i].fault);
		assert_string_equal(value_of(lines[i].name, &options),
				    lines[i].value);
		rest_join(&line, joined);
		if (lines[i].code == 0)
			assert_string_equal(joined, lines[i].rest);
		options_fini(&table, &options);
	}
}

#define MISTAKES_SIZE 2048

/* Every sentence, joined. */
static void sentence_join(void *context, const char *sentence)
{
	char *joined = context;
	size_t used = strlen(joined);

	snprintf(joined + used, MISTAKES_SIZE - used, "%s\n", sentence);
}

static const struct {
	const char *text;
	const char *name, *value;
	const char *mistakes;
} configs[] = {
	{"", "workers", "1", ""},
	{"# nothing\n\n   \t\n", "workers", "1", ""},
	{"workers = 3", "workers", "3", ""},
	{"  ring_size=64M # small\r\n", "ring-size", "64M", ""},
	{"ring-size = 64M", "ring-size", "64M", ""},
	{"\xef\xbb\xbfworkers = 3\n", "workers", "3", ""},
	{"filter = tcp port 80, or udp # both", "filter", "tcp port 80, or udp",
	 ""},
	{"filter = a#b", "filter", "a#b", ""},
	{"filter = #b", "filter", "", ""},
	{"filter = \"a \\\"b\\\" # \\\\ c\" # d", "filter", "a \"b\" # \\ c",
	 ""},
	{"interface = eth0, \"a,b\" ,lo", "interface", "eth0, a,b, lo", ""},
	{"interface = eth0", "interface", "eth0", ""},
	{"tui = no\nkeep_age = 0\n", "keep-age", "0", ""},
	{"help = yes", "help", "no", "sonde.conf:1: help: no such key\n"},
	{"ring_size = 16M\n\nworkres = 2\nworkers 3\nidle_timeout = soon\n"
	 "= 5\nworkers = 4\nworkers = 5\n[x]\n",
	 "workers", "4",
	 "sonde.conf:1: ring_size: 16M is out of range: 64M to 2G\n"
	 "sonde.conf:3: workres: no such key; did you mean 'workers'?\n"
	 "sonde.conf:4: workers: expected 'key = value'\n"
	 "sonde.conf:5: idle_timeout: 'soon' is not a duration, like 90s, 5m "
	 "or 1h\n"
	 "sonde.conf:6: expected 'key = value'\n"
	 "sonde.conf:8: workers: given already on line 7\n"
	 "sonde.conf:9: expected 'key = value'\n"},
	{"ringsize = 1", "ring-size", "256M",
	 "sonde.conf:1: ringsize: no such key; did you mean 'ring_size'?\n"},
	{"filter = \"tcp", "filter", "",
	 "sonde.conf:1: filter: the quote is not closed\n"},
	{"filter = \"tcp\\", "filter", "",
	 "sonde.conf:1: filter: the quote is not closed\n"},
	{"filter = \"tcp\" udp", "filter", "",
	 "sonde.conf:1: filter: something stands behind the quote\n"},
	{"interface = eth0,,lo", "interface", "eth0, lo",
	 "sonde.conf:1: interface: has an empty entry\n"},
	{"workers =", "workers", "1",
	 "sonde.conf:1: workers: '' is not a number\n"},
	{"filter = \x1b[2J\nfoo\x07 = 1", "filter", "\x1b[2J",
	 "sonde.conf:2: foo: expected 'key = value'\n"},
	{"workers = \x1b", "workers", "1",
	 "sonde.conf:1: workers: '?' is not a number\n"},
};

static void names_line_and_key_of_every_mistake(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(configs); i++) {
		char mistakes[MISTAKES_SIZE] = "";
		struct option_source source = {&table, "sonde.conf",
					       sentence_join, mistakes};
		struct options options;
		int count = 0;

		assert_int_equal(options_init(&table, &options), 0);
		count = options_config_parse(&source, configs[i].text,
					     strlen(configs[i].text), &options);
		assert_string_equal(mistakes, configs[i].mistakes);
		for (char *at = mistakes; (at = strchr(at, '\n')); at++)
			count--;
		assert_int_equal(count, 0);
		assert_string_equal(value_of(configs[i].name, &options),
				    configs[i].value);
		options_fini(&table, &options);
	}
}

static void refuses_a_zero_byte_in_a_file(void **state)
{
	static const char bytes[] = "workers = 2\0003\nworkers = 4\n";
	char mistakes[MISTAKES_SIZE] = "";
	struct option_source source = {&table, "c", sentence_join, mistakes};
	struct options options;

	(void)state;
	assert_int_equal(options_init(&table, &options), 0);
	assert_int_equal(options_config_parse(&source, bytes, sizeof bytes - 1,
					      &options),
			 1);
	assert_string_equal(mistakes, "c:1: a zero byte: this is not a text\n");
	assert_int_equal(options.shared.workers, 4);
	options_fini(&table, &options);
}

static void tells_what_keeps_a_file_from_being_read(void **state)
{
	struct option_source source = {&table, "/nowhere/sonde.conf",
				       sentence_join, NULL};
	struct options options;

	(void)state;
	assert_int_equal(options_init(&table, &options), 0);
	assert_int_equal(options_config_read(&source, &options), -ENOENT);
	source.name = "/";
	assert_int_equal(options_config_read(&source, &options), -EISDIR);
	source.name = "/dev/zero";
	assert_int_equal(options_config_read(&source, &options), -EFBIG);
	options_fini(&table, &options);
}

/* What a print function writes, as a text to be freed. */
static char *printed(void (*print)(const struct option_table *table, FILE *to))
{
	static char *text; /* stdio keeps its address */
	static size_t size;
	FILE *to = open_memstream(&text, &size);

	assert_non_null(to);
	print(&table, to);
	fclose(to);
	return text;
}

static void prints_every_row_with_its_range_and_preset(void **state)
{
	char *help = printed(options_help_print);

	(void)state;
	assert_string_equal(
		help,
		"\n"
		"Capture:\n"
		"      --ring-size SIZE        memory shared with the kernel "
		"(64M to 2G; default\n"
		"                              256M)\n"
		"  -w, --workers COUNT         threads that meter (1 to 64; "
		"default 1)\n"
		"  -p, --promiscuous           take in frames for other hosts "
		"too\n"
		"\n"
		"Others:\n"
		"      --idle-timeout DURATION\n"
		"                              a silent flow ends after this "
		"long (30s to 1h;\n"
		"                              default 5m)\n"
		"  -f, --format WORD           how records are written (table, "
		"json, csv;\n"
		"                              default table)\n"
		"      --no-tui                without the screen on a "
		"terminal\n"
		"      --filter EXPRESSION     what to take in\n"
		"      --database FILE         where records are kept (default "
		"/var/lib/x.db)\n"
		"  -i, --interface NAME,...    interfaces to capture on "
		"(default any)\n"
		"  -h, --help                  this text\n");
	free(help);
}

static void writes_roff_without_bare_dashes(void **state)
{
	char *man = printed(options_man_print);

	(void)state;
	assert_non_null(strstr(man, ".TP\n\\fB\\-i\\fR, \\fB\\-\\-interface"
				    "\\fR \\fINAME,...\\fR\n"));
	assert_non_null(strstr(man, "\\fBkeep\\-age\\fR \\fIDURATION\\fR\n"));
	for (char *at = strchr(man, '-'); at; at = strchr(at + 1, '-'))
		assert_int_equal(at[-1], '\\');
	free(man);
}

/* "#key = value" of the printed file, uncommented, is the preset again. */
static void a_printed_configuration_is_the_presets(void **state)
{
	char *text = printed(options_config_print);
	char mistakes[MISTAKES_SIZE] = "";
	struct option_source source = {&table, "c", sentence_join, mistakes};
	struct options options, presets;

	(void)state;
	for (char *at = text; (at = strstr(at, "\n#")); at++) {
		if (at[2] != ' ' && at[2] != '#')
			at[1] = ' ';
	}
	assert_null(strstr(text, "help ="));
	assert_non_null(strstr(text, " ring_size = 256M\n"));
	assert_non_null(strstr(text, " interface = any\n"));
	assert_int_equal(options_init(&table, &options), 0);
	assert_int_equal(options_init(&table, &presets), 0);
	memset(&options.shared, 1, sizeof options.shared);
	options_config_parse(&source, text, strlen(text), &options);
	assert_string_equal(mistakes, "");
	for (size_t i = 0; i < COUNT(own_rows) + COUNT(shared_rows); i++) {
		const struct option_row *row =
			i < COUNT(own_rows) ? &own_rows[i]
					    : &shared_rows[i - COUNT(own_rows)];
		char is[128];

		snprintf(is, sizeof is, "%s", value_of(row->name, &options));
		assert_string_equal(is, value_of(row->name, &presets));
	}
	options_fini(&table, &presets);
	options_fini(&table, &options);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_a_value_or_refuses_and_says_why),
		cmocka_unit_test(reads_every_form_of_a_command_line),
		cmocka_unit_test(names_line_and_key_of_every_mistake),
		cmocka_unit_test(refuses_a_zero_byte_in_a_file),
		cmocka_unit_test(tells_what_keeps_a_file_from_being_read),
		cmocka_unit_test(prints_every_row_with_its_range_and_preset),
		cmocka_unit_test(writes_roff_without_bare_dashes),
		cmocka_unit_test(a_printed_configuration_is_the_presets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
