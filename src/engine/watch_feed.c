/* The kernel's sockets as the feed of a watch, and its sleep. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/watch_private.h"

#define EXACT_NS   (2 * NS_PER_S / 1000) /* before it, nothing else is done */
#define CLOCK_WORK 5                     /* tries to read clocks together */
#define FAR_S      (INT64_C(1) << 40)

struct kernel_feed {
	struct kernel_sockets *sockets;
	int step_fd; /* readable when somebody set the wall clock; or -1 */
	bool raised; /* runs before others, until it has stopped */
	int policy;
	struct sched_param priority;
};

/* A timer far away that is cancelled when the clock is set. */
static void step_arm(const struct kernel_feed *feed)
{
	struct itimerspec far = {.it_value = {.tv_sec = FAR_S}};

	(void)timerfd_settime(feed->step_fd,
			      TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far,
			      NULL);
}

static int feed_open(void *context,
		     const struct kernel_sockets_options *options,
		     void **ret_object, struct fault *ret_fault)
{
	struct kernel_feed *feed = calloc(1, sizeof *feed);
	int rc;

	(void)context;
	if (!feed)
		return fault_set(ret_fault, -ENOMEM, "%s",
				 err_sentence(-ENOMEM));
	rc = kernel_sockets_open(options, &feed->sockets, ret_fault);
	if (rc < 0) {
		free(feed);
		return rc;
	}
	feed->step_fd =
		timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	step_arm(feed);
	*ret_object = feed;
	return 0;
}

static void feed_close(void *object)
{
	struct kernel_feed *feed = object;

	kernel_sockets_close(feed->sockets);
	if (feed->step_fd >= 0)
		close(feed->step_fd);
	free(feed);
}

static struct mono feed_start(void *object)
{
	const struct kernel_feed *feed = object;

	return kernel_sockets_start(feed->sockets);
}

static uint32_t feed_index(void *object)
{
	const struct kernel_feed *feed = object;

	return kernel_sockets_index(feed->sockets);
}

static int feed_turn(void *object, const struct kernel_sockets_visitor *visitor)
{
	const struct kernel_feed *feed = object;

	return kernel_sockets_turn(feed->sockets, visitor);
}

static int feed_gather(void *object,
		       const struct kernel_sockets_visitor *visitor)
{
	const struct kernel_feed *feed = object;

	return kernel_sockets_gather(feed->sockets, visitor);
}

static int feed_stop(void *object, const struct kernel_sockets_visitor *visitor,
		     struct mono *ret_end)
{
	struct kernel_feed *feed = object;
	int rc = kernel_sockets_stop(feed->sockets, visitor, ret_end);

	if (feed->raised)
		(void)sched_setscheduler(0, feed->policy, &feed->priority);
	feed->raised = false;
	return rc;
}

static struct kernel_sockets_counters feed_counters(void *object)
{
	const struct kernel_feed *feed = object;

	return kernel_sockets_counters(feed->sockets);
}

static size_t feed_hooks(void *object, const struct kernel_hook **ret_hooks)
{
	const struct kernel_feed *feed = object;

	return kernel_sockets_hooks(feed->sockets, ret_hooks);
}

static int feed_measure(void *object, bool on)
{
	const struct kernel_feed *feed = object;

	return kernel_sockets_measure(feed->sockets, on);
}

static struct kernel_sockets_cost feed_cost(void *object)
{
	const struct kernel_feed *feed = object;

	return kernel_sockets_cost(feed->sockets);
}

static const char *feed_drop_name(void *object, uint32_t reason)
{
	const struct kernel_feed *feed = object;

	return kernel_drop_name(feed->sockets, reason);
}

static const char *feed_reset_name(void *object, uint32_t reason)
{
	const struct kernel_feed *feed = object;

	return kernel_reset_name(feed->sockets, reason);
}

/* Who is put aside between two clocks tries again. */
static void feed_clocks(void *object, struct watch_clocks *ret)
{
	int64_t best_ns = INT64_MAX;

	(void)object;
	for (int i = 0; i < CLOCK_WORK; i++) {
		struct mono from = mono_now();
		struct wall wall = wall_now();
		int64_t boot_ns = clock_read_ns(CLOCK_BOOTTIME);
		int64_t ns = mono_ns_between(from, mono_now());

		if (ns >= best_ns)
			continue;
		best_ns = ns;
		*ret = (struct watch_clocks){
			{from.ns + ns / 2}, wall, boot_ns, ns};
	}
}

/* So near the end of counting nobody else comes first, where that is
 * permitted: the run is to be as long as asked. */
static void wait_exact(struct kernel_feed *feed, struct mono until)
{
	struct timespec at = {.tv_sec = until.ns / NS_PER_S,
			      .tv_nsec = until.ns % NS_PER_S};
	struct sched_param first = {.sched_priority = 1};

	feed->policy = sched_getscheduler(0);
	if (!feed->raised && feed->policy >= 0 &&
	    sched_getparam(0, &feed->priority) == 0)
		feed->raised = sched_setscheduler(0, SCHED_FIFO, &first) == 0;
	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static bool feed_wait(void *object, struct mono until, bool exact)
{
	struct kernel_feed *feed = object;
	struct pollfd fds[2] = {
		{kernel_sockets_fd(feed->sockets), POLLIN, 0},
		{feed->step_fd, POLLIN, 0},
	};
	int64_t ns = mono_ns_between(mono_now(), until);
	struct timespec timeout;
	uint64_t number;

	if (exact && ns <= EXACT_NS) {
		wait_exact(feed, until);
		return false;
	}
	ns -= exact ? EXACT_NS : 0;
	if (ns < 0)
		ns = 0;
	timeout = (struct timespec){.tv_sec = ns / NS_PER_S,
				    .tv_nsec = ns % NS_PER_S};
	if (ppoll(fds, 2, &timeout, NULL) <= 0)
		return false;
	if (fds[1].revents && read(feed->step_fd, &number, sizeof number) < 0)
		step_arm(feed);
	return fds[0].revents & POLLIN;
}

const struct watch_feed watch_feed_kernel = {
	.open = feed_open,
	.close = feed_close,
	.start = feed_start,
	.index = feed_index,
	.turn = feed_turn,
	.gather = feed_gather,
	.stop = feed_stop,
	.counters = feed_counters,
	.hooks = feed_hooks,
	.measure = feed_measure,
	.cost = feed_cost,
	.drop_name = feed_drop_name,
	.reset_name = feed_reset_name,
	.clocks = feed_clocks,
	.wait = feed_wait,
};
