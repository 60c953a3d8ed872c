/* Metering: packets in, biflow records out (RFC 7011 terms, RFC 5103).
 *
 * A flow is the packets of one tuple (addresses, ports, protocol, VLAN,
 * network, interface) in both directions.  The table belongs to one thread,
 * takes all its memory at creation and is driven by the packets' own time:
 * a file meters the same at any speed.  It never starts a thread, reads a
 * clock or opens a file.
 *
 *     create -> { meter | advance }* -> flush -> destroy
 *
 * Records leave through the 'emit' callback, on the caller's thread, from
 * within meter, advance and flush.
 *
 * Threads: one table, one thread, but for flow_table_populate(); several
 * tables side by side.
 */
#ifndef FLOW_H
#define FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/field.h"
#include "base/sample.h"
#include "base/stamp.h"
#include "packet/packet.h"

struct fault; /* base/err.h */
struct flow_table;

/* flowEndReason, IPFIX element 136; 0 is ours: the flow still lives. */
enum flow_end {
	FLOW_END_NONE = 0,
	FLOW_END_IDLE = 1,
	FLOW_END_ACTIVE = 2,
	FLOW_END_DETECTED = 3,
	FLOW_END_FORCED = 4,
	FLOW_END_RESOURCES = 5,
	FLOW_END_COUNT
};

extern const char *const flow_end_words[FLOW_END_COUNT];

enum flow_state {
	FLOW_ACTIVE = 0,
	FLOW_CLOSING = 1, /* TCP: one FIN seen */
	FLOW_CLOSED = 2,  /* TCP: FIN in both directions, or RST */
	FLOW_STATE_COUNT
};

extern const char *const flow_state_words[FLOW_STATE_COUNT];

/* What says how long a flow may go without packets: its protocol, and where
 * a TCP connection stands. */
enum flow_phase {
	FLOW_PHASE_TCP = 0, /* established, or its start was not seen */
	FLOW_PHASE_OPENING, /* TCP: a SYN, and no ACK without one yet */
	FLOW_PHASE_CLOSING, /* TCP: one FIN seen */
	FLOW_PHASE_CLOSED,  /* TCP: FIN in both directions, or RST */
	FLOW_PHASE_UDP,
	FLOW_PHASE_ICMP, /* and ICMPv6 */
	FLOW_PHASE_OTHER,
	FLOW_PHASE_COUNT
};

/* How the initiator was told. */
enum flow_initiator {
	FLOW_INITIATOR_FIRST = 0, /* it sent the first packet seen */
	FLOW_INITIATOR_SYN = 1,   /* it sent a SYN, or got a SYN-ACK */
	FLOW_INITIATOR_PORT = 2,  /* start not seen: the peer's port serves */
	FLOW_INITIATOR_COUNT
};

extern const char *const flow_initiator_words[FLOW_INITIATOR_COUNT];

#define FLOW_INTERFACE_NAME_SIZE 32

/* What TCP did in one direction (flow_options.tcp_metrics); docs/TCP.md has
 * each definition.  Counters that have come to their end stay there. */
struct flow_tcp {
	uint64_t retransmitted_bytes;
	uint64_t missing_bytes;
	uint32_t retransmitted_packets;
	uint32_t out_of_order_packets;
	uint32_t duplicate_acks;
	uint32_t zero_windows;
	uint32_t ce_packets;   /* ECN: congestion experienced */
	uint32_t dscp_changes; /* from one packet to the next */
	uint32_t window_min;   /* bytes */
	uint32_t window_max;
	uint16_t mss;
	uint8_t window_scale; /* as it stands in the option */
	bool sack_permitted;
	uint8_t pad[4];
};

/* What was chosen before it was counted: the sums of a record are those of
 * the sample, never multiplied. */
struct flow_sampling {
	uint32_t present;         /* FLOW_SAMPLED_... bits; 0: all was taken */
	uint32_t interval;        /* packets in a row, of count */
	uint32_t space;           /* packets between these */
	uint32_t size;            /* n, of random */
	uint32_t population;      /* N, of random */
	uint32_t flow_population; /* one flow of so many */
	uint8_t mode;             /* enum sample_mode, of the packets */
	uint8_t flow_mode;        /* index into flow_sampling_words */
	uint8_t pad[6];
	double probability; /* of probability */
};

#define FLOW_SAMPLED_COUNT       0x01u /* interval, space */
#define FLOW_SAMPLED_RANDOM      0x02u /* size, population */
#define FLOW_SAMPLED_PROBABILITY 0x04u /* probability */
#define FLOW_SAMPLED_FLOWS       0x08u /* flow_... */
#define FLOW_SAMPLED_PACKETS     0x07u

extern const char *const flow_sampling_words[2];

/* Which of them have a value: bits of flow_record.tcp_present. */
#define FLOW_TCP_METRICS       0x01u /* every counter */
#define FLOW_TCP_SERVER        0x02u /* handshake_server_ns */
#define FLOW_TCP_CLIENT        0x04u /* handshake_client_ns */
#define FLOW_TCP_WINDOW(index) (0x10u << (index))
#define FLOW_TCP_MSS(index)    (0x40u << (index))
#define FLOW_TCP_SCALE(index)  (0x100u << (index))
#define FLOW_TCP_SACK(index)   (0x400u << (index))

/* Statistics of lengths and gaps, each on by its name; docs/STATISTICS.md has
 * every definition.  X(name, word, line) */
#define FLOW_STATISTICS_TABLE(X)                                             \
	X(LENGTH, "length", "IP length: min, max, mean, standard deviation") \
	X(PAYLOAD, "payload", "the same of the transport payload")           \
	X(INTERVAL, "interval", "the same of the time between packets")      \
	X(FIRST, "first", "lengths and times of the first packets")          \
	X(HISTOGRAM, "histogram", "IP lengths and times between packets")

#define FLOW_STATISTICS_INDEX(name, word, line) FLOW_STATISTICS_##name##_INDEX,
enum flow_statistics_index {
	FLOW_STATISTICS_TABLE(FLOW_STATISTICS_INDEX) FLOW_STATISTICS_COUNT
};
#undef FLOW_STATISTICS_INDEX

/* Bits of flow_options.statistics. */
#define FLOW_STATISTICS_BIT(name, word, line) \
	FLOW_STATISTICS_##name = 1u << FLOW_STATISTICS_##name##_INDEX,
enum flow_statistics {
	FLOW_STATISTICS_TABLE(FLOW_STATISTICS_BIT) FLOW_STATISTICS_ALL =
		(1u << FLOW_STATISTICS_COUNT) - 1
};
#undef FLOW_STATISTICS_BIT

/* Adds the bits of 'names' (words, commas between them; "all"; "none" and ""
 * add nothing) to *statistics.  Returns 0, or -EINVAL with a sentence that
 * lists the words, and nothing added. */
int flow_statistics_parse(const char *names, uint32_t *statistics,
			  struct fault *ret_fault);

#define FLOW_FIRST_MAX    32 /* packets whose lengths and times are kept */
#define FLOW_FIRST_PRESET 16

#define FLOW_BINS 16 /* of a histogram */

/* The bin of a length in bytes: 0 is below 64, then two bins an octave (64,
 * 96, 128, 192, ... 6144), 15 is from 8192 on. */
unsigned flow_length_bin(uint32_t length);

/* The bin of a time: 0 is below 2^10 ns, each further one four times as wide,
 * 15 is from 2^38 ns on. */
unsigned flow_interval_bin(uint64_t interval_ns);

struct flow_lengths { /* bytes */
	uint32_t min;
	uint32_t max;
	uint64_t mean_milli; /* thousandths, cut */
	uint64_t stddev_milli;
};

struct flow_intervals {
	uint64_t min_ns;
	uint64_t max_ns;
	uint64_t mean_ns; /* cut */
	uint64_t stddev_ns;
};

#define FLOW_BOTH 2 /* in place of a direction: both together */

/* Which of them have a value: bits of flow_record.statistics_present. 'way'
 * is 0, 1 or FLOW_BOTH. */
#define FLOW_LENGTHS(way)          (0x1u << (way))
#define FLOW_LENGTHS_STDDEV(way)   (0x8u << (way))
#define FLOW_PAYLOADS(way)         (0x40u << (way))
#define FLOW_PAYLOADS_STDDEV(way)  (0x200u << (way))
#define FLOW_INTERVALS(way)        (0x1000u << (way))
#define FLOW_INTERVALS_STDDEV(way) (0x8000u << (way))
#define FLOW_FIRSTS                0x40000u
#define FLOW_HISTOGRAMS            0x80000u

/* One flow, or one interval of it (active timeout).  Index 0 is forward:
 * sent by the initiator.  Its rows below name every field.  Optional parts
 * are at the end, so that without them a record is short: what lies beyond
 * flow_record_size() is not to be looked at. */
struct flow_record {
	uint64_t epoch; /* names the table: its start, ns; see flow_options */
	uint64_t seq;   /* dense in the epoch, given when the record begins */
	uint64_t flow_id;
	struct packet_tuple tuple; /* 0: initiator */
	uint64_t packets[2];
	uint64_t bytes[2];         /* IP total length */
	uint64_t frame_bytes[2];   /* link-layer frame as on the wire, no FCS */
	uint64_t payload_bytes[2]; /* transport payload */
	struct wall start;
	struct wall end;
	uint8_t tcp_flags[2];
	uint8_t end_reason;           /* enum flow_end */
	uint8_t state;                /* enum flow_state */
	uint8_t initiator;            /* enum flow_initiator */
	uint8_t tunnel;               /* enum tunnel */
	uint8_t tos;                  /* of the first forward packet */
	bool duplicate;               /* already counted on another interface */
	uint32_t fragments[2];        /* packets that were fragments */
	uint8_t outer_address[2][16]; /* tunnel != NONE: outermost, 0 sent by
					 the initiator's side */
	uint8_t outer_ip_version;
	uint8_t ttl_min[2];
	uint8_t ttl_max[2];
	uint8_t pad[3];
	struct flow_sampling sampling;
	/* Filled by whoever hands the record out (see flow_record_finish). */
	char interface[FLOW_INTERFACE_NAME_SIZE];
	char community_id[32];

	/* tcp_metrics: from here on */
	uint32_t tcp_present;        /* FLOW_TCP_...; 0: nothing is known */
	uint32_t statistics_present; /* FLOW_LENGTHS(0), ... */
	int64_t handshake_server_ns; /* SYN to SYN-ACK, as seen here */
	int64_t handshake_client_ns; /* SYN-ACK to ACK */
	struct flow_tcp tcp[2];

	/* statistics: from here on; [FLOW_BOTH]: of both directions */
	struct flow_lengths length[3];
	struct flow_lengths payload[3];
	struct flow_intervals interval[3];
	uint8_t first_count;
	uint8_t bin_count;
	uint8_t statistics_pad[6];

	/* FLOW_STATISTICS_FIRST */
	uint64_t first_interval_ns[FLOW_FIRST_MAX];
	uint32_t first_length[FLOW_FIRST_MAX];
	uint32_t first_payload[FLOW_FIRST_MAX];
	uint8_t first_direction[FLOW_FIRST_MAX]; /* 0: by the initiator */

	/* FLOW_STATISTICS_HISTOGRAM */
	uint64_t length_histogram[2][FLOW_BINS];
	uint64_t interval_histogram[3][FLOW_BINS];
};

/* Every field of a record: JSON key, CSV head, SQLite column. */
extern const struct field_table flow_fields;

/* The first of them: those that no option of the table leaves null. */
extern const struct field_table flow_fields_plain;

struct flow_options;

/* The fields that records of a table with these options have: the plain ones,
 * and of the others those that 'sampled', 'sample_flows', 'tcp_metrics' and
 * 'statistics' ask for, in order.  One block, which the caller gives to
 * free(); NULL: no memory. */
struct field_table *flow_fields_choose(const struct flow_options *options);

/* Bytes of a record that such a table fills, a multiple of 8: a copy needs no
 * more. */
size_t flow_record_size(const struct flow_options *options);

/* Sets interface (may be NULL: "") and the Community ID, which cost too much
 * to compute before a record leaves. */
void flow_record_finish(struct flow_record *record, const char *interface);

/* Sets interface alone. */
void flow_record_place(struct flow_record *record, const char *interface);

/* 64-bit FNV-1a over the canonical 5-tuple: the numerically lower endpoint
 * (address, then port) first; bytes in this order: address (4 or 16),
 * address, port, port (2 each, big-endian), protocol (1).  VLAN, network and
 * interface are left out: the id is the same wherever the flow is seen. */
uint64_t flow_id_of(const struct packet_tuple *tuple);

/* Community ID version 1 ("1:" and base64 of SHA-1). */
void flow_community_id(const struct packet_tuple *tuple, uint16_t seed,
		       char ret_text[static 32]);

/* X(name, unit, line).  created = live + every ended_...; metered = every
 * packet given to flow_table_meter() less every refused_..., not_selected and,
 * until they are flushed at the latest, the fragments that wait for their
 * first. */
#define FLOW_COUNTERS(X)                                                     \
	X(metered, "frames", "counted in a flow")                            \
	X(refused_full, "frames",                                            \
	  "no flow could be made: the table was full of busier ones")        \
	X(not_selected, "frames", "of flows that flow sampling leaves out")  \
	X(created, "flows", "records begun")                                 \
	X(ended_idle, "flows", "records ended by the idle timeout")          \
	X(ended_active, "flows", "records ended by the active timeout")      \
	X(ended_detected, "flows", "records ended by FIN, RST or a new SYN") \
	X(ended_forced, "flows", "records ended because metering stopped")   \
	X(ended_resources, "flows", "records evicted from a full table")     \
	X(fragments, "frames", "fragments seen")                             \
	X(fragments_waited, "frames", "came before their first fragment")    \
	X(fragments_orphaned, "frames",                                      \
	  "first fragment never came or was pushed out: metered without "    \
	  "ports")                                                           \
	X(fragments_evicted, "datagrams",                                    \
	  "fragment entries pushed out by newer ones")                       \
	X(segments_extra, "packets",                                         \
	  "packets counted beyond frames: segmentation offload")             \
	X(time_backwards, "frames", "stamped earlier than the one before")

struct flow_counters {
	FLOW_COUNTERS(COUNTER_FIELD)
};

extern const struct counter_row flow_counter_rows[];
extern const size_t flow_counter_count;

#define FLOW_COUNT_MIN       4096
#define FLOW_COUNT_MAX       (16u << 20)
#define FLOW_COUNT_PRESET    (1u << 18)
#define FLOW_IDLE_S_MIN      30
#define FLOW_IDLE_S_MAX      3600
#define FLOW_IDLE_S_PRESET   300
#define FLOW_ACTIVE_S_MIN    1
#define FLOW_ACTIVE_S_MAX    86400
#define FLOW_ACTIVE_S_PRESET 1800
/* Of one phase; presets hold if they are less than the idle timeout. */
#define FLOW_PHASE_S_MIN     1
#define FLOW_HALF_S_PRESET   120 /* opening, closing */
#define FLOW_CLOSED_S_PRESET 5

struct flow_options {
	uint32_t flow_count; /* live flows at most, FLOW_COUNT_MIN..MAX */
	/* More than flow_count: the table doubles, up to this, before it
	 * evicts; then records do not depend on the secret.  For files: it
	 * takes memory, and time, between packets.  0: fixed. */
	uint32_t flow_count_max;
	bool mark_duplicates; /* several interfaces feed this table */
	bool tcp_metrics;     /* records have tcp[]; takes more memory */
	bool portable;        /* use no vector instructions; same records */
	/* Pages that flows need are not touched when the table is made or
	 * grows but by flow_table_populate(), or by the flows. */
	bool populate_later;
	uint32_t statistics;  /* FLOW_STATISTICS_..., takes more memory */
	uint32_t first_count; /* packets of FLOW_STATISTICS_FIRST at most, 1 to
				 FLOW_FIRST_MAX; 0: FLOW_FIRST_PRESET */
	int64_t idle_ns;      /* idle timeout */
	int64_t active_ns;    /* active timeout */
	/* The same for one phase; 0: as above, but 'opening' and 'closing'
	 * at most 120 s, 'closed' 5 s, and none longer than an established
	 * connection.  A flow's active timeout is that of its protocol: of
	 * TCP's phases only FLOW_PHASE_TCP may have one. */
	int64_t phase_idle_ns[FLOW_PHASE_COUNT];
	int64_t phase_active_ns[FLOW_PHASE_COUNT];
	/* Which packets this table is given: records say so, no more. */
	struct sample_options sampled;
	/* Meters one flow in so many, whole, by a hash of its 5-tuple keyed
	 * with 'sample_seed': both directions, whatever interface, VLAN or
	 * tunnel, in any table with this seed.  Fragments follow their first
	 * one's ports; those whose first never comes are a flow without
	 * ports, by itself.  0, 1: every flow. */
	uint32_t sample_flows; /* SAMPLE_POPULATION_MAX at most */
	struct sample_seed sample_seed;
	uint64_t epoch;     /* copied into records */
	uint8_t secret[32]; /* keys the hash; random for each start */
	/* Called for every record that ends; 'record' is valid during the
	 * call, and 0 beyond flow_record_size().  May not call back into the
	 * table. */
	void (*emit)(void *context, const struct flow_record *record);
	void *context;
};

/* The longest that any flow may go without packets. */
int64_t flow_options_idle_ns(const struct flow_options *options);

/* Takes all memory of 'flow_count' flows now.  Returns 0, -EINVAL (an option
 * out of range; no emit) or -ENOMEM.  The caller owns *ret_table. */
int flow_table_create(const struct flow_options *options,
		      struct flow_table **ret_table);

/* Bytes of memory that a table of 'flow_count' flows takes, not counting
 * FLOW_TCP_SIZE a flow with tcp_metrics, flow_statistics_size() a flow and
 * FLOW_FRAGMENTS_SIZE with statistics, up to FLOW_MARK_SIZE a flow with
 * mark_duplicates and FLOW_TUNNEL_SIZE for each entry that ever held a flow
 * inside a tunnel. */
#define FLOW_TCP_SIZE       256
#define FLOW_MARK_SIZE      12
#define FLOW_TUNNEL_SIZE    40
#define FLOW_FRAGMENTS_SIZE (2u << 20) /* more where the table grows */
size_t flow_table_size(uint32_t flow_count);

/* Bytes a flow that the statistics of 'options' take in the table. */
size_t flow_statistics_size(const struct flow_options *options);

/* Touches pages, some milliseconds a call, that the next new flows will need;
 * false: there are none left.  For a table with 'populate_later'; from any one
 * thread, while another meters. */
bool flow_table_populate(struct flow_table *table);

/* Whether the table has grown since the last call, so that there are pages to
 * touch.  The thread that meters. */
bool flow_table_grown(struct flow_table *table);

/* Frees without emitting; NULL is fine. */
void flow_table_destroy(struct flow_table *table);

/* Counts 'count' packets, in order, and lets time pass up to the latest of
 * them.  Batches of 32 to 256 are fastest. */
void flow_table_meter(struct flow_table *table, const struct packet *packets,
		      size_t count);

/* Lets time pass to 'now' without packets; earlier than before: no effect. */
void flow_table_advance(struct flow_table *table, struct wall now);

/* Ends and emits every live flow, and counts fragments still waiting; the
 * table is then as new.  A flow whose own end had come (closed, or idle for
 * long enough) says that instead of 'reason'. */
void flow_table_flush(struct flow_table *table, enum flow_end reason);

/* The clock of the packets was set back: ends and emits every live flow as
 * flow_table_flush() with FLOW_END_FORCED does, and lets time begin anew with
 * the next packet.  Without it, what is earlier than the latest packet by
 * more than its idle timeout would be a flow a packet.  Takes time by the
 * flows there were since the last time, not by the table's size. */
void flow_table_rewind(struct flow_table *table);

/* The live flow that 'tuple' (either direction) belongs to; writes
 * *ret_record with end_reason NONE.  False: no such flow. */
bool flow_table_lookup(struct flow_table *table,
		       const struct packet_tuple *tuple,
		       struct flow_record *ret_record);

/* Live flows by slot, a slice a call, so that reading a million does not
 * stall metering.  Visits up to 'slot_count' slots from *cursor on (0 to
 * begin), calls visit for each live flow whose last packet is at or after
 * 'since', and moves *cursor.  False: the end was reached, *cursor is 0. */
bool flow_table_visit(struct flow_table *table, uint64_t *cursor,
		      uint32_t slot_count, struct wall since,
		      void (*visit)(void *context,
				    const struct flow_record *record),
		      void *context);

uint32_t flow_table_live(const struct flow_table *table);
struct flow_counters flow_table_counters(const struct flow_table *table);

#endif
