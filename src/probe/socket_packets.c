/* Packets in and out of a stamped socket, and what the kernel says of them. */
#include <errno.h>
#include <netinet/ip.h>
#include <string.h>

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

#include "base/clock.h"
#include "probe/socket_private.h"

#ifndef SCM_TS_OPT_ID
#define SCM_TS_OPT_ID 81
#endif

static void local_set4(struct probe_packet *packet, const void *data)
{
	struct sockaddr_in local = {.sin_family = AF_INET};
	struct in_pktinfo info;

	memcpy(&info, data, sizeof info);
	local.sin_addr = info.ipi_addr;
	memcpy(&packet->local, &local, sizeof local);
}

static void local_set6(struct probe_packet *packet, const void *data)
{
	struct sockaddr_in6 local = {.sin6_family = AF_INET6};
	struct in6_pktinfo info;

	memcpy(&info, data, sizeof info);
	local.sin6_addr = info.ipi6_addr;
	local.sin6_scope_id = info.ipi6_ifindex;
	memcpy(&packet->local, &local, sizeof local);
}

static void tos_set(struct probe_packet *packet, int tos)
{
	packet->dscp_received = (uint8_t)(tos >> 2 & 0x3f);
	packet->ecn = (uint8_t)(tos & 3);
}

/* ts[0] is the software's, ts[2] the card's raw one; zeros are no stamp. */
static void stamps_read(struct probe_packet *packet, const void *data)
{
	struct scm_timestamping stamps;

	memcpy(&stamps, data, sizeof stamps);
	if (stamps.ts[0].tv_sec != 0)
		packet->received =
			(struct stamp){wall_of(&stamps.ts[0]), STAMP_KERNEL};
	if (stamps.ts[2].tv_sec != 0 || stamps.ts[2].tv_nsec != 0)
		packet->received_hw =
			(struct stamp){wall_of(&stamps.ts[2]), STAMP_HARDWARE};
}

static int int_of(const struct cmsghdr *head)
{
	int value = 0;
	size_t size = head->cmsg_len - CMSG_LEN(0);

	memcpy(&value, CMSG_DATA(head),
	       size < sizeof value ? size : sizeof value);
	return value; /* IP_TOS is one byte, the others are an int */
}

static void control4_read(struct probe_packet *packet,
			  const struct cmsghdr *head)
{
	if (head->cmsg_type == IP_PKTINFO)
		local_set4(packet, CMSG_DATA(head));
	else if (head->cmsg_type == IP_TTL)
		packet->ttl = (uint8_t)int_of(head);
	else if (head->cmsg_type == IP_TOS)
		tos_set(packet, int_of(head));
}

static void control6_read(struct probe_packet *packet,
			  const struct cmsghdr *head)
{
	if (head->cmsg_type == IPV6_PKTINFO)
		local_set6(packet, CMSG_DATA(head));
	else if (head->cmsg_type == IPV6_HOPLIMIT)
		packet->ttl = (uint8_t)int_of(head);
	else if (head->cmsg_type == IPV6_TCLASS)
		tos_set(packet, int_of(head));
}

static void controls_read(struct msghdr *message, struct probe_packet *packet)
{
	for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head;
	     head = CMSG_NXTHDR(message, head)) {
		if (head->cmsg_level == SOL_SOCKET &&
		    head->cmsg_type == SO_TIMESTAMPING)
			stamps_read(packet, CMSG_DATA(head));
		else if (head->cmsg_level == IPPROTO_IP)
			control4_read(packet, head);
		else if (head->cmsg_level == IPPROTO_IPV6)
			control6_read(packet, head);
	}
}

/* The kernel tells the address alone. */
static void local_port_set(const struct probe_socket *socket,
			   struct probe_packet *packet)
{
	struct sockaddr_in *v4 = (void *)&packet->local;
	struct sockaddr_in6 *v6 = (void *)&packet->local;

	if (packet->local.ss_family == AF_INET)
		v4->sin_port = socket->port;
	else if (packet->local.ss_family == AF_INET6)
		v6->sin6_port = socket->port;
}

static void packet_set(struct probe_socket *socket, int i,
		       struct probe_packet *packet)
{
	memset(packet, 0, sizeof *packet);
	packet->bytes = socket->in_parts[i].iov_base;
	packet->size = socket->in[i].msg_len;
	packet->dscp = -1;
	memcpy(&packet->peer, &socket->peers[i],
	       socket->in[i].msg_hdr.msg_namelen);
	controls_read(&socket->in[i].msg_hdr, packet);
	local_port_set(socket, packet);
}

int probe_socket_receive(struct probe_socket *socket, int count,
			 struct probe_packet *ret_packets, struct wall *ret_at)
{
	int received;

	if (count > PROBE_BATCH)
		count = PROBE_BATCH;
	for (int i = 0; i < count; i++) {
		socket->in[i].msg_hdr.msg_namelen = sizeof socket->peers[i];
		socket->in[i].msg_hdr.msg_controllen = CONTROL_ROOM;
		socket->in[i].msg_hdr.msg_flags = 0;
	}
	received = recvmmsg(socket->fd, socket->in, (unsigned)count,
			    MSG_DONTWAIT, NULL);
	*ret_at = wall_now();
	if (received < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (int i = 0; i < received; i++)
		packet_set(socket, i, &ret_packets[i]);
	return received;
}

static void local_add(struct control *control,
		      const struct sockaddr_storage *local)
{
	if (local->ss_family == AF_INET) {
		struct in_pktinfo info = {
			.ipi_spec_dst =
				((const struct sockaddr_in *)local)->sin_addr};

		control_add(control, IPPROTO_IP, IP_PKTINFO, &info,
			    sizeof info);
	} else if (local->ss_family == AF_INET6) {
		const struct sockaddr_in6 *from =
			(const struct sockaddr_in6 *)local;
		struct in6_pktinfo info = {.ipi6_addr = from->sin6_addr};

		if (IN6_IS_ADDR_LINKLOCAL(&from->sin6_addr))
			info.ipi6_ifindex = from->sin6_scope_id;
		control_add(control, IPPROTO_IPV6, IPV6_PKTINFO, &info,
			    sizeof info);
	}
}

static void class_add(const struct probe_socket *socket,
		      struct control *control, int dscp)
{
	int tos;

	if (dscp < 0 || dscp << 2 == socket->tos)
		return;
	tos = dscp << 2;
	if (socket->family == AF_INET)
		control_add(control, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
	else
		control_add(control, IPPROTO_IPV6, IPV6_TCLASS, &tos,
			    sizeof tos);
}

static bool is_stamped(const struct probe_socket *socket,
		       const struct probe_packet *packet)
{
	return packet->stamp && !socket->unstamped;
}

/* Each control message costs some 100 ns on the way out. */
static void stamps_add(const struct probe_socket *socket,
		       struct control *control,
		       const struct probe_packet *packet)
{
	bool stamp = is_stamped(socket, packet);
	uint32_t flags = stamp ? socket->tx_flags : 0;

	if (socket->unstamped)
		return;
	if (stamp != socket->preset)
		control_add(control, SOL_SOCKET, SO_TIMESTAMPING, &flags,
			    sizeof flags);
	if (stamp && socket->keyed)
		control_add(control, SOL_SOCKET, SCM_TS_OPT_ID, &packet->key,
			    sizeof packet->key);
}

static void out_set(struct probe_socket *socket, int i,
		    const struct probe_packet *packet)
{
	struct msghdr *message = &socket->out[i].msg_hdr;
	struct control control = {socket->out_control[i], 0};

	socket->out_parts[i] = (struct iovec){packet->bytes, packet->size};
	message->msg_name = NULL;
	message->msg_namelen = 0;
	if (packet->peer.ss_family != AF_UNSPEC) {
		message->msg_name = (void *)&packet->peer;
		message->msg_namelen = packet->peer.ss_family == AF_INET
					       ? sizeof(struct sockaddr_in)
					       : sizeof(struct sockaddr_in6);
	}
	local_add(&control, &packet->local);
	class_add(socket, &control, packet->dscp);
	stamps_add(socket, &control, packet);
	message->msg_control = control.size > 0 ? control.bytes : NULL;
	message->msg_controllen = control.size;
}

/* The kernel counts a stamped packet once it got so far as to be built, also
 * if it is refused later on; after a refusal the count is unknown, and
 * setting the option anew begins it at 0. */
static void count_anew(struct probe_socket *socket)
{
	int flags = 0;
	socklen_t size = sizeof flags;

	if (socket->keyed || socket->unstamped ||
	    getsockopt(socket->fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, &size))
		return;
	int without = flags & ~SOF_TIMESTAMPING_OPT_ID;

	(void)setsockopt(socket->fd, SOL_SOCKET, SO_TIMESTAMPING, &without,
			 sizeof without);
	(void)setsockopt(socket->fd, SOL_SOCKET, SO_TIMESTAMPING, &flags,
			 sizeof flags);
	socket->counted = 0;
}

int probe_socket_send(struct probe_socket *socket,
		      const struct probe_packet *packets, int count)
{
	int sent;

	if (count > PROBE_BATCH)
		count = PROBE_BATCH;
	for (int i = 0; i < count; i++)
		out_set(socket, i, &packets[i]);
	sent = sendmmsg(socket->fd, socket->out, (unsigned)count, MSG_DONTWAIT);
	if (sent < 0)
		sent = -errno;
	for (int i = 0; i < sent; i++) {
		if (is_stamped(socket, &packets[i]))
			socket->keys[socket->counted++ % KEYS_COUNT] =
				packets[i].key;
	}
	if (sent < count)
		count_anew(socket);
	return sent;
}

static bool refusal_read(const struct sock_extended_err *error,
			 struct probe_event *event)
{
	const struct sockaddr *offender = SO_EE_OFFENDER(error);

	if (error->ee_origin != SO_EE_ORIGIN_ICMP &&
	    error->ee_origin != SO_EE_ORIGIN_ICMP6)
		return false;
	event->kind = PROBE_EVENT_REFUSED;
	event->error = (int)error->ee_errno;
	event->icmp_type = error->ee_type;
	event->icmp_code = error->ee_code;
	if (offender->sa_family == AF_INET)
		memcpy(&event->from, offender, sizeof(struct sockaddr_in));
	else if (offender->sa_family == AF_INET6)
		memcpy(&event->from, offender, sizeof(struct sockaddr_in6));
	return true;
}

static bool report_read(const struct probe_socket *socket,
			const struct cmsghdr *head, struct probe_event *event)
{
	const struct sock_extended_err *error = (const void *)CMSG_DATA(head);

	if (error->ee_origin != SO_EE_ORIGIN_TIMESTAMPING)
		return refusal_read(error, event);
	event->kind = error->ee_info == SCM_TSTAMP_SCHED ? PROBE_EVENT_SCHED
							 : PROBE_EVENT_SENT;
	event->key = socket->keyed ? error->ee_data
				   : socket->keys[error->ee_data % KEYS_COUNT];
	return error->ee_info == SCM_TSTAMP_SCHED ||
	       error->ee_info == SCM_TSTAMP_SND;
}

static bool is_report(const struct cmsghdr *head)
{
	return (head->cmsg_level == IPPROTO_IP &&
		head->cmsg_type == IP_RECVERR) ||
	       (head->cmsg_level == IPPROTO_IPV6 &&
		head->cmsg_type == IPV6_RECVERR);
}

/* One message of the error queue; false: it says nothing of use. */
static bool event_read(const struct probe_socket *socket,
		       struct msghdr *message, struct probe_event *event)
{
	struct scm_timestamping stamps = {0};
	bool told = false;

	memset(event, 0, sizeof *event);
	for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head;
	     head = CMSG_NXTHDR(message, head)) {
		if (head->cmsg_level == SOL_SOCKET &&
		    head->cmsg_type == SO_TIMESTAMPING)
			memcpy(&stamps, CMSG_DATA(head), sizeof stamps);
		else if (is_report(head))
			told = report_read(socket, head, event);
	}
	if (!told || event->kind == PROBE_EVENT_REFUSED)
		return told;
	event->at = wall_of(&stamps.ts[0]);
	if (stamps.ts[0].tv_sec == 0) { /* the card's comes by itself */
		if (event->kind != PROBE_EVENT_SENT)
			return false;
		event->kind = PROBE_EVENT_SENT_HW;
		event->at = wall_of(&stamps.ts[2]);
	}
	return event->at.ns != 0;
}

int probe_socket_events(struct probe_socket *socket, int count,
			struct probe_event *ret_events)
{
	int filled = 0;

	while (filled < count) {
		_Alignas(16) uint8_t control[CONTROL_ROOM];
		uint8_t payload[64];
		struct iovec part = {payload, sizeof payload};
		struct msghdr message = {
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof control,
		};

		if (recvmsg(socket->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) <
		    0)
			break;
		filled += event_read(socket, &message, &ret_events[filled]);
	}
	return filled;
}
