/* Names of interfaces by the kernel's numbers, over time. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "capture/links_private.h"
#include "capture/netlink_private.h"

/* A machine that starts containers meets new names for as long as it runs:
 * room for all that 16 bits can number.  Untouched pages cost nothing. */
#define NAME_COUNT_MAX 65000
#define NAME_SLOTS     (1U << 17)
#define LINK_SLOTS     (1U << 15)
#define LINK_COUNT_MAX (LINK_SLOTS / 4 * 3)
#define NUMBER_NONE    0xffff
#define NUMBER_REST    NAME_COUNT_MAX /* once the names are used up */
#define EVENT_SIZE     32768
#define RECEIVE_SIZE   (1 << 20)

struct link_slot {
	int ifindex; /* 0: empty */
	uint16_t number;
	uint16_t number_before;
	struct wall changed; /* from 'number_before' to 'number' */
};

struct links {
	int fd;
	struct wall looked;     /* when links_update() was called last */
	struct wall looking;    /* and this time */
	struct link_slot *last; /* the slot that was asked for last */
	uint32_t name_count;
	uint32_t link_count;
	char (*names)[IFNAMSIZ];
	uint16_t *name_slots; /* number + 1 by the name's hash; 0: empty */
	struct link_slot slots[LINK_SLOTS];
};

static struct wall wall_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (struct wall){now.tv_sec * NS_PER_S + now.tv_nsec};
}

/* FNV-1a; names come from root, not from the wire. */
static uint32_t name_hash(const char *name)
{
	uint32_t hash = 2166136261U;

	while (*name)
		hash = (hash ^ (uint8_t)*name++) * 16777619U;
	return hash;
}

static uint16_t name_number(struct links *links, const char *name)
{
	uint32_t at = name_hash(name) % NAME_SLOTS;
	uint16_t number;

	for (; links->name_slots[at]; at = (at + 1) % NAME_SLOTS) {
		number = links->name_slots[at] - 1;
		if (strcmp(links->names[number], name) == 0)
			return number;
	}
	if (links->name_count == NAME_COUNT_MAX)
		return NUMBER_REST;
	number = (uint16_t)links->name_count++;
	snprintf(links->names[number], IFNAMSIZ, "%s", name);
	links->name_slots[at] = number + 1;
	return number;
}

/* The slot of 'ifindex', or the empty one where it belongs. */
static uint32_t slot_place(const struct links *links, int ifindex)
{
	uint32_t at = (uint32_t)ifindex * 2654435761U % LINK_SLOTS;

	while (links->slots[at].ifindex && links->slots[at].ifindex != ifindex)
		at = (at + 1) % LINK_SLOTS;
	return at;
}

static struct link_slot *slot_find(struct links *links, int ifindex)
{
	return &links->slots[slot_place(links, ifindex)];
}

static void slot_set(struct links *links, int ifindex, uint16_t number)
{
	struct link_slot *slot = slot_find(links, ifindex);

	if (!slot->ifindex) {
		if (links->link_count == LINK_COUNT_MAX)
			return; /* asked for at each frame: slow, not wrong */
		links->link_count++;
		*slot = (struct link_slot){ifindex, number, number, {0}};
		return;
	}
	if (slot->number == number)
		return;
	if (slot->number != NUMBER_NONE) {
		slot->number_before = slot->number;
		slot->changed = wall_now();
	} else if (!wall_before(slot->changed, links->looking)) {
		/* Its end and its next beginning are told at once.  The end
		 * was when nobody looked: what came since is the new one's,
		 * as the old one's last frames are the older ones. */
		slot->changed = links->looked;
	}
	slot->number = number;
}

static void slot_set_each(void *context, const struct link *link)
{
	struct links *links = context;

	slot_set(links, link->info.index, name_number(links, link->info.name));
}

/* Asks for all interfaces again; what is there already stays. */
static void slots_fill(struct links *links)
{
	links_walk(0, slot_set_each, links);
}

static void event_take(struct links *links, const struct nlmsghdr *message)
{
	struct link link;

	if ((message->nlmsg_type != RTM_NEWLINK &&
	     message->nlmsg_type != RTM_DELLINK) ||
	    !netlink_link_parse(message, &link))
		return;
	if (links->link_count == LINK_COUNT_MAX) {
		/* full of interfaces that are gone: begin anew */
		memset(links->slots, 0, sizeof links->slots);
		links->link_count = 0;
		links->last = &links->slots[0];
		slots_fill(links);
	}
	if (message->nlmsg_type == RTM_DELLINK)
		slot_set(links, link.info.index, NUMBER_NONE);
	else
		slot_set_each(links, &link);
}

bool links_update(struct links *links)
{
	_Alignas(struct nlmsghdr) char events[EVENT_SIZE];
	bool changed = false;

	links->looked = links->looking;
	links->looking = wall_now();
	for (;;) {
		const struct nlmsghdr *message = (const void *)events;
		ssize_t size =
			recv(links->fd, events, sizeof events, MSG_DONTWAIT);

		if (size < 0 && errno == ENOBUFS) {
			/* some were lost */
			slots_fill(links);
			changed = true;
			continue;
		}
		if (size <= 0)
			return changed;
		changed = true;
		while (NLMSG_OK(message, size)) {
			event_take(links, message);
			message = NLMSG_NEXT(message, size);
		}
	}
}

/* The interface is not known, or no longer: ask, or make a name up. */
static uint16_t number_ask(struct links *links, int ifindex, uint16_t before)
{
	char name[IFNAMSIZ];
	uint16_t number;

	if (if_indextoname((unsigned int)ifindex, name))
		return name_number(links, name); /* its event is on its way */
	if (before != NUMBER_NONE)
		return before;
	snprintf(name, sizeof name, "if%d", ifindex);
	number = name_number(links, name);
	slot_set(links, ifindex, number);
	return number;
}

uint16_t links_number(struct links *links, int ifindex, struct wall at)
{
	struct link_slot *slot = links->last;

	if (slot->ifindex != ifindex) {
		slot = slot_find(links, ifindex);
		if (!slot->ifindex)
			return number_ask(links, ifindex, NUMBER_NONE);
		links->last = slot;
	}
	if (wall_before(at, slot->changed))
		return slot->number_before;
	if (slot->number == NUMBER_NONE)
		return number_ask(links, ifindex, slot->number_before);
	return slot->number;
}

bool links_number_now(const struct links *links, int ifindex,
		      uint16_t *ret_number, struct wall *ret_since)
{
	const struct link_slot *slot =
		&links->slots[slot_place(links, ifindex)];

	if (!slot->ifindex || slot->number == NUMBER_NONE)
		return false;
	*ret_number = slot->number;
	*ret_since = slot->changed;
	return true;
}

const char *links_name(const struct links *links, uint16_t number)
{
	if (number == NUMBER_REST)
		return "(others)";
	return number < links->name_count ? links->names[number] : NULL;
}

int links_fd(const struct links *links)
{
	return links->fd;
}

static int events_open(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK,
				      .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_ROUTE);
	int size = RECEIVE_SIZE;
	int code;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	code = -errno;
	close(fd);
	return code;
}

int links_open(const char *first, struct links **ret_links)
{
	struct links *links = calloc(1, sizeof *links);
	int code = -ENOMEM;

	if (!links)
		return code;
	links->fd = -1;
	links->last = &links->slots[0];
	links->names = calloc(NAME_COUNT_MAX, sizeof *links->names);
	links->name_slots = calloc(NAME_SLOTS, sizeof *links->name_slots);
	if (!links->names || !links->name_slots)
		goto close;
	links->fd = code = events_open();
	if (code < 0)
		goto close;
	if (first)
		name_number(links, first);
	slots_fill(links);
	links->looked = links->looking = wall_now();
	*ret_links = links;
	return 0;
close:
	links_close(links);
	return code;
}

void links_close(struct links *links)
{
	if (!links)
		return;
	if (links->fd >= 0)
		close(links->fd);
	free(links->names);
	free(links->name_slots);
	free(links);
}
