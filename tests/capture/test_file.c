#include "make_file.h"

#include <errno.h>

#define MICRO 0xa1b2c3d4U

static void check_open(const char *target, const char *filter, int rc,
		       const char *sentence)
{
	struct reading got = read_with(
		(struct capture_options){.target = target, .filter = filter});

	assert_false(got.opened);
	assert_int_equal(got.rc, rc);
	if (!strstr(got.fault.text, sentence))
		fail_msg("'%s' does not say '%s'", got.fault.text, sentence);
}

static void refuses_what_is_no_capture_file(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t size;
		int rc;
		const char *sentence;
	} cases[] = {
		{"empty.pcap", "", 0, ERR_FILE_TRUNCATED,
		 "/empty.pcap: offset 0: the file is empty"},
		{"text.pcap", "hello, world\n", 13, ERR_FILE_FOREIGN,
		 "/text.pcap: offset 0: not a capture file: neither pcap nor "
		 "pcapng"},
		{"short.pcap", "hi", 2, ERR_FILE_FOREIGN, "not a capture"},
		{"cut.pcap", "\xd4\xc3", 2, ERR_FILE_TRUNCATED,
		 "file header of 4 bytes ends after 2: the file is cut"},
		{"a.pcap.xz",
		 "\xfd"
		 "7zXZ",
		 6, ERR_FILE_FOREIGN, "packed with xz"},
		{"a.gz", "\x1f\x8b\x08\0\0\0", 6, ERR_FILE_TRUNCATED,
		 "unpacked offset 0: the packed data ends early"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct maker m = {0};
		const char *path;

		put(&m, cases[i].bytes, cases[i].size);
		path = make_file(&m, cases[i].name);
		check_open(path, NULL, cases[i].rc, cases[i].sentence);
		assert_int_equal(unlink(path), 0);
		free(m.bytes);
	}
	check_open("/nowhere/x.pcap", NULL, -ENOENT,
		   "/nowhere/x.pcap: No such file or directory");
	check_open("/tmp", NULL, -EISDIR, "/tmp: a folder");
	check_open("/proc/self/mem", NULL, -EIO, "offset 0: Input/output");
}

static void knows_its_targets(void **state)
{
	static const struct {
		const char *target;
		int rc; /* -ENODEV: nobody's */
	} cases[] = {
		{"nothing.pcap", -ENOENT},   {"nothing.pcapng", -ENOENT},
		{"nothing.cap.gz", -ENOENT}, {"NOTHING.PCAP.ZST", -ENOENT},
		{"./nothing", -ENOENT},      {"nothing.txt", -ENODEV},
		{"nothing", -ENODEV},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct reading got = read_path(cases[i].target);
		bool file = got.rc == -ENOENT;

		assert_int_equal(file, cases[i].rc == -ENOENT);
	}
}

/* An interface is meant by its name, whatever lies in the folder. */
static void a_file_does_not_hide_an_interface(void **state)
{
	struct maker m = udp_file(1);
	const char *path = make_file(&m, "lo");
	char home[256];
	struct reading got;

	(void)state;
	assert_non_null(getcwd(home, sizeof home));
	assert_int_equal(chdir(make_folder), 0);
	got = read_path("./lo");
	assert_int_equal(got.count, 1);
	assert_string_equal(got.names[0], "lo");
	free(got.seen);
	assert_int_equal(rename("lo", "plain"), 0);
	got = read_path("plain"); /* no interface: it is the file */
	assert_int_equal(got.count, 1);
	assert_int_equal(unlink("plain"), 0);
	assert_int_equal(chdir(home), 0);
	assert_int_not_equal(access(path, F_OK), 0);
	free(got.seen);
	free(m.bytes);
}

static void cuts_to_the_snap_length(void **state)
{
	struct maker m = udp_file(3);
	const char *path = make_file(&m, "snap.pcap");
	struct reading got = read_with(
		(struct capture_options){.target = path, .snap_size = 42});

	(void)state;
	assert_int_equal(got.count, 3);
	assert_int_equal(got.seen[2].captured_size, 42);
	assert_int_equal(got.seen[2].size, 60);
	assert_int_equal(unlink(path), 0);
	free(got.seen);
	free(m.bytes);
}

/* --- filters ------------------------------------------------------------ */

static void filters_and_counts(void **state)
{
	struct maker m = udp_file(5000);
	const char *path = make_file(&m, "filter.pcap");
	struct reading got = read_with((struct capture_options){
		.target = path, .filter = "udp dst portrange 10-19"});

	(void)state;
	assert_int_equal(got.rc, ERR_END);
	assert_int_equal(got.count, 10);
	assert_int_equal(got.counters.filtered, 4990);
	assert_int_equal(got.seen[9].ns, 1000000019);
	free(got.seen);
	got = read_with(
		(struct capture_options){.target = path, .filter = "tcp"});
	assert_int_equal(got.rc, ERR_END);
	assert_int_equal(got.counters.filtered, 5000);
	assert_int_equal(unlink(path), 0);
	free(got.seen);
	free(m.bytes);
}

static void refuses_a_bad_filter_before_anything_else(void **state)
{
	struct maker m = {0};
	const char *path;

	(void)state;
	check_open("/nowhere/x.pcap", "udp and and", ERR_FILTER,
		   "filter 'udp and and': ");
	put_pcap(&m, MICRO, 4, 101);
	put_record(&m, 1, 1, 60, 60);
	path = make_file(&m, "raw.pcap");
	check_open(path, "ether host 02:00:00:00:00:01", ERR_FILTER,
		   "raw.pcap: filter 'ether host 02:00:00:00:00:01': ");
	assert_int_equal(unlink(path), 0);
	free(m.bytes);
}

/* Raw IP beside Ethernet: an Ethernet filter passes none of the former. */
static void filters_each_link_type_as_it_is(void **state)
{
	struct make_interface raw = {101, 0, "tun0", 9, 0};
	struct make_interface ethernet = {1, 0, "eth0", 9, 0};
	struct maker m = {0};
	struct reading got;
	const char *path;

	(void)state;
	put_section(&m);
	put_interface(&m, raw);
	put_enhanced(&m, 0, 1, 60);
	put_interface(&m, ethernet);
	put_enhanced(&m, 1, 2, 60);
	put_enhanced(&m, 0, 3, 60);
	put_enhanced(&m, 1, 4, 60);
	memset(m.bytes + m.size - 4 - 60, 0x02, 6);
	path = make_file(&m, "mixed.pcapng");
	got = read_with((struct capture_options){.target = path,
						 .filter = "greater 60"});
	assert_int_equal(got.count, 4);
	free(got.seen);
	/* what stands before the first packet decides at open ... */
	check_open(path, "ether dst 02:02:02:02:02:02", ERR_FILTER,
		   "mixed.pcapng: filter");
	free(m.bytes);
	m = (struct maker){0};
	put_section(&m);
	put_interface(&m, raw);
	put_interface(&m, ethernet);
	put_enhanced(&m, 0, 1, 60);
	put_enhanced(&m, 1, 2, 60);
	memset(m.bytes + m.size - 4 - 60, 0x02, 6);
	path = make_file(&m, "mixed.pcapng");
	got = read_with((struct capture_options){
		.target = path, .filter = "ether dst 02:02:02:02:02:02"});
	assert_int_equal(got.rc, ERR_END);
	assert_int_equal(got.count, 1);
	assert_int_equal(got.counters.filtered, 1);
	assert_int_equal(got.seen[0].ns, 2);
	assert_int_equal(unlink(path), 0);
	free(got.seen);
	free(m.bytes);
}

/* --- what is held ------------------------------------------------------- */

static uint16_t frame_number(const struct frame *frame)
{
	return (uint16_t)(frame->bytes[36] << 8 | frame->bytes[37]);
}

/* Two chunks of 1 MiB, 3.8 MB of file: frames are held until no more come,
 * then given back in an order of their own. */
static void held_frames_stay_and_stop_it_when_all_are(void **state)
{
	enum { COUNT = 50000 };
	static struct frame held[COUNT];
	static bool seen[65536];
	struct maker m = udp_file(COUNT);
	const char *path = make_file(&m, "held.pcap");
	struct capture_options options = {.target = path,
					  .ring_size = UINT64_C(2) << 20};
	struct capture *capture;
	struct fault fault;
	int count = 0, got, total = 0, stops = 0;
	uint32_t shuffle = 1;

	(void)state;
	assert_int_equal(capture_open(&options, &capture, &fault), 0);
	for (;;) {
		got = capture_next(capture, -1, 250, held + count);
		if (got < 0)
			break;
		count += got;
		total += got;
		if (got > 0)
			continue;
		stops++;
		assert_true(count > 20000); /* both chunks are lent */
		for (int left = count; left > 0; left--) {
			int pick;

			shuffle = shuffle * 1103515245 + 12345;
			pick = (int)((shuffle >> 8) % (uint32_t)left);
			assert_false(seen[frame_number(&held[pick])]);
			seen[frame_number(&held[pick])] = true;
			capture_release(capture, &held[pick], 1);
			held[pick] = held[left - 1];
		}
		count = 0;
	}
	for (int i = 0; i < count; i++)
		seen[frame_number(&held[i])] = true;
	assert_int_equal(got, ERR_END);
	assert_int_equal(total, COUNT);
	assert_true(stops >= 1);
	for (int i = 1; i <= COUNT; i++)
		assert_true(seen[i]);
	capture_close(capture);
	assert_int_equal(unlink(path), 0);
	free(m.bytes);
}

/* One frame held for long; the rest passes by. */
static void one_held_frame_does_not_stop_the_rest(void **state)
{
	struct maker m = udp_file(50000);
	const char *path = make_file(&m, "one.pcap");
	struct capture_options options = {.target = path,
					  .ring_size = UINT64_C(2) << 20};
	struct capture *capture;
	struct fault fault;
	struct frame first, frames[256];
	int got, total = 1;

	(void)state;
	assert_int_equal(capture_open(&options, &capture, &fault), 0);
	assert_int_equal(capture_next(capture, -1, 1, &first), 1);
	while ((got = capture_next(capture, -1, 256, frames)) > 0) {
		total += got;
		capture_release(capture, frames, got);
	}
	assert_int_equal(got, ERR_END);
	assert_int_equal(total, 50000);
	assert_int_equal(frame_number(&first), 1);
	capture_release(capture, &first, 1);
	capture_close(capture);
	assert_int_equal(unlink(path), 0);
	free(m.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_is_no_capture_file),
		cmocka_unit_test(knows_its_targets),
		cmocka_unit_test(a_file_does_not_hide_an_interface),
		cmocka_unit_test(cuts_to_the_snap_length),
		cmocka_unit_test(filters_and_counts),
		cmocka_unit_test(refuses_a_bad_filter_before_anything_else),
		cmocka_unit_test(filters_each_link_type_as_it_is),
		cmocka_unit_test(held_frames_stay_and_stop_it_when_all_are),
		cmocka_unit_test(one_held_frame_does_not_stop_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
