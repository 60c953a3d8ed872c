/* Prints what kernel/sockets.h hands over, a line of JSON each.
 *
 * sockets_dump [name=number]...: prints {"type":"ready"} when it counts, turns
 * every turn_ms, and ends with its standard input (or after duration_ms); the
 * last lines are the counters and the hooks.  Names: interval_ms, turn_ms,
 * duration_ms, and the members of struct kernel_sockets_options.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "kernel/kernel.h"

struct dump {
	struct kernel_sockets_options options;
	int64_t turn_ms, duration_ms;
	int quiet; /* 1: no buckets, 2: nothing but the end */
	int measure;
	struct kernel_sockets *sockets;
};

static void text_print(const char *name, const char *text)
{
	printf(",\"%s\":\"", name);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 32 || c == '"' || c == '\\' || c > 126)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void number_print(const char *name, uint64_t number)
{
	printf(",\"%s\":%" PRIu64, name, number);
}

static void key_print(const char *name, const struct kernel_process_key *key)
{
	printf(",\"%s\":[%u,%" PRIu64 "]", name, key->pid, key->start_ns);
}

static void traffic_print(const struct kernel_traffic *traffic)
{
	number_print("tx_bytes", traffic->tx_bytes);
	number_print("rx_bytes", traffic->rx_bytes);
	number_print("tx_messages", traffic->tx_messages);
	number_print("rx_messages", traffic->rx_messages);
}

static void process_print(void *context, const struct kernel_process *process)
{
	static const char *const events[] = {"fork", "exec", "exit"};

	(void)context;
	printf("{\"type\":\"process\",\"event\":\"%s\"",
	       events[process->event]);
	key_print("key", &process->key);
	key_print("parent", &process->parent);
	number_print("at_ns", (uint64_t)process->at.ns);
	number_print("cgroup", process->cgroup);
	number_print("uid", process->uid);
	number_print("exit_code", (unsigned int)process->exit_code);
	text_print("comm", process->comm);
	text_print("path", process->path);
	printf("}\n");
}

static void address_print(const char *name, const struct kernel_socket *socket,
			  const uint8_t *address)
{
	char text[INET6_ADDRSTRLEN] = "";
	bool six = socket->family == AF_INET6 && !socket->mapped;

	if (socket->family == AF_INET || socket->family == AF_INET6)
		inet_ntop(six ? AF_INET6 : AF_INET, address, text, sizeof text);
	text_print(name, text);
}

static void fields_print(const char *name, const struct kernel_field *fields,
			 size_t count, const void *record)
{
	printf(",\"%s\":{", name);
	for (size_t i = 0; i < count; i++)
		printf("%s\"%s\":%" PRIu64, i ? "," : "", fields[i].name,
		       kernel_field_get(&fields[i], record));
	putchar('}');
}

static void owners_print(const struct kernel_socket *socket)
{
	printf(",\"owners\":[");
	for (int i = 0; i < socket->owner_count; i++) {
		const struct kernel_owner *owner = &socket->owners[i];

		printf("%s{\"pid\":%u", i ? "," : "", owner->key.pid);
		number_print("start_ns", owner->key.start_ns);
		traffic_print(&owner->traffic);
		putchar('}');
	}
	putchar(']');
}

static void times_print(const struct kernel_socket *socket)
{
	number_print("at_ns", (uint64_t)socket->at.ns);
	number_print("born_ns", (uint64_t)socket->born.ns);
	number_print("connecting_ns", (uint64_t)socket->connecting.ns);
	number_print("established_ns", (uint64_t)socket->established.ns);
	number_print("closing_ns", (uint64_t)socket->closing.ns);
	number_print("closed_ns", (uint64_t)socket->closed.ns);
}

static void connection_print(const struct dump *dump,
			     const struct kernel_socket *socket)
{
	const char *reason =
		kernel_reset_name(dump->sockets, socket->reset_reason);

	number_print("state", socket->state);
	number_print("old_state", socket->old_state);
	number_print("opened", (unsigned int)socket->opened);
	text_print("why", kernel_close_name(socket->why));
	number_print("error", (unsigned int)socket->error);
	number_print("errors", socket->errors);
	number_print("connections", socket->connections);
	number_print("resets_sent", socket->resets_sent);
	number_print("resets_received", socket->resets_received);
	text_print("reset_reason", reason ? reason : "");
	number_print("retransmits", socket->retransmits);
	key_print("creator", &socket->creator);
	key_print("listener", &socket->listener);
}

static void socket_print(void *context, const struct kernel_socket *socket)
{
	static const char *const events[] = {"born", "state", "sample",
					     "closed", "end"};
	const struct dump *dump = context;

	printf("{\"type\":\"socket\",\"event\":\"%s\"", events[socket->event]);
	number_print("id", socket->id);
	text_print("class", kernel_class_name(socket->kind));
	number_print("family", socket->family);
	number_print("protocol", socket->protocol);
	address_print("address", socket, socket->address);
	number_print("port", socket->port);
	address_print("peer", socket, socket->peer);
	number_print("peer_port", socket->peer_port);
	number_print("kernel", socket->kernel);
	number_print("existing", socket->existing);
	number_print("by_process", socket->by_process);
	number_print("netns", socket->netns);
	number_print("netns_cookie", socket->netns_cookie);
	number_print("cgroup", socket->cgroup);
	number_print("uid", socket->uid);
	times_print(socket);
	connection_print(dump, socket);
	traffic_print(&socket->traffic);
	number_print("rx_other_bytes", socket->rx_other_bytes);
	number_print("other_tx_bytes", socket->other_tx_bytes);
	number_print("other_rx_bytes", socket->other_rx_bytes);
	printf(",\"last_sender\":%d,\"last_receiver\":%d", socket->last_sender,
	       socket->last_receiver);
	owners_print(socket);
	fields_print("buffers", kernel_buffer_fields, kernel_buffer_field_count,
		     &socket->buffers);
	if (socket->has_tcp)
		fields_print("tcp", kernel_tcp_fields, kernel_tcp_field_count,
			     &socket->tcp);
	printf("}\n");
}

static void bytes_print(void *context, const struct kernel_process_bytes *bytes)
{
	(void)context;
	printf("{\"type\":\"bytes\",\"ended\":%d", bytes->ended);
	key_print("key", &bytes->key);
	printf(",\"classes\":{");
	for (int i = 0, first = 1; i < KERNEL_CLASS_COUNT; i++) {
		const struct kernel_traffic *traffic = &bytes->traffic[i];

		if (!(traffic->tx_messages | traffic->rx_messages))
			continue;
		printf("%s\"%s\":{\"class\":%d", first ? "" : ",",
		       kernel_class_name((enum kernel_class)i), i);
		traffic_print(traffic);
		putchar('}');
		first = 0;
	}
	printf("}}\n");
}

static void bucket_print(void *context, const struct kernel_bucket *bucket)
{
	(void)context;
	printf("{\"type\":\"bucket\",\"index\":%u", bucket->index);
	text_print("class", kernel_class_name(bucket->kind));
	key_print("key", &bucket->key);
	number_print("socket", bucket->socket);
	traffic_print(&bucket->traffic);
	printf("}\n");
}

static void missed_print(void *context, const struct kernel_missed *missed)
{
	(void)context;
	printf("{\"type\":\"missed\",\"index\":%u", missed->index);
	number_print("count", missed->count);
	number_print("tx_bytes", missed->tx_bytes);
	number_print("rx_bytes", missed->rx_bytes);
	printf("}\n");
}

static void drop_print(void *context, const struct kernel_drop *drop)
{
	const struct dump *dump = context;
	const char *reason = kernel_drop_name(dump->sockets, drop->reason);

	printf("{\"type\":\"drop\",\"number\":%u", drop->reason);
	text_print("reason", reason ? reason : "");
	number_print("rx", drop->rx);
	number_print("socket", drop->socket);
	if (drop->owned)
		key_print("owner", &drop->owner);
	number_print("packets", drop->packets);
	number_print("bytes", drop->bytes);
	printf("}\n");
}

static void end_print(const struct dump *dump, const struct mono *end)
{
	struct kernel_sockets_counters counters =
		kernel_sockets_counters(dump->sockets);
	struct kernel_sockets_cost cost = kernel_sockets_cost(dump->sockets);
	const uint64_t *values = (const uint64_t *)&counters;
	const struct kernel_hook *hooks;
	size_t count = kernel_sockets_hooks(dump->sockets, &hooks);

	for (size_t i = 0; i < count; i++) {
		printf("{\"type\":\"hook\",\"loaded\":%d,\"attached\":%d,"
		       "\"seen\":%d",
		       hooks[i].loaded, hooks[i].attached, hooks[i].seen);
		text_print("name", hooks[i].name);
		text_print("target", hooks[i].target);
		text_print("lost", hooks[i].lost);
		text_print("why", hooks[i].why);
		printf("}\n");
	}
	printf("{\"type\":\"counters\"");
	for (size_t i = 0; i < kernel_sockets_counter_count; i++)
		number_print(kernel_sockets_counter_rows[i].name, values[i]);
	printf("}\n{\"type\":\"end\",\"start_ns\":%" PRId64
	       ",\"end_ns\":%" PRId64,
	       kernel_sockets_start(dump->sockets).ns, end->ns);
	number_print("runs", cost.runs);
	number_print("run_ns", cost.run_ns);
	number_print("call_runs", cost.call_runs);
	number_print("call_ns", cost.call_ns);
	number_print("empty_ns", cost.empty_ns);
	number_print("memory_bytes", cost.memory_bytes);
	printf("}\n");
}

/* ---- arguments -------------------------------------------------------------
 */

static bool option_set(struct dump *dump, const char *name, int64_t value)
{
	struct kernel_sockets_options *o = &dump->options;

	if (!strcmp(name, "interval_ms"))
		o->interval_ns = value * 1000000;
	else if (!strcmp(name, "turn_ms"))
		dump->turn_ms = value;
	else if (!strcmp(name, "duration_ms"))
		dump->duration_ms = value;
	else if (!strcmp(name, "quiet"))
		dump->quiet = (int)value;
	else if (!strcmp(name, "measure"))
		dump->measure = (int)value;
	else if (!strcmp(name, "events_size"))
		o->events_size = (size_t)value;
	else if (!strcmp(name, "buckets_size"))
		o->buckets_size = (size_t)value;
	else if (!strcmp(name, "socket_limit"))
		o->socket_limit = (uint32_t)value;
	else if (!strcmp(name, "process_limit"))
		o->process_limit = (uint32_t)value;
	else if (!strcmp(name, "drop_limit"))
		o->drop_limit = (uint32_t)value;
	else if (!strcmp(name, "state_events"))
		o->state_events = value;
	else if (!strcmp(name, "other_families"))
		o->other_families = value;
	else if (!strcmp(name, "no_existing"))
		o->no_existing = value;
	else if (!strcmp(name, "no_cgroup"))
		o->no_cgroup = value;
	else if (!strcmp(name, "no_tick"))
		o->no_tick = value;
	else
		return false;
	return true;
}

static bool options_read(struct dump *dump, int count, char **arguments)
{
	for (int i = 1; i < count; i++) {
		char *value = strchr(arguments[i], '=');

		if (value)
			*value++ = 0;
		if (!value ||
		    !option_set(dump, arguments[i], strtoll(value, NULL, 0))) {
			fprintf(stderr, "no such option: %s\n", arguments[i]);
			return false;
		}
	}
	return true;
}

/* True when it is time to end: the input did, or the time is over. */
static bool wait_next(const struct dump *dump, int64_t begin_ns)
{
	struct pollfd wait[2] = {
		{.fd = dump->duration_ms ? -1 : 0, .events = POLLIN},
		{.fd = kernel_sockets_fd(dump->sockets), .events = POLLIN}};
	int64_t left_ms = dump->turn_ms;

	if (dump->duration_ms > 0) {
		int64_t rest_ms = dump->duration_ms -
				  (mono_now().ns - begin_ns) / 1000000;

		if (rest_ms <= 0)
			return true;
		if (rest_ms < left_ms)
			left_ms = rest_ms;
	}
	(void)poll(wait, 2, (int)left_ms);
	return dump->duration_ms == 0 && wait[0].revents != 0;
}

static int run(struct dump *dump, const struct kernel_sockets_visitor *visitor)
{
	int64_t begin_ns = kernel_sockets_start(dump->sockets).ns, last_ns;
	struct mono end;
	int rc = 0;

	if (dump->measure)
		(void)kernel_sockets_measure(dump->sockets, true);
	last_ns = begin_ns;
	while (rc >= 0 && !wait_next(dump, begin_ns)) {
		bool due = mono_now().ns - last_ns >= dump->turn_ms * 1000000;

		if (due)
			last_ns = mono_now().ns;
		rc = due ? kernel_sockets_turn(dump->sockets, visitor)
			 : kernel_sockets_gather(dump->sockets, visitor);
		fflush(stdout);
	}
	if (dump->measure)
		(void)kernel_sockets_measure(dump->sockets, false);
	if (rc >= 0)
		rc = kernel_sockets_stop(dump->sockets, visitor, &end);
	if (rc < 0) {
		fprintf(stderr, "turn: %s\n", err_sentence(rc));
		return 1;
	}
	end_print(dump, &end);
	return 0;
}

int main(int count, char **arguments)
{
	struct dump dump = {.turn_ms = 1000};
	struct kernel_sockets_visitor visitor = {
		&dump,        process_print, socket_print, bytes_print,
		bucket_print, missed_print,  drop_print};
	struct fault fault = {0};
	int rc;

	if (!options_read(&dump, count, arguments))
		return 2;
	rc = kernel_sockets_open(&dump.options, &dump.sockets, &fault);
	if (rc < 0) {
		fprintf(stderr, "%s\n", fault.text);
		return rc == -EPERM || rc == -EACCES || rc == ERR_NOT_BUILT ? 77
									    : 1;
	}
	if (dump.quiet >= 1)
		visitor.bucket = NULL;
	if (dump.quiet >= 2)
		visitor = (struct kernel_sockets_visitor){.context = &dump};
	printf("{\"type\":\"ready\"}\n");
	fflush(stdout);
	rc = run(&dump, &visitor);
	kernel_sockets_close(dump.sockets);
	return rc;
}
