#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "base/hist.h"
#include "base/random.h"
#include "check.h"

#define BYTES_MAX (1 << 20)

/* Any magnitude, either sign. */
static int64_t value_next(uint64_t *state)
{
	uint64_t bits = random_next(state);

	return (int64_t)random_next(state) >> (bits & 63);
}

static int value_compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void has_nothing_to_say_while_empty(void **state)
{
	struct hist *hist = hist_create();
	struct hist_bucket bucket = {0};
	uint8_t bytes[8];

	(void)state;
	assert_int_equal(hist_count(hist), 0);
	assert_int_equal(hist_quantile(hist, 0.5), 0);
	assert_false(hist_next(hist, &bucket));
	assert_int_equal(hist_pack(hist, bytes, sizeof bytes), 2);
	assert_int_equal(hist_unpack(hist, bytes, 2), 0);
	hist_destroy(hist);
	hist_destroy(NULL);
}

static void is_exact_below_1024(void **state)
{
	struct hist *hist = hist_create();

	(void)state;
	for (int64_t value = -1023; value <= 1023; value++)
		hist_add(hist, value);
	for (int64_t rank = 1; rank <= 2047; rank++)
		assert_int_equal(
			hist_quantile(hist, ((double)rank - 0.5) / 2047),
			rank - 1024);
	hist_destroy(hist);
}

static void off_by_no_more_than(int64_t wrong, int64_t right, double share)
{
	if (fabs((double)wrong - (double)right) > fabs((double)right) * share)
		fail_msg("%" PRId64 " is said to be %" PRId64, right, wrong);
}

/* Against the sorted values. */
static void quantiles_are_off_by_1_in_1024_at_most(void **state)
{
	static const double quantiles[] = {0,      0.001,   0.01, 0.1,  0.25,
					   0.5,    0.75,    0.9,  0.99, 0.999,
					   0.9999, 0.99999, 1};
	enum { COUNT = 20000 };
	int64_t *values = calloc(COUNT, sizeof *values);
	struct hist *hist = hist_create();
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		values[i] = value_next(&seed);
		hist_add(hist, values[i]);
	}
	qsort(values, COUNT, sizeof *values, value_compare);
	for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
		int rank = (int)ceil(quantiles[i] * COUNT);

		off_by_no_more_than(hist_quantile(hist, quantiles[i]),
				    values[rank > 0 ? rank - 1 : 0],
				    1.0 / 1024);
	}
	assert_int_equal(hist_min(hist), values[0]);
	assert_int_equal(hist_max(hist), values[COUNT - 1]);
	hist_destroy(hist);
	free(values);
}

static void keeps_mean_and_deviation(void **state)
{
	struct hist *hist = hist_create();

	(void)state;
	hist_add_count(hist, 1000, 3);
	hist_add_count(hist, -200, 1);
	hist_add_count(hist, 77, 0);
	assert_int_equal(hist_count(hist), 4);
	assert_true(hist_mean(hist) == 700);
	assert_true(fabs(hist_deviation(hist) - 519.615) < 0.01);
	hist_clear(hist);
	hist_add_count(hist, INT64_MAX, UINT64_C(1) << 40);
	hist_add_count(hist, INT64_MIN, UINT64_C(1) << 40);
	assert_true(fabs(hist_mean(hist) + 0.5) < 0.01);
	hist_destroy(hist);
}

static void hist_fill(struct hist *hist, uint64_t seed, int count)
{
	while (count-- > 0)
		hist_add_count(hist, value_next(&seed), random_next(&seed) % 5);
}

static size_t packed(const struct hist *hist, uint8_t *bytes)
{
	size_t size = hist_pack(hist, bytes, BYTES_MAX);

	assert_true(size <= BYTES_MAX);
	return size;
}

static void merging_is_addition_in_any_order(void **state)
{
	struct hist *a = hist_create(), *b = hist_create(),
		    *all = hist_create();
	uint8_t *one = malloc(BYTES_MAX), *two = malloc(BYTES_MAX);
	size_t size;

	(void)state;
	hist_fill(a, 1, 500);
	hist_fill(b, 2, 300);
	hist_fill(all, 1, 500);
	hist_fill(all, 2, 300);
	size = packed(all, one);
	hist_clear(all);
	hist_merge(all, b);
	hist_merge(all, a);
	assert_int_equal(packed(all, two), size);
	assert_memory_equal(one, two, size);
	hist_destroy(a);
	hist_destroy(b);
	hist_destroy(all);
	free(one);
	free(two);
}

static void comes_back_from_its_bytes(void **state)
{
	struct hist *hist = hist_create(), *copy = hist_create();
	uint8_t *one = malloc(BYTES_MAX), *two = malloc(BYTES_MAX);

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		size_t size;

		hist_clear(hist);
		hist_fill(hist, seed, (int)seed);
		if (seed & 1)
			hist_add(hist, INT64_MIN);
		if (seed & 2)
			hist_add(hist, INT64_MAX);
		size = packed(hist, one);
		assert_int_equal(hist_unpack(copy, one, size), 0);
		assert_int_equal(packed(copy, two), size);
		assert_memory_equal(one, two, size);
		assert_int_equal(hist_max(hist), hist_max(copy));
		assert_true(hist_mean(hist) == hist_mean(copy));
		assert_int_equal(hist_quantile(hist, 0.7),
				 hist_quantile(copy, 0.7));
	}
	hist_destroy(hist);
	hist_destroy(copy);
	free(one);
	free(two);
}

/* 100,000 round trips of 35 us and a tail. */
static void takes_few_bytes(void **state)
{
	struct hist *hist = hist_create();
	uint64_t seed = 7;
	uint8_t bytes[1];
	size_t size;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		double unit = (double)(random_next(&seed) >> 11) / 0x1p53;

		hist_add(hist, (int64_t)(35000 + 4000 * -log(1 - unit)));
	}
	size = hist_pack(hist, bytes, 0);
	print_message("# 100,000 values in %zu bytes\n", size);
	assert_true(size < 2000);
	hist_destroy(hist);
}

/* Every truncation, and every byte changed to every value. */
static void refuses_bytes_that_it_did_not_write(void **state)
{
	struct hist *hist = hist_create(), *copy = hist_create();
	uint8_t bytes[256], again[256];
	size_t size;

	(void)state;
	hist_fill(hist, 3, 6);
	hist_add(hist, -5);
	size = hist_pack(hist, bytes, sizeof bytes);
	assert_true(size < sizeof bytes);
	for (size_t cut = 0; cut < size; cut++) {
		assert_int_equal(hist_unpack(copy, bytes, cut), -EBADMSG);
		assert_int_equal(hist_count(copy), 0);
	}
	bytes[size] = 0;
	assert_int_equal(hist_unpack(copy, bytes, size + 1), -EBADMSG);
	for (size_t at = 0; at < size; at++) {
		uint8_t was = bytes[at];

		for (int value = 0; value < 256; value++) {
			bytes[at] = (uint8_t)value;
			if (hist_unpack(copy, bytes, size) < 0)
				continue;
			assert_int_equal(hist_pack(copy, again, sizeof again),
					 size);
			assert_memory_equal(bytes, again, size);
		}
		bytes[at] = was;
	}
	hist_destroy(hist);
	hist_destroy(copy);
}

static void walks_its_buckets_in_order(void **state)
{
	struct hist *hist = hist_create();
	struct hist_bucket bucket = {0};
	uint64_t count = 0;
	int64_t last = INT64_MIN;

	(void)state;
	hist_fill(hist, 4, 1000);
	hist_add(hist, INT64_MIN);
	hist_add(hist, INT64_MAX);
	while (hist_next(hist, &bucket)) {
		assert_true(bucket.low <= bucket.high);
		assert_true(count == 0 || bucket.low > last);
		last = bucket.high;
		count += bucket.count;
	}
	assert_int_equal(count, hist_count(hist));
	assert_int_equal(last, INT64_MAX);
	hist_destroy(hist);
}

static const struct field_row *row_named(const char *name)
{
	for (size_t i = 0; i < hist_summary_fields.count; i++) {
		if (strcmp(hist_summary_fields.rows[i].name, name) == 0)
			return &hist_summary_fields.rows[i];
	}
	fail_msg("no row %s", name);
	return NULL;
}

static void says_no_quantile_that_it_cannot_know(void **state)
{
	struct hist *hist = hist_create();
	struct hist_summary summary;
	int64_t value;

	(void)state;
	hist_summary(hist, &summary);
	assert_false(field_present(row_named("p50"), &summary));
	for (int i = 1; i <= 200; i++)
		hist_add(hist, i);
	hist_summary(hist, &summary);
	assert_true(field_integer(row_named("p99"), &summary, &value));
	assert_int_equal(value, 198);
	assert_true(field_integer(row_named("p1"), &summary, &value));
	assert_int_equal(value, 2);
	assert_false(field_present(row_named("p99_9"), &summary));
	hist_add_count(hist, 300, 99800);
	hist_summary(hist, &summary);
	assert_true(field_present(row_named("p99_999"), &summary));
	hist_destroy(hist);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_nothing_to_say_while_empty),
		cmocka_unit_test(is_exact_below_1024),
		cmocka_unit_test(quantiles_are_off_by_1_in_1024_at_most),
		cmocka_unit_test(keeps_mean_and_deviation),
		cmocka_unit_test(merging_is_addition_in_any_order),
		cmocka_unit_test(comes_back_from_its_bytes),
		cmocka_unit_test(takes_few_bytes),
		cmocka_unit_test(refuses_bytes_that_it_did_not_write),
		cmocka_unit_test(walks_its_buckets_in_order),
		cmocka_unit_test(says_no_quantile_that_it_cannot_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
