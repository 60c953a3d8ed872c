/* Link layers, tags and labels. */
#include "golden_private.h"

/* 192.0.2.1:50000 -> 192.0.2.2:53, IPv4 header at 'at' */
#define IS_UDP4(at)                                                           \
	.ends = OUTER4, .protocol = 17, .port = {50000, 53}, .ip_bytes = 32,  \
	.payload_bytes = 4, .ip_offset = (at), .transport_offset = (at) + 20, \
	.payload_offset = (at) + 28
#define IS_UDP6(at)                                                           \
	.ends = OUTER6, .protocol = 17, .port = {50000, 53}, .ip_bytes = 52,  \
	.payload_bytes = 4, .ip_offset = (at), .transport_offset = (at) + 40, \
	.payload_offset = (at) + 48
#define UDP4  IP4("0020", "11") UDP
#define UDP6  IP6("000c", "11") UDP
#define TAGS8 "8100002a8100002a8100002a8100002a8100002a8100002a8100002a8100002a"

static const struct golden golden[] = {
	{"Ethernet, IPv4, UDP", 1, ETH("0800") UDP4, IS_UDP4(14)},
	{"Ethernet, IPv6, UDP", 1, ETH("86dd") UDP6, IS_UDP6(14)},
	{"Ethernet, padded to 60", 1,
	 ETH("0800") UDP4 "0000000000000000000000000000", IS_UDP4(14)},
	{"802.1Q", 1, ETH("8100") "602a0800" UDP4, IS_UDP4(18), .vlan = 42},
	{"802.1Q, IPv6", 1, ETH("8100") "002a86dd" UDP6, IS_UDP6(18),
	 .vlan = 42},
	{"802.1Q, priority only", 1, ETH("8100") "e0000800" UDP4, IS_UDP4(18)},
	{"802.1ad and 802.1Q", 1, ETH("88a8") "00648100002a0800" UDP4,
	 IS_UDP4(22), .vlan = 42, .vlan_outer = 100},
	{"802.1ad and priority only", 1, ETH("88a8") "0064810060000800" UDP4,
	 IS_UDP4(22), .vlan = 100},
	{"0x9100 and 802.1Q", 1, ETH("9100") "00648100002a0800" UDP4,
	 IS_UDP4(22), .vlan = 42, .vlan_outer = 100},
	{"three tags", 1, ETH("88a8") "00648100006581000fff0800" UDP4,
	 IS_UDP4(26), .vlan = 4095, .vlan_outer = 100},
	{"as many tags as may be", 1,
	 ETH("8100") "002a" TAGS8 TAGS8 TAGS8 "8100002a8100002a8100002a"
		     "8100002a8100002a"
		     "0800" UDP4,
	 IS_UDP4(134), .vlan = 42, .vlan_outer = 42},
	{"802.1ah", 1, ETH("88e7") "00001234" ETH("0800") UDP4, IS_UDP4(32)},
	{"FabricPath", 1, ETH("8903") "0060" ETH("0800") UDP4, IS_UDP4(30)},
	{"network service header", 1, ETH("894f") "0fc2020200000aff" UDP6,
	 IS_UDP6(22)},
	{"a tag around LLC", 1,
	 ETH("8100") "002a0026"
		     "424203000000000000",
	 .verdict = VERDICT_LLC},

	{"MPLS", 1, ETH("8847") "00064140" UDP4, IS_UDP4(18), .mpls_labels = 1},
	{"MPLS, two labels, IPv6", 1,
	 ETH("8847") "00064040"
		     "00065140" UDP6,
	 IS_UDP6(22), .mpls_labels = 2},
	{"MPLS multicast", 1, ETH("8848") "00064140" UDP4, IS_UDP4(18),
	 .mpls_labels = 1},
	{"MPLS from 8.0.69.0, which looks like Ethernet", 1,
	 ETH("8847") "00064140"
		     "4500002000010000401100000800450008004502" UDP,
	 .ends = LOOKALIKE4, .protocol = 17, .port = {50000, 53},
	 .ip_bytes = 32, .payload_bytes = 4, .ip_offset = 18,
	 .transport_offset = 38, .payload_offset = 46, .mpls_labels = 1},
	{"MPLS pseudowire with control word", 1,
	 ETH("8847") "00064140"
		     "00000000" ETH("0800") UDP4,
	 IS_UDP4(36), .mpls_labels = 1},
	{"MPLS pseudowire without, tagged", 1,
	 ETH("8847") "00064140" ETH("8100") "00070800" UDP4, IS_UDP4(36),
	 .vlan = 7, .mpls_labels = 1},
	{"MPLS pseudowire to an address like IPv4", 1,
	 ETH("8847") "00064140"
		     "460000000002"
		     "020000000001"
		     "0800" UDP4,
	 IS_UDP4(32), .mpls_labels = 1},
	{"MPLS, nothing known", 1,
	 ETH("8847") "00064140"
		     "1000000000000000",
	 .verdict = VERDICT_NOT_IP},

	{"PPPoE, IPv4", 1,
	 ETH("8864") "110000010022"
		     "0021" UDP4,
	 IS_UDP4(22)},
	{"PPPoE, IPv6", 1,
	 ETH("8864") "110000010036"
		     "0057" UDP6,
	 IS_UDP6(22)},
	{"PPPoE in a tag", 1,
	 ETH("8100") "00078864"
		     "110000010022"
		     "0021" UDP4,
	 IS_UDP4(26), .vlan = 7},
	{"PPPoE, LCP", 1,
	 ETH("8864") "110000010008"
		     "c021"
		     "090000080000",
	 .verdict = VERDICT_NOT_IP},
	{"PPPoE, version 2", 1,
	 ETH("8864") "210000010022"
		     "0021" UDP4,
	 .verdict = VERDICT_NOT_IP},
	{"PPPoE discovery", 1,
	 ETH("8863") "110900000004"
		     "01010000",
	 .verdict = VERDICT_NOT_IP},

	{"ARP", 1,
	 ETH("0806") "0001080006040001"
		     "020000000001c0000201"
		     "000000000000c0000202",
	 .verdict = VERDICT_ARP},
	{"RARP", 1,
	 ETH("8035") "0001080006040003"
		     "020000000001c0000201"
		     "000000000000c0000202",
	 .verdict = VERDICT_ARP},
	{"LLDP", 1, ETH("88cc") "0207040200000000010000",
	 .verdict = VERDICT_NOT_IP},
	{"spanning tree", 1,
	 ETH("0007") "42420300000000"
		     "0000",
	 .verdict = VERDICT_LLC},
	{"SNAP with IP", 1,
	 ETH("0028") "aaaa03000000"
		     "0800" UDP4,
	 IS_UDP4(22)},
	{"SNAP, 802.1H", 1,
	 ETH("0028") "aaaa030000f8"
		     "0800" UDP4,
	 IS_UDP4(22)},
	{"SNAP, Cisco", 1,
	 ETH("000a") "aaaa0300000c"
		     "2000"
		     "0000",
	 .verdict = VERDICT_LLC},
	{"LLC with IP", 1, ETH("0023") "060603" UDP4, IS_UDP4(17)},
	{"jumbo LLC", 1,
	 ETH("8870") "aaaa03000000"
		     "0800" UDP4,
	 IS_UDP4(22)},

	{"cooked", 113,
	 "0000"
	 "0001"
	 "0006"
	 "0200000000010000"
	 "0800" UDP4,
	 IS_UDP4(16)},
	{"cooked, IPv6", 113,
	 "0004"
	 "0304"
	 "0006"
	 "0000000000000000"
	 "86dd" UDP6,
	 IS_UDP6(16)},
	{"cooked, tagged", 113,
	 "0000"
	 "0001"
	 "0006"
	 "0200000000010000"
	 "8100"
	 "002a0800" UDP4,
	 IS_UDP4(20), .vlan = 42},
	{"cooked, LLC", 113,
	 "0000"
	 "0001"
	 "0006"
	 "0200000000010000"
	 "0004"
	 "42420300",
	 .verdict = VERDICT_LLC},
	{"cooked, netlink", 113,
	 "0004"
	 "0338"
	 "0000"
	 "0000000000000000"
	 "0800" UDP4,
	 .verdict = VERDICT_NOT_IP},
	{"cooked 2", 276,
	 "0800"
	 "0000"
	 "00000003"
	 "0001"
	 "00"
	 "06"
	 "0200000000010000" UDP4,
	 IS_UDP4(20)},
	{"cooked 2, ARP", 276,
	 "0806"
	 "0000"
	 "00000003"
	 "0001"
	 "00"
	 "06"
	 "0200000000010000"
	 "00010800",
	 .verdict = VERDICT_ARP},
	{"raw", 101, UDP4, IS_UDP4(0)},
	{"raw, IPv6", 101, UDP6, IS_UDP6(0)},
	{"raw 12", 12, UDP4, IS_UDP4(0)},
	{"raw 14", 14, UDP6, IS_UDP6(0)},
	{"raw IPv4", 228, UDP4, IS_UDP4(0)},
	{"raw IPv6", 229, UDP6, IS_UDP6(0)},
	{"loopback, little-endian", 0, "02000000" UDP4, IS_UDP4(4)},
	{"loopback, big-endian", 0, "00000002" UDP4, IS_UDP4(4)},
	{"loopback, IPv6 of Linux", 0, "0a000000" UDP6, IS_UDP6(4)},
	{"loopback, IPv6 of OpenBSD", 108, "00000018" UDP6, IS_UDP6(4)},
	{"loopback, IPv6 of FreeBSD", 0, "1c000000" UDP6, IS_UDP6(4)},
	{"loopback, IPv6 of Darwin", 0, "1e000000" UDP6, IS_UDP6(4)},
	{"loopback, other", 0, "07000000" UDP4, .verdict = VERDICT_NOT_IP},
	{"OpenBSD loopback", 108, "00000002" UDP4, IS_UDP4(4)},
	{"PPP", 9, "ff030021" UDP4, IS_UDP4(4)},
	{"PPP without address", 9, "0057" UDP6, IS_UDP6(2)},
	{"PPP, short protocol", 9, "21" UDP4, IS_UDP4(1)},
	{"PPP, MPLS", 9,
	 "ff030281"
	 "00064140" UDP4,
	 IS_UDP4(8), .mpls_labels = 1},
	{"PPP in HDLC", 50, "ff030021" UDP4, IS_UDP4(4)},
	{"Cisco in PPP in HDLC", 50, "0f000800" UDP4, IS_UDP4(4)},
	{"PPP of PPPoE", 51,
	 "110000010022"
	 "0021" UDP4,
	 IS_UDP4(8)},
	{"Cisco HDLC", 104, "0f0086dd" UDP6, IS_UDP6(4)},
	{"Cisco HDLC, keepalive", 104,
	 "8f008035"
	 "00000002",
	 .verdict = VERDICT_ARP},
	{"PPP of pppd", 166, "01030021" UDP4, IS_UDP4(4)},
	{"PPI", 192,
	 "00000800"
	 "01000000" ETH("0800") UDP4,
	 IS_UDP4(22)},
	{"PPI in PPI", 192,
	 "00000800"
	 "c0000000" ETH("0800") UDP4,
	 .verdict = VERDICT_LINK_UNKNOWN},
	{"802.11", 105, "0800" UDP4, .verdict = VERDICT_LINK_UNKNOWN},
	{"one tag too many", 1,
	 ETH("8100") "002a" TAGS8 TAGS8 TAGS8 "8100002a8100002a8100002a"
		     "8100002a8100002a8100002a"
		     "0800" UDP4,
	 .verdict = VERDICT_DEPTH},
};

const struct golden_set golden_link_set = GOLDEN_SET(golden);
