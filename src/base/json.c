/* Strings as JSON (RFC 8259, section 7), always in valid UTF-8 (RFC 3629). */
#include "base/field.h"

#include <string.h>

struct quoted {
	char *buffer;
	size_t size;
	size_t length; /* that the whole needs, so far */
};

static void quoted_put(struct quoted *q, const char *bytes, size_t count)
{
	size_t room = q->length < q->size ? q->size - q->length : 0;

	if (room > 0)
		memcpy(q->buffer + q->length, bytes,
		       count < room ? count : room);
	q->length += count;
}

/* Bytes below 128 that stand for themselves. */
static bool plain(uint8_t byte)
{
	return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static void quoted_escape(struct quoted *q, uint8_t byte)
{
	static const char shorts[][2] = {
		{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
		{'\n', 'n'}, {'\r', 'r'},  {'\t', 't'},
	};
	char text[6] = "\\u00";

	for (size_t i = 0; i < sizeof shorts / sizeof *shorts; i++) {
		if (byte == (uint8_t)shorts[i][0]) {
			text[1] = shorts[i][1];
			quoted_put(q, text, 2);
			return;
		}
	}
	text[4] = "0123456789abcdef"[byte >> 4];
	text[5] = "0123456789abcdef"[byte & 15];
	quoted_put(q, text, 6);
}

/* How many bytes follow 'lead', and the range of the first of them, which
 * keeps out overlong forms, surrogates and what lies beyond U+10FFFF (RFC
 * 3629, section 4).  0: no lead byte. */
static size_t utf8_tail(uint8_t lead, uint8_t *ret_low, uint8_t *ret_high)
{
	*ret_low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	*ret_high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 1;
	if (lead >= 0xe0 && lead <= 0xef)
		return 2;
	return lead >= 0xf0 && lead <= 0xf4 ? 3 : 0;
}

/* One character outside ASCII, or U+FFFD for the longest start of one that
 * stands there (at least a byte).  Returns the bytes taken. */
static size_t quoted_wide(struct quoted *q, const char *text)
{
	const uint8_t *bytes = (const uint8_t *)text;
	uint8_t low, high;
	size_t tail = utf8_tail(bytes[0], &low, &high), taken = 1;

	while (taken <= tail && bytes[taken] >= low && bytes[taken] <= high) {
		taken++;
		low = 0x80;
		high = 0xbf;
	}
	if (tail > 0 && taken == tail + 1)
		quoted_put(q, text, taken);
	else
		quoted_put(q, "\xef\xbf\xbd", 3);
	return taken;
}

size_t json_quote(const char *text, char *buffer, size_t size)
{
	struct quoted q = {buffer, size, 0};

	quoted_put(&q, "\"", 1);
	while (*text) {
		size_t count = 0;

		while (plain((uint8_t)text[count]))
			count++;
		quoted_put(&q, text, count);
		text += count;
		if ((uint8_t)*text >= 0x80)
			text += quoted_wide(&q, text);
		else if (*text)
			quoted_escape(&q, (uint8_t)*text++);
	}
	quoted_put(&q, "\"", 1);
	if (size > 0)
		buffer[q.length < size ? q.length : size - 1] = '\0';
	return q.length;
}
