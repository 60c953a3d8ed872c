/* The interfaces of this network namespace, as rtnetlink tells them.
 *
 * links_walk() asks for all of them once.  'struct links' goes on listening
 * and turns the kernel's interface numbers into names that stay true: each
 * name that was ever met has a dense number of its own, and a kernel number
 * that was renamed, or removed and given to another interface, means its old
 * name for frames from before the change and its new one for those after.
 *
 * Threads: a table belongs to one thread; links_walk() is pure.
 */
#ifndef LINKS_PRIVATE_H
#define LINKS_PRIVATE_H

#include "capture/capture.h"

/* LINKTYPE_ numbers */
#define LINK_ETHERNET 1
#define LINK_RAW      101 /* begins with the IPv4 or IPv6 header */
#define LINK_UNKNOWN  0xffff

struct link {
	struct capture_interface_info info;
	uint64_t rx_lost; /* frames: the card had no room for them */
};

/* The LINKTYPE_ of frames that a raw packet socket sees on a device of
 * 'arphrd' (ARPHRD_..., if_arp.h); LINK_UNKNOWN: not decoded here. */
uint16_t link_type_of(unsigned int arphrd);

/* Calls 'each' for every interface, or for the one with the kernel's number
 * 'ifindex' when that is not 0.  Returns 0 or a negative errno (-ENODEV: no
 * such number). */
int links_walk(int ifindex,
	       void (*each)(void *context, const struct link *link),
	       void *context);

/* Frames that interface 'ifindex' (0: all of them) had no room for, since it
 * exists; 0 if that cannot be known. */
uint64_t links_rx_lost(int ifindex);

struct links;

/* Opens the table, filled with what is there now.  Number 0 is given to
 * 'first' (NULL: to whichever comes first).  Returns 0 or a negative errno. */
int links_open(const char *first, struct links **ret_links);

void links_close(struct links *links);

/* Readable when interfaces have changed. */
int links_fd(const struct links *links);

/* Takes in what changed; never blocks.  Returns whether anything did. */
bool links_update(struct links *links);

/* The dense number of the interface that was 'ifindex' at that time. */
uint16_t links_number(struct links *links, int ifindex, struct wall at);

/* The number that 'ifindex' has now, for frames not older than *ret_since and
 * until links_update() tells of a change.  Returns false where only
 * links_number() knows. */
bool links_number_now(const struct links *links, int ifindex,
		      uint16_t *ret_number, struct wall *ret_since);

/* The name of a dense number; NULL: none such (yet). */
const char *links_name(const struct links *links, uint16_t number);

#endif
