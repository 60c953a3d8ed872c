/* What 'sonde watch' shows, as words: endpoints, states, findings, order. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "cli/watch_private.h"

const char *const watch_sort_words[WATCH_SORT_COUNT + 1] = {
	[WATCH_SORT_BYTES] = "bytes",
	[WATCH_SORT_TX] = "tx",
	[WATCH_SORT_RX] = "rx",
	[WATCH_SORT_RATE] = "rate",
	[WATCH_SORT_CONNECTIONS] = "connections",
	[WATCH_SORT_RETRANSMITS] = "retransmits",
	[WATCH_SORT_NAME] = "name",
};

const char *watch_state_word(uint8_t state)
{
	static const char *const words[] = {
		[TCP_ESTABLISHED] = "established",
		[TCP_SYN_SENT] = "syn_sent",
		[TCP_SYN_RECV] = "syn_received",
		[TCP_FIN_WAIT1] = "fin_wait_1",
		[TCP_FIN_WAIT2] = "fin_wait_2",
		[TCP_TIME_WAIT] = "time_wait",
		[TCP_CLOSE] = "close",
		[TCP_CLOSE_WAIT] = "close_wait",
		[TCP_LAST_ACK] = "last_ack",
		[TCP_LISTEN] = "listen",
		[TCP_CLOSING] = "closing",
		[12] = "new_syn_received", /* TCP_NEW_SYN_RECV */
	};

	return state < sizeof words / sizeof *words ? words[state] : NULL;
}

const char *watch_address(const struct kernel_socket *socket, bool peer,
			  char ret_text[static WATCH_ENDPOINT_SIZE])
{
	const uint8_t *address = peer ? socket->peer : socket->address;
	static const uint8_t none[16];
	bool ip4 = socket->family == AF_INET || socket->mapped;

	if (socket->family != AF_INET && socket->family != AF_INET6)
		return NULL;
	if (memcmp(address, none, ip4 ? 4 : 16) == 0)
		return NULL;
	return inet_ntop(ip4 ? AF_INET : AF_INET6, address, ret_text,
			 WATCH_ENDPOINT_SIZE);
}

char *watch_endpoint(const struct kernel_socket *socket, bool peer,
		     char ret_text[static WATCH_ENDPOINT_SIZE])
{
	char address[WATCH_ENDPOINT_SIZE];
	const char *text = watch_address(socket, peer, address);
	unsigned int port = peer ? socket->peer_port : socket->port;
	bool inet = socket->family == AF_INET || socket->family == AF_INET6;

	if (!inet || (!text && port == 0))
		(void)snprintf(ret_text, WATCH_ENDPOINT_SIZE, "%s",
			       inet && !peer ? "*" : "-");
	else
		(void)snprintf(ret_text, WATCH_ENDPOINT_SIZE,
			       text && strchr(text, ':') ? "[%.45s]:%u"
							 : "%.45s:%u",
			       text ? text : "*", port);
	return ret_text;
}

const char *watch_container_name(const struct watch_container *container)
{
	if (!container)
		return "";
	return container->owner.name[0] ? container->owner.name
					: container->owner.id;
}

/* ------------------------------------------------------------------ order */

static int more_first(double a, double b)
{
	return a > b ? -1 : a < b;
}

static double traffic_value(const struct kernel_traffic *traffic,
			    enum watch_sort sort)
{
	if (sort == WATCH_SORT_TX)
		return (double)traffic->tx_bytes;
	if (sort == WATCH_SORT_RX)
		return (double)traffic->rx_bytes;
	return (double)traffic->tx_bytes + (double)traffic->rx_bytes;
}

int watch_process_compare(const struct watch_process *a,
			  const struct watch_process *b, enum watch_sort sort)
{
	int order = 0;

	if (sort == WATCH_SORT_RATE)
		order = more_first(a->tx_bps + a->rx_bps,
				   b->tx_bps + b->rx_bps);
	else if (sort == WATCH_SORT_CONNECTIONS)
		order = more_first((double)(a->connections_active +
					    a->connections_passive),
				   (double)(b->connections_active +
					    b->connections_passive));
	else if (sort == WATCH_SORT_RETRANSMITS)
		order = more_first((double)a->retransmits,
				   (double)b->retransmits);
	else if (sort == WATCH_SORT_NAME)
		order = strncmp(a->comm, b->comm, sizeof a->comm);
	if (order == 0)
		order = more_first(traffic_value(&a->traffic, sort),
				   traffic_value(&b->traffic, sort));
	return order ? order : (int)(a->key.pid > b->key.pid) * 2 - 1;
}

int watch_container_compare(const struct watch_container *a,
			    const struct watch_container *b,
			    enum watch_sort sort)
{
	int order = 0;

	if (sort == WATCH_SORT_RATE)
		order = more_first(a->tx_bps + a->rx_bps,
				   b->tx_bps + b->rx_bps);
	else if (sort == WATCH_SORT_CONNECTIONS)
		order = more_first((double)(a->connections_active +
					    a->connections_passive),
				   (double)(b->connections_active +
					    b->connections_passive));
	else if (sort == WATCH_SORT_RETRANSMITS)
		order = more_first((double)a->retransmits,
				   (double)b->retransmits);
	else if (sort == WATCH_SORT_NAME)
		order = strcmp(watch_container_name(a),
			       watch_container_name(b));
	if (order == 0)
		order = more_first(traffic_value(&a->traffic, sort),
				   traffic_value(&b->traffic, sort));
	return order ? order : strcmp(a->owner.id, b->owner.id);
}

int watch_line_compare(const struct watch_line *a, const struct watch_line *b,
		       enum watch_sort sort)
{
	int order = 0;

	if (sort == WATCH_SORT_RATE)
		order = more_first(a->tx_bps + a->rx_bps,
				   b->tx_bps + b->rx_bps);
	else if (sort == WATCH_SORT_RETRANSMITS)
		order = more_first(a->kernel.retransmits,
				   b->kernel.retransmits);
	else if (sort == WATCH_SORT_NAME)
		order = strncmp(a->comm, b->comm, sizeof a->comm);
	if (order == 0)
		order = more_first(traffic_value(&a->traffic, sort),
				   traffic_value(&b->traffic, sort));
	return order ? order : (int)(a->kernel.id > b->kernel.id) * 2 - 1;
}

/* Whose connection it is: its user who moved most, else who made it. */
void watch_line_set(struct watch_line *line, const struct watch_socket *socket)
{
	const struct watch_process_name *name = &socket->creator;
	uint64_t best = 0;

	if (name->key.pid == 0 && socket->listener.key.pid > 0)
		name = &socket->listener;
	for (int i = 0; i < socket->kernel->owner_count; i++) {
		const struct kernel_traffic *traffic =
			&socket->owner_traffic[i];
		uint64_t bytes = traffic->tx_bytes + traffic->rx_bytes;

		if (bytes < best || (bytes == 0 && name->key.pid > 0))
			continue;
		best = bytes;
		name = &socket->owners[i];
	}
	*line = (struct watch_line){
		.kernel = *socket->kernel,
		.traffic = socket->traffic,
		.owner = name->key,
		.tx_bps = socket->tx_bps,
		.rx_bps = socket->rx_bps,
		.ended = socket->ended,
	};
	(void)snprintf(line->comm, sizeof line->comm, "%s",
		       name->comm ? name->comm : "");
	(void)snprintf(line->container, sizeof line->container, "%.39s",
		       watch_container_name(socket->container));
}

/* --------------------------------------------------------------- findings */

static size_t tell(watch_sentence *each, void *context, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static size_t tell(watch_sentence *each, void *context, const char *format, ...)
{
	char sentence[512];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	each(context, sentence);
	return 1;
}

/* A stand-in for what is there, or for what nobody asked for. */
bool watch_hook_spare(const struct kernel_hook *hook)
{
	static const char *const whys[] = {"not needed", "not asked for"};

	for (size_t i = 0; i < sizeof whys / sizeof *whys; i++) {
		if (hook->why &&
		    strncmp(hook->why, whys[i], strlen(whys[i])) == 0)
			return true;
	}
	return !hook->why || !*hook->why;
}

size_t watch_losses(const struct watch *watch, watch_sentence *each,
		    void *context)
{
	const struct kernel_hook *hooks;
	size_t count = watch_hooks(watch, &hooks), told = 0;

	for (size_t i = 0; i < count; i++) {
		if (!hooks[i].attached && !watch_hook_spare(&hooks[i]))
			told += tell(each, context, "%s is not had (%s): %s",
				     hooks[i].target, hooks[i].why,
				     hooks[i].lost);
	}
	return told;
}

struct counters {
	const struct counter_row *rows;
	size_t count;
	const uint64_t *values;
};

/* Counters that are no finding as long as they are 0. */
static size_t counters_tell(const struct counters *counters,
			    const char *const *names, watch_sentence *each,
			    void *context)
{
	size_t told = 0;

	for (size_t i = 0; i < counters->count; i++) {
		const struct counter_row *row = &counters->rows[i];

		for (const char *const *name = names; *name; name++) {
			if (counters->values[i] > 0 &&
			    strcmp(*name, row->name) == 0)
				told += tell(each, context,
					     "%s is %" PRIu64 ": %s %s",
					     row->name, counters->values[i],
					     row->unit, row->line);
		}
	}
	return told;
}

static size_t identities_tell(const struct watch *watch, watch_sentence *each,
			      void *context)
{
	struct watch_identity rows[WATCH_IDENTITIES_MAX];
	size_t count = watch_ledger(watch, rows), told = 0;

	for (size_t i = 0; i < count; i++) {
		if (!rows[i].holds)
			told += tell(each, context,
				     "the ledger's %s has a residue of %" PRId64
				     " %s",
				     rows[i].name,
				     (int64_t)(rows[i].left - rows[i].right),
				     rows[i].unit);
		if (rows[i].turns_failed)
			told += tell(each, context,
				     "the ledger's %s did not hold at %u "
				     "readings",
				     rows[i].name, rows[i].turns_failed);
	}
	return told;
}

size_t watch_findings(const struct watch_run *run, watch_sentence *each,
		      void *context)
{
	static const char *const kernel_names[] = {"unattributed_tx_bytes",
						   "unattributed_rx_bytes",
						   "process_refused",
						   "state_refused",
						   "end_refused",
						   "bucket_refused",
						   "sockets_refused",
						   "sockets_failed",
						   "processes_refused",
						   "processes_failed",
						   "drops_full",
						   "recursion_misses",
						   NULL};
	static const char *const watch_names[] = {"sockets_refused",
						  "processes_refused",
						  "containers_refused",
						  "buckets_refused",
						  "buckets_late",
						  "drops_refused",
						  "links_refused",
						  "turns_failed",
						  "intervals_missed",
						  "intervals_late",
						  "intervals_gap",
						  "intervals_clock_step",
						  NULL};
	struct kernel_sockets_counters kernel =
		watch_kernel_counters(run->watch);
	struct watch_counters watch = watch_counters(run->watch);
	const struct counters groups[] = {
		{kernel_sockets_counter_rows, kernel_sockets_counter_count,
		 (const uint64_t *)&kernel},
		{watch_counter_rows, watch_counter_count,
		 (const uint64_t *)&watch},
	};
	size_t told = 0;

	told += identities_tell(run->watch, each, context);
	told += counters_tell(&groups[0], kernel_names, each, context);
	told += counters_tell(&groups[1], watch_names, each, context);
	if (run->put.lines_lost)
		told += tell(each, context,
			     "%" PRIu64 " lines are left out: whoever reads "
			     "them did not keep up",
			     run->put.lines_lost);
	return told;
}
