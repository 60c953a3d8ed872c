/* One batch: decoded and dealt by whoever has time, metered shard by shard.
 *
 * The deal looks at addresses alone, whichever way round: both directions of
 * a flow and all fragments of a datagram meet in one shard.  A shard's packets
 * lie in blocks that are taken as they are needed: any shard may get all.
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

/* What metering reads of a packet that is neither TCP nor out of a tunnel. */
#define PLAIN_SIZE offsetof(struct packet, tcp)

static void packet_copy(struct packet *to, const struct packet *from)
{
	if (from->flags & PACKET_TCP || from->tunnel != TUNNEL_NONE)
		*to = *from;
	else
		memcpy(to, from, PLAIN_SIZE);
}

/* The next free place in the shard's blocks. */
static struct packet *shard_place(struct batch *batch, struct shard *shard)
{
	uint32_t at = shard->count++ % BLOCK;

	if (at == 0) {
		uint16_t block = batch->block_count++;

		if (shard->count == 1)
			shard->first = block;
		else
			batch->block_next[shard->last] = block;
		shard->last = block;
	}
	return &batch->packets[(size_t)shard->last * BLOCK + at];
}

static void packets_deal(struct batch *batch, const struct lane *lane,
			 const struct packet *packets, size_t count)
{
	uint64_t key = lane->engine->shard_key;

	for (size_t i = 0; i < count; i++) {
		uint16_t shard =
			tuple_shard(&packets[i].tuple, key, lane->shard_count);

		batch->shard_of[batch->packet_count++] = (uint8_t)shard;
		packet_copy(shard_place(batch, &batch->shards[shard]),
			    &packets[i]);
	}
}

static void order_note(struct batch *batch, const struct packet *packets,
		       size_t count)
{
	if (batch->packet_count == 0 && count > 0)
		batch->oldest = batch->newest = packets[0].at;
	for (size_t i = 0; i < count; i++) {
		if (wall_before(packets[i].at, batch->newest))
			batch->in_order = false;
		else
			batch->newest = packets[i].at;
	}
}

static struct frame_part frames_part(const struct batch *batch, uint32_t begin,
				     uint32_t count)
{
	return (struct frame_part){
		.source = batch->source,
		.frames = &batch->frames[begin],
		.interfaces = &batch->interfaces[begin],
		.count = count,
		.ordinal = batch->ordinal + begin,
	};
}

/* They go where they belong by a detour through a core's nearest memory:
 * what stays in its own shard is never another core's to wait for. */
static void part_decode(struct batch *batch, const struct lane *lane,
			uint32_t begin, uint32_t count)
{
	struct packet packets[BATCH];
	struct frame_part part = frames_part(batch, begin, count);
	size_t decoded = frames_decode(&part, &batch->counts, packets);

	order_note(batch, packets, decoded);
	packets_deal(batch, lane, packets, decoded);
}

void batch_decode(struct batch *batch, const struct lane *lane)
{
	batch->packet_count = 0;
	batch->block_count = 0;
	batch->in_order = true;
	batch->counts = (struct decode_counts){0};
	memset(batch->shards, 0, lane->shard_count * sizeof *batch->shards);
	if (!lane->engine->options.meter)
		return;
	if (lane->shard_count == 1) {
		struct frame_part all =
			frames_part(batch, 0, batch->frame_count);

		batch->packet_count = (uint32_t)frames_decode(
			&all, &batch->counts, batch->packets);
		return;
	}
	for (uint32_t i = 0; i < batch->frame_count; i += BATCH) {
		uint32_t left = batch->frame_count - i;

		part_decode(batch, lane, i, left < BATCH ? left : BATCH);
	}
}

/* --- metering ----------------------------------------------------------- */

/* Goes through the packets of one shard. */
struct shard_cursor {
	const struct batch *batch;
	uint32_t at; /* packets passed */
	uint16_t block;
};

static const struct packet *shard_next(struct shard_cursor *cursor)
{
	const struct batch *batch = cursor->batch;

	if (cursor->at > 0 && cursor->at % BLOCK == 0)
		cursor->block = batch->block_next[cursor->block];
	return &batch->packets[(size_t)cursor->block * BLOCK +
			       cursor->at++ % BLOCK];
}

/* Another core may have written them: they are called in time. */
static void block_prefetch(const struct packet *packets, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const char *bytes = (const char *)&packets[i];

		__builtin_prefetch(bytes);
		__builtin_prefetch(bytes + 64);
	}
}

static uint32_t block_fill(uint32_t count)
{
	return count < BLOCK ? count : BLOCK;
}

static void shard_meter(struct worker *worker, const struct batch *batch)
{
	const struct shard *shard = &batch->shards[worker->shard];
	uint32_t left = shard->count;
	uint16_t block = shard->first;

	while (left > 0) {
		const struct packet *packets =
			&batch->packets[(size_t)block * BLOCK];
		uint32_t part = block_fill(left);

		left -= part;
		block = batch->block_next[block];
		if (left > 0)
			block_prefetch(&batch->packets[(size_t)block * BLOCK],
				       block_fill(left));
		flow_table_meter(worker->table, packets, part);
	}
}

/* Packet by packet, as one worker alone would see them: what other shards
 * know of the time is news to this one. */
static void disorder_meter(struct worker *worker, const struct batch *batch)
{
	struct shard_cursor cursors[ENGINE_WORKERS_MAX];
	struct timeline *timeline = &worker->timeline;

	for (uint16_t i = 0; i < worker->lane->shard_count; i++)
		cursors[i] =
			(struct shard_cursor){batch, 0, batch->shards[i].first};
	for (uint32_t i = 0; i < batch->packet_count; i++) {
		uint8_t shard = batch->shard_of[i];
		const struct packet *packet = shard_next(&cursors[shard]);
		struct wall before = timeline->newest;

		if (timeline_take(timeline, packet->at)) {
			flow_table_advance(worker->table, before);
			flow_table_rewind(worker->table);
		} else if (shard == worker->shard &&
			   wall_before(packet->at, before)) {
			flow_table_advance(worker->table, before);
		}
		if (shard == worker->shard)
			flow_table_meter(worker->table, packet, 1);
	}
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

	if (batch->packet_count == 0)
		return;
	timeline_source(timeline, batch->source);
	if (worker->lane->shard_count == 1) {
		whole_meter(worker, batch);
		return;
	}
	if (batch->in_order && !wall_before(batch->oldest, timeline->newest)) {
		timeline_take(timeline, batch->oldest);
		timeline_take(timeline, batch->newest);
		shard_meter(worker, batch);
	} else {
		disorder_meter(worker, batch);
	}
	flow_table_advance(worker->table, timeline->newest);
}
