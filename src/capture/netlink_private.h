/* One message of rtnetlink.  For interfaces.c and links.c only. */
#ifndef NETLINK_PRIVATE_H
#define NETLINK_PRIVATE_H

#include <linux/netlink.h>

#include "capture/links_private.h"

/* Reads an RTM_NEWLINK or RTM_DELLINK.  Returns false where the message is
 * not about the interface itself (a bridge speaking of its port). */
bool netlink_link_parse(const struct nlmsghdr *message, struct link *ret_link);

#endif
