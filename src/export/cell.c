/* A value for people.  What a number is comes from its row: its unit, and
 * the IPFIX element where that says more (RFC 5102: protocolIdentifier,
 * tcpControlBits). */
#include "export/export_private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/stamp.h"

#define ELEMENT_PROTOCOL  4
#define ELEMENT_TCP_FLAGS 6

static char *put_text(char *at, const char *text)
{
	return stpcpy(at, text);
}

static bool is_integer(const struct field_row *row)
{
	switch (row->type) {
	case FIELD_U8:
	case FIELD_U16:
	case FIELD_U32:
	case FIELD_U64:
	case FIELD_I64:
		return true;
	default:
		return false;
	}
}

enum cell_kind cell_kind_of(const struct field_row *row)
{
	const char *unit = row->unit ?: "";

	if (row->type == FIELD_TIME)
		return CELL_TIME;
	if (row->type == FIELD_MILLI)
		return CELL_PLAIN;
	if (!is_integer(row))
		return CELL_TEXT;
	if (row->element == ELEMENT_PROTOCOL)
		return CELL_PROTOCOL;
	if (row->element == ELEMENT_TCP_FLAGS)
		return CELL_FLAGS;
	if (strcmp(unit, "ns") == 0)
		return CELL_DURATION;
	if (strcmp(unit, "bytes") == 0)
		return CELL_BYTES;
	return *unit ? CELL_COUNT : CELL_PLAIN;
}

bool cell_is_number(enum cell_kind kind)
{
	return kind == CELL_PLAIN || kind == CELL_COUNT || kind == CELL_BYTES ||
	       kind == CELL_DURATION;
}

/* Three digits and a prefix of the SI: 999, 1.23k, 12.3k, 123k.  Cut, not
 * rounded: 999,999 is not 1000k. */
static char *bytes_write(uint64_t value, char *at)
{
	static const char prefixes[] = "kMGTPE";
	unsigned prefix = 0;

	if (value < 1000)
		return digits_put_u64(at, value);
	for (; value >= 1000000; value /= 1000)
		prefix++;
	at = digits_put_u64(at, value / 1000);
	if (value < 100000) {
		*at++ = '.';
		*at++ = (char)('0' + value / 100 % 10);
		if (value < 10000)
			*at++ = (char)('0' + value / 10 % 10);
	}
	*at++ = prefixes[prefix];
	return at;
}

static char *count_write(uint64_t value, char *at)
{
	char digits[DIGITS_U64_MAX + DIGITS_SLACK];
	char *end = digits_put_u64(digits, value);

	for (const char *from = digits; from < end; from++) {
		if (from > digits && (end - from) % 3 == 0)
			*at++ = ',';
		*at++ = *from;
	}
	return at;
}

/* 2024-01-31 12:00:00; 0: there is no such local time. */
static size_t second_write(int64_t second, char text[static CELL_SIZE])
{
	time_t time = (time_t)second;
	struct tm local;

	if (!localtime_r(&time, &local))
		return 0;
	return strftime(text, CELL_SIZE, "%Y-%m-%d %H:%M:%S", &local);
}

/* Zones change their offset between two minutes, but not all of them did so
 * all the time, and some know leap seconds: both ends are looked at. */
static void minute_learn(int64_t minute, struct cell_minute *ret)
{
	char first[CELL_SIZE], last[CELL_SIZE];
	size_t first_size = second_write(minute * 60, first);
	size_t last_size = second_write(minute * 60 + 59, last);

	ret->minute = minute;
	ret->known = true;
	ret->plain = first_size == CLOCK_TEXT + 2 && last_size == first_size &&
		     memcmp(first, last, CLOCK_TEXT) == 0 &&
		     memcmp(first + CLOCK_TEXT, "00", 2) == 0 &&
		     memcmp(last + CLOCK_TEXT, "59", 2) == 0;
	memcpy(ret->text, first, CLOCK_TEXT);
}

static char *put_two(unsigned value, char *at)
{
	*at++ = (char)('0' + value / 10);
	*at++ = (char)('0' + value % 10);
	return at;
}

static char *time_write(int64_t ns, struct cell_clock *clock, char *at)
{
	int64_t ms = ns / 1000000 - (ns % 1000000 < 0);
	int64_t rest = ms % 1000 + (ms % 1000 < 0 ? 1000 : 0);
	int64_t second = (ms - rest) / 1000;
	int64_t minute = second / 60 - (second % 60 < 0);
	struct cell_minute *entry =
		&clock->minutes[(uint64_t)minute % CLOCK_MINUTES];

	if (!entry->known || entry->minute != minute)
		minute_learn(minute, entry);
	if (entry->plain) {
		memcpy(at, entry->text, CLOCK_TEXT);
		at = put_two((unsigned)(second - minute * 60), at + CLOCK_TEXT);
	} else {
		size_t size = second_write(second, at);

		if (size == 0)
			return put_text(at, "-");
		at += size;
	}
	*at++ = '.';
	*at++ = (char)('0' + rest / 100);
	return put_two((unsigned)(rest % 100), at);
}

/* Two units, the larger one first: 2d03h, 3h05m, 4m09s; false: shorter. */
static bool long_duration_write(long long seconds, char *text)
{
	static const struct {
		int size, part; /* seconds */
		char words[2];
	} units[] = {{86400, 3600, "dh"}, {3600, 60, "hm"}, {60, 1, "ms"}};

	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (seconds < units[i].size)
			continue;
		(void)snprintf(text, CELL_SIZE, "%lld%c%02lld%c",
			       seconds / units[i].size, units[i].words[0],
			       seconds % units[i].size / units[i].part,
			       units[i].words[1]);
		return true;
	}
	return false;
}

static char *duration_write(int64_t ns, char *text)
{
	static const struct {
		int64_t ns;
		char word[4];
	} units[] = {{NS_PER_S, "s"}, {1000000, "ms"}, {1000, "us"}};

	if (long_duration_write(ns / NS_PER_S, text))
		return text + strlen(text);
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (ns < units[i].ns)
			continue;
		(void)snprintf(
			text, CELL_SIZE, "%lld.%02lld%s",
			(long long)(ns / units[i].ns),
			(long long)(ns % units[i].ns / (units[i].ns / 100)),
			units[i].word);
		return text + strlen(text);
	}
	(void)snprintf(text, CELL_SIZE, "%lldns", (long long)ns);
	return text + strlen(text);
}

static char *protocol_write(uint64_t number, char *at)
{
	static const struct {
		uint8_t number;
		char word[8];
	} words[] = {
		{1, "icmp"},   {2, "igmp"},   {4, "ipip"},      {6, "tcp"},
		{17, "udp"},   {33, "dccp"},  {41, "ipv6"},     {47, "gre"},
		{50, "esp"},   {51, "ah"},    {58, "icmp6"},    {88, "eigrp"},
		{89, "ospf"},  {103, "pim"},  {112, "vrrp"},    {115, "l2tp"},
		{132, "sctp"}, {137, "mpls"}, {136, "udplite"},
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (words[i].number == number)
			return put_text(at, words[i].word);
	}
	return digits_put_u64(at, number);
}

static char *flags_write(uint8_t flags, char *at)
{
	static const char letters[] = "CEUAPRSF";

	if (flags == 0)
		return put_text(at, "-");
	for (unsigned i = 0; i < 8; i++)
		at[i] = (char)(flags & 0x80U >> i ? letters[i] : '.');
	return at + 8;
}

static char *endpoint_write(const struct cell_source *source,
			    const void *record, char *at)
{
	const uint8_t *address = (const uint8_t *)record + source->row->offset;
	bool ip6 = ((const uint8_t *)record)[source->row->aux] != 4;
	int64_t port = 0;

	(void)field_integer(source->port, record, &port);
	if (ip6 && port != 0)
		*at++ = '[';
	at = ip6 ? digits_put_ip6(at, address) : digits_put_ip4(at, address);
	if (port == 0)
		return at;
	if (ip6)
		*at++ = ']';
	*at++ = ':';
	return digits_put_u64(at, (uint64_t)port);
}

/* The bytes of a printable character at 'at', 0 if it is none: control
 * characters of C0 and C1 must not reach a terminal. */
static size_t printable_size(const unsigned char *at)
{
	size_t size = at[0] < 0x80   ? 1
		      : at[0] < 0xc3 ? (at[0] == 0xc2 && at[1] >= 0xa0) * 2u
		      : at[0] < 0xe0 ? 2
		      : at[0] < 0xf0 ? 3
		      : at[0] < 0xf5 ? 4
				     : 0;

	if (size == 1)
		return at[0] >= 0x20 && at[0] < 0x7f;
	for (size_t i = 1; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	return size;
}

static bool all_plain(const char *text, size_t size)
{
	unsigned odd = 0;

	for (size_t i = 0; i < size; i++)
		odd |= (unsigned char)text[i] - 0x20U >= 0x7f - 0x20U;
	return !odd;
}

static char *printable_write(const char *text, size_t size, char *at)
{
	char raw[CELL_SIZE + 4] = ""; /* zeros behind: no character passes */
	const unsigned char *from = (const unsigned char *)raw;

	memcpy(raw, text, size);
	while (*from) {
		size_t bytes = printable_size(from);

		if (bytes == 0) {
			*at++ = '?';
			from++;
			continue;
		}
		memcpy(at, from, bytes);
		at += bytes;
		from += bytes;
	}
	return at;
}

static char *text_write(const struct field_row *row, const void *record,
			char *at)
{
	const char *text = (const char *)record + row->offset;
	size_t size;

	if (row->type == FIELD_WORD)
		text = row->words[*(const uint8_t *)text];
	else if (row->type != FIELD_TEXT)
		return at + field_text(row, record, at, CELL_SIZE);
	size = strnlen(text, CELL_SIZE - 1);
	if (!all_plain(text, size))
		return printable_write(text, size, at);
	memcpy(at, text, size);
	return at + size;
}

static char *value_write(const struct cell_source *source, const void *record,
			 struct cell_clock *clock, char *at)
{
	int64_t value = 0;

	if (!field_present(source->row, record))
		return put_text(at, "-");
	(void)field_integer(source->row, record, &value);
	switch (source->kind) {
	case CELL_TEXT:
	case CELL_PLAIN:
		return text_write(source->row, record, at);
	case CELL_COUNT:
		return count_write((uint64_t)value, at);
	case CELL_BYTES:
		return bytes_write((uint64_t)value, at);
	case CELL_TIME:
		return time_write(value, clock, at);
	case CELL_DURATION:
		return duration_write(value, at);
	case CELL_ENDPOINT:
		return endpoint_write(source, record, at);
	case CELL_PROTOCOL:
		return protocol_write((uint64_t)value, at);
	case CELL_FLAGS:
		return flags_write((uint8_t)value, at);
	}
	return at;
}

void cell_write(const struct cell_source *source, const void *record,
		struct cell_clock *clock, struct cell *ret_cell)
{
	char *end = value_write(source, record, clock, ret_cell->text);

	ret_cell->size = (uint8_t)(end - ret_cell->text);
	ret_cell->width = ret_cell->size;
	if (source->kind != CELL_TEXT)
		return;
	for (const char *at = ret_cell->text; at < end; at++)
		ret_cell->width -= ((unsigned char)*at & 0xc0) == 0x80;
}
