/* What the files of the sockets' loader share.  Included by this room only. */
#ifndef KERNEL_SOCKETS_PRIVATE_H
#define KERNEL_SOCKETS_PRIVATE_H

#include "base/err.h"
#include "kernel/kernel.h"
#include "kernel/sockets_shared.h"

#define SOCKETS_BUFFER \
	((size_t)64 * 1024) /* more than the kernel gives at a time */

/* A program of sockets.bpf.c. */
struct sockets_program {
	const char *name;
	const char *target;     /* tracepoint, function, or NULL */
	const char *attachment; /* as the user reads it */
	const char *lost;       /* what is not known without it */
	int hook;
	bool function;      /* instead of a tracepoint that is not there */
	const char *unless; /* not if this tracepoint is there */
};

extern const struct sockets_program sockets_programs[];
extern const size_t sockets_program_count;

/* The compiled programs: sockets_object.c, made by tools/embed.py. */
extern const unsigned char sockets_object[];
extern const size_t sockets_object_size;

/* Names of an enum of the running kernel. */
struct sockets_names {
	char **names;
	size_t count;
};

struct btf;
struct bpf_object;
struct bpf_program;
struct bpf_link;
struct ring_buffer;

struct kernel_sockets {
	struct kernel_sockets_options options;
	struct sockets_config config;
	struct btf *btf; /* the kernel's */
	struct bpf_object *object;
	struct bpf_program *programs[SOCKETS_HOOKS]; /* by row */
	struct bpf_link *links[SOCKETS_HOOKS];
	bool refused[SOCKETS_HOOKS];   /* the verifier took it for wrong */
	struct kernel_hook *hooks;     /* filled anew for each who asks */
	struct sockets_shared *shared; /* mapped */
	size_t shared_size;
	struct ring_buffer *events, *buckets;
	int epoll, cgroup, socks, calls, drops;
	int cpu_count;
	int64_t hz;
	uint64_t first_jiffies, first_jiffies_at;
	struct sockets_names drop_names, reset_names;
	int64_t drops_read; /* CLOCK_MONOTONIC ns */
	char *buffer;
	bool stopped;

	/* Of the turn under way. */
	const struct kernel_sockets_visitor *visitor;
	int handed;
	struct kernel_socket socket;

	uint64_t process_consumed, state_consumed, end_consumed;
	uint64_t bucket_consumed, bucket_ends, turns, turns_failed, turn_ns;
	uint64_t owners_next; /* turn */

	/* Cost. */
	int stats;
	struct kernel_sockets_cost cost, before;
	int64_t stats_ns;
};

/* sockets_load.c: opens, chooses, loads; or fills the fault. */
int sockets_load(struct kernel_sockets *sockets, struct fault *ret_fault);
void sockets_unload(struct kernel_sockets *sockets);
/* A program of the object that is loaded, by the row's hook. */
const struct sockets_program *sockets_program_of(int hook);

/* sockets_turn.c: reads a walk to its end. */
int sockets_walk_all(struct kernel_sockets *sockets, int hook, size_t size,
		     void (*take)(struct kernel_sockets *sockets,
				  const void *record));
int sockets_rings_open(struct kernel_sockets *sockets);

/* sockets_convert.c: a record as the public struct has it, handed over. */
void sockets_give_record(struct kernel_sockets *sockets,
			 const struct sockets_record *record);
void sockets_give_process(struct kernel_sockets *sockets,
			  const struct sockets_process *process);
void sockets_give_life(struct kernel_sockets *sockets,
		       const struct sockets_life *life, const char *path);
void sockets_give_bucket(struct kernel_sockets *sockets,
			 const struct sockets_bucket *bucket);

/* sockets_names.c */
void sockets_names_read(struct kernel_sockets *sockets);
void sockets_names_free(struct kernel_sockets *sockets);
/* Number of an enumerator, or 'missing'. */
uint32_t sockets_enum_value(const struct btf *btf, const char *type,
			    const char *name, uint32_t missing);

/* sockets_cost.c */
void sockets_cost_close(struct kernel_sockets *sockets);
uint64_t sockets_recursion_misses(const struct kernel_sockets *sockets);

#endif
