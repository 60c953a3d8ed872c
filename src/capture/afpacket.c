/* Frames from the kernel without a copy: AF_PACKET with a mapped ring.
 *
 * The sum that holds at any quiet moment: frames that passed the kernel's
 * filter = received + filtered + dropped_kernel.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/afpacket_private.h"

#define TAG_SIZE  4
#define MACS_SIZE 12 /* both addresses of an Ethernet header */

#define LINE_SIZE    64  /* of a cache */
#define HEADER_LINES 3   /* the ring's header and a frame's beginning */
#define STEP_SMALL   256 /* bytes from one frame to the next */
#define STEPS_AHEAD  3
#define FETCH_SIZE   2048 /* ahead of the frame that is looked at */

/* After a stop: what another CPU was taking in just then has arrived. */
#define SETTLE_NS (INT64_C(2000000) * AFPACKET_RETIRE_MS)

static struct afpacket *afpacket(struct capture *capture)
{
	return (struct afpacket *)capture;
}

/* --- frames ----------------------------------------------------------- */

/* Puts the VLAN tag back that the kernel keeps beside the frame: moves the
 * addresses down into the room that was reserved. */
static void tag_insert(const struct tpacket3_hdr *header, struct frame *frame)
{
	uint16_t tpid = header->tp_status & TP_STATUS_VLAN_TPID_VALID
				? header->hv1.tp_vlan_tpid
				: ETH_P_8021Q;
	uint32_t tci = header->hv1.tp_vlan_tci;
	uint8_t *bytes = (uint8_t *)frame->bytes - TAG_SIZE;

	memmove(bytes, frame->bytes, MACS_SIZE);
	bytes[MACS_SIZE] = (uint8_t)(tpid >> 8);
	bytes[MACS_SIZE + 1] = (uint8_t)tpid;
	bytes[MACS_SIZE + 2] = (uint8_t)(tci >> 8);
	bytes[MACS_SIZE + 3] = (uint8_t)tci;
	frame->bytes = bytes;
	frame->captured_size += TAG_SIZE;
	frame->size += TAG_SIZE;
}

/* From the virtio_net_hdr before the frame. */
static inline uint16_t gso_size(const uint8_t *bytes)
{
	const uint8_t *header = bytes - sizeof(struct virtio_net_hdr);
	uint16_t size;

	if (header[offsetof(struct virtio_net_hdr, gso_type)] ==
	    VIRTIO_NET_HDR_GSO_NONE)
		return 0;
	memcpy(&size, header + offsetof(struct virtio_net_hdr, gso_size),
	       sizeof size);
	return size;
}

static enum stamp_source source_of(const struct tpacket3_hdr *header)
{
	return header->tp_status & TP_STATUS_TS_RAW_HARDWARE ? STAMP_HARDWARE
							     : STAMP_KERNEL;
}

static void origin_find(struct afpacket *a, const struct sockaddr_ll *link)
{
	struct afpacket_origin *o = &a->origin;

	o->ifindex = link->sll_ifindex;
	o->hatype = link->sll_hatype;
	o->link_type = link_type_of(o->hatype);
	o->looked = afpacket_filter_needed(a->filter, o->link_type, false);
	if (!links_number_now(a->links, o->ifindex, &o->number, &o->since))
		o->since.ns = INT64_MAX;
}

static const struct sockaddr_ll *link_of(const struct tpacket3_hdr *header)
{
	return (const void *)((const uint8_t *)header +
			      TPACKET_ALIGN(sizeof *header));
}

static struct wall stamped_at(const struct tpacket3_hdr *header)
{
	return (struct wall){(int64_t)header->tp_sec * NS_PER_S +
			     header->tp_nsec};
}

/* Whether a frame is from the origin, and needs no second look. */
static inline bool plain(const struct afpacket_origin *o,
			 const struct tpacket3_hdr *header)
{
	const struct sockaddr_ll *link = link_of(header);

	return link->sll_ifindex == o->ifindex &&
	       link->sll_hatype == o->hatype && !o->looked &&
	       !(header->tp_status & TP_STATUS_VLAN_VALID) &&
	       !wall_before(stamped_at(header), o->since);
}

/* Field by field: made elsewhere and copied, it would be read by wider loads
 * than the stores just before them. */
static inline void frame_set(const struct afpacket *a,
			     const struct tpacket3_hdr *header,
			     struct frame *ret_frame)
{
	const struct sockaddr_ll *link = link_of(header);
	const uint8_t *bytes = (const uint8_t *)header + header->tp_mac;

	ret_frame->bytes = bytes;
	ret_frame->captured_size = header->tp_snaplen;
	ret_frame->size = header->tp_len;
	ret_frame->stamp.at = stamped_at(header);
	ret_frame->stamp.source = source_of(header);
	ret_frame->link_type = a->origin.link_type;
	ret_frame->interface = a->origin.number;
	ret_frame->gso_size = a->vnet ? gso_size(bytes) : 0;
	ret_frame->outgoing = link->sll_pkttype == PACKET_OUTGOING;
}

/* A frame that is not plain.  Returns false if it is not wanted. */
static __attribute__((noinline)) bool
frame_make(struct afpacket *a, const struct tpacket3_hdr *header,
	   struct frame *ret_frame)
{
	const struct sockaddr_ll *link = link_of(header);
	bool tagged = header->tp_status & TP_STATUS_VLAN_VALID;
	uint16_t link_type;

	if (link->sll_ifindex != a->origin.ifindex ||
	    link->sll_hatype != a->origin.hatype)
		origin_find(a, link);
	link_type = a->origin.link_type;
	frame_set(a, header, ret_frame);
	if (wall_before(ret_frame->stamp.at, a->origin.since))
		ret_frame->interface = links_number(a->links, link->sll_ifindex,
						    ret_frame->stamp.at);
	if (tagged && link_type == LINK_ETHERNET &&
	    header->tp_snaplen >= MACS_SIZE)
		tag_insert(header, ret_frame);
	if (afpacket_filter_needed(a->filter, link_type, tagged) &&
	    !afpacket_filter_run(a->filter, ret_frame, link->sll_ifindex)) {
		a->capture.counters.filtered++;
		return false;
	}
	return true;
}

static inline void headers_fetch(const uint8_t *at)
{
	for (size_t i = 0; i < HEADER_LINES; i++)
		__builtin_prefetch(at + i * LINE_SIZE);
}

/* Asks for the frames to come: another CPU wrote them, and to wait for each
 * costs more than all that is done with it.  Small ones follow one another
 * without a gap; of large ones only the headers are wanted, and the next few
 * are likely to be as far apart as the last two. */
static inline const uint8_t *frames_fetch(const uint8_t *near,
					  const uint8_t *next, uint32_t step)
{
	if (step > STEP_SMALL) {
		headers_fetch(next);
		headers_fetch(next + (size_t)step * STEPS_AHEAD);
		return next;
	}
	if (near < next)
		near = next;
	for (; near < next + FETCH_SIZE; near += LINE_SIZE)
		__builtin_prefetch(near);
	return near;
}

/* Takes up to 'count_max' wanted frames of the block under the cursor. */
static int block_walk(struct afpacket *a, int count_max,
		      struct frame *ret_frames)
{
	struct afpacket_block *block = &a->ring.blocks[a->ring.cursor];
	const uint8_t *next = a->ring.next;
	const uint8_t *near = a->ring.near;
	uint64_t size_sum = 0;
	uint32_t left = a->ring.left, snap_size = a->snap_size;
	uint64_t taken = 0;
	int count = 0;

	for (; left && count < count_max; left--) {
		const struct tpacket3_hdr *header = (const void *)next;
		struct frame *frame = &ret_frames[count];

		next += header->tp_next_offset;
		near = frames_fetch(near, next, header->tp_next_offset);
		/* a frame that the kernel gave up half-way has no status; it
		 * counted it as dropped */
		if (!(header->tp_status & TP_STATUS_USER))
			continue;
		taken++;
		if (plain(&a->origin, header))
			frame_set(a, header, frame);
		else if (!frame_make(a, header, frame))
			continue;
		if (frame->captured_size > snap_size)
			frame->captured_size = snap_size;
		frame->hold = block;
		size_sum += frame->size;
		count++;
	}
	a->taken += taken;
	a->ring.next = next;
	a->ring.near = near;
	a->ring.left = left;
	block->held += (uint32_t)count;
	a->capture.counters.received += (uint64_t)count;
	a->capture.counters.received_bytes += size_sum;
	if (!left)
		afpacket_ring_end(&a->ring);
	return count;
}

static bool links_follow(struct afpacket *a)
{
	if (!links_update(a->links))
		return false;
	a->origin.ifindex = 0;
	return true;
}

/* Interfaces that changed are known before the frames behind the change. */
static bool block_begin(struct afpacket *a)
{
	if (!afpacket_ring_begin(&a->ring))
		return false;
	a->changed |= links_follow(a);
	return true;
}

static int frames_take(struct afpacket *a, int count_max,
		       struct frame *ret_frames)
{
	int count = 0;

	while (count < count_max) {
		if (!a->ring.left && !block_begin(a))
			break;
		if (a->ring.left)
			count += block_walk(a, count_max - count,
					    ret_frames + count);
	}
	return count;
}

/* --- waiting ---------------------------------------------------------- */

/* Nothing is ready: sees to what may be the matter.  Returns 0, ERR_END
 * after a stop, or a negative errno. */
static int idle(struct afpacket *a)
{
	int code;

	if (links_follow(a) || a->changed || !a->armed || a->ifindex < 0) {
		a->changed = false;
		code = afpacket_socket_follow(a);
		if (code < 0)
			return code;
	}
	code = afpacket_socket_error(a);
	if (code < 0)
		return fault_set(&a->capture.fault, code, "%s: %s", a->target,
				 err_sentence(code));
	if (!a->capture.quiesced ||
	    mono_ns_between(a->quiesced_at, mono_now()) < SETTLE_NS)
		return 0;
	afpacket_socket_count(a);
	return a->taken >= a->placed ? ERR_END : 0;
}

static int ms_left(int timeout_ms, struct mono start)
{
	int64_t gone_ms = mono_ns_between(start, mono_now()) / 1000000;

	if (timeout_ms < 0)
		return -1;
	return gone_ms >= timeout_ms ? 0 : timeout_ms - (int)gone_ms;
}

/* Nothing is ready: waits for it. */
static int frames_wait(struct afpacket *a, int timeout_ms, int count_max,
		       struct frame *ret_frames)
{
	struct mono start = mono_now();
	int left_ms = timeout_ms;
	int count = 0;
	int code;

	for (;;) {
		if (afpacket_ring_full(&a->ring))
			left_ms = timeout_ms = 0; /* all of it is lent */
		code = idle(a);
		if (code < 0)
			return code;
		afpacket_socket_rest(a);
		if (!afpacket_socket_wait(a, left_ms))
			return 0;
		count = frames_take(a, count_max, ret_frames);
		if (count || !left_ms)
			return count;
		left_ms = ms_left(timeout_ms, start);
	}
}

static int afpacket_next(struct capture *capture, int timeout_ms, int count_max,
			 struct frame *ret_frames)
{
	struct afpacket *a = afpacket(capture);
	int count = frames_take(a, count_max, ret_frames);

	if (count)
		return count;
	count = frames_wait(a, timeout_ms, count_max, ret_frames);
	if (count > 0)
		afpacket_socket_rearm(a);
	return count;
}

static void afpacket_release(struct capture *capture,
			     const struct frame *frames, int count)
{
	struct afpacket *a = afpacket(capture);

	for (int i = 0; i < count;) {
		struct afpacket_block *block = frames[i].hold;
		int first = i;

		while (i < count && frames[i].hold == block)
			i++;
		block->held -= (uint32_t)(i - first);
		if (block->held == 0)
			afpacket_ring_put(&a->ring, block);
	}
}

/* --- the rest --------------------------------------------------------- */

static bool afpacket_suits(const char *target)
{
	return strcmp(target, "any") == 0 || if_nametoindex(target);
}

static void link_type_take(void *context, const struct link *link)
{
	*(uint16_t *)context = link->info.link_type;
}

/* The link type for which the filter has to compile. */
static uint16_t target_link_type(const struct afpacket *a)
{
	uint16_t link_type = LINK_ETHERNET;
	int ifindex = a->any ? 0 : (int)if_nametoindex(a->target);

	if (ifindex)
		links_walk(ifindex, link_type_take, &link_type);
	return link_type;
}

static int options_take(struct afpacket *a,
			const struct capture_options *options,
			struct fault *ret_fault)
{
	if (strlen(options->target) >= sizeof a->target)
		return fault_set(ret_fault, -ENODEV,
				 "%s: no such interface; 'ip link' lists them",
				 options->target);
	memcpy(a->target, options->target, strlen(options->target) + 1);
	a->any = strcmp(a->target, "any") == 0;
	a->promiscuous = options->promiscuous;
	a->stamp_wanted = options->stamp;
	a->ring_size = options->ring_size;
	a->snap_size = options->snap_size ?: CAPTURE_SNAP_MAX;
	if (a->snap_size > CAPTURE_SNAP_MAX)
		a->snap_size = CAPTURE_SNAP_MAX;
	a->member = (struct afpacket_member){
		options->fanout_group, options->worker, options->worker_count};
	return 0;
}

static int afpacket_setup(struct afpacket *a,
			  const struct capture_options *options,
			  struct fault *ret_fault)
{
	struct epoll_event event = {.events = EPOLLIN};
	int code = options_take(a, options, ret_fault);

	if (code == 0)
		code = afpacket_filter_open(options->filter, a->snap_size,
					    target_link_type(a), &a->filter,
					    ret_fault);
	if (code < 0)
		return code;
	code = links_open(a->any ? NULL : a->target, &a->links);
	if (code < 0)
		return fault_set(ret_fault, code, "rtnetlink: %s",
				 err_sentence(code));
	a->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (a->timer_fd < 0 || a->epoll_fd < 0 ||
	    epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, a->timer_fd, &event) != 0 ||
	    epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, links_fd(a->links), &event) !=
		    0)
		return fault_set(ret_fault, -errno, "epoll: %s",
				 err_sentence(-errno));
	return afpacket_socket_open(a, ret_fault);
}

static void afpacket_close(struct capture *capture)
{
	struct afpacket *a = afpacket(capture);

	afpacket_socket_close(a);
	if (a->spare_fd >= 0)
		close(a->spare_fd);
	if (a->epoll_fd >= 0)
		close(a->epoll_fd);
	if (a->timer_fd >= 0)
		close(a->timer_fd);
	links_close(a->links);
	afpacket_filter_close(a->filter);
	free(a);
}

static int afpacket_open(const struct capture_options *options,
			 struct capture **ret_capture, struct fault *ret_fault)
{
	struct afpacket *a = calloc(1, sizeof *a);
	int code;

	if (!a)
		return fault_set(ret_fault, -ENOMEM, "%s: %s", options->target,
				 err_sentence(-ENOMEM));
	a->capture.ops = &afpacket_ops;
	a->fd = a->spare_fd = a->epoll_fd = a->timer_fd = -1;
	code = afpacket_setup(a, options, ret_fault);
	if (code < 0) {
		afpacket_close(&a->capture);
		return code;
	}
	a->opened = true;
	a->lost_before = links_rx_lost(a->ifindex);
	*ret_capture = &a->capture;
	return 0;
}

static int afpacket_quiesce(struct capture *capture)
{
	struct afpacket *a = afpacket(capture);
	struct sock_fprog nothing = afpacket_filter_nothing();

	a->quiesced_at = mono_now();
	if (a->fd < 0 || setsockopt(a->fd, SOL_SOCKET, SO_ATTACH_FILTER,
				    &nothing, sizeof nothing) == 0)
		return 0;
	return fault_set(&a->capture.fault, -errno, "%s: cannot stop: %s",
			 a->target, err_sentence(-errno));
}

static int afpacket_fd(const struct capture *capture)
{
	return ((const struct afpacket *)capture)->epoll_fd;
}

static const char *afpacket_interface(const struct capture *capture,
				      uint16_t index)
{
	return links_name(((const struct afpacket *)capture)->links, index);
}

/* The card's losses are of the interface, not of a member: the first member
 * counts them.  They start at 0 again with an interface that comes back. */
static void interface_count(struct afpacket *a)
{
	struct mono now = mono_now();
	uint64_t lost;

	if (a->member.number || a->ifindex < 0)
		return;
	if (!a->capture.quiesced && mono_ns_between(a->lost_at, now) < NS_PER_S)
		return; /* to ask costs more than the socket's counters do */
	a->lost_at = now;
	lost = links_rx_lost(a->ifindex);
	if (lost > a->lost_before)
		a->capture.counters.dropped_interface += lost - a->lost_before;
	a->lost_before = lost;
}

static void afpacket_stats(struct capture *capture)
{
	afpacket_socket_count(afpacket(capture));
	interface_count(afpacket(capture));
}

static enum stamp_source afpacket_stamp_source(const struct capture *capture)
{
	return ((const struct afpacket *)capture)->stamp_source;
}

const struct capture_ops afpacket_ops = {
	.about = {"afpacket", "interfaces, by a ring shared with the kernel",
		  true},
	.suits = afpacket_suits,
	.open = afpacket_open,
	.next = afpacket_next,
	.release = afpacket_release,
	.quiesce = afpacket_quiesce,
	.fd = afpacket_fd,
	.interface = afpacket_interface,
	.stats = afpacket_stats,
	.stamp_source = afpacket_stamp_source,
	.close = afpacket_close,
};
