/* Lines that bounds leave open: a convex polygon, cut by half planes. */
#include <math.h>

#include "probe/offset_private.h"

static double seconds(int64_t ns)
{
	return (double)ns / (double)NS_PER_S;
}

void polygon_init(struct polygon *polygon, int64_t center_ns, int64_t low_ns,
		  int64_t high_ns, double drift)
{
	double high = (double)(high_ns - low_ns);

	*polygon = (struct polygon){
		.count = 4,
		.base_ns = low_ns,
		.center_ns = center_ns,
		.lines = {{0, -drift},
			  {high, -drift},
			  {high, drift},
			  {0, drift}},
	};
}

/* How far a line is on the wrong side of a bound; negative: allowed. */
static double excess(const struct line *line, double dt, double bound,
		     double sign)
{
	return sign * (line->x + line->b * dt - bound);
}

static struct line crossing(const struct line *a, const struct line *b,
			    double share)
{
	return (struct line){a->x + (b->x - a->x) * share,
			     a->b + (b->b - a->b) * share};
}

/* Sutherland and Hodgman's step for one half plane. */
static int cut(const struct polygon *polygon, const double *over,
	       struct line ret_lines[2 * POLYGON_MAX])
{
	int count = 0;

	for (int i = 0; i < polygon->count; i++) {
		int next = i + 1 < polygon->count ? i + 1 : 0;
		const struct line *a = &polygon->lines[i];
		const struct line *b = &polygon->lines[next];

		if (over[i] <= 0)
			ret_lines[count++] = *a;
		if ((over[i] < 0 && over[next] > 0) ||
		    (over[i] > 0 && over[next] < 0))
			ret_lines[count++] = crossing(
				a, b, over[i] / (over[i] - over[next]));
	}
	return count;
}

enum clip polygon_clip(struct polygon *polygon, int64_t t_ns, int64_t bound_ns,
		       double slack, bool upper)
{
	double dt = seconds(t_ns - polygon->center_ns);
	double bound = (double)(bound_ns - polygon->base_ns);
	double over[POLYGON_MAX], most = -INFINITY, least = INFINITY;
	struct line lines[2 * POLYGON_MAX];
	int count;

	for (int i = 0; i < polygon->count; i++) {
		over[i] =
			excess(&polygon->lines[i], dt, bound, upper ? 1 : -1) -
			slack;
		most = fmax(most, over[i]);
		least = fmin(least, over[i]);
	}
	if (most <= 0)
		return CLIP_NONE;
	if (least >= 0)
		return CLIP_EMPTY;
	count = cut(polygon, over, lines);
	if (count > POLYGON_MAX) /* uncut is wider, and as true */
		return CLIP_NONE;
	for (int i = 0; i < count; i++)
		polygon->lines[i] = lines[i];
	polygon->count = count;
	return CLIP_CUT;
}

void polygon_at(const struct polygon *polygon, int64_t t_ns, int64_t *ret_low,
		int64_t *ret_high)
{
	double dt = seconds(t_ns - polygon->center_ns);
	double low = INFINITY, high = -INFINITY;

	for (int i = 0; i < polygon->count; i++) {
		const struct line *line = &polygon->lines[i];

		low = fmin(low, line->x + line->b * dt);
		high = fmax(high, line->x + line->b * dt);
	}
	*ret_low = polygon->base_ns + (int64_t)floor(low);
	*ret_high = polygon->base_ns + (int64_t)ceil(high);
}

void polygon_drift(const struct polygon *polygon, double *ret_low,
		   double *ret_high)
{
	*ret_low = INFINITY;
	*ret_high = -INFINITY;
	for (int i = 0; i < polygon->count; i++) {
		*ret_low = fmin(*ret_low, polygon->lines[i].b);
		*ret_high = fmax(*ret_high, polygon->lines[i].b);
	}
}
