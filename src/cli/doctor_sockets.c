/* sonde doctor: what counts bytes by process here, hook by hook, each one seen
 * at work on traffic of its own. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/doctor_private.h"
#include "cli/watch_private.h"
#include "engine/engine.h"

#define TURNS 12 /* of a tenth of a second */

/* Makes a hook of each kind run: a process, a connection, datagrams, a refused
 * connection. */
static void connection_make(bool refused)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof at;
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int accepted = -1;
	char byte = 0;

	if (bind(server, (struct sockaddr *)&at, sizeof at) == 0 &&
	    getsockname(server, (struct sockaddr *)&at, &size) == 0 &&
	    (refused || listen(server, 1) == 0) &&
	    connect(client, (struct sockaddr *)&at, sizeof at) == 0)
		accepted = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	if (accepted >= 0 && send(client, &byte, 1, MSG_NOSIGNAL) == 1)
		(void)recv(accepted, &byte, 1, 0);
	if (accepted >= 0)
		close(accepted);
	close(client);
	close(server);
}

static void traffic_make(void)
{
	int echo = echo_open();
	char text[sizeof ECHO_TEXT];
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	if (child > 0)
		(void)waitpid(child, NULL, 0);
	if (echo >= 0 && echo_send(echo) >= 0)
		(void)recv(echo, text, sizeof text, MSG_DONTWAIT);
	if (echo >= 0)
		close(echo);
	connection_make(false);
	connection_make(true);
}

static void hook_tell(struct doctor *doctor, const struct kernel_hook *hook)
{
	const char *name = strrchr(hook->target, '/');
	struct finding *finding;

	name = name ? name + 1 : hook->target;
	if (hook->attached) {
		finding_add(doctor, name, FINDING_OK, "%s: loaded, attached%s",
			    hook->target,
			    hook->seen ? ", seen at work"
				       : "; not called for just now");
		return;
	}
	finding = finding_add(
		doctor, name, FINDING_WARN, "%s: %s%s%s", hook->target,
		hook->loaded ? "loaded, not attached" : "not loaded",
		hook->why && *hook->why ? ": " : "",
		hook->why ? hook->why : "");
	finding_remedy(finding, "none here; not known without it: %s",
		       hook->lost);
}

void sockets_check(struct doctor *doctor)
{
	struct watch_options options = {
		.no_links = true, .turn_ns = NS_PER_S / 10, .no_measure = true};
	const struct kernel_hook *hooks;
	struct watch *watch;
	struct fault fault;
	size_t count;

	if (watch_open(&options, &watch, &fault) < 0) {
		struct finding *finding = finding_add(
			doctor, "watch", FINDING_WARN, "%s", fault.text);

		finding_remedy(finding, "%s",
			       kernel_points_built()
				       ? "run as root, or with CAP_BPF, "
					 "CAP_PERFMON and CAP_NET_ADMIN"
				       : "build it with them");
		return;
	}
	traffic_make();
	for (int i = 0; i < TURNS; i++)
		(void)watch_turn(watch, 100);
	watch_stop(watch);
	(void)watch_turn(watch, 0);
	count = watch_hooks(watch, &hooks);
	for (size_t i = 0; i < count; i++) {
		if (hooks[i].attached || !watch_hook_spare(&hooks[i]))
			hook_tell(doctor, &hooks[i]);
	}
	watch_close(watch);
}
