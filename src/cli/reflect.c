/* sonde reflect: answers round trip packets. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli/python_private.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define AT(member)   offsetof(struct reflect_options, member)

struct reflect_options {
	int64_t port, rate, sessions, python_port, tier;
	char *local, *interface;
	bool stateless, refuse_class, hardware, json;
	struct key_options key;
	struct common_options common;
};

static const struct option_row rows[] = {
	{.name = "port",
	 .letter = 'p',
	 .type = OPTION_COUNT,
	 .offset = AT(port),
	 .preset = MESSAGE_PORT,
	 .min = 1,
	 .max = UINT16_MAX,
	 .help = "UDP port; below 1024 needs a privilege"},
	{.name = "local",
	 .type = OPTION_TEXT,
	 .offset = AT(local),
	 .min = 1,
	 .placeholder = "ADDRESS",
	 .preset_note = "all, IPv4 and IPv6",
	 .help = "answer on this address alone"},
	{.name = "interface",
	 .letter = 'i',
	 .type = OPTION_TEXT,
	 .offset = AT(interface),
	 .min = 1,
	 .placeholder = "NAME",
	 .preset_note = "all",
	 .help = "answer on this interface alone"},
	{.name = "rate",
	 .type = OPTION_COUNT,
	 .zero = true,
	 .offset = AT(rate),
	 .preset = REFLECTOR_RATE_PRESET,
	 .min = 1,
	 .max = 100000000,
	 .help = "answers a second for each prefix (IPv4 /24, IPv6 /56); 0 "
		 "sets no limit"},
	{.name = "sessions",
	 .type = OPTION_COUNT,
	 .offset = AT(sessions),
	 .preset = 4096,
	 .min = REFLECTOR_SESSIONS_MIN,
	 .max = REFLECTOR_SESSIONS_MAX,
	 .help = "senders that are remembered at most"},
	{.name = "stateless",
	 .type = OPTION_BOOL,
	 .offset = AT(stateless),
	 .help = "answers have the sender's numbers, not their own"},
	{.name = "refuse-class",
	 .type = OPTION_BOOL,
	 .offset = AT(refuse_class),
	 .help = "answers keep the request's class of service"},
	{.name = "hardware",
	 .type = OPTION_BOOL,
	 .offset = AT(hardware),
	 .help = "the network card's own stamps too"},
	{.name = "python-port",
	 .type = OPTION_COUNT,
	 .zero = true,
	 .offset = AT(python_port),
	 .min = 1,
	 .max = UINT16_MAX,
	 .preset_note = "none",
	 .help = "another reflector, in Python, on this port: what does an "
		 "interpreter add?"},
	{.name = "tier",
	 .type = OPTION_WORD,
	 .offset = AT(tier),
	 .words = tier_choices,
	 .placeholder = "TIER",
	 .help = "stamps by: T0 program, T1 socket, T2 tracepoints, T3 "
		 "functions"},
	{.name = "json",
	 .type = OPTION_BOOL,
	 .offset = AT(json),
	 .help = "print the counters as JSON"},
};

static const struct option_group groups[] = {
	{"Reflector", rows, COUNT(rows), 0},
	{"Key", key_rows, KEY_ROWS_COUNT, AT(key)},
	{"Others", common_rows, COMMON_ROWS_COUNT, AT(common)},
};

static const struct option_table table = {groups, COUNT(groups)};

static volatile sig_atomic_t stopped;

static void stop(void *object)
{
	(void)object;
	stopped = 1;
}

static int socket_add(struct reflector *reflector,
		      const struct reflect_options *options,
		      const struct sockaddr_storage *local,
		      struct fault *ret_fault)
{
	struct probe_socket_options asked = {
		.local = (const struct sockaddr *)local,
		.interface = options->interface,
		.hardware = options->hardware,
		.unstamped = options->tier == 1, /* T0 */
	};
	struct probe_socket *made;
	int rc = probe_socket_open(&asked, &made, ret_fault);

	if (rc == 0)
		rc = reflector_socket_add(reflector, made);
	if (rc == 0 && !options->json)
		fprintf(stderr, "sonde: reflect: answering on %s\n",
			address_show(local));
	return rc;
}

/* All addresses are two sockets; a host may be without one of them. */
static int sockets_add(struct reflector *reflector,
		       const struct reflect_options *options,
		       struct fault *ret_fault)
{
	struct sockaddr_storage any4, any6;
	int rc4, rc6;

	if (address_resolve("0.0.0.0", (uint16_t)options->port, AF_INET,
			    &any4) >= 0 ||
	    address_resolve("::", (uint16_t)options->port, AF_INET6, &any6) >=
		    0)
		return fault_set(ret_fault, -EINVAL, "addresses");
	rc4 = socket_add(reflector, options, &any4, ret_fault);
	if (rc4 == -EACCES || rc4 == -EADDRINUSE)
		return rc4;
	rc6 = socket_add(reflector, options, &any6, ret_fault);
	return rc4 == 0 || rc6 == 0 ? 0 : rc4;
}

static void rows_print(const struct counter_row *group, size_t count,
		       const uint64_t *values, bool json)
{
	for (size_t i = 0; i < count; i++) {
		if (json)
			printf("\"%s\":%" PRIu64 ",", group[i].name, values[i]);
		else if (values[i] > 0)
			printf("%14" PRIu64 "  %s: %s\n", values[i],
			       group[i].unit, group[i].line);
	}
}

static void counters_print(const struct reflector_counters *counters,
			   const struct watcher *watcher, bool json)
{
	struct watcher_counters watched = watcher_counters(watcher);

	if (json)
		printf("{");
	rows_print(reflector_counter_rows, reflector_counter_count,
		   (const uint64_t *)counters, json);
	rows_print(watcher_counter_rows, watcher_counter_count,
		   (const uint64_t *)&watched, json);
	if (json)
		printf("\"tier\":\"%s\"}\n", tier_words[watcher_tier(watcher)]);
}

/* The same options; it ends when we do. */
static int python_begin(const struct reflect_options *options,
			const struct key *key, struct python_child *child)
{
	struct python_line *line = calloc(1, sizeof *line);
	struct fault fault;
	int rc;

	if (!line)
		return usage_fail("%s", err_sentence(-ENOMEM));
	python_line_add(line, "--port=%d", (int)options->python_port);
	python_line_add(line, "--rate=%" PRId64, options->rate);
	python_line_add(line, "--sessions=%" PRId64, options->sessions);
	python_line_add(line, "--watch-stdin");
	if (options->local)
		python_line_add(line, "--local=%s", options->local);
	if (options->interface)
		python_line_add(line, "--interface=%s", options->interface);
	rc = python_child_start("reflector", line, key, child, &fault);
	free(line);
	return rc < 0 ? usage_fail("reflect: %s", fault.text) : -1;
}

static int reflect_loop(struct reflector *reflector,
			const struct watcher *watcher, bool json,
			struct python_child *child)
{
	struct reflector_counters counters;
	int rc = 0;

	signals_catch_for(stop, NULL);
	while (!stopped && rc >= 0) {
		rc = reflector_turn(reflector, 200);
		if (rc == 0 && child->pid > 0 && !python_child_runs(child)) {
			fprintf(stderr, "sonde: reflect: the reflector in "
					"Python has ended\n");
			(void)python_child_stop(child);
		}
	}
	signals_release();
	counters = reflector_counters(reflector);
	counters_print(&counters, watcher, json);
	if (rc < 0)
		fprintf(stderr, "sonde: reflect: %s\n", err_sentence(rc));
	return rc < 0 ? EXIT_PARTIAL : EXIT_DONE;
}

static int reflect_begin(const struct reflect_options *options,
			 struct reflector *reflector)
{
	struct sockaddr_storage local;
	struct fault fault;
	int rc = -1;

	if (options->local) {
		rc = address_resolve(options->local, (uint16_t)options->port,
				     AF_UNSPEC, &local);
		if (rc >= 0)
			return rc;
		rc = socket_add(reflector, options, &local, &fault);
	} else {
		rc = sockets_add(reflector, options, &fault);
	}
	if (rc == -EACCES && options->port < 1024)
		return usage_fail("reflect: %s; port %d needs a privilege, "
				  "ports from 1024 on do not",
				  fault.text, (int)options->port);
	return rc < 0 ? usage_fail("reflect: %s", fault.text) : -1;
}

/* What takes a privilege is done. */
static void watch_begin(const struct reflect_options *options,
			struct watcher *watcher, struct reflector *reflector)
{
	struct sockaddr_in local = {.sin_family = AF_INET,
				    .sin_port = htons((uint16_t)options->port)};
	struct sockaddr_storage storage = {0};

	memcpy(&storage, &local, sizeof local);
	(void)watcher_reflector(watcher, reflector, &storage);
	(void)privileges_drop();
	if (options->json)
		return;
	fprintf(stderr, "sonde: reflect: tier %s: %s%s%s\n",
		tier_words[watcher_tier(watcher)],
		tier_lines[watcher_tier(watcher)],
		*watcher_note(watcher) ? "; " : "", watcher_note(watcher));
}

static int reflect_run(const struct reflect_options *options)
{
	struct reflector_options made = {
		.session_count = (uint32_t)options->sessions,
		.rate_pps = (uint32_t)options->rate,
		.stateless = options->stateless,
		.refuse_class = options->refuse_class,
		.error_ns = -1,
	};
	struct python_child child = {.pid = -1, .in = -1, .out = -1};
	struct watcher_options watching = {.forced = false};
	struct reflector *reflector;
	struct watcher *watcher;
	struct fault fault;
	struct key key;
	int rc = key_read(&options->key, &key);

	if (rc >= 0)
		return rc;
	made.key = key.size > 0 ? key.bytes : NULL;
	made.key_size = key.size;
	watching.tier = tier_chosen(options->tier, &watching.forced);
	watching.points = (struct kernel_points_options){.reflector = true,
							 .keyed = key.size > 0};
	if (watcher_open(&watching, &watcher, &fault) < 0)
		return usage_fail("reflect: %s", fault.text);
	made.watch = watcher_probe(watcher);
	rc = reflector_create(&made, &reflector);
	if (rc < 0) {
		watcher_close(watcher);
		return usage_fail("reflect: %s", err_sentence(rc));
	}
	rc = reflect_begin(options, reflector);
	if (rc < 0 && options->python_port > 0)
		rc = python_begin(options, &key, &child);
	if (rc < 0) {
		watch_begin(options, watcher, reflector);
		rc = reflect_loop(reflector, watcher, options->json, &child);
	}
	(void)python_child_stop(&child);
	reflector_destroy(reflector);
	watcher_close(watcher);
	return rc;
}

static int reflect_main(const struct verb *verb, int argc, char **argv)
{
	struct reflect_options options;
	struct option_line line = {NULL, 0, {""}};
	int rc;

	if (options_init(verb->options, &options) < 0)
		return usage_fail("%s", err_sentence(-ENOMEM));
	rc = verb_line_parse(verb, argc, argv, &options, &line);
	if (rc < 0 && line.rest_count > 0)
		rc = usage_fail("reflect: takes no arguments");
	if (rc < 0)
		rc = reflect_run(&options);
	options_fini(verb->options, &options);
	return rc;
}

const struct verb reflect_verb = {
	.name = "reflect",
	.main = reflect_main,
	.synopsis = "[OPTION...]",
	.line = "answer round trip packets, for 'sonde rtt' elsewhere",
	.about = "A STAMP reflector (RFC 8762, RFC 8972) that also answers "
		 "TWAMP Light. Tells its\n"
		 "own stamps of each packet to senders that ask. Never sends "
		 "more bytes than it\n"
		 "got, nor more packets than the rate allows to a prefix. "
		 "Runs until interrupted,\n"
		 "then prints what it counted.",
	.examples = "  sonde reflect\n"
		    "  sonde reflect --port 8620 --key-file ./key\n"
		    "  sonde reflect --port 8620 --python-port 8621\n",
	.options = &table,
};
