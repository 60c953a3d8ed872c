/* The few members of the kernel's structs that programs on packets read, and
 * the clock of packets' stamps.  Included by *.bpf.c alone. */
#ifndef KERNEL_PACKETS_BPF_H
#define KERNEL_PACKETS_BPF_H

#include <linux/types.h>

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define UDP          17
#define IP4_SIZE     20
#define IP6_SIZE     40
#define UDP_SIZE     8
#define FRAGMENT     0x1fff
#define always       static __always_inline
#define be16(number) __builtin_bswap16(number)
#define be32(number) __builtin_bswap32(number)

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
	int ifindex;
	possible_net_t nd_net;
};

struct sock_common {
	__u16 skc_num;
	__u16 skc_dport;
	possible_net_t skc_net;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	__u8 sk_userlocks : 4;
};

struct sk_buff {
	struct sock *sk;
	struct net_device *dev;
	unsigned int len, data_len;
	unsigned char *head, *data;
	int skb_iif;
	__u16 network_header;
	__u64 tstamp;
};

struct pid;

struct task_struct {
	int pid, tgid;
	struct pid *thread_pid;
};
#pragma clang attribute pop

/* Linux 6.1; a value of its own name, so that this builds without it. */
enum bpf_func_id___tai { BPF_FUNC_ktime_get_tai_ns___tai = 208 };
static __u64 (*tai_ns)(void) = (void *)208;

/* CLOCK_TAI, before Linux 6.1 or if told so CLOCK_MONOTONIC. */
always __u64 stamp_now_ns(int monotonic)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id___tai,
				       BPF_FUNC_ktime_get_tai_ns___tai) &&
	    !monotonic)
		return tai_ns();
	return bpf_ktime_get_ns();
}

#endif
