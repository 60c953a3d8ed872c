/* What every loader of BPF programs needs. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/err.h"
#include "kernel/bpf_private.h"

int kernel_bpf_begin(struct btf **ret_btf, struct fault *ret_fault)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
	long rc;

	(void)libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	(void)libbpf_set_print(NULL);
	(void)setrlimit(RLIMIT_MEMLOCK, &limit);
	*ret_btf = btf__load_vmlinux_btf();
	rc = libbpf_get_error(*ret_btf);
	if (rc == 0)
		return 0;
	*ret_btf = NULL;
	return fault_set(ret_fault, (int)rc,
			 "this kernel does not describe itself "
			 "(/sys/kernel/btf/vmlinux): %s",
			 err_sentence((int)rc));
}

bool kernel_has_tracepoint(const struct btf *btf, const char *name)
{
	char type[64];

	(void)snprintf(type, sizeof type, "btf_trace_%s", name);
	return btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

bool kernel_has_function(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

int kernel_bpf_refused(struct fault *ret_fault, int rc, const char *target)
{
	if (rc == -EACCES)
		return fault_set(ret_fault, rc,
				 "BPF%s%s: the kernel's verifier refuses the "
				 "program",
				 target ? " on " : "", target ? target : "");
	if (rc == -EPERM)
		return fault_set(ret_fault, rc,
				 "BPF%s%s is not permitted: needs root, or "
				 "CAP_BPF and CAP_PERFMON; a locked-down "
				 "kernel refuses it to all",
				 target ? " on " : "", target ? target : "");
	return fault_set(ret_fault, rc, "BPF%s%s: %s", target ? " on " : "",
			 target ? target : "", err_sentence(rc));
}

int kernel_map_memory(const struct bpf_object *object, const char *name,
		      size_t size, void **ret_memory)
{
	int fd = bpf_object__find_map_fd_by_name(object, name);
	void *mapped;

	if (fd < 0)
		return -ENOENT;
	mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED)
		return -errno;
	*ret_memory = mapped;
	return 0;
}
