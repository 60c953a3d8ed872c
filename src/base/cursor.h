/* A bounded big-endian reader over borrowed bytes.
 *
 * Every read either succeeds and advances, or returns false and leaves the
 * cursor and *ret_... as they were.  No read passes 'end', whatever the bytes
 * say: a decoder built on it cannot overrun.  The load_... functions below
 * read at a place that the caller has checked already: the hottest decode
 * checks a header's length once and then loads its fields.
 *
 * Threads: a cursor belongs to one thread.  Ownership: it never owns bytes.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *at;  /* next unread byte */
	const uint8_t *end; /* one past the last byte */
};

static inline uint16_t load_be16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof value);
	return be16toh(value);
}

static inline uint32_t load_be24(const uint8_t *at)
{
	return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

static inline uint32_t load_be32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof value);
	return be32toh(value);
}

static inline uint64_t load_be64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof value);
	return be64toh(value);
}

static inline size_t cursor_size(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

static inline bool cursor_skip(struct cursor *c, size_t size)
{
	if (cursor_size(c) < size)
		return false;
	c->at += size;
	return true;
}

static inline bool cursor_u8(struct cursor *c, uint8_t *ret_value)
{
	if (cursor_size(c) < 1)
		return false;
	*ret_value = *c->at++;
	return true;
}

static inline bool cursor_u16(struct cursor *c, uint16_t *ret_value)
{
	if (cursor_size(c) < 2)
		return false;
	*ret_value = load_be16(c->at);
	c->at += 2;
	return true;
}

static inline bool cursor_u32(struct cursor *c, uint32_t *ret_value)
{
	if (cursor_size(c) < 4)
		return false;
	*ret_value = load_be32(c->at);
	c->at += 4;
	return true;
}

static inline bool cursor_u64(struct cursor *c, uint64_t *ret_value)
{
	if (cursor_size(c) < 8)
		return false;
	*ret_value = load_be64(c->at);
	c->at += 8;
	return true;
}

/* Points *ret_bytes at the next 'size' bytes and moves past them. */
static inline bool cursor_bytes(struct cursor *c, size_t size,
				const uint8_t **ret_bytes)
{
	if (cursor_size(c) < size)
		return false;
	*ret_bytes = c->at;
	c->at += size;
	return true;
}

#endif
