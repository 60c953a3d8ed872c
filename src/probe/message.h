/* STAMP messages.  A part of probe.h, which has the whole picture. */
#ifndef PROBE_MESSAGE_H
#define PROBE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/points.h"

/* STAMP test packets: RFC 8762 section 4.2 (sender) and 4.3 (reflector), the
 * session identifier (SSID) and TLVs of RFC 8972 section 3 and 4.  TWAMP Light
 * (RFC 5357 appendix I) is the same without TLVs. */

#define MESSAGE_PORT          862   /* the reflector's, RFC 8762 section 4.1 */
#define MESSAGE_SIZE_MIN      44    /* without authentication */
#define MESSAGE_SIZE_KEYED    112   /* authenticated, HMAC included */
#define MESSAGE_SIZE_TWAMP    41    /* the shortest that can be answered */
#define MESSAGE_SIZE_MAX      65507 /* UDP over IPv4 */
#define MESSAGE_HMAC_SIZE     16    /* HMAC-SHA-256, its first 128 bits */
#define MESSAGE_KEY_SIZE_MAX  64
#define MESSAGE_TLV_HEAD_SIZE 4

/* What became of a packet that came in.  X(name, word, one line) */
#define MESSAGE_TABLE(X)                                              \
	X(MESSAGE_OK, "accepted", "a test packet")                    \
	X(MESSAGE_SHORT, "short", "shorter than a test packet")       \
	X(MESSAGE_HMAC_WRONG, "hmac_wrong",                           \
	  "the HMAC is not that of our key: another key, or altered") \
	X(MESSAGE_STRANGE, "strange", "an answer to no packet of this session")

#define MESSAGE_ENUM(name, word, line) name,
enum message_verdict { MESSAGE_TABLE(MESSAGE_ENUM) MESSAGE_VERDICT_COUNT };
#undef MESSAGE_ENUM

const char *message_word(enum message_verdict verdict);
const char *message_line(enum message_verdict verdict);

/* RFC 8972 section 5.1; 240 to 251 are for experiments. */
enum tlv {
	TLV_PADDING = 1,
	TLV_LOCATION = 2,
	TLV_TIMESTAMP_INFORMATION = 3,
	TLV_CLASS_OF_SERVICE = 4,
	TLV_DIRECT_MEASUREMENT = 5,
	TLV_ACCESS_REPORT = 6,
	TLV_FOLLOW_UP = 7,
	TLV_HMAC = 8,
	TLV_POINTS = 251, /* ours: begins with TLV_POINTS_MAGIC */
};

#define TLV_UNRECOGNIZED 0x80 /* U */
#define TLV_MALFORMED    0x40 /* M */
#define TLV_INTEGRITY    0x20 /* I: the TLVs' HMAC is wrong */

#define TLV_POINTS_MAGIC 0x736f6e64u /* "sond" */

/* Section 4.3: where a clock gets its time, how a stamp is made. */
enum sync_source { SYNC_NTP = 1, SYNC_PTP, SYNC_SSU, SYNC_GNSS, SYNC_LOCAL };
enum stamp_method {
	METHOD_HARDWARE = 1,
	METHOD_SOFTWARE = 2,
	METHOD_CONTROL_PLANE = 3,
};

/* The key of a session: HMAC-SHA-256 made ready once. */
struct message_key;

/* 1 to MESSAGE_KEY_SIZE_MAX bytes.  Returns 0, -EINVAL or -ENOMEM. */
int message_key_create(const uint8_t *bytes, size_t size,
		       struct message_key **ret_key);
void message_key_destroy(struct message_key *key);

/* Error Estimate (RFC 4656 section 4.1.2): S, Z, scale, multiplier.  'ns' is
 * rounded up; negative: not known (the largest there is). */
uint16_t message_error_estimate(bool synchronized, int64_t ns);
/* Nanoseconds of it; *ret_synchronized is S. */
int64_t message_error_ns(uint16_t estimate, bool *ret_synchronized);

/* 64-bit NTP (RFC 5905) or truncated PTPv2 (RFC 8186; 'ptp') time; a time
 * that went there and back is the same to the nanosecond, 1970 to 2036 and
 * on into the next NTP era. */
uint64_t message_time_pack(struct wall at, bool ptp);
struct wall message_time_unpack(uint64_t packed, bool ptp);

/* A request in the making: the caller's buffer of 'room' bytes. */
struct message {
	uint8_t *bytes;
	size_t room;
	size_t size;    /* so far */
	size_t hmac_at; /* the HMAC TLV's, once it is there; else 0 */
	bool keyed;
};

struct message_request {
	uint32_t seq;
	uint16_t ssid; /* 0: none */
	uint16_t error_estimate;
	struct wall at;
};

/* begin, add TLVs, end.  begin: false if the room is too small. */
bool message_begin(struct message *message, uint8_t *bytes, size_t room,
		   bool keyed);
/* The value of a new TLV, zeros, to be filled in; NULL: no room. */
uint8_t *message_tlv_add(struct message *message, enum tlv type, size_t size);
/* Extra padding up to 'size' bytes in all, the HMAC TLV that end adds counted;
 * false if they are already more, or fewer than a TLV's head is missing. */
bool message_pad(struct message *message, size_t size);
/* Writes the fields and, with a key, both HMACs; may be called again for the
 * next packet of the same shape.  Returns the size, 0: no room. */
size_t message_end(struct message *message,
		   const struct message_request *request,
		   struct message_key *key);

/* Which of 64 requests in a row came to the reflector: bit k is number
 * 'last' - 63 + k.  With it a sender knows where each packet was lost, doubled
 * or overtaken: every answer tells of the 64 up to the highest that came, and
 * of 64 others that its request asked about. */
struct message_arrivals {
	uint32_t last;
	bool known;
	uint64_t came;
	uint64_t extra[2]; /* copies beyond the first, 3 at most, in binary */
	uint64_t late;     /* came first after a higher one */
};

/* What the reflector's host knows of a request and its answer. */
struct message_reflection {
	uint32_t seq; /* of the answer: the sender's, or its own count */
	uint16_t error_estimate;
	struct wall received, sent;
	uint8_t ttl, dscp, ecn; /* of the request as received */
	bool dscp_refused;      /* the class asked for is not allowed */
	uint8_t ip_version;     /* 4 or 6 */
	uint8_t address[2][16]; /* of the request: its source, its destination;
				   IPv4 in the first 4 bytes */
	uint16_t port[2];
	enum sync_source sync;
	enum stamp_method method; /* of 'received'; 'sent' is software */
	uint32_t received_count, sent_count; /* of this session */
	bool stateless;                      /* 'seq' is the sender's */
	uint32_t first;                      /* the session's first request */
	struct message_arrivals newest, block;
	/* Earlier answers whose way out is now known, the most urgent first;
	 * message_reply_write() sets how many of them it told. */
	const struct message_points *const *earlier;
	size_t earlier_count;
	size_t told_count;
	/* The newest answer that is known to have gone; NULL: none. */
	const struct message_points *follow_up;
};

/* The reflector's stamps of one answer: leg forward from RECEIVED_HW on, leg
 * back up to SENT_HW, by the reflector's clock. */
struct message_points {
	uint32_t seq; /* the sender's */
	uint32_t reflected_seq;
	point_set stamped;
	int64_t at_ns[LEG_COUNT][POINT_COUNT];
};

struct message_in {
	const uint8_t *bytes;
	size_t size;
	uint32_t seq;
	uint16_t ssid;
	uint16_t error_estimate;
	struct wall at;
	int dscp_wanted;    /* class of service of the answer; -1: any */
	bool stamps_wanted; /* asks how answers went out: follow-up, points */
	bool block_wanted;  /* asks what came of 64 earlier requests */
	uint32_t block_last;
};

/* A request as it came in; borrows 'bytes'.  'key' NULL: without. */
enum message_verdict message_request_read(const uint8_t *bytes, size_t size,
					  struct message_key *key,
					  struct message_in *ret_request);

/* The answer, as long as the request to the byte; 'ret_bytes' has room for
 * it and is not the request.  TLVs are answered in place and order: unknown
 * ones with U, from a malformed one on (M) as they came, all with I if their
 * HMAC is wrong.  Returns the size. */
size_t message_reply_write(const struct message_in *request,
			   struct message_reflection *reflection,
			   struct message_key *key, uint8_t *ret_bytes);

#define MESSAGE_POINTS_MAX 8

#define REPLY_CLASS     0x01
#define REPLY_DIRECT    0x02
#define REPLY_FOLLOW_UP 0x04
#define REPLY_TIME      0x08
#define REPLY_LOCATION  0x10
#define REPLY_ACCESS    0x20

/* An answer as it came in.  Sections that 'present' does not name are 0. */
struct message_reply {
	uint32_t seq; /* the sender's own number, returned */
	uint32_t reflected_seq;
	uint16_t ssid;
	uint16_t error_estimate;
	uint8_t ttl;           /* of the request at the reflector */
	struct wall requested; /* the request's time stamp, returned */
	struct wall received, sent;
	uint8_t tlv_flags; /* all TLVs' flags, or-ed; 0: all were answered */
	uint8_t present;   /* REPLY_... */
	uint8_t dscp, ecn; /* of the request at the reflector */
	bool dscp_refused;
	uint32_t direct_sent; /* direct measurement: our own, returned */
	uint32_t direct_received, direct_replied;
	uint32_t follow_up_seq; /* the reflector's number */
	struct wall follow_up_at;
	uint8_t follow_up_method;
	uint8_t sync_in, method_in, sync_out, method_out;
	uint8_t ip_version;
	uint8_t address[2][16]; /* request's source and destination there */
	uint16_t port[2];
	uint8_t access_id, access_code;
	bool stateless; /* the reflector says so; false: not known */
	uint32_t first; /* request of its session; valid if newest.known */
	struct message_arrivals newest, block;
	struct message_points points[MESSAGE_POINTS_MAX];
	size_t points_count;
};

enum message_verdict message_reply_read(const uint8_t *bytes, size_t size,
					struct message_key *key,
					struct message_reply *ret_reply);

/* Sizes of TLV values, for message_tlv_add(). */
#define TLV_TIMESTAMP_INFORMATION_SIZE 4
#define TLV_CLASS_OF_SERVICE_SIZE      4
#define TLV_DIRECT_MEASUREMENT_SIZE    12
#define TLV_ACCESS_REPORT_SIZE         4
#define TLV_FOLLOW_UP_SIZE             16
/* Ports and two sub-TLVs that ask for both addresses. */
#define TLV_LOCATION_SIZE 44

/* Fill a value that message_tlv_add() returned; timestamp information and
 * follow-up are asked for by zeros. */
void tlv_class_ask(uint8_t *value, uint8_t dscp, uint8_t ecn);
void tlv_direct_ask(uint8_t *value, uint32_t sent_count);
void tlv_access_ask(uint8_t *value, uint8_t access_id, uint8_t code);
void tlv_location_ask(uint8_t *value);

/* Bytes of a points TLV's value with room for 'count' answers of 'points'
 * stamps each; tlv_points_ask() makes it a question for those of 'set',
 * tlv_block_ask() one for what came of the 64 requests around 'seq' too. */
size_t tlv_points_size(size_t count, size_t points);
void tlv_points_ask(uint8_t *value, point_set set);
void tlv_block_ask(uint8_t *value, uint32_t seq);

#endif
