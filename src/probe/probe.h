/* Round trips, stamped at every layer of both hosts.
 *
 * A sender numbers UDP packets, a reflector answers them (STAMP, RFC 8762 and
 * its extensions, RFC 8972), and every packet is stamped where it passes: by
 * the application, by the kernel, on the wire.  A 'point' is such a place, a
 * 'trip' one packet there and back with all its stamps, a 'segment' the time
 * between two neighbouring points.  Segments of a trip add up to its round
 * trip time, to the nanosecond.
 *
 *     message    bytes of a STAMP packet in and out            wire*.c
 *     points     the places, in path order                     points.c
 *     trips      stamps joined by sequence number              trip*.c
 *     offset     the other host's clock: estimate and interval offset*.c
 *     tally      loss, duplicates, reordering, jitter, sums    tally*.c
 *     explain    which segment moved, and why                  explain*.c
 *
 * Nothing here starts a thread.  Functions that read a clock or a socket say
 * so; all others are pure.
 *
 * Threads: no function locks; an object belongs to one thread at a time.
 */
#ifndef PROBE_H
#define PROBE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/err.h"
#include "base/stamp.h"

/* ---- points ------------------------------------------------------------ */

/* What it takes to have a point.  X(name, word, one line) */
#define TIER_TABLE(X)                                               \
	X(TIER_APPLICATION, "T0", "clock_gettime() in the program") \
	X(TIER_SOCKET, "T1", "SO_TIMESTAMPING, no privilege")       \
	X(TIER_TRACEPOINT, "T2", "BPF on tracepoints")              \
	X(TIER_FUNCTION, "T3", "BPF on functions (fentry)")         \
	X(TIER_HARDWARE, "T4", "the network card's clock")

#define TIER_ENUM(name, word, line) name,
enum tier { TIER_TABLE(TIER_ENUM) TIER_COUNT };
#undef TIER_ENUM

/* The points of one leg (from one application to the other), in path order:
 * those up to POINT_SENT_HW are stamped by the host that sends, the others
 * by the host that receives.  X(name, word, tier, one line) */
#define POINT_TABLE(X)                                                         \
	X(POINT_SEND, "send", TIER_APPLICATION, "before the system call")      \
	X(POINT_CALL, "call", TIER_TRACEPOINT, "the system call's entry")      \
	X(POINT_SEND_UDP, "send_udp", TIER_FUNCTION, "udp_sendmsg()")          \
	X(POINT_SCHED, "sched", TIER_SOCKET,                                   \
	  "before traffic control: TX_SCHED")                                  \
	X(POINT_QUEUE, "queue", TIER_TRACEPOINT,                               \
	  "given to the queueing discipline: net_dev_queue")                   \
	X(POINT_DRIVER, "driver", TIER_TRACEPOINT,                             \
	  "given to the driver: net_dev_start_xmit")                           \
	X(POINT_SENT, "sent", TIER_SOCKET, "in the driver: TX_SOFTWARE")       \
	X(POINT_SENT_HW, "sent_hw", TIER_HARDWARE, "on the wire: TX_HARDWARE") \
	X(POINT_RECEIVED_HW, "received_hw", TIER_HARDWARE,                     \
	  "off the wire: RX_HARDWARE")                                         \
	X(POINT_RECEIVED, "received", TIER_SOCKET,                             \
	  "out of the driver: RX_SOFTWARE")                                    \
	X(POINT_STACK, "stack", TIER_TRACEPOINT,                               \
	  "into the protocols: netif_receive_skb")                             \
	X(POINT_RECEIVE_UDP, "receive_udp", TIER_FUNCTION, "udp_rcv()")        \
	X(POINT_ENQUEUED, "enqueued", TIER_FUNCTION,                           \
	  "on the socket's queue: __udp_enqueue_schedule_skb()")               \
	X(POINT_READY, "ready", TIER_TRACEPOINT,                               \
	  "the socket's reader is called: sk_data_ready")                      \
	X(POINT_WAKING, "waking", TIER_TRACEPOINT,                             \
	  "the reader's thread is woken: sched_waking")                        \
	X(POINT_RUNNING, "running", TIER_TRACEPOINT,                           \
	  "the reader's thread has a CPU: sched_switch")                       \
	X(POINT_COPIED, "copied", TIER_FUNCTION, "skb_consume_udp()")          \
	X(POINT_RETURN, "return", TIER_TRACEPOINT, "the system call's exit")   \
	X(POINT_RECEIVE, "receive", TIER_APPLICATION, "after the system call")

#define POINT_ENUM(name, word, tier, line) name,
enum point { POINT_TABLE(POINT_ENUM) POINT_COUNT };
#undef POINT_ENUM

struct point_row {
	const char *word;
	enum tier tier;
	const char *line;
};

extern const struct point_row point_rows[POINT_COUNT];
extern const char *const tier_words[TIER_COUNT];

/* The two legs of a trip. */
enum leg { LEG_FORWARD, LEG_BACK, LEG_COUNT };

/* A set of points of a trip: bit (leg * POINT_COUNT + point). */
typedef uint64_t point_set;

#define POINT_BIT(leg, point) \
	(UINT64_C(1) << ((unsigned)(leg)*POINT_COUNT + (unsigned)(point)))

static_assert(LEG_COUNT * POINT_COUNT <= 64, "a set is one word");

/* True if the sender's host stamps the point, by the sender's clock. */
static inline bool point_is_local(enum leg leg, enum point point)
{
	return (leg == LEG_FORWARD) == (point <= POINT_SENT_HW);
}

/* ---- trips -------------------------------------------------------------- */

#define TRIP_VOID 0x01 /* a clock was stepped while it was under way */
#define TRIP_LOST 0x02 /* no answer within the time limit */
#define TRIP_LOST_BACK                                        \
	0x04 /* ... and the reflector had it: lost on its way \
		back; without this bit: on its way there, or  \
		not known (see TRIP_LEG_KNOWN) */
#define TRIP_LEG_KNOWN                                                     \
	0x08              /* the reflector's counts tell which leg lost it \
			   */
#define TRIP_LATE    0x10 /* sent later than the slot's tolerance */
#define TRIP_SKIPPED 0x20 /* its slot had passed: never sent */
#define TRIP_FAILED  0x40 /* the system refused to send it */

/* One packet there and back.  A stamp is wall time in ns since 1970 by the
 * clock of the host that made it; it is there if its bit is in 'stamped'. */
struct trip {
	uint32_t seq; /* from 0 on, one for each slot */
	uint32_t flags;
	int64_t slot_ns; /* CLOCK_MONOTONIC: when it was to be sent */
	int64_t sent_ns; /* CLOCK_MONOTONIC_RAW at POINT_SEND */
	int64_t rtt_ns;  /* by that clock up to the last POINT_RECEIVE */
	point_set stamped;
	int64_t at_ns[LEG_COUNT][POINT_COUNT];
	uint32_t reflected_seq; /* the reflector's own count, stateful */
	uint16_t duplicates;    /* further answers */
	uint8_t ttl[LEG_COUNT]; /* as received there; 0: not known */
	uint8_t dscp[LEG_COUNT];
	uint8_t ecn[LEG_COUNT];
};

/* Names of the segments that a run with the points 'set' has, in path order:
 * segment i is between the i-th and the (i+1)-th point of the set.  Writes
 * up to SEGMENT_MAX of them and returns how many.  A name is two words, e.g.
 * "forward sched-sent"; "reflector receive-send" is the time in the other
 * application. */
#define SEGMENT_MAX  (LEG_COUNT * POINT_COUNT - 1)
#define SEGMENT_NAME 40

struct segment {
	char name[SEGMENT_NAME];
	enum leg from_leg, to_leg;
	enum point from, to;
	bool crosses; /* from one host's clock to the other's */
};

size_t trip_segments(point_set set, struct segment ret_segments[SEGMENT_MAX]);

/* The length of a segment of this trip, with the other host's clock ahead of
 * ours by 'offset_ns' (it counts where the segment crosses, and cancels in
 * the sum over the trip).  False: a stamp is missing, *ret_ns is not set. */
bool trip_segment_ns(const struct trip *trip, const struct segment *segment,
		     int64_t offset_ns, int64_t *ret_ns);

/* Round trip times of one trip at the three layers, the reflector's part
 * taken out: socket (application to application less the reflector's
 * receive-send), kernel (SCHED to RECEIVED less the reflector's between the
 * same), wire (hardware if all four are there, else SENT to RECEIVED).
 * False: stamps are missing. */
enum layer { LAYER_SOCKET, LAYER_KERNEL, LAYER_WIRE, LAYER_COUNT };

bool trip_layer_ns(const struct trip *trip, enum layer layer, int64_t *ret_ns);

#endif
