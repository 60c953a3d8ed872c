/* Packets that the kernel threw away: the newest of each (socket, reason,
 * direction). */
#include <errno.h>
#include <stdlib.h>

#include "base/random.h"
#include "engine/watch_private.h"

static uint64_t drop_hash(const struct kernel_drop *drop)
{
	return random_mix(drop->socket ^
			  random_mix((uint64_t)drop->reason * 2 + drop->rx));
}

struct same {
	const struct watch *watch;
	const struct kernel_drop *drop;
};

static bool drop_same(const void *context, uint32_t slot)
{
	const struct same *same = context;
	const struct kernel_drop *there = &same->watch->drops[slot];

	return there->socket == same->drop->socket &&
	       there->reason == same->drop->reason &&
	       there->rx == same->drop->rx;
}

int watch_drops_init(struct watch *watch)
{
	watch->drops = calloc(DROPS_MAX, sizeof *watch->drops);
	return watch->drops ? watch_index_init(&watch->drop_index, DROPS_MAX)
			    : -ENOMEM;
}

void watch_drops_fini(struct watch *watch)
{
	watch_index_fini(&watch->drop_index);
	free(watch->drops);
}

void watch_drop_take(struct watch *watch, const struct kernel_drop *drop)
{
	struct same same = {watch, drop};
	uint64_t hash = drop_hash(drop), before = 0;
	uint32_t slot =
		watch_index_find(&watch->drop_index, hash, drop_same, &same);

	if (slot == SLOT_NONE && watch->drop_count == DROPS_MAX) {
		watch->counters.drops_refused++;
		return;
	}
	if (slot == SLOT_NONE) {
		slot = watch->drop_count++;
		watch_index_add(&watch->drop_index, hash, slot);
	} else {
		before = watch->drops[slot].packets;
	}
	watch->drops[slot] = *drop;
	if (drop->owned)
		watch->processes[watch_process_slot(watch, &drop->owner, 0)]
			.shown.drop_packets += beyond(drop->packets, before);
}

size_t watch_drop_count(const struct watch *watch)
{
	return watch->drop_count;
}

bool watch_drop_at(struct watch *watch, size_t slot, struct watch_drop *ret)
{
	const struct watch_filter *filter = &watch->options.filter;
	const struct kernel_drop *drop = &watch->drops[slot];
	const struct socket *socket = watch_socket_find(watch, drop->socket);
	uint32_t owner;

	*ret = (struct watch_drop){
		.kernel = *drop,
		.name = watch->feed->drop_name(watch->object, drop->reason)};
	if (drop->owned)
		ret->owner = watch_process_named(watch, &drop->owner);
	if (filter->port_count > 0)
		return socket && socket->matches;
	if (filter->pid_count + filter->container_count == 0)
		return true;
	owner = drop->owned ? watch_process_lookup(watch, &drop->owner)
			    : SLOT_NONE;
	return owner != SLOT_NONE &&
	       watch_process_wanted(watch, &watch->processes[owner].shown);
}
