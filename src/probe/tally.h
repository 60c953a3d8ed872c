/* What many trips amount to.  A part of probe.h, which has the whole picture.
 */
#ifndef PROBE_TALLY_H
#define PROBE_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/hist.h"
#include "probe/offset.h"

/* From trips to results: counts, histograms, loss and order.  Trips come in
 * the order of their slots, each once.  Those that a step of a clock made
 * void are counted and left out of all else.  Two tallies of the same points
 * merge by addition. */

/* X(name, unit, line).  slots = sent + skipped + failed;
 * sent = answered + the three kinds of lost + void_trips. */
#define TALLY_COUNTERS(X)                                                   \
	X(slots, "slots", "of the schedule")                                \
	X(sent, "packets", "sent")                                          \
	X(late, "packets", "sent later than the tolerance")                 \
	X(skipped, "slots", "gone by before a packet could be sent")        \
	X(failed, "packets", "refused by the system")                       \
	X(void_trips, "packets", "left out: a clock was stepped meanwhile") \
	X(answered, "packets", "answered in time")                          \
	X(lost_forward, "packets", "lost on their way there")               \
	X(lost_back, "packets", "lost on their way back")                   \
	X(lost_unknown, "packets", "lost on a way that is not known")       \
	X(unstamped, "packets", "whose way out was not to be stamped")      \
	X(complete, "packets", "answered, and stamped at every point")      \
	X(duplicates_forward, "copies", "beyond the first, of requests")    \
	X(duplicates_back, "copies", "beyond the first, of answers")        \
	X(answers_lost, "copies", "of answers that did not come")           \
	X(arrived_forward, "packets", "in order or not: came there")        \
	X(arrived_back, "packets", "in order or not: came back")            \
	X(reordered_forward, "packets", "overtaken on their way there")     \
	X(reordered_back, "packets", "overtaken on their way back")         \
	X(corrected, "slots",                                               \
	  "skipped ones, with the round trip they would"                    \
	  " have had")

struct tally_counters {
	TALLY_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row tally_counter_rows[];
extern const size_t tally_counter_count;

/* The histograms.  By leg, then by layer within a leg, forward first.
 *   rtt_corrected  a late packet counts from its slot on, a skipped one as
 *                  if it had been sent as soon as its sender could: without
 *                  coordinated omission
 *   delay          one way, by the offset's best estimate (RFC 7679)
 *   ipdv           delay of a packet less that of the one before it, both
 *                  having arrived (RFC 3393; RFC 5481 section 4.1)
 *   extent         of reordered packets (RFC 4737 section 4.2.1), late_time
 *                  4.2.2, n_reordered 5.4: overtaken by so many in a row
 *   loss_period    packets lost in a row, loss_distance from one lost to the
 *                  next one, loss_between from one period's begin to the
 *                  next one's (RFC 3357): whole trip, forward, back */
#define TALLY_LEG_LAYERS(X, id, name, line)                        \
	X(id##_FORWARD_SOCKET, name "_forward_socket", "ns", line) \
	X(id##_FORWARD_KERNEL, name "_forward_kernel", "ns", line) \
	X(id##_FORWARD_WIRE, name "_forward_wire", "ns", line)     \
	X(id##_BACK_SOCKET, name "_back_socket", "ns", line)       \
	X(id##_BACK_KERNEL, name "_back_kernel", "ns", line)       \
	X(id##_BACK_WIRE, name "_back_wire", "ns", line)
#define TALLY_LEGS(X, id, name, unit, line)          \
	X(id##_FORWARD, name "_forward", unit, line) \
	X(id##_BACK, name "_back", unit, line)
#define TALLY_TABLE(X)                                                     \
	X(TALLY_RTT, "rtt", "ns", "application to application")            \
	X(TALLY_RTT_CORRECTED, "rtt_corrected", "ns",                      \
	  "counted from the slot on, skipped slots too")                   \
	X(TALLY_RTT_STAMPED, "rtt_stamped", "ns", "of stamped packets")    \
	X(TALLY_RTT_UNSTAMPED, "rtt_unstamped", "ns",                      \
	  "of packets whose way out is not stamped")                       \
	X(TALLY_LATENESS, "lateness", "ns", "sent so long after the slot") \
	X(TALLY_SOCKET, "socket", "ns", "round trip less the reflector")   \
	X(TALLY_KERNEL, "kernel", "ns", "round trip below the sockets")    \
	X(TALLY_WIRE, "wire", "ns", "round trip from driver to driver")    \
	TALLY_LEG_LAYERS(X, TALLY_DELAY, "delay", "one-way delay")         \
	TALLY_LEG_LAYERS(X, TALLY_IPDV, "ipdv",                            \
			 "delay less that of the packet before")           \
	TALLY_LEGS(X, TALLY_EXTENT, "extent", "packets",                   \
		   "reordered: arrivals since the first that overtook")    \
	TALLY_LEGS(X, TALLY_LATE_TIME, "late_time", "ns",                  \
		   "reordered: time since the first that overtook")        \
	TALLY_LEGS(X, TALLY_N_REORDERED, "n_reordered", "packets",         \
		   "reordered: arrivals in a row that overtook")           \
	X(TALLY_LOSS_PERIOD, "loss_period", "packets", "lost in a row")    \
	TALLY_LEGS(X, TALLY_LOSS_PERIOD, "loss_period", "packets",         \
		   "lost in a row")                                        \
	X(TALLY_LOSS_DISTANCE, "loss_distance", "packets",                 \
	  "from one lost to the next one lost")                            \
	TALLY_LEGS(X, TALLY_LOSS_DISTANCE, "loss_distance", "packets",     \
		   "from one lost to the next one lost")                   \
	X(TALLY_LOSS_BETWEEN, "loss_between", "packets",                   \
	  "from one loss period's begin to the next one's")                \
	TALLY_LEGS(X, TALLY_LOSS_BETWEEN, "loss_between", "packets",       \
		   "from one loss period's begin to the next one's")

#define TALLY_ENUM(name, word, unit, line) name,
enum tally_hist { TALLY_TABLE(TALLY_ENUM) TALLY_HIST_COUNT };
#undef TALLY_ENUM

/* TALLY_DELAY or TALLY_IPDV of a leg at a layer. */
#define TALLY_OF(kind, leg, layer) \
	((enum tally_hist)(kind##_FORWARD_SOCKET + (leg)*LAYER_COUNT + (layer)))

/* name, unit, one line */
extern const struct counter_row tally_hist_rows[TALLY_HIST_COUNT];

struct tally;
struct hist;
struct hist_summary;

struct tally_options {
	point_set points;   /* that trips of this run can have */
	int64_t timeout_ns; /* the sender's; 0: SENDER_TIMEOUT_S */
};

/* Takes all memory.  Returns 0 or -ENOMEM. */
int tally_create(const struct tally_options *options, struct tally **ret_tally);
void tally_destroy(struct tally *tally);

/* The next trip.  'reading' is the offset while it was under way; NULL: not
 * known, segments and delays that cross from clock to clock are left out. */
void tally_trip(struct tally *tally, const struct trip *trip,
		const struct offset_reading *reading);
/* No further trips: order and jitter wait for stragglers until then. */
void tally_end(struct tally *tally);
/* Adds all of 'from', which tally_end() ended.  Returns 0, or -EINVAL if it
 * has other points. */
int tally_merge(struct tally *tally, const struct tally *from);

struct tally_counters tally_counters(const struct tally *tally);
/* Borrowed; valid as long as the tally is. */
const struct hist *tally_hist(const struct tally *tally, enum tally_hist which);
/* The segments of tally_options.points, and the histogram of the i-th. */
size_t tally_segments(const struct tally *tally,
		      struct segment ret_segments[SEGMENT_MAX]);
const struct hist *tally_segment(const struct tally *tally, size_t i);
/* Answered packets without this stamp though they should have it: see
 * trip_points(). */
uint64_t tally_missing(const struct tally *tally, enum leg leg,
		       enum point point);

/* Packet delay variation (RFC 5481 section 4.2): delay less the least. */
void tally_pdv(const struct tally *tally, enum leg leg, enum layer layer,
	       struct hist_summary *ret_summary);

/* Interarrival jitter, RFC 3550 section 6.4.1, in the integers of its
 * appendix A.8: 'scaled' is 16 times the jitter. */
struct jitter {
	bool begun;
	int64_t transit;
	uint64_t scaled;
	uint64_t count;
	uint64_t scaled_max;
};

/* The next packet in order of arrival: arrival less departure. */
void jitter_add(struct jitter *jitter, int64_t transit);
static inline int64_t jitter_ns(const struct jitter *jitter)
{
	return (int64_t)(jitter->scaled >> 4);
}
/* Of a merged tally: the mean of both, by their packets. */
struct jitter tally_jitter(const struct tally *tally, enum leg leg,
			   enum layer layer);

/* What stamps cost: the medians' difference of packets whose way out was
 * stamped and of those between them (sender_options.interleave), with its
 * confidence interval of 95 %. */
struct own_cost {
	int64_t stamped_ns, unstamped_ns; /* medians */
	int64_t cost_ns, low_ns, high_ns;
};

#define OWN_COST_PACKETS_MIN 20

/* False: fewer than OWN_COST_PACKETS_MIN of either kind. */
bool tally_own_cost(const struct tally *tally, struct own_cost *ret_cost);

#endif
