/* sonde VERB ...: the table of verbs. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_private.h"

static const struct verb *const verbs[] = {
	&flows_verb,   &run_verb,    &watch_verb, &rtt_verb,
	&reflect_verb, &doctor_verb, &help_verb,  &man_verb,
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

/* A database or a socket that is opened as 0, 1 or 2 must not be read or
 * written as a standard stream.  Each one that is closed becomes one that
 * fails: input that cannot be read, output that cannot be written. */
static void streams_hold(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null",
				   fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
	}
}

/* What was printed is not done before it is written. */
static int output_end(int exit_code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return exit_code;
	if (errno == EPIPE || exit_code != EXIT_DONE) /* told, or unwanted */
		return exit_code;
	fprintf(stderr, "sonde: standard output: %s\n", err_sentence(-errno));
	return EXIT_PARTIAL;
}

int main(int argc, char **argv)
{
	const struct verb *verb;
	const char *name;

	/* No thread runs yet.  NOLINTNEXTLINE(concurrency-mt-unsafe) */
	setlocale(LC_CTYPE, "");
	streams_hold();
	if (argc < 2) {
		program_help_print(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("sonde %s\n", SONDE_VERSION);
		return output_end(EXIT_DONE);
	}
	name = verb_name(argv[1]);
	verb = verb_find(name);
	if (!verb)
		return verb_unknown(name);
	return output_end(verb->main(verb, argc - 1, argv + 1));
}
