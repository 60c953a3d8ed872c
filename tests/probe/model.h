/* A model of two hosts and a path, whose truth is known: it makes trips as a
 * sender would hand them out.  Host times are those measured on a small
 * virtual machine: 1.9 us from the application to the queue, 0.6 us through
 * it, 27 us from the driver to a sleeping reader, with a heavy tail. */
#ifndef TESTS_PROBE_MODEL_H
#define TESTS_PROBE_MODEL_H

#include "probe/probe.h"

enum model_fault {
	FAULT_NONE,
	FAULT_QUEUE,
	FAULT_DRIVER,
	FAULT_INTERRUPT,
	FAULT_WAKE_UP,
	FAULT_HOG,
	FAULT_PAUSE,
	FAULT_PATH_FORWARD,
	FAULT_PATH_BACK,
	FAULT_COUNT,
};

enum { HOST_LOCAL, HOST_REMOTE };

struct model {
	uint64_t random;     /* the seed, then the state */
	point_set points;    /* stamped */
	int64_t interval_ns; /* between slots */
	bool sleeps;         /* the sender waits asleep */
	/* The other clock. */
	double offset_ns, drift_ppm;
	double step_ns; /* added from 'step_at' on */
	uint32_t step_at;
	/* The path: least time, mean of the exponential time in queues. */
	double wire_ns[LEG_COUNT], queue_ns[LEG_COUNT];
	double loss;    /* share of each leg */
	double missing; /* share of stamps */
	/* The fault, from packet 'from' to before 'to'. */
	enum model_fault fault;
	int host;
	double fault_ns;
	double share; /* of packets that it hits; HOG, PAUSE */
	uint32_t from, to;
};

struct truth {
	int64_t offset_ns; /* at sending */
	int64_t one_way_ns[LEG_COUNT][LAYER_COUNT];
	bool lost[LEG_COUNT];
};

/* What a run without privilege stamps, and one with tracepoints. */
point_set model_points_socket(void);
point_set model_points_trace(void);

double model_unit(struct model *model); /* 0 to 1, both excluded */
double model_between(struct model *model, double low, double high);
/* As if drawn from low to high with equal chances for each factor. */
double model_scale(struct model *model, double low, double high);

void model_trip(struct model *model, uint32_t seq, struct trip *ret_trip,
		struct truth *ret_truth);

#endif
