/* The afpacket backend on a veth pair: what is sent equals what is received
 * plus what is counted as dropped, byte for byte and frame for frame. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "live.h"
#include "net.h"

/* Numbers that must come without a gap and in order. */
struct sequence {
	uint32_t next;
};

static void sequence_check(void *context, const struct frame *frame)
{
	struct sequence *sequence = context;

	assert_int_equal(net_frame_number(frame->bytes, frame->captured_size),
			 sequence->next);
	sequence->next++;
}

static void gives_out_every_frame_in_order(void **state)
{
	struct capture *capture =
		live_open("v1", AFPACKET(.promiscuous = true));
	struct sequence sequence = {0};
	int sender = net_sender("v0");
	struct capture_counters counters;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct net_frame frame = net_plain;

		frame.number = (uint32_t)i * 1000;
		net_send(sender, &frame, 1000);
		live_drain(capture, sequence_check, &sequence);
	}
	counters = capture_stats(capture);
	assert_int_equal(sequence.next, 20000);
	assert_int_equal(counters.received, 20000);
	assert_int_equal(counters.received_bytes, 20000 * 100);
	assert_int_equal(counters.dropped_kernel, 0);
	close(sender);
	capture_close(capture);
}

static void gives_out_the_bytes_that_were_sent(void **state)
{
	struct capture *capture = live_open("v1", AFPACKET());
	int sender = net_sender("v0");

	(void)state;
	for (uint16_t size = 64; size < 1514; size += 50) {
		struct net_frame frame = net_plain;

		frame.size = size;
		net_send(sender, &frame, 3);
		assert_int_equal(live_drain(capture, live_check_frame, &frame),
				 3);
	}
	close(sender);
	capture_close(capture);
}

static void marks_what_leaves(void **state)
{
	struct capture *capture = live_open("v0", AFPACKET());
	int sender = net_sender("v0");
	struct frame frame;

	(void)state;
	net_send(sender, &net_plain, 1);
	assert_int_equal(capture_next(capture, 1000, 1, &frame), 1);
	assert_true(frame.outgoing);
	assert_string_equal(capture_interface(capture, frame.interface), "v0");
	capture_release(capture, &frame, 1);
	close(sender);
	capture_close(capture);
}

/* Takes what there is until the ring is full of what is held. */
static uint32_t hold_all(struct capture *capture, struct frame *frames,
			 uint32_t max)
{
	uint32_t held = 0;
	int count;

	while ((count = capture_next(capture, LIVE_WAIT_MS, LIVE_BATCH,
				     frames + held)) > 0) {
		held += (uint32_t)count;
		assert_true(held + LIVE_BATCH <= max);
	}
	assert_int_equal(count, 0);
	return held;
}

/* Releases in an order that is neither theirs nor its reverse. */
static void release_scattered(struct capture *capture,
			      const struct frame *frames, uint32_t count)
{
	for (uint32_t step = 0; step < 7; step++) {
		for (uint32_t i = step; i < count; i += 7)
			capture_release(capture, &frames[i], 1);
	}
}

static void drops_and_counts_while_all_is_held(void **state)
{
	enum { SENT = 40000, AFTER = 500 };
	struct capture *capture =
		live_open("v1", AFPACKET(.ring_size = 1 << 20));
	struct frame *frames = calloc(SENT, sizeof *frames);
	struct capture_counters counters;
	struct sequence sequence = {SENT};
	struct net_frame after = net_plain;
	int sender = net_sender("v0");
	uint32_t held = 0;

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		struct net_frame frame = net_plain;

		frame.number = i * SENT / 4;
		net_send(sender, &frame, SENT / 4);
		held += hold_all(capture, frames + held, SENT - held);
	}
	/* all is lent: it does not wait for ever */
	assert_int_equal(capture_next(capture, -1, 1, frames + held), 0);
	counters = capture_stats(capture);
	assert_true(counters.dropped_kernel > 0);
	assert_true(counters.freezes > 0);
	assert_int_equal(counters.received, held);
	assert_int_equal(counters.received + counters.dropped_kernel, SENT);
	for (uint32_t i = 0; i < held; i++) {
		struct net_frame sent = net_plain;

		assert_int_equal(net_frame_number(frames[i].bytes,
						  frames[i].captured_size),
				 i);
		live_check_frame(&sent, &frames[i]);
	}
	release_scattered(capture, frames, held);
	after.number = SENT;
	net_send(sender, &after, AFTER);
	assert_int_equal(live_drain(capture, sequence_check, &sequence), AFTER);
	counters = capture_stats(capture);
	assert_int_equal(counters.received + counters.dropped_kernel,
			 SENT + AFTER);
	free(frames);
	close(sender);
	capture_close(capture);
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void waits_asleep_while_frames_are_held(void **state)
{
	struct capture *capture = live_open("v1", AFPACKET());
	struct frame frames[2];
	int sender = net_sender("v0");
	int64_t cpu;
	int64_t start;

	(void)state;
	net_send(sender, &net_plain, 1);
	assert_int_equal(capture_next(capture, 1000, 1, &frames[0]), 1);
	start = clock_ns(CLOCK_MONOTONIC);
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	assert_int_equal(capture_next(capture, 300, 1, &frames[1]), 0);
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	assert_in_range(clock_ns(CLOCK_MONOTONIC) - start, 299000000,
			2000000000);
	assert_in_range(cpu, 0, 60000000);
	net_send(sender, &net_plain, 1);
	assert_int_equal(capture_next(capture, 1000, 1, &frames[1]), 1);
	capture_release(capture, frames, 2);
	close(sender);
	capture_close(capture);
}

static void a_slow_reader_loses_frames_but_no_count(void **state)
{
	enum { SENT = 300000 };
	struct capture *capture =
		live_open("v1", AFPACKET(.ring_size = 2 << 20));
	struct capture_counters counters;
	struct frame frames[LIVE_BATCH];
	int sender = net_sender("v0");

	(void)state;
	for (uint32_t i = 0; i < SENT / 1000; i++) {
		int count;

		net_send(sender, &net_plain, 1000);
		count = capture_next(capture, 0, LIVE_BATCH, frames);
		capture_release(capture, frames, count);
	}
	live_drain(capture, NULL, NULL);
	counters = capture_stats(capture);
	assert_true(counters.dropped_kernel > 0);
	assert_int_equal(counters.received + counters.dropped_kernel, SENT);
	close(sender);
	capture_close(capture);
}

static void after_a_stop_gives_out_the_rest_and_ends(void **state)
{
	(void)state;
	live_check_rest(AFPACKET());
}

static void puts_vlan_tags_back(void **state)
{
	static const struct net_frame cases[] = {
		{.tags = {100, 0}},
		{.tags = {100, 200}},
		{.tags = {100, 200}, .outer_type = 0x88a8},
		{.tags = {4095, 0}, .outer_type = 0x88a8},
	};
	struct capture *capture = live_open("v1", AFPACKET());
	int sender = net_sender("v0");

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct net_frame frame = net_plain;

		memcpy(frame.tags, cases[i].tags, sizeof frame.tags);
		frame.outer_type = cases[i].outer_type;
		net_send(sender, &frame, 5);
		assert_int_equal(live_drain(capture, live_check_frame, &frame),
				 5);
	}
	close(sender);
	capture_close(capture);
}

static void check_any_tags(void *context, const struct frame *frame)
{
	uint32_t *seen = context; /* v1, v1.10, v1.10.20 */
	uint16_t type = (uint16_t)(frame->bytes[12] << 8 | frame->bytes[13]);
	uint16_t inner = (uint16_t)(frame->bytes[16] << 8 | frame->bytes[17]);

	if (type == 0x8100 && inner == 0x8100)
		seen[0] += frame->size == 108 && frame->bytes[15] == 10 &&
			   frame->bytes[19] == 20;
	else if (type == 0x8100)
		seen[1] += frame->size == 104 && frame->bytes[15] == 20;
	else
		seen[2] += frame->size == 100;
}

static void tells_the_tags_of_nested_vlan_interfaces(void **state)
{
	struct capture *captures[3];
	uint32_t seen[3] = {0};
	int sender;

	(void)state;
	if (!net_run("ip link add link v0 name probe type vlan id 1"))
		check_skip("no VLAN interfaces in this kernel");
	for (int i = 0; i < 2; i++) {
		net_ip("link add link v%d name v%d.10 type vlan id 10", i, i);
		net_ip("link add link v%d.10 name v%d.x type vlan id 20", i, i);
		net_ip("link set v%d.10 up", i);
	}
	net_up("v0.x", "v1.x");
	captures[0] = live_open("v1", AFPACKET());
	captures[1] = live_open("v1.10", AFPACKET());
	captures[2] = live_open("v1.x", AFPACKET());
	sender = net_sender("v0.x");
	net_send(sender, &net_plain, 4);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(live_drain(captures[i], check_any_tags, seen),
				 4);
		assert_int_equal(seen[i], 4);
		capture_close(captures[i]);
	}
	close(sender);
}

static void keeps_the_snap_size_and_tells_the_wire_size(void **state)
{
	struct capture *capture = live_open("v1", AFPACKET(.snap_size = 96));
	struct net_frame tagged = net_plain;
	struct frame frame;
	int sender = net_sender("v0");
	uint8_t bytes[2048];

	(void)state;
	tagged.size = 1000;
	for (int i = 0; i < 2; i++) {
		net_send(sender, &tagged, 1);
		net_frame_write(&tagged, bytes);
		assert_int_equal(capture_next(capture, 1000, 1, &frame), 1);
		assert_int_equal(frame.captured_size, 96);
		assert_int_equal(frame.size, 1000);
		assert_memory_equal(frame.bytes, bytes, 96);
		capture_release(capture, &frame, 1);
		tagged.tags[0] = 7;
	}
	assert_int_equal(capture_stats(capture).received_bytes, 2000);
	close(sender);
	capture_close(capture);
}

static void refuses_what_it_cannot_open(void **state)
{
	static const struct {
		struct capture_options options;
		int code;
		const char *sentence;
	} cases[] = {
		{{.target = "v9"},
		 -ENODEV,
		 "v9: no such interface; 'ip link' lists them"},
		{{.target = "a name that is too long"},
		 -ENODEV,
		 "a name that is too long: no such interface; 'ip link' lists "
		 "them"},
		{{.target = "v1", .filter = "tcp prot 80"},
		 ERR_FILTER,
		 "filter 'tcp prot 80': can't parse filter expression: syntax "
		 "error"},
		{{.target = "v1", .stamp = CAPTURE_STAMP_HARDWARE},
		 -EOPNOTSUPP,
		 "v1: no hardware stamps for every frame: Operation not "
		 "supported; timestamps 'auto' or 'kernel' work"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct capture_options options = cases[i].options;
		struct capture *capture = NULL;
		struct fault fault;

		options.backend = "afpacket";
		options.ring_size = 1 << 20;
		assert_int_equal(capture_open(&options, &capture, &fault),
				 cases[i].code);
		assert_string_equal(fault.text, cases[i].sentence);
		assert_null(capture);
	}
}

static bool readable(const struct capture *capture, int timeout_ms)
{
	struct pollfd fd = {.fd = capture_fd(capture), .events = POLLIN};

	assert_true(fd.fd >= 0);
	return poll(&fd, 1, timeout_ms) == 1;
}

static void its_descriptor_tells_that_frames_are_there(void **state)
{
	struct capture *capture = live_open("v1", AFPACKET());
	struct frame frames[3];
	int sender = net_sender("v0");

	(void)state;
	assert_int_equal(live_drain(capture, NULL, NULL), 0);
	assert_false(readable(capture, 50));
	net_send(sender, &net_plain, 1);
	assert_true(readable(capture, 1000));
	assert_int_equal(live_drain(capture, NULL, NULL), 1);
	assert_false(readable(capture, 50));
	net_send(sender, &net_plain, 2);
	assert_int_equal(capture_next(capture, 1000, 1, frames), 1);
	assert_true(readable(capture, 0));
	assert_int_equal(capture_next(capture, 0, 1, frames + 1), 1);
	assert_int_equal(capture_next(capture, 0, 1, frames + 2), 0);
	assert_false(readable(capture, 50)); /* though frames are held */
	net_send(sender, &net_plain, 1);
	assert_true(readable(capture, 1000));
	assert_int_equal(capture_next(capture, 0, 1, frames + 2), 1);
	capture_release(capture, frames, 3);
	net_ip("link set v1 down");
	live_drain(capture, NULL, NULL);
	assert_false(readable(capture, 50));
	capture_close(capture);
	close(sender);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(gives_out_every_frame_in_order,
				       net_setup),
		cmocka_unit_test_setup(gives_out_the_bytes_that_were_sent,
				       net_setup),
		cmocka_unit_test_setup(marks_what_leaves, net_setup),
		cmocka_unit_test_setup(drops_and_counts_while_all_is_held,
				       net_setup),
		cmocka_unit_test_setup(waits_asleep_while_frames_are_held,
				       net_setup),
		cmocka_unit_test_setup(a_slow_reader_loses_frames_but_no_count,
				       net_setup),
		cmocka_unit_test_setup(after_a_stop_gives_out_the_rest_and_ends,
				       net_setup),
		cmocka_unit_test_setup(puts_vlan_tags_back, net_setup),
		cmocka_unit_test_setup(tells_the_tags_of_nested_vlan_interfaces,
				       net_setup),
		cmocka_unit_test_setup(
			keeps_the_snap_size_and_tells_the_wire_size, net_setup),
		cmocka_unit_test_setup(refuses_what_it_cannot_open, net_setup),
		cmocka_unit_test_setup(
			its_descriptor_tells_that_frames_are_there, net_setup),
	};

	if (!net_begin())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
