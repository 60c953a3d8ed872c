/* What a reflector is made of.  Included by this room only. */
#ifndef REFLECTOR_PRIVATE_H
#define REFLECTOR_PRIVATE_H

#include "probe/probe.h"
#include "probe/watch_private.h"

#define RECENT_COUNT 64 /* answers of a session whose stamps may still come */
#define TOLD_MAX     2  /* each answer's stamps travel so often */
#define KEY_NONE     UINT32_MAX

#define ARRIVALS_COUNT 16384 /* requests that are remembered */
#define ARRIVALS_WORDS (ARRIVALS_COUNT / 64)

/* arrivals.c: which requests came; bit of a number by its lowest bits. */
struct arrivals {
	bool begun;
	uint32_t first, highest;
	uint64_t came[ARRIVALS_WORDS];
	uint64_t extra[2][ARRIVALS_WORDS];
	uint64_t late[ARRIVALS_WORDS];
};

void arrivals_note(struct arrivals *arrivals, uint32_t seq);
/* The 64 numbers up to 'last'. */
struct message_arrivals arrivals_at(const struct arrivals *arrivals,
				    uint32_t last);

/* An answer under way: its stamps so far. */
struct answer {
	struct message_points points;
	point_set awaited; /* stamps that may still come */
	bool used;
};

struct session {
	struct sockaddr_storage peer;
	uint64_t hash;
	uint16_t ssid;
	bool used;
	uint32_t salt;   /* differs from the session before in its place */
	int64_t last_ns; /* last request, CLOCK_MONOTONIC */
	uint32_t received_count, sent_count;
	/* Of 'recent': those whose stamps may still come, and those that can
	 * be told, by how often they were. */
	uint64_t waiting, ready[TOLD_MAX];
	struct answer *newest; /* of those known to have gone; NULL: none */
	struct arrivals arrivals;
	struct answer recent[RECENT_COUNT]; /* by sent_count */
};

/* session.c: an open table, the ways of a bucket side by side. */
struct session_table {
	struct session *sessions;
	uint32_t bucket_count, session_count;
	uint8_t secret[16];
	uint64_t begun, evicted, stamps_lost;
};

int session_table_init(struct session_table *table, uint32_t count);
void session_table_fini(struct session_table *table);
/* Finds it or begins it, at the cost of the longest idle one. */
struct session *session_get(struct session_table *table,
			    const struct sockaddr_storage *peer, uint16_t ssid,
			    struct mono now);
/* Any session of the peer that has an answer to 'seq'. */
struct answer *session_answer_find(struct session_table *table,
				   const struct sockaddr_storage *peer,
				   uint32_t seq, struct session **ret_session);

/* Whether the peer's sessions are so far beyond 'seq' that no answer to it is
 * to come: it was made and forgotten, or had no stamps.  One that was
 * overtaken on its way is read a little later. */
bool session_is_past(struct session_table *table,
		     const struct sockaddr_storage *peer, uint32_t seq);

/* session_answers.c: the session's last answers. */
struct answer *session_answer_of(struct session *session, uint32_t seq);
/* The answer that is being made; forgets the one 64 before. */
struct answer *session_answer_begin(struct session_table *table,
				    struct session *session, uint32_t seq);
/* The answer that is being made has no stamps; those before it age. */
void session_answer_skip(struct session *session);
/* All its stamps came. */
void session_answer_ready(struct session *session, const struct answer *answer);
/* It is known when it went. */
void session_answer_gone(struct session *session, struct answer *answer);
/* Up to MESSAGE_POINTS_MAX answers to tell, the most urgent first, by their
 * place in 'recent'. */
size_t session_tell(const struct session *session,
		    const struct message_points **ret_points,
		    uint8_t *ret_places);
/* The first 'count' of them were told. */
void session_told(struct session *session, const uint8_t *places, size_t count);
/* A key that names this answer among the kernel's stamps, and back. */
uint32_t session_key(const struct session_table *table,
		     const struct session *session,
		     const struct answer *answer);
struct answer *session_key_find(struct session_table *table, uint32_t key,
				struct session **ret_session);

/* bucket.c: token buckets for prefixes.  Two prefixes may share one. */
struct buckets {
	struct bucket *all; /* NULL: no limit */
	uint32_t rate_pps;
	uint8_t secret[16];
};

int buckets_init(struct buckets *buckets, uint32_t rate_pps);
void buckets_fini(struct buckets *buckets);
bool buckets_take(struct buckets *buckets, const struct sockaddr_storage *peer,
		  struct mono now);

#endif
