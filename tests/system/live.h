/* Opening live captures in tests, and taking all that comes. */
#ifndef TESTS_SYSTEM_LIVE_H
#define TESTS_SYSTEM_LIVE_H

#include "check.h"

#include <stdio.h>

#include "capture/capture.h"

#define LIVE_WAIT_MS 100 /* quiet for so long: all has arrived */
#define LIVE_BATCH   256

/* A capture on 'target' with the options' other fields as they are. */
static inline struct capture *live_open(const char *target,
					struct capture_options options)
{
	struct capture *capture = NULL;
	struct fault fault = {""};
	int code;

	options.target = target;
	if (!options.ring_size)
		options.ring_size = 16 << 20;
	code = capture_open(&options, &capture, &fault);
	if (code < 0)
		fail_msg("%s: %d: %s", target, code, fault.text);
	return capture;
}

/* Takes frames until it is quiet and hands each to 'each'; returns how many
 * there were. */
static inline uint64_t live_drain(struct capture *capture,
				  void (*each)(void *context,
					       const struct frame *frame),
				  void *context)
{
	struct frame frames[LIVE_BATCH];
	uint64_t sum = 0;
	int count;

	while ((count = capture_next(capture, LIVE_WAIT_MS, LIVE_BATCH,
				     frames)) > 0) {
		for (int i = 0; i < count && each; i++)
			each(context, &frames[i]);
		capture_release(capture, frames, count);
		sum += (uint64_t)count;
	}
	if (count < 0)
		fail_msg("capture_next: %d: %s", count, capture_fault(capture));
	return sum;
}

#endif
