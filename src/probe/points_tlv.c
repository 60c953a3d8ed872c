/* The reflector's stamps of earlier answers, in an experimental TLV (RFC 8972
 * section 5.1, type 240).  Its value:
 *
 *      0  magic "sond"
 *      4  version, 1
 *      5  count of answers that follow; the sender writes 0
 *      6  0
 *      8  the set of points that the sender wants
 *     16  the highest sequence number that came (4), 0 (4), and of the 64 up
 *         to it those that came, came again, came late (8 each)
 *     48  answers: the sender's sequence number (4), the reflector's (4), the
 *         set of points stamped (8), the time of the first of them in ns
 *         since 1970 (8), and of each further one its distance from the
 *         first, signed (4)
 *
 * A stamp more than 2 s from the first is left out. */
#include "probe/probe_private.h"

#define POINTS_VERSION   1
#define POINTS_HEAD_SIZE TLV_POINTS_SIZE_MIN
#define ANSWER_HEAD_SIZE 24

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

	store_be32(value + 16, reflection->seen.highest);
	store_be32(value + 20, 0);
	store_be64(value + 24, reflection->seen.seen);
	store_be64(value + 32, reflection->seen.again);
	store_be64(value + 40, reflection->seen.late);
	memset(value + at, 0, size - at);
	for (size_t i = 0; i < reflection->earlier_count && i < 255; i++) {
		size_t part = answer_write(&reflection->earlier[i], wanted,
					   value + at, size - at);

		if (part == 0)
			break;
		at += part;
		count++;
	}
	value[4] = POINTS_VERSION;
	value[5] = count;
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

	if (load_be32(value) != TLV_POINTS_MAGIC || value[4] != POINTS_VERSION)
		return;
	reply->seen = (struct message_seen){
		load_be32(value + 16),
		load_be64(value + 24),
		load_be64(value + 32),
		load_be64(value + 40),
	};
	while (count-- > 0 && reply->points_count < MESSAGE_POINTS_MAX &&
	       answer_read(&c, &reply->points[reply->points_count]))
		reply->points_count++;
}
