/* Which programs this kernel has places for, and loading them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "kernel/bpf_private.h"
#include "kernel/sockets_private.h"

#define PAGE 4096
#define OTHER_CLASSES \
	(1u << CLASS_UNIX | 1u << CLASS_PACKET | 1u << CLASS_OTHER)
#define RELEASE_CLASSES (1u << CLASS_UDP | 1u << CLASS_RAW | 1u << CLASS_MPTCP)

/* ---- what the kernel has ------------------------------------------------- */

/* Arguments of a tracepoint; -1: not in this kernel. */
static int tracepoint_arguments(const struct btf *btf, const char *target)
{
	const struct btf_type *type;
	char name[64];
	int id;

	(void)snprintf(name, sizeof name, "btf_trace_%s", target);
	id = btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF);
	if (id < 0)
		return -1;
	type = btf__type_by_id(btf, (unsigned int)id); /* the typedef */
	type = btf__type_by_id(btf, type->type);       /* a pointer */
	type = btf__type_by_id(btf, type->type);       /* to a function */
	return (int)btf_vlen(type) - 1;
}

static bool target_exists(const struct btf *btf,
			  const struct sockets_program *row)
{
	if (!row->target)
		return true;
	if (row->function)
		return kernel_has_function(btf, row->target);
	return kernel_has_tracepoint(btf, row->target);
}

static bool is_wanted(const struct kernel_sockets *sockets,
		      const struct sockets_program *row)
{
	if (row->unless && kernel_has_tracepoint(sockets->btf, row->unless))
		return false;
	if (row->hook == HOOK_TICK)
		return !sockets->options.no_tick;
	if (row->hook == HOOK_CREATE || row->hook == HOOK_RELEASE)
		return sockets->cgroup >= 0;
	return true;
}

static size_t power_of_two(size_t size)
{
	size_t power = PAGE;

	while (power < size && power < (size_t)1 << 31)
		power *= 2;
	return power;
}

static void config_set(struct kernel_sockets *sockets)
{
	struct sockets_config *config = &sockets->config;
	const struct btf *btf = sockets->btf;
	int arguments = tracepoint_arguments(btf, "kfree_skb");

	*config = (struct sockets_config){
		.interval = (uint64_t)sockets->options.interval_ns,
		.events_quarter =
			power_of_two(sockets->options.events_size) / 4,
		.buckets_quarter =
			power_of_two(sockets->options.buckets_size) / 4,
		.socket_limit = sockets->options.socket_limit,
		.process_limit = sockets->options.process_limit,
		.by_process = OTHER_CLASSES,
		.ticking = !sockets->options.no_tick &&
			   !sockets->refused[HOOK_TICK],
		.state_events = sockets->options.state_events,
		.other_families = sockets->options.other_families,
		.exit_dead =
			tracepoint_arguments(btf, "sched_process_exit") >= 2,
		.drop_arguments = arguments < 0 ? 0 : (uint32_t)arguments,
		.reset_reason =
			tracepoint_arguments(btf, "tcp_send_reset") >= 3,
		.retransmit_error =
			tracepoint_arguments(btf, "tcp_retransmit_skb") >= 3,
		.no_drop = sockets_enum_value(btf, "skb_drop_reason",
					      "SKB_CONSUMED", UINT32_MAX),
	};
	if (sockets->cgroup < 0 || sockets->refused[HOOK_RELEASE])
		config->by_process |= RELEASE_CLASSES;
	if (tracepoint_arguments(btf, "tcp_destroy_sock") < 0 ||
	    sockets->refused[HOOK_DESTROY])
		config->by_process |= 1u << CLASS_TCP;
}

/* ---- the object -----------------------------------------------------------
 */

static struct bpf_map *map_ending(struct bpf_object *object, const char *end)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		const char *name = bpf_map__name(map);
		size_t size = strlen(name), end_size = strlen(end);

		if (size >= end_size && !strcmp(name + size - end_size, end))
			return map;
	}
	return NULL;
}

static int maps_size(struct kernel_sockets *sockets)
{
	struct kernel_sockets_options *options = &sockets->options;
	struct bpf_map *constants = map_ending(sockets->object, ".rodata");
	struct bpf_map *events = map_ending(sockets->object, "events");
	struct bpf_map *buckets = map_ending(sockets->object, "buckets");
	struct bpf_map *drops = map_ending(sockets->object, "drops");
	int rc;

	if (!constants || !events || !buckets || !drops)
		return -ENOENT;
	rc = bpf_map__set_initial_value(constants, &sockets->config,
					sizeof sockets->config);
	if (rc == 0)
		rc = bpf_map__set_max_entries(
			events, (uint32_t)power_of_two(options->events_size));
	if (rc == 0)
		rc = bpf_map__set_max_entries(
			buckets, (uint32_t)power_of_two(options->buckets_size));
	if (rc == 0)
		rc = bpf_map__set_max_entries(drops, options->drop_limit);
	return rc;
}

static int object_open(struct kernel_sockets *sockets)
{
	DECLARE_LIBBPF_OPTS(bpf_object_open_opts, options,
			    .object_name = "sonde_sockets");
	long rc;

	sockets->object = bpf_object__open_mem(sockets_object,
					       sockets_object_size, &options);
	rc = libbpf_get_error(sockets->object);
	if (rc != 0) {
		sockets->object = NULL;
		return (int)rc;
	}
	for (size_t i = 0; i < sockets_program_count; i++)
		sockets->programs[i] = bpf_object__find_program_by_name(
			sockets->object, sockets_programs[i].name);
	config_set(sockets);
	return maps_size(sockets);
}

static void object_close(struct kernel_sockets *sockets)
{
	bpf_object__close(sockets->object);
	sockets->object = NULL;
	memset(sockets->programs, 0, sizeof sockets->programs);
}

/* All programs that are wanted and were not refused, or 'only' that one. */
static int object_load(struct kernel_sockets *sockets, int only)
{
	int rc = object_open(sockets);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < sockets_program_count; i++) {
		const struct sockets_program *row = &sockets_programs[i];
		bool load = is_wanted(sockets, row) &&
			    target_exists(sockets->btf, row) &&
			    !sockets->refused[row->hook];

		if (only >= 0 && row->hook != only)
			load = false;
		if (sockets->programs[i])
			(void)bpf_program__set_autoload(sockets->programs[i],
							load);
	}
	return bpf_object__load(sockets->object);
}

/* Finds out which programs this kernel refuses, one by one. */
static int programs_try(struct kernel_sockets *sockets)
{
	int last = -ENOENT;
	size_t good = 0;

	for (size_t i = 0; i < sockets_program_count; i++) {
		const struct sockets_program *row = &sockets_programs[i];
		int rc;

		if (!is_wanted(sockets, row) ||
		    !target_exists(sockets->btf, row))
			continue;
		rc = object_load(sockets, row->hook);
		object_close(sockets);
		if (rc < 0) {
			sockets->refused[row->hook] = true;
			last = rc;
		} else {
			good++;
		}
	}
	return good > 0 ? 0 : last;
}

static int refused(struct fault *ret_fault, int rc)
{
	if (rc != -EPERM)
		return kernel_bpf_refused(ret_fault, rc, "sockets");
	return fault_set(ret_fault, rc,
			 "BPF is not permitted: needs root, or CAP_BPF, "
			 "CAP_PERFMON and CAP_NET_ADMIN; a locked-down kernel "
			 "refuses it to all");
}

static bool counts_calls(const struct kernel_sockets *sockets)
{
	for (size_t i = 0; i < sockets_program_count; i++) {
		int hook = sockets_programs[i].hook;
		bool calls = hook == HOOK_SEND || hook == HOOK_RECEIVE ||
			     hook >= HOOK_SEND_INET;

		if (calls && sockets->programs[i] &&
		    bpf_program__fd(sockets->programs[i]) >= 0)
			return true;
	}
	return false;
}

int sockets_load(struct kernel_sockets *sockets, struct fault *ret_fault)
{
	int rc = object_load(sockets, -1);

	if (rc == -EPERM)
		return refused(ret_fault, rc);
	if (rc < 0) {
		object_close(sockets);
		rc = programs_try(sockets);
		if (rc == 0)
			rc = object_load(sockets, -1);
	}
	if (rc < 0)
		return refused(ret_fault, rc);
	if (!counts_calls(sockets))
		return fault_set(ret_fault, -ENOTSUP,
				 "this kernel has no place where the bytes of "
				 "calls can be counted: needs Linux 6.3, or "
				 "one that permits fexit");
	return 0;
}

void sockets_unload(struct kernel_sockets *sockets)
{
	for (size_t i = 0; i < SOCKETS_HOOKS; i++) {
		if (sockets->links[i])
			(void)bpf_link__destroy(sockets->links[i]);
		sockets->links[i] = NULL;
	}
	object_close(sockets);
}
