/* What the store's tests share: a folder of their own, records, and a second
 * connection that reads what is on disk. */
#ifndef TESTS_STORE_TEST_H
#define TESTS_STORE_TEST_H

#include "check.h"

#include <ftw.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"

#define EPOCH   UINT64_C(1700000000000000000)
#define RECORDS 100

static char folder[PATH_MAX]; /* this program's own */
static char database[PATH_MAX + 32];

static inline int remove_one(const char *path, const struct stat *st, int type,
			     struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(path);
}

/* A fresh folder for every test; 'database' is a path in it. */
static inline int folder_setup(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof folder, "%s/sonde_store_XXXXXX",
		       getenv("TMPDIR") ?: "/tmp");
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(database, sizeof database, "%s/sonde.db", folder);
	return 0;
}

static inline int folder_teardown(void **state)
{
	(void)state;
	return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct store_options options_at(const char *path)
{
	return (struct store_options){.path = path,
				      .probe = "probe-1",
				      .version = "0.0",
				      .epoch = EPOCH,
				      .pending_count = RECORDS};
}

static inline struct store *open_with(const struct store_options *options)
{
	struct fault fault = {""};
	struct store *store = NULL;
	int rc = store_open(options, &store, &fault);

	if (rc < 0)
		print_message("# store_open: %s\n", fault.text);
	assert_int_equal(rc, 0);
	return store;
}

static inline struct store *open_fresh(void)
{
	struct store_options options = options_at(database);

	return open_with(&options);
}

static inline struct flow_record record_of(uint64_t seq, enum flow_end reason)
{
	struct flow_record record = {.epoch = EPOCH, .seq = seq};

	record.flow_id = seq * UINT64_C(0x9e3779b97f4a7c15);
	record.tuple.ip_version = 4;
	record.tuple.protocol = 6;
	memcpy(record.tuple.address[0], (uint8_t[]){192, 0, 2, 1}, 4);
	memcpy(record.tuple.address[1], (uint8_t[]){198, 51, 100, 7}, 4);
	record.tuple.port[0] = (uint16_t)(1024 + seq % 60000);
	record.tuple.port[1] = 443;
	record.packets[0] = seq + 1;
	record.bytes[0] = 100 * (seq + 1);
	record.start.ns = (int64_t)EPOCH + (int64_t)seq * 1000;
	record.end.ns = record.start.ns + 500;
	record.end_reason = (uint8_t)reason;
	(void)strcpy(record.interface, "eth0");
	return record;
}

static inline int put(struct store *store, uint64_t seq, enum flow_end reason)
{
	struct flow_record record = record_of(seq, reason);

	return store_flow(store, &record);
}

static inline sqlite3_stmt *read_begin(sqlite3 **ret_db, const char *sql)
{
	sqlite3_stmt *stmt;

	assert_int_equal(
		sqlite3_open_v2(database, ret_db, SQLITE_OPEN_READWRITE, NULL),
		SQLITE_OK);
	(void)sqlite3_busy_timeout(*ret_db, 5000);
	if (sqlite3_prepare_v2(*ret_db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(*ret_db));
	if (sqlite3_step(stmt) != SQLITE_ROW)
		fail_msg("%s: %s", sql, sqlite3_errmsg(*ret_db));
	return stmt;
}

static inline int64_t read_integer(const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *stmt = read_begin(&db, sql);
	int64_t value = sqlite3_column_int64(stmt, 0);

	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return value;
}

static inline void assert_read(const char *sql, const char *expected)
{
	sqlite3 *db;
	sqlite3_stmt *stmt = read_begin(&db, sql);
	const char *text = (const char *)sqlite3_column_text(stmt, 0);

	if (expected)
		assert_string_equal(text ?: "(null)", expected);
	else
		assert_null(text);
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
}

static inline void assert_sound(void)
{
	assert_read("PRAGMA integrity_check", "ok");
}

/* given = stored + pending + merged + late + lost. */
static inline void assert_adds_up(const struct store *store)
{
	struct store_counters c = store_counters(store);

	assert_int_equal(c.given,
			 c.stored + c.pending + c.merged + c.late + c.lost);
}

#endif
