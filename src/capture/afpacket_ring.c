/* The mapped ring: TPACKET_V3 (packet(7), Linux
 * Documentation/networking/packet_mmap.rst).
 *
 * The kernel fills blocks in turn, each with as many frames as fit, and
 * hands a block over when it is full or AFPACKET_RETIRE_MS old.  A block
 * goes back once all its frames have been looked at and those given out are
 * released.  When the block whose turn it is has not come back, the kernel
 * drops and counts: what is held is never written to.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "capture/afpacket_private.h"

#define BLOCK_SIZE_MIN  (256U << 10)
#define BLOCK_COUNT_MIN 2
#define OVERHEAD        512 /* a block's and a frame's headers, at most */

/* Small blocks let a reader stall longer: on a quiet link each block carries
 * little and the ring lasts for its number of blocks. */
static uint32_t block_size_for(uint32_t snap_size)
{
	uint32_t size = BLOCK_SIZE_MIN;

	while (size < snap_size + OVERHEAD)
		size *= 2;
	return size;
}

static int ring_set(const struct afpacket_ring *ring, int fd)
{
	struct tpacket_req3 request = {
		.tp_block_size = ring->block_size,
		.tp_block_nr = ring->block_count,
		.tp_frame_size = ring->block_size,
		.tp_frame_nr = ring->block_count,
		.tp_retire_blk_tov = AFPACKET_RETIRE_MS,
	};

	return setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request,
			  sizeof request) == 0
		       ? 0
		       : -errno;
}

static size_t ring_size(const struct afpacket_ring *ring)
{
	return (size_t)ring->block_size * ring->block_count;
}

static int ring_map(struct afpacket_ring *ring, int fd)
{
	void *map;

	ring->blocks = calloc(ring->block_count, sizeof *ring->blocks);
	if (!ring->blocks)
		return -ENOMEM;
	map = mmap(NULL, ring_size(ring), PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	ring->map = map;
	for (uint32_t i = 0; i < ring->block_count; i++)
		ring->blocks[i].desc =
			(void *)(ring->map + (size_t)i * ring->block_size);
	return 0;
}

int afpacket_ring_open(struct afpacket_ring *ring, int fd, uint64_t size,
		       uint32_t snap_size, struct fault *ret_fault)
{
	uint64_t count;
	int code;

	*ring = (struct afpacket_ring){.block_size = block_size_for(snap_size)};
	count = size / ring->block_size;
	if (count < BLOCK_COUNT_MIN)
		count = BLOCK_COUNT_MIN;
	if (count > UINT32_MAX / 2)
		return fault_set(ret_fault, -EINVAL, "ring size: too large");
	ring->block_count = (uint32_t)count;
	code = ring_set(ring, fd);
	if (code == 0)
		code = ring_map(ring, fd);
	if (code == 0)
		return 0;
	fault_set(ret_fault, code,
		  "no memory for a ring of %zu MiB: %s; a smaller ring size "
		  "or fewer workers need less",
		  ring_size(ring) >> 20, err_sentence(code));
	afpacket_ring_close(ring);
	return code;
}

void afpacket_ring_close(struct afpacket_ring *ring)
{
	if (ring->map)
		munmap(ring->map, ring_size(ring));
	free(ring->blocks);
	*ring = (struct afpacket_ring){0};
}

bool afpacket_ring_begin(struct afpacket_ring *ring)
{
	struct afpacket_block *block = &ring->blocks[ring->cursor];
	struct tpacket_hdr_v1 *header;

	if (!ring->map)
		return false;
	header = &block->desc->hdr.bh1;
	if (block->owned ||
	    !(__atomic_load_n(&header->block_status, __ATOMIC_ACQUIRE) &
	      TP_STATUS_USER))
		return false;
	block->owned = true;
	block->walked = false;
	ring->owned_count++;
	ring->begun++;
	ring->left = header->num_pkts;
	ring->next = (const uint8_t *)block->desc + header->offset_to_first_pkt;
	ring->near = ring->next;
	if (!ring->left)
		afpacket_ring_end(ring);
	return true;
}

void afpacket_ring_end(struct afpacket_ring *ring)
{
	struct afpacket_block *block = &ring->blocks[ring->cursor];

	block->walked = true;
	ring->cursor++;
	if (ring->cursor == ring->block_count)
		ring->cursor = 0;
	afpacket_ring_put(ring, block);
}

void afpacket_ring_put(struct afpacket_ring *ring, struct afpacket_block *block)
{
	if (block->held || !block->walked)
		return;
	block->owned = false;
	ring->owned_count--;
	__atomic_store_n(&block->desc->hdr.bh1.block_status, TP_STATUS_KERNEL,
			 __ATOMIC_RELEASE);
}
