/* Time passing: a wheel of 4,096 slots that holds every entry once.
 *
 * Packets do not touch the wheel: an entry lies where it would fall due if
 * nothing more came, and when its slot is swept it is either due or put
 * where it falls due now, so that it is touched about once in a timeout.
 * Sweeping is lazy but ending is exact: a packet first asks whether its flow
 * was due (flow.c), and gets the same answer whether it was swept or not.
 *
 * An idle timeout is looked at in the tick after the one it falls into: then
 * it has passed.  An active timeout is looked at in its own tick: from there
 * on HOT_DUE makes packets compare it exactly.
 */
#include "flow/flow_private.h"

#define SWEEP_PART 16

static int64_t tick_of(const struct wheel *wheel, int64_t ns)
{
	return ns >> wheel->shift;
}

void wheel_clear(struct flow_table *table)
{
	struct wheel *wheel = table->wheel;

	for (unsigned i = 0; i < WHEEL_SLOTS; i++)
		wheel->slots[i] = (struct wheel_slot){FLOW_NONE, FLOW_NONE};
	for (unsigned i = 0; i < WHEEL_SLOTS / 64; i++)
		wheel->filled[i] = 0;
}

void wheel_init(struct flow_table *table)
{
	struct wheel *wheel = table->wheel;
	int64_t longest_ns = 0;

	for (unsigned i = 0; i < FLOW_PHASE_COUNT; i++)
		if (table->limit_ns[i] > longest_ns)
			longest_ns = table->limit_ns[i];
	wheel->shift = 0;
	while (longest_ns >> wheel->shift >= WHEEL_SLOTS - 3)
		wheel->shift++;
	wheel->tick = 0;
	wheel_clear(table);
}

static void slot_append(struct flow_table *table, unsigned slot, uint32_t index)
{
	struct wheel_slot *list = &table->wheel->slots[slot];
	struct flow_cold *cold = &table->cold[index];

	cold->slot = (uint16_t)slot;
	cold->next = FLOW_NONE;
	cold->previous = list->last;
	if (list->last == FLOW_NONE)
		list->first = index;
	else
		table->cold[list->last].next = index;
	list->last = index;
	table->wheel->filled[slot / 64] |= UINT64_C(1) << (slot % 64);
}

void wheel_take(struct flow_table *table, uint32_t index)
{
	struct flow_cold *cold = &table->cold[index];
	unsigned slot = cold->slot;
	struct wheel_slot *list;

	if (slot == SLOT_NONE)
		return;
	list = &table->wheel->slots[slot];
	if (cold->previous == FLOW_NONE)
		list->first = cold->next;
	else
		table->cold[cold->previous].next = cold->next;
	if (cold->next == FLOW_NONE)
		list->last = cold->previous;
	else
		table->cold[cold->next].previous = cold->previous;
	if (list->first == FLOW_NONE)
		table->wheel->filled[slot / 64] &=
			~(UINT64_C(1) << (slot % 64));
	cold->slot = SLOT_NONE;
}

void wheel_put(struct flow_table *table, uint32_t index)
{
	struct wheel *wheel = table->wheel;
	struct flow_hot *hot = &table->hot[index];
	int64_t tick = tick_of(wheel, flow_idle_at_ns(table, index)) + 1;

	hot->bits &= (uint8_t)~HOT_DUE;
	if (!(hot->bits & HOT_DORMANT)) {
		int64_t active =
			tick_of(wheel, flow_active_at_ns(table, index));

		if (active <= wheel->tick) {
			hot->bits |= HOT_DUE;
			active++;
		}
		if (active < tick)
			tick = active;
	}
	if (tick <= wheel->tick)
		tick = wheel->tick + 1;
	if (tick >= wheel->tick + WHEEL_SLOTS)
		tick = wheel->tick + WHEEL_SLOTS - 1;
	slot_append(table, (unsigned)(tick % WHEEL_SLOTS), index);
}

/* Takes entries off the list that begins at *index, their memory on its way.
 * Returns how many. */
static unsigned part_take(struct flow_table *table, uint32_t *index,
			  uint32_t part[static SWEEP_PART])
{
	unsigned count = 0;

	while (count < SWEEP_PART && *index != FLOW_NONE) {
		__builtin_prefetch(&table->hot[*index], 1);
		__builtin_prefetch(&table->hot[*index].sums, 1);
		part[count++] = *index;
		table->cold[*index].slot = SLOT_NONE;
		*index = table->cold[*index].next;
	}
	if (*index != FLOW_NONE)
		__builtin_prefetch(&table->cold[*index], 1);
	return count;
}

static void slot_sweep(struct flow_table *table, unsigned slot)
{
	struct wheel *wheel = table->wheel;
	uint32_t index = wheel->slots[slot].first;

	wheel->slots[slot] = (struct wheel_slot){FLOW_NONE, FLOW_NONE};
	wheel->filled[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
	while (index != FLOW_NONE) {
		uint32_t part[SWEEP_PART];
		unsigned count = part_take(table, &index, part);

		for (unsigned i = 0; i < count; i++) {
			struct flow_hot *hot = &table->hot[part[i]];

			if (table->now_ns - hot->last_ns >=
			    table->limit_ns[hot->phase])
				table_remove_expect(table, part[i]);
		}
		wheel->swept += count;
		for (unsigned i = 0; i < count; i++) {
			if (!flow_settle(table, part[i]))
				wheel_put(table, part[i]);
		}
	}
}

/* Sweeps the slots of the ticks after 'from' up to 'to', in order; at most
 * one turn, whatever time has passed. */
static void wheel_sweep(struct flow_table *table, int64_t from, int64_t to)
{
	struct wheel *wheel = table->wheel;
	int64_t count = to - from;
	int64_t step = 1;

	if (count > WHEEL_SLOTS)
		count = WHEEL_SLOTS;
	while (step <= count) {
		unsigned slot = (unsigned)((from + step) % WHEEL_SLOTS);
		uint64_t filled = wheel->filled[slot / 64] >> (slot % 64);

		wheel->steps++;
		if (!filled) {
			step += 64 - slot % 64;
		} else if (filled & 1) {
			slot_sweep(table, slot);
			step++;
		} else {
			step += __builtin_ctzll(filled);
		}
	}
}

void flow_event_update(struct flow_table *table)
{
	int64_t event_ns = (table->wheel->tick + 1) << table->wheel->shift;
	int64_t fragment_ns = fragment_due_ns(table->fragments);

	table->event_ns = fragment_ns < event_ns ? fragment_ns : event_ns;
}

void flow_time_pass(struct flow_table *table)
{
	struct wheel *wheel = table->wheel;
	int64_t from = wheel->tick;

	fragment_pass(table, table->now_ns);
	wheel->tick = tick_of(wheel, table->now_ns);
	if (wheel->tick > from)
		wheel_sweep(table, from, wheel->tick);
	flow_event_update(table);
}

void flow_table_advance(struct flow_table *table, struct wall now)
{
	int64_t now_ns = stamp_clamp_ns(now.ns);

	if (now_ns <= table->now_ns)
		return;
	table->now_ns = now_ns;
	table_room_make(table);
	if (now_ns >= table->event_ns)
		flow_time_pass(table);
}
