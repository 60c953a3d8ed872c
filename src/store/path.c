/* The files around the database: its folder, its lock, its first bytes. */
#include "store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"

int path_fault(const char *path, int error, struct fault *ret_fault)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return fault_set(ret_fault, -EACCES,
				 "%s: permission denied; run as root or set "
				 "'database' to a path you may write",
				 path);
	case EROFS:
		return fault_set(ret_fault, -EACCES,
				 "%s: the file system is read-only; set "
				 "'database' to a path you may write",
				 path);
	case ENOSPC:
	case EDQUOT:
		return fault_set(ret_fault, -ENOSPC,
				 "%s: no space left; free some or set "
				 "'database' to a path on another disk",
				 path);
	case ENOTDIR:
	case EISDIR:
	case ENAMETOOLONG:
	case ELOOP:
		return fault_set(ret_fault, -error,
				 "%s: %s; set 'database' to the path of a "
				 "file",
				 path, err_sentence(-error));
	default:
		return fault_set(ret_fault, -error, "%s: %s", path,
				 err_sentence(-error));
	}
}

/* One folder that may exist already. */
static int folder_make(const char *folder, struct fault *ret_fault)
{
	int error;

	if (mkdir(folder, 0750) == 0)
		return 0;
	error = errno;
	if (error == EEXIST || access(folder, F_OK) == 0)
		return 0;
	return path_fault(folder, error, ret_fault);
}

int path_folder_make(const char *path, struct fault *ret_fault)
{
	char folder[PATH_MAX];
	size_t length = strlen(path);
	int rc = 0;

	if (length == 0 || length + sizeof "-wal.lock" > sizeof folder)
		return path_fault(path, length ? ENAMETOOLONG : ENOENT,
				  ret_fault);
	memcpy(folder, path, length + 1);
	for (char *at = strchr(folder + 1, '/'); at && rc == 0;
	     at = strchr(at + 1, '/')) {
		*at = '\0';
		rc = folder_make(folder, ret_fault);
		*at = '/';
	}
	return rc;
}

/* The database header's layout: sqlite.org/fileformat2.html, section 1.3. */
static int header_check(const char *path, const uint8_t bytes[100],
			ssize_t size, struct fault *ret_fault)
{
	uint32_t version = load_be32(bytes + 60);
	uint32_t application = load_be32(bytes + 68);

	if (size == 0)
		return 0;
	if (size < 100 || memcmp(bytes, "SQLite format 3", 16) != 0)
		return fault_set(ret_fault, -EINVAL,
				 "%s: not a database; set 'database' to "
				 "another path or move that file away",
				 path);
	if (application == STORE_APPLICATION_ID &&
	    version > STORE_SCHEMA_VERSION)
		return fault_set(ret_fault, ERR_STORE_SCHEMA,
				 "%s: has schema %u, made by a newer version; "
				 "this one reads up to %d: use the newer "
				 "version or another path",
				 path, version, STORE_SCHEMA_VERSION);
	return 0;
}

int path_file_check(const char *path, struct fault *ret_fault)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint8_t bytes[100] = {0};
	struct stat st;
	ssize_t size = 0;
	int rc = 0;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return path_fault(path, errno, ret_fault);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		rc = path_fault(path, EISDIR, ret_fault);
	else if (!S_ISREG(st.st_mode))
		rc = fault_set(ret_fault, -EINVAL,
			       "%s: not a file; set 'database' to the path of "
			       "a file",
			       path);
	else
		size = pread(fd, bytes, sizeof bytes, 0);
	if (rc == 0)
		rc = size < 0 ? path_fault(path, errno, ret_fault)
			      : header_check(path, bytes, size, ret_fault);
	(void)close(fd);
	return rc;
}

static int lock_refused(const char *path, int fd, struct fault *ret_fault)
{
	char text[16] = "";
	long holder;

	if (pread(fd, text, sizeof text - 1, 0) < 0)
		text[0] = '\0';
	holder = strtol(text, NULL, 10);
	if (holder > 0)
		return fault_set(ret_fault, -EBUSY,
				 "%s: another sonde (process %ld) writes it; "
				 "stop that one or set 'database' to another "
				 "path",
				 path, holder);
	return fault_set(ret_fault, -EBUSY,
			 "%s: another sonde writes it; stop that one or set "
			 "'database' to another path",
			 path);
}

/* A lock on a file that was removed meanwhile guards nothing. */
static bool lock_current(int fd, const char *lock_path)
{
	struct stat held, there;

	return fstat(fd, &held) == 0 && stat(lock_path, &there) == 0 &&
	       held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

/* Locks of an open file description (fcntl(2)) vanish with their process
 * however it ends, and hold between two stores of one process too. */
int path_lock(const char *path, const char *lock_path, int *ret_fd,
	      struct fault *ret_fault)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char text[16];
	int fd, length, rc;

	for (;;) {
		fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			  0640);
		if (fd < 0)
			return path_fault(lock_path, errno, ret_fault);
		if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
			rc = errno == EAGAIN || errno == EACCES
				     ? lock_refused(path, fd, ret_fault)
				     : path_fault(lock_path, errno, ret_fault);
			(void)close(fd);
			return rc;
		}
		if (lock_current(fd, lock_path))
			break;
		(void)close(fd);
	}
	/* The holder's number serves the sentence above, nothing else. */
	length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)length, 0) < 0)
		(void)ftruncate(fd, 0);
	*ret_fd = fd;
	return 0;
}

/* The file goes before the lock; one that is another's by now stays. */
void path_unlock(const char *lock_path, int fd)
{
	if (fd < 0)
		return;
	if (lock_current(fd, lock_path))
		(void)unlink(lock_path);
	(void)close(fd);
}

int path_file_make(const char *path, bool *ret_made, struct fault *ret_fault)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	*ret_made = fd >= 0;
	if (fd < 0 && errno != EEXIST)
		return path_fault(path, errno, ret_fault);
	if (fd < 0 && faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) < 0)
		return path_fault(path, errno, ret_fault);
	if (fd >= 0)
		(void)close(fd);
	return 0;
}
