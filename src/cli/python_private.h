/* Programs of ours in Python, and what an application in Python adds to a
 * round trip. */
#ifndef CLI_PYTHON_PRIVATE_H
#define CLI_PYTHON_PRIVATE_H

#include <sys/types.h>

#include "cli/probe_private.h"

/* A module of the package sonde_rtt that runs beside us. */
struct python_child {
	pid_t pid;
	int in, out; /* its standard input and output; -1: closed */
	char *bytes; /* of a line that is not whole yet */
	size_t size, room;
};

#define PYTHON_ARGUMENTS_MAX 48
#define PYTHON_TEXT_MAX      288

/* A command line in the making. */
struct python_line {
	char texts[PYTHON_ARGUMENTS_MAX][PYTHON_TEXT_MAX];
	size_t count;
};

/* Adds "--name=value", or one without a value. */
void python_line_add(struct python_line *line, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Starts it, gives it the key (as its --key-file -) and waits until it is
 * ready.  Returns 0, or a negative code with a fault that says what to do;
 * what the child itself has to say is on stderr by then. */
int python_child_start(const char *module, struct python_line *line,
		       const struct key *key, struct python_child *ret_child,
		       struct fault *ret_fault);
int python_child_write(struct python_child *child, const char *text);
/* Calls 'take' for each line that is there, the newline cut off.  Does not
 * block.  False: that was all, it has ended. */
bool python_child_lines(struct python_child *child,
			void (*take)(void *context, const char *line),
			void *context);
/* False: it has ended by itself. */
bool python_child_runs(struct python_child *child);
/* Ends it, and waits for that.  Its exit code, or -1. */
int python_child_stop(struct python_child *child);

/* rtt_tax.c: two sides of a run, the same slots in turn. */
enum tax_side { TAX_C, TAX_PYTHON, TAX_SIDE_COUNT };

#define TAX_PAIRS_MAX 65536 /* of a longer run the last ones count */

struct tax;

/* NULL: no memory. */
struct tax *tax_create(void);
void tax_destroy(struct tax *tax);
/* One segment of the trip 'seq' of a side.  False: no memory. */
bool tax_add(struct tax *tax, enum tax_side side, uint32_t seq,
	     const char *name, int64_t ns);
/* What runs in Python on the side TAX_PYTHON. */
struct tax_title {
	bool sender, reflector;
	point_set points; /* of the C side, for the order of segments */
};
void tax_print(const struct tax *tax, const struct tax_title *title, FILE *to);
void tax_json(const struct tax *tax, const struct tax_title *title, FILE *to);

/* rtt_python.c: 'path' is what the C side would be alone; 'python_port' of
 * the reflector in Python.  An exit code. */
struct rtt_python {
	const struct rtt_options *options;
	struct path_options path;
	const struct sockaddr_storage *remote;
	const struct key *key;
};
/* -1 to go on, or the exit code of options that do not go together. */
int rtt_python_check(const struct rtt_options *options);
int rtt_python_run(const struct rtt_python *run);

#endif
