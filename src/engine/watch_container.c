/* Containers of processes with bytes or sockets, and sums over them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "engine/watch_private.h"

#define CONTAINERS_MAX 4096

static uint64_t container_hash(const struct owner_container *container)
{
	uint64_t hash = random_mix((uint64_t)container->runtime);

	for (const char *at = container->id; *at; at++)
		hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
	return random_mix(hash);
}

struct same {
	const struct watch *watch;
	const struct owner_container *container;
};

static bool container_same(const void *context, uint32_t slot)
{
	const struct same *same = context;
	const struct owner_container *there =
		&same->watch->containers[slot].owner;

	return there->runtime == same->container->runtime &&
	       strcmp(there->id, same->container->id) == 0;
}

int watch_containers_init(struct watch *watch)
{
	watch->container_max = CONTAINERS_MAX;
	watch->containers = calloc(CONTAINERS_MAX, sizeof *watch->containers);
	return watch->containers ? watch_index_init(&watch->container_index,
						    CONTAINERS_MAX)
				 : -ENOMEM;
}

void watch_containers_fini(struct watch *watch)
{
	watch_index_fini(&watch->container_index);
	free(watch->containers);
}

uint32_t watch_container_slot(struct watch *watch,
			      const struct owner_container *container)
{
	struct same same = {watch, container};
	uint64_t hash = container_hash(container);
	uint32_t slot = watch_index_find(&watch->container_index, hash,
					 container_same, &same);

	if (slot == SLOT_NONE) {
		if (watch->container_count == watch->container_max) {
			watch->counters.containers_refused++;
			return SLOT_NONE;
		}
		slot = watch->container_count++;
		watch->counters.containers++;
		watch_index_add(&watch->container_index, hash, slot);
	}
	/* Names come later than ids, and an end later still. */
	watch->containers[slot].owner = *container;
	return slot;
}

void watch_container_retire(struct watch *watch,
			    const struct watch_process *process)
{
	struct watch_container *container;

	if (!process->container)
		return;
	container = &watch->containers[process->container - watch->containers];
	traffic_add(&container->gone, &process->traffic);
	container->gone_rx_other_bytes += process->rx_other_bytes;
	container->gone_sockets += process->sockets;
	container->gone_active += process->connections_active;
	container->gone_passive += process->connections_passive;
	container->gone_failed += process->connections_failed;
	container->gone_retransmits += process->retransmits;
	container->gone_drop_packets += process->drop_packets;
	container->gone_processes++;
}

static void sums_begin(struct watch_container *container)
{
	container->traffic = container->gone;
	container->rx_other_bytes = container->gone_rx_other_bytes;
	container->processes = container->gone_processes;
	container->sockets = container->gone_sockets;
	container->connections_active = container->gone_active;
	container->connections_passive = container->gone_passive;
	container->connections_failed = container->gone_failed;
	container->retransmits = container->gone_retransmits;
	container->drop_packets = container->gone_drop_packets;
	container->tx_bps = container->rx_bps = 0;
}

static void sums_add(struct watch_container *container,
		     const struct watch_process *process)
{
	traffic_add(&container->traffic, &process->traffic);
	container->rx_other_bytes += process->rx_other_bytes;
	container->processes++;
	container->sockets += process->sockets;
	container->connections_active += process->connections_active;
	container->connections_passive += process->connections_passive;
	container->connections_failed += process->connections_failed;
	container->retransmits += process->retransmits;
	container->drop_packets += process->drop_packets;
	container->tx_bps += process->tx_bps;
	container->rx_bps += process->rx_bps;
}

void watch_containers_sum(struct watch *watch)
{
	for (uint32_t i = 0; i < watch->container_count; i++)
		sums_begin(&watch->containers[i]);
	for (size_t i = 0; i < watch_process_slots(watch); i++) {
		const struct watch_process *process =
			watch_process_at(watch, i);

		if (process && process->container)
			sums_add(&watch->containers[process->container -
						    watch->containers],
				 process);
	}
}

size_t watch_container_count(const struct watch *watch)
{
	return watch->container_count;
}

const struct watch_container *watch_container_at(const struct watch *watch,
						 size_t slot)
{
	return &watch->containers[slot];
}
