#include "make_file.h"

#define MICRO    0xa1b2c3d4U
#define NANO     0xa1b23c4dU
#define MODIFIED 0xa1b2cd34U

static struct maker small_file(uint32_t magic, bool swapped)
{
	struct maker m = {.swapped = swapped};

	put_pcap(&m, magic, 4, 1);
	put_record(&m, 1700000000, 999999, 60, 60);
	put_record(&m, 1700000001, 0, 0, 1500);
	put_record(&m, 0xffffffff, 5, 33, 40);
	return m;
}

static void reads_both_units_in_both_orders(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		bool nano = i & 1, swapped = i & 2;
		struct maker m = small_file(nano ? NANO : MICRO, swapped);
		struct reading got = read_made(&m);
		int64_t unit = nano ? 1 : 1000;

		assert_int_equal(got.rc, ERR_END);
		assert_int_equal(got.count, 3);
		assert_int_equal(got.seen[0].ns,
				 INT64_C(1700000000000000000) + 999999 * unit);
		assert_int_equal(got.seen[0].source, STAMP_FILE);
		assert_int_equal(got.seen[0].link_type, 1);
		assert_int_equal(got.seen[1].captured_size, 0);
		assert_int_equal(got.seen[1].size, 1500);
		assert_int_equal(got.seen[2].captured_size, 33);
		assert_int_equal(got.seen[2].ns,
				 INT64_C(4294967295000000000) + 5 * unit);
		assert_int_equal(got.counters.received_bytes, 60 + 1500 + 40);
		assert_string_equal(got.names[0], "made.pcap");
		assert_string_equal(got.names[1], "");
		free(got.seen);
		free(m.bytes);
	}
}

static void reads_the_longer_record_header(void **state)
{
	struct maker m = {.swapped = true};
	struct reading got;

	(void)state;
	put_pcap(&m, MODIFIED, 4, 1);
	for (int i = 0; i < 2; i++) {
		put32(&m, 7);
		put32(&m, 8);
		put32(&m, 61);
		put32(&m, 61);
		put64(&m, 0x1122334455667788);
		put_fill(&m, 1, 61);
	}
	got = read_made(&m);
	assert_int_equal(got.rc, ERR_END);
	assert_int_equal(got.count, 2);
	assert_int_equal(got.seen[1].captured_size, 61);
	assert_int_equal(got.seen[1].ns, 7000008000);
	assert_int_equal(got.seen[0].hash, got.seen[1].hash);
	free(got.seen);
	free(m.bytes);
}

static void takes_lengths_from_where_old_versions_put_them(void **state)
{
	static const struct {
		uint16_t minor;
		uint32_t first, second;
	} cases[] = {
		{2, 60, 10}, /* always the other way round */
		{3, 60, 10}, /* either way */
		{3, 10, 60},
		{4, 10, 60},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct maker m = {0};
		struct reading got;

		put_pcap(&m, MICRO, cases[i].minor, 1);
		put64(&m, 0);
		put32(&m, cases[i].first);
		put32(&m, cases[i].second);
		put_fill(&m, 1, 10);
		got = read_made(&m);
		assert_int_equal(got.rc, ERR_END);
		assert_int_equal(got.count, 1);
		assert_int_equal(got.seen[0].captured_size, 10);
		assert_int_equal(got.seen[0].size, 60);
		free(got.seen);
		free(m.bytes);
	}
}

static void takes_the_link_type_apart(void **state)
{
	static const struct {
		uint32_t field;
		uint16_t link_type;
	} cases[] = {
		{1, 1},
		{0x44000001, 1},   /* 4 bytes of checksum behind a frame */
		{0x30000071, 113}, /* the bits without their flag */
		{12, 101},         /* raw IP, as some systems say it */
		{14, 101},
		{147, 147},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct maker m = {0};
		struct reading got;

		put_pcap(&m, MICRO, 4, cases[i].field);
		put_record(&m, 1, 1, 64, 64);
		got = read_made(&m);
		assert_int_equal(got.count, 1);
		assert_int_equal(got.seen[0].link_type, cases[i].link_type);
		free(got.seen);
		free(m.bytes);
	}
}

static void gives_out_every_record_before_every_cut(void **state)
{
	struct maker whole = small_file(NANO, false);

	(void)state;
	assert_every_cut(&whole);
	free(whole.bytes);
}

static void says_file_offset_and_fault(void **state)
{
	struct maker m = small_file(NANO, false);
	struct reading got;

	(void)state;
	m.size = m.mark[1].end + 16 + 0 + 16 + 20;
	got = read_made(&m);
	assert_int_equal(got.rc, ERR_FILE_TRUNCATED);
	assert_non_null(strstr(got.fault.text,
			       "/made.pcap: offset 116: record of 49 bytes "
			       "ends after 36: the file is cut"));
	free(got.seen);
	m.size = m.mark[0].end + 5;
	got = read_made(&m);
	assert_non_null(strstr(got.fault.text,
			       "/made.pcap: offset 24: record header of 16 "
			       "bytes ends after 5: the file is cut"));
	free(got.seen);
	free(m.bytes);
}

static void takes_the_largest_record_and_refuses_a_larger_claim(void **state)
{
	struct maker m = {0};
	struct reading got;

	(void)state;
	put_pcap(&m, MICRO, 4, 1);
	for (int i = 0; i < 12; i++)
		put_record(&m, (uint32_t)i, 0, 262144 - (uint32_t)i % 3,
			   262144);
	got = read_made(&m);
	assert_int_equal(got.rc, ERR_END);
	assert_int_equal(got.count, 12);
	free(got.seen);

	put_record(&m, 1, 0, 262145, 262145);
	got = read_made(&m);
	assert_int_equal(got.rc, ERR_FILE_CORRUPT);
	assert_int_equal(got.count, 12);
	assert_non_null(strstr(got.fault.text,
			       "/made.pcap: offset 3145932: a record claims "
			       "262145 captured bytes"));
	free(got.seen);
	free(m.bytes);
}

static void never_says_less_on_the_wire_than_captured(void **state)
{
	struct maker m = {0};
	struct reading got;

	(void)state;
	put_pcap(&m, MICRO, 4, 1);
	put_record(&m, 1, 0, 60, 40);
	got = read_made(&m);
	assert_int_equal(got.seen[0].captured_size, 60);
	assert_int_equal(got.seen[0].size, 60);
	free(got.seen);
	free(m.bytes);
}

static void refuses_versions_before_2(void **state)
{
	struct maker m = small_file(MICRO, false);
	struct reading got;

	(void)state;
	m.bytes[4] = 1;
	got = read_made(&m);
	assert_false(got.opened);
	assert_int_equal(got.rc, ERR_FILE_FOREIGN);
	free(m.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_both_units_in_both_orders),
		cmocka_unit_test(reads_the_longer_record_header),
		cmocka_unit_test(
			takes_lengths_from_where_old_versions_put_them),
		cmocka_unit_test(takes_the_link_type_apart),
		cmocka_unit_test(gives_out_every_record_before_every_cut),
		cmocka_unit_test(says_file_offset_and_fault),
		cmocka_unit_test(
			takes_the_largest_record_and_refuses_a_larger_claim),
		cmocka_unit_test(never_says_less_on_the_wire_than_captured),
		cmocka_unit_test(refuses_versions_before_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
