/* The bounds that are kept: the tightest of each window of trips.  When all
 * windows are full, neighbours join, and windows are twice as long. */
#include <math.h>

#include "probe/offset_private.h"

/* Drift by which bounds of different times are compared: the middle of what
 * is known.  It chooses which bound is kept, true are all of them. */
static double drift_known(const struct offset *offset)
{
	double low, high;

	if (offset->live.count == 0)
		return 0;
	polygon_drift(&offset->live, &low, &high);
	return (low + high) / 2;
}

/* A bound less another one, carried to that one's time. */
static double apart(int64_t bound_ns, int64_t at_ns, int64_t other_ns,
		    int64_t other_at_ns, double drift)
{
	return (double)(bound_ns - other_ns) -
	       drift * (double)(at_ns - other_at_ns) / (double)NS_PER_S;
}

static void bounds_join(struct bounds *to, const struct bounds *from,
			double drift)
{
	if (from->has_upper &&
	    (!to->has_upper ||
	     apart(from->upper_ns, from->upper_at_ns, to->upper_ns,
		   to->upper_at_ns, drift) < 0)) {
		to->has_upper = true;
		to->upper_ns = from->upper_ns;
		to->upper_at_ns = from->upper_at_ns;
	}
	if (from->has_lower &&
	    (!to->has_lower ||
	     apart(from->lower_ns, from->lower_at_ns, to->lower_ns,
		   to->lower_at_ns, drift) > 0)) {
		to->has_lower = true;
		to->lower_ns = from->lower_ns;
		to->lower_at_ns = from->lower_at_ns;
	}
}

/* Halves their number; windows of different regimes stay apart. */
static void windows_compact(struct offset *offset)
{
	double drift = drift_known(offset);
	size_t count = 0;

	for (size_t i = 0; i < offset->window_count; i++) {
		struct window *window = &offset->windows[i];
		struct window *last = &offset->windows[count - (count > 0)];

		if (count > 0 && last->regime == window->regime &&
		    last->alone == window->alone &&
		    last->trips + window->trips <= 2 * offset->window_trips) {
			bounds_join(&last->bounds, &window->bounds, drift);
			last->trips += window->trips;
		} else {
			offset->windows[count++] = *window;
		}
	}
	offset->window_trips *= 2;
	offset->window_count = count;
	if (count < WINDOWS_MAX)
		return;
	offset->window_count--; /* nothing but steps: forget the oldest */
	for (size_t i = 0; i < offset->window_count; i++)
		offset->windows[i] = offset->windows[i + 1];
}

bool windows_add(struct offset *offset, const struct bounds *bounds,
		 int64_t at_ns, bool begin)
{
	struct window *last = &offset->windows[offset->window_count -
					       (offset->window_count > 0)];

	offset->past_known = false;
	if (!begin && offset->window_count > 0 &&
	    last->regime == offset->regime &&
	    last->trips < offset->window_trips) {
		bounds_join(&last->bounds, bounds, drift_known(offset));
		last->trips++;
		return false;
	}
	if (offset->window_count == WINDOWS_MAX)
		windows_compact(offset);
	offset->windows[offset->window_count++] = (struct window){
		.bounds = *bounds,
		.begin_ns = at_ns,
		.regime = offset->regime,
		.trips = 1,
	};
	return true;
}

/* How much a bound may be off after so long, for the drift may change. */
static double slack_of(const struct offset *offset, int64_t apart_ns)
{
	double apart = (double)apart_ns / (double)NS_PER_S;

	return 1 + offset->wander * apart * apart / 2;
}

static bool window_apply(const struct offset *offset,
			 const struct window *window, struct polygon *polygon)
{
	const struct bounds *bounds = &window->bounds;
	enum clip upper = CLIP_NONE, lower = CLIP_NONE;

	if (bounds->has_upper)
		upper = polygon_clip(
			polygon, bounds->upper_at_ns, bounds->upper_ns,
			slack_of(offset,
				 bounds->upper_at_ns - polygon->center_ns),
			true);
	if (bounds->has_lower)
		lower = polygon_clip(
			polygon, bounds->lower_at_ns, bounds->lower_ns,
			slack_of(offset,
				 bounds->lower_at_ns - polygon->center_ns),
			false);
	return upper != CLIP_EMPTY && lower != CLIP_EMPTY;
}

/* A window's bound carried to the centre at the greatest drift. */
static int64_t carried(const struct offset *offset, int64_t apart_ns)
{
	double apart = fabs((double)apart_ns / (double)NS_PER_S);

	return (int64_t)(apart * offset->drift_max +
			 slack_of(offset, apart_ns)) +
	       2;
}

/* A first polygon from the windows nearest to the centre. */
static void window_begin(const struct offset *offset,
			 const struct window *window, int64_t center_ns,
			 struct bounds *box)
{
	const struct bounds *bounds = &window->bounds;

	if (!box->has_upper && bounds->has_upper) {
		box->has_upper = true;
		box->upper_ns =
			bounds->upper_ns +
			carried(offset, bounds->upper_at_ns - center_ns);
	}
	if (!box->has_lower && bounds->has_lower) {
		box->has_lower = true;
		box->lower_ns =
			bounds->lower_ns -
			carried(offset, bounds->lower_at_ns - center_ns);
	}
}

/* The i-th window counted from 'near' outwards; NULL: not of its regime. */
static const struct window *window_around(const struct offset *offset,
					  size_t near, size_t i)
{
	size_t away = (i + 1) / 2;
	const struct window *window;

	if (i & 1 ? near < away : near + away >= offset->window_count)
		return NULL;
	window = &offset->windows[i & 1 ? near - away : near + away];
	return window->regime == offset->windows[near].regime && !window->alone
		       ? window
		       : NULL;
}

static bool box_begin(const struct offset *offset, const struct bounds *box,
		      int64_t center_ns, struct polygon *ret_polygon)
{
	*ret_polygon = (struct polygon){0};
	if (!box->has_upper || !box->has_lower ||
	    box->upper_ns <= box->lower_ns)
		return false;
	polygon_init(ret_polygon, center_ns, box->lower_ns, box->upper_ns,
		     offset->drift_max);
	return true;
}

bool windows_solve(const struct offset *offset, size_t near, int64_t center_ns,
		   struct polygon *ret_polygon)
{
	size_t count = 2 * offset->window_count;
	const struct window *window;
	struct bounds box = {0};
	bool fits = true;

	for (size_t i = 0; i < count && !(box.has_upper && box.has_lower);
	     i++) {
		window = window_around(offset, near, i);
		if (window)
			window_begin(offset, window, center_ns, &box);
	}
	if (!box_begin(offset, &box, center_ns, ret_polygon))
		return true;
	for (size_t i = 0; i < count; i++) {
		window = window_around(offset, near, i);
		if (window)
			fits &= window_apply(offset, window, ret_polygon);
	}
	return fits;
}

/* How many windows from 'first' on, in the direction 'by', fit one line. */
static size_t fitting(const struct offset *offset, size_t first, int by,
		      size_t count)
{
	int64_t center_ns = offset->windows[first].begin_ns;
	struct bounds box = {0};
	struct polygon polygon;

	for (size_t i = 0; i < count; i++)
		window_begin(offset,
			     &offset->windows[by > 0 ? first + i : first - i],
			     center_ns, &box);
	if (!box_begin(offset, &box, center_ns, &polygon))
		return 1;
	for (size_t i = 0; i < count; i++) {
		if (!window_apply(
			    offset,
			    &offset->windows[by > 0 ? first + i : first - i],
			    &polygon))
			return i;
	}
	return count;
}

void windows_split(struct offset *offset)
{
	size_t end = offset->window_count, first = end, before, after;

	while (first > 0 &&
	       offset->windows[first - 1].regime == offset->regime &&
	       !offset->windows[first - 1].alone)
		first--;
	if (end - first < 2)
		return;
	before = first + fitting(offset, first, 1, end - first);
	after = end - fitting(offset, end - 1, -1, end - first);
	if (before > end - 1)
		before = end - 1;
	offset->regime++;
	for (size_t i = after < before ? after : before; i < end; i++) {
		offset->windows[i].alone = i < before;
		offset->windows[i].regime = offset->regime;
	}
	offset->past_known = false;
}
