/* Containers: by runtime and id, by cgroup, by pid namespace. */
#include <stdio.h>
#include <string.h>

#include "owner/owner_private.h"

static uint32_t slot_of(const struct owner_table *table,
			const struct container *container)
{
	return (uint32_t)(container - table->containers);
}

/* LXD's and Incus' containers are LXC's in a path. */
static enum owner_runtime family_of(enum owner_runtime runtime)
{
	return runtime == OWNER_RUNTIME_LXD || runtime == OWNER_RUNTIME_INCUS
		       ? OWNER_RUNTIME_LXC
		       : runtime;
}

/* An id of 64 digits is one container's, whoever speaks of it; a name is one
 * runtime's, in one of its namespaces. */
static bool same(const struct container *container, enum owner_runtime runtime,
		 const char *scope, const char *id)
{
	if (strcmp(container->view.id, id) != 0)
		return false;
	if (owner_id_is_hex(id))
		return true;
	return family_of(container->view.runtime) == family_of(runtime) &&
	       strcmp(container->scope, scope) == 0;
}

struct container *owner_container_get(struct owner_table *table,
				      enum owner_runtime runtime,
				      const char *scope, const char *id)
{
	uint32_t slot = owner_index_first(&table->by_name, owner_hash_text(id));

	for (; slot != OWNER_NONE; slot = table->by_name.next[slot]) {
		if (same(&table->containers[slot], runtime, scope, id))
			return &table->containers[slot];
	}
	return NULL;
}

const struct owner_container *
owner_container_find(const struct owner_table *table,
		     enum owner_runtime runtime, const char *id)
{
	for (uint32_t i = 0; i < table->options.container_max; i++) {
		const struct container *container = &table->containers[i];

		if (container->used && container->view.runtime == runtime &&
		    strcmp(container->view.id, id) == 0)
			return &container->view;
	}
	return NULL;
}

static void container_clear(struct owner_table *table,
			    struct container *container)
{
	uint32_t slot = slot_of(table, container);

	owner_index_remove(&table->by_name, container->hash, slot);
	if (container->pathed)
		owner_index_remove(&table->by_cgroup, container->path_hash,
				   slot);
	if (container->spaced)
		owner_index_remove(&table->by_space, container->space_hash,
				   slot);
	for (size_t i = 0; i < table->helper_count; i++) {
		if (table->helpers[i].container == container)
			table->helpers[i].container = NULL;
	}
	table->counters.containers--;
	memset(container, 0, sizeof *container);
}

static struct container *container_take(struct owner_table *table)
{
	uint32_t count = table->options.container_max;

	for (uint32_t i = 0; i < count; i++) {
		struct container *container =
			&table->containers[table->container_hand];

		table->container_hand = (table->container_hand + 1) % count;
		if (!container->used)
			return container;
		if (container->refs == 0 && container->view.ended) {
			container_clear(table, container);
			table->counters.containers_evicted++;
			return container;
		}
	}
	return NULL;
}

struct container *owner_container_add(struct owner_table *table,
				      enum owner_runtime runtime,
				      const char *scope, const char *id)
{
	struct container *container =
		owner_container_get(table, runtime, scope, id);

	if (container || strlen(id) >= sizeof container->view.id ||
	    strlen(scope) >= sizeof container->scope)
		return container;
	container = container_take(table);
	if (!container) {
		table->counters.containers_refused++;
		return NULL;
	}
	table->counters.containers++;
	container->used = true;
	container->view.runtime = runtime;
	container->view.uid = OWNER_UID_UNKNOWN;
	owner_text_copy(container->view.id, sizeof container->view.id, id);
	owner_text_copy(container->scope, sizeof container->scope, scope);
	container->hash = owner_hash_text(id);
	owner_index_put(&table->by_name, container->hash,
			slot_of(table, container));
	table->relist = true;
	return container;
}

struct container *owner_container_by_cgroup(struct owner_table *table,
					    const char *path, size_t length)
{
	char whole[sizeof table->containers->view.cgroup];
	uint32_t slot;

	if (length >= sizeof whole)
		return NULL;
	memcpy(whole, path, length);
	whole[length] = 0;
	slot = owner_index_first(&table->by_cgroup, owner_hash_text(whole));
	for (; slot != OWNER_NONE; slot = table->by_cgroup.next[slot]) {
		if (strcmp(table->containers[slot].view.cgroup, whole) == 0)
			return &table->containers[slot];
	}
	return NULL;
}

/* Two that share a namespace (a pod may) are told apart by nothing here. */
struct container *owner_container_by_space(struct owner_table *table,
					   uint32_t pidns)
{
	struct container *found = NULL;
	uint32_t slot;

	if (pidns == 0 || pidns == table->host_pidns)
		return NULL;
	slot = owner_index_first(&table->by_space, owner_hash_number(pidns));
	for (; slot != OWNER_NONE; slot = table->by_space.next[slot]) {
		if (table->containers[slot].view.pidns != pidns ||
		    table->containers[slot].view.ended)
			continue;
		if (found)
			return NULL;
		found = &table->containers[slot];
	}
	return found;
}

void owner_container_path(struct owner_table *table,
			  struct container *container, const char *path)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	if (container->pathed || length <= 1 ||
	    length >= sizeof container->view.cgroup)
		return;
	memcpy(container->view.cgroup, path, length);
	container->view.cgroup[length] = 0;
	container->path_hash = owner_hash_text(container->view.cgroup);
	container->pathed = true;
	owner_index_put(&table->by_cgroup, container->path_hash,
			slot_of(table, container));
	table->unsettled = true;
}

void owner_container_space(struct owner_table *table,
			   struct container *container, uint32_t pidns)
{
	if (pidns == 0 || pidns == table->host_pidns ||
	    container->view.pidns == pidns)
		return;
	if (container->spaced)
		owner_index_remove(&table->by_space, container->space_hash,
				   slot_of(table, container));
	container->view.pidns = pidns;
	container->view.ended = false;
	container->space_hash = owner_hash_number(pidns);
	container->spaced = true;
	owner_index_put(&table->by_space, container->space_hash,
			slot_of(table, container));
	table->unsettled = true;
}

struct container *owner_container_mark(struct owner_table *table,
				       const char *path,
				       const struct owner_path *said,
				       size_t mark)
{
	const struct owner_mark *is = &said->marks[mark];
	struct container *container =
		owner_container_add(table, is->runtime, "", is->id);
	char own[OWNER_PATH_SIZE];

	if (!container)
		return NULL;
	if (!container->pathed && is->end < sizeof own) {
		memcpy(own, path, is->end);
		own[is->end] = 0;
		owner_container_path(table, container, own);
	}
	if (is->runtime != OWNER_RUNTIME_UNKNOWN &&
	    is->runtime != OWNER_RUNTIME_LXC) { /* or LXD's, or Incus' */
		container->view.runtime = is->runtime;
		container->sure = true;
	}
	if (container->view.pod_uid[0] == 0)
		owner_text_copy(container->view.pod_uid,
				sizeof container->view.pod_uid, said->pod_uid);
	if (container->view.pod_id[0] == 0)
		owner_text_copy(container->view.pod_id,
				sizeof container->view.pod_id, said->pod_id);
	if (!container->named && is->runtime == OWNER_RUNTIME_NSPAWN)
		owner_text_copy(container->view.name,
				sizeof container->view.name, is->id);
	return container;
}

/* The first that says a thing is believed. */
static void text_merge(char *text, const char *more, size_t size)
{
	if (*text == 0 && *more)
		snprintf(text, size, "%s", more);
}

#define MERGE(member) \
	text_merge(view->member, facts->member, sizeof view->member)

void owner_container_merge(struct owner_table *table,
			   struct container *container,
			   const struct owner_facts *facts)
{
	struct owner_container *view = &container->view;

	if (facts->runtime != OWNER_RUNTIME_NONE &&
	    facts->runtime != OWNER_RUNTIME_RUNC && !container->sure &&
	    view->runtime != facts->runtime) {
		if (view->runtime == OWNER_RUNTIME_RUNC)
			view->image[0] = 0; /* its root folder */
		view->runtime = facts->runtime;
		table->unsettled = true;
	}
	if (facts->runtime != OWNER_RUNTIME_RUNC ||
	    view->runtime == OWNER_RUNTIME_RUNC)
		MERGE(image);
	MERGE(name);
	MERGE(pod_name);
	MERGE(pod_namespace);
	MERGE(pod_uid);
	MERGE(pod_container);
	MERGE(pod_id);
	view->sandbox |= facts->sandbox;
	if (facts->init_pid != 0) {
		view->init_pid = facts->init_pid;
		container->init_start_ticks = facts->init_start_ticks;
	}
	container->told = true;
}

void owner_container_named(struct owner_table *table,
			   struct container *container)
{
	struct owner_container *view = &container->view;

	if (view->name[0] == 0 && view->pod_container[0])
		owner_text_copy(view->name, sizeof view->name,
				view->pod_container);
	if (view->name[0] == 0 && view->sandbox && view->pod_name[0])
		owner_text_copy(view->name, sizeof view->name, view->pod_name);
	if (!container->named)
		table->unsettled = true;
	container->named = true;
}

void owner_settle(struct owner_table *table)
{
	for (int round = 0; round < 3 && table->unsettled; round++) {
		table->unsettled = false;
		for (uint32_t i = 0; i < table->options.cgroup_max; i++) {
			if (table->cgroups[i].used)
				owner_cgroup_resolve(table, &table->cgroups[i]);
		}
	}
	for (uint32_t i = 0; i < table->options.process_max; i++) {
		if (table->processes[i].life != LIFE_FREE)
			owner_process_settle(table, &table->processes[i]);
	}
}

const struct owner_container *
owner_container_next(const struct owner_table *table,
		     const struct owner_container *previous)
{
	const struct container *container = table->containers;

	if (previous)
		container = (const struct container *)previous + 1;
	for (; container < table->containers + table->options.container_max;
	     container++) {
		if (container->used)
			return &container->view;
	}
	return NULL;
}
