/* What the reflector makes of a request's TLVs: RFC 8972 section 4. */
#include "probe/probe_private.h"

static void class_answer(uint8_t *value, size_t size,
			 struct message_reflection *reflection)
{
	uint8_t dscp = reflection->dscp & 0x3f;

	(void)size; /* DSCP1 6, DSCP2 6, ECN 2, RP 2 bits */
	value[0] = (uint8_t)((value[0] & 0xfc) | dscp >> 4);
	value[1] = (uint8_t)(dscp << 4 | (reflection->ecn & 3) << 2 |
			     reflection->dscp_refused);
}

static void time_answer(uint8_t *value, size_t size,
			struct message_reflection *reflection)
{
	(void)size;
	value[0] = (uint8_t)reflection->sync;
	value[1] = (uint8_t)reflection->method;
	value[2] = (uint8_t)reflection->sync;
	value[3] = METHOD_SOFTWARE;
}

static void direct_answer(uint8_t *value, size_t size,
			  struct message_reflection *reflection)
{
	(void)size;
	store_be32(value + 4, reflection->received_count);
	store_be32(value + 8, reflection->sent_count);
}

/* Section 4.7: when the answer before went out. */
static void follow_up_answer(uint8_t *value, size_t size,
			     struct message_reflection *reflection)
{
	const struct message_points *points = reflection->follow_up;
	bool ptp = (reflection->error_estimate & ERROR_PTP) != 0;
	bool hardware;
	struct wall at;

	memset(value, 0, size);
	if (!points)
		return;
	hardware = (points->stamped & POINT_BIT(LEG_BACK, POINT_SENT_HW)) != 0;
	at.ns = points->at_ns[LEG_BACK][hardware ? POINT_SENT_HW : POINT_SENT];
	store_be32(value,
		   reflection->stateless ? points->seq : points->reflected_seq);
	store_be64(value + 4, message_time_pack(at, ptp));
	value[12] = hardware ? METHOD_HARDWARE : METHOD_SOFTWARE;
}

static void nothing_to_answer(uint8_t *value, size_t size,
			      struct message_reflection *reflection)
{
	(void)value, (void)size, (void)reflection;
}

/* Section 4.2.1: a sender asks by a general type, and the answer has the
 * type of what it is.  An Ethernet address is not known to a socket. */
enum { SUB_DESTINATION = 4, SUB_SOURCE = 7 };

#define SUB_SIZE 16

static bool sub_tlv_answer(uint8_t *head, unsigned size,
			   struct message_reflection *reflection)
{
	bool ip6 = reflection->ip_version == 6;
	uint8_t *value = head + MESSAGE_TLV_HEAD_SIZE;
	unsigned asked = head[1] < SUB_SOURCE ? SUB_DESTINATION : SUB_SOURCE;
	unsigned answer = asked + (ip6 ? 2 : 1);

	if (size != SUB_SIZE || head[1] < SUB_DESTINATION ||
	    head[1] > SUB_SOURCE + 2 || (head[1] != asked && head[1] != answer))
		return false;
	head[1] = (uint8_t)answer;
	memset(value, 0, SUB_SIZE);
	memcpy(value, reflection->address[asked == SUB_DESTINATION],
	       ip6 ? 16 : 4);
	return true;
}

static void location_answer(uint8_t *value, size_t size,
			    struct message_reflection *reflection)
{
	struct tlv_view sub;
	size_t at = 4;
	bool broken;

	store_be16(value, reflection->port[1]);
	store_be16(value + 2, reflection->port[0]);
	while (tlv_next(value, size, &at, &sub, &broken)) {
		value[sub.head] &= (uint8_t)~TLV_UNRECOGNIZED;
		if (!sub_tlv_answer(value + sub.head, sub.size, reflection))
			value[sub.head] |= TLV_UNRECOGNIZED;
	}
	if (broken && size - at >= MESSAGE_TLV_HEAD_SIZE)
		value[at] |= TLV_MALFORMED;
}

/* 'exact' 0: from 'least' on. */
static const struct tlv_kind {
	enum tlv type;
	uint16_t least;
	uint16_t exact;
	void (*answer)(uint8_t *value, size_t size,
		       struct message_reflection *reflection);
} kinds[] = {
	{TLV_PADDING, 0, 0, nothing_to_answer},
	{TLV_LOCATION, 4, 0, location_answer},
	{TLV_TIMESTAMP_INFORMATION, 0, TLV_TIMESTAMP_INFORMATION_SIZE,
	 time_answer},
	{TLV_CLASS_OF_SERVICE, 0, TLV_CLASS_OF_SERVICE_SIZE, class_answer},
	{TLV_DIRECT_MEASUREMENT, 0, TLV_DIRECT_MEASUREMENT_SIZE, direct_answer},
	{TLV_ACCESS_REPORT, 0, TLV_ACCESS_REPORT_SIZE, nothing_to_answer},
	{TLV_FOLLOW_UP, 0, TLV_FOLLOW_UP_SIZE, follow_up_answer},
	{TLV_HMAC, 0, MESSAGE_HMAC_SIZE, nothing_to_answer},
	{TLV_POINTS, TLV_POINTS_SIZE_MIN, 0, points_answer},
};

static const struct tlv_kind *kind_of(const uint8_t *head, size_t size)
{
	uint8_t type = head[1];

	if (type == TLV_POINTS &&
	    (size < 4 ||
	     load_be32(head + MESSAGE_TLV_HEAD_SIZE) != TLV_POINTS_MAGIC))
		return NULL; /* somebody else's experiment */
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (kinds[i].type == type)
			return &kinds[i];
	}
	return NULL;
}

/* Returns the TLV's new flags. */
static uint8_t tlv_reflect(uint8_t *head, size_t size,
			   struct message_reflection *reflection)
{
	const struct tlv_kind *kind = kind_of(head, size);

	if (!kind)
		return TLV_UNRECOGNIZED;
	if (size < kind->least || (kind->exact && size != kind->exact))
		return TLV_MALFORMED;
	kind->answer(head + MESSAGE_TLV_HEAD_SIZE, size, reflection);
	return 0;
}

void tlvs_answer(uint8_t *bytes, size_t size, size_t base,
		 struct message_reflection *reflection)
{
	struct tlv_view tlv;
	size_t at = base;
	bool broken;

	while (tlv_next(bytes, size, &at, &tlv, &broken)) {
		if (tlv.type == 0) /* padding of a TWAMP sender */
			return;
		bytes[tlv.head] =
			tlv_reflect(bytes + tlv.head, tlv.size, reflection);
		if (bytes[tlv.head] & TLV_MALFORMED)
			return; /* the rest stays as it came */
	}
	if (broken && size - at >= MESSAGE_TLV_HEAD_SIZE)
		bytes[at] = TLV_MALFORMED;
}

void tlvs_flag(uint8_t *bytes, size_t size, size_t at, uint8_t flag)
{
	struct tlv_view tlv;
	bool broken;

	while (tlv_next(bytes, size, &at, &tlv, &broken))
		bytes[tlv.head] = flag;
	if (broken && size - at >= MESSAGE_TLV_HEAD_SIZE)
		bytes[at] = flag;
}
