/* The watch: reads once a second, stops at the deadline. */
#include "engine/watch.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "engine/watch_private.h"

#define STEP_NS     (NS_PER_S / 1000) /* beyond what a clock's rate explains */
#define SLEEP_NS    (NS_PER_S / 1000)
#define SLEW_PPM    500 /* the kernel's limit */
#define LATE_NS     NS_PER_S
#define GUARD_NS    (NS_PER_S / 50) /* before the deadline: no reading */
#define NEAR_NS     (NS_PER_S / 200)
#define MEASURE_MIN 3 /* turns, or all of the run is measured */
/* Events are taken so often that most processes still run when /proc is asked
 * what they are. */
#define GATHER_NS   (NS_PER_S / 20)
#define OWNER_TURNS 4  /* for names, at a reading */
#define OWNER_LAST  64 /* the same, at the end */

const struct counter_row watch_counter_rows[] = {WATCH_COUNTERS(COUNTER_ROW)};
const size_t watch_counter_count =
	sizeof watch_counter_rows / sizeof *watch_counter_rows;

/* ------------------------------------------------------------ the visitor */

static void process_take(void *context, const struct kernel_process *process)
{
	watch_process_event(context, process);
}

static void socket_take(void *context, const struct kernel_socket *socket)
{
	watch_socket_take(context, socket);
}

static void bytes_take(void *context, const struct kernel_process_bytes *bytes)
{
	watch_process_loose(context, bytes);
}

static void bucket_take(void *context, const struct kernel_bucket *bucket)
{
	watch_bucket_take(context, bucket);
}

static void missed_take(void *context, const struct kernel_missed *missed)
{
	watch_missed_take(context, missed);
}

static void drop_take(void *context, const struct kernel_drop *drop)
{
	watch_drop_take(context, drop);
}

/* ------------------------------------------------------------- open, close */

static void preset32(uint32_t *value, uint32_t preset)
{
	*value = *value ? *value : preset;
}

static void options_preset(struct watch_options *options)
{
	struct kernel_sockets_options *kernel = &options->kernel;

	if (kernel->interval_ns == 0)
		kernel->interval_ns = NS_PER_S / 10;
	if (kernel->events_size == 0)
		kernel->events_size = 32 << 20;
	if (kernel->buckets_size == 0)
		kernel->buckets_size = 16 << 20;
	preset32(&kernel->socket_limit, 262144);
	preset32(&kernel->process_limit, 65536);
	preset32(&kernel->drop_limit, 16384);
	if (options->turn_ns == 0)
		options->turn_ns = NS_PER_S;
	preset32(&options->process_limit, 65536);
	preset32(&options->row_limit, 1 << 20);
	/* Held processes are not forgotten there: room for others. */
	preset32(&options->owner.process_max, options->process_limit + 65536);
	if (!options->feed)
		options->feed = &watch_feed_kernel;
}

static int tables_init(struct watch *watch)
{
	int rc = watch_processes_init(watch);

	if (rc == 0)
		rc = watch_sockets_init(watch);
	if (rc == 0)
		rc = watch_containers_init(watch);
	if (rc == 0)
		rc = watch_intervals_init(watch);
	if (rc == 0)
		rc = watch_drops_init(watch);
	if (rc == 0 && !watch->options.no_links)
		rc = watch_links_init(watch);
	return rc;
}

static void clocks_begin(struct watch *watch)
{
	const struct watch_options *options = &watch->options;

	watch->feed->clocks(watch->object, &watch->clocks_begin);
	watch->clocks_last = watch->clocks_begin;
	watch->start = watch->last_turn = watch->gathered =
		watch->feed->start(watch->object);
	watch->due.ns = watch->start.ns + options->turn_ns;
	if (options->duration_ns == 0)
		return;
	watch->deadline.ns = watch->start.ns + options->duration_ns;
	watch->intervals.planned =
		(uint32_t)((options->duration_ns + options->kernel.interval_ns -
			    1) /
			   options->kernel.interval_ns);
}

static bool measured_whole(const struct watch *watch)
{
	return watch->options.duration_ns > 0 &&
	       watch->options.duration_ns <
		       MEASURE_MIN * watch->options.turn_ns;
}

static void measure(struct watch *watch, bool on)
{
	if (watch->options.no_measure || watch->measured)
		return;
	/* Over, or not to be had. */
	if (watch->feed->measure(watch->object, on) < 0 ||
	    (watch->measuring && !on))
		watch->measured = true;
	watch->measuring = on;
}

static int watch_begin(struct watch *watch, struct fault *ret_fault)
{
	int rc = tables_init(watch);

	if (rc < 0)
		return fault_set(ret_fault, rc, "%s", err_sentence(rc));
	rc = owner_table_create(&watch->options.owner, &watch->owners,
				ret_fault);
	if (rc < 0)
		return rc;
	rc = watch->feed->open(watch->options.feed_context,
			       &watch->options.kernel, &watch->object,
			       ret_fault);
	if (rc < 0)
		return rc;
	clocks_begin(watch);
	rc = owner_scan(watch->owners, ret_fault);
	if (rc < 0)
		return rc;
	if (watch->links)
		watch_links_turn(watch, false);
	if (measured_whole(watch))
		measure(watch, true);
	return 0;
}

int watch_open(const struct watch_options *options, struct watch **ret_watch,
	       struct fault *ret_fault)
{
	struct watch *watch = calloc(1, sizeof *watch);
	int rc;

	if (!watch)
		return fault_set(ret_fault, -ENOMEM, "%s",
				 err_sentence(-ENOMEM));
	watch->options = *options;
	options_preset(&watch->options);
	watch->feed = watch->options.feed;
	watch->visitor = (struct kernel_sockets_visitor){
		.context = watch,
		.process = process_take,
		.socket = socket_take,
		.bytes = bytes_take,
		.bucket = bucket_take,
		.missed = missed_take,
		.drop = drop_take,
	};
	rc = watch_begin(watch, ret_fault);
	if (rc < 0) {
		watch_close(watch);
		return rc;
	}
	*ret_watch = watch;
	return 0;
}

void watch_close(struct watch *watch)
{
	if (!watch)
		return;
	if (watch->object)
		watch->feed->close(watch->object);
	watch_links_fini(watch);
	watch_drops_fini(watch);
	watch_intervals_fini(watch);
	watch_containers_fini(watch);
	watch_sockets_fini(watch);
	watch_processes_fini(watch);
	owner_table_destroy(watch->owners);
	free(watch);
}

/* ----------------------------------------------------------------- clocks */

static int64_t magnitude(int64_t value)
{
	return value < 0 ? -value : value;
}

/* Both clocks went on as they should, or the intervals between are marked. */
static void clocks_check(struct watch *watch)
{
	struct watch_clocks *last = &watch->clocks_last, now;
	int64_t mono_ns, wall_ns, boot_ns, doubt_ns;

	watch->feed->clocks(watch->object, &now);
	mono_ns = mono_ns_between(last->mono, now.mono);
	wall_ns = wall_ns_between(last->wall, now.wall);
	boot_ns = now.boot_ns - last->boot_ns;
	doubt_ns = now.error_ns + last->error_ns;
	if (magnitude(boot_ns - mono_ns) > SLEEP_NS + doubt_ns) {
		watch_intervals_mark(watch, last->mono, now.mono, WATCH_GAP);
		/* The wall clock goes on while the machine sleeps. */
		wall_ns -= boot_ns - mono_ns;
	}
	if (magnitude(wall_ns - mono_ns) >
	    STEP_NS + doubt_ns + mono_ns / 1000000 * SLEW_PPM) {
		watch->counters.clock_steps++;
		watch_intervals_mark(watch, last->mono, now.mono,
				     WATCH_CLOCK_STEP);
	}
	*last = now;
}

/* ---------------------------------------------------------------- readings */

static void names_read(struct watch *watch, int tries)
{
	while (owner_turn(watch->owners, watch->clocks_last.mono) > 0 &&
	       --tries > 0)
		;
}

static void reading_end(struct watch *watch, struct mono began,
			uint32_t complete)
{
	struct watch_counters *counters = &watch->counters;
	uint64_t ns;

	watch->span_ns = mono_ns_between(watch->last_turn, began);
	watch->last_turn = began;
	watch_processes_turn(watch);
	watch_sockets_turn(watch);
	if (watch->ended)
		watch_sockets_tell_all(watch);
	else
		watch_sockets_tell(watch);
	if (watch->ended)
		watch_intervals_end(watch, began);
	else
		watch_intervals_tell(watch, complete, began);
	watch_ledger_turn(watch, complete);
	if (watch->links)
		watch_links_turn(watch, watch->ended);
	watch->turn++;
	counters->turns++;
	watch->feed->clocks(watch->object, &watch->clocks_end);
	ns = (uint64_t)mono_ns_between(began, watch->clocks_end.mono);
	counters->turn_ns += ns;
	counters->turn_ns_max = most(counters->turn_ns_max, ns);
}

static int reading(struct watch *watch)
{
	struct mono now = watch->clocks_last.mono;
	uint32_t complete = watch->feed->index(watch->object);

	watch->gathered = now;
	watch->counters.turns_late +=
		mono_ns_between(watch->due, now) > LATE_NS;
	while (watch->due.ns <= now.ns)
		watch->due.ns += watch->options.turn_ns;
	if (watch->feed->turn(watch->object, &watch->visitor) < 0) {
		watch->counters.turns_failed++;
		return 0;
	}
	names_read(watch, OWNER_TURNS);
	reading_end(watch, now, complete);
	if (!measured_whole(watch))
		measure(watch, watch->counters.turns == 1);
	return 1;
}

/* Counting stops first of all. */
static int finish(struct watch *watch)
{
	int rc = watch->feed->stop(watch->object, &watch->visitor, &watch->end);

	watch->ended = true;
	clocks_check(watch);
	watch->counters.turns_late +=
		mono_ns_between(watch->due, watch->clocks_last.mono) > LATE_NS;
	if (rc < 0)
		watch->end = watch->clocks_last.mono;
	watch->done =
		watch->deadline.ns > 0 && watch->end.ns >= watch->deadline.ns;
	if (watch->measuring)
		measure(watch, false);
	names_read(watch, OWNER_LAST);
	reading_end(watch, watch->end, UINT32_MAX);
	return rc < 0 ? rc : ERR_END;
}

static void gather(struct watch *watch)
{
	watch->gathered = watch->clocks_last.mono;
	if (watch->feed->gather(watch->object, &watch->visitor) < 0)
		return;
	names_read(watch, 1);
	/* Its last buckets may ask whether a socket's ports are wanted, and
	 * its container may not be known yet: then the reading tells it. */
	if (watch->options.filter.port_count +
		    watch->options.filter.container_count >
	    0)
		return;
	watch_processes_name(watch, false);
	watch_sockets_tell(watch);
}

/* A reading that could pass the deadline is left to the end. */
static struct mono next_due(const struct watch *watch)
{
	int64_t guard_ns = GUARD_NS + 3 * (int64_t)watch->counters.turn_ns_max;

	if (watch->deadline.ns > 0 &&
	    watch->due.ns > watch->deadline.ns - guard_ns)
		return watch->deadline;
	return watch->due;
}

/* When to wake up: for 'next', to gather, or for the caller.  What little is
 * left before the deadline is slept through. */
static struct mono next_stop(const struct watch *watch, struct mono next,
			     int timeout_ms)
{
	struct mono at = {watch->clocks_last.mono.ns +
			  timeout_ms * (NS_PER_S / 1000)};

	if (at.ns > watch->gathered.ns + GATHER_NS)
		at.ns = watch->gathered.ns + GATHER_NS;
	if (at.ns > next.ns ||
	    (watch->deadline.ns > 0 && at.ns > watch->deadline.ns - NEAR_NS))
		return next;
	return at;
}

int watch_turn(struct watch *watch, int timeout_ms)
{
	struct mono next, limit;
	bool ready = false;

	if (watch->ended)
		return ERR_END;
	next = next_due(watch);
	clocks_check(watch);
	limit = next_stop(watch, next, timeout_ms);
	if (!watch->stopping && watch->clocks_last.mono.ns < limit.ns) {
		ready = watch->feed->wait(watch->object, limit,
					  limit.ns == watch->deadline.ns);
		clocks_check(watch);
	}
	if (watch->stopping ||
	    (watch->deadline.ns > 0 &&
	     watch->clocks_last.mono.ns >= watch->deadline.ns))
		return finish(watch);
	if (watch->clocks_last.mono.ns >= next.ns)
		return reading(watch);
	if (ready || mono_ns_between(watch->gathered,
				     watch->clocks_last.mono) >= GATHER_NS)
		gather(watch);
	return 0;
}

void watch_stop(struct watch *watch)
{
	watch->stopping = 1;
}

/* ------------------------------------------------------------------ asking */

struct mono watch_start(const struct watch *watch)
{
	return watch->start;
}

struct watch_clocks watch_clocks_begin(const struct watch *watch)
{
	return watch->clocks_begin;
}

struct mono watch_end(const struct watch *watch)
{
	return watch->end;
}

struct watch_clocks watch_clocks_end(const struct watch *watch)
{
	return watch->clocks_end;
}

bool watch_done(const struct watch *watch)
{
	return watch->done;
}

int64_t watch_interval_ns(const struct watch *watch)
{
	return watch->options.kernel.interval_ns;
}

int64_t watch_elapsed_ns(const struct watch *watch)
{
	return mono_ns_between(watch->start, watch->ended
						     ? watch->end
						     : watch->clocks_last.mono);
}

struct watch_counters watch_counters(const struct watch *watch)
{
	return watch->counters;
}

struct kernel_sockets_counters watch_kernel_counters(const struct watch *watch)
{
	return watch->previous.kernel;
}

struct owner_counters watch_owner_counters(const struct watch *watch)
{
	return owner_counters(watch->owners);
}

size_t watch_hooks(const struct watch *watch,
		   const struct kernel_hook **ret_hooks)
{
	return watch->feed->hooks(watch->object, ret_hooks);
}

struct kernel_sockets_cost watch_cost(const struct watch *watch)
{
	return watch->feed->cost(watch->object);
}

struct kernel_sockets_options watch_limits(const struct watch *watch)
{
	return watch->options.kernel;
}
