/* A record of every type, and a stream that keeps what it gets. */
#ifndef TESTS_EXPORT_THING_H
#define TESTS_EXPORT_THING_H

#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stamp.h"
#include "export/export.h"

struct thing {
	uint64_t epoch;
	uint64_t id;
	char name[40];
	uint8_t address[16];
	uint8_t version;
	uint16_t port;
	uint8_t proto;
	uint8_t flags;
	uint64_t packets;
	uint64_t bytes;
	struct wall start;
	int64_t duration;
	uint8_t state;
	bool seen;
};

static const char *const states[] = {NULL, "open", "half, \"open\""};

#define THING(member) .offset = offsetof(struct thing, member)

static const struct field_row thing_rows[] = {
	{"epoch", FIELD_U64, THING(epoch), .use = FIELD_STORED},
	{"id", FIELD_HEX64, THING(id), .unit = ""},
	{"name", FIELD_TEXT, THING(name), .unit = ""},
	{"src_ip", FIELD_ADDRESS, THING(address),
	 .aux = offsetof(struct thing, version), .unit = ""},
	{"src_port", FIELD_U16, THING(port), .unit = ""},
	{"proto", FIELD_U8, THING(proto), .unit = "", .element = 4},
	{"tcp_flags", FIELD_U8, THING(flags), .unit = "", .element = 6},
	{"packets", FIELD_U64, THING(packets), .unit = "packets"},
	{"bytes", FIELD_U64, THING(bytes), .unit = "bytes"},
	{"start_ns", FIELD_TIME, THING(start), .unit = "ns"},
	{"duration_ns", FIELD_I64, THING(duration), .unit = "ns"},
	{"state", FIELD_WORD, THING(state), .words = states, .unit = ""},
	{"seen", FIELD_BOOL, THING(seen), .unit = ""},
};

static const struct field_table things = {
	thing_rows, sizeof thing_rows / sizeof *thing_rows};

/* 2024-01-31T12:00:00.123456789Z */
#define NOON INT64_C(1706702400123456789)

static inline struct thing thing_of(uint64_t id)
{
	struct thing thing = {.id = id,
			      .name = "eth0",
			      .address = {192, 0, 2, 1},
			      .version = 4,
			      .port = 443,
			      .proto = 6,
			      .flags = 0x1b,
			      .packets = 1234567,
			      .bytes = 12345678,
			      .start = {NOON},
			      .duration = 1234567890,
			      .state = 1};

	return thing;
}

/* Begins writing things into a string that stdio makes. */
static char *written;
static size_t written_size;
static FILE *stream;

static inline struct export_text *begin(enum export_format format,
					const char *const *columns, int width)
{
	struct export_text *text = NULL;

	written_size = 0;
	stream = open_memstream(&written, &written_size);
	assert_non_null(stream);
	assert_int_equal(export_text_open(format, stream, &things, columns,
					  width, &text),
			 0);
	return text;
}

static inline void put_thing(struct export_text *text,
			     const struct thing *thing)
{
	assert_int_equal(export_text_write(text, thing), 0);
}

/* Ends, and compares all that was written; NULL: leaves it to the caller,
 * who frees 'written'. */
static inline void end(struct export_text *text, const char *expected)
{
	assert_int_equal(export_text_close(text), 0);
	assert_int_equal(fclose(stream), 0);
	if (!expected)
		return;
	assert_string_equal(written, expected);
	free(written);
}

#endif
