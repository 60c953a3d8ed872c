/* The frames that bench/sender sends in turn. */
#ifndef SENDER_POOL_H
#define SENDER_POOL_H

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "traffic.h"

/* Of an interface with an MTU of 1,500, with a tag. */
#define SENDER_FRAME_MAX 1518

struct pool {
	uint8_t *bytes; /* of every frame, one after the other */
	uint32_t *sizes;
	uint32_t count;
	uint32_t room;    /* bytes of the longest */
	uint32_t skipped; /* of a file: too long, too short, cut */
	size_t used, size;
};

/* Fills an empty pool with 'count' frames (0: four a flow, at least 65,536).
 * Returns 0, or -1: the sentence is said. */
int pool_from_traffic(struct pool *pool, const struct traffic_options *options,
		      uint64_t count);

/* The same with a capture file's, up to 'most' (0: all). */
int pool_from_file(struct pool *pool, const char *path, uint64_t most);

void pool_free(struct pool *pool);

/* One line on standard error, with "%m" for errno; returns -1. */
__attribute__((format(printf, 1, 2))) static inline int
sender_fail(const char *format, ...)
{
	int code = errno;
	va_list arguments;

	va_start(arguments, format);
	fputs("sender: ", stderr);
	errno = code;
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return -1;
}

#endif
