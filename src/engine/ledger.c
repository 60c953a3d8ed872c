/* Sums over all threads, and whether they add up. */
#include <inttypes.h>
#include <string.h>

#include "engine/engine_private.h"

const struct counter_row engine_counter_rows[] = {ENGINE_COUNTERS(COUNTER_ROW)};
const size_t engine_counter_count =
	sizeof engine_counter_rows / sizeof engine_counter_rows[0];

static void feed_add(struct feed *feed, struct engine_ledger *ledger)
{
	pthread_mutex_lock(&feed->lock);
	counters_add((uint64_t *)&ledger->capture,
		     (const uint64_t *)&feed->published.capture,
		     capture_counter_count);
	counters_add((uint64_t *)&ledger->engine,
		     (const uint64_t *)&feed->published.engine,
		     engine_counter_count);
	counters_add(ledger->verdicts, feed->published.verdicts, VERDICT_COUNT);
	pthread_mutex_unlock(&feed->lock);
}

static void worker_add(struct worker *worker, struct engine_ledger *ledger)
{
	pthread_mutex_lock(&worker->lock);
	counters_add((uint64_t *)&ledger->flow,
		     (const uint64_t *)&worker->published, flow_counter_count);
	ledger->live += worker->published_live;
	ledger->engine.records_lost += worker->published_lost;
	ledger->engine.updates += worker->published_updates;
	pthread_mutex_unlock(&worker->lock);
}

void engine_ledger(struct engine *engine, struct engine_ledger *ret_ledger)
{
	*ret_ledger = (struct engine_ledger){0};
	for (size_t i = 0; i < engine->feed_count; i++)
		feed_add(&engine->feeds[i], ret_ledger);
	for (size_t i = 0; i < engine->worker_count; i++)
		worker_add(&engine->workers[i], ret_ledger);
	ret_ledger->engine.records = atomic_load(&engine->records_out);
	ret_ledger->engine.updates_late = atomic_load(&engine->updates_late);
}

static uint64_t verdicts_sum(const struct engine_ledger *ledger)
{
	uint64_t sum = 0;

	for (int i = 0; i < VERDICT_COUNT; i++)
		sum += ledger->verdicts[i];
	return sum;
}

static uint64_t ended_sum(const struct flow_counters *flow)
{
	return flow->ended_idle + flow->ended_active + flow->ended_detected +
	       flow->ended_forced + flow->ended_resources;
}

bool engine_ledger_sound(const struct engine_ledger *ledger,
			 struct fault *ret_fault)
{
	const struct flow_counters *flow = &ledger->flow;
	const struct {
		const char *left, *right;
		uint64_t is, should;
	} sums[] = {
		{"frames received by the captures", "frames taken from them",
		 ledger->capture.received, ledger->engine.frames},
		{"frames taken from the captures", "selected and not selected",
		 ledger->engine.frames,
		 ledger->engine.selected + ledger->engine.not_selected},
		{"frames selected", "decoded and every verdict",
		 ledger->engine.selected, verdicts_sum(ledger)},
		{"packets decoded", "metered, refused and not selected",
		 ledger->engine.decoded,
		 flow->metered + flow->refused_full + flow->not_selected},
		{"flows created", "live and every end reason", flow->created,
		 ledger->live + ended_sum(flow)},
		{"flows ended", "records handed out and lost", ended_sum(flow),
		 ledger->engine.records + ledger->engine.records_lost},
	};

	for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
		if (sums[i].is == sums[i].should)
			continue;
		fault_set(ret_fault, 0, "%s: %" PRIu64 ", but %s: %" PRIu64,
			  sums[i].left, sums[i].is, sums[i].right,
			  sums[i].should);
		return false;
	}
	return true;
}
