#include "statistics_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

/* ---- numbers of 320 bits, digits of 32, lowest first */

#define DIGITS 10

struct big {
	uint32_t digits[DIGITS];
};

__extension__ typedef __int128 i128;
__extension__ typedef unsigned __int128 u128;

static struct big big_of(u128 value)
{
	struct big big = {{0}};

	for (int i = 0; value; i++, value >>= 32)
		big.digits[i] = (uint32_t)value;
	return big;
}

static struct big big_plus(struct big a, struct big b)
{
	uint64_t carry = 0;

	for (int i = 0; i < DIGITS; i++) {
		carry += (uint64_t)a.digits[i] + b.digits[i];
		a.digits[i] = (uint32_t)carry;
		carry >>= 32;
	}
	assert_int_equal(carry, 0);
	return a;
}

static struct big big_times(struct big a, struct big b)
{
	struct big product = {{0}};

	for (int i = 0; i < DIGITS; i++) {
		uint64_t carry = 0;

		for (int j = 0; j < DIGITS; j++) {
			uint64_t part = (uint64_t)a.digits[i] * b.digits[j];

			if (i + j >= DIGITS) {
				assert_int_equal(part + carry, 0);
				continue;
			}
			carry += part + product.digits[i + j];
			product.digits[i + j] = (uint32_t)carry;
			carry >>= 32;
		}
	}
	return product;
}

static int big_compare(struct big a, struct big b)
{
	for (int i = DIGITS - 1; i >= 0; i--)
		if (a.digits[i] != b.digits[i])
			return a.digits[i] < b.digits[i] ? -1 : 1;
	return 0;
}

/* ---- packets */

static void sample_add(struct samples *samples, struct sample sample)
{
	if (samples->count == samples->size) {
		samples->size = samples->size ? samples->size * 2 : 16;
		samples->all = realloc(samples->all,
				       samples->size * sizeof *samples->all);
		assert_non_null(samples->all);
	}
	samples->all[samples->count++] = sample;
}

void samples_add(struct samples *samples, const struct packet *packet, int way)
{
	uint32_t left = packet->payload_bytes, n = packet->packets;
	uint32_t headers = (packet->ip_bytes - packet->payload_bytes) / n;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t payload = i + 1 < n ? packet->segment_bytes : left;
		struct sample sample = {packet->at.ns, headers + payload,
					payload, way};

		assert_true(payload <= left);
		left -= payload;
		if (n == 1)
			sample.length = packet->ip_bytes;
		sample_add(samples, sample);
	}
}

void samples_turn(struct samples *samples)
{
	for (size_t i = 0; i < samples->count; i++)
		samples->all[i].way = !samples->all[i].way;
}

/* ---- values: any list of numbers */

struct values {
	uint64_t *all;
	size_t count;
};

enum kind { KIND_LENGTH, KIND_PAYLOAD, KIND_INTERVAL };

static struct values values_make(const struct samples *samples, int way,
				 enum kind kind)
{
	struct values values = {calloc(samples->count + 1, sizeof *values.all),
				0};
	int64_t latest_ns = -1;

	assert_non_null(values.all);
	for (size_t i = 0; i < samples->count; i++) {
		const struct sample *s = &samples->all[i];

		if (way != FLOW_BOTH && s->way != way)
			continue;
		if (kind == KIND_LENGTH)
			values.all[values.count++] = s->length;
		if (kind == KIND_PAYLOAD)
			values.all[values.count++] = s->payload;
		if (kind == KIND_INTERVAL && latest_ns >= 0)
			values.all[values.count++] =
				s->at_ns > latest_ns
					? (uint64_t)(s->at_ns - latest_ns)
					: 0;
		if (s->at_ns > latest_ns)
			latest_ns = s->at_ns;
	}
	return values;
}

static u128 sum_of(const uint64_t *values, size_t count)
{
	u128 sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += values[i];
	return sum;
}

/* The largest r with r^2 n^2 (n - 1) <= scale^2 sum of (n x - S)^2: x's
 * distances from the mean, with no fraction in it. */
uint64_t values_deviation(const uint64_t *values, size_t count, uint64_t scale)
{
	i128 n = (i128)count, sum = (i128)sum_of(values, count);
	struct big spread = big_of(0);
	struct big share = big_of((u128)n * (u128)n);
	uint64_t low = 0, high = 0;

	for (size_t i = 0; i < count; i++) {
		i128 away = n * (i128)values[i] - sum;
		struct big part = big_of((u128)(away < 0 ? -away : away));

		spread = big_plus(spread, big_times(part, part));
		if (values[i] * scale + 1 > high)
			high = values[i] * scale + 1;
	}
	spread = big_times(spread, big_of((u128)scale * scale));
	share = big_times(share, big_of((u128)n - 1));
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		struct big square = big_of((u128)middle * middle);

		if (big_compare(big_times(square, share), spread) <= 0)
			low = middle;
		else
			high = middle;
	}
	return low;
}

struct measure {
	size_t count;
	uint64_t min;
	uint64_t max;
	uint64_t mean;
	uint64_t deviation;
};

static struct measure measure_make(const struct samples *samples, int way,
				   enum kind kind)
{
	uint64_t scale = kind == KIND_INTERVAL ? 1 : 1000;
	struct values values = values_make(samples, way, kind);
	struct measure m = {.count = values.count, .min = UINT64_MAX};

	for (size_t i = 0; i < values.count; i++) {
		if (values.all[i] < m.min)
			m.min = values.all[i];
		if (values.all[i] > m.max)
			m.max = values.all[i];
	}
	if (m.count > 0)
		m.mean = (uint64_t)(sum_of(values.all, values.count) * scale /
				    m.count);
	if (m.count > 1)
		m.deviation = values_deviation(values.all, values.count, scale);
	free(values.all);
	return m;
}

/* ---- histograms: the edges, one by one */

static void histogram_make(const struct samples *samples, int way,
			   enum kind kind, uint64_t bins[FLOW_BINS])
{
	static const uint64_t lengths[] = {
		64,   96,   128,  192,  256,  384,  512,  768,
		1024, 1536, 2048, 3072, 4096, 6144, 8192,
	};
	static const uint64_t times[] = {
		1024,       4096,       16384,       65536,       262144,
		1048576,    4194304,    16777216,    67108864,    268435456,
		1073741824, 4294967296, 17179869184, 68719476736, 274877906944,
	};
	const uint64_t *edges = kind == KIND_LENGTH ? lengths : times;
	struct values values = values_make(samples, way, kind);

	memset(bins, 0, FLOW_BINS * sizeof *bins);
	for (size_t i = 0; i < values.count; i++) {
		unsigned bin = 0;

		while (bin < FLOW_BINS - 1 && values.all[i] >= edges[bin])
			bin++;
		bins[bin]++;
	}
	free(values.all);
}

/* ---- the record */

static void lengths_record(const struct samples *samples, enum kind kind,
			   struct flow_record *r)
{
	for (int way = 0; way < 3; way++) {
		struct measure m = measure_make(samples, way, kind);
		bool payload = kind == KIND_PAYLOAD;
		struct flow_lengths *to =
			payload ? &r->payload[way] : &r->length[way];

		if (m.count == 0)
			continue;
		to->min = (uint32_t)m.min;
		to->max = (uint32_t)m.max;
		to->mean_milli = m.mean;
		to->stddev_milli = m.deviation;
		r->statistics_present |=
			payload ? FLOW_PAYLOADS(way) : FLOW_LENGTHS(way);
		if (m.count > 1)
			r->statistics_present |=
				payload ? FLOW_PAYLOADS_STDDEV(way)
					: FLOW_LENGTHS_STDDEV(way);
	}
}

static void intervals_record(const struct samples *samples,
			     struct flow_record *r)
{
	for (int way = 0; way < 3; way++) {
		struct measure m = measure_make(samples, way, KIND_INTERVAL);

		if (m.count == 0)
			continue;
		r->interval[way] = (struct flow_intervals){m.min, m.max, m.mean,
							   m.deviation};
		r->statistics_present |= FLOW_INTERVALS(way);
		if (m.count > 1)
			r->statistics_present |= FLOW_INTERVALS_STDDEV(way);
	}
}

static size_t first_count(const struct samples *samples,
			  const struct flow_options *options)
{
	size_t most = options->first_count ?: FLOW_FIRST_PRESET;

	return samples->count < most ? samples->count : most;
}

static void first_record(const struct samples *samples,
			 const struct flow_options *options,
			 struct flow_record *r)
{
	struct values gaps = values_make(samples, FLOW_BOTH, KIND_INTERVAL);

	r->first_count = (uint8_t)first_count(samples, options);
	for (size_t i = 0; i < r->first_count; i++) {
		const struct sample *s = &samples->all[i];

		r->first_direction[i] = (uint8_t)s->way;
		r->first_length[i] = s->length;
		r->first_payload[i] = s->payload;
		r->first_interval_ns[i] = i > 0 ? gaps.all[i - 1] : 0;
	}
	r->statistics_present |= FLOW_FIRSTS;
	free(gaps.all);
}

static void histograms_record(const struct samples *samples,
			      struct flow_record *r)
{
	for (int way = 0; way < 2; way++)
		histogram_make(samples, way, KIND_LENGTH,
			       r->length_histogram[way]);
	for (int way = 0; way < 3; way++)
		histogram_make(samples, way, KIND_INTERVAL,
			       r->interval_histogram[way]);
	r->bin_count = FLOW_BINS;
	r->statistics_present |= FLOW_HISTOGRAMS;
}

void samples_record(const struct samples *samples,
		    const struct flow_options *options,
		    struct flow_record *record)
{
	uint32_t names = options->statistics;

	if (names & FLOW_STATISTICS_LENGTH)
		lengths_record(samples, KIND_LENGTH, record);
	if (names & FLOW_STATISTICS_PAYLOAD)
		lengths_record(samples, KIND_PAYLOAD, record);
	if (names & FLOW_STATISTICS_INTERVAL)
		intervals_record(samples, record);
	if (names & FLOW_STATISTICS_FIRST)
		first_record(samples, options, record);
	if (names & FLOW_STATISTICS_HISTOGRAM)
		histograms_record(samples, record);
}

/* ---- the same as text */

static const char *const prefixes[] = {"", "rev_", "both_"};

static void measures_json(const struct samples *samples, enum kind kind,
			  const char *name, const char *unit, FILE *to)
{
	static const char *const parts[] = {"_min", "_max", "_mean", "_stddev"};
	struct measure m[3];

	for (int way = 0; way < 3; way++)
		m[way] = measure_make(samples, way, kind);
	for (unsigned part = 0; part < 4; part++) {
		for (int way = 0; way < 3; way++) {
			uint64_t values[] = {m[way].min, m[way].max,
					     m[way].mean, m[way].deviation};
			uint64_t value = values[part];

			fprintf(to, ",\"%s%s%s%s\":", prefixes[way], name,
				parts[part], unit);
			if (m[way].count < (part == 3 ? 2 : 1))
				fprintf(to, "null");
			else if (part < 2 || kind == KIND_INTERVAL)
				fprintf(to, "%" PRIu64, value);
			else
				fprintf(to, "%" PRIu64 ".%03u", value / 1000,
					(unsigned)(value % 1000));
		}
	}
}

static void first_json(const struct samples *samples, size_t count, FILE *to)
{
	struct values gaps = values_make(samples, FLOW_BOTH, KIND_INTERVAL);
	const struct sample *all = samples->all;

	fprintf(to, ",\"first_directions\":[");
	for (size_t i = 0; i < count; i++)
		fprintf(to, "%s%d", i ? "," : "", all[i].way);
	fprintf(to, "],\"first_lengths\":[");
	for (size_t i = 0; i < count; i++)
		fprintf(to, "%s%u", i ? "," : "", all[i].length);
	fprintf(to, "],\"first_payloads\":[");
	for (size_t i = 0; i < count; i++)
		fprintf(to, "%s%u", i ? "," : "", all[i].payload);
	fprintf(to, "],\"first_intervals_ns\":[");
	for (size_t i = 0; i < count; i++)
		fprintf(to, "%s%" PRIu64, i ? "," : "",
			i ? gaps.all[i - 1] : 0);
	fprintf(to, "]");
	free(gaps.all);
}

static void histogram_json(const struct samples *samples, int way,
			   enum kind kind, FILE *to)
{
	uint64_t bins[FLOW_BINS];

	histogram_make(samples, way, kind, bins);
	fprintf(to, ",\"%s%s_histogram\":[", prefixes[way],
		kind == KIND_LENGTH ? "length" : "interval");
	for (unsigned i = 0; i < FLOW_BINS; i++)
		fprintf(to, "%s%" PRIu64, i ? "," : "", bins[i]);
	fprintf(to, "]");
}

void samples_json(const struct samples *samples,
		  const struct flow_options *options, FILE *to)
{
	uint32_t names = options->statistics;

	if (names & FLOW_STATISTICS_LENGTH)
		measures_json(samples, KIND_LENGTH, "length", "", to);
	if (names & FLOW_STATISTICS_PAYLOAD)
		measures_json(samples, KIND_PAYLOAD, "payload", "", to);
	if (names & FLOW_STATISTICS_INTERVAL)
		measures_json(samples, KIND_INTERVAL, "interval", "_ns", to);
	if (names & FLOW_STATISTICS_FIRST)
		first_json(samples, first_count(samples, options), to);
	if (!(names & FLOW_STATISTICS_HISTOGRAM))
		return;
	for (int way = 0; way < 2; way++)
		histogram_json(samples, way, KIND_LENGTH, to);
	for (int way = 0; way < 3; way++)
		histogram_json(samples, way, KIND_INTERVAL, to);
}
