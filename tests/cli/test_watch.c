#include "check.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "../engine/feed.h"
#include "cli/watch_private.h"

static const struct kernel_process_key alice = {111111, 100};

static void moves_some(void *context,
		       const struct kernel_sockets_visitor *visitor)
{
	struct feed *feed = context;
	struct kernel_socket record = {
		.event = KERNEL_SOCKET_END,
		.id = 7,
		.at = {FEED_START + 500},
		.kind = KERNEL_CLASS_TCP,
		.family = AF_INET,
		.protocol = IPPROTO_TCP,
		.address = {192, 0, 2, 1},
		.peer = {192, 0, 2, 2},
		.port = 40000,
		.peer_port = 443,
		.state = TCP_CLOSE,
		.old_state = TCP_LAST_ACK,
		.opened = KERNEL_OPENED_ACTIVE,
		.connections = 1,
		.why = KERNEL_CLOSE_FIN,
		.has_tcp = true,
		.tcp = {.srtt_us = 150, .cwnd = 10, .bytes_queued = 600},
		.traffic = {600, 30, 2, 1},
		.last_sender = 0,
		.last_receiver = -1,
		.creator = alice,
		.owner_count = 1,
		.owners = {{alice, {600, 30, 2, 1}}},
	};
	struct kernel_bucket bucket = {.index = 1,
				       .kind = KERNEL_CLASS_TCP,
				       .key = alice,
				       .socket = 7,
				       .traffic = {600, 30, 2, 1}};
	struct kernel_missed missed = {2, 1, 5, 6};

	visitor->socket(visitor->context, &record);
	visitor->bucket(visitor->context, &bucket);
	visitor->missed(visitor->context, &missed);
	feed->counters.calls_tx_bytes = 600;
	feed->counters.calls_rx_bytes = 30;
}

static void interval_take(void *context, const struct watch_interval *interval)
{
	watch_json_interval(context, interval);
}

static void socket_take(void *context, const struct watch_socket *socket)
{
	watch_json_socket(context, "socket", socket);
}

static char root[] = "/tmp/sonde-lines-XXXXXX", proc[64];

static void root_remove(void)
{
	(void)rmdir(proc);
	(void)rmdir(root);
}

/* The lines of a run of half a second, in memory. */
static void lines_make(struct watch_run *run, struct feed *feed,
		       const struct watch_cli_options *options)
{
	struct watch_options watch = {
		.duration_ns = NS_PER_S / 2,
		.turn_ns = NS_PER_S / 4,
		.per_socket = options->per_socket,
		.no_links = true,
		.owner = {.root = root},
		.visitor = {.context = run,
			    .interval = interval_take,
			    .socket = socket_take},
		.feed = &feed_rows,
		.feed_context = feed,
	};
	struct fault fault;

	if (!*proc) {
		assert_non_null(mkdtemp(root));
		(void)snprintf(proc, sizeof proc, "%s/proc", root);
		assert_int_equal(mkdir(proc, 0700), 0);
		(void)atexit(root_remove);
	}
	feed_init(feed);
	feed->context = feed;
	feed->steps[0] = moves_some;
	*run = (struct watch_run){.options = options, .put = {.fd = -1}};
	assert_int_equal(watch_open(&watch, &run->watch, &fault), 0);
	while (watch_turn(run->watch, 1000) >= 0)
		;
	watch_json_end(run, "duration");
}

static void lines_free(struct watch_run *run)
{
	watch_close(run->watch);
	put_fini(&run->put);
}

/* The n-th line that begins so, without its end; NULL: none. */
static char *line_of(struct watch_run *run, const char *begin, int n)
{
	static char line[8192];
	const char *at = run->put.bytes, *end = at + run->put.size;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		assert_non_null(stop);
		if (strncmp(at, begin, strlen(begin)) == 0 && n-- == 0) {
			assert_true((size_t)(stop - at) < sizeof line);
			memcpy(line, at, (size_t)(stop - at));
			line[stop - at] = 0;
			return line;
		}
		at = stop + 1;
	}
	return NULL;
}

static void intervals_are_written_as_documented(void **state)
{
	static const struct watch_cli_options options;
	struct feed feed;
	struct watch_run run;

	(void)state;
	lines_make(&run, &feed, &options);
	assert_string_equal(
		line_of(&run, "{\"type\":\"interval\"", 0),
		"{\"type\":\"interval\",\"index\":0,\"offset_ns\":0,"
		"\"duration_ns\":100000000,\"tx_bytes\":0,\"rx_bytes\":0,"
		"\"tx_messages\":0,\"rx_messages\":0,\"flags\":[],"
		"\"missed_buckets\":0,\"missed_tx_bytes\":0,"
		"\"missed_rx_bytes\":0,\"processes\":[],\"containers\":[]}");
	assert_string_equal(
		line_of(&run, "{\"type\":\"interval\"", 1),
		"{\"type\":\"interval\",\"index\":1,\"offset_ns\":100000000,"
		"\"duration_ns\":100000000,\"tx_bytes\":600,\"rx_bytes\":30,"
		"\"tx_messages\":2,\"rx_messages\":1,\"flags\":[],"
		"\"missed_buckets\":0,\"missed_tx_bytes\":0,"
		"\"missed_rx_bytes\":0,\"processes\":[{\"pid\":100,"
		"\"start_ns\":111111,\"comm\":null,\"container_id\":null,"
		"\"tx_bytes\":600,\"rx_bytes\":30,\"tx_messages\":2,"
		"\"rx_messages\":1,\"sockets\":null}],\"containers\":[]}");
	assert_non_null(strstr(line_of(&run, "{\"type\":\"interval\"", 2),
			       "\"flags\":[\"missed\"],\"missed_buckets\":1,"
			       "\"missed_tx_bytes\":5,\"missed_rx_bytes\":6"));
	assert_non_null(line_of(&run, "{\"type\":\"interval\"", 4));
	assert_null(line_of(&run, "{\"type\":\"interval\"", 5));
	lines_free(&run);
}

static void sockets_stand_in_their_intervals(void **state)
{
	static const struct watch_cli_options options = {.per_socket = true};
	struct feed feed;
	struct watch_run run;

	(void)state;
	lines_make(&run, &feed, &options);
	assert_non_null(strstr(line_of(&run, "{\"type\":\"interval\"", 1),
			       "\"sockets\":[{\"id\":7,\"class\":\"tcp\","
			       "\"tx_bytes\":600,\"rx_bytes\":30,"
			       "\"tx_messages\":2,\"rx_messages\":1}]}]"));
	lines_free(&run);
}

static void has(const char *line, const char *part)
{
	if (!line || !strstr(line, part))
		fail_msg("no %s in %s", part, line ? line : "no line");
}

static void a_socket_has_every_field_with_its_unit(void **state)
{
	static const struct watch_cli_options options;
	struct feed feed;
	struct watch_run run;
	const char *line;

	(void)state;
	lines_make(&run, &feed, &options);
	line = line_of(&run, "{\"type\":\"socket\"", 0);
	has(line, "\"id\":7,\"connection\":1,");
	has(line, "\"ended\":true,\"end_lost\":false,\"class\":\"tcp\","
		  "\"family\":2,\"protocol\":6,\"address\":\"192.0.2.1\","
		  "\"port\":40000,\"peer_address\":\"192.0.2.2\","
		  "\"peer_port\":443,");
	has(line, "\"old_state\":\"last_ack\",\"state\":\"close\","
		  "\"opened\":\"active\",\"close\":\"fin\",");
	has(line, "\"born_ns\":null,");
	has(line, "\"owners\":[{\"pid\":100,\"start_ns\":111111,\"comm\":null,"
		  "\"container_id\":null,\"tx_bytes\":600,\"rx_bytes\":30,"
		  "\"tx_messages\":2,\"rx_messages\":1}],");
	has(line, "\"listener\":null,\"last_sender\":0,"
		  "\"last_receiver\":null,");
	has(line, "\"srtt_us\":150,");
	has(line, "\"cwnd_segments\":10,");
	has(line, "\"pacing_rate_bytes_s\":0,");
	for (size_t i = 0; i < kernel_tcp_field_count; i++)
		has(line, kernel_tcp_fields[i].name);
	for (size_t i = 0; i < kernel_buffer_field_count; i++)
		has(line, kernel_buffer_fields[i].name);
	assert_null(line_of(&run, "{\"type\":\"socket\"", 1));
	lines_free(&run);
}

static void the_end_tells_processes_ledger_and_summary(void **state)
{
	static const struct watch_cli_options options;
	struct feed feed;
	struct watch_run run;
	const char *line;

	(void)state;
	lines_make(&run, &feed, &options);
	line = line_of(&run, "{\"type\":\"process\"", 0);
	has(line, "\"pid\":100,\"start_ns\":111111,\"end_ns\":null,");
	has(line, "\"exe\":null,");
	has(line, "\"tx_bytes\":600,\"rx_bytes\":30,\"tx_messages\":2,"
		  "\"rx_messages\":1,");
	has(line, "\"classes\":{\"tcp\":{\"tx_bytes\":600,");
	has(line, "\"connections_active\":1,");
	assert_string_equal(
		line_of(&run, "{\"type\":\"ledger\"", 0),
		"{\"type\":\"ledger\",\"name\":\"calls_tx_bytes\",\"left\":600,"
		"\"right\":600,\"residue\":0,\"holds\":true,"
		"\"unit\":\"bytes\",\"says\":\"sent by calls = by all "
		"processes + unattributed\",\"turns_failed\":0}");
	line = line_of(&run, "{\"type\":\"summary\"", 0);
	has(line, "\"duration_ns\":500000000,");
	has(line, "\"ended\":\"duration\",\"intervals\":5,"
		  "\"intervals_damaged\":1,\"intervals_missed\":1,");
	has(line, "\"complete\":false,\"counters\":{\"kernel\":{\"calls_tx\":");
	has(line, "\"watch\":{\"records\":1,");
	has(line, "\"owners\":{\"processes\":");
	lines_free(&run);
}

static void lines_beyond_the_limit_are_left_out_whole(void **state)
{
	struct put put = {.fd = -1, .max = 120};

	(void)state;
	for (int i = 0; i < 10; i++) {
		put_begin(&put, "thing");
		put_i64(&put, "number", -i);
		put_text(&put, "text", "a \"word\"\n");
		put_end(&put);
	}
	assert_int_equal(put.lines, 10);
	assert_int_equal(put.lines_lost, 8);
	assert_int_equal(put.size, put_waiting(&put));
	assert_memory_equal(put.bytes,
			    "{\"type\":\"thing\",\"number\":0,\"text\":\"a "
			    "\\\"word\\\"\\n\"}\n{\"type\":\"thing\","
			    "\"number\":-1",
			    60);
	assert_int_equal(put.bytes[put.size - 1], '\n');
	put_fini(&put);
}

static void endpoints_are_written_as_people_do(void **state)
{
	struct kernel_socket socket = {.family = AF_INET6,
				       .address = {0x20, 1, 0xd, 0xb8},
				       .port = 443};
	char text[WATCH_ENDPOINT_SIZE];

	(void)state;
	assert_string_equal(watch_endpoint(&socket, false, text),
			    "[2001:db8::]:443");
	assert_string_equal(watch_endpoint(&socket, true, text), "-");
	socket.mapped = true;
	assert_string_equal(watch_endpoint(&socket, false, text),
			    "32.1.13.184:443");
	socket = (struct kernel_socket){.family = AF_INET, .port = 22};
	assert_string_equal(watch_endpoint(&socket, false, text), "*:22");
	socket.family = AF_UNIX;
	assert_string_equal(watch_endpoint(&socket, false, text), "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intervals_are_written_as_documented),
		cmocka_unit_test(sockets_stand_in_their_intervals),
		cmocka_unit_test(a_socket_has_every_field_with_its_unit),
		cmocka_unit_test(the_end_tells_processes_ledger_and_summary),
		cmocka_unit_test(lines_beyond_the_limit_are_left_out_whole),
		cmocka_unit_test(endpoints_are_written_as_people_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
