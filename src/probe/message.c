/* Test packets without their TLVs' meaning: RFC 8762 sections 4.2 and 4.3,
 * with the SSID of RFC 8972 section 3. */
#include "probe/probe_private.h"

const struct layout layout_plain = {
	.size = MESSAGE_SIZE_MIN,
	.at = 4,
	.error = 12,
	.ssid = 14,
	.received = 16,
	.sender_seq = 24,
	.sender_at = 28,
	.sender_error = 36,
	.sender_ttl = 40,
};

const struct layout layout_keyed = {
	.size = MESSAGE_SIZE_KEYED,
	.at = 16,
	.error = 24,
	.ssid = 26,
	.received = 32,
	.sender_seq = 48,
	.sender_at = 64,
	.sender_error = 72,
	.sender_ttl = 80,
	.hmac = 96,
};

#define TLV_HMAC_WHOLE (MESSAGE_TLV_HEAD_SIZE + MESSAGE_HMAC_SIZE)

#define VERDICT_WORD(name, word, line) word,
#define VERDICT_LINE(name, word, line) line,

const char *message_word(enum message_verdict verdict)
{
	static const char *const words[] = {MESSAGE_TABLE(VERDICT_WORD)};

	return words[verdict];
}

const char *message_line(enum message_verdict verdict)
{
	static const char *const lines[] = {MESSAGE_TABLE(VERDICT_LINE)};

	return lines[verdict];
}

bool message_begin(struct message *message, uint8_t *bytes, size_t room,
		   bool keyed)
{
	*message = (struct message){
		.bytes = bytes,
		.room = room < MESSAGE_SIZE_MAX ? room : MESSAGE_SIZE_MAX,
		.size = layout_of(keyed)->size,
		.keyed = keyed,
	};
	if (message->room < message->size)
		return false;
	memset(bytes, 0, message->size);
	return true;
}

uint8_t *message_tlv_add(struct message *message, enum tlv type, size_t size)
{
	uint8_t *head = message->bytes + message->size;

	if (size > UINT16_MAX ||
	    message->room - message->size < MESSAGE_TLV_HEAD_SIZE + size)
		return NULL;
	head[0] = TLV_UNRECOGNIZED;
	head[1] = (uint8_t)type;
	store_be16(head + 2, (uint16_t)size);
	memset(head + MESSAGE_TLV_HEAD_SIZE, 0, size);
	message->size += MESSAGE_TLV_HEAD_SIZE + size;
	return head + MESSAGE_TLV_HEAD_SIZE;
}

bool message_pad(struct message *message, size_t size)
{
	size_t rest;

	if (size == message->size &&
	    (!message->keyed || size == layout_keyed.size))
		return true;
	if (message->keyed)
		size -= size < TLV_HMAC_WHOLE ? size : TLV_HMAC_WHOLE;
	if (size == message->size && size > layout_of(message->keyed)->size)
		return true; /* the HMAC TLV makes up for it */
	if (size < message->size + MESSAGE_TLV_HEAD_SIZE)
		return false;
	rest = size - message->size - MESSAGE_TLV_HEAD_SIZE;
	return message_tlv_add(message, TLV_PADDING, rest) != NULL;
}

/* RFC 8972 section 4.8: the sequence number and all TLVs before. */
static bool tlvs_seal(struct message *message, struct message_key *key)
{
	struct sealed sealed = {message->bytes, 4, layout_keyed.size, 0};
	uint8_t *value;

	if (message->size == sealed.from)
		return true;
	if (message->hmac_at == 0) {
		size_t at = message->size;

		if (!message_tlv_add(message, TLV_HMAC, MESSAGE_HMAC_SIZE))
			return false;
		message->hmac_at = at;
	}
	value = message->bytes + message->hmac_at + MESSAGE_TLV_HEAD_SIZE;
	sealed.to = message->hmac_at;
	key_hmac(key, &sealed, value);
	return true;
}

size_t message_end(struct message *message,
		   const struct message_request *request,
		   struct message_key *key)
{
	const struct layout *layout = layout_of(message->keyed);
	uint8_t *bytes = message->bytes;
	struct sealed sealed = {.bytes = bytes, .head = layout->hmac};
	bool ptp = (request->error_estimate & ERROR_PTP) != 0;

	store_be32(bytes, request->seq);
	store_be64(bytes + layout->at, message_time_pack(request->at, ptp));
	store_be16(bytes + layout->error, request->error_estimate);
	store_be16(bytes + layout->ssid, request->ssid);
	if (!message->keyed)
		return message->size;
	key_hmac(key, &sealed, bytes + layout->hmac);
	return tlvs_seal(message, key) ? message->size : 0;
}

bool tlv_next(const uint8_t *bytes, size_t size, size_t *at,
	      struct tlv_view *ret_tlv, bool *ret_broken)
{
	size_t rest = size - *at;

	*ret_broken = false;
	if (rest == 0)
		return false;
	*ret_broken = true;
	if (rest < MESSAGE_TLV_HEAD_SIZE)
		return false;
	*ret_tlv = (struct tlv_view){*at, bytes[*at], bytes[*at + 1],
				     load_be16(bytes + *at + 2)};
	if (rest - MESSAGE_TLV_HEAD_SIZE < ret_tlv->size)
		return false;
	*ret_broken = false;
	*at += MESSAGE_TLV_HEAD_SIZE + ret_tlv->size;
	return true;
}

bool tlvs_proven(struct message_key *key, const uint8_t *bytes, size_t size,
		 size_t base)
{
	struct tlv_view tlv;
	size_t at = base;
	bool broken;

	while (tlv_next(bytes, size, &at, &tlv, &broken)) {
		const uint8_t *value = bytes + tlv.head + MESSAGE_TLV_HEAD_SIZE;
		struct sealed sealed = {bytes, 4, base, tlv.head};

		if (tlv.type == TLV_HMAC)
			return tlv.size == MESSAGE_HMAC_SIZE && at == size &&
			       key_proves(key, &sealed, value);
	}
	return false;
}

static enum message_verdict base_check(const uint8_t *bytes, size_t size,
				       struct message_key *key)
{
	struct sealed sealed = {.bytes = bytes, .head = layout_keyed.hmac};

	if (size < (key ? MESSAGE_SIZE_KEYED : MESSAGE_SIZE_TWAMP))
		return MESSAGE_SHORT;
	if (key && !key_proves(key, &sealed, bytes + layout_keyed.hmac))
		return MESSAGE_HMAC_WRONG;
	return MESSAGE_OK;
}

static struct wall time_read(const uint8_t *at, uint16_t error_estimate)
{
	return message_time_unpack(load_be64(at),
				   (error_estimate & ERROR_PTP) != 0);
}

/* What the TLVs want of the reflector beside being filled in. */
static void wishes_read(const uint8_t *bytes, size_t size, size_t base,
			struct message_in *request)
{
	struct tlv_view tlv;
	size_t at = base;
	bool broken;

	while (tlv_next(bytes, size, &at, &tlv, &broken) && tlv.type != 0) {
		const uint8_t *value = bytes + tlv.head + MESSAGE_TLV_HEAD_SIZE;

		if (tlv.type == TLV_CLASS_OF_SERVICE &&
		    tlv.size == TLV_CLASS_OF_SERVICE_SIZE &&
		    request->dscp_wanted < 0)
			request->dscp_wanted = value[0] >> 2;
		if (tlv.type == TLV_FOLLOW_UP || tlv.type == TLV_POINTS)
			request->stamps_wanted = true;
		if (tlv.type == TLV_POINTS && tlv.size >= TLV_POINTS_SIZE_MIN)
			request->block_wanted =
				points_block_asked(value, &request->block_last);
	}
}

enum message_verdict message_request_read(const uint8_t *bytes, size_t size,
					  struct message_key *key,
					  struct message_in *ret_request)
{
	const struct layout *layout = layout_of(key != NULL);
	enum message_verdict verdict = base_check(bytes, size, key);

	if (verdict != MESSAGE_OK)
		return verdict;
	*ret_request = (struct message_in){
		.bytes = bytes,
		.size = size,
		.seq = load_be32(bytes),
		.ssid = load_be16(bytes + layout->ssid),
		.error_estimate = load_be16(bytes + layout->error),
		.dscp_wanted = -1,
	};
	ret_request->at =
		time_read(bytes + layout->at, ret_request->error_estimate);
	if (size > layout->size &&
	    (!key || tlvs_proven(key, bytes, size, layout->size)))
		wishes_read(bytes, size, layout->size, ret_request);
	return MESSAGE_OK;
}

static void base_answer(const struct message_in *request,
			const struct message_reflection *reflection,
			const struct layout *layout, uint8_t *bytes)
{
	const uint8_t *asked = request->bytes;
	bool ptp = (reflection->error_estimate & ERROR_PTP) != 0;

	memset(bytes, 0, layout->size);
	store_be32(bytes, reflection->seq);
	store_be64(bytes + layout->at,
		   message_time_pack(reflection->sent, ptp));
	store_be16(bytes + layout->error, reflection->error_estimate);
	store_be16(bytes + layout->ssid, request->ssid);
	store_be64(bytes + layout->received,
		   message_time_pack(reflection->received, ptp));
	memcpy(bytes + layout->sender_seq, asked, 4);
	memcpy(bytes + layout->sender_at, asked + layout->at, 8);
	memcpy(bytes + layout->sender_error, asked + layout->error, 2);
	bytes[layout->sender_ttl] = reflection->ttl;
}

/* The request's TLVs, answered; if they do not prove themselves they are not
 * read at all (RFC 8972 section 4.8). */
static void tlvs_reflect(const struct message_in *request,
			 struct message_reflection *reflection,
			 struct message_key *key, uint8_t *bytes)
{
	size_t base = layout_of(key != NULL)->size;
	size_t size = request->size;
	bool proven = !key || tlvs_proven(key, request->bytes, size, base);

	memcpy(bytes + base, request->bytes + base, size - base);
	if (!proven) {
		tlvs_flag(bytes, size, base, TLV_INTEGRITY);
		return;
	}
	tlvs_answer(bytes, size, base, reflection);
	if (key) { /* its TLV is the last and whole: it proved the others */
		struct sealed sealed = {bytes, 4, base, size - TLV_HMAC_WHOLE};

		key_hmac(key, &sealed, bytes + size - MESSAGE_HMAC_SIZE);
	}
}

size_t message_reply_write(const struct message_in *request,
			   struct message_reflection *reflection,
			   struct message_key *key, uint8_t *ret_bytes)
{
	const struct layout *layout = layout_of(key != NULL);
	uint8_t base[MESSAGE_SIZE_KEYED];
	struct sealed sealed = {.bytes = base, .head = layout->hmac};

	reflection->told_count = 0;
	base_answer(request, reflection, layout, base);
	if (key)
		key_hmac(key, &sealed, base + layout->hmac);
	if (request->size <= layout->size) { /* TWAMP's may be shorter */
		memcpy(ret_bytes, base, request->size);
		return request->size;
	}
	memcpy(ret_bytes, base, layout->size);
	tlvs_reflect(request, reflection, key, ret_bytes);
	return request->size;
}

static void base_read(const uint8_t *bytes, const struct layout *layout,
		      struct message_reply *reply)
{
	uint16_t sender_error = load_be16(bytes + layout->sender_error);

	*reply = (struct message_reply){
		.seq = load_be32(bytes + layout->sender_seq),
		.reflected_seq = load_be32(bytes),
		.ssid = load_be16(bytes + layout->ssid),
		.error_estimate = load_be16(bytes + layout->error),
		.ttl = bytes[layout->sender_ttl],
		.requested = time_read(bytes + layout->sender_at, sender_error),
	};
	reply->received =
		time_read(bytes + layout->received, reply->error_estimate);
	reply->sent = time_read(bytes + layout->at, reply->error_estimate);
}

enum message_verdict message_reply_read(const uint8_t *bytes, size_t size,
					struct message_key *key,
					struct message_reply *ret_reply)
{
	const struct layout *layout = layout_of(key != NULL);
	enum message_verdict verdict = base_check(bytes, size, key);

	if (verdict != MESSAGE_OK)
		return verdict;
	base_read(bytes, layout, ret_reply);
	if (size <= layout->size)
		return MESSAGE_OK;
	if (key && !tlvs_proven(key, bytes, size, layout->size))
		ret_reply->tlv_flags |= TLV_INTEGRITY;
	else
		tlvs_read(bytes, size, layout->size, ret_reply);
	return MESSAGE_OK;
}
