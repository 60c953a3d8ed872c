/* The programs of sockets.bpf.c, a row each. */
#include "kernel/sockets_private.h"

#define TRACE(name, target, hook, lost)                                 \
	{                                                               \
		name, target, "tp_btf/" target, lost, hook, false, NULL \
	}

/* Where the tracepoint 'unless' is not. */
#define FUNCTION(name, target, hook, unless, lost)                      \
	{                                                               \
		name, target, "fexit/" target, lost, hook, true, unless \
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
	FUNCTION("function_send_inet", "inet_sendmsg", HOOK_SEND_INET,
		 "sock_send_length", "bytes sent over IPv4"),
	FUNCTION("function_send_inet6", "inet6_sendmsg", HOOK_SEND_INET6,
		 "sock_send_length", "bytes sent over IPv6"),
	FUNCTION("function_send_unix_stream", "unix_stream_sendmsg",
		 HOOK_SEND_UNIX_STREAM, "sock_send_length",
		 "bytes sent over Unix streams"),
	FUNCTION("function_send_unix_dgram", "unix_dgram_sendmsg",
		 HOOK_SEND_UNIX_DGRAM, "sock_send_length",
		 "bytes sent over Unix datagrams"),
	FUNCTION("function_send_packet", "packet_sendmsg", HOOK_SEND_PACKET,
		 "sock_send_length", "bytes sent as frames"),
	FUNCTION("function_sendpage_inet", "inet_sendpage", HOOK_SENDPAGE_INET,
		 "sock_send_length", "bytes sent by sendfile and splice"),
	FUNCTION("function_sendpage_unix", "unix_stream_sendpage",
		 HOOK_SENDPAGE_UNIX, "sock_send_length",
		 "bytes sent by sendfile and splice over Unix streams"),
	FUNCTION("function_receive_inet", "inet_recvmsg", HOOK_RECEIVE_INET,
		 "sock_recv_length", "bytes received over IPv4"),
	FUNCTION("function_receive_inet6", "inet6_recvmsg", HOOK_RECEIVE_INET6,
		 "sock_recv_length", "bytes received over IPv6"),
	FUNCTION("function_receive_common", "sock_common_recvmsg",
		 HOOK_RECEIVE_COMMON, "sock_recv_length",
		 "bytes received over raw IPv6"),
	FUNCTION("function_receive_unix_stream", "unix_stream_recvmsg",
		 HOOK_RECEIVE_UNIX_STREAM, "sock_recv_length",
		 "bytes received over Unix streams"),
	FUNCTION("function_receive_unix_dgram", "__unix_dgram_recvmsg",
		 HOOK_RECEIVE_UNIX_DGRAM, "sock_recv_length",
		 "bytes received over Unix datagrams"),
	FUNCTION("function_receive_packet", "packet_recvmsg",
		 HOOK_RECEIVE_PACKET, "sock_recv_length",
		 "bytes received as frames"),
};
const size_t sockets_program_count =
	sizeof sockets_programs / sizeof *sockets_programs;
