/* The programs of points.bpf.c, a row each. */
#include "kernel/points_private.h"

#define BIT(point) (UINT32_C(1) << (point))

const struct points_program points_programs[] = {
	{"points_enter", "sys_enter", TIER_TRACEPOINT, BIT(POINT_CALL), NULL},
	{"points_queue", "net_dev_queue", TIER_TRACEPOINT, BIT(POINT_QUEUE),
	 NULL},
	{"points_driver", "net_dev_start_xmit", TIER_TRACEPOINT,
	 BIT(POINT_DRIVER), NULL},
	{"points_stack", "netif_receive_skb", TIER_TRACEPOINT, BIT(POINT_STACK),
	 NULL},
	{"points_ready", "sk_data_ready", TIER_TRACEPOINT, BIT(POINT_READY),
	 NULL},
	{"points_waking", "sched_waking", TIER_TRACEPOINT, BIT(POINT_WAKING),
	 NULL},
	{"points_running", "sched_switch", TIER_TRACEPOINT, BIT(POINT_RUNNING),
	 NULL},
	{"points_return", "sys_exit", TIER_TRACEPOINT, BIT(POINT_RETURN), NULL},
	{"function_send_udp4", "udp_sendmsg", TIER_FUNCTION,
	 BIT(POINT_SEND_UDP), NULL},
	{"function_send_udp6", "udpv6_sendmsg", TIER_FUNCTION, 0, NULL},
	{"function_receive_udp4", "udp_rcv", TIER_FUNCTION,
	 BIT(POINT_RECEIVE_UDP), NULL},
	{"function_receive_udp6", "udpv6_rcv", TIER_FUNCTION, 0, NULL},
	{"function_enqueued", "__udp_enqueue_schedule_skb", TIER_FUNCTION,
	 BIT(POINT_ENQUEUED), NULL},
	{"function_ready", "sock_def_readable", TIER_FUNCTION, BIT(POINT_READY),
	 "sk_data_ready"},
	{"function_copied", "skb_consume_udp", TIER_FUNCTION, BIT(POINT_COPIED),
	 NULL},
};
const size_t points_program_count =
	sizeof points_programs / sizeof *points_programs;
