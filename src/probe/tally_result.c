/* What a tally says, and the sum of two. */
#include <errno.h>
#include <math.h>

#include "probe/tally_private.h"

struct tally_counters tally_counters(const struct tally *tally)
{
	return tally->counters;
}

const struct hist *tally_hist(const struct tally *tally, enum tally_hist which)
{
	return tally->hists[which];
}

size_t tally_segments(const struct tally *tally,
		      struct segment ret_segments[SEGMENT_MAX])
{
	for (size_t i = 0; i < tally->segment_count; i++)
		ret_segments[i] = tally->segments[i];
	return tally->segment_count;
}

const struct hist *tally_segment(const struct tally *tally, size_t i)
{
	return tally->segment_hists[i];
}

uint64_t tally_missing(const struct tally *tally, enum leg leg,
		       enum point point)
{
	return tally->missing[leg][point];
}

struct jitter tally_jitter(const struct tally *tally, enum leg leg,
			   enum layer layer)
{
	return tally->jitters[leg][layer];
}

void tally_pdv(const struct tally *tally, enum leg leg, enum layer layer,
	       struct hist_summary *ret_summary)
{
	const struct hist *hist =
		tally->hists[TALLY_OF(TALLY_DELAY, leg, layer)];
	int64_t least = hist_min(hist);
	int64_t *const places[] = {
		&ret_summary->min,     &ret_summary->p1,
		&ret_summary->p10,     &ret_summary->p50,
		&ret_summary->p90,     &ret_summary->p99,
		&ret_summary->p99_9,   &ret_summary->p99_99,
		&ret_summary->p99_999, &ret_summary->max,
		&ret_summary->mean,
	};

	hist_summary(hist, ret_summary);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		*places[i] -= least;
}

static void jitter_merge(struct jitter *to, const struct jitter *from)
{
	uint64_t count = to->count + from->count;

	if (count > 0)
		to->scaled = (uint64_t)llround(
			((double)to->scaled * (double)to->count +
			 (double)from->scaled * (double)from->count) /
			(double)count);
	to->count = count;
	to->begun = false;
	if (from->scaled_max > to->scaled_max)
		to->scaled_max = from->scaled_max;
}

int tally_merge(struct tally *tally, const struct tally *from)
{
	if (tally->options.points != from->options.points)
		return -EINVAL;
	tally_end(tally);
	counters_add((uint64_t *)&tally->counters,
		     (const uint64_t *)&from->counters, tally_counter_count);
	counters_add(&tally->missing[0][0], &from->missing[0][0],
		     LEG_COUNT * (size_t)POINT_COUNT);
	for (size_t i = 0; i < tally->segment_count; i++)
		hist_merge(tally->segment_hists[i], from->segment_hists[i]);
	for (size_t i = 0; i < TALLY_HIST_COUNT; i++)
		hist_merge(tally->hists[i], from->hists[i]);
	for (int i = 0; i < LEG_COUNT * LAYER_COUNT; i++)
		jitter_merge(&tally->jitters[i / LAYER_COUNT][i % LAYER_COUNT],
			     &from->jitters[i / LAYER_COUNT][i % LAYER_COUNT]);
	return 0;
}

/* The median's variance, from the distance of the order statistics that
 * enclose it with 95 % (binomial, its normal approximation). */
static double median_variance(const struct hist *hist)
{
	double count = (double)hist_count(hist);
	double apart = 1.96 * sqrt(count) / 2 / count;
	double wide = (double)(hist_quantile(hist, fmin(0.5 + apart, 1)) -
			       hist_quantile(hist, fmax(0.5 - apart, 0)));
	double deviation = wide / 2 / 1.96;

	return deviation * deviation;
}

bool tally_own_cost(const struct tally *tally, struct own_cost *ret_cost)
{
	const struct hist *with = tally->hists[TALLY_RTT_STAMPED];
	const struct hist *without = tally->hists[TALLY_RTT_UNSTAMPED];
	struct own_cost cost;
	int64_t half;

	if (hist_count(with) < OWN_COST_PACKETS_MIN ||
	    hist_count(without) < OWN_COST_PACKETS_MIN)
		return false;
	cost.stamped_ns = hist_quantile(with, 0.5);
	cost.unstamped_ns = hist_quantile(without, 0.5);
	cost.cost_ns = cost.stamped_ns - cost.unstamped_ns;
	half = llround(1.96 *
		       sqrt(median_variance(with) + median_variance(without)));
	cost.low_ns = cost.cost_ns - half;
	cost.high_ns = cost.cost_ns + half;
	*ret_cost = cost;
	return true;
}
