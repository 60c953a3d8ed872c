/* The table of backends, and the calls that pass through to them. */
#include "capture/capture.h"

#include <errno.h>
#include <string.h>

#include "capture/capture_private.h"

/* Every backend of this build; one that is absent is an absent row.  'auto'
 * asks them in this order. */
static const struct capture_ops *const backends[] = {
	&null_ops,
	&file_ops,
	&afpacket_ops,
	&pcap_ops,
};

#define BACKEND_COUNT (sizeof backends / sizeof backends[0])

const struct counter_row capture_counter_rows[] = {
	CAPTURE_COUNTERS(COUNTER_ROW)};
const size_t capture_counter_count =
	sizeof capture_counter_rows / sizeof capture_counter_rows[0];

static const struct capture_ops *backend_find(const char *name,
					      const char *target)
{
	bool pick = !name || strcmp(name, "auto") == 0;

	for (size_t i = 0; i < BACKEND_COUNT; i++) {
		if (pick ? backends[i]->suits(target)
			 : strcmp(backends[i]->about.name, name) == 0)
			return backends[i];
	}
	return NULL;
}

bool capture_is_live(const char *backend, const char *target)
{
	const struct capture_ops *ops = backend_find(backend, target);

	return !ops || ops->about.live;
}

int capture_open(const struct capture_options *options,
		 struct capture **ret_capture, struct fault *ret_fault)
{
	const struct capture_ops *ops =
		backend_find(options->backend, options->target);

	if (!ops && options->backend && strcmp(options->backend, "auto") != 0)
		return fault_set(ret_fault, ERR_BACKEND_UNKNOWN,
				 "backend '%s': %s", options->backend,
				 err_sentence(ERR_BACKEND_UNKNOWN));
	if (!ops)
		return fault_set(ret_fault, -ENODEV,
				 "%s: neither an interface nor a file; 'ip "
				 "link' lists the interfaces",
				 options->target);
	return ops->open(options, ret_capture, ret_fault);
}

int capture_next(struct capture *capture, int timeout_ms, int count_max,
		 struct frame *ret_frames)
{
	if (capture->quiesced && !capture->ops->quiesce)
		return ERR_END;
	return capture->ops->next(capture, timeout_ms, count_max, ret_frames);
}

void capture_release(struct capture *capture, const struct frame *frames,
		     int count)
{
	if (capture->ops->release)
		capture->ops->release(capture, frames, count);
}

struct capture_part *capture_ahead(struct capture *capture, uint16_t reader)
{
	if (capture->quiesced || !capture->ops->ahead)
		return NULL;
	return capture->ops->ahead(capture, reader);
}

void capture_part_read(struct capture *capture, struct capture_part *part)
{
	capture->ops->part_read(capture, part);
}

const struct capture_part *capture_part_next(const struct capture *capture)
{
	return capture->ops->part_next ? capture->ops->part_next(capture)
				       : NULL;
}

int capture_quiesce(struct capture *capture)
{
	capture->quiesced = true;
	return capture->ops->quiesce ? capture->ops->quiesce(capture) : 0;
}

int capture_fd(const struct capture *capture)
{
	return capture->ops->fd ? capture->ops->fd(capture) : -1;
}

const char *capture_fault(const struct capture *capture)
{
	return capture->fault.text;
}

double capture_progress(const struct capture *capture)
{
	return capture->ops->progress ? capture->ops->progress(capture) : -1;
}

const char *capture_interface(const struct capture *capture, uint16_t index)
{
	return capture->ops->interface(capture, index);
}

struct capture_counters capture_stats(struct capture *capture)
{
	if (capture->ops->stats)
		capture->ops->stats(capture);
	return capture->counters;
}

enum stamp_source capture_stamp_source(const struct capture *capture)
{
	return capture->ops->stamp_source(capture);
}

void capture_close(struct capture *capture)
{
	if (capture)
		capture->ops->close(capture);
}

const struct capture_backend *capture_backend_at(size_t index)
{
	return index < BACKEND_COUNT ? &backends[index]->about : NULL;
}
