/* Taking records, and writing them in one transaction a commit. */
#include "store/store_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int store_flow(struct store *store, const struct flow_record *record)
{
	bool update = record->end_reason == FLOW_END_NONE;

	store->counters.given++;
	switch (pending_put(&store->pending, record)) {
	case PENDING_TAKEN:
		store->counters.pending++;
		return 0;
	case PENDING_MERGED:
		store->counters.merged++;
		return 0;
	case PENDING_DISPLACED:
		store->counters.late++;
		return 0;
	case PENDING_REFUSED:
		break;
	}
	if (update)
		store->counters.late++;
	else
		store->counters.lost++;
	return ERR_STORE_BEHIND;
}

int store_interface(struct store *store,
		    const struct store_interface_sample *sample)
{
	struct store_sample *slot;

	store->counters.given++;
	if (store->sample_count == STORE_SAMPLES_MAX) {
		store->counters.lost++;
		return ERR_STORE_BEHIND;
	}
	slot = &store->samples[store->sample_count++];
	slot->sample = *sample;
	strncpy(slot->name, sample->name, sizeof slot->name - 1);
	slot->name[sizeof slot->name - 1] = '\0';
	store->counters.pending++;
	return 0;
}

int store_run_note(struct store *store, struct wall at, const char *json)
{
	char *note = strdup(json);

	if (!note)
		return -ENOMEM;
	free(store->note);
	store->note = note;
	store->noted_at = at;
	return 0;
}

static sqlite3_stmt *bind_run(struct store *store,
			      enum store_statement statement, uint64_t epoch)
{
	sqlite3_stmt *stmt = store->statements[statement];

	(void)sqlite3_bind_text(stmt, 1, store->probe, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(stmt, 2, (int64_t)epoch);
	return stmt;
}

static int run_write(struct store *store)
{
	sqlite3_stmt *stmt;
	int result = SQLITE_OK;

	if (!store->run_written) {
		stmt = bind_run(store, STATEMENT_RUN, store->epoch);
		(void)sqlite3_bind_text(stmt, 3, store->version, -1,
					SQLITE_STATIC);
		result = store_step(store, STATEMENT_RUN);
	}
	if (result != SQLITE_OK || !store->note)
		return result;
	stmt = bind_run(store, STATEMENT_NOTE, store->epoch);
	(void)sqlite3_bind_int64(stmt, 3, store->noted_at.ns);
	(void)sqlite3_bind_text(stmt, 4, store->note, -1, SQLITE_STATIC);
	return store_step(store, STATEMENT_NOTE);
}

/* epochs.id of (probe, epoch), made if there is none. */
static int epoch_read(struct store *store, uint64_t epoch, int64_t *ret_id)
{
	sqlite3_stmt *stmt;
	int result;

	(void)bind_run(store, STATEMENT_EPOCH_ADD, epoch);
	result = store_step(store, STATEMENT_EPOCH_ADD);
	if (result != SQLITE_OK)
		return result;
	stmt = bind_run(store, STATEMENT_EPOCH_FIND, epoch);
	result = sqlite3_step(stmt);
	if (result == SQLITE_ROW)
		*ret_id = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_reset(stmt);
	return result == SQLITE_ROW ? SQLITE_OK : result;
}

static int epoch_id(struct store *store, uint64_t epoch, int64_t *ret_id)
{
	struct store_epoch *slot;
	int result;

	for (uint32_t i = 0; i < store->epoch_count; i++) {
		if (store->epochs[i].epoch == epoch) {
			*ret_id = store->epochs[i].id;
			return SQLITE_OK;
		}
	}
	result = epoch_read(store, epoch, ret_id);
	if (result != SQLITE_OK)
		return result;
	if (store->epoch_count == STORE_EPOCHS_MAX)
		store->epoch_count = 0;
	slot = &store->epochs[store->epoch_count++];
	*slot = (struct store_epoch){epoch, *ret_id};
	return SQLITE_OK;
}

static int order_compare(const void *a, const void *b)
{
	const struct pending_order *one = a, *other = b;

	return (one->id > other->id) - (one->id < other->id);
}

/* Rows go in by their key: neighbours share a page. */
static int order_make(struct store *store)
{
	for (uint32_t i = 0; i < store->pending.count; i++) {
		const struct flow_record *record =
			pending_record(&store->pending, i);
		int64_t epoch = 0;
		int result = epoch_id(store, record->epoch, &epoch);

		if (result != SQLITE_OK)
			return result;
		store->order[i].id =
			(int64_t)((uint64_t)epoch << STORE_SEQ_BITS |
				  record->seq);
		store->order[i].index = i;
	}
	qsort(store->order, store->pending.count, sizeof *store->order,
	      order_compare);
	return SQLITE_OK;
}

/* As JSON, for json_each(). */
static void bind_list(sqlite3_stmt *stmt, int at, const struct field_row *row,
		      const void *record)
{
	char text[STORE_LIST_SIZE];
	size_t length = field_json(row, record, text, sizeof text);

	assert(length < sizeof text);
	(void)sqlite3_bind_text(stmt, at, text, (int)length, SQLITE_TRANSIENT);
}

static void bind_column(sqlite3_stmt *stmt, int at, const struct field_row *row,
			const void *record, struct store_scratch *scratch)
{
	const uint8_t *value = (const uint8_t *)record + row->offset;
	const char *text = scratch->text;
	size_t length;
	int64_t number;
	double real;

	if (field_integer(row, record, &number)) {
		(void)sqlite3_bind_int64(stmt, at, number);
		return;
	}
	if (!field_present(row, record)) {
		(void)sqlite3_bind_null(stmt, at);
		return;
	}
	if (field_real(row, record, &real)) {
		(void)sqlite3_bind_double(stmt, at, real);
		return;
	}
	if (field_is_list(row)) {
		bind_list(stmt, at, row, record);
		return;
	}
	if (row->type == FIELD_TEXT)
		text = (const char *)value;
	else if (row->type == FIELD_WORD)
		text = row->words[*value];
	if (text == scratch->text)
		length = field_text(row, record, scratch->text,
				    sizeof scratch->text);
	else
		length = strlen(text);
	(void)sqlite3_bind_text(stmt, at, text, (int)length, SQLITE_STATIC);
}

static int flow_write(struct store *store, const struct pending_order *order)
{
	const struct flow_record *record =
		pending_record(&store->pending, order->index);
	sqlite3_stmt *stmt = store->statements[STATEMENT_FLOW];

	(void)sqlite3_bind_int64(stmt, 1, order->id);
	(void)sqlite3_bind_int64(stmt, 3, (int64_t)record->epoch);
	(void)sqlite3_bind_int64(stmt, 4, (int64_t)record->seq);
	for (size_t i = 0; i < store->column_count; i++)
		bind_column(stmt, (int)i + 5, store->columns[i], record,
			    &store->scratch[i]);
	return store_step(store, STATEMENT_FLOW);
}

static int flows_write(struct store *store)
{
	int result = order_make(store);

	(void)sqlite3_bind_text(store->statements[STATEMENT_FLOW], 2,
				store->probe, -1, SQLITE_STATIC);
	for (uint32_t i = 0; i < store->pending.count && result == SQLITE_OK;
	     i++)
		result = flow_write(store, &store->order[i]);
	return result;
}

static int sample_write(struct store *store, const struct store_sample *slot)
{
	const struct store_interface_sample *sample = &slot->sample;
	const uint64_t values[] = {
		sample->rx_packets, sample->rx_bytes,   sample->rx_dropped,
		sample->rx_errors,  sample->tx_packets, sample->tx_bytes,
		sample->tx_dropped, sample->tx_errors,
	};
	sqlite3_stmt *stmt = store->statements[STATEMENT_SAMPLE];

	(void)sqlite3_bind_text(stmt, 1, store->probe, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(stmt, 2, sample->at.ns);
	(void)sqlite3_bind_text(stmt, 3, slot->name, -1, SQLITE_STATIC);
	for (int i = 0; i < 8; i++)
		(void)sqlite3_bind_int64(stmt, i + 4, (int64_t)values[i]);
	return store_step(store, STATEMENT_SAMPLE);
}

static int samples_write(struct store *store)
{
	int result = SQLITE_OK;

	for (uint32_t i = 0; i < store->sample_count && result == SQLITE_OK;
	     i++)
		result = sample_write(store, &store->samples[i]);
	return result;
}

/* SQLite rolls back by itself after some failures and not after others. */
static void roll_back(struct store *store)
{
	if (!sqlite3_get_autocommit(store->db))
		(void)store_exec(store, "ROLLBACK");
	store->epoch_count = 0;
	store->counters.failures++;
}

static void committed(struct store *store)
{
	store->counters.stored += store->counters.pending;
	store->counters.pending = 0;
	store->counters.commits++;
	pending_clear(&store->pending);
	store->sample_count = 0;
	rtt_committed(&store->rtt);
	store->run_written = true;
	free(store->note);
	store->note = NULL;
}

int store_commit(struct store *store, struct fault *ret_fault)
{
	int result, rc;

	if (store->counters.pending == 0 && store->run_written &&
	    !store->note && !rtt_waits(&store->rtt))
		return 0;
	rc = store_follow(store, ret_fault);
	if (rc < 0) {
		store->counters.failures++;
		return rc;
	}
	result = store_step(store, STATEMENT_BEGIN);
	if (result == SQLITE_OK)
		result = run_write(store);
	if (result == SQLITE_OK)
		result = flows_write(store);
	if (result == SQLITE_OK)
		result = samples_write(store);
	if (result == SQLITE_OK)
		result = rtt_write(store);
	if (result == SQLITE_OK)
		result = store_step(store, STATEMENT_COMMIT);
	if (result == SQLITE_OK) {
		committed(store);
		return 0;
	}
	rc = store_fault(store, result, ret_fault);
	roll_back(store);
	return rc;
}
