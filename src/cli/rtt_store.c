/* 'sonde rtt --store': keeps packets and histograms as they come. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/rtt_private.h"
#include "store/store.h"

#define PERIOD_NS   (60 * NS_PER_S) /* of the histograms */
#define COMMIT_NS   (NS_PER_S / 2)
#define TRIPS_WAIT  65536
#define LAYERS_KEPT 4

struct rtt_store {
	struct store *store;
	const struct rtt_result *result;
	char *path;
	struct mono committed;
	bool failing;

	/* Of this period. */
	struct wall from, to;
	struct hist *layers[LAYERS_KEPT]; /* rtt, then the three layers */
	struct hist *segments[SEGMENT_MAX];
	struct segment names[SEGMENT_MAX];
	point_set points;
	size_t segment_count;
};

static const char *const layer_names[LAYERS_KEPT] = {"rtt", "socket", "kernel",
						     "wire"};

static bool hists_make(struct rtt_store *store)
{
	bool made = true;

	for (int i = 0; i < LAYERS_KEPT; i++)
		made &= (store->layers[i] = hist_create()) != NULL;
	for (int i = 0; i < SEGMENT_MAX; i++)
		made &= (store->segments[i] = hist_create()) != NULL;
	return made;
}

static void rtt_store_free(struct rtt_store *store)
{
	for (int i = 0; i < LAYERS_KEPT; i++)
		hist_destroy(store->layers[i]);
	for (int i = 0; i < SEGMENT_MAX; i++)
		hist_destroy(store->segments[i]);
	store_close(store->store);
	free(store->path);
	free(store);
}

static char *options_json(const struct rtt_options *options)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	fprintf(to,
		"{\"poisson\":%s,\"sleep\":%s,\"echo\":%s,\"interleave\":%s,"
		"\"dscp\":%lld,\"ttl\":%lld,\"timeout_ns\":%lld}",
		options->poisson ? "true" : "false",
		options->sleep ? "true" : "false",
		options->echo ? "true" : "false",
		options->interleave ? "true" : "false",
		(long long)options->dscp, (long long)options->ttl,
		(long long)options->timeout_ns);
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

static char *summary_json(const struct rtt_result *result)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	rtt_summary_json(result, to);
	fputs("}", to);
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

static void run_tell(struct rtt_store *store)
{
	const struct rtt_result *result = store->result;
	char *options = options_json(result->options);
	char *summary = result->ended ? summary_json(result) : NULL;
	struct store_rtt_run run = {
		.started = result->started,
		.ended = {result->ended ? wall_now().ns : 0},
		.host = result->host,
		.address = result->address,
		.options = options,
		.summary = summary,
		.tier = result->tier,
		.points = result->points,
		.rate_hz = result->rate_hz,
		.size = (uint32_t)result->size,
	};

	(void)store_rtt_run(store->store, &run);
	free(options);
	free(summary);
}

int rtt_store_open(const char *path, const struct rtt_result *result,
		   struct rtt_store **ret_store)
{
	struct rtt_store *store = calloc(1, sizeof *store);
	struct store_options options = {
		.path = path,
		.version = SONDE_VERSION,
		.epoch = (uint64_t)result->started.ns,
		.pending_count = 16,
		.trip_count = TRIPS_WAIT,
	};
	struct fault fault;
	char host[256] = "";

	if (!store)
		return usage_fail("store: out of memory");
	(void)gethostname(host, sizeof host - 1);
	options.probe = host;
	store->result = result;
	store->committed = mono_now();
	store->path = strdup(path);
	if (!store->path || !hists_make(store)) {
		rtt_store_free(store);
		return usage_fail("store: out of memory");
	}
	if (store_open(&options, &store->store, &fault) < 0) {
		rtt_store_free(store);
		return usage_fail("store: %s", fault.text);
	}
	run_tell(store);
	*ret_store = store;
	return -1;
}

static void period_begin(struct rtt_store *store, struct wall from)
{
	store->from = store->to = from;
	store->points = store->result->points;
	store->segment_count = trip_segments(store->points, store->names);
	for (int i = 0; i < LAYERS_KEPT; i++)
		hist_clear(store->layers[i]);
	for (size_t i = 0; i < store->segment_count; i++)
		hist_clear(store->segments[i]);
}

static void hists_add(struct rtt_store *store, const struct trip *trip)
{
	const struct rtt_result *result = store->result;
	int64_t ns;

	if (trip->flags & (TRIP_LOST | TRIP_VOID))
		return;
	if (trip_rtt_ns(trip, &ns))
		hist_add(store->layers[0], ns);
	for (int layer = 0; layer < LAYER_COUNT; layer++) {
		if (trip_layer_ns(trip, (enum layer)layer, &ns))
			hist_add(store->layers[1 + layer], ns);
	}
	for (size_t i = 0; i < store->segment_count; i++) {
		if ((!store->names[i].crosses || result->reading_known) &&
		    trip_segment_ns(trip, &store->names[i],
				    result->reading.best_ns, &ns))
			hist_add(store->segments[i], ns);
	}
}

void rtt_store_trip(struct rtt_store *store, const struct trip *trip)
{
	struct wall at = {trip->at_ns[LEG_FORWARD][POINT_SEND]};

	(void)store_rtt_trip(store->store, trip);
	if (trip->flags & (TRIP_SKIPPED | TRIP_FAILED))
		return;
	if (store->from.ns == 0 || store->points != store->result->points) {
		run_tell(store);
		period_begin(store, at);
	}
	if (at.ns >= store->to.ns)
		store->to.ns = at.ns + 1;
	hists_add(store, trip);
}

static void hists_keep(struct rtt_store *store)
{
	for (int i = 0; i < LAYERS_KEPT; i++) {
		if (hist_count(store->layers[i]) > 0)
			(void)store_rtt_hist(store->store, store->from,
					     store->to, layer_names[i],
					     store->layers[i]);
	}
	for (size_t i = 0; i < store->segment_count; i++) {
		if (hist_count(store->segments[i]) > 0)
			(void)store_rtt_hist(store->store, store->from,
					     store->to, store->names[i].name,
					     store->segments[i]);
	}
}

/* Once a fault, and once its end. */
static bool commit(struct rtt_store *store)
{
	struct fault fault;
	int rc;

	hists_keep(store);
	rc = store_commit(store->store, &fault);
	if (rc < 0 && !store->failing)
		fprintf(stderr,
			"sonde: rtt: %s; packets wait in memory meanwhile\n",
			fault.text);
	if (rc == 0 && store->failing)
		fprintf(stderr, "sonde: rtt: %s: stored again\n", store->path);
	store->failing = rc < 0;
	/* A period that the disk refused goes on until it takes it. */
	if (rc == 0 && store->to.ns - store->from.ns >= PERIOD_NS)
		period_begin(store, store->to);
	return rc == 0;
}

void rtt_store_tick(struct rtt_store *store)
{
	struct mono now = mono_now();

	if (mono_ns_between(store->committed, now) < COMMIT_NS)
		return;
	store->committed = now;
	(void)commit(store);
}

bool rtt_store_close(struct rtt_store *store)
{
	struct store_counters counters;
	bool kept;

	run_tell(store);
	kept = commit(store);
	counters = store_counters(store->store);
	if (!kept || counters.lost > 0)
		fprintf(stderr,
			"sonde: rtt: %s: %" PRIu64 " of %" PRIu64
			" packets are not kept\n",
			store->path, (counters.lost + counters.pending),
			counters.given);
	else if (!store->result->options->json)
		printf("\nKept as run %lld in %s.\n",
		       (long long)store_rtt_id(store->store), store->path);
	rtt_store_free(store);
	return kept && counters.lost == 0;
}
