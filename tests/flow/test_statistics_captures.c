/* The statistics of every public capture, by the meter and by the plain one:
 * the same records and the same text. */
#include <ftw.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kit.h"
#include "model.h"

#define FOLDERS_OPEN 16

static struct {
	unsigned files;
	uint64_t packets;
	uint64_t records;
} tally;

static int by_seq(const void *a, const void *b)
{
	const struct flow_record *left = a, *right = b;

	return (left->seq > right->seq) - (left->seq < right->seq);
}

struct both {
	struct flow_options options;
	struct kept kept;
	struct model *model;
};

static void text_compare(const struct both *both,
			 const struct flow_record *record,
			 const struct field_table *fields)
{
	char line[8192] = "", value[1024];
	size_t used = 0;

	for (size_t i = flow_fields_plain.count; i < fields->count; i++) {
		(void)field_json(&fields->rows[i], record, value, sizeof value);
		used += (size_t)snprintf(line + used, sizeof line - used,
					 ",\"%s\":%s", fields->rows[i].name,
					 value);
		assert_true(used < sizeof line);
	}
	assert_string_equal(line, model_json(both->model, record->seq));
}

static void records_compare(struct both *both)
{
	struct field_table *fields = flow_fields_choose(&both->options);
	size_t from = offsetof(struct flow_record, length);
	struct flow_record *expected;
	size_t count = model_flush(both->model, &expected);

	assert_non_null(fields);
	assert_int_equal(both->kept.count, count);
	if (count)
		qsort(both->kept.records, count, sizeof *both->kept.records,
		      by_seq);
	for (size_t i = 0; i < count; i++) {
		const struct flow_record *r = &both->kept.records[i];

		assert_int_equal(r->seq, expected[i].seq);
		assert_memory_equal(r->packets, expected[i].packets,
				    sizeof r->packets);
		assert_int_equal(r->statistics_present,
				 expected[i].statistics_present);
		assert_memory_equal((const char *)r + from,
				    (const char *)&expected[i] + from,
				    sizeof *r - from);
		text_compare(both, r, fields);
	}
	tally.records += count;
	free(fields);
}

static void frames_meter(struct both *both, pcap_t *pcap)
{
	struct pcap_pkthdr *header;
	const uint8_t *bytes;

	while (pcap_next_ex(pcap, &header, &bytes) == 1) {
		struct packet_input input = {
			.bytes = bytes,
			.captured_size = header->caplen,
			.size = header->len > header->caplen ? header->len
							     : header->caplen,
			.link_type = (uint16_t)pcap_datalink(pcap),
			.at = {(int64_t)header->ts.tv_sec * S +
			       header->ts.tv_usec},
		};
		struct packet packet;

		if (packet_decode(&input, &packet) != VERDICT_OK)
			continue;
		if (packet.at.ns < 0)
			packet.at.ns = 0;
		flow_table_meter(both->kept.table, &packet, 1);
		model_meter(both->model, &packet);
		tally.packets++;
	}
}

static void check_file(const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline_with_tstamp_precision(
		path, PCAP_TSTAMP_PRECISION_NANO, error);
	struct both both = {.options = kept_options()};

	if (!pcap)
		return;
	both.options.flow_count = 16384;
	both.options.statistics = FLOW_STATISTICS_ALL;
	both.options.first_count = FLOW_FIRST_MAX;
	kept_open(&both.kept, &both.options);
	both.model = model_create(&both.options);
	model_tell_as_meter(both.model);
	frames_meter(&both, pcap);
	flow_table_flush(both.kept.table, FLOW_END_FORCED);
	records_compare(&both);
	tally.files++;
	model_destroy(both.model);
	kept_close(&both.kept);
	pcap_close(pcap);
}

static int visit(const char *path, const struct stat *st, int type,
		 struct FTW *at)
{
	const char *dot = strrchr(path + at->base, '.');

	(void)st;
	if (type == FTW_F && dot &&
	    (!strcmp(dot, ".pcap") || !strcmp(dot, ".cap") ||
	     !strcmp(dot, ".pcapng")))
		check_file(path);
	return 0;
}

static void agrees_with_the_plain_meter_over_public_captures(void **state)
{
	static const char *const sets[] = {"ndpi", "tcpdump", "community-id"};
	const char *data = getenv("SONDE_DATA");

	(void)state;
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
		char path[512];
		struct stat st;

		(void)snprintf(path, sizeof path, "%s/%s",
			       data ? data : SOURCE_ROOT "/../shared/data",
			       sets[i]);
		if (stat(path, &st) < 0)
			check_skip("the captures '%s' are not there", sets[i]);
		/* one thread: NOLINTNEXTLINE(concurrency-mt-unsafe) */
		assert_int_equal(nftw(path, visit, FOLDERS_OPEN, FTW_PHYS), 0);
	}
	print_message("# %u files, %llu packets, %llu records\n", tally.files,
		      (unsigned long long)tally.packets,
		      (unsigned long long)tally.records);
	assert_in_range(tally.files, 100, UINT32_MAX);
	assert_in_range(tally.records, 5000, UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			agrees_with_the_plain_meter_over_public_captures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
