#include <errno.h>
#include <inttypes.h>

#include "base/hist.h"
#include "check.h"

#include "model.h"

#define BYTES_MAX (1 << 18)

static struct model plain(uint64_t seed)
{
	return (struct model){
		.random = seed,
		.points = model_points_socket(),
		.interval_ns = 1000000,
		.offset_ns = -7e9,
		.drift_ppm = 3,
		.wire_ns = {5000, 8000},
		.queue_ns = {500, 900},
	};
}

static struct tally *tally_new(point_set points)
{
	struct tally_options options = {.points = points};
	struct tally *tally;

	assert_int_equal(tally_create(&options, &tally), 0);
	return tally;
}

/* A trip with the ends stamped and nothing else: sent at 'slot', answered
 * 'rtt' later. */
static struct trip trip_of(uint32_t seq, int64_t slot_ns, int64_t rtt_ns)
{
	struct trip trip = {
		.seq = seq,
		.slot_ns = slot_ns,
		.stamped = POINT_BIT(LEG_FORWARD, POINT_SEND) |
			   POINT_BIT(LEG_BACK, POINT_RECEIVE),
		.reflected_seq = seq,
	};

	trip.at_ns[LEG_FORWARD][POINT_SEND] = slot_ns;
	trip.at_ns[LEG_BACK][POINT_RECEIVE] = slot_ns + rtt_ns;
	return trip;
}

static void check_sums(const struct tally_counters *sums)
{
	assert_int_equal(sums->slots,
			 sums->sent + sums->skipped + sums->failed);
	assert_int_equal(sums->sent,
			 sums->answered + sums->lost_forward + sums->lost_back +
				 sums->lost_unknown + sums->void_trips);
}

/* Random fates, counted beside. */
static void every_slot_is_in_the_account(void **state)
{
	struct tally *tally = tally_new(model_points_socket());
	struct model model = plain(1);
	struct tally_counters sums, right = {0};
	struct truth truth;
	struct trip trip;

	(void)state;
	model.loss = 0.1;
	for (uint32_t seq = 0; seq < 5000; seq++) {
		double dice = model_unit(&model);

		model_trip(&model, seq, &trip, &truth);
		right.slots++;
		if (dice < 0.05) {
			trip.flags = TRIP_SKIPPED;
			right.skipped++;
		} else if (dice < 0.1) {
			trip.flags = TRIP_FAILED;
			right.failed++;
		} else if (dice < 0.15) {
			trip.flags |= TRIP_VOID;
			right.void_trips++;
		} else if (truth.lost[LEG_FORWARD]) {
			right.lost_forward++;
		} else if (truth.lost[LEG_BACK]) {
			right.lost_back++;
		} else {
			trip.duplicates[LEG_BACK] = dice < 0.3;
			right.duplicates_back += dice < 0.3;
			right.answered++;
			right.complete++;
		}
		tally_trip(tally, &trip, NULL);
	}
	tally_end(tally);
	sums = tally_counters(tally);
	check_sums(&sums);
	right.sent = right.slots - right.skipped - right.failed;
	right.corrected = sums.corrected;
	right.arrived_forward = right.answered + right.lost_back;
	right.arrived_back = right.answered;
	assert_memory_equal(&sums, &right, sizeof sums);
	assert_int_equal(hist_count(tally_hist(tally, TALLY_RTT)),
			 right.answered);
	assert_int_equal(hist_count(tally_hist(tally, TALLY_RTT_CORRECTED)),
			 right.answered + sums.corrected);
	tally_destroy(tally);
	tally_destroy(NULL);
}

static void a_missing_stamp_is_counted_and_never_a_value(void **state)
{
	struct tally *tally = tally_new(model_points_socket());
	struct model model = plain(2);
	struct segment segments[SEGMENT_MAX];
	struct truth truth;
	struct trip trip;

	(void)state;
	for (uint32_t seq = 0; seq < 100; seq++) {
		model_trip(&model, seq, &trip, &truth);
		if (seq % 4 == 0)
			trip.stamped &= ~POINT_BIT(LEG_BACK, POINT_SCHED);
		if (seq % 10 == 0) {
			trip.flags |= TRIP_UNSTAMPED;
			trip.stamped &= ~POINT_BIT(LEG_FORWARD, POINT_SENT);
		}
		tally_trip(tally, &trip, NULL);
	}
	tally_end(tally);
	assert_int_equal(tally_missing(tally, LEG_BACK, POINT_SCHED), 25);
	assert_int_equal(tally_missing(tally, LEG_FORWARD, POINT_SENT), 0);
	assert_int_equal(tally_counters(tally).complete, 70);
	assert_int_equal(tally_segments(tally, segments), 9);
	assert_int_equal(hist_count(tally_segment(tally, 1)), 90);
	assert_int_equal(hist_count(tally_segment(tally, 2)), 0);
	assert_int_equal(hist_count(tally_segment(tally, 5)), 75);
	assert_true(hist_min(tally_segment(tally, 5)) > 0);
	assert_int_equal(hist_count(tally_hist(tally, TALLY_KERNEL)), 75);
	tally_destroy(tally);
}

/* 100 slots of 1 ms, then the sender stalls for 50 ms. */
static void tells_what_a_stall_hides(void **state)
{
	struct tally *tally = tally_new(0);
	const struct hist *corrected = tally_hist(tally, TALLY_RTT_CORRECTED);
	struct trip trip;

	(void)state;
	for (uint32_t seq = 0; seq < 100; seq++) {
		trip = trip_of(seq, seq * INT64_C(1000000), 1000);
		tally_trip(tally, &trip, NULL);
	}
	for (uint32_t seq = 100; seq < 150; seq++) {
		trip = trip_of(seq, seq * INT64_C(1000000), 0);
		trip.flags = TRIP_SKIPPED;
		tally_trip(tally, &trip, NULL);
	}
	trip = trip_of(150, INT64_C(150000000), 1000);
	trip.flags = TRIP_LATE;
	trip.late_ns = 500;
	tally_trip(tally, &trip, NULL);
	tally_end(tally);
	assert_int_equal(hist_max(tally_hist(tally, TALLY_RTT)), 1000);
	assert_int_equal(hist_count(corrected), 151);
	assert_int_equal(hist_max(corrected), 50000000 + 500 + 1000);
	assert_int_equal(hist_quantile(corrected, 101.0 / 151), 1500);
	assert_in_range(hist_quantile(corrected, 102.0 / 151), 1000500,
			1002500);
	assert_int_equal(tally_counters(tally).corrected, 50);
	assert_int_equal(tally_counters(tally).late, 1);
	tally_destroy(tally);
}

/* RFC 3550, appendix A.8, as it is written there. */
static uint32_t a8(uint32_t *jitter, uint32_t *last, uint32_t transit)
{
	int d = (int)(transit - *last);

	*last = transit;
	if (d < 0)
		d = -d;
	*jitter += (uint32_t)d - ((*jitter + 8) >> 4);
	return *jitter >> 4;
}

static void jitter_is_that_of_rfc_3550_to_the_bit(void **state)
{
	struct jitter jitter = {0};
	struct model model = {.random = 3};
	uint32_t reference = 0, last = 5000;

	(void)state;
	jitter_add(&jitter, 5000);
	for (int i = 0; i < 100000; i++) {
		uint32_t transit = (uint32_t)model_scale(&model, 100, 1e7);

		jitter_add(&jitter, transit);
		assert_int_equal(jitter_ns(&jitter),
				 a8(&reference, &last, transit));
		assert_int_equal(jitter.scaled, reference);
	}
}

/* Sent every 1000 ns, received there in this order, 100 ns apart. */
static struct tally *arrivals(const uint32_t *order, size_t count, bool told)
{
	struct tally *tally = tally_new(0);
	uint32_t highest = 0;
	struct trip trips[32];

	for (size_t i = 0; i < count; i++) {
		struct trip *trip = &trips[order[i] - 1];

		*trip = trip_of(order[i], order[i] * INT64_C(1000), 50000);
		trip->at_ns[LEG_FORWARD][POINT_RECEIVED] =
			20000 + (int64_t)i * 100;
		trip->stamped |= POINT_BIT(LEG_FORWARD, POINT_RECEIVED);
		if (told)
			trip->flags |= TRIP_LEG_KNOWN;
		if (told && order[i] < highest)
			trip->flags |= TRIP_OVERTAKEN(LEG_FORWARD);
		if (order[i] > highest)
			highest = order[i];
	}
	for (size_t i = 0; i < count; i++)
		tally_trip(tally, &trips[i], NULL);
	tally_end(tally);
	return tally;
}

/* RFC 4737 section 8: its three examples. */
static const struct {
	uint32_t order[12];
	size_t count;
	uint64_t reordered;
	int64_t extent_min, extent_max, late_max, n_min, n_max;
} orders[] = {
	{{1, 2, 3, 5, 6, 7, 8, 4, 9, 10}, 10, 1, 4, 4, 400, 4, 4},
	{{1, 2, 3, 4, 7, 5, 6, 8, 9, 10}, 10, 2, 1, 2, 200, 0, 1},
	{{1, 2, 3, 7, 8, 9, 10, 4, 5, 6, 11}, 11, 3, 4, 6, 600, 0, 4},
	{{1, 2, 3, 4, 5}, 5, 0, 0, 0, 0, 0, 0},
};

static void order_is_that_of_rfc_4737(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * sizeof orders / sizeof *orders; i++) {
		size_t at = i / 2;
		struct tally *tally =
			arrivals(orders[at].order, orders[at].count, i & 1);
		const struct hist *extent =
			tally_hist(tally, TALLY_EXTENT_FORWARD);
		const struct hist *n =
			tally_hist(tally, TALLY_N_REORDERED_FORWARD);

		assert_int_equal(tally_counters(tally).reordered_forward,
				 orders[at].reordered);
		assert_int_equal(tally_counters(tally).reordered_back, 0);
		assert_int_equal(hist_count(extent), orders[at].reordered);
		assert_int_equal(hist_min(extent), orders[at].extent_min);
		assert_int_equal(hist_max(extent), orders[at].extent_max);
		assert_int_equal(hist_min(n), orders[at].n_min);
		assert_int_equal(hist_max(n), orders[at].n_max);
		assert_int_equal(
			hist_max(tally_hist(tally, TALLY_LATE_TIME_FORWARD)),
			orders[at].late_max);
		tally_destroy(tally);
	}
}

/* 200,000 packets, one in 100 held back by up to 300 places. */
static void counts_each_of_many_reordered(void **state)
{
	struct tally *tally = tally_new(0);
	struct model model = {.random = 4};
	uint64_t reordered = 0;
	enum { COUNT = 200000, HELD = 300 };
	static int64_t held[COUNT + 2 * HELD];

	(void)state;
	for (int64_t seq = 0; seq < COUNT; seq++)
		held[seq] = model_unit(&model) < 0.01
				    ? (int64_t)(model_unit(&model) * HELD)
				    : 0;
	for (int64_t seq = 0; seq < COUNT; seq++) {
		struct trip trip = trip_of((uint32_t)seq, seq * 1000, 400000);

		trip.at_ns[LEG_FORWARD][POINT_RECEIVED] =
			(seq + held[seq]) * 1000 + (held[seq] > 0);
		trip.stamped |= POINT_BIT(LEG_FORWARD, POINT_RECEIVED);
		tally_trip(tally, &trip, NULL);
		/* overtaken if any later one arrives before it */
		for (int64_t by = 1; by <= held[seq]; by++) {
			if (held[seq + by] + by <= held[seq] &&
			    seq + by < COUNT &&
			    (held[seq + by] + by < held[seq] ||
			     held[seq + by] == 0)) {
				reordered++;
				break;
			}
		}
	}
	tally_end(tally);
	assert_int_equal(tally_counters(tally).reordered_forward, reordered);
	assert_true(reordered > COUNT / 150);
	tally_destroy(tally);
}

/* RFC 3357: lost are 3, 4, 8 of 10. */
static void losses_have_periods_and_distances(void **state)
{
	struct tally *tally = tally_new(0);

	(void)state;
	for (uint32_t seq = 1; seq <= 10; seq++) {
		struct trip trip = trip_of(seq, seq * INT64_C(1000), 500);

		if (seq == 3 || seq == 4 || seq == 8)
			trip.flags = TRIP_LOST | TRIP_LEG_KNOWN |
				     (seq == 8 ? TRIP_LOST_BACK : 0);
		tally_trip(tally, &trip, NULL);
	}
	tally_end(tally);
	assert_int_equal(hist_count(tally_hist(tally, TALLY_LOSS_PERIOD)), 2);
	assert_int_equal(hist_max(tally_hist(tally, TALLY_LOSS_PERIOD)), 2);
	assert_int_equal(hist_min(tally_hist(tally, TALLY_LOSS_DISTANCE)), 1);
	assert_int_equal(hist_max(tally_hist(tally, TALLY_LOSS_DISTANCE)), 4);
	assert_int_equal(hist_max(tally_hist(tally, TALLY_LOSS_BETWEEN)), 5);
	assert_int_equal(hist_max(tally_hist(tally, TALLY_LOSS_PERIOD_FORWARD)),
			 2);
	assert_int_equal(hist_max(tally_hist(tally, TALLY_LOSS_PERIOD_BACK)),
			 1);
	assert_int_equal(tally_counters(tally).lost_forward, 2);
	assert_int_equal(tally_counters(tally).lost_back, 1);
	tally_destroy(tally);
}

/* Transit 1000, 1300, 1100, (lost), 1500, 1500 by a clock 1 s ahead. */
static void delays_vary_as_rfc_5481_says(void **state)
{
	static const int64_t delays[] = {1000, 1300, 1100, 0, 1500, 1500};
	struct offset_reading reading = {.best_ns = 1000000000};
	struct tally *tally = tally_new(0);
	const struct hist *ipdv = tally_hist(tally, TALLY_IPDV_FORWARD_SOCKET);
	struct hist_summary pdv;

	(void)state;
	for (uint32_t seq = 0; seq < 6; seq++) {
		struct trip trip = trip_of(seq, seq * INT64_C(10000), 5000);

		trip.at_ns[LEG_FORWARD][POINT_RECEIVE] =
			seq * INT64_C(10000) + delays[seq] + 1000000000;
		trip.stamped |= POINT_BIT(LEG_FORWARD, POINT_RECEIVE);
		if (delays[seq] == 0) {
			trip.flags = TRIP_LOST;
			trip.stamped = POINT_BIT(LEG_FORWARD, POINT_SEND);
		}
		tally_trip(tally, &trip, &reading);
	}
	tally_end(tally);
	assert_int_equal(hist_count(ipdv), 3);
	assert_int_equal(hist_min(ipdv), -200);
	assert_int_equal(hist_max(ipdv), 300);
	tally_pdv(tally, LEG_FORWARD, LAYER_SOCKET, &pdv);
	assert_int_equal(pdv.count, 5);
	assert_int_equal(pdv.min, 0);
	assert_int_equal(pdv.p50, 300);
	assert_int_equal(pdv.max, 500);
	assert_int_equal(tally_jitter(tally, LEG_FORWARD, LAYER_SOCKET).count,
			 4);
	tally_destroy(tally);
}

/* The other clock is set back by 1 s after packet 50: neither order nor
 * variation take it for the path's. */
static void a_step_of_the_other_clock_is_no_variation(void **state)
{
	struct tally *tally = tally_new(0);

	(void)state;
	for (uint32_t seq = 0; seq < 100; seq++) {
		struct trip trip = trip_of(seq, seq * INT64_C(10000), 5000);
		struct offset_reading reading = {.regime = seq >= 50};

		reading.best_ns = seq < 50 ? 0 : -NS_PER_S;
		trip.at_ns[LEG_FORWARD][POINT_RECEIVE] =
			seq * INT64_C(10000) + 1000 + reading.best_ns;
		trip.stamped |= POINT_BIT(LEG_FORWARD, POINT_RECEIVE);
		tally_trip(tally, &trip, &reading);
	}
	tally_end(tally);
	assert_int_equal(tally_counters(tally).reordered_forward, 0);
	assert_int_equal(hist_max(tally_hist(tally, TALLY_IPDV_FORWARD_SOCKET)),
			 0);
	assert_int_equal(hist_min(tally_hist(tally, TALLY_IPDV_FORWARD_SOCKET)),
			 0);
	assert_int_equal(
		tally_jitter(tally, LEG_FORWARD, LAYER_SOCKET).scaled_max, 0);
	tally_destroy(tally);
}

/* Stamps that cost 600 ns: the interval has it, 19 times in 20. */
static void measures_its_own_cost(void **state)
{
	int inside = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		struct tally *tally = tally_new(0);
		struct model model = {.random = seed * 991};
		struct own_cost cost;

		assert_false(tally_own_cost(tally, &cost));
		for (uint32_t seq = 0; seq < 1000; seq++) {
			struct trip trip = trip_of(
				seq, seq * INT64_C(100000),
				(int64_t)(model_scale(&model, 5000, 40000)) +
					(seq & 1 ? 0 : 600));

			trip.flags = seq & 1 ? TRIP_UNSTAMPED : 0;
			tally_trip(tally, &trip, NULL);
		}
		assert_true(tally_own_cost(tally, &cost));
		inside += cost.low_ns <= 600 && cost.high_ns >= 600;
		assert_int_equal(cost.cost_ns,
				 cost.stamped_ns - cost.unstamped_ns);
		tally_destroy(tally);
	}
	print_message("# inside in %d of 100\n", inside);
	assert_in_range(inside, 88, 100);
}

static void same_bytes(const struct hist *a, const struct hist *b)
{
	static uint8_t one[BYTES_MAX], two[BYTES_MAX];
	size_t size = hist_pack(a, one, sizeof one);

	assert_true(size <= sizeof one);
	assert_int_equal(hist_pack(b, two, sizeof two), size);
	assert_memory_equal(one, two, size);
}

static void two_halves_are_the_whole(void **state)
{
	struct tally *whole = tally_new(model_points_socket());
	struct tally *halves[2] = {tally_new(model_points_socket()),
				   tally_new(model_points_socket())};
	struct tally *other = tally_new(0);
	struct model model = plain(6);
	struct tally_counters one, two;
	struct truth truth;
	struct trip trip;

	(void)state;
	model.loss = 0.01;
	for (uint32_t seq = 0; seq < 4000; seq++) {
		struct offset_reading reading = {.best_ns = -7000000000};

		model_trip(&model, seq, &trip, &truth);
		tally_trip(whole, &trip, &reading);
		tally_trip(halves[seq >= 1500], &trip, &reading);
	}
	tally_end(whole);
	tally_end(halves[1]);
	assert_int_equal(tally_merge(halves[0], halves[1]), 0);
	assert_int_equal(tally_merge(halves[0], other), -EINVAL);
	one = tally_counters(whole);
	two = tally_counters(halves[0]);
	assert_memory_equal(&one, &two, sizeof one);
	for (size_t i = 0; i < 9; i++)
		same_bytes(tally_segment(whole, i),
			   tally_segment(halves[0], i));
	for (int i = 0; i < TALLY_IPDV_FORWARD_SOCKET; i++)
		same_bytes(tally_hist(whole, (enum tally_hist)i),
			   tally_hist(halves[0], (enum tally_hist)i));
	tally_destroy(whole);
	tally_destroy(halves[0]);
	tally_destroy(halves[1]);
	tally_destroy(other);
}

static void every_histogram_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < TALLY_HIST_COUNT; i++) {
		for (int k = 0; k < i; k++)
			assert_string_not_equal(tally_hist_rows[i].name,
						tally_hist_rows[k].name);
	}
	assert_string_equal(
		tally_hist_rows[TALLY_OF(TALLY_IPDV, LEG_BACK, LAYER_WIRE)]
			.name,
		"ipdv_back_wire");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_slot_is_in_the_account),
		cmocka_unit_test(a_missing_stamp_is_counted_and_never_a_value),
		cmocka_unit_test(tells_what_a_stall_hides),
		cmocka_unit_test(jitter_is_that_of_rfc_3550_to_the_bit),
		cmocka_unit_test(order_is_that_of_rfc_4737),
		cmocka_unit_test(counts_each_of_many_reordered),
		cmocka_unit_test(losses_have_periods_and_distances),
		cmocka_unit_test(delays_vary_as_rfc_5481_says),
		cmocka_unit_test(a_step_of_the_other_clock_is_no_variation),
		cmocka_unit_test(measures_its_own_cost),
		cmocka_unit_test(two_halves_are_the_whole),
		cmocka_unit_test(every_histogram_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
