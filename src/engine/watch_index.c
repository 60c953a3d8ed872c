/* An index of slots by hash: open addressing, linear probing; and the slots
 * of an array that are free. */
#include <errno.h>
#include <stdlib.h>

#include "engine/watch_private.h"

int watch_index_init(struct watch_index *index, uint32_t count_max)
{
	uint32_t size = 16;

	while (size < 2 * (uint64_t)count_max)
		size *= 2;
	/* A slot of 0 is stored as 1: fresh memory is empty. */
	index->entries = calloc(size, sizeof *index->entries);
	index->mask = size - 1;
	return index->entries ? 0 : -ENOMEM;
}

void watch_index_fini(struct watch_index *index)
{
	free(index->entries);
	index->entries = NULL;
}

uint32_t watch_index_find(const struct watch_index *index, uint64_t hash,
			  watch_same *same, const void *context)
{
	uint32_t at = (uint32_t)hash & index->mask;

	for (; index->entries[at].slot; at = (at + 1) & index->mask) {
		uint32_t slot = index->entries[at].slot - 1;

		if (index->entries[at].hash == hash && same(context, slot))
			return slot;
	}
	return SLOT_NONE;
}

void watch_index_add(struct watch_index *index, uint64_t hash, uint32_t slot)
{
	uint32_t at = (uint32_t)hash & index->mask;

	while (index->entries[at].slot)
		at = (at + 1) & index->mask;
	index->entries[at] = (struct watch_index_entry){hash, slot + 1};
}

/* Closes the hole: moves back what would not be found across it. */
static void hole_close(struct watch_index *index, uint32_t hole)
{
	uint32_t at = hole;

	for (;;) {
		uint32_t home;

		at = (at + 1) & index->mask;
		if (!index->entries[at].slot)
			break;
		home = (uint32_t)index->entries[at].hash & index->mask;
		/* Whether 'home' lies cyclically in (hole, at]. */
		if (((at - home) & index->mask) < ((at - hole) & index->mask))
			continue;
		index->entries[hole] = index->entries[at];
		hole = at;
	}
	index->entries[hole].slot = 0;
}

void watch_index_remove(struct watch_index *index, uint64_t hash, uint32_t slot)
{
	uint32_t at = (uint32_t)hash & index->mask;

	while (index->entries[at].slot && index->entries[at].slot != slot + 1)
		at = (at + 1) & index->mask;
	if (index->entries[at].slot)
		hole_close(index, at);
}

int watch_slots_init(struct watch_slots *slots, uint32_t max)
{
	*slots = (struct watch_slots){.free = calloc(max, sizeof *slots->free),
				      .max = max};
	return slots->free ? 0 : -ENOMEM;
}

void watch_slots_fini(struct watch_slots *slots)
{
	free(slots->free);
	slots->free = NULL;
}

uint32_t watch_slot_take(struct watch_slots *slots)
{
	if (slots->free_count > 0)
		return slots->free[--slots->free_count];
	return slots->used < slots->max ? slots->used++ : SLOT_NONE;
}

void watch_slot_give(struct watch_slots *slots, uint32_t slot)
{
	slots->free[slots->free_count++] = slot;
}
