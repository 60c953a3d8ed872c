/* Waiting fragments, each with its own time and lengths.
 *
 * There is room for FRAGMENTS of them; in a table that grows the pool doubles
 * when it is full, as far as address space was reserved for it and memory is
 * there.  Then the oldest datagrams go, and are counted (fragment.c).
 */
#include "flow/fragment_private.h"
#include "flow/statistics_private.h"

struct pooled {
	int64_t at_ns;
	uint32_t ip_bytes;
	uint32_t payload_bytes;
	uint32_t packets;
	uint16_t segment_bytes;
	uint16_t pad;
	uint32_t next; /* of the same datagram, or free */
};

struct fragment_pool {
	struct pooled *all;
	uint32_t count;
	uint32_t count_max;
	uint32_t free;
};

static_assert(FRAGMENTS * sizeof(struct pooled) == FLOW_FRAGMENTS_SIZE,
	      "as flow.h says");

size_t fragment_pool_size(uint32_t count)
{
	return count * sizeof(struct pooled);
}

size_t fragment_pool_head_size(void)
{
	return sizeof(struct fragment_pool);
}

/* Those from 'from' on are free. */
static void pool_clear(struct fragment_pool *pool, uint32_t from)
{
	for (uint32_t i = from; i < pool->count; i++)
		pool->all[i].next = i + 1 < pool->count ? i + 1 : FLOW_NONE;
	pool->free = from;
}

void fragment_pool_init(struct fragment_pool *pool, void *fragments,
			uint32_t count_max)
{
	pool->all = fragments;
	pool->count = FRAGMENTS;
	pool->count_max = count_max;
	pool_clear(pool, 0);
}

bool fragment_pool_room(struct fragment_pool *pool)
{
	uint32_t from = pool->count;
	uint32_t to = from * 2;

	if (pool->free != FLOW_NONE)
		return true;
	if (from >= pool->count_max)
		return false;
	if (memory_commit(pool->all, fragment_pool_size(from),
			  fragment_pool_size(to), PAGES_NOW) < 0) {
		pool->count_max = from;
		return false;
	}
	pool->count = to;
	pool_clear(pool, from);
	return true;
}

void fragment_pool_add(struct fragment_pool *pool, struct fragment_list *list,
		       const struct packet *packet, bool begins)
{
	uint32_t index = pool->free;
	struct pooled *pooled = &pool->all[index];

	pool->free = pooled->next;
	*pooled = (struct pooled){
		.at_ns = stamp_clamp_ns(packet->at.ns),
		.ip_bytes = packet->ip_bytes,
		.payload_bytes = packet->payload_bytes,
		.packets = packet->packets,
		.segment_bytes = packet->segment_bytes,
		.next = FLOW_NONE,
	};
	if (begins)
		list->first = index;
	else
		pool->all[list->last].next = index;
	list->last = index;
}

void fragment_pool_give(struct fragment_pool *pool,
			const struct fragment_list *list)
{
	pool->all[list->last].next = pool->free;
	pool->free = list->first;
}

/* The sums are, meanwhile, as if they were there. */
void fragment_pool_count(struct flow_table *table,
			 const struct fragment_list *list, uint32_t index,
			 unsigned side)
{
	const struct pooled *all = table->pool->all;
	struct flow_hot *hot = &table->hot[index];
	uint64_t before = hot->sums[side].packets;
	uint32_t at = list->first;

	if (before + hot->sums[side ^ 1].packets == 0)
		hot->last_ns = all[at].at_ns;
	for (; at != FLOW_NONE; at = all[at].next) {
		const struct packet packet = {
			.at = {all[at].at_ns},
			.ip_bytes = all[at].ip_bytes,
			.payload_bytes = all[at].payload_bytes,
			.packets = all[at].packets,
			.segment_bytes = all[at].segment_bytes,
		};

		statistics_count(table, index, side, &packet);
		hot->sums[side].packets += packet.packets;
		if (packet.at.ns > hot->last_ns)
			hot->last_ns = packet.at.ns;
	}
	hot->sums[side].packets = before;
}
