#include "check.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "feed.h"

#define MS INT64_C(1000000)
#define S  NS_PER_S

static const struct kernel_process_key alice = {111111, 100};
static const struct kernel_process_key bob = {222222, 200};

/* What a watch told. */
struct told {
	struct watch_interval intervals[512];
	struct kernel_traffic first_row[512];
	size_t interval_count;
	struct watch_socket sockets[16];
	struct kernel_socket records[16];
	size_t socket_count;
	size_t samples;
	size_t processes;
};

static void interval_take(void *context, const struct watch_interval *interval)
{
	struct told *told = context;
	size_t at = told->interval_count++;

	if (at >= 512)
		return;
	told->intervals[at] = *interval;
	if (interval->row_count > 0)
		told->first_row[at] = interval->rows[0].traffic;
}

static void socket_take(void *context, const struct watch_socket *socket)
{
	struct told *told = context;
	size_t at = told->socket_count++;

	if (at >= 16)
		return;
	told->records[at] = *socket->kernel;
	told->sockets[at] = *socket;
	told->sockets[at].kernel = &told->records[at];
}

static void sample_take(void *context, const struct watch_socket *socket)
{
	struct told *told = context;

	(void)socket;
	told->samples++;
}

static void process_take(void *context, const struct watch_process *process)
{
	struct told *told = context;

	(void)process;
	told->processes++;
}

static char root[] = "/tmp/sonde-watch-XXXXXX", proc[64];

static void root_remove(void)
{
	(void)rmdir(proc);
	(void)rmdir(root);
}

/* A root without a process. */
static char *empty_root(void)
{
	if (*proc)
		return root;
	assert_non_null(mkdtemp(root));
	(void)snprintf(proc, sizeof proc, "%s/proc", root);
	assert_int_equal(mkdir(proc, 0700), 0);
	(void)atexit(root_remove);
	return root;
}

static struct watch *watch_of(struct feed *feed, struct told *told,
			      struct watch_options options)
{
	struct watch *watch;
	struct fault fault = {""};

	*told = (struct told){0};
	options.feed = &feed_rows;
	options.feed_context = feed;
	options.owner.root = empty_root();
	options.no_links = true;
	options.visitor = (struct watch_visitor){.context = told,
						 .interval = interval_take,
						 .socket = socket_take,
						 .sample = sample_take,
						 .process = process_take};
	if (watch_open(&options, &watch, &fault) < 0)
		fail_msg("%s", fault.text);
	return watch;
}

static void run_to_end(struct watch *watch)
{
	int rc = 0;

	for (int i = 0; i < 10000 && rc >= 0; i++)
		rc = watch_turn(watch, 1000);
	assert_int_equal(rc, ERR_END);
}

static const struct watch_process *process_of(struct watch *watch,
					      struct kernel_process_key key)
{
	for (size_t i = 0; i < watch_process_slots(watch); i++) {
		const struct watch_process *process =
			watch_process_at(watch, i);

		if (process && !process->others &&
		    process->key.pid == key.pid &&
		    process->key.start_ns == key.start_ns)
			return process;
	}
	return NULL;
}

static struct watch_identity identity_of(const struct watch *watch,
					 const char *name)
{
	struct watch_identity rows[WATCH_IDENTITIES_MAX];
	size_t count = watch_ledger(watch, rows);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(rows[i].name, name) == 0)
			return rows[i];
	}
	fail_msg("no identity %s", name);
	return rows[0];
}

static void all_hold(const struct watch *watch)
{
	struct watch_identity rows[WATCH_IDENTITIES_MAX];
	size_t count = watch_ledger(watch, rows);

	assert_true(count >= 20);
	for (size_t i = 0; i < count; i++) {
		if (!rows[i].holds || rows[i].turns_failed)
			fail_msg("%s: %llu and %llu, %u turns", rows[i].name,
				 (unsigned long long)rows[i].left,
				 (unsigned long long)rows[i].right,
				 rows[i].turns_failed);
	}
}

/* --------------------------------------------------------------- records */

static struct kernel_socket connection(uint64_t id, uint64_t tx, uint64_t rx)
{
	struct kernel_socket record = {
		.event = KERNEL_SOCKET_SAMPLE,
		.id = id,
		.at = {FEED_START + S / 2},
		.kind = KERNEL_CLASS_TCP,
		.family = AF_INET,
		.protocol = IPPROTO_TCP,
		.address = {192, 0, 2, 1},
		.peer = {192, 0, 2, 2},
		.port = 40000,
		.peer_port = 443,
		.state = TCP_ESTABLISHED,
		.opened = KERNEL_OPENED_ACTIVE,
		.connections = 1,
		.established = {FEED_START + 1},
		.traffic = {tx, rx, 1, 1},
		.creator = alice,
		.last_sender = 0,
		.last_receiver = 0,
		.owner_count = 1,
		.owners = {{alice, {tx, rx, 1, 1}}},
	};

	return record;
}

static void bucket(const struct kernel_sockets_visitor *visitor, uint32_t index,
		   struct kernel_process_key key, uint64_t socket, uint64_t tx,
		   uint64_t rx)
{
	struct kernel_bucket row = {
		.index = index,
		.kind = socket ? KERNEL_CLASS_TCP : KERNEL_CLASS_UNIX,
		.key = key,
		.socket = socket,
		.traffic = {tx, rx, tx > 0, rx > 0},
	};

	visitor->bucket(visitor->context, &row);
}

/* Alice on a connection, Bob on Unix sockets. */
static void moves_some(void *context,
		       const struct kernel_sockets_visitor *visitor)
{
	struct feed *feed = context;
	struct kernel_socket record = connection(1, 1000, 300);
	struct kernel_process_bytes bytes = {
		.key = bob, .traffic = {[KERNEL_CLASS_UNIX] = {70, 7, 1, 1}}};

	visitor->socket(visitor->context, &record);
	visitor->bytes(visitor->context, &bytes);
	bucket(visitor, 0, alice, 1, 600, 0);
	bucket(visitor, 0, bob, 0, 70, 7);
	bucket(visitor, 3, alice, 1, 400, 0);
	bucket(visitor, 3, alice, 1, 0, 300);
	feed->counters.calls_tx_bytes = 1070;
	feed->counters.calls_rx_bytes = 307;
	feed->counters.bucket_events = feed->counters.bucket_submitted =
		feed->counters.bucket_consumed = 4;
}

static void joins_bytes_to_processes(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;
	const struct watch_process *process;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	feed.steps[0] = moves_some;
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 2 * S});
	run_to_end(watch);
	process = process_of(watch, alice);
	assert_non_null(process);
	assert_int_equal(process->traffic.tx_bytes, 1000);
	assert_int_equal(process->traffic.rx_bytes, 300);
	assert_int_equal(process->classes[KERNEL_CLASS_TCP].tx_bytes, 1000);
	assert_int_equal(process->connections_active, 1);
	assert_int_equal(process->connections_max, 1);
	assert_int_equal(process->peak_tx_bytes, 600);
	assert_int_equal(process->peak_rx_bytes, 300);
	assert_true(process->exact);
	process = process_of(watch, bob);
	assert_non_null(process);
	assert_int_equal(process->classes[KERNEL_CLASS_UNIX].tx_bytes, 70);
	assert_int_equal(process->classes[KERNEL_CLASS_UNIX].rx_bytes, 7);
	all_hold(watch);
	assert_int_equal(told.samples, 1);
	assert_int_equal(told.socket_count, 1);
	assert_false(told.sockets[0].ended);
	watch_close(watch);
	assert_int_equal(feed.opened, feed.closed);
}

static void every_interval_is_told_once_and_in_order(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	feed.steps[0] = moves_some;
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 2 * S});
	run_to_end(watch);
	assert_int_equal(told.interval_count, 20);
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(told.intervals[i].index, i);
		assert_int_equal(told.intervals[i].offset_ns, i * 100 * MS);
		assert_int_equal(told.intervals[i].duration_ns, 100 * MS);
		assert_int_equal(told.intervals[i].flags, 0);
	}
	assert_int_equal(told.intervals[0].traffic.tx_bytes, 670);
	assert_int_equal(told.intervals[0].row_count, 2);
	assert_int_equal(told.intervals[1].row_count, 0);
	/* Two buckets of one key are one row. */
	assert_int_equal(told.intervals[3].row_count, 1);
	assert_int_equal(told.first_row[3].tx_bytes, 400);
	assert_int_equal(told.first_row[3].rx_bytes, 300);
	watch_close(watch);
}

static void what_the_end_came_late_is_the_last_intervals(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	feed.stop_late_ns = 700000;
	watch = watch_of(
		&feed, &told,
		(struct watch_options){.kernel = {.interval_ns = 10 * MS},
				       .duration_ns = 3 * S});
	run_to_end(watch);
	assert_int_equal(told.interval_count, 300);
	assert_int_equal(told.intervals[299].duration_ns, 10 * MS + 700000);
	assert_int_equal(mono_ns_between(watch_start(watch), watch_end(watch)),
			 3 * S + 700000);
	assert_true(watch_done(watch));
	all_hold(watch);
	watch_close(watch);
}

static void an_interrupt_keeps_what_was_measured(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	feed.steps[0] = moves_some;
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 60 * S});
	while (watch_elapsed_ns(watch) < 1250 * MS)
		(void)watch_turn(watch, 10);
	watch_stop(watch);
	run_to_end(watch);
	assert_false(watch_done(watch));
	assert_int_equal(told.interval_count, 13);
	assert_true(told.intervals[12].duration_ns > 0);
	assert_true(told.intervals[12].duration_ns <= 100 * MS);
	assert_int_equal(process_of(watch, alice)->traffic.tx_bytes, 1000);
	all_hold(watch);
	watch_close(watch);
}

/* ------------------------------------------------------------- the ledger */

static void a_residue_is_found_with_its_size(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;
	struct watch_identity row;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	feed.steps[0] = moves_some;
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 4 * S});
	while (watch_turn(watch, 1000) == 0)
		;
	feed.counters.calls_tx_bytes += 5;
	feed.counters.bucket_events += 1;
	run_to_end(watch);
	row = identity_of(watch, "calls_tx_bytes");
	assert_false(row.holds);
	assert_int_equal(row.left - row.right, 5);
	/* At the first reading after it both could still be on their way. */
	assert_int_equal(row.turns_failed, 2);
	assert_false(identity_of(watch, "buckets_tx_bytes").holds);
	assert_false(identity_of(watch, "bucket_seen").holds);
	assert_true(identity_of(watch, "calls_rx_bytes").holds);
	assert_true(identity_of(watch, "owners_tx_bytes").holds);
	watch_close(watch);
}

/* The newest record is of the second connection when the first one's end
 * comes. */
static void connects_again(void *context,
			   const struct kernel_sockets_visitor *visitor)
{
	struct kernel_socket record = connection(1, 1000, 300);

	(void)context;
	record.connections = 2;
	record.at.ns = FEED_START + S;
	visitor->socket(visitor->context, &record);
	record = connection(1, 400, 100);
	record.event = KERNEL_SOCKET_CLOSED;
	record.why = KERNEL_CLOSE_RESET;
	record.at.ns = FEED_START + S / 4;
	visitor->socket(visitor->context, &record);
}

static void ends_again(void *context,
		       const struct kernel_sockets_visitor *visitor)
{
	struct kernel_socket record = connection(1, 1600, 300);

	(void)context;
	record.connections = 2;
	record.event = KERNEL_SOCKET_END;
	record.why = KERNEL_CLOSE_FIN;
	record.at.ns = FEED_START + S + S / 2;
	visitor->socket(visitor->context, &record);
}

static void lines_of_a_socket_add_up(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	feed.steps[0] = connects_again;
	feed.steps[1] = ends_again;
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 3 * S});
	run_to_end(watch);
	assert_int_equal(told.socket_count, 2);
	assert_int_equal(told.sockets[0].kernel->why, KERNEL_CLOSE_RESET);
	assert_int_equal(told.sockets[0].traffic.tx_bytes, 400);
	assert_int_equal(told.sockets[0].owner_traffic[0].rx_bytes, 100);
	assert_int_equal(told.sockets[1].kernel->why, KERNEL_CLOSE_FIN);
	assert_int_equal(told.sockets[1].traffic.tx_bytes, 1200);
	assert_int_equal(told.sockets[1].owner_traffic[0].rx_bytes, 200);
	assert_true(told.sockets[1].ended);
	assert_int_equal(process_of(watch, alice)->traffic.tx_bytes, 1600);
	assert_int_equal(process_of(watch, alice)->connections_active, 2);
	assert_true(identity_of(watch, "owners_tx_bytes").holds);
	watch_close(watch);
}

static void fails_twice(void *context,
			const struct kernel_sockets_visitor *visitor)
{
	struct kernel_socket record = connection(1, 0, 0);

	(void)context;
	record.event = KERNEL_SOCKET_CLOSED;
	record.state = TCP_CLOSE;
	record.why = KERNEL_CLOSE_REFUSED;
	record.established.ns = 0;
	record.owner_count = 0;
	visitor->socket(visitor->context, &record);
	record.event = KERNEL_SOCKET_END;
	visitor->socket(visitor->context, &record);
	record.id = 2;
	record.why = KERNEL_CLOSE_GIVEN_UP;
	visitor->socket(visitor->context, &record);
}

static void a_failed_connect_counts_once(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	feed.steps[0] = fails_twice;
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 2 * S});
	run_to_end(watch);
	assert_int_equal(process_of(watch, alice)->connections_failed, 1);
	assert_int_equal(process_of(watch, alice)->connections_active, 2);
	assert_int_equal(process_of(watch, alice)->sockets, 2);
	assert_int_equal(told.socket_count, 2);
	watch_close(watch);
}

/* Its end was lost: the buckets know what it moved. */
static void loses_an_end(void *context,
			 const struct kernel_sockets_visitor *visitor)
{
	struct feed *feed = context;
	struct kernel_socket record = connection(1, 100, 0);

	visitor->socket(visitor->context, &record);
	bucket(visitor, 0, alice, 1, 100, 0);
	bucket(visitor, 5, alice, 1, 900, 0);
	feed->counters.calls_tx_bytes = 1000;
	feed->counters.end_events = feed->counters.end_refused = 1;
	feed->counters.end_refused_tx_bytes = 1000;
}

static void a_lost_end_costs_no_byte(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;
	const struct watch_process *process;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	feed.steps[0] = loses_an_end;
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 3 * S});
	run_to_end(watch);
	process = process_of(watch, alice);
	assert_int_equal(process->traffic.tx_bytes, 1000);
	assert_true(process->exact);
	all_hold(watch);
	assert_int_equal(told.socket_count, 1);
	assert_true(told.sockets[0].end_lost);
	watch_close(watch);
}

static void loses_both(void *context,
		       const struct kernel_sockets_visitor *visitor)
{
	struct feed *feed = context;
	struct kernel_missed missed = {5, 1, 900, 0};

	loses_an_end(context, visitor);
	visitor->missed(visitor->context, &missed);
	feed->counters.calls_tx_bytes += 900;
	feed->counters.bucket_events = feed->counters.bucket_refused = 1;
	feed->counters.bucket_refused_tx_bytes = 900;
}

static void what_cannot_be_known_is_no_exact_number(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	feed.steps[0] = loses_both;
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 3 * S});
	run_to_end(watch);
	assert_int_equal(process_of(watch, alice)->traffic.tx_bytes, 1000);
	assert_false(process_of(watch, alice)->exact);
	assert_false(identity_of(watch, "calls_tx_bytes").holds);
	assert_true(identity_of(watch, "buckets_tx_bytes").holds);
	watch_close(watch);
}

/* ---------------------------------------------------------------- damage */

static void flags_are(const struct told *told, uint32_t flag, uint32_t first,
		      uint32_t last)
{
	for (size_t i = 0; i < told->interval_count; i++) {
		bool should = i >= first && i <= last;

		if ((told->intervals[i].flags == flag) != should ||
		    (!should && told->intervals[i].flags != 0))
			fail_msg("interval %zu has %u", i,
				 told->intervals[i].flags);
	}
}

static void misses_some(void *context,
			const struct kernel_sockets_visitor *visitor)
{
	struct feed *feed = context;
	struct kernel_missed missed = {4, 3, 50, 5};

	visitor->missed(visitor->context, &missed);
	feed->counters.calls_tx_bytes = 50;
	feed->counters.calls_rx_bytes = 5;
	feed->counters.bucket_events = feed->counters.bucket_refused = 3;
	feed->counters.bucket_refused_tx_bytes = 50;
	feed->counters.bucket_refused_rx_bytes = 5;
}

static void a_missed_bucket_flags_its_interval_alone(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	feed.steps[0] = misses_some;
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 2 * S});
	run_to_end(watch);
	flags_are(&told, WATCH_MISSED, 4, 4);
	assert_int_equal(told.intervals[4].missed_buckets, 3);
	assert_int_equal(told.intervals[4].missed_tx_bytes, 50);
	assert_int_equal(told.intervals[4].missed_rx_bytes, 5);
	assert_int_equal(watch_counters(watch).intervals_damaged, 1);
	assert_true(identity_of(watch, "buckets_tx_bytes").holds);
	watch_close(watch);
}

static void a_late_reader_flags_what_waited_too_long(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 10 * S});
	while (watch_turn(watch, 1000) == 0)
		;
	/* The first reading was at 1 s; the next one is at 6 s and a bit. */
	feed.sleep_late_ns = 5 * S;
	run_to_end(watch);
	assert_int_equal(told.interval_count, 100);
	/* Read at 6.05 s: those that ended before 3.95 s. */
	flags_are(&told, WATCH_LATE, 10, 38);
	assert_int_equal(watch_counters(watch).turns_late, 1);
	all_hold(watch);
	watch_close(watch);
}

static void a_clock_step_flags_the_intervals_around_it(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 3 * S});
	while (watch_elapsed_ns(watch) < 500 * MS)
		(void)watch_turn(watch, 10);
	feed.wall_step_ns = -3600 * S;
	run_to_end(watch);
	assert_int_equal(watch_counters(watch).clock_steps, 1);
	flags_are(&told, WATCH_CLOCK_STEP, 5, 5);
	watch_close(watch);
}

static void a_slow_clock_is_no_step(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 3 * S});
	while (watch_elapsed_ns(watch) < 2500 * MS) {
		feed.wall_step_ns = 20000;
		(void)watch_turn(watch, 100);
	}
	run_to_end(watch);
	assert_int_equal(watch_counters(watch).clock_steps, 0);
	assert_int_equal(watch_counters(watch).intervals_damaged, 0);
	watch_close(watch);
}

static void a_sleep_of_the_machine_is_a_gap(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 3 * S});
	while (watch_elapsed_ns(watch) < 500 * MS)
		(void)watch_turn(watch, 10);
	feed.asleep_ns = 600 * S;
	run_to_end(watch);
	flags_are(&told, WATCH_GAP, 5, 5);
	assert_int_equal(watch_counters(watch).clock_steps, 0);
	assert_int_equal(told.interval_count, 30);
	watch_close(watch);
}

static void a_broken_turn_is_read_again(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	feed.steps[0] = moves_some;
	feed.turn_fails = true;
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 4 * S});
	run_to_end(watch);
	assert_int_equal(watch_counters(watch).turns_failed, 1);
	assert_int_equal(told.interval_count, 40);
	assert_int_equal(told.intervals[0].traffic.tx_bytes, 670);
	all_hold(watch);
	watch_close(watch);
}

/* ---------------------------------------------------------------- limits */

#define MANY 40

static void many_processes(void *context,
			   const struct kernel_sockets_visitor *visitor)
{
	struct feed *feed = context;

	for (uint32_t i = 1; i <= MANY; i++) {
		struct kernel_process_key key = {i, i};
		struct kernel_socket record = connection(i, 10, 0);

		record.creator = record.owners[0].key = key;
		visitor->socket(visitor->context, &record);
		bucket(visitor, i % 5, key, i, 10, 0);
	}
	feed->counters.calls_tx_bytes = 10 * MANY;
}

static void processes_without_room_are_others(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;
	const struct watch_process *others = NULL;
	uint64_t sum = 0;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	feed.steps[0] = many_processes;
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 2 * S,
						.process_limit = 16});
	run_to_end(watch);
	for (size_t i = 0; i < watch_process_slots(watch); i++) {
		const struct watch_process *process =
			watch_process_at(watch, i);

		if (!process)
			continue;
		sum += process->traffic.tx_bytes;
		if (process->others)
			others = process;
	}
	assert_non_null(others);
	assert_false(others->exact);
	assert_int_equal(sum, 10 * MANY);
	assert_int_equal(others->traffic.tx_bytes, 10 * (MANY - 15));
	assert_true(watch_counters(watch).processes_refused > 0);
	all_hold(watch);
	watch_close(watch);
}

static void rows_without_room_are_missed(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;
	uint64_t sum = 0, missed = 0;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	feed.steps[0] = many_processes;
	watch = watch_of(
		&feed, &told,
		(struct watch_options){.duration_ns = 2 * S, .row_limit = 16});
	run_to_end(watch);
	for (size_t i = 0; i < told.interval_count; i++) {
		sum += told.intervals[i].traffic.tx_bytes;
		missed += told.intervals[i].missed_tx_bytes;
		assert_int_equal(told.intervals[i].flags,
				 told.intervals[i].missed_buckets > 0
					 ? WATCH_MISSED
					 : 0);
	}
	assert_int_equal(missed, 10 * (MANY - 16));
	assert_int_equal(sum + missed, 10 * MANY);
	assert_int_equal(
		process_of(watch, (struct kernel_process_key){MANY, MANY})
			->traffic.tx_bytes,
		10);
	all_hold(watch);
	watch_close(watch);
}

static void sockets_without_room_count_at_their_end(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	feed.steps[0] = many_processes;
	feed.steps[1] = ends_again; /* of socket 1, which has the place */
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 3 * S,
						.kernel = {.socket_limit = 1}});
	run_to_end(watch);
	assert_int_equal(watch_counters(watch).sockets_refused, MANY - 1);
	/* The buckets know them all the same. */
	assert_int_equal(
		process_of(watch, (struct kernel_process_key){MANY, MANY})
			->traffic.tx_bytes,
		10);
	watch_close(watch);
}

/* Processes that live for a turn, 12 a turn, on a table of 16. */
static void short_lives(void *context,
			const struct kernel_sockets_visitor *visitor)
{
	struct feed *feed = context;
	uint32_t turn = (uint32_t)feed->step;

	for (uint32_t i = 0; i < 3 && turn < 40; i++) {
		struct kernel_process_key key = {1000 + turn * 10 + i,
						 turn * 10 + i + 1};
		struct kernel_socket record = connection(key.pid, 10, 0);
		struct kernel_process event = {.event = KERNEL_PROCESS_EXIT,
					       .key = key};

		record.creator = record.owners[0].key = key;
		record.event = KERNEL_SOCKET_END;
		visitor->socket(visitor->context, &record);
		visitor->process(visitor->context, &event);
		bucket(visitor, turn * 10, key, key.pid, 10, 0);
		feed->counters.calls_tx_bytes += 10;
	}
}

static void ended_processes_make_room(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	for (int i = 0; i < FEED_STEPS; i++)
		feed.steps[i] = short_lives;
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 50 * S,
						.process_limit = 32});
	run_to_end(watch);
	assert_int_equal(watch_counters(watch).processes_refused, 0);
	assert_true(told.processes > 80);
	all_hold(watch);
	watch_close(watch);
}

/* --------------------------------------------------------------- filters */

static void two_ports(void *context,
		      const struct kernel_sockets_visitor *visitor)
{
	struct kernel_socket record = connection(1, 1000, 300);

	moves_some(context, visitor);
	record = connection(2, 50, 20);
	record.peer_port = 80;
	visitor->socket(visitor->context, &record);
	bucket(visitor, 0, alice, 2, 50, 20);
}

static void a_port_shows_its_sockets_bytes_alone(void **state)
{
	static const uint16_t ports[] = {80};
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	feed.steps[0] = two_ports;
	watch = watch_of(&feed, &told,
			 (struct watch_options){
				 .duration_ns = 2 * S,
				 .filter = {.ports = ports, .port_count = 1}});
	run_to_end(watch);
	assert_int_equal(process_of(watch, alice)->traffic.tx_bytes, 50);
	assert_null(process_of(watch, bob));
	assert_int_equal(told.socket_count, 1);
	assert_int_equal(told.sockets[0].kernel->id, 2);
	assert_int_equal(told.intervals[0].traffic.tx_bytes, 50);
	assert_int_equal(told.intervals[3].traffic.tx_bytes, 0);
	watch_close(watch);
}

static void a_pid_shows_that_process_alone(void **state)
{
	static const uint32_t pids[] = {200};
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	feed.steps[0] = moves_some;
	watch = watch_of(&feed, &told,
			 (struct watch_options){
				 .duration_ns = 2 * S,
				 .filter = {.pids = pids, .pid_count = 1}});
	run_to_end(watch);
	assert_null(process_of(watch, alice));
	assert_int_equal(process_of(watch, bob)->traffic.tx_bytes, 70);
	assert_int_equal(told.socket_count, 0);
	assert_int_equal(told.intervals[0].traffic.tx_bytes, 70);
	assert_int_equal(told.intervals[0].row_count, 1);
	/* The proof is of everything. */
	all_hold(watch);
	watch_close(watch);
}

static void rows_of_sockets_where_they_are_wanted(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;

	(void)state;
	feed_init(&feed);
	feed.context = &feed;
	feed.steps[0] = two_ports;
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 2 * S,
						.per_socket = true});
	run_to_end(watch);
	assert_int_equal(told.intervals[0].row_count, 3);
	assert_int_equal(told.intervals[0].traffic.tx_bytes, 720);
	watch_close(watch);
}

static void drops_some(void *context,
		       const struct kernel_sockets_visitor *visitor)
{
	struct kernel_drop drop = {.reason = 7,
				   .rx = true,
				   .socket = 1,
				   .owner = alice,
				   .owned = true,
				   .packets = 3,
				   .bytes = 300};

	(void)context;
	visitor->drop(visitor->context, &drop);
	drop.packets = 5;
	drop.bytes = 500;
	visitor->drop(visitor->context, &drop);
	drop.rx = false;
	drop.packets = 1;
	drop.owned = false;
	visitor->drop(visitor->context, &drop);
}

static void drops_are_their_owners(void **state)
{
	struct feed feed;
	struct told told;
	struct watch *watch;
	struct watch_drop drop;

	(void)state;
	feed_init(&feed);
	feed.steps[0] = drops_some;
	watch = watch_of(&feed, &told,
			 (struct watch_options){.duration_ns = 2 * S});
	run_to_end(watch);
	assert_int_equal(watch_drop_count(watch), 2);
	assert_true(watch_drop_at(watch, 0, &drop));
	assert_int_equal(drop.kernel.packets, 5);
	assert_string_equal(drop.name, "SEVEN");
	assert_int_equal(drop.owner.key.pid, 100);
	assert_int_equal(process_of(watch, alice)->drop_packets, 5);
	watch_close(watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins_bytes_to_processes),
		cmocka_unit_test(every_interval_is_told_once_and_in_order),
		cmocka_unit_test(what_the_end_came_late_is_the_last_intervals),
		cmocka_unit_test(an_interrupt_keeps_what_was_measured),
		cmocka_unit_test(a_residue_is_found_with_its_size),
		cmocka_unit_test(lines_of_a_socket_add_up),
		cmocka_unit_test(a_failed_connect_counts_once),
		cmocka_unit_test(a_lost_end_costs_no_byte),
		cmocka_unit_test(what_cannot_be_known_is_no_exact_number),
		cmocka_unit_test(a_missed_bucket_flags_its_interval_alone),
		cmocka_unit_test(a_late_reader_flags_what_waited_too_long),
		cmocka_unit_test(a_clock_step_flags_the_intervals_around_it),
		cmocka_unit_test(a_slow_clock_is_no_step),
		cmocka_unit_test(a_sleep_of_the_machine_is_a_gap),
		cmocka_unit_test(a_broken_turn_is_read_again),
		cmocka_unit_test(processes_without_room_are_others),
		cmocka_unit_test(rows_without_room_are_missed),
		cmocka_unit_test(sockets_without_room_count_at_their_end),
		cmocka_unit_test(ended_processes_make_room),
		cmocka_unit_test(a_port_shows_its_sockets_bytes_alone),
		cmocka_unit_test(a_pid_shows_that_process_alone),
		cmocka_unit_test(rows_of_sockets_where_they_are_wanted),
		cmocka_unit_test(drops_are_their_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
