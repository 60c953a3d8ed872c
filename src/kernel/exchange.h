/* Stamps of another program's UDP packets.  A part of kernel.h. */
#ifndef KERNEL_EXCHANGE_H
#define KERNEL_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/counter.h"
#include "probe/probe.h"

struct fault;

#define KERNEL_EXCHANGE_PIDS_MAX 16

struct kernel_exchange_options {
	/* Processes whose threads are stamped, numbers as this process's
	 * namespace counts; with a port, those that have it now. */
	pid_t pids[KERNEL_EXCHANGE_PIDS_MAX];
	size_t pid_count;
	const uint16_t *ports; /* of this host, borrowed for the call */
	size_t port_count;
	bool one_port;   /* ports[0] alone, and whoever sends from it; else the
			    processes' ports, those that are to come too */
	uint32_t net;    /* namespace's inode */
	int64_t keep_ns; /* a port that was not bound counts so long */
	bool monotonic;  /* for tests: the clock of kernels before 6.1 */
};

/* X(name, unit, line) */
#define KERNEL_EXCHANGE_COUNTERS(X)                                      \
	X(bpf_taken, "stamps", "by BPF")                                 \
	X(bpf_lost, "stamps", "by BPF, for want of room in its ring")    \
	X(bpf_unjoined, "wake-ups", "of the socket for no packet known") \
	X(bpf_threads, "calls", "of threads or processes that had no place")

struct kernel_exchange_counters {
	KERNEL_EXCHANGE_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row kernel_exchange_counter_rows[];
extern const size_t kernel_exchange_counter_count;

struct kernel_exchange;

/* Loads, attaches and stamps from now on.  Takes root, or CAP_BPF and
 * CAP_PERFMON; afterwards nothing here needs a privilege.  Returns 0 or a
 * negative code (-ESRCH: one of the processes is not there): *ret_fault says
 * what is refused and what would help. */
int kernel_exchange_open(const struct kernel_exchange_options *options,
			 struct kernel_exchange **ret_exchange,
			 struct fault *ret_fault);
/* NULL is fine. */
void kernel_exchange_close(struct kernel_exchange *exchange);

/* Whether this kernel tells when a socket's reader is called. */
bool kernel_exchange_ready(const struct kernel_exchange *exchange);

/* Hands over the stamps that wait; does not block, makes no system call but
 * one a second.  Returns how many. */
int kernel_exchange_gather(struct kernel_exchange *exchange,
			   void (*event)(void *context,
					 const struct exchange_event *event),
			   void *context);

struct kernel_exchange_counters
kernel_exchange_counters(const struct kernel_exchange *exchange);

#endif
