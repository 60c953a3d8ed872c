/* Requests and replies of another program: exchanges in memory, and when they
 * leave it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "probe/exchange_private.h"
#include "probe/watch_private.h"

const char *const exchange_side_words[SIDE_COUNT] = {"server", "client"};
const struct counter_row exchange_counter_rows[] = {
	EXCHANGE_COUNTERS(COUNTER_ROW)};
const size_t exchange_counter_count =
	sizeof exchange_counter_rows / sizeof *exchange_counter_rows;

static int parts_make(struct exchange_table *table)
{
	table->items = calloc(EXCHANGE_OPEN_MAX, sizeof *table->items);
	if (!table->items)
		return -ENOMEM;
	for (uint32_t i = 0; i < EXCHANGE_OPEN_MAX; i++)
		table->items[i].next = i + 1 < EXCHANGE_OPEN_MAX ? i + 1 : NONE;
	for (int side = 0; side < SIDE_COUNT; side++) {
		table->queues[side].items =
			calloc(EXCHANGE_OPEN_MAX, sizeof(uint32_t));
		if (!table->queues[side].items)
			return -ENOMEM;
	}
	return exchange_flows_init(&table->flows);
}

int exchange_create(const struct exchange_options *options,
		    struct exchange_table **ret_table)
{
	struct exchange_table *table = calloc(1, sizeof *table);

	if (!table)
		return -ENOMEM;
	table->options = *options;
	if (parts_make(table) < 0) {
		exchange_destroy(table);
		return -ENOMEM;
	}
	*ret_table = table;
	return 0;
}

void exchange_destroy(struct exchange_table *table)
{
	if (!table)
		return;
	for (int side = 0; side < SIDE_COUNT; side++)
		free(table->queues[side].items);
	exchange_flows_fini(&table->flows);
	free(table->items);
	free(table);
}

/* ---- exchanges ----------------------------------------------------------- */

static void queue_put(struct queue *queue, uint32_t at)
{
	queue->items[(queue->first + queue->count++) % EXCHANGE_OPEN_MAX] = at;
}

uint32_t exchange_item_make(struct exchange_table *table, uint32_t flow,
			    const struct exchange_event *event)
{
	struct exchange_flow *f = exchange_flow_at(table, flow);
	uint32_t at = table->free, generation;
	struct item *item;

	if (at == NONE) {
		table->counters.no_room++;
		return NONE;
	}
	item = &table->items[at];
	table->free = item->next;
	generation = item->generation + 1;
	memset(item, 0, sizeof *item);
	item->generation = generation;
	item->state = ITEM_OPEN;
	item->side = f->side;
	item->flow = flow;
	item->next = f->items;
	f->items = at;
	f->item_count++;
	item->begun_ns = event->at_ns;
	item->trip.slot_ns = event->at_ns;
	/* No stamp, but where a store looks for when it was. */
	item->trip.at_ns[LEG_FORWARD][POINT_SEND] = event->at_ns;
	for (int leg = 0; leg < LEG_COUNT; leg++) {
		item->trip.dscp[leg] = TRIP_CLASS_UNKNOWN;
		item->trip.ecn[leg] = TRIP_CLASS_UNKNOWN;
	}
	exchange_half_set(&item->request, &event->packet, event->interface);
	queue_put(&table->queues[f->side], at);
	table->open++;
	table->counters.requests++;
	return at;
}

void exchange_item_close(struct exchange_table *table, struct item *item,
			 enum item_state state)
{
	if (item->state == ITEM_OPEN)
		table->open--;
	item->state = state;
}

void exchange_stamp(struct item *item, enum leg leg, enum point point,
		    int64_t at_ns)
{
	if (at_ns <= 0)
		return;
	item->trip.stamped |= POINT_BIT(leg, point);
	item->trip.at_ns[leg][point] = at_ns;
}

static void item_free(struct exchange_table *table, uint32_t at)
{
	struct item *item = &table->items[at];
	struct exchange_flow *f = exchange_flow_at(table, item->flow);
	uint32_t *link = &f->items;

	while (*link != at)
		link = &table->items[*link].next;
	*link = item->next;
	f->item_count--;
	item->state = ITEM_FREE;
	item->next = table->free;
	table->free = at;
}

/* ---- when they leave ------------------------------------------------------
 */

point_set exchange_points(const struct exchange_table *table,
			  enum exchange_side side)
{
	enum leg in = exchange_leg(side, true), out = exchange_leg(side, false);
	point_set set = POINTS_OF_SLEEP(in);

	set |= POINT_BIT(out, POINT_CALL) | POINT_BIT(out, POINT_QUEUE) |
	       POINT_BIT(out, POINT_DRIVER) | POINT_BIT(in, POINT_RECEIVED) |
	       POINT_BIT(in, POINT_STACK) | POINT_BIT(in, POINT_RETURN);
	if (table->options.ready)
		set |= POINT_BIT(in, POINT_READY);
	return set;
}

/* What comes last: nothing more is to be waited for. */
static bool item_complete(const struct item *item)
{
	enum leg in = exchange_leg(item->side, true);
	point_set last = POINT_BIT(in, POINT_RETURN);

	if (item->side == SIDE_SERVER)
		last |= POINT_BIT(LEG_BACK, POINT_DRIVER);
	return (item->trip.stamped & last) == last;
}

static bool item_over(const struct exchange_table *table,
		      const struct item *item)
{
	int64_t age_ns = table->now_ns - item->answered_ns;

	if (item->state != ITEM_ANSWERED)
		return item->state != ITEM_OPEN;
	return age_ns >= table->options.timeout_ns ||
	       (item_complete(item) && age_ns >= SETTLE_NS);
}

/* No thread of the watched process had a part in it. */
static bool item_is_foreign(const struct exchange_table *table,
			    const struct item *item)
{
	enum leg in = exchange_leg(item->side, true);
	point_set own = POINT_BIT(in, POINT_RETURN) |
			POINT_BIT(exchange_leg(item->side, false), POINT_CALL);

	return table->options.one_process && item->state == ITEM_ANSWERED &&
	       !item->request.copied && !item->reply.copied &&
	       (item->trip.stamped & own) == 0;
}

/* Stamps of a leg in which this host received go forward in time; a wake-up
 * from before the packet was another's. */
static void item_settle(struct item *item)
{
	enum leg in = exchange_leg(item->side, true);
	struct trip *trip = &item->trip;
	int64_t first_ns, last_ns;

	if (watch_settle(
		    (struct watch_leg){in, &trip->stamped, trip->at_ns[in]}))
		trip->flags |= TRIP_READY_LATE(in);
	if (trip_rtt_ns(trip, &trip->rtt_ns))
		return;
	first_ns = item->begun_ns;
	last_ns = item->answered_ns;
	trip->rtt_ns = last_ns > first_ns ? last_ns - first_ns : 0;
}

static void item_emit(struct exchange_table *table, struct item *item)
{
	struct queue *queue = &table->queues[item->side];

	if (item_is_foreign(table, item)) {
		table->counters.elsewhere++;
		return;
	}
	if (item->state == ITEM_LOST) {
		item->trip.flags |= TRIP_LOST;
		table->counters.unanswered++;
	} else {
		table->counters.answered++;
	}
	item_settle(item);
	item->trip.seq = queue->emitted++;
	table->options.emit(table->options.context, item->side, &item->trip);
}

static void queue_run(struct exchange_table *table, struct queue *queue)
{
	while (queue->count > 0) {
		uint32_t at = queue->items[queue->first];
		struct item *item = &table->items[at];

		if (item->state == ITEM_OPEN &&
		    table->now_ns - item->begun_ns > table->options.timeout_ns)
			exchange_item_close(table, item, ITEM_LOST);
		if (!item_over(table, item))
			return;
		queue->first = (queue->first + 1) % EXCHANGE_OPEN_MAX;
		queue->count--;
		if (item->state != ITEM_GONE)
			item_emit(table, item);
		item_free(table, at);
	}
}

void exchange_expire(struct exchange_table *table, int64_t now_ns)
{
	if (now_ns > table->now_ns)
		table->now_ns = now_ns;
	for (int side = 0; side < SIDE_COUNT; side++)
		queue_run(table, &table->queues[side]);
}

/* The k-th of a queue, the oldest first. */
static struct item *queue_at(struct exchange_table *table,
			     const struct queue *queue, uint32_t k)
{
	return &table->items[queue->items[(queue->first + k) %
					  EXCHANGE_OPEN_MAX]];
}

static void open_give_up(struct exchange_table *table, struct queue *queue)
{
	for (uint32_t i = 0; i < queue->count; i++) {
		struct item *item = queue_at(table, queue, i);

		if (item->state != ITEM_OPEN)
			continue;
		exchange_item_close(table, item, ITEM_GONE);
		table->counters.unfinished++;
	}
}

/* Ages by the new clock mean nothing: all are over. */
void exchange_step(struct exchange_table *table)
{
	for (int side = 0; side < SIDE_COUNT; side++) {
		struct queue *queue = &table->queues[side];

		open_give_up(table, queue);
		for (uint32_t i = 0; i < queue->count; i++)
			queue_at(table, queue, i)->trip.flags |= TRIP_VOID;
	}
	exchange_expire(table, INT64_MAX);
	table->now_ns = 0;
}

void exchange_end(struct exchange_table *table)
{
	for (int side = 0; side < SIDE_COUNT; side++)
		open_give_up(table, &table->queues[side]);
	exchange_expire(table, INT64_MAX);
}

bool exchange_done(const struct exchange_table *table)
{
	uint32_t count = table->options.count;

	return count > 0 && table->counters.requests >= count &&
	       table->queues[SIDE_SERVER].count +
			       table->queues[SIDE_CLIENT].count ==
		       0;
}

struct exchange_counters exchange_counters(const struct exchange_table *table)
{
	return table->counters;
}
