/* Callers that spare the session nothing: many threads, all at once. */
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "engine/make_pcap.h"
#include "packet_capture.h"

#define FLOWS   20000U
#define PACKETS UINT64_C(60000) /* 3 a flow */
#define HELD    700
#define POLLERS 3

struct load {
	capture_session_t *session;
	atomic_bool over;
	atomic_ulong polled, foreign, looked, listed, stopped;
	unsigned slow; /* how many packets a poller holds */
};

static void *poll_all(void *context)
{
	struct load *load = context;
	captured_packet_t *held[HELD];
	int count = 0, got;

	while ((got = capture_poll(load->session, held + count, 64)) >= 0) {
		for (int i = count; i < count + got; i++)
			load->foreign += held[i]->captured_length != 60 ||
					 held[i]->data[12] != 8;
		load->polled += (unsigned long)got;
		count += got;
		if (count + 64 > HELD || (unsigned)count > load->slow) {
			capture_packets_release(load->session, held, count);
			count = 0;
		}
	}
	if (got != CAPTURE_END)
		load->foreign++;
	capture_packets_release(load->session, held, count);
	return NULL;
}

static void *look_up(void *context)
{
	struct load *load = context;

	for (uint32_t i = 0; !load->over; i = (i + 1) % FLOWS) {
		flow_tuple_t tuple = {
			.ip_version = 4,
			.protocol = 17,
			.src_port = 0x4001,
			.dst_port = 53,
			.interface_index = CAPTURE_INTERFACE_ANY,
			.src_address = {10, 0, (uint8_t)(i >> 8), (uint8_t)i},
			.dst_address = {192, 0, 2, (uint8_t)(i % 7)},
		};
		flow_record_t *found =
			capture_flow_lookup(load->session, &tuple);

		if (found &&
		    (found->tuple.src_port != 0x4001 || found->packets > 2))
			load->foreign++;
		load->looked += found != NULL;
		capture_flow_release(found);
	}
	return NULL;
}

static void *list_all(void *context)
{
	struct load *load = context;

	while (!load->over) {
		capture_stats_t stats;
		int count;
		flow_record_t **all =
			capture_flow_get_all(load->session, &count);

		for (int i = 0; i < count; i++)
			load->foreign += all[i]->tuple.dst_port != 53;
		load->listed += (unsigned long)count;
		capture_flow_release_all(all, count);
		load->foreign += capture_get_stats(load->session, &stats) != 0;
	}
	return NULL;
}

static void *stop_it(void *context)
{
	struct load *load = context;

	load->stopped += capture_stop(load->session) == 0;
	return NULL;
}

static void session_open(struct load *load, const char *path, uint16_t workers)
{
	flow_config_t flow = {.history = 1000};
	capture_config_t config;

	capture_config_init(&config);
	config.interfaces = path;
	config.workers = workers;
	load->session = capture_init(&config);
	assert_non_null(load->session);
	assert_int_equal(capture_flow_enable(load->session, &flow), 0);
}

/* Everything at once; stops in the midst if 'stops'. */
static void load_run(struct load *load, bool stops)
{
	void *(*const jobs[])(void *) = {list_all, look_up,  look_up, poll_all,
					 poll_all, poll_all, stop_it, stop_it};
	const int first_poller = 3, first_stopper = first_poller + POLLERS;
	pthread_t threads[8];

	for (int i = 0; i < first_stopper; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, jobs[i], load), 0);
	while (stops && load->polled < 2000)
		sched_yield();
	if (!stops)
		for (int i = first_poller; i < first_stopper; i++)
			pthread_join(threads[i], NULL);
	for (int i = first_stopper; i < 8; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, jobs[i], load), 0);
	for (int i = stops ? first_poller : first_stopper; i < 8; i++)
		pthread_join(threads[i], NULL);
	load->over = true;
	for (int i = 0; i < first_poller; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(load->stopped, 2);
	assert_int_equal(load->foreign, 0);
}

static void stats_check(capture_session_t *session, uint64_t polled)
{
	capture_stats_t stats;

	assert_int_equal(capture_get_stats(session, &stats), 0);
	assert_int_equal(stats.packets_polled, polled);
	assert_int_equal(stats.packets_received,
			 stats.packets_decoded + stats.packets_undecoded);
	assert_int_equal(stats.packets_decoded,
			 stats.packets_metered + stats.packets_refused);
	assert_int_equal(stats.flows_created,
			 stats.flows_live + stats.flows_ended);
}

static void gives_every_packet_to_one_of_many_threads(void **state)
{
	char path[32];

	(void)state;
	pcap_file(path, PACKETS, FLOWS);
	for (uint16_t workers = 1; workers <= 2; workers++) {
		struct load load = {.slow = workers == 1 ? 0 : HELD};

		session_open(&load, path, workers);
		assert_int_equal(capture_start(load.session), 0);
		load_run(&load, false);
		assert_int_equal(load.polled, PACKETS);
		stats_check(load.session, PACKETS);
		capture_cleanup(load.session);
	}
	unlink(path);
}

static void stops_in_the_midst_of_all_calls(void **state)
{
	char path[32];

	(void)state;
	pcap_file(path, PACKETS, FLOWS);
	for (uint16_t workers = 1; workers <= 2; workers++) {
		struct load load = {.slow = HELD};

		session_open(&load, path, workers);
		assert_int_equal(capture_start(load.session), 0);
		load_run(&load, true);
		stats_check(load.session, load.polled);
		assert_int_equal(capture_stop(load.session), 0);
		assert_int_equal(capture_start(load.session), CAPTURE_ESTATE);
		capture_cleanup(load.session);
	}
	unlink(path);
}

static void cleans_up_what_was_never_stopped_or_released(void **state)
{
	captured_packet_t *held[2][HELD];
	struct load loads[2] = {{.slow = 0}, {.slow = 0}};
	char path[32];

	(void)state;
	pcap_file(path, PACKETS, FLOWS);
	for (int i = 0; i < 2; i++) {
		session_open(&loads[i], path, 1);
		assert_int_equal(capture_start(loads[i].session), 0);
	}
	for (int i = 0; i < 2; i++) {
		int got = 0;

		while (got == 0)
			got = capture_poll(loads[i].session, held[i], HELD);
		assert_true(got > 0);
		assert_int_equal(held[i][0]->data[14], 0x45);
	}
	capture_cleanup(loads[0].session);
	assert_int_equal(held[1][0]->data[14], 0x45);
	capture_cleanup(loads[1].session);
	session_open(&loads[0], path, 3); /* nor even started */
	capture_cleanup(loads[0].session);
	unlink(path);
}

static void survives_null_everywhere(void **state)
{
	struct load load = {.slow = 0};
	captured_packet_t *packet = NULL;
	capture_stats_t stats;
	int count = 7;

	(void)state;
	capture_config_init(NULL);
	assert_null(capture_init(NULL));
	assert_int_equal(capture_start(NULL), CAPTURE_ESTATE);
	assert_int_equal(capture_stop(NULL), CAPTURE_ESTATE);
	assert_int_equal(capture_poll(NULL, &packet, 1), -EINVAL);
	capture_packets_release(NULL, &packet, 1);
	assert_int_equal(capture_flow_enable(NULL, NULL), CAPTURE_ESTATE);
	assert_null(capture_flow_lookup(NULL, NULL));
	assert_int_equal(capture_errno(), -EINVAL);
	assert_null(capture_flow_get_all(NULL, &count));
	assert_int_equal(count, 0);
	assert_null(capture_flow_get_all(NULL, NULL));
	assert_int_equal(capture_errno(), -EINVAL);
	assert_int_equal(capture_get_stats(NULL, &stats), -EINVAL);
	assert_null(capture_interface_name(NULL, 0));
	assert_non_null(capture_backend_list(NULL));
	assert_int_equal(capture_interface_list(NULL, -1), -EINVAL);
	assert_int_equal(capture_interface_list(NULL, 1), -EINVAL);
	assert_true(capture_interface_list(NULL, 0) >= 0);
	capture_flow_release(NULL);
	capture_flow_release_all(NULL, 3);
	capture_cleanup(NULL);

	session_open(&load, "/dev/null", 1);
	assert_int_equal(capture_poll(load.session, NULL, 1), -EINVAL);
	assert_int_equal(capture_poll(load.session, &packet, 0), -EINVAL);
	assert_int_equal(capture_poll(load.session, &packet, -1), -EINVAL);
	capture_packets_release(load.session, NULL, 1);
	capture_packets_release(load.session, &packet, 0);
	assert_null(capture_flow_lookup(load.session, NULL));
	assert_null(capture_flow_get_all(load.session, NULL));
	assert_int_equal(capture_get_stats(load.session, NULL), -EINVAL);
	assert_null(capture_interface_name(load.session, 9));
	capture_cleanup(load.session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_every_packet_to_one_of_many_threads),
		cmocka_unit_test(stops_in_the_midst_of_all_calls),
		cmocka_unit_test(cleans_up_what_was_never_stopped_or_released),
		cmocka_unit_test(survives_null_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
