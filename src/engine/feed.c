/* The captures of one thread: frames in, interfaces numbered, counted. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/clock.h"
#include "engine/engine_private.h"

#define NUMBER_UNKNOWN UINT16_MAX

static uint64_t ring_size_of(const struct engine *engine, bool live)
{
	uint64_t parts =
		live ? engine->options.target_count * engine->worker_count : 1;
	uint64_t size = engine->options.ring_size;

	if (size == 0)
		size = CAPTURE_RING_SIZE_PRESET;
	return size / (parts ? parts : 1);
}

static int source_open(struct feed *feed, struct source *source,
		       uint16_t worker, struct fault *ret_fault)
{
	const struct engine_options *options = &feed->engine->options;
	bool fanout = source->live && feed->engine->worker_count > 1;
	struct capture_options capture = {
		.backend = options->backend,
		.target = source->target,
		.ring_size = ring_size_of(feed->engine, source->live),
		.snap_size = options->snap_size,
		.promiscuous = options->promiscuous,
		.filter = options->filter,
		.stamp = options->stamp,
		.worker = worker,
		.worker_count =
			fanout ? (uint16_t)feed->engine->worker_count : 1,
		/* The kernel wants one number for all members of a group. */
		.fanout_group = (uint16_t)((uint32_t)getpid() +
					   (source - feed->sources)),
	};

	return capture_open(&capture, &source->capture, ret_fault);
}

static bool is_file_fault(int rc)
{
	return rc == ERR_FILE_FOREIGN || rc == ERR_FILE_CORRUPT ||
	       rc == ERR_FILE_TRUNCATED || rc == -EIO;
}

void feed_source_close(struct feed *feed, struct source *source)
{
	struct capture_counters counters;

	if (!source->capture)
		return;
	counters = capture_stats(source->capture);
	counters_add((uint64_t *)&feed->closed, (const uint64_t *)&counters,
		     capture_counter_count);
	capture_close(source->capture);
	source->capture = NULL;
}

/* Whether the path can be opened once more later on. */
static bool opens_again(const char *target)
{
	struct stat st;

	return stat(target, &st) == 0 && S_ISREG(st.st_mode);
}

int feed_open(struct engine *engine, struct feed *feed, uint16_t worker,
	      struct fault *ret_fault)
{
	for (size_t i = 0; i < feed->source_count; i++) {
		struct source *source = &feed->sources[i];
		int rc;

		source->target = engine->targets[i];
		source->live = feed->live;
		rc = source_open(feed, source, worker, ret_fault);
		if (is_file_fault(rc))
			continue; /* found again, and told, in its turn */
		if (rc < 0)
			return rc;
		/* Files take their turn: one open file at a time. */
		if (!feed->live && opens_again(source->target)) {
			capture_close(source->capture);
			source->capture = NULL;
		}
	}
	return 0;
}

/* The place of the hash, or the free one where it belongs. */
static struct name_slot *name_find(struct engine *engine, uint64_t hash)
{
	uint32_t at = (uint32_t)hash % NAME_SLOTS;

	while (engine->name_slots[at].used &&
	       engine->name_slots[at].hash != hash)
		at = (at + 1) % NAME_SLOTS;
	return &engine->name_slots[at];
}

/* Names that are alike as far as a record shows them are two all the same. */
static uint16_t interface_number(struct engine *engine, const char *name)
{
	uint64_t hash = XXH3_64bits(name, strlen(name));
	uint16_t number = INTERFACES_MAX;
	struct name_slot *slot;
	uint32_t count;

	pthread_mutex_lock(&engine->names_lock);
	count = atomic_load(&engine->name_count);
	slot = name_find(engine, hash);
	if (slot->used) {
		number = slot->number;
	} else if (count < INTERFACES_MAX) {
		number = (uint16_t)count;
		*slot = (struct name_slot){hash, number, true};
		strncpy(engine->names[count], name,
			FLOW_INTERFACE_NAME_SIZE - 1);
		atomic_store(&engine->name_count, count + 1);
	}
	pthread_mutex_unlock(&engine->names_lock);
	return number;
}

uint16_t feed_interface(struct feed *feed, struct source *source,
			uint16_t index)
{
	const char *name;

	if (index < source->number_count &&
	    source->numbers[index] != NUMBER_UNKNOWN)
		return source->numbers[index];
	if (index >= source->number_count) {
		uint32_t count = index + 16U;
		uint16_t *numbers =
			realloc(source->numbers, count * sizeof *numbers);

		if (!numbers)
			return INTERFACES_MAX;
		memset(numbers + source->number_count, 0xff,
		       (count - source->number_count) * sizeof *numbers);
		source->numbers = numbers;
		source->number_count = count;
	}
	name = capture_interface(source->capture, index);
	if (!name)
		return INTERFACES_MAX;
	source->numbers[index] = interface_number(feed->engine, name);
	return source->numbers[index];
}

void feed_source_return(struct feed *feed, struct source *source,
			uint32_t count)
{
	source->lent -= count;
	if (source->lent == 0 && source->ended)
		feed_source_close(feed, source);
}

/* The source failed or ended: tell, count, close. */
static void source_end(struct feed *feed, struct source *source, int rc)
{
	if (rc != ERR_END)
		engine_fault_add(feed->engine, capture_fault(source->capture));
	source->ended = true;
	feed_source_return(feed, source, 0); /* or the last one held does */
}

static int file_next(struct feed *feed, int timeout_ms, int count_max,
		     struct frame *ret_frames, struct source **ret_source)
{
	while (feed->at < feed->source_count) {
		struct source *source = &feed->sources[feed->at];
		struct fault fault;
		int rc;

		if (!source->capture) {
			rc = source_open(feed, source, 0, &fault);
			if (rc < 0) {
				engine_fault_add(feed->engine, fault.text);
				feed->at++;
				continue;
			}
		}
		rc = capture_next(source->capture, timeout_ms, count_max,
				  ret_frames);
		if (rc >= 0) {
			*ret_source = source;
			return rc;
		}
		source_end(feed, source, rc);
		feed->at++;
	}
	return ERR_END;
}

static int live_next(struct feed *feed, int count_max, struct frame *ret_frames,
		     struct source **ret_source)
{
	size_t ended = 0;

	for (size_t i = 0; i < feed->source_count; i++) {
		struct source *source = &feed->sources[feed->at];
		int rc;

		feed->at = (feed->at + 1) % feed->source_count;
		if (source->ended) {
			ended++;
			continue;
		}
		rc = capture_next(source->capture, 0, count_max, ret_frames);
		if (rc < 0)
			source_end(feed, source, rc);
		if (rc > 0) {
			*ret_source = source;
			return rc;
		}
	}
	return ended == feed->source_count ? ERR_END : 0;
}

int feed_next(struct feed *feed, int timeout_ms, int count_max,
	      struct frame *ret_frames, struct source **ret_source)
{
	int rc = feed->live ? live_next(feed, count_max, ret_frames, ret_source)
			    : file_next(feed, timeout_ms, count_max, ret_frames,
					ret_source);

	if (rc > 0)
		feed->counts.engine.frames += (uint64_t)rc;
	return rc;
}

struct capture_part *feed_ahead(struct feed *feed, uint16_t reader,
				struct source **ret_source)
{
	struct source *source;
	struct capture_part *part;

	if (feed->live || feed->at == feed->source_count)
		return NULL;
	source = &feed->sources[feed->at];
	*ret_source = source;
	if (!source->capture)
		return NULL;
	part = capture_ahead(source->capture, reader);
	source->lent += part != NULL;
	return part;
}

const struct capture_part *feed_part_next(const struct feed *feed)
{
	const struct capture *capture = NULL;

	if (!feed->live && feed->at < feed->source_count)
		capture = feed->sources[feed->at].capture;
	return capture ? capture_part_next(capture) : NULL;
}

nfds_t feed_fds(const struct feed *feed, struct pollfd *ret_fds)
{
	size_t from = feed->live ? 0 : feed->at;
	nfds_t count = 0;

	for (size_t i = from; i < feed->source_count; i++) {
		int fd = feed->sources[i].capture
				 ? capture_fd(feed->sources[i].capture)
				 : -1;

		if (fd >= 0)
			ret_fds[count++] =
				(struct pollfd){.fd = fd, .events = POLLIN};
		if (!feed->live)
			break;
	}
	return count;
}

void feed_sample(struct feed *feed)
{
	const struct engine *engine = feed->engine;

	for (size_t i = 0; i < feed->source_count; i++)
		sampler_init(&feed->sources[i].sampler, &engine->options.sample,
			     &engine->sample_seed,
			     (uint64_t)feed->index << 32 | i);
}

void feed_interfaces(struct feed *feed, struct source *source,
		     const struct frame *frames, int count,
		     uint16_t *ret_numbers)
{
	uint16_t index = count > 0 ? frames[0].interface : 0;
	uint16_t number = count > 0 ? feed_interface(feed, source, index) : 0;

	for (int i = 0; i < count; i++) {
		if (frames[i].interface != index) {
			index = frames[i].interface;
			number = feed_interface(feed, source, index);
		}
		ret_numbers[i] = number;
	}
}

static inline __attribute__((always_inline)) size_t
part_take(const struct frame_part *part, struct decode_counts *counts,
	  struct sampler *sampler, struct packet *ret_packets)
{
	size_t decoded = 0;

	for (uint32_t i = 0; i < part->count; i++) {
		struct packet_input input;
		enum verdict verdict;

		if (i + DECODE_AHEAD < part->count)
			frame_prefetch(part->frames[i + DECODE_AHEAD].bytes);
		if (sampler && !sampler_takes(sampler, part->ordinal + i)) {
			counts->not_selected++;
			continue;
		}
		frame_input(&part->frames[i], part->interfaces[i], &input);
		verdict = packet_decode(&input, &ret_packets[decoded]);
		counts->verdicts[verdict]++;
		decoded += verdict == VERDICT_OK;
	}
	return decoded;
}

size_t frames_decode(const struct frame_part *part,
		     struct decode_counts *counts, struct packet *ret_packets)
{
	struct sampler sampler;
	size_t decoded;
	uint64_t before = counts->not_selected;

	if (part->source->sampler.mode == SAMPLE_ALL) {
		decoded = part_take(part, counts, NULL, ret_packets);
	} else {
		sampler = part->source->sampler;
		decoded = part_take(part, counts, &sampler, ret_packets);
	}
	counts->selected += part->count - (counts->not_selected - before);
	counts->decoded += decoded;
	return decoded;
}

void feed_count(struct feed *feed, const struct decode_counts *counts)
{
	feed->counts.engine.selected += counts->selected;
	feed->counts.engine.not_selected += counts->not_selected;
	feed->counts.engine.decoded += counts->decoded;
	counters_add(feed->counts.verdicts, counts->verdicts, VERDICT_COUNT);
}

static double feed_progress(const struct feed *feed)
{
	double sum = (double)feed->at;
	double part = -1;

	if (feed->live)
		return -1;
	if (feed->at < feed->source_count && feed->sources[feed->at].capture)
		part = capture_progress(feed->sources[feed->at].capture);
	if (part > 0)
		sum += part;
	else if (feed->source_count == 1 && feed->at == 0)
		return -1;
	return sum / (double)feed->source_count;
}

void feed_publish(struct feed *feed, bool now)
{
	struct mono at = mono_now();

	if (!now && mono_ns_between(feed->published_at, at) < PUBLISH_NS)
		return;
	feed->published_at = at;
	feed->counts.capture = feed->closed;
	for (size_t i = 0; i < feed->source_count; i++) {
		struct capture_counters counters;

		if (!feed->sources[i].capture)
			continue;
		counters = capture_stats(feed->sources[i].capture);
		counters_add((uint64_t *)&feed->counts.capture,
			     (const uint64_t *)&counters,
			     capture_counter_count);
	}
	pthread_mutex_lock(&feed->lock);
	feed->published = feed->counts;
	feed->progress = feed_progress(feed);
	pthread_mutex_unlock(&feed->lock);
}

void feed_quiesce(struct feed *feed)
{
	for (size_t i = 0; i < feed->source_count; i++) {
		if (feed->sources[i].capture)
			(void)capture_quiesce(feed->sources[i].capture);
	}
}

void feed_close(struct feed *feed)
{
	for (size_t i = 0; i < feed->source_count; i++) {
		feed_source_close(feed, &feed->sources[i]);
		free(feed->sources[i].numbers);
		feed->sources[i].numbers = NULL;
	}
}
