/* The live view of 'sonde rtt': where the time goes, now. */
#include <inttypes.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/rtt_private.h"
#include "cli/tui_private.h"

#define DRAW_NS    (NS_PER_S / 4)
#define EVENTS     64
#define EVENT_SIZE 100

struct rtt_screen {
	struct tui *tui;
	struct mono drawn;
	char events[EVENTS][EVENT_SIZE]; /* the newest first, in a ring */
	unsigned event_count;
	struct hist *recent; /* round trips, to know what is unusual */
};

struct rtt_screen *rtt_screen_open(void)
{
	struct rtt_screen *screen = calloc(1, sizeof *screen);

	if (!screen)
		return NULL;
	screen->recent = hist_create();
	screen->tui = screen->recent ? tui_open() : NULL;
	if (screen->tui)
		return screen;
	hist_destroy(screen->recent);
	free(screen);
	return NULL;
}

void rtt_screen_close(struct rtt_screen *screen)
{
	if (!screen)
		return;
	tui_close(screen->tui);
	hist_destroy(screen->recent);
	free(screen);
}

static void event_add(struct rtt_screen *screen, const struct trip *trip,
		      const char *what)
{
	(void)snprintf(screen->events[screen->event_count++ % EVENTS],
		       EVENT_SIZE, "packet %u: %s", trip->seq, what);
}

/* The segment that took most beyond its usual time is not known here; the
 * round trip is, and that it stands out. */
static void slow_note(struct rtt_screen *screen, const struct trip *trip)
{
	int64_t usual = hist_quantile(screen->recent, 0.5);
	char text[2][TEXT_SIZE], what[80];
	int64_t rtt_ns = trip->rtt_ns;

	if (hist_count(screen->recent) > 100 &&
	    rtt_ns > hist_quantile(screen->recent, 0.999) &&
	    rtt_ns > 2 * usual) {
		(void)snprintf(what, sizeof what, "slow, %s (usually %s)",
			       rtt_ns_text(rtt_ns, text[0]),
			       rtt_ns_text(usual, text[1]));
		event_add(screen, trip, what);
	}
	hist_add(screen->recent, rtt_ns);
}

void rtt_screen_trip(struct rtt_screen *screen, const struct trip *trip)
{
	const char *what = NULL;

	if (trip->flags & TRIP_SKIPPED)
		what = "its slot was gone by: skipped";
	else if (trip->flags & TRIP_FAILED)
		what = "refused by the system";
	else if (trip->flags & TRIP_VOID)
		what = "a clock was stepped: left out";
	else if (trip->flags & TRIP_LOST)
		what = !(trip->flags & TRIP_LEG_KNOWN) ? "lost"
		       : trip->flags & TRIP_LOST_BACK  ? "lost on its way back"
						      : "lost on its way there";
	else if (trip->flags & TRIP_OVERTAKEN(LEG_FORWARD))
		what = "overtaken on its way there";
	else if (trip->flags & TRIP_OVERTAKEN(LEG_BACK))
		what = "overtaken on its way back";
	else if (trip->duplicates[0] + trip->duplicates[1] > 0)
		what = "came more than once";
	if (what)
		event_add(screen, trip, what);
	if (!(trip->flags &
	      (TRIP_SKIPPED | TRIP_FAILED | TRIP_LOST | TRIP_VOID)))
		slow_note(screen, trip);
}

static void fill_line(int line)
{
	attrset(tui_color(PAINT_HEAD));
	mvhline(line, 0, ' ', COLS);
	attrset(A_NORMAL);
}

static void head_draw(const struct rtt_result *result)
{
	fill_line(0);
	if (result->watched) {
		tui_put(0, 1, tui_color(PAINT_HEAD),
			"sonde rtt --watch %s  %s  %.3g exchanges/s",
			result->address, result->host, result->rate_hz);
		return;
	}
	tui_put(0, 1, tui_color(PAINT_HEAD),
		"sonde rtt  %s  %g/s  %zu bytes  %s", result->host,
		result->rate_hz, result->size, tier_words[result->tier]);
}

static void counts_draw(const struct rtt_result *result, int line)
{
	struct tally_counters counters = tally_counters(result->tally);
	uint64_t lost = counters.lost_forward + counters.lost_back +
			counters.lost_unknown;
	int column = 1;
	char text[160];

	(void)snprintf(text, sizeof text, "%" PRIu64 " sent", counters.sent);
	tui_put(line, column, tui_color(PAINT_RATE), "%s", text);
	column += (int)strlen(text) + 2;
	(void)snprintf(text, sizeof text,
		       "%" PRIu64 " lost (%" PRIu64 " there, %" PRIu64 " back)",
		       lost, counters.lost_forward, counters.lost_back);
	tui_put(line, column, tui_color(lost ? PAINT_BAD : PAINT_GOOD), "%s",
		text);
	column += (int)strlen(text) + 2;
	tui_put(line, column, A_NORMAL,
		"%" PRIu64 " late  %" PRIu64 " skipped  %" PRIu64
		" twice  %" PRIu64 " moved",
		counters.late, counters.skipped,
		(counters.duplicates_forward + counters.duplicates_back),
		(counters.reordered_forward + counters.reordered_back));
}

static void values_draw(int line, const char *name, const struct hist *hist)
{
	struct hist_summary summary;
	char text[5][TEXT_SIZE];

	hist_summary(hist, &summary);
	tui_put(line, 1, A_NORMAL, "%-27.27s", name);
	if (summary.count == 0) {
		tui_put(line, 29, tui_color(PAINT_DIM), "no values");
		return;
	}
	tui_put(line, 28, A_NORMAL, "%6s%6s%6s%6s%6s",
		rtt_quantile_text(&summary, "p50", summary.p50, text[0]),
		rtt_quantile_text(&summary, "p90", summary.p90, text[1]),
		rtt_quantile_text(&summary, "p99", summary.p99, text[2]),
		rtt_quantile_text(&summary, "p99_9", summary.p99_9, text[3]),
		rtt_ns_short(summary.max, text[4]));
}

/* A segment's bar begins where the one before it ends. */
static void bar_draw(const struct rtt_screen *screen, int line, double from,
		     double share, enum rtt_owner owner)
{
	static const enum tui_paint paints[OWNER_COUNT] = {
		[OWNER_APPLICATION] = PAINT_RATE,
		[OWNER_KERNEL] = PAINT_TITLE,
		[OWNER_PATH] = PAINT_GOOD,
	};
	int room = COLS - 66, begin, end;

	tui_put(line, 59, tui_color(paints[owner]), "%4.0f%%", share * 100);
	if (room < 4)
		return;
	begin = (int)(from * room);
	end = (int)((from + share) * room + 0.5);
	for (int i = begin; i < (end > begin ? end : begin + 1) && i < room;
	     i++)
		tui_put(line, 65 + i, tui_color(paints[owner]), "%s",
			end <= begin ? (screen->tui->blocks ? "▏" : "|")
			: screen->tui->blocks ? "█"
					      : "#");
}

/* Of those that there is no room for the longest are drawn: which ones, and
 * how many are not. */
static size_t segments_fold(const struct rtt_shares *shares, int room,
			    bool ret_drawn[SEGMENT_MAX])
{
	size_t left_out = 0, most = room > 1 ? (size_t)room - 1 : 0;

	for (size_t i = 0; i < shares->count; i++)
		ret_drawn[i] = true;
	if (room > 0 && shares->count <= (size_t)room)
		return 0;
	while (shares->count - left_out > most) {
		size_t least = SEGMENT_MAX;

		for (size_t i = 0; i < shares->count; i++) {
			if (ret_drawn[i] &&
			    (least == SEGMENT_MAX ||
			     shares->share[i] < shares->share[least]))
				least = i;
		}
		ret_drawn[least] = false;
		left_out++;
	}
	return left_out;
}

static int segments_draw(const struct rtt_screen *screen,
			 const struct rtt_result *result, int line, int end)
{
	struct rtt_shares shares;
	bool drawn[SEGMENT_MAX] = {false};
	double from = 0, folded = 0;
	size_t left_out;

	rtt_shares(result, &shares);
	tui_put(line++, 1, tui_color(PAINT_DIM), "%-27s%6s%6s%6s%6s%6s%6s",
		"segment", "p50", "p90", "p99", "p99.9", "max", "share");
	left_out = segments_fold(&shares, end - line, drawn);
	for (size_t i = 0; i < shares.count; i++) {
		double share = shares.share[i] > 0 ? shares.share[i] : 0;

		if (drawn[i]) {
			values_draw(line, shares.segments[i].name,
				    tally_segment(result->tally, i));
			bar_draw(screen, line++, from < 1 ? from : 1,
				 shares.share[i],
				 rtt_owner(&shares.segments[i]));
		} else {
			folded += share;
		}
		from += share;
	}
	if (left_out > 0 && line < end)
		tui_put(line++, 1, tui_color(PAINT_DIM),
			"and %2zu shorter ones: no room %28s%4.0f%%", left_out,
			"", folded * 100);
	return line;
}

static int layers_draw(const struct rtt_result *result, int line, int end)
{
	static const struct {
		enum tally_hist which;
		const char *name;
	} layers[] = {{TALLY_RTT, "round trip"},
		      {TALLY_SOCKET, "  between sockets"},
		      {TALLY_KERNEL, "  between kernels"},
		      {TALLY_WIRE, "  between drivers"}};

	for (size_t i = 0; i < 4 && line < end; i++)
		values_draw(line++, layers[i].name,
			    tally_hist(result->tally, layers[i].which));
	return line;
}

static void owners_draw(const struct rtt_result *result, int line)
{
	struct rtt_shares shares;
	char text[256];

	rtt_shares(result, &shares);
	if (shares.known)
		tui_put(line, 1, tui_color(PAINT_TITLE), "%s",
			rtt_owners_text(result, &shares, text));
}

static void offset_draw(const struct rtt_result *result, int line)
{
	const struct offset_reading *reading = &result->reading;
	char text[2][TEXT_SIZE];

	if (result->reading_known)
		tui_put(line, 1, A_NORMAL,
			"its clock %s ahead, +-%s, drift %.3g ppm",
			rtt_ns_text(reading->best_ns, text[0]),
			rtt_ns_text((reading->high_ns - reading->low_ns + 1) /
					    2,
				    text[1]),
			reading->drift_ppm);
}

static void events_draw(const struct rtt_screen *screen, int line, int end)
{
	unsigned shown =
		screen->event_count < EVENTS ? screen->event_count : EVENTS;

	for (unsigned i = 1; i <= shown && line < end; i++)
		tui_put(line++, 1, tui_color(PAINT_BAD), "%s",
			screen->events[(screen->event_count - i) % EVENTS]);
}

static void draw(const struct rtt_screen *screen,
		 const struct rtt_result *result)
{
	int last = LINES - 1, line = 3;

	erase();
	head_draw(result);
	if (!result->tally) {
		tui_put(2, 1, A_NORMAL, "waiting for answers ...");
	} else {
		counts_draw(result, 1);
		line = segments_draw(screen, result, line, last - 3);
		line = layers_draw(result, line, last - 2);
		owners_draw(result, line < last ? line++ : last);
		if (line < last)
			offset_draw(result, line++);
		events_draw(screen, line, last);
	}
	fill_line(last);
	tui_put(last, 1, tui_color(PAINT_HEAD),
		"q quit and print   n, u, m: nano-, micro-, milliseconds");
	refresh();
}

bool rtt_screen_turn(struct rtt_screen *screen, const struct rtt_result *result)
{
	struct mono now = mono_now();
	bool resized = false;
	int key;

	while ((key = getch()) != ERR) {
		if (key == 'q' || key == 'Q')
			return false;
		resized |= key == KEY_RESIZE;
	}
	if (!resized && mono_ns_between(screen->drawn, now) < DRAW_NS)
		return true;
	screen->drawn = now;
	draw(screen, result);
	return true;
}
