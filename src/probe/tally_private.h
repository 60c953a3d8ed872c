/* What a tally is made of.  Included by this room only. */
#ifndef TALLY_PRIVATE_H
#define TALLY_PRIVATE_H

#include "base/hist.h"
#include "probe/probe.h"

/* Packets that may be under way at once, and how far back order is told. */
#define ORDER_WAITING 8192
#define ORDER_RECORDS 1024
#define ORDER_RECENT  256

/* A packet that arrived. */
struct arrival {
	int64_t at_ns; /* by the clock of the host where it did */
	uint32_t number;
	uint32_t regime;
	bool known, overtaken; /* told by the reflector or by numbers */
	bool has[LAYER_COUNT];
	int64_t transit_ns[LAYER_COUNT];
};

/* The first arrival of its number or a higher one. */
struct order_record {
	uint64_t place; /* the how many-eth arrival */
	int64_t at_ns;
	uint32_t number;
};

/* One leg's packets, put in order of arrival: a heap until no earlier one
 * can come, then the order itself. */
struct order {
	struct arrival *waiting; /* ORDER_WAITING, a heap by at_ns */
	size_t waiting_count;
	int64_t latest_ns;
	uint32_t regime;
	bool begun;
	uint64_t arrived;
	struct order_record records[ORDER_RECORDS];
	size_t record_count; /* ever */
	uint32_t recent[ORDER_RECENT];
};

/* Losses of one kind, RFC 3357. */
struct losses {
	uint64_t packets; /* of this sequence so far */
	uint64_t run;     /* lost in a row up to now */
	uint64_t lost_at, period_at;
	bool lost_before, period_before;
};

enum { LOSSES_TRIP, LOSSES_FORWARD, LOSSES_BACK, LOSSES_COUNT };

/* Slots that were skipped and wait for the next packet. */
struct omission {
	uint64_t count;
	int64_t first_ns, last_ns; /* their slots */
	int64_t sent_ns;           /* the next packet's; by the slots' clock */
	bool sent;
};

struct tally {
	struct tally_options options;
	struct tally_counters counters;
	struct segment segments[SEGMENT_MAX];
	size_t segment_count;
	struct hist *segment_hists[SEGMENT_MAX];
	struct hist *hists[TALLY_HIST_COUNT];
	uint64_t missing[LEG_COUNT][POINT_COUNT];
	struct jitter jitters[LEG_COUNT][LAYER_COUNT];
	struct order orders[LEG_COUNT];
	struct losses losses[LOSSES_COUNT];
	struct omission omission;
	/* The packet before, for IPDV. */
	uint32_t before_regime;
	bool before_has[LEG_COUNT][LAYER_COUNT];
	int64_t before_ns[LEG_COUNT][LAYER_COUNT];
};

/* tally_order.c */
void order_trip(struct tally *tally, const struct trip *trip, uint32_t regime);
void order_end(struct tally *tally);

/* tally_loss.c */
void losses_trip(struct tally *tally, const struct trip *trip);
void losses_end(struct tally *tally);

#endif
