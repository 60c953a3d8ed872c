/* A round trip between two plain programs on this host, for bench_watch.py.
 *
 * The server (a child) and the client sleep in their calls, as most programs
 * do.  Prints the server's process number; then, for each line of input, does
 * COUNT round trips and prints their median in ns.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIZE 100

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int socket_make(struct sockaddr_in *at)
{
	socklen_t size = sizeof *at;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(at, 0, sizeof *at);
	at->sin_family = AF_INET;
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof *at) < 0 ||
	    getsockname(fd, (struct sockaddr *)at, &size) < 0) {
		perror("socket");
		_exit(1);
	}
	return fd;
}

static void serve(int fd)
{
	struct sockaddr_in peer;
	char bytes[SIZE];

	for (;;) {
		socklen_t size = sizeof peer;
		ssize_t got = recvfrom(fd, bytes, sizeof bytes, 0,
				       (struct sockaddr *)&peer, &size);

		if (got > 0)
			(void)!sendto(fd, bytes, (size_t)got, 0,
				      (struct sockaddr *)&peer, size);
	}
}

static int order(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t median_ns(int fd, int64_t *times, size_t count)
{
	char bytes[SIZE] = {0};

	for (size_t i = 0; i < count; i++) {
		int64_t begin = now_ns();

		memcpy(bytes, &i, sizeof i);
		if (send(fd, bytes, sizeof bytes, 0) < 0 ||
		    recv(fd, bytes, sizeof bytes, 0) < 0) {
			perror("round trip");
			_exit(1);
		}
		times[i] = now_ns() - begin;
	}
	qsort(times, count, sizeof *times, order);
	return times[count / 2];
}

int main(int argc, char **argv)
{
	size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
	int64_t *times = calloc(count ? count : 1, sizeof *times);
	struct sockaddr_in here, there;
	int client = socket_make(&here), server = socket_make(&there);
	char line[16];
	pid_t child;

	if (!times || count == 0 ||
	    connect(client, (struct sockaddr *)&there, sizeof there) < 0)
		return 1;
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(client);
		serve(server);
	}
	close(server); /* the child's alone */
	printf("%d\n", (int)child);
	(void)fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		printf("%lld\n", (long long)median_ns(client, times, count));
		(void)fflush(stdout);
	}
	kill(child, SIGKILL);
	free(times);
	return 0;
}
