/* Packed trips from any bytes: what is read can be written, and read again
 * as the same. */
#include <stdlib.h>
#include <string.h>

#include "probe/probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
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
	require(memcmp(trips, again, (size_t)count * sizeof *trips) == 0);
	return 0;
}
