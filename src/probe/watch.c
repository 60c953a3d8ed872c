/* Points of a thread's own system calls, as BPF noted them. */
#include "probe/watch_private.h"

void watch_read(const struct probe_watch *watch, struct watch_times *ret_times)
{
	const volatile struct probe_calls *calls;

	*ret_times = (struct watch_times){0};
	if (!watch || !watch->calls)
		return;
	calls = watch->calls;
	ret_times->call_ns = calls->call_ns + watch->offset_ns;
	ret_times->return_ns = calls->return_ns + watch->offset_ns;
	ret_times->waking_ns = calls->waking_ns + watch->offset_ns;
	ret_times->running_ns = calls->running_ns + watch->offset_ns;
}

static void stamp_within(struct watch_leg *leg, enum point point, int64_t ns,
			 int64_t from_ns, int64_t to_ns)
{
	if (ns < from_ns || ns > to_ns)
		return; /* of an earlier call */
	*leg->stamped |= POINT_BIT(leg->leg, point);
	leg->at_ns[point] = ns;
}

static bool has(const struct watch_leg *leg, enum point point)
{
	return (*leg->stamped & POINT_BIT(leg->leg, point)) != 0;
}

void watch_sent(struct watch_leg leg, int64_t call_ns)
{
	if (has(&leg, POINT_SEND))
		stamp_within(&leg, POINT_CALL, call_ns, leg.at_ns[POINT_SEND],
			     INT64_MAX);
}

void watch_received(struct watch_leg leg, const struct watch_times *times,
		    int64_t shift_ns)
{
	int64_t from_ns = 0, return_ns;

	if (has(&leg, POINT_RECEIVED))
		from_ns = leg.at_ns[POINT_RECEIVED];
	return_ns = leg.at_ns[POINT_RECEIVE];
	stamp_within(&leg, POINT_RETURN, times->return_ns + shift_ns, from_ns,
		     return_ns);
	if (!has(&leg, POINT_RETURN))
		return;
	return_ns = leg.at_ns[POINT_RETURN];
	stamp_within(&leg, POINT_WAKING, times->waking_ns + shift_ns, from_ns,
		     return_ns);
	stamp_within(&leg, POINT_RUNNING, times->running_ns + shift_ns, from_ns,
		     return_ns);
}

bool watch_settle(struct watch_leg leg)
{
	int64_t ready_ns = 0;
	bool late = has(&leg, POINT_READY) &&
		    ((has(&leg, POINT_COPIED) &&
		      leg.at_ns[POINT_READY] > leg.at_ns[POINT_COPIED]) ||
		     (has(&leg, POINT_RETURN) &&
		      leg.at_ns[POINT_READY] > leg.at_ns[POINT_RETURN]));

	if (late)
		*leg.stamped &= ~POINT_BIT(leg.leg, POINT_READY);

	for (enum point point = POINT_RECEIVED; point <= POINT_RUNNING;
	     point++) {
		bool wakes = point == POINT_WAKING || point == POINT_RUNNING;

		if (!has(&leg, point))
			continue;
		if (wakes && leg.at_ns[point] < ready_ns)
			*leg.stamped &= ~POINT_BIT(leg.leg, point);
		else if (leg.at_ns[point] > ready_ns)
			ready_ns = leg.at_ns[point];
	}
	return late;
}

point_set watch_points(const struct probe_watch *watch, enum leg out,
		       enum leg in)
{
	point_set set = 0;

	for (int point = 0; watch && point < POINT_COUNT; point++) {
		if (watch->points >> point & 1)
			set |= POINT_BIT(point <= POINT_SENT_HW ? out : in,
					 point);
	}
	return set;
}
