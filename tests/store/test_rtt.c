#include "store_test.h"

#include <errno.h>
#include <signal.h>

#include "base/hist.h"

static struct store *open_rtt(void)
{
	struct store_options options = options_at(database);

	options.trip_count = 4096;
	return open_with(&options);
}

static void run_begin(struct store *store, const char *address)
{
	struct store_rtt_run run = {
		.started = {1000},
		.host = "host.example",
		.address = address,
		.options = "{}",
		.tier = TIER_SOCKET,
		.points = POINT_BIT(LEG_FORWARD, POINT_SEND) |
			  POINT_BIT(LEG_BACK, POINT_RECEIVE),
		.rate_hz = 1000,
		.size = 252,
	};

	assert_int_equal(store_rtt_run(store, &run), 0);
}

static struct trip trip_of(uint32_t seq)
{
	struct trip trip = {
		.seq = seq,
		.slot_ns = 77 + INT64_C(1000000) * seq,
		.late_ns = seq % 13 * 11,
		.stamped = POINT_BIT(LEG_FORWARD, POINT_SEND) |
			   POINT_BIT(LEG_BACK, POINT_RECEIVE),
		.reflected_seq = seq,
	};
	int64_t at_ns = INT64_C(1700000000000000000) + trip.slot_ns;

	trip.at_ns[LEG_FORWARD][POINT_SEND] = at_ns;
	trip.at_ns[LEG_BACK][POINT_RECEIVE] = at_ns + 12000 + seq % 97 * 31;
	trip.rtt_ns = 12000 + seq % 97 * 31;
	return trip;
}

static void trips_put(struct store *store, uint32_t from, uint32_t to)
{
	for (; from < to; from++) {
		struct trip trip = trip_of(from);

		assert_int_equal(store_rtt_trip(store, &trip), 0);
	}
}

static bool trip_compare(void *context, const struct trip *trip)
{
	uint32_t *seq = context;
	struct trip should = trip_of(*seq);

	assert_memory_equal(trip, &should, sizeof should);
	++*seq;
	return true;
}

/* The trips of a run, compared to what was put; how many. */
static uint32_t trips_read(int64_t id)
{
	struct store_reader *reader;
	struct fault fault = {""};
	uint32_t count = 0;

	assert_int_equal(store_reader_open(database, &reader, &fault), 0);
	assert_int_equal(
		store_reader_trips(reader, id, trip_compare, &count, &fault),
		0);
	store_reader_close(reader);
	return count;
}

static void trips_come_back_whenever_committed(void **state)
{
	struct store *store = open_rtt();
	static const uint32_t steps[] = {1, 7, 1024, 1025, 2048, 2500, 5000};
	uint32_t at = 0;

	(void)state;
	run_begin(store, "192.0.2.1:862");
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		trips_put(store, at, steps[i]);
		at = steps[i];
		assert_int_equal(store_commit(store, NULL), 0);
		assert_int_equal(store_rtt_id(store), 1);
		assert_int_equal(trips_read(1), at);
	}
	assert_int_equal(store_counters(store).stored, at);
	store_close(store);
	assert_int_equal(trips_read(1), at);
}

static void runs_are_told_apart(void **state)
{
	struct store_reader *reader;
	struct store_rtt_run run;
	struct fault fault;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct store *store = open_rtt();

		run_begin(store, i == 1 ? "192.0.2.2:862" : "192.0.2.1:862");
		if (i < 2)
			trips_put(store, 0, 10);
		store_close(store);
	}
	assert_int_equal(store_reader_open(database, &reader, &fault), 0);
	assert_int_equal(
		store_reader_run(reader, 0, "192.0.2.1:862", &run, &fault), 0);
	assert_int_equal(run.id, 1); /* the third has no packets */
	assert_string_equal(run.host, "host.example");
	assert_int_equal(run.tier, TIER_SOCKET);
	assert_int_equal(store_reader_run(reader, 0, NULL, &run, &fault), 0);
	assert_int_equal(run.id, 2);
	assert_int_equal(store_reader_run(reader, 9, NULL, &run, &fault),
			 -ENOENT);
	assert_int_equal(
		store_reader_run(reader, 0, "192.0.2.9:862", &run, &fault),
		-ENOENT);
	store_reader_close(reader);
}

static int64_t query(const char *sql, void *blob, int *size)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;
	int64_t value;

	assert_int_equal(
		sqlite3_open_v2(database, &db, SQLITE_OPEN_READONLY, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	value = sqlite3_column_int64(stmt, 0);
	if (blob) {
		*size = sqlite3_column_bytes(stmt, 0);
		memcpy(blob, sqlite3_column_blob(stmt, 0), (size_t)*size);
	}
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return value;
}

/* Ten a second, each commit a second: no more bytes than all at once, and
 * the file is not much more than what is in it. */
static void a_slow_run_takes_no_more_room(void **state)
{
	struct store *store = open_rtt();
	int64_t first, bytes, pages;

	(void)state;
	run_begin(store, "192.0.2.1:862");
	assert_int_equal(store_commit(store, NULL), 0);
	first = query("PRAGMA page_count", NULL, NULL);
	for (uint32_t at = 0; at < 2048; at += 10) {
		trips_put(store, at, at + 10);
		assert_int_equal(store_commit(store, NULL), 0);
	}
	store_close(store);
	bytes = query("SELECT sum(length(packed)) FROM rtt_packets", NULL,
		      NULL);
	pages = query("PRAGMA page_count", NULL, NULL) - first;
	print_message("# %.1f bytes a trip, %.1f on disk\n",
		      (double)bytes / 2050, (double)pages * 4096 / 2050);
	assert_true(bytes < 24 * 2050);
	assert_true(pages * 4096 < 24 * 2050);
	assert_int_equal(trips_read(1), 2050);
}

static void histograms_replace_and_merge(void **state)
{
	struct store *store = open_rtt();
	struct hist *hist = hist_create(), *again = hist_create();
	uint8_t bytes[4096];
	int size;

	(void)state;
	run_begin(store, "192.0.2.1:862");
	for (int i = 1; i <= 100; i++) {
		hist_add(hist, i * 1000);
		assert_int_equal(store_rtt_hist(store, (struct wall){5},
						(struct wall){5 + i}, "rtt",
						hist),
				 0);
		if (i % 10 == 0)
			assert_int_equal(store_commit(store, NULL), 0);
	}
	store_close(store);
	assert_int_equal(
		query("SELECT count(*) FROM rtt_histograms", NULL, NULL), 1);
	assert_int_equal(query("SELECT to_ns FROM rtt_histograms", NULL, NULL),
			 105);
	(void)query("SELECT packed FROM rtt_histograms", bytes, &size);
	assert_int_equal(hist_unpack(again, bytes, (size_t)size), 0);
	assert_int_equal(hist_count(again), 100);
	assert_int_equal(hist_max(again), 100000);
	hist_destroy(hist);
	hist_destroy(again);
}

static void an_older_file_gets_its_tables(void **state)
{
	struct store *store = open_fresh();
	sqlite3 *db;

	(void)state;
	store_close(store);
	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "DROP TABLE rtt_runs;"
				      "DROP TABLE rtt_packets;"
				      "DROP TABLE rtt_histograms",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	store = open_rtt();
	run_begin(store, "192.0.2.1:862");
	trips_put(store, 0, 3);
	store_close(store);
	assert_int_equal(trips_read(1), 3);
}

static void says_what_it_had_no_room_for(void **state)
{
	struct store *store = open_rtt();
	struct trip trip = trip_of(4096);
	struct store_counters counters;

	(void)state;
	run_begin(store, "192.0.2.1:862");
	trips_put(store, 0, 4096);
	assert_int_equal(store_rtt_trip(store, &trip), ERR_STORE_BEHIND);
	counters = store_counters(store);
	assert_int_equal(counters.given, 4097);
	assert_int_equal(counters.pending, 4096);
	assert_int_equal(counters.lost, 1);
	store_close(store);
}

static void a_damaged_block_is_named(void **state)
{
	struct store *store = open_rtt();
	struct store_reader *reader;
	struct fault fault = {""};
	uint32_t count = 0;
	sqlite3 *db;

	(void)state;
	run_begin(store, "192.0.2.1:862");
	trips_put(store, 0, 30);
	store_close(store);
	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "UPDATE rtt_packets SET packed = "
				      "substr(packed, 1, 90)",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(store_reader_open(database, &reader, &fault), 0);
	assert_int_equal(
		store_reader_trips(reader, 1, trip_compare, &count, &fault),
		-EBADMSG);
	assert_non_null(strstr(fault.text, "damaged"));
	assert_int_equal(count, 0);
	store_reader_close(reader);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(trips_come_back_whenever_committed),
		TEST(a_slow_run_takes_no_more_room),
		TEST(runs_are_told_apart),
		TEST(histograms_replace_and_merge),
		TEST(an_older_file_gets_its_tables),
		TEST(says_what_it_had_no_room_for),
		TEST(a_damaged_block_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
