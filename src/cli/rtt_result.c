/* From trips to what is shown of a run. */
#include <stdlib.h>
#include <string.h>

#include "cli/rtt_private.h"

int rtt_result_init(struct rtt_result *result)
{
	return offset_create(NULL, &result->offset);
}

void rtt_result_fini(struct rtt_result *result)
{
	tally_destroy(result->tally);
	offset_destroy(result->offset);
}

enum tier rtt_tier(point_set points)
{
	enum tier tier = TIER_APPLICATION;

	for (; points != 0; points &= points - 1) {
		int point = __builtin_ctzll(points) % POINT_COUNT;

		if (point_rows[point].tier > tier)
			tier = point_rows[point].tier;
	}
	return tier;
}

/* When the first trip is given out, its time limit is past: which points the
 * other host stamps is known. */
static int tally_begin(struct rtt_result *result, point_set points)
{
	struct tally_options options = {
		.points = points,
		.timeout_ns = result->options->timeout_ns,
	};

	result->points = points;
	result->tier = rtt_tier(points);
	return tally_create(&options, &result->tally);
}

int rtt_result_trip(struct rtt_result *result, const struct trip *trip,
		    point_set points)
{
	struct offset_reading reading;
	bool known;
	int rc = 0;

	/* An answer that tells more than was known moves the points. */
	if (result->tally && (points & ~result->points) != 0 &&
	    tally_counters(result->tally).answered == 0) {
		tally_destroy(result->tally);
		result->tally = NULL;
	}
	if (!result->tally)
		rc = tally_begin(result, points);
	if (rc < 0)
		return rc;
	known = offset_trip(result->offset, trip, &reading);
	if (known) {
		result->reading = reading;
		result->reading_known = true;
	}
	tally_trip(result->tally, trip, known ? &reading : NULL);
	return 0;
}

void rtt_result_end(struct rtt_result *result)
{
	if (result->ended)
		return;
	result->ended = true;
	offset_end(result->offset);
	if (result->tally)
		tally_end(result->tally);
}

enum rtt_owner rtt_owner(const struct segment *segment)
{
	if (segment->crosses || segment->from == POINT_SENT ||
	    (segment->from == POINT_DRIVER &&
	     segment->from_leg != segment->to_leg))
		return OWNER_PATH;
	if (segment->from_leg != segment->to_leg)
		return OWNER_APPLICATION;
	if (segment->to <= POINT_READY)
		return OWNER_KERNEL;
	return OWNER_APPLICATION;
}

bool rtt_remote(const struct segment *segment)
{
	return !point_is_local(segment->to_leg, segment->to);
}

static bool is_if_asleep(enum point point)
{
	return point >= POINT_READY && point <= POINT_RUNNING;
}

bool rtt_if_asleep(const struct segment *segment)
{
	return is_if_asleep(segment->from) || is_if_asleep(segment->to);
}

static bool of_wake_up(const struct segment *segment)
{
	return segment->from == POINT_WAKING ||
	       segment->from == POINT_RUNNING || segment->to == POINT_WAKING ||
	       segment->to == POINT_RUNNING;
}

/* What no segment holds is the time of readers that were awake: from the
 * packet's being ready to the return of their call. */
static void shares_fill(struct rtt_shares *shares, double whole, double rtt)
{
	bool wake_ups = false;

	for (size_t i = 0; i < shares->count; i++)
		wake_ups |= of_wake_up(&shares->segments[i]);
	if (wake_ups && rtt > whole) {
		shares->awake = (rtt - whole) / rtt;
		shares->owners[OWNER_APPLICATION] = shares->awake;
		whole = rtt;
	}
	for (size_t i = 0; i < shares->count && whole > 0; i++) {
		const struct segment *segment = &shares->segments[i];
		double share = (double)shares->mean_ns[i] / whole;
		enum rtt_owner owner = rtt_owner(segment);

		shares->share[i] = share;
		shares->owners[owner] += share;
		if (rtt_remote(segment))
			shares->remote[owner] += share;
	}
}

void rtt_shares(const struct rtt_result *result, struct rtt_shares *ret_shares)
{
	const struct hist *all;
	double whole = 0;

	memset(ret_shares, 0, sizeof *ret_shares);
	if (!result->tally)
		return;
	ret_shares->known = true;
	ret_shares->count = tally_segments(result->tally, ret_shares->segments);
	all = tally_hist(result->tally, TALLY_RTT);
	for (size_t i = 0; i < ret_shares->count; i++) {
		const struct hist *hist = tally_segment(result->tally, i);
		double mean = hist_mean(hist);

		/* A reader that was awake had no such time. */
		if (of_wake_up(&ret_shares->segments[i]) && hist_count(all) > 0)
			mean *= (double)hist_count(hist) /
				(double)hist_count(all);
		else
			ret_shares->known &= hist_count(hist) > 0;
		ret_shares->mean_ns[i] = (int64_t)mean;
		whole += mean;
	}
	shares_fill(ret_shares, whole, hist_mean(all));
}

uint64_t rtt_expected(const struct rtt_result *result,
		      const struct segment *segment)
{
	struct tally_counters counters = tally_counters(result->tally);
	point_set ends =
		segment ? POINT_BIT(segment->from_leg, segment->from) |
				  POINT_BIT(segment->to_leg, segment->to)
			: POINT_BIT(LEG_FORWARD, POINT_SENT);
	point_set unstamped = POINT_BIT(LEG_FORWARD, POINT_SCHED) |
			      POINT_BIT(LEG_FORWARD, POINT_SENT) |
			      POINT_BIT(LEG_FORWARD, POINT_SENT_HW) |
			      trip_points_of_bpf();

	return counters.answered - (ends & unstamped ? counters.unstamped : 0);
}

char *rtt_owners_text(const struct rtt_result *result,
		      const struct rtt_shares *shares, char ret_text[256])
{
	static const char *const names[OWNER_COUNT] = {
		"applications and their wake-up", "kernels", "path"};
	bool plain = result->tier == TIER_APPLICATION;
	double left[OWNER_COUNT];
	size_t at = 0;

	memcpy(left, shares->owners, sizeof left);
	ret_text[0] = 0;
	for (int i = 0; i < OWNER_COUNT; i++) {
		int most = 0;

		for (int k = 1; k < OWNER_COUNT; k++)
			most = left[k] > left[most] ? k : most;
		if (left[most] >= 0.0005 && at < 256)
			at += (size_t)snprintf(
				ret_text + at, 256 - at, "%s%s %.0f %%",
				at > 0 ? ", " : "",
				plain && most == OWNER_PATH ? "path and kernels"
				: plain ? "reflector's application"
					: names[most],
				left[most] * 100);
		left[most] = -1e9;
	}
	return ret_text;
}

static const struct {
	double ns;
	const char *unit, *letter;
} scales[] = {{1e9, "s", "s"}, {1e6, "ms", "m"}, {1e3, "us", "u"}};

static char *scaled(int64_t ns, bool brief, char *ret_text)
{
	double size = ns < 0 ? -(double)ns : (double)ns;

	for (size_t i = 0; i < 3; i++) {
		double value = (double)ns / scales[i].ns;
		int digits = size / scales[i].ns < 9.995   ? 2
			     : size / scales[i].ns < 99.95 ? 1
							   : 0;

		if (size < scales[i].ns * 0.9995)
			continue;
		if (brief && ns < 0 && digits > 0)
			digits--;
		(void)snprintf(ret_text, TEXT_SIZE, "%.*f%s%s", digits, value,
			       brief ? "" : " ",
			       brief ? scales[i].letter : scales[i].unit);
		return ret_text;
	}
	(void)snprintf(ret_text, TEXT_SIZE, brief ? "%lldn" : "%lld ns",
		       (long long)ns);
	return ret_text;
}

char *rtt_ns_text(int64_t ns, char ret_text[static TEXT_SIZE])
{
	return scaled(ns, false, ret_text);
}

char *rtt_ns_short(int64_t ns, char ret_text[static TEXT_SIZE])
{
	return scaled(ns, true, ret_text);
}
