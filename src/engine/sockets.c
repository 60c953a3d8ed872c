/* UDP sockets as /proc tells them: descriptors name inodes, and the tables of
 * a network namespace say which port an inode has. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/sockets_private.h"

struct inodes {
	uint64_t of[SOCKETS_MAX];
	size_t count;
};

static bool inodes_have(const struct inodes *inodes, uint64_t inode)
{
	for (size_t i = 0; i < inodes->count; i++) {
		if (inodes->of[i] == inode)
			return true;
	}
	return false;
}

/* "socket:[4711]" */
static bool inode_read(int folder, const char *name, uint64_t *ret_inode)
{
	char target[64];
	ssize_t size = readlinkat(folder, name, target, sizeof target - 1);

	if (size < 0)
		return false;
	target[size] = 0;
	if (strncmp(target, "socket:[", 8) != 0)
		return false;
	*ret_inode = strtoull(target + 8, NULL, 10);
	return true;
}

/* What of a process's descriptors are sockets.  Returns 0 or -errno. */
static int descriptors_read(pid_t pid, struct inodes *ret_inodes)
{
	char path[64];
	struct dirent *entry;
	DIR *folder;

	ret_inodes->count = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	if (!folder)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((entry = readdir(folder)) && ret_inodes->count < SOCKETS_MAX) {
		uint64_t inode;

		if (inode_read(dirfd(folder), entry->d_name, &inode))
			ret_inodes->of[ret_inodes->count++] = inode;
	}
	closedir(folder);
	return 0;
}

#define COLUMN_LOCAL 1
#define COLUMN_INODE 9

/* A line of /proc/net/udp: " 12: 0100007F:0035 00000000:0000 07 ... inode".
 * False: its headline. */
static bool line_read(char *line, uint16_t *ret_port, uint64_t *ret_inode)
{
	char *rest = NULL, *local = NULL, *end;
	char *word = strtok_r(line, " ", &rest);

	for (int column = 0; word; column++) {
		if (column == COLUMN_LOCAL)
			local = strchr(word, ':');
		if (column == COLUMN_INODE)
			break;
		word = strtok_r(NULL, " ", &rest);
	}
	if (!word || !local)
		return false;
	*ret_port = (uint16_t)strtoul(local + 1, &end, 16);
	*ret_inode = strtoull(word, NULL, 10);
	return *end == 0;
}

/* Calls 'take' for each UDP socket of a process's network namespace. */
static void table_read(const char *process,
		       void (*take)(void *context, uint16_t port,
				    uint64_t inode),
		       void *context)
{
	static const char *const names[] = {"udp", "udp6"};
	char path[64], line[512];

	for (size_t i = 0; i < 2; i++) {
		FILE *table;

		(void)snprintf(path, sizeof path, "/proc/%s/net/%s", process,
			       names[i]);
		table = fopen(path, "re");
		while (table && fgets(line, sizeof line, table)) {
			uint16_t port;
			uint64_t inode;

			if (line_read(line, &port, &inode))
				take(context, port, inode);
		}
		if (table)
			fclose(table);
	}
}

/* ---- of a process ---------------------------------------------------------
 */

struct of_process {
	struct inodes inodes;
	uint16_t *ports;
	size_t count;
};

static void port_take(void *context, uint16_t port, uint64_t inode)
{
	struct of_process *of = context;

	if (port == 0 || of->count == SOCKETS_MAX ||
	    !inodes_have(&of->inodes, inode))
		return;
	for (size_t i = 0; i < of->count; i++) {
		if (of->ports[i] == port)
			return;
	}
	of->ports[of->count++] = port;
}

int sockets_of_process(pid_t pid, uint16_t ret_ports[SOCKETS_MAX])
{
	struct of_process *of = calloc(1, sizeof *of);
	char process[16];
	int rc;

	if (!of)
		return -ENOMEM;
	of->ports = ret_ports;
	(void)snprintf(process, sizeof process, "%d", (int)pid);
	rc = descriptors_read(pid, &of->inodes);
	if (rc == 0) {
		table_read(process, port_take, of);
		rc = (int)of->count;
	}
	free(of);
	return rc;
}

/* ---- of a port ------------------------------------------------------------
 */

struct of_port {
	struct inodes inodes;
	uint16_t port;
};

static void inode_take(void *context, uint16_t port, uint64_t inode)
{
	struct of_port *of = context;

	if (port == of->port && of->inodes.count < SOCKETS_MAX)
		of->inodes.of[of->inodes.count++] = inode;
}

static bool process_has(pid_t pid, const struct inodes *wanted,
			struct inodes *scratch)
{
	if (descriptors_read(pid, scratch) < 0)
		return false;
	for (size_t i = 0; i < scratch->count; i++) {
		if (inodes_have(wanted, scratch->of[i]))
			return true;
	}
	return false;
}

static int owners_find(const struct inodes *wanted, pid_t *ret_pids, size_t max)
{
	struct inodes *scratch = calloc(1, sizeof *scratch);
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	size_t count = 0;

	while (scratch && folder && count < max && (entry = readdir(folder))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (isdigit((unsigned char)entry->d_name[0]) &&
		    process_has(pid, wanted, scratch))
			ret_pids[count++] = pid;
	}
	if (folder)
		closedir(folder);
	free(scratch);
	return (int)count;
}

int sockets_owners(uint16_t port, pid_t *ret_pids, size_t max, int *ret_used)
{
	struct of_port *of = calloc(1, sizeof *of);
	int count = 0;

	*ret_used = 0;
	if (!of)
		return 0;
	of->port = port;
	table_read("thread-self", inode_take, of);
	*ret_used = of->inodes.count > 0;
	if (*ret_used)
		count = owners_find(&of->inodes, ret_pids, max);
	free(of);
	return count;
}
