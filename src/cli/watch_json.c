/* Lines of 'sonde watch --json' while it runs: docs/WATCH.md. */
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/watch_json.h"

void json_traffic(struct put *put, const struct kernel_traffic *traffic)
{
	put_u64(put, "tx_bytes", traffic->tx_bytes);
	put_u64(put, "rx_bytes", traffic->rx_bytes);
	put_u64(put, "tx_messages", traffic->tx_messages);
	put_u64(put, "rx_messages", traffic->rx_messages);
}

void json_container(struct put *put, const char *name,
		    const struct watch_container *container)
{
	put_text_or_null(put, name, container ? container->owner.id : NULL);
}

void json_clocks(struct put *put, const struct watch_clocks *clocks)
{
	put_i64(put, "mono_ns", clocks->mono.ns);
	put_i64(put, "wall_ns", clocks->wall.ns);
	put_i64(put, "boot_ns", clocks->boot_ns);
}

void json_hook(struct put *put, const struct kernel_hook *hook)
{
	put_text(put, "name", hook->name);
	put_text(put, "target", hook->target);
	put_text_or_null(put, "lost", hook->lost);
	put_bool(put, "loaded", hook->loaded);
	put_bool(put, "attached", hook->attached);
	put_bool(put, "seen", hook->seen);
	put_text_or_null(put, "why", hook->why);
}

/* ------------------------------------------------------------------ begin */

static void texts_put(struct put *put, const char *name,
		      const struct option_list *list, bool numbers)
{
	put_list(put, name);
	for (size_t i = 0; i < list->count; i++) {
		if (numbers)
			put_u64(put, NULL, strtoull(list->texts[i], NULL, 10));
		else
			put_text(put, NULL, list->texts[i]);
	}
	put_list_end(put);
}

static void limits_put(struct watch_run *run)
{
	struct kernel_sockets_options limits = watch_limits(run->watch);
	struct put *put = &run->put;

	put_object(put, "limits");
	put_u64(put, "sockets", limits.socket_limit);
	put_u64(put, "processes", limits.process_limit);
	put_u64(put, "drops", limits.drop_limit);
	put_u64(put, "events_bytes", limits.events_size);
	put_u64(put, "buckets_bytes", limits.buckets_size);
	put_i64(put, "rows", run->options->rows);
	put_object_end(put);
}

static void sentence_put(void *context, const char *sentence)
{
	put_text(context, NULL, sentence);
}

static void hooks_put(struct watch_run *run)
{
	const struct kernel_hook *hooks;
	size_t count = watch_hooks(run->watch, &hooks);

	put_list(&run->put, "hooks");
	for (size_t i = 0; i < count; i++) {
		put_object(&run->put, NULL);
		json_hook(&run->put, &hooks[i]);
		put_object_end(&run->put);
	}
	put_list_end(&run->put);
	put_list(&run->put, "lost");
	(void)watch_losses(run->watch, sentence_put, &run->put);
	if (run->other_pids)
		sentence_put(&run->put, WATCH_OTHER_PIDS);
	put_list_end(&run->put);
}

void watch_json_begin(struct watch_run *run)
{
	const struct watch_cli_options *options = run->options;
	struct watch_clocks clocks = watch_clocks_begin(run->watch);
	struct put *put = &run->put;
	struct utsname names;

	(void)uname(&names);
	put_begin(put, "begin");
	put_u64(put, "format", 1);
	put_text(put, "version", SONDE_VERSION);
	put_text(put, "host", names.nodename);
	put_text(put, "kernel", names.release);
	json_clocks(put, &clocks);
	put_i64(put, "start_ns", watch_start(run->watch).ns);
	put_i64(put, "interval_ns", watch_interval_ns(run->watch));
	put_i64(put, "turn_ns", NS_PER_S);
	put_time(put, "duration_asked_ns", options->duration_ns);
	put_i64(put, "cpus", sysconf(_SC_NPROCESSORS_ONLN));
	put_object(put, "filters");
	texts_put(put, "pids", &options->pids, true);
	texts_put(put, "containers", &options->containers, false);
	texts_put(put, "ports", &options->ports, true);
	put_object_end(put);
	limits_put(run);
	hooks_put(run);
	put_end(put);
}

/* --------------------------------------------------------------- intervals */

static void row_sockets_put(struct put *put, const struct watch_row *rows,
			    size_t count)
{
	put_list(put, "sockets");
	for (size_t i = 0; i < count; i++) {
		put_object(put, NULL);
		put_known(put, "id", rows[i].socket != 0, rows[i].socket);
		put_text(put, "class", kernel_class_name(rows[i].kind));
		json_traffic(put, &rows[i].traffic);
		put_object_end(put);
	}
	put_list_end(put);
}

/* Rows of one process are together; returns how many these are. */
static size_t row_process_put(const struct watch_run *run, struct put *put,
			      const struct watch_row *rows, size_t left)
{
	const struct watch_process *process = rows->process;
	struct kernel_traffic sum = {0};
	size_t count = 0;

	for (; count < left && rows[count].process == process; count++) {
		sum.tx_bytes += rows[count].traffic.tx_bytes;
		sum.rx_bytes += rows[count].traffic.rx_bytes;
		sum.tx_messages += rows[count].traffic.tx_messages;
		sum.rx_messages += rows[count].traffic.rx_messages;
	}
	put_object(put, NULL);
	put_known(put, "pid", !process->others, process->key.pid);
	put_known(put, "start_ns", !process->others, process->key.start_ns);
	put_text_or_null(put, "comm", process->comm);
	json_container(put, "container_id", process->container);
	json_traffic(put, &sum);
	if (run->options->per_socket)
		row_sockets_put(put, rows, count);
	else
		put_null(put, "sockets");
	put_object_end(put);
	return count;
}

void watch_json_interval(struct watch_run *run,
			 const struct watch_interval *interval)
{
	struct put *put = &run->put;

	put_begin(put, "interval");
	put_u64(put, "index", interval->index);
	put_i64(put, "offset_ns", interval->offset_ns);
	put_i64(put, "duration_ns", interval->duration_ns);
	json_traffic(put, &interval->traffic);
	put_list(put, "flags");
	for (int i = 0; i < WATCH_FLAG_COUNT; i++) {
		if (interval->flags & (1U << i))
			put_text(put, NULL, watch_flag_words[i]);
	}
	put_list_end(put);
	put_u64(put, "missed_buckets", interval->missed_buckets);
	put_u64(put, "missed_tx_bytes", interval->missed_tx_bytes);
	put_u64(put, "missed_rx_bytes", interval->missed_rx_bytes);
	put_list(put, "processes");
	for (size_t i = 0; i < interval->row_count;)
		i += row_process_put(run, put, &interval->rows[i],
				     interval->row_count - i);
	put_list_end(put);
	put_list(put, "containers");
	for (size_t i = 0; i < interval->container_count; i++) {
		put_object(put, NULL);
		json_container(put, "id", interval->containers[i].container);
		json_traffic(put, &interval->containers[i].traffic);
		put_object_end(put);
	}
	put_list_end(put);
	put_end(put);
}

/* ----------------------------------------------------------------- sockets */

static void ends_put(struct put *put, const struct kernel_socket *socket)
{
	char text[WATCH_ENDPOINT_SIZE];

	put_text(put, "class", kernel_class_name(socket->kind));
	put_u64(put, "family", socket->family);
	put_u64(put, "protocol", socket->protocol);
	put_text_or_null(put, "address", watch_address(socket, false, text));
	put_known(put, "port", socket->port != 0, socket->port);
	put_text_or_null(put, "peer_address",
			 watch_address(socket, true, text));
	put_known(put, "peer_port", socket->peer_port != 0, socket->peer_port);
	put_known(put, "netns", socket->netns != 0, socket->netns);
}

/* State, close and error: TCP's. */
static void state_put(struct put *put, const struct kernel_socket *socket)
{
	static const char *const opened[] = {
		[KERNEL_OPENED_UNKNOWN] = NULL,
		[KERNEL_OPENED_ACTIVE] = "active",
		[KERNEL_OPENED_PASSIVE] = "passive",
	};
	bool tcp = socket->kind == KERNEL_CLASS_TCP ||
		   socket->kind == KERNEL_CLASS_MPTCP;

	put_text_or_null(put, "old_state",
			 tcp ? watch_state_word(socket->old_state) : NULL);
	put_text_or_null(put, "state",
			 tcp ? watch_state_word(socket->state) : NULL);
	put_text_or_null(put, "opened", opened[socket->opened]);
	put_text_or_null(put, "close", kernel_close_name(socket->why));
	put_i64(put, "error", socket->error);
}

static void fields_put(struct put *put, const char *name,
		       const struct kernel_field *fields, size_t count,
		       const void *record)
{
	put_object(put, name);
	for (size_t i = 0; i < count; i++)
		put_u64(put, json_field_name(&fields[i]),
			kernel_field_get(&fields[i], record));
	put_object_end(put);
}

static void key_put(struct put *put, const struct watch_process_name *name)
{
	put_u64(put, "pid", name->key.pid);
	put_u64(put, "start_ns", name->key.start_ns);
	put_text_or_null(put, "comm", name->comm);
}

static void name_put(struct put *put, const char *member,
		     const struct watch_process_name *name)
{
	if (name->key.pid == 0) {
		put_null(put, member);
		return;
	}
	put_object(put, member);
	key_put(put, name);
	put_object_end(put);
}

static void owners_put(struct put *put, const struct watch_socket *socket)
{
	const struct kernel_socket *kernel = socket->kernel;

	put_list(put, "owners");
	for (int i = 0; i < kernel->owner_count; i++) {
		put_object(put, NULL);
		key_put(put, &socket->owners[i]);
		json_container(put, "container_id",
			       socket->owners[i].container);
		json_traffic(put, &socket->owner_traffic[i]);
		put_object_end(put);
	}
	put_list_end(put);
	name_put(put, "creator", &socket->creator);
	name_put(put, "listener", &socket->listener);
	put_known(put, "last_sender", kernel->last_sender >= 0,
		  (uint64_t)kernel->last_sender);
	put_known(put, "last_receiver", kernel->last_receiver >= 0,
		  (uint64_t)kernel->last_receiver);
}

static void times_put(struct put *put, const struct kernel_socket *kernel)
{
	put_time(put, "born_ns", kernel->born.ns);
	put_time(put, "connecting_ns", kernel->connecting.ns);
	put_time(put, "established_ns", kernel->established.ns);
	put_time(put, "closing_ns", kernel->closing.ns);
	put_time(put, "closed_ns", kernel->closed.ns);
}

void watch_json_socket(struct watch_run *run, const char *type,
		       const struct watch_socket *socket)
{
	const struct kernel_socket *kernel = socket->kernel;
	struct put *put = &run->put;

	put_begin(put, type);
	put_u64(put, "id", kernel->id);
	put_u64(put, "connection", kernel->connections);
	put_i64(put, "at_ns", kernel->at.ns);
	put_bool(put, "ended", socket->ended);
	put_bool(put, "end_lost", socket->end_lost);
	ends_put(put, kernel);
	put_bool(put, "mapped", kernel->mapped);
	put_bool(put, "kernel", kernel->kernel);
	put_bool(put, "existing", kernel->existing);
	put_bool(put, "by_process", kernel->by_process);
	put_known(put, "netns_cookie", kernel->netns_cookie != 0,
		  kernel->netns_cookie);
	put_known(put, "cgroup_id", kernel->cgroup != 0, kernel->cgroup);
	put_u64(put, "uid", kernel->uid);
	json_container(put, "container_id", socket->container);
	state_put(put, kernel);
	put_u64(put, "errors", kernel->errors);
	times_put(put, kernel);
	json_traffic(put, &socket->traffic);
	put_u64(put, "rx_other_bytes", socket->rx_other_bytes);
	put_u64(put, "other_tx_bytes", socket->other_tx_bytes);
	put_u64(put, "other_rx_bytes", socket->other_rx_bytes);
	put_u64(put, "resets_sent", kernel->resets_sent);
	put_u64(put, "resets_received", kernel->resets_received);
	put_text_or_null(put, "reset_reason", socket->reset_name);
	put_u64(put, "retransmits", kernel->retransmits);
	owners_put(put, socket);
	if (kernel->has_tcp)
		fields_put(put, "tcp", kernel_tcp_fields,
			   kernel_tcp_field_count, &kernel->tcp);
	else
		put_null(put, "tcp");
	fields_put(put, "buffers", kernel_buffer_fields,
		   kernel_buffer_field_count, &kernel->buffers);
	put_end(put);
}

void watch_json_event(struct watch_run *run, const struct kernel_socket *socket)
{
	struct put *put = &run->put;

	put_begin(put, "event");
	put_u64(put, "id", socket->id);
	put_i64(put, "at_ns", socket->at.ns);
	put_text(put, "event",
		 socket->event == KERNEL_SOCKET_BORN ? "born" : "state");
	ends_put(put, socket);
	state_put(put, socket);
	if (socket->creator.pid > 0) {
		put_object(put, "creator");
		put_u64(put, "pid", socket->creator.pid);
		put_u64(put, "start_ns", socket->creator.start_ns);
		put_object_end(put);
	} else {
		put_null(put, "creator");
	}
	put_end(put);
}
