/* Another program's requests and replies: finds the program, takes its stamps
 * from the kernel, joins them. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/sockets_private.h"

#define STEP_NS   1000000 /* of the wall clock beside the monotonic one */
#define KEEP_MORE NS_PER_S
#define PORT_LOW  32768 /* to clients, as Linux gives them unless told */
#define PORT_HIGH 60999

struct exchanger {
	struct exchanger_options options;
	struct kernel_exchange *kernel;
	struct exchange_table *table;
	pid_t pid; /* 0: a port is watched */
	int pid_fd;
	bool process_ended;
	atomic_bool stopped;
	int64_t wall_less_mono_ns;
	char target[32], program[32];
	/* Only while it is opened. */
	struct kernel_exchange_options kernel_options;
	uint16_t ports[SOCKETS_MAX];
};

const struct counter_row exchanger_counter_rows[] = {
	EXCHANGER_COUNTERS(COUNTER_ROW)};
const size_t exchanger_counter_count =
	sizeof exchanger_counter_rows / sizeof *exchanger_counter_rows;

/* ---- which program --------------------------------------------------------
 */

enum target_kind { TARGET_ANY, TARGET_PID, TARGET_PORT };

/* "pid:1", "port:1", "1".  False: none of these. */
static bool target_read(const char *text, enum target_kind *ret_kind,
			int64_t *ret_number)
{
	char *end;

	*ret_kind = TARGET_ANY;
	if (strncmp(text, "pid:", 4) == 0)
		*ret_kind = TARGET_PID;
	else if (strncmp(text, "port:", 5) == 0)
		*ret_kind = TARGET_PORT;
	if (*ret_kind != TARGET_ANY)
		text = strchr(text, ':') + 1;
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret_number = strtoll(text, &end, 10);
	return *end == 0 && errno == 0 && *ret_number > 0 &&
	       *ret_number <=
		       (*ret_kind == TARGET_PORT ? UINT16_MAX : INT32_MAX);
}

static void program_read(struct exchanger *exchanger, pid_t pid)
{
	char path[64];
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (file && fgets(exchanger->program, sizeof exchanger->program, file))
		exchanger->program[strcspn(exchanger->program, "\n")] = 0;
	if (file)
		fclose(file);
}

/* The process of a thread; 0: there is none. */
static pid_t process_of(pid_t thread)
{
	char path[64], line[128];
	int tgid = 0;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
	file = fopen(path, "re");
	while (file && tgid == 0 && fgets(line, sizeof line, file))
		if (strncmp(line, "Tgid:", 5) == 0)
			tgid = (int)strtol(line + 5, NULL, 10);
	if (file)
		fclose(file);
	return tgid;
}

static int net_read(const char *process, uint32_t *ret_net)
{
	char path[64];
	struct stat net;

	(void)snprintf(path, sizeof path, "/proc/%s/ns/net", process);
	if (stat(path, &net) < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	*ret_net = (uint32_t)net.st_ino;
	return 0;
}

static int process_fault(struct fault *ret_fault, int rc, pid_t pid)
{
	if (rc == -ESRCH)
		return fault_set(ret_fault, rc, "there is no process %d",
				 (int)pid);
	if (rc == -EACCES || rc == -EPERM)
		return fault_set(ret_fault, rc,
				 "process %d: its sockets may not be looked "
				 "at: needs root",
				 (int)pid);
	return fault_set(ret_fault, rc, "process %d: %s", (int)pid,
			 err_sentence(rc));
}

/* 'count': its ports, which are in exchanger->ports. */
static int process_take(struct exchanger *exchanger, pid_t pid, int count,
			struct fault *ret_fault)
{
	struct kernel_exchange_options *kernel = &exchanger->kernel_options;
	char process[16];
	int rc;

	(void)snprintf(process, sizeof process, "%d", (int)pid);
	(void)snprintf(exchanger->target, sizeof exchanger->target, "pid:%d",
		       (int)pid);
	exchanger->pid = pid;
	exchanger->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	rc = exchanger->pid_fd < 0 ? -errno : net_read(process, &kernel->net);
	if (rc < 0)
		return process_fault(ret_fault, rc, pid);
	program_read(exchanger, pid);
	kernel->pids[0] = pid;
	kernel->pid_count = 1;
	kernel->ports = exchanger->ports;
	kernel->port_count = (size_t)count;
	return 0;
}

static int port_take(struct exchanger *exchanger, uint16_t port,
		     struct fault *ret_fault)
{
	struct kernel_exchange_options *kernel = &exchanger->kernel_options;
	int used, count, rc = net_read("thread-self", &kernel->net);

	if (rc < 0)
		return fault_set(ret_fault, rc, "/proc/thread-self/ns/net: %s",
				 err_sentence(rc));
	(void)snprintf(exchanger->target, sizeof exchanger->target, "port:%u",
		       port);
	count = sockets_owners(port, kernel->pids, KERNEL_EXCHANGE_PIDS_MAX,
			       &used);
	if (count > 0)
		program_read(exchanger, kernel->pids[0]);
	kernel->pid_count = (size_t)count;
	kernel->one_port = true;
	exchanger->ports[0] = port;
	kernel->ports = exchanger->ports;
	kernel->port_count = 1;
	return 0;
}

/* A number alone: whichever of the two it is now. */
static int number_take(struct exchanger *exchanger, int64_t number,
		       struct fault *ret_fault)
{
	pid_t pid = process_of((pid_t)number), owner;
	int used = 0;
	int count = pid > 0 ? sockets_of_process(pid, exchanger->ports) : 0;
	bool port = number <= UINT16_MAX;

	if (port)
		(void)sockets_owners((uint16_t)number, &owner, 1, &used);
	if (count > 0 && used)
		return fault_set(ret_fault, -EINVAL,
				 "%" PRId64 " is a process and a port in use: "
				 "say pid:%" PRId64 " or port:%" PRId64,
				 number, number, number);
	if (used)
		return port_take(exchanger, (uint16_t)number, ret_fault);
	if (count > 0)
		return process_take(exchanger, pid, count, ret_fault);
	if (count < 0)
		return process_fault(ret_fault, count, pid);
	if (pid > 0) {
		program_read(exchanger, pid);
		return fault_set(ret_fault, -ENOENT,
				 "process %d (%s) has no UDP socket; 'pid:%d' "
				 "waits for one",
				 (int)pid, exchanger->program, (int)pid);
	}
	if (!port)
		return process_fault(ret_fault, -ESRCH, (pid_t)number);
	return fault_set(ret_fault, -ESRCH,
			 "there is no process %" PRId64 " and no UDP socket at "
			 "port %" PRId64 "; 'port:%" PRId64 "' waits for one",
			 number, number, number);
}

static int target_take(struct exchanger *exchanger, struct fault *ret_fault)
{
	const char *text = exchanger->options.target;
	enum target_kind kind;
	int64_t number;
	pid_t pid;
	int count;

	if (!target_read(text, &kind, &number))
		return fault_set(ret_fault, -EINVAL,
				 "'%s' is no process and no port: 123, pid:123 "
				 "or port:53",
				 text);
	if (kind == TARGET_ANY)
		return number_take(exchanger, number, ret_fault);
	if (kind == TARGET_PORT)
		return port_take(exchanger, (uint16_t)number, ret_fault);
	pid = process_of((pid_t)number);
	if (pid == 0)
		return process_fault(ret_fault, -ESRCH, (pid_t)number);
	count = sockets_of_process(pid, exchanger->ports);
	if (count < 0)
		return process_fault(ret_fault, count, pid);
	return process_take(exchanger, pid, count, ret_fault);
}

/* ---- open and close --------------------------------------------------------
 */

static void client_ports_read(struct exchange_options *options)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	char line[64], *end;

	options->client_port_low = PORT_LOW;
	options->client_port_high = PORT_HIGH;
	if (!file)
		return;
	if (fgets(line, sizeof line, file)) {
		options->client_port_low = (uint16_t)strtoul(line, &end, 10);
		options->client_port_high = (uint16_t)strtoul(end, NULL, 10);
	}
	fclose(file);
}

static int table_make(struct exchanger *exchanger)
{
	const struct exchanger_options *options = &exchanger->options;
	struct exchange_options table = {
		.timeout_ns = options->timeout_ns,
		.begun_ns = wall_now().ns,
		.one_process = exchanger->pid > 0,
		.ready = kernel_exchange_ready(exchanger->kernel),
		.count = options->count,
		.emit = options->trip,
		.context = options->context,
	};

	client_ports_read(&table);
	return exchange_create(&table, &exchanger->table);
}

static int64_t wall_less_mono_ns(void)
{
	return wall_now().ns - mono_now().ns;
}

static int exchanger_make(struct exchanger *exchanger, struct fault *ret_fault)
{
	struct kernel_exchange_options *kernel = &exchanger->kernel_options;
	int rc;

	if (!kernel_points_built())
		return fault_set(ret_fault, ERR_NOT_BUILT,
				 "this build is without BPF: it lacked %s",
				 kernel_points_lack());
	rc = target_take(exchanger, ret_fault);
	if (rc < 0)
		return rc;
	kernel->keep_ns = exchanger->options.timeout_ns + KEEP_MORE;
	kernel->monotonic = exchanger->options.monotonic;
	exchanger->wall_less_mono_ns = wall_less_mono_ns();
	rc = kernel_exchange_open(kernel, &exchanger->kernel, ret_fault);
	if (rc < 0)
		return rc;
	rc = table_make(exchanger);
	return rc < 0 ? fault_set(ret_fault, rc, "%s", err_sentence(rc)) : 0;
}

int exchanger_open(const struct exchanger_options *options,
		   struct exchanger **ret_exchanger, struct fault *ret_fault)
{
	struct exchanger *exchanger = calloc(1, sizeof *exchanger);
	int rc;

	if (!exchanger)
		return fault_set(ret_fault, -ENOMEM, "%s",
				 err_sentence(-ENOMEM));
	exchanger->options = *options;
	exchanger->pid_fd = -1;
	rc = exchanger_make(exchanger, ret_fault);
	if (rc < 0) {
		exchanger_close(exchanger);
		return rc;
	}
	*ret_exchanger = exchanger;
	return 0;
}

void exchanger_close(struct exchanger *exchanger)
{
	if (!exchanger)
		return;
	exchange_destroy(exchanger->table);
	kernel_exchange_close(exchanger->kernel);
	if (exchanger->pid_fd >= 0)
		close(exchanger->pid_fd);
	free(exchanger);
}

/* ---- what comes ------------------------------------------------------------
 */

static void event_take(void *context, const struct exchange_event *event)
{
	struct exchanger *exchanger = context;

	exchange_add(exchanger->table, event);
}

static void step_check(struct exchanger *exchanger)
{
	int64_t now_ns = wall_less_mono_ns();

	if (llabs(now_ns - exchanger->wall_less_mono_ns) > STEP_NS)
		exchange_step(exchanger->table);
	exchanger->wall_less_mono_ns = now_ns;
}

static void gather(struct exchanger *exchanger)
{
	int64_t now_ns = wall_now().ns; /* all stamps before are gathered */

	step_check(exchanger);
	(void)kernel_exchange_gather(exchanger->kernel, event_take, exchanger);
	exchange_expire(exchanger->table, now_ns);
}

int exchanger_collect(struct exchanger *exchanger, int wait_ms)
{
	struct pollfd wait = {exchanger->pid_fd, POLLIN, 0};
	bool stopped = atomic_load(&exchanger->stopped);

	if (!stopped &&
	    poll(&wait, exchanger->pid_fd >= 0 ? 1 : 0, wait_ms) > 0)
		exchanger->process_ended = true;
	gather(exchanger);
	if (!stopped && !exchanger->process_ended &&
	    !exchange_done(exchanger->table))
		return 0;
	exchange_end(exchanger->table);
	return ERR_END;
}

void exchanger_stop(struct exchanger *exchanger)
{
	atomic_store(&exchanger->stopped, true);
}

/* ---- what is known ----------------------------------------------------------
 */

const char *exchanger_target(const struct exchanger *exchanger)
{
	return exchanger->target;
}

const char *exchanger_program(const struct exchanger *exchanger)
{
	return exchanger->program;
}

bool exchanger_process_ended(const struct exchanger *exchanger)
{
	return exchanger->process_ended;
}

point_set exchanger_points(const struct exchanger *exchanger,
			   enum exchange_side side)
{
	return exchange_points(exchanger->table, side);
}

struct exchanger_counters exchanger_counters(const struct exchanger *exchanger)
{
	struct exchange_counters joined = exchange_counters(exchanger->table);
	struct kernel_exchange_counters kernel =
		kernel_exchange_counters(exchanger->kernel);
	struct exchanger_counters counters;

	static_assert(sizeof counters == sizeof joined + sizeof kernel,
		      "one row after the other");
	memcpy(&counters, &joined, sizeof joined);
	memcpy((char *)&counters + sizeof joined, &kernel, sizeof kernel);
	return counters;
}
