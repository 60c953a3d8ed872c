/* Packets made by hand, and a table whose records are kept. */
#ifndef TESTS_FLOW_KIT_H
#define TESTS_FLOW_KIT_H

#include "check.h"

#include "base/random.h"
#include "flow/flow.h"

#define MS INT64_C(1000000)
#define S  NS_PER_S

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10

#define ICMP  1
#define TCP   6
#define UDP   17
#define ICMP6 58

/* IPv4 unless 'ip6'; addresses are numbers, 10.0.0.1 is 0x0a000001. */
struct given {
	uint32_t from;
	uint32_t to;
	uint16_t from_port;
	uint16_t to_port;
	uint8_t protocol;
	bool ip6;
	uint8_t tcp_flags;
	uint32_t sequence;
	int64_t at_ns;
	uint16_t flags; /* PACKET_..., PACKET_TCP is added */
	uint32_t fragment_id;
	uint16_t interface;
	uint16_t vlan;
	uint32_t network;
	uint32_t bytes; /* IP total length, 0: 40 */
};

struct packet packet_given(const struct given *given);

/* As one expression: PACKET(.from = 1, .to = 2). */
#define PACKET(...) packet_given(&(struct given){__VA_ARGS__})

struct kept {
	struct flow_table *table;
	struct flow_record *records;
	size_t count;
	size_t size;
};

/* Idle 30 s, active 60 s, closed 5 s, 4,096 flows. */
struct flow_options kept_options(void);
void kept_open(struct kept *kept, const struct flow_options *options);
void kept_close(struct kept *kept);

/* As they are given, one call a packet. */
void kept_meter(struct kept *kept, const struct packet *packets, size_t count,
		size_t batch);
void kept_give(struct kept *kept, const struct given *given);
#define GIVE(kept, ...) kept_give(kept, &(struct given){__VA_ARGS__})

/* created = live + ended; metered + refused = given (nothing waiting). */
void kept_check_ledger(const struct kept *kept, uint64_t given);

#endif
