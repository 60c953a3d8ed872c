/* The afpacket backend when its interface goes and comes back, with and
 * without privilege. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "live.h"
#include "net.h"

static void an_interface_that_goes_down_comes_back(void **state)
{
	struct capture *capture;
	struct capture_counters counters;
	int sender;

	(void)state;
	net_ip("link set v1 down");
	capture = live_open("v1", AFPACKET()); /* down at first: fine */
	assert_int_equal(live_drain(capture, NULL, NULL), 0);
	sender = net_sender("v0");
	for (int i = 0; i < 3; i++) {
		net_up("v0", "v1");
		net_send(sender, &net_plain, 10);
		assert_int_equal(live_drain(capture, NULL, NULL), 10);
		net_ip("link set v1 down");
		assert_int_equal(live_drain(capture, NULL, NULL), 0);
	}
	counters = capture_stats(capture);
	assert_int_equal(counters.received, 30);
	assert_int_equal(counters.dropped_kernel, 0);
	close(sender);
	capture_close(capture);
}

static void follow_a_new_pair(struct capture *const *captures, int count)
{
	uint64_t sum = 0;
	int sender;

	net_ip("link del v0");
	for (int i = 0; i < count; i++)
		assert_int_equal(live_drain(captures[i], NULL, NULL), 0);
	net_pair();
	for (int i = 0; i < 2 * count; i++)
		live_drain(captures[i % count], NULL, NULL);
	sender = net_sender("v0");
	net_send(sender, &net_plain, 10);
	for (int i = 0; i < count; i++)
		sum += live_drain(captures[i], NULL, NULL);
	assert_int_equal(sum, 10);
	close(sender);
}

static void an_interface_that_was_removed_is_found_again(void **state)
{
	struct capture *capture =
		live_open("v1", AFPACKET(.promiscuous = true));

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(net_run("ip -d link show v1 | "
				    "grep -q 'promiscuity 1'"));
		follow_a_new_pair(&capture, 1);
	}
	assert_int_equal(capture_stats(capture).received, 30);
	assert_string_equal(capture_interface(capture, 0), "v1");
	assert_null(capture_interface(capture, 60000));
	capture_close(capture);
}

static void members_of_a_group_find_it_again(void **state)
{
	struct capture *captures[2];
	uint64_t received = 0;

	(void)state;
	for (uint16_t i = 0; i < 2; i++)
		captures[i] =
			live_open("v1", AFPACKET(.worker = i, .worker_count = 2,
						 .fanout_group = 77));
	for (int i = 0; i < 3; i++)
		follow_a_new_pair(captures, 2);
	for (int i = 0; i < 2; i++) {
		received += capture_stats(captures[i]).received;
		capture_close(captures[i]);
	}
	assert_int_equal(received, 30);
}

static void a_group_can_wait_for_its_interface(void **state)
{
	struct capture *captures[2];
	uint64_t received = 0;
	int sender;

	(void)state;
	net_ip("link set v1 down");
	for (uint16_t i = 0; i < 2; i++)
		captures[i] =
			live_open("v1", AFPACKET(.worker = i, .worker_count = 2,
						 .fanout_group = 79));
	net_up("v0", "v1");
	for (int i = 0; i < 4; i++)
		live_drain(captures[i % 2], NULL, NULL);
	sender = net_sender("v0");
	net_send(sender, &net_plain, 10);
	for (int i = 0; i < 2; i++) {
		received += live_drain(captures[i], NULL, NULL);
		capture_close(captures[i]);
	}
	assert_int_equal(received, 10);
	close(sender);
}

static void a_renamed_interface_goes_on_by_its_new_name(void **state)
{
	struct capture *capture = live_open("v1", AFPACKET());
	int sender = net_sender("v0");
	struct frame frame;

	(void)state;
	net_ip("link set v1 down");
	net_ip("link set v1 name w1");
	net_up("v0", "w1");
	assert_int_equal(live_drain(capture, NULL, NULL), 0);
	net_send(sender, &net_plain, 1);
	assert_int_equal(capture_next(capture, 1000, 1, &frame), 1);
	assert_string_equal(capture_interface(capture, frame.interface), "w1");
	assert_string_equal(capture_interface(capture, 0), "v1");
	capture_release(capture, &frame, 1);
	capture_close(capture);
	close(sender);
}

/* Runs 'body' in a process of its own as a user without any privilege; it
 * fails by exit status. */
static void run_unprivileged(void (*body)(void))
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void drop_privileges(void)
{
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		_exit(10);
}

static void open_unprivileged(void)
{
	struct capture_options options = {
		.backend = "afpacket", .target = "v1", .ring_size = 1 << 20};
	struct capture *capture;
	struct fault fault;

	drop_privileges();
	if (capture_open(&options, &capture, &fault) != -EPERM)
		_exit(11);
	if (!strstr(fault.text, "run it as root") ||
	    !strstr(fault.text, "cap_net_raw"))
		_exit(12);
}

static void without_permission_names_the_remedy(void **state)
{
	(void)state;
	run_unprivileged(open_unprivileged);
}

/* Frames of 'captures' until 'count' are there, or 2 s have gone. */
static void wait_for(struct capture *const *captures, int members, int count)
{
	struct frame frames[LIVE_BATCH];

	for (int turn = 0; turn < 200 && count > 0; turn++) {
		for (int i = 0; i < members; i++) {
			int got = capture_next(captures[i], 5, LIVE_BATCH,
					       frames);

			if (got < 0)
				_exit(20 - got);
			capture_release(captures[i], frames, got);
			count -= got;
		}
	}
	if (count)
		_exit(13);
}

/* The parent replaces the pair when told, and sends when told. */
static int wire[2];

static void tell(char what)
{
	char answer;

	if (write(wire[1], &what, 1) != 1 || read(wire[1], &answer, 1) != 1)
		_exit(14);
}

static void follow_unprivileged(void)
{
	struct capture *one = live_open("v1", AFPACKET());
	struct capture *two[2];
	struct frame frame;

	for (uint16_t i = 0; i < 2; i++)
		two[i] =
			live_open("v1", AFPACKET(.worker = i, .worker_count = 2,
						 .fanout_group = 78));
	drop_privileges();
	tell('r');
	for (int turn = 0; turn < 20; turn++) {
		if (capture_next(one, 10, 1, &frame) ||
		    capture_next(two[0], 10, 1, &frame) ||
		    capture_next(two[1], 10, 1, &frame))
			_exit(15);
	}
	tell('s');
	wait_for(&one, 1, 10);
	wait_for(two, 2, 10);
}

static void finds_an_interface_again_without_privilege(void **state)
{
	pid_t pid;
	char what;
	int status = 0;
	int sender = -1;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, wire), 0);
	pid = fork();
	if (pid == 0) {
		close(wire[0]);
		follow_unprivileged();
		_exit(0);
	}
	close(wire[1]);
	while (read(wire[0], &what, 1) == 1) {
		if (what == 'r') {
			net_ip("link del v0");
			net_pair();
		} else {
			sender = net_sender("v0");
			net_send(sender, &net_plain, 10);
		}
		assert_int_equal(write(wire[0], "k", 1), 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(sender);
	close(wire[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_interface_that_goes_down_comes_back,
				       net_setup),
		cmocka_unit_test_setup(
			an_interface_that_was_removed_is_found_again,
			net_setup),
		cmocka_unit_test_setup(members_of_a_group_find_it_again,
				       net_setup),
		cmocka_unit_test_setup(a_group_can_wait_for_its_interface,
				       net_setup),
		cmocka_unit_test_setup(
			a_renamed_interface_goes_on_by_its_new_name, net_setup),
		cmocka_unit_test_setup(without_permission_names_the_remedy,
				       net_setup),
		cmocka_unit_test_setup(
			finds_an_interface_again_without_privilege, net_setup),
	};

	if (!net_begin())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
