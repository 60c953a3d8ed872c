/* A small table in place of src/flow's: the store takes its columns from
 * flow_fields alone, whatever is in it. */
#include "flow/flow.h"

#define AT(member) offsetof(struct flow_record, member)

static const char *const end_words[FLOW_END_COUNT] = {
	NULL, "idle", "active", "detected", "forced", "resources"};

static const struct field_row rows[] = {
	{"flow_id", FIELD_HEX64, AT(flow_id), .unit = ""},
	{"interface", FIELD_TEXT, AT(interface), .unit = ""},
	{"src_ip", FIELD_ADDRESS, AT(tuple.address[0]),
	 .aux = AT(tuple.ip_version), .unit = ""},
	{"src_port", FIELD_U16, AT(tuple.port[0]), .unit = ""},
	{"dst_ip", FIELD_ADDRESS, AT(tuple.address[1]),
	 .aux = AT(tuple.ip_version), .unit = ""},
	{"dst_port", FIELD_U16, AT(tuple.port[1]), .unit = ""},
	{"proto", FIELD_U8, AT(tuple.protocol), .unit = ""},
	{"packets", FIELD_U64, AT(packets[0]), .unit = "packets"},
	{"bytes", FIELD_U64, AT(bytes[0]), .unit = "bytes"},
	{"start_ns", FIELD_TIME, AT(start), .unit = "ns"},
	{"end_ns", FIELD_TIME, AT(end), .unit = "ns"},
	{"end_reason", FIELD_WORD, AT(end_reason), .words = end_words,
	 .unit = ""},
	{"outer_src_ip", FIELD_ADDRESS, AT(outer_address[0]),
	 .aux = AT(outer_ip_version), .unit = ""},
	{"duplicate", FIELD_BOOL, AT(duplicate), .unit = ""},
	{"epoch", FIELD_U64, AT(epoch), .unit = "ns", .use = FIELD_STORED},
	{"seq", FIELD_U64, AT(seq), .unit = "", .use = FIELD_STORED},
};

const struct field_table flow_fields = {rows, sizeof rows / sizeof *rows};
