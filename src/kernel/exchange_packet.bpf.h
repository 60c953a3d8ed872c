/* A packet's headers and the begin of its payload as a record.  Included by
 * the programs of exchange.bpf.c alone. */
#ifndef KERNEL_EXCHANGE_PACKET_BPF_H
#define KERNEL_EXCHANGE_PACKET_BPF_H

#include "kernel/exchange_kernel.bpf.h"

/* Of a packet's headers: both addresses and ports, in one piece for IPv6 and
 * for IPv4 without options. */
struct headers {
	unsigned char bytes[IP6_SIZE + UDP_SIZE];
};

always __u32 u16_at(const unsigned char *bytes)
{
	return bytes[0] << 8 | bytes[1];
}

/* What is found: where the UDP header is, and the ports in our order. */
struct place {
	const unsigned char *udp;
	int out;
	__u16 local_port, remote_port, size;
	__u8 ip_version;
};

always int udp_find(const struct headers *headers, const unsigned char *ip,
		    struct place *place)
{
	const unsigned char *bytes = headers->bytes;
	__u32 size = (bytes[0] & 15) * 4;
	unsigned char udp[UDP_SIZE];

	place->ip_version = bytes[0] >> 4;
	if (place->ip_version == 6) {
		if (bytes[6] != UDP)
			return 0;
		place->udp = ip + IP6_SIZE;
		__builtin_memcpy(udp, bytes + IP6_SIZE, UDP_SIZE);
	} else if (place->ip_version == 4) {
		if (bytes[9] != UDP || (u16_at(bytes + 6) & FRAGMENT))
			return 0;
		place->udp = ip + size;
		if (size == IP4_SIZE)
			__builtin_memcpy(udp, bytes + IP4_SIZE, UDP_SIZE);
		else if (bpf_probe_read_kernel(udp, UDP_SIZE, place->udp))
			return 0;
	} else {
		return 0;
	}
	place->local_port = u16_at(udp + (place->out ? 0 : 2));
	place->remote_port = u16_at(udp + (place->out ? 2 : 0));
	size = u16_at(udp + 4);
	place->size = size > UDP_SIZE ? size - UDP_SIZE : 0;
	return 1;
}

always void addresses_set(const struct headers *headers,
			  const struct place *place,
			  struct exchange_record *record)
{
	const unsigned char *bytes = headers->bytes;

	if (place->ip_version == 6) {
		__builtin_memcpy(record->local, bytes + (place->out ? 8 : 24),
				 16);
		__builtin_memcpy(record->remote, bytes + (place->out ? 24 : 8),
				 16);
	} else {
		__builtin_memcpy(record->local, bytes + (place->out ? 12 : 16),
				 4);
		__builtin_memcpy(record->remote, bytes + (place->out ? 16 : 12),
				 4);
	}
}

/* As much of the payload's begin as lies in one piece. */
always void head_set(struct sk_buff *skb, const struct place *place,
		     struct exchange_record *record)
{
	const unsigned char *payload = place->udp + UDP_SIZE;
	const unsigned char *end = skb->data + (skb->len - skb->data_len);
	__s64 there = end - payload;
	__s64 size = place->size;

	if (there < size)
		size = there;
	if (size > EXCHANGE_HEAD)
		size = EXCHANGE_HEAD;
	KEEP(size); /* the verifier is to see these very comparisons */
	if (size <= 0 || size > EXCHANGE_HEAD)
		return;
	record->head_size = size;
	(void)bpf_probe_read_kernel(record->head, size, payload);
}

always int net_matches(const struct exchange_shared *s,
		       const struct net_device *dev)
{
	return !bpf_core_field_exists(dev->nd_net.net) ||
	       dev->nd_net.net->ns.inum == s->filter.net;
}

always int packet_find(const unsigned char *ip, int out,
		       struct headers *headers, struct place *place)
{
	place->out = out;
	return !bpf_probe_read_kernel(headers, sizeof *headers, ip) &&
	       udp_find(headers, ip, place);
}

always void record_fill(struct sk_buff *skb, const struct headers *headers,
			const struct place *place,
			struct exchange_record *record)
{
	record->size = place->size;
	record->local_port = place->local_port;
	record->remote_port = place->remote_port;
	record->ip_version = place->ip_version;
	addresses_set(headers, place, record);
	head_set(skb, place, record);
}

always __u8 role_of(struct sock *sk)
{
	__u8 locks;

	KEEP(sk); /* no address is made of it before it is known not to be 0 */
	locks = BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks);
	return ROLE_KNOWN | (locks & BINDPORT_LOCK ? ROLE_BOUND : 0) |
	       (sk->__sk_common.skc_dport ? ROLE_CONNECTED : 0);
}

always void record_put(struct exchange_shared *s,
		       const struct exchange_record *record)
{
	if (bpf_ringbuf_output(&records, (void *)record, sizeof *record,
			       BPF_RB_NO_WAKEUP))
		__sync_fetch_and_add(&lost_get(s)->records, 1);
}

#endif
