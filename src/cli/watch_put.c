/* Lines of JSON, and the queue in front of the output. */
#include "cli/watch_put.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digits.h"
#include "base/field.h"

#define ROOM_FIRST  65536
#define ROOM_NUMBER 64
#define CHUNK       4096 /* PIPE_BUF: what poll() promises to take */

void put_fini(struct put *put)
{
	free(put->bytes);
	put->bytes = NULL;
}

/* Room for 'size' more bytes; NULL: there is none, the line is lost. */
static char *put_room(struct put *put, size_t size)
{
	size_t room = put->room ? put->room : ROOM_FIRST;
	char *bytes;

	if (put->size + size <= put->room)
		return put->bytes + put->size;
	while (room < put->size + size)
		room *= 2;
	bytes = put->short_of ? NULL : realloc(put->bytes, room);
	if (!bytes) {
		put->short_of = true;
		return NULL;
	}
	put->bytes = bytes;
	put->room = room;
	return bytes + put->size;
}

static void raw(struct put *put, const char *text, size_t size)
{
	char *at = put_room(put, size);

	if (!at)
		return;
	memcpy(at, text, size);
	put->size += size;
}

static void name_put(struct put *put, const char *name)
{
	if (put->comma)
		raw(put, ",", 1);
	put->comma = true;
	if (!name)
		return;
	raw(put, "\"", 1);
	raw(put, name, strlen(name));
	raw(put, "\":", 2);
}

void put_begin(struct put *put, const char *type)
{
	if (put->head > 0 && put->head == put->size)
		put->head = put->size = 0;
	put->line = put->size;
	put->comma = put->short_of = false;
	raw(put, "{", 1);
	put_text(put, "type", type);
}

void put_end(struct put *put)
{
	raw(put, "}\n", 2);
	put->lines++;
	if (!put->short_of &&
	    (put->max == 0 || put->size - put->head <= put->max))
		return;
	put->lines_lost++;
	put->size = put->line;
}

void put_u64(struct put *put, const char *name, uint64_t value)
{
	char *at;

	name_put(put, name);
	at = put_room(put, ROOM_NUMBER);
	if (at)
		put->size += (size_t)(digits_put_u64(at, value) - at);
}

void put_i64(struct put *put, const char *name, int64_t value)
{
	char *at;

	name_put(put, name);
	at = put_room(put, ROOM_NUMBER);
	if (at)
		put->size += (size_t)(digits_put_i64(at, value) - at);
}

void put_f64(struct put *put, const char *name, double value)
{
	char text[ROOM_NUMBER];
	int size = snprintf(text, sizeof text, "%.6g", value);

	name_put(put, name);
	raw(put, text, (size_t)size);
}

void put_bool(struct put *put, const char *name, bool value)
{
	name_put(put, name);
	raw(put, value ? "true" : "false", value ? 4 : 5);
}

void put_null(struct put *put, const char *name)
{
	name_put(put, name);
	raw(put, "null", 4);
}

void put_text(struct put *put, const char *name, const char *text)
{
	size_t size = json_quote(text, NULL, 0);
	char *at;

	name_put(put, name);
	at = put_room(put, size + 1);
	if (!at)
		return;
	(void)json_quote(text, at, size + 1);
	put->size += size;
}

void put_object(struct put *put, const char *name)
{
	name_put(put, name);
	raw(put, "{", 1);
	put->comma = false;
}

void put_object_end(struct put *put)
{
	raw(put, "}", 1);
	put->comma = true;
}

void put_list(struct put *put, const char *name)
{
	name_put(put, name);
	raw(put, "[", 1);
	put->comma = false;
}

void put_list_end(struct put *put)
{
	raw(put, "]", 1);
	put->comma = true;
}

void put_text_or_null(struct put *put, const char *name, const char *text)
{
	if (text && *text)
		put_text(put, name, text);
	else
		put_null(put, name);
}

void put_time(struct put *put, const char *name, int64_t ns)
{
	if (ns != 0)
		put_i64(put, name, ns);
	else
		put_null(put, name);
}

void put_known(struct put *put, const char *name, bool known, uint64_t value)
{
	if (known)
		put_u64(put, name, value);
	else
		put_null(put, name);
}

/* ---------------------------------------------------------------- output */

static bool takes(int fd, bool wait)
{
	struct pollfd poll_fd = {fd, POLLOUT, 0};

	return poll(&poll_fd, 1, wait ? -1 : 0) > 0;
}

static void head_close(struct put *put)
{
	if (put->head < put->size && put->head < put->room / 2)
		return;
	memmove(put->bytes, put->bytes + put->head, put->size - put->head);
	put->size -= put->head;
	put->head = 0;
}

bool put_pump(struct put *put, bool wait)
{
	while (!put->failed && put->head < put->size && takes(put->fd, wait)) {
		size_t size = put->size - put->head;
		ssize_t done = write(put->fd, put->bytes + put->head,
				     size < CHUNK ? size : CHUNK);

		if (done > 0)
			put->head += (size_t)done;
		else if (errno != EINTR && errno != EAGAIN)
			put->failed = errno;
	}
	if (put->bytes)
		head_close(put);
	return !put->failed;
}

size_t put_waiting(const struct put *put)
{
	return put->size - put->head;
}
