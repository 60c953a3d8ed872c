/* The version 2 tree: a cgroup's id is the inode of its folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "owner/owner_private.h"

#define DEPTH_MAX     24
#define HANDLE_KERNFS 0xfe /* FILEID_KERNFS of <linux/exportfs.h> */
#define DELETED       " (deleted)"
#define ASK_TRIES_MAX 4

/* "... - cgroup2 cgroup2 rw": the fifth field is where it is mounted. */
static bool mount_find(const struct owner_table *table, char *ret_path,
		       size_t size)
{
	int fd = owner_place_open(
		table, (struct place){"/proc/self/mountinfo", SIZE_MAX}, 0);
	FILE *lines = fd >= 0 ? fdopen(fd, "r") : NULL;
	char *line = NULL, format[32];
	size_t room = 0;
	bool found = false;

	snprintf(format, sizeof format, "%%*s %%*s %%*s %%*s %%%zus", size - 1);
	while (!found && lines && getline(&line, &room, lines) > 0)
		found = strstr(line, " - cgroup2 ") &&
			sscanf(line, format, ret_path) == 1;
	free(line);
	if (lines)
		(void)fclose(lines);
	else if (fd >= 0)
		close(fd);
	return found;
}

static int tree_try(struct owner_table *table, const char *path)
{
	char file[sizeof table->tree + 32];
	int fd;

	snprintf(file, sizeof file, "%s/cgroup.controllers", path);
	fd = owner_place_open(table, (struct place){file, SIZE_MAX}, 0);
	if (fd < 0)
		return fd;
	close(fd);
	snprintf(table->tree, sizeof table->tree, "%s", path);
	return owner_place_open(table, (struct place){path, SIZE_MAX},
				O_DIRECTORY);
}

void owner_tree_open(struct owner_table *table)
{
	static const char *const usual[] = {"/sys/fs/cgroup",
					    "/sys/fs/cgroup/unified"};
	char path[sizeof table->tree];
	struct statfs status;

	for (size_t i = 0; i < 2 && table->tree_fd < 0; i++)
		table->tree_fd = tree_try(table, usual[i]);
	if (table->tree_fd < 0 && mount_find(table, path, sizeof path))
		table->tree_fd = tree_try(table, path);
	table->tree_true = table->tree_fd >= 0 &&
			   fstatfs(table->tree_fd, &status) == 0 &&
			   status.f_type == CGROUP2_SUPER_MAGIC;
}

struct walk {
	struct owner_table *table;
	int depth;
	bool failed; /* what was not seen may be there */
	size_t length;
	char path[OWNER_PATH_SIZE];
};

static void seen(struct walk *walk, uint64_t id)
{
	struct cgroup *cgroup = owner_cgroup_add(
		walk->table, id, walk->length ? walk->path : "/");

	if (cgroup)
		cgroup->seen = walk->table->walk;
}

/* NOLINTBEGIN(misc-no-recursion): DEPTH_MAX bounds it. */
static void walk_folder(struct walk *walk, int fd);

static void walk_child(struct walk *walk, int fd, const struct dirent *entry)
{
	size_t length = strlen(entry->d_name), before = walk->length;
	int child;

	if (walk->depth == DEPTH_MAX || before + length + 2 > sizeof walk->path)
		return;
	walk->path[before] = '/';
	memcpy(walk->path + before + 1, entry->d_name, length + 1);
	walk->length += length + 1;
	walk->depth++;
	child = openat(fd, entry->d_name,
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (child >= 0) {
		seen(walk, entry->d_ino);
		walk_folder(walk, child);
	} else if (errno != ENOENT) {
		walk->failed = true;
	}
	walk->depth--;
	walk->length = before;
	walk->path[before] = 0;
}

/* Takes 'fd'. */
static void walk_folder(struct walk *walk, int fd)
{
	DIR *folder = fdopendir(fd);
	struct dirent *entry;

	if (!folder) {
		close(fd);
		return;
	}
	while ((entry = readdir(folder))) {
		if (entry->d_type == DT_DIR &&
		    strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			walk_child(walk, fd, entry);
	}
	closedir(folder);
}

/* NOLINTEND(misc-no-recursion) */

/* Those that a whole walk did not see are gone; an id that only events know
 * and nobody can name stays as it is. */
static void end_unseen(struct owner_table *table)
{
	for (uint32_t i = 0; i < table->options.cgroup_max; i++) {
		struct cgroup *cgroup = &table->cgroups[i];

		if (!cgroup->used || cgroup->view.id == 0 ||
		    cgroup->view.ended || cgroup->seen == table->walk)
			continue;
		if (!cgroup->view.path && cgroup->tries++ < ASK_TRIES_MAX)
			continue;
		if (!cgroup->view.path)
			table->counters.cgroups_unresolved++;
		table->cgroup_wanted -= cgroup->wanted;
		cgroup->wanted = false;
		owner_cgroup_gone(table, cgroup);
	}
}

void owner_tree_walk(struct owner_table *table)
{
	struct walk *walk;
	struct stat status;
	int fd;

	if (table->tree_fd < 0 || !(walk = calloc(1, sizeof *walk)))
		return;
	table->walk++;
	table->counters.cgroup_scans++;
	walk->table = table;
	fd = openat(table->tree_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &status) == 0)
		seen(walk, status.st_ino);
	if (fd >= 0) {
		walk_folder(walk, fd);
		if (!walk->failed)
			end_unseen(table);
	}
	free(walk);
}

struct cgroup *owner_tree_path(struct owner_table *table, const char *path)
{
	struct cgroup *cgroup = owner_cgroup_by_path(table, path);
	struct stat status;
	const char *at = path + strspn(path, "/");

	if (cgroup && cgroup->turn == table->turn)
		return cgroup;
	if (table->tree_fd < 0 ||
	    fstatat(table->tree_fd, *at ? at : ".", &status, 0) != 0)
		status.st_ino = 0;
	cgroup = owner_cgroup_add(table, status.st_ino, path);
	if (cgroup)
		cgroup->turn = table->turn;
	return cgroup;
}

/* The path of an id: the kernel opens the folder by its handle. */
static int id_open(const struct owner_table *table, uint64_t id)
{
	struct {
		struct file_handle head;
		uint64_t id;
	} handle = {.head = {.handle_bytes = sizeof id,
			     .handle_type = HANDLE_KERNFS},
		    .id = id};
	int fd;

	memcpy(handle.head.f_handle, &id, sizeof id);
	fd = open_by_handle_at(table->tree_fd, &handle.head,
			       O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool fd_path(int fd, char *ret_path, size_t size)
{
	char name[32];
	ssize_t length;

	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	length = readlink(name, ret_path, size - 1);
	if (length <= 0 || (size_t)length == size - 1)
		return false;
	ret_path[length] = 0;
	return true;
}

static bool id_path(const struct owner_table *table, int fd, char *ret_path,
		    size_t size)
{
	char top[OWNER_PATH_SIZE];
	size_t length;

	if (!fd_path(fd, ret_path, size) ||
	    !fd_path(table->tree_fd, top, sizeof top))
		return false;
	length = strlen(top);
	if (strncmp(ret_path, top, length) != 0 ||
	    (ret_path[length] != '/' && ret_path[length] != 0))
		return false;
	memmove(ret_path, ret_path + length, strlen(ret_path + length) + 1);
	if (*ret_path == 0)
		owner_text_copy(ret_path, size, "/");
	return true;
}

/* True: settled; false: a walk must tell. */
static bool ask(struct owner_table *table, struct cgroup *cgroup)
{
	char path[OWNER_PATH_SIZE];
	size_t length;
	int fd = id_open(table, cgroup->view.id);
	bool found;

	if (fd == -ESTALE || fd == -ENOENT) {
		table->cgroup_wanted--;
		cgroup->wanted = false;
		table->counters.cgroups_unresolved++;
		owner_cgroup_gone(table, cgroup);
		return true;
	}
	if (fd < 0)
		return false;
	found = id_path(table, fd, path, sizeof path);
	close(fd);
	if (!found)
		return false;
	length = strlen(path);
	if (length > strlen(DELETED) &&
	    strcmp(path + length - strlen(DELETED), DELETED) == 0) {
		path[length - strlen(DELETED)] = 0;
		cgroup->view.ended = true;
	}
	(void)owner_cgroup_add(table, cgroup->view.id, path);
	return true;
}

bool owner_tree_ask(struct owner_table *table)
{
	bool all = true;

	if (table->cgroup_wanted == 0 || table->tree_fd < 0)
		return true;
	for (uint32_t i = 0; i < table->options.cgroup_max; i++) {
		struct cgroup *cgroup = &table->cgroups[i];

		if (cgroup->used && cgroup->wanted)
			all &= table->tree_true && ask(table, cgroup);
	}
	return all;
}
