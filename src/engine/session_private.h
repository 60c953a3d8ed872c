/* A session of the public C API: session.c and session_flow.c. */
#ifndef SESSION_PRIVATE_H
#define SESSION_PRIVATE_H

#include <stdatomic.h>

#include "engine/engine_private.h"
#include "packet_capture.h"

/* The last records that ended: a ring that overwrites its oldest. */
struct history {
	uint8_t *records; /* session's record_size each */
	uint64_t *ids;    /* their flow_id: what a lookup looks through */
	uint32_t size;
	uint64_t count; /* pushed so far */
};

/* Live records of one capture_flow_get_all(). */
struct snapshot {
	uint8_t *records; /* session's record_size each */
	size_t count, room;
	bool failed; /* no memory */
};

struct capture_session {
	struct engine *engine;
	atomic_bool started;
	bool metering, no_packets;
	pthread_mutex_t stop_lock;
	int poll_timeout_ms;
	size_t faults_told;

	pthread_mutex_t poll_lock; /* one capture_poll() at a time */
	_Atomic uint64_t polled;

	pthread_mutex_t pool_lock; /* the three below, and releasing */
	captured_packet_t *pool;
	captured_packet_t **free_packets;
	size_t free_count;

	pthread_t collector;
	bool collecting;
	atomic_ullong drain_asked; /* a collect that begins after this ... */
	atomic_ullong drain_done;  /* ... found nothing: all was handed out */

	pthread_mutex_t query_lock;   /* one lookup or get_all at a time */
	pthread_mutex_t records_lock; /* history and snapshot */
	struct history history;
	struct snapshot snapshot;
	size_t record_size;  /* what is kept of a struct flow_record */
	uint32_t statistics; /* FLOW_STATISTICS_... */
	void (*on_end)(const flow_record_t *record, void *context);
	void *on_end_context;
};

/* session.c: keeps the calling thread's error; returns the public code. */
int session_error(int code, const char *sentence);
void session_error_clear(void);

/* session_statistics.c: what 'record' has of 'statistics'. */
void session_statistics(const struct flow_record *record, uint32_t statistics,
			flow_statistics_t *ret_statistics);

/* session_flow.c; 'context' is the session. */
void session_record(void *context, const struct flow_record *record);
void *session_collect(void *context);
void session_flow_fini(capture_session_t *session);

#endif
