/* IP headers and transports. */
#include "golden_private.h"

#define SYN_OPTIONS "020405b40402080a000000070000000001030307"
#define SCTP       \
	"c35001bb" \
	"00000001" \
	"00000000" \
	"0003001400000001" /* 20 */
#define DCCP       \
	"c35001bb" \
	"04000000" \
	"25000001" \
	"00000002" \
	"01020304" /* 20 */
#define FRAGMENT_FLAGS(which) (PACKET_FRAGMENT | (which))

/* Something with these ports behind 14 bytes and the IP header. */
#define IS4(number, first, second, total)                              \
	.ends = OUTER4, .protocol = (number), .port = {first, second}, \
	.ip_bytes = (total), .ip_offset = 14
#define IS6(number, first, second, total)                              \
	.ends = OUTER6, .protocol = (number), .port = {first, second}, \
	.ip_bytes = (total), .ip_offset = 14
#define AT(transport, payload, bytes)                                 \
	.transport_offset = (transport), .payload_offset = (payload), \
	.payload_bytes = (bytes)

static const struct golden golden[] = {
	{"IPv4, TCP", 1, ETH("0800") IP4("002c", "06") TCP,
	 IS4(6, 50000, 443, 44), AT(34, 54, 4), .flags = TCP_FLAGS},
	{"IPv6, TCP", 1, ETH("86dd") IP6("0018", "06") TCP,
	 IS6(6, 50000, 443, 64), AT(54, 74, 4), .flags = TCP_FLAGS},
	{"a tag, IPv6, TCP", 1, ETH("8100") "000786dd" IP6("0018", "06") TCP,
	 .ends = OUTER6, .protocol = 6, .port = {50000, 443}, .ip_bytes = 64,
	 .ip_offset = 18, AT(58, 78, 4), .flags = TCP_FLAGS, .vlan = 7},
	{"TCP, padded", 1, ETH("0800") IP4("0028", "06") TCP_ACK "000000000000",
	 IS4(6, 50000, 443, 40), AT(34, 54, 0), .flags = TCP_FLAGS},
	{"TCP, connection request", 1,
	 ETH("0800") IP4("003c", "06") TCP_HEAD "a0022000"
						"00000000" SYN_OPTIONS,
	 IS4(6, 50000, 443, 60), AT(34, 74, 0), .flags = TCP_FLAGS},
	{"TCP, timestamps", 1,
	 ETH("0800") IP4("0038", "06") TCP_HEAD "80182000"
						"00000000"
						"0101080a0000000a0000000b"
						"74657374",
	 IS4(6, 50000, 443, 56), AT(34, 66, 4), .flags = TCP_FLAGS},
	{"TCP, selective acknowledgment", 1,
	 ETH("0800") IP4("0034", "06") TCP_HEAD "80102000"
						"00000000"
						"0101050a00000064000000c8",
	 IS4(6, 50000, 443, 52), AT(34, 66, 0), .flags = TCP_FLAGS},
	{"TCP, damaged options", 1,
	 ETH("0800") IP4("002c", "06") TCP_HEAD "60102000"
						"00000000"
						"02080000",
	 IS4(6, 50000, 443, 44), AT(34, 58, 0), .flags = PACKET_TCP},
	{"TCP, header beyond the packet", 1,
	 ETH("0800") IP4("0028", "06") TCP_HEAD "f0102000"
						"00000000",
	 IS4(6, 50000, 443, 40), AT(34, 54, 0), .flags = PACKET_TCP},
	{"TCP, header too short", 1,
	 ETH("0800") IP4("0028", "06") TCP_HEAD "40102000"
						"00000000",
	 .verdict = VERDICT_TRANSPORT_HEADER},
	{"IPv4 with options", 1,
	 ETH("0800") "460000240001000040110000"
		     "c0000201c0000202"
		     "94040000" UDP,
	 IS4(17, 50000, 53, 36), AT(38, 46, 4)},
	{"UDP, size beyond the packet", 1,
	 ETH("0800") IP4("0020", "11") "c3500035"
				       "00ff0000"
				       "74657374",
	 IS4(17, 50000, 53, 32), AT(34, 42, 4)},
	{"UDP, size below the packet's", 1,
	 ETH("0800") IP4("0020", "11") "c3500035"
				       "000a0000"
				       "74657374",
	 IS4(17, 50000, 53, 32), AT(34, 42, 2)},
	{"UDP, size 0", 1,
	 ETH("0800") IP4("0020", "11") "c3500035"
				       "00000000"
				       "74657374",
	 IS4(17, 50000, 53, 32), AT(34, 42, 4)},
	{"UDP, size impossible", 1,
	 ETH("0800") IP4("0020", "11") "c3500035"
				       "00070000"
				       "74657374",
	 .verdict = VERDICT_TRANSPORT_HEADER},
	{"UDP, only the ports in the packet", 1,
	 ETH("0800") IP4("0018", "11") "c3500035", IS4(17, 50000, 53, 24),
	 AT(34, 38, 0)},
	{"UDP, less than the ports in the packet", 1,
	 ETH("0800") IP4("0017", "11") "c3500035",
	 .verdict = VERDICT_TRANSPORT_TRUNCATED},
	{"UDP-Lite", 1, ETH("0800") IP4("0020", "88") UDP,
	 IS4(136, 50000, 53, 32), AT(34, 42, 4)},
	{"SCTP", 1, ETH("0800") IP4("0028", "84") SCTP,
	 IS4(132, 50000, 443, 40), AT(34, 46, 8)},
	{"DCCP", 1, ETH("0800") IP4("0028", "21") DCCP, IS4(33, 50000, 443, 40),
	 AT(34, 50, 4)},
	{"DCCP, header too short", 1,
	 ETH("0800") IP4("0028", "21") "c35001bb"
				       "02000000"
				       "25000001"
				       "00000002"
				       "01020304",
	 .verdict = VERDICT_TRANSPORT_HEADER},
	{"ICMP, echo", 1,
	 ETH("0800") IP4("0020", "01") "08000000"
				       "00010002"
				       "74657374",
	 IS4(1, 8, 0, 32), AT(34, 42, 4)},
	{"ICMP, echo reply", 1,
	 ETH("0800") IP4("0020", "01") "00000000"
				       "00010002"
				       "74657374",
	 IS4(1, 0, 8, 32), AT(34, 42, 4)},
	{"ICMP, port unreachable", 1,
	 ETH("0800") IP4("003c", "01") "03030000"
				       "00000000" INNER_PACKET,
	 IS4(1, 3, 3, 60), AT(34, 42, 32), .flags = PACKET_ICMP_ONE_WAY},
	{"ICMPv6, neighbour", 1,
	 ETH("86dd") IP6("0018", "3a") "87000000"
				       "00000000"
				       "20010db8000000000000000000000002",
	 IS6(58, 135, 136, 64), AT(54, 62, 16)},
	{"ICMPv6, packet too big", 1,
	 ETH("86dd") IP6("0008", "3a") "02000000"
				       "00000500",
	 IS6(58, 2, 0, 48), AT(54, 62, 0), .flags = PACKET_ICMP_ONE_WAY},
	{"IGMP", 1, ETH("0800") IP4("001c", "02") "16000000e0000001",
	 IS4(2, 0, 0, 28), AT(34, 34, 8)},
	{"ESP", 1,
	 ETH("0800") IP4("0024", "32") "00000001"
				       "00000001"
				       "0102030405060708",
	 IS4(50, 0, 0, 36), AT(34, 34, 16)},
	{"AH in IPv4", 1,
	 ETH("0800") IP4("0038", "33") "11040000"
				       "00000001"
				       "00000001"
				       "000000000000000000000000" UDP,
	 IS4(17, 50000, 53, 56), AT(58, 66, 4)},
	{"AH in IPv4, damaged", 1,
	 ETH("0800") IP4("0020", "33") "11ff0000"
				       "00000001"
				       "00000001",
	 IS4(51, 0, 0, 32), AT(34, 34, 12)},
	{"a protocol without ports", 1,
	 ETH("0800") IP4("0018", "59") "02010004", IS4(89, 0, 0, 24),
	 AT(34, 34, 4)},

	{"first fragment", 1,
	 ETH("0800") IP4_FRAGMENT("0020", "2000", "11") "c3500035"
							"05dc0000"
							"74657374",
	 IS4(17, 50000, 53, 32), AT(34, 42, 4),
	 .flags = FRAGMENT_FLAGS(PACKET_FRAGMENT_FIRST)},
	{"middle fragment", 1,
	 ETH("0800") IP4_FRAGMENT("0020", "2010", "11") UDP, IS4(17, 0, 0, 32),
	 AT(34, 34, 12), .flags = PACKET_FRAGMENT},
	{"last fragment", 1, ETH("0800") IP4_FRAGMENT("0020", "0010", "06") UDP,
	 IS4(6, 0, 0, 32), AT(34, 34, 12),
	 .flags = FRAGMENT_FLAGS(PACKET_FRAGMENT_LAST)},
	{"first fragment without ports", 1,
	 ETH("0800") IP4_FRAGMENT("0016", "2000", "06") "c350",
	 IS4(6, 0, 0, 22), AT(34, 34, 2),
	 .flags = FRAGMENT_FLAGS(PACKET_FRAGMENT_FIRST) | PACKET_NO_PORTS},
	{"a tunnel in fragments", 1,
	 ETH("0800") IP4_FRAGMENT("0038", "2000", "2f") "00000800" INNER_PACKET,
	 IS4(47, 0, 0, 56), AT(34, 34, 36),
	 .flags = FRAGMENT_FLAGS(PACKET_FRAGMENT_FIRST)},

	{"IPv6, hop-by-hop", 1,
	 ETH("86dd") IP6("0014", "00") "1100050200000100" UDP,
	 IS6(17, 50000, 53, 60), AT(62, 70, 4)},
	{"IPv6, all extensions", 1,
	 ETH("86dd") IP6("0064", "00") "3c00050200000100"
				       "2b00010400000000"
				       "2c00000000000000"
				       "3300000000000005"
				       "3c0400000000000100000001"
				       "000000000000000000000000"
				       "8700010400000000"
				       "8b00010000000000"
				       "8c00010000000000"
				       "1100010000000000" UDP,
	 IS6(17, 50000, 53, 140), AT(142, 150, 4)},
	{"IPv6, first fragment", 1,
	 ETH("86dd") IP6("0014", "2c") "1100000100001234"
				       "c3500035"
				       "05dc0000"
				       "74657374",
	 IS6(17, 50000, 53, 60), AT(62, 70, 4),
	 .flags = FRAGMENT_FLAGS(PACKET_FRAGMENT_FIRST)},
	{"IPv6, last fragment", 1,
	 ETH("86dd") IP6("0014", "2c") "1100001000001234" UDP,
	 IS6(17, 0, 0, 60), AT(62, 62, 12),
	 .flags = FRAGMENT_FLAGS(PACKET_FRAGMENT_LAST)},
	{"IPv6, later fragment of an extension", 1,
	 ETH("86dd") IP6("0014", "2c") "3c00001100001234" UDP,
	 IS6(60, 0, 0, 60), AT(62, 62, 12), .flags = PACKET_FRAGMENT},
	{"IPv6, atomic fragment", 1,
	 ETH("86dd") IP6("0014", "2c") "1100000000001234" UDP,
	 IS6(17, 50000, 53, 60), AT(62, 70, 4)},
	{"IPv6, nothing next", 1, ETH("86dd") IP6("0000", "3b") "000000000000",
	 IS6(59, 0, 0, 40), AT(54, 54, 0)},
	{"IPv6, mobility message", 1,
	 ETH("86dd") IP6("0008", "87") "3b00000000000000", IS6(135, 0, 0, 48),
	 AT(54, 54, 8)},
	{"IPv6, extension beyond the packet", 1,
	 ETH("86dd") IP6("0014", "00") "1102050200000100" UDP,
	 .verdict = VERDICT_IP_EXTENSION},
	{"IPv6, authentication of no size", 1,
	 ETH("86dd") IP6("0014", "33") "11ff000000000000" UDP,
	 .verdict = VERDICT_IP_EXTENSION},
	{"IPv6, jumbogram", 1,
	 ETH("86dd") IP6("0000", "00") "1100c20400011184"
				       "c3500035"
				       "00000000"
				       "74657374",
	 .size = 14 + 40 + 70020, IS6(17, 50000, 53, 70060), AT(62, 70, 70004),
	 .flags = PACKET_CUT},

	{"IPv4, size 0: offloaded", 1, ETH("0800") IP4("0000", "06") TCP,
	 .size = 14 + 70000, IS4(6, 50000, 443, 70000), AT(34, 54, 69960),
	 .flags = TCP_FLAGS | PACKET_CUT | PACKET_IP_SIZE_ZERO},
	{"IPv6, size 0: offloaded", 1, ETH("86dd") IP6("0000", "06") TCP,
	 .size = 14 + 70000, IS6(6, 50000, 443, 70000), AT(54, 74, 69940),
	 .flags = TCP_FLAGS | PACKET_CUT | PACKET_IP_SIZE_ZERO},
	{"IPv4, size beyond the frame", 1, ETH("0800") IP4("05dc", "06") TCP,
	 IS4(6, 50000, 443, 44), AT(34, 54, 4), .flags = TCP_FLAGS},
	{"IPv6, size beyond the frame", 1, ETH("86dd") IP6("05dc", "06") TCP,
	 IS6(6, 50000, 443, 64), AT(54, 74, 4), .flags = TCP_FLAGS},
	{"IPv4, header of 16", 1,
	 ETH("0800") "44000020000100004011"
		     "0000c0000201c0000202" UDP,
	 .verdict = VERDICT_IP_HEADER},
	{"IPv4, header above the size", 1,
	 ETH("0800") "4800001c000100004011"
		     "0000c0000201c0000202" UDP,
	 .verdict = VERDICT_IP_HEADER},
	{"IP version 5", 1,
	 ETH("0800") "55000020000100004011"
		     "0000c0000201c0000202" UDP,
	 .verdict = VERDICT_IP_VERSION},
	{"nothing behind Ethernet", 1, ETH("0800"),
	 .verdict = VERDICT_IP_TRUNCATED},
};

const struct golden_set golden_ip_set = GOLDEN_SET(golden);
