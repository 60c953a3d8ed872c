#include "check.h"

#include <pthread.h>
#include <sched.h>

#include "base/ring.h"

#define ITEM_COUNT 200000

static void gives_back_items_in_order_and_knows_its_room(void **state)
{
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, sizeof(uint32_t), 5), 0);
	assert_int_equal(ring_room(&ring), 8);
	for (uint32_t i = 0; i < 8; i++)
		*(uint32_t *)ring_slot(&ring, i) = i;
	ring_publish(&ring, 8);
	assert_int_equal(ring_room(&ring), 0);
	assert_int_equal(ring_fill(&ring), 8);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(*(uint32_t *)ring_item(&ring, i), i);
	ring_consume(&ring, 3);
	assert_int_equal(ring_room(&ring), 3);
	assert_int_equal(*(uint32_t *)ring_item(&ring, 0), 3);
	ring_fini(&ring);
}

/* Who waits for more than half of the ring must get to see it. */
static void sees_room_that_came_back_when_it_knew_of_half(void **state)
{
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, sizeof(uint32_t), 8), 0);
	ring_publish(&ring, 4);
	assert_int_equal(ring_fill(&ring), 4);
	ring_consume(&ring, 4);
	assert_int_equal(ring_room(&ring), 8);
	ring_fini(&ring);
}

static void *produce(void *argument)
{
	struct ring *ring = argument;

	for (uint32_t next = 0; next < ITEM_COUNT;) {
		uint32_t room = ring_room(ring), count = 0;

		while (count < room && next < ITEM_COUNT)
			*(uint32_t *)ring_slot(ring, count++) = next++;
		ring_publish(ring, count);
		if (count == 0)
			sched_yield();
	}
	return NULL;
}

static void loses_and_reorders_nothing_between_two_threads(void **state)
{
	struct ring ring;
	pthread_t producer;
	uint32_t expected = 0;

	(void)state;
	assert_int_equal(ring_init(&ring, sizeof(uint32_t), 64), 0);
	pthread_create(&producer, NULL, produce, &ring);
	while (expected < ITEM_COUNT) {
		uint32_t fill = ring_fill(&ring);

		for (uint32_t i = 0; i < fill; i++)
			assert_int_equal(*(uint32_t *)ring_item(&ring, i),
					 expected++);
		ring_consume(&ring, fill);
		if (fill == 0)
			sched_yield();
	}
	pthread_join(producer, NULL);
	ring_fini(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_back_items_in_order_and_knows_its_room),
		cmocka_unit_test(sees_room_that_came_back_when_it_knew_of_half),
		cmocka_unit_test(
			loses_and_reorders_nothing_between_two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
