/* The loader of points.bpf.c, by libbpf. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/clock.h"
#include "kernel/bpf_private.h"
#include "kernel/points_private.h"

#define LINKS_MAX        16
#define REFRESH_NS       NS_PER_S
#define ANSWER_SEQ       24 /* the sender's number in an answer: RFC 8762 4.3.1 */
#define ANSWER_SEQ_KEYED 48 /* and authenticated: 4.3.2 */

static_assert((int)RECORD_SEND_UDP == (int)POINT_SEND_UDP &&
		      (int)RECORD_QUEUE == (int)POINT_QUEUE &&
		      (int)RECORD_DRIVER == (int)POINT_DRIVER &&
		      (int)RECORD_STACK == (int)POINT_STACK &&
		      (int)RECORD_RECEIVE_UDP == (int)POINT_RECEIVE_UDP &&
		      (int)RECORD_ENQUEUED == (int)POINT_ENQUEUED &&
		      (int)RECORD_READY == (int)POINT_READY &&
		      (int)RECORD_COPIED == (int)POINT_COPIED,
	      "records name points by their numbers");
static_assert(sizeof(struct points_record) == 40, "as the programs lay it out");
static_assert(sizeof(struct points_calls) == sizeof(struct probe_calls) &&
		      offsetof(struct points_calls, running_ns) ==
			      offsetof(struct probe_calls, running_ns),
	      "one struct under two names");

struct kernel_points {
	struct kernel_points_options options;
	struct bpf_object *object;
	struct bpf_link *links[LINKS_MAX];
	size_t link_count;
	struct ring_buffer *records;
	struct points_shared *shared; /* mapped */
	struct probe_watch watch;
	enum tier tier;
	struct fault missing;
	int64_t refreshed_ns; /* CLOCK_MONOTONIC */
	uint64_t taken;
	/* Of the gathering under way. */
	void (*stamp)(void *context, const struct kernel_stamp *stamp);
	void *context;
};

bool kernel_points_built(void)
{
	return true;
}

const char *kernel_points_lack(void)
{
	return "";
}

/* ---- which programs ------------------------------------------------------ */

static bool target_exists(const struct btf *btf,
			  const struct points_program *program)
{
	return program->tier == TIER_FUNCTION
		       ? kernel_has_function(btf, program->target)
		       : kernel_has_tracepoint(btf, program->target);
}

static void missing_note(struct kernel_points *points, const char *what,
			 const char *why)
{
	char before[sizeof points->missing.text];

	(void)snprintf(before, sizeof before, "%s", points->missing.text);
	(void)fault_set(&points->missing, 0, "%s%s%s: %s", before,
			*before ? "; " : "", what, why);
}

/* Points for which this kernel has no place at all. */
static void missing_list(struct kernel_points *points, enum tier tier)
{
	uint32_t had = points->watch.points;

	for (size_t i = 0; i < points_program_count; i++) {
		const struct points_program *row = &points_programs[i];

		if (row->tier <= tier && (row->points & ~had) != 0) {
			missing_note(points, row->target, "not in this kernel");
			had |= row->points;
		}
	}
}

/* Chooses the programs of 'tier' that this kernel has places for. */
static void programs_choose(struct kernel_points *points, const struct btf *btf,
			    enum tier tier)
{
	points->watch.points = 0;
	for (size_t i = 0; i < points_program_count; i++) {
		const struct points_program *row = &points_programs[i];
		struct bpf_program *program = bpf_object__find_program_by_name(
			points->object, row->name);
		bool wanted = row->tier <= tier &&
			      !(row->unless &&
				kernel_has_tracepoint(btf, row->unless));
		bool exists = wanted && target_exists(btf, row);

		if (exists)
			points->watch.points |= row->points;
		if (program)
			(void)bpf_program__set_autoload(program, exists);
	}
	missing_list(points, tier);
}

static int object_open(struct kernel_points *points)
{
	DECLARE_LIBBPF_OPTS(bpf_object_open_opts, options,
			    .object_name = "sonde_points", );
	long rc;

	points->object = bpf_object__open_mem(points_object, points_object_size,
					      &options);
	rc = libbpf_get_error(points->object);
	if (rc != 0)
		points->object = NULL;
	return (int)rc;
}

static void object_close(struct kernel_points *points)
{
	while (points->link_count > 0)
		(void)bpf_link__destroy(points->links[--points->link_count]);
	bpf_object__close(points->object);
	points->object = NULL;
}

/* Attaches what was loaded; *ret_target names what was refused. */
static int programs_attach(struct kernel_points *points,
			   const char **ret_target)
{
	for (size_t i = 0; i < points_program_count; i++) {
		const struct points_program *row = &points_programs[i];
		struct bpf_program *program = bpf_object__find_program_by_name(
			points->object, row->name);
		struct bpf_link *link;
		long rc;

		if (!program || bpf_program__fd(program) < 0)
			continue;
		link = bpf_program__attach(program);
		rc = libbpf_get_error(link);
		if (rc != 0) {
			*ret_target = row->target;
			return (int)rc;
		}
		points->links[points->link_count++] = link;
	}
	return 0;
}

static int tier_try(struct kernel_points *points, const struct btf *btf,
		    enum tier tier, const char **ret_target)
{
	int rc = object_open(points);

	*ret_target = NULL;
	if (rc == 0) {
		programs_choose(points, btf, tier);
		rc = bpf_object__load(points->object);
	}
	if (rc == 0)
		rc = programs_attach(points, ret_target);
	if (rc < 0)
		object_close(points);
	else
		points->tier = tier;
	return rc;
}

/* Functions first where they are wanted; tracepoints are enough. */
static int programs_load(struct kernel_points *points, const struct btf *btf,
			 struct fault *ret_fault)
{
	const char *target;
	int rc = -ENOTSUP;

	if (points->options.tier >= TIER_FUNCTION) {
		rc = tier_try(points, btf, TIER_FUNCTION, &target);
		if (rc == 0)
			return 0;
		points->missing.text[0] = 0;
		missing_note(points, "fentry",
			     rc == -EPERM ? "not permitted here (lockdown?)"
					  : err_sentence(rc));
	}
	rc = tier_try(points, btf, TIER_TRACEPOINT, &target);
	return rc < 0 ? kernel_bpf_refused(ret_fault, rc, target) : 0;
}

/* ---- what they share with us -------------------------------------------- */

static int record_take(void *context, void *data, size_t size);

static int maps_open(struct kernel_points *points)
{
	int records =
		bpf_object__find_map_fd_by_name(points->object, "records");
	void *memory;
	int rc = kernel_map_memory(points->object, "shared",
				   sizeof *points->shared, &memory);

	if (rc < 0)
		return rc;
	points->shared = memory;
	points->watch.calls = (const volatile void *)&points->shared->calls;
	points->records = ring_buffer__new(records, record_take, points, NULL);
	if (libbpf_get_error(points->records) != 0) {
		points->records = NULL;
		return -ENOMEM;
	}
	return 0;
}

static void filter_set(struct kernel_points *points)
{
	const struct kernel_points_options *options = &points->options;
	struct points_filter *filter = &points->shared->filter;
	uint8_t answer = options->keyed ? ANSWER_SEQ_KEYED : ANSWER_SEQ;
	struct stat net;

	if (options->echo)
		answer = 0;
	filter->send_call = SYS_sendmmsg;
	filter->receive_call = SYS_recvmmsg;
	filter->out_seq_at = options->reflector ? answer : 0;
	filter->in_seq_at = options->reflector ? 0 : answer;
	filter->even_only = options->even_only;
	filter->monotonic = options->monotonic;
	if (stat("/proc/self/ns/net", &net) == 0)
		filter->net = (uint32_t)net.st_ino;
}

static int points_make(struct kernel_points *points, struct fault *ret_fault)
{
	struct btf *btf;
	int rc = kernel_bpf_begin(&btf, ret_fault);

	if (rc < 0)
		return rc;
	rc = programs_load(points, btf, ret_fault);
	btf__free(btf);
	if (rc < 0)
		return rc;
	rc = maps_open(points);
	if (rc < 0)
		return fault_set(ret_fault, rc, "BPF maps: %s",
				 err_sentence(rc));
	filter_set(points);
	return 0;
}

int kernel_points_open(const struct kernel_points_options *options,
		       struct kernel_points **ret_points,
		       struct fault *ret_fault)
{
	struct kernel_points *points = calloc(1, sizeof *points);
	int rc;

	if (!points)
		return fault_set(ret_fault, -ENOMEM, "%s",
				 err_sentence(-ENOMEM));
	points->options = *options;
	rc = points_make(points, ret_fault);
	if (rc < 0) {
		kernel_points_close(points);
		return rc;
	}
	*ret_points = points;
	return 0;
}

void kernel_points_close(struct kernel_points *points)
{
	if (!points)
		return;
	ring_buffer__free(points->records);
	if (points->shared)
		munmap(points->shared, sizeof *points->shared);
	object_close(points);
	free(points);
}

enum tier kernel_points_tier(const struct kernel_points *points)
{
	return points->tier;
}

const char *kernel_points_missing(const struct kernel_points *points)
{
	return points->missing.text;
}

/* The program runs at once, as this thread, and notes its number. */
static int thread_enrol(struct kernel_points *points)
{
	const volatile struct points_shared *shared = points->shared;
	struct bpf_program *program = bpf_object__find_program_by_name(
		points->object, "points_enrol");
	uint64_t context[1] = {0};
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = context,
			    .ctx_size_in = sizeof context, );
	int rc;

	if (!program)
		return -ENOENT;
	rc = bpf_prog_test_run_opts(bpf_program__fd(program), &options);
	if (rc < 0)
		return rc == -1 ? -errno : rc;
	return shared->enrolled != 0 ? 0 : -ESRCH;
}

int kernel_points_watch(struct kernel_points *points, uint16_t port)
{
	volatile struct points_shared *shared = points->shared;
	int rc = thread_enrol(points);

	if (rc < 0)
		return rc;
	points->watch.offset_ns =
		points_offset_ns((int64_t)shared->enrolled_ns);
	points->refreshed_ns = clock_read_ns(CLOCK_MONOTONIC_COARSE);
	shared->filter.thread = shared->enrolled;
	shared->filter.port = port;
	return 0;
}

struct probe_watch *kernel_points_probe(struct kernel_points *points)
{
	return &points->watch;
}

/* ---- stamps -------------------------------------------------------------- */

static void peer_set(struct kernel_stamp *stamp,
		     const struct points_record *record)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET,
				 .sin_port = htons(record->port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
				  .sin6_port = htons(record->port)};

	if (record->ip_version == 4) {
		memcpy(&v4.sin_addr, record->address, sizeof v4.sin_addr);
		memcpy(&stamp->peer, &v4, sizeof v4);
		return;
	}
	memcpy(&v6.sin6_addr, record->address, sizeof v6.sin6_addr);
	if (IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr))
		v6.sin6_scope_id = record->interface;
	memcpy(&stamp->peer, &v6, sizeof v6);
}

static int record_take(void *context, void *data, size_t size)
{
	struct kernel_points *points = context;
	const struct points_record *record = data;
	struct kernel_stamp stamp = {
		.seq = record->seq,
		.point = (enum point)record->point,
		.at = {(int64_t)record->at_ns + points->watch.offset_ns},
	};

	(void)size;
	peer_set(&stamp, record);
	points->taken++;
	points->stamp(points->context, &stamp);
	if (record->point == RECORD_QUEUE && record->before_ns > 0) {
		stamp.point = POINT_SEND_UDP;
		stamp.at.ns -= record->before_ns;
		points->taken++;
		points->stamp(points->context, &stamp);
	}
	return 0;
}

int kernel_points_gather(struct kernel_points *points,
			 void (*stamp)(void *context,
				       const struct kernel_stamp *stamp),
			 void *context)
{
	int64_t now_ns = clock_read_ns(CLOCK_MONOTONIC_COARSE);
	uint64_t before = points->taken;

	if (now_ns - points->refreshed_ns > REFRESH_NS) {
		points->refreshed_ns = now_ns;
		points->watch.offset_ns =
			points_offset_ns((int64_t)points->shared->enrolled_ns);
	}
	points->stamp = stamp;
	points->context = context;
	(void)ring_buffer__consume(points->records);
	return (int)(points->taken - before);
}

struct kernel_points_counters
kernel_points_counters(const struct kernel_points *points)
{
	const volatile struct points_shared *shared = points->shared;

	return (struct kernel_points_counters){
		.taken = points->taken,
		.lost = shared->lost,
		.unread = shared->unread,
		.unjoined = shared->unjoined,
	};
}
