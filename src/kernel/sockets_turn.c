/* Reading out: walks, rings, drops, counters. */
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/clock.h"
#include "kernel/sockets_private.h"

#define HZ_SPAN_NS   (NS_PER_S / 10)
#define OWNERS_TURNS 5 /* at most every so many a walk over all files */

/* ---- walks
 * -------------------------------------------------------------------- */

static struct bpf_link *link_of(const struct kernel_sockets *sockets, int hook)
{
	for (size_t i = 0; i < sockets_program_count; i++) {
		if (sockets_programs[i].hook == hook)
			return sockets->links[i];
	}
	return NULL;
}

static int walk_read(struct kernel_sockets *sockets, int fd, size_t size,
		     void (*take)(struct kernel_sockets *sockets,
				  const void *record))
{
	size_t filled = 0;

	for (;;) {
		ssize_t got = read(fd, sockets->buffer + filled,
				   SOCKETS_BUFFER - filled);
		size_t at = 0;

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0)
			return got < 0 ? -errno : 0;
		filled += (size_t)got;
		for (; take && filled - at >= size; at += size)
			take(sockets, sockets->buffer + at);
		filled = take ? filled - at : 0;
		memmove(sockets->buffer, sockets->buffer + at, filled);
	}
}

int sockets_walk_all(struct kernel_sockets *sockets, int hook, size_t size,
		     void (*take)(struct kernel_sockets *sockets,
				  const void *record))
{
	struct bpf_link *link = link_of(sockets, hook);
	int fd, rc;

	if (!link)
		return 0;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		return -errno;
	rc = walk_read(sockets, fd, size, take);
	close(fd);
	return rc;
}

static void sample_take(struct kernel_sockets *sockets, const void *record)
{
	sockets_give_record(sockets, record);
}

static void process_take(struct kernel_sockets *sockets, const void *record)
{
	sockets_give_process(sockets, record);
}

static uint64_t load(const __u64 *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

/* Sockets whose end no hook tells are known by their absence. */
static int sockets_walk_sockets(struct kernel_sockets *sockets)
{
	struct sockets_shared *shared = sockets->shared;
	uint64_t born = load(&shared->born), walked, there;
	int rc;

	shared->walked = shared->unowned = 0;
	rc = sockets_walk_all(sockets, HOOK_WALK, sizeof(struct sockets_record),
			      sample_take);
	if (rc < 0 || !link_of(sockets, HOOK_WALK))
		return rc;
	walked = load(&shared->walked);
	there = born - load(&shared->ended) - shared->vanished;
	if ((int64_t)there > 0 && there > walked)
		shared->vanished += there - walked;
	return 0;
}

/* Sockets that were accepted and not used are those of who has them open. */
static int owners_find(struct kernel_sockets *sockets)
{
	if (sockets->shared->unowned == 0 || sockets->options.no_existing ||
	    sockets->turns < sockets->owners_next)
		return 0;
	sockets->owners_next = sockets->turns + OWNERS_TURNS;
	return sockets_walk_all(sockets, HOOK_FILES, 0, NULL);
}

static int walks(struct kernel_sockets *sockets)
{
	int rc = sockets_walk_sockets(sockets);

	if (rc == 0)
		rc = owners_find(sockets);
	if (rc == 0)
		rc = sockets_walk_all(sockets, HOOK_TASKS,
				      sizeof(struct sockets_process),
				      process_take);
	return rc;
}

/* ---- rings
 * -------------------------------------------------------------------- */

static int event_take(void *context, void *data, size_t size)
{
	struct kernel_sockets *sockets = context;
	const uint32_t *record = data;
	const struct sockets_exec *exec = data;
	const struct sockets_bytes *bytes = data;

	(void)size;
	switch (*record) {
	case RECORD_BORN:
	case RECORD_STATE:
		sockets->state_consumed++;
		sockets_give_record(sockets, data);
		break;
	case RECORD_CLOSED:
	case RECORD_END:
		sockets->end_consumed++;
		sockets_give_record(sockets, data);
		break;
	case RECORD_BYTES:
		sockets->process_consumed++;
		sockets_give_process(sockets, &bytes->process);
		break;
	default:
		sockets->process_consumed++;
		sockets_give_life(sockets, data,
				  *record == RECORD_EXEC ? exec->path : "");
	}
	return 0;
}

static int bucket_take(void *context, void *data, size_t size)
{
	struct kernel_sockets *sockets = context;

	(void)size;
	sockets->bucket_consumed++;
	sockets_give_bucket(sockets, data);
	return 0;
}

static int ring_open(struct kernel_sockets *sockets, const char *name,
		     ring_buffer_sample_fn take, struct ring_buffer **ret_ring)
{
	int fd = bpf_object__find_map_fd_by_name(sockets->object, name);
	struct epoll_event wanted = {.events = EPOLLIN};

	if (fd < 0)
		return -ENOENT;
	*ret_ring = ring_buffer__new(fd, take, sockets, NULL);
	if (libbpf_get_error(*ret_ring) != 0) {
		*ret_ring = NULL;
		return -ENOMEM;
	}
	if (epoll_ctl(sockets->epoll, EPOLL_CTL_ADD,
		      ring_buffer__epoll_fd(*ret_ring), &wanted) < 0)
		return -errno;
	return 0;
}

int sockets_rings_open(struct kernel_sockets *sockets)
{
	int rc = ring_open(sockets, "events", event_take, &sockets->events);

	if (rc == 0)
		rc = ring_open(sockets, "buckets", bucket_take,
			       &sockets->buckets);
	return rc;
}

/* Ends before the last buckets of what ended, never a turn earlier. */
static void rings_read(struct kernel_sockets *sockets)
{
	(void)ring_buffer__consume(sockets->events);
	(void)ring_buffer__consume(sockets->buckets);
}

/* ---- missed, drops
 * ------------------------------------------------------------- */

static void missed_give(struct kernel_sockets *sockets)
{
	struct sockets_missed *all = sockets->shared->missed;

	if (!sockets->visitor->missed)
		return;
	for (size_t i = 0; i < SOCKETS_MISSED; i++) {
		struct kernel_missed missed = {
			.count = __atomic_exchange_n(&all[i].count, 0,
						     __ATOMIC_RELAXED),
		};

		if (missed.count == 0)
			continue;
		missed.index = all[i].index - 1;
		missed.tx_bytes =
			__atomic_exchange_n(&all[i].tx, 0, __ATOMIC_RELAXED);
		missed.rx_bytes =
			__atomic_exchange_n(&all[i].rx, 0, __ATOMIC_RELAXED);
		sockets->handed++;
		sockets->visitor->missed(sockets->visitor->context, &missed);
	}
}

static void drop_give(struct kernel_sockets *sockets,
		      const struct sockets_drop_key *key,
		      const struct sockets_drop *value)
{
	bool kernel = value->start == KERNEL_START;
	struct kernel_drop drop = {
		.reason = key->reason,
		.rx = key->rx,
		.socket = key->socket,
		.owner = {kernel ? 0 : value->start, value->pid},
		.owned = value->start != 0,
		.packets = value->packets,
		.bytes = value->bytes,
		.last = {(int64_t)value->last},
	};

	sockets->handed++;
	sockets->visitor->drop(sockets->visitor->context, &drop);
}

/* Those that grew since the last reading began. */
static void drops_read(struct kernel_sockets *sockets)
{
	struct sockets_drop_key key, *previous = NULL;
	struct sockets_drop value;
	int64_t now_ns = mono_now().ns;

	if (!sockets->visitor->drop)
		return;
	while (bpf_map_get_next_key(sockets->drops, previous, &key) == 0) {
		previous = &key;
		if (bpf_map_lookup_elem(sockets->drops, &key, &value) == 0 &&
		    (int64_t)value.last >= sockets->drops_read &&
		    value.packets > 0)
			drop_give(sockets, &key, &value);
	}
	sockets->drops_read = now_ns;
}

/* ---- turns
 * --------------------------------------------------------------------- */

/* How many jiffies a second has: the kernel tells nobody. */
static void hz_find(struct kernel_sockets *sockets)
{
	static const int64_t usual[] = {100, 250, 300, 1000};
	const struct sockets_shared *shared = sockets->shared;
	struct bpf_program *program = bpf_object__find_program_by_name(
		sockets->object, "sockets_clocks");
	uint64_t context[1] = {0};
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = context,
			    .ctx_size_in = sizeof context);
	int64_t wait_ns =
		(int64_t)sockets->first_jiffies_at + HZ_SPAN_NS - mono_now().ns;
	int64_t span_ns, hz;

	if (wait_ns > 0)
		(void)usleep((useconds_t)(wait_ns / 1000 + 1));
	if (program)
		(void)bpf_prog_test_run_opts(bpf_program__fd(program),
					     &options);
	span_ns = (int64_t)(shared->jiffies_at - sockets->first_jiffies_at);
	if (span_ns <= 0)
		span_ns = NS_PER_S;
	hz = (int64_t)(shared->jiffies - sockets->first_jiffies) * NS_PER_S /
	     span_ns;
	sockets->hz = usual[0];
	for (size_t i = 1; i < sizeof usual / sizeof *usual; i++) {
		if (llabs(usual[i] - hz) < llabs(sockets->hz - hz))
			sockets->hz = usual[i];
	}
}

static int turn(struct kernel_sockets *sockets,
		const struct kernel_sockets_visitor *visitor, bool with_walks)
{
	int64_t begin_ns = mono_now().ns;
	int rc = 0;

	if (sockets->hz == 0)
		hz_find(sockets);
	sockets->visitor = visitor;
	sockets->handed = 0;
	if (with_walks)
		rc = walks(sockets);
	rings_read(sockets);
	if (with_walks) {
		missed_give(sockets);
		drops_read(sockets);
	}
	sockets->visitor = NULL;
	sockets->turns++;
	sockets->turns_failed += rc < 0;
	sockets->turn_ns += (uint64_t)(mono_now().ns - begin_ns);
	return rc < 0 ? rc : sockets->handed;
}

int kernel_sockets_turn(struct kernel_sockets *sockets,
			const struct kernel_sockets_visitor *visitor)
{
	return sockets->stopped ? 0 : turn(sockets, visitor, true);
}

int kernel_sockets_gather(struct kernel_sockets *sockets,
			  const struct kernel_sockets_visitor *visitor)
{
	return sockets->stopped ? 0 : turn(sockets, visitor, false);
}

/* Waits until no program runs that saw that it should. */
static void programs_settle(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0)
		(void)usleep(20000);
}

int kernel_sockets_stop(struct kernel_sockets *sockets,
			const struct kernel_sockets_visitor *visitor,
			struct mono *ret_end)
{
	volatile struct sockets_shared *shared = sockets->shared;
	int rc;

	if (sockets->stopped)
		return 0;
	shared->running = 0;
	*ret_end = mono_now();
	programs_settle();
	shared->flush = 1;
	rc = turn(sockets, visitor, true);
	shared->ending = 0;
	programs_settle();
	/* A socket that ended meanwhile may have hidden its neighbour. */
	if (rc >= 0)
		rc = turn(sockets, visitor, true);
	sockets->stopped = true;
	return rc;
}

/* ---- counters
 * ------------------------------------------------------------------- */

static struct sockets_calls calls_sum(const struct kernel_sockets *sockets)
{
	struct sockets_calls sum = {0}, *each;
	uint32_t zero = 0;

	each = calloc((size_t)sockets->cpu_count, sizeof *each);
	if (!each)
		return sum;
	if (bpf_map_lookup_elem(sockets->calls, &zero, each) == 0) {
		for (int i = 0; i < sockets->cpu_count; i++) {
			sum.tx += each[i].tx;
			sum.rx += each[i].rx;
			sum.tx_bytes += each[i].tx_bytes;
			sum.rx_bytes += each[i].rx_bytes;
		}
	}
	free(each);
	return sum;
}

static void events_count(const struct kernel_sockets *sockets,
			 struct kernel_sockets_counters *c)
{
	const struct sockets_shared *s = sockets->shared;

	c->process_events = load(&s->process_events);
	c->process_submitted = load(&s->process_submitted);
	c->process_refused = load(&s->process_refused);
	c->process_consumed = sockets->process_consumed;
	c->state_events = load(&s->state_events);
	c->state_submitted = load(&s->state_submitted);
	c->state_refused = load(&s->state_refused);
	c->state_consumed = sockets->state_consumed;
	c->end_events = load(&s->end_events);
	c->end_submitted = load(&s->end_submitted);
	c->end_refused = load(&s->end_refused);
	c->end_consumed = sockets->end_consumed;
	c->end_refused_tx_bytes = load(&s->end_refused_tx);
	c->end_refused_rx_bytes = load(&s->end_refused_rx);
	/* Those that came with an end did not need the ring. */
	c->bucket_events = load(&s->bucket_events) + sockets->bucket_ends;
	c->bucket_submitted = load(&s->bucket_submitted) + sockets->bucket_ends;
	c->bucket_refused = load(&s->bucket_refused);
	c->bucket_consumed = sockets->bucket_consumed + sockets->bucket_ends;
	c->bucket_refused_tx_bytes = load(&s->bucket_refused_tx);
	c->bucket_refused_rx_bytes = load(&s->bucket_refused_rx);
}

static void sockets_count(const struct kernel_sockets *sockets,
			  struct kernel_sockets_counters *c)
{
	const struct sockets_shared *s = sockets->shared;
	uint64_t gone = load(&s->ended) + s->vanished;

	c->sockets_born = load(&s->born);
	c->sockets = c->sockets_born > gone ? c->sockets_born - gone : 0;
	c->sockets_existing = load(&s->existing);
	c->sockets_refused = load(&s->sockets_refused);
	c->sockets_failed = load(&s->sockets_failed);
	c->sockets_unknown = load(&s->sockets_unknown);
	c->sockets_vanished = s->vanished;
	c->owners_full = load(&s->owners_full);
	c->processes = load(&s->processes_born) - load(&s->processes_ended);
	c->processes_refused = load(&s->processes_refused);
	c->processes_failed = load(&s->processes_failed);
	c->skipped_calls = load(&s->skipped);
	c->peeked_calls = load(&s->peeked);
	c->drops = load(&s->drops);
	c->drops_full = load(&s->drops_full);
	c->resets_unowned = load(&s->resets_unowned);
	c->retransmits = load(&s->retransmits);
}

struct kernel_sockets_counters
kernel_sockets_counters(const struct kernel_sockets *sockets)
{
	const struct sockets_shared *s = sockets->shared;
	struct sockets_calls calls = calls_sum(sockets);
	struct kernel_sockets_counters c = {
		.calls_tx = calls.tx,
		.calls_rx = calls.rx,
		.calls_tx_bytes = calls.tx_bytes,
		.calls_rx_bytes = calls.rx_bytes,
		.unattributed_tx_bytes = load(&s->unattributed_tx),
		.unattributed_rx_bytes = load(&s->unattributed_rx),
		.recursion_misses = sockets_recursion_misses(sockets),
		.ticks = load(&s->ticks),
		.ticks_late = load(&s->ticks_late),
		.ticks_missed = load(&s->ticks_missed),
		.tick_late_max_ns = load(&s->tick_late_max),
		.turns = sockets->turns,
		.turns_failed = sockets->turns_failed,
		.turn_ns = sockets->turn_ns,
	};

	events_count(sockets, &c);
	sockets_count(sockets, &c);
	return c;
}
