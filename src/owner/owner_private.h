/* What the files of this room share. */
#ifndef OWNER_PRIVATE_H
#define OWNER_PRIVATE_H

#include <sys/types.h>

#include "owner/parse.h"

#define OWNER_NONE      UINT32_MAX
#define OWNER_NOTES_MAX 32
#define OWNER_WANTS_MAX 4096
#define OWNER_TRIES_MAX 12
#define OWNER_FILE_SIZE (4L << 20) /* the largest that is read */
#define OWNER_FOLDERS   64
#define OWNER_HELPERS   4096
#define OWNER_USERS     4096
#define OWNER_TICK_NS   (NS_PER_S / 100) /* USER_HZ is 100 on Linux */

/* ---- index.c: slots by a hash, chained, the newest first ---- */

struct index {
	uint32_t *heads, *next;
	uint32_t mask;
};

/* For slots 0 to count - 1.  0 or -ENOMEM. */
int owner_index_init(struct index *index, uint32_t count);
void owner_index_fini(struct index *index);
void owner_index_put(struct index *index, uint64_t hash, uint32_t slot);
void owner_index_remove(struct index *index, uint64_t hash, uint32_t slot);

static inline uint32_t owner_index_first(const struct index *index,
					 uint64_t hash)
{
	return index->heads[hash & index->mask];
}

uint64_t owner_hash_number(uint64_t value);
uint64_t owner_hash_text(const char *text);

/* ---- text.c: texts kept once, counted ---- */

struct text;
struct texts {
	struct text **heads;
	size_t bytes, bytes_max;
	uint64_t refused;
};

int owner_texts_init(struct texts *texts, size_t bytes_max);
void owner_texts_fini(struct texts *texts);
/* *at becomes 'length' bytes up to a zero (NULL: no text), or another's text
 * once more; the old one is given back.  At the limit it becomes NULL, and is
 * counted. */
void owner_text_set(struct texts *texts, const char **at, const char *bytes,
		    size_t length);
void owner_text_share(struct texts *texts, const char **at, const char *other);

/* ---- file.c ---- */

struct file {
	char *bytes; /* a zero follows */
	size_t size;
};

/* Below options.root.  With 'distrust' no link is followed behind the first
 * 'trusted' bytes of the path: others can write there. */
struct place {
	const char *path;
	size_t trusted; /* SIZE_MAX: all */
};

int owner_place_open(const struct owner_table *table, struct place place,
		     int flags);
/* Reads a regular file of a runtime, bounded.  0, -ENOENT when it is not
 * there, or what is wrong: counted and noted. */
int owner_file_read(struct owner_table *table, struct place place,
		    struct file *ret_file);
void owner_file_bad(struct owner_table *table, const char *path);
/* Calls 'each' with the names in a folder, but those that begin with a dot. */
void owner_folder_list(struct owner_table *table, struct place place,
		       void (*each)(void *context, const char *name,
				    uint8_t type),
		       void *context);
void owner_note_add(struct owner_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- the table ---- */

struct container {
	struct owner_container view;
	uint64_t hash;       /* of the id */
	uint64_t path_hash;  /* of view.cgroup, if 'pathed' */
	uint64_t space_hash; /* of view.pidns, if 'spaced' */
	char scope[64]; /* containerd's namespace, a user: same ids differ */
	uint64_t init_start_ticks;
	int64_t retry_ns;
	uint32_t refs; /* of cgroups and processes */
	uint8_t tries;
	bool used, named, pathed, spaced;
	bool told;   /* by a manager's file */
	bool stated; /* by runc's */
	bool sure;   /* the path names the runtime */
};

struct cgroup {
	struct owner_cgroup view;
	uint32_t refs; /* of processes */
	uint32_t seen; /* the last walk that saw it */
	uint32_t turn; /* in which its id was last checked against its path */
	uint8_t tries;
	bool used, wanted, payload;
};

enum life { LIFE_FREE, LIFE_LIVE, LIFE_ENDED };

struct process {
	struct owner_process view;
	struct cgroup *group; /* view.cgroup_id, view.cgroup */
	struct cgroup *other; /* of version 1, where the other tells nothing */
	struct container *bound; /* by namespaces, or its parent's */
	uint64_t read_ns;        /* CLOCK_BOOTTIME of the last read; 0: none */
	uint32_t holds;
	uint32_t prev, next; /* among the ended that may go; free slots */
	uint32_t seen;       /* the last scan that saw it */
	enum life life;
	bool queued, execed, listed;
};

struct want {
	uint32_t pid;
	uint64_t start_ns; /* as asked; 0: the slot is empty */
};

struct folder {
	enum owner_runtime runtime;
	char *path;
	size_t trusted;
	uint32_t uid; /* whose; OWNER_UID_UNKNOWN: the host's */
};

/* A process that says in its arguments whose children are what. */
struct helper {
	uint32_t pid;
	uint64_t start_ns;
	struct container *container;
};

struct user {
	uint32_t uid;
	char name[64]; /* "": none */
};

struct owner_table {
	struct owner_options options;
	struct owner_counters counters;
	char *notes[OWNER_NOTES_MAX];
	size_t note_count;
	int root_fd;
	int tree_fd; /* of the version 2 tree; -1: there is none */
	char tree[256];
	uint32_t host_pidns;
	bool pids_differ;       /* /proc is of another pid namespace */
	int64_t boot_offset_ns; /* of this time namespace, in /proc */
	int64_t wall_offset_ns;
	uint32_t turn, walk, scan;
	int64_t scanned_ns; /* 'now' of the last walk and relist */
	bool unsettled, relist, cgroup_full;
	bool rooted;    /* options.root was given */
	bool tree_true; /* the tree is the kernel's, not a copy for a test */

	struct texts texts;
	struct process *processes;
	struct index by_pid;
	uint32_t free, oldest, newest; /* lists */
	uint32_t *queue;               /* slots to be read, a ring */
	uint32_t queue_head, queue_count;
	struct want wants[OWNER_WANTS_MAX];
	uint32_t want_count;

	struct cgroup *cgroups;
	struct index by_id, by_path;
	uint32_t cgroup_hand, cgroup_wanted;

	struct container *containers;
	struct index by_name, by_cgroup, by_space;
	uint32_t container_hand, unnamed;

	struct folder folders[OWNER_FOLDERS];
	size_t folder_count;
	struct helper *helpers;
	size_t helper_count;
	struct user *users;
	size_t user_count;
	bool users_wanted;
	struct owner_facts facts; /* too large for a stack */
	char path[OWNER_PATH_SIZE];
};

uint64_t owner_boot_now(void);
void owner_clock_read(struct owner_table *table);

/* ---- process.c, life.c ---- */

struct process *owner_slot_find(struct owner_table *table, uint32_t pid,
				uint64_t start_ns);
/* A new one, live; NULL: refused. */
struct process *owner_slot_add(struct owner_table *table, uint32_t pid,
			       uint64_t start_ns, bool exact);
void owner_slot_exact(struct owner_table *table, struct process *process,
		      uint64_t start_ns);
void owner_slot_end(struct owner_table *table, struct process *process,
		    uint64_t end_ns);
void owner_slot_queue(struct owner_table *table, struct process *process);
void owner_process_inherit(struct owner_table *table, struct process *process,
			   const struct process *parent, bool program);
void owner_process_group(struct process *process, struct cgroup **at,
			 struct cgroup *group);
void owner_process_bind(struct process *process, struct container *container);
/* Again what its parent says, when more is known of that. */
void owner_process_late(struct owner_table *table, struct process *process);
/* The view's members that follow from group, other and bound. */
void owner_process_settle(struct owner_table *table, struct process *process);

/* ---- proc.c ---- */

/* What /proc says of this process: namespaces, offsets. */
void owner_proc_begin(struct owner_table *table);

/* Reads /proc/PID if it is that process still (start 0: whichever runs).
 * NULL: it is gone, another, or refused. */
struct process *owner_proc_read(struct owner_table *table, uint32_t pid,
				uint64_t start_ns);
/* NULL: not known; the former asks nobody, and the next turn does. */
const char *owner_user_known(struct owner_table *table, uint32_t uid);
const char *owner_user_name(struct owner_table *table, uint32_t uid);
/* The inode in "net:[4026531840]"; 0: not that. */
uint32_t owner_namespace_read(int folder_fd, const char *name);
int owner_proc_open(const struct owner_table *table, uint32_t pid);

/* ---- cgroup.c, tree.c ---- */

struct cgroup *owner_cgroup_by_id(struct owner_table *table, uint64_t id);
struct cgroup *owner_cgroup_by_path(struct owner_table *table,
				    const char *path);
/* Finds or makes; id 0: not known.  NULL: refused. */
struct cgroup *owner_cgroup_add(struct owner_table *table, uint64_t id,
				const char *path);
void owner_cgroup_gone(struct owner_table *table, struct cgroup *cgroup);
void owner_cgroup_want(struct owner_table *table, struct cgroup *cgroup);
void owner_cgroup_resolve(struct owner_table *table, struct cgroup *cgroup);
/* With the id that the tree has for the path now. */
struct cgroup *owner_tree_path(struct owner_table *table, const char *path);
void owner_tree_open(struct owner_table *table);
void owner_tree_walk(struct owner_table *table);
/* Asks the kernel for the paths of wanted ids.  False: it may not be asked,
 * a walk is needed. */
bool owner_tree_ask(struct owner_table *table);

/* ---- container.c ---- */

struct container *owner_container_get(struct owner_table *table,
				      enum owner_runtime runtime,
				      const char *scope, const char *id);
/* Finds or makes; NULL: refused. */
struct container *owner_container_add(struct owner_table *table,
				      enum owner_runtime runtime,
				      const char *scope, const char *id);
struct container *owner_container_by_cgroup(struct owner_table *table,
					    const char *path, size_t length);
struct container *owner_container_by_space(struct owner_table *table,
					   uint32_t pidns);
/* Of the mark with that index; NULL: refused. */
struct container *owner_container_mark(struct owner_table *table,
				       const char *path,
				       const struct owner_path *said,
				       size_t mark);
void owner_container_path(struct owner_table *table,
			  struct container *container, const char *path);
void owner_container_space(struct owner_table *table,
			   struct container *container, uint32_t pidns);
void owner_container_merge(struct owner_table *table,
			   struct container *container,
			   const struct owner_facts *facts);
void owner_container_named(struct owner_table *table,
			   struct container *container);
/* Cgroups and processes again, after containers changed. */
void owner_settle(struct owner_table *table);

/* ---- folders.c, runtimes.c, helper.c ---- */

int owner_folders_init(struct owner_table *table);
void owner_folders_fini(struct owner_table *table);
/* A copy of path; known ones and those beyond OWNER_FOLDERS are left out. */
void owner_folder_add(struct owner_table *table, enum owner_runtime runtime,
		      struct place place, uint32_t uid);
void owner_folders_users(struct owner_table *table);
/* Lists state folders for containers that no path names. */
void owner_runtimes_list(struct owner_table *table);
/* Reads names for those that lack them and are due. */
void owner_runtimes_name(struct owner_table *table, int64_t now_ns);
/* Names that may have changed. */
void owner_runtimes_again(struct owner_table *table);
/* containerd's database: the image of a container that has none in facts. */
void owner_bolt_image(struct owner_table *table, const char *space,
		      const char *id, struct owner_facts *facts);
bool owner_helper_is(const char *comm);
/* Learns folders and children from a process' arguments. */
void owner_helper_take(struct owner_table *table, const struct process *process,
		       const char *arguments, size_t size);
struct container *owner_helper_child(struct owner_table *table, uint32_t ppid);

#endif
