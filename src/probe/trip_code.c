/* The range coder: an interval that each bit makes narrower. */
#include "probe/trip_code.h"

#define RANGE_MIN (UINT32_C(1) << 24)
#define FAST      4
#define SLOW      7
#define TOP_BITS  3

void code_bits_init(struct code_bit *bits, size_t count)
{
	for (size_t i = 0; i < count; i++)
		bits[i] = (struct code_bit){1 << 15, 1 << 15};
}

void code_number_init(struct code_number *number)
{
	code_bits_init(&number->zero, 1);
	code_bits_init(number->tree, 64);
	code_bits_init(number->sign, CODE_CLASSES);
	code_bits_init(&number->top[0][0], (size_t)CODE_CLASSES * 8);
}

static void byte_put(struct code *code, uint8_t byte)
{
	if (code->at < code->room)
		code->out[code->at] = byte;
	code->at++;
}

/* A carry may still run through bytes of 255: they are held back. */
static void low_shift(struct code *code)
{
	uint8_t carry = (uint8_t)(code->low >> 32);

	if ((uint32_t)code->low < UINT32_C(0xff000000) || carry != 0) {
		if (code->begun)
			byte_put(code, (uint8_t)(code->cache + carry));
		for (; code->cached > 0; code->cached--)
			byte_put(code, (uint8_t)(0xff + carry));
		code->begun = true;
		code->cache = (uint8_t)(code->low >> 24);
	} else {
		code->cached++;
	}
	code->low = (code->low & 0x00ffffff) << 8;
}

static uint8_t byte_get(struct code *code)
{
	uint8_t byte = code->at < code->room ? code->in[code->at] : 0;

	code->at++;
	return byte;
}

void code_write_begin(struct code *code, uint8_t *out, size_t room)
{
	*code = (struct code){.out = out, .room = room, .range = UINT32_MAX};
}

size_t code_write_end(struct code *code)
{
	for (int i = 0; i < 5; i++)
		low_shift(code);
	return code->at;
}

void code_read_begin(struct code *code, const uint8_t *in, size_t size)
{
	*code = (struct code){.in = in, .room = size, .range = UINT32_MAX};
	for (int i = 0; i < 4; i++)
		code->value = code->value << 8 | byte_get(code);
}

bool code_read_end(const struct code *code)
{
	return code->at == code->room;
}

static void normalize(struct code *code)
{
	while (code->range < RANGE_MIN) {
		code->range <<= 8;
		if (code->out)
			low_shift(code);
		else
			code->value = code->value << 8 | byte_get(code);
	}
}

/* The interval's lower 'bound' is a 0. */
static bool split(struct code *code, uint32_t bound, bool bit)
{
	if (!code->out)
		bit = code->value >= bound;
	if (!bit) {
		code->range = bound;
	} else {
		code->range -= bound;
		if (code->out)
			code->low += bound;
		else
			code->value -= bound;
	}
	normalize(code);
	return bit;
}

static uint16_t follow(uint16_t chance, bool bit, int rate)
{
	return (uint16_t)(bit ? chance - (chance >> rate)
			      : chance + ((65535 - chance) >> rate));
}

bool code_bit(struct code *code, struct code_bit *chance, bool bit)
{
	uint32_t of_zero = ((uint32_t)chance->fast + chance->slow) >> 1;

	bit = split(code, (code->range >> 16) * (of_zero | 1), bit);
	chance->fast = follow(chance->fast, bit, FAST);
	chance->slow = follow(chance->slow, bit, SLOW);
	return bit;
}

/* Even chances. */
static bool plain_bit(struct code *code, bool bit)
{
	return split(code, code->range >> 1, bit);
}

/* 1 to 64: bits of the magnitude. */
static int class_code(struct code *code, struct code_number *number, int class)
{
	unsigned node = 1, of = (unsigned)class - 1;

	for (int i = 5; i >= 0; i--)
		node = node << 1 |
		       code_bit(code, &number->tree[node], of >> i & 1);
	return (int)(node - 64) + 1;
}

static uint64_t magnitude_code(struct code *code, struct code_number *number,
			       uint64_t magnitude)
{
	int class = magnitude ? 64 - __builtin_clzll(magnitude) : 0;
	uint64_t result = 1;
	unsigned node = 1;

	if (code_bit(code, &number->zero, class != 0) == 0)
		return 0;
	class = class_code(code, number, class);
	for (int i = class - 2; i >= 0; i--) {
		bool bit = magnitude >> i & 1;

		if (i > class - 2 - TOP_BITS) {
			bit = code_bit(code, &number->top[class][node], bit);
			node = node << 1 | bit;
		} else {
			bit = plain_bit(code, bit);
		}
		result = result << 1 | bit;
	}
	return result;
}

int64_t code_number(struct code *code, struct code_number *number,
		    int64_t value)
{
	bool negative = value < 0;
	uint64_t magnitude = negative ? -(uint64_t)value : (uint64_t)value;
	int class;

	magnitude = magnitude_code(code, number, magnitude);
	if (magnitude == 0)
		return 0;
	class = 64 - __builtin_clzll(magnitude);
	negative = code_bit(code, &number->sign[class], negative);
	return (int64_t)(negative ? -magnitude : magnitude);
}
