/* What of it is wanted: by process, container and port. */
#include <string.h>

#include "engine/watch_private.h"

static bool pid_wanted(const struct watch_filter *filter, uint32_t pid)
{
	for (size_t i = 0; i < filter->pid_count; i++) {
		if (filter->pids[i] == pid)
			return true;
	}
	return filter->pid_count == 0;
}

bool watch_container_named(const struct watch_container *container,
			   const char *name)
{
	return strcmp(container->owner.name, name) == 0 ||
	       strncmp(container->owner.id, name, strlen(name)) == 0;
}

static bool container_wanted(const struct watch_filter *filter,
			     const struct watch_container *container)
{
	if (filter->container_count == 0)
		return true;
	for (size_t i = 0; container && i < filter->container_count; i++) {
		if (watch_container_named(container, filter->containers[i]))
			return true;
	}
	return false;
}

bool watch_process_wanted(const struct watch *watch,
			  const struct watch_process *process)
{
	const struct watch_filter *filter = &watch->options.filter;

	if (filter->pid_count + filter->container_count + filter->port_count ==
	    0)
		return true;
	if (process->others || !pid_wanted(filter, process->key.pid) ||
	    !container_wanted(filter, process->container))
		return false;
	return filter->port_count == 0 || process->sockets > 0 ||
	       process->traffic.tx_messages + process->traffic.rx_messages > 0;
}

static bool name_wanted(const struct watch_filter *filter,
			const struct watch_process_name *name)
{
	return (name->key.pid > 0 || name->key.start_ns > 0) &&
	       pid_wanted(filter, name->key.pid) &&
	       container_wanted(filter, name->container);
}

bool watch_socket_wanted(struct watch *watch, const struct watch_socket *socket)
{
	const struct watch_filter *filter = &watch->options.filter;
	bool wanted;

	if (!watch_ports_match(watch, socket->kernel))
		return false;
	if (filter->pid_count + filter->container_count == 0)
		return true;
	wanted = name_wanted(filter, &socket->creator) ||
		 name_wanted(filter, &socket->listener);
	for (int i = 0; i < socket->kernel->owner_count; i++)
		wanted |= name_wanted(filter, &socket->owners[i]);
	return wanted;
}

bool watch_ports_match(const struct watch *watch,
		       const struct kernel_socket *record)
{
	const struct watch_filter *filter = &watch->options.filter;

	for (size_t i = 0; i < filter->port_count; i++) {
		if (filter->ports[i] == record->port ||
		    filter->ports[i] == record->peer_port)
			return true;
	}
	return filter->port_count == 0;
}
