/* One way of a trip. */
#include <math.h>

#include "probe/probe.h"

static bool ends_of(const struct trip *trip, enum leg leg, enum layer layer,
		    enum point ret_ends[2])
{
	static const enum point ends[LAYER_COUNT][2] = {
		[LAYER_SOCKET] = {POINT_SEND, POINT_RECEIVE},
		[LAYER_KERNEL] = {POINT_SCHED, POINT_RECEIVED},
		[LAYER_WIRE] = {POINT_SENT, POINT_RECEIVED},
	};
	point_set set;

	ret_ends[0] = ends[layer][0];
	ret_ends[1] = ends[layer][1];
	set = POINT_BIT(leg, ret_ends[0]) | POINT_BIT(leg, ret_ends[1]);
	return (trip->stamped & set) == set;
}

bool trip_transit_ns(const struct trip *trip, enum leg leg, enum layer layer,
		     int64_t *ret_ns)
{
	enum point ends[2];

	if (!ends_of(trip, leg, layer, ends))
		return false;
	*ret_ns = trip->at_ns[leg][ends[1]] - trip->at_ns[leg][ends[0]];
	return true;
}

/* The offset goes on drifting while a packet is under way: so much it is
 * ahead or behind of the reading, which is of its sending, so long after. */
static struct one_way drifted(const struct offset_reading *reading,
			      int64_t after_ns)
{
	double after = (double)after_ns * 1e-6;
	double a = reading->drift_low_ppm * after;
	double b = reading->drift_high_ppm * after;

	return (struct one_way){
		.low_ns = reading->low_ns + (int64_t)floor(fmin(a, b)),
		.high_ns = reading->high_ns + (int64_t)ceil(fmax(a, b)),
		.best_ns = reading->best_ns + llround((a + b) / 2),
	};
}

bool trip_one_way(const struct trip *trip, enum leg leg, enum layer layer,
		  const struct offset_reading *reading,
		  struct one_way *ret_one_way)
{
	struct one_way offset;
	enum point ends[2];
	int64_t transit, after;

	if (!trip_transit_ns(trip, leg, layer, &transit) ||
	    !ends_of(trip, leg, layer, ends))
		return false;
	/* The other clock's stamp is at the far end of either way. */
	if (leg == LEG_FORWARD) {
		after = trip->at_ns[leg][ends[0]] + transit - reading->best_ns -
			trip->at_ns[LEG_FORWARD][POINT_SEND];
		offset = drifted(reading, after);
		*ret_one_way = (struct one_way){transit - offset.high_ns,
						transit - offset.low_ns,
						transit - offset.best_ns};
		return true;
	}
	after = trip->at_ns[leg][ends[1]] - transit - reading->best_ns -
		trip->at_ns[LEG_FORWARD][POINT_SEND];
	offset = drifted(reading, after);
	*ret_one_way = (struct one_way){transit + offset.low_ns,
					transit + offset.high_ns,
					transit + offset.best_ns};
	return true;
}
