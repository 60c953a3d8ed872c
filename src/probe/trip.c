/* Segments of a trip: the time between neighbouring points. */
#include <stdio.h>

#include "probe/watch_private.h"

static const char *const leg_words[LEG_COUNT] = {"forward", "back"};

static void segment_name(struct segment *segment)
{
	bool turn = segment->from_leg != segment->to_leg;

	(void)snprintf(segment->name, sizeof segment->name, "%s %s-%s",
		       turn ? "reflector" : leg_words[segment->from_leg],
		       point_rows[segment->from].word,
		       point_rows[segment->to].word);
}

static void segment_set(struct segment *segment, unsigned from, unsigned to)
{
	*segment = (struct segment){
		.from_leg = from / POINT_COUNT,
		.to_leg = to / POINT_COUNT,
		.from = from % POINT_COUNT,
		.to = to % POINT_COUNT,
	};
	segment->crosses = point_is_local(segment->from_leg, segment->from) !=
			   point_is_local(segment->to_leg, segment->to);
	segment_name(segment);
}

size_t trip_segments(point_set set, struct segment ret_segments[SEGMENT_MAX])
{
	size_t count = 0;
	unsigned from;

	if (set == 0)
		return 0;
	from = (unsigned)__builtin_ctzll(set);
	for (set &= set - 1; set != 0; set &= set - 1) {
		unsigned to = (unsigned)__builtin_ctzll(set);

		segment_set(&ret_segments[count++], from, to);
		from = to;
	}
	return count;
}

point_set trip_points(const struct trip *trip, point_set set)
{
	for (enum leg leg = LEG_FORWARD; leg < LEG_COUNT; leg++) {
		point_set sleep = POINTS_OF_SLEEP(leg);

		if (trip->stamped & POINT_BIT(leg, POINT_RETURN))
			set &= ~(sleep & ~trip->stamped);
		if (trip->flags & TRIP_READY_LATE(leg))
			set &= ~POINT_BIT(leg, POINT_READY);
	}
	return set;
}

point_set trip_points_of_bpf(void)
{
	point_set set = 0;

	for (int point = 0; point < POINT_COUNT; point++) {
		if (point_rows[point].tier == TIER_TRACEPOINT ||
		    point_rows[point].tier == TIER_FUNCTION)
			set |= POINT_BIT(LEG_FORWARD, point) |
			       POINT_BIT(LEG_BACK, point);
	}
	return set;
}

static bool trip_has(const struct trip *trip, point_set set)
{
	return (trip->stamped & set) == set;
}

bool trip_segment_ns(const struct trip *trip, const struct segment *segment,
		     int64_t offset_ns, int64_t *ret_ns)
{
	if (!trip_has(trip, POINT_BIT(segment->from_leg, segment->from) |
				    POINT_BIT(segment->to_leg, segment->to)))
		return false;
	*ret_ns = trip->at_ns[segment->to_leg][segment->to] -
		  trip->at_ns[segment->from_leg][segment->from];
	if (segment->crosses)
		*ret_ns += point_is_local(segment->to_leg, segment->to)
				   ? offset_ns
				   : -offset_ns;
	return true;
}

static bool ends_ns(const struct trip *trip, enum point first, enum point last,
		    int64_t *ret_ns)
{
	if (!trip_has(trip, POINT_BIT(LEG_FORWARD, first) |
				    POINT_BIT(LEG_BACK, last)))
		return false;
	*ret_ns = trip->at_ns[LEG_BACK][last] - trip->at_ns[LEG_FORWARD][first];
	return true;
}

bool trip_rtt_ns(const struct trip *trip, int64_t *ret_ns)
{
	if (trip->stamped & POINT_BIT(LEG_FORWARD, POINT_SEND))
		return ends_ns(trip, POINT_SEND, POINT_RECEIVE, ret_ns);
	return ends_ns(trip, POINT_CALL, POINT_RETURN, ret_ns) ||
	       ends_ns(trip, POINT_RECEIVED, POINT_DRIVER, ret_ns);
}

/* What lies between two points of each leg, the reflector's part taken out
 * by its own clock: no offset counts. */
static bool layer_ns(const struct trip *trip, enum point out, enum point in,
		     int64_t *ret_ns)
{
	const int64_t *forward = trip->at_ns[LEG_FORWARD];
	const int64_t *back = trip->at_ns[LEG_BACK];

	if (!trip_has(trip, POINT_BIT(LEG_FORWARD, out) |
				    POINT_BIT(LEG_FORWARD, in) |
				    POINT_BIT(LEG_BACK, out) |
				    POINT_BIT(LEG_BACK, in)))
		return false;
	*ret_ns = (back[in] - forward[out]) - (back[out] - forward[in]);
	return true;
}

bool trip_layer_ns(const struct trip *trip, enum layer layer, int64_t *ret_ns)
{
	switch (layer) {
	case LAYER_SOCKET:
		return layer_ns(trip, POINT_SEND, POINT_RECEIVE, ret_ns);
	case LAYER_KERNEL:
		return layer_ns(trip, POINT_SCHED, POINT_RECEIVED, ret_ns);
	default:
		return layer_ns(trip, POINT_SENT_HW, POINT_RECEIVED_HW,
				ret_ns) ||
		       layer_ns(trip, POINT_SENT, POINT_RECEIVED, ret_ns);
	}
}
