/* What the two halves of the pcapng parser share: file_pcapng.c walks the
 * blocks and takes the packets, file_block.c takes what describes them.
 */
#ifndef CAPTURE_FILE_PCAPNG_H
#define CAPTURE_FILE_PCAPNG_H

#include "capture/file_private.h"

#define BLOCK_SECTION    0x0a0d0d0aU
#define BLOCK_INTERFACE  1U
#define BLOCK_PACKET     2U /* obsolete */
#define BLOCK_SIMPLE     3U
#define BLOCK_STATISTICS 5U
#define BLOCK_ENHANCED   6U

#define ORDER_MAGIC 0x1a2b3c4dU

#define BLOCK_HEAD_SIZE     8U  /* type, length */
#define BLOCK_SIZE_MIN      12U /* and the length again */
#define SECTION_SIZE_MIN    28U
#define INTERFACE_SIZE_MIN  20U
#define ENHANCED_SIZE_MIN   32U /* the packet block's too */
#define ENHANCED_DATA       28U
#define SIMPLE_SIZE_MIN     16U
#define SIMPLE_DATA         12U
#define STATISTICS_OPTIONS  20U
#define STATISTICS_SIZE_MIN 24U

#define SECTION_UNKNOWN_ORDER 12U /* bytes that tell a section's order */

enum option_code {
	OPTION_END = 0,
	OPTION_INTERFACE_NAME = 2,
	OPTION_INTERFACE_RESOLUTION = 9,
	OPTION_INTERFACE_OFFSET = 14,
	OPTION_PACKET_FLAGS = 2,
	OPTION_PACKET_DROPS = 4,
	OPTION_STATISTICS_INTERFACE_DROPS = 5,
	OPTION_STATISTICS_KERNEL_DROPS = 7,
};

#define FLAGS_DIRECTION 3U
#define FLAGS_OUTBOUND  2U
#define DROPS_UNKNOWN   0xffffU /* in the obsolete packet block */

struct block {
	const uint8_t *bytes; /* from its type on */
	uint32_t type;
	uint32_t size;  /* as it says */
	uint32_t span;  /* as it is: some writers leave the padding out of
			   the length, but not out of the file */
	uint32_t shown; /* bytes of it that are in the window */
	bool swapped;
};

struct options {
	const uint8_t *at, *end;
	bool swapped;
};

struct option {
	uint16_t code, size;
	const uint8_t *value;
};

static inline uint32_t round4(uint32_t size)
{
	return (size + 3) & ~3U;
}

static inline uint64_t load64(const uint8_t *at, bool swapped)
{
	uint64_t value;

	memcpy(&value, at, sizeof value);
	return swapped ? bswap_64(value) : value;
}

/* Section 3.5.  An option that does not fit ends the list: what came before
 * it was good. */
bool option_next(struct options *options, struct option *ret_option);

/* The options of 'block' from byte 'start' on, as far as they are shown. */
struct options block_options(const struct block *block, uint32_t start);

/* Ends the capture: the block is shorter than its type allows. */
void block_refuse(struct file_capture *file, const struct block *block,
		  uint32_t size_min);

/* Blocks without a packet. */
void section_take(struct file_capture *file, const struct block *block);
void interface_take(struct file_capture *file, const struct block *block);
void statistics_take(struct file_capture *file, const struct block *block);

/* 'drops' more frames lost before a packet of 'interface'. */
void drops_add(struct file_capture *file, struct interface *interface,
	       uint64_t drops);

#endif
