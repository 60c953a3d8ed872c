/* The pcap backend on a veth pair. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "live.h"
#include "net.h"

static void gives_out_the_bytes_that_were_sent(void **state)
{
	static const uint16_t tags[][2] = {{0, 0}, {100, 0}, {100, 200}};
	struct capture *capture = live_open("v1", PCAP());
	int sender = net_sender("v0");

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct net_frame frame = net_plain;

		memcpy(frame.tags, tags[i], sizeof frame.tags);
		frame.size = (uint16_t)(200 + 500 * i);
		net_send(sender, &frame, 50);
		assert_int_equal(live_drain(capture, live_check_frame, &frame),
				 50);
	}
	assert_string_equal(capture_interface(capture, 0), "v1");
	assert_int_equal(capture_stats(capture).received, 150);
	assert_int_equal(capture_stamp_source(capture), STAMP_KERNEL);
	close(sender);
	capture_close(capture);
}

static void holds_frames_until_there_is_no_room(void **state)
{
	enum { SIZE = 1400, SENT = 40000 }; /* more than the chunks hold */
	struct capture *capture =
		live_open("v1", PCAP(.ring_size = UINT64_C(2) << 20));
	struct frame *frames = calloc(SENT + LIVE_BATCH, sizeof *frames);
	struct net_frame sent = net_plain;
	struct capture_counters counters;
	int sender = net_sender("v0");
	uint32_t held = 0;
	uint32_t rest;

	(void)state;
	sent.size = SIZE;
	for (uint32_t i = 0; i < SENT; i += 500) {
		int count;

		sent.number = i;
		net_send(sender, &sent, 500);
		while ((count = capture_next(capture, 0, LIVE_BATCH,
					     frames + held)) > 0)
			held += (uint32_t)count;
		assert_int_equal(count, 0);
	}
	assert_true(held > 0 && held < SENT);
	for (uint32_t i = 0; i < held; i++) {
		assert_int_equal(net_frame_number(frames[i].bytes, SIZE), i);
		live_check_frame(&sent, &frames[i]);
	}
	for (uint32_t i = held; i-- > 0;)
		capture_release(capture, &frames[i], 1);
	rest = (uint32_t)live_drain(capture, NULL, NULL);
	counters = capture_stats(capture);
	assert_true(counters.dropped_kernel > 0);
	assert_int_equal(counters.received, held + rest);
	assert_int_equal(counters.received + counters.dropped_kernel, SENT);
	free(frames);
	close(sender);
	capture_close(capture);
}

static void filters_and_cuts(void **state)
{
	struct capture *capture = live_open(
		"v1", PCAP(.filter = "udp port 2001", .snap_size = 64));
	struct net_frame other = net_plain;
	struct frame frames[4];
	int sender = net_sender("v0");

	(void)state;
	other.target_port = 2001;
	other.size = 500;
	net_send(sender, &net_plain, 1);
	net_send(sender, &other, 1);
	assert_int_equal(capture_next(capture, 1000, 4, frames), 1);
	assert_int_equal(frames[0].captured_size, 64);
	assert_int_equal(frames[0].size, 500);
	capture_release(capture, frames, 1);
	close(sender);
	capture_close(capture);
}

static void names_the_interfaces_of_any(void **state)
{
	struct capture *capture = live_open("any", PCAP());
	struct frame frames[4];
	int sender;
	int seen = 0;
	int count;

	(void)state;
	net_ip("link add w0 type veth peer name w1");
	net_up("w0", "w1");
	sender = net_sender("w0");
	net_send(sender, &net_plain, 1);
	while ((count = capture_next(capture, LIVE_WAIT_MS, 4, frames)) > 0) {
		for (int i = 0; i < count; i++) {
			assert_string_equal(
				capture_interface(capture, frames[i].interface),
				frames[i].outgoing ? "w0" : "w1");
			seen++;
		}
		capture_release(capture, frames, count);
	}
	assert_int_equal(seen, 2);
	close(sender);
	capture_close(capture);
}

static void after_a_stop_gives_out_the_rest_and_ends(void **state)
{
	(void)state;
	live_check_rest(PCAP());
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
		{{.target = "v1", .filter = "tcp prot 80"},
		 ERR_FILTER,
		 "filter 'tcp prot 80': can't parse filter expression: syntax "
		 "error"},
		{{.target = "v1", .worker_count = 2},
		 -EINVAL,
		 "v1: backend 'pcap' has one worker; 'afpacket' has more"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct capture_options options = cases[i].options;
		struct capture *capture = NULL;
		struct fault fault;

		options.backend = "pcap";
		options.ring_size = 1 << 20;
		assert_int_equal(capture_open(&options, &capture, &fault),
				 cases[i].code);
		assert_string_equal(fault.text, cases[i].sentence);
		assert_null(capture);
	}
}

static void says_when_its_interface_is_gone(void **state)
{
	struct capture *capture = live_open("v1", PCAP());
	struct frame frames[4];
	int code = 0;

	(void)state;
	net_ip("link del v0");
	for (int i = 0; i < 50 && code == 0; i++)
		code = capture_next(capture, 20, 4, frames);
	assert_true(code < 0 && code != ERR_END);
	assert_int_equal(strncmp(capture_fault(capture), "v1: ", 4), 0);
	capture_close(capture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(gives_out_the_bytes_that_were_sent,
				       net_setup),
		cmocka_unit_test_setup(holds_frames_until_there_is_no_room,
				       net_setup),
		cmocka_unit_test_setup(filters_and_cuts, net_setup),
		cmocka_unit_test_setup(names_the_interfaces_of_any, net_setup),
		cmocka_unit_test_setup(after_a_stop_gives_out_the_rest_and_ends,
				       net_setup),
		cmocka_unit_test_setup(refuses_what_it_cannot_open, net_setup),
		cmocka_unit_test_setup(says_when_its_interface_is_gone,
				       net_setup),
	};

	if (!net_begin())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
