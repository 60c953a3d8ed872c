/* The other host's clock.  A part of probe.h, which has the whole picture. */
#ifndef PROBE_OFFSET_H
#define PROBE_OFFSET_H

#include <stdbool.h>
#include <stdint.h>

#include "probe/points.h"

/* How far the other host's clock is ahead of ours.  No packet arrives before
 * it was sent, so every trip gives an upper bound (request: received there
 * less sent here) and a lower one (answer: sent there less received here);
 * bounds are taken where the kernel stamped nearest to the wire, so that the
 * time in the hosts, which is measured, does not widen them.  Bounds of many
 * trips meet in one line through time, offset and drift: all lines that no
 * bound forbids are a polygon, and the interval is what it leaves open.  It
 * contains the truth as long as the drift changes no faster than 'wander';
 * where the clock was stepped, both bounds jump together, and a new regime
 * begins.  Memory is bounded, whatever the length of the run. */

#define OFFSET_DRIFT_MAX_PPM 1000.0
#define OFFSET_WANDER_PPM_S  0.01

struct offset_options {
	double drift_max_ppm; /* of one clock by the other; 0: the above */
	double wander_ppm_s;  /* how fast the drift may change; 0: the above */
};

/* The offset at one moment: remote less local time. */
struct offset_reading {
	int64_t low_ns, high_ns; /* the truth is not outside */
	int64_t best_ns;         /* the middle: a wire as long as its return */
	double drift_ppm, drift_low_ppm, drift_high_ppm;
	uint32_t regime; /* another one after a step, or what may be one */
	uint32_t trips;  /* of this regime so far */
};

struct offset;

/* Takes all memory.  Returns 0, -EINVAL or -ENOMEM; 'options' may be NULL. */
int offset_create(const struct offset_options *options,
		  struct offset **ret_offset);
void offset_destroy(struct offset *offset);

/* The next trip in order of sending.  False: nothing is known of the clock
 * (no trip had stamps of both hosts), *ret_reading is not set; otherwise the
 * offset while this trip was under way, as far as is known now. */
bool offset_trip(struct offset *offset, const struct trip *trip,
		 struct offset_reading *ret_reading);
/* The same of an earlier trip, with what was learned since. */
bool offset_at(struct offset *offset, const struct trip *trip,
	       struct offset_reading *ret_reading);
/* No further trips: settles what was in doubt. */
void offset_end(struct offset *offset);
/* Steps of either clock so far. */
uint32_t offset_steps(const struct offset *offset);

/* One way of a trip at one layer (SEND to RECEIVE, SCHED to RECEIVED, SENT
 * to RECEIVED), with the interval that the offset leaves. */
struct one_way {
	int64_t low_ns, high_ns, best_ns;
};

/* False: a stamp is missing. */
bool trip_one_way(const struct trip *trip, enum leg leg, enum layer layer,
		  const struct offset_reading *reading,
		  struct one_way *ret_one_way);
/* The same without an offset: arrival less departure as the clocks say. */
bool trip_transit_ns(const struct trip *trip, enum leg leg, enum layer layer,
		     int64_t *ret_ns);

#endif
