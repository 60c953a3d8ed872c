/* Names, images and pods from the runtimes' files.
 *
 * Two ways: a container that a cgroup's path names is looked up by its id
 * (owner_runtimes_name); one that no path names, or that has a path of the
 * user's choice, is found by listing the folders of what runs
 * (owner_runtimes_list). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "owner/owner_private.h"

#define TASKS    "io.containerd.runtime.v2.task"
#define RETRY_NS (NS_PER_S / 4) /* doubled each time */

typedef int parser(const char *bytes, size_t size,
		   struct owner_facts *ret_facts);

/* Reads folder/rest; 0: *ret_facts says something. */
static int facts_read(struct owner_table *table, const struct folder *folder,
		      const char *rest, parser *parse,
		      struct owner_facts *ret_facts)
{
	char path[OWNER_PATH_SIZE];
	struct file file;
	int rc, length;

	length = snprintf(path, sizeof path, "%s/%s", folder->path, rest);
	if (length < 0 || (size_t)length >= sizeof path)
		return -ENAMETOOLONG;
	rc = owner_file_read(table, (struct place){path, folder->trusted},
			     &file);
	if (rc != 0)
		return rc;
	rc = parse(file.bytes, file.size, ret_facts);
	if (rc == -EBADMSG)
		owner_file_bad(table, path);
	free(file.bytes);
	return rc;
}

/* "." and "..", and what has a "/", are no ids but ways out of a folder. */
static bool id_is_plain(const char *id)
{
	return *id && *id != '.' && !strchr(id, '/');
}

/* What a user's own folder says counts for his own containers. */
static bool may_name(const struct folder *folder,
		     const struct container *container)
{
	char slice[32];

	if (folder->uid == OWNER_UID_UNKNOWN ||
	    folder->uid == container->view.uid)
		return true;
	snprintf(slice, sizeof slice, "/user-%u.slice/", folder->uid);
	return strstr(container->view.cgroup, slice) != NULL;
}

static bool name_docker(struct owner_table *table, const struct folder *folder,
			struct container *container)
{
	struct owner_facts *facts = &table->facts;
	char rest[OWNER_ID_SIZE + 64];

	snprintf(rest, sizeof rest, "containers/%s/config.v2.json",
		 container->view.id);
	if (facts_read(table, folder, rest, owner_docker_parse, facts) != 0 ||
	    strcmp(facts->id, container->view.id) != 0)
		return false;
	owner_container_merge(table, container, facts);
	return true;
}

/* containers.json has the name and the image, config.json Kubernetes' part. */
static bool name_storage(struct owner_table *table, const struct folder *folder,
			 struct container *container)
{
	static const char *const drivers[] = {"overlay", "vfs", "btrfs", "zfs"};
	struct owner_facts *facts = &table->facts;
	char rest[OWNER_ID_SIZE + 64];
	struct place place = {table->path, folder->trusted};
	struct file file;
	bool found = false;

	for (size_t i = 0; i < 4 && !found; i++) {
		snprintf(rest, sizeof rest,
			 "%s-containers/%s/userdata/config.json", drivers[i],
			 container->view.id);
		if (facts_read(table, folder, rest, owner_bundle_parse,
			       facts) == 0)
			owner_container_merge(table, container, facts);
		snprintf(table->path, sizeof table->path,
			 "%s/%s-containers/containers.json", folder->path,
			 drivers[i]);
		if (owner_file_read(table, place, &file) != 0)
			continue;
		switch (owner_storage_parse(file.bytes, file.size,
					    container->view.id, facts)) {
		case 0:
			if (container->view.runtime == OWNER_RUNTIME_CRIO)
				facts->runtime = OWNER_RUNTIME_CRIO;
			owner_container_merge(table, container, facts);
			found = true;
			break;
		case -EBADMSG:
			owner_file_bad(table, table->path);
			break;
		default:
			break;
		}
		free(file.bytes);
	}
	return found;
}

static bool name_lxc(struct owner_table *table, const struct folder *folder,
		     struct container *container)
{
	struct owner_facts *facts = &table->facts;
	char rest[OWNER_ID_SIZE + 64];

	snprintf(rest, sizeof rest, "%s/config", container->view.id);
	if (facts_read(table, folder, rest, owner_lxc_parse, facts) != 0)
		return false;
	owner_text_copy(facts->name, sizeof facts->name, container->view.id);
	owner_container_merge(table, container, facts);
	return true;
}

static bool name_lxd(struct owner_table *table, const struct folder *folder,
		     struct container *container)
{
	struct owner_facts *facts = &table->facts;
	char rest[OWNER_ID_SIZE + 64];

	snprintf(rest, sizeof rest, "containers/%s/backup.yaml",
		 container->view.id);
	if (facts_read(table, folder, rest, owner_lxd_parse, facts) != 0)
		return false;
	facts->runtime = folder->runtime;
	owner_text_copy(facts->name, sizeof facts->name, container->view.id);
	owner_container_merge(table, container, facts);
	return true;
}

/* ---- containerd: STATE/TASKS/NAMESPACE/ID ---- */

struct listing {
	struct owner_table *table;
	const struct folder *folder;
	char space[64];
	struct container *wanted; /* NULL: whichever there are */
	bool found;
};

/* ctr knows the image in containerd's own database alone. */
static bool task_take(struct listing *listing, const char *id,
		      struct container *container)
{
	struct owner_table *table = listing->table;
	struct owner_facts *facts = &table->facts;
	char rest[2 * OWNER_ID_SIZE + 64], path[OWNER_PATH_SIZE];
	bool docker = strcmp(listing->space, "moby") == 0;

	snprintf(rest, sizeof rest, TASKS "/%s/%s/config.json", listing->space,
		 id);
	if (facts_read(table, listing->folder, rest, owner_bundle_parse,
		       facts) != 0)
		return false;
	facts->runtime =
		docker ? OWNER_RUNTIME_DOCKER : OWNER_RUNTIME_CONTAINERD;
	if (!container)
		container = owner_container_add(
			table, facts->runtime,
			owner_id_is_hex(id) ? "" : listing->space, id);
	if (!container)
		return false;
	if (owner_path_expand(facts->cgroup, path, sizeof path))
		owner_container_path(table, container, path);
	owner_bolt_image(table, listing->space, id, facts);
	if (!docker && facts->name[0] == 0 && facts->pod_container[0] == 0 &&
	    !facts->sandbox)
		snprintf(facts->name, sizeof facts->name, "%s", id);
	owner_container_merge(table, container, facts);
	if (!docker) /* its name is in a file of its own */
		owner_container_named(table, container);
	return true;
}

static void task_each(void *context, const char *id, uint8_t type)
{
	struct listing *listing = context;
	const char *scope = owner_id_is_hex(id) ? "" : listing->space;
	struct container *container;

	(void)type;
	if (strlen(id) >= OWNER_ID_SIZE)
		return;
	container = owner_container_get(listing->table,
					OWNER_RUNTIME_CONTAINERD, scope, id);
	if (!container || !container->told)
		(void)task_take(listing, id, container);
}

static void space_each(void *context, const char *name, uint8_t type)
{
	struct listing *listing = context;
	char rest[sizeof listing->space + sizeof TASKS + 1];
	struct place place = {listing->table->path, listing->folder->trusted};

	(void)type;
	if (strlen(name) >= sizeof listing->space || listing->found)
		return;
	owner_text_copy(listing->space, sizeof listing->space, name);
	if (listing->wanted) {
		listing->found = task_take(listing, listing->wanted->view.id,
					   listing->wanted);
		return;
	}
	snprintf(rest, sizeof rest, TASKS "/%s", name);
	snprintf(listing->table->path, sizeof listing->table->path, "%s/%s",
		 listing->folder->path, rest);
	owner_folder_list(listing->table, place, task_each, listing);
}

static bool tasks_list(struct owner_table *table, const struct folder *folder,
		       struct container *wanted)
{
	struct listing listing = {table, folder, "", wanted, false};
	struct place place = {table->path, folder->trusted};

	snprintf(table->path, sizeof table->path, "%s/" TASKS, folder->path);
	owner_folder_list(table, place, space_each, &listing);
	return listing.found;
}

/* ---- runc and crun: ROOT/ID ---- */

/* A folder as cgroup_paths has it, as a path in the tree; NULL: none. */
static const char *state_path(const struct owner_table *table,
			      const char *folder)
{
	static const char top[] = "/sys/fs/cgroup/";
	size_t tree = strlen(table->tree);

	if (tree > 0 && strncmp(folder, table->tree, tree) == 0 &&
	    folder[tree] == '/')
		return folder + tree;
	if (strncmp(folder, top, strlen(top)) == 0) /* a controller follows */
		return strchr(folder + strlen(top), '/');
	return *folder == '/' ? folder : NULL; /* crun's has no mount */
}

/* Whether the first process is as the file says, and a user's is his. */
static struct process *init_read(struct owner_table *table, uint32_t uid,
				 uint32_t pid, uint64_t start_ticks)
{
	struct process *init, *parent;

	if (pid == 0 || table->pids_differ)
		return NULL;
	init = owner_slot_find(table, pid, 0);
	if (!init || init->view.pidns == 0)
		init = owner_proc_read(table, pid, 0);
	if (!init || init->life != LIFE_LIVE ||
	    (start_ticks != 0 &&
	     init->view.start_ns / OWNER_TICK_NS != start_ticks))
		return NULL;
	if (uid == OWNER_UID_UNKNOWN)
		return init;
	parent = owner_slot_find(table, init->view.ppid, 0);
	if (!parent)
		parent = owner_proc_read(table, init->view.ppid, 0);
	return parent && parent->view.uid == uid ? init : NULL;
}

static void state_each(void *context, const char *id, uint8_t type)
{
	struct listing *listing = context;
	struct owner_table *table = listing->table;
	const struct folder *folder = listing->folder;
	struct owner_facts *facts = &table->facts;
	struct container *container;
	const char *path;
	char rest[2 * OWNER_ID_SIZE];

	(void)type;
	container = owner_container_get(table, OWNER_RUNTIME_RUNC, "", id);
	if ((container && container->stated) || strlen(id) >= OWNER_ID_SIZE)
		return;
	snprintf(rest, sizeof rest, "%s/state.json", id);
	if (facts_read(table, folder, rest, owner_runc_parse, facts) != 0) {
		snprintf(rest, sizeof rest, "%s/status", id);
		if (facts_read(table, folder, rest, owner_crun_parse, facts) !=
		    0)
			return;
	}
	if (!init_read(table, folder->uid, facts->init_pid,
		       facts->init_start_ticks))
		return; /* it does not run, or not yet */
	owner_text_copy(facts->name, sizeof facts->name,
			owner_id_is_hex(id) ? "" : id);
	if (!container)
		container =
			owner_container_add(table, OWNER_RUNTIME_RUNC, "", id);
	if (!container)
		return;
	container->stated = true;
	if (folder->uid != OWNER_UID_UNKNOWN && !container->pathed)
		container->view.uid = folder->uid;
	path = state_path(table, facts->cgroup);
	if (path && folder->uid == OWNER_UID_UNKNOWN)
		owner_container_path(table, container, path);
	owner_container_merge(table, container, facts);
	if (container->view.runtime == OWNER_RUNTIME_RUNC &&
	    !owner_id_is_hex(id))
		owner_container_named(table, container);
}

void owner_runtimes_list(struct owner_table *table)
{
	owner_folders_users(table);
	/* Learning may add folders: the count is read again each time. */
	for (size_t i = 0; i < table->folder_count; i++) {
		struct listing listing = {.table = table,
					  .folder = &table->folders[i]};
		struct place place = {table->folders[i].path,
				      table->folders[i].trusted};

		if (table->folders[i].runtime == OWNER_RUNTIME_CONTAINERD)
			(void)tasks_list(table, &table->folders[i], NULL);
		else if (table->folders[i].runtime == OWNER_RUNTIME_RUNC)
			owner_folder_list(table, place, state_each, &listing);
	}
}

/* ---- by id ---- */

static bool name_by(struct owner_table *table, const struct folder *folder,
		    struct container *container)
{
	enum owner_runtime runtime = container->view.runtime;
	/* An id of digits alone may be anyone's. */
	bool open =
		owner_id_is_hex(container->view.id) &&
		(runtime == OWNER_RUNTIME_UNKNOWN ||
		 runtime == OWNER_RUNTIME_RUNC || container->view.pod_uid[0]);

	switch (folder->runtime) {
	case OWNER_RUNTIME_DOCKER:
		return (open || runtime == OWNER_RUNTIME_DOCKER) &&
		       name_docker(table, folder, container);
	case OWNER_RUNTIME_PODMAN:
	case OWNER_RUNTIME_CRIO:
		return (open || runtime == OWNER_RUNTIME_PODMAN ||
			runtime == OWNER_RUNTIME_CRIO) &&
		       name_storage(table, folder, container);
	case OWNER_RUNTIME_CONTAINERD:
		return (open || runtime == OWNER_RUNTIME_CONTAINERD) &&
		       tasks_list(table, folder, container);
	case OWNER_RUNTIME_LXC:
		return runtime == OWNER_RUNTIME_LXC &&
		       name_lxc(table, folder, container);
	case OWNER_RUNTIME_LXD:
	case OWNER_RUNTIME_INCUS:
		return runtime == OWNER_RUNTIME_LXC &&
		       name_lxd(table, folder, container);
	default:
		return false;
	}
}

static bool name_one(struct owner_table *table, struct container *container)
{
	if (!id_is_plain(container->view.id))
		return false;
	for (size_t i = 0; i < table->folder_count; i++) {
		if (may_name(&table->folders[i], container) &&
		    name_by(table, &table->folders[i], container))
			return true;
	}
	return false;
}

/* The first process' namespaces, where its pid is known. */
static void space_read(struct owner_table *table, struct container *container)
{
	struct process *init;

	if (container->spaced || container->view.init_pid == 0)
		return;
	init = init_read(table, container->view.uid, container->view.init_pid,
			 container->init_start_ticks);
	if (!init ||
	    (init->view.container && init->view.container != &container->view))
		return;
	owner_container_space(table, container, init->view.pidns);
	if (init->view.netns != 0)
		container->view.netns = init->view.netns;
}

void owner_runtimes_name(struct owner_table *table, int64_t now_ns)
{
	table->unnamed = 0;
	for (uint32_t i = 0; i < table->options.container_max; i++) {
		struct container *container = &table->containers[i];

		if (!container->used)
			continue;
		space_read(table, container);
		if (container->named || container->tries >= OWNER_TRIES_MAX)
			continue;
		if (now_ns < container->retry_ns) {
			table->unnamed++;
			continue;
		}
		if (name_one(table, container)) {
			owner_container_named(table, container);
			space_read(table, container);
			continue;
		}
		container->retry_ns = now_ns + (RETRY_NS << container->tries);
		container->tries++;
		table->unnamed++;
	}
}

/* A container may get another name while it runs. */
static void name_again(struct owner_table *table, struct container *container)
{
	struct owner_container *view = &container->view;
	char before[sizeof view->name];

	if (!container->named || view->ended ||
	    (view->runtime != OWNER_RUNTIME_DOCKER &&
	     view->runtime != OWNER_RUNTIME_PODMAN))
		return;
	owner_text_copy(before, sizeof before, view->name);
	view->name[0] = 0;
	(void)name_one(table, container);
	if (view->name[0] == 0)
		owner_text_copy(view->name, sizeof view->name, before);
}

void owner_runtimes_again(struct owner_table *table)
{
	for (uint32_t i = 0; i < table->options.container_max; i++) {
		if (table->containers[i].used)
			name_again(table, &table->containers[i]);
	}
}
