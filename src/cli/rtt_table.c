/* The result of 'sonde rtt' for people, in 80 columns. */
#include <inttypes.h>
#include <string.h>

#include "cli/rtt_private.h"

#define BAR_MAX 20

struct sheet {
	const struct rtt_result *result;
	struct rtt_shares shares;
	int name_width, bar_width;
	FILE *to;
};

static const char *leg_sign(const struct segment *segment)
{
	if (segment->from_leg != segment->to_leg)
		return "=";
	return segment->to_leg == LEG_FORWARD ? ">" : "<";
}

/* "> sched-sent": the leg is said by its sign. */
static void name_make(const struct segment *segment, char *ret_name,
		      size_t size)
{
	const char *word = strchr(segment->name, ' ');

	(void)snprintf(ret_name, size, "%s %s", leg_sign(segment),
		       word ? word + 1 : segment->name);
}

const char *rtt_quantile_text(const struct hist_summary *summary,
			      const char *field, int64_t value, char *text)
{
	for (size_t i = 0; i < hist_summary_fields.count; i++) {
		const struct field_row *row = &hist_summary_fields.rows[i];

		if (strcmp(row->name, field) == 0 &&
		    !field_present(row, summary))
			return "-";
	}
	return summary->count > 0 ? rtt_ns_short(value, text) : "-";
}

/* Count, what lacks, and the quantiles. */
static void values_print(const struct sheet *sheet, const struct hist *hist,
			 uint64_t missing)
{
	struct hist_summary summary;
	char text[6][TEXT_SIZE], count[TEXT_SIZE], lacks[TEXT_SIZE];

	hist_summary(hist, &summary);
	fprintf(sheet->to, "%6s%5s%6s%6s%6s%6s%6s%6s",
		text_count((double)summary.count, count),
		missing ? text_count((double)missing, lacks) : "-",
		rtt_quantile_text(&summary, "min", summary.min, text[0]),
		rtt_quantile_text(&summary, "p50", summary.p50, text[1]),
		rtt_quantile_text(&summary, "p90", summary.p90, text[2]),
		rtt_quantile_text(&summary, "p99", summary.p99, text[3]),
		rtt_quantile_text(&summary, "p99_9", summary.p99_9, text[4]),
		rtt_quantile_text(&summary, "max", summary.max, text[5]));
}

static void bar_print(const struct sheet *sheet, double share)
{
	int width = (int)(share * sheet->bar_width + 0.5);

	if (width > sheet->bar_width)
		width = sheet->bar_width;
	for (int i = 0; i < width; i++)
		fputs(i > 0 ? "#" : " #", sheet->to);
}

static uint64_t missing_of(uint64_t expected, const struct hist *hist)
{
	uint64_t count = hist_count(hist);

	return expected > count ? expected - count : 0;
}

/* Packets that should have this segment and do not: a reader who was awake
 * was not called or woken. */
static uint64_t segment_missing(const struct sheet *sheet,
				const struct segment *segment,
				const struct hist *hist)
{
	const struct tally *tally = sheet->result->tally;
	uint64_t from, to;

	if (!rtt_if_asleep(segment))
		return missing_of(rtt_expected(sheet->result, segment), hist);
	from = tally_missing(tally, segment->from_leg, segment->from);
	to = tally_missing(tally, segment->to_leg, segment->to);
	return from > to ? from : to;
}

static void row_print(const struct sheet *sheet, size_t i)
{
	const struct segment *segment = &sheet->shares.segments[i];
	const struct hist *hist = tally_segment(sheet->result->tally, i);
	char name[SEGMENT_NAME];
	double share = sheet->shares.share[i];

	name_make(segment, name, sizeof name);
	fprintf(sheet->to, "%-*s", sheet->name_width, name);
	values_print(sheet, hist, segment_missing(sheet, segment, hist));
	fprintf(sheet->to, "%4.0f%%", share * 100);
	bar_print(sheet, share);
	putc('\n', sheet->to);
}

static void head_print(const struct sheet *sheet)
{
	const struct rtt_result *result = sheet->result;
	const struct rtt_options *options = result->options;
	bool named = strcmp(result->host, result->address) != 0;

	if (result->watched) {
		fprintf(sheet->to,
			"%s (%s), %.3g exchanges/s, tier %s: %d points\n\n",
			result->host, result->address, result->rate_hz,
			tier_words[result->tier],
			__builtin_popcountll(result->points));
		return;
	}
	fprintf(sheet->to,
		"%s%s%s%s, %g packets/s%s of %zu bytes, tier %s: %d points\n\n",
		named ? result->host : "", named ? " (" : "", result->address,
		named ? ")" : "", result->rate_hz,
		options->poisson ? " at random" : "", result->size,
		tier_words[result->tier], __builtin_popcountll(result->points));
}

static void segments_print(const struct sheet *sheet)
{
	fprintf(sheet->to, "%-*s%6s%5s%6s%6s%6s%6s%6s%6s%6s\n",
		sheet->name_width, "segment", "count", "miss", "min", "p50",
		"p90", "p99", "p99.9", "max", "share");
	for (size_t i = 0; i < sheet->shares.count; i++)
		row_print(sheet, i);
	if (sheet->shares.awake >= 0.0005)
		fprintf(sheet->to, "%-*s%47s%4.0f%%\n", sheet->name_width,
			"  readers awake", "", sheet->shares.awake * 100);
}

static void layers_print(const struct sheet *sheet)
{
	static const struct {
		enum tally_hist which;
		const char *name;
	} layers[] = {
		{TALLY_RTT, "round trip"},
		{TALLY_RTT_CORRECTED, "  from the slot"},
		{TALLY_SOCKET, "  sockets"},
		{TALLY_KERNEL, "  kernels"},
		{TALLY_WIRE, "  wire"},
	};

	for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
		const struct hist *hist =
			tally_hist(sheet->result->tally, layers[i].which);

		if (hist_count(hist) == 0 ||
		    (sheet->result->watched &&
		     layers[i].which == TALLY_RTT_CORRECTED))
			continue;
		fprintf(sheet->to, "%-*s", sheet->name_width, layers[i].name);
		values_print(
			sheet, hist,
			missing_of(layers[i].which >= TALLY_KERNEL
					   ? rtt_expected(sheet->result, NULL)
					   : hist_count(hist),
				   hist));
		putc('\n', sheet->to);
	}
	fprintf(sheet->to,
		"> there, = %s, < back; n, u, m: nano-, micro-, milliseconds\n",
		!sheet->result->watched              ? "in the reflector"
		: sheet->result->side == SIDE_SERVER ? "in the program"
						     : "beyond this host");
}

static void counts_print(const struct sheet *sheet)
{
	struct tally_counters counters = tally_counters(sheet->result->tally);
	uint64_t lost = counters.lost_forward + counters.lost_back +
			counters.lost_unknown;
	double share = counters.sent > 0
			       ? 100 * (double)lost / (double)counters.sent
			       : 0;

	fprintf(sheet->to,
		"\nslots       %" PRIu64 ": %" PRIu64 " sent (%" PRIu64
		" late), %" PRIu64 " skipped, %" PRIu64 " refused\n",
		counters.slots, counters.sent, counters.late, counters.skipped,
		counters.failed);
	fprintf(sheet->to,
		"loss        %" PRIu64 " of %" PRIu64 " (%.3g %%): %" PRIu64
		" on the way there, %" PRIu64 " back",
		lost, counters.sent, share, counters.lost_forward,
		counters.lost_back);
	if (counters.lost_unknown)
		fprintf(sheet->to, ", %" PRIu64 " unknown",
			counters.lost_unknown);
	fprintf(sheet->to,
		"\nduplicates  %" PRIu64 " there, %" PRIu64
		" back; reordered %" PRIu64 " there, %" PRIu64 " back\n",
		counters.duplicates_forward, counters.duplicates_back,
		counters.reordered_forward, counters.reordered_back);
	if (counters.void_trips)
		fprintf(sheet->to,
			"void        %" PRIu64
			" packets: a clock was stepped meanwhile\n",
			counters.void_trips);
}

/* The layer nearest to the wire that has values. */
static bool delay_layer(const struct rtt_result *result, enum leg leg,
			enum layer *ret_layer)
{
	for (int layer = LAYER_COUNT - 1; layer >= 0; layer--) {
		const struct hist *hist = tally_hist(
			result->tally, TALLY_OF(TALLY_DELAY, leg, layer));

		*ret_layer = (enum layer)layer;
		if (hist_count(hist) > 0)
			return true;
	}
	return false;
}

static void delay_print(const struct sheet *sheet, enum leg leg)
{
	static const char *const names[LEG_COUNT] = {"there", "back"};
	static const char *const where[LAYER_COUNT] = {"sockets", "kernels",
						       "drivers"};
	const struct rtt_result *result = sheet->result;
	const struct offset_reading *reading = &result->reading;
	char text[5][TEXT_SIZE];
	enum layer layer;
	const struct hist *hist;
	struct jitter jitter;

	if (!delay_layer(result, leg, &layer))
		return;
	hist = tally_hist(result->tally, TALLY_OF(TALLY_DELAY, leg, layer));
	jitter = tally_jitter(result->tally, leg, layer);
	fprintf(sheet->to,
		"%-11s p50 %s, p99 %s, all +-%s, at the %s; jitter %s\n",
		names[leg], rtt_ns_text(hist_quantile(hist, 0.5), text[0]),
		rtt_ns_text(hist_quantile(hist, 0.99), text[1]),
		rtt_ns_text((reading->high_ns - reading->low_ns + 1) / 2,
			    text[2]),
		where[layer], rtt_ns_text(jitter_ns(&jitter), text[3]));
}

static void offset_print(const struct sheet *sheet)
{
	const struct rtt_result *result = sheet->result;
	const struct offset_reading *reading = &result->reading;
	uint32_t steps = offset_steps(result->offset);
	char text[2][TEXT_SIZE];

	if (!result->reading_known) {
		fprintf(sheet->to, "one way     not known: no stamps of the "
				   "other host's clock\n");
		return;
	}
	delay_print(sheet, LEG_FORWARD);
	delay_print(sheet, LEG_BACK);
	fprintf(sheet->to,
		"its clock   %s ahead, +-%s; drifts %.4g ppm (%.4g to %.4g)",
		rtt_ns_text(reading->best_ns, text[0]),
		rtt_ns_text((reading->high_ns - reading->low_ns + 1) / 2,
			    text[1]),
		reading->drift_ppm, reading->drift_low_ppm,
		reading->drift_high_ppm);
	if (steps)
		fprintf(sheet->to, "; stepped %u times", steps);
	putc('\n', sheet->to);
}

static void cost_print(const struct sheet *sheet)
{
	struct own_cost cost;
	char text[3][TEXT_SIZE];

	if (!sheet->result->options->interleave)
		return;
	if (!tally_own_cost(sheet->result->tally, &cost)) {
		fprintf(sheet->to, "own cost    not known: too few packets\n");
		return;
	}
	fprintf(sheet->to,
		"own cost    %s a round trip, %s to %s with 95 %% confidence\n",
		rtt_ns_text(cost.cost_ns, text[0]),
		rtt_ns_text(cost.low_ns, text[1]),
		rtt_ns_text(cost.high_ns, text[2]));
}

static void quality_print(const struct sheet *sheet)
{
	static const char *const legs[LEG_COUNT] = {">", "<"};
	const struct rtt_result *result = sheet->result;
	struct tally_counters counters = tally_counters(result->tally);
	uint64_t asked = counters.answered - counters.unstamped;
	const char *comma = "\n  missing   ";

	fprintf(sheet->to,
		"stamps      %" PRIu64 " of %" PRIu64 " packets have all",
		counters.complete,
		counters.answered > counters.unstamped ? asked : 0);
	for (int place = 0; place < LEG_COUNT * POINT_COUNT; place++) {
		uint64_t count =
			tally_missing(result->tally, place / POINT_COUNT,
				      place % POINT_COUNT);

		if (count == 0)
			continue;
		fprintf(sheet->to, "%s%s %s %" PRIu64, comma,
			legs[place / POINT_COUNT],
			point_rows[place % POINT_COUNT].word, count);
		comma = ", ";
	}
	putc('\n', sheet->to);
	if (result->trips_lost)
		fprintf(sheet->to,
			"            %" PRIu64
			" packets are not in here: this program was behind\n",
			result->trips_lost);
}

static void owners_print(const struct sheet *sheet)
{
	const double *remote = sheet->shares.remote;
	char text[256];

	if (!sheet->shares.known)
		return;
	fprintf(sheet->to, "\nWhose time: %s.\n",
		rtt_owners_text(sheet->result, &sheet->shares, text));
	if (sheet->result->watched)
		return;
	fprintf(sheet->to,
		"            (%.0f %% of it on the reflector's host)\n",
		100 * (remote[OWNER_APPLICATION] + remote[OWNER_KERNEL]));
}

void rtt_table_print(const struct rtt_result *result, int width, FILE *to)
{
	struct sheet sheet = {.result = result, .to = to, .name_width = 18};

	if (!result->tally)
		return;
	rtt_shares(result, &sheet.shares);
	for (size_t i = 0; i < sheet.shares.count; i++) {
		char name[SEGMENT_NAME];

		name_make(&sheet.shares.segments[i], name, sizeof name);
		if ((int)strlen(name) > sheet.name_width)
			sheet.name_width = (int)strlen(name);
	}
	sheet.bar_width = width - sheet.name_width - 53;
	if (sheet.bar_width > BAR_MAX)
		sheet.bar_width = BAR_MAX;
	if (sheet.bar_width < 0)
		sheet.bar_width = 0;
	head_print(&sheet);
	segments_print(&sheet);
	layers_print(&sheet);
	if (result->watched) {
		rtt_watch_counts_print(result, to);
	} else {
		counts_print(&sheet);
		offset_print(&sheet);
		cost_print(&sheet);
	}
	quality_print(&sheet);
	owners_print(&sheet);
}
