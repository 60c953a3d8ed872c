/* Whatever a runtime's file holds, every reader of them: no text too long,
 * none without an end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "owner/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct owner_facts facts;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(int rc)
{
	require(rc == 0 || rc == -EBADMSG || rc == -ENOENT);
	require(memchr(facts.id, 0, sizeof facts.id));
	require(memchr(facts.name, 0, sizeof facts.name));
	require(memchr(facts.image, 0, sizeof facts.image));
	require(memchr(facts.pod_name, 0, sizeof facts.pod_name));
	require(memchr(facts.pod_namespace, 0, sizeof facts.pod_namespace));
	require(memchr(facts.pod_uid, 0, sizeof facts.pod_uid));
	require(memchr(facts.pod_container, 0, sizeof facts.pod_container));
	require(memchr(facts.pod_id, 0, sizeof facts.pod_id));
	require(memchr(facts.cgroup, 0, sizeof facts.cgroup));
	require(facts.runtime < OWNER_RUNTIME_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *text = (const char *)bytes;

	check(owner_docker_parse(text, size, &facts));
	check(owner_runc_parse(text, size, &facts));
	check(owner_crun_parse(text, size, &facts));
	check(owner_bundle_parse(text, size, &facts));
	check(owner_storage_parse(text, size, "x", &facts));
	check(owner_lxc_parse(text, size, &facts));
	check(owner_lxd_parse(text, size, &facts));
	return 0;
}
