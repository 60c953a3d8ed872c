/* gzip (RFC 1952, several members) and zstd (RFC 8878, several frames).
 *
 * Both give out what they can before they say that something is wrong.
 * Zeros behind the last member or frame are padding, as gzip(1) takes them.
 */
#include "capture/file_private.h"

#include <errno.h>
#include <stdlib.h>

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define GZIP_WINDOW_BITS (15 + 16) /* the largest, with a gzip header */

int unpack_open(struct stream *stream)
{
	if (stream->kind == STREAM_ZSTD) {
		stream->zstd = ZSTD_createDCtx();
	} else {
		stream->gzip = calloc(1, sizeof *stream->gzip);
		if (stream->gzip &&
		    inflateInit2(stream->gzip, GZIP_WINDOW_BITS) != Z_OK) {
			free(stream->gzip);
			stream->gzip = NULL;
		}
	}
	if (stream->zstd || stream->gzip)
		return 1;
	stream->why = err_sentence(-ENOMEM);
	return -ENOMEM;
}

void unpack_close(struct stream *stream)
{
	if (stream->gzip)
		inflateEnd(stream->gzip);
	free(stream->gzip);
	ZSTD_freeDCtx(stream->zstd);
}

/* Between members: passes over zeros up to the first byte of another.
 * Returns 1, or as stream_read(). */
static ssize_t unpack_between(struct stream *stream, int64_t deadline_ns)
{
	for (;;) {
		ssize_t got = stream_refill(stream, deadline_ns);

		if (got <= 0)
			return got;
		if (stream->input[stream->input_at] != 0)
			break;
		stream->input_at++;
	}
	stream->inside = true;
	return 1;
}

/* Makes a step possible: input, or output that waits in the unpacker.
 * Returns 1, or as stream_read(). */
static ssize_t unpack_ready(struct stream *stream, int64_t deadline_ns)
{
	ssize_t rc;

	if (stream->failed)
		return stream->failed;
	if (!stream->inside)
		return unpack_between(stream, deadline_ns);
	if (stream->flush)
		return 1;
	rc = stream_refill(stream, deadline_ns);
	if (rc != ERR_END)
		return rc;
	stream->why = "the packed data ends early: the file is cut";
	return ERR_FILE_TRUNCATED;
}

/* Unpacks what is in the input; returns the bytes made. */
static size_t gzip_step(struct stream *stream, uint8_t *to, size_t size)
{
	z_stream *gzip = stream->gzip;
	int rc;

	gzip->next_in = stream->input + stream->input_at;
	gzip->avail_in = (uInt)(stream->input_end - stream->input_at);
	gzip->next_out = to;
	gzip->avail_out = (uInt)size;
	rc = inflate(gzip, Z_NO_FLUSH);
	stream->input_at = stream->input_end - gzip->avail_in;
	if (rc == Z_STREAM_END) {
		stream->inside = false;
		inflateReset(gzip);
	} else if (rc == Z_MEM_ERROR) {
		stream->failed = -ENOMEM;
		stream->why = err_sentence(-ENOMEM);
	} else if (rc != Z_OK && rc != Z_BUF_ERROR) {
		stream->failed = ERR_FILE_CORRUPT;
		stream->why = gzip->total_out
				      ? "the gzip data is damaged"
				      : "no gzip data where some should begin";
	}
	return size - gzip->avail_out;
}

/* Unpacks what is in the input; returns the bytes made. */
static size_t zstd_step(struct stream *stream, uint8_t *to, size_t size)
{
	ZSTD_inBuffer input = {stream->input + stream->input_at,
			       stream->input_end - stream->input_at, 0};
	ZSTD_outBuffer output = {to, size, 0};
	size_t rc = ZSTD_decompressStream(stream->zstd, &output, &input);

	stream->input_at += input.pos;
	if (!ZSTD_isError(rc)) {
		stream->inside = rc != 0;
		return output.pos;
	}
	stream->failed = ERR_FILE_CORRUPT;
	switch (ZSTD_getErrorCode(rc)) {
	case ZSTD_error_memory_allocation:
		stream->failed = -ENOMEM;
		stream->why = err_sentence(-ENOMEM);
		break;
	case ZSTD_error_frameParameter_windowTooLarge:
		stream->why = "the zstd data needs more than 128 MiB: "
			      "unpack it with 'zstd -d --long=31'";
		break;
	case ZSTD_error_prefix_unknown:
		stream->why = "no zstd data where some should begin";
		break;
	default:
		stream->why = "the zstd data is damaged";
	}
	return output.pos;
}

ssize_t unpack_read(struct stream *stream, uint8_t *to, size_t size,
		    int64_t deadline_ns)
{
	for (;;) {
		ssize_t rc = unpack_ready(stream, deadline_ns);
		size_t made;

		if (rc <= 0)
			return rc;
		made = stream->kind == STREAM_GZIP
			       ? gzip_step(stream, to, size)
			       : zstd_step(stream, to, size);
		stream->flush = made == size;
		if (made > 0)
			return (ssize_t)made;
	}
}
