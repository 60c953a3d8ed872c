/* 'sonde rtt --explain': who is to blame, and how one knows. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/rtt_private.h"
#include "store/store.h"

struct trips {
	struct trip *trips;
	size_t count, next; /* a ring once it is full */
};

struct rtt_explain {
	struct trips run, before;
	char against[160]; /* which run it was; "": within this run */
};

static void trips_add(struct trips *trips, const struct trip *trip)
{
	trips->trips[trips->next] = *trip;
	trips->next = (trips->next + 1) % RTT_EXPLAIN_TRIPS;
	if (trips->count < RTT_EXPLAIN_TRIPS)
		trips->count++;
}

static void reverse(struct trip *trips, size_t from, size_t end)
{
	while (from + 1 < end) {
		struct trip held = trips[from];

		trips[from++] = trips[--end];
		trips[end] = held;
	}
}

/* Makes the oldest the first. */
static void trips_order(struct trips *trips)
{
	if (trips->count < RTT_EXPLAIN_TRIPS || trips->next == 0)
		return;
	reverse(trips->trips, 0, trips->next);
	reverse(trips->trips, trips->next, trips->count);
	reverse(trips->trips, 0, trips->count);
	trips->next = 0;
}

static bool before_take(void *context, const struct trip *trip)
{
	trips_add(context, trip);
	return true;
}

/* "FILE#12": the number behind the last '#', cut off; 0: none. */
static int64_t run_split(char *file)
{
	char *mark = strrchr(file, '#'), *end;
	int64_t id;

	if (!mark || mark[1] == 0)
		return 0;
	id = strtoll(mark + 1, &end, 10);
	if (*end || id <= 0)
		return 0;
	*mark = 0;
	return id;
}

static int before_read(struct rtt_explain *explain, const char *against,
		       const char *address)
{
	char *file = strdup(against);
	struct store_reader *reader = NULL;
	struct store_rtt_run run;
	struct fault fault;
	int64_t id = file ? run_split(file) : 0;
	int rc = file ? store_reader_open(file, &reader, &fault) : -ENOMEM;

	if (rc == 0)
		rc = store_reader_run(reader, id, address, &run, &fault);
	if (rc == 0) {
		(void)snprintf(explain->against, sizeof explain->against,
			       "run %" PRId64 " to %s", run.id, run.address);
		rc = store_reader_trips(reader, run.id, before_take,
					&explain->before, &fault);
	}
	store_reader_close(reader);
	free(file);
	if (rc == -ENOMEM)
		return usage_fail("against: out of memory");
	return rc < 0 ? usage_fail("against: %s", fault.text) : -1;
}

int rtt_explain_open(const char *against, const char *address,
		     struct rtt_explain **ret_explain)
{
	struct rtt_explain *explain = calloc(1, sizeof *explain);
	int rc = -1;

	if (!explain)
		return usage_fail("explain: out of memory");
	explain->run.trips = calloc(RTT_EXPLAIN_TRIPS, sizeof(struct trip));
	if (against)
		explain->before.trips =
			calloc(RTT_EXPLAIN_TRIPS, sizeof(struct trip));
	if (!explain->run.trips || (against && !explain->before.trips))
		rc = usage_fail("explain: out of memory");
	if (rc < 0 && against)
		rc = before_read(explain, against, address);
	if (rc >= 0) {
		rtt_explain_close(explain);
		return rc;
	}
	trips_order(&explain->before);
	*ret_explain = explain;
	return -1;
}

void rtt_explain_close(struct rtt_explain *explain)
{
	if (!explain)
		return;
	free(explain->run.trips);
	free(explain->before.trips);
	free(explain);
}

void rtt_explain_trip(struct rtt_explain *explain, const struct trip *trip)
{
	trips_add(&explain->run, trip);
}

/* "queue or driver". */
static void kinds_text(uint32_t kinds, const char *between, char *text,
		       size_t size)
{
	size_t at = 0;

	text[0] = 0;
	for (int i = 0; i < CULPRIT_COUNT && at < size; i++) {
		if (kinds & CULPRIT_BIT(i))
			at += (size_t)snprintf(text + at, size - at, "%s%s",
					       at > 0 ? between : "",
					       culprit_rows[i].name);
	}
}

static bool is_path(const struct culprit *culprit)
{
	return culprit->kinds & (CULPRIT_BIT(CULPRIT_PATH_FORWARD) |
				 CULPRIT_BIT(CULPRIT_PATH_BACK));
}

static void culprit_print(const struct culprit *culprit, size_t rank, FILE *to)
{
	char kinds[160], text[5][TEXT_SIZE];

	kinds_text(culprit->kinds, " or ", kinds, sizeof kinds);
	fprintf(to, "%zu. %s%s: %s%s a packet, %.0f %% of the change\n", rank,
		kinds,
		is_path(culprit)  ? ""
		: culprit->remote ? " at the reflector"
				  : " here",
		culprit->added_ns > 0 ? "+" : "",
		rtt_ns_text(culprit->added_ns, text[0]), culprit->share * 100);
	for (int i = 0; i < CULPRIT_COUNT; i++) {
		if (culprit->kinds & CULPRIT_BIT(i))
			fprintf(to, "   %s\n", culprit_rows[i].line);
	}
	fprintf(to, "   %s: p50 %s -> %s, p99 %s -> %s;\n",
		*culprit->segment ? culprit->segment : "after the slot",
		rtt_ns_text(culprit->before_p50_ns, text[1]),
		rtt_ns_text(culprit->after_p50_ns, text[2]),
		rtt_ns_text(culprit->before_p99_ns, text[3]),
		rtt_ns_text(culprit->after_p99_ns, text[4]));
	fprintf(to,
		"   %u of %u packets beyond 95 %% of those before; sure by "
		"%.4g %%\n",
		culprit->beyond, culprit->packets,
		fmin(culprit->confidence * 100, 99.9)); /* never certain */
}

static void head_print(const struct rtt_explain *explain,
		       const struct explanation *found, FILE *to)
{
	if (explain->before.count > 0)
		fprintf(to,
			"\nWhat moved since %s (%u packets then, %u now):\n",
			explain->against, found->packets_before,
			found->packets_after);
	else if (found->count > 0)
		fprintf(to,
			"\nWhat moved in packets %u to %u (%u of them, %u "
			"others):\n",
			found->first_seq, found->last_seq, found->packets_after,
			found->packets_before);
	if (found->count == 0)
		fprintf(to, "%sNothing moved beyond chance.\n",
			explain->before.count > 0 ? "" : "\n");
}

static void culprit_json(const struct culprit *culprit, FILE *to)
{
	char kinds[160];

	kinds_text(culprit->kinds, "\",\"", kinds, sizeof kinds);
	fprintf(to,
		"{\"culprits\":[\"%s\"],\"host\":%s,\"segment\":\"%s\","
		"\"added_ns\":%" PRId64 ",\"share\":%.4f,\"confidence\":%.6f,"
		"\"before_p50_ns\":%" PRId64 ",\"before_p90_ns\":%" PRId64
		",\"before_p99_ns\":%" PRId64 ",\"after_p50_ns\":%" PRId64
		",\"after_p90_ns\":%" PRId64 ",\"after_p99_ns\":%" PRId64
		",\"packets\":%u,\"beyond\":%u}",
		kinds,
		is_path(culprit)  ? "null"
		: culprit->remote ? "\"reflector\""
				  : "\"sender\"",
		culprit->segment, culprit->added_ns, culprit->share,
		culprit->confidence, culprit->before_p50_ns,
		culprit->before_p90_ns, culprit->before_p99_ns,
		culprit->after_p50_ns, culprit->after_p90_ns,
		culprit->after_p99_ns, culprit->packets, culprit->beyond);
}

static void found_json(const struct explanation *found, FILE *to)
{
	fprintf(to, ",\"explain\":{\"packets_before\":%u,\"packets_after\":%u,",
		found->packets_before, found->packets_after);
	fprintf(to, "\"first_seq\":%u,\"last_seq\":%u,\"moved\":[",
		found->first_seq, found->last_seq);
	for (size_t i = 0; i < found->count; i++) {
		if (i > 0)
			putc(',', to);
		culprit_json(&found->culprits[i], to);
	}
	fputs("]}", to);
}

void rtt_explain_print(struct rtt_explain *explain, bool json, FILE *to)
{
	struct explanation found = {0};
	int rc;

	trips_order(&explain->run);
	if (explain->before.count > 0)
		rc = explain_runs(explain->before.trips, explain->before.count,
				  explain->run.trips, explain->run.count,
				  &found);
	else
		rc = explain_run(explain->run.trips, explain->run.count,
				 &found);
	if (rc < 0 && json) {
		fputs(",\"explain\":null", to);
	} else if (rc < 0) {
		fprintf(to, "\nNo explanation: %s.\n",
			rc == -EINVAL ? "too few packets were answered"
				      : err_sentence(rc));
	} else if (json) {
		found_json(&found, to);
	} else {
		head_print(explain, &found, to);
		for (size_t i = 0; i < found.count; i++)
			culprit_print(&found.culprits[i], i + 1, to);
	}
}
