/* The log-linear histogram: adding, merging, quantiles. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hist_private.h"

/* Magnitudes below 2^10 are their own index; above, HIST_BITS bits behind
 * the leading one count within the page of that power of two. */
static int32_t index_of(uint64_t magnitude)
{
	int shift;

	if (magnitude < 2 * (uint64_t)HIST_PAGE)
		return (int32_t)magnitude;
	shift = 63 - __builtin_clzll(magnitude) - HIST_BITS;
	return (int32_t)((uint64_t)shift * HIST_PAGE + (magnitude >> shift));
}

static uint64_t index_low(int32_t index)
{
	int shift = index / HIST_PAGE - 1;

	if (shift <= 0)
		return (uint64_t)index;
	return (uint64_t)(HIST_PAGE + index % HIST_PAGE) << shift;
}

static uint64_t index_high(int32_t index)
{
	int shift = index / HIST_PAGE - 1;

	return index_low(index) + (shift > 0 ? (UINT64_C(1) << shift) - 1 : 0);
}

static uint64_t magnitude_of(int64_t value)
{
	return value < 0 ? -(uint64_t)value : (uint64_t)value;
}

int32_t hist_place(int64_t value)
{
	int32_t index = index_of(magnitude_of(value));

	return value < 0 ? -index : index;
}

/* The last bucket of either side is cut where int64_t ends. */
static int64_t minus(uint64_t magnitude)
{
	return magnitude > INT64_MAX ? INT64_MIN : -(int64_t)magnitude;
}

int64_t hist_place_low(int32_t place)
{
	return place < 0 ? minus(index_high(-place))
			 : (int64_t)index_low(place);
}

int64_t hist_place_high(int32_t place)
{
	return place < 0 ? minus(index_low(-place))
			 : (int64_t)index_high(place);
}

struct hist *hist_create(void)
{
	struct hist *hist = calloc(1, sizeof *hist);

	return hist;
}

void hist_destroy(struct hist *hist)
{
	free(hist);
}

void hist_clear(struct hist *hist)
{
	for (int side = 0; side < SIDE_COUNT; side++) {
		for (int page = 0; page < HIST_PAGES; page++) {
			if (hist->pages[side][page] == 0)
				continue;
			memset(hist->buckets[side] + (size_t)page * HIST_PAGE,
			       0, HIST_PAGE * sizeof(uint64_t));
			hist->pages[side][page] = 0;
		}
	}
	hist->count = 0;
	hist->min = hist->max = 0;
	hist->sum = 0;
}

static void bounds_add(struct hist *hist, int64_t min, int64_t max)
{
	if (hist->count == 0 || min < hist->min)
		hist->min = min;
	if (hist->count == 0 || max > hist->max)
		hist->max = max;
}

void hist_add_count(struct hist *hist, int64_t value, uint64_t count)
{
	int32_t index = index_of(magnitude_of(value));
	int side = value < 0 ? SIDE_MINUS : SIDE_PLUS;

	if (count == 0)
		return;
	bounds_add(hist, value, value);
	hist->count += count;
	hist->sum += (hist_sum)value * count;
	hist->pages[side][index / HIST_PAGE] += count;
	hist->buckets[side][index] += count;
}

void hist_add(struct hist *hist, int64_t value)
{
	hist_add_count(hist, value, 1);
}

void hist_merge(struct hist *hist, const struct hist *from)
{
	if (from->count == 0)
		return;
	bounds_add(hist, from->min, from->max);
	hist->count += from->count;
	hist->sum += from->sum;
	for (int side = 0; side < SIDE_COUNT; side++) {
		for (int page = 0; page < HIST_PAGES; page++) {
			int at = page * HIST_PAGE;

			if (from->pages[side][page] == 0)
				continue;
			hist->pages[side][page] += from->pages[side][page];
			for (int i = at; i < at + HIST_PAGE; i++)
				hist->buckets[side][i] +=
					from->buckets[side][i];
		}
	}
}

uint64_t hist_count(const struct hist *hist)
{
	return hist->count;
}

int64_t hist_min(const struct hist *hist)
{
	return hist->min;
}

int64_t hist_max(const struct hist *hist)
{
	return hist->max;
}

double hist_mean(const struct hist *hist)
{
	return hist->count ? (double)hist->sum / (double)hist->count : 0;
}

/* The page that 'place' is in; of both, places -511 to 511, there are two. */
static uint64_t page_at(const struct hist *hist, int32_t place)
{
	return place < 0 ? hist->pages[SIDE_MINUS][-place / HIST_PAGE]
			 : hist->pages[SIDE_PLUS][place / HIST_PAGE];
}

/* The first place of the next page. */
static int32_t page_after(int32_t place)
{
	if (place >= 0)
		return (place / HIST_PAGE + 1) * HIST_PAGE;
	return place > -HIST_PAGE ? 0 : -(-place / HIST_PAGE * HIST_PAGE) + 1;
}

bool hist_next(const struct hist *hist, struct hist_bucket *bucket)
{
	int32_t place = bucket->begun ? bucket->place + 1 : -(HIST_SIDE - 1);

	while (place < HIST_SIDE) {
		if (page_at(hist, place) == 0) {
			place = page_after(place);
			continue;
		}
		bucket->count = hist_at(hist, place);
		if (bucket->count == 0) {
			place++;
			continue;
		}
		bucket->begun = true;
		bucket->place = place;
		bucket->low = hist_place_low(place);
		bucket->high = hist_place_high(place);
		return true;
	}
	return false;
}

static int64_t middle(const struct hist_bucket *bucket)
{
	return bucket->low + (bucket->high - bucket->low) / 2;
}

static int64_t within(const struct hist *hist, int64_t value)
{
	if (value < hist->min)
		return hist->min;
	return value > hist->max ? hist->max : value;
}

int64_t hist_quantile(const struct hist *hist, double quantile)
{
	double wanted = ceil(quantile * (double)hist->count);
	struct hist_bucket bucket = {0};
	uint64_t rank, sum = 0;

	if (hist->count == 0 || !(wanted > 1))
		return hist->min;
	if (wanted >= (double)hist->count)
		return hist->max;
	rank = (uint64_t)wanted;
	while (hist_next(hist, &bucket)) {
		sum += bucket.count;
		if (sum >= rank)
			return within(hist, middle(&bucket));
	}
	return hist->max;
}

double hist_deviation(const struct hist *hist)
{
	double mean = hist_mean(hist), sum = 0;
	struct hist_bucket bucket = {0};

	while (hist_next(hist, &bucket)) {
		double off = (double)within(hist, middle(&bucket)) - mean;

		sum += off * off * (double)bucket.count;
	}
	return hist->count ? sqrt(sum / (double)hist->count) : 0;
}
