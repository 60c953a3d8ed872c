/* What every loader of BPF programs needs.  Included by this room only. */
#ifndef KERNEL_BPF_PRIVATE_H
#define KERNEL_BPF_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

struct bpf_object;
struct btf;
struct fault;

/* Tells libbpf how to behave, raises the limit of locked memory (before Linux
 * 5.11 that of maps counted) and reads the kernel's own types.  Returns 0, or
 * a negative code and *ret_fault says that the kernel does not describe
 * itself; *ret_btf is the caller's to free. */
int kernel_bpf_begin(struct btf **ret_btf, struct fault *ret_fault);

/* Whether the running kernel has this tracepoint, this function. */
bool kernel_has_tracepoint(const struct btf *btf, const char *name);
bool kernel_has_function(const struct btf *btf, const char *name);

/* The sentence for what the kernel said to a program, on 'target' (NULL: any).
 * Returns 'rc'. */
int kernel_bpf_refused(struct fault *ret_fault, int rc, const char *target);

/* The memory of the array map 'name', for reading and writing.  Returns 0 or
 * -errno; -ENOENT: there is no such map. */
int kernel_map_memory(const struct bpf_object *object, const char *name,
		      size_t size, void **ret_memory);

#endif
