/* Capturing frames from an interface, a file or nothing.
 *
 *     open -> { next -> ... -> release }* -> close
 *
 * Frames are borrowed: their bytes stay where the backend put them (a ring
 * shared with the kernel, say) until capture_release().  Frames may be held
 * over several capture_next() calls and released in any order; what cannot
 * be taken in meanwhile is dropped and counted, never overwritten.
 *
 * Threads: one capture, one thread at a time, all calls but
 * capture_part_read(); several captures side by side.
 */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/err.h"
#include "base/stamp.h"

struct capture;

struct frame {
	const uint8_t *bytes;   /* borrowed until released */
	uint32_t captured_size; /* bytes at 'bytes' */
	uint32_t size;          /* bytes on the wire; >= captured_size */
	struct stamp stamp;
	uint16_t link_type; /* LINKTYPE_... number of pcap */
	uint16_t interface; /* index for capture_interface() */
	uint16_t gso_size;  /* payload bytes a segment; 0: not a super-frame */
	bool outgoing;      /* sent by this host, where the backend knows */
	void *hold;         /* the backend's; the caller leaves it alone */
};

/* X(name, unit, line).  What reached the backend is either received or one
 * of the dropped_...: for afpacket the kernel's own count adds up to it. */
#define CAPTURE_COUNTERS(X)                                                  \
	X(received, "frames", "given out by the backend")                    \
	X(received_bytes, "bytes", "their wire sizes")                       \
	X(dropped_kernel, "frames", "lost in the kernel: the ring was full") \
	X(dropped_interface, "frames", "lost in the interface or driver")    \
	X(freezes, "times", "the ring filled up and froze")                  \
	X(filtered, "frames", "left out by a filter run in this process")    \
	X(loopback_copies, "frames",                                         \
	  "second sight of a loopback frame, left out")                      \
	X(unusable, "frames",                                                \
	  "records that hold no frame with a known "                         \
	  "interface or time")

struct capture_counters {
	CAPTURE_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row capture_counter_rows[];
extern const size_t capture_counter_count;

enum capture_stamp {
	CAPTURE_STAMP_AUTO,     /* hardware if the card delivers it */
	CAPTURE_STAMP_HARDWARE, /* or fail */
	CAPTURE_STAMP_KERNEL,
};

#define CAPTURE_RING_SIZE_MIN    (UINT64_C(64) << 20)
#define CAPTURE_RING_SIZE_MAX    (UINT64_C(2048) << 20)
#define CAPTURE_RING_SIZE_PRESET (UINT64_C(256) << 20)
#define CAPTURE_SNAP_MIN         64
#define CAPTURE_SNAP_MAX         262144

struct capture_options {
	const char *backend; /* NULL or "auto": by the target */
	const char *target;  /* interface, "any" (every interface, also those
				to come), file name or "-"; null: a count */
	uint64_t ring_size;  /* bytes of this capture's ring (the session's
				ring divided over its captures) */
	uint32_t snap_size;  /* bytes kept of a frame; 0: all */
	bool promiscuous;
	const char *filter; /* pcap-filter(7); NULL or "": everything */
	enum capture_stamp stamp;
	uint16_t worker;       /* which of 'worker_count' this one is */
	uint16_t worker_count; /* 0 or 1: no fanout; else PACKET_FANOUT: takes
				  in frames once all of them are open */
	uint16_t fanout_group; /* the same for all workers of one target */
};

/* Opens and starts.  Returns 0, or ERR_BACKEND_UNKNOWN, ERR_FILTER, -ENODEV,
 * -EPERM, -ENOENT, -ENOMEM, -EINVAL, ERR_FILE_... with the sentence and its
 * remedy in *ret_fault.  The caller owns *ret_capture. */
int capture_open(const struct capture_options *options,
		 struct capture **ret_capture, struct fault *ret_fault);

/* Waits up to timeout_ms (-1: for ever) for frames and gives out at most
 * count_max of them.  Returns how many (0: time is up, or everything that
 * the backend may lend is held), ERR_END at the end of a file, or another
 * negative code after which the capture gives out no more (what was read
 * before it is good); capture_fault() then has the sentence with the file,
 * the offset and what is wrong there. */
int capture_next(struct capture *capture, int timeout_ms, int count_max,
		 struct frame *ret_frames);

/* Gives frames back; any frames held, in any order, each once. */
void capture_release(struct capture *capture, const struct frame *frames,
		     int count);

/* Reading ahead, for threads that take turns with one capture under a lock of
 * theirs: what reading costs is then theirs side by side.
 *
 * capture_ahead() reserves the next part of a plain file for one of them,
 * 'reader' being its number; NULL: there is none, now or here.
 * capture_part_read() reads it, on that thread, while others call whatever
 * they want but capture_close().  capture_next() gives out the frames of the
 * parts in the order of reservation, and 0 while the next one is not read
 * yet: capture_part_next(), NULL where frames come as they are read. */
struct capture_part;
struct capture_part *capture_ahead(struct capture *capture, uint16_t reader);
void capture_part_read(struct capture *capture, struct capture_part *part);
const struct capture_part *capture_part_next(const struct capture *capture);

/* Takes in no more.  What came before this call can still be read; after
 * the last of it capture_next() gives ERR_END (for an interface within some
 * 30 ms; with a timeout of 0 it may give 0 before).  A file or a count just
 * ends where it is.  Returns 0 or a negative errno. */
int capture_quiesce(struct capture *capture);

/* A descriptor that polls readable when capture_next() has something, or -1
 * (a file: always).  Once capture_next() gives 0 it is quiet until something
 * new comes. */
int capture_fd(const struct capture *capture);

/* The sentence of the last failure; "" before any. */
const char *capture_fault(const struct capture *capture);

/* How far a file has been read: 0 to 1, negative if not known (a pipe, an
 * interface). */
double capture_progress(const struct capture *capture);

/* Name of interface 'index' as in struct frame: "eth0", a pcapng if_name, or
 * the file's own name; valid until close.  NULL: no such index (yet). */
const char *capture_interface(const struct capture *capture, uint16_t index);

/* What was counted so far; the kernel's counters are read now, those of an
 * interface once a second and at the end. */
struct capture_counters capture_stats(struct capture *capture);

/* Where the backend gets its stamps from. */
enum stamp_source capture_stamp_source(const struct capture *capture);

/* Ends and frees; held frames are gone.  NULL is fine. */
void capture_close(struct capture *capture);

/* Whether capture_open() would capture 'target' from interfaces (by the
 * backend's own word; NULL or "auto": the one that it would pick). */
bool capture_is_live(const char *backend, const char *target);

/* The backends of this build, in the table's order; NULL after the last. */
struct capture_backend {
	const char *name;
	const char *line; /* one line for 'sonde doctor' and the manual */
	bool live;        /* captures from interfaces */
};

const struct capture_backend *capture_backend_at(size_t index);

/* The interfaces of this network namespace. */
struct capture_interface_info {
	char name[16];
	int index;
	bool up;
	bool loopback;
	uint16_t link_type; /* LINKTYPE_... or 0xffff: not decoded */
	uint8_t mac[6];
	uint64_t rx_packets, rx_bytes, rx_dropped, rx_errors;
	uint64_t tx_packets, tx_bytes, tx_dropped, tx_errors;
};

/* Writes up to 'max' of them, by index; returns how many there are, or a
 * negative errno. */
int capture_interfaces(struct capture_interface_info *ret_infos, int max);

#endif
