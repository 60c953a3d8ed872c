/* Whatever bytes a name has, its JSON string is valid UTF-8 in quotes, with
 * no control character, and is the same at every buffer size. */
#include <stdlib.h>
#include <string.h>

#include "base/field.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* The bytes of the UTF-8 character at 'text', decoded by value. */
static size_t utf8_size(const uint8_t *text, size_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t count = text[0] < 0x80   ? 1
		       : text[0] < 0xe0 ? 2
		       : text[0] < 0xf0 ? 3
					: 4;
	uint32_t value = count == 1 ? text[0] : text[0] & (0xff >> (count + 1));

	require(text[0] < 0x80 || (text[0] >= 0xc0 && text[0] < 0xf8));
	require(count <= left);
	for (size_t i = 1; i < count; i++) {
		require((text[i] & 0xc0) == 0x80);
		value = value << 6 | (text[i] & 0x3f);
	}
	require(value >= least[count] && value <= 0x10ffff);
	require(value < 0xd800 || value > 0xdfff);
	return count;
}

static void require_valid(const char *text, size_t length)
{
	const uint8_t *at = (const uint8_t *)text;

	require(length >= 2 && text[0] == '"' && text[length - 1] == '"');
	for (size_t i = 1; i < length - 1;) {
		require(at[i] >= 0x20 && at[i] != '"');
		if (at[i] != '\\') {
			i += utf8_size(at + i, length - 1 - i);
			continue;
		}
		require(strchr("\"\\bfnrtu", text[i + 1]) != NULL);
		i += text[i + 1] == 'u' ? 6 : 2;
		require(i <= length - 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = strndup((const char *)bytes, size), *whole, *part;
	size_t length = json_quote(text, NULL, 0);
	size_t cut = size ? bytes[0] % (length + 1) : 0;

	whole = malloc(length + 1);
	part = malloc(cut + 1);
	require(json_quote(text, whole, length + 1) == length);
	require(strlen(whole) == length);
	require_valid(whole, length);
	require(json_quote(text, part, cut + 1) == length);
	require(strlen(part) == cut && memcmp(part, whole, cut) == 0);
	free(part);
	free(whole);
	free(text);
	return 0;
}
