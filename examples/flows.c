/* flows FILE|INTERFACE[,...]: polls every packet and prints every flow.
 *
 *     cc flows.c $(pkg-config --cflags --libs packet_capture) -o flows
 */
#include <inttypes.h>
#include <packet_capture.h>
#include <stdio.h>

#include <arpa/inet.h>

#define BATCH 64

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, capture_error_text());
	return 1;
}

/* Polls until the end; counts what comes by. */
static int drain(capture_session_t *session, uint64_t *packets, uint64_t *bytes)
{
	captured_packet_t *batch[BATCH];
	int count;

	while ((count = capture_poll(session, batch, BATCH)) != CAPTURE_END) {
		if (count < 0) {
			fail("poll"); /* a damaged file: told, then the end */
			continue;
		}
		for (int i = 0; i < count; i++) {
			*packets += 1;
			*bytes += batch[i]->length;
		}
		capture_packets_release(session, batch, count);
	}
	return 0;
}

static void flow_print(const flow_record_t *flow)
{
	int family = flow->tuple.ip_version == 4 ? AF_INET : AF_INET6;
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	inet_ntop(family, flow->tuple.src_address, src, sizeof src);
	inet_ntop(family, flow->tuple.dst_address, dst, sizeof dst);
	printf("%016" PRIx64 " %u %s %u %s %u  %" PRIu64 " %" PRIu64
	       "  %" PRIu64 " %" PRIu64 "  %s\n",
	       flow->flow_id, flow->tuple.protocol, src, flow->tuple.src_port,
	       dst, flow->tuple.dst_port, flow->packets, flow->rev_packets,
	       flow->bytes, flow->rev_bytes, flow->community_id);
}

int main(int argc, char **argv)
{
	capture_config_t config;
	capture_session_t *session;
	flow_record_t **flows;
	capture_stats_t stats;
	uint64_t packets = 0, bytes = 0;
	int count;

	if (argc != 2) {
		fprintf(stderr, "usage: flows FILE|INTERFACE[,...]\n");
		return 2;
	}
	capture_config_init(&config);
	config.interfaces = argv[1];
	session = capture_init(&config);
	if (!session)
		return fail(argv[1]);
	if (capture_flow_enable(session, NULL) < 0 ||
	    capture_start(session) < 0)
		return fail(argv[1]);
	drain(session, &packets, &bytes);
	capture_stop(session);

	flows = capture_flow_get_all(session, &count);
	for (int i = 0; i < count; i++)
		flow_print(flows[i]);
	capture_flow_release_all(flows, count);
	capture_get_stats(session, &stats);
	printf("polled %" PRIu64 " packets, %" PRIu64 " bytes; metered %" PRIu64
	       ", dropped %" PRIu64 "; %" PRIu64 " flows\n",
	       packets, bytes, stats.packets_metered, stats.packets_dropped,
	       stats.flows_created);
	capture_cleanup(session);
	return 0;
}
