/* What a stamped socket is made of.  Included by this room only. */
#ifndef SOCKET_PRIVATE_H
#define SOCKET_PRIVATE_H

#include <netinet/in.h>
#include <sys/uio.h>

#include "probe/probe.h"

/* Any UDP payload, and a little more: the packets of a batch shall not begin
 * in the same lines of a cache. */
#define PACKET_ROOM  (65536 + 320)
#define CONTROL_ROOM 256
#define KEYS_COUNT   65536

struct probe_socket {
	int fd;
	sa_family_t family;
	in_port_t port; /* that it is bound to, in network order */
	bool connected;
	bool unstamped;
	bool keyed;        /* SCM_TS_OPT_ID works */
	bool preset;       /* packets are stamped if they do not say no */
	uint32_t tx_flags; /* for SO_TIMESTAMPING, of a stamped packet */
	uint8_t tos;
	uint32_t counted; /* stamped packets so far: the kernel's count */
	uint32_t *keys;   /* by that count, unless 'keyed' */
	uint8_t *bytes;   /* PROBE_BATCH * PACKET_ROOM */

	struct mmsghdr in[PROBE_BATCH], out[PROBE_BATCH];
	struct iovec in_parts[PROBE_BATCH], out_parts[PROBE_BATCH];
	struct sockaddr_storage peers[PROBE_BATCH];
	_Alignas(16) uint8_t in_control[PROBE_BATCH][CONTROL_ROOM];
	_Alignas(16) uint8_t out_control[PROBE_BATCH][CONTROL_ROOM];
};

/* Control messages: 'size' bytes of CONTROL_ROOM. */
struct control {
	uint8_t *bytes;
	size_t size;
};

void control_add(struct control *control, int level, int type,
		 const void *value, size_t size);

static inline struct wall wall_of(const struct timespec *ts)
{
	return (struct wall){ts->tv_sec * NS_PER_S + ts->tv_nsec};
}

#endif
