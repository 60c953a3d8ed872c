/* Lives of processes by events alone: an empty root, no /proc at all. */
#include "check.h"
#include "owner/owner.h"

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)
#define WALL   INT64_C(1700000000000000000)

static char root[] = "/tmp/sonde-owner-XXXXXX";

static struct owner_table *create(uint32_t process_max)
{
	struct owner_options options = {.root = root,
					.process_max = process_max,
					.cgroup_max = 16,
					.container_max = 4,
					.wall_of_boot_ns = WALL};
	struct owner_table *table;
	struct fault fault;

	assert_int_equal(owner_table_create(&options, &table, &fault), 0);
	return table;
}

static struct owner_event event_of(uint32_t pid, uint64_t start_ns)
{
	return (struct owner_event){.pid = pid,
				    .start_ns = start_ns,
				    .at_ns = start_ns,
				    .uid = OWNER_UID_UNKNOWN};
}

static void two_milliseconds_are_enough(void **state)
{
	struct owner_table *table = create(0);
	struct owner_event event = event_of(7, 5 * SECOND + 1);
	const struct owner_process *process;
	static struct owner_process_record record;
	char text[64];

	(void)state;
	event.ppid = 3;
	event.uid = 1000;
	event.comm = "sh";
	event.cgroup_id = 77;
	assert_non_null(owner_process_begin(table, &event));
	event.at_ns += MS;
	event.comm = "curl";
	event.filename = "/usr/bin/curl";
	assert_non_null(owner_process_exec(table, &event));
	event.at_ns += MS;
	assert_non_null(owner_process_end(table, &event));

	process = owner_process_find(table, 7, 5 * SECOND + 1);
	assert_non_null(process);
	assert_string_equal(process->comm, "curl");
	assert_string_equal(process->filename, "/usr/bin/curl");
	assert_null(process->exe); /* nobody resolved it: not guessed */
	assert_null(process->command);
	assert_int_equal(process->uid, 1000);
	assert_int_equal(process->ppid, 3);
	assert_int_equal(process->start_ns, 5 * SECOND + 1);
	assert_int_equal(process->end_ns, 5 * SECOND + 1 + 2 * MS);
	assert_int_equal(process->start.ns, WALL + 5 * SECOND + 1);
	assert_int_equal(process->end.ns, WALL + 5 * SECOND + 1 + 2 * MS);
	assert_true(process->ended && process->start_exact);
	assert_null(process->container);
	owner_process_record(process, &record);
	for (size_t i = 0; i < owner_process_fields.count; i++) {
		const struct field_row *row = &owner_process_fields.rows[i];

		field_json(row, &record, text, sizeof text);
		if (strcmp(row->name, "exe") == 0 ||
		    strcmp(row->name, "netns") == 0 ||
		    strcmp(row->name, "container_id") == 0 ||
		    strcmp(row->name, "runtime") == 0)
			assert_string_equal(text, "null");
		if (strcmp(row->name, "cgroup_id") == 0)
			assert_string_equal(text, "77");
	}
	owner_table_destroy(table);
}

static void each_event_alone_is_enough(void **state)
{
	struct owner_table *table = create(0);
	struct owner_event event = event_of(9, SECOND);

	(void)state;
	event.comm = "late";
	assert_non_null(owner_process_end(table, &event));
	assert_true(owner_process_find(table, 9, SECOND)->ended);
	event = event_of(10, SECOND);
	event.filename = "/bin/x";
	assert_non_null(owner_process_exec(table, &event));
	assert_false(owner_process_find(table, 10, SECOND)->ended);
	/* A begin that comes after the exec takes nothing back. */
	event.filename = "/bin/sh";
	event.comm = "sh";
	assert_non_null(owner_process_begin(table, &event));
	assert_string_equal(owner_process_find(table, 10, SECOND)->filename,
			    "/bin/x");
	assert_int_equal(owner_counters(table).processes, 2);
	owner_table_destroy(table);
}

static void a_pid_again_is_another_process(void **state)
{
	struct owner_table *table = create(0);
	struct owner_event first = event_of(5, SECOND);
	struct owner_event second = event_of(5, SECOND + MS); /* one tick */

	(void)state;
	first.comm = "first";
	second.comm = "second";
	owner_process_begin(table, &first);
	owner_process_begin(table, &second); /* the end was not told */
	assert_string_equal(owner_process_find(table, 5, SECOND)->comm,
			    "first");
	assert_true(owner_process_find(table, 5, SECOND)->ended);
	assert_int_equal(owner_process_find(table, 5, SECOND)->end_ns, 0);
	assert_string_equal(owner_process_find(table, 5, SECOND + MS)->comm,
			    "second");
	assert_string_equal(owner_process_find(table, 5, 0)->comm, "second");
	assert_null(owner_process_find(table, 5, SECOND + MS + 1));
	assert_int_equal(owner_counters(table).processes_vanished, 1);
	/* The end, told late, is the first one's. */
	first.at_ns = SECOND + MS / 2;
	owner_process_end(table, &first);
	assert_int_equal(owner_process_find(table, 5, SECOND)->end_ns,
			 SECOND + MS / 2);
	assert_false(owner_process_find(table, 5, 0)->ended);
	/* One that began before is told last. */
	first = event_of(5, SECOND / 2);
	assert_true(owner_process_begin(table, &first)->ended);
	assert_string_equal(owner_process_find(table, 5, 0)->comm, "second");
	owner_table_destroy(table);
}

static void fork_copies_and_exec_forgets(void **state)
{
	struct owner_table *table = create(0);
	struct owner_event parent = event_of(20, SECOND);
	struct owner_event child = event_of(21, 2 * SECOND);
	const struct owner_process *process;

	(void)state;
	parent.exe = "/usr/bin/python3";
	parent.uid = 33;
	parent.comm = "python3";
	owner_process_exec(table, &parent);
	child.ppid = 20;
	child.parent_start_ns = SECOND;
	process = owner_process_begin(table, &child);
	assert_string_equal(process->exe, "/usr/bin/python3");
	assert_string_equal(process->comm, "python3");
	assert_int_equal(process->uid, 33);
	child.at_ns += MS;
	child.filename = "./true";
	child.comm = "true";
	process = owner_process_exec(table, &child);
	assert_null(process->exe);
	assert_string_equal(process->filename, "./true");
	assert_string_equal(process->comm, "true");
	assert_int_equal(process->uid, 33);
	/* A parent of that pid that is another's gives nothing. */
	child = event_of(22, 2 * SECOND);
	child.ppid = 20;
	child.parent_start_ns = SECOND + 1;
	assert_null(owner_process_begin(table, &child)->exe);
	owner_table_destroy(table);
}

static void who_ended_first_is_forgotten_first(void **state)
{
	struct owner_table *table = create(16);
	struct owner_counters counters;

	(void)state;
	for (uint32_t pid = 1; pid <= 16; pid++) {
		struct owner_event event = event_of(pid, pid * SECOND);

		assert_non_null(owner_process_begin(table, &event));
	}
	for (uint32_t pid = 4; pid >= 2; pid--) { /* 4, 3, 2 */
		struct owner_event event = event_of(pid, pid * SECOND);

		owner_process_end(table, &event);
	}
	owner_process_hold(table, owner_process_find(table, 3, 3 * SECOND));
	for (uint32_t pid = 101; pid <= 102; pid++) {
		struct owner_event event = event_of(pid, pid * SECOND);

		assert_non_null(owner_process_begin(table, &event));
	}
	assert_null(owner_process_find(table, 4, 4 * SECOND));
	assert_non_null(owner_process_find(table, 3, 3 * SECOND));
	assert_null(owner_process_find(table, 2, 2 * SECOND));
	/* All others run, or are held. */
	assert_null(owner_process_begin(
		table, &(struct owner_event){.pid = 103, .start_ns = 1}));
	counters = owner_counters(table);
	assert_int_equal(counters.processes, 16);
	assert_int_equal(counters.processes_live, 15);
	assert_int_equal(counters.processes_evicted, 2);
	assert_int_equal(counters.processes_refused, 1);
	owner_process_release(table, owner_process_find(table, 3, 3 * SECOND));
	assert_non_null(owner_process_begin(
		table, &(struct owner_event){.pid = 104, .start_ns = 1}));
	assert_null(owner_process_find(table, 3, 3 * SECOND));
	owner_table_destroy(table);
}

#define ID64                               \
	"00112233445566778899aabbccddeeff" \
	"00112233445566778899aabbccddeeff"

static void cgroup_events_name_a_container(void **state)
{
	struct owner_table *table = create(0);
	struct owner_event event = event_of(30, SECOND);
	const struct owner_container *container;

	(void)state;
	event.cgroup_id = 500;
	owner_process_begin(table, &event);
	assert_null(owner_process_find(table, 30, SECOND)->container);
	owner_cgroup_begin(table, 500, "/docker/" ID64);
	owner_cgroup_begin(table, 501, "/docker/" ID64 "/inner");
	container = owner_container_of(table, 501);
	assert_non_null(container);
	assert_int_equal(container->runtime, OWNER_RUNTIME_DOCKER);
	assert_string_equal(container->id, ID64);
	assert_string_equal(container->cgroup, "/docker/" ID64);
	assert_int_equal(container->cgroup_id, 500);
	assert_string_equal(container->name, "");
	owner_turn(table, (struct mono){SECOND});
	assert_ptr_equal(owner_process_find(table, 30, SECOND)->container,
			 container);
	assert_ptr_equal(owner_find(table, 0, 0, 500).container, container);
	assert_ptr_equal(owner_find(table, 30, SECOND, 0).container, container);
	assert_null(owner_find(table, 31, SECOND, 0).container);
	owner_cgroup_end(table, 500);
	assert_true(container->ended);
	/* The same path again is another cgroup. */
	owner_cgroup_begin(table, 502, "/docker/" ID64);
	assert_int_equal(owner_container_of(table, 502)->cgroup_id, 502);
	assert_false(container->ended);
	assert_true(owner_cgroup_find(table, 500)->ended);
	assert_non_null(owner_container_of_path(table, "/docker/" ID64));
	assert_null(owner_container_of_path(table, "/a.slice/b.service"));
	owner_table_destroy(table);
}

static void containers_beyond_the_limit_are_refused(void **state)
{
	struct owner_table *table = create(0);
	char path[64];

	(void)state;
	for (unsigned int i = 1; i <= 6; i++) {
		snprintf(path, sizeof path, "/lxc.payload.c%u", i);
		owner_cgroup_begin(table, i, path);
	}
	assert_non_null(owner_container_of(table, 4));
	assert_null(owner_container_of(table, 5));
	assert_true(owner_counters(table).containers_refused >= 2);
	assert_int_equal(owner_counters(table).containers, 4);
	/* Cgroups end, go for room, and with them their containers. */
	for (unsigned int i = 1; i <= 6; i++)
		owner_cgroup_end(table, i);
	for (unsigned int i = 100; i < 116; i++) {
		snprintf(path, sizeof path, "/lxc.payload.d%u", i);
		owner_cgroup_begin(table, i, path);
	}
	assert_true(owner_counters(table).cgroups_evicted >= 6);
	assert_true(owner_counters(table).containers_evicted >= 1);
	owner_table_destroy(table);
}

static void texts_beyond_the_limit_are_null(void **state)
{
	struct owner_options options = {.root = root, .text_bytes = 200};
	struct owner_event event = event_of(1, SECOND);
	struct owner_table *table;
	struct fault fault;
	char path[300];

	(void)state;
	memset(path, 'p', sizeof path);
	path[0] = '/';
	path[sizeof path - 1] = 0;
	assert_int_equal(owner_table_create(&options, &table, &fault), 0);
	event.exe = path;
	assert_null(owner_process_exec(table, &event)->exe);
	event.at_ns++;
	event.exe = "/bin/x";
	assert_string_equal(owner_process_exec(table, &event)->exe, "/bin/x");
	assert_int_equal(owner_counters(table).texts_refused, 1);
	owner_table_destroy(table);
}

/* ---- whatever comes ---- */

static uint32_t seed = 1;

static uint32_t dice(uint32_t sides)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % sides;
}

static void any_event(struct owner_table *table)
{
	static const char *const paths[] = {"/",
					    "/docker/" ID64,
					    "/lxc.payload.a",
					    "/lxc.payload.b/x",
					    "/a.slice/b.service",
					    "/lxc.payload.c"};
	struct owner_event event =
		event_of(1 + dice(30), (1 + dice(9)) * 7 * MS + dice(2));

	event.ppid = dice(30);
	event.cgroup_id = dice(20);
	event.at_ns = dice(100) * MS;
	event.exe = dice(2) ? "/bin/one" : NULL;
	event.filename = dice(2) ? paths[dice(6)] : NULL;
	switch (dice(8)) {
	case 0:
	case 1:
		owner_process_begin(table, &event);
		break;
	case 2:
		owner_process_exec(table, &event);
		break;
	case 3:
	case 4:
		owner_process_end(table, &event);
		break;
	case 5:
		owner_cgroup_begin(table, 1 + dice(40), paths[dice(6)]);
		break;
	case 6:
		owner_cgroup_end(table, 1 + dice(40));
		break;
	default:
		(void)owner_find(table, event.pid, event.start_ns,
				 event.cgroup_id);
		break;
	}
}

static void check_table(struct owner_table *table)
{
	struct owner_counters counters = owner_counters(table);
	uint64_t processes = 0, containers = 0;

	for (const struct owner_process *process =
		     owner_process_next(table, NULL);
	     process; process = owner_process_next(table, process)) {
		processes++;
		assert_ptr_equal(owner_process_find(table, process->pid,
						    process->start_ns),
				 process);
	}
	for (const struct owner_container *container =
		     owner_container_next(table, NULL);
	     container; container = owner_container_next(table, container))
		containers++;
	assert_int_equal(processes, counters.processes);
	assert_int_equal(containers, counters.containers);
	assert_int_equal(containers, counters.containers_named +
					     counters.containers_unnamed);
	assert_true(counters.processes <= 16 && counters.cgroups <= 16);
}

static void any_order_of_events_keeps_the_sums(void **state)
{
	struct owner_table *table = create(16);
	const struct owner_process *held = NULL;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		any_event(table);
		if (dice(50) == 0 && held) {
			owner_process_release(table, held);
			held = NULL;
		} else if (dice(50) == 0 && !held) {
			held = owner_process_next(table, NULL);
			if (held)
				owner_process_hold(table, held);
		}
		if (dice(500) == 0)
			owner_turn(table, (struct mono){i * NS_PER_S});
		if (dice(100) == 0)
			check_table(table);
	}
	owner_table_destroy(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_milliseconds_are_enough),
		cmocka_unit_test(each_event_alone_is_enough),
		cmocka_unit_test(a_pid_again_is_another_process),
		cmocka_unit_test(fork_copies_and_exec_forgets),
		cmocka_unit_test(who_ended_first_is_forgotten_first),
		cmocka_unit_test(cgroup_events_name_a_container),
		cmocka_unit_test(containers_beyond_the_limit_are_refused),
		cmocka_unit_test(texts_beyond_the_limit_are_null),
		cmocka_unit_test(any_order_of_events_keeps_the_sums),
	};
	int rc;

	if (!mkdtemp(root))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(root);
	return rc;
}
