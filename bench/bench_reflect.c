/* How many packets a second does the reflector answer on one core?
 *
 *     bench_reflect [SECONDS]
 *
 * The reflector has the first CPU for itself, a flood from eight sockets
 * comes over the loopback interface from the second one; answers are read as
 * far as it has time for it.  A line a kind of request: 44 bytes without
 * TLVs; the whole request of 'sonde rtt', which asks for every stamp; the
 * same with a key.  Wall time, medians of five rounds; 'cpu' is what the
 * reflector's thread used of its core.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <netinet/udp.h>

#include "base/err.h"
#include "probe/probe.h"

#define ROUNDS  5
#define PEERS   8
#define SEGMENT 32 /* requests of one call */
#define ROOM    1024

static const uint8_t key[] = "a key of the bench";

enum kind { KIND_PLAIN, KIND_STAMPED, KIND_KEYED, KIND_COUNT };

static const char *const kind_names[KIND_COUNT] = {"plain", "stamped",
						   "stamped, keyed"};

struct bench {
	enum kind kind;
	struct reflector *reflector;
	struct sockaddr_storage at;
	int peers[PEERS];
	struct message message;
	struct message_key *key;
	uint8_t bytes[ROOM];
	uint8_t flood[SEGMENT * ROOM];
	uint32_t seq;
	uint64_t read;
	atomic_bool stop;
	double cpu_s, wall_s;
};

static void fail(const char *what)
{
	perror(what);
	(void)fflush(stdout);
	_exit(1);
}

static double clock_s(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static void *reflect_main(void *argument)
{
	struct bench *bench = argument;
	double cpu_s, wall_s;

	pin(0);
	cpu_s = clock_s(CLOCK_THREAD_CPUTIME_ID);
	wall_s = clock_s(CLOCK_MONOTONIC);
	while (!atomic_load(&bench->stop)) {
		if (reflector_turn(bench->reflector, 10) < 0)
			fail("reflector");
	}
	bench->cpu_s = clock_s(CLOCK_THREAD_CPUTIME_ID) - cpu_s;
	bench->wall_s = clock_s(CLOCK_MONOTONIC) - wall_s;
	return NULL;
}

/* What 'sonde rtt' asks. */
static void tlvs_add(struct message *message)
{
	point_set set = POINT_BIT(LEG_FORWARD, POINT_RECEIVED) |
			POINT_BIT(LEG_FORWARD, POINT_RECEIVE) |
			POINT_BIT(LEG_BACK, POINT_SEND) |
			POINT_BIT(LEG_BACK, POINT_SCHED) |
			POINT_BIT(LEG_BACK, POINT_SENT);

	(void)message_tlv_add(message, TLV_TIMESTAMP_INFORMATION,
			      TLV_TIMESTAMP_INFORMATION_SIZE);
	(void)message_tlv_add(message, TLV_CLASS_OF_SERVICE,
			      TLV_CLASS_OF_SERVICE_SIZE);
	(void)message_tlv_add(message, TLV_FOLLOW_UP, TLV_FOLLOW_UP_SIZE);
	tlv_points_ask(
		message_tlv_add(message, TLV_POINTS, tlv_points_size(3, 5)),
		set);
}

/* One call sends SEGMENT requests: the flood must not be the narrow part. */
static void flood_send(struct bench *bench, int fd)
{
	struct message_request request = {.ssid = 7};
	size_t size = 0, one = bench->message.size;
	int segment;

	for (int i = 0; i < SEGMENT; i++) {
		uint32_t seq = htonl(bench->seq);

		request.seq = bench->seq;
		if (bench->key || bench->seq < SEGMENT)
			one = message_end(&bench->message, &request,
					  bench->key);
		memcpy(bench->flood + size, bench->bytes, one);
		if (!bench->key)
			memcpy(bench->flood + size, &seq, sizeof seq);
		bench->seq++;
		size += one;
	}
	segment = (int)one;
	if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) <
	    0)
		fail("UDP_SEGMENT");
	if (send(fd, bench->flood, size, MSG_DONTWAIT) < 0 && errno != EAGAIN)
		fail("send");
}

static void answers_read(struct bench *bench, int fd)
{
	static uint8_t bytes[64][64];
	struct iovec parts[64];
	struct mmsghdr in[64];
	int count;

	for (int i = 0; i < 64; i++) {
		parts[i] = (struct iovec){bytes[i], sizeof bytes[i]};
		in[i].msg_hdr =
			(struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
	}
	count = recvmmsg(fd, in, 64, MSG_DONTWAIT, NULL);
	bench->read += count > 0 ? (uint64_t)count : 0;
}

static void sockets_make(struct bench *bench)
{
	struct sockaddr_in local = {.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct probe_socket_options options = {
		.local = (const struct sockaddr *)&local};
	struct probe_socket *made;
	struct fault fault;

	if (probe_socket_open(&options, &made, &fault) < 0)
		fail(fault.text);
	bench->at = probe_socket_local(made);
	(void)reflector_socket_add(bench->reflector, made);
	for (int i = 0; i < PEERS; i++) {
		bench->peers[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (connect(bench->peers[i], (struct sockaddr *)&bench->at,
			    sizeof local) < 0)
			fail("connect");
	}
}

static double round_run(struct bench *bench, double seconds)
{
	struct reflector_options options = {.error_ns = -1};
	struct reflector_counters counters;
	pthread_t thread;
	double end;

	if (bench->kind == KIND_KEYED) {
		options.key = key;
		options.key_size = sizeof key;
		if (message_key_create(key, sizeof key, &bench->key) < 0)
			fail("key");
	}
	if (reflector_create(&options, &bench->reflector) < 0)
		fail("reflector");
	sockets_make(bench);
	(void)message_begin(&bench->message, bench->bytes, ROOM,
			    bench->kind == KIND_KEYED);
	if (bench->kind != KIND_PLAIN)
		tlvs_add(&bench->message);
	if (pthread_create(&thread, NULL, reflect_main, bench) != 0)
		fail("thread");
	pin(1);
	for (end = clock_s(CLOCK_MONOTONIC) + seconds;
	     clock_s(CLOCK_MONOTONIC) < end;) {
		for (int i = 0; i < PEERS; i++) {
			flood_send(bench, bench->peers[i]);
			answers_read(bench, bench->peers[i]);
		}
	}
	atomic_store(&bench->stop, true);
	pthread_join(thread, NULL);
	counters = reflector_counters(bench->reflector);
	reflector_destroy(bench->reflector);
	message_key_destroy(bench->key);
	for (int i = 0; i < PEERS; i++)
		close(bench->peers[i]);
	return (double)counters.answered / bench->wall_s;
}

static int ascending(const void *a, const void *b)
{
	double one = *(const double *)a, other = *(const double *)b;

	return (one > other) - (one < other);
}

/* Of each round: up to an hour; NaN is refused as well. */
static bool seconds_read(const char *text, double *ret_seconds)
{
	char *end;

	*ret_seconds = strtod(text, &end);
	return end != text && *end == '\0' && *ret_seconds > 0 &&
	       *ret_seconds <= 3600;
}

int main(int argc, char **argv)
{
	double seconds = 1;

	if (argc > 1 && !seconds_read(argv[1], &seconds)) {
		fprintf(stderr, "usage: bench_reflect [SECONDS]\n");
		return 2;
	}
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		fprintf(stderr, "bench_reflect: needs two CPUs\n");
		return 1;
	}
	for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
		double rates[ROUNDS], cpu = 0;
		size_t size = 0;

		for (int i = 0; i < ROUNDS; i++) {
			struct bench *bench = calloc(1, sizeof *bench);

			if (!bench)
				fail("memory");
			bench->kind = kind;
			rates[i] = round_run(bench, seconds);
			cpu += bench->cpu_s / bench->wall_s / ROUNDS;
			size = bench->message.size;
			free(bench);
		}
		qsort(rates, ROUNDS, sizeof *rates, ascending);
		printf("%-16s %4zu bytes  %9.0f answers/s  best %9.0f  cpu "
		       "%3.0f %%\n",
		       kind_names[kind], size, rates[ROUNDS / 2],
		       rates[ROUNDS - 1], cpu * 100);
	}
	return 0;
}
