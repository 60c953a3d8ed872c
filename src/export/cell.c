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
static void bytes_write(uint64_t value, char *text)
{
	static const char prefixes[] = " kMGTPE";
	uint64_t unit = 1, whole;
	unsigned thousandths, digits;
	int prefix = 0;

	while (prefix < 6 && value / unit >= 1000) {
		unit *= 1000;
		prefix++;
	}
	whole = value / unit;
	if (prefix == 0 || whole >= 100) {
		(void)snprintf(text, CELL_SIZE, "%u%.*s", (unsigned)whole,
			       prefix > 0, prefixes + prefix);
		return;
	}
	thousandths = (unsigned)(value % unit / (unit / 1000));
	digits = whole >= 10 ? 1 : 2;
	(void)snprintf(text, CELL_SIZE, "%u.%0*u%c", (unsigned)whole,
		       (int)digits,
		       digits == 1 ? thousandths / 100 : thousandths / 10,
		       prefixes[prefix]);
}

static void count_write(uint64_t value, char *text)
{
	char digits[24];
	int length = snprintf(digits, sizeof digits, "%llu",
			      (unsigned long long)value);
	char *at = text;

	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			*at++ = ',';
		*at++ = digits[i];
	}
	*at = '\0';
}

static void time_write(int64_t ns, char *text)
{
	int64_t ms = ns / 1000000 - (ns % 1000000 < 0);
	int64_t rest = ms % 1000 + (ms % 1000 < 0 ? 1000 : 0);
	time_t seconds = (time_t)((ms - rest) / 1000);
	struct tm local;
	size_t length;

	if (!localtime_r(&seconds, &local)) {
		(void)stpcpy(text, "-");
		return;
	}
	length = strftime(text, CELL_SIZE, "%Y-%m-%d %H:%M:%S", &local);
	(void)snprintf(text + length, CELL_SIZE - length, ".%03d", (int)rest);
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

static void duration_write(int64_t ns, char *text)
{
	static const struct {
		int64_t ns;
		char word[4];
	} units[] = {{NS_PER_S, "s"}, {1000000, "ms"}, {1000, "us"}};

	if (long_duration_write(ns / NS_PER_S, text))
		return;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (ns < units[i].ns)
			continue;
		(void)snprintf(
			text, CELL_SIZE, "%lld.%02lld%s",
			(long long)(ns / units[i].ns),
			(long long)(ns % units[i].ns / (units[i].ns / 100)),
			units[i].word);
		return;
	}
	(void)snprintf(text, CELL_SIZE, "%lldns", (long long)ns);
}

static void protocol_write(unsigned number, char *text)
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
		if (words[i].number == number) {
			(void)stpcpy(text, words[i].word);
			return;
		}
	}
	(void)snprintf(text, CELL_SIZE, "%u", number);
}

static void flags_write(unsigned flags, char *text)
{
	static const char letters[] = "CEUAPRSF";

	if (flags == 0) {
		(void)stpcpy(text, "-");
		return;
	}
	for (int i = 0; i < 8; i++)
		text[i] = (char)(flags & 0x80u >> i ? letters[i] : '.');
	text[8] = '\0';
}

static void endpoint_write(const struct field_row *row,
			   const struct field_row *port, const void *record,
			   char *text)
{
	char address[CELL_SIZE];
	int64_t number = 0;

	(void)field_text(row, record, address, sizeof address);
	(void)field_integer(port, record, &number);
	/* 39 bytes of address at most: all of it fits. */
	if (number == 0)
		(void)snprintf(text, CELL_SIZE, "%.45s", address);
	else if (strchr(address, ':'))
		(void)snprintf(text, CELL_SIZE, "[%.45s]:%u", address,
			       (unsigned)number);
	else
		(void)snprintf(text, CELL_SIZE, "%.45s:%u", address,
			       (unsigned)number);
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

static void text_write(const struct field_row *row, const void *record,
		       char *text)
{
	char raw[CELL_SIZE];
	const unsigned char *from = (const unsigned char *)raw;
	char *to = text;

	(void)field_text(row, record, raw, sizeof raw);
	while (*from) {
		size_t size = printable_size(from);

		if (size == 0) {
			*to++ = '?';
			from++;
			continue;
		}
		memcpy(to, from, size);
		to += size;
		from += size;
	}
	*to = '\0';
}

void cell_write(enum cell_kind kind, const struct field_row *row,
		const struct field_row *port, const void *record,
		char ret_text[static CELL_SIZE])
{
	int64_t value = 0;

	if (!field_present(row, record)) {
		(void)stpcpy(ret_text, "-");
		return;
	}
	(void)field_integer(row, record, &value);
	switch (kind) {
	case CELL_TEXT:
	case CELL_PLAIN:
		text_write(row, record, ret_text);
		break;
	case CELL_COUNT:
		count_write((uint64_t)value, ret_text);
		break;
	case CELL_BYTES:
		bytes_write((uint64_t)value, ret_text);
		break;
	case CELL_TIME:
		time_write(value, ret_text);
		break;
	case CELL_DURATION:
		duration_write(value, ret_text);
		break;
	case CELL_ENDPOINT:
		endpoint_write(row, port, record, ret_text);
		break;
	case CELL_PROTOCOL:
		protocol_write((unsigned)value, ret_text);
		break;
	case CELL_FLAGS:
		flags_write((unsigned)value & 0xff, ret_text);
		break;
	}
}
