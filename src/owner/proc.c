/* One process as /proc shows it.
 *
 * All is read through one descriptor of /proc/PID: it is that process or
 * nothing, whoever gets the pid next. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "owner/owner_private.h"

#define PIDNS_FIRST UINT32_C(0xeffffffc) /* <linux/proc_ns.h> */

int owner_proc_open(const struct owner_table *table, uint32_t pid)
{
	char name[32];

	snprintf(name, sizeof name, "proc/%u", pid);
	return openat(table->root_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Up to size - 1 bytes and a zero; negative: -errno. */
static ssize_t small_read(int folder_fd, const char *name, char *ret_bytes,
			  size_t size)
{
	int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return -errno;
	/* These files give all they have at once, if there is room. */
	got = read(fd, ret_bytes, size - 1);
	if (got < 0)
		got = -errno;
	close(fd);
	ret_bytes[got < 0 ? 0 : got] = 0;
	return got;
}

uint32_t owner_namespace_read(int folder_fd, const char *name)
{
	char text[64], path[32];
	const char *bracket;
	ssize_t length;

	snprintf(path, sizeof path, "ns/%s", name);
	length = readlinkat(folder_fd, path, text, sizeof text - 1);
	if (length <= 0)
		return 0;
	text[length] = 0;
	bracket = strchr(text, '[');
	return bracket ? (uint32_t)strtoul(bracket + 1, NULL, 10) : 0;
}

/* "boottime  -100  500000000": what this time namespace adds. */
static int64_t boot_offset(int folder_fd)
{
	char text[256];
	const char *line;
	long long seconds, ns;

	if (small_read(folder_fd, "timens_offsets", text, sizeof text) <= 0)
		return 0;
	line = strstr(text, "boottime");
	if (!line || sscanf(line, "boottime %lld %lld", &seconds, &ns) != 2)
		return 0;
	return seconds * NS_PER_S + ns;
}

void owner_proc_begin(struct owner_table *table)
{
	int fd = openat(table->root_fd, "proc/self",
			O_PATH | O_DIRECTORY | O_CLOEXEC);
	int first = owner_proc_open(table, 1);
	uint32_t mine = 0;

	if (fd >= 0) {
		mine = owner_namespace_read(fd, "pid");
		table->boot_offset_ns = boot_offset(fd);
		close(fd);
	}
	/* Of the first process, which is the host's where /proc is. */
	if (first >= 0) {
		table->host_pidns = owner_namespace_read(first, "pid");
		close(first);
	}
	if (table->host_pidns == 0)
		table->host_pidns = mine;
	table->pids_differ = !table->rooted && mine != 0 && mine != PIDNS_FIRST;
	if (table->pids_differ)
		owner_note_add(table, "/proc is of another pid namespace than "
				      "the kernel's events: paths and names "
				      "come from events alone");
}

/* ---- the members ---- */

static bool stat_read(int fd, struct owner_stat *ret_stat)
{
	char text[1024];
	ssize_t size = small_read(fd, "stat", text, sizeof text);

	return size > 0 && owner_stat_parse(text, (size_t)size, ret_stat);
}

static uint64_t start_of(const struct owner_table *table,
			 const struct owner_stat *stat)
{
	int64_t start = (int64_t)(stat->start_ticks * OWNER_TICK_NS) -
			table->boot_offset_ns;

	return start > 0 ? (uint64_t)start : 0;
}

/* The folder belongs to the effective user, dumpable or not: the kernel keeps
 * it so for ps, which would else read the slow /proc/PID/status. */
static void uid_read(struct owner_table *table, int fd,
		     struct owner_process *view)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return;
	if (view->uid != status.st_uid || !view->user)
		view->user = owner_user_name(table, status.st_uid);
	view->uid = status.st_uid;
}

static void exe_read(struct owner_table *table, int fd,
		     struct owner_process *view)
{
	static const char gone[] = " (deleted)";
	char path[PATH_MAX];
	ssize_t length = readlinkat(fd, "exe", path, sizeof path);
	size_t tail = strlen(gone);

	if (length <= 0 || length == sizeof path)
		return; /* none, or not ours to see */
	view->exe_deleted = (size_t)length > tail &&
			    memcmp(path + length - tail, gone, tail) == 0;
	owner_text_set(&table->texts, &view->exe, path,
		       (size_t)length - (view->exe_deleted ? tail : 0));
}

static void command_read(struct owner_table *table, int fd,
			 struct process *process)
{
	struct owner_process *view = &process->view;
	char text[8 * 1024];
	ssize_t size = small_read(fd, "cmdline", text, sizeof text);
	size_t length;

	if (size <= 0)
		return;
	if (owner_helper_is(view->comm))
		owner_helper_take(table, process, text, (size_t)size);
	length = (size_t)size;
	while (length > 0 && text[length - 1] == 0)
		length--;
	if (length > table->options.command_size)
		length = table->options.command_size;
	for (size_t i = 0; i < length; i++) {
		if (text[i] == 0)
			text[i] = ' ';
	}
	owner_text_set(&table->texts, &view->command, text, length);
}

/* ---- cgroups ---- */

struct lines {
	char *two;  /* version 2's path; NULL: there is no such line */
	char *best; /* of version 1 */
	int score;
};

static int score_of(struct owner_table *table, const char *controllers,
		    const char *path)
{
	if (strcmp(path, "/") == 0)
		return 0;
	if (owner_container_of_path(table, path))
		return 3;
	return strstr(controllers, "name=systemd") ? 2 : 1;
}

/* "4:memory:/a/b"; 'line' has no newline. */
static void line_take(struct owner_table *table, char *line,
		      struct lines *lines)
{
	static const char gone[] = " (deleted)";
	char *controllers = strchr(line, ':'), *path;
	size_t length;
	int score;

	path = controllers ? strchr(++controllers, ':') : NULL;
	if (!path || path[1] != '/')
		return;
	*path++ = 0;
	length = strlen(path);
	if (length > strlen(gone) &&
	    strcmp(path + length - strlen(gone), gone) == 0)
		path[length - strlen(gone)] = 0;
	if (*controllers == 0) {
		lines->two = path;
		return;
	}
	if (lines->best && strcmp(lines->best, path) == 0)
		return;
	score = score_of(table, controllers, path);
	if (score > lines->score || !lines->best) {
		lines->best = path;
		lines->score = score;
	}
}

static void cgroup_take(struct owner_table *table, struct process *process,
			const struct lines *lines)
{
	struct cgroup *group = NULL, *other = NULL;

	if (lines->two)
		group = owner_tree_path(table, lines->two);
	else if (lines->best)
		group = owner_cgroup_add(table, 0, lines->best);
	if (lines->two && lines->best && lines->score > 0 &&
	    strcmp(lines->two, lines->best) != 0 &&
	    (!group || !group->view.container))
		other = owner_cgroup_add(table, 0, lines->best);
	owner_process_group(process, &process->group, group);
	owner_process_group(process, &process->other, other);
	if (group && group->view.id != 0)
		process->view.cgroup_id = group->view.id;
}

static void cgroup_read(struct owner_table *table, int fd,
			struct process *process)
{
	char text[16 * 1024], *save, *line;
	struct lines lines = {0};

	if (small_read(fd, "cgroup", text, sizeof text) <= 0)
		return;
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		line_take(table, line, &lines);
	cgroup_take(table, process, &lines);
}

/* A container that its parent's arguments name. */
static void helper_bind(struct owner_table *table, struct process *process)
{
	struct container *container;

	if (process->bound || process->view.pidns == 0 ||
	    process->view.pidns == table->host_pidns)
		return;
	container = owner_helper_child(table, process->view.ppid);
	if (!container)
		return;
	owner_process_bind(process, container);
	if (container->view.init_pid == 0)
		container->view.init_pid = process->view.pid;
	owner_container_space(table, container, process->view.pidns);
}

static void parent_bind(struct owner_table *table, struct process *process)
{
	const struct process *parent;

	if (process->bound || process->view.ppid == 0)
		return;
	parent = owner_slot_find(table, process->view.ppid, 0);
	if (parent && parent->bound && process->view.pidns != table->host_pidns)
		owner_process_bind(process, parent->bound);
}

void owner_process_late(struct owner_table *table, struct process *process)
{
	helper_bind(table, process);
	parent_bind(table, process);
	owner_process_settle(table, process);
}

static void members_read(struct owner_table *table, int fd,
			 struct process *process, const struct owner_stat *stat)
{
	struct owner_process *view = &process->view;

	memcpy(view->comm, stat->comm, sizeof view->comm);
	view->ppid = stat->ppid;
	view->kernel = stat->kernel;
	uid_read(table, fd, view);
	cgroup_read(table, fd, process);
	view->pidns = owner_namespace_read(fd, "pid") ?: view->pidns;
	view->netns = owner_namespace_read(fd, "net") ?: view->netns;
	owner_process_settle(table, process);
	if (!view->kernel) {
		exe_read(table, fd, view);
		command_read(table, fd, process);
	}
	owner_process_late(table, process);
}

struct process *owner_proc_read(struct owner_table *table, uint32_t pid,
				uint64_t start_ns)
{
	int fd = owner_proc_open(table, pid);
	struct process *process = NULL;
	struct owner_stat stat;
	uint64_t read_ns = owner_boot_now(), start;

	if (fd < 0)
		return NULL;
	if (!stat_read(fd, &stat))
		goto out;
	start = start_of(table, &stat);
	if (start_ns != 0 && start != start_ns / OWNER_TICK_NS * OWNER_TICK_NS)
		goto out; /* the pid is another's now */
	process = owner_slot_find(table, pid, start ? start : 1);
	if (!process)
		process = owner_slot_add(table, pid, start ? start : 1, false);
	if (!process)
		goto out;
	process->seen = table->scan;
	if (process->life == LIFE_LIVE) {
		process->read_ns = read_ns;
		members_read(table, fd, process, &stat);
	}
out:
	close(fd);
	return process;
}
