/* How many flow rows a second does the store commit?
 *
 * bench_store PATH [ROWS [BATCH]] writes ROWS records, then the same flows
 * again as updates, then lets half of them go by age.  PATH is removed
 * first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"

static double seconds(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t mix(uint64_t value)
{
	value ^= value >> 31;
	value *= UINT64_C(0x9e3779b97f4a7c15);
	return value ^ value >> 29;
}

/* Flows end within 50 ms of the order in which they were seen. */
static struct flow_record record_of(uint64_t seq, int64_t later_ns)
{
	struct flow_record record = {.epoch = 1, .seq = seq};
	uint64_t random = mix(seq);

	record.flow_id = random;
	record.tuple.ip_version = seq % 8 == 0 ? 6 : 4;
	record.tuple.protocol = 6;
	memcpy(record.tuple.address[0], &random, 4);
	memcpy(record.tuple.address[1], &seq, 4);
	record.tuple.port[0] = (uint16_t)(random >> 16);
	record.tuple.port[1] = 443;
	record.packets[0] = random % 1000;
	record.packets[1] = random % 700;
	record.bytes[0] = random % 1000000;
	record.bytes[1] = random % 9000000;
	record.frame_bytes[0] = record.bytes[0] + 14 * record.packets[0];
	record.frame_bytes[1] = record.bytes[1] + 14 * record.packets[1];
	record.start.ns = INT64_C(1700000000000000000) + (int64_t)seq * 4000;
	record.end.ns =
		record.start.ns + later_ns + (int64_t)(random % 50000000);
	record.end_reason = FLOW_END_IDLE;
	(void)strcpy(record.interface, "eth0");
	(void)strcpy(record.community_id, "1:wCb3OG7yAFWelaUydu0D+125CLM=");
	return record;
}

static void give_up(const struct fault *fault)
{
	(void)fprintf(stderr, "%s\n", fault->text);
	_exit(1);
}

static void write_all(struct store *store, uint64_t rows, uint64_t batch,
		      const char *what)
{
	double wall = seconds(CLOCK_MONOTONIC);
	double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), slowest = 0;
	int64_t later_ns = strcmp(what, "updates") == 0 ? NS_PER_S : 0;
	struct fault fault;

	for (uint64_t seq = 0; seq < rows; seq++) {
		struct flow_record record = record_of(seq, later_ns);
		double begin;

		(void)store_flow(store, &record);
		if (seq % batch != batch - 1 && seq != rows - 1)
			continue;
		begin = seconds(CLOCK_MONOTONIC);
		if (store_commit(store, &fault) < 0)
			give_up(&fault);
		begin = seconds(CLOCK_MONOTONIC) - begin;
		slowest = begin > slowest ? begin : slowest;
	}
	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	(void)printf("%-8s %8.0f rows/s  %8.0f rows/s of CPU  slowest commit "
		     "%.0f ms\n",
		     what, (double)rows / wall, (double)rows / cpu,
		     slowest * 1e3);
}

static void retain(struct store *store, uint64_t rows)
{
	struct wall now = {INT64_C(1700000000000000000) + NS_PER_S +
			   (int64_t)rows * 2000 + 1};
	double wall = seconds(CLOCK_MONOTONIC), slowest = 0;
	int calls = 0, more = 1;

	while (more == 1) {
		double begin = seconds(CLOCK_MONOTONIC);

		more = store_retain(store, now);
		begin = seconds(CLOCK_MONOTONIC) - begin;
		slowest = begin > slowest ? begin : slowest;
		calls++;
	}
	(void)printf("retired  %8.0f rows/s  %d calls  slowest %.0f ms\n",
		     (double)store_counters(store).retired /
			     (seconds(CLOCK_MONOTONIC) - wall),
		     calls, slowest * 1e3);
}

int main(int argc, char **argv)
{
	uint64_t rows = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
	uint64_t batch = argc > 3 ? strtoull(argv[3], NULL, 10) : 20000;
	struct store_options options = {.path = argc > 1 ? argv[1] : "",
					.probe = "bench",
					.version = "0",
					.epoch = 1,
					.keep_age_ns = 1};
	struct store *store = NULL;
	struct fault fault = {"BATCH must be above 0"};

	options.pending_count = (uint32_t)batch;
	(void)unlink(options.path);
	if (batch == 0 || store_open(&options, &store, &fault) < 0)
		give_up(&fault);
	write_all(store, rows, batch, "inserts");
	(void)printf("size     %8.1f bytes a row\n",
		     (double)store_size(store) / (double)rows);
	write_all(store, rows, batch, "updates");
	retain(store, rows);
	store_close(store);
	return 0;
}
