/* The few members of the kernel's structs that the sockets' programs read;
 * where they are, libbpf finds out when it loads them.  Included by
 * sockets.bpf.c only. */
#ifndef KERNEL_SOCKETS_TYPES_H
#define KERNEL_SOCKETS_TYPES_H

#include <linux/types.h>

#ifdef __bpf__
#pragma clang attribute push(__attribute__((preserve_access_index)), \
			     apply_to = record)
#endif

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	long long counter;
} atomic64_t;

typedef struct {
	atomic_t refs;
} refcount_t;

typedef struct {
	unsigned int val;
} kuid_t;

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
	__u64 net_cookie;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	__u8 bytes[16]; /* has another name there: copied as a whole */
};

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct numa_drop_counters {
	atomic_t drops0, drops1;
};

struct sock_common {
	__be32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
	unsigned long skc_flags;
};

struct socket {
	struct sock *sk;
};

struct sock {
	struct sock_common __sk_common;
	atomic_t sk_drops;
	struct {
		atomic_t rmem_alloc;
	} sk_backlog;
	int sk_rcvbuf;
	int sk_err;
	struct socket *sk_socket;
	int sk_forward_alloc;
	int sk_wmem_queued;
	refcount_t sk_wmem_alloc;
	unsigned long sk_pacing_rate;
	kuid_t sk_uid;
	__u16 sk_protocol;
	__u16 sk_type;
	int sk_sndbuf;
	__u8 sk_kern_sock : 1;
	struct sock_cgroup_data sk_cgrp_data;
	struct numa_drop_counters *sk_drop_counters;
};

struct inet_sock {
	struct sock sk;
	__be16 inet_sport;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	__u32 icsk_rto;
	const void *icsk_ulp_ops;
	__u8 icsk_ca_state : 5;
	__u8 icsk_pending;
	__u8 icsk_backoff;
	__u8 icsk_probes_out;
	struct {
		__u16 rcv_mss;
	} icsk_ack;
};

struct minmax_sample {
	__u32 t, v;
};

struct minmax {
	struct minmax_sample s[3];
};

struct tcp_options_received {
	__u16 wscale_ok : 1, snd_wscale : 4, rcv_wscale : 4;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 reordering, snd_wnd, mss_cache, snd_cwnd, lost_out, sacked_out;
	__u32 copied_seq, rttvar_us, mdev_us, retrans_out;
	__u16 advmss;
	__u32 lost, snd_ssthresh;
	struct minmax rtt_min;
	__u32 segs_out, data_segs_out;
	__u64 bytes_sent;
	__u8 chrono_type : 2;
	__u32 chrono_start, chrono_stat[3];
	__u32 write_seq, rcv_nxt, snd_nxt, snd_una, srtt_us, packets_out;
	__u32 delivered, delivered_ce, rcv_wnd;
	struct tcp_options_received rx_opt;
	__u64 bytes_received;
	__u32 segs_in, data_segs_in, rate_delivered, rate_interval_us;
	__u64 bytes_acked;
	__u32 dsack_dups, reord_seen;
	__u64 bytes_retrans;
	__u32 total_retrans;
	_Bool is_mptcp;
};

struct cred {
	kuid_t uid;
};

struct signal_struct {
	atomic_t live;
};

struct task_struct {
	unsigned int flags;
	int pid, tgid;
	int exit_code;
	__u64 start_boottime;
	struct task_struct *group_leader, *real_parent;
	const struct cred *cred;
	char comm[16];
	struct signal_struct *signal;
	struct css_set *cgroups;
};

struct linux_binprm {
	const char *filename;
};

struct skb_shared_info {
	unsigned short gso_segs;
};

struct sk_buff {
	struct sock *sk;
	unsigned int len;
	int skb_iif;
	unsigned char *head;
	unsigned int end;
};

struct file;

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id, seq_num;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	void *map;
	struct sock *sk;
	void *value;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

#ifdef __bpf__
#pragma clang attribute pop
#endif

#endif
