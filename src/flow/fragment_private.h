/* Fragments that wait for the first of their datagram, one by one: the
 * statistics need the time and the length of each.  Included by fragment.c
 * and fragment_pool.c only. */
#ifndef FRAGMENT_PRIVATE_H
#define FRAGMENT_PRIVATE_H

#include "flow/flow_private.h"

/* Those of one datagram, in the order in which they came. */
struct fragment_list {
	uint32_t first; /* indices */
	uint32_t last;
};

/* Whether one more can wait; takes memory for more if it may. */
bool fragment_pool_room(struct fragment_pool *pool);

/* Appends 'packet' to the list, which it begins if 'begins'; there must be
 * room. */
void fragment_pool_add(struct fragment_pool *pool, struct fragment_list *list,
		       const struct packet *packet, bool begins);

/* Takes the list, which is not empty, back. */
void fragment_pool_give(struct fragment_pool *pool,
			const struct fragment_list *list);

/* Has the entry's statistics count the list, which is not empty, as sent by
 * 'side'.  They are not in the entry's sums yet. */
void fragment_pool_count(struct flow_table *table,
			 const struct fragment_list *list, uint32_t index,
			 unsigned side);

#endif
