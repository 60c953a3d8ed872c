/* What a running probe shows of itself, on the screen and in its log.
 *
 * Threads: the process's first.
 */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/stamp.h"
#include "capture/capture.h"
#include "engine/engine.h"

#define STATUS_INTERFACES_MAX 64
#define STATUS_HISTORY_COUNT  512 /* intervals kept for the curve */

struct status_interface {
	struct capture_interface_info info;
	double rx_bps, tx_bps, rx_pps, tx_pps;
	bool changed; /* counters moved since the last sample */
	bool known;   /* there was a last sample: the rates are right */
};

struct status {
	const char *probe;   /* name; borrowed */
	const char *targets; /* "any (afpacket)"; borrowed */
	struct mono started, now;
	double rate_pps, rate_bps; /* last interval, each packet once */
	double dropped_pps;
	uint64_t untracked; /* flow reports without room in the tables */
	struct engine_ledger ledger;
	uint64_t store_size; /* bytes; 0 and no store: see has_store */
	bool has_store;
	bool store_behind;
	struct fault store_fault; /* why, while it is behind */
	struct fault notice;      /* the last fault of a capture, or "" */
	struct status_interface interfaces[STATUS_INTERFACES_MAX];
	size_t interface_count;
	double history_bps[STATUS_HISTORY_COUNT]; /* a ring */
	uint64_t history_count;                   /* ever written */
};

/* Reads the interfaces' counters and works out their rates. */
void status_interfaces_sample(struct status *status, struct mono now);

/* Adds the interval's rate to the history. */
void status_history_add(struct status *status);

/* "store 12.3 MB", "store behind: No space left on device", "no store". */
void status_store_text(const struct status *status, char *buffer, size_t size);

#endif
