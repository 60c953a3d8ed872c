/* pcapng's blocks without a packet: sections, interfaces, statistics; and
 * the options of all blocks.
 */
#include "capture/file_pcapng.h"

bool option_next(struct options *options, struct option *ret_option)
{
	uint16_t code, size;

	if (options->end - options->at < 4)
		return false;
	code = file_load16(options->at, options->swapped);
	size = file_load16(options->at + 2, options->swapped);
	if (code == OPTION_END || options->end - options->at - 4 < size)
		return false;
	*ret_option = (struct option){code, size, options->at + 4};
	options->at += 4;
	if ((size_t)(options->end - options->at) <= round4(size))
		options->at = options->end;
	else
		options->at += round4(size);
	return true;
}

struct options block_options(const struct block *block, uint32_t start)
{
	uint32_t end = block->span - 4;

	end = end < block->shown ? end : block->shown;
	start = start < end ? start : end;
	return (struct options){block->bytes + start, block->bytes + end,
				block->swapped};
}

void block_refuse(struct file_capture *file, const struct block *block,
		  uint32_t size_min)
{
	file_fail(file, ERR_FILE_CORRUPT,
		  "a block of type %u says it has %u bytes, under the %u that "
		  "it needs: the file is damaged",
		  block->type, block->size, size_min);
}

/* What an interface lost in all, by two ways of counting: the sum of the
 * packets' drop counts and the last statistics block.  They overlap, so only
 * what exceeds the count so far is added. */
static void drops_raise(struct file_capture *file, struct interface *interface,
			uint64_t in_interface, uint64_t in_kernel)
{
	uint64_t counted = interface->drops_interface + interface->drops_kernel;
	uint64_t more = in_interface + in_kernel - counted;
	uint64_t in_front = 0;

	if (in_interface + in_kernel <= counted)
		return;
	if (in_interface > interface->drops_interface)
		in_front = in_interface - interface->drops_interface;
	if (in_front > more)
		in_front = more;
	interface->drops_interface += in_front;
	interface->drops_kernel += more - in_front;
	file->capture.counters.dropped_interface += in_front;
	file->capture.counters.dropped_kernel += more - in_front;
}

void drops_add(struct file_capture *file, struct interface *interface,
	       uint64_t drops)
{
	interface->drops_kernel += drops;
	file->capture.counters.dropped_kernel += drops;
}

void section_take(struct file_capture *file, const struct block *block)
{
	uint16_t major, minor;

	if (block->size < SECTION_SIZE_MIN) {
		block_refuse(file, block, SECTION_SIZE_MIN);
		return;
	}
	major = file_load16(block->bytes + 12, block->swapped);
	minor = file_load16(block->bytes + 14, block->swapped);
	if (major != 1) {
		file_fail(file,
			  file->begun ? ERR_FILE_CORRUPT : ERR_FILE_FOREIGN,
			  "a section of pcapng version %u.%u: only 1.x is "
			  "known",
			  major, minor);
		return;
	}
	file->begun = true;
	file->pcapng.swapped = block->swapped;
	interfaces_restart(&file->pcapng.interfaces);
}

static void interface_option(struct interface_options *options,
			     const struct option *option, bool swapped)
{
	if (option->code == OPTION_INTERFACE_NAME) {
		options->name = option->value;
		options->name_size = option->size;
	} else if (option->code == OPTION_INTERFACE_RESOLUTION &&
		   option->size >= 1) {
		options->resolution = option->value[0];
	} else if (option->code == OPTION_INTERFACE_OFFSET &&
		   option->size >= 8) {
		options->offset_s = (int64_t)load64(option->value, swapped);
	}
}

void interface_take(struct file_capture *file, const struct block *block)
{
	struct interface_options interface = {.resolution = 6};
	struct options options = block_options(block, INTERFACE_SIZE_MIN - 4);
	struct option option;
	int rc;

	if (block->size < INTERFACE_SIZE_MIN) {
		block_refuse(file, block, INTERFACE_SIZE_MIN);
		return;
	}
	interface.link_type =
		file_link_type(file_load16(block->bytes + 8, block->swapped));
	interface.snap_size = file_load32(block->bytes + 12, block->swapped);
	while (option_next(&options, &option))
		interface_option(&interface, &option, block->swapped);
	rc = interfaces_add(&file->pcapng.interfaces, &interface, file->base);
	if (rc < 0)
		file_fail(file, rc, "%s", err_sentence(rc));
	(void)filter_add(&file->filter, interface.link_type);
}

void statistics_take(struct file_capture *file, const struct block *block)
{
	struct interfaces *interfaces = &file->pcapng.interfaces;
	struct options options = block_options(block, STATISTICS_OPTIONS);
	uint64_t in_interface = 0, in_kernel = 0;
	struct option option;
	uint32_t id;

	if (block->size < STATISTICS_SIZE_MIN) {
		block_refuse(file, block, STATISTICS_SIZE_MIN);
		return;
	}
	id = file_load32(block->bytes + 8, block->swapped);
	if (id >= interfaces->count)
		return;
	while (option_next(&options, &option)) {
		if (option.size < 8)
			continue;
		if (option.code == OPTION_STATISTICS_INTERFACE_DROPS)
			in_interface = load64(option.value, block->swapped);
		else if (option.code == OPTION_STATISTICS_KERNEL_DROPS)
			in_kernel = load64(option.value, block->swapped);
	}
	drops_raise(file, &interfaces->list[id], in_interface, in_kernel);
}
