/* Stamped UDP sockets.  A part of probe.h, which has the whole picture. */
#ifndef PROBE_SOCKET_H
#define PROBE_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/stamp.h"

struct fault;

/* A UDP socket that says when each packet passed the kernel (SO_TIMESTAMPING)
 * and needs no privilege for it. */

struct probe_socket;

struct probe_socket_options {
	const struct sockaddr *local;  /* its port may be 0 */
	const struct sockaddr *remote; /* NULL: serves anybody */
	const char *interface;         /* its packets alone; NULL: any */
	uint8_t ttl;                   /* 0: 255, RFC 8762 section 4.2 */
	uint8_t dscp;                  /* of what leaves, 0 to 63 */
	bool hardware;                 /* ask for the card's stamps too */
	bool unstamped;                /* T0: no stamps of the kernel */
};

/* Opens, binds and connects.  Returns 0 or -errno; *ret_fault names what was
 * refused.  The caller owns *ret_socket. */
int probe_socket_open(const struct probe_socket_options *options,
		      struct probe_socket **ret_socket,
		      struct fault *ret_fault);
void probe_socket_close(struct probe_socket *socket);
int probe_socket_fd(const struct probe_socket *socket);
/* Where it is bound. */
struct sockaddr_storage probe_socket_local(const struct probe_socket *socket);

/* Largest number of packets a call. */
#define PROBE_BATCH 32

/* One packet, received or to be sent. */
struct probe_packet {
	uint8_t *bytes; /* received: the socket's, until the next receive */
	size_t size;
	struct sockaddr_storage peer;  /* to send: family 0 if connected */
	struct sockaddr_storage local; /* the address it came to; to send: the
					  one it leaves from, family 0: any */
	uint32_t key;                  /* to send: names it among the stamps */
	bool stamp;                    /* to send: stamp it on its way out */
	int dscp;                      /* to send: -1: the socket's */
	/* Received: */
	uint8_t ttl, dscp_received, ecn;
	struct stamp received;    /* STAMP_KERNEL, or STAMP_NONE */
	struct stamp received_hw; /* STAMP_HARDWARE, or STAMP_NONE */
};

/* Up to 'count' (PROBE_BATCH at most) packets that wait; does not block.
 * *ret_at is the time right after the system call.  Returns how many, 0, or
 * -errno (-ECONNREFUSED: see probe_socket_events()). */
int probe_socket_receive(struct probe_socket *socket, int count,
			 struct probe_packet *ret_packets, struct wall *ret_at);

/* Sends packets[0] to packets[count - 1] in this order; returns how many, or
 * -errno if the first was refused. */
int probe_socket_send(struct probe_socket *socket,
		      const struct probe_packet *packets, int count);

/* What the kernel reports of packets that were sent. */
enum probe_event_kind {
	PROBE_EVENT_SCHED,   /* POINT_SCHED */
	PROBE_EVENT_SENT,    /* POINT_SENT */
	PROBE_EVENT_SENT_HW, /* POINT_SENT_HW */
	PROBE_EVENT_REFUSED, /* an ICMP error came back */
};

struct probe_event {
	enum probe_event_kind kind;
	uint32_t key;   /* of the packet; REFUSED: not set */
	struct wall at; /* the stamp */
	int error;      /* REFUSED: errno, e.g. ECONNREFUSED */
	uint8_t icmp_type, icmp_code;
	struct sockaddr_storage from; /* REFUSED: who says so */
};

/* Up to 'count' of them; does not block. */
int probe_socket_events(struct probe_socket *socket, int count,
			struct probe_event *ret_events);

/* Whether stamps name their packet by its key (SCM_TS_OPT_ID, Linux 6.13);
 * otherwise by counting what was sent, which is made good after a refusal. */
bool probe_socket_keyed_stamps(const struct probe_socket *socket);

/* Same family, address, port and, of IPv6, scope. */
bool probe_address_same(const struct sockaddr_storage *a,
			const struct sockaddr_storage *b);

/* ---- watches --------------------------------------------------------------
 *
 * What somebody who watches this thread from inside the kernel (BPF) knows. */

/* Of the thread's last system calls, valid right after them. */
struct probe_calls {
	int64_t call_ns;    /* entry of the last that sent */
	int64_t return_ns;  /* exit of the last that received something */
	int64_t waking_ns;  /* before that: was woken */
	int64_t running_ns; /* before that: got a CPU */
};

struct probe_watch {
	const volatile struct probe_calls *calls;
	int64_t offset_ns; /* added to these times it is wall time */
	uint32_t points;   /* what this host's packets can have, by bit */
	/* Called now and then, when no packet is awaited: add the stamps that
	 * wait, by sender_stamp_add() or reflector_stamp_add(). */
	void (*gather)(void *context);
	void *context;
};

#endif
