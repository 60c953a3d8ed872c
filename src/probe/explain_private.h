/* What an explanation is made of.  Included by this room only. */
#ifndef EXPLAIN_PRIVATE_H
#define EXPLAIN_PRIVATE_H

#include "probe/probe.h"

enum host { HOST_LOCAL, HOST_REMOTE, HOST_COUNT };

/* Parts of a trip at one host.  OUT is what QUEUE and DRIVER are together, IN
 * all from SOFTIRQ to RETURN: for trips without tracepoints. */
enum part {
	PART_APPLICATION, /* local: after the slot; remote: receive to send */
	PART_CALL,        /* send to sched */
	PART_OUT,         /* sched to sent */
	PART_QUEUE,       /* sched to driver */
	PART_DRIVER,      /* driver to sent */
	PART_PATH,        /* sent to received, leaving this host */
	PART_IN,          /* received to receive */
	PART_SOFTIRQ,     /* received to ready */
	PART_AWAY,        /* ready to waking: asleep over something else */
	PART_WAKE,        /* waking to running */
	PART_PREEMPTED,   /* ready to running of a thread that was awake */
	PART_BUSY,        /* ready to return of one that never left the CPU */
	PART_RETURN,      /* running to receive */
	PART_COUNT,
};

enum { PARTS = HOST_COUNT * PART_COUNT };

#define NO_TIME INT64_MIN

/* Places of PART_PATH, both ways. */
enum { WAY_FORWARD = PART_PATH, WAY_BACK = PART_COUNT + PART_PATH };

/* Times of all parts of trips: times[part][trip]; part is
 * host * PART_COUNT + enum part. */
struct samples {
	size_t count, room, answered;
	int64_t *times[PARTS];
	uint32_t *seqs, *regimes;
	int64_t *sent_ns;
	int64_t *wire_ns; /* the path there and back: no clock counts */
	/* Half of how much longer the way there is; a clock counts. */
	int64_t *lean_ns;
	uint32_t steps;  /* of a clock */
	enum layer path; /* between which points it is measured */
	/* The first packet's offset: that of all, if no clock was stepped. */
	bool based;
	int64_t base_ns;
	int64_t *memory;
};

struct run {
	const struct trip *trips;
	size_t count;
};

/* explain_parts.c */
int samples_make(struct samples *samples, size_t room);
void samples_free(struct samples *samples);
/* Adds the trips that were answered and are not void, and slots that were
 * skipped, by their lateness alone. */
void samples_add(struct samples *samples, const struct run *run,
		 struct offset *offset);
/* The segment that a part is, by name; of a path as it is measured. */
void part_name(int which, enum layer path, char ret_name[SEGMENT_NAME]);

/* Puts the path's times anew, if no clock was stepped: with the drift that
 * the clocks have within the samples 'from' to before 'to' and within the
 * others.  A path that grows longer one way looks like a drift otherwise.
 * Fills 'lean_ns'; *ret_error_ns is how far a step in it may be off by noise
 * and by a drift that is not quite known (one standard deviation).  False:
 * nothing was done. */
bool paths_straighten(struct samples *samples, size_t from, size_t to,
		      double *ret_error_ns);

/* Of 'count' samples those 'from' to before 'to' are after, all others
 * before. */
struct cut {
	size_t count, from, to;
};

/* How one part differs after from before. */
struct moved {
	bool known;   /* enough samples on both sides */
	double score; /* ns a packet, middle 90 % */
	double z;     /* of ranks or of tails, whichever is greater */
	bool regular; /* nearly all packets moved, or those that did alike */
	int64_t before[4], after[4]; /* quantiles: 25, 50, 90, 99 % */
	uint32_t packets, beyond;
};

/* explain_stat.c; 'scratch' has room for 2 * count values. */
void moved_measure(const int64_t *times, const struct cut *cut,
		   int64_t *scratch, struct moved *ret_moved);
/* The stretch whose ranks stand out most; returns by how much (Kuiper's
 * statistic, 0: too few samples). */
double stretch_find(const int64_t *times, size_t count, int64_t *scratch,
		    size_t *ret_from, size_t *ret_to);
/* Chance that no change has such a statistic. */
double stretch_chance(double statistic);
/* The middle of 'count' values, which it sorts. */
double values_median(double *values, size_t count);

#endif
