/* Files of lines: LXC's config, LXD's backup.yaml, /proc/PID/stat, arguments.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "owner/parse.h"

#define PF_KTHREAD 0x00200000 /* <linux/sched.h> */

struct line {
	const char *at;
	size_t length;
};

/* The next line of what is left; false: no more. */
static bool line_next(const char **at, const char *end, struct line *ret_line)
{
	const char *newline;

	if (*at >= end)
		return false;
	newline = memchr(*at, '\n', (size_t)(end - *at));
	ret_line->at = *at;
	ret_line->length = (size_t)((newline ?: end) - *at);
	*at = newline ? newline + 1 : end;
	return true;
}

static struct line line_trim(struct line line)
{
	while (line.length > 0 && isspace((unsigned char)*line.at)) {
		line.at++;
		line.length--;
	}
	while (line.length > 0 &&
	       isspace((unsigned char)line.at[line.length - 1]))
		line.length--;
	return line;
}

/* What follows 'key' and 'mark' in the line; false: another key. */
static bool line_value(struct line line, const char *key, char mark,
		       struct line *ret_value)
{
	size_t length = strlen(key);

	line = line_trim(line);
	if (line.length <= length || memcmp(line.at, key, length) != 0)
		return false;
	line = line_trim((struct line){line.at + length, line.length - length});
	if (line.length == 0 || *line.at != mark)
		return false;
	*ret_value = line_trim((struct line){line.at + 1, line.length - 1});
	return ret_value->length > 0;
}

static void value_copy(struct line value, char *ret_text, size_t size)
{
	if (value.length >= 2 && (*value.at == '"' || *value.at == '\'') &&
	    value.at[value.length - 1] == *value.at) {
		value.at++;
		value.length -= 2;
	}
	if (value.length >= size || memchr(value.at, 0, value.length))
		return;
	memcpy(ret_text, value.at, value.length);
	ret_text[value.length] = 0;
}

/* lxc.container.conf(5): "key = value" lines, the last of a key counts. */
int owner_lxc_parse(const char *bytes, size_t size,
		    struct owner_facts *ret_facts)
{
	const char *at = bytes, *end = bytes + size;
	struct line line, value;
	bool any = false;

	memset(ret_facts, 0, sizeof *ret_facts);
	ret_facts->runtime = OWNER_RUNTIME_LXC;
	while (line_next(&at, end, &line)) {
		any |= line_trim(line).length > 4 &&
		       memcmp(line_trim(line).at, "lxc.", 4) == 0;
		if (line_value(line, "lxc.rootfs.path", '=', &value) ||
		    line_value(line, "lxc.rootfs", '=', &value))
			value_copy(value, ret_facts->image,
				   sizeof ret_facts->image);
	}
	return any ? 0 : -EBADMSG;
}

/* LXD and Incus dump YAML in blocks; of its "config" maps image.description
 * (else os and release) is what a user knows the image by. */
int owner_lxd_parse(const char *bytes, size_t size,
		    struct owner_facts *ret_facts)
{
	const char *at = bytes, *end = bytes + size;
	struct line line, value;
	bool any = false, described = false;

	memset(ret_facts, 0, sizeof *ret_facts);
	ret_facts->runtime = OWNER_RUNTIME_LXD;
	while (line_next(&at, end, &line)) {
		if (line_value(line, "image.description", ':', &value) &&
		    !described) {
			described = true;
			value_copy(value, ret_facts->image,
				   sizeof ret_facts->image);
		} else if (line_value(line, "volatile.base_image", ':',
				      &value) &&
			   ret_facts->image[0] == 0) {
			value_copy(value, ret_facts->image,
				   sizeof ret_facts->image);
		}
		line = line_trim(line);
		any |= (line.length == 10 &&
			memcmp(line.at, "container:", 10) == 0) ||
		       (line.length == 9 &&
			memcmp(line.at, "instance:", 9) == 0);
	}
	return any ? 0 : -EBADMSG;
}

/* A decimal number up to the next blank; moves behind it. */
static bool number_take(const char **at, const char *end, uint64_t *ret_value)
{
	const char *begin = *at;
	uint64_t value = 0;

	while (*at < end && isdigit((unsigned char)**at)) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(**at - '0'),
					   &value))
			return false;
		++*at;
	}
	*ret_value = value;
	return *at > begin;
}

/* proc(5): fields 4 (parent), 9 (flags), 22 (start). */
bool owner_stat_parse(const char *bytes, size_t size,
		      struct owner_stat *ret_stat)
{
	const char *open = memchr(bytes, '(', size);
	const char *close = memrchr(bytes, ')', size), *end = bytes + size;
	uint64_t value;
	size_t length;

	if (!open || !close || close < open)
		return false;
	memset(ret_stat, 0, sizeof *ret_stat);
	length = (size_t)(close - open - 1);
	if (length > OWNER_COMM_SIZE - 1)
		length = OWNER_COMM_SIZE - 1;
	memcpy(ret_stat->comm, open + 1, length);
	bytes = close + 1;
	for (int field = 3; field <= 22; field++) {
		if (bytes >= end || *bytes != ' ')
			return false;
		bytes++;
		if (field == 4 || field == 9 || field == 22) {
			if (!number_take(&bytes, end, &value))
				return false;
			if (field == 4)
				ret_stat->ppid = (uint32_t)value;
			else if (field == 9)
				ret_stat->kernel = value & PF_KTHREAD;
			else
				ret_stat->start_ticks = value;
		}
		while (field != 22 && bytes < end && *bytes != ' ')
			bytes++;
	}
	return bytes < end && (*bytes == ' ' || *bytes == '\n');
}

static const char *argument_match(const char *argument, const char *next,
				  const char *end, const char *name)
{
	size_t length = strlen(name);

	if (strncmp(argument, name, length) != 0)
		return NULL;
	if (argument[length] == '=' && name[1] == '-')
		return argument + length + 1;
	if (argument[length] == 0)
		return next < end ? next : NULL;
	/* "-nNAME"; "-name" is Go's way of "--name". */
	return name[1] != '-' && length == 2 ? argument + length : NULL;
}

const char *owner_argument(const char *arguments, size_t size,
			   const char *names)
{
	const char *end = arguments + size, *next;

	/* The last one may be cut, and has no zero then. */
	while (size > 0 && end > arguments && end[-1] != 0)
		end--;
	for (const char *at = arguments; at < end; at = next) {
		next = at + strlen(at) + 1;
		for (const char *name = names; *name;
		     name += strlen(name) + 1) {
			const char *value = argument_match(at, next, end, name);

			if (value && *value)
				return value;
		}
	}
	return NULL;
}
