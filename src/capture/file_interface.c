/* The interfaces that a pcapng file describes: their names and their times.
 *
 * A section counts its interfaces from 0; struct frame counts names, one for
 * the whole file, so that a file of a thousand sections written on eth0 has
 * one interface.  What has no name is told apart by its number in the
 * section, and is named after the file once the first packet shows that the
 * interfaces before it are all there are.
 */
#include "capture/file_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_SIZE_MAX 255
#define BINARY        0x80 /* in if_tsresol: a power of 2, not of 10 */
#define RESOLUTION_NS 9

/* Grows 'list' by doubling; false: no memory. */
static bool list_grow(void *list, uint32_t count, uint32_t *room,
		      size_t item_size)
{
	void **items = list;
	uint32_t more = *room ? *room * 2 : 4;
	void *grown;

	if (count < *room)
		return true;
	grown = reallocarray(*items, more, item_size);
	if (!grown)
		return false;
	*items = grown;
	*room = more;
	return true;
}

/* A copy without what would play tricks on a terminal. */
static char *name_copy(const uint8_t *name, size_t size)
{
	char *text = strndup((const char *)name,
			     size < NAME_SIZE_MAX ? size : NAME_SIZE_MAX);

	for (char *c = text; c && *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	return text;
}

static bool name_is(const struct interface_name *name, const char *given,
		    uint16_t id)
{
	if (!given)
		return !name->given && name->id == id;
	return name->given && strcmp(name->text, given) == 0;
}

/* A file that goes on in a new section mostly repeats its interfaces, so
 * that the name is where the number points. */
static bool name_find(const struct interfaces *interfaces, const char *given,
		      uint16_t id, uint16_t *ret_index)
{
	const struct interface_name *names = interfaces->names;

	if (id < interfaces->name_count && name_is(&names[id], given, id)) {
		*ret_index = id;
		return true;
	}
	for (uint32_t i = 0; i < interfaces->name_count; i++) {
		if (name_is(&names[i], given, id)) {
			*ret_index = (uint16_t)i;
			return true;
		}
	}
	return false;
}

static bool name_settle(struct interface_name *name, const char *base,
			bool alone)
{
	if (alone)
		name->text = strdup(base);
	else if (asprintf(&name->text, "%s:%u", base, name->id) < 0)
		name->text = NULL;
	return name->text != NULL;
}

/* Takes 'given', a heap string or NULL.  Returns 0, -ENOMEM or -ENOSPC. */
static int name_add(struct interfaces *interfaces, char *given, uint16_t id,
		    const char *base, uint16_t *ret_index)
{
	struct interface_name name = {given, given != NULL, id};
	int rc = -ENOMEM;

	if (name_find(interfaces, given, id, ret_index)) {
		rc = 0;
		goto free_given;
	}
	if (interfaces->name_count == INTERFACE_COUNT_MAX) {
		rc = -ENOSPC;
		goto free_given;
	}
	if (!list_grow(&interfaces->names, interfaces->name_count,
		       &interfaces->name_room, sizeof name))
		goto free_given;
	if (!given && interfaces->settled && !name_settle(&name, base, false))
		return -ENOMEM;
	*ret_index = (uint16_t)interfaces->name_count;
	interfaces->names[interfaces->name_count++] = name;
	return 0;

free_given:
	free(given);
	return rc;
}

int interfaces_settle(struct interfaces *interfaces, const char *base)
{
	uint32_t nameless = 0;

	if (interfaces->settled)
		return 0;
	for (uint32_t i = 0; i < interfaces->name_count; i++)
		nameless += !interfaces->names[i].given;
	for (uint32_t i = 0; i < interfaces->name_count; i++) {
		struct interface_name *name = &interfaces->names[i];

		if (!name->text && !name_settle(name, base, nameless == 1))
			return -ENOMEM;
	}
	interfaces->settled = true;
	return 0;
}

/* Finds what turns ticks into ns with one multiplication, where one will
 * do: a power of 10 up to 9. */
static void interface_set_time(struct interface *interface,
			       const struct interface_options *options)
{
	interface->resolution = options->resolution;
	interface->offset_absurd = __builtin_mul_overflow(
		options->offset_s, NS_PER_S, &interface->offset_ns);
	if (options->resolution > RESOLUTION_NS || interface->offset_absurd)
		return;
	interface->exact = true;
	interface->scale = 1;
	for (int i = options->resolution; i < RESOLUTION_NS; i++)
		interface->scale *= 10;
	interface->ticks_max = (uint64_t)INT64_MAX / interface->scale;
	if (interface->offset_ns > 0)
		interface->ticks_max =
			(uint64_t)(INT64_MAX - interface->offset_ns) /
			interface->scale;
}

int interfaces_add(struct interfaces *interfaces,
		   const struct interface_options *options, const char *base)
{
	uint16_t id = (uint16_t)interfaces->count;
	struct interface *interface;
	char *given = NULL;
	int rc;

	if (interfaces->count == INTERFACE_COUNT_MAX)
		return 0; /* its packets will be unusable, and counted */
	if (!list_grow(&interfaces->list, interfaces->count, &interfaces->room,
		       sizeof *interfaces->list))
		return -ENOMEM;
	if (options->name && options->name_size > 0 && *options->name) {
		given = name_copy(options->name, options->name_size);
		if (!given)
			return -ENOMEM;
	}
	interface = &interfaces->list[interfaces->count];
	*interface = (struct interface){
		.link_type = options->link_type,
		.snap_size = options->snap_size,
	};
	rc = name_add(interfaces, given, id, base, &interface->name);
	if (rc == -ENOMEM)
		return rc;
	interface->known = rc == 0;
	interface_set_time(interface, options);
	interfaces->count++;
	return 0;
}

void interfaces_restart(struct interfaces *interfaces)
{
	interfaces->count = 0;
}

const char *interfaces_name(const struct interfaces *interfaces, uint16_t index)
{
	return index < interfaces->name_count ? interfaces->names[index].text
					      : NULL;
}

void interfaces_fini(struct interfaces *interfaces)
{
	for (uint32_t i = 0; i < interfaces->name_count; i++)
		free(interfaces->names[i].text);
	free(interfaces->names);
	free(interfaces->list);
}

/* ns since the interface's offset, or false where 64 bits do not do. */
static bool ticks_ns(uint8_t resolution, uint64_t ticks,
		     unsigned __int128 *ret_ns)
{
	unsigned __int128 ns = (unsigned __int128)ticks * (uint64_t)NS_PER_S;
	int exponent = resolution & ~BINARY;

	if (resolution & BINARY) {
		ns >>= exponent; /* up to 127: still within the type */
	} else {
		for (int i = 0; i < exponent && ns; i++)
			ns /= 10;
	}
	*ret_ns = ns;
	return ns <= UINT64_MAX;
}

struct stamp interface_stamp_slow(const struct interface *interface,
				  uint64_t ticks)
{
	struct stamp none = {{0}, STAMP_NONE};
	unsigned __int128 ns;
	int64_t at_ns;

	if (interface->offset_absurd ||
	    !ticks_ns(interface->resolution, ticks, &ns))
		return none;
	/* computed in more bits than either has, then fitted */
	if (__builtin_add_overflow((__int128)ns, interface->offset_ns, &at_ns))
		return none;
	return (struct stamp){{at_ns}, STAMP_FILE};
}
