/* One batch of a lane, on its way to the tables.
 *
 * A file's frames are dealt by their addresses alone, whichever way round:
 * both directions of a flow and all fragments of a datagram meet in one
 * shard.  Of a plain frame these are read where they always are; the others
 * are decoded to know them.  A shard's part lies in blocks that are taken as
 * they are needed (any shard may get all) and is decoded by who meters it, a
 * block at a time: so what goes from one core to another is where a frame is,
 * and its first bytes.
 *
 * Every worker follows the packets' clock through all of them, so that a flow
 * ends for the same reason whatever else its shard has seen.  Mostly a batch
 * is in order, and then the clock is its last packet's.
 *
 * An interface's batch is one worker's from the start.
 */
#include <string.h>

#include "engine/engine_private.h"

/* One side's share: random, and never mind which bits are set. */
static inline uint64_t address_mix(const uint8_t address[16],
				   const struct shard_key *key)
{
	uint64_t words[2];

	memcpy(words, address, sizeof words);
	return (words[0] ^ key->words[0]) * (key->words[1] | 1) +
	       (words[1] ^ key->words[2]) * (key->words[3] | 1);
}

/* A product is the same either way round, and both its factors are secret. */
uint16_t address_shard(const uint8_t address[2][16],
		       const struct shard_key *key, uint16_t count)
{
	__extension__ typedef unsigned __int128 product;
	uint64_t a = address_mix(address[0], key);
	uint64_t b = address_mix(address[1], key);
	product ab = (product)(a ^ a >> 32) * (b ^ b >> 32);
	uint64_t hash = (uint64_t)(ab >> 64) ^ (uint64_t)ab;

	hash ^= hash >> 32;
	return (uint16_t)(((hash & UINT32_MAX) * count) >> 32);
}

/* --- dealing ------------------------------------------------------------ */

/* The next free place in the shard's blocks. */
static size_t part_place(struct batch *batch, struct part *part)
{
	uint32_t at = part->count++ % BLOCK;

	if (at == 0) {
		uint16_t block = batch->block_count++;

		if (part->count == 1)
			part->first = block;
		else
			batch->block_next[part->last] = block;
		part->last = block;
	}
	return (size_t)part->last * BLOCK + at;
}

static void order_note(struct batch *batch, struct wall at)
{
	if (batch->packet_count == 0)
		batch->oldest = batch->newest = at;
	if (wall_before(at, batch->newest))
		batch->in_order = false;
	else
		batch->newest = at;
}

static size_t input_deal(struct batch *batch, const struct lane *lane,
			 const struct packet_input *input,
			 const uint8_t address[2][16])
{
	uint16_t shard = address_shard(address, &lane->engine->shard_key,
				       lane->shard_count);
	size_t place = part_place(batch, &batch->parts[shard]);

	order_note(batch, input->at);
	batch->shard_of[batch->packet_count++] = (uint8_t)shard;
	batch->inputs[place] = *input;
	return place;
}

static __attribute__((noinline)) enum verdict
odd_deal(struct batch *batch, const struct lane *lane,
	 const struct packet_input *input)
{
	struct packet packet;
	enum verdict verdict = packet_decode(input, &packet);
	size_t place;

	if (verdict != VERDICT_OK)
		return verdict;
	place = input_deal(batch, lane, input, packet.tuple.address);
	batch->inputs[place].bytes = NULL;
	batch->packets[place] = packet;
	return VERDICT_OK;
}

static enum verdict frame_deal(struct batch *batch, const struct lane *lane,
			       const struct packet_input *input)
{
	uint8_t address[2][16];

	if (!packet_addresses(input, address))
		return odd_deal(batch, lane, input);
	(void)input_deal(batch, lane, input, address);
	return VERDICT_OK;
}

static void batch_reset(struct batch *batch)
{
	batch->packet_count = 0;
	batch->block_count = 0;
	batch->in_order = true;
	batch->counts = (struct decode_counts){0};
}

void batch_deal(struct batch *batch, const struct lane *lane)
{
	struct decode_counts *counts = &batch->counts;
	struct sampler sampler = batch->source->sampler;

	batch_reset(batch);
	for (uint16_t i = 0; i < lane->shard_count; i++)
		batch->parts[i].count = 0;
	if (!lane->engine->options.meter)
		return;
	for (uint32_t i = 0; i < batch->frame_count; i++) {
		struct packet_input input =
			frame_input(&batch->frames[i], batch->interfaces[i]);

		if (i + DECODE_AHEAD < batch->frame_count)
			frame_prefetch(batch->frames[i + DECODE_AHEAD].bytes);
		if (!sampler_takes(&sampler, batch->ordinal + i))
			counts->not_selected++;
		else
			counts->verdicts[frame_deal(batch, lane, &input)]++;
	}
	counts->selected = batch->frame_count - counts->not_selected;
	counts->decoded = batch->packet_count;
}

/* --- decoding ----------------------------------------------------------- */

#define INPUT_AHEAD 8 /* another core may have their bytes */

/* As many as are left of the part, up to a block. */
static uint32_t block_fill(uint32_t count)
{
	return count < BLOCK ? count : BLOCK;
}

static void input_decode(const struct batch *batch, size_t place,
			 struct packet *ret_packet)
{
	const struct packet_input *input = &batch->inputs[place];

	if (!input->bytes)
		*ret_packet = batch->packets[place];
	else
		(void)packet_decode(input, ret_packet);
}

static void block_decode(const struct batch *batch, uint16_t block,
			 uint32_t count, struct packet *ret_packets)
{
	size_t begin = (size_t)block * BLOCK;

	for (uint32_t i = 0; i < count; i++) {
		if (i + INPUT_AHEAD < count)
			frame_prefetch(
				batch->inputs[begin + i + INPUT_AHEAD].bytes);
		input_decode(batch, begin + i, &ret_packets[i]);
	}
}

/* The next block's inputs, and the first bytes that they point to. */
static void block_expect(const struct batch *batch, uint16_t block,
			 uint32_t count)
{
	const struct packet_input *inputs =
		&batch->inputs[(size_t)block * BLOCK];

	for (uint32_t i = 0; i < count; i += 2)
		__builtin_prefetch(&inputs[i]);
}

void part_decode(struct batch *batch, uint16_t shard)
{
	uint32_t left = batch->parts[shard].count;
	uint16_t block = batch->parts[shard].first;

	while (left > 0) {
		uint32_t count = block_fill(left);
		size_t begin = (size_t)block * BLOCK;

		left -= count;
		for (size_t i = begin; i < begin + count; i++) {
			if (batch->inputs[i].bytes)
				input_decode(batch, i, &batch->packets[i]);
		}
		block = batch->block_next[block];
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

void batch_decode(struct batch *batch, const struct engine *engine)
{
	struct frame_part all = frames_part(batch, 0, batch->frame_count);

	batch_reset(batch);
	if (engine->options.meter)
		batch->packet_count = (uint32_t)frames_decode(
			&all, &batch->counts, batch->packets);
	batch->raw = false;
}

/* --- metering ----------------------------------------------------------- */

/* Another core may have written them: they are called in time. */
static void block_prefetch(const struct packet *packets, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const char *bytes = (const char *)&packets[i];

		__builtin_prefetch(bytes);
		__builtin_prefetch(bytes + 64);
	}
}

static void order_meter(struct worker *worker, const struct batch *batch,
			bool decoded)
{
	const struct part *part = &batch->parts[worker->shard];
	uint32_t left = part->count;
	uint16_t block = part->first;

	while (left > 0) {
		const struct packet *packets =
			&batch->packets[(size_t)block * BLOCK];
		struct packet own[BLOCK];
		uint32_t count = block_fill(left);
		uint16_t next = batch->block_next[block];

		left -= count;
		if (!decoded) {
			block_expect(batch, next, block_fill(left));
			block_decode(batch, block, count, own);
			packets = own;
		} else if (left > 0) {
			block_prefetch(&batch->packets[(size_t)next * BLOCK],
				       block_fill(left));
		}
		flow_table_meter(worker->table, packets, count);
		block = next;
	}
}

/* Goes through the packets of one shard. */
struct part_cursor {
	uint32_t at; /* packets passed */
	uint16_t block;
};

static size_t part_next(const struct batch *batch, struct part_cursor *cursor)
{
	if (cursor->at > 0 && cursor->at % BLOCK == 0)
		cursor->block = batch->block_next[cursor->block];
	return (size_t)cursor->block * BLOCK + cursor->at++ % BLOCK;
}

static void one_meter(struct worker *worker, const struct batch *batch,
		      size_t place, bool decoded)
{
	struct packet own;

	if (decoded) {
		flow_table_meter(worker->table, &batch->packets[place], 1);
		return;
	}
	input_decode(batch, place, &own);
	flow_table_meter(worker->table, &own, 1);
}

/* Packet by packet, as one worker alone would see them: what other shards
 * know of the time is news to this one. */
static void disorder_meter(struct worker *worker, const struct batch *batch,
			   bool decoded)
{
	struct part_cursor cursors[ENGINE_WORKERS_MAX];
	struct timeline *timeline = &worker->timeline;

	for (uint16_t i = 0; i < worker->lane->shard_count; i++)
		cursors[i] = (struct part_cursor){0, batch->parts[i].first};
	for (uint32_t i = 0; i < batch->packet_count; i++) {
		uint8_t shard = batch->shard_of[i];
		size_t place = part_next(batch, &cursors[shard]);
		struct wall at = batch->inputs[place].at;
		struct wall before = timeline->newest;

		if (timeline_take(timeline, at)) {
			flow_table_advance(worker->table, before);
			flow_table_rewind(worker->table);
		} else if (shard == worker->shard && wall_before(at, before)) {
			flow_table_advance(worker->table, before);
		}
		if (shard == worker->shard)
			one_meter(worker, batch, place, decoded);
	}
}

void part_meter(struct worker *worker, const struct batch *batch, bool decoded)
{
	struct timeline *timeline = &worker->timeline;

	if (batch->packet_count == 0)
		return;
	timeline_source(timeline, batch->source);
	if (batch->in_order && !wall_before(batch->oldest, timeline->newest)) {
		timeline_take(timeline, batch->oldest);
		timeline_take(timeline, batch->newest);
		order_meter(worker, batch, decoded);
	} else {
		disorder_meter(worker, batch, decoded);
	}
	flow_table_advance(worker->table, timeline->newest);
}

void batch_meter(struct worker *worker, struct batch *batch)
{
	struct packet packets[BATCH];

	timeline_source(&worker->timeline, batch->source);
	if (!batch->raw) {
		worker_meter(worker, batch->packets, batch->packet_count);
		return;
	}
	batch_reset(batch);
	for (uint32_t i = 0; i < batch->frame_count; i += BATCH) {
		uint32_t left = batch->frame_count - i;
		struct frame_part part =
			frames_part(batch, i, left < BATCH ? left : BATCH);

		worker_meter(worker, packets,
			     frames_decode(&part, &batch->counts, packets));
	}
}
