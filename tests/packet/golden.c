#include "golden_private.h"

#include <stdlib.h>
#include <string.h>

const struct golden_set *const golden_sets[GOLDEN_SETS] = {
	&golden_link_set, &golden_ip_set, &golden_tunnel_set};

static uint8_t digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

size_t golden_bytes(const struct golden *golden,
		    uint8_t ret_bytes[GOLDEN_BYTES_MAX])
{
	size_t size = strlen(golden->hex);

	if (size % 2 || size / 2 > GOLDEN_BYTES_MAX)
		abort();
	for (size_t i = 0; i < size / 2; i++)
		ret_bytes[i] = (uint8_t)(digit(golden->hex[2 * i]) << 4 |
					 digit(golden->hex[2 * i + 1]));
	return size / 2;
}

const uint8_t *golden_address(enum golden_ends ends, int index)
{
	static const uint8_t addresses[GOLDEN_ENDS_COUNT][2][16] = {
		[OUTER4] = {{192, 0, 2, 1}, {192, 0, 2, 2}},
		[OUTER6] = {{0x20, 1, 0x0d, 0xb8, [15] = 1},
			    {0x20, 1, 0x0d, 0xb8, [15] = 2}},
		[INNER4] = {{10, 0, 0, 1}, {10, 0, 0, 2}},
		[LOOKALIKE4] = {{8, 0, 69, 0}, {8, 0, 69, 2}},
		[INNER6] = {{0x20, 1, [6] = 0x0d, 0xb8, [15] = 1},
			    {0x20, 1, [6] = 0x0d, 0xb8, [15] = 2}},
	};

	return addresses[ends][index];
}

uint8_t golden_ip_version(enum golden_ends ends)
{
	return ends == OUTER6 || ends == INNER6 ? 6 : 4;
}
