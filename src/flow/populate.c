/* Pages touched before flows need them.
 *
 * To clear a page takes longer than to begin all the flows that it holds, and
 * on a virtual machine a page may have to come from its host first.  A table
 * with 'populate_later' leaves that to flow_table_populate(), which another
 * thread calls: entries are used in a row, so it goes ahead of them.  Where
 * they have caught up it leaves the pages that they are at to them and goes on
 * behind: then both touch pages, each its own.
 */
#include <errno.h>
#include <sys/mman.h>

#include "flow/flow_private.h"
#include "flow/statistics_private.h"
#include "flow/tcp_private.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define PAGE ((size_t)4096)

/* Entries a call: a huge page of the hot ones. */
#define STEP ((2U << 20) / (uint32_t)sizeof(struct flow_hot))

/* Older kernels are asked page by page; somebody may be writing there. */
int memory_populate(uint8_t *bytes, size_t size)
{
	if (madvise(bytes, size, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return -ENOMEM;
	for (size_t at = 0; at < size; at += PAGE)
		(void)__atomic_fetch_or(&bytes[at], 0, __ATOMIC_RELAXED);
	return 0;
}

static int entries_populate(uint8_t *array, size_t unit, uint32_t from,
			    uint32_t to)
{
	uintptr_t begin = (uintptr_t)array + from * unit;
	size_t before = begin % PAGE;
	size_t size = before + (to - from) * unit;

	if (!array)
		return 0;
	return memory_populate(array + from * unit - before,
			       (size + PAGE - 1) / PAGE * PAGE);
}

static int step_populate(struct flow_table *table, uint32_t from, uint32_t to)
{
	const struct {
		void *array;
		size_t unit;
	} parts[] = {
		{table->hot, sizeof *table->hot},
		{table->cold, sizeof *table->cold},
		{table->tcp, sizeof *table->tcp},
		{table->tcp_rare, sizeof *table->tcp_rare},
		{table->statistics.bytes, table->statistics.stride},
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof parts / sizeof *parts && rc == 0; i++)
		rc = entries_populate(parts[i].array, parts[i].unit, from, to);
	return rc;
}

bool flow_table_populate(struct flow_table *table)
{
	struct populating *populating = &table->populating;
	uint32_t to = atomic_load_explicit(&populating->committed,
					   memory_order_acquire);
	uint32_t reached = atomic_load_explicit(&populating->reached,
						memory_order_relaxed);
	uint32_t from = populating->done;

	if (!populating->later)
		return false;
	if (from > 0 && from < reached + REACHED_STEP)
		from = (reached / STEP + 1) * STEP;
	if (from >= to)
		return false;
	if (to - from > STEP)
		to = from + STEP;
	populating->done = to;
	return step_populate(table, from, to) == 0;
}

bool flow_table_grown(struct flow_table *table)
{
	bool grown = table->populating.grown;

	table->populating.grown = false;
	return grown;
}
