/* What BPF programs in the kernel tell.
 *
 * 'points' stamps round trip packets where a socket option does not reach: at
 * the system call, the queue, the driver, the protocols, the reader's wake-up.
 * 'sockets' (sockets.h) says which process moved which bytes.
 * Loading takes root, or CAP_BPF and CAP_PERFMON; afterwards nothing here
 * needs a privilege.  Without libbpf or clang at build time every open fails
 * with ERR_NOT_BUILT and says so.
 *
 * Threads: an object belongs to one thread at a time; kernel_points_enrol()
 * is called by the thread that is to be watched.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "kernel/sockets.h"
#include "probe/probe.h"

struct fault;

/* Whether this build has them, and what it lacks ("": nothing). */
bool kernel_points_built(void);
const char *kernel_points_lack(void);

/* X(name, unit, line) */
#define KERNEL_POINTS_COUNTERS(X)                                      \
	X(taken, "stamps", "taken from the kernel")                    \
	X(lost, "stamps", "for which the ring buffer had no room")     \
	X(unread, "packets", "whose number lay beyond the first page") \
	X(unjoined, "wake-ups", "of the socket for a packet not known")

struct kernel_points_counters {
	KERNEL_POINTS_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row kernel_points_counter_rows[];
extern const size_t kernel_points_counter_count;

struct kernel_points_options {
	enum tier tier; /* at most: TIER_TRACEPOINT or TIER_FUNCTION */
	bool reflector; /* packets come as requests, else they leave so */
	bool echo;      /* answers are requests sent back */
	bool keyed;     /* packets have an HMAC */
	bool even_only; /* every other packet, by its number */
	bool monotonic; /* for tests: the clock of kernels before 6.1 */
};

/* A stamp of a packet that has the port of kernel_points_watch(). */
struct kernel_stamp {
	struct sockaddr_storage peer; /* scope only of link-local addresses */
	uint32_t seq;                 /* the sender's */
	enum point point;             /* up to SENT_HW: it leaves, else comes */
	struct wall at;
};

struct kernel_points;

/* Loads and attaches as much of options.tier as the kernel permits; nothing
 * is stamped before kernel_points_watch().  Takes some 50 ms.  Returns 0 or a
 * negative code: *ret_fault says what is refused and what would help.  With
 * 0 and fewer points than the tier has, kernel_points_missing() says why. */
int kernel_points_open(const struct kernel_points_options *options,
		       struct kernel_points **ret_points,
		       struct fault *ret_fault);
/* NULL is fine. */
void kernel_points_close(struct kernel_points *points);

/* The tier that was had. */
enum tier kernel_points_tier(const struct kernel_points *points);
/* What of options.tier this kernel does not give, and why; "": nothing. */
const char *kernel_points_missing(const struct kernel_points *points);

/* Stamps from now on packets of this host's port in this thread's network
 * namespace, and the system calls of this thread.  Needs what open needs.
 * Returns 0 or -errno. */
int kernel_points_watch(struct kernel_points *points, uint16_t port);

/* For sender_options and reflector_options; gather and context are the
 * caller's to set.  Belongs to 'points'. */
struct probe_watch *kernel_points_probe(struct kernel_points *points);

/* Hands over the stamps that wait; does not block, makes no system call but
 * one a second.  Returns how many. */
int kernel_points_gather(struct kernel_points *points,
			 void (*stamp)(void *context,
				       const struct kernel_stamp *stamp),
			 void *context);

struct kernel_points_counters
kernel_points_counters(const struct kernel_points *points);

#endif
