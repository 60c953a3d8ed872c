/* sender [--NAME VALUE...] IFACE: sends frames into IFACE from within the
 * kernel, paced and exactly counted, by far faster than a process could: for
 * a veth pair, whose other end a receiver listens on.
 *
 * Both ends of the pair need NAPI: 'ethtool -K IFACE gro on'.  Frames are
 * those of bench/traffic or of a capture file, in turn, again and again.
 * Prints one JSON object: what was sent, what the pair took of it, and what
 * that cost, the receiver's work in the kernel included where the pair's
 * NAPI runs on the sender's CPU (it does unless it has a thread).
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <ifaddrs.h>
#include <libgen.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "sender.h"
#include "sender_pool.h"

#define NS          INT64_C(1000000000)
#define BATCH_MAX   64
#define BATCHES_PPS 20000 /* at most; slower than that: frame by frame */
#define SETTLE_NS   NS

struct options {
	uint64_t pps, count, milliseconds, frames;
	const char *file;
	const char *interface;
	struct traffic_options traffic;
};

struct option_row {
	const char *name;
	size_t at;
	uint64_t min, max;
	const char *help;
};

#define OF(member) offsetof(struct options, member)

static const struct option_row rows[] = {
	{"pps", OF(pps), 0, 1000000000,
	 "frames a second, from 1,000; 0: all it can"},
	{"count", OF(count), 0, UINT32_MAX, "frames to send; 0: by time"},
	{"ms", OF(milliseconds), 1, 86400000, "how long, if not by count"},
	{"flows", OF(traffic.flows), 1, 1 << 24, "flows among the frames"},
	{"size", OF(traffic.size), 0, TRAFFIC_SIZE_MAX,
	 "bytes a frame, from 60; 0: IMIX, 7 of 60, 4 of 566, 1 of 1514"},
	{"ip6", OF(traffic.ip6_percent), 0, 100, "% of flows over IPv6"},
	{"tcp", OF(traffic.tcp), 0, 1, "1: TCP, 0: UDP"},
	{"elephant", OF(traffic.elephant_percent), 0, 100,
	 "% of frames that belong to one flow"},
	{"frames", OF(frames), 0, 1 << 24,
	 "made before they are sent again; 0: 4 a flow, at least 65,536"},
};

#define ROW_COUNT (sizeof rows / sizeof *rows)

/* Signals end the run in the kernel and do nothing here. */
static void interrupt(int number)
{
	(void)number;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS + now.tv_nsec;
}

/* -------------------------------------------------------------- options */

static uint64_t *value_of(struct options *options, const struct option_row *row)
{
	return (uint64_t *)((char *)options + row->at);
}

static struct options presets(void)
{
	return (struct options){.milliseconds = 1000,
				.traffic = traffic_options_preset()};
}

static int usage(void)
{
	struct options options = presets();

	fprintf(stderr, "usage: sender [--NAME VALUE...] IFACE\n");
	for (size_t i = 0; i < ROW_COUNT; i++)
		fprintf(stderr, "  --%-9s %s (%llu)\n", rows[i].name,
			rows[i].help,
			(unsigned long long)*value_of(&options, &rows[i]));
	fprintf(stderr, "  --file      a capture file's frames instead\n");
	return 2;
}

static int option_take(struct options *options, const char *name,
		       const char *text)
{
	char *end;

	if (strcmp(name, "file") == 0) {
		options->file = text;
		return 0;
	}
	for (size_t i = 0; i < ROW_COUNT; i++) {
		unsigned long long value;

		if (strcmp(rows[i].name, name) != 0)
			continue;
		errno = 0;
		value = strtoull(text, &end, 10);
		if (errno || end == text || *end || *text == '-' ||
		    value < rows[i].min || value > rows[i].max)
			return sender_fail("--%s %s: %llu to %llu", name, text,
					   (unsigned long long)rows[i].min,
					   (unsigned long long)rows[i].max);
		*value_of(options, &rows[i]) = value;
		return 0;
	}
	return sender_fail("--%s: no such option", name);
}

static int line_take(int argc, char **argv, struct options *options)
{
	int i = 1;

	for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
		if (option_take(options, argv[i] + 2, argv[i + 1]) < 0)
			return -1;
	}
	if (i + 1 != argc || argv[i][0] == '-')
		return -1;
	options->interface = argv[i];
	if (options->pps && options->pps < 1000)
		return sender_fail("--pps %llu: 0, or from 1,000",
				   (unsigned long long)options->pps);
	return 0;
}

/* ------------------------------------------------------ the kernel's half */

struct engine {
	struct bpf_object *object;
	volatile struct sender_counts *counts;
	int program;
	uint32_t batch;
	uint32_t room;
};

/* The object lies beside this program. */
static struct bpf_object *object_open(void)
{
	char self[4096], path[4200];
	ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);

	if (size < 0)
		return NULL;
	self[size] = '\0';
	snprintf(path, sizeof path, "%s/sender.bpf.o", dirname(self));
	return bpf_object__open_file(path, NULL);
}

/* The section of the object that holds its variables of one kind. */
static struct bpf_map *section_find(const struct bpf_object *object,
				    const char *section)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		const char *name = bpf_map__name(map);
		size_t length = strlen(name);

		if (length > strlen(section) &&
		    strcmp(name + length - strlen(section), section) == 0)
			return map;
	}
	return NULL;
}

/* What is to be constant, before the program is loaded. */
static struct sender_setup *setup_find(const struct bpf_object *object)
{
	struct bpf_map *map = section_find(object, ".rodata");
	size_t size = 0;
	struct sender_setup *setup =
		map ? (void *)bpf_map__initial_value(map, &size) : NULL;

	return size >= sizeof *setup ? setup : NULL;
}

/* What the loaded program counts; mapped until the process ends. */
static struct sender_counts *counts_map(const struct bpf_object *object)
{
	const struct bpf_map *map = section_find(object, ".bss");
	void *counts = MAP_FAILED;

	if (map && bpf_map__value_size(map) >= sizeof(struct sender_counts))
		counts = mmap(NULL, bpf_map__value_size(map), PROT_READ,
			      MAP_SHARED, bpf_map__fd(map), 0);
	return counts == MAP_FAILED ? NULL : counts;
}

static uint32_t stride_of(const struct pool *pool)
{
	size_t size = sizeof(struct sender_frame) + pool->room;

	return (uint32_t)((size + 7) & ~(size_t)7);
}

static int frames_fill(struct bpf_map *map, const struct pool *pool)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t stride = stride_of(pool);
	size_t size = (stride * pool->count + page - 1) & ~(page - 1);
	const uint8_t *from = pool->bytes;
	uint8_t *to = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			   bpf_map__fd(map), 0);

	if (to == MAP_FAILED)
		return sender_fail("the map of frames: %m");
	for (uint32_t i = 0; i < pool->count; i++) {
		struct sender_frame *frame = (void *)(to + stride * i);

		frame->size = pool->sizes[i];
		memcpy(frame->bytes, from, pool->sizes[i]);
		from += pool->sizes[i];
	}
	munmap(to, size);
	return 0;
}

static uint32_t batch_for(uint64_t pps)
{
	uint64_t batch = pps / BATCHES_PPS;

	if (pps == 0 || batch > BATCH_MAX)
		return BATCH_MAX;
	return batch ? (uint32_t)batch : 1;
}

static int engine_setup(struct engine *engine, const struct options *options,
			const struct pool *pool, struct bpf_map *map)
{
	struct sender_setup *setup = setup_find(engine->object);

	if (!setup || !map)
		return sender_fail("sender.bpf.o is not this program's");
	engine->batch = batch_for(options->pps);
	engine->room = pool->room;
	*setup = (struct sender_setup){
		.ifindex = if_nametoindex(options->interface),
		.count = pool->count,
		.room = stride_of(pool) - sizeof(struct sender_frame),
		.batch = engine->batch,
		.gap_ns = options->pps ? engine->batch * NS / options->pps : 0,
	};
	if (!setup->ifindex)
		return sender_fail("%s: no such interface", options->interface);
	bpf_map__set_value_size(map, stride_of(pool));
	bpf_map__set_max_entries(map, pool->count);
	if (bpf_object__load(engine->object))
		return sender_fail("the kernel does not take the program: %m");
	return frames_fill(map, pool);
}

static int engine_open(struct engine *engine, const struct options *options,
		       const struct pool *pool)
{
	struct bpf_map *map;

	engine->object = object_open();
	if (!engine->object)
		return sender_fail("sender.bpf.o: %m");
	map = bpf_object__find_map_by_name(engine->object, "frames");
	if (engine_setup(engine, options, pool, map) < 0)
		return -1;
	engine->counts = counts_map(engine->object);
	engine->program = bpf_program__fd(
		bpf_object__find_program_by_name(engine->object, "sender"));
	if (engine->counts)
		return 0;
	sender_fail("sender.bpf.o has no counts");
	return -1;
}

/* Sends 'count' frames; fewer after a signal. */
static int engine_run(const struct engine *engine, uint32_t count)
{
	static uint8_t page[SENDER_FRAME_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = page,
		    .data_size_in = engine->room, .repeat = (int)count,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
		    .batch_size = engine->batch);

	if (bpf_prog_test_run_opts(engine->program, &run) == 0 ||
	    errno == EINTR)
		return 0;
	return sender_fail("the kernel does not run it on live frames: %m");
}

/* --------------------------------------------------------------- sending */

struct result {
	uint64_t sent, taken, refused, bytes;
	uint64_t timed; /* frames in the two times */
	int64_t elapsed_ns, busy_ns;
};

/* What the pair took and what it did not, since it was made: 32 bits. */
static int pair_read(const char *name, uint32_t *ret_taken,
		     uint32_t *ret_refused)
{
	struct ifaddrs *all;
	int rc = -1;

	if (getifaddrs(&all) != 0)
		return sender_fail("interfaces: %m");
	for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
		const struct rtnl_link_stats *stats = one->ifa_data;

		if (strcmp(one->ifa_name, name) != 0 || !one->ifa_addr ||
		    one->ifa_addr->sa_family != AF_PACKET || !stats)
			continue;
		*ret_taken = stats->tx_packets;
		*ret_refused = stats->tx_dropped;
		rc = 0;
	}
	freeifaddrs(all);
	return rc;
}

/* One run does it all: its beginning and its end take the kernel many
 * milliseconds.  A signal ends it between two batches. */
static uint32_t frames_wanted(const struct options *options)
{
	uint64_t count = options->count;

	if (!count && options->pps)
		count = options->pps * options->milliseconds / 1000;
	return count && count < INT32_MAX ? (uint32_t)count : INT32_MAX;
}

static void alarm_set(const struct options *options)
{
	struct itimerval timer = {
		.it_interval = {0, 10000}, /* the first may come too early */
		.it_value = {(time_t)(options->milliseconds / 1000),
			     (suseconds_t)(options->milliseconds % 1000 *
					   1000)},
	};

	if (!options->count && !options->pps)
		setitimer(ITIMER_REAL, &timer, NULL);
}

static int all_send(const struct options *options, const struct engine *engine,
		    struct result *result)
{
	const volatile struct sender_counts *counts = engine->counts;
	int rc;

	if (!counts)
		return -1; /* said when it was opened */
	alarm_set(options);
	rc = engine_run(engine, frames_wanted(options));
	result->sent = counts->sent;
	result->bytes = counts->bytes;
	result->timed = counts->timed;
	result->elapsed_ns = (int64_t)(counts->last_ns - counts->first_ns);
	result->busy_ns = result->elapsed_ns - (int64_t)counts->waited_ns;
	if (rc == 0 && counts->failed)
		rc = sender_fail("%u frames could not be made", counts->failed);
	return rc;
}

/* The pair's far end may still be at work on the last of it. */
static int pair_settle(const char *name, const uint32_t before[2],
		       struct result *result)
{
	struct timespec pause = {0, 1000000};
	int64_t begin = now_ns();

	for (;;) {
		uint32_t taken = 0, refused = 0;

		if (pair_read(name, &taken, &refused) < 0)
			return -1;
		result->taken = taken - before[0];
		result->refused = refused - before[1];
		if (result->taken + result->refused >= result->sent ||
		    now_ns() - begin > SETTLE_NS)
			return 0;
		nanosleep(&pause, NULL);
	}
}

static void result_print(const struct result *result, const struct pool *pool)
{
	double seconds = (double)result->elapsed_ns / (double)NS;
	double timed = result->timed ? (double)result->timed : 1;

	printf("{\"sent\":%llu,\"taken\":%llu,\"refused\":%llu,"
	       "\"bytes\":%llu,\"seconds\":%.6f,\"pps\":%.0f,"
	       "\"busy_ns\":%.2f,\"frames\":%u,\"skipped\":%u}\n",
	       (unsigned long long)result->sent,
	       (unsigned long long)result->taken,
	       (unsigned long long)result->refused,
	       (unsigned long long)result->bytes, seconds,
	       seconds > 0 ? timed / seconds : 0,
	       (double)result->busy_ns / timed, pool->count, pool->skipped);
}

static int pool_send(const struct options *options, const struct pool *pool)
{
	struct engine engine = {0};
	struct result result = {0};
	uint32_t before[2] = {0};
	int rc = engine_open(&engine, options, pool);

	if (rc == 0 &&
	    pair_read(options->interface, &before[0], &before[1]) < 0)
		rc = sender_fail("%s: no counters", options->interface);
	if (rc == 0)
		rc = all_send(options, &engine, &result);
	if (rc == 0)
		rc = pair_settle(options->interface, before, &result);
	if (rc == 0)
		result_print(&result, pool);
	bpf_object__close(engine.object);
	return rc;
}

int main(int argc, char **argv)
{
	struct options options = presets();
	struct pool pool = {0};
	struct sigaction end = {.sa_handler = interrupt};
	int rc;

	if (line_take(argc, argv, &options) < 0)
		return usage();
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGALRM, &end, NULL);
	rc = options.file ? pool_from_file(&pool, options.file, options.frames)
			  : pool_from_traffic(&pool, &options.traffic,
					      options.frames);
	if (rc == 0)
		rc = pool_send(&options, &pool);
	pool_free(&pool);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
