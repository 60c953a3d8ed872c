/* The public C API's flows: metering, lookup, get_all, statistics. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/session_private.h"

#define HISTORY_PRESET 65536
#define COLLECT_MS     100

/* On the collector's thread, from engine_collect(). */
static void history_push(struct history *history, size_t size,
			 const struct flow_record *record)
{
	uint32_t at;

	if (history->size == 0)
		return;
	at = (uint32_t)(history->count % history->size);
	memcpy(history->records + at * size, record, size);
	history->ids[at] = record->flow_id;
	history->count++;
}

static void snapshot_push(struct snapshot *snapshot, size_t size,
			  const struct flow_record *record)
{
	if (snapshot->count == snapshot->room) {
		size_t room = snapshot->room ? 2 * snapshot->room : 1024;
		uint8_t *records = realloc(snapshot->records, room * size);

		if (!records) {
			snapshot->failed = true;
			return;
		}
		snapshot->records = records;
		snapshot->room = room;
	}
	memcpy(snapshot->records + snapshot->count++ * size, record, size);
}

static void tuple_public(const struct packet_tuple *from, flow_tuple_t *tuple)
{
	*tuple = (flow_tuple_t){
		.ip_version = from->ip_version,
		.protocol = from->protocol,
		.src_port = from->port[0],
		.dst_port = from->port[1],
		.vlan = from->vlan,
		.vlan_outer = from->vlan_outer,
		.interface_index = from->interface,
		.network = from->network,
	};
	memcpy(tuple->src_address, from->address[0], 16);
	memcpy(tuple->dst_address, from->address[1], 16);
}

/* What is built against this header stays right as it gains members. */
#if UINTPTR_MAX == UINT64_MAX
static_assert(sizeof(flow_config_t) == 96, "of the first release");
static_assert(sizeof(flow_record_t) == 248, "likewise");
#endif

/* A record as users get it, with its statistics behind it. */
struct copy {
	flow_record_t record;
	flow_statistics_t statistics; /* not there unless asked for */
};

static size_t copy_size(const capture_session_t *session)
{
	return session->statistics ? sizeof(struct copy)
				   : sizeof(flow_record_t);
}

static void record_public(const capture_session_t *session,
			  const struct flow_record *from, struct copy *copy)
{
	flow_record_t *record = &copy->record;

	*record = (flow_record_t){
		.flow_id = from->flow_id,
		.packets = from->packets[0],
		.rev_packets = from->packets[1],
		.bytes = from->bytes[0],
		.rev_bytes = from->bytes[1],
		.frame_bytes = from->frame_bytes[0],
		.rev_frame_bytes = from->frame_bytes[1],
		.payload_bytes = from->payload_bytes[0],
		.rev_payload_bytes = from->payload_bytes[1],
		.start_ns = from->start.ns,
		.end_ns = from->end.ns,
		.tcp_flags = from->tcp_flags[0],
		.rev_tcp_flags = from->tcp_flags[1],
		.end_reason = from->end_reason,
		.state = from->state,
		.duplicate = from->duplicate,
		.tunnel = tunnel_words[from->tunnel],
	};
	tuple_public(&from->tuple, &record->tuple);
	memcpy(record->interface, from->interface, sizeof record->interface);
	memcpy(record->community_id, from->community_id,
	       sizeof record->community_id);
	if (!session->statistics)
		return;
	session_statistics(from, session->statistics, &copy->statistics);
	record->statistics = &copy->statistics;
}

void session_record(void *context, const struct flow_record *record)
{
	capture_session_t *session = context;

	pthread_mutex_lock(&session->records_lock);
	if (record->end_reason == FLOW_END_NONE)
		snapshot_push(&session->snapshot, session->record_size, record);
	else
		history_push(&session->history, session->record_size, record);
	pthread_mutex_unlock(&session->records_lock);
	if (session->on_end && record->end_reason != FLOW_END_NONE) {
		struct copy ended;

		record_public(session, record, &ended);
		session->on_end(&ended.record, session->on_end_context);
	}
}

void *session_collect(void *context)
{
	capture_session_t *session = context;
	int count;

	do {
		uint64_t asked = atomic_load(&session->drain_asked);

		count = engine_collect(session->engine, COLLECT_MS);
		if (count <= 0)
			atomic_store(&session->drain_done, asked);
	} while (count != ERR_END);
	atomic_store(&session->drain_done, UINT64_MAX);
	return NULL;
}

static int flow_options_of(const flow_config_t *config,
			   struct flow_options *options, struct fault *fault)
{
	const struct {
		const char *name, *unit;
		uint32_t value, min, max, preset;
	} rows[] = {
		{"max_flows", "flows", config->max_flows, FLOW_COUNT_MIN,
		 FLOW_COUNT_MAX, FLOW_COUNT_PRESET},
		{"idle_timeout_s", "s", config->idle_timeout_s, FLOW_IDLE_S_MIN,
		 FLOW_IDLE_S_MAX, FLOW_IDLE_S_PRESET},
		{"active_timeout_s", "s", config->active_timeout_s,
		 FLOW_ACTIVE_S_MIN, FLOW_ACTIVE_S_MAX, FLOW_ACTIVE_S_PRESET},
	};
	uint32_t values[3];
	struct fault names;

	for (size_t i = 0; i < 3; i++) {
		values[i] = rows[i].value ? rows[i].value : rows[i].preset;
		if (values[i] < rows[i].min || values[i] > rows[i].max)
			return fault_set(fault, ERR_OPTION_RANGE,
					 "%s: %u is out of range: %u to %u %s",
					 rows[i].name, values[i], rows[i].min,
					 rows[i].max, rows[i].unit);
	}
	options->flow_count = values[0];
	options->idle_ns = values[1] * NS_PER_S;
	options->active_ns = values[2] * NS_PER_S;
	options->first_count = config->first_packets;
	if (options->first_count > FLOW_FIRST_MAX)
		return fault_set(fault, ERR_OPTION_RANGE,
				 "first_packets: %u is out of range: 1 to %d",
				 options->first_count, FLOW_FIRST_MAX);
	if (flow_statistics_parse(config->statistics ?: "",
				  &options->statistics, &names) < 0)
		return fault_set(fault, ERR_OPTION_RANGE, "statistics: %.200s",
				 names.text);
	return 0;
}

static int seconds_set(const char *name, uint32_t value, uint32_t max,
		       int64_t *ret_ns, struct fault *fault)
{
	if (value > max)
		return fault_set(fault, ERR_OPTION_RANGE,
				 "%s: %u is out of range: 1 to %u s", name,
				 value, max);
	*ret_ns = value * NS_PER_S;
	return 0;
}

static int phases_of(const flow_config_t *config, struct flow_options *options,
		     struct fault *fault)
{
	int64_t *idle = options->phase_idle_ns;
	int64_t *active = options->phase_active_ns;
	const struct {
		const char *name;
		uint32_t value, max;
		int64_t *to;
	} rows[] = {
#define IDLE(member, phase) \
	{#member, config->member, FLOW_IDLE_S_MAX, &idle[phase]}
#define ACTIVE(member, phase)                                              \
	{                                                                  \
#member, config->member, FLOW_ACTIVE_S_MAX, &active[phase] \
	}
		IDLE(idle_tcp_s, FLOW_PHASE_TCP),
		IDLE(idle_tcp_opening_s, FLOW_PHASE_OPENING),
		IDLE(idle_tcp_closing_s, FLOW_PHASE_CLOSING),
		IDLE(idle_tcp_closed_s, FLOW_PHASE_CLOSED),
		IDLE(idle_udp_s, FLOW_PHASE_UDP),
		IDLE(idle_icmp_s, FLOW_PHASE_ICMP),
		IDLE(idle_other_s, FLOW_PHASE_OTHER),
		ACTIVE(active_tcp_s, FLOW_PHASE_TCP),
		ACTIVE(active_udp_s, FLOW_PHASE_UDP),
		ACTIVE(active_other_s, FLOW_PHASE_ICMP),
		ACTIVE(active_other_s, FLOW_PHASE_OTHER),
#undef IDLE
#undef ACTIVE
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int rc = seconds_set(rows[i].name, rows[i].value, rows[i].max,
				     rows[i].to, fault);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int sampling_of(const flow_config_t *config,
		       struct flow_options *options,
		       struct sample_options *sample, struct fault *fault)
{
	static const enum sample_mode modes[] = {
		[FLOW_SAMPLE_RANDOM] = SAMPLE_RANDOM,
		[FLOW_SAMPLE_COUNT] = SAMPLE_COUNT,
		[FLOW_SAMPLE_PROBABILITY] = SAMPLE_PROBABILITY,
	};

	if (config->sample_mode > FLOW_SAMPLE_PROBABILITY)
		return fault_set(fault, ERR_OPTION_RANGE,
				 "sample_mode: %u is out of range: 0 to %d",
				 config->sample_mode, FLOW_SAMPLE_PROBABILITY);
	if (config->sample_flows > SAMPLE_POPULATION_MAX)
		return fault_set(fault, ERR_OPTION_RANGE,
				 "sample_flows: %u is out of range: 1 to %u",
				 config->sample_flows, SAMPLE_POPULATION_MAX);
	options->sample_flows = config->sample_flows;
	sample->size = config->sample_size ? config->sample_size : 1;
	sample->population = config->sample_packets;
	if (config->sample_packets > 1)
		sample->mode = modes[config->sample_mode];
	return sample_check(sample, fault);
}

int capture_flow_enable(capture_session_t *session, const flow_config_t *config)
{
	struct flow_options options = {0};
	struct sample_options sample = {0};
	struct fault fault = {""};
	flow_config_t presets = {0};
	uint32_t size;
	int rc;

	if (!session || session->started || session->metering)
		return session_error(ERR_STATE, NULL);
	if (!config)
		config = &presets;
	rc = flow_options_of(config, &options, &fault);
	if (rc == 0)
		rc = phases_of(config, &options, &fault);
	if (rc == 0)
		rc = sampling_of(config, &options, &sample, &fault);
	if (rc < 0)
		return session_error(rc, fault.text);
	size = config->history ? config->history : HISTORY_PRESET;
	session->record_size = (flow_record_size(&options) + 7) & ~(size_t)7;
	session->statistics = options.statistics;
	session->history.records = calloc(size, session->record_size);
	session->history.ids = calloc(size, sizeof *session->history.ids);
	if (!session->history.records || !session->history.ids) {
		session_flow_fini(session);
		return session_error(-ENOMEM, NULL);
	}
	session->history.size = size;
	session->on_end = config->on_end;
	session->on_end_context = config->context;
	session->metering = true;
	rc = engine_sample(session->engine, &sample);
	return rc < 0 ? rc : engine_meter(session->engine, &options);
}

void session_flow_fini(capture_session_t *session)
{
	free(session->history.records);
	free(session->history.ids);
	free(session->snapshot.records);
	session->history = (struct history){0};
	session->snapshot = (struct snapshot){0};
}

/* Whether the flow's tuple is 'tuple', either way round. */
static bool tuple_same(const struct packet_tuple *a,
		       const struct packet_tuple *b)
{
	struct packet_tuple turned = *b;

	if (a->interface != ENGINE_INTERFACE_ANY &&
	    a->interface != b->interface)
		return false;
	turned.interface = a->interface;
	if (memcmp(a, &turned, sizeof turned) == 0)
		return true;
	memcpy(turned.address[0], b->address[1], 16);
	memcpy(turned.address[1], b->address[0], 16);
	turned.port[0] = b->port[1];
	turned.port[1] = b->port[0];
	return memcmp(a, &turned, sizeof turned) == 0;
}

/* As it was kept; beyond record_size there is nothing. */
static struct flow_record *kept_at(const capture_session_t *session,
				   uint8_t *records, uint64_t index)
{
	return (void *)(records + index * session->record_size);
}

static bool history_find(capture_session_t *session,
			 const struct packet_tuple *tuple,
			 struct flow_record *ret_record)
{
	struct history *history = &session->history;
	uint64_t id = flow_id_of(tuple), oldest = 0;
	bool found = false;

	pthread_mutex_lock(&session->records_lock);
	if (history->count > history->size)
		oldest = history->count - history->size;
	for (uint64_t i = history->count; i > oldest && !found; i--) {
		uint32_t at = (uint32_t)((i - 1) % history->size);

		if (history->ids[at] != id ||
		    !tuple_same(tuple,
				&kept_at(session, history->records, at)->tuple))
			continue;
		memcpy(ret_record, kept_at(session, history->records, at),
		       session->record_size);
		found = true;
	}
	pthread_mutex_unlock(&session->records_lock);
	return found;
}

static int tuple_private(const flow_tuple_t *from, struct packet_tuple *tuple)
{
	if (from->ip_version != 4 && from->ip_version != 6)
		return -EINVAL;
	memset(tuple, 0, sizeof *tuple);
	memcpy(tuple->address[0], from->src_address,
	       from->ip_version == 4 ? 4 : 16);
	memcpy(tuple->address[1], from->dst_address,
	       from->ip_version == 4 ? 4 : 16);
	tuple->port[0] = from->src_port;
	tuple->port[1] = from->dst_port;
	tuple->protocol = from->protocol;
	tuple->ip_version = from->ip_version;
	tuple->vlan = from->vlan;
	tuple->vlan_outer = from->vlan_outer;
	tuple->interface = from->interface_index;
	tuple->network = from->network;
	return 0;
}

flow_record_t *capture_flow_lookup(capture_session_t *session,
				   const flow_tuple_t *tuple)
{
	struct packet_tuple private;
	struct flow_record record;
	struct copy *copy;
	bool found;

	if (!session || !tuple || tuple_private(tuple, &private) < 0) {
		session_error(-EINVAL, "ip_version: neither 4 nor 6");
		return NULL;
	}
	if (!session->metering) {
		session_error(ERR_STATE, "flow metering is not enabled");
		return NULL;
	}
	session_error_clear();
	pthread_mutex_lock(&session->query_lock);
	found = engine_lookup(session->engine, &private, &record) ||
		history_find(session, &private, &record);
	pthread_mutex_unlock(&session->query_lock);
	if (!found)
		return NULL;
	copy = malloc(copy_size(session));
	if (!copy) {
		session_error(-ENOMEM, NULL);
		return NULL;
	}
	record_public(session, &record, copy);
	return &copy->record;
}

static void snapshot_begin(capture_session_t *session)
{
	pthread_mutex_lock(&session->records_lock);
	session->snapshot.count = 0;
	session->snapshot.failed = false;
	pthread_mutex_unlock(&session->records_lock);
}

/* Waits until the collector has handed out all that was in the rings. */
static void drain_wait(capture_session_t *session)
{
	struct timespec pause = {0, 100000};
	uint64_t asked = atomic_fetch_add(&session->drain_asked, 1) + 1;

	while (atomic_load(&session->drain_done) < asked) {
		engine_wake(session->engine->collect_fd);
		nanosleep(&pause, NULL);
	}
}

static bool engine_ended(capture_session_t *session)
{
	return atomic_load(&session->drain_done) == UINT64_MAX;
}

/* The live flows into session->snapshot. */
static void snapshot_take(capture_session_t *session)
{
	struct timespec pause = {0, 200000};
	struct wall always = {INT64_MIN};

	snapshot_begin(session);
	if (!session->started)
		return;
	while (!engine_ended(session) &&
	       !engine_update(session->engine, always))
		nanosleep(&pause, NULL);
	while (!engine_ended(session) && engine_updating(session->engine))
		nanosleep(&pause, NULL);
	drain_wait(session);
	if (!engine_ended(session))
		return;
	/* It ended meanwhile: the tables stand still and can be read. */
	snapshot_begin(session);
	engine_visit(session->engine, session_record, session);
	for (size_t i = 0; i < session->snapshot.count; i++) {
		struct flow_record *record =
			kept_at(session, session->snapshot.records, i);

		flow_record_finish(record,
				   engine_interface(session->engine,
						    record->tuple.interface));
	}
}

/* One block: the pointers, then the records they point to. */
static flow_record_t **records_copy(capture_session_t *session, int *ret_count)
{
	struct history *history = &session->history;
	size_t ended =
		history->count < history->size ? history->count : history->size;
	size_t count = session->snapshot.count + ended;
	size_t size = copy_size(session);
	flow_record_t **list = malloc(count * (sizeof *list + size));
	uint8_t *records = (uint8_t *)(list + count);

	if (!list)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		struct copy *copy = (void *)(records + i * size);
		const struct flow_record *kept =
			i < ended ? kept_at(session, history->records, i)
				  : kept_at(session, session->snapshot.records,
					    i - ended);

		record_public(session, kept, copy);
		list[i] = &copy->record;
	}
	*ret_count = (int)count;
	return list;
}

flow_record_t **capture_flow_get_all(capture_session_t *session, int *count)
{
	flow_record_t **list = NULL;

	if (count)
		*count = 0;
	if (!session || !count) {
		session_error(-EINVAL, NULL);
		return NULL;
	}
	if (!session->metering) {
		session_error(ERR_STATE, "flow metering is not enabled");
		return NULL;
	}
	session_error_clear();
	pthread_mutex_lock(&session->query_lock);
	snapshot_take(session);
	pthread_mutex_lock(&session->records_lock);
	if (session->snapshot.count + session->history.count > 0)
		list = records_copy(session, count);
	if (session->snapshot.failed)
		session_error(-ENOMEM, "no memory for every flow");
	free(session->snapshot.records);
	session->snapshot = (struct snapshot){0};
	pthread_mutex_unlock(&session->records_lock);
	pthread_mutex_unlock(&session->query_lock);
	return list;
}

void capture_flow_release(flow_record_t *record)
{
	free(record);
}

void capture_flow_release_all(flow_record_t **records, int count)
{
	(void)count;
	free(records);
}

int capture_get_stats(capture_session_t *session, capture_stats_t *stats)
{
	struct engine_ledger ledger;
	struct flow_counters *flow = &ledger.flow;
	struct history *history = &session->history;

	if (!session || !stats)
		return session_error(-EINVAL, NULL);
	engine_ledger(session->engine, &ledger);
	*stats = (capture_stats_t){
		.packets_received = ledger.capture.received,
		.bytes_received = ledger.capture.received_bytes,
		.packets_dropped = ledger.capture.dropped_kernel,
		.interface_dropped = ledger.capture.dropped_interface,
		.packets_filtered = ledger.capture.filtered,
		.packets_polled = session->polled,
		.poll_dropped = ledger.engine.delivery_dropped,
		.packets_decoded = ledger.engine.decoded,
		.packets_not_selected = ledger.engine.not_selected,
		.packets_of_other_flows = flow->not_selected,
		.packets_metered = flow->metered,
		.packets_refused = flow->refused_full,
		.flows_created = flow->created,
		.flows_live = ledger.live,
		.flows_ended = flow->created - ledger.live,
		.flows_evicted = flow->ended_resources,
	};
	if (session->metering)
		stats->packets_undecoded =
			ledger.engine.selected - ledger.engine.decoded;
	pthread_mutex_lock(&session->records_lock);
	if (history->count > history->size)
		stats->flows_forgotten = history->count - history->size;
	pthread_mutex_unlock(&session->records_lock);
	return 0;
}
