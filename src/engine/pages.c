/* The thread that touches pages before a file's flows need them: see
 * flow_table_populate().  It lies still but for the start and when a table has
 * grown. */
#include <sched.h>
#include <unistd.h>

#include "engine/engine_private.h"

/* Returns whether there was something to do. */
static bool tables_populate(struct engine *engine)
{
	bool more = false;

	for (size_t i = 0; i < engine->worker_count; i++)
		more |= flow_table_populate(engine->workers[i].table);
	return more;
}

static void *pages_main(void *argument)
{
	struct engine *engine = argument;
	uint64_t drained;

	while (!atomic_load(&engine->pages_end)) {
		if (!tables_populate(engine))
			(void)!read(engine->pages_fd, &drained, sizeof drained);
	}
	return NULL;
}

static bool core_spare(const struct engine *engine)
{
	cpu_set_t cores;

	return sched_getaffinity(0, sizeof cores, &cores) == 0 &&
	       (size_t)CPU_COUNT(&cores) > engine->worker_count;
}

void pages_start(struct engine *engine)
{
	if (engine->feeds[0].live || !engine->options.meter ||
	    !core_spare(engine))
		return;
	engine->pages_started = pthread_create(&engine->pages_thread, NULL,
					       pages_main, engine) == 0;
}

void pages_stop(struct engine *engine)
{
	if (!engine->pages_started)
		return;
	atomic_store(&engine->pages_end, true);
	engine_wake(engine->pages_fd);
	pthread_join(engine->pages_thread, NULL);
	engine->pages_started = false;
}
