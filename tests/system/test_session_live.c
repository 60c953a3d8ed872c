/* The public C API on a veth pair. */
#include "check.h"

#include <string.h>
#include <unistd.h>

#include "net.h"
#include "packet_capture.h"

#define HOSTS 20
#define EACH  150 /* frames a host */
#define SENT  (HOSTS * EACH)

static capture_session_t *session_open(uint32_t workers)
{
	capture_session_t *session;
	capture_config_t config;

	capture_config_init(&config);
	config.interfaces = "v1";
	config.ring_size = UINT64_C(64) << 20;
	config.workers = workers;
	config.filter = "udp";
	config.poll_timeout_ms = 200;
	session = capture_init(&config);
	if (!session)
		fail_msg("%s", capture_error_text());
	return session;
}

static void send_all(void)
{
	struct net_frame frame = net_plain;
	int sender = net_sender("v0");

	for (uint32_t host = 0; host < HOSTS; host++) {
		frame.source = net_plain.source + (host << 8);
		frame.number = host * EACH;
		net_send(sender, &frame, EACH);
	}
	close(sender);
}

/* Polls until it is quiet; marks each frame's number. */
static int poll_all(capture_session_t *session, uint8_t seen[static SENT],
		    captured_packet_t **held)
{
	captured_packet_t *batch[64];
	int sum = 0, count;

	while ((count = capture_poll(session, batch, 64)) > 0) {
		for (int i = 0; i < count; i++) {
			captured_packet_t *packet = batch[i];
			uint32_t number = net_frame_number(
				packet->data, packet->captured_length);

			assert_true(number < SENT);
			seen[number]++;
			assert_int_equal(packet->timestamp_source,
					 CAPTURE_SOURCE_KERNEL);
			assert_string_equal(packet->interface, "v1");
			if (held)
				held[sum + i] = packet;
		}
		if (!held)
			capture_packets_release(session, batch, count);
		sum += count;
	}
	assert_int_equal(count, 0);
	return sum;
}

static void meters_and_lends_every_frame(uint32_t workers)
{
	capture_session_t *session = session_open(workers);
	static uint8_t seen[SENT];
	flow_record_t **flows, *flow;
	capture_stats_t stats;
	int count;

	memset(seen, 0, sizeof seen);
	assert_int_equal(capture_flow_enable(session, NULL), 0);
	assert_int_equal(capture_start(session), 0);
	send_all();
	assert_int_equal(poll_all(session, seen, NULL), SENT);
	for (int i = 0; i < SENT; i++)
		assert_int_equal(seen[i], 1);

	flows = capture_flow_get_all(session, &count); /* while it runs */
	assert_int_equal(count, HOSTS);
	for (int i = 0; i < count; i++) {
		assert_int_equal(flows[i]->packets, EACH);
		assert_int_equal(flows[i]->end_reason, FLOW_ENDED_NOT);
		assert_string_equal(flows[i]->interface, "v1");
	}
	flows[0]->tuple.interface_index = CAPTURE_INTERFACE_ANY;
	flow = capture_flow_lookup(session, &flows[0]->tuple);
	assert_non_null(flow);
	assert_int_equal(flow->flow_id, flows[0]->flow_id);
	capture_flow_release(flow);
	capture_flow_release_all(flows, count);

	assert_int_equal(capture_stop(session), 0);
	assert_int_equal(capture_get_stats(session, &stats), 0);
	assert_int_equal(stats.packets_received, SENT);
	assert_int_equal(stats.packets_dropped, 0);
	assert_int_equal(stats.packets_metered, SENT);
	assert_int_equal(stats.packets_polled, SENT);
	assert_int_equal(stats.flows_live, HOSTS);
	capture_cleanup(session);
}

static void meters_and_lends_with_one_worker(void **state)
{
	(void)state;
	meters_and_lends_every_frame(1);
}

static void meters_and_lends_with_two_workers(void **state)
{
	(void)state;
	meters_and_lends_every_frame(2);
}

/* Nine frames in ten are one flow's, so that one worker has most of them and
 * the others decode for it. */
static void meters_an_elephant(uint32_t workers)
{
	capture_session_t *session = session_open(workers);
	struct net_frame elephant = net_plain, mouse = net_plain;
	int sender = net_sender("v0"), count, elephants = 0;
	flow_record_t **flows;
	capture_stats_t stats;

	assert_int_equal(capture_flow_enable(session, NULL), 0);
	assert_int_equal(capture_start(session), 0);
	for (uint32_t round = 0; round < EACH; round++) {
		mouse.source = net_plain.source + ((1 + round % HOSTS) << 8);
		net_send(sender, &elephant, 90);
		net_send(sender, &mouse, 10);
	}
	close(sender);
	assert_int_equal(capture_stop(session), 0);
	assert_int_equal(capture_get_stats(session, &stats), 0);
	assert_int_equal(stats.packets_received, EACH * 100);
	assert_int_equal(stats.packets_dropped, 0);
	assert_int_equal(stats.packets_metered, EACH * 100);
	flows = capture_flow_get_all(session, &count);
	assert_int_equal(count, HOSTS + 1);
	for (int i = 0; i < count; i++) {
		uint64_t packets = flows[i]->packets;

		if (packets == UINT64_C(90) * EACH)
			elephants++;
		else
			assert_in_range(packets, EACH / HOSTS * 10,
					(EACH / HOSTS + 1) * 10);
	}
	assert_int_equal(elephants, 1);
	capture_flow_release_all(flows, count);
	capture_cleanup(session);
}

static void meters_an_elephant_with_many_workers(void **state)
{
	(void)state;
	for (uint32_t workers = 2; workers <= 4; workers++)
		meters_an_elephant(workers);
}

/* Without metering; the packets are held until after the stop. */
static void keeps_what_is_held_as_it_was(void **state)
{
	static captured_packet_t *held[SENT];
	static uint8_t seen[SENT];
	capture_session_t *session = session_open(1);
	captured_packet_t *more;

	(void)state;
	memset(seen, 0, sizeof seen);
	assert_int_equal(capture_start(session), 0);
	send_all();
	assert_int_equal(poll_all(session, seen, held), SENT);
	assert_int_equal(capture_stop(session), 0);
	assert_int_equal(capture_poll(session, &more, 1), CAPTURE_END);
	for (uint32_t i = 0; i < SENT; i++) {
		uint8_t bytes[2048];
		struct net_frame frame = net_plain;
		size_t size;

		frame.source = net_plain.source + (i / EACH << 8);
		frame.number = i;
		size = net_frame_write(&frame, bytes);
		assert_int_equal(held[i]->captured_length, size);
		assert_memory_equal(held[i]->data, bytes, size);
	}
	capture_packets_release(session, held, SENT);
	capture_cleanup(session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(meters_and_lends_with_one_worker,
				       net_setup),
		cmocka_unit_test_setup(meters_and_lends_with_two_workers,
				       net_setup),
		cmocka_unit_test_setup(meters_an_elephant_with_many_workers,
				       net_setup),
		cmocka_unit_test_setup(keeps_what_is_held_as_it_was, net_setup),
	};

	if (!net_begin())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
