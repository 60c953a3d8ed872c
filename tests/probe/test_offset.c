#include <errno.h>
#include <inttypes.h>

#include "check.h"

#include "model.h"

/* How often the truth was inside, and how wide the interval was. */
struct score {
	uint64_t trips, inside, inside_after, known;
	double width, width_after, socket_rtt, wire_rtt;
	uint32_t steps;
};

struct kept {
	struct trip trip;
	struct truth truth;
};

static bool contains(const struct offset_reading *reading, int64_t offset_ns)
{
	return reading->low_ns <= offset_ns && offset_ns <= reading->high_ns;
}

/* Each trip twice: when it comes, and after the end. */
static struct score run(struct model *model, uint32_t count)
{
	struct kept *kept = calloc(count, sizeof *kept);
	struct offset_reading reading;
	struct score score = {0};
	struct offset *offset;

	assert_int_equal(offset_create(NULL, &offset), 0);
	for (uint32_t seq = 0; seq < count; seq++) {
		struct kept *one = &kept[seq];
		int64_t socket_ns, wire_ns;

		model_trip(model, seq, &one->trip, &one->truth);
		if (!offset_trip(offset, &one->trip, &reading) ||
		    (one->trip.flags & TRIP_LOST) ||
		    !trip_layer_ns(&one->trip, LAYER_SOCKET, &socket_ns) ||
		    !trip_layer_ns(&one->trip, LAYER_WIRE, &wire_ns))
			continue;
		score.known++;
		score.inside += contains(&reading, one->truth.offset_ns);
		score.width += (double)(reading.high_ns - reading.low_ns);
		score.socket_rtt += (double)socket_ns;
		score.wire_rtt += (double)wire_ns;
	}
	offset_end(offset);
	for (uint32_t seq = 0; seq < count; seq++) {
		if ((kept[seq].trip.flags & TRIP_LOST) ||
		    !offset_at(offset, &kept[seq].trip, &reading))
			continue;
		score.trips++;
		score.inside_after +=
			contains(&reading, kept[seq].truth.offset_ns);
		score.width_after += (double)(reading.high_ns - reading.low_ns);
	}
	score.steps = offset_steps(offset);
	offset_destroy(offset);
	free(kept);
	return score;
}

static struct model veth(uint64_t seed)
{
	return (struct model){
		.random = seed,
		.points = model_points_socket(),
		.interval_ns = 1000000,
		.offset_ns = 3e9,
		.drift_ppm = 20,
		.wire_ns = {200, 300},
		.queue_ns = {60, 150},
	};
}

/* Any path, any clock: +-10 s, +-100 ppm, 10:1 either way, loss. */
static struct model any_path(uint64_t seed)
{
	struct model model = veth(seed);
	double fast, lopsided;

	model.interval_ns = (int64_t)model_scale(&model, 1e5, 1e8);
	model.offset_ns = model_between(&model, -1e10, 1e10);
	model.drift_ppm = model_between(&model, -100, 100);
	fast = model_scale(&model, 300, 2e7);
	lopsided = model_unit(&model) < 0.5 ? 10 : 0.1;
	model.wire_ns[LEG_FORWARD] = fast;
	model.wire_ns[LEG_BACK] = fast * lopsided;
	model.queue_ns[LEG_FORWARD] = fast * model_scale(&model, 0.01, 1);
	model.queue_ns[LEG_BACK] =
		fast * lopsided * model_scale(&model, 0.01, 1);
	model.loss = model_between(&model, 0, 0.05);
	model.missing = model_between(&model, 0, 0.01);
	return model;
}

static void check_share(const char *what, uint64_t part, uint64_t whole,
			double least)
{
	double share = (double)part / (double)whole;

	print_message("# %s: %.4f %%\n", what, 100 * share);
	if (share < least)
		fail_msg("%s: %" PRIu64 " of %" PRIu64, what, part, whole);
}

static void contains_the_truth_on_any_path(void **state)
{
	struct score sum = {0};

	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct model model = any_path(seed);
		struct score score = run(&model, 2000);

		sum.known += score.known;
		sum.inside += score.inside;
		sum.trips += score.trips;
		sum.inside_after += score.inside_after;
		sum.steps += score.steps;
	}
	print_message("# steps believed that there were not: %u of 50 runs\n",
		      sum.steps);
	check_share("inside at once", sum.inside, sum.known, 0.9999);
	check_share("inside after the end", sum.inside_after, sum.trips,
		    0.9999);
}

/* One step in each run, of 1 us to 10 s, forward or back. */
static void contains_the_truth_across_a_step(void **state)
{
	struct score sum = {0};
	uint64_t worst_runs = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct model model = any_path(seed * 77);
		struct score score;

		model.step_at = (uint32_t)model_between(&model, 10, 1990);
		model.step_ns = model_scale(&model, 1e3, 1e10) *
				(model_unit(&model) < 0.5 ? 1 : -1);
		score = run(&model, 2000);
		sum.known += score.known;
		sum.inside += score.inside;
		sum.trips += score.trips;
		sum.inside_after += score.inside_after;
		if (score.inside_after * 100 < score.trips * 99 ||
		    score.inside * 100 < score.known * 99) {
			worst_runs++;
			print_message(
				"# seed %" PRIu64 ": step %.0f at %u, "
				"wire %.0f %.0f queue %.0f %.0f: "
				"%" PRIu64 " %" PRIu64 " of %" PRIu64 "\n",
				seed, model.step_ns, model.step_at,
				model.wire_ns[0], model.wire_ns[1],
				model.queue_ns[0], model.queue_ns[1],
				score.inside, score.inside_after, score.known);
		}
	}
	check_share("inside at once", sum.inside, sum.known, 0.99);
	check_share("inside after the end", sum.inside_after, sum.trips, 0.99);
	print_message("# runs below 99 %%: %" PRIu64 " of 100\n", worst_runs);
	assert_true(worst_runs <= 1);
}

/* The bar: half the round trip is what others say. */
static void is_far_tighter_than_half_a_round_trip_on_veth(void **state)
{
	struct model model = veth(5);
	struct score score = run(&model, 5000);
	double width = score.width / (double)score.known / 2;
	double width_after = score.width_after / (double)score.trips / 2;
	double half = score.socket_rtt / (double)score.known / 2;

	(void)state;
	print_message("# +-%.0f ns at once, +-%.0f ns after the end; "
		      "half the round trip %.0f ns, of the wire %.0f ns\n",
		      width, width_after, half,
		      score.wire_rtt / (double)score.known / 2);
	check_share("inside", score.inside, score.known, 0.9999);
	assert_true(width * 2 < half);
	assert_true(width_after * 2 < half);
	assert_true(width_after < 500);
}

static void knows_the_drift(void **state)
{
	struct model model = veth(6);
	struct offset_reading reading = {0};
	struct offset *offset;
	struct truth truth;
	struct trip trip;

	(void)state;
	model.drift_ppm = -37.5;
	assert_int_equal(offset_create(NULL, &offset), 0);
	for (uint32_t seq = 0; seq < 20000; seq++) {
		model_trip(&model, seq, &trip, &truth);
		(void)offset_trip(offset, &trip, &reading);
	}
	print_message("# %.4f ppm, from %.4f to %.4f\n", reading.drift_ppm,
		      reading.drift_low_ppm, reading.drift_high_ppm);
	assert_true(reading.drift_low_ppm <= -37.5 &&
		    reading.drift_high_ppm >= -37.5);
	assert_true(reading.drift_high_ppm - reading.drift_low_ppm < 0.3);
	offset_destroy(offset);
}

/* A wrong stamp is no step; a step is one. */
static void tells_a_wrong_stamp_from_a_step(void **state)
{
	struct model model = veth(8);
	struct offset_reading reading = {0};
	struct offset *offset;
	struct truth truth;
	struct trip trip;

	(void)state;
	model.step_at = 1000;
	model.step_ns = -250000;
	assert_int_equal(offset_create(NULL, &offset), 0);
	for (uint32_t seq = 0; seq < 2000; seq++) {
		model_trip(&model, seq, &trip, &truth);
		if (seq == 500) {
			trip.at_ns[LEG_FORWARD][POINT_RECEIVED] -= 90000;
			trip.at_ns[LEG_FORWARD][POINT_RECEIVE] -= 90000;
			trip.at_ns[LEG_BACK][POINT_SEND] -= 90000;
			trip.at_ns[LEG_BACK][POINT_SENT] -= 90000;
		}
		assert_true(offset_trip(offset, &trip, &reading));
		if (seq == 999)
			assert_int_equal(offset_steps(offset), 0);
		if (seq != 500 && !contains(&reading, truth.offset_ns))
			fail_msg("packet %u", seq);
	}
	assert_int_equal(offset_steps(offset), 1);
	offset_destroy(offset);
}

/* The path grows longer one way: no clock moved. */
static void takes_no_longer_path_for_a_step(void **state)
{
	(void)state;
	for (int fault = FAULT_PATH_FORWARD; fault <= FAULT_PATH_BACK;
	     fault++) {
		struct model model = veth(9);
		struct score score;

		model.fault = (enum model_fault)fault;
		model.fault_ns = 300000;
		model.from = 700;
		model.to = 1400;
		score = run(&model, 2000);
		assert_int_equal(score.steps, 0);
		assert_int_equal(score.inside, score.known);
		assert_int_equal(score.inside_after, score.trips);
	}
}

/* Ours was set: the sender voids what was under way. */
static void begins_anew_after_void_trips(void **state)
{
	struct model model = veth(10);
	struct offset_reading reading = {0};
	struct offset *offset;
	struct truth truth;
	struct trip trip;
	uint32_t before = 0;

	(void)state;
	model.step_at = 100;
	model.step_ns = 40; /* below what can be seen */
	assert_int_equal(offset_create(NULL, &offset), 0);
	for (uint32_t seq = 0; seq < 200; seq++) {
		model_trip(&model, seq, &trip, &truth);
		if (seq >= 98 && seq < 102)
			trip.flags |= TRIP_VOID;
		if (seq >= 98 && seq < 102)
			assert_false(offset_trip(offset, &trip, &reading));
		else
			assert_true(offset_trip(offset, &trip, &reading));
		if (seq == 97)
			before = reading.regime;
		if (seq == 102)
			assert_true(reading.regime > before &&
				    reading.trips == 1);
	}
	assert_int_equal(offset_steps(offset), 1);
	offset_destroy(offset);
}

static void one_ways_contain_the_true_delays(void **state)
{
	struct model model = veth(11);
	struct offset_reading reading;
	struct offset *offset;
	struct truth truth;
	struct trip trip;
	struct one_way way;

	(void)state;
	assert_int_equal(offset_create(NULL, &offset), 0);
	for (uint32_t seq = 0; seq < 1000; seq++) {
		model_trip(&model, seq, &trip, &truth);
		assert_true(offset_trip(offset, &trip, &reading));
		for (int i = 0; i < LEG_COUNT * LAYER_COUNT; i++) {
			int64_t right = truth.one_way_ns[i / LAYER_COUNT]
							[i % LAYER_COUNT];

			assert_true(trip_one_way(&trip, i / LAYER_COUNT,
						 i % LAYER_COUNT, &reading,
						 &way));
			/* 20 ppm within the trip, and rounding */
			assert_true(way.low_ns <= right + 3 &&
				    way.high_ns >= right - 3);
			assert_true(way.low_ns <= way.best_ns &&
				    way.best_ns <= way.high_ns);
		}
	}
	offset_destroy(offset);
}

/* Five milliseconds in the reflector at 100 ppm are 500 ns, twice what the
 * interval leaves: no step, and the delays have the truth all the same. */
static void drifts_on_while_a_packet_is_under_way(void **state)
{
	(void)state;
	for (int sign = -1; sign <= 1; sign += 2) {
		struct model model = veth(13);
		struct offset_reading reading;
		struct offset *offset;

		model.drift_ppm = 100 * sign;
		model.fault = FAULT_PAUSE;
		model.host = HOST_REMOTE;
		model.fault_ns = 5e6;
		model.share = 0.3;
		model.to = UINT32_MAX;
		assert_int_equal(offset_create(NULL, &offset), 0);
		for (uint32_t seq = 0; seq < 3000; seq++) {
			struct truth truth;
			struct trip trip;
			struct one_way way;

			model_trip(&model, seq, &trip, &truth);
			assert_true(offset_trip(offset, &trip, &reading));
			for (enum leg leg = 0; leg < LEG_COUNT; leg++) {
				int64_t right =
					truth.one_way_ns[leg][LAYER_WIRE];

				assert_true(trip_one_way(&trip, leg, LAYER_WIRE,
							 &reading, &way));
				assert_true(way.low_ns <= right + 3 &&
					    way.high_ns >= right - 3);
			}
		}
		assert_int_equal(offset_steps(offset), 0);
		offset_destroy(offset);
	}
}

static void says_nothing_without_stamps_of_both_hosts(void **state)
{
	struct model model = veth(12);
	struct offset_options wrong = {.drift_max_ppm = -1};
	struct offset_reading reading;
	struct offset *offset;
	struct truth truth;
	struct trip trip;

	(void)state;
	assert_int_equal(offset_create(&wrong, &offset), -EINVAL);
	model.points &= POINT_BIT(LEG_FORWARD, POINT_SEND) |
			POINT_BIT(LEG_BACK, POINT_RECEIVE);
	assert_int_equal(offset_create(NULL, &offset), 0);
	for (uint32_t seq = 0; seq < 50; seq++) {
		model_trip(&model, seq, &trip, &truth);
		assert_false(offset_trip(offset, &trip, &reading));
		assert_false(offset_at(offset, &trip, &reading));
	}
	offset_destroy(offset);
	offset_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contains_the_truth_on_any_path),
		cmocka_unit_test(contains_the_truth_across_a_step),
		cmocka_unit_test(is_far_tighter_than_half_a_round_trip_on_veth),
		cmocka_unit_test(knows_the_drift),
		cmocka_unit_test(tells_a_wrong_stamp_from_a_step),
		cmocka_unit_test(takes_no_longer_path_for_a_step),
		cmocka_unit_test(begins_anew_after_void_trips),
		cmocka_unit_test(one_ways_contain_the_true_delays),
		cmocka_unit_test(drifts_on_while_a_packet_is_under_way),
		cmocka_unit_test(says_nothing_without_stamps_of_both_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
