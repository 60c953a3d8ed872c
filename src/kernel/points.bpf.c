/* Stamps of probe packets on their way through this host.
 *
 * A packet is known by its peer's address, both ports and the sender's number
 * in its payload, never by a pointer: buffers are cloned and used again.  What
 * a thread does is noted in the shared map, where the thread itself reads it
 * right after the system call; what happens to a packet leaves as a record.
 *
 * Threads: each program on the CPU of its event, several at once.
 */
#include "kernel/packets.bpf.h"
#include "kernel/points_shared.h"

#define ARRIVALS   8
#define ARRIVAL_NS 1000000
#define BEFORE_NS  0xffffffffULL

char points_license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct points_shared);
} shared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RECORDS_SIZE);
} records SEC(".maps");

/* Packets that came to this CPU and of which READY is still to come: some
 * drivers hand up several and only then each of them to its socket. */
struct arrivals {
	__u64 last_ns;
	__u32 put, taken;
	struct points_record packets[ARRIVALS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct arrivals);
} arrivals SEC(".maps");

always struct points_shared *shared_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&shared, &zero);
}

always __u64 now_ns(const struct points_shared *s)
{
	return stamp_now_ns(s->filter.monotonic);
}

always int is_ours(const struct points_shared *s)
{
	return s->filter.thread &&
	       (__u32)bpf_get_current_pid_tgid() == s->filter.thread;
}

/* ---- packets ------------------------------------------------------------ */

/* Where a packet's parts are. */
struct place {
	const unsigned char *ip, *end; /* of what lies in one piece */
	int out;
	int queued; /* on a socket's queue its device is overwritten */
};

/* Fills all but time, point and number; returns where the UDP payload is,
 * NULL: not one of ours. */
always const unsigned char *ports_match(const struct points_shared *s,
					const struct place *place,
					const unsigned char *udp,
					struct points_record *record)
{
	__u16 ports[2];

	if (bpf_probe_read_kernel(ports, sizeof ports, udp))
		return 0;
	if (be16(ports[place->out ? 0 : 1]) != s->filter.port)
		return 0;
	record->port = be16(ports[place->out ? 1 : 0]);
	return udp + UDP_SIZE;
}

always const unsigned char *ip4_match(const struct points_shared *s,
				      const struct place *place,
				      const unsigned char *bytes,
				      struct points_record *record)
{
	unsigned int size = (bytes[0] & 15) * 4;

	if (bytes[9] != UDP || ((bytes[6] << 8 | bytes[7]) & FRAGMENT))
		return 0;
	record->ip_version = 4;
	__builtin_memcpy(record->address, bytes + (place->out ? 16 : 12), 4);
	return ports_match(s, place, place->ip + size, record);
}

always const unsigned char *ip6_match(const struct points_shared *s,
				      const struct place *place,
				      const unsigned char *bytes,
				      struct points_record *record)
{
	const unsigned char *udp = place->ip + IP6_SIZE, *payload;

	if (bytes[6] != UDP)
		return 0;
	record->ip_version = 6;
	payload = ports_match(s, place, udp, record);
	if (payload && bpf_probe_read_kernel(record->address, 16,
					     place->ip + (place->out ? 24 : 8)))
		return 0;
	return payload;
}

always int seq_read(struct points_shared *s, const struct place *place,
		    const unsigned char *payload, struct points_record *record)
{
	const unsigned char *at = payload + (place->out ? s->filter.out_seq_at
							: s->filter.in_seq_at);
	__u32 seq;

	if (at + sizeof seq > place->end) {
		__sync_fetch_and_add(&s->unread, 1);
		return 0;
	}
	if (bpf_probe_read_kernel(&seq, sizeof seq, at))
		return 0;
	record->seq = be32(seq);
	return !(s->filter.even_only && (record->seq & 1));
}

/* False: not a packet of ours, or not in our namespace. */
always int packet_match(struct points_shared *s, struct sk_buff *skb,
			const struct place *place, struct points_record *record)
{
	const unsigned char *payload;
	unsigned char bytes[IP4_SIZE];
	struct net_device *dev;

	if (bpf_probe_read_kernel(bytes, sizeof bytes, place->ip))
		return 0;
	if (bytes[0] >> 4 == 4)
		payload = ip4_match(s, place, bytes, record);
	else if (bytes[0] >> 4 == 6)
		payload = ip6_match(s, place, bytes, record);
	else
		return 0;
	if (!payload)
		return 0;
	if (place->queued) {
		record->interface = skb->skb_iif;
		return seq_read(s, place, payload, record);
	}
	dev = skb->dev;
	record->interface = BPF_CORE_READ(dev, ifindex);
	if (s->filter.net && bpf_core_field_exists(dev->nd_net.net) &&
	    BPF_CORE_READ(dev, nd_net.net, ns.inum) != s->filter.net)
		return 0;
	return seq_read(s, place, payload, record);
}

always void record_put(struct points_shared *s,
		       const struct points_record *record)
{
	struct points_record *to =
		bpf_ringbuf_reserve(&records, sizeof *record, 0);

	if (!to) {
		__sync_fetch_and_add(&s->lost, 1);
		return;
	}
	*to = *record;
	bpf_ringbuf_submit(to, BPF_RB_NO_WAKEUP);
}

always struct place place_at(struct sk_buff *skb, const unsigned char *ip,
			     int out)
{
	return (struct place){
		.ip = ip,
		.end = skb->data + (skb->len - skb->data_len),
		.out = out,
	};
}

/* The packet's record with its time, and whether it is one of ours. */
always int packet_stamp(struct points_shared *s, struct sk_buff *skb,
			struct place place, int point,
			struct points_record *record)
{
	*record = (struct points_record){.point = point};
	if (!s->filter.port || !packet_match(s, skb, &place, record))
		return 0;
	record->at_ns = now_ns(s);
	return 1;
}

always void packet_note(struct sk_buff *skb, int point, int out)
{
	struct points_shared *s = shared_get();
	struct points_record record;

	if (s &&
	    packet_stamp(s, skb,
			 place_at(skb, skb->head + skb->network_header, out),
			 point, &record))
		record_put(s, &record);
}

/* ---- out ---------------------------------------------------------------- */

SEC("tp_btf/sys_enter")
int BPF_PROG(points_enter, void *registers, long number)
{
	struct points_shared *s = shared_get();

	if (!s || !is_ours(s))
		return 0;
	s->call = number;
	if (s->call == s->filter.send_call) {
		s->calls.call_ns = now_ns(s);
	} else if (s->call == s->filter.receive_call) {
		s->calls.waking_ns = s->woken_ns;
		s->calls.running_ns = s->ran_ns;
	}
	return 0;
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(points_queue, struct sk_buff *skb)
{
	struct points_shared *s = shared_get();
	struct points_record record;
	__u64 before_ns;

	if (!s ||
	    !packet_stamp(s, skb,
			  place_at(skb, skb->head + skb->network_header, 1),
			  RECORD_QUEUE, &record))
		return 0;
	before_ns = record.at_ns - s->send_udp_ns;
	if (is_ours(s) && s->send_udp_ns && before_ns <= BEFORE_NS)
		record.before_ns = before_ns;
	record_put(s, &record);
	return 0;
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(points_driver, struct sk_buff *skb)
{
	packet_note(skb, RECORD_DRIVER, 1);
	return 0;
}

/* ---- in ----------------------------------------------------------------- */

/* A packet whose READY never came (it was dropped, or another CPU put it on
 * the queue) must not take that of a later one. */
always void arrival_put(const struct points_record *record)
{
	__u32 zero = 0;
	struct arrivals *a = bpf_map_lookup_elem(&arrivals, &zero);

	if (!a)
		return;
	if (a->taken > 0 || a->put >= ARRIVALS ||
	    record->at_ns - a->last_ns > ARRIVAL_NS)
		a->put = a->taken = 0;
	a->packets[a->put++ & (ARRIVALS - 1)] = *record;
	a->last_ns = record->at_ns;
}

always int arrival_take(struct points_record *ret_record)
{
	__u32 zero = 0;
	struct arrivals *a = bpf_map_lookup_elem(&arrivals, &zero);

	if (!a || a->taken >= a->put)
		return 0;
	*ret_record = a->packets[a->taken++ & (ARRIVALS - 1)];
	return 1;
}

/* Here the network header's place is not set yet. */
SEC("tp_btf/netif_receive_skb")
int BPF_PROG(points_stack, struct sk_buff *skb)
{
	struct points_shared *s = shared_get();
	struct points_record record;

	if (!s || !packet_stamp(s, skb, place_at(skb, skb->data, 0),
				RECORD_STACK, &record))
		return 0;
	arrival_put(&record);
	record_put(s, &record);
	return 0;
}

always int sock_match(const struct points_shared *s, const struct sock *sk)
{
	if (!s->filter.port || sk->__sk_common.skc_num != s->filter.port ||
	    sk->sk_protocol != UDP)
		return 0;
	return !s->filter.net ||
	       !bpf_core_field_exists(sk->__sk_common.skc_net.net) ||
	       BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum) ==
		       s->filter.net;
}

always void ready_note(const struct sock *sk)
{
	struct points_shared *s = shared_get();
	struct points_record record;

	if (!s || !sock_match(s, sk))
		return;
	if (!arrival_take(&record)) {
		if (!s->filter.even_only)
			__sync_fetch_and_add(&s->unjoined, 1);
		return;
	}
	record.point = RECORD_READY;
	record.at_ns = now_ns(s);
	record_put(s, &record);
}

SEC("tp_btf/sk_data_ready")
int BPF_PROG(points_ready, const struct sock *sk)
{
	ready_note(sk);
	return 0;
}

SEC("tp_btf/sched_waking")
int BPF_PROG(points_waking, struct task_struct *task)
{
	struct points_shared *s = shared_get();

	if (s && s->filter.thread && (__u32)task->pid == s->filter.thread)
		s->woken_ns = now_ns(s);
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(points_running, _Bool preempted, struct task_struct *from,
	     struct task_struct *to)
{
	struct points_shared *s = shared_get();

	if (s && s->filter.thread && (__u32)to->pid == s->filter.thread)
		s->ran_ns = now_ns(s);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(points_return, void *registers, long result)
{
	struct points_shared *s = shared_get();

	if (s && is_ours(s) && s->call == s->filter.receive_call && result > 0)
		s->calls.return_ns = now_ns(s);
	return 0;
}

/* ---- functions: where the kernel permits fentry -------------------------- */

always void send_udp_note(void)
{
	struct points_shared *s = shared_get();

	if (s && is_ours(s))
		s->send_udp_ns = now_ns(s);
}

SEC("fentry/udp_sendmsg")
int BPF_PROG(function_send_udp4)
{
	send_udp_note();
	return 0;
}

SEC("fentry/udpv6_sendmsg")
int BPF_PROG(function_send_udp6)
{
	send_udp_note();
	return 0;
}

SEC("fentry/udp_rcv")
int BPF_PROG(function_receive_udp4, struct sk_buff *skb)
{
	packet_note(skb, RECORD_RECEIVE_UDP, 0);
	return 0;
}

SEC("fentry/udpv6_rcv")
int BPF_PROG(function_receive_udp6, struct sk_buff *skb)
{
	packet_note(skb, RECORD_RECEIVE_UDP, 0);
	return 0;
}

SEC("fentry/__udp_enqueue_schedule_skb")
int BPF_PROG(function_enqueued, struct sock *sk, struct sk_buff *skb)
{
	packet_note(skb, RECORD_ENQUEUED, 0);
	return 0;
}

/* Instead of sk_data_ready where that tracepoint is not (before Linux 6.4). */
SEC("fentry/sock_def_readable")
int BPF_PROG(function_ready, struct sock *sk)
{
	ready_note(sk);
	return 0;
}

SEC("fentry/skb_consume_udp")
int BPF_PROG(function_copied, struct sock *sk, struct sk_buff *skb)
{
	struct points_shared *s = shared_get();
	struct points_record record;
	struct place place;

	if (!s || !sock_match(s, sk))
		return 0;
	place = place_at(skb, skb->head + skb->network_header, 0);
	place.queued = 1;
	if (packet_stamp(s, skb, place, RECORD_COPIED, &record))
		record_put(s, &record);
	return 0;
}

/* ---- enrolling ------------------------------------------------------------
 *
 * Run by the thread that is to be watched: its number here is the one that
 * the scheduler knows, in a container too. */

SEC("raw_tp/points_enrol")
int points_enrol(void *context)
{
	struct points_shared *s = shared_get();

	(void)context;
	if (!s)
		return 0;
	s->enrolled_ns = now_ns(s);
	s->enrolled = (__u32)bpf_get_current_pid_tgid();
	return 0;
}
