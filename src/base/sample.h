/* Which of a stream's items are taken: packet sampling of RFC 5475.
 *
 *     count        one in N, N apart (section 5.1, systematic count-based)
 *     random       n of each N, any n of them (5.2.1, n-out-of-N)
 *     probability  each by itself, one in N (5.2.2.1, uniform probabilistic)
 *
 * Whether an item is taken depends on its ordinal in its stream, the stream's
 * number and the seed, and on nothing else: whoever asks, in whatever order
 * and on whatever thread, gets the same answer.  What is drawn is a keyed
 * hash of these (two rounds of SplitMix64's finaliser): fine statistics, but
 * no cipher; who must not foresee what is taken must not know the seed.
 *
 * Threads: a sampler belongs to one; any number of alike ones side by side.
 */
#ifndef BASE_SAMPLE_H
#define BASE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

struct fault; /* base/err.h */

/* IANA, "PSAMP Parameters": selectorAlgorithm, IPFIX element 304. */
enum sample_mode {
	SAMPLE_ALL = 0, /* ours: everything is taken */
	SAMPLE_COUNT = 1,
	SAMPLE_RANDOM = 3,
	SAMPLE_PROBABILITY = 4,
	SAMPLE_MODE_COUNT
};

extern const char *const sample_mode_words[SAMPLE_MODE_COUNT];

#define SAMPLE_POPULATION_MAX (16u << 20)
#define SAMPLE_SIZE_MAX       16

struct sample_options {
	enum sample_mode mode;
	uint32_t population; /* N, 2 to SAMPLE_POPULATION_MAX */
	uint32_t size; /* n, below N; 1 but with random; SAMPLE_SIZE_MAX */
};

struct sample_seed {
	uint64_t words[2];
};

struct sampler {
	enum sample_mode mode;
	uint32_t population;
	uint32_t size;
	uint32_t at;        /* of 'chosen': the first not before 'asked' */
	uint64_t asked;     /* place in the block that was asked for last */
	uint64_t first;     /* ordinal of the block's first item */
	uint64_t threshold; /* 2^64 / population */
	struct sample_seed key;
	uint32_t chosen[SAMPLE_SIZE_MAX]; /* places in the block, rising */
};

/* Whether the options hold together; else the code (-EINVAL or
 * ERR_OPTION_RANGE) with a sentence that begins with the option's name:
 * sample-packets (N), sample-size (n). */
int sample_check(const struct sample_options *options, struct fault *ret_fault);

/* 2^64 / population: a hash below it is taken.  'population' 2 or more. */
uint64_t sample_threshold(uint32_t population);

/* Options that sample_check() takes. */
void sampler_init(struct sampler *sampler, const struct sample_options *options,
		  const struct sample_seed *seed, uint64_t stream);

/* The parts of sampler_takes() that are not inline. */
uint64_t sample_hash(const struct sample_seed *key, uint64_t number);
void sampler_block_enter(struct sampler *sampler, uint64_t ordinal);

/* Whether the stream's item 'ordinal', from 0, is taken. */
static inline bool sampler_takes(struct sampler *sampler, uint64_t ordinal)
{
	uint64_t place = ordinal - sampler->first;

	if (sampler->mode == SAMPLE_ALL)
		return true;
	if (sampler->mode == SAMPLE_PROBABILITY)
		return sample_hash(&sampler->key, ordinal) < sampler->threshold;
	if (place >= sampler->population) {
		sampler_block_enter(sampler, ordinal);
		place = ordinal - sampler->first;
	}
	if (place < sampler->asked)
		sampler->at = 0;
	sampler->asked = place;
	while (sampler->at < sampler->size &&
	       sampler->chosen[sampler->at] < place)
		sampler->at++;
	return sampler->at < sampler->size &&
	       sampler->chosen[sampler->at] == place;
}

#endif
