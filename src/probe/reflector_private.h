/* What a reflector is made of.  Included by this room only. */
#ifndef REFLECTOR_PRIVATE_H
#define REFLECTOR_PRIVATE_H

#include "probe/probe.h"

#define RECENT_COUNT 64 /* answers of a session whose stamps may still come */
#define TOLD_MAX     2  /* each answer's stamps travel so often */
#define KEY_NONE     UINT32_MAX

/* An answer under way: its stamps so far. */
struct answer {
	struct message_points points;
	point_set awaited; /* stamps that may still come */
	uint8_t told;
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
	struct message_seen seen;
	struct answer recent[RECENT_COUNT]; /* by sent_count */
};

/* session.c: an open table, the ways of a bucket side by side. */
struct session_table {
	struct session *sessions;
	uint32_t bucket_count;
	uint8_t secret[16];
	uint64_t begun, evicted, stamps_lost;
};

int session_table_init(struct session_table *table, uint32_t count);
void session_table_fini(struct session_table *table);
/* Finds it or begins it, at the cost of the longest idle one. */
struct session *session_get(struct session_table *table,
			    const struct sockaddr_storage *peer, uint16_t ssid,
			    struct mono now);
/* NULL: no such session. */
struct session *session_find(struct session_table *table,
			     const struct sockaddr_storage *peer,
			     uint16_t ssid);
/* Any session of the peer that has an answer to 'seq'. */
struct answer *session_answer_find(struct session_table *table,
				   const struct sockaddr_storage *peer,
				   uint32_t seq);
void session_seen(struct session *session, uint32_t seq);
/* The answer that is being made; forgets the one 16 before. */
struct answer *session_answer_begin(struct session_table *table,
				    struct session *session, uint32_t seq);
/* Up to MESSAGE_POINTS_MAX answers to tell, the most urgent first, by their
 * place in 'recent'. */
size_t session_tell(const struct session *session,
		    struct message_points *ret_points, uint8_t *ret_places);
/* The first 'count' of them were told. */
void session_told(struct session *session, const uint8_t *places, size_t count);
/* A key that names this answer among the kernel's stamps, and back. */
uint32_t session_key(const struct session_table *table,
		     const struct session *session,
		     const struct answer *answer);
struct answer *session_key_find(struct session_table *table, uint32_t key);

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
