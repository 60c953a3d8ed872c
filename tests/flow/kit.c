#include "kit.h"

#include <stdlib.h>
#include <string.h>

static void address_given(uint8_t address[16], uint32_t number, bool ip6)
{
	uint8_t *at = address;

	if (ip6) {
		address[0] = 0x20;
		address[1] = 0x01;
		at = address + 12;
	}
	at[0] = (uint8_t)(number >> 24);
	at[1] = (uint8_t)(number >> 16);
	at[2] = (uint8_t)(number >> 8);
	at[3] = (uint8_t)number;
}

struct packet packet_given(const struct given *given)
{
	struct packet packet;

	memset(&packet, 0, sizeof packet);
	address_given(packet.tuple.address[0], given->from, given->ip6);
	address_given(packet.tuple.address[1], given->to, given->ip6);
	packet.tuple.port[0] = given->from_port;
	packet.tuple.port[1] = given->to_port;
	packet.tuple.protocol = given->protocol ? given->protocol : UDP;
	packet.tuple.ip_version = given->ip6 ? 6 : 4;
	packet.tuple.vlan = given->vlan;
	packet.tuple.interface = given->interface;
	packet.tuple.network = given->network;
	packet.tunnel = (uint8_t)(given->network >> 24);
	packet.at.ns = given->at_ns;
	packet.ip_bytes = given->bytes ? given->bytes : 40;
	packet.frame_bytes = packet.ip_bytes + 14;
	packet.payload_bytes = packet.ip_bytes - 28;
	packet.packets = 1;
	packet.flags = given->flags;
	packet.ttl = 64;
	packet.fragment_id = given->fragment_id;
	packet.tcp_flags = given->tcp_flags;
	packet.tcp.sequence = given->sequence;
	if (packet.tuple.protocol == TCP && !(given->flags & PACKET_FRAGMENT))
		packet.flags |= PACKET_TCP;
	return packet;
}

static void keep(void *context, const struct flow_record *record)
{
	struct kept *kept = context;

	if (kept->count == kept->size) {
		kept->size = kept->size ? kept->size * 2 : 64;
		kept->records = realloc(kept->records,
					kept->size * sizeof *kept->records);
		assert_non_null(kept->records);
	}
	kept->records[kept->count++] = *record;
}

struct flow_options kept_options(void)
{
	struct flow_options options = {
		.flow_count = FLOW_COUNT_MIN,
		.idle_ns = 30 * S,
		.active_ns = 60 * S,
		.epoch = 7,
		.emit = keep,
	};

	for (unsigned i = 0; i < sizeof options.secret; i++)
		options.secret[i] = (uint8_t)(i * 37 + 11);
	return options;
}

void kept_open(struct kept *kept, const struct flow_options *options)
{
	struct flow_options own = *options;

	memset(kept, 0, sizeof *kept);
	own.emit = keep;
	own.context = kept;
	assert_int_equal(flow_table_create(&own, &kept->table), 0);
}

void kept_close(struct kept *kept)
{
	flow_table_destroy(kept->table);
	free(kept->records);
}

void kept_meter(struct kept *kept, const struct packet *packets, size_t count,
		size_t batch)
{
	for (size_t at = 0; at < count; at += batch)
		flow_table_meter(kept->table, packets + at,
				 count - at < batch ? count - at : batch);
}

void kept_give(struct kept *kept, const struct given *given)
{
	struct packet packet = packet_given(given);

	flow_table_meter(kept->table, &packet, 1);
}

void kept_check_ledger(const struct kept *kept, uint64_t given)
{
	struct flow_counters c = flow_table_counters(kept->table);
	uint64_t ended = c.ended_idle + c.ended_active + c.ended_detected +
			 c.ended_forced + c.ended_resources;

	assert_int_equal(c.created, flow_table_live(kept->table) + ended);
	assert_int_equal(ended, kept->count);
	assert_int_equal(c.metered + c.refused_full + c.not_selected, given);
}
