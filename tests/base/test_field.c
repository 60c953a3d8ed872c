#include "check.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/field.h"
#include "base/stamp.h"

struct thing {
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	int64_t i64;
	uint64_t hex;
	bool flag;
	struct wall at;
	uint8_t address[16];
	uint8_t version;
	uint8_t word;
	char text[16];
	uint32_t present;
	uint64_t milli;
	double real;
	uint8_t count;
	uint8_t u8s[5];
	uint32_t u32s[5];
	uint64_t u64s[5];
};

static const char *const words[] = {NULL, "one", "a \"two\""};

#define ROW(member, kind)                                \
	{                                                \
		.name = #member, .type = (kind),         \
		.offset = offsetof(struct thing, member) \
	}

static const struct field_row row_u8 = ROW(u8, FIELD_U8);
static const struct field_row row_u16 = ROW(u16, FIELD_U16);
static const struct field_row row_u32 = ROW(u32, FIELD_U32);
static const struct field_row row_u64 = ROW(u64, FIELD_U64);
static const struct field_row row_i64 = ROW(i64, FIELD_I64);
static const struct field_row row_hex = ROW(hex, FIELD_HEX64);
static const struct field_row row_flag = ROW(flag, FIELD_BOOL);
static const struct field_row row_at = ROW(at, FIELD_TIME);
static const struct field_row row_text = ROW(text, FIELD_TEXT);
static const struct field_row row_address = {
	.name = "address",
	.type = FIELD_ADDRESS,
	.offset = offsetof(struct thing, address),
	.aux = offsetof(struct thing, version)};
static const struct field_row row_word = {.name = "word",
					  .type = FIELD_WORD,
					  .offset =
						  offsetof(struct thing, word),
					  .words = words};

static const struct field_row row_milli = ROW(milli, FIELD_MILLI);
static const struct field_row row_real = ROW(real, FIELD_F64);

#define LIST(member, kind)                                \
	{                                                 \
		.name = #member, .type = (kind),          \
		.offset = offsetof(struct thing, member), \
		.aux = offsetof(struct thing, count)      \
	}

static const struct field_row row_u8s = LIST(u8s, FIELD_U8_LIST);
static const struct field_row row_u32s = LIST(u32s, FIELD_U32_LIST);
static const struct field_row row_u64s = LIST(u64s, FIELD_U64_LIST);

typedef size_t field_function(const struct field_row *row, const void *record,
			      char *buffer, size_t size);

/* At every size of the buffer: the length is the whole's, the text is cut
 * where it ends, and nothing behind is touched. */
static void assert_written(field_function *write, const struct field_row *row,
			   const struct thing *thing, const char *expected)
{
	size_t length = strlen(expected);

	for (size_t size = 0; size <= length + 80; size++) {
		size_t kept = length < size ? length : size ? size - 1 : 0;
		char *buffer = malloc(size + 1);

		assert_non_null(buffer);
		memset(buffer, 0x55, size + 1);
		assert_int_equal(write(row, thing, buffer, size), length);
		assert_memory_equal(buffer, expected, kept);
		assert_int_equal(buffer[size], 0x55);
		if (size > 0)
			assert_int_equal(buffer[kept], 0);
		free(buffer);
	}
}

static void assert_both(const struct field_row *row, const struct thing *thing,
			const char *text, const char *json)
{
	assert_written(field_text, row, thing, text);
	assert_written(field_json, row, thing, json);
}

static void writes_numbers_at_their_limits(void **state)
{
	struct thing thing = {0};

	(void)state;
	assert_both(&row_u8, &thing, "0", "0");
	thing.u8 = UINT8_MAX;
	assert_both(&row_u8, &thing, "255", "255");
	thing.u16 = UINT16_MAX;
	assert_both(&row_u16, &thing, "65535", "65535");
	thing.u32 = UINT32_MAX;
	assert_both(&row_u32, &thing, "4294967295", "4294967295");
	thing.u64 = UINT64_MAX;
	assert_both(&row_u64, &thing, "18446744073709551615",
		    "18446744073709551615");
	thing.i64 = INT64_MIN;
	assert_both(&row_i64, &thing, "-9223372036854775808",
		    "-9223372036854775808");
	thing.at.ns = 1700000000123456789;
	assert_both(&row_at, &thing, "1700000000123456789",
		    "1700000000123456789");
	thing.at.ns = -1;
	assert_both(&row_at, &thing, "-1", "-1");
	assert_both(&row_flag, &thing, "false", "false");
	thing.flag = true;
	assert_both(&row_flag, &thing, "true", "true");
}

static void writes_thousandths_with_three_digits(void **state)
{
	struct thing thing = {0};

	(void)state;
	assert_both(&row_milli, &thing, "0.000", "0.000");
	thing.milli = 7;
	assert_both(&row_milli, &thing, "0.007", "0.007");
	thing.milli = 1234567;
	assert_both(&row_milli, &thing, "1234.567", "1234.567");
	thing.milli = UINT64_MAX;
	assert_both(&row_milli, &thing, "18446744073709551.615",
		    "18446744073709551.615");
}

static void writes_lists_of_what_there_is(void **state)
{
	struct thing thing = {.u8s = {0, 255, 7},
			      .u32s = {UINT32_MAX, 0, 10},
			      .u64s = {UINT64_MAX, 99999999, 100000000}};
	struct field_row row = row_u8s;

	(void)state;
	assert_both(&row_u8s, &thing, "", "[]");
	thing.count = 1;
	assert_both(&row_u8s, &thing, "0", "[0]");
	thing.count = 3;
	assert_both(&row_u8s, &thing, "0 255 7", "[0,255,7]");
	assert_both(&row_u32s, &thing, "4294967295 0 10", "[4294967295,0,10]");
	assert_both(&row_u64s, &thing,
		    "18446744073709551615 99999999 100000000",
		    "[18446744073709551615,99999999,100000000]");
	row.present_mask = 4;
	row.present = offsetof(struct thing, present);
	assert_both(&row, &thing, "", "null");
	assert_true(field_is_list(&row));
	assert_false(field_is_list(&row_milli));
}

static void gives_numbers_with_a_point_to_a_database(void **state)
{
	struct thing thing = {.milli = 1234567, .real = 0.1, .u64 = 5};
	struct field_row row = row_milli;
	double value = 0;

	(void)state;
	assert_true(field_real(&row_milli, &thing, &value));
	assert_true(value == 1234.567);
	assert_true(field_real(&row_real, &thing, &value));
	assert_true(value == 0.1);
	assert_false(field_real(&row_u64, &thing, &value));
	assert_false(field_real(&row_u8s, &thing, &value));
	thing.real = 1.0 / 0.0;
	assert_false(field_real(&row_real, &thing, &value));
	row.present_mask = 1;
	row.present = offsetof(struct thing, present);
	assert_false(field_real(&row, &thing, &value));
}

static void writes_numbers_as_printf_does(void **state)
{
	struct thing thing = {0};
	char expected[32], got[80];

	(void)state;
	for (int shift = 0; shift < 64; shift++) {
		for (int add = -2; add <= 2; add++) {
			thing.u64 = (UINT64_C(1) << shift) + (uint64_t)add;
			thing.hex = thing.u64;
			(void)snprintf(expected, sizeof expected, "%" PRIu64,
				       thing.u64);
			(void)field_text(&row_u64, &thing, got, sizeof got);
			assert_string_equal(got, expected);
			(void)snprintf(expected, sizeof expected, "%016" PRIx64,
				       thing.hex);
			(void)field_text(&row_hex, &thing, got, sizeof got);
			assert_string_equal(got, expected);
		}
	}
	for (thing.u64 = 1; thing.u64 < UINT64_MAX / 10; thing.u64 *= 10) {
		(void)snprintf(expected, sizeof expected, "%" PRIu64,
			       thing.u64);
		(void)field_text(&row_u64, &thing, got, sizeof got);
		assert_string_equal(got, expected);
	}
}

static void writes_words_texts_and_null(void **state)
{
	struct thing thing = {0};

	(void)state;
	assert_both(&row_word, &thing, "", "null");
	assert_false(field_present(&row_word, &thing));
	thing.word = 1;
	assert_both(&row_word, &thing, "one", "\"one\"");
	assert_true(field_present(&row_word, &thing));
	thing.word = 2;
	assert_both(&row_word, &thing, "a \"two\"", "\"a \\\"two\\\"\"");
	assert_both(&row_text, &thing, "", "null");
	assert_false(field_present(&row_text, &thing));
	strcpy(thing.text, "eth0\t");
	assert_both(&row_text, &thing, "eth0\t", "\"eth0\\t\"");
	assert_true(field_present(&row_text, &thing));
	assert_both(&row_address, &thing, "", "null");
	assert_false(field_present(&row_address, &thing));
	thing.hex = 0xabc;
	assert_both(&row_hex, &thing, "0000000000000abc",
		    "\"0000000000000abc\"");
}

/* RFC 5952, sections 1, 4 and 5. */
static void writes_addresses_as_rfc_5952_says(void **state)
{
	static const char *const texts[] = {
		"::",
		"::1",
		"1::",
		"2001:db8::1",
		"2001:db8::2:1",
		"2001:db8:0:1:1:1:1:1",
		"2001:0:0:1::1",
		"2001:db8::1:0:0:1",
		"::2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7:8",
		"0:2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7:0",
		"1:2:3:4:5:6::",
		"ff02::1",
		"fe80::abcd:ef01:2345:6789",
		"::ffff:192.0.2.1",
		"::192.0.2.1",
		"64:ff9b::c000:201",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	};
	struct thing thing = {.version = 6};
	char quoted[64], again[INET6_ADDRSTRLEN];

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_int_equal(inet_pton(AF_INET6, texts[i], thing.address),
				 1);
		(void)inet_ntop(AF_INET6, thing.address, again, sizeof again);
		(void)snprintf(quoted, sizeof quoted, "\"%s\"", again);
		assert_both(&row_address, &thing, again, quoted);
		if (i != 8) /* one zero group alone is not shortened */
			assert_string_equal(again, texts[i]);
	}
	thing.version = 4;
	memcpy(thing.address, "\xc0\x00\x02\xff", 4);
	assert_both(&row_address, &thing, "192.0.2.255", "\"192.0.2.255\"");
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static void writes_random_addresses_as_inet_ntop_does(void **state)
{
	struct thing thing = {.version = 6};
	char expected[INET6_ADDRSTRLEN], got[INET6_ADDRSTRLEN];
	uint32_t random = 1;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		uint32_t zeros = next_random(&random);

		for (int b = 0; b < 16; b++) {
			uint32_t byte = next_random(&random);

			if (zeros >> b / 2 & 1)
				byte = 0;
			else if (zeros >> 8 & 1)
				byte &= 0xf;
			thing.address[b] = (uint8_t)byte;
		}
		if (zeros % 16 == 3)
			memset(thing.address + 10, 0xff, 2);
		(void)inet_ntop(AF_INET6, thing.address, expected,
				sizeof expected);
		assert_int_equal(
			field_text(&row_address, &thing, got, sizeof got),
			strlen(expected));
		assert_string_equal(got, expected);
	}
}

static void gives_integers_to_a_database(void **state)
{
	struct thing thing = {.u8 = 1,
			      .u16 = 2,
			      .u32 = UINT32_MAX,
			      .u64 = UINT64_MAX,
			      .i64 = -5,
			      .flag = true,
			      .at = {7},
			      .version = 4};
	const struct {
		const struct field_row *row;
		int64_t value;
	} cases[] = {{&row_u8, 1},   {&row_u16, 2},  {&row_u32, UINT32_MAX},
		     {&row_u64, -1}, {&row_i64, -5}, {&row_flag, 1},
		     {&row_at, 7}};
	const struct field_row *texts[] = {&row_hex, &row_address, &row_word,
					   &row_text};
	int64_t value = 77;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(field_integer(cases[i].row, &thing, &value));
		assert_true(value == cases[i].value);
	}
	value = 77;
	for (size_t i = 0; i < 4; i++)
		assert_false(field_integer(texts[i], &thing, &value));
	assert_int_equal(value, 77);
}

/* Each type, null by a bit of the record alone. */
static void writes_null_where_the_record_has_no_value(void **state)
{
	static const struct {
		const struct field_row *row;
		const char *text;
		const char *json;
	} cases[] = {
		{&row_u8, "1", "1"},
		{&row_u16, "2", "2"},
		{&row_u32, "3", "3"},
		{&row_u64, "4", "4"},
		{&row_i64, "-5", "-5"},
		{&row_hex, "0000000000000006", "\"0000000000000006\""},
		{&row_flag, "true", "true"},
		{&row_at, "7", "7"},
		{&row_address, "9.0.0.0", "\"9.0.0.0\""},
		{&row_word, "one", "\"one\""},
		{&row_text, "t", "\"t\""},
	};
	struct thing thing = {.u8 = 1,
			      .u16 = 2,
			      .u32 = 3,
			      .u64 = 4,
			      .i64 = -5,
			      .hex = 6,
			      .flag = true,
			      .at = {7},
			      .address = {9},
			      .version = 4,
			      .word = 1,
			      .text = "t"};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct field_row row = *cases[i].row;
		int64_t value = 77;

		row.present = offsetof(struct thing, present);
		row.present_mask = 0x14;
		thing.present = 0xffffffeb;
		assert_both(&row, &thing, "", "null");
		assert_false(field_present(&row, &thing));
		assert_false(field_integer(&row, &thing, &value));
		assert_int_equal(value, 77);
		thing.present = 0x10; /* one of the bits is enough */
		assert_both(&row, &thing, cases[i].text, cases[i].json);
		assert_true(field_present(&row, &thing));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_numbers_at_their_limits),
		cmocka_unit_test(writes_numbers_as_printf_does),
		cmocka_unit_test(writes_words_texts_and_null),
		cmocka_unit_test(writes_addresses_as_rfc_5952_says),
		cmocka_unit_test(writes_random_addresses_as_inet_ntop_does),
		cmocka_unit_test(gives_integers_to_a_database),
		cmocka_unit_test(gives_numbers_with_a_point_to_a_database),
		cmocka_unit_test(writes_thousandths_with_three_digits),
		cmocka_unit_test(writes_lists_of_what_there_is),
		cmocka_unit_test(writes_null_where_the_record_has_no_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
