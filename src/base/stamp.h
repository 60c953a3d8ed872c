/* Times that cannot be mixed up, and where they come from.
 *
 * A wall time is a struct, so that 'a - 1' or a monotonic time in its place
 * does not compile.  A stamp carries its source: a round trip is only as
 * honest as the worse of its two stamps.
 *
 * Threads: pure, any thread.
 */
#ifndef BASE_STAMP_H
#define BASE_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_S INT64_C(1000000000)

struct wall {
	int64_t ns; /* since 1970-01-01T00:00:00 UTC, leap seconds ignored */
};

struct mono {
	int64_t ns; /* CLOCK_MONOTONIC */
};

/* X(name, the word in output, one line) */
#define STAMP_SOURCES(X)                                         \
	X(STAMP_NONE, "none", "no time was given")               \
	X(STAMP_FILE, "file", "read from a capture file")        \
	X(STAMP_USER, "user", "taken in this process")           \
	X(STAMP_KERNEL, "kernel", "skb->tstamp, CLOCK_REALTIME") \
	X(STAMP_HARDWARE, "hardware", "the network card's own clock")

#define STAMP_SOURCE_ENUM(name, word, line) name,
enum stamp_source { STAMP_SOURCES(STAMP_SOURCE_ENUM) STAMP_SOURCE_COUNT };
#undef STAMP_SOURCE_ENUM

struct stamp {
	struct wall at;
	enum stamp_source source;
};

static inline int64_t wall_ns_between(struct wall from, struct wall to)
{
	return to.ns - from.ns;
}

static inline bool wall_before(struct wall a, struct wall b)
{
	return a.ns < b.ns;
}

static inline int64_t mono_ns_between(struct mono from, struct mono to)
{
	return to.ns - from.ns;
}

#endif
