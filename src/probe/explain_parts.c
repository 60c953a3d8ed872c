/* Trips cut into parts. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/explain_private.h"

static enum leg leg_out(enum host host)
{
	return host == HOST_LOCAL ? LEG_FORWARD : LEG_BACK;
}

static enum leg leg_in(enum host host)
{
	return host == HOST_LOCAL ? LEG_BACK : LEG_FORWARD;
}

static bool has(const struct trip *trip, enum leg leg, enum point point)
{
	return trip->stamped & POINT_BIT(leg, point);
}

static int64_t between(const struct trip *trip, enum leg leg, enum point from,
		       enum point to)
{
	if (!has(trip, leg, from) || !has(trip, leg, to))
		return NO_TIME;
	return trip->at_ns[leg][to] - trip->at_ns[leg][from];
}

static int64_t application(const struct trip *trip, enum host host)
{
	if (host == HOST_LOCAL)
		return trip->late_ns;
	if (!has(trip, LEG_FORWARD, POINT_RECEIVE) ||
	    !has(trip, LEG_BACK, POINT_SEND))
		return NO_TIME;
	return trip->at_ns[LEG_BACK][POINT_SEND] -
	       trip->at_ns[LEG_FORWARD][POINT_RECEIVE];
}

/* What a trip is read with. */
struct reading {
	const struct offset_reading *offset; /* NULL: not known */
	enum layer path;
};

static int64_t path(const struct trip *trip, enum leg leg,
		    const struct reading *reading)
{
	struct one_way way;

	if (!reading->offset ||
	    !trip_one_way(trip, leg, reading->path, reading->offset, &way))
		return NO_TIME;
	return way.best_ns;
}

/* Tracepoints saw the thread: whether it slept, was on the CPU or not. */
static bool is_traced(const struct trip *trip, enum leg leg)
{
	return has(trip, leg, POINT_READY) &&
	       (has(trip, leg, POINT_RUNNING) || has(trip, leg, POINT_RETURN));
}

/* A time of 0 where the packet did not come that way, if it was seen. */
static int64_t reader(const struct trip *trip, enum leg leg, enum part part)
{
	bool woken = has(trip, leg, POINT_WAKING);
	bool switched = has(trip, leg, POINT_RUNNING);

	if (!is_traced(trip, leg))
		return NO_TIME;
	switch (part) {
	case PART_AWAY:
		return woken ? between(trip, leg, POINT_READY, POINT_WAKING)
			     : 0;
	case PART_WAKE:
		return woken && switched
			       ? between(trip, leg, POINT_WAKING, POINT_RUNNING)
			       : 0;
	case PART_PREEMPTED:
		return !woken && switched
			       ? between(trip, leg, POINT_READY, POINT_RUNNING)
			       : 0;
	case PART_BUSY:
		return !woken && !switched
			       ? between(trip, leg, POINT_READY, POINT_RECEIVE)
			       : 0;
	default:
		return switched ? between(trip, leg, POINT_RUNNING,
					  POINT_RECEIVE)
				: NO_TIME;
	}
}

static int64_t part_ns(const struct trip *trip, int which,
		       const struct reading *reading)
{
	enum host host = which / PART_COUNT;
	enum part part = which % PART_COUNT;
	enum leg out = leg_out(host), in = leg_in(host);

	switch (part) {
	case PART_APPLICATION:
		return application(trip, host);
	case PART_CALL:
		return between(trip, out, POINT_SEND, POINT_SCHED);
	case PART_OUT:
		return has(trip, out, POINT_DRIVER)
			       ? NO_TIME
			       : between(trip, out, POINT_SCHED, POINT_SENT);
	case PART_QUEUE:
		return between(trip, out, POINT_SCHED, POINT_DRIVER);
	case PART_DRIVER:
		return between(trip, out, POINT_DRIVER, POINT_SENT);
	case PART_PATH:
		return path(trip, out, reading);
	case PART_IN:
		return is_traced(trip, in) ? NO_TIME
					   : between(trip, in, POINT_RECEIVED,
						     POINT_RECEIVE);
	case PART_SOFTIRQ:
		return between(trip, in, POINT_RECEIVED, POINT_READY);
	default:
		return reader(trip, in, part);
	}
}

static const enum point ends[PART_COUNT][2] = {
	[PART_APPLICATION] = {POINT_RECEIVE, POINT_SEND},
	[PART_CALL] = {POINT_SEND, POINT_SCHED},
	[PART_OUT] = {POINT_SCHED, POINT_SENT},
	[PART_QUEUE] = {POINT_SCHED, POINT_DRIVER},
	[PART_DRIVER] = {POINT_DRIVER, POINT_SENT},
	[PART_PATH] = {POINT_SENT, POINT_RECEIVED},
	[PART_IN] = {POINT_RECEIVED, POINT_RECEIVE},
	[PART_SOFTIRQ] = {POINT_RECEIVED, POINT_READY},
	[PART_AWAY] = {POINT_READY, POINT_WAKING},
	[PART_WAKE] = {POINT_WAKING, POINT_RUNNING},
	[PART_PREEMPTED] = {POINT_READY, POINT_RUNNING},
	[PART_BUSY] = {POINT_READY, POINT_RECEIVE},
	[PART_RETURN] = {POINT_RUNNING, POINT_RECEIVE},
};

void part_name(int which, enum layer path, char ret_name[SEGMENT_NAME])
{
	enum host host = which / PART_COUNT;
	enum part part = which % PART_COUNT;
	enum leg leg = part >= PART_IN ? leg_in(host) : leg_out(host);
	const char *before = leg == LEG_FORWARD ? "forward" : "back";

	if (part == PART_APPLICATION && host == HOST_LOCAL) {
		(void)snprintf(ret_name, SEGMENT_NAME, "sender slot-send");
		return;
	}
	if (part == PART_PATH && path == LAYER_SOCKET) {
		(void)snprintf(ret_name, SEGMENT_NAME, "%s send-receive",
			       before);
		return;
	}
	if (part == PART_APPLICATION)
		before = "reflector";
	(void)snprintf(ret_name, SEGMENT_NAME, "%s %s-%s", before,
		       point_rows[ends[part][0]].word,
		       point_rows[ends[part][1]].word);
}

int samples_make(struct samples *samples, size_t room)
{
	*samples = (struct samples){.room = room};
	samples->memory = calloc(room * PARTS, sizeof *samples->memory);
	samples->seqs = calloc(room, sizeof *samples->seqs);
	samples->regimes = calloc(room, sizeof *samples->regimes);
	samples->sent_ns = calloc(room, sizeof *samples->sent_ns);
	samples->wire_ns = calloc(room, sizeof *samples->wire_ns);
	samples->lean_ns = calloc(room, sizeof *samples->lean_ns);
	if (!samples->memory || !samples->wire_ns || !samples->lean_ns ||
	    !samples->seqs || !samples->regimes || !samples->sent_ns) {
		samples_free(samples);
		return -ENOMEM;
	}
	for (size_t part = 0; part < PARTS; part++)
		samples->times[part] = samples->memory + part * room;
	return 0;
}

void samples_free(struct samples *samples)
{
	free(samples->memory);
	free(samples->seqs);
	free(samples->regimes);
	free(samples->sent_ns);
	free(samples->wire_ns);
	free(samples->lean_ns);
	*samples = (struct samples){0};
}

static bool is_usable(const struct trip *trip)
{
	return !(trip->flags & (TRIP_VOID | TRIP_LOST | TRIP_SKIPPED |
				TRIP_FAILED | TRIP_UNSTAMPED));
}

static void wire_set(struct samples *samples, size_t i)
{
	int64_t forward = samples->times[WAY_FORWARD][i];
	int64_t back = samples->times[WAY_BACK][i];

	samples->wire_ns[i] = forward == NO_TIME || back == NO_TIME
				      ? NO_TIME
				      : forward + back;
}

/* The packet that took the place of skipped slots; 'count': none came. */
static size_t next_sent(const struct run *run, size_t i)
{
	while (i < run->count &&
	       (run->trips[i].flags & (TRIP_SKIPPED | TRIP_FAILED)))
		i++;
	return i;
}

/* A slot that was skipped is as late as its sender was for the next one. */
static void skipped_add(struct samples *samples, const struct run *run,
			size_t i)
{
	size_t next = next_sent(run, i), place = samples->count;

	if (next == run->count)
		return;
	samples->seqs[place] = run->trips[i].seq;
	samples->sent_ns[place] = run->trips[next].sent_ns;
	samples->regimes[place] = place > 0 ? samples->regimes[place - 1] : 0;
	for (int part = 0; part < PARTS; part++)
		samples->times[part][place] = NO_TIME;
	samples->times[PART_APPLICATION][place] = run->trips[next].slot_ns +
						  run->trips[next].late_ns -
						  run->trips[i].slot_ns;
	samples->wire_ns[place] = NO_TIME;
	samples->count++;
}

static void trip_add(struct samples *samples, const struct trip *trip,
		     struct offset *offset)
{
	struct offset_reading reading = {0};
	bool known = offset_at(offset, trip, &reading);
	struct reading with = {known ? &reading : NULL, samples->path};
	size_t place = samples->count++;

	if (known && !samples->based) {
		samples->based = true;
		samples->base_ns = reading.best_ns;
	}
	if (offset_steps(offset) == 0)
		reading.best_ns = samples->base_ns;
	samples->seqs[place] = trip->seq;
	samples->regimes[place] = reading.regime;
	samples->sent_ns[place] = trip->sent_ns;
	for (int part = 0; part < PARTS; part++)
		samples->times[part][place] = part_ns(trip, part, &with);
	wire_set(samples, place);
	samples->answered++;
}

/* From driver to driver unless stamps there are the exception: times of two
 * kinds would look like a path that moved. */
static enum layer path_layer(const struct run *run)
{
	size_t wires = 0, sockets = 0;
	int64_t ns;

	for (size_t i = 0; i < run->count; i++) {
		if (!is_usable(&run->trips[i]))
			continue;
		wires += trip_layer_ns(&run->trips[i], LAYER_WIRE, &ns);
		sockets += trip_layer_ns(&run->trips[i], LAYER_SOCKET, &ns);
	}
	return 2 * wires > sockets ? LAYER_WIRE : LAYER_SOCKET;
}

void samples_add(struct samples *samples, const struct run *run,
		 struct offset *offset)
{
	const struct trip *trips = run->trips;

	samples->steps += offset_steps(offset);
	if (!samples->based)
		samples->path = path_layer(run);
	for (size_t i = 0; i < run->count && samples->count < samples->room;
	     i++) {
		if (trips[i].flags & TRIP_SKIPPED)
			skipped_add(samples, run, i);
		else if (is_usable(&trips[i]))
			trip_add(samples, &trips[i], offset);
	}
}
