/* What does the full path cost a packet, from memory?
 *
 *     bench_path [--quick] [--json] [LOAD...]
 *
 * A load is named by its number in the list below, from 1; none: all.
 *
 * Frames are made into a ring of 16 MB, outside of the measured time, then
 * decoded and metered in batches as a worker does it.  The loads take turns,
 * a round each, so that what else the machine does meets all alike; printed
 * are medians.  Time is the thread's CPU time.
 *
 * Cycles by stage are of other rounds, read around each batch's decode and
 * meter.  The hash's share is a differential: its pass is run once more by
 * itself.  'look up, count' is what is left of meter.  What a new flow costs
 * beyond a packet is the difference between a load with new flows and one
 * without.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "flow/flow.h"
#include "stage.h"
#include "traffic.h"

#define BATCH      64   /* as src/engine */
#define AHEAD      4096 /* bytes: about a batch of short frames */
#define RING_SIZE  (16u << 20)
#define FRAME_ROOM (sizeof(struct head) + TRAFFIC_FRAME_MAX)
#define FRAMES_MAX (RING_SIZE / 64)
#define TICKS_MAX  1000000
#define ROUNDS_MAX 15
#define RATE_PPS   5600000

struct load {
	const char *name;
	struct traffic_options traffic;
	const char *against; /* the load that it is compared with */
	uint32_t table;      /* flows; 0: as many as live */
	bool quick;
};

#define UDP(count) .flows = (count), .size = 60, .rate_pps = RATE_PPS, .seed = 1

static const struct load loads[] = {
	{"10 K", {UDP(10000)}, NULL, 0, true},
	{"100 K", {UDP(100000)}, "10 K", 0, true},
	{"1 M", {UDP(1000000)}, "10 K", 0, true},
	{"10 M", {UDP(10000000)}, "10 K", 0, false},
	{"1 M, IPv6", {UDP(1000000), .ip6_percent = 100}, "1 M", 0, true},
	{"1 M, 30 % IPv6, 20 % tunnels",
	 {UDP(1000000), .ip6_percent = 30, .tunnel_percent = 20},
	 "1 M",
	 0,
	 false},
	{"1 M, TCP exchanges",
	 {UDP(1000000), .tcp = 1, .retransmit_permill = 10,
	  .reorder_permill = 10},
	 "1 M",
	 0,
	 true},
	{"1 M, an elephant with 90 %",
	 {UDP(1000000), .elephant_percent = 90},
	 "1 M",
	 0,
	 false},
	{"1 M chosen keys, XXH3",
	 {UDP(1000000), .attack = TRAFFIC_ATTACK_PUBLISHED},
	 "1 M, IPv6",
	 0,
	 true},
	{"1 M chosen keys, guessed secret",
	 {UDP(1000000), .attack = TRAFFIC_ATTACK_GUESSED},
	 "1 M, IPv6",
	 0,
	 false},
	/* A flow for every four packets. */
	{"short flows",
	 {.flows = 100000,
	  .size = 60,
	  .rate_pps = 200000,
	  .new_flows = 50000,
	  .seed = 1},
	 "1 M",
	 2u << 20,
	 false},
	{"0.63 M", {UDP(630000)}, NULL, 4u << 20, false},
	{"0.63 M and 63 k new a second",
	 {UDP(630000), .new_flows = 63000},
	 "0.63 M",
	 4u << 20,
	 false},
};

#define LOAD_COUNT (sizeof loads / sizeof *loads)

struct stages {
	uint64_t decode, hash, meter, packets;
};

struct bench {
	const struct load *load;
	struct traffic *traffic;
	struct flow_table *table;
	double rounds_ns[ROUNDS_MAX];
	struct stages stages[ROUNDS_MAX];
	double flow_size; /* resident bytes a flow, by growth of the process */
	uint64_t ended;
};

/* In front of each frame, as in a capture's ring. */
struct head {
	int64_t at_ns;
	uint32_t size;
	uint32_t pad;
};

static uint8_t *ring;
static uint8_t *at;  /* where it is read */
static uint64_t sum; /* keeps work from being left out */

static uint32_t frame_step(uint32_t size)
{
	return (uint32_t)sizeof(struct head) + ((size + 7) & ~7U);
}

static uint64_t resident_size(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	char line[128] = "";
	char *rest;

	if (!file)
		return 0;
	if (!fgets(line, sizeof line, file))
		line[0] = '\0';
	(void)fclose(file);
	(void)strtoull(line, &rest, 10); /* the address space */
	return strtoull(rest, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void record_count(void *context, const struct flow_record *record)
{
	struct bench *bench = context;

	bench->ended += record->end_reason != FLOW_END_NONE;
}

/* Fills the ring from its start with up to 'most' frames; returns how many
 * and leaves it to be read from the start. */
static unsigned frames_make(struct traffic *traffic, unsigned most)
{
	unsigned count = 0;

	at = ring;
	while (count < most && at + FRAME_ROOM <= ring + RING_SIZE) {
		struct head head;

		head.size =
			traffic_next(traffic, at + sizeof head, &head.at_ns);
		memcpy(at, &head, sizeof head);
		at += frame_step(head.size);
		count++;
	}
	at = ring;
	return count;
}

/* Decodes the next frames of the ring.  Where they will be is known, as in a
 * capture's block: those of the next batch are sent for. */
static size_t batch_decode(unsigned count, struct packet *ret_packets)
{
	size_t decoded = 0;

	for (unsigned i = 0; i < count; i++) {
		struct packet_input input = {.link_type = 1};
		struct head head;

		__builtin_prefetch(at + AHEAD);
		__builtin_prefetch(at + AHEAD + 64);
		memcpy(&head, at, sizeof head);
		input.bytes = at + sizeof head;
		input.captured_size = input.size = head.size;
		input.at.ns = head.at_ns;
		decoded += packet_decode(&input, &ret_packets[decoded]) ==
			   VERDICT_OK;
		at += frame_step(head.size);
	}
	return decoded;
}

/* Decodes and meters what is in the ring. */
static void frames_take(struct flow_table *table, unsigned count)
{
	struct packet packets[BATCH];

	for (unsigned done = 0; done < count; done += BATCH) {
		unsigned part = count - done < BATCH ? count - done : BATCH;

		flow_table_meter(table, packets, batch_decode(part, packets));
	}
}

/* One batch, by stages.  One that took a good part of a time slice was
 * interrupted, and is left out. */
static void stage_take(struct flow_table *table, unsigned count, bool hash,
		       struct stages *stages)
{
	struct packet packets[BATCH];
	uint64_t t0 = stage_ticks(), t1, t2, t3;
	size_t decoded = batch_decode(count, packets);

	t1 = stage_ticks();
	if (hash)
		sum += stage_hash(table, packets, decoded);
	t2 = stage_ticks();
	flow_table_meter(table, packets, decoded);
	t3 = stage_ticks();
	if (t3 - t0 > TICKS_MAX)
		return;
	stages->decode += t1 - t0;
	stages->hash += t2 - t1;
	stages->meter += t3 - t2;
	stages->packets += count;
}

static void stages_take(struct flow_table *table, unsigned count, bool hash,
			struct stages *stages)
{
	for (unsigned done = 0; done < count; done += BATCH)
		stage_take(table, count - done < BATCH ? count - done : BATCH,
			   hash, stages);
}

/* ns a packet of 'count' packets. */
static double round_run(struct bench *bench, uint64_t count)
{
	uint64_t spent_ns = 0, done = 0;

	while (done < count) {
		unsigned part = frames_make(bench->traffic, FRAMES_MAX);
		uint64_t begin_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);

		frames_take(bench->table, part);
		spent_ns += clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns;
		done += part;
	}
	return (double)spent_ns / (double)done;
}

/* Half the packets with the hash's pass once more, whose meter does not
 * count: its buckets are in the cache already. */
static void stages_run(struct bench *bench, uint64_t count,
		       struct stages *ret_stages)
{
	struct stages hashed = {.packets = 1};

	*ret_stages = (struct stages){.packets = 1};
	for (uint64_t done = 0; done < count;) {
		unsigned part = frames_make(bench->traffic, FRAMES_MAX);

		stages_take(bench->table, part, false, ret_stages);
		done += part;
		part = frames_make(bench->traffic, FRAMES_MAX);
		stages_take(bench->table, part, true, &hashed);
	}
	ret_stages->hash =
		(uint64_t)((double)hashed.hash / (double)hashed.packets *
			   (double)ret_stages->packets);
}

/* Packets until every flow lives, a TCP connection is open and, where flows
 * are replaced, the first of them have fallen idle. */
static uint64_t warm_up_count(const struct load *load)
{
	const struct traffic_options *traffic = &load->traffic;

	if (traffic->new_flows)
		return traffic->flows + 32 * traffic->rate_pps;
	return traffic->tcp ? traffic->flows * 4 : traffic->flows;
}

static int bench_open(struct bench *bench, const struct load *load)
{
	uint64_t flows = load->traffic.flows;
	struct flow_options options = {
		.flow_count = load->table ? load->table : (uint32_t)flows,
		.idle_ns = FLOW_IDLE_S_MIN * NS_PER_S,
		.active_ns = FLOW_ACTIVE_S_PRESET * NS_PER_S,
		.emit = record_count,
		.context = bench,
		.secret = {3, 1, 4, 1, 5, 9, 2, 6},
	};
	uint64_t before = resident_size(), left = warm_up_count(load);
	int rc;

	/* Nothing falls idle by itself where nothing is to be replaced. */
	if (!load->traffic.new_flows)
		options.idle_ns = FLOW_IDLE_S_MAX * NS_PER_S;
	bench->load = load;
	rc = flow_table_create(&options, &bench->table);
	if (rc < 0)
		return rc;
	bench->traffic = traffic_create(&load->traffic);
	if (!bench->traffic)
		return -1;
	before += load->traffic.tcp ? flows * 16 : 0;
	before += load->traffic.new_flows ? flows * 4 : 0;
	while (left > 0) {
		unsigned part = frames_make(bench->traffic,
					    left < FRAMES_MAX ? (unsigned)left
							      : FRAMES_MAX);

		frames_take(bench->table, part);
		left -= part;
	}
	bench->flow_size = (double)(resident_size() - before) /
			   flow_table_live(bench->table);
	return 0;
}

static void bench_close(struct bench *bench)
{
	flow_table_destroy(bench->table);
	traffic_destroy(bench->traffic);
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(const double *values, unsigned count)
{
	double sorted[ROUNDS_MAX];

	memcpy(sorted, values, count * sizeof *values);
	qsort(sorted, count, sizeof *sorted, by_value);
	return sorted[count / 2];
}

static double least(const double *values, unsigned count)
{
	double found = values[0];

	for (unsigned i = 1; i < count; i++)
		found = values[i] < found ? values[i] : found;
	return found;
}

static double stage_median(const struct bench *bench, unsigned rounds,
			   size_t stage)
{
	double values[ROUNDS_MAX];

	for (unsigned i = 0; i < rounds; i++) {
		const struct stages *stages = &bench->stages[i];
		uint64_t ticks;

		memcpy(&ticks, (const char *)stages + stage, sizeof ticks);
		values[i] = (double)ticks / (double)stages->packets;
	}
	return median(values, rounds);
}

static const struct bench *bench_named(const struct bench *benches,
				       const char *name)
{
	for (size_t i = 0; name && i < LOAD_COUNT; i++) {
		if (benches[i].load && strcmp(benches[i].load->name, name) == 0)
			return &benches[i];
	}
	return NULL;
}

struct line {
	double ns, least_ns, times, decode, hash, rest;
	struct flow_counters counters;
};

static struct line line_make(const struct bench *benches,
			     const struct bench *bench, unsigned rounds)
{
	const struct bench *other = bench_named(benches, bench->load->against);
	struct line line = {.ns = median(bench->rounds_ns, rounds)};

	line.least_ns = least(bench->rounds_ns, rounds);
	if (other)
		line.times = line.ns / median(other->rounds_ns, rounds);
	line.decode =
		stage_median(bench, rounds, offsetof(struct stages, decode));
	line.hash = stage_median(bench, rounds, offsetof(struct stages, hash));
	line.rest =
		stage_median(bench, rounds, offsetof(struct stages, meter)) -
		line.hash;
	line.counters = flow_table_counters(bench->table);
	return line;
}

static void text_print(const struct bench *bench, const struct line *line)
{
	printf("%-32s %6.1f ns %6.1f Mpps (at best %.1f)", bench->load->name,
	       line->ns, 1e3 / line->ns, 1e3 / line->least_ns);
	if (line->times > 0)
		printf("  %4.2f x '%s'", line->times, bench->load->against);
	printf("\n%-32s decode %.0f, hash %.0f, look up and count "
	       "%.0f " STAGE_TICKS "; %.0f bytes a flow; %" PRIu64
	       " evicted, %" PRIu64 " refused of %" PRIu64 " flows\n",
	       "", line->decode, line->hash, line->rest, bench->flow_size,
	       line->counters.ended_resources, line->counters.refused_full,
	       line->counters.created);
}

static void json_print(const struct bench *bench, const struct line *line)
{
	printf("{\"load\":\"%s\",\"ns\":%.2f,\"mpps\":%.2f,\"mpps_best\":%.2f,"
	       "\"times\":%.3f,"
	       "\"against\":\"%s\",\"decode\":%.1f,\"hash\":%.1f,"
	       "\"lookup\":%.1f,\"flow_bytes\":%.1f,\"evicted\":%" PRIu64
	       ",\"refused\":%" PRIu64 ",\"created\":%" PRIu64 "}\n",
	       bench->load->name, line->ns, 1e3 / line->ns,
	       1e3 / line->least_ns, line->times,
	       bench->load->against ? bench->load->against : "", line->decode,
	       line->hash, line->rest, bench->flow_size,
	       line->counters.ended_resources, line->counters.refused_full,
	       line->counters.created);
}

/* What a new flow costs, from the two loads at the end of the table. */
static void new_flow_print(const struct bench *benches, unsigned rounds,
			   bool json)
{
	const struct bench *churn = &benches[LOAD_COUNT - 1];
	const struct bench *steady = &benches[LOAD_COUNT - 2];
	double share, ns;

	if (!churn->load || !steady->load)
		return;
	share = (double)churn->load->traffic.new_flows / RATE_PPS;
	ns = (median(churn->rounds_ns, rounds) -
	      median(steady->rounds_ns, rounds)) /
	     share;
	printf(json ? "{\"new_flow_ns\":%.0f}\n"
		    : "a flow's begin, expiry and record: %.0f ns\n",
	       ns);
}

static int run(struct bench *benches, unsigned chosen, bool quick, bool json)
{
	unsigned rounds = quick ? 7 : 15;
	uint64_t count = quick ? 250000 : 1000000;

	for (size_t i = 0; i < LOAD_COUNT; i++) {
		if (!(chosen & (1U << i)) || (quick && !loads[i].quick))
			continue;
		if (bench_open(&benches[i], &loads[i]) < 0) {
			fprintf(stderr, "bench_path: no memory for '%s'\n",
				loads[i].name);
			return EXIT_FAILURE;
		}
	}
	for (unsigned round = 0; round < rounds; round++) {
		for (size_t i = 0; i < LOAD_COUNT; i++) {
			struct bench *bench = &benches[i];

			if (!bench->load)
				continue;
			bench->rounds_ns[round] = round_run(bench, count);
			stages_run(bench, count / 4, &bench->stages[round]);
		}
	}
	for (size_t i = 0; i < LOAD_COUNT; i++) {
		struct line line;

		if (!benches[i].load)
			continue;
		line = line_make(benches, &benches[i], rounds);
		(json ? json_print : text_print)(&benches[i], &line);
	}
	new_flow_print(benches, rounds, json);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static struct bench benches[LOAD_COUNT];
	bool quick = false, json = false;
	unsigned chosen = 0, load;
	int rc;

	for (int i = 1; i < argc; i++) {
		load = (unsigned)strtoul(argv[i], NULL, 10) - 1;
		quick |= strcmp(argv[i], "--quick") == 0;
		json |= strcmp(argv[i], "--json") == 0;
		if (load < LOAD_COUNT) {
			chosen |= 1U << load;
		} else if (strncmp(argv[i], "--", 2) != 0) {
			fprintf(stderr, "usage: bench_path [--quick] "
					"[--json] [LOAD...]\n");
			return 2;
		}
	}
	ring = malloc(RING_SIZE + AHEAD + 64);
	if (!ring)
		return EXIT_FAILURE;
	memset(ring, 1, RING_SIZE);
	rc = run(benches, chosen ? chosen : UINT_MAX, quick, json);
	for (size_t i = 0; i < LOAD_COUNT; i++)
		bench_close(&benches[i]);
	free(ring);
	return sum ? rc : EXIT_FAILURE;
}
