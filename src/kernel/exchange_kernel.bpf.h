/* What the programs of exchange.bpf.c stand on: the kernel's structs, as far
 * as they are read, and the maps.  Included by them alone. */
#ifndef KERNEL_EXCHANGE_KERNEL_BPF_H
#define KERNEL_EXCHANGE_KERNEL_BPF_H

#include "kernel/exchange_shared.h"
#include "kernel/packets.bpf.h"

#define ARRIVALS      8
#define ARRIVAL_NS    1000000
#define NOT_TAKEN     0x2002 /* MSG_PEEK, MSG_ERRQUEUE */
#define BINDPORT_LOCK 8      /* SOCK_BINDPORT_LOCK */
#define ARM_SECOND    1      /* register of a call's second parameter */
#define KEEP(value)   asm volatile("" : "+r"(value))

/* The few members of the kernel's structs that are read. */
#pragma clang attribute push(__attribute__((preserve_access_index)), \
			     apply_to = record)
struct pid_namespace;

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct bpf_iter_meta;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

/* Where a system call's second parameter is. */
struct pt_regs___x86 {
	unsigned long si;
};

struct user_pt_regs___arm {
	unsigned long long regs[31];
};
#pragma clang attribute pop

/* A thread of a watched process. */
struct thread {
	__u64 call_ns;
	__u64 woken_ns, ran_ns;
	__u32 calls; /* how many so far */
	__u32 call;  /* its number */
	__u8 taken;  /* packets, in this call */
	__u8 copied; /* one that exchange_taken need not tell */
	__u8 inside; /* of a call */
	__u8 known;  /* calls are seen */
	__u8 woken;  /* and has not run since */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exchange_shared);
} shared SEC(".maps");

/* By port: until when its packets count, by the programs' clock. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EXCHANGE_PORTS);
	__type(key, __u32);
	__type(value, __u64);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EXCHANGE_RECORDS);
} records SEC(".maps");

/* Packets that came to this CPU and of which READY is still to come: some
 * drivers hand up several and only then each of them to its socket. */
struct arrivals {
	__u32 next;
	__u32 unused;
	struct exchange_record packets[ARRIVALS]; /* at_ns 0: none */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct arrivals);
} arrivals SEC(".maps");

always struct exchange_shared *shared_get(void)
{
	__u32 zero = 0;
	struct exchange_shared *s = bpf_map_lookup_elem(&shared, &zero);

	return s && s->filter.on ? s : 0;
}

always struct exchange_lost *lost_get(struct exchange_shared *s)
{
	return &s->lost[bpf_get_smp_processor_id() & (EXCHANGE_CPUS - 1)];
}

always __u64 now_ns(const struct exchange_shared *s)
{
	return stamp_now_ns(s->filter.monotonic);
}

#endif
