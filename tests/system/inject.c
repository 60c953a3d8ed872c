/* One fault of a known kind at one host, from one packet to another.
 *
 *     inject KIND PORT FROM TO DELAY_NS SHARE PID CPU [INTERFACE QUEUE...]
 *
 * Runs in the host's network namespace and counts the test packets (UDP over
 * IPv4 to or from PORT) that leave it: the fault begins with the FROM-th and
 * ends with the TO-th.  SHARE of 1000 packets, or of the time, have it.  PID
 * is the program that reads, its youngest thread if it has several.
 *
 *     driver     BPF spins for DELAY_NS between the driver's call and its work
 *     interrupt  BPF spins where the softirq hands over a received packet
 *     wakeup     BPF spins where the reader's thread is woken
 *     hog        a thread on CPU with real-time priority, DELAY_NS at a time
 *     stop       SIGSTOP, DELAY_NS later SIGCONT, over and over
 *     queue      tc qdisc replace dev INTERFACE root QUEUE...
 *
 * Says "ready", and at its end how many packets or times it delayed. */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "inject_shared.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NS_PER_S     INT64_C(1000000000)
#define POLL_NS      2000000 /* rare: it has the readers' CPUs too */
#define SHARES       1000

extern const unsigned char inject_object[];
extern const size_t inject_object_size;

enum {
	ARG_KIND = 1,
	ARG_PORT,
	ARG_FROM,
	ARG_TO,
	ARG_DELAY,
	ARG_SHARE,
	ARG_PID,
	ARG_CPU,
	ARG_INTERFACE,
	ARG_QUEUE
};

static struct {
	volatile struct inject_shared *shared;
	struct bpf_object *object;
	char **arguments;
	uint64_t from, to;
	int64_t delay_ns;
	int64_t share;
	pid_t pid;
	int cpu;
	pid_t child; /* that hogs */
} inject;

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static void fail(const char *what)
{
	fprintf(stderr, "inject: %s: %m\n", what);
	_exit(2);
}

static int64_t number_of(const char *text)
{
	char *end;
	long long number = strtoll(text, &end, 10);

	if (end == text || *end || number < 0) {
		fprintf(stderr, "inject: %s: no number\n", text);
		_exit(2);
	}
	return number;
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void sleep_for(int64_t ns)
{
	struct timespec ts = {ns / NS_PER_S, ns % NS_PER_S};

	(void)nanosleep(&ts, NULL);
}

/* The rest of a period of which 'delay_ns' is the faulty share. */
static int64_t rest_ns(void)
{
	return inject.delay_ns * (SHARES - inject.share) / inject.share;
}

/* ---- what is delayed inside the kernel ----------------------------------- */

static void attach(const char *name)
{
	struct bpf_program *program =
		bpf_object__find_program_by_name(inject.object, name);

	if (!program || !bpf_program__attach(program))
		fail(name);
}

/* After the programs that stamp: the delay is behind their stamp. */
static void driver_begin(void)
{
	attach("inject_driver");
}

static void interrupt_begin(void)
{
	attach("inject_interrupt");
}

static void wakeup_begin(void)
{
	attach("inject_wakeup");
}

static pid_t thread_of(pid_t pid)
{
	char path[64];
	struct dirent *entry;
	pid_t last = pid;
	DIR *folder;

	(void)snprintf(path, sizeof path, "/proc/%d/task", pid);
	folder = opendir(path);
	while (folder && (entry = readdir(folder))) {
		if (entry->d_name[0] != '.' && number_of(entry->d_name) > last)
			last = (pid_t)number_of(entry->d_name);
	}
	if (folder)
		closedir(folder);
	return last;
}

/* ---- what is delayed from outside ---------------------------------------- */

static void spin_for(int64_t ns)
{
	int64_t until_ns = now_ns() + ns;

	while (now_ns() < until_ns)
		;
}

static void hog(void)
{
	struct sched_param priority = {.sched_priority = 50};
	cpu_set_t set;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	CPU_ZERO(&set);
	CPU_SET((unsigned)inject.cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) < 0 ||
	    sched_setscheduler(0, SCHED_FIFO, &priority) < 0)
		fail("a hog");
	for (;;) {
		spin_for(inject.delay_ns);
		inject.shared->delayed++;
		sleep_for(rest_ns());
	}
}

static void hog_begin(void)
{
	inject.child = fork();
	if (inject.child < 0)
		fail("fork");
	if (inject.child == 0)
		hog();
}

static void hog_end(void)
{
	kill(inject.child, SIGKILL);
	(void)waitpid(inject.child, NULL, 0);
}

static void stop_turn(void)
{
	if (kill(inject.pid, SIGSTOP) < 0) {
		stopped = 1;
		return;
	}
	sleep_for(inject.delay_ns);
	kill(inject.pid, SIGCONT);
	inject.shared->delayed++;
	sleep_for(rest_ns());
}

static void tc(const char *verb, char *const *rest)
{
	const char *arguments[32] = {
		"tc",   "qdisc", verb, "dev", inject.arguments[ARG_INTERFACE],
		"root",
	};
	size_t count = 6;
	pid_t child = fork();
	int status = 0;

	while (rest && *rest && count < COUNT(arguments) - 1)
		arguments[count++] = *rest++;
	if (child == 0) {
		execvp("tc", (char *const *)arguments);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		fail("tc");
}

static void queue_begin(void)
{
	tc("replace", inject.arguments + ARG_QUEUE);
	inject.shared->delayed++;
}

static void queue_end(void)
{
	tc("delete", NULL);
}

static const struct kind {
	const char *name;
	void (*begin)(void);
	void (*turn)(void); /* over and over until the end; NULL: nothing */
	void (*end)(void);
} kinds[] = {
	{"driver", driver_begin, NULL, NULL},
	{"interrupt", interrupt_begin, NULL, NULL},
	{"wakeup", wakeup_begin, NULL, NULL},
	{"hog", hog_begin, NULL, hog_end},
	{"stop", NULL, stop_turn, NULL},
	{"queue", queue_begin, NULL, queue_end},
};

/* ---- the run --------------------------------------------------------------
 */

static void object_load(void)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "inject");
	int fd;

	inject.object = bpf_object__open_mem(inject_object, inject_object_size,
					     &options);
	if (!inject.object || bpf_object__load(inject.object) < 0)
		fail("BPF programs");
	fd = bpf_object__find_map_fd_by_name(inject.object, "shared");
	inject.shared = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE),
			     PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (inject.shared == MAP_FAILED)
		fail("the shared map");
}

static void shared_fill(void)
{
	struct stat net;

	if (stat("/proc/self/ns/net", &net) < 0)
		fail("the namespace");
	inject.shared->net = (uint32_t)net.st_ino;
	inject.shared->port = (uint32_t)number_of(inject.arguments[ARG_PORT]);
	inject.shared->share = (uint32_t)(inject.share * 1024 / SHARES);
	inject.shared->delay_ns = (uint64_t)inject.delay_ns;
}

static void wait_for(uint64_t count)
{
	while (!stopped && inject.shared->count < count)
		sleep_for(POLL_NS);
}

static void run(const struct kind *kind)
{
	wait_for(inject.from);
	if (stopped)
		return;
	inject.shared->thread = (uint32_t)thread_of(inject.pid);
	if (kind->begin)
		kind->begin();
	inject.shared->on = 1;
	while (!stopped && inject.shared->count < inject.to) {
		if (kind->turn)
			kind->turn();
		else
			sleep_for(POLL_NS);
	}
	inject.shared->on = 0;
	if (kind->end)
		kind->end();
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = stop};
	const struct kind *kind = NULL;

	for (size_t i = 0; argc > ARG_CPU && i < COUNT(kinds); i++) {
		if (!strcmp(argv[ARG_KIND], kinds[i].name))
			kind = &kinds[i];
	}
	if (!kind) {
		fprintf(stderr, "inject: see the head of inject.c\n");
		return 2;
	}
	inject.arguments = argv;
	inject.from = (uint64_t)number_of(argv[ARG_FROM]);
	inject.to = (uint64_t)number_of(argv[ARG_TO]);
	inject.delay_ns = number_of(argv[ARG_DELAY]);
	inject.share = number_of(argv[ARG_SHARE]);
	inject.pid = (pid_t)number_of(argv[ARG_PID]);
	inject.cpu = (int)number_of(argv[ARG_CPU]);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	object_load();
	shared_fill();
	attach("inject_count");
	puts("ready");
	fflush(stdout);
	run(kind);
	printf("%llu\n", (unsigned long long)inject.shared->delayed);
	return 0;
}
