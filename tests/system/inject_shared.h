/* What the fault injector and its BPF programs share. */
#ifndef INJECT_SHARED_H
#define INJECT_SHARED_H

#include <linux/types.h>

struct inject_shared {
	/* Written before the programs are attached: */
	__u32 net;    /* number of the network namespace */
	__u32 port;   /* of the reflector */
	__u32 thread; /* the reader's, for the wake-up */
	__u32 share;  /* of 1024 packets that are delayed */
	__u64 delay_ns;
	/* Written by the programs: */
	__u64 count;   /* test packets that left the namespace */
	__u64 delayed; /* by them or others */
	/* Written by the injector at any time: */
	__u32 on;
};

#endif
