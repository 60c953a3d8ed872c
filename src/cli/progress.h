/* How far a long file has been read, in place on a terminal.
 *
 * Threads: the process's first. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>

#include "base/stamp.h"
#include "engine/engine.h"

struct progress {
	bool wanted; /* stderr is a terminal, and so on */
	bool shown;  /* a line stands there now */
	struct mono started, drawn;
	uint64_t frames; /* when it was drawn last */
};

/* Begins; with 'wanted' false nothing is ever drawn. */
void progress_begin(struct progress *progress, bool wanted);

/* Draws at most twice a second, and not in the first one. */
void progress_step(struct progress *progress, struct engine *engine);

/* Removes the line, so that others can write. */
void progress_clear(struct progress *progress);

#endif
