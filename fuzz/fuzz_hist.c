/* A histogram from any bytes: what is accepted is what would be written, its
 * quantiles are in order and within its least and greatest value. */
#include <stdlib.h>
#include <string.h>

#include "base/hist.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void quantiles_check(const struct hist *hist)
{
	int64_t last = hist_min(hist);

	for (int i = 0; i <= 20; i++) {
		int64_t value = hist_quantile(hist, i / 20.0);

		require(value >= last && value <= hist_max(hist));
		last = value;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct hist *hist;
	struct hist_summary summary;
	uint8_t *again;

	if (!hist)
		hist = hist_create();
	require(hist != NULL);
	if (hist_unpack(hist, bytes, size) < 0) {
		require(hist_count(hist) == 0);
		return 0;
	}
	quantiles_check(hist);
	hist_summary(hist, &summary);
	again = malloc(size);
	require(again != NULL);
	require(hist_pack(hist, again, size) == size);
	require(memcmp(bytes, again, size) == 0);
	free(again);
	return 0;
}
