/* What the files of the message codec share.  Included by this room only. */
#ifndef PROBE_PRIVATE_H
#define PROBE_PRIVATE_H

#include <endian.h>
#include <string.h>

#include "base/cursor.h"
#include "probe/probe.h"

/* Offsets in the packets of RFC 8762 sections 4.2 and 4.3: the plain one and
 * the authenticated one. */
struct layout {
	uint8_t size;
	uint8_t at, error, ssid;      /* of whoever sends it */
	uint8_t received, sender_seq; /* in an answer */
	uint8_t sender_at, sender_error, sender_ttl;
	uint8_t hmac; /* 0: none */
};

extern const struct layout layout_plain, layout_keyed;

static inline const struct layout *layout_of(bool keyed)
{
	return keyed ? &layout_keyed : &layout_plain;
}

#define ERROR_PTP 0x4000 /* Z: the times are PTPv2 */

static inline void store_be16(uint8_t *at, uint16_t value)
{
	value = htobe16(value);
	memcpy(at, &value, sizeof value);
}

static inline void store_be32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof value);
}

static inline void store_be64(uint8_t *at, uint64_t value)
{
	value = htobe64(value);
	memcpy(at, &value, sizeof value);
}

/* One TLV of a packet: its head is at 'head', its value behind. */
struct tlv_view {
	size_t head;
	uint8_t flags, type;
	uint16_t size; /* of the value */
};

/* The TLV at *at of 'size' bytes; moves *at behind it.  False: the end, or
 * (*ret_broken) no room for the head or for the value that it claims. */
bool tlv_next(const uint8_t *bytes, size_t size, size_t *at,
	      struct tlv_view *ret_tlv, bool *ret_broken);

/* What an HMAC is of: a packet's first 'head' bytes, and those 'from' to
 * before 'to' (equal: none). */
struct sealed {
	const uint8_t *bytes;
	size_t head, from, to;
};

void key_hmac(struct message_key *key, const struct sealed *sealed,
	      uint8_t ret_hmac[MESSAGE_HMAC_SIZE]);
/* The same against 'hmac', in constant time. */
bool key_proves(struct message_key *key, const struct sealed *sealed,
		const uint8_t hmac[MESSAGE_HMAC_SIZE]);

/* Whether the TLVs of a keyed packet (from 'base' on) prove themselves. */
bool tlvs_proven(struct message_key *key, const uint8_t *bytes, size_t size,
		 size_t base);

/* tlv_answer.c: fills the answer's TLVs, a copy of the request's. */
void tlvs_answer(uint8_t *bytes, size_t size, size_t base,
		 struct message_reflection *reflection);
/* Sets the flag in every TLV from 'at' on. */
void tlvs_flag(uint8_t *bytes, size_t size, size_t at, uint8_t flag);

/* tlv_read.c: what an answer's TLVs say. */
void tlvs_read(const uint8_t *bytes, size_t size, size_t base,
	       struct message_reply *reply);

/* points_tlv.c */
#define TLV_POINTS_SIZE_MIN 96

/* Whether the request asks about 64 numbers, and the last of them. */
bool points_block_asked(const uint8_t *value, uint32_t *ret_last);
void points_answer(uint8_t *value, size_t size,
		   struct message_reflection *reflection);
void points_read(const uint8_t *value, size_t size,
		 struct message_reply *reply);

#endif
