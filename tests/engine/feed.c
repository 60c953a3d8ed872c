#include "feed.h"

#include <errno.h>

void feed_init(struct feed *feed)
{
	*feed = (struct feed){
		.clocks = {.mono = {FEED_START},
			   .wall = {1700 * FEED_START},
			   .boot_ns = FEED_START + 5000},
	};
}

static void time_pass(struct feed *feed, int64_t ns)
{
	feed->clocks.mono.ns += ns;
	feed->clocks.wall.ns += ns;
	feed->clocks.boot_ns += ns;
}

static int open_it(void *context, const struct kernel_sockets_options *options,
		   void **ret_object, struct fault *ret_fault)
{
	struct feed *feed = context;

	(void)ret_fault;
	feed->opened++;
	feed->interval_ns = options->interval_ns;
	*ret_object = feed;
	return 0;
}

static void close_it(void *object)
{
	struct feed *feed = object;

	feed->closed++;
}

static struct mono start(void *object)
{
	(void)object;
	return (struct mono){FEED_START};
}

static uint32_t index_of(void *object)
{
	const struct feed *feed = object;

	return (uint32_t)((feed->clocks.mono.ns - FEED_START) /
			  feed->interval_ns);
}

static void step(struct feed *feed,
		 const struct kernel_sockets_visitor *visitor)
{
	if (feed->step < FEED_STEPS && feed->steps[feed->step])
		feed->steps[feed->step](feed->context, visitor);
	feed->step++;
}

static int turn(void *object, const struct kernel_sockets_visitor *visitor)
{
	struct feed *feed = object;

	if (feed->turn_fails) {
		feed->turn_fails = false;
		return -EAGAIN;
	}
	step(feed, visitor);
	return 0;
}

static int gather(void *object, const struct kernel_sockets_visitor *visitor)
{
	(void)object, (void)visitor;
	return 0;
}

static int stop(void *object, const struct kernel_sockets_visitor *visitor,
		struct mono *ret_end)
{
	struct feed *feed = object;

	time_pass(feed, feed->stop_late_ns);
	*ret_end = feed->clocks.mono;
	step(feed, visitor);
	return 0;
}

static struct kernel_sockets_counters counters(void *object)
{
	const struct feed *feed = object;

	return feed->counters;
}

static size_t hooks(void *object, const struct kernel_hook **ret_hooks)
{
	const struct feed *feed = object;

	*ret_hooks = feed->hooks;
	return feed->hook_count;
}

static int measure(void *object, bool on)
{
	(void)object, (void)on;
	return 0;
}

static struct kernel_sockets_cost cost(void *object)
{
	(void)object;
	return (struct kernel_sockets_cost){0};
}

static const char *name(void *object, uint32_t reason)
{
	(void)object;
	return reason == 7 ? "SEVEN" : NULL;
}

static void clocks(void *object, struct watch_clocks *ret_clocks)
{
	const struct feed *feed = object;

	*ret_clocks = feed->clocks;
}

static bool sleep_until(void *object, struct mono until, bool exact)
{
	struct feed *feed = object;

	(void)exact;
	if (until.ns > feed->clocks.mono.ns)
		time_pass(feed, until.ns - feed->clocks.mono.ns);
	time_pass(feed, feed->sleep_late_ns);
	feed->clocks.wall.ns += feed->wall_step_ns + feed->asleep_ns;
	feed->clocks.boot_ns += feed->asleep_ns;
	feed->sleep_late_ns = feed->wall_step_ns = feed->asleep_ns = 0;
	return false;
}

const struct watch_feed feed_rows = {
	.open = open_it,
	.close = close_it,
	.start = start,
	.index = index_of,
	.turn = turn,
	.gather = gather,
	.stop = stop,
	.counters = counters,
	.hooks = hooks,
	.measure = measure,
	.cost = cost,
	.drop_name = name,
	.reset_name = name,
	.clocks = clocks,
	.wait = sleep_until,
};
