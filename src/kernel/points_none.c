/* Points by BPF in a build without it. */
#include "base/err.h"
#include "kernel/points_private.h"

bool kernel_points_built(void)
{
	return false;
}

const char *kernel_points_lack(void)
{
	return KERNEL_POINTS_LACK;
}

int kernel_points_open(const struct kernel_points_options *options,
		       struct kernel_points **ret_points,
		       struct fault *ret_fault)
{
	(void)options, (void)ret_points;
	return fault_set(ret_fault, ERR_NOT_BUILT,
			 "this build is without BPF: it lacked %s",
			 KERNEL_POINTS_LACK);
}

void kernel_points_close(struct kernel_points *points)
{
	(void)points;
}

enum tier kernel_points_tier(const struct kernel_points *points)
{
	(void)points;
	return TIER_SOCKET;
}

const char *kernel_points_missing(const struct kernel_points *points)
{
	(void)points;
	return "";
}

int kernel_points_watch(struct kernel_points *points, uint16_t port)
{
	(void)points, (void)port;
	return ERR_NOT_BUILT;
}

struct probe_watch *kernel_points_probe(struct kernel_points *points)
{
	(void)points;
	return NULL;
}

int kernel_points_gather(struct kernel_points *points,
			 void (*stamp)(void *context,
				       const struct kernel_stamp *stamp),
			 void *context)
{
	(void)points, (void)stamp, (void)context;
	return 0;
}

struct kernel_points_counters
kernel_points_counters(const struct kernel_points *points)
{
	(void)points;
	return (struct kernel_points_counters){0};
}
