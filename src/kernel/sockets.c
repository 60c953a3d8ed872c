/* The loader of sockets.bpf.c, by libbpf: attaching, starting, the hooks. */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/clock.h"
#include "kernel/bpf_private.h"
#include "kernel/sockets_private.h"

#define INTERVAL_MIN (NS_PER_S / 100)
#define CPUS_MAX     4096

/* ---- options ----------------------------------------------------------------
 */

static int options_take(struct kernel_sockets *sockets,
			const struct kernel_sockets_options *options,
			struct fault *ret_fault)
{
	struct kernel_sockets_options *o = &sockets->options;

	*o = *options;
	if (!o->interval_ns)
		o->interval_ns = NS_PER_S / 10;
	if (!o->events_size)
		o->events_size = (size_t)32 << 20;
	if (!o->buckets_size)
		o->buckets_size = (size_t)16 << 20;
	if (!o->socket_limit)
		o->socket_limit = 262144;
	if (!o->process_limit)
		o->process_limit = 65536;
	if (!o->drop_limit)
		o->drop_limit = 16384;
	if (o->interval_ns < INTERVAL_MIN || o->interval_ns > NS_PER_S)
		return fault_set(ret_fault, -ERANGE,
				 "an interval has 10 ms to 1 s");
	return 0;
}

/* ---- attaching
 * --------------------------------------------------------------- */

/* The root of cgroup v2, or -1. */
static int cgroup_open(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent mount;
	char names[4096];
	int fd = -1;

	if (!mounts)
		return -1;
	while (fd < 0 && getmntent_r(mounts, &mount, names, sizeof names)) {
		if (!strcmp(mount.mnt_type, "cgroup2"))
			fd = open(mount.mnt_dir,
				  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	endmntent(mounts);
	return fd;
}

/* On the first CPU that takes it; the link has the event. */
static struct bpf_link *tick_attach(struct kernel_sockets *sockets,
				    struct bpf_program *program)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof attr,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = (uint64_t)sockets->options.interval_ns,
		.disabled = 1,
	};
	struct bpf_link *link;
	int fd = -1;

	for (int cpu = 0; cpu < sockets->cpu_count && fd < 0; cpu++)
		fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1,
				  PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return NULL;
	/* Ticks come an interval after this, and so on. */
	sockets->shared->epoch = (uint64_t)mono_now().ns;
	link = bpf_program__attach_perf_event(program, fd);
	if (libbpf_get_error(link) != 0) {
		close(fd);
		return NULL;
	}
	return link;
}

static struct bpf_link *walk_attach(struct kernel_sockets *sockets,
				    struct bpf_program *program)
{
	union bpf_iter_link_info info = {.map.map_fd =
						 (uint32_t)sockets->socks};
	DECLARE_LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &info,
			    .link_info_len = sizeof info);

	return bpf_program__attach_iter(program, &options);
}

static struct bpf_link *attach(struct kernel_sockets *sockets,
			       const struct sockets_program *row,
			       struct bpf_program *program)
{
	if (row->hook == HOOK_CREATE || row->hook == HOOK_RELEASE)
		return bpf_program__attach_cgroup(program, sockets->cgroup);
	if (row->hook == HOOK_WALK)
		return walk_attach(sockets, program);
	return bpf_program__attach(program);
}

static int attach_row(struct kernel_sockets *sockets, size_t i)
{
	const struct sockets_program *row = &sockets_programs[i];
	struct bpf_program *program = sockets->programs[i];
	struct bpf_link *link;
	long rc;

	if (!program || bpf_program__fd(program) < 0)
		return -ENOENT;
	link = row->hook == HOOK_TICK ? tick_attach(sockets, program)
				      : attach(sockets, row, program);
	rc = link ? libbpf_get_error(link) : -errno;
	if (rc != 0)
		return rc < 0 ? (int)rc : -EIO;
	sockets->links[i] = link;
	return 0;
}

/* True: what was loaded must be loaded anew without what was refused. */
static bool attach_all(struct kernel_sockets *sockets)
{
	bool again = false;

	for (size_t i = 0; i < sockets_program_count; i++) {
		int hook = sockets_programs[i].hook;

		if (hook == HOOK_TICK || attach_row(sockets, i) == 0)
			continue;
		if (!sockets->refused[hook] && sockets->programs[i] &&
		    bpf_program__fd(sockets->programs[i]) >= 0) {
			sockets->refused[hook] = true;
			again |= hook == HOOK_RELEASE || hook == HOOK_DESTROY;
		}
	}
	return again;
}

static int row_of(int hook)
{
	for (size_t i = 0; i < sockets_program_count; i++) {
		if (sockets_programs[i].hook == hook)
			return (int)i;
	}
	return -1;
}

const struct sockets_program *sockets_program_of(int hook)
{
	int row = row_of(hook);

	return row < 0 ? NULL : &sockets_programs[row];
}

/* ---- starting
 * ------------------------------------------------------------------ */

static void clocks_read(struct kernel_sockets *sockets)
{
	struct bpf_program *program = bpf_object__find_program_by_name(
		sockets->object, "sockets_clocks");
	uint64_t context[1] = {0};
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = context,
			    .ctx_size_in = sizeof context);

	if (program)
		(void)bpf_prog_test_run_opts(bpf_program__fd(program),
					     &options);
	sockets->first_jiffies = sockets->shared->jiffies;
	sockets->first_jiffies_at = sockets->shared->jiffies_at;
}

static int maps_open(struct kernel_sockets *sockets)
{
	struct bpf_map *map;
	void *mapped;

	sockets->socks =
		bpf_object__find_map_fd_by_name(sockets->object, "socks");
	sockets->calls =
		bpf_object__find_map_fd_by_name(sockets->object, "calls");
	sockets->drops =
		bpf_object__find_map_fd_by_name(sockets->object, "drops");
	bpf_object__for_each_map(map, sockets->object)
	{
		size_t size = bpf_map__value_size(map);

		if (!strstr(bpf_map__name(map), ".bss"))
			continue;
		mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			      bpf_map__fd(map), 0);
		if (mapped == MAP_FAILED)
			return -errno;
		sockets->shared = mapped;
		sockets->shared_size = size;
	}
	if (!sockets->shared || sockets->socks < 0 || sockets->calls < 0 ||
	    sockets->drops < 0)
		return -ENOENT;
	sockets->shared->kernel.start = KERNEL_START;
	return 0;
}

static void maps_close(struct kernel_sockets *sockets)
{
	if (sockets->shared)
		munmap(sockets->shared, sockets->shared_size);
	sockets->shared = NULL;
}

static int load_and_attach(struct kernel_sockets *sockets,
			   struct fault *ret_fault)
{
	int rc = sockets_load(sockets, ret_fault);

	if (rc < 0)
		return rc;
	rc = maps_open(sockets);
	if (rc < 0)
		return fault_set(ret_fault, rc, "BPF maps: %s",
				 err_sentence(rc));
	return attach_all(sockets) ? 1 : 0;
}

static int begin(struct kernel_sockets *sockets)
{
	int tick = row_of(HOOK_TICK), rc;

	clocks_read(sockets);
	rc = sockets_rings_open(sockets);
	if (rc < 0)
		return rc;
	sockets->shared->epoch = (uint64_t)mono_now().ns;
	if (sockets->config.ticking && attach_row(sockets, (size_t)tick) < 0) {
		sockets->refused[HOOK_TICK] = true;
		return 1;
	}
	sockets->shared->ending = 1;
	sockets->shared->running = 1;
	if (!sockets->options.no_existing) {
		sockets->shared->finding = 1;
		(void)sockets_walk_all(sockets, HOOK_FILES, 0, NULL);
		sockets->shared->finding = 0;
	}
	return 0;
}

/* Some hooks decide how others count: refused, all is loaded once more. */
static int sockets_make(struct kernel_sockets *sockets, struct fault *ret_fault)
{
	for (int tries = 0; tries < 3; tries++) {
		int rc = load_and_attach(sockets, ret_fault);

		if (rc < 0)
			return rc;
		if (rc == 0) {
			rc = begin(sockets);
			if (rc < 0)
				return fault_set(ret_fault, rc, "BPF rings: %s",
						 err_sentence(rc));
		}
		if (rc == 0)
			return 0;
		ring_buffer__free(sockets->events);
		ring_buffer__free(sockets->buckets);
		sockets->events = sockets->buckets = NULL;
		maps_close(sockets);
		sockets_unload(sockets);
	}
	return fault_set(ret_fault, -EIO, "BPF for sockets: %s",
			 err_sentence(-EIO));
}

static int prepare(struct kernel_sockets *sockets, struct fault *ret_fault)
{
	int rc;

	sockets->buffer = malloc(SOCKETS_BUFFER);
	sockets->hooks = calloc(SOCKETS_HOOKS, sizeof *sockets->hooks);
	sockets->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!sockets->buffer || !sockets->hooks || sockets->epoll < 0)
		return fault_set(ret_fault, -ENOMEM, "%s",
				 err_sentence(-ENOMEM));
	sockets->cpu_count = libbpf_num_possible_cpus();
	if (sockets->cpu_count < 1 || sockets->cpu_count > CPUS_MAX)
		return fault_set(ret_fault, -EIO, "CPUs cannot be counted");
	rc = kernel_bpf_begin(&sockets->btf, ret_fault);
	if (rc < 0)
		return rc;
	sockets_names_read(sockets);
	if (!sockets->options.no_cgroup)
		sockets->cgroup = cgroup_open();
	return 0;
}

int kernel_sockets_open(const struct kernel_sockets_options *options,
			struct kernel_sockets **ret_sockets,
			struct fault *ret_fault)
{
	struct kernel_sockets *sockets = calloc(1, sizeof *sockets);
	int rc;

	if (!sockets)
		return fault_set(ret_fault, -ENOMEM, "%s",
				 err_sentence(-ENOMEM));
	sockets->cgroup = sockets->epoll = sockets->stats = -1;
	rc = options_take(sockets, options, ret_fault);
	if (rc == 0)
		rc = prepare(sockets, ret_fault);
	if (rc == 0)
		rc = sockets_make(sockets, ret_fault);
	if (rc < 0) {
		kernel_sockets_close(sockets);
		return rc;
	}
	*ret_sockets = sockets;
	return 0;
}

void kernel_sockets_close(struct kernel_sockets *sockets)
{
	if (!sockets)
		return;
	sockets_cost_close(sockets);
	ring_buffer__free(sockets->events);
	ring_buffer__free(sockets->buckets);
	maps_close(sockets);
	sockets_unload(sockets);
	sockets_names_free(sockets);
	btf__free(sockets->btf);
	if (sockets->cgroup >= 0)
		close(sockets->cgroup);
	if (sockets->epoll >= 0)
		close(sockets->epoll);
	free(sockets->buffer);
	free(sockets->hooks);
	free(sockets);
}

/* ---- what it is
 * ------------------------------------------------------------------ */

struct mono kernel_sockets_start(const struct kernel_sockets *sockets)
{
	return (struct mono){(int64_t)sockets->shared->epoch};
}

uint32_t kernel_sockets_index(const struct kernel_sockets *sockets)
{
	const volatile struct sockets_shared *shared = sockets->shared;

	if (sockets->config.ticking)
		return shared->index;
	return (uint32_t)((uint64_t)(mono_now().ns - (int64_t)shared->epoch) /
			  sockets->config.interval);
}

int kernel_sockets_fd(const struct kernel_sockets *sockets)
{
	return sockets->epoll;
}

static const char *hook_why(const struct kernel_sockets *sockets, size_t i,
			    bool loaded)
{
	const struct sockets_program *row = &sockets_programs[i];

	if (sockets->links[i])
		return "";
	if (row->unless && !loaded && !sockets->refused[row->hook])
		return "not needed: a tracepoint is there";
	if (row->hook == HOOK_TICK && sockets->options.no_tick)
		return "not asked for";
	if ((row->hook == HOOK_CREATE || row->hook == HOOK_RELEASE) &&
	    sockets->cgroup < 0)
		return "cgroup v2 is not mounted";
	if (sockets->refused[row->hook])
		return loaded ? "loaded, but the kernel refused to attach it"
			      : "the kernel refused to load it";
	return "not in this kernel";
}

size_t kernel_sockets_hooks(const struct kernel_sockets *sockets,
			    const struct kernel_hook **ret_hooks)
{
	struct kernel_hook *hooks = sockets->hooks;

	for (size_t i = 0; i < sockets_program_count; i++) {
		const struct sockets_program *row = &sockets_programs[i];
		bool loaded = sockets->programs[i] &&
			      bpf_program__fd(sockets->programs[i]) >= 0;

		hooks[i] = (struct kernel_hook){
			.name = row->name,
			.target = row->attachment,
			.lost = row->lost,
			.loaded = loaded,
			.attached = sockets->links[i] != NULL,
			.seen = sockets->shared->seen[row->hook] != 0,
			.why = hook_why(sockets, i, loaded),
		};
	}
	*ret_hooks = hooks;
	return sockets_program_count;
}
