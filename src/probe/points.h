/* Points, trips and their segments.  A part of probe.h, which has the whole
 * picture. */
#ifndef PROBE_POINTS_H
#define PROBE_POINTS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/stamp.h"

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
extern const char *const tier_lines[TIER_COUNT];

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

#define TRIP_VOID      0x001 /* a clock was stepped while it was under way */
#define TRIP_LOST      0x002 /* no answer within the time limit */
#define TRIP_LEG_KNOWN 0x004 /* the reflector tells what came to it */
/* LOST and LEG_KNOWN: on its way back, otherwise on its way there. */
#define TRIP_LOST_BACK 0x008
#define TRIP_LATE      0x010 /* sent later than the slot's tolerance */
#define TRIP_SKIPPED   0x020 /* its slot had passed: never sent */
#define TRIP_FAILED    0x040 /* the system refused to send it */
#define TRIP_UNSTAMPED 0x080 /* its way out was not to be stamped */
/* Overtaken (RFC 4737: reordered): a later one was there before. */
#define TRIP_OVERTAKEN(leg) (0x100u << (leg))
/* The reader, awake, had the packet before it was called: no POINT_READY. */
#define TRIP_READY_LATE(leg) (0x400u << (leg))

/* One packet there and back.  A stamp is wall time in ns since 1970 by the
 * clock of the host that made it; it is there if its bit is in 'stamped'. */
struct trip {
	uint32_t seq; /* from 0 on, one for each slot */
	uint32_t flags;
	int64_t slot_ns; /* CLOCK_MONOTONIC: when it was to be sent */
	int64_t late_ns; /* so long after that it was */
	int64_t sent_ns; /* CLOCK_MONOTONIC_RAW at POINT_SEND */
	int64_t rtt_ns;  /* by that clock up to the last POINT_RECEIVE */
	point_set stamped;
	int64_t at_ns[LEG_COUNT][POINT_COUNT];
	uint32_t reflected_seq; /* the reflector's own count, stateful */
	/* Copies beyond the first; all count as back if not LEG_KNOWN. */
	uint8_t duplicates[LEG_COUNT];
	uint8_t answers_lost;    /* of those that the reflector sent */
	uint8_t ttl[LEG_COUNT];  /* as received there; 0: not known */
	uint8_t dscp[LEG_COUNT]; /* TRIP_CLASS_UNKNOWN: not known */
	uint8_t ecn[LEG_COUNT];  /* the same */
};

#define TRIP_CLASS_UNKNOWN 255

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

/* From the trip's first point to its last: from SEND to RECEIVE; of a trip of
 * which one host is known (exchange.h) from CALL to RETURN, or in a server
 * from RECEIVED to DRIVER.  False: a stamp is missing. */
bool trip_rtt_ns(const struct trip *trip, int64_t *ret_ns);

/* The points of 'set' that this trip should have: a reader who was not asleep
 * was not woken, so that these points are absent and not missing.  Complete
 * trips have them all. */
point_set trip_points(const struct trip *trip, point_set set);

/* Every point of T2 and T3: trips with TRIP_UNSTAMPED lack those. */
point_set trip_points_of_bpf(void);

/* Round trip times of one trip at the three layers, the reflector's part
 * taken out: socket (application to application less the reflector's
 * receive-send), kernel (SCHED to RECEIVED less the reflector's between the
 * same), wire (hardware if all four are there, else SENT to RECEIVED).
 * False: stamps are missing. */
enum layer { LAYER_SOCKET, LAYER_KERNEL, LAYER_WIRE, LAYER_COUNT };

bool trip_layer_ns(const struct trip *trip, enum layer layer, int64_t *ret_ns);

/* For keeping.  A block stands for itself.  If it takes no more than
 * TRIPS_PACK_AIM it is exact to the nanosecond, as with the points of T1 (some
 * 15 bytes a trip).  Else all is exact but the stamps between those of the
 * applications: of these their distance from the point before (between hosts:
 * from what was expected) is rounded down to as many leading bits as fit, the
 * same for the whole block, and by less than 1024 ns.  At T2 that is by some
 * 2 % on average. */

#define TRIPS_PACK_MAX 1024 /* trips of a block */
/* What a block takes if it can, in bytes. */
#define TRIPS_PACK_AIM(count) ((size_t)(count)*23 + 512)
/* And at most. */
#define TRIPS_PACK_ROOM ((size_t)TRIPS_PACK_MAX * 640 + 1024)

/* The memory for it, some 1.5 MB. */
struct trip_packer;

/* Returns 0 or -ENOMEM. */
int trip_packer_create(struct trip_packer **ret_packer);
void trip_packer_destroy(struct trip_packer *packer);

/* 1 to TRIPS_PACK_MAX trips in the order of their slots; stamps that are not
 * there are not kept.  Returns the bytes, 0: they do not fit into 'room'
 * (TRIPS_PACK_ROOM always does). */
size_t trips_pack(struct trip_packer *packer, const struct trip *trips,
		  size_t count, uint8_t *ret_bytes, size_t room);
/* Returns how many trips there are, or -EBADMSG for bytes that trips_pack()
 * did not write; bytes altered on the way may also give other trips. */
int trips_unpack(struct trip_packer *packer, const uint8_t *bytes, size_t size,
		 struct trip ret_trips[TRIPS_PACK_MAX]);

#endif
