#include "check.h"

#include "cli/rtt_private.h"

#define BOTH(point) (POINT_BIT(LEG_FORWARD, point) | POINT_BIT(LEG_BACK, point))

static const point_set points = BOTH(POINT_SEND) | BOTH(POINT_SCHED) |
				BOTH(POINT_SENT) | BOTH(POINT_RECEIVED) |
				BOTH(POINT_RECEIVE);

/* Nanoseconds from point to point of the first packet, and how much more
 * they take in each that follows. */
static const struct {
	enum leg leg;
	enum point point;
	int64_t ns, more_ns;
} walk[] = {
	{LEG_FORWARD, POINT_SEND, 0, 0},
	{LEG_FORWARD, POINT_SCHED, 1500, 10},
	{LEG_FORWARD, POINT_SENT, 400, 1},
	{LEG_FORWARD, POINT_RECEIVED, 10000, 0},
	{LEG_FORWARD, POINT_RECEIVE, 20000, 100},
	{LEG_BACK, POINT_SEND, 600, 2},
	{LEG_BACK, POINT_SCHED, 1400, 10},
	{LEG_BACK, POINT_SENT, 400, 1},
	{LEG_BACK, POINT_RECEIVED, 10000, 0},
	{LEG_BACK, POINT_RECEIVE, 5000, 50},
};

static struct trip trip_of(uint32_t seq)
{
	struct trip trip = {.seq = seq, .slot_ns = seq * INT64_C(1000000)};
	int64_t at_ns = INT64_C(1700000000000000000) + trip.slot_ns;

	for (size_t i = 0; i < sizeof walk / sizeof *walk; i++) {
		bool local = point_is_local(walk[i].leg, walk[i].point);

		at_ns += walk[i].ns + walk[i].more_ns * (seq % 100);
		trip.at_ns[walk[i].leg][walk[i].point] =
			at_ns + (local ? 0 : 5000000);
		trip.stamped |= POINT_BIT(walk[i].leg, walk[i].point);
	}
	trip.rtt_ns = trip.at_ns[LEG_BACK][POINT_RECEIVE] -
		      trip.at_ns[LEG_FORWARD][POINT_SEND];
	if (seq % 250 == 17)
		trip.stamped &= ~POINT_BIT(LEG_BACK, POINT_SENT);
	if (seq % 200 == 3) {
		trip.flags = TRIP_LOST | TRIP_LEG_KNOWN |
			     (seq == 3 ? TRIP_LOST_BACK : 0);
		trip.stamped = POINT_BIT(LEG_FORWARD, POINT_SEND);
	}
	if (seq == 400)
		trip.flags = TRIP_SKIPPED;
	return trip;
}

static void result_make(struct rtt_options *options, struct rtt_result *result)
{
	*options = (struct rtt_options){.timeout_ns = NS_PER_S};
	*result = (struct rtt_result){
		.options = options,
		.host = "host.example",
		.address = "192.0.2.1:862",
		.rate_hz = 1000,
		.size = 252,
	};
	assert_int_equal(rtt_result_init(result), 0);
	for (uint32_t seq = 0; seq < 1000; seq++) {
		struct trip trip = trip_of(seq);

		assert_int_equal(rtt_result_trip(result, &trip, points), 0);
	}
	rtt_result_end(result);
}

static const char golden[] =
#include "rtt_golden.h"
	;

static void the_table_is_the_golden_one(void **state)
{
	struct rtt_options options;
	struct rtt_result result;
	char *text;
	size_t size, width = 0;
	FILE *to = open_memstream(&text, &size);

	(void)state;
	result_make(&options, &result);
	rtt_table_print(&result, 80, to);
	fclose(to);
	if (strcmp(text, golden) != 0)
		fputs(text, stderr);
	assert_string_equal(text, golden);
	for (const char *line = text; *line; line += width + 1) {
		width = strcspn(line, "\n");
		assert_true(width <= 80);
	}
	free(text);
	rtt_result_fini(&result);
}

static void shares_are_a_whole(void **state)
{
	struct rtt_options options;
	struct rtt_result result;
	struct rtt_shares shares;
	double sum = 0;

	(void)state;
	result_make(&options, &result);
	rtt_shares(&result, &shares);
	assert_true(shares.known);
	assert_int_equal(shares.count, 9);
	for (size_t i = 0; i < shares.count; i++)
		sum += shares.share[i];
	assert_true(sum > 0.9999 && sum < 1.0001);
	sum = shares.owners[OWNER_APPLICATION] + shares.owners[OWNER_KERNEL] +
	      shares.owners[OWNER_PATH];
	assert_true(sum > 0.9999 && sum < 1.0001);
	rtt_result_fini(&result);
}

static void every_segment_has_the_right_owner(void **state)
{
	static const struct {
		enum leg from_leg;
		enum point from;
		enum leg to_leg;
		enum point to;
		enum rtt_owner owner;
		bool remote;
	} rows[] = {
		{0, POINT_SEND, 0, POINT_SCHED, OWNER_KERNEL, false},
		{0, POINT_DRIVER, 0, POINT_SENT, OWNER_KERNEL, false},
		{0, POINT_SENT, 0, POINT_RECEIVED, OWNER_PATH, true},
		{0, POINT_RECEIVED, 0, POINT_RECEIVE, OWNER_APPLICATION, true},
		{0, POINT_RECEIVED, 0, POINT_STACK, OWNER_KERNEL, true},
		{0, POINT_STACK, 0, POINT_READY, OWNER_KERNEL, true},
		{0, POINT_READY, 0, POINT_WAKING, OWNER_APPLICATION, true},
		{0, POINT_WAKING, 0, POINT_RUNNING, OWNER_APPLICATION, true},
		{0, POINT_RECEIVE, 1, POINT_SEND, OWNER_APPLICATION, true},
		{1, POINT_SEND, 1, POINT_SCHED, OWNER_KERNEL, true},
		{1, POINT_SENT, 1, POINT_RECEIVED, OWNER_PATH, false},
		{1, POINT_RECEIVED, 1, POINT_READY, OWNER_KERNEL, false},
		{1, POINT_RETURN, 1, POINT_RECEIVE, OWNER_APPLICATION, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct segment segments[SEGMENT_MAX];

		assert_int_equal(
			trip_segments(
				POINT_BIT(rows[i].from_leg, rows[i].from) |
					POINT_BIT(rows[i].to_leg, rows[i].to),
				segments),
			1);
		assert_int_equal(rtt_owner(&segments[0]), rows[i].owner);
		if (rows[i].owner != OWNER_PATH)
			assert_int_equal(rtt_remote(&segments[0]),
					 rows[i].remote);
	}
}

static void times_are_short_and_right(void **state)
{
	static const struct {
		int64_t ns;
		const char *brief, *text;
	} rows[] = {
		{0, "0n", "0 ns"},
		{999, "999n", "999 ns"},
		{1000, "1.00u", "1.00 us"},
		{9994, "9.99u", "9.99 us"},
		{9996, "10.0u", "10.0 us"},
		{99960, "100u", "100 us"},
		{999400, "999u", "999 us"},
		{999600, "1.00m", "1.00 ms"},
		{1234567890, "1.23s", "1.23 s"},
		{-1500, "-1.5u", "-1.50 us"},
		{-250, "-250n", "-250 ns"},
		{INT64_MAX, "9223372037s", "9223372037 s"},
	};
	char text[TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_string_equal(rtt_ns_short(rows[i].ns, text),
				    rows[i].brief);
		assert_string_equal(rtt_ns_text(rows[i].ns, text),
				    rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_the_golden_one),
		cmocka_unit_test(shares_are_a_whole),
		cmocka_unit_test(every_segment_has_the_right_owner),
		cmocka_unit_test(times_are_short_and_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
