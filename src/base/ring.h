/* A single-producer single-consumer ring of fixed-size items.
 *
 * The producer and the consumer each keep a private copy of the other's
 * index and reread the shared one only when the copy says full or empty, so
 * that a busy ring moves one cache line a batch and not one an item.  Nothing
 * here blocks or allocates after ring_init().
 *
 * Threads: exactly one calls the ring_push side, exactly one the ring_pop
 * side; init and fini while neither runs.
 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	uint8_t *items;
	size_t item_size;
	uint32_t mask; /* count - 1; the count is a power of two */

	_Alignas(64) _Atomic uint32_t head; /* written by the producer */
	uint32_t tail_seen;                 /* producer's copy of 'tail' */

	_Alignas(64) _Atomic uint32_t tail; /* written by the consumer */
	uint32_t head_seen;                 /* consumer's copy of 'head' */
};

/* Takes memory for at least 'count' items (1 to 2^31, rounded up to a power
 * of two) of 'item_size' bytes.  Returns 0 or -ENOMEM. */
int ring_init(struct ring *ring, size_t item_size, uint32_t count);

/* Touches all of its memory, so that no item waits for a page.  Before the
 * first item. */
void ring_populate(struct ring *ring);

/* Frees it; a zeroed ring is fine. */
void ring_fini(struct ring *ring);

/* How many items can be pushed now (producer) or popped now (consumer). */
uint32_t ring_room(struct ring *ring);
uint32_t ring_fill(struct ring *ring);

/* The slot that is 'ahead' places behind the last pushed one, to be written
 * in place; ahead < ring_room().  ring_publish() then hands 'count' on. */
void *ring_slot(struct ring *ring, uint32_t ahead);
void ring_publish(struct ring *ring, uint32_t count);

/* The 'ahead'-th item to be popped; ahead < ring_fill().  ring_consume()
 * then gives 'count' slots back. */
void *ring_item(struct ring *ring, uint32_t ahead);
void ring_consume(struct ring *ring, uint32_t count);

#endif
