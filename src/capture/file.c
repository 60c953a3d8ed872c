/* The backend that reads capture files: pcap and pcapng, plain or packed
 * with gzip or zstd, from a regular file, a FIFO or standard input.
 *
 * Frames point into the bytes as read; nothing is copied.  One capture reads
 * the whole file: workers and fanout mean nothing here.  A file is opened as
 * far as its first packet, so that what is no capture file, or a filter that
 * makes no sense for it, is refused at once; a pipe is opened without
 * reading, and the same comes with the first capture_next().
 *
 * After a fault the frames before it have all been given out, and
 * capture_next() keeps returning the fault's code.
 */
#include "capture/file_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <net/if.h>

#define MAGIC_SIZE  4
#define PRIME_FILLS 16 /* reads that open() may make to find a packet */
#define STDIN_NAME  "stdin"

static bool name_ends_in(const char *name, const char *end)
{
	size_t size = strlen(name), end_size = strlen(end);

	return size >= end_size && strcasecmp(name + size - end_size, end) == 0;
}

static bool name_is_capture(const char *name)
{
	static const char *const ends[] = {".pcap", ".pcapng", ".cap", ".ntar",
					   ".dmp"};
	static const char *const packs[] = {"", ".gz", ".zst"};
	char end[16];

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		for (size_t j = 0; j < sizeof packs / sizeof packs[0]; j++) {
			(void)snprintf(end, sizeof end, "%s%s", ends[i],
				       packs[j]);
			if (name_ends_in(name, end))
				return true;
		}
	}
	return false;
}

/* An interface's name means the interface, also where a file of that name
 * lies in the current folder: "./eth0" is the file. */
static bool file_suits(const char *target)
{
	struct stat st;

	if (!target)
		return false;
	if (strcmp(target, "-") == 0 || strchr(target, '/'))
		return true;
	if (strcmp(target, "any") == 0 || if_nametoindex(target))
		return false;
	if (name_is_capture(target))
		return true;
	return stat(target, &st) == 0 &&
	       (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode));
}

/* The end of a long name tells more than its beginning. */
static void file_name(struct file_capture *file, const char *target)
{
	size_t size = strlen(target);

	if (size < sizeof file->label)
		(void)snprintf(file->label, sizeof file->label, "%s", target);
	else
		(void)snprintf(file->label, sizeof file->label, "...%s",
			       target + size - (sizeof file->label - 4));
}

static void fail_at(struct file_capture *file, int code, uint64_t offset,
		    const char *sentence)
{
	bool packed = file->stream.kind == STREAM_GZIP ||
		      file->stream.kind == STREAM_ZSTD;

	file->need = 0;
	file->rc =
		fault_set(&file->capture.fault, code, "%s: %soffset %llu: %s",
			  file->label, packed ? "unpacked " : "",
			  (unsigned long long)offset, sentence);
}

void file_fail(struct file_capture *file, int code, const char *format, ...)
{
	char sentence[sizeof file->capture.fault.text];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	fail_at(file, code, window_offset(&file->window), sentence);
}

void file_refuse_filter(struct file_capture *file)
{
	file->need = 0;
	file->rc = fault_set(&file->capture.fault, ERR_FILTER, "%s: %s",
			     file->label, file->filter.fault.text);
}

static bool filter_useless(const struct filter *filter)
{
	return filter->count > 0 && filter->refused == filter->count;
}

/* --- what kind of file -------------------------------------------------- */

static void file_refuse_foreign(struct file_capture *file)
{
	static const struct {
		const char *name;
		uint8_t magic[MAGIC_SIZE];
	} known[] = {
		{"xz", {0xfd, '7', 'z', 'X'}},
		{"lz4", {0x04, 0x22, 0x4d, 0x18}},
		{"bzip2", {'B', 'Z', 'h', '9'}},
		{"zip", {'P', 'K', 3, 4}},
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (window_size(&file->window) >= MAGIC_SIZE &&
		    memcmp(file->window.at, known[i].magic, MAGIC_SIZE) == 0) {
			file_fail(file, ERR_FILE_FOREIGN,
				  "packed with %s, which is not read here: "
				  "unpack it first",
				  known[i].name);
			return;
		}
	}
	file_fail(file, ERR_FILE_FOREIGN, "%s", err_sentence(ERR_FILE_FOREIGN));
}

int file_recognise(struct file_capture *file, int count_max,
		   struct frame *ret_frames)
{
	if (window_size(&file->window) < MAGIC_SIZE) {
		file_wait(file, "file header", MAGIC_SIZE);
		return 0;
	}
	if (pcap_magic(file->window.at)) {
		file->parse = pcap_begin;
	} else if (pcapng_magic(file->window.at)) {
		file->parse = pcapng_begin;
	} else {
		file_refuse_foreign(file);
		return 0;
	}
	return file->parse(file, count_max, ret_frames);
}

/* --- reading ------------------------------------------------------------ */

/* Whether 'byte' is the first of any magic number. */
static bool magic_begins(uint8_t byte)
{
	return byte == 0xa1 || byte == 0xd4 || byte == 0x4d || byte == 0x34 ||
	       byte == 0x0a;
}

/* The bytes are over: at the end of a record, or inside one? */
static void file_finish(struct file_capture *file)
{
	const struct window *window = &file->window;
	uint64_t offset = window_offset(window);
	char sentence[128];

	if (file->pcapng.trailer)
		offset = file->part_offset; /* inside the block passed over */
	if (window->offset == 0) {
		file_fail(file, ERR_FILE_TRUNCATED, "the file is empty");
	} else if (!file->begun && file->parse == file_recognise &&
		   !magic_begins(*window->at)) {
		file_refuse_foreign(file);
	} else if (offset < window->offset || !file->begun) {
		(void)snprintf(sentence, sizeof sentence,
			       "%s of %llu bytes ends after %llu: the file is "
			       "cut",
			       file->part, (unsigned long long)file->part_size,
			       (unsigned long long)(window->offset - offset));
		fail_at(file, ERR_FILE_TRUNCATED, offset, sentence);
	} else if (filter_useless(&file->filter)) {
		file_refuse_filter(file);
	} else {
		file->need = 0;
		file->rc = ERR_END;
	}
	(void)interfaces_settle(&file->pcapng.interfaces, file->base);
}

/* Returns as window_fill(); a negative code has ended the capture. */
static ssize_t file_fill(struct file_capture *file, int64_t deadline_ns)
{
	ssize_t size = window_fill(&file->window, &file->stream, file->need,
				   deadline_ns);

	if (size == ERR_END)
		file_finish(file);
	else if (size < 0)
		fail_at(file, (int)size, file->window.offset, file->stream.why);
	return size;
}

/* Parses, filters and counts what is in the window.  Returns the frames. */
static int file_take(struct file_capture *file, int count_max,
		     struct frame *ret_frames)
{
	struct capture_counters *counters = &file->capture.counters;
	int count = file->parse(file, count_max, ret_frames);
	uint64_t bytes = 0;

	if (count > 0 && file->filter.text) {
		int kept = filter_apply(&file->filter, ret_frames, count);

		counters->filtered += (uint64_t)(count - kept);
		count = kept;
	}
	for (int i = 0; i < count; i++)
		bytes += ret_frames[i].size;
	file->window.chunk->held += (uint32_t)count;
	counters->received += (uint64_t)count;
	counters->received_bytes += bytes;
	return count;
}

/* Keeps ready_fd readable while frames can be had without the pipe. */
static void file_ready(struct file_capture *file)
{
	bool more =
		file->rc || file->need == 0 || stream_pending(&file->stream);
	eventfd_t value;

	if (file->more_fd < 0 || more == file->more)
		return;
	if (more)
		(void)eventfd_write(file->more_fd, 1);
	else
		(void)eventfd_read(file->more_fd, &value);
	file->more = more;
}

static int file_next(struct capture *capture, int timeout_ms, int count_max,
		     struct frame *ret_frames)
{
	struct file_capture *file = (struct file_capture *)capture;
	int64_t deadline_ns = 0;
	bool timed = false;
	int count = 0;

	if (count_max <= 0)
		return 0;
	while (!file->rc) {
		count = file_take(file, count_max, ret_frames);
		if (count > 0 || file->rc)
			break;
		if (!timed)
			deadline_ns = file_deadline_ns(timeout_ms);
		else if (!file->need && file_now_ns() >= deadline_ns)
			break; /* all that was read has been filtered out */
		timed = true;
		if (file->need && file_fill(file, deadline_ns) == 0)
			break;
	}
	file_ready(file);
	return count > 0 ? count : file->rc;
}

static void file_release(struct capture *capture, const struct frame *frames,
			 int count)
{
	struct file_capture *file = (struct file_capture *)capture;
	int begin = 0;

	while (begin < count) {
		struct chunk *chunk = frames[begin].hold;
		int end = begin + 1;

		while (end < count && frames[end].hold == chunk)
			end++;
		window_put(&file->window, chunk, (uint32_t)(end - begin));
		begin = end;
	}
}

/* --- opening, closing, telling ------------------------------------------ */

/* A pipe's descriptor alone would not tell of frames read but not yet given
 * out.  What cannot be polled (/dev/null) is always ready: -1. */
static int ready_open(struct file_capture *file)
{
	struct epoll_event event = {.events = EPOLLIN};
	int rc;

	file->ready_fd = epoll_create1(EPOLL_CLOEXEC);
	file->more_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (file->ready_fd < 0 || file->more_fd < 0 ||
	    epoll_ctl(file->ready_fd, EPOLL_CTL_ADD, file->more_fd, &event) < 0)
		return -errno;
	if (epoll_ctl(file->ready_fd, EPOLL_CTL_ADD, file->stream.fd, &event) <
	    0) {
		rc = -errno;
		close(file->ready_fd);
		file->ready_fd = -1;
		return rc == -EPERM ? 0 : rc;
	}
	return 0;
}

/* Reads as far as the first packet, to know what the file is.  Returns 0 or
 * what keeps it from being read at all; a fault further on waits for
 * capture_next(). */
static int file_prime(struct file_capture *file)
{
	struct frame none;

	for (int i = 0; i < PRIME_FILLS && !file->rc; i++) {
		file->parse(file, 0, &none);
		if (file->rc || file->need == 0)
			break;
		(void)file_fill(file, INT64_MAX);
	}
	if (file->rc && file->rc != ERR_END && !file->begun)
		return file->rc;
	if (filter_useless(&file->filter)) {
		file_refuse_filter(file);
		return file->rc;
	}
	return interfaces_settle(&file->pcapng.interfaces, file->base);
}

static void file_close(struct capture *capture)
{
	struct file_capture *file = (struct file_capture *)capture;

	if (file->ready_fd >= 0)
		close(file->ready_fd);
	if (file->more_fd >= 0)
		close(file->more_fd);
	interfaces_fini(&file->pcapng.interfaces);
	window_fini(&file->window);
	stream_close(&file->stream);
	filter_fini(&file->filter);
	free(file->base);
	free(file);
}

/* Everything after the filter.  What it leaves behind on failure,
 * file_close() undoes. */
static int file_begin(struct file_capture *file,
		      const struct capture_options *options)
{
	const char *target = options->target;
	const char *slash = strrchr(target, '/');
	bool input = strcmp(target, "-") == 0;
	int rc;

	file_name(file, input ? STDIN_NAME : target);
	file->snap_size = options->snap_size ? options->snap_size : UINT32_MAX;
	file->base = strdup(input ? STDIN_NAME : slash ? slash + 1 : target);
	if (!file->base)
		return -ENOMEM;
	rc = stream_open(&file->stream, target, &file->capture.fault);
	if (rc < 0)
		return rc;
	rc = window_init(&file->window, options->ring_size);
	if (rc < 0)
		return rc;
	return file->stream.regular ? file_prime(file) : ready_open(file);
}

static int file_open(const struct capture_options *options,
		     struct capture **ret_capture, struct fault *ret_fault)
{
	struct file_capture *file = calloc(1, sizeof *file);
	int rc;

	if (!file)
		return fault_set(ret_fault, -ENOMEM, "%s: %s", options->target,
				 err_sentence(-ENOMEM));
	file->capture.ops = &file_ops;
	file->parse = file_recognise;
	file->ready_fd = file->more_fd = file->stream.fd = -1;
	rc = filter_init(&file->filter, options->filter, &file->capture.fault);
	if (rc == 0)
		rc = file_begin(file, options);
	if (rc == 0) {
		*ret_capture = &file->capture;
		return 0;
	}
	if (!*file->capture.fault.text)
		(void)fault_set(&file->capture.fault, rc, "%s: %s",
				options->target, err_sentence(rc));
	(void)fault_set(ret_fault, rc, "%s", file->capture.fault.text);
	file_close(&file->capture);
	return rc;
}

static int file_fd(const struct capture *capture)
{
	return ((const struct file_capture *)capture)->ready_fd;
}

static double file_progress(const struct capture *capture)
{
	const struct file_capture *file = (const struct file_capture *)capture;
	const struct stream *stream = &file->stream;
	uint64_t left = stream->input_end - stream->input_at;
	uint64_t done;

	if (!stream->regular || stream->size == 0)
		return -1;
	if (stream->kind == STREAM_PLAIN)
		left += window_size(&file->window);
	done = stream->taken - left;
	if (file->rc == ERR_END || done > stream->size)
		return 1;
	return (double)done / (double)stream->size;
}

static const char *file_interface(const struct capture *capture, uint16_t index)
{
	const struct file_capture *file = (const struct file_capture *)capture;

	if (file->pcap.fraction_ns) /* classic pcap: one, without a name */
		return index == 0 ? file->base : NULL;
	return interfaces_name(&file->pcapng.interfaces, index);
}

static enum stamp_source file_stamp_source(const struct capture *capture)
{
	(void)capture;
	return STAMP_FILE;
}

const struct capture_ops file_ops = {
	.about = {"file", "pcap and pcapng files, gzip and zstd, pipes", false},
	.suits = file_suits,
	.open = file_open,
	.next = file_next,
	.release = file_release,
	.ahead = file_ahead,
	.part_read = file_part_read,
	.part_next = file_part_next,
	.fd = file_fd,
	.progress = file_progress,
	.interface = file_interface,
	.stamp_source = file_stamp_source,
	.close = file_close,
};
