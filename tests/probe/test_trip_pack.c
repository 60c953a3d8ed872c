#include <errno.h>
#include <inttypes.h>

#include "check.h"

#include "model.h"

static struct trip trips[TRIPS_PACK_MAX], again[TRIPS_PACK_MAX];
static uint8_t bytes[TRIPS_PACK_ROOM];
static struct trip_packer *packer;

static int setup(void **state)
{
	(void)state;
	return trip_packer_create(&packer);
}

static int teardown(void **state)
{
	(void)state;
	trip_packer_destroy(packer);
	return 0;
}

/* What a stamp that is not there holds does not count. */
static void unstamped_clear(struct trip *trip)
{
	for (int leg = 0; leg < LEG_COUNT; leg++) {
		for (int point = 0; point < POINT_COUNT; point++) {
			if (!(trip->stamped & POINT_BIT(leg, point)))
				trip->at_ns[leg][point] = 0;
		}
	}
}

static void model_fill(struct model *model, uint32_t first, size_t count)
{
	struct truth truth;

	for (size_t i = 0; i < count; i++) {
		memset(&trips[i], 0, sizeof trips[i]);
		model_trip(model, first + (uint32_t)i, &trips[i], &truth);
		unstamped_clear(&trips[i]);
	}
}

static void assert_same(const struct trip *a, const struct trip *b)
{
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->flags, b->flags);
	assert_true(a->slot_ns == b->slot_ns);
	assert_true(a->late_ns == b->late_ns);
	assert_true(a->sent_ns == b->sent_ns);
	assert_true(a->rtt_ns == b->rtt_ns);
	assert_true(a->stamped == b->stamped);
	assert_memory_equal(a->at_ns, b->at_ns, sizeof a->at_ns);
	assert_int_equal(a->reflected_seq, b->reflected_seq);
	assert_memory_equal(a->duplicates, b->duplicates, LEG_COUNT);
	assert_int_equal(a->answers_lost, b->answers_lost);
	assert_memory_equal(a->ttl, b->ttl, LEG_COUNT);
	assert_memory_equal(a->dscp, b->dscp, LEG_COUNT);
	assert_memory_equal(a->ecn, b->ecn, LEG_COUNT);
}

/* What was rounded is put back, and how far it was off: never up, less than
 * 1024 ns, nothing of the applications. */
static int64_t rounding_undo(const struct trip *is, struct trip *was)
{
	int64_t most = 0;

	for (int place = 0; place < LEG_COUNT * POINT_COUNT; place++) {
		int leg = place / POINT_COUNT, point = place % POINT_COUNT;
		int64_t off = (int64_t)((uint64_t)is->at_ns[leg][point] -
					(uint64_t)was->at_ns[leg][point]);

		assert_in_range(off, 0, 1023);
		if (point_rows[point].tier == TIER_APPLICATION)
			assert_true(off == 0);
		most = off > most ? off : most;
		was->at_ns[leg][point] = is->at_ns[leg][point];
	}
	return most;
}

/* Packs, unpacks, compares; the size. */
static size_t round_trip(size_t count)
{
	size_t size = trips_pack(packer, trips, count, bytes, sizeof bytes);
	bool exact = size <= TRIPS_PACK_AIM(count);

	assert_true(size > 0);
	assert_int_equal(trips_unpack(packer, bytes, size, again), count);
	exact &= bytes[0] == 1;
	for (size_t i = 0; i < count; i++) {
		if (!exact)
			(void)rounding_undo(&trips[i], &again[i]);
		assert_same(&trips[i], &again[i]);
	}
	return size;
}

static const struct {
	const char *name;
	struct model model;
	bool traced;
	double bytes_max; /* a trip */
} runs[] = {
	{"10 kHz",
	 {.interval_ns = 100000, .wire_ns = {900, 900}, .queue_ns = {200, 200}},
	 false,
	 16},
	{"10 Hz, drift, offset, loss",
	 {.interval_ns = 100000000,
	  .offset_ns = -9e9,
	  .drift_ppm = 100,
	  .wire_ns = {5e6, 1e6},
	  .queue_ns = {20000, 500},
	  .sleeps = true,
	  .loss = 0.05,
	  .missing = 0.01},
	 false,
	 24},
	{"tracepoints",
	 {.interval_ns = 1000000,
	  .drift_ppm = 3,
	  .wire_ns = {5000, 8000},
	  .queue_ns = {500, 500},
	  .sleeps = true},
	 true,
	 24},
	{"tracepoints, noise",
	 {.interval_ns = 1000000,
	  .offset_ns = 3e12,
	  .drift_ppm = 30,
	  .wire_ns = {50000, 80000},
	  .queue_ns = {5000, 5000},
	  .sleeps = true},
	 true,
	 24},
};

static void a_run_comes_back_in_few_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
		struct model model = runs[i].model;
		size_t size = 0;

		model.random = 7 + i;
		model.points = runs[i].traced ? model_points_trace()
					      : model_points_socket();
		for (uint32_t block = 0; block < 4; block++) {
			model_fill(&model, block * TRIPS_PACK_MAX,
				   TRIPS_PACK_MAX);
			size += round_trip(TRIPS_PACK_MAX);
		}
		print_message("# %s: %.1f bytes a trip\n", runs[i].name,
			      (double)size / 4 / TRIPS_PACK_MAX);
		assert_true((double)size / 4 / TRIPS_PACK_MAX <=
			    runs[i].bytes_max);
	}
}

/* Where it is rounded a run still tells where its time went. */
static void what_is_rounded_is_near_and_in_order(void **state)
{
	struct model model = runs[2].model;
	point_set all = model_points_trace();
	size_t size;
	int64_t from, to;

	(void)state;
	model.random = 5;
	model.points = all;
	model_fill(&model, 0, TRIPS_PACK_MAX);
	size = trips_pack(packer, trips, TRIPS_PACK_MAX, bytes, sizeof bytes);
	assert_true(size <= TRIPS_PACK_AIM(TRIPS_PACK_MAX));
	assert_int_equal(bytes[0], 2); /* this run has to be rounded */
	assert_int_equal(trips_unpack(packer, bytes, size, again),
			 TRIPS_PACK_MAX);
	for (size_t i = 0; i < TRIPS_PACK_MAX; i++) {
		struct segment segments[SEGMENT_MAX];
		size_t count = trip_segments(trips[i].stamped, segments);

		for (size_t j = 0; j < count; j++) {
			assert_true(trip_segment_ns(&trips[i], &segments[j], 0,
						    &from));
			assert_true(trip_segment_ns(&again[i], &segments[j], 0,
						    &to));
			if (segments[j].crosses ||
			    segments[j].from_leg != segments[j].to_leg)
				continue;
			assert_true(from < 0 || to >= 0);
			/* An end each is off by an eighth of what is
			 * before it. */
			assert_in_range(to - from + 1024, 0, 2048);
		}
		rounding_undo(&trips[i], &again[i]);
		assert_same(&trips[i], &again[i]);
	}
}

static uint64_t random_next(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	return *random ^= *random << 17;
}

/* No number is too strange, and the room holds the worst. */
static void any_numbers_come_back(void **state)
{
	uint64_t random = 88172645463325252u;
	size_t size = 0, most = 0;

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < TRIPS_PACK_MAX; i++) {
			uint64_t *words = (uint64_t *)&trips[i];

			for (size_t j = 0; j < sizeof trips[i] / 8; j++)
				words[j] = random_next(&random) >>
					   (round % 4) * 17;
			trips[i].stamped &=
				(UINT64_C(1) << LEG_COUNT * POINT_COUNT) - 1;
			unstamped_clear(&trips[i]);
		}
		size = round_trip(round == 0 ? 1 : TRIPS_PACK_MAX);
		most = size > most ? size : most;
	}
	print_message("# at most %zu of %zu bytes\n", most, TRIPS_PACK_ROOM);
}

static void refuses_every_truncation(void **state)
{
	struct model model = {.random = 3,
			      .points = model_points_socket(),
			      .interval_ns = 1000000};
	size_t size;

	(void)state;
	model_fill(&model, 0, 50);
	size = trips_pack(packer, trips, 50, bytes, sizeof bytes);
	for (size_t cut = 0; cut < size; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		assert_int_equal(trips_unpack(packer, exact, cut, again),
				 -EBADMSG);
		free(exact);
	}
	for (size_t room = 0; room < size; room++)
		assert_int_equal(trips_pack(packer, trips, 50, bytes, room), 0);
}

static void refuses_no_trips_and_too_many(void **state)
{
	(void)state;
	assert_int_equal(trips_pack(packer, trips, 0, bytes, sizeof bytes), 0);
	assert_int_equal(trips_pack(packer, trips, TRIPS_PACK_MAX + 1, bytes,
				    sizeof bytes),
			 0);
	memset(bytes, 0, sizeof bytes);
	assert_int_equal(trips_unpack(packer, bytes, sizeof bytes, again),
			 -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_comes_back_in_few_bytes),
		cmocka_unit_test(what_is_rounded_is_near_and_in_order),
		cmocka_unit_test(any_numbers_come_back),
		cmocka_unit_test(refuses_every_truncation),
		cmocka_unit_test(refuses_no_trips_and_too_many),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
