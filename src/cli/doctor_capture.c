/* sonde doctor: backends, fanout, stamps, cards, interfaces. */
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/capture.h"
#include "cli/doctor_private.h"
#include "packet/packet.h"

#define RING_SIZE  (UINT64_C(4) << 20)
#define WAIT_NS    NS_PER_S
#define STAMP_NS   (NS_PER_S / 2) /* the kernel takes a while to begin */
#define INTERFACES 128

/* What a refusal for want of privilege calls for. */
static void privilege_remedy(struct finding *finding, int rc)
{
	char path[128] = "sonde";
	ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);

	if (size > 0)
		path[size] = 0;
	if (rc == -EPERM || rc == -EACCES)
		finding_remedy(finding,
			       "run as root, or once: setcap "
			       "cap_net_raw,cap_net_admin+ep %s",
			       path);
}

int echo_open(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct timeval patience = {0, 50000};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (bind(fd, (struct sockaddr *)&address, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
	    connect(fd, (struct sockaddr *)&address, size) < 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

int echo_send(int fd)
{
	return send(fd, ECHO_TEXT, sizeof ECHO_TEXT, 0) < 0 ? -errno : 0;
}

/* Whether one of the frames waiting is ours. */
static bool echo_seen(struct capture *capture, int timeout_ms)
{
	struct frame frames[16];
	int count = capture_next(capture, timeout_ms, 16, frames);
	bool seen = false;

	for (int i = 0; i < count && !seen; i++)
		seen = memmem(frames[i].bytes, frames[i].captured_size,
			      ECHO_TEXT, sizeof ECHO_TEXT) != NULL;
	if (count > 0)
		capture_release(capture, frames, count);
	return seen;
}

/* Sends datagrams until one of the captures has taken one in. */
static bool echo_captured(struct capture *const *captures, int count)
{
	struct mono start = mono_now();
	int fd = echo_open();
	bool seen = false;

	while (fd >= 0 && !seen &&
	       mono_ns_between(start, mono_now()) < WAIT_NS) {
		if (echo_send(fd) < 0)
			break;
		for (int i = 0; i < count && !seen; i++)
			seen = echo_seen(captures[i], 50);
	}
	if (fd >= 0)
		close(fd);
	return seen;
}

static const char *stamp_line(struct capture *capture)
{
#define STAMP_LINE(name, word, line) [name] = word,
	static const char *const words[] = {STAMP_SOURCES(STAMP_LINE)};
#undef STAMP_LINE

	return words[capture_stamp_source(capture)];
}

static void live_check(struct doctor *doctor, const char *name)
{
	struct capture_options options = {
		.backend = name, .target = "lo", .ring_size = RING_SIZE};
	struct capture *capture;
	struct finding *finding;
	struct fault fault;
	int rc = capture_open(&options, &capture, &fault);

	if (rc < 0) {
		finding =
			finding_add(doctor, name, FINDING_NO, "%s", fault.text);
		privilege_remedy(finding, rc);
		return;
	}
	if (echo_captured(&capture, 1)) {
		doctor->live = true;
		finding_add(doctor, name, FINDING_OK,
			    "captured its own frame on lo (stamps: %s)",
			    stamp_line(capture));
	} else {
		finding = finding_add(doctor, name, FINDING_NO,
				      "opened lo, but its own frame did not "
				      "come by");
		finding_remedy(finding, "ip link set lo up");
	}
	capture_close(capture);
}

/* A capture file of one frame: pcap(5) in nanoseconds, native order. */
static int trace_open(void)
{
	static const uint32_t head[] = {0xa1b23c4d, 2 | 4 << 16, 0, 0,  65535,
					1,          1,           0, 60, 60};
	uint8_t frame[60] = {0xff};
	int fd = memfd_create("doctor", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, head, sizeof head) == sizeof head &&
	    write(fd, frame, sizeof frame) == sizeof frame)
		return fd;
	close(fd);
	return -EIO;
}

static void replay_check(struct doctor *doctor, const char *name)
{
	char path[64] = "1"; /* null: one frame */
	int fd = strcmp(name, "file") == 0 ? trace_open() : -1;
	struct capture_options options = {.backend = name, .target = path};
	struct capture *capture;
	struct fault fault;
	struct frame frame;
	int rc;

	if (fd >= 0)
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	rc = capture_open(&options, &capture, &fault);
	if (rc == 0) {
		rc = capture_next(capture, 1000, 1, &frame);
		fault_set(&fault, rc, "%s", capture_fault(capture));
		capture_close(capture);
	}
	finding_add(doctor, name, rc == 1 ? FINDING_OK : FINDING_NO, "%s",
		    rc == 1 ? "read a frame that it was given" : fault.text);
	if (fd >= 0)
		close(fd);
}

void backends_check(struct doctor *doctor)
{
	const struct capture_backend *backend;

	for (size_t i = 0; (backend = capture_backend_at(i)); i++) {
		if (backend->live)
			live_check(doctor, backend->name);
		else
			replay_check(doctor, backend->name);
	}
}

void fanout_check(struct doctor *doctor)
{
	struct capture_options options = {
		.backend = "afpacket",
		.target = "lo",
		.ring_size = RING_SIZE,
		.worker_count = 2,
		.fanout_group = (uint16_t)getpid(),
	};
	struct capture *captures[2] = {NULL, NULL};
	struct finding *finding;
	struct fault fault = {"no frame came by"};
	int rc = 0;

	for (uint16_t i = 0; i < 2 && rc == 0; i++) {
		options.worker = i;
		rc = capture_open(&options, &captures[i], &fault);
	}
	if (rc == 0 && echo_captured(captures, 2)) {
		finding_add(doctor, "PACKET_FANOUT", FINDING_OK,
			    "two workers shared lo, one got the frame");
	} else {
		finding = finding_add(doctor, "PACKET_FANOUT", FINDING_NO, "%s",
				      fault.text);
		finding_remedy(finding, "run with one worker (the default)");
		privilege_remedy(finding, rc);
	}
	capture_close(captures[1]);
	capture_close(captures[0]);
}

static bool message_stamped(struct msghdr *message)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
	     part = CMSG_NXTHDR(message, part)) {
		struct scm_timestamping stamps;

		if (part->cmsg_level != SOL_SOCKET ||
		    part->cmsg_type != SCM_TIMESTAMPING)
			continue;
		memcpy(&stamps, CMSG_DATA(part), sizeof stamps);
		return stamps.ts[0].tv_sec != 0;
	}
	return false;
}

/* The kernel begins to stamp a moment after the first socket asked. */
static bool stamp_received(int fd)
{
	struct timespec pause = {0, 2000000};
	struct mono start = mono_now();

	while (mono_ns_between(start, mono_now()) < STAMP_NS) {
		char bytes[64], control[256];
		struct iovec part = {bytes, sizeof bytes};
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = control,
					 .msg_controllen = sizeof control};

		if (echo_send(fd) < 0)
			return false;
		if (recvmsg(fd, &message, 0) >= 0 && message_stamped(&message))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

void stamps_check(struct doctor *doctor)
{
	int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
	int fd = echo_open();

	if (fd >= 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags) ==
		    0 &&
	    stamp_received(fd))
		finding_add(doctor, "receive", FINDING_OK,
			    "a datagram on lo came with the kernel's stamp");
	else
		finding_add(doctor, "receive", FINDING_WARN,
			    "no datagram on lo came with a stamp");
	if (fd >= 0)
		close(fd);
}

static int card_ask(int fd, const char *name, struct ethtool_ts_info *ret_info)
{
	struct ifreq request = {.ifr_data = (char *)ret_info};

	*ret_info = (struct ethtool_ts_info){.cmd = ETHTOOL_GET_TS_INFO};
	snprintf(request.ifr_name, sizeof request.ifr_name, "%.15s", name);
	return ioctl(fd, SIOCETHTOOL, &request) < 0 ? -errno : 0;
}

static void card_check(struct doctor *doctor, int fd, const char *name)
{
	struct ethtool_ts_info info;
	int rc = card_ask(fd, name, &info);

	if (rc < 0)
		finding_add(doctor, name, FINDING_WARN,
			    "its driver tells of no stamps (%s)",
			    err_sentence(rc));
	else if (!(info.so_timestamping & SOF_TIMESTAMPING_RX_HARDWARE))
		finding_add(doctor, name, FINDING_WARN,
			    "its driver has no hardware stamps; the kernel's "
			    "are taken");
	else
		finding_add(doctor, name, FINDING_OK,
			    "its driver offers hardware stamps%s",
			    info.rx_filters & 1U << HWTSTAMP_FILTER_ALL
				    ? " of every frame"
				    : " of some frames only");
}

void cards_check(struct doctor *doctor)
{
	struct capture_interface_info infos[INTERFACES];
	int count = capture_interfaces(infos, INTERFACES);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (int i = 0; i < count && i < INTERFACES && fd >= 0; i++) {
		if (!infos[i].loopback)
			card_check(doctor, fd, infos[i].name);
	}
	if (fd >= 0)
		close(fd);
}

void interfaces_check(struct doctor *doctor)
{
	struct capture_interface_info infos[INTERFACES];
	int count = capture_interfaces(infos, INTERFACES);

	if (count < 0)
		finding_add(doctor, "list", FINDING_NO, "%s",
			    err_sentence(count));
	for (int i = 0; i < count && i < INTERFACES; i++) {
		bool known = packet_link_known(infos[i].link_type);

		finding_add(doctor, infos[i].name,
			    known ? FINDING_OK : FINDING_WARN,
			    "%s, link type %u%s%s", infos[i].up ? "up" : "down",
			    infos[i].link_type,
			    infos[i].link_type == 1 ? " (Ethernet)" : "",
			    known ? "" : ", which is counted but not decoded");
	}
}
