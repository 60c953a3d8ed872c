/* What the files of this room share. */
#ifndef STORE_PRIVATE_H
#define STORE_PRIVATE_H

#include <sqlite3.h>

#include "store/store.h"

/* "sond": what file(1) and SQLite call the application's id. */
#define STORE_APPLICATION_ID 0x736f6e64

#define STORE_PENDING_PRESET 65536
#define STORE_SAMPLES_MAX    4096
#define STORE_EPOCHS_MAX     64

/* flows.id = epochs.id << STORE_SEQ_BITS | seq: one integer is the cheapest
 * key there is, and rows of one table lie in the order of their making. */
#define STORE_SEQ_BITS 42

#define STORE_PAGE_SIZE 4096

/* The longest list as JSON: numbers of 20 digits. */
#define STORE_LIST_SIZE (2 + FLOW_FIRST_MAX * 21)

/* How long a commit waits for another writer (a person with sqlite3). */
#define STORE_BUSY_MS 500

/* Records that wait for a commit, at most one a flow. */
struct pending {
	uint8_t *records;   /* 'stride' bytes each; see pending_record() */
	size_t stride;      /* what the columns look at */
	size_t record_size; /* of it, what a record has; the rest is 0 */
	uint32_t *heads;    /* by hash of (epoch, seq): 1 + index, 0: none */
	uint32_t *nexts;    /* by index: likewise */
	uint32_t mask;      /* of 'heads' */
	uint32_t size;      /* records at most */
	uint32_t count;
	uint32_t updates; /* among them, of live flows */
	uint32_t scan;    /* no update waits below this index once full */
};

enum pending_outcome {
	PENDING_TAKEN,
	PENDING_MERGED,    /* into the record of the same flow */
	PENDING_DISPLACED, /* taken, and an update of another flow left out */
	PENDING_REFUSED,   /* no room */
};

struct pending_order {
	int64_t id; /* flows.id */
	uint32_t index;
};

struct store_sample {
	struct store_interface_sample sample; /* its 'name' is not used */
	char name[FLOW_INTERFACE_NAME_SIZE];
};

struct store_epoch {
	uint64_t epoch;
	int64_t id; /* epochs.id */
};

#define STORE_HISTS_MAX 256
#define STORE_HIST_NAME 48

struct store_hist {
	struct wall from, to;
	char name[STORE_HIST_NAME];
	uint8_t *bytes;
	size_t size;
};

/* The round trips of this start.  'trips' begins with those of a block that
 * is not full: its row is written anew until it is. */
struct store_rtt {
	struct trip *trips;
	uint32_t room, count;
	uint32_t block_written; /* of trips[0..], in the block's row */
	struct trip_packer *packer;
	uint8_t *bytes; /* TRIPS_PACK_ROOM */
	struct store_rtt_run run;
	bool begun, changed;
	int64_t id, id_written; /* the latter once it is committed */
	struct store_hist hists[STORE_HISTS_MAX];
	uint32_t hist_count;
};

enum store_statement {
	STATEMENT_BEGIN,
	STATEMENT_COMMIT,
	STATEMENT_FLOW,
	STATEMENT_SAMPLE,
	STATEMENT_RUN,
	STATEMENT_NOTE,
	STATEMENT_RTT_RUN,
	STATEMENT_RTT_PACKETS,
	STATEMENT_RTT_HIST,
	STATEMENT_EPOCH_ADD,
	STATEMENT_EPOCH_FIND,
	STATEMENT_FLOWS_AGED,
	STATEMENT_SAMPLES_AGED,
	STATEMENT_RUNS_AGED,
	STATEMENT_FLOWS_OLDEST,
	STATEMENT_END_NTH,
	STATEMENT_SAMPLES_OLDEST,
	STATEMENT_COUNT
};

/* Text of a column that is made for the row: an address, an id. */
struct store_scratch {
	char text[48];
};

struct store {
	sqlite3 *db;
	char *path;
	char *lock_path;
	int lock_fd;
	char *probe;
	char *version;
	uint64_t epoch;
	int64_t keep_age_ns;
	uint64_t keep_size;
	uint64_t journal_size; /* what the journal may keep */

	sqlite3_stmt *statements[STATEMENT_COUNT];
	struct field_table *fields;       /* of a record */
	const struct field_row **columns; /* its rows that are kept */
	struct store_scratch *scratch;    /* one a column */
	size_t column_count;

	struct pending pending;
	struct pending_order *order; /* room for pending.size */
	struct store_sample *samples;
	uint32_t sample_count;
	struct store_rtt rtt;
	struct store_epoch epochs[STORE_EPOCHS_MAX];
	uint32_t epoch_count;
	bool run_written;
	char *note; /* ledger that waits for a commit, or NULL */
	struct wall noted_at;

	uint32_t slice_rows; /* retention: rows a call */
	struct store_counters counters;
};

static inline struct flow_record *pending_record(const struct pending *pending,
						 uint32_t index)
{
	return (struct flow_record *)(void *)(pending->records +
					      index * pending->stride);
}

/* Of such records, and with what has columns in any case: a metric that is
 * turned on later finds its own there. */
static inline struct flow_options store_columns(const struct flow_options *flow)
{
	struct flow_options columns = *flow;

	columns.tcp_metrics = true;
	columns.sample_flows = 2; /* any sampling: its columns are one group */
	return columns;
}

/* pending.c.  'flow' is that of store_options.  Returns 0 or -ENOMEM; a zeroed
 * one can be finished. */
int pending_init(struct pending *pending, uint32_t size,
		 const struct flow_options *flow);
void pending_fini(struct pending *pending);
enum pending_outcome pending_put(struct pending *pending,
				 const struct flow_record *record);
void pending_clear(struct pending *pending);

/* path.c: the files around the database. */

/* Makes the folders above 'path' (0750). */
int path_folder_make(const char *path, struct fault *ret_fault);

/* Looks at an existing file's first bytes without SQLite, so that a file
 * that is refused stays as it is.  Returns 0 (fine, empty or absent),
 * -EINVAL, ERR_STORE_SCHEMA or another code of store_open(). */
int path_file_check(const char *path, struct fault *ret_fault);

/* Locks 'lock_path' for the life of *ret_fd; a dead process holds nothing. */
int path_lock(const char *path, const char *lock_path, int *ret_fd,
	      struct fault *ret_fault);

/* Gives the lock back; fd -1: nothing to do. */
void path_unlock(const char *lock_path, int fd);

/* Makes an empty file (0640) if there is none; *ret_made says which. */
int path_file_make(const char *path, bool *ret_made, struct fault *ret_fault);

/* The code for 'error' (an errno) with the sentence and remedy. */
int path_fault(const char *path, int error, struct fault *ret_fault);

/* sqlite.c: what a result of SQLite means; fills the fault, returns a code. */
int store_fault(const struct store *store, int result, struct fault *ret_fault);

/* Opens the file anew if it was removed or moved away: rows written to a file
 * without a name would be lost in silence.  A code of store_open(). */
int store_follow(struct store *store, struct fault *ret_fault);

/* Runs statements without parameters; a result of SQLite. */
int store_exec(struct store *store, const char *sql);

/* Runs a statement to its end and resets it; SQLITE_OK or what failed. */
int store_step(struct store *store, enum store_statement statement);

/* The first column of the first row that 'sql' gives; a result of SQLite. */
int store_query_integer(struct store *store, const char *sql,
			int64_t *ret_value);

/* rtt.c: takes the memory; 0 or -ENOMEM. */
int rtt_init(struct store_rtt *rtt, uint32_t room);
void rtt_fini(struct store_rtt *rtt);
/* Whether anything waits for a commit. */
bool rtt_waits(const struct store_rtt *rtt);
/* Within a transaction; a result of SQLite. */
int rtt_write(struct store *store);
void rtt_committed(struct store_rtt *rtt);
/* The file is another one now. */
void rtt_anew(struct store_rtt *rtt);

/* schema.c.  Creates or checks tables; a code of store_open(). */
int schema_open(struct store *store, struct fault *ret_fault);

/* Prepares store->statements; a result of SQLite or SQLITE_NOMEM. */
int schema_prepare(struct store *store);

#endif
