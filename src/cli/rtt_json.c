/* Trips as JSON lines. */
#include <inttypes.h>

#include "cli/probe_private.h"

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

void rtt_trip_json(const struct trip *trip, point_set points, FILE *to)
{
	point_set ends = POINT_BIT(LEG_FORWARD, POINT_SEND) |
			 POINT_BIT(LEG_BACK, POINT_RECEIVE);
	bool known = (trip->stamped & ends) == ends;

	fprintf(to, "{\"type\":\"packet\",\"seq\":%u,\"fate\":\"%s\",",
		trip->seq, fate(trip));
	number_or_null("rtt_ns", known,
		       trip->at_ns[LEG_BACK][POINT_RECEIVE] -
			       trip->at_ns[LEG_FORWARD][POINT_SEND],
		       to);
	putc(',', to);
	number_or_null("late_ns", !(trip->flags & TRIP_SKIPPED), trip->late_ns,
		       to);
	layers_json(trip, to);
	flags_json(trip, to);
	heads_json(trip, to);
	segments_json(trip, points, to);
	fputs("}\n", to);
}

void rtt_summary_json(const struct sender_counters *counters,
		      uint64_t trips_lost, FILE *to)
{
	const uint64_t *values = (const uint64_t *)counters;

	fputs("{\"type\":\"summary\"", to);
	for (size_t i = 0; i < sender_counter_count; i++)
		fprintf(to, ",\"%s\":%" PRIu64, sender_counter_rows[i].name,
			values[i]);
	fprintf(to, ",\"trips_lost\":%" PRIu64 "}\n", trips_lost);
}
