#include "check.h"

#include <errno.h>
#include <string.h>

#include "engine/make_pcap.h"
#include "packet_capture.h"

#define PACKETS 5000
#define FLOWS   50

static capture_session_t *open_file(const char *path, int no_packets)
{
	capture_config_t config;
	capture_session_t *session;

	capture_config_init(&config);
	config.interfaces = path;
	config.no_packets = no_packets;
	session = capture_init(&config);
	if (!session)
		fail_msg("%s", capture_error_text());
	return session;
}

static void lends_packets_that_may_come_back_in_any_order(void **state)
{
	captured_packet_t *held[PACKETS];
	capture_session_t *session;
	capture_stats_t stats;
	char path[32];
	int count = 0, got;

	(void)state;
	pcap_file(path, PACKETS, FLOWS);
	session = open_file(path, 0);
	assert_int_equal(capture_poll(session, held, 1), CAPTURE_ESTATE);
	assert_int_equal(capture_start(session), 0);
	assert_int_equal(capture_start(session), CAPTURE_ESTATE);
	while (count < PACKETS) {
		got = capture_poll(session, held + count, 100);
		assert_true(got >= 0 && got <= 100);
		count += got;
	}
	for (int i = 0; i < PACKETS; i++) {
		assert_int_equal(held[i]->length, 60);
		assert_int_equal(held[i]->captured_length, 60);
		assert_int_equal(held[i]->timestamp_ns,
				 1700000000000000000 + i * 1000000LL);
		assert_int_equal(held[i]->timestamp_source,
				 CAPTURE_SOURCE_FILE);
		assert_int_equal(held[i]->data[28 + 4 * (i / FLOWS % 2)], 0);
		assert_int_equal(held[i]->data[29 + 4 * (i / FLOWS % 2)],
				 i % FLOWS);
		assert_string_equal(held[i]->interface, path + 5);
	}
	for (int i = PACKETS; i > 0; i -= 10) /* backwards, by tens */
		capture_packets_release(session, held + i - 10, 10);
	assert_int_equal(capture_poll(session, held, 1), CAPTURE_END);
	assert_int_equal(capture_stop(session), 0);
	assert_int_equal(capture_get_stats(session, &stats), 0);
	assert_int_equal(stats.packets_received, PACKETS);
	assert_int_equal(stats.packets_polled, PACKETS);
	assert_int_equal(stats.bytes_received, PACKETS * 60);
	capture_cleanup(session);
	unlink(path);
}

static void ended_count(const flow_record_t *record, void *context)
{
	assert_int_not_equal(record->end_reason, FLOW_ENDED_NOT);
	++*(int *)context;
}

static void statistics_check(const flow_record_t *record, uint64_t packets)
{
	const flow_statistics_t *s = record->statistics;

	assert_non_null(s);
	assert_int_equal(s->length[2].count, packets);
	assert_int_equal(s->length[2].max, 46);
	assert_true(s->length[0].mean == 46 || record->packets == 0);
	assert_int_equal(s->interval_ns[2].count, packets - 1);
	assert_int_equal(s->first_count, packets < 3 ? packets : 3);
	assert_int_equal(s->first_length[0], 46);
	assert_int_equal(s->payload[2].count, 0); /* not asked for */
}

static void ended_check(const flow_record_t *record, void *context)
{
	statistics_check(record, record->packets + record->rev_packets);
	++*(int *)context;
}

static void gives_the_statistics_that_were_asked_for(void **state)
{
	flow_config_t wrong[] = {{.statistics = "lengths"},
				 {.statistics = "all", .first_packets = 33}};
	int ended = 0, count, got;
	flow_config_t flow = {.statistics = "length,interval,first",
			      .first_packets = 3,
			      .active_timeout_s = 2,
			      .on_end = ended_check,
			      .context = &ended};
	capture_session_t *session;
	flow_record_t **flows;
	char path[32];

	(void)state;
	pcap_file(path, PACKETS, FLOWS);
	session = open_file(path, 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(capture_flow_enable(session, &wrong[i]),
				 CAPTURE_ERANGE);
	assert_non_null(strstr(capture_error_text(), "1 to 32"));
	assert_int_equal(capture_flow_enable(session, &flow), 0);
	assert_int_equal(capture_start(session), 0);
	while ((got = capture_poll(session, NULL, 1)) != CAPTURE_END)
		assert_int_equal(got, 0);
	flows = capture_flow_get_all(session, &count);
	assert_non_null(flows);
	for (int i = 0; i < count; i++)
		statistics_check(flows[i],
				 flows[i]->packets + flows[i]->rev_packets);
	assert_true(ended > 0 && ended <= count);
	capture_flow_release_all(flows, count);
	assert_int_equal(capture_stop(session), 0);
	capture_cleanup(session);
	unlink(path);
}

static void finds_every_flow_live_or_ended(void **state)
{
	flow_tuple_t tuple = {.ip_version = 4,
			      .protocol = 17,
			      .src_port = 53,
			      .dst_port = 0x4001,
			      .interface_index = CAPTURE_INTERFACE_ANY,
			      .src_address = {192, 0, 2, 3},
			      .dst_address = {10, 0, 0, 3}};
	int ended = 0, count, got;
	flow_config_t flow = {.active_timeout_s = 2, /* two records a flow */
			      .on_end = ended_count,
			      .context = &ended};
	flow_record_t **flows, *one;
	uint64_t packets = 0;
	capture_session_t *session;
	capture_stats_t stats;
	char path[32];

	(void)state;
	pcap_file(path, PACKETS, FLOWS);
	session = open_file(path, 1);
	assert_null(capture_flow_get_all(session, &count));
	assert_int_equal(capture_errno(), CAPTURE_ESTATE);
	assert_int_equal(capture_flow_enable(session, &flow), 0);
	assert_int_equal(capture_flow_enable(session, &flow), CAPTURE_ESTATE);
	assert_int_equal(capture_start(session), 0);
	while ((got = capture_poll(session, NULL, 1)) != CAPTURE_END)
		assert_int_equal(got, 0);

	flows = capture_flow_get_all(session, &count);
	assert_non_null(flows);
	for (int i = 0; i < count; i++)
		packets += flows[i]->packets + flows[i]->rev_packets;
	assert_int_equal(packets, PACKETS);
	capture_flow_release_all(flows, count);
	one = capture_flow_lookup(session, &tuple);
	assert_non_null(one);
	assert_int_equal(one->tuple.src_port, 0x4001);
	assert_int_equal(one->tuple.dst_port, 53);
	assert_int_equal(strncmp(one->community_id, "1:", 2), 0);
	capture_flow_release(one);
	tuple.src_port = 54;
	assert_null(capture_flow_lookup(session, &tuple));
	assert_int_equal(capture_errno(), 0);

	assert_int_equal(capture_stop(session), 0);
	assert_int_equal(capture_get_stats(session, &stats), 0);
	assert_int_equal(stats.packets_metered, PACKETS);
	assert_int_equal(stats.flows_created,
			 stats.flows_live + stats.flows_ended);
	assert_int_equal(stats.flows_ended, ended);
	assert_int_equal(stats.flows_created, count);
	assert_true(ended >= 2 * FLOWS);
	capture_cleanup(session);
	unlink(path);
}

static void tells_a_cut_file_once_and_then_the_end(void **state)
{
	captured_packet_t *packet;
	capture_session_t *session;
	int told = 0, polled = 0, rc;
	char path[32];

	(void)state;
	pcap_file(path, 100, 10);
	assert_int_equal(truncate(path, 24 + 50 * 76 + 40), 0);
	session = open_file(path, 0);
	assert_int_equal(capture_flow_enable(session, NULL), 0);
	assert_int_equal(capture_start(session), 0);
	while ((rc = capture_poll(session, &packet, 1)) != CAPTURE_END) {
		if (rc == CAPTURE_EFILE) {
			told++;
			assert_non_null(strstr(capture_error_text(), "3824"));
			assert_non_null(strstr(capture_error_text(), path + 5));
		}
		for (int i = 0; i < rc; i++)
			capture_packets_release(session, &packet, 1);
		polled += rc > 0 ? rc : 0;
	}
	assert_int_equal(told, 1);
	assert_int_equal(polled, 50);
	capture_cleanup(session);
	unlink(path);
}

static void stops_a_file_that_nobody_polls(void **state)
{
	capture_session_t *session;
	char path[32];

	(void)state;
	pcap_file(path, 60000, 10); /* more than can be lent */
	session = open_file(path, 0);
	assert_int_equal(capture_flow_enable(session, NULL), 0);
	assert_int_equal(capture_start(session), 0);
	assert_int_equal(capture_stop(session), 0);
	capture_cleanup(session);
	unlink(path);
}

static void refuses_what_it_cannot_do_and_says_why(void **state)
{
	static const struct {
		capture_config_t config;
		int code;
		const char *text;
	} cases[] = {
		{{.interfaces = NULL}, -EINVAL, "interfaces"},
		{{.interfaces = "10", .backend = "nul"},
		 CAPTURE_EBACKEND,
		 "nul"},
		{{.interfaces = "10", .backend = "null", .ring_size = 1},
		 CAPTURE_ERANGE,
		 "ring_size: 1 is out of range: 67108864 to 2147483648 bytes"},
		{{.interfaces = "10", .backend = "null", .snap_length = 63},
		 CAPTURE_ERANGE,
		 "snap_length: 63 is out of range: 64 to 262144 bytes"},
		{{.interfaces = "10", .backend = "null", .workers = 65},
		 CAPTURE_ERANGE,
		 "workers: 65"},
		{{.interfaces = "/nowhere/x.pcap"}, -ENOENT, "/nowhere/x.pcap"},
	};
	flow_config_t flow = {.max_flows = 1};
	capture_config_t null = {.interfaces = "10", .backend = "null"};
	capture_session_t *session;

	(void)state;
	assert_null(capture_init(NULL));
	assert_int_equal(capture_errno(), -EINVAL);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_null(capture_init(&cases[i].config));
		assert_int_equal(capture_errno(), cases[i].code);
		if (!strstr(capture_error_text(), cases[i].text))
			fail_msg("'%s' lacks '%s'", capture_error_text(),
				 cases[i].text);
	}
	session = capture_init(&null);
	assert_non_null(session);
	assert_int_equal(capture_flow_enable(session, &flow), CAPTURE_ERANGE);
	assert_string_equal(capture_error_text(),
			    "max_flows: 1 is out of range: 4096 to 16777216 "
			    "flows");
	assert_int_equal(capture_stop(session), CAPTURE_ESTATE);
	assert_int_equal(capture_netflow_enable(session, NULL),
			 CAPTURE_EVERSION);
	assert_int_equal(capture_set_encryption(session, NULL),
			 CAPTURE_EVERSION);
	assert_int_equal(capture_verify_firmware("a", "b"), CAPTURE_EVERSION);
	capture_cleanup(session);
	capture_cleanup(NULL);
}

static void has_a_sentence_for_every_code_and_lists_backends(void **state)
{
	int count;
	const capture_backend_t *list = capture_backend_list(&count);

	(void)state;
	for (int code = CAPTURE_END; code <= CAPTURE_EBACKEND; code++)
		assert_string_not_equal(capture_strerror(code),
					"unknown error");
	assert_string_equal(capture_strerror(-EPERM),
			    "Operation not permitted");
	assert_string_equal(capture_strerror(-77777), "unknown error");
	assert_true(count >= 4);
	for (int i = 0; i < count; i++)
		assert_true(list[i].name[0] && list[i].description[0]);
	assert_int_equal(strncmp(capture_version(), "0.", 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lends_packets_that_may_come_back_in_any_order),
		cmocka_unit_test(gives_the_statistics_that_were_asked_for),
		cmocka_unit_test(finds_every_flow_live_or_ended),
		cmocka_unit_test(tells_a_cut_file_once_and_then_the_end),
		cmocka_unit_test(stops_a_file_that_nobody_polls),
		cmocka_unit_test(refuses_what_it_cannot_do_and_says_why),
		cmocka_unit_test(
			has_a_sentence_for_every_code_and_lists_backends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
