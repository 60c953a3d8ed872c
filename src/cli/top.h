/* Who talks most: live flows, their rates, and the sums.
 *
 * Rates come from the differences between two reports of a flow, which
 * (epoch, seq) names.  A flow that ended is shown for one more interval.
 * Flows seen before on another interface are known but not counted.
 *
 *     create -> { note* -> tick -> select | hosts }* -> destroy
 *
 * Threads: one.
 */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/flow.h"

struct top;

struct top_flow {
	uint64_t epoch, seq;
	struct packet_tuple tuple;
	uint64_t packets[2], bytes[2];               /* frames on the wire */
	uint64_t packets_before[2], bytes_before[2]; /* at the last tick */
	double rate_bps[2], rate_pps[2]; /* over the last interval */
	struct wall start, end;
	uint8_t state; /* enum flow_state */
	uint8_t tunnel;
	bool duplicate;
	bool ended; /* its record left in this interval */
	bool gone;  /* ... or in the one before */
	char interface[FLOW_INTERFACE_NAME_SIZE];
};

/* One host over its flows; index 0: sent by it. */
struct top_host {
	uint8_t address[16];
	uint8_t ip_version;
	uint32_t flows;
	double rate_bps[2];
	uint64_t bytes[2];
};

/* Of the last interval, duplicates left out. */
struct top_totals {
	double rate_pps, rate_bps;
	uint64_t flows;     /* known now, duplicates too */
	uint64_t untracked; /* flow reports for which there was no room */
};

enum top_sort {
	TOP_BY_RATE,
	TOP_BY_BYTES,
	TOP_BY_PACKETS,
	TOP_BY_NEWEST,
	TOP_SORT_COUNT
};

extern const char *const top_sort_words[TOP_SORT_COUNT];

struct top_query {
	enum top_sort sort;
	/* NULL: all; else the flows for which it gives true. */
	bool (*wanted)(void *context, const struct top_flow *flow);
	void *context;
};

/* Room for 'capacity' flows (1 to 2^30); memory is touched as it is used.
 * NULL: no memory. */
struct top *top_create(uint32_t capacity);
void top_destroy(struct top *top);

/* Takes a report of a live flow or its final record.  Returns false if it
 * says nothing that was not known. */
bool top_note(struct top *top, const struct flow_record *record);

/* Ends an interval of 'span_s' seconds. */
void top_tick(struct top *top, double span_s);

struct top_totals top_totals(const struct top *top);

/* Copies up to 'max' flows in the query's order; returns how many. */
size_t top_select(const struct top *top, const struct top_query *query,
		  struct top_flow *ret_flows, size_t max);

/* The same for hosts, in the order of rate, bytes or flows.  Returns how
 * many there are in *ret_hosts, or 0 where memory is short. */
size_t top_hosts(const struct top *top, const struct top_query *query,
		 struct top_host *ret_hosts, size_t max);

#endif
