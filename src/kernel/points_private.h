/* What the files of the points' loader share.  Included by this room only. */
#ifndef KERNEL_POINTS_PRIVATE_H
#define KERNEL_POINTS_PRIVATE_H

#include "base/err.h"
#include "kernel/kernel.h"
#include "kernel/points_shared.h"

/* A program of points.bpf.c. */
struct points_program {
	const char *name;
	const char *target; /* the tracepoint or function in the kernel */
	enum tier tier;
	uint32_t points;    /* that it alone gives, by bit */
	const char *unless; /* not if this tracepoint is there */
};

extern const struct points_program points_programs[];
extern const size_t points_program_count;

/* The compiled programs: points_object.c and exchange_object.c, made by
 * tools/embed.py. */
extern const unsigned char points_object[];
extern const size_t points_object_size;
extern const unsigned char exchange_object[];
extern const size_t exchange_object_size;

/* points_clock.c: what to add to a time of the programs to have wall time. */
int64_t points_offset_ns(int64_t sample_ns);

#endif
