/* Keeping records in an embedded database (SQLite).
 *
 * Tables: 'flows' has a column for every row of flow_fields (statistics only
 * if they were ever asked for) and is keyed by (probe, epoch, seq): a live flow
 * is written again as it grows and its row replaced, so that what is on disk is
 * never older than the last commit.  'rtt_runs', 'rtt_packets' and
 * 'rtt_histograms' hold round trips.  'interface_counters' has one row a
 * sample, 'runs' one row a start with its ledger, 'meta' the schema's version.
 *
 * Journal mode WAL, synchronous NORMAL: whatever kills the process, every
 * committed row is there and the file is sound.
 *
 * Threads: one store, one thread.  Blocking: store_commit() and
 * store_retain() write to disk; the others work in memory.
 */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/err.h"
#include "base/stamp.h"
#include "flow/flow.h"
#include "probe/probe.h"

#define STORE_SCHEMA_VERSION 1

struct store;

struct store_options {
	const char *path;       /* created if absent, its folder too (0750) */
	const char *probe;      /* this probe's name, in every row */
	const char *version;    /* of the program, for 'runs' */
	uint64_t epoch;         /* this start, ns since 1970 */
	int64_t keep_age_ns;    /* rows older leave; 0: for ever */
	uint64_t keep_size;     /* bytes of the database at most; 0: any */
	uint32_t pending_count; /* records kept in memory while the disk
				   refuses them; 0: 65,536 */
	/* What the records have, read by store_open(); NULL: TCP metrics and
	 * no statistics.  The columns of TCP and of sampling are there in
	 * any case. */
	const struct flow_options *flow;
	uint32_t trip_count; /* as pending_count, of trips; 0: keeps none */
};

/* X(name, unit, line): given = stored + pending + merged + late + lost.
 * Records are flow records, interface samples and trips. */
#define STORE_COUNTERS(X)                                                  \
	X(given, "records",                                                \
	  "handed to the store (updates of live flows "                    \
	  "too)")                                                          \
	X(stored, "records", "committed to disk")                          \
	X(pending, "records", "waiting for a commit")                      \
	X(merged, "records",                                               \
	  "updates that a newer state of their flow replaced in time")     \
	X(late, "records",                                                 \
	  "updates of live flows left out: the disk refused for too long") \
	X(lost, "records", "given up: the disk refused for too long")      \
	X(commits, "transactions", "committed")                            \
	X(failures, "transactions", "refused by the disk and tried again") \
	X(retired, "records", "removed by retention")

struct store_counters {
	STORE_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row store_counter_rows[];
extern const size_t store_counter_count;

struct store_interface_sample {
	const char *name;
	struct wall at;
	uint64_t rx_packets, rx_bytes, rx_dropped, rx_errors;
	uint64_t tx_packets, tx_bytes, tx_dropped, tx_errors;
};

/* Opens or creates the database and checks its schema.  Returns 0, or
 * -EACCES, -ENOSPC, ERR_STORE_SCHEMA (newer than this version), -EBUSY
 * (another daemon writes it: PATH.lock is locked while a store is open),
 * -EIO, -EINVAL (not a database, or not one of sonde's), -ENOMEM with the
 * sentence and its remedy; an existing file is never damaged. */
int store_open(const struct store_options *options, struct store **ret_store,
	       struct fault *ret_fault);

/* Takes a copy of one record; a final one or an update of a live flow
 * (end_reason NONE).  Where there is no room, a final record takes the place
 * of an update that waits, which is then only late.  Returns 0 or
 * ERR_STORE_BEHIND: no room, counted lost, or late if it is an update. */
int store_flow(struct store *store, const struct flow_record *record);

/* Takes one sample of an interface.  Returns as store_flow(). */
int store_interface(struct store *store,
		    const struct store_interface_sample *sample);

/* ---- round trips -------------------------------------------------------- */

/* What a run was, and what came of it. */
struct store_rtt_run {
	int64_t id;                 /* given by the store */
	struct wall started, ended; /* ended 0: was cut, or still runs */
	const char *host;           /* as the user named it */
	const char *address;        /* "192.0.2.1:862" */
	const char *options;        /* JSON object */
	const char *summary;        /* JSON object; NULL: not ended */
	enum tier tier;
	point_set points;
	double rate_hz;
	uint32_t size; /* UDP payload, bytes */
};

/* One run a store.  store_rtt_run() says what it is, as often as that
 * changes; all texts are copied.  Returns 0, -EINVAL (the store keeps no
 * trips) or -ENOMEM. */
int store_rtt_run(struct store *store, const struct store_rtt_run *run);

/* Takes a copy of the next trip.  0 or ERR_STORE_BEHIND: no room, lost. */
int store_rtt_trip(struct store *store, const struct trip *trip);

/* Keeps a histogram of the trips from 'from' to before 'to' for the next
 * commit; one of the same name and 'from' is replaced.  Those of a name merge
 * to any longer time.  Returns 0, -EINVAL, -ENOMEM or ERR_STORE_BEHIND (too
 * many wait). */
int store_rtt_hist(struct store *store, struct wall from, struct wall to,
		   const char *name, const struct hist *hist);

/* 0 before the first commit. */
int64_t store_rtt_id(const struct store *store);

/* Reading a database, whoever writes it meanwhile. */
struct store_reader;

int store_reader_open(const char *path, struct store_reader **ret_reader,
		      struct fault *ret_fault);
void store_reader_close(struct store_reader *reader);

/* The run 'id', or with 0 the last run to 'address' (NULL: to any) that has
 * packets.  Texts are the reader's, until the next call.  Returns 0, -ENOENT
 * or another code, and the sentence. */
int store_reader_run(struct store_reader *reader, int64_t id,
		     const char *address, struct store_rtt_run *ret_run,
		     struct fault *ret_fault);

/* Every trip of a run in order, until 'trip' says false.  Returns 0, -EBADMSG
 * (damaged) or another code. */
int store_reader_trips(struct store_reader *reader, int64_t id,
		       bool (*trip)(void *context, const struct trip *trip),
		       void *context, struct fault *ret_fault);

/* Writes everything taken since the last commit in one transaction.
 * Returns 0, or -ENOSPC, -EIO, ... : nothing is lost yet, it will be tried
 * again at the next commit; ret_fault (may be NULL) has the sentence.  A file
 * that was removed or moved away meanwhile is made anew. */
int store_commit(struct store *store, struct fault *ret_fault);

/* Keeps the run's summary for the next commit: 'json' is the ledger as a JSON
 * object, copied.  Returns 0 or -ENOMEM. */
int store_run_note(struct store *store, struct wall at, const char *json);

/* Removes rows past their age or beyond the size, a bounded slice a call.
 * Returns 1 if there is more to do, 0, or a negative code. */
int store_retain(struct store *store, struct wall now);

struct store_counters store_counters(const struct store *store);

/* Bytes that the database and its journal take now. */
uint64_t store_size(const struct store *store);

/* Commits what it can and closes; NULL is fine. */
void store_close(struct store *store);

#endif
