/* Starting a module of the package sonde_rtt.
 *
 * The interpreter runs isolated (-I): neither the working folder nor the
 * environment decides what is imported. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/python_private.h"

#define READY_MS    10000
#define END_MS      3000
#define PIPE_SIZE   (1 << 20)
#define READ_SIZE   ((size_t)65536)
#define INTERPRETER "python3"

extern char **environ;

static const char program[] =
	"import sys\n"
	"sys.path.insert(0, sys.argv[1])\n"
	"import importlib\n"
	"main = importlib.import_module('sonde_rtt.' + sys.argv[2]).main\n"
	"sys.exit(main(sys.argv[3:]))\n";

void python_line_add(struct python_line *line, const char *format, ...)
{
	va_list arguments;

	if (line->count == PYTHON_ARGUMENTS_MAX)
		return;
	va_start(arguments, format);
	(void)vsnprintf(line->texts[line->count++], PYTHON_TEXT_MAX, format,
			arguments);
	va_end(arguments);
}

static bool package_in(const char *folder)
{
	char path[PYTHON_TEXT_MAX + 32];

	(void)snprintf(path, sizeof path, "%s/sonde_rtt/client.py", folder);
	return access(path, R_OK) == 0;
}

/* Beside the program where it was built, below the prefix that it was
 * installed or moved to, or where it was configured to be. */
static bool package_find(char *ret_folder, size_t room)
{
	static const char *const below[] = {"python", "../share/sonde/python"};
	char self[PYTHON_TEXT_MAX];
	ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	self[size > 0 ? size : 0] = 0;
	slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	for (size_t i = 0; slash && i < sizeof below / sizeof *below; i++) {
		if ((size_t)snprintf(ret_folder, room, "%s/%s", self,
				     below[i]) < room &&
		    package_in(ret_folder))
			return true;
	}
	(void)snprintf(ret_folder, room, "%s", SONDE_PYTHON_FOLDER);
	return package_in(ret_folder);
}

static int spawn(char *const *arguments, const int *pipes, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t all;
	int rc;

	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_adddup2(&files, pipes[0], 0);
	posix_spawn_file_actions_adddup2(&files, pipes[3], 1);
	rc = -posix_spawnp(ret_pid, INTERPRETER, &files, &attributes, arguments,
			   environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

static int child_spawn(const char *module, struct python_line *line,
		       struct python_child *child, struct fault *ret_fault)
{
	char folder[PYTHON_TEXT_MAX], name[32];
	char *arguments[PYTHON_ARGUMENTS_MAX + 8] = {
		(char[]){INTERPRETER}, (char[]){"-IB"}, (char[]){"-c"},
		(char *)program,       folder,          name};
	int pipes[4] = {-1, -1, -1, -1};
	int rc;

	if (!package_find(folder, sizeof folder))
		return fault_set(ret_fault, -ENOENT,
				 "the package sonde_rtt is not in %s", folder);
	(void)snprintf(name, sizeof name, "%s", module);
	for (size_t i = 0; i < line->count; i++)
		arguments[6 + i] = line->texts[i];
	if (pipe2(pipes, O_CLOEXEC) < 0 || pipe2(pipes + 2, O_CLOEXEC) < 0)
		rc = -errno;
	else
		rc = spawn(arguments, pipes, &child->pid);
	if (pipes[0] >= 0)
		close(pipes[0]);
	if (pipes[3] >= 0)
		close(pipes[3]);
	child->in = pipes[1];
	child->out = pipes[2];
	if (rc < 0)
		child->pid = -1;
	return rc < 0 ? fault_set(ret_fault, rc,
				  INTERPRETER ": %s; Python 3.9 or newer is "
					      "needed for this",
				  rc == -ENOENT ? "is not installed"
						: err_sentence(rc))
		      : 0;
}

int python_child_write(struct python_child *child, const char *text)
{
	size_t size = strlen(text);

	return write(child->in, text, size) == (ssize_t)size ? 0 : -EPIPE;
}

static int key_write(struct python_child *child, const struct key *key)
{
	char text[2 * MESSAGE_KEY_SIZE_MAX + 2];
	size_t size = 0;

	for (size_t i = 0; i < key->size; i++)
		size += (size_t)snprintf(text + size, sizeof text - size,
					 "%02x", key->bytes[i]);
	if (size == 0)
		return 0;
	text[size++] = '\n';
	text[size] = 0;
	return python_child_write(child, text);
}

static void line_ready(void *context, const char *line)
{
	bool *ready = context;

	*ready |= strstr(line, "\"ready\"") != NULL;
}

int python_child_start(const char *module, struct python_line *line,
		       const struct key *key, struct python_child *ret_child,
		       struct fault *ret_fault)
{
	struct python_child *child = ret_child;
	struct pollfd wait;
	bool ready = false, more = true;
	int rc;

	*child = (struct python_child){.pid = -1, .in = -1, .out = -1};
	if (key->size > 0)
		python_line_add(line, "--key-file=-");
	rc = child_spawn(module, line, child, ret_fault);
	if (rc == 0 && key_write(child, key) < 0)
		more = false;
	if (rc == 0) {
		(void)fcntl(child->out, F_SETFL, O_NONBLOCK);
		(void)fcntl(child->out, F_SETPIPE_SZ, PIPE_SIZE);
	}
	wait = (struct pollfd){child->out, POLLIN, 0};
	while (rc == 0 && more && !ready && poll(&wait, 1, READY_MS) > 0)
		more = python_child_lines(child, line_ready, &ready);
	if (rc == 0 && !ready)
		rc = fault_set(ret_fault, -ESRCH,
			       "the %s in Python did not start", module);
	if (rc < 0)
		(void)python_child_stop(child);
	return rc;
}

/* Room for a read and a zero behind. */
static bool room_make(struct python_child *child)
{
	char *more;

	if (child->room - child->size > READ_SIZE)
		return true;
	more = realloc(child->bytes, child->room + 2 * READ_SIZE);
	if (!more)
		return false;
	child->bytes = more;
	child->room += 2 * READ_SIZE;
	return true;
}

static void lines_take(struct python_child *child,
		       void (*take)(void *context, const char *line),
		       void *context)
{
	char *at = child->bytes, *end;

	while ((end = memchr(at, '\n',
			     child->size - (size_t)(at - child->bytes)))) {
		*end = 0;
		take(context, at);
		at = end + 1;
	}
	child->size -= (size_t)(at - child->bytes);
	memmove(child->bytes, at, child->size);
}

bool python_child_lines(struct python_child *child,
			void (*take)(void *context, const char *line),
			void *context)
{
	ssize_t size;

	do {
		if (!room_make(child))
			return false;
		size = read(child->out, child->bytes + child->size, READ_SIZE);
		if (size <= 0)
			return size < 0 && (errno == EAGAIN || errno == EINTR);
		child->size += (size_t)size;
		lines_take(child, take, context);
	} while (size == (ssize_t)READ_SIZE);
	return true;
}

bool python_child_runs(struct python_child *child)
{
	siginfo_t info = {.si_pid = 0};

	return child->pid > 0 &&
	       waitid(P_PID, (id_t)child->pid, &info,
		      WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0;
}

int python_child_stop(struct python_child *child)
{
	int status = 0;

	if (child->in >= 0)
		close(child->in);
	if (child->pid > 0) {
		if (python_child_runs(child))
			(void)kill(child->pid, SIGTERM);
		for (int ms = 0; ms < END_MS && python_child_runs(child); ms++)
			(void)poll(NULL, 0, 1);
		if (python_child_runs(child))
			(void)kill(child->pid, SIGKILL);
		(void)waitpid(child->pid, &status, 0);
	}
	if (child->out >= 0)
		close(child->out);
	free(child->bytes);
	*child = (struct python_child){.pid = -1, .in = -1, .out = -1};
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
