/* io_uring, one operation at a time, by system calls. */
#include "traffic.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct uring {
	int fd;
	unsigned int *tail, *mask, *array, *done_head, *done_tail, *done_mask;
	struct io_uring_sqe *wanted;
	struct io_uring_cqe *done;
};

struct uring *uring_open(void)
{
	static struct uring ring;
	struct io_uring_params params = {0};
	char *out, *in;

	ring.fd = (int)syscall(SYS_io_uring_setup, 8, &params);
	if (ring.fd < 0)
		return NULL;
	out = mmap(NULL, params.sq_off.array + params.sq_entries * 4,
		   PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd,
		   IORING_OFF_SQ_RING);
	in = mmap(NULL,
		  params.cq_off.cqes + params.cq_entries * sizeof *ring.done,
		  PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd,
		  IORING_OFF_CQ_RING);
	ring.wanted = mmap(NULL, params.sq_entries * sizeof *ring.wanted,
			   PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd,
			   IORING_OFF_SQES);
	need(out != MAP_FAILED && in != MAP_FAILED && ring.wanted != MAP_FAILED,
	     "io_uring");
	ring.tail = (unsigned int *)(out + params.sq_off.tail);
	ring.mask = (unsigned int *)(out + params.sq_off.ring_mask);
	ring.array = (unsigned int *)(out + params.sq_off.array);
	ring.done_head = (unsigned int *)(in + params.cq_off.head);
	ring.done_tail = (unsigned int *)(in + params.cq_off.tail);
	ring.done_mask = (unsigned int *)(in + params.cq_off.ring_mask);
	ring.done = (struct io_uring_cqe *)(in + params.cq_off.cqes);
	return &ring;
}

/* A zero-copy send answers twice: its result, then a notice. */
int uring_do(struct uring *ring, int operation, int fd, void *at,
	     unsigned int size)
{
	unsigned int tail = *ring->tail, slot = tail & *ring->mask;
	unsigned int submit = 1, answers = 0, wanted = 1;
	int result = 0;

	ring->wanted[slot] = (struct io_uring_sqe){
		.opcode = (uint8_t)operation,
		.fd = fd,
		.addr = (uintptr_t)at,
		.len = size,
	};
	ring->array[slot] = slot;
	__atomic_store_n(ring->tail, tail + 1, __ATOMIC_RELEASE);
	while (answers < wanted) {
		unsigned int head = *ring->done_head;

		(void)syscall(SYS_io_uring_enter, ring->fd, submit, 1,
			      IORING_ENTER_GETEVENTS, NULL, 0);
		submit = 0;
		while (head !=
		       __atomic_load_n(ring->done_tail, __ATOMIC_ACQUIRE)) {
			struct io_uring_cqe *answer =
				&ring->done[head++ & *ring->done_mask];

			if (!(answer->flags & 8 /* NOTIF */)) {
				result = answer->res;
				if (answer->flags & 2 /* MORE */)
					wanted = 2;
			}
			answers++;
		}
		__atomic_store_n(ring->done_head, head, __ATOMIC_RELEASE);
	}
	errno = result < 0 ? -result : 0;
	return result;
}
