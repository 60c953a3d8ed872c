/* The file backend's own insides: file.c and file_*.c share this header.
 *
 *     stream  bytes from a descriptor, unpacked     file_stream.c, _unpack.c
 *     window  those bytes in chunks lent to frames  file_window.c
 *     ahead   parts of a plain file read by several threads  file_ahead.c
 *     parser  records in the window become frames   file_pcap.c, _pcapng.c
 *     filter  what of them is left out              file_filter.c
 *
 * file.c drives them.  A parser works in place on the window [at, end) and
 * never reads past 'end'; where a record is not complete it says in 'need'
 * how many bytes from 'at' would do, and the driver fills the window.
 *
 * Threads: as capture.h says.
 */
#ifndef CAPTURE_FILE_PRIVATE_H
#define CAPTURE_FILE_PRIVATE_H

#include <byteswap.h>
#include <stdatomic.h>
#include <string.h>

#include <pcap/pcap.h>

#include "capture/capture_private.h"

/* No record holds a longer frame; Wireshark draws the same line. */
#define FILE_FRAME_SIZE_MAX 262144U

/* A chunk holds any record with its header, after a read's alignment. */
#define FILE_CHUNK_SIZE (UINT32_C(1) << 20)

/* One read(): small enough that it is still in the cache when parsed.  (A
 * mapped file would save the copy, but one that another process cuts short
 * would kill this one.) */
#define FILE_READ_SIZE (UINT32_C(128) << 10)

/* How far ahead of the parser bytes are called into the first-level cache:
 * each record's place depends on the length of the one before. */
#define FILE_PREFETCH 512

/* What a pcapng block shows of itself to the parser; of a longer one the
 * rest (options, mostly) is passed over. */
#define FILE_BLOCK_SIZE_MAX (UINT32_C(512) << 10)

#define FILE_NAME_SIZE 128

struct file_capture;

/* --- stream ------------------------------------------------------------ */

enum stream_kind { STREAM_UNKNOWN, STREAM_PLAIN, STREAM_GZIP, STREAM_ZSTD };

struct stream {
	int fd;
	bool regular; /* never blocks; 'size' is known */
	bool ended;   /* the descriptor has no more */
	bool inside;  /* of a gzip member or a zstd frame */
	bool flush;   /* the unpacker has more without input */
	int failed;   /* what the unpacker ends with, or 0 */
	enum stream_kind kind;
	uint64_t size;  /* bytes of a regular file */
	uint64_t taken; /* bytes read from the descriptor */
	uint8_t *input; /* taken and not yet given out or unpacked */
	size_t input_at, input_end;
	struct z_stream_s *gzip;
	struct ZSTD_DCtx_s *zstd;
	const char *why; /* what was wrong, after a negative code */
};

/* Opens 'target' ("-": standard input) and waits for nothing: a FIFO's
 * writer may come later.  Returns 0 or a negative code with its sentence. */
int stream_open(struct stream *stream, const char *target,
		struct fault *ret_fault);

/* Gives out up to 'size' unpacked bytes as soon as there are any.  Returns
 * how many; 0 when CLOCK_MONOTONIC reached deadline_ns or a signal came;
 * ERR_END; or a negative code, then 'why' says what is wrong. */
ssize_t stream_read(struct stream *stream, uint8_t *to, size_t size,
		    int64_t deadline_ns);

/* Reads the descriptor itself, as stream_read(). */
ssize_t stream_fetch(struct stream *stream, uint8_t *to, size_t size,
		     int64_t deadline_ns);

/* Makes 'input' hold at least one byte.  Returns 1, or as stream_read(). */
ssize_t stream_refill(struct stream *stream, int64_t deadline_ns);

void stream_close(struct stream *stream);

/* Whether there may be more without asking the descriptor. */
static inline bool stream_pending(const struct stream *stream)
{
	return stream->flush || stream->input_at < stream->input_end;
}

/* The unpacker of 'kind': open returns 1 or -ENOMEM. */
int unpack_open(struct stream *stream);
ssize_t unpack_read(struct stream *stream, uint8_t *to, size_t size,
		    int64_t deadline_ns);
void unpack_close(struct stream *stream);

/* CLOCK_MONOTONIC now; and timeout_ms from now, INT64_MAX for -1. */
int64_t file_now_ns(void);
int64_t file_deadline_ns(int timeout_ms);

/* --- window ------------------------------------------------------------ */

struct chunk {
	uint8_t *bytes; /* FILE_CHUNK_SIZE of them */
	uint32_t held;  /* frames lent out of it */
	/* Of a part that is read ahead. */
	uint16_t reader;    /* the last one, or CHUNK_UNREAD */
	atomic_bool done;   /* 'size' bytes were read */
	size_t size;        /* fewer than FILE_READ_SIZE: there are no more */
	int64_t offset;     /* in the file */
	struct chunk *next; /* part */
};

#define CHUNK_UNREAD UINT16_MAX

struct window {
	const uint8_t *at;  /* next unread byte */
	const uint8_t *end; /* one past the last byte */
	uint64_t offset;    /* of 'end' in the unpacked stream */
	uint64_t skip;      /* bytes to pass over before 'at' counts */
	struct chunk *chunk;
	uint8_t *memory;
	size_t memory_size;
	struct chunk *chunks;
	struct chunk **free; /* a stack: the warmest is on top */
	uint32_t chunk_count;
	uint32_t free_count;
	struct chunk *ahead_first; /* parts on their way, in order */
	struct chunk *ahead_last;
	int64_t ahead_next; /* offset in the file of the next one */
	int64_t ahead_end;  /* of the last one that came into the window */
	bool ahead_moved;   /* the descriptor is not at 'ahead_end' */
	bool ahead_stop;    /* one was short: those behind it are void */
};

/* Takes memory of ring_size bytes (0: the preset), two chunks at least.
 * Returns 0 or -ENOMEM. */
int window_init(struct window *window, uint64_t ring_size);
void window_fini(struct window *window);

/* Reads more, so that [at, end) grows; 'need' is what it should reach, more
 * than it is and up to FILE_BLOCK_SIZE_MAX; a wish: the caller looks again.
 * Returns as stream_read(), and 0 also while every chunk is held. */
ssize_t window_fill(struct window *window, struct stream *stream, size_t need,
		    int64_t deadline_ns);

/* Goes on with the next part that was read ahead; there is one.  Returns its
 * size, or 0: it is not read yet, or void. */
ssize_t window_enter(struct window *window, struct stream *stream);

/* Before the descriptor is read again: puts it behind the last part.  Returns
 * 0 or a negative errno. */
int window_leave(struct window *window, const struct stream *stream);

/* See struct capture_ops. */
struct capture_part *file_ahead(struct capture *capture, uint16_t reader);
void file_part_read(struct capture *capture, struct capture_part *part);
const struct capture_part *file_part_next(const struct capture *capture);

/* One frame of 'chunk' less, or 'count'. */
void window_put(struct window *window, struct chunk *chunk, uint32_t count);

static inline size_t window_size(const struct window *window)
{
	return (size_t)(window->end - window->at);
}

/* Where in the unpacked stream 'at' is. */
static inline uint64_t window_offset(const struct window *window)
{
	return window->offset - window_size(window);
}

/* --- filter ------------------------------------------------------------ */

#define FILTER_COUNT_MAX 64 /* link types in one file */

struct filter {
	char *text; /* NULL: no filter */
	unsigned int count;
	unsigned int refused; /* of them, by pcap_compile() */
	struct filter_program {
		uint16_t link_type;
		bool refused;
		struct bpf_program program;
	} programs[FILTER_COUNT_MAX];
	struct fault fault; /* of the first refused */
};

/* Whether 'text' compiles for any link type that sonde may meet.  Returns 0,
 * -ENOMEM or ERR_FILTER with libpcap's sentence. */
int filter_init(struct filter *filter, const char *text,
		struct fault *ret_fault);
void filter_fini(struct filter *filter);

/* Compiles for 'link_type' unless that is done.  Returns false if libpcap
 * refuses the expression for it: no frame of it passes then. */
bool filter_add(struct filter *filter, uint16_t link_type);

/* Keeps the frames that pass, in order.  Returns how many. */
int filter_apply(struct filter *filter, struct frame *frames, int count);

/* --- pcapng's interfaces ----------------------------------------------- */

#define INTERFACE_COUNT_MAX 4096 /* in a section, and names in a file */

struct interface {     /* of the current section */
	uint16_t name; /* index for capture_interface() */
	uint16_t link_type;
	uint32_t snap_size; /* 0: all */
	bool known;         /* false: past INTERFACE_COUNT_MAX names */
	bool exact;         /* ns = ticks * scale + offset_ns */
	uint8_t resolution; /* if_tsresol */
	uint64_t ticks_max; /* where that still fits 63 bits */
	uint64_t scale;
	int64_t offset_ns;
	bool offset_absurd; /* if_tsoffset does not fit a stamp */
	uint64_t drops_interface, drops_kernel; /* counted so far */
};

struct interface_name {
	char *text;  /* NULL: nameless, and not yet settled */
	bool given;  /* by if_name */
	uint16_t id; /* in its section */
};

struct interfaces {
	struct interface *list;
	uint32_t count, room;
	struct interface_name *names;
	uint32_t name_count, name_room;
	bool settled; /* nameless ones have got their names */
};

struct interface_options {
	uint16_t link_type;
	uint32_t snap_size;
	uint8_t resolution;  /* if_tsresol; 6 when absent */
	int64_t offset_s;    /* if_tsoffset */
	const uint8_t *name; /* if_name; NULL or size 0: none */
	size_t name_size;
};

/* Appends to the section's list.  Returns 0 or -ENOMEM. */
int interfaces_add(struct interfaces *interfaces,
		   const struct interface_options *options, const char *base);

/* A new section: ids start again, names stay. */
void interfaces_restart(struct interfaces *interfaces);

/* Names the nameless.  Returns 0 or -ENOMEM. */
int interfaces_settle(struct interfaces *interfaces, const char *base);

const char *interfaces_name(const struct interfaces *interfaces,
			    uint16_t index);
void interfaces_fini(struct interfaces *interfaces);

/* The stamp of 'ticks' in the interface's units; STAMP_NONE where ns since
 * 1970 do not fit 63 bits. */
struct stamp interface_stamp_slow(const struct interface *interface,
				  uint64_t ticks);

static inline struct stamp interface_stamp(const struct interface *interface,
					   uint64_t ticks)
{
	if (__builtin_expect(!interface->exact || ticks > interface->ticks_max,
			     0))
		return interface_stamp_slow(interface, ticks);
	return (struct stamp){
		{(int64_t)(ticks * interface->scale) + interface->offset_ns},
		STAMP_FILE};
}

/* --- the capture itself ------------------------------------------------ */

/* Gives out up to count_max frames that lie whole in the window and moves
 * 'at' behind them.  Sets 'need' and 'part' where it stopped for want of
 * bytes, need = 0 where it stopped at count_max, or ends in file_fail(). */
typedef int file_parser(struct file_capture *file, int count_max,
			struct frame *ret_frames);

struct pcap_format {
	bool swapped;         /* not this machine's byte order */
	bool modified;        /* Kuznetzov's: a longer record header */
	bool lengths_swapped; /* the two lengths have changed places */
	bool lengths_unsure;  /* ... perhaps: the smaller is 'captured' */
	uint32_t fraction_ns; /* 1000 or 1 */
	uint16_t link_type;
};

struct pcapng_format {
	bool swapped;     /* this section */
	uint32_t trailer; /* the second length that comes next; 0: none */
	struct interfaces interfaces;
};

struct file_capture {
	struct capture capture;
	struct stream stream;
	struct window window;
	struct filter filter;
	file_parser *parse;
	bool begun;           /* the first header was good */
	int rc;               /* 0, or the code that next() ends with */
	size_t need;          /* bytes from 'at' that the parser waits for */
	uint64_t part_size;   /* of what it waits for, as its header says */
	const char *part;     /* "record", "block" */
	uint64_t part_offset; /* of a part that is being skipped */
	uint32_t snap_size;
	int ready_fd; /* a pipe: epoll over it and 'more_fd' */
	int more_fd;  /* eventfd: the window has more */
	bool more;
	struct pcap_format pcap;
	struct pcapng_format pcapng;
	char *base;                 /* file name without its folder */
	char label[FILE_NAME_SIZE]; /* file name in sentences, cut to fit */
};

/* The first parser: finds out which format it is, and goes on as that. */
file_parser file_recognise;

/* Take over from file_recognise() at the file's first byte. */
file_parser pcap_begin;
file_parser pcapng_begin;

/* Whether the 4 bytes at 'at' begin such a file. */
bool pcap_magic(const uint8_t *at);
bool pcapng_magic(const uint8_t *at);

/* Ends the capture with 'code' and "FILE: offset N: sentence", N being
 * where 'at' is. */
void file_fail(struct file_capture *file, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Ends the capture: the filter cannot match anything in this file. */
void file_refuse_filter(struct file_capture *file);

/* The parser stops here: 'size' bytes of a 'part' are not all there. */
static inline void file_wait(struct file_capture *file, const char *part,
			     uint64_t size)
{
	file->part = part;
	file->part_size = size;
	file->need =
		size < FILE_BLOCK_SIZE_MAX ? (size_t)size : FILE_BLOCK_SIZE_MAX;
}

static inline uint32_t file_load32(const uint8_t *at, bool swapped)
{
	uint32_t value;

	memcpy(&value, at, sizeof value);
	return swapped ? bswap_32(value) : value;
}

static inline uint16_t file_load16(const uint8_t *at, bool swapped)
{
	uint16_t value;

	memcpy(&value, at, sizeof value);
	return swapped ? bswap_16(value) : value;
}

/* LINKTYPE_... as the file says it, without what varies between systems. */
uint16_t file_link_type(uint32_t link_type);

/* Writes what all formats have in common; stamp, link type and interface
 * are the caller's.  Field by field: a whole struct assigned at once goes
 * through the stack, which costs more than all the rest of the parsing. */
static inline __attribute__((always_inline)) void
file_frame(const struct file_capture *file, struct frame *frame,
	   const uint8_t *bytes, uint32_t captured_size, uint32_t size)
{
	frame->bytes = bytes;
	frame->captured_size = captured_size < file->snap_size
				       ? captured_size
				       : file->snap_size;
	frame->size = size > captured_size ? size : captured_size;
	frame->gso_size = 0;
	frame->outgoing = false;
	frame->hold = file->window.chunk;
}

#endif
