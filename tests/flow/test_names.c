/* flow_id, Community ID, and the rows that name a record's fields. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

struct vector {
	unsigned protocol;
	char address[2][64];
	unsigned port[2];
	char id[64];
};

static struct packet_tuple tuple_make(const struct vector *vector)
{
	struct packet_tuple tuple;

	memset(&tuple, 0, sizeof tuple);
	tuple.protocol = (uint8_t)vector->protocol;
	tuple.ip_version = strchr(vector->address[0], ':') ? 6 : 4;
	for (unsigned i = 0; i < 2; i++) {
		int family = tuple.ip_version == 6 ? AF_INET6 : AF_INET;

		assert_int_equal(
			inet_pton(family, vector->address[i], tuple.address[i]),
			1);
		tuple.port[i] = (uint16_t)vector->port[i];
	}
	return tuple;
}

static uint64_t fnv(const void *bytes, size_t size)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < size; i++) {
		hash ^= ((const uint8_t *)bytes)[i];
		hash *= UINT64_C(1099511628211);
	}
	return hash;
}

/* The function itself by published values, then what goes into it. */
static void names_a_flow_by_fnv_1a_of_its_5_tuple(void **state)
{
	static const uint8_t v4[] = {10, 0, 0,    1,    10,   0, 0,
				     2,  0, 0x50, 0xc3, 0x50, 6};
	static const uint8_t v6[37] = {
		0x20,     1,         [15] = 1,    [16] = 0x20,
		[17] = 1, [31] = 2,  [32] = 0xc3, [33] = 0x50,
		[34] = 0, [35] = 53, [36] = 17};
	struct vector vector = {6, {"10.0.0.2", "10.0.0.1"}, {50000, 80}, ""};
	struct vector other = {17, {"2001::1", "2001::2"}, {50000, 53}, ""};
	struct vector same = {17, {"10.0.0.1", "10.0.0.1"}, {9, 7}, ""};
	struct packet_tuple tuple = tuple_make(&vector);

	(void)state;
	assert_int_equal(fnv("", 0), UINT64_C(0xcbf29ce484222325));
	assert_int_equal(fnv("a", 1), UINT64_C(0xaf63dc4c8601ec8c));
	assert_int_equal(fnv("foobar", 6), UINT64_C(0x85944171f73967e8));
	assert_int_equal(flow_id_of(&tuple), fnv(v4, sizeof v4));
	tuple.vlan = 7;
	tuple.interface = 3;
	tuple.network = 9;
	assert_int_equal(flow_id_of(&tuple), fnv(v4, sizeof v4));
	vector = (struct vector){6, {"10.0.0.1", "10.0.0.2"}, {80, 50000}, ""};
	tuple = tuple_make(&vector);
	assert_int_equal(flow_id_of(&tuple), fnv(v4, sizeof v4));
	tuple = tuple_make(&other);
	assert_int_equal(flow_id_of(&tuple), fnv(v6, sizeof v6));
	tuple = tuple_make(&same);
	assert_int_equal(
		flow_id_of(&tuple),
		fnv((uint8_t[]){10, 0, 0, 1, 10, 0, 0, 1, 0, 7, 0, 9, 17}, 13));
}

/* Values that anybody can compute: printf | openssl sha1 -binary | base64 */
static void gives_known_community_ids(void **state)
{
	static const struct vector vectors[] = {
		{6,
		 {"128.232.110.120", "66.35.250.204"},
		 {34855, 80},
		 "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{17,
		 {"8.8.8.8", "192.168.1.52"},
		 {53, 54585},
		 "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		{1,
		 {"192.168.0.1", "192.168.0.89"},
		 {0, 8},
		 "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{46,
		 {"10.1.12.2", "10.1.12.1"},
		 {0, 0},
		 "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="},
	};
	char id[32];

	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		struct packet_tuple tuple = tuple_make(&vectors[i]);

		flow_community_id(&tuple, 0, id);
		assert_string_equal(id, vectors[i].id);
	}
}

static char *baseline_read(const char *name)
{
	const char *data = getenv("SONDE_DATA");
	char path[512];
	FILE *file;
	char *text;

	(void)snprintf(path, sizeof path, "%s/community-id/baseline/%s",
		       data ? data : SOURCE_ROOT "/../shared/data", name);
	file = fopen(path, "r");
	if (!file)
		return NULL;
	text = calloc(1, 65536);
	assert_non_null(text);
	assert_true(fread(text, 1, 65535, file) > 0);
	(void)fclose(file);
	return text;
}

/* One flat object of the baseline; its end, or NULL. */
static const char *vector_read(const char *at, struct vector *ret_vector)
{
	char protocol[16] = "", ports[2][16] = {"", ""};

	memset(ret_vector, 0, sizeof *ret_vector);
	at = strchr(at, '{');
	if (!at)
		return NULL;
	assert_int_equal(
		sscanf(at,
		       "{\"proto\": %15[^,], \"saddr\": \"%63[^\"]\", "
		       "\"daddr\": \"%63[^\"]\", \"sport\": %15[^,], "
		       "\"dport\": %15[^,], \"communityid\": \"%63[^\"]\"}",
		       protocol, ret_vector->address[0], ret_vector->address[1],
		       ports[0], ports[1], ret_vector->id),
		6);
	ret_vector->protocol = (unsigned)strtoul(protocol, NULL, 10);
	ret_vector->port[0] = (unsigned)strtoul(ports[0], NULL, 10);
	ret_vector->port[1] = (unsigned)strtoul(ports[1], NULL, 10);
	return strchr(at, '}');
}

/* The variant without base64 shows the same digest in hexadecimal. */
static void to_hexadecimal(char id[64])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"
				     "opqrstuvwxyz0123456789+/";
	char text[64] = "1:";
	uint32_t bits = 0;
	unsigned filled = 0, count = 0;

	for (const char *at = id + 2; *at && *at != '='; at++) {
		bits = bits << 6 | (uint32_t)(strchr(digits, *at) - digits);
		filled += 6;
		if (filled < 8)
			continue;
		filled -= 8;
		(void)snprintf(text + 2 + 2 * (size_t)count++, 3, "%02x",
			       (unsigned)(bits >> filled & 0xff));
	}
	memcpy(id, text, sizeof text);
}

static void gives_the_community_ids_of_the_baseline(void **state)
{
	static const struct {
		const char *name;
		uint16_t seed;
		bool hexadecimal;
	} files[] = {
		{"baseline_deflt.json", 0, false},
		{"baseline_seed1.json", 1, false},
		{"baseline_nob64.json", 0, true},
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char *text = baseline_read(files[i].name);
		const char *at = text;
		struct vector vector;
		size_t count = 0;

		if (!text)
			check_skip("%s: the captures 'community-id' are not "
				   "there",
				   files[i].name);
		for (; (at = vector_read(at, &vector)); count++) {
			struct packet_tuple tuple = tuple_make(&vector);
			char id[64] = "";

			flow_community_id(&tuple, files[i].seed, id);
			if (files[i].hexadecimal)
				to_hexadecimal(id);
			assert_string_equal(id, vector.id);
		}
		assert_int_equal(count, 23);
		free(text);
	}
}

static size_t field_size(const struct field_row *row)
{
	size_t list = row->unit && strcmp(row->unit, "packets") == 0
			      ? FLOW_BINS
			      : FLOW_FIRST_MAX;
	const size_t sizes[] = {
		[FIELD_U8] = 1,
		[FIELD_U16] = 2,
		[FIELD_U32] = 4,
		[FIELD_U64] = 8,
		[FIELD_I64] = 8,
		[FIELD_F64] = 8,
		[FIELD_HEX64] = 8,
		[FIELD_BOOL] = 1,
		[FIELD_TIME] = 8,
		[FIELD_ADDRESS] = 16,
		[FIELD_WORD] = 1,
		[FIELD_TEXT] = 32,
		[FIELD_MILLI] = 8,
		[FIELD_U8_LIST] = list,
		[FIELD_U32_LIST] = list * 4,
		[FIELD_U64_LIST] = list * 8,
	};

	return sizes[row->type];
}

/* Every byte of a record but its padding is in exactly one row (an IP version
 * goes with its addresses; the interface's number is shown as its name). */
static void has_a_row_for_every_field(void **state)
{
	uint8_t covered[sizeof(struct flow_record)] = {0};
	size_t open = 0;

	(void)state;
	for (size_t i = 0; i < flow_fields.count; i++) {
		const struct field_row *row = &flow_fields.rows[i];

		assert_non_null(row->help);
		assert_non_null(row->unit);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(row->name,
						flow_fields.rows[j].name);
		if (row->type == FIELD_WORD)
			assert_non_null(row->words);
		if (row->type == FIELD_ADDRESS)
			covered[row->aux] = 1;
		if (field_is_list(row))
			covered[row->aux] = 1;
		for (size_t j = 0; j < field_size(row); j++)
			covered[row->offset + j]++;
	}
	for (size_t i = 0; i < sizeof covered; i++) {
		assert_true(covered[i] <= 1);
		open += !covered[i];
	}
	assert_int_equal(
		open,
		sizeof((struct packet_tuple *)0)->interface +
			sizeof((struct flow_record *)0)->pad +
			sizeof((struct flow_sampling *)0)->present +
			sizeof((struct flow_sampling *)0)->pad +
			sizeof((struct flow_record *)0)->tcp_present +
			sizeof((struct flow_record *)0)->statistics_present +
			sizeof((struct flow_record *)0)->statistics_pad +
			2 * sizeof((struct flow_tcp *)0)->pad);
}

static void shows_the_fields_users_know_first_and_in_order(void **state)
{
	static const char *const names[] = {
		"flow_id",     "community_id", "interface",
		"src_ip",      "src_port",     "dst_ip",
		"dst_port",    "proto",        "vlan",
		"packets",     "bytes",        "frame_bytes",
		"rev_packets", "rev_bytes",    "rev_frame_bytes",
		"start_ns",    "end_ns",       "end_reason",
		"state",       "tcp_flags",    "rev_tcp_flags",
		"tunnel",
	};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_string_equal(flow_fields.rows[i].name, names[i]);
}

#define SAMPLING_ROWS   8
#define TCP_ROWS        28
#define STATISTICS_ROWS 45

/* Rows of what the options choose: as many beyond the plain ones, the first
 * of them by name, in the order of all, and within the record's size. */
static void assert_chosen(const struct flow_options *options, const char *first,
			  size_t count)
{
	struct field_table *table = flow_fields_choose(options);
	size_t size = flow_record_size(options), at = 0;
	size_t plain = flow_fields_plain.count;

	assert_non_null(table);
	assert_int_equal(size % 8, 0);
	assert_int_equal(table->count, plain + count);
	assert_memory_equal(table->rows, flow_fields.rows,
			    plain * sizeof *table->rows);
	if (first)
		assert_string_equal(table->rows[plain].name, first);
	for (size_t i = 0; i < table->count; i++) {
		const struct field_row *row = &table->rows[i];

		while (strcmp(flow_fields.rows[at].name, row->name) != 0)
			assert_true(++at < flow_fields.count);
		assert_true(row->offset + field_size(row) <= size);
		assert_true(row->present + sizeof(uint32_t) <= size);
		if (field_is_list(row))
			assert_true(row->aux < size);
	}
	free(table);
}

#define WITH_TCP .tcp_metrics = true
#define FLOWS    .sample_flows = 2
#define SAMPLED  .sampled = {.mode = SAMPLE_COUNT, .population = 10}
#define NAMED(n) .statistics = FLOW_STATISTICS_##n

static void chooses_the_fields_that_a_table_fills(void **state)
{
	static const struct {
		struct flow_options options;
		const char *first;
		size_t count;
	} cases[] = {
		{{0}, NULL, 0},
		{{.sample_flows = 1}, NULL, 0},
		{{WITH_TCP}, "tcp_handshake_server_ns", TCP_ROWS},
		{{FLOWS}, "sampling_mode", SAMPLING_ROWS},
		{{SAMPLED}, "sampling_mode", SAMPLING_ROWS},
		{{WITH_TCP, FLOWS}, "sampling_mode", SAMPLING_ROWS + TCP_ROWS},
		{{NAMED(LENGTH)}, "length_min", 12},
		{{NAMED(PAYLOAD)}, "payload_min", 12},
		{{NAMED(INTERVAL)}, "interval_min_ns", 12},
		{{WITH_TCP, NAMED(FIRST)},
		 "tcp_handshake_server_ns",
		 TCP_ROWS + 4},
		{{NAMED(HISTOGRAM)}, "length_histogram", 5},
		{{SAMPLED, NAMED(ALL)},
		 "sampling_mode",
		 SAMPLING_ROWS + STATISTICS_ROWS},
		{{WITH_TCP, SAMPLED, NAMED(ALL)},
		 "sampling_mode",
		 SAMPLING_ROWS + TCP_ROWS + STATISTICS_ROWS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_chosen(&cases[i].options, cases[i].first,
			      cases[i].count);
	assert_int_equal(flow_fields.count, flow_fields_plain.count +
						    SAMPLING_ROWS + TCP_ROWS +
						    STATISTICS_ROWS);
}

static void has_optional_fields_last_and_null(void **state)
{
	static const struct flow_record record;
	size_t plain = flow_fields_plain.count;

	(void)state;
	assert_ptr_equal(flow_fields_plain.rows, flow_fields.rows);
	assert_string_equal(flow_fields.rows[plain - 1].name, "seq");
	for (size_t i = 0; i < flow_fields.count; i++) {
		const struct field_row *row = &flow_fields.rows[i];
		assert_int_equal(row->present_mask != 0, i >= plain);
		if (i < plain)
			continue;
		assert_int_equal(strstr(row->name, "sampling_") != NULL,
				 i < plain + SAMPLING_ROWS);
		assert_int_equal(strstr(row->name, "tcp_") != NULL,
				 i >= plain + SAMPLING_ROWS &&
					 i < plain + SAMPLING_ROWS + TCP_ROWS);
		assert_false(field_present(row, &record));
	}
}

static void finishes_a_record_for_its_reader(void **state)
{
	struct vector vector = {
		6, {"128.232.110.120", "66.35.250.204"}, {34855, 80}, ""};
	struct flow_record record;

	(void)state;
	memset(&record, 0, sizeof record);
	record.tuple = tuple_make(&vector);
	flow_record_finish(&record, NULL);
	assert_string_equal(record.interface, "");
	flow_record_finish(&record, "a-name-that-is-longer-than-the-field-is");
	assert_string_equal(record.interface,
			    "a-name-that-is-longer-than-the-");
	assert_string_equal(record.community_id,
			    "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_a_flow_by_fnv_1a_of_its_5_tuple),
		cmocka_unit_test(gives_known_community_ids),
		cmocka_unit_test(gives_the_community_ids_of_the_baseline),
		cmocka_unit_test(has_a_row_for_every_field),
		cmocka_unit_test(
			shows_the_fields_users_know_first_and_in_order),
		cmocka_unit_test(has_optional_fields_last_and_null),
		cmocka_unit_test(chooses_the_fields_that_a_table_fills),
		cmocka_unit_test(finishes_a_record_for_its_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
