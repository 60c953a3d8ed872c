/* Values over time in bounded memory. */
#include <string.h>

#include "export/export.h"

#define WIDTH_FIRST_NS 100000

static void bucket_join(struct export_bucket *to,
			const struct export_bucket *from)
{
	if (from->count > 0 && (to->count == 0 || from->min < to->min))
		to->min = from->min;
	if (from->count > 0 && (to->count == 0 || from->max > to->max))
		to->max = from->max;
	to->sum += from->sum;
	to->count += from->count;
	to->lost += from->lost;
}

static void widen(struct export_series *series)
{
	struct export_bucket *buckets = series->buckets;
	size_t half = EXPORT_SERIES_MAX / 2;

	for (size_t i = 0; i < half; i++) {
		struct export_bucket joined = buckets[2 * i];

		bucket_join(&joined, &buckets[2 * i + 1]);
		buckets[i] = joined;
	}
	memset(buckets + half, 0, half * sizeof *buckets);
	series->width_ns *= 2;
}

static struct export_bucket *bucket_at(struct export_series *series,
				       int64_t at_ns)
{
	int64_t since;

	if (series->width_ns == 0) {
		series->begin_ns = at_ns;
		series->width_ns = WIDTH_FIRST_NS;
	}
	since = at_ns > series->begin_ns ? at_ns - series->begin_ns : 0;
	while (since / series->width_ns >= EXPORT_SERIES_MAX)
		widen(series);
	return &series->buckets[since / series->width_ns];
}

void export_series_add(struct export_series *series, int64_t at_ns,
		       int64_t value)
{
	struct export_bucket one = {value, value, (double)value, 1, 0};

	bucket_join(bucket_at(series, at_ns), &one);
}

void export_series_lose(struct export_series *series, int64_t at_ns)
{
	bucket_at(series, at_ns)->lost++;
}
