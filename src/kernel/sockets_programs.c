/* The programs of sockets.bpf.c, a row each. */
#include "kernel/sockets_private.h"

#define TRACE(name, target, hook, lost)                                 \
	{                                                               \
		name, target, "tp_btf/" target, lost, hook, false, NULL \
	}

const struct sockets_program sockets_programs[] = {
	TRACE("sockets_send", "sock_send_length", HOOK_SEND,
	      "bytes sent, by process and socket"),
	TRACE("sockets_receive", "sock_recv_length", HOOK_RECEIVE,
	      "bytes received, by process and socket"),
	TRACE("sockets_state", "inet_sock_set_state", HOOK_STATE,
	      "TCP connections: their times, who opened them, failures"),
	TRACE("sockets_destroy", "tcp_destroy_sock", HOOK_DESTROY,
	      "the last numbers of TCP sockets; bytes are by process only"),
	{"sockets_create", NULL, "cgroup/sock_create",
	 "who made a socket that never moved a byte", HOOK_CREATE, false, NULL},
	{"sockets_release", NULL, "cgroup/sock_release",
	 "the last numbers of UDP, raw and MPTCP sockets; bytes are by process "
	 "only",
	 HOOK_RELEASE, false, NULL},
	TRACE("sockets_fork", "sched_process_fork", HOOK_FORK,
	      "processes that begin"),
	TRACE("sockets_exec", "sched_process_exec", HOOK_EXEC,
	      "programs that short processes run"),
	TRACE("sockets_exit", "sched_process_exit", HOOK_EXIT,
	      "when processes end; the last bytes of short ones on Unix and "
	      "packet sockets"),
	TRACE("sockets_retransmit", "tcp_retransmit_skb", HOOK_RETRANSMIT,
	      "why segments were sent again"),
	TRACE("sockets_send_reset", "tcp_send_reset", HOOK_SEND_RESET,
	      "resets sent and their reasons"),
	TRACE("sockets_receive_reset", "tcp_receive_reset", HOOK_RECEIVE_RESET,
	      "resets received"),
	TRACE("sockets_error", "inet_sk_error_report", HOOK_ERROR,
	      "errors of sockets that go on"),
	TRACE("sockets_drop", "kfree_skb", HOOK_DROP,
	      "packets that the kernel threw away, and why"),
	{"sockets_tick", NULL, "perf_event/cpu-clock",
	 "cheap intervals: the clock is read in every call", HOOK_TICK, false,
	 NULL},
	{"sockets_walk", NULL, "iter/bpf_sk_storage_map",
	 "sockets before they end", HOOK_WALK, false, NULL},
	{"sockets_tasks", NULL, "iter/task",
	 "bytes on Unix and packet sockets before a process ends", HOOK_TASKS,
	 false, NULL},
	{"sockets_files", NULL, "iter/task_file",
	 "sockets that were there before, until they move bytes", HOOK_FILES,
	 false, NULL},
};
const size_t sockets_program_count =
	sizeof sockets_programs / sizeof *sockets_programs;
