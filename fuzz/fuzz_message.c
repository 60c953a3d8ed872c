/* A reflector fed with anything: the answer is as long as the question, its
 * stranger's bytes are never read outside, and what the sender's side reads
 * of it stays within its bounds.  The first byte chooses: bit 0 with a key,
 * bit 1 the bytes are an answer and not a request. */
#include <stdlib.h>
#include <string.h>

#include "probe/probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static struct message_key *the_key(void)
{
	static struct message_key *key;

	if (!key)
		require(message_key_create((const uint8_t *)"fuzz", 4, &key) ==
			0);
	return key;
}

static void reply_try(const uint8_t *bytes, size_t size,
		      struct message_key *key)
{
	struct message_reply reply;

	if (message_reply_read(bytes, size, key, &reply) == MESSAGE_OK)
		require(reply.points_count <= MESSAGE_POINTS_MAX);
}

static void request_try(const uint8_t *bytes, size_t size,
			struct message_key *key)
{
	static const struct message_points points = {
		.stamped = POINT_BIT(LEG_BACK, POINT_SENT)};
	static const struct message_points *const earlier[1] = {&points};
	struct message_reflection reflection = {
		.ip_version = size & 1 ? 6 : 4,
		.earlier = earlier,
		.earlier_count = 1,
		.follow_up = &points,
	};
	struct message_in request;
	uint8_t *reply;

	if (message_request_read(bytes, size, key, &request) != MESSAGE_OK)
		return;
	reply = malloc(size);
	require(reply != NULL);
	require(message_reply_write(&request, &reflection, key, reply) == size);
	reply_try(reply, size, key);
	free(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct message_key *key;
	uint8_t *copy;

	if (size < 1 || size > MESSAGE_SIZE_MAX)
		return 0;
	key = bytes[0] & 1 ? the_key() : NULL;
	copy = malloc(size); /* its end is a border that sanitizers guard */
	require(copy != NULL);
	memcpy(copy, bytes + 1, size - 1);
	copy = realloc(copy, size - 1 + (size == 1));
	if (bytes[0] & 2)
		reply_try(copy, size - 1, key);
	else
		request_try(copy, size - 1, key);
	free(copy);
	return 0;
}
