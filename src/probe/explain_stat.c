/* Two samples compared, and a stretch of one that stands out: by ranks and
 * quantiles, which a heavy tail does not move. */
#include <math.h>
#include <stdlib.h>

#include "probe/explain_private.h"

#define SIDE_MIN 5
#define ALIKE    0.15

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void sort(int64_t *values, size_t count)
{
	qsort(values, count, sizeof *values, compare);
}

/* Between the two nearest of 'count' sorted values. */
static double quantile(const int64_t *sorted, size_t count, double share)
{
	double at = share * (double)(count - 1);
	size_t below = (size_t)at;

	if (below + 1 >= count)
		return (double)sorted[count - 1];
	return (double)sorted[below] +
	       (at - (double)below) *
		       (double)(sorted[below + 1] - sorted[below]);
}

/* How many of the sorted values are below 'value', equal ones as halves. */
static double rank_of(const int64_t *sorted, size_t count, int64_t value)
{
	size_t low = 0, high = count, upper;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sorted[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	for (upper = low; upper < count && sorted[upper] == value;)
		upper++;
	return (double)low + (double)(upper - low) / 2;
}

/* Mann and Whitney's test: do values of one exceed those of the other? */
static double ranks_z(const int64_t *a, size_t n, const int64_t *b, size_t m)
{
	double sum = 0, mean = (double)n * (double)m / 2;

	for (size_t i = 0; i < m; i++)
		sum += rank_of(a, n, b[i]);
	return (sum - mean) / sqrt(mean * (double)(n + m + 1) / 6);
}

/* How many are beyond 95 % of those before; two proportions compared. */
static double tails_z(const int64_t *a, size_t n, const int64_t *b, size_t m,
		      uint32_t *ret_beyond)
{
	double limit = quantile(a, n, 0.95);
	double before = 0, after = 0, all;

	for (size_t i = 0; i < n; i++)
		before += (double)a[i] > limit;
	for (size_t i = 0; i < m; i++)
		after += (double)b[i] > limit;
	*ret_beyond = (uint32_t)after;
	all = (before + after + 1) / (double)(n + m + 2);
	return (after / (double)m - before / (double)n) /
	       sqrt(all * (1 - all) * (1 / (double)n + 1 / (double)m));
}

static size_t gather(const int64_t *times, size_t from, size_t to,
		     int64_t *ret_values)
{
	size_t count = 0;

	for (size_t i = from; i < to; i++) {
		if (times[i] != NO_TIME)
			ret_values[count++] = times[i];
	}
	return count;
}

/* Mean of the quantiles' differences from 5 % to 95 %. */
static double shift(const int64_t *a, size_t n, const int64_t *b, size_t m)
{
	double sum = 0;

	for (int i = 1; i < 20; i++)
		sum += quantile(b, m, i / 20.0) - quantile(a, n, i / 20.0);
	return sum / 19;
}

/* Whether those that were delayed were so by much the same: the middle half
 * of what is beyond 'limit', less what is usual. */
static bool is_alike(const int64_t *sorted, size_t count, double limit,
		     double usual)
{
	size_t first = count;
	double low, middle, high;

	while (first > 0 && (double)sorted[first - 1] > limit)
		first--;
	if (count - first < SIDE_MIN)
		return false;
	low = quantile(sorted + first, count - first, 0.25) - usual;
	middle = quantile(sorted + first, count - first, 0.5) - usual;
	high = quantile(sorted + first, count - first, 0.75) - usual;
	return high - low < ALIKE * middle;
}

void moved_measure(const int64_t *times, const struct cut *cut,
		   int64_t *scratch, struct moved *ret_moved)
{
	static const double shares[4] = {0.25, 0.5, 0.9, 0.99};
	int64_t *a = scratch, *b = scratch + cut->count;
	size_t n = gather(times, 0, cut->from, a), m;
	double ranks, tails;

	n += gather(times, cut->to, cut->count, a + n);
	m = gather(times, cut->from, cut->to, b);
	*ret_moved = (struct moved){.packets = (uint32_t)m};
	if (n < SIDE_MIN || m < SIDE_MIN)
		return;
	sort(a, n);
	sort(b, m);
	for (int i = 0; i < 4; i++) {
		ret_moved->before[i] = (int64_t)quantile(a, n, shares[i]);
		ret_moved->after[i] = (int64_t)quantile(b, m, shares[i]);
	}
	ranks = ranks_z(a, n, b, m);
	tails = tails_z(a, n, b, m, &ret_moved->beyond);
	ret_moved->known = true;
	ret_moved->score = shift(a, n, b, m);
	ret_moved->z = fabs(tails) > fabs(ranks) ? fabs(tails) : fabs(ranks);
	ret_moved->regular =
		2 * llabs(ret_moved->after[0] - ret_moved->before[0]) >
			llabs(ret_moved->after[2] - ret_moved->before[2]) ||
		is_alike(b, m, quantile(a, n, 0.95), quantile(a, n, 0.5));
}

/* The stretch with the greatest sum of weights; returns the sum. */
struct stretch {
	double sum, best;
	size_t begin, from, to;
};

static void stretch_add(struct stretch *stretch, size_t i, double weight)
{
	stretch->sum += weight;
	if (stretch->sum <= 0) {
		stretch->sum = 0;
		stretch->begin = i + 1;
	} else if (stretch->sum > stretch->best) {
		stretch->best = stretch->sum;
		stretch->from = stretch->begin;
		stretch->to = i + 1;
	}
}

/* Ranks find what moves all packets, the share beyond 65, 80 and 90 % what
 * moves some. */
double stretch_find(const int64_t *times, size_t count, int64_t *scratch,
		    size_t *ret_from, size_t *ret_to)
{
	static const double beyond[4] = {0, 0.35, 0.2, 0.1};
	size_t known = gather(times, 0, count, scratch);
	struct stretch stretches[4] = {0};
	double most = 0;

	if (known < 4 * (size_t)SIDE_MIN)
		return 0;
	sort(scratch, known);
	for (size_t i = 0; i < count; i++) {
		double rank;

		if (times[i] == NO_TIME)
			continue;
		rank = rank_of(scratch, known, times[i]) / (double)known;
		stretch_add(&stretches[0], i, rank - 0.5);
		for (int k = 1; k < 4; k++)
			stretch_add(&stretches[k], i,
				    (rank > 1 - beyond[k]) - beyond[k]);
	}
	for (int k = 0; k < 4; k++) {
		double variance = k ? beyond[k] * (1 - beyond[k]) : 1.0 / 12;
		double statistic =
			stretches[k].best / sqrt((double)known * variance);

		if (statistic > most) {
			most = statistic;
			*ret_from = stretches[k].from;
			*ret_to = stretches[k].to;
		}
	}
	return most;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double values_median(double *values, size_t count)
{
	qsort(values, count, sizeof *values, compare_double);
	return values[count / 2];
}

double stretch_chance(double statistic)
{
	double sum = 0, square = statistic * statistic;

	if (statistic < 0.5)
		return 1;
	for (int k = 1; k <= 20; k++)
		sum += 2 * (4.0 * k * k * square - 1) *
		       exp(-2.0 * k * k * square);
	return fmin(fmax(sum, 0), 1);
}
