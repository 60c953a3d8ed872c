/* Flow sampling: one flow in so many, whole, before the table.
 *
 * A hash of the 5-tuple decides (hash-based selection, RFC 5475, section
 * 6.2, applied to flows as in RFC 7014, section 5.1), so that a packet's turn
 * is known without asking whether its flow has been seen.  The tuple is put
 * in order first, which makes it the same for both directions, and what
 * depends on where it was seen is left out: a flow that is taken is taken
 * wherever it is metered with this seed.
 *
 * Packets of the others still tell the time.  So a flow's records are what
 * they are without sampling, but for their numbers.
 */
#include "flow/flow_key.h"

const char *const flow_sampling_words[2] = {NULL, "hash"};

#define FLOW_MODE_HASH 1

static void packets_note(const struct sample_options *sampled,
			 struct flow_sampling *ret)
{
	ret->mode = (uint8_t)sampled->mode;
	switch (sampled->mode) {
	case SAMPLE_COUNT:
		ret->present |= FLOW_SAMPLED_COUNT;
		ret->interval = 1;
		ret->space = sampled->population - 1;
		break;
	case SAMPLE_RANDOM:
		ret->present |= FLOW_SAMPLED_RANDOM;
		ret->size = sampled->size;
		ret->population = sampled->population;
		break;
	case SAMPLE_PROBABILITY:
		ret->present |= FLOW_SAMPLED_PROBABILITY;
		ret->probability = 1.0 / sampled->population;
		break;
	default:
		break;
	}
}

void flow_sampling_init(struct flow_table *table,
			const struct flow_options *options)
{
	uint64_t secret[8];

	packets_note(&options->sampled, &table->sampling);
	if (options->sample_flows < 2)
		return;
	table->sampling.present |= FLOW_SAMPLED_FLOWS;
	table->sampling.flow_mode = FLOW_MODE_HASH;
	table->sampling.flow_population = options->sample_flows;
	table->sample_threshold = sample_threshold(options->sample_flows);
	for (uint64_t i = 0; i < sizeof secret / sizeof *secret; i++)
		secret[i] = htole64(sample_hash(&options->sample_seed, i));
	(void)XXH3_generateSecret(table->sample_secret,
				  sizeof table->sample_secret, secret,
				  sizeof secret);
}

bool flow_sampling_takes(const struct flow_table *table,
			 const struct packet_tuple *tuple)
{
	struct packet_tuple ordered;

	key_order(tuple, key_descends(tuple), &ordered);
	ordered.vlan = 0;
	ordered.vlan_outer = 0;
	ordered.interface = 0;
	ordered.network = 0;
	return XXH3_64bits_withSecret(
		       &ordered, sizeof ordered, table->sample_secret,
		       sizeof table->sample_secret) < table->sample_threshold;
}

void flow_sampling_meter(struct flow_table *table, const struct packet *packets,
			 size_t count,
			 void (*meter)(struct flow_table *table,
				       const struct packet *packets,
				       size_t count))
{
	size_t from = 0;

	for (size_t i = 0; i < count; i++) {
		if (packets[i].flags & PACKET_FRAGMENT ||
		    flow_sampling_takes(table, &packets[i].tuple))
			continue;
		if (i > from)
			meter(table, packets + from, i - from);
		time_take(table, &packets[i]);
		table->counters.not_selected++;
		from = i + 1;
	}
	if (count > from)
		meter(table, packets + from, count - from);
}
