#include "check.h"

#include <net/if.h>
#include <string.h>

#include "capture/capture.h"

#define MAX 1024

static void lists_loopback_and_all_by_index(void **state)
{
	static struct capture_interface_info infos[MAX];
	int count = capture_interfaces(infos, MAX);
	int loopbacks = 0;

	(void)state;
	assert_in_range(count, 1, MAX);
	for (int i = 0; i < count; i++) {
		assert_int_equal(if_nametoindex(infos[i].name), infos[i].index);
		assert_true(i == 0 || infos[i - 1].index < infos[i].index);
		if (!infos[i].loopback)
			continue;
		loopbacks++;
		assert_string_equal(infos[i].name, "lo");
		assert_int_equal(infos[i].link_type, 1);
		assert_int_equal(infos[i].rx_packets, infos[i].tx_packets);
	}
	assert_int_equal(loopbacks, 1);
}

static void says_how_many_there_are_whatever_room_there_is(void **state)
{
	static struct capture_interface_info infos[MAX];
	struct capture_interface_info one;
	int count = capture_interfaces(infos, MAX);

	(void)state;
	assert_int_equal(capture_interfaces(NULL, 0), count);
	assert_int_equal(capture_interfaces(&one, 1), count);
	assert_int_equal(one.index, infos[0].index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_loopback_and_all_by_index),
		cmocka_unit_test(
			says_how_many_there_are_whatever_room_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
