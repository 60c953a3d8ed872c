/* From trips to results. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "probe/tally_private.h"

#define TALLY_ROW(id, name, unit, line) {name, unit, line},

const struct counter_row tally_counter_rows[] = {TALLY_COUNTERS(COUNTER_ROW)};
const size_t tally_counter_count =
	sizeof tally_counter_rows / sizeof *tally_counter_rows;
const struct counter_row tally_hist_rows[TALLY_HIST_COUNT] = {
	TALLY_TABLE(TALLY_ROW)};

static_assert(TALLY_EXTENT_BACK == TALLY_EXTENT_FORWARD + LEG_BACK &&
		      TALLY_LOSS_PERIOD_BACK ==
			      TALLY_LOSS_PERIOD + LOSSES_BACK &&
		      TALLY_WIRE == TALLY_SOCKET + LAYER_WIRE,
	      "rows of a kind follow each other");

static bool hists_make(struct hist **hists, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		hists[i] = hist_create();
		if (!hists[i])
			return false;
	}
	return true;
}

int tally_create(const struct tally_options *options, struct tally **ret_tally)
{
	struct tally *tally = calloc(1, sizeof *tally);
	bool made = tally != NULL;

	if (!made)
		return -ENOMEM;
	tally->options = *options;
	if (tally->options.timeout_ns <= 0)
		tally->options.timeout_ns = SENDER_TIMEOUT_S * NS_PER_S;
	tally->segment_count = trip_segments(options->points, tally->segments);
	for (int leg = 0; leg < LEG_COUNT; leg++) {
		struct order *order = &tally->orders[leg];

		order->waiting = calloc(ORDER_WAITING, sizeof *order->waiting);
		made &= order->waiting != NULL;
	}
	made &= hists_make(tally->segment_hists, tally->segment_count) &&
		hists_make(tally->hists, TALLY_HIST_COUNT);
	if (!made) {
		tally_destroy(tally);
		return -ENOMEM;
	}
	*ret_tally = tally;
	return 0;
}

void tally_destroy(struct tally *tally)
{
	if (!tally)
		return;
	for (size_t i = 0; i < SEGMENT_MAX; i++)
		hist_destroy(tally->segment_hists[i]);
	for (size_t i = 0; i < TALLY_HIST_COUNT; i++)
		hist_destroy(tally->hists[i]);
	for (int leg = 0; leg < LEG_COUNT; leg++)
		free(tally->orders[leg].waiting);
	free(tally);
}

/* Skipped slots lie evenly between the first and the last of them. */
static void omission_skip(struct omission *omission, const struct trip *trip)
{
	if (omission->sent) /* no answer since: they have waited in vain */
		*omission = (struct omission){0};
	if (omission->count++ == 0)
		omission->first_ns = trip->slot_ns;
	omission->last_ns = trip->slot_ns;
}

static void omission_sent(struct omission *omission, const struct trip *trip)
{
	if (omission->count == 0 || omission->sent)
		return;
	omission->sent = true;
	omission->sent_ns = trip->slot_ns + trip->late_ns;
}

/* They would have left with the packet behind them, and come back as it. */
static void omission_answered(struct tally *tally, int64_t rtt_ns)
{
	struct omission *omission = &tally->omission;
	int64_t span_ns = omission->last_ns - omission->first_ns;

	for (uint64_t i = 0; omission->sent && i < omission->count; i++) {
		double share =
			omission->count > 1
				? (double)i / (double)(omission->count - 1)
				: 0;
		int64_t slot_ns =
			omission->first_ns + llround((double)span_ns * share);

		hist_add(tally->hists[TALLY_RTT_CORRECTED],
			 omission->sent_ns - slot_ns + rtt_ns);
		tally->counters.corrected++;
	}
	if (omission->sent)
		*omission = (struct omission){0};
}

static void rtt_add(struct tally *tally, const struct trip *trip)
{
	int64_t late_ns = trip->late_ns > 0 ? trip->late_ns : 0;
	int64_t rtt_ns;

	if (!trip_rtt_ns(trip, &rtt_ns))
		return;
	hist_add(tally->hists[TALLY_RTT], rtt_ns);
	hist_add(tally->hists[TALLY_RTT_CORRECTED], rtt_ns + late_ns);
	hist_add(tally->hists[trip->flags & TRIP_UNSTAMPED ? TALLY_RTT_UNSTAMPED
							   : TALLY_RTT_STAMPED],
		 rtt_ns);
	omission_answered(tally, rtt_ns);
}

static void segments_add(struct tally *tally, const struct trip *trip,
			 const struct offset_reading *reading)
{
	int64_t offset_ns = reading ? reading->best_ns : 0, ns;

	for (size_t i = 0; i < tally->segment_count; i++) {
		const struct segment *segment = &tally->segments[i];

		if ((!segment->crosses || reading) &&
		    trip_segment_ns(trip, segment, offset_ns, &ns))
			hist_add(tally->segment_hists[i], ns);
	}
	for (int layer = 0; layer < LAYER_COUNT; layer++) {
		if (trip_layer_ns(trip, (enum layer)layer, &ns))
			hist_add(tally->hists[TALLY_SOCKET + layer], ns);
	}
}

static void points_check(struct tally *tally, const struct trip *trip)
{
	point_set unstamped = POINT_BIT(LEG_FORWARD, POINT_SCHED) |
			      POINT_BIT(LEG_FORWARD, POINT_SENT) |
			      POINT_BIT(LEG_FORWARD, POINT_SENT_HW);
	point_set missing =
		trip_points(trip, tally->options.points) & ~trip->stamped;

	if (trip->flags & TRIP_UNSTAMPED)
		missing &= ~(unstamped | trip_points_of_bpf());
	else
		tally->counters.complete += missing == 0;
	for (; missing != 0; missing &= missing - 1) {
		unsigned i = (unsigned)__builtin_ctzll(missing);

		tally->missing[i / POINT_COUNT][i % POINT_COUNT]++;
	}
}

/* One leg at one layer: the delay, and its difference to the packet before,
 * from which the offset cancels. */
static void one_way_add(struct tally *tally, const struct trip *trip, int at,
			const struct offset_reading *reading)
{
	enum leg leg = at / LAYER_COUNT;
	enum layer layer = at % LAYER_COUNT;
	bool *before_has = &tally->before_has[leg][layer];
	int64_t *before_ns = &tally->before_ns[leg][layer];
	struct one_way way;
	int64_t transit_ns;
	bool has = trip_transit_ns(trip, leg, layer, &transit_ns);

	if (has && *before_has)
		hist_add(tally->hists[TALLY_OF(TALLY_IPDV, leg, layer)],
			 transit_ns - *before_ns);
	if (has && reading && trip_one_way(trip, leg, layer, reading, &way))
		hist_add(tally->hists[TALLY_OF(TALLY_DELAY, leg, layer)],
			 way.best_ns);
	*before_has = has;
	*before_ns = has ? transit_ns : 0;
}

static void one_ways_add(struct tally *tally, const struct trip *trip,
			 const struct offset_reading *reading)
{
	uint32_t regime = reading ? reading->regime : 0;
	bool anew = regime != tally->before_regime;

	tally->before_regime = regime;
	for (int at = 0; at < LEG_COUNT * LAYER_COUNT; at++) {
		if (anew)
			tally->before_has[at / LAYER_COUNT][at % LAYER_COUNT] =
				false;
		one_way_add(tally, trip, at, reading);
	}
}

static void fate_count(struct tally_counters *counters, const struct trip *trip)
{
	if (!(trip->flags & TRIP_LOST))
		counters->answered++;
	else if (!(trip->flags & TRIP_LEG_KNOWN))
		counters->lost_unknown++;
	else if (trip->flags & TRIP_LOST_BACK)
		counters->lost_back++;
	else
		counters->lost_forward++;
	counters->duplicates_forward += trip->duplicates[LEG_FORWARD];
	counters->duplicates_back += trip->duplicates[LEG_BACK];
	counters->answers_lost += trip->answers_lost;
	counters->unstamped += (trip->flags & TRIP_UNSTAMPED) != 0;
}

/* False: nothing more is to be said of it. */
static bool slot_count(struct tally *tally, const struct trip *trip)
{
	struct tally_counters *counters = &tally->counters;

	counters->slots++;
	if (trip->flags & TRIP_SKIPPED) {
		counters->skipped++;
		omission_skip(&tally->omission, trip);
		return false;
	}
	if (trip->flags & TRIP_FAILED) {
		counters->failed++;
		return false;
	}
	counters->sent++;
	counters->late += (trip->flags & TRIP_LATE) != 0;
	hist_add(tally->hists[TALLY_LATENESS], trip->late_ns);
	omission_sent(&tally->omission, trip);
	return true;
}

static void before_forget(struct tally *tally)
{
	for (int at = 0; at < LEG_COUNT * LAYER_COUNT; at++)
		tally->before_has[at / LAYER_COUNT][at % LAYER_COUNT] = false;
}

void tally_trip(struct tally *tally, const struct trip *trip,
		const struct offset_reading *reading)
{
	if (!slot_count(tally, trip))
		return;
	if (trip->flags & TRIP_VOID) {
		tally->counters.void_trips++;
		before_forget(tally);
		return;
	}
	fate_count(&tally->counters, trip);
	losses_trip(tally, trip);
	order_trip(tally, trip, reading ? reading->regime : 0);
	one_ways_add(tally, trip, reading);
	if (trip->flags & TRIP_LOST)
		return;
	rtt_add(tally, trip);
	segments_add(tally, trip, reading);
	points_check(tally, trip);
}

void tally_end(struct tally *tally)
{
	order_end(tally);
	losses_end(tally);
	before_forget(tally);
}
