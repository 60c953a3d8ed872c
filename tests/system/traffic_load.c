/* Many connections, and a receiver that does not keep up. */
#include "traffic.h"

#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

static char bytes[1 << 16];
static int go[2]; /* says that all was sent, by its end */

/* ---- a receiver that does not keep up
 * ---------------------------------------------------------- */

static void role_slow(void *argument)
{
	const struct endpoint *to = argument;
	struct timeval silence = {0, 200000};

	close(go[1]);
	need(received(read(to->listener, bytes, sizeof bytes)) > 0, "read");
	(void)!read(go[0], bytes, 1); /* until all is sent */
	(void)setsockopt(to->listener, SOL_SOCKET, SO_RCVTIMEO, &silence,
			 sizeof silence);
	receive_all(to->listener);
}

static void role_flood(void *argument)
{
	int fd = endpoint_connect(argument);

	for (int i = 0; i < 3000; i++)
		need(sent(send(fd, bytes, 1000, 0)) == 1000, "send");
}

void load_overflow(void)
{
	static struct endpoint to;
	int room = 50000;

	need(pipe(go) == 0, "pipe");
	endpoint_open(&to, AF_INET, SOCK_DGRAM, 0, 0);
	(void)setsockopt(to.listener, SOL_SOCKET, SO_RCVBUFFORCE, &room,
			 sizeof room);
	(void)spawn("receiver", role_slow, &to);
	(void)spawn("sender", role_flood, &to);
	close(go[0]);
	close(go[1]);
	close(to.listener);
}

/* ---- many connections
 * ------------------------------------------------------------------------- */

#define QUESTION 32

struct churn {
	struct endpoint to;
	int count; /* of each client */
};

static void role_server(void *argument)
{
	const struct churn *churn = argument;

	for (;;) {
		int fd = endpoint_accept(&churn->to);
		ssize_t size = received(read(fd, bytes, QUESTION));

		if (size == 1)
			return; /* the word to end */
		if (size > 0)
			(void)sent(send(fd, bytes, 1, MSG_NOSIGNAL));
		close(fd);
	}
}

static void role_client(void *argument)
{
	const struct churn *churn = argument;
	const struct linger at_once = {1, 0};

	for (int i = 0; i < churn->count; i++) {
		int fd = endpoint_connect(&churn->to);

		need(sent(write(fd, bytes, QUESTION)) == QUESTION, "write");
		need(received(read(fd, bytes, 1)) == 1, "read");
		/* No port is left waiting. */
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once,
				 sizeof at_once);
		close(fd);
	}
}

void load_connections(int count)
{
	static struct churn churn;
	pid_t clients[2], servers[2];
	int status;

	churn.count = count / 2;
	endpoint_open(&churn.to, AF_INET, SOCK_STREAM, 0, 0);
	for (int i = 0; i < 2; i++)
		servers[i] = spawn("server", role_server, &churn);
	for (int i = 0; i < 2; i++)
		clients[i] = spawn("client", role_client, &churn);
	for (int i = 0; i < 2; i++)
		need(waitpid(clients[i], &status, 0) > 0 && status == 0,
		     "client");
	for (int i = 0; i < 2; i++) {
		int fd = endpoint_connect(&churn.to);

		need(sent(write(fd, bytes, 1)) == 1, "write");
		need(servers[i] > 0, "server");
		/* Each ends one of them. */
		(void)wait(&status);
		close(fd);
	}
	tell("main");
}
