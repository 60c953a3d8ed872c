/* Interfaces of every network namespace, and what they moved in the run.
 *
 * This thread visits each namespace for one request (RTM_GETLINK) and comes
 * back.  Namespaces are found by the processes in them and by the places where
 * tools mount them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/watch_private.h"

#define SPACES_MAX 1024
#define PATH_SIZE  512
#define REPLY_SIZE 65536
#define TURNS      5 /* between readings of all namespaces */
#define NUMBERS    8

struct entry {
	struct watch_link link;
	uint64_t base[NUMBERS], now[NUMBERS];
	uint32_t seen; /* in which reading */
};

struct space {
	uint32_t inode;
	uint32_t seen; /* in which reading */
};

struct links {
	struct entry *entries;
	size_t count;
	struct space spaces[SPACES_MAX];
	size_t space_count;
	uint32_t own; /* inode */
	int own_fd;
	uint32_t reading;
	bool stuck; /* in another namespace */
};

int watch_links_init(struct watch *watch)
{
	struct links *links = calloc(1, sizeof *links);
	struct stat stat;

	if (!links)
		return -ENOMEM;
	watch->links = links;
	links->entries = calloc(LINKS_MAX, sizeof *links->entries);
	links->own_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (links->own_fd >= 0 && fstat(links->own_fd, &stat) == 0)
		links->own = (uint32_t)stat.st_ino;
	return links->entries ? 0 : -ENOMEM;
}

void watch_links_fini(struct watch *watch)
{
	if (!watch->links)
		return;
	if (watch->links->own_fd >= 0)
		close(watch->links->own_fd);
	free(watch->links->entries);
	free(watch->links);
	watch->links = NULL;
}

/* --------------------------------------------------------------- messages */

static void numbers_set(const struct rtattr *attribute, uint64_t *numbers)
{
	struct rtnl_link_stats64 stats = {0};
	size_t size = RTA_PAYLOAD(attribute);

	/* Older kernels know fewer counters, newer ones more. */
	memcpy(&stats, RTA_DATA(attribute),
	       size < sizeof stats ? size : sizeof stats);
	numbers[0] = stats.rx_bytes;
	numbers[1] = stats.tx_bytes;
	numbers[2] = stats.rx_packets;
	numbers[3] = stats.tx_packets;
	numbers[4] = stats.rx_dropped + stats.rx_missed_errors;
	numbers[5] = stats.tx_dropped;
	numbers[6] = stats.rx_errors;
	numbers[7] = stats.tx_errors;
}

static void text_set(const struct rtattr *attribute, char *text, size_t room)
{
	size_t size = RTA_PAYLOAD(attribute);

	if (size >= room)
		size = room - 1;
	memset(text, 0, room);
	memcpy(text, RTA_DATA(attribute), size);
}

static int number_of(const struct rtattr *attribute)
{
	int number = 0;

	if (RTA_PAYLOAD(attribute) >= sizeof number)
		memcpy(&number, RTA_DATA(attribute), sizeof number);
	return number;
}

static void kind_set(const struct rtattr *info, struct watch_link *link)
{
	const struct rtattr *attribute = RTA_DATA(info);
	int size = (int)RTA_PAYLOAD(info);

	for (; RTA_OK(attribute, size); attribute = RTA_NEXT(attribute, size)) {
		if (attribute->rta_type == IFLA_INFO_KIND)
			text_set(attribute, link->kind, sizeof link->kind);
	}
}

static void message_parse(const struct nlmsghdr *message, struct entry *ret)
{
	const struct ifinfomsg *header = NLMSG_DATA(message);
	const struct rtattr *attribute = IFLA_RTA(header);
	int size = (int)IFLA_PAYLOAD(message);

	ret->link.index = header->ifi_index;
	ret->link.loopback = header->ifi_flags & 8; /* IFF_LOOPBACK */
	for (; RTA_OK(attribute, size); attribute = RTA_NEXT(attribute, size)) {
		switch (attribute->rta_type) {
		case IFLA_IFNAME:
			text_set(attribute, ret->link.name,
				 sizeof ret->link.name);
			break;
		case IFLA_STATS64:
			numbers_set(attribute, ret->now);
			break;
		case IFLA_LINKINFO:
			kind_set(attribute, &ret->link);
			break;
		case IFLA_LINK:
			ret->link.peer_index = number_of(attribute);
			break;
		case IFLA_MASTER:
			ret->link.master_index = number_of(attribute);
			break;
		default:
			break;
		}
	}
}

static void entry_take(struct watch *watch, const struct space *space,
		       const struct entry *more)
{
	struct links *links = watch->links;
	struct entry *entry = links->entries;
	const struct entry *end = entry + links->count;

	while (entry < end && !(entry->link.netns == space->inode &&
				entry->link.index == more->link.index &&
				strcmp(entry->link.name, more->link.name) == 0))
		entry++;
	if (entry == end) {
		if (links->count == LINKS_MAX) {
			watch->counters.links_refused++;
			return;
		}
		links->count++;
		/* What came in the run counts from its begin. */
		*entry = (struct entry){0};
		if (links->reading == 1)
			memcpy(entry->base, more->now, sizeof entry->base);
	}
	memcpy(entry->now, more->now, sizeof entry->now);
	entry->link = more->link;
	entry->link.netns = space->inode;
	entry->link.own = space->inode == links->own;
	entry->seen = links->reading;
}

/* -------------------------------------------------------------- namespaces */

static bool reply_take(struct watch *watch, const struct space *space, int fd)
{
	_Alignas(struct nlmsghdr) char reply[REPLY_SIZE];
	const struct nlmsghdr *message = (const void *)reply;
	ssize_t size = recv(fd, reply, sizeof reply, 0);

	if (size <= 0)
		return false;
	for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size)) {
		struct entry entry = {0};

		if (message->nlmsg_type != RTM_NEWLINK)
			return false; /* done, or an error */
		message_parse(message, &entry);
		entry_take(watch, space, &entry);
	}
	return true;
}

static void links_read(struct watch *watch, const struct space *space)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} request = {
		.header = {.nlmsg_len = sizeof request,
			   .nlmsg_type = RTM_GETLINK,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return;
	if (send(fd, &request, sizeof request, 0) > 0) {
		while (reply_take(watch, space, fd))
			;
	}
	close(fd);
}

/* Each once a reading. */
static struct space *space_note(struct links *links, uint32_t inode)
{
	for (size_t i = 0; i < links->space_count; i++) {
		if (links->spaces[i].inode == inode)
			return links->spaces[i].seen == links->reading
				       ? NULL
				       : &links->spaces[i];
	}
	if (links->space_count == SPACES_MAX)
		return NULL;
	links->spaces[links->space_count] = (struct space){.inode = inode};
	return &links->spaces[links->space_count++];
}

static void space_read(struct watch *watch, const char *path)
{
	struct links *links = watch->links;
	struct space *space;
	struct stat stat;
	int fd = links->stuck ? -1 : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	space = fstat(fd, &stat) == 0 ? space_note(links, (uint32_t)stat.st_ino)
				      : NULL;
	if (space) {
		bool away = space->inode != links->own;

		if (!away || setns(fd, CLONE_NEWNET) == 0) {
			space->seen = links->reading;
			links_read(watch, space);
			/* Who cannot come back visits no further ones. */
			links->stuck =
				away && setns(links->own_fd, CLONE_NEWNET) < 0;
		}
	}
	close(fd);
}

static void folder_read(struct watch *watch, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *file;
	char path[PATH_SIZE];

	/* No thread shares the stream.  NOLINTNEXTLINE(concurrency-mt-unsafe)
	 */
	while (dir && (file = readdir(dir))) {
		if (file->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", folder,
			       file->d_name);
		space_read(watch, path);
	}
	if (dir)
		closedir(dir);
}

static void processes_read(struct watch *watch)
{
	const struct owner_process *process = NULL;
	uint32_t before = 0;
	char path[PATH_SIZE];

	while ((process = owner_process_next(watch->owners, process))) {
		if (process->ended || process->netns == 0 ||
		    process->netns == before)
			continue;
		before = process->netns;
		if (!space_note(watch->links, process->netns))
			continue;
		(void)snprintf(path, sizeof path, "/proc/%u/ns/net",
			       process->pid);
		space_read(watch, path);
	}
}

/* ------------------------------------------------------------------- once */

/* The same packets pass a port, an end or an interface below as well. */
static bool kind_above(const char *kind)
{
	static const char *const kinds[] = {
		"bridge",  "bond",      "team",   "vlan",   "macvlan",
		"macvtap", "ipvlan",    "vxlan",  "geneve", "gre",
		"gretap",  "ip6gre",    "ipip",   "sit",    "ip6tnl",
		"vrf",     "wireguard", "macsec", "ifb",
	};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	}
	return false;
}

static bool ends_of_one(const struct watch_link *a, const struct watch_link *b)
{
	return strcmp(a->kind, "veth") == 0 && strcmp(b->kind, "veth") == 0 &&
	       a->peer_index == b->index && b->peer_index == a->index;
}

static bool link_after(const struct watch_link *a, const struct watch_link *b)
{
	return a->netns != b->netns ? a->netns > b->netns : a->index > b->index;
}

static bool link_counted(const struct links *links,
			 const struct watch_link *link)
{
	if (kind_above(link->kind))
		return false;
	for (size_t i = 0; i < links->count; i++) {
		const struct watch_link *other = &links->entries[i].link;

		if (other != link && ends_of_one(link, other) &&
		    link_after(link, other))
			return false;
	}
	return true;
}

static void link_finish(const struct links *links, struct entry *entry)
{
	uint64_t moved[NUMBERS];
	struct watch_link *link = &entry->link;

	for (int i = 0; i < NUMBERS; i++)
		moved[i] = beyond(entry->now[i], entry->base[i]);
	link->rx_bytes = moved[0];
	link->tx_bytes = moved[1];
	link->rx_packets = moved[2];
	link->tx_packets = moved[3];
	link->rx_drops = moved[4];
	link->tx_drops = moved[5];
	link->rx_errors = moved[6];
	link->tx_errors = moved[7];
	link->gone = entry->seen != links->reading;
	link->counted = link_counted(links, link);
}

void watch_links_turn(struct watch *watch, bool last)
{
	struct links *links = watch->links;

	if (!last && links->reading > 0 && watch->turn % TURNS != 0)
		return;
	links->reading++;
	space_read(watch, "/proc/self/ns/net");
	folder_read(watch, "/run/netns");
	folder_read(watch, "/run/docker/netns");
	processes_read(watch);
	for (size_t i = 0; i < links->count; i++)
		link_finish(links, &links->entries[i]);
}

size_t watch_link_count(const struct watch *watch)
{
	return watch->links ? watch->links->count : 0;
}

const struct watch_link *watch_link_at(const struct watch *watch, size_t slot)
{
	return &watch->links->entries[slot].link;
}
