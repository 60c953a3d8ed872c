/* The JSON files of runtimes: docker, containerd, podman, CRI-O, runc, crun.
 *
 * Their formats are the programs' own; the OCI runtime specification has that
 * of config.json.  Kubernetes' labels and annotations are those that kubelet,
 * containerd's CRI plugin and CRI-O write (the latter's from documentation).
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "owner/parse.h"

static json_t *load(const char *bytes, size_t size, json_type type)
{
	json_error_t error;
	json_t *root = json_loadb(bytes, size, 0, &error);

	if (json_is_object(root) && type == JSON_OBJECT)
		return root;
	if (json_is_array(root) && type == JSON_ARRAY)
		return root;
	json_decref(root);
	return NULL;
}

/* The text under 'key', whole or not at all. */
static bool text_get(const json_t *object, const char *key, char *ret_text,
		     size_t size)
{
	const json_t *value = json_object_get(object, key);
	size_t length = json_string_length(value);

	if (length == 0 || length >= size)
		return false;
	memcpy(ret_text, json_string_value(value), length + 1);
	return true;
}

static uint32_t pid_get(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 && value <= INT32_MAX ? (uint32_t)value : 0;
}

/* One key of labels or annotations, and where it goes. */
struct label {
	const char *key;
	size_t offset, size;
};

#define LABEL(key, field)                                           \
	{                                                           \
		key, offsetof(struct owner_facts, field),           \
			sizeof(((struct owner_facts *)NULL)->field) \
	}

static const struct label kubelet_labels[] = {
	LABEL("io.kubernetes.pod.name", pod_name),
	LABEL("io.kubernetes.pod.namespace", pod_namespace),
	LABEL("io.kubernetes.pod.uid", pod_uid),
	LABEL("io.kubernetes.container.name", pod_container),
	LABEL("io.kubernetes.sandbox.id", pod_id),
};

static const struct label containerd_labels[] = {
	LABEL("io.kubernetes.cri.sandbox-name", pod_name),
	LABEL("io.kubernetes.cri.sandbox-namespace", pod_namespace),
	LABEL("io.kubernetes.cri.sandbox-uid", pod_uid),
	LABEL("io.kubernetes.cri.container-name", pod_container),
	LABEL("io.kubernetes.cri.sandbox-id", pod_id),
	LABEL("io.kubernetes.cri.image-name", image),
	LABEL("nerdctl/name", name),
};

static const struct label crio_labels[] = {
	LABEL("io.kubernetes.cri-o.SandboxID", pod_id),
	LABEL("io.kubernetes.cri-o.ImageName", image),
};

static void labels_take(const json_t *object, const struct label *labels,
			size_t count, struct owner_facts *facts)
{
	for (size_t i = 0; i < count; i++) {
		char *at = (char *)facts + labels[i].offset;

		if (*at == 0)
			(void)text_get(object, labels[i].key, at,
				       labels[i].size);
	}
}

#define LABELS_TAKE(object, labels, facts) \
	labels_take(object, labels, sizeof(labels) / sizeof *(labels), facts)

static bool text_is(const json_t *object, const char *key, const char *text)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value && strcmp(value, text) == 0;
}

int owner_docker_parse(const char *bytes, size_t size,
		       struct owner_facts *ret_facts)
{
	json_t *root = load(bytes, size, JSON_OBJECT), *config, *labels;

	memset(ret_facts, 0, sizeof *ret_facts);
	if (!text_get(root, "ID", ret_facts->id, sizeof ret_facts->id)) {
		json_decref(root);
		return -EBADMSG;
	}
	ret_facts->runtime = OWNER_RUNTIME_DOCKER;
	if (text_get(root, "Name", ret_facts->name, sizeof ret_facts->name) &&
	    ret_facts->name[0] == '/')
		memmove(ret_facts->name, ret_facts->name + 1,
			strlen(ret_facts->name));
	ret_facts->init_pid = pid_get(json_object_get(root, "State"), "Pid");
	config = json_object_get(root, "Config");
	(void)text_get(config, "Image", ret_facts->image,
		       sizeof ret_facts->image);
	labels = json_object_get(config, "Labels");
	LABELS_TAKE(labels, kubelet_labels, ret_facts);
	ret_facts->sandbox =
		text_is(labels, "io.kubernetes.docker.type", "podsandbox");
	json_decref(root);
	return 0;
}

/* Of "cgroup_paths" the version 2 one, else systemd's, else any. */
static void runc_cgroup(const json_t *paths, struct owner_facts *facts)
{
	static const char *const keys[] = {"",       "name=systemd", "memory",
					   "pids",   "cpu",          "cpuacct",
					   "devices"};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		if (text_get(paths, keys[i], facts->cgroup,
			     sizeof facts->cgroup))
			return;
	}
}

/* State of runc: labels are "key=value" texts, the bundle's folder among
 * them. */
int owner_runc_parse(const char *bytes, size_t size,
		     struct owner_facts *ret_facts)
{
	json_t *root = load(bytes, size, JSON_OBJECT);

	memset(ret_facts, 0, sizeof *ret_facts);
	if (!text_get(root, "id", ret_facts->id, sizeof ret_facts->id)) {
		json_decref(root);
		return -EBADMSG;
	}
	ret_facts->runtime = OWNER_RUNTIME_RUNC;
	ret_facts->init_pid = pid_get(root, "init_process_pid");
	ret_facts->init_start_ticks = (uint64_t)json_integer_value(
		json_object_get(root, "init_process_start"));
	runc_cgroup(json_object_get(root, "cgroup_paths"), ret_facts);
	(void)text_get(json_object_get(root, "config"), "rootfs",
		       ret_facts->image, sizeof ret_facts->image);
	json_decref(root);
	return 0;
}

int owner_crun_parse(const char *bytes, size_t size,
		     struct owner_facts *ret_facts)
{
	json_t *root = load(bytes, size, JSON_OBJECT);

	memset(ret_facts, 0, sizeof *ret_facts);
	ret_facts->init_pid = pid_get(root, "pid");
	if (ret_facts->init_pid == 0) {
		json_decref(root);
		return -EBADMSG;
	}
	ret_facts->runtime = OWNER_RUNTIME_RUNC;
	ret_facts->init_start_ticks = (uint64_t)json_integer_value(
		json_object_get(root, "process-start-time"));
	(void)text_get(root, "cgroup-path", ret_facts->cgroup,
		       sizeof ret_facts->cgroup);
	(void)text_get(root, "rootfs", ret_facts->image,
		       sizeof ret_facts->image);
	json_decref(root);
	return 0;
}

/* Who wrote a bundle, by what only it annotates. */
static enum owner_runtime bundle_runtime(const json_t *annotations)
{
	if (text_is(annotations, "io.container.manager", "cri-o") ||
	    json_object_get(annotations, "io.kubernetes.cri-o.ContainerType"))
		return OWNER_RUNTIME_CRIO;
	if (text_is(annotations, "io.container.manager", "libpod"))
		return OWNER_RUNTIME_PODMAN;
	if (json_object_get(annotations, "io.kubernetes.cri.container-type") ||
	    json_object_get(annotations, "nerdctl/name"))
		return OWNER_RUNTIME_CONTAINERD;
	return OWNER_RUNTIME_NONE;
}

int owner_bundle_parse(const char *bytes, size_t size,
		       struct owner_facts *ret_facts)
{
	json_t *root = load(bytes, size, JSON_OBJECT), *annotations;

	memset(ret_facts, 0, sizeof *ret_facts);
	if (!json_object_get(root, "ociVersion")) {
		json_decref(root);
		return -EBADMSG;
	}
	(void)text_get(json_object_get(root, "linux"), "cgroupsPath",
		       ret_facts->cgroup, sizeof ret_facts->cgroup);
	annotations = json_object_get(root, "annotations");
	ret_facts->runtime = bundle_runtime(annotations);
	LABELS_TAKE(annotations, containerd_labels, ret_facts);
	if (ret_facts->runtime == OWNER_RUNTIME_CRIO) {
		LABELS_TAKE(annotations, kubelet_labels, ret_facts);
		LABELS_TAKE(annotations, crio_labels, ret_facts);
	}
	ret_facts->sandbox =
		text_is(annotations, "io.kubernetes.cri.container-type",
			"sandbox") ||
		text_is(annotations, "io.kubernetes.cri-o.ContainerType",
			"sandbox");
	json_decref(root);
	return 0;
}

/* What containers/storage calls metadata is JSON in a text. */
static void storage_metadata(const json_t *container, struct owner_facts *facts)
{
	const json_t *text = json_object_get(container, "metadata");
	const char *bytes = json_string_value(text);
	json_t *metadata;

	if (!bytes)
		return;
	metadata = load(bytes, json_string_length(text), JSON_OBJECT);
	(void)text_get(metadata, "image-name", facts->image,
		       sizeof facts->image);
	if (facts->name[0] == 0)
		(void)text_get(metadata, "name", facts->name,
			       sizeof facts->name);
	/* podman's has no Kubernetes namespace; CRI-O's has, always. */
	if (json_object_get(metadata, "namespace"))
		facts->runtime = OWNER_RUNTIME_CRIO;
	(void)text_get(metadata, "pod-id", facts->pod_id, sizeof facts->pod_id);
	facts->sandbox = facts->runtime == OWNER_RUNTIME_CRIO &&
			 facts->pod_id[0] &&
			 strcmp(facts->pod_id, facts->id) == 0;
	json_decref(metadata);
}

int owner_storage_parse(const char *bytes, size_t size, const char *id,
			struct owner_facts *ret_facts)
{
	json_t *root = load(bytes, size, JSON_ARRAY), *container;
	int rc = root ? -ENOENT : -EBADMSG;
	size_t i;

	memset(ret_facts, 0, sizeof *ret_facts);
	json_array_foreach(root, i, container)
	{
		const json_t *name;

		if (!text_is(container, "id", id) ||
		    !text_get(container, "id", ret_facts->id,
			      sizeof ret_facts->id))
			continue;
		rc = 0;
		ret_facts->runtime = OWNER_RUNTIME_PODMAN;
		name = json_array_get(json_object_get(container, "names"), 0);
		if (json_string_length(name) < sizeof ret_facts->name &&
		    json_is_string(name))
			owner_text_copy(ret_facts->name, sizeof ret_facts->name,
					json_string_value(name));
		storage_metadata(container, ret_facts);
		break;
	}
	json_decref(root);
	return rc;
}
