/* A table that doubles before it evicts, for files: which flows are evicted
 * depends on the secret, and nobody wants a file's records to.
 *
 * Every array has address space for the largest table and memory for the
 * table as it is, so that growing moves no entry: links between entries, and
 * whoever holds an index, stay right.  Only what is found by a hash, buckets
 * and marks, is filled anew.  Where the memory ends, growing ends, and the
 * table evicts as one of fixed size does.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "flow/flow_key.h"
#include "flow/tcp_private.h"

#define PAGE      ((size_t)4096)
#define HUGE_PAGE ((size_t)2 << 20)
#define REHASH    16 /* keys on their way at a time */

uint32_t bucket_count_of(uint32_t flow_count)
{
	return (uint32_t)((uint64_t)flow_count * BUCKET_FILL_NUM /
				  BUCKET_FILL_DEN +
			  1);
}

uint32_t mark_count_of(uint32_t flow_count)
{
	return UINT32_C(1) << (32 - __builtin_clz(flow_count - 1));
}

void *memory_reserve(size_t size)
{
	void *bytes = mmap(NULL, size, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return bytes == MAP_FAILED ? NULL : bytes;
}

/* Whole huge pages as soon as half of one is needed. */
static size_t commit_end(size_t size)
{
	size_t unit = size >= HUGE_PAGE / 2 ? HUGE_PAGE : PAGE;

	return (size + unit - 1) / unit * unit;
}

int memory_commit(void *array, size_t from, size_t to, enum pages pages)
{
	size_t begin = from ? commit_end(from) : 0;
	size_t end = commit_end(to);
	uint8_t *bytes = (uint8_t *)array + begin;

	if (end <= begin)
		return 0;
	if (mprotect(bytes, end - begin, PROT_READ | PROT_WRITE) < 0)
		return -ENOMEM;
	if (pages == PAGES_SMALL)
		return 0;
	if (end >= HUGE_PAGE)
		(void)madvise(bytes, end - begin, MADV_HUGEPAGE);
	return pages == PAGES_NOW ? memory_populate(bytes, end - begin) : 0;
}

int table_commit(struct flow_table *table, uint32_t from, uint32_t flow_count)
{
	enum pages all = table->populating.later ? PAGES_HUGE : PAGES_NOW;
	size_t buckets = from ? bucket_count_of(from) : 0;
	size_t marks = from ? mark_count_of(from) : 0;
	const struct {
		void *array; /* NULL: the table has none */
		size_t unit, from, to;
		enum pages pages;
	} parts[] = {
		{table->hot, sizeof *table->hot, from, flow_count, all},
		{table->cold, sizeof *table->cold, from, flow_count, all},
		{table->tcp, sizeof *table->tcp, from, flow_count, all},
		{table->tcp_rare, sizeof *table->tcp_rare, from, flow_count,
		 all},
		{table->statistics.bytes, table->statistics.stride, from,
		 flow_count, all},
		{table->outer, sizeof *table->outer, from, flow_count,
		 PAGES_SMALL},
		{table->mark_next, sizeof *table->mark_next, from, flow_count,
		 all},
		{table->marks, sizeof *table->marks, marks,
		 mark_count_of(flow_count), all},
		{table->buckets, sizeof *table->buckets, buckets,
		 bucket_count_of(flow_count), all},
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof parts / sizeof *parts && rc == 0; i++) {
		if (parts[i].array)
			rc = memory_commit(
				parts[i].array, parts[i].from * parts[i].unit,
				parts[i].to * parts[i].unit, parts[i].pages);
	}
	return rc;
}

static bool entry_used(const struct flow_table *table, uint32_t index)
{
	return table->hot[index].key.ip_version != 0;
}

/* Entries lie in a row and their buckets anywhere: a few at a time, so that
 * the buckets are on their way together. */
static void buckets_fill(struct flow_table *table)
{
	struct flow_key keys[REHASH];
	uint32_t indices[REHASH];
	uint32_t at = 0;

	memset(table->buckets, 0, table->bucket_count * sizeof *table->buckets);
	while (at < table->fresh) {
		unsigned count = 0;

		for (; at < table->fresh && count < REHASH; at++) {
			if (!entry_used(table, at))
				continue;
			/* As it is stored it is in order already. */
			key_make(table, &table->hot[at].key, true,
				 &keys[count]);
			__builtin_prefetch(&table->buckets[keys[count].home],
					   1);
			indices[count++] = at;
		}
		for (unsigned i = 0; i < count; i++)
			table_link(table, &keys[i], indices[i]);
	}
}

static void marks_fill(struct flow_table *table)
{
	marks_clear(table);
	for (uint32_t i = 0; i < table->fresh; i++) {
		if (entry_used(table, i) && table->cold[i].bits & COLD_MARKED)
			duplicate_link(table, i);
	}
}

void table_grow(struct flow_table *table)
{
	uint32_t from = table->flow_count;
	uint32_t to = table->flow_count_max;

	if (to / 2 > from)
		to = from * 2;
	if (table_commit(table, from, to) < 0) {
		table->flow_count_max = from;
		return;
	}
	table->flow_count = to;
	table->bucket_count = bucket_count_of(to);
	buckets_fill(table);
	atomic_store_explicit(&table->populating.committed, to,
			      memory_order_release);
	table->populating.grown = true;
	if (!table->marks)
		return;
	table->mark_mask = mark_count_of(to) - 1;
	if (table->marking)
		marks_fill(table);
}
