/* The same flow seen on several interfaces (a bridge and its port, both ends
 * of a veth pair): the first seen is counted, the others are marked.  But a
 * flow whose directions take different ways is one half on each interface:
 * a packet is a second sight only if its side was seen elsewhere before.
 *
 * 'marks' finds the first one by 5-tuple; it costs something when a flow
 * begins or ends and nothing in between.  One interface sees a packet before
 * and after a router or a tunnel as well, so VLAN and network may differ;
 * but two tunnel networks reuse addresses by design: flows of two of them
 * are strangers.
 *
 * Flows that all have the same interface, VLANs and network differ in their
 * 5-tuples: as long as there are no others nothing is marked, and the first
 * flow from elsewhere has all that live marked at once.
 */
#include <string.h>

#include "flow/flow_key.h"

/* Addresses, ports, protocol and IP version lie together. */
#define FIVE_TUPLE_SIZE offsetof(struct packet_tuple, vlan)

static_assert(FIVE_TUPLE_SIZE == 38, "the 5-tuple is the head of the key");

static uint32_t *mark_head(const struct flow_table *table, uint32_t index)
{
	uint64_t hash =
		XXH3_64bits_withSecret(&table->hot[index].key, FIVE_TUPLE_SIZE,
				       table->secret, sizeof table->secret);

	return &table->marks[hash & table->mark_mask];
}

static bool same_traffic(const struct packet_tuple *a,
			 const struct packet_tuple *b)
{
	return memcmp(a, b, FIVE_TUPLE_SIZE) == 0 &&
	       (a->network == b->network || !a->network || !b->network);
}

/* Whether packets of this side of the key were seen in the entry. */
static bool side_seen(const struct flow_table *table, uint32_t at,
		      unsigned side)
{
	return table->hot[at].sums[side].packets > 0 ||
	       table->cold[at].bits & COLD_SAW(side);
}

/* An entry that counts what is to begin in 'index'. */
static uint32_t first_find(const struct flow_table *table, uint32_t index,
			   unsigned side)
{
	const struct packet_tuple *key = &table->hot[index].key;
	uint32_t at = *mark_head(table, index);

	while (at != FLOW_NONE && !(same_traffic(&table->hot[at].key, key) &&
				    side_seen(table, at, side)))
		at = table->mark_next[at];
	return at;
}

void duplicate_link(struct flow_table *table, uint32_t index)
{
	uint32_t *head = mark_head(table, index);

	table->mark_next[index] = *head;
	*head = index;
}

static void mark(struct flow_table *table, uint32_t index)
{
	duplicate_link(table, index);
	table->cold[index].bits |= COLD_MARKED;
}

void marks_clear(struct flow_table *table)
{
	memset(table->marks, 0xff,
	       (table->mark_mask + (size_t)1) * sizeof *table->marks);
}

/* All but the one that is beginning: none of them is a duplicate. */
static void all_mark(struct flow_table *table, uint32_t begins)
{
	table->marking = true;
	marks_clear(table);
	for (uint32_t i = 0; i < table->fresh; i++) {
		if (i != begins && table->hot[i].key.ip_version != 0)
			mark(table, i);
	}
}

/* Whether every flow so far was seen at the same place. */
static bool one_place(struct flow_table *table, const struct flow_key *key)
{
	const uint8_t *place = (const uint8_t *)&key->tuple + FIVE_TUPLE_SIZE;

	if (table->used == 1)
		memcpy(table->place, place, sizeof table->place);
	return memcmp(table->place, place, sizeof table->place) == 0;
}

void duplicate_enter(struct flow_table *table, uint32_t index,
		     const struct flow_key *key)
{
	uint32_t first;

	if (!table->marking) {
		if (one_place(table, key))
			return;
		all_mark(table, index);
	}
	first = first_find(table, index, key->side);
	while (first != FLOW_NONE && flow_settle(table, first))
		first = first_find(table, index, key->side);
	if (first != FLOW_NONE) {
		table->cold[index].bits |= COLD_DUPLICATE;
		return;
	}
	mark(table, index);
}

void duplicate_leave(struct flow_table *table, uint32_t index)
{
	uint32_t *link;

	if (!(table->cold[index].bits & COLD_MARKED))
		return;
	link = mark_head(table, index);
	while (*link != index)
		link = &table->mark_next[*link];
	*link = table->mark_next[index];
}

void duplicate_clear(struct flow_table *table)
{
	table->marking = false;
}
