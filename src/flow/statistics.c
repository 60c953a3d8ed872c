/* Statistics of lengths and gaps: names, bins, layout, super-frames.
 * docs/STATISTICS.md defines each.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "flow/statistics_private.h"

#define LINE STATISTICS_LINE

static const struct {
	const char *word;
	uint32_t bits;
} words[] = {
#define WORD(name, word, line) {word, FLOW_STATISTICS_##name},
	FLOW_STATISTICS_TABLE(WORD)
#undef WORD
		{"all", FLOW_STATISTICS_ALL},
	{"none", 0},
};

#define WORDS (sizeof words / sizeof *words)

static int unknown(const char *name, size_t size, struct fault *ret_fault)
{
	char list[128] = "";
	size_t used = 0;

	for (size_t i = 0; i < WORDS; i++) {
		if (i > 0)
			used += (size_t)(stpcpy(list + used, ", ") -
					 (list + used));
		used += (size_t)(stpcpy(list + used, words[i].word) -
				 (list + used));
	}
	return fault_set(ret_fault, -EINVAL, "'%.*s' is none of: %s",
			 size < 40 ? (int)size : 40, name, list);
}

int flow_statistics_parse(const char *names, uint32_t *statistics,
			  struct fault *ret_fault)
{
	uint32_t bits = *statistics;

	while (*names) {
		size_t size, i;

		names += strspn(names, " ");
		size = strcspn(names, ", ");
		for (i = 0; i < WORDS; i++) {
			if (strlen(words[i].word) == size &&
			    strncasecmp(words[i].word, names, size) == 0)
				break;
		}
		if (i == WORDS)
			return unknown(names, size, ret_fault);
		bits |= words[i].bits;
		names += size;
		names += strspn(names, " ");
		if (*names && (*names != ',' || !*++names))
			return unknown(names, strlen(names), ret_fault);
	}
	*statistics = bits;
	return 0;
}

/* Two bins an octave: the octave, and the bit below the highest. */
unsigned flow_length_bin(uint32_t length)
{
	unsigned octave;

	if (length < 64)
		return 0;
	if (length >= 8192)
		return FLOW_BINS - 1;
	octave = 31U - (unsigned)__builtin_clz(length);
	return 2 * (octave - 6) + (length >> (octave - 1) & 1) + 1;
}

unsigned flow_interval_bin(uint64_t interval_ns)
{
	unsigned octave;

	if (interval_ns < 1024)
		return 0;
	octave = 63U - (unsigned)__builtin_clzll(interval_ns);
	return octave >= 38 ? FLOW_BINS - 1 : (octave - 10) / 2 + 1;
}

static uint32_t part_take(struct statistics *statistics, size_t size)
{
	uint32_t at = statistics->stride;

	statistics->stride += (uint32_t)((size + LINE - 1) / LINE * LINE);
	return at;
}

static void prefetch_add(struct statistics *statistics, uint32_t at,
			 uint32_t side_stride)
{
	uint32_t count = statistics->prefetch_count++;

	statistics->prefetch[0][count] = at;
	statistics->prefetch[1][count] = at + side_stride;
}

#define BOTH_SIZE ((uint32_t)sizeof(struct statistics_both))
#define SIDE_SIZE ((uint32_t)sizeof(struct statistics_side))
#define PAIR_SIZE (2 * sizeof(struct statistics_length))

static void lengths_at(struct statistics *statistics, bool payload, uint32_t at,
		       uint32_t stride)
{
	if (payload) {
		statistics->payload_at = at;
		statistics->payload_stride = stride;
	} else {
		statistics->length_at = at;
		statistics->length_stride = stride;
	}
}

/* One kind of length or both, without times: together in a line. */
static void lengths_place(struct statistics *statistics, unsigned kinds)
{
	const uint32_t size = sizeof(struct statistics_length);
	uint32_t at =
		part_take(statistics,
			  kinds * PAIR_SIZE + sizeof(struct statistics_carry));

	lengths_at(statistics, false, at, size);
	lengths_at(statistics, true, kinds == 2 ? at + (uint32_t)PAIR_SIZE : at,
		   size);
	statistics->carry_at = at + (uint32_t)(kinds * PAIR_SIZE);
	prefetch_add(statistics, at, 0);
}

/* A line a side of times and one kind of length; a line of both sides' times
 * and the other kind, or what is carried. */
static void times_place(struct statistics *statistics, unsigned kinds)
{
	uint32_t at = part_take(statistics, (size_t)3 * LINE);

	statistics->side_at = at;
	statistics->side_stride = LINE;
	statistics->both_at = at + 2 * LINE;
	lengths_at(statistics, false, at + SIDE_SIZE, LINE);
	lengths_at(statistics, true, at + SIDE_SIZE, LINE);
	statistics->carry_at = statistics->both_at + BOTH_SIZE;
	prefetch_add(statistics, at, LINE);
	prefetch_add(statistics, statistics->both_at, 0);
	if (kinds < 2)
		return;
	lengths_at(statistics, true, statistics->both_at + BOTH_SIZE,
		   sizeof(struct statistics_length));
	statistics->carry_at =
		part_take(statistics, sizeof(struct statistics_carry));
}

/* Times alone: two lines. */
static void times_alone_place(struct statistics *statistics)
{
	uint32_t at = part_take(statistics, (size_t)2 * SIDE_SIZE + BOTH_SIZE);

	statistics->side_at = at;
	statistics->side_stride = SIDE_SIZE;
	statistics->both_at = at + 2 * SIDE_SIZE;
	prefetch_add(statistics, at, 0);
	prefetch_add(statistics, at + LINE, 0);
}

static void histogram_place(struct statistics *statistics)
{
	uint32_t at =
		part_take(statistics, sizeof(struct statistics_histogram));

	statistics->histogram_at = at;
	prefetch_add(statistics, at, LINE);
	prefetch_add(statistics,
		     at + offsetof(struct statistics_histogram, both), 0);
}

static void measures_place(struct statistics *statistics)
{
	unsigned kinds = !!(statistics->bits & FLOW_STATISTICS_LENGTH) +
			 !!(statistics->bits & FLOW_STATISTICS_PAYLOAD);
	bool times = statistics->bits & FLOW_STATISTICS_INTERVAL;

	if (times && kinds > 0)
		times_place(statistics, kinds);
	else if (times)
		times_alone_place(statistics);
	else if (kinds > 0)
		lengths_place(statistics, kinds);
}

void statistics_init(const struct flow_options *options,
		     struct statistics *ret_statistics)
{
	struct statistics *s = ret_statistics;

	memset(s, 0, sizeof *s);
	s->bits = options->statistics;
	measures_place(s);
	if (s->bits & FLOW_STATISTICS_HISTOGRAM)
		histogram_place(s);
	if (s->bits & FLOW_STATISTICS_FIRST) {
		s->first_count = options->first_count ?: FLOW_FIRST_PRESET;
		s->first_at = part_take(
			s, s->first_count * sizeof(struct statistics_first));
	}
}

size_t flow_statistics_size(const struct flow_options *options)
{
	struct statistics statistics;

	statistics_init(options, &statistics);
	return statistics.stride;
}

static void lengths_begin(const struct statistics *s, uint32_t index,
			  uint32_t at, uint32_t stride)
{
	for (unsigned side = 0; side < 2; side++) {
		struct statistics_length *length =
			statistics_at(s, index, at + side * stride);

		*length = (struct statistics_length){.min = UINT32_MAX};
	}
}

static void times_begin(const struct statistics *s, uint32_t index)
{
	struct statistics_both *both = statistics_at(s, index, s->both_at);

	for (unsigned side = 0; side < 2; side++) {
		struct statistics_side *times = statistics_at(
			s, index, s->side_at + side * s->side_stride);

		*times = (struct statistics_side){.min_ns = UINT64_MAX};
	}
	*both = (struct statistics_both){.min_ns = UINT64_MAX};
}

void statistics_begin(struct flow_table *table, uint32_t index)
{
	const struct statistics *s = &table->statistics;

	if (s->bits & (FLOW_STATISTICS_LENGTH | FLOW_STATISTICS_PAYLOAD))
		memset(statistics_at(s, index, s->carry_at), 0,
		       sizeof(struct statistics_carry));
	if (s->bits & FLOW_STATISTICS_LENGTH)
		lengths_begin(s, index, s->length_at, s->length_stride);
	if (s->bits & FLOW_STATISTICS_PAYLOAD)
		lengths_begin(s, index, s->payload_at, s->payload_stride);
	if (s->bits & FLOW_STATISTICS_INTERVAL)
		times_begin(s, index);
	if (s->bits & FLOW_STATISTICS_HISTOGRAM)
		memset(statistics_at(s, index, s->histogram_at), 0,
		       sizeof(struct statistics_histogram));
}

/* Every segment but the last has segment_bytes of payload; where that cannot
 * be, all have the same.  The sums of what they have are the frame's. */
void statistics_segments(struct flow_table *table, uint32_t index,
			 unsigned side, const struct packet *packet)
{
	struct flow_hot *hot = &table->hot[index];
	uint64_t before = hot->sums[side].packets;
	uint32_t headers = 0, last = packet->packets - 1;
	uint32_t payload = packet->segment_bytes;
	struct statistics_packet one = {.at_ns = stamp_clamp_ns(packet->at.ns)};

	if ((uint64_t)last * payload > packet->payload_bytes)
		payload = packet->payload_bytes / packet->packets;
	if (packet->ip_bytes > packet->payload_bytes)
		headers = (packet->ip_bytes - packet->payload_bytes) /
			  packet->packets;
	one.payload = payload;
	one.length = headers + payload;
	for (uint32_t i = 0; i <= last; i++) {
		if (i == last) {
			one.payload = packet->payload_bytes - last * payload;
			one.length = packet->ip_bytes - last * one.length;
		}
		statistics_add(table, index, side, &one);
		hot->sums[side].packets++;
		if (one.at_ns > hot->last_ns)
			hot->last_ns = one.at_ns;
	}
	hot->sums[side].packets = before;
}
