/* What cgroups' paths say. */
#include "check.h"
#include "owner/parse.h"

#define A                                  \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B                                  \
	"0123456789abcdef0123456789abcdef" \
	"0123456789abcdef0123456789abcdef"
#define UID_ "0f1e2d3c_0000_1111_2222_333344445555"
#define UID  "0f1e2d3c-0000-1111-2222-333344445555"

static const struct row {
	const char *path;
	enum owner_runtime runtime; /* of the innermost; NONE: no container */
	const char *id, *own, *pod_uid, *pod_id, *unit, *slice;
	size_t marks;
} rows[] = {
	{.path = "/", OWNER_RUNTIME_NONE},
	{.path = "", OWNER_RUNTIME_NONE},
	{.path = "/docker/" A, OWNER_RUNTIME_DOCKER, A, "/docker/" A},
	{.path = "/docker/" A "/init.scope",
	 OWNER_RUNTIME_DOCKER,
	 A,
	 "/docker/" A,
	 .unit = "init.scope"},
	{.path = "/system.slice/docker-" A ".scope",
	 OWNER_RUNTIME_DOCKER,
	 A,
	 "/system.slice/docker-" A ".scope",
	 .unit = "docker-" A ".scope",
	 .slice = "system.slice"},
	/* docker in docker: both, the inner one last */
	{.path = "/docker/" A "/docker/" B,
	 OWNER_RUNTIME_DOCKER,
	 B,
	 "/docker/" A "/docker/" B,
	 .marks = 2},
	{.path = "/libpod_parent/libpod-" A,
	 OWNER_RUNTIME_PODMAN,
	 A,
	 "/libpod_parent/libpod-" A},
	{.path = "/libpod_parent/" B "/libpod-" A,
	 OWNER_RUNTIME_PODMAN,
	 A,
	 "/libpod_parent/" B "/libpod-" A,
	 .pod_id = B},
	{.path = "/machine.slice/machine-libpod_pod_" B ".slice/libpod-" A
		 ".scope/container",
	 OWNER_RUNTIME_PODMAN,
	 A,
	 "/machine.slice/machine-libpod_pod_" B ".slice/libpod-" A ".scope",
	 .pod_id = B,
	 .unit = "libpod-" A ".scope",
	 .slice = "machine-libpod_pod_" B ".slice"},
	{.path = "/libpod_parent/conmon", OWNER_RUNTIME_NONE},
	{.path = "/machine.slice/libpod-conmon-" A ".scope",
	 OWNER_RUNTIME_NONE,
	 .unit = "libpod-conmon-" A ".scope",
	 .slice = "machine.slice"},
	{.path = "/user.slice/user-1000.slice/user@1000.service/user.slice/"
		 "libpod-" A ".scope",
	 OWNER_RUNTIME_PODMAN,
	 A,
	 "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A
	 ".scope",
	 .unit = "libpod-" A ".scope",
	 .slice = "user.slice"},
	{.path = "/kubepods/burstable/pod" UID "/" A,
	 OWNER_RUNTIME_UNKNOWN,
	 A,
	 "/kubepods/burstable/pod" UID "/" A,
	 .pod_uid = UID},
	{.path = "/kubepods.slice/kubepods-burstable.slice/"
		 "kubepods-burstable-pod" UID_ ".slice/cri-containerd-" A
		 ".scope",
	 OWNER_RUNTIME_CONTAINERD,
	 A,
	 "/kubepods.slice/kubepods-burstable.slice/"
	 "kubepods-burstable-pod" UID_ ".slice/cri-containerd-" A ".scope",
	 .pod_uid = UID,
	 .unit = "cri-containerd-" A ".scope",
	 .slice = "kubepods-burstable-pod" UID_ ".slice"},
	{.path = "/kubelet.slice/kubelet-kubepods.slice/"
		 "kubelet-kubepods-pod" UID_ ".slice/crio-" A ".scope",
	 OWNER_RUNTIME_CRIO,
	 A,
	 "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_
	 ".slice/crio-" A ".scope",
	 .pod_uid = UID,
	 .unit = "crio-" A ".scope",
	 .slice = "kubelet-kubepods-pod" UID_ ".slice"},
	{.path = "/kubepods/besteffort/pod" UID "/crio-" A,
	 OWNER_RUNTIME_CRIO,
	 A,
	 "/kubepods/besteffort/pod" UID "/crio-" A,
	 .pod_uid = UID},
	{.path = "/kubepods/besteffort/pod" UID "/crio-conmon-" A,
	 OWNER_RUNTIME_NONE,
	 .pod_uid = UID},
	/* A static pod's UID is a hash. */
	{.path = "/kubepods/pod0123456789abcdef0123456789abcdef/" A,
	 OWNER_RUNTIME_UNKNOWN,
	 A,
	 "/kubepods/pod0123456789abcdef0123456789abcdef/" A,
	 .pod_uid = "0123456789abcdef0123456789abcdef"},
	/* Two cgroup drivers that disagree. */
	{.path = "/system.slice/containerd.service/kubepods-burstable-pod" UID_
		 ".slice:cri-containerd:" A,
	 OWNER_RUNTIME_CONTAINERD,
	 A,
	 "/system.slice/containerd.service/kubepods-burstable-pod" UID_
	 ".slice:cri-containerd:" A,
	 .pod_uid = UID,
	 .unit = "containerd.service",
	 .slice = "system.slice"},
	{.path = "/ecs/0123456789abcdef0123456789abcdef/" A,
	 OWNER_RUNTIME_UNKNOWN,
	 A,
	 "/ecs/0123456789abcdef0123456789abcdef/" A},
	{.path = "/lxc.payload.web",
	 OWNER_RUNTIME_LXC,
	 "web",
	 "/lxc.payload.web"},
	{.path = "/lxc.payload.web/.lxc",
	 OWNER_RUNTIME_LXC,
	 "web",
	 "/lxc.payload.web"},
	{.path = "/lxc.payload/web/system.slice/cron.service",
	 OWNER_RUNTIME_LXC,
	 "web",
	 "/lxc.payload/web",
	 .unit = "cron.service",
	 .slice = "system.slice"},
	{.path = "/lxc/web", OWNER_RUNTIME_LXC, "web", "/lxc/web"},
	{.path = "/home/lxc/web", OWNER_RUNTIME_NONE},
	{.path = "/lxc.monitor.web", OWNER_RUNTIME_NONE},
	{.path = "/machine.slice/machine-my\\x2dbox.scope/payload/system.slice/"
		 "a.service",
	 OWNER_RUNTIME_NSPAWN,
	 "my-box",
	 "/machine.slice/machine-my\\x2dbox.scope",
	 .unit = "a.service",
	 .slice = "system.slice"},
	{.path = "/machine.slice/machine-box.scope/supervisor",
	 OWNER_RUNTIME_NONE,
	 .unit = "machine-box.scope",
	 .slice = "machine.slice"},
	{.path = "/machine.slice/systemd-nspawn@box.service/payload",
	 OWNER_RUNTIME_NSPAWN,
	 "box",
	 "/machine.slice/systemd-nspawn@box.service",
	 .unit = "systemd-nspawn@box.service",
	 .slice = "machine.slice"},
	{.path = "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
	 OWNER_RUNTIME_NONE,
	 .unit = "machine-qemu\\x2d1\\x2dvm.scope",
	 .slice = "machine.slice"},
	{.path = "/system.slice/nginx.service",
	 OWNER_RUNTIME_NONE,
	 .unit = "nginx.service",
	 .slice = "system.slice"},
	{.path = "/user.slice/user-1000.slice/session-3.scope",
	 OWNER_RUNTIME_NONE,
	 .unit = "session-3.scope",
	 .slice = "user-1000.slice"},
	/* Nearly, but not. */
	{.path = "/docker/" A "a", OWNER_RUNTIME_NONE},
	{.path = "/docker/"
		 "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaa",
	 OWNER_RUNTIME_NONE},
	{.path = "/docker-" A ".scopes", OWNER_RUNTIME_NONE},
	{.path = "/lxc.payload.", OWNER_RUNTIME_NONE},
	{.path = "/-" A, OWNER_RUNTIME_NONE},
	{.path = "/podx", OWNER_RUNTIME_NONE},
};

static void check_row(const struct row *row)
{
	struct owner_path said;
	const struct owner_mark *last;

	owner_path_parse(row->path, &said);
	assert_string_equal(said.pod_uid, row->pod_uid ?: "");
	assert_string_equal(said.pod_id, row->pod_id ?: "");
	assert_string_equal(said.unit, row->unit ?: "");
	assert_string_equal(said.slice, row->slice ?: "");
	if (row->runtime == OWNER_RUNTIME_NONE) {
		assert_int_equal(said.mark_count, 0);
		return;
	}
	assert_int_equal(said.mark_count, row->marks ?: 1);
	last = &said.marks[said.mark_count - 1];
	assert_int_equal(last->runtime, row->runtime);
	assert_string_equal(last->id, row->id);
	assert_int_equal(last->end, strlen(row->own));
	assert_memory_equal(row->path, row->own, last->end);
}

static void paths_say_who(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		print_message("# %s\n", rows[i].path);
		check_row(&rows[i]);
	}
}

/* A mark's id stands in the path, before its end. */
static void cut_paths_are_paths(void **state)
{
	char cut[512];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t size = 0; size < strlen(rows[i].path); size++) {
			struct owner_path said;

			memcpy(cut, rows[i].path, size);
			cut[size] = 0;
			owner_path_parse(cut, &said);
			for (size_t m = 0; m < said.mark_count; m++)
				assert_in_range(said.marks[m].end, 1, size);
		}
	}
}

static void many_marks_keep_the_innermost(void **state)
{
	char path[2048] = "";
	struct owner_path said;

	(void)state;
	for (int i = 0; i < 20; i++)
		sprintf(path + strlen(path), "/lxc.payload.c%d", i);
	owner_path_parse(path, &said);
	assert_int_equal(said.mark_count, OWNER_MARKS_MAX);
	assert_string_equal(said.marks[OWNER_MARKS_MAX - 1].id, "c19");
}

static void payload_without_a_name(void **state)
{
	struct owner_path said;

	(void)state;
	owner_path_parse("/payload/system.slice/x.service", &said);
	assert_true(said.payload);
	assert_int_equal(said.mark_count, 0);
	owner_path_parse("/machine.slice/machine-b.scope/payload", &said);
	assert_false(said.payload);
}

static void oci_paths_expand(void **state)
{
	static const char *const cases[][2] = {
		{"/a/b", "/a/b"},
		{"a/b", "/a/b"},
		{"system.slice:docker:" A, "/system.slice/docker-" A ".scope"},
		{":docker:" A, "/system.slice/docker-" A ".scope"},
		{"a-b-c.slice:cri:x",
		 "/a.slice/a-b.slice/a-b-c.slice/cri-x.scope"},
		{"machine.slice::x", "/machine.slice/x.scope"},
		{"", NULL},
		{"a:b:c", NULL},
		{".slice:b:c", NULL},
		{"a.slice:b", NULL},
		{"a.slice:b:", NULL},
		{"../a.slice:b:c", NULL},
	};
	char path[256];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		print_message("# %s\n", cases[i][0]);
		assert_int_equal(
			owner_path_expand(cases[i][0], path, sizeof path),
			cases[i][1] != NULL);
		if (cases[i][1])
			assert_string_equal(path, cases[i][1]);
	}
	for (size_t size = 1; size < 20; size++) /* too little room */
		assert_false(
			owner_path_expand("machine.slice:a:xyz", path, size));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_say_who),
		cmocka_unit_test(cut_paths_are_paths),
		cmocka_unit_test(many_marks_keep_the_innermost),
		cmocka_unit_test(payload_without_a_name),
		cmocka_unit_test(oci_paths_expand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
