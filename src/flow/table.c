/* Finding flows: buckets of one cache line, short tags, overflow.
 *
 * A key's home is one bucket of ten ways.  When it is full the entry goes to
 * the next bucket with a free way, and every bucket on the way there counts
 * it in 'passed'; a lookup walks on only while 'passed' says that somebody
 * did.  So a table takes its last flow as surely as its first, nothing is
 * ever moved, and removal leaves no tombstone.  A tag is 16 bits of the
 * hash: one comparison of the whole key in 6,500 is in vain.
 */
#include <assert.h>
#include <string.h>

#include "flow/flow_key.h"

void flow_key_make(const struct flow_table *table,
		   const struct packet_tuple *tuple, bool one_way,
		   struct flow_key *ret_key)
{
	key_make(table, tuple, one_way, ret_key);
}

static uint32_t bucket_after(const struct flow_table *table, uint32_t bucket)
{
	return bucket + 1 == table->bucket_count ? 0 : bucket + 1;
}

uint32_t table_find(const struct flow_table *table, const struct flow_key *key)
{
	uint32_t at = key->home;

	for (uint32_t step = 0; step < table->bucket_count; step++) {
		const struct flow_bucket *bucket = &table->buckets[at];
		unsigned match = tags_match(table, bucket, key->tag);

		for (; match; match &= match - 1) {
			uint32_t index = bucket->entries[__builtin_ctz(match)];

			if (key_equal(&table->hot[index].key, &key->tuple))
				return index;
		}
		if (!bucket->passed)
			break;
		at = bucket_after(table, at);
	}
	return FLOW_NONE;
}

/* The next flow's entry is on its way before that flow is. */
static void next_expect(const struct flow_table *table)
{
	uint32_t next = table->free == FLOW_NONE ? table->fresh : table->free;

	__builtin_prefetch(&table->hot[next], 1);
	__builtin_prefetch(&table->hot[next].sums, 1);
	__builtin_prefetch(&table->cold[next], 1);
}

static uint32_t fresh_take(struct flow_table *table)
{
	uint32_t index = table->fresh++;

	if (index % REACHED_STEP == 0)
		atomic_store_explicit(&table->populating.reached, index,
				      memory_order_relaxed);
	return index;
}

static uint32_t entry_take(struct flow_table *table)
{
	uint32_t index = table->free;

	if (index == FLOW_NONE)
		index = fresh_take(table);
	else
		table->free = table->cold[index].next;
	next_expect(table);
	return index;
}

void table_link(struct flow_table *table, const struct flow_key *key,
		uint32_t index)
{
	uint32_t at = key->home;
	unsigned free;

	while ((free = tags_match(table, &table->buckets[at], 0)) == 0) {
		table->buckets[at].passed++;
		at = bucket_after(table, at);
	}
	table->buckets[at].tags[__builtin_ctz(free)] = key->tag;
	table->buckets[at].entries[__builtin_ctz(free)] = index;
}

uint32_t table_insert(struct flow_table *table, const struct flow_key *key)
{
	uint32_t index = entry_take(table);

	assert(table->used < table->flow_count);
	table_link(table, key, index);
	table->used++;
	memset(&table->hot[index], 0, sizeof table->hot[index]);
	memset(&table->cold[index], 0, sizeof table->cold[index]);
	table->hot[index].key = key->tuple;
	table->cold[index].slot = SLOT_NONE;
	return index;
}

/* The way of 'bucket' that holds the entry, BUCKET_WAYS: none. */
static unsigned way_of(const struct flow_table *table,
		       const struct flow_bucket *bucket, uint16_t tag,
		       uint32_t index)
{
	unsigned match = tags_match(table, bucket, tag);

	for (; match; match &= match - 1) {
		unsigned way = (unsigned)__builtin_ctz(match);

		if (bucket->entries[way] == index)
			return way;
	}
	return BUCKET_WAYS;
}

void table_remove_expect(const struct flow_table *table, uint32_t index)
{
	struct flow_key key;

	key_make(table, &table->hot[index].key, true, &key);
	__builtin_prefetch(&table->buckets[key.home], 1);
}

void table_remove(struct flow_table *table, uint32_t index)
{
	struct flow_key key;
	struct flow_bucket *bucket;
	unsigned way;
	uint32_t at;

	/* As it is stored it is in order already. */
	key_make(table, &table->hot[index].key, true, &key);
	at = key.home;
	bucket = &table->buckets[at];
	while ((way = way_of(table, bucket, key.tag, index)) == BUCKET_WAYS) {
		bucket->passed--;
		at = bucket_after(table, at);
		bucket = &table->buckets[at];
	}
	bucket->tags[way] = 0;
	table->used--;
	table->hot[index].key.ip_version = 0; /* equal to no packet's key */
	table->cold[index].next = table->free;
	table->free = index;
}

/* Lists the entries of 'bucket' after the 'count' already in 'list'. */
static unsigned bucket_list(const struct flow_table *table, uint32_t at,
			    uint32_t *list, unsigned count)
{
	const struct flow_bucket *bucket = &table->buckets[at];
	unsigned busy = ~tags_match(table, bucket, 0) & WAYS_MASK;

	for (; busy; busy &= busy - 1) {
		uint32_t index = bucket->entries[__builtin_ctz(busy)];

		__builtin_prefetch(&table->hot[index]);
		list[count++] = index;
	}
	return count;
}

/* Two buckets give some fifteen flows to choose from; to look at more costs
 * a cache miss each. */
uint32_t table_victim(const struct flow_table *table,
		      const struct flow_key *key)
{
	uint32_t list[2 * BUCKET_WAYS];
	uint32_t at = key->home;
	unsigned count = 0;
	uint32_t victim;

	assert(table->used > 0);
	for (unsigned step = 0; step < 2 || count == 0; step++) {
		count = bucket_list(table, at, list, count);
		at = bucket_after(table, at);
	}
	victim = list[0];
	for (unsigned i = 1; i < count; i++)
		if (table->hot[list[i]].last_ns < table->hot[victim].last_ns)
			victim = list[i];
	return victim;
}

void table_clear(struct flow_table *table)
{
	memset(table->buckets, 0, table->bucket_count * sizeof *table->buckets);
	table->used = 0;
	table->fresh = 0;
	table->free = FLOW_NONE;
}
