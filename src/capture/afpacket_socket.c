/* The packet socket: making it, what it is bound to, and what becomes of it
 * when the interface goes down, goes away or comes back (packet(7)). */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/afpacket_private.h"

/* How often to look whether all has come after a quiesce. */
#define NAP_MS 1

/* How often to try to join a group that cannot be joined yet. */
#define JOIN_MS 50

static bool fanout(const struct afpacket *a)
{
	return a->member.count > 1;
}

static int filter_attach(int fd, struct sock_fprog program)
{
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
			  sizeof program) == 0
		       ? 0
		       : -errno;
}

/* The expression goes into the kernel if the kernel takes it; its programs
 * have a limit (net.core.optmem_max). */
static int filter_fit(struct afpacket *a)
{
	int code = filter_attach(a->fd, afpacket_filter_program(a->filter));

	if (code < 0 && afpacket_filter_keep_out(a->filter))
		code = filter_attach(a->fd, afpacket_filter_program(a->filter));
	return code;
}

static int options_set(struct afpacket *a, struct fault *ret_fault)
{
	int version = TPACKET_V3;
	int reserve = AFPACKET_RESERVE;
	int on = 1;

	if (setsockopt(a->fd, SOL_PACKET, PACKET_VERSION, &version,
		       sizeof version) != 0 ||
	    setsockopt(a->fd, SOL_PACKET, PACKET_RESERVE, &reserve,
		       sizeof reserve) != 0)
		return fault_set(ret_fault, -errno,
				 "%s: the kernel has no TPACKET_V3 ring: %s",
				 a->target, err_sentence(-errno));
	a->vnet = setsockopt(a->fd, SOL_PACKET, PACKET_VNET_HDR, &on,
			     sizeof on) == 0;
	return 0;
}

static int address_bind(const struct afpacket *a, int ifindex)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = ifindex,
	};

	return bind(a->fd, (struct sockaddr *)&address, sizeof address) == 0
		       ? 0
		       : -errno;
}

static int promiscuous_set(const struct afpacket *a, int ifindex)
{
	struct packet_mreq request = {.mr_ifindex = ifindex,
				      .mr_type = PACKET_MR_PROMISC};

	if (!a->promiscuous || !ifindex)
		return 0;
	return setsockopt(a->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request,
			  sizeof request) == 0
		       ? 0
		       : -errno;
}

static bool down(const struct afpacket *a)
{
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", a->target);
	return !a->any && ioctl(a->fd, SIOCGIFFLAGS, &request) == 0 &&
	       !(request.ifr_flags & IFF_UP);
}

/* Lets frames in, once nothing stands against it. */
static int arm(struct afpacket *a)
{
	struct sock_fprog program = afpacket_filter_program(a->filter);
	int code;

	if (!fanout(a)) {
		code = filter_attach(a->fd, program);
	} else {
		code = a->joined ? 0 : afpacket_fanout_join(a->fd, &a->member);
		if (code == -EINVAL && (a->opened || down(a)))
			return 0; /* not yet: tried again at each wait */
		if (code == 0) {
			a->joined = true;
			code = afpacket_fanout_arm(a->fd, &a->member, &program);
		}
	}
	a->armed = code == 0;
	return code;
}

/* Binds to 'ifindex' (0: to all) and begins. */
static int device_attach(struct afpacket *a, int ifindex,
			 struct fault *ret_fault)
{
	int code = address_bind(a, ifindex);

	if (code == 0)
		code = promiscuous_set(a, ifindex);
	if (code < 0)
		return fault_set(ret_fault, code, "%s: %s", a->target,
				 err_sentence(code));
	code = afpacket_stamp_setup(a->fd, ifindex ? a->target : NULL,
				    a->stamp_wanted, ret_fault);
	if (code < 0)
		return code;
	a->stamp_source = (enum stamp_source)code;
	a->ifindex = ifindex;
	code = arm(a);
	if (code < 0 && fanout(a) && !a->joined)
		return fault_set(ret_fault, code,
				 "%s: fanout group %u cannot be joined: %s",
				 a->target, a->member.group,
				 err_sentence(code));
	if (code < 0)
		return fault_set(ret_fault, code,
				 "%s: the filter cannot be attached: %s",
				 a->target, err_sentence(code));
	return 0;
}

/* Without a protocol: it receives nothing until it is bound. */
static int descriptor_make(void)
{
	return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static int descriptor_open(struct afpacket *a, struct fault *ret_fault)
{
	a->fd = a->spare_fd >= 0 ? a->spare_fd : descriptor_make();
	a->spare_fd = -1;
	if (a->fd >= 0 && fanout(a) && !a->any)
		a->spare_fd = descriptor_make();
	if (a->fd >= 0)
		return 0;
	if (errno == EPERM || errno == EACCES)
		return fault_set(ret_fault, -EPERM,
				 "%s: no permission to capture; run it as "
				 "root, or give it the capability: setcap "
				 "cap_net_raw+ep and the program's path",
				 a->target);
	return fault_set(ret_fault, -errno, "%s: no packet socket: %s",
			 a->target, err_sentence(-errno));
}

/* Edge-triggered: the kernel calls the socket readable for as long as the
 * reader holds the block before the one being filled. */
static int watch(struct afpacket *a, int operation, bool muted)
{
	struct epoll_event event = {.events = muted ? 0 : EPOLLIN | EPOLLET};

	a->muted = muted;
	return epoll_ctl(a->epoll_fd, operation, a->fd, &event) == 0 ? 0
								     : -errno;
}

static bool timer_set(const struct afpacket *a, int64_t ns)
{
	struct itimerspec timer = {.it_value.tv_nsec = ns};

	return timerfd_settime(a->timer_fd, 0, &timer, NULL) == 0;
}

/* Watching anew tells the state anew. */
void afpacket_socket_rearm(struct afpacket *a)
{
	if (a->muted)
		timer_set(a, 0);
	watch(a, EPOLL_CTL_MOD, false);
}

/* How long blocks may gather. */
static int64_t nap_ns_for(const struct afpacket_ring *ring)
{
	int64_t most = (int64_t)ring->block_size * ring->block_count /
		       AFPACKET_RING_BYTES_A_NS;

	return most < AFPACKET_NAP_NS ? most : AFPACKET_NAP_NS;
}

/* Whether blocks came so fast since the last time. */
static bool crowded(struct afpacket *a, struct mono now, int64_t nap_ns)
{
	int64_t gone_ns = mono_ns_between(a->rested_at, now);
	int64_t begun = (int64_t)(a->ring.begun - a->rested_begun);

	a->rested_at = now;
	a->rested_begun = a->ring.begun;
	return begun * nap_ns >= gone_ns && !a->capture.quiesced;
}

void afpacket_socket_rest(struct afpacket *a)
{
	struct mono now = mono_now();
	int64_t nap_ns = nap_ns_for(&a->ring);

	if (a->fd < 0 || (a->muted && mono_ns_between(now, a->nap_end) > 0))
		return;
	if (crowded(a, now, nap_ns) && timer_set(a, nap_ns)) {
		a->nap_end.ns = now.ns + nap_ns;
		if (!a->muted)
			watch(a, EPOLL_CTL_MOD, true);
	} else if (a->muted) {
		afpacket_socket_rearm(a);
	}
}

int afpacket_socket_open(struct afpacket *a, struct fault *ret_fault)
{
	int ifindex = a->any ? 0 : (int)if_nametoindex(a->target);
	int code = descriptor_open(a, ret_fault);

	if (code < 0)
		return code;
	a->joined = a->armed = false;
	a->origin.ifindex = 0;
	if (!a->any && !ifindex)
		code = fault_set(ret_fault, -ENODEV,
				 "%s: no such interface; 'ip link' lists them",
				 a->target);
	if (code == 0)
		code = options_set(a, ret_fault);
	if (code == 0)
		code = afpacket_ring_open(&a->ring, a->fd, a->ring_size,
					  a->snap_size, ret_fault);
	if (code == 0)
		code = filter_fit(a); /* while nothing can come in yet */
	if (code == 0)
		code = filter_attach(a->fd, afpacket_filter_nothing());
	if (code == 0)
		code = device_attach(a, ifindex, ret_fault);
	if (code == 0)
		code = watch(a, EPOLL_CTL_ADD, false);
	if (code < 0)
		afpacket_socket_close(a);
	return code;
}

void afpacket_socket_close(struct afpacket *a)
{
	if (a->fd < 0)
		return;
	if (a->joined)
		afpacket_fanout_leave(a->fd, &a->member);
	afpacket_ring_close(&a->ring);
	close(a->fd);
	a->fd = -1;
	a->ifindex = a->any ? 0 : -1;
}

void afpacket_socket_count(struct afpacket *a)
{
	struct capture_counters *counters = &a->capture.counters;
	struct tpacket_stats_v3 stats = {0};
	socklen_t size = sizeof stats;

	if (a->fd < 0 || getsockopt(a->fd, SOL_PACKET, PACKET_STATISTICS,
				    &stats, &size) != 0)
		return;
	counters->dropped_kernel += stats.tp_drops;
	counters->freezes += stats.tp_freeze_q_cnt;
	/* tp_packets counts the drops as well */
	a->placed += stats.tp_packets - stats.tp_drops;
}

int afpacket_socket_error(const struct afpacket *a)
{
	socklen_t size = sizeof(int);
	int error = 0;

	if (a->fd < 0)
		return 0;
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		return -errno;
	return error == ENETDOWN || error == ENODEV ? 0 : -error;
}

/* Whether the kernel has unbound the socket: its interface is gone. */
static bool unbound(const struct afpacket *a)
{
	struct sockaddr_ll address = {0};
	socklen_t size = sizeof address;

	return getsockname(a->fd, (struct sockaddr *)&address, &size) == 0 &&
	       address.sll_ifindex != a->ifindex;
}

/* A member of a group can never be bound again: it takes a new socket, for
 * which the old one must be read out and nothing of it held. */
static int socket_renew(struct afpacket *a)
{
	int code;

	afpacket_socket_count(a);
	if (a->ring.owned_count || a->taken < a->placed)
		return 0; /* at a later wait */
	afpacket_socket_close(a);
	a->taken = a->placed = 0;
	code = afpacket_socket_open(a, &a->capture.fault);
	return code == -ENODEV ? 0 : code; /* gone again meanwhile */
}

int afpacket_socket_follow(struct afpacket *a)
{
	struct fault fault;
	int ifindex;
	int code;

	if (a->capture.quiesced)
		return 0;
	if (a->ifindex > 0 && unbound(a))
		a->ifindex = -1;
	if (a->ifindex >= 0)
		return a->armed ? 0 : arm(a);
	ifindex = (int)if_nametoindex(a->target);
	if (!ifindex)
		return 0;
	if (fanout(a))
		return socket_renew(a);
	/* gone again meanwhile, or the card lost a feature: wait for more */
	code = device_attach(a, ifindex, &fault);
	if (code == -ENODEV)
		return 0;
	if (code < 0)
		a->capture.fault = fault;
	return code;
}

static int nap_ms(const struct afpacket *a, int timeout_ms)
{
	int most = timeout_ms;

	if (a->capture.quiesced)
		most = NAP_MS;
	else if (!a->armed || (a->ifindex < 0 && fanout(a)))
		most = JOIN_MS;
	return timeout_ms >= 0 && timeout_ms < most ? timeout_ms : most;
}

bool afpacket_socket_wait(struct afpacket *a, int timeout_ms)
{
	struct epoll_event events[3];

	return epoll_wait(a->epoll_fd, events, 3, nap_ms(a, timeout_ms)) >= 0;
}
