/* What the offset estimate is made of.  Included by this room only. */
#ifndef OFFSET_PRIVATE_H
#define OFFSET_PRIVATE_H

#include "probe/probe.h"

/* polygon.c: the lines offset(t) = x + b * t that are left, as a convex
 * polygon of (x, b): x in ns beyond 'base_ns' at the time 'center_ns', b in
 * ns per s. */
#define POLYGON_MAX 48

struct line {
	double x, b;
};

struct polygon {
	int count; /* 0: nothing known */
	int64_t base_ns, center_ns;
	struct line lines[POLYGON_MAX];
};

enum clip { CLIP_NONE, CLIP_CUT, CLIP_EMPTY };

/* Lines through 'low' to 'high' (ns, offsets) at the centre, with a drift of
 * up to 'drift' ns per s either way. */
void polygon_init(struct polygon *polygon, int64_t center_ns, int64_t low_ns,
		  int64_t high_ns, double drift);
/* Takes away the lines that at 't_ns' are above ('upper') or below the
 * bound, 'slack' ns apart.  CLIP_EMPTY: none would be left; unchanged. */
enum clip polygon_clip(struct polygon *polygon, int64_t t_ns, int64_t bound_ns,
		       double slack, bool upper);
/* The lines' lowest and highest at 't_ns', rounded outwards. */
void polygon_at(const struct polygon *polygon, int64_t t_ns, int64_t *ret_low,
		int64_t *ret_high);
void polygon_drift(const struct polygon *polygon, double *ret_low,
		   double *ret_high);

/* The bounds of one trip, or the tightest of a window's trips. */
struct bounds {
	bool has_upper, has_lower;
	int64_t upper_ns, lower_ns;
	int64_t upper_at_ns, lower_at_ns; /* as trip's sent_ns */
};

#define WINDOWS_MAX       256
#define WINDOW_TRIPS      8  /* at first; twice as many when all are full */
#define DOUBT_TRIPS       32 /* until a step is believed */
#define DOUBT_TRIPS_CLEAR 4  /* if no line fits both sides */

struct window {
	struct bounds bounds;
	int64_t begin_ns;
	uint32_t regime;
	uint32_t trips;
	bool alone; /* the step may be inside: its trips' own bounds count */
};

/* A clock that may have been stepped. */
struct doubt {
	bool active;
	bool clear; /* no line fits both sides */
	bool up;
	double size_ns;
	uint32_t trips;
	uint32_t regime; /* the one before */
	/* As it was before: what a clock that goes on as it did, at whichever
	 * drift makes a step the likelier, leaves later. */
	struct polygon before;
	int64_t at_ns, high_ns, low_at_ns, low_ns;
	double drift_low, drift_high;
};

struct offset {
	double drift_max; /* ns per s */
	double wander;    /* ns per s and s */
	struct window windows[WINDOWS_MAX];
	size_t window_count;
	uint32_t window_trips;
	uint32_t regime; /* the present one */
	uint32_t trips;  /* of it */
	uint32_t steps;
	bool broken; /* our own clock was stepped: the next trip is another's */
	struct polygon live;
	struct doubt doubt;
	struct polygon past; /* of offset_at(): around one window */
	size_t past_window;
	bool past_known;
};

/* offset_window.c */
/* Adds bounds to the open window, or a new one if 'begin' or it is full.
 * Returns true if one was begun. */
bool windows_add(struct offset *offset, const struct bounds *bounds,
		 int64_t at_ns, bool begin);
/* What all windows of a regime leave, around 'center_ns'; 'near' is the
 * window next to it.  False: no line fits them all. */
bool windows_solve(const struct offset *offset, size_t near, int64_t center_ns,
		   struct polygon *ret_polygon);
/* The present regime's windows fit no one line: what cannot be before the
 * change becomes another regime, what may be on either side stands alone. */
void windows_split(struct offset *offset);

#endif
