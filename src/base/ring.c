#include "base/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ring_init(struct ring *ring, size_t item_size, uint32_t count)
{
	uint32_t size = 1;

	while (size < count)
		size <<= 1;
	*ring = (struct ring){.item_size = item_size, .mask = size - 1};
	ring->items = calloc(size, item_size);
	return ring->items ? 0 : -ENOMEM;
}

void ring_populate(struct ring *ring)
{
	memset(ring->items, 0, ring->item_size * (ring->mask + 1));
}

void ring_fini(struct ring *ring)
{
	free(ring->items);
	ring->items = NULL;
}

uint32_t ring_room(struct ring *ring)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint32_t room = ring->mask + 1 - (head - ring->tail_seen);

	if (room > (ring->mask + 1) / 2)
		return room;
	ring->tail_seen =
		atomic_load_explicit(&ring->tail, memory_order_acquire);
	return ring->mask + 1 - (head - ring->tail_seen);
}

uint32_t ring_fill(struct ring *ring)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	if (ring->head_seen != tail)
		return ring->head_seen - tail;
	ring->head_seen =
		atomic_load_explicit(&ring->head, memory_order_acquire);
	return ring->head_seen - tail;
}

void *ring_slot(struct ring *ring, uint32_t ahead)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	return ring->items + ((head + ahead) & ring->mask) * ring->item_size;
}

void ring_publish(struct ring *ring, uint32_t count)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	atomic_store_explicit(&ring->head, head + count, memory_order_release);
}

void *ring_item(struct ring *ring, uint32_t ahead)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	return ring->items + ((tail + ahead) & ring->mask) * ring->item_size;
}

void ring_consume(struct ring *ring, uint32_t count)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	atomic_store_explicit(&ring->tail, tail + count, memory_order_release);
}
