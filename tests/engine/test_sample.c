/* Sampling from the capture to the ledger: what is taken, by how many
 * workers, and what can be told from it. */
#include "check.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/make_pcap.h"

#define PACKETS 40000
#define FLOWS   2000

struct sink {
	struct flow_record *records;
	size_t count;
};

static void sink_take(void *context, const struct flow_record *record)
{
	struct sink *sink = context;

	if ((sink->count & (sink->count - 1)) == 0) { /* it is full */
		size_t room = sink->count ? 2 * sink->count : 1;

		sink->records =
			realloc(sink->records, room * sizeof *sink->records);
		assert_non_null(sink->records);
	}
	memset(&sink->records[sink->count], 0, sizeof *record);
	memcpy(&sink->records[sink->count], record,
	       flow_record_size(&(struct flow_options){0}));
	sink->records[sink->count].epoch = 0;
	sink->records[sink->count++].seq = 0;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct flow_record));
}

struct sampled {
	struct sample_options packets;
	uint32_t flows;
	uint64_t seed;
	uint16_t workers;
};

/* Meters the files; records sorted, every sum of the ledger checked. */
static void run(const struct sampled *sampled, const char *const *targets,
		size_t count, struct sink *sink, struct engine_ledger *ledger)
{
	struct engine_options options = {
		.targets = targets,
		.target_count = count,
		.workers = sampled->workers,
		.flow = {.sample_flows = sampled->flows},
		.sample = sampled->packets,
		.sample_seed = sampled->seed,
		.meter = true,
		.flush = true,
		.record = sink_take,
		.context = sink,
	};
	struct engine *engine;
	struct fault fault;

	*sink = (struct sink){0};
	assert_int_equal(engine_create(&options, &engine, &fault), 0);
	assert_int_equal(engine_start(engine), 0);
	while (engine_collect(engine, 100) != ERR_END)
		;
	engine_ledger(engine, ledger);
	if (!engine_ledger_sound(ledger, &fault))
		fail_msg("%s", fault.text);
	assert_int_equal(ledger->engine.selected + ledger->engine.not_selected,
			 ledger->capture.received);
	assert_int_equal(ledger->flow.metered + ledger->flow.not_selected,
			 ledger->engine.selected);
	engine_destroy(engine);
	qsort(sink->records, sink->count, sizeof *sink->records, by_bytes);
}

static uint64_t packets_sum(const struct sink *sink)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < sink->count; i++)
		sum += sink->records[i].packets[0] +
		       sink->records[i].packets[1];
	return sum;
}

static const struct sampled cases[] = {
	{.packets = {SAMPLE_COUNT, 7, 1}},
	{.packets = {SAMPLE_RANDOM, 100, 1}},
	{.packets = {SAMPLE_RANDOM, 40, 16}, .seed = 9},
	{.packets = {SAMPLE_PROBABILITY, 50, 1}},
	{.flows = 10},
	{.flows = 3, .seed = 77},
	{.packets = {SAMPLE_COUNT, 5, 1}, .flows = 4},
};

#define CASES (sizeof cases / sizeof *cases)

static void chooses_alike_again_and_with_any_workers(void **state)
{
	const char *targets[2];
	char paths[2][32];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		pcap_file(paths[i], PACKETS, FLOWS);
		targets[i] = paths[i];
	}
	for (size_t i = 0; i < CASES; i++) {
		struct engine_ledger ledger;
		struct sampled sampled = cases[i];
		struct sink one, other;

		sampled.workers = 1;
		run(&sampled, targets, 2, &one, &ledger);
		assert_true(one.count > 0);
		for (uint16_t workers = 1; workers <= 3; workers++) {
			sampled.workers = workers;
			run(&sampled, targets, 2, &other, &ledger);
			assert_int_equal(one.count, other.count);
			assert_memory_equal(one.records, other.records,
					    one.count * sizeof *one.records);
			free(other.records);
		}
		sampled.seed = 12345;
		run(&sampled, targets, 2, &other, &ledger);
		assert_true(one.count != other.count ||
			    memcmp(one.records, other.records,
				   one.count * sizeof *one.records) != 0);
		free(other.records);
		free(one.records);
	}
	unlink(paths[0]);
	unlink(paths[1]);
}

/* Exactly where it is exact, else within 4 standard deviations. */
static void takes_as_many_as_it_says(void **state)
{
	char path[32];
	const char *target = path;

	(void)state;
	pcap_file(path, PACKETS, FLOWS);
	for (size_t i = 0; i < CASES; i++) {
		const struct sample_options *packets = &cases[i].packets;
		double n = packets->population, expected = PACKETS / n;
		struct engine_ledger ledger;
		struct sink sink;

		if (cases[i].flows)
			continue;
		run(&cases[i], &target, 1, &sink, &ledger);
		assert_int_equal(packets_sum(&sink), ledger.engine.selected);
		if (packets->mode == SAMPLE_PROBABILITY)
			assert_true(fabs((double)ledger.engine.selected -
					 expected) <
				    4 * sqrt(expected * (1 - 1 / n)));
		else
			assert_in_range(ledger.engine.selected,
					PACKETS / packets->population *
						packets->size,
					(PACKETS / packets->population + 1) *
						packets->size);
		free(sink.records);
	}
	unlink(path);
}

static void says_in_each_record_what_was_done(void **state)
{
	static const struct {
		struct sampled sampled;
		struct flow_sampling said;
	} all[] = {
		{{.packets = {SAMPLE_ALL, 0, 0}}, {.present = 0}},
		{{.packets = {SAMPLE_COUNT, 7, 1}},
		 {.present = FLOW_SAMPLED_COUNT,
		  .mode = 1,
		  .interval = 1,
		  .space = 6}},
		{{.packets = {SAMPLE_RANDOM, 40, 16}},
		 {.present = FLOW_SAMPLED_RANDOM,
		  .mode = 3,
		  .size = 16,
		  .population = 40}},
		{{.packets = {SAMPLE_PROBABILITY, 8, 1}, .flows = 4},
		 {.present = FLOW_SAMPLED_PROBABILITY | FLOW_SAMPLED_FLOWS,
		  .mode = 4,
		  .probability = 0.125,
		  .flow_mode = 1,
		  .flow_population = 4}},
	};
	char path[32];
	const char *target = path;

	(void)state;
	pcap_file(path, PACKETS, FLOWS);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct engine_ledger ledger;
		struct sink sink;

		run(&all[i].sampled, &target, 1, &sink, &ledger);
		for (size_t j = 0; j < sink.count; j++)
			assert_memory_equal(&sink.records[j].sampling,
					    &all[i].said, sizeof all[i].said);
		free(sink.records);
	}
	unlink(path);
}

static void refuses_tcp_metrics_of_samples(void **state)
{
	const char *target = "10";
	struct engine_options options = {.targets = &target,
					 .target_count = 1,
					 .backend = "null",
					 .meter = true,
					 .sample = {SAMPLE_COUNT, 10, 1},
					 .flow = {.tcp_metrics = true},
					 .record = sink_take};
	struct engine *engine;
	struct fault fault;

	(void)state;
	assert_int_equal(engine_create(&options, &engine, &fault), -EINVAL);
	assert_memory_equal(fault.text, "tcp-metrics: needs every packet", 31);
	options.sample.size = 2;
	options.flow.tcp_metrics = false;
	assert_int_equal(engine_create(&options, &engine, &fault), -EINVAL);
	assert_memory_equal(fault.text, "sample-size: ", 13);
	options.sample.mode = SAMPLE_ALL;
	options.sample.size = 0;
	options.flow.tcp_metrics = true;
	options.flow.sample_flows = 10; /* these are whole */
	assert_int_equal(engine_create(&options, &engine, &fault), 0);
	engine_destroy(engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chooses_alike_again_and_with_any_workers),
		cmocka_unit_test(takes_as_many_as_it_says),
		cmocka_unit_test(says_in_each_record_what_was_done),
		cmocka_unit_test(refuses_tcp_metrics_of_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
