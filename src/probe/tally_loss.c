/* Loss periods and distances, RFC 3357, of the whole trip and of each leg. */
#include "probe/tally_private.h"

static void period_end(struct tally *tally, int which)
{
	struct losses *losses = &tally->losses[which];

	if (losses->run > 0)
		hist_add(tally->hists[TALLY_LOSS_PERIOD + which],
			 (int64_t)losses->run);
	losses->run = 0;
}

static void distance_add(struct tally *tally, int hist, uint64_t from,
			 uint64_t to)
{
	hist_add(tally->hists[hist], (int64_t)(to - from));
}

static void packet_add(struct tally *tally, int which, bool lost)
{
	struct losses *losses = &tally->losses[which];
	uint64_t at = losses->packets++;

	if (!lost) {
		period_end(tally, which);
		return;
	}
	if (losses->lost_before)
		distance_add(tally, TALLY_LOSS_DISTANCE + which,
			     losses->lost_at, at);
	losses->lost_before = true;
	losses->lost_at = at;
	if (losses->run++ > 0)
		return;
	if (losses->period_before)
		distance_add(tally, TALLY_LOSS_BETWEEN + which,
			     losses->period_at, at);
	losses->period_before = true;
	losses->period_at = at;
}

/* What was lost on its way there was never sent back; what was lost nobody
 * knows where belongs to no leg. */
void losses_trip(struct tally *tally, const struct trip *trip)
{
	bool lost = trip->flags & TRIP_LOST;
	bool back = trip->flags & TRIP_LOST_BACK;

	packet_add(tally, LOSSES_TRIP, lost);
	if (lost && !(trip->flags & TRIP_LEG_KNOWN))
		return;
	packet_add(tally, LOSSES_FORWARD, lost && !back);
	if (!lost || back)
		packet_add(tally, LOSSES_BACK, lost);
}

void losses_end(struct tally *tally)
{
	for (int which = 0; which < LOSSES_COUNT; which++)
		period_end(tally, which);
}
