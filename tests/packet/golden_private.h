/* For the tables of golden packets alone. */
#ifndef TESTS_PACKET_GOLDEN_PRIVATE_H
#define TESTS_PACKET_GOLDEN_PRIVATE_H

#include "golden.h"

#define GOLDEN_SET(table)                                                   \
	{                                                                   \
		.golden = (table), .count = sizeof(table) / sizeof *(table) \
	}

extern const struct golden_set golden_link_set;
extern const struct golden_set golden_ip_set;
extern const struct golden_set golden_tunnel_set;

#endif
