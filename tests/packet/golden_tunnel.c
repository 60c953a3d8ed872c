/* Tunnels, and what only looks like one. */
#include "golden_private.h"

/* 10.0.0.1:5001 -> 10.0.0.2:5002, IPv4 header at 'at', around it 'around' */
#define IS_INNER4(at, around)                                                 \
	.ends = INNER4, .protocol = 17, .port = {5001, 5002}, .ip_bytes = 32, \
	.payload_bytes = 4, .ip_offset = (at), .transport_offset = (at) + 20, \
	.payload_offset = (at) + 28, .outer = (around)
#define IS_INNER6(at, around)                                                 \
	.ends = INNER6, .protocol = 17, .port = {5001, 5002}, .ip_bytes = 52, \
	.payload_bytes = 4, .ip_offset = (at), .transport_offset = (at) + 40, \
	.payload_offset = (at) + 48, .outer = (around)
/* The outer packet: protocol and ports, IP and payload bytes. */
#define IS_OUTER(number, first, second, total, bytes)                   \
	.ends = OUTER4, .protocol = (number), .port = {first, second},  \
	.ip_bytes = (total), .payload_bytes = (bytes), .ip_offset = 14, \
	.transport_offset = 34, .payload_offset = (number) == 17 ? 42 : 34

#define GRE(size, flags, type) ETH("0800") IP4(size, "2f") flags type
/* From port 50000 */
#define IN_UDP(ip, port, udp) ETH("0800") IP4(ip, "11") "c350" port udp "0000"
#define VXLAN                 "0800000000002a00" /* network 42 */
#define ERSPAN2               "1064002a00000003"
#define ERSPAN3(last) \
	"2064002a"    \
	"00000001"    \
	"0000" last
#define TEREDO_AUTH        \
	"0001"             \
	"0000"             \
	"0102030405060708" \
	"00"
#define TEREDO_ORIGIN \
	"0000"        \
	"3caf"        \
	"3ffffdfe"

static const struct golden golden[] = {
	{"IP in IP", 1, ETH("0800") IP4("0034", "04") INNER_PACKET,
	 IS_INNER4(34, OUTER4), .tunnel = TUNNEL_IPIP},
	{"IPv6 in IPv4", 1, ETH("0800") IP4("0048", "29") INNER_PACKET6,
	 IS_INNER6(34, OUTER4), .tunnel = TUNNEL_6IN4},
	{"IPv4 in IPv6", 1, ETH("86dd") IP6("0020", "04") INNER_PACKET,
	 IS_INNER4(54, OUTER6), .tunnel = TUNNEL_4IN6},
	{"IPv4 in IPv6 with its limit option", 1,
	 ETH("86dd") IP6("0028", "3c") "0400040104010100" INNER_PACKET,
	 IS_INNER4(62, OUTER6), .tunnel = TUNNEL_4IN6},
	{"IPv6 in IPv6", 1, ETH("86dd") IP6("0034", "29") INNER_PACKET6,
	 IS_INNER6(54, OUTER6), .tunnel = TUNNEL_6IN6},
	{"IP in IP, not IP", 1, ETH("0800") IP4("0018", "04") "00000000",
	 IS_OUTER(4, 0, 0, 24, 4)},
	{"IP in IP, inner packet cut off", 1,
	 ETH("0800") IP4("002a", "04") INNER_IP4("0020", "11") "1389",
	 IS_OUTER(4, 0, 0, 42, 22)},

	{"GRE", 1, GRE("0038", "0000", "0800") INNER_PACKET,
	 IS_INNER4(38, OUTER4), .tunnel = TUNNEL_GRE},
	{"GRE over IPv6", 1,
	 ETH("86dd") IP6("0024", "2f") "00000800" INNER_PACKET,
	 IS_INNER4(58, OUTER6), .tunnel = TUNNEL_GRE},
	{"GRE, WCCP redirection", 1,
	 GRE("003c", "0000", "883e") "00010000" INNER_PACKET,
	 IS_INNER4(42, OUTER4), .tunnel = TUNNEL_GRE},
	{"GRE, WCCP version 1", 1, GRE("0038", "0000", "883e") INNER_PACKET,
	 IS_INNER4(38, OUTER4), .tunnel = TUNNEL_GRE},
	{"GRE, checksum, key and sequence", 1,
	 GRE("0044", "b000", "0800") "00000000"
				     "00000007"
				     "00000001" INNER_PACKET,
	 IS_INNER4(50, OUTER4), .tunnel = TUNNEL_GRE},
	{"GRE, IPv6", 1, GRE("004c", "0000", "86dd") INNER_PACKET6,
	 IS_INNER6(38, OUTER4), .tunnel = TUNNEL_GRE},
	{"GRE, Ethernet", 1, GRE("0046", "0000", "6558") INNER_FRAME,
	 IS_INNER4(52, OUTER4), .tunnel = TUNNEL_GRE},
	{"GRE, MPLS", 1, GRE("003c", "0000", "8847") "00064140" INNER_PACKET,
	 IS_INNER4(42, OUTER4), .tunnel = TUNNEL_GRE},
	{"GRE, keepalive", 1,
	 GRE("0030", "0000", "0800") INNER_IP4("0018", "2f") "00000000",
	 .ends = INNER4, .protocol = 47, .ip_bytes = 24, .payload_bytes = 4,
	 .ip_offset = 38, .transport_offset = 58, .payload_offset = 58,
	 .tunnel = TUNNEL_GRE, .outer = OUTER4},
	{"GRE, source routes", 1, GRE("0038", "4000", "0800") INNER_PACKET,
	 IS_OUTER(47, 0, 0, 56, 36)},
	{"GRE, version 2", 1, GRE("0038", "0002", "0800") INNER_PACKET,
	 IS_OUTER(47, 0, 0, 56, 36)},
	{"GRE, not IP", 1, GRE("001c", "0000", "88cc") "02070402",
	 IS_OUTER(47, 0, 0, 28, 8)},
	{"PPTP", 1,
	 GRE("0042", "3001", "880b") "00220001"
				     "00000009"
				     "0021" INNER_PACKET,
	 IS_INNER4(48, OUTER4), .tunnel = TUNNEL_GRE},
	{"PPTP, acknowledgment and PPP address", 1,
	 GRE("0048", "3081", "880b") "00240001"
				     "00000009"
				     "00000008"
				     "ff030021" INNER_PACKET,
	 IS_INNER4(54, OUTER4), .tunnel = TUNNEL_GRE},
	{"PPTP, acknowledgment alone", 1,
	 GRE("0020", "2081", "880b") "00000001"
				     "00000008",
	 IS_OUTER(47, 0, 0, 32, 12)},
	{"NVGRE", 1, GRE("004a", "2000", "6558") "00002a01" INNER_FRAME,
	 IS_INNER4(56, OUTER4), .tunnel = TUNNEL_NVGRE, .network = 42},
	{"ERSPAN type I", 1, GRE("0046", "0000", "88be") INNER_FRAME,
	 IS_INNER4(52, OUTER4), .tunnel = TUNNEL_ERSPAN},
	{"ERSPAN type II", 1,
	 GRE("0052", "1000", "88be") "00000001" ERSPAN2 INNER_FRAME,
	 IS_INNER4(64, OUTER4), .tunnel = TUNNEL_ERSPAN},
	{"ERSPAN type III", 1,
	 GRE("0056", "1000", "22eb") "00000001" ERSPAN3("0000") INNER_FRAME,
	 IS_INNER4(68, OUTER4), .tunnel = TUNNEL_ERSPAN},
	{"ERSPAN type III with subheader, IP", 1,
	 GRE("0050", "1000",
	     "22eb") "00000001" ERSPAN3("0801") "0000000000000000" INNER_PACKET,
	 IS_INNER4(62, OUTER4), .tunnel = TUNNEL_ERSPAN},

	{"VXLAN", 1, IN_UDP("0052", "12b5", "003e") VXLAN INNER_FRAME,
	 IS_INNER4(64, OUTER4), .tunnel = TUNNEL_VXLAN, .network = 42},
	{"VXLAN on Linux's port, tagged inside and outside", 1,
	 ETH("8100") "00640800" IP4("0056", "11") "c350"
						  "2118"
						  "0042"
						  "0000" VXLAN "02000000000a"
						  "02000000000b"
						  "8100"
						  "00070800" INNER_PACKET,
	 IS_INNER4(72, OUTER4), .tunnel = TUNNEL_VXLAN, .network = 42,
	 .vlan = 7, .vlan_outer = 100},
	{"VXLAN with group policy", 1,
	 IN_UDP("0052", "12b5", "003e") "8848012300002a00" INNER_FRAME,
	 IS_INNER4(64, OUTER4), .tunnel = TUNNEL_VXLAN, .network = 42},
	{"VXLAN without its flag", 1,
	 IN_UDP("0052", "12b5", "003e") "0000000000002a00" INNER_FRAME,
	 IS_OUTER(17, 50000, 4789, 82, 54)},
	{"VXLAN, reserved bits", 1,
	 IN_UDP("0052", "12b5", "003e") "0800010000002a00" INNER_FRAME,
	 IS_OUTER(17, 50000, 4789, 82, 54)},
	{"VXLAN, ARP inside", 1,
	 IN_UDP("0032", "12b5", "001e") VXLAN ETH("0806"),
	 IS_OUTER(17, 50000, 4789, 50, 22)},
	{"VXLAN, inner size beyond the datagram", 1,
	 IN_UDP("0052", "12b5", "003e") VXLAN "02000000000a"
					      "02000000000b"
					      "0800" INNER_IP4("0021", "11")
						      INNER_UDP,
	 IS_OUTER(17, 50000, 4789, 82, 54)},
	{"VXLAN-GPE, IPv4", 1,
	 IN_UDP("0044", "12b6", "0030") "0c00000100002a00" INNER_PACKET,
	 IS_INNER4(50, OUTER4), .tunnel = TUNNEL_VXLAN, .network = 42},
	{"VXLAN-GPE, IPv6", 1,
	 IN_UDP("0058", "12b6", "0044") "0c00000200002a00" INNER_PACKET6,
	 IS_INNER6(50, OUTER4), .tunnel = TUNNEL_VXLAN, .network = 42},
	{"VXLAN-GPE, Ethernet", 1,
	 IN_UDP("0052", "12b6", "003e") "0c00000300002a00" INNER_FRAME,
	 IS_INNER4(64, OUTER4), .tunnel = TUNNEL_VXLAN, .network = 42},
	{"VXLAN-GPE, service header, IPv4", 1,
	 IN_UDP("004c", "12b6", "0038") "0c00000400002a00"
					"0fc2020100000aff" INNER_PACKET,
	 IS_INNER4(58, OUTER4), .tunnel = TUNNEL_VXLAN, .network = 42},
	{"Geneve, super-frame, sizes 0", 1,
	 ETH("86dd") IP6("0000", "11") "c35017c100000000"
				       "0000655800002a00"
				       "02000000000a"
				       "02000000000b"
				       "0800" INNER_IP4("0000",
							"11") "1389138a00000000"
							      "01020304",
	 .size = 14 + 56 + 22 + 80000, .ends = INNER4, .protocol = 17,
	 .port = {5001, 5002}, .ip_bytes = 80008, .payload_bytes = 79980,
	 .ip_offset = 84, .transport_offset = 104, .payload_offset = 112,
	 .flags = PACKET_IP_SIZE_ZERO | PACKET_CUT, .outer = OUTER6,
	 .tunnel = TUNNEL_GENEVE, .network = 42},
	{"VXLAN-GPE, service header damaged", 1,
	 IN_UDP("0052", "12b6", "003e") "0c00000400002a00" INNER_FRAME,
	 IS_OUTER(17, 50000, 4790, 82, 54)},
	{"Geneve", 1,
	 IN_UDP("0052", "17c1", "003e") "0000655800002a00" INNER_FRAME,
	 IS_INNER4(64, OUTER4), .tunnel = TUNNEL_GENEVE, .network = 42},
	{"Geneve with options, IPv6", 1,
	 IN_UDP("0060", "17c1", "004c") "024086dd00002a00"
					"0102800100000007" INNER_PACKET6,
	 IS_INNER6(58, OUTER4), .tunnel = TUNNEL_GENEVE, .network = 42},
	{"Geneve, version 1", 1,
	 IN_UDP("0052", "17c1", "003e") "4000655800002a00" INNER_FRAME,
	 IS_OUTER(17, 50000, 6081, 82, 54)},
	{"GTP-U", 1,
	 IN_UDP("0044", "0868", "0030") "30ff002000000007" INNER_PACKET,
	 IS_INNER4(50, OUTER4), .tunnel = TUNNEL_GTPU},
	{"GTP-U, sequence number", 1,
	 IN_UDP("0048", "0868", "0034") "32ff002400000007"
					"00010000" INNER_PACKET,
	 IS_INNER4(54, OUTER4), .tunnel = TUNNEL_GTPU},
	{"GTP-U, one extension", 1,
	 IN_UDP("004c", "0868", "0038") "34ff002800000007"
					"00000085"
					"01000900" INNER_PACKET,
	 IS_INNER4(58, OUTER4), .tunnel = TUNNEL_GTPU},
	{"GTP-U, two extensions, IPv6", 1,
	 IN_UDP("0068", "0868", "0054") "34ff004400000007"
					"00000085"
					"01000940"
					"0200000000000000" INNER_PACKET6,
	 IS_INNER6(66, OUTER4), .tunnel = TUNNEL_GTPU},
	{"GTP-U, extension of no size", 1,
	 IN_UDP("004c", "0868", "0038") "34ff002800000007"
					"00000085"
					"00000900" INNER_PACKET,
	 IS_OUTER(17, 50000, 2152, 76, 48)},
	{"GTP-U, echo request", 1,
	 IN_UDP("0028", "0868", "0014") "3201000400000000"
					"00010000",
	 IS_OUTER(17, 50000, 2152, 40, 12)},
	{"GTP version 2", 1,
	 IN_UDP("0044", "0868", "0030") "50ff002000000007" INNER_PACKET,
	 IS_OUTER(17, 50000, 2152, 68, 40)},
	{"GTP-U, size beyond the datagram", 1,
	 IN_UDP("0044", "0868", "0030") "30ff002100000007" INNER_PACKET,
	 IS_OUTER(17, 50000, 2152, 68, 40)},
	{"Teredo", 1, IN_UDP("0050", "0dd8", "003c") INNER_PACKET6,
	 IS_INNER6(42, OUTER4), .tunnel = TUNNEL_TEREDO},
	{"Teredo from its server, all indications", 1,
	 ETH("0800") IP4("0065",
			 "11") "0dd8"
			       "c350"
			       "0051"
			       "0000" TEREDO_AUTH TEREDO_ORIGIN INNER_PACKET6,
	 IS_INNER6(63, OUTER4), .tunnel = TUNNEL_TEREDO},
	{"Teredo's port, other IPv6 addresses", 1,
	 IN_UDP("0050", "0dd8", "003c") IP6("000c", "11") INNER_UDP,
	 IS_OUTER(17, 50000, 3544, 80, 52)},
	{"Teredo's port, not IPv6", 1,
	 IN_UDP("0020", "0dd8", "000c") "01020304",
	 IS_OUTER(17, 50000, 3544, 32, 4)},

	{"VXLAN in GRE: the innermost counts", 1,
	 GRE("006a", "0000", "0800")
		 INNER_IP4("0052", "11") "c350"
					 "12b5"
					 "003e"
					 "0000" VXLAN INNER_FRAME,
	 IS_INNER4(88, OUTER4), .tunnel = TUNNEL_VXLAN, .network = 42},
	{"MPLS around GRE", 1,
	 ETH("8847") "00064140" IP4("0038", "2f") "00000800" INNER_PACKET,
	 IS_INNER4(42, OUTER4), .tunnel = TUNNEL_GRE, .mpls_labels = 1},
	{"a tag around a broken tunnel stays", 1,
	 ETH("8100") "00640800" IP4("0036", "2f") "00006558"
						  "02000000000a"
						  "02000000000b"
						  "8100"
						  "00070800"
						  "45000020",
	 .ends = OUTER4, .protocol = 47, .ip_bytes = 42 + 4,
	 .payload_bytes = 26, .ip_offset = 18, .transport_offset = 38,
	 .payload_offset = 38, .vlan = 100},
};

const struct golden_set golden_tunnel_set = GOLDEN_SET(golden);
