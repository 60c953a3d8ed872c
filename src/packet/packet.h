/* Decoding: the bytes of a frame in, one struct out.
 *
 * Pure: nothing here allocates, reads a clock or touches a file.  A frame
 * that cannot be decoded is not an error of the program but a verdict, which
 * the caller counts by name.  Every length comes from the headers and not
 * from what was captured: a capture cut to 96 bytes counts full bytes.
 *
 * The decoder walks link layer, tags and labels, IP, tunnels and transport
 * in one loop.  Where a tunnel is found and its inner packet can be decoded,
 * the inner packet is the packet and the outermost IP header is kept as
 * 'outer'; where the inner packet is cut off or is not IP, the outer packet
 * stays the packet.  A fragment's tunnel is not entered.  UDP is a tunnel
 * only if all that its header can prove is right and IP sizes inside fit.
 *
 * Sizes: IP bytes are what the length field says, as long as the frame on the
 * wire (or the packet around a tunnel) has room for that; a field that claims
 * more counts the room, a field of 0 (segmentation offload) counts the room
 * and is flagged.  Padding behind the IP packet is not counted.
 *
 * Whatever has its ports (or ICMP type and code) in the captured bytes is
 * decoded, however little follows.  Authentication headers are passed over
 * in IPv4 as in IPv6; a damaged one in IPv4 is the transport.
 *
 * Threads: any number, nothing is shared.
 */
#ifndef PACKET_H
#define PACKET_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/stamp.h"

/* Nested headers that one frame may have: each link header, tag, label, IP
 * and extension header is one.  More of them before the first IP packet is
 * found are VERDICT_DEPTH; more inside a tunnel stay undecoded. */
#define PACKET_DEPTH_MAX 32

/* What can become of a frame.  X(name, word, one line for the counter).
 * The first row is the only one that is a packet to be metered. */
#define VERDICT_TABLE(X)                                                     \
	X(VERDICT_OK, "decoded", "an IP packet")                             \
	X(VERDICT_ARP, "arp", "ARP or RARP, counted and not metered")        \
	X(VERDICT_NOT_IP, "not_ip", "an ethertype other than IP or ARP")     \
	X(VERDICT_LLC, "llc", "IEEE 802.3 length and LLC, no SNAP with IP")  \
	X(VERDICT_LINK_UNKNOWN, "link_unknown",                              \
	  "a link type not decoded here")                                    \
	X(VERDICT_LINK_TRUNCATED, "link_truncated",                          \
	  "cut short in the link header, a tag or a label")                  \
	X(VERDICT_DEPTH, "depth", "more nested headers than the limit")      \
	X(VERDICT_IP_TRUNCATED, "ip_truncated", "cut short in an IP header") \
	X(VERDICT_IP_VERSION, "ip_version", "IP version neither 4 nor 6")    \
	X(VERDICT_IP_HEADER, "ip_header",                                    \
	  "IPv4 header length below 20 or above the total length")           \
	X(VERDICT_IP_EXTENSION, "ip_extension",                              \
	  "IPv6 extension headers damaged or cut short")                     \
	X(VERDICT_TRANSPORT_TRUNCATED, "transport_truncated",                \
	  "cut short before the ports or the ICMP type")                     \
	X(VERDICT_TRANSPORT_HEADER, "transport_header",                      \
	  "transport header length not possible")

#define VERDICT_ENUM(name, word, line) name,
enum verdict { VERDICT_TABLE(VERDICT_ENUM) VERDICT_COUNT };
#undef VERDICT_ENUM

/* The word and the line of a verdict; static. */
const char *verdict_word(enum verdict verdict);
const char *verdict_line(enum verdict verdict);

/* The innermost tunnel around the packet.  X(name, word) */
#define TUNNEL_TABLE(X)            \
	X(TUNNEL_NONE, NULL)       \
	X(TUNNEL_GRE, "gre")       \
	X(TUNNEL_NVGRE, "nvgre")   \
	X(TUNNEL_ERSPAN, "erspan") \
	X(TUNNEL_VXLAN, "vxlan")   \
	X(TUNNEL_GENEVE, "geneve") \
	X(TUNNEL_GTPU, "gtpu")     \
	X(TUNNEL_IPIP, "ipip")     \
	X(TUNNEL_4IN6, "4in6")     \
	X(TUNNEL_6IN4, "6in4")     \
	X(TUNNEL_6IN6, "6in6")     \
	X(TUNNEL_TEREDO, "teredo")

#define TUNNEL_ENUM(name, word) name,
enum tunnel { TUNNEL_TABLE(TUNNEL_ENUM) TUNNEL_COUNT };
#undef TUNNEL_ENUM

/* The words of TUNNEL_TABLE by number (NULL for none), for FIELD_WORD. */
extern const char *const tunnel_words[TUNNEL_COUNT];

/* Who talks to whom, as this packet says it: index 0 sent it, 1 gets it.
 * It is a flow's key as well, so it has no padding and unused bytes are 0.
 *
 * Ports: TCP, UDP, UDP-Lite, SCTP, DCCP as they stand.  ICMP and ICMPv6: the
 * type in port[0] and, for a request or its reply, the type of the other one
 * in port[1] (echo: 8 and 0), else the code in port[1]; the Community ID
 * rule.  Fragments after the first and other protocols: 0.
 *
 * Network: which private address space the addresses belong to.  0 outside
 * a tunnel; else the tunnel kind in the upper 8 bits and the 24-bit network
 * identifier (VXLAN and Geneve VNI, NVGRE VSID) below, 0 where the tunnel
 * has none that is the same in both directions (GTP-U, GRE, ERSPAN). */
struct packet_tuple {
	uint8_t address[2][16]; /* IPv4 in the first 4 bytes, the rest 0 */
	uint16_t port[2];       /* host byte order */
	uint8_t protocol;       /* IANA number, after extension headers */
	uint8_t ip_version;     /* 4 or 6 */
	uint16_t vlan;          /* innermost 802.1Q VID, 0: none; a priority
				   tag (VID 0) is none, and the tags around a
				   tunnel count if there is none inside */
	uint16_t vlan_outer;    /* outermost VID when tagged twice, else 0 */
	uint16_t interface;     /* the caller's number, copied from the frame */
	uint32_t network;
};

static_assert(sizeof(struct packet_tuple) == 48, "a flow key has no padding");

#define PACKET_FRAGMENT       0x0001 /* part of a fragmented datagram */
#define PACKET_FRAGMENT_FIRST 0x0002 /* offset 0: it has the ports */
#define PACKET_FRAGMENT_LAST  0x0004 /* no more fragments */
#define PACKET_CUT            0x0008 /* fewer bytes captured than sent */
#define PACKET_TCP_OPTIONS    0x0010 /* all options were there and sound */
#define PACKET_TCP            0x0020 /* 'tcp' is valid */
#define PACKET_ICMP_ONE_WAY   0x0040 /* ICMP type without a counterpart */
#define PACKET_IP_SIZE_ZERO   0x0080 /* length field 0 (offload): inferred */
#define PACKET_NO_PORTS       0x0100 /* first fragment without its ports */
#define PACKET_SUPER          0x0200 /* several segments in one frame */

struct packet_tcp {
	uint32_t sequence;
	uint32_t acknowledgment;
	uint16_t window;      /* as it stands, before scaling */
	uint16_t mss;         /* option 2, 0: absent */
	uint8_t window_scale; /* option 3 plus 1, 0: absent */
	uint8_t sack_permitted;
	uint8_t sack_count; /* blocks of option 5 */
	uint8_t header_size;
	uint32_t timestamp;      /* option 8 TSval, valid if has_timestamp */
	uint32_t timestamp_echo; /* option 8 TSecr */
	uint8_t has_timestamp;
	uint8_t pad[3];
	uint32_t sack_left; /* first block of option 5, if any */
	uint32_t sack_right;
};

/* One decoded packet.  'ip_bytes', 'frame_bytes' and 'packets' count what
 * was on the wire: a super-frame of segmentation offload that stands for n
 * segments has packets = n and n times its headers.
 *
 * Fields are in words of 8 bytes that are written at once, and by cache
 * lines: the first two have all but TCP's options and the outer header. */
struct packet {
	struct packet_tuple tuple;
	struct wall at;
	const uint8_t *bytes; /* borrowed: the frame */

	uint32_t frame_bytes; /* wire size of the frame (all segments) */
	uint32_t ip_bytes;    /* IP total length, header included */
	/* Transport payload by the headers: behind TCP's options, 8 bytes of
	 * UDP, UDP-Lite, ICMP and ICMPv6, 12 of SCTP, DCCP's own; all behind
	 * IP for fragments after the first and other protocols. */
	uint32_t payload_bytes;
	uint32_t packets;       /* segments on the wire, 1 mostly */
	uint32_t captured_size; /* bytes at 'bytes' */
	uint16_t flags;         /* PACKET_... */
	uint8_t tcp_flags;      /* CWR ECE URG ACK PSH RST SYN FIN */
	uint8_t tunnel;         /* enum tunnel */
	/* Offsets in the frame, never past what was captured. */
	uint16_t ip_offset;        /* of the packet's IP header in the frame */
	uint16_t transport_offset; /* of its transport header */
	uint16_t payload_offset;   /* of its transport payload */
	uint8_t ttl;               /* IPv4 TTL or IPv6 hop limit */
	uint8_t tos;               /* DSCP (upper 6 bits) and ECN */
	/* 0 if not PACKET_FRAGMENT. */
	uint32_t fragment_id;     /* IPv4 identification or IPv6's */
	uint16_t fragment_offset; /* in bytes */
	uint8_t icmp_type;        /* 0 with other protocols */
	uint8_t icmp_code;
	uint8_t mpls_labels;      /* labels seen before the first IP header */
	uint8_t outer_ip_version; /* valid if tunnel != NONE */
	/* PACKET_SUPER: transport payload of each segment but the last. */
	uint16_t segment_bytes;
	uint32_t pad;

	struct packet_tcp tcp; /* valid if PACKET_TCP */
	uint32_t tcp_pad;

	/* The outermost IP header around a tunnel; valid if tunnel != NONE. */
	uint8_t outer_address[2][16];
	uint64_t outer_pad;
};

static_assert(sizeof(struct packet) == 192, "three cache lines");

/* What the capture knows of a frame. */
struct packet_input {
	const uint8_t *bytes;
	uint32_t captured_size;
	uint32_t size; /* bytes on the wire; taken as captured_size if
			  smaller */
	struct wall at;
	uint16_t link_type; /* LINKTYPE_... of pcap(5): 1 is Ethernet */
	uint16_t interface; /* goes into the tuple */
	uint16_t gso_size;  /* payload bytes a segment of TCP or UDP (the
			       innermost one), 0: one packet */
	uint16_t pad;
};

/* Decodes one frame.  Writes *ret_packet on VERDICT_OK; on any other verdict
 * its content is undefined.  Never reads outside 'bytes'. */
enum verdict packet_decode(const struct packet_input *input,
			   struct packet *ret_packet);

/* Whether packet_decode() knows the link type (a LINKTYPE_ number). */
bool packet_link_known(uint16_t link_type);

/* A plain packet in one cache line. */
#include "packet/brief.h"

#endif
