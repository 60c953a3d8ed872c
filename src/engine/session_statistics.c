/* The public C API's statistics of a flow. */
#include <string.h>

#include "engine/session_private.h"

static_assert(FLOW_FIRST_PACKETS_MAX == FLOW_FIRST_MAX, "as many");
static_assert(FLOW_HISTOGRAM_BINS == FLOW_BINS, "as many");

/* 'count' values, of which two and more have a deviation. */
static flow_measure_t lengths_public(const struct flow_lengths *from,
				     uint64_t count)
{
	flow_measure_t measure = {.count = count};

	if (count == 0)
		return measure;
	measure.min = from->min;
	measure.max = from->max;
	measure.mean = (double)from->mean_milli / 1000;
	measure.stddev = (double)from->stddev_milli / 1000;
	return measure;
}

static flow_measure_t intervals_public(const struct flow_intervals *from,
				       uint64_t packets)
{
	return (flow_measure_t){
		.count = packets > 0 ? packets - 1 : 0,
		.min = from->min_ns,
		.max = from->max_ns,
		.mean = (double)from->mean_ns,
		.stddev = (double)from->stddev_ns,
	};
}

static void firsts_public(const struct flow_record *from,
			  flow_statistics_t *statistics)
{
	statistics->first_count = from->first_count;
	memcpy(statistics->first_direction, from->first_direction,
	       sizeof statistics->first_direction);
	memcpy(statistics->first_length, from->first_length,
	       sizeof statistics->first_length);
	memcpy(statistics->first_payload, from->first_payload,
	       sizeof statistics->first_payload);
	memcpy(statistics->first_interval_ns, from->first_interval_ns,
	       sizeof statistics->first_interval_ns);
}

void session_statistics(const struct flow_record *record, uint32_t statistics,
			flow_statistics_t *ret_statistics)
{
	flow_statistics_t *to = ret_statistics;

	memset(to, 0, sizeof *to);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t packets =
			i == FLOW_BOTH ? record->packets[0] + record->packets[1]
				       : record->packets[i];

		if (statistics & FLOW_STATISTICS_LENGTH)
			to->length[i] =
				lengths_public(&record->length[i], packets);
		if (statistics & FLOW_STATISTICS_PAYLOAD)
			to->payload[i] =
				lengths_public(&record->payload[i], packets);
		if (statistics & FLOW_STATISTICS_INTERVAL)
			to->interval_ns[i] =
				intervals_public(&record->interval[i], packets);
	}
	if (statistics & FLOW_STATISTICS_FIRST)
		firsts_public(record, to);
	if (!(statistics & FLOW_STATISTICS_HISTOGRAM))
		return;
	memcpy(to->length_histogram, record->length_histogram,
	       sizeof to->length_histogram);
	memcpy(to->interval_histogram, record->interval_histogram,
	       sizeof to->interval_histogram);
}
