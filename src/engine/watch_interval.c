/* Intervals: buckets wait until theirs is complete, then it is handed over. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/watch_private.h"

#define LATE_NS (2 * NS_PER_S)

#define FLAG_WORD(name, word, line) word,
const char *const watch_flag_words[WATCH_FLAG_COUNT] = {WATCH_FLAGS(FLAG_WORD)};

int watch_intervals_init(struct watch *watch)
{
	struct intervals *all = &watch->intervals;

	all->row_max = watch->options.row_limit;
	all->rows = calloc(all->row_max, sizeof *all->rows);
	all->out = calloc(all->row_max, sizeof *all->out);
	all->missed = calloc(MISSED_MAX, sizeof *all->missed);
	all->shares = calloc(watch->container_max, sizeof *all->shares);
	all->share_sums = calloc(watch->container_max, sizeof *all->share_sums);
	all->share_slots =
		calloc(watch->container_max, sizeof *all->share_slots);
	return all->rows && all->out && all->missed && all->shares &&
			       all->share_sums && all->share_slots
		       ? 0
		       : -ENOMEM;
}

void watch_intervals_fini(struct watch *watch)
{
	struct intervals *all = &watch->intervals;

	free(all->rows);
	free(all->out);
	free(all->missed);
	free(all->shares);
	free(all->share_sums);
	free(all->share_slots);
}

/* --------------------------------------------------------------- sorting */

static int row_compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	if (x->socket != y->socket)
		return x->socket < y->socket ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

static void rows_sort(struct intervals *all)
{
	size_t count = 0;

	qsort(all->rows, all->row_count, sizeof *all->rows, row_compare);
	for (size_t i = 0; i < all->row_count; i++) {
		if (count > 0 &&
		    row_compare(&all->rows[count - 1], &all->rows[i]) == 0)
			traffic_add(&all->rows[count - 1].traffic,
				    &all->rows[i].traffic);
		else
			all->rows[count++] = all->rows[i];
	}
	all->row_count = count;
}

/* ---------------------------------------------------------------- buckets */

static void missed_add(struct watch *watch, const struct missed *more)
{
	struct intervals *all = &watch->intervals;

	for (size_t i = all->missed_count; i-- > 0;) {
		if (all->missed[i].index == more->index) {
			all->missed[i].count += more->count;
			all->missed[i].tx_bytes += more->tx_bytes;
			all->missed[i].rx_bytes += more->rx_bytes;
			return;
		}
	}
	/* Never so many at a time: they leave with their intervals. */
	if (all->missed_count < MISSED_MAX)
		all->missed[all->missed_count++] = *more;
}

static void row_refuse(struct watch *watch, const struct row *row)
{
	watch->counters.buckets_refused++;
	watch->intervals.refused_tx += row->traffic.tx_bytes;
	watch->intervals.refused_rx += row->traffic.rx_bytes;
	missed_add(watch, &(struct missed){row->index, 1, row->traffic.tx_bytes,
					   row->traffic.rx_bytes});
}

/* A bucket of an interval that was handed over is in the run's sums alone. */
static void row_add(struct watch *watch, const struct row *row)
{
	struct intervals *all = &watch->intervals;

	if (row->index < all->next) {
		watch->counters.buckets_late++;
		return;
	}
	if (all->row_count == all->row_max) {
		/* Rows of one key become one: often that is room enough. */
		if (all->sorted < all->row_max - all->row_max / 8)
			rows_sort(all);
		all->sorted = all->row_count;
	}
	if (all->row_count == all->row_max)
		row_refuse(watch, row);
	else
		all->rows[all->row_count++] = *row;
}

void watch_bucket_take(struct watch *watch, const struct kernel_bucket *bucket)
{
	const struct watch_filter *filter = &watch->options.filter;
	const struct socket *socket = watch_socket_find(watch, bucket->socket);
	uint32_t slot = watch_process_slot(watch, &bucket->key, 0);
	struct process *process = &watch->processes[slot];

	watch->counters.buckets++;
	watch->sums.buckets_tx += bucket->traffic.tx_bytes;
	watch->sums.buckets_rx += bucket->traffic.rx_bytes;
	watch_process_touch(watch, process);
	traffic_add(&process->buckets[bucket->kind], &bucket->traffic);
	row_add(watch, &(struct row){.socket = bucket->socket,
				     .index = bucket->index,
				     .process = slot,
				     .kind = bucket->kind,
				     .traffic = bucket->traffic,
				     .hidden = filter->port_count > 0 &&
					       !(socket && socket->matches)});
}

void watch_missed_take(struct watch *watch, const struct kernel_missed *missed)
{
	watch->sums.missed_tx += missed->tx_bytes;
	watch->sums.missed_rx += missed->rx_bytes;
	missed_add(watch, &(struct missed){missed->index, missed->count,
					   missed->tx_bytes, missed->rx_bytes});
}

/* ------------------------------------------------------------------ marks */

static uint32_t index_at(const struct watch *watch, struct mono at)
{
	int64_t ns = mono_ns_between(watch->start, at);

	return ns < 0 ? 0 : (uint32_t)(ns / watch->options.kernel.interval_ns);
}

void watch_intervals_mark(struct watch *watch, struct mono from, struct mono to,
			  uint32_t flag)
{
	struct intervals *all = &watch->intervals;
	struct mark mark = {index_at(watch, from), index_at(watch, to), flag};

	if (all->mark_count < MARKS_MAX) {
		all->marks[all->mark_count++] = mark;
		return;
	}
	/* Rather one too many than one too few. */
	if (all->marks[MARKS_MAX - 1].last < mark.last)
		all->marks[MARKS_MAX - 1].last = mark.last;
	all->marks[MARKS_MAX - 1].flag |= flag;
}

static void marks_drop(struct intervals *all)
{
	size_t count = 0;

	for (size_t i = 0; i < all->mark_count; i++) {
		if (all->marks[i].last >= all->next)
			all->marks[count++] = all->marks[i];
	}
	all->mark_count = count;
}

/* ------------------------------------------------------------ handing over */

/* Of the rows from 'from' on, those of the interval become its own; returns
 * where the next one's begin. */
static size_t rows_fill(struct watch *watch, size_t from,
			struct watch_interval *interval)
{
	struct intervals *all = &watch->intervals;
	size_t count = 0, at = from;

	for (; at < all->row_count && all->rows[at].index == interval->index;
	     at++) {
		const struct row *row = &all->rows[at];
		struct process *process = &watch->processes[row->process];

		if (row->hidden ||
		    !watch_process_wanted(watch, &process->shown))
			continue;
		traffic_add(&interval->traffic, &row->traffic);
		if (!watch->options.per_socket && count > 0 &&
		    all->out[count - 1].process == &process->shown) {
			traffic_add(&all->out[count - 1].traffic,
				    &row->traffic);
			continue;
		}
		all->out[count++] = (struct watch_row){
			row->socket, row->kind, row->traffic, &process->shown};
	}
	interval->rows = all->out;
	interval->row_count = count;
	return at;
}

static void peaks_set(struct watch *watch,
		      const struct watch_interval *interval)
{
	for (size_t i = 0; i < interval->row_count;) {
		const struct watch_process *shown = interval->rows[i].process;
		struct process *process = (struct process *)shown;
		uint64_t tx = 0, rx = 0;

		for (; i < interval->row_count &&
		       interval->rows[i].process == shown;
		     i++) {
			tx += interval->rows[i].traffic.tx_bytes;
			rx += interval->rows[i].traffic.rx_bytes;
		}
		process->shown.peak_tx_bytes =
			most(process->shown.peak_tx_bytes, tx);
		process->shown.peak_rx_bytes =
			most(process->shown.peak_rx_bytes, rx);
	}
	(void)watch;
}

static void shares_fill(struct watch *watch, struct watch_interval *interval)
{
	struct intervals *all = &watch->intervals;
	size_t count = 0;

	for (size_t i = 0; i < interval->row_count; i++) {
		const struct watch_container *container =
			interval->rows[i].process->container;
		struct kernel_traffic *sum;
		uint32_t slot;

		if (!container)
			continue;
		slot = (uint32_t)(container - watch->containers);
		sum = &all->share_sums[slot];
		if (sum->tx_messages + sum->rx_messages == 0)
			all->share_slots[count++] = slot;
		traffic_add(sum, &interval->rows[i].traffic);
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t slot = all->share_slots[i];

		all->shares[i] = (struct watch_share){&watch->containers[slot],
						      all->share_sums[slot]};
		all->share_sums[slot] = (struct kernel_traffic){0};
	}
	interval->containers = all->shares;
	interval->container_count = count;
}

static void missed_fill(struct intervals *all, struct watch_interval *interval)
{
	size_t kept = 0;

	for (size_t i = 0; i < all->missed_count; i++) {
		if (all->missed[i].index != interval->index) {
			all->missed[kept++] = all->missed[i];
			continue;
		}
		interval->missed_buckets += all->missed[i].count;
		interval->missed_tx_bytes += all->missed[i].tx_bytes;
		interval->missed_rx_bytes += all->missed[i].rx_bytes;
		interval->flags |= WATCH_MISSED;
	}
	all->missed_count = kept;
}

static void flags_fill(struct watch *watch, struct mono now,
		       struct watch_interval *interval)
{
	struct intervals *all = &watch->intervals;
	struct mono end = {watch->start.ns + interval->offset_ns +
			   interval->duration_ns};

	missed_fill(all, interval);
	if (mono_ns_between(end, now) >
	    LATE_NS + watch->options.kernel.interval_ns)
		interval->flags |= WATCH_LATE;
	for (size_t i = 0; i < all->mark_count; i++) {
		if (all->marks[i].first <= interval->index &&
		    interval->index <= all->marks[i].last)
			interval->flags |= all->marks[i].flag;
	}
}

static void flags_count(struct watch *watch, uint32_t flags)
{
	struct watch_counters *counters = &watch->counters;

	counters->intervals++;
	counters->intervals_damaged += flags != 0;
	counters->intervals_missed += (flags & WATCH_MISSED) != 0;
	counters->intervals_late += (flags & WATCH_LATE) != 0;
	counters->intervals_clock_step += (flags & WATCH_CLOCK_STEP) != 0;
	counters->intervals_gap += (flags & WATCH_GAP) != 0;
}

/* Returns where the next one's rows begin. */
static size_t interval_tell(struct watch *watch, size_t from,
			    int64_t duration_ns, struct mono now)
{
	const struct watch_visitor *visitor = &watch->options.visitor;
	struct intervals *all = &watch->intervals;
	struct watch_interval interval = {
		.index = all->next,
		.offset_ns = all->next * watch->options.kernel.interval_ns,
		.duration_ns = duration_ns,
	};

	for (size_t i = from;
	     i < all->row_count && all->rows[i].index == interval.index; i++) {
		all->told_tx += all->rows[i].traffic.tx_bytes;
		all->told_rx += all->rows[i].traffic.rx_bytes;
		watch_process_fill(watch,
				   &watch->processes[all->rows[i].process]);
	}
	from = rows_fill(watch, from, &interval);
	peaks_set(watch, &interval);
	shares_fill(watch, &interval);
	flags_fill(watch, now, &interval);
	flags_count(watch, interval.flags);
	all->next++;
	if (visitor->interval)
		visitor->interval(visitor->context, &interval);
	return from;
}

static void rows_drop(struct intervals *all, size_t count)
{
	memmove(all->rows, all->rows + count,
		(all->row_count - count) * sizeof *all->rows);
	all->row_count -= count;
	all->sorted = 0;
	marks_drop(all);
}

void watch_intervals_tell(struct watch *watch, uint32_t complete,
			  struct mono now)
{
	struct intervals *all = &watch->intervals;
	size_t from = 0;

	/* The last one's length is known at the end. */
	if (all->planned > 0 && complete >= all->planned)
		complete = all->planned - 1;
	rows_sort(all);
	while (all->next < complete)
		from = interval_tell(watch, from,
				     watch->options.kernel.interval_ns, now);
	rows_drop(all, from);
}

uint32_t watch_intervals_count(const struct watch *watch)
{
	int64_t interval_ns = watch->options.kernel.interval_ns;
	int64_t ns = mono_ns_between(watch->start, watch->end);
	int64_t count = (ns + interval_ns - 1) / interval_ns;
	int64_t planned = watch->intervals.planned;

	/* What the end came late is the last one's, if it is not much. */
	if (planned > 0 && count == planned + 1)
		count = planned;
	return count > 0 ? (uint32_t)count : 1;
}

void watch_intervals_end(struct watch *watch, struct mono now)
{
	struct intervals *all = &watch->intervals;
	uint32_t count = watch_intervals_count(watch);
	int64_t ns = mono_ns_between(watch->start, watch->end);
	int64_t interval_ns = watch->options.kernel.interval_ns;
	size_t from = 0;

	for (size_t i = 0; i < all->row_count; i++) {
		if (all->rows[i].index >= count)
			all->rows[i].index = count - 1;
	}
	for (size_t i = 0; i < all->missed_count; i++) {
		if (all->missed[i].index >= count)
			all->missed[i].index = count - 1;
	}
	rows_sort(all);
	while (all->next < count) {
		bool last = all->next == count - 1;

		from = interval_tell(watch, from,
				     last ? ns - (int64_t)all->next *
							     interval_ns
					  : interval_ns,
				     now);
	}
	rows_drop(all, from);
}
