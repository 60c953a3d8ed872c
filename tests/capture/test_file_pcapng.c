#include "make_file.h"

#define SECOND INT64_C(1700000000)

static struct make_interface plain = {.link_type = 1, .resolution = -1};

/* Two sections in different orders, every kind of block. */
static struct maker mixed_file(void)
{
	struct maker m = {.swapped = true};
	struct make_interface nano = {1, 0, "eth0", 9, 0};
	struct make_interface raw = {101, 20, NULL, -1, 0};

	put_section(&m);
	put_interface(&m, nano);
	put_interface(&m, raw);
	put_enhanced(&m, 0, 5, 61);
	put_enhanced(&m, 1, 5, 20);
	block_open(&m, 0x0bad); /* a custom block, say */
	put_fill(&m, 7, 100);
	block_close(&m);
	block_open(&m, 2); /* the old packet block */
	put16(&m, 1);
	put16(&m, 3);
	put64(&m, 0);
	put32(&m, 10);
	put32(&m, 60);
	put_fill(&m, ++m.frames, 12);
	block_close(&m);
	m.swapped = false;
	put_section(&m);
	put_interface(&m, raw);
	put_simple(&m, 20, 90);
	put_enhanced(&m, 0, 7, 1);
	return m;
}

static void reads_sections_interfaces_and_every_packet_block(void **state)
{
	struct maker m = mixed_file();
	struct reading got = read_made(&m);
	static const struct {
		uint32_t captured_size, size;
		int64_t ns;
		enum stamp_source source;
		uint16_t link_type, interface;
	} want[] = {
		{61, 61, 5, STAMP_FILE, 1, 0},
		{20, 20, 5000, STAMP_FILE, 101, 1},
		{10, 60, 0, STAMP_FILE, 101, 1},
		{20, 90, 0, STAMP_NONE, 101, 2},
		{1, 1, 7000, STAMP_FILE, 101, 2},
	};

	(void)state;
	assert_int_equal(got.rc, ERR_END);
	assert_int_equal(got.count, 5);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(got.seen[i].captured_size,
				 want[i].captured_size);
		assert_int_equal(got.seen[i].size, want[i].size);
		assert_int_equal(got.seen[i].ns, want[i].ns);
		assert_int_equal(got.seen[i].source, want[i].source);
		assert_int_equal(got.seen[i].link_type, want[i].link_type);
		assert_int_equal(got.seen[i].interface, want[i].interface);
	}
	assert_int_equal(got.counters.dropped_kernel, 3);
	free(got.seen);
	free(m.bytes);
}

static void gives_out_every_packet_before_every_cut(void **state)
{
	struct maker whole = mixed_file();

	(void)state;
	assert_every_cut(&whole);
	free(whole.bytes);
}

/* 10^x up to 18 and 2^x: the same moment, as fine as each can say it. */
static void reads_every_resolution(void **state)
{
	(void)state;
	for (int i = 0; i < 128 + 32; i++) {
		struct make_interface made = {1, 0, NULL, i, 0};
		struct maker m = {0};
		struct reading got;
		unsigned __int128 ticks = 1; /* a second */
		uint64_t seconds = SECOND;
		int exponent = i & 127;

		if (i < 128 && i > 19)
			continue;
		for (int j = 0; j < exponent; j++)
			ticks *= i < 128 ? 10 : 2;
		while (seconds * ticks > UINT64_MAX - ticks)
			seconds /= 10;
		put_section(&m);
		put_interface(&m, made);
		put_enhanced(&m, 0, (uint64_t)(seconds * ticks + ticks / 4), 4);
		got = read_made(&m);
		assert_int_equal(got.count, 1);
		assert_int_equal(got.seen[0].source, STAMP_FILE);
		assert_int_equal(
			got.seen[0].ns,
			(int64_t)seconds * 1000000000 +
				(int64_t)(ticks / 4 * 1000000000 / ticks));
		free(got.seen);
		free(m.bytes);
	}
}

static void has_no_time_where_none_fits(void **state)
{
	static const struct {
		int64_t resolution, offset_s;
		uint64_t ticks;
		int64_t source, ns;
	} cases[] = {
		{9, 0, INT64_MAX, STAMP_FILE, INT64_MAX},
		{9, 0, (uint64_t)INT64_MAX + 1, STAMP_NONE, 0},
		{9, 1, INT64_MAX - 1000000000, STAMP_FILE, INT64_MAX},
		{9, 1, INT64_MAX - 999999999, STAMP_NONE, 0},
		{9, -1, 5, STAMP_FILE, -999999995},
		{9, -1, (uint64_t)INT64_MAX + 1000000000, STAMP_FILE,
		 INT64_MAX},
		{6, 5, 1, STAMP_FILE, 5000001000},
		{6, INT64_MAX, 1, STAMP_NONE, 0},
		{6, INT64_MIN, 1, STAMP_NONE, 0},
		{0, 0, UINT64_MAX, STAMP_NONE, 0},
		{0, 0, 9223372036, STAMP_FILE, 9223372036000000000},
		{0, 0, 9223372037, STAMP_NONE, 0},
		{127, 0, UINT64_MAX, STAMP_FILE, 0},
		{255, 1, UINT64_MAX, STAMP_FILE, 1000000000},
		{128, 0, 3, STAMP_FILE, 3000000000},
		{128, 0, UINT64_MAX, STAMP_NONE, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct make_interface made = {1, 0, NULL,
					      (int)cases[i].resolution,
					      cases[i].offset_s};
		struct maker m = {0};
		struct reading got;

		put_section(&m);
		put_interface(&m, made);
		put_enhanced(&m, 0, cases[i].ticks, 4);
		got = read_made(&m);
		assert_int_equal(got.count, 1);
		assert_int_equal(got.seen[0].source, cases[i].source);
		assert_int_equal(got.seen[0].ns, cases[i].ns);
		free(got.seen);
		free(m.bytes);
	}
}

static void names_interfaces(void **state)
{
	struct make_interface named = {1, 0, "wlan\x1b[1m", -1, 0};
	struct maker m = {0};
	struct reading got;

	(void)state;
	put_section(&m);
	put_interface(&m, named);
	put_interface(&m, plain);
	put_enhanced(&m, 1, 0, 4);
	got = read_made(&m);
	assert_string_equal(got.names[0], "wlan?[1m");
	assert_string_equal(got.names[1], "made.pcap"); /* the only one */
	free(got.seen);

	m.size = 0;
	put_section(&m);
	put_interface(&m, plain);
	put_interface(&m, plain);
	put_enhanced(&m, 1, 0, 4);
	put_section(&m); /* the same three again: no new names */
	put_interface(&m, plain);
	put_interface(&m, plain);
	put_interface(&m, named);
	put_enhanced(&m, 2, 0, 4);
	put_enhanced(&m, 1, 0, 4);
	got = read_made(&m);
	assert_int_equal(got.count, 3);
	assert_string_equal(got.names[0], "made.pcap:0");
	assert_string_equal(got.names[1], "made.pcap:1");
	assert_string_equal(got.names[2], "wlan?[1m");
	assert_string_equal(got.names[3], "");
	assert_int_equal(got.seen[0].interface, 1);
	assert_int_equal(got.seen[1].interface, 2);
	assert_int_equal(got.seen[2].interface, 1);
	free(got.seen);
	free(m.bytes);
}

static void tells_direction_from_the_flags(void **state)
{
	struct maker m = {.swapped = true};
	struct reading got;

	(void)state;
	put_section(&m);
	put_interface(&m, plain);
	for (uint32_t flags = 0; flags < 8; flags++) {
		enhanced_open(&m, 0, 0, 5, 5);
		put_option(&m, 1, "a comment", 9);
		put_option32(&m, 2, flags | 0x100);
		block_close(&m);
	}
	got = read_made(&m);
	assert_int_equal(got.count, 8);
	for (int i = 0; i < 8; i++)
		assert_int_equal(got.seen[i].outgoing, i % 4 == 2);
	free(got.seen);
	free(m.bytes);
}

static void put_statistics(struct maker *m, uint64_t in_interface,
			   uint64_t in_kernel)
{
	block_open(m, 5);
	put32(m, 0);
	put64(m, 0);
	put_option64(m, 4, 1000000); /* isb_ifrecv */
	put_option64(m, 5, in_interface);
	put_option64(m, 7, in_kernel);
	block_close(m);
}

/* Statistics are totals; packets' drop counts are differences that the
 * totals hold too. */
static void counts_drops_once(void **state)
{
	struct maker m = {0};
	struct reading got;

	(void)state;
	put_section(&m);
	put_interface(&m, plain);
	put_statistics(&m, 2, 5);
	put_statistics(&m, 10, 7);
	put_statistics(&m, 10, 7);
	put_section(&m); /* another capture: it counts from 0 */
	put_interface(&m, plain);
	for (int i = 0; i < 3; i++) {
		enhanced_open(&m, 0, 0, 5, 5);
		put_option64(&m, 4, 100);
		block_close(&m);
	}
	put_statistics(&m, 300, 20);
	got = read_made(&m);
	assert_int_equal(got.rc, ERR_END);
	assert_int_equal(got.counters.dropped_interface +
				 got.counters.dropped_kernel,
			 17 + 320);
	assert_int_equal(got.counters.dropped_interface, 10 + 20);
	free(got.seen);
	free(m.bytes);
}

static void counts_packets_of_no_interface_and_goes_on(void **state)
{
	struct maker m = {0};
	struct reading got;

	(void)state;
	put_section(&m);
	put_simple(&m, 8, 8);
	put_interface(&m, plain);
	put_enhanced(&m, 0, 0, 4);
	put_enhanced(&m, 1, 0, 4);
	put_enhanced(&m, UINT32_MAX, 0, 4);
	put_enhanced(&m, 0, 0, 4);
	put_section(&m);
	put_enhanced(&m, 0, 0, 4);
	got = read_made(&m);
	assert_int_equal(got.rc, ERR_END);
	assert_int_equal(got.count, 2);
	assert_int_equal(got.counters.unusable, 4);
	free(got.seen);
	free(m.bytes);
}

static void passes_over_blocks_of_any_size(void **state)
{
	static const size_t sizes[] = {0, 4, 500000, 524276, 1048576, 3000000};
	static const uint8_t comment[65535];
	struct maker m = {0};
	struct reading got;

	(void)state;
	put_section(&m);
	put_interface(&m, plain);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		block_open(&m, 0x4242);
		put_fill(&m, 9, sizes[i]);
		block_close(&m);
		put_enhanced(&m, 0, i, 60);
		enhanced_open(&m, 0, i, 262144, 262144);
		put_option(&m, 1, "comment", 7);
		block_close(&m);
	}
	enhanced_open(&m, 0, 0, 262144, 262144);
	for (int i = 0; i < 20; i++) /* more than the parser looks at */
		put_option(&m, 1, comment, 65535);
	block_close(&m);
	put_enhanced(&m, 0, 0, 60);
	got = read_made(&m);
	assert_int_equal(got.rc, ERR_END);
	assert_int_equal(got.count, m.frames);
	free(got.seen);

	m.size = 2100000; /* inside the block passed over in pieces */
	got = read_made(&m);
	assert_int_equal(got.rc, ERR_FILE_TRUNCATED);
	assert_non_null(strstr(got.fault.text, "block of "));
	free(got.seen);
	free(m.bytes);
}

/* A name for what is wrong with the third packet of four. */
static void stops_at_damage_after_what_was_good(void **state)
{
	static const struct {
		size_t at; /* from the block's start */
		uint32_t value;
		const char *sentence;
	} cases[] = {
		{4, 8, "a block of type 6 says it has 8 bytes"},
		{4, UINT32_MAX, "a block of type 6 says it has 4294967295 "},
		{4, 28, "a block begins with the length 28 but ends with "},
		{20, 61,
		 "a packet claims 61 captured bytes in a block with "
		 "room for 60"},
		{20, 262145, "a packet claims 262145 captured bytes, over "},
		{88, 96,
		 "a block begins with the length 92 but ends with "
		 "96"},
		{0, 1, NULL}, /* an interface of an odd kind: no harm */
		{0, 0x0a0d0d0a, "a section with byte order magic 00000000"},
	};
	struct maker m = {0};

	(void)state;
	put_section(&m);
	put_interface(&m, plain);
	for (int i = 0; i < 4; i++)
		put_enhanced(&m, 0, 0, 60);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint8_t *at = m.bytes + m.mark[3].end + cases[i].at;
		struct reading got;
		uint32_t good;
		char offset[32];

		memcpy(&good, at, sizeof good);
		memcpy(at, &cases[i].value, sizeof good);
		got = read_made(&m);
		if (cases[i].sentence) {
			(void)snprintf(offset, sizeof offset,
				       "offset %zu: ", m.mark[3].end);
			assert_int_equal(got.rc, ERR_FILE_CORRUPT);
			assert_int_equal(got.count, 2);
			assert_non_null(
				strstr(got.fault.text, cases[i].sentence));
			assert_non_null(strstr(got.fault.text, offset));
		} else {
			assert_int_equal(got.rc, ERR_END);
			assert_int_equal(got.count, 3);
		}
		memcpy(at, &good, sizeof good);
		free(got.seen);
	}
	free(m.bytes);
}

static void reads_blocks_padded_behind_their_length(void **state)
{
	struct maker m = {0};
	struct reading got;
	size_t block;

	(void)state;
	put_section(&m);
	put_interface(&m, plain);
	for (int i = 0; i < 2; i++) {
		block = m.size;
		put_enhanced(&m, 0, 0, 18);
		m.bytes[block + 4] = 32 + 18;
		m.bytes[m.size - 4] = 32 + 18;
	}
	got = read_made(&m);
	assert_int_equal(got.rc, ERR_END);
	assert_int_equal(got.count, 2);
	assert_int_equal(got.seen[1].captured_size, 18);
	free(got.seen);
	free(m.bytes);
}

static void an_option_cut_short_costs_only_itself(void **state)
{
	struct maker m = {0};
	struct reading got;

	(void)state;
	put_section(&m);
	put_interface(&m, plain);
	enhanced_open(&m, 0, 0, 8, 8);
	put_option32(&m, 2, 2);
	put16(&m, 1);
	put16(&m, 1000);
	block_close(&m);
	put_enhanced(&m, 0, 0, 8);
	got = read_made(&m);
	assert_int_equal(got.rc, ERR_END);
	assert_int_equal(got.count, 2);
	assert_true(got.seen[0].outgoing);
	free(got.seen);
	free(m.bytes);
}

/* 5,000 interfaces are more than are kept: theirs are counted. */
static void bounds_the_interfaces(void **state)
{
	struct maker m = {0};
	struct reading got;

	(void)state;
	put_section(&m);
	for (int i = 0; i < 5000; i++) {
		char name[16];
		struct make_interface made = {1, 0, name, -1, 0};

		(void)snprintf(name, sizeof name, "if%d", i);
		put_interface(&m, made);
	}
	put_enhanced(&m, 4095, 0, 8);
	put_enhanced(&m, 4096, 0, 8);
	got = read_made(&m);
	assert_int_equal(got.rc, ERR_END);
	assert_int_equal(got.count, 1);
	assert_int_equal(got.counters.unusable, 1);
	assert_int_equal(got.seen[0].interface, 4095);
	free(got.seen);
	free(m.bytes);
}

static void refuses_what_is_no_first_section(void **state)
{
	struct maker m = {0};
	struct reading got;

	(void)state;
	put_section(&m);
	m.bytes[8] = 0;
	got = read_made(&m);
	assert_false(got.opened);
	assert_int_equal(got.rc, ERR_FILE_FOREIGN);
	m.size = 0;
	put_section(&m);
	m.bytes[12] = 2;
	got = read_made(&m);
	assert_false(got.opened);
	assert_int_equal(got.rc, ERR_FILE_FOREIGN);
	assert_non_null(strstr(got.fault.text, "pcapng version 2.0"));
	free(m.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			reads_sections_interfaces_and_every_packet_block),
		cmocka_unit_test(gives_out_every_packet_before_every_cut),
		cmocka_unit_test(reads_every_resolution),
		cmocka_unit_test(has_no_time_where_none_fits),
		cmocka_unit_test(names_interfaces),
		cmocka_unit_test(tells_direction_from_the_flags),
		cmocka_unit_test(counts_drops_once),
		cmocka_unit_test(counts_packets_of_no_interface_and_goes_on),
		cmocka_unit_test(passes_over_blocks_of_any_size),
		cmocka_unit_test(stops_at_damage_after_what_was_good),
		cmocka_unit_test(reads_blocks_padded_behind_their_length),
		cmocka_unit_test(an_option_cut_short_costs_only_itself),
		cmocka_unit_test(bounds_the_interfaces),
		cmocka_unit_test(refuses_what_is_no_first_section),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
