/* pcapng: draft-ietf-opsawg-pcapng, sections 3 and 4.
 *
 * Enhanced packet blocks are parsed in place in a tight loop; every other
 * block goes through block_take().  Blocks that hold no packet and nothing
 * to count are passed over, whatever their size.  A packet block of an
 * interface that the section did not describe is counted as unusable, and
 * reading goes on.
 */
#include "capture/file_pcapng.h"

bool pcapng_magic(const uint8_t *at)
{
	return file_load32(at, false) == BLOCK_SECTION;
}

/* --- blocks with a packet ---------------------------------------------- */

static inline struct interface *interface_at(struct file_capture *file,
					     uint32_t id)
{
	struct interfaces *interfaces = &file->pcapng.interfaces;

	if (id >= interfaces->count || !interfaces->list[id].known)
		return NULL;
	return &interfaces->list[id];
}

/* 'room': bytes of data that the block can hold. */
static bool packet_fits(struct file_capture *file, uint32_t captured_size,
			uint32_t room)
{
	if (captured_size > FILE_FRAME_SIZE_MAX)
		file_fail(file, ERR_FILE_CORRUPT,
			  "a packet claims %u captured bytes, over the %u "
			  "that a frame can have: the file is damaged",
			  captured_size, FILE_FRAME_SIZE_MAX);
	else if (captured_size > room)
		file_fail(file, ERR_FILE_CORRUPT,
			  "a packet claims %u captured bytes in a block with "
			  "room for %u: the file is damaged",
			  captured_size, room);
	return file->rc == 0;
}

/* Flags and drop counts, of the packet blocks old and new. */
static void packet_options(struct file_capture *file,
			   struct interface *interface, struct options options,
			   struct frame *frame)
{
	struct option option;

	while (option_next(&options, &option)) {
		if (option.code == OPTION_PACKET_FLAGS && option.size >= 4)
			frame->outgoing =
				(file_load32(option.value, options.swapped) &
				 FLAGS_DIRECTION) == FLAGS_OUTBOUND;
		else if (option.code == OPTION_PACKET_DROPS && option.size >= 8)
			drops_add(file, interface,
				  load64(option.value, options.swapped));
	}
}

static inline void packet_interface(const struct interface *interface,
				    struct frame *frame)
{
	frame->link_type = interface->link_type;
	frame->interface = interface->name;
}

/* An enhanced or an obsolete packet block; they differ in bytes 8 to 11.
 * Returns how many frames it made: 0 or 1. */
static int enhanced_take(struct file_capture *file, const struct block *block,
			 struct frame *ret_frame)
{
	bool old = block->type == BLOCK_PACKET;
	const uint8_t *bytes = block->bytes;
	struct interface *interface;
	uint32_t captured_size, id;
	uint16_t drops;

	if (block->size < ENHANCED_SIZE_MIN) {
		block_refuse(file, block, ENHANCED_SIZE_MIN);
		return 0;
	}
	captured_size = file_load32(bytes + 20, block->swapped);
	if (!packet_fits(file, captured_size, block->span - ENHANCED_SIZE_MIN))
		return 0;
	id = old ? file_load16(bytes + 8, block->swapped)
		 : file_load32(bytes + 8, block->swapped);
	interface = interface_at(file, id);
	if (!interface) {
		file->capture.counters.unusable++;
		return 0;
	}
	file_frame(file, ret_frame, bytes + ENHANCED_DATA, captured_size,
		   file_load32(bytes + 24, block->swapped));
	packet_interface(interface, ret_frame);
	ret_frame->stamp = interface_stamp(
		interface, (uint64_t)file_load32(bytes + 12, block->swapped)
					   << 32 |
				   file_load32(bytes + 16, block->swapped));
	drops = old ? file_load16(bytes + 10, block->swapped) : 0;
	if (drops != DROPS_UNKNOWN)
		drops_add(file, interface, drops);
	packet_options(
		file, interface,
		block_options(block, ENHANCED_DATA + round4(captured_size)),
		ret_frame);
	return 1;
}

/* A simple packet block: of interface 0, without a time, cut to the
 * interface's snapshot length and to what the block holds. */
static int simple_take(struct file_capture *file, const struct block *block,
		       struct frame *ret_frame)
{
	struct interface *interface;
	uint32_t captured_size, size;

	if (block->size < SIMPLE_SIZE_MIN) {
		block_refuse(file, block, SIMPLE_SIZE_MIN);
		return 0;
	}
	interface = interface_at(file, 0);
	if (!interface) {
		file->capture.counters.unusable++;
		return 0;
	}
	size = file_load32(block->bytes + 8, block->swapped);
	captured_size = size;
	if (interface->snap_size && captured_size > interface->snap_size)
		captured_size = interface->snap_size;
	if (!packet_fits(file, captured_size, block->span - SIMPLE_SIZE_MIN))
		return 0;
	file_frame(file, ret_frame, block->bytes + SIMPLE_DATA, captured_size,
		   size);
	packet_interface(interface, ret_frame);
	ret_frame->stamp = (struct stamp){{0}, STAMP_NONE};
	return 1;
}

/* --- the blocks one by one --------------------------------------------- */

static bool block_is_packet(uint32_t type)
{
	return type == BLOCK_ENHANCED || type == BLOCK_SIMPLE ||
	       type == BLOCK_PACKET;
}

static bool block_is_known(uint32_t type)
{
	return block_is_packet(type) || type == BLOCK_SECTION ||
	       type == BLOCK_INTERFACE || type == BLOCK_STATISTICS;
}

/* A section says its own byte order.  False: stopped. */
static bool section_order(struct file_capture *file, struct block *block)
{
	uint32_t order;

	if (window_size(&file->window) < SECTION_UNKNOWN_ORDER) {
		file_wait(file, "block", SECTION_UNKNOWN_ORDER);
		return false;
	}
	order = file_load32(block->bytes + 8, false);
	block->swapped = order != ORDER_MAGIC;
	if (block->swapped && bswap_32(order) != ORDER_MAGIC) {
		file_fail(file,
			  file->begun ? ERR_FILE_CORRUPT : ERR_FILE_FOREIGN,
			  "a section with byte order magic %08x: not pcapng",
			  be32toh(order));
		return false;
	}
	return true;
}

/* Finds out what block comes next.  False: stopped. */
static bool block_peek(struct file_capture *file, struct block *ret_block)
{
	const uint8_t *at = file->window.at;
	size_t size = window_size(&file->window);

	*ret_block =
		(struct block){.bytes = at, .swapped = file->pcapng.swapped};
	if (size < BLOCK_HEAD_SIZE) {
		file_wait(file, "block header", BLOCK_HEAD_SIZE);
		return false;
	}
	ret_block->type = file_load32(at, ret_block->swapped);
	if (ret_block->type == BLOCK_SECTION && !section_order(file, ret_block))
		return false;
	ret_block->size = file_load32(at + 4, ret_block->swapped);
	ret_block->span = round4(ret_block->size);
	if (ret_block->size < BLOCK_SIZE_MIN ||
	    ret_block->span < ret_block->size) {
		file_fail(file, ERR_FILE_CORRUPT,
			  "a block of type %u says it has %u bytes: the file "
			  "is damaged",
			  ret_block->type, ret_block->size);
		return false;
	}
	return true;
}

/* The second length, behind a block.  False: stopped. */
static bool trailer_take(struct file_capture *file)
{
	struct pcapng_format *format = &file->pcapng;
	uint32_t size;

	if (window_size(&file->window) < 4) {
		file->need = 4; /* the part is the block passed over */
		return false;
	}
	size = file_load32(file->window.at, format->swapped);
	if (size != format->trailer) {
		file_fail(file, ERR_FILE_CORRUPT,
			  "a block ends with the length %u but began with %u: "
			  "the file is damaged",
			  size, format->trailer);
		return false;
	}
	file->window.at += 4;
	format->trailer = 0;
	return true;
}

/* Moves behind a block but for its second length, which comes next. */
static void block_pass(struct file_capture *file, const struct block *block)
{
	uint64_t size = block->span - 4;
	uint64_t here = window_size(&file->window);

	file->pcapng.trailer = block->size;
	file->part = "block";
	file->part_size = block->span;
	file->part_offset = window_offset(&file->window);
	file->window.skip = size > here ? size - here : 0;
	file->window.at += size > here ? here : size;
}

/* A block that is whole must end as it began before anything in it is
 * believed.  Of one that is longer than the parser sees, the end is checked
 * when it comes. */
static bool block_ends_well(struct file_capture *file,
			    const struct block *block)
{
	uint32_t size;

	if (block->shown < block->span)
		return true;
	size = file_load32(block->bytes + block->span - 4, block->swapped);
	if (size != block->size)
		file_fail(file, ERR_FILE_CORRUPT,
			  "a block begins with the length %u but ends with "
			  "%u: the file is damaged",
			  block->size, size);
	return size == block->size;
}

/* Returns the frames made, 0 or 1. */
static int block_take(struct file_capture *file, const struct block *block,
		      struct frame *ret_frame)
{
	switch (block->type) {
	case BLOCK_SECTION:
		section_take(file, block);
		return 0;
	case BLOCK_INTERFACE:
		interface_take(file, block);
		return 0;
	case BLOCK_STATISTICS:
		statistics_take(file, block);
		return 0;
	case BLOCK_SIMPLE:
		return simple_take(file, block, ret_frame);
	default:
		return enhanced_take(file, block, ret_frame);
	}
}

/* The first packet is coming: no more interfaces are waited for. */
static bool names_settle(struct file_capture *file)
{
	int rc = interfaces_settle(&file->pcapng.interfaces, file->base);

	if (rc < 0)
		file_fail(file, rc, "%s", err_sentence(rc));
	return rc == 0;
}

/* Goes past one block.  'room': whether a frame may come of it.  Returns the
 * frames made, 0 or 1, or -1 when stopped. */
static int block_step(struct file_capture *file, bool room,
		      struct frame *ret_frame)
{
	struct block block;
	int count = 0;

	if (file->window.skip > 0) {
		file->need = 1;
		return -1;
	}
	if (file->pcapng.trailer && !trailer_take(file))
		return -1;
	if (!block_peek(file, &block))
		return -1;
	if (block_is_packet(block.type) && (!room || !names_settle(file)))
		return -1;
	if (block_is_known(block.type)) {
		block.shown = block.span < FILE_BLOCK_SIZE_MAX
				      ? block.span
				      : FILE_BLOCK_SIZE_MAX;
		if (window_size(&file->window) < block.shown) {
			file_wait(file, "block", block.span);
			return -1;
		}
		if (!block_ends_well(file, &block))
			return -1;
		count = block_take(file, &block, ret_frame);
		if (file->rc)
			return -1;
	}
	block_pass(file, &block);
	return count;
}

/* The loop that all speed depends on: enhanced packet blocks with nothing
 * unusual about them.  It leaves the first other block alone. */
static inline __attribute__((always_inline)) int
enhanced_run(struct file_capture *file, int count_max, struct frame *ret_frames,
	     bool swapped)
{
	const struct interfaces *interfaces = &file->pcapng.interfaces;
	const uint8_t *end = file->window.end;
	const uint8_t *at = file->window.at;
	int count = 0;

	while (count < count_max && (size_t)(end - at) >= ENHANCED_SIZE_MIN &&
	       file_load32(at, swapped) == BLOCK_ENHANCED) {
		uint32_t size = file_load32(at + 4, swapped);
		uint32_t id = file_load32(at + 8, swapped);
		uint32_t captured_size = file_load32(at + 20, swapped);
		struct interface *interface;
		struct frame *frame = &ret_frames[count];

		__builtin_prefetch(at + FILE_PREFETCH);
		if (size > (size_t)(end - at) || size < ENHANCED_SIZE_MIN ||
		    size % 4 || size > FILE_BLOCK_SIZE_MAX ||
		    file_load32(at + size - 4, swapped) != size ||
		    captured_size > size - ENHANCED_SIZE_MIN ||
		    captured_size > FILE_FRAME_SIZE_MAX ||
		    id >= interfaces->count || !interfaces->list[id].known)
			break;
		interface = &interfaces->list[id];
		file_frame(file, frame, at + ENHANCED_DATA, captured_size,
			   file_load32(at + 24, swapped));
		packet_interface(interface, frame);
		frame->stamp = interface_stamp(
			interface, (uint64_t)file_load32(at + 12, swapped)
						   << 32 |
					   file_load32(at + 16, swapped));
		if (size - ENHANCED_SIZE_MIN > round4(captured_size))
			packet_options(
				file, interface,
				(struct options){at + ENHANCED_DATA +
							 round4(captured_size),
						 at + size - 4, swapped},
				frame);
		at += size;
		count++;
	}
	file->window.at = at;
	return count;
}

static int pcapng_parse(struct file_capture *file, int count_max,
			struct frame *ret_frames)
{
	struct pcapng_format *format = &file->pcapng;
	int count = 0;
	int made = 0;

	file->need = 0;
	while (made >= 0) {
		if (file->window.skip == 0 && format->trailer == 0 &&
		    format->interfaces.settled) {
			int left = count_max - count;
			struct frame *frames = ret_frames + count;

			count += format->swapped ? enhanced_run(file, left,
								frames, true)
						 : enhanced_run(file, left,
								frames, false);
		}
		made = block_step(file, count < count_max, ret_frames + count);
		count += made > 0;
	}
	return count;
}

int pcapng_begin(struct file_capture *file, int count_max,
		 struct frame *ret_frames)
{
	file->parse = pcapng_parse;
	return pcapng_parse(file, count_max, ret_frames);
}
