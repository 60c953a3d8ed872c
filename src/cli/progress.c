#include "cli/progress.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"

#define FIRST_NS  (NS_PER_S)
#define REDRAW_NS (NS_PER_S / 2)

void progress_begin(struct progress *progress, bool wanted)
{
	*progress = (struct progress){.wanted = wanted, .started = mono_now()};
	progress->drawn = progress->started;
}

void progress_clear(struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}

static void draw(struct progress *progress, double done, uint64_t frames,
		 struct mono now)
{
	double span_s = (double)mono_ns_between(progress->drawn, now) /
			(double)NS_PER_S;
	double all_ns = (double)mono_ns_between(progress->started, now);
	double rate = (double)(frames - progress->frames) / span_s;
	char count[TEXT_SIZE], each[TEXT_SIZE], left[TEXT_SIZE];

	fprintf(stderr, "\r%5.1f %%  %s frames  %s/s", done * 100,
		text_thousands(frames, count), text_count(rate, each));
	if (done > 0.005)
		fprintf(stderr, "  %s left",
			text_age((int64_t)(all_ns * (1 - done) / done) +
					 NS_PER_S / 2,
				 left));
	fputs("\033[K", stderr);
	fflush(stderr);
}

void progress_step(struct progress *progress, struct engine *engine)
{
	struct mono now = mono_now();
	struct engine_ledger ledger;
	double done;

	if (!progress->wanted ||
	    mono_ns_between(progress->started, now) < FIRST_NS ||
	    mono_ns_between(progress->drawn, now) < REDRAW_NS)
		return;
	done = engine_progress(engine);
	if (done < 0)
		return;
	engine_ledger(engine, &ledger);
	draw(progress, done, ledger.engine.frames, now);
	progress->shown = true;
	progress->frames = ledger.engine.frames;
	progress->drawn = now;
}
