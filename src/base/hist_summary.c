/* What one prints of a histogram, as rows. */
#include <math.h>

#include "base/hist.h"

#define HAS_ANY  0x1u
#define HAS_P(i) (0x2u << (i))

#define AT(member) offsetof(struct hist_summary, member)

#define ROW(name, mask, help)                                        \
	{                                                            \
#name, FIELD_I64, AT(name), 0, NULL, "ns", 0, false, \
			FIELD_SHOWN, help, mask, AT(present)         \
	}

static const struct field_row rows[] = {
	{"count", FIELD_U64, AT(count), 0, NULL, "", 0, false, FIELD_SHOWN,
	 "values", 0, 0},
	ROW(min, HAS_ANY, "the least"),
	ROW(p1, HAS_P(0), "1 % are not greater"),
	ROW(p10, HAS_P(1), "10 % are not greater"),
	ROW(p50, HAS_ANY, "the median"),
	ROW(p90, HAS_P(2), "90 % are not greater"),
	ROW(p99, HAS_P(3), "99 % are not greater"),
	ROW(p99_9, HAS_P(4), "99.9 % are not greater"),
	ROW(p99_99, HAS_P(5), "99.99 % are not greater"),
	ROW(p99_999, HAS_P(6), "99.999 % are not greater"),
	ROW(max, HAS_ANY, "the greatest"),
	ROW(mean, HAS_ANY, "sum by count"),
	ROW(deviation, HAS_ANY, "standard deviation"),
};

const struct field_table hist_summary_fields = {rows,
						sizeof rows / sizeof *rows};

/* One value or more on either side of it. */
static bool is_telling(const struct hist *hist, double quantile)
{
	double share = quantile < 0.5 ? quantile : 1 - quantile;

	return share * (double)hist_count(hist) >= 1 - 1e-6;
}

void hist_summary(const struct hist *hist, struct hist_summary *ret_summary)
{
	static const double quantiles[] = {0.01,  0.1,    0.9,    0.99,
					   0.999, 0.9999, 0.99999};
	int64_t *const places[] = {&ret_summary->p1,     &ret_summary->p10,
				   &ret_summary->p90,    &ret_summary->p99,
				   &ret_summary->p99_9,  &ret_summary->p99_99,
				   &ret_summary->p99_999};

	*ret_summary = (struct hist_summary){
		.count = hist_count(hist),
		.present = hist_count(hist) > 0 ? HAS_ANY : 0,
		.min = hist_min(hist),
		.p50 = hist_quantile(hist, 0.5),
		.max = hist_max(hist),
		.mean = (int64_t)llround(hist_mean(hist)),
		.deviation = (int64_t)llround(hist_deviation(hist)),
	};
	for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
		*places[i] = hist_quantile(hist, quantiles[i]);
		if (is_telling(hist, quantiles[i]))
			ret_summary->present |= HAS_P(i);
	}
}
