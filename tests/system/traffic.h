/* What the files of the traffic generator share. */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* What this process moved through sockets; told at its end. */
struct tally {
	uint64_t tx, rx;
};

extern struct tally tally;

/* Ends this process, naming what failed, when 'good' is false. */
void need(bool good, const char *what);
/* Ends this process with 77, when the kernel lacks it. */
void lack(bool there, const char *what);
/* Prints {"pid": ..., "role": ..., "tx": ..., "rx": ...} in one write. */
void tell(const char *role);
/* A child that runs role(argument), tells and ends. */
pid_t spawn(const char *name, void (*role)(void *argument), void *argument);
/* Waits for all children; false: one failed. */
int gather(void);

struct endpoint {
	int family, type, protocol;
	struct sockaddr_storage address;
	socklen_t size;
	int listener; /* or the bound socket of datagrams */
};

/* Binds a socket that receives; port 0: any. */
void endpoint_open(struct endpoint *endpoint, int family, int type,
		   int protocol, uint16_t port);
int endpoint_connect(const struct endpoint *endpoint);
int endpoint_accept(const struct endpoint *endpoint);

/* Counts what a call returned. */
ssize_t sent(ssize_t size);
ssize_t received(ssize_t size);

/* By write() and read(). */
void send_all(int fd, size_t size);
void receive_all(int fd); /* to the end of the stream, or silence */

/* io_uring, one operation at a time, by system calls. */
struct uring;
struct uring *uring_open(void);
int uring_do(struct uring *ring, int operation, int fd, void *at,
	     unsigned int size);

/* traffic_load.c */
void load_overflow(void);
void load_connections(int count);

/* traffic_hard.c: false: no such scenario. */
bool hard_run(const char *name, int count, char **arguments);

#endif
