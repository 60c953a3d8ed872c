/* Delays of the path, apart from the drift between the clocks. */
#include <math.h>
#include <stdlib.h>

#include "probe/explain_private.h"

#define PAIRS       2000
#define ERRORS_MORE 1.5 /* medians, and noise that comes in spells */

struct ways {
	const int64_t *forward, *back;
};

static struct ways ways_of(const struct samples *samples)
{
	return (struct ways){samples->times[WAY_FORWARD],
			     samples->times[WAY_BACK]};
}

static bool is_there(const struct ways *ways, size_t i)
{
	return ways->forward[i] != NO_TIME && ways->back[i] != NO_TIME;
}

/* Half of how much longer the way there is; a drift shows in it twice. */
static double lopsided(const struct ways *ways, size_t i)
{
	return (double)(ways->forward[i] - ways->back[i]) / 2;
}

/* The slope between two samples of the same side, Theil and Sen's. */
static bool slope(const struct samples *samples, size_t i, size_t k,
		  double *ret_slope)
{
	struct ways ways = ways_of(samples);
	double apart = (double)(samples->sent_ns[k] - samples->sent_ns[i]);

	if (!is_there(&ways, i) || !is_there(&ways, k) || apart <= 0)
		return false;
	*ret_slope = (lopsided(&ways, k) - lopsided(&ways, i)) / apart;
	return true;
}

/* The median of pairs that are a third of their side apart and more: nearer
 * ones say nothing but noise. */
static bool drift_within(const struct samples *samples, size_t from, size_t to,
			 double *ret_drift)
{
	double *slopes = calloc(PAIRS, sizeof *slopes);
	size_t count = 0, n = samples->count;
	size_t pairs = n * n / 2;
	size_t every = pairs / PAIRS + 1, turn = 0;

	for (size_t i = 0; slopes && i < n; i++) {
		bool after = i >= from && i < to;
		size_t side = after ? to - from : n - (to - from);

		for (size_t k = i + side / 3 + 1; k < n && count < PAIRS; k++) {
			if ((k >= from && k < to) == after &&
			    turn++ % every == 0)
				count += slope(samples, i, k, &slopes[count]);
		}
	}
	if (count > 0)
		*ret_drift = values_median(slopes, count);
	free(slopes);
	return count > 0;
}

/* Within each side: what is left of the noise once the sides are level. */
static double noise_of(const struct samples *samples, size_t from, size_t to)
{
	double *values = calloc(samples->room, sizeof *values), noise = 0;
	struct moved sides = {.known = false};
	struct cut cut = {samples->count, from, to};
	int64_t *scratch = calloc(2 * samples->room, sizeof *scratch);
	size_t count = 0;

	if (values && scratch)
		moved_measure(samples->lean_ns, &cut, scratch, &sides);
	for (size_t i = 0; sides.known && i < samples->count; i++) {
		bool after = i >= from && i < to;

		if (samples->lean_ns[i] != NO_TIME)
			values[count++] =
				fabs((double)(samples->lean_ns[i] -
					      (after ? sides.after[1]
						     : sides.before[1])));
	}
	if (count > 0)
		noise = 1.4826 * values_median(values, count);
	free(values);
	free(scratch);
	return noise;
}

/* Of a step between the sides, fitted together with one drift: by least
 * squares, noise alike and apart in all packets. */
static double step_error(const struct samples *samples, size_t from, size_t to)
{
	double noise = noise_of(samples, from, to);
	double n = 0, m = 0, sum = 0, sum_after = 0, square = 0, after;

	for (size_t i = 0; i < samples->count; i++) {
		double t = (double)(samples->sent_ns[i] - samples->sent_ns[0]);

		if (samples->lean_ns[i] == NO_TIME)
			continue;
		n++;
		sum += t;
		square += t * t;
		if (i >= from && i < to) {
			m++;
			sum_after += t;
		}
	}
	if (n == 0)
		return INFINITY;
	square -= sum * sum / n;
	after = sum_after - sum * m / n;
	/* What of the side's indicator no line in time can say. */
	after = m - m * m / n - (square > 0 ? after * after / square : 0);
	return after > 0 ? noise / sqrt(after) : INFINITY;
}

static void lean_set(struct samples *samples)
{
	struct ways ways = ways_of(samples);

	for (size_t i = 0; i < samples->count; i++)
		samples->lean_ns[i] = is_there(&ways, i)
					      ? llround(lopsided(&ways, i))
					      : NO_TIME;
}

bool paths_straighten(struct samples *samples, size_t from, size_t to,
		      double *ret_error_ns)
{
	int64_t *forward = samples->times[WAY_FORWARD];
	int64_t *back = samples->times[WAY_BACK];
	double drift;

	if (samples->steps > 0 || !drift_within(samples, from, to, &drift))
		return false;
	for (size_t i = 0; i < samples->count; i++) {
		double apart =
			(double)(samples->sent_ns[i] - samples->sent_ns[0]);
		int64_t by = llround(drift * apart);

		if (forward[i] != NO_TIME)
			forward[i] -= by;
		if (back[i] != NO_TIME)
			back[i] += by;
	}
	lean_set(samples);
	*ret_error_ns = ERRORS_MORE * step_error(samples, from, to);
	return true;
}
