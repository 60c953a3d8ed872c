/* sonde rtt --sender python, --reflector python: two sides of one run, the
 * even slots in C, the odd ones in Python.  Both wait for answers asleep. */
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/python_private.h"

#define LEAD_NS    50000000 /* from "begin" to the first slot */
#define COLLECT_MS 20

struct side {
	struct rtt_sides *sides;
	enum tax_side side;
	struct path *path; /* NULL: it is the child's, or none yet */
	point_set points;
	bool ended;
	uint64_t answered, lost;
};

struct rtt_sides {
	const struct rtt_python *run;
	struct side side[TAX_SIDE_COUNT];
	struct python_child child; /* pid -1: the sender is in C */
	struct tax *tax;
	bool tax_full;
};

static bool in_python(int64_t word)
{
	return word == RTT_PYTHON;
}

int rtt_python_check(const struct rtt_options *options)
{
	const struct {
		bool given;
		const char *name;
	} foreign[] = {
		{options->echo, "echo"},
		{options->poisson, "poisson"},
		{options->hardware, "hardware"},
		{options->interleave, "interleave"},
	};
	bool forced;

	if (!in_python(options->sender) && !in_python(options->reflector))
		return -1;
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		if (foreign[i].given)
			return usage_fail("%s: not with a sender or reflector "
					  "in Python",
					  foreign[i].name);
	}
	if (options->tier > 0 &&
	    tier_chosen(options->tier, &forced) > TIER_SOCKET)
		return usage_fail("tier: with a sender or reflector in Python "
				  "T1 at most");
	return -1;
}

static void side_put(const struct side *side, const char *line)
{
	if (side->sides->run->options->json)
		printf("{\"side\":\"%s\",%s\n",
		       side->side == TAX_C ? "c" : "python", line + 1);
}

static void stamp_add(struct side *side, uint32_t seq, const char *name,
		      int64_t ns)
{
	struct rtt_sides *sides = side->sides;

	sides->tax_full |= !tax_add(sides->tax, side->side, seq, name, ns);
}

static void trip_account(struct side *side, const struct trip *trip)
{
	struct segment segments[SEGMENT_MAX];
	point_set ends = POINT_BIT(LEG_FORWARD, POINT_SEND) |
			 POINT_BIT(LEG_BACK, POINT_RECEIVE);
	size_t count = trip_segments(side->points, segments);

	if ((trip->flags & TRIP_VOID) || (trip->stamped & ends) != ends)
		return;
	stamp_add(side, trip->seq, "rtt",
		  trip->at_ns[LEG_BACK][POINT_RECEIVE] -
			  trip->at_ns[LEG_FORWARD][POINT_SEND]);
	for (size_t i = 0; i < count; i++) {
		int64_t ns;

		if (trip_segment_ns(trip, &segments[i], 0, &ns))
			stamp_add(side, trip->seq, segments[i].name, ns);
	}
}

static void trip_take(void *context, const struct trip *trip)
{
	struct side *side = context;
	char *line = NULL;
	size_t size = 0;
	FILE *text;

	trip_account(side, trip);
	if (!side->sides->run->options->json)
		return;
	text = open_memstream(&line, &size);
	if (!text)
		return;
	rtt_trip_json(trip, side->points, text);
	if (fclose(text) == 0 && size > 1) {
		line[size - 1] = 0; /* its newline */
		side_put(side, line);
	}
	free(line);
}

/* The number behind a name with its quotes and colon; false: none. */
static bool number_find(const char *line, const char *name, int64_t *ret_value)
{
	const char *at = strstr(line, name);
	char *end;

	if (!at)
		return false;
	at += strlen(name);
	*ret_value = strtoll(at, &end, 10);
	return end != at;
}

/* Lines of our own making: no blanks, no escapes. */
static void segments_account(struct side *side, const char *line, uint32_t seq)
{
	static const char head[] = "\"segments_ns\":{";
	const char *at = strstr(line, head);

	if (!at)
		return;
	at += sizeof head - 1;
	while (*at == '"') {
		const char *end = strstr(at + 1, "\":");
		char name[SEGMENT_NAME];
		char *behind;
		int64_t ns;

		if (!end || (size_t)(end - at) > sizeof name)
			return;
		memcpy(name, at + 1, (size_t)(end - at - 1));
		name[end - at - 1] = 0;
		ns = strtoll(end + 2, &behind, 10);
		if (behind != end + 2)
			stamp_add(side, seq, name, ns);
		at = strpbrk(end + 2, ",}");
		at = at && *at == ',' ? at + 1 : "";
	}
}

static void line_take(void *context, const char *line)
{
	struct side *side = context;
	int64_t seq, rtt_ns, value;

	if (*line != '{')
		return;
	side_put(side, line);
	if (strstr(line, "\"type\":\"summary\"")) {
		if (number_find(line, "\"answered\":", &value))
			side->answered = (uint64_t)value;
		if (number_find(line, "\"lost\":", &value))
			side->lost = (uint64_t)value;
		return;
	}
	if (strstr(line, "\"void\":true") ||
	    !number_find(line, "\"seq\":", &seq) ||
	    !number_find(line, "\"rtt_ns\":", &rtt_ns))
		return;
	stamp_add(side, (uint32_t)seq, "rtt", rtt_ns);
	segments_account(side, line, (uint32_t)seq);
}

/* The reflector of the odd slots. */
static struct sockaddr_storage odd_remote(const struct rtt_python *run)
{
	struct sockaddr_storage remote = *run->remote;
	struct sockaddr_in *v4 = (void *)&remote;
	struct sockaddr_in6 *v6 = (void *)&remote;
	in_port_t *port =
		remote.ss_family == AF_INET ? &v4->sin_port : &v6->sin6_port;
	int64_t given = run->options->python_port;

	if (in_python(run->options->reflector))
		*port = htons((uint16_t)(given ? given : ntohs(*port) + 1));
	return remote;
}

static void child_line(const struct rtt_python *run,
		       const struct sender_options *sender,
		       struct python_line *line)
{
	const struct rtt_options *options = run->options;
	struct sockaddr_storage remote = odd_remote(run);
	char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";

	(void)getnameinfo((struct sockaddr *)&remote, sizeof remote, host,
			  sizeof host, port, sizeof port,
			  NI_NUMERICHOST | NI_NUMERICSERV);
	if (strchr(host, ':'))
		python_line_add(line, "[%s]", host);
	else
		python_line_add(line, "%s", host);
	python_line_add(line, "--port=%s", port);
	python_line_add(line, "--rate=%.17g", sender->rate_hz);
	python_line_add(line, "--count=%u", sender->count);
	python_line_add(line, "--timeout=%.9f",
			(double)sender->timeout_ns / (double)NS_PER_S);
	python_line_add(line, "--size=%zu", sender->size);
	python_line_add(line, "--dscp=%u", sender->dscp);
	python_line_add(line, "--ttl=%u", sender->ttl);
	python_line_add(line, "--start-told");
	if (sender->dscp_wanted >= 0)
		python_line_add(line, "--reply-dscp=%d", sender->dscp_wanted);
	if (options->local)
		python_line_add(line, "--local=%s", options->local);
	if (options->interface)
		python_line_add(line, "--interface=%s", options->interface);
	if (sender->unstamped)
		python_line_add(line, "--unstamped");
	if (run->path.cpu != PATH_CPU_ANY)
		python_line_add(line, "--cpu=%d", run->path.cpu);
	if (run->path.realtime)
		python_line_add(line, "--realtime");
}

/* Every other slot. */
static struct sender_options half_of(const struct rtt_python *run, bool odd)
{
	struct sender_options half = run->path.sender;

	half.rate_hz /= 2;
	half.count = half.count / 2 + (odd ? 0 : half.count & 1);
	half.sleep = true;
	return half;
}

static int path_begin(struct rtt_sides *sides, enum tax_side which,
		      int64_t start_ns)
{
	const struct rtt_python *run = sides->run;
	struct sockaddr_storage remote =
		which == TAX_C ? *run->remote : odd_remote(run);
	struct path_options path = run->path;
	struct fault fault;

	/* What one side alone has, or pays for, compares nothing. */
	if (path.tier > TIER_SOCKET)
		path.tier = TIER_SOCKET;
	path.sender = half_of(run, which == TAX_PYTHON);
	path.sender.start_ns = start_ns;
	path.sender.remote = (const struct sockaddr *)&remote;
	if (path_start(&path, &sides->side[which].path, &fault) < 0)
		return usage_fail("rtt: %s", fault.text);
	return -1;
}

static int child_begin(struct rtt_sides *sides)
{
	struct sender_options half = half_of(sides->run, true);
	struct python_line *line = calloc(1, sizeof *line);
	struct fault fault;
	int rc;

	if (!line)
		return usage_fail("%s", "out of memory");
	child_line(sides->run, &half, line);
	rc = python_child_start("client", line, sides->run->key, &sides->child,
				&fault);
	free(line);
	return rc < 0 ? usage_fail("rtt: %s", fault.text) : -1;
}

static int sides_begin(struct rtt_sides *sides)
{
	bool child = in_python(sides->run->options->sender);
	double rate_hz = sides->run->path.sender.rate_hz;
	int rc = child ? child_begin(sides) : -1;
	int64_t start_ns = mono_now().ns + LEAD_NS;
	int64_t odd_ns = start_ns + (int64_t)((double)NS_PER_S / rate_hz);
	char text[32];

	if (rc < 0)
		rc = path_begin(sides, TAX_C, start_ns);
	if (rc >= 0)
		return rc;
	if (!child)
		return path_begin(sides, TAX_PYTHON, odd_ns);
	(void)snprintf(text, sizeof text, "%" PRId64 "\n", odd_ns);
	return python_child_write(&sides->child, text) < 0
		       ? usage_fail("rtt: the sender in Python has ended")
		       : -1;
}

/* What a signal handler may do. */
static void sides_stop(void *context)
{
	struct rtt_sides *sides = context;

	for (int i = 0; i < TAX_SIDE_COUNT; i++) {
		if (sides->side[i].path)
			path_stop(sides->side[i].path);
	}
	if (sides->child.pid > 0)
		(void)kill(sides->child.pid, SIGTERM);
}

static void path_turn(struct side *side, int timeout_ms)
{
	struct sender_counters counters;

	side->points = path_points(side->path);
	if (path_collect(side->path, timeout_ms, trip_take, side) != ERR_END)
		return;
	side->ended = true;
	counters = path_counters(side->path);
	side->answered = counters.answered;
	side->lost = counters.lost;
}

static void sides_loop(struct rtt_sides *sides)
{
	struct side *c = &sides->side[TAX_C], *other = &sides->side[TAX_PYTHON];

	signals_catch_for(sides_stop, sides);
	while (!c->ended || !other->ended) {
		if (!c->ended)
			path_turn(c, COLLECT_MS);
		if (other->path && !other->ended)
			path_turn(other, c->ended ? COLLECT_MS : 0);
		if (!other->path && !other->ended)
			other->ended = !python_child_lines(&sides->child,
							   line_take, other);
		if (c->ended && !other->ended && !other->path)
			(void)poll(NULL, 0, COLLECT_MS);
		if (sides->run->options->json && fflush(stdout) != 0)
			break;
	}
	signals_release();
}

static void summaries_print(const struct rtt_sides *sides)
{
	for (int i = 0; i < TAX_SIDE_COUNT; i++) {
		struct sender_counters counters;
		struct path *path = sides->side[i].path;
		char *line = NULL;
		size_t size = 0;
		FILE *text = path ? open_memstream(&line, &size) : NULL;

		if (!text)
			continue;
		counters = path_counters(path);
		rtt_counters_json(&counters, path_trips_lost(path), text);
		fputs("}\n", text);
		if (fclose(text) == 0 && size > 1) {
			line[size - 1] = 0;
			side_put(&sides->side[i], line);
		}
		free(line);
	}
}

static int sides_tell(const struct rtt_sides *sides)
{
	const struct rtt_options *options = sides->run->options;
	const struct side *c = &sides->side[TAX_C];
	const struct side *other = &sides->side[TAX_PYTHON];
	struct tax_title title = {
		.sender = in_python(options->sender),
		.reflector = in_python(options->reflector),
		.points = c->points,
	};
	struct sockaddr_storage remote = odd_remote(sides->run);

	if (options->json)
		summaries_print(sides);
	if (sides->tax_full)
		return usage_fail("rtt: out of memory");
	(options->json ? tax_json : tax_print)(sides->tax, &title, stdout);
	if (c->answered == 0)
		fprintf(stderr, "sonde: rtt: no answer from %s\n",
			address_show(sides->run->remote));
	if (other->answered == 0)
		fprintf(stderr, "sonde: rtt: no answer from %s%s\n",
			address_show(&remote),
			title.reflector ? "; 'sonde reflect --python-port' "
					  "there starts a reflector in Python"
					: "");
	if (c->answered == 0 || other->answered == 0)
		return EXIT_NOT_ABLE;
	return c->lost + other->lost > 0 ? EXIT_PARTIAL : EXIT_DONE;
}

int rtt_python_run(const struct rtt_python *run)
{
	struct rtt_sides sides = {
		.run = run,
		.side = {{.sides = &sides, .side = TAX_C},
			 {.sides = &sides, .side = TAX_PYTHON}},
		.child = {.pid = -1, .in = -1, .out = -1},
		.tax = tax_create(),
	};
	int rc;

	if (!sides.tax)
		return usage_fail("rtt: out of memory");
	if (run->path.sender.count == 1)
		rc = usage_fail("count: at least 2, a slot for each side");
	else
		rc = sides_begin(&sides);
	if (rc < 0) {
		sides_loop(&sides);
		rc = sides_tell(&sides);
	}
	for (int i = 0; i < TAX_SIDE_COUNT; i++)
		path_destroy(sides.side[i].path);
	(void)python_child_stop(&sides.child);
	tax_destroy(sides.tax);
	return rc;
}
