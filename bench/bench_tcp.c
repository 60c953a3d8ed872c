/* What do the TCP metrics cost a packet?
 *
 *     bench_tcp [FLOWS...]      10000 1000000
 *
 * Connections over IPv4, one in four IPv6, in random order: the handshake,
 * then data and ACKs by turns, every hundredth segment sent again and every
 * hundredth lost or late; 60 to 1,514 bytes of which 96 are there.  Decoding
 * and metering, from memory, with the metrics and without; frames are made
 * outside of the measured time.  One line a size: medians of seven rounds,
 * the two by turns, in CPU time.
 */
#include <endian.h>
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
#define FRAME_SIZE  96

enum step { STEP_SYN, STEP_ANSWER, STEP_ACK, STEP_DATA };

/* What the two ends of a connection have sent. */
struct ends {
	uint32_t next[2];
	uint8_t step;
	uint8_t turn;
};

struct meter {
	struct flow_table *table;
	double rounds[ROUNDS];
};

struct bench {
	struct meter meters[2]; /* without, with */
	struct ends *ends;
	uint64_t random;
	uint32_t flows;
	int64_t at_ns;
	struct packet_input inputs[BATCH];
	uint8_t frames[BATCH][FRAME_SIZE];
	struct packet packets[BATCH];
};

static void put16(uint8_t *at, uint16_t value)
{
	value = htobe16(value);
	memcpy(at, &value, sizeof value);
}

static void put32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof value);
}

/* The IP header of flow 'number'; returns where TCP begins. */
static uint8_t *ip_make(uint8_t *frame, uint32_t number, unsigned way,
			uint16_t size)
{
	uint64_t a = random_mix(number + UINT64_C(1)), b = random_mix(a);
	uint64_t from = way ? b : a, to = way ? a : b;

	memset(frame, 0, FRAME_SIZE);
	if (number % 4 == 0) {
		put16(frame + 12, 0x86dd);
		frame[14] = 0x60;
		put16(frame + 18, size);
		frame[20] = 6;
		frame[21] = 64;
		memcpy(frame + 22, &from, 8);
		memcpy(frame + 38, &to, 8);
		return frame + 54;
	}
	put16(frame + 12, 0x0800);
	frame[14] = 0x45;
	put16(frame + 16, (uint16_t)(size + 20));
	frame[22] = 64;
	frame[23] = 6;
	memcpy(frame + 26, &from, 4);
	memcpy(frame + 30, &to, 4);
	return frame + 34;
}

struct segment {
	uint32_t from;
	uint32_t ack;
	uint16_t size;
	uint8_t flags;
	uint8_t way;
};

static struct segment data_make(struct bench *bench, struct ends *ends)
{
	uint64_t random = random_next(&bench->random);
	unsigned way = ends->turn;
	struct segment s = {ends->next[way], ends->next[way ^ 1], 0, 0x10,
			    (uint8_t)way};

	/* One segment of data one way or two, then an ACK the other. */
	if (way == 0)
		s.size = (uint16_t)(random % 1460 + 1);
	if (s.size && random % 101 == 0) { /* sent again */
		s.from -= s.size;
		return s;
	}
	if (s.size && random % 101 == 1) /* the one before is lost */
		s.from += 1460;
	ends->next[way] = s.from + s.size;
	ends->turn = way ? 0 : random >> 40 & 1;
	return s;
}

static struct segment segment_make(struct bench *bench, struct ends *ends)
{
	struct segment s = {0, 0, 0, 0x10, 0};

	if (ends->step == STEP_DATA)
		return data_make(bench, ends);
	s.way = ends->step == STEP_ANSWER;
	if (ends->step == STEP_SYN)
		s.flags = 0x02;
	else if (ends->step == STEP_ANSWER)
		s.flags = 0x12;
	s.from = ends->next[s.way];
	s.ack = ends->next[s.way ^ 1];
	ends->next[s.way] += s.flags & 2 ? 1 : 0;
	ends->step++;
	return s;
}

static void frame_make(struct bench *bench, unsigned at, uint32_t number)
{
	struct ends *ends = &bench->ends[number];
	struct segment s = segment_make(bench, ends);
	uint8_t *frame = bench->frames[at];
	uint8_t *tcp = ip_make(frame, number, s.way, (uint16_t)(20 + s.size));

	put16(tcp, (uint16_t)(s.way ? 443 : 32768 + number % 28000));
	put16(tcp + 2, (uint16_t)(s.way ? 32768 + number % 28000 : 443));
	put32(tcp + 4, s.from);
	put32(tcp + 8, s.ack);
	tcp[12] = 0x50;
	tcp[13] = s.flags;
	put16(tcp + 14, (uint16_t)(500 + (s.ack & 255)));
	bench->at_ns += GAP_NS;
	bench->inputs[at] = (struct packet_input){
		.bytes = frame,
		.captured_size = FRAME_SIZE,
		.size = (uint32_t)(tcp - frame) + 20U + s.size,
		.at = {bench->at_ns},
		.link_type = 1,
	};
	if (bench->inputs[at].size < 60)
		bench->inputs[at].size = 60;
	if (bench->inputs[at].size < FRAME_SIZE)
		bench->inputs[at].captured_size = bench->inputs[at].size;
}

static void batch_make(struct bench *bench, bool fill, uint32_t first)
{
	for (unsigned i = 0; i < BATCH; i++) {
		uint64_t random = random_next(&bench->random);
		uint32_t number =
			(uint32_t)((random >> 32) * bench->flows >> 32);

		if (fill)
			number = (first + i) % bench->flows;
		frame_make(bench, i, number);
	}
}

static uint64_t batch_run(struct bench *bench, struct flow_table *table)
{
	uint64_t begin_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
	unsigned count = 0;

	for (unsigned i = 0; i < BATCH; i++)
		count += packet_decode(&bench->inputs[i],
				       &bench->packets[count]) == VERDICT_OK;
	flow_table_meter(table, bench->packets, count);
	return clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns;
}

/* Both meters get every batch, each first in turn: the caches that the other
 * one left are the same for both. */
static void round_run(struct bench *bench, unsigned round)
{
	uint64_t spent_ns[2] = {0, 0};

	for (unsigned done = 0; done < ROUND_COUNT; done += BATCH) {
		batch_make(bench, false, 0);
		for (unsigned i = 0; i < 2; i++) {
			unsigned which = (i + done / BATCH) & 1;

			spent_ns[which] +=
				batch_run(bench, bench->meters[which].table);
		}
	}
	for (unsigned i = 0; i < 2; i++)
		bench->meters[i].rounds[round] =
			(double)spent_ns[i] / ROUND_COUNT;
}

static void fill(struct bench *bench)
{
	for (unsigned pass = 0; pass < STEP_DATA + 1; pass++) {
		for (uint32_t at = 0; at < bench->flows; at += BATCH) {
			batch_make(bench, true, at);
			(void)batch_run(bench, bench->meters[0].table);
			(void)batch_run(bench, bench->meters[1].table);
		}
	}
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(struct meter *meter)
{
	qsort(meter->rounds, ROUNDS, sizeof *meter->rounds, by_value);
	return meter->rounds[ROUNDS / 2];
}

struct sums {
	uint64_t packets;
	uint64_t retransmitted;
	uint64_t missing;
};

static void add(void *context, const struct flow_record *record)
{
	struct sums *sums = context;

	for (unsigned i = 0; i < 2; i++) {
		sums->packets += record->packets[i];
		sums->retransmitted += record->tcp[i].retransmitted_packets;
		sums->missing += record->tcp[i].missing_bytes;
	}
}

static int tables_create(struct bench *bench, struct sums *sums)
{
	struct flow_options options = {
		.flow_count = bench->flows < FLOW_COUNT_MIN ? FLOW_COUNT_MIN
							    : bench->flows,
		.idle_ns = 300 * NS_PER_S,
		.active_ns = 1800 * NS_PER_S,
		.emit = add,
		.context = sums,
		.secret = {1, 2, 3},
	};
	int rc = flow_table_create(&options, &bench->meters[0].table);

	options.tcp_metrics = true;
	if (rc == 0)
		rc = flow_table_create(&options, &bench->meters[1].table);
	return rc;
}

static void bench_free(struct bench *bench)
{
	flow_table_destroy(bench->meters[0].table);
	flow_table_destroy(bench->meters[1].table);
	free(bench->ends);
	free(bench);
}

static int size_run(uint32_t flows)
{
	struct bench *bench = calloc(1, sizeof *bench);
	struct sums sums = {0};
	double without, with;

	if (!bench)
		return -1;
	bench->flows = flows;
	bench->ends = calloc(flows, sizeof *bench->ends);
	if (!bench->ends || tables_create(bench, &sums) < 0) {
		bench_free(bench);
		return -1;
	}
	bench->at_ns = INT64_C(1700000000) * NS_PER_S;
	fill(bench);
	for (unsigned i = 0; i < ROUNDS; i++)
		round_run(bench, i);
	without = median(&bench->meters[0]);
	with = median(&bench->meters[1]);
	flow_table_flush(bench->meters[1].table, FLOW_END_FORCED);
	printf("%9" PRIu32 " flows  %6.1f ns a packet (%4.1f Mpps)  with "
	       "metrics %6.1f (%4.1f Mpps)  %.2f %% sent again\n",
	       flows, without, 1e3 / without, with, 1e3 / with,
	       100. * (double)sums.retransmitted / (double)sums.packets);
	bench_free(bench);
	return sums.missing ? 0 : -1;
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = {10000, 262144, 1000000};
	int rc = 0;

	for (int i = 1; i < argc && rc == 0; i++)
		rc = size_run((uint32_t)strtoul(argv[i], NULL, 10));
	for (unsigned i = 0; argc < 2 && i < 3 && rc == 0; i++)
		rc = size_run(sizes[i]);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
