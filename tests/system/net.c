#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define FRAME_MAX 2048
#define BATCH     64

static void text_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	if (!file)
		return; /* no IPv6 at all: silent as well */
	fputs(text, file);
	fclose(file);
}

bool net_enter(void)
{
	if (unshare(CLONE_NEWNET) != 0) {
		fprintf(stderr, "no network namespace: %s; run as root\n",
			strerrordesc_np(errno));
		return false;
	}
	text_write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	text_write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	return true;
}

bool net_begin(void)
{
	bool entered = net_enter();

	if (!entered)
		printf("1..0 # SKIP no network namespaces here: run as root\n");
	return entered;
}

int net_setup(void **state)
{
	(void)state;
	if (!net_enter())
		return -1;
	net_pair();
	return 0;
}

bool net_run(const char *command)
{
	return system(command) == 0; /* NOLINT: words of our own */
}

void net_ip(const char *format, ...)
{
	char command[512] = "ip ";
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command + 3, sizeof command - 3, format, arguments);
	va_end(arguments);
	if (!net_run(command))
		fail_msg("%s failed", command);
}

/* The kernel opens an interface's queue some time after its carrier is
 * there, and drops what is sent before. */
static void wait_running(const char *interface)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
		if (request.ifr_flags & IFF_RUNNING)
			break;
		usleep(1000);
	}
	assert_true(request.ifr_flags & IFF_RUNNING);
	/* waits for the lock that the opening holds */
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

void net_up(const char *one, const char *other)
{
	net_ip("link set %s up", one);
	net_ip("link set %s up", other);
	wait_running(one);
	wait_running(other);
}

void net_pair(void)
{
	net_ip("link add v0 address 02:00:00:00:00:01 type veth peer name v1 "
	       "address 02:00:00:00:00:02");
	net_up("v0", "v1");
}

static uint8_t *put16(uint8_t *at, uint16_t value)
{
	*at++ = (uint8_t)(value >> 8);
	*at++ = (uint8_t)value;
	return at;
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
	return put16(put16(at, (uint16_t)(value >> 16)), (uint16_t)value);
}

static uint8_t *tags_write(const struct net_frame *frame, uint8_t *at)
{
	for (int i = 0; i < 2; i++) {
		if (!frame->tags[i])
			continue;
		at = put16(at, i == 0 && frame->outer_type ? frame->outer_type
							   : ETHERTYPE_VLAN);
		at = put16(at, frame->tags[i]);
	}
	return at;
}

const struct net_frame net_plain = {.source = 0xc0000201,
				    .target = 0xc0000202,
				    .source_port = 1000,
				    .target_port = 2000,
				    .size = 100};

size_t net_frame_write(const struct net_frame *frame, uint8_t *bytes)
{
	static const uint8_t addresses[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	uint16_t size = frame->size < 64 ? 64 : frame->size;
	uint8_t *at = bytes;
	uint16_t ip_size;

	memset(bytes, 0xa5, size);
	memcpy(at, addresses, sizeof addresses);
	at = tags_write(frame, at + sizeof addresses);
	at = put16(at, ETHERTYPE_IP);
	ip_size = (uint16_t)(size - (at - bytes));
	at = put16(at, 0x4500);
	at = put16(at, ip_size);
	at = put16(at, 1);
	at = put16(at, frame->fragment);
	at = put16(at, 64 << 8 | IPPROTO_UDP);
	at = put16(at, 0);
	at = put32(at, frame->source);
	at = put32(at, frame->target);
	at = put16(at, frame->source_port);
	at = put16(at, frame->target_port);
	put16(at, (uint16_t)(ip_size - 20));
	put32(bytes + size - 4, frame->number);
	return size;
}

uint32_t net_frame_number(const uint8_t *bytes, size_t size)
{
	uint32_t number;

	assert_true(size >= sizeof number);
	memcpy(&number, bytes + size - sizeof number, sizeof number);
	return ntohl(number);
}

int net_sender(const char *interface)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	int sender = socket(AF_PACKET, SOCK_RAW, 0);
	int size = 8 << 20;

	assert_true(sender >= 0);
	setsockopt(sender, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
	assert_int_equal(
		bind(sender, (struct sockaddr *)&address, sizeof address), 0);
	return sender;
}

void net_send(int sender, const struct net_frame *frame, uint32_t count)
{
	static uint8_t bytes[BATCH][FRAME_MAX];
	struct mmsghdr messages[BATCH] = {0};
	struct iovec parts[BATCH];
	struct net_frame one = *frame;

	while (count > 0) {
		uint32_t batch = count < BATCH ? count : BATCH;
		int sent = 0;

		for (uint32_t i = 0; i < batch; i++, one.number++) {
			parts[i].iov_base = bytes[i];
			parts[i].iov_len = net_frame_write(&one, bytes[i]);
			messages[i].msg_hdr.msg_iov = &parts[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		while ((uint32_t)sent < batch) {
			int now = sendmmsg(sender, messages + sent,
					   batch - (uint32_t)sent, 0);

			assert_true(now > 0);
			sent += now;
		}
		count -= batch;
	}
}

void net_send_bytes(int sender, const uint8_t *bytes, size_t size)
{
	assert_int_equal(send(sender, bytes, size, 0), size);
}
