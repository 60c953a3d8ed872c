/* Public captures, read as others read them: packet counts as capinfos has
 * them, lengths and times as tshark, block counts as the captures' own notes.
 *
 * Known differences, none of which a case here meets:
 *   - capinfos refuses link types that it does not know; they are read here.
 *   - pcapng packets of an interface that the section did not describe, and
 *     simple packets before any: capinfos ends there; they are counted as
 *     unusable here and reading goes on.  So it is after an option that does
 *     not fit its block.
 *   - a file that ends 1 to 7 bytes into a block: cut, where capinfos sees
 *     nothing wrong; the packets are the same.
 *   - tshark takes the 4 bytes of SunATM's pseudo header (link type 123) off
 *     the lengths, and shows a wire length under the captured one as it is.
 *   - tshark 4.0 computes fractions finer than 10^-10 s, and than 2^-34 s, in
 *     64 bits, which overflow.
 */
#include "make_file.h"

#include <ftw.h>
#include <sys/wait.h>

#define FILES_MAX   4096
#define FAULTS_MAX  10 /* to print of one kind */
#define SAMPLE_STEP 80 /* every so many files go through tshark as well */

static char data[512]; /* the folder of captures */
static char *files[FILES_MAX];
static int file_count;

static int file_found(const char *path, const struct stat *st, int type,
		      struct FTW *at)
{
	const char *end = strrchr(path, '.');

	(void)st;
	(void)at;
	if (type != FTW_F || !end || file_count == FILES_MAX)
		return 0;
	if (strcmp(end, ".pcap") == 0 || strcmp(end, ".pcapng") == 0 ||
	    strcmp(end, ".cap") == 0)
		files[file_count++] = strdup(path);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lists the captures of some sets; skips the test where one is absent. */
static void need_files(const char *const *sets)
{
	char path[600];

	while (file_count > 0)
		free(files[--file_count]);
	for (; *sets; sets++) {
		(void)snprintf(path, sizeof path, "%s/%s", data, *sets);
		if (access(path, R_OK) != 0)
			check_skip("the captures '%s' are not there (%s)",
				   *sets, path);
		/* one thread: NOLINTNEXTLINE(concurrency-mt-unsafe) */
		(void)nftw(path, file_found, 16, FTW_PHYS);
	}
	qsort(files, (size_t)file_count, sizeof files[0], by_name);
	assert_true(file_count > 0);
}

static FILE *tool_start(const char *const *arguments, pid_t *ret_pid)
{
	char *const *list;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	*ret_pid = fork();
	assert_true(*ret_pid >= 0);
	if (*ret_pid == 0) {
		(void)dup2(fds[1], STDOUT_FILENO);
		(void)close(fds[0]);
		if (!freopen("/dev/null", "w", stderr))
			_exit(127);
		memcpy(&list, &arguments, sizeof list); /* sheds const */
		(void)execvp(arguments[0], list);
		_exit(127);
	}
	(void)close(fds[1]);
	return fdopen(fds[0], "r");
}

/* Returns the tool's exit status; 127: there is no such tool. */
static int tool_end(FILE *output, pid_t pid)
{
	int status = 0;

	(void)fclose(output);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void need_tool(const char *name)
{
	const char *const arguments[] = {name, "--version", NULL};
	pid_t pid;
	FILE *output = tool_start(arguments, &pid);

	while (fgetc(output) != EOF)
		;
	if (tool_end(output, pid) != 0)
		check_skip("'%s' is not installed", name);
}

/* --- counts ------------------------------------------------------------- */

static bool count_is(const char *path, int count)
{
	struct reading got = read_path(path);
	static int faults;

	free(got.seen);
	if (got.count == count)
		return true;
	if (faults++ < FAULTS_MAX)
		print_message("# %s: %d packets, capinfos has %d; %s\n", path,
			      got.count, count, got.fault.text);
	return false;
}

static void reads_as_many_packets_as_capinfos(void **state)
{
	static const char *const sets[] = {"ndpi", "tcpdump", "pcapng-gen",
					   NULL};
	static const char *arguments[FILES_MAX + 3] = {"capinfos", "-McTr"};
	char line[1024];
	int compared = 0, same = 0;
	pid_t pid;
	FILE *output;

	(void)state;
	need_files(sets);
	need_tool(arguments[0]);
	memcpy(arguments + 2, files, (size_t)file_count * sizeof files[0]);
	output = tool_start(arguments, &pid);
	while (fgets(line, sizeof line, output)) {
		char *tab = strchr(line, '\t');

		if (!tab)
			continue;
		*tab = 0;
		compared++;
		same += count_is(line, (int)strtol(tab + 1, NULL, 10));
	}
	(void)tool_end(output, pid);
	print_message("# %d of %d captures have capinfos's count; %d it does "
		      "not read\n",
		      same, compared, file_count - compared);
	assert_true(compared > 1000);
	assert_int_equal(same, compared);
}

/* "EPB: 6" in the notes beside a capture. */
static int notes_count(const char *path)
{
	static const char *const kinds[] = {"EPB: ", "SPB: ", "PB: "};
	char notes[600], line[256];
	int count = 0;
	FILE *file;

	(void)snprintf(notes, sizeof notes, "%.*s.txt",
		       (int)(strrchr(path, '.') - path), path);
	file = fopen(notes, "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file)) {
		const char *at = line + strspn(line, " \t");

		for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
			size_t size = strlen(kinds[i]);

			if (strncmp(at, kinds[i], size) == 0)
				count += (int)strtol(at + size, NULL, 10);
		}
	}
	(void)fclose(file);
	return count;
}

static void reads_what_the_notes_say_is_inside(void **state)
{
	static const char *const sets[] = {"pcapng-gen", NULL};

	(void)state;
	need_files(sets);
	assert_int_equal(file_count, 48);
	for (int i = 0; i < file_count; i++) {
		struct reading got = read_path(files[i]);

		assert_int_equal(got.rc, ERR_END);
		assert_int_equal(got.count, notes_count(files[i]));
		assert_int_equal(got.counters.unusable, 0);
		free(got.seen);
	}
}

/* --- times and lengths -------------------------------------------------- */

static void seen_print(const struct seen *seen, char *line, size_t size)
{
	char at[32] = "";

	if (seen->source != STAMP_NONE)
		(void)snprintf(at, sizeof at, "%lld.%09lld",
			       (long long)(seen->ns / NS_PER_S),
			       (long long)(seen->ns % NS_PER_S));
	(void)snprintf(line, size, "%s\t%u\t%u", at, seen->size,
		       seen->captured_size);
}

/* What tshark prints of 'path', one packet a line, against 'got'.  It gives
 * a line to other blocks too, with no encapsulation at its end. */
static bool tshark_agrees(const char *path, const struct reading *got)
{
	const char *const arguments[] = {"tshark", "-n",
					 "-r",     path,
					 "-T",     "fields",
					 "-e",     "frame.time_epoch",
					 "-e",     "frame.len",
					 "-e",     "frame.cap_len",
					 "-e",     "frame.encap_type",
					 NULL};
	char line[256], ours[256];
	bool same = true;
	int count = 0;
	FILE *output;
	pid_t pid;

	output = tool_start(arguments, &pid);
	while (fgets(line, sizeof line, output)) {
		char *encapsulation = strrchr(line, '\t');

		if (!encapsulation || encapsulation[1] == '\n')
			continue;
		*encapsulation = 0;
		if (same && count < got->count) {
			seen_print(&got->seen[count], ours, sizeof ours);
			same = strcmp(line, ours) == 0;
		}
		if (!same && count < got->count)
			print_message("# %s: '%s', tshark '%s'\n", path, ours,
				      line);
		count++;
	}
	(void)tool_end(output, pid);
	return same && count == got->count;
}

static void check_tshark(const char *const *sets, int step)
{
	int compared = 0, same = 0;

	need_files(sets);
	need_tool("tshark");
	for (int i = 0; i < file_count; i += step) {
		struct reading got = read_path(files[i]);

		compared++;
		if (tshark_agrees(files[i], &got))
			same++;
		else
			print_message("# %s: differs\n", files[i]);
		free(got.seen);
	}
	print_message("# %d of %d captures have tshark's times and lengths\n",
		      same, compared);
	assert_int_equal(same, compared);
}

static void reads_times_and_lengths_as_tshark(void **state)
{
	static const char *const sets[] = {"pcapng-gen", NULL};

	(void)state;
	check_tshark(sets, 1);
}

static void reads_a_sample_of_the_rest_as_tshark(void **state)
{
	static const char *const sets[] = {"ndpi", "tcpdump", NULL};

	(void)state;
	check_tshark(sets, SAMPLE_STEP);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_as_many_packets_as_capinfos),
		cmocka_unit_test(reads_what_the_notes_say_is_inside),
		cmocka_unit_test(reads_times_and_lengths_as_tshark),
		cmocka_unit_test(reads_a_sample_of_the_rest_as_tshark),
	};
	const char *asked = secure_getenv("SONDE_DATA");

	(void)snprintf(data, sizeof data, "%s%s",
		       asked
			       ?: argc > 1 ? argv[1]
					   : ".",
		       asked ? "" : "/../shared/data");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
