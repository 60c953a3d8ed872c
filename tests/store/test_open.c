#include "store_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct bytes {
	char *at;
	size_t size;
};

static struct bytes file_read(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct bytes bytes = {malloc(1 << 20), 0};

	assert_non_null(file);
	assert_non_null(bytes.at);
	bytes.size = fread(bytes.at, 1, 1 << 20, file);
	(void)fclose(file);
	return bytes;
}

static void assert_unchanged(const char *path, struct bytes *before)
{
	struct bytes now = file_read(path);

	assert_int_equal(now.size, before->size);
	assert_memory_equal(now.at, before->at, now.size);
	free(now.at);
	free(before->at);
}

static void file_write(const char *path, const char *text, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void assert_refused(const char *path, int code, const char *sentence)
{
	struct store_options options = options_at(path);
	struct store *store = NULL;
	struct fault fault = {""};
	char lock[PATH_MAX + 64];

	assert_int_equal(store_open(&options, &store, &fault), code);
	assert_null(store);
	if (!strstr(fault.text, sentence))
		fail_msg("'%s' lacks '%s'", fault.text, sentence);
	assert_int_equal(strncmp(fault.text, path, strlen(path)), 0);
	(void)snprintf(lock, sizeof lock, "%s.lock", path);
	assert_int_equal(access(lock, F_OK), -1);
}

static void run_sql(const char *sql, bool keep_journal)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
				keep_journal, NULL);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	(void)sqlite3_close(db);
}

static int mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (int)(st.st_mode & 07777);
}

static void creates_folders_and_file_for_the_group_to_read(void **state)
{
	struct store_options options;
	char path[PATH_MAX + 64];
	struct store *store;
	mode_t mask = umask(0);

	(void)state;
	(void)snprintf(path, sizeof path, "%s/a/b/sonde.db", folder);
	options = options_at(path);
	store = open_with(&options);
	assert_int_equal(put(store, 1, FLOW_END_IDLE), 0);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(mode_of(path), 0640);
	(void)snprintf(path, sizeof path, "%s/a/b/sonde.db-wal", folder);
	assert_int_equal(mode_of(path), 0640);
	(void)snprintf(path, sizeof path, "%s/a/b", folder);
	assert_int_equal(mode_of(path), 0750);
	(void)snprintf(path, sizeof path, "%s/a", folder);
	assert_int_equal(mode_of(path), 0750);
	store_close(store);
	(void)umask(mask);
}

static void sets_the_file_up_to_last(void **state)
{
	(void)state;
	store_close(open_fresh());
	assert_read("PRAGMA journal_mode", "wal");
	assert_int_equal(read_integer("PRAGMA auto_vacuum"), 2);
	assert_int_equal(read_integer("PRAGMA user_version"),
			 STORE_SCHEMA_VERSION);
	assert_int_equal(read_integer("PRAGMA application_id"), 0x736f6e64);
	assert_int_equal(
		read_integer("SELECT value FROM meta WHERE key = 'schema'"),
		STORE_SCHEMA_VERSION);
	assert_int_equal(read_integer("SELECT count(*) FROM sqlite_schema "
				      "WHERE name = 'flows_end'"),
			 1);
}

static void takes_an_empty_file(void **state)
{
	(void)state;
	file_write(database, "", 0);
	store_close(open_fresh());
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), 0);
}

static void refuses_a_newer_schema_and_leaves_it_alone(void **state)
{
	struct bytes before;

	(void)state;
	store_close(open_fresh());
	run_sql("PRAGMA user_version = 2", false);
	before = file_read(database);
	assert_refused(database, ERR_STORE_SCHEMA, "schema 2");
	assert_unchanged(database, &before);
}

/* The newer version died before its journal was moved into the file. */
static void refuses_a_newer_schema_that_only_the_journal_has(void **state)
{
	struct bytes before, journal_before;
	char journal[PATH_MAX + 64];

	(void)state;
	(void)snprintf(journal, sizeof journal, "%s-wal", database);
	store_close(open_fresh());
	run_sql("PRAGMA user_version = 7", true);
	before = file_read(database);
	journal_before = file_read(journal);
	assert_true(journal_before.size > 0);
	assert_refused(database, ERR_STORE_SCHEMA, "schema 7");
	assert_unchanged(database, &before);
	assert_unchanged(journal, &journal_before);
}

static void refuses_what_is_no_database_and_leaves_it_alone(void **state)
{
	static const char text[] =
		"# a configuration file that someone named by mistake, long "
		"enough that it could be the first page of a database file\n";
	const size_t sizes[] = {1, 50, sizeof text - 1};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct bytes before;

		file_write(database, text, sizes[i]);
		before = file_read(database);
		assert_refused(database, -EINVAL, "not a database");
		assert_unchanged(database, &before);
	}
	assert_int_equal(unlink(database), 0);
	run_sql("CREATE TABLE bookmarks(url); PRAGMA user_version = 9", false);
	assert_refused(database, -EINVAL, "another program");
	assert_int_equal(read_integer("SELECT count(*) FROM bookmarks"), 0);
	assert_int_equal(unlink(database), 0);
	assert_int_equal(mkfifo(database, 0600), 0);
	assert_refused(database, -EINVAL, "not a file");
	assert_refused(folder, -EISDIR, "set 'database'");
}

static void refuses_a_path_through_a_file(void **state)
{
	char path[PATH_MAX + 64];

	(void)state;
	file_write(database, "", 0);
	(void)snprintf(path, sizeof path, "%s/sonde.db", database);
	assert_refused(path, -ENOTDIR, "set 'database'");
}

static void adds_columns_that_an_older_file_lacks(void **state)
{
	struct store *store = open_fresh();

	(void)state;
	assert_int_equal(put(store, 1, FLOW_END_IDLE), 0);
	store_close(store);
	run_sql("ALTER TABLE flows DROP COLUMN bytes;"
		"ALTER TABLE flows DROP COLUMN dst_ip",
		false);
	store = open_fresh();
	assert_int_equal(put(store, 2, FLOW_END_IDLE), 0);
	store_close(store);
	assert_int_equal(read_integer("SELECT bytes FROM flows WHERE seq = 2"),
			 300);
	assert_read("SELECT dst_ip FROM flows WHERE seq = 1", NULL);
	assert_read("SELECT dst_ip FROM flows WHERE seq = 2", "198.51.100.7");
}

static void refuses_a_second_writer_by_its_number(void **state)
{
	struct store_options options = options_at(database);
	struct store *store = open_fresh(), *second = NULL;
	struct fault fault = {""};
	char expected[32];

	(void)state;
	assert_int_equal(store_open(&options, &second, &fault), -EBUSY);
	assert_null(second);
	(void)snprintf(expected, sizeof expected, "(process %ld)",
		       (long)getpid());
	assert_non_null(strstr(fault.text, expected));
	/* The first one is not disturbed. */
	assert_int_equal(put(store, 1, FLOW_END_IDLE), 0);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(store_open(&options, &second, &fault), -EBUSY);
	store_close(store);
	store_close(open_fresh());
}

static void takes_over_from_a_writer_that_was_killed(void **state)
{
	int ready[2];
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct store *store = open_fresh();

		(void)put(store, 1, FLOW_END_IDLE);
		(void)store_commit(store, NULL);
		(void)!write(ready[1], "", 1);
		(void)pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	store_close(open_fresh());
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

/* In a child without privilege; its exit status is the verdict. */
static int open_without_permission(const char *path)
{
	struct store_options options = options_at(path);
	struct store *store = NULL;
	struct fault fault = {""};
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(2);
		if (store_open(&options, &store, &fault) != -EACCES)
			_exit(3);
		if (!strstr(fault.text, "permission denied; run as root or "
					"set 'database' to a path you may "
					"write"))
			_exit(4);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void says_what_to_do_without_permission(void **state)
{
	char path[PATH_MAX + 64];

	(void)state;
	store_close(open_fresh());
	assert_int_equal(chmod(database, 0444), 0);
	assert_int_equal(chmod(folder, 0777), 0);
	if (geteuid() == 0)
		assert_int_equal(open_without_permission(database), 0);
	assert_int_equal(chmod(folder, 0555), 0);
	(void)snprintf(path, sizeof path, "%s/deeper/sonde.db", folder);
	assert_int_equal(open_without_permission(path), 0);
	(void)snprintf(path, sizeof path, "%s/other.db", folder);
	assert_int_equal(open_without_permission(path), 0);
	assert_int_equal(chmod(folder, 0000), 0);
	assert_int_equal(open_without_permission(database), 0);
	assert_int_equal(chmod(folder, 0755), 0);
}

static void makes_a_file_anew_that_was_removed(void **state)
{
	struct store *store = open_fresh();

	(void)state;
	assert_int_equal(put(store, 1, FLOW_END_IDLE), 0);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(unlink(database), 0);
	assert_int_equal(put(store, 2, FLOW_END_IDLE), 0);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), 1);
	assert_int_equal(read_integer("SELECT seq FROM flows"), 2);
	assert_int_equal(read_integer("SELECT count(*) FROM runs"), 1);
	assert_int_equal(folder_teardown(state), 0);
	assert_int_equal(put(store, 3, FLOW_END_IDLE), 0);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(read_integer("SELECT seq FROM flows"), 3);
	assert_int_equal(store_counters(store).stored, 3);
	assert_adds_up(store);
	store_close(store);
	assert_sound();
}

static void waits_while_a_foreign_file_is_in_its_place(void **state)
{
	struct store *store = open_fresh();
	struct fault fault = {""};
	struct bytes before;

	(void)state;
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(unlink(database), 0);
	file_write(database, "a letter", 8);
	before = file_read(database);
	assert_int_equal(put(store, 1, FLOW_END_IDLE), 0);
	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(store_commit(store, &fault), -EINVAL);
		assert_int_equal(store_counters(store).failures, i);
		assert_int_equal(store_retain(store, (struct wall){1}),
				 -EINVAL);
	}
	assert_non_null(strstr(fault.text, "not a database"));
	assert_unchanged(database, &before);
	assert_int_equal(unlink(database), 0);
	assert_int_equal(store_commit(store, &fault), 0);
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), 1);
	assert_adds_up(store);
	store_close(store);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(creates_folders_and_file_for_the_group_to_read),
		TEST(sets_the_file_up_to_last),
		TEST(takes_an_empty_file),
		TEST(refuses_a_newer_schema_and_leaves_it_alone),
		TEST(refuses_a_newer_schema_that_only_the_journal_has),
		TEST(refuses_what_is_no_database_and_leaves_it_alone),
		TEST(refuses_a_path_through_a_file),
		TEST(adds_columns_that_an_older_file_lacks),
		TEST(refuses_a_second_writer_by_its_number),
		TEST(takes_over_from_a_writer_that_was_killed),
		TEST(makes_a_file_anew_that_was_removed),
		TEST(waits_while_a_foreign_file_is_in_its_place),
		TEST(says_what_to_do_without_permission),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
