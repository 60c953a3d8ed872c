/* sonde VERB ...: the table of verbs. */
#include <locale.h>
#include <string.h>

#include "cli/cli_private.h"

static const struct verb *const verbs[] = {
	&flows_verb, &run_verb, &doctor_verb, &help_verb, &man_verb,
};

#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

const struct verb *verb_at(size_t index)
{
	return index < VERB_COUNT ? verbs[index] : NULL;
}

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	}
	return NULL;
}

/* The options that stand before a verb are verbs of their own. */
static const char *verb_name(const char *word)
{
	static const char *const helps[] = {"-h", "--help", "-?"};

	for (size_t i = 0; i < sizeof helps / sizeof helps[0]; i++) {
		if (strcmp(word, helps[i]) == 0)
			return help_verb.name;
	}
	return word;
}

int main(int argc, char **argv)
{
	const struct verb *verb;
	const char *name;

	setlocale(LC_CTYPE, ""); /* NOLINT(concurrency-mt-unsafe) */
	if (argc < 2) {
		program_help_print(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("sonde %s\n", SONDE_VERSION);
		return EXIT_DONE;
	}
	name = verb_name(argv[1]);
	verb = verb_find(name);
	if (!verb)
		return verb_unknown(name);
	return verb->main(verb, argc - 1, argv + 1);
}
