/* What a flow table is made of.  Included by the files of this room only.
 *
 * A flow is one index into parallel arrays, so that a packet touches what it
 * needs and nothing else:
 *
 *     buckets  tags and indices, one cache line      find (table.c)
 *     hot      key and sums, two cache lines         every packet (meter.c)
 *     cold     times, links, what changes seldom     begin, sweep, end
 *     outer    outer addresses                       flows inside a tunnel
 *     tcp, tcp_rare  if wanted: see tcp_private.h    TCP segments
 *     statistics     if wanted: see statistics_private.h
 *
 * Sums are kept by the key's side (0: the lower endpoint sent it) and turned
 * round when a record leaves: correcting the initiator flips one bit.
 *
 * An entry outlives its record: after the active timeout it is dormant, with
 * no record, until a packet begins the next one.
 */
#ifndef FLOW_PRIVATE_H
#define FLOW_PRIVATE_H

#include <stdatomic.h>

#include "flow/flow.h"

#define FLOW_NONE UINT32_MAX

#define BUCKET_WAYS 10
/* Buckets are made so that a full table fills 3 of 4 ways. */
#define BUCKET_FILL_NUM 2
#define BUCKET_FILL_DEN 15

struct flow_bucket {
	uint16_t tags[BUCKET_WAYS]; /* 0: free */
	uint32_t entries[BUCKET_WAYS];
	uint32_t passed; /* entries further on that found this one full */
} __attribute__((aligned(64)));

static_assert(sizeof(struct flow_bucket) == 64, "a bucket is a cache line");

/* In the order of the fields in struct packet.  The TOS is here because each
 * flow's first answer sets it: in 'cold' that would miss the cache. */
struct flow_sums {
	uint64_t frame_bytes;
	uint64_t bytes;
	uint64_t payload_bytes;
	uint64_t packets : 56;
	uint64_t tos : 8; /* of the record's first packet from the side */
};

static_assert(sizeof(struct flow_sums) == 32, "two sides are a cache line");

#define HOT_INITIATOR 0x01 /* the initiator's side of the key */
#define HOT_DUE       0x02 /* the active timeout is near: compare exactly */
#define HOT_DORMANT   0x04 /* no record is open */
#define HOT_OPENING   0x08 /* FLOW_PHASE_OPENING: an ACK changes it */
#define HOT_FIRST     0x10 /* the side of the record's first packet */
#define HOT_WATCH     (HOT_DUE | HOT_DORMANT | HOT_OPENING)

struct flow_hot {
	struct packet_tuple key; /* ip_version 0: a free entry */
	int64_t last_ns;
	uint8_t tcp_flags[2];
	uint8_t ttl_min[2];
	uint8_t ttl_max[2];
	uint8_t phase; /* enum flow_phase */
	uint8_t bits;  /* HOT_... */

	struct flow_sums sums[2];
} __attribute__((aligned(128)));

static_assert(sizeof(struct flow_hot) == 128, "two cache lines");
static_assert(offsetof(struct flow_hot, sums) == 64, "the sums are one");

#define COLD_FIN(side) (0x01 << (side))
#define COLD_ISN(side) (0x04 << (side)) /* isn[side] is known */
#define COLD_DUPLICATE 0x10
#define COLD_MARKED    0x20 /* it counts: in 'marks' */
/* Packets of that side were in an earlier record of the entry. */
#define COLD_SAW(side) (0x40 << (side))

#define SLOT_NONE UINT16_MAX

struct flow_cold {
	int64_t start_ns;
	uint64_t seq;
	uint32_t next; /* in the wheel's slot, or in the free list */
	uint32_t previous;
	uint32_t fragments[2];
	uint32_t isn[2]; /* sequence number of the SYN */
	uint16_t slot;   /* of the wheel, SLOT_NONE: in none */
	uint8_t tunnel;
	uint8_t initiator; /* enum flow_initiator */
	uint8_t bits;      /* COLD_... */
	uint8_t pad[3];
};

static_assert(sizeof(struct flow_cold) == 48, "within 192 bytes a flow");

struct flow_outer {
	uint8_t address[2][16]; /* by the key's side */
	uint8_t ip_version;
	uint8_t pad[7];
};

/* The wheel: one turn is longer than the longest idle timeout. */
#define WHEEL_SLOTS 4096

struct wheel_slot {
	uint32_t first;
	uint32_t last;
};

struct wheel {
	struct wheel_slot slots[WHEEL_SLOTS];
	uint64_t filled[WHEEL_SLOTS / 64]; /* a bit for each slot in use */
	int64_t tick;   /* every slot up to this one is swept */
	uint64_t swept; /* entries taken from a slot whose time had come */
	uint64_t steps; /* words of 'filled' and slots looked at */
	int shift;      /* a tick is 2^shift ns */
};

struct fragment_table;
struct fragment_pool;

#define STATISTICS_PREFETCH_MAX 8

/* The statistics' array, and where the chosen parts lie in a flow's slice. */
struct statistics {
	uint8_t *bytes; /* NULL: none */
	uint32_t stride;
	uint32_t bits;    /* FLOW_STATISTICS_... */
	uint32_t side_at; /* times of a side */
	uint32_t side_stride;
	uint32_t both_at; /* times of both */
	uint32_t length_at;
	uint32_t length_stride;
	uint32_t payload_at;
	uint32_t payload_stride;
	uint32_t carry_at;
	uint32_t histogram_at;
	uint32_t first_at;
	uint32_t first_count; /* 0: not wanted */
	uint32_t prefetch_count;
	uint32_t prefetch[2][STATISTICS_PREFETCH_MAX]; /* by side */
};

struct tcp_hot;
struct tcp_rare;

/* Entries are used in a row: how far each side has come, see populate.c. */
struct populating {
	bool later;                 /* flow_options.populate_later */
	bool grown;                 /* see flow_table_grown() */
	uint32_t done;              /* entries whose pages were touched */
	_Atomic uint32_t committed; /* entries with memory */
	_Atomic uint32_t reached;   /* entries in use, by and by */
};

#define REACHED_STEP 4096 /* entries; a power of two */

struct flow_table {
	struct flow_bucket *buckets;
	struct flow_hot *hot;
	struct flow_cold *cold;
	struct tcp_hot *tcp; /* NULL: without the TCP metrics */
	struct tcp_rare *tcp_rare;
	struct statistics statistics;
	uint32_t bucket_count;
	uint32_t flow_count;
	uint32_t flow_count_max; /* it may grow up to this */
	uint32_t used;           /* entries in the buckets, dormant ones too */
	uint32_t fresh;          /* entries from here on were never used */
	uint32_t free;           /* list through 'next' */
	uint32_t live;           /* open records */
	uint32_t waiting;        /* datagrams without their first fragment */

	int64_t now_ns;                     /* latest stamp so far */
	int64_t previous_ns;                /* the stamp before */
	int64_t event_ns;                   /* nothing falls due before */
	int64_t limit_ns[FLOW_PHASE_COUNT]; /* idle timeouts */
	int64_t active_ns[FLOW_PHASE_COUNT];
	uint64_t seq;  /* of the next record */
	bool portable; /* compare tags without SIMD */
	struct populating populating;

	struct flow_counters counters;
	struct flow_outer *outer;
	struct wheel *wheel;
	struct fragment_table *fragments;
	struct fragment_pool *pool; /* NULL: without statistics */
	uint32_t *marks;            /* NULL: duplicates are not marked */
	uint32_t *mark_next;        /* by entry */
	uint32_t mark_mask;
	bool marking;      /* flows of several places: see duplicate.c */
	uint8_t place[10]; /* of every flow until then: the key's end */
	uint64_t epoch;
	void (*emit)(void *context, const struct flow_record *record);
	void *context;
	void *memory;
	size_t memory_size;
	size_t outer_size;
	uint8_t secret[192];
	uint64_t sample_threshold; /* a hash below is taken; 0: every flow */
	uint8_t sample_secret[192];
	struct flow_sampling sampling; /* of every record */
	size_t record_size;
	struct flow_record record; /* being made; 0 beyond record_size */
};

/* A tuple in canonical order, and where it belongs. */
struct flow_key {
	struct packet_tuple tuple;
	uint32_t home; /* bucket */
	uint16_t tag;
	uint8_t side; /* of the sender */
};

/* ---- table.c */

/* 'one_way': keep the direction (see PACKET_ICMP_ONE_WAY). */
void flow_key_make(const struct flow_table *table,
		   const struct packet_tuple *tuple, bool one_way,
		   struct flow_key *ret_key);

/* The entry of 'key' or FLOW_NONE. */
uint32_t table_find(const struct flow_table *table, const struct flow_key *key);

/* Takes a free entry (there must be one), puts it under 'key', which must
 * not be there, and zeroes it. */
uint32_t table_insert(struct flow_table *table, const struct flow_key *key);

/* Puts the entry under 'key' in the buckets; there must be a free way. */
void table_link(struct flow_table *table, const struct flow_key *key,
		uint32_t index);

/* Gives the entry back. */
void table_remove(struct flow_table *table, uint32_t index);
/* It will be removed: its bucket is on its way to the cache. */
void table_remove_expect(const struct flow_table *table, uint32_t index);

/* The longest idle entry near 'key's bucket; there must be one. */
uint32_t table_victim(const struct flow_table *table,
		      const struct flow_key *key);

/* Forgets every entry; their keys say already that they are free. */
void table_clear(struct flow_table *table);

/* ---- flow.c: what happens to a flow */

/* The entry that a packet counts in: continued, begun or begun anew.
 * FLOW_NONE: refused, and counted. */
uint32_t flow_enter(struct flow_table *table, const struct flow_key *key,
		    const struct packet *packet);

/* Ends the entry for good: emits its record, if one is open. */
void flow_end(struct flow_table *table, uint32_t index, enum flow_end reason);

/* Metering stops: emits the open record and leaves the entry.  A connection
 * that has closed has ended by itself. */
void flow_finish(struct flow_table *table, uint32_t index,
		 enum flow_end reason);

/* Ends what has fallen due by now.  True: the entry is gone. */
bool flow_settle(struct flow_table *table, uint32_t index);

/* A packet older than the flow's last one: the start may move back. */
void flow_backdate(struct flow_table *table, uint32_t index, int64_t at_ns);

/* ---- meter.c */

/* Counts a packet in the entry. */
void flow_count(struct flow_table *table, uint32_t index, unsigned side,
		const struct packet *packet);

/* ---- grow.c: a table that doubles before it evicts */

uint32_t bucket_count_of(uint32_t flow_count);
uint32_t mark_count_of(uint32_t flow_count); /* a power of two */

/* Address space without memory, 'size' a multiple of 2 MiB; NULL: none. */
void *memory_reserve(size_t size);

enum pages {
	PAGES_SMALL, /* each as it is touched */
	PAGES_HUGE,  /* huge ones, as they are touched */
	PAGES_NOW,   /* huge ones, touched */
};

/* Memory for the first 'to' bytes of a reserved array of which the first
 * 'from' have it already, zeroed.  Takes up to the next multiple of 2 MiB.
 * Returns 0 or -ENOMEM. */
int memory_commit(void *array, size_t from, size_t to, enum pages pages);

/* Takes memory for 'flow_count' entries in every array (the first 'from'
 * have it).  Returns 0 or -ENOMEM. */
int table_commit(struct flow_table *table, uint32_t from, uint32_t flow_count);

/* Doubles the table.  Keys made before are void afterwards; entries stay. */
void table_grow(struct flow_table *table);

/* ---- populate.c */

/* Touches the pages now rather than at a packet; what they hold stays.
 * Returns 0 or -ENOMEM. */
int memory_populate(uint8_t *bytes, size_t size);

/* What may begin until the next call of table_room_make(), at least: flows
 * of a batch, and what the fragments that wait turn into. */
#define ROOM_FLOWS 64

/* Before a batch: while the table may grow, nothing in it is evicted. */
static inline void table_room_make(struct flow_table *table)
{
	if (table->flow_count < table->flow_count_max &&
	    table->flow_count - table->used < ROOM_FLOWS + table->waiting)
		table_grow(table);
}

/* ---- expiry.c */

void wheel_init(struct flow_table *table);
/* Empties every slot; time stays. */
void wheel_clear(struct flow_table *table);
/* Puts the entry where it falls due next; it must not be in the wheel. */
void wheel_put(struct flow_table *table, uint32_t index);
void wheel_take(struct flow_table *table, uint32_t index);
/* Time has come to table->now_ns, at or after table->event_ns. */
void flow_time_pass(struct flow_table *table);
/* Sets event_ns anew. */
void flow_event_update(struct flow_table *table);

/* Stamps are kept in a range where sums and differences with timeouts cannot
 * overflow: 1970 to 2262, less four days. */
static inline int64_t stamp_clamp_ns(int64_t ns)
{
	const int64_t max_ns = INT64_MAX - (INT64_C(1) << 48);

	if (ns < 0)
		return 0;
	return ns > max_ns ? max_ns : ns;
}

/* Time comes to the packet. */
static inline void time_take(struct flow_table *table,
			     const struct packet *packet)
{
	int64_t at_ns = stamp_clamp_ns(packet->at.ns);

	if (at_ns < table->previous_ns)
		table->counters.time_backwards++;
	table->previous_ns = at_ns;
	if (at_ns <= table->now_ns)
		return;
	table->now_ns = at_ns;
	if (at_ns >= table->event_ns)
		flow_time_pass(table);
}

/* What remains of the flow's idle and active timeouts decides by these. */
static inline int64_t flow_idle_at_ns(const struct flow_table *table,
				      uint32_t index)
{
	const struct flow_hot *hot = &table->hot[index];

	return hot->last_ns + table->limit_ns[hot->phase];
}

static inline int64_t flow_active_at_ns(const struct flow_table *table,
					uint32_t index)
{
	return table->cold[index].start_ns +
	       table->active_ns[table->hot[index].phase];
}

/* ---- tcp.c */

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define TCP_SIGNALS (TCP_FIN | TCP_SYN | TCP_RST)

/* Whether this packet is the SYN of another connection than the entry's. */
bool tcp_begins_anew(const struct flow_table *table, uint32_t index,
		     const struct packet *packet, unsigned side);

/* The phase that a flow begins in with this packet. */
enum flow_phase flow_phase_first(const struct packet *packet);

/* Takes in SYN, FIN and RST, and the ACK that ends the handshake. */
void tcp_update(struct flow_table *table, uint32_t index,
		const struct packet *packet, unsigned side);

/* ---- initiator.c */

struct initiator {
	enum flow_initiator how;
	bool receiver; /* the packet's receiver, not its sender */
};

struct initiator initiator_tell(const struct packet *packet);

/* Whether an ICMP or ICMPv6 tuple is of a request or its reply;
 * *ret_request: of the request. */
bool icmp_two_way(const struct packet_tuple *tuple, bool *ret_request);

/* ---- fragment.c, fragment_pool.c */

#define DATAGRAMS     4096 /* powers of two */
#define DATAGRAMS_MAX (1u << 20)
/* Those that wait, one by one for the statistics: in a datagram of 64 KiB
 * there are 45 of 1,500 bytes, of which seldom more than a few wait. */
#define FRAGMENTS     65536
#define FRAGMENTS_MAX (16u << 20)

/* Where the datagrams, and their hash, lie in the table's memory. */
size_t fragment_table_size(void);
size_t fragment_datagrams_size(uint32_t count);
size_t fragment_heads_size(uint32_t count);

/* Room for DATAGRAMS, and up to 'count_max' if the arrays are reserved. */
void fragment_table_init(struct flow_table *table, void *datagrams,
			 uint32_t *heads, uint32_t count_max);

/* What statistics need of fragments that wait: room for FRAGMENTS, and up to
 * 'count_max' if the array is reserved; of more the oldest datagrams go. */
size_t fragment_pool_head_size(void);
size_t fragment_pool_size(uint32_t count);
void fragment_pool_init(struct fragment_pool *pool, void *fragments,
			uint32_t count_max);

/* Meters a packet that is a fragment, now or when its first one is here. */
void fragment_meter(struct flow_table *table, const struct packet *packet);

/* When the oldest datagram is to be given up; INT64_MAX: none is kept. */
int64_t fragment_due_ns(const struct fragment_table *fragments);

/* Gives up what is older than 'by_ns' allows; INT64_MAX: everything. */
void fragment_pass(struct flow_table *table, int64_t by_ns);

/* ---- sample.c */

/* From valid options. */
void flow_sampling_init(struct flow_table *table,
			const struct flow_options *options);

/* Whether flow sampling takes the flow of 'tuple', whose ports are known. */
bool flow_sampling_takes(const struct flow_table *table,
			 const struct packet_tuple *tuple);

/* Gives packets of flows that are taken, and fragments, to 'meter'; lets time
 * pass with the others. */
void flow_sampling_meter(struct flow_table *table, const struct packet *packets,
			 size_t count,
			 void (*meter)(struct flow_table *table,
				       const struct packet *packets,
				       size_t count));

/* ---- duplicate.c */

/* A flow has begun with a packet of 'key': it is a duplicate if that side of
 * its 5-tuple was seen in another flow, else one that counts. */
void duplicate_enter(struct flow_table *table, uint32_t index,
		     const struct flow_key *key);
/* Puts the entry, which counts, where its 5-tuple is looked for. */
void duplicate_link(struct flow_table *table, uint32_t index);
void duplicate_leave(struct flow_table *table, uint32_t index);
/* The table is empty: nothing is marked until a flow comes from elsewhere. */
void duplicate_clear(struct flow_table *table);
/* Empties 'marks', which are not to be looked at before. */
void marks_clear(struct flow_table *table);

/* ---- record.c */

/* Makes the entry's record in table->record. */
const struct flow_record *record_make(struct flow_table *table, uint32_t index,
				      enum flow_end reason);

#endif
