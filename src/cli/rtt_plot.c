/* 'sonde rtt --plot': three pictures. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/rtt_private.h"
#include "export/export.h"

#define CURVES 4

struct rtt_plot {
	char *prefix;
	struct export_series series[CURVES]; /* rtt, then the three layers */
};

static const char *const curve_names[CURVES] = {"round trip", "sockets",
						"kernels", "wire"};

int rtt_plot_open(const char *prefix, struct rtt_plot **ret_plot)
{
	struct rtt_plot *plot = calloc(1, sizeof *plot);

	if (plot)
		plot->prefix = strdup(prefix);
	if (!plot || !plot->prefix) {
		free(plot);
		return usage_fail("plot: out of memory");
	}
	*ret_plot = plot;
	return -1;
}

void rtt_plot_trip(struct rtt_plot *plot, const struct trip *trip)
{
	int64_t ns;

	if (trip->flags & (TRIP_SKIPPED | TRIP_FAILED | TRIP_VOID))
		return;
	if (trip->flags & TRIP_LOST) {
		export_series_lose(&plot->series[0], trip->slot_ns);
		return;
	}
	if (trip_rtt_ns(trip, &ns))
		export_series_add(&plot->series[0], trip->slot_ns, ns);
	for (int layer = 0; layer < LAYER_COUNT; layer++) {
		if (trip_layer_ns(trip, (enum layer)layer, &ns))
			export_series_add(&plot->series[1 + layer],
					  trip->slot_ns, ns);
	}
}

static int waterfall(const struct rtt_result *result, const char *title,
		     FILE *to)
{
	static const char *const groups[EXPORT_SVG_GROUPS] = {
		"application, wake-up", "kernel", "path"};
	static const char *const plain[EXPORT_SVG_GROUPS] = {
		"reflector's application", NULL, "path and kernels"};
	struct export_svg_bar bars[SEGMENT_MAX];
	struct rtt_shares shares;

	rtt_shares(result, &shares);
	for (size_t i = 0; i < shares.count; i++)
		bars[i] = (struct export_svg_bar){
			.name = shares.segments[i].name,
			.mean_ns = (double)shares.mean_ns[i],
			.median_ns = (double)hist_quantile(
				tally_segment(result->tally, i), 0.5),
			.group = (int)rtt_owner(&shares.segments[i]),
		};
	return export_svg_waterfall(to, title, bars, shares.count,
				    result->tier == TIER_APPLICATION ? plain
								     : groups);
}

static int times(const struct rtt_plot *plot, const char *title, FILE *to)
{
	struct export_svg_curve curves[CURVES];
	size_t count = 0;

	for (int i = 0; i < CURVES; i++) {
		if (plot->series[i].width_ns > 0)
			curves[count++] = (struct export_svg_curve){
				.name = curve_names[i],
				.series = &plot->series[i],
				.group = i,
			};
	}
	return export_svg_times(to, title, curves, count);
}

static int distribution(const struct rtt_result *result, const char *title,
			FILE *to)
{
	struct export_svg_curve curves[SEGMENT_MAX + 1];
	struct rtt_shares shares;

	rtt_shares(result, &shares);
	curves[0] = (struct export_svg_curve){
		.name = "round trip",
		.hist = tally_hist(result->tally, TALLY_RTT),
		.group = EXPORT_SVG_GROUPS - 1,
	};
	for (size_t i = 0; i < shares.count; i++)
		curves[i + 1] = (struct export_svg_curve){
			.name = shares.segments[i].name,
			.hist = tally_segment(result->tally, i),
			.group = (int)(i % (EXPORT_SVG_GROUPS - 1)) +
				 (i / (EXPORT_SVG_GROUPS - 1) % 2
					  ? EXPORT_SVG_GROUPS
					  : 0),
		};
	return export_svg_distribution(to, title, curves, shares.count + 1);
}

static bool picture(const struct rtt_plot *plot,
		    const struct rtt_result *result, int which)
{
	static const char *const ends[] = {"waterfall", "times", "cdf"};
	static const char *const lines[] = {"where the time goes",
					    "packet by packet",
					    "share of packets up to a time"};
	char path[4096], title[300];
	FILE *to;
	int rc;

	(void)snprintf(path, sizeof path, "%s-%s.svg", plot->prefix,
		       ends[which]);
	(void)snprintf(title, sizeof title, "%.120s, %g packets/s: %s",
		       result->host, result->rate_hz, lines[which]);
	to = fopen(path, "we");
	if (!to) {
		fprintf(stderr, "sonde: rtt: %s: %s\n", path,
			err_sentence(-errno));
		return false;
	}
	rc = which == 0   ? waterfall(result, title, to)
	     : which == 1 ? times(plot, title, to)
			  : distribution(result, title, to);
	if (fclose(to) != 0 && rc == 0)
		rc = -errno;
	if (rc < 0)
		fprintf(stderr, "sonde: rtt: %s: %s\n", path, err_sentence(rc));
	return rc == 0;
}

bool rtt_plot_close(struct rtt_plot *plot, const struct rtt_result *result)
{
	bool all = true;

	for (int i = 0; i < 3 && result->tally; i++)
		all &= picture(plot, result, i);
	free(plot->prefix);
	free(plot);
	return all;
}
