/* Packed trips from any bytes: what is read can be written, and read again as
 * the same, but for stamps that were rounded down. */
#include <stdlib.h>
#include <string.h>

#include "probe/probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void rounding_undo(const struct trip *is, struct trip *was)
{
	for (int place = 0; place < LEG_COUNT * POINT_COUNT; place++) {
		int leg = place / POINT_COUNT, point = place % POINT_COUNT;

		require((uint64_t)is->at_ns[leg][point] -
				(uint64_t)was->at_ns[leg][point] <
			(point_rows[point].tier == TIER_APPLICATION ? 1
								    : 1024));
		was->at_ns[leg][point] = is->at_ns[leg][point];
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct trip trips[TRIPS_PACK_MAX], again[TRIPS_PACK_MAX];
	static uint8_t packed[TRIPS_PACK_ROOM];
	static struct trip_packer *packer;
	int count;

	if (!packer)
		require(trip_packer_create(&packer) == 0);
	count = trips_unpack(packer, bytes, size, trips);
	if (count < 0)
		return 0;
	size = trips_pack(packer, trips, (size_t)count, packed, sizeof packed);
	require(size > 0);
	require(trips_unpack(packer, packed, size, again) == count);
	for (int i = 0; i < count; i++)
		rounding_undo(&trips[i], &again[i]);
	require(memcmp(trips, again, (size_t)count * sizeof *trips) == 0);
	return 0;
}
