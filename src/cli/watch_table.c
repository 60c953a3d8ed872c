/* The end of 'sonde watch' as tables. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/watch_private.h"

#define NAME_WIDTH 24

static enum watch_sort list_sort; /* for qsort() */

static int process_order(const void *a, const void *b)
{
	return watch_process_compare(*(const void *const *)a,
				     *(const void *const *)b, list_sort);
}

static int container_order(const void *a, const void *b)
{
	return watch_container_compare(*(const void *const *)a,
				       *(const void *const *)b, list_sort);
}

static const char *bytes(uint64_t value, char *text)
{
	return text_bytes((double)value, text);
}

static void head_print(struct watch_run *run, FILE *to)
{
	struct watch_counters counters = watch_counters(run->watch);
	struct kernel_sockets_counters kernel =
		watch_kernel_counters(run->watch);
	int64_t ns =
		mono_ns_between(watch_start(run->watch), watch_end(run->watch));
	char text[4][TEXT_SIZE];

	fprintf(to,
		"%" PRId64 ".%06" PRId64 " s in %s intervals of %s, %s of them "
		"damaged\n",
		ns / NS_PER_S, ns % NS_PER_S / 1000,
		text_thousands(counters.intervals, text[0]),
		text_duration_exact(watch_interval_ns(run->watch), text[1]),
		text_thousands(counters.intervals_damaged, text[2]));
	fprintf(to, "sent %s bytes in %s calls, ",
		text_thousands(kernel.calls_tx_bytes, text[0]),
		text_thousands(kernel.calls_tx, text[1]));
	fprintf(to, "received %s bytes in %s calls%s\n",
		text_thousands(kernel.calls_rx_bytes, text[2]),
		text_thousands(kernel.calls_rx, text[3]),
		run->filtered ? " (of everything; below, what was asked for)"
			      : "");
}

static void process_print(const struct watch_process *process, FILE *to)
{
	char text[6][TEXT_SIZE], pid[16];

	(void)snprintf(pid, sizeof pid, process->others ? "-" : "%u",
		       process->key.pid);
	fprintf(to, "%8s %-15.15s %-*.*s %10s %10s %8s %8s %7s %s\n", pid,
		process->others    ? "(others)"
		: process->comm[0] ? process->comm
				   : "?",
		NAME_WIDTH, NAME_WIDTH,
		process->container ? watch_container_name(process->container)
				   : "-",
		bytes(process->traffic.tx_bytes, text[0]),
		bytes(process->traffic.rx_bytes, text[1]),
		text_count((double)(process->connections_active +
				    process->connections_passive),
			   text[2]),
		text_count((double)process->connections_failed, text[3]),
		text_count((double)process->retransmits, text[4]),
		process->exact ? "" : "at least");
}

static void processes_print(struct watch_run *run, FILE *to)
{
	size_t max = watch_process_slots(run->watch), count = 0;
	const void **rows = calloc(max + 1, sizeof *rows);
	char text[2][TEXT_SIZE];

	for (size_t i = 0; rows && i < max; i++) {
		rows[count] = watch_process_at(run->watch, i);
		count += rows[count] != NULL;
	}
	if (count > 0) {
		qsort(rows, count, sizeof *rows, process_order);
		fprintf(to, "\n%8s %-15s %-*s %10s %10s %8s %8s %7s\n", "PID",
			"PROCESS", NAME_WIDTH, "CONTAINER", "SENT", "RECEIVED",
			"CONNECTS", "FAILED", "RESENT");
	} else {
		fputs("\nno process moved a byte\n", to);
	}
	for (size_t i = 0; i < count && i < run->top_max; i++)
		process_print(rows[i], to);
	if (count > run->top_max)
		fprintf(to, "%8s of %s processes; --top shows more\n",
			text_thousands(run->top_max, text[0]),
			text_thousands(count, text[1]));
	free(rows);
}

static void container_print(const struct watch_container *container, FILE *to)
{
	char text[4][TEXT_SIZE];

	fprintf(to, "%-12.12s %-*.*s %-10s %10s %10s %9u %8s  %.60s\n",
		container->owner.id, NAME_WIDTH, NAME_WIDTH,
		watch_container_name(container),
		owner_runtime_word(container->owner.runtime)
			? owner_runtime_word(container->owner.runtime)
			: "-",
		bytes(container->traffic.tx_bytes, text[0]),
		bytes(container->traffic.rx_bytes, text[1]),
		container->processes,
		text_count((double)(container->connections_active +
				    container->connections_passive),
			   text[2]),
		container->owner.image);
}

static void containers_print(struct watch_run *run, FILE *to)
{
	size_t max = watch_container_count(run->watch), count = 0;
	const void **rows = calloc(max + 1, sizeof *rows);

	watch_containers_sum(run->watch);
	for (size_t i = 0; rows && i < max; i++) {
		const struct watch_container *container =
			watch_container_at(run->watch, i);

		if (container->processes > 0)
			rows[count++] = container;
	}
	if (count > 0) {
		qsort(rows, count, sizeof *rows, container_order);
		fprintf(to, "\n%-12s %-*s %-10s %10s %10s %9s %8s  %s\n",
			"CONTAINER", NAME_WIDTH, "NAME", "RUNTIME", "SENT",
			"RECEIVED", "PROCESSES", "CONNECTS", "IMAGE");
	}
	for (size_t i = 0; i < count && i < run->top_max; i++)
		container_print(rows[i], to);
	free(rows);
}

static const char *line_state(const struct watch_line *line)
{
	const char *word = kernel_close_name(line->kernel.why);

	if (word && *word)
		return word;
	if (line->kernel.kind == KERNEL_CLASS_TCP)
		word = watch_state_word(line->kernel.state);
	return word && *word ? word : line->ended ? "ended" : "open";
}

static void line_print(const struct watch_line *line, FILE *to)
{
	char local[WATCH_ENDPOINT_SIZE], peer[WATCH_ENDPOINT_SIZE];
	char text[3][TEXT_SIZE], srtt[TEXT_SIZE] = "-";
	const struct kernel_socket *kernel = &line->kernel;

	if (kernel->has_tcp && kernel->tcp.srtt_us > 0)
		(void)snprintf(srtt, sizeof srtt, "%.3f",
			       kernel->tcp.srtt_us / 1000.0);
	fprintf(to, "%-6s %-25s %-25s %-11s %10s %10s %9s %7s  %u %s\n",
		kernel_class_name(kernel->kind),
		watch_endpoint(kernel, false, local),
		watch_endpoint(kernel, true, peer), line_state(line),
		bytes(line->traffic.tx_bytes, text[0]),
		bytes(line->traffic.rx_bytes + kernel->rx_other_bytes, text[1]),
		srtt, text_count((double)kernel->retransmits, text[2]),
		line->owner.pid, line->comm);
}

static void lines_print(struct watch_run *run, FILE *to)
{
	struct watch_counters counters = watch_counters(run->watch);
	char text[2][TEXT_SIZE];

	if (run->top_count == 0)
		return;
	fprintf(to, "\n%-6s %-25s %-25s %-11s %10s %10s %9s %7s  %s\n",
		"SOCKET", "LOCAL", "PEER", "STATE", "SENT", "RECEIVED",
		"RTT ms", "RESENT", "OWNER");
	for (size_t i = 0; i < run->top_count; i++)
		line_print(&run->top[i], to);
	if (counters.sockets_told > run->top_count)
		fprintf(to, "%s of %s connections and sockets\n",
			text_thousands(run->top_count, text[0]),
			text_thousands(counters.sockets_told, text[1]));
}

/* ------------------------------------------------------------------ drops */

struct reason {
	char name[40];
	bool rx;
	uint64_t packets, bytes;
};

#define REASONS_MAX 128

static int reason_order(const void *a, const void *b)
{
	const struct reason *x = a, *y = b;

	return x->packets > y->packets ? -1 : x->packets < y->packets;
}

static void drops_print(struct watch_run *run, FILE *to)
{
	struct reason reasons[REASONS_MAX];
	size_t count = 0;
	char text[2][TEXT_SIZE];

	for (size_t i = 0; i < watch_drop_count(run->watch); i++) {
		struct watch_drop drop;
		char name[40];
		size_t at = 0;

		if (!watch_drop_at(run->watch, i, &drop))
			continue;
		if (drop.name)
			(void)snprintf(name, sizeof name, "%s", drop.name);
		else
			(void)snprintf(name, sizeof name, "reason %u",
				       drop.kernel.reason);
		while (at < count && (strcmp(reasons[at].name, name) != 0 ||
				      reasons[at].rx != drop.kernel.rx))
			at++;
		if (at == REASONS_MAX)
			continue;
		if (at == count) {
			reasons[count] = (struct reason){.rx = drop.kernel.rx};
			memcpy(reasons[count++].name, name, sizeof name);
		}
		reasons[at].packets += drop.kernel.packets;
		reasons[at].bytes += drop.kernel.bytes;
	}
	if (count == 0)
		return;
	qsort(reasons, count, sizeof *reasons, reason_order);
	fprintf(to, "\n%-36s %4s %12s %10s\n", "DROPPED BECAUSE OF", "ON",
		"PACKETS", "BYTES");
	for (size_t i = 0; i < count && i < run->top_max; i++)
		fprintf(to, "%-36s %4s %12s %10s\n", reasons[i].name,
			reasons[i].rx ? "in" : "out",
			text_thousands(reasons[i].packets, text[0]),
			bytes(reasons[i].bytes, text[1]));
}

/* ------------------------------------------------------------------- proof */

static void ledger_print_rows(struct watch_run *run, FILE *to)
{
	struct watch_identity rows[WATCH_IDENTITIES_MAX];
	size_t count = watch_ledger(run->watch, rows);
	char text[2][TEXT_SIZE];

	fputs("\nLEDGER\n", to);
	for (size_t i = 0; i < count; i++)
		fprintf(to, "  %-3s %-18s %20s %20s  %s\n",
			rows[i].holds && rows[i].turns_failed == 0 ? "ok"
								   : "NO",
			rows[i].name, text_thousands(rows[i].left, text[0]),
			text_thousands(rows[i].right, text[1]), rows[i].says);
}

static void cost_print(struct watch_run *run, FILE *to)
{
	struct kernel_sockets_cost cost = watch_cost(run->watch);
	struct watch_counters counters = watch_counters(run->watch);
	char text[3][TEXT_SIZE];

	fputs("\nCOST\n", to);
	if (cost.measured && cost.call_runs > 0)
		fprintf(to,
			"  %" PRIu64 " ns a call in the kernel, over %s calls "
			"of a sample of %s\n",
			cost.call_ns / cost.call_runs,
			text_thousands(cost.call_runs, text[0]),
			text_duration_exact((int64_t)cost.sample_ns / 1000000 *
						    1000000,
					    text[1]));
	fprintf(to,
		"  %s readings of %.1f ms each, the longest %.1f ms; maps "
		"%s\n",
		text_thousands(counters.turns, text[0]),
		counters.turns ? (double)counters.turn_ns / 1e6 /
					 (double)counters.turns
			       : 0,
		(double)counters.turn_ns_max / 1e6,
		bytes(cost.memory_bytes, text[2]));
}

static void finding_print(void *context, const char *sentence)
{
	fprintf(context, "  %s\n", sentence);
}

static void none_print(void *context, const char *sentence)
{
	(void)context, (void)sentence;
}

void watch_table_print(struct watch_run *run, FILE *to)
{
	list_sort = (enum watch_sort)run->options->sort;
	head_print(run, to);
	processes_print(run, to);
	containers_print(run, to);
	lines_print(run, to);
	drops_print(run, to);
	ledger_print_rows(run, to);
	cost_print(run, to);
	if (watch_findings(run, none_print, NULL) == 0) {
		fputs("\nEverything adds up; nothing was lost.\n", to);
		return;
	}
	fputs("\nFINDINGS\n", to);
	(void)watch_findings(run, finding_print, to);
}
