/* Which requests of a session came, for as long back as a sender may ask. */
#include <string.h>

#include "probe/reflector_private.h"

/* Numbers this far apart are not of one run: the sender was started again. */
#define RESTART (1 << 20)

#define WORD_MASK (UINT32_MAX >> 6)

static size_t word_of(uint32_t seq)
{
	return seq / 64 % ARRIVALS_WORDS;
}

static void word_clear(struct arrivals *arrivals, size_t word)
{
	arrivals->came[word] = 0;
	arrivals->extra[0][word] = 0;
	arrivals->extra[1][word] = 0;
	arrivals->late[word] = 0;
}

/* Words from that of the highest on are clean: it moves to 'seq'. */
static void highest_move(struct arrivals *arrivals, uint32_t seq)
{
	uint32_t count = seq / 64 - arrivals->highest / 64;

	if (count > ARRIVALS_WORDS)
		count = ARRIVALS_WORDS;
	for (uint32_t i = 0; i < count; i++)
		word_clear(arrivals, word_of(seq - 64 * i));
	arrivals->highest = seq;
}

static void copy_note(struct arrivals *arrivals, size_t word, uint64_t bit)
{
	if (!(arrivals->extra[0][word] & bit))
		arrivals->extra[0][word] |= bit;
	else if (!(arrivals->extra[1][word] & bit)) {
		arrivals->extra[0][word] &= ~bit;
		arrivals->extra[1][word] |= bit;
	}
}

void arrivals_note(struct arrivals *arrivals, uint32_t seq)
{
	int32_t ahead = (int32_t)(seq - arrivals->highest);
	uint64_t bit = UINT64_C(1) << seq % 64;
	size_t word = word_of(seq);

	if (!arrivals->begun || ahead > RESTART || ahead < -RESTART) {
		memset(arrivals, 0, sizeof *arrivals);
		arrivals->first = arrivals->highest = seq;
		arrivals->begun = true;
	} else if (ahead > 0) {
		highest_move(arrivals, seq);
	} else if (arrivals->highest / 64 - seq / 64 >= ARRIVALS_WORDS) {
		return; /* too long ago */
	}
	if (arrivals->came[word] & bit)
		copy_note(arrivals, word, bit);
	else if (ahead < 0 && arrivals->highest != seq)
		arrivals->late[word] |= bit;
	arrivals->came[word] |= bit;
}

/* The 64 of a plane from 'from' on. */
static uint64_t plane_at(const uint64_t *plane, uint32_t from)
{
	unsigned shift = from % 64;
	uint64_t low = plane[word_of(from)] >> shift;

	if (shift == 0)
		return low;
	return low | plane[word_of(from + 63)] << (64 - shift);
}

struct message_arrivals arrivals_at(const struct arrivals *arrivals,
				    uint32_t last)
{
	uint32_t from = last - 63;
	uint32_t back = (arrivals->highest / 64 - from / 64) & WORD_MASK;
	struct message_arrivals at = {.last = last, .known = arrivals->begun};

	if (back > WORD_MASK / 2) /* none of them came yet */
		return at;
	if (back >= ARRIVALS_WORDS) {
		at.known = false;
		return at;
	}
	at.came = plane_at(arrivals->came, from);
	at.extra[0] = plane_at(arrivals->extra[0], from);
	at.extra[1] = plane_at(arrivals->extra[1], from);
	at.late = plane_at(arrivals->late, from);
	return at;
}
