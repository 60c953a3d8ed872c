/* One batch: decoded and dealt by whoever has time, metered shard by shard.
 *
 * The deal looks at addresses alone, whichever way round: both directions of
 * a flow and all fragments of a datagram meet in one shard.  Packets stay
 * where they were decoded; dealt are their places.
 *
 * Every worker follows the packets' clock through all of them, so that a flow
 * ends for the same reason whatever else its shard has seen.  Mostly a batch
 * is in order, and then the clock is its last packet's.
 */
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/engine_private.h"

uint16_t tuple_shard(const struct packet_tuple *tuple, uint64_t key,
		     uint16_t count)
{
	uint64_t words[4];
	uint64_t mixed[2];
	uint64_t hash;

	memcpy(words, tuple->address, sizeof words);
	mixed[0] = words[0] ^ words[2];
	mixed[1] = words[1] ^ words[3];
	hash = XXH3_64bits_withSeed(mixed, sizeof mixed, key);
	return (uint16_t)(((hash >> 32) * count) >> 32);
}

/* --- decoding ----------------------------------------------------------- */

static void order_note(struct batch *batch, const struct packet *packets,
		       size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (wall_before(packets[i].at, batch->newest))
			batch->in_order = false;
		else
			batch->newest = packets[i].at;
	}
}

/* Notes the shards of the packets from 'begin' on, and counts them behind
 * shard_at[shard]. */
static void shards_note(struct batch *batch, const struct lane *lane,
			uint32_t begin)
{
	for (uint32_t i = begin; i < batch->packet_count; i++) {
		uint16_t shard =
			tuple_shard(&batch->packets[i].tuple,
				    lane->engine->shard_key, lane->shard_count);

		batch->shards[i] = (uint8_t)shard;
		batch->shard_at[shard + 1]++;
	}
}

/* From how many to where they begin, and the places in order. */
static void places_deal(struct batch *batch, uint16_t shard_count)
{
	uint16_t at[ENGINE_WORKERS_MAX];

	for (uint16_t i = 0; i < shard_count; i++) {
		at[i] = batch->shard_at[i];
		batch->shard_at[i + 1] += batch->shard_at[i];
	}
	for (uint32_t i = 0; i < batch->packet_count; i++)
		batch->places[at[batch->shards[i]]++] = (uint16_t)i;
}

void batch_decode(struct batch *batch, const struct lane *lane)
{
	bool dealt = lane->shard_count > 1;

	batch->packet_count = 0;
	batch->in_order = true;
	batch->newest = (struct wall){INT64_MIN};
	memset(batch->verdicts, 0, sizeof batch->verdicts);
	memset(batch->shard_at, 0, sizeof batch->shard_at);
	if (!lane->engine->options.meter)
		return;
	for (uint32_t i = 0; i < batch->frame_count; i += BATCH) {
		uint32_t left = batch->frame_count - i;
		uint32_t begin = batch->packet_count;
		size_t count =
			frames_decode(&batch->frames[i], &batch->interfaces[i],
				      left < BATCH ? (int)left : BATCH,
				      batch->verdicts, &batch->packets[begin]);

		batch->packet_count += (uint32_t)count;
		order_note(batch, &batch->packets[begin], count);
		if (dealt)
			shards_note(batch, lane, begin);
	}
	if (dealt)
		places_deal(batch, lane->shard_count);
}

/* --- metering ----------------------------------------------------------- */

/* A part of one shard's packets that waits to be metered. */
struct run {
	const struct batch *batch;
	struct worker *worker;
	uint32_t at;        /* of its places */
	uint32_t count;     /* of them */
	struct wall newest; /* that the table knows of */
};

static void run_meter(struct run *run)
{
	const struct batch *batch = run->batch;

	flow_table_meter_places(run->worker->table, batch->packets,
				batch->places + run->at, run->count);
	run->at += run->count;
	run->count = 0;
}

/* What other shards know of the time is news to this one. */
static void run_advance(struct run *run, struct wall now)
{
	run_meter(run);
	flow_table_advance(run->worker->table, now);
	run->newest = now;
}

static void run_take(struct run *run, const struct packet *packet,
		     struct wall before)
{
	if (wall_before(packet->at, before) && wall_before(run->newest, before))
		run_advance(run, before);
	if (wall_before(run->newest, packet->at))
		run->newest = packet->at;
	run->count++;
}

/* Packet by packet, as one worker alone would see them. */
static void disorder_meter(struct worker *worker, const struct batch *batch)
{
	struct timeline *timeline = &worker->timeline;
	struct run run = {batch, worker, batch->shard_at[worker->shard], 0,
			  timeline->newest};

	for (uint32_t i = 0; i < batch->packet_count; i++) {
		const struct packet *packet = &batch->packets[i];
		struct wall before = timeline->newest;

		if (timeline_take(timeline, packet->at)) {
			run_advance(&run, before);
			flow_table_rewind(worker->table);
			run.newest = before = packet->at;
		}
		if (batch->shards[i] == worker->shard)
			run_take(&run, packet, before);
	}
	run_meter(&run);
}

/* All packets are one shard's. */
static void whole_meter(struct worker *worker, const struct batch *batch)
{
	const struct packet *packets = batch->packets;
	size_t count = batch->packet_count;

	while (count > 0) {
		bool rewind;
		size_t part = timeline_part(&worker->timeline, packets, count,
					    &rewind);

		if (rewind)
			flow_table_rewind(worker->table);
		flow_table_meter(worker->table, packets, part);
		packets += part;
		count -= part;
	}
}

void batch_meter(struct worker *worker, const struct batch *batch)
{
	struct timeline *timeline = &worker->timeline;
	uint32_t begin = batch->shard_at[worker->shard];

	if (batch->packet_count == 0)
		return;
	timeline_source(timeline, batch->source);
	if (worker->lane->shard_count == 1) {
		whole_meter(worker, batch);
		return;
	}
	if (batch->in_order &&
	    !wall_before(batch->packets[0].at, timeline->newest)) {
		timeline_take(timeline, batch->packets[0].at);
		timeline_take(timeline, batch->newest);
		flow_table_meter_places(
			worker->table, batch->packets, batch->places + begin,
			batch->shard_at[worker->shard + 1] - begin);
	} else {
		disorder_meter(worker, batch);
	}
	flow_table_advance(worker->table, timeline->newest);
}
