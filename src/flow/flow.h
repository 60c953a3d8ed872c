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
 * Threads: one table, one thread; several tables side by side.
 */
#ifndef FLOW_H
#define FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/field.h"
#include "base/stamp.h"
#include "packet/packet.h"

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

/* Which of them have a value: bits of flow_record.tcp_present. */
#define FLOW_TCP_METRICS       0x01u /* every counter */
#define FLOW_TCP_SERVER        0x02u /* handshake_server_ns */
#define FLOW_TCP_CLIENT        0x04u /* handshake_client_ns */
#define FLOW_TCP_WINDOW(index) (0x10u << (index))
#define FLOW_TCP_MSS(index)    (0x40u << (index))
#define FLOW_TCP_SCALE(index)  (0x100u << (index))
#define FLOW_TCP_SACK(index)   (0x400u << (index))

/* One flow, or one interval of it (active timeout).  Index 0 is forward:
 * sent by the initiator.  Its rows below name every field. */
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
	uint32_t tcp_present; /* FLOW_TCP_...; 0: nothing below is known */
	uint8_t tcp_pad[4];
	int64_t handshake_server_ns; /* SYN to SYN-ACK, as seen here */
	int64_t handshake_client_ns; /* SYN-ACK to ACK */
	struct flow_tcp tcp[2];
	/* Filled by whoever hands the record out (see flow_record_finish). */
	char interface[FLOW_INTERFACE_NAME_SIZE];
	char community_id[32];
};

/* Every field of a record: JSON key, CSV head, SQLite column. */
extern const struct field_table flow_fields;

/* The same less those of TCP, which a table without tcp_metrics leaves
 * null. */
extern const struct field_table flow_fields_plain;

/* Sets interface (may be NULL: "") and the Community ID, which cost too much
 * to compute before a record leaves. */
void flow_record_finish(struct flow_record *record, const char *interface);

/* 64-bit FNV-1a over the canonical 5-tuple: the numerically lower endpoint
 * (address, then port) first; bytes in this order: address (4 or 16),
 * address, port, port (2 each, big-endian), protocol (1).  VLAN, network and
 * interface are left out: the id is the same wherever the flow is seen. */
uint64_t flow_id_of(const struct packet_tuple *tuple);

/* Community ID version 1 ("1:" and base64 of SHA-1). */
void flow_community_id(const struct packet_tuple *tuple, uint16_t seed,
		       char ret_text[static 32]);

/* X(name, unit, line).  created = live + every ended_...; metered = every
 * packet given to flow_table_meter() less every refused_... and, until they
 * are flushed at the latest, the fragments that wait for their first. */
#define FLOW_COUNTERS(X)                                                     \
	X(metered, "frames", "counted in a flow")                            \
	X(refused_full, "frames",                                            \
	  "no flow could be made: the table was full of busier ones")        \
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

struct flow_options {
	uint32_t flow_count;  /* live flows at most, FLOW_COUNT_MIN..MAX */
	bool mark_duplicates; /* several interfaces feed this table */
	bool tcp_metrics;     /* records have tcp[]; takes more memory */
	int64_t idle_ns;      /* idle timeout */
	int64_t active_ns;    /* active timeout */
	int64_t closed_ns;    /* a closed flow leaves after; 0: 5 s */
	uint64_t epoch;       /* copied into records */
	uint8_t secret[32];   /* keys the hash; random for each start */
	/* Called for every record that ends; 'record' is valid during the
	 * call.  May not call back into the table. */
	void (*emit)(void *context, const struct flow_record *record);
	void *context;
};

/* Takes all memory now.  Returns 0, -EINVAL (an option out of range; no
 * emit) or -ENOMEM.  The caller owns *ret_table. */
int flow_table_create(const struct flow_options *options,
		      struct flow_table **ret_table);

/* Bytes of memory that a table of 'flow_count' flows takes, not counting
 * 256 a flow with tcp_metrics, 8 to 12 a flow with mark_duplicates and 40 for
 * each entry that ever held a flow inside a tunnel. */
size_t flow_table_size(uint32_t flow_count);

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
 * more than the idle timeout would be a flow a packet.  Takes time by the
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
