/* Statistics of lengths and gaps: names, bins, layout, super-frames.
 * docs/STATISTICS.md defines each.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "flow/statistics_private.h"

#define LINE 64

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

/* Both chosen: a line a side; one of them: a line for both sides. */
static void lengths_place(struct statistics *statistics)
{
	const uint32_t both = FLOW_STATISTICS_LENGTH | FLOW_STATISTICS_PAYLOAD;
	uint32_t size = sizeof(struct statistics_length), at;

	if (!(statistics->bits & both))
		return;
	if ((statistics->bits & both) == both) {
		statistics->side_stride = LINE;
		at = part_take(statistics, (size_t)2 * LINE);
		statistics->payload_at = at + size;
	} else {
		statistics->side_stride = size;
		at = part_take(statistics, (size_t)2 * size);
		statistics->payload_at = at;
	}
	statistics->length_at = at;
	prefetch_add(statistics, at, statistics->side_stride);
}

static void histogram_place(struct statistics *statistics)
{
	uint32_t at =
		part_take(statistics, sizeof(struct statistics_histogram));

	statistics->histogram_at = at;
	prefetch_add(statistics, at, LINE);
	prefetch_add(statistics, at + HISTOGRAM_INTERVAL * LINE, LINE);
	prefetch_add(statistics, at + HISTOGRAM_INTERVAL_BOTH * LINE, 0);
	prefetch_add(statistics,
		     at + offsetof(struct statistics_histogram, last_ns), 0);
}

void statistics_init(const struct flow_options *options,
		     struct statistics *ret_statistics)
{
	struct statistics *s = ret_statistics;

	memset(s, 0, sizeof *s);
	s->bits = options->statistics;
	if (s->bits & FLOW_STATISTICS_INTERVAL) {
		s->interval_at =
			part_take(s, sizeof(struct statistics_interval));
		prefetch_add(s, s->interval_at, 0);
		prefetch_add(s, s->interval_at + LINE, 0);
	}
	lengths_place(s);
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
			  uint32_t part)
{
	for (unsigned side = 0; side < 2; side++) {
		struct statistics_length *length =
			statistics_at(s, index, part + side * s->side_stride);

		*length = (struct statistics_length){.min = UINT32_MAX};
	}
}

void statistics_begin(struct flow_table *table, uint32_t index)
{
	const struct statistics *s = &table->statistics;

	if (s->bits & FLOW_STATISTICS_INTERVAL) {
		struct statistics_interval *interval =
			statistics_at(s, index, s->interval_at);

		memset(interval, 0, sizeof *interval);
		interval->sides[0].min_ns = UINT64_MAX;
		interval->sides[1].min_ns = UINT64_MAX;
		interval->min_ns = UINT64_MAX;
	}
	if (s->bits & FLOW_STATISTICS_LENGTH)
		lengths_begin(s, index, s->length_at);
	if (s->bits & FLOW_STATISTICS_PAYLOAD)
		lengths_begin(s, index, s->payload_at);
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
