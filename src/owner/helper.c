/* Daemons, shims and monitors: their arguments name folders and children.
 *
 * Only root's are believed for the host's folders, and none that is in a
 * container itself: its paths are others. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "owner/owner_private.h"

struct arguments {
	const char *bytes;
	size_t size;
};

static const char *named(struct arguments arguments, const char *names)
{
	return owner_argument(arguments.bytes, arguments.size, names);
}

static void host_folder(struct owner_table *table, enum owner_runtime runtime,
			const char *path)
{
	if (path && *path == '/')
		owner_folder_add(table, runtime, (struct place){path, SIZE_MAX},
				 OWNER_UID_UNKNOWN);
}

static void joined_folder(struct owner_table *table, enum owner_runtime runtime,
			  const char *path, const char *rest)
{
	char whole[OWNER_PATH_SIZE];
	int length = snprintf(whole, sizeof whole, "%s%s", path, rest);

	if (length > 0 && (size_t)length < sizeof whole)
		host_folder(table, runtime, whole);
}

static struct helper *helper_add(struct owner_table *table,
				 const struct process *process,
				 struct container *container)
{
	struct helper *free_one = NULL, *helper;

	for (size_t i = 0; i < table->helper_count; i++) {
		helper = &table->helpers[i];
		if (helper->pid == process->view.pid) {
			free_one = helper; /* the pid's former owner ended */
			break;
		}
		if (!free_one &&
		    !owner_slot_find(table, helper->pid, helper->start_ns))
			free_one = helper;
	}
	if (!free_one && table->helper_count < OWNER_HELPERS)
		free_one = &table->helpers[table->helper_count++];
	if (free_one)
		*free_one = (struct helper){process->view.pid,
					    process->view.start_ns, container};
	return free_one;
}

struct container *owner_helper_child(struct owner_table *table, uint32_t ppid)
{
	const struct process *parent;

	for (size_t i = 0; i < table->helper_count; i++) {
		if (table->helpers[i].pid != ppid)
			continue;
		parent = owner_slot_find(table, ppid, 0);
		if (parent &&
		    parent->view.start_ns / OWNER_TICK_NS ==
			    table->helpers[i].start_ns / OWNER_TICK_NS)
			return table->helpers[i].container;
	}
	return NULL;
}

/* ---- one function a program ---- */

static void take_config(struct owner_table *table, const char *path)
{
	struct file file;
	json_t *root;

	if (owner_file_read(table, (struct place){path, SIZE_MAX}, &file) != 0)
		return;
	root = json_loadb(file.bytes, file.size, 0, NULL);
	host_folder(table, OWNER_RUNTIME_DOCKER,
		    json_string_value(json_object_get(root, "data-root")));
	json_decref(root);
	free(file.bytes);
}

static void take_dockerd(struct owner_table *table,
			 const struct process *process,
			 struct arguments arguments)
{
	const char *exec_root = named(arguments, "--exec-root\0");

	(void)process;
	host_folder(table, OWNER_RUNTIME_DOCKER,
		    named(arguments, "--data-root\0-g\0--graph\0"));
	if (exec_root)
		joined_folder(table, OWNER_RUNTIME_CONTAINERD, exec_root,
			      "/containerd/daemon");
	take_config(table, named(arguments, "--config-file\0")
				   ?: "/etc/docker/daemon.json");
}

/* A line 'key = "value"' before the first section of a TOML file. */
static void take_toml(struct owner_table *table, const char *path)
{
	struct file file;
	char *save, *line, value[512];

	if (owner_file_read(table, (struct place){path, SIZE_MAX}, &file) != 0)
		return;
	for (line = strtok_r(file.bytes, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		line += strspn(line, " \t");
		if (*line == '[')
			break;
		if (sscanf(line, "state = \"%511[^\"]\"", value) == 1 ||
		    sscanf(line, "root = \"%511[^\"]\"", value) == 1)
			host_folder(table, OWNER_RUNTIME_CONTAINERD, value);
	}
	free(file.bytes);
}

static void take_containerd(struct owner_table *table,
			    const struct process *process,
			    struct arguments arguments)
{
	(void)process;
	host_folder(table, OWNER_RUNTIME_CONTAINERD,
		    named(arguments, "--state\0"));
	host_folder(table, OWNER_RUNTIME_CONTAINERD,
		    named(arguments, "--root\0"));
	take_toml(table, named(arguments, "--config\0-c\0")
				 ?: "/etc/containerd/config.toml");
}

/* A shim's folder is STATE/io.containerd.runtime.v2.task/NAMESPACE/ID. */
static void take_shim(struct owner_table *table, const struct process *process,
		      struct arguments arguments)
{
	char path[OWNER_PATH_SIZE], *at;
	int fd = owner_proc_open(table, process->view.pid);
	ssize_t length;

	(void)arguments;
	if (fd < 0)
		return;
	length = readlinkat(fd, "cwd", path, sizeof path - 1);
	close(fd);
	if (length <= 0)
		return;
	path[length] = 0;
	at = strstr(path, "/io.containerd.runtime.");
	if (!at)
		return;
	*at = 0;
	host_folder(table, OWNER_RUNTIME_CONTAINERD, path);
}

/* ROOT/overlay-containers/ID/userdata: cuts the last three. */
static bool storage_root(const char *bundle, char *ret_path, size_t size)
{
	char *at;

	if (*bundle != '/' || strlen(bundle) >= size)
		return false;
	owner_text_copy(ret_path, size, bundle);
	for (int i = 0; i < 3; i++) {
		at = strrchr(ret_path, '/');
		if (!at || at == ret_path)
			return false;
		*at = 0;
	}
	return true;
}

/* conmon of podman and CRI-O: "-c ID -n NAME -b BUNDLE". */
static void take_conmon(struct owner_table *table,
			const struct process *process,
			struct arguments arguments)
{
	const char *id = named(arguments, "-c\0--cid\0");
	const char *name = named(arguments, "-n\0--name\0");
	const char *bundle = named(arguments, "-b\0--bundle\0");
	uint32_t uid =
		process->view.uid ? process->view.uid : OWNER_UID_UNKNOWN;
	struct container *container;
	char root[OWNER_PATH_SIZE];

	if (!id || !owner_id_is_hex(id))
		return;
	if (bundle && storage_root(bundle, root, sizeof root))
		owner_folder_add(table, OWNER_RUNTIME_PODMAN,
				 (struct place){root, uid == OWNER_UID_UNKNOWN
							      ? SIZE_MAX
							      : 0},
				 uid);
	container = owner_container_get(table, OWNER_RUNTIME_PODMAN, "", id);
	if (!container) {
		container = owner_container_add(table, OWNER_RUNTIME_PODMAN, "",
						id);
		if (container)
			container->view.uid = uid;
	}
	/* A user's word counts for his own containers. */
	if (!container || (uid != OWNER_UID_UNKNOWN &&
			   container->view.uid != uid && container->pathed))
		return;
	if (container->view.name[0] == 0 && name &&
	    strlen(name) < sizeof container->view.name)
		owner_text_copy(container->view.name,
				sizeof container->view.name, name);
	if (!container->pathed)
		container->view.uid = uid;
	(void)helper_add(table, process, container);
}

/* "[lxc monitor] PATH NAME", one text with blanks. */
static void take_lxc(struct owner_table *table, const struct process *process,
		     struct arguments arguments)
{
	static const char title[] = "[lxc monitor] ", below[] = "/containers";
	char path[OWNER_PATH_SIZE];
	const char *blank;
	size_t length;
	enum owner_runtime runtime = OWNER_RUNTIME_LXC;

	(void)process;
	if (strncmp(arguments.bytes, title, strlen(title)) != 0)
		return;
	blank = strrchr(arguments.bytes, ' ');
	length = (size_t)(blank - arguments.bytes);
	if (length <= strlen(title) || length - strlen(title) >= sizeof path)
		return;
	length -= strlen(title);
	memcpy(path, arguments.bytes + strlen(title), length);
	path[length] = 0;
	if (length > strlen(below) &&
	    strcmp(path + length - strlen(below), below) == 0) {
		path[length - strlen(below)] = 0;
		runtime = strstr(path, "incus") ? OWNER_RUNTIME_INCUS
						: OWNER_RUNTIME_LXD;
	}
	host_folder(table, runtime, path);
}

/* Its children are the container; the name is the machine's, else that of the
 * folder or the image's file. */
static void take_nspawn(struct owner_table *table,
			const struct process *process,
			struct arguments arguments)
{
	const char *machine = named(arguments, "-M\0--machine\0");
	const char *image =
		named(arguments, "-D\0--directory\0-i\0--image\0--template\0");
	const char *base = image ? strrchr(image, '/') : NULL;
	struct owner_facts *facts = &table->facts;
	struct container *container;

	base = base ? base + 1 : image;
	machine = machine ?: base;
	if (!machine || *machine == 0 || strlen(machine) >= sizeof facts->id)
		return;
	container =
		owner_container_add(table, OWNER_RUNTIME_NSPAWN, "", machine);
	if (!container)
		return;
	memset(facts, 0, sizeof *facts);
	facts->runtime = OWNER_RUNTIME_NSPAWN;
	owner_text_copy(facts->name, sizeof facts->name, machine);
	if (image && strlen(image) < sizeof facts->image)
		owner_text_copy(facts->image, sizeof facts->image, image);
	owner_container_merge(table, container, facts);
	owner_container_named(table, container);
	(void)helper_add(table, process, container);
}

typedef void taker(struct owner_table *table, const struct process *process,
		   struct arguments arguments);

/* The kernel keeps 15 bytes of a name. */
static const struct program {
	const char *comm;
	taker *take;
	bool root_only;
} programs[] = {
	{"dockerd", take_dockerd, true},
	{"containerd", take_containerd, true},
	{"containerd-shim", take_shim, true},
	{"conmon", take_conmon, false},
	{"lxc-start", take_lxc, true},
	{"lxd", take_lxc, true},
	{"incusd", take_lxc, true},
	{"systemd-nspawn", take_nspawn, true},
};

static const struct program *program_find(const char *comm)
{
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		if (strcmp(programs[i].comm, comm) == 0)
			return &programs[i];
	}
	return NULL;
}

bool owner_helper_is(const char *comm)
{
	return program_find(comm) != NULL;
}

void owner_helper_take(struct owner_table *table, const struct process *process,
		       const char *arguments, size_t size)
{
	const struct program *program = program_find(process->view.comm);

	if (!program || process->view.container ||
	    process->view.pidns != table->host_pidns ||
	    (program->root_only && process->view.uid != 0))
		return;
	program->take(table, process, (struct arguments){arguments, size});
}
