/* packet_capture.h - capture packets and meter flows with libpacket_capture.
 *
 *     capture_config_t config;
 *     capture_config_init(&config);
 *     config.interfaces = "eth0";
 *     capture_session_t *session = capture_init(&config);
 *     capture_flow_enable(session, NULL);
 *     capture_start(session);
 *     while ((count = capture_poll(session, packets, 64)) >= 0) {
 *             ...
 *             capture_packets_release(session, packets, count);
 *     }
 *     capture_stop(session);
 *     capture_cleanup(session);
 *
 * Life cycle: init -> enable... -> start -> poll, lookup, get_all, stats ->
 * stop -> lookup, get_all, stats -> cleanup.  A session starts once.
 *
 * Errors: functions that return int return 0 (or a count) or a negative
 * CAPTURE_E... code or negative errno; capture_strerror() has a sentence for
 * every code, capture_error_text() the whole story of the calling thread's
 * last failure (which interface, which file and offset, what to do).
 * Functions that return a pointer return NULL, and capture_errno() the code.
 *
 * Threads: capture_poll() and capture_packets_release() of one session may be
 * called from any threads, one at a time is inside (a lock sees to it); so may
 * capture_flow_lookup(), capture_flow_get_all() and capture_get_stats(), at
 * the same time as the former.  init, ..._enable, start, stop and cleanup are
 * called by one thread with no other call of that session under way, except
 * that capture_stop() may be called while another thread is inside
 * capture_poll().  Different sessions share nothing.
 *
 * Times are nanoseconds since 1970-01-01T00:00:00 UTC unless named otherwise.
 * Ports and lengths are in host byte order, addresses in network order.
 */
#ifndef PACKET_CAPTURE_H
#define PACKET_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CAPTURE_API __attribute__((visibility("default")))
#else
#define CAPTURE_API
#endif

/* ------------------------------------------------------------- errors -- */

enum {
	CAPTURE_OK = 0,
	CAPTURE_EBACKEND = -2000, /* no such backend */
	CAPTURE_EFILTER = -2001,  /* the filter does not compile */
	CAPTURE_EFILE = -2002,    /* not a capture file, damaged, or cut */
	CAPTURE_ESTATE = -2003,   /* not possible in this state */
	CAPTURE_ERANGE = -2004,   /* a configured value is out of range */
	CAPTURE_EVERSION = -2005, /* not part of this version */
	CAPTURE_END = -2006       /* the end: no more packets will come */
};

/* A sentence for 'code' (0, CAPTURE_E... or a negative errno), never NULL. */
CAPTURE_API const char *capture_strerror(int code);

/* The code of the calling thread's last failed call, and its sentence with
 * the object and the remedy; valid until this thread's next failure. */
CAPTURE_API int capture_errno(void);
CAPTURE_API const char *capture_error_text(void);

/* The library's version, "major.minor.patch". */
CAPTURE_API const char *capture_version(void);

/* ------------------------------------------------------ configuration -- */

typedef struct capture_session capture_session_t;

enum {
	CAPTURE_TIMESTAMP_AUTO = 0,     /* hardware if the card delivers it */
	CAPTURE_TIMESTAMP_HARDWARE = 1, /* or fail */
	CAPTURE_TIMESTAMP_KERNEL = 2
};

/* 0 or NULL in any field means its default. */
typedef struct {
	/* What to capture from: interface names or capture files separated
	 * by commas; "any" is every interface, also those to come; "-" is
	 * standard input.  Interfaces and files do not mix.  Required. */
	const char *interfaces;
	/* NULL or "auto", or a name of capture_backend_list(). */
	const char *backend;
	/* Memory shared with the kernel, bytes, for the whole session:
	 * 64 MiB to 2 GiB, default 256 MiB. */
	uint64_t ring_size;
	/* Bytes kept of each packet: 64 to 262144, default all. */
	uint32_t snap_length;
	/* 1: see traffic that is not for this host. */
	int promiscuous;
	/* pcap-filter(7); compiled with libpcap, run in the kernel where the
	 * backend can.  Default: everything. */
	const char *filter;
	int timestamp_source; /* CAPTURE_TIMESTAMP_... */
	/* Threads that meter, 1 to 64, default 1; on interfaces they share
	 * the traffic by PACKET_FANOUT, flows kept whole. */
	uint32_t workers;
	/* 1: do not share an interface over the workers (fanout off); the
	 * first worker takes everything. */
	int no_fanout;
	/* How long capture_poll() waits for a packet, ms; default 100,
	 * negative: return at once. */
	int poll_timeout_ms;
	/* 1: packets are metered and not handed to capture_poll(), which
	 * then only waits and says CAPTURE_END.  Needs flow metering. */
	int no_packets;
	uint64_t reserved[8]; /* 0 */
} capture_config_t;

/* Fills in every default. */
CAPTURE_API void capture_config_init(capture_config_t *config);

/* Makes a session and opens what it captures from; whatever needs privilege
 * happens here.  NULL on failure (capture_errno(): -ENODEV no such interface,
 * -EPERM, -ENOENT, CAPTURE_EBACKEND, CAPTURE_EFILTER, CAPTURE_ERANGE, ...);
 * then nothing is left behind. */
CAPTURE_API capture_session_t *capture_init(const capture_config_t *config);

/* Starts the worker threads.  Returns 0, CAPTURE_ESTATE (started before) or
 * a negative errno. */
CAPTURE_API int capture_start(capture_session_t *session);

/* Ends capturing: what was captured before is still metered and handed out
 * by capture_poll(), then CAPTURE_END.  Blocks until the threads have ended,
 * a second or two at most.  Returns 0 or CAPTURE_ESTATE (not started). */
CAPTURE_API int capture_stop(capture_session_t *session);

/* Stops if need be, frees everything; packets still held are gone.  Records
 * stay valid until released.  NULL is fine. */
CAPTURE_API void capture_cleanup(capture_session_t *session);

/* ------------------------------------------------------------ packets -- */

enum {
	CAPTURE_SOURCE_NONE = 0,
	CAPTURE_SOURCE_FILE = 1,
	CAPTURE_SOURCE_USER = 2,
	CAPTURE_SOURCE_KERNEL = 3,
	CAPTURE_SOURCE_HARDWARE = 4
};

typedef struct {
	const uint8_t *data;      /* in the ring itself, until released */
	uint32_t captured_length; /* bytes at 'data' */
	uint32_t length;          /* bytes on the wire */
	int64_t timestamp_ns;
	uint8_t timestamp_source; /* CAPTURE_SOURCE_... */
	uint8_t outgoing;         /* 1: sent by this host, where known */
	uint16_t link_type;       /* LINKTYPE_... of pcap; 1 is Ethernet */
	uint16_t segment_length;  /* payload bytes a segment of a super-frame
				     (offload); 0: one packet */
	uint16_t interface_index; /* for capture_interface_name() */
	const char *interface;    /* its name, valid until cleanup */
	uint64_t reserved[4];     /* the library's */
} captured_packet_t;

/* Takes up to max_packets packets.  Each stays valid, and its bytes stay in
 * the ring, until it is given to capture_packets_release().  Waits up to
 * poll_timeout_ms for the first.  Returns how many, 0 (none came in time, or
 * the caller holds as many as can be lent: 16,384 a worker), CAPTURE_END when
 * nothing more will come, CAPTURE_ESTATE before capture_start(), -EINVAL, or
 * CAPTURE_EFILE once, before CAPTURE_END, when a file was damaged (what was
 * readable has been given out).
 *
 * A ring that is not emptied never blocks the kernel and is never overwritten:
 * new packets are dropped and counted.  With metering on an interface, packets
 * that are not polled in time are metered but not handed out, and counted
 * (poll_dropped).  From a file nothing is lost: metering waits for the poll. */
CAPTURE_API int capture_poll(capture_session_t *session,
			     captured_packet_t **packets, int max_packets);

/* Gives packets back, any of them, in any order, each once. */
CAPTURE_API void capture_packets_release(capture_session_t *session,
					 captured_packet_t *const *packets,
					 int count);

/* -------------------------------------------------------------- flows -- */

/* Who talks to whom.  'src' is the flow's initiator in records; in a lookup
 * either way round finds the flow. */
typedef struct {
	uint8_t ip_version;       /* 4 or 6 */
	uint8_t protocol;         /* IANA number: 6 TCP, 17 UDP, ... */
	uint16_t src_port;        /* ICMP: type */
	uint16_t dst_port;        /* ICMP: type of the answer, or code */
	uint16_t vlan;            /* innermost 802.1Q VID, 0: none */
	uint16_t vlan_outer;      /* outer VID when tagged twice, else 0 */
	uint16_t interface_index; /* see CAPTURE_INTERFACE_ANY */
	uint32_t network;         /* 0: not in a tunnel; else as records say */
	uint8_t src_address[16];  /* IPv4 in the first 4 bytes, the rest 0 */
	uint8_t dst_address[16];
} flow_tuple_t;

/* In a lookup: whichever interface saw the flow first. */
#define CAPTURE_INTERFACE_ANY 0xffff

/* flowEndReason of RFC 5102; 0: the flow lives. */
enum {
	FLOW_ENDED_NOT = 0,
	FLOW_ENDED_IDLE = 1,
	FLOW_ENDED_ACTIVE = 2,
	FLOW_ENDED_DETECTED = 3,
	FLOW_ENDED_FORCED = 4,
	FLOW_ENDED_RESOURCES = 5
};

/* TCP: closing after one FIN; closed after both, or RST. */
enum { FLOW_IS_ACTIVE = 0, FLOW_IS_CLOSING = 1, FLOW_IS_CLOSED = 2 };

/* Lengths or times of a flow's packets.  In arrays of them index 0 is what
 * the initiator sent, 1 what its peer sent, 2 both together. */
typedef struct {
	uint64_t count; /* packets, or times between two; 0: no values */
	uint64_t min, max;
	double mean;   /* cut to thousandths of a byte, or to ns */
	double stddev; /* of the sample, cut likewise; count below 2: 0 */
} flow_measure_t;

#define FLOW_FIRST_PACKETS_MAX 32
#define FLOW_HISTOGRAM_BINS    16

/* What flow_config_t.statistics asked for, the rest is 0; the definitions are
 * in STATISTICS.md, version 1. */
typedef struct {
	flow_measure_t length[3];      /* bytes: IP total length */
	flow_measure_t payload[3];     /* bytes: transport payload */
	flow_measure_t interval_ns[3]; /* from packet to packet */
	uint32_t first_count;          /* of the four arrays */
	uint8_t first_direction[FLOW_FIRST_PACKETS_MAX]; /* 1: the peer */
	uint32_t first_length[FLOW_FIRST_PACKETS_MAX];
	uint32_t first_payload[FLOW_FIRST_PACKETS_MAX];
	uint64_t first_interval_ns[FLOW_FIRST_PACKETS_MAX];
	/* Lengths: below 64, then from 64, 96, 128, 192, ... 6144, 8192 on.
	 * Times: below 2^10 ns, then from 2^10, 2^12, ... 2^38 ns on. */
	uint64_t length_histogram[2][FLOW_HISTOGRAM_BINS];
	uint64_t interval_histogram[3][FLOW_HISTOGRAM_BINS];
	uint64_t reserved[4];
} flow_statistics_t;

/* A biflow (RFC 5103): plain names count what the initiator sent, rev_ what
 * its peer sent. */
typedef struct {
	uint64_t flow_id; /* 64-bit FNV-1a of the canonical 5-tuple */
	flow_tuple_t tuple;
	uint64_t packets, rev_packets;
	uint64_t bytes, rev_bytes;                 /* IP total length */
	uint64_t frame_bytes, rev_frame_bytes;     /* link-layer frames */
	uint64_t payload_bytes, rev_payload_bytes; /* transport payload */
	int64_t start_ns, end_ns;                  /* first and last packet */
	uint8_t tcp_flags, rev_tcp_flags;          /* all seen, ORed */
	uint8_t end_reason;                        /* FLOW_ENDED_... */
	uint8_t state;                             /* FLOW_IS_... */
	uint8_t duplicate;  /* 1: also counted on another interface */
	const char *tunnel; /* "vxlan", ...; NULL: none */
	char interface[32];
	char community_id[32]; /* version 1 */
	/* As long as the record; NULL: not asked for. */
	const flow_statistics_t *statistics;
	uint64_t reserved[3];
} flow_record_t;

/* 0 in any field means its default. */
typedef struct {
	uint32_t max_flows;        /* 4096 to 16777216, default 262144 */
	uint32_t idle_timeout_s;   /* 30 to 3600, default 300 */
	uint32_t active_timeout_s; /* 1 to 86400, default 1800 */
	/* How many ended records are kept for lookup and get_all; default
	 * 65536.  The oldest go first and are counted (flows_forgotten). */
	uint32_t history;
	/* Called for every record that ends, on a thread of the session, one
	 * at a time; the record is the callee's to read during the call.  It
	 * must not call into the session. */
	void (*on_end)(const flow_record_t *record, void *context);
	void *context;
	/* Idle timeouts of one kind of flow, 1 to 3600 s.  Default: as
	 * idle_timeout_s; of TCP connections whose handshake is not done, or
	 * that one side has ended, 120 s, of those that both have ended (or a
	 * RST) 5 s, if that is less than idle_tcp_s. */
	uint32_t idle_tcp_s, idle_tcp_opening_s, idle_tcp_closing_s,
		idle_tcp_closed_s, idle_udp_s, idle_icmp_s, idle_other_s;
	/* Active timeouts, 1 to 86400 s.  Default: as active_timeout_s. */
	uint32_t active_tcp_s, active_udp_s, active_other_s;
	/* Sampling: records and their sums are the sample's.  One packet in
	 * sample_packets is metered, up to 16777216; capture_poll() has them
	 * all.  0 and 1: every packet. */
	uint32_t sample_packets;
	/* One flow in so many is metered, whole; 0 and 1: every flow. */
	uint32_t sample_flows;
	uint16_t sample_mode;   /* FLOW_SAMPLE_... */
	uint16_t sample_size;   /* with RANDOM: so many of sample_packets, 1 to
				   16 and below it, default 1 */
	uint16_t first_packets; /* that the statistics 'first' keep: 1 to 32,
				   default 16 */
	uint16_t reserved;
	/* Names with commas between: length, payload, interval, first,
	 * histogram, or all.  Default: none. */
	const char *statistics;
} flow_config_t;

/* Which packets are taken (RFC 5475): n of each sample_packets at random,
 * every sample_packets-th, or each with the probability 1/sample_packets. */
enum {
	FLOW_SAMPLE_RANDOM = 0,
	FLOW_SAMPLE_COUNT = 1,
	FLOW_SAMPLE_PROBABILITY = 2
};

/* Turns metering on, before capture_start().  'config' may be NULL.  Returns
 * 0, CAPTURE_ESTATE, CAPTURE_ERANGE or -ENOMEM. */
CAPTURE_API int capture_flow_enable(capture_session_t *session,
				    const flow_config_t *config);

/* A copy of the flow's record: the live one, else the last that ended and is
 * still kept.  The caller gives it back by capture_flow_release().  NULL: no
 * such flow (capture_errno(): 0), or a failure. */
CAPTURE_API flow_record_t *capture_flow_lookup(capture_session_t *session,
					       const flow_tuple_t *tuple);

/* Copies of every live flow and every kept record that ended (end_reason
 * tells).  Does not stall metering; flows that come or go meanwhile may or
 * may not be in it.  Writes their number to *count; the caller gives all back
 * by capture_flow_release_all().  NULL with *count 0: no flows, or a failure
 * (capture_errno()). */
CAPTURE_API flow_record_t **capture_flow_get_all(capture_session_t *session,
						 int *count);

CAPTURE_API void capture_flow_release(flow_record_t *record);
CAPTURE_API void capture_flow_release_all(flow_record_t **records, int count);

/* --------------------------------------------------------- statistics -- */

/* Since capture_start().  For interfaces: what the kernel handed over is
 * packets_received + packets_dropped.  Once stopped:
 *     packets_received = packets_decoded + packets_undecoded
 *                      + packets_not_selected
 *     packets_decoded = packets_metered + packets_refused
 *                     + packets_of_other_flows
 *     flows_created = flows_live + flows_ended */
typedef struct {
	uint64_t packets_received;
	uint64_t bytes_received;    /* wire bytes */
	uint64_t packets_dropped;   /* in the kernel: the ring was full */
	uint64_t interface_dropped; /* before the ring, by the card */
	uint64_t packets_filtered;  /* by a filter run in this process */
	uint64_t packets_polled;    /* handed to capture_poll() */
	uint64_t poll_dropped; /* metered but not handed to capture_poll() */
	uint64_t packets_decoded;
	uint64_t packets_undecoded; /* ARP, foreign, damaged, ... */
	uint64_t packets_metered;
	uint64_t packets_refused; /* no room in the flow table */
	uint64_t flows_created, flows_live, flows_ended;
	uint64_t flows_evicted;          /* of the ended: from a full table */
	uint64_t flows_forgotten;        /* ended records no longer kept */
	uint64_t packets_not_selected;   /* left out by sample_packets */
	uint64_t packets_of_other_flows; /* left out by sample_flows */
	uint64_t reserved[6];
} capture_stats_t;

/* At most 100 ms old while capturing, exact after capture_stop(). */
CAPTURE_API int capture_get_stats(capture_session_t *session,
				  capture_stats_t *stats);

/* ------------------------------------------- backends and interfaces -- */

typedef struct {
	const char *name;        /* for capture_config_t.backend */
	const char *description; /* one line */
	int live;                /* 1: captures from interfaces */
} capture_backend_t;

/* The backends of this build; *count of them, static. */
CAPTURE_API const capture_backend_t *capture_backend_list(int *count);

typedef struct {
	char name[16];
	int index;
	int up;
	int loopback;
	uint16_t link_type; /* LINKTYPE_..., 0xffff: cannot be decoded */
	uint8_t mac[6];
} capture_interface_t;

/* Writes up to 'max' of this network namespace's interfaces; returns how many
 * there are, or a negative errno. */
CAPTURE_API int capture_interface_list(capture_interface_t *interfaces,
				       int max);

/* The name behind an interface_index of this session, or NULL. */
CAPTURE_API const char *capture_interface_name(capture_session_t *session,
					       uint16_t index);

/* ------------------------------------------------ of later versions -- */

/* These are part of the interface and not of this version: they return
 * CAPTURE_EVERSION and change nothing. */
typedef struct netflow_config netflow_config_t;
typedef struct crypto_config crypto_config_t;

CAPTURE_API int capture_netflow_enable(capture_session_t *session,
				       const netflow_config_t *config);
CAPTURE_API int capture_set_encryption(capture_session_t *session,
				       const crypto_config_t *config);
CAPTURE_API int capture_verify_firmware(const char *firmware_path,
					const char *signature_path);

#ifdef __cplusplus
}
#endif

#endif
