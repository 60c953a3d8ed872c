/* What a cgroup's path says.
 *
 * The names are those of systemd's unit files (docker-ID.scope), of the
 * runtimes' cgroupfs drivers (/docker/ID), of LXC (lxc.payload.NAME), of
 * systemd-nspawn (payload) and of the kubelet (kubepods, podUID).  Those of
 * CRI-O and the kubelet are from their documentation.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "owner/parse.h"

#define HEX_ID_LENGTH 64

struct part {
	const char *at;
	size_t length;
};

static bool part_is(struct part part, const char *text)
{
	return part.length == strlen(text) &&
	       memcmp(part.at, text, part.length) == 0;
}

static bool part_begins(struct part part, const char *text)
{
	size_t length = strlen(text);

	return part.length >= length && memcmp(part.at, text, length) == 0;
}

static bool part_ends(struct part part, const char *text)
{
	size_t length = strlen(text);

	return part.length >= length &&
	       memcmp(part.at + part.length - length, text, length) == 0;
}

static struct part part_cut(struct part part, size_t front, size_t back)
{
	return (struct part){part.at + front, part.length - front - back};
}

static void part_copy(struct part part, char *ret_text, size_t size)
{
	if (part.length >= size)
		return; /* whole or not at all */
	memcpy(ret_text, part.at, part.length);
	ret_text[part.length] = 0;
}

static bool part_is_hex(struct part part)
{
	if (part.length != HEX_ID_LENGTH)
		return false;
	for (size_t i = 0; i < part.length; i++) {
		if (!isdigit((unsigned char)part.at[i]) &&
		    (part.at[i] < 'a' || part.at[i] > 'f'))
			return false;
	}
	return true;
}

bool owner_id_is_hex(const char *text)
{
	return part_is_hex((struct part){text, strlen(text)});
}

static void mark_add(struct owner_path *path, enum owner_runtime runtime,
		     struct part id, size_t end)
{
	struct owner_mark *mark;

	if (id.length == 0 || id.length >= sizeof mark->id)
		return;
	if (path->mark_count == OWNER_MARKS_MAX) /* the innermost stay */
		memmove(path->marks, path->marks + 1,
			--path->mark_count * sizeof *path->marks);
	mark = &path->marks[path->mark_count++];
	mark->runtime = runtime;
	mark->end = end;
	part_copy(id, mark->id, sizeof mark->id);
}

/* "docker-ID.scope", "libpod-ID", and "parent.slice:docker:ID", which a
 * runtime makes that was told one cgroup driver and uses the other. */
static const struct scheme {
	const char *prefix;
	enum owner_runtime runtime;
} schemes[] = {
	{"docker", OWNER_RUNTIME_DOCKER},
	{"cri-containerd", OWNER_RUNTIME_CONTAINERD},
	{"nerdctl", OWNER_RUNTIME_CONTAINERD},
	{"crio", OWNER_RUNTIME_CRIO},
	{"libpod", OWNER_RUNTIME_PODMAN},
};

static const struct scheme *scheme_find(struct part prefix)
{
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		if (part_is(prefix, schemes[i].prefix))
			return &schemes[i];
	}
	return NULL;
}

static bool hex_mark(struct owner_path *path, struct part part, size_t end)
{
	struct part base = part;
	const struct scheme *scheme;
	char before;

	if (part_ends(base, ".scope"))
		base = part_cut(base, 0, strlen(".scope"));
	if (base.length < HEX_ID_LENGTH + 2)
		return false;
	before = base.at[base.length - HEX_ID_LENGTH - 1];
	if (before != '-' && before != ':')
		return false;
	part = part_cut(base, base.length - HEX_ID_LENGTH, 0);
	if (!part_is_hex(part))
		return false;
	base = part_cut(base, 0, HEX_ID_LENGTH + 1);
	if (before == ':') { /* "slice:prefix" */
		const char *colon = memrchr(base.at, ':', base.length);

		if (colon)
			base = part_cut(base, (size_t)(colon + 1 - base.at), 0);
	}
	scheme = scheme_find(base);
	if (scheme) /* else a monitor's: "libpod-conmon-ID" */
		mark_add(path, scheme->runtime, part, end);
	return true;
}

/* A pod's UID: 32 hexadecimal digits with or without 4 "-" or "_". */
static bool pod_uid_copy(struct part part, char *ret_uid)
{
	if (part.length != 32 && part.length != 36)
		return false;
	for (size_t i = 0; i < part.length; i++) {
		char byte = part.at[i];

		if (!isxdigit((unsigned char)byte) && byte != '-' &&
		    byte != '_')
			return false;
		ret_uid[i] = byte;
		if (byte == '_')
			ret_uid[i] = '-';
	}
	ret_uid[part.length] = 0;
	return true;
}

/* "podUID" and "kubepods-burstable-podUID.slice". */
static bool pod_part(struct owner_path *path, struct part part)
{
	struct part base = part;
	const char *colon = memchr(part.at, ':', part.length);

	if (colon)
		base.length = (size_t)(colon - part.at);
	if (part_ends(base, ".slice"))
		base = part_cut(base, 0, strlen(".slice"));
	for (size_t length = 36; length >= 32; length -= 4) {
		struct part front;

		if (base.length < length + strlen("pod"))
			continue;
		front = part_cut(base, 0, length);
		if (part_is(front, "pod") ||
		    (part_ends(front, "-pod") && part_begins(part, "kube")))
			return pod_uid_copy(part_cut(base, front.length, 0),
					    path->pod_uid);
	}
	return false;
}

/* systemd writes what it escapes as \xAB. */
static void unescape(char *text)
{
	char *to = text;
	unsigned int byte;

	for (const char *at = text; *at; at++) {
		if (strncmp(at, "\\x", 2) == 0 && isxdigit((uint8_t)at[2]) &&
		    isxdigit((uint8_t)at[3]) &&
		    sscanf(at + 2, "%2x", &byte) == 1 && byte > 0) {
			*to++ = (char)byte;
			at += 3;
		} else {
			*to++ = *at;
		}
	}
	*to = 0;
}

/* "machine-NAME.scope" and "systemd-nspawn@NAME.service"; virtual machines
 * have the former too. */
static bool machine_part(struct owner_path *path, struct part part, size_t end)
{
	static const char scope[] = "machine-", service[] = "systemd-nspawn@";
	struct part name;

	if (part_begins(part, scope) && part_ends(part, ".scope"))
		name = part_cut(part, strlen(scope), strlen(".scope"));
	else if (part_begins(part, service) && part_ends(part, ".service"))
		name = part_cut(part, strlen(service), strlen(".service"));
	else
		return false;
	if (part_begins(name, "qemu\\x2d") || part_begins(name, "lxc\\x2d"))
		return true; /* libvirt's */
	mark_add(path, OWNER_RUNTIME_NSPAWN, name, end);
	if (path->mark_count > 0)
		unescape(path->marks[path->mark_count - 1].id);
	return true;
}

/* podman's pod: "/libpod_parent/ID", "machine-libpod_pod_ID.slice". */
static bool podman_pod_part(struct owner_path *path, struct part part,
			    struct part before)
{
	static const char infix[] = "libpod_pod_";
	struct part id = part;

	if (part_ends(part, ".slice")) {
		const char *at =
			memmem(part.at, part.length, infix, strlen(infix));

		if (!at)
			return false;
		id = part_cut(part, (size_t)(at - part.at) + strlen(infix),
			      strlen(".slice"));
	} else if (!part_is(before, "libpod_parent")) {
		return false;
	}
	if (!part_is_hex(id))
		return false;
	part_copy(id, path->pod_id, sizeof path->pod_id);
	return true;
}

static bool lxc_part(struct owner_path *path, struct part part,
		     struct part before, size_t end)
{
	static const char payload[] = "lxc.payload.";

	if (part_begins(part, payload)) {
		mark_add(path, OWNER_RUNTIME_LXC,
			 part_cut(part, strlen(payload), 0), end);
		return true;
	}
	if (part_is(before, "lxc.payload") ||
	    (part_is(before, "lxc") && end == strlen("/lxc/") + part.length)) {
		mark_add(path, OWNER_RUNTIME_LXC, part, end);
		return true;
	}
	return false;
}

static void unit_part(struct owner_path *path, struct part part)
{
	if (part_ends(part, ".slice"))
		part_copy(part, path->slice, sizeof path->slice);
	else if (part_ends(part, ".service") || part_ends(part, ".scope"))
		part_copy(part, path->unit, sizeof path->unit);
}

static void nspawn_part(struct owner_path *path, struct part part)
{
	bool named = path->mark_count > 0 &&
		     path->marks[path->mark_count - 1].runtime ==
			     OWNER_RUNTIME_NSPAWN;

	if (part_is(part, "payload") && !named)
		path->payload = true;
	else if (part_is(part, "supervisor") && named)
		path->mark_count--; /* nspawn itself, outside */
}

static void part_take(struct owner_path *path, struct part part,
		      struct part before, size_t end)
{
	unit_part(path, part);
	(void)pod_part(path, part);
	if (hex_mark(path, part, end) || podman_pod_part(path, part, before) ||
	    machine_part(path, part, end) || lxc_part(path, part, before, end))
		return;
	if (part_is_hex(part))
		mark_add(path,
			 part_is(before, "docker") ? OWNER_RUNTIME_DOCKER
						   : OWNER_RUNTIME_UNKNOWN,
			 part, end);
	else
		nspawn_part(path, part);
}

void owner_path_parse(const char *path, struct owner_path *ret_path)
{
	struct part before = {"", 0}, part;

	memset(ret_path, 0, sizeof *ret_path);
	for (const char *at = path; *at; at = part.at + part.length) {
		at += *at == '/';
		part = (struct part){at, strcspn(at, "/")};
		if (part.length > 0)
			part_take(ret_path, part, before,
				  (size_t)(at - path) + part.length);
		before = part;
	}
}

/* "a-b.slice" lies in "a.slice". */
static bool slice_expand(struct part slice, char *ret_path, size_t size)
{
	size_t used = 0, base = slice.length - strlen(".slice");

	for (size_t i = 1; i <= base; i++) {
		int length;

		if (i < base && slice.at[i] != '-')
			continue;
		length = snprintf(ret_path + used, size - used, "/%.*s.slice",
				  (int)i, slice.at);
		if (length < 0 || (size_t)length >= size - used)
			return false;
		used += (size_t)length;
	}
	return used > 0;
}

bool owner_path_expand(const char *text, char *ret_path, size_t size)
{
	const char *prefix = strchr(text, ':'), *name;
	struct part slice;
	size_t used;
	int length;

	if (!prefix) {
		length = snprintf(ret_path, size, "%s%s",
				  *text == '/' ? "" : "/", text);
		return *text && length >= 0 && (size_t)length < size;
	}
	slice = (struct part){text, (size_t)(prefix++ - text)};
	name = strchr(prefix, ':');
	if (!name || size == 0)
		return false;
	*ret_path = 0;
	if (slice.length == 0)
		slice = (struct part){"system.slice", strlen("system.slice")};
	if (slice.length <= strlen(".slice") || !part_ends(slice, ".slice") ||
	    memchr(slice.at, '/', slice.length) ||
	    !slice_expand(slice, ret_path, size))
		return false;
	used = strlen(ret_path);
	length = snprintf(ret_path + used, size - used, "/%.*s%s%s.scope",
			  (int)(name - prefix), prefix,
			  name == prefix ? "" : "-", name + 1);
	return name[1] && length >= 0 && (size_t)length < size - used;
}
