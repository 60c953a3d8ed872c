/* The sockets' programs on this process's own traffic. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#include "base/clock.h"
#include "base/err.h"
#include "kernel/kernel.h"

#define MINE_MAX   64
#define FIRST_PIDS 0xeffffffcUL /* inode of the first pid namespace */

/* What was handed over of this process. */
struct watch {
	struct kernel_sockets *sockets;
	struct kernel_socket mine[MINE_MAX]; /* the newest of each */
	int count, forks, exits;
	struct kernel_process_bytes bytes;
	struct kernel_traffic buckets, missed;
	uint32_t last_index;
};

static void process_take(void *context, const struct kernel_process *process)
{
	struct watch *watch = context;

	if (process->parent.pid != (uint32_t)getpid())
		return;
	watch->forks += process->event == KERNEL_PROCESS_FORK;
	watch->exits += process->event == KERNEL_PROCESS_EXIT;
}

static bool is_mine(const struct kernel_socket *socket)
{
	if (socket->creator.pid == (uint32_t)getpid() ||
	    socket->listener.pid == (uint32_t)getpid())
		return true;
	for (int i = 0; i < socket->owner_count; i++) {
		if (socket->owners[i].key.pid == (uint32_t)getpid())
			return true;
	}
	return false;
}

static void socket_take(void *context, const struct kernel_socket *socket)
{
	struct watch *watch = context;
	int at = 0;

	if (!is_mine(socket))
		return;
	while (at < watch->count && watch->mine[at].id != socket->id)
		at++;
	assert_true(at < MINE_MAX);
	if (at == watch->count)
		watch->count++;
	watch->mine[at] = *socket;
}

static void bytes_take(void *context, const struct kernel_process_bytes *bytes)
{
	struct watch *watch = context;

	if (bytes->key.pid == (uint32_t)getpid())
		watch->bytes = *bytes;
}

static void bucket_take(void *context, const struct kernel_bucket *bucket)
{
	struct watch *watch = context;

	if (bucket->key.pid != (uint32_t)getpid())
		return;
	watch->buckets.tx_bytes += bucket->traffic.tx_bytes;
	watch->buckets.rx_bytes += bucket->traffic.rx_bytes;
	watch->last_index = bucket->index;
}

static void missed_take(void *context, const struct kernel_missed *missed)
{
	struct watch *watch = context;

	watch->missed.tx_bytes += missed->tx_bytes;
	watch->missed.rx_bytes += missed->rx_bytes;
}

static struct kernel_sockets_visitor visitor_of(struct watch *watch)
{
	return (struct kernel_sockets_visitor){
		.context = watch,
		.process = process_take,
		.socket = socket_take,
		.bytes = bytes_take,
		.bucket = bucket_take,
		.missed = missed_take,
	};
}

static void watch_begin(struct watch *watch,
			struct kernel_sockets_options options)
{
	struct fault fault = {0};
	struct stat pids;
	int rc;

	if (!kernel_points_built())
		check_skip("this build lacks %s", kernel_points_lack());
	if (stat("/proc/self/ns/pid", &pids) < 0 || pids.st_ino != FIRST_PIDS)
		check_skip("this is not the first pid namespace: the kernel "
			   "names this process by another number");
	memset(watch, 0, sizeof *watch);
	options.interval_ns = NS_PER_S / 100;
	rc = kernel_sockets_open(&options, &watch->sockets, &fault);
	if (rc == -EPERM || rc == -EACCES)
		check_skip("%s", fault.text);
	if (rc < 0)
		fail_msg("%s", fault.text);
}

static void watch_stop(struct watch *watch)
{
	struct kernel_sockets_visitor visitor = visitor_of(watch);
	struct mono end;

	assert_true(kernel_sockets_stop(watch->sockets, &visitor, &end) >= 0);
	assert_true(end.ns > kernel_sockets_start(watch->sockets).ns);
}

static void watch_end(struct watch *watch)
{
	kernel_sockets_close(watch->sockets);
}

/* The newest record with these ports. */
static const struct kernel_socket *find(const struct watch *watch,
					uint16_t port, uint16_t peer)
{
	for (int i = 0; i < watch->count; i++) {
		if (watch->mine[i].port == port &&
		    watch->mine[i].peer_port == peer)
			return &watch->mine[i];
	}
	fail_msg("no socket %u to %u", port, peer);
	return NULL;
}

static struct kernel_traffic traffic_sum(const struct watch *watch)
{
	struct kernel_traffic sum = {0};

	for (int i = 0; i < watch->count; i++) {
		const struct kernel_socket *s = &watch->mine[i];

		for (int k = 0; !s->by_process && k < s->owner_count; k++) {
			if (s->owners[k].key.pid != (uint32_t)getpid())
				continue;
			sum.tx_bytes += s->owners[k].traffic.tx_bytes;
			sum.rx_bytes += s->owners[k].traffic.rx_bytes;
		}
	}
	for (int i = 0; i < KERNEL_CLASS_COUNT; i++) {
		sum.tx_bytes += watch->bytes.traffic[i].tx_bytes;
		sum.rx_bytes += watch->bytes.traffic[i].rx_bytes;
	}
	return sum;
}

/* ---- connections
 * ------------------------------------------------------------- */

struct link {
	int listener, client, server;
	uint16_t port, client_port;
};

static uint16_t port_of(int fd)
{
	struct sockaddr_in at = {0};
	socklen_t size = sizeof at;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	return ntohs(at.sin_port);
}

static int listener_open(uint16_t *ret_port)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, 16), 0);
	*ret_port = port_of(fd);
	return fd;
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	close(fd);
	return -1;
}

static void link_open(struct link *link)
{
	link->listener = listener_open(&link->port);
	link->client = connect_to(link->port);
	assert_true(link->client >= 0);
	link->client_port = port_of(link->client);
	link->server = accept(link->listener, NULL, NULL);
	assert_true(link->server >= 0);
}

static void move(int from, int to, size_t size)
{
	char bytes[4096] = {0};

	assert_int_equal(write(from, bytes, size), (ssize_t)size);
	for (size_t got = 0; got < size;) {
		ssize_t part = read(to, bytes, size - got);

		assert_true(part > 0);
		got += (size_t)part;
	}
}

static void link_close(struct link *link)
{
	close(link->client);
	close(link->server);
	close(link->listener);
}

static void a_connection_has_its_times_bytes_and_numbers(void **state)
{
	static struct watch watch;
	const struct kernel_socket *client, *server;
	struct link link;

	(void)state;
	watch_begin(&watch, (struct kernel_sockets_options){0});
	link_open(&link);
	move(link.client, link.server, 3000);
	move(link.server, link.client, 1234);
	link_close(&link);
	(void)usleep(20000);
	watch_stop(&watch);
	client = find(&watch, link.client_port, link.port);
	server = find(&watch, link.port, link.client_port);
	assert_int_equal(client->event, KERNEL_SOCKET_END);
	assert_int_equal(client->opened, KERNEL_OPENED_ACTIVE);
	assert_int_equal(server->opened, KERNEL_OPENED_PASSIVE);
	assert_int_equal(client->why, KERNEL_CLOSE_FIN);
	assert_int_equal(server->why, KERNEL_CLOSE_FIN);
	assert_true(client->connecting.ns <= client->established.ns &&
		    client->established.ns <= client->closing.ns &&
		    client->closing.ns <= client->closed.ns);
	assert_int_equal(client->traffic.tx_bytes, 3000);
	assert_int_equal(client->traffic.rx_bytes, 1234);
	assert_int_equal(client->tcp.bytes_queued, 3000);
	assert_int_equal(client->tcp.bytes_acked, 3000);
	assert_int_equal(client->tcp.bytes_received, 1234);
	assert_int_equal(client->tcp.bytes_consumed, 1234);
	assert_int_equal(client->tcp.bytes_sent,
			 3000 + client->tcp.bytes_retrans);
	assert_int_equal(server->tcp.bytes_acked, 1234);
	assert_int_equal(server->tcp.bytes_received, 3000);
	assert_int_equal(client->tcp.isn, server->tcp.peer_isn);
	assert_int_equal(client->tcp.peer_isn, server->tcp.isn);
	assert_true(client->tcp.srtt_us > 0 && client->tcp.mss > 0);
	assert_int_equal(server->listener.pid, getpid());
	assert_int_equal(client->uid, getuid());
	watch_end(&watch);
}

static void a_sample_comes_when_something_changed(void **state)
{
	static struct watch watch;
	struct kernel_sockets_visitor visitor = visitor_of(&watch);
	const struct kernel_socket *client;
	struct link link;
	int first;

	(void)state;
	watch_begin(&watch, (struct kernel_sockets_options){0});
	link_open(&link);
	move(link.client, link.server, 2000);
	assert_true(kernel_sockets_turn(watch.sockets, &visitor) > 0);
	client = find(&watch, link.client_port, link.port);
	assert_int_equal(client->event, KERNEL_SOCKET_SAMPLE);
	assert_int_equal(client->state, TCP_ESTABLISHED);
	assert_int_equal(client->traffic.tx_bytes, 2000);
	(void)usleep(50000); /* a late acknowledgement */
	(void)kernel_sockets_turn(watch.sockets, &visitor);
	first = watch.count;
	watch.count = 0;
	(void)kernel_sockets_turn(watch.sockets, &visitor);
	assert_int_equal(watch.count, 0);
	assert_true(first >= 3);
	move(link.client, link.server, 1);
	(void)kernel_sockets_turn(watch.sockets, &visitor);
	client = find(&watch, link.client_port, link.port);
	assert_int_equal(client->traffic.tx_bytes, 2001);
	link_close(&link);
	watch_stop(&watch);
	watch_end(&watch);
}

/* Ports that refuse: bound, but nobody listens. */
static void a_refused_connect_is_no_short_connection(void **state)
{
	static struct watch watch;
	uint16_t port;
	int closed = 0, short_ones = 0, listener;

	(void)state;
	listener = listener_open(&port);
	close(listener);
	watch_begin(&watch, (struct kernel_sockets_options){0});
	for (int i = 0; i < 5; i++)
		assert_true(connect_to(port) < 0);
	watch_stop(&watch);
	for (int i = 0; i < watch.count; i++) {
		closed += watch.mine[i].why == KERNEL_CLOSE_REFUSED;
		short_ones += watch.mine[i].established.ns != 0;
	}
	assert_int_equal(closed, 5);
	assert_int_equal(short_ones, 0);
	watch_end(&watch);
}

static void a_reset_is_the_closers_and_the_peers(void **state)
{
	static struct watch watch;
	const struct linger at_once = {1, 0};
	const struct kernel_socket *client, *server;
	struct link link;
	char byte;

	(void)state;
	watch_begin(&watch, (struct kernel_sockets_options){0});
	link_open(&link);
	assert_int_equal(setsockopt(link.client, SOL_SOCKET, SO_LINGER,
				    &at_once, sizeof at_once),
			 0);
	close(link.client);
	assert_int_equal(read(link.server, &byte, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close(link.server);
	close(link.listener);
	watch_stop(&watch);
	client = find(&watch, link.client_port, link.port);
	server = find(&watch, link.port, link.client_port);
	assert_int_equal(client->why, KERNEL_CLOSE_ABORT);
	assert_int_equal(client->resets_sent, 1);
	assert_int_equal(server->why, KERNEL_CLOSE_RESET);
	assert_int_equal(server->resets_received, 1);
	watch_end(&watch);
}

/* ---- limits
 * -------------------------------------------------------------------- */

static void traffic_make(int times)
{
	for (int i = 0; i < times; i++) {
		struct link link;
		int pair[2];

		link_open(&link);
		move(link.client, link.server, 1000);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		move(pair[0], pair[1], 500);
		link_close(&link);
		close(pair[0]);
		close(pair[1]);
	}
}

static void beyond_the_limits_bytes_are_the_processes(void **state)
{
	static struct watch watch;
	struct kernel_sockets_counters c;
	struct kernel_traffic sum;

	(void)state;
	watch_begin(&watch, (struct kernel_sockets_options){
				    .socket_limit = 1, .no_existing = true});
	traffic_make(20);
	watch_stop(&watch);
	c = kernel_sockets_counters(watch.sockets);
	sum = traffic_sum(&watch);
	assert_true(c.sockets_refused > 0);
	assert_int_equal(sum.tx_bytes, 20 * UINT64_C(1500));
	assert_int_equal(sum.rx_bytes, 20 * UINT64_C(1500));
	assert_int_equal(watch.buckets.tx_bytes, 20 * UINT64_C(1500));
	watch_end(&watch);
}

static void without_room_for_processes_bytes_are_nobodys(void **state)
{
	static struct watch watch;
	struct kernel_sockets_counters c;
	struct kernel_traffic sum;

	(void)state;
	watch_begin(&watch, (struct kernel_sockets_options){
				    .process_limit = 1, .no_existing = true});
	/* Another process takes the one place. */
	if (fork() == 0) {
		int pair[2];

		(void)!socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
		(void)!write(pair[0], "a", 1);
		(void)usleep(400000);
		_exit(0);
	}
	(void)usleep(200000);
	traffic_make(5);
	watch_stop(&watch);
	c = kernel_sockets_counters(watch.sockets);
	sum = traffic_sum(&watch);
	assert_int_equal(sum.tx_bytes, 5 * UINT64_C(1000));
	assert_true(c.processes_refused > 0);
	assert_true(c.unattributed_tx_bytes >= 5 * UINT64_C(500));
	watch_end(&watch);
}

static void what_a_ring_has_no_room_for_is_counted(void **state)
{
	static struct watch watch;
	struct kernel_sockets_counters c;

	(void)state;
	watch_begin(&watch, (struct kernel_sockets_options){
				    .events_size = 4096, .buckets_size = 4096});
	/* Buckets of many sockets, more than fit; nobody reads. */
	for (int i = 0; i < 40; i++) {
		struct link link;

		link_open(&link);
		move(link.client, link.server, 1000);
		(void)usleep(12000);
		move(link.client, link.server, 1000);
		link_close(&link);
	}
	watch_stop(&watch);
	c = kernel_sockets_counters(watch.sockets);
	assert_true(c.end_refused > 0 && c.bucket_refused > 0);
	assert_int_equal(c.end_events, c.end_submitted + c.end_refused);
	assert_int_equal(c.bucket_events,
			 c.bucket_submitted + c.bucket_refused);
	assert_int_equal(c.bucket_submitted, c.bucket_consumed);
	/* No byte is lost without a word. */
	assert_int_equal(watch.missed.tx_bytes, c.bucket_refused_tx_bytes);
	assert_true(watch.buckets.tx_bytes + watch.missed.tx_bytes >=
		    40 * UINT64_C(2000));
	watch_end(&watch);
}

/* ---- the object
 * ------------------------------------------------------------------ */

static void intervals_begin_and_end_in_time(void **state)
{
	static struct watch watch;
	struct kernel_sockets_visitor visitor = visitor_of(&watch);
	struct kernel_sockets_counters c;
	int64_t past_ns;
	uint32_t index;

	(void)state;
	watch_begin(&watch, (struct kernel_sockets_options){0});
	(void)usleep(300000);
	(void)kernel_sockets_turn(watch.sockets, &visitor);
	past_ns = mono_now().ns - kernel_sockets_start(watch.sockets).ns;
	index = kernel_sockets_index(watch.sockets);
	assert_in_range(index, past_ns / 10000000 - 2, past_ns / 10000000 + 1);
	c = kernel_sockets_counters(watch.sockets);
	assert_true(c.ticks + c.ticks_missed + 2 >= index);
	watch_stop(&watch);
	watch_end(&watch);
}

static void hooks_that_ran_were_seen(void **state)
{
	static struct watch watch;
	const struct kernel_hook *hooks;
	size_t count, seen = 0;
	struct link link;

	(void)state;
	watch_begin(&watch, (struct kernel_sockets_options){0});
	link_open(&link);
	move(link.client, link.server, 10);
	link_close(&link);
	watch_stop(&watch);
	count = kernel_sockets_hooks(watch.sockets, &hooks);
	for (size_t i = 0; i < count; i++) {
		assert_true(*hooks[i].name && *hooks[i].lost);
		assert_int_equal(hooks[i].attached, *hooks[i].why == 0);
		assert_true(!hooks[i].seen || hooks[i].attached);
		seen += hooks[i].seen;
	}
	assert_true(seen >= 5);
	watch_end(&watch);
}

static void its_cost_is_measured(void **state)
{
	static struct watch watch;
	struct kernel_sockets_cost cost;
	int pair[2];

	(void)state;
	watch_begin(&watch, (struct kernel_sockets_options){0});
	assert_int_equal(kernel_sockets_measure(watch.sockets, true), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	for (int i = 0; i < 1000; i++)
		move(pair[0], pair[1], 10);
	assert_int_equal(kernel_sockets_measure(watch.sockets, false), 0);
	cost = kernel_sockets_cost(watch.sockets);
	assert_true(cost.measured && cost.call_runs >= 2000);
	assert_true(cost.memory_bytes > 1000000);
	close(pair[0]);
	close(pair[1]);
	watch_stop(&watch);
	watch_end(&watch);
}

static void an_interval_out_of_range_is_refused(void **state)
{
	struct kernel_sockets_options options = {.interval_ns = 1000};
	struct kernel_sockets *sockets;
	struct fault fault = {0};

	(void)state;
	if (!kernel_points_built())
		check_skip("this build lacks %s", kernel_points_lack());
	assert_int_equal(kernel_sockets_open(&options, &sockets, &fault),
			 -ERANGE);
	assert_true(*fault.text);
}

static void names_are_the_running_kernels(void **state)
{
	static struct watch watch;
	bool found = false;

	(void)state;
	watch_begin(&watch, (struct kernel_sockets_options){0});
	for (uint32_t i = 0; i < 1024; i++) {
		const char *name = kernel_drop_name(watch.sockets, i);

		found |= name && !strcmp(name, "NO_SOCKET");
	}
	assert_true(found);
	watch_stop(&watch);
	watch_end(&watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_has_its_times_bytes_and_numbers),
		cmocka_unit_test(a_sample_comes_when_something_changed),
		cmocka_unit_test(a_refused_connect_is_no_short_connection),
		cmocka_unit_test(a_reset_is_the_closers_and_the_peers),
		cmocka_unit_test(beyond_the_limits_bytes_are_the_processes),
		cmocka_unit_test(without_room_for_processes_bytes_are_nobodys),
		cmocka_unit_test(what_a_ring_has_no_room_for_is_counted),
		cmocka_unit_test(intervals_begin_and_end_in_time),
		cmocka_unit_test(hooks_that_ran_were_seen),
		cmocka_unit_test(its_cost_is_measured),
		cmocka_unit_test(an_interval_out_of_range_is_refused),
		cmocka_unit_test(names_are_the_running_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
