/* Processes and containers as records. */
#include <string.h>

#include "owner/owner_private.h"

#define WORD(name, word) [name] = word,
static const char *const runtime_words[] = {OWNER_RUNTIMES(WORD)};
#undef WORD

enum present {
	HAS_PPID = 1 << 0,
	HAS_UID = 1 << 1,
	HAS_NETNS = 1 << 2,
	HAS_CGROUP_ID = 1 << 3,
	HAS_END = 1 << 4,
	HAS_INIT = 1 << 5,
};

#define ROW(name_, type_, member, unit_, help_, ...)                       \
	{                                                                  \
		.name = name_, .type = type_,                              \
		.offset = offsetof(struct owner_process_record, member),   \
		.unit = unit_, .help = help_,                              \
		.present = offsetof(struct owner_process_record, present), \
		__VA_ARGS__                                                \
	}
#define TEXT(name_, member, help_)                \
	ROW(name_, FIELD_TEXT, member, "", help_, \
	    .size = sizeof((struct owner_process_record *)NULL)->member)

static const struct field_row process_rows[] = {
	ROW("pid", FIELD_U32, pid, "", "process id"),
	ROW("start_ns", FIELD_U64, start_ns, "ns",
	    "when it began, since the host's start"),
	ROW("end_ns", FIELD_U64, end_ns, "ns",
	    "when it ended, since the host's start", .present_mask = HAS_END),
	ROW("start_wall_ns", FIELD_TIME, start, "ns", "when it began"),
	ROW("end_wall_ns", FIELD_TIME, end, "ns", "when it ended",
	    .present_mask = HAS_END),
	ROW("start_exact", FIELD_BOOL, start_exact, "",
	    "whether the start is known to the nanosecond, else to 10 ms"),
	ROW("ppid", FIELD_U32, ppid, "", "the process that began it",
	    .present_mask = HAS_PPID),
	TEXT("comm", comm, "the name of its first thread"),
	TEXT("exe", exe, "the program's path"),
	ROW("exe_deleted", FIELD_BOOL, exe_deleted, "",
	    "whether the program's file was removed"),
	TEXT("filename", filename, "the path that exec was given"),
	TEXT("command", command, "its arguments, cut to fit"),
	ROW("uid", FIELD_U32, uid, "", "the effective user",
	    .present_mask = HAS_UID),
	TEXT("user", user, "the user's name"),
	ROW("kernel", FIELD_BOOL, kernel, "", "a thread of the kernel"),
	ROW("netns", FIELD_U32, netns, "", "network namespace, its inode",
	    .present_mask = HAS_NETNS),
	ROW("cgroup_id", FIELD_U64, cgroup_id, "", "version 2 cgroup",
	    .present_mask = HAS_CGROUP_ID),
	TEXT("cgroup", cgroup, "path of its cgroup"),
	TEXT("unit", unit, "systemd's service or scope"),
	TEXT("slice", slice, "systemd's slice"),
	ROW("runtime", FIELD_WORD, runtime, "", "what runs its container",
	    .words = runtime_words),
	TEXT("container_id", container_id, "the container's id"),
	TEXT("container_name", container_name, "the container's name"),
};
#undef ROW
#undef TEXT

const struct field_table owner_process_fields = {
	process_rows, sizeof process_rows / sizeof *process_rows};

static void text_copy(char *to, const char *text, size_t size)
{
	size_t length = text ? strnlen(text, size - 1) : 0;

	memcpy(to, text ?: "", length);
	to[length] = 0;
}

#define COPY(member) text_copy(ret->member, process->member, sizeof ret->member)

void owner_process_record(const struct owner_process *process,
			  struct owner_process_record *ret)
{
	const struct owner_container *container = process->container;

	memset(ret, 0, offsetof(struct owner_process_record, comm));
	ret->present = (process->ppid ? HAS_PPID : 0) |
		       (process->uid != OWNER_UID_UNKNOWN ? HAS_UID : 0) |
		       (process->netns ? HAS_NETNS : 0) |
		       (process->cgroup_id ? HAS_CGROUP_ID : 0) |
		       (process->end_ns ? HAS_END : 0);
	ret->pid = process->pid;
	ret->ppid = process->ppid;
	ret->uid = process->uid;
	ret->netns = process->netns;
	ret->start_ns = process->start_ns;
	ret->end_ns = process->end_ns;
	ret->cgroup_id = process->cgroup_id;
	ret->start = process->start;
	ret->end = process->end;
	ret->start_exact = process->start_exact;
	ret->exe_deleted = process->exe_deleted;
	ret->kernel = process->kernel;
	ret->runtime =
		(uint8_t)(container ? container->runtime : OWNER_RUNTIME_NONE);
	COPY(comm);
	COPY(user);
	COPY(exe);
	COPY(filename);
	COPY(command);
	COPY(cgroup);
	COPY(unit);
	COPY(slice);
	text_copy(ret->container_id, container ? container->id : NULL,
		  sizeof ret->container_id);
	text_copy(ret->container_name, container ? container->name : NULL,
		  sizeof ret->container_name);
}

#define ROW(name_, type_, member, help_, ...)                                \
	{                                                                    \
		.name = name_, .type = type_,                                \
		.offset = offsetof(struct owner_container_record, member),   \
		.unit = "", .help = help_,                                   \
		.present = offsetof(struct owner_container_record, present), \
		__VA_ARGS__                                                  \
	}
#define TEXT(name_, member, help_)               \
	ROW(name_, FIELD_TEXT, is.member, help_, \
	    .size = sizeof((struct owner_container *)NULL)->member)

static const struct field_row container_rows[] = {
	TEXT("id", id, "the runtime's id"),
	ROW("runtime", FIELD_WORD, runtime, "what runs it",
	    .words = runtime_words),
	TEXT("name", name, "its name"),
	TEXT("image", image, "what it was made from"),
	TEXT("pod_name", pod_name, "Kubernetes: the pod"),
	TEXT("pod_namespace", pod_namespace, "Kubernetes: its namespace"),
	TEXT("pod_uid", pod_uid, "Kubernetes: the pod's UID"),
	TEXT("pod_container", pod_container,
	     "Kubernetes: the container's name in the pod"),
	TEXT("pod_id", pod_id, "the sandbox, podman's pod"),
	ROW("sandbox", FIELD_BOOL, is.sandbox, "the pod's own, without work"),
	TEXT("cgroup", cgroup, "path of its cgroup"),
	ROW("cgroup_id", FIELD_U64, is.cgroup_id, "version 2 cgroup",
	    .present_mask = HAS_CGROUP_ID),
	ROW("uid", FIELD_U32, is.uid, "whose rootless runtime",
	    .present_mask = HAS_UID),
	ROW("init_pid", FIELD_U32, is.init_pid, "its first process",
	    .present_mask = HAS_INIT),
	ROW("netns", FIELD_U32, is.netns, "network namespace, its inode",
	    .present_mask = HAS_NETNS),
	ROW("ended", FIELD_BOOL, is.ended, "whether it has ended"),
};

const struct field_table owner_container_fields = {
	container_rows, sizeof container_rows / sizeof *container_rows};

void owner_container_record(const struct owner_container *container,
			    struct owner_container_record *ret_record)
{
	ret_record->is = *container;
	ret_record->runtime = (uint8_t)container->runtime;
	ret_record->present =
		(container->uid != OWNER_UID_UNKNOWN ? HAS_UID : 0) |
		(container->netns ? HAS_NETNS : 0) |
		(container->cgroup_id ? HAS_CGROUP_ID : 0) |
		(container->init_pid ? HAS_INIT : 0);
}
