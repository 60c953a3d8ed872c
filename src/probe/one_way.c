/* One way of a trip. */
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

bool trip_one_way(const struct trip *trip, enum leg leg, enum layer layer,
		  const struct offset_reading *reading,
		  struct one_way *ret_one_way)
{
	int64_t transit;

	if (!trip_transit_ns(trip, leg, layer, &transit))
		return false;
	if (leg == LEG_FORWARD)
		*ret_one_way = (struct one_way){transit - reading->high_ns,
						transit - reading->low_ns,
						transit - reading->best_ns};
	else
		*ret_one_way = (struct one_way){transit + reading->low_ns,
						transit + reading->high_ns,
						transit + reading->best_ns};
	return true;
}
