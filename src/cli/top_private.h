/* The members of struct top, for top.c and top_select.c.
 *
 * Threads: one. */
#ifndef CLI_TOP_PRIVATE_H
#define CLI_TOP_PRIVATE_H

#include "cli/top.h"

struct top {
	struct top_flow *flows; /* dense: 'count' of 'capacity' */
	uint32_t *index;        /* slot + 1 by hash, 0: empty */
	uint32_t mask;          /* places of the index - 1 */
	uint32_t capacity, count;
	uint64_t untracked;
	struct top_totals totals;
};

#endif
