/* Requests and replies of another program: which stamp is whose. */
#include <string.h>

#include "probe/exchange_private.h"

/* A packet that was looked up. */
struct found {
	const struct exchange_event *event;
	uint64_t hash;
	uint32_t flow;
	bool comes; /* to this host */
};

static bool is_request(const struct exchange_flow *flow, bool comes)
{
	return (flow->side == SIDE_SERVER) == comes;
}

/* As many requests as were wanted are under way or over. */
static bool enough(const struct exchange_table *table)
{
	return table->options.count > 0 &&
	       table->counters.requests >= table->options.count;
}

static bool is_client_port(const struct exchange_table *table, uint16_t port)
{
	return port >= table->options.client_port_low &&
	       port <= table->options.client_port_high;
}

/* While the watch is young a flow's first packet may be a reply. */
static bool is_young(const struct exchange_table *table,
		     const struct exchange_event *event)
{
	return event->at_ns - table->options.begun_ns <
	       table->options.timeout_ns;
}

/* Ports alone do not say who is the server. */
static bool ports_alike(const struct exchange_table *table,
			const struct exchange_packet *packet)
{
	return is_client_port(table, packet->local_port) ==
	       is_client_port(table, packet->remote_port);
}

/* The first packet of a flow decides whose the request is; one that says that
 * it is a reply is none, and so is, while the watch is young, one that goes
 * from a server's port to a client's, or leaves a socket that looks like a
 * server's. */
static bool begins_flow(const struct exchange_table *table,
			const struct exchange_event *event, bool comes)
{
	const struct exchange_packet *packet = &event->packet;

	if (exchange_is_reply(packet, comes))
		return false;
	if (!is_young(table, event))
		return true;
	if (ports_alike(table, packet))
		return comes || !event->bound || event->connected;
	return is_client_port(table,
			      comes ? packet->remote_port : packet->local_port);
}

static bool flow_begin(struct exchange_table *table, struct found *found)
{
	const struct exchange_event *event = found->event;
	struct exchange_flow *flow;

	if (!begins_flow(table, event, found->comes)) {
		table->counters.unasked++;
		return false;
	}
	found->flow = exchange_flow_make(&table->flows, &event->packet);
	if (found->flow == NONE) {
		table->counters.no_room++;
		return false;
	}
	flow = exchange_flow_at(table, found->flow);
	flow->side = found->comes ? SIDE_SERVER : SIDE_CLIENT;
	flow->unsure =
		is_young(table, event) && ports_alike(table, &event->packet);
	return true;
}

/* It began with a reply: the other side has the requests. */
static void flow_turn(struct exchange_table *table, struct exchange_flow *flow)
{
	for (uint32_t at = flow->items; at != NONE;
	     at = table->items[at].next) {
		struct item *item = &table->items[at];

		if (item->state == ITEM_GONE)
			continue;
		if (item->state == ITEM_ANSWERED)
			table->counters.by_order--;
		exchange_item_close(table, item, ITEM_GONE);
		/* What was taken for a request must not look like one. */
		memset(&item->request, 0, sizeof item->request);
		memset(&item->reply, 0, sizeof item->reply);
		table->counters.requests--;
		table->counters.unasked++;
	}
	flow->side = flow->side == SIDE_SERVER ? SIDE_CLIENT : SIDE_SERVER;
	flow->unsure = false;
}

/* A client's socket, whose port the system chose, has no requests; and what
 * repeats all of the last "reply" is itself the reply. */
static bool flow_is_turned(const struct exchange_table *table,
			   const struct exchange_flow *flow,
			   const struct exchange_event *event)
{
	const struct item *item =
		flow->items != NONE ? &table->items[flow->items] : NULL;

	if (!flow->unsure)
		return false;
	if (event->kind == EXCHANGE_IN_READY)
		return flow->side == SIDE_SERVER && !event->bound &&
		       event->connected;
	return item && item->state == ITEM_ANSWERED &&
	       exchange_identified(&item->reply, &event->packet);
}

/* ---- requests ------------------------------------------------------------ */

/* The first stamps of a packet: when it left, or came. */
static void begin_stamp(struct item *item, const struct exchange_event *event,
			bool comes)
{
	enum leg leg = exchange_leg(item->side, comes);

	if (comes) {
		exchange_stamp(item, leg, POINT_RECEIVED, event->received_ns);
		exchange_stamp(item, leg, POINT_STACK, event->at_ns);
	} else {
		exchange_stamp(item, leg, POINT_CALL, event->call_ns);
		exchange_stamp(item, leg, POINT_QUEUE, event->at_ns);
	}
}

/* The same packet at a further device: on its way out the last one counts, on
 * its way in the first. */
static void passed_on(struct item *item, const struct exchange_event *event,
		      bool comes)
{
	if (!comes)
		exchange_stamp(item, exchange_leg(item->side, false),
			       POINT_QUEUE, event->at_ns);
}

static void request_add(struct exchange_table *table, const struct found *found)
{
	struct exchange_flow *flow = exchange_flow_at(table, found->flow);
	const struct exchange_event *event = found->event;
	uint32_t at;

	for (at = flow->items; at != NONE; at = table->items[at].next) {
		struct item *item = &table->items[at];

		if (!exchange_half_is(&item->request, &event->packet,
				      found->hash))
			continue;
		if (item->request.interface != event->interface) {
			passed_on(item, event, found->comes);
			return;
		}
		if (item->state == ITEM_OPEN &&
		    exchange_has_identifier(&item->request)) {
			table->counters.request_copies++;
			item->trip.duplicates[LEG_FORWARD] +=
				item->trip.duplicates[LEG_FORWARD] < UINT8_MAX;
			return;
		}
	}
	if (enough(table))
		return;
	at = exchange_item_make(table, found->flow, event);
	if (at != NONE)
		begin_stamp(&table->items[at], event, found->comes);
}

/* ---- replies ------------------------------------------------------------- */

/* What a reply may answer. */
struct candidates {
	struct item *identified, *open; /* the newest of each */
	uint32_t identified_count, open_count;
	struct item *over; /* not open, and identified */
	struct item *same; /* answered by the same bytes */
};

static struct candidates candidates_of(struct exchange_table *table,
				       const struct found *found)
{
	const struct exchange_packet *packet = &found->event->packet;
	struct candidates c = {0};
	uint32_t at = exchange_flow_at(table, found->flow)->items;

	for (; at != NONE; at = table->items[at].next) {
		struct item *item = &table->items[at];
		bool same = exchange_identified(&item->request, packet);

		if (item->state == ITEM_ANSWERED && !c.same &&
		    exchange_half_is(&item->reply, packet, found->hash))
			c.same = item;
		if (item->state != ITEM_OPEN) {
			c.over = !c.over && same ? item : c.over;
			continue;
		}
		c.open_count++;
		c.open = c.open ? c.open : item;
		if (same) {
			c.identified_count++;
			c.identified = c.identified ? c.identified : item;
		}
	}
	return c;
}

static void reply_join(struct exchange_table *table, struct item *item,
		       const struct found *found)
{
	exchange_half_set(&item->reply, &found->event->packet,
			  found->event->interface);
	item->answered_ns = found->event->at_ns;
	exchange_item_close(table, item, ITEM_ANSWERED);
	begin_stamp(item, found->event, found->comes);
}

/* Replies of these may still come, in any order. */
static void open_doubt(struct exchange_table *table, const struct found *found)
{
	struct exchange_flow *flow = exchange_flow_at(table, found->flow);
	uint32_t replies = flow->doubt;

	for (uint32_t at = flow->items; at != NONE;
	     at = table->items[at].next) {
		struct item *item = &table->items[at];

		if (item->state != ITEM_OPEN)
			continue;
		exchange_item_close(table, item, ITEM_GONE);
		table->counters.ambiguous++;
		replies++;
	}
	flow->doubt = replies > 0 ? replies - 1 : 0;
	flow->doubt_until_ns = found->event->at_ns + table->options.timeout_ns;
}

/* A reply to what is not open any more; NULL: to nothing known. */
static void over_count(struct exchange_table *table, struct item *item,
		       struct exchange_flow *flow)
{
	if (item && item->state == ITEM_ANSWERED) {
		table->counters.reply_copies++;
		item->trip.duplicates[LEG_BACK] +=
			item->trip.duplicates[LEG_BACK] < UINT8_MAX;
	} else if (flow->doubt > 0 && (!item || item->state == ITEM_GONE)) {
		flow->doubt--;
	} else if (!enough(table)) {
		table->counters.unasked++;
	}
}

static void reply_add(struct exchange_table *table, const struct found *found)
{
	struct exchange_flow *flow = exchange_flow_at(table, found->flow);
	const struct exchange_event *event = found->event;
	struct candidates c = candidates_of(table, found);

	if (flow->doubt > 0 && event->at_ns > flow->doubt_until_ns)
		flow->doubt = 0;
	if (c.same && c.same->reply.interface != event->interface) {
		passed_on(c.same, event, found->comes);
	} else if (c.identified_count == 1) {
		table->counters.by_identifier++;
		flow->unsure = false;
		reply_join(table, c.identified, found);
	} else if (c.identified_count == 0 && c.over) {
		over_count(table, c.over, flow);
	} else if (c.open_count == 0) {
		over_count(table, c.same, flow);
	} else if (c.open_count == 1 &&
		   exchange_contradicts(&c.open->request, &event->packet)) {
		table->counters.unasked++;
	} else if (c.open_count == 1 && flow->doubt == 0) {
		table->counters.by_order++;
		reply_join(table, c.open, found);
	} else {
		open_doubt(table, found);
	}
}

static void packet_begin(struct exchange_table *table, struct found *found)
{
	struct exchange_flow *flow;

	if (found->flow == NONE && !flow_begin(table, found))
		return;
	exchange_flow_touch(&table->flows, found->flow);
	flow = exchange_flow_at(table, found->flow);
	if (is_request(flow, found->comes) &&
	    flow_is_turned(table, flow, found->event)) {
		flow_turn(table, flow);
		table->counters.unasked++;
	} else if (is_request(flow, found->comes)) {
		request_add(table, found);
	} else {
		reply_add(table, found);
	}
}

/* ---- what comes after -----------------------------------------------------
 */

static struct half *half_of(struct exchange_table *table, struct item *item,
			    const struct found *found)
{
	return is_request(exchange_flow_at(table, found->flow), found->comes)
		       ? &item->request
		       : &item->reply;
}

static bool stamp_fits(const struct item *item, const struct half *half,
		       const struct exchange_event *event, enum leg leg)
{
	const point_set *stamped = &item->trip.stamped;

	switch (event->kind) {
	case EXCHANGE_OUT_DRIVER:
		return !(*stamped & POINT_BIT(leg, POINT_DRIVER)) ||
		       half->driver_interface != event->interface;
	case EXCHANGE_IN_READY:
		return !(*stamped & POINT_BIT(leg, POINT_READY));
	default: /* until the call returned */
		return !half->copied ||
		       !(*stamped & POINT_BIT(leg, POINT_RETURN));
	}
}

/* The newest exchange that has this packet and not yet this stamp. */
static struct item *item_find(struct exchange_table *table,
			      const struct found *found)
{
	uint32_t at = exchange_flow_at(table, found->flow)->items;

	for (; at != NONE; at = table->items[at].next) {
		struct item *item = &table->items[at];
		struct half *half = half_of(table, item, found);
		bool there =
			half == &item->request || item->state == ITEM_ANSWERED;

		if (there &&
		    exchange_half_is(half, &found->event->packet,
				     found->hash) &&
		    stamp_fits(item, half, found->event,
			       exchange_leg(item->side, found->comes)))
			return item;
	}
	return NULL;
}

static void pending_put(struct exchange_table *table, const struct item *item,
			const struct exchange_event *event, enum leg leg)
{
	if (table->pending_count == PENDING_MAX) {
		memmove(table->pending, table->pending + 1,
			(PENDING_MAX - 1) * sizeof *table->pending);
		table->pending_count--;
	}
	table->pending[table->pending_count++] = (struct pending){
		.thread = event->thread,
		.call = event->call,
		.item = (uint32_t)(item - table->items),
		.generation = item->generation,
		.leg = leg,
	};
}

void exchange_take(struct exchange_table *table, struct item *item,
		   enum leg leg, const struct exchange_event *event)
{
	struct half *half = leg == LEG_FORWARD ? &item->request : &item->reply;

	half->copied = true;
	exchange_stamp(item, leg, POINT_WAKING, event->waking_ns);
	exchange_stamp(item, leg, POINT_RUNNING, event->running_ns);
	pending_put(table, item, event, leg);
}

static void packet_stamp(struct exchange_table *table,
			 const struct found *found)
{
	const struct exchange_event *event = found->event;
	struct item *item =
		found->flow != NONE ? item_find(table, found) : NULL;
	enum leg leg =
		item ? exchange_leg(item->side, found->comes) : LEG_FORWARD;

	table->counters.stamps_strange += !item && !enough(table);
	if (item && event->kind == EXCHANGE_OUT_DRIVER) {
		half_of(table, item, found)->driver_interface =
			event->interface;
		exchange_stamp(item, leg, POINT_DRIVER, event->at_ns);
	} else if (event->kind == EXCHANGE_IN_READY) {
		if (item)
			exchange_stamp(item, leg, POINT_READY, event->at_ns);
		exchange_arrive(table, item, leg, event);
		if (item &&
		    flow_is_turned(table, exchange_flow_at(table, found->flow),
				   event))
			flow_turn(table, exchange_flow_at(table, found->flow));
	} else if (item) {
		exchange_take(table, item, leg, event);
	}
}

/* Wake-ups from before the packet came were another's. */
static void wake_check(struct item *item, enum leg leg)
{
	point_set *stamped = &item->trip.stamped;
	const int64_t *at_ns = item->trip.at_ns[leg];

	for (int point = POINT_WAKING; point <= POINT_RUNNING; point++) {
		if ((*stamped & POINT_BIT(leg, POINT_STACK)) &&
		    at_ns[point] < at_ns[POINT_STACK])
			*stamped &= ~POINT_BIT(leg, point);
	}
}

static void call_return(struct exchange_table *table,
			const struct exchange_event *event)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < table->pending_count; i++) {
		struct pending pending = table->pending[i];
		struct item *item = &table->items[pending.item];

		if (pending.thread != event->thread) {
			table->pending[kept++] = pending;
			continue;
		}
		if (pending.call != event->call ||
		    item->generation != pending.generation ||
		    item->state == ITEM_FREE)
			continue;
		exchange_stamp(item, pending.leg, POINT_RETURN, event->at_ns);
		wake_check(item, pending.leg);
	}
	table->pending_count = kept;
}

void exchange_add(struct exchange_table *table,
		  const struct exchange_event *event)
{
	struct found found = {.event = event};

	if (event->kind == EXCHANGE_RETURN) {
		call_return(table, event);
		return;
	}
	if (event->kind == EXCHANGE_IN_TAKEN) {
		exchange_taken(table, event);
		return;
	}
	found.comes = event->kind == EXCHANGE_IN_STACK ||
		      event->kind == EXCHANGE_IN_READY ||
		      event->kind == EXCHANGE_IN_COPIED;
	found.hash = exchange_packet_hash(&event->packet);
	found.flow = exchange_flow_find(&table->flows, &event->packet);
	if (event->kind == EXCHANGE_OUT_QUEUE ||
	    event->kind == EXCHANGE_IN_STACK)
		packet_begin(table, &found);
	else
		packet_stamp(table, &found);
}
