/* The screen: the lists of flows and hosts. */
#include <string.h>

#include "base/text.h"
#include "cli/endpoint.h"
#include "cli/tui_private.h"

static void flow_protocol(const struct tui *tui, size_t index, char *buffer,
			  size_t size)
{
	char text[PROTOCOL_SIZE];

	snprintf(buffer, size, "%s",
		 protocol_text(tui->flows[index].tuple.protocol, text));
}

static void flow_from(const struct tui *tui, size_t index, char *buffer,
		      size_t size)
{
	char text[ENDPOINT_SIZE];

	snprintf(buffer, size, "%s",
		 endpoint_text(&tui->flows[index].tuple, 0, text));
}

static void flow_to(const struct tui *tui, size_t index, char *buffer,
		    size_t size)
{
	char text[ENDPOINT_SIZE];

	snprintf(buffer, size, "%s",
		 endpoint_text(&tui->flows[index].tuple, 1, text));
}

static void flow_rate(const struct tui *tui, size_t index, char *buffer,
		      size_t size)
{
	const double *rate_bps = tui->flows[index].rate_bps;

	tui_rate_text(rate_bps[0] + rate_bps[1], buffer, size);
}

static void flow_rate_out(const struct tui *tui, size_t index, char *buffer,
			  size_t size)
{
	tui_rate_text(tui->flows[index].rate_bps[0], buffer, size);
}

static void flow_rate_in(const struct tui *tui, size_t index, char *buffer,
			 size_t size)
{
	tui_rate_text(tui->flows[index].rate_bps[1], buffer, size);
}

static void flow_bytes(const struct tui *tui, size_t index, char *buffer,
		       size_t size)
{
	const struct top_flow *flow = &tui->flows[index];
	char text[TEXT_SIZE];

	snprintf(buffer, size, "%s",
		 text_bytes((double)(flow->bytes[0] + flow->bytes[1]), text));
}

static void flow_packets(const struct tui *tui, size_t index, char *buffer,
			 size_t size)
{
	const struct top_flow *flow = &tui->flows[index];
	char text[TEXT_SIZE];

	snprintf(buffer, size, "%s",
		 text_count((double)(flow->packets[0] + flow->packets[1]),
			    text));
}

static void flow_interface(const struct tui *tui, size_t index, char *buffer,
			   size_t size)
{
	snprintf(buffer, size, "%s", tui->flows[index].interface);
}

static void flow_state(const struct tui *tui, size_t index, char *buffer,
		       size_t size)
{
	const struct top_flow *flow = &tui->flows[index];
	const char *word = "ended";

	if (!flow->ended)
		word = flow->tuple.protocol == 6 &&
				       flow->state < FLOW_STATE_COUNT
			       ? flow_state_words[flow->state]
			       : "";
	snprintf(buffer, size, "%s", word);
}

static void flow_tunnel(const struct tui *tui, size_t index, char *buffer,
			size_t size)
{
	uint8_t tunnel = tui->flows[index].tunnel;

	if (tunnel < TUNNEL_COUNT && tunnel_words[tunnel])
		snprintf(buffer, size, "%s", tunnel_words[tunnel]);
}

static void flow_age(const struct tui *tui, size_t index, char *buffer,
		     size_t size)
{
	const struct top_flow *flow = &tui->flows[index];
	char text[TEXT_SIZE];

	snprintf(buffer, size, "%s",
		 text_age(wall_ns_between(flow->start, flow->end), text));
}

static double flow_share(const struct tui *tui, size_t index)
{
	const struct top_flow *flow = &tui->flows[index];
	double rate = flow->rate_bps[0] + flow->rate_bps[1], most = 0;

	for (size_t i = 0; i < tui->flow_count; i++) {
		const double *other = tui->flows[i].rate_bps;

		if (other[0] + other[1] > most)
			most = other[0] + other[1];
	}
	return most > 0 ? rate / most : 0;
}

static const struct column flow_columns[] = {
	{"PROTO", 6, 0, 0, PAINT_DIM, flow_protocol},
	{"INITIATOR", 0, 0, 0, PAINT_PLAIN, flow_from},
	{"RESPONDER", 0, 0, 0, PAINT_PLAIN, flow_to},
	{"INTERFACE", 10, 90, 0, PAINT_TITLE, flow_interface},
	{"TUNNEL", 7, 130, 0, PAINT_DIM, flow_tunnel},
	{"STATE", 8, 100, 0, PAINT_DIM, flow_state},
	{"BIT/S", -6, 33, 50, PAINT_RATE, flow_rate},
	{"TX b/s", -6, 50, 0, PAINT_RATE, flow_rate_out},
	{"RX b/s", -6, 50, 0, PAINT_GOOD, flow_rate_in},
	{"BYTES", -8, 64, 0, PAINT_PLAIN, flow_bytes},
	{"PACKETS", -7, 115, 0, PAINT_PLAIN, flow_packets},
	{"AGE", -6, 78, 0, PAINT_DIM, flow_age},
};

void tui_flows_draw(const struct tui *tui, int line, int end)
{
	struct list list = {
		.columns = flow_columns,
		.column_count = sizeof flow_columns / sizeof flow_columns[0],
		.count = tui->flow_count,
		.share = flow_share,
		.empty = tui->filter[0]
				 ? "no flow matches the filter; Esc clears it"
				 : "no flows yet: waiting for traffic",
	};

	tui_list_draw(tui, &list, line, end);
}

static void host_address(const struct tui *tui, size_t index, char *buffer,
			 size_t size)
{
	const struct top_host *host = &tui->hosts[index];
	char text[ENDPOINT_SIZE];

	snprintf(buffer, size, "%s",
		 address_text(host->address, host->ip_version, text));
}

static void host_rate_out(const struct tui *tui, size_t index, char *buffer,
			  size_t size)
{
	tui_rate_text(tui->hosts[index].rate_bps[0], buffer, size);
}

static void host_rate_in(const struct tui *tui, size_t index, char *buffer,
			 size_t size)
{
	tui_rate_text(tui->hosts[index].rate_bps[1], buffer, size);
}

static void host_bytes_out(const struct tui *tui, size_t index, char *buffer,
			   size_t size)
{
	char text[TEXT_SIZE];

	snprintf(buffer, size, "%s",
		 text_bytes((double)tui->hosts[index].bytes[0], text));
}

static void host_bytes_in(const struct tui *tui, size_t index, char *buffer,
			  size_t size)
{
	char text[TEXT_SIZE];

	snprintf(buffer, size, "%s",
		 text_bytes((double)tui->hosts[index].bytes[1], text));
}

static void host_flows(const struct tui *tui, size_t index, char *buffer,
		       size_t size)
{
	char text[TEXT_SIZE];

	snprintf(buffer, size, "%s",
		 text_thousands(tui->hosts[index].flows, text));
}

static double host_share(const struct tui *tui, size_t index)
{
	const double *rate = tui->hosts[index].rate_bps;
	double most = 0;

	for (size_t i = 0; i < tui->host_count; i++) {
		const double *other = tui->hosts[i].rate_bps;

		if (other[0] + other[1] > most)
			most = other[0] + other[1];
	}
	return most > 0 ? (rate[0] + rate[1]) / most : 0;
}

static const struct column host_columns[] = {
	{"HOST", 0, 0, 0, PAINT_PLAIN, host_address},
	{"FLOWS", -7, 0, 0, PAINT_DIM, host_flows},
	{"TX b/s", -6, 40, 0, PAINT_RATE, host_rate_out},
	{"RX b/s", -6, 40, 0, PAINT_GOOD, host_rate_in},
	{"SENT", -8, 60, 0, PAINT_PLAIN, host_bytes_out},
	{"RECEIVED", -8, 60, 0, PAINT_PLAIN, host_bytes_in},
};

void tui_hosts_draw(const struct tui *tui, int line, int end)
{
	struct list list = {
		.columns = host_columns,
		.column_count = sizeof host_columns / sizeof host_columns[0],
		.count = tui->host_count,
		.share = host_share,
		.empty = "no hosts yet: waiting for traffic",
	};

	tui_list_draw(tui, &list, line, end);
}
