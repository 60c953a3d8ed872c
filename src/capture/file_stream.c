/* Where a file's bytes come from: a regular file, a FIFO, standard input;
 * plain, or packed with gzip or zstd, which their first bytes tell.
 *
 * A regular file is read without asking; anything else is polled first, so
 * that a deadline holds.  A signal ends the wait early.
 */
#include "capture/file_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INPUT_SIZE (UINT32_C(128) << 10)
#define MAGIC_SIZE 4
#define PIPE_SIZE  (1 << 20) /* asked of the kernel; it may give less */
#define NS_PER_MS  INT64_C(1000000)

int64_t file_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t file_deadline_ns(int timeout_ms)
{
	if (timeout_ms < 0)
		return INT64_MAX;
	return file_now_ns() + timeout_ms * NS_PER_MS;
}

static int stream_open_fd(const char *target)
{
	int fd;

	if (strcmp(target, "-") == 0)
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open(target, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int stream_open(struct stream *stream, const char *target,
		struct fault *ret_fault)
{
	struct stat st;
	int rc;

	*stream = (struct stream){.fd = stream_open_fd(target)};
	if (stream->fd < 0)
		return fault_set(ret_fault, stream->fd, "%s: %s", target,
				 err_sentence(stream->fd));
	if (fstat(stream->fd, &st) < 0) {
		rc = fault_set(ret_fault, -errno, "%s: %s", target,
			       err_sentence(-errno));
		goto close_stream;
	}
	if (S_ISDIR(st.st_mode)) {
		rc = fault_set(ret_fault, -EISDIR,
			       "%s: a folder, not a capture file", target);
		goto close_stream;
	}
	stream->regular = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
	stream->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	stream->input = malloc(INPUT_SIZE);
	if (!stream->input) {
		rc = -ENOMEM;
		goto close_stream;
	}
	if (stream->regular)
		(void)posix_fadvise(stream->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	else
		(void)fcntl(stream->fd, F_SETPIPE_SZ, PIPE_SIZE);
	return 0;

close_stream:
	stream_close(stream);
	return rc;
}

/* Returns 1 when there is something to read, 0 or a negative code. */
static int stream_wait(const struct stream *stream, int64_t deadline_ns)
{
	struct pollfd poll_fd = {.fd = stream->fd, .events = POLLIN};
	int timeout_ms = -1;
	int rc;

	if (deadline_ns != INT64_MAX) {
		int64_t left = deadline_ns - file_now_ns();

		left = left <= 0 ? 0 : (left + NS_PER_MS - 1) / NS_PER_MS;
		timeout_ms = left < INT_MAX ? (int)left : INT_MAX;
	}
	rc = poll(&poll_fd, 1, timeout_ms);
	if (rc < 0)
		return errno == EINTR ? 0 : -errno;
	return rc;
}

ssize_t stream_fetch(struct stream *stream, uint8_t *to, size_t size,
		     int64_t deadline_ns)
{
	ssize_t got;
	int rc = 1;

	if (stream->ended)
		return ERR_END;
	if (!stream->regular)
		rc = stream_wait(stream, deadline_ns);
	if (rc <= 0) {
		stream->why = rc < 0 ? err_sentence(rc) : NULL;
		return rc;
	}
	got = read(stream->fd, to, size);
	if (got < 0) {
		rc = -errno;
		if (rc == -EINTR || rc == -EAGAIN)
			return 0;
		stream->why = err_sentence(rc);
		return rc;
	}
	stream->ended = got == 0;
	stream->taken += (uint64_t)got;
	return got ? got : ERR_END;
}

ssize_t stream_refill(struct stream *stream, int64_t deadline_ns)
{
	ssize_t got;

	if (stream->input_at < stream->input_end)
		return 1;
	got = stream_fetch(stream, stream->input, INPUT_SIZE, deadline_ns);
	stream->input_at = 0;
	stream->input_end = got > 0 ? (size_t)got : 0;
	return got > 0 ? 1 : got;
}

/* Collects the first bytes and tells the kind by them.  Returns 1 when it is
 * known, or as stream_read(). */
static ssize_t stream_recognise(struct stream *stream, int64_t deadline_ns)
{
	static const uint8_t zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
	static const uint8_t zstd_skip_magic[] = {0x2a, 0x4d, 0x18};
	const uint8_t *input = stream->input;

	while (stream->input_end < MAGIC_SIZE) {
		ssize_t got = stream_fetch(
			stream, stream->input + stream->input_end,
			INPUT_SIZE - stream->input_end, deadline_ns);

		if (got == ERR_END)
			break;
		if (got <= 0)
			return got;
		stream->input_end += (size_t)got;
	}
	stream->kind = STREAM_PLAIN;
	if (stream->input_end < MAGIC_SIZE)
		return 1;
	if (input[0] == 0x1f && input[1] == 0x8b && input[2] == 8)
		stream->kind = STREAM_GZIP;
	else if (memcmp(input, zstd_magic, sizeof zstd_magic) == 0 ||
		 ((input[0] & 0xf0) == 0x50 &&
		  memcmp(input + 1, zstd_skip_magic, 3) == 0))
		stream->kind = STREAM_ZSTD;
	return stream->kind == STREAM_PLAIN ? 1 : unpack_open(stream);
}

/* Gives out what recognising has read, then goes without a copy. */
static ssize_t stream_plain(struct stream *stream, uint8_t *to, size_t size,
			    int64_t deadline_ns)
{
	size_t left = stream->input_end - stream->input_at;

	if (left == 0)
		return stream_fetch(stream, to, size, deadline_ns);
	if (left > size)
		left = size;
	memcpy(to, stream->input + stream->input_at, left);
	stream->input_at += left;
	return (ssize_t)left;
}

ssize_t stream_read(struct stream *stream, uint8_t *to, size_t size,
		    int64_t deadline_ns)
{
	ssize_t got;

	if (stream->kind == STREAM_UNKNOWN) {
		got = stream_recognise(stream, deadline_ns);
		if (got <= 0)
			return got;
	}
	if (stream->kind == STREAM_PLAIN)
		return stream_plain(stream, to, size, deadline_ns);
	return unpack_read(stream, to, size, deadline_ns);
}

void stream_close(struct stream *stream)
{
	unpack_close(stream);
	free(stream->input);
	if (stream->fd >= 0)
		close(stream->fd);
	*stream = (struct stream){.fd = -1};
}
