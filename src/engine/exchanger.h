/* Another program's requests and replies, stamped.  A part of engine.h. */
#ifndef ENGINE_EXCHANGER_H
#define ENGINE_EXCHANGER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/kernel.h"
#include "probe/probe.h"

struct fault;
struct exchanger;

struct exchanger_options {
	/* "pid:123" (waits for sockets to come), "port:53" (waits for one), or
	 * a number that is only one of them now. */
	const char *target;
	int64_t timeout_ns; /* a later reply is none */
	uint32_t count;     /* so many requests; 0: any number */
	bool monotonic;     /* for tests: the clock of kernels before 6.1 */
	/* As exchange_options.emit. */
	void (*trip)(void *context, enum exchange_side side,
		     const struct trip *trip);
	void *context;
};

/* X(name, unit, line): those of the joiner and of the kernel. */
#define EXCHANGER_COUNTERS(X) \
	EXCHANGE_COUNTERS(X)  \
	KERNEL_EXCHANGE_COUNTERS(X)

struct exchanger_counters {
	EXCHANGER_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row exchanger_counter_rows[];
extern const size_t exchanger_counter_count;

/* Finds the process or port and stamps from now on, in that process's network
 * namespace or in this thread's.  Takes root.  Returns 0 or a negative code,
 * and *ret_fault names what is not there or not permitted. */
int exchanger_open(const struct exchanger_options *options,
		   struct exchanger **ret_exchanger, struct fault *ret_fault);
/* NULL is fine. */
void exchanger_close(struct exchanger *exchanger);

/* Waits 'wait_ms' at most, then hands exchanges that are over to 'trip'.
 * Returns 0, or ERR_END: all that were wanted are over, it was stopped, or the
 * process ended; nothing more comes. */
int exchanger_collect(struct exchanger *exchanger, int wait_ms);

/* The next exchanger_collect() is the last one.  Any thread, or a signal
 * handler. */
void exchanger_stop(struct exchanger *exchanger);

/* "pid:123" or "port:53"; and whose: "named", "" if nobody's yet. */
const char *exchanger_target(const struct exchanger *exchanger);
const char *exchanger_program(const struct exchanger *exchanger);
/* The process that was watched is gone. */
bool exchanger_process_ended(const struct exchanger *exchanger);
point_set exchanger_points(const struct exchanger *exchanger,
			   enum exchange_side side);
struct exchanger_counters exchanger_counters(const struct exchanger *exchanger);

#endif
