/* sonde rtt HOST: round trips, stamped at every layer. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/python_private.h"
#include "cli/rtt_private.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define AT(member)   offsetof(struct rtt_options, member)

static const struct option_row send_rows[] = {
	{.name = "port",
	 .letter = 'p',
	 .type = OPTION_COUNT,
	 .offset = AT(port),
	 .preset = MESSAGE_PORT,
	 .min = 1,
	 .max = UINT16_MAX,
	 .help = "the reflector's UDP port"},
	{.name = "rate",
	 .letter = 'r',
	 .type = OPTION_COUNT,
	 .offset = AT(rate),
	 .preset = 10,
	 .min = 1,
	 .max = 20000,
	 .placeholder = "HZ",
	 .help = "packets a second"},
	{.name = "interval",
	 .type = OPTION_DURATION,
	 .zero = true,
	 .offset = AT(interval_ns),
	 .min = NS_PER_S / 20000,
	 .max = 1000 * NS_PER_S,
	 .preset_note = "by the rate",
	 .help = "instead of a rate: time between packets"},
	{.name = "count",
	 .letter = 'n',
	 .type = OPTION_COUNT,
	 .zero = true,
	 .offset = AT(count),
	 .min = 1,
	 .max = UINT32_MAX / 2,
	 .preset_note = "until interrupted",
	 .help = "so many packets"},
	{.name = "duration",
	 .type = OPTION_DURATION,
	 .zero = true,
	 .offset = AT(duration_ns),
	 .min = NS_PER_S / 1000,
	 .max = NS_PER_S * 86400 * 365,
	 .preset_note = "until interrupted",
	 .help = "instead of a count: so long"},
	{.name = "poisson",
	 .type = OPTION_BOOL,
	 .offset = AT(poisson),
	 .help = "at random moments (RFC 2330), not at even ones"},
	{.name = "seed",
	 .type = OPTION_COUNT,
	 .zero = true,
	 .offset = AT(seed),
	 .preset = 1,
	 .max = INT64_MAX,
	 .help = "of the random moments: the same seed gives the same"},
	{.name = "timeout",
	 .type = OPTION_DURATION,
	 .offset = AT(timeout_ns),
	 .preset = NS_PER_S,
	 .min = NS_PER_S / 1000,
	 .max = 10 * NS_PER_S,
	 .help = "what is answered later is lost"},
	{.name = "sleep",
	 .type = OPTION_BOOL,
	 .offset = AT(sleep),
	 .help = "wait for answers asleep, as most programs do"},
	{.name = "cpu",
	 .type = OPTION_COUNT,
	 .zero = true,
	 .offset = AT(cpu),
	 .preset = PATH_CPU_ANY,
	 .max = 1023,
	 .preset_note = "any",
	 .help = "send and receive on this CPU alone"},
	{.name = "realtime",
	 .type = OPTION_BOOL,
	 .offset = AT(realtime),
	 .help = "with real-time priority where permitted"},
};

static const struct option_row packet_rows[] = {
	{.name = "size",
	 .letter = 's',
	 .type = OPTION_COUNT,
	 .zero = true,
	 .offset = AT(size),
	 .min = MESSAGE_SIZE_MIN,
	 .max = MESSAGE_SIZE_MAX,
	 .preset_note = "as its fields need",
	 .placeholder = "BYTES",
	 .help = "UDP payload; short ones have no room for every stamp"},
	{.name = "dscp",
	 .type = OPTION_COUNT,
	 .zero = true,
	 .offset = AT(dscp),
	 .max = 63,
	 .help = "class of service"},
	{.name = "reply-dscp",
	 .type = OPTION_COUNT,
	 .zero = true,
	 .offset = AT(reply_dscp),
	 .preset = -1,
	 .max = 63,
	 .preset_note = "the same",
	 .help = "class of service of the answers"},
	{.name = "ttl",
	 .type = OPTION_COUNT,
	 .offset = AT(ttl),
	 .preset = 255,
	 .min = 1,
	 .max = 255,
	 .help = "time to live, hop limit"},
	{.name = "echo",
	 .type = OPTION_BOOL,
	 .offset = AT(echo),
	 .help = "the peer is a plain UDP echo server, no reflector"},
};

static const struct option_row host_rows[] = {
	{.name = "ipv4",
	 .letter = '4',
	 .type = OPTION_BOOL,
	 .offset = AT(ip4),
	 .help = "the host's IPv4 address"},
	{.name = "ipv6",
	 .letter = '6',
	 .type = OPTION_BOOL,
	 .offset = AT(ip6),
	 .help = "the host's IPv6 address"},
	{.name = "local",
	 .type = OPTION_TEXT,
	 .offset = AT(local),
	 .min = 1,
	 .placeholder = "ADDRESS",
	 .preset_note = "by the route",
	 .help = "send from this address"},
	{.name = "interface",
	 .letter = 'i',
	 .type = OPTION_TEXT,
	 .offset = AT(interface),
	 .min = 1,
	 .placeholder = "NAME",
	 .preset_note = "by the route",
	 .help = "send and receive on this interface alone"},
	{.name = "hardware",
	 .type = OPTION_BOOL,
	 .offset = AT(hardware),
	 .help = "the network card's own stamps too"},
	{.name = "tier",
	 .type = OPTION_WORD,
	 .offset = AT(tier),
	 .words = tier_choices,
	 .placeholder = "TIER",
	 .help = "stamps by: T0 program, T1 socket, T2 tracepoints, T3 "
		 "functions"},
	{.name = "unstamped",
	 .type = OPTION_BOOL,
	 .offset = AT(unstamped),
	 .help = "without the kernel's stamps: the application's alone"},
	{.name = "interleave",
	 .type = OPTION_BOOL,
	 .offset = AT(interleave),
	 .help = "stamp every other packet: what do stamps cost?"},
};

static const char *const language_words[] = {"c", "python", NULL};

static const struct option_row tax_rows[] = {
	{.name = "sender",
	 .type = OPTION_WORD,
	 .offset = AT(sender),
	 .words = language_words,
	 .help = "python: send every other packet from Python, and compare"},
	{.name = "reflector",
	 .type = OPTION_WORD,
	 .offset = AT(reflector),
	 .words = language_words,
	 .help = "python: send every other packet to one in Python"},
	{.name = "python-port",
	 .type = OPTION_COUNT,
	 .zero = true,
	 .offset = AT(python_port),
	 .min = 1,
	 .max = UINT16_MAX,
	 .preset_note = "the one behind the port",
	 .help = "UDP port of the reflector in Python"},
};

static const struct option_row view_rows[] = {
	{.name = "json",
	 .type = OPTION_BOOL,
	 .offset = AT(json),
	 .help = "an object a packet, a line each, then a summary"},
	{.name = "explain",
	 .type = OPTION_BOOL,
	 .offset = AT(explain),
	 .help = "what was slower for a while, and why"},
	{.name = "against",
	 .type = OPTION_TEXT,
	 .offset = AT(against),
	 .min = 1,
	 .placeholder = "FILE[#RUN]",
	 .preset_note = "within this run",
	 .help = "what moved since an earlier run (--store), and why"},
	{.name = "store",
	 .type = OPTION_TEXT,
	 .offset = AT(store),
	 .min = 1,
	 .placeholder = "FILE",
	 .preset_note = "none is kept",
	 .help = "keep packets and histograms in a database"},
	{.name = "plot",
	 .type = OPTION_TEXT,
	 .offset = AT(plot),
	 .min = 1,
	 .placeholder = "PREFIX",
	 .preset_note = "none",
	 .help = "write PREFIX-waterfall.svg, -times.svg, -cdf.svg"},
};

static const struct option_row watch_rows[] = {
	{.name = "watch",
	 .type = OPTION_TEXT,
	 .offset = AT(watch),
	 .min = 1,
	 .placeholder = "PID|PORT",
	 .preset_note = "packets of our own",
	 .help = "instead of a host: stamp another program's requests and "
		 "replies"},
};

static const struct option_group groups[] = {
	{"Sending", send_rows, COUNT(send_rows), 0},
	{"Packets", packet_rows, COUNT(packet_rows), 0},
	{"Host", host_rows, COUNT(host_rows), 0},
	{"Key", key_rows, KEY_ROWS_COUNT, AT(key)},
	{"Other programs", watch_rows, COUNT(watch_rows), 0},
	{"Interpreter", tax_rows, COUNT(tax_rows), 0},
	{"View", view_rows, COUNT(view_rows), 0},
	{"Others", common_rows, COMMON_ROWS_COUNT, AT(common)},
};

static const struct option_table table = {groups, COUNT(groups)};

/* A run and everybody who wants its trips; NULL: does not. */
struct rtt {
	const struct rtt_options *options;
	struct path *path;
	point_set points;
	struct rtt_result result;
	struct rtt_explain *explain;
	struct rtt_store *store;
	struct rtt_plot *plot;
	struct rtt_screen *screen;
	int rc; /* of what failed meanwhile */
};

static void trip_take(void *context, const struct trip *trip)
{
	struct rtt *rtt = context;

	if (rtt_result_trip(&rtt->result, trip, rtt->points) < 0)
		rtt->rc = -ENOMEM;
	if (rtt->options->json)
		rtt_trip_json(trip, rtt->points, stdout);
	if (rtt->explain)
		rtt_explain_trip(rtt->explain, trip);
	if (rtt->store)
		rtt_store_trip(rtt->store, trip);
	if (rtt->plot)
		rtt_plot_trip(rtt->plot, trip);
	if (rtt->screen)
		rtt_screen_trip(rtt->screen, trip);
}

static void path_stop_it(void *path)
{
	path_stop(path);
}

static void rtt_collect(struct rtt *rtt)
{
	int rc = 0;

	while (rc != ERR_END && rtt->rc == 0) {
		rtt->points = path_points(rtt->path);
		rc = path_collect(rtt->path, 100, trip_take, rtt);
		if (rtt->options->json && fflush(stdout) != 0)
			break;
		if (rtt->store)
			rtt_store_tick(rtt->store);
		if (rtt->screen && !rtt_screen_turn(rtt->screen, &rtt->result))
			path_stop(rtt->path);
	}
}

static int terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 80)
		return 80;
	return size.ws_col;
}

static void result_print(struct rtt *rtt)
{
	if (rtt->options->json) {
		rtt_summary_json(&rtt->result, stdout);
		if (rtt->explain)
			rtt_explain_print(rtt->explain, true, stdout);
		fputs("}\n", stdout);
		return;
	}
	rtt_table_print(&rtt->result, terminal_width(), stdout);
	if (rtt->explain)
		rtt_explain_print(rtt->explain, false, stdout);
}

/* Whatever was measured is told and kept, however the run ended. */
static int rtt_finish(struct rtt *rtt)
{
	const struct sender_counters *counters = &rtt->result.counters;
	bool kept = true;

	rtt_screen_close(rtt->screen);
	rtt->screen = NULL;
	rtt->result.counters = path_counters(rtt->path);
	rtt->result.trips_lost = path_trips_lost(rtt->path);
	rtt_result_end(&rtt->result);
	result_print(rtt);
	if (rtt->store)
		kept &= rtt_store_close(rtt->store);
	if (rtt->plot)
		kept &= rtt_plot_close(rtt->plot, &rtt->result);
	if (counters->answered > 0)
		return counters->lost > 0 || !kept ? EXIT_PARTIAL : EXIT_DONE;
	if (*sender_refusal(path_sender(rtt->path)))
		fprintf(stderr, "sonde: rtt: %s\n",
			sender_refusal(path_sender(rtt->path)));
	fprintf(stderr, "sonde: rtt: no answer to %llu packets\n",
		(unsigned long long)counters->sent);
	return EXIT_NOT_ABLE;
}

static int rtt_loop(struct rtt *rtt)
{
	signals_catch_for(path_stop_it, rtt->path);
	rtt_collect(rtt);
	signals_release();
	return rtt_finish(rtt);
}

static double rate_of(const struct rtt_options *options)
{
	if (options->interval_ns > 0)
		return (double)NS_PER_S / (double)options->interval_ns;
	return (double)options->rate;
}

static struct sender_options
sender_options_of(const struct rtt_options *options, const struct key *key)
{
	double count = (double)options->count;

	if (options->duration_ns > 0)
		count = rate_of(options) * (double)options->duration_ns /
			(double)NS_PER_S;
	if (options->duration_ns > 0 && count < 1)
		count = 1;
	return (struct sender_options){
		.interface = options->interface,
		.key = key->size > 0 ? key->bytes : NULL,
		.key_size = key->size,
		.echo = options->echo,
		.poisson = options->poisson,
		.seed = (uint64_t)options->seed,
		.rate_hz = rate_of(options),
		.count = (uint32_t)count,
		.size = (size_t)options->size,
		.dscp = (uint8_t)options->dscp,
		.dscp_wanted = (int)options->reply_dscp,
		.ttl = (uint8_t)options->ttl,
		.sleep = options->sleep,
		.hardware = options->hardware,
		.unstamped = options->unstamped,
		.interleave = options->interleave,
		.timeout_ns = options->timeout_ns,
		.error_ns = -1,
	};
}

/* Before the first packet: what cannot be kept need not be sent. */
static int outputs_open(struct rtt *rtt, const char *host,
			const struct sockaddr_storage *remote)
{
	const struct rtt_options *options = rtt->options;
	int rc = -1;

	rtt->result = (struct rtt_result){
		.options = options,
		.host = host,
		.rate_hz = rate_of(options),
		.started = wall_now(),
	};
	(void)snprintf(rtt->result.address, sizeof rtt->result.address, "%s",
		       address_show(remote));
	if (rtt_result_init(&rtt->result) < 0)
		return usage_fail("rtt: %s", err_sentence(-ENOMEM));
	if (options->explain || options->against)
		rc = rtt_explain_open(options->against, rtt->result.address,
				      &rtt->explain);
	if (rc < 0 && options->plot)
		rc = rtt_plot_open(options->plot, &rtt->plot);
	if (rc < 0 && options->store)
		rc = rtt_store_open(options->store, &rtt->result, &rtt->store);
	return rc;
}

/* Nothing was sent. */
static void outputs_drop(struct rtt *rtt)
{
	if (rtt->store)
		(void)rtt_store_close(rtt->store);
	if (rtt->plot)
		(void)rtt_plot_close(rtt->plot, &rtt->result);
	rtt_explain_close(rtt->explain);
	rtt_result_fini(&rtt->result);
}

static int rtt_run(const struct rtt_options *options, const char *host)
{
	struct rtt rtt = {.options = options};
	struct path_options path = {.cpu = (int)options->cpu,
				    .realtime = options->realtime};
	struct sockaddr_storage remote, local = {0};
	int family = options->ip4 == options->ip6 ? AF_UNSPEC
		     : options->ip4               ? AF_INET
						  : AF_INET6;
	struct fault fault;
	struct key key;
	int rc = key_read(&options->key, &key);

	if (rc < 0)
		rc = address_resolve(host, (uint16_t)options->port, family,
				     &remote);
	if (rc >= 0)
		return rc;
	local.ss_family = remote.ss_family;
	if (options->local)
		rc = address_resolve(options->local, 0, remote.ss_family,
				     &local);
	if (rc >= 0)
		return rc;
	path.sender = sender_options_of(options, &key);
	path.sender.local = (const struct sockaddr *)&local;
	path.sender.remote = (const struct sockaddr *)&remote;
	path.tier = tier_chosen(options->tier, &path.tier_forced);
	if (options->unstamped || path.tier == TIER_APPLICATION) {
		path.tier = TIER_APPLICATION;
		path.sender.unstamped = true;
	}
	if (options->sender == RTT_PYTHON || options->reflector == RTT_PYTHON)
		return rtt_python_run(
			&(struct rtt_python){options, path, &remote, &key});
	rc = outputs_open(&rtt, host, &remote);
	if (rc < 0 && path_start(&path, &rtt.path, &fault) < 0)
		rc = usage_fail("rtt: %s", fault.text);
	if (rc >= 0) {
		outputs_drop(&rtt);
		return rc;
	}
	(void)privileges_drop();
	rtt.result.watcher = path_watcher(rtt.path);
	rtt.result.size = sender_size(path_sender(rtt.path));
	if (!options->json && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO))
		rtt.screen = rtt_screen_open();
	rc = rtt_loop(&rtt);
	path_destroy(rtt.path);
	rtt_explain_close(rtt.explain);
	rtt_result_fini(&rtt.result);
	return rc;
}

static int rtt_main(const struct verb *verb, int argc, char **argv)
{
	struct rtt_options options;
	struct option_line line = {
		.rest = calloc((size_t)argc + 1, sizeof *line.rest)};
	int rc;

	if (!line.rest || options_init(verb->options, &options) < 0) {
		free(line.rest);
		return usage_fail("%s", err_sentence(-ENOMEM));
	}
	rc = verb_line_parse(verb, argc, argv, &options, &line);
	if (rc < 0 && options.watch && line.rest_count != 0)
		rc = usage_fail("rtt: takes a host or --watch, not both");
	if (rc < 0 && !options.watch && line.rest_count != 1)
		rc = usage_fail("rtt: takes one host");
	if (rc < 0 && options.count > 0 && options.duration_ns > 0)
		rc = usage_fail("count, duration: only one of them");
	if (rc < 0 && options.watch)
		rc = rtt_watch_run(&options);
	if (rc < 0)
		rc = rtt_python_check(&options);
	if (rc < 0)
		rc = rtt_run(&options, line.rest[0]);
	options_fini(verb->options, &options);
	free(line.rest);
	return rc;
}

const struct verb rtt_verb = {
	.name = "rtt",
	.main = rtt_main,
	.synopsis = "HOST[:PORT] [OPTION...]\n--watch PID|PORT [OPTION...]",
	.line = "round trips to a reflector, stamped at every layer",
	.about = "Sends numbered packets (STAMP, RFC 8762) to 'sonde reflect' "
		 "or another STAMP or\n"
		 "TWAMP Light reflector and joins the stamps of the "
		 "application, the kernel and\n"
		 "the wire on both hosts: how much of the delay is whose. "
		 "Exits with 3 if packets\n"
		 "were lost, with 1 if none was answered.",
	.examples = "  sonde rtt 192.0.2.1\n"
		    "  sonde rtt host.example --count 1000 --rate 1k --json\n"
		    "  sonde rtt [2001:db8::1]:8620 --key-file ./key\n"
		    "  sonde rtt 192.0.2.1 --sender python --count 1000\n"
		    "  sonde rtt --watch port:53 --duration 1m\n",
	.options = &table,
};
