/* The afpacket backend with filter expressions, in the kernel and beside it. */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "live.h"
#include "net.h"

/* A tun device, which has no link layer; what is written arrives on it. */
static int tun_open(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR);

	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

struct wanted {
	const char *filter;
	struct net_frame frame;
	uint32_t wanted; /* of two: one net_plain, one like 'frame' */
};

static void filters_plain_and_tagged_frames(void **state)
{
	static const struct wanted cases[] = {
		{"udp port 2000", {.tags = {5, 0}}, 1},
		{"vlan", {.tags = {5, 0}}, 1},
		{"vlan 5 and udp port 2000", {.tags = {5, 0}}, 1},
		{"vlan 6", {.tags = {5, 0}}, 0},
		{"vlan 5 and vlan 6", {.tags = {5, 6}}, 1},
		{"udp or (vlan and udp)", {.tags = {5, 0}}, 2},
		{"inbound", {.tags = {5, 0}}, 2},
		{"outbound", {.tags = {5, 0}}, 0},
		{"src host 192.0.2.1", {.size = 400}, 2},
		{"src host 192.0.2.9", {.size = 400}, 0},
		{"greater 300", {.size = 400}, 1},
		{"ether src 02:00:00:00:00:01", {.size = 400}, 2},
	};
	int sender = net_sender("v0");

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct capture *capture =
			live_open(i % 2 ? "any" : "v1",
				  AFPACKET(.filter = cases[i].filter));
		struct net_frame frame = cases[i].frame;
		struct frame frames[4];
		int got = 0;
		int count;

		frame.source = net_plain.source;
		frame.target = net_plain.target;
		frame.target_port = net_plain.target_port;
		net_send(sender, &net_plain, 1);
		net_send(sender, &frame, 1);
		while ((count = capture_next(capture, LIVE_WAIT_MS, 4,
					     frames)) > 0) {
			for (int k = 0; k < count; k++)
				got += frames[k].outgoing ==
				       (strcmp(cases[i].filter, "outbound") ==
					0);
			capture_release(capture, frames, count);
		}
		if (strcmp(cases[i].filter, "outbound") == 0)
			got -= i % 2 ? 2 : 0; /* any sees v0 as well */
		if (got != (int)cases[i].wanted)
			fail_msg("'%s': %d of %u", cases[i].filter, got,
				 cases[i].wanted);
		capture_close(capture);
	}
	close(sender);
}

static void filters_devices_without_a_link_layer(void **state)
{
	int tun = tun_open("t0");
	struct capture *captures[2];
	uint8_t bytes[2048];
	size_t size = net_frame_write(&net_plain, bytes);

	(void)state;
	if (tun < 0)
		check_skip("no tun device here");
	net_ip("link set t0 up");
	captures[0] = live_open("t0", AFPACKET(.filter = "udp port 2000"));
	captures[1] = live_open("any", AFPACKET(.filter = "udp port 2001"));
	assert_int_equal(write(tun, bytes + 14, size - 14), size - 14);
	for (int i = 0; i < 2; i++) {
		struct frame frame;
		int count = capture_next(captures[i], 200, 1, &frame);

		assert_int_equal(count, i == 0);
		if (count) {
			assert_int_equal(frame.link_type, 101);
			assert_int_equal(frame.size, size - 14);
			assert_memory_equal(frame.bytes, bytes + 14, size - 14);
		}
		assert_int_equal(capture_stats(captures[i]).filtered, i == 1);
		capture_close(captures[i]);
	}
	close(tun);
}

/* The kernel's limit for the filters of one socket, of this namespace. */
static bool filter_limit_set(const char *bytes)
{
	int fd = open("/proc/sys/net/core/optmem_max", O_WRONLY);
	bool done = fd >= 0 && write(fd, bytes, strlen(bytes)) > 0;

	if (fd >= 0)
		close(fd);
	return done;
}

static void a_filter_too_long_for_the_kernel_works_too(void **state)
{
	char filter[16384] = "udp port 2000";
	struct capture *capture;
	struct net_frame other = net_plain;
	int sender = net_sender("v0");

	(void)state;
	if (!filter_limit_set("2000"))
		check_skip("no net.core.optmem_max of its own here");
	for (int i = 0; i < 300; i++)
		sprintf(filter + strlen(filter), " or src host 10.%d.%d.1",
			i / 256, i % 256);
	capture = live_open("v1", AFPACKET(.filter = filter));
	other.target_port = 2001;
	net_send(sender, &net_plain, 5);
	net_send(sender, &other, 6);
	assert_int_equal(live_drain(capture, NULL, NULL), 5);
	assert_int_equal(capture_stats(capture).filtered, 6);
	capture_close(capture);
	close(sender);
}

static void a_filter_sees_more_than_the_snap_size(void **state)
{
	struct capture *capture =
		live_open("v1", AFPACKET(.filter = "vlan and ether[90] = 0xa5",
					 .snap_size = 64));
	struct net_frame tagged = net_plain;
	struct frame frame;
	int sender = net_sender("v0");

	(void)state;
	tagged.tags[0] = 5;
	net_send(sender, &tagged, 1);
	assert_int_equal(capture_next(capture, 1000, 1, &frame), 1);
	assert_int_equal(frame.captured_size, 64);
	assert_int_equal(frame.size, 100);
	capture_release(capture, &frame, 1);
	capture_close(capture);
	close(sender);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(filters_plain_and_tagged_frames,
				       net_setup),
		cmocka_unit_test_setup(filters_devices_without_a_link_layer,
				       net_setup),
		cmocka_unit_test_setup(
			a_filter_too_long_for_the_kernel_works_too, net_setup),
		cmocka_unit_test_setup(a_filter_sees_more_than_the_snap_size,
				       net_setup),
	};

	if (!net_begin())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
