/* Records to the caller, and requests from it. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/engine_private.h"

/* Records a worker a call: calls end, and room comes back soon. */
#define COLLECT_MAX 512

void record_finish(const struct engine *engine, struct flow_record *record)
{
	const char *interface =
		engine_interface(engine, record->tuple.interface);

	if (engine->options.nameless)
		flow_record_place(record, interface);
	else
		flow_record_finish(record, interface);
}

static int worker_collect(struct engine *engine, struct worker *worker)
{
	uint32_t fill = worker->table ? ring_fill(&worker->records) : 0;

	if (fill > COLLECT_MAX)
		fill = COLLECT_MAX;
	for (uint32_t i = 0; i < fill; i++) {
		struct flow_record *record = ring_item(&worker->records, i);

		if (!record->community_id[0]) /* nor has the worker */
			record_finish(engine, record);
		engine->options.record(engine->options.context, record);
		if (record->end_reason != FLOW_END_NONE)
			atomic_fetch_add_explicit(&engine->records_out, 1,
						  memory_order_relaxed);
	}
	ring_consume(&worker->records, fill);
	return (int)fill;
}

static int all_collect(struct engine *engine)
{
	int count = 0;

	for (size_t i = 0; i < engine->worker_count; i++)
		count += worker_collect(engine, &engine->workers[i]);
	return count;
}

static bool workers_ended(const struct engine *engine)
{
	for (size_t i = 0; i < engine->worker_count; i++) {
		if (!atomic_load(&engine->workers[i].ended))
			return false;
	}
	return true;
}

int engine_collect(struct engine *engine, int timeout_ms)
{
	struct pollfd wait = {.fd = engine->collect_fd, .events = POLLIN};
	bool ended = workers_ended(engine); /* before the last look */
	int count = all_collect(engine);
	uint64_t drained;

	if (count > 0 || ended)
		return count > 0 ? count : ERR_END;
	atomic_store(&engine->collect_waits, true);
	count = all_collect(engine);
	if (count == 0 && !workers_ended(engine) &&
	    poll(&wait, 1, timeout_ms) > 0)
		(void)!read(engine->collect_fd, &drained, sizeof drained);
	atomic_store(&engine->collect_waits, false);
	return count > 0 ? count : all_collect(engine);
}

bool engine_updating(const struct engine *engine)
{
	uint64_t asked = atomic_load(&engine->update_generation);

	for (size_t i = 0; i < engine->worker_count; i++) {
		if (atomic_load(&engine->workers[i].update_done) != asked)
			return true;
	}
	return false;
}

bool engine_update(struct engine *engine, struct wall since)
{
	if (engine_updating(engine)) {
		atomic_fetch_add(&engine->updates_late, 1);
		return false;
	}
	atomic_store(&engine->update_since, since.ns);
	atomic_fetch_add(&engine->update_generation, 1);
	for (size_t i = 0; i < engine->worker_count; i++)
		engine_wake(engine->workers[i].wake_fd);
	return true;
}

/* The worker looks itself while its thread runs, and we do otherwise. */
static bool worker_lookup(struct worker *worker, struct lookup *lookup)
{
	struct timespec pause = {0, 20000};

	if (!worker->started || atomic_load(&worker->ended))
		return worker_find(worker, lookup);
	atomic_store(&worker->lookup, lookup);
	engine_wake(worker->wake_fd);
	while (atomic_load(&worker->lookup)) {
		if (atomic_load(&worker->ended) &&
		    atomic_exchange(&worker->lookup, NULL))
			return worker_find(worker, lookup);
		nanosleep(&pause, NULL);
	}
	return lookup->found;
}

bool engine_lookup(struct engine *engine, const struct packet_tuple *tuple,
		   struct flow_record *ret_record)
{
	struct lookup lookup = {.tuple = *tuple};
	bool found = false;

	pthread_mutex_lock(&engine->lookup_lock);
	for (size_t i = 0; i < engine->worker_count && !found; i++)
		found = worker_lookup(&engine->workers[i], &lookup);
	pthread_mutex_unlock(&engine->lookup_lock);
	if (!found)
		return false;
	flow_record_finish(
		&lookup.record,
		engine_interface(engine, lookup.record.tuple.interface));
	*ret_record = lookup.record;
	return true;
}

void engine_visit(struct engine *engine,
		  void (*visit)(void *context,
				const struct flow_record *record),
		  void *context)
{
	struct wall always = {INT64_MIN};

	if (!workers_ended(engine))
		return;
	for (size_t i = 0; i < engine->worker_count; i++) {
		struct flow_table *table = engine->workers[i].table;
		uint64_t cursor = 0;

		while (table && flow_table_visit(table, &cursor, 65536, always,
						 visit, context))
			;
	}
}
