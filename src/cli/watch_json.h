/* What the files of the JSON lines share.
 *
 * Threads: the process's first.
 */
#ifndef CLI_WATCH_JSON_H
#define CLI_WATCH_JSON_H

#include <stdlib.h>

#include "cli/watch_private.h"

void json_traffic(struct put *put, const struct kernel_traffic *traffic);
void json_container(struct put *put, const char *name,
		    const struct watch_container *container);
void json_clocks(struct put *put, const struct watch_clocks *clocks);
void json_hook(struct put *put, const struct kernel_hook *hook);

/* "srtt_us", "cwnd_segments": the name, and its unit where it lacks it. */
const char *json_field_name(const struct kernel_field *field);

#endif
