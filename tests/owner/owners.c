/* owners [OPTION...]: who runs on this host, as JSON lines.
 *
 *     --root DIR            read below DIR
 *     --folder RUNTIME=DIR  one more folder of a runtime
 *     --time COUNT          how long a scan takes with so many more processes
 * A scan; then another for every line of standard input.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "owner/owner.h"

#define FOLDERS_MAX 16

static void put_row(const char *type, const struct field_table *fields,
		    const void *record)
{
	static char value[2 * OWNER_PATH_SIZE * 6];

	printf("{\"type\":\"%s\"", type);
	for (size_t i = 0; i < fields->count; i++) {
		field_json(&fields->rows[i], record, value, sizeof value);
		printf(",\"%s\":%s", fields->rows[i].name, value);
	}
	puts("}");
}

static void put_all(const struct owner_table *table)
{
	static struct owner_process_record process_record;
	static struct owner_container_record container_record;
	struct owner_counters counters = owner_counters(table);
	const uint64_t *values = (const uint64_t *)&counters;

	for (const struct owner_process *process =
		     owner_process_next(table, NULL);
	     process; process = owner_process_next(table, process)) {
		owner_process_record(process, &process_record);
		put_row("process", &owner_process_fields, &process_record);
	}
	for (const struct owner_container *container =
		     owner_container_next(table, NULL);
	     container; container = owner_container_next(table, container)) {
		owner_container_record(container, &container_record);
		put_row("container", &owner_container_fields,
			&container_record);
	}
	for (size_t i = 0; owner_note(table, i); i++) {
		char text[1024];

		json_quote(owner_note(table, i), text, sizeof text);
		printf("{\"type\":\"note\",\"text\":%s}\n", text);
	}
	printf("{\"type\":\"end\"");
	for (size_t i = 0; i < owner_counter_count; i++)
		printf(",\"%s\":%llu", owner_counter_rows[i].name,
		       (unsigned long long)values[i]);
	puts("}");
	(void)fflush(stdout);
}

static enum owner_runtime runtime_of(const char *text, size_t length)
{
	for (int i = 1; i < OWNER_RUNTIME_COUNT; i++) {
		const char *word = owner_runtime_word((enum owner_runtime)i);

		if (strlen(word) == length && memcmp(word, text, length) == 0)
			return (enum owner_runtime)i;
	}
	fprintf(stderr, "owners: '%s': no such runtime\n", text);
	exit(2);
}

static void scan(struct owner_table *table)
{
	struct fault fault;

	if (owner_scan(table, &fault) != 0) {
		fprintf(stderr, "owners: %s\n", fault.text);
		exit(1);
	}
}

/* Children that sleep until this process ends. */
static void begin_children(int count)
{
	for (int i = 0; i < count; i++) {
		pid_t child = fork();

		if (child < 0) {
			perror("owners: fork");
			exit(1);
		}
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
	}
}

static void time_scans(struct owner_table *table, int children)
{
	begin_children(children);
	for (int i = 0; i < 5; i++) {
		struct mono begin = mono_now();

		scan(table);
		printf("%.1f ms, %llu processes\n",
		       (double)mono_ns_between(begin, mono_now()) / 1e6,
		       (unsigned long long)owner_counters(table)
			       .processes_live);
	}
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"root", required_argument, NULL, 'r'},
		{"folder", required_argument, NULL, 'f'},
		{"time", required_argument, NULL, 't'},
		{NULL, 0, NULL, 0},
	};
	struct owner_folder folders[FOLDERS_MAX];
	struct owner_options options = {.folders = folders};
	struct owner_table *table;
	struct fault fault;
	int children = -1;
	char line[64];
	int which;

	while ((which = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (which == 'r') {
			options.root = optarg;
		} else if (which == 'f' && strchr(optarg, '=') &&
			   options.folder_count < FOLDERS_MAX) {
			size_t length = strcspn(optarg, "=");

			folders[options.folder_count++] = (struct owner_folder){
				runtime_of(optarg, length),
				optarg + length + 1};
		} else if (which == 't') {
			children = atoi(optarg);
		} else {
			return 2;
		}
	}
	if (owner_table_create(&options, &table, &fault) != 0) {
		fprintf(stderr, "owners: %s\n", fault.text);
		return 1;
	}
	if (children >= 0) {
		time_scans(table, children);
	} else {
		do {
			scan(table);
			put_all(table);
		} while (fgets(line, sizeof line, stdin));
	}
	owner_table_destroy(table);
	return 0;
}
