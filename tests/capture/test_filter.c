/* The part of a filter that runs in this process. */
#include "check.h"

#include <string.h>

#include "capture/afpacket_private.h"

#define UDP_PORT_9                                                            \
	0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, \
		0, 9, 0, 9, 0, 26, 0, 0

static const uint8_t tagged[] = {2, 0, 0,    0, 0, 2, 2,    0, 0,         0,
				 0, 1, 0x81, 0, 0, 5, 0x08, 0, UDP_PORT_9};
static const uint8_t raw[] = {UDP_PORT_9};

static const struct frame tagged_frame = {.bytes = tagged,
					  .captured_size = sizeof tagged,
					  .size = 64,
					  .link_type = LINK_ETHERNET};
static const struct frame raw_frame = {.bytes = raw,
				       .captured_size = sizeof raw,
				       .size = 46,
				       .link_type = LINK_RAW};

static struct afpacket_filter *filter_open(const char *expression,
					   uint16_t link_type)
{
	struct afpacket_filter *filter = NULL;
	struct fault fault = {""};

	if (afpacket_filter_open(expression, 96, link_type, &filter, &fault))
		fail_msg("%s", fault.text);
	return filter;
}

static void judges_frames_by_their_link_type(void **state)
{
	static const struct {
		const char *expression;
		bool tagged, raw;
	} cases[] = {
		{"udp port 9", false, true},
		{"vlan 5 and udp port 9", true, false},
		{"vlan 6", false, false},
		{"ether src 02:00:00:00:00:01", true, false},
		{"src host 192.0.2.1", false, true},
		{"inbound", true, true},
		{"outbound", false, false},
		{"greater 60", true, false},
		{"ifindex 7", true, true},
		{"ifindex 8", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct afpacket_filter *filter =
			filter_open(cases[i].expression, LINK_ETHERNET);

		if (afpacket_filter_run(filter, &tagged_frame, 7) !=
			    cases[i].tagged ||
		    afpacket_filter_run(filter, &raw_frame, 7) != cases[i].raw)
			fail_msg("%s", cases[i].expression);
		afpacket_filter_close(filter);
	}
}

static void judges_the_direction_of_each_frame(void **state)
{
	struct afpacket_filter *filter = filter_open("outbound", LINK_ETHERNET);
	struct frame frame = tagged_frame;

	(void)state;
	for (int i = 0; i < 4; i++) {
		frame.outgoing = i % 2;
		assert_int_equal(afpacket_filter_run(filter, &frame, 7), i % 2);
	}
	afpacket_filter_close(filter);
}

static void looks_only_at_what_the_kernel_cannot_judge(void **state)
{
	struct afpacket_filter *filter = filter_open("udp", LINK_ETHERNET);
	struct afpacket_filter *all = filter_open("", LINK_ETHERNET);

	(void)state;
	assert_false(afpacket_filter_needed(filter, LINK_ETHERNET, false));
	assert_true(afpacket_filter_needed(filter, LINK_ETHERNET, true));
	assert_true(afpacket_filter_needed(filter, LINK_RAW, false));
	assert_false(afpacket_filter_needed(all, LINK_RAW, true));
	assert_true(afpacket_filter_keep_out(filter));
	assert_false(afpacket_filter_keep_out(filter));
	assert_true(afpacket_filter_needed(filter, LINK_ETHERNET, false));
	assert_false(afpacket_filter_keep_out(all));
	afpacket_filter_close(filter);
	afpacket_filter_close(all);
}

static void has_to_compile_for_the_link_type(void **state)
{
	struct afpacket_filter *filter = NULL;
	struct fault fault = {""};

	(void)state;
	assert_int_equal(afpacket_filter_open("ether host 1:2:3:4:5:6", 96,
					      LINK_RAW, &filter, &fault),
			 ERR_FILTER);
	assert_int_equal(strncmp(fault.text, "filter 'ether host", 18), 0);
	assert_int_equal(afpacket_filter_open("host", 96, LINK_ETHERNET,
					      &filter, &fault),
			 ERR_FILTER);
	assert_null(filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_frames_by_their_link_type),
		cmocka_unit_test(judges_the_direction_of_each_frame),
		cmocka_unit_test(looks_only_at_what_the_kernel_cannot_judge),
		cmocka_unit_test(has_to_compile_for_the_link_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
