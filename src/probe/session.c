/* Sessions of a reflector: who asks, what came, and the stamps of the last
 * answers until they are told.
 *
 * A session is a sender's address and port and its SSID.  They lie in buckets
 * of eight; a ninth takes the place of the one that has been silent longest.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "probe/reflector_private.h"

#define WAYS      8
#define OVERTAKEN 48 /* answers later, its stamps are given up */

int session_table_init(struct session_table *table, uint32_t count)
{
	uint32_t buckets = 1;

	while (buckets * WAYS < count)
		buckets *= 2;
	*table = (struct session_table){.bucket_count = buckets};
	if (getrandom(table->secret, sizeof table->secret, 0) !=
	    (ssize_t)sizeof table->secret)
		return -EIO;
	table->sessions =
		calloc((size_t)buckets * WAYS, sizeof *table->sessions);
	return table->sessions ? 0 : -ENOMEM;
}

void session_table_fini(struct session_table *table)
{
	free(table->sessions);
}

static uint64_t peer_hash(const struct session_table *table,
			  const struct sockaddr_storage *peer)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;
	uint8_t bytes[16 + 16 + 2] = {0};

	memcpy(bytes, table->secret, 16);
	if (peer->ss_family == AF_INET) {
		memcpy(bytes + 16, &v4->sin_addr, 4);
		memcpy(bytes + 32, &v4->sin_port, 2);
	} else {
		memcpy(bytes + 16, &v6->sin6_addr, 16);
		memcpy(bytes + 32, &v6->sin6_port, 2);
	}
	return XXH3_64bits(bytes, sizeof bytes);
}

static bool peer_same(const struct sockaddr_storage *a,
		      const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_port == b4->sin_port &&
		       a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a6->sin6_port == b6->sin6_port &&
	       a6->sin6_scope_id == b6->sin6_scope_id &&
	       memcmp(&a6->sin6_addr, &b6->sin6_addr, 16) == 0;
}

static struct session *bucket_of(struct session_table *table, uint64_t hash)
{
	return &table->sessions[(hash % table->bucket_count) * WAYS];
}

struct session *session_find(struct session_table *table,
			     const struct sockaddr_storage *peer, uint16_t ssid)
{
	uint64_t hash = peer_hash(table, peer);
	struct session *ways = bucket_of(table, hash);

	for (size_t i = 0; i < WAYS; i++) {
		if (ways[i].used && ways[i].hash == hash &&
		    ways[i].ssid == ssid && peer_same(&ways[i].peer, peer))
			return &ways[i];
	}
	return NULL;
}

struct session *session_get(struct session_table *table,
			    const struct sockaddr_storage *peer, uint16_t ssid,
			    struct mono now)
{
	struct session *session = session_find(table, peer, ssid);
	uint64_t hash;

	if (session) {
		session->last_ns = now.ns;
		return session;
	}
	hash = peer_hash(table, peer);
	session = bucket_of(table, hash);
	for (struct session *way = session, *end = way + WAYS; way < end;
	     way++) {
		if (!way->used ||
		    (session->used && way->last_ns < session->last_ns))
			session = way;
	}
	table->begun++;
	table->evicted += session->used;
	memset(session, 0, sizeof *session);
	session->peer = *peer;
	session->hash = hash;
	session->ssid = ssid;
	session->salt = (uint32_t)table->begun;
	session->used = true;
	session->last_ns = now.ns;
	return session;
}

static struct answer *answer_of(struct session *session, uint32_t seq)
{
	for (size_t i = 0; i < RECENT_COUNT; i++) {
		struct answer *answer = &session->recent[i];

		if (answer->used && answer->points.seq == seq)
			return answer;
	}
	return NULL;
}

struct answer *session_answer_find(struct session_table *table,
				   const struct sockaddr_storage *peer,
				   uint32_t seq)
{
	uint64_t hash = peer_hash(table, peer);
	struct session *ways = bucket_of(table, hash);

	for (size_t i = 0; i < WAYS; i++) {
		struct answer *answer = NULL;

		if (ways[i].used && ways[i].hash == hash &&
		    peer_same(&ways[i].peer, peer))
			answer = answer_of(&ways[i], seq);
		if (answer)
			return answer;
	}
	return NULL;
}

/* A number far from the highest begins anew: the sender was started again. */
void session_seen(struct session *session, uint32_t seq)
{
	struct message_seen *seen = &session->seen;
	int32_t ahead = (int32_t)(seq - seen->highest);
	uint64_t bit;

	if (seen->seen == 0 || ahead > (1 << 20) || ahead < -(1 << 20)) {
		*seen = (struct message_seen){.highest = seq, .seen = 1};
		return;
	}
	if (ahead > 0) {
		bool far = ahead > 63;

		seen->seen = far ? 0 : seen->seen << ahead;
		seen->again = far ? 0 : seen->again << ahead;
		seen->late = far ? 0 : seen->late << ahead;
		seen->highest = seq;
		seen->seen |= 1;
		return;
	}
	if (ahead < -63)
		return;
	bit = UINT64_C(1) << -ahead;
	if (seen->seen & bit)
		seen->again |= bit;
	else if (ahead < 0)
		seen->late |= bit;
	seen->seen |= bit;
}

struct answer *session_answer_begin(struct session_table *table,
				    struct session *session, uint32_t seq)
{
	uint32_t place = session->sent_count % RECENT_COUNT;
	struct answer *answer = &session->recent[place];

	table->stamps_lost += answer->used && answer->awaited != 0;
	*answer = (struct answer){
		.points = {.seq = seq, .reflected_seq = session->sent_count},
		.used = true,
	};
	return answer;
}

/* No use in waiting longer for the stamps of this answer. */
static bool is_overtaken(const struct session *session, uint32_t reflected)
{
	return session->sent_count - reflected > OVERTAKEN;
}

static bool is_ready(const struct session *session, const struct answer *answer,
		     uint8_t told)
{
	return answer->used && answer->told == told &&
	       (answer->awaited == 0 ||
		is_overtaken(session, answer->points.reflected_seq));
}

/* Those told least often first, and among them the oldest. */
size_t session_tell(const struct session *session,
		    struct message_points *ret_points, uint8_t *ret_places)
{
	size_t count = 0;

	for (uint8_t told = 0; told < TOLD_MAX; told++) {
		for (uint32_t back = RECENT_COUNT; back > 0; back--) {
			uint32_t place =
				(session->sent_count - back) % RECENT_COUNT;
			const struct answer *answer = &session->recent[place];

			if (count == MESSAGE_POINTS_MAX)
				return count;
			if (!is_ready(session, answer, told))
				continue;
			ret_points[count] = answer->points;
			ret_places[count++] = (uint8_t)place;
		}
	}
	return count;
}

void session_told(struct session *session, const uint8_t *places, size_t count)
{
	for (size_t i = 0; i < count; i++)
		session->recent[places[i]].told++;
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

struct answer *session_key_find(struct session_table *table, uint32_t key)
{
	uint32_t place = key & ((1U << KEY_TURN_SHIFT) - 1);
	uint32_t index = place / RECENT_COUNT;
	struct session *session;
	struct answer *answer;

	if (index >= table->bucket_count * WAYS)
		return NULL;
	session = &table->sessions[index];
	answer = &session->recent[place % RECENT_COUNT];
	if (!session->used || !answer->used ||
	    key_turn(session, answer) != key >> KEY_TURN_SHIFT)
		return NULL;
	return answer;
}
