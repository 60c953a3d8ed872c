#include "model.h"

#include <math.h>
#include <string.h>

#include "base/random.h"

#define EPOCH_NS INT64_C(1700000000000000000)
#define RAW_NS   INT64_C(5000000000000) /* CLOCK_MONOTONIC_RAW at slot 0 */

#define BOTH(point) (POINT_BIT(LEG_FORWARD, point) | POINT_BIT(LEG_BACK, point))

point_set model_points_socket(void)
{
	return BOTH(POINT_SEND) | BOTH(POINT_SCHED) | BOTH(POINT_SENT) |
	       BOTH(POINT_RECEIVED) | BOTH(POINT_RECEIVE);
}

point_set model_points_trace(void)
{
	return model_points_socket() | BOTH(POINT_CALL) | BOTH(POINT_QUEUE) |
	       BOTH(POINT_DRIVER) | BOTH(POINT_STACK) | BOTH(POINT_READY) |
	       BOTH(POINT_WAKING) | BOTH(POINT_RUNNING) | BOTH(POINT_RETURN);
}

double model_unit(struct model *model)
{
	return ((double)(random_next(&model->random) >> 11) + 0.5) / 0x1p53;
}

double model_between(struct model *model, double low, double high)
{
	return low + (high - low) * model_unit(model);
}

double model_scale(struct model *model, double low, double high)
{
	return low * pow(high / low, model_unit(model));
}

static double exponential(struct model *model, double mean)
{
	return -mean * log(model_unit(model));
}

static double normal(struct model *model)
{
	return sqrt(-2 * log(model_unit(model))) *
	       cos(2 * 3.14159265358979 * model_unit(model));
}

/* A step of the stack: log-normal around its usual time, and now and then
 * something comes between: up to milliseconds (Pareto). */
static double step_ns(struct model *model, double usual, double tail)
{
	double ns = usual * exp(0.25 * normal(model));

	if (model_unit(model) < tail)
		ns += fmin(20000 / pow(model_unit(model), 0.8), 3e6);
	return ns;
}

/* Usual time from the point before, in ns, and the tail's share. */
static const struct {
	double usual, tail;
} steps[POINT_COUNT] = {
	[POINT_CALL] = {80, 0.0003},      [POINT_SEND_UDP] = {300, 0.0003},
	[POINT_SCHED] = {1500, 0.001},    [POINT_QUEUE] = {150, 0.0003},
	[POINT_DRIVER] = {250, 0.001},    [POINT_SENT] = {160, 0.0003},
	[POINT_STACK] = {700, 0.002},     [POINT_RECEIVE_UDP] = {300, 0.0005},
	[POINT_ENQUEUED] = {200, 0.0003}, [POINT_READY] = {150, 0.0003},
	[POINT_WAKING] = {250, 0.0003},   [POINT_RUNNING] = {22000, 0.02},
	[POINT_COPIED] = {900, 0.0005},   [POINT_RETURN] = {800, 0.0005},
	[POINT_RECEIVE] = {100, 0.0003},
};

/* One packet in the making: true times from its slot on. */
struct passing {
	struct model *model;
	bool faulty;
	double now;
	double at[LEG_COUNT][POINT_COUNT];
	point_set passed;
};

static void pass(struct passing *passing, enum leg leg, enum point point,
		 double ns)
{
	passing->now += ns;
	passing->at[leg][point] = passing->now;
	passing->passed |= POINT_BIT(leg, point);
}

static bool hit(struct passing *passing, enum model_fault fault, int host)
{
	const struct model *model = passing->model;

	return passing->faulty && model->fault == fault && model->host == host;
}

static double about(struct model *model)
{
	return model->fault_ns * model_between(model, 0.8, 1.2);
}

/* A part of the CPU's slice that another has. */
static double slice(struct model *model, double share)
{
	if (model_unit(model) >= share)
		return 0;
	return model->fault_ns * model_between(model, 0.2, 1.5);
}

static double out_extra(struct passing *passing, enum point point, int host)
{
	struct model *model = passing->model;

	if (point == POINT_DRIVER && hit(passing, FAULT_QUEUE, host))
		return about(model);
	if (point == POINT_SENT && hit(passing, FAULT_DRIVER, host))
		return about(model);
	if (point == POINT_SCHED && hit(passing, FAULT_HOG, host))
		return slice(model, 0.1 * model->share);
	return 0;
}

static void leg_out(struct passing *passing, enum leg leg)
{
	int host = leg == LEG_FORWARD ? HOST_LOCAL : HOST_REMOTE;

	pass(passing, leg, POINT_SEND, 0);
	for (int point = POINT_CALL; point <= POINT_SENT; point++)
		pass(passing, leg, point,
		     step_ns(passing->model, steps[point].usual,
			     steps[point].tail) +
			     out_extra(passing, point, host));
}

/* A reader that is asleep is woken; one that is busy comes when it comes. */
static double in_step(struct passing *passing, enum leg leg, enum point point)
{
	int host = leg == LEG_FORWARD ? HOST_REMOTE : HOST_LOCAL;
	struct model *model = passing->model;
	double extra = 0;

	if (point == POINT_STACK && hit(passing, FAULT_INTERRUPT, host))
		extra = about(model);
	if (point == POINT_RUNNING && hit(passing, FAULT_WAKE_UP, host))
		extra = model->fault_ns * model_between(model, 0.9, 1.1);
	if (point == POINT_RUNNING && hit(passing, FAULT_HOG, host))
		extra = slice(model, model->share);
	return extra + step_ns(model, steps[point].usual, steps[point].tail);
}

/* The reader's own business while the packet waits; negative: it sleeps. */
static double busy_for(struct passing *passing, int host)
{
	struct model *model = passing->model;

	if (host == HOST_LOCAL && hit(passing, FAULT_PAUSE, host) &&
	    model_unit(model) < model->share)
		return model->fault_ns * model_unit(model);
	return host == HOST_LOCAL && !model->sleeps ? 0 : -1;
}

static void leg_in(struct passing *passing, enum leg leg)
{
	int host = leg == LEG_FORWARD ? HOST_REMOTE : HOST_LOCAL;
	double busy = busy_for(passing, host), preempted;

	for (int point = POINT_STACK; point <= POINT_READY; point++)
		pass(passing, leg, point, in_step(passing, leg, point));
	if (busy < 0) {
		pass(passing, leg, POINT_WAKING,
		     in_step(passing, leg, POINT_WAKING));
		pass(passing, leg, POINT_RUNNING,
		     in_step(passing, leg, POINT_RUNNING));
	} else {
		preempted =
			hit(passing, FAULT_HOG, host)
				? slice(passing->model, passing->model->share)
				: 0;
		if (preempted > 0)
			pass(passing, leg, POINT_RUNNING, preempted);
		passing->now += busy;
	}
	for (int point = POINT_COPIED; point <= POINT_RECEIVE; point++)
		pass(passing, leg, point, in_step(passing, leg, point));
}

static void wire(struct passing *passing, enum leg leg, struct truth *truth)
{
	struct model *model = passing->model;
	double ns = model->wire_ns[leg];

	if (model->queue_ns[leg] > 0)
		ns += exponential(model, model->queue_ns[leg]);
	if (passing->faulty &&
	    model->fault ==
		    (leg == LEG_FORWARD ? FAULT_PATH_FORWARD : FAULT_PATH_BACK))
		ns += about(model);
	truth->lost[leg] = model_unit(model) < model->loss;
	pass(passing, leg, POINT_RECEIVED, ns);
}

static void turn(struct passing *passing)
{
	struct model *model = passing->model;
	double ns = step_ns(model, 600, 0.002);

	if (hit(passing, FAULT_PAUSE, HOST_REMOTE) &&
	    model_unit(model) < model->share)
		ns += about(model);
	if (hit(passing, FAULT_HOG, HOST_REMOTE))
		ns += slice(model, 0.15 * model->share);
	passing->now += ns;
}

/* The sender's slot, and what keeps it from it. */
static double lateness(struct passing *passing)
{
	struct model *model = passing->model;
	double ns = exponential(model, 100);

	if (hit(passing, FAULT_HOG, HOST_LOCAL))
		ns += slice(model, 0.5 * model->share);
	if (hit(passing, FAULT_PAUSE, HOST_LOCAL) &&
	    model_unit(model) < 0.5 * model->share)
		ns += model->fault_ns * model_unit(model);
	return ns;
}

static double offset_then(const struct model *model, uint32_t seq, double now)
{
	return model->offset_ns + now * model->drift_ppm * 1e-6 +
	       (model->step_ns != 0 && seq >= model->step_at ? model->step_ns
							     : 0);
}

static void stamp_all(struct passing *passing, uint32_t seq, struct trip *trip)
{
	struct model *model = passing->model;
	point_set set = passing->passed & model->points;

	for (; set != 0; set &= set - 1) {
		unsigned i = (unsigned)__builtin_ctzll(set);
		enum leg leg = i / POINT_COUNT;
		enum point point = i % POINT_COUNT;
		double at = passing->at[leg][point];
		bool ends = (leg == LEG_FORWARD && point == POINT_SEND) ||
			    (leg == LEG_BACK && point == POINT_RECEIVE);

		if (!ends && model_unit(model) < model->missing)
			continue;
		if (!point_is_local(leg, point))
			at += offset_then(model, seq, at);
		trip->at_ns[leg][point] = EPOCH_NS + (int64_t)floor(at);
		trip->stamped |= POINT_BIT(leg, point);
	}
}

static void fate(const struct truth *truth, struct trip *trip)
{
	if (!truth->lost[LEG_FORWARD] && !truth->lost[LEG_BACK])
		return;
	trip->flags |= TRIP_LOST | TRIP_LEG_KNOWN;
	if (!truth->lost[LEG_FORWARD])
		trip->flags |= TRIP_LOST_BACK;
	trip->stamped = POINT_BIT(LEG_FORWARD, POINT_SEND) |
			(trip->stamped & POINT_BIT(LEG_FORWARD, POINT_SCHED)) |
			(trip->stamped & POINT_BIT(LEG_FORWARD, POINT_SENT));
}

static void truth_tell(const struct passing *passing, uint32_t seq,
		       struct truth *truth)
{
	for (int leg = 0; leg < LEG_COUNT; leg++) {
		const double *at = passing->at[leg];

		truth->one_way_ns[leg][LAYER_SOCKET] =
			llround(at[POINT_RECEIVE] - at[POINT_SEND]);
		truth->one_way_ns[leg][LAYER_KERNEL] =
			llround(at[POINT_RECEIVED] - at[POINT_SCHED]);
		truth->one_way_ns[leg][LAYER_WIRE] =
			llround(at[POINT_RECEIVED] - at[POINT_SENT]);
	}
	truth->offset_ns = llround(offset_then(
		passing->model, seq, passing->at[LEG_FORWARD][POINT_SEND]));
}

void model_trip(struct model *model, uint32_t seq, struct trip *ret_trip,
		struct truth *ret_truth)
{
	struct passing passing = {.model = model};
	double slot = (double)seq * (double)model->interval_ns;
	double late;

	*ret_trip = (struct trip){.seq = seq};
	*ret_truth = (struct truth){0};
	passing.faulty = model->fault != FAULT_NONE && seq >= model->from &&
			 seq < model->to;
	late = lateness(&passing);
	passing.now = slot + late;
	ret_trip->slot_ns = (int64_t)slot;
	ret_trip->late_ns = (int64_t)late;
	ret_trip->sent_ns = RAW_NS + (int64_t)floor(passing.now);
	leg_out(&passing, LEG_FORWARD);
	wire(&passing, LEG_FORWARD, ret_truth);
	leg_in(&passing, LEG_FORWARD);
	turn(&passing);
	leg_out(&passing, LEG_BACK);
	wire(&passing, LEG_BACK, ret_truth);
	leg_in(&passing, LEG_BACK);
	stamp_all(&passing, seq, ret_trip);
	fate(ret_truth, ret_trip);
	truth_tell(&passing, seq, ret_truth);
	ret_trip->rtt_ns = (int64_t)(passing.now - slot - late);
}
