/* Records that wait for a commit: an array, found again by a chained hash.
 *
 * A flow has one record here at most: what comes later is newer, and a final
 * record is never replaced by an update. */
#include "store/store_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int pending_init(struct pending *pending, uint32_t size,
		 const struct flow_options *flow)
{
	struct flow_options columns = store_columns(flow);
	uint32_t heads = 16;

	while (heads < size && heads < UINT32_C(1) << 31)
		heads <<= 1;
	*pending = (struct pending){.mask = heads - 1,
				    .size = size,
				    .stride = flow_record_size(&columns),
				    .record_size = flow_record_size(flow)};
	pending->records = calloc(size, pending->stride);
	pending->heads = calloc(heads, sizeof *pending->heads);
	pending->nexts = calloc(size, sizeof *pending->nexts);
	if (pending->records && pending->heads && pending->nexts)
		return 0;
	pending_fini(pending);
	return -ENOMEM;
}

void pending_fini(struct pending *pending)
{
	free(pending->records);
	free(pending->heads);
	free(pending->nexts);
	*pending = (struct pending){0};
}

static bool live(const struct flow_record *record)
{
	return record->end_reason == FLOW_END_NONE;
}

static uint32_t *head_of(struct pending *pending,
			 const struct flow_record *record)
{
	uint64_t hash = record->epoch * UINT64_C(0xff51afd7ed558ccd) ^
			record->seq * UINT64_C(0x9e3779b97f4a7c15);

	return &pending->heads[(hash ^ hash >> 32) & pending->mask];
}

static struct flow_record *find(struct pending *pending,
				const struct flow_record *record)
{
	uint32_t at = *head_of(pending, record);

	while (at > 0) {
		struct flow_record *found = pending_record(pending, at - 1);

		if (found->seq == record->seq && found->epoch == record->epoch)
			return found;
		at = pending->nexts[at - 1];
	}
	return NULL;
}

static void link_in(struct pending *pending, uint32_t index,
		    const struct flow_record *record)
{
	uint32_t *head = head_of(pending, record);

	memcpy(pending_record(pending, index), record, pending->record_size);
	pending->nexts[index] = *head;
	*head = index + 1;
	pending->updates += live(record);
}

static void unlink_from(struct pending *pending, uint32_t index)
{
	uint32_t *at = head_of(pending, pending_record(pending, index));

	while (*at != index + 1)
		at = &pending->nexts[*at - 1];
	*at = pending->nexts[index];
	pending->updates -= live(pending_record(pending, index));
}

static void merge(struct pending *pending, struct flow_record *old,
		  const struct flow_record *record)
{
	if (live(record) && !live(old))
		return;
	pending->updates -= live(old) && !live(record);
	memcpy(old, record, pending->record_size);
}

enum pending_outcome pending_put(struct pending *pending,
				 const struct flow_record *record)
{
	struct flow_record *old = find(pending, record);

	if (old) {
		merge(pending, old, record);
		return PENDING_MERGED;
	}
	if (pending->count < pending->size) {
		link_in(pending, pending->count++, record);
		return PENDING_TAKEN;
	}
	if (live(record) || pending->updates == 0)
		return PENDING_REFUSED;
	while (!live(pending_record(pending, pending->scan)))
		pending->scan++;
	unlink_from(pending, pending->scan);
	link_in(pending, pending->scan, record);
	return PENDING_DISPLACED;
}

void pending_clear(struct pending *pending)
{
	if (pending->count > pending->mask / 16) {
		memset(pending->heads, 0,
		       (pending->mask + 1) * sizeof *pending->heads);
	} else {
		for (uint32_t i = 0; i < pending->count; i++)
			*head_of(pending, pending_record(pending, i)) = 0;
	}
	pending->count = 0;
	pending->updates = 0;
	pending->scan = 0;
}
