/* Cgroups by id and by path, and which container each is in. */
#include <string.h>

#include "owner/owner_private.h"

static uint32_t slot_of(const struct owner_table *table,
			const struct cgroup *cgroup)
{
	return (uint32_t)(cgroup - table->cgroups);
}

struct cgroup *owner_cgroup_by_id(struct owner_table *table, uint64_t id)
{
	uint32_t slot = owner_index_first(&table->by_id, owner_hash_number(id));

	for (; slot != OWNER_NONE; slot = table->by_id.next[slot]) {
		if (table->cgroups[slot].view.id == id)
			return &table->cgroups[slot];
	}
	return NULL;
}

/* The newest of that path: an older one has another id and has ended. */
struct cgroup *owner_cgroup_by_path(struct owner_table *table, const char *path)
{
	uint32_t slot =
		owner_index_first(&table->by_path, owner_hash_text(path));

	for (; slot != OWNER_NONE; slot = table->by_path.next[slot]) {
		if (strcmp(table->cgroups[slot].view.path, path) == 0)
			return &table->cgroups[slot];
	}
	return NULL;
}

static void container_set(struct cgroup *cgroup, struct container *container)
{
	if (container)
		container->refs++;
	if (cgroup->view.container)
		((struct container *)cgroup->view.container)->refs--;
	cgroup->view.container = container ? &container->view : NULL;
}

static void path_set(struct owner_table *table, struct cgroup *cgroup,
		     const char *path)
{
	uint32_t slot = slot_of(table, cgroup);

	if (cgroup->view.path)
		owner_index_remove(&table->by_path,
				   owner_hash_text(cgroup->view.path), slot);
	owner_text_set(&table->texts, &cgroup->view.path, path,
		       OWNER_PATH_SIZE - 1);
	if (cgroup->view.path)
		owner_index_put(&table->by_path,
				owner_hash_text(cgroup->view.path), slot);
}

static void id_set(struct owner_table *table, struct cgroup *cgroup,
		   uint64_t id)
{
	cgroup->view.id = id;
	if (id != 0)
		owner_index_put(&table->by_id, owner_hash_number(id),
				slot_of(table, cgroup));
}

static void cgroup_clear(struct owner_table *table, struct cgroup *cgroup)
{
	if (cgroup->view.id != 0)
		owner_index_remove(&table->by_id,
				   owner_hash_number(cgroup->view.id),
				   slot_of(table, cgroup));
	table->cgroup_wanted -= cgroup->wanted;
	path_set(table, cgroup, NULL);
	owner_text_set(&table->texts, &cgroup->view.unit, NULL, 0);
	owner_text_set(&table->texts, &cgroup->view.slice, NULL, 0);
	container_set(cgroup, NULL);
	table->counters.cgroups--;
	memset(cgroup, 0, sizeof *cgroup);
}

/* A hand goes round: the first slot that is free, or ended with no process
 * left. */
static struct cgroup *cgroup_take(struct owner_table *table)
{
	uint32_t count = table->options.cgroup_max;

	if (table->counters.cgroups == count && table->cgroup_full)
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		struct cgroup *cgroup = &table->cgroups[table->cgroup_hand];

		table->cgroup_hand = (table->cgroup_hand + 1) % count;
		if (!cgroup->used)
			return cgroup;
		if (cgroup->refs == 0 &&
		    (cgroup->view.ended || cgroup->view.id == 0)) {
			cgroup_clear(table, cgroup);
			table->counters.cgroups_evicted++;
			return cgroup;
		}
	}
	table->cgroup_full = true; /* until the next turn */
	return NULL;
}

struct cgroup *owner_cgroup_add(struct owner_table *table, uint64_t id,
				const char *path)
{
	struct cgroup *cgroup = id ? owner_cgroup_by_id(table, id) : NULL;

	if (!cgroup && path)
		cgroup = owner_cgroup_by_path(table, path);
	if (cgroup && id != 0 && cgroup->view.id != 0 && cgroup->view.id != id)
		cgroup = NULL; /* made again under its old name */
	if (cgroup && id == 0 && path && cgroup->view.ended)
		cgroup = NULL;
	if (!cgroup) {
		cgroup = cgroup_take(table);
		if (!cgroup) {
			table->counters.cgroups_refused++;
			return NULL;
		}
		cgroup->used = true;
		table->counters.cgroups++;
		id_set(table, cgroup, id);
	} else if (cgroup->view.id == 0) {
		id_set(table, cgroup, id);
	}
	if (path && !cgroup->view.path) {
		path_set(table, cgroup, path);
		table->cgroup_wanted -= cgroup->wanted;
		cgroup->wanted = false;
		owner_cgroup_resolve(table, cgroup);
		table->unsettled = true;
	}
	return cgroup;
}

void owner_cgroup_gone(struct owner_table *table, struct cgroup *cgroup)
{
	struct container *container =
		(struct container *)cgroup->view.container;

	(void)table;
	cgroup->view.ended = true;
	if (container && container->view.cgroup_id == cgroup->view.id)
		container->view.ended = true;
}

void owner_cgroup_want(struct owner_table *table, struct cgroup *cgroup)
{
	if (cgroup->wanted || cgroup->view.path || cgroup->view.ended)
		return;
	cgroup->wanted = true;
	table->cgroup_wanted++;
}

const struct owner_cgroup *owner_cgroup_find(struct owner_table *table,
					     uint64_t id)
{
	struct cgroup *cgroup;

	if (id == 0)
		return NULL;
	cgroup = owner_cgroup_by_id(table, id);
	if (!cgroup) {
		cgroup = owner_cgroup_add(table, id, NULL);
		if (cgroup)
			owner_cgroup_want(table, cgroup);
		return NULL;
	}
	if (!cgroup->view.path && !cgroup->view.ended)
		return NULL;
	return &cgroup->view;
}

const struct owner_container *owner_container_of(struct owner_table *table,
						 uint64_t cgroup_id)
{
	const struct owner_cgroup *cgroup = owner_cgroup_find(table, cgroup_id);

	return cgroup ? cgroup->container : NULL;
}

void owner_cgroup_begin(struct owner_table *table, uint64_t id,
			const char *path)
{
	struct cgroup *cgroup;

	if (id == 0 || !path || *path != '/')
		return;
	cgroup = owner_cgroup_add(table, id, path);
	if (cgroup && cgroup->view.container)
		table->relist = true; /* its runtime's files */
}

void owner_cgroup_end(struct owner_table *table, uint64_t id)
{
	struct cgroup *cgroup = owner_cgroup_by_id(table, id);

	if (cgroup)
		owner_cgroup_gone(table, cgroup);
}

/* The innermost part of the path that is a container whose runtime's files
 * were read, else the innermost that looks like one. */
static struct container *path_container(struct owner_table *table,
					const char *path,
					const struct owner_path *said)
{
	struct container *looks = NULL, *container;
	size_t mark = said->mark_count;

	for (size_t end = strlen(path); end > 1; end--) {
		if (path[end] != 0 && path[end] != '/')
			continue;
		container = owner_container_by_cgroup(table, path, end);
		if (container && container->named)
			return container;
		if (mark == 0 || said->marks[mark - 1].end != end) {
			looks = looks ?: container;
			continue;
		}
		container = owner_container_mark(table, path, said, --mark);
		if (container && container->named)
			return container;
		looks = looks ?: container;
	}
	return looks;
}

void owner_cgroup_resolve(struct owner_table *table, struct cgroup *cgroup)
{
	struct owner_path said;
	struct container *container;
	const char *path = cgroup->view.path;

	if (!path)
		return;
	owner_path_parse(path, &said);
	cgroup->payload = said.payload;
	owner_text_set(&table->texts, &cgroup->view.unit,
		       said.unit[0] ? said.unit : NULL, sizeof said.unit);
	owner_text_set(&table->texts, &cgroup->view.slice,
		       said.slice[0] ? said.slice : NULL, sizeof said.slice);
	container = path_container(table, path, &said);
	container_set(cgroup, container);
	if (container && !cgroup->view.ended && cgroup->view.id != 0 &&
	    strcmp(container->view.cgroup, path) == 0) {
		container->view.cgroup_id = cgroup->view.id;
		container->view.ended = false; /* begun again, by its name */
	}
}

const struct owner_container *owner_container_of_path(struct owner_table *table,
						      const char *path)
{
	struct cgroup *cgroup = owner_cgroup_by_path(table, path);
	struct owner_path said;
	struct container *container;

	if (cgroup)
		return cgroup->view.container;
	owner_path_parse(path, &said);
	container = path_container(table, path, &said);
	return container ? &container->view : NULL;
}
