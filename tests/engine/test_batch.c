/* One batch of a file: decoded and dealt to shards. */
#include "check.h"

#include <stdlib.h>

#include "../packet/same.h"
#include "engine/engine_private.h"

#define SHARDS 3
#define KINDS  5 /* of frames, below */
#define FRAMES 1000
#define SIZE   80

static struct engine engine;
static struct lane lane;
static struct source source;
static struct batch *batch;
static struct deal_block blocks[SHARDS];
static uint8_t bytes[FRAMES][SIZE];

/* Plain UDP, the same back, under a tag, a fragment without ports, and one
 * that is no IP at all. */
static void frame_make(uint32_t i)
{
	static const uint8_t ethernet[] = {2, 0, 0, 0, 0, 2, 2,
					   0, 0, 0, 0, 1, 8, 0};
	static const uint8_t tag[] = {0x81, 0, 0, 7, 8, 0};
	uint32_t kind = i % KINDS, flow = i / KINDS % 50;
	uint8_t ip[46] = {0x45, 0, 0, 46, 0, 1, 0, 0, 64, 17, 0, 0};
	uint8_t ends[2][4] = {{10, 0, 0, (uint8_t)flow}, {192, 0, 2, 1}};
	uint8_t *to = bytes[i];

	memcpy(to, ethernet, sizeof ethernet);
	to += sizeof ethernet;
	memcpy(ip + 12, ends[kind == 1], 4);
	memcpy(ip + 16, ends[kind != 1], 4);
	memcpy(ip + 20, (uint8_t[]){0x40, 1, 0, 53, 0, 26}, 6);
	if (kind == 2) {
		memcpy(to - 2, tag, sizeof tag);
		to += 4;
	} else if (kind == 3) {
		ip[7] = 4;
	} else if (kind == 4) {
		to[-1] = 6; /* ARP's */
	}
	memcpy(to, ip, sizeof ip);
	batch->frames[i] = (struct frame){
		.bytes = bytes[i],
		.captured_size = SIZE,
		.size = SIZE,
		.stamp = {{1000 + (int64_t)i}, STAMP_FILE},
		.link_type = 1,
	};
}

static int setup(void **state)
{
	(void)state;
	engine.options.meter = true;
	engine.shard_key = (struct shard_key){{1, 3, 7, 9}};
	lane.engine = &engine;
	lane.shard_count = SHARDS;
	batch = aligned_alloc(64, sizeof *batch);
	assert_non_null(batch);
	memset(batch, 0xa5, sizeof *batch);
	batch->source = &source;
	batch->frame_count = FRAMES;
	batch->ordinal = 0;
	for (uint32_t i = 0; i < FRAMES; i++) {
		batch->interfaces[i] = (uint16_t)(i % 2);
		frame_make(i);
	}
	batch_deal(batch, &lane, 1, blocks);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(batch);
	return 0;
}

/* The place of the shard's packet 'at'. */
static size_t place_of(uint16_t shard, uint32_t at)
{
	uint16_t block = batch->parts[shard].first;

	for (; at >= BLOCK; at -= BLOCK)
		block = batch->block_next[block];
	return (size_t)block * BLOCK + at;
}

static void deals_each_packet_to_one_shard(void **state)
{
	uint32_t sum = 0;

	(void)state;
	assert_int_equal(batch->packet_count, FRAMES / KINDS * (KINDS - 1));
	assert_int_equal(batch->counts.decoded, batch->packet_count);
	assert_int_equal(batch->counts.selected, FRAMES);
	assert_int_equal(batch->counts.verdicts[VERDICT_OK],
			 batch->packet_count);
	assert_true(batch->in_order);
	assert_int_equal(batch->oldest.ns, 1000);
	assert_int_equal(batch->newest.ns, 1000 + FRAMES - 2);
	for (uint16_t i = 0; i < SHARDS; i++) {
		assert_true(batch->parts[i].count > FRAMES / SHARDS / 4);
		sum += batch->parts[i].count;
	}
	assert_int_equal(sum, batch->packet_count);
}

/* What a worker has of a place: a brief, or where all of the packet is. */
static struct packet dealt_at(size_t place)
{
	const struct packet_brief *brief = &batch->briefs[place];
	struct packet packet;

	memset(&packet, 0xa5, sizeof packet);
	packet_brief_open(brief, &packet);
	if (packet.tuple.ip_version == 0)
		return batch->packets[brief->address[0]];
	return packet;
}

/* Decoded as the frame by itself, in order, and where its addresses belong. */
static void deals_what_decodes_as_the_frame_alone(void **state)
{
	uint32_t passed[SHARDS] = {0}, packet = 0;

	(void)state;
	for (uint32_t i = 0; i < FRAMES; i++) {
		struct packet_input input;
		struct packet alone, dealt;
		uint8_t shard = batch->shard_of[packet];

		frame_input(&batch->frames[i], batch->interfaces[i], &input);
		memset(&alone, 0x5a, sizeof alone);
		if (packet_decode(&input, &alone) != VERDICT_OK)
			continue;
		packet++;
		dealt = dealt_at(place_of(shard, passed[shard]++));
		assert_true(packet_same_briefly(&dealt, &alone));
		if (!packet_brief_able(&alone))
			assert_true(packet_same(&dealt, &alone));
		assert_int_equal(dealt.tuple.interface, i % 2);
		assert_int_equal(shard,
				 address_shard(alone.tuple.address,
					       &engine.shard_key, SHARDS));
	}
	assert_int_equal(packet, batch->packet_count);
}

static void gives_both_directions_the_same_shard(void **state)
{
	uint32_t shards[SHARDS] = {0};

	(void)state;
	for (uint32_t i = 0; i < 30000; i++) {
		uint8_t address[2][16] = {{10, (uint8_t)(i >> 8), (uint8_t)i},
					  {192, 0, 2, (uint8_t)(i % 7)}};
		uint8_t back[2][16];
		uint16_t shard =
			address_shard(address, &engine.shard_key, SHARDS);

		memcpy(back[0], address[1], 16);
		memcpy(back[1], address[0], 16);
		assert_int_equal(address_shard(back, &engine.shard_key, SHARDS),
				 shard);
		assert_true(shard < SHARDS);
		shards[shard]++;
	}
	for (unsigned i = 0; i < SHARDS; i++)
		assert_in_range(shards[i], 9000, 11000);
}

/* What decides for plain frames decides for fragments and tags as well. */
static void gives_fragments_and_tags_their_flows_shard(void **state)
{
	uint8_t of_flow[50];
	uint32_t packet = 0;

	(void)state;
	for (uint32_t i = 0; i < FRAMES; i++) {
		uint32_t flow = i / KINDS % 50;

		if (i % KINDS == 4)
			continue;
		if (i < 50 * KINDS && i % KINDS == 0)
			of_flow[flow] = batch->shard_of[packet];
		assert_int_equal(batch->shard_of[packet], of_flow[flow]);
		packet++;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(deals_each_packet_to_one_shard,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			deals_what_decodes_as_the_frame_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(
			gives_both_directions_the_same_shard, setup, teardown),
		cmocka_unit_test_setup_teardown(
			gives_fragments_and_tags_their_flows_shard, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
