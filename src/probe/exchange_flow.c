/* Flows of the exchanges' joiner: a hash table with chains of places in one
 * array, and a list of all by their last use. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "probe/exchange_private.h"

int exchange_flows_init(struct flow_table_lru *flows)
{
	flows->flows = calloc(EXCHANGE_FLOW_MAX, sizeof *flows->flows);
	flows->buckets = malloc(BUCKETS * sizeof *flows->buckets);
	flows->oldest = flows->newest = NONE;
	if (!flows->flows || !flows->buckets)
		return -ENOMEM;
	memset(flows->buckets, 0xff, BUCKETS * sizeof *flows->buckets);
	for (uint32_t i = 0; i < EXCHANGE_FLOW_MAX; i++)
		flows->flows[i].next = i + 1 < EXCHANGE_FLOW_MAX ? i + 1 : NONE;
	return 0;
}

void exchange_flows_fini(struct flow_table_lru *flows)
{
	free(flows->flows);
	free(flows->buckets);
}

static struct flow_key key_of(const struct exchange_packet *packet)
{
	struct flow_key key;

	memset(&key, 0, sizeof key);
	memcpy(key.local, packet->local, sizeof key.local);
	memcpy(key.remote, packet->remote, sizeof key.remote);
	key.local_port = packet->local_port;
	key.remote_port = packet->remote_port;
	key.ip_version = packet->ip_version;
	return key;
}

static uint32_t bucket_of(const struct flow_key *key)
{
	return (uint32_t)XXH3_64bits(key, sizeof *key) & (BUCKETS - 1);
}

uint32_t exchange_flow_find(const struct flow_table_lru *flows,
			    const struct exchange_packet *packet)
{
	struct flow_key key = key_of(packet);
	uint32_t at = flows->buckets[bucket_of(&key)];

	while (at != NONE &&
	       memcmp(&flows->flows[at].key, &key, sizeof key) != 0)
		at = flows->flows[at].next;
	return at;
}

static void unlink_use(struct flow_table_lru *flows, uint32_t flow)
{
	struct exchange_flow *f = &flows->flows[flow];

	if (f->older != NONE)
		flows->flows[f->older].newer = f->newer;
	else
		flows->oldest = f->newer;
	if (f->newer != NONE)
		flows->flows[f->newer].older = f->older;
	else
		flows->newest = f->older;
}

static void link_newest(struct flow_table_lru *flows, uint32_t flow)
{
	struct exchange_flow *f = &flows->flows[flow];

	f->newer = NONE;
	f->older = flows->newest;
	if (flows->newest != NONE)
		flows->flows[flows->newest].newer = flow;
	else
		flows->oldest = flow;
	flows->newest = flow;
}

void exchange_flow_touch(struct flow_table_lru *flows, uint32_t flow)
{
	if (flows->newest == flow)
		return;
	unlink_use(flows, flow);
	link_newest(flows, flow);
}

static void bucket_drop(struct flow_table_lru *flows, uint32_t flow)
{
	uint32_t *at = &flows->buckets[bucket_of(&flows->flows[flow].key)];

	while (*at != flow)
		at = &flows->flows[*at].next;
	*at = flows->flows[flow].next;
}

/* The least used one that has no exchanges gives way; those that have are
 * used, and pass to the end on the way. */
static uint32_t flow_evict(struct flow_table_lru *flows)
{
	for (int tries = 0; tries < 64; tries++) {
		uint32_t flow = flows->oldest;

		if (flows->flows[flow].item_count > 0) {
			exchange_flow_touch(flows, flow);
			continue;
		}
		unlink_use(flows, flow);
		bucket_drop(flows, flow);
		return flow;
	}
	return NONE;
}

uint32_t exchange_flow_make(struct flow_table_lru *flows,
			    const struct exchange_packet *packet)
{
	uint32_t flow = flows->free, bucket;
	struct exchange_flow *f;

	if (flow != NONE)
		flows->free = flows->flows[flow].next;
	else
		flow = flow_evict(flows);
	if (flow == NONE)
		return NONE;
	f = &flows->flows[flow];
	memset(f, 0, sizeof *f);
	f->key = key_of(packet);
	f->items = NONE;
	bucket = bucket_of(&f->key);
	f->next = flows->buckets[bucket];
	flows->buckets[bucket] = flow;
	link_newest(flows, flow);
	return flow;
}
