/* Round trips to a reflector with another clock, and the truth about it: the
 * sender estimates, this program, which made the clock, judges.
 *
 *     clocks LEFT RIGHT ADDRESS PORT COUNT HZ OFFSET_NS DRIFT_PPB STEP_NS
 *            STEP_AFTER_NS
 *
 * LEFT and RIGHT are the hosts' network namespaces, files to be entered;
 * ADDRESS is the right one's.  Prints one JSON object: how many one-way
 * delays were judged, how many intervals had the truth, known at once and
 * with all that was learned until the end, and how wide they were. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "probe/probe.h"

enum {
	ARG_LEFT = 1,
	ARG_RIGHT,
	ARG_ADDRESS,
	ARG_PORT,
	ARG_COUNT,
	ARG_HZ,
	ARG_OFFSET,
	ARG_DRIFT,
	ARG_STEP,
	ARG_AFTER,
	ARGS
};

enum { AT_ONCE, AT_END, WAYS };

struct judged {
	unsigned long delays, right;
	size_t count;
	int64_t *widths_ns, *halves_ns; /* of intervals; half of round trips */
	int64_t *errors_ns;             /* of the best guess */
};

static struct {
	struct reflector_clock clock;
	struct offset *offset;
	struct trip *trips;
	size_t count, answered;
	struct judged judged[WAYS];
	atomic_bool ready, stop;
	char **arguments;
} run;

static void fail(const char *what, int rc)
{
	fprintf(stderr, "clocks: %s: %s\n", what, err_sentence(rc));
	_exit(2);
}

static int64_t number_at(int at)
{
	char *end;
	long long number = strtoll(run.arguments[at], &end, 10);

	if (end == run.arguments[at] || *end)
		fail(run.arguments[at], -EINVAL);
	return number;
}

static void enter(int at)
{
	int fd = open(run.arguments[at], O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		fail(run.arguments[at], -errno);
	close(fd);
}

static struct sockaddr_in address(const char *text, int64_t port)
{
	struct sockaddr_in made = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)port)};

	if (inet_pton(AF_INET, text, &made.sin_addr) != 1)
		fail(text, -EINVAL);
	return made;
}

static void *reflect(void *argument)
{
	struct sockaddr_in any = address("0.0.0.0", number_at(ARG_PORT));
	struct probe_socket_options asked = {.local = (struct sockaddr *)&any};
	struct reflector_options options = {.error_ns = -1,
					    .clock = &run.clock};
	struct probe_socket *socket;
	struct reflector *reflector;
	struct fault fault;
	int rc;

	(void)argument;
	enter(ARG_RIGHT);
	rc = probe_socket_open(&asked, &socket, &fault);
	if (rc < 0)
		fail(fault.text, rc);
	rc = reflector_create(&options, &reflector);
	if (rc == 0)
		rc = reflector_socket_add(reflector, socket);
	if (rc < 0)
		fail("a reflector", rc);
	atomic_store(&run.ready, true);
	while (!atomic_load(&run.stop))
		(void)reflector_turn(reflector, 20);
	reflector_destroy(reflector);
	return NULL;
}

/* By the true clock; 'near_ns' is a true time close to it: what a clock that
 * was set back shows, it has shown before. */
static int64_t true_ns(int64_t shown_ns, int64_t near_ns)
{
	int64_t at_ns = near_ns;

	for (int i = 0; i < 3; i++)
		at_ns = shown_ns - reflector_clock_ahead_ns(
					   &run.clock, (struct wall){at_ns});
	return at_ns;
}

static bool true_way(const struct trip *trip, enum leg leg, int64_t *ret_ns)
{
	point_set both =
		POINT_BIT(leg, POINT_SENT) | POINT_BIT(leg, POINT_RECEIVED);
	int64_t sent = trip->at_ns[leg][POINT_SENT];
	int64_t received = trip->at_ns[leg][POINT_RECEIVED];

	if ((trip->stamped & both) != both)
		return false;
	*ret_ns = leg == LEG_FORWARD ? true_ns(received, sent) - sent
				     : received - true_ns(sent, received);
	return true;
}

static void judge(struct judged *judged, const struct trip *trip,
		  const struct offset_reading *reading)
{
	for (enum leg leg = LEG_FORWARD; leg < LEG_COUNT; leg++) {
		struct one_way way;
		int64_t truth;

		if (!true_way(trip, leg, &truth) ||
		    !trip_one_way(trip, leg, LAYER_WIRE, reading, &way))
			continue;
		judged->delays++;
		judged->right += way.low_ns <= truth && truth <= way.high_ns;
		judged->widths_ns[judged->count] = way.high_ns - way.low_ns;
		judged->halves_ns[judged->count] = trip->rtt_ns / 2;
		judged->errors_ns[judged->count++] = llabs(way.best_ns - truth);
	}
}

static bool is_usable(const struct trip *trip)
{
	return !(trip->flags &
		 (TRIP_VOID | TRIP_LOST | TRIP_SKIPPED | TRIP_FAILED));
}

static void take(void *context, const struct trip *trip)
{
	struct offset_reading reading;
	bool known = offset_trip(run.offset, trip, &reading);

	(void)context;
	run.trips[run.count++] = *trip;
	run.answered += is_usable(trip);
	if (known && is_usable(trip))
		judge(&run.judged[AT_ONCE], trip, &reading);
}

static void judge_all(void)
{
	struct offset_reading reading;

	offset_end(run.offset);
	for (size_t i = 0; i < run.count; i++) {
		if (is_usable(&run.trips[i]) &&
		    offset_at(run.offset, &run.trips[i], &reading))
			judge(&run.judged[AT_END], &run.trips[i], &reading);
	}
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static long long median(int64_t *values, size_t count)
{
	qsort(values, count, sizeof *values, compare);
	return count > 0 ? (long long)values[count / 2] : -1;
}

static void tell(const char *name, struct judged *judged)
{
	printf("\"%s\":{\"delays\":%lu,\"right\":%lu,\"width_ns\":%lld,"
	       "\"half_rtt_ns\":%lld,\"error_ns\":%lld},",
	       name, judged->delays, judged->right,
	       median(judged->widths_ns, judged->count),
	       median(judged->halves_ns, judged->count),
	       median(judged->errors_ns, judged->count));
}

static void *room(size_t count, size_t size)
{
	void *made = calloc(count, size);

	if (!made)
		fail("memory", -ENOMEM);
	return made;
}

static void prepare(size_t count)
{
	run.trips = room(count, sizeof *run.trips);
	for (int i = 0; i < WAYS; i++) {
		run.judged[i].widths_ns = room(2 * count, sizeof(int64_t));
		run.judged[i].halves_ns = room(2 * count, sizeof(int64_t));
		run.judged[i].errors_ns = room(2 * count, sizeof(int64_t));
	}
	run.clock = (struct reflector_clock){
		.offset_ns = number_at(ARG_OFFSET),
		.from_ns = wall_now().ns,
		.drift_ppm = (double)number_at(ARG_DRIFT) / 1000,
		.step_ns = number_at(ARG_STEP),
		.step_at_ns = wall_now().ns + number_at(ARG_AFTER),
	};
	if (offset_create(NULL, &run.offset) < 0)
		fail("memory", -ENOMEM);
}

static void send_all(size_t count)
{
	struct sockaddr_in local = address("0.0.0.0", 0);
	struct sockaddr_in remote =
		address(run.arguments[ARG_ADDRESS], number_at(ARG_PORT));
	struct sender_options options = {
		.local = (struct sockaddr *)&local,
		.remote = (struct sockaddr *)&remote,
		.rate_hz = (double)number_at(ARG_HZ),
		.count = (uint32_t)count,
		.dscp_wanted = -1,
		.error_ns = -1,
		.emit = take,
	};
	struct sender *sender;
	struct fault fault;
	int rc;

	enter(ARG_LEFT);
	rc = sender_create(&options, &sender, &fault);
	if (rc < 0)
		fail(fault.text, rc);
	while ((rc = sender_turn(sender)) == 1)
		;
	sender_destroy(sender);
	if (rc < 0)
		fail("sending", rc);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	size_t count;

	if (argc != ARGS) {
		fprintf(stderr, "clocks: see the head of clocks.c\n");
		return 2;
	}
	run.arguments = argv;
	count = (size_t)number_at(ARG_COUNT);
	prepare(count);
	if (pthread_create(&thread, NULL, reflect, NULL) != 0)
		fail("a thread", -EAGAIN);
	while (!atomic_load(&run.ready))
		(void)usleep(1000);
	send_all(count);
	judge_all();
	atomic_store(&run.stop, true);
	pthread_join(thread, NULL);
	printf("{");
	tell("at_once", &run.judged[AT_ONCE]);
	tell("at_end", &run.judged[AT_END]);
	printf("\"trips\":%zu,\"answered\":%zu,\"steps\":%u}\n", run.count,
	       run.answered, offset_steps(run.offset));
	return 0;
}
