/* UDP sockets as /proc tells them.  Included by this room only. */
#ifndef SOCKETS_PRIVATE_H
#define SOCKETS_PRIVATE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SOCKETS_MAX 4096 /* of one process, or of one port */

/* Ports of the UDP sockets that a process has, each once.  Returns how many
 * (up to SOCKETS_MAX), -ESRCH (no such process), -EACCES or another negative
 * errno. */
int sockets_of_process(pid_t pid, uint16_t ret_ports[SOCKETS_MAX]);

/* Processes that have a UDP socket at a port of this thread's namespace, up to
 * 'max' of those that may be looked at.  Returns how many; *ret_used says
 * whether there is any socket. */
int sockets_owners(uint16_t port, pid_t *ret_pids, size_t max, int *ret_used);

#endif
