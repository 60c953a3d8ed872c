/* A disk that fills up: a small tmpfs in a mount namespace of this program's
 * own, which needs root. */
#include "store_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#define BATCH 500

static char filler[PATH_MAX + 32];

/* One namespace for the whole program, a fresh disk for every test. */
static int disk_setup(void **state)
{
	static int private_mounts = -1;

	if (folder_setup(state) < 0)
		return -1;
	if (private_mounts < 0)
		private_mounts = unshare(CLONE_NEWNS) == 0 &&
				 mount("none", "/", NULL, MS_REC | MS_PRIVATE,
				       NULL) == 0;
	(void)snprintf(filler, sizeof filler, "%s/filler", folder);
	*state = NULL;
	if (private_mounts &&
	    mount("tmpfs", folder, "tmpfs", 0, "size=6m") == 0)
		*state = folder;
	return 0;
}

static int disk_teardown(void **state)
{
	if (*state)
		(void)umount2(folder, MNT_DETACH);
	return folder_teardown(state);
}

static void need_disk(void **state)
{
	if (!*state)
		check_skip("cannot mount a tmpfs: needs root");
}

/* Takes 'size' bytes, or with 0 all there are. */
static void disk_fill(size_t size)
{
	static const char zeros[4096];
	int fd = open(filler, O_WRONLY | O_CREAT | O_APPEND, 0600);
	size_t done = 0;

	assert_true(fd >= 0);
	while ((size == 0 || done < size) && write(fd, zeros, sizeof zeros) > 0)
		done += sizeof zeros;
	(void)close(fd);
}

static int fill_batch(struct store *store, uint64_t *seq, struct fault *fault)
{
	for (int i = 0; i < BATCH; i++)
		(void)put(store, (*seq)++, FLOW_END_IDLE);
	return store_commit(store, fault);
}

/* Commits until the disk refuses; returns the records committed. */
static uint64_t fill_until_full(struct store *store, uint64_t *seq)
{
	struct fault fault = {""};
	int rc;

	do
		rc = fill_batch(store, seq, &fault);
	while (rc == 0);
	assert_int_equal(rc, -ENOSPC);
	assert_non_null(strstr(fault.text, "no space left"));
	assert_int_equal(store_counters(store).failures, 1);
	assert_int_equal(store_counters(store).pending, BATCH);
	assert_adds_up(store);
	return store_counters(store).stored;
}

static void stalls_and_recovers(uint64_t keep_size)
{
	struct store_options options = options_at(database);
	struct store *store;
	uint64_t seq = 0, stored;

	options.pending_count = 4 * BATCH;
	options.keep_size = keep_size;
	store = open_with(&options);
	disk_fill(2 << 20);
	stored = fill_until_full(store, &seq);
	assert_true(stored >= BATCH);
	/* What was committed is there, and stays there. */
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), stored);
	disk_fill(0);
	assert_int_equal(fill_batch(store, &seq, NULL), -ENOSPC);
	assert_int_equal(fill_batch(store, &seq, NULL), -ENOSPC);
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), stored);
	assert_sound();
	assert_int_equal(store_counters(store).pending, 3 * BATCH);
	/* Space comes back: everything that waited is stored. */
	assert_int_equal(unlink(filler), 0);
	assert_int_equal(fill_batch(store, &seq, NULL), 0);
	assert_int_equal(store_counters(store).pending, 0);
	assert_int_equal(store_counters(store).lost, 0);
	assert_int_equal(store_counters(store).stored, seq);
	assert_adds_up(store);
	store_close(store);
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), seq);
	assert_sound();
}

static void loses_nothing_when_the_journal_finds_no_space(void **state)
{
	need_disk(state);
	stalls_and_recovers(0);
}

/* With a small journal the file itself is what cannot grow. */
static void loses_nothing_when_the_file_finds_no_space(void **state)
{
	need_disk(state);
	stalls_and_recovers(1);
}

static void counts_what_it_must_give_up(void **state)
{
	struct store_options options = options_at(database);
	struct store *store;
	struct store_counters counters;
	uint64_t seq = 0, stored;

	need_disk(state);
	options.pending_count = 2 * BATCH;
	store = open_with(&options);
	stored = fill_until_full(store, &seq);
	disk_fill(0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(fill_batch(store, &seq, NULL), -ENOSPC);
	counters = store_counters(store);
	assert_int_equal(counters.stored, stored);
	assert_int_equal(counters.pending, 2 * BATCH);
	assert_int_equal(counters.lost, 4 * BATCH);
	assert_adds_up(store);
	/* Closing cannot write either; what was committed is sound. */
	store_close(store);
	assert_int_equal(unlink(filler), 0);
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), stored);
	assert_sound();
}

static void retention_frees_a_full_disk(void **state)
{
	struct store_options options = options_at(database);
	struct store *store;
	uint64_t seq = 0;
	int rc;

	need_disk(state);
	options.pending_count = 4 * BATCH;
	options.keep_size = UINT64_C(4) << 20;
	store = open_with(&options);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(fill_batch(store, &seq, NULL), 0);
		do
			rc = store_retain(store, (struct wall){0});
		while (rc == 1);
		assert_int_equal(rc, 0);
	}
	assert_true(store_counters(store).retired > 0);
	assert_int_equal(store_counters(store).failures, 0);
	store_close(store);
	assert_sound();
}

static int put_epoch(struct store *store, uint64_t epoch)
{
	struct flow_record record = record_of(0, FLOW_END_IDLE);

	record.epoch = epoch;
	return store_flow(store, &record);
}

/* An epoch's number that was rolled back must not be used. */
static void numbers_epochs_anew_after_a_rollback(void **state)
{
	struct store_options options = options_at(database);
	struct store *store;
	uint64_t seq = 0;
	sqlite3 *db;

	need_disk(state);
	options.pending_count = 4 * BATCH;
	store = open_with(&options);
	disk_fill(2 << 20);
	(void)fill_until_full(store, &seq);
	disk_fill(0);
	assert_int_equal(put_epoch(store, 1), 0);
	assert_int_equal(fill_batch(store, &seq, NULL), -ENOSPC);
	/* Meanwhile its number goes to another. */
	assert_int_equal(unlink(filler), 0);
	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "INSERT INTO epochs(probe, epoch) "
				      "VALUES ('other', 1)",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	(void)sqlite3_close(db);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(store_counters(store).lost, 0);
	store_close(store);
	assert_int_equal(read_integer("SELECT count(*) FROM flows JOIN epochs "
				      "ON epochs.id = flows.id >> 42 AND "
				      "epochs.epoch = flows.epoch AND "
				      "epochs.probe = flows.probe"),
			 seq + 1);
	assert_sound();
}

static void refuses_to_open_where_there_is_no_space(void **state)
{
	struct store_options options = options_at(database);
	struct store *store = NULL;
	struct fault fault = {""};

	need_disk(state);
	disk_fill(0);
	assert_int_equal(store_open(&options, &store, &fault), -ENOSPC);
	assert_non_null(strstr(fault.text, "no space left"));
	assert_int_equal(access(database, F_OK), -1);
	assert_int_equal(unlink(filler), 0);
	store = open_with(&options);
	assert_int_equal(put(store, 1, FLOW_END_IDLE), 0);
	store_close(store);
	/* One that exists stays as it is. */
	disk_fill(0);
	assert_int_equal(store_open(&options, &store, &fault), -ENOSPC);
	assert_int_equal(unlink(filler), 0);
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), 1);
	assert_sound();
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, disk_setup, disk_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(loses_nothing_when_the_journal_finds_no_space),
		TEST(loses_nothing_when_the_file_finds_no_space),
		TEST(counts_what_it_must_give_up),
		TEST(retention_frees_a_full_disk),
		TEST(numbers_epochs_anew_after_a_rollback),
		TEST(refuses_to_open_where_there_is_no_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
