/* The table: its memory, counters and notes. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "owner/owner_private.h"

const struct counter_row owner_counter_rows[] = {OWNER_COUNTERS(COUNTER_ROW)};
const size_t owner_counter_count =
	sizeof owner_counter_rows / sizeof *owner_counter_rows;

#define PRESET(member, value) \
	options->member = options->member ? options->member : (value)

static void presets(struct owner_options *options)
{
	PRESET(root, "");
	PRESET(process_max, 65536);
	PRESET(cgroup_max, 16384);
	PRESET(container_max, 4096);
	PRESET(text_bytes, (size_t)64 * 1024 * 1024);
	PRESET(command_size, 1024);
	PRESET(turn_reads, 1000);
	PRESET(scans_hz, 4);
	if (options->process_max < 16)
		options->process_max = 16;
	if (options->cgroup_max < 16)
		options->cgroup_max = 16;
	if (options->container_max < 4)
		options->container_max = 4;
	if (options->command_size > OWNER_PATH_SIZE - 1)
		options->command_size = OWNER_PATH_SIZE - 1;
}

static int take_memory(struct owner_table *table)
{
	const struct owner_options *options = &table->options;
	int rc = 0;

	table->processes =
		calloc(options->process_max, sizeof *table->processes);
	table->queue = calloc(options->process_max, sizeof *table->queue);
	table->cgroups = calloc(options->cgroup_max, sizeof *table->cgroups);
	table->containers =
		calloc(options->container_max, sizeof *table->containers);
	table->helpers = calloc(OWNER_HELPERS, sizeof *table->helpers);
	table->users = calloc(OWNER_USERS, sizeof *table->users);
	if (!table->processes || !table->queue || !table->cgroups ||
	    !table->containers || !table->helpers || !table->users)
		return -ENOMEM;
	rc |= owner_index_init(&table->by_pid, options->process_max);
	rc |= owner_index_init(&table->by_id, options->cgroup_max);
	rc |= owner_index_init(&table->by_path, options->cgroup_max);
	rc |= owner_index_init(&table->by_name, options->container_max);
	rc |= owner_index_init(&table->by_cgroup, options->container_max);
	rc |= owner_index_init(&table->by_space, options->container_max);
	rc |= owner_texts_init(&table->texts, options->text_bytes);
	return rc ? -ENOMEM : 0;
}

/* All slots are free, the first at the front. */
static void chain_free(struct owner_table *table)
{
	for (uint32_t i = 0; i < table->options.process_max; i++)
		table->processes[i].next =
			i + 1 < table->options.process_max ? i + 1 : OWNER_NONE;
	table->free = 0;
	table->oldest = table->newest = OWNER_NONE;
}

static int open_root(struct owner_table *table, const char *root,
		     struct fault *ret_fault)
{
	int rc;

	table->root_fd =
		open(*root ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (table->root_fd >= 0)
		return 0;
	rc = -errno;
	return fault_set(ret_fault, rc, "%s: %s", *root ? root : "/",
			 err_sentence(rc));
}

int owner_table_create(const struct owner_options *options,
		       struct owner_table **ret_table, struct fault *ret_fault)
{
	struct owner_table *table = calloc(1, sizeof *table);
	int rc;

	if (!table)
		return fault_set(ret_fault, -ENOMEM, "no memory for processes");
	table->root_fd = table->tree_fd = -1;
	table->options = *options;
	presets(&table->options);
	table->rooted = *table->options.root != 0;
	rc = open_root(table, table->options.root, ret_fault);
	if (rc != 0)
		goto fail;
	rc = take_memory(table) ?: owner_folders_init(table);
	if (rc != 0) {
		fault_set(ret_fault, rc, "no memory for %u processes",
			  table->options.process_max);
		goto fail;
	}
	table->options.root = NULL; /* not ours */
	table->options.folders = NULL;
	chain_free(table);
	owner_tree_open(table);
	owner_proc_begin(table);
	owner_clock_read(table);
	*ret_table = table;
	return 0;
fail:
	owner_table_destroy(table);
	return rc;
}

void owner_table_destroy(struct owner_table *table)
{
	if (!table)
		return;
	owner_texts_fini(&table->texts);
	owner_index_fini(&table->by_pid);
	owner_index_fini(&table->by_id);
	owner_index_fini(&table->by_path);
	owner_index_fini(&table->by_name);
	owner_index_fini(&table->by_cgroup);
	owner_index_fini(&table->by_space);
	owner_folders_fini(table);
	for (size_t i = 0; i < table->note_count; i++)
		free(table->notes[i]);
	free(table->users);
	free(table->helpers);
	free(table->containers);
	free(table->cgroups);
	free(table->queue);
	free(table->processes);
	if (table->tree_fd >= 0)
		close(table->tree_fd);
	if (table->root_fd >= 0)
		close(table->root_fd);
	free(table);
}

uint64_t owner_boot_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)(ts.tv_sec * NS_PER_S + ts.tv_nsec);
}

void owner_clock_read(struct owner_table *table)
{
	int64_t fixed = table->options.wall_of_boot_ns;

	table->wall_offset_ns =
		fixed ? fixed : wall_now().ns - (int64_t)owner_boot_now();
}

static size_t count_live(const struct owner_table *table)
{
	size_t live = 0;

	for (uint32_t i = 0; i < table->options.process_max; i++)
		live += table->processes[i].life == LIFE_LIVE;
	return live;
}

struct owner_counters owner_counters(const struct owner_table *table)
{
	struct owner_counters counters = table->counters;

	counters.processes_live = count_live(table);
	counters.texts_refused = table->texts.refused;
	for (uint32_t i = 0; i < table->options.container_max; i++) {
		if (table->containers[i].used) {
			counters.containers_named += table->containers[i].named;
			counters.containers_unnamed +=
				!table->containers[i].named;
		}
	}
	return counters;
}

const char *owner_note(const struct owner_table *table, size_t index)
{
	return index < table->note_count ? table->notes[index] : NULL;
}

void owner_note_add(struct owner_table *table, const char *format, ...)
{
	struct fault sentence;
	va_list arguments;
	char text[sizeof sentence.text];

	if (table->note_count == OWNER_NOTES_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	fault_set(&sentence, 0, "%s", text);
	for (size_t i = 0; i < table->note_count; i++) {
		if (strcmp(table->notes[i], sentence.text) == 0)
			return;
	}
	table->notes[table->note_count] = strdup(sentence.text);
	table->note_count += table->notes[table->note_count] != NULL;
}

struct owner owner_find(struct owner_table *table, uint32_t pid,
			uint64_t start_ns, uint64_t cgroup_id)
{
	struct owner owner = {NULL, NULL};

	if (pid != 0)
		owner.process = owner_process_find(table, pid, start_ns);
	if (owner.process)
		owner.container = owner.process->container;
	if (!owner.container && cgroup_id != 0)
		owner.container = owner_container_of(table, cgroup_id);
	return owner;
}

const char *owner_runtime_word(enum owner_runtime runtime)
{
#define WORD(name, word) [name] = word,
	static const char *const words[] = {OWNER_RUNTIMES(WORD)};
#undef WORD

	return runtime < OWNER_RUNTIME_COUNT ? words[runtime] : NULL;
}
