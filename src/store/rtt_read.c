/* Reading round trips of earlier runs. */
#include "store/store_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct store_reader {
	struct store store; /* what store_fault() looks at: 'db', 'path' */
	sqlite3_stmt *run;
	struct trip_packer *packer;
	struct trip trips[TRIPS_PACK_MAX];
};

int store_reader_open(const char *path, struct store_reader **ret_reader,
		      struct fault *ret_fault)
{
	struct store_reader *reader = calloc(1, sizeof *reader);
	int rc = reader ? trip_packer_create(&reader->packer) : -ENOMEM;
	int result;

	if (rc == 0)
		reader->store.path = strdup(path);
	if (rc < 0 || !reader->store.path) {
		store_reader_close(reader);
		return fault_set(ret_fault, -ENOMEM, "%s: out of memory", path);
	}
	rc = path_file_check(path, ret_fault);
	if (rc < 0) {
		store_reader_close(reader);
		return rc;
	}
	result = sqlite3_open_v2(path, &reader->store.db,
				 SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX |
					 SQLITE_OPEN_EXRESCODE,
				 NULL);
	if (result == SQLITE_OK) {
		(void)sqlite3_busy_timeout(reader->store.db, STORE_BUSY_MS);
		*ret_reader = reader;
		return 0;
	}
	rc = sqlite3_system_errno(reader->store.db);
	rc = path_fault(path, rc ? rc : EIO, ret_fault);
	store_reader_close(reader);
	return rc;
}

void store_reader_close(struct store_reader *reader)
{
	if (!reader)
		return;
	(void)sqlite3_finalize(reader->run);
	(void)sqlite3_close(reader->store.db);
	trip_packer_destroy(reader->packer);
	free(reader->store.path);
	free(reader);
}

static const char *column_text(sqlite3_stmt *stmt, int at)
{
	return (const char *)sqlite3_column_text(stmt, at);
}

static void run_read(sqlite3_stmt *stmt, struct store_rtt_run *ret_run)
{
	const char *tier = column_text(stmt, 5);

	*ret_run = (struct store_rtt_run){
		.id = sqlite3_column_int64(stmt, 0),
		.started = {sqlite3_column_int64(stmt, 1)},
		.ended = {sqlite3_column_int64(stmt, 2)},
		.host = column_text(stmt, 3),
		.address = column_text(stmt, 4),
		.points = (point_set)sqlite3_column_int64(stmt, 6),
		.rate_hz = sqlite3_column_double(stmt, 7),
		.size = (uint32_t)sqlite3_column_int64(stmt, 8),
		.options = column_text(stmt, 9),
		.summary = column_text(stmt, 10),
	};
	for (int i = 0; tier && i < TIER_COUNT; i++) {
		if (strcmp(tier, tier_words[i]) == 0)
			ret_run->tier = (enum tier)i;
	}
}

int store_reader_run(struct store_reader *reader, int64_t id,
		     const char *address, struct store_rtt_run *ret_run,
		     struct fault *ret_fault)
{
	static const char sql[] =
		"SELECT id, started_ns, ended_ns, host, address, tier, points,"
		" rate_hz, size, options, summary FROM rtt_runs"
		" WHERE (?1 = 0 OR id = ?1)"
		" AND (?1 <> 0 OR ?2 IS NULL OR address = ?2)"
		" AND EXISTS (SELECT 1 FROM rtt_packets WHERE"
		"  rtt_packets.id >= rtt_runs.id << 32"
		"  AND rtt_packets.id < (rtt_runs.id + 1) << 32)"
		" ORDER BY id DESC LIMIT 1";
	int result;

	(void)sqlite3_finalize(reader->run);
	reader->run = NULL;
	result = sqlite3_prepare_v2(reader->store.db, sql, -1, &reader->run,
				    NULL);
	if (result != SQLITE_OK)
		return store_fault(&reader->store, result, ret_fault);
	(void)sqlite3_bind_int64(reader->run, 1, id);
	(void)sqlite3_bind_text(reader->run, 2, address, -1, SQLITE_TRANSIENT);
	result = sqlite3_step(reader->run);
	if (result == SQLITE_ROW) {
		run_read(reader->run, ret_run);
		return 0;
	}
	if (result != SQLITE_DONE)
		return store_fault(&reader->store, result, ret_fault);
	if (id != 0)
		return fault_set(ret_fault, -ENOENT,
				 "%s: has no round trips of a run %lld",
				 reader->store.path, (long long)id);
	return fault_set(ret_fault, -ENOENT, "%s: has no round trips to %s",
			 reader->store.path, address ? address : "any host");
}

/* One block; 1: go on, 0: enough, or -EBADMSG. */
static int block_read(struct store_reader *reader, sqlite3_stmt *stmt,
		      bool (*trip)(void *context, const struct trip *trip),
		      void *context)
{
	const void *bytes = sqlite3_column_blob(stmt, 0);
	int size = sqlite3_column_bytes(stmt, 0);
	int count = bytes ? trips_unpack(reader->packer, bytes, (size_t)size,
					 reader->trips)
			  : -EBADMSG;

	for (int i = 0; i < count; i++) {
		if (!trip(context, &reader->trips[i]))
			return 0;
	}
	return count < 0 ? count : 1;
}

int store_reader_trips(struct store_reader *reader, int64_t id,
		       bool (*trip)(void *context, const struct trip *trip),
		       void *context, struct fault *ret_fault)
{
	sqlite3_stmt *stmt = NULL;
	int rc = 1, result = sqlite3_prepare_v2(
			    reader->store.db,
			    "SELECT packed FROM rtt_packets WHERE id >= ?1 << "
			    "32 AND id < (?1 + 1) << 32 ORDER BY id",
			    -1, &stmt, NULL);

	if (result != SQLITE_OK)
		return store_fault(&reader->store, result, ret_fault);
	(void)sqlite3_bind_int64(stmt, 1, id);
	while (rc == 1 && (result = sqlite3_step(stmt)) == SQLITE_ROW)
		rc = block_read(reader, stmt, trip, context);
	(void)sqlite3_finalize(stmt);
	if (rc == -EBADMSG)
		return fault_set(ret_fault, rc,
				 "%s: the packets of run %lld are damaged",
				 reader->store.path, (long long)id);
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		return store_fault(&reader->store, result, ret_fault);
	return 0;
}
