/* The statistics a second time, made to be obviously right: every packet of
 * a record is kept, and all is computed from the list when the record ends,
 * in numbers as long as need be (docs/STATISTICS.md). */
#ifndef TESTS_FLOW_STATISTICS_MODEL_H
#define TESTS_FLOW_STATISTICS_MODEL_H

#include <stdio.h>

#include "flow/flow.h"

struct sample {
	int64_t at_ns;
	uint32_t length;
	uint32_t payload;
	int way; /* 0: by the initiator, as the record has it now */
};

struct samples {
	struct sample *all;
	size_t count;
	size_t size;
};

/* Adds the packet; a super-frame as the segments that it stands for. */
void samples_add(struct samples *samples, const struct packet *packet, int way);

/* The initiator was corrected. */
void samples_turn(struct samples *samples);

/* floor(scale * standard deviation of the sample) of two values and more. */
uint64_t values_deviation(const uint64_t *values, size_t count, uint64_t scale);

/* Writes the statistics that 'options' name into the record. */
void samples_record(const struct samples *samples,
		    const struct flow_options *options,
		    struct flow_record *record);

/* The same as JSON, ',"name":value' for each in the order of the fields. */
void samples_json(const struct samples *samples,
		  const struct flow_options *options, FILE *to);

#endif
