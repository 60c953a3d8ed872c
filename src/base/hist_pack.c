/* A histogram as bytes, and back.
 *
 *     version                  1 byte, 1
 *     count                    number; 0: nothing follows
 *     least, greatest - least  signed number, number
 *     sum                      signed number, 128 bits
 *     buckets                  the first is that of the least value
 *
 * A bucket that follows directly on the one before is (count * 2), one behind
 * a gap of n empty ones is (n * 2 + 1), count.  Numbers are little-endian
 * base 128 with a high bit on all but the last byte, in their shortest form;
 * signed ones are doubled, minus one if negative, as a magnitude. */
#include <errno.h>

#include "base/cursor.h"
#include "base/hist_private.h"

#define VERSION 1

struct writer {
	uint8_t *bytes;
	size_t room;
	size_t size;
};

static void put_byte(struct writer *to, uint8_t byte)
{
	if (to->size < to->room)
		to->bytes[to->size] = byte;
	to->size++;
}

static void put_number(struct writer *to, hist_sum_unsigned number)
{
	for (; number >= 0x80; number >>= 7)
		put_byte(to, (uint8_t)(number | 0x80));
	put_byte(to, (uint8_t)number);
}

static void put_signed(struct writer *to, hist_sum number)
{
	hist_sum_unsigned twice = (hist_sum_unsigned)number << 1;

	put_number(to, number < 0 ? ~twice : twice);
}

static void put_buckets(struct writer *to, const struct hist *hist)
{
	struct hist_bucket bucket = {0};
	int32_t next = hist_place(hist->min);

	while (hist_next(hist, &bucket)) {
		int32_t gap = bucket.place - next;

		if (gap > 0)
			put_number(to, (hist_sum_unsigned)gap * 2 + 1);
		put_number(to, gap > 0 ? bucket.count
				       : (hist_sum_unsigned)bucket.count * 2);
		next = bucket.place + 1;
	}
}

size_t hist_pack(const struct hist *hist, uint8_t *ret_bytes, size_t room)
{
	struct writer to = {ret_bytes, room, 0};

	put_byte(&to, VERSION);
	put_number(&to, hist->count);
	if (hist->count == 0)
		return to.size;
	put_signed(&to, hist->min);
	put_number(&to, (uint64_t)hist->max - (uint64_t)hist->min);
	put_signed(&to, hist->sum);
	put_buckets(&to, hist);
	return to.size;
}

/* False: the end, beyond 'max', or not the shortest form. */
static bool get_number(struct cursor *from, hist_sum_unsigned max,
		       hist_sum_unsigned *ret_number)
{
	hist_sum_unsigned number = 0;
	uint8_t byte = 0;
	int shift = 0;

	do {
		hist_sum_unsigned part;

		if (shift > 126 || !cursor_u8(from, &byte))
			return false;
		part = (hist_sum_unsigned)(byte & 0x7f);
		if (part > max >> shift)
			return false;
		number |= part << shift;
		shift += 7;
	} while (byte & 0x80);
	if ((byte == 0 && shift > 7) || number > max)
		return false;
	*ret_number = number;
	return true;
}

static bool get_signed(struct cursor *from, hist_sum_unsigned max,
		       hist_sum *ret_number)
{
	hist_sum_unsigned twice;

	if (!get_number(from, max, &twice))
		return false;
	*ret_number = (hist_sum)(twice & 1 ? ~(twice >> 1) : twice >> 1);
	return true;
}

static bool get_head(struct cursor *from, struct hist *hist, uint64_t *count)
{
	hist_sum_unsigned number, span;
	uint8_t version;
	hist_sum min;

	if (!cursor_u8(from, &version) || version != VERSION ||
	    !get_number(from, UINT64_MAX, &number))
		return false;
	*count = (uint64_t)number;
	if (*count == 0)
		return true;
	if (!get_signed(from, UINT64_MAX, &min) ||
	    !get_number(from, UINT64_MAX, &span) ||
	    !get_signed(from, ~(hist_sum_unsigned)0, &hist->sum))
		return false;
	hist->min = (int64_t)min;
	hist->max = (int64_t)((uint64_t)hist->min + (uint64_t)span);
	return span <= (uint64_t)INT64_MAX - (uint64_t)hist->min;
}

/* A count, and how many empty buckets are before it. */
static bool get_bucket(struct cursor *from, hist_sum_unsigned *ret_gap,
		       uint64_t *ret_count)
{
	hist_sum_unsigned number;

	*ret_gap = 0;
	if (!get_number(from, (hist_sum_unsigned)UINT64_MAX * 2, &number))
		return false;
	if (number & 1) {
		*ret_gap = number >> 1;
		if (*ret_gap == 0 || !get_number(from, UINT64_MAX, &number))
			return false;
	} else {
		number >>= 1;
	}
	*ret_count = (uint64_t)number;
	return number > 0;
}

static void place_add(struct hist *hist, int32_t place, uint64_t count)
{
	int side = place < 0 ? SIDE_MINUS : SIDE_PLUS;
	int32_t index = place < 0 ? -place : place;

	hist->buckets[side][index] = count;
	hist->pages[side][index / HIST_PAGE] += count;
	hist->count += count;
}

/* The sum must be one that these buckets can have. */
static bool get_buckets(struct cursor *from, struct hist *hist, uint64_t count)
{
	int32_t place = hist_place(hist->min), last = hist_place(hist->max);
	hist_sum low = 0, high = 0;

	for (bool first = true; hist->count < count; first = false) {
		hist_sum_unsigned gap;
		uint64_t here;

		if (!get_bucket(from, &gap, &here) || (first && gap > 0) ||
		    place > last || gap > (hist_sum_unsigned)(last - place) ||
		    here > count - hist->count)
			return false;
		place += (int32_t)gap;
		place_add(hist, place, here);
		low += (hist_sum)hist_place_low(place) * here;
		high += (hist_sum)hist_place_high(place) * here;
		place++;
	}
	return place == last + 1 && low <= hist->sum && hist->sum <= high;
}

int hist_unpack(struct hist *hist, const uint8_t *bytes, size_t size)
{
	struct cursor from = {bytes, bytes + size};
	uint64_t count = 0;

	hist_clear(hist);
	if (get_head(&from, hist, &count) &&
	    (count == 0 || get_buckets(&from, hist, count)) &&
	    cursor_size(&from) == 0)
		return 0;
	hist_clear(hist);
	return -EBADMSG;
}
