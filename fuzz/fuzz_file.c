/* Any bytes as a capture file, packed ones too: every frame given out lies
 * within what was read, has a name for its interface, and the counts add up.
 * Some frames are held for a while, so that chunks are not reused at once.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/capture.h"

#define BATCH     16
#define CALLS_MAX 100000 /* a packed bomb is not read to its end */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static volatile uint8_t sink;

static void check(bool good)
{
	if (!good)
		abort();
}

static void frames_check(const struct capture *capture,
			 const struct frame *frames, int count)
{
	for (int i = 0; i < count; i++) {
		const struct frame *frame = &frames[i];

		check(frame->size >= frame->captured_size);
		check(frame->captured_size <= CAPTURE_SNAP_MAX);
		check(capture_interface(capture, frame->interface));
		for (uint32_t at = 0; at < frame->captured_size; at++)
			sink ^= frame->bytes[at];
	}
}

static void drain(struct capture *capture)
{
	struct frame frames[BATCH], kept;
	bool keeping = false;
	uint64_t count = 0;
	int got = 0;

	for (int i = 0; i < CALLS_MAX; i++) {
		got = capture_next(capture, 0, 1 + i % BATCH, frames);
		if (got < 0)
			break;
		count += (uint64_t)got;
		frames_check(capture, frames, got);
		if (keeping && i % 5 == 0) {
			capture_release(capture, &kept, 1);
			keeping = false;
		}
		if (!keeping && got > 0) {
			kept = frames[--got];
			keeping = true;
		}
		capture_release(capture, frames, got);
	}
	check(capture_stats(capture).received == count);
	check(got >= 0 || got == ERR_END || *capture_fault(capture));
	if (got < 0)
		check(capture_next(capture, 0, 1, frames) == got);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct capture_options options = {.backend = "file",
					  .ring_size = UINT64_C(2) << 20};
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct capture *capture;
	struct fault fault;
	char path[64];
	int rc;

	check(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	options.target = path;
	if (size % 2) /* as good a coin as any */
		options.filter = "ip or ip6";
	rc = capture_open(&options, &capture, &fault);
	check(rc == 0 || *fault.text);
	if (rc == 0) {
		drain(capture);
		capture_close(capture);
	}
	close(fd);
	return 0;
}
