/* What 'rtt' and 'reflect' share, and the parts of 'rtt'. */
#ifndef CLI_PROBE_PRIVATE_H
#define CLI_PROBE_PRIVATE_H

#include <netinet/in.h>

#include "cli/cli_private.h"

/* The key of --key or --key-file. */
struct key_options {
	char *hex;
	char *file;
};

extern const struct option_row key_rows[];
#define KEY_ROWS_COUNT 2

struct key {
	uint8_t bytes[MESSAGE_KEY_SIZE_MAX];
	size_t size; /* 0: none was given */
};

/* Returns -1 to go on, or the exit code of a mistake that was told. */
int key_read(const struct key_options *options, struct key *ret_key);

/* "HOST", "HOST:PORT", "[IPv6]:PORT"; 'family' AF_INET, AF_INET6 or
 * AF_UNSPEC.  As key_read(). */
int address_resolve(const char *text, uint16_t port, int family,
		    struct sockaddr_storage *ret_address);

/* "192.0.2.1:862"; static, until the next call. */
const char *address_show(const struct sockaddr_storage *address);

/* Which language a side of 'rtt' is in: words of --sender, --reflector. */
enum { RTT_C, RTT_PYTHON };

struct rtt_options {
	int64_t port, rate, interval_ns, count, duration_ns, size, dscp,
		reply_dscp, ttl, timeout_ns, seed, cpu, sender, reflector,
		python_port, tier;
	char *local, *interface, *against, *store, *plot, *watch;
	bool ip4, ip6, echo, poisson, sleep, realtime, hardware, unstamped,
		interleave, json, explain;
	struct key_options key;
	struct common_options common;
};

/* rtt_json.c: one object a line. */
void rtt_trip_json(const struct trip *trip, point_set points, FILE *to);
struct rtt_result;
/* The summary's object without its closing brace: what was counted alone, or
 * all that is known. */
void rtt_counters_json(const struct sender_counters *counters,
		       uint64_t trips_lost, FILE *to);
void rtt_summary_json(const struct rtt_result *result, FILE *to);

/* Of --tier: the first is as high as can be had. */
extern const char *const tier_choices[];
enum tier tier_chosen(int64_t choice, bool *ret_forced);

#endif
