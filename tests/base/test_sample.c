/* What is drawn, by numbers: exact where it is exact, within the binomial's
 * bounds where it is not.  Everything is seeded: nothing here depends on
 * chance. */
#include "check.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/sample.h"

static const struct sample_seed seed = {{11, 12}};

static struct sampler sampler_of(enum sample_mode mode, uint32_t population,
				 uint32_t size, uint64_t stream)
{
	struct sample_options options = {mode, population, size};
	struct sampler sampler;
	struct fault fault;

	assert_int_equal(sample_check(&options, &fault), 0);
	sampler_init(&sampler, &options, &seed, stream);
	return sampler;
}

static void takes_all_when_off(void **state)
{
	struct sample_options off = {SAMPLE_ALL, 0, 0};
	struct sampler sampler;

	(void)state;
	sampler_init(&sampler, &off, &seed, 0);
	for (uint64_t i = 0; i < 1000; i++)
		assert_true(sampler_takes(&sampler, i));
}

static void counts_one_in_n_exactly_n_apart(void **state)
{
	static const uint32_t intervals[] = {2, 3, 7, 100, 1000, 4096};

	(void)state;
	for (size_t i = 0; i < sizeof intervals / sizeof *intervals; i++) {
		uint32_t n = intervals[i];
		struct sampler sampler = sampler_of(SAMPLE_COUNT, n, 1, i);
		uint64_t last = UINT64_MAX, taken = 0;

		for (uint64_t at = 0; at < 50 * (uint64_t)n; at++) {
			if (!sampler_takes(&sampler, at))
				continue;
			if (taken++)
				assert_int_equal(at - last, n);
			last = at;
		}
		assert_int_equal(taken, 50);
	}
}

/* Short files: the first item's turn comes as often as any other's. */
static void starts_counting_anywhere(void **state)
{
	unsigned starts[10] = {0};

	(void)state;
	for (uint64_t stream = 0; stream < 10000; stream++) {
		struct sampler sampler =
			sampler_of(SAMPLE_COUNT, 10, 1, stream);

		for (unsigned at = 0; at < 10; at++)
			starts[at] += sampler_takes(&sampler, at);
	}
	for (unsigned at = 0; at < 10; at++) /* 1,000 and 4 sigma of 30 */
		assert_in_range(starts[at], 880, 1120);
}

static void takes_n_of_each_block(void **state)
{
	static const uint32_t cases[][2] = {
		{2, 1},   {3, 2},   {16, 15},   {17, 16},
		{100, 1}, {100, 7}, {1000, 16},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint32_t population = cases[i][0], size = cases[i][1];
		struct sampler sampler =
			sampler_of(SAMPLE_RANDOM, population, size, i);

		for (uint64_t block = 0; block < 500; block++) {
			uint32_t taken = 0;

			for (uint32_t at = 0; at < population; at++)
				taken += sampler_takes(&sampler,
						       block * population + at);
			assert_int_equal(taken, size);
		}
	}
}

/* All 20 sets of 3 out of 6 are as likely: chi-squared with 19 degrees of
 * freedom is below 43.8 but once in a thousand. */
static void takes_every_set_as_often(void **state)
{
	enum { BLOCKS = 40000 };
	struct sampler sampler = sampler_of(SAMPLE_RANDOM, 6, 3, 9);
	unsigned seen[64] = {0}, sets = 0;
	double sum = 0;

	(void)state;
	for (uint64_t block = 0; block < BLOCKS; block++) {
		unsigned set = 0;

		for (unsigned at = 0; at < 6; at++)
			set |= (unsigned)sampler_takes(&sampler, block * 6 + at)
			       << at;
		seen[set]++;
	}
	for (unsigned set = 0; set < 64; set++) {
		double off = seen[set] - BLOCKS / 20.0;

		if (__builtin_popcount(set) != 3) {
			assert_int_equal(seen[set], 0);
			continue;
		}
		sets++;
		sum += off * off / (BLOCKS / 20.0);
	}
	assert_int_equal(sets, 20);
	assert_true(sum < 43.8);
	assert_true(sum > 4.0); /* and not too even to be true */
}

/* The chance that a binomial (count, p) is at most 'k', summed exactly. */
static double binomial_at_most(uint64_t count, double p, uint64_t k)
{
	double sum = 0;

	for (uint64_t i = 0; i <= k; i++)
		sum += exp(lgamma((double)count + 1) - lgamma((double)i + 1) -
			   lgamma((double)(count - i) + 1) +
			   (double)i * log(p) +
			   (double)(count - i) * log1p(-p));
	return sum;
}

static void takes_each_with_the_probability(void **state)
{
	static const uint32_t populations[] = {2, 3, 10, 1000};
	enum { ITEMS = 200000 };

	(void)state;
	for (size_t i = 0; i < sizeof populations / sizeof *populations; i++) {
		double p = 1.0 / populations[i], tail;
		uint64_t pairs = 0, taken = 0;
		bool before = false;
		struct sampler sampler =
			sampler_of(SAMPLE_PROBABILITY, populations[i], 1, i);

		for (uint64_t at = 0; at < ITEMS; at++) {
			bool now = sampler_takes(&sampler, at);

			taken += now;
			pairs += now && before;
			before = now;
		}
		/* Neither tail is less likely than once in a thousand. */
		tail = binomial_at_most(ITEMS, p, taken);
		assert_true(tail > 0.0005 && tail < 0.9995);
		/* Neighbours know nothing of each other. */
		assert_true(fabs((double)pairs - ITEMS * p * p) <
			    4 * sqrt(ITEMS * p * p) + 1);
	}
}

/* Whoever asks in whatever order: backwards, by strides, two samplers. */
static void answers_by_the_ordinal_alone(void **state)
{
	static const struct sample_options cases[] = {
		{SAMPLE_COUNT, 13, 1},
		{SAMPLE_RANDOM, 13, 1},
		{SAMPLE_RANDOM, 40, 16},
		{SAMPLE_PROBABILITY, 13, 1},
	};
	enum { ITEMS = 5000 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sampler on, back, stride;
		bool taken[ITEMS];

		sampler_init(&on, &cases[i], &seed, 3);
		back = stride = on;
		for (uint64_t at = 0; at < ITEMS; at++)
			taken[at] = sampler_takes(&on, at);
		for (uint64_t at = ITEMS; at-- > 0;)
			assert_int_equal(sampler_takes(&back, at), taken[at]);
		for (uint64_t at = 0; at < ITEMS; at++)
			assert_int_equal(
				sampler_takes(&stride, at * 1777 % ITEMS),
				taken[at * 1777 % ITEMS]);
		assert_true(sampler_takes(&on, UINT64_MAX) ==
			    sampler_takes(&on, UINT64_MAX));
	}
}

static void differs_by_stream_and_by_seed(void **state)
{
	const struct sample_options half = {SAMPLE_PROBABILITY, 2, 1};
	const struct sample_seed other = {{11, 13}};
	struct sampler samplers[3];
	unsigned same[3] = {0};

	(void)state;
	sampler_init(&samplers[0], &half, &seed, 0);
	sampler_init(&samplers[1], &half, &seed, 1);
	sampler_init(&samplers[2], &half, &other, 0);
	for (uint64_t at = 0; at < 10000; at++)
		for (unsigned i = 0; i < 3; i++)
			same[i] += sampler_takes(&samplers[i], at) ==
				   sampler_takes(&samplers[(i + 1) % 3], at);
	for (unsigned i = 0; i < 3; i++) /* 5,000 and 4 sigma of 50 */
		assert_in_range(same[i], 4800, 5200);
}

static void has_the_exact_threshold(void **state)
{
	(void)state;
	assert_true(sample_threshold(2) == UINT64_C(1) << 63);
	assert_true(sample_threshold(4096) == UINT64_C(1) << 52);
	assert_true(sample_threshold(3) == UINT64_MAX / 3);
	assert_true(sample_threshold(10) == UINT64_MAX / 10);
}

static void refuses_contradictions_by_name(void **state)
{
	static const struct {
		struct sample_options options;
		int rc;
		const char *begin;
	} cases[] = {
		{{SAMPLE_ALL, 0, 4}, -EINVAL, "sample-size: 4 of how many?"},
		{{SAMPLE_COUNT, 1, 1}, ERR_OPTION_RANGE, "sample-packets: 1"},
		{{SAMPLE_COUNT, SAMPLE_POPULATION_MAX + 1, 1},
		 ERR_OPTION_RANGE,
		 "sample-packets: "},
		{{SAMPLE_COUNT, 10, 2}, -EINVAL, "sample-size: more than 1"},
		{{SAMPLE_PROBABILITY, 10, 2},
		 -EINVAL,
		 "sample-size: more than 1"},
		{{SAMPLE_RANDOM, 10, 17}, ERR_OPTION_RANGE, "sample-size: 17"},
		{{SAMPLE_RANDOM, 10, 10}, -EINVAL, "sample-size: 10 is not"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fault fault = {""};

		assert_int_equal(sample_check(&cases[i].options, &fault),
				 cases[i].rc);
		assert_memory_equal(fault.text, cases[i].begin,
				    strlen(cases[i].begin));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_all_when_off),
		cmocka_unit_test(counts_one_in_n_exactly_n_apart),
		cmocka_unit_test(starts_counting_anywhere),
		cmocka_unit_test(takes_n_of_each_block),
		cmocka_unit_test(takes_every_set_as_often),
		cmocka_unit_test(takes_each_with_the_probability),
		cmocka_unit_test(answers_by_the_ordinal_alone),
		cmocka_unit_test(differs_by_stream_and_by_seed),
		cmocka_unit_test(has_the_exact_threshold),
		cmocka_unit_test(refuses_contradictions_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
