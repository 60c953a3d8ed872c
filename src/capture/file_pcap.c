/* Classic pcap: draft-ietf-opsawg-pcap, sections 4 and 5, and what older
 * writers made of it.
 *
 *   magic a1b2c3d4  microseconds      a1b23c4d  nanoseconds
 *         a1b2cd34  Kuznetzov's: 8 more bytes in each record's header
 *
 * in either byte order.  In files of version 2.2 and before the two lengths
 * of a record have changed places; in 2.3 some writers did so, others did
 * not, and the smaller one is the captured one.
 */
#include "capture/file_private.h"

#define MAGIC_MICRO    0xa1b2c3d4U
#define MAGIC_NANO     0xa1b23c4dU
#define MAGIC_MODIFIED 0xa1b2cd34U

#define FILE_HEADER_SIZE   24U
#define RECORD_HEADER_SIZE 16U
#define MODIFIED_SIZE      24U /* a record's header in Kuznetzov's files */

#define VERSION_MAJOR         2
#define VERSION_MAJOR_SWAPPED 543 /* of one vendor's tcpdump */

/* Bits 28-31 of the link type field hold the length of a frame check
 * sequence and bit 26 whether it does; the rest of the upper half is
 * reserved. */
#define LINK_TYPE_MASK 0xffffU

/* What some systems wrote instead of LINKTYPE_RAW: their own DLT_RAW. */
#define LINK_RAW         101
#define LINK_RAW_OLD     12
#define LINK_RAW_OPENBSD 14

struct pcap_record {
	uint32_t captured_size;
	uint32_t size;
	int64_t at_ns;
};

uint16_t file_link_type(uint32_t link_type)
{
	link_type &= LINK_TYPE_MASK;
	if (link_type == LINK_RAW_OLD || link_type == LINK_RAW_OPENBSD)
		return LINK_RAW;
	return (uint16_t)link_type;
}

static bool magic_known(uint32_t magic)
{
	return magic == MAGIC_MICRO || magic == MAGIC_NANO ||
	       magic == MAGIC_MODIFIED;
}

bool pcap_magic(const uint8_t *at)
{
	return magic_known(file_load32(at, false)) ||
	       magic_known(file_load32(at, true));
}

/* Reads the 16 bytes that every record begins with. */
static inline __attribute__((always_inline)) struct pcap_record
record_load(const uint8_t *at, const struct pcap_format *format)
{
	struct pcap_record record = {
		.captured_size = file_load32(at + 8, format->swapped),
		.size = file_load32(at + 12, format->swapped),
		.at_ns = file_load32(at, format->swapped) * NS_PER_S +
			 (int64_t)file_load32(at + 4, format->swapped) *
				 format->fraction_ns,
	};

	if (format->lengths_swapped ||
	    (format->lengths_unsure && record.captured_size > record.size)) {
		uint32_t size = record.captured_size;

		record.captured_size = record.size;
		record.size = size;
	}
	return record;
}

/* The record at 'at' is not all there, or claims what cannot be. */
static __attribute__((cold)) void record_stop(struct file_capture *file,
					      uint32_t header_size,
					      uint32_t captured_size)
{
	if (captured_size <= FILE_FRAME_SIZE_MAX) {
		file_wait(file, "record",
			  (uint64_t)header_size + captured_size);
		return;
	}
	file_fail(file, ERR_FILE_CORRUPT,
		  "a record claims %u captured bytes, over the %u that a "
		  "frame can have: the file is damaged",
		  captured_size, FILE_FRAME_SIZE_MAX);
}

/* The loop that all speed depends on, made anew for each kind of file: where
 * it is inlined, 'format' is a constant. */
static inline __attribute__((always_inline)) int
pcap_take(struct file_capture *file, int count_max, struct frame *ret_frames,
	  const struct pcap_format *format)
{
	const uint32_t header_size =
		format->modified ? MODIFIED_SIZE : RECORD_HEADER_SIZE;
	const uint16_t link_type = file->pcap.link_type;
	const uint8_t *end = file->window.end;
	const uint8_t *at = file->window.at;
	int count = 0;

	file->need = 0;
	while (count < count_max) {
		struct pcap_record record;

		if ((size_t)(end - at) < header_size) {
			file_wait(file, "record header", header_size);
			break;
		}
		__builtin_prefetch(at + FILE_PREFETCH);
		record = record_load(at, format);
		if (__builtin_expect(
			    record.captured_size > FILE_FRAME_SIZE_MAX ||
				    record.captured_size >
					    (size_t)(end - at) - header_size,
			    0)) {
			file->window.at = at;
			record_stop(file, header_size, record.captured_size);
			return count;
		}
		file_frame(file, &ret_frames[count], at + header_size,
			   record.captured_size, record.size);
		ret_frames[count].stamp.at.ns = record.at_ns;
		ret_frames[count].stamp.source = STAMP_FILE;
		ret_frames[count].link_type = link_type;
		ret_frames[count].interface = 0;
		count++;
		at += header_size + record.captured_size;
	}
	file->window.at = at;
	return count;
}

#define PCAP_PARSER(name, ...)                                          \
	static int name(struct file_capture *file, int count_max,       \
			struct frame *ret_frames)                       \
	{                                                               \
		const struct pcap_format format = {__VA_ARGS__};        \
                                                                        \
		return pcap_take(file, count_max, ret_frames, &format); \
	}

PCAP_PARSER(pcap_micro, .fraction_ns = 1000)
PCAP_PARSER(pcap_nano, .fraction_ns = 1)
PCAP_PARSER(pcap_micro_swapped, .fraction_ns = 1000, .swapped = true)
PCAP_PARSER(pcap_nano_swapped, .fraction_ns = 1, .swapped = true)

/* The rare ones: whatever the header said. */
static int pcap_any(struct file_capture *file, int count_max,
		    struct frame *ret_frames)
{
	return pcap_take(file, count_max, ret_frames, &file->pcap);
}

static file_parser *pcap_parser(const struct pcap_format *format)
{
	if (format->modified || format->lengths_swapped ||
	    format->lengths_unsure)
		return pcap_any;
	if (format->fraction_ns == 1)
		return format->swapped ? pcap_nano_swapped : pcap_nano;
	return format->swapped ? pcap_micro_swapped : pcap_micro;
}

int pcap_begin(struct file_capture *file, int count_max,
	       struct frame *ret_frames)
{
	const uint8_t *at = file->window.at;
	bool swapped = !magic_known(file_load32(at, false));
	uint32_t magic = file_load32(at, swapped);
	uint16_t major, minor;

	if (window_size(&file->window) < FILE_HEADER_SIZE) {
		file_wait(file, "pcap file header", FILE_HEADER_SIZE);
		return 0;
	}
	major = file_load16(at + 4, swapped);
	minor = file_load16(at + 6, swapped);
	if (major < VERSION_MAJOR) {
		file_fail(file, ERR_FILE_FOREIGN,
			  "pcap of version %u.%u, which nothing reads", major,
			  minor);
		return 0;
	}
	file->pcap = (struct pcap_format){
		.swapped = swapped,
		.modified = magic == MAGIC_MODIFIED,
		.fraction_ns = magic == MAGIC_NANO ? 1 : 1000,
		.link_type = file_link_type(file_load32(at + 20, swapped)),
		.lengths_swapped = major == VERSION_MAJOR_SWAPPED ||
				   (major == VERSION_MAJOR && minor < 3),
		.lengths_unsure = major == VERSION_MAJOR && minor == 3,
	};
	if (!filter_add(&file->filter, file->pcap.link_type)) {
		file_refuse_filter(file);
		return 0;
	}
	file->begun = true;
	file->window.at += FILE_HEADER_SIZE;
	file->parse = pcap_parser(&file->pcap);
	return file->parse(file, count_max, ret_frames);
}
