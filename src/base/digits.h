/* Numbers and addresses as text, for whoever writes millions of them.
 *
 * Every function writes at 'at', without a zero behind, and returns the end of
 * the text.  It may leave up to DIGITS_SLACK bytes of anything behind that
 * end: whole words are stored, whatever the number of digits, because a
 * branch on it is guessed wrong too often.
 *
 * Threads: pure, any thread.
 */
#ifndef BASE_DIGITS_H
#define BASE_DIGITS_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define DIGITS_SLACK     8
#define DIGITS_U64_MAX   20 /* bytes of the longest text of each */
#define DIGITS_I64_MAX   20
#define DIGITS_MILLI_MAX 21
#define DIGITS_HEX64     16
#define DIGITS_IP4_MAX   15
#define DIGITS_IP6_MAX   45 /* with an IPv4 address inside */
#define DIGITS_ZEROS     UINT64_C(0x3030303030303030)
#define DIGITS_EIGHT     UINT32_C(100000000)

/* "0." to "255.", padded. */
extern const char digits_octets[256][4];

static inline void digits_store(char *at, uint64_t text)
{
	text = htole64(text);
	memcpy(at, &text, sizeof text);
}

/* Eight digits of a value below 10^8 as bytes 0 to 9, the first the lowest:
 * two fours, four pairs, eight, side by side in one word. */
static inline uint64_t digits_spread(uint32_t value)
{
	uint64_t fours = value / 10000 | (uint64_t)(value % 10000) << 32;
	uint64_t upper = fours * 10486 >> 20 & UINT64_C(0x7f0000007f);
	uint64_t pairs = upper | (fours - 100 * upper) << 16;
	uint64_t tens = pairs * 103 >> 10 & UINT64_C(0x000f000f000f000f);

	return tens | (pairs - 10 * tens) << 8;
}

/* A value below 10^8, and the same with zeros in front up to eight. */
static inline char *digits_put_eight(char *at, uint32_t value)
{
	uint64_t digits = digits_spread(value);
	/* Bits of the zeros in front; the last digit stays. */
	unsigned skip =
		(unsigned)__builtin_ctzll(digits | UINT64_C(1) << 56) & ~7U;

	digits_store(at, (digits | DIGITS_ZEROS) >> skip);
	return at + 8 - skip / 8;
}

static inline char *digits_put_all_eight(char *at, uint32_t value)
{
	digits_store(at, digits_spread(value) | DIGITS_ZEROS);
	return at + 8;
}

/* A value of 10^8 or more. */
static inline char *digits_put_large(char *at, uint64_t value)
{
	uint64_t upper = value / DIGITS_EIGHT;

	if (upper < DIGITS_EIGHT) {
		at = digits_put_eight(at, (uint32_t)upper);
	} else {
		at = digits_put_eight(at, (uint32_t)(upper / DIGITS_EIGHT));
		at = digits_put_all_eight(at, (uint32_t)(upper % DIGITS_EIGHT));
	}
	return digits_put_all_eight(at, (uint32_t)(value % DIGITS_EIGHT));
}

static inline char *digits_put_u64(char *at, uint64_t value)
{
	if (value < DIGITS_EIGHT)
		return digits_put_eight(at, (uint32_t)value);
	return digits_put_large(at, value);
}

static inline char *digits_put_i64(char *at, int64_t value)
{
	if (value >= 0)
		return digits_put_u64(at, (uint64_t)value);
	*at++ = '-';
	return digits_put_u64(at, -(uint64_t)value);
}

/* Thousandths: a point and three digits, always. */
static inline char *digits_put_milli(char *at, uint64_t value)
{
	uint32_t rest = (uint32_t)(value % 1000);

	at = digits_put_u64(at, value / 1000);
	*at++ = '.';
	*at++ = (char)('0' + rest / 100);
	*at++ = (char)('0' + rest / 10 % 10);
	*at++ = (char)('0' + rest % 10);
	return at;
}

/* With a point behind. */
static inline char *digits_put_octet(char *at, uint8_t value)
{
	memcpy(at, digits_octets[value], sizeof *digits_octets);
	return at + 2 + (value > 9) + (value > 99);
}

static inline char *digits_put_u8(char *at, uint8_t value)
{
	return digits_put_octet(at, value) - 1;
}

/* Eight hexadecimal digits, as bytes of text. */
static inline uint64_t digits_hex8(uint32_t value)
{
	uint64_t nibbles = __builtin_bswap32(value), letters;

	nibbles = (nibbles | nibbles << 16) & UINT64_C(0x0000ffff0000ffff);
	nibbles = (nibbles | nibbles << 8) & UINT64_C(0x00ff00ff00ff00ff);
	nibbles = (nibbles >> 4 | nibbles << 8) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	letters = (nibbles + UINT64_C(0x0606060606060606)) >> 4 &
		  UINT64_C(0x0101010101010101);
	return nibbles + DIGITS_ZEROS + letters * ('a' - '0' - 10);
}

static inline char *digits_put_hex64(char *at, uint64_t value)
{
	digits_store(at, digits_hex8((uint32_t)(value >> 32)));
	digits_store(at + 8, digits_hex8((uint32_t)value));
	return at + 16;
}

/* Four bytes in network order. */
static inline char *digits_put_ip4(char *at, const uint8_t *address)
{
	at = digits_put_octet(at, address[0]);
	at = digits_put_octet(at, address[1]);
	at = digits_put_octet(at, address[2]);
	return digits_put_u8(at, address[3]);
}

/* 16 bytes in network order, as RFC 5952 says and inet_ntop() writes them. */
char *digits_put_ip6(char *at, const uint8_t *address);

#endif
