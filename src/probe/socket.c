/* Opening a socket whose packets are stamped: Linux
 * Documentation/networking/timestamping.rst.
 *
 * SO_TIMESTAMPNS is left alone on purpose: until its static key is on, the
 * kernel fills in a stamp made while the packet is read, which nobody can
 * tell from a true one. */
#include <errno.h>
#include <netinet/ip.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

#include "base/err.h"
#include "probe/socket_private.h"

#ifndef SCM_TS_OPT_ID
#define SCM_TS_OPT_ID 81
#endif

#define RECEIVE_BUFFER_SIZE (4 << 20)

static bool option_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/* What is told of each packet that comes in. */
static bool reports_set(int fd, sa_family_t family)
{
	if (family == AF_INET)
		return option_set(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
		       option_set(fd, IPPROTO_IP, IP_RECVTTL, 1) &&
		       option_set(fd, IPPROTO_IP, IP_RECVTOS, 1);
	return option_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
	       option_set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) &&
	       option_set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
}

/* Who refused a packet.  Not for a socket that serves anybody: an error that
 * one peer causes would keep a packet from another. */
static bool refusals_set(int fd, sa_family_t family)
{
	return family == AF_INET
		       ? option_set(fd, IPPROTO_IP, IP_RECVERR, 1)
		       : option_set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
}

static bool ways_set(int fd, sa_family_t family, uint8_t ttl, uint8_t tos)
{
	if (family == AF_INET)
		return option_set(fd, IPPROTO_IP, IP_TTL, ttl) &&
		       option_set(fd, IPPROTO_IP, IP_TOS, tos);
	return option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
	       option_set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, ttl) &&
	       option_set(fd, IPPROTO_IPV6, IPV6_TCLASS, tos);
}

/* Without the report flag SOFTWARE the kernel makes the stamps and tells
 * nobody.  A sender stamps nearly all on their way out and says of the others
 * that it does not; a socket that serves anybody says it of those it does. */
static bool stamps_set(struct probe_socket *socket, bool hardware, bool preset)
{
	int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
		    SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY |
		    SOF_TIMESTAMPING_OPT_TX_SWHW;

	socket->tx_flags =
		SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_SOFTWARE;
	if (hardware) {
		flags |= SOF_TIMESTAMPING_RX_HARDWARE |
			 SOF_TIMESTAMPING_RAW_HARDWARE;
		socket->tx_flags |= SOF_TIMESTAMPING_TX_HARDWARE;
	}
	socket->preset = preset;
	if (preset)
		flags |= (int)socket->tx_flags;
	return option_set(socket->fd, SOL_SOCKET, SO_TIMESTAMPING, flags);
}

/* Linux 6.13 and later take a packet's key with it.  A kernel that does not
 * refuses the control message before it looks at where the packet goes; this
 * one goes nowhere: a broadcast that the socket did not ask for. */
static bool keyed_stamps_known(void)
{
	struct sockaddr_in nowhere = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = INADDR_BROADCAST,
	};
	_Alignas(16) uint8_t bytes[CONTROL_ROOM] = {0};
	struct control control = {bytes, 0};
	struct msghdr message = {
		.msg_name = &nowhere,
		.msg_namelen = sizeof nowhere,
		.msg_control = bytes,
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t key = 0;
	bool known;

	if (fd < 0)
		return false;
	control_add(&control, SOL_SOCKET, SCM_TS_OPT_ID, &key, sizeof key);
	message.msg_controllen = control.size;
	known = option_set(fd, SOL_SOCKET, SO_TIMESTAMPING,
			   SOF_TIMESTAMPING_OPT_ID) &&
		sendmsg(fd, &message, MSG_DONTWAIT) < 0 && errno != EINVAL;
	close(fd);
	return known;
}

void control_add(struct control *control, int level, int type,
		 const void *value, size_t size)
{
	struct cmsghdr *head =
		(struct cmsghdr *)(void *)(control->bytes + control->size);

	head->cmsg_level = level;
	head->cmsg_type = type;
	head->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(head), value, size);
	control->size += CMSG_SPACE(size);
}

static socklen_t address_size(const struct sockaddr *address)
{
	return address->sa_family == AF_INET ? sizeof(struct sockaddr_in)
					     : sizeof(struct sockaddr_in6);
}

/* Receives go into the socket's own buffers, the same each time. */
static void batches_init(struct probe_socket *socket)
{
	for (size_t i = 0; i < PROBE_BATCH; i++) {
		socket->in_parts[i] = (struct iovec){
			socket->bytes + i * PACKET_ROOM, PACKET_ROOM};
		socket->in[i].msg_hdr = (struct msghdr){
			.msg_name = &socket->peers[i],
			.msg_iov = &socket->in_parts[i],
			.msg_iovlen = 1,
			.msg_control = socket->in_control[i],
		};
		socket->out[i].msg_hdr = (struct msghdr){
			.msg_iov = &socket->out_parts[i],
			.msg_iovlen = 1,
			.msg_control = socket->out_control[i],
		};
	}
}

static struct probe_socket *socket_make(const struct sockaddr *local)
{
	struct probe_socket *made = calloc(1, sizeof *made);

	if (!made)
		return NULL;
	made->family = local->sa_family;
	made->bytes = calloc(PROBE_BATCH, PACKET_ROOM);
	made->keys = calloc(KEYS_COUNT, sizeof *made->keys);
	made->fd = socket(local->sa_family,
			  SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	batches_init(made);
	return made;
}

static in_port_t port_of(const struct probe_socket *socket)
{
	struct sockaddr_storage local = probe_socket_local(socket);

	if (local.ss_family == AF_INET)
		return ((struct sockaddr_in *)&local)->sin_port;
	return local.ss_family == AF_INET6
		       ? ((struct sockaddr_in6 *)&local)->sin6_port
		       : 0;
}

static int socket_set(struct probe_socket *made,
		      const struct probe_socket_options *options,
		      const char **ret_what)
{
	uint8_t ttl = options->ttl ? options->ttl : 255;

	made->tos = (uint8_t)(options->dscp << 2);
	made->unstamped = options->unstamped;
	made->keyed = !options->unstamped && keyed_stamps_known();
	*ret_what = "what is told of packets";
	if (!reports_set(made->fd, made->family) ||
	    (options->remote && !refusals_set(made->fd, made->family)))
		return -errno;
	*ret_what = "TTL and DSCP";
	if (!ways_set(made->fd, made->family, ttl, made->tos))
		return -errno;
	*ret_what = "time stamps";
	if (!options->unstamped &&
	    !stamps_set(made, options->hardware, options->remote != NULL))
		return -errno;
	/* What is not granted makes losses, which are counted. */
	if (!option_set(made->fd, SOL_SOCKET, SO_RCVBUFFORCE,
			RECEIVE_BUFFER_SIZE))
		(void)option_set(made->fd, SOL_SOCKET, SO_RCVBUF,
				 RECEIVE_BUFFER_SIZE);
	*ret_what = "the interface";
	if (options->interface &&
	    setsockopt(made->fd, SOL_SOCKET, SO_BINDTODEVICE,
		       options->interface,
		       (socklen_t)strlen(options->interface)) < 0)
		return -errno;
	*ret_what = "the local address";
	if (bind(made->fd, options->local, address_size(options->local)) < 0)
		return -errno;
	made->port = port_of(made);
	*ret_what = "the remote address";
	made->connected = options->remote != NULL;
	if (options->remote && connect(made->fd, options->remote,
				       address_size(options->remote)) < 0)
		return -errno;
	return 0;
}

int probe_socket_open(const struct probe_socket_options *options,
		      struct probe_socket **ret_socket, struct fault *ret_fault)
{
	struct probe_socket *made = socket_make(options->local);
	const char *what = "a UDP socket";
	int rc;

	if (!made)
		return fault_set(ret_fault, -ENOMEM, "a UDP socket: %s",
				 err_sentence(-ENOMEM));
	rc = made->fd < 0 ? -errno : 0;
	if (rc == 0 && (!made->bytes || !made->keys))
		rc = -ENOMEM;
	if (rc == 0)
		rc = socket_set(made, options, &what);
	if (rc < 0) {
		probe_socket_close(made);
		return fault_set(ret_fault, rc, "UDP socket, %s: %s", what,
				 err_sentence(rc));
	}
	*ret_socket = made;
	return 0;
}

void probe_socket_close(struct probe_socket *socket)
{
	if (!socket)
		return;
	if (socket->fd >= 0)
		close(socket->fd);
	free(socket->bytes);
	free(socket->keys);
	free(socket);
}

int probe_socket_fd(const struct probe_socket *socket)
{
	return socket->fd;
}

bool probe_socket_keyed_stamps(const struct probe_socket *socket)
{
	return socket->keyed;
}

struct sockaddr_storage probe_socket_local(const struct probe_socket *socket)
{
	struct sockaddr_storage local = {.ss_family = AF_UNSPEC};
	socklen_t size = sizeof local;

	if (getsockname(socket->fd, (struct sockaddr *)&local, &size) < 0)
		local.ss_family = AF_UNSPEC;
	return local;
}

bool probe_address_same(const struct sockaddr_storage *a,
			const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_port == b4->sin_port &&
		       a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a6->sin6_port == b6->sin6_port &&
	       a6->sin6_scope_id == b6->sin6_scope_id &&
	       memcmp(&a6->sin6_addr, &b6->sin6_addr, 16) == 0;
}
