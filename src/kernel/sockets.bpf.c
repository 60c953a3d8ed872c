/* Who moved which bytes over which socket.
 *
 * A socket's storage holds its counters, a slot for each process that uses it;
 * a process's storage those of its calls on sockets whose end no hook tells.
 * Counters only grow; what belongs to an interval is the difference to a mark,
 * taken by an atomic exchange: whoever moves the mark puts the difference into
 * a bucket, and so the buckets' sum is the counter, whatever runs at once.
 *
 * 'current' is asked in system calls only, never in an interrupt.
 *
 * Threads: each program on the CPU of its event, several at once.
 */
#include <linux/types.h>

#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel/sockets_shared.h"
#include "kernel/sockets_types.h"

#define always          static __always_inline
#define be16(number)    __builtin_bswap16(number)
#define add(to, number) ((void)__sync_fetch_and_add(&(to), (number)))

#define UNIX         1
#define INET         2
#define INET6        10
#define PACKET       17
#define TCP          6
#define UDP          17
#define UDPLITE      136
#define MPTCP        262
#define PEEK         0x2
#define ERRQUEUE     0x2000
#define KTHREAD      0x00200000
#define DEAD         0 /* bits of sk_flags */
#define DONE         1
#define LOSS         4
#define PROBE        5 /* ICSK_TIME_LOSS_PROBE */
#define RB_WAKE      2 /* BPF_RB_FORCE_WAKEUP */
#define RB_NO_WAKE   1
#define LATE_NS      1000000
#define TIMEWAIT     6
#define NEW_SYN_RECV 12

enum {
	ESTABLISHED = 1,
	SYN_SENT,
	SYN_RECV,
	FIN_WAIT1,
	FIN_WAIT2,
	TIME_WAIT,
	CLOSE,
	CLOSE_WAIT,
	LAST_ACK,
	LISTEN,
};

enum { OPENED_ACTIVE = 1, OPENED_PASSIVE };

char sockets_license[] SEC("license") = "GPL";

const volatile struct sockets_config config = {};
struct sockets_shared shared;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct sockets_sock);
} socks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sockets_process);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sockets_calls);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sockets_record);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct sockets_drop_key);
	__type(value, struct sockets_drop);
} drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 24);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 24);
} buckets SEC(".maps");

always void seen(int hook)
{
	if (!shared.seen[hook])
		shared.seen[hook] = 1;
}

/* Wakes the reader each time that another quarter of the ring is filled: to
 * wake it for each record would cost more than all else. */
always __u64 wake(void *ring, __u64 quarter, __u64 size)
{
	__u64 waits = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);

	return (waits ^ (waits - size)) & ~(quarter - 1) ? RB_WAKE : RB_NO_WAKE;
}

/* Index of the interval under way, plus 1. */
always __u32 index_now(void)
{
	if (config.ticking)
		return *(volatile __u32 *)&shared.index + 1;
	return (bpf_ktime_get_ns() - shared.epoch) / config.interval + 1;
}

/* ---- buckets ---------------------------------------------------------------
 */

always void missed_note(__u32 index, __u64 tx, __u64 rx)
{
	struct sockets_missed *m = &shared.missed[index & (SOCKETS_MISSED - 1)];

	add(shared.bucket_refused, 1);
	add(shared.bucket_refused_tx, tx);
	add(shared.bucket_refused_rx, rx);
	m->index = index + 1;
	add(m->count, 1);
	add(m->tx, tx);
	add(m->rx, rx);
}

#define MARK_MOVE(slot, member, now) \
	((now)-__sync_lock_test_and_set(&(slot)->mark_##member, (now)))

/* Puts what came to a slot since its mark into a bucket of 'index'. */
static __noinline int bucket_put(struct sockets_slot *slot, __u64 socket,
				 __u32 kind, __u32 index)
{
	struct sockets_bucket *b;
	__u64 tx, rx, tx_messages, rx_messages;

	if (!slot)
		return 0;
	tx = slot->tx, rx = slot->rx;
	tx_messages = slot->tx_messages, rx_messages = slot->rx_messages;
	tx = MARK_MOVE(slot, tx, tx);
	rx = MARK_MOVE(slot, rx, rx);
	tx_messages = MARK_MOVE(slot, tx_messages, tx_messages);
	rx_messages = MARK_MOVE(slot, rx_messages, rx_messages);
	if (!(tx | rx | tx_messages | rx_messages))
		return 0;
	add(shared.bucket_events, 1);
	b = bpf_ringbuf_reserve(&buckets, sizeof *b, 0);
	if (!b) {
		missed_note(index, tx, rx);
		return 0;
	}
	b->socket = socket;
	b->start = slot->start;
	b->pid = slot->pid;
	b->index = index;
	b->kind = kind;
	b->tx = tx, b->rx = rx;
	b->tx_messages = tx_messages, b->rx_messages = rx_messages;
	add(shared.bucket_submitted, 1);
	bpf_ringbuf_submit(b,
			   wake(&buckets, config.buckets_quarter, sizeof *b));
	return 0;
}

/* The bucket that grows is another one from now on: who says so first puts
 * the one before it. */
always void slot_turn(struct sockets_slot *slot, __u64 socket, __u32 kind,
		      __u32 now)
{
	__u32 old = slot->index;

	if (old == now || !__sync_bool_compare_and_swap(&slot->index, old, now))
		return;
	if (old)
		bucket_put(slot, socket, kind, old - 1);
}

always void slot_add(struct sockets_slot *slot, __u64 bytes, int tx)
{
	if (tx) {
		add(slot->tx, bytes);
		add(slot->tx_messages, 1);
	} else {
		add(slot->rx, bytes);
		add(slot->rx_messages, 1);
	}
}

/* ---- processes --------------------------------------------------------------
 */

struct owner {
	__u64 start;
	__u32 pid;
};

always struct owner owner_current(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (task->flags & KTHREAD)
		return (struct owner){KERNEL_START, 0};
	return (struct owner){task->group_leader->start_boottime, task->tgid};
}

always struct sockets_process *process_make(struct task_struct *leader)
{
	struct sockets_process *p;

	if (shared.processes_born - shared.processes_ended >=
	    config.process_limit) {
		add(shared.processes_refused, 1);
		return 0;
	}
	p = bpf_task_storage_get(&processes, leader, 0,
				 BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!p) {
		add(shared.processes_failed, 1);
		return 0;
	}
	if (__sync_bool_compare_and_swap(&p->start, 0,
					 leader->start_boottime)) {
		p->pid = leader->tgid;
		add(shared.processes_born, 1);
	}
	return p;
}

/* Counts at the process that calls. */
static __noinline int process_account(__u32 kind, __u64 bytes, __u32 tx,
				      __u32 kernel)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct sockets_process *p = &shared.kernel;
	struct sockets_slot *slot;

	if (kind >= SOCKETS_CLASSES)
		return 0;
	if (!kernel && !(task->flags & KTHREAD)) {
		struct task_struct *leader = task->group_leader;

		p = bpf_task_storage_get(&processes, leader, 0, 0);
		if (!p)
			p = process_make(leader);
	}
	if (!p) {
		if (tx)
			add(shared.unattributed_tx, bytes);
		else
			add(shared.unattributed_rx, bytes);
		return 0;
	}
	slot = &p->slots[kind];
	if (!slot->start) {
		slot->pid = p->pid;
		slot->start = p->start;
	}
	slot_turn(slot, 0, kind, index_now());
	slot_add(slot, bytes, tx);
	return 0;
}

/* ---- sockets
 * ------------------------------------------------------------------ */

always __u32 class_of(__u16 family, __u16 protocol)
{
	if (family == INET || family == INET6) {
		if (protocol == TCP)
			return CLASS_TCP;
		if (protocol == UDP || protocol == UDPLITE)
			return CLASS_UDP;
		return protocol == MPTCP ? CLASS_MPTCP : CLASS_RAW;
	}
	if (family == UNIX)
		return CLASS_UNIX;
	if (family == PACKET)
		return CLASS_PACKET;
	return config.other_families ? CLASS_OTHER : CLASS_SKIP;
}

always int class_is_by_process(__u32 kind)
{
	return config.by_process >> kind & 1;
}

/* Bytes that the application took out of a TCP socket, by any way. */
always __u64 tcp_consumed(const struct tcp_sock *tp)
{
	const struct sock *sk = &tp->inet_conn.icsk_inet.sk;
	__u64 came = tp->bytes_received;
	__u64 taken = came - (__u32)(tp->rcv_nxt - tp->copied_seq);

	if (!(sk->__sk_common.skc_flags >> DONE & 1))
		return taken;
	/* The end of the stream counts as one. */
	return taken < came ? taken : came - 1;
}

always int sockets_full(void)
{
	return shared.born - shared.ended - shared.vanished >=
	       config.socket_limit;
}

/* Makes a socket's storage anew; of one cloned from a listener it keeps who
 * made that one. */
always void sock_reset(struct sockets_sock *s, __u64 self, __u64 id, __u32 kind,
		       __u32 flags)
{
	__u64 start = s->self ? s->creator_start : 0;
	__u32 pid = s->creator_pid;

	if (s->self && s->id == id)
		id = CLONED_ID | __sync_fetch_and_add(&shared.clones, 1);
	__builtin_memset(s, 0, sizeof *s);
	s->listener_start = start;
	s->listener_pid = pid;
	s->kind = kind;
	s->flags = flags | (class_is_by_process(kind) ? SOCK_BY_PROCESS : 0);
	s->born = bpf_ktime_get_ns();
	s->id = id;
	s->self = self;
	add(shared.born, 1);
}

/* 'taken': what the call under way took out of it. */
static __noinline struct sockets_sock *sock_make(struct sock *sk, __u32 kind,
						 __u64 taken)
{
	struct sockets_sock *s;
	struct tcp_sock *tp;
	__u32 flags = 0;

	if (!sk)
		return 0;
	if (sockets_full()) {
		add(shared.sockets_refused, 1);
		return 0;
	}
	s = bpf_sk_storage_get(&socks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s) {
		add(shared.sockets_failed, 1);
		return 0;
	}
	if (BPF_CORE_READ_BITFIELD(sk, sk_kern_sock))
		flags |= SOCK_KERNEL;
	sock_reset(s, (__u64)sk, bpf_get_socket_cookie(sk), kind, flags);
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp)
		s->base = tcp_consumed(tp) - taken;
	return s;
}

always struct sockets_sock *sock_find(struct sock *sk)
{
	struct sockets_sock *s = bpf_sk_storage_get(&socks, sk, 0, 0);

	/* Cloned from a listener it is another's yet. */
	if (s && s->self != (__u64)sk)
		return 0;
	return s;
}

/* A process's slot, a new one if need be; NULL: all are taken. */
always struct sockets_slot *slot_find(struct sockets_sock *s,
				      struct owner owner, __u8 *ret_number)
{
#pragma unroll
	for (int i = 0; i < SOCKETS_SLOTS; i++) {
		struct sockets_slot *slot = &s->slots[i];

		*ret_number = i + 1;
		if (slot->start == owner.start && slot->pid == owner.pid)
			return slot;
		if (slot->start == 0 && __sync_bool_compare_and_swap(
						&slot->start, 0, owner.start)) {
			slot->pid = owner.pid;
			return slot;
		}
	}
	*ret_number = 0;
	return 0;
}

always void other_account(struct sockets_sock *s, __u64 bytes, int tx,
			  int kernel)
{
	add(shared.owners_full, 1);
	if (tx) {
		add(s->other_tx, bytes);
		add(s->other_tx_messages, 1);
	} else {
		add(s->other_rx, bytes);
		add(s->other_rx_messages, 1);
	}
	if (!(s->flags & SOCK_BY_PROCESS))
		process_account(s->kind, bytes, tx, kernel);
}

always void sock_account(struct sockets_sock *s, __u64 bytes, int tx)
{
	struct owner owner = {KERNEL_START, 0};
	struct sockets_slot *slot;
	int kernel = s->flags & SOCK_KERNEL;
	__u8 number;

	if (!kernel)
		owner = owner_current();
	slot = slot_find(s, owner, &number);
	if (slot) {
		if (!(s->flags & SOCK_BY_PROCESS))
			slot_turn(slot, s->id, s->kind, index_now());
		slot_add(slot, bytes, tx);
		if (tx && s->last_tx != number)
			s->last_tx = number;
		if (!tx && s->last_rx != number)
			s->last_rx = number;
	} else {
		other_account(s, bytes, tx, kernel);
	}
	if (s->flags & SOCK_BY_PROCESS)
		process_account(s->kind, bytes, tx, kernel);
}

always void calls_count(__u64 bytes, int tx)
{
	__u32 zero = 0;
	struct sockets_calls *c = bpf_map_lookup_elem(&calls, &zero);

	if (!c)
		return;
	/* This CPU's own, and nothing else runs here meanwhile. */
	if (tx) {
		c->tx++;
		c->tx_bytes += bytes;
	} else {
		c->rx++;
		c->rx_bytes += bytes;
	}
}

/* A call moved bytes through a socket. */
always void account(struct sock *sk, int bytes, int tx)
{
	struct sockets_sock *s;
	__u32 kind;

	if (!shared.running || bytes <= 0)
		return;
	s = sock_find(sk);
	if (!s) {
		kind = class_of(sk->__sk_common.skc_family, sk->sk_protocol);
		if (kind == CLASS_SKIP) {
			add(shared.skipped, 1);
			return;
		}
		s = sock_make(sk, kind, tx ? 0 : bytes);
	}
	calls_count(bytes, tx);
	if (s)
		sock_account(s, bytes, tx);
	else
		process_account(kind, bytes, tx,
				BPF_CORE_READ_BITFIELD(sk, sk_kern_sock));
}

always void account_receive(struct sock *sk, int bytes, int flags)
{
	if (flags & (PEEK | ERRQUEUE)) {
		add(shared.peeked, 1);
		return;
	}
	account(sk, bytes, 0);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(sockets_send, struct sock *sk, int bytes, int flags)
{
	seen(HOOK_SEND);
	account(sk, bytes, 1);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(sockets_receive, struct sock *sk, int bytes, int flags)
{
	seen(HOOK_RECEIVE);
	account_receive(sk, bytes, flags);
	return 0;
}

#include "kernel/sockets_functions.inc"

#include "kernel/sockets_record.inc"

#include "kernel/sockets_life.inc"

#include "kernel/sockets_packets.inc"

#include "kernel/sockets_walk.inc"
