/* What the two halves of bench/sender share: the program in the kernel
 * (sender.bpf.c) and the one that starts it (sender.c).
 */
#ifndef SENDER_H
#define SENDER_H

#include <linux/types.h>

/* Set before the program is loaded; constants to the kernel's verifier. */
struct sender_setup {
	__u32 ifindex; /* where frames leave */
	__u32 count;   /* of the map's frames, at least 1 */
	__u32 room;    /* bytes of the longest */
	__u32 batch;   /* frames sent at once */
	__u64 gap_ns;  /* from batch to batch; 0: as fast as it can */
};

/* Counted by the program, read by who started it. */
struct sender_counts {
	__u64 sent; /* frames that were given to the interface */
	__u64 bytes;
	__u64 waited_ns; /* for a batch's time */
	__u64 next_ns;   /* when the next batch is due */
	__u64 first_ns;  /* when the first batch began to wait */
	__u64 last_ns;   /* the same of the last one */
	__u64 timed;     /* frames sent between these two */
	__u32 at;        /* the map's frame whose turn it is */
	__u32 failed;    /* frames that could not be made */
};

/* An item of the map: 'size' bytes of a frame, then up to 'room'. */
struct sender_frame {
	__u32 size;
	__u8 bytes[];
};

#endif
