/* Frames lent to engine_poll(), and back.
 *
 * Live, a reader of frames that does not keep up must not stop metering: what
 * does not fit goes back to the ring at once and is counted.  From a file
 * nothing is lost: the feed waits for its reader.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "engine/engine_private.h"

void feed_take_back(struct feed *feed)
{
	uint32_t count = ring_fill(&feed->returned);

	for (uint32_t i = 0; i < count; i++) {
		struct engine_frame *lent = ring_item(&feed->returned, i);
		struct source *source = &feed->sources[lent->feed];

		if (source->capture)
			capture_release(source->capture, &lent->frame, 1);
		feed_source_return(feed, source, 1);
	}
	ring_consume(&feed->returned, count);
	feed->lent -= count;
}

/* Waits until 'count' frames fit, if nothing may be lost. */
static uint32_t delivery_room(struct feed *feed, uint32_t count)
{
	struct engine *engine = feed->engine;
	struct timespec pause = {0, 200000};

	while (DELIVERED_COUNT - feed->lent < count && !feed->live &&
	       !atomic_load(&engine->stop)) {
		nanosleep(&pause, NULL);
		feed_take_back(feed);
	}
	return DELIVERED_COUNT - feed->lent;
}

void feed_deliver(struct feed *feed, struct source *source,
		  const struct frame *frames, int count)
{
	uint32_t room;

	if (!feed->engine->options.deliver) {
		capture_release(source->capture, frames, count);
		return;
	}
	feed_take_back(feed);
	room = delivery_room(feed, (uint32_t)count);
	if (room < (uint32_t)count) {
		feed->counts.engine.delivery_dropped += (uint64_t)count;
		capture_release(source->capture, frames, count);
		return;
	}
	for (int i = 0; i < count; i++) {
		struct engine_frame *slot =
			ring_slot(&feed->delivered, (uint32_t)i);

		*slot = (struct engine_frame){
			.frame = frames[i],
			.interface = feed_interface(feed, source,
						    frames[i].interface),
			.feed = feed->index,
			.source = (uint16_t)(source - feed->sources),
		};
	}
	ring_publish(&feed->delivered, (uint32_t)count);
	feed->lent += (uint32_t)count;
	source->lent += (uint32_t)count;
	feed->counts.engine.delivered += (uint64_t)count;
	if (atomic_exchange(&feed->engine->poll_waits, false))
		engine_wake(feed->engine->poll_fd);
}

static int frames_take(struct engine *engine, int max,
		       struct engine_frame *ret_frames)
{
	int taken = 0;

	for (size_t f = 0; f < engine->feed_count && taken < max; f++) {
		struct ring *ring = &engine->feeds[f].delivered;
		uint32_t fill = ring_fill(ring), i;

		for (i = 0; i < fill && taken < max; i++)
			ret_frames[taken++] =
				*(struct engine_frame *)ring_item(ring, i);
		ring_consume(ring, i);
	}
	return taken;
}

static bool feeds_ended(const struct engine *engine)
{
	for (size_t f = 0; f < engine->feed_count; f++) {
		if (!atomic_load(&engine->feeds[f].ended))
			return false;
	}
	return true;
}

int engine_poll(struct engine *engine, int timeout_ms, int max,
		struct engine_frame *ret_frames)
{
	struct pollfd wait = {.fd = engine->poll_fd, .events = POLLIN};
	uint64_t drained;
	bool ended;
	int taken;

	taken = frames_take(engine, max, ret_frames);
	if (taken > 0 || timeout_ms == 0)
		goto out;
	atomic_store(&engine->poll_waits, true);
	taken = frames_take(engine, max, ret_frames);
	if (taken == 0 && !feeds_ended(engine) &&
	    poll(&wait, 1, timeout_ms) > 0)
		(void)!read(engine->poll_fd, &drained, sizeof drained);
	atomic_store(&engine->poll_waits, false);
out:
	ended = feeds_ended(engine); /* before the last look */
	if (taken == 0)
		taken = frames_take(engine, max, ret_frames);
	return taken == 0 && ended ? ERR_END : taken;
}

void engine_release(struct engine *engine, const struct engine_frame *frames,
		    int count)
{
	for (int i = 0; i < count; i++) {
		struct feed *feed = &engine->feeds[frames[i].feed];
		struct engine_frame back = frames[i];

		back.feed = frames[i].source;
		*(struct engine_frame *)ring_slot(&feed->returned, 0) = back;
		ring_publish(&feed->returned, 1);
	}
}
