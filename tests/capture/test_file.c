#include "make_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <zlib.h>
#include <zstd.h>

#define NANO  0xa1b23c4dU
#define MICRO 0xa1b2c3d4U

/* 'count' Ethernet frames of UDP, to ports 1 to 'count'. */
static struct maker udp_file(int count)
{
	static const uint8_t frame[60] = {
		2,    0, 0,   0,  0, 2, 2, 0, 0,  0,  0, 1, 8,   0,
		0x45, 0, 0,   46, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0,
		2,    1, 192, 0,  2, 2, 0, 9, 0,  0,  0, 26};
	struct maker m = {0};

	put_pcap(&m, NANO, 4, 1);
	for (int i = 1; i <= count; i++) {
		size_t at;

		put_record(&m, 1, (uint32_t)i, sizeof frame, sizeof frame);
		at = m.size - sizeof frame;
		memcpy(m.bytes + at, frame, sizeof frame);
		m.bytes[at + 36] = (uint8_t)(i >> 8);
		m.bytes[at + 37] = (uint8_t)i;
	}
	return m;
}

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

/* --- packed ------------------------------------------------------------- */

static void pack_gzip(const uint8_t *bytes, size_t size, struct maker *out)
{
	z_stream z = {0};
	uint8_t buffer[65536];
	int rc;

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, 0), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)bytes;
	z.avail_in = (uInt)size;
	do {
		z.next_out = buffer;
		z.avail_out = sizeof buffer;
		rc = deflate(&z, Z_FINISH);
		put(out, buffer, sizeof buffer - z.avail_out);
	} while (rc == Z_OK);
	assert_int_equal(rc, Z_STREAM_END);
	deflateEnd(&z);
}

static void pack_zstd(const uint8_t *bytes, size_t size, struct maker *out)
{
	size_t bound = ZSTD_compressBound(size);
	uint8_t *buffer = malloc(bound);
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	size_t made;

	ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
	made = ZSTD_compress2(zstd, buffer, bound, bytes, size);
	assert_false(ZSTD_isError(made));
	put(out, buffer, made);
	ZSTD_freeCCtx(zstd);
	free(buffer);
}

typedef void packer(const uint8_t *, size_t, struct maker *);

static packer *const packers[] = {pack_gzip, pack_zstd};

/* In three members or frames, the second of them empty. */
static struct maker pack(packer *pack_one, const struct maker *m)
{
	struct maker out = {0};
	size_t half = m->size / 2 + 1;

	pack_one(m->bytes, half, &out);
	pack_one(m->bytes, 0, &out);
	pack_one(m->bytes + half, m->size - half, &out);
	return out;
}

static void unpacks_several_members(void **state)
{
	struct maker m = udp_file(20000);
	struct reading plain = read_made(&m);

	(void)state;
	assert_int_equal(plain.count, 20000);
	for (size_t i = 0; i < 2; i++) {
		struct maker packed = pack(packers[i], &m);
		struct reading got = read_made(&packed);

		assert_same(&plain, &got);
		free(got.seen);
		put_fill(&packed, 0, 1000); /* a tape's padding */
		got = read_made(&packed);
		assert_same(&plain, &got);
		free(got.seen);
		free(packed.bytes);
	}
	free(plain.seen);
	free(m.bytes);
}

static void unpacks_behind_a_frame_to_skip(void **state)
{
	struct maker m = udp_file(3);
	struct reading plain = read_made(&m);
	struct maker packed = {0};
	struct reading got;

	(void)state;
	put(&packed, "\x5a\x2a\x4d\x18\x05\0\0\0abcde", 13);
	pack_zstd(m.bytes, m.size, &packed);
	got = read_made(&packed);
	assert_same(&plain, &got);
	free(got.seen);
	free(plain.seen);
	free(packed.bytes);
	free(m.bytes);
}

static void gives_out_what_came_before_packed_damage(void **state)
{
	struct maker m = udp_file(20000);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct maker packed = pack(packers[i], &m);
		size_t whole = packed.size;
		struct reading got;

		packed.size = whole - 3;
		got = read_made(&packed);
		assert_int_equal(got.rc, ERR_FILE_TRUNCATED);
		assert_true(got.count > 9990);
		assert_non_null(strstr(got.fault.text, "unpacked offset "));
		assert_non_null(strstr(got.fault.text, "ends early"));
		free(got.seen);

		packed.size = whole;
		packed.bytes[whole - 2] ^= 1; /* in the last checksum */
		got = read_made(&packed);
		assert_int_equal(got.rc, ERR_FILE_CORRUPT);
		assert_true(got.count >= 10000);
		assert_non_null(strstr(got.fault.text, "is damaged"));
		free(got.seen);

		packed.bytes[whole - 2] ^= 1;
		put_fill(&packed, 'x', 10);
		got = read_made(&packed);
		assert_int_equal(got.rc, ERR_FILE_CORRUPT);
		assert_int_equal(got.count, 20000);
		assert_non_null(strstr(got.fault.text, "where some should"));
		free(got.seen);
		free(packed.bytes);
	}
	free(m.bytes);
}

static void survives_every_cut_of_packed_bytes(void **state)
{
	struct maker m = udp_file(40);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct maker packed = pack(packers[i], &m);
		size_t whole = packed.size;

		for (packed.size = 0; packed.size < whole; packed.size++) {
			struct reading got = read_made(&packed);

			assert_in_range(got.count, 0, 40);
			if (packed.size < whole - 12)
				assert_true(got.rc == ERR_FILE_TRUNCATED ||
					    got.rc == ERR_FILE_FOREIGN);
			free(got.seen);
		}
		free(packed.bytes);
	}
	free(m.bytes);
}

/* --- pipes -------------------------------------------------------------- */

/* Opens the read end of a new pipe through the file system. */
static struct capture *open_pipe(int *ret_writer, const char *filter)
{
	struct capture_options options = {.filter = filter,
					  .ring_size = UINT64_C(2) << 20};
	struct capture *capture;
	struct fault fault;
	char path[64];
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fds[0]);
	options.target = path;
	assert_int_equal(capture_open(&options, &capture, &fault), 0);
	assert_int_equal(close(fds[0]), 0);
	*ret_writer = fds[1];
	return capture;
}

static bool polls_readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

/* Feeds 'm' byte by byte; after each, all that can be had is taken. */
static struct reading read_dripping(const struct maker *m)
{
	struct reading reading = {.opened = true};
	struct frame frames[4];
	int writer, count;
	struct capture *capture = open_pipe(&writer, NULL);

	for (size_t i = 0; i < m->size; i++) {
		assert_int_equal(write(writer, m->bytes + i, 1), 1);
		while ((count = capture_next(capture, 0, 4, frames)) > 0) {
			for (int j = 0; j < count; j++)
				reading_add(&reading, &frames[j]);
			capture_release(capture, frames, count);
		}
		assert_int_equal(count, 0);
	}
	assert_int_equal(close(writer), 0);
	while ((count = capture_next(capture, -1, 4, frames)) > 0) {
		for (int j = 0; j < count; j++)
			reading_add(&reading, &frames[j]);
		capture_release(capture, frames, count);
	}
	reading.rc = count;
	reading_end(&reading, capture);
	return reading;
}

static void reads_a_pipe_byte_by_byte(void **state)
{
	struct maker m = udp_file(40);
	struct maker packed = {0};
	struct reading plain = read_made(&m);

	(void)state;
	memset(plain.names, 0, sizeof plain.names); /* a pipe's differ */
	for (int i = 0; i < 3; i++) {
		struct reading got;

		packed.size = 0;
		if (i == 0)
			put(&packed, m.bytes, m.size);
		else
			packers[i - 1](m.bytes, m.size, &packed);
		got = read_dripping(&packed);
		memset(got.names, 0, sizeof got.names);
		assert_same(&plain, &got);
		free(got.seen);
	}
	free(packed.bytes);
	free(plain.seen);
	free(m.bytes);
}

static void a_pipe_says_foreign_and_filter_at_the_first_frame(void **state)
{
	struct frame frames[4];
	struct maker m = {0};
	int writer;
	struct capture *capture = open_pipe(&writer, NULL);

	(void)state;
	assert_int_equal(write(writer, "hello", 5), 5);
	assert_int_equal(capture_next(capture, 1000, 4, frames),
			 ERR_FILE_FOREIGN);
	assert_non_null(strstr(capture_fault(capture), "offset 0: not a "));
	assert_true(capture_progress(capture) < 0);
	capture_close(capture);
	close(writer);
	capture = open_pipe(&writer, "ether host 02:00:00:00:00:01");
	put_pcap(&m, MICRO, 4, 101);
	assert_int_equal(write(writer, m.bytes, m.size), m.size);
	assert_int_equal(capture_next(capture, 1000, 4, frames), ERR_FILTER);
	capture_close(capture);
	close(writer);
	free(m.bytes);
}

static void a_pipe_keeps_its_time_and_tells_when_to_come(void **state)
{
	struct maker m = udp_file(10);
	struct frame frames[4];
	int writer;
	struct capture *capture = open_pipe(&writer, NULL);

	(void)state;
	assert_int_equal(capture_next(capture, 0, 4, frames), 0);
	assert_int_equal(capture_next(capture, 1, 4, frames), 0);
	assert_true(capture_fd(capture) >= 0);
	assert_false(polls_readable(capture_fd(capture)));
	assert_int_equal(write(writer, m.bytes, m.size), m.size);
	assert_true(polls_readable(capture_fd(capture)));
	assert_int_equal(capture_next(capture, 0, 4, frames), 4);
	/* the pipe is empty now, but six frames wait */
	assert_true(polls_readable(capture_fd(capture)));
	assert_int_equal(capture_next(capture, 0, 4, frames), 4);
	assert_int_equal(capture_next(capture, 0, 4, frames), 2);
	assert_int_equal(capture_next(capture, 0, 4, frames), 0);
	assert_false(polls_readable(capture_fd(capture)));
	assert_int_equal(close(writer), 0);
	assert_true(polls_readable(capture_fd(capture)));
	assert_int_equal(capture_next(capture, 0, 4, frames), ERR_END);
	capture_close(capture);
	free(m.bytes);
}

static void reads_standard_input(void **state)
{
	struct maker m = udp_file(100);
	const char *path = make_file(&m, "input");
	struct reading plain = read_path(path);
	struct reading got;
	int saved = dup(STDIN_FILENO);
	int fd = open(path, O_RDONLY);

	(void)state;
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	got = read_path("-");
	assert_string_equal(got.names[0], "stdin");
	memcpy(got.names, plain.names, sizeof got.names);
	assert_same(&plain, &got);
	assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
	close(fd);
	assert_int_equal(unlink(path), 0);
	free(got.seen);
	free(plain.seen);
	free(m.bytes);
}

static void opens_a_fifo_before_its_writer(void **state)
{
	struct maker m = udp_file(3);
	const char *path = make_path("fifo");
	struct capture_options options = {.target = path};
	struct capture *capture;
	struct fault fault;
	struct frame frames[4];
	int writer;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(capture_open(&options, &capture, &fault), 0);
	assert_int_equal(capture_next(capture, 1, 4, frames), 0);
	writer = open(path, O_WRONLY);
	assert_int_equal(capture_next(capture, 0, 4, frames), 0);
	assert_int_equal(write(writer, m.bytes, m.size), m.size);
	assert_int_equal(capture_next(capture, -1, 4, frames), 3);
	close(writer);
	assert_int_equal(capture_next(capture, -1, 4, frames), ERR_END);
	capture_close(capture);
	assert_int_equal(unlink(path), 0);
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

static void tells_how_far_it_is(void **state)
{
	struct maker m = udp_file(20000);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct maker packed = {0};
		struct capture_options options = {0};
		struct capture *capture;
		struct fault fault;
		struct frame frames[256];
		double before = 0, at;
		int got;

		if (i == 0)
			put(&packed, m.bytes, m.size);
		else
			packers[i - 1](m.bytes, m.size, &packed);
		options.target = make_file(&packed, "progress.pcap");
		assert_int_equal(capture_open(&options, &capture, &fault), 0);
		assert_int_equal(capture_fd(capture), -1);
		while ((got = capture_next(capture, 0, 256, frames)) > 0) {
			at = capture_progress(capture);
			assert_true(at >= before && at <= 1);
			before = at;
			capture_release(capture, frames, got);
		}
		assert_int_equal(got, ERR_END);
		assert_true(capture_progress(capture) == 1);
		capture_close(capture);
		assert_int_equal(unlink(options.target), 0);
		free(packed.bytes);
	}
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
		cmocka_unit_test(unpacks_several_members),
		cmocka_unit_test(unpacks_behind_a_frame_to_skip),
		cmocka_unit_test(gives_out_what_came_before_packed_damage),
		cmocka_unit_test(survives_every_cut_of_packed_bytes),
		cmocka_unit_test(reads_a_pipe_byte_by_byte),
		cmocka_unit_test(
			a_pipe_says_foreign_and_filter_at_the_first_frame),
		cmocka_unit_test(a_pipe_keeps_its_time_and_tells_when_to_come),
		cmocka_unit_test(reads_standard_input),
		cmocka_unit_test(opens_a_fifo_before_its_writer),
		cmocka_unit_test(held_frames_stay_and_stop_it_when_all_are),
		cmocka_unit_test(one_held_frame_does_not_stop_the_rest),
		cmocka_unit_test(tells_how_far_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
