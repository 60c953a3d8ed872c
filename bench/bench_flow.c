/* What does flow_table_meter() cost a packet, from memory?
 *
 *     bench_flow [FLOWS...]      10000 1000000 8000000
 *
 * UDP over IPv4, one in four IPv6, live flows in random order, either
 * direction; the packets are made outside of the measured time.  One line a
 * size: the median of seven rounds.  The last row of each size is the same
 * load with 1 % of the packets beginning a flow in a table that is full.
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
#define ROUND_COUNT 2000000
#define GAP_NS      100

struct bench {
	struct flow_table *table;
	uint64_t random;
	uint32_t flows;
	int64_t at_ns;
	struct packet packets[BATCH];
};

/* The packet of flow 'number', which alone says its addresses. */
static void packet_make(struct packet *packet, uint32_t number, bool turned,
			int64_t at_ns)
{
	struct packet_tuple *tuple = &packet->tuple;
	uint64_t a = random_mix(number + UINT64_C(1)), b = random_mix(a);
	unsigned ip6 = number % 4 == 0;

	memset(tuple, 0, sizeof *tuple);
	memcpy(tuple->address[turned], &a, ip6 ? 8 : 4);
	memcpy(tuple->address[!turned], &b, ip6 ? 8 : 4);
	tuple->port[turned] = (uint16_t)(b >> 32);
	tuple->port[!turned] = 443;
	tuple->protocol = 17;
	tuple->ip_version = ip6 ? 6 : 4;
	packet->at.ns = at_ns;
	packet->frame_bytes = 60;
	packet->ip_bytes = 46;
	packet->payload_bytes = 18;
	packet->packets = 1;
	packet->ttl = 64;
}

static void batch_make(struct bench *bench, bool churn)
{
	static uint32_t fresh = UINT32_C(1) << 28;

	for (unsigned i = 0; i < BATCH; i++) {
		uint64_t random = random_next(&bench->random);
		uint32_t number =
			(uint32_t)((random >> 32) * bench->flows >> 32);

		if (churn && random % 100 == 0)
			number = fresh++;
		bench->at_ns += GAP_NS;
		packet_make(&bench->packets[i], number, random >> 31 & 1,
			    bench->at_ns);
	}
}

static double round_run(struct bench *bench, bool churn)
{
	uint64_t spent_ns = 0;

	for (unsigned done = 0; done < ROUND_COUNT; done += BATCH) {
		uint64_t begin_ns;

		batch_make(bench, churn);
		begin_ns = clock_read_ns(CLOCK_MONOTONIC);
		flow_table_meter(bench->table, bench->packets, BATCH);
		spent_ns += clock_read_ns(CLOCK_MONOTONIC) - begin_ns;
	}
	return (double)spent_ns / ROUND_COUNT;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median_run(struct bench *bench, bool churn)
{
	double rounds[ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++)
		rounds[i] = round_run(bench, churn);
	qsort(rounds, ROUNDS, sizeof *rounds, by_value);
	return rounds[ROUNDS / 2];
}

static void discard(void *context, const struct flow_record *record)
{
	(void)context;
	(void)record;
}

static void fill(struct bench *bench)
{
	for (uint32_t number = 0; number < bench->flows; number += BATCH) {
		uint32_t count = bench->flows - number;

		count = count < BATCH ? count : BATCH;
		for (uint32_t i = 0; i < count; i++)
			packet_make(&bench->packets[i], number + i, false,
				    bench->at_ns);
		flow_table_meter(bench->table, bench->packets, count);
	}
}

static int size_run(uint32_t flows)
{
	struct bench *bench = calloc(1, sizeof *bench);
	struct flow_options options = {
		.flow_count = flows < FLOW_COUNT_MIN ? FLOW_COUNT_MIN : flows,
		.idle_ns = 300 * NS_PER_S,
		.active_ns = 1800 * NS_PER_S,
		.emit = discard,
		.secret = {1, 2, 3},
	};
	uint64_t begin_ns = clock_read_ns(CLOCK_MONOTONIC), create_ns;
	double steady, churn;

	if (!bench || flow_table_create(&options, &bench->table) < 0) {
		free(bench);
		return -1;
	}
	create_ns = clock_read_ns(CLOCK_MONOTONIC) - begin_ns;
	bench->flows = flows;
	bench->at_ns = INT64_C(1700000000) * NS_PER_S;
	fill(bench);
	steady = median_run(bench, false);
	churn = median_run(bench, true);
	printf("%9" PRIu32 " flows  %6.1f ns a packet  %6.1f with 1 %% new in "
	       "a full table  %5.1f bytes a flow  created in %.1f ms\n",
	       flows, steady, churn,
	       (double)flow_table_size(options.flow_count) / options.flow_count,
	       (double)create_ns / 1e6);
	flow_table_destroy(bench->table);
	free(bench);
	return 0;
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = {10000, 262144, 1000000, 8000000};
	int rc = 0;

	for (int i = 1; i < argc && rc == 0; i++)
		rc = size_run((uint32_t)strtoul(argv[i], NULL, 10));
	for (unsigned i = 0; argc < 2 && i < 4 && rc == 0; i++)
		rc = size_run(sizes[i]);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
