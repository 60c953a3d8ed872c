/* What the programs themselves cost, as the kernel measures it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/clock.h"
#include "kernel/sockets_private.h"

#define EMPTY_RUNS 500

static bool info_get(const struct bpf_program *program,
		     struct bpf_prog_info *ret_info)
{
	uint32_t size = sizeof *ret_info;

	memset(ret_info, 0, sizeof *ret_info);
	if (!program || bpf_program__fd(program) < 0)
		return false;
	return bpf_obj_get_info_by_fd(bpf_program__fd(program), ret_info,
				      &size) == 0;
}

uint64_t sockets_recursion_misses(const struct kernel_sockets *sockets)
{
	struct bpf_prog_info info;
	uint64_t sum = 0;

	for (size_t i = 0; i < sockets_program_count; i++) {
		if (info_get(sockets->programs[i], &info))
			sum += info.recursion_misses;
	}
	return sum;
}

static struct kernel_sockets_cost runs_get(const struct kernel_sockets *sockets)
{
	struct kernel_sockets_cost cost = {0};
	struct bpf_prog_info info;

	for (size_t i = 0; i < sockets_program_count; i++) {
		int hook = sockets_programs[i].hook;

		if (!info_get(sockets->programs[i], &info))
			continue;
		cost.runs += info.run_cnt;
		cost.run_ns += info.run_time_ns;
		if (hook != HOOK_SEND && hook != HOOK_RECEIVE &&
		    hook < HOOK_SEND_INET)
			continue;
		cost.call_runs += info.run_cnt;
		cost.call_ns += info.run_time_ns;
	}
	return cost;
}

/* What the measuring takes of a run in which nothing is done. */
static uint64_t empty_ns(const struct kernel_sockets *sockets)
{
	struct bpf_program *program = bpf_object__find_program_by_name(
		sockets->object, "sockets_empty");
	struct bpf_prog_info before, after;
	uint64_t context[1] = {0};
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = context,
			    .ctx_size_in = sizeof context);

	if (!info_get(program, &before))
		return 0;
	for (int i = 0; i < EMPTY_RUNS; i++)
		(void)bpf_prog_test_run_opts(bpf_program__fd(program),
					     &options);
	if (!info_get(program, &after) || after.run_cnt <= before.run_cnt)
		return 0;
	return (after.run_time_ns - before.run_time_ns) /
	       (after.run_cnt - before.run_cnt);
}

static uint64_t memory_of(int map)
{
	char path[64], line[128];
	unsigned long long bytes = 0;
	FILE *info;

	(void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", map);
	info = fopen(path, "re");
	if (!info)
		return 0;
	while (fgets(line, sizeof line, info)) {
		/* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers */
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	}
	(void)fclose(info);
	return bytes;
}

static uint64_t memory_sum(const struct kernel_sockets *sockets)
{
	struct bpf_map *map;
	uint64_t sum = 0;

	bpf_object__for_each_map(map, sockets->object) sum +=
		memory_of(bpf_map__fd(map));
	return sum;
}

static uint64_t less(uint64_t ns, uint64_t runs, uint64_t empty)
{
	return ns > runs * empty ? ns - runs * empty : 0;
}

static void sample_end(struct kernel_sockets *sockets)
{
	struct kernel_sockets_cost now = runs_get(sockets);
	const struct kernel_sockets_cost *before = &sockets->before;
	uint64_t empty = empty_ns(sockets);

	sockets->cost = (struct kernel_sockets_cost){
		.measured = true,
		.runs = now.runs - before->runs,
		.run_ns = less(now.run_ns - before->run_ns,
			       now.runs - before->runs, empty),
		.call_runs = now.call_runs - before->call_runs,
		.call_ns = less(now.call_ns - before->call_ns,
				now.call_runs - before->call_runs, empty),
		.empty_ns = empty,
		.sample_ns = (uint64_t)(mono_now().ns - sockets->stats_ns),
	};
}

int kernel_sockets_measure(struct kernel_sockets *sockets, bool on)
{
	if (on == (sockets->stats >= 0))
		return 0;
	if (!on) {
		sample_end(sockets);
		sockets_cost_close(sockets);
		return 0;
	}
	sockets->stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (sockets->stats < 0)
		return -errno;
	sockets->before = runs_get(sockets);
	sockets->stats_ns = mono_now().ns;
	return 0;
}

struct kernel_sockets_cost
kernel_sockets_cost(const struct kernel_sockets *sockets)
{
	struct kernel_sockets_cost cost = sockets->cost;

	cost.memory_bytes = memory_sum(sockets);
	return cost;
}

void sockets_cost_close(struct kernel_sockets *sockets)
{
	if (sockets->stats >= 0)
		close(sockets->stats);
	sockets->stats = -1;
}
