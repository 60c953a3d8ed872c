/* A host made of files: every runtime's container in /proc, the tree and the
 * runtimes' folders, on version 1, hybrid and version 2 cgroups. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "check.h"
#include "owner/owner.h"

#define D0 "d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0"
#define D1 "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1"
#define DB "dbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdbdb"
#define A0 "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0"
#define A1 "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"
#define B0 "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0"
#define C0 "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0"
#define E0 "e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0"
#define E1 "e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1"
#define F0 "f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0"
#define F1 "f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1"

#define POD "/kubepods/burstable/pod12345678-aaaa-bbbb-cccc-1234567890ab/"
#define CRIO                                                       \
	"/kubepods.slice/kubepods-burstable.slice/kubepods-"       \
	"burstable-pod99887766_5544_3322_1100_aabbccddeeff.slice/" \
	"crio-" C0 ".scope"
#define HOST    4026531836U
#define TICK_NS UINT64_C(10000000)
#define WALL    INT64_C(1700000000000000000)

static const char *source;
static char root[64];

enum tree { TREE_HYBRID, TREE_TWO, TREE_ONE };

static const struct process {
	uint32_t pid, ppid;
	const char *comm, *cgroup, *command;
	uint32_t pidns;
	uint64_t start_ticks; /* 0: 100 */
	/* What is to be known. */
	enum owner_runtime runtime;
	const char *id, *name, *image;
	bool users; /* needs folders of other users: root */
} processes[] = {
	{.pid = 1, .comm = "init", .cgroup = "/init.scope", .pidns = HOST},
	{.pid = 100,
	 .ppid = 1,
	 .comm = "nginx",
	 .cgroup = "/system.slice/nginx.service",
	 .pidns = HOST,
	 .command = "nginx: worker"},
	{.pid = 300,
	 .ppid = 1,
	 .comm = "web",
	 .cgroup = "/docker/" D0,
	 .pidns = 501,
	 .runtime = OWNER_RUNTIME_DOCKER,
	 .id = D0,
	 .name = "web",
	 .image = "registry.example/web:1.2"},
	/* Executed into it, by its cgroup; a shell entered by namespace. */
	{.pid = 330,
	 .ppid = 1,
	 .comm = "sh",
	 .cgroup = "/docker/" D0,
	 .pidns = 501,
	 .runtime = OWNER_RUNTIME_DOCKER,
	 .id = D0,
	 .name = "web",
	 .image = "registry.example/web:1.2"},
	{.pid = 331,
	 .ppid = 1,
	 .comm = "sh",
	 .cgroup = "/user.slice",
	 .pidns = 501,
	 .runtime = OWNER_RUNTIME_DOCKER,
	 .id = D0,
	 .name = "web",
	 .image = "registry.example/web:1.2"},
	{.pid = 301,
	 .ppid = 1,
	 .comm = "api",
	 .cgroup = "/kubepods.slice/kubepods-besteffort.slice/kubepods-"
		   "besteffort-pod0f1e2d3c_0000_1111_2222_333344445555.slice/"
		   "docker-" D1 ".scope",
	 .pidns = 502,
	 .runtime = OWNER_RUNTIME_DOCKER,
	 .id = D1,
	 .name = "k8s_api_api-7d9_shop_0f1e2d3c-0000-1111-2222-333344445555_0",
	 .image = "sha256:ababababababababababababababababababababababababababa"
		  "bababababab"},
	/* Its file is damaged: an id without a name. */
	{.pid = 302,
	 .ppid = 1,
	 .comm = "bad",
	 .cgroup = "/system.slice/docker-" DB ".scope",
	 .pidns = 503,
	 .runtime = OWNER_RUNTIME_DOCKER,
	 .id = DB,
	 .name = "",
	 .image = ""},
	{.pid = 303,
	 .ppid = 1,
	 .comm = "postgres",
	 .cgroup = "/libpod_parent/libpod-" A0,
	 .pidns = 504,
	 .runtime = OWNER_RUNTIME_PODMAN,
	 .id = A0,
	 .name = "db",
	 .image = "docker.io/library/postgres:16"},
	{.pid = 304,
	 .ppid = 1,
	 .comm = "redis",
	 .cgroup = "/machine.slice/libpod-" A1 ".scope/container",
	 .pidns = 505,
	 .runtime = OWNER_RUNTIME_PODMAN,
	 .id = A1,
	 .name = "cache",
	 .image = "docker.io/library/redis:7"},
	{.pid = 305,
	 .ppid = 1,
	 .comm = "app",
	 .cgroup = POD E0,
	 .pidns = 506,
	 .runtime = OWNER_RUNTIME_CONTAINERD,
	 .id = E0,
	 .name = "app",
	 .image = "registry.example/app:9"},
	{.pid = 306,
	 .ppid = 1,
	 .comm = "pause",
	 .cgroup = POD E1,
	 .pidns = 507,
	 .runtime = OWNER_RUNTIME_CONTAINERD,
	 .id = E1,
	 .name = "app-1",
	 .image = ""},
	{.pid = 307,
	 .ppid = 1,
	 .comm = "web",
	 .cgroup = CRIO,
	 .pidns = 508,
	 .runtime = OWNER_RUNTIME_CRIO,
	 .id = C0,
	 .name = "k8s_web_web-0_prod_99887766-5544-3322-1100-aabbccddeeff_0",
	 .image = "quay.io/web:5"},
	{.pid = 308,
	 .ppid = 1,
	 .comm = "redis-server",
	 .cgroup = "/sonde/redis/below",
	 .pidns = 509,
	 .runtime = OWNER_RUNTIME_CONTAINERD,
	 .id = "redis",
	 .name = "redis",
	 .image = "docker.io/library/redis:7"},
	{.pid = 310,
	 .ppid = 1,
	 .comm = "plain",
	 .cgroup = "/plain",
	 .pidns = 510,
	 .start_ticks = 5000,
	 .runtime = OWNER_RUNTIME_RUNC,
	 .id = "plain",
	 .name = "plain",
	 .image = "/srv/plain/rootfs"},
	{.pid = 312,
	 .ppid = 1,
	 .comm = "quick",
	 .cgroup = "/quick",
	 .pidns = 511,
	 .start_ticks = 5200,
	 .runtime = OWNER_RUNTIME_RUNC,
	 .id = "quick",
	 .name = "quick",
	 .image = "/srv/quick/rootfs"},
	/* Its pid is another's now. */
	{.pid = 311,
	 .ppid = 1,
	 .comm = "other",
	 .cgroup = "/gone",
	 .pidns = HOST},
	{.pid = 313,
	 .ppid = 1,
	 .comm = "sh",
	 .cgroup = "/lxc.payload.web/.lxc",
	 .pidns = 512,
	 .runtime = OWNER_RUNTIME_LXC,
	 .id = "web",
	 .name = "web",
	 .image = "dir:/var/lib/lxc/web/rootfs"},
	{.pid = 314,
	 .ppid = 1,
	 .comm = "sh",
	 .cgroup = "/lxc.payload.xd",
	 .pidns = 513,
	 .runtime = OWNER_RUNTIME_LXD,
	 .id = "xd",
	 .name = "xd",
	 .image = "Debian bookworm amd64 (20240501)"},
	/* Nobody has its files. */
	{.pid = 332,
	 .ppid = 1,
	 .comm = "who",
	 .cgroup = "/ecs/task/" F0,
	 .pidns = 514,
	 .runtime = OWNER_RUNTIME_UNKNOWN,
	 .id = F0,
	 .name = "",
	 .image = ""},
	/* docker in docker: the outer one is known, the inner one's files are
	 * inside. */
	{.pid = 333,
	 .ppid = 1,
	 .comm = "inner",
	 .cgroup = "/docker/" D0 "/docker/" F1,
	 .pidns = 515,
	 .runtime = OWNER_RUNTIME_DOCKER,
	 .id = D0,
	 .name = "web",
	 .image = "registry.example/web:1.2"},
	/* nspawn: its children, theirs, and who entered. */
	{.pid = 315,
	 .ppid = 1,
	 .comm = "systemd-nspawn",
	 .cgroup = "/supervisor",
	 .pidns = HOST,
	 .command = "systemd-nspawn\0-M\0box\0-D\0/srv/box"},
	{.pid = 316,
	 .ppid = 315,
	 .comm = "init",
	 .cgroup = "/payload",
	 .pidns = 516,
	 .runtime = OWNER_RUNTIME_NSPAWN,
	 .id = "box",
	 .name = "box",
	 .image = "/srv/box",
	 .users = true},
	{.pid = 317,
	 .ppid = 316,
	 .comm = "sh",
	 .cgroup = "/payload",
	 .pidns = 516,
	 .runtime = OWNER_RUNTIME_NSPAWN,
	 .id = "box",
	 .name = "box",
	 .image = "/srv/box",
	 .users = true},
	{.pid = 318,
	 .ppid = 1,
	 .comm = "sh",
	 .cgroup = "/user.slice",
	 .pidns = 516,
	 .runtime = OWNER_RUNTIME_NSPAWN,
	 .id = "box",
	 .name = "box",
	 .image = "/srv/box",
	 .users = true},
	/* A user's podman: no cgroup tells it. */
	{.pid = 319,
	 .ppid = 1,
	 .comm = "monitor",
	 .cgroup = "/",
	 .pidns = HOST},
	{.pid = 320,
	 .ppid = 319,
	 .comm = "mine",
	 .cgroup = "/",
	 .pidns = 517,
	 .start_ticks = 6000,
	 .runtime = OWNER_RUNTIME_PODMAN,
	 .id = B0,
	 .name = "mine",
	 .image = "localhost/mine:1",
	 .users = true},
	{.pid = 321,
	 .ppid = 1,
	 .comm = "sh",
	 .cgroup = "/",
	 .pidns = 517,
	 .runtime = OWNER_RUNTIME_PODMAN,
	 .id = B0,
	 .name = "mine",
	 .image = "localhost/mine:1",
	 .users = true},
};

#define COUNT (sizeof processes / sizeof *processes)

static void put(const char *name, const char *bytes, size_t size)
{
	char path[1024];
	int fd;

	snprintf(path, sizeof path, "%s/%s", root, name);
	for (char *at = strchr(path + strlen(root) + 1, '/'); at;
	     at = strchr(at + 1, '/')) {
		*at = 0;
		(void)mkdir(path, 0755);
		*at = '/';
	}
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

static void put_link(const char *name, const char *target)
{
	char path[1024];

	put(name, "", 0); /* the folders before it */
	snprintf(path, sizeof path, "%s/%s", root, name);
	unlink(path);
	assert_int_equal(symlink(target, path), 0);
}

static size_t command_size(const char *command)
{
	size_t size = 0;

	if (strncmp(command, "systemd-nspawn", 14) != 0)
		return strlen(command);
	for (int words = 0; words < 5; words++)
		size += strlen(command + size) + 1;
	return size;
}

static void put_process(const struct process *is, enum tree tree)
{
	char name[128], text[1024];

	snprintf(name, sizeof name, "proc/%u/stat", is->pid);
	snprintf(text, sizeof text,
		 "%u (%s) S %u 0 0 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 %llu "
		 "0 0\n",
		 is->pid, is->comm, is->ppid,
		 (unsigned long long)(is->start_ticks ?: 100));
	put(name, text, strlen(text));
	snprintf(name, sizeof name, "proc/%u/cgroup", is->pid);
	snprintf(text, sizeof text,
		 tree == TREE_ONE ? "4:memory:%s\n2:cpu,cpuacct:/\n"
				    "1:name=systemd:/\n"
		 : tree == TREE_TWO
			 ? "0::%s\n"
			 : "4:memory:/\n1:name=systemd:/init.scope\n0::%s\n",
		 is->cgroup);
	put(name, text, strlen(text));
	snprintf(name, sizeof name, "proc/%u/cmdline", is->pid);
	put(name, is->command ?: is->comm,
	    command_size(is->command ?: is->comm));
	snprintf(name, sizeof name, "proc/%u/exe", is->pid);
	snprintf(text, sizeof text, "/usr/bin/%s%s", is->comm,
		 is->pid == 100 ? " (deleted)" : "");
	put_link(name, text);
	snprintf(name, sizeof name, "proc/%u/ns/pid", is->pid);
	snprintf(text, sizeof text, "pid:[%u]", is->pidns);
	put_link(name, text);
	snprintf(name, sizeof name, "proc/%u/ns/net", is->pid);
	snprintf(text, sizeof text, "net:[%u]", is->pidns + 10000);
	put_link(name, text);
	if (tree != TREE_ONE) {
		snprintf(text, sizeof text, "sys/fs/cgroup/%s%s/x",
			 tree == TREE_HYBRID ? "unified" : "", is->cgroup);
		put(text, "", 0);
	}
}

static void make_root(enum tree tree)
{
	static const char *const links[] = {"etc", "home", "run", "var"};
	char target[1024], name[64];

	strcpy(root, "/tmp/sonde-owner-XXXXXX");
	assert_non_null(mkdtemp(root));
	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		snprintf(target, sizeof target, "%s/tests/owner/root/%s",
			 source, links[i]);
		put_link(links[i], target);
	}
	if (tree != TREE_ONE) {
		snprintf(name, sizeof name,
			 "sys/fs/cgroup/%scgroup.controllers",
			 tree == TREE_HYBRID ? "unified/" : "");
		put(name, "", 0);
	}
	for (size_t i = 0; i < COUNT; i++)
		put_process(&processes[i], tree);
	put("proc/self/ns/x", "", 0);
	put("proc/tty/x", "", 0); /* no process */
	snprintf(target, sizeof target, "%s/proc/319", root);
	if (geteuid() == 0)
		assert_int_equal(chown(target, 1000, 1000), 0);
}

static int remove_one(const char *path, const struct stat *status, int type,
		      struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

static void remove_below(const char *name)
{
	char path[1024];

	snprintf(path, sizeof path, "%s/%s", root, name);
	assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static struct owner_table *scanned(void)
{
	struct owner_options options = {.root = root, .wall_of_boot_ns = WALL};
	struct owner_table *table;
	struct fault fault;

	assert_int_equal(owner_table_create(&options, &table, &fault), 0);
	assert_int_equal(owner_scan(table, &fault), 0);
	return table;
}

static uint64_t start_of(const struct process *is)
{
	return (is->start_ticks ?: 100) * TICK_NS;
}

static void check_process(struct owner_table *table, const struct process *is)
{
	const struct owner_process *process =
		owner_process_find(table, is->pid, start_of(is));

	print_message("# %u: %s\n", is->pid, is->cgroup);
	assert_non_null(process);
	assert_string_equal(process->comm, is->comm);
	assert_int_equal(process->ppid, is->ppid);
	assert_int_equal(process->pidns, is->pidns);
	assert_int_equal(process->netns, is->pidns + 10000);
	assert_string_equal(process->cgroup, is->cgroup);
	assert_int_equal(process->start.ns, WALL + (int64_t)start_of(is));
	assert_false(process->start_exact || process->ended);
	assert_int_equal(process->exe_deleted, is->pid == 100);
	assert_non_null(process->exe);
	assert_null(strstr(process->exe, "deleted"));
	if (is->users && geteuid() != 0)
		return;
	if (is->runtime == OWNER_RUNTIME_NONE) {
		assert_null(process->container);
		return;
	}
	assert_non_null(process->container);
	assert_string_equal(process->container->id, is->id);
	assert_int_equal(process->container->runtime, is->runtime);
	assert_string_equal(process->container->name, is->name);
	assert_string_equal(process->container->image, is->image);
	assert_false(process->container->ended);
}

static void check_notes(struct owner_table *table)
{
	assert_int_equal(owner_counters(table).files_bad, 1);
	assert_int_equal(owner_counters(table).files_unreadable, 0);
	assert_non_null(strstr(owner_note(table, 0), DB "/config.v2.json"));
	assert_null(owner_note(table, 1));
}

static void check_all(enum tree tree)
{
	struct owner_table *table;
	const struct owner_process *process;

	make_root(tree);
	table = scanned();
	for (size_t i = 0; i < COUNT; i++)
		check_process(table, &processes[i]);
	assert_int_equal(owner_counters(table).processes_scanned, COUNT);
	check_notes(table);
	process = owner_process_find(table, 100, 0);
	assert_string_equal(process->unit, "nginx.service");
	assert_string_equal(process->slice, "system.slice");
	assert_string_equal(process->command, "nginx: worker");
	process = owner_process_find(table, 305, 0);
	assert_string_equal(process->container->pod_name, "app-1");
	assert_string_equal(process->container->pod_namespace, "default");
	assert_string_equal(process->container->pod_container, "app");
	assert_string_equal(process->container->pod_id, E1);
	assert_true(owner_process_find(table, 306, 0)->container->sandbox);
	process = owner_process_find(table, 307, 0);
	assert_string_equal(process->container->pod_name, "web-0");
	assert_string_equal(process->container->pod_namespace, "prod");
	if (tree == TREE_ONE)
		assert_int_equal(process->cgroup_id, 0);
	else
		assert_ptr_equal(owner_container_of(table, process->cgroup_id),
				 process->container);
	owner_table_destroy(table);
	remove_below("");
}

static void hybrid_cgroups(void **state)
{
	(void)state;
	check_all(TREE_HYBRID);
}

static void cgroups_of_version_2(void **state)
{
	(void)state;
	check_all(TREE_TWO);
}

static void cgroups_of_version_1(void **state)
{
	(void)state;
	check_all(TREE_ONE);
}

/* What events leave open a turn reads, and no event does. */
static void turns_read_what_events_left_open(void **state)
{
	static const struct process late = {.pid = 700,
					    .ppid = 1,
					    .comm = "late",
					    .cgroup = "/docker/" D1,
					    .pidns = 550,
					    .start_ticks = 7000};
	struct owner_event event = {.pid = 700,
				    .ppid = 1,
				    .start_ns = 7000 * TICK_NS + 1234,
				    .uid = OWNER_UID_UNKNOWN,
				    .comm = "sh"};
	struct owner_table *table;
	const struct owner_process *process;
	struct stat status;
	char path[1024];

	(void)state;
	make_root(TREE_HYBRID);
	table = scanned();
	put_process(&late, TREE_HYBRID);
	snprintf(path, sizeof path, "%s/sys/fs/cgroup/unified/docker/" D1,
		 root);
	assert_int_equal(stat(path, &status), 0);
	process = owner_process_begin(table, &event);
	assert_string_equal(process->command, "init"); /* fork copied it */
	/* A socket's cgroup, as yet without a name. */
	assert_null(owner_cgroup_find(table, status.st_ino));
	assert_int_equal(owner_turn(table, (struct mono){NS_PER_S}), 0);
	process = owner_process_find(table, 700, event.start_ns);
	assert_string_equal(process->comm, "late");
	assert_string_equal(process->exe, "/usr/bin/late");
	assert_true(process->start_exact);
	assert_string_equal(process->container->id, D1);
	assert_ptr_equal(owner_container_of(table, status.st_ino),
			 process->container);
	assert_int_equal(owner_counters(table).processes_resolved, 1);
	/* Exec: what was read before is forgotten; another pid's files are not
	 * taken for it. */
	event.start_ns += TICK_NS;
	event.filename = "/bin/new";
	owner_process_exec(table, &event);
	owner_turn(table, (struct mono){3 * NS_PER_S});
	process = owner_process_find(table, 700, event.start_ns);
	assert_null(process->exe);
	assert_string_equal(process->filename, "/bin/new");
	assert_int_equal(owner_counters(table).processes_unresolved, 1);
	owner_table_destroy(table);
	remove_below("");
}

static void looked_for_and_not_known_is_read(void **state)
{
	static const struct process late = {.pid = 701,
					    .ppid = 1,
					    .comm = "asked",
					    .cgroup = "/",
					    .pidns = HOST,
					    .start_ticks = 7100};
	struct owner_table *table;

	(void)state;
	make_root(TREE_HYBRID);
	table = scanned();
	put_process(&late, TREE_HYBRID);
	assert_null(owner_process_find(table, 701, 7100 * TICK_NS + 5));
	assert_null(owner_process_find(table, 702, 7100 * TICK_NS + 5));
	owner_turn(table, (struct mono){NS_PER_S});
	assert_string_equal(
		owner_process_find(table, 701, 7100 * TICK_NS + 5)->exe,
		"/usr/bin/asked");
	assert_true(owner_process_find(table, 701, 7100 * TICK_NS + 5)
			    ->start_exact);
	assert_null(owner_process_find(table, 702, 7100 * TICK_NS + 5));
	assert_int_equal(owner_counters(table).lookups_unknown, 3);
	owner_table_destroy(table);
	remove_below("");
}

static void a_scan_ends_what_is_gone(void **state)
{
	struct owner_table *table;
	const struct owner_container *web;
	struct fault fault;

	(void)state;
	make_root(TREE_TWO);
	table = scanned();
	web = owner_container_find(table, OWNER_RUNTIME_LXC, "web");
	assert_non_null(web);
	remove_below("proc/313");
	remove_below("sys/fs/cgroup/lxc.payload.web");
	assert_int_equal(owner_scan(table, &fault), 0);
	assert_true(owner_process_find(table, 313, 100 * TICK_NS)->ended);
	assert_int_equal(owner_process_find(table, 313, 100 * TICK_NS)->end_ns,
			 0);
	assert_true(web->ended);
	assert_int_equal(owner_counters(table).processes_vanished, 1);
	assert_false(owner_process_find(table, 314, 100 * TICK_NS)->ended);
	owner_table_destroy(table);
	remove_below("");
}

/* A pipe, a folder and a huge file in the place of a runtime's file. */
static void what_is_no_file_is_counted(void **state)
{
	char path[1024];
	struct owner_table *table;

	(void)state;
	make_root(TREE_HYBRID);
	snprintf(path, sizeof path, "%s/var", root);
	assert_int_equal(unlink(path), 0);
	put("var/lib/docker/containers/" D0 "/x", "", 0);
	put("var/lib/docker/containers/" DB "/config.v2.json/x", "", 0);
	put("var/lib/docker/containers/" D1 "/config.v2.json", "", 0);
	snprintf(path, sizeof path,
		 "%s/var/lib/docker/containers/" D0 "/config.v2.json", root);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(path, sizeof path,
		 "%s/var/lib/docker/containers/" D1 "/config.v2.json", root);
	assert_int_equal(truncate(path, (off_t)1 << 32), 0);
	table = scanned();
	assert_true(owner_counters(table).files_unreadable >= 3);
	assert_string_equal(owner_process_find(table, 300, 0)->container->id,
			    D0);
	assert_string_equal(owner_process_find(table, 300, 0)->container->name,
			    "");
	owner_table_destroy(table);
	remove_below("");
}

/* A user's own folder may not name what is not his, nor lead out by a link. */
static void users_name_their_own_alone(void **state)
{
	struct owner_table *table;
	char target[1024], path[1024];

	(void)state;
	make_root(TREE_HYBRID);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", root, i ? "home" : "var");
		assert_int_equal(unlink(path), 0);
	}
	/* The host's storage is gone; the user's names its container. */
	snprintf(target, sizeof target, "%s/tests/owner/root/home/ada/.local",
		 source);
	put_link("home/ada/.local", target);
	table = scanned();
	assert_string_equal(owner_process_find(table, 304, 0)->container->id,
			    A1);
	assert_string_equal(owner_process_find(table, 304, 0)->container->name,
			    "");
	if (geteuid() == 0) { /* found, but its storage is behind a link */
		assert_string_equal(
			owner_process_find(table, 320, 0)->container->id, B0);
		assert_string_equal(
			owner_process_find(table, 320, 0)->container->name, "");
	}
	owner_table_destroy(table);
	remove_below("");
}

static void folders_of_the_options_are_read(void **state)
{
	static const char text[] = "{\"ID\":\"" F0 "\",\"Name\":\"/moved\","
				   "\"Config\":{\"Image\":\"i:1\"}}";
	const struct owner_folder folder = {OWNER_RUNTIME_DOCKER, "/data/dock"};
	struct owner_options options = {
		.root = root, .folders = &folder, .folder_count = 1};
	struct owner_table *table;
	struct fault fault;

	(void)state;
	make_root(TREE_HYBRID);
	put("data/dock/containers/" F0 "/config.v2.json", text, strlen(text));
	assert_int_equal(owner_table_create(&options, &table, &fault), 0);
	assert_int_equal(owner_scan(table, &fault), 0);
	assert_string_equal(owner_process_find(table, 332, 0)->container->name,
			    "moved");
	assert_int_equal(owner_process_find(table, 332, 0)->container->runtime,
			 OWNER_RUNTIME_DOCKER);
	owner_table_destroy(table);
	remove_below("");
}

static void no_proc_is_a_sentence(void **state)
{
	struct owner_options options = {.root = root};
	struct owner_table *table;
	struct fault fault;

	(void)state;
	strcpy(root, "/tmp/sonde-owner-XXXXXX");
	assert_non_null(mkdtemp(root));
	assert_int_equal(owner_table_create(&options, &table, &fault), 0);
	assert_int_equal(owner_scan(table, &fault), -ENOENT);
	assert_non_null(strstr(fault.text, "/proc"));
	owner_table_destroy(table);
	rmdir(root);
	assert_int_equal(owner_table_create(&options, &table, &fault), -ENOENT);
	assert_non_null(strstr(fault.text, root));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hybrid_cgroups),
		cmocka_unit_test(cgroups_of_version_2),
		cmocka_unit_test(cgroups_of_version_1),
		cmocka_unit_test(turns_read_what_events_left_open),
		cmocka_unit_test(looked_for_and_not_known_is_read),
		cmocka_unit_test(a_scan_ends_what_is_gone),
		cmocka_unit_test(what_is_no_file_is_counted),
		cmocka_unit_test(users_name_their_own_alone),
		cmocka_unit_test(folders_of_the_options_are_read),
		cmocka_unit_test(no_proc_is_a_sentence),
	};
	char *absolute = realpath(argc > 1 ? argv[1] : ".", NULL);
	int rc;

	source = absolute;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	free(absolute);
	return rc;
}
