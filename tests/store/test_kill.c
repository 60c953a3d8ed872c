/* A writer that is killed at any moment: the database opens, is sound, and
 * has every commit that the writer knew to be done. */
#include "store_test.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define ROUNDS 24
#define BATCH  40

struct report {
	uint64_t records; /* of this round, committed */
};

/* Never returns: writes, commits and reports until it is killed. */
static void write_for_ever(uint64_t epoch, int report_fd)
{
	struct store_options options = options_at(database);
	struct report report = {0};
	struct store *store;

	options.epoch = epoch;
	/* A small journal: it is moved into the file again and again. */
	options.keep_size = UINT64_C(1) << 30;
	options.pending_count = 1000;
	if (store_open(&options, &store, NULL) < 0)
		_exit(2);
	for (uint64_t seq = 0;; seq++) {
		struct flow_record record = record_of(seq, FLOW_END_IDLE);

		record.epoch = epoch;
		if (store_flow(store, &record) < 0)
			_exit(3);
		if (seq % BATCH != BATCH - 1)
			continue;
		if (store_commit(store, NULL) < 0 ||
		    store_retain(store, (struct wall){1}) < 0)
			_exit(4);
		report.records = seq + 1;
		if (write(report_fd, &report, sizeof report) < 0)
			_exit(5);
	}
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* Kills the writer some time after some reports; what the last one said. */
static uint64_t kill_writer(pid_t child, int report_fd, uint32_t *random)
{
	uint32_t reports = next_random(random) % 60;
	struct timespec moment = {0, next_random(random) % 3000000};
	struct report report = {0};
	int status;

	for (uint32_t i = 0; i < reports; i++) {
		if (read(report_fd, &report, sizeof report) !=
		    (ssize_t)sizeof report)
			break;
	}
	(void)nanosleep(&moment, NULL);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status)); /* and did not fail by itself */
	while (read(report_fd, &report, sizeof report) ==
	       (ssize_t)sizeof report)
		;
	return report.records;
}

static void assert_has(uint64_t epoch, uint64_t reported)
{
	char sql[128];
	int64_t count;

	(void)snprintf(sql, sizeof sql,
		       "SELECT count(*) FROM flows WHERE epoch = %llu",
		       (unsigned long long)epoch);
	count = read_integer(sql);
	assert_true(count >= (int64_t)reported);
	assert_int_equal(count % BATCH, 0); /* whole commits */
}

static void has_every_commit_after_kill_at_any_moment(void **state)
{
	uint64_t reported[ROUNDS];
	uint32_t random = 7;

	(void)state;
	for (uint64_t round = 0; round < ROUNDS; round++) {
		int fds[2];
		pid_t child;

		assert_int_equal(pipe(fds), 0);
		child = fork();
		if (child == 0)
			write_for_ever(EPOCH + round, fds[1]);
		(void)close(fds[1]);
		reported[round] = kill_writer(child, fds[0], &random);
		(void)close(fds[0]);
		store_close(open_fresh());
		assert_sound();
		for (uint64_t i = 0; i <= round; i++)
			assert_has(EPOCH + i, reported[i]);
	}
	assert_true(read_integer("SELECT count(*) FROM flows") >
		    (int64_t)ROUNDS * BATCH);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(has_every_commit_after_kill_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
