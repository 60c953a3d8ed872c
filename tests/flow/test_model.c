/* The meter against a second one, over traffic drawn at random. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/flow_private.h"
#include "kit.h"
#include "model.h"

#define PACKETS 60000
#define BASE_NS (INT64_C(1700000000) * NS_PER_S)

struct traffic {
	uint64_t random;
	int64_t now_ns;
	unsigned tuples;
	bool jumps; /* in time, to a later year */
};

static uint64_t draw(struct traffic *t, uint64_t below)
{
	return random_next(&t->random) % below;
}

static void time_draw(struct traffic *t)
{
	uint64_t kind = draw(t, 1000);

	if (kind < 900)
		t->now_ns += (int64_t)draw(t, 10 * MS);
	else if (kind < 980)
		t->now_ns += (int64_t)draw(t, 300 * MS);
	else if (kind < 999)
		t->now_ns -= (int64_t)draw(t, 2 * S);
	else
		t->now_ns += (int64_t)draw(t, 40 * S);
	if (t->jumps && draw(t, 20000) == 0)
		t->now_ns += INT64_C(3) * 365 * 86400 * S;
}

static uint8_t tcp_flags_draw(struct traffic *t)
{
	static const uint8_t flags[] = {
		ACK, ACK,       ACK,       ACK,       ACK | PSH, ACK | PSH, SYN,
		SYN, SYN | ACK, FIN | ACK, FIN | ACK, RST,       RST | ACK,
	};

	return flags[draw(t, sizeof flags)];
}

static void fragment_draw(struct traffic *t, struct given *given)
{
	uint64_t kind = draw(t, 4);

	given->flags = PACKET_FRAGMENT;
	given->fragment_id = (uint32_t)draw(t, 8);
	given->tcp_flags = 0;
	if (kind == 0)
		given->flags |= PACKET_FRAGMENT_FIRST;
	if (kind == 1)
		given->flags |= PACKET_FRAGMENT_LAST;
	if (kind != 0) {
		given->from_port = 0;
		given->to_port = 0;
	}
}

static void ports_draw(struct traffic *t, unsigned tuple, struct given *given)
{
	static const uint8_t protocols[] = {TCP, TCP, UDP, ICMP, 47};

	given->protocol = protocols[tuple % 5];
	if (given->protocol == ICMP) {
		given->from_port = 8;
		if (tuple % 2) { /* port unreachable */
			given->from_port = given->to_port = 3;
			given->flags = PACKET_ICMP_ONE_WAY;
		}
	} else if (given->protocol != 47) {
		given->from_port = (uint16_t)(40000 + tuple);
		given->to_port = (uint16_t)(tuple % 3 ? 443 : 40000);
	}
	if (given->protocol == TCP) {
		given->tcp_flags = tcp_flags_draw(t);
		given->sequence = (uint32_t)(draw(t, 3) ? 1 : draw(t, 3));
	}
}

/* A super-frame of 2 to 9 segments, the last of them shorter or not. */
static void super_draw(struct traffic *t, struct packet *packet)
{
	uint32_t last = 1 + (uint32_t)draw(t, 8), headers = 40;

	packet->segment_bytes = (uint16_t)(1 + draw(t, 1460));
	packet->packets = last + 1;
	packet->payload_bytes = last * packet->segment_bytes + 1 +
				(uint32_t)draw(t, packet->segment_bytes);
	packet->ip_bytes = packet->payload_bytes + headers * packet->packets;
	packet->frame_bytes = packet->ip_bytes + 14 * packet->packets;
	packet->flags |= PACKET_SUPER;
}

static struct packet traffic_draw(struct traffic *t)
{
	unsigned tuple = 1 + (unsigned)draw(t, t->tuples);
	struct given given = {
		.from = 0x0a000000 + tuple * 7 % 1009,
		.to = 0x09ffff00 + tuple * 13 % 1013,
		.ip6 = tuple % 7 == 0,
		.interface = tuple % 11 == 0 ? (uint16_t)draw(t, 3) : 0,
		.vlan = tuple % 13 == 0 ? (uint16_t)draw(t, 2) : 0,
		.network = tuple % 17 == 0 ? (uint32_t)draw(t, 3) << 24 : 0,
		.bytes = 40 + (uint32_t)draw(t, 1400),
	};
	struct packet packet;
	uint16_t port;
	uint32_t to;

	ports_draw(t, tuple, &given);
	if (draw(t, 2)) {
		to = given.to;
		port = given.to_port;
		given.to = given.from;
		given.to_port = given.from_port;
		given.from = to;
		given.from_port = port;
	}
	if (given.protocol == UDP && tuple % 4 == 0)
		fragment_draw(t, &given);
	time_draw(t);
	given.at_ns = t->now_ns;
	packet = packet_given(&given);
	packet.ttl = (uint8_t)draw(t, 256);
	packet.tos = (uint8_t)draw(t, 256);
	packet.tcp.acknowledgment = (uint32_t)draw(t, 3);
	if (!(given.flags & PACKET_FRAGMENT) && draw(t, 30) == 0)
		super_draw(t, &packet);
	return packet;
}

static struct packet *traffic_make(struct traffic *t, size_t count)
{
	struct packet *packets = calloc(count, sizeof *packets);

	assert_non_null(packets);
	t->now_ns = BASE_NS;
	for (size_t i = 0; i < count; i++)
		packets[i] = traffic_draw(t);
	return packets;
}

/* Seconds, 0: not given. */
struct phases {
	int64_t idle_s[FLOW_PHASE_COUNT];
	int64_t active_s[FLOW_PHASE_COUNT];
};

/* The idlest leave fast, and a connection that opens or closes. */
static const struct phases phases_short = {
	.idle_s = {[FLOW_PHASE_TCP] = 40,
		   [FLOW_PHASE_OPENING] = 3,
		   [FLOW_PHASE_CLOSING] = 8,
		   [FLOW_PHASE_CLOSED] = 1,
		   [FLOW_PHASE_UDP] = 5,
		   [FLOW_PHASE_ICMP] = 2,
		   [FLOW_PHASE_OTHER] = 12},
	.active_s = {[FLOW_PHASE_TCP] = 20, [FLOW_PHASE_UDP] = 4},
};

/* The other way round: they may stay longer than one that is established. */
static const struct phases phases_long = {
	.idle_s = {[FLOW_PHASE_TCP] = 4,
		   [FLOW_PHASE_OPENING] = 50,
		   [FLOW_PHASE_CLOSING] = 20,
		   [FLOW_PHASE_CLOSED] = 60,
		   [FLOW_PHASE_ICMP] = 3600},
	.active_s = {[FLOW_PHASE_ICMP] = 3, [FLOW_PHASE_OTHER] = 7},
};

static void phases_give(const struct phases *phases,
			struct flow_options *options)
{
	for (unsigned i = 0; i < FLOW_PHASE_COUNT; i++) {
		options->phase_idle_ns[i] = phases->idle_s[i] * S;
		options->phase_active_ns[i] = phases->active_s[i] * S;
	}
}

static int by_seq(const void *a, const void *b)
{
	const struct flow_record *left = a, *right = b;

	return (left->seq > right->seq) - (left->seq < right->seq);
}

static void records_compare(const struct flow_record *a,
			    const struct flow_record *b)
{
	assert_int_equal(a->seq, b->seq);
	assert_memory_equal(&a->tuple, &b->tuple, sizeof a->tuple);
	assert_int_equal(a->start.ns, b->start.ns);
	assert_int_equal(a->end.ns, b->end.ns);
	assert_int_equal(a->end_reason, b->end_reason);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->initiator, b->initiator);
	assert_int_equal(a->duplicate, b->duplicate);
	assert_int_equal(a->packets[0], b->packets[0]);
	assert_int_equal(a->packets[1], b->packets[1]);
	assert_int_equal(a->fragments[0], b->fragments[0]);
	assert_memory_equal(a->ttl_min, b->ttl_min, 2);
	assert_int_equal(a->tos, b->tos);
	assert_memory_equal(a, b, sizeof *a);
}

static void kept_compare(struct kept *a, struct kept *b)
{
	assert_int_equal(a->count, b->count);
	qsort(a->records, a->count, sizeof *a->records, by_seq);
	qsort(b->records, b->count, sizeof *b->records, by_seq);
	for (size_t i = 0; i < a->count; i++)
		records_compare(&a->records[i], &b->records[i]);
}

/* The meter's text of the statistics is the model's, byte for byte. */
static void texts_compare(const struct flow_record *record,
			  const struct flow_options *options,
			  const char *expected)
{
	struct field_table *fields = flow_fields_choose(options);
	char line[8192] = "", value[1024];
	size_t used = 0;

	assert_non_null(fields);
	for (size_t i = flow_fields_plain.count; i < fields->count; i++) {
		const struct field_row *row = &fields->rows[i];

		assert_true(field_json(row, record, value, sizeof value) <
			    sizeof value);
		used += (size_t)snprintf(line + used, sizeof line - used,
					 ",\"%s\":%s", row->name, value);
		assert_true(used < sizeof line);
	}
	assert_string_equal(line, expected);
	free(fields);
}

static void compare_with_model(const struct flow_options *options,
			       struct traffic *t)
{
	struct packet *packets = traffic_make(t, PACKETS);
	struct model *model = model_create(options);
	struct flow_record *expected;
	struct kept kept;
	size_t count;

	kept_open(&kept, options);
	kept_meter(&kept, packets, PACKETS, 61);
	flow_table_flush(kept.table, FLOW_END_FORCED);
	for (size_t i = 0; i < PACKETS; i++)
		model_meter(model, &packets[i]);
	count = model_flush(model, &expected);
	assert_int_equal(kept.count, count);
	qsort(kept.records, kept.count, sizeof *kept.records, by_seq);
	for (size_t i = 0; i < count; i++) {
		memset(expected[i].outer_address, 0, 32);
		memset(kept.records[i].outer_address, 0, 32);
		records_compare(&kept.records[i], &expected[i]);
		if (options->statistics)
			texts_compare(&kept.records[i], options,
				      model_json(model, expected[i].seq));
	}
	kept_check_ledger(&kept, PACKETS);
	assert_int_equal(flow_table_live(kept.table), 0);
	kept_close(&kept);
	model_destroy(model);
	free(packets);
}

static void gives_the_records_of_the_plain_meter(void **state)
{
	static const struct {
		int64_t idle_s;
		int64_t active_s;
		unsigned tuples;
		bool mark;
		bool jumps;
		const struct phases *phases;
		bool grows; /* from the smallest table */
		uint32_t statistics;
		uint32_t first;
	} cases[] = {
		{30, 60, 300, false, false, NULL, false, 0, 0},
		{30, 10, 300, false, false, NULL, false, FLOW_STATISTICS_ALL,
		 0},
		{30, 60, 3000, true, false, NULL, false, 0, 0},
		{3600, 86400, 300, true, true, NULL, false, FLOW_STATISTICS_ALL,
		 32},
		{30, 1, 50, true, true, NULL, false, FLOW_STATISTICS_ALL, 1},
		{300, 1800, 3500, false, true, NULL, false, FLOW_STATISTICS_ALL,
		 5},
		{60, 45, 1000, true, false, NULL, false, 0, 0},
		{60, 45, 40, true, true, NULL, false, FLOW_STATISTICS_LENGTH,
		 0},
		{60, 45, 40, true, true, NULL, false, FLOW_STATISTICS_PAYLOAD,
		 0},
		{60, 45, 40, true, true, NULL, false, FLOW_STATISTICS_INTERVAL,
		 0},
		{60, 45, 40, true, true, NULL, false, FLOW_STATISTICS_FIRST, 0},
		{60, 45, 40, true, true, NULL, false, FLOW_STATISTICS_HISTOGRAM,
		 0},
		{3600, 86400, 3, true, true, NULL, false,
		 FLOW_STATISTICS_LENGTH | FLOW_STATISTICS_INTERVAL, 0},
		/* presets count */
		{300, 1800, 3500, false, false, NULL, false, 0, 0},
		{30, 60, 300, false, true, &phases_short, false, 0, 0},
		{300, 1800, 3000, true, false, &phases_short, false,
		 FLOW_STATISTICS_ALL, 0},
		{30, 60, 300, true, true, &phases_long, false,
		 FLOW_STATISTICS_ALL, 0},
		{60, 10, 1000, false, false, &phases_long, false, 0, 0},
		{3600, 86400, 6000, true, false, NULL, true, 0, 0},
		{300, 20, 12000, true, true, NULL, true, 0, 0},
		{3600, 86400, 6000, true, true, NULL, true, FLOW_STATISTICS_ALL,
		 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct flow_options options = kept_options();
		struct traffic t = {.random = i + 1,
				    .tuples = cases[i].tuples,
				    .jumps = cases[i].jumps};

		options.flow_count = 16384;
		if (cases[i].grows) {
			options.flow_count = FLOW_COUNT_MIN;
			options.flow_count_max = FLOW_COUNT_MAX;
		}
		options.idle_ns = cases[i].idle_s * S;
		options.active_ns = cases[i].active_s * S;
		options.mark_duplicates = cases[i].mark;
		if (cases[i].phases)
			phases_give(cases[i].phases, &options);
		options.statistics = cases[i].statistics;
		options.first_count = cases[i].first;
		compare_with_model(&options, &t);
	}
}

/* From 4,096 entries to as many as are needed, tunnels and all. */
static void gives_the_same_records_when_it_grows(void **state)
{
	static const struct {
		unsigned tuples;
		bool mark;
		bool tcp;
		uint32_t statistics;
	} cases[] = {
		{3000, false, false, 0},
		{20000, true, false, FLOW_STATISTICS_ALL},
		{60000, true, true, 0},
		{60000, false, true, FLOW_STATISTICS_LENGTH},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct flow_options options = kept_options();
		struct traffic t = {.random = 70 + i,
				    .tuples = cases[i].tuples,
				    .jumps = true};
		struct packet *packets = traffic_make(&t, PACKETS);
		struct kept large, growing;

		options.idle_ns = 300 * S;
		options.mark_duplicates = cases[i].mark;
		options.tcp_metrics = cases[i].tcp;
		options.statistics = cases[i].statistics;
		options.first_count = 2;
		options.flow_count = 1 << 17;
		kept_open(&large, &options);
		options.flow_count = FLOW_COUNT_MIN;
		options.flow_count_max = 1 << 17;
		kept_open(&growing, &options);
		for (size_t at = 0; at < PACKETS; at += PACKETS / 4) {
			kept_meter(&large, packets + at, PACKETS / 4, 61);
			kept_meter(&growing, packets + at, PACKETS / 4, 61);
			if (at == PACKETS / 2) { /* and begins anew */
				flow_table_rewind(large.table);
				flow_table_rewind(growing.table);
			}
		}
		flow_table_flush(large.table, FLOW_END_FORCED);
		flow_table_flush(growing.table, FLOW_END_FORCED);
		assert_int_equal(
			flow_table_counters(large.table).ended_resources, 0);
		kept_compare(&large, &growing);
		kept_check_ledger(&growing, PACKETS);
		kept_close(&large);
		kept_close(&growing);
		free(packets);
	}
}

static void run_batched(const struct packet *packets, size_t batch,
			bool portable, struct kept *ret_kept)
{
	struct flow_options options = kept_options();

	options.active_ns = 40 * S;
	options.phase_idle_ns[FLOW_PHASE_UDP] = 11 * S;
	options.mark_duplicates = true;
	options.portable = portable;
	options.statistics = FLOW_STATISTICS_ALL;
	kept_open(ret_kept, &options);
	kept_meter(ret_kept, packets, PACKETS, batch);
	flow_table_flush(ret_kept->table, FLOW_END_FORCED);
	kept_check_ledger(ret_kept, PACKETS);
}

/* 9,000 tuples in a table of 4,096: evictions too. */
static void gives_the_same_bytes_in_any_batches_by_any_code(void **state)
{
	static const size_t batches[] = {7, 32, 256, PACKETS};
	struct traffic t = {.random = 42, .tuples = 12000, .jumps = true};
	struct packet *packets = traffic_make(&t, PACKETS);
	struct kept one, other;

	(void)state;
	run_batched(packets, 1, false, &one);
	assert_true(flow_table_counters(one.table).ended_resources > 100);
	assert_true(flow_table_counters(one.table).ended_idle > 100);
	assert_true(flow_table_counters(one.table).ended_active > 100);
	assert_true(flow_table_counters(one.table).ended_detected > 100);
	for (size_t i = 0; i < 4; i++) {
		run_batched(packets, batches[i], i % 2, &other);
		assert_int_equal(one.count, other.count);
		assert_memory_equal(one.records, other.records,
				    one.count * sizeof *one.records);
		kept_close(&other);
	}
	kept_close(&one);
	free(packets);
}

/* Time that passes between packets, by as much as it pleases and as often,
 * only has records leave earlier. */
static void ends_flows_alike_whenever_they_are_swept(void **state)
{
	struct traffic t = {.random = 5, .tuples = 2000, .jumps = true};
	struct packet *packets = traffic_make(&t, PACKETS);
	struct flow_options options = kept_options();
	struct kept lazy, keen;

	(void)state;
	phases_give(&phases_short, &options);
	kept_open(&lazy, &options);
	kept_open(&keen, &options);
	kept_meter(&lazy, packets, PACKETS, 256);
	for (size_t i = 0; i < PACKETS; i++) {
		for (unsigned j = 0; i > 0 && j < i % 4; j++) {
			int64_t now_ns = keen.table->now_ns;
			int64_t ahead_ns = packets[i].at.ns - now_ns;

			if (ahead_ns <= 0)
				break;
			now_ns += (int64_t)draw(&t, ahead_ns / 2 + 1);
			flow_table_advance(keen.table, (struct wall){now_ns});
		}
		flow_table_meter(keen.table, &packets[i], 1);
	}
	flow_table_flush(lazy.table, FLOW_END_FORCED);
	flow_table_flush(keen.table, FLOW_END_FORCED);
	assert_int_equal(lazy.count, keen.count);
	qsort(lazy.records, lazy.count, sizeof *lazy.records, by_seq);
	qsort(keen.records, keen.count, sizeof *keen.records, by_seq);
	for (size_t i = 0; i < lazy.count; i++)
		records_compare(&lazy.records[i], &keen.records[i]);
	kept_close(&lazy);
	kept_close(&keen);
	free(packets);
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct flow_record));
}

static void numbers_forget(struct kept *kept)
{
	for (size_t i = 0; i < kept->count; i++)
		kept->records[i].seq = 0;
	qsort(kept->records, kept->count, sizeof *kept->records, by_bytes);
}

/* Flows dealt over tables by their addresses: what was late is told the time
 * first, and so each flow ends as in one table. */
static void gives_the_records_of_one_table_in_several(void **state)
{
	enum { TABLES = 3 };
	struct traffic t = {.random = 6, .tuples = 2000};
	struct packet *packets = traffic_make(&t, PACKETS);
	struct flow_options options = kept_options();
	struct kept one, all = {0}, parts[TABLES];
	struct wall newest = {0};

	(void)state;
	options.mark_duplicates = true;
	phases_give(&phases_short, &options);
	kept_open(&one, &options);
	kept_meter(&one, packets, PACKETS, 64);
	flow_table_flush(one.table, FLOW_END_FORCED);
	for (unsigned i = 0; i < TABLES; i++)
		kept_open(&parts[i], &options);
	for (size_t i = 0; i < PACKETS; i++) {
		const struct packet_tuple *tuple = &packets[i].tuple;
		struct flow_table *table;
		unsigned sum = 0;

		for (unsigned j = 0; j < 16; j++)
			sum += (unsigned)tuple->address[0][j] +
			       tuple->address[1][j];
		table = parts[sum % TABLES].table;
		if (packets[i].at.ns > newest.ns)
			newest = packets[i].at;
		else
			flow_table_advance(table, newest);
		flow_table_meter(table, &packets[i], 1);
	}
	for (unsigned i = 0; i < TABLES; i++) {
		flow_table_advance(parts[i].table, newest);
		flow_table_flush(parts[i].table, FLOW_END_FORCED);
		assert_true(parts[i].count > 1000);
		all.records =
			realloc(all.records, (all.count + parts[i].count) *
						     sizeof *all.records);
		assert_non_null(all.records);
		memcpy(all.records + all.count, parts[i].records,
		       parts[i].count * sizeof *all.records);
		all.count += parts[i].count;
		kept_close(&parts[i]);
	}
	assert_int_equal(one.count, all.count);
	numbers_forget(&one);
	numbers_forget(&all);
	assert_memory_equal(one.records, all.records,
			    one.count * sizeof *one.records);
	free(all.records);
	kept_close(&one);
	free(packets);
}

/* What flow sampling takes it takes whole: the records are those of a table
 * that takes all, less the other flows'. */
static void keeps_flows_whole_when_it_samples_them(void **state)
{
	struct traffic t = {.random = 7, .tuples = 3000, .jumps = true};
	struct packet *packets = traffic_make(&t, PACKETS);
	struct flow_options options = kept_options();
	struct kept all, some;
	size_t count = 0, fragments = 0;

	(void)state;
	options.mark_duplicates = true;
	options.flow_count = 16384;
	phases_give(&phases_short, &options);
	kept_open(&all, &options);
	options.sample_flows = 8;
	options.sample_seed.words[0] = 5;
	kept_open(&some, &options);
	kept_meter(&all, packets, PACKETS, 64);
	kept_meter(&some, packets, PACKETS, 61);
	flow_table_flush(all.table, FLOW_END_FORCED);
	flow_table_flush(some.table, FLOW_END_FORCED);
	kept_check_ledger(&some, PACKETS);
	for (size_t i = 0; i < all.count; i++)
		if (flow_sampling_takes(some.table, &all.records[i].tuple))
			all.records[count++] = all.records[i];
	all.count = count;
	for (size_t i = 0; i < some.count; i++) {
		struct flow_sampling *sampling = &some.records[i].sampling;

		assert_int_equal(sampling->present, FLOW_SAMPLED_FLOWS);
		assert_int_equal(sampling->flow_population, 8);
		memset(sampling, 0, sizeof *sampling);
		fragments += some.records[i].fragments[0];
	}
	assert_int_equal(some.count, all.count);
	numbers_forget(&all);
	numbers_forget(&some);
	assert_memory_equal(all.records, some.records,
			    all.count * sizeof *all.records);
	assert_true(some.count > 2000 && fragments > 200);
	kept_close(&all);
	kept_close(&some);
	free(packets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_the_records_of_the_plain_meter),
		cmocka_unit_test(gives_the_same_records_when_it_grows),
		cmocka_unit_test(
			gives_the_same_bytes_in_any_batches_by_any_code),
		cmocka_unit_test(ends_flows_alike_whenever_they_are_swept),
		cmocka_unit_test(gives_the_records_of_one_table_in_several),
		cmocka_unit_test(keeps_flows_whole_when_it_samples_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
