/* The TCP header and its options: RFC 9293, 7323, 2018. */
#include <string.h>

#include "packet/packet_private.h"

#define OPTION_END            0
#define OPTION_NOP            1
#define OPTION_MSS            2
#define OPTION_WINDOW_SCALE   3
#define OPTION_SACK_PERMITTED 4
#define OPTION_SACK           5
#define OPTION_TIMESTAMP      8

/* One option of 'size' content bytes at 'at'.  False if its size is wrong. */
static bool option_decode(uint8_t kind, const uint8_t *at, uint8_t size,
			  struct packet_tcp *tcp)
{
	switch (kind) {
	case OPTION_MSS:
		if (size == 2)
			tcp->mss = load_be16(at);
		return size == 2;
	case OPTION_WINDOW_SCALE:
		if (size == 1)
			tcp->window_scale =
				at[0] < UINT8_MAX ? at[0] + 1 : at[0];
		return size == 1;
	case OPTION_SACK_PERMITTED:
		tcp->sack_permitted = 1;
		return size == 0;
	case OPTION_SACK:
		if (size == 0 || size % 8)
			return false;
		tcp->sack_count = size / 8;
		tcp->sack_left = load_be32(at);
		tcp->sack_right = load_be32(at + 4);
		return true;
	case OPTION_TIMESTAMP:
		if (size != 8)
			return false;
		tcp->has_timestamp = 1;
		tcp->timestamp = load_be32(at);
		tcp->timestamp_echo = load_be32(at + 4);
		return true;
	default:
		return true;
	}
}

/* False if the list is damaged; what was before that is in *tcp. */
static bool options_decode(struct cursor c, struct packet_tcp *tcp)
{
	const uint8_t *content;
	uint8_t kind, size;

	while (cursor_u8(&c, &kind) && kind != OPTION_END) {
		if (kind == OPTION_NOP)
			continue;
		if (!cursor_u8(&c, &size) || size < 2 ||
		    !cursor_bytes(&c, size - 2U, &content) ||
		    !option_decode(kind, content, size - 2, tcp))
			return false;
	}
	return true;
}

void tcp_decode(const uint8_t *at, size_t captured, struct packet *p)
{
	struct packet_tcp *tcp = &p->tcp;
	uint8_t size = (at[12] >> 4) * 4;

	memset(tcp, 0, sizeof *tcp);
	tcp->sequence = load_be32(at + 4);
	tcp->acknowledgment = load_be32(at + 8);
	tcp->window = load_be16(at + 14);
	tcp->header_size = size;
	p->flags |= PACKET_TCP;
	if (captured >= size &&
	    options_decode((struct cursor){at + TCP_HEADER_SIZE, at + size},
			   tcp))
		p->flags |= PACKET_TCP_OPTIONS;
}
