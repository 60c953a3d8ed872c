/* Tables and statements.  What a flow is comes from its fields alone: a row
 * there is a column here, and one that appears later is added on opening. */
#include "store/store_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char schema_tables[] =
	"CREATE TABLE meta("
	" key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE epochs("
	" id INTEGER PRIMARY KEY, probe TEXT NOT NULL,"
	" epoch INTEGER NOT NULL, UNIQUE (probe, epoch));"
	"CREATE TABLE runs("
	" probe TEXT NOT NULL, epoch INTEGER NOT NULL, version TEXT,"
	" started_ns INTEGER, ended_ns INTEGER, ledger TEXT,"
	" PRIMARY KEY (probe, epoch)) WITHOUT ROWID;"
	"CREATE TABLE interface_counters("
	" probe TEXT NOT NULL, at_ns INTEGER NOT NULL, name TEXT NOT NULL,"
	" rx_packets INTEGER, rx_bytes INTEGER, rx_dropped INTEGER,"
	" rx_errors INTEGER, tx_packets INTEGER, tx_bytes INTEGER,"
	" tx_dropped INTEGER, tx_errors INTEGER,"
	" PRIMARY KEY (at_ns, probe, name)) WITHOUT ROWID;"
	/* No NOT NULL: a constraint that may abort makes SQLite journal each
	 * INSERT OR REPLACE by itself. */
	"CREATE TABLE flows("
	" id INTEGER PRIMARY KEY, probe TEXT, epoch INTEGER, seq INTEGER);";

/* Made where they are missing: a file of an older version gets them when it
 * is opened.  Key of rtt_packets: run << 32 | number of its first slot. */
static const char rtt_tables[] =
	"CREATE TABLE IF NOT EXISTS rtt_runs("
	" id INTEGER PRIMARY KEY, probe TEXT, version TEXT,"
	" started_ns INTEGER, ended_ns INTEGER, host TEXT, address TEXT,"
	" tier TEXT, points INTEGER, rate_hz REAL, size INTEGER,"
	" options TEXT, summary TEXT);"
	"CREATE TABLE IF NOT EXISTS rtt_packets("
	" id INTEGER PRIMARY KEY, run INTEGER, first_seq INTEGER,"
	" count INTEGER, from_ns INTEGER, to_ns INTEGER, packed BLOB);"
	"CREATE TABLE IF NOT EXISTS rtt_histograms("
	" run INTEGER, name TEXT, from_ns INTEGER, to_ns INTEGER,"
	" packed BLOB, PRIMARY KEY (run, name, from_ns)) WITHOUT ROWID;";

static const char *const statement_texts[STATEMENT_COUNT] = {
	[STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
	[STATEMENT_COMMIT] = "COMMIT",
	[STATEMENT_SAMPLE] = "INSERT OR REPLACE INTO interface_counters"
			     " VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
	[STATEMENT_RUN] = "INSERT INTO runs(probe, epoch, version, started_ns)"
			  " VALUES (?1, ?2, ?3, ?2) ON CONFLICT DO NOTHING",
	[STATEMENT_NOTE] = "UPDATE runs SET ended_ns = ?3, ledger = ?4"
			   " WHERE probe = ?1 AND epoch = ?2",
	[STATEMENT_RTT_RUN] = "INSERT OR REPLACE INTO rtt_runs VALUES"
			      " (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
	[STATEMENT_RTT_PACKETS] = "INSERT OR REPLACE INTO rtt_packets VALUES"
				  " (?1 << 32 | ?2, ?1, ?2, ?3, ?4, ?5, ?6)",
	[STATEMENT_RTT_HIST] = "INSERT OR REPLACE INTO rtt_histograms VALUES"
			       " (?1, ?2, ?3, ?4, ?5)",
	[STATEMENT_EPOCH_ADD] = "INSERT INTO epochs(probe, epoch)"
				" VALUES (?1, ?2) ON CONFLICT DO NOTHING",
	[STATEMENT_EPOCH_FIND] = "SELECT id FROM epochs"
				 " WHERE probe = ?1 AND epoch = ?2",
	[STATEMENT_FLOWS_AGED] =
		"DELETE FROM flows WHERE id IN (SELECT id FROM flows"
		" WHERE end_ns < ?1 ORDER BY end_ns LIMIT ?2)",
	[STATEMENT_SAMPLES_AGED] =
		"DELETE FROM interface_counters WHERE (at_ns, probe, name) IN"
		" (SELECT at_ns, probe, name FROM interface_counters"
		" WHERE at_ns < ?1 ORDER BY at_ns LIMIT ?2)",
	[STATEMENT_RUNS_AGED] =
		"DELETE FROM runs WHERE coalesce(ended_ns, started_ns) < ?1"
		" AND NOT (probe = ?3 AND epoch = ?4)",
	[STATEMENT_FLOWS_OLDEST] =
		"DELETE FROM flows WHERE id IN (SELECT id FROM flows"
		" ORDER BY end_ns LIMIT ?1)",
	[STATEMENT_END_NTH] = "SELECT end_ns FROM flows ORDER BY end_ns"
			      " LIMIT 1 OFFSET ?1",
	[STATEMENT_SAMPLES_OLDEST] =
		"DELETE FROM interface_counters WHERE (at_ns, probe, name) IN"
		" (SELECT at_ns, probe, name FROM interface_counters"
		" ORDER BY at_ns LIMIT ?1)",
};

static const char *column_type(const struct field_row *row)
{
	switch (row->type) {
	case FIELD_HEX64:
	case FIELD_ADDRESS:
	case FIELD_WORD:
	case FIELD_TEXT:
	case FIELD_U8_LIST:
	case FIELD_U32_LIST:
	case FIELD_U64_LIST:
		return "TEXT";
	case FIELD_MILLI:
	case FIELD_F64:
		return "REAL";
	default:
		return "INTEGER";
	}
}

/* The columns that every row of 'flows' has by itself. */
static bool column_named(const char *name)
{
	static const char *const names[] = {"id", "probe", "epoch", "seq"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static int columns_make(struct store *store)
{
	const struct field_table *fields = store->fields;

	if (store->columns)
		return 0;
	store->columns =
		calloc(fields->count, sizeof(const struct field_row *));
	store->scratch = calloc(fields->count, sizeof *store->scratch);
	if (!store->columns || !store->scratch)
		return -ENOMEM;
	for (size_t i = 0; i < fields->count; i++) {
		if (!column_named(fields->rows[i].name))
			store->columns[store->column_count++] =
				&fields->rows[i];
	}
	return 0;
}

/* Adds every column that the table lacks; SQLite's result. */
static int columns_add(struct store *store)
{
	int result = SQLITE_OK;

	for (size_t i = 0; i < store->column_count && result == SQLITE_OK;
	     i++) {
		const struct field_row *row = store->columns[i];
		char sql[256];

		if (sqlite3_table_column_metadata(store->db, "main", "flows",
						  row->name, NULL, NULL, NULL,
						  NULL, NULL) == SQLITE_OK)
			continue;
		(void)snprintf(sql, sizeof sql,
			       "ALTER TABLE flows ADD COLUMN \"%s\" %s",
			       row->name, column_type(row));
		result = store_exec(store, sql);
	}
	return result;
}

static int schema_create(struct store *store)
{
	char sql[512];

	(void)snprintf(sql, sizeof sql,
		       "INSERT INTO meta VALUES ('schema', %d);"
		       "PRAGMA application_id = %d; PRAGMA user_version = %d;",
		       STORE_SCHEMA_VERSION, STORE_APPLICATION_ID,
		       STORE_SCHEMA_VERSION);
	return store_exec(store, schema_tables) ?: store_exec(store, sql);
}

/* Creates what is missing, all in one transaction. */
static int schema_complete(struct store *store, bool create)
{
	int result = store_exec(store, "BEGIN IMMEDIATE");

	if (result == SQLITE_OK && create)
		result = schema_create(store);
	if (result == SQLITE_OK)
		result = columns_add(store);
	if (result == SQLITE_OK)
		result = store_exec(store, "CREATE INDEX IF NOT EXISTS "
					   "flows_end ON flows(end_ns)");
	if (result == SQLITE_OK)
		result = store_exec(store, rtt_tables);
	if (result == SQLITE_OK)
		result = store_exec(store, "COMMIT");
	return result;
}

/* Whether anything is missing: a sound database is not written to. */
static bool schema_complete_already(struct store *store)
{
	for (size_t i = 0; i < store->column_count; i++) {
		if (sqlite3_table_column_metadata(
			    store->db, "main", "flows", store->columns[i]->name,
			    NULL, NULL, NULL, NULL, NULL) != SQLITE_OK)
			return false;
	}
	return sqlite3_table_column_metadata(store->db, "main",
					     "rtt_histograms", NULL, NULL, NULL,
					     NULL, NULL, NULL) == SQLITE_OK;
}

struct schema_state {
	int64_t version;
	int64_t application;
	int64_t tables;
};

static int schema_read(struct store *store, struct schema_state *ret_state)
{
	return store_query_integer(store, "PRAGMA user_version",
				   &ret_state->version)
		       ?: store_query_integer(store, "PRAGMA application_id",
					      &ret_state->application)
		       ?: store_query_integer(
				  store, "SELECT count(*) FROM sqlite_schema",
				  &ret_state->tables);
}

/* Refuses what is not ours before anything is written. */
static int schema_check(const struct store *store,
			const struct schema_state *state,
			struct fault *ret_fault)
{
	if (state->tables == 0)
		return 0;
	if (state->application != STORE_APPLICATION_ID)
		return fault_set(ret_fault, -EINVAL,
				 "%s: a database of another program; set "
				 "'database' to another path",
				 store->path);
	if (state->version > STORE_SCHEMA_VERSION)
		return fault_set(ret_fault, ERR_STORE_SCHEMA,
				 "%s: has schema %lld, made by a newer "
				 "version; this one reads up to %d: use the "
				 "newer version or another path",
				 store->path, (long long)state->version,
				 STORE_SCHEMA_VERSION);
	return 0;
}

/* Page size and auto_vacuum count only before the first table.  The schema
 * is written with a rollback journal, so that its version is in the file
 * itself and not in a write-ahead log beside it. */
int schema_open(struct store *store, struct fault *ret_fault)
{
	struct schema_state state;
	int result, rc = columns_make(store);

	if (rc < 0)
		return fault_set(ret_fault, rc, "%s: out of memory",
				 store->path);
	result = schema_read(store, &state);
	if (result != SQLITE_OK)
		return store_fault(store, result, ret_fault);
	rc = schema_check(store, &state, ret_fault);
	if (rc < 0)
		return rc;
	if (state.tables == 0)
		result = store_exec(store, "PRAGMA page_size = 4096;"
					   "PRAGMA auto_vacuum = INCREMENTAL");
	if (result == SQLITE_OK &&
	    (state.tables == 0 || !schema_complete_already(store)))
		result = schema_complete(store, state.tables == 0);
	if (result != SQLITE_OK)
		return store_fault(store, result, ret_fault);
	return 0;
}

/* INSERT OR REPLACE INTO flows(id, probe, epoch, seq, ...). */
static char *flow_statement_text(const struct store *store)
{
	sqlite3_str *text = sqlite3_str_new(store->db);

	sqlite3_str_appendall(text, "INSERT OR REPLACE INTO "
				    "flows(id, probe, epoch, seq");
	for (size_t i = 0; i < store->column_count; i++)
		sqlite3_str_appendf(text, ", \"%w\"", store->columns[i]->name);
	sqlite3_str_appendall(text, ") VALUES (?, ?, ?, ?");
	for (size_t i = 0; i < store->column_count; i++)
		sqlite3_str_appendall(text, ", ?");
	sqlite3_str_appendall(text, ")");
	return sqlite3_str_finish(text);
}

int schema_prepare(struct store *store)
{
	char *flow = flow_statement_text(store);
	int result = flow ? SQLITE_OK : SQLITE_NOMEM;

	for (int i = 0; i < STATEMENT_COUNT && result == SQLITE_OK; i++)
		result = sqlite3_prepare_v3(
			store->db,
			i == STATEMENT_FLOW ? flow : statement_texts[i], -1,
			SQLITE_PREPARE_PERSISTENT, &store->statements[i], NULL);
	sqlite3_free(flow);
	return result;
}
