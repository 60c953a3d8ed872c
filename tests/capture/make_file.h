/* Makes capture files byte by byte, in either byte order, and reads them
 * back through the capture room, keeping what it saw of every frame. */
#ifndef TESTS_CAPTURE_MAKE_FILE_H
#define TESTS_CAPTURE_MAKE_FILE_H

#include "check.h"

#include <byteswap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/capture.h"

#define MARKS_MAX 256
#define UNUSED    __attribute__((unused))

/* --- writing ----------------------------------------------------------- */

struct maker {
	uint8_t *bytes;
	size_t size, room;
	bool swapped; /* not this machine's byte order, from here on */
	size_t block; /* where the open pcapng block begins */
	int frames;   /* written so far */
	int marks;    /* ends of records and blocks */
	struct {
		size_t end;
		int frames; /* that lie before it */
	} mark[MARKS_MAX];
};

static UNUSED void put(struct maker *m, const void *bytes, size_t size)
{
	if (!m->bytes || m->size + size > m->room) {
		m->room = (m->size + size) * 2 + 64;
		m->bytes = realloc(m->bytes, m->room);
		assert_non_null(m->bytes);
	}
	memcpy(m->bytes + m->size, bytes, size);
	m->size += size;
}

static UNUSED void put_fill(struct maker *m, int value, size_t size)
{
	while (size-- > 0)
		put(m, &(uint8_t){(uint8_t)value}, 1);
}

static UNUSED void put16(struct maker *m, uint16_t value)
{
	value = m->swapped ? bswap_16(value) : value;
	put(m, &value, sizeof value);
}

static UNUSED void put32(struct maker *m, uint32_t value)
{
	value = m->swapped ? bswap_32(value) : value;
	put(m, &value, sizeof value);
}

static UNUSED void put64(struct maker *m, uint64_t value)
{
	value = m->swapped ? bswap_64(value) : value;
	put(m, &value, sizeof value);
}

static UNUSED void mark(struct maker *m)
{
	if (m->marks == MARKS_MAX)
		return;
	m->mark[m->marks].end = m->size;
	m->mark[m->marks++].frames = m->frames;
}

/* Classic pcap. */
static UNUSED void put_pcap(struct maker *m, uint32_t magic, uint16_t minor,
			    uint32_t link_type)
{
	put32(m, magic);
	put16(m, 2);
	put16(m, minor);
	put64(m, 0);
	put32(m, 65535);
	put32(m, link_type);
	mark(m);
}

static UNUSED void put_record(struct maker *m, uint32_t seconds,
			      uint32_t fraction, uint32_t captured_size,
			      uint32_t size)
{
	put32(m, seconds);
	put32(m, fraction);
	put32(m, captured_size);
	put32(m, size);
	put_fill(m, ++m->frames, captured_size);
	mark(m);
}

/* pcapng: block_open() ... block_close(). */
static UNUSED void block_open(struct maker *m, uint32_t type)
{
	m->block = m->size;
	put32(m, type);
	put32(m, 0);
}

static UNUSED void block_close(struct maker *m)
{
	uint32_t size;

	put_fill(m, 0, (4 - m->size % 4) % 4);
	size = (uint32_t)(m->size + 4 - m->block);
	put32(m, size);
	size = m->swapped ? bswap_32(size) : size;
	memcpy(m->bytes + m->block + 4, &size, sizeof size);
	mark(m);
}

static UNUSED void put_option(struct maker *m, uint16_t code, const void *value,
			      uint16_t size)
{
	put16(m, code);
	put16(m, size);
	put(m, value, size);
	put_fill(m, 0, (4 - size % 4) % 4);
}

static UNUSED void put_option64(struct maker *m, uint16_t code, uint64_t value)
{
	value = m->swapped ? bswap_64(value) : value;
	put_option(m, code, &value, sizeof value);
}

static UNUSED void put_option32(struct maker *m, uint16_t code, uint32_t value)
{
	value = m->swapped ? bswap_32(value) : value;
	put_option(m, code, &value, sizeof value);
}

static UNUSED void put_section(struct maker *m)
{
	block_open(m, 0x0a0d0d0a);
	put32(m, 0x1a2b3c4d);
	put16(m, 1);
	put16(m, 0);
	put64(m, UINT64_MAX);
	block_close(m);
}

struct make_interface {
	uint16_t link_type;
	uint32_t snap_size;
	const char *name;
	int resolution;   /* if_tsresol; negative: absent */
	int64_t offset_s; /* if_tsoffset; 0: absent */
};

static UNUSED void put_interface(struct maker *m, struct make_interface made)
{
	uint8_t resolution = (uint8_t)made.resolution;

	block_open(m, 1);
	put16(m, made.link_type);
	put16(m, 0);
	put32(m, made.snap_size);
	if (made.name)
		put_option(m, 2, made.name, (uint16_t)strlen(made.name));
	if (made.resolution >= 0)
		put_option(m, 9, &resolution, 1);
	if (made.offset_s)
		put_option64(m, 14, (uint64_t)made.offset_s);
	put_option(m, 0, "", 0);
	block_close(m);
}

/* An enhanced packet block, open for options. */
static UNUSED void enhanced_open(struct maker *m, uint32_t interface,
				 uint64_t ticks, uint32_t captured_size,
				 uint32_t size)
{
	block_open(m, 6);
	put32(m, interface);
	put32(m, (uint32_t)(ticks >> 32));
	put32(m, (uint32_t)ticks);
	put32(m, captured_size);
	put32(m, size);
	put_fill(m, ++m->frames, captured_size);
	put_fill(m, 0, (4 - captured_size % 4) % 4);
}

static UNUSED void put_enhanced(struct maker *m, uint32_t interface,
				uint64_t ticks, uint32_t captured_size)
{
	enhanced_open(m, interface, ticks, captured_size, captured_size);
	block_close(m);
}

static UNUSED void put_simple(struct maker *m, uint32_t captured_size,
			      uint32_t size)
{
	block_open(m, 3);
	put32(m, size);
	put_fill(m, ++m->frames, captured_size);
	block_close(m);
}

/* 'count' Ethernet frames of UDP, to ports 1 to 'count'. */
static UNUSED struct maker udp_file(int count)
{
	static const uint8_t frame[60] = {
		2,    0, 0,   0,  0, 2, 2, 0, 0,  0,  0, 1, 8,   0,
		0x45, 0, 0,   46, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0,
		2,    1, 192, 0,  2, 2, 0, 9, 0,  0,  0, 26};
	struct maker m = {0};

	put_pcap(&m, 0xa1b23c4d, 4, 1);
	for (int i = 1; i <= count; i++) {
		size_t at;

		put_record(&m, 1, (uint32_t)i, sizeof frame, sizeof frame);
		at = m.size - sizeof frame;
		memcpy(m.bytes + at, frame, sizeof frame);
		m.bytes[at + 36] = (uint8_t)(i >> 8);
		m.bytes[at + 37] = (uint8_t)i;
	}
	return m;
}

static char make_folder[] = "/tmp/sonde-test-XXXXXX";

static UNUSED void make_end(void)
{
	(void)rmdir(make_folder);
}

/* A name in a folder of this program's own; static. */
static UNUSED const char *make_path(const char *name)
{
	static char path[256];
	static bool made;

	if (!made) {
		assert_non_null(mkdtemp(make_folder));
		assert_int_equal(atexit(make_end), 0);
	}
	made = true;
	(void)snprintf(path, sizeof path, "%s/%s", make_folder, name);
	return path;
}

/* A file of 'm', to be unlinked.  Returns its path, static. */
static UNUSED const char *make_file(const struct maker *m, const char *name)
{
	const char *path = make_path(name);
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(m->bytes, 1, m->size, file), m->size);
	assert_int_equal(fclose(file), 0);
	return path;
}

/* --- reading ----------------------------------------------------------- */

struct seen {
	uint32_t captured_size, size;
	int64_t ns;
	enum stamp_source source;
	uint16_t link_type, interface;
	bool outgoing;
	uint64_t hash; /* of the bytes */
};

struct reading {
	int rc; /* of open, or what next ended with */
	bool opened;
	int count;
	struct seen *seen;
	int room;
	char names[4][64]; /* of the first interfaces; "": none */
	struct fault fault;
	struct capture_counters counters;
};

static UNUSED void reading_add(struct reading *reading,
			       const struct frame *frame)
{
	struct seen *seen;
	uint64_t hash = UINT64_C(14695981039346656037);

	if (reading->count == reading->room) {
		reading->room = reading->room ? reading->room * 2 : 64;
		reading->seen =
			realloc(reading->seen,
				(size_t)reading->room * sizeof *reading->seen);
		assert_non_null(reading->seen);
	}
	for (uint32_t i = 0; i < frame->captured_size; i++)
		hash = (hash ^ frame->bytes[i]) * UINT64_C(1099511628211);
	seen = &reading->seen[reading->count++];
	memset(seen, 0, sizeof *seen); /* so that memcmp() compares */
	seen->captured_size = frame->captured_size;
	seen->size = frame->size;
	seen->ns = frame->stamp.at.ns;
	seen->source = frame->stamp.source;
	seen->link_type = frame->link_type;
	seen->interface = frame->interface;
	seen->outgoing = frame->outgoing;
	seen->hash = hash;
}

static UNUSED void reading_end(struct reading *reading, struct capture *capture)
{
	for (uint16_t i = 0; i < 4; i++)
		(void)snprintf(reading->names[i], sizeof reading->names[i],
			       "%s", capture_interface(capture, i) ?: "");
	(void)snprintf(reading->fault.text, sizeof reading->fault.text, "%s",
		       capture_fault(capture));
	reading->counters = capture_stats(capture);
	assert_int_equal(reading->counters.received, reading->count);
	capture_close(capture);
}

static UNUSED struct reading read_with(struct capture_options options)
{
	struct reading reading = {0};
	struct frame frames[7];
	struct capture *capture;
	int count;

	options.ring_size = options.ring_size ?: UINT64_C(2) << 20;
	reading.rc = capture_open(&options, &capture, &reading.fault);
	if (reading.rc < 0)
		return reading;
	reading.opened = true;
	while ((count = capture_next(capture, -1, 7, frames)) >= 0) {
		assert_in_range(count, 1, 7);
		for (int i = 0; i < count; i++) {
			assert_true(frames[i].size >= frames[i].captured_size);
			assert_non_null(capture_interface(capture,
							  frames[i].interface));
			reading_add(&reading, &frames[i]);
		}
		capture_release(capture, frames, count);
	}
	reading.rc = count;
	assert_int_equal(capture_next(capture, -1, 7, frames), count);
	reading_end(&reading, capture);
	return reading;
}

static UNUSED struct reading read_path(const char *path)
{
	return read_with((struct capture_options){.target = path});
}

static UNUSED struct reading read_made(const struct maker *m)
{
	const char *path = make_file(m, "made.pcap");
	struct reading reading = read_path(path);

	assert_int_equal(unlink(path), 0);
	return reading;
}

static UNUSED void assert_same(const struct reading *a, const struct reading *b)
{
	assert_int_equal(a->rc, b->rc);
	assert_int_equal(a->count, b->count);
	assert_memory_equal(a->seen, b->seen,
			    (size_t)a->count * sizeof *a->seen);
	assert_memory_equal(a->names, b->names, sizeof a->names);
}

/* Cut anywhere, the file gives out every frame that lies before the cut, and
 * says that it is cut unless that is where a record or block ends. */
static UNUSED void assert_every_cut(const struct maker *whole)
{
	for (size_t size = 0; size <= whole->size; size++) {
		struct maker cut = *whole;
		struct reading got;
		int frames = 0;
		bool clean = false;

		cut.size = size;
		for (int i = 0; i < whole->marks; i++) {
			if (whole->mark[i].end <= size)
				frames = whole->mark[i].frames;
			clean = clean || whole->mark[i].end == size;
		}
		got = read_made(&cut);
		assert_int_equal(got.count, frames);
		assert_int_equal(got.rc, clean ? ERR_END : ERR_FILE_TRUNCATED);
		assert_int_equal(got.opened, size >= whole->mark[0].end);
		assert_int_equal(*got.fault.text == 0, clean);
		free(got.seen);
	}
}

#endif
