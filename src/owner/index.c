/* Slots of an array by a hash. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "owner/owner_private.h"

int owner_index_init(struct index *index, uint32_t count)
{
	uint32_t heads = 16;

	while (heads < count && heads < UINT32_MAX / 2)
		heads *= 2;
	index->mask = heads - 1;
	index->heads = malloc(heads * sizeof *index->heads);
	index->next = malloc(count * sizeof *index->next);
	if (!index->heads || !index->next)
		return -ENOMEM;
	memset(index->heads, 0xff, heads * sizeof *index->heads);
	return 0;
}

void owner_index_fini(struct index *index)
{
	free(index->heads);
	free(index->next);
}

void owner_index_put(struct index *index, uint64_t hash, uint32_t slot)
{
	uint32_t *head = &index->heads[hash & index->mask];

	index->next[slot] = *head;
	*head = slot;
}

void owner_index_remove(struct index *index, uint64_t hash, uint32_t slot)
{
	uint32_t *at = &index->heads[hash & index->mask];

	while (*at != OWNER_NONE && *at != slot)
		at = &index->next[*at];
	if (*at == slot)
		*at = index->next[slot];
}

/* The finisher of splitmix64: every bit of the value moves every bit. */
uint64_t owner_hash_number(uint64_t value)
{
	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

uint64_t owner_hash_text(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return owner_hash_number(hash);
}
