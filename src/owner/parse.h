/* The foreign texts that say who owns what, one function a kind.
 *
 * Pure: bytes in, a struct out, whatever the bytes are.  For the room, its
 * tests and its fuzz targets.
 *
 * Threads: any.
 */
#ifndef OWNER_PARSE_H
#define OWNER_PARSE_H

#include <string.h>

#include "owner/owner.h"

/* ---- cgroup paths ---- */

#define OWNER_MARKS_MAX 6

/* A component of a path that names a container. */
struct owner_mark {
	enum owner_runtime runtime; /* UNKNOWN: an id, its runtime not said */
	char id[OWNER_ID_SIZE];
	size_t end; /* the container's own cgroup is path[0, end) */
};

struct owner_path {
	struct owner_mark marks[OWNER_MARKS_MAX]; /* the outermost first */
	size_t mark_count;
	char pod_uid[64];           /* Kubernetes, with "-"; "" */
	char pod_id[OWNER_ID_SIZE]; /* podman's pod; "" */
	char unit[OWNER_NAME_SIZE]; /* the innermost service or scope; "" */
	char slice[OWNER_NAME_SIZE];
	/* nspawn's own part of its cgroup, its name not in the path. */
	bool payload;
};

/* What 'path' ("/a/b", as in /proc/PID/cgroup) says. */
void owner_path_parse(const char *path, struct owner_path *ret_path);

/* An OCI linux.cgroupsPath as a path: "/a/b" is one; "a.slice:docker:ID" is
 * "/a.slice/docker-ID.scope".  False: it fits neither, or not in 'size'. */
bool owner_path_expand(const char *text, char *ret_path, size_t size);

/* All of 'from', which the caller knows to fit; cut if he is wrong. */
static inline void owner_text_copy(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);

	if (length >= size)
		length = size - 1;
	memmove(to, from, length);
	to[length] = 0;
}

/* Whether 'text' is 64 lower-case hexadecimal digits and nothing else. */
bool owner_id_is_hex(const char *text);

/* ---- files of runtimes ---- */

/* What one of them says of a container; "" and 0: nothing. */
struct owner_facts {
	enum owner_runtime runtime;
	char id[OWNER_ID_SIZE];
	char name[OWNER_NAME_SIZE];
	char image[OWNER_IMAGE_SIZE];
	char pod_name[OWNER_NAME_SIZE];
	char pod_namespace[64];
	char pod_uid[64];
	char pod_container[OWNER_NAME_SIZE];
	char pod_id[OWNER_ID_SIZE];
	char cgroup[OWNER_PATH_SIZE]; /* as written: a folder, cgroupsPath */
	uint32_t init_pid;
	uint64_t init_start_ticks; /* field 22 of its stat */
	bool sandbox;
};

/* Each returns 0, or -EBADMSG when the text is not of its kind; *ret_facts is
 * written all the same, and holds whole texts or none: what does not fit is
 * left out. */
int owner_docker_parse(const char *bytes, size_t size,
		       struct owner_facts *ret_facts); /* config.v2.json */
int owner_runc_parse(const char *bytes, size_t size,
		     struct owner_facts *ret_facts); /* state.json */
int owner_crun_parse(const char *bytes, size_t size,
		     struct owner_facts *ret_facts); /* status */
int owner_bundle_parse(const char *bytes, size_t size,
		       struct owner_facts *ret_facts); /* config.json */
int owner_lxc_parse(const char *bytes, size_t size,
		    struct owner_facts *ret_facts); /* config */
int owner_lxd_parse(const char *bytes, size_t size,
		    struct owner_facts *ret_facts); /* backup.yaml */
/* containers.json, of podman and CRI-O: the container 'id' in it.  -ENOENT:
 * not among them. */
int owner_storage_parse(const char *bytes, size_t size, const char *id,
			struct owner_facts *ret_facts);

/* A text in a bbolt database open as 'fd': keys[0] to keys[count - 2] are
 * buckets.  0, -ENOENT, -ENOMEM, or -EBADMSG: it is none. */
int owner_bolt_get(int fd, const char *const *keys, size_t count,
		   char *ret_text, size_t size);

/* ---- /proc ---- */

struct owner_stat {
	char comm[OWNER_COMM_SIZE];
	uint32_t ppid;
	bool kernel;
	uint64_t start_ticks;
};

/* A line of /proc/PID/stat; false: it is none. */
bool owner_stat_parse(const char *bytes, size_t size,
		      struct owner_stat *ret_stat);

/* The text after "--name=" or "--name " or "-n " in arguments that zeros end,
 * 'size' bytes of them; NULL: not there.  'names': "--name\0-n\0". */
const char *owner_argument(const char *arguments, size_t size,
			   const char *names);

#endif
