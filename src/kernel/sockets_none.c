/* Sockets in a build without BPF. */
#include "base/err.h"
#include "kernel/kernel.h"

int kernel_sockets_open(const struct kernel_sockets_options *options,
			struct kernel_sockets **ret_sockets,
			struct fault *ret_fault)
{
	(void)options, (void)ret_sockets;
	return fault_set(ret_fault, ERR_NOT_BUILT,
			 "this build is without BPF: it lacked %s",
			 KERNEL_POINTS_LACK);
}

void kernel_sockets_close(struct kernel_sockets *sockets)
{
	(void)sockets;
}

struct mono kernel_sockets_start(const struct kernel_sockets *sockets)
{
	(void)sockets;
	return (struct mono){0};
}

uint32_t kernel_sockets_index(const struct kernel_sockets *sockets)
{
	(void)sockets;
	return 0;
}

int kernel_sockets_fd(const struct kernel_sockets *sockets)
{
	(void)sockets;
	return -1;
}

int kernel_sockets_turn(struct kernel_sockets *sockets,
			const struct kernel_sockets_visitor *visitor)
{
	(void)sockets, (void)visitor;
	return ERR_NOT_BUILT;
}

int kernel_sockets_gather(struct kernel_sockets *sockets,
			  const struct kernel_sockets_visitor *visitor)
{
	(void)sockets, (void)visitor;
	return ERR_NOT_BUILT;
}

int kernel_sockets_stop(struct kernel_sockets *sockets,
			const struct kernel_sockets_visitor *visitor,
			struct mono *ret_end)
{
	(void)sockets, (void)visitor, (void)ret_end;
	return ERR_NOT_BUILT;
}

struct kernel_sockets_counters
kernel_sockets_counters(const struct kernel_sockets *sockets)
{
	(void)sockets;
	return (struct kernel_sockets_counters){0};
}

size_t kernel_sockets_hooks(const struct kernel_sockets *sockets,
			    const struct kernel_hook **ret_hooks)
{
	(void)sockets;
	*ret_hooks = NULL;
	return 0;
}

int kernel_sockets_measure(struct kernel_sockets *sockets, bool on)
{
	(void)sockets, (void)on;
	return ERR_NOT_BUILT;
}

struct kernel_sockets_cost
kernel_sockets_cost(const struct kernel_sockets *sockets)
{
	(void)sockets;
	return (struct kernel_sockets_cost){0};
}

const char *kernel_drop_name(const struct kernel_sockets *sockets,
			     uint32_t reason)
{
	(void)sockets, (void)reason;
	return NULL;
}

const char *kernel_reset_name(const struct kernel_sockets *sockets,
			      uint32_t reason)
{
	(void)sockets, (void)reason;
	return NULL;
}
