/* Points of a thread's own system calls.  Included by this room only. */
#ifndef WATCH_PRIVATE_H
#define WATCH_PRIVATE_H

#include "probe/probe.h"

/* What probe_calls says, in wall time; before 1980: never. */
struct watch_times {
	int64_t call_ns, return_ns, waking_ns, running_ns;
};

/* One leg of a trip or of an answer. */
struct watch_leg {
	enum leg leg;
	point_set *stamped;
	int64_t *at_ns; /* [POINT_COUNT] */
};

/* Points that only a thread that slept has. */
#define POINTS_OF_SLEEP(leg) \
	(POINT_BIT(leg, POINT_WAKING) | POINT_BIT(leg, POINT_RUNNING))
/* Those that come as records: by sender_stamp_add(), reflector_stamp_add(). */
#define POINTS_OF_CALLS(leg)                                 \
	(POINTS_OF_SLEEP(leg) | POINT_BIT(leg, POINT_CALL) | \
	 POINT_BIT(leg, POINT_RETURN))

/* Right after a system call; 'watch' may be NULL. */
void watch_read(const struct probe_watch *watch, struct watch_times *ret_times);
/* CALL of a packet that has its SEND. */
void watch_sent(struct watch_leg leg, int64_t call_ns);
/* RETURN, WAKING, RUNNING of one that has its RECEIVE and, if ever,
 * RECEIVED.  'shift_ns' is added to the times. */
void watch_received(struct watch_leg leg, const struct watch_times *times,
		    int64_t shift_ns);
/* Once its other stamps are there: takes away a wake-up from before the packet
 * was ready, which was another's; and READY if a reader who was awake had the
 * packet before (true then). */
bool watch_settle(struct watch_leg leg);
/* The points that it can have, of packets out on one leg and in on one. */
point_set watch_points(const struct probe_watch *watch, enum leg out,
		       enum leg in);

#endif
