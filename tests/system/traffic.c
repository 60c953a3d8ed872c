/* Moves bytes over sockets by every way that programs have, and tells how many.
 *
 * traffic NAME: two processes, one sends and one receives; each prints a line
 * of JSON with its number and what its calls returned.  'traffic list' names
 * them.  What has more parts is in traffic_hard.c.
 */
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define STREAM   (3 << 20) /* bytes; not a multiple of a chunk */
#define CHUNK    50000
#define PACKETS  200
#define SIZE     1111
#define PROTOCOL 253 /* for experiments: RFC 3692 */

struct tally tally;
static char bytes[1 << 17];

void need(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	_exit(1);
}

void lack(bool there, const char *what)
{
	if (there)
		return;
	perror(what);
	_exit(77);
}

void tell(const char *role)
{
	char line[160];
	int size = snprintf(line, sizeof line,
			    "{\"pid\":%d,\"role\":\"%s\",\"tx\":%llu,"
			    "\"rx\":%llu}\n",
			    getpid(), role, (unsigned long long)tally.tx,
			    (unsigned long long)tally.rx);

	need(write(1, line, (size_t)size) == size, "stdout");
}

pid_t spawn(const char *name, void (*role)(void *argument), void *argument)
{
	pid_t pid = fork();

	need(pid >= 0, "fork");
	if (pid > 0)
		return pid;
	tally = (struct tally){0};
	role(argument);
	tell(name);
	_exit(0);
}

int gather(void)
{
	int status, worst = 0;

	while (wait(&status) > 0) {
		int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;

		if (code > worst)
			worst = code;
	}
	return worst;
}

ssize_t sent(ssize_t size)
{
	if (size > 0)
		tally.tx += (uint64_t)size;
	return size;
}

ssize_t received(ssize_t size)
{
	if (size > 0)
		tally.rx += (uint64_t)size;
	return size;
}

/* ---- endpoints
 * ---------------------------------------------------------------- */

static void address_set(struct endpoint *e, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET,
				 .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
				  .sin6_port = htons(port),
				  .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (e->family == AF_INET) {
		memcpy(&e->address, &v4, e->size = sizeof v4);
	} else if (e->family == AF_INET6) {
		memcpy(&e->address, &v6, e->size = sizeof v6);
	} else {
		/* Abstract: a name that begins with 0. */
		(void)snprintf(un.sun_path + 1, sizeof un.sun_path - 1,
			       "traffic-%d", getpid());
		memcpy(&e->address, &un, sizeof un);
		e->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				      1 + strlen(un.sun_path + 1));
	}
}

void endpoint_open(struct endpoint *e, int family, int type, int protocol,
		   uint16_t port)
{
	int one = 1, room = 8 << 20;
	struct timeval silence = {0, 400000};

	*e = (struct endpoint){family, type, protocol, {0}, 0, -1};
	e->listener = socket(family, type, protocol);
	lack(e->listener >= 0, "socket");
	address_set(e, port);
	(void)setsockopt(e->listener, SOL_SOCKET, SO_REUSEADDR, &one,
			 sizeof one);
	need(bind(e->listener, (struct sockaddr *)&e->address, e->size) == 0,
	     "bind");
	if (family != AF_UNIX) {
		e->size = sizeof e->address;
		need(getsockname(e->listener, (struct sockaddr *)&e->address,
				 &e->size) == 0,
		     "getsockname");
	}
	if (type == SOCK_STREAM || type == SOCK_SEQPACKET) {
		need(listen(e->listener, 64) == 0, "listen");
		return;
	}
	(void)setsockopt(e->listener, SOL_SOCKET, SO_RCVBUFFORCE, &room,
			 sizeof room);
	(void)setsockopt(e->listener, SOL_SOCKET, SO_RCVTIMEO, &silence,
			 sizeof silence);
}

int endpoint_connect(const struct endpoint *e)
{
	int fd = socket(e->family, e->type, e->protocol);

	need(fd >= 0, "socket");
	need(connect(fd, (const struct sockaddr *)&e->address, e->size) == 0,
	     "connect");
	return fd;
}

int endpoint_accept(const struct endpoint *e)
{
	int fd = accept(e->listener, NULL, NULL);

	need(fd >= 0, "accept");
	return fd;
}

/* ---- ways to send
 * ------------------------------------------------------------- */

static void by_write(int fd, size_t size, int count)
{
	for (int i = 0; i < count; i++)
		need(sent(write(fd, bytes, size)) > 0, "write");
}

static void by_sendmsg(int fd, size_t size, int count)
{
	struct iovec parts[2] = {{bytes, size / 2}, {bytes, size - size / 2}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	for (int i = 0; i < count; i++)
		need(sent(sendmsg(fd, &message, 0)) > 0, "sendmsg");
}

static void by_sendmmsg(int fd, size_t size, int count)
{
	struct iovec part = {bytes, size};
	struct mmsghdr messages[5] = {{{0}, 0}};

	for (int i = 0; i < 5; i++)
		messages[i].msg_hdr =
			(struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
	for (int i = 0; i < count; i += 5) {
		int done = sendmmsg(fd, messages, 5, 0);

		need(done > 0, "sendmmsg");
		for (int k = 0; k < done; k++)
			sent((ssize_t)messages[k].msg_len);
	}
}

static int file_make(size_t size)
{
	int file = memfd_create("traffic", MFD_CLOEXEC);

	need(file >= 0 && ftruncate(file, (off_t)size) == 0, "memfd");
	return file;
}

static void by_sendfile(int fd, size_t size, int count)
{
	size_t all = size * (size_t)count;
	int file = file_make(all);
	off_t at = 0;

	while ((size_t)at < all)
		need(sent(sendfile(fd, file, &at, all - (size_t)at)) > 0,
		     "sendfile");
}

static void pipe_into(int fd, int in, ssize_t waits)
{
	while (waits > 0) {
		ssize_t out = splice(in, NULL, fd, NULL, (size_t)waits, 0);

		need(sent(out) > 0, "splice");
		waits -= out;
	}
}

static void by_splice(int fd, size_t size, int count)
{
	int file = file_make(size * (size_t)count), ends[2];
	off_t at = 0;

	need(pipe(ends) == 0, "pipe");
	for (;;) {
		ssize_t in = splice(file, &at, ends[1], NULL, size, 0);

		need(in >= 0, "splice");
		if (in == 0)
			return;
		pipe_into(fd, ends[0], in);
	}
}

static void by_vmsplice(int fd, size_t size, int count)
{
	int ends[2];

	need(pipe(ends) == 0, "pipe");
	for (int i = 0; i < count; i++) {
		struct iovec part = {bytes, size};
		ssize_t in = vmsplice(ends[1], &part, 1, 0);

		need(in > 0, "vmsplice");
		pipe_into(fd, ends[0], in);
	}
}

/* The notices of the error queue are no traffic. */
static void notices_read(int fd)
{
	char control[256];
	struct msghdr message = {.msg_control = control,
				 .msg_controllen = sizeof control};

	while (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
		message.msg_controllen = sizeof control;
}

static void by_zerocopy(int fd, size_t size, int count)
{
	int one = 1;

	need(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one) == 0,
	     "SO_ZEROCOPY");
	for (int i = 0; i < count;) {
		if (sent(send(fd, bytes, size, MSG_ZEROCOPY)) > 0)
			i++;
		else
			need(errno == ENOBUFS, "MSG_ZEROCOPY");
		notices_read(fd);
	}
}

static void by_uring(int fd, size_t size, int count)
{
	struct uring *uring = uring_open();

	lack(uring, "io_uring");
	for (int i = 0; i < count; i++)
		need(sent(uring_do(uring, 26 /* SEND */, fd, bytes,
				   (unsigned int)size)) > 0,
		     "IORING_OP_SEND");
}

static void by_uring_zerocopy(int fd, size_t size, int count)
{
	struct uring *uring = uring_open();

	lack(uring, "io_uring");
	for (int i = 0; i < count; i++)
		lack(sent(uring_do(uring, 47 /* SEND_ZC */, fd, bytes,
				   (unsigned int)size)) > 0,
		     "IORING_OP_SEND_ZC");
}

/* ---- ways to receive
 * ------------------------------------------------------------ */

static void to_read(int fd)
{
	while (received(read(fd, bytes, sizeof bytes)) > 0)
		;
}

static void to_recvmsg(int fd)
{
	struct iovec part = {bytes, sizeof bytes};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	while (received(recvmsg(fd, &message, 0)) > 0)
		;
}

static void to_recvmmsg(int fd)
{
	struct iovec part = {bytes, 20000};
	struct mmsghdr messages[4] = {{{0}, 0}};

	for (int i = 0; i < 4; i++)
		messages[i].msg_hdr =
			(struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
	for (;;) {
		int done = recvmmsg(fd, messages, 4, MSG_WAITFORONE, NULL);

		if (done <= 0 || messages[0].msg_len == 0)
			return;
		for (int k = 0; k < done; k++)
			received((ssize_t)messages[k].msg_len);
	}
}

static void to_trunc(int fd)
{
	while (received(recv(fd, bytes, sizeof bytes, MSG_TRUNC)) > 0)
		;
}

/* Datagrams cut short: the call returns what it gives. */
static void to_short(int fd)
{
	while (received(recv(fd, bytes, 100, 0)) > 0)
		;
}

static void to_uring(int fd)
{
	struct uring *uring = uring_open();

	lack(uring, "io_uring");
	while (received(uring_do(uring, 27 /* RECV */, fd, bytes,
				 sizeof bytes)) > 0)
		;
}

/* ---- scenarios
 * -------------------------------------------------------------------- */

struct scenario {
	const char *name;
	int family, type, protocol;
	void (*send)(int fd, size_t size, int count);
	void (*receive)(int fd);
};

#define T4 AF_INET, SOCK_STREAM, 0
#define T6 AF_INET6, SOCK_STREAM, 0
#define U4 AF_INET, SOCK_DGRAM, 0
#define U6 AF_INET6, SOCK_DGRAM, 0
#define US AF_UNIX, SOCK_STREAM, 0

static const struct scenario scenarios[] = {
	{"tcp4_write_read", T4, by_write, to_read},
	{"tcp4_sendmsg_recvmsg", T4, by_sendmsg, to_recvmsg},
	{"tcp4_sendmmsg_recvmmsg", T4, by_sendmmsg, to_recvmmsg},
	{"tcp4_sendfile", T4, by_sendfile, to_read},
	{"tcp4_splice", T4, by_splice, to_read},
	{"tcp4_vmsplice", T4, by_vmsplice, to_recvmsg},
	{"tcp4_zerocopy_trunc", T4, by_zerocopy, to_trunc},
	{"tcp4_uring", T4, by_uring, to_uring},
	{"tcp6_write_read", T6, by_write, to_read},
	{"tcp6_sendmsg_recvmmsg", T6, by_sendmsg, to_recvmmsg},
	{"tcp6_sendfile", T6, by_sendfile, to_recvmsg},
	{"tcp6_uring_zerocopy", T6, by_uring_zerocopy, to_read},
	{"udp4_write_read", U4, by_write, to_read},
	{"udp4_sendmsg_recvmsg", U4, by_sendmsg, to_recvmsg},
	{"udp4_sendmmsg_recvmmsg", U4, by_sendmmsg, to_recvmmsg},
	{"udp4_sendfile_short", U4, by_splice, to_short},
	{"udp6_write_trunc", U6, by_write, to_trunc},
	{"udp6_sendmmsg_recvmmsg", U6, by_sendmmsg, to_recvmmsg},
	{"unix_stream", US, by_write, to_read},
	{"unix_stream_sendfile", US, by_sendfile, to_recvmsg},
	{"unix_dgram", AF_UNIX, SOCK_DGRAM, 0, by_sendmmsg, to_recvmmsg},
	{"unix_seqpacket", AF_UNIX, SOCK_SEQPACKET, 0, by_sendmsg, to_recvmsg},
	{"raw4", AF_INET, SOCK_RAW, PROTOCOL, by_write, to_read},
	{"raw6", AF_INET6, SOCK_RAW, PROTOCOL, by_sendmsg, to_recvmsg},
};
#define SCENARIOS (sizeof scenarios / sizeof *scenarios)

struct pair {
	const struct scenario *scenario;
	struct endpoint to;
};

static bool is_stream(const struct scenario *s)
{
	return s->type == SOCK_STREAM || s->type == SOCK_SEQPACKET;
}

static void role_send(void *argument)
{
	const struct pair *pair = argument;
	const struct scenario *s = pair->scenario;
	int fd;

	close(pair->to.listener);
	fd = endpoint_connect(&pair->to);
	if (s->type == SOCK_STREAM)
		s->send(fd, CHUNK, STREAM / CHUNK + 1);
	else
		s->send(fd, SIZE, PACKETS);
	close(fd);
}

static void role_receive(void *argument)
{
	const struct pair *pair = argument;

	if (is_stream(pair->scenario))
		pair->scenario->receive(endpoint_accept(&pair->to));
	else
		pair->scenario->receive(pair->to.listener);
}

static int scenario_run(const struct scenario *s)
{
	struct pair pair = {.scenario = s};

	endpoint_open(&pair.to, s->family, s->type, s->protocol, 0);
	(void)spawn("receiver", role_receive, &pair);
	(void)spawn("sender", role_send, &pair);
	close(pair.to.listener);
	return gather();
}

int main(int count, char **arguments)
{
	if (count < 2)
		return 2;
	for (size_t i = 0; i < SCENARIOS; i++) {
		if (!strcmp(arguments[1], "list"))
			printf("%s\n", scenarios[i].name);
		else if (!strcmp(arguments[1], scenarios[i].name))
			return scenario_run(&scenarios[i]);
	}
	if (!strcmp(arguments[1], "list"))
		return 0;
	if (hard_run(arguments[1], count - 2, arguments + 2))
		return gather();
	fprintf(stderr, "no such scenario: %s\n", arguments[1]);
	return 2;
}
