/* Stamped sockets, on the loopback interface. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#include "base/clock.h"
#include "base/err.h"
#include "probe/probe.h"

#define PACKETS 100
#define WAIT_MS 2000

static struct sockaddr_storage address_make(const char *text, uint16_t port)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
	}
	return storage;
}

static struct probe_socket *socket_make(const char *text,
					const struct sockaddr_storage *remote,
					bool unstamped)
{
	struct sockaddr_storage local = address_make(text, 0);
	struct probe_socket_options options = {
		.local = (const struct sockaddr *)&local,
		.remote = (const struct sockaddr *)remote,
		.dscp = 10,
		.unstamped = unstamped,
	};
	struct probe_socket *made;
	struct fault fault;
	int rc = probe_socket_open(&options, &made, &fault);

	if (rc < 0)
		fail_msg("%s", fault.text);
	return made;
}

struct seen {
	int64_t sched[PACKETS], sent[PACKETS];
	int scheds, sents;
};

static void events_take(struct probe_socket *socket, struct seen *seen)
{
	struct probe_event events[8];
	int count;

	while ((count = probe_socket_events(socket, 8, events)) > 0) {
		for (int i = 0; i < count; i++) {
			bool sched = events[i].kind == PROBE_EVENT_SCHED;
			int64_t *at = sched ? seen->sched : seen->sent;

			assert_in_range(events[i].key, 1000,
					1000 + PACKETS - 1);
			assert_int_equal(at[events[i].key - 1000], 0);
			at[events[i].key - 1000] = events[i].at.ns;
			*(sched ? &seen->scheds : &seen->sents) += 1;
		}
	}
}

/* The kernel turns receive stamps on by a work queue, some packets after the
 * first socket asked: sends until one came stamped. */
static void stamps_await(struct probe_socket *from, struct probe_socket *to)
{
	struct mono begin = mono_now();
	struct probe_packet got[PROBE_BATCH] = {0};

	while (got[0].received.source == STAMP_NONE) {
		struct probe_packet packet = {
			.bytes = (uint8_t[]){0}, .size = 1, .dscp = -1};
		struct pollfd wait = {probe_socket_fd(to), POLLIN, 0};
		struct wall at;

		assert_true(mono_ns_between(begin, mono_now()) < 30 * NS_PER_S);
		assert_int_equal(probe_socket_send(from, &packet, 1), 1);
		assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
		assert_int_equal(
			probe_socket_receive(to, PROBE_BATCH, got, &at), 1);
	}
}

/* Packet i goes there with its number; every stamp names it and is in its
 * place between those of the application. */
static void stamps_every_packet_on(const char *text)
{
	struct probe_socket *to = socket_make(text, NULL, false);
	struct sockaddr_storage there = probe_socket_local(to);
	struct probe_socket *from = socket_make(text, &there, false);
	struct seen seen = {.scheds = 0};

	stamps_await(from, to);
	for (int i = 0; i < PACKETS; i++) {
		uint8_t bytes[64] = {(uint8_t)i};
		struct probe_packet packet = {
			.bytes = bytes,
			.size = sizeof bytes,
			.key = 1000 + (uint32_t)i,
			.stamp = true,
			.dscp = i & 1 ? 46 : -1,
		};
		struct pollfd wait = {probe_socket_fd(to), POLLIN, 0};
		struct probe_packet got[PROBE_BATCH];
		struct wall before = wall_now(), after;

		assert_int_equal(probe_socket_send(from, &packet, 1), 1);
		assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
		assert_int_equal(
			probe_socket_receive(to, PROBE_BATCH, got, &after), 1);
		events_take(from, &seen);
		assert_int_equal(got[0].size, sizeof bytes);
		assert_int_equal(got[0].bytes[0], i);
		assert_int_equal(got[0].ttl, 255);
		assert_int_equal(got[0].dscp_received, i & 1 ? 46 : 10);
		assert_int_equal(got[0].ecn, 0);
		assert_int_equal(got[0].received_hw.source, STAMP_NONE);
		assert_true(seen.sched[i] >= before.ns);
		assert_true(seen.sent[i] >= seen.sched[i]);
		assert_int_equal(got[0].received.source, STAMP_KERNEL);
		assert_true(got[0].received.at.ns >= seen.sent[i]);
		assert_true(after.ns >= got[0].received.at.ns);
	}
	assert_int_equal(seen.scheds, PACKETS);
	assert_int_equal(seen.sents, PACKETS);
	probe_socket_close(from);
	probe_socket_close(to);
}

static void stamps_every_packet(void **state)
{
	(void)state;
	stamps_every_packet_on("127.0.0.1");
}

static void stamps_every_packet_of_ipv6(void **state)
{
	struct sockaddr_storage here = address_make("::1", 0);
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	(void)state;
	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&here, sizeof(struct sockaddr_in6)) < 0)
		check_skip("no IPv6 on the loopback interface");
	close(fd);
	stamps_every_packet_on("::1");
}

static void answers_from_the_address_it_was_asked_at(void **state)
{
	struct probe_socket *any = socket_make("0.0.0.0", NULL, true);
	struct sockaddr_storage local = probe_socket_local(any);
	struct sockaddr_storage there = address_make(
		"127.7.7.7", ntohs(((struct sockaddr_in *)&local)->sin_port));
	struct probe_socket *from = socket_make("127.0.0.1", &there, true);
	struct probe_packet packet = {
		.bytes = (uint8_t[]){1}, .size = 1, .dscp = -1};
	struct pollfd wait = {probe_socket_fd(any), POLLIN, 0};
	struct probe_packet got[1];
	struct wall at;

	(void)state;
	assert_int_equal(probe_socket_send(from, &packet, 1), 1);
	assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
	assert_int_equal(probe_socket_receive(any, 1, got, &at), 1);
	assert_int_equal(got[0].received.source, STAMP_NONE);
	assert_int_equal(probe_socket_send(any, got, 1), 1);
	wait.fd = probe_socket_fd(from); /* connected: takes 127.7.7.7 alone */
	assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
	assert_int_equal(probe_socket_receive(from, 1, got, &at), 1);
	probe_socket_close(from);
	probe_socket_close(any);
}

/* A refused packet shifts the kernel's own count, not the keys. */
static void tells_who_refused_and_keeps_the_keys(void **state)
{
	struct probe_socket *to = socket_make("127.0.0.1", NULL, false);
	struct sockaddr_storage there = probe_socket_local(to);
	struct probe_socket *from = socket_make("127.0.0.1", &there, false);
	int refused = 0, stamps = 0;

	(void)state;
	probe_socket_close(to); /* nobody is there now */
	for (uint32_t key = 500; key < 520; key++) {
		struct probe_packet packet = {.bytes = (uint8_t[]){1},
					      .size = 1,
					      .key = key,
					      .stamp = true,
					      .dscp = -1};
		struct probe_event events[8];
		int rc = probe_socket_send(from, &packet, 1);
		int count = probe_socket_events(from, 8, events);

		assert_true(rc == 1 || rc == -ECONNREFUSED);
		for (int i = 0; i < count; i++) {
			if (events[i].kind == PROBE_EVENT_REFUSED) {
				assert_int_equal(events[i].error, ECONNREFUSED);
				assert_int_equal(events[i].icmp_type, 3);
				assert_int_equal(events[i].icmp_code, 3);
				refused++;
				continue;
			}
			assert_int_equal(events[i].key, key);
			stamps++;
		}
	}
	assert_true(refused > 0);
	assert_true(stamps > 0);
	probe_socket_close(from);
}

static void names_what_was_refused(void **state)
{
	struct sockaddr_storage local = address_make("192.0.2.1", 0);
	struct probe_socket_options options = {
		.local = (const struct sockaddr *)&local};
	struct probe_socket *made;
	struct fault fault;

	(void)state;
	assert_int_equal(probe_socket_open(&options, &made, &fault),
			 -EADDRNOTAVAIL);
	assert_non_null(strstr(fault.text, "the local address"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stamps_every_packet),
		cmocka_unit_test(stamps_every_packet_of_ipv6),
		cmocka_unit_test(answers_from_the_address_it_was_asked_at),
		cmocka_unit_test(tells_who_refused_and_keeps_the_keys),
		cmocka_unit_test(names_what_was_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
