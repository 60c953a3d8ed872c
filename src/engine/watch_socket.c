/* Sockets: what is new in a record goes to processes and sums; connections
 * are told when they are complete.
 *
 * Records of one socket may come out of order: a reading comes before the
 * events of the time before it.  Numbers only grow, so what is new is what is
 * beyond the greatest so far. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "engine/watch_private.h"

struct same {
	const struct watch *watch;
	uint64_t id;
};

static bool socket_same(const void *context, uint32_t slot)
{
	const struct same *same = context;

	return same->watch->sockets[slot].last.id == same->id;
}

static uint32_t socket_lookup(const struct watch *watch, uint64_t id)
{
	struct same same = {watch, id};

	return watch_index_find(&watch->socket_index, random_mix(id),
				socket_same, &same);
}

const struct socket *watch_socket_find(const struct watch *watch, uint64_t id)
{
	uint32_t slot = socket_lookup(watch, id);

	return slot == SLOT_NONE ? NULL : &watch->sockets[slot];
}

int watch_sockets_init(struct watch *watch)
{
	uint32_t max = watch->options.kernel.socket_limit;
	int rc = watch_slots_init(&watch->socket_slots, max);

	watch->sockets = calloc(max, sizeof *watch->sockets);
	watch->ended_head = watch->socket_touched_head = SLOT_NONE;
	if (rc == 0)
		rc = watch_index_init(&watch->socket_index, max);
	return watch->sockets ? rc : -ENOMEM;
}

void watch_sockets_fini(struct watch *watch)
{
	watch_slots_fini(&watch->socket_slots);
	watch_index_fini(&watch->socket_index);
	free(watch->sockets);
}

static void socket_begin(const struct watch *watch, struct socket *socket,
			 const struct kernel_socket *record)
{
	*socket = (struct socket){.last = {.id = record->id},
				  .listed = socket->listed,
				  .next_touched = socket->next_touched,
				  .main = SLOT_NONE,
				  .turn = UINT32_MAX,
				  .rate_turn = UINT32_MAX,
				  .matches = watch_ports_match(watch, record),
				  .used = true};
	for (int i = 0; i < KERNEL_OWNERS_MAX; i++)
		socket->told.keys[i].start_ns = UINT64_MAX;
}

static struct socket *socket_add(struct watch *watch,
				 const struct kernel_socket *record)
{
	uint32_t slot = watch_slot_take(&watch->socket_slots);

	if (slot == SLOT_NONE) {
		watch->counters.sockets_refused++;
		return NULL;
	}
	socket_begin(watch, &watch->sockets[slot], record);
	watch_index_add(&watch->socket_index, random_mix(record->id), slot);
	watch->counters.sockets++;
	return &watch->sockets[slot];
}

static void socket_touch(struct watch *watch, struct socket *socket)
{
	if (socket->turn == watch->turn)
		return;
	socket->turn = watch->turn;
	socket->before_tx = socket->last.traffic.tx_bytes;
	socket->before_rx = socket->last.traffic.rx_bytes;
	if (socket->listed)
		return;
	socket->listed = true;
	socket->next_touched = watch->socket_touched_head;
	watch->socket_touched_head = (uint32_t)(socket - watch->sockets);
}

/* ------------------------------------------------------------------ sums */

static const struct kernel_traffic *
owner_row(const struct kernel_socket *record,
	  const struct kernel_process_key *key)
{
	static const struct kernel_traffic none;

	for (int i = 0; i < record->owner_count; i++) {
		if (key_same(&record->owners[i].key, key))
			return &record->owners[i].traffic;
	}
	return &none;
}

static void owner_count(struct watch *watch, const struct socket *socket,
			const struct kernel_socket *record,
			const struct kernel_owner *owner)
{
	struct kernel_traffic more = traffic_beyond(
		&owner->traffic, owner_row(&socket->last, &owner->key));
	uint32_t slot = watch_process_slot(watch, &owner->key, record->cgroup);
	struct process *process = &watch->processes[slot];

	watch->sums.owners_tx += more.tx_bytes;
	watch->sums.owners_rx += more.rx_bytes;
	watch_process_touch(watch, process);
	if (socket->matches)
		traffic_add(&process->matched[record->kind], &more);
	if (record->by_process)
		return;
	traffic_add(&process->records[record->kind], &more);
	watch->sums.records_tx += more.tx_bytes;
	watch->sums.records_rx += more.rx_bytes;
}

static void bytes_count(struct watch *watch, const struct socket *socket,
			const struct kernel_socket *record)
{
	struct ledger_sums *sums = &watch->sums;
	const struct kernel_socket *last = &socket->last;

	for (int i = 0; i < record->owner_count; i++)
		owner_count(watch, socket, record, &record->owners[i]);
	sums->sockets_tx +=
		beyond(record->traffic.tx_bytes, last->traffic.tx_bytes);
	sums->sockets_rx +=
		beyond(record->traffic.rx_bytes, last->traffic.rx_bytes);
	sums->owners_tx += beyond(record->other_tx_bytes, last->other_tx_bytes);
	sums->owners_rx += beyond(record->other_rx_bytes, last->other_rx_bytes);
}

/* The owner of that place, else the main process; SLOT_NONE: nobody. */
static uint32_t user_slot(struct watch *watch, const struct socket *socket,
			  const struct kernel_socket *record, int place)
{
	if (place < 0 || place >= record->owner_count)
		return socket->main;
	return watch_process_slot(watch, &record->owners[place].key,
				  record->cgroup);
}

static void trouble_count(struct watch *watch, const struct socket *socket,
			  const struct kernel_socket *record)
{
	const struct kernel_socket *last = &socket->last;
	uint32_t sender = user_slot(watch, socket, record, record->last_sender);
	uint32_t receiver =
		user_slot(watch, socket, record, record->last_receiver);

	if (!socket->matches)
		return;
	if (sender != SLOT_NONE) {
		struct watch_process *shown = &watch->processes[sender].shown;

		shown->retransmits +=
			beyond(record->retransmits, last->retransmits);
		shown->resets_sent +=
			beyond(record->resets_sent, last->resets_sent);
		shown->resets_received +=
			beyond(record->resets_received, last->resets_received);
	}
	if (receiver != SLOT_NONE)
		watch->processes[receiver].shown.rx_other_bytes +=
			beyond(record->rx_other_bytes, last->rx_other_bytes);
}

/* ------------------------------------------------------ the main process */

static bool key_known(const struct kernel_process_key *key)
{
	return key->pid > 0 || key->start_ns > 0;
}

/* Who made it; of an accepted one, whoever used it first: accept() is told by
 * no hook. */
static const struct kernel_process_key *
main_key(const struct kernel_socket *record)
{
	static const struct kernel_process_key kernel;

	if (record->opened != KERNEL_OPENED_PASSIVE &&
	    key_known(&record->creator))
		return &record->creator;
	if (record->owner_count > 0)
		return &record->owners[0].key;
	if (key_known(&record->creator))
		return &record->creator;
	if (key_known(&record->listener))
		return &record->listener;
	return record->kernel ? &kernel : NULL;
}

static void share_apply(struct watch_process *process,
			const struct share *share, int sign)
{
	uint64_t one = sign > 0 ? 1 : UINT64_MAX; /* modulo 2^64 */

	process->sockets += one * share->sockets;
	process->connections_active += one * share->active;
	process->connections_passive += one * share->passive;
	process->connections_failed += one * share->failed;
	process->established += one * share->established;
}

static void main_set(struct watch *watch, struct socket *socket, uint32_t slot)
{
	if (slot == socket->main)
		return;
	if (socket->main != SLOT_NONE) {
		share_apply(&watch->processes[socket->main].shown,
			    &socket->share, -1);
		watch->processes[socket->main].holders--;
	}
	socket->main = slot;
	if (slot == SLOT_NONE)
		return;
	watch_process_touch(watch, &watch->processes[slot]);
	watch->processes[slot].holders++;
	share_apply(&watch->processes[slot].shown, &socket->share, 1);
}

static bool connection_failed(enum kernel_close why)
{
	return why == KERNEL_CLOSE_REFUSED || why == KERNEL_CLOSE_NO_ANSWER ||
	       why == KERNEL_CLOSE_FAILED;
}

static void share_count(struct watch *watch, struct socket *socket,
			const struct kernel_socket *record)
{
	const struct kernel_process_key *key = main_key(record);
	struct share now = socket->share;
	uint32_t more = record->connections > socket->last.connections
				? record->connections - socket->last.connections
				: 0;

	if (key)
		main_set(watch, socket,
			 watch_process_slot(watch, key, record->cgroup));
	now.sockets = socket->matches;
	if (socket->matches && record->opened == KERNEL_OPENED_ACTIVE)
		now.active += more;
	if (socket->matches && record->opened == KERNEL_OPENED_PASSIVE)
		now.passive += more;
	now.established = socket->matches && record->kind == KERNEL_CLASS_TCP &&
			  record->event != KERNEL_SOCKET_END &&
			  record->state == TCP_ESTABLISHED;
	if (socket->main != SLOT_NONE) {
		struct watch_process *shown =
			&watch->processes[socket->main].shown;

		share_apply(shown, &socket->share, -1);
		share_apply(shown, &now, 1);
	}
	socket->share = now;
}

/* Each connection once, whichever record tells it first. */
static void failed_count(struct watch *watch, struct socket *socket,
			 const struct kernel_socket *record)
{
	if (!connection_failed(record->why) || !socket->matches ||
	    record->connections <= socket->failed)
		return;
	socket->failed = record->connections;
	socket->share.failed++;
	if (socket->main != SLOT_NONE)
		watch->processes[socket->main].shown.connections_failed++;
}

/* What it was counted for stays with the process. */
static void main_leave(struct watch *watch, struct socket *socket)
{
	if (socket->main == SLOT_NONE)
		return;
	watch->processes[socket->main].shown.established -=
		socket->share.established;
	watch->processes[socket->main].holders--;
}

/* --------------------------------------------------------------- telling */

static struct watch_process_name name_of(const struct watch *watch,
					 const struct kernel_process_key *key)
{
	return watch_process_named(watch, key);
}

static const struct watch_container *container_of_cgroup(struct watch *watch,
							 uint64_t cgroup)
{
	const struct owner_container *container =
		cgroup > 0 ? owner_container_of(watch->owners, cgroup) : NULL;
	uint32_t slot =
		container ? watch_container_slot(watch, container) : SLOT_NONE;

	return slot == SLOT_NONE ? NULL : &watch->containers[slot];
}

static void names_fill(struct watch *watch, const struct kernel_socket *record,
		       struct watch_socket *ret)
{
	for (int i = 0; i < record->owner_count; i++) {
		ret->owners[i] = name_of(watch, &record->owners[i].key);
		if (!ret->container)
			ret->container = ret->owners[i].container;
	}
	ret->creator = name_of(watch, &record->creator);
	ret->listener = name_of(watch, &record->listener);
	if (!ret->container)
		ret->container = ret->creator.container;
	if (!ret->container)
		ret->container = container_of_cgroup(watch, record->cgroup);
	if (record->reset_reason)
		ret->reset_name = watch->feed->reset_name(watch->object,
							  record->reset_reason);
}

/* The record's numbers beyond those that were told. */
static void socket_fill(struct watch *watch, const struct told *told,
			const struct kernel_socket *record,
			struct watch_socket *ret)
{
	*ret = (struct watch_socket){.kernel = record};
	ret->traffic = traffic_beyond(&record->traffic, &told->traffic);
	ret->rx_other_bytes = beyond(record->rx_other_bytes, told->rx_other);
	ret->other_tx_bytes = beyond(record->other_tx_bytes, told->other_tx);
	ret->other_rx_bytes = beyond(record->other_rx_bytes, told->other_rx);
	for (int i = 0; i < record->owner_count; i++) {
		struct kernel_traffic before = {0};

		for (int k = 0; k < KERNEL_OWNERS_MAX; k++) {
			if (key_same(&told->keys[k], &record->owners[i].key))
				before = told->owners[k];
		}
		ret->owner_traffic[i] =
			traffic_beyond(&record->owners[i].traffic, &before);
	}
	names_fill(watch, record, ret);
}

static void told_set(struct told *told, const struct kernel_socket *record)
{
	told->traffic = record->traffic;
	told->rx_other = record->rx_other_bytes;
	told->other_tx = record->other_tx_bytes;
	told->other_rx = record->other_rx_bytes;
	told->connection = record->connections;
	for (int i = 0; i < record->owner_count; i++) {
		told->keys[i] = record->owners[i].key;
		told->owners[i] = record->owners[i].traffic;
	}
}

static bool traffic_any(const struct kernel_traffic *traffic)
{
	return traffic->tx_messages + traffic->rx_messages + traffic->tx_bytes +
		       traffic->rx_bytes >
	       0;
}

static void socket_tell(struct watch *watch, struct socket *socket,
			const struct kernel_socket *record, bool ended)
{
	const struct watch_visitor *visitor = &watch->options.visitor;
	struct watch_socket line;

	socket_fill(watch, &socket->told, record, &line);
	if (record->connections > 0 &&
	    record->connections == socket->told.connection &&
	    !traffic_any(&line.traffic) && line.rx_other_bytes == 0)
		return;
	line.ended = ended;
	line.end_lost =
		!ended && watch->ended &&
		(record->traffic.tx_messages + record->traffic.rx_messages >
		 0) &&
		record->at.ns < watch->last_turn.ns;
	told_set(&socket->told, record);
	socket->closed = false;
	if (!watch_socket_wanted(watch, &line))
		return;
	watch->counters.sockets_told++;
	if (visitor->socket)
		visitor->socket(visitor->context, &line);
}

/* --------------------------------------------------------------- records */

static void ended_add(struct watch *watch, struct socket *socket)
{
	if (socket->ended)
		return;
	socket->ended = true;
	socket->next_ended = watch->ended_head;
	watch->ended_head = (uint32_t)(socket - watch->sockets);
}

/* The newest, but for what an end does not tell any more. */
static void last_set(struct socket *socket, const struct kernel_socket *record)
{
	struct kernel_tcp tcp = socket->last.tcp;
	/* The kernel forgets the numbers of what it throws away. */
	bool gone = !record->has_tcp ||
		    (record->event == KERNEL_SOCKET_END && socket->closed &&
		     record->why == KERNEL_CLOSE_ABORT);
	bool keep = gone && socket->last.has_tcp &&
		    record->connections == socket->last.connections;

	socket->last = *record;
	if (keep) {
		socket->last.tcp = tcp;
		socket->last.has_tcp = true;
	}
}

static void record_apply(struct watch *watch, struct socket *socket,
			 const struct kernel_socket *record)
{
	bool old = record->at.ns < socket->last.at.ns;
	bool over = record->event == KERNEL_SOCKET_CLOSED ||
		    record->event == KERNEL_SOCKET_END;

	if (!old && record->connections > socket->last.connections &&
	    socket->closed)
		socket_tell(watch, socket, &socket->last, true);
	socket->matches |= watch->options.filter.port_count > 0 &&
			   watch_ports_match(watch, record);
	bytes_count(watch, socket, record);
	if (!old)
		share_count(watch, socket, record);
	failed_count(watch, socket, record);
	trouble_count(watch, socket, record);
	if (over) {
		watch_ledger_connection(watch, record,
					record->connections > socket->checked);
		socket->checked = record->connections;
	}
	if (old && record->event == KERNEL_SOCKET_CLOSED &&
	    record->connections < socket->last.connections)
		socket_tell(watch, socket, record, true);
	else if (record->event == KERNEL_SOCKET_CLOSED)
		socket->closed = true;
	watch->counters.records_old += old;
	if (!old)
		last_set(socket, record);
}

void watch_socket_take(struct watch *watch, const struct kernel_socket *record)
{
	const struct watch_visitor *visitor = &watch->options.visitor;
	uint32_t slot = socket_lookup(watch, record->id);
	struct socket *socket = slot == SLOT_NONE ? socket_add(watch, record)
						  : &watch->sockets[slot];

	watch->counters.records++;
	if (visitor->event && (record->event == KERNEL_SOCKET_BORN ||
			       record->event == KERNEL_SOCKET_STATE))
		visitor->event(visitor->context, record);
	if (socket) {
		socket_touch(watch, socket);
		record_apply(watch, socket, record);
		if (record->event == KERNEL_SOCKET_END)
			ended_add(watch, socket);
	} else if (record->event == KERNEL_SOCKET_END) {
		/* Without room nothing of it was counted: all of it is new. */
		struct socket alone = {.listed = false};

		socket_begin(watch, &alone, record);
		record_apply(watch, &alone, record);
		socket_tell(watch, &alone, &alone.last, true);
		main_leave(watch, &alone);
	}
}

static void socket_free(struct watch *watch, uint32_t slot)
{
	struct socket *socket = &watch->sockets[slot];

	main_leave(watch, socket);
	watch_index_remove(&watch->socket_index, random_mix(socket->last.id),
			   slot);
	socket->used = false;
	watch_slot_give(&watch->socket_slots, slot);
	watch->counters.sockets--;
}

void watch_sockets_tell(struct watch *watch)
{
	uint32_t slot = watch->ended_head, next;

	for (; slot != SLOT_NONE; slot = next) {
		struct socket *socket = &watch->sockets[slot];

		next = socket->next_ended;
		socket_tell(watch, socket, &socket->last, true);
		socket_free(watch, slot);
	}
	watch->ended_head = SLOT_NONE;
}

void watch_sockets_tell_all(struct watch *watch)
{
	watch_sockets_tell(watch);
	for (uint32_t i = 0; i < watch->socket_slots.used; i++) {
		struct socket *socket = &watch->sockets[i];

		if (socket->used)
			socket_tell(watch, socket, &socket->last,
				    socket->closed);
	}
}

void watch_sockets_turn(struct watch *watch)
{
	const struct watch_visitor *visitor = &watch->options.visitor;
	double span_s = (double)watch->span_ns / (double)NS_PER_S;
	uint32_t slot = watch->socket_touched_head;

	for (; slot != SLOT_NONE; slot = watch->sockets[slot].next_touched) {
		struct socket *socket = &watch->sockets[slot];
		const struct kernel_traffic *traffic = &socket->last.traffic;
		struct watch_socket line;

		socket->listed = false;
		if (!socket->used)
			continue;
		if (span_s > 0) {
			socket->tx_bps = (double)(traffic->tx_bytes -
						  socket->before_tx) /
					 span_s;
			socket->rx_bps = (double)(traffic->rx_bytes -
						  socket->before_rx) /
					 span_s;
		}
		socket->rate_turn = watch->turn;
		if (!visitor->sample)
			continue;
		socket_fill(watch, &(struct told){0}, &socket->last, &line);
		if (watch_socket_wanted(watch, &line))
			visitor->sample(visitor->context, &line);
	}
	watch->socket_touched_head = SLOT_NONE;
}

size_t watch_socket_slots(const struct watch *watch)
{
	return watch->socket_slots.used;
}

bool watch_socket_at(struct watch *watch, size_t slot,
		     struct watch_socket *ret_socket)
{
	const struct socket *socket = &watch->sockets[slot];

	if (!socket->used)
		return false;
	socket_fill(watch, &(struct told){0}, &socket->last, ret_socket);
	ret_socket->ended = socket->ended;
	if (socket->rate_turn + 1 == watch->turn) {
		ret_socket->tx_bps = socket->tx_bps;
		ret_socket->rx_bps = socket->rx_bps;
	}
	return watch_socket_wanted(watch, ret_socket);
}
