/* What the BPF programs of points.bpf.c and their loader share.  Compiled for
 * both; every field has the same place in each.
 *
 * Threads: the loader writes 'filter' before packets count; the programs
 * write the rest, each group by the CPU that its comment names.
 */
#ifndef KERNEL_POINTS_SHARED_H
#define KERNEL_POINTS_SHARED_H

#include <linux/types.h>

/* Numbers of enum point, which is not known to BPF; points.c asserts them. */
enum {
	RECORD_SEND_UDP = 2,
	RECORD_QUEUE = 4,
	RECORD_DRIVER = 5,
	RECORD_STACK = 10,
	RECORD_RECEIVE_UDP = 11,
	RECORD_ENQUEUED = 12,
	RECORD_READY = 13,
	RECORD_COPIED = 16,
};

/* One stamp of one packet.  An address of IPv4 is in the first 4 bytes. */
struct points_record {
	__u64 at_ns;
	__u32 before_ns; /* QUEUE: SEND_UDP was so long before; 0: unknown */
	__u32 seq;       /* the sender's */
	__u32 interface; /* index */
	__u16 port;      /* the peer's */
	__u8 point;
	__u8 ip_version;
	__u8 address[16]; /* the peer's */
};

/* Which packets and which thread; 0 in 'thread' or 'port': none. */
struct points_filter {
	__u64 send_call, receive_call; /* numbers of system calls */
	__u32 thread;                  /* as the first namespace numbers it */
	__u32 net;                     /* namespace's inode; 0: any */
	__u16 port;                    /* of this host's socket */
	__u8 out_seq_at, in_seq_at;    /* offset in the UDP payload */
	__u8 even_only;                /* stamp every other packet */
	__u8 monotonic;                /* by that clock, TAI or not */
};

/* By the CPU on which the thread is: see struct probe_calls. */
struct points_calls {
	__s64 call_ns, return_ns, waking_ns, running_ns;
};

struct points_shared {
	struct points_filter filter;
	struct points_calls calls __attribute__((aligned(64)));
	__u64 call; /* the one that the thread is in */
	__u64 send_udp_ns;
	__u64 ran_ns;
	/* By the CPU that wakes it. */
	__u64 woken_ns __attribute__((aligned(64)));
	/* By any, rarely. */
	__u64 lost __attribute__((aligned(64)));
	__u64 unread;      /* packets whose numbers lay beyond the first page */
	__u64 unjoined;    /* READY without a packet that it is for */
	__u64 enrolled_ns; /* when a thread enrolled last */
	__u32 enrolled;    /* which */
};

#define RECORDS_SIZE (1u << 20) /* bytes between the kernel and the loader */

#endif
