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

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define HUGE_PAGE         (UINT64_C(2) << 20)
#define PAGE              4096
#define CLOSED_NS         (5 * NS_PER_S)
#define OUTER_SIZE(count) ((count) * sizeof(struct flow_outer))

/* Where each part lies in the one piece. */
struct layout {
	size_t hot;
	size_t buckets;
	size_t cold;
	size_t wheel;
	size_t fragments;
	size_t marks;
	size_t mark_next;
	size_t tcp;
	size_t tcp_rare;
	size_t statistics;
	size_t pool;
	size_t size;
	uint32_t bucket_count;
	uint32_t mark_count; /* a power of two, or 0 */
};

static size_t part(size_t *end, size_t size)
{
	size_t at = *end;

	*end = (at + size + 127) & ~(size_t)127;
	return at;
}

static struct layout layout_make(const struct flow_options *options)
{
	uint32_t flow_count = options->flow_count;
	size_t tcp_count = options->tcp_metrics ? flow_count : 0;
	size_t statistics_size = flow_statistics_size(options);
	bool marks = options->mark_duplicates;
	struct layout layout = {0};
	size_t end = 0;

	layout.bucket_count =
		(uint32_t)((uint64_t)flow_count * BUCKET_FILL_NUM /
				   BUCKET_FILL_DEN +
			   1);
	if (marks)
		layout.mark_count = UINT32_C(1)
				    << (32 - __builtin_clz(flow_count - 1));
	layout.hot = part(&end, flow_count * sizeof(struct flow_hot));
	layout.buckets =
		part(&end, layout.bucket_count * sizeof(struct flow_bucket));
	layout.cold = part(&end, flow_count * sizeof(struct flow_cold));
	layout.wheel = part(&end, sizeof(struct wheel));
	layout.fragments = part(&end, fragment_table_size());
	layout.marks = part(&end, layout.mark_count * sizeof(uint32_t));
	layout.mark_next =
		part(&end, marks ? flow_count * sizeof(uint32_t) : 0);
	layout.tcp = part(&end, tcp_count * sizeof(struct tcp_hot));
	layout.tcp_rare = part(&end, tcp_count * sizeof(struct tcp_rare));
	layout.statistics = part(&end, flow_count * statistics_size);
	layout.pool = part(&end, statistics_size ? fragment_pool_size() : 0);
	layout.size = end;
	return layout;
}

size_t flow_table_size(uint32_t flow_count)
{
	struct flow_options options = {.flow_count = flow_count};

	return sizeof(struct flow_table) + layout_make(&options).size;
}

static bool options_valid(const struct flow_options *options)
{
	return options->emit && options->flow_count >= FLOW_COUNT_MIN &&
	       options->flow_count <= FLOW_COUNT_MAX &&
	       options->idle_ns >= FLOW_IDLE_S_MIN * NS_PER_S &&
	       options->idle_ns <= FLOW_IDLE_S_MAX * NS_PER_S &&
	       options->active_ns >= FLOW_ACTIVE_S_MIN * NS_PER_S &&
	       options->active_ns <= FLOW_ACTIVE_S_MAX * NS_PER_S &&
	       options->closed_ns >= 0 &&
	       options->closed_ns <= FLOW_IDLE_S_MAX * NS_PER_S &&
	       !(options->statistics & ~FLOW_STATISTICS_ALL) &&
	       options->first_count <= FLOW_FIRST_MAX;
}

/* Pages now rather than at a packet; older kernels are asked page by page. */
static int populate(uint8_t *bytes, size_t size)
{
	if (madvise(bytes, size, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return -ENOMEM;
	for (size_t at = 0; at < size; at += PAGE)
		((volatile uint8_t *)bytes)[at] = 0;
	return 0;
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

/* Maps and populates; NULL: no memory. */
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
	size = (size + PAGE - 1) / PAGE * PAGE;
	return populate(bytes, size) < 0 ? NULL : bytes;
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
	table->bucket_count = layout->bucket_count;
	if (!layout->mark_count)
		return;
	at = bytes + layout->marks;
	table->marks = at;
	at = bytes + layout->mark_next;
	table->mark_next = at;
	table->mark_mask = layout->mark_count - 1;
}

static void tcp_place(struct flow_table *table, uint8_t *bytes,
		      const struct layout *layout)
{
	void *at = bytes + layout->tcp;

	table->tcp = at;
	at = bytes + layout->tcp_rare;
	table->tcp_rare = at;
}

static void statistics_place(struct flow_table *table, uint8_t *bytes,
			     const struct layout *layout)
{
	void *at = bytes + layout->pool;

	table->statistics.bytes = bytes + layout->statistics;
	table->pool = at;
	fragment_pool_init(table->pool);
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

static void options_take(struct flow_table *table,
			 const struct flow_options *options)
{
	table->flow_count = options->flow_count;
	table->limit_ns[FLOW_ACTIVE] = options->idle_ns;
	table->limit_ns[FLOW_CLOSING] = options->idle_ns;
	table->limit_ns[FLOW_CLOSED] =
		options->closed_ns ? options->closed_ns : CLOSED_NS;
	table->active_ns = options->active_ns;
	table->epoch = options->epoch;
	table->emit = options->emit;
	table->context = options->context;
	table->free = FLOW_NONE;
	table->record_size = flow_record_size(options);
}

int flow_table_create(const struct flow_options *options,
		      struct flow_table **ret_table)
{
	struct layout layout;
	struct flow_table *table;
	uint8_t *bytes;
	int rc = -ENOMEM;

	if (!options_valid(options))
		return -EINVAL;
	table = calloc(1, sizeof *table);
	if (!table)
		return -ENOMEM;
	layout = layout_make(options);
	statistics_init(options, &table->statistics);
	bytes = memory_take(table, layout.size);
	if (!bytes)
		goto fail;
	table->outer = (void *)map(OUTER_SIZE(options->flow_count));
	if (!table->outer)
		goto fail;
	parts_place(table, bytes, &layout);
	if (options->tcp_metrics)
		tcp_place(table, bytes, &layout);
	if (options->statistics)
		statistics_place(table, bytes, &layout);
	options_take(table, options);
	rc = secret_make(table, options->secret);
	if (rc < 0)
		goto fail;
	wheel_init(table);
	fragment_table_init(table->fragments);
	duplicate_clear(table);
	*ret_table = table;
	return 0;
fail:
	flow_table_destroy(table);
	return rc;
}

void flow_table_destroy(struct flow_table *table)
{
	if (!table)
		return;
	if (table->outer)
		(void)munmap(table->outer, OUTER_SIZE(table->flow_count));
	if (table->memory)
		(void)munmap(table->memory, table->memory_size);
	free(table);
}
