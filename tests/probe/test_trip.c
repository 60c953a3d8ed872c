#include <string.h>

#include "check.h"

#include "probe/probe.h"

#define OFFSET_NS 5000000000 /* the other clock is 5 s ahead */

/* A trip with the points of 'set', 100 ns from each to the next. */
static struct trip trip_make(point_set set)
{
	struct trip trip = {.stamped = set};
	int64_t now = 1000000;

	for (unsigned i = 0; i < LEG_COUNT * POINT_COUNT; i++) {
		enum leg leg = i / POINT_COUNT;
		enum point point = i % POINT_COUNT;

		if (!(set & POINT_BIT(leg, point)))
			continue;
		trip.at_ns[leg][point] =
			now + (point_is_local(leg, point) ? 0 : OFFSET_NS);
		now += 100;
	}
	return trip;
}

static point_set both(enum point point)
{
	return POINT_BIT(LEG_FORWARD, point) | POINT_BIT(LEG_BACK, point);
}

static point_set socket_tier(void)
{
	return both(POINT_SEND) | both(POINT_SCHED) | both(POINT_SENT) |
	       both(POINT_RECEIVED) | both(POINT_RECEIVE);
}

static void names_the_segments_in_path_order(void **state)
{
	static const char *const names[] = {
		"forward send-sched",     "forward sched-sent",
		"forward sent-received",  "forward received-receive",
		"reflector receive-send", "back send-sched",
		"back sched-sent",        "back sent-received",
		"back received-receive",
	};
	struct segment segments[SEGMENT_MAX];
	size_t count = trip_segments(socket_tier(), segments);

	(void)state;
	assert_int_equal(count, sizeof names / sizeof names[0]);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(segments[i].name, names[i]);
		assert_int_equal(segments[i].crosses, i == 2 || i == 7);
	}
	assert_int_equal(trip_segments(0, segments), 0);
	assert_int_equal(trip_segments(both(POINT_SEND), segments), 1);
	assert_int_equal(
		trip_segments(~UINT64_C(0) >> (64 - 2 * POINT_COUNT), segments),
		SEGMENT_MAX);
}

/* Whatever offset is assumed and whatever points there are. */
static void segments_add_up_to_the_round_trip(void **state)
{
	static const int64_t offsets[] = {0, OFFSET_NS, -123456789012345};

	(void)state;
	for (unsigned extra = 0; extra < 2 * POINT_COUNT; extra++) {
		point_set set = socket_tier() | UINT64_C(1) << extra;
		struct trip trip = trip_make(set);
		struct segment segments[SEGMENT_MAX];
		size_t count = trip_segments(set, segments);

		for (size_t k = 0; k < 3; k++) {
			int64_t sum = 0, part;

			for (size_t i = 0; i < count; i++) {
				assert_true(trip_segment_ns(&trip, &segments[i],
							    offsets[k], &part));
				sum += part;
			}
			assert_int_equal(sum, (int64_t)count * 100);
		}
	}
}

static void takes_the_offset_out_of_the_path(void **state)
{
	struct trip trip = trip_make(socket_tier());
	struct segment segments[SEGMENT_MAX];
	int64_t part;

	(void)state;
	(void)trip_segments(socket_tier(), segments);
	assert_true(trip_segment_ns(&trip, &segments[2], OFFSET_NS, &part));
	assert_int_equal(part, 100);
	assert_true(trip_segment_ns(&trip, &segments[7], OFFSET_NS, &part));
	assert_int_equal(part, 100);
	assert_true(trip_segment_ns(&trip, &segments[2], 0, &part));
	assert_int_equal(part, 100 + OFFSET_NS);
}

static void a_missing_stamp_is_no_zero(void **state)
{
	struct trip trip = trip_make(socket_tier());
	struct segment segments[SEGMENT_MAX];
	int64_t part = 42;

	(void)state;
	(void)trip_segments(socket_tier(), segments);
	trip.stamped &= ~POINT_BIT(LEG_FORWARD, POINT_SENT);
	assert_false(trip_segment_ns(&trip, &segments[1], 0, &part));
	assert_false(trip_segment_ns(&trip, &segments[2], 0, &part));
	assert_true(trip_segment_ns(&trip, &segments[0], 0, &part));
	assert_false(trip_layer_ns(&trip, LAYER_WIRE, &part));
	assert_true(trip_layer_ns(&trip, LAYER_KERNEL, &part));
}

static void tells_the_round_trip_of_each_layer(void **state)
{
	struct trip trip = trip_make(socket_tier());
	int64_t ns;

	(void)state;
	assert_true(trip_layer_ns(&trip, LAYER_SOCKET, &ns));
	assert_int_equal(ns, 800); /* 900 less the reflector's 100 */
	assert_true(trip_layer_ns(&trip, LAYER_KERNEL, &ns));
	assert_int_equal(ns, 400);
	assert_true(trip_layer_ns(&trip, LAYER_WIRE, &ns));
	assert_int_equal(ns, 200);
	trip = trip_make(socket_tier() | both(POINT_SENT_HW) |
			 both(POINT_RECEIVED_HW));
	assert_true(trip_layer_ns(&trip, LAYER_WIRE, &ns));
	assert_int_equal(ns, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_the_segments_in_path_order),
		cmocka_unit_test(segments_add_up_to_the_round_trip),
		cmocka_unit_test(takes_the_offset_out_of_the_path),
		cmocka_unit_test(a_missing_stamp_is_no_zero),
		cmocka_unit_test(tells_the_round_trip_of_each_layer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
