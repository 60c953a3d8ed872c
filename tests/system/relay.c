/* The logging delay line: joins two interfaces at the link layer and delays,
 * drops, doubles and reorders round trip packets by a script, each by its
 * sequence number and direction; everything else passes at once.  Logs when
 * each packet came and went by the kernel's stamps: truth for the tests of
 * the sender and the reflector.
 *
 *     relay INTERFACE INTERFACE PORT SCRIPT LOG DELAY_NS [keyed]
 *
 * Packets to UDP port PORT, coming by the first interface, go forward; those
 * from it, coming by the second, go back.  A line of the script names the
 * direction (f or b), the sender's sequence number, how many packets with
 * this number came before in this direction, and then for each copy that
 * goes on its delay in ns; no copies: dropped.
 *
 *     f 17 0 0 250000        packet 17 and, 250 us later, a copy
 *     b 17 1                 the answer to the copy is lost
 *
 * What the script does not name is delayed by DELAY_NS.  Ends with SIGTERM
 * and writes a line for each departure, in their order, and for each drop:
 *
 *     f SEQ OCCURRENCE NUMBER IN_NS OUT_NS      OUT_NS 0: dropped
 *
 * NUMBER is the packet's first: of an answer, the reflector's own.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>

#define SIDES        2
#define BATCH        64
#define FRAME_ROOM   (sizeof(struct virtio_net_hdr) + 65536 + 64)
#define FRAMES_COUNT 16384
#define COPIES_MAX   3
#define OCCURRENCES  4
#define SPIN_NS      60000
#define NS_PER_S     INT64_C(1000000000)
#define BUFFER_SIZE  (64 << 20)

struct rule {
	int32_t delay_ns[COPIES_MAX];
	uint8_t copies;
	bool set;
};

/* Of one sequence number in one direction. */
struct entry {
	struct rule rules[OCCURRENCES];
	uint8_t came;
};

struct frame {
	uint8_t *bytes;
	size_t size;
	uint8_t copies; /* still to go */
};

struct line {
	uint32_t seq, number;
	int64_t in_ns, out_ns;
	uint8_t direction, occurrence;
};

struct departure {
	int64_t at_ns;
	uint64_t order;
	struct frame *frame;
	struct line line;
	bool logged;
};

static struct {
	int fds[SIDES];
	uint16_t port;
	bool keyed;
	int64_t delay_ns;

	struct entry *entries[SIDES];
	uint32_t entry_count;

	struct frame frames[FRAMES_COUNT];
	struct frame *free_frames[FRAMES_COUNT];
	size_t free_count;

	struct departure heap[FRAMES_COUNT * COPIES_MAX];
	size_t heap_count;
	uint64_t order;

	struct line *lines;
	size_t line_count, line_room;
	size_t *sent[SIDES]; /* line of the n-th frame that left by a side */
	uint32_t sent_count[SIDES], sent_room[SIDES];
	uint64_t stamps;
} relay;

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static void fail(const char *what)
{
	perror(what);
	_exit(2);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int64_t number_of(const char *text, int64_t max)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end || number < 0 || number > max) {
		fprintf(stderr, "relay: %s: no number from 0 to %lld\n", text,
			(long long)max);
		_exit(2);
	}
	return number;
}

static void *grown(void *old, size_t count, size_t size)
{
	void *made = realloc(old, count * size);

	if (!made)
		fail("memory");
	return made;
}

/* ---- the script ---------------------------------------------------------- */

static struct entry *entry_of(int direction, uint32_t seq)
{
	return seq < relay.entry_count ? &relay.entries[direction][seq] : NULL;
}

static void entries_grow(uint32_t count)
{
	for (int i = 0; i < SIDES; i++) {
		relay.entries[i] =
			grown(relay.entries[i], count, sizeof(struct entry));
		memset(relay.entries[i] + relay.entry_count, 0,
		       (count - relay.entry_count) * sizeof(struct entry));
	}
	relay.entry_count = count;
}

static void rule_read(char *text)
{
	char *at = text + 1;
	uint32_t seq = (uint32_t)strtoul(at, &at, 10);
	uint32_t occurrence = (uint32_t)strtoul(at, &at, 10);
	struct rule rule = {.set = true};
	char *end;

	for (;; at = end) {
		long delay = strtol(at, &end, 10);

		if (end == at || rule.copies == COPIES_MAX)
			break;
		rule.delay_ns[rule.copies++] = (int32_t)delay;
	}
	if (seq >= relay.entry_count)
		entries_grow((seq + 1) * 2);
	if (occurrence < OCCURRENCES)
		entry_of(text[0] == 'b', seq)->rules[occurrence] = rule;
}

static void script_read(const char *path)
{
	FILE *file = fopen(path, "r");
	char text[256];

	entries_grow(1024);
	if (!file)
		fail(path);
	while (fgets(text, sizeof text, file)) {
		if (text[0] == 'f' || text[0] == 'b')
			rule_read(text);
	}
	(void)fclose(file);
}

/* ---- frames -------------------------------------------------------------- */

static uint16_t load16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t load32(const uint8_t *at)
{
	return (uint32_t)load16(at) << 16 | load16(at + 2);
}

/* The UDP header of an unfragmented packet; NULL: something else. */
static const uint8_t *udp_of(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *ip = at + ETH_HLEN;
	size_t head;

	if (end - at < ETH_HLEN + 20 + 8)
		return NULL;
	if (load16(at + 12) == ETHERTYPE_IP) {
		head = (size_t)(ip[0] & 15) * 4;
		if (ip[9] != IPPROTO_UDP || load16(ip + 6) & 0x3fff)
			return NULL;
	} else if (load16(at + 12) == ETHERTYPE_IPV6) {
		head = 40;
		if (ip[6] != IPPROTO_UDP)
			return NULL;
	} else {
		return NULL;
	}
	return (size_t)(end - ip) >= head + 8 ? ip + head : NULL;
}

/* Whether it is one of ours, and its numbers. */
static bool test_packet(const struct frame *frame, int direction,
			struct line *ret_line)
{
	const uint8_t *end = frame->bytes + frame->size;
	const uint8_t *udp =
		udp_of(frame->bytes + sizeof(struct virtio_net_hdr), end);
	size_t at = 8;

	if (!udp || load16(udp + (direction ? 0 : 2)) != relay.port)
		return false;
	if (direction) /* RFC 8762 section 4.3 */
		at += relay.keyed ? 48 : 24;
	if ((size_t)(end - udp) < at + 4)
		return false;
	*ret_line = (struct line){
		.seq = load32(udp + at),
		.number = load32(udp + 8),
		.direction = (uint8_t)direction,
	};
	return true;
}

static struct frame *frame_get(void)
{
	struct frame *frame;

	if (relay.free_count == 0) {
		fprintf(stderr, "relay: too many packets under way\n");
		_exit(2);
	}
	frame = relay.free_frames[--relay.free_count];
	if (!frame->bytes)
		frame->bytes = grown(NULL, FRAME_ROOM, 1);
	return frame;
}

static void frame_put(struct frame *frame)
{
	relay.free_frames[relay.free_count++] = frame;
}

/* ---- the queue of departures --------------------------------------------- */

static bool before(const struct departure *a, const struct departure *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void heap_push(struct departure departure)
{
	size_t at = relay.heap_count++;

	departure.order = relay.order++;
	while (at > 0 && before(&departure, &relay.heap[(at - 1) / 2])) {
		relay.heap[at] = relay.heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	relay.heap[at] = departure;
}

static struct departure heap_pop(void)
{
	struct departure first = relay.heap[0];
	struct departure last = relay.heap[--relay.heap_count];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= relay.heap_count)
			break;
		if (child + 1 < relay.heap_count &&
		    before(&relay.heap[child + 1], &relay.heap[child]))
			child++;
		if (!before(&relay.heap[child], &last))
			break;
		relay.heap[at] = relay.heap[child];
		at = child;
	}
	relay.heap[at] = last;
	return first;
}

/* ---- in, out, log -------------------------------------------------------- */

static size_t log_add(const struct line *line)
{
	if (relay.line_count == relay.line_room) {
		relay.line_room = relay.line_room * 2 + 65536;
		relay.lines = grown(relay.lines, relay.line_room,
				    sizeof *relay.lines);
	}
	relay.lines[relay.line_count] = *line;
	return relay.line_count++;
}

#define LINE_NONE SIZE_MAX

static void sent_note(int side, size_t line)
{
	if (relay.sent_count[side] == relay.sent_room[side]) {
		relay.sent_room[side] = relay.sent_room[side] * 2 + 65536;
		relay.sent[side] =
			grown(relay.sent[side], relay.sent_room[side],
			      sizeof *relay.sent[side]);
	}
	relay.sent[side][relay.sent_count[side]++] = line;
}

static void depart(struct departure *departure)
{
	struct frame *frame = departure->frame;
	int side = !departure->line.direction;
	size_t line = LINE_NONE;

	if (departure->logged) {
		departure->line.out_ns = now_ns();
		line = log_add(&departure->line);
	}
	while (send(relay.fds[side], frame->bytes, frame->size, 0) < 0) {
		if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			fail("send");
	}
	sent_note(side, line);
	if (--frame->copies == 0)
		frame_put(frame);
}

/* The frame that came: when do how many copies go on? */
static void frame_plan(struct frame *frame, int direction, int64_t in_ns)
{
	struct departure departure = {.frame = frame, .at_ns = in_ns};
	struct rule rule = {.copies = 1};
	struct entry *entry;

	departure.logged = test_packet(frame, direction, &departure.line);
	departure.line.direction = (uint8_t)direction;
	departure.line.in_ns = in_ns;
	if (departure.logged) {
		rule.delay_ns[0] = (int32_t)relay.delay_ns;
		entry = entry_of(direction, departure.line.seq);
		if (entry && entry->came < OCCURRENCES &&
		    entry->rules[entry->came].set)
			rule = entry->rules[entry->came];
		if (entry)
			departure.line.occurrence = entry->came++;
	}
	frame->copies = rule.copies;
	if (rule.copies == 0) {
		log_add(&departure.line);
		frame_put(frame);
	}
	for (uint8_t i = 0; i < rule.copies; i++) {
		departure.at_ns = in_ns + rule.delay_ns[i];
		heap_push(departure);
	}
}

static int64_t stamp_of(struct msghdr *message)
{
	for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head;
	     head = CMSG_NXTHDR(message, head)) {
		struct scm_timestamping stamps;

		if (head->cmsg_level != SOL_SOCKET ||
		    head->cmsg_type != SO_TIMESTAMPING)
			continue;
		memcpy(&stamps, CMSG_DATA(head), sizeof stamps);
		return stamps.ts[0].tv_sec * NS_PER_S + stamps.ts[0].tv_nsec;
	}
	return 0;
}

static bool side_receive(int side)
{
	_Alignas(16) uint8_t control[256];
	struct frame *frame = frame_get();
	struct iovec part = {frame->bytes, FRAME_ROOM};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control,
	};
	ssize_t size = recvmsg(relay.fds[side], &message, MSG_DONTWAIT);
	int64_t in_ns;

	if (size < 0) {
		frame_put(frame);
		return false;
	}
	frame->size = (size_t)size;
	in_ns = stamp_of(&message);
	frame_plan(frame, side, in_ns ? in_ns : now_ns());
	return true;
}

/* When what was sent went out. */
static void side_stamps(int side)
{
	_Alignas(16) uint8_t control[256];

	for (;;) {
		struct msghdr message = {.msg_control = control,
					 .msg_controllen = sizeof control};
		struct sock_extended_err error = {0};
		int64_t at_ns;

		if (recvmsg(relay.fds[side], &message,
			    MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return;
		at_ns = stamp_of(&message);
		for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head;
		     head = CMSG_NXTHDR(&message, head)) {
			if (head->cmsg_level == SOL_PACKET &&
			    head->cmsg_type == PACKET_TX_TIMESTAMP)
				memcpy(&error, CMSG_DATA(head), sizeof error);
		}
		if (at_ns == 0 || error.ee_data >= relay.sent_count[side] ||
		    relay.sent[side][error.ee_data] == LINE_NONE)
			continue;
		relay.lines[relay.sent[side][error.ee_data]].out_ns = at_ns;
		relay.stamps++;
	}
}

static bool departures_send(void)
{
	bool any = false;

	while (relay.heap_count > 0 && relay.heap[0].at_ns <= now_ns()) {
		struct departure departure = heap_pop();

		depart(&departure);
		any = true;
	}
	return any;
}

static void wait_for_work(void)
{
	struct pollfd fds[SIDES];
	struct timespec timeout = {0, 100000000};

	if (relay.heap_count > 0) {
		int64_t left = relay.heap[0].at_ns - now_ns() - SPIN_NS;

		if (left <= 0)
			return;
		if (left < timeout.tv_nsec)
			timeout.tv_nsec = left;
	}
	for (int i = 0; i < SIDES; i++)
		fds[i] = (struct pollfd){relay.fds[i], POLLIN, 0};
	(void)ppoll(fds, SIDES, &timeout, NULL);
}

static void relay_run(void)
{
	while (!stopped) {
		bool busy = departures_send();

		for (int side = 0; side < SIDES; side++) {
			for (int i = 0; i < BATCH && side_receive(side); i++)
				busy = true;
		}
		for (int side = 0; side < SIDES; side++)
			side_stamps(side);
		if (!busy)
			wait_for_work();
	}
}

/* ---- begin and end ------------------------------------------------------- */

static void option(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof value) < 0)
		fail("setsockopt");
}

static int side_open(const char *interface)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	struct packet_mreq all = {.mr_ifindex = at.sll_ifindex,
				  .mr_type = PACKET_MR_PROMISC};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || at.sll_ifindex == 0)
		fail(interface);
	option(fd, SOL_PACKET, PACKET_VNET_HDR, 1);
	option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	option(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_SIZE);
	option(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_SIZE);
	option(fd, SOL_SOCKET, SO_TIMESTAMPING,
	       SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_TX_SOFTWARE |
		       SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID |
		       SOF_TIMESTAMPING_OPT_TSONLY);
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all,
		       sizeof all) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
		fail(interface);
	return fd;
}

static void log_write(const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file)
		fail(path);
	for (size_t i = 0; i < relay.line_count; i++) {
		const struct line *line = &relay.lines[i];

		fprintf(file, "%c %u %u %u %lld %lld\n",
			line->direction ? 'b' : 'f', line->seq,
			line->occurrence, line->number, (long long)line->in_ns,
			(long long)line->out_ns);
	}
	if (fclose(file) != 0)
		fail(path);
}

/* Packets that the kernel could not keep for us: truth is not whole then. */
static unsigned side_drops(int side)
{
	struct tpacket_stats stats = {0};
	socklen_t size = sizeof stats;

	(void)getsockopt(relay.fds[side], SOL_PACKET, PACKET_STATISTICS, &stats,
			 &size);
	return stats.tp_drops;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = stop};
	unsigned drops;

	if (argc < 7) {
		fprintf(stderr, "usage: relay INTERFACE INTERFACE PORT SCRIPT "
				"LOG DELAY_NS [keyed]\n");
		return 2;
	}
	relay.port = (uint16_t)number_of(argv[3], UINT16_MAX);
	relay.delay_ns = number_of(argv[6], INT32_MAX);
	relay.keyed = argc > 7;
	script_read(argv[4]);
	for (size_t i = 0; i < FRAMES_COUNT; i++)
		relay.free_frames[relay.free_count++] = &relay.frames[i];
	for (int i = 0; i < SIDES; i++)
		relay.fds[i] = side_open(argv[1 + i]);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	printf("ready\n");
	(void)fflush(stdout);
	relay_run();
	drops = side_drops(0) + side_drops(1);
	log_write(argv[5]);
	printf("{\"lines\":%zu,\"stamps\":%llu,\"kernel_drops\":%u}\n",
	       relay.line_count, (unsigned long long)relay.stamps, drops);
	return drops > 0;
}
