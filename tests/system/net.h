/* A network namespace for each test, and a sender whose frames are known
 * byte by byte.
 *
 * Threads: one test, one thread; net_enter() moves the calling thread.
 */
#ifndef TESTS_SYSTEM_NET_H
#define TESTS_SYSTEM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Moves this process into a new network namespace with loopback down and
 * IPv6 silent.  Returns false, with the reason on standard error, where that
 * is not permitted. */
bool net_enter(void);

/* net_enter() for a main(): says in TAP that all is skipped where it fails. */
bool net_begin(void);

/* Before each test: a namespace of its own with net_pair() in it. */
int net_setup(void **state);

/* Runs a command line; whether it went well. */
bool net_run(const char *command);

/* Runs 'ip ...' (printf's rules); fails the test if it fails. */
void net_ip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Sets both ends of a pair up and waits until they carry frames. */
void net_up(const char *one, const char *other);

/* "v0" and "v1", a pair, both up, addresses 02:00:00:00:00:01 and :02. */
void net_pair(void);

/* One frame to send: Ethernet, 'tags' VLAN tags, IPv4 and UDP. */
struct net_frame {
	uint32_t source; /* IPv4 addresses and ports, host byte order */
	uint32_t target;
	uint16_t source_port;
	uint16_t target_port;
	uint16_t tags[2];    /* VLAN numbers, outermost first; 0: none */
	uint16_t outer_type; /* of the outer tag; 0: 802.1Q */
	uint16_t fragment;   /* the IPv4 flags and offset field */
	uint16_t size;       /* of the whole frame; at least 64 */
	uint32_t number;     /* at the frame's end, big-endian */
};

/* 100 bytes from 192.0.2.1:1000 to 192.0.2.2:2000. */
extern const struct net_frame net_plain;

/* Writes the frame; returns its size.  'bytes' has room for 2048. */
size_t net_frame_write(const struct net_frame *frame, uint8_t *bytes);

/* The number at the end of a frame. */
uint32_t net_frame_number(const uint8_t *bytes, size_t size);

/* A raw socket that sends on 'interface'. */
int net_sender(const char *interface);

/* Sends 'count' frames like 'frame', numbered upwards from its number. */
void net_send(int sender, const struct net_frame *frame, uint32_t count);

/* Sends bytes as they stand. */
void net_send_bytes(int sender, const uint8_t *bytes, size_t size);

#endif
