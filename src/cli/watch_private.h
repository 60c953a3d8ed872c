/* What the files of 'sonde watch' share.
 *
 * Threads: the process's first.
 */
#ifndef CLI_WATCH_PRIVATE_H
#define CLI_WATCH_PRIVATE_H

#include <stdio.h>

#include "cli/cli_private.h"
#include "cli/watch_put.h"

#define WATCH_TOP_MAX 1000

enum watch_sort {
	WATCH_SORT_BYTES,
	WATCH_SORT_TX,
	WATCH_SORT_RX,
	WATCH_SORT_RATE,
	WATCH_SORT_CONNECTIONS,
	WATCH_SORT_RETRANSMITS,
	WATCH_SORT_NAME,
	WATCH_SORT_COUNT
};

extern const char *const watch_sort_words[WATCH_SORT_COUNT + 1];

struct watch_cli_options {
	int64_t duration_ns, interval_ns;
	bool json, events, samples, per_socket, tui, cost, interfaces;
	int64_t top, sort;
	struct option_list pids, containers, ports;
	int64_t sockets, processes, drops, rows;
	int64_t events_size, buckets_size;
	bool other_families, existing;
	struct common_options common;
};

/* A connection as the tables show it. */
struct watch_line {
	struct kernel_socket kernel;
	struct kernel_traffic traffic;
	struct kernel_process_key owner; /* its main user */
	char comm[KERNEL_COMM_SIZE];
	char container[40];
	double tx_bps, rx_bps;
	bool ended;
};

void watch_line_set(struct watch_line *line, const struct watch_socket *socket);

struct watch_screen;

/* The verb's run. */
struct watch_run {
	const struct watch_cli_options *options;
	struct watch *watch;
	struct put put;
	struct watch_screen *screen; /* NULL: none */
	struct watch_line *top;      /* the connections that moved most */
	size_t top_count, top_max;
	bool filtered;
	bool other_pids; /* this is not the first pid namespace */
};

/* What that costs: the kernel walks through our namespace's tasks alone. */
#define WATCH_OTHER_PIDS                                                    \
	"this is not the first pid namespace: processes have its numbers, " \
	"and of those outside of ours bytes that no socket's record has "   \
	"(Unix, packet) are missing, by as much as the ledger's residue"

/* Sorting: below zero: a goes first. */
int watch_process_compare(const struct watch_process *a,
			  const struct watch_process *b, enum watch_sort sort);
int watch_container_compare(const struct watch_container *a,
			    const struct watch_container *b,
			    enum watch_sort sort);
int watch_line_compare(const struct watch_line *a, const struct watch_line *b,
		       enum watch_sort sort);

/* watch_json*.c */
void watch_json_begin(struct watch_run *run);
void watch_json_interval(struct watch_run *run,
			 const struct watch_interval *interval);
void watch_json_socket(struct watch_run *run, const char *type,
		       const struct watch_socket *socket);
void watch_json_event(struct watch_run *run,
		      const struct kernel_socket *socket);
void watch_json_process(struct watch_run *run,
			const struct watch_process *process);
void watch_json_end(struct watch_run *run, const char *ended);

/* watch_text.c: "192.0.2.1:443", "*:22"; "established"; what is not so. */
#define WATCH_ENDPOINT_SIZE 64
char *watch_endpoint(const struct kernel_socket *socket, bool peer,
		     char ret_text[static WATCH_ENDPOINT_SIZE]);
/* NULL: has no address. */
const char *watch_address(const struct kernel_socket *socket, bool peer,
			  char ret_text[static WATCH_ENDPOINT_SIZE]);
/* NULL: not a state of TCP. */
const char *watch_state_word(uint8_t state);
const char *watch_container_name(const struct watch_container *container);
/* Calls for each sentence; returns how many. */
typedef void watch_sentence(void *context, const char *sentence);
size_t watch_findings(const struct watch_run *run, watch_sentence *each,
		      void *context);
/* Nothing is lost without this one. */
bool watch_hook_spare(const struct kernel_hook *hook);
size_t watch_losses(const struct watch *watch, watch_sentence *each,
		    void *context);

/* watch_table.c */
void watch_table_print(struct watch_run *run, FILE *to);

/* watch_screen.c: the live view; NULL: no terminal. */
struct watch_screen *watch_screen_open(const struct watch_cli_options *options);
void watch_screen_close(struct watch_screen *screen);
/* After a reading. */
void watch_screen_update(struct watch_screen *screen, struct watch_run *run);
/* Keys; false: the user quits. */
bool watch_screen_keys(struct watch_screen *screen, struct watch_run *run);

#endif
