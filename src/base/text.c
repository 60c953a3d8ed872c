#include "base/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/stamp.h"

#define DISTANCE_SIZE 64

char *text_thousands(uint64_t value, char ret_text[static TEXT_SIZE])
{
	char digits[TEXT_SIZE];
	int count = snprintf(digits, sizeof digits, "%" PRIu64, value);
	char *out = ret_text;

	for (int i = 0; i < count; i++) {
		if (i > 0 && (count - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = 0;
	return ret_text;
}

/* Three digits that count, and the prefix: 12.34e6 is "12.3" and 'M'. */
static const char *scale(double *value)
{
	static const char *const prefixes[] = {"",  "k", "M", "G",
					       "T", "P", "E"};
	size_t step = 0;

	while (*value >= 999.5 &&
	       step + 1 < sizeof prefixes / sizeof prefixes[0]) {
		*value /= 1000;
		step++;
	}
	return prefixes[step];
}

static int digits_after(double value, const char *prefix)
{
	if (value >= 99.95 || !*prefix)
		return 0;
	return value >= 9.995 ? 1 : 2;
}

char *text_count(double value, char ret_text[static TEXT_SIZE])
{
	const char *prefix = scale(&value);

	snprintf(ret_text, TEXT_SIZE, "%.*f%s", digits_after(value, prefix),
		 value, prefix);
	return ret_text;
}

char *text_rate_bits(double rate_bps, char ret_text[static TEXT_SIZE])
{
	const char *prefix = scale(&rate_bps);

	snprintf(ret_text, TEXT_SIZE, "%.*f %sbit/s",
		 digits_after(rate_bps, prefix), rate_bps, prefix);
	return ret_text;
}

char *text_bytes(double bytes, char ret_text[static TEXT_SIZE])
{
	const char *prefix = scale(&bytes);

	snprintf(ret_text, TEXT_SIZE, "%.*f %sB", digits_after(bytes, prefix),
		 bytes, prefix);
	return ret_text;
}

char *text_age(int64_t ns, char ret_text[static TEXT_SIZE])
{
	static const struct {
		int64_t below_s, unit_s, part_s;
		char unit, part;
	} steps[] = {
		{3600, 60, 1, 'm', 's'},
		{86400, 3600, 60, 'h', 'm'},
		{INT64_MAX, 86400, 3600, 'd', 'h'},
	};
	int64_t s = ns > 0 ? ns / NS_PER_S : 0;
	size_t i = 0;

	if (s < 60) {
		snprintf(ret_text, TEXT_SIZE, "%ds", (int)s);
		return ret_text;
	}
	while (s >= steps[i].below_s)
		i++;
	snprintf(ret_text, TEXT_SIZE, "%" PRId64 "%c%02d%c",
		 s / steps[i].unit_s, steps[i].unit,
		 (int)(s % steps[i].unit_s / steps[i].part_s), steps[i].part);
	return ret_text;
}

struct unit {
	int64_t factor;
	const char *suffix;
};

/* In the largest unit that leaves no rest. */
static char *exact(int64_t value, const struct unit *unit, char *ret_text)
{
	if (value == 0)
		return memcpy(ret_text, "0", 2);
	while (value % unit->factor != 0)
		unit++;
	snprintf(ret_text, TEXT_SIZE, "%" PRId64 "%s", value / unit->factor,
		 unit->suffix);
	return ret_text;
}

char *text_size_exact(int64_t bytes, char ret_text[static TEXT_SIZE])
{
	static const struct unit units[] = {
		{INT64_C(1) << 40, "T"}, {1 << 30, "G"}, {1 << 20, "M"},
		{1 << 10, "K"},          {1, ""},
	};

	return exact(bytes, units, ret_text);
}

char *text_duration_exact(int64_t ns, char ret_text[static TEXT_SIZE])
{
	static const struct unit units[] = {
		{86400 * NS_PER_S, "d"}, {3600 * NS_PER_S, "h"},
		{60 * NS_PER_S, "m"},    {NS_PER_S, "s"},
		{NS_PER_S / 1000, "ms"}, {1, "ns"},
	};

	return exact(ns, units, ret_text);
}

static char folded(char letter)
{
	if (letter == '_')
		return '-';
	return (char)tolower((unsigned char)letter);
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

unsigned int text_distance(const char *a, const char *b)
{
	unsigned int rows[3][DISTANCE_SIZE];
	unsigned int *before = rows[0], *above = rows[1], *now = rows[2];
	size_t a_size = strlen(a), b_size = strlen(b);

	if (a_size >= DISTANCE_SIZE || b_size >= DISTANCE_SIZE)
		return DISTANCE_SIZE;
	for (size_t j = 0; j <= b_size; j++)
		above[j] = before[j] = (unsigned int)j;
	for (size_t i = 1; i <= a_size; i++) {
		unsigned int *spare = before;

		now[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_size; j++) {
			char x = folded(a[i - 1]), y = folded(b[j - 1]);

			now[j] = least(above[j - 1] + (x != y),
				       least(above[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && x == folded(b[j - 2]) &&
			    y == folded(a[i - 2]))
				now[j] = least(now[j], before[j - 2] + 1);
		}
		before = above;
		above = now;
		now = spare;
	}
	return above[b_size];
}

bool text_near(const char *typed, const char *name)
{
	size_t size = strlen(typed);
	size_t i = 0;

	if (size == 0)
		return false;
	while (i < size && name[i] && folded(typed[i]) == folded(name[i]))
		i++;
	if (i == size && size >= 2)
		return true;
	return text_distance(typed, name) <= size / 4 + 1;
}
