/* The kernel's records as the public structs have them. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "kernel/sockets_private.h"

static_assert((int)RECORD_END == (int)KERNEL_SOCKET_END &&
		      (int)RECORD_CLOSED == (int)KERNEL_SOCKET_CLOSED &&
		      (int)RECORD_SAMPLE == (int)KERNEL_SOCKET_SAMPLE,
	      "records have the numbers of events");
static_assert((int)CLASS_OTHER == (int)KERNEL_CLASS_OTHER &&
		      SOCKETS_CLASSES == KERNEL_CLASS_COUNT &&
		      SOCKETS_SLOTS == KERNEL_OWNERS_MAX,
	      "classes and slots are the same");
static_assert(sizeof(struct sockets_tcp) == sizeof(struct kernel_tcp) &&
		      sizeof(struct sockets_buffers) ==
			      sizeof(struct kernel_buffers),
	      "one table, one struct");

static struct kernel_process_key key_of(uint64_t start, uint32_t pid)
{
	if (start == KERNEL_START)
		return (struct kernel_process_key){0, 0};
	return (struct kernel_process_key){start, pid};
}

static struct mono mono_of(uint64_t ns)
{
	return (struct mono){(int64_t)ns};
}

static struct kernel_traffic traffic_of(const struct sockets_slot *slot)
{
	return (struct kernel_traffic){slot->tx, slot->rx, slot->tx_messages,
				       slot->rx_messages};
}

static void traffic_add(struct kernel_traffic *sum,
			const struct kernel_traffic *more)
{
	sum->tx_bytes += more->tx_bytes;
	sum->rx_bytes += more->rx_bytes;
	sum->tx_messages += more->tx_messages;
	sum->rx_messages += more->rx_messages;
}

/* ---- owners
 * ------------------------------------------------------------------- */

static bool key_same(const struct kernel_process_key *one,
		     const struct kernel_process_key *other)
{
	return one->start_ns == other->start_ns && one->pid == other->pid;
}

/* Two threads that came first at once may have taken a slot each. */
static int owner_put(struct kernel_socket *socket,
		     const struct sockets_slot *slot)
{
	struct kernel_owner owner = {key_of(slot->start, slot->pid),
				     traffic_of(slot)};

	for (int i = 0; i < socket->owner_count; i++) {
		if (key_same(&socket->owners[i].key, &owner.key)) {
			traffic_add(&socket->owners[i].traffic, &owner.traffic);
			return i;
		}
	}
	socket->owners[socket->owner_count] = owner;
	return socket->owner_count++;
}

static void owners_fill(struct kernel_socket *socket,
			const struct sockets_sock *sock)
{
	socket->last_sender = socket->last_receiver = -1;
	socket->owner_count = 0;
	socket->other_tx_bytes = sock->other_tx;
	socket->other_rx_bytes = sock->other_rx;
	socket->traffic = (struct kernel_traffic){
		sock->other_tx, sock->other_rx, sock->other_tx_messages,
		sock->other_rx_messages};
	for (int i = 0; i < SOCKETS_SLOTS; i++) {
		const struct sockets_slot *slot = &sock->slots[i];
		struct kernel_traffic traffic = traffic_of(slot);
		int owner;

		if (slot->start == 0)
			continue;
		owner = owner_put(socket, slot);
		traffic_add(&socket->traffic, &traffic);
		if (sock->last_tx == i + 1)
			socket->last_sender = owner;
		if (sock->last_rx == i + 1)
			socket->last_receiver = owner;
	}
}

/* ---- TCP
 * ------------------------------------------------------------------------ */

static enum kernel_close connect_failed(int error)
{
	switch (error) {
	case 0:
		return KERNEL_CLOSE_GIVEN_UP;
	case ECONNREFUSED:
		return KERNEL_CLOSE_REFUSED;
	case ETIMEDOUT:
		return KERNEL_CLOSE_NO_ANSWER;
	default:
		return KERNEL_CLOSE_FAILED;
	}
}

static enum kernel_close close_why(const struct sockets_sock *sock)
{
	if (sock->closed == 0 || sock->close_state == 0)
		return KERNEL_CLOSE_NONE;
	if (sock->close_state == TCP_LISTEN)
		return KERNEL_CLOSE_LISTENER;
	if (sock->close_state == TCP_SYN_SENT)
		return connect_failed((int)sock->close_error);
	if (sock->resets_received > 0)
		return KERNEL_CLOSE_RESET;
	if (sock->close_error == ETIMEDOUT)
		return KERNEL_CLOSE_TIMEOUT;
	if (sock->close_error == ECONNRESET)
		return KERNEL_CLOSE_RESET;
	if (sock->resets_sent > 0 || sock->close_state == TCP_ESTABLISHED)
		return KERNEL_CLOSE_ABORT;
	return sock->close_error ? KERNEL_CLOSE_ERROR : KERNEL_CLOSE_FIN;
}

static uint64_t us_of(const struct kernel_sockets *sockets, uint64_t jiffies)
{
	return jiffies * 1000000 / (uint64_t)sockets->hz;
}

static void tcp_convert(const struct kernel_sockets *sockets,
			struct kernel_tcp *tcp,
			const struct sockets_record *record)
{
	memcpy(tcp, &record->tcp, sizeof *tcp);
	tcp->busy_us = us_of(sockets, tcp->busy_us);
	tcp->rwnd_limited_us = us_of(sockets, tcp->rwnd_limited_us);
	tcp->sndbuf_limited_us = us_of(sockets, tcp->sndbuf_limited_us);
	tcp->rto_us = (uint32_t)us_of(sockets, tcp->rto_us);
	if (tcp->min_rtt_us == UINT32_MAX)
		tcp->min_rtt_us = 0;
}

/* What no call took out of the socket: for sure before its end, exactly then.
 */
static uint64_t rx_other(const struct kernel_socket *socket,
			 const struct sockets_record *record)
{
	int64_t exact = (int64_t)(record->tcp.bytes_consumed -
				  (uint64_t)record->sock.base -
				  socket->traffic.rx_bytes);
	int64_t sure = (int64_t)record->sock.sure;
	bool over = socket->event == KERNEL_SOCKET_END;

	if (!record->has_tcp || record->tcp.ulp)
		return 0;
	return (uint64_t)(over && exact > sure ? exact : sure);
}

static void connection_fill(struct kernel_socket *socket,
			    const struct sockets_sock *sock)
{
	socket->old_state = sock->old_state;
	socket->opened = (enum kernel_opened)sock->opened;
	socket->why = close_why(sock);
	socket->error =
		(int)(sock->close_error ? sock->close_error : sock->error);
	socket->connections = sock->connections;
	socket->born = mono_of(sock->born);
	socket->connecting = mono_of(sock->connecting);
	socket->established = mono_of(sock->established);
	socket->closing = mono_of(sock->closing);
	socket->closed = mono_of(sock->closed);
	socket->resets_sent = sock->resets_sent;
	socket->resets_received = sock->resets_received;
	socket->reset_reason = sock->reset_reason;
	socket->errors = sock->errors;
	socket->retransmits = sock->retransmits;
	socket->creator = key_of(sock->creator_start, sock->creator_pid);
	socket->listener = key_of(sock->listener_start, sock->listener_pid);
}

/* ---- records
 * ---------------------------------------------------------------------- */

static bool is_mapped(const uint8_t *address)
{
	static const uint8_t prefix[12] = {[10] = 0xff, 0xff};

	return memcmp(address, prefix, sizeof prefix) == 0;
}

static void addresses_fill(struct kernel_socket *socket,
			   const struct sockets_record *record)
{
	memcpy(socket->address, record->address, 16);
	memcpy(socket->peer, record->peer, 16);
	socket->port = record->port;
	socket->peer_port = record->peer_port;
	socket->mapped = record->family == AF_INET6 && is_mapped(record->peer);
	if (!socket->mapped)
		return;
	memset(socket->address, 0, 16);
	memset(socket->peer, 0, 16);
	memcpy(socket->address, record->address + 12, 4);
	memcpy(socket->peer, record->peer + 12, 4);
}

static void record_convert(const struct kernel_sockets *sockets,
			   struct kernel_socket *socket,
			   const struct sockets_record *record)
{
	const struct sockets_sock *sock = &record->sock;

	*socket = (struct kernel_socket){
		.event = (enum kernel_socket_event)record->record,
		.id = sock->id,
		.at = mono_of(record->at),
		.kind = (enum kernel_class)sock->kind,
		.family = record->family,
		.protocol = record->protocol,
		.type = record->type,
		.kernel = (sock->flags & SOCK_KERNEL) != 0,
		.existing = (sock->flags & SOCK_EXISTING) != 0,
		.by_process = (sock->flags & SOCK_BY_PROCESS) != 0,
		.netns = record->netns,
		.netns_cookie = record->netns_cookie,
		.cgroup = record->cgroup,
		.uid = sock->uid,
		.state = (uint8_t)record->state,
		.has_tcp = record->has_tcp == 1,
	};
	addresses_fill(socket, record);
	connection_fill(socket, sock);
	owners_fill(socket, sock);
	memcpy(&socket->buffers, &record->buffers, sizeof socket->buffers);
	if (record->has_tcp == 1)
		tcp_convert(sockets, &socket->tcp, record);
	socket->rx_other_bytes = rx_other(socket, record);
}

/* What the interval under way had when the socket ended. */
static void end_buckets(struct kernel_sockets *sockets,
			const struct sockets_record *record)
{
	const struct sockets_sock *sock = &record->sock;

	for (int i = 0; i < SOCKETS_SLOTS; i++) {
		const struct sockets_slot *slot = &sock->slots[i];
		struct sockets_bucket bucket = {
			.socket = sock->id,
			.start = slot->start,
			.pid = slot->pid,
			.index = slot->index - 1,
			.kind = sock->kind,
			.tx = slot->tx - slot->mark_tx,
			.rx = slot->rx - slot->mark_rx,
			.tx_messages =
				slot->tx_messages - slot->mark_tx_messages,
			.rx_messages =
				slot->rx_messages - slot->mark_rx_messages,
		};

		if (slot->index == 0 ||
		    !(bucket.tx_messages | bucket.rx_messages))
			continue;
		sockets->bucket_ends++;
		sockets_give_bucket(sockets, &bucket);
	}
}

void sockets_give_record(struct kernel_sockets *sockets,
			 const struct sockets_record *record)
{
	const struct kernel_sockets_visitor *visitor = sockets->visitor;

	sockets->handed++;
	if (visitor->socket) {
		record_convert(sockets, &sockets->socket, record);
		visitor->socket(visitor->context, &sockets->socket);
	}
	if (record->record == RECORD_END &&
	    !(record->sock.flags & SOCK_BY_PROCESS))
		end_buckets(sockets, record);
}

void sockets_give_process(struct kernel_sockets *sockets,
			  const struct sockets_process *process)
{
	const struct kernel_sockets_visitor *visitor = sockets->visitor;
	struct kernel_process_bytes bytes = {
		.key = key_of(process->start, process->pid),
		.ended = process->ended != 0,
	};

	sockets->handed++;
	if (!visitor->bytes)
		return;
	for (int i = 0; i < SOCKETS_CLASSES; i++)
		bytes.traffic[i] = traffic_of(&process->slots[i]);
	visitor->bytes(visitor->context, &bytes);
}

void sockets_give_life(struct kernel_sockets *sockets,
		       const struct sockets_life *life, const char *path)
{
	const struct kernel_sockets_visitor *visitor = sockets->visitor;
	struct kernel_process process = {
		.event =
			(enum kernel_process_event)(life->record - RECORD_FORK),
		.key = {life->start, life->pid},
		.parent = {life->parent_start, life->parent_pid},
		.at = mono_of(life->at),
		.cgroup = life->cgroup,
		.uid = life->uid,
		.exit_code = life->exit_code,
	};

	sockets->handed++;
	if (!visitor->process)
		return;
	memcpy(process.comm, life->comm, sizeof process.comm);
	process.comm[sizeof process.comm - 1] = 0;
	strncpy(process.path, path, sizeof process.path - 1);
	visitor->process(visitor->context, &process);
}

void sockets_give_bucket(struct kernel_sockets *sockets,
			 const struct sockets_bucket *bucket)
{
	const struct kernel_sockets_visitor *visitor = sockets->visitor;
	struct kernel_bucket out = {
		.index = bucket->index,
		.kind = (enum kernel_class)bucket->kind,
		.key = key_of(bucket->start, bucket->pid),
		.socket = bucket->socket,
		.traffic = {bucket->tx, bucket->rx, bucket->tx_messages,
			    bucket->rx_messages},
	};

	sockets->handed++;
	if (visitor->bucket)
		visitor->bucket(visitor->context, &out);
}
