/* Scenarios of more parts: handed over, inherited, short-lived, mapped. */
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/tcp.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO     104
#endif

#define CHUNK 50000

static char bytes[1 << 18];

/* ---- a connection between two processes
 * -------------------------------------------- */

void send_all(int fd, size_t size)
{
	while (size > 0) {
		size_t part = size < CHUNK ? size : CHUNK;

		need(sent(write(fd, bytes, part)) == (ssize_t)part, "write");
		size -= part;
	}
}

void receive_all(int fd)
{
	while (received(read(fd, bytes, sizeof bytes)) > 0)
		;
}

static void role_drain(void *argument)
{
	receive_all(endpoint_accept(argument));
}

/* ---- SCM_RIGHTS
 * ---------------------------------------------------------------------- */

static void descriptor_send(int over, int fd)
{
	char control[CMSG_SPACE(sizeof fd)] = {0};
	struct iovec part = {bytes, 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof control};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(head), &fd, sizeof fd);
	need(sent(sendmsg(over, &message, 0)) == 1, "SCM_RIGHTS");
}

static int descriptor_receive(int over)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec part = {bytes, 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof control};
	struct cmsghdr *head;
	int fd;

	need(received(recvmsg(over, &message, 0)) == 1, "SCM_RIGHTS");
	head = CMSG_FIRSTHDR(&message);
	need(head, "SCM_RIGHTS");
	if (!head)
		return -1;
	memcpy(&fd, CMSG_DATA(head), sizeof fd);
	return fd;
}

struct handover {
	struct endpoint to;
	int pair[2];
};

static void role_giver(void *argument)
{
	struct handover *h = argument;
	int fd;

	close(h->to.listener);
	close(h->pair[1]);
	fd = endpoint_connect(&h->to);
	send_all(fd, 123456);
	descriptor_send(h->pair[0], fd);
	/* Both write, by turns. */
	send_all(fd, 7777);
}

static void role_taker(void *argument)
{
	struct handover *h = argument;
	int fd;

	close(h->to.listener);
	close(h->pair[0]);
	fd = descriptor_receive(h->pair[1]);
	send_all(fd, 234567);
}

static void scm_rights(void)
{
	static struct handover h;

	endpoint_open(&h.to, AF_INET, SOCK_STREAM, 0, 0);
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, h.pair) == 0, "socketpair");
	(void)spawn("taker", role_taker, &h);
	(void)spawn("giver", role_giver, &h);
	close(h.pair[0]);
	close(h.pair[1]);
	(void)spawn("receiver", role_drain, &h.to);
	close(h.to.listener);
}

/* ---- inherited: more processes than a socket has slots
 * ---------------------------- */

struct heir {
	int fd;
	size_t size;
};

static void role_heir(void *argument)
{
	struct heir *heir = argument;

	send_all(heir->fd, heir->size);
}

static void role_family(void *argument)
{
	struct endpoint *to = argument;
	struct heir heirs[9];
	int fd;

	close(to->listener);
	fd = endpoint_connect(to);
	for (size_t i = 0; i < 9; i++) {
		heirs[i] = (struct heir){fd, 1000 * (i + 1) + i};
		(void)spawn("heir", role_heir, &heirs[i]);
	}
	send_all(fd, 54321);
	close(fd);
	need(gather() == 0, "heirs");
}

static void fork_inherited(void)
{
	static struct endpoint to;

	endpoint_open(&to, AF_INET6, SOCK_STREAM, 0, 0);
	(void)spawn("receiver", role_drain, &to);
	(void)spawn("parent", role_family, &to);
	close(to.listener);
}

/* ---- many short processes
 * ------------------------------------------------------------ */

static void role_short(void *argument)
{
	const struct endpoint *to = argument;
	int fd = endpoint_connect(to), pair[2];
	size_t size = 1 + (size_t)getpid() % 1000;

	need(sent(send(fd, bytes, size, 0)) == (ssize_t)size, "send");
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
	need(sent(write(pair[0], bytes, size + 3)) > 0, "write");
	need(received(read(pair[1], bytes, sizeof bytes)) > 0, "read");
}

static void short_processes(int count)
{
	static struct endpoint to;

	endpoint_open(&to, AF_INET, SOCK_DGRAM, 0, 0);
	for (int i = 0; i < count; i++) {
		(void)spawn("short", role_short, &to);
		if (i % 16 == 15)
			need(gather() == 0, "short processes");
	}
}

/* ---- namespaces with equal tuples
 * ---------------------------------------------------- */

static void loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	request.ifr_flags = IFF_UP | IFF_RUNNING;
	need(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0, "lo");
	close(fd);
}

/* The same ports, both ends, in each namespace. */
static void role_namespace(void *argument)
{
	struct endpoint to;
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_port = htons(45001)};
	size_t size = *(size_t *)argument;
	int fd;

	lack(unshare(CLONE_NEWNET) == 0, "a network namespace");
	loopback_up();
	endpoint_open(&to, AF_INET, SOCK_STREAM, 0, 45000);
	(void)spawn("receiver", role_drain, &to);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	need(bind(fd, (struct sockaddr *)&from, sizeof from) == 0, "bind");
	need(connect(fd, (struct sockaddr *)&to.address, to.size) == 0,
	     "connect");
	send_all(fd, size);
	close(fd);
	need(gather() == 0, "receiver");
}

static void namespaces(void)
{
	static size_t sizes[2] = {111111, 222222};

	(void)spawn("one", role_namespace, &sizes[0]);
	(void)spawn("two", role_namespace, &sizes[1]);
}

/* ---- UDP segmentation
 * ------------------------------------------------------------------ */

static void role_segments(void *argument)
{
	const struct endpoint *to = argument;
	int fd = endpoint_connect(to), size = 1000;

	lack(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size) == 0,
	     "UDP_SEGMENT");
	for (int i = 0; i < 50; i++)
		need(sent(send(fd, bytes, 25500, 0)) == 25500, "send");
}

static void role_coalesced(void *argument)
{
	const struct endpoint *to = argument;
	int one = 1;

	lack(setsockopt(to->listener, IPPROTO_UDP, UDP_GRO, &one, sizeof one) ==
		     0,
	     "UDP_GRO");
	receive_all(to->listener);
}

static void udp_segmentation(void)
{
	static struct endpoint to;

	endpoint_open(&to, AF_INET, SOCK_DGRAM, 0, 0);
	(void)spawn("receiver", role_coalesced, &to);
	(void)spawn("sender", role_segments, &to);
}

/* ---- peeks
 * -------------------------------------------------------------------------------
 */

static void role_sender(void *argument)
{
	const struct endpoint *to = argument;
	int fd;

	if (to->type == SOCK_STREAM)
		close(to->listener);
	fd = endpoint_connect(to);
	send_all(fd, 1234567);
	close(fd);
}

static void role_peek(void *argument)
{
	int fd = endpoint_accept(argument);

	for (;;) {
		ssize_t size = recv(fd, bytes, sizeof bytes, MSG_PEEK);

		if (size <= 0)
			return;
		(void)recv(fd, bytes, sizeof bytes, MSG_PEEK);
		need(received(recv(fd, bytes, (size_t)size / 2 + 1, 0)) > 0,
		     "recv");
	}
}

static void tcp_pair(int protocol, void (*receive)(void *argument),
		     void (*send)(void *argument))
{
	static struct endpoint to;

	endpoint_open(&to, AF_INET, SOCK_STREAM, protocol, 0);
	(void)spawn("receiver", receive, &to);
	(void)spawn("sender", send, &to);
	close(to.listener);
}

/* ---- bytes that no call returns
 * ------------------------------------------------------------ */

static void role_splice_out(void *argument)
{
	int fd = endpoint_accept(argument), ends[2];

	need(pipe(ends) == 0, "pipe");
	for (;;) {
		ssize_t size =
			received(splice(fd, NULL, ends[1], NULL, 60000, 0));

		if (size <= 0)
			return;
		while (size > 0) {
			ssize_t out = read(ends[0], bytes, (size_t)size);

			need(out > 0, "pipe");
			size -= out;
		}
	}
}

/* Whole pages of a file: only such can be mapped by the receiver. */
static void role_pages(void *argument)
{
	const size_t size = 4 << 20;
	int file = memfd_create("traffic", MFD_CLOEXEC), fd;
	off_t at = 0;

	close(((struct endpoint *)argument)->listener);
	fd = endpoint_connect(argument);
	need(file >= 0 && ftruncate(file, (off_t)size) == 0, "memfd");
	while ((size_t)at < size)
		need(sent(sendfile(fd, file, &at, size - (size_t)at)) > 0,
		     "sendfile");
	close(fd);
}

static void role_mapped(void *argument)
{
	const unsigned int room = 1 << 18;
	int fd = endpoint_accept(argument);
	void *at = mmap(NULL, room, PROT_READ, MAP_SHARED, fd, 0);

	lack(at != MAP_FAILED, "TCP_ZEROCOPY_RECEIVE");
	for (;;) {
		struct tcp_zerocopy_receive z = {.address = (uintptr_t)at,
						 .length = room};
		socklen_t size = sizeof z;

		if (getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &z,
			       &size) < 0) {
			need(errno == EIO, "TCP_ZEROCOPY_RECEIVE");
			return; /* the end of the stream */
		}
		received((ssize_t)z.length);
		if (z.length > 0)
			(void)madvise(at, room, MADV_DONTNEED);
		if (z.recv_skip_hint > 0 || z.length == 0) {
			size_t part = z.recv_skip_hint ? z.recv_skip_hint : 1;

			if (part > sizeof bytes)
				part = sizeof bytes;
			if (received(read(fd, bytes, part)) <= 0)
				return;
		}
	}
}

/* ---- sockets that are there before
 * --------------------------------------------------------- */

static int go[2]; /* the sender to the receiver */

static void role_before_receive(void *argument)
{
	int fd = endpoint_accept(argument);
	char word;

	/* A part before, the rest after it is told to go on. */
	for (size_t got = 0; got < 100000;) {
		ssize_t size = read(fd, bytes, 100000 - got);

		need(size > 0, "read");
		got += (size_t)size;
	}
	close(go[1]);
	need(read(go[0], &word, 1) == 1, "pipe");
	receive_all(fd);
}

static void role_before_send(void *argument)
{
	struct endpoint *to = argument;
	int fd;
	char word;

	close(to->listener);
	fd = endpoint_connect(to);
	send_all(fd, 150000);
	tally = (struct tally){0};
	need(write(2, "before\n", 7) == 7, "stderr");
	need(read(0, &word, 1) == 1, "stdin");
	need(write(go[1], &word, 1) == 1, "pipe");
	send_all(fd, 345678);
	close(fd);
}

static void before(void)
{
	static struct endpoint to;

	need(pipe(go) == 0, "pipe");
	endpoint_open(&to, AF_INET, SOCK_STREAM, 0, 0);
	(void)spawn("receiver", role_before_receive, &to);
	(void)spawn("sender", role_before_send, &to);
	close(to.listener);
}

/* ---- frames
 * ------------------------------------------------------------------------------------
 */

static void role_frames(void *argument)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_802_EX1)};
	struct timeval silence = {0, 300000};
	int fd;

	(void)argument;
	lack(unshare(CLONE_NEWNET) == 0, "a network namespace");
	loopback_up();
	fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_802_EX1));
	need(fd >= 0, "AF_PACKET");
	at.sll_ifindex = (int)if_nametoindex("lo");
	at.sll_halen = 6;
	need(bind(fd, (struct sockaddr *)&at, sizeof at) == 0, "bind");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
	for (int i = 0; i < 100; i++)
		need(sent(sendto(fd, bytes, 777, 0, (struct sockaddr *)&at,
				 sizeof at)) == 777,
		     "sendto");
	receive_all(fd);
}

/* ---- a process in a folder of cgroup v2
 * -------------------------------------------------------- */

static void role_grouped(void *argument)
{
	int procs = open(argument, O_WRONLY | O_CLOEXEC), fd;
	struct endpoint to;
	char self[16];
	int size = snprintf(self, sizeof self, "%d", getpid());

	lack(procs >= 0 && write(procs, self, (size_t)size) == size,
	     "cgroup.procs");
	endpoint_open(&to, AF_INET, SOCK_STREAM, 0, 0);
	fd = endpoint_connect(&to);
	send_all(fd, 66666);
	shutdown(fd, SHUT_WR);
	receive_all(endpoint_accept(&to));
}

bool hard_run(const char *name, int count, char **arguments)
{
	int number = count > 0 ? (int)strtol(arguments[0], NULL, 10) : 10000;

	if (!strcmp(name, "scm_rights"))
		scm_rights();
	else if (!strcmp(name, "fork_inherited"))
		fork_inherited();
	else if (!strcmp(name, "short_processes"))
		short_processes(number);
	else if (!strcmp(name, "namespaces"))
		namespaces();
	else if (!strcmp(name, "udp_segmentation"))
		udp_segmentation();
	else if (!strcmp(name, "peeks"))
		tcp_pair(0, role_peek, role_sender);
	else if (!strcmp(name, "zerocopy_receive"))
		tcp_pair(0, role_mapped, role_pages);
	else if (!strcmp(name, "mptcp"))
		tcp_pair(IPPROTO_MPTCP, role_drain, role_sender);
	else if (!strcmp(name, "splice_out"))
		tcp_pair(0, role_splice_out, role_sender);
	else if (!strcmp(name, "before"))
		before();
	else if (!strcmp(name, "packet"))
		(void)spawn("both", role_frames, NULL);
	else if (!strcmp(name, "overflow"))
		load_overflow();
	else if (!strcmp(name, "connections"))
		load_connections(number);
	else if (!strcmp(name, "cgroup") && count > 0)
		(void)spawn("both", role_grouped, arguments[0]);
	else
		return false;
	return true;
}
