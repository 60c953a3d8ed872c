/* The clock of the packets, and where it was set back. */
#include "engine/engine_private.h"

void timeline_source(struct timeline *timeline, const struct source *source)
{
	if (timeline->source && timeline->source != source && !source->live)
		timeline->step_ns = FILE_STEP_NS;
	timeline->source = source;
}

size_t timeline_part(struct timeline *timeline, const struct packet *packets,
		     size_t count, bool *ret_rewind)
{
	size_t i = 1;

	*ret_rewind = count > 0 && timeline_take(timeline, packets[0].at);
	while (i < count && wall_ns_between(packets[i].at, timeline->newest) <=
				    timeline->step_ns)
		(void)timeline_take(timeline, packets[i++].at);
	return i < count ? i : count;
}
