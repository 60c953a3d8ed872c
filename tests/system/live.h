/* Opening live captures in tests, and taking all that comes. */
#ifndef TESTS_SYSTEM_LIVE_H
#define TESTS_SYSTEM_LIVE_H

#include "check.h"

#include <stdio.h>
#include <unistd.h>

#include "capture/capture.h"
#include "net.h"

#define LIVE_WAIT_MS 100 /* quiet for so long: all has arrived */
#define LIVE_BATCH   256

/* Options of a backend: AFPACKET(.field = value, ...). */
#define AFPACKET(...) LIVE("afpacket", __VA_ARGS__)
#define PCAP(...)     LIVE("pcap", __VA_ARGS__)
#define LIVE(name, ...)                      \
	(struct capture_options)             \
	{                                    \
		.backend = name, __VA_ARGS__ \
	}

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

/* The frame came byte by byte as 'context', a net_frame, was sent. */
static inline void live_check_frame(void *context, const struct frame *frame)
{
	uint8_t bytes[2048];
	struct net_frame sent = *(const struct net_frame *)context;
	size_t size;

	sent.number = net_frame_number(frame->bytes, frame->captured_size);
	size = net_frame_write(&sent, bytes);
	assert_int_equal(frame->size, size);
	assert_int_equal(frame->captured_size, size);
	assert_memory_equal(frame->bytes, bytes, size);
	assert_int_equal(frame->link_type, 1);
	assert_int_equal(frame->stamp.source, STAMP_KERNEL);
	assert_int_equal(frame->gso_size, 0);
	assert_false(frame->outgoing);
}

/* After capture_quiesce() come the frames from before it, and the end. */
static inline void live_check_rest(struct capture_options options)
{
	struct capture *capture = live_open("v1", options);
	struct frame frames[LIVE_BATCH];
	int sender = net_sender("v0");
	uint32_t received = 0;
	int count;

	net_send(sender, &net_plain, 3000);
	assert_int_equal(capture_quiesce(capture), 0);
	net_send(sender, &net_plain, 1000); /* too late */
	while ((count = capture_next(capture, -1, LIVE_BATCH, frames)) > 0) {
		received += (uint32_t)count;
		capture_release(capture, frames, count);
	}
	assert_int_equal(count, ERR_END);
	assert_int_equal(received, 3000);
	assert_int_equal(capture_next(capture, 0, LIVE_BATCH, frames), ERR_END);
	close(sender);
	capture_close(capture);
}

#endif
