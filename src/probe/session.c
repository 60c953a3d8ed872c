/* Sessions of a reflector: who asks.
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

#define WAYS 8

int session_table_init(struct session_table *table, uint32_t count)
{
	uint32_t buckets = 1;

	while (buckets * WAYS < count)
		buckets *= 2;
	*table = (struct session_table){
		.bucket_count = buckets,
		.session_count = buckets * WAYS,
	};
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

static struct session *bucket_of(struct session_table *table, uint64_t hash)
{
	return &table->sessions[(hash % table->bucket_count) * WAYS];
}

static struct session *session_find(struct session_table *table,
				    const struct sockaddr_storage *peer,
				    uint16_t ssid, uint64_t hash)
{
	struct session *ways = bucket_of(table, hash);

	for (size_t i = 0; i < WAYS; i++) {
		if (ways[i].used && ways[i].hash == hash &&
		    ways[i].ssid == ssid &&
		    probe_address_same(&ways[i].peer, peer))
			return &ways[i];
	}
	return NULL;
}

struct session *session_get(struct session_table *table,
			    const struct sockaddr_storage *peer, uint16_t ssid,
			    struct mono now)
{
	uint64_t hash = peer_hash(table, peer);
	struct session *session = session_find(table, peer, ssid, hash);

	if (session) {
		session->last_ns = now.ns;
		return session;
	}
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

struct answer *session_answer_find(struct session_table *table,
				   const struct sockaddr_storage *peer,
				   uint32_t seq, struct session **ret_session)
{
	uint64_t hash = peer_hash(table, peer);
	struct session *ways = bucket_of(table, hash);

	for (size_t i = 0; i < WAYS; i++) {
		struct answer *answer = NULL;

		if (ways[i].used && ways[i].hash == hash &&
		    probe_address_same(&ways[i].peer, peer))
			answer = session_answer_of(&ways[i], seq);
		if (answer) {
			*ret_session = &ways[i];
			return answer;
		}
	}
	return NULL;
}

bool session_is_past(struct session_table *table,
		     const struct sockaddr_storage *peer, uint32_t seq)
{
	uint64_t hash = peer_hash(table, peer);
	struct session *ways = bucket_of(table, hash);
	bool known = false;

	for (size_t i = 0; i < WAYS; i++) {
		if (!ways[i].used || ways[i].hash != hash ||
		    !probe_address_same(&ways[i].peer, peer))
			continue;
		if ((int32_t)(ways[i].arrivals.highest - seq) < RECENT_COUNT)
			return false;
		known = true;
	}
	return known;
}
