/* Stamps of other programs' UDP packets on their way through this host.
 *
 * Which packets: those of ports in 'ports', which the loader fills and, where
 * a process is watched, its own system calls: a port is learnt when it binds
 * it or sends from it.  What leaves is known by what the packet says (its
 * addresses, ports and the begin of its payload), never by a pointer.  What a
 * thread of the watched process does is kept with the thread.
 *
 * Threads: each program on the CPU of its event, several at once.
 */
#include "kernel/exchange_kernel.bpf.h"
#include "kernel/exchange_packet.bpf.h"

char exchange_license[] SEC("license") = "GPL";

/* ---- processes and threads ---------------------------------------------- */

always int is_watched(const struct exchange_shared *s, __u32 tgid)
{
	__u32 count = s->tgid_count;

	for (__u32 i = 0; i < EXCHANGE_TGIDS; i++) {
		if (i >= count)
			return 0;
		if (s->tgids[i] == tgid)
			return 1;
	}
	return 0;
}

always int current_is_watched(const struct exchange_shared *s)
{
	return is_watched(s, bpf_get_current_pid_tgid() >> 32);
}

always struct thread *thread_get(struct exchange_shared *s,
				 struct task_struct *task)
{
	struct thread *thread = bpf_task_storage_get(
		&threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!thread)
		__sync_fetch_and_add(&lost_get(s)->threads, 1);
	return thread;
}

always struct thread *current_get(struct exchange_shared *s)
{
	return current_is_watched(s) ? thread_get(s, bpf_get_current_task_btf())
				     : 0;
}

/* Two at once may lose one, which its next packet brings back.  False: there
 * is no place left. */
always int process_add(struct exchange_shared *s, __u32 tgid)
{
	__u32 at = s->tgid_count;

	if (at >= EXCHANGE_TGIDS)
		return 0;
	s->tgid_count = at + 1;
	KEEP(at); /* for old verifiers the mask alone is the bound */
	at &= EXCHANGE_TGIDS - 1;
	s->tgids[at] = tgid;
	return 1;
}

/* A process that was seen to send from a watched port. */
always void process_learn(struct exchange_shared *s)
{
	if (!process_add(s, bpf_get_current_pid_tgid() >> 32))
		__sync_fetch_and_add(&lost_get(s)->threads, 1);
}

/* ---- ports -------------------------------------------------------------- */

always int port_counts(const struct exchange_shared *s, __u32 port)
{
	__u64 *until = bpf_map_lookup_elem(&ports, &port);

	if (!until || !*until)
		return 0;
	return *until == EXCHANGE_FOREVER || now_ns(s) < *until;
}

always void port_learn(__u32 port, __u64 until_ns)
{
	__u64 *until = bpf_map_lookup_elem(&ports, &port);

	if (until && *until < until_ns)
		*until = until_ns;
}

/* A port that is bound counts from its bind() on. */
always void bind_learn(const struct exchange_shared *s, void *registers)
{
	const struct user_pt_regs___arm *arm = registers;
	const struct pt_regs___x86 *x86 = registers;
	unsigned long address = 0;
	__u16 begin[2]; /* family, port */

	if (bpf_core_field_exists(x86->si))
		address = BPF_CORE_READ(x86, si);
	else if (bpf_core_field_exists(arm->regs))
		address = BPF_CORE_READ(arm, regs[ARM_SECOND]);
	if (!address ||
	    bpf_probe_read_user(begin, sizeof begin, (void *)address))
		return;
	if (begin[1] && (begin[0] == 2 || begin[0] == 10))
		port_learn(be16(begin[1]), EXCHANGE_FOREVER);
}

/* ---- out ---------------------------------------------------------------- */

SEC("tp_btf/sys_enter")
int BPF_PROG(exchange_enter, void *registers, long number)
{
	struct exchange_shared *s = shared_get();
	struct thread *thread;

	if (!s)
		return 0;
	thread = current_get(s);
	if (!thread)
		return 0;
	thread->call = number;
	thread->calls++;
	thread->taken = 0;
	thread->copied = 0;
	thread->inside = 1;
	thread->known = 1;
	if (s->filter.learn_ports && number == s->filter.bind_call)
		bind_learn(s, registers);
	thread->call_ns = now_ns(s);
	return 0;
}

always int is_of(const struct sock *sk, __u16 port)
{
	return sk && sk->__sk_common.skc_num == port && sk->sk_protocol == UDP;
}

/* Whether a packet that leaves counts; *ret_call_ns: the call that sent it. */
always int out_counts(struct exchange_shared *s, const struct sock *sk,
		      __u16 port, __u64 *ret_call_ns)
{
	struct thread *thread = current_get(s);
	int own = is_of(sk, port);

	*ret_call_ns = 0;
	if (thread && thread->inside && own) {
		*ret_call_ns = thread->call_ns;
		if (s->filter.learn_ports) {
			port_learn(port, now_ns(s) + s->filter.keep_ns);
			return 1;
		}
	}
	if (!port_counts(s, port))
		return 0;
	if (!thread && own && s->filter.learn_processes)
		process_learn(s);
	return 1;
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(exchange_queue, struct sk_buff *skb)
{
	struct exchange_shared *s = shared_get();
	struct exchange_record record;
	struct headers headers;
	struct place place;
	struct sock *sk = skb->sk;
	__u64 call_ns;

	if (!s ||
	    !packet_find(skb->head + skb->network_header, 1, &headers, &place))
		return 0;
	if (!net_matches(s, skb->dev) ||
	    !out_counts(s, sk, place.local_port, &call_ns))
		return 0;
	__builtin_memset(&record, 0, sizeof record);
	record.at_ns = now_ns(s);
	record.other_ns = call_ns;
	record.kind = RECORD_OUT_QUEUE;
	if (sk && is_of(sk, place.local_port))
		record.role = role_of(sk);
	record.interface = skb->dev->ifindex;
	record_fill(skb, &headers, &place, &record);
	record_put(s, &record);
	return 0;
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(exchange_driver, struct sk_buff *skb)
{
	struct exchange_shared *s = shared_get();
	struct exchange_record record;
	struct headers headers;
	struct place place;

	if (!s ||
	    !packet_find(skb->head + skb->network_header, 1, &headers, &place))
		return 0;
	if (!net_matches(s, skb->dev) || !port_counts(s, place.local_port))
		return 0;
	__builtin_memset(&record, 0, sizeof record);
	record.at_ns = now_ns(s);
	record.kind = RECORD_OUT_DRIVER;
	record.interface = skb->dev->ifindex;
	record_fill(skb, &headers, &place, &record);
	record_put(s, &record);
	return 0;
}

/* ---- in ----------------------------------------------------------------- */

always void arrival_put(const struct exchange_record *record)
{
	__u32 zero = 0;
	struct arrivals *a = bpf_map_lookup_elem(&arrivals, &zero);

	if (a)
		a->packets[a->next++ & (ARRIVALS - 1)] = *record;
}

/* The oldest one of this port, of a moment ago; a packet whose READY never
 * came (it was dropped, or another CPU put it on the queue) is overwritten. */
always struct exchange_record *arrival_take(struct exchange_shared *s,
					    __u16 port)
{
	__u32 zero = 0, first;
	struct arrivals *a = bpf_map_lookup_elem(&arrivals, &zero);
	__u64 now = now_ns(s);

	if (!a)
		return 0;
	first = a->next;
	for (__u32 i = 0; i < ARRIVALS; i++) {
		struct exchange_record *r =
			&a->packets[(first + i) & (ARRIVALS - 1)];

		if (r->at_ns && r->local_port == port &&
		    now - r->at_ns < ARRIVAL_NS)
			return r;
	}
	return 0;
}

/* Here the network header's place is not set yet. */
SEC("tp_btf/netif_receive_skb")
int BPF_PROG(exchange_stack, struct sk_buff *skb)
{
	struct exchange_shared *s = shared_get();
	struct exchange_record record;
	struct headers headers;
	struct place place;

	if (!s || !packet_find(skb->data, 0, &headers, &place))
		return 0;
	if (!port_counts(s, place.local_port) || !net_matches(s, skb->dev))
		return 0;
	__builtin_memset(&record, 0, sizeof record);
	record.at_ns = now_ns(s);
	record.other_ns = skb->tstamp;
	record.kind = RECORD_IN_STACK;
	record.interface = skb->dev->ifindex;
	record_fill(skb, &headers, &place, &record);
	arrival_put(&record);
	record_put(s, &record);
	return 0;
}

always void ready_note(struct sock *sk)
{
	struct exchange_shared *s = shared_get();
	struct exchange_record *record;

	if (!s || sk->sk_protocol != UDP ||
	    !port_counts(s, sk->__sk_common.skc_num))
		return;
	if (bpf_core_field_exists(sk->__sk_common.skc_net.net) &&
	    sk->__sk_common.skc_net.net->ns.inum != s->filter.net)
		return;
	record = arrival_take(s, sk->__sk_common.skc_num);
	if (!record) {
		__sync_fetch_and_add(&lost_get(s)->unjoined, 1);
		return;
	}
	record->other_ns = record->at_ns;
	record->at_ns = now_ns(s);
	record->socket = bpf_get_socket_cookie((void *)sk);
	record->kind = RECORD_IN_READY;
	record->role = role_of(sk);
	record_put(s, record);
	record->at_ns = 0;
}

SEC("tp_btf/sk_data_ready")
int BPF_PROG(exchange_ready, struct sock *sk)
{
	ready_note(sk);
	return 0;
}

/* Instead of that tracepoint before Linux 6.4. */
SEC("fentry/sock_def_readable")
int BPF_PROG(exchange_ready_function, struct sock *sk)
{
	ready_note(sk);
	return 0;
}

/* Only of calls that await a packet: the end of a sleep, or of a wait for a
 * lock, is not a packet's wake-up. */
SEC("tp_btf/sched_waking")
int BPF_PROG(exchange_waking, struct task_struct *task)
{
	struct exchange_shared *s = shared_get();
	struct thread *thread;
	__u32 call;

	if (!s || !is_watched(s, task->tgid))
		return 0;
	thread = thread_get(s, task);
	if (!thread)
		return 0;
	call = thread->call;
	if (thread->known &&
	    (!thread->inside || call >= EXCHANGE_CALLS ||
	     !(s->filter.waits[(call / 64) & (EXCHANGE_CALLS / 64 - 1)] >>
		       (call & 63) &
	       1)))
		return 0;
	thread->woken_ns = now_ns(s);
	thread->ran_ns = 0;
	thread->woken = 1;
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(exchange_running, _Bool preempted, struct task_struct *from,
	     struct task_struct *to)
{
	struct exchange_shared *s = shared_get();
	struct thread *thread;

	if (!s || !is_watched(s, to->tgid))
		return 0;
	thread = bpf_task_storage_get(&threads, to, 0, 0);
	if (thread && thread->woken) {
		thread->ran_ns = now_ns(s);
		thread->woken = 0;
	}
	return 0;
}

/* A reader is done with the packet: its bytes are copied.  Since Linux 6.18
 * not told any more. */
SEC("tp_btf/consume_skb")
int BPF_PROG(exchange_copied, struct sk_buff *skb)
{
	struct exchange_shared *s = shared_get();
	struct exchange_record record;
	struct headers headers;
	struct thread *thread;
	struct place place;

	if (!s)
		return 0;
	thread = current_get(s);
	if (!thread || (thread->known && !thread->inside) ||
	    !packet_find(skb->head + skb->network_header, 0, &headers,
			 &place) ||
	    !port_counts(s, place.local_port))
		return 0;
	thread->taken = 1;
	thread->copied = 1;
	__builtin_memset(&record, 0, sizeof record);
	record.at_ns = now_ns(s);
	record.other_ns = thread->woken_ns;
	record.running_ns = thread->ran_ns;
	record.thread = (__u32)bpf_get_current_pid_tgid();
	record.call = thread->calls;
	record.kind = RECORD_IN_COPIED;
	record_fill(skb, &headers, &place, &record);
	record_put(s, &record);
	return 0;
}

/* A reader has a packet, of which only the socket is told: they come in the
 * order in which they were ready.  Since Linux 6.3. */
SEC("tp_btf/sock_recv_length")
int BPF_PROG(exchange_taken, struct sock *sk, int size, int flags)
{
	struct exchange_shared *s = shared_get();
	struct exchange_record *record;
	struct thread *thread;

	if (!s || size < 0 || (flags & NOT_TAKEN) || sk->sk_protocol != UDP)
		return 0;
	thread = current_get(s);
	if (!thread)
		return 0;
	if (s->filter.learn_ports)
		port_learn(sk->__sk_common.skc_num,
			   now_ns(s) + s->filter.keep_ns);
	if (thread->copied || !port_counts(s, sk->__sk_common.skc_num)) {
		thread->copied = 0;
		return 0;
	}
	thread->taken = 1;
	record = bpf_ringbuf_reserve(&records, EXCHANGE_RECORD_SHORT, 0);
	if (!record) {
		__sync_fetch_and_add(&lost_get(s)->records, 1);
		return 0;
	}
	record->at_ns = now_ns(s);
	record->other_ns = thread->woken_ns;
	record->running_ns = thread->ran_ns;
	record->socket = bpf_get_socket_cookie(sk);
	record->thread = (__u32)bpf_get_current_pid_tgid();
	record->call = thread->calls;
	record->size = size;
	record->kind = RECORD_IN_TAKEN;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(exchange_return, void *registers, long result)
{
	struct exchange_shared *s = shared_get();
	struct exchange_record *record;
	struct thread *thread;

	if (!s || !current_is_watched(s))
		return 0;
	thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0,
				      0);
	if (!thread)
		return 0;
	thread->inside = 0;
	thread->known = 1;
	if (!thread->taken)
		return 0;
	thread->taken = 0;
	record = bpf_ringbuf_reserve(&records, EXCHANGE_RECORD_SHORT, 0);
	if (!record) {
		__sync_fetch_and_add(&lost_get(s)->records, 1);
		return 0;
	}
	record->at_ns = now_ns(s);
	record->thread = (__u32)bpf_get_current_pid_tgid();
	record->call = thread->calls;
	record->kind = RECORD_RETURN;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

/* ---- which processes ------------------------------------------------------
 *
 * Run by who asks: reads the numbers in 'wanted' as its namespace counts. */

always void wanted_check(struct exchange_shared *s, __u32 nr, __u32 tgid)
{
	for (__u32 i = 0; i < EXCHANGE_TGIDS; i++) {
		if (i >= s->wanted_count)
			return;
		if (s->wanted[i] != nr)
			continue;
		s->wanted[i] = 0;
		(void)process_add(s, tgid);
		return;
	}
}

always void upid_read(const struct pid *pid, __u32 level, struct upid *ret_upid)
{
	const char *numbers =
		__builtin_preserve_access_index((const void *)&pid->numbers);

	(void)bpf_probe_read_kernel(ret_upid, sizeof *ret_upid,
				    numbers + level * sizeof *ret_upid);
}

SEC("iter/task")
int exchange_find(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	const struct pid *ours, *theirs;
	struct upid asker = {0}, found = {0};
	__u32 zero = 0, level;
	struct exchange_shared *s = bpf_map_lookup_elem(&shared, &zero);

	if (!s || !task || task->pid != task->tgid)
		return 0;
	s->now_ns = now_ns(s);
	ours = bpf_get_current_task_btf()->thread_pid;
	theirs = task->thread_pid;
	if (!ours || !theirs)
		return 0;
	level = BPF_CORE_READ(ours, level);
	if (BPF_CORE_READ(theirs, level) < level)
		return 0;
	upid_read(ours, level, &asker);
	upid_read(theirs, level, &found);
	if (asker.ns == found.ns)
		wanted_check(s, found.nr, task->tgid);
	return 0;
}
