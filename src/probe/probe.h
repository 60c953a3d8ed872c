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
#include <sys/socket.h>

#include "base/counter.h"
#include "base/stamp.h"

struct fault;

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

/* Round trip times of one trip at the three layers, the reflector's part
 * taken out: socket (application to application less the reflector's
 * receive-send), kernel (SCHED to RECEIVED less the reflector's between the
 * same), wire (hardware if all four are there, else SENT to RECEIVED).
 * False: stamps are missing. */
enum layer { LAYER_SOCKET, LAYER_KERNEL, LAYER_WIRE, LAYER_COUNT };

bool trip_layer_ns(const struct trip *trip, enum layer layer, int64_t *ret_ns);

/* ---- trips as bytes ------------------------------------------------------
 *
 * For keeping: some 15 bytes a trip with the points of T1, exact to the
 * nanosecond.  A block stands for itself. */

#define TRIPS_PACK_MAX 1024 /* trips of a block */
/* What a block takes at most. */
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

/* ---- messages ------------------------------------------------------------
 *
 * STAMP test packets: RFC 8762 section 4.2 (sender) and 4.3 (reflector), the
 * session identifier (SSID) and TLVs of RFC 8972 section 3 and 4.  TWAMP Light
 * (RFC 5357 appendix I) is the same without TLVs. */

#define MESSAGE_PORT          862   /* the reflector's, RFC 8762 section 4.1 */
#define MESSAGE_SIZE_MIN      44    /* without authentication */
#define MESSAGE_SIZE_KEYED    112   /* authenticated, HMAC included */
#define MESSAGE_SIZE_TWAMP    41    /* the shortest that can be answered */
#define MESSAGE_SIZE_MAX      65507 /* UDP over IPv4 */
#define MESSAGE_HMAC_SIZE     16    /* HMAC-SHA-256, its first 128 bits */
#define MESSAGE_KEY_SIZE_MAX  64
#define MESSAGE_TLV_HEAD_SIZE 4

/* What became of a packet that came in.  X(name, word, one line) */
#define MESSAGE_TABLE(X)                                              \
	X(MESSAGE_OK, "accepted", "a test packet")                    \
	X(MESSAGE_SHORT, "short", "shorter than a test packet")       \
	X(MESSAGE_HMAC_WRONG, "hmac_wrong",                           \
	  "the HMAC is not that of our key: another key, or altered") \
	X(MESSAGE_STRANGE, "strange", "an answer to no packet of this session")

#define MESSAGE_ENUM(name, word, line) name,
enum message_verdict { MESSAGE_TABLE(MESSAGE_ENUM) MESSAGE_VERDICT_COUNT };
#undef MESSAGE_ENUM

const char *message_word(enum message_verdict verdict);
const char *message_line(enum message_verdict verdict);

/* RFC 8972 section 5.1; 240 to 251 are for experiments. */
enum tlv {
	TLV_PADDING = 1,
	TLV_LOCATION = 2,
	TLV_TIMESTAMP_INFORMATION = 3,
	TLV_CLASS_OF_SERVICE = 4,
	TLV_DIRECT_MEASUREMENT = 5,
	TLV_ACCESS_REPORT = 6,
	TLV_FOLLOW_UP = 7,
	TLV_HMAC = 8,
	TLV_POINTS = 251, /* ours: begins with TLV_POINTS_MAGIC */
};

#define TLV_UNRECOGNIZED 0x80 /* U */
#define TLV_MALFORMED    0x40 /* M */
#define TLV_INTEGRITY    0x20 /* I: the TLVs' HMAC is wrong */

#define TLV_POINTS_MAGIC 0x736f6e64u /* "sond" */

/* Section 4.3: where a clock gets its time, how a stamp is made. */
enum sync_source { SYNC_NTP = 1, SYNC_PTP, SYNC_SSU, SYNC_GNSS, SYNC_LOCAL };
enum stamp_method {
	METHOD_HARDWARE = 1,
	METHOD_SOFTWARE = 2,
	METHOD_CONTROL_PLANE = 3,
};

/* The key of a session: HMAC-SHA-256 made ready once. */
struct message_key;

/* 1 to MESSAGE_KEY_SIZE_MAX bytes.  Returns 0, -EINVAL or -ENOMEM. */
int message_key_create(const uint8_t *bytes, size_t size,
		       struct message_key **ret_key);
void message_key_destroy(struct message_key *key);

/* Error Estimate (RFC 4656 section 4.1.2): S, Z, scale, multiplier.  'ns' is
 * rounded up; negative: not known (the largest there is). */
uint16_t message_error_estimate(bool synchronized, int64_t ns);
/* Nanoseconds of it; *ret_synchronized is S. */
int64_t message_error_ns(uint16_t estimate, bool *ret_synchronized);

/* 64-bit NTP (RFC 5905) or truncated PTPv2 (RFC 8186; 'ptp') time; a time
 * that went there and back is the same to the nanosecond, 1970 to 2036 and
 * on into the next NTP era. */
uint64_t message_time_pack(struct wall at, bool ptp);
struct wall message_time_unpack(uint64_t packed, bool ptp);

/* A request in the making: the caller's buffer of 'room' bytes. */
struct message {
	uint8_t *bytes;
	size_t room;
	size_t size;    /* so far */
	size_t hmac_at; /* the HMAC TLV's, once it is there; else 0 */
	bool keyed;
};

struct message_request {
	uint32_t seq;
	uint16_t ssid; /* 0: none */
	uint16_t error_estimate;
	struct wall at;
};

/* begin, add TLVs, end.  begin: false if the room is too small. */
bool message_begin(struct message *message, uint8_t *bytes, size_t room,
		   bool keyed);
/* The value of a new TLV, zeros, to be filled in; NULL: no room. */
uint8_t *message_tlv_add(struct message *message, enum tlv type, size_t size);
/* Extra padding up to 'size' bytes in all, the HMAC TLV that end adds counted;
 * false if they are already more, or fewer than a TLV's head is missing. */
bool message_pad(struct message *message, size_t size);
/* Writes the fields and, with a key, both HMACs; may be called again for the
 * next packet of the same shape.  Returns the size, 0: no room. */
size_t message_end(struct message *message,
		   const struct message_request *request,
		   struct message_key *key);

/* Which of 64 requests in a row came to the reflector: bit k is number
 * 'last' - 63 + k.  With it a sender knows where each packet was lost, doubled
 * or overtaken: every answer tells of the 64 up to the highest that came, and
 * of 64 others that its request asked about. */
struct message_arrivals {
	uint32_t last;
	bool known;
	uint64_t came;
	uint64_t extra[2]; /* copies beyond the first, 3 at most, in binary */
	uint64_t late;     /* came first after a higher one */
};

/* What the reflector's host knows of a request and its answer. */
struct message_reflection {
	uint32_t seq; /* of the answer: the sender's, or its own count */
	uint16_t error_estimate;
	struct wall received, sent;
	uint8_t ttl, dscp, ecn; /* of the request as received */
	bool dscp_refused;      /* the class asked for is not allowed */
	uint8_t ip_version;     /* 4 or 6 */
	uint8_t address[2][16]; /* of the request: its source, its destination;
				   IPv4 in the first 4 bytes */
	uint16_t port[2];
	enum sync_source sync;
	enum stamp_method method; /* of 'received'; 'sent' is software */
	uint32_t received_count, sent_count; /* of this session */
	bool stateless;                      /* 'seq' is the sender's */
	uint32_t first;                      /* the session's first request */
	struct message_arrivals newest, block;
	/* Earlier answers whose way out is now known, the most urgent first;
	 * message_reply_write() sets how many of them it told. */
	const struct message_points *const *earlier;
	size_t earlier_count;
	size_t told_count;
	/* The newest answer that is known to have gone; NULL: none. */
	const struct message_points *follow_up;
};

/* The reflector's stamps of one answer: leg forward from RECEIVED_HW on, leg
 * back up to SENT_HW, by the reflector's clock. */
struct message_points {
	uint32_t seq; /* the sender's */
	uint32_t reflected_seq;
	point_set stamped;
	int64_t at_ns[LEG_COUNT][POINT_COUNT];
};

struct message_in {
	const uint8_t *bytes;
	size_t size;
	uint32_t seq;
	uint16_t ssid;
	uint16_t error_estimate;
	struct wall at;
	int dscp_wanted;    /* class of service of the answer; -1: any */
	bool stamps_wanted; /* asks how answers went out: follow-up, points */
	bool block_wanted;  /* asks what came of 64 earlier requests */
	uint32_t block_last;
};

/* A request as it came in; borrows 'bytes'.  'key' NULL: without. */
enum message_verdict message_request_read(const uint8_t *bytes, size_t size,
					  struct message_key *key,
					  struct message_in *ret_request);

/* The answer, as long as the request to the byte; 'ret_bytes' has room for
 * it and is not the request.  TLVs are answered in place and order: unknown
 * ones with U, from a malformed one on (M) as they came, all with I if their
 * HMAC is wrong.  Returns the size. */
size_t message_reply_write(const struct message_in *request,
			   struct message_reflection *reflection,
			   struct message_key *key, uint8_t *ret_bytes);

#define MESSAGE_POINTS_MAX 8

#define REPLY_CLASS     0x01
#define REPLY_DIRECT    0x02
#define REPLY_FOLLOW_UP 0x04
#define REPLY_TIME      0x08
#define REPLY_LOCATION  0x10
#define REPLY_ACCESS    0x20

/* An answer as it came in.  Sections that 'present' does not name are 0. */
struct message_reply {
	uint32_t seq; /* the sender's own number, returned */
	uint32_t reflected_seq;
	uint16_t ssid;
	uint16_t error_estimate;
	uint8_t ttl;           /* of the request at the reflector */
	struct wall requested; /* the request's time stamp, returned */
	struct wall received, sent;
	uint8_t tlv_flags; /* all TLVs' flags, or-ed; 0: all were answered */
	uint8_t present;   /* REPLY_... */
	uint8_t dscp, ecn; /* of the request at the reflector */
	bool dscp_refused;
	uint32_t direct_sent; /* direct measurement: our own, returned */
	uint32_t direct_received, direct_replied;
	uint32_t follow_up_seq; /* the reflector's number */
	struct wall follow_up_at;
	uint8_t follow_up_method;
	uint8_t sync_in, method_in, sync_out, method_out;
	uint8_t ip_version;
	uint8_t address[2][16]; /* request's source and destination there */
	uint16_t port[2];
	uint8_t access_id, access_code;
	bool stateless; /* the reflector says so; false: not known */
	uint32_t first; /* request of its session; valid if newest.known */
	struct message_arrivals newest, block;
	struct message_points points[MESSAGE_POINTS_MAX];
	size_t points_count;
};

enum message_verdict message_reply_read(const uint8_t *bytes, size_t size,
					struct message_key *key,
					struct message_reply *ret_reply);

/* Sizes of TLV values, for message_tlv_add(). */
#define TLV_TIMESTAMP_INFORMATION_SIZE 4
#define TLV_CLASS_OF_SERVICE_SIZE      4
#define TLV_DIRECT_MEASUREMENT_SIZE    12
#define TLV_ACCESS_REPORT_SIZE         4
#define TLV_FOLLOW_UP_SIZE             16
/* Ports and two sub-TLVs that ask for both addresses. */
#define TLV_LOCATION_SIZE 44

/* Fill a value that message_tlv_add() returned; timestamp information and
 * follow-up are asked for by zeros. */
void tlv_class_ask(uint8_t *value, uint8_t dscp, uint8_t ecn);
void tlv_direct_ask(uint8_t *value, uint32_t sent_count);
void tlv_access_ask(uint8_t *value, uint8_t access_id, uint8_t code);
void tlv_location_ask(uint8_t *value);

/* Bytes of a points TLV's value with room for 'count' answers of 'points'
 * stamps each; tlv_points_ask() makes it a question for those of 'set',
 * tlv_block_ask() one for what came of the 64 requests around 'seq' too. */
size_t tlv_points_size(size_t count, size_t points);
void tlv_points_ask(uint8_t *value, point_set set);
void tlv_block_ask(uint8_t *value, uint32_t seq);

/* ---- sockets -------------------------------------------------------------
 *
 * A UDP socket that says when each packet passed the kernel (SO_TIMESTAMPING)
 * and needs no privilege for it. */

struct probe_socket;

struct probe_socket_options {
	const struct sockaddr *local;  /* its port may be 0 */
	const struct sockaddr *remote; /* NULL: serves anybody */
	const char *interface;         /* its packets alone; NULL: any */
	uint8_t ttl;                   /* 0: 255, RFC 8762 section 4.2 */
	uint8_t dscp;                  /* of what leaves, 0 to 63 */
	bool hardware;                 /* ask for the card's stamps too */
	bool unstamped;                /* T0: no stamps of the kernel */
};

/* Opens, binds and connects.  Returns 0 or -errno; *ret_fault names what was
 * refused.  The caller owns *ret_socket. */
int probe_socket_open(const struct probe_socket_options *options,
		      struct probe_socket **ret_socket,
		      struct fault *ret_fault);
void probe_socket_close(struct probe_socket *socket);
int probe_socket_fd(const struct probe_socket *socket);
/* Where it is bound. */
struct sockaddr_storage probe_socket_local(const struct probe_socket *socket);

/* Largest number of packets a call. */
#define PROBE_BATCH 32

/* One packet, received or to be sent. */
struct probe_packet {
	uint8_t *bytes; /* received: the socket's, until the next receive */
	size_t size;
	struct sockaddr_storage peer;  /* to send: family 0 if connected */
	struct sockaddr_storage local; /* the address it came to; to send: the
					  one it leaves from, family 0: any */
	uint32_t key;                  /* to send: names it among the stamps */
	bool stamp;                    /* to send: stamp it on its way out */
	int dscp;                      /* to send: -1: the socket's */
	/* Received: */
	uint8_t ttl, dscp_received, ecn;
	struct stamp received;    /* STAMP_KERNEL, or STAMP_NONE */
	struct stamp received_hw; /* STAMP_HARDWARE, or STAMP_NONE */
};

/* Up to 'count' (PROBE_BATCH at most) packets that wait; does not block.
 * *ret_at is the time right after the system call.  Returns how many, 0, or
 * -errno (-ECONNREFUSED: see probe_socket_events()). */
int probe_socket_receive(struct probe_socket *socket, int count,
			 struct probe_packet *ret_packets, struct wall *ret_at);

/* Sends packets[0] to packets[count - 1] in this order; returns how many, or
 * -errno if the first was refused. */
int probe_socket_send(struct probe_socket *socket,
		      const struct probe_packet *packets, int count);

/* What the kernel reports of packets that were sent. */
enum probe_event_kind {
	PROBE_EVENT_SCHED,   /* POINT_SCHED */
	PROBE_EVENT_SENT,    /* POINT_SENT */
	PROBE_EVENT_SENT_HW, /* POINT_SENT_HW */
	PROBE_EVENT_REFUSED, /* an ICMP error came back */
};

struct probe_event {
	enum probe_event_kind kind;
	uint32_t key;   /* of the packet; REFUSED: not set */
	struct wall at; /* the stamp */
	int error;      /* REFUSED: errno, e.g. ECONNREFUSED */
	uint8_t icmp_type, icmp_code;
	struct sockaddr_storage from; /* REFUSED: who says so */
};

/* Up to 'count' of them; does not block. */
int probe_socket_events(struct probe_socket *socket, int count,
			struct probe_event *ret_events);

/* Whether stamps name their packet by its key (SCM_TS_OPT_ID, Linux 6.13);
 * otherwise by counting what was sent, which is made good after a refusal. */
bool probe_socket_keyed_stamps(const struct probe_socket *socket);

/* ---- reflector -----------------------------------------------------------
 *
 * Answers test packets on one or more sockets.  Never sends more bytes than
 * it got, never more packets than its token buckets allow, and forgets the
 * longest idle session when there are too many. */

/* X(name, unit, line).  received = answered + every other row but the last
 * three. */
#define REFLECTOR_COUNTERS(X)                                         \
	X(received, "packets", "came to the reflector")               \
	X(answered, "packets", "answered")                            \
	X(short_packets, "packets", "shorter than a test packet")     \
	X(hmac_wrong, "packets", "with the HMAC of another key")      \
	X(limited, "packets", "beyond the rate of their prefix")      \
	X(refused, "packets", "answers that the kernel did not take") \
	X(stamps_lost, "answers", "whose stamps never came")          \
	X(sessions, "sessions", "begun")                              \
	X(sessions_evicted, "sessions", "forgotten for want of room")

struct reflector_counters {
	REFLECTOR_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row reflector_counter_rows[];
extern const size_t reflector_counter_count;

#define REFLECTOR_SOCKETS_MAX  4
#define REFLECTOR_SESSIONS_MIN 16
#define REFLECTOR_SESSIONS_MAX 65536
#define REFLECTOR_RATE_PRESET  50000 /* packets a second and prefix */
#define REFLECTOR_PREFIX4      24
#define REFLECTOR_PREFIX6      56

struct reflector_options {
	const uint8_t *key; /* NULL: without authentication */
	size_t key_size;
	uint32_t session_count; /* remembered at most; 0: 4096 */
	uint32_t rate_pps;      /* for each prefix; 0: as many as come */
	bool stateless;    /* answers have the sender's numbers (RFC 8762 4) */
	bool refuse_class; /* answers keep the request's own DSCP */
	bool synchronized; /* the clock is set by NTP, PTP or the like */
	int64_t error_ns;  /* what the clock is known to; negative: unknown */
	/* For tests: the clock as it would be. */
	int64_t sim_offset_ns;
};

struct reflector;

/* Takes all memory.  Returns 0, -EINVAL or -ENOMEM. */
int reflector_create(const struct reflector_options *options,
		     struct reflector **ret_reflector);
/* Closes its sockets too. */
void reflector_destroy(struct reflector *reflector);

/* Takes the socket, unless it returns -ENOSPC. */
int reflector_socket_add(struct reflector *reflector,
			 struct probe_socket *socket);

/* Answers what waits; waits up to 'timeout_ms' if nothing does (0: not, -1:
 * for ever).  Returns how many were answered, 0, or -errno. */
int reflector_turn(struct reflector *reflector, int timeout_ms);

/* A stamp of a request or answer from elsewhere (BPF): the packet is named
 * by the sender's address and its number.  False: no such answer is known. */
bool reflector_stamp_add(struct reflector *reflector,
			 const struct sockaddr_storage *peer, uint32_t seq,
			 enum leg leg, enum point point, struct wall at);

struct reflector_counters reflector_counters(const struct reflector *reflector);

/* ---- sender --------------------------------------------------------------
 *
 * Sends a packet in each slot of a schedule and joins what comes back.  Every
 * slot becomes a trip, sent or not: nothing is left out of the account. */

/* X(name, unit, line).  slots = sent + skipped + failed;
 * sent = answered + lost + those still awaited. */
#define SENDER_COUNTERS(X)                                                    \
	X(slots, "slots", "of the schedule so far")                           \
	X(sent, "packets", "sent")                                            \
	X(late, "packets", "sent later than the tolerance")                   \
	X(skipped, "slots", "gone by before a packet could be sent")          \
	X(failed, "packets", "refused by the system")                         \
	X(answered, "packets", "answered in time")                            \
	X(lost, "packets", "not answered in time")                            \
	X(duplicates, "answers", "to packets that were answered before")      \
	X(too_late, "answers", "that came after their time limit")            \
	X(strange, "packets", "that answer nothing of this session")          \
	X(short_packets, "packets", "too short for an answer")                \
	X(hmac_wrong, "answers", "with the HMAC of another key")              \
	X(tlvs_unrecognized, "answers",                                       \
	  "with a TLV the reflector does not know")                           \
	X(tlvs_malformed, "answers", "with a TLV that is damaged")            \
	X(tlvs_integrity, "answers", "whose TLVs do not prove themselves")    \
	X(refusals, "messages", "of ICMP: nobody there, no way, not allowed") \
	X(clock_steps, "steps", "of this host's clock")

struct sender_counters {
	SENDER_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row sender_counter_rows[];
extern const size_t sender_counter_count;

#define SENDER_RATE_MIN_HZ 0.001
#define SENDER_RATE_MAX_HZ 20000.0
#define SENDER_TIMEOUT_S   1

struct sender_options {
	const struct sockaddr *local;
	const struct sockaddr *remote;
	const char *interface; /* NULL: any */
	const uint8_t *key;    /* NULL: without authentication */
	size_t key_size;
	bool echo;        /* the peer sends back what it gets, and no more */
	bool poisson;     /* else isochronous */
	uint64_t seed;    /* of the Poisson schedule */
	double rate_hz;   /* SENDER_RATE_MIN_HZ to SENDER_RATE_MAX_HZ */
	uint32_t count;   /* slots; 0: until stopped */
	int64_t start_ns; /* CLOCK_MONOTONIC of the first slot; 0: at once */
	size_t size;      /* UDP payload; 0: as long as the TLVs are */
	uint8_t dscp, ttl;
	int dscp_wanted;    /* of the answers; -1: as the requests' */
	bool sleep;         /* wait for answers asleep, not spinning */
	bool hardware;      /* the card's stamps too */
	bool unstamped;     /* no stamps of the kernel: T0 */
	bool interleave;    /* every other packet's way out unstamped: what do
			       the stamps cost? */
	point_set wanted;   /* of the reflector's points; 0: those of T1 */
	int64_t timeout_ns; /* 0: SENDER_TIMEOUT_S */
	int64_t late_ns;    /* tolerance of a slot; 0: a tenth of its length,
			       10 us at least */
	bool synchronized;
	int64_t error_ns; /* what the clock is known to; negative: unknown */
	/* Each trip once, in order of 'seq', when its time limit is past;
	 * valid during the call. */
	void (*emit)(void *context, const struct trip *trip);
	void *context;
};

struct sender;

/* Opens the socket, takes all memory.  Returns 0 or a negative code, and
 * *ret_fault says why. */
int sender_create(const struct sender_options *options,
		  struct sender **ret_sender, struct fault *ret_fault);
void sender_destroy(struct sender *sender);

/* One slot: waits for it, joins meanwhile what comes back, sends.  After the
 * last one (or sender_stop()): waits for what is still under way.  Returns 1,
 * 0 when all is over, or -errno.  Blocks up to a slot, 100 ms at most. */
int sender_turn(struct sender *sender);

/* No further slots.  From any thread or a signal handler. */
void sender_stop(struct sender *sender);

/* The points that trips of this run can have at best. */
point_set sender_points(const struct sender *sender);
/* Bytes of UDP payload that are sent. */
size_t sender_size(const struct sender *sender);
/* True once an answer came with the reflector's own stamps (TLV_POINTS). */
bool sender_peer_knows_points(const struct sender *sender);
/* The last refusal, "" if none. */
const char *sender_refusal(const struct sender *sender);

/* A stamp of one of this host's points from elsewhere (BPF).  False: that
 * packet is no longer known. */
bool sender_stamp_add(struct sender *sender, uint32_t seq, enum leg leg,
		      enum point point, struct wall at);

struct sockaddr_storage sender_local(const struct sender *sender);
struct sender_counters sender_counters(const struct sender *sender);

/* ---- offset --------------------------------------------------------------
 *
 * How far the other host's clock is ahead of ours.  No packet arrives before
 * it was sent, so every trip gives an upper bound (request: received there
 * less sent here) and a lower one (answer: sent there less received here);
 * bounds are taken where the kernel stamped nearest to the wire, so that the
 * time in the hosts, which is measured, does not widen them.  Bounds of many
 * trips meet in one line through time, offset and drift: all lines that no
 * bound forbids are a polygon, and the interval is what it leaves open.  It
 * contains the truth as long as the drift changes no faster than 'wander';
 * where the clock was stepped, both bounds jump together, and a new regime
 * begins.  Memory is bounded, whatever the length of the run. */

#define OFFSET_DRIFT_MAX_PPM 1000.0
#define OFFSET_WANDER_PPM_S  0.01

struct offset_options {
	double drift_max_ppm; /* of one clock by the other; 0: the above */
	double wander_ppm_s;  /* how fast the drift may change; 0: the above */
};

/* The offset at one moment: remote less local time. */
struct offset_reading {
	int64_t low_ns, high_ns; /* the truth is not outside */
	int64_t best_ns;         /* the middle: a wire as long as its return */
	double drift_ppm, drift_low_ppm, drift_high_ppm;
	uint32_t regime; /* another one after a step, or what may be one */
	uint32_t trips;  /* of this regime so far */
};

struct offset;

/* Takes all memory.  Returns 0, -EINVAL or -ENOMEM; 'options' may be NULL. */
int offset_create(const struct offset_options *options,
		  struct offset **ret_offset);
void offset_destroy(struct offset *offset);

/* The next trip in order of sending.  False: nothing is known of the clock
 * (no trip had stamps of both hosts), *ret_reading is not set; otherwise the
 * offset while this trip was under way, as far as is known now. */
bool offset_trip(struct offset *offset, const struct trip *trip,
		 struct offset_reading *ret_reading);
/* The same of an earlier trip, with what was learned since. */
bool offset_at(struct offset *offset, const struct trip *trip,
	       struct offset_reading *ret_reading);
/* No further trips: settles what was in doubt. */
void offset_end(struct offset *offset);
/* Steps of either clock so far. */
uint32_t offset_steps(const struct offset *offset);

/* One way of a trip at one layer (SEND to RECEIVE, SCHED to RECEIVED, SENT
 * to RECEIVED), with the interval that the offset leaves. */
struct one_way {
	int64_t low_ns, high_ns, best_ns;
};

/* False: a stamp is missing. */
bool trip_one_way(const struct trip *trip, enum leg leg, enum layer layer,
		  const struct offset_reading *reading,
		  struct one_way *ret_one_way);
/* The same without an offset: arrival less departure as the clocks say. */
bool trip_transit_ns(const struct trip *trip, enum leg leg, enum layer layer,
		     int64_t *ret_ns);

/* ---- tally ---------------------------------------------------------------
 *
 * From trips to results: counts, histograms, loss and order.  Trips come in
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
/* Answered packets without this stamp though it was to be had.  A reader
 * that is not asleep is not woken: WAKING and RUNNING are then missing, and
 * the trip complete nevertheless. */
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

/* ---- explain -------------------------------------------------------------
 *
 * Which part of the trip moved, between two runs or within one, and what does
 * that.  The trip is cut into parts that have one kind of fault each, as far
 * as the points allow; a part has moved if ranks and tails say so beyond
 * chance; parts are ranked by the time they added. */

/* X(name, word, one line).  What only tracepoints (T2) can tell apart is said
 * together without them: queue and driver; interrupt and wake-up; on a host
 * whose reader is delayed at random, hog and pause. */
#define CULPRIT_TABLE(X)                                                     \
	X(CULPRIT_QUEUE, "queue", "packets wait in the queueing discipline") \
	X(CULPRIT_DRIVER, "driver", "the driver takes packets late")         \
	X(CULPRIT_INTERRUPT, "interrupt",                                    \
	  "received packets wait for the softirq")                           \
	X(CULPRIT_WAKE_UP, "wake-up", "the reader's thread is woken late")   \
	X(CULPRIT_HOG, "hog", "another program has the CPU")                 \
	X(CULPRIT_PAUSE, "pause", "the application itself pauses")           \
	X(CULPRIT_PATH_FORWARD, "path forward",                              \
	  "the network on the way there")                                    \
	X(CULPRIT_PATH_BACK, "path back", "the network on the way back")     \
	X(CULPRIT_STACK, "stack", "the system call and the protocols")

#define CULPRIT_ENUM(name, word, line) name,
enum culprit_kind { CULPRIT_TABLE(CULPRIT_ENUM) CULPRIT_COUNT };
#undef CULPRIT_ENUM

#define CULPRIT_BIT(kind) (1u << (kind))

/* word, "", one line */
extern const struct counter_row culprit_rows[CULPRIT_COUNT];

/* One that moved, with its evidence: that of the part that moved most. */
struct culprit {
	uint32_t kinds; /* CULPRIT_BITs: one of these */
	bool remote;    /* at the reflector's host; no matter for a path */
	char segment[SEGMENT_NAME]; /* "forward sched-sent" */
	int64_t added_ns;  /* a packet, the middle 90 %; negative: less */
	double share;      /* of all that moved */
	double confidence; /* that it moved, 0 to 1 */
	int64_t before_p50_ns, before_p90_ns, before_p99_ns;
	int64_t after_p50_ns, after_p90_ns, after_p99_ns;
	uint32_t packets; /* after, with these stamps */
	uint32_t beyond;  /* of them longer than 95 % of those before */
};

#define CULPRITS_MAX        16
#define EXPLAIN_PACKETS_MIN 20 /* answered, of each run */

struct explanation {
	size_t count;                          /* 0: nothing moved */
	struct culprit culprits[CULPRITS_MAX]; /* the first moved most */
	/* Within a run: the packets that differ from all others. */
	uint32_t first_seq, last_seq;
	uint32_t packets_before, packets_after;
};

/* What 'after' has that 'before' had not.  Trips in the order of their slots.
 * Returns 0, -EINVAL (fewer than EXPLAIN_PACKETS_MIN) or -ENOMEM. */
int explain_runs(const struct trip *before, size_t before_count,
		 const struct trip *after, size_t after_count,
		 struct explanation *ret_explanation);
/* Where a run was slower than else, and why.  -EINVAL below twice as many. */
int explain_run(const struct trip *trips, size_t count,
		struct explanation *ret_explanation);

#endif
