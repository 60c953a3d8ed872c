/* sonde man: the manual page in roff, made from the tables of verbs and
 * options; the build writes it to sonde.1. */
#include <string.h>

#include "capture/capture.h"
#include "cli/cli_private.h"

/* 'size' bytes of text in roff. */
static void roff_print(FILE *to, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		bool first = i == 0 || text[i - 1] == '\n';

		if (first && (text[i] == '.' || text[i] == '\''))
			fputs("\\&", to);
		if (text[i] == '-' || text[i] == '\\')
			fputc('\\', to);
		fputc(text[i] == '\\' ? 'e' : text[i], to);
	}
}

/* One line of 'text' with a request before it; returns what follows. */
static const char *line_print(FILE *to, const char *request, const char *text)
{
	size_t size = strcspn(text, "\n");

	fputs(request, to);
	roff_print(to, text, size);
	fputc('\n', to);
	return text + size + (text[size] == '\n');
}

static void synopsis_print(const struct verb *verb, FILE *to)
{
	const char *at = verb->synopsis;

	while (*at) {
		fprintf(to, ".br\n.B sonde %s\n", verb->name);
		at = line_print(to, "", at);
	}
}

static void verb_print(const struct verb *verb, FILE *to)
{
	const char *at = verb->about;

	fprintf(to, ".SS sonde %s\n.PP\n", verb->name);
	while (*at)
		at = line_print(to, "", at);
	if (verb->options)
		options_man_print(verb->options, to);
}

static void examples_print(FILE *to)
{
	const struct verb *verb;

	fputs(".SH EXAMPLES\n.nf\n", to);
	for (size_t i = 0; (verb = verb_at(i)); i++) {
		if (verb->examples)
			roff_print(to, verb->examples, strlen(verb->examples));
	}
	fputs(".fi\n", to);
}

static void backends_print(FILE *to)
{
	const struct capture_backend *backend;

	fputs(".SH BACKENDS\n", to);
	for (size_t i = 0; (backend = capture_backend_at(i)); i++) {
		fprintf(to, ".TP\n.B %s\n", backend->name);
		line_print(to, "", backend->line);
	}
}

static const char head[] =
	".TH SONDE 1 \"\" \"sonde " SONDE_VERSION "\" \"User Commands\"\n"
	".SH NAME\n"
	"sonde \\- capture traffic, meter it to flows, keep and show them\n"
	".SH SYNOPSIS\n";

static const char tail[] =
	".SH EXIT STATUS\n"
	".TP\n.B 0\nDone; also after SIGINT, when everything captured was\n"
	"metered and written.\n"
	".TP\n.B 1\nsonde doctor: the main job cannot run on this machine.\n"
	".TP\n.B 2\nA mistake on the command line or in the configuration,\n"
	"or something could not be opened; nothing was created.\n"
	".TP\n.B 3\nA part could not be read or written; what was readable is\n"
	"done and each fault named on standard error.\n"
	".SH FILES\n"
	".TP\n.I /etc/sonde/sonde.conf\nThe configuration of \\fBsonde\n"
	"run\\fR: \\fIkey\\fR = \\fIvalue\\fR lines, # comments; keys are\n"
	"the long options, with underscores or dashes.  Every key is\n"
	"optional; the command line goes before it.\n"
	".TP\n.I /var/lib/sonde/sonde.db\nThe database (SQLite).\n";

static int man_main(const struct verb *self, int argc, char **argv)
{
	const struct verb *verb;

	(void)self;
	(void)argc;
	(void)argv;
	fputs(head, stdout);
	for (size_t i = 0; (verb = verb_at(i)); i++) {
		if (!verb->hidden)
			synopsis_print(verb, stdout);
	}
	fputs(".SH VERBS\n", stdout);
	for (size_t i = 0; (verb = verb_at(i)); i++) {
		if (!verb->hidden)
			verb_print(verb, stdout);
	}
	backends_print(stdout);
	fputs(tail, stdout);
	examples_print(stdout);
	return ferror(stdout) ? EXIT_PARTIAL : EXIT_DONE;
}

const struct verb man_verb = {
	.name = "man",
	.main = man_main,
	.synopsis = "",
	.line = "print the manual page in roff",
	.about = "Prints the manual page in roff.",
	.hidden = true,
};
