/* The rows: every field of a record, and every counter.
 *
 * IPFIX elements by number: IANA "IPFIX Information Elements".  A reverse
 * field is RFC 5103's.
 */
#include <stdlib.h>
#include <string.h>

#include "flow/flow.h"

const char *const flow_end_words[FLOW_END_COUNT] = {
	[FLOW_END_NONE] = NULL,
	[FLOW_END_IDLE] = "idle_timeout",
	[FLOW_END_ACTIVE] = "active_timeout",
	[FLOW_END_DETECTED] = "end_of_flow",
	[FLOW_END_FORCED] = "forced_end",
	[FLOW_END_RESOURCES] = "lack_of_resources",
};

const char *const flow_state_words[FLOW_STATE_COUNT] = {
	[FLOW_ACTIVE] = "active",
	[FLOW_CLOSING] = "closing",
	[FLOW_CLOSED] = "closed",
};

const char *const flow_initiator_words[FLOW_INITIATOR_COUNT] = {
	[FLOW_INITIATOR_FIRST] = "first",
	[FLOW_INITIATOR_SYN] = "syn",
	[FLOW_INITIATOR_PORT] = "port",
};

#define AT(field) .offset = offsetof(struct flow_record, field)
#define TEXT(field) \
	AT(field), .size = sizeof(((const struct flow_record *)0)->field)
#define VERSION(field) .aux = offsetof(struct flow_record, field)
#define PRESENT(mask)           \
	.present_mask = (mask), \
	.present = offsetof(struct flow_record, tcp_present)

/* A field of struct flow_tcp, both ways; 'mask' takes the index. */
#define ONE_WAY(row, kind, member, index, mask)               \
	.name = (row), .type = (kind), AT(tcp[index].member), \
	PRESENT(mask(index)), .reverse = (index) == 1
#define BOTH(row, kind, member, mask, measure, number, line)           \
	{ONE_WAY(row, kind, member, 0, mask), .unit = (measure),       \
	 .element = (number), .help = line ", sent by the initiator"}, \
	{                                                              \
		ONE_WAY("rev_" row, kind, member, 1, mask),            \
			.unit = (measure), .element = (number),        \
			.help = line ", sent by the responder"         \
	}
#define METRICS(index) FLOW_TCP_METRICS

#define SAMPLING_ROWS 8
#define SAMPLED(field, mask)            \
	AT(sampling.field),             \
		.present_mask = (mask), \
		.present = offsetof(struct flow_record, sampling.present)

#define TCP_ROWS 28

#define MEASURED(mask)          \
	.present_mask = (mask), \
	.present = offsetof(struct flow_record, statistics_present)

/* One value of a length or a gap, for each direction and for both. */
#define VALUE(row, kind, member, mask, measure, way)                    \
	.name = (row), .type = (kind), AT(member), MEASURED(mask(way)), \
	.unit = (measure)
#define WAYS(row, kind, array, member, mask, measure, number, line)          \
	{VALUE(row, kind, array[0].member, mask, measure, 0),                \
	 .element = (number), .help = line ", sent by the initiator"},       \
		{VALUE("rev_" row, kind, array[1].member, mask, measure, 1), \
		 .element = (number), .reverse = (number) != 0,              \
		 .help = line ", sent by the responder"},                    \
	{                                                                    \
		VALUE("both_" row, kind, array[FLOW_BOTH].member, mask,      \
		      measure, FLOW_BOTH),                                   \
			.help = line ", both directions together"            \
	}
#define LENGTHS(row, array, mask, least, most, what)                         \
	WAYS(row "_min", FIELD_U32, array, min, mask, "bytes", least,        \
	     "smallest " what),                                              \
		WAYS(row "_max", FIELD_U32, array, max, mask, "bytes", most, \
		     "largest " what),                                       \
		WAYS(row "_mean", FIELD_MILLI, array, mean_milli, mask,      \
		     "bytes", 0, "mean " what),                              \
		WAYS(row "_stddev", FIELD_MILLI, array, stddev_milli,        \
		     mask##_STDDEV, "bytes", 0,                              \
		     "standard deviation of the " what)
#define INTERVALS(row, member, mask, what)                                   \
	WAYS("interval_" row "_ns", FIELD_U64, interval, member, mask, "ns", \
	     0, what " time between packets")

/* A list, and the member that says how long it is. */
#define LIST(row, kind, member, count, mask)       \
	.name = (row), .type = (kind), AT(member), \
	.aux = offsetof(struct flow_record, count), MEASURED(mask)
#define FIRST(row, kind, member, measure, line)                    \
	{                                                          \
		LIST(row, kind, member, first_count, FLOW_FIRSTS), \
			.unit = (measure), .help = line            \
	}
#define HISTOGRAM(row, member, line)                                           \
	{                                                                      \
		LIST(row, FIELD_U64_LIST, member, bin_count, FLOW_HISTOGRAMS), \
			.unit = "packets", .help = line                        \
	}

#define STATISTICS_ROWS 45

static const struct field_row rows[] = {
	{"flow_id", FIELD_HEX64, AT(flow_id), .unit = "", .element = 148,
	 .help = "64-bit FNV-1a of the 5-tuple, the same wherever it is seen"},
	{"community_id", FIELD_TEXT, TEXT(community_id), .unit = "",
	 .help = "Community ID version 1, seed 0"},
	{"interface", FIELD_TEXT, TEXT(interface), .unit = "", .element = 82,
	 .help = "where it was seen"},
	{"src_ip", FIELD_ADDRESS, AT(tuple.address[0]),
	 VERSION(tuple.ip_version), .unit = "", .element = 8,
	 .help = "the initiator's address (IPv6: element 27)"},
	{"src_port", FIELD_U16, AT(tuple.port[0]), .unit = "", .element = 7,
	 .help = "the initiator's port, or the ICMP type"},
	{"dst_ip", FIELD_ADDRESS, AT(tuple.address[1]),
	 VERSION(tuple.ip_version), .unit = "", .element = 12,
	 .help = "the responder's address (IPv6: element 28)"},
	{"dst_port", FIELD_U16, AT(tuple.port[1]), .unit = "", .element = 11,
	 .help = "the responder's port, or the ICMP reply's type or code"},
	{"proto", FIELD_U8, AT(tuple.protocol), .unit = "", .element = 4,
	 .help = "IANA protocol number, after IPv6 extension headers"},
	{"vlan", FIELD_U16, AT(tuple.vlan), .unit = "", .element = 58,
	 .help = "innermost 802.1Q VLAN, 0: untagged"},
	{"packets", FIELD_U64, AT(packets[0]), .unit = "packets", .element = 2,
	 .help = "sent by the initiator"},
	{"bytes", FIELD_U64, AT(bytes[0]), .unit = "bytes", .element = 1,
	 .help = "IP total length, sent by the initiator"},
	{"frame_bytes", FIELD_U64, AT(frame_bytes[0]), .unit = "bytes",
	 .element = 352,
	 .help = "link-layer frames without FCS, sent by the initiator"},
	{"rev_packets", FIELD_U64, AT(packets[1]), .unit = "packets",
	 .element = 2, .reverse = true, .help = "sent by the responder"},
	{"rev_bytes", FIELD_U64, AT(bytes[1]), .unit = "bytes", .element = 1,
	 .reverse = true, .help = "IP total length, sent by the responder"},
	{"rev_frame_bytes", FIELD_U64, AT(frame_bytes[1]), .unit = "bytes",
	 .element = 352, .reverse = true,
	 .help = "link-layer frames without FCS, sent by the responder"},
	{"start_ns", FIELD_TIME, AT(start), .unit = "ns", .element = 156,
	 .help = "stamp of the first packet, since 1970"},
	{"end_ns", FIELD_TIME, AT(end), .unit = "ns", .element = 157,
	 .help = "stamp of the last packet, since 1970"},
	{"end_reason", FIELD_WORD, AT(end_reason), .words = flow_end_words,
	 .unit = "", .element = 136,
	 .help = "why the record ended, null: the flow still lives"},
	{"state", FIELD_WORD, AT(state), .words = flow_state_words, .unit = "",
	 .help = "active, closing (a FIN was seen) or closed (both, or RST)"},
	{"tcp_flags", FIELD_U8, AT(tcp_flags[0]), .unit = "", .element = 6,
	 .help = "TCP flags of all packets, sent by the initiator"},
	{"rev_tcp_flags", FIELD_U8, AT(tcp_flags[1]), .unit = "", .element = 6,
	 .reverse = true,
	 .help = "TCP flags of all packets, sent by the responder"},
	{"tunnel", FIELD_WORD, AT(tunnel), .words = tunnel_words, .unit = "",
	 .help = "the innermost tunnel around the flow, null: none"},
	{"duplicate", FIELD_BOOL, AT(duplicate), .unit = "",
	 .help = "already counted where it was seen first"},
	{"initiator", FIELD_WORD, AT(initiator), .words = flow_initiator_words,
	 .unit = "",
	 .help = "how the initiator was told: first packet, SYN or port"},
	{"payload_bytes", FIELD_U64, AT(payload_bytes[0]), .unit = "bytes",
	 .help = "transport payload, sent by the initiator"},
	{"rev_payload_bytes", FIELD_U64, AT(payload_bytes[1]), .unit = "bytes",
	 .reverse = true, .help = "transport payload, sent by the responder"},
	{"fragments", FIELD_U32, AT(fragments[0]), .unit = "packets",
	 .help = "packets that were fragments, sent by the initiator"},
	{"rev_fragments", FIELD_U32, AT(fragments[1]), .unit = "packets",
	 .reverse = true,
	 .help = "packets that were fragments, sent by the responder"},
	{"vlan_outer", FIELD_U16, AT(tuple.vlan_outer), .unit = "",
	 .element = 243, .help = "outermost VLAN when tagged twice, else 0"},
	{"network", FIELD_U32, AT(tuple.network), .unit = "",
	 .help = "tunnel kind (upper 8 bits) and network identifier, 0: none"},
	{"tos", FIELD_U8, AT(tos), .unit = "", .element = 5,
	 .help = "DSCP and ECN of the initiator's first packet"},
	{"ttl_min", FIELD_U8, AT(ttl_min[0]), .unit = "", .element = 52,
	 .help = "smallest TTL or hop limit, sent by the initiator"},
	{"ttl_max", FIELD_U8, AT(ttl_max[0]), .unit = "", .element = 53,
	 .help = "largest TTL or hop limit, sent by the initiator"},
	{"rev_ttl_min", FIELD_U8, AT(ttl_min[1]), .unit = "", .element = 52,
	 .reverse = true,
	 .help = "smallest TTL or hop limit, sent by the responder"},
	{"rev_ttl_max", FIELD_U8, AT(ttl_max[1]), .unit = "", .element = 53,
	 .reverse = true,
	 .help = "largest TTL or hop limit, sent by the responder"},
	{"outer_src_ip", FIELD_ADDRESS, AT(outer_address[0]),
	 VERSION(outer_ip_version), .unit = "",
	 .help = "the tunnel's outermost address on the initiator's side"},
	{"outer_dst_ip", FIELD_ADDRESS, AT(outer_address[1]),
	 VERSION(outer_ip_version), .unit = "",
	 .help = "the tunnel's outermost address on the responder's side"},
	{"epoch", FIELD_U64, AT(epoch), .unit = "ns", .use = FIELD_STORED,
	 .help = "this start of the probe, since 1970"},
	{"seq", FIELD_U64, AT(seq), .unit = "", .use = FIELD_STORED,
	 .help = "number of the record in its epoch, without gaps"},

	/* SAMPLING_ROWS, TCP_ROWS and STATISTICS_ROWS more: not in
	 * flow_fields_plain. */
	{"sampling_mode", FIELD_WORD, SAMPLED(mode, FLOW_SAMPLED_PACKETS),
	 .words = sample_mode_words, .unit = "", .element = 304,
	 .help = "how packets were chosen, null: all were taken"},
	{"sampling_interval", FIELD_U32, SAMPLED(interval, FLOW_SAMPLED_COUNT),
	 .unit = "packets", .element = 305,
	 .help = "mode count: taken in a row"},
	{"sampling_space", FIELD_U32, SAMPLED(space, FLOW_SAMPLED_COUNT),
	 .unit = "packets", .element = 306,
	 .help = "mode count: left out between these"},
	{"sampling_size", FIELD_U32, SAMPLED(size, FLOW_SAMPLED_RANDOM),
	 .unit = "packets", .element = 309,
	 .help = "mode random: taken of each sampling_population"},
	{"sampling_population", FIELD_U32,
	 SAMPLED(population, FLOW_SAMPLED_RANDOM), .unit = "packets",
	 .element = 310, .help = "mode random: among so many"},
	{"sampling_probability", FIELD_F64,
	 SAMPLED(probability, FLOW_SAMPLED_PROBABILITY), .unit = "",
	 .element = 311, .help = "mode probability: of each packet"},
	{"flow_sampling_mode", FIELD_WORD,
	 SAMPLED(flow_mode, FLOW_SAMPLED_FLOWS), .words = flow_sampling_words,
	 .unit = "", .element = 390,
	 .help = "how flows were chosen, null: all were taken"},
	{"flow_sampling_population", FIELD_U32,
	 SAMPLED(flow_population, FLOW_SAMPLED_FLOWS), .unit = "flows",
	 .element = 310, .help = "one flow was taken of so many"},

	{"tcp_handshake_server_ns", FIELD_I64, AT(handshake_server_ns),
	 PRESENT(FLOW_TCP_SERVER), .unit = "ns",
	 .help = "from the SYN to the SYN-ACK, as seen here"},
	{"tcp_handshake_client_ns", FIELD_I64, AT(handshake_client_ns),
	 PRESENT(FLOW_TCP_CLIENT), .unit = "ns",
	 .help = "from the SYN-ACK to its ACK, as seen here"},
	BOTH("tcp_retransmitted_packets", FIELD_U32, retransmitted_packets,
	     METRICS, "packets", 0, "segments with what had been sent before"),
	BOTH("tcp_retransmitted_bytes", FIELD_U64, retransmitted_bytes, METRICS,
	     "bytes", 0, "payload of these that had been sent before"),
	BOTH("tcp_out_of_order_packets", FIELD_U32, out_of_order_packets,
	     METRICS, "packets", 0, "segments late by less than a round trip"),
	BOTH("tcp_missing_bytes", FIELD_U64, missing_bytes, METRICS, "bytes", 0,
	     "sequence numbers that no segment filled"),
	BOTH("tcp_duplicate_acks", FIELD_U32, duplicate_acks, METRICS,
	     "packets", 0, "acknowledgments that repeat the one before"),
	BOTH("tcp_zero_windows", FIELD_U32, zero_windows, METRICS, "packets", 0,
	     "segments that close the window"),
	BOTH("tcp_window_min", FIELD_U32, window_min, FLOW_TCP_WINDOW, "bytes",
	     0, "smallest window, scaled where the scale is known"),
	BOTH("tcp_window_max", FIELD_U32, window_max, FLOW_TCP_WINDOW, "bytes",
	     0, "largest window, scaled where the scale is known"),
	BOTH("tcp_window_scale", FIELD_U8, window_scale, FLOW_TCP_SCALE, "",
	     238, "window scale option"),
	BOTH("tcp_mss", FIELD_U16, mss, FLOW_TCP_MSS, "bytes", 0,
	     "maximum segment size option"),
	BOTH("tcp_sack_permitted", FIELD_BOOL, sack_permitted, FLOW_TCP_SACK,
	     "", 0, "whether the SYN had the option"),
	BOTH("tcp_ce_packets", FIELD_U32, ce_packets, METRICS, "packets", 0,
	     "ECN mark: congestion experienced"),
	BOTH("tcp_dscp_changes", FIELD_U32, dscp_changes, METRICS, "packets", 0,
	     "packets with another DSCP than the one before"),

	LENGTHS("length", length, FLOW_LENGTHS, 25, 26, "IP total length"),
	LENGTHS("payload", payload, FLOW_PAYLOADS, 0, 0, "transport payload"),
	INTERVALS("min", min_ns, FLOW_INTERVALS, "shortest"),
	INTERVALS("max", max_ns, FLOW_INTERVALS, "longest"),
	INTERVALS("mean", mean_ns, FLOW_INTERVALS, "mean"),
	INTERVALS("stddev", stddev_ns, FLOW_INTERVALS_STDDEV,
		  "standard deviation of the"),
	FIRST("first_directions", FIELD_U8_LIST, first_direction, "",
	      "who sent the first packets: 0 the initiator, 1 the responder"),
	FIRST("first_lengths", FIELD_U32_LIST, first_length, "bytes",
	      "IP total lengths of the first packets"),
	FIRST("first_payloads", FIELD_U32_LIST, first_payload, "bytes",
	      "transport payloads of the first packets"),
	FIRST("first_intervals_ns", FIELD_U64_LIST, first_interval_ns, "ns",
	      "time from the packet before to each of the first packets"),
	HISTOGRAM("length_histogram", length_histogram[0],
		  "packets by IP total length, sent by the initiator"),
	HISTOGRAM("rev_length_histogram", length_histogram[1],
		  "packets by IP total length, sent by the responder"),
	HISTOGRAM(
		"interval_histogram", interval_histogram[0],
		"packets by time since the one before, sent by the initiator"),
	HISTOGRAM(
		"rev_interval_histogram", interval_histogram[1],
		"packets by time since the one before, sent by the responder"),
	HISTOGRAM("both_interval_histogram", interval_histogram[FLOW_BOTH],
		  "packets by time since the one before, both directions"),
};

#define ROWS       (sizeof rows / sizeof *rows)
#define ROWS_PLAIN (ROWS - SAMPLING_ROWS - TCP_ROWS - STATISTICS_ROWS)

const struct field_table flow_fields = {rows, ROWS};
const struct field_table flow_fields_plain = {rows, ROWS_PLAIN};

/* The statistics by the bits that their fields are present with. */
static const uint32_t present_masks[FLOW_STATISTICS_COUNT] = {
	[FLOW_STATISTICS_LENGTH_INDEX] =
		7 * (FLOW_LENGTHS(0) | FLOW_LENGTHS_STDDEV(0)),
	[FLOW_STATISTICS_PAYLOAD_INDEX] =
		7 * (FLOW_PAYLOADS(0) | FLOW_PAYLOADS_STDDEV(0)),
	[FLOW_STATISTICS_INTERVAL_INDEX] =
		7 * (FLOW_INTERVALS(0) | FLOW_INTERVALS_STDDEV(0)),
	[FLOW_STATISTICS_FIRST_INDEX] = FLOW_FIRSTS,
	[FLOW_STATISTICS_HISTOGRAM_INDEX] = FLOW_HISTOGRAMS,
};

/* A row's group is where its presence is noted. */
static bool chosen(const struct field_row *row,
		   const struct flow_options *options)
{
	if (!row->present_mask)
		return true;
	if (row->present == offsetof(struct flow_record, sampling.present))
		return options->sampled.mode != SAMPLE_ALL ||
		       options->sample_flows > 1;
	if (row->present == offsetof(struct flow_record, tcp_present))
		return options->tcp_metrics;
	for (unsigned i = 0; i < FLOW_STATISTICS_COUNT; i++) {
		if (row->present_mask & present_masks[i])
			return options->statistics >> i & 1;
	}
	return false;
}

struct field_table *flow_fields_choose(const struct flow_options *options)
{
	struct field_table *table = malloc(sizeof *table + sizeof rows);
	struct field_row *to;

	if (!table)
		return NULL;
	to = (struct field_row *)(table + 1);
	*table = (struct field_table){to, 0};
	for (size_t i = 0; i < ROWS; i++) {
		if (chosen(&rows[i], options))
			memcpy(&to[table->count++], &rows[i], sizeof *to);
	}
	return table;
}

const struct counter_row flow_counter_rows[] = {FLOW_COUNTERS(COUNTER_ROW)};
const size_t flow_counter_count =
	sizeof flow_counter_rows / sizeof *flow_counter_rows;
