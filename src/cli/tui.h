/* The live screen of 'sonde run'.
 *
 * Threads: the process's first, all calls.
 */
#ifndef CLI_TUI_H
#define CLI_TUI_H

#include <stdbool.h>

#include "cli/status.h"
#include "cli/top.h"

struct tui;

/* Takes the terminal.  NULL: there is none, or none that can show it. */
struct tui *tui_open(void);

/* Gives the terminal back as it was; NULL is fine. */
void tui_close(struct tui *tui);

/* Takes what there is to show now and draws it. */
void tui_update(struct tui *tui, const struct status *status,
		const struct top *top);

/* Reacts to keys and to a new size; never waits.  False: the user quits. */
bool tui_keys(struct tui *tui, const struct status *status,
	      const struct top *top);

#endif
