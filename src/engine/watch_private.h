/* What the files of the watch share.
 *
 * Processes, sockets and containers lie in arrays of fixed size, of which the
 * system gives memory as they fill; an index finds them by their keys.
 *
 * Threads: one at a time.
 */
#ifndef ENGINE_WATCH_PRIVATE_H
#define ENGINE_WATCH_PRIVATE_H

#include <signal.h>

#include "engine/watch.h"

#define SLOT_NONE UINT32_MAX

/* ---- an index: keys by their hash ---- */

struct watch_index {
	struct watch_index_entry {
		uint64_t hash;
		uint32_t slot; /* plus 1; 0: empty */
	} * entries;
	uint32_t mask;
};

typedef bool watch_same(const void *context, uint32_t slot);

int watch_index_init(struct watch_index *index, uint32_t count_max);
void watch_index_fini(struct watch_index *index);
/* The slot of that hash for which 'same' says yes, or SLOT_NONE. */
uint32_t watch_index_find(const struct watch_index *index, uint64_t hash,
			  watch_same *same, const void *context);
/* It is not in it, and there is room. */
void watch_index_add(struct watch_index *index, uint64_t hash, uint32_t slot);
void watch_index_remove(struct watch_index *index, uint64_t hash,
			uint32_t slot);

/* ---- slots of an array that are free ---- */

struct watch_slots {
	uint32_t *free; /* a stack */
	uint32_t free_count;
	uint32_t used; /* slots ever used */
	uint32_t max;
};

int watch_slots_init(struct watch_slots *slots, uint32_t max);
void watch_slots_fini(struct watch_slots *slots);
uint32_t watch_slot_take(struct watch_slots *slots);
void watch_slot_give(struct watch_slots *slots, uint32_t slot);

/* ---- processes ---- */

struct process {
	struct watch_process shown; /* made up when it is asked for */
	struct kernel_traffic records[KERNEL_CLASS_COUNT];
	struct kernel_traffic buckets[KERNEL_CLASS_COUNT];
	struct kernel_traffic matched[KERNEL_CLASS_COUNT]; /* filtered ports */
	/* The newest of what has no record of a socket. */
	struct kernel_traffic loose[KERNEL_CLASS_COUNT];
	uint64_t before_tx, before_rx; /* bytes, when this turn began */
	uint64_t cgroup;
	uint32_t container;    /* slot or SLOT_NONE */
	uint32_t holders;      /* sockets here whose main process it is */
	uint32_t turn;         /* of the last change */
	uint32_t rate_turn;    /* of the rates in 'shown' */
	uint32_t ended_turn;   /* its end was seen in */
	uint32_t next_touched; /* in the list of those that changed */
	uint32_t next_open;    /* in the list of those without a name */
	uint8_t tries;         /* to find its name */
	bool open;             /* is in the last list */
	bool used;
};

/* ---- sockets ---- */

/* What a socket adds to its main process. */
struct share {
	uint32_t sockets, active, passive, failed, established;
};

/* Of what was told of a socket already: where the next line begins. */
struct told {
	struct kernel_traffic traffic, owners[KERNEL_OWNERS_MAX];
	struct kernel_process_key keys[KERNEL_OWNERS_MAX];
	uint64_t rx_other, other_tx, other_rx;
	uint32_t connection; /* its number; 0: none */
};

struct socket {
	struct kernel_socket last;
	struct told told;
	struct share share; /* counted at 'main' */
	uint64_t before_tx, before_rx;
	uint32_t main;      /* process slot or SLOT_NONE */
	uint32_t turn;      /* of the last change */
	uint32_t rate_turn; /* of the rates */
	uint32_t next_touched;
	uint32_t next_ended;
	uint32_t checked; /* connection that the ledger has */
	uint32_t failed;  /* that was counted as failed */
	double tx_bps, rx_bps;
	bool closed; /* its connection is over and not told */
	bool ended;
	bool matches; /* the filtered ports */
	bool used;
	bool listed; /* in the list of those that changed; outlives the socket
		      */
};

/* ---- intervals ---- */

struct row {
	uint64_t socket;
	uint32_t index;
	uint32_t process; /* slot */
	enum kernel_class kind;
	bool hidden; /* by the filter of ports */
	struct kernel_traffic traffic;
};

struct missed {
	uint32_t index;
	uint64_t count, tx_bytes, rx_bytes;
};

#define MISSED_MAX 65536
#define MARKS_MAX  64

/* Intervals that something happened in, by their indexes. */
struct mark {
	uint32_t first, last;
	uint32_t flag;
};

struct intervals {
	struct row *rows;
	size_t row_count, row_max;
	size_t sorted; /* of the rows, those sorted and merged */
	struct missed *missed;
	size_t missed_count;
	struct mark marks[MARKS_MAX];
	size_t mark_count;
	struct watch_row *out; /* of one interval */
	struct watch_share *shares;
	struct kernel_traffic *share_sums; /* by container slot */
	uint32_t *share_slots;
	uint32_t next;             /* index of the next one to hand over */
	uint32_t planned;          /* 0: no end is known */
	uint64_t told_tx, told_rx; /* bytes in those handed over */
	uint64_t refused_tx, refused_rx; /* in rows without room */
};

/* ---- drops, links ---- */

#define DROPS_MAX 65536
#define LINKS_MAX 4096

struct links;

/* ---- sums for the ledger ---- */

struct ledger_sums {
	uint64_t records_tx, records_rx; /* all processes */
	uint64_t buckets_tx, buckets_rx; /* all buckets taken */
	uint64_t missed_tx, missed_rx;   /* as told by index */
	uint64_t sockets_tx, sockets_rx; /* newest records' totals */
	uint64_t owners_tx, owners_rx;   /* their owners' and others' */
	/* Of closed connections. */
	uint64_t sent, sent_right;
	uint64_t calls_tx, taken_tx;
	uint64_t given_rx, calls_rx;
};

/* What one side had at a reading, for the next one. */
struct ledger_turn {
	bool known;
	struct kernel_sockets_counters kernel;
	struct ledger_side {
		uint64_t left, right;
	} sides[WATCH_IDENTITIES_MAX];
	uint32_t index; /* interval under way when it ended */
};

struct watch {
	struct watch_options options;
	const struct watch_feed *feed;
	void *object;
	struct owner_table *owners;
	struct kernel_sockets_visitor visitor;
	volatile sig_atomic_t stopping;
	bool ended, done;

	struct mono start, end, due, deadline, last_turn, gathered;
	struct watch_clocks clocks_begin, clocks_end, clocks_last;
	uint32_t turn;   /* the period under way, up to the next reading */
	int64_t span_ns; /* between the last two readings */
	bool measuring, measured;

	struct process *processes;
	struct watch_slots process_slots;
	struct watch_index process_index;
	uint32_t others;           /* slot of those without room */
	uint32_t open_head;        /* list of processes without a name */
	uint32_t touched_head;     /* list of those that changed */
	uint64_t gone_tx, gone_rx; /* bytes of those that made room */

	struct socket *sockets;
	struct watch_slots socket_slots;
	struct watch_index socket_index;
	uint32_t ended_head; /* list of sockets to be told */
	uint32_t socket_touched_head;

	struct watch_container *containers;
	uint32_t container_count, container_max;
	struct watch_index container_index;

	struct kernel_drop *drops;
	uint32_t drop_count;
	struct watch_index drop_index;

	struct links *links;
	struct intervals intervals;
	struct ledger_sums sums;
	struct ledger_turn previous;
	uint32_t ledger_failed[WATCH_IDENTITIES_MAX];
	struct watch_counters counters;
};

/* watch_process.c */
int watch_processes_init(struct watch *watch);
void watch_processes_fini(struct watch *watch);
/* Its slot, made if it is not there; 'others' without room. */
uint32_t watch_process_slot(struct watch *watch,
			    const struct kernel_process_key *key,
			    uint64_t cgroup);
uint32_t watch_process_lookup(const struct watch *watch,
			      const struct kernel_process_key *key);
void watch_process_event(struct watch *watch,
			 const struct kernel_process *event);
void watch_process_loose(struct watch *watch,
			 const struct kernel_process_bytes *bytes);
/* Notes that it changes in this turn: before the change. */
void watch_process_touch(struct watch *watch, struct process *process);
/* Looks for names that are not known yet; 'counts': tries are. */
void watch_processes_name(struct watch *watch, bool counts);
/* After the owners' turn: names, containers; makes room. */
void watch_processes_turn(struct watch *watch);
void watch_process_fill(struct watch *watch, struct process *process);
struct watch_process_name
watch_process_named(const struct watch *watch,
		    const struct kernel_process_key *key);
/* Bytes of all processes, as well as they are known. */
void watch_processes_bytes(const struct watch *watch, uint64_t *ret_tx,
			   uint64_t *ret_rx);

/* watch_container.c */
int watch_containers_init(struct watch *watch);
void watch_containers_fini(struct watch *watch);
uint32_t watch_container_slot(struct watch *watch,
			      const struct owner_container *container);
void watch_container_retire(struct watch *watch,
			    const struct watch_process *process);

/* watch_socket.c */
int watch_sockets_init(struct watch *watch);
void watch_sockets_fini(struct watch *watch);
void watch_socket_take(struct watch *watch, const struct kernel_socket *record);
/* NULL: not known. */
const struct socket *watch_socket_find(const struct watch *watch, uint64_t id);
/* Tells those that ended; at the run's end all. */
void watch_sockets_tell(struct watch *watch);
void watch_sockets_tell_all(struct watch *watch);
/* After a reading: rates, samples. */
void watch_sockets_turn(struct watch *watch);
bool watch_ports_match(const struct watch *watch,
		       const struct kernel_socket *record);

/* watch_interval.c */
int watch_intervals_init(struct watch *watch);
void watch_intervals_fini(struct watch *watch);
void watch_bucket_take(struct watch *watch, const struct kernel_bucket *bucket);
void watch_missed_take(struct watch *watch, const struct kernel_missed *missed);
void watch_intervals_mark(struct watch *watch, struct mono from, struct mono to,
			  uint32_t flag);
/* Hands over those below 'complete'; 'now': when reading them began. */
void watch_intervals_tell(struct watch *watch, uint32_t complete,
			  struct mono now);
/* All that are left; watch->end is known. */
void watch_intervals_end(struct watch *watch, struct mono now);
uint32_t watch_intervals_count(const struct watch *watch);

/* watch_ledger.c */
/* After a reading in which all intervals below 'complete' came. */
void watch_ledger_turn(struct watch *watch, uint32_t complete);
void watch_ledger_connection(struct watch *watch,
			     const struct kernel_socket *record, bool first);

/* watch_drop.c */
int watch_drops_init(struct watch *watch);
void watch_drops_fini(struct watch *watch);
void watch_drop_take(struct watch *watch, const struct kernel_drop *drop);

/* watch_links.c */
int watch_links_init(struct watch *watch);
void watch_links_fini(struct watch *watch);
/* Reads them; 'last': as they are at the end. */
void watch_links_turn(struct watch *watch, bool last);

/* watch_filter.c */
bool watch_process_wanted(const struct watch *watch,
			  const struct watch_process *process);
bool watch_socket_wanted(struct watch *watch,
			 const struct watch_socket *socket);

/* watch_feed.c */
extern const struct watch_feed watch_feed_kernel;

static inline void traffic_add(struct kernel_traffic *sum,
			       const struct kernel_traffic *more)
{
	sum->tx_bytes += more->tx_bytes;
	sum->rx_bytes += more->rx_bytes;
	sum->tx_messages += more->tx_messages;
	sum->rx_messages += more->rx_messages;
}

/* What 'now' has beyond 'before'; nothing where it has less. */
static inline uint64_t beyond(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static inline struct kernel_traffic
traffic_beyond(const struct kernel_traffic *now,
	       const struct kernel_traffic *before)
{
	return (struct kernel_traffic){
		beyond(now->tx_bytes, before->tx_bytes),
		beyond(now->rx_bytes, before->rx_bytes),
		beyond(now->tx_messages, before->tx_messages),
		beyond(now->rx_messages, before->rx_messages)};
}

static inline uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Both are least values of the same: the better of them. */
static inline struct kernel_traffic traffic_most(const struct kernel_traffic *a,
						 const struct kernel_traffic *b)
{
	return (struct kernel_traffic){most(a->tx_bytes, b->tx_bytes),
				       most(a->rx_bytes, b->rx_bytes),
				       most(a->tx_messages, b->tx_messages),
				       most(a->rx_messages, b->rx_messages)};
}

static inline bool key_same(const struct kernel_process_key *a,
			    const struct kernel_process_key *b)
{
	return a->pid == b->pid && a->start_ns == b->start_ns;
}

#endif
