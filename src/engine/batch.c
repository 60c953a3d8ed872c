/* One batch of a lane, on its way to the tables.
 *
 * A file's frames are decoded and dealt by their addresses, whichever way
 * round: both directions of a flow and all fragments of a datagram meet in one
 * shard.  A shard's part lies in blocks that are taken as they are needed (any
 * shard may get all).  What goes from one core to another is one cache line a
 * packet, or all of it where it is not plain.
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
static inline uint64_t address_mix(uint64_t low, uint64_t high,
				   const struct shard_key *key)
{
	return (low ^ key->words[0]) * (key->words[1] | 1) +
	       (high ^ key->words[2]) * (key->words[3] | 1);
}

/* A product is the same either way round, and both its factors are secret. */
static inline uint16_t shares_shard(uint64_t a, uint64_t b, uint16_t count)
{
	__extension__ typedef unsigned __int128 product;
	product ab = (product)(a ^ a >> 32) * (b ^ b >> 32);
	uint64_t hash = (uint64_t)(ab >> 64) ^ (uint64_t)ab;

	hash ^= hash >> 32;
	return (uint16_t)(((hash & UINT32_MAX) * count) >> 32);
}

uint16_t address_shard(const uint8_t address[2][16],
		       const struct shard_key *key, uint16_t count)
{
	uint64_t words[4];

	memcpy(words, address, sizeof words);
	return shares_shard(address_mix(words[0], words[1], key),
			    address_mix(words[2], words[3], key), count);
}

/* The same of the first four bytes each, the others being 0. */
static inline uint16_t address4_shard(const uint32_t address[2],
				      const struct shard_key *key,
				      uint16_t count)
{
	uint64_t words[2] = {0, 0};

	memcpy(&words[0], &address[0], 4);
	memcpy(&words[1], &address[1], 4);
	return shares_shard(address_mix(words[0], 0, key),
			    address_mix(words[1], 0, key), count);
}

/* --- dealing ------------------------------------------------------------ */

/* Begins a block: from the end for the shard of who deals, whose lines then
 * stay in the cache. */
static void part_extend(struct batch *batch, struct part *part, bool own)
{
	uint16_t block = own ? (uint16_t)(BLOCK_MAX - 1 - batch->own_count++)
			     : batch->block_count++;

	if (part->count == 1)
		part->first = block;
	else
		batch->block_next[part->last] = block;
	part->last = block;
}

#define GROUP 64 /* frames that are decoded, then dealt */

struct deal {
	struct batch *batch;
	struct deal_block *blocks; /* by shard: the one that fills */
	struct shard_key key;
	uint16_t shard_count;
	uint16_t own;        /* shard */
	bool tcp_whole;      /* segments go as they are decoded */
	uint32_t wide_count; /* packets that do */
	uint32_t packet_count;
	bool in_order;
	struct wall oldest;
	struct wall newest;
};

/* Of a brief: tells that the packet is elsewhere. */
static inline bool brief_wide(const struct packet_brief *brief)
{
	return brief->tuple[offsetof(struct packet_tuple, ip_version) -
			    BRIEF_TUPLE] == 0;
}

/* Copies the first 'count' of the shard's block to where they are read. */
static __attribute__((noinline)) void block_send(const struct deal *deal,
						 uint16_t shard, uint32_t count)
{
	const struct packet_brief *from = deal->blocks[shard].briefs;
	struct packet_brief *to =
		&deal->batch->briefs[(size_t)deal->batch->parts[shard].last *
				     BLOCK];

	if (shard == deal->own)
		memcpy(to, from, count * sizeof *from);
	else
		packet_briefs_send(from, count, to);
}

/* What is not on the shortest road. */
static __attribute__((noinline)) enum verdict
odd_decode(struct deal *deal, const struct packet_input *input,
	   struct packet_brief *ret_brief)
{
	struct packet packet;
	enum verdict verdict = packet_decode(input, &packet);

	if (verdict != VERDICT_OK)
		return verdict;
	if (packet_brief_able(&packet) &&
	    !(deal->tcp_whole && packet.flags & PACKET_TCP)) {
		packet_brief_make(&packet, ret_brief);
		return VERDICT_OK;
	}
	*ret_brief = (struct packet_brief){
		.at = packet.at,
		.address = {deal->wide_count,
			    address_shard(packet.tuple.address, &deal->key,
					  deal->shard_count)}};
	deal->batch->packets[deal->wide_count++] = packet;
	return VERDICT_OK;
}

/* Decodes the batch's frames from 'begin' to 'end'; returns how many are
 * packets. */
static uint32_t group_decode(struct deal *deal, struct sampler *sampler,
			     uint32_t begin, uint32_t end,
			     struct packet_brief *ret_briefs)
{
	struct batch *batch = deal->batch;
	struct decode_counts *counts = &batch->counts;
	uint32_t count = 0;

	for (uint32_t i = begin; i < end; i++) {
		struct packet_input input;
		enum verdict verdict = VERDICT_OK;

		if (i + DECODE_AHEAD < batch->frame_count)
			frame_prefetch(batch->frames[i + DECODE_AHEAD].bytes);
		if (!sampler_takes(sampler, batch->ordinal + i)) {
			counts->not_selected++;
			continue;
		}
		frame_input(&batch->frames[i], batch->interfaces[i], &input);
		if (__builtin_expect(
			    deal->tcp_whole ||
				    !packet_brief_decode(&input,
							 &ret_briefs[count]),
			    0))
			verdict = odd_decode(deal, &input, &ret_briefs[count]);
		if (__builtin_expect(verdict == VERDICT_OK, 1))
			count++;
		else
			counts->verdicts[verdict]++;
	}
	return count;
}

/* Which shard a packet is for can't be foretold: nothing branches on it but
 * that a block is full. */
static void group_place(struct deal *deal, const struct packet_brief *briefs,
			uint32_t count)
{
	struct batch *batch = deal->batch;
	struct deal_block *blocks = deal->blocks;
	uint8_t *shards = &batch->shard_of[deal->packet_count];
	const struct shard_key key = deal->key;
	uint16_t shard_count = deal->shard_count;
	struct wall newest = deal->newest;
	bool in_order = deal->in_order;

	for (uint32_t i = 0; i < count; i++) {
		uint16_t shard = __builtin_expect(brief_wide(&briefs[i]), 0)
					 ? (uint16_t)briefs[i].address[1]
					 : address4_shard(briefs[i].address,
							  &key, shard_count);
		struct part *part = &batch->parts[shard];
		uint32_t at = part->count++ % BLOCK;

		shards[i] = (uint8_t)shard;
		in_order &= !wall_before(briefs[i].at, newest);
		newest.ns = wall_before(newest, briefs[i].at) ? briefs[i].at.ns
							      : newest.ns;
		blocks[shard].briefs[at] = briefs[i];
		if (__builtin_expect(at == 0, 0))
			part_extend(batch, part, shard == deal->own);
		if (__builtin_expect(at == BLOCK - 1, 0))
			block_send(deal, shard, BLOCK);
	}
	deal->newest = newest;
	deal->in_order = in_order;
	deal->packet_count += count;
}

static void frames_deal(struct deal *deal)
{
	struct batch *batch = deal->batch;
	struct sampler sampler = batch->source->sampler;
	struct packet_brief briefs[GROUP];

	for (uint32_t i = 0; i < batch->frame_count; i += GROUP) {
		uint32_t left = batch->frame_count - i, count;

		count = group_decode(deal, &sampler, i,
				     i + (left < GROUP ? left : GROUP), briefs);
		if (deal->packet_count == 0 && count > 0)
			deal->oldest = deal->newest = briefs[0].at;
		group_place(deal, briefs, count);
	}
}

static void batch_reset(struct batch *batch)
{
	batch->packet_count = 0;
	batch->block_count = 0;
	batch->own_count = 0;
	batch->counts = (struct decode_counts){0};
}

void batch_deal(struct batch *batch, const struct lane *lane, uint16_t own,
		struct deal_block *blocks)
{
	struct decode_counts *counts = &batch->counts;
	struct deal deal = {.batch = batch,
			    .key = lane->engine->shard_key,
			    .shard_count = lane->shard_count,
			    .own = own,
			    .blocks = blocks,
			    .tcp_whole = lane->engine->options.flow.tcp_metrics,
			    .in_order = true};

	batch_reset(batch);
	for (uint16_t i = 0; i < lane->shard_count; i++)
		batch->parts[i].count = 0;
	if (!lane->engine->options.meter)
		return;
	frames_deal(&deal);
	for (uint16_t i = 0; i < lane->shard_count; i++)
		block_send(&deal, i, batch->parts[i].count % BLOCK);
	packet_briefs_sent();
	batch->packet_count = deal.packet_count;
	batch->in_order = deal.in_order;
	batch->oldest = deal.oldest;
	batch->newest = deal.newest;
	counts->verdicts[VERDICT_OK] = deal.packet_count;
	counts->decoded = deal.packet_count;
	counts->selected = batch->frame_count - counts->not_selected;
}

/* --- decoding ----------------------------------------------------------- */

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

static inline void place_open(const struct batch *batch, size_t place,
			      struct packet *ret_packet)
{
	const struct packet_brief *brief = &batch->briefs[place];

	if (__builtin_expect(brief_wide(brief), 0))
		*ret_packet = batch->packets[brief->address[0]];
	else
		packet_brief_open(brief, ret_packet);
}

/* As many as are left of the part, up to a block. */
static uint32_t block_fill(uint32_t count)
{
	return count < BLOCK ? count : BLOCK;
}

/* Block by block; each packet calls its neighbour in the next one, which
 * another core may have written. */
static void order_meter(struct worker *worker, const struct batch *batch)
{
	const struct part *part = &batch->parts[worker->shard];
	struct packet packets[BLOCK];
	uint16_t block = part->first;
	uint32_t left = part->count;

	while (left > 0) {
		uint32_t count = block_fill(left);
		size_t begin = (size_t)block * BLOCK;

		left -= count;
		if (left > 0)
			block = batch->block_next[block];
		for (uint32_t i = 0; i < count; i++) {
			__builtin_prefetch(
				&batch->briefs[(size_t)block * BLOCK + i]);
			place_open(batch, begin + i, &packets[i]);
		}
		flow_table_meter(worker->table, packets, count);
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

/* Packet by packet, as one worker alone would see them: what other shards
 * know of the time is news to this one. */
static void disorder_meter(struct worker *worker, const struct batch *batch)
{
	struct part_cursor cursors[ENGINE_WORKERS_MAX];
	struct timeline *timeline = &worker->timeline;

	for (uint16_t i = 0; i < worker->lane->shard_count; i++)
		cursors[i] = (struct part_cursor){0, batch->parts[i].first};
	for (uint32_t i = 0; i < batch->packet_count; i++) {
		uint8_t shard = batch->shard_of[i];
		size_t place = part_next(batch, &cursors[shard]);
		struct wall at = batch->briefs[place].at;
		struct wall before = timeline->newest;

		if (timeline_take(timeline, at)) {
			flow_table_advance(worker->table, before);
			flow_table_rewind(worker->table);
		} else if (shard == worker->shard && wall_before(at, before)) {
			flow_table_advance(worker->table, before);
		}
		if (shard == worker->shard) {
			struct packet own;

			place_open(batch, place, &own);
			flow_table_meter(worker->table, &own, 1);
		}
	}
}

void part_meter(struct worker *worker, const struct batch *batch)
{
	struct timeline *timeline = &worker->timeline;

	if (batch->packet_count == 0)
		return;
	timeline_source(timeline, batch->source);
	if (batch->in_order && !wall_before(batch->oldest, timeline->newest)) {
		timeline_take(timeline, batch->oldest);
		timeline_take(timeline, batch->newest);
		order_meter(worker, batch);
	} else {
		disorder_meter(worker, batch);
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
