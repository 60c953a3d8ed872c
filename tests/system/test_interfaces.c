/* What capture_interfaces() says of interfaces made for it. */
#include <string.h>
#include <unistd.h>

#include "live.h"
#include "net.h"

#define MAX 16

static struct capture_interface_info info_of(const char *name)
{
	static struct capture_interface_info infos[MAX];
	int count = capture_interfaces(infos, MAX);

	assert_in_range(count, 1, MAX);
	for (int i = 0; i < count; i++) {
		if (strcmp(infos[i].name, name) == 0)
			return infos[i];
	}
	fail_msg("%s is not listed", name);
	return infos[0];
}

static void counts_what_went_through(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	struct capture_interface_info from = info_of("v0");
	struct capture_interface_info to = info_of("v1");
	int sender = net_sender("v0");

	(void)state;
	assert_memory_equal(from.mac, mac, sizeof mac);
	assert_true(from.up);
	assert_false(from.loopback);
	assert_int_equal(from.link_type, 1);
	net_send(sender, &net_plain, 7);
	assert_int_equal(info_of("v0").tx_packets - from.tx_packets, 7);
	assert_int_equal(info_of("v0").tx_bytes - from.tx_bytes, 700);
	assert_int_equal(info_of("v1").rx_packets - to.rx_packets, 7);
	assert_int_equal(info_of("v1").rx_bytes - to.rx_bytes, 700);
	close(sender);
}

static void tells_what_is_down_and_what_is_loopback(void **state)
{
	(void)state;
	net_ip("link set v1 down");
	assert_false(info_of("v1").up);
	assert_false(info_of("lo").up);
	assert_true(info_of("lo").loopback);
	net_ip("link set lo up");
	assert_true(info_of("lo").up);
}

static void tells_a_device_without_a_link_layer(void **state)
{
	(void)state;
	if (!net_run("ip tuntap add t0 mode tun"))
		check_skip("no tun device here");
	assert_int_equal(info_of("t0").link_type, 101);
}

static void lists_more_than_one_message_holds(void **state)
{
	static struct capture_interface_info infos[200];
	int count;

	(void)state;
	for (int i = 0; i < 60; i++)
		net_ip("link add p%d type veth peer name q%d", i, i);
	count = capture_interfaces(infos, 200);
	assert_int_equal(count, 3 + 120);
	for (int i = 1; i < count; i++)
		assert_true(infos[i - 1].index < infos[i].index);
	assert_int_equal(capture_interfaces(infos, 5), count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(counts_what_went_through, net_setup),
		cmocka_unit_test_setup(tells_what_is_down_and_what_is_loopback,
				       net_setup),
		cmocka_unit_test_setup(tells_a_device_without_a_link_layer,
				       net_setup),
		cmocka_unit_test_setup(lists_more_than_one_message_holds,
				       net_setup),
	};

	if (!net_begin())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
