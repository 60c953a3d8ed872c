/* Points of system calls and wake-ups: which belong to a packet. */
#include <string.h>

#include "check.h"

#include "probe/watch_private.h"

#define BEGIN 1000000000000

/* A packet that came in: RECEIVED at 100, STACK 200, READY 300, its reader
 * came back from the system call at 600 and looked at the clock at 700. */
struct packet {
	point_set stamped;
	int64_t at_ns[POINT_COUNT];
};

static struct watch_leg leg_of(struct packet *packet)
{
	return (struct watch_leg){LEG_BACK, &packet->stamped, packet->at_ns};
}

static void stamp(struct packet *packet, enum point point, int64_t ns)
{
	packet->stamped |= POINT_BIT(LEG_BACK, point);
	packet->at_ns[point] = BEGIN + ns;
}

static struct packet packet_make(void)
{
	struct packet packet = {0};

	stamp(&packet, POINT_RECEIVED, 100);
	stamp(&packet, POINT_RECEIVE, 700);
	return packet;
}

static void records_add(struct packet *packet, int64_t ready_ns)
{
	stamp(packet, POINT_STACK, 200);
	stamp(packet, POINT_READY, ready_ns);
}

static bool has(const struct packet *packet, enum point point)
{
	return (packet->stamped & POINT_BIT(LEG_BACK, point)) != 0;
}

static struct watch_times times(int64_t waking, int64_t running,
				int64_t returned)
{
	return (struct watch_times){.waking_ns = BEGIN + waking,
				    .running_ns = BEGIN + running,
				    .return_ns = BEGIN + returned};
}

static void which_wakeups_are_a_packets_own(void **state)
{
	static const struct {
		int64_t waking, running, returned, ready;
		bool has_waking, has_running, has_return, has_ready;
	} cases[] = {
		/* It slept and was woken by the packet. */
		{400, 500, 600, 300, true, true, true, true},
		/* It was awake: its last sleep was before the packet. */
		{20, 50, 600, 300, false, false, true, true},
		/* Woken by the packet before, when this one was on its way. */
		{250, 280, 600, 300, false, false, true, true},
		/* The same, but it got a CPU only when this one was there. */
		{250, 500, 600, 300, false, true, true, true},
		/* Preempted while the packet came. */
		{20, 500, 600, 300, false, true, true, true},
		/* Woken before it was off its CPU. */
		{400, 50, 600, 300, true, false, true, true},
		/* Awake, it had the packet before it was called. */
		{20, 50, 600, 650, false, false, true, false},
		/* The call before this one, the last that was noted. */
		{20, 50, 90, 300, false, false, false, true},
		/* A call after it: not this one's. */
		{400, 500, 800, 300, false, false, false, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct packet packet = packet_make();
		struct watch_times now = times(
			cases[i].waking, cases[i].running, cases[i].returned);

		watch_received(leg_of(&packet), &now, 0);
		records_add(&packet, cases[i].ready);
		assert_int_equal(watch_settle(leg_of(&packet)),
				 !cases[i].has_ready);
		assert_int_equal(has(&packet, POINT_WAKING),
				 cases[i].has_waking);
		assert_int_equal(has(&packet, POINT_RUNNING),
				 cases[i].has_running);
		assert_int_equal(has(&packet, POINT_RETURN),
				 cases[i].has_return);
		assert_int_equal(has(&packet, POINT_READY), cases[i].has_ready);
	}
}

static void what_is_left_is_in_path_order(void **state)
{
	(void)state;
	for (int64_t waking = 0; waking < 800; waking += 50) {
		for (int64_t running = 0; running < 800; running += 50) {
			struct packet packet = packet_make();
			struct watch_times now = times(waking, running, 600);
			int64_t last = 0;

			watch_received(leg_of(&packet), &now, 0);
			records_add(&packet, 300);
			(void)watch_settle(leg_of(&packet));
			for (int i = 0; i < POINT_COUNT; i++) {
				if (!has(&packet, (enum point)i))
					continue;
				assert_true(packet.at_ns[i] >= last);
				last = packet.at_ns[i];
			}
		}
	}
}

static void another_clocks_times_are_shifted(void **state)
{
	struct packet packet = packet_make();
	struct watch_times now = times(400 - 5000, 500 - 5000, 600 - 5000);

	(void)state;
	watch_received(leg_of(&packet), &now, 5000);
	records_add(&packet, 300);
	assert_false(watch_settle(leg_of(&packet)));
	assert_int_equal(packet.at_ns[POINT_RUNNING], BEGIN + 500);
	assert_int_equal(packet.at_ns[POINT_RETURN], BEGIN + 600);
}

static void a_call_is_the_packets_that_it_sent(void **state)
{
	struct packet packet = {0};

	(void)state;
	watch_sent(leg_of(&packet), BEGIN + 150);
	assert_false(has(&packet, POINT_CALL)); /* it was not sent */
	stamp(&packet, POINT_SEND, 100);
	watch_sent(leg_of(&packet), BEGIN + 50); /* an earlier call */
	assert_false(has(&packet, POINT_CALL));
	watch_sent(leg_of(&packet), BEGIN + 150);
	assert_int_equal(packet.at_ns[POINT_CALL], BEGIN + 150);
}

static void without_a_watch_there_is_nothing(void **state)
{
	struct packet packet = packet_make();
	struct watch_times now;

	(void)state;
	watch_read(NULL, &now);
	watch_received(leg_of(&packet), &now, 0);
	assert_false(has(&packet, POINT_RETURN));
	assert_false(has(&packet, POINT_WAKING));
	assert_int_equal(watch_points(NULL, LEG_FORWARD, LEG_BACK), 0);
}

static void points_go_out_and_come_in(void **state)
{
	struct probe_watch watch = {
		.points = 1U << POINT_CALL | 1U << POINT_RETURN,
	};

	(void)state;
	assert_true(watch_points(&watch, LEG_FORWARD, LEG_BACK) ==
		    (POINT_BIT(LEG_FORWARD, POINT_CALL) |
		     POINT_BIT(LEG_BACK, POINT_RETURN)));
}

/* A reader who was not asleep has fewer points, and misses none. */
static void absent_is_not_missing(void **state)
{
	point_set all = POINT_BIT(LEG_BACK, POINT_READY) |
			POINT_BIT(LEG_BACK, POINT_WAKING) |
			POINT_BIT(LEG_BACK, POINT_RUNNING) |
			POINT_BIT(LEG_BACK, POINT_RETURN);
	struct trip trip = {.stamped = POINT_BIT(LEG_BACK, POINT_READY) |
				       POINT_BIT(LEG_BACK, POINT_RETURN)};

	(void)state;
	assert_true(trip_points(&trip, all) == trip.stamped);
	trip.stamped = POINT_BIT(LEG_BACK, POINT_RETURN);
	assert_true(trip_points(&trip, all) & ~trip.stamped); /* READY */
	trip.flags = TRIP_READY_LATE(LEG_BACK);
	assert_true(trip_points(&trip, all) == trip.stamped);
	trip.stamped = 0; /* nobody knows: all are missing */
	trip.flags = 0;
	assert_true(trip_points(&trip, all) == all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_wakeups_are_a_packets_own),
		cmocka_unit_test(what_is_left_is_in_path_order),
		cmocka_unit_test(another_clocks_times_are_shifted),
		cmocka_unit_test(a_call_is_the_packets_that_it_sent),
		cmocka_unit_test(without_a_watch_there_is_nothing),
		cmocka_unit_test(points_go_out_and_come_in),
		cmocka_unit_test(absent_is_not_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
