/* The thread of a sender.  Trips leave it by a ring, so that nothing that is
 * done with them (a screen, a database) is between two packets. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ring.h"
#include "engine/engine.h"

#define PUBLISH_NS 20000000

struct path {
	struct path_options options;
	struct watcher *watcher;
	struct sender *sender;
	struct ring trips;
	int wake_fd;
	pthread_t thread;
	bool started;
	atomic_bool ended, waits;
	atomic_ullong lost;
	struct mono published_at;

	pthread_mutex_t lock;
	struct sender_counters published; /* under 'lock' */
	point_set points;                 /* under 'lock' */
};

static void trip_push(void *context, const struct trip *trip)
{
	struct path *path = context;

	if (ring_room(&path->trips) == 0) {
		atomic_fetch_add(&path->lost, 1);
		return;
	}
	*(struct trip *)ring_slot(&path->trips, 0) = *trip;
	ring_publish(&path->trips, 1);
}

static void wake(struct path *path)
{
	uint64_t one = 1;

	(void)!write(path->wake_fd, &one, sizeof one);
}

static void publish(struct path *path, bool always)
{
	struct mono now = mono_now();

	if (!always && mono_ns_between(path->published_at, now) < PUBLISH_NS)
		return;
	path->published_at = now;
	pthread_mutex_lock(&path->lock);
	path->published = sender_counters(path->sender);
	path->points = sender_points(path->sender);
	pthread_mutex_unlock(&path->lock);
}

/* What is not permitted stays as it is: the ledger of slots tells. */
static void thread_place(const struct path_options *options)
{
	struct sched_param priority = {.sched_priority = 1};
	cpu_set_t set;

	if (options->cpu != PATH_CPU_ANY) {
		CPU_ZERO(&set);
		CPU_SET((unsigned)options->cpu, &set);
		(void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
	}
	if (options->realtime)
		(void)pthread_setschedparam(pthread_self(), SCHED_FIFO,
					    &priority);
}

static void *path_main(void *argument)
{
	struct path *path = argument;

	thread_place(&path->options);
	(void)watcher_sender(path->watcher, path->sender,
			     path->options.sender.remote);
	(void)privileges_drop();
	while (sender_turn(path->sender) == 1) {
		publish(path, false);
		if (atomic_load_explicit(&path->waits, memory_order_relaxed) &&
		    atomic_exchange(&path->waits, false))
			wake(path);
	}
	publish(path, true);
	atomic_store(&path->ended, true);
	wake(path);
	return NULL;
}

/* The reflector is asked for what this host would have in its place. */
static point_set points_of_tier(enum tier tier)
{
	point_set set = 0;

	for (int point = 0; point < POINT_COUNT; point++) {
		if (point_rows[point].tier <= tier)
			set |= POINT_BIT(point <= POINT_SENT_HW ? LEG_BACK
								: LEG_FORWARD,
					 point);
	}
	return set;
}

static int watcher_make(struct path *path, struct fault *ret_fault)
{
	struct sender_options *sender = &path->options.sender;
	struct watcher_options options = {
		.tier = path->options.tier,
		.forced = path->options.tier_forced,
		.points = {.echo = sender->echo,
			   .keyed = sender->key != NULL,
			   .even_only = sender->interleave},
	};
	int rc = watcher_open(&options, &path->watcher, ret_fault);

	if (rc < 0)
		return rc;
	sender->watch = watcher_probe(path->watcher);
	if (sender->watch)
		sender->wanted = points_of_tier(watcher_tier(path->watcher));
	return 0;
}

static int parts_make(struct path *path, struct fault *ret_fault)
{
	int rc = ring_init(&path->trips, sizeof(struct trip), PATH_TRIPS_COUNT);

	path->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (rc == 0 && path->wake_fd < 0)
		rc = -errno;
	if (rc < 0)
		return fault_set(ret_fault, rc, "%s", err_sentence(rc));
	rc = watcher_make(path, ret_fault);
	if (rc == 0)
		rc = sender_create(&path->options.sender, &path->sender,
				   ret_fault);
	if (rc < 0)
		return rc;
	rc = -pthread_create(&path->thread, NULL, path_main, path);
	path->started = rc == 0;
	return rc < 0 ? fault_set(ret_fault, rc, "a thread: %s",
				  err_sentence(rc))
		      : 0;
}

int path_start(const struct path_options *options, struct path **ret_path,
	       struct fault *ret_fault)
{
	struct path *path = calloc(1, sizeof *path);
	int rc;

	if (!path)
		return fault_set(ret_fault, -ENOMEM, "%s",
				 err_sentence(-ENOMEM));
	path->options = *options;
	path->options.sender.emit = trip_push;
	path->options.sender.context = path;
	path->wake_fd = -1;
	pthread_mutex_init(&path->lock, NULL);
	rc = parts_make(path, ret_fault);
	if (rc < 0) {
		path_destroy(path);
		return rc;
	}
	*ret_path = path;
	return 0;
}

void path_stop(struct path *path)
{
	sender_stop(path->sender);
}

void path_destroy(struct path *path)
{
	if (!path)
		return;
	if (path->started) {
		path_stop(path);
		pthread_join(path->thread, NULL);
	}
	sender_destroy(path->sender);
	watcher_close(path->watcher);
	ring_fini(&path->trips);
	if (path->wake_fd >= 0)
		close(path->wake_fd);
	pthread_mutex_destroy(&path->lock);
	free(path);
}

static int trips_take(struct path *path,
		      void (*trip)(void *context, const struct trip *trip),
		      void *context)
{
	uint32_t fill = ring_fill(&path->trips);

	for (uint32_t i = 0; i < fill; i++)
		trip(context, ring_item(&path->trips, i));
	ring_consume(&path->trips, fill);
	return (int)fill;
}

int path_collect(struct path *path, int timeout_ms,
		 void (*trip)(void *context, const struct trip *trip),
		 void *context)
{
	struct pollfd wait = {path->wake_fd, POLLIN, 0};
	bool ended = atomic_load(&path->ended); /* before the last look */
	int count = trips_take(path, trip, context);
	uint64_t drained;

	if (count > 0 || ended)
		return count > 0 ? count : ERR_END;
	atomic_store(&path->waits, true);
	if (poll(&wait, 1, timeout_ms) > 0)
		(void)!read(path->wake_fd, &drained, sizeof drained);
	atomic_store(&path->waits, false);
	return trips_take(path, trip, context);
}

struct sender_counters path_counters(struct path *path)
{
	struct sender_counters counters;

	pthread_mutex_lock(&path->lock);
	counters = path->published;
	pthread_mutex_unlock(&path->lock);
	return counters;
}

point_set path_points(struct path *path)
{
	point_set points;

	pthread_mutex_lock(&path->lock);
	points = path->points;
	pthread_mutex_unlock(&path->lock);
	return points;
}

const struct sender *path_sender(const struct path *path)
{
	return path->sender;
}

const struct watcher *path_watcher(const struct path *path)
{
	return path->watcher;
}

uint64_t path_trips_lost(struct path *path)
{
	return atomic_load(&path->lost);
}
