/* Requests and replies of another program: which stamp is whose.  The clock is
 * what the events say; nothing sleeps. */
#include <string.h>

#include "check.h"

#include "probe/exchange.h"

#define BEGIN     1000000000000
#define MS        INT64_C(1000000)
#define TIMEOUT   (1000 * MS)
#define KEPT      64
#define EPHEMERAL 40000

struct bench {
	struct exchange_table *table;
	struct exchange_options options;
	struct {
		enum exchange_side side;
		struct trip trip;
	} out[KEPT];
	int count;
};

static void keep(void *context, enum exchange_side side,
		 const struct trip *trip)
{
	struct bench *bench = context;

	assert_true(bench->count < KEPT);
	bench->out[bench->count].side = side;
	bench->out[bench->count++].trip = *trip;
}

/* The watch is no longer young: a flow's first packet is a request. */
static void bench_begin(struct bench *bench)
{
	memset(bench, 0, sizeof *bench);
	bench->options = (struct exchange_options){
		.timeout_ns = TIMEOUT,
		.begun_ns = BEGIN - 10 * TIMEOUT,
		.client_port_low = 32768,
		.client_port_high = 60999,
		.ready = true,
		.emit = keep,
		.context = bench,
	};
}

static void bench_make(struct bench *bench)
{
	assert_int_equal(exchange_create(&bench->options, &bench->table), 0);
}

static void bench_end(struct bench *bench)
{
	exchange_destroy(bench->table);
}

static struct exchange_counters counters(const struct bench *bench)
{
	return exchange_counters(bench->table);
}

/* ---- packets ---------------------------------------------------------------
 */

static struct exchange_packet packet_of(const void *bytes, size_t size)
{
	struct exchange_packet packet = {
		.ip_version = 4,
		.local = {192, 0, 2, 1},
		.remote = {192, 0, 2, 2},
		.local_port = 7000,
		.remote_port = EPHEMERAL,
		.size = (uint16_t)size,
		.head_size =
			(uint8_t)(size < EXCHANGE_HEAD_MAX ? size
							   : EXCHANGE_HEAD_MAX),
	};

	memcpy(packet.head, bytes, packet.head_size);
	return packet;
}

static struct exchange_packet text_of(const char *text)
{
	return packet_of(text, strlen(text));
}

/* A query or a response with one question, "x.test" and a letter. */
static struct exchange_packet dns_of(unsigned id, bool response, char letter)
{
	uint8_t bytes[40] = {(uint8_t)(id >> 8),
			     (uint8_t)id,
			     response ? 0x81 : 0x01,
			     0,
			     0,
			     1,
			     0,
			     response ? 1 : 0,
			     0,
			     0,
			     0,
			     0,
			     1,
			     (uint8_t)letter,
			     4,
			     't',
			     'e',
			     's',
			     't',
			     0,
			     0,
			     1,
			     0,
			     1};

	return packet_of(bytes, response ? 40 : 24);
}

static struct exchange_event event_of(enum exchange_kind kind, int64_t ns,
				      struct exchange_packet packet)
{
	return (struct exchange_event){.kind = kind,
				       .at_ns = BEGIN + ns,
				       .interface = 1,
				       .packet = packet};
}

static void put(struct bench *bench, enum exchange_kind kind, int64_t ns,
		struct exchange_packet packet)
{
	struct exchange_event event = event_of(kind, ns, packet);

	exchange_add(bench->table, &event);
}

/* A packet comes: RECEIVED 100 ns before STACK, READY 200 after it; a reader
 * in call number 'call' sleeps, has it 500 and returns 900 after it. */
static void comes(struct bench *bench, int64_t ns,
		  struct exchange_packet packet, uint32_t call)
{
	struct exchange_event event = event_of(EXCHANGE_IN_STACK, ns, packet);

	event.received_ns = BEGIN + ns - 100;
	exchange_add(bench->table, &event);
	put(bench, EXCHANGE_IN_READY, ns + 200, packet);
	if (call == 0)
		return;
	event = event_of(EXCHANGE_IN_COPIED, ns + 500, packet);
	event.waking_ns = BEGIN + ns + 300;
	event.running_ns = BEGIN + ns + 400;
	event.thread = 7;
	event.call = call;
	exchange_add(bench->table, &event);
	event = (struct exchange_event){.kind = EXCHANGE_RETURN,
					.at_ns = BEGIN + ns + 900,
					.thread = 7,
					.call = call};
	exchange_add(bench->table, &event);
}

/* A packet leaves: QUEUE 100 after the call, DRIVER 100 after that. */
static void leaves(struct bench *bench, int64_t ns,
		   struct exchange_packet packet)
{
	struct exchange_event event =
		event_of(EXCHANGE_OUT_QUEUE, ns + 100, packet);

	event.call_ns = BEGIN + ns;
	exchange_add(bench->table, &event);
	put(bench, EXCHANGE_OUT_DRIVER, ns + 200, packet);
}

static void later(struct bench *bench, int64_t ns)
{
	exchange_expire(bench->table, BEGIN + ns);
}

/* Of the k-th that came out. */
static int64_t segment_ns(const struct bench *bench, int k, const char *name)
{
	const struct trip *trip = &bench->out[k].trip;
	struct segment segments[SEGMENT_MAX];
	size_t count = trip_segments(
		exchange_points(bench->table, bench->out[k].side), segments);
	int64_t ns = -1;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(segments[i].name, name) == 0)
			assert_true(
				trip_segment_ns(trip, &segments[i], 0, &ns));
	}
	return ns;
}

static int64_t sum_ns(const struct bench *bench, int k)
{
	struct segment segments[SEGMENT_MAX];
	size_t count = trip_segments(
		exchange_points(bench->table, bench->out[k].side), segments);
	int64_t sum = 0, ns;

	for (size_t i = 0; i < count; i++) {
		assert_true(trip_segment_ns(&bench->out[k].trip, &segments[i],
					    0, &ns));
		assert_true(ns >= 0);
		sum += ns;
	}
	return sum;
}

/* Requests = what became of them. */
static void sound(const struct bench *bench)
{
	struct exchange_counters c = counters(bench);

	assert_int_equal(c.requests, c.answered + c.unanswered + c.ambiguous +
					     c.elsewhere + c.unfinished);
	assert_int_equal(c.answered + c.unanswered, bench->count);
}

/* ---- one exchange -----------------------------------------------------------
 */

static void a_server_pauses_and_the_pause_is_the_applications(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	comes(&bench, 1000, text_of("question"), 1);
	leaves(&bench, 5 * MS, text_of("answer"));
	later(&bench, 500 * MS);
	assert_int_equal(bench.count, 1);
	assert_int_equal(bench.out[0].side, SIDE_SERVER);
	assert_int_equal(segment_ns(&bench, 0, "forward received-stack"), 100);
	assert_int_equal(segment_ns(&bench, 0, "forward stack-ready"), 200);
	assert_int_equal(segment_ns(&bench, 0, "forward ready-waking"), 100);
	assert_int_equal(segment_ns(&bench, 0, "forward waking-running"), 100);
	assert_int_equal(segment_ns(&bench, 0, "forward running-return"), 500);
	assert_int_equal(segment_ns(&bench, 0, "reflector return-call"),
			 5 * MS - 1900);
	assert_int_equal(segment_ns(&bench, 0, "back call-queue"), 100);
	assert_int_equal(segment_ns(&bench, 0, "back queue-driver"), 100);
	assert_int_equal(sum_ns(&bench, 0), bench.out[0].trip.rtt_ns);
	assert_int_equal(counters(&bench).by_order, 1);
	sound(&bench);
	bench_end(&bench);
}

static void a_client_waits_for_the_other_host(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	leaves(&bench, 0, text_of("question"));
	comes(&bench, 3 * MS, text_of("answer"), 1);
	later(&bench, 500 * MS);
	assert_int_equal(bench.count, 1);
	assert_int_equal(bench.out[0].side, SIDE_CLIENT);
	assert_int_equal(segment_ns(&bench, 0, "reflector driver-received"),
			 3 * MS - 300);
	assert_int_equal(bench.out[0].trip.rtt_ns, 3 * MS + 900);
	assert_int_equal(sum_ns(&bench, 0), bench.out[0].trip.rtt_ns);
	sound(&bench);
	bench_end(&bench);
}

static void ip6_is_another_flow_than_ip4(void **state)
{
	struct bench bench;
	struct exchange_packet six = text_of("a");

	(void)state;
	six.ip_version = 6;
	bench_begin(&bench);
	bench_make(&bench);
	comes(&bench, 0, text_of("a"), 1);
	comes(&bench, 2000, six, 2);
	leaves(&bench, 5000, six);
	later(&bench, 500 * MS);
	assert_int_equal(bench.count, 0); /* the first is still open */
	later(&bench, 2000 * MS);
	assert_int_equal(bench.count, 2);
	assert_true(bench.out[0].trip.flags & TRIP_LOST);
	assert_int_equal(segment_ns(&bench, 1, "reflector return-call"), 2100);
	bench_end(&bench);
}

/* ---- several at once
 * ---------------------------------------------------------- */

static void identifiers_join_what_order_would_confuse(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	leaves(&bench, 0, dns_of(1, false, 'a'));
	leaves(&bench, 1 * MS, dns_of(2, false, 'b'));
	comes(&bench, 10 * MS, dns_of(2, true, 'b'), 1);
	comes(&bench, 30 * MS, dns_of(1, true, 'a'), 2);
	later(&bench, 900 * MS);
	assert_int_equal(bench.count, 2);
	assert_int_equal(bench.out[0].trip.rtt_ns, 30 * MS + 900);
	assert_int_equal(bench.out[1].trip.rtt_ns, 9 * MS + 900);
	assert_int_equal(counters(&bench).by_identifier, 2);
	sound(&bench);
	bench_end(&bench);
}

static void without_an_identifier_nothing_is_guessed(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	leaves(&bench, 0, text_of("one"));
	leaves(&bench, 1 * MS, text_of("two"));
	comes(&bench, 10 * MS, text_of("uno"), 1);
	comes(&bench, 20 * MS, text_of("due"), 2);
	/* Both are through: the next one is clear again. */
	leaves(&bench, 30 * MS, text_of("three"));
	comes(&bench, 40 * MS, text_of("tre"), 3);
	later(&bench, 900 * MS);
	assert_int_equal(counters(&bench).ambiguous, 2);
	assert_int_equal(counters(&bench).unasked, 0);
	assert_int_equal(bench.count, 1);
	assert_int_equal(bench.out[0].trip.rtt_ns, 10 * MS + 900);
	sound(&bench);
	bench_end(&bench);
}

static void a_doubt_ends_with_the_time_limit(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	leaves(&bench, 0, text_of("one"));
	leaves(&bench, 1 * MS, text_of("two"));
	comes(&bench, 10 * MS, text_of("uno"), 1);
	/* The other reply may still come: this one could be it. */
	leaves(&bench, 20 * MS, text_of("three"));
	comes(&bench, 30 * MS, text_of("tre"), 2);
	assert_int_equal(counters(&bench).ambiguous, 3);
	leaves(&bench, 2000 * MS, text_of("four"));
	comes(&bench, 2010 * MS, text_of("quattro"), 3);
	later(&bench, 2900 * MS);
	assert_int_equal(bench.count, 1);
	assert_int_equal(counters(&bench).by_order, 1);
	sound(&bench);
	bench_end(&bench);
}

static void the_same_bytes_at_once_are_ambiguous(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	comes(&bench, 0, text_of("ping"), 1);
	comes(&bench, 1 * MS, text_of("ping"), 2);
	leaves(&bench, 2 * MS, text_of("ping"));
	leaves(&bench, 3 * MS, text_of("ping"));
	later(&bench, 2000 * MS);
	assert_int_equal(counters(&bench).ambiguous, 2);
	assert_int_equal(counters(&bench).unasked, 0);
	assert_int_equal(bench.count, 0);
	sound(&bench);
	bench_end(&bench);
}

static void the_same_bytes_in_turn_are_not(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	for (int i = 0; i < 5; i++) {
		comes(&bench, i * MS, text_of("ping"), (uint32_t)i + 1);
		leaves(&bench, i * MS + 10000 + i, text_of("pong"));
	}
	later(&bench, 500 * MS);
	assert_int_equal(bench.count, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(segment_ns(&bench, i, "reflector return-call"),
				 9100 + i);
	sound(&bench);
	bench_end(&bench);
}

static void an_identifier_may_be_used_again(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	leaves(&bench, 0, dns_of(9, false, 'a'));
	comes(&bench, 2 * MS, dns_of(9, true, 'a'), 1);
	leaves(&bench, 10 * MS, dns_of(9, false, 'a'));
	comes(&bench, 17 * MS, dns_of(9, true, 'a'), 2);
	later(&bench, 900 * MS);
	assert_int_equal(bench.count, 2);
	assert_int_equal(bench.out[0].trip.rtt_ns, 2 * MS + 900);
	assert_int_equal(bench.out[1].trip.rtt_ns, 7 * MS + 900);
	assert_int_equal(counters(&bench).request_copies, 0);
	sound(&bench);
	bench_end(&bench);
}

static void one_identifier_and_two_questions_are_told_apart(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	leaves(&bench, 0, dns_of(9, false, 'a'));
	leaves(&bench, 1 * MS, dns_of(9, false, 'b'));
	comes(&bench, 2 * MS, dns_of(9, true, 'b'), 1);
	comes(&bench, 3 * MS, dns_of(9, true, 'a'), 2);
	later(&bench, 900 * MS);
	assert_int_equal(bench.count, 2);
	assert_int_equal(bench.out[0].trip.rtt_ns, 3 * MS + 900);
	sound(&bench);
	bench_end(&bench);
}

/* ---- loss and copies
 * ------------------------------------------------------------ */

static void what_is_not_answered_in_time_is_lost(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	leaves(&bench, 0, dns_of(1, false, 'a'));
	leaves(&bench, 500 * MS, dns_of(2, false, 'b'));
	later(&bench, 999 * MS);
	assert_int_equal(bench.count, 0);
	comes(&bench, 1001 * MS, dns_of(2, true, 'b'), 1);
	later(&bench, 1001 * MS);
	assert_int_equal(bench.count, 1);
	assert_true(bench.out[0].trip.flags & TRIP_LOST);
	/* Its late reply is not taken for another's. */
	leaves(&bench, 1100 * MS, dns_of(3, false, 'c'));
	comes(&bench, 1101 * MS, dns_of(1, true, 'a'), 2);
	comes(&bench, 1105 * MS, dns_of(3, true, 'c'), 3);
	later(&bench, 2000 * MS);
	assert_int_equal(bench.count, 3);
	assert_int_equal(bench.out[2].trip.rtt_ns, 5 * MS + 900);
	assert_int_equal(counters(&bench).unasked, 1);
	assert_int_equal(counters(&bench).unanswered, 1);
	sound(&bench);
	bench_end(&bench);
}

static void copies_are_counted_and_change_nothing(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	leaves(&bench, 0, dns_of(1, false, 'a'));
	leaves(&bench, 5 * MS, dns_of(1, false, 'a'));
	comes(&bench, 10 * MS, dns_of(1, true, 'a'), 1);
	comes(&bench, 12 * MS, dns_of(1, true, 'a'), 2);
	later(&bench, 900 * MS);
	assert_int_equal(bench.count, 1);
	assert_int_equal(bench.out[0].trip.rtt_ns, 10 * MS + 900);
	assert_int_equal(bench.out[0].trip.duplicates[LEG_FORWARD], 1);
	assert_int_equal(bench.out[0].trip.duplicates[LEG_BACK], 1);
	assert_int_equal(counters(&bench).request_copies, 1);
	assert_int_equal(counters(&bench).reply_copies, 1);
	sound(&bench);
	bench_end(&bench);
}

static void a_second_echo_answers_no_other_request(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	leaves(&bench, 0, text_of("one"));
	comes(&bench, 2 * MS, text_of("one"), 1);
	leaves(&bench, 3 * MS, text_of("two"));
	comes(&bench, 4 * MS, text_of("one"), 2);
	comes(&bench, 8 * MS, text_of("two"), 3);
	later(&bench, 900 * MS);
	assert_int_equal(bench.count, 2);
	assert_int_equal(bench.out[1].trip.rtt_ns, 5 * MS + 900);
	assert_int_equal(counters(&bench).reply_copies, 1);
	sound(&bench);
	bench_end(&bench);
}

static void a_second_reply_moves_no_stamp_of_the_first(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	comes(&bench, 0, text_of("question"), 1);
	leaves(&bench, 1 * MS, text_of("answer"));
	leaves(&bench, 2 * MS, text_of("answer"));
	later(&bench, 900 * MS);
	assert_int_equal(bench.count, 1);
	assert_int_equal(segment_ns(&bench, 0, "back queue-driver"), 100);
	assert_int_equal(counters(&bench).reply_copies, 1);
	sound(&bench);
	bench_end(&bench);
}

static void the_return_of_another_call_is_not_its_own(void **state)
{
	struct exchange_event event;
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	comes(&bench, 0, text_of("one"), 0);
	event = event_of(EXCHANGE_IN_COPIED, 500, text_of("one"));
	event.thread = 7;
	event.call = 1; /* whose return was lost */
	exchange_add(bench.table, &event);
	event = (struct exchange_event){.kind = EXCHANGE_RETURN,
					.at_ns = BEGIN + 5000,
					.thread = 7,
					.call = 2};
	exchange_add(bench.table, &event);
	leaves(&bench, 9000, text_of("uno"));
	later(&bench, 2000 * MS);
	assert_int_equal(bench.count, 1);
	assert_false(bench.out[0].trip.stamped &
		     POINT_BIT(LEG_FORWARD, POINT_RETURN));
	bench_end(&bench);
}

static void a_reply_in_two_parts_counts_by_the_first(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	comes(&bench, 0, text_of("list"), 1);
	leaves(&bench, 1 * MS, text_of("part 1"));
	leaves(&bench, 2 * MS, text_of("part 2"));
	later(&bench, 900 * MS);
	assert_int_equal(bench.count, 1);
	assert_int_equal(segment_ns(&bench, 0, "reflector return-call"),
			 1 * MS - 900);
	assert_int_equal(counters(&bench).unasked, 1);
	sound(&bench);
	bench_end(&bench);
}

static void the_end_gives_up_what_is_open(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	comes(&bench, 0, text_of("one"), 1);
	leaves(&bench, 1 * MS, text_of("uno"));
	comes(&bench, 2 * MS, text_of("two"), 2);
	exchange_end(bench.table);
	assert_int_equal(bench.count, 1);
	assert_int_equal(counters(&bench).unfinished, 1);
	sound(&bench);
	bench_end(&bench);
}

static void a_clock_that_is_stepped_makes_void(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	comes(&bench, 0, text_of("one"), 1);
	leaves(&bench, 1 * MS, text_of("uno"));
	comes(&bench, 2 * MS, text_of("two"), 2);
	exchange_step(bench.table);
	/* An hour back. */
	comes(&bench, -3600000 * MS, text_of("three"), 3);
	leaves(&bench, -3600000 * MS + 5000, text_of("tre"));
	later(&bench, -3600000 * MS + 500 * MS);
	assert_int_equal(bench.count, 2);
	assert_true(bench.out[0].trip.flags & TRIP_VOID);
	assert_false(bench.out[1].trip.flags & TRIP_VOID);
	assert_int_equal(counters(&bench).unfinished, 1);
	sound(&bench);
	bench_end(&bench);
}

static void so_many_and_no_more(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench.options.count = 2;
	bench_make(&bench);
	for (int i = 0; i < 4; i++) {
		comes(&bench, i * MS, text_of("ping"), (uint32_t)i + 1);
		leaves(&bench, i * MS + 10000, text_of("pong"));
	}
	assert_false(exchange_done(bench.table));
	later(&bench, 500 * MS);
	assert_true(exchange_done(bench.table));
	assert_int_equal(bench.count, 2);
	assert_int_equal(counters(&bench).unasked, 0);
	sound(&bench);
	bench_end(&bench);
}

/* ---- whose request it is
 * ---------------------------------------------------------- */

static void at_first_a_packet_from_a_servers_port_is_a_reply(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench.options.begun_ns = BEGIN - 1;
	bench_make(&bench);
	leaves(&bench, 0, text_of("late reply")); /* from 7000 to 40000 */
	assert_int_equal(counters(&bench).unasked, 1);
	comes(&bench, 1 * MS, text_of("question"), 1);
	leaves(&bench, 2 * MS, text_of("answer"));
	later(&bench, 500 * MS);
	assert_int_equal(bench.count, 1);
	assert_int_equal(bench.out[0].side, SIDE_SERVER);
	sound(&bench);
	bench_end(&bench);
}

/* Both ports are such as the system gives to clients. */
static struct exchange_packet between_clients(const char *text)
{
	struct exchange_packet packet = text_of(text);

	packet.local_port = EPHEMERAL + 1;
	return packet;
}

static void at_first_what_comes_to_a_clients_socket_is_a_reply(void **state)
{
	struct exchange_event event;
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench.options.begun_ns = BEGIN - 1;
	bench_make(&bench);
	put(&bench, EXCHANGE_IN_STACK, 0, between_clients("answer"));
	event = event_of(EXCHANGE_IN_READY, 200, between_clients("answer"));
	event.connected = true;
	exchange_add(bench.table, &event);
	assert_int_equal(counters(&bench).unasked, 1);
	leaves(&bench, 1 * MS, between_clients("question"));
	comes(&bench, 3 * MS, between_clients("answer"), 1);
	later(&bench, 500 * MS);
	assert_int_equal(bench.count, 1);
	assert_int_equal(bench.out[0].side, SIDE_CLIENT);
	assert_int_equal(bench.out[0].trip.rtt_ns, 2 * MS + 900);
	sound(&bench);
	bench_end(&bench);
}

static void at_first_what_leaves_a_servers_socket_is_a_reply(void **state)
{
	struct exchange_event event;
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench.options.begun_ns = BEGIN - 1;
	bench_make(&bench);
	event = event_of(EXCHANGE_OUT_QUEUE, 0, between_clients("answer"));
	event.bound = true;
	exchange_add(bench.table, &event);
	assert_int_equal(counters(&bench).unasked, 1);
	comes(&bench, 1 * MS, between_clients("question"), 1);
	leaves(&bench, 2 * MS, between_clients("answer"));
	later(&bench, 500 * MS);
	assert_int_equal(bench.count, 1);
	assert_int_equal(bench.out[0].side, SIDE_SERVER);
	sound(&bench);
	bench_end(&bench);
}

static void a_side_that_was_mistaken_is_turned(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench.options.begun_ns = BEGIN - 1;
	bench_make(&bench);
	comes(&bench, 0, between_clients("one"), 1); /* echoed to a client */
	leaves(&bench, 10 * MS, between_clients("two"));
	comes(&bench, 12 * MS, between_clients("two"), 2);
	leaves(&bench, 20 * MS, between_clients("three"));
	comes(&bench, 25 * MS, between_clients("three"), 3);
	later(&bench, 500 * MS);
	assert_int_equal(bench.count, 1);
	assert_int_equal(bench.out[0].side, SIDE_CLIENT);
	assert_int_equal(bench.out[0].trip.rtt_ns, 5 * MS + 900);
	assert_int_equal(counters(&bench).by_order, 0);
	sound(&bench);
	bench_end(&bench);
}

static void a_dns_response_begins_nothing(void **state)
{
	struct exchange_packet packet = dns_of(1, true, 'a');
	struct bench bench;

	(void)state;
	packet.remote_port = 53;
	bench_begin(&bench);
	bench_make(&bench);
	comes(&bench, 0, packet, 1);
	assert_int_equal(counters(&bench).requests, 0);
	assert_int_equal(counters(&bench).unasked, 1);
	bench_end(&bench);
}

static void a_process_has_no_exchanges_of_another(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench.options.one_process = true;
	bench_make(&bench);
	comes(&bench, 0, text_of("question"), 0); /* none of its threads */
	put(&bench, EXCHANGE_OUT_QUEUE, 1 * MS, text_of("answer"));
	put(&bench, EXCHANGE_OUT_DRIVER, 1 * MS + 100, text_of("answer"));
	later(&bench, 2000 * MS);
	assert_int_equal(bench.count, 0);
	assert_int_equal(counters(&bench).elsewhere, 1);
	sound(&bench);
	bench_end(&bench);
}

/* ---- stamps
 * -------------------------------------------------------------------------- */

static void of_several_devices_the_first_and_the_last_count(void **state)
{
	struct exchange_packet in = text_of("question"),
			       out = text_of("answer");
	struct exchange_event event;
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	event = event_of(EXCHANGE_IN_STACK, 0, in);
	exchange_add(bench.table, &event);
	event = event_of(EXCHANGE_IN_STACK, 50, in);
	event.interface = 2;
	exchange_add(bench.table, &event);
	put(&bench, EXCHANGE_IN_READY, 200, in);
	leaves(&bench, 1000, out);
	for (int kind = EXCHANGE_OUT_QUEUE; kind <= EXCHANGE_OUT_DRIVER;
	     kind++) {
		event = event_of(kind, 2000 + kind, out);
		event.interface = 2;
		exchange_add(bench.table, &event);
	}
	later(&bench, 2000 * MS);
	assert_int_equal(bench.count, 1);
	assert_int_equal(segment_ns(&bench, 0, "forward stack-ready"), 200);
	assert_int_equal(segment_ns(&bench, 0, "back call-queue"), 1000);
	assert_int_equal(segment_ns(&bench, 0, "back queue-driver"), 1);
	assert_int_equal(counters(&bench).unasked, 0);
	sound(&bench);
	bench_end(&bench);
}

/* READY and TAKEN on socket 5, as kernels tell it that do not name what a
 * reader has. */
static void ready_on(struct bench *bench, int64_t ns,
		     struct exchange_packet packet)
{
	struct exchange_event event = event_of(EXCHANGE_IN_STACK, ns, packet);

	exchange_add(bench->table, &event);
	event = event_of(EXCHANGE_IN_READY, ns + 200, packet);
	event.stack_ns = BEGIN + ns;
	event.socket = 5;
	exchange_add(bench->table, &event);
}

static void taken(struct bench *bench, int64_t ns, uint16_t size, uint32_t call)
{
	struct exchange_event event = {
		.kind = EXCHANGE_IN_TAKEN,
		.at_ns = BEGIN + ns,
		.socket = 5,
		.thread = 7,
		.call = call,
		.packet = {.size = size},
	};

	exchange_add(bench->table, &event);
	event = (struct exchange_event){.kind = EXCHANGE_RETURN,
					.at_ns = BEGIN + ns + 100,
					.thread = 7,
					.call = call};
	exchange_add(bench->table, &event);
}

static int64_t returned_ns(const struct bench *bench, int k)
{
	const struct trip *trip = &bench->out[k].trip;

	assert_true(trip->stamped & POINT_BIT(LEG_FORWARD, POINT_RETURN));
	return trip->at_ns[LEG_FORWARD][POINT_RETURN] - BEGIN;
}

static void a_reader_has_what_was_ready_first(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	taken(&bench, -5000, 3, 1); /* what was there before the watch */
	ready_on(&bench, 0, text_of("one"));
	ready_on(&bench, 1000, text_of("two"));
	taken(&bench, 10000, 3, 2);
	taken(&bench, 20000, 3, 3);
	leaves(&bench, 30000, text_of("one"));
	leaves(&bench, 40000, text_of("two"));
	later(&bench, 500 * MS);
	assert_int_equal(bench.count, 2);
	assert_int_equal(returned_ns(&bench, 0), 10100);
	assert_int_equal(returned_ns(&bench, 1), 20100);
	sound(&bench);
	bench_end(&bench);
}

static void a_packet_dropped_on_the_way_moves_no_other(void **state)
{
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	ready_on(&bench, 0, text_of("broken"));
	ready_on(&bench, 1000, text_of("two"));
	taken(&bench, 10000, 3, 2);
	leaves(&bench, 30000, text_of("two"));
	later(&bench, 2000 * MS);
	assert_int_equal(bench.count, 2);
	assert_true(bench.out[0].trip.flags & TRIP_LOST);
	assert_int_equal(returned_ns(&bench, 1), 10100);
	bench_end(&bench);
}

static void a_reader_awake_may_have_it_before_it_is_ready(void **state)
{
	struct exchange_event event;
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	event = event_of(EXCHANGE_IN_STACK, 0, text_of("one"));
	exchange_add(bench.table, &event);
	event = (struct exchange_event){.kind = EXCHANGE_IN_TAKEN,
					.at_ns = BEGIN + 150,
					.socket = 5,
					.thread = 7,
					.call = 2,
					.packet = {.size = 3}};
	exchange_add(bench.table, &event);
	event = event_of(EXCHANGE_IN_READY, 500, text_of("one"));
	event.stack_ns = BEGIN;
	event.socket = 5;
	exchange_add(bench.table, &event);
	event = (struct exchange_event){.kind = EXCHANGE_RETURN,
					.at_ns = BEGIN + 300,
					.thread = 7,
					.call = 2};
	exchange_add(bench.table, &event);
	leaves(&bench, 30000, text_of("one"));
	later(&bench, 500 * MS);
	assert_int_equal(bench.count, 1);
	assert_int_equal(returned_ns(&bench, 0), 300);
	assert_true(bench.out[0].trip.flags & TRIP_READY_LATE(LEG_FORWARD));
	bench_end(&bench);
}

static void a_wake_up_from_before_the_packet_is_not_its_own(void **state)
{
	struct exchange_event event;
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	comes(&bench, 0, text_of("one"), 0);
	event = event_of(EXCHANGE_IN_COPIED, 500, text_of("one"));
	event.waking_ns = BEGIN - 300;
	event.running_ns = BEGIN - 200;
	event.thread = 7;
	event.call = 1;
	exchange_add(bench.table, &event);
	event = (struct exchange_event){.kind = EXCHANGE_RETURN,
					.at_ns = BEGIN + 600,
					.thread = 7,
					.call = 1};
	exchange_add(bench.table, &event);
	leaves(&bench, 1000, text_of("uno"));
	later(&bench, 500 * MS);
	assert_int_equal(bench.count, 1);
	assert_false(bench.out[0].trip.stamped &
		     (POINT_BIT(LEG_FORWARD, POINT_WAKING) |
		      POINT_BIT(LEG_FORWARD, POINT_RUNNING)));
	assert_int_equal(returned_ns(&bench, 0), 600);
	bench_end(&bench);
}

/* ---- bounds
 * -----------------------------------------------------------------------------
 */

static void what_has_no_room_is_counted(void **state)
{
	struct exchange_packet packet = text_of("flood");
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench_make(&bench);
	for (uint32_t i = 0; i < EXCHANGE_OPEN_MAX + 1000; i++) {
		packet.remote_port = (uint16_t)i;
		packet.remote[15] = (uint8_t)(i >> 16);
		put(&bench, EXCHANGE_IN_STACK, i, packet);
	}
	assert_int_equal(counters(&bench).requests, EXCHANGE_OPEN_MAX);
	assert_int_equal(counters(&bench).no_room, 1000);
	bench_end(&bench);
}

static void ignore(void *context, enum exchange_side side,
		   const struct trip *trip)
{
	(void)context, (void)side, (void)trip;
}

static void flows_that_are_over_give_way(void **state)
{
	struct exchange_packet packet = text_of("flood");
	struct bench bench;

	(void)state;
	bench_begin(&bench);
	bench.options.emit = ignore;
	bench_make(&bench);
	for (uint32_t i = 0; i < 3 * EXCHANGE_FLOW_MAX; i++) {
		packet.remote_port = (uint16_t)i;
		packet.remote[15] = (uint8_t)(i >> 16);
		put(&bench, EXCHANGE_IN_STACK, i * MS, packet);
		later(&bench, i * MS);
	}
	assert_int_equal(counters(&bench).requests, 3 * EXCHANGE_FLOW_MAX);
	assert_int_equal(counters(&bench).no_room, 0);
	bench_end(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_server_pauses_and_the_pause_is_the_applications),
		cmocka_unit_test(a_client_waits_for_the_other_host),
		cmocka_unit_test(ip6_is_another_flow_than_ip4),
		cmocka_unit_test(identifiers_join_what_order_would_confuse),
		cmocka_unit_test(without_an_identifier_nothing_is_guessed),
		cmocka_unit_test(a_doubt_ends_with_the_time_limit),
		cmocka_unit_test(the_same_bytes_at_once_are_ambiguous),
		cmocka_unit_test(the_same_bytes_in_turn_are_not),
		cmocka_unit_test(an_identifier_may_be_used_again),
		cmocka_unit_test(
			one_identifier_and_two_questions_are_told_apart),
		cmocka_unit_test(what_is_not_answered_in_time_is_lost),
		cmocka_unit_test(copies_are_counted_and_change_nothing),
		cmocka_unit_test(a_second_echo_answers_no_other_request),
		cmocka_unit_test(a_second_reply_moves_no_stamp_of_the_first),
		cmocka_unit_test(the_return_of_another_call_is_not_its_own),
		cmocka_unit_test(a_reply_in_two_parts_counts_by_the_first),
		cmocka_unit_test(the_end_gives_up_what_is_open),
		cmocka_unit_test(a_clock_that_is_stepped_makes_void),
		cmocka_unit_test(so_many_and_no_more),
		cmocka_unit_test(
			at_first_a_packet_from_a_servers_port_is_a_reply),
		cmocka_unit_test(
			at_first_what_comes_to_a_clients_socket_is_a_reply),
		cmocka_unit_test(
			at_first_what_leaves_a_servers_socket_is_a_reply),
		cmocka_unit_test(a_side_that_was_mistaken_is_turned),
		cmocka_unit_test(a_dns_response_begins_nothing),
		cmocka_unit_test(a_process_has_no_exchanges_of_another),
		cmocka_unit_test(
			of_several_devices_the_first_and_the_last_count),
		cmocka_unit_test(a_reader_has_what_was_ready_first),
		cmocka_unit_test(a_packet_dropped_on_the_way_moves_no_other),
		cmocka_unit_test(a_reader_awake_may_have_it_before_it_is_ready),
		cmocka_unit_test(
			a_wake_up_from_before_the_packet_is_not_its_own),
		cmocka_unit_test(what_has_no_room_is_counted),
		cmocka_unit_test(flows_that_are_over_give_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
