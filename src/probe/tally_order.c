/* Packets in order of arrival: reordering (RFC 4737) and interarrival jitter
 * (RFC 3550).  Trips come in order of sending; one waits here until those
 * that could have arrived before it are known. */
#include "probe/tally_private.h"

void jitter_add(struct jitter *jitter, int64_t transit)
{
	int64_t d = transit - jitter->transit;

	jitter->transit = transit;
	if (!jitter->begun) {
		jitter->begun = true;
		return;
	}
	d = d < 0 ? -d : d;
	jitter->scaled += (uint64_t)d - ((jitter->scaled + 8) >> 4);
	jitter->count++;
	if (jitter->scaled > jitter->scaled_max)
		jitter->scaled_max = jitter->scaled;
}

/* Earlier, or at once and with a lower number. */
static bool arrival_before(const struct arrival *a, const struct arrival *b)
{
	if (a->at_ns != b->at_ns)
		return a->at_ns < b->at_ns;
	return (int32_t)(a->number - b->number) < 0;
}

static void swap(struct arrival *a, struct arrival *b)
{
	struct arrival kept = *a;

	*a = *b;
	*b = kept;
}

static void heap_push(struct order *order, const struct arrival *arrival)
{
	size_t at = order->waiting_count++;

	order->waiting[at] = *arrival;
	while (at > 0 && arrival_before(&order->waiting[at],
					&order->waiting[(at - 1) / 2])) {
		swap(&order->waiting[at], &order->waiting[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
}

static struct arrival heap_pop(struct order *order)
{
	struct arrival first = order->waiting[0];
	struct arrival *heap = order->waiting;
	size_t at = 0, count = --order->waiting_count;

	heap[0] = heap[count];
	for (size_t next = 1; next < count; next = 2 * at + 1) {
		if (next + 1 < count &&
		    arrival_before(&heap[next + 1], &heap[next]))
			next++;
		if (!arrival_before(&heap[next], &heap[at]))
			break;
		swap(&heap[next], &heap[at]);
		at = next;
	}
	return first;
}

/* The earliest arrival with a higher number; NULL: none, it is in order. */
static const struct order_record *overtaker(const struct order *order,
					    uint32_t number)
{
	const struct order_record *found = NULL;
	size_t kept = order->record_count < ORDER_RECORDS ? order->record_count
							  : ORDER_RECORDS;

	for (size_t back = 1; back <= kept; back++) {
		const struct order_record *record =
			&order->records[(order->record_count - back) %
					ORDER_RECORDS];

		if ((int32_t)(record->number - number) <= 0)
			break;
		found = record;
	}
	return found;
}

/* How many that arrived just before it, in a row, have a higher number. */
static int64_t overtaken_in_row(const struct order *order, uint32_t number)
{
	int64_t n = 0;

	while (n < ORDER_RECENT && (uint64_t)n < order->arrived &&
	       (int32_t)(order->recent[(order->arrived - 1 - (uint64_t)n) %
				       ORDER_RECENT] -
			 number) > 0)
		n++;
	return n;
}

static void reordered_add(struct tally *tally, enum leg leg,
			  const struct arrival *arrival,
			  const struct order_record *first)
{
	const struct order *order = &tally->orders[leg];

	hist_add(tally->hists[TALLY_EXTENT_FORWARD + leg],
		 (int64_t)(order->arrived - first->place));
	hist_add(tally->hists[TALLY_LATE_TIME_FORWARD + leg],
		 arrival->at_ns - first->at_ns);
	hist_add(tally->hists[TALLY_N_REORDERED_FORWARD + leg],
		 overtaken_in_row(order, arrival->number));
}

/* Whoever has the flag was overtaken; where nobody tells, arrival times do. */
static void order_check(struct tally *tally, enum leg leg,
			const struct arrival *arrival)
{
	struct order *order = &tally->orders[leg];
	const struct order_record *first = overtaker(order, arrival->number);
	uint64_t *reordered = leg == LEG_FORWARD
				      ? &tally->counters.reordered_forward
				      : &tally->counters.reordered_back;

	*reordered += arrival->known ? arrival->overtaken : first != NULL;
	if (first && (!arrival->known || arrival->overtaken))
		reordered_add(tally, leg, arrival, first);
	if (!first)
		order->records[order->record_count++ % ORDER_RECORDS] =
			(struct order_record){order->arrived, arrival->at_ns,
					      arrival->number};
	order->recent[order->arrived++ % ORDER_RECENT] = arrival->number;
}

static void arrival_settle(struct tally *tally, enum leg leg)
{
	struct arrival arrival = heap_pop(&tally->orders[leg]);

	order_check(tally, leg, &arrival);
	for (int layer = 0; layer < LAYER_COUNT; layer++) {
		if (arrival.has[layer])
			jitter_add(&tally->jitters[leg][layer],
				   arrival.transit_ns[layer]);
	}
}

static void leg_end(struct tally *tally, enum leg leg)
{
	while (tally->orders[leg].waiting_count > 0)
		arrival_settle(tally, leg);
}

/* Another clock: times before and after it are in no order. */
static void regime_check(struct tally *tally, enum leg leg, uint32_t regime)
{
	struct order *order = &tally->orders[leg];

	if (order->begun && order->regime == regime)
		return;
	leg_end(tally, leg);
	order->regime = regime;
	order->begun = true;
	order->latest_ns = INT64_MIN;
	for (int layer = 0; layer < LAYER_COUNT; layer++)
		tally->jitters[leg][layer].begun = false;
}

/* Nothing is under way for longer than the time limit: what arrived so much
 * before the latest one is preceded by nothing unknown. */
static void arrival_add(struct tally *tally, enum leg leg,
			const struct arrival *arrival)
{
	struct order *order = &tally->orders[leg];

	regime_check(tally, leg, arrival->regime);
	if (order->waiting_count == ORDER_WAITING)
		arrival_settle(tally, leg);
	heap_push(order, arrival);
	if (arrival->at_ns > order->latest_ns)
		order->latest_ns = arrival->at_ns;
	while (order->latest_ns - order->waiting[0].at_ns >
	       tally->options.timeout_ns)
		arrival_settle(tally, leg);
}

static bool arrived_at(const struct trip *trip, enum leg leg, int64_t *ret_ns)
{
	static const enum point points[] = {POINT_RECEIVED, POINT_RECEIVED_HW,
					    POINT_RECEIVE};

	for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
		if (trip->stamped & POINT_BIT(leg, points[i])) {
			*ret_ns = trip->at_ns[leg][points[i]];
			return true;
		}
	}
	return false;
}

/* Without a time of its arrival only what is told of it counts. */
static void leg_trip(struct tally *tally, const struct trip *trip, enum leg leg,
		     uint32_t regime)
{
	struct arrival arrival = {
		.number = leg == LEG_FORWARD ? trip->seq : trip->reflected_seq,
		.regime = regime,
		.known = leg == LEG_BACK || (trip->flags & TRIP_LEG_KNOWN),
		.overtaken = trip->flags & TRIP_OVERTAKEN(leg),
	};

	if (!arrived_at(trip, leg, &arrival.at_ns)) {
		if (leg == LEG_FORWARD)
			tally->counters.reordered_forward += arrival.overtaken;
		else
			tally->counters.reordered_back += arrival.overtaken;
		return;
	}
	for (int layer = 0; layer < LAYER_COUNT; layer++)
		arrival.has[layer] =
			trip_transit_ns(trip, leg, (enum layer)layer,
					&arrival.transit_ns[layer]);
	arrival_add(tally, leg, &arrival);
}

void order_trip(struct tally *tally, const struct trip *trip, uint32_t regime)
{
	bool lost = trip->flags & TRIP_LOST;

	if (!lost || (trip->flags & TRIP_LOST_BACK)) {
		tally->counters.arrived_forward++;
		leg_trip(tally, trip, LEG_FORWARD, regime);
	}
	if (!lost) {
		tally->counters.arrived_back++;
		leg_trip(tally, trip, LEG_BACK, regime);
	}
}

void order_end(struct tally *tally)
{
	leg_end(tally, LEG_FORWARD);
	leg_end(tally, LEG_BACK);
}
