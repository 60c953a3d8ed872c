/* Delays inside the kernel, for the fault injector: a CPU that spins where a
 * driver, a softirq or a waker is slow. */
#include <linux/types.h>

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "inject_shared.h"

#define UDP      17
#define IP4_SIZE 20
#define TURNS    (1 << 22)
#define always   static __always_inline

char inject_license[] SEC("license") = "GPL";

/* The few members of the kernel's structs that are read. */
#pragma clang attribute push(__attribute__((preserve_access_index)), \
			     apply_to = record)
struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	possible_net_t nd_net;
};

struct sk_buff {
	struct net_device *dev;
	unsigned char *head, *data;
	__u16 network_header;
};

struct task_struct {
	int pid;
};
#pragma clang attribute pop

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct inject_shared);
} shared SEC(".maps");

always struct inject_shared *shared_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&shared, &zero);
}

/* IPv4 and UDP, to or from the reflector, at a device of the namespace. */
always int is_ours(const struct inject_shared *s, struct sk_buff *skb,
		   const unsigned char *ip)
{
	struct net_device *dev = skb->dev;
	unsigned char bytes[IP4_SIZE + 4];
	unsigned int from, to;

	if (!dev || BPF_CORE_READ(dev, nd_net.net, ns.inum) != s->net)
		return 0;
	if (bpf_probe_read_kernel(bytes, sizeof bytes, ip))
		return 0;
	if (bytes[0] != 0x45 || bytes[9] != UDP)
		return 0;
	from = bytes[IP4_SIZE] << 8 | bytes[IP4_SIZE + 1];
	to = bytes[IP4_SIZE + 2] << 8 | bytes[IP4_SIZE + 3];
	return from == s->port || to == s->port;
}

static long is_past(__u32 turn, __u64 *until_ns)
{
	(void)turn;
	return bpf_ktime_get_ns() >= *until_ns;
}

always void delay(struct inject_shared *s)
{
	__u64 until_ns = bpf_ktime_get_ns() + s->delay_ns;

	if (!s->on || (bpf_get_prandom_u32() & 1023) >= s->share)
		return;
	s->delayed++;
	bpf_loop(TURNS, is_past, &until_ns, 0);
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(inject_count, struct sk_buff *skb)
{
	struct inject_shared *s = shared_get();

	if (s && is_ours(s, skb, skb->head + skb->network_header))
		s->count++;
	return 0;
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(inject_driver, struct sk_buff *skb)
{
	struct inject_shared *s = shared_get();

	if (s && is_ours(s, skb, skb->head + skb->network_header))
		delay(s);
	return 0;
}

/* Here the network header's place is not set yet. */
SEC("tp_btf/netif_receive_skb")
int BPF_PROG(inject_interrupt, struct sk_buff *skb)
{
	struct inject_shared *s = shared_get();

	if (s && is_ours(s, skb, skb->data))
		delay(s);
	return 0;
}

SEC("tp_btf/sched_waking")
int BPF_PROG(inject_wakeup, struct task_struct *task)
{
	struct inject_shared *s = shared_get();

	if (s && s->thread && (__u32)task->pid == s->thread)
		delay(s);
	return 0;
}
