/* What does each of the statistics cost a packet?
 *
 *     bench_statistics [FLOWS]      1000000
 *
 * UDP over IPv4, live flows in random order, either direction, lengths of 46
 * to 1,500; the packets are made outside of the measured time.  For each
 * choice of names two tables, without and with it, get every batch, each
 * first in turn, so that the caches that the other one left are the same for
 * both.  One line a choice: medians of seven rounds, CPU time of the thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/random.h"
#include "flow/flow.h"

#define BATCH       256
#define ROUNDS      7
#define ROUND_COUNT 1000000
#define GAP_NS      100

struct bench {
	struct flow_table *tables[2]; /* without, with */
	double rounds[2][ROUNDS];
	uint64_t random;
	uint32_t flows;
	int64_t at_ns;
	struct packet packets[BATCH];
};

static void packet_make(struct bench *bench, unsigned at, uint32_t number)
{
	struct packet *packet = &bench->packets[at];
	struct packet_tuple *tuple = &packet->tuple;
	uint64_t a = random_mix(number + UINT64_C(1)), b = random_mix(a);
	uint64_t random = random_next(&bench->random);
	unsigned turned = random & 1;

	memset(tuple, 0, sizeof *tuple);
	memcpy(tuple->address[turned], &a, 4);
	memcpy(tuple->address[!turned], &b, 4);
	tuple->port[turned] = (uint16_t)(b >> 32);
	tuple->port[!turned] = 443;
	tuple->protocol = 17;
	tuple->ip_version = 4;
	bench->at_ns += GAP_NS;
	packet->at.ns = bench->at_ns;
	packet->ip_bytes = 46 + (uint32_t)((random >> 32) * 1455 >> 32);
	packet->frame_bytes = packet->ip_bytes + 14;
	packet->payload_bytes = packet->ip_bytes - 28;
	packet->packets = 1;
	packet->ttl = 64;
}

static void batch_run(struct bench *bench, unsigned first, uint64_t spent_ns[2])
{
	for (unsigned i = 0; i < 2; i++) {
		unsigned which = (first + i) & 1;
		uint64_t begin_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);

		flow_table_meter(bench->tables[which], bench->packets, BATCH);
		spent_ns[which] +=
			clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns;
	}
}

static void round_run(struct bench *bench, unsigned round)
{
	uint64_t spent_ns[2] = {0, 0};

	for (unsigned done = 0; done < ROUND_COUNT; done += BATCH) {
		for (unsigned i = 0; i < BATCH; i++)
			packet_make(bench, i,
				    (uint32_t)((random_next(&bench->random) >>
						32) * bench->flows >>
					       32));
		batch_run(bench, done / BATCH, spent_ns);
	}
	for (unsigned i = 0; i < 2; i++)
		bench->rounds[i][round] = (double)spent_ns[i] / ROUND_COUNT;
}

static void fill(struct bench *bench)
{
	uint64_t spent_ns[2] = {0, 0};

	for (uint32_t at = 0; at < bench->flows; at += BATCH) {
		for (unsigned i = 0; i < BATCH; i++)
			packet_make(bench, i, (at + i) % bench->flows);
		batch_run(bench, 0, spent_ns);
	}
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(double rounds[ROUNDS])
{
	qsort(rounds, ROUNDS, sizeof *rounds, by_value);
	return rounds[ROUNDS / 2];
}

static void discard(void *context, const struct flow_record *record)
{
	uint64_t *bytes = context;

	*bytes += record->bytes[0];
}

/* Ends every flow: what the records cost. */
static double records_ns(struct bench *bench, unsigned which)
{
	uint64_t begin_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
	uint32_t count = flow_table_live(bench->tables[which]);

	flow_table_flush(bench->tables[which], FLOW_END_FORCED);
	return (double)(clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns) /
	       count;
}

static int choice_measure(struct bench *bench, const char *names)
{
	uint64_t bytes = 0;
	struct flow_options options = {
		.flow_count = bench->flows,
		.idle_ns = 300 * NS_PER_S,
		.active_ns = 1800 * NS_PER_S,
		.emit = discard,
		.context = &bytes,
		.secret = {1, 2, 3},
	};
	double without, with, record_without;
	int rc = flow_table_create(&options, &bench->tables[0]);

	if (rc == 0)
		rc = flow_statistics_parse(names, &options.statistics, NULL);
	if (rc == 0)
		rc = flow_table_create(&options, &bench->tables[1]);
	if (rc < 0)
		return rc;
	fill(bench);
	for (unsigned i = 0; i < ROUNDS; i++)
		round_run(bench, i);
	without = median(bench->rounds[0]);
	with = median(bench->rounds[1]);
	record_without = records_ns(bench, 0);
	printf("%-24s %6.1f ns a packet (%4.1f Mpps)  without %6.1f (%4.1f)  "
	       "+%5.1f ns  record %4.0f ns, without %4.0f  %4zu bytes a "
	       "flow\n",
	       names, with, 1e3 / with, without, 1e3 / without, with - without,
	       records_ns(bench, 1), record_without,
	       flow_statistics_size(&options));
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const choices[] = {
		"none",           "length",    "payload",
		"length,payload", "interval",  "length,interval",
		"first",          "histogram", "all",
	};
	struct bench *bench = calloc(1, sizeof *bench);
	int rc = bench ? 0 : -1;

	for (size_t i = 0; i < sizeof choices / sizeof *choices && rc == 0;
	     i++) {
		memset(bench, 0, sizeof *bench);
		bench->flows = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10)
					: 1000000;
		bench->at_ns = INT64_C(1700000000) * NS_PER_S;
		rc = choice_measure(bench, choices[i]);
		flow_table_destroy(bench->tables[0]);
		flow_table_destroy(bench->tables[1]);
	}
	free(bench);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
