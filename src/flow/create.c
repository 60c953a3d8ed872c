/* A table's memory: taken once, in one piece, on huge pages where there are
 * any, and touched now, so that no packet pays for a page.
 *
 * The outer addresses of tunnels are apart: address space for every entry,
 * but pages only as tunnelled flows use them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "flow/flow_key.h"
#include "flow/statistics_private.h"
#include "flow/tcp_private.h"

#define HUGE_PAGE         (UINT64_C(2) << 20)
#define PAGE              4096
#define OUTER_SIZE(count) ((count) * sizeof(struct flow_outer))

static_assert(sizeof(struct flow_outer) == FLOW_TUNNEL_SIZE, "as flow.h says");
static_assert(sizeof(struct tcp_hot) + sizeof(struct tcp_rare) == FLOW_TCP_SIZE,
	      "as flow.h says");

/* Where each part lies in the one piece. */
struct layout {
	size_t hot;
	size_t buckets;
	size_t cold;
	size_t wheel;
	size_t fragments;
	size_t datagrams;
	size_t heads;
	size_t marks;
	size_t mark_next;
	size_t tcp;
	size_t tcp_rare;
	size_t statistics;
	size_t pool_head;
	size_t pool;
	size_t size;
	size_t align;
	uint32_t bucket_count;
	uint32_t mark_count; /* a power of two, or 0 */
	uint32_t datagram_count;
	uint32_t pool_count; /* fragments that wait; 0: no statistics */
};

static size_t part(struct layout *layout, size_t size)
{
	size_t at = layout->size;

	layout->size = (at + size + layout->align - 1) & ~(layout->align - 1);
	return at;
}

/* Of a table that may grow every array has room for the largest, and begins
 * where a huge page does. */
static struct layout layout_make(const struct flow_options *options,
				 uint32_t flow_count, bool grows)
{
	bool marks = options->mark_duplicates;
	struct layout layout = {
		.align = grows ? HUGE_PAGE : 128,
		.bucket_count = bucket_count_of(flow_count),
		.mark_count = marks ? mark_count_of(flow_count) : 0,
		.datagram_count = grows ? DATAGRAMS_MAX : DATAGRAMS};
	struct layout *l = &layout;
	size_t tcp_count = options->tcp_metrics ? flow_count : 0;
	size_t statistics_size = flow_statistics_size(options);

	if (statistics_size)
		l->pool_count = grows ? FRAGMENTS_MAX : FRAGMENTS;
	l->hot = part(l, flow_count * sizeof(struct flow_hot));
	l->buckets = part(l, l->bucket_count * sizeof(struct flow_bucket));
	l->cold = part(l, flow_count * sizeof(struct flow_cold));
	l->wheel = part(l, sizeof(struct wheel));
	l->fragments = part(l, fragment_table_size());
	l->datagrams = part(l, fragment_datagrams_size(l->datagram_count));
	l->heads = part(l, fragment_heads_size(l->datagram_count));
	l->marks = part(l, l->mark_count * sizeof(uint32_t));
	l->mark_next = part(l, marks ? flow_count * sizeof(uint32_t) : 0);
	l->tcp = part(l, tcp_count * sizeof(struct tcp_hot));
	l->tcp_rare = part(l, tcp_count * sizeof(struct tcp_rare));
	l->statistics = part(l, flow_count * statistics_size);
	l->pool_head = part(l, fragment_pool_head_size());
	l->pool = part(l, fragment_pool_size(l->pool_count));
	return layout;
}

size_t flow_table_size(uint32_t flow_count)
{
	struct flow_options options = {0};

	return sizeof(struct flow_table) +
	       layout_make(&options, flow_count, false).size;
}

static bool phases_valid(const struct flow_options *options)
{
	for (unsigned i = 0; i < FLOW_PHASE_COUNT; i++) {
		int64_t idle_ns = options->phase_idle_ns[i];
		int64_t active_ns = options->phase_active_ns[i];

		if (idle_ns != 0 && (idle_ns < FLOW_PHASE_S_MIN * NS_PER_S ||
				     idle_ns > FLOW_IDLE_S_MAX * NS_PER_S))
			return false;
		if (active_ns != 0 &&
		    (active_ns < FLOW_ACTIVE_S_MIN * NS_PER_S ||
		     active_ns > FLOW_ACTIVE_S_MAX * NS_PER_S ||
		     i == FLOW_PHASE_OPENING || i == FLOW_PHASE_CLOSING ||
		     i == FLOW_PHASE_CLOSED))
			return false;
	}
	return true;
}

static bool options_valid(const struct flow_options *options)
{
	return options->emit && options->flow_count >= FLOW_COUNT_MIN &&
	       options->flow_count <= FLOW_COUNT_MAX &&
	       options->flow_count_max <= FLOW_COUNT_MAX &&
	       options->idle_ns >= FLOW_IDLE_S_MIN * NS_PER_S &&
	       options->idle_ns <= FLOW_IDLE_S_MAX * NS_PER_S &&
	       options->active_ns >= FLOW_ACTIVE_S_MIN * NS_PER_S &&
	       options->active_ns <= FLOW_ACTIVE_S_MAX * NS_PER_S &&
	       options->sample_flows <= SAMPLE_POPULATION_MAX &&
	       !(options->statistics & ~FLOW_STATISTICS_ALL) &&
	       options->first_count <= FLOW_FIRST_MAX && phases_valid(options);
}

static uint8_t *map(size_t size)
{
	void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return bytes == MAP_FAILED ? NULL : bytes;
}

static uint8_t *align_up(uint8_t *bytes, size_t size)
{
	size_t over = (uintptr_t)bytes % size;

	return over ? bytes + (size - over) : bytes;
}

/* Maps, and populates unless that is for later; NULL: no memory. */
static uint8_t *memory_take(struct flow_table *table, size_t size)
{
	bool huge = size >= HUGE_PAGE;
	uint8_t *bytes;

	table->memory_size =
		(size + PAGE - 1) / PAGE * PAGE + (huge ? HUGE_PAGE : 0);
	bytes = map(table->memory_size);
	if (!bytes)
		return NULL;
	table->memory = bytes;
	if (huge) {
		bytes = align_up(bytes, HUGE_PAGE);
		(void)madvise(bytes, size, MADV_HUGEPAGE);
	}
	if (table->populating.later)
		return bytes;
	size = (size + PAGE - 1) / PAGE * PAGE;
	return memory_populate(bytes, size) < 0 ? NULL : bytes;
}

static void memory_return(struct flow_table *table)
{
	if (table->outer)
		(void)munmap(table->outer, table->outer_size);
	if (table->memory)
		(void)munmap(table->memory, table->memory_size);
	table->outer = NULL;
	table->memory = NULL;
}

static void parts_place(struct flow_table *table, uint8_t *bytes,
			const struct layout *layout)
{
	void *at = bytes;

	table->hot = at;
	at = bytes + layout->buckets;
	table->buckets = at;
	at = bytes + layout->cold;
	table->cold = at;
	at = bytes + layout->wheel;
	table->wheel = at;
	at = bytes + layout->fragments;
	table->fragments = at;
	table->bucket_count = bucket_count_of(table->flow_count);
	if (!layout->mark_count)
		return;
	at = bytes + layout->marks;
	table->marks = at;
	at = bytes + layout->mark_next;
	table->mark_next = at;
	table->mark_mask = mark_count_of(table->flow_count) - 1;
}

static void tcp_place(struct flow_table *table, uint8_t *bytes,
		      const struct layout *layout)
{
	void *at = bytes + layout->tcp;

	table->tcp = at;
	at = bytes + layout->tcp_rare;
	table->tcp_rare = at;
}

static int secret_make(struct flow_table *table, const uint8_t secret[32])
{
	XXH_errorcode code = XXH_OK;

#if XXH_VERSION_NUMBER >= 801
	code = XXH3_generateSecret(table->secret, sizeof table->secret, secret,
				   32);
#else
#error "xxHash before 0.8.1"
#endif
	return code == XXH_OK ? 0 : -EINVAL;
}

/* A phase's preset as far as an established connection may be idle. */
static int64_t at_most_ns(int64_t preset_s, int64_t idle_ns)
{
	return preset_s * NS_PER_S < idle_ns ? preset_s * NS_PER_S : idle_ns;
}

static int64_t phase_idle_ns(const struct flow_options *options,
			     enum flow_phase phase)
{
	const int64_t *given_ns = options->phase_idle_ns;
	int64_t tcp_ns = given_ns[FLOW_PHASE_TCP] ? given_ns[FLOW_PHASE_TCP]
						  : options->idle_ns;

	if (given_ns[phase])
		return given_ns[phase];
	switch (phase) {
	case FLOW_PHASE_OPENING:
	case FLOW_PHASE_CLOSING:
		return at_most_ns(FLOW_HALF_S_PRESET, tcp_ns);
	case FLOW_PHASE_CLOSED:
		return at_most_ns(FLOW_CLOSED_S_PRESET, tcp_ns);
	default:
		return options->idle_ns;
	}
}

static int64_t phase_active_ns(const struct flow_options *options,
			       enum flow_phase phase)
{
	if (phase == FLOW_PHASE_OPENING || phase == FLOW_PHASE_CLOSING ||
	    phase == FLOW_PHASE_CLOSED)
		phase = FLOW_PHASE_TCP;
	return options->phase_active_ns[phase] ? options->phase_active_ns[phase]
					       : options->active_ns;
}

int64_t flow_options_idle_ns(const struct flow_options *options)
{
	int64_t longest_ns = 0;

	for (unsigned i = 0; i < FLOW_PHASE_COUNT; i++)
		if (phase_idle_ns(options, i) > longest_ns)
			longest_ns = phase_idle_ns(options, i);
	return longest_ns;
}

static void options_take(struct flow_table *table,
			 const struct flow_options *options)
{
	table->flow_count = options->flow_count;
	table->portable = options->portable;
	table->populating.later = options->populate_later;
	for (unsigned i = 0; i < FLOW_PHASE_COUNT; i++) {
		table->limit_ns[i] = phase_idle_ns(options, i);
		table->active_ns[i] = phase_active_ns(options, i);
	}
	table->epoch = options->epoch;
	table->emit = options->emit;
	table->context = options->context;
	table->free = FLOW_NONE;
	table->record_size = flow_record_size(options);
	statistics_init(options, &table->statistics);
	flow_sampling_init(table, options);
}

/* All memory of a table that keeps its size; NULL: none. */
static uint8_t *fixed_take(struct flow_table *table,
			   const struct flow_options *options,
			   struct layout *ret_layout)
{
	*ret_layout = layout_make(options, options->flow_count, false);
	table->flow_count_max = options->flow_count;
	table->outer_size = OUTER_SIZE(options->flow_count);
	table->outer = (void *)map(table->outer_size);
	return table->outer ? memory_take(table, ret_layout->size) : NULL;
}

/* Address space of one that grows, as much of it as there is; NULL: none. */
static uint8_t *growing_reserve(struct flow_table *table,
				const struct flow_options *options,
				struct layout *ret_layout)
{
	uint32_t most = options->flow_count_max;

	for (; most > options->flow_count; most /= 2) {
		*ret_layout = layout_make(options, most, true);
		table->flow_count_max = most;
		table->outer_size =
			(OUTER_SIZE(most) / HUGE_PAGE + 1) * HUGE_PAGE;
		table->memory_size = ret_layout->size + HUGE_PAGE;
		table->outer = memory_reserve(table->outer_size);
		table->memory = memory_reserve(table->memory_size);
		if (table->outer && table->memory)
			return align_up(table->memory, HUGE_PAGE);
		memory_return(table);
	}
	return NULL;
}

/* The parts that stay as they are. */
static int growing_commit(struct flow_table *table, uint8_t *bytes,
			  const struct layout *layout)
{
	const struct {
		size_t at, size;
	} parts[] = {
		{layout->wheel, sizeof(struct wheel)},
		{layout->fragments, fragment_table_size()},
		{layout->datagrams, fragment_datagrams_size(DATAGRAMS)},
		{layout->heads, fragment_heads_size(DATAGRAMS)},
		{layout->pool_head, fragment_pool_head_size()},
		{layout->pool,
		 fragment_pool_size(layout->pool_count ? FRAGMENTS : 0)},
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof parts / sizeof *parts && rc == 0; i++)
		rc = memory_commit(bytes + parts[i].at, 0, parts[i].size,
				   PAGES_NOW);
	return rc < 0 ? rc : table_commit(table, 0, table->flow_count);
}

/* Once there is memory. */
static void pool_place(struct flow_table *table, uint8_t *bytes,
		       const struct layout *layout)
{
	void *at = bytes + layout->pool_head;

	table->pool = at;
	fragment_pool_init(table->pool, bytes + layout->pool,
			   layout->pool_count);
}

static int memory_make(struct flow_table *table,
		       const struct flow_options *options)
{
	bool grows = options->flow_count_max > options->flow_count;
	struct layout layout;
	uint8_t *bytes;
	int rc = 0;

	bytes = grows ? growing_reserve(table, options, &layout) : NULL;
	grows = bytes != NULL;
	if (!grows)
		bytes = fixed_take(table, options, &layout);
	if (!bytes)
		return -ENOMEM;
	parts_place(table, bytes, &layout);
	if (options->tcp_metrics)
		tcp_place(table, bytes, &layout);
	if (options->statistics)
		table->statistics.bytes = bytes + layout.statistics;
	if (grows)
		rc = growing_commit(table, bytes, &layout);
	if (rc < 0)
		return rc;
	atomic_init(&table->populating.committed, table->flow_count);
	fragment_table_init(table, bytes + layout.datagrams,
			    (void *)(bytes + layout.heads),
			    layout.datagram_count);
	if (layout.pool_count)
		pool_place(table, bytes, &layout);
	return 0;
}

int flow_table_create(const struct flow_options *options,
		      struct flow_table **ret_table)
{
	struct flow_table *table;
	int rc;

	if (!options_valid(options))
		return -EINVAL;
	table = calloc(1, sizeof *table);
	if (!table)
		return -ENOMEM;
	options_take(table, options);
	rc = memory_make(table, options);
	if (rc == 0)
		rc = secret_make(table, options->secret);
	if (rc < 0) {
		flow_table_destroy(table);
		return rc;
	}
	wheel_init(table);
	duplicate_clear(table);
	*ret_table = table;
	return 0;
}

void flow_table_destroy(struct flow_table *table)
{
	if (!table)
		return;
	memory_return(table);
	free(table);
}
