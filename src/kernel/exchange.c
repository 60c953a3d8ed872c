/* The loader of exchange.bpf.c, by libbpf. */
#include <errno.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/clock.h"
#include "kernel/bpf_private.h"
#include "kernel/exchange_shared.h"
#include "kernel/points_private.h"

#define LINKS_MAX      16
#define REFRESH_NS     NS_PER_S
#define DRIVER_NS_MOST NS_PER_S /* from the driver to the protocols */

static_assert(sizeof(struct exchange_record) == 88 + EXCHANGE_HEAD &&
		      offsetof(struct exchange_record, local) ==
			      EXCHANGE_RECORD_SHORT,
	      "as the programs lay it out");
static_assert((int)RECORD_OUT_QUEUE == (int)EXCHANGE_OUT_QUEUE &&
		      (int)RECORD_OUT_DRIVER == (int)EXCHANGE_OUT_DRIVER &&
		      (int)RECORD_IN_STACK == (int)EXCHANGE_IN_STACK &&
		      (int)RECORD_IN_READY == (int)EXCHANGE_IN_READY &&
		      (int)RECORD_IN_COPIED == (int)EXCHANGE_IN_COPIED &&
		      (int)RECORD_IN_TAKEN == (int)EXCHANGE_IN_TAKEN &&
		      (int)RECORD_RETURN == (int)EXCHANGE_RETURN &&
		      EXCHANGE_HEAD == EXCHANGE_HEAD_MAX &&
		      EXCHANGE_TGIDS == KERNEL_EXCHANGE_PIDS_MAX,
	      "the same numbers under two names");

struct kernel_exchange {
	struct bpf_object *object;
	struct bpf_link *links[LINKS_MAX];
	size_t link_count;
	struct ring_buffer *records;
	struct exchange_shared *shared; /* mapped */
	uint64_t *ports;                /* mapped, EXCHANGE_PORTS */
	int stamping_fd; /* as long as it is open, drivers' packets have times
			  */
	bool ready;
	int64_t offset_ns;    /* wall time less the programs' */
	int64_t refreshed_ns; /* CLOCK_MONOTONIC */
	uint64_t taken;
	/* Of the gathering under way. */
	void (*event)(void *context, const struct exchange_event *event);
	void *context;
};

/* What tells READY: a tracepoint, before Linux 6.4 a function, or nothing. */
enum ready_by { READY_TRACEPOINT, READY_FUNCTION, READY_NOT };

/* ---- loading --------------------------------------------------------------
 */

/* Packets that a reader takes: by name while the kernel tells it, else by
 * their order.  Both came to UDP with one series of changes. */
static bool copied_is_told(const struct btf *btf)
{
	return btf__find_by_name_kind(btf, "udp_prod_queue", BTF_KIND_STRUCT) <
	       0;
}

static void program_choose(struct kernel_exchange *exchange, const char *name,
			   bool wanted)
{
	struct bpf_program *program =
		bpf_object__find_program_by_name(exchange->object, name);

	if (program)
		(void)bpf_program__set_autoload(program, wanted);
}

static int object_open(struct kernel_exchange *exchange, const struct btf *btf,
		       enum ready_by ready)
{
	DECLARE_LIBBPF_OPTS(bpf_object_open_opts, options,
			    .object_name = "sonde_exchange", );
	long rc;

	exchange->object = bpf_object__open_mem(exchange_object,
						exchange_object_size, &options);
	rc = libbpf_get_error(exchange->object);
	if (rc != 0) {
		exchange->object = NULL;
		return (int)rc;
	}
	program_choose(exchange, "exchange_ready", ready == READY_TRACEPOINT);
	program_choose(exchange, "exchange_ready_function",
		       ready == READY_FUNCTION);
	program_choose(exchange, "exchange_copied", copied_is_told(btf));
	program_choose(exchange, "exchange_taken",
		       kernel_has_tracepoint(btf, "sock_recv_length"));
	exchange->ready = ready != READY_NOT;
	return 0;
}

static void object_close(struct kernel_exchange *exchange)
{
	while (exchange->link_count > 0)
		(void)bpf_link__destroy(
			exchange->links[--exchange->link_count]);
	bpf_object__close(exchange->object);
	exchange->object = NULL;
}

static bool is_find(const struct bpf_program *program)
{
	return strcmp(bpf_program__name(program), "exchange_find") == 0;
}

static int programs_attach(struct kernel_exchange *exchange)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, exchange->object)
	{
		struct bpf_link *link;
		long rc;

		if (bpf_program__fd(program) < 0 || is_find(program))
			continue;
		link = bpf_program__attach(program);
		rc = libbpf_get_error(link);
		if (rc != 0)
			return (int)rc;
		exchange->links[exchange->link_count++] = link;
	}
	return 0;
}

static int ready_try(struct kernel_exchange *exchange, const struct btf *btf,
		     enum ready_by ready)
{
	int rc = object_open(exchange, btf, ready);

	if (rc == 0)
		rc = bpf_object__load(exchange->object);
	if (rc == 0)
		rc = programs_attach(exchange);
	if (rc < 0)
		object_close(exchange);
	return rc;
}

static int programs_load(struct kernel_exchange *exchange,
			 const struct btf *btf)
{
	int rc = ready_try(exchange, btf,
			   kernel_has_tracepoint(btf, "sk_data_ready")
				   ? READY_TRACEPOINT
				   : READY_FUNCTION);

	if (rc < 0)
		rc = ready_try(exchange, btf, READY_NOT);
	return rc;
}

/* ---- what they share with us ----------------------------------------------
 */

static int record_take(void *context, void *data, size_t size);

static int maps_open(struct kernel_exchange *exchange)
{
	void *shared = NULL, *ports = NULL;
	int records =
		bpf_object__find_map_fd_by_name(exchange->object, "records");
	int rc = kernel_map_memory(exchange->object, "shared",
				   sizeof *exchange->shared, &shared);

	if (rc == 0)
		rc = kernel_map_memory(exchange->object, "ports",
				       EXCHANGE_PORTS * sizeof(uint64_t),
				       &ports);
	exchange->shared = shared;
	exchange->ports = ports;
	if (rc < 0)
		return rc;
	exchange->records =
		ring_buffer__new(records, record_take, exchange, NULL);
	if (libbpf_get_error(exchange->records) != 0) {
		exchange->records = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* Calls in which a thread awaits packets. */
static const int waits[] = {
	SYS_read,         SYS_readv,          SYS_recvfrom, SYS_recvmsg,
	SYS_recvmmsg,     SYS_ppoll,          SYS_pselect6, SYS_epoll_pwait,
	SYS_epoll_pwait2, SYS_io_uring_enter,
#ifdef SYS_poll
	SYS_poll,
#endif
#ifdef SYS_select
	SYS_select,
#endif
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
};

static void filter_set(struct kernel_exchange *exchange,
		       const struct kernel_exchange_options *options)
{
	struct exchange_filter *filter = &exchange->shared->filter;

	filter->net = options->net;
	filter->keep_ns = (uint64_t)options->keep_ns;
	filter->bind_call = SYS_bind;
	filter->learn_ports = !options->one_port;
	filter->learn_processes = options->one_port;
	filter->monotonic = options->monotonic;
	for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
		filter->waits[waits[i] / 64] |= UINT64_C(1) << waits[i] % 64;
	for (size_t i = 0; i < options->port_count; i++)
		exchange->ports[options->ports[i]] = EXCHANGE_FOREVER;
}

/* Runs exchange_find over all processes. */
static int iterate(struct kernel_exchange *exchange)
{
	struct bpf_program *program = bpf_object__find_program_by_name(
		exchange->object, "exchange_find");
	struct bpf_link *link;
	char bytes[64];
	int fd, rc;

	if (!program)
		return -ENOENT;
	link = bpf_program__attach_iter(program, NULL);
	rc = (int)libbpf_get_error(link);
	if (rc != 0)
		return rc;
	fd = bpf_iter_create(bpf_link__fd(link));
	rc = fd < 0 ? -errno : 0;
	while (fd >= 0 && read(fd, bytes, sizeof bytes) > 0)
		;
	if (fd >= 0)
		close(fd);
	(void)bpf_link__destroy(link);
	return rc;
}

static int processes_find(struct kernel_exchange *exchange,
			  const struct kernel_exchange_options *options,
			  struct fault *ret_fault)
{
	struct exchange_shared *shared = exchange->shared;
	int rc;

	for (size_t i = 0; i < options->pid_count; i++)
		shared->wanted[i] = (uint32_t)options->pids[i];
	shared->wanted_count = (uint32_t)options->pid_count;
	/* The programs' clock is read by the programs, without 'on' too. */
	rc = iterate(exchange);
	if (rc < 0)
		return kernel_bpf_refused(ret_fault, rc, NULL);
	for (size_t i = 0; i < options->pid_count; i++) {
		if (*(volatile uint32_t *)&shared->wanted[i] != 0 &&
		    !options->one_port)
			return fault_set(ret_fault, -ESRCH,
					 "there is no process %d",
					 (int)options->pids[i]);
	}
	return 0;
}

/* The kernel notes when a packet left its driver while any socket wants it. */
static void stamping_begin(struct kernel_exchange *exchange)
{
	int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags,
				 sizeof flags);
	exchange->stamping_fd = fd;
}

static int exchange_make(struct kernel_exchange *exchange,
			 const struct kernel_exchange_options *options,
			 struct fault *ret_fault)
{
	struct btf *btf;
	int rc = kernel_bpf_begin(&btf, ret_fault);

	if (rc < 0)
		return rc;
	rc = programs_load(exchange, btf);
	btf__free(btf);
	if (rc < 0)
		return kernel_bpf_refused(ret_fault, rc, NULL);
	rc = maps_open(exchange);
	if (rc < 0)
		return fault_set(ret_fault, rc, "BPF maps: %s",
				 err_sentence(rc));
	filter_set(exchange, options);
	rc = processes_find(exchange, options, ret_fault);
	if (rc < 0)
		return rc;
	stamping_begin(exchange);
	exchange->offset_ns =
		points_offset_ns((int64_t)exchange->shared->now_ns);
	exchange->refreshed_ns = clock_read_ns(CLOCK_MONOTONIC_COARSE);
	__atomic_store_n(&exchange->shared->filter.on, 1, __ATOMIC_RELEASE);
	return 0;
}

int kernel_exchange_open(const struct kernel_exchange_options *options,
			 struct kernel_exchange **ret_exchange,
			 struct fault *ret_fault)
{
	struct kernel_exchange *exchange = calloc(1, sizeof *exchange);
	int rc;

	if (!exchange)
		return fault_set(ret_fault, -ENOMEM, "%s",
				 err_sentence(-ENOMEM));
	exchange->stamping_fd = -1;
	rc = exchange_make(exchange, options, ret_fault);
	if (rc < 0) {
		kernel_exchange_close(exchange);
		return rc;
	}
	*ret_exchange = exchange;
	return 0;
}

void kernel_exchange_close(struct kernel_exchange *exchange)
{
	if (!exchange)
		return;
	if (exchange->stamping_fd >= 0)
		close(exchange->stamping_fd);
	ring_buffer__free(exchange->records);
	if (exchange->shared)
		munmap(exchange->shared, sizeof *exchange->shared);
	if (exchange->ports)
		munmap(exchange->ports, EXCHANGE_PORTS * sizeof(uint64_t));
	object_close(exchange);
	free(exchange);
}

bool kernel_exchange_ready(const struct kernel_exchange *exchange)
{
	return exchange->ready;
}

/* ---- stamps ---------------------------------------------------------------
 */

/* A time of the programs' clock as wall time; 0 stays 0. */
static int64_t wall_of(const struct kernel_exchange *exchange, uint64_t ns)
{
	return ns > 0 ? (int64_t)ns + exchange->offset_ns : 0;
}

static void packet_set(struct exchange_packet *packet,
		       const struct exchange_record *record)
{
	packet->ip_version = record->ip_version;
	memcpy(packet->local, record->local, sizeof packet->local);
	memcpy(packet->remote, record->remote, sizeof packet->remote);
	packet->local_port = record->local_port;
	packet->remote_port = record->remote_port;
	packet->size = record->size;
	packet->head_size = record->head_size <= EXCHANGE_HEAD_MAX
				    ? record->head_size
				    : EXCHANGE_HEAD_MAX;
	memcpy(packet->head, record->head, packet->head_size);
}

/* On its way in a packet's own time is when it left the driver; other uses of
 * that field are far from now. */
static int64_t received_of(const struct exchange_record *record, int64_t at_ns)
{
	int64_t received_ns = (int64_t)record->other_ns;

	return received_ns <= at_ns && at_ns - received_ns < DRIVER_NS_MOST
		       ? received_ns
		       : 0;
}

static int record_take(void *context, void *data, size_t size)
{
	struct kernel_exchange *exchange = context;
	const struct exchange_record *record = data;
	struct exchange_event event = {0};

	event.kind = (enum exchange_kind)record->kind;
	event.at_ns = wall_of(exchange, record->at_ns);
	event.thread = record->thread;
	event.call = record->call;
	event.socket = record->socket;
	event.bound = (record->role & ROLE_BOUND) != 0;
	event.connected = (record->role & ROLE_CONNECTED) != 0;
	event.packet.size = record->size;
	if (size >= sizeof *record) {
		event.interface = record->interface;
		packet_set(&event.packet, record);
	}
	if (record->kind == RECORD_OUT_QUEUE)
		event.call_ns = wall_of(exchange, record->other_ns);
	if (record->kind == RECORD_IN_STACK)
		event.received_ns = received_of(record, event.at_ns);
	if (record->kind == RECORD_IN_READY)
		event.stack_ns = wall_of(exchange, record->other_ns);
	if (record->kind == RECORD_IN_COPIED ||
	    record->kind == RECORD_IN_TAKEN) {
		event.waking_ns = wall_of(exchange, record->other_ns);
		event.running_ns = wall_of(exchange, record->running_ns);
	}
	exchange->taken++;
	exchange->event(exchange->context, &event);
	return 0;
}

int kernel_exchange_gather(struct kernel_exchange *exchange,
			   void (*event)(void *context,
					 const struct exchange_event *event),
			   void *context)
{
	int64_t now_ns = clock_read_ns(CLOCK_MONOTONIC_COARSE);
	uint64_t before = exchange->taken;

	if (now_ns - exchange->refreshed_ns > REFRESH_NS) {
		exchange->refreshed_ns = now_ns;
		exchange->offset_ns =
			points_offset_ns((int64_t)exchange->shared->now_ns);
	}
	exchange->event = event;
	exchange->context = context;
	(void)ring_buffer__consume(exchange->records);
	return (int)(exchange->taken - before);
}

struct kernel_exchange_counters
kernel_exchange_counters(const struct kernel_exchange *exchange)
{
	const volatile struct exchange_lost *lost = exchange->shared->lost;
	struct kernel_exchange_counters counters = {
		.bpf_taken = exchange->taken,
	};

	for (int cpu = 0; cpu < EXCHANGE_CPUS; cpu++) {
		counters.bpf_lost += lost[cpu].records;
		counters.bpf_unjoined += lost[cpu].unjoined;
		counters.bpf_threads += lost[cpu].threads;
	}
	return counters;
}
