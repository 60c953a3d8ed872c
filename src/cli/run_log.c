/* The log of 'sonde run' where there is no screen: a line a report, and who
 * talked most in it. */
#include <errno.h>
#include <stdarg.h>
#include <time.h>

#include "base/text.h"
#include "cli/endpoint.h"
#include "cli/run_private.h"

#define TALKERS 5

/* A reader that has gone wants no more.  Else the log has a gap, a full disk
 * for one, and capture goes on. */
static void failed(struct run *run)
{
	if (errno == EPIPE)
		run->output_gone = true;
	clearerr(stdout);
}

__attribute__((format(printf, 2, 3))) static void say(struct run *run,
						      const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (vprintf(format, arguments) < 0)
		failed(run);
	va_end(arguments);
}

static void flush(struct run *run)
{
	if (fflush(stdout) != 0)
		failed(run);
}

void run_log_begin(struct run *run)
{
	say(run, "sonde %s: capturing on %s; %s%s; Ctrl-C ends\n",
	    SONDE_VERSION, run->targets, run->store ? "database " : "no store",
	    run->store ? run->options->database : "");
	flush(run);
}

static void talker_say(struct run *run, const struct top_flow *flow)
{
	char protocol[PROTOCOL_SIZE], from[ENDPOINT_SIZE], to[ENDPOINT_SIZE];
	char rate[TEXT_SIZE], bytes[TEXT_SIZE];

	say(run, "          %-6s %-21s > %-21s %-10s %12s %9s\n",
	    protocol_text(flow->tuple.protocol, protocol),
	    endpoint_text(&flow->tuple, 0, from),
	    endpoint_text(&flow->tuple, 1, to), flow->interface,
	    text_rate_bits(flow->rate_bps[0] + flow->rate_bps[1], rate),
	    text_bytes((double)(flow->bytes[0] + flow->bytes[1]), bytes));
}

void run_log_report(struct run *run)
{
	const struct status *status = &run->status;
	struct top_query query = {.sort = TOP_BY_RATE};
	struct top_flow flows[TALKERS];
	char packets[TEXT_SIZE], bits[TEXT_SIZE], live[TEXT_SIZE];
	char dropped[TEXT_SIZE], store[300], clock[16];
	time_t now = time(NULL);
	struct tm local;
	size_t count;

	strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &local));
	status_store_text(status, store, sizeof store);
	say(run, "%s  %s packets/s  %s  %s flows  %s dropped  %s\n", clock,
	    text_count(status->rate_pps, packets),
	    text_rate_bits(status->rate_bps, bits),
	    text_thousands(status->ledger.live, live),
	    text_thousands(ledger_dropped(&status->ledger), dropped), store);
	count = top_select(run->top, &query, flows, TALKERS);
	for (size_t i = 0; i < count; i++) {
		if (flows[i].rate_pps[0] + flows[i].rate_pps[1] > 0)
			talker_say(run, &flows[i]);
	}
	flush(run);
}

void run_log_store(struct run *run)
{
	if (run->tui)
		return; /* its status line says so */
	if (run->status.store_behind)
		fprintf(stderr,
			"sonde: store: %s; capture goes on, records wait\n",
			run->status.store_fault.text);
	else
		fprintf(stderr, "sonde: store: takes records again\n");
}

void run_log_fault(struct run *run, const char *sentence)
{
	if (run->tui)
		fault_set(&run->status.notice, 0, "%s", sentence);
	else
		fprintf(stderr, "sonde: %s\n", sentence);
}
