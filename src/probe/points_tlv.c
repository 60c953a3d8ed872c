/* The reflector's stamps of earlier answers, in an experimental TLV (RFC 8972
 * section 5.1, type 251).  Its value:
 *
 *      0  magic "sond"
 *      4  version, 1
 *      5  count of answers that follow; the sender writes 0
 *      6  flags: 1 the block at 56 is asked for, or told; 2 the reflector is
 *         stateless; 4 this is an answer, no request that came back as it was
 *      7  0
 *      8  the set of points that the sender wants
 *     16  the highest sequence number that came (4), the first one of the
 *         session (4), and of the 64 up to the highest those that came, that
 *         came once or thrice again, twice or thrice again, late (8 each)
 *     56  a sequence number that the sender asks about; in the answer the
 *         last of the 64 around it that begin at a multiple of 64 (4), 0 (4)
 *     64  what came of these 64: four sets as above
 *     96  answers: the sender's sequence number (4), the reflector's (4), the
 *         set of points stamped (8), the time of the first of them in ns
 *         since 1970 (8), and of each further one its distance from the
 *         first, signed (4)
 *
 * A stamp more than 2 s from the first is left out. */
#include "probe/probe_private.h"

#define POINTS_VERSION   1
#define POINTS_HEAD_SIZE TLV_POINTS_SIZE_MIN
#define ANSWER_HEAD_SIZE 24

#define NEWEST_AT 24
#define BLOCK_AT  64

enum { POINTS_BLOCK = 1, POINTS_STATELESS = 2, POINTS_ANSWER = 4 };

size_t tlv_points_size(size_t count, size_t points)
{
	size_t further = points > 0 ? points - 1 : 0;

	return POINTS_HEAD_SIZE + count * (ANSWER_HEAD_SIZE + 4 * further);
}

void tlv_points_ask(uint8_t *value, point_set set)
{
	store_be32(value, TLV_POINTS_MAGIC);
	value[4] = POINTS_VERSION;
	store_be64(value + 8, set);
}

void tlv_block_ask(uint8_t *value, uint32_t seq)
{
	value[6] |= POINTS_BLOCK;
	store_be32(value + 56, seq);
}

bool points_block_asked(const uint8_t *value, uint32_t *ret_last)
{
	*ret_last = load_be32(value + 56) | 63;
	return (value[6] & POINTS_BLOCK) != 0;
}

static void arrivals_write(const struct message_arrivals *arrivals, uint8_t *at)
{
	store_be64(at, arrivals->came);
	store_be64(at + 8, arrivals->extra[0]);
	store_be64(at + 16, arrivals->extra[1]);
	store_be64(at + 24, arrivals->late);
}

static struct message_arrivals arrivals_read(const uint8_t *at, uint32_t last,
					     bool known)
{
	return (struct message_arrivals){
		.last = last,
		.known = known,
		.came = load_be64(at),
		.extra = {load_be64(at + 8), load_be64(at + 16)},
		.late = load_be64(at + 24),
	};
}

/* What can be told: near enough to the first. */
static point_set points_near(const struct message_points *points,
			     point_set wanted)
{
	const int64_t *at_ns = &points->at_ns[0][0];
	point_set set = points->stamped & wanted, left = set;
	int64_t first;

	if (set == 0)
		return 0;
	first = at_ns[__builtin_ctzll(set)];
	for (; left != 0; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);
		int64_t distance = at_ns[i] - first;

		if (distance != (int32_t)distance)
			set &= ~(UINT64_C(1) << i);
	}
	return set;
}

/* Returns the bytes written, 0: no room. */
static size_t answer_write(const struct message_points *points,
			   point_set wanted, uint8_t *at, size_t room)
{
	const int64_t *at_ns = &points->at_ns[0][0];
	point_set set = points_near(points, wanted);
	size_t count = (size_t)__builtin_popcountll(set);
	size_t size = ANSWER_HEAD_SIZE + 4 * (count > 0 ? count - 1 : 0);
	int64_t first;

	if (size > room)
		return 0;
	first = set ? at_ns[__builtin_ctzll(set)] : 0;
	store_be32(at, points->seq);
	store_be32(at + 4, points->reflected_seq);
	store_be64(at + 8, set);
	store_be64(at + 16, (uint64_t)first);
	at += ANSWER_HEAD_SIZE;
	for (set &= set - 1; count > 1; set &= set - 1, count--) {
		store_be32(at, (uint32_t)(at_ns[__builtin_ctzll(set)] - first));
		at += 4;
	}
	return size;
}

void points_answer(uint8_t *value, size_t size,
		   struct message_reflection *reflection)
{
	point_set wanted = load_be64(value + 8);
	size_t at = POINTS_HEAD_SIZE;
	uint8_t count = 0;

	store_be32(value + 16, reflection->newest.last);
	store_be32(value + 20, reflection->first);
	arrivals_write(&reflection->newest, value + NEWEST_AT);
	store_be32(value + 56, reflection->block.last);
	store_be32(value + 60, 0);
	arrivals_write(&reflection->block, value + BLOCK_AT);
	memset(value + at, 0, size - at);
	for (size_t i = 0; i < reflection->earlier_count && i < 255; i++) {
		size_t part = answer_write(reflection->earlier[i], wanted,
					   value + at, size - at);

		if (part == 0)
			break;
		at += part;
		count++;
	}
	value[4] = POINTS_VERSION;
	value[5] = count;
	value[6] = (uint8_t)(POINTS_ANSWER |
			     (reflection->block.known ? POINTS_BLOCK : 0) |
			     (reflection->stateless ? POINTS_STATELESS : 0));
	value[7] = 0;
	reflection->told_count = count;
}

#define POINTS_ALL (UINT64_MAX >> (64 - LEG_COUNT * POINT_COUNT))

static bool answer_read(struct cursor *c, struct message_points *points)
{
	int64_t *at_ns = &points->at_ns[0][0];
	point_set left;
	uint64_t first;
	uint32_t distance;

	memset(points, 0, sizeof *points);
	if (!cursor_u32(c, &points->seq) ||
	    !cursor_u32(c, &points->reflected_seq) ||
	    !cursor_u64(c, &points->stamped) || !cursor_u64(c, &first))
		return false;
	left = points->stamped;
	if (left & ~POINTS_ALL)
		return false;
	if (left == 0)
		return true;
	at_ns[__builtin_ctzll(left)] = (int64_t)first;
	for (left &= left - 1; left != 0; left &= left - 1) {
		if (!cursor_u32(c, &distance))
			return false;
		at_ns[__builtin_ctzll(left)] =
			(int64_t)(first + (uint64_t)(int64_t)(int32_t)distance);
	}
	return true;
}

void points_read(const uint8_t *value, size_t size, struct message_reply *reply)
{
	struct cursor c = {value + POINTS_HEAD_SIZE, value + size};
	unsigned count = value[5];

	if (load_be32(value) != TLV_POINTS_MAGIC ||
	    value[4] != POINTS_VERSION || !(value[6] & POINTS_ANSWER))
		return;
	reply->stateless = (value[6] & POINTS_STATELESS) != 0;
	reply->first = load_be32(value + 20);
	reply->newest =
		arrivals_read(value + NEWEST_AT, load_be32(value + 16), true);
	reply->block = arrivals_read(value + BLOCK_AT, load_be32(value + 56),
				     (value[6] & POINTS_BLOCK) != 0);
	while (count-- > 0 && reply->points_count < MESSAGE_POINTS_MAX &&
	       answer_read(&c, &reply->points[reply->points_count]))
		reply->points_count++;
}
