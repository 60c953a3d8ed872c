/* A sender and a reflector on the loopback interface, in two threads. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "base/err.h"
#include "probe/probe.h"

#define COUNT 300

static struct sockaddr_storage loopback(uint16_t port)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;

	v4->sin_family = AF_INET;
	v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v4->sin_port = htons(port);
	return storage;
}

struct peer {
	struct reflector *reflector;
	struct sockaddr_storage at;
	pthread_t thread;
	atomic_bool stop;
};

static void *peer_main(void *argument)
{
	struct peer *peer = argument;

	while (!atomic_load(&peer->stop))
		assert_true(reflector_turn(peer->reflector, 20) >= 0);
	return NULL;
}

static void peer_start(struct peer *peer,
		       const struct reflector_options *options)
{
	struct sockaddr_storage any = loopback(0);
	struct probe_socket_options socket = {
		.local = (const struct sockaddr *)&any};
	struct probe_socket *made;
	struct fault fault;

	*peer = (struct peer){.stop = false};
	assert_int_equal(probe_socket_open(&socket, &made, &fault), 0);
	peer->at = probe_socket_local(made);
	assert_int_equal(reflector_create(options, &peer->reflector), 0);
	assert_int_equal(reflector_socket_add(peer->reflector, made), 0);
	assert_int_equal(pthread_create(&peer->thread, NULL, peer_main, peer),
			 0);
}

static struct reflector_counters peer_end(struct peer *peer)
{
	struct reflector_counters counters;

	atomic_store(&peer->stop, true);
	pthread_join(peer->thread, NULL);
	counters = reflector_counters(peer->reflector);
	reflector_destroy(peer->reflector);
	return counters;
}

struct result {
	struct trip trips[COUNT];
	size_t count;
	struct sender_counters counters;
	point_set points;
};

static void result_add(void *context, const struct trip *trip)
{
	struct result *result = context;

	assert_true(result->count < COUNT);
	assert_int_equal(trip->seq, result->count);
	result->trips[result->count++] = *trip;
}

static void rtt_run(const struct peer *peer, struct sender_options options,
		    struct result *ret_result)
{
	struct sockaddr_storage any = loopback(0);
	struct sender *sender;
	struct fault fault;

	memset(ret_result, 0, sizeof *ret_result);
	options.local = (const struct sockaddr *)&any;
	options.remote = (const struct sockaddr *)&peer->at;
	options.count = COUNT;
	options.rate_hz = 2000;
	options.emit = result_add;
	options.context = ret_result;
	if (sender_create(&options, &sender, &fault) < 0)
		fail_msg("%s", fault.text);
	while (sender_turn(sender) == 1)
		;
	ret_result->counters = sender_counters(sender);
	ret_result->points = sender_points(sender);
	sender_destroy(sender);
}

static void counters_check(const struct result *result)
{
	const struct sender_counters *counters = &result->counters;

	assert_int_equal(result->count, COUNT);
	assert_int_equal(counters->slots, COUNT);
	assert_int_equal(counters->sent + counters->skipped + counters->failed,
			 COUNT);
	assert_int_equal(counters->answered + counters->lost, counters->sent);
	assert_int_equal(counters->strange, 0);
	assert_int_equal(counters->hmac_wrong, 0);
}

/* Every trip that was answered has every point, in the order of the path, and
 * its segments are its round trip. */
static void trips_check(const struct result *result)
{
	struct segment segments[SEGMENT_MAX];
	size_t count = trip_segments(result->points, segments);
	size_t complete = 0, answered = 0;

	for (size_t i = 0; i < COUNT; i++) {
		const struct trip *trip = &result->trips[i];
		int64_t sum = 0;

		if (trip->flags & (TRIP_SKIPPED | TRIP_LOST))
			continue;
		answered++;
		if ((trip->stamped & result->points) != result->points)
			continue;
		complete++;
		for (size_t k = 0; k < count; k++) {
			int64_t part;

			assert_true(
				trip_segment_ns(trip, &segments[k], 0, &part));
			assert_true(part >= 0);
			sum += part;
		}
		assert_int_equal(sum,
				 trip->at_ns[LEG_BACK][POINT_RECEIVE] -
					 trip->at_ns[LEG_FORWARD][POINT_SEND]);
		/* Two clocks, read one after the other: a busy machine may
		 * come between. */
		assert_true(llabs(trip->rtt_ns - sum) < NS_PER_S / 10);
		assert_int_equal(trip->ttl[LEG_FORWARD], 255);
		assert_int_equal(trip->ttl[LEG_BACK], 255);
		assert_int_equal(trip->flags & TRIP_LEG_KNOWN, TRIP_LEG_KNOWN);
	}
	assert_true(answered > 0); /* a busy machine skips slots */
	assert_true(complete * 100 >= answered * 98);
}

static void joins_ten_points_of_every_packet(void **state)
{
	struct reflector_options options = {.error_ns = -1};
	struct sender_options sending = {.dscp_wanted = -1, .error_ns = -1};
	struct reflector_counters counters;
	static struct result result;
	struct peer peer;

	(void)state;
	peer_start(&peer, &options);
	rtt_run(&peer, sending, &result);
	counters = peer_end(&peer);
	counters_check(&result);
	assert_int_equal(__builtin_popcountll(result.points), 10);
	trips_check(&result);
	assert_int_equal(counters.received, counters.answered);
	assert_true(counters.answered >= result.counters.answered);
	assert_int_equal(counters.sessions, 1);
}

static void does_so_with_a_key_and_asleep(void **state)
{
	static const uint8_t key[] = "a key";
	struct reflector_options options = {
		.key = key, .key_size = sizeof key, .error_ns = -1};
	struct sender_options sending = {.key = key,
					 .key_size = sizeof key,
					 .sleep = true,
					 .poisson = true,
					 .size = 800,
					 .dscp_wanted = 46,
					 .error_ns = 1000};
	static struct result result;
	struct peer peer;

	(void)state;
	peer_start(&peer, &options);
	rtt_run(&peer, sending, &result);
	(void)peer_end(&peer);
	counters_check(&result);
	trips_check(&result);
	for (size_t i = 0; i < COUNT; i++) {
		if (result.trips[i].rtt_ns > 0)
			assert_int_equal(result.trips[i].dscp[LEG_BACK], 46);
	}
}

static void another_key_is_no_answer(void **state)
{
	struct reflector_options options = {
		.key = (const uint8_t *)"right", .key_size = 5, .error_ns = -1};
	struct sender_options sending = {.key = (const uint8_t *)"wrong",
					 .key_size = 5,
					 .dscp_wanted = -1,
					 .timeout_ns = 100000000};
	struct reflector_counters counters;
	static struct result result;
	struct peer peer;

	(void)state;
	peer_start(&peer, &options);
	rtt_run(&peer, sending, &result);
	counters = peer_end(&peer);
	assert_int_equal(result.counters.answered, 0);
	assert_int_equal(result.counters.lost, result.counters.sent);
	assert_int_equal(counters.hmac_wrong, counters.received);
	assert_int_equal(counters.answered, 0);
}

static void nobody_there_is_told(void **state)
{
	struct sender_options sending = {.dscp_wanted = -1,
					 .timeout_ns = 100000000};
	struct reflector_options options = {.error_ns = -1};
	static struct result result;
	struct peer peer;

	(void)state;
	peer_start(&peer, &options);
	(void)peer_end(&peer);
	rtt_run(&peer, sending, &result);
	assert_int_equal(result.counters.answered, 0);
	assert_true(result.counters.refusals > 0);
	assert_int_equal(result.count, COUNT);
}

static void the_rate_of_a_prefix_is_bounded(void **state)
{
	struct reflector_options options = {.rate_pps = 100, .error_ns = -1};
	struct sender_options sending = {.dscp_wanted = -1,
					 .timeout_ns = 100000000};
	struct reflector_counters counters;
	static struct result result;
	struct peer peer;

	(void)state;
	peer_start(&peer, &options);
	rtt_run(&peer, sending, &result);
	counters = peer_end(&peer);
	assert_int_equal(counters.received,
			 counters.answered + counters.limited);
	assert_true(counters.limited > 0);
	assert_true(counters.answered > 0);
	assert_int_equal(result.counters.answered + result.counters.lost,
			 result.counters.sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins_ten_points_of_every_packet),
		cmocka_unit_test(does_so_with_a_key_and_asleep),
		cmocka_unit_test(another_key_is_no_answer),
		cmocka_unit_test(nobody_there_is_told),
		cmocka_unit_test(the_rate_of_a_prefix_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
