/* Letting go of what is too old or too much, a bounded slice a call.
 *
 * A slice that took long makes the next one smaller, and the other way
 * round, so that a call takes about SLICE_NS whatever the disk and the rows
 * are like. */
#include "store/store_private.h"

#include <time.h>

#define SLICE_NS       INT64_C(10000000)
#define SLICE_ROWS_MIN 32
#define SLICE_ROWS_MAX 16384
#define SLICE_PAGES    "512"
#define PAGES_MIN      INT64_C(256)

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void slice_adapt(struct store *store, int64_t took_ns, bool whole)
{
	if (took_ns > SLICE_NS * 2 && store->slice_rows > SLICE_ROWS_MIN)
		store->slice_rows /= 2;
	else if (whole && took_ns < SLICE_NS / 2 &&
		 store->slice_rows < SLICE_ROWS_MAX)
		store->slice_rows *= 2;
}

/* Runs a DELETE; how many rows went, or a negative code. */
static int64_t rows_delete(struct store *store, enum store_statement statement)
{
	int64_t began_ns = now_ns(), count;
	int result = store_step(store, statement);

	if (result != SQLITE_OK)
		return store_fault(store, result, NULL);
	count = sqlite3_changes(store->db);
	store->counters.retired += (uint64_t)count;
	slice_adapt(store, now_ns() - began_ns, count == store->slice_rows);
	return count;
}

/* Rows of one table that ended before 'before'; as store_retain(). */
static int aged_delete(struct store *store, enum store_statement statement,
		       int64_t before_ns)
{
	sqlite3_stmt *stmt = store->statements[statement];
	uint32_t limit = store->slice_rows;
	int64_t count;

	(void)sqlite3_bind_int64(stmt, 1, before_ns);
	(void)sqlite3_bind_int64(stmt, 2, limit);
	count = rows_delete(store, statement);
	return count < 0 ? (int)count : count == limit;
}

/* The summaries of old runs: few rows, and never this run's own. */
static int runs_delete(struct store *store, int64_t before_ns)
{
	sqlite3_stmt *stmt = store->statements[STATEMENT_RUNS_AGED];
	int result;

	(void)sqlite3_bind_int64(stmt, 1, before_ns);
	(void)sqlite3_bind_text(stmt, 3, store->probe, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(stmt, 4, (int64_t)store->epoch);
	result = store_step(store, STATEMENT_RUNS_AGED);
	return result == SQLITE_OK ? 0 : store_fault(store, result, NULL);
}

static int age_retain(struct store *store, int64_t before_ns)
{
	int rc = aged_delete(store, STATEMENT_FLOWS_AGED, before_ns);

	if (rc == 0)
		rc = aged_delete(store, STATEMENT_SAMPLES_AGED, before_ns);
	if (rc == 0)
		rc = runs_delete(store, before_ns);
	return rc;
}

/* The end of the last flow that a slice by size would take. */
static int slice_end(struct store *store, uint32_t limit, int64_t *ret_ns,
		     bool *ret_found)
{
	sqlite3_stmt *stmt = store->statements[STATEMENT_END_NTH];
	int result;

	(void)sqlite3_bind_int64(stmt, 1, limit - 1);
	result = sqlite3_step(stmt);
	*ret_found = result == SQLITE_ROW;
	if (*ret_found)
		*ret_ns = sqlite3_column_int64(stmt, 0);
	return sqlite3_reset(stmt);
}

/* The oldest flows, and interface samples as old as they; as
 * store_retain(). */
static int oldest_delete(struct store *store)
{
	uint32_t limit = store->slice_rows;
	int64_t end_ns = 0, count;
	bool found = false;
	int result = slice_end(store, limit, &end_ns, &found), rc;

	if (result != SQLITE_OK)
		return store_fault(store, result, NULL);
	(void)sqlite3_bind_int64(store->statements[STATEMENT_FLOWS_OLDEST], 1,
				 limit);
	count = rows_delete(store, STATEMENT_FLOWS_OLDEST);
	if (count < 0)
		return (int)count;
	if (found) {
		rc = aged_delete(store, STATEMENT_SAMPLES_AGED, end_ns);
		return rc < 0 ? rc : 1;
	}
	if (count > 0)
		return 1;
	(void)sqlite3_bind_int64(store->statements[STATEMENT_SAMPLES_OLDEST], 1,
				 limit);
	count = rows_delete(store, STATEMENT_SAMPLES_OLDEST);
	return count < 0 ? (int)count : count > 0;
}

struct page_counts {
	int64_t all;
	int64_t unused;
};

static int pages_read(struct store *store, struct page_counts *ret_pages)
{
	int result = store_query_integer(store, "PRAGMA page_count",
					 &ret_pages->all);

	if (result == SQLITE_OK)
		result = store_query_integer(store, "PRAGMA freelist_count",
					     &ret_pages->unused);
	return result == SQLITE_OK ? 0 : store_fault(store, result, NULL);
}

/* Gives pages back to the file system: they leave the file when the journal
 * is next moved into it. */
static int pages_release(struct store *store)
{
	int result =
		store_exec(store, "PRAGMA incremental_vacuum(" SLICE_PAGES ")");

	return result == SQLITE_OK ? 1 : store_fault(store, result, NULL);
}

/* What is deleted by age is soon needed again; only much of it is given
 * back. */
static bool pages_plenty(const struct page_counts *pages)
{
	return pages->unused > 4 * PAGES_MIN && pages->unused > pages->all / 4;
}

/* Moves the journal into the file and empties it, unless a reader is in the
 * way: then the next call does. */
static void journal_empty(struct store *store)
{
	(void)sqlite3_busy_timeout(store->db, 0);
	(void)sqlite3_wal_checkpoint_v2(store->db, NULL,
					SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	(void)sqlite3_busy_timeout(store->db, STORE_BUSY_MS);
}

static int size_retain(struct store *store)
{
	uint64_t room = store->keep_size > store->journal_size
				? store->keep_size - store->journal_size
				: 0;
	int64_t limit = (int64_t)(room / STORE_PAGE_SIZE);
	struct page_counts pages;
	int rc = pages_read(store, &pages);

	if (rc < 0)
		return rc;
	if (limit < PAGES_MIN)
		limit = PAGES_MIN;
	if (store->keep_size > 0 && pages.all - pages.unused > limit)
		return oldest_delete(store);
	if ((store->keep_size > 0 && pages.all > limit && pages.unused > 0) ||
	    pages_plenty(&pages))
		return pages_release(store);
	if (store->keep_size > 0 && store_size(store) > store->keep_size)
		journal_empty(store);
	return 0;
}

int store_retain(struct store *store, struct wall now)
{
	int rc = store_follow(store, NULL);

	if (rc == 0 && store->keep_age_ns > 0)
		rc = age_retain(store, now.ns - store->keep_age_ns);
	return rc ? rc : size_retain(store);
}
