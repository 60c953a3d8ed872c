/* The last lines of 'sonde watch --json': docs/WATCH.md. */
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "cli/watch_json.h"

#define FIELD_NAME_SIZE 40
#define FIELDS_MAX      64

static void name_make(const struct kernel_field *field, char *ret_name)
{
	bool segments = strcmp(field->unit, "segments") == 0;
	bool has = !*field->unit || strstr(field->name, field->unit) ||
		   (segments && strstr(field->name, "seg"));

	(void)snprintf(ret_name, FIELD_NAME_SIZE, has ? "%s" : "%s_%s",
		       field->name, field->unit);
	for (char *at = ret_name; *at; at++) {
		if (*at == '/')
			*at = '_';
	}
}

/* Both tables side by side, made when they are asked for first. */
const char *json_field_name(const struct kernel_field *field)
{
	static char names[2][FIELDS_MAX][FIELD_NAME_SIZE];
	bool tcp = field >= kernel_tcp_fields &&
		   field < kernel_tcp_fields + kernel_tcp_field_count;
	size_t i = (size_t)(field -
			    (tcp ? kernel_tcp_fields : kernel_buffer_fields));
	char *name = names[tcp][i % FIELDS_MAX];

	if (!*name)
		name_make(field, name);
	return name;
}

/* -------------------------------------------------------------- processes */

static void classes_put(struct put *put, const struct watch_process *process)
{
	put_object(put, "classes");
	for (int i = 0; i < KERNEL_CLASS_COUNT; i++) {
		const struct kernel_traffic *traffic = &process->classes[i];

		if (traffic->tx_messages + traffic->rx_messages +
			    traffic->tx_bytes + traffic->rx_bytes ==
		    0)
			continue;
		put_object(put, kernel_class_name((enum kernel_class)i));
		json_traffic(put, traffic);
		put_object_end(put);
	}
	put_object_end(put);
}

/* Who ended before anybody could look is known by what exec was told. */
static const char *exe_of(const struct owner_process *owner)
{
	if (owner->exe || !owner->filename || owner->filename[0] != '/')
		return owner->exe;
	return owner->filename;
}

static void identity_put(struct put *put, const struct watch_process *process)
{
	const struct owner_process *owner = process->owner;
	static const struct owner_process nobody = {.uid = OWNER_UID_UNKNOWN};

	if (!owner)
		owner = &nobody;
	put_known(put, "pid", !process->others, process->key.pid);
	put_known(put, "start_ns", !process->others, process->key.start_ns);
	put_known(put, "end_ns", owner->end_ns != 0, owner->end_ns);
	put_time(put, "start_wall_ns", owner->start.ns);
	put_time(put, "end_wall_ns", owner->end.ns);
	put_known(put, "ppid", owner->ppid != 0, owner->ppid);
	put_text_or_null(put, "comm", process->comm);
	put_text_or_null(put, "exe", exe_of(owner));
	put_text_or_null(put, "command", owner->command);
	put_known(put, "uid", owner->uid != OWNER_UID_UNKNOWN, owner->uid);
	put_text_or_null(put, "user", owner->user);
	put_text_or_null(put, "unit", owner->unit);
	put_text_or_null(put, "slice", owner->slice);
	put_text_or_null(put, "cgroup", owner->cgroup);
	put_known(put, "netns", owner->netns != 0, owner->netns);
}

static void container_put(struct put *put,
			  const struct watch_container *container)
{
	json_container(put, "container_id", container);
	put_text_or_null(put, "container_runtime",
			 container
				 ? owner_runtime_word(container->owner.runtime)
				 : NULL);
	put_text_or_null(put, "container_name",
			 container ? container->owner.name : NULL);
}

void watch_json_process(struct watch_run *run,
			const struct watch_process *process)
{
	struct put *put = &run->put;

	put_begin(put, "process");
	identity_put(put, process);
	container_put(put, process->container);
	json_traffic(put, &process->traffic);
	put_u64(put, "rx_other_bytes", process->rx_other_bytes);
	put_bool(put, "exact", process->exact);
	classes_put(put, process);
	put_u64(put, "sockets", process->sockets);
	put_u64(put, "connections_active", process->connections_active);
	put_u64(put, "connections_passive", process->connections_passive);
	put_u64(put, "connections_failed", process->connections_failed);
	put_u64(put, "connections_max", process->connections_max);
	put_u64(put, "retransmits", process->retransmits);
	put_u64(put, "resets_sent", process->resets_sent);
	put_u64(put, "resets_received", process->resets_received);
	put_u64(put, "drop_packets", process->drop_packets);
	put_u64(put, "peak_tx_bytes", process->peak_tx_bytes);
	put_u64(put, "peak_rx_bytes", process->peak_rx_bytes);
	put_end(put);
}

static void container_line(struct watch_run *run,
			   const struct watch_container *container)
{
	const struct owner_container *owner = &container->owner;
	struct put *put = &run->put;

	put_begin(put, "container");
	put_text(put, "id", owner->id);
	put_text_or_null(put, "runtime", owner_runtime_word(owner->runtime));
	put_text_or_null(put, "name", owner->name);
	put_text_or_null(put, "image", owner->image);
	put_text_or_null(put, "pod_name", owner->pod_name);
	put_text_or_null(put, "pod_namespace", owner->pod_namespace);
	put_text_or_null(put, "pod_uid", owner->pod_uid);
	put_text_or_null(put, "pod_container", owner->pod_container);
	put_text_or_null(put, "cgroup", owner->cgroup);
	put_known(put, "netns", owner->netns != 0, owner->netns);
	json_traffic(put, &container->traffic);
	put_u64(put, "rx_other_bytes", container->rx_other_bytes);
	put_u64(put, "processes", container->processes);
	put_u64(put, "sockets", container->sockets);
	put_u64(put, "connections_active", container->connections_active);
	put_u64(put, "connections_passive", container->connections_passive);
	put_u64(put, "connections_failed", container->connections_failed);
	put_u64(put, "retransmits", container->retransmits);
	put_u64(put, "drop_packets", container->drop_packets);
	put_bool(put, "ended", owner->ended);
	put_end(put);
}

/* ------------------------------------------------------- drops, interfaces */

static void drop_line(struct watch_run *run, const struct watch_drop *drop)
{
	struct put *put = &run->put;
	bool owned = drop->kernel.owned;

	put_begin(put, "drop");
	put_u64(put, "reason", drop->kernel.reason);
	put_text_or_null(put, "name", drop->name);
	put_text(put, "direction", drop->kernel.rx ? "rx" : "tx");
	put_known(put, "pid", owned, drop->kernel.owner.pid);
	put_known(put, "start_ns", owned, drop->kernel.owner.start_ns);
	put_text_or_null(put, "comm", owned ? drop->owner.comm : NULL);
	put_known(put, "socket", drop->kernel.socket != 0, drop->kernel.socket);
	put_u64(put, "packets", drop->kernel.packets);
	put_u64(put, "bytes", drop->kernel.bytes);
	put_time(put, "last_ns", drop->kernel.last.ns);
	put_end(put);
}

/* Of a card of this namespace; 0: it does not say. */
static uint64_t speed_bits_s(const struct watch_link *link)
{
	char path[64];
	FILE *file;
	long speed = 0;
	char text[32];

	if (!link->own || strchr(link->name, '/'))
		return 0;
	(void)snprintf(path, sizeof path, "/sys/class/net/%.15s/speed",
		       link->name);
	file = fopen(path, "re");
	if (file && fgets(text, sizeof text, file))
		speed = strtol(text, NULL, 10);
	if (file)
		fclose(file);
	return speed > 0 ? (uint64_t)speed * 1000000 : 0;
}

static void link_line(struct watch_run *run, const struct watch_link *link)
{
	struct put *put = &run->put;
	uint64_t speed = speed_bits_s(link);

	put_begin(put, "interface");
	put_u64(put, "netns", link->netns);
	put_bool(put, "netns_own", link->own);
	put_i64(put, "index", link->index);
	put_text(put, "name", link->name);
	put_text_or_null(put, "kind", link->kind);
	put_bool(put, "loopback", link->loopback);
	put_time(put, "peer_index", link->peer_index);
	put_time(put, "master_index", link->master_index);
	put_u64(put, "rx_bytes", link->rx_bytes);
	put_u64(put, "tx_bytes", link->tx_bytes);
	put_u64(put, "rx_packets", link->rx_packets);
	put_u64(put, "tx_packets", link->tx_packets);
	put_u64(put, "rx_drops", link->rx_drops);
	put_u64(put, "tx_drops", link->tx_drops);
	put_u64(put, "rx_errors", link->rx_errors);
	put_u64(put, "tx_errors", link->tx_errors);
	put_known(put, "speed_bits_s", speed != 0, speed);
	put_bool(put, "counted", link->counted);
	put_bool(put, "gone", link->gone);
	put_end(put);
}

/* --------------------------------------------------------------- the sums */

static void hooks_put(struct watch_run *run)
{
	const struct kernel_hook *hooks;
	size_t count = watch_hooks(run->watch, &hooks);

	for (size_t i = 0; i < count; i++) {
		put_begin(&run->put, "hook");
		json_hook(&run->put, &hooks[i]);
		put_end(&run->put);
	}
}

static void ledger_put(struct watch_run *run)
{
	struct watch_identity rows[WATCH_IDENTITIES_MAX];
	size_t count = watch_ledger(run->watch, rows);
	struct put *put = &run->put;

	for (size_t i = 0; i < count; i++) {
		put_begin(put, "ledger");
		put_text(put, "name", rows[i].name);
		put_u64(put, "left", rows[i].left);
		put_u64(put, "right", rows[i].right);
		put_i64(put, "residue",
			(int64_t)(rows[i].left - rows[i].right));
		put_bool(put, "holds", rows[i].holds);
		put_text(put, "unit", rows[i].unit);
		put_text(put, "says", rows[i].says);
		put_u64(put, "turns_failed", rows[i].turns_failed);
		put_end(put);
	}
}

static int64_t time_ns(const struct timeval *time)
{
	return time->tv_sec * NS_PER_S + time->tv_usec * 1000;
}

static void own_put(struct watch_run *run)
{
	struct watch_counters counters = watch_counters(run->watch);
	struct put *put = &run->put;
	struct rusage usage = {0};
	int64_t user_ns, system_ns, elapsed_ns;

	(void)getrusage(RUSAGE_SELF, &usage);
	user_ns = time_ns(&usage.ru_utime);
	system_ns = time_ns(&usage.ru_stime);
	elapsed_ns = watch_elapsed_ns(run->watch);
	put_i64(put, "cpu_user_ns", user_ns);
	put_i64(put, "cpu_system_ns", system_ns);
	put_f64(put, "cpu_share",
		elapsed_ns > 0
			? (double)(user_ns + system_ns) / (double)elapsed_ns
			: 0);
	put_i64(put, "memory_peak_bytes", usage.ru_maxrss * 1024);
	put_u64(put, "turns", counters.turns);
	put_u64(put, "turn_ns", counters.turn_ns);
	put_u64(put, "turn_ns_max", counters.turn_ns_max);
}

static void cost_put(struct watch_run *run)
{
	struct kernel_sockets_cost cost = watch_cost(run->watch);
	struct put *put = &run->put;
	bool calls = cost.measured && cost.call_runs > 0;

	put_begin(put, "cost");
	put_bool(put, "measured", cost.measured);
	put_known(put, "sample_ns", cost.measured, cost.sample_ns);
	put_known(put, "runs", cost.measured, cost.runs);
	put_known(put, "run_ns", cost.measured, cost.run_ns);
	put_known(put, "ns_per_run", cost.measured && cost.runs > 0,
		  cost.runs ? cost.run_ns / cost.runs : 0);
	put_known(put, "call_runs", cost.measured, cost.call_runs);
	put_known(put, "call_ns", cost.measured, cost.call_ns);
	put_known(put, "ns_per_call", calls,
		  calls ? cost.call_ns / cost.call_runs : 0);
	put_known(put, "empty_ns", cost.measured, cost.empty_ns);
	put_u64(put, "map_memory_bytes", cost.memory_bytes);
	own_put(run);
	put_end(put);
}

static void counters_put(struct put *put, const char *name,
			 const struct counter_row *rows, size_t count,
			 const uint64_t *values)
{
	put_object(put, name);
	for (size_t i = 0; i < count; i++)
		put_u64(put, rows[i].name, values[i]);
	put_object_end(put);
}

static void all_counters_put(struct watch_run *run)
{
	struct kernel_sockets_counters kernel =
		watch_kernel_counters(run->watch);
	struct watch_counters watch = watch_counters(run->watch);
	struct owner_counters owners = watch_owner_counters(run->watch);
	struct put *put = &run->put;

	put_object(put, "counters");
	counters_put(put, "kernel", kernel_sockets_counter_rows,
		     kernel_sockets_counter_count, (const uint64_t *)&kernel);
	counters_put(put, "watch", watch_counter_rows, watch_counter_count,
		     (const uint64_t *)&watch);
	counters_put(put, "owners", owner_counter_rows, owner_counter_count,
		     (const uint64_t *)&owners);
	put_object_end(put);
}

static void sentence_put(void *context, const char *sentence)
{
	put_text(context, NULL, sentence);
}

static void summary_put(struct watch_run *run, const char *ended)
{
	struct watch_counters counters = watch_counters(run->watch);
	struct watch_clocks clocks = watch_clocks_end(run->watch);
	struct mono start = watch_start(run->watch),
		    end = watch_end(run->watch);
	struct put *put = &run->put;
	size_t findings;

	put_begin(put, "summary");
	put_i64(put, "start_ns", start.ns);
	put_i64(put, "end_ns", end.ns);
	put_i64(put, "duration_ns", mono_ns_between(start, end));
	put_time(put, "duration_asked_ns", run->options->duration_ns);
	json_clocks(put, &clocks);
	put_text(put, "ended", ended);
	put_u64(put, "intervals", counters.intervals);
	put_u64(put, "intervals_damaged", counters.intervals_damaged);
	put_u64(put, "intervals_missed", counters.intervals_missed);
	put_u64(put, "intervals_late", counters.intervals_late);
	put_u64(put, "intervals_clock_step", counters.intervals_clock_step);
	put_u64(put, "intervals_gap", counters.intervals_gap);
	put_u64(put, "turns", counters.turns);
	put_u64(put, "turns_late", counters.turns_late);
	put_u64(put, "turns_failed", counters.turns_failed);
	put_u64(put, "clock_steps", counters.clock_steps);
	put_u64(put, "lines_lost", run->put.lines_lost);
	put_list(put, "findings");
	findings = watch_findings(run, sentence_put, put);
	put_list_end(put);
	put_bool(put, "complete", findings == 0);
	all_counters_put(run);
	put_end(put);
}

/* Counting has stopped: now the reader may take its time. */
void watch_json_end(struct watch_run *run, const char *ended)
{
	struct watch *watch = run->watch;

	run->put.max = 0;
	for (size_t i = 0; i < watch_process_slots(watch); i++) {
		const struct watch_process *process =
			watch_process_at(watch, i);

		if (process)
			watch_json_process(run, process);
	}
	watch_containers_sum(watch);
	for (size_t i = 0; i < watch_container_count(watch); i++) {
		if (!run->filtered || watch_container_at(watch, i)->processes)
			container_line(run, watch_container_at(watch, i));
	}
	for (size_t i = 0; i < watch_drop_count(watch); i++) {
		struct watch_drop drop;

		if (watch_drop_at(watch, i, &drop))
			drop_line(run, &drop);
	}
	for (size_t i = 0; i < watch_link_count(watch); i++)
		link_line(run, watch_link_at(watch, i));
	hooks_put(run);
	ledger_put(run);
	cost_put(run);
	summary_put(run, ended);
}
