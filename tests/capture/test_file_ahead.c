/* Parts of a file that several read ahead: the same frames as by one. */
#include "make_file.h"

#define MICRO   0xa1b2c3d4U
#define READERS 3

/* Records of a few bytes up to more than a part. */
static struct maker large_file(void)
{
	static const uint32_t sizes[] = {60,     1514, 40,    9000,
					 250000, 60,   262144};
	struct maker m = {0};

	put_pcap(&m, MICRO, 4, 1);
	for (uint32_t i = 0; i < 4000; i++) {
		uint32_t pick = i % 500 == 0 ? 4 + i / 500 % 3 : i % 4;

		put_record(&m, i, i, sizes[pick], sizes[pick]);
	}
	return m;
}

/* What a reader has of it. */
struct ahead {
	struct capture *capture;
	struct capture_part *parts[READERS];
	uint32_t random;
	int reserved;
};

static uint32_t random_next(struct ahead *ahead)
{
	ahead->random = ahead->random * 1103515245 + 12345;
	return ahead->random >> 16;
}

/* Some reserve, some read: whoever has time. */
static void readers_turn(struct ahead *ahead)
{
	for (uint16_t i = 0; i < READERS; i++) {
		if (ahead->parts[i] && random_next(ahead) % 2) {
			capture_part_read(ahead->capture, ahead->parts[i]);
			ahead->parts[i] = NULL;
		} else if (!ahead->parts[i] && random_next(ahead) % 2) {
			ahead->parts[i] = capture_ahead(ahead->capture, i);
			ahead->reserved += ahead->parts[i] != NULL;
		}
	}
}

/* Cuts the file to 'cut' bytes once so many parts were reserved; 0: never. */
static struct reading read_ahead(const char *path, uint32_t random,
				 uint64_t cut)
{
	struct capture_options options = {.target = path,
					  .ring_size = UINT64_C(8) << 20};
	struct ahead ahead = {.random = random};
	struct reading reading = {0};
	struct frame frames[100];
	int count;

	assert_int_equal(capture_open(&options, &ahead.capture, &reading.fault),
			 0);
	while ((count = capture_next(ahead.capture, 0, 100, frames)) >= 0) {
		for (int i = 0; i < count; i++)
			reading_add(&reading, &frames[i]);
		capture_release(ahead.capture, frames, count);
		readers_turn(&ahead);
		if (cut && ahead.reserved == 5) {
			assert_int_equal(truncate(path, (off_t)cut), 0);
			cut = 0;
		}
	}
	assert_true(ahead.reserved >= 5);
	reading.rc = count;
	reading_end(&reading, ahead.capture);
	return reading;
}

static void gives_the_same_frames_in_the_same_order(void **state)
{
	struct maker m = large_file();
	const char *path = make_file(&m, "ahead.pcap");
	struct reading alone = read_path(path);

	(void)state;
	assert_int_equal(alone.count, 4000);
	for (uint32_t random = 1; random < 30; random++) {
		struct reading ahead = read_ahead(path, random, 0);

		assert_same(&ahead, &alone);
		free(ahead.seen);
	}
	assert_int_equal(unlink(path), 0);
	free(alone.seen);
	free(m.bytes);
}

/* As one reader alone would find it. */
static void a_file_cut_meanwhile_ends_where_it_is_cut(void **state)
{
	static const uint64_t parts[] = {8, 9, 11};
	struct maker m = large_file();

	(void)state;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		uint64_t cut = (parts[i] << 17) + 4567 * i;
		const char *path = make_file(&m, "cut.pcap");
		struct reading ahead, alone;

		ahead = read_ahead(path, (uint32_t)i + 1, cut);
		alone = read_path(path);
		assert_int_equal(alone.rc, ERR_FILE_TRUNCATED);
		assert_same(&ahead, &alone);
		assert_string_equal(ahead.fault.text, alone.fault.text);
		assert_int_equal(unlink(path), 0);
		free(ahead.seen);
		free(alone.seen);
	}
	free(m.bytes);
}

/* From where the descriptor is, not from the file's first byte. */
static void reads_on_from_where_standard_input_is(void **state)
{
	struct maker m = {0}, whole = large_file();
	const char *path;
	struct reading alone, ahead;

	(void)state;
	put_fill(&m, 0, 5000);
	put(&m, whole.bytes, whole.size);
	path = make_file(&m, "stdin.pcap");
	assert_non_null(freopen(path, "rb", stdin));
	assert_int_equal(lseek(STDIN_FILENO, 5000, SEEK_SET), 5000);
	alone = read_path("-");
	assert_int_equal(lseek(STDIN_FILENO, 5000, SEEK_SET), 5000);
	ahead = read_ahead("-", 1, 0);
	assert_int_equal(alone.count, 4000);
	assert_same(&ahead, &alone);
	assert_int_equal(unlink(path), 0);
	free(ahead.seen);
	free(alone.seen);
	free(m.bytes);
	free(whole.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_the_same_frames_in_the_same_order),
		cmocka_unit_test(a_file_cut_meanwhile_ends_where_it_is_cut),
		cmocka_unit_test(reads_on_from_where_standard_input_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
