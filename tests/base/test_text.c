#include "check.h"

#include "base/stamp.h"
#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void groups_digits_by_three(void **state)
{
	char text[TEXT_SIZE];

	(void)state;
	assert_string_equal(text_thousands(0, text), "0");
	assert_string_equal(text_thousands(999, text), "999");
	assert_string_equal(text_thousands(1000, text), "1,000");
	assert_string_equal(text_thousands(UINT64_MAX, text),
			    "18,446,744,073,709,551,615");
}

static const struct {
	double value;
	const char *count, *rate, *bytes;
} scaled[] = {
	{0, "0", "0 bit/s", "0 B"},
	{0.4, "0", "0 bit/s", "0 B"},
	{999.4, "999", "999 bit/s", "999 B"},
	{999.6, "1.00k", "1.00 kbit/s", "1.00 kB"},
	{1000, "1.00k", "1.00 kbit/s", "1.00 kB"},
	{9994, "9.99k", "9.99 kbit/s", "9.99 kB"},
	{9996, "10.0k", "10.0 kbit/s", "10.0 kB"},
	{12345, "12.3k", "12.3 kbit/s", "12.3 kB"},
	{99949, "99.9k", "99.9 kbit/s", "99.9 kB"},
	{99960, "100k", "100 kbit/s", "100 kB"},
	{999499, "999k", "999 kbit/s", "999 kB"},
	{999500, "1.00M", "1.00 Mbit/s", "1.00 MB"},
	{10e9, "10.0G", "10.0 Gbit/s", "10.0 GB"},
	{18446744073709551615.0, "18.4E", "18.4 Ebit/s", "18.4 EB"},
};

static void keeps_three_digits_at_every_scale(void **state)
{
	char text[TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(scaled); i++) {
		assert_string_equal(text_count(scaled[i].value, text),
				    scaled[i].count);
		assert_string_equal(text_rate_bits(scaled[i].value, text),
				    scaled[i].rate);
		assert_string_equal(text_bytes(scaled[i].value, text),
				    scaled[i].bytes);
	}
}

static const struct {
	int64_t s;
	const char *age, *exact;
} spans[] = {
	{0, "0s", "0"},         {59, "59s", "59s"},
	{60, "1m00s", "1m"},    {3599, "59m59s", "3599s"},
	{3600, "1h00m", "1h"},  {86399, "23h59m", "86399s"},
	{86400, "1d00h", "1d"}, {7 * 86400 + 3600, "7d01h", "169h"},
};

static void writes_spans_for_people_and_exactly(void **state)
{
	char text[TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(spans); i++) {
		assert_string_equal(text_age(spans[i].s * NS_PER_S, text),
				    spans[i].age);
		assert_string_equal(
			text_duration_exact(spans[i].s * NS_PER_S, text),
			spans[i].exact);
	}
	assert_string_equal(text_age(-5, text), "0s");
	assert_string_equal(text_duration_exact(1500000000, text), "1500ms");
	assert_string_equal(text_duration_exact(1, text), "1ns");
	assert_string_equal(text_size_exact(0, text), "0");
	assert_string_equal(text_size_exact(1023, text), "1023");
	assert_string_equal(text_size_exact(INT64_C(3) << 40, text), "3T");
}

static void counts_edits_with_dash_and_underscore_as_one(void **state)
{
	(void)state;
	assert_int_equal(text_distance("", ""), 0);
	assert_int_equal(text_distance("", "abc"), 3);
	assert_int_equal(text_distance("ring_size", "ring-size"), 0);
	assert_int_equal(text_distance("Flows", "flows"), 0);
	assert_int_equal(text_distance("flwos", "flows"), 1);
	assert_int_equal(text_distance("kitten", "sitting"), 3);
	assert_true(text_near("flws", "flows"));
	assert_true(text_near("doc", "doctor"));
	assert_true(text_near("workres", "workers"));
	assert_false(text_near("", "run"));
	assert_false(text_near("xyzzy", "flows"));
	assert_false(text_near("at", "run"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_digits_by_three),
		cmocka_unit_test(keeps_three_digits_at_every_scale),
		cmocka_unit_test(writes_spans_for_people_and_exactly),
		cmocka_unit_test(counts_edits_with_dash_and_underscore_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
