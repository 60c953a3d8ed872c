/* The last answers of a session, until their stamps are told. */
#include "probe/reflector_private.h"

#define OVERTAKEN 48 /* answers later, its stamps are given up */

static_assert(RECENT_COUNT == 64, "a word has a bit for each");

static uint64_t place_bit(uint32_t number)
{
	return UINT64_C(1) << number % RECENT_COUNT;
}

struct answer *session_answer_of(struct session *session, uint32_t seq)
{
	/* Stamps of a backlog are many, and most of requests not yet read. */
	if ((int32_t)(seq - session->arrivals.highest) > 0)
		return NULL;
	for (uint32_t i = 0; i < RECENT_COUNT; i++) { /* newest first */
		uint32_t place = (session->sent_count - 1 - i) % RECENT_COUNT;
		struct answer *answer = &session->recent[place];

		if (answer->used && answer->points.seq == seq)
			return answer;
	}
	return NULL;
}

static void give_up(struct session *session, uint64_t bit)
{
	if (session->waiting & bit) {
		session->waiting &= ~bit;
		session->ready[0] |= bit;
	}
}

struct answer *session_answer_begin(struct session_table *table,
				    struct session *session, uint32_t seq)
{
	uint32_t number = session->sent_count;
	uint64_t bit = place_bit(number);
	struct answer *answer = &session->recent[number % RECENT_COUNT];

	table->stamps_lost += answer->used && answer->awaited != 0;
	for (size_t i = 0; i < TOLD_MAX; i++)
		session->ready[i] &= ~bit;
	session->waiting |= bit;
	if (session->newest == answer)
		session->newest = NULL;
	give_up(session, place_bit(number - OVERTAKEN));
	answer->points.seq = seq;
	answer->points.reflected_seq = number;
	answer->points.stamped = 0;
	answer->awaited = 0;
	answer->used = true;
	return answer;
}

void session_answer_skip(struct session *session)
{
	give_up(session, place_bit(session->sent_count - OVERTAKEN));
}

void session_answer_ready(struct session *session, const struct answer *answer)
{
	give_up(session, place_bit((uint32_t)(answer - session->recent)));
}

void session_answer_gone(struct session *session, struct answer *answer)
{
	const struct answer *newest = session->newest;

	if (!newest || (int32_t)(answer->points.reflected_seq -
				 newest->points.reflected_seq) > 0)
		session->newest = answer;
}

/* Those told least often first, and among them the oldest; the oldest of all
 * makes room for the answer that is being made. */
size_t session_tell(const struct session *session,
		    const struct message_points **ret_points,
		    uint8_t *ret_places)
{
	unsigned begin = session->sent_count % RECENT_COUNT;
	size_t count = 0;

	for (size_t told = 0; told < TOLD_MAX; told++) {
		uint64_t left = session->ready[told] & ~(UINT64_C(1) << begin);

		if (begin > 0)
			left = left >> begin | left << (64 - begin);
		for (; left != 0; left &= left - 1) {
			unsigned place =
				((unsigned)__builtin_ctzll(left) + begin) %
				RECENT_COUNT;

			if (count == MESSAGE_POINTS_MAX)
				return count;
			ret_points[count] = &session->recent[place].points;
			ret_places[count++] = (uint8_t)place;
		}
	}
	return count;
}

void session_told(struct session *session, const uint8_t *places, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t bit = place_bit(places[i]);
		bool again = (session->ready[1] & bit) != 0;

		session->ready[0] &= ~bit;
		session->ready[1] &= ~bit;
		session->ready[1] |= again ? 0 : bit;
	}
}

/* Index of the session, the answer's place in it, and above them what tells
 * it from earlier and later ones in that place: a late stamp finds nobody. */
#define KEY_TURN_SHIFT 22

static_assert(REFLECTOR_SESSIONS_MAX * (uint64_t)RECENT_COUNT <=
		      1U << KEY_TURN_SHIFT,
	      "a key has room for every answer");

static uint32_t key_turn(const struct session *session,
			 const struct answer *answer)
{
	return (session->salt + answer->points.reflected_seq / RECENT_COUNT) &
	       ((1U << (32 - KEY_TURN_SHIFT)) - 1);
}

uint32_t session_key(const struct session_table *table,
		     const struct session *session, const struct answer *answer)
{
	uint32_t index = (uint32_t)(session - table->sessions);

	return key_turn(session, answer) << KEY_TURN_SHIFT |
	       (index * RECENT_COUNT + (uint32_t)(answer - session->recent));
}

struct answer *session_key_find(struct session_table *table, uint32_t key,
				struct session **ret_session)
{
	uint32_t place = key & ((1U << KEY_TURN_SHIFT) - 1);
	uint32_t index = place / RECENT_COUNT;
	struct session *session;
	struct answer *answer;

	if (index >= table->session_count)
		return NULL;
	session = &table->sessions[index];
	answer = &session->recent[place % RECENT_COUNT];
	if (!session->used || !answer->used ||
	    key_turn(session, answer) != key >> KEY_TURN_SHIFT)
		return NULL;
	*ret_session = session;
	return answer;
}
