/* The afpacket backend over several interfaces, several members, and
 * super-frames. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "live.h"
#include "net.h"

/* --- any -------------------------------------------------------------- */

#define NAMES_MAX 8

/* Incoming frames by the name of their interface. */
struct tally {
	const struct capture *capture;
	char names[NAMES_MAX][16];
	uint32_t counts[NAMES_MAX];
};

static void tally_add(void *context, const struct frame *frame)
{
	struct tally *tally = context;
	const char *name = capture_interface(tally->capture, frame->interface);

	assert_non_null(name);
	if (frame->outgoing)
		return;
	for (int i = 0; i < NAMES_MAX; i++) {
		if (!tally->counts[i])
			snprintf(tally->names[i], 16, "%s", name);
		if (strcmp(tally->names[i], name) == 0) {
			tally->counts[i]++;
			return;
		}
	}
	fail_msg("too many interfaces: %s", name);
}

static uint32_t tally_of(const struct tally *tally, const char *name)
{
	for (int i = 0; i < NAMES_MAX; i++) {
		if (strcmp(tally->names[i], name) == 0)
			return tally->counts[i];
	}
	return 0;
}

static void send_on(const char *interface, uint32_t count)
{
	int sender = net_sender(interface);

	net_send(sender, &net_plain, count);
	close(sender);
}

static void any_sees_interfaces_that_come_later(void **state)
{
	struct capture *capture = live_open("any", AFPACKET());
	struct tally tally = {.capture = capture};

	(void)state;
	send_on("v0", 10);
	net_ip("link add w0 type veth peer name w1");
	net_up("w0", "w1");
	send_on("w0", 20);
	send_on("w1", 30);
	live_drain(capture, tally_add, &tally);
	assert_int_equal(tally_of(&tally, "v1"), 10);
	assert_int_equal(tally_of(&tally, "w1"), 20);
	assert_int_equal(tally_of(&tally, "w0"), 30);
	assert_int_equal(capture_stats(capture).received, 120);
	capture_close(capture);
}

static void any_tells_a_number_from_its_next_owner(void **state)
{
	struct capture *capture = live_open("any", AFPACKET());
	struct tally tally = {.capture = capture};

	(void)state;
	net_ip("link add a0 index 501 type veth peer name a1 index 502");
	net_up("a0", "a1");
	send_on("a0", 5); /* read only after it is gone */
	net_ip("link set a1 down");
	net_ip("link set a1 name renamed");
	live_drain(capture, tally_add, &tally);
	net_up("a0", "renamed");
	send_on("a0", 6);
	live_drain(capture, tally_add, &tally);
	net_ip("link del a0");
	net_ip("link add b0 index 501 type veth peer name b1 index 502");
	net_up("b0", "b1");
	send_on("b0", 7);
	live_drain(capture, tally_add, &tally);
	assert_int_equal(tally_of(&tally, "a1"), 5);
	assert_int_equal(tally_of(&tally, "renamed"), 6);
	assert_int_equal(tally_of(&tally, "b1"), 7);
	capture_close(capture);
}

static void any_names_an_interface_that_is_gone(void **state)
{
	struct capture *capture = live_open("any", AFPACKET());
	struct tally tally = {.capture = capture};

	(void)state;
	net_ip("link add c0 type veth peer name c1");
	net_up("c0", "c1");
	send_on("c0", 5);
	net_ip("link del c0");
	live_drain(capture, tally_add, &tally);
	assert_int_equal(tally_of(&tally, "c1"), 5);
	capture_close(capture);
}

/* UDP over loopback by sockets, so that frames leave and arrive. */
static void talk_over_loopback(uint32_t count)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(2000)};
	int to = socket(AF_INET, SOCK_DGRAM, 0);
	int from = socket(AF_INET, SOCK_DGRAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(to, (void *)&address, sizeof address), 0);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(sendto(from, &i, sizeof i, 0, (void *)&address,
					sizeof address),
				 sizeof i);
	close(from);
	close(to);
}

static void loopback_frames_are_seen_once(void **state)
{
	static const char *const targets[] = {"lo", "any"};

	(void)state;
	net_ip("link set lo up");
	for (size_t i = 0; i < 2; i++) {
		struct capture *capture = live_open(targets[i], AFPACKET());
		struct tally tally = {.capture = capture};
		struct capture_counters counters;

		talk_over_loopback(50);
		assert_int_equal(live_drain(capture, tally_add, &tally), 50);
		assert_int_equal(tally_of(&tally, "lo"), 50);
		counters = capture_stats(capture);
		assert_int_equal(counters.received, 50);
		assert_int_equal(counters.dropped_kernel, 0);
		capture_close(capture);
	}
}

/* --- fanout ----------------------------------------------------------- */

#define MEMBERS 3

static void members_open(const char *target, struct capture **captures)
{
	for (uint16_t i = 0; i < MEMBERS; i++)
		captures[i] = live_open(
			target, AFPACKET(.worker = i, .worker_count = MEMBERS,
					 .fanout_group = 4711));
}

/* Which member gets a frame sent on 'sender'; exactly one does. */
static int member_of(struct capture *const *captures, int sender,
		     const struct net_frame *frame)
{
	int member = -1;

	net_send(sender, frame, 1);
	for (int turn = 0; turn < 20 && member < 0; turn++) {
		for (int i = 0; i < MEMBERS; i++) {
			struct frame got;

			if (capture_next(captures[i], 5, 1, &got) != 1)
				continue;
			assert_int_equal(member, -1);
			member = i;
			capture_release(captures[i], &got, 1);
		}
	}
	assert_true(member >= 0);
	return member;
}

static void a_flow_and_its_fragments_stay_together(void **state)
{
	struct capture *captures[MEMBERS];
	int senders[2] = {net_sender("v0"), net_sender("v1")};
	uint32_t by_member[MEMBERS] = {0};

	(void)state;
	members_open("v1", captures);
	for (uint32_t flow = 0; flow < 24; flow++) {
		struct net_frame frame = net_plain;
		struct net_frame back;
		int member;

		frame.source += flow * 7;
		frame.target += flow << 16;
		frame.tags[0] = flow % 3 > 0 ? 10 : 0;
		frame.tags[1] = flow % 3 > 1 ? 20 : 0;
		back = frame;
		back.source = frame.target;
		back.target = frame.source;
		back.source_port = 99;
		member = member_of(captures, senders[0], &frame);
		assert_int_equal(member_of(captures, senders[1], &back),
				 member);
		frame.fragment = 0x2000;
		assert_int_equal(member_of(captures, senders[0], &frame),
				 member);
		frame.fragment = 0x0005;
		assert_int_equal(member_of(captures, senders[0], &frame),
				 member);
		by_member[member]++;
	}
	for (int i = 0; i < MEMBERS; i++) {
		assert_true(by_member[i] > 0);
		capture_close(captures[i]);
	}
	close(senders[0]);
	close(senders[1]);
}

static void members_together_have_every_frame_once(void **state)
{
	enum { FLOWS = 50, EACH = 400 };
	struct capture *captures[MEMBERS];
	uint64_t received = 0;
	uint64_t dropped = 0;
	int sender = net_sender("v0");

	(void)state;
	members_open("v1", captures);
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct net_frame frame = net_plain;

		frame.source += i;
		net_send(sender, &frame, EACH);
	}
	for (int i = 0; i < MEMBERS; i++) {
		struct capture_counters counters;

		live_drain(captures[i], NULL, NULL);
		counters = capture_stats(captures[i]);
		assert_true(counters.received > 0);
		received += counters.received;
		dropped += counters.dropped_kernel;
		capture_close(captures[i]);
	}
	assert_int_equal(received + dropped, FLOWS * EACH);
	assert_int_equal(dropped, 0);
	close(sender);
}

static void a_group_takes_in_nothing_until_it_is_complete(void **state)
{
	struct capture *first;
	struct capture *second;
	int sender = net_sender("v0");

	(void)state;
	first = live_open("v1", AFPACKET(.worker = 0, .worker_count = 2,
					 .fanout_group = 9));
	net_send(sender, &net_plain, 10);
	assert_int_equal(live_drain(first, NULL, NULL), 0);
	second = live_open("v1", AFPACKET(.worker = 1, .worker_count = 2,
					  .fanout_group = 9));
	net_send(sender, &net_plain, 10);
	assert_int_equal(live_drain(first, NULL, NULL) +
				 live_drain(second, NULL, NULL),
			 10);
	capture_close(first);
	capture_close(second);
	close(sender);
}

/* --- super-frames ----------------------------------------------------- */

#define BYTES_SENT (4 << 20)

/* A process with a namespace of its own that takes v1 and what is sent to
 * it over TCP. */
static pid_t receiver_start(int ready[2])
{
	pid_t pid = fork();
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(2000)};
	static char bytes[65536];
	int listener;
	int talk;

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!net_enter() || write(ready[1], "n", 1) != 1 ||
	    read(ready[0], bytes, 1) != 1)
		_exit(1);
	if (!net_run("ip link set v1 up && ip addr add 192.0.2.2/24 dev v1"))
		_exit(1);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (void *)&address, sizeof address) ||
	    listen(listener, 1) || write(ready[1], "l", 1) != 1)
		_exit(1);
	talk = accept(listener, NULL, NULL);
	while (read(talk, bytes, sizeof bytes) > 0)
		;
	_exit(0);
}

static void transfer(void)
{
	static char bytes[65536];
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(2000)};
	int talk = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(0xc0000202);
	assert_int_equal(connect(talk, (void *)&address, sizeof address), 0);
	for (int sent = 0; sent < BYTES_SENT; sent += (int)sizeof bytes)
		assert_int_equal(send(talk, bytes, sizeof bytes, 0),
				 sizeof bytes);
	close(talk);
}

struct supers {
	uint32_t supers;
	uint64_t payload; /* of TCP, that left */
};

static void supers_add(void *context, const struct frame *frame)
{
	struct supers *supers = context;
	const uint8_t *ip = frame->bytes + 14;
	uint32_t headers;

	if (!frame->outgoing || frame->bytes[12] != 8 || frame->bytes[13])
		return;
	headers = 14 + 20 + (uint32_t)(ip[32] >> 4) * 4;
	supers->payload += frame->size - headers;
	assert_int_equal(frame->gso_size > 0, frame->size > 1514);
	if (!frame->gso_size)
		return;
	assert_int_equal(frame->gso_size, 1500 - (headers - 14));
	supers->supers++;
}

static void knows_super_frames_and_their_segment_size(void **state)
{
	int ready[2];
	struct supers supers = {0};
	struct capture *capture;
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ready), 0);
	pid = receiver_start((int[2]){ready[0], ready[0]});
	assert_int_equal(read(ready[1], &byte, 1), 1);
	net_ip("link set v1 netns %d", (int)pid);
	net_ip("addr add 192.0.2.1/24 dev v0");
	assert_int_equal(write(ready[1], "v", 1), 1);
	assert_int_equal(read(ready[1], &byte, 1), 1);
	capture = live_open("v0", AFPACKET());
	transfer();
	live_drain(capture, supers_add, &supers);
	assert_int_equal(supers.payload, BYTES_SENT);
	assert_true(supers.supers > 0);
	capture_close(capture);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(any_sees_interfaces_that_come_later,
				       net_setup),
		cmocka_unit_test_setup(any_tells_a_number_from_its_next_owner,
				       net_setup),
		cmocka_unit_test_setup(any_names_an_interface_that_is_gone,
				       net_setup),
		cmocka_unit_test_setup(loopback_frames_are_seen_once,
				       net_setup),
		cmocka_unit_test_setup(a_flow_and_its_fragments_stay_together,
				       net_setup),
		cmocka_unit_test_setup(members_together_have_every_frame_once,
				       net_setup),
		cmocka_unit_test_setup(
			a_group_takes_in_nothing_until_it_is_complete,
			net_setup),
		cmocka_unit_test_setup(
			knows_super_frames_and_their_segment_size, net_setup),
	};

	if (!net_begin())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
