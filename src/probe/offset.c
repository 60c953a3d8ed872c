/* The other host's clock: from trips to an interval. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "probe/offset_private.h"

#define NS_PER_S_PPM 1000.0 /* 1 ppm is 1000 ns a second */
#define MARGIN_NS    50.0   /* steps below are never looked for */
#define MARGIN_SHARE                                         \
	32 /* nor those below this share of the interval:    \
	      the truth would be inside all the same, but on \
	      a wire more lopsided than that */

int offset_create(const struct offset_options *options,
		  struct offset **ret_offset)
{
	double drift = options ? options->drift_max_ppm : 0;
	double wander = options ? options->wander_ppm_s : 0;
	struct offset *offset;

	if (!(drift >= 0) || !(wander >= 0) || drift > 1e5)
		return -EINVAL;
	offset = calloc(1, sizeof *offset);
	if (!offset)
		return -ENOMEM;
	offset->drift_max =
		(drift > 0 ? drift : OFFSET_DRIFT_MAX_PPM) * NS_PER_S_PPM;
	offset->wander =
		(wander > 0 ? wander : OFFSET_WANDER_PPM_S) * NS_PER_S_PPM;
	offset->window_trips = WINDOW_TRIPS;
	*ret_offset = offset;
	return 0;
}

void offset_destroy(struct offset *offset)
{
	free(offset);
}

uint32_t offset_steps(const struct offset *offset)
{
	return offset->steps;
}

/* The stamp of 'leg' that is nearest to the wire on the sending ('out') or
 * the receiving side.  A card's clock is not the host's: left out. */
static bool nearest(const struct trip *trip, enum leg leg, bool out,
		    int64_t *ret_ns)
{
	int at = out ? POINT_SENT : POINT_RECEIVED;
	int end = out ? POINT_SEND - 1 : POINT_RECEIVE + 1;

	for (; at != end; at += out ? -1 : 1) {
		if (trip->stamped & POINT_BIT(leg, at)) {
			*ret_ns = trip->at_ns[leg][at];
			return true;
		}
	}
	return false;
}

/* By the trip's own time, which nobody sets. */
static int64_t raw_ns(const struct trip *trip, int64_t local_ns)
{
	return trip->sent_ns + local_ns - trip->at_ns[LEG_FORWARD][POINT_SEND];
}

static struct bounds bounds_of(const struct trip *trip)
{
	struct bounds bounds = {0};
	int64_t out, in;

	if ((trip->flags & (TRIP_VOID | TRIP_SKIPPED | TRIP_FAILED)) ||
	    !(trip->stamped & POINT_BIT(LEG_FORWARD, POINT_SEND)))
		return bounds;
	if (nearest(trip, LEG_FORWARD, true, &out) &&
	    nearest(trip, LEG_FORWARD, false, &in)) {
		bounds.has_upper = true;
		bounds.upper_ns = in - out;
		bounds.upper_at_ns = raw_ns(trip, out);
	}
	if (nearest(trip, LEG_BACK, true, &out) &&
	    nearest(trip, LEG_BACK, false, &in)) {
		bounds.has_lower = true;
		bounds.lower_ns = out - in;
		bounds.lower_at_ns = raw_ns(trip, in);
	}
	return bounds;
}

static double seconds(int64_t from_ns, int64_t to_ns)
{
	return (double)(to_ns - from_ns) / (double)NS_PER_S;
}

/* A new regime it is in any case; it counts as a step if what the drift may
 * have done meanwhile is no other explanation. */
static void doubt_confirm(struct offset *offset, int64_t at_ns)
{
	struct doubt *doubt = &offset->doubt;
	double drifted = (doubt->drift_high - doubt->drift_low) *
			 (double)(at_ns - doubt->at_ns) / (double)NS_PER_S;

	doubt->active = false;
	offset->steps += doubt->clear || drifted < doubt->size_ns / 2;
}

static void live_solve(struct offset *offset, int64_t at_ns)
{
	size_t last = offset->window_count - 1;

	if (windows_solve(offset, last, at_ns, &offset->live))
		return;
	if (offset->doubt.active)
		doubt_confirm(offset, at_ns);
	windows_split(offset);
	offset->steps++;
	(void)windows_solve(offset, offset->window_count - 1, at_ns,
			    &offset->live);
}

static void bounds_add(struct offset *offset, const struct bounds *bounds,
		       int64_t at_ns, bool begin)
{
	struct polygon *live = &offset->live;
	enum clip clip = CLIP_NONE;

	offset->trips++;
	if (windows_add(offset, bounds, at_ns, begin) || live->count == 0) {
		live_solve(offset, at_ns);
		return;
	}
	if (bounds->has_upper)
		clip = polygon_clip(live, bounds->upper_at_ns, bounds->upper_ns,
				    1, true);
	if (bounds->has_lower && clip != CLIP_EMPTY)
		clip = polygon_clip(live, bounds->lower_at_ns, bounds->lower_ns,
				    1, false);
	if (clip == CLIP_EMPTY)
		live_solve(offset, at_ns);
}

static void regime_begin(struct offset *offset)
{
	offset->regime++;
	offset->trips = 0;
	offset->live.count = 0;
}

static double margin_of(int64_t low, int64_t high)
{
	return fmax(MARGIN_NS, (double)(high - low) / MARGIN_SHARE);
}

/* What the lines leave where a trip's bounds are: the lower one is of its
 * answer, later by the time that the clock drifted meanwhile. */
struct left {
	int64_t low_ns, high_ns;               /* at the upper bound */
	int64_t answer_low_ns, answer_high_ns; /* at the lower one */
};

static struct left left_at(const struct polygon *polygon,
			   const struct bounds *bounds)
{
	struct left left;

	polygon_at(polygon, bounds->upper_at_ns, &left.low_ns, &left.high_ns);
	polygon_at(polygon, bounds->lower_at_ns, &left.answer_low_ns,
		   &left.answer_high_ns);
	return left;
}

/* Both bounds jump: one is tighter than any before, and the other is looser
 * by as much.  Queues make bounds looser, never tighter. */
static bool is_doubtful(const struct polygon *polygon,
			const struct bounds *bounds, struct doubt *ret_doubt)
{
	struct left left;
	double margin, up, down;

	if (!bounds->has_upper || !bounds->has_lower || polygon->count == 0)
		return false;
	left = left_at(polygon, bounds);
	margin = margin_of(left.low_ns, left.high_ns);
	up = (double)(bounds->lower_ns - left.answer_low_ns);
	down = (double)(left.high_ns - bounds->upper_ns);
	*ret_doubt = (struct doubt){
		.active = true,
		.clear = (double)(bounds->lower_ns - left.answer_high_ns) >
				 margin ||
			 (double)(left.low_ns - bounds->upper_ns) > margin,
		.up = up > down,
		.size_ns = fmax(up, down),
		.before = *polygon,
		.at_ns = bounds->upper_at_ns,
		.low_at_ns = bounds->lower_at_ns,
		.low_ns = left.answer_low_ns,
		.high_ns = left.high_ns,
	};
	polygon_drift(polygon, &ret_doubt->drift_low, &ret_doubt->drift_high);
	if (ret_doubt->clear)
		return true;
	return (up > margin &&
		(double)(bounds->upper_ns - left.high_ns) > 0.75 * up) ||
	       (down > margin &&
		(double)(left.answer_low_ns - bounds->lower_ns) > 0.75 * down);
}

static void doubt_begin(struct offset *offset, const struct doubt *doubt,
			const struct bounds *bounds, int64_t at_ns)
{
	uint32_t before = offset->regime;

	offset->doubt = *doubt;
	offset->doubt.regime = before;
	offset->doubt.trips = 1;
	regime_begin(offset);
	bounds_add(offset, bounds, at_ns, true);
}

/* No step: its windows are the old regime's; those that fit no line of it
 * are a wrong stamp's. */
static void doubt_dismiss(struct offset *offset, int64_t at_ns)
{
	size_t count = offset->window_count;

	while (count > 0 && offset->windows[count - 1].regime == offset->regime)
		offset->windows[--count].regime = offset->doubt.regime;
	if (offset->doubt.clear)
		offset->window_count = count;
	offset->regime = offset->doubt.regime;
	offset->trips += offset->doubt.trips;
	offset->doubt.active = false;
	offset->past_known = false;
	if (offset->window_count > 0)
		live_solve(offset, at_ns);
}

/* How much looser ('loose') or tighter than before the bounds are, in the
 * direction of the step. */
static double moved(const struct doubt *doubt, const struct bounds *bounds,
		    bool loose)
{
	bool lower = doubt->up != loose;

	if (lower)
		return (doubt->up ? 1 : -1) *
		       ((double)(bounds->lower_ns - doubt->low_ns) -
			doubt->drift_high *
				seconds(doubt->low_at_ns, bounds->lower_at_ns));
	return (doubt->up ? 1 : -1) *
	       ((double)(bounds->upper_ns - doubt->high_ns) -
		doubt->drift_low * seconds(doubt->at_ns, bounds->upper_at_ns));
}

/* Whether this trip could not be after a step of that size. */
static bool is_as_before(const struct doubt *doubt, const struct bounds *bounds)
{
	struct left left;

	if (!bounds->has_upper || !bounds->has_lower)
		return false;
	left = left_at(&doubt->before, bounds);
	return bounds->lower_ns <= left.answer_high_ns &&
	       bounds->upper_ns >= left.low_ns &&
	       moved(doubt, bounds, true) < doubt->size_ns / 2;
}

/* The step is the larger, the farther a bound goes. */
static void doubt_grow(struct doubt *doubt, const struct bounds *bounds)
{
	if (bounds->has_upper && bounds->has_lower)
		doubt->size_ns =
			fmax(doubt->size_ns, moved(doubt, bounds, false));
}

static void doubt_take(struct offset *offset, const struct bounds *bounds,
		       int64_t at_ns)
{
	struct doubt *doubt = &offset->doubt, another;

	if (is_as_before(doubt, bounds)) {
		doubt_dismiss(offset, at_ns);
		bounds_add(offset, bounds, at_ns, false);
		return;
	}
	if (is_doubtful(&offset->live, bounds, &another) && another.clear) {
		doubt_confirm(offset, at_ns);
		doubt_begin(offset, &another, bounds, at_ns);
		return;
	}
	doubt_grow(doubt, bounds);
	bounds_add(offset, bounds, at_ns, false);
	if (++doubt->trips >= (doubt->clear ? DOUBT_TRIPS_CLEAR : DOUBT_TRIPS))
		doubt_confirm(offset, at_ns);
}

static void bounds_take(struct offset *offset, const struct bounds *bounds,
			int64_t at_ns)
{
	struct doubt doubt;

	if (offset->broken) {
		offset->broken = false;
		if (offset->doubt.active)
			doubt_confirm(offset, at_ns);
		if (offset->window_count > 0) {
			offset->steps++;
			regime_begin(offset);
		}
	}
	if (offset->doubt.active)
		doubt_take(offset, bounds, at_ns);
	else if (is_doubtful(&offset->live, bounds, &doubt))
		doubt_begin(offset, &doubt, bounds, at_ns);
	else
		bounds_add(offset, bounds, at_ns, false);
}

/* The trip's own bounds hold whatever the clock did before and after; they
 * are carried from their own times to that of the reading. */
static struct bounds own_carry(const struct bounds *own, int64_t at_ns,
			       double drift_low, double drift_high)
{
	struct bounds carried = *own;
	double upper = seconds(at_ns, own->upper_at_ns);
	double lower = seconds(at_ns, own->lower_at_ns);

	carried.upper_ns -=
		(int64_t)floor(fmin(drift_low * upper, drift_high * upper));
	carried.lower_ns -=
		(int64_t)ceil(fmax(drift_low * lower, drift_high * lower));
	return carried;
}

static void own_bounds(const struct bounds *own, int64_t *low, int64_t *high)
{
	int64_t own_low = own->lower_ns - 1, own_high = own->upper_ns + 1;

	if (!own->has_upper || !own->has_lower || own_low > own_high)
		return;
	if (own_low > *high || own_high < *low) {
		*low = own_low;
		*high = own_high;
		return;
	}
	if (own_low > *low)
		*low = own_low;
	if (own_high < *high)
		*high = own_high;
}

static bool reading_make(const struct offset *offset,
			 const struct polygon *polygon,
			 const struct bounds *own, int64_t at_ns,
			 struct offset_reading *ret_reading)
{
	double apart = seconds(polygon->center_ns, at_ns);
	double wander = offset->wander * apart * apart / 2;
	double drift_low, drift_high;
	struct bounds carried;
	int64_t low, high;

	if (polygon->count == 0)
		return false;
	polygon_at(polygon, at_ns, &low, &high);
	low -= (int64_t)wander;
	high += (int64_t)wander;
	polygon_drift(polygon, &drift_low, &drift_high);
	carried = own_carry(own, at_ns, drift_low, drift_high);
	own_bounds(&carried, &low, &high);
	*ret_reading = (struct offset_reading){
		.low_ns = low,
		.high_ns = high,
		.best_ns = low + (high - low) / 2,
		.drift_ppm = (drift_low + drift_high) / 2 / NS_PER_S_PPM,
		.drift_low_ppm = drift_low / NS_PER_S_PPM,
		.drift_high_ppm = drift_high / NS_PER_S_PPM,
		.regime = offset->regime,
		.trips = offset->trips,
	};
	return true;
}

bool offset_trip(struct offset *offset, const struct trip *trip,
		 struct offset_reading *ret_reading)
{
	struct bounds bounds = bounds_of(trip);

	if (trip->flags & TRIP_VOID)
		offset->broken = true;
	if (trip->flags & (TRIP_VOID | TRIP_SKIPPED | TRIP_FAILED))
		return false;
	if (bounds.has_upper || bounds.has_lower)
		bounds_take(offset, &bounds, trip->sent_ns);
	return reading_make(offset, &offset->live, &bounds, trip->sent_ns,
			    ret_reading);
}

/* The last window that begins no later. */
static size_t window_find(const struct offset *offset, int64_t at_ns)
{
	size_t low = 0, high = offset->window_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (offset->windows[middle].begin_ns <= at_ns)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void past_solve(struct offset *offset, size_t near)
{
	(void)windows_solve(offset, near, offset->windows[near].begin_ns,
			    &offset->past);
}

/* Of a window that stands alone. */
static bool reading_own(const struct offset *offset, const struct bounds *own,
			int64_t at_ns, struct offset_reading *ret_reading)
{
	double drift = offset->drift_max / NS_PER_S_PPM;
	struct bounds carried =
		own_carry(own, at_ns, -offset->drift_max, offset->drift_max);

	if (!own->has_upper || !own->has_lower ||
	    carried.lower_ns > carried.upper_ns)
		return false;
	*ret_reading = (struct offset_reading){
		.low_ns = carried.lower_ns - 1,
		.high_ns = carried.upper_ns + 1,
		.best_ns = carried.lower_ns +
			   (carried.upper_ns - carried.lower_ns) / 2,
		.drift_low_ppm = -drift,
		.drift_high_ppm = drift,
		.trips = 1,
	};
	return true;
}

bool offset_at(struct offset *offset, const struct trip *trip,
	       struct offset_reading *ret_reading)
{
	struct bounds own = bounds_of(trip);
	size_t near;

	if (offset->window_count == 0 ||
	    (trip->flags & (TRIP_VOID | TRIP_SKIPPED | TRIP_FAILED)))
		return false;
	near = window_find(offset, trip->sent_ns);
	if (!offset->past_known || offset->past_window != near)
		past_solve(offset, near);
	offset->past_known = true;
	offset->past_window = near;
	if (offset->windows[near].alone
		    ? !reading_own(offset, &own, trip->sent_ns, ret_reading)
		    : !reading_make(offset, &offset->past, &own, trip->sent_ns,
				    ret_reading))
		return false;
	ret_reading->regime = offset->windows[near].regime;
	return true;
}

void offset_end(struct offset *offset)
{
	if (offset->doubt.active && offset->doubt.clear)
		doubt_confirm(offset, offset->doubt.at_ns);
	offset->doubt.active = false;
}
