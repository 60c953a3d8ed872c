/* What the parts of 'sonde rtt' share: the result, and who shows or keeps it.
 *
 * Threads: the process's first.
 */
#ifndef CLI_RTT_PRIVATE_H
#define CLI_RTT_PRIVATE_H

#include "base/hist.h"
#include "base/text.h"
#include "cli/probe_private.h"

/* ---- rtt_result.c: from trips to what is shown -------------------------- */

struct rtt_result {
	const struct rtt_options *options;
	const char *host;
	char address[80];
	double rate_hz;
	size_t size; /* UDP payload, bytes */
	enum tier tier;
	point_set points; /* as far as is known */
	struct wall started;
	const struct watcher *watcher; /* NULL: none */
	struct offset *offset;
	struct tally *tally; /* NULL before the first trip */
	struct offset_reading reading;
	bool reading_known;
	struct sender_counters counters;
	uint64_t trips_lost;
	bool ended;
	const struct exchanger *watched; /* another program; NULL: ours */
	enum exchange_side side;         /* of that program */
};

/* Returns 0 or -ENOMEM. */
int rtt_result_init(struct rtt_result *result);
void rtt_result_fini(struct rtt_result *result);
/* The next trip of a run with these points.  Returns 0 or -ENOMEM. */
int rtt_result_trip(struct rtt_result *result, const struct trip *trip,
		    point_set points);
/* No further trips. */
void rtt_result_end(struct rtt_result *result);

/* The highest tier that the points need. */
enum tier rtt_tier(point_set points);

/* Whose time a segment is. */
enum rtt_owner {
	OWNER_APPLICATION, /* with its wake-up; at T1 with the kernel's
			      receiving too, which only T2 tells apart */
	OWNER_KERNEL,
	OWNER_PATH,
	OWNER_COUNT,
};

enum rtt_owner rtt_owner(const struct segment *segment);
/* Whether it is spent on the other host; no matter for a path. */
bool rtt_remote(const struct segment *segment);
/* Whether a packet has it only if its reader was asleep. */
bool rtt_if_asleep(const struct segment *segment);

/* Means, so that they add up; of the whole, 0 to 1. */
struct rtt_shares {
	size_t count;
	struct segment segments[SEGMENT_MAX];
	int64_t mean_ns[SEGMENT_MAX];
	double share[SEGMENT_MAX];
	double owners[OWNER_COUNT];
	double remote[OWNER_COUNT]; /* of that, on the other host */
	double awake; /* of readers that need not be woken: in no segment */
	bool known;   /* every segment had values */
};

void rtt_shares(const struct rtt_result *result, struct rtt_shares *ret_shares);

/* Answered packets that should have a segment; NULL: a layer below sockets. */
uint64_t rtt_expected(const struct rtt_result *result,
		      const struct segment *segment);

/* "path 71 %, ..." the largest first; returns ret_text. */
char *rtt_owners_text(const struct rtt_result *result,
		      const struct rtt_shares *shares, char ret_text[256]);

/* "12.3 us"; and in five letters, "12.3u". */
char *rtt_ns_text(int64_t ns, char ret_text[static TEXT_SIZE]);
char *rtt_ns_short(int64_t ns, char ret_text[static TEXT_SIZE]);

/* ---- rtt_table.c -------------------------------------------------------- */

/* The whole result for people; 'width' columns at least 80. */
void rtt_table_print(const struct rtt_result *result, int width, FILE *to);

/* One of its quantiles by the field's name, in five letters; "-" while no
 * value can lie beyond it. */
const char *rtt_quantile_text(const struct hist_summary *summary,
			      const char *field, int64_t value, char *text);

/* ---- rtt_watch.c -------------------------------------------------------- */

/* The whole verb, with options.watch.  Returns the exit code. */
int rtt_watch_run(const struct rtt_options *options);
/* What was counted, in place of slots and losses. */
void rtt_watch_counts_print(const struct rtt_result *result, FILE *to);

/* ---- rtt_json.c --------------------------------------------------------- */

/* As rtt_trip_json(), of another program. */
void rtt_exchange_json(enum exchange_side side, const struct trip *trip,
		       point_set points, FILE *to);

/* Members of the summary, each with a comma before it. */
void rtt_result_json(const struct rtt_result *result, FILE *to);

/* ---- rtt_explain.c ------------------------------------------------------ */

#define RTT_EXPLAIN_TRIPS 100000 /* the last ones count */

struct rtt_explain;

/* 'against': "FILE" or "FILE#RUN", NULL: within this run.  Returns -1 to go
 * on, or the exit code of a mistake that was told. */
int rtt_explain_open(const char *against, const char *address,
		     struct rtt_explain **ret_explain);
void rtt_explain_trip(struct rtt_explain *explain, const struct trip *trip);
/* The culprits, for people or as members of a JSON object. */
void rtt_explain_print(struct rtt_explain *explain, bool json, FILE *to);
void rtt_explain_close(struct rtt_explain *explain);

/* ---- rtt_store.c -------------------------------------------------------- */

struct rtt_store;

/* As rtt_explain_open(). */
int rtt_store_open(const char *path, const struct rtt_result *result,
		   struct rtt_store **ret_store);
void rtt_store_trip(struct rtt_store *store, const struct trip *trip);
/* Commits once a second; often called. */
void rtt_store_tick(struct rtt_store *store);
/* The last commit; says where it is and what was lost.  True: all is kept. */
bool rtt_store_close(struct rtt_store *store);

/* ---- rtt_plot.c --------------------------------------------------------- */

struct rtt_plot;

int rtt_plot_open(const char *prefix, struct rtt_plot **ret_plot);
void rtt_plot_trip(struct rtt_plot *plot, const struct trip *trip);
/* Writes PREFIX-waterfall.svg, -times.svg and -cdf.svg.  True: all three. */
bool rtt_plot_close(struct rtt_plot *plot, const struct rtt_result *result);

/* ---- rtt_screen.c ------------------------------------------------------- */

struct rtt_screen;

/* NULL: no terminal that can show it. */
struct rtt_screen *rtt_screen_open(void);
void rtt_screen_trip(struct rtt_screen *screen, const struct trip *trip);
/* Draws if it is time; false: the user quits. */
bool rtt_screen_turn(struct rtt_screen *screen,
		     const struct rtt_result *result);
void rtt_screen_close(struct rtt_screen *screen);

#endif
