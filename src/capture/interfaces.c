/* Asking rtnetlink for interfaces: RTM_GETLINK (rtnetlink(7)). */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture/links_private.h"
#include "capture/netlink_private.h"

#define REPLY_SIZE      65536  /* the kernel fills at most 32 KiB at a time */
#define TRIES_MAX       8      /* of a dump that changes while it is read */
#define ARPHRD_RAW_IP   519    /* ARPHRD_RAWIP, which libc does not name */
#define ARPHRD_IPV6_GRE 823    /* ARPHRD_IP6GRE */
#define ARPHRD_NO_LINK  0xfffe /* ARPHRD_NONE */

uint16_t link_type_of(unsigned int arphrd)
{
	switch (arphrd) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
		return LINK_ETHERNET;
	case ARPHRD_NO_LINK: /* tun, WireGuard */
	case ARPHRD_RAW_IP:
	case ARPHRD_PPP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case ARPHRD_IPV6_GRE:
		return LINK_RAW;
	default:
		return LINK_UNKNOWN;
	}
}

static void stats_parse(const struct rtattr *attribute, struct link *link)
{
	struct capture_interface_info *info = &link->info;
	struct rtnl_link_stats64 stats = {0};
	size_t size = RTA_PAYLOAD(attribute);

	/* older kernels know fewer counters, newer ones more */
	memcpy(&stats, RTA_DATA(attribute),
	       size < sizeof stats ? size : sizeof stats);
	info->rx_packets = stats.rx_packets;
	info->rx_bytes = stats.rx_bytes;
	info->rx_dropped = stats.rx_dropped;
	info->rx_errors = stats.rx_errors;
	info->tx_packets = stats.tx_packets;
	info->tx_bytes = stats.tx_bytes;
	info->tx_dropped = stats.tx_dropped;
	info->tx_errors = stats.tx_errors;
	link->rx_lost = stats.rx_missed_errors + stats.rx_fifo_errors;
}

static void attribute_parse(const struct rtattr *attribute, struct link *link)
{
	struct capture_interface_info *info = &link->info;
	size_t size = RTA_PAYLOAD(attribute);

	switch (attribute->rta_type) {
	case IFLA_IFNAME:
		if (size >= sizeof info->name)
			size = sizeof info->name - 1;
		memcpy(info->name, RTA_DATA(attribute), size);
		break;
	case IFLA_ADDRESS:
		if (size == sizeof info->mac)
			memcpy(info->mac, RTA_DATA(attribute), size);
		break;
	case IFLA_STATS64:
		stats_parse(attribute, link);
		break;
	default:
		break;
	}
}

bool netlink_link_parse(const struct nlmsghdr *message, struct link *ret_link)
{
	const struct ifinfomsg *header = NLMSG_DATA(message);
	const struct rtattr *attribute = IFLA_RTA(header);
	int size;

	if (message->nlmsg_len < NLMSG_LENGTH(sizeof *header) ||
	    header->ifi_family != AF_UNSPEC) /* a bridge's word on its port */
		return false;
	*ret_link = (struct link){
		.info = {
			.index = header->ifi_index,
			.up = header->ifi_flags & IFF_UP,
			.loopback = header->ifi_flags & IFF_LOOPBACK,
			.link_type = link_type_of(header->ifi_type),
		}};
	size = (int)IFLA_PAYLOAD(message);
	for (; RTA_OK(attribute, size); attribute = RTA_NEXT(attribute, size))
		attribute_parse(attribute, ret_link);
	return true;
}

/* One walk under way. */
struct walk {
	void (*each)(void *context, const struct link *link);
	void *context;
	bool changed; /* the dump is of no one moment */
	bool done;
	int code;
};

static void message_take(struct walk *walk, const struct nlmsghdr *message)
{
	const struct nlmsgerr *error = NLMSG_DATA(message);
	struct link link;

	walk->changed |= message->nlmsg_flags & NLM_F_DUMP_INTR;
	switch (message->nlmsg_type) {
	case NLMSG_DONE:
		walk->done = true;
		break;
	case NLMSG_ERROR:
		walk->done = true;
		walk->code = error->error;
		break;
	case RTM_NEWLINK:
		if (netlink_link_parse(message, &link))
			walk->each(walk->context, &link);
		walk->done |= !(message->nlmsg_flags & NLM_F_MULTI);
		break;
	default:
		break;
	}
}

static int reply_take(struct walk *walk, int fd)
{
	_Alignas(struct nlmsghdr) char reply[REPLY_SIZE];
	const struct nlmsghdr *message = (const void *)reply;
	ssize_t size = recv(fd, reply, sizeof reply, 0);

	if (size < 0)
		return -errno;
	for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size))
		message_take(walk, message);
	return 0;
}

static int request_send(int fd, int ifindex)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} request = {
		.header = {.nlmsg_len = sizeof request,
			   .nlmsg_type = RTM_GETLINK,
			   .nlmsg_flags = NLM_F_REQUEST},
		.link = {.ifi_family = AF_UNSPEC, .ifi_index = ifindex},
	};

	if (!ifindex)
		request.header.nlmsg_flags |= NLM_F_DUMP;
	return send(fd, &request, sizeof request, 0) < 0 ? -errno : 0;
}

int links_walk(int ifindex,
	       void (*each)(void *context, const struct link *link),
	       void *context)
{
	struct walk walk = {each, context, false, false, 0};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int code = -errno;

	if (fd < 0)
		return code;
	code = request_send(fd, ifindex);
	while (code == 0 && !walk.done)
		code = reply_take(&walk, fd);
	close(fd);
	if (code == 0)
		code = walk.code;
	return code == 0 && walk.changed ? -EAGAIN : code;
}

static void rx_lost_add(void *context, const struct link *link)
{
	*(uint64_t *)context += link->rx_lost;
}

uint64_t links_rx_lost(int ifindex)
{
	uint64_t sum = 0;

	return links_walk(ifindex, rx_lost_add, &sum) == 0 ? sum : 0;
}

/* The first 'max' by index, whatever order they come in. */
struct listing {
	struct capture_interface_info *infos;
	int max;
	int count; /* met so far */
};

static void listing_add(void *context, const struct link *link)
{
	struct listing *listing = context;
	int at = listing->count < listing->max ? listing->count : listing->max;

	listing->count++;
	while (at > 0 && listing->infos[at - 1].index > link->info.index) {
		if (at < listing->max)
			listing->infos[at] = listing->infos[at - 1];
		at--;
	}
	if (at < listing->max)
		listing->infos[at] = link->info;
}

int capture_interfaces(struct capture_interface_info *ret_infos, int max)
{
	struct listing listing;
	int code = -EAGAIN;

	for (int i = 0; i < TRIES_MAX && code == -EAGAIN; i++) {
		listing = (struct listing){ret_infos, max, 0};
		code = links_walk(0, listing_add, &listing);
	}
	/* a list that changed at every try is still a good list */
	return code == 0 || code == -EAGAIN ? listing.count : code;
}
