#include "make_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#define MICRO 0xa1b2c3d4U

/* --- packed ------------------------------------------------------------- */

static void pack_gzip(const uint8_t *bytes, size_t size, struct maker *out)
{
	z_stream z = {0};
	uint8_t buffer[65536];
	int rc;

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, 0), Z_OK);
	z.next_in = bytes;
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

/* A zstd frame that goes on, of which a pipe has brought whole blocks, the
 * last of them straddling the end of the first chunk, which is kept full by
 * holding all frames: the rest of that block waits in the unpacker, and must
 * not wait for the pipe. */
static void gives_out_all_that_a_packed_pipe_has_brought(void **state)
{
	enum { COUNT = 13802, FIRST = 1000 };
	static struct frame held[COUNT + 1];
	struct maker m = udp_file(COUNT);
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	ZSTD_inBuffer input = {m.bytes, FIRST, 0};
	static uint8_t buffer[1 << 20];
	ZSTD_outBuffer output = {buffer, sizeof buffer, 0};
	int writer, got, count = 0;
	struct capture *capture = open_pipe(&writer, NULL);

	(void)state;
	assert_int_equal(m.size, 1048576 + 400);
	ZSTD_compressStream2(zstd, &output, &input, ZSTD_e_flush);
	input.size = m.size;
	assert_int_equal(
		ZSTD_compressStream2(zstd, &output, &input, ZSTD_e_flush), 0);
	assert_int_equal(write(writer, buffer, output.pos), output.pos);
	while ((got = capture_next(capture, 0, COUNT + 1 - count,
				   held + count)) > 0)
		count += got;
	assert_int_equal(got, 0);
	assert_int_equal(count, COUNT);
	capture_release(capture, held, count);
	close(writer);
	assert_int_equal(capture_next(capture, -1, 1, held),
			 ERR_FILE_TRUNCATED);
	capture_close(capture);
	ZSTD_freeCCtx(zstd);
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
		cmocka_unit_test(unpacks_several_members),
		cmocka_unit_test(unpacks_behind_a_frame_to_skip),
		cmocka_unit_test(gives_out_all_that_a_packed_pipe_has_brought),
		cmocka_unit_test(gives_out_what_came_before_packed_damage),
		cmocka_unit_test(survives_every_cut_of_packed_bytes),
		cmocka_unit_test(reads_a_pipe_byte_by_byte),
		cmocka_unit_test(
			a_pipe_says_foreign_and_filter_at_the_first_frame),
		cmocka_unit_test(a_pipe_keeps_its_time_and_tells_when_to_come),
		cmocka_unit_test(reads_standard_input),
		cmocka_unit_test(opens_a_fifo_before_its_writer),
		cmocka_unit_test(tells_how_far_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
