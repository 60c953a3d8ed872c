#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/field.h"

#define BAD "\xef\xbf\xbd" /* U+FFFD */

static void assert_quoted(const char *text, const char *expected)
{
	size_t length = strlen(expected);

	for (size_t size = 0; size <= length + 2; size++) {
		size_t kept = length < size ? length : size ? size - 1 : 0;
		char *buffer = malloc(size + 1);

		assert_non_null(buffer);
		memset(buffer, 0x55, size + 1);
		assert_int_equal(json_quote(text, buffer, size), length);
		assert_memory_equal(buffer, expected, kept);
		assert_int_equal(buffer[size], 0x55);
		if (size > 0)
			assert_int_equal(buffer[kept], 0);
		free(buffer);
	}
}

static void escapes_what_json_does_not_allow(void **state)
{
	(void)state;
	assert_quoted("", "\"\"");
	assert_quoted("eth0", "\"eth0\"");
	assert_quoted("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
	assert_quoted("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"");
	assert_quoted("\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\"");
}

static void keeps_valid_utf8_as_it_is(void **state)
{
	(void)state;
	assert_quoted("\xc2\x80", "\"\xc2\x80\"");
	assert_quoted("\xdf\xbf", "\"\xdf\xbf\"");
	assert_quoted("\xe0\xa0\x80", "\"\xe0\xa0\x80\"");
	assert_quoted("\xed\x9f\xbf", "\"\xed\x9f\xbf\"");
	assert_quoted("\xee\x80\x80", "\"\xee\x80\x80\"");
	assert_quoted("\xf0\x90\x80\x80x", "\"\xf0\x90\x80\x80x\"");
	assert_quoted("\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"");
}

/* One replacement for the longest start of a character that stands there. */
static void replaces_what_is_not_utf8(void **state)
{
	(void)state;
	assert_quoted("a\x80z", "\"a" BAD "z\"");
	assert_quoted("\xff", "\"" BAD "\"");
	assert_quoted("\xc0\xaf", "\"" BAD BAD "\"");
	assert_quoted("\xc1\xbf", "\"" BAD BAD "\"");
	assert_quoted("\xc3", "\"" BAD "\"");
	assert_quoted("\xc3\"", "\"" BAD "\\\"\"");
	assert_quoted("\xe0\x9f\xbf", "\"" BAD BAD BAD "\"");
	assert_quoted("\xed\xa0\x80", "\"" BAD BAD BAD "\"");
	assert_quoted("\xe2\x82", "\"" BAD "\"");
	assert_quoted("\xe2\x82x", "\"" BAD "x\"");
	assert_quoted("\xf0\x8f\xbf\xbf", "\"" BAD BAD BAD BAD "\"");
	assert_quoted("\xf0\x9f\x98", "\"" BAD "\"");
	assert_quoted("\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\"");
	assert_quoted("\xf5\x80", "\"" BAD BAD "\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_what_json_does_not_allow),
		cmocka_unit_test(keeps_valid_utf8_as_it_is),
		cmocka_unit_test(replaces_what_is_not_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
