/* Frames made by hand and what each must decode to. */
#ifndef TESTS_PACKET_GOLDEN_H
#define TESTS_PACKET_GOLDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet/packet.h"

/* The addresses of a golden packet: 1 sends to 2. */
enum golden_ends {
	OUTER4,     /* 192.0.2.1, 192.0.2.2 */
	OUTER6,     /* 2001:db8::1, ::2 */
	INNER4,     /* 10.0.0.1, .2 */
	INNER6,     /* 2001:0:db8::1, ::2, as Teredo has them */
	LOOKALIKE4, /* 8.0.69.0, 8.0.69.2: an ethertype where IPv4's is */
	GOLDEN_ENDS_COUNT
};

struct golden {
	const char *name;
	uint16_t link_type;
	const char *hex;
	uint32_t size; /* on the wire, 0: as many bytes as there are */

	enum verdict verdict; /* the rest is for VERDICT_OK */
	enum golden_ends ends;
	uint8_t protocol;
	uint16_t port[2];
	uint32_t ip_bytes;
	uint32_t payload_bytes;
	uint16_t ip_offset;
	uint16_t transport_offset;
	uint16_t payload_offset;
	uint16_t flags;
	uint16_t vlan;
	uint16_t vlan_outer;
	uint8_t mpls_labels;
	enum tunnel tunnel;
	uint32_t network; /* without the tunnel's number */
	enum golden_ends outer;
};

struct golden_set {
	const struct golden *golden;
	size_t count;
};

#define GOLDEN_BYTES_MAX 512
#define GOLDEN_SETS      3
extern const struct golden_set *const golden_sets[GOLDEN_SETS];

/* The bytes of a golden packet; their number. */
size_t golden_bytes(const struct golden *golden,
		    uint8_t ret_bytes[GOLDEN_BYTES_MAX]);

/* 4 or 16 bytes. */
const uint8_t *golden_address(enum golden_ends ends, int index);
uint8_t golden_ip_version(enum golden_ends ends);

/* Headers, as hexadecimal digits. */
#define MAC       "020000000002020000000001"
#define ETH(type) MAC type

#define IP4(size, protocol)    \
	"4500" size "00010000" \
	"40" protocol "0000"   \
	"c0000201"             \
	"c0000202"
#define IP4_FRAGMENT(size, fragment, protocol)           \
	"4500" size "abcd" fragment "40" protocol "0000" \
	"c0000201"                                       \
	"c0000202"
#define IP6(size, next)                    \
	"60000000" size next "40"          \
	"20010db8000000000000000000000001" \
	"20010db8000000000000000000000002"
#define INNER_IP4(size, protocol) \
	"4500" size "00020000"    \
	"40" protocol "0000"      \
	"0a000001"                \
	"0a000002"
#define INNER_IP6(size, next)              \
	"60000000" size next "40"          \
	"2001000000000db80000000000000001" \
	"2001000000000db80000000000000002"

/* 50000 -> 443 and 53 */
#define TCP_HEAD   \
	"c35001bb" \
	"00000001" \
	"00000002"
#define TCP                 \
	TCP_HEAD "50182000" \
		 "00000000" \
		 "74657374" /* 24 */
#define TCP_ACK             \
	TCP_HEAD "50102000" \
		 "00000000" /* 20 */
#define UDP        \
	"c3500035" \
	"000c0000" \
	"74657374" /* 12 */
#define TCP_FLAGS (PACKET_TCP | PACKET_TCP_OPTIONS)

/* 5001 -> 5002 inside tunnels: 32, 52 and 46 bytes */
#define INNER_UDP  \
	"1389138a" \
	"000c0000" \
	"01020304"
#define INNER_PACKET  INNER_IP4("0020", "11") INNER_UDP
#define INNER_PACKET6 INNER_IP6("000c", "11") INNER_UDP
#define INNER_FRAME    \
	"02000000000a" \
	"02000000000b" \
	"0800" INNER_PACKET

#endif
