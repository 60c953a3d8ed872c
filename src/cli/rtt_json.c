/* Trips as JSON lines. */
#include <inttypes.h>

#include "cli/rtt_private.h"

static void number_or_null(const char *name, bool known, int64_t value,
			   FILE *to)
{
	if (known)
		fprintf(to, "\"%s\":%" PRId64, name, value);
	else
		fprintf(to, "\"%s\":null", name);
}

static void segments_json(const struct trip *trip, point_set points, FILE *to)
{
	struct segment segments[SEGMENT_MAX];
	size_t count = trip_segments(points, segments);

	fputs(",\"segments_ns\":{", to);
	for (size_t i = 0; i < count; i++) {
		int64_t ns = 0;
		bool known = trip_segment_ns(trip, &segments[i], 0, &ns);

		if (i > 0)
			putc(',', to);
		number_or_null(segments[i].name, known, ns, to);
	}
	putc('}', to);
}

static const char *fate(const struct trip *trip)
{
	if (trip->flags & TRIP_SKIPPED)
		return "skipped";
	if (trip->flags & TRIP_FAILED)
		return "failed";
	if (!(trip->flags & TRIP_LOST))
		return "answered";
	if (!(trip->flags & TRIP_LEG_KNOWN))
		return "lost";
	return trip->flags & TRIP_LOST_BACK ? "lost_back" : "lost_forward";
}

static void flags_json(const struct trip *trip, FILE *to)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {
		{TRIP_VOID, "void"},
		{TRIP_LATE, "late"},
		{TRIP_UNSTAMPED, "unstamped"},
		{TRIP_OVERTAKEN(LEG_FORWARD), "overtaken_forward"},
		{TRIP_OVERTAKEN(LEG_BACK), "overtaken_back"},
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (trip->flags & names[i].flag)
			fprintf(to, ",\"%s\":true", names[i].name);
	}
	if (trip->duplicates[LEG_FORWARD])
		fprintf(to, ",\"duplicates_forward\":%u",
			trip->duplicates[LEG_FORWARD]);
	if (trip->duplicates[LEG_BACK])
		fprintf(to, ",\"duplicates_back\":%u",
			trip->duplicates[LEG_BACK]);
	if (trip->answers_lost)
		fprintf(to, ",\"answers_lost\":%u", trip->answers_lost);
}

/* As the packet came there and its answer here. */
static void heads_json(const struct trip *trip, FILE *to)
{
	static const char *const legs[LEG_COUNT] = {"forward", "back"};

	for (int leg = 0; leg < LEG_COUNT; leg++) {
		if (trip->ttl[leg] != 0)
			fprintf(to, ",\"ttl_%s\":%u", legs[leg],
				trip->ttl[leg]);
		if (trip->dscp[leg] != TRIP_CLASS_UNKNOWN)
			fprintf(to, ",\"dscp_%s\":%u,\"ecn_%s\":%u", legs[leg],
				trip->dscp[leg], legs[leg], trip->ecn[leg]);
	}
}

static void layers_json(const struct trip *trip, FILE *to)
{
	static const char *const names[LAYER_COUNT] = {"socket_ns", "kernel_ns",
						       "wire_ns"};

	for (int layer = 0; layer < LAYER_COUNT; layer++) {
		int64_t ns = 0;
		bool known = trip_layer_ns(trip, (enum layer)layer, &ns);

		putc(',', to);
		number_or_null(names[layer], known, ns, to);
	}
}

/* What stands behind "type" and, of another program's, "side". */
static void trip_members_json(const struct trip *trip, point_set points,
			      FILE *to)
{
	int64_t rtt_ns = 0;
	bool known = trip_rtt_ns(trip, &rtt_ns);

	fprintf(to, "\"seq\":%u,\"fate\":\"%s\",", trip->seq, fate(trip));
	number_or_null("rtt_ns", known, rtt_ns, to);
	putc(',', to);
	number_or_null("late_ns", !(trip->flags & TRIP_SKIPPED), trip->late_ns,
		       to);
	layers_json(trip, to);
	flags_json(trip, to);
	heads_json(trip, to);
	segments_json(trip, trip_points(trip, points), to);
	fputs("}\n", to);
}

void rtt_trip_json(const struct trip *trip, point_set points, FILE *to)
{
	fputs("{\"type\":\"packet\",", to);
	trip_members_json(trip, points, to);
}

void rtt_exchange_json(enum exchange_side side, const struct trip *trip,
		       point_set points, FILE *to)
{
	fprintf(to, "{\"type\":\"packet\",\"side\":\"%s\",",
		exchange_side_words[side]);
	trip_members_json(trip, points, to);
}

static void hist_json(const char *name, const struct hist *hist, FILE *to)
{
	struct hist_summary summary;
	char value[64];

	hist_summary(hist, &summary);
	fprintf(to, "\"%s\":{", name);
	for (size_t i = 0; i < hist_summary_fields.count; i++) {
		const struct field_row *row = &hist_summary_fields.rows[i];

		(void)field_json(row, &summary, value, sizeof value);
		fprintf(to, "%s\"%s\":%s", i > 0 ? "," : "", row->name, value);
	}
	putc('}', to);
}

static void tally_json(const struct tally *tally, FILE *to)
{
	struct tally_counters counters = tally_counters(tally);
	const uint64_t *values = (const uint64_t *)&counters;

	fputs(",\"tally\":{", to);
	for (size_t i = 0; i < tally_counter_count; i++)
		fprintf(to, "%s\"%s\":%" PRIu64, i > 0 ? "," : "",
			tally_counter_rows[i].name, values[i]);
	fputs("},\"distributions\":{", to);
	for (int i = 0; i < TALLY_HIST_COUNT; i++) {
		if (i > 0)
			putc(',', to);
		hist_json(tally_hist_rows[i].name,
			  tally_hist(tally, (enum tally_hist)i), to);
	}
	putc('}', to);
}

static void segments_summary_json(const struct rtt_result *result, FILE *to)
{
	struct rtt_shares shares;

	rtt_shares(result, &shares);
	fputs(",\"segments\":{", to);
	for (size_t i = 0; i < shares.count; i++) {
		if (i > 0)
			putc(',', to);
		hist_json(shares.segments[i].name,
			  tally_segment(result->tally, i), to);
	}
	fputs("},\"shares\":", to);
	if (shares.known)
		fprintf(to,
			"{\"application\":%.4f,\"kernel\":%.4f,\"path\":%.4f}",
			shares.owners[OWNER_APPLICATION],
			shares.owners[OWNER_KERNEL], shares.owners[OWNER_PATH]);
	else
		fputs("null", to);
}

static void missing_json(const struct rtt_result *result, FILE *to)
{
	static const char *const legs[LEG_COUNT] = {"forward", "back"};
	const char *comma = "";

	fputs(",\"missing\":{", to);
	for (point_set left = result->points; left != 0; left &= left - 1) {
		int place = __builtin_ctzll(left);

		fprintf(to, "%s\"%s %s\":%" PRIu64, comma,
			legs[place / POINT_COUNT],
			point_rows[place % POINT_COUNT].word,
			tally_missing(result->tally, place / POINT_COUNT,
				      place % POINT_COUNT));
		comma = ",";
	}
	putc('}', to);
}

static void jitters_json(const struct tally *tally, FILE *to)
{
	static const char *const legs[LEG_COUNT] = {"forward", "back"};
	static const char *const layers[LAYER_COUNT] = {"socket", "kernel",
							"wire"};

	fputs(",\"jitter_ns\":{", to);
	for (int i = 0; i < LEG_COUNT * LAYER_COUNT; i++) {
		struct jitter jitter =
			tally_jitter(tally, i / LAYER_COUNT, i % LAYER_COUNT);
		char name[32];

		(void)snprintf(name, sizeof name, "%s_%s",
			       legs[i / LAYER_COUNT], layers[i % LAYER_COUNT]);
		if (i > 0)
			putc(',', to);
		number_or_null(name, jitter.count > 0, jitter_ns(&jitter), to);
	}
	putc('}', to);
}

static void offset_json(const struct rtt_result *result, FILE *to)
{
	const struct offset_reading *reading = &result->reading;

	if (!result->reading_known) {
		fputs(",\"offset\":null", to);
		return;
	}
	fprintf(to,
		",\"offset\":{\"best_ns\":%" PRId64 ",\"low_ns\":%" PRId64
		",\"high_ns\":%" PRId64 ",\"drift_ppm\":%.6f,"
		"\"drift_low_ppm\":%.6f,\"drift_high_ppm\":%.6f,"
		"\"steps\":%u}",
		reading->best_ns, reading->low_ns, reading->high_ns,
		reading->drift_ppm, reading->drift_low_ppm,
		reading->drift_high_ppm, offset_steps(result->offset));
}

static void cost_json(const struct tally *tally, FILE *to)
{
	struct own_cost cost;

	if (!tally_own_cost(tally, &cost)) {
		fputs(",\"own_cost\":null", to);
		return;
	}
	fprintf(to,
		",\"own_cost\":{\"cost_ns\":%" PRId64 ",\"low_ns\":%" PRId64
		",\"high_ns\":%" PRId64 ",\"stamped_ns\":%" PRId64
		",\"unstamped_ns\":%" PRId64 "}",
		cost.cost_ns, cost.low_ns, cost.high_ns, cost.stamped_ns,
		cost.unstamped_ns);
}

/* The points that the other host stamps. */
static point_set remote_points(point_set points)
{
	point_set remote = 0;

	for (point_set left = points; left != 0; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);

		if (!point_is_local(i / POINT_COUNT, i % POINT_COUNT))
			remote |= left & -left;
	}
	return remote;
}

static void tiers_json(const struct watcher *watcher, point_set points,
		       FILE *to)
{
	struct watcher_counters counters = watcher_counters(watcher);
	const uint64_t *values = (const uint64_t *)&counters;
	char note[1024];

	json_quote(watcher_note(watcher), note, sizeof note);
	fprintf(to, ",\"tier\":\"%s\",\"tier_note\":%s",
		tier_words[watcher_tier(watcher)], note);
	fprintf(to, ",\"reflector_tier\":\"%s\",\"points\":%d",
		tier_words[rtt_tier(remote_points(points))],
		__builtin_popcountll(points));
	for (size_t i = 0; i < watcher_counter_count; i++)
		fprintf(to, ",\"%s\":%" PRIu64, watcher_counter_rows[i].name,
			values[i]);
}

void rtt_result_json(const struct rtt_result *result, FILE *to)
{
	char quoted[512];

	(void)json_quote(result->host, quoted, sizeof quoted);
	fprintf(to,
		",\"host\":%s,\"address\":\"%s\",\"rate_hz\":%g,\"size\":%zu,"
		"\"tier_seen\":\"%s\"",
		quoted, result->address, result->rate_hz, result->size,
		tier_words[result->tier]);
	if (result->watcher)
		tiers_json(result->watcher, result->points, to);
	if (!result->tally)
		return;
	tally_json(result->tally, to);
	segments_summary_json(result, to);
	missing_json(result, to);
	jitters_json(result->tally, to);
	offset_json(result, to);
	cost_json(result->tally, to);
}

void rtt_counters_json(const struct sender_counters *counters,
		       uint64_t trips_lost, FILE *to)
{
	const uint64_t *values = (const uint64_t *)counters;

	fputs("{\"type\":\"summary\"", to);
	for (size_t i = 0; i < sender_counter_count; i++)
		fprintf(to, ",\"%s\":%" PRIu64, sender_counter_rows[i].name,
			values[i]);
	fprintf(to, ",\"trips_lost\":%" PRIu64, trips_lost);
}

void rtt_summary_json(const struct rtt_result *result, FILE *to)
{
	rtt_counters_json(&result->counters, result->trips_lost, to);
	rtt_result_json(result, to);
}
