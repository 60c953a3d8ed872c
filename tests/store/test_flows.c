#include "store_test.h"

#include <arpa/inet.h>
#include <errno.h>

static bool statistics_row(const struct field_row *row)
{
	return row->present_mask &&
	       row->present == offsetof(struct flow_record, statistics_present);
}

/* Columns come with the first store that is asked for them, and stay; rows
 * written without are null there. */
static void adds_the_columns_of_chosen_statistics(void **state)
{
	struct flow_options flow = {.statistics = FLOW_STATISTICS_LENGTH |
						  FLOW_STATISTICS_FIRST |
						  FLOW_STATISTICS_HISTOGRAM};
	struct store_options options = options_at(database);
	struct flow_record record = record_of(1, FLOW_END_IDLE);
	struct store *store = open_fresh();

	(void)state;
	assert_int_equal(store_flow(store, &record), 0);
	store_close(store);
	options.flow = &flow;
	store = open_with(&options);
	record = record_of(2, FLOW_END_IDLE);
	record.tcp_present = FLOW_TCP_METRICS; /* not of these options */
	record.statistics_present = FLOW_LENGTHS(0) | FLOW_LENGTHS_STDDEV(0) |
				    FLOW_FIRSTS | FLOW_HISTOGRAMS;
	record.length[0] = (struct flow_lengths){40, 1500, 540123, 831384};
	record.first_count = 3;
	record.first_length[1] = 1500;
	record.first_interval_ns[2] = UINT64_C(5000000000);
	record.bin_count = FLOW_BINS;
	for (unsigned i = 0; i < FLOW_BINS; i++)
		record.interval_histogram[FLOW_BOTH][i] = UINT64_MAX;
	assert_int_equal(store_flow(store, &record), 0);
	store_close(store);
	store = open_fresh();
	record = record_of(3, FLOW_END_IDLE);
	assert_int_equal(store_flow(store, &record), 0);
	store_close(store);
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), 3);
	assert_read("SELECT length_min || ' ' || length_mean || ' ' || "
		    "length_stddev || ' ' || first_lengths || ' ' || "
		    "first_intervals_ns FROM flows WHERE seq = 2",
		    "40 540.123 831.384 [0,1500,0] [0,0,5000000000]");
	assert_int_equal(read_integer("SELECT length(both_interval_histogram) "
				      "FROM flows WHERE seq = 2"),
			 1 + 16 * 21);
	assert_int_equal(read_integer("SELECT value FROM flows, "
				      "json_each(first_lengths) WHERE seq = 2 "
				      "AND json_each.key = 1"),
			 1500);
	assert_int_equal(read_integer("SELECT count(*) FROM flows WHERE "
				      "first_lengths IS NULL AND length_mean "
				      "IS NULL"),
			 2);
	assert_int_equal(read_integer("SELECT count(*) FROM "
				      "pragma_table_info('flows') WHERE name "
				      "LIKE 'payload_m%' OR name LIKE "
				      "'interval_m%'"),
			 0);
}

static void makes_a_column_of_every_field(void **state)
{
	struct store *store = open_fresh();
	char sql[160];

	(void)state;
	for (size_t i = 0; i < flow_fields.count; i++) {
		const struct field_row *row = &flow_fields.rows[i];

		(void)snprintf(sql, sizeof sql,
			       "SELECT count(*) FROM pragma_table_info("
			       "'flows') WHERE name = '%s'",
			       row->name);
		assert_int_equal(read_integer(sql), !statistics_row(row));
	}
	assert_int_equal(read_integer("SELECT count(*) FROM "
				      "pragma_table_info('flows') WHERE name "
				      "IN ('id', 'probe', 'epoch', 'seq')"),
			 4);
	store_close(store);
}

static void stores_every_field_as_people_read_it(void **state)
{
	struct flow_record record = record_of(5, FLOW_END_IDLE);
	struct store *store = open_fresh();

	(void)state;
	record.flow_id = 0xabc;
	record.bytes[0] = UINT64_C(5000000000);
	assert_int_equal(store_flow(store, &record), 0);
	record = record_of(6, FLOW_END_IDLE);
	record.tuple.ip_version = 6;
	record.duplicate = true;
	record.interface[0] = '\0';
	assert_int_equal(
		inet_pton(AF_INET6, "2001:db8::1", record.tuple.address[0]), 1);
	assert_int_equal(store_flow(store, &record), 0);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_read("SELECT flow_id || ' ' || src_ip || ' ' || src_port || "
		    "' ' || dst_ip || ' ' || interface || ' ' || proto || "
		    "' ' || bytes || ' ' || start_ns || ' ' || duplicate "
		    "FROM flows WHERE seq = 5",
		    "0000000000000abc 192.0.2.1 1029 198.51.100.7 eth0 6 "
		    "5000000000 1700000000000005000 0");
	assert_read("SELECT probe || ' ' || epoch || ' ' || seq || ' ' || "
		    "src_ip || ' ' || duplicate FROM flows WHERE seq = 6",
		    "probe-1 1700000000000000000 6 2001:db8::1 1");
	assert_read("SELECT outer_src_ip FROM flows WHERE seq = 6", NULL);
	assert_read("SELECT interface FROM flows WHERE seq = 6", NULL);
	assert_read("SELECT end_reason FROM flows WHERE seq = 6",
		    flow_end_words[FLOW_END_IDLE]);
	assert_read("SELECT group_concat(DISTINCT typeof(bytes) || "
		    "typeof(src_ip) || typeof(flow_id) || typeof(end_ns)) "
		    "FROM flows",
		    "integertexttextinteger");
	store_close(store);
	assert_sound();
}

static void replaces_the_row_of_a_flow_that_grows(void **state)
{
	struct store *store = open_fresh();
	struct flow_record record = record_of(1, FLOW_END_NONE);
	struct store_counters counters;

	(void)state;
	for (int i = 1; i <= 3; i++) {
		record.packets[0] = (uint64_t)i;
		record.end.ns += 1000;
		record.end_reason = i == 3 ? FLOW_END_IDLE : FLOW_END_NONE;
		assert_int_equal(store_flow(store, &record), 0);
		assert_int_equal(store_commit(store, NULL), 0);
		assert_int_equal(read_integer("SELECT packets FROM flows"), i);
		assert_int_equal(read_integer("SELECT count(*) FROM flows"), 1);
	}
	counters = store_counters(store);
	assert_int_equal(counters.stored, 3);
	assert_int_equal(counters.commits, 3);
	assert_adds_up(store);
	store_close(store);
	assert_sound();
}

static void merges_updates_that_wait_and_keeps_the_final(void **state)
{
	struct store *store = open_fresh();
	struct flow_record record = record_of(1, FLOW_END_NONE);

	(void)state;
	for (uint64_t i = 1; i <= 4; i++) {
		record.packets[0] = i;
		/* The third is final; the fourth, an update, is too late. */
		record.end_reason = i == 3 ? FLOW_END_IDLE : FLOW_END_NONE;
		assert_int_equal(store_flow(store, &record), 0);
	}
	assert_int_equal(store_counters(store).merged, 3);
	assert_int_equal(store_counters(store).pending, 1);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(read_integer("SELECT packets FROM flows"), 3);
	assert_adds_up(store);
	store_close(store);
}

static void keeps_records_of_several_epochs_apart(void **state)
{
	struct store *store = open_fresh();

	(void)state;
	for (uint64_t epoch = 1; epoch <= 80; epoch++) {
		struct flow_record record = record_of(7, FLOW_END_IDLE);

		record.epoch = epoch;
		assert_int_equal(store_flow(store, &record), 0);
	}
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(put(store, 7, FLOW_END_IDLE), 0);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(read_integer("SELECT count(*) FROM (SELECT DISTINCT "
				      "probe, epoch, seq FROM flows)"),
			 81);
	assert_int_equal(read_integer("SELECT count(*) FROM flows JOIN epochs "
				      "ON epochs.id = flows.id >> 42 AND "
				      "epochs.epoch = flows.epoch"),
			 81);
	store_close(store);
}

/* Final records push updates out; then they are lost, and it is counted. */
static void lets_final_records_displace_updates_when_full(void **state)
{
	struct store *store = open_fresh();
	struct store_counters counters;

	(void)state;
	for (uint64_t i = 0; i < RECORDS; i++)
		assert_int_equal(
			put(store, i, i % 2 ? FLOW_END_IDLE : FLOW_END_NONE),
			0);
	assert_int_equal(put(store, 1000, FLOW_END_NONE), ERR_STORE_BEHIND);
	for (uint64_t i = 0; i < RECORDS / 2; i++)
		assert_int_equal(put(store, 2000 + i, FLOW_END_IDLE), 0);
	assert_int_equal(put(store, 3000, FLOW_END_IDLE), ERR_STORE_BEHIND);
	assert_int_equal(put(store, 3001, FLOW_END_NONE), ERR_STORE_BEHIND);
	assert_int_equal(put(store, 2001, FLOW_END_ACTIVE), 0);
	counters = store_counters(store);
	assert_int_equal(counters.late, 1 + RECORDS / 2 + 1);
	assert_int_equal(counters.lost, 1);
	assert_int_equal(counters.merged, 1);
	assert_int_equal(counters.pending, RECORDS);
	assert_adds_up(store);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(read_integer("SELECT count(*) FROM flows WHERE seq "
				      ">= 2000 AND seq < 3000"),
			 RECORDS / 2);
	assert_int_equal(read_integer("SELECT count(*) FROM flows WHERE seq "
				      "< 1000 AND seq % 2 = 1"),
			 RECORDS / 2);
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), RECORDS);
	/* Everything fits again. */
	for (uint64_t i = 0; i < RECORDS; i++)
		assert_int_equal(put(store, i, FLOW_END_IDLE), 0);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(store_counters(store).late, counters.late);
	/* And the same again: the first record is an update once more. */
	for (uint64_t i = 0; i < RECORDS; i++)
		assert_int_equal(
			put(store, 4000 + i, i ? FLOW_END_IDLE : FLOW_END_NONE),
			0);
	assert_int_equal(put(store, 5000, FLOW_END_IDLE), 0);
	assert_int_equal(put(store, 5001, FLOW_END_IDLE), ERR_STORE_BEHIND);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(read_integer("SELECT count(*) FROM flows WHERE seq "
				      "IN (4000, 5000)"),
			 1);
	assert_adds_up(store);
	store_close(store);
	assert_sound();
}

static void keeps_interface_counters(void **state)
{
	struct store *store = open_fresh();
	struct store_interface_sample sample = {
		"a-name-of-an-interface-that-is-longer-than-32-bytes",
		{5},
		1,
		2,
		3,
		4,
		5,
		6,
		7,
		UINT64_C(5000000000)};

	(void)state;
	assert_int_equal(store_interface(store, &sample), 0);
	sample.name = "eth0";
	assert_int_equal(store_interface(store, &sample), 0);
	sample.at.ns = 6;
	assert_int_equal(store_interface(store, &sample), 0);
	assert_int_equal(store_counters(store).pending, 3);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(store_counters(store).stored, 3);
	assert_read("SELECT probe || ' ' || at_ns || ' ' || rx_packets || ' ' "
		    "|| rx_bytes || ' ' || rx_dropped || ' ' || rx_errors || "
		    "' ' || tx_packets || ' ' || tx_bytes || ' ' || tx_dropped "
		    "|| ' ' || tx_errors FROM interface_counters WHERE name "
		    "= 'eth0' ORDER BY at_ns DESC",
		    "probe-1 6 1 2 3 4 5 6 7 5000000000");
	assert_int_equal(read_integer("SELECT max(length(name)) FROM "
				      "interface_counters"),
			 FLOW_INTERFACE_NAME_SIZE - 1);
	assert_adds_up(store);
	store_close(store);
}

static void loses_interface_samples_only_when_very_many_wait(void **state)
{
	struct store *store = open_fresh();
	struct store_interface_sample sample = {.name = "eth0"};
	uint64_t refused = 0;

	(void)state;
	for (sample.at.ns = 0; sample.at.ns < 5000; sample.at.ns++)
		refused += store_interface(store, &sample) == ERR_STORE_BEHIND;
	assert_int_equal(refused, 5000 - 4096);
	assert_int_equal(store_counters(store).lost, refused);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(
		read_integer("SELECT count(*) FROM interface_counters"), 4096);
	assert_adds_up(store);
	store_close(store);
}

static void keeps_a_run_and_its_ledger(void **state)
{
	struct store *store = open_fresh();

	(void)state;
	assert_int_equal(store_commit(store, NULL), 0);
	assert_read("SELECT probe || ' ' || epoch || ' ' || version || ' ' || "
		    "started_ns FROM runs WHERE ended_ns IS NULL",
		    "probe-1 1700000000000000000 0.0 1700000000000000000");
	assert_int_equal(store_run_note(store, (struct wall){8}, "{\"a\":1}"),
			 0);
	assert_int_equal(store_run_note(store, (struct wall){9}, "{\"a\":2}"),
			 0);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_read("SELECT ended_ns || ledger FROM runs", "9{\"a\":2}");
	assert_int_equal(store_counters(store).commits, 2);
	assert_int_equal(store_commit(store, NULL), 0); /* nothing to do */
	assert_int_equal(store_counters(store).commits, 2);
	store_close(store);
	/* The same start again, and another one. */
	store = open_fresh();
	store_close(store);
	assert_int_equal(read_integer("SELECT count(*) FROM runs"), 1);
	assert_read("SELECT ledger FROM runs", "{\"a\":2}");
}

static void commits_what_waits_when_it_closes(void **state)
{
	struct store *store = open_fresh();

	(void)state;
	assert_int_equal(put(store, 1, FLOW_END_IDLE), 0);
	store_close(store);
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), 1);
	store_close(NULL);
}

static void waits_for_another_writer_and_loses_nothing(void **state)
{
	struct store *store = open_fresh();
	struct fault fault;
	sqlite3 *db;

	(void)state;
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL),
			 0);
	assert_int_equal(put(store, 1, FLOW_END_IDLE), 0);
	assert_int_equal(store_commit(store, &fault), -EBUSY);
	assert_non_null(strstr(fault.text, "another program"));
	assert_int_equal(store_counters(store).failures, 1);
	assert_int_equal(store_counters(store).pending, 1);
	assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), 0);
	(void)sqlite3_close(db);
	assert_int_equal(store_commit(store, &fault), 0);
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), 1);
	assert_adds_up(store);
	store_close(store);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(makes_a_column_of_every_field),
		TEST(adds_the_columns_of_chosen_statistics),
		TEST(stores_every_field_as_people_read_it),
		TEST(replaces_the_row_of_a_flow_that_grows),
		TEST(merges_updates_that_wait_and_keeps_the_final),
		TEST(keeps_records_of_several_epochs_apart),
		TEST(lets_final_records_displace_updates_when_full),
		TEST(keeps_interface_counters),
		TEST(loses_interface_samples_only_when_very_many_wait),
		TEST(keeps_a_run_and_its_ledger),
		TEST(commits_what_waits_when_it_closes),
		TEST(waits_for_another_writer_and_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
