/* Reading a plain file ahead of its parser, by several threads.
 *
 * To copy bytes out of the page cache takes longer than to find the frames in
 * them.  So threads that take turns with one capture each reserve the next
 * part of the file, read it side by side, and give out its frames when it is
 * the part's turn: what goes before its first frame, the tail of the part
 * before it, is put in front of it then.
 *
 * Only parts that the file has in full are read so.  If one is short all the
 * same, for somebody has cut the file, it is the last one, and from its end on
 * the file is read as any other, which finds out what is the matter.
 */
#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "capture/file_private.h"

#define HEADROOM FILE_BLOCK_SIZE_MAX

static_assert(HEADROOM + FILE_READ_SIZE <= FILE_CHUNK_SIZE,
	      "a part and what was left of the one before");

static void chunk_free(struct window *window, struct chunk *chunk)
{
	window->free[window->free_count++] = chunk;
}

/* One that this reader has read into before, and that is in its cache. */
static struct chunk *chunk_take(struct window *window, uint16_t reader)
{
	uint32_t at = window->free_count;
	struct chunk *chunk;

	while (at-- > 1 && window->free[at]->reader != CHUNK_UNREAD &&
	       window->free[at]->reader != reader)
		;
	chunk = window->free[at];
	window->free[at] = window->free[--window->free_count];
	chunk->reader = reader;
	return chunk;
}

/* Where the first part begins; negative: not to be told. */
static int64_t ahead_begin(const struct file_capture *file)
{
	if (file->window.ahead_moved)
		return file->window.ahead_end;
	return lseek(file->stream.fd, 0, SEEK_CUR);
}

struct capture_part *file_ahead(struct capture *capture, uint16_t reader)
{
	struct file_capture *file = (struct file_capture *)capture;
	const struct stream *stream = &file->stream;
	struct window *window = &file->window;
	struct chunk *chunk;
	int64_t at = window->ahead_next;

	if (file->rc || !file->begun || stream->kind != STREAM_PLAIN ||
	    stream->size == 0 || stream_pending(stream) || window->ahead_stop ||
	    window->free_count < 2)
		return NULL;
	if (!window->ahead_first)
		at = ahead_begin(file);
	if (at < 0 || (uint64_t)at + FILE_READ_SIZE > stream->size)
		return NULL;
	chunk = chunk_take(window, reader);
	chunk->offset = at;
	chunk->next = NULL;
	atomic_store_explicit(&chunk->done, false, memory_order_relaxed);
	if (window->ahead_first)
		window->ahead_last->next = chunk;
	else
		window->ahead_first = chunk;
	window->ahead_last = chunk;
	window->ahead_next = at + FILE_READ_SIZE;
	return (struct capture_part *)chunk;
}

void file_part_read(struct capture *capture, struct capture_part *part)
{
	const struct file_capture *file = (struct file_capture *)capture;
	struct chunk *chunk = (struct chunk *)part;
	size_t size = 0;

	while (size < FILE_READ_SIZE) {
		ssize_t got = pread(
			file->stream.fd, chunk->bytes + HEADROOM + size,
			FILE_READ_SIZE - size, chunk->offset + (int64_t)size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		size += (size_t)got;
	}
	chunk->size = size;
	atomic_store_explicit(&chunk->done, true, memory_order_release);
}

const struct capture_part *file_part_next(const struct capture *capture)
{
	const struct file_capture *file = (const struct file_capture *)capture;

	return (const struct capture_part *)file->window.ahead_first;
}

/* The part follows what is in the window. */
static void part_enter(struct window *window, struct chunk *chunk)
{
	size_t tail = window_size(window);
	uint8_t *begin = chunk->bytes + HEADROOM;

	assert(tail <= HEADROOM);
	memcpy(begin - tail, window->at, tail);
	if (window->chunk->held == 0)
		chunk_free(window, window->chunk);
	window->chunk = chunk;
	window->at = begin - tail;
	window->end = begin + chunk->size;
	window->offset += chunk->size;
	window->ahead_end = chunk->offset + (int64_t)chunk->size;
	window->ahead_moved = true;
}

ssize_t window_enter(struct window *window, struct stream *stream)
{
	struct chunk *chunk;

	while ((chunk = window->ahead_first) &&
	       atomic_load_explicit(&chunk->done, memory_order_acquire)) {
		window->ahead_first = chunk->next;
		if (window->ahead_stop || chunk->size == 0) {
			window->ahead_stop = true;
			chunk_free(window, chunk);
			continue;
		}
		window->ahead_stop = chunk->size < FILE_READ_SIZE;
		part_enter(window, chunk);
		stream->taken += chunk->size;
		return (ssize_t)chunk->size;
	}
	return 0;
}

int window_leave(struct window *window, const struct stream *stream)
{
	if (!window->ahead_moved)
		return 0;
	window->ahead_moved = false;
	if (lseek(stream->fd, window->ahead_end, SEEK_SET) < 0)
		return -errno;
	return 0;
}
