#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "engine/engine.h"
#include "engine/make_pcap.h"

#define PACKETS 20000
#define FLOWS   300

struct sink {
	struct flow_record *records;
	size_t count, updates;
};

static struct flow_options run_flow;

static void sink_take(void *context, const struct flow_record *record)
{
	struct sink *sink = context;

	if (record->end_reason == FLOW_END_NONE) {
		sink->updates++;
		return;
	}
	if ((sink->count & (sink->count - 1)) == 0) { /* it is full */
		size_t room = sink->count ? 2 * sink->count : 1;

		sink->records =
			realloc(sink->records, room * sizeof *sink->records);
		assert_non_null(sink->records);
	}
	memset(&sink->records[sink->count], 0, sizeof *record);
	memcpy(&sink->records[sink->count++], record,
	       flow_record_size(&run_flow));
}

/* By tuple, then in the order of one flow's records. */
static int by_flow(const void *a, const void *b)
{
	const struct flow_record *left = a, *right = b;
	int order = memcmp(&left->tuple, &right->tuple,
			   sizeof(struct packet_tuple));

	return order ? order : (left->seq > right->seq) * 2 - 1;
}

/* Metering 'target' into 'sink', under way. */
static struct engine *started(const char *backend, const char *target,
			      uint16_t workers, struct sink *sink)
{
	struct engine_options options = {.targets = &target,
					 .target_count = 1,
					 .backend = backend,
					 .workers = workers,
					 .flow = run_flow,
					 .meter = true,
					 .flush = true,
					 .record = sink_take,
					 .context = sink};
	struct engine *engine;
	struct fault fault;

	*sink = (struct sink){0};
	assert_int_equal(engine_create(&options, &engine, &fault), 0);
	assert_int_equal(engine_start(engine), 0);
	return engine;
}

/* Collects to the end; the ledger adds up. */
static void finish(struct engine *engine, struct engine_ledger *ledger)
{
	struct fault fault;
	int rc;

	while ((rc = engine_collect(engine, 100)) != ERR_END)
		assert_true(rc >= 0);
	engine_ledger(engine, ledger);
	if (!engine_ledger_sound(ledger, &fault))
		fail_msg("%s", fault.text);
}

/* Runs to the end; the records come sorted by tuple. */
static void run(const char *backend, const char *target, uint16_t workers,
		struct sink *sink, struct engine_ledger *ledger)
{
	struct engine *engine = started(backend, target, workers, sink);

	assert_int_equal(engine_start(engine), ERR_STATE);
	finish(engine, ledger);
	assert_null(engine_fault(engine, 0));
	engine_destroy(engine);
	qsort(sink->records, sink->count, sizeof *sink->records, by_flow);
}

/* As many workers as that give the records that one gave. */
static void run_same(const char *path, uint16_t workers, struct sink *one,
		     struct engine_ledger *ledger)
{
	struct sink many;

	run(NULL, path, workers, &many, ledger);
	assert_int_equal(many.count, one->count);
	for (size_t i = 0; i < one->count; i++) {
		struct flow_record *a = &one->records[i];
		struct flow_record *b = &many.records[i];

		a->epoch = b->epoch = a->seq = b->seq = 0;
		assert_memory_equal(a, b, sizeof *a);
	}
	free(many.records);
}

/* A new capture file, its head written. */
static FILE *file_begin(char path[static 32])
{
	FILE *file;
	int fd;

	(void)snprintf(path, 32, "/tmp/sonde-engine-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	file = fdopen(fd, "wb");
	assert_non_null(file);
	pcap_head(file);
	return file;
}

#define FIFO_PATH   "/tmp/sonde-fifo-XXXXXX/pipe"
#define FIFO_FOLDER 22 /* so long is the folder's name */

/* 'path' is FIFO_PATH and becomes the pipe's. */
static void fifo_make(char *path)
{
	path[FIFO_FOLDER] = 0;
	assert_non_null(mkdtemp(path));
	path[FIFO_FOLDER] = '/';
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void fifo_remove(char *path)
{
	unlink(path);
	path[FIFO_FOLDER] = 0;
	rmdir(path);
}

static void meters_every_frame_and_the_ledger_adds_up(void **state)
{
	struct engine_ledger ledger;
	struct sink sink;

	(void)state;
	run("null", "100000", 1, &sink, &ledger);
	assert_int_equal(sink.count, 1);
	assert_int_equal(sink.records[0].packets[0], 100000);
	assert_int_equal(sink.records[0].bytes[0], 4600000);
	assert_int_equal(ledger.capture.received, 100000);
	assert_int_equal(ledger.verdicts[VERDICT_OK], 100000);
	assert_int_equal(ledger.engine.records, 1);
	free(sink.records);
}

static void gives_the_same_records_with_any_number_of_workers(void **state)
{
	struct engine_ledger ledger;
	struct sink one;
	char path[32];

	(void)state;
	pcap_file(path, PACKETS, FLOWS);
	run(NULL, path, 1, &one, &ledger);
	assert_int_equal(one.count, FLOWS);
	for (uint16_t workers = 2; workers <= 4; workers++)
		run_same(path, workers, &one, &ledger);
	free(one.records);
	unlink(path);
}

/* Frames that come late by less than their flow's timeout, or more: what time
 * it is, is the file's and not the worker's. */
static void late_file(char path[static 32])
{
	uint64_t random = 1;
	FILE *file = file_begin(path);

	for (uint32_t i = 0; i < PACKETS; i++) {
		uint64_t late_ms;

		random = random * UINT64_C(6364136223846793005) + 1;
		late_ms = random >> 60 ? 0 : (random >> 32) % 2000;
		pcap_udp(file,
			 UINT64_C(1700000000000000000) +
				 (i * UINT64_C(10) - late_ms) * 1000000,
			 (uint32_t)(random >> 40) % 120, i & 1);
	}
	assert_int_equal(fclose(file), 0);
}

static void ends_flows_alike_when_frames_come_late(void **state)
{
	struct engine_ledger ledger;
	struct sink one;
	char path[32];

	(void)state;
	late_file(path);
	run_flow.phase_idle_ns[FLOW_PHASE_UDP] = NS_PER_S;
	run_flow.phase_active_ns[FLOW_PHASE_UDP] = 2 * NS_PER_S;
	run(NULL, path, 1, &one, &ledger);
	assert_true(ledger.flow.ended_idle > PACKETS / 10);
	assert_true(ledger.flow.ended_active > 100);
	assert_true(ledger.flow.time_backwards > PACKETS / 20);
	for (uint16_t workers = 2; workers <= 4; workers++)
		run_same(path, workers, &one, &ledger);
	run_flow = (struct flow_options){0};
	free(one.records);
	unlink(path);
}

/* Nine packets in ten are one flow's, and the clock goes back by an hour. */
static void skewed_file(char path[static 32])
{
	uint64_t at_ns = UINT64_C(1700000000000000000);
	FILE *file = file_begin(path);

	for (uint32_t i = 0; i < PACKETS; i++) {
		/* some late by up to 7 ms; idle for longer than a timeout */
		at_ns += i % 5000 == 4999 ? UINT64_C(400000000000) : 1000000;
		if (i == PACKETS / 2)
			at_ns -= UINT64_C(3600000000000);
		pcap_udp(file, at_ns - (i % 11 == 3) * 7000000ULL,
			 i % 10 ? 7 : i / 10 % FLOWS, i % 3 == 0);
	}
	assert_int_equal(fclose(file), 0);
}

static void
elephants_late_packets_and_a_clock_set_back_are_the_same_to_all(void **state)
{
	struct engine_ledger ledger;
	struct sink one;
	char path[32];

	(void)state;
	skewed_file(path);
	run(NULL, path, 1, &one, &ledger);
	assert_true(one.count > FLOWS);
	for (uint16_t workers = 2; workers <= 5; workers++) {
		run_same(path, workers, &one, &ledger);
		assert_int_equal(ledger.engine.decoded, PACKETS);
	}
	free(one.records);
	unlink(path);
}

/* Everything taken is decoded, metered and handed out, however early. */
static void a_stop_in_the_middle_loses_nothing_that_was_taken(void **state)
{
	char path[32];

	(void)state;
	pcap_file(path, PACKETS, FLOWS);
	for (uint16_t workers = 1; workers <= 4; workers++) {
		struct sink sink;
		struct engine_ledger ledger;
		struct engine *engine = started(NULL, path, workers, &sink);

		engine_stop(engine);
		finish(engine, &ledger);
		assert_int_equal(ledger.engine.records, sink.count);
		engine_destroy(engine);
		free(sink.records);
	}
	unlink(path);
}

/* Frames until nobody reads them; of one flow nine in ten. */
static pid_t writer_start(const char *path)
{
	pid_t pid = fork();
	FILE *file;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	file = fopen(path, "wb");
	if (!file)
		_exit(1);
	pcap_head(file);
	for (uint32_t i = 0;; i++)
		pcap_udp(file, UINT64_C(1700000000000000000) + i,
			 i % 10 ? 7 : i / 10 % FLOWS, 0);
}

static void a_stop_deep_in_a_stream_loses_nothing_that_was_taken(void **state)
{
	char path[] = FIFO_PATH;

	(void)state;
	fifo_make(path);
	for (uint16_t workers = 1; workers <= 4; workers++) {
		struct sink sink;
		pid_t writer = writer_start(path);
		struct engine_ledger ledger;
		struct engine *engine = started(NULL, path, workers, &sink);
		uint64_t packets = 0;

		do {
			engine_collect(engine, 10);
			engine_ledger(engine, &ledger);
		} while (ledger.engine.frames < UINT64_C(5) * PACKETS);
		engine_stop(engine);
		finish(engine, &ledger);
		for (size_t i = 0; i < sink.count; i++)
			packets += sink.records[i].packets[0];
		assert_int_equal(packets, ledger.engine.frames);
		engine_destroy(engine);
		free(sink.records);
		assert_int_equal(kill(writer, SIGKILL), 0);
		assert_int_equal(waitpid(writer, NULL, 0), writer);
	}
	fifo_remove(path);
}

/* What was read before the fault is metered, and the fault is told once. */
static void a_cut_file_is_metered_up_to_the_cut(void **state)
{
	char path[32];
	struct stat st;

	(void)state;
	pcap_file(path, PACKETS, FLOWS);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 30), 0);
	for (uint16_t workers = 1; workers <= 4; workers++) {
		struct sink sink;
		struct engine_ledger ledger;
		struct engine *engine = started(NULL, path, workers, &sink);

		finish(engine, &ledger);
		assert_non_null(engine_fault(engine, 0));
		assert_null(engine_fault(engine, 1));
		assert_int_equal(ledger.flow.metered, PACKETS - 1);
		engine_destroy(engine);
		free(sink.records);
	}
	unlink(path);
}

static void refuses_bad_options_and_names_them(void **state)
{
	const char *missing = "nowhere0", *null = "10";
	struct engine_options options = {.targets = &missing,
					 .record = sink_take};
	struct engine *engine;
	struct fault fault;

	(void)state;
	assert_int_equal(engine_create(&options, &engine, &fault), -EINVAL);
	assert_string_equal(fault.text,
			    "nothing to capture from: name an interface or a "
			    "file");
	options.target_count = 1;
	assert_true(engine_create(&options, &engine, &fault) < 0);
	assert_non_null(strstr(fault.text, "nowhere0"));
	options.targets = &null;
	options.backend = "null";
	options.workers = 65;
	assert_int_equal(engine_create(&options, &engine, &fault), -EINVAL);
	assert_non_null(strstr(fault.text, "65 workers"));
	options.workers = 1;
	options.flow.flow_count = 1;
	options.meter = true;
	options.flow.idle_ns = 1; /* out of range: the table says so */
	assert_int_equal(engine_create(&options, &engine, &fault), 0);
	assert_int_equal(engine_start(engine), -EINVAL);
	engine_destroy(engine);
}

/* A pipe that stays open stands for an interface: the engine lives. */
static void answers_updates_and_lookups_while_it_runs(void **state)
{
	char path[] = FIFO_PATH;
	struct engine_ledger ledger;
	struct sink sink;
	struct packet_tuple tuple = {.address = {{10, 0, 0, 5}, {192, 0, 2, 5}},
				     .port = {0x4001, 53},
				     .protocol = 17,
				     .ip_version = 4,
				     .interface = ENGINE_INTERFACE_ANY};
	struct flow_record record;
	struct engine *engine;
	FILE *file;

	(void)state;
	fifo_make(path);
	file = fopen(path, "r+b"); /* both ends: opening does not block */
	assert_non_null(file);
	pcap_head(file);
	for (uint32_t i = 0; i < 100; i++)
		pcap_udp(file, UINT64_C(1700000000000000000) + i, i % 10, 0);
	assert_int_equal(fflush(file), 0);
	engine = started(NULL, path, 0, &sink);
	while (!engine_lookup(engine, &tuple, &record) ||
	       record.packets[0] < 10)
		engine_collect(engine, 10);
	assert_int_equal(record.bytes[0], 460);
	tuple.port[0]++;
	assert_false(engine_lookup(engine, &tuple, &record));

	assert_true(engine_update(engine, (struct wall){INT64_MIN}));
	while (engine_updating(engine) || engine_collect(engine, 0) > 0)
		engine_collect(engine, 10);
	assert_int_equal(sink.updates, 10);
	assert_int_equal(sink.count, 0);
	engine_stop(engine);
	finish(engine, &ledger);
	assert_int_equal(sink.count, 10);
	engine_destroy(engine);
	assert_int_equal(fclose(file), 0);
	free(sink.records);
	fifo_remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(meters_every_frame_and_the_ledger_adds_up),
		cmocka_unit_test(
			gives_the_same_records_with_any_number_of_workers),
		cmocka_unit_test(ends_flows_alike_when_frames_come_late),
		cmocka_unit_test(
			elephants_late_packets_and_a_clock_set_back_are_the_same_to_all),
		cmocka_unit_test(
			a_stop_in_the_middle_loses_nothing_that_was_taken),
		cmocka_unit_test(
			a_stop_deep_in_a_stream_loses_nothing_that_was_taken),
		cmocka_unit_test(a_cut_file_is_metered_up_to_the_cut),
		cmocka_unit_test(refuses_bad_options_and_names_them),
		cmocka_unit_test(answers_updates_and_lookups_while_it_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
