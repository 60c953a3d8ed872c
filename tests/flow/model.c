#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "flow/flow_private.h"
#include "kit.h"
#include "statistics_model.h"

#define CHAINS      1024
#define FRAGMENT_NS (30 * NS_PER_S)

struct model_flow {
	struct model_flow *next;
	bool open;
	bool first;  /* it counts: no duplicate */
	bool saw[2]; /* packets, in any of its records; 0: the initiator */
	bool one_way;
	bool opening; /* a SYN began it, and no ACK without SYN has come */
	bool fin[2];  /* 0: the initiator as the record has it now */
	bool isn_known[2];
	uint32_t isn[2];
	int64_t last_ns; /* as record.end, but lives on when dormant */
	uint8_t tos[2];
	struct samples samples; /* of the open record */
	struct flow_record record;
};

struct model_datagram {
	struct model_datagram *next;
	struct packet key;
	bool resolved;
	struct packet first;
	int64_t since_ns;
	struct packet *waiting;
	size_t waiting_count;
};

struct model {
	struct flow_options options;
	struct model_flow *chains[CHAINS];
	struct model_datagram *datagrams; /* oldest first */
	struct flow_record *records;
	size_t count;
	size_t size;
	char **json; /* by seq */
	uint64_t seq;
	int64_t now_ns;
	bool tell_as_meter;
};

struct model *model_create(const struct flow_options *options)
{
	struct model *model = calloc(1, sizeof *model);

	assert_non_null(model);
	model->options = *options;
	return model;
}

void model_tell_as_meter(struct model *model)
{
	model->tell_as_meter = true;
}

static struct model_flow **chain_of(struct model *model,
				    const struct packet_tuple *tuple)
{
	unsigned sum = (unsigned)tuple->port[0] + tuple->port[1];

	for (unsigned i = 0; i < 16; i++)
		sum += (unsigned)tuple->address[0][i] + tuple->address[1][i];
	return &model->chains[sum % CHAINS];
}

static struct packet_tuple turned(const struct packet_tuple *tuple)
{
	struct packet_tuple other = *tuple;

	memcpy(other.address[0], tuple->address[1], 16);
	memcpy(other.address[1], tuple->address[0], 16);
	other.port[0] = tuple->port[1];
	other.port[1] = tuple->port[0];
	return other;
}

static bool tuples_equal(const struct packet_tuple *a,
			 const struct packet_tuple *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static void statistics_emit(struct model *model, struct model_flow *flow)
{
	uint64_t seq = flow->record.seq;
	char *text = NULL;
	size_t size = 0;
	FILE *to;

	if (!model->options.statistics)
		return;
	samples_record(&flow->samples, &model->options, &flow->record);
	to = open_memstream(&text, &size);
	assert_non_null(to);
	samples_json(&flow->samples, &model->options, to);
	assert_int_equal(fclose(to), 0);
	model->json[seq] = text;
}

const char *model_json(const struct model *model, uint64_t seq)
{
	return model->json[seq];
}

static void emit(struct model *model, struct model_flow *flow,
		 enum flow_end reason)
{
	if (!flow->open)
		return;
	flow->open = false;
	flow->record.end_reason = (uint8_t)reason;
	flow->record.tos = flow->tos[0];
	flow->record.flow_id = flow_id_of(&flow->record.tuple);
	statistics_emit(model, flow);
	if (model->count == model->size) {
		model->size = model->size ? model->size * 2 : 64;
		model->records = realloc(model->records,
					 model->size * sizeof *model->records);
		assert_non_null(model->records);
	}
	model->records[model->count++] = flow->record;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static enum flow_phase phase_of(const struct model_flow *flow)
{
	const struct flow_record *r = &flow->record;

	if (r->tuple.protocol == UDP)
		return FLOW_PHASE_UDP;
	if (r->tuple.protocol == ICMP || r->tuple.protocol == ICMP6)
		return FLOW_PHASE_ICMP;
	if (r->tuple.protocol != TCP)
		return FLOW_PHASE_OTHER;
	if (r->state == FLOW_CLOSED)
		return FLOW_PHASE_CLOSED;
	if (r->state == FLOW_CLOSING)
		return FLOW_PHASE_CLOSING;
	return flow->opening ? FLOW_PHASE_OPENING : FLOW_PHASE_TCP;
}

static int64_t idle_limit_ns(const struct model *model,
			     const struct model_flow *flow)
{
	const struct flow_options *options = &model->options;
	enum flow_phase phase = phase_of(flow);
	int64_t tcp_ns = options->phase_idle_ns[FLOW_PHASE_TCP];

	if (options->phase_idle_ns[phase])
		return options->phase_idle_ns[phase];
	if (!tcp_ns)
		tcp_ns = options->idle_ns;
	if (phase == FLOW_PHASE_CLOSED)
		return least(5 * NS_PER_S, tcp_ns);
	if (phase == FLOW_PHASE_OPENING || phase == FLOW_PHASE_CLOSING)
		return least(120 * NS_PER_S, tcp_ns);
	return options->idle_ns;
}

static int64_t active_limit_ns(const struct model *model,
			       const struct model_flow *flow)
{
	bool tcp = flow->record.tuple.protocol == TCP;
	int64_t own_ns =
		model->options
			.phase_active_ns[tcp ? FLOW_PHASE_TCP : phase_of(flow)];

	return own_ns ? own_ns : model->options.active_ns;
}

/* True: the flow is over by now. */
static bool settle(struct model *model, struct model_flow *flow)
{
	int64_t idle_ns = flow->last_ns + idle_limit_ns(model, flow);
	int64_t active_ns =
		flow->record.start.ns + active_limit_ns(model, flow);

	if (flow->open && active_ns < idle_ns && active_ns <= model->now_ns)
		emit(model, flow, FLOW_END_ACTIVE);
	if (idle_ns > model->now_ns)
		return false;
	emit(model, flow,
	     flow->record.state == FLOW_CLOSED ? FLOW_END_DETECTED
					       : FLOW_END_IDLE);
	return true;
}

static void flow_free(struct model_flow *flow)
{
	free(flow->samples.all);
	free(flow);
}

static void drop(struct model *model, struct model_flow *flow)
{
	struct model_flow **link = chain_of(model, &flow->record.tuple);

	while (*link != flow)
		link = &(*link)->next;
	*link = flow->next;
	flow_free(flow);
}

/* The packet's direction in the flow: 0, 1; -1: another flow. */
static int direction_of(const struct model_flow *flow,
			const struct packet *packet)
{
	struct packet_tuple other = turned(&packet->tuple);

	if (tuples_equal(&flow->record.tuple, &packet->tuple))
		return 0;
	if (packet->flags & PACKET_ICMP_ONE_WAY || flow->one_way)
		return -1;
	return tuples_equal(&flow->record.tuple, &other) ? 1 : -1;
}

static void turn(struct model_flow *flow)
{
	struct flow_record *r = &flow->record;

#define EXCHANGE(array)                                   \
	do {                                              \
		__typeof__((array)[0]) kept = (array)[0]; \
		(array)[0] = (array)[1];                  \
		(array)[1] = kept;                        \
	} while (0)
	r->tuple = turned(&r->tuple);
	EXCHANGE(flow->saw);
	EXCHANGE(r->packets);
	EXCHANGE(r->bytes);
	EXCHANGE(r->frame_bytes);
	EXCHANGE(r->payload_bytes);
	EXCHANGE(r->tcp_flags);
	EXCHANGE(r->fragments);
	EXCHANGE(r->ttl_min);
	EXCHANGE(r->ttl_max);
	EXCHANGE(flow->fin);
	EXCHANGE(flow->isn);
	EXCHANGE(flow->isn_known);
	EXCHANGE(flow->tos);
#undef EXCHANGE
	samples_turn(&flow->samples);
}

static void isn_learn(struct model_flow *flow, int side, uint32_t isn)
{
	if (!flow->isn_known[side])
		flow->isn[side] = isn;
	flow->isn_known[side] = true;
}

static void tcp_learn(struct model_flow *flow, const struct packet *packet)
{
	int side = direction_of(flow, packet);
	bool syn = packet->tcp_flags & SYN, ack = packet->tcp_flags & ACK;

	if (syn) {
		isn_learn(flow, side, packet->tcp.sequence);
		if (ack)
			isn_learn(flow, !side, packet->tcp.acknowledgment - 1);
	}
	if (syn && flow->record.initiator != FLOW_INITIATOR_SYN) {
		flow->record.initiator = FLOW_INITIATOR_SYN;
		if ((side == 1) != ack)
			turn(flow);
		side = direction_of(flow, packet);
	}
	if ((packet->tcp_flags & (SYN | ACK)) == ACK)
		flow->opening = false;
	if (packet->tcp_flags & FIN)
		flow->fin[side] = true;
	if (flow->record.state == FLOW_CLOSED)
		return;
	if (flow->fin[0] || flow->fin[1])
		flow->record.state = FLOW_CLOSING;
	if ((flow->fin[0] && flow->fin[1]) || packet->tcp_flags & RST)
		flow->record.state = FLOW_CLOSED;
}

static bool anew(const struct model_flow *flow, const struct packet *packet)
{
	int side = direction_of(flow, packet);

	if ((packet->tcp_flags & (SYN | ACK)) != SYN)
		return false;
	if (flow->isn_known[side])
		return flow->isn[side] != packet->tcp.sequence;
	return flow->record.state != FLOW_ACTIVE;
}

static void open_record(struct model *model, struct model_flow *flow,
			const struct packet *packet)
{
	struct flow_record *r = &flow->record;
	struct flow_record fresh = {
		.epoch = model->options.epoch,
		.seq = model->seq++,
		.tuple = r->tuple,
		.start = packet->at,
		.end = packet->at,
		.state = r->state,
		.initiator = r->initiator,
		.tunnel = packet->tunnel,
		.duplicate = r->duplicate,
	};

	if (model->seq % 1024 == 1) {
		model->json = realloc(model->json,
				      (model->seq + 1024) * sizeof(char *));
		assert_non_null(model->json);
	}
	model->json[fresh.seq] = NULL;
	flow->samples.count = 0;
	*r = fresh;
	memset(flow->tos, 0, sizeof flow->tos);
	flow->last_ns = packet->at.ns;
	flow->open = true;
}

/* Whether another flow that counts has had packets of the 5-tuple from the
 * sender of this one's first. */
static bool seen_before(struct model *model, const struct model_flow *flow,
			const struct packet *packet)
{
	const struct packet_tuple *t = &flow->record.tuple;
	struct model_flow *at = *chain_of(model, t), *next;

	for (; at; at = next) {
		struct packet_tuple other = at->one_way
						    ? at->record.tuple
						    : turned(&at->record.tuple);
		size_t size = offsetof(struct packet_tuple, vlan);
		uint32_t network = at->record.tuple.network;
		int side;

		next = at->next;
		if (at == flow || !at->first ||
		    (memcmp(&at->record.tuple, t, size) != 0 &&
		     memcmp(&other, t, size) != 0))
			continue;
		if (network && t->network && network != t->network)
			continue;
		side = memcmp(&at->record.tuple, &packet->tuple, size) != 0;
		if (!at->saw[side])
			continue;
		if (!settle(model, at))
			return true;
		drop(model, at);
	}
	return false;
}

static struct model_flow *begin(struct model *model,
				const struct packet *packet, bool receiver,
				enum flow_initiator how)
{
	struct model_flow **chain = chain_of(model, &packet->tuple);
	struct model_flow *flow = calloc(1, sizeof *flow);

	assert_non_null(flow);
	flow->next = *chain;
	*chain = flow;
	flow->one_way = packet->flags & PACKET_ICMP_ONE_WAY;
	flow->record.tuple = packet->tuple;
	flow->record.initiator = (uint8_t)how;
	flow->opening = packet->tcp_flags & SYN;
	open_record(model, flow, packet);
	if (receiver)
		turn(flow);
	if (packet->tcp_flags & (SYN | FIN | RST))
		tcp_learn(flow, packet);
	if (model->options.mark_duplicates) {
		flow->record.duplicate = seen_before(model, flow, packet);
		flow->first = !flow->record.duplicate;
	}
	return flow;
}

/* The traffic of the test uses server ports below 1,024 and client ports
 * above 32,767 only, so that the rule is this short. */
static struct model_flow *begin_told(struct model *model,
				     const struct packet *packet)
{
	const struct packet_tuple *t = &packet->tuple;

	if (model->tell_as_meter) {
		struct initiator initiator = initiator_tell(packet);

		return begin(model, packet, initiator.receiver, initiator.how);
	}
	if (packet->tcp_flags & SYN)
		return begin(model, packet, packet->tcp_flags & ACK,
			     FLOW_INITIATOR_SYN);
	if (t->protocol == ICMP && !(packet->flags & PACKET_ICMP_ONE_WAY) &&
	    t->port[0] == 0 && t->port[1] == 8)
		return begin(model, packet, true, FLOW_INITIATOR_PORT);
	if ((t->protocol == TCP || t->protocol == UDP) && t->port[0] &&
	    t->port[0] < 1024 && t->port[1] > 32767)
		return begin(model, packet, true, FLOW_INITIATOR_PORT);
	return begin(model, packet, false, FLOW_INITIATOR_FIRST);
}

static struct model_flow *enter(struct model *model,
				const struct packet *packet)
{
	struct model_flow *flow = *chain_of(model, &packet->tuple);

	while (flow && direction_of(flow, packet) < 0)
		flow = flow->next;
	if (!flow)
		return begin_told(model, packet);
	if (settle(model, flow)) {
		drop(model, flow);
		return begin_told(model, packet);
	}
	if (anew(flow, packet)) {
		emit(model, flow, FLOW_END_DETECTED);
		drop(model, flow);
		return begin_told(model, packet);
	}
	if (!flow->open)
		open_record(model, flow, packet);
	if (packet->tcp_flags & (SYN | FIN | RST) || flow->opening)
		tcp_learn(flow, packet);
	return flow;
}

static void count(struct model_flow *flow, const struct packet *packet)
{
	struct flow_record *r = &flow->record;
	int side = direction_of(flow, packet);

	if (r->packets[side] == 0) {
		flow->tos[side] = packet->tos;
		r->ttl_min[side] = packet->ttl;
		r->ttl_max[side] = packet->ttl;
	}
	if (packet->ttl < r->ttl_min[side])
		r->ttl_min[side] = packet->ttl;
	if (packet->ttl > r->ttl_max[side])
		r->ttl_max[side] = packet->ttl;
	flow->saw[side] = true;
	samples_add(&flow->samples, packet, side);
	r->packets[side] += packet->packets;
	r->bytes[side] += packet->ip_bytes;
	r->frame_bytes[side] += packet->frame_bytes;
	r->payload_bytes[side] += packet->payload_bytes;
	r->tcp_flags[side] |= packet->tcp_flags;
	r->fragments[side] += packet->flags & PACKET_FRAGMENT;
	if (packet->at.ns < r->start.ns)
		r->start = packet->at;
	if (packet->at.ns > r->end.ns)
		r->end = packet->at;
	flow->last_ns = r->end.ns;
}

static void orphans(struct model *model, struct model_datagram *datagram)
{
	struct packet earliest;

	if (!datagram->waiting_count)
		return;
	earliest = datagram->waiting[0];
	for (size_t i = 1; i < datagram->waiting_count; i++)
		if (datagram->waiting[i].at.ns < earliest.at.ns)
			earliest.at = datagram->waiting[i].at;
	struct model_flow *flow = enter(model, &earliest);

	for (size_t i = 0; i < datagram->waiting_count; i++)
		count(flow, &datagram->waiting[i]);
	datagram->waiting_count = 0;
}

/* Each is given up at the time when it is due, and not when that shows. */
static void datagrams_age(struct model *model, bool all)
{
	struct model_datagram *datagram;
	int64_t now_ns = model->now_ns;

	while ((datagram = model->datagrams) &&
	       (all || datagram->since_ns + FRAGMENT_NS <= now_ns)) {
		model->datagrams = datagram->next;
		if (datagram->since_ns + FRAGMENT_NS < now_ns)
			model->now_ns = datagram->since_ns + FRAGMENT_NS;
		orphans(model, datagram);
		model->now_ns = now_ns;
		free(datagram->waiting);
		free(datagram);
	}
	model->now_ns = now_ns;
}

/* The packet's datagram, moved to the end of the list if 'renew'. */
static struct model_datagram *
datagram_of(struct model *model, const struct packet *packet, bool renew)
{
	struct model_datagram **link = &model->datagrams, *found;
	struct packet_tuple key = packet->tuple;

	key.port[0] = 0;
	key.port[1] = 0;
	while (*link && (!tuples_equal(&(*link)->key.tuple, &key) ||
			 (*link)->key.fragment_id != packet->fragment_id))
		link = &(*link)->next;
	found = *link;
	if (found && !renew)
		return found;
	if (found) {
		*link = found->next;
	} else {
		found = calloc(1, sizeof *found);
		assert_non_null(found);
		found->key.tuple = key;
		found->key.fragment_id = packet->fragment_id;
	}
	for (link = &model->datagrams; *link;)
		link = &(*link)->next;
	found->next = NULL;
	found->since_ns = model->now_ns;
	*link = found;
	return found;
}

static void datagram_hold(struct model_datagram *datagram,
			  const struct packet *packet)
{
	size_t size = (datagram->waiting_count + 1) * sizeof *packet;

	datagram->waiting = realloc(datagram->waiting, size);
	assert_non_null(datagram->waiting);
	datagram->waiting[datagram->waiting_count++] = *packet;
}

static void fragment(struct model *model, const struct packet *packet)
{
	bool first = packet->flags & PACKET_FRAGMENT_FIRST;
	struct model_datagram *d = datagram_of(model, packet, first);
	struct packet known = *packet;

	if (first) {
		d->resolved = true;
		d->first = *packet;
	} else if (!d->resolved) {
		datagram_hold(d, packet);
		return;
	}
	memcpy(known.tuple.port, d->first.tuple.port, sizeof known.tuple.port);
	known.flags |= d->first.flags & PACKET_ICMP_ONE_WAY;
	struct model_flow *flow = enter(model, &known);

	for (size_t i = 0; first && i < d->waiting_count; i++) {
		memcpy(d->waiting[i].tuple.port, known.tuple.port,
		       sizeof known.tuple.port);
		count(flow, &d->waiting[i]);
	}
	count(flow, &known);
	if (first)
		d->waiting_count = 0;
}

void model_meter(struct model *model, const struct packet *packet)
{
	if (packet->at.ns > model->now_ns)
		model->now_ns = packet->at.ns;
	datagrams_age(model, false);
	if (packet->flags & PACKET_FRAGMENT)
		fragment(model, packet);
	else
		count(enter(model, packet), packet);
}

static int by_seq(const void *a, const void *b)
{
	const struct flow_record *left = a, *right = b;

	return (left->seq > right->seq) - (left->seq < right->seq);
}

size_t model_flush(struct model *model, struct flow_record **ret_records)
{
	datagrams_age(model, true);
	for (unsigned i = 0; i < CHAINS; i++) {
		struct model_flow *flow;

		while ((flow = model->chains[i])) {
			if (!settle(model, flow))
				emit(model, flow,
				     flow->record.state == FLOW_CLOSED
					     ? FLOW_END_DETECTED
					     : FLOW_END_FORCED);
			model->chains[i] = flow->next;
			flow_free(flow);
		}
	}
	if (model->count)
		qsort(model->records, model->count, sizeof *model->records,
		      by_seq);
	*ret_records = model->records;
	return model->count;
}

void model_destroy(struct model *model)
{
	for (uint64_t i = 0; i < model->seq; i++)
		free(model->json[i]);
	free(model->json);
	free(model->records);
	free(model);
}
