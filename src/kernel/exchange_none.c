/* Stamps of another program's packets in a build without BPF. */
#include "base/err.h"
#include "kernel/kernel.h"

int kernel_exchange_open(const struct kernel_exchange_options *options,
			 struct kernel_exchange **ret_exchange,
			 struct fault *ret_fault)
{
	(void)options, (void)ret_exchange;
	return fault_set(ret_fault, ERR_NOT_BUILT,
			 "this build is without BPF: it lacked %s",
			 kernel_points_lack());
}

void kernel_exchange_close(struct kernel_exchange *exchange)
{
	(void)exchange;
}

bool kernel_exchange_ready(const struct kernel_exchange *exchange)
{
	(void)exchange;
	return false;
}

int kernel_exchange_gather(struct kernel_exchange *exchange,
			   void (*event)(void *context,
					 const struct exchange_event *event),
			   void *context)
{
	(void)exchange, (void)event, (void)context;
	return 0;
}

struct kernel_exchange_counters
kernel_exchange_counters(const struct kernel_exchange *exchange)
{
	(void)exchange;
	return (struct kernel_exchange_counters){0};
}
