/* The files of runtimes: what each says, and every truncation of it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "check.h"
#include "owner/parse.h"

#define D0 "d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0"
#define D1 "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1"
#define A0 "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0"
#define A1 "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"
#define B0 "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0"
#define C0 "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0"
#define C1 "c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1"
#define E0 "e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0"
#define E1 "e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1"
#define AB "abababababababababababababababababababababababababababababababab"

#define TASKS  "run/containerd/io.containerd.runtime.v2.task/"
#define STORED "var/lib/containers/storage/overlay-containers/"
#define BOLT   "var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db"

static const char *root;

static char *whole(const char *name, size_t *ret_size)
{
	char path[1024], *bytes;
	FILE *file;

	snprintf(path, sizeof path, "%s/tests/owner/root/%s", root, name);
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s: not there", path);
	bytes = malloc(1 << 20);
	*ret_size = fread(bytes, 1, 1 << 20, file);
	fclose(file);
	return bytes;
}

static const char *storage_id;

static int storage(const char *bytes, size_t size, struct owner_facts *facts)
{
	return owner_storage_parse(bytes, size, storage_id, facts);
}

static const struct row {
	const char *file;
	int (*parse)(const char *bytes, size_t size, struct owner_facts *facts);
	struct owner_facts is;
	const char *storage_id;
} rows[] = {
	{.file = "var/lib/docker/containers/" D0 "/config.v2.json",
	 owner_docker_parse,
	 {.runtime = OWNER_RUNTIME_DOCKER,
	  .id = D0,
	  .name = "web",
	  .image = "registry.example/web:1.2",
	  .init_pid = 300}},
	{.file = "var/lib/docker/containers/" D1 "/config.v2.json",
	 owner_docker_parse,
	 {.runtime = OWNER_RUNTIME_DOCKER,
	  .id = D1,
	  .name = "k8s_api_api-7d9_shop_0f1e2d3c-0000-1111-2222-333344445555_0",
	  .image = "sha256:" AB,
	  .init_pid = 301,
	  .pod_name = "api-7d9",
	  .pod_namespace = "shop",
	  .pod_uid = "0f1e2d3c-0000-1111-2222-333344445555",
	  .pod_container = "api",
	  .pod_id = "d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2"
		    "d2d2d2d2"}},
	{.file = STORED "containers.json",
	 storage,
	 {.runtime = OWNER_RUNTIME_PODMAN,
	  .id = A0,
	  .name = "db",
	  .image = "docker.io/library/postgres:16"},
	 A0},
	{.file = STORED "containers.json",
	 storage,
	 {.runtime = OWNER_RUNTIME_PODMAN,
	  .id = A1,
	  .name = "cache",
	  .image = "docker.io/library/redis:7"},
	 A1},
	{.file = STORED "containers.json",
	 storage,
	 {.runtime = OWNER_RUNTIME_CRIO,
	  .id = C0,
	  .name = "k8s_web_web-0_prod_99887766-5544-3322-1100-aabbccddeeff_0",
	  .image = "quay.io/web:5",
	  .pod_id = C1},
	 C0},
	{.file = STORED A0 "/userdata/config.json",
	 owner_bundle_parse,
	 {.runtime = OWNER_RUNTIME_PODMAN,
	  .cgroup = "machine.slice:libpod:" A0}},
	{.file = STORED C0 "/userdata/config.json",
	 owner_bundle_parse,
	 {.runtime = OWNER_RUNTIME_CRIO,
	  .cgroup = "kubepods-burstable-pod99887766_5544_3322_1100_"
		    "aabbccddeeff.slice:crio:" C0,
	  .image = "quay.io/web:5",
	  .pod_name = "web-0",
	  .pod_namespace = "prod",
	  .pod_uid = "99887766-5544-3322-1100-aabbccddeeff",
	  .pod_container = "web",
	  .pod_id = C1}},
	{.file = TASKS "k8s.io/" E0 "/config.json",
	 owner_bundle_parse,
	 {.runtime = OWNER_RUNTIME_CONTAINERD,
	  .cgroup = "/kubepods/burstable/"
		    "pod12345678-aaaa-bbbb-cccc-1234567890ab/" E0,
	  .image = "registry.example/app:9",
	  .pod_name = "app-1",
	  .pod_namespace = "default",
	  .pod_uid = "12345678-aaaa-bbbb-cccc-1234567890ab",
	  .pod_container = "app",
	  .pod_id = E1}},
	{.file = TASKS "k8s.io/" E1 "/config.json",
	 owner_bundle_parse,
	 {.runtime = OWNER_RUNTIME_CONTAINERD,
	  .sandbox = true,
	  .cgroup = "/kubepods/burstable/"
		    "pod12345678-aaaa-bbbb-cccc-1234567890ab/" E1,
	  .pod_name = "app-1",
	  .pod_namespace = "default",
	  .pod_uid = "12345678-aaaa-bbbb-cccc-1234567890ab",
	  .pod_id = E1}},
	{.file = TASKS "sonde/redis/config.json",
	 owner_bundle_parse,
	 {.cgroup = "/sonde/redis"}},
	{.file = "run/runc/plain/state.json",
	 owner_runc_parse,
	 {.runtime = OWNER_RUNTIME_RUNC,
	  .id = "plain",
	  .init_pid = 310,
	  .init_start_ticks = 5000,
	  .cgroup = "/sys/fs/cgroup/unified/plain",
	  .image = "/srv/plain/rootfs"}},
	{.file = "run/crun/quick/status",
	 owner_crun_parse,
	 {.runtime = OWNER_RUNTIME_RUNC,
	  .init_pid = 312,
	  .init_start_ticks = 5200,
	  .cgroup = "/quick",
	  .image = "/srv/quick/rootfs"}},
	{.file = "var/lib/lxc/web/config",
	 owner_lxc_parse,
	 {.runtime = OWNER_RUNTIME_LXC,
	  .image = "dir:/var/lib/lxc/web/rootfs"}},
	{.file = "var/lib/lxd/containers/xd/backup.yaml",
	 owner_lxd_parse,
	 {.runtime = OWNER_RUNTIME_LXD,
	  .image = "Debian bookworm amd64 (20240501)"}},
};

static void files_say_what_they_hold(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		static struct owner_facts facts;
		size_t size;
		char *bytes = whole(rows[i].file, &size);

		print_message("# %s\n", rows[i].file);
		storage_id = rows[i].storage_id;
		assert_int_equal(rows[i].parse(bytes, size, &facts), 0);
		assert_int_equal(facts.runtime, rows[i].is.runtime);
		assert_string_equal(facts.id, rows[i].is.id);
		assert_string_equal(facts.name, rows[i].is.name);
		assert_string_equal(facts.image, rows[i].is.image);
		assert_string_equal(facts.pod_name, rows[i].is.pod_name);
		assert_string_equal(facts.pod_namespace,
				    rows[i].is.pod_namespace);
		assert_string_equal(facts.pod_uid, rows[i].is.pod_uid);
		assert_string_equal(facts.pod_container,
				    rows[i].is.pod_container);
		assert_string_equal(facts.pod_id, rows[i].is.pod_id);
		assert_string_equal(facts.cgroup, rows[i].is.cgroup);
		assert_int_equal(facts.init_pid, rows[i].is.init_pid);
		assert_int_equal(facts.init_start_ticks,
				 rows[i].is.init_start_ticks);
		assert_int_equal(facts.sandbox, rows[i].is.sandbox);
		free(bytes);
	}
}

/* In memory of just that size, so that a sanitizer sees a byte too far. */
static void every_truncation_is_harmless(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		static struct owner_facts facts;
		size_t size;
		char *bytes = whole(rows[i].file, &size);
		bool json = *bytes == '{' || *bytes == '[';

		storage_id = rows[i].storage_id;
		for (size_t cut = 0; cut < size; cut++) {
			char *less = malloc(cut ? cut : 1);
			int rc;

			memcpy(less, bytes, cut);
			rc = rows[i].parse(less, cut, &facts);
			/* The newline is no part of it. */
			if (json && cut < size - 1)
				assert_int_equal(rc, -EBADMSG);
			else
				assert_true(rc == 0 || rc == -EBADMSG);
			free(less);
		}
		free(bytes);
	}
}

static void storage_of_others_is_absent(void **state)
{
	static struct owner_facts facts;
	size_t size;
	char *bytes = whole(STORED "containers.json", &size);

	(void)state;
	assert_int_equal(owner_storage_parse(bytes, size, B0, &facts), -ENOENT);
	assert_string_equal(facts.id, "");
	free(bytes);
}

/* Whole or nothing: a name that does not fit is not cut into another. */
static void long_texts_are_left_out(void **state)
{
	static struct owner_facts facts;
	char *text = malloc(100000);
	size_t at = (size_t)sprintf(text, "{\"ID\":\"x\",\"Name\":\"/");

	(void)state;
	memset(text + at, 'n', OWNER_NAME_SIZE);
	strcpy(text + at + OWNER_NAME_SIZE, "\",\"Config\":{\"Image\":\"i\"}}");
	assert_int_equal(owner_docker_parse(text, strlen(text), &facts), 0);
	assert_string_equal(facts.name, "");
	assert_string_equal(facts.image, "i");
	free(text);
}

static void foreign_shapes_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"null",
		"[]",
		"{}",
		"{\"ID\":1}",
		"{\"ID\":\"\"}",
		"[{\"id\":\"x\"}",
		"{\"id\":[]}",
		"{\"pid\":-1}",
		"{\"pid\":4294967297}",
		"{\"ociVersion\"}",
		"\xff\xfe{}",
		"{\"ID\":\"a\\u0000b\"}",
	};
	static struct owner_facts facts;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		size_t size = strlen(texts[i]);

		assert_int_not_equal(owner_docker_parse(texts[i], size, &facts),
				     0);
		assert_int_not_equal(owner_runc_parse(texts[i], size, &facts),
				     0);
		assert_int_not_equal(owner_crun_parse(texts[i], size, &facts),
				     0);
		assert_int_not_equal(owner_bundle_parse(texts[i], size, &facts),
				     0);
		assert_int_not_equal(
			owner_storage_parse(texts[i], size, "x", &facts), 0);
	}
}

/* ---- containerd's database ---- */

static int bolt_get(const char *bytes, size_t size, const char *const *keys,
		    char *ret_text)
{
	int fd = memfd_create("bolt", MFD_CLOEXEC), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	rc = owner_bolt_get(fd, keys, 5, ret_text, 64);
	close(fd);
	return rc;
}

static const char *const redis[] = {"v1", "sonde", "containers", "redis",
				    "image"};

static void bolt_gives_the_image(void **state)
{
	static const struct {
		const char *keys[5];
		const char *image;
	} cases[] = {
		{{"v1", "sonde", "containers", "redis", "image"},
		 "docker.io/library/redis:7"},
		{{"v1", "sonde", "containers", "nginx", "image"},
		 "docker.io/library/nginx:1"},
		{{"v1", "sonde", "containers", "alpha", "image"},
		 "docker.io/library/alpha:1"},
		{{"v1", "sonde", "containers", "beta", "image"},
		 "docker.io/library/beta:1"},
		{{"v1", "sonde", "containers", "zeta", "image"}, NULL},
		{{"v1", "sonde", "containers", "aaa", "image"}, NULL},
		{{"v1", "default", "containers", "redis", "image"}, NULL},
		{{"v1", "version", "containers", "redis", "image"}, NULL},
		{{"v2", "sonde", "containers", "redis", "image"}, NULL},
	};
	char text[64];
	size_t size;
	char *bytes = whole(BOLT, &size);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int rc = bolt_get(bytes, size, cases[i].keys, text);

		print_message("# %s\n", cases[i].keys[3]);
		assert_int_equal(rc, cases[i].image ? 0 : -ENOENT);
		if (cases[i].image)
			assert_string_equal(text, cases[i].image);
	}
	free(bytes);
}

/* The newer meta is damaged: the older state, which has no such bucket. */
static void bolt_falls_back_to_the_older_meta(void **state)
{
	char text[64];
	size_t size;
	char *bytes = whole(BOLT, &size);

	(void)state;
	bytes[1024 + 40] ^= 1;
	assert_int_equal(bolt_get(bytes, size, redis, text), -ENOENT);
	bytes[40] ^= 1;
	assert_int_equal(bolt_get(bytes, size, redis, text), -EBADMSG);
	free(bytes);
}

static void bolt_cut_or_damaged_is_harmless(void **state)
{
	char text[64];
	size_t size;
	char *bytes = whole(BOLT, &size);

	(void)state;
	for (size_t cut = 0; cut < size; cut += 7)
		assert_true(bolt_get(bytes, cut, redis, text) <= 0);
	for (size_t at = 0; at < size; at++) {
		char before = bytes[at];

		bytes[at] = (char)~before;
		assert_true(bolt_get(bytes, size, redis, text) <= 0);
		bytes[at] = before;
	}
	free(bytes);
}

/* ---- /proc ---- */

#define FIELDS "0 0 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 "

static void stat_lines(void **state)
{
	static const char line[] = "7 (a) b (c)) S 3 " FIELDS "987654 0 0\n";
	static const char kernel[] =
		"2 (kworker/u8:0-events) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 "
		"20 0 1 0 21 0 0\n";
	static const char *const bad[] = {
		"",
		"7",
		"7 (a",
		"7 a) S 1",
		"7 )( S 3 " FIELDS "1 0",
		"7 (a) S x " FIELDS "1 0",
		"7 (a) S 3 " FIELDS "x 0",
		"7 (a) S 3 " FIELDS "99999999999999999999 0",
	};
	struct owner_stat stat;

	(void)state;
	assert_true(owner_stat_parse(line, strlen(line), &stat));
	assert_string_equal(stat.comm, "a) b (c)");
	assert_int_equal(stat.ppid, 3);
	assert_int_equal(stat.start_ticks, 987654);
	assert_false(stat.kernel);
	assert_true(owner_stat_parse(kernel, strlen(kernel), &stat));
	assert_string_equal(stat.comm, "kworker/u8:0-ev");
	assert_true(stat.kernel);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(owner_stat_parse(bad[i], strlen(bad[i]), &stat));
	for (size_t cut = 0; cut < strlen(line) - 5; cut++) {
		char *less = malloc(cut ? cut : 1);

		memcpy(less, line, cut);
		assert_false(owner_stat_parse(less, cut, &stat));
		free(less);
	}
}

static void arguments_by_name(void **state)
{
	static const char line[] =
		"conmon\0-c\0id\0--name=n\0-M\0box\0-Dfolder\0--last";
	size_t size = sizeof line - 1;

	(void)state;
	assert_string_equal(owner_argument(line, size, "-c\0--cid\0"), "id");
	assert_string_equal(owner_argument(line, size, "-n\0--name\0"), "n");
	assert_string_equal(owner_argument(line, size, "--machine\0-M\0"),
			    "box");
	assert_string_equal(owner_argument(line, size, "-D\0"), "folder");
	assert_null(owner_argument(line, size, "--last\0"));
	assert_null(owner_argument(line, size, "--no\0"));
	assert_null(owner_argument("", 0, "-c\0"));
	assert_null(owner_argument("-c", 3, "-c\0"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_say_what_they_hold),
		cmocka_unit_test(every_truncation_is_harmless),
		cmocka_unit_test(storage_of_others_is_absent),
		cmocka_unit_test(long_texts_are_left_out),
		cmocka_unit_test(foreign_shapes_are_refused),
		cmocka_unit_test(bolt_gives_the_image),
		cmocka_unit_test(bolt_falls_back_to_the_older_meta),
		cmocka_unit_test(bolt_cut_or_damaged_is_harmless),
		cmocka_unit_test(stat_lines),
		cmocka_unit_test(arguments_by_name),
	};

	root = argc > 1 ? argv[1] : ".";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
