/* Lines of JSON into a queue that never makes the writer wait.
 *
 * A reader that is slow must not keep a watch from its deadline: lines wait in
 * memory, and where more wait than is allowed, further ones are left out and
 * counted.
 *
 * Threads: one at a time.
 */
#ifndef CLI_WATCH_PUT_H
#define CLI_WATCH_PUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct put {
	int fd;
	char *bytes;
	size_t head, size, room; /* written up to head, filled up to size */
	size_t line;             /* where the line under way begins */
	size_t max;              /* bytes that may wait; 0: no limit */
	bool comma;              /* the next member needs one before it */
	bool short_of;           /* no memory for the line under way */
	int failed;              /* errno of writing; 0 */
	uint64_t lines, lines_lost;
};

void put_fini(struct put *put);

/* A line: put_begin("socket") opens its object and writes the type. */
void put_begin(struct put *put, const char *type);
void put_end(struct put *put);

/* Members; with a NULL name an entry of a list. */
void put_u64(struct put *put, const char *name, uint64_t value);
void put_i64(struct put *put, const char *name, int64_t value);
void put_f64(struct put *put, const char *name, double value);
void put_bool(struct put *put, const char *name, bool value);
void put_null(struct put *put, const char *name);
void put_text(struct put *put, const char *name, const char *text);
void put_object(struct put *put, const char *name);
void put_object_end(struct put *put);
void put_list(struct put *put, const char *name);
void put_list_end(struct put *put);

/* NULL and "" are null; a time of 0 is null; a number that is not known. */
void put_text_or_null(struct put *put, const char *name, const char *text);
void put_time(struct put *put, const char *name, int64_t ns);
void put_known(struct put *put, const char *name, bool known, uint64_t value);

/* Writes what can be written without waiting, or, 'wait', all.  Returns false
 * once the output has failed. */
bool put_pump(struct put *put, bool wait);
size_t put_waiting(const struct put *put);

#endif
