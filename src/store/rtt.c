/* Round trips: packets packed in blocks, histograms by time.
 *
 * A block that is not full yet is written again with every commit, in the
 * same row, so that slow runs take few bytes a packet and nothing waits. */
#include "store/store_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hist.h"

int rtt_init(struct store_rtt *rtt, uint32_t room)
{
	if (room == 0)
		return 0;
	rtt->room = room < TRIPS_PACK_MAX ? TRIPS_PACK_MAX : room;
	rtt->trips = calloc(rtt->room, sizeof *rtt->trips);
	rtt->bytes = malloc(TRIPS_PACK_ROOM);
	if (!rtt->trips || !rtt->bytes)
		return -ENOMEM;
	return trip_packer_create(&rtt->packer);
}

static void run_free(struct store_rtt_run *run)
{
	free((char *)run->host);
	free((char *)run->address);
	free((char *)run->options);
	free((char *)run->summary);
	*run = (struct store_rtt_run){0};
}

static void hists_free(struct store_rtt *rtt)
{
	for (uint32_t i = 0; i < rtt->hist_count; i++)
		free(rtt->hists[i].bytes);
	rtt->hist_count = 0;
}

void rtt_fini(struct store_rtt *rtt)
{
	hists_free(rtt);
	run_free(&rtt->run);
	trip_packer_destroy(rtt->packer);
	free(rtt->bytes);
	free(rtt->trips);
}

static const char *text_copy(const char *text, bool *failed)
{
	char *copy = text ? strdup(text) : NULL;

	*failed |= text && !copy;
	return copy;
}

int store_rtt_run(struct store *store, const struct store_rtt_run *run)
{
	struct store_rtt *rtt = &store->rtt;
	struct store_rtt_run copy = *run;
	bool failed = false;

	if (rtt->room == 0)
		return -EINVAL;
	copy.host = text_copy(run->host, &failed);
	copy.address = text_copy(run->address, &failed);
	copy.options = text_copy(run->options, &failed);
	copy.summary = text_copy(run->summary, &failed);
	if (failed) {
		run_free(&copy);
		return -ENOMEM;
	}
	run_free(&rtt->run);
	rtt->run = copy;
	rtt->begun = true;
	rtt->changed = true;
	return 0;
}

int store_rtt_trip(struct store *store, const struct trip *trip)
{
	struct store_rtt *rtt = &store->rtt;

	store->counters.given++;
	if (!rtt->begun || rtt->count == rtt->room) {
		store->counters.lost++;
		return ERR_STORE_BEHIND;
	}
	rtt->trips[rtt->count++] = *trip;
	store->counters.pending++;
	return 0;
}

/* The slot of this histogram, or a new one; NULL: no room. */
static struct store_hist *hist_slot(struct store_rtt *rtt, struct wall from,
				    const char *name)
{
	for (uint32_t i = 0; i < rtt->hist_count; i++) {
		struct store_hist *slot = &rtt->hists[i];

		if (slot->from.ns == from.ns && strcmp(slot->name, name) == 0)
			return slot;
	}
	if (rtt->hist_count == STORE_HISTS_MAX)
		return NULL;
	rtt->hists[rtt->hist_count] = (struct store_hist){.from = from};
	(void)snprintf(rtt->hists[rtt->hist_count].name, STORE_HIST_NAME, "%s",
		       name);
	return &rtt->hists[rtt->hist_count++];
}

int store_rtt_hist(struct store *store, struct wall from, struct wall to,
		   const char *name, const struct hist *hist)
{
	size_t size = hist_pack(hist, NULL, 0);
	struct store_hist *slot;
	uint8_t *bytes;

	if (!store->rtt.begun || strlen(name) >= STORE_HIST_NAME)
		return -EINVAL;
	bytes = malloc(size);
	if (!bytes)
		return -ENOMEM;
	slot = hist_slot(&store->rtt, from, name);
	if (!slot) {
		free(bytes);
		return ERR_STORE_BEHIND;
	}
	(void)hist_pack(hist, bytes, size);
	free(slot->bytes);
	slot->bytes = bytes;
	slot->size = size;
	slot->to = to;
	return 0;
}

int64_t store_rtt_id(const struct store *store)
{
	return store->rtt.id_written;
}

bool rtt_waits(const struct store_rtt *rtt)
{
	return rtt->changed || rtt->hist_count > 0;
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	(void)sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

static int run_write(struct store *store)
{
	sqlite3_stmt *stmt = store->statements[STATEMENT_RTT_RUN];
	struct store_rtt *rtt = &store->rtt;
	const struct store_rtt_run *run = &rtt->run;
	int result;

	rtt->id = rtt->id_written;
	if (rtt->id > 0)
		(void)sqlite3_bind_int64(stmt, 1, rtt->id);
	else
		(void)sqlite3_bind_null(stmt, 1);
	bind_text(stmt, 2, store->probe);
	bind_text(stmt, 3, store->version);
	(void)sqlite3_bind_int64(stmt, 4, run->started.ns);
	if (run->ended.ns != 0)
		(void)sqlite3_bind_int64(stmt, 5, run->ended.ns);
	else
		(void)sqlite3_bind_null(stmt, 5);
	bind_text(stmt, 6, run->host);
	bind_text(stmt, 7, run->address);
	bind_text(stmt, 8, tier_words[run->tier]);
	(void)sqlite3_bind_int64(stmt, 9, (int64_t)run->points);
	(void)sqlite3_bind_double(stmt, 10, run->rate_hz);
	(void)sqlite3_bind_int64(stmt, 11, run->size);
	bind_text(stmt, 12, run->options);
	bind_text(stmt, 13, run->summary);
	result = store_step(store, STATEMENT_RTT_RUN);
	if (rtt->id == 0)
		rtt->id = sqlite3_last_insert_rowid(store->db);
	return result;
}

static int64_t departure_ns(const struct trip *trip)
{
	return trip->at_ns[LEG_FORWARD][POINT_SEND];
}

/* From the first to the last that was sent; 0 if none was. */
static void block_span(const struct trip *trips, uint32_t count,
		       int64_t *ret_from_ns, int64_t *ret_to_ns)
{
	*ret_from_ns = *ret_to_ns = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (departure_ns(&trips[i]) == 0)
			continue;
		if (*ret_from_ns == 0)
			*ret_from_ns = departure_ns(&trips[i]);
		*ret_to_ns = departure_ns(&trips[i]);
	}
}

static int block_write(struct store *store, const struct trip *trips,
		       uint32_t count)
{
	sqlite3_stmt *stmt = store->statements[STATEMENT_RTT_PACKETS];
	struct store_rtt *rtt = &store->rtt;
	size_t size = trips_pack(rtt->packer, trips, count, rtt->bytes,
				 TRIPS_PACK_ROOM);
	int64_t from_ns, to_ns;

	block_span(trips, count, &from_ns, &to_ns);
	(void)sqlite3_bind_int64(stmt, 1, rtt->id);
	(void)sqlite3_bind_int64(stmt, 2, trips[0].seq);
	(void)sqlite3_bind_int64(stmt, 3, count);
	(void)sqlite3_bind_int64(stmt, 4, from_ns);
	(void)sqlite3_bind_int64(stmt, 5, to_ns);
	(void)sqlite3_bind_blob64(stmt, 6, rtt->bytes, size, SQLITE_STATIC);
	return store_step(store, STATEMENT_RTT_PACKETS);
}

static int blocks_write(struct store *store)
{
	struct store_rtt *rtt = &store->rtt;
	int result = SQLITE_OK;

	if (rtt->count == rtt->block_written)
		return SQLITE_OK;
	for (uint32_t at = 0; at < rtt->count && result == SQLITE_OK;
	     at += TRIPS_PACK_MAX) {
		uint32_t left = rtt->count - at;

		result = block_write(store, rtt->trips + at,
				     left < TRIPS_PACK_MAX ? left
							   : TRIPS_PACK_MAX);
	}
	return result;
}

static int hist_write(struct store *store, const struct store_hist *slot)
{
	sqlite3_stmt *stmt = store->statements[STATEMENT_RTT_HIST];

	(void)sqlite3_bind_int64(stmt, 1, store->rtt.id);
	bind_text(stmt, 2, slot->name);
	(void)sqlite3_bind_int64(stmt, 3, slot->from.ns);
	(void)sqlite3_bind_int64(stmt, 4, slot->to.ns);
	(void)sqlite3_bind_blob64(stmt, 5, slot->bytes, slot->size,
				  SQLITE_STATIC);
	return store_step(store, STATEMENT_RTT_HIST);
}

int rtt_write(struct store *store)
{
	struct store_rtt *rtt = &store->rtt;
	int result = SQLITE_OK;

	if (!rtt->begun)
		return SQLITE_OK;
	if (rtt->changed || rtt->id_written == 0)
		result = run_write(store);
	if (result == SQLITE_OK)
		result = blocks_write(store);
	for (uint32_t i = 0; i < rtt->hist_count && result == SQLITE_OK; i++)
		result = hist_write(store, &rtt->hists[i]);
	return result;
}

void rtt_committed(struct store_rtt *rtt)
{
	uint32_t full = rtt->count - rtt->count % TRIPS_PACK_MAX;

	if (!rtt->begun)
		return;
	rtt->id_written = rtt->id;
	rtt->changed = false;
	hists_free(rtt);
	rtt->count -= full;
	memmove(rtt->trips, rtt->trips + full, rtt->count * sizeof *rtt->trips);
	rtt->block_written = rtt->count;
}

void rtt_anew(struct store_rtt *rtt)
{
	rtt->id_written = 0;
	rtt->block_written = 0;
}
