/* The plots: a waterfall, values over time, distributions. */
#include <math.h>

#include "export/svg_private.h"

#define ROW_HEIGHT  22
#define NAME_WIDTH  230
#define VALUE_WIDTH 150
#define PLOT_HEIGHT 520
#define PLOT_BOTTOM 460
#define LEGEND_ROW  18
#define STEPS_MAX   400

static void legend(FILE *to, double x, double y, int group, const char *name)
{
	svg_box(to, (double[4]){x, y - 10, 12, 12}, group, 1);
	svg_text(to, x + 18, y, "start", name);
}

/* ------------------------------------------------------------- waterfall */

static void bar_draw(FILE *to, const struct export_svg_bar *bar, double begin,
		     const struct svg_axis *axis, double y)
{
	double x = svg_place(axis, begin);
	double end = svg_place(axis, begin + fmax(bar->mean_ns, 0));
	double middle = svg_place(axis, begin + fmax(bar->median_ns, 0));
	char mean[32], median[32], text[80];

	svg_text(to, NAME_WIDTH - 8, y + 14, "end", bar->name);
	svg_box(to, (double[4]){x, y + 2, end - x, ROW_HEIGHT - 5}, bar->group,
		0.55);
	svg_box(to,
		(double[4]){x, y + 7, fmin(middle, axis->to) - x,
			    ROW_HEIGHT - 15},
		bar->group, 1);
	(void)snprintf(text, sizeof text, "%s / %s", svg_ns(bar->mean_ns, mean),
		       svg_ns(bar->median_ns, median));
	svg_text(to, SVG_WIDTH - 16, y + 14, "end", text);
}

int export_svg_waterfall(FILE *to, const char *title,
			 const struct export_svg_bar *bars, size_t count,
			 const char *const groups[EXPORT_SVG_GROUPS])
{
	double bottom = SVG_TOP + 20 + (double)count * ROW_HEIGHT, begin = 0;
	struct svg_axis axis = {0, 1, NAME_WIDTH, SVG_WIDTH - VALUE_WIDTH,
				false};
	double x = NAME_WIDTH, sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += fmax(bars[i].mean_ns, 0);
	axis.high = fmax(sum, 1);
	svg_begin(to, title, bottom + 64);
	svg_axis_right(to, &axis, (double[2]){SVG_TOP + 12, bottom});
	svg_text(to, SVG_WIDTH - 16, SVG_TOP + 8, "end", "mean / median");
	for (size_t i = 0; i < count; i++) {
		bar_draw(to, &bars[i], begin, &axis,
			 SVG_TOP + 16 + (double)i * ROW_HEIGHT);
		begin += fmax(bars[i].mean_ns, 0);
	}
	for (int i = 0; i < EXPORT_SVG_GROUPS; i++) {
		if (!groups[i])
			continue;
		legend(to, x, bottom + 46, i, groups[i]);
		x += 220;
	}
	return svg_end(to);
}

/* ----------------------------------------------------------------- times */

static double bucket_time(const struct export_series *series, int i)
{
	return ((double)i + 0.5) * (double)series->width_ns;
}

static void times_range(const struct export_svg_curve *curves, size_t count,
			struct svg_axis *down, struct svg_axis *right)
{
	double low = INFINITY, high = 1;

	for (size_t k = 0; k < count; k++) {
		const struct export_series *series = curves[k].series;

		for (int i = 0; i < EXPORT_SERIES_MAX; i++) {
			const struct export_bucket *bucket =
				&series->buckets[i];

			if (bucket->count == 0 && bucket->lost == 0)
				continue;
			right->high =
				fmax(right->high, bucket_time(series, i + 1));
			if (bucket->count == 0)
				continue;
			low = fmin(low, fmax((double)bucket->min, 1));
			high = fmax(high, (double)bucket->max);
		}
	}
	down->low = (isfinite(low) ? low : 1) * 0.9;
	down->high = fmax(high * 1.1, down->low * 2);
}

/* The next bucket that has values, from 'at' on. */
static int bucket_next(const struct export_series *series, int at)
{
	while (at < EXPORT_SERIES_MAX && series->buckets[at].count == 0)
		at++;
	return at;
}

/* How far apart neighbours with values mostly are: slow runs have empty
 * buckets between packets, and what is much farther apart is a gap. */
static int gap_usual(const struct export_series *series)
{
	int counts[EXPORT_SERIES_MAX + 1] = {0}, gaps = 0, seen = 0;
	int at = bucket_next(series, 0);

	while (at < EXPORT_SERIES_MAX) {
		int next = bucket_next(series, at + 1);

		if (next < EXPORT_SERIES_MAX) {
			counts[next - at]++;
			gaps++;
		}
		at = next;
	}
	for (int i = 1; i < EXPORT_SERIES_MAX; i++) {
		seen += counts[i];
		if (seen * 2 > gaps)
			return i;
	}
	return 1;
}

static void area_draw(FILE *to, const struct export_svg_curve *curve,
		      const int *at, int count, const struct svg_axis axes[2])
{
	const struct export_series *series = curve->series;
	const struct export_bucket *buckets = series->buckets;
	const char *color = svg_colors[curve->group];

	fputs("<path d=\"", to);
	for (int i = 0; i < count; i++)
		fprintf(to, "%c%.1f %.1f", i == 0 ? 'M' : 'L',
			svg_place(&axes[1], bucket_time(series, at[i])),
			svg_place(&axes[0], (double)buckets[at[i]].max));
	for (int i = count; i-- > 0;)
		fprintf(to, "L%.1f %.1f",
			svg_place(&axes[1], bucket_time(series, at[i])),
			svg_place(&axes[0], (double)buckets[at[i]].min));
	fprintf(to,
		"Z\" fill=\"%s\" fill-opacity=\"0.25\" stroke=\"%s\" "
		"stroke-opacity=\"0.3\"/>\n<path d=\"",
		color, color);
	for (int i = 0; i < count; i++)
		fprintf(to, "%c%.1f %.1f", i == 0 ? 'M' : 'L',
			svg_place(&axes[1], bucket_time(series, at[i])),
			svg_place(&axes[0],
				  buckets[at[i]].sum /
					  (double)buckets[at[i]].count));
	fprintf(to, "\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.3\"/>\n",
		color);
}

/* Nothing is drawn where nothing was measured. */
static void curve_draw(FILE *to, const struct export_svg_curve *curve,
		       const struct svg_axis axes[2])
{
	const struct export_series *series = curve->series;
	int at[EXPORT_SERIES_MAX], count = 0, usual = gap_usual(series);

	for (int i = bucket_next(series, 0); i < EXPORT_SERIES_MAX;
	     i = bucket_next(series, i + 1)) {
		if (count > 0 && i - at[count - 1] > 2 * usual) {
			area_draw(to, curve, at, count, axes);
			count = 0;
		}
		at[count++] = i;
	}
	if (count > 0)
		area_draw(to, curve, at, count, axes);
	for (int i = 0; i < EXPORT_SERIES_MAX; i++) {
		double x = svg_place(&axes[1], bucket_time(series, i));

		if (series->buckets[i].lost > 0)
			svg_line(to,
				 (double[4]){x, PLOT_BOTTOM - 10, x,
					     PLOT_BOTTOM},
				 "stroke=\"#c00\" stroke-width=\"2\"");
	}
}

static void legends_draw(FILE *to, const struct export_svg_curve *curves,
			 size_t count, double x, double y)
{
	for (size_t i = 0; i < count; i++)
		legend(to, x, y + (double)i * LEGEND_ROW, curves[i].group,
		       curves[i].name);
}

int export_svg_times(FILE *to, const char *title,
		     const struct export_svg_curve *curves, size_t count)
{
	struct svg_axis axes[2] = {
		{1, 10, PLOT_BOTTOM - 14, SVG_TOP, true},
		{0, 1, SVG_LEFT, SVG_WIDTH - VALUE_WIDTH, false}};

	times_range(curves, count, &axes[0], &axes[1]);
	svg_begin(to, title, PLOT_HEIGHT);
	svg_axis_down(to, &axes[0], (double[2]){axes[1].from, axes[1].to});
	svg_axis_right(to, &axes[1], (double[2]){SVG_TOP, PLOT_BOTTOM});
	for (size_t i = count; i-- > 0;) /* the first is on top */
		curve_draw(to, &curves[i], axes);
	legends_draw(to, curves, count, axes[1].to + 14, SVG_TOP + 14);
	svg_text(to, axes[1].to + 14, SVG_TOP + 30 + (double)count * LEGEND_ROW,
		 "start", "line: mean");
	svg_text(to, axes[1].to + 14, SVG_TOP + 48 + (double)count * LEGEND_ROW,
		 "start", "area: least to most");
	svg_text(to, axes[1].to + 14, PLOT_BOTTOM, "start", "red: lost");
	return svg_end(to);
}

/* ---------------------------------------------------------- distribution */

static void distribution_range(const struct export_svg_curve *curves,
			       size_t count, struct svg_axis *axis)
{
	double low = INFINITY, high = 1;

	for (size_t i = 0; i < count; i++) {
		if (hist_count(curves[i].hist) == 0)
			continue;
		low = fmin(low, fmax((double)hist_min(curves[i].hist), 1));
		high = fmax(high, (double)hist_max(curves[i].hist));
	}
	axis->low = (isfinite(low) ? low : 1) * 0.9;
	axis->high = fmax(high * 1.1, axis->low * 2);
}

/* At most STEPS_MAX corners, and always the last. */
static void distribution_draw(FILE *to, const struct export_svg_curve *curve,
			      const struct svg_axis axes[2])
{
	double total = (double)hist_count(curve->hist), seen = 0, drawn = 0;
	struct hist_bucket bucket = {0};
	double last_x = -1;

	fprintf(to, "<path d=\"M%.1f %.1f",
		svg_place(&axes[1], (double)hist_min(curve->hist)),
		axes[0].from);
	while (hist_next(curve->hist, &bucket)) {
		double x = svg_place(&axes[1], (double)bucket.high);

		seen += (double)bucket.count;
		if (seen < total && x - last_x < 1 &&
		    seen - drawn < total / STEPS_MAX)
			continue;
		fprintf(to, "H%.1fV%.1f", x, svg_place(&axes[0], seen / total));
		last_x = x;
		drawn = seen;
	}
	fprintf(to, "\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\"%s/>\n",
		svg_colors[curve->group % EXPORT_SVG_GROUPS],
		curve->group >= EXPORT_SVG_GROUPS ? " stroke-dasharray=\"5 3\""
						  : "");
}

static void shares_draw(FILE *to, const struct svg_axis axes[2])
{
	char text[16];

	for (int i = 0; i <= 10; i++) {
		double y = svg_place(&axes[0], i / 10.0);

		svg_line(to, (double[4]){axes[1].from, y, axes[1].to, y},
			 "stroke=\"#ddd\"");
		(void)snprintf(text, sizeof text, "%d %%", i * 10);
		svg_text(to, axes[1].from - 6, y + 4, "end", text);
	}
}

int export_svg_distribution(FILE *to, const char *title,
			    const struct export_svg_curve *curves, size_t count)
{
	double height = SVG_TOP + 40 + (double)count * LEGEND_ROW;
	struct svg_axis axes[2] = {
		{0, 1, PLOT_BOTTOM, SVG_TOP, false},
		{1, 10, SVG_LEFT, SVG_WIDTH - NAME_WIDTH, true}};

	distribution_range(curves, count, &axes[1]);
	svg_begin(to, title, fmax(height, PLOT_HEIGHT));
	shares_draw(to, axes);
	svg_axis_right(to, &axes[1], (double[2]){SVG_TOP, PLOT_BOTTOM});
	for (size_t i = 0; i < count; i++) {
		double y = SVG_TOP + 14 + (double)i * LEGEND_ROW;
		double x = axes[1].to + 14;

		if (hist_count(curves[i].hist) == 0)
			continue;
		distribution_draw(to, &curves[i], axes);
		fprintf(to,
			"<path d=\"M%.1f %.1fH%.1f\" stroke=\"%s\" "
			"stroke-width=\"2\"%s/>\n",
			x, y - 4, x + 20,
			svg_colors[curves[i].group % EXPORT_SVG_GROUPS],
			curves[i].group >= EXPORT_SVG_GROUPS
				? " stroke-dasharray=\"5 3\""
				: "");
		svg_text(to, x + 26, y, "start", curves[i].name);
	}
	return svg_end(to);
}
