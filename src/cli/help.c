/* What --help prints, and what is said of a command line that is not. */
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli_private.h"

const struct option_row common_rows[COMMON_ROWS_COUNT] = {
	{.name = "help",
	 .letter = 'h',
	 .where = OPTION_LINE,
	 .type = OPTION_BOOL,
	 .offset = offsetof(struct common_options, help),
	 .help = "print this text"},
};

int usage_fail(const char *format, ...)
{
	va_list arguments;

	fputs("sonde: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return EXIT_USAGE;
}

int verb_unknown(const char *name)
{
	const struct verb *nearest = NULL, *verb;
	unsigned int least = UINT32_MAX;

	if (name[0] == '-')
		return usage_fail("%s: no such option before a verb; see "
				  "'sonde --help'",
				  name);
	for (size_t i = 0; (verb = verb_at(i)); i++) {
		unsigned int distance = text_distance(name, verb->name);

		if (verb->hidden || distance >= least ||
		    !text_near(name, verb->name))
			continue;
		least = distance;
		nearest = verb;
	}
	if (nearest)
		return usage_fail("no verb '%s'; did you mean 'sonde %s'?",
				  name, nearest->name);
	return usage_fail("no verb '%s'; 'sonde --help' lists them", name);
}

void program_help_print(FILE *to)
{
	const struct verb *verb;

	fprintf(to, "usage: sonde VERB [OPTION...] [ARGUMENT...]\n"
		    "\n"
		    "sonde captures traffic, meters it to bidirectional "
		    "flows, keeps and shows them.\n"
		    "\n"
		    "Verbs:\n");
	for (size_t i = 0; (verb = verb_at(i)); i++) {
		if (!verb->hidden)
			fprintf(to, "  %-10s %s\n", verb->name, verb->line);
	}
	fprintf(to, "\n"
		    "  -h, --help     print this text\n"
		    "  -V, --version  print the version\n"
		    "\n"
		    "'sonde VERB --help' explains a verb.\n");
}

void verb_help_print(const struct verb *verb, FILE *to)
{
	const char *lead = "usage:";
	const char *at = verb->synopsis;

	while (*at) {
		size_t size = strcspn(at, "\n");

		fprintf(to, "%-6s sonde %s %.*s\n", lead, verb->name, (int)size,
			at);
		lead = "";
		at += size + (at[size] == '\n');
	}
	fprintf(to, "\n%s\n", verb->about);
	if (verb->options)
		options_help_print(verb->options, to);
	if (verb->examples)
		fprintf(to, "\nExamples:\n%s", verb->examples);
}

/* Every verb's table ends with the common group. */
static const struct common_options *common_of(const struct verb *verb,
					      const void *options)
{
	const struct option_table *table = verb->options;

	return (const struct common_options *)((const char *)options +
					       table->groups[table->count - 1]
						       .base);
}

int verb_line_parse(const struct verb *verb, int argc, char **argv,
		    void *options, struct option_line *line)
{
	int rc = options_line_parse(verb->options, argc, argv, options, line);

	if (rc < 0)
		return usage_fail("%s", line->fault.text);
	if (!common_of(verb, options)->help)
		return -1;
	verb_help_print(verb, stdout);
	return EXIT_DONE;
}

static int help_main(const struct verb *verb, int argc, char **argv)
{
	const struct verb *about = argc > 1 ? verb_find(argv[1]) : NULL;

	(void)verb;
	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		about = &help_verb;
	if (argc > 1 && !about)
		return verb_unknown(argv[1]);
	if (about)
		verb_help_print(about, stdout);
	else
		program_help_print(stdout);
	return EXIT_DONE;
}

const struct verb help_verb = {
	.name = "help",
	.main = help_main,
	.synopsis = "[VERB]",
	.line = "explain a verb",
	.about = "Prints what 'sonde VERB --help' prints, or the list of "
		 "verbs.",
};
