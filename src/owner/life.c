/* The lives of processes as the kernel's events tell them. */
#include <string.h>

#include "owner/owner_private.h"

void owner_process_group(struct process *process, struct cgroup **at,
			 struct cgroup *group)
{
	(void)process;
	if (group)
		group->refs++;
	if (*at)
		(*at)->refs--;
	*at = group;
}

void owner_process_bind(struct process *process, struct container *container)
{
	if (container)
		container->refs++;
	if (process->bound)
		process->bound->refs--;
	process->bound = container;
}

static const struct owner_container *container_of(const struct process *process)
{
	if (process->group && process->group->view.container)
		return process->group->view.container;
	if (process->other && process->other->view.container)
		return process->other->view.container;
	return process->bound ? &process->bound->view : NULL;
}

void owner_process_settle(struct owner_table *table, struct process *process)
{
	struct owner_process *view = &process->view;
	const struct cgroup *group = process->group;
	struct container *container;

	if (!process->bound && view->pidns != 0) {
		container = owner_container_by_space(table, view->pidns);
		if (container)
			owner_process_bind(process, container);
	}
	if (group && group->view.path) {
		owner_text_share(&table->texts, &view->cgroup,
				 group->view.path);
		owner_text_share(&table->texts, &view->unit, group->view.unit);
		owner_text_share(&table->texts, &view->slice,
				 group->view.slice);
	}
	view->container = container_of(process);
	if (view->container && view->netns != 0) {
		container = (struct container *)view->container;
		if (container->view.netns == 0)
			container->view.netns = view->netns;
	}
}

/* What fork copies, where the process' own is not known yet. */
void owner_process_inherit(struct owner_table *table, struct process *process,
			   const struct process *parent, bool program)
{
	struct owner_process *view = &process->view;

	if (view->uid == OWNER_UID_UNKNOWN) {
		view->uid = parent->view.uid;
		view->user = parent->view.user;
	}
	if (!process->group) {
		owner_process_group(process, &process->group, parent->group);
		view->cgroup_id = parent->view.cgroup_id;
	}
	if (!process->other)
		owner_process_group(process, &process->other, parent->other);
	/* A child may leave its parent's namespaces only for new ones below. */
	if (!process->bound && parent->bound &&
	    view->pidns != table->host_pidns)
		owner_process_bind(process, parent->bound);
	if (!program)
		return;
	if (!view->exe) {
		owner_text_share(&table->texts, &view->exe, parent->view.exe);
		view->exe_deleted = parent->view.exe_deleted;
	}
	if (!view->filename)
		owner_text_share(&table->texts, &view->filename,
				 parent->view.filename);
	if (!view->command)
		owner_text_share(&table->texts, &view->command,
				 parent->view.command);
	if (view->comm[0] == 0)
		memcpy(view->comm, parent->view.comm, sizeof view->comm);
}

static void comm_set(struct owner_process *view, const char *comm)
{
	size_t length;

	if (!comm || *comm == 0)
		return;
	length = strnlen(comm, sizeof view->comm - 1);
	memcpy(view->comm, comm, length);
	memset(view->comm + length, 0, sizeof view->comm - length);
}

static void cgroup_set(struct owner_table *table, struct process *process,
		       uint64_t id)
{
	struct cgroup *group;

	if (id == 0 || process->view.cgroup_id == id)
		return;
	group = owner_cgroup_by_id(table, id);
	if (!group) {
		group = owner_cgroup_add(table, id, NULL);
		if (group)
			owner_cgroup_want(table, group);
	}
	process->view.cgroup_id = id;
	owner_process_group(process, &process->group, group);
	owner_text_set(&table->texts, &process->view.cgroup, NULL, 0);
	owner_text_set(&table->texts, &process->view.unit, NULL, 0);
	owner_text_set(&table->texts, &process->view.slice, NULL, 0);
}

/* The members that an event knows better than whoever told before. */
static void event_take(struct owner_table *table, struct process *process,
		       const struct owner_event *event)
{
	struct owner_process *view = &process->view;

	comm_set(view, event->comm);
	if (event->ppid != 0 && view->ppid == 0)
		view->ppid = event->ppid;
	if (event->uid != OWNER_UID_UNKNOWN && event->uid != view->uid) {
		view->uid = event->uid;
		view->user = owner_user_known(table, event->uid);
	}
	if (event->netns != 0)
		view->netns = event->netns;
	if (event->pidns != 0)
		view->pidns = event->pidns;
	cgroup_set(table, process, event->cgroup_id);
	if (event->exe) {
		owner_text_set(&table->texts, &view->exe, event->exe,
			       OWNER_PATH_SIZE - 1);
		view->exe_deleted = false;
	}
	if (event->filename)
		owner_text_set(&table->texts, &view->filename, event->filename,
			       OWNER_PATH_SIZE - 1);
}

/* The event's process; a new one is 'told'. */
static struct process *event_slot(struct owner_table *table,
				  const struct owner_event *event)
{
	struct process *process =
		owner_slot_find(table, event->pid, event->start_ns);

	if (process) {
		owner_slot_exact(table, process, event->start_ns);
		return process;
	}
	process = owner_slot_add(table, event->pid, event->start_ns, true);
	if (process)
		table->counters.processes_begun++;
	return process;
}

const struct owner_process *owner_process_begin(struct owner_table *table,
						const struct owner_event *event)
{
	struct process *process = event_slot(table, event);
	const struct process *parent;

	if (!process)
		return NULL;
	/* What exec or /proc told is later than this. */
	if (!process->execed && process->read_ns == 0) {
		event_take(table, process, event);
		parent = owner_slot_find(table, event->ppid,
					 event->parent_start_ns);
		if (event->ppid != 0 && parent)
			owner_process_inherit(table, process, parent, true);
		if (process->life == LIFE_LIVE)
			owner_slot_queue(table, process);
	}
	owner_process_settle(table, process);
	return &process->view;
}

const struct owner_process *owner_process_exec(struct owner_table *table,
					       const struct owner_event *event)
{
	struct process *process = event_slot(table, event);
	struct owner_process *view;

	if (!process)
		return NULL;
	view = &process->view;
	process->execed = true;
	/* /proc was read after it: that is as new. */
	if (event->at_ns == 0 || event->at_ns > process->read_ns) {
		owner_text_set(&table->texts, &view->exe, NULL, 0);
		owner_text_set(&table->texts, &view->filename, NULL, 0);
		owner_text_set(&table->texts, &view->command, NULL, 0);
		view->exe_deleted = false;
		event_take(table, process, event);
		if (process->life == LIFE_LIVE)
			owner_slot_queue(table, process);
	} else if (event->filename) {
		owner_text_set(&table->texts, &view->filename, event->filename,
			       OWNER_PATH_SIZE - 1);
	}
	owner_process_settle(table, process);
	return view;
}

const struct owner_process *owner_process_end(struct owner_table *table,
					      const struct owner_event *event)
{
	struct process *process = event_slot(table, event);
	struct owner_event last = *event;

	if (!process)
		return NULL;
	/* The name of a thread that ends last is not the leader's. */
	if (process->view.comm[0])
		last.comm = NULL;
	event_take(table, process, &last);
	if (process->life == LIFE_LIVE || process->view.end_ns == 0)
		table->counters.processes_ended++;
	owner_slot_end(table, process, event->at_ns);
	owner_process_settle(table, process);
	return &process->view;
}
