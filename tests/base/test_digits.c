#include "check.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/digits.h"
#include "base/random.h"

/* The text is right, nothing in front is touched, and no more behind than
 * the slack. */
static void assert_put(const char *buffer, const char *end, const char *should)
{
	size_t size = strlen(should);

	if ((size_t)(end - (buffer + 1)) != size ||
	    memcmp(buffer + 1, should, size) != 0)
		fail_msg("%.*s instead of %s", (int)(end - (buffer + 1)),
			 buffer + 1, should);
	assert_int_equal(buffer[0], 0x55);
	assert_int_equal(buffer[1 + size + DIGITS_SLACK], 0x55);
}

#define PUT(put, value, format, kind)                               \
	do {                                                        \
		char buffer[80], should[80];                        \
		memset(buffer, 0x55, sizeof buffer);                \
		(void)snprintf(should, sizeof should, "%" format,   \
			       (kind)(value));                      \
		assert_put(buffer, put(buffer + 1, value), should); \
	} while (0)

static void assert_number(uint64_t value)
{
	PUT(digits_put_u64, value, PRIu64, uint64_t);
	PUT(digits_put_i64, (int64_t)value, PRId64, int64_t);
	PUT(digits_put_hex64, value, "016" PRIx64, uint64_t);
}

static void assert_milli(uint64_t value)
{
	char buffer[80], should[80];

	memset(buffer, 0x55, sizeof buffer);
	(void)snprintf(should, sizeof should, "%" PRIu64 ".%03u", value / 1000,
		       (unsigned)(value % 1000));
	assert_put(buffer, digits_put_milli(buffer + 1, value), should);
	assert_true(strlen(should) <= DIGITS_MILLI_MAX);
}

static void writes_thousandths_as_printf_does(void **state)
{
	uint64_t random = 2;

	(void)state;
	for (uint64_t i = 0; i < 20000; i++)
		assert_milli(i);
	for (unsigned i = 0; i < 64; i++) {
		assert_milli(UINT64_MAX >> i);
		for (unsigned j = 0; j < 5000; j++)
			assert_milli(random_next(&random) >> i);
	}
}

static void writes_octets_as_printf_does(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		PUT(digits_put_u8, (uint8_t)i, "u", unsigned);
		PUT(digits_put_octet, (uint8_t)i, "u.", unsigned);
	}
}

/* Around each power of ten and of two, and so many of each length. */
static void writes_numbers_as_printf_does(void **state)
{
	uint64_t random = 1, ten = 1;

	(void)state;
	for (unsigned i = 0; i < 20; i++, ten *= 10) {
		for (uint64_t near = 0; near < 5; near++)
			assert_number(ten + near - 2);
	}
	for (unsigned i = 0; i < 64; i++) {
		for (uint64_t near = 0; near < 5; near++)
			assert_number((UINT64_C(1) << i) + near - 2);
		for (unsigned j = 0; j < 20000; j++)
			assert_number(random_next(&random) >> i);
	}
	for (uint64_t i = 0; i < 70000; i++)
		assert_number(i);
}

static void assert_address(const uint8_t address[16])
{
	char buffer[80], should[INET6_ADDRSTRLEN];

	memset(buffer, 0x55, sizeof buffer);
	(void)inet_ntop(AF_INET6, address, should, sizeof should);
	assert_put(buffer, digits_put_ip6(buffer + 1, address), should);
	memset(buffer, 0x55, sizeof buffer);
	(void)inet_ntop(AF_INET, address, should, sizeof should);
	assert_put(buffer, digits_put_ip4(buffer + 1, address), should);
}

/* Each choice of groups that are zero, each length of the others. */
static void writes_addresses_as_inet_ntop_does(void **state)
{
	uint64_t random = 2;

	(void)state;
	for (unsigned i = 0; i < 256 * 8000; i++) {
		uint64_t shifts = random_next(&random);
		uint64_t words[2] = {random_next(&random),
				     random_next(&random)};
		uint8_t address[16];

		for (size_t g = 0; g < 8; g++) {
			unsigned group = words[g / 4] >> g % 4 * 16 & 0xffff;

			group >>= shifts >> g * 4 & 15;
			if (i >> g & 1)
				group = 0;
			address[g * 2] = (uint8_t)(group >> 8);
			address[g * 2 + 1] = (uint8_t)group;
		}
		if (shifts >> 60 == 3)
			memset(address + 10, 0xff, 2);
		assert_address(address);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_octets_as_printf_does),
		cmocka_unit_test(writes_numbers_as_printf_does),
		cmocka_unit_test(writes_thousandths_as_printf_does),
		cmocka_unit_test(writes_addresses_as_inet_ntop_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
