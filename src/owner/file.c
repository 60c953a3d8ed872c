/* Reading what others wrote: regular files only, bounded, never blocking on a
 * pipe, and where a user other than root may write, never through a link. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "owner/owner_private.h"

/* "" and "/": the root itself. */
static const char *below(const char *path)
{
	while (*path == '/')
		path++;
	return *path ? path : ".";
}

/* Opens the folder that is trusted, then the rest without links. */
static int open_distrusted(int root_fd, struct place place, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)flags,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH |
			   RESOLVE_NO_MAGICLINKS,
	};
	char *base = strndup(place.path, place.trusted);
	long fd;
	int base_fd;

	if (!base)
		return -ENOMEM;
	base_fd =
		openat(root_fd, below(base), O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(base);
	if (base_fd < 0)
		return -errno;
	fd = syscall(SYS_openat2, base_fd, below(place.path + place.trusted),
		     &how, sizeof how);
	if (fd < 0)
		fd = -errno;
	close(base_fd);
	return (int)fd;
}

int owner_place_open(const struct owner_table *table, struct place place,
		     int flags)
{
	int fd;

	flags |= O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	if (place.trusted < strlen(place.path))
		return open_distrusted(table->root_fd, place, flags);
	fd = openat(table->root_fd, below(place.path), flags);
	return fd < 0 ? -errno : fd;
}

/* All of an open file, at most OWNER_FILE_SIZE bytes. */
static int read_whole(int fd, struct file *ret_file)
{
	struct stat status;
	size_t room, size = 0;
	ssize_t got = 0;
	char *bytes;

	if (fstat(fd, &status) != 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	if (status.st_size > OWNER_FILE_SIZE)
		return -EFBIG;
	room = (size_t)status.st_size + 1; /* one more: it may have grown */
	bytes = malloc(room + 1);
	if (!bytes)
		return -ENOMEM;
	while (size < room && (got = read(fd, bytes + size, room - size)) > 0)
		size += (size_t)got;
	if (got < 0) {
		free(bytes);
		return -errno;
	}
	bytes[size] = 0;
	*ret_file = (struct file){bytes, size};
	return 0;
}

static bool absent(int code)
{
	return code == -ENOENT || code == -ENOTDIR || code == -ESRCH;
}

int owner_file_read(struct owner_table *table, struct place place,
		    struct file *ret_file)
{
	int fd = owner_place_open(table, place, 0), rc;

	if (absent(fd))
		return -ENOENT;
	rc = fd < 0 ? fd : read_whole(fd, ret_file);
	if (fd >= 0)
		close(fd);
	if (absent(rc))
		return -ENOENT;
	if (rc != 0) {
		table->counters.files_unreadable++;
		owner_note_add(table, "%s: %s", place.path, err_sentence(rc));
		return rc;
	}
	table->counters.files_read++;
	return 0;
}

void owner_file_bad(struct owner_table *table, const char *path)
{
	table->counters.files_bad++;
	owner_note_add(table, "%s: not understood; nothing of it is used",
		       path);
}

void owner_folder_list(struct owner_table *table, struct place place,
		       void (*each)(void *context, const char *name,
				    uint8_t type),
		       void *context)
{
	int fd = owner_place_open(table, place, O_DIRECTORY);
	struct dirent *entry;
	DIR *folder;

	if (fd < 0) {
		if (!absent(fd))
			owner_note_add(table, "%s: %s", place.path,
				       err_sentence(fd));
		return;
	}
	folder = fdopendir(fd);
	if (!folder) {
		close(fd);
		return;
	}
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] != '.')
			each(context, entry->d_name, entry->d_type);
	}
	closedir(folder);
}
