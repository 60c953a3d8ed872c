/* From parts that moved to what moved them. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "probe/explain_private.h"

#define Z_MIN      4.0  /* one in 16,000 by chance, and 24 parts are tried */
#define CHANCE_MAX 1e-2 /* of a stretch within a run */
#define SCORE_MIN  200  /* ns: clocks and caches move that much */

#define PATH_SHARE  0.3 /* of what the path moved: less is the clocks' */
#define SURE        3.0 /* standard deviations that exclude something */
#define SHARE_ERROR 0.05

#define ELSEWHERE_SHARE 0.2
#define BUSY_SHARE      0.3 /* of the time between two packets */
#define BUSY_TIMES      2

#define CLOCK_ANEW (UINT32_C(1) << 31) /* in a sample's regime */

#define BIT(kind) CULPRIT_BIT(CULPRIT_##kind)

#define CULPRIT_ROW(name, word, line) {word, "", line},

const struct counter_row culprit_rows[CULPRIT_COUNT] = {
	CULPRIT_TABLE(CULPRIT_ROW)};

struct work {
	const struct samples *samples;
	struct moved moved[PARTS];
	struct moved wire, lean;
	struct cut cut;
	bool straight; /* the clocks went on: 'lean' says which way */
	double lean_error_ns;
	struct explanation *to;
};

static struct moved *at(struct work *work, enum host host, enum part part)
{
	return &work->moved[(int)host * PART_COUNT + (int)part];
}

static bool is_moved(const struct moved *moved)
{
	return moved->known && moved->z >= Z_MIN &&
	       fabs(moved->score) >= SCORE_MIN;
}

static bool has_moved(struct work *work, enum host host, enum part part)
{
	return is_moved(at(work, host, part));
}

static double score_of(struct work *work, enum host host, enum part part)
{
	return has_moved(work, host, part) ? at(work, host, part)->score : 0;
}

/* Of several tries one may succeed by chance. */
static double confidence_of(double z)
{
	return fmax(0, 1 - PARTS * erfc(z / sqrt(2)));
}

static void evidence(struct work *work, int which, struct culprit *culprit)
{
	const struct moved *moved = &work->moved[which];

	part_name(which, work->samples->path, culprit->segment);
	culprit->confidence = confidence_of(moved->z);
	culprit->before_p50_ns = moved->before[1];
	culprit->before_p90_ns = moved->before[2];
	culprit->before_p99_ns = moved->before[3];
	culprit->after_p50_ns = moved->after[1];
	culprit->after_p90_ns = moved->after[2];
	culprit->after_p99_ns = moved->after[3];
	culprit->packets = moved->packets;
	culprit->beyond = moved->beyond;
}

/* A culprit for the parts of 'set' (bits of enum part) that moved; they are
 * accounted for then. */
static void accuse(struct work *work, enum host host, uint32_t kinds,
		   uint32_t set)
{
	struct explanation *to = work->to;
	struct culprit *culprit = &to->culprits[to->count];
	double sum = 0, most = 0;
	int which = -1;

	for (int part = 0; part < PART_COUNT; part++) {
		double score = score_of(work, host, (enum part)part);

		if (!(set & (1u << part)) || score == 0)
			continue;
		sum += score;
		if (fabs(score) > most) {
			most = fabs(score);
			which = (int)host * PART_COUNT + part;
		}
	}
	if (which < 0 || to->count == CULPRITS_MAX)
		return;
	*culprit = (struct culprit){.kinds = kinds,
				    .remote = host == HOST_REMOTE,
				    .added_ns = llround(sum)};
	evidence(work, which, culprit);
	to->count++;
	for (int part = 0; part < PART_COUNT; part++) {
		if (set & (1u << part))
			at(work, host, (enum part)part)->known = false;
	}
}

#define SET(part) (1u << PART_##part)
/* Of a thread that is too busy to read, or gets no CPU for it. */
#define OF_READER                                                              \
	(SET(APPLICATION) | SET(IN) | SET(AWAY) | SET(WAKE) | SET(PREEMPTED) | \
	 SET(BUSY) | SET(RETURN))

/* What else a thread that lost the CPU would have lost, against what it lost
 * when it was woken: less than that is caches grown cold. */
static bool is_elsewhere(struct work *work, enum host host)
{
	double wake = fabs(score_of(work, host, PART_WAKE));
	double sum = fabs(score_of(work, host, PART_CALL)) +
		     fabs(score_of(work, host, PART_RETURN));

	if (host == HOST_REMOTE)
		sum += fabs(score_of(work, host, PART_APPLICATION));
	return sum > ELSEWHERE_SHARE * wake;
}

/* The reflector's application takes so long that packets wait for it: by far
 * longer than losing the CPU would make it. */
static bool is_overloaded(struct work *work)
{
	const struct moved *moved = at(work, HOST_REMOTE, PART_APPLICATION);
	const struct samples *samples = work->samples;
	double apart = (double)(samples->sent_ns[work->cut.to - 1] -
				samples->sent_ns[work->cut.from]) /
		       (double)(work->cut.to - work->cut.from);

	return is_moved(moved) && moved->score > BUSY_SHARE * apart &&
	       moved->score > BUSY_TIMES * (double)moved->before[1];
}

/* The thread that reads: it was woken late, lost the CPU, or had something
 * else to do.  Who loses the CPU loses it anywhere and at random; who is
 * woken late is so each time, a sender that sleeps before its slot also. */
static void reader_traced(struct work *work, enum host host)
{
	bool wake = has_moved(work, host, PART_WAKE), busy;
	bool hog = has_moved(work, host, PART_PREEMPTED) ||
		   (wake && (is_elsewhere(work, host) ||
			     !at(work, host, PART_WAKE)->regular));

	if (host == HOST_REMOTE && is_overloaded(work))
		accuse(work, host, BIT(PAUSE), OF_READER);
	else if (hog)
		accuse(work, host, BIT(HOG),
		       SET(WAKE) | SET(PREEMPTED) | SET(APPLICATION) |
			       SET(CALL) | SET(RETURN));
	else if (wake)
		accuse(work, host, BIT(WAKE_UP),
		       SET(WAKE) | (host == HOST_LOCAL ? SET(APPLICATION) : 0));
	accuse(work, host, BIT(INTERRUPT), SET(SOFTIRQ));
	busy = fabs(score_of(work, host, PART_BUSY)) +
		       fabs(score_of(work, host, PART_AWAY)) >
	       ELSEWHERE_SHARE * fabs(score_of(work, host, PART_APPLICATION));
	/* A slot that is late alone may be for want of a CPU. */
	accuse(work, host,
	       host == HOST_LOCAL && !busy ? BIT(HOG) | BIT(PAUSE) : BIT(PAUSE),
	       SET(APPLICATION) | SET(BUSY) | SET(AWAY));
}

/* Without tracepoints: delays of nearly all packets alike are the kernel's,
 * those of some are the thread's, which is kept from the CPU or by itself. */
static void reader_untraced(struct work *work, enum host host)
{
	const struct moved *in = at(work, host, PART_IN);
	bool call = has_moved(work, host, PART_CALL);

	if (host == HOST_REMOTE && is_overloaded(work))
		accuse(work, host, BIT(PAUSE), OF_READER);
	else if (is_moved(in) && !in->regular)
		accuse(work, host, BIT(HOG) | BIT(PAUSE),
		       SET(IN) | SET(APPLICATION) | (call ? SET(CALL) : 0));
	else if (is_moved(in))
		accuse(work, host, BIT(INTERRUPT) | BIT(WAKE_UP),
		       SET(IN) | (host == HOST_LOCAL ? SET(APPLICATION) : 0));
	accuse(work, host,
	       host == HOST_LOCAL ? BIT(HOG) | BIT(PAUSE) : BIT(PAUSE),
	       SET(APPLICATION));
}

/* A part of what both ways together moved. */
static void path_accuse(struct work *work, enum host host, double share)
{
	struct moved *moved = at(work, host, PART_PATH);

	moved->known = true;
	moved->score = share * work->wire.score;
	moved->z = work->wire.z;
	accuse(work, host,
	       host == HOST_LOCAL ? BIT(PATH_FORWARD) : BIT(PATH_BACK),
	       SET(PATH));
}

static void path_either(struct work *work)
{
	*at(work, HOST_LOCAL, PART_PATH) = work->wire;
	accuse(work, HOST_LOCAL, BIT(PATH_FORWARD) | BIT(PATH_BACK), SET(PATH));
}

/* The clocks went on as they did: what one way alone grew by, half the
 * difference of the ways grew by half as much, up or down. */
static void path_lean(struct work *work)
{
	double share = 0.5 + work->lean.score / work->wire.score;
	double error =
		fmax(SHARE_ERROR, work->lean_error_ns / fabs(work->wire.score));
	bool forward = share > SURE * error;
	bool back = 1 - share > SURE * error;

	if (!work->lean.known || (!forward && !back))
		path_either(work);
	else if (!back || share > 1 - PATH_SHARE)
		path_accuse(work, HOST_LOCAL, 1);
	else if (!forward || share < PATH_SHARE)
		path_accuse(work, HOST_REMOTE, 1);
	else {
		path_accuse(work, HOST_LOCAL, share);
		path_accuse(work, HOST_REMOTE, 1 - share);
	}
}

/* Whether the path moved at all is told by both ways together, in which no
 * clock counts; the clocks say which way, if they are the same throughout. */
static void paths(struct work *work)
{
	double forward = score_of(work, HOST_LOCAL, PART_PATH);
	double back = score_of(work, HOST_REMOTE, PART_PATH);
	size_t last = work->samples->count - 1;

	if (!is_moved(&work->wire))
		return;
	if (work->samples->regimes[last] & CLOCK_ANEW) {
		path_either(work);
		return;
	}
	if (work->straight) {
		path_lean(work);
		return;
	}
	if (fabs(forward) > PATH_SHARE * fabs(work->wire.score))
		accuse(work, HOST_LOCAL, BIT(PATH_FORWARD), SET(PATH));
	if (fabs(back) > PATH_SHARE * fabs(work->wire.score))
		accuse(work, HOST_REMOTE, BIT(PATH_BACK), SET(PATH));
}

static int culprit_compare(const void *a, const void *b)
{
	const struct culprit *x = a, *y = b;
	int64_t p = x->added_ns, q = y->added_ns;

	return (p < q) - (p > q);
}

static void culprits_reverse(struct explanation *to)
{
	for (size_t i = 0; i < to->count / 2; i++) {
		struct culprit held = to->culprits[i];

		to->culprits[i] = to->culprits[to->count - 1 - i];
		to->culprits[to->count - 1 - i] = held;
	}
}

/* Those first that moved as the whole did: if it grew longer, what grew
 * shorter meanwhile is not to blame. */
static void rank(struct explanation *to)
{
	double sum = 0, all = 0;

	qsort(to->culprits, to->count, sizeof *to->culprits, culprit_compare);
	for (size_t i = 0; i < to->count; i++) {
		sum += (double)to->culprits[i].added_ns;
		all += fabs((double)to->culprits[i].added_ns);
	}
	if (sum < 0)
		culprits_reverse(to);
	for (size_t i = 0; i < to->count; i++)
		to->culprits[i].share =
			fabs((double)to->culprits[i].added_ns) / fmax(all, 1);
}

static void judge(struct work *work)
{
	for (int host = 0; host < HOST_COUNT; host++) {
		if (at(work, (enum host)host, PART_SOFTIRQ)->known)
			reader_traced(work, (enum host)host);
		else
			reader_untraced(work, (enum host)host);
		accuse(work, (enum host)host, BIT(QUEUE), SET(QUEUE));
		accuse(work, (enum host)host, BIT(DRIVER), SET(DRIVER));
		accuse(work, (enum host)host, BIT(QUEUE) | BIT(DRIVER),
		       SET(OUT));
		accuse(work, (enum host)host, BIT(STACK),
		       SET(CALL) | SET(RETURN));
	}
	paths(work);
	rank(work->to);
}

static void measure(struct work *work, int64_t *scratch)
{
	const struct cut *cut = &work->cut;

	for (int part = 0; part < PARTS; part++)
		moved_measure(work->samples->times[part], cut, scratch,
			      &work->moved[part]);
	moved_measure(work->samples->wire_ns, cut, scratch, &work->wire);
	if (work->straight)
		moved_measure(work->samples->lean_ns, cut, scratch,
			      &work->lean);
}

static void offset_feed(struct offset *offset, const struct run *run)
{
	struct offset_reading reading;

	for (size_t i = 0; i < run->count; i++)
		(void)offset_trip(offset, &run->trips[i], &reading);
}

/* How many samples the first of two runs has, and how many were answered. */
struct side {
	size_t count, answered;
};

/* Samples of 'count' runs with one estimate of the clock. */
static int gather_together(const struct run *runs, size_t count,
			   struct samples *samples, struct side *ret_first)
{
	struct offset *offset;
	int rc = offset_create(NULL, &offset);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++)
		offset_feed(offset, &runs[i]);
	offset_end(offset);
	for (size_t i = 0; i < count; i++) {
		samples_add(samples, &runs[i], offset);
		if (i == 0)
			*ret_first = (struct side){samples->count,
						   samples->answered};
	}
	offset_destroy(offset);
	return 0;
}

/* Both runs are one line in time if the second is later by the sender's
 * clock; after it was started anew they have a clock each. */
static int gather(const struct run runs[2], struct samples *samples,
		  struct side *ret_first)
{
	struct side none;
	int rc;

	if (runs[0].count == 0 || runs[1].count == 0 ||
	    runs[0].trips[runs[0].count - 1].sent_ns < runs[1].trips[0].sent_ns)
		return gather_together(runs, 2, samples, ret_first);
	rc = gather_together(runs, 1, samples, ret_first);
	if (rc == 0)
		rc = gather_together(runs + 1, 1, samples, &none);
	for (size_t i = ret_first->count; i < samples->count; i++)
		samples->regimes[i] |= CLOCK_ANEW;
	return rc;
}

static void explain_samples(struct samples *samples, size_t from, size_t to,
			    int64_t *scratch,
			    struct explanation *ret_explanation)
{
	struct work work = {.samples = samples,
			    .cut = {samples->count, from, to},
			    .to = ret_explanation};

	ret_explanation->packets_after = (uint32_t)(to - from);
	ret_explanation->packets_before =
		(uint32_t)(samples->count - (to - from));
	ret_explanation->first_seq = samples->seqs[from];
	ret_explanation->last_seq = samples->seqs[to - 1];
	if (!(samples->regimes[samples->count - 1] & CLOCK_ANEW))
		work.straight = paths_straighten(samples, from, to,
						 &work.lean_error_ns);
	measure(&work, scratch);
	judge(&work);
}

int explain_runs(const struct trip *before, size_t before_count,
		 const struct trip *after, size_t after_count,
		 struct explanation *ret_explanation)
{
	const struct run runs[2] = {{before, before_count},
				    {after, after_count}};
	struct samples samples;
	int64_t *scratch;
	struct side first = {0, 0};
	int rc = samples_make(&samples, before_count + after_count + 1);

	if (rc < 0)
		return rc;
	scratch = calloc(2 * samples.room, sizeof *scratch);
	rc = scratch ? gather(runs, &samples, &first) : -ENOMEM;
	if (rc == 0 &&
	    (first.answered < EXPLAIN_PACKETS_MIN ||
	     samples.answered - first.answered < EXPLAIN_PACKETS_MIN))
		rc = -EINVAL;
	if (rc == 0) {
		*ret_explanation = (struct explanation){0};
		explain_samples(&samples, first.count, samples.count, scratch,
				ret_explanation);
	}
	free(scratch);
	samples_free(&samples);
	return rc;
}

/* The time that a part added in the stretch of it that stands out, beyond
 * chance. */
static double stretch_weigh(const struct samples *samples, int part,
			    int64_t *scratch, struct cut *ret_cut)
{
	const int64_t *times = part % PART_COUNT == PART_PATH
				       ? samples->wire_ns
				       : samples->times[part];
	struct moved moved;
	double statistic;

	ret_cut->count = samples->count;
	statistic = stretch_find(times, samples->count, scratch, &ret_cut->from,
				 &ret_cut->to);
	if (statistic <= 0 || PARTS * stretch_chance(statistic) >= CHANCE_MAX)
		return 0;
	moved_measure(times, ret_cut, scratch, &moved);
	return is_moved(&moved) ? moved.score * moved.packets : 0;
}

/* The part that added most says which packets differ. */
static bool stretch_choose(const struct samples *samples, int64_t *scratch,
			   size_t *ret_from, size_t *ret_to)
{
	double best = 0;

	for (int part = 0; part < PARTS; part++) {
		struct cut cut;
		double weight = stretch_weigh(samples, part, scratch, &cut);

		if (weight > best) {
			best = weight;
			*ret_from = cut.from;
			*ret_to = cut.to;
		}
	}
	return best > 0;
}

int explain_run(const struct trip *trips, size_t count,
		struct explanation *ret_explanation)
{
	const struct run runs[2] = {{trips, count}, {NULL, 0}};
	struct samples samples;
	struct side first = {0, 0};
	size_t from = 0, to = 0;
	int64_t *scratch;
	int rc = samples_make(&samples, count + 1);

	if (rc < 0)
		return rc;
	scratch = calloc(2 * samples.room, sizeof *scratch);
	rc = scratch ? gather(runs, &samples, &first) : -ENOMEM;
	if (rc == 0 && samples.answered < 2 * (size_t)EXPLAIN_PACKETS_MIN)
		rc = -EINVAL;
	if (rc == 0) {
		*ret_explanation = (struct explanation){
			.packets_before = (uint32_t)samples.count};
		if (stretch_choose(&samples, scratch, &from, &to))
			explain_samples(&samples, from, to, scratch,
					ret_explanation);
	}
	free(scratch);
	samples_free(&samples);
	return rc;
}
