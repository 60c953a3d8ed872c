/* How many flow records a second become text?
 *
 * bench_export [RECORDS] writes them to /dev/null in every format, as 'sonde
 * flows' does: the table with the columns that it shows, the others with
 * every field but those of TCP, and once more with them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "export/export.h"
#include "flow/flow.h"

static double cpu_seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void record_vary(struct flow_record *record, uint64_t i)
{
	uint64_t random = i * UINT64_C(0x9e3779b97f4a7c15);

	random ^= random >> 29;
	record->seq = i;
	record->flow_id = random;
	record->tuple.ip_version = i % 8 == 0 ? 6 : 4;
	memcpy(record->tuple.address[0], &random, 8);
	memcpy(record->tuple.address[1], &i, 8);
	record->tuple.port[0] = (uint16_t)random;
	record->packets[0] = random % 1000;
	record->bytes[0] = random % 1000000;
	record->frame_bytes[0] = random % 1100000;
	record->start.ns = INT64_C(1700000000000000000) + (int64_t)i * 1000;
	record->end.ns = record->start.ns + (int64_t)(random % 1000000000);
}

static const char *const columns[] = {
	"proto",     "src_ip",  "src_port",   "dst_ip",
	"dst_port",  "packets", "bytes",      "rev_packets",
	"rev_bytes", "state",   "end_reason", "start_ns",
	"interface", "vlan",    "tunnel",     NULL,
};

static int bench(enum export_format format, bool tcp, uint64_t count)
{
	struct flow_record record = {.end_reason = FLOW_END_IDLE,
				     .interface = "eth0",
				     .community_id = "1:wCb3OG7yAFWelaUydu0D+"
						     "125CLM="};
	FILE *to = fopen("/dev/null", "w");
	struct export_text *text;
	double cpu = cpu_seconds();
	int rc = 0;

	if (!to || export_text_open(format, to,
				    tcp ? &flow_fields : &flow_fields_plain,
				    columns, 0, &text) < 0)
		return -1;
	for (uint64_t i = 0; i < count && rc == 0; i++) {
		record_vary(&record, i);
		rc = export_text_write(text, &record);
	}
	if (export_text_close(text) < 0 || fclose(to) != 0)
		rc = -1;
	cpu = cpu_seconds() - cpu;
	(void)printf("%-6s %8.0f records/s of CPU%s\n",
		     export_format_words[format], (double)count / cpu,
		     tcp ? " with TCP's fields" : "");
	return rc;
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	int rc = 0;

	for (int i = 0; i < EXPORT_FORMAT_COUNT && rc == 0; i++)
		rc = bench((enum export_format)i, false, count);
	for (int i = EXPORT_TABLE + 1; i < EXPORT_FORMAT_COUNT && rc == 0; i++)
		rc = bench((enum export_format)i, true, count);
	return rc < 0;
}
