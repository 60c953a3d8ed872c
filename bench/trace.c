/* trace [OPTION...] FILE: a capture file of made-up traffic, the same bytes
 * for the same options.  A pcap in microseconds, as every tool reads. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traffic.h"

struct trace_options {
	uint64_t packets;
	struct traffic_options traffic;
};

struct option_row {
	const char *name;
	size_t at;
	uint64_t min, max;
	const char *help;
};

#define TRACE(member) offsetof(struct trace_options, member)

static const struct option_row rows[] = {
	{"packets", TRACE(packets), 1, UINT64_C(1) << 40, "in the file"},
	{"flows", TRACE(traffic.flows), 1, 1 << 26, "alive at a time"},
	{"rate", TRACE(traffic.rate_pps), 1, 1000000000, "packets a second"},
	{"new", TRACE(traffic.new_flows), 0, 1000000000,
	 "flows a second that end and are replaced"},
	{"size", TRACE(traffic.size), 0, TRAFFIC_SIZE_MAX,
	 "bytes a frame, from 60; 0: IMIX, 7 of 60, 4 of 566, 1 of 1514"},
	{"ip6", TRACE(traffic.ip6_percent), 0, 100, "% of flows over IPv6"},
	{"tunnels", TRACE(traffic.tunnel_percent), 0, 100,
	 "% of flows in VXLAN, GTP-U or GRE"},
	{"tcp", TRACE(traffic.tcp), 0, 1,
	 "1: TCP connections, which end if there are new ones"},
	{"retransmit", TRACE(traffic.retransmit_permill), 0, 1000,
	 "TCP answers in 1,000 with a segment sent again"},
	{"reorder", TRACE(traffic.reorder_permill), 0, 1000,
	 "TCP answers in 1,000 out of order"},
	{"elephant", TRACE(traffic.elephant_percent), 0, 100,
	 "% of packets that belong to one flow"},
	{"attack", TRACE(traffic.attack), 0, TRAFFIC_ATTACK_COUNT - 1,
	 "tuples that collide, 1: under XXH3, 2: under a guessed secret"},
	{"seed", TRACE(traffic.seed), 0, UINT64_MAX, "of all that is random"},
};

#define ROW_COUNT (sizeof rows / sizeof *rows)

static uint64_t *value_of(struct trace_options *options,
			  const struct option_row *row)
{
	return (uint64_t *)((char *)options + row->at);
}

static struct trace_options presets(void)
{
	return (struct trace_options){.packets = 1000000,
				      .traffic = traffic_options_preset()};
}

static void usage_print(FILE *file)
{
	struct trace_options options = presets();

	fprintf(file, "usage: trace [--NAME VALUE...] FILE\n");
	for (size_t i = 0; i < ROW_COUNT; i++)
		fprintf(file, "  --%-10s  %s (%llu)\n", rows[i].name,
			rows[i].help,
			(unsigned long long)*value_of(&options, &rows[i]));
}

/* 0, or -1 and a sentence on standard error. */
static int option_take(struct trace_options *options, const char *name,
		       const char *text)
{
	char *end;

	for (size_t i = 0; i < ROW_COUNT; i++) {
		unsigned long long value;

		if (strcmp(rows[i].name, name) != 0)
			continue;
		errno = 0;
		value = strtoull(text, &end, 10);
		if (errno || end == text || *end || *text == '-' ||
		    value < rows[i].min || value > rows[i].max) {
			fprintf(stderr, "trace: --%s %s: %llu to %llu\n", name,
				text, (unsigned long long)rows[i].min,
				(unsigned long long)rows[i].max);
			return -1;
		}
		*value_of(options, &rows[i]) = value;
		return 0;
	}
	fprintf(stderr, "trace: --%s: no such option\n", name);
	return -1;
}

/* Returns the file's name, or NULL. */
static const char *line_take(int argc, char **argv,
			     struct trace_options *options)
{
	int i = 1;

	for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
		if (option_take(options, argv[i] + 2, argv[i + 1]) < 0)
			return NULL;
	}
	return i + 1 == argc && argv[i][0] != '-' ? argv[i] : NULL;
}

static int trace_write(FILE *file, struct traffic *traffic, uint64_t packets)
{
	static uint8_t frame[TRAFFIC_FRAME_MAX];
	uint32_t head[6] = {0xa1b2c3d4U, 2U | 4U << 16, 0, 0, 262144, 1};

	if (fwrite(head, sizeof head, 1, file) != 1)
		return -1;
	for (uint64_t i = 0; i < packets; i++) {
		int64_t at_ns;
		uint32_t size = traffic_next(traffic, frame, &at_ns);
		uint32_t record[4] = {(uint32_t)(at_ns / 1000000000),
				      (uint32_t)(at_ns % 1000000000 / 1000),
				      size, size};

		if (fwrite(record, sizeof record, 1, file) != 1 ||
		    fwrite(frame, size, 1, file) != 1)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct trace_options options = presets();
	const char *path = line_take(argc, argv, &options);
	struct traffic *traffic;
	FILE *file;
	int rc = EXIT_SUCCESS;

	if (!path) {
		usage_print(stderr);
		return 2;
	}
	traffic = traffic_create(&options.traffic);
	if (!traffic) {
		fprintf(stderr, "trace: no memory, or options that exclude "
				"each other\n");
		return 2;
	}
	file = fopen(path, "wb");
	if (!file || trace_write(file, traffic, options.packets) < 0 ||
	    fclose(file) != 0) {
		perror(path);
		rc = EXIT_FAILURE;
	}
	traffic_destroy(traffic);
	return rc;
}
