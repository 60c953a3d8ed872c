/* What the files of the live view of 'sonde watch' share.
 *
 * Threads: the process's first.
 */
#ifndef CLI_WATCH_SCREEN_H
#define CLI_WATCH_SCREEN_H

#include "cli/tui_private.h"
#include "cli/watch_private.h"

#define SCREEN_ROWS_MAX 2000
#define SCREEN_CURVE    512

enum screen_view {
	SCREEN_CONTAINERS,
	SCREEN_PROCESSES,
	SCREEN_SOCKETS,
	SCREEN_SOCKET, /* one, with everything */
	SCREEN_LEDGER,
	SCREEN_HELP,
};

struct screen_container {
	char id[OWNER_ID_SIZE]; /* "": processes in none */
	char name[48], runtime[16], image[128];
	struct kernel_traffic traffic;
	double tx_bps, rx_bps;
	uint64_t processes, connections, retransmits;
};

struct screen_process {
	struct kernel_process_key key;
	char comm[KERNEL_COMM_SIZE];
	char container[48], user[32], command[256];
	struct kernel_traffic traffic;
	double tx_bps, rx_bps;
	uint64_t sockets, connections, established, failed, retransmits;
	bool others, ended, exact;
};

/* What is shown, so that a pause holds it still. */
struct watch_screen {
	struct tui *tui;
	enum screen_view view, before; /* before: that of help and ledger */
	enum watch_sort sort;
	bool paused, typing;
	char filter[TUI_FILTER_SIZE], typed[TUI_FILTER_SIZE];
	size_t cursor, first;

	/* Where the user went into; not: everything. */
	bool in_container, in_process;
	char container_id[OWNER_ID_SIZE], container_name[48];
	struct kernel_process_key process;
	char process_name[48];
	uint64_t socket;

	char host[64];
	int64_t asked_ns, interval_ns, elapsed_ns;
	struct watch_counters counters;
	struct kernel_sockets_counters kernel;
	struct watch_identity ledger[WATCH_IDENTITIES_MAX];
	size_t ledger_count;
	bool sound;
	double tx_bps, rx_bps;
	uint64_t before_tx, before_rx, before_turns;
	int64_t before_ns;
	double curve[SCREEN_CURVE];
	uint64_t curve_count;

	struct screen_container containers[SCREEN_ROWS_MAX];
	struct screen_process processes[SCREEN_ROWS_MAX];
	struct watch_line lines[SCREEN_ROWS_MAX];
	size_t count;     /* rows of the view */
	size_t all_count; /* that there are */
	bool has_detail;
	struct watch_line detail;
	struct watch_process_name detail_owners[KERNEL_OWNERS_MAX];
};

/* watch_screen_rows.c: takes what there is now. */
void screen_take(struct watch_screen *screen, struct watch_run *run);

/* watch_screen_draw.c */
void screen_draw(const struct watch_screen *screen);

#endif
