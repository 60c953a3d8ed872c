/* Drawing: a hash in place of a generator, so that no draw depends on the one
 * before. */
#include "base/sample.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/random.h"

const char *const sample_mode_words[SAMPLE_MODE_COUNT] = {
	[SAMPLE_COUNT] = "count",
	[SAMPLE_RANDOM] = "random",
	[SAMPLE_PROBABILITY] = "probability",
};

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio, odd */

int sample_check(const struct sample_options *options, struct fault *ret_fault)
{
	if (options->mode == SAMPLE_ALL) {
		if (options->size > 1)
			return fault_set(ret_fault, -EINVAL,
					 "sample-size: %u of how many? it goes "
					 "with sample-packets",
					 options->size);
		return 0;
	}
	if (options->population < 2 ||
	    options->population > SAMPLE_POPULATION_MAX)
		return fault_set(ret_fault, ERR_OPTION_RANGE,
				 "sample-packets: %u is out of range: 2 to %u",
				 options->population, SAMPLE_POPULATION_MAX);
	if (options->size < 1 || options->size > SAMPLE_SIZE_MAX)
		return fault_set(ret_fault, ERR_OPTION_RANGE,
				 "sample-size: %u is out of range: 1 to %d",
				 options->size, SAMPLE_SIZE_MAX);
	if (options->size > 1 && options->mode != SAMPLE_RANDOM)
		return fault_set(ret_fault, -EINVAL,
				 "sample-size: more than 1 goes with "
				 "sample-mode random only");
	if (options->size >= options->population)
		return fault_set(ret_fault, -EINVAL,
				 "sample-size: %u is not less than "
				 "sample-packets: %u",
				 options->size, options->population);
	return 0;
}

uint64_t sample_hash(const struct sample_seed *key, uint64_t number)
{
	return random_mix(random_mix(number * GOLDEN + key->words[0]) ^
			  key->words[1]);
}

uint64_t sample_threshold(uint32_t population)
{
	/* 2^64 itself does not fit: the quotient of one less is the same, but
	 * for powers of two, where it is one less than that. */
	return (population & (population - 1)) == 0
		       ? UINT64_MAX / population + 1
		       : UINT64_MAX / population;
}

static uint32_t draw_below(uint64_t hash, uint64_t count)
{
	__extension__ typedef unsigned __int128 product;

	return (uint32_t)(((product)hash * count) >> 64);
}

static bool chosen_has(const uint32_t *chosen, uint32_t count, uint32_t place)
{
	for (uint32_t i = 0; i < count; i++)
		if (chosen[i] == place)
			return true;
	return false;
}

/* Puts 'place' where it belongs among 'count' that rise. */
static void chosen_add(uint32_t *chosen, uint32_t count, uint32_t place)
{
	for (; count > 0 && chosen[count - 1] > place; count--)
		chosen[count] = chosen[count - 1];
	chosen[count] = place;
}

/* Any n of N, each set as likely as any other (R. W. Floyd's way: Bentley,
 * "Programming Pearls: a sample of brilliance", CACM 30(9), 1987). */
static void block_draw(struct sampler *sampler, uint64_t block)
{
	uint32_t from = sampler->population - sampler->size;

	for (uint32_t i = 0; i < sampler->size; i++) {
		uint64_t hash =
			sample_hash(&sampler->key, block * SAMPLE_SIZE_MAX + i);
		uint32_t place = draw_below(hash, (uint64_t)from + i + 1);

		if (chosen_has(sampler->chosen, i, place))
			place = from + i;
		chosen_add(sampler->chosen, i, place);
	}
}

void sampler_block_enter(struct sampler *sampler, uint64_t ordinal)
{
	uint64_t block = ordinal / sampler->population;

	sampler->first = block * sampler->population;
	sampler->at = 0;
	sampler->asked = 0;
	if (sampler->mode == SAMPLE_RANDOM)
		block_draw(sampler, block);
}

void sampler_init(struct sampler *sampler, const struct sample_options *options,
		  const struct sample_seed *seed, uint64_t stream)
{
	memset(sampler, 0, sizeof *sampler);
	if (options->mode == SAMPLE_ALL)
		return;
	sampler->mode = options->mode;
	sampler->population = options->population;
	sampler->size = options->size;
	sampler->threshold = sample_threshold(options->population);
	sampler->key.words[0] = sample_hash(seed, stream);
	sampler->key.words[1] = seed->words[1];
	/* The same place in every block; drawn, else of many short streams
	 * the first items would be taken and no others. */
	if (options->mode == SAMPLE_COUNT)
		sampler->chosen[0] = draw_below(sample_hash(&sampler->key, 0),
						options->population);
	sampler_block_enter(sampler, 0);
}
