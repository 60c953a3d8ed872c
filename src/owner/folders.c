/* Where runtimes keep their files: the usual folders, those of the options,
 * those of each user with a runtime of his own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "owner/owner_private.h"

static const struct owner_folder usual[] = {
	{OWNER_RUNTIME_DOCKER, "/var/lib/docker"},
	{OWNER_RUNTIME_PODMAN, "/var/lib/containers/storage"},
	{OWNER_RUNTIME_CONTAINERD, "/run/containerd"},
	{OWNER_RUNTIME_CONTAINERD, "/var/lib/containerd"},
	{OWNER_RUNTIME_CONTAINERD, "/run/docker/containerd/daemon"},
	{OWNER_RUNTIME_CONTAINERD, "/run/k3s/containerd"},
	{OWNER_RUNTIME_CONTAINERD, "/var/lib/rancher/k3s/agent/containerd"},
	{OWNER_RUNTIME_RUNC, "/run/runc"},
	{OWNER_RUNTIME_RUNC, "/run/crun"},
	{OWNER_RUNTIME_LXC, "/var/lib/lxc"},
	{OWNER_RUNTIME_LXD, "/var/lib/lxd"},
	{OWNER_RUNTIME_LXD, "/var/snap/lxd/common/lxd"},
	{OWNER_RUNTIME_INCUS, "/var/lib/incus"},
};

static struct place trusted(const char *path)
{
	return (struct place){path, SIZE_MAX};
}

void owner_folder_add(struct owner_table *table, enum owner_runtime runtime,
		      struct place place, uint32_t uid)
{
	struct folder *folder = &table->folders[table->folder_count];

	for (size_t i = 0; i < table->folder_count; i++) {
		if (table->folders[i].runtime == runtime &&
		    table->folders[i].uid == uid &&
		    strcmp(table->folders[i].path, place.path) == 0)
			return;
	}
	if (table->folder_count == OWNER_FOLDERS) {
		owner_note_add(table, "%s: not read; %d folders are the most",
			       place.path, OWNER_FOLDERS);
		return;
	}
	*folder = (struct folder){runtime, strdup(place.path), place.trusted,
				  uid};
	table->folder_count += folder->path != NULL;
	table->relist = true;
}

int owner_folders_init(struct owner_table *table)
{
	for (size_t i = 0; i < table->options.folder_count; i++)
		owner_folder_add(table, table->options.folders[i].runtime,
				 trusted(table->options.folders[i].path),
				 OWNER_UID_UNKNOWN);
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
		owner_folder_add(table, usual[i].runtime,
				 trusted(usual[i].path), OWNER_UID_UNKNOWN);
	return table->folder_count == 0 ? -ENOMEM : 0;
}

void owner_folders_fini(struct owner_table *table)
{
	for (size_t i = 0; i < table->folder_count; i++)
		free(table->folders[i].path);
}

/* The home folder of a user in /etc/passwd. */
static bool home_of(struct owner_table *table, uint32_t uid, char *ret_home,
		    size_t size)
{
	struct file file;
	char *save, *line;
	bool found = false;

	if (owner_file_read(table, trusted("/etc/passwd"), &file) != 0)
		return false;
	for (line = strtok_r(file.bytes, "\n", &save); line && !found;
	     line = strtok_r(NULL, "\n", &save)) {
		char home[256];
		unsigned int value;

		if (sscanf(line, "%*[^:]:%*[^:]:%u:%*[^:]:%*[^:]:%255[^:]",
			   &value, home) == 2 &&
		    value == uid)
			found = snprintf(ret_home, size, "%s", home) <
				(int)size;
	}
	free(file.bytes);
	return found && *ret_home == '/';
}

static void user_add(struct owner_table *table, uint32_t uid,
		     enum owner_runtime runtime, const char *base,
		     const char *rest)
{
	char path[512];
	int length = snprintf(path, sizeof path, "%s%s", base, rest);

	if (length > 0 && (size_t)length < sizeof path)
		owner_folder_add(table, runtime,
				 (struct place){path, strlen(base)}, uid);
}

static void user_folders(void *context, const char *name, uint8_t type)
{
	struct owner_table *table = context;
	char home[256], run[64];
	char *end;
	unsigned long uid = strtoul(name, &end, 10);

	(void)type;
	if (*end != 0 || uid == 0 || uid >= OWNER_UID_UNKNOWN)
		return;
	for (size_t i = 0; i < table->folder_count; i++) {
		if (table->folders[i].uid == uid)
			return;
	}
	snprintf(run, sizeof run, "/run/user/%lu", uid);
	user_add(table, (uint32_t)uid, OWNER_RUNTIME_RUNC, run, "/runc");
	user_add(table, (uint32_t)uid, OWNER_RUNTIME_RUNC, run, "/crun");
	if (!home_of(table, (uint32_t)uid, home, sizeof home))
		return;
	user_add(table, (uint32_t)uid, OWNER_RUNTIME_PODMAN, home,
		 "/.local/share/containers/storage");
	user_add(table, (uint32_t)uid, OWNER_RUNTIME_DOCKER, home,
		 "/.local/share/docker");
}

void owner_folders_users(struct owner_table *table)
{
	owner_folder_list(table, trusted("/run/user"), user_folders, table);
}
