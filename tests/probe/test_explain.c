#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "check.h"

#include "model.h"

#define PACKETS 200
#define TRIALS  200

static const enum culprit_kind kinds[FAULT_COUNT] = {
	[FAULT_QUEUE] = CULPRIT_QUEUE,
	[FAULT_DRIVER] = CULPRIT_DRIVER,
	[FAULT_INTERRUPT] = CULPRIT_INTERRUPT,
	[FAULT_WAKE_UP] = CULPRIT_WAKE_UP,
	[FAULT_HOG] = CULPRIT_HOG,
	[FAULT_PAUSE] = CULPRIT_PAUSE,
	[FAULT_PATH_FORWARD] = CULPRIT_PATH_FORWARD,
	[FAULT_PATH_BACK] = CULPRIT_PATH_BACK,
};

/* A run on a quiet path between two small machines. */
static struct model quiet(uint64_t seed, point_set points)
{
	struct model model = {.random = seed * 7919, .points = points};

	model.interval_ns = (int64_t)model_scale(&model, 1e5, 1e8);
	model.offset_ns = model_between(&model, -1e9, 1e9);
	model.drift_ppm = model_between(&model, -50, 50);
	model.wire_ns[LEG_FORWARD] = model_scale(&model, 200, 2e6);
	model.wire_ns[LEG_BACK] =
		model.wire_ns[LEG_FORWARD] * model_scale(&model, 0.2, 5);
	for (int leg = 0; leg < LEG_COUNT; leg++)
		model.queue_ns[leg] =
			fmin(model.wire_ns[leg] * model_scale(&model, 0.01, 1),
			     30000);
	model.sleeps = model_unit(&model) < 0.5;
	model.loss = 0.005;
	model.missing = 0.005;
	return model;
}

/* One of eight, at a host where it can be, 100 us or more. */
static void fault_choose(struct model *model)
{
	model->fault = 1 + (int)(model_unit(model) * (FAULT_COUNT - 1));
	model->host = model_unit(model) < 0.5 ? HOST_LOCAL : HOST_REMOTE;
	if (model->fault == FAULT_WAKE_UP && !model->sleeps)
		model->host = HOST_REMOTE; /* who never sleeps is never woken */
	model->fault_ns = model_scale(model, 1e5, 5e6);
	model->share = model_between(model, 0.4, 0.8);
	if (model->fault == FAULT_PAUSE)
		model->share = model_between(model, 0.4, 1);
}

static void make(struct model *model, uint32_t first, struct trip *trips)
{
	struct truth truth;

	for (uint32_t i = 0; i < PACKETS; i++)
		model_trip(model, first + i, &trips[i], &truth);
}

static bool is_right(const struct model *model,
		     const struct explanation *explanation)
{
	const struct culprit *first = &explanation->culprits[0];
	bool path = model->fault >= FAULT_PATH_FORWARD;

	return explanation->count > 0 &&
	       (first->kinds & CULPRIT_BIT(kinds[model->fault])) &&
	       __builtin_popcount(first->kinds) <= 2 &&
	       (path || first->remote == (model->host == HOST_REMOTE));
}

static void tell(const struct model *model, uint64_t seed,
		 const struct explanation *explanation)
{
	print_message("# seed %" PRIu64 ": %s at host %d, %.0f ns, share %.2f, "
		      "sleeps %d, packets %u to %u:\n",
		      seed, culprit_rows[kinds[model->fault]].name, model->host,
		      model->fault_ns, model->share, model->sleeps,
		      explanation->first_seq, explanation->last_seq);
	for (size_t i = 0; i < explanation->count && i < 3; i++) {
		const struct culprit *culprit = &explanation->culprits[i];

		print_message("#   kinds %03x remote %d %s %" PRId64
			      " ns, confidence %.4f, %" PRId64 " to %" PRId64
			      "\n",
			      culprit->kinds, culprit->remote, culprit->segment,
			      culprit->added_ns, culprit->confidence,
			      culprit->before_p50_ns, culprit->after_p50_ns);
	}
}

static int trial(uint64_t seed, point_set points, bool within,
		 unsigned tried[FAULT_COUNT])
{
	static struct trip before[PACKETS], after[PACKETS];
	struct model model = quiet(seed, points);
	struct explanation explanation = {0};

	fault_choose(&model);
	tried[model.fault]++;
	model.to = UINT32_MAX;
	if (within) {
		model.from = (uint32_t)model_between(&model, 40, 160);
		if (model_unit(&model) < 0.3) /* and over again */
			model.to = model.from +
				   (uint32_t)model_between(&model, 40, 80);
		make(&model, 0, before);
		assert_int_equal(explain_run(before, PACKETS, &explanation), 0);
	} else {
		model.from = PACKETS;
		make(&model, 0, before);
		make(&model, PACKETS, after);
		assert_int_equal(explain_runs(before, PACKETS, after, PACKETS,
					      &explanation),
				 0);
	}
	if (is_right(&model, &explanation))
		return 1;
	tell(&model, seed, &explanation);
	return 0;
}

static void trials(const char *what, point_set points, bool within)
{
	unsigned tried[FAULT_COUNT] = {0};
	int right = 0;

	for (uint64_t seed = 1; seed <= TRIALS; seed++)
		right += trial(seed, points, within, tried);
	for (int fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++)
		assert_true(tried[fault] >= 5);
	print_message("# %s: right first in %d of %d\n", what, right, TRIALS);
	assert_true(right * 100 >= TRIALS * 99);
}

static void names_the_culprit_between_two_runs_with_tracepoints(void **state)
{
	(void)state;
	trials("two runs, T2", model_points_trace(), false);
}

static void names_the_culprit_between_two_runs_without(void **state)
{
	(void)state;
	trials("two runs, T1", model_points_socket(), false);
}

static void names_the_culprit_within_a_run_with_tracepoints(void **state)
{
	(void)state;
	trials("within a run, T2", model_points_trace(), true);
}

static void names_the_culprit_within_a_run_without(void **state)
{
	(void)state;
	trials("within a run, T1", model_points_socket(), true);
}

/* Nothing happened: nobody is accused of 100 us. */
static void accuses_nobody_of_what_did_not_happen(void **state)
{
	static struct trip before[PACKETS], after[PACKETS];
	struct explanation explanation;
	int accused = 0;

	(void)state;
	for (uint64_t seed = 1000; seed < 1200; seed++) {
		struct model model = quiet(seed, model_points_trace());

		make(&model, 0, before);
		make(&model, PACKETS, after);
		assert_int_equal(explain_runs(before, PACKETS, after, PACKETS,
					      &explanation),
				 0);
		accused += explanation.count > 0;
		assert_int_equal(explain_run(before, PACKETS, &explanation), 0);
		accused += explanation.count > 0;
	}
	print_message("# accused in %d of 400 quiet runs\n", accused);
	assert_true(accused <= 4);
}

/* Only one kind is said where the points can tell, both where they cannot. */
static void says_no_more_than_the_points_can_tell(void **state)
{
	static struct trip before[PACKETS], after[PACKETS];
	static const struct {
		enum model_fault fault;
		uint32_t socket, trace;
	} rows[] = {
		{FAULT_QUEUE,
		 CULPRIT_BIT(CULPRIT_QUEUE) | CULPRIT_BIT(CULPRIT_DRIVER),
		 CULPRIT_BIT(CULPRIT_QUEUE)},
		{FAULT_DRIVER,
		 CULPRIT_BIT(CULPRIT_QUEUE) | CULPRIT_BIT(CULPRIT_DRIVER),
		 CULPRIT_BIT(CULPRIT_DRIVER)},
		{FAULT_INTERRUPT,
		 CULPRIT_BIT(CULPRIT_INTERRUPT) | CULPRIT_BIT(CULPRIT_WAKE_UP),
		 CULPRIT_BIT(CULPRIT_INTERRUPT)},
		{FAULT_WAKE_UP,
		 CULPRIT_BIT(CULPRIT_INTERRUPT) | CULPRIT_BIT(CULPRIT_WAKE_UP),
		 CULPRIT_BIT(CULPRIT_WAKE_UP)},
		{FAULT_PAUSE, CULPRIT_BIT(CULPRIT_PAUSE),
		 CULPRIT_BIT(CULPRIT_PAUSE)},
		{FAULT_PATH_BACK, CULPRIT_BIT(CULPRIT_PATH_BACK),
		 CULPRIT_BIT(CULPRIT_PATH_BACK)},
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
		bool trace = i & 1;
		struct model model = quiet(3, trace ? model_points_trace()
						    : model_points_socket());
		struct explanation explanation;

		model.fault = rows[i / 2].fault;
		model.host = HOST_REMOTE;
		model.fault_ns = 1e6;
		model.share = 1;
		model.from = PACKETS;
		model.to = UINT32_MAX;
		make(&model, 0, before);
		make(&model, PACKETS, after);
		assert_int_equal(explain_runs(before, PACKETS, after, PACKETS,
					      &explanation),
				 0);
		assert_true(explanation.count >= 1);
		assert_int_equal(explanation.culprits[0].kinds,
				 trace ? rows[i / 2].trace
				       : rows[i / 2].socket);
		/* of the path the clocks' drift may hide a part */
		assert_in_range(explanation.culprits[0].added_ns,
				i / 2 == 5 ? 500000 : 850000, 1150000);
		assert_true(explanation.culprits[0].share >
			    (i / 2 == 5 ? 0.5 : 0.95));
		assert_true(explanation.culprits[0].confidence > 0.999);
		assert_true(explanation.culprits[0].beyond > 180);
	}
}

/* The change is found where it was, to a few packets. */
static void finds_the_packets_that_differ(void **state)
{
	static struct trip trips[PACKETS];
	struct model model = quiet(11, model_points_trace());
	struct explanation explanation;

	(void)state;
	model.fault = FAULT_QUEUE;
	model.fault_ns = 300000;
	model.from = 80;
	model.to = 140;
	make(&model, 0, trips);
	assert_int_equal(explain_run(trips, PACKETS, &explanation), 0);
	assert_in_range(explanation.first_seq, 78, 82);
	assert_in_range(explanation.last_seq, 137, 141);
	assert_string_equal(explanation.culprits[0].segment,
			    "forward sched-driver");
}

/* The sender was started anew: its clocks of both runs have nothing in
 * common, and the other host's neither. */
static void compares_runs_of_different_clocks(void **state)
{
	static struct trip before[PACKETS], after[PACKETS];
	struct explanation explanation;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct model model = quiet(21, model_points_trace());

		make(&model, 0, before);
		model.offset_ns += 5e8;
		model.fault = i ? FAULT_PATH_FORWARD : FAULT_DRIVER;
		model.host = HOST_LOCAL;
		model.fault_ns = 400000;
		model.to = UINT32_MAX;
		make(&model, 0, after);
		assert_int_equal(explain_runs(before, PACKETS, after, PACKETS,
					      &explanation),
				 0);
		assert_int_equal(explanation.culprits[0].kinds,
				 i ? CULPRIT_BIT(CULPRIT_PATH_FORWARD) |
						 CULPRIT_BIT(CULPRIT_PATH_BACK)
				   : CULPRIT_BIT(CULPRIT_DRIVER));
		assert_in_range(explanation.culprits[0].added_ns, 350000,
				450000);
	}
}

static void refuses_too_few_packets(void **state)
{
	static struct trip trips[PACKETS];
	struct model model = quiet(1, model_points_socket());
	struct explanation explanation;

	(void)state;
	model.loss = 0;
	make(&model, 0, trips);
	assert_int_equal(explain_run(trips, 39, &explanation), -EINVAL);
	assert_int_equal(explain_run(trips, 0, &explanation), -EINVAL);
	assert_int_equal(explain_runs(trips, 19, trips + 19, 100, &explanation),
			 -EINVAL);
	assert_int_equal(explain_runs(trips, 20, trips + 20, 20, &explanation),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			names_the_culprit_between_two_runs_with_tracepoints),
		cmocka_unit_test(names_the_culprit_between_two_runs_without),
		cmocka_unit_test(
			names_the_culprit_within_a_run_with_tracepoints),
		cmocka_unit_test(names_the_culprit_within_a_run_without),
		cmocka_unit_test(accuses_nobody_of_what_did_not_happen),
		cmocka_unit_test(says_no_more_than_the_points_can_tell),
		cmocka_unit_test(finds_the_packets_that_differ),
		cmocka_unit_test(compares_runs_of_different_clocks),
		cmocka_unit_test(refuses_too_few_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
