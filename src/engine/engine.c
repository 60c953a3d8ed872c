/* Making, starting and ending the pipeline. */
#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/engine_private.h"

void engine_wake(int fd)
{
	uint64_t one = 1;

	(void)!write(fd, &one, sizeof one);
}

void engine_fault_add(struct engine *engine, const char *sentence)
{
	uint32_t count;

	pthread_mutex_lock(&engine->faults_lock);
	count = atomic_load(&engine->fault_count);
	if (count < FAULTS_MAX) {
		fault_set(&engine->faults[count], 0, "%s", sentence);
		atomic_store(&engine->fault_count, count + 1);
	}
	pthread_mutex_unlock(&engine->faults_lock);
}

const char *engine_fault(const struct engine *engine, size_t index)
{
	return index < atomic_load(&engine->fault_count)
		       ? engine->faults[index].text
		       : NULL;
}

const char *engine_interface(const struct engine *engine, uint16_t number)
{
	return number < atomic_load(&engine->name_count) ? engine->names[number]
							 : NULL;
}

uint64_t engine_epoch(const struct engine *engine)
{
	return engine->epoch;
}

double engine_progress(const struct engine *engine)
{
	struct feed *feed = &engine->feeds[0];
	double progress;

	pthread_mutex_lock(&feed->lock);
	progress = feed->progress;
	pthread_mutex_unlock(&feed->lock);
	return feed->live ? -1 : progress;
}

/* Targets are all live or all not: the first one decides. */
static bool targets_live(const struct engine_options *options)
{
	return capture_is_live(options->backend, options->targets[0]);
}

static int targets_copy(struct engine *engine)
{
	const struct engine_options *options = &engine->options;

	engine->targets =
		calloc(options->target_count, sizeof *engine->targets);
	if (!engine->targets)
		return -ENOMEM;
	for (size_t i = 0; i < options->target_count; i++) {
		engine->targets[i] = strdup(options->targets[i]);
		if (!engine->targets[i])
			return -ENOMEM;
	}
	return 0;
}

int64_t engine_step_ns(const struct engine *engine)
{
	struct flow_options flow = engine->options.flow;
	int64_t idle_ns;

	if (flow.idle_ns == 0)
		flow.idle_ns = FLOW_IDLE_S_PRESET * NS_PER_S;
	idle_ns = flow_options_idle_ns(&flow);
	return idle_ns > STEP_NS ? idle_ns : STEP_NS;
}

static int feed_init(struct engine *engine, uint16_t index, bool live)
{
	struct feed *feed = &engine->feeds[index];
	int rc = 0;

	feed->engine = engine;
	feed->index = index;
	feed->live = live;
	feed->progress = -1;
	pthread_mutex_init(&feed->lock, NULL);
	feed->sources =
		calloc(engine->options.target_count, sizeof *feed->sources);
	if (!feed->sources)
		return -ENOMEM;
	feed->source_count = engine->options.target_count;
	if (engine->options.deliver) {
		rc = ring_init(&feed->delivered, sizeof(struct engine_frame),
			       DELIVERED_COUNT);
		if (rc == 0)
			rc = ring_init(&feed->returned,
				       sizeof(struct engine_frame),
				       DELIVERED_COUNT);
	}
	return rc;
}

/* Live: every worker has captures of its own.  Files: one feed for all. */
static int feeds_make(struct engine *engine, bool live, struct fault *ret_fault)
{
	int rc = 0;

	engine->feed_count = live ? engine->worker_count : 1;
	engine->feeds = calloc(engine->feed_count, sizeof *engine->feeds);
	if (!engine->feeds)
		return -ENOMEM;
	for (size_t i = 0; i < engine->feed_count && rc == 0; i++)
		rc = feed_init(engine, (uint16_t)i, live);
	for (size_t i = 0; i < engine->feed_count && rc == 0; i++)
		rc = feed_open(engine, &engine->feeds[i], (uint16_t)i,
			       ret_fault);
	return rc;
}

/* One worker needs none. */
static int lanes_make(struct engine *engine)
{
	int rc = 0;

	if (engine->worker_count == 1)
		return 0;
	if (getrandom(&engine->shard_key, sizeof engine->shard_key, 0) !=
	    (ssize_t)sizeof engine->shard_key)
		return -EIO;
	engine->lanes =
		aligned_alloc(64, engine->feed_count * sizeof *engine->lanes);
	if (!engine->lanes)
		return -ENOMEM;
	memset(engine->lanes, 0, engine->feed_count * sizeof *engine->lanes);
	for (size_t i = 0; i < engine->feed_count && rc == 0; i++)
		rc = lane_init(engine, &engine->lanes[i], (uint16_t)i);
	return rc;
}

static int workers_make(struct engine *engine)
{
	int rc = lanes_make(engine);

	for (size_t i = 0; i < engine->worker_count && rc == 0; i++)
		rc = worker_init(engine, &engine->workers[i], (uint16_t)i);
	return rc;
}

/* The second word keeps a seed that somebody chose apart from another's
 * count. */
static int seed_make(struct engine *engine, bool live)
{
	struct sample_seed *seed = &engine->sample_seed;

	seed->words[0] = engine->options.sample_seed;
	seed->words[1] = UINT64_C(0x736f6e6465);
	if (!live || seed->words[0] != 0)
		return 0;
	if (getrandom(seed, sizeof *seed, 0) != (ssize_t)sizeof *seed)
		return -EIO;
	return 0;
}

static int engine_init(struct engine *engine, struct fault *ret_fault)
{
	bool live = targets_live(&engine->options);
	uint16_t workers = engine->options.workers;
	int rc = targets_copy(engine);

	if (rc == 0)
		rc = seed_make(engine, live);
	if (rc < 0)
		return rc;
	engine->worker_count = workers ? workers : 1;
	engine->epoch = (uint64_t)wall_now().ns;
	engine->collect_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	engine->poll_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	engine->pages_fd = eventfd(0, EFD_CLOEXEC);
	engine->names = calloc(INTERFACES_MAX, sizeof *engine->names);
	engine->name_slots = calloc(NAME_SLOTS, sizeof *engine->name_slots);
	engine->workers = calloc(engine->worker_count, sizeof *engine->workers);
	if (engine->collect_fd < 0 || engine->poll_fd < 0 ||
	    engine->pages_fd < 0)
		return -errno;
	if (!engine->names || !engine->name_slots || !engine->workers)
		return -ENOMEM;
	/* Several files are several recordings, not several sights of one. */
	engine->options.flow.mark_duplicates =
		live || engine->options.target_count == 1;
	rc = feeds_make(engine, live, ret_fault);
	return rc < 0 ? rc : workers_make(engine);
}

/* An interface that is captured twice would be counted twice. */
static int interfaces_check(const struct engine_options *options,
			    struct fault *ret_fault)
{
	const char *const *names = options->targets;

	for (size_t i = 0; i < options->target_count; i++) {
		if (options->target_count > 1 && strcmp(names[i], "any") == 0)
			return fault_set(ret_fault, -EINVAL,
					 "any: is every interface; name it "
					 "alone");
		for (size_t j = 0; j < i; j++) {
			if (strcmp(names[i], names[j]) == 0)
				return fault_set(ret_fault, -EINVAL,
						 "%s: is named twice",
						 names[i]);
		}
	}
	return 0;
}

int engine_sampling_check(const struct engine_options *options,
			  struct fault *ret_fault)
{
	int rc = sample_check(&options->sample, ret_fault);

	if (rc < 0)
		return rc;
	if (options->flow.tcp_metrics && options->sample.mode != SAMPLE_ALL)
		return fault_set(ret_fault, -EINVAL,
				 "tcp-metrics: needs every packet of a "
				 "connection, and sample-packets leaves some "
				 "out; sample-flows keeps connections whole");
	return 0;
}

static int options_check(const struct engine_options *options,
			 struct fault *ret_fault)
{
	size_t limit;

	if (options->target_count == 0 || !options->record)
		return fault_set(ret_fault, -EINVAL,
				 "nothing to capture from: name an interface "
				 "or a file");
	limit = targets_live(options) ? ENGINE_TARGETS_MAX : ENGINE_FILES_MAX;
	if (options->target_count > limit)
		return fault_set(ret_fault, -EINVAL,
				 "%zu targets are more than the %zu that one "
				 "session takes",
				 options->target_count, limit);
	if (options->workers > ENGINE_WORKERS_MAX)
		return fault_set(ret_fault, -EINVAL,
				 "%u workers are more than the limit of %d",
				 options->workers, ENGINE_WORKERS_MAX);
	if (targets_live(options)) {
		int rc = interfaces_check(options, ret_fault);

		if (rc < 0)
			return rc;
	}
	return engine_sampling_check(options, ret_fault);
}

int engine_create(const struct engine_options *options,
		  struct engine **ret_engine, struct fault *ret_fault)
{
	struct engine *engine;
	struct fault fault = {""};
	int rc = options_check(options, ret_fault);

	if (rc < 0)
		return rc;
	engine = calloc(1, sizeof *engine);
	if (!engine)
		return fault_set(ret_fault, -ENOMEM, "%s",
				 err_sentence(-ENOMEM));
	engine->options = *options;
	engine->collect_fd = engine->poll_fd = engine->pages_fd = -1;
	pthread_mutex_init(&engine->lookup_lock, NULL);
	pthread_mutex_init(&engine->names_lock, NULL);
	pthread_mutex_init(&engine->faults_lock, NULL);
	rc = engine_init(engine, &fault);
	if (rc == 0) {
		*ret_engine = engine;
		return 0;
	}
	engine_destroy(engine);
	return fault_set(ret_fault, rc, "%s",
			 fault.text[0] ? fault.text : err_sentence(rc));
}

int engine_meter(struct engine *engine, const struct flow_options *flow)
{
	bool duplicates = engine->options.flow.mark_duplicates;

	if (engine->started)
		return ERR_STATE;
	engine->options.flow = *flow;
	engine->options.flow.mark_duplicates = duplicates;
	engine->options.meter = true;
	return 0;
}

int engine_sample(struct engine *engine, const struct sample_options *sample)
{
	if (engine->started)
		return ERR_STATE;
	engine->options.sample = *sample;
	return 0;
}

static int tables_make(struct engine *engine)
{
	int rc = 0;

	for (size_t i = 0; i < engine->worker_count && rc == 0; i++) {
		if (!engine->workers[i].table)
			rc = worker_table_make(&engine->workers[i]);
	}
	return rc;
}

int engine_start(struct engine *engine)
{
	int rc = engine->options.meter ? tables_make(engine) : 0;

	if (engine->started || rc < 0)
		return engine->started ? ERR_STATE : rc;
	engine->started = true;
	pages_start(engine);
	for (size_t i = 0; i < engine->feed_count; i++)
		feed_sample(&engine->feeds[i]);
	for (size_t i = 0; i < engine->worker_count && rc == 0; i++) {
		struct worker *worker = &engine->workers[i];

		rc = pthread_create(&worker->thread, NULL, worker_main, worker);
		worker->started = rc == 0;
	}
	if (rc != 0)
		engine_stop(engine);
	return -rc;
}

void engine_stop(struct engine *engine)
{
	atomic_store(&engine->stop, true);
	for (size_t i = 0; i < engine->worker_count; i++)
		engine_wake(engine->workers[i].wake_fd);
	engine_wake(engine->collect_fd);
	engine_wake(engine->poll_fd);
}

/* Workers may wait for room for their records: those are taken until all have
 * ended. */
static void threads_join(struct engine *engine)
{
	for (size_t i = 0; i < engine->worker_count; i++) {
		struct worker *worker = &engine->workers[i];

		while (worker->started && !atomic_load(&worker->ended))
			engine_collect(engine, WAIT_MS);
		if (worker->started)
			pthread_join(worker->thread, NULL);
	}
}

static void engine_free(struct engine *engine)
{
	for (size_t i = 0; i < engine->worker_count && engine->workers; i++)
		worker_fini(&engine->workers[i]);
	for (size_t i = 0; i < engine->feed_count && engine->lanes; i++)
		lane_fini(&engine->lanes[i]);
	for (size_t i = 0; i < engine->feed_count && engine->feeds; i++) {
		struct feed *feed = &engine->feeds[i];

		feed_close(feed);
		ring_fini(&feed->delivered);
		ring_fini(&feed->returned);
		free(feed->sources);
		pthread_mutex_destroy(&feed->lock);
	}
	for (size_t i = 0; engine->targets && i < engine->options.target_count;
	     i++)
		free(engine->targets[i]);
	if (engine->collect_fd >= 0)
		close(engine->collect_fd);
	if (engine->poll_fd >= 0)
		close(engine->poll_fd);
	if (engine->pages_fd >= 0)
		close(engine->pages_fd);
	free(engine->targets);
	free(engine->names);
	free(engine->name_slots);
	free(engine->workers);
	free(engine->feeds);
	free(engine->lanes);
	free(engine);
}

static void record_ignore(void *context, const struct flow_record *record)
{
	(void)context;
	(void)record;
}

void engine_destroy(struct engine *engine)
{
	if (!engine)
		return;
	engine->options.record = record_ignore;
	if (engine->started) {
		engine_stop(engine);
		threads_join(engine);
		pages_stop(engine);
	}
	pthread_mutex_destroy(&engine->lookup_lock);
	pthread_mutex_destroy(&engine->names_lock);
	pthread_mutex_destroy(&engine->faults_lock);
	engine_free(engine);
}
