/* Which packet a reader of a socket has, where the kernel tells the socket
 * alone: the one that was ready first.  Packets of no exchange stand in the
 * queue too. */
#include "probe/exchange_private.h"

static struct arrival *arrival_at(struct exchange_table *table, uint32_t k)
{
	return &table->arrivals[(table->arrival_first + k) % ARRIVALS_MAX];
}

static void arrivals_trim(struct exchange_table *table)
{
	while (table->arrival_count > 0 && arrival_at(table, 0)->socket == 0) {
		table->arrival_first =
			(table->arrival_first + 1) % ARRIVALS_MAX;
		table->arrival_count--;
	}
}

static void arrival_give(struct exchange_table *table,
			 const struct arrival *arrival,
			 const struct exchange_event *event)
{
	struct item *item;

	if (arrival->item == NONE)
		return;
	item = &table->items[arrival->item];
	if (item->generation == arrival->generation && item->state != ITEM_FREE)
		exchange_take(table, item, arrival->leg, event);
}

/* A reader that was awake had this very packet before it was told ready. */
static bool early_give(struct exchange_table *table,
		       const struct arrival *arrival)
{
	uint32_t kept = 0;
	bool given = false;

	for (uint32_t i = 0; i < table->early_count; i++) {
		struct exchange_event event = table->early[i];

		bool same = event.socket == arrival->socket;

		if (same && event.at_ns < arrival->stack_ns)
			continue; /* what it took was there before the watch */
		if (same && !given) {
			arrival_give(table, arrival, &event);
			given = true;
			continue;
		}
		table->early[kept++] = event;
	}
	table->early_count = kept;
	return given;
}

void exchange_arrive(struct exchange_table *table, struct item *item,
		     enum leg leg, const struct exchange_event *event)
{
	struct arrival arrival = {
		.socket = event->socket,
		.stack_ns = event->stack_ns,
		.item = item ? (uint32_t)(item - table->items) : NONE,
		.generation = item ? item->generation : 0,
		.size = event->packet.size,
		.leg = leg,
	};

	if (event->socket == 0 || early_give(table, &arrival))
		return;
	if (table->arrival_count == ARRIVALS_MAX) {
		arrival_at(table, 0)->socket = 0;
		arrivals_trim(table);
	}
	*arrival_at(table, table->arrival_count++) = arrival;
}

/* The first that has the size, else (a reader may take less) the first. */
static uint32_t arrival_find(struct exchange_table *table,
			     const struct exchange_event *event)
{
	uint32_t first = NONE;

	for (uint32_t k = 0; k < table->arrival_count; k++) {
		const struct arrival *arrival = arrival_at(table, k);

		if (arrival->socket != event->socket ||
		    arrival->stack_ns > event->at_ns)
			continue;
		if (arrival->size == event->packet.size)
			return k;
		first = first == NONE ? k : first;
	}
	return first;
}

static void early_put(struct exchange_table *table,
		      const struct exchange_event *event)
{
	if (table->early_count == EARLY_MAX) {
		for (uint32_t i = 1; i < EARLY_MAX; i++)
			table->early[i - 1] = table->early[i];
		table->early_count--;
	}
	table->early[table->early_count++] = *event;
}

void exchange_taken(struct exchange_table *table,
		    const struct exchange_event *event)
{
	uint32_t at = arrival_find(table, event);

	if (at == NONE) {
		early_put(table, event);
		return;
	}
	arrival_give(table, arrival_at(table, at), event);
	/* Those before it were dropped on the way to a reader. */
	for (uint32_t k = 0; k <= at; k++) {
		if (arrival_at(table, k)->socket == event->socket)
			arrival_at(table, k)->socket = 0;
	}
	arrivals_trim(table);
}
