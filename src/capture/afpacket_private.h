/* The parts of the afpacket backend, one file each:
 *
 *     afpacket.c          opening, taking frames, counting, closing
 *     afpacket_socket.c   the socket, what it is bound to, coming and going
 *     afpacket_ring.c     the mapped ring and its blocks
 *     afpacket_filter.c   which frames are wanted, in the kernel and here
 *     afpacket_fanout.c   one interface over several captures
 *     afpacket_stamp.c    the card's clock
 */
#ifndef AFPACKET_PRIVATE_H
#define AFPACKET_PRIVATE_H

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>

#include "capture/capture_private.h"
#include "capture/links_private.h"

/* The kernel closes a block that is not full after this time, so that a
 * frame on a quiet link is seen 5 to 20 ms late.  Half of it doubles the
 * timer's cost, which an idle capture pays too: 100 times 2 us a second. */
#define AFPACKET_RETIRE_MS 10

/* While blocks come faster than this, they are let gather for so long: to be
 * woken costs as much as some hundred frames. */
#define AFPACKET_NAP_NS INT64_C(5000000)

/* ... and for no longer than it takes to fill half of the ring at 100 Gbit/s:
 * a byte of it lasts 0.04 ns. */
#define AFPACKET_RING_BYTES_A_NS 25

/* Room before each frame for a VLAN tag, and so that the IP header behind an
 * Ethernet header starts at a multiple of 16. */
#define AFPACKET_RESERVE 6

/* --- ring ------------------------------------------------------------- */

struct afpacket_block {
	struct tpacket_block_desc *desc;
	uint32_t held; /* frames given out and not yet released */
	bool owned;    /* ours, not the kernel's */
	bool walked;   /* every frame of it was looked at */
};

struct afpacket_ring {
	uint8_t *map; /* NULL: no ring */
	struct afpacket_block *blocks;
	uint32_t block_size; /* bytes */
	uint32_t block_count;
	uint32_t cursor; /* the block that is walked, or to be walked next */
	uint32_t left;   /* its frames not yet looked at */
	const uint8_t *next; /* the first of these */
	const uint8_t *near; /* what lies before it was fetched */
	uint32_t owned_count;
	uint64_t begun; /* blocks, since it was opened */
};

/* Makes the socket's ring of about 'size' bytes, whose blocks each take a
 * frame of 'snap_size' bytes, and maps it.  Returns 0 or a negative errno
 * with its sentence. */
int afpacket_ring_open(struct afpacket_ring *ring, int fd, uint64_t size,
		       uint32_t snap_size, struct fault *ret_fault);

void afpacket_ring_close(struct afpacket_ring *ring);

/* Starts on the next block if the kernel has filled it. */
bool afpacket_ring_begin(struct afpacket_ring *ring);

/* Ends the block under the cursor once none of its frames is left. */
void afpacket_ring_end(struct afpacket_ring *ring);

/* Gives a block back to the kernel if nothing of it is needed. */
void afpacket_ring_put(struct afpacket_ring *ring,
		       struct afpacket_block *block);

/* Whether every block is held by the reader. */
static inline bool afpacket_ring_full(const struct afpacket_ring *ring)
{
	return ring->map && ring->blocks[ring->cursor].owned && !ring->left;
}

/* --- filter ----------------------------------------------------------- */

#define AFPACKET_PROGRAM_MAX 4096 /* BPF_MAXINSNS */

/* One expression, compiled for the link types that can be decoded. */
struct afpacket_filter;

/* Compiles; an empty expression wants everything.  'link_type' is the one
 * for which it has to compile.  Returns 0, ERR_FILTER or -ENOMEM. */
int afpacket_filter_open(const char *expression, uint32_t snap_size,
			 uint16_t link_type,
			 struct afpacket_filter **ret_filter,
			 struct fault *ret_fault);

void afpacket_filter_close(struct afpacket_filter *filter);

/* The kernel's part; it passes what afpacket_filter_run() has to look at. */
struct sock_fprog afpacket_filter_program(const struct afpacket_filter *filter);

/* Takes the expression out of the kernel's part: too long for it.  Returns
 * false if it was out already. */
bool afpacket_filter_keep_out(struct afpacket_filter *filter);

/* Whether a frame that the kernel passed has to be looked at here. */
bool afpacket_filter_needed(const struct afpacket_filter *filter,
			    uint16_t link_type, bool tagged);

/* Whether this frame is wanted.  'ifindex' is the kernel's number. */
bool afpacket_filter_run(struct afpacket_filter *filter,
			 const struct frame *frame, int ifindex);

/* Passes nothing. */
struct sock_fprog afpacket_filter_nothing(void);

/* --- fanout ----------------------------------------------------------- */

struct afpacket_member {
	uint16_t group;
	uint16_t number; /* of 'count' */
	uint16_t count;  /* 0 or 1: no fanout */
};

/* Makes a bound socket a member.  Returns 0 or a negative errno: -EINVAL
 * where the kernel cannot do it now (older ones: the interface is down). */
int afpacket_fanout_join(int fd, const struct afpacket_member *member);

/* Tells that a member has joined and takes in nothing yet.  The call of the
 * last one attaches 'program' to all of them, so that no flow's first frames
 * go to another member than its later ones. */
int afpacket_fanout_arm(int fd, const struct afpacket_member *member,
			const struct sock_fprog *program);

/* Before the socket is closed. */
void afpacket_fanout_leave(int fd, const struct afpacket_member *member);

/* --- stamps ----------------------------------------------------------- */

/* Asks the card for its own stamps on every frame.  Returns where stamps
 * come from then, or a negative errno with its sentence where 'want' is
 * CAPTURE_STAMP_HARDWARE and the card has none. */
int afpacket_stamp_setup(int fd, const char *name, enum capture_stamp want,
			 struct fault *ret_fault);

/* --- the backend ------------------------------------------------------ */

/* What frames from one interface have in common. */
struct afpacket_origin {
	int ifindex; /* 0: none */
	uint16_t hatype;
	uint16_t link_type;
	uint16_t number;
	bool looked;       /* at each frame, by the filter in this process */
	struct wall since; /* older frames may be of another number */
};

struct afpacket {
	struct capture capture;
	struct afpacket_ring ring;
	struct afpacket_filter *filter;
	struct links *links;
	struct afpacket_origin origin; /* of the last frame */
	struct afpacket_member member;
	enum capture_stamp stamp_wanted;
	enum stamp_source stamp_source;
	uint64_t ring_size;
	uint32_t snap_size;
	int fd;       /* -1: gone, and being made anew */
	int spare_fd; /* for then: by then there may be no privilege */
	int epoll_fd;
	int timer_fd;
	bool muted;            /* frames do not wake, the timer does */
	struct mono nap_end;   /* when it does */
	struct mono rested_at; /* when the ring was found empty last */
	uint64_t rested_begun; /* and how many blocks it had begun by then */
	int ifindex;           /* bound to; 0: to all, -1: it is gone */
	bool any;              /* every interface */
	bool promiscuous;
	bool vnet;    /* a virtio_net_hdr stands before each frame */
	bool armed;   /* takes in frames */
	bool joined;  /* the fanout group */
	bool opened;  /* the first time */
	bool changed; /* interfaces have, and nobody looked yet */
	struct mono quiesced_at;
	uint64_t placed;      /* frames the kernel has put into rings */
	uint64_t taken;       /* of these, frames looked at */
	uint64_t lost_before; /* rx_lost when it was counted last */
	struct mono lost_at;
	char target[IFNAMSIZ];
};

/* Opens the socket with its ring and binds it to the target. */
int afpacket_socket_open(struct afpacket *a, struct fault *ret_fault);

/* Undoes it; what was counted stays. */
void afpacket_socket_close(struct afpacket *a);

/* Reads the socket's counters, which start again at 0 each time. */
void afpacket_socket_count(struct afpacket *a);

/* After a change of interfaces: binds to the target if it has gone and come
 * back.  Returns 0 or a negative errno with its sentence. */
int afpacket_socket_follow(struct afpacket *a);

/* Waits up to timeout_ms (-1: for ever) for frames or changes since the last
 * wait: look at the ring between two waits.  Returns false when a signal
 * came. */
bool afpacket_socket_wait(struct afpacket *a, int timeout_ms);

/* The ring is empty: waits are to be woken by frames or, where they come in
 * numbers, by a timer. */
void afpacket_socket_rest(struct afpacket *a);

/* After a wait that found frames: there may be more than were taken, so that
 * the descriptor has to be readable still. */
void afpacket_socket_rearm(struct afpacket *a);

/* Reads the socket's pending error: 0, also for an interface that is down
 * or gone, or a negative errno. */
int afpacket_socket_error(const struct afpacket *a);

#endif
