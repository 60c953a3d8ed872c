/* What the sender asks by TLVs, and what an answer's TLVs say. */
#include "probe/probe_private.h"

void tlv_class_ask(uint8_t *value, uint8_t dscp, uint8_t ecn)
{
	(void)ecn; /* the reflector reports it; it cannot be asked for */
	value[0] = (uint8_t)(dscp << 2);
}

void tlv_direct_ask(uint8_t *value, uint32_t sent_count)
{
	store_be32(value, sent_count);
}

void tlv_access_ask(uint8_t *value, uint8_t access_id, uint8_t code)
{
	value[0] = (uint8_t)(access_id << 4);
	value[1] = code;
}

void tlv_location_ask(uint8_t *value)
{
	static const uint8_t types[] = {4, 7}; /* both IP addresses */

	for (size_t i = 0; i < sizeof types; i++) {
		uint8_t *head = value + 4 + i * 20;

		head[0] = TLV_UNRECOGNIZED;
		head[1] = types[i];
		store_be16(head + 2, 16);
	}
}

static void class_read(const uint8_t *value, size_t size,
		       struct message_reply *reply)
{
	(void)size;
	reply->present |= REPLY_CLASS;
	reply->dscp = (uint8_t)((value[0] & 3) << 4 | value[1] >> 4);
	reply->ecn = value[1] >> 2 & 3;
	reply->dscp_refused = (value[1] & 3) != 0;
}

static void time_read(const uint8_t *value, size_t size,
		      struct message_reply *reply)
{
	(void)size;
	reply->present |= REPLY_TIME;
	reply->sync_in = value[0];
	reply->method_in = value[1];
	reply->sync_out = value[2];
	reply->method_out = value[3];
}

static void direct_read(const uint8_t *value, size_t size,
			struct message_reply *reply)
{
	(void)size;
	reply->present |= REPLY_DIRECT;
	reply->direct_sent = load_be32(value);
	reply->direct_received = load_be32(value + 4);
	reply->direct_replied = load_be32(value + 8);
}

static void access_read(const uint8_t *value, size_t size,
			struct message_reply *reply)
{
	(void)size;
	reply->present |= REPLY_ACCESS;
	reply->access_id = value[0] >> 4;
	reply->access_code = value[1];
}

static void follow_up_read(const uint8_t *value, size_t size,
			   struct message_reply *reply)
{
	bool ptp = (reply->error_estimate & ERROR_PTP) != 0;
	uint64_t at = load_be64(value + 4);

	(void)size;
	if (at == 0 || value[12] == 0) /* nothing to follow up yet */
		return;
	reply->present |= REPLY_FOLLOW_UP;
	reply->follow_up_seq = load_be32(value);
	reply->follow_up_at = message_time_unpack(at, ptp);
	reply->follow_up_method = value[12];
}

/* Types 5 and 6: destination; 8 and 9: source. */
static void address_read(const uint8_t *head, unsigned size,
			 struct message_reply *reply)
{
	uint8_t type = head[1];
	bool ip6 = type == 6 || type == 9;

	if (size != 16 || (head[0] & TLV_UNRECOGNIZED) || type < 5 ||
	    type == 7 || type > 9)
		return;
	reply->ip_version = ip6 ? 6 : 4;
	memcpy(reply->address[type < 7], head + MESSAGE_TLV_HEAD_SIZE,
	       ip6 ? 16 : 4);
}

static void location_read(const uint8_t *value, size_t size,
			  struct message_reply *reply)
{
	struct tlv_view sub;
	size_t at = 4;
	bool broken;

	reply->present |= REPLY_LOCATION;
	reply->port[1] = load_be16(value);
	reply->port[0] = load_be16(value + 2);
	while (tlv_next(value, size, &at, &sub, &broken))
		address_read(value + sub.head, sub.size, reply);
}

static const struct {
	enum tlv type;
	uint16_t least;
	void (*read)(const uint8_t *value, size_t size,
		     struct message_reply *reply);
} readers[] = {
	{TLV_LOCATION, 4, location_read},
	{TLV_TIMESTAMP_INFORMATION, TLV_TIMESTAMP_INFORMATION_SIZE, time_read},
	{TLV_CLASS_OF_SERVICE, TLV_CLASS_OF_SERVICE_SIZE, class_read},
	{TLV_DIRECT_MEASUREMENT, TLV_DIRECT_MEASUREMENT_SIZE, direct_read},
	{TLV_ACCESS_REPORT, TLV_ACCESS_REPORT_SIZE, access_read},
	{TLV_FOLLOW_UP, TLV_FOLLOW_UP_SIZE, follow_up_read},
	{TLV_POINTS, TLV_POINTS_SIZE_MIN, points_read},
};

static void tlv_read(const uint8_t *bytes, const struct tlv_view *tlv,
		     struct message_reply *reply)
{
	const uint8_t *value = bytes + tlv->head + MESSAGE_TLV_HEAD_SIZE;

	for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
		if (readers[i].type == tlv->type &&
		    tlv->size >= readers[i].least)
			readers[i].read(value, tlv->size, reply);
	}
}

/* A TLV that was not answered says nothing. */
void tlvs_read(const uint8_t *bytes, size_t size, size_t base,
	       struct message_reply *reply)
{
	struct tlv_view tlv;
	size_t at = base;
	bool broken;

	while (tlv_next(bytes, size, &at, &tlv, &broken)) {
		uint8_t flags = tlv.flags & (TLV_UNRECOGNIZED | TLV_MALFORMED |
					     TLV_INTEGRITY);

		if (tlv.type == 0)
			return;
		reply->tlv_flags |= flags;
		if (flags == 0)
			tlv_read(bytes, &tlv, reply);
	}
	if (broken && size - at >= MESSAGE_TLV_HEAD_SIZE)
		reply->tlv_flags |= TLV_MALFORMED; /* less is padding */
}
