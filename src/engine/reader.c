/* Files with several workers: one thread reads and decodes, and deals each
 * packet to the worker that owns its addresses.  The deal looks at addresses
 * alone, whichever way round: both directions of a flow and all fragments of
 * a datagram meet in one shard.
 *
 * Every packet finds the time that it would find in the only shard: one that
 * is stamped earlier than the latest so far comes behind a word on that. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/engine_private.h"

uint16_t tuple_shard(const struct packet_tuple *tuple, uint16_t count)
{
	uint64_t words[4];
	uint64_t mixed[2];

	memcpy(words, tuple->address, sizeof words);
	mixed[0] = words[0] ^ words[2];
	mixed[1] = words[1] ^ words[3];
	return (uint16_t)(XXH3_64bits(mixed, sizeof mixed) % count);
}

static void deal(struct worker *worker, const struct packet *packet)
{
	struct timespec pause = {0, 50000};

	while (ring_room(&worker->dealt) == 0) {
		engine_wake(worker->wake_fd);
		nanosleep(&pause, NULL);
	}
	*(struct packet *)ring_slot(&worker->dealt, 0) = *packet;
	ring_publish(&worker->dealt, 1);
}

static void time_deal(struct engine *engine, struct wall now, bool rewind)
{
	struct packet time = {.at = now, .packets = rewind};

	for (size_t i = 0; i < engine->worker_count; i++) {
		deal(&engine->workers[i], &time);
		engine->workers[i].dealt_until =
			rewind ? (struct wall){0} : now;
	}
}

/* *now: the latest stamp so far. */
static void packet_deal(struct engine *engine, struct packet *packet,
			struct wall *now)
{
	uint16_t shard =
		tuple_shard(&packet->tuple, (uint16_t)engine->worker_count);
	struct worker *worker = &engine->workers[shard];

	if (wall_before(*now, packet->at))
		*now = packet->at;
	if (wall_before(packet->at, *now) &&
	    wall_before(worker->dealt_until, *now))
		deal(worker, &(struct packet){.at = *now});
	worker->dealt_until = *now;
	packet->bytes = NULL; /* given back already */
	deal(worker, packet);
}

static void packets_deal(struct reader *reader, struct packet *packets,
			 size_t count)
{
	struct engine *engine = reader->engine;

	while (count > 0) {
		struct wall before = reader->feed->newest;
		struct wall now = before;
		bool rewind;
		size_t part =
			feed_timeline(reader->feed, packets, count, &rewind);

		if (rewind) {
			time_deal(engine, before, true);
			now = packets[0].at;
		}
		for (size_t i = 0; i < part; i++)
			packet_deal(engine, &packets[i], &now);
		packets += part;
		count -= part;
	}
}

static int reader_turn(struct reader *reader)
{
	struct frame frames[BATCH];
	struct packet packets[BATCH];
	struct source *source;
	int count = feed_next(reader->feed, frames, &source);
	size_t decoded;

	if (count <= 0)
		return count;
	decoded = feed_decode(reader->feed, source, frames, count, packets);
	feed_deliver(reader->feed, source, frames, count);
	packets_deal(reader, packets, decoded);
	return count;
}

void *reader_main(void *argument)
{
	struct reader *reader = argument;
	struct engine *engine = reader->engine;
	int count = 0;

	while (count != ERR_END && !atomic_load(&engine->stop)) {
		count = reader_turn(reader);
		feed_publish(reader->feed, false);
		for (size_t i = 0; i < engine->worker_count; i++)
			engine_wake(engine->workers[i].wake_fd);
	}
	time_deal(engine, reader->feed->newest, false);
	atomic_store(&reader->feed->ended, true);
	feed_publish(reader->feed, true);
	engine_wake(engine->poll_fd);
	for (size_t i = 0; i < engine->worker_count; i++) {
		atomic_store(&engine->workers[i].dealt_ended, true);
		engine_wake(engine->workers[i].wake_fd);
	}
	return NULL;
}
