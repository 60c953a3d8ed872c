#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "probe/probe.h"

static const struct wall sent_at = {INT64_C(1700000000123456789)};

static struct message_key *key_make(const char *text)
{
	struct message_key *key;

	assert_int_equal(
		message_key_create((const uint8_t *)text, strlen(text), &key),
		0);
	return key;
}

/* An earlier answer with the stamps that a reflector has. */
static struct message_points points_make(uint32_t seq)
{
	struct message_points points = {.seq = seq, .reflected_seq = seq + 7};
	static const enum point forward[] = {POINT_RECEIVED, POINT_RECEIVE};
	static const enum point back[] = {POINT_SEND, POINT_SCHED, POINT_SENT};

	for (size_t i = 0; i < 2; i++) {
		points.stamped |= POINT_BIT(LEG_FORWARD, forward[i]);
		points.at_ns[LEG_FORWARD][forward[i]] =
			sent_at.ns + seq + 1000 * (int64_t)i;
	}
	for (size_t i = 0; i < 3; i++) {
		points.stamped |= POINT_BIT(LEG_BACK, back[i]);
		points.at_ns[LEG_BACK][back[i]] =
			sent_at.ns + seq + 50000 + 1000 * (int64_t)i;
	}
	return points;
}

static struct message_points earlier[2];
static const struct message_points *const earlier_at[2] = {earlier,
							   earlier + 1};

static struct message_reflection reflection_make(void)
{
	earlier[0] = points_make(42);
	earlier[1] = points_make(41);
	return (struct message_reflection){
		.seq = 50,
		.error_estimate = message_error_estimate(true, 1000),
		.received = {sent_at.ns + 100000},
		.sent = {sent_at.ns + 120000},
		.ttl = 63,
		.dscp = 46,
		.ecn = 1,
		.ip_version = 4,
		.address = {{10, 1, 2, 3}, {10, 9, 8, 7}},
		.port = {5000, 862},
		.sync = SYNC_NTP,
		.method = METHOD_SOFTWARE,
		.received_count = 101,
		.sent_count = 99,
		.stateless = true,
		.first = 5,
		.newest = {43, true, 0x10000000f, {2, 8}, 4},
		.block = {63, true, 0xf10000000f, {6, 16}, 8},
		.earlier = earlier_at,
		.earlier_count = 2,
		.follow_up = earlier,
	};
}

/* Every TLV that a request can have. */
static size_t request_make(uint8_t *bytes, size_t room, struct message_key *key)
{
	struct message message;
	struct message_request request = {
		.seq = 43,
		.ssid = 77,
		.error_estimate = message_error_estimate(false, 1000000),
		.at = sent_at,
	};
	uint8_t *value;

	assert_true(message_begin(&message, bytes, room, key != NULL));
	value = message_tlv_add(&message, TLV_LOCATION, TLV_LOCATION_SIZE);
	tlv_location_ask(value);
	assert_non_null(message_tlv_add(&message, TLV_TIMESTAMP_INFORMATION,
					TLV_TIMESTAMP_INFORMATION_SIZE));
	value = message_tlv_add(&message, TLV_CLASS_OF_SERVICE,
				TLV_CLASS_OF_SERVICE_SIZE);
	tlv_class_ask(value, 34, 0);
	value = message_tlv_add(&message, TLV_DIRECT_MEASUREMENT,
				TLV_DIRECT_MEASUREMENT_SIZE);
	tlv_direct_ask(value, 102);
	value = message_tlv_add(&message, TLV_ACCESS_REPORT,
				TLV_ACCESS_REPORT_SIZE);
	tlv_access_ask(value, 2, 1);
	assert_non_null(
		message_tlv_add(&message, TLV_FOLLOW_UP, TLV_FOLLOW_UP_SIZE));
	value = message_tlv_add(&message, TLV_POINTS, tlv_points_size(2, 5));
	tlv_points_ask(value, UINT64_MAX);
	assert_true(message_pad(&message, 500));
	return message_end(&message, &request, key);
}

static void whole_exchange(struct message_key *key)
{
	struct message_reflection reflection = reflection_make();
	uint8_t request[512], reply[512];
	struct message_reply read;
	struct message_in in;
	size_t size = request_make(request, sizeof request, key);

	assert_int_equal(size, 500);
	assert_int_equal(message_request_read(request, size, key, &in),
			 MESSAGE_OK);
	assert_int_equal(in.seq, 43);
	assert_int_equal(in.ssid, 77);
	assert_int_equal(in.at.ns, sent_at.ns);
	assert_int_equal(in.dscp_wanted, 34);
	assert_int_equal(message_reply_write(&in, &reflection, key, reply),
			 size);
	assert_int_equal(message_reply_read(reply, size, key, &read),
			 MESSAGE_OK);
	assert_int_equal(read.tlv_flags, 0);
	assert_int_equal(read.seq, 43);
	assert_int_equal(read.reflected_seq, 50);
	assert_int_equal(read.ssid, 77);
	assert_int_equal(read.requested.ns, sent_at.ns);
	assert_int_equal(read.received.ns, reflection.received.ns);
	assert_int_equal(read.sent.ns, reflection.sent.ns);
	assert_int_equal(read.ttl, 63);
	assert_int_equal(read.present, 0x3f);
	assert_int_equal(read.dscp, 46);
	assert_int_equal(read.ecn, 1);
	assert_false(read.dscp_refused);
	assert_int_equal(read.direct_sent, 102);
	assert_int_equal(read.direct_received, 101);
	assert_int_equal(read.direct_replied, 99);
	assert_int_equal(read.access_id, 2);
	assert_int_equal(read.access_code, 1);
	assert_int_equal(read.follow_up_seq, 42);
	assert_int_equal(read.follow_up_at.ns,
			 earlier[0].at_ns[LEG_BACK][POINT_SENT]);
	assert_int_equal(read.follow_up_method, METHOD_SOFTWARE);
	assert_int_equal(read.sync_in, SYNC_NTP);
	assert_int_equal(read.ip_version, 4);
	assert_memory_equal(read.address, reflection.address,
			    sizeof read.address);
	assert_int_equal(read.port[0], 5000);
	assert_int_equal(read.port[1], 862);
	assert_memory_equal(&read.newest, &reflection.newest,
			    sizeof read.newest);
	assert_memory_equal(&read.block, &reflection.block, sizeof read.block);
	assert_int_equal(read.first, reflection.first);
	assert_true(read.stateless);
	assert_int_equal(reflection.told_count, 2);
	assert_int_equal(read.points_count, 2);
	assert_memory_equal(read.points, earlier, sizeof earlier);
}

static void answers_every_tlv(void **state)
{
	(void)state;
	whole_exchange(NULL);
}

static void answers_every_tlv_with_a_key(void **state)
{
	struct message_key *key = key_make("a key of the session");

	(void)state;
	whole_exchange(key);
	whole_exchange(key); /* and again: the context is reusable */
	message_key_destroy(key);
}

static void refuses_another_key(void **state)
{
	struct message_key *key = key_make("right"), *other = key_make("wrong");
	uint8_t request[512];
	struct message_in in;
	size_t size = request_make(request, sizeof request, key);

	(void)state;
	assert_int_equal(message_request_read(request, size, other, &in),
			 MESSAGE_HMAC_WRONG);
	for (size_t i = 0; i < MESSAGE_SIZE_KEYED; i++) {
		request[i] ^= 1;
		assert_int_equal(message_request_read(request, size, key, &in),
				 MESSAGE_HMAC_WRONG);
		request[i] ^= 1;
	}
	message_key_destroy(key);
	message_key_destroy(other);
	assert_int_equal(message_key_create(NULL, 0, &key), -EINVAL);
}

static void flags_altered_tlvs_of_a_keyed_packet(void **state)
{
	struct message_key *key = key_make("right");
	struct message_reflection reflection = reflection_make();
	uint8_t request[512], reply[512];
	struct message_reply read;
	struct message_in in;
	size_t size = request_make(request, sizeof request, key);

	(void)state;
	for (size_t i = MESSAGE_SIZE_KEYED; i < size; i++) {
		if (i == size - 20) /* its own TLV's flags are not covered */
			continue;
		request[i] ^= 1;
		assert_int_equal(message_request_read(request, size, key, &in),
				 MESSAGE_OK);
		assert_int_equal(
			message_reply_write(&in, &reflection, key, reply),
			size);
		assert_int_equal(reply[MESSAGE_SIZE_KEYED], TLV_INTEGRITY);
		assert_int_equal(message_reply_read(reply, size, key, &read),
				 MESSAGE_OK);
		assert_true(read.tlv_flags & TLV_INTEGRITY);
		assert_int_equal(read.present, 0);
		request[i] ^= 1;
	}
	message_key_destroy(key);
}

/* RFC 8972 section 4: unknown: U; a length that does not fit: M, and what is
 * behind it stays as it came. */
static void marks_what_it_does_not_know(void **state)
{
	struct message_reflection reflection = reflection_make();
	struct message_request request = {.at = sent_at};
	uint8_t bytes[128], reply[128];
	struct message message;
	struct message_in in;
	struct message_reply read;
	size_t size;

	(void)state;
	(void)message_begin(&message, bytes, sizeof bytes, false);
	(void)message_tlv_add(&message, 200, 4);
	(void)message_tlv_add(&message, TLV_DIRECT_MEASUREMENT, 11);
	(void)message_tlv_add(&message, TLV_ACCESS_REPORT, 4);
	size = message_end(&message, &request, NULL);
	assert_int_equal(message_request_read(bytes, size, NULL, &in),
			 MESSAGE_OK);
	(void)message_reply_write(&in, &reflection, NULL, reply);
	assert_int_equal(reply[44], TLV_UNRECOGNIZED);
	assert_int_equal(reply[52], TLV_MALFORMED);
	assert_int_equal(reply[67], TLV_UNRECOGNIZED); /* untouched */
	assert_memory_equal(reply + 53, bytes + 53, size - 53);
	assert_int_equal(message_reply_read(reply, size, NULL, &read),
			 MESSAGE_OK);
	assert_int_equal(read.tlv_flags, TLV_UNRECOGNIZED | TLV_MALFORMED);
	assert_int_equal(read.present, 0);
}

static void somebody_elses_experiment_is_unknown(void **state)
{
	struct message_reflection reflection = reflection_make();
	struct message_request request = {.at = sent_at};
	uint8_t bytes[128], reply[128];
	struct message message;
	struct message_in in;

	(void)state;
	(void)message_begin(&message, bytes, sizeof bytes, false);
	(void)message_tlv_add(&message, TLV_POINTS, 40);
	(void)message_end(&message, &request, NULL);
	(void)message_request_read(bytes, message.size, NULL, &in);
	(void)message_reply_write(&in, &reflection, NULL, reply);
	assert_int_equal(reply[44], TLV_UNRECOGNIZED);
	assert_memory_equal(reply + 45, bytes + 45, message.size - 45);
}

/* Whatever its length, an answer is as long as its question, and nothing
 * outside of both is read or written (sanitizers watch). */
static void survives_every_truncation(void **state)
{
	struct message_key *key = key_make("right");
	struct message_reflection reflection = reflection_make();
	uint8_t whole[512];
	size_t size;

	(void)state;
	for (int keyed = 0; keyed < 2; keyed++) {
		struct message_key *with = keyed ? key : NULL;

		size = request_make(whole, sizeof whole, with);
		for (size_t cut = 0; cut <= size; cut++) {
			uint8_t *part = malloc(cut + !cut);
			uint8_t *reply = malloc(cut + !cut);
			struct message_in in;
			struct message_reply read;

			memcpy(part, whole, cut);
			if (message_request_read(part, cut, with, &in) ==
			    MESSAGE_OK) {
				assert_int_equal(
					message_reply_write(&in, &reflection,
							    with, reply),
					cut);
				assert_int_equal(message_reply_read(reply, cut,
								    with,
								    &read),
						 MESSAGE_OK);
			} else {
				assert_true(cut < (keyed ? 112 : 41));
			}
			free(part);
			free(reply);
		}
	}
	message_key_destroy(key);
}

/* 14 bytes of TWAMP Light and 27 or more of padding (RFC 5357 section 4.1.2):
 * the answer's fields, and the padding behind them as it was. */
static void answers_twamp_light(void **state)
{
	struct message_reflection reflection = reflection_make();
	uint8_t bytes[100] = {0, 0, 0, 5}, reply[100];
	struct message_reply read;
	struct message_in in;

	(void)state;
	memset(bytes + 80, 0x5a, 20);
	bytes[12] = 0x3f;
	for (size_t size = 41; size <= sizeof bytes; size++) {
		assert_int_equal(message_request_read(bytes, size, NULL, &in),
				 MESSAGE_OK);
		assert_int_equal(
			message_reply_write(&in, &reflection, NULL, reply),
			size);
		assert_int_equal(message_reply_read(reply, size, NULL, &read),
				 MESSAGE_OK);
		assert_int_equal(read.seq, 5);
		assert_int_equal(read.ttl, 63);
		assert_int_equal(read.tlv_flags, 0);
		if (size > 44)
			assert_memory_equal(reply + 44, bytes + 44, size - 44);
	}
	assert_int_equal(message_request_read(bytes, 40, NULL, &in),
			 MESSAGE_SHORT);
}

static void pads_to_the_byte(void **state)
{
	struct message_key *key = key_make("right");
	struct message_request request = {.at = sent_at};
	uint8_t bytes[2048];
	struct message message;

	(void)state;
	for (size_t size = 0; size < sizeof bytes; size++) {
		bool plain = size == 44 || size >= 48;
		bool keyed = size == 112 || size >= 112 + 20 + 4;

		(void)message_begin(&message, bytes, sizeof bytes, false);
		assert_int_equal(message_pad(&message, size), plain);
		if (plain)
			assert_int_equal(message_end(&message, &request, NULL),
					 size);
		(void)message_begin(&message, bytes, sizeof bytes, true);
		assert_int_equal(message_pad(&message, size), keyed);
		if (keyed)
			assert_int_equal(message_end(&message, &request, key),
					 size);
	}
	message_key_destroy(key);
}

static void times_come_back_to_the_nanosecond(void **state)
{
	static const int64_t seconds[] = {0,          1,          1700000000,
					  2085978495, 2085978496, 4000000000};

	(void)state;
	for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
		for (int64_t ns = 0; ns < NS_PER_S; ns += 999983) {
			struct wall at = {seconds[i] * NS_PER_S + ns};

			assert_int_equal(
				message_time_unpack(
					message_time_pack(at, false), false)
					.ns,
				at.ns);
			assert_int_equal(
				message_time_unpack(message_time_pack(at, true),
						    true)
					.ns,
				at.ns);
		}
	}
	/* RFC 5905: the Unix epoch is 2,208,988,800 s of NTP's. */
	assert_true(message_time_pack((struct wall){0}, false) ==
		    UINT64_C(2208988800) << 32);
	assert_true(message_time_pack((struct wall){500000000}, false) ==
		    (UINT64_C(2208988800) << 32 | 0x80000000));
}

static void error_estimates_are_never_too_small(void **state)
{
	bool synchronized;

	(void)state;
	for (int64_t ns = 0; ns < INT64_MAX / 4; ns = ns * 3 + 1) {
		uint16_t estimate = message_error_estimate(ns & 1, ns);
		int64_t back = message_error_ns(estimate, &synchronized);

		assert_int_not_equal(estimate & 0xff, 0);
		assert_int_equal(synchronized, ns & 1);
		assert_true(back >= ns - 1);
		assert_true(ns < 1000 || (double)back < (double)ns * 1.01);
	}
	assert_int_equal(message_error_estimate(false, -1), 0x3fff);
}

static void a_far_stamp_is_left_out(void **state)
{
	struct message_reflection reflection = reflection_make();
	struct message_request request = {.at = sent_at};
	uint8_t bytes[256], reply[256];
	struct message message;
	struct message_reply read;
	struct message_in in;

	(void)state;
	earlier[0].at_ns[LEG_BACK][POINT_SENT] += INT64_C(5000000000);
	(void)message_begin(&message, bytes, sizeof bytes, false);
	tlv_points_ask(
		message_tlv_add(&message, TLV_POINTS, tlv_points_size(1, 5)),
		UINT64_MAX);
	(void)message_end(&message, &request, NULL);
	(void)message_request_read(bytes, message.size, NULL, &in);
	(void)message_reply_write(&in, &reflection, NULL, reply);
	assert_int_equal(message_reply_read(reply, message.size, NULL, &read),
			 MESSAGE_OK);
	assert_int_equal(read.points_count, 1);
	assert_true(read.points[0].stamped ==
		    (earlier[0].stamped & ~POINT_BIT(LEG_BACK, POINT_SENT)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_every_tlv),
		cmocka_unit_test(answers_every_tlv_with_a_key),
		cmocka_unit_test(refuses_another_key),
		cmocka_unit_test(flags_altered_tlvs_of_a_keyed_packet),
		cmocka_unit_test(marks_what_it_does_not_know),
		cmocka_unit_test(somebody_elses_experiment_is_unknown),
		cmocka_unit_test(survives_every_truncation),
		cmocka_unit_test(answers_twamp_light),
		cmocka_unit_test(pads_to_the_byte),
		cmocka_unit_test(times_come_back_to_the_nanosecond),
		cmocka_unit_test(error_estimates_are_never_too_small),
		cmocka_unit_test(a_far_stamp_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
