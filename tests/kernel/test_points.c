/* The points' programs on packets round the loopback interface. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "check.h"

#include "base/clock.h"
#include "base/err.h"
#include "kernel/kernel.h"

#define PACKETS 50
#define SLACK   1000 /* ns by which two clocks' readings may differ */

struct link {
	int from, to;
	uint16_t port; /* of 'from', the sender */
	struct kernel_points *points;
	struct kernel_stamp stamps[PACKETS * POINT_COUNT];
	int count;
};

static int socket_make(uint16_t *ret_port)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t size = sizeof at;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

static void link_begin(struct link *link, struct kernel_points_options options)
{
	struct fault fault;
	uint16_t to_port;
	int rc;

	if (!kernel_points_built())
		check_skip("this build lacks %s", kernel_points_lack());
	memset(link, 0, sizeof *link);
	options.tier = TIER_TRACEPOINT;
	options.echo = true;
	rc = kernel_points_open(&options, &link->points, &fault);
	if (rc == -EPERM || rc == -EACCES)
		check_skip("%s", fault.text);
	if (rc < 0)
		fail_msg("%s", fault.text);
	link->from = socket_make(&link->port);
	link->to = socket_make(&to_port);
	struct sockaddr_in peer = {.sin_family = AF_INET,
				   .sin_port = htons(to_port)};

	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(
		connect(link->from, (struct sockaddr *)&peer, sizeof peer), 0);
	assert_int_equal(kernel_points_watch(link->points, link->port), 0);
}

static void link_end(struct link *link)
{
	close(link->from);
	close(link->to);
	kernel_points_close(link->points);
}

/* One system call for one message, as the sender and the reflector do. */
static void send_one(int fd, uint32_t seq)
{
	uint32_t bytes[11] = {htonl(seq)};
	struct iovec part = {bytes, sizeof bytes};
	struct mmsghdr message = {
		.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};

	assert_int_equal(sendmmsg(fd, &message, 1, 0), 1);
}

/* Sends back what came; 'from' has no answer otherwise. */
static void echo_one(struct link *link)
{
	struct sockaddr_in peer;
	socklen_t size = sizeof peer;
	char bytes[64];
	ssize_t got = recvfrom(link->to, bytes, sizeof bytes, 0,
			       (struct sockaddr *)&peer, &size);

	assert_int_equal(got, 44);
	assert_int_equal(sendto(link->to, bytes, (size_t)got, 0,
				(struct sockaddr *)&peer, size),
			 got);
}

static void receive_one(int fd)
{
	char bytes[64];
	struct iovec part = {bytes, sizeof bytes};
	struct mmsghdr message = {
		.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};

	assert_int_equal(recvmmsg(fd, &message, 1, 0, NULL), 1);
}

static void stamp_take(void *context, const struct kernel_stamp *stamp)
{
	struct link *link = context;

	assert_true(link->count < PACKETS * POINT_COUNT);
	link->stamps[link->count++] = *stamp;
}

static int64_t stamp_of(const struct link *link, uint32_t seq, enum point point)
{
	for (int i = 0; i < link->count; i++) {
		if (link->stamps[i].seq == seq &&
		    link->stamps[i].point == point)
			return link->stamps[i].at.ns;
	}
	return 0;
}

/* A packet there and back: every stamp is there, in path order, between the
 * times at which we began and ended, by our own clock. */
static void packet_check(struct link *link, uint32_t seq)
{
	const struct probe_watch *watch = kernel_points_probe(link->points);
	int64_t begin = wall_now().ns, at[8], end;

	send_one(link->from, seq);
	at[0] = begin - SLACK;
	at[1] = watch->calls->call_ns + watch->offset_ns;
	echo_one(link);
	receive_one(link->from);
	at[6] = watch->calls->return_ns + watch->offset_ns;
	end = wall_now().ns;
	assert_true(kernel_points_gather(link->points, stamp_take, link) >= 3);
	at[2] = stamp_of(link, seq, POINT_QUEUE);
	at[3] = stamp_of(link, seq, POINT_DRIVER);
	at[4] = stamp_of(link, seq, POINT_STACK);
	at[5] = stamp_of(link, seq, POINT_READY);
	at[7] = end + SLACK;
	if (!(watch->points >> POINT_READY & 1))
		at[5] = at[4];
	for (int i = 0; i < 7; i++)
		assert_true(at[i] <= at[i + 1]);
}

static void packets_check(struct link *link)
{
	struct kernel_points_counters counters;

	for (uint32_t seq = 0; seq < PACKETS; seq++)
		packet_check(link, seq);
	counters = kernel_points_counters(link->points);
	assert_int_equal(counters.lost, 0);
	assert_int_equal(counters.unread, 0);
	assert_int_equal(counters.taken, link->count);
}

static void stamps_are_wall_time_in_path_order(void **state)
{
	static struct link link;

	(void)state;
	link_begin(&link, (struct kernel_points_options){.keyed = false});
	packets_check(&link);
	link_end(&link);
}

static void so_they_are_by_the_monotonic_clock(void **state)
{
	static struct link link;

	(void)state;
	link_begin(&link, (struct kernel_points_options){.monotonic = true});
	assert_true(kernel_points_probe(link.points)->offset_ns > 0);
	packets_check(&link);
	link_end(&link);
}

static void every_other_packet_if_so_wanted(void **state)
{
	static struct link link;

	(void)state;
	link_begin(&link, (struct kernel_points_options){.even_only = true});
	for (uint32_t seq = 0; seq < PACKETS; seq++) {
		send_one(link.from, seq);
		echo_one(&link);
		receive_one(link.from);
	}
	(void)kernel_points_gather(link.points, stamp_take, &link);
	for (int i = 0; i < link.count; i++)
		assert_int_equal(link.stamps[i].seq & 1, 0);
	for (uint32_t seq = 0; seq < PACKETS; seq += 2)
		assert_true(stamp_of(&link, seq, POINT_STACK) != 0);
	link_end(&link);
}

static void other_ports_are_not_stamped(void **state)
{
	static struct link link;
	uint16_t port;
	int other;

	(void)state;
	link_begin(&link, (struct kernel_points_options){.echo = true});
	other = socket_make(&port);
	for (uint32_t seq = 0; seq < PACKETS; seq++) {
		struct sockaddr_in to = {.sin_family = AF_INET,
					 .sin_port = htons(port)};

		to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		assert_true(sendto(other, &seq, sizeof seq, 0,
				   (struct sockaddr *)&to, sizeof to) == 4);
	}
	assert_int_equal(kernel_points_gather(link.points, stamp_take, &link),
			 0);
	close(other);
	link_end(&link);
}

static void a_short_packet_is_counted(void **state)
{
	static struct link link;

	(void)state;
	link_begin(&link, (struct kernel_points_options){.echo = true});
	assert_int_equal(send(link.from, "ab", 2, 0), 2);
	assert_int_equal(kernel_points_gather(link.points, stamp_take, &link),
			 0);
	assert_true(kernel_points_counters(link.points).unread >= 2);
	link_end(&link);
}

static void what_the_ring_has_no_room_for_is_counted(void **state)
{
	static struct link link;
	struct kernel_points_counters counters;
	uint64_t sent = 0;

	(void)state;
	link_begin(&link, (struct kernel_points_options){.echo = true});
	do {
		send_one(link.from, (uint32_t)sent++);
		counters = kernel_points_counters(link.points);
	} while (counters.lost == 0 && sent < 100000);
	assert_true(counters.lost > 0);
	assert_true(sent > 5000); /* a second at 5 kHz fits */
	link_end(&link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stamps_are_wall_time_in_path_order),
		cmocka_unit_test(so_they_are_by_the_monotonic_clock),
		cmocka_unit_test(every_other_packet_if_so_wanted),
		cmocka_unit_test(other_ports_are_not_stamped),
		cmocka_unit_test(a_short_packet_is_counted),
		cmocka_unit_test(what_the_ring_has_no_room_for_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
