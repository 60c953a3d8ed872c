/* The bytes of a file, in chunks that frames point into.
 *
 * One chunk is being filled; whoever still holds frames of another keeps
 * that one.  While nothing is held, the bytes go over and over through the
 * first few hundred KiB of one chunk, which then never leave the cache; while
 * little is held, through those of the chunk that came back last.
 *
 * The tail that a chunk begins with is placed so that the read behind it
 * starts on a page: copying out of the page cache is faster that way.
 */
#include "capture/file_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE_SIZE   4096U
#define REWIND_TAIL 4096U /* a tail this small is cheap to move */

static_assert(FILE_CHUNK_SIZE >= FILE_BLOCK_SIZE_MAX + FILE_READ_SIZE,
	      "a chunk holds a record, and a read behind it");

int window_init(struct window *window, uint64_t ring_size)
{
	uint64_t size = ring_size ? ring_size : CAPTURE_RING_SIZE_PRESET;
	uint64_t count = size / FILE_CHUNK_SIZE;
	void *memory;

	count = count < 2 ? 2 : count;
	*window = (struct window){.memory_size = count * FILE_CHUNK_SIZE};
	memory = mmap(NULL, window->memory_size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	window->memory = memory;
	window->chunks = calloc(count, sizeof *window->chunks);
	window->free = calloc(count, sizeof(struct chunk *));
	if (!window->chunks || !window->free) {
		window_fini(window);
		return -ENOMEM;
	}
	window->chunk_count = (uint32_t)count;
	for (uint32_t i = 0; i < window->chunk_count; i++) {
		window->chunks[i].bytes =
			window->memory + (size_t)i * FILE_CHUNK_SIZE;
		window->chunks[i].reader = CHUNK_UNREAD;
		window->free[count - 1 - i] = &window->chunks[i];
	}
	window->chunk = window->free[count - 1]; /* the first: on top */
	window->free_count = (uint32_t)count - 1;
	window->at = window->end = window->chunk->bytes;
	return 0;
}

void window_fini(struct window *window)
{
	if (window->memory)
		munmap(window->memory, window->memory_size);
	free(window->chunks);
	free(window->free);
	*window = (struct window){0};
}

/* Moves the tail to the start of a chunk: this one, when nobody holds
 * frames of it, or else a free one.  Returns false if there is none. */
static bool window_rewind(struct window *window)
{
	size_t tail = window_size(window);
	uint8_t *to;

	if (window->chunk->held != 0) {
		if (window->free_count == 0)
			return false;
		window->chunk = window->free[--window->free_count];
	}
	to = window->chunk->bytes + (PAGE_SIZE - tail % PAGE_SIZE) % PAGE_SIZE;
	memmove(to, window->at, tail);
	window->at = to;
	window->end = to + tail;
	return true;
}

/* Whether the next read is better made from the start of a chunk, or can
 * only be made there; 'need' is more than there is, so that a full chunk is
 * such a case. */
static bool window_wants_rewind(const struct window *window, size_t need)
{
	const uint8_t *limit = window->chunk->bytes + FILE_CHUNK_SIZE;

	if (need > (size_t)(limit - window->at))
		return true;
	if (window_size(window) > REWIND_TAIL)
		return false;
	return window->chunk->held == 0 ||
	       window->free_count > window->chunk_count / 2;
}

/* Passes over what of 'skip' is in the window. */
static void window_pass(struct window *window)
{
	size_t size = window_size(window);

	if (size > window->skip)
		size = (size_t)window->skip;
	window->at += size;
	window->skip -= size;
}

ssize_t window_fill(struct window *window, struct stream *stream, size_t need,
		    int64_t deadline_ns)
{
	uint8_t *to;
	size_t room;
	ssize_t size;

	if (window->ahead_first) {
		size = window_enter(window, stream);
		window_pass(window);
		if (size > 0 || window->ahead_first)
			return size;
	}
	size = window_leave(window, stream);
	if (size < 0) {
		stream->why = err_sentence((int)size);
		return size;
	}
	if (window_wants_rewind(window, need) && !window_rewind(window))
		return 0;
	to = window->chunk->bytes + (window->end - window->chunk->bytes);
	room = FILE_CHUNK_SIZE - (size_t)(to - window->chunk->bytes);
	size = stream_read(stream, to,
			   room < FILE_READ_SIZE ? room : FILE_READ_SIZE,
			   deadline_ns);
	if (size <= 0)
		return size;
	window->end += size;
	window->offset += (uint64_t)size;
	window_pass(window);
	return size;
}

void window_put(struct window *window, struct chunk *chunk, uint32_t count)
{
	chunk->held -= count;
	if (chunk->held == 0 && chunk != window->chunk)
		window->free[window->free_count++] = chunk;
}
