#include "check.h"

#include <errno.h>

#include "capture/capture.h"

static void gives_out_every_frame_then_ends(void **state)
{
	struct capture_options options = {.backend = "null", .target = "6"};
	struct capture *capture;
	struct fault fault;
	struct frame frames[4];

	(void)state;
	assert_int_equal(capture_open(&options, &capture, &fault), 0);
	assert_int_equal(capture_next(capture, 0, 4, frames), 4);
	capture_release(capture, frames, 4);
	assert_int_equal(capture_next(capture, 0, 4, frames), 2);
	assert_int_equal(
		wall_ns_between(frames[0].stamp.at, frames[1].stamp.at),
		1000000);
	capture_release(capture, frames, 2);
	assert_int_equal(capture_next(capture, 0, 4, frames), ERR_END);
	assert_int_equal(capture_stats(capture).received, 6);
	assert_string_equal(capture_interface(capture, 0), "null");
	assert_null(capture_interface(capture, 1));
	capture_close(capture);
}

static void refuses_what_it_cannot_open_by_name(void **state)
{
	struct capture_options unknown = {.backend = "nul", .target = "6"};
	struct capture_options target = {.backend = "null", .target = "six"};
	struct capture *capture;
	struct fault fault;

	(void)state;
	assert_int_equal(capture_open(&unknown, &capture, &fault),
			 ERR_BACKEND_UNKNOWN);
	assert_string_equal(fault.text, "backend 'nul': no such backend; "
					"'sonde doctor' lists them");
	assert_int_equal(capture_open(&target, &capture, &fault), -EINVAL);
	assert_string_equal(fault.text, "null: 'six' is not a count of frames");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_out_every_frame_then_ends),
		cmocka_unit_test(refuses_what_it_cannot_open_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
