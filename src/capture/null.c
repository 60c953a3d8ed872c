/* The backend that captures nothing, from nowhere, at full speed.
 *
 * It shows the whole contract in one page, measures what everything above a
 * backend costs, and stands in for a card in tests: its frames are 60 bytes
 * of IPv4 and UDP, one millisecond apart, however fast they are read.  The
 * target is the number of frames before the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture/capture_private.h"

#define FRAME_SIZE   60
#define FRAME_GAP_NS 1000000
#define ETHERNET     1 /* LINKTYPE_ETHERNET */

/* 192.0.2.1:9 -> 192.0.2.2:9, UDP, 18 bytes of payload */
static const uint8_t frame_bytes[FRAME_SIZE] = {
	0x02, 0,    0, 0,  0,   2,  0x02, 0, 0,  0,  0, 1, /* Ethernet */
	0x08, 0x00,                                        /* ... of IPv4 */
	0x45, 0,    0, 46, 0,   0,  0,    0, 64, 17, 0, 0, /* IPv4 */
	192,  0,    2, 1,  192, 0,  2,    2,               /* addresses */
	0,    9,    0, 9,  0,   26, 0,    0,               /* UDP */
};

struct null_capture {
	struct capture capture;
	uint64_t frame_count;
};

static bool null_suits(const char *target)
{
	(void)target; /* only when asked for by name */
	return false;
}

static int null_open(const struct capture_options *options,
		     struct capture **ret_capture, struct fault *ret_fault)
{
	struct null_capture *null;
	char *end;
	uint64_t count;

	errno = 0;
	count = strtoull(options->target, &end, 10);
	if (errno || end == options->target || *end)
		return fault_set(ret_fault, -EINVAL,
				 "null: '%s' is not a count of frames",
				 options->target);
	null = calloc(1, sizeof *null);
	if (!null)
		return -ENOMEM;
	null->capture.ops = &null_ops;
	null->frame_count = count;
	*ret_capture = &null->capture;
	return 0;
}

static int null_next(struct capture *capture, int timeout_ms, int count_max,
		     struct frame *ret_frames)
{
	struct null_capture *null = (struct null_capture *)capture;
	uint64_t *received = &capture->counters.received;
	int count = 0;

	(void)timeout_ms; /* frames are always there */
	if (*received == null->frame_count)
		return ERR_END;
	while (count < count_max && *received < null->frame_count) {
		struct wall at = {(int64_t)*received * FRAME_GAP_NS};

		ret_frames[count++] = (struct frame){
			.bytes = frame_bytes,
			.captured_size = FRAME_SIZE,
			.size = FRAME_SIZE,
			.stamp = {at, STAMP_USER},
			.link_type = ETHERNET,
		};
		++*received;
		capture->counters.received_bytes += FRAME_SIZE;
	}
	return count;
}

static const char *null_interface(const struct capture *capture, uint16_t index)
{
	(void)capture;
	return index == 0 ? "null" : NULL;
}

static enum stamp_source null_stamp_source(const struct capture *capture)
{
	(void)capture;
	return STAMP_USER;
}

static void null_close(struct capture *capture)
{
	free(capture);
}

const struct capture_ops null_ops = {
	.about = {"null", "frames from nowhere, to measure the rest", false},
	.suits = null_suits,
	.open = null_open,
	.next = null_next,
	.interface = null_interface,
	.stamp_source = null_stamp_source,
	.close = null_close,
};
