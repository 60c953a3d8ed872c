/* Sockets: which process moved which bytes, told by the kernel.
 *
 * BPF programs count in the kernel: for every socket, and in it for every
 * process that calls, bytes and messages that only ever grow; nothing is
 * cleared by reading.  kernel_sockets_turn(), called about once a second,
 * hands over what changed.  What happens to a packet in an interrupt is
 * counted at the packet's socket, never at the process that happened to run.
 *
 * Where a byte is.  Each byte of each call is at exactly one place:
 *   - 'owners' of a socket record, if the socket's end can be seen (TCP, UDP,
 *     MPTCP, raw: see 'by_process' of the record), or
 *   - a kernel_process_bytes record: sockets whose end no hook tells (Unix,
 *     packet; UDP and raw where there is no cgroup v2), the fifth and later
 *     processes of one socket, and sockets beyond the limit, or
 *   - the counters unattributed_tx_bytes and _rx_bytes: storage failed.
 * So, over everything handed out and with the newest record of each key:
 *   bytes of a process = sum of its owner rows in records that are not
 *                        by_process + sum of its kernel_process_bytes;
 *   sum over processes (the kernel is one) + unattributed = calls_tx_bytes,
 *   calls_rx_bytes of the counters;
 *   tx_bytes of a record = sum of its owner rows' + other_tx_bytes.
 * Owner rows of a record that is by_process say who uses it how much; they
 * are in kernel_process_bytes already.
 * Bytes that leave a TCP socket for the application without a receive call
 * (splice, mapped pages) are in 'rx_other_bytes' of the record: they belong to
 * the owner that received last, else to the first in 'owners', else to the
 * creator, else to the listener's (of a 'kernel' socket to the kernel); they
 * are in no owner row and no bucket.
 *
 * A call's bytes are what it returned: of MSG_TRUNC the whole datagram, of a
 * raw IPv4 socket with its header.  MSG_PEEK and MSG_ERRQUEUE do not count.
 * Netlink and other local families do not count but with 'other_families'.
 *
 * Intervals.  Interval 'index' begins at kernel_sockets_start() +
 * index * interval_ns and is the kernel's own: a bucket is the bytes of one
 * (process, socket) in one interval, kept in the kernel until read.  Sparse:
 * no bucket means no bytes.  The same key may come more than once: add.  For
 * every key, the sum of its buckets so far + its bytes in the interval under
 * way = its bytes; kernel_sockets_stop() ends that interval too.
 *
 * Times are CLOCK_MONOTONIC ns, but for a process's start (CLOCK_BOOTTIME, as
 * /proc/PID/stat has it in ticks); 0: not known or not yet.  Addresses are in
 * wire order, ports in the host's.
 *
 * Threads: an object belongs to one thread at a time.
 */
#ifndef KERNEL_SOCKETS_H
#define KERNEL_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/stamp.h"
#include "kernel/sockets_fields.h"

struct fault;

/* ---- options --------------------------------------------------------------
 */

/* Zero in a member takes the value in brackets; other values are rounded up to
 * what the kernel takes, never refused but where a range is said. */
struct kernel_sockets_options {
	int64_t interval_ns;    /* [100 ms] 10 ms to 1 s, else -ERANGE */
	size_t events_size;     /* [32 MiB] ring of life events, bytes */
	size_t buckets_size;    /* [16 MiB] ring of buckets, bytes */
	uint32_t socket_limit;  /* [262144] tracked at one time */
	uint32_t process_limit; /* [65536] with bytes outside of sockets */
	uint32_t drop_limit;    /* [16384] (reason, owner, direction) */
	bool state_events;      /* hand over each change of a TCP state */
	bool other_families;    /* count netlink, vsock, AF_ALG and so on */
	bool no_existing;       /* do not look for sockets that are there */
	bool no_cgroup;         /* for tests: as where cgroup v2 is not */
	bool no_tick;           /* for tests: read the clock in every call */
};

/* ---- what is handed over ---------------------------------------------------
 */

/* A process; {0, 0} is the kernel: its threads and its own sockets. */
struct kernel_process_key {
	uint64_t start_ns; /* CLOCK_BOOTTIME */
	uint32_t pid;      /* of the first namespace; the thread group's */
};

enum kernel_process_event {
	KERNEL_PROCESS_FORK, /* is there; comm is the parent's yet */
	KERNEL_PROCESS_EXEC, /* runs 'path' now */
	KERNEL_PROCESS_EXIT, /* its last thread ended */
};

#define KERNEL_COMM_SIZE 16
#define KERNEL_PATH_SIZE 256

/* Strings are cut to fit and end with 0.  Borrowed until the callback ends. */
struct kernel_process {
	enum kernel_process_event event;
	struct kernel_process_key key;
	struct kernel_process_key parent;
	struct mono at;
	uint64_t cgroup; /* id in cgroup v2: the inode of its folder */
	uint32_t uid;
	int exit_code;               /* EXIT: as wait() has it */
	char comm[KERNEL_COMM_SIZE]; /* of the leading thread */
	char path[KERNEL_PATH_SIZE]; /* EXEC: as given to execve() */
};

/* Classes of sockets, for bytes that have no socket's record. */
enum kernel_class {
	KERNEL_CLASS_TCP,
	KERNEL_CLASS_UDP,
	KERNEL_CLASS_RAW, /* ICMP and every other IP protocol */
	KERNEL_CLASS_MPTCP,
	KERNEL_CLASS_UNIX,
	KERNEL_CLASS_PACKET,
	KERNEL_CLASS_OTHER,
	KERNEL_CLASS_COUNT
};

/* "tcp", "udp", ... */
const char *kernel_class_name(enum kernel_class kind);

struct kernel_traffic {
	uint64_t tx_bytes, rx_bytes;
	uint64_t tx_messages, rx_messages; /* calls that moved bytes */
};

/* A process and its part in a socket. */
struct kernel_owner {
	struct kernel_process_key key;
	struct kernel_traffic traffic; /* all 0: it holds or made it only */
};

enum kernel_socket_event {
	KERNEL_SOCKET_BORN,   /* only with options.state_events */
	KERNEL_SOCKET_STATE,  /* the same; see old_state, state */
	KERNEL_SOCKET_SAMPLE, /* it changed since the last turn */
	KERNEL_SOCKET_CLOSED, /* a TCP connection is over, the socket lives */
	KERNEL_SOCKET_END,    /* no more of it will come but late buckets */
};

/* Why a TCP connection is over. */
enum kernel_close {
	KERNEL_CLOSE_NONE,      /* it is not, or never was one */
	KERNEL_CLOSE_FIN,       /* both sides ended it */
	KERNEL_CLOSE_ABORT,     /* this side: reset sent or thrown away */
	KERNEL_CLOSE_RESET,     /* the peer's reset */
	KERNEL_CLOSE_TIMEOUT,   /* the peer fell silent */
	KERNEL_CLOSE_ERROR,     /* another error: 'error' */
	KERNEL_CLOSE_REFUSED,   /* connect failed: reset */
	KERNEL_CLOSE_NO_ANSWER, /* connect failed: timeout */
	KERNEL_CLOSE_FAILED,    /* connect failed: 'error' */
	KERNEL_CLOSE_GIVEN_UP,  /* closed by this side while it connected */
	KERNEL_CLOSE_LISTENER,  /* a listener was closed */
};

/* "fin", "reset", ... */
const char *kernel_close_name(enum kernel_close why);

enum kernel_opened {
	KERNEL_OPENED_UNKNOWN, /* before the start, or not a connection */
	KERNEL_OPENED_ACTIVE,
	KERNEL_OPENED_PASSIVE,
};

#define KERNEL_FIELD_32                      uint32_t
#define KERNEL_FIELD_64                      uint64_t
#define KERNEL_FIELD(bits, name, unit, line) KERNEL_FIELD_##bits name;

struct kernel_tcp {
	KERNEL_TCP_FIELDS(KERNEL_FIELD)
};

struct kernel_buffers {
	KERNEL_BUFFER_FIELDS(KERNEL_FIELD)
};

/* A row of either, for printing: kernel_field_get(). */
struct kernel_field {
	const char *name, *unit, *line;
	uint16_t offset;
	uint8_t bits;
};

extern const struct kernel_field kernel_tcp_fields[];
extern const size_t kernel_tcp_field_count;
extern const struct kernel_field kernel_buffer_fields[];
extern const size_t kernel_buffer_field_count;

/* 'record' is the struct that the field's table made. */
uint64_t kernel_field_get(const struct kernel_field *field, const void *record);

#define KERNEL_OWNERS_MAX 4

/* A socket as it is at 'at'; every number only grows from record to record of
 * one id, but for what is of an instant (windows, buffers, rates).  'tcp'
 * begins anew with a connection.  Borrowed until the callback ends. */
struct kernel_socket {
	enum kernel_socket_event event;
	/* Its cookie, with the top bit 0; or, for accepted MPTCP sockets,
	 * which have none of their own, a number with the top bit 1.  Never
	 * used again. */
	uint64_t id;
	struct mono at;
	enum kernel_class kind;
	uint16_t family;     /* AF_INET, ... */
	uint16_t protocol;   /* IPPROTO_TCP, ...; of AF_PACKET an ethertype */
	uint16_t type;       /* SOCK_STREAM, ... */
	uint8_t address[16]; /* own; an IPv4 address in the first 4 bytes */
	uint8_t peer[16];
	uint16_t port, peer_port;
	bool mapped;           /* family is AF_INET6, addresses are IPv4 */
	bool kernel;           /* the kernel's own */
	bool existing;         /* was there before the start */
	bool by_process;       /* its bytes are in kernel_process_bytes */
	uint32_t netns;        /* inode of its network namespace */
	uint64_t netns_cookie; /* 0: this kernel has none */
	uint64_t cgroup;       /* id in cgroup v2; 1: the root */
	uint32_t uid;

	/* TCP.  States are those of <netinet/tcp.h>. */
	uint8_t state, old_state; /* END: the last, and the one before it */
	enum kernel_opened opened;
	enum kernel_close why;
	int error;              /* errno at the close, or the last one */
	uint32_t connections;   /* of this socket, this one included */
	struct mono born;       /* the socket, or first seen */
	struct mono connecting; /* SYN sent, or the peer's was answered */
	struct mono established;
	struct mono closing; /* first FIN, either side's */
	struct mono closed;
	uint32_t resets_sent, resets_received;
	uint32_t reset_reason; /* kernel_reset_name(); 0: none, not told */
	uint32_t errors;       /* reported to the socket */
	uint32_t retransmits;  /* seen by the hook; tcp has the kernel's */
	bool has_tcp; /* 'tcp' is filled: not of an END whose connection was
		       * thrown away before; then CLOSED had it */
	struct kernel_tcp tcp;
	struct kernel_buffers buffers;

	/* Since it was first seen. */
	struct kernel_traffic traffic;
	uint64_t rx_other_bytes; /* spliced or mapped; see above */
	uint64_t other_tx_bytes, other_rx_bytes; /* by owners not listed */
	struct kernel_process_key creator;       /* {0, 0}: not known */
	struct kernel_process_key
		listener;               /* passive: the listener's creator */
	int last_sender, last_receiver; /* in 'owners'; -1: none */
	int owner_count;
	struct kernel_owner owners[KERNEL_OWNERS_MAX];
};

/* Bytes of a process that are in no socket's owner row; since its start or
 * the object's.  Comes when it changed and, 'ended', a last time. */
struct kernel_process_bytes {
	struct kernel_process_key key;
	bool ended;
	struct kernel_traffic traffic[KERNEL_CLASS_COUNT];
};

/* What one (process, socket) moved in one interval; 'socket' 0: the class's
 * sockets without an owner row (see above). */
struct kernel_bucket {
	uint32_t index;
	enum kernel_class kind;
	struct kernel_process_key key;
	uint64_t socket;
	struct kernel_traffic traffic;
};

/* Buckets of an interval for which there was no room. */
struct kernel_missed {
	uint32_t index;
	uint32_t count; /* buckets */
	uint64_t tx_bytes, rx_bytes;
};

/* Packets that the kernel threw away; grows from turn to turn. */
struct kernel_drop {
	uint32_t reason;                 /* kernel_drop_name() */
	bool rx;                         /* else on its way out */
	uint64_t socket;                 /* 0: no socket was known */
	struct kernel_process_key owner; /* last to use it; {0, 0}: none */
	bool owned;                      /* 'owner' is known */
	uint64_t packets; /* segments, where a packet has several */
	uint64_t bytes;
	struct mono last;
};

/* NULL members are passed over.  No callback may call this object. */
struct kernel_sockets_visitor {
	void *context;
	void (*process)(void *context, const struct kernel_process *process);
	void (*socket)(void *context, const struct kernel_socket *socket);
	void (*bytes)(void *context, const struct kernel_process_bytes *bytes);
	void (*bucket)(void *context, const struct kernel_bucket *bucket);
	void (*missed)(void *context, const struct kernel_missed *missed);
	void (*drop)(void *context, const struct kernel_drop *drop);
};

/* ---- the object ------------------------------------------------------------
 */

struct kernel_sockets;

/* Loads and attaches what the kernel permits, finds the sockets that are
 * there and starts counting; takes some 100 ms.  Needs root, or CAP_BPF,
 * CAP_PERFMON and CAP_NET_ADMIN.  Fails only if no byte could be counted:
 * returns 0 or a negative code, and *ret_fault says what is refused and what
 * would help.  What else is not had: kernel_sockets_hooks(). */
int kernel_sockets_open(const struct kernel_sockets_options *options,
			struct kernel_sockets **ret_sockets,
			struct fault *ret_fault);
/* NULL is fine. */
void kernel_sockets_close(struct kernel_sockets *sockets);

/* Begin of interval 0. */
struct mono kernel_sockets_start(const struct kernel_sockets *sockets);
/* Index of the interval under way: all below it are complete after a turn
 * that began later. */
uint32_t kernel_sockets_index(const struct kernel_sockets *sockets);

/* Readable when events wait that should not wait for the next turn (a ring is
 * a quarter full): for poll() and epoll; then call turn. */
int kernel_sockets_fd(const struct kernel_sockets *sockets);

/* Hands over what changed since the last turn: samples, then events, then
 * buckets, then drops.  An END may come before the last buckets of its socket,
 * never in an earlier turn.  Does not block; takes some 1 us a socket that is
 * there and 7 us a socket that changed.  Returns how many records, or -errno:
 * then nothing is lost and the next turn may do. */
int kernel_sockets_turn(struct kernel_sockets *sockets,
			const struct kernel_sockets_visitor *visitor);

/* As turn, when the events alone are wanted: no walk over all sockets. */
int kernel_sockets_gather(struct kernel_sockets *sockets,
			  const struct kernel_sockets_visitor *visitor);

/* Stops counting at once and does a last turn in which every socket that has
 * traffic is handed over, and the buckets of the interval under way.  Later
 * turns hand over nothing.  *ret_end: when counting stopped. */
int kernel_sockets_stop(struct kernel_sockets *sockets,
			const struct kernel_sockets_visitor *visitor,
			struct mono *ret_end);

/* ---- counters --------------------------------------------------------------
 */

/* X(name, unit, line) */
#define KERNEL_SOCKETS_COUNTERS(X)                                            \
	X(calls_tx, "calls", "that sent bytes")                               \
	X(calls_rx, "calls", "that received bytes")                           \
	X(calls_tx_bytes, "bytes", "sent by calls")                           \
	X(calls_rx_bytes, "bytes", "received by calls")                       \
	X(unattributed_tx_bytes, "bytes", "of these, sent by nobody known")   \
	X(unattributed_rx_bytes, "bytes", "of these, received so")            \
	X(process_events, "events", "of processes, seen")                     \
	X(process_submitted, "events", "of these, put into the ring")         \
	X(process_refused, "events", "of these, for which it had no room")    \
	X(process_consumed, "events", "of these, handed over")                \
	X(state_events, "events", "of births and TCP states, seen")           \
	X(state_submitted, "events", "of these, put into the ring")           \
	X(state_refused, "events", "of these, for which it had no room")      \
	X(state_consumed, "events", "of these, handed over")                  \
	X(end_events, "sockets", "closed or ended, seen")                     \
	X(end_submitted, "sockets", "of these, put into the ring")            \
	X(end_refused, "sockets", "of these, for which it had no room")       \
	X(end_consumed, "sockets", "of these, handed over")                   \
	X(end_refused_tx_bytes, "bytes", "sent, in totals of those refused")  \
	X(end_refused_rx_bytes, "bytes",                                      \
	  "received, in totals of those "                                     \
	  "refused")                                                          \
	X(bucket_events, "buckets", "complete in the kernel")                 \
	X(bucket_submitted, "buckets", "of these, put into the ring")         \
	X(bucket_refused, "buckets", "of these, for which it had no room")    \
	X(bucket_consumed, "buckets", "of these, handed over")                \
	X(bucket_refused_tx_bytes, "bytes", "sent, in buckets refused")       \
	X(bucket_refused_rx_bytes, "bytes", "received, in buckets refused")   \
	X(sockets, "sockets", "tracked now")                                  \
	X(sockets_born, "sockets", "tracked, ever")                           \
	X(sockets_existing, "sockets", "of these, found at the start")        \
	X(sockets_refused, "calls", "on sockets beyond the limit")            \
	X(sockets_failed, "sockets", "without storage: no memory")            \
	X(sockets_unknown, "sockets", "that ended and were never tracked")    \
	X(sockets_vanished, "sockets", "whose end no hook told")              \
	X(owners_full, "calls", "by a fifth or later process of a socket")    \
	X(processes, "processes", "with bytes outside of sockets, now")       \
	X(processes_refused, "calls", "of processes beyond the limit")        \
	X(processes_failed, "calls",                                          \
	  "of processes without storage: memory "                             \
	  "or contention")                                                    \
	X(skipped_calls, "calls", "of families that do not count")            \
	X(peeked_calls, "calls", "that looked and did not take")              \
	X(drops, "packets", "thrown away by the kernel")                      \
	X(drops_full, "packets", "of these, for which the table had no room") \
	X(resets_unowned, "resets", "sent for no socket")                     \
	X(retransmits, "segments", "seen sent again")                         \
	X(recursion_misses, "runs", "of programs skipped by the kernel")      \
	X(ticks, "ticks", "that began an interval")                           \
	X(ticks_late, "ticks", "of these, more than 1 ms late")               \
	X(ticks_missed, "intervals", "begun by no tick of their own")         \
	X(tick_late_max_ns, "ns", "the latest tick was late")                 \
	X(turns, "turns", "of reading out")                                   \
	X(turns_failed, "turns", "that the kernel broke off")                 \
	X(turn_ns, "ns", "spent reading out")

struct kernel_sockets_counters {
	KERNEL_SOCKETS_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row kernel_sockets_counter_rows[];
extern const size_t kernel_sockets_counter_count;

/* As they are now, from the kernel and the object.  At rest, seen = submitted
 * + refused, and after a turn submitted = consumed, for each kind of event. */
struct kernel_sockets_counters
kernel_sockets_counters(const struct kernel_sockets *sockets);

/* ---- hooks, cost, names
 * ------------------------------------------------------ */

struct kernel_hook {
	const char *name;   /* of the program */
	const char *target; /* "tp_btf/sock_send_length", ... */
	const char *lost;   /* what is not known without it */
	bool loaded, attached;
	bool seen;       /* it ran */
	const char *why; /* not attached: a sentence; else "" */
};

/* All hooks, those that are not had too. */
size_t kernel_sockets_hooks(const struct kernel_sockets *sockets,
			    const struct kernel_hook **ret_hooks);

struct kernel_sockets_cost {
	bool measured;         /* the figures of the sample are there */
	uint64_t runs;         /* of all programs, in the sample */
	uint64_t run_ns;       /* spent in them, the measuring itself out */
	uint64_t call_runs;    /* of those on send and receive calls */
	uint64_t call_ns;      /* spent in these */
	uint64_t empty_ns;     /* that measuring adds to a run */
	uint64_t sample_ns;    /* length of the sample */
	uint64_t memory_bytes; /* of maps, as the kernel counts it */
};

/* Begins (true) or ends a sample of what the programs cost; the kernel's
 * measuring costs some 50 ns a run, so leave it on for a second, not for
 * good.  Returns 0 or -errno. */
int kernel_sockets_measure(struct kernel_sockets *sockets, bool on);
struct kernel_sockets_cost
kernel_sockets_cost(const struct kernel_sockets *sockets);

/* The running kernel's name of a drop reason ("TCP_ZEROWINDOW") or of a
 * reset's ("TCP_STATE"); NULL: it has no such number. */
const char *kernel_drop_name(const struct kernel_sockets *sockets,
			     uint32_t reason);
const char *kernel_reset_name(const struct kernel_sockets *sockets,
			      uint32_t reason);

#endif
