/* The kernel's half of bench/sender: one call of it makes one frame.
 *
 * BPF_PROG_TEST_RUN with BPF_F_TEST_XDP_LIVE_FRAMES (Linux
 * Documentation/bpf/bpf_prog_run.rst) runs an XDP program over pages of its
 * own, batch by batch, and does what the program says with each.  This one
 * writes the next frame of the map into the page and sends it on.  Before
 * the first frame of a batch it waits until the batch is due; waiting is
 * counted, so that what sending cost can be told.
 *
 * SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "sender.h"

#define LATE_MAX_NS 1000000 /* what was missed longer ago is not made up */
#define LOOKS_MAX   65536   /* at the clock, in one wait */

const volatile struct sender_setup setup = {};
struct sender_counts counts = {};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct sender_frame) + 8);
} frames SEC(".maps");

static long due(__u32 look, void *context)
{
	(void)look;
	return bpf_ktime_get_ns() >= *(__u64 *)context;
}

static void batch_begin(void)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 next = counts.next_ns;

	if (!counts.first_ns)
		counts.first_ns = now;
	counts.last_ns = now;
	counts.timed = counts.sent;
	if (!setup.gap_ns)
		return;
	if (next + LATE_MAX_NS < now)
		next = now;
	if (now < next) {
		bpf_loop(LOOKS_MAX, due, &next, 0);
		counts.waited_ns += bpf_ktime_get_ns() - now;
	}
	counts.next_ns = next + setup.gap_ns;
}

static int frame_make(struct xdp_md *context, struct sender_frame *frame)
{
	__u32 size = frame->size;
	__u32 is = context->data_end - context->data;

	if (size == 0 || size > setup.room)
		return -1;
	if (size != is && bpf_xdp_adjust_tail(context, (int)(size - is)))
		return -1;
	if (bpf_xdp_store_bytes(context, 0, frame->bytes, size))
		return -1;
	counts.bytes += size;
	return 0;
}

SEC("xdp")
int sender(struct xdp_md *context)
{
	struct sender_frame *frame;
	__u32 at = counts.at;

	if ((counts.sent + counts.failed) % setup.batch == 0)
		batch_begin();
	frame = bpf_map_lookup_elem(&frames, &at);
	counts.at = at + 1 < setup.count ? at + 1 : 0;
	if (!frame || frame_make(context, frame)) {
		counts.failed++;
		return XDP_DROP;
	}
	counts.sent++;
	return bpf_redirect(setup.ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
