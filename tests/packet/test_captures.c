/* Every frame of the public captures: both ways of decoding agree, a slice
 * counts what the whole frame does, and exact copies show any overrun.
 *
 *     test_captures FOLDER     (SONDE_DATA overrides FOLDER)
 */
#include "check.h"

#include <ftw.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "packet/packet_private.h"
#include "same.h"

#define SLICE        96
#define PATH_SIZE    4096
#define FOLDERS_OPEN 16

/* Packets of the captures that every decoder must find; not one fewer. */
#define TCP_MIN 73000
#define UDP_MIN 36000

struct tally {
	unsigned files, unreadable;
	uint64_t frames, fast, fast_tunnelled, tcp, udp, tunnelled;
	uint64_t verdicts[VERDICT_COUNT];
};

static const char *folder;
static struct tally tally;

static enum verdict decode(const struct packet_input *input, uint32_t captured,
			   struct packet *ret_packet)
{
	struct packet_input cut = *input;
	uint8_t *bytes = malloc(captured ? captured : 1);
	struct packet fast;
	enum verdict verdict;

	assert_non_null(bytes);
	memcpy(bytes, input->bytes, captured);
	cut.bytes = bytes;
	cut.captured_size = captured;
	verdict = packet_decode_general(&cut, ret_packet);
	if (packet_decode_fast(&cut, &fast)) {
		assert_int_equal(verdict, VERDICT_OK);
		assert_true(packet_same(&fast, ret_packet));
		tally.fast++;
		tally.fast_tunnelled += fast.tunnel != TUNNEL_NONE;
	}
	assert_true(packet_brief_holds(&cut, verdict, ret_packet));
	free(bytes);
	return verdict;
}

static void check_sizes(const struct packet_input *input,
			const struct packet *p)
{
	assert_true(p->ip_offset < p->captured_size);
	assert_true(p->transport_offset >= p->ip_offset + IP4_HEADER_SIZE);
	assert_true(p->transport_offset <= p->payload_offset);
	assert_true(p->payload_offset <= p->captured_size);
	assert_true(p->payload_bytes <= p->ip_bytes);
	assert_true(p->ip_bytes <= p->frame_bytes);
	assert_int_equal(p->frame_bytes, input->size);
}

static void check_frame(const struct packet_input *input)
{
	struct packet whole, slice;
	enum verdict verdict = decode(input, input->captured_size, &whole);

	tally.frames++;
	tally.verdicts[verdict]++;
	if (verdict != VERDICT_OK)
		return;
	check_sizes(input, &whole);
	tally.tcp += whole.tuple.protocol == PROTOCOL_TCP;
	tally.udp += whole.tuple.protocol == PROTOCOL_UDP;
	tally.tunnelled += whole.tunnel != TUNNEL_NONE;
	if (input->captured_size <= SLICE)
		return;
	verdict = decode(input, SLICE, &slice);
	if (whole.payload_offset > SLICE || whole.mpls_labels)
		return;
	assert_int_equal(verdict, VERDICT_OK);
	assert_memory_equal(&slice.tuple, &whole.tuple, sizeof slice.tuple);
	assert_true(packet_same_sizes(&slice, &whole));
}

/* libpcap's own numbers of raw link types, as the file has them. */
static uint16_t link_type_of(pcap_t *pcap)
{
	int type = pcap_datalink(pcap);

	return type == DLT_RAW ? 101 : (uint16_t)type;
}

static void check_file(const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *bytes;
	pcap_t *pcap = pcap_open_offline(path, error);

	tally.files++;
	if (!pcap) {
		tally.unreadable++;
		return;
	}
	while (pcap_next_ex(pcap, &header, &bytes) == 1) {
		struct packet_input input = {
			.bytes = bytes,
			.captured_size = header->caplen,
			.size = header->len > header->caplen ? header->len
							     : header->caplen,
			.link_type = link_type_of(pcap),
		};

		check_frame(&input);
	}
	pcap_close(pcap);
}

static bool capture_is(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (!strcmp(dot, ".pcap") || !strcmp(dot, ".cap") ||
		       !strcmp(dot, ".pcapng"));
}

static int visit(const char *path, const struct stat *st, int type,
		 struct FTW *at)
{
	(void)st;
	if (type == FTW_F && capture_is(path + at->base))
		check_file(path);
	return 0;
}

static void print_tally(void)
{
	printf("# %u files (%u unreadable), %llu frames, %llu by the straight "
	       "road (%llu tunnelled), %llu TCP, %llu UDP, %llu tunnelled\n",
	       tally.files, tally.unreadable, (unsigned long long)tally.frames,
	       (unsigned long long)tally.fast,
	       (unsigned long long)tally.fast_tunnelled,
	       (unsigned long long)tally.tcp, (unsigned long long)tally.udp,
	       (unsigned long long)tally.tunnelled);
	for (enum verdict v = 0; v < VERDICT_COUNT; v++)
		printf("# %-20s %llu\n", verdict_word(v),
		       (unsigned long long)tally.verdicts[v]);
}

static void decodes_every_frame_of_the_public_captures(void **state)
{
	static const char *const sets[] = {"ndpi", "tcpdump", "community-id"};
	const char *absent = NULL;
	uint64_t sum = 0;

	(void)state;
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
		char path[PATH_SIZE];
		struct stat st;

		(void)snprintf(path, sizeof path, "%s/%s", folder, sets[i]);
		if (stat(path, &st) < 0) {
			absent = sets[i];
			continue;
		}
		/* one thread: NOLINTNEXTLINE(concurrency-mt-unsafe) */
		assert_int_equal(nftw(path, visit, FOLDERS_OPEN, FTW_PHYS), 0);
	}
	print_tally();
	for (int v = 0; v < VERDICT_COUNT; v++)
		sum += tally.verdicts[v];
	assert_int_equal(sum, tally.frames);
	if (absent)
		check_skip("the captures '%s' are not there (%s)", absent,
			   folder);
	assert_in_range(tally.tcp, TCP_MIN, UINT64_MAX);
	assert_in_range(tally.udp, UDP_MIN, UINT64_MAX);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_every_frame_of_the_public_captures),
	};

	folder = getenv("SONDE_DATA");
	if (!folder)
		folder = argc > 1 ? argv[1] : "../shared/data";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
