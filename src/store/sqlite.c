/* Opening and closing the database, and what SQLite's results mean. */
#include "store/store_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_SIZE_MIN (UINT64_C(1) << 20)
#define JOURNAL_SIZE_MAX (UINT64_C(16) << 20)

const struct counter_row store_counter_rows[] = {STORE_COUNTERS(COUNTER_ROW)};
const size_t store_counter_count =
	sizeof store_counter_rows / sizeof *store_counter_rows;

/* The errno behind a failed write or open, 0 if none is known. */
static int system_error(const struct store *store)
{
	return store->db ? sqlite3_system_errno(store->db) : 0;
}

static int io_fault(const struct store *store, struct fault *ret_fault)
{
	int error = system_error(store);

	if (error == ENOSPC || error == EDQUOT || error == EROFS ||
	    error == EACCES || error == EPERM)
		return path_fault(store->path, error, ret_fault);
	return fault_set(ret_fault, -EIO,
			 "%s: the disk failed (%s); look at the kernel's log",
			 store->path, sqlite3_errmsg(store->db));
}

int store_fault(const struct store *store, int result, struct fault *ret_fault)
{
	switch (result & 0xff) {
	case SQLITE_FULL:
		return path_fault(store->path, ENOSPC, ret_fault);
	case SQLITE_NOMEM:
		return fault_set(ret_fault, -ENOMEM, "%s: out of memory",
				 store->path);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return fault_set(ret_fault, -EBUSY,
				 "%s: another program is writing to it",
				 store->path);
	case SQLITE_NOTADB:
		return fault_set(ret_fault, -EINVAL,
				 "%s: not a database; set 'database' to "
				 "another path or move that file away",
				 store->path);
	case SQLITE_CORRUPT:
		return fault_set(ret_fault, -EIO,
				 "%s: damaged (%s); move it away, and recover "
				 "it with sqlite3's .recover",
				 store->path, sqlite3_errmsg(store->db));
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
		if (system_error(store) == 0)
			return path_fault(store->path, EACCES, ret_fault);
		return io_fault(store, ret_fault);
	case SQLITE_IOERR:
		return io_fault(store, ret_fault);
	default:
		return fault_set(ret_fault, -EIO, "%s: %s", store->path,
				 sqlite3_errmsg(store->db));
	}
}

int store_exec(struct store *store, const char *sql)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL);
}

int store_step(struct store *store, enum store_statement statement)
{
	sqlite3_stmt *stmt = store->statements[statement];
	int result;

	do
		result = sqlite3_step(stmt);
	while (result == SQLITE_ROW);
	return sqlite3_reset(stmt);
}

int store_query_integer(struct store *store, const char *sql,
			int64_t *ret_value)
{
	sqlite3_stmt *stmt;
	int result = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);

	if (result != SQLITE_OK)
		return result;
	result = sqlite3_step(stmt);
	if (result == SQLITE_ROW)
		*ret_value = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return result == SQLITE_ROW ? SQLITE_OK : result;
}

/* The journal's share of the size that the store may take. */
static uint64_t journal_size(uint64_t keep_size)
{
	uint64_t size = keep_size / 8;

	if (keep_size == 0 || size > JOURNAL_SIZE_MAX)
		return JOURNAL_SIZE_MAX;
	return size < JOURNAL_SIZE_MIN ? JOURNAL_SIZE_MIN : size;
}

static struct store *store_allocate(const struct store_options *options)
{
	struct store *store = calloc(1, sizeof *store);
	uint32_t count = options->pending_count ?: STORE_PENDING_PRESET;
	struct flow_options flow = {.tcp_metrics = true};
	struct flow_options columns;

	if (!store)
		return NULL;
	store->lock_fd = -1;
	store->epoch = options->epoch;
	store->keep_age_ns = options->keep_age_ns;
	store->keep_size = options->keep_size;
	store->journal_size = journal_size(options->keep_size);
	store->slice_rows = 256;
	store->path = strdup(options->path);
	store->lock_path = sqlite3_mprintf("%s.lock", options->path);
	store->probe = strdup(options->probe ?: "");
	store->version = strdup(options->version ?: "");
	store->samples = calloc(STORE_SAMPLES_MAX, sizeof *store->samples);
	store->order = calloc(count, sizeof *store->order);
	if (options->flow)
		flow = *options->flow;
	columns = store_columns(&flow);
	store->fields = flow_fields_choose(&columns);
	if (store->path && store->lock_path && store->probe && store->version &&
	    store->samples && store->order && store->fields &&
	    pending_init(&store->pending, count, &flow) == 0 &&
	    rtt_init(&store->rtt, options->trip_count) == 0)
		return store;
	store_close(store);
	return NULL;
}

/* Settings of the connection; the journal mode lasts in the file. */
static int settings_apply(struct store *store)
{
	char *sql = sqlite3_mprintf(
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
		"PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;"
		"PRAGMA journal_size_limit = %llu;"
		"PRAGMA wal_autocheckpoint = %llu",
		store->journal_size, store->journal_size / STORE_PAGE_SIZE);
	int result = sql ? store_exec(store, sql) : SQLITE_NOMEM;

	sqlite3_free(sql);
	return result;
}

/* Until the schema is known to be ours, closing must not move the journal
 * into the file. */
static int database_open(struct store *store, struct fault *ret_fault)
{
	int result =
		sqlite3_open_v2(store->path, &store->db,
				SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
					SQLITE_OPEN_EXRESCODE,
				NULL);
	int rc;

	if (result != SQLITE_OK)
		return store_fault(store, result, ret_fault);
	(void)sqlite3_busy_timeout(store->db, STORE_BUSY_MS);
	(void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
				NULL);
	rc = schema_open(store, ret_fault);
	if (rc < 0)
		return rc;
	(void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0,
				NULL);
	result = settings_apply(store) ?: schema_prepare(store);
	return result == SQLITE_OK ? 0 : store_fault(store, result, ret_fault);
}

static int database_make(struct store *store, struct fault *ret_fault)
{
	bool made = false;
	int rc = path_file_make(store->path, &made, ret_fault);

	if (rc == 0)
		rc = database_open(store, ret_fault);
	if (rc < 0 && made)
		(void)unlink(store->path);
	return rc;
}

static void database_close(struct store *store)
{
	for (int i = 0; i < STATEMENT_COUNT; i++) {
		(void)sqlite3_finalize(store->statements[i]);
		store->statements[i] = NULL;
	}
	(void)sqlite3_close(store->db);
	store->db = NULL;
}

static int files_open(struct store *store, struct fault *ret_fault)
{
	int rc = path_file_check(store->path, ret_fault);

	if (rc == 0)
		rc = path_folder_make(store->path, ret_fault);
	if (rc == 0)
		rc = path_lock(store->path, store->lock_path, &store->lock_fd,
			       ret_fault);
	if (rc == 0)
		rc = database_make(store, ret_fault);
	return rc;
}

int store_follow(struct store *store, struct fault *ret_fault)
{
	int moved = 0, rc;

	if (store->db)
		(void)sqlite3_file_control(store->db, "main",
					   SQLITE_FCNTL_HAS_MOVED, &moved);
	if (store->db && !moved)
		return 0;
	database_close(store);
	store->run_written = false;
	store->epoch_count = 0;
	rtt_anew(&store->rtt);
	rc = path_file_check(store->path, ret_fault);
	if (rc == 0)
		rc = path_folder_make(store->path, ret_fault);
	if (rc == 0)
		rc = database_make(store, ret_fault);
	if (rc < 0)
		database_close(store);
	return rc;
}

int store_open(const struct store_options *options, struct store **ret_store,
	       struct fault *ret_fault)
{
	struct store *store;
	int rc;

	/* Nobody reads SQLite's account of memory, and keeping it takes a
	 * lock for every allocation.  Refused once SQLite runs: no matter. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	store = store_allocate(options);

	if (!store)
		return fault_set(ret_fault, -ENOMEM, "%s: out of memory",
				 options->path);
	rc = files_open(store, ret_fault);
	if (rc < 0) {
		store_close(store);
		return rc;
	}
	*ret_store = store;
	return 0;
}

struct store_counters store_counters(const struct store *store)
{
	return store->counters;
}

uint64_t store_size(const struct store *store)
{
	char *journal = sqlite3_mprintf("%s-wal", store->path);
	uint64_t size = 0;
	struct stat st;

	if (stat(store->path, &st) == 0)
		size += (uint64_t)st.st_size;
	if (journal && stat(journal, &st) == 0)
		size += (uint64_t)st.st_size;
	sqlite3_free(journal);
	return size;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->statements[STATEMENT_COUNT - 1])
		(void)store_commit(store, NULL);
	database_close(store);
	path_unlock(store->lock_path, store->lock_fd);
	pending_fini(&store->pending);
	rtt_fini(&store->rtt);
	free(store->order);
	free(store->samples);
	free((void *)store->columns);
	free(store->scratch);
	free(store->fields);
	free(store->note);
	free(store->version);
	free(store->probe);
	sqlite3_free(store->lock_path);
	free(store->path);
	free(store);
}
