/* A second meter, made to be obviously right: a list of flows, each looked
 * at anew for every packet, time compared exactly, nothing swept. */
#ifndef TESTS_FLOW_MODEL_H
#define TESTS_FLOW_MODEL_H

#include "flow/flow.h"

struct model;

struct model *model_create(const struct flow_options *options);
/* Initiators as the meter tells them, for traffic that is not the tests'. */
void model_tell_as_meter(struct model *model);
void model_meter(struct model *model, const struct packet *packet);
/* Ends everything; *ret_records in the order of 'seq'; the model's.  Of
 * tables with statistics, model_json() has their JSON by 'seq'. */
size_t model_flush(struct model *model, struct flow_record **ret_records);
const char *model_json(const struct model *model, uint64_t seq);
void model_destroy(struct model *model);

#endif
