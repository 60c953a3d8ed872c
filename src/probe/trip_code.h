/* Numbers as few bits: an adaptive binary range coder.  Included by
 * trip_code.c and trip_pack.c only.
 *
 * Bits are coded by how often they were 0 or 1 in their place (Martin, "Range
 * encoding", 1979).  A number is coded as the power of two that it reaches,
 * its sign, three bits below the leading one, all three learned, and the rest
 * as it is. */
#ifndef TRIP_CODE_H
#define TRIP_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODE_CLASSES 65 /* of magnitudes: 0, then each power of two */

/* The chance of a 0, of 65536, followed fast and followed slowly. */
struct code_bit {
	uint16_t fast, slow;
};

struct code_number {
	struct code_bit zero;
	struct code_bit tree[64]; /* of the power */
	struct code_bit sign[CODE_CLASSES];
	struct code_bit top[CODE_CLASSES][8];
};

/* Reads if 'out' is NULL, else writes. */
struct code {
	uint8_t *out;
	const uint8_t *in;
	size_t room, at; /* writing, 'at' goes on beyond 'room' */
	uint64_t low;
	uint32_t range, value;
	uint8_t cache;
	uint64_t cached;
	bool begun;
};

void code_bits_init(struct code_bit *bits, size_t count);
void code_number_init(struct code_number *number);

void code_write_begin(struct code *code, uint8_t *out, size_t room);
/* Returns the bytes that all takes; more than 'room': not all was written. */
size_t code_write_end(struct code *code);
void code_read_begin(struct code *code, const uint8_t *in, size_t size);
/* True if what was read was all there, to the last byte. */
bool code_read_end(const struct code *code);

/* Writing: codes 'bit' and returns it.  Reading: 'bit' does not count. */
bool code_bit(struct code *code, struct code_bit *chance, bool bit);
int64_t code_number(struct code *code, struct code_number *number,
		    int64_t value);

#endif
