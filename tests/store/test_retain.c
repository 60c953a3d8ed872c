#include "store_test.h"

#define MANY     UINT64_C(60000)
#define KEEP     (UINT64_C(6) << 20)
#define CALL_MAX 100000

static struct wall at(int64_t ns)
{
	return (struct wall){(int64_t)EPOCH + ns};
}

static void fill(struct store *store, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		assert_int_equal(put(store, i, FLOW_END_IDLE), 0);
		if (i % 5000 == 4999)
			assert_int_equal(store_commit(store, NULL), 0);
	}
	assert_int_equal(store_commit(store, NULL), 0);
}

static int retain_all(struct store *store, struct wall now)
{
	int calls = 1;

	while (store_retain(store, now) == 1 && calls < CALL_MAX)
		calls++;
	assert_int_equal(store_retain(store, now), 0);
	return calls;
}

static struct store *open_to_keep(int64_t age_ns, uint64_t size)
{
	struct store_options options = options_at(database);

	options.pending_count = 8192;
	options.keep_age_ns = age_ns;
	options.keep_size = size;
	return open_with(&options);
}

/* Records end 1 us apart: seq i at i us and a half. */
static void removes_what_is_older_than_its_age(void **state)
{
	struct store *store = open_to_keep(1000000, 0);
	struct store_interface_sample sample = {.name = "eth0"};

	(void)state;
	for (int i = 0; i < 10; i++) {
		sample.at = at(INT64_C(1000000) * i);
		assert_int_equal(store_interface(store, &sample), 0);
	}
	fill(store, 0, 10000);
	/* Now is 5 ms: what ended before 4 ms goes, a slice a call. */
	assert_true(retain_all(store, at(5000000)) > 3);
	assert_int_equal(read_integer("SELECT min(seq) FROM flows"), 4000);
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), 6000);
	assert_int_equal(
		read_integer("SELECT count(*) FROM interface_counters"), 6);
	assert_int_equal(store_counters(store).retired, 4000 + 4);
	assert_adds_up(store);
	store_close(store);
	assert_sound();
}

static void removes_old_runs_but_not_its_own(void **state)
{
	struct store_options options = options_at(database);

	(void)state;
	for (uint64_t i = 0; i < 3; i++) {
		options.epoch = EPOCH + i;
		store_close(open_with(&options));
	}
	options.keep_age_ns = 1;
	struct store *store = open_with(&options);
	assert_int_equal(store_retain(store, at(1000)), 0);
	store_close(store);
	assert_int_equal(read_integer("SELECT count(*) FROM runs"), 1);
	assert_int_equal(read_integer("SELECT epoch FROM runs"), EPOCH + 2);
}

static void keeps_the_newest_within_its_size(void **state)
{
	struct store *store = open_to_keep(0, KEEP);
	struct store_interface_sample sample = {.name = "eth0", .at = at(0)};

	(void)state;
	assert_int_equal(store_interface(store, &sample), 0);
	fill(store, 0, MANY);
	assert_true(store_size(store) > KEEP);
	assert_true(retain_all(store, at(0)) > 3);
	assert_true(store_size(store) <= KEEP);
	assert_true(read_integer("SELECT count(*) FROM flows") > 5000);
	assert_int_equal(read_integer("SELECT max(seq) FROM flows"), MANY - 1);
	assert_int_equal(read_integer("SELECT max(seq) - min(seq) + 1 - "
				      "count(*) FROM flows"),
			 0);
	assert_int_equal(
		read_integer("SELECT count(*) FROM interface_counters"), 0);
	/* And stays there while more comes. */
	for (uint64_t i = 0; i < 8; i++) {
		fill(store, MANY + i * 5000, MANY + (i + 1) * 5000);
		(void)retain_all(store, at(0));
		assert_true(store_size(store) <= KEEP);
	}
	assert_adds_up(store);
	store_close(store);
	assert_sound();
}

static void makes_room_by_interface_counters_when_no_flow_is_left(void **state)
{
	struct store *store = open_to_keep(0, 1);
	struct store_interface_sample sample = {.name = "eth0"};

	(void)state;
	for (int i = 0; i < 60000; i++) {
		sample.at.ns = i;
		assert_int_equal(store_interface(store, &sample), 0);
		if (i % 4000 == 3999)
			assert_int_equal(store_commit(store, NULL), 0);
	}
	assert_int_equal(store_commit(store, NULL), 0);
	(void)retain_all(store, at(0));
	assert_true(store_size(store) <= UINT64_C(1) << 20);
	assert_true(read_integer("SELECT min(at_ns) FROM interface_counters") >
		    0);
	assert_int_equal(
		read_integer("SELECT max(at_ns) FROM interface_counters"),
		59999);
	store_close(store);
	assert_sound();
}

static void gives_space_back_after_much_was_removed_by_age(void **state)
{
	struct store *store = open_to_keep(1, 0);
	uint64_t size;

	(void)state;
	fill(store, 0, MANY);
	store_close(store); /* the journal is in the file now */
	store = open_to_keep(1, 0);
	size = store_size(store);
	(void)retain_all(store, at(INT64_C(1) << 40));
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), 0);
	store_close(store);
	store = open_to_keep(1, 0);
	assert_true(store_size(store) < size / 2);
	store_close(store);
	assert_sound();
}

static void removes_nothing_without_limits(void **state)
{
	struct store *store = open_to_keep(0, 0);

	(void)state;
	fill(store, 0, 1000);
	assert_int_equal(store_retain(store, at(INT64_C(1) << 60)), 0);
	assert_int_equal(read_integer("SELECT count(*) FROM flows"), 1000);
	assert_int_equal(store_counters(store).retired, 0);
	store_close(store);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(removes_what_is_older_than_its_age),
		TEST(removes_old_runs_but_not_its_own),
		TEST(keeps_the_newest_within_its_size),
		TEST(makes_room_by_interface_counters_when_no_flow_is_left),
		TEST(gives_space_back_after_much_was_removed_by_age),
		TEST(removes_nothing_without_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
