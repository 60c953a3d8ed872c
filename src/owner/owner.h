/* Who is behind a socket: processes, and the containers that they are in.
 *
 * A process is (pid, start): a pid that is used again is another process.  Its
 * life comes from the kernel's events (owner_process_begin, _exec, _end) or
 * from /proc (owner_scan); names, images and pods come from the files that the
 * container runtimes keep, never from their sockets, and need no credentials.
 * What is not known is NULL, 0 or "" as each member says, and stays so rather
 * than be guessed: a process that lived 2 ms has what its events said.
 *
 * How to use it:
 *
 *     attach the kernel's events, then owner_table_create(), owner_scan();
 *     for each event:   owner_process_begin(), _exec(), _end(),
 *                       owner_cgroup_begin(), _end();   no file is read
 *     after each batch: owner_turn();                   reads, bounded
 *     for each socket:  owner_find() or owner_process_find() and
 *                       owner_container_of();           no file is read
 *
 * A container is found, in this order, by: the process' cgroup (its nearest
 * ancestor that is one), its namespaces (rootless runtimes and nspawn share
 * the caller's cgroup), the process that began it.  Version 1, hybrid and
 * version 2 trees are read; on version 1 alone the kernel's cgroup ids say
 * nothing, and containers hang on processes.
 *
 * All is bounded.  When processes are at their limit, the one that ended first
 * is forgotten; one that still runs, or is held, never is: then the new one is
 * refused.  Cgroups and containers likewise.  Each has a counter.
 *
 * Pids are those of the pid namespace that 'root'/proc shows; the kernel's
 * events speak of the first one.  Nothing is mixed up where they differ: what
 * /proc says is taken only if the start time agrees.
 *
 * Ownership: the table owns all that it hands out.  A pointer to a process,
 * container or cgroup holds until the next call that is marked 'changes', and
 * for a held process until it is released.
 *
 * Threads: one at a time, none of its own.  Reading files may block as the
 * disk does; owner_turn() says how to bound it.
 */
#ifndef OWNER_H
#define OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/err.h"
#include "base/field.h"
#include "base/stamp.h"

#define OWNER_UID_UNKNOWN UINT32_MAX
#define OWNER_COMM_SIZE   16
#define OWNER_PATH_SIZE   4096
#define OWNER_ID_SIZE     256
#define OWNER_NAME_SIZE   256
#define OWNER_IMAGE_SIZE  512

/* X(name, the word in output) */
#define OWNER_RUNTIMES(X)                                              \
	X(OWNER_RUNTIME_NONE, NULL)                                    \
	X(OWNER_RUNTIME_UNKNOWN, "unknown") /* it is one, nobody's */  \
	X(OWNER_RUNTIME_DOCKER, "docker")                              \
	X(OWNER_RUNTIME_CONTAINERD, "containerd")                      \
	X(OWNER_RUNTIME_CRIO, "cri-o")                                 \
	X(OWNER_RUNTIME_PODMAN, "podman")                              \
	X(OWNER_RUNTIME_RUNC, "runc") /* or crun, without a manager */ \
	X(OWNER_RUNTIME_LXC, "lxc")                                    \
	X(OWNER_RUNTIME_LXD, "lxd")                                    \
	X(OWNER_RUNTIME_INCUS, "incus")                                \
	X(OWNER_RUNTIME_NSPAWN, "nspawn")

#define OWNER_RUNTIME_ENUM(name, word) name,
enum owner_runtime { OWNER_RUNTIMES(OWNER_RUNTIME_ENUM) OWNER_RUNTIME_COUNT };
#undef OWNER_RUNTIME_ENUM

/* "docker"; NULL for OWNER_RUNTIME_NONE. */
const char *owner_runtime_word(enum owner_runtime runtime);

/* X(name, unit, line) */
#define OWNER_COUNTERS(X)                                                     \
	X(processes, "processes", "known now, ended ones included")           \
	X(processes_live, "processes", "known now that have not ended")       \
	X(processes_scanned, "processes", "found in /proc by a scan")         \
	X(processes_begun, "processes", "told by an event first")             \
	X(processes_ended, "processes", "whose end an event told")            \
	X(processes_vanished, "processes", "that ended without an event")     \
	X(processes_resolved, "processes", "read from /proc in time")         \
	X(processes_unresolved, "processes", "gone before /proc was read")    \
	X(processes_evicted, "processes", "ended and forgotten for room")     \
	X(processes_refused, "processes", "for which no room was left")       \
	X(lookups, "lookups", "of a process")                                 \
	X(lookups_unknown, "lookups", "of a process not known")               \
	X(cgroups, "cgroups", "known now")                                    \
	X(cgroups_unresolved, "cgroups", "whose id nobody could name")        \
	X(cgroups_evicted, "cgroups", "ended and forgotten for room")         \
	X(cgroups_refused, "cgroups", "for which no room was left")           \
	X(cgroup_scans, "scans", "of the tree for ids not known")             \
	X(containers, "containers", "known now")                              \
	X(containers_named, "containers", "whose runtime's files were read")  \
	X(containers_unnamed, "containers", "without files of a runtime yet") \
	X(containers_evicted, "containers", "ended and forgotten for room")   \
	X(containers_refused, "containers", "for which no room was left")     \
	X(files_read, "files", "of runtimes, read")                           \
	X(files_unreadable, "files", "of runtimes there, but not readable")   \
	X(files_bad, "files", "of runtimes read and not understood")          \
	X(texts_refused, "texts", "left out because text_bytes was reached")

struct owner_counters {
	OWNER_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row owner_counter_rows[];
extern const size_t owner_counter_count;

/* A folder of a runtime beside the usual ones: docker's data-root, the state
 * and the root folder of containerd, the storage root (graphroot) of podman and
 * CRI-O, the
 * --root of runc, the lxcpath of LXC, LXD's and Incus' own folder.  Those that
 * running daemons, shims and monitors name in their arguments are found
 * without. */
struct owner_folder {
	enum owner_runtime runtime;
	const char *path; /* absolute; on this host, 'root' goes before it */
};

/* All zero is fine: 0 takes what is said. */
struct owner_options {
	const char *root; /* /proc, /sys, /run... below this one; NULL: "" */
	const struct owner_folder *folders; /* copied */
	size_t folder_count;
	uint32_t process_max;   /* 65,536; least 16 */
	uint32_t cgroup_max;    /* 16,384; least 16 */
	uint32_t container_max; /* 4,096; least 4 */
	size_t text_bytes;      /* of paths and command lines: 64 MiB */
	size_t command_size;    /* longest kept command line: 1,024 bytes */
	uint32_t turn_reads;    /* processes read a turn: 1,000 */
	uint32_t scans_hz;      /* tree and runtime folders: 4 a second */
	bool passwd_only;       /* user names: no NSS, just /etc/passwd */
	/* Added to CLOCK_BOOTTIME gives CLOCK_REALTIME; 0: measured at each
	 * scan and turn. */
	int64_t wall_of_boot_ns;
};

struct owner_table;

/* Takes the memory; reads nothing of others yet.  Returns 0, -ENOMEM, or what
 * opening 'root' gave, with a sentence. */
int owner_table_create(const struct owner_options *options,
		       struct owner_table **ret_table, struct fault *ret_fault);
/* NULL is fine. */
void owner_table_destroy(struct owner_table *table);

/* ---- containers and cgroups ---- */

struct owner_container {
	enum owner_runtime runtime;
	char id[OWNER_ID_SIZE];       /* the name where a runtime has no id */
	char name[OWNER_NAME_SIZE];   /* "": not known */
	char image[OWNER_IMAGE_SIZE]; /* LXC, nspawn: the root folder; "" */
	/* Kubernetes; "" outside of it or not known. */
	char pod_name[OWNER_NAME_SIZE];
	char pod_namespace[64];
	char pod_uid[64];
	char pod_container[OWNER_NAME_SIZE];
	char pod_id[OWNER_ID_SIZE]; /* the sandbox; podman's pod */
	char cgroup[512];           /* path, of the container itself; "" */
	uint64_t cgroup_id;         /* 0: not known, or shared with others */
	uint32_t uid;               /* whose rootless runtime; UNKNOWN: none */
	uint32_t init_pid;          /* 0: not known */
	uint32_t netns;             /* inode; 0: not known */
	uint32_t pidns;             /* inode; 0: not known, or the host's */
	bool sandbox;               /* the pod's own, with no work inside */
	bool ended;                 /* the cgroup or the first process went */
};

/* A cgroup by its id (version 2) or path. */
struct owner_cgroup {
	uint64_t id;      /* 0: not known (version 1 alone) */
	const char *path; /* "/": the root; NULL: id that nobody could name */
	const struct owner_container *container; /* NULL: none, not known */
	const char *unit;  /* systemd's: "nginx.service"; NULL: none */
	const char *slice; /* "system.slice"; NULL: none */
	bool ended;
};

/* Both without reading a file.  NULL: not known (yet: owner_turn() then tries
 * the id, and the next call may know it). */
const struct owner_cgroup *owner_cgroup_find(struct owner_table *table,
					     uint64_t id);
/* The container of a cgroup id, as of a socket; NULL: none, or not known:
 * owner_cgroup_find() tells which. */
const struct owner_container *owner_container_of(struct owner_table *table,
						 uint64_t cgroup_id);
const struct owner_container *owner_container_of_path(struct owner_table *table,
						      const char *path);
const struct owner_container *
owner_container_find(const struct owner_table *table,
		     enum owner_runtime runtime, const char *id);

/* cgroup_mkdir and cgroup_rmdir, where the kernel's events tell: 'path' below
 * the tree's root.  Both change the table; the latter keeps the entry. */
void owner_cgroup_begin(struct owner_table *table, uint64_t id,
			const char *path);
void owner_cgroup_end(struct owner_table *table, uint64_t id);

/* ---- processes ---- */

struct owner_process {
	uint32_t pid;
	uint32_t ppid; /* at its begin; 0: not known, or none */
	/* CLOCK_BOOTTIME; exact where an event told, else to the tick below
	 * (10 ms): 'start_exact'. */
	uint64_t start_ns;
	uint64_t end_ns; /* 0: it runs, or nobody saw when it ended */
	struct wall start, end;
	uint32_t uid;          /* effective, as ps has it; OWNER_UID_UNKNOWN */
	uint32_t netns, pidns; /* inodes; 0: not known */
	uint64_t cgroup_id;    /* 0: not known */
	bool start_exact;
	bool ended;
	bool kernel;                /* a thread of the kernel: no program */
	char comm[OWNER_COMM_SIZE]; /* of the leader; "": not known */
	/* NULL: not known. */
	const char *user;
	const char *exe;      /* the program's path, resolved */
	const char *filename; /* as exec was told: a script, a link */
	const char *command;  /* arguments, a blank between, cut to fit */
	const char *cgroup;   /* path; of version 1 where only that tells */
	const char *unit;
	const char *slice;
	const struct owner_container *container;
	bool exe_deleted; /* the file went; 'exe' is where it was */
};

/* What an event knows; 0, "" and NULL: nothing. */
struct owner_event {
	uint32_t pid;      /* tgid, never of a thread beside the first */
	uint32_t ppid;     /* tgid */
	uint64_t start_ns; /* the leader's start_boottime; never 0 */
	uint64_t parent_start_ns;
	uint64_t at_ns;        /* of the event, CLOCK_BOOTTIME */
	uint64_t cgroup_id;    /* version 2 */
	uint32_t uid;          /* OWNER_UID_UNKNOWN */
	uint32_t netns, pidns; /* inodes */
	const char *comm;      /* the leader's */
	const char *exe;       /* resolved, absolute; else */
	const char *filename;  /* what exec was told */
};

/* Each changes the table, reads no file and takes well under a microsecond.
 * They may come in any order and more than once, and each alone is enough to
 * know the process.  Begin: what is not said is the parent's, if that is known
 * (fork copies it).  Exec: what /proc says is read in the next turn, if it
 * still runs.  End: kept for lookups until evicted.
 * Returns the process, NULL when it was refused. */
const struct owner_process *
owner_process_begin(struct owner_table *table, const struct owner_event *event);
const struct owner_process *owner_process_exec(struct owner_table *table,
					       const struct owner_event *event);
const struct owner_process *owner_process_end(struct owner_table *table,
					      const struct owner_event *event);

/* The process of that pid and start (CLOCK_BOOTTIME, exact or to the tick);
 * start 0: the one that runs now.  NULL: not known.  No file is read; with a
 * start, owner_turn() then looks for it in /proc. */
const struct owner_process *owner_process_find(struct owner_table *table,
					       uint32_t pid, uint64_t start_ns);

/* Keeps it from being forgotten, counted; changes nothing else.  For whoever
 * has bytes of it to report. */
void owner_process_hold(struct owner_table *table,
			const struct owner_process *process);
void owner_process_release(struct owner_table *table,
			   const struct owner_process *process);

/* Who is behind a socket, as far as is known: either may be NULL. */
struct owner {
	const struct owner_process *process;
	const struct owner_container *container;
};

/* Of a socket's user (pid 0: nobody's) and its own cgroup id (0: not known);
 * where the two are in different containers, the process' counts. */
struct owner owner_find(struct owner_table *table, uint32_t pid,
			uint64_t start_ns, uint64_t cgroup_id);

/* ---- reading ---- */

/* Reads the cgroup tree, the runtimes' folders and all of /proc; again: also
 * ends what is gone without an event.  Changes the table.  Some 20 us a
 * process.  Returns 0 or why /proc could not be listed at all. */
int owner_scan(struct owner_table *table, struct fault *ret_fault);

/* What events left open: processes begun or looked for since, cgroup ids,
 * names of containers; bounded by turn_reads and scans_hz.  Changes the table.
 * 'now' may be any clock that goes forward.  Returns how many processes and
 * cgroups remain open: with more than 0, call again soon; with 0 too, every
 * second or so, for names that were not in the files yet. */
size_t owner_turn(struct owner_table *table, struct mono now);

/* ---- out ---- */

/* The next one after 'previous' (NULL: the first), in no order; NULL: no more.
 * Changing the table in between may skip some. */
const struct owner_process *
owner_process_next(const struct owner_table *table,
		   const struct owner_process *previous);
const struct owner_container *
owner_container_next(const struct owner_table *table,
		     const struct owner_container *previous);

/* A process as a record for owner_process_fields: a copy, 10 KiB. */
struct owner_process_record {
	uint32_t present; /* OWNER_HAS_... */
	uint32_t pid, ppid, uid, netns;
	uint64_t start_ns, end_ns, cgroup_id;
	struct wall start, end;
	bool start_exact, exe_deleted, kernel;
	uint8_t runtime;
	char comm[OWNER_COMM_SIZE];
	char user[64];
	char exe[OWNER_PATH_SIZE];
	char filename[OWNER_PATH_SIZE];
	char command[OWNER_PATH_SIZE];
	char cgroup[OWNER_PATH_SIZE];
	char unit[OWNER_NAME_SIZE];
	char slice[OWNER_NAME_SIZE];
	char container_id[OWNER_ID_SIZE];
	char container_name[OWNER_NAME_SIZE];
};

void owner_process_record(const struct owner_process *process,
			  struct owner_process_record *ret_record);

struct owner_container_record {
	uint32_t present;
	uint8_t runtime;
	struct owner_container is;
};

void owner_container_record(const struct owner_container *container,
			    struct owner_container_record *ret_record);

/* Rows of the two records. */
extern const struct field_table owner_process_fields;
extern const struct field_table owner_container_fields;

struct owner_counters owner_counters(const struct owner_table *table);

/* What could not be read or understood, one sentence a file, the first 32;
 * NULL: no more. */
const char *owner_note(const struct owner_table *table, size_t index);

#endif
