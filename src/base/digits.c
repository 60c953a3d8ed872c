/* The table of octets, and IPv6 addresses (RFC 5952). */
#include "base/digits.h"

#include "base/cursor.h"

#define DIGIT(value) (char)('0' + (value) % 10)
#define FIRST(value)                          \
	((value) > 99  ? DIGIT((value) / 100) \
	 : (value) > 9 ? DIGIT((value) / 10)  \
		       : DIGIT(value))
#define SECOND(value) \
	((value) > 99 ? DIGIT((value) / 10) : (value) > 9 ? DIGIT(value) : '.')
#define THIRD(value) ((value) > 99 ? DIGIT(value) : '.')
#define OCTET(value)                                           \
	{                                                      \
		FIRST(value), SECOND(value), THIRD(value), '.' \
	}
#define OCTETS_4(from) \
	OCTET(from), OCTET(from + 1), OCTET(from + 2), OCTET(from + 3)
#define OCTETS_16(from)                                         \
	OCTETS_4(from), OCTETS_4(from + 4), OCTETS_4(from + 8), \
		OCTETS_4(from + 12)
#define OCTETS_64(from)                                              \
	OCTETS_16(from), OCTETS_16(from + 16), OCTETS_16(from + 32), \
		OCTETS_16(from + 48)

const char digits_octets[256][4] = {OCTETS_64(0), OCTETS_64(64), OCTETS_64(128),
				    OCTETS_64(192)};

struct zero_run {
	unsigned first;
	unsigned count;
};

/* The longest run of two or more zero groups, the first of several (RFC
 * 5952, sections 4.2.2 and 4.2.3), in a word with a bit for each zero group;
 * first 8: none. */
static inline struct zero_run zero_run_longest(unsigned zeros)
{
	struct zero_run run = {8, 2};
	unsigned starts = zeros & zeros >> 1; /* of runs of 'count' */

	for (; starts & starts >> 1; run.count++)
		starts &= starts >> 1;
	if (starts)
		run.first = (unsigned)__builtin_ctz(starts);
	return run;
}

/* One group without leading zeros, a colon behind; 'text' has its four
 * digits. */
static inline char *put_group(char *at, unsigned group, uint32_t text)
{
	unsigned skip = (unsigned)(__builtin_clz(group << 16 | 0x80000U) / 4);

	digits_store(at, (text | (uint64_t)':' << 32) >> skip * 8);
	return at + 5 - skip;
}

static inline char *put_run(char *at, const struct zero_run *run)
{
	if (run->first == 0)
		*at++ = ':';
	*at++ = ':';
	return at;
}

/* IPv4-mapped and IPv4-compatible addresses end in dotted form (section 5),
 * as inet_ntop() has it. */
char *digits_put_ip6(char *at, const uint8_t *address)
{
	uint32_t groups[8], texts[8];
	unsigned zeros = 0;
	struct zero_run run;
	unsigned end = 8;

	for (size_t i = 0; i < 4; i++) {
		uint32_t two = load_be32(address + i * 4);
		uint64_t text = digits_hex8(two);

		groups[i * 2] = two >> 16;
		groups[i * 2 + 1] = two & 0xffff;
		texts[i * 2] = (uint32_t)text;
		texts[i * 2 + 1] = (uint32_t)(text >> 32);
		zeros |= (unsigned)(two >> 16 == 0) << i * 2 |
			 (unsigned)((two & 0xffff) == 0) << (i * 2 + 1);
	}
	run = zero_run_longest(zeros);
	if (run.first == 0 &&
	    (run.count == 6 || (run.count == 5 && groups[5] == 0xffff)))
		end = 6;
	for (unsigned i = 0; i < end;) {
		if (i == run.first) {
			at = put_run(at, &run);
			i += run.count;
			continue;
		}
		at = put_group(at, groups[i], texts[i]);
		i++;
	}
	if (end == 6)
		return digits_put_ip4(at, address + 12);
	/* A colon stands behind the last group, but not behind a run. */
	return run.first + run.count == 8 ? at : at - 1;
}
