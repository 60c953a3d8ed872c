/* What a backend is.  Included by the files of this room only.
 *
 * A backend embeds 'struct capture' as its first member, fills in 'ops' and
 * adds a row to the table in capture.c.  null.c is the smallest one: read it
 * first.
 */
#ifndef CAPTURE_PRIVATE_H
#define CAPTURE_PRIVATE_H

#include "capture/capture.h"

struct capture {
	const struct capture_ops *ops;
	struct capture_counters counters; /* written by the capture's thread */
	struct fault fault;
	bool quiesced; /* capture_quiesce() was called */
};

struct capture_ops {
	struct capture_backend about;

	/* Whether 'auto' should take this backend for 'target'; asked in the
	 * table's order.  Does not open anything for good. */
	bool (*suits)(const char *target);

	/* Opens and makes everything that needs memory or privilege now: the
	 * other calls must not.  May block for as long as a card takes to
	 * come up.  Returns 0 or a negative code with its sentence; on
	 * failure nothing is left behind. */
	int (*open)(const struct capture_options *options,
		    struct capture **ret_capture, struct fault *ret_fault);

	/* As capture_next().  Blocks up to timeout_ms and no longer, -1
	 * being for ever.  Counts 'received' and every drop it can see, and
	 * fills 'fault' before it returns a negative code. */
	int (*next)(struct capture *capture, int timeout_ms, int count_max,
		    struct frame *ret_frames);

	/* As capture_release().  Never blocks.  NULL if nothing is lent. */
	void (*release)(struct capture *capture, const struct frame *frames,
			int count);

	/* As capture_ahead(), capture_part_read(), capture_part_next().  NULL
	 * all three: frames come as they are read. */
	struct capture_part *(*ahead)(struct capture *capture, uint16_t reader);
	void (*part_read)(struct capture *capture, struct capture_part *part);
	const struct capture_part *(*part_next)(const struct capture *capture);

	/* As capture_quiesce().  NULL: the backend can end at any frame. */
	int (*quiesce)(struct capture *capture);

	/* As capture_fd(); NULL: -1. */
	int (*fd)(const struct capture *capture);

	/* As capture_progress(); NULL: not known. */
	double (*progress)(const struct capture *capture);

	/* As capture_interface(). */
	const char *(*interface)(const struct capture *capture, uint16_t index);

	/* Brings the kernel's part of 'counters' up to date.  NULL: none. */
	void (*stats)(struct capture *capture);

	/* As capture_stamp_source(). */
	enum stamp_source (*stamp_source)(const struct capture *capture);

	/* Undoes open().  Called once. */
	void (*close)(struct capture *capture);
};

extern const struct capture_ops null_ops;
extern const struct capture_ops file_ops;
extern const struct capture_ops afpacket_ops;
extern const struct capture_ops pcap_ops;

#endif
