/* What the BPF programs of exchange.bpf.c and their loader share.  Compiled
 * for both; every field has the same place in each.
 *
 * Threads: the loader writes 'filter' and sets 'on' last; the programs append
 * to 'tgids' and write the rest, counters each on its CPU's line.
 */
#ifndef KERNEL_EXCHANGE_SHARED_H
#define KERNEL_EXCHANGE_SHARED_H

#include <linux/types.h>

#define EXCHANGE_TGIDS   16
#define EXCHANGE_CPUS    256 /* a power of two; more of them share lines */
#define EXCHANGE_CALLS   512 /* numbers of system calls that are told apart */
#define EXCHANGE_HEAD    64  /* bytes of payload that are looked at */
#define EXCHANGE_PORTS   65536
#define EXCHANGE_RECORDS (1u << 23) /* bytes between kernel and loader */
#define EXCHANGE_FOREVER (~0ULL)
#define ROLE_KNOWN       1 /* the socket is */
#define ROLE_BOUND       2 /* to a port that the program chose */
#define ROLE_CONNECTED   4

/* Numbers of enum exchange_kind, which is not known to BPF; exchange.c
 * asserts them. */
enum {
	RECORD_OUT_QUEUE,
	RECORD_OUT_DRIVER,
	RECORD_IN_STACK,
	RECORD_IN_READY,
	RECORD_IN_COPIED,
	RECORD_IN_TAKEN,
	RECORD_RETURN,
};

/* One stamp.  TAKEN and RETURN end before 'local'.  An address of IPv4 is in
 * the first 4 bytes. */
struct exchange_record {
	__u64 at_ns;
	__u64 other_ns;   /* QUEUE: the call; STACK: out of the driver, by the
			     wall clock; READY: STACK; COPIED, TAKEN: woken;
			     0: not known */
	__u64 running_ns; /* COPIED, TAKEN */
	__u64 socket;     /* READY, TAKEN: its cookie */
	__u32 thread;     /* COPIED, TAKEN, RETURN: as the first namespace
			     counts */
	__u32 call;       /* of that thread */
	__u32 interface;  /* index */
	__u16 size;       /* of the payload */
	__u16 local_port, remote_port;
	__u8 kind;
	__u8 ip_version;
	__u8 head_size;
	__u8 role; /* QUEUE, READY: of the socket */
	__u8 unused[2];
	__u8 local[16], remote[16];
	__u8 head[EXCHANGE_HEAD];
};

#define EXCHANGE_RECORD_SHORT 56

struct exchange_filter {
	__u64 keep_ns; /* a port that was learnt counts so long after its use */
	__u64 waits[EXCHANGE_CALLS /
		    64];      /* calls in which packets are awaited */
	__u32 net;            /* namespace's inode */
	__u32 bind_call;      /* its number */
	__u8 learn_ports;     /* of these processes, as they come */
	__u8 learn_processes; /* of these ports, as they come */
	__u8 monotonic;       /* by that clock, TAI or not */
	__u8 on;
};

struct exchange_lost {
	__u64 records;  /* no room in the ring */
	__u64 unjoined; /* READY without a packet that it is for */
	__u64 threads;  /* no memory for one, or no place for its process */
	__u64 unused[5];
};

struct exchange_shared {
	struct exchange_filter filter;
	/* What exchange_find is asked: numbers as the asker's namespace counts,
	 * 0: found. */
	__u32 wanted[EXCHANGE_TGIDS];
	__u32 wanted_count;
	__u32 tgid_count; /* as the first namespace counts */
	__u32 tgids[EXCHANGE_TGIDS];
	__u64 now_ns; /* by the programs' clock when exchange_find ran last */
	struct exchange_lost lost[EXCHANGE_CPUS] __attribute__((aligned(64)));
};

#endif
