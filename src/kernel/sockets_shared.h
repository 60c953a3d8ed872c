/* What the BPF programs of sockets.bpf.c and their loader share.  Compiled for
 * both; every field has the same place in each.
 *
 * Threads: 'config' is set before the programs load and constant for them; of
 * 'shared' the loader writes its own group, the programs add to the rest by
 * atomic operations.
 */
#ifndef KERNEL_SOCKETS_SHARED_H
#define KERNEL_SOCKETS_SHARED_H

#include <linux/types.h>

#include "kernel/sockets_fields.h"

#define SOCKETS_SLOTS   4 /* owners of a socket: KERNEL_OWNERS_MAX */
#define SOCKETS_MISSED  4096
#define SOCKETS_CLASSES 7
#define SOCKETS_HOOKS   40

/* Classes, as enum kernel_class numbers them. */
enum {
	CLASS_TCP,
	CLASS_UDP,
	CLASS_RAW,
	CLASS_MPTCP,
	CLASS_UNIX,
	CLASS_PACKET,
	CLASS_OTHER,
	CLASS_SKIP = 255, /* does not count */
};

/* Programs, one a row of sockets_programs.c, for shared.seen. */
enum {
	HOOK_SEND,
	HOOK_RECEIVE,
	HOOK_STATE,
	HOOK_DESTROY,
	HOOK_CREATE,
	HOOK_RELEASE,
	HOOK_FORK,
	HOOK_EXEC,
	HOOK_EXIT,
	HOOK_RETRANSMIT,
	HOOK_SEND_RESET,
	HOOK_RECEIVE_RESET,
	HOOK_ERROR,
	HOOK_DROP,
	HOOK_TICK,
	HOOK_WALK,
	HOOK_TASKS,
	HOOK_FILES,
	HOOK_SEND_INET,
	HOOK_SEND_INET6,
	HOOK_SEND_UNIX_STREAM,
	HOOK_SEND_UNIX_DGRAM,
	HOOK_SEND_PACKET,
	HOOK_SENDPAGE_INET,
	HOOK_SENDPAGE_UNIX,
	HOOK_RECEIVE_INET,
	HOOK_RECEIVE_INET6,
	HOOK_RECEIVE_COMMON,
	HOOK_RECEIVE_UNIX_STREAM,
	HOOK_RECEIVE_UNIX_DGRAM,
	HOOK_RECEIVE_PACKET,
};

/* Accepted MPTCP sockets inherit the cookie: they get a number of their own. */
#define CLONED_ID (1ULL << 63)

#define KERNEL_START 1 /* 'start' of the slot of the kernel */

/* A process in a socket, or a class in a process.  All but 'index' and the
 * marks only grows.  A mark is what of it was put into buckets. */
struct sockets_slot {
	__u64 start; /* 0: free */
	__u32 pid;
	__u32 index; /* of the bucket that grows, plus 1; 0: none yet */
	__u64 tx, rx, tx_messages, rx_messages;
	__u64 mark_tx, mark_rx, mark_tx_messages, mark_rx_messages;
};

enum {
	SOCK_EXISTING = 1,
	SOCK_KERNEL = 2,
	SOCK_BY_PROCESS = 4,
	SOCK_ENDED = 8,
	SOCK_FIN_SENT = 16,
	SOCK_UNOWNED = 32, /* at the last walk */
	SOCK_ULP = 64,     /* TLS, MPTCP or the like was on top */
};

/* In a socket's storage. */
struct sockets_sock {
	__u64 self; /* the socket: else this was cloned from a listener */
	__u64 id;   /* its cookie, or a number with CLONED_ID */
	__u64 born, connecting, established, closing, closed;
	__u64 other_tx, other_rx, other_tx_messages, other_rx_messages;
	__s64 base; /* bytes that were taken out before the first call */
	__u64 creator_start, listener_start;
	__u32 creator_pid, listener_pid;
	/* The walk's own: what it handed over. */
	__u64 told;
	__u64 prior, prior_messages, sure; /* bytes taken out by no call */
	/* Of a connection that is over: the socket forgets them. */
	__u64 consumed;
	__u8 address[16], peer[16];
	__u16 port, peer_port;
	__u32 connections, errors, error, close_error;
	__u32 resets_sent, resets_received, reset_reason;
	__u32 retransmits, retrans_rto, retrans_tlp;
	__u32 uid, pad2;
	__u8 kind, opened, old_state, close_state;
	__u8 flags, last_tx, last_rx, pad; /* slots, plus 1 */
	struct sockets_slot slots[SOCKETS_SLOTS];
};

/* In a process's storage. */
struct sockets_process {
	__u64 start;
	__u32 pid;
	__u32 ended;
	__u64 told; /* messages that the walk handed over */
	struct sockets_slot slots[SOCKETS_CLASSES];
};

#define SOCKETS_BITS_32                       __u32
#define SOCKETS_BITS_64                       __u64
#define SOCKETS_FIELD(bits, name, unit, line) SOCKETS_BITS_##bits name;

/* As struct kernel_tcp and kernel_buffers; times that the kernel has in
 * jiffies are in jiffies here. */
struct sockets_tcp {
	KERNEL_TCP_FIELDS(SOCKETS_FIELD)
};

struct sockets_buffers {
	KERNEL_BUFFER_FIELDS(SOCKETS_FIELD)
};

enum {
	RECORD_BORN, /* as enum kernel_socket_event */
	RECORD_STATE,
	RECORD_SAMPLE,
	RECORD_CLOSED,
	RECORD_END,
	RECORD_FORK = 16,
	RECORD_EXEC,
	RECORD_EXIT,
	RECORD_BYTES, /* of a process */
};

/* Records of the ring of events and of the walks. */
struct sockets_record {
	__u32 record; /* which; first in all */
	__u32 state;
	__u64 at;
	__u64 cgroup, netns_cookie;
	__u32 netns;
	__u16 family, protocol, type, port, peer_port;
	__u8 has_tcp, pad; /* 2: of 'tcp' bytes_consumed only */
	__u8 address[16], peer[16];
	struct sockets_buffers buffers;
	struct sockets_tcp tcp;
	struct sockets_sock sock;
};

struct sockets_life {
	__u32 record;
	__u32 pid, parent_pid, uid;
	__u64 at, start, parent_start, cgroup;
	__s32 exit_code, pad;
	char comm[16];
};

struct sockets_exec {
	struct sockets_life life;
	char path[256];
};

struct sockets_bytes {
	__u32 record, pad;
	struct sockets_process process;
};

struct sockets_bucket {
	__u64 socket, start;
	__u32 pid, index, kind, pad;
	__u64 tx, rx, tx_messages, rx_messages;
};

struct sockets_drop_key {
	__u64 socket;
	__u32 reason, rx;
};

struct sockets_drop {
	__u64 packets, bytes, last, start;
	__u32 pid, pad;
};

struct sockets_missed {
	__u32 index, count; /* plus 1; only grows */
	__u64 tx, rx;       /* only grow */
};

struct sockets_config {
	__u64 interval;
	__u64 events_quarter, buckets_quarter; /* bytes after which to wake */
	__u32 socket_limit, process_limit;
	__u32 by_process; /* classes whose end no hook tells, by bit */
	__u32 ticking;    /* 'index' is moved by the tick */
	__u32 state_events;
	__u32 other_families;
	__u32 exit_dead;      /* sched_process_exit tells the last thread */
	__u32 drop_arguments; /* of kfree_skb: 2, 3 (reason) or 4 (and socket)
			       */
	__u32 reset_reason;   /* tcp_send_reset has it */
	__u32 retransmit_error;
	__u32 no_drop;   /* reason of packets not dropped; ~0: none */
	__u32 no_direct; /* functions stand for the tracepoints of calls */
};

/* By each CPU, of calls. */
struct sockets_calls {
	__u64 tx, rx, tx_bytes, rx_bytes;
};

struct sockets_shared {
	/* Read in every call. */
	__u32 running; /* calls and events count */
	__u32 ending;  /* ends are told */
	__u32 index;
	__u64 epoch;
	__u32 finding; /* the walk over files is the first */
	__u32 flush;   /* the walk completes the buckets under way too */
	__u32 seen[SOCKETS_HOOKS];
	__u64 vanished __attribute__((aligned(64))); /* the loader's */
	__u64 born __attribute__((aligned(64)));     /* the programs' */
	__u64 ended, existing, walked, unowned, clones;
	__u64 processes_born, processes_ended;
	__u64 jiffies, jiffies_at;
	__u64 unattributed_tx, unattributed_rx;
	__u64 process_events, process_submitted, process_refused;
	__u64 state_events, state_submitted, state_refused;
	__u64 end_events, end_submitted, end_refused;
	__u64 end_refused_tx, end_refused_rx;
	__u64 bucket_events, bucket_submitted, bucket_refused;
	__u64 bucket_refused_tx, bucket_refused_rx;
	__u64 sockets_refused, sockets_failed, sockets_unknown;
	__u64 owners_full, processes_refused, processes_failed;
	__u64 skipped, peeked;
	__u64 drops, drops_full, resets_unowned, retransmits;
	__u64 ticks, ticks_late, ticks_missed, tick_late_max;
	struct sockets_process kernel; /* its calls outside of sockets */
	struct sockets_missed missed[SOCKETS_MISSED];
};

#endif
