/* The sender: making it, and what it tells of itself. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "probe/sender_private.h"

#define PASSAGES_MIN   1024u
#define PASSAGES_MAX   (1u << 18)
#define LATE_MIN_NS    10000
#define POINTS_ANSWERS 3

const struct counter_row sender_counter_rows[] = {SENDER_COUNTERS(COUNTER_ROW)};
const size_t sender_counter_count =
	sizeof sender_counter_rows / sizeof *sender_counter_rows;

static point_set reflector_points(const struct sender_options *options)
{
	point_set set = TOLD_ALWAYS | options->wanted;

	if (options->hardware)
		set |= POINT_BIT(LEG_FORWARD, POINT_RECEIVED_HW) |
		       POINT_BIT(LEG_BACK, POINT_SENT_HW);
	return set;
}

static void tlvs_add(struct sender *sender)
{
	const struct sender_options *options = &sender->options;
	point_set set = reflector_points(options);
	size_t count = (size_t)__builtin_popcountll(set);
	uint8_t *value;

	(void)message_tlv_add(&sender->message, TLV_TIMESTAMP_INFORMATION,
			      TLV_TIMESTAMP_INFORMATION_SIZE);
	value = message_tlv_add(&sender->message, TLV_CLASS_OF_SERVICE,
				TLV_CLASS_OF_SERVICE_SIZE);
	tlv_class_ask(value,
		      options->dscp_wanted >= 0 ? (uint8_t)options->dscp_wanted
						: options->dscp,
		      0);
	(void)message_tlv_add(&sender->message, TLV_FOLLOW_UP,
			      TLV_FOLLOW_UP_SIZE);
	value = message_tlv_add(&sender->message, TLV_POINTS,
				tlv_points_size(POINTS_ANSWERS, count));
	sender->points_value = value;
	tlv_points_ask(value, set);
}

/* As long as asked for; one that is too short for TLVs goes without. */
static int message_make(struct sender *sender, struct fault *ret_fault)
{
	const struct sender_options *options = &sender->options;
	bool keyed = options->key != NULL;

	sender->bytes = calloc(1, MESSAGE_SIZE_MAX);
	if (!sender->bytes)
		return fault_set(ret_fault, -ENOMEM, "%s",
				 err_sentence(-ENOMEM));
	(void)message_begin(&sender->message, sender->bytes, MESSAGE_SIZE_MAX,
			    keyed);
	if (!options->echo)
		tlvs_add(sender);
	if (options->size == 0)
		return 0;
	if (message_pad(&sender->message, options->size))
		return 0;
	sender->points_value = NULL;
	(void)message_begin(&sender->message, sender->bytes, MESSAGE_SIZE_MAX,
			    keyed);
	if (message_pad(&sender->message, options->size))
		return 0;
	return fault_set(ret_fault, ERR_OPTION_RANGE,
			 "size %zu: a test packet %s has %d bytes, or %d and "
			 "more",
			 options->size, keyed ? "with a key" : "without a key",
			 keyed ? MESSAGE_SIZE_KEYED : MESSAGE_SIZE_MIN,
			 keyed ? MESSAGE_SIZE_KEYED + 24
			       : MESSAGE_SIZE_MIN + 4);
}

/* Room for all that is under way within the time limit, and a second. */
static int passages_make(struct sender *sender)
{
	double seconds = (double)sender->options.timeout_ns / NS_PER_S + 1;
	double wanted = sender->options.rate_hz * seconds;
	uint32_t count = PASSAGES_MIN;

	while (count < wanted && count < PASSAGES_MAX)
		count *= 2;
	sender->mask = count - 1;
	sender->passages = calloc(count, sizeof *sender->passages);
	sender->reflected = calloc(count, sizeof *sender->reflected);
	sender->blocks = calloc(count / 64, sizeof *sender->blocks);
	return sender->passages && sender->reflected && sender->blocks
		       ? 0
		       : -ENOMEM;
}

static int step_watch(void)
{
	struct itimerspec never = {.it_value.tv_sec = INT64_MAX / 4};
	int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		(void)timerfd_settime(
			fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
			NULL);
	return fd;
}

static int options_check(struct sender *sender, struct fault *ret_fault)
{
	struct sender_options *options = &sender->options;

	if (!(options->rate_hz >= SENDER_RATE_MIN_HZ &&
	      options->rate_hz <= SENDER_RATE_MAX_HZ))
		return fault_set(ret_fault, ERR_OPTION_RANGE,
				 "rate %g: not from %g to %g packets a second",
				 options->rate_hz, SENDER_RATE_MIN_HZ,
				 SENDER_RATE_MAX_HZ);
	sender->interval_ns = (int64_t)((double)NS_PER_S / options->rate_hz);
	if (options->timeout_ns == 0)
		options->timeout_ns = SENDER_TIMEOUT_S * NS_PER_S;
	if (options->late_ns == 0)
		options->late_ns = sender->interval_ns / 10 > LATE_MIN_NS
					   ? sender->interval_ns / 10
					   : LATE_MIN_NS;
	sender->error_estimate = message_error_estimate(options->synchronized,
							options->error_ns);
	return 0;
}

static int socket_make(struct sender *sender, struct fault *ret_fault)
{
	const struct sender_options *options = &sender->options;
	struct probe_socket_options socket = {
		.local = options->local,
		.remote = options->remote,
		.interface = options->interface,
		.ttl = options->ttl,
		.dscp = options->dscp,
		.hardware = options->hardware,
		.unstamped = options->unstamped,
	};

	return probe_socket_open(&socket, &sender->socket, ret_fault);
}

/* Of every packet.  The first one's seal adds its TLV to the message. */
static size_t size_of(const struct message *message)
{
	bool sealed = message->keyed && message->size > MESSAGE_SIZE_KEYED;

	return message->size +
	       (sealed ? MESSAGE_TLV_HEAD_SIZE + MESSAGE_HMAC_SIZE : 0);
}

static int parts_make(struct sender *sender, struct fault *ret_fault)
{
	const struct sender_options *options = &sender->options;
	int rc = options_check(sender, ret_fault);

	if (rc == 0)
		rc = message_make(sender, ret_fault);
	if (rc < 0)
		return rc;
	sender->size = size_of(&sender->message);
	if (getrandom(&sender->ssid, sizeof sender->ssid, 0) < 0)
		sender->ssid = (uint16_t)getpid();
	sender->ssid |= sender->ssid == 0; /* 0 is none */
	sender->random = options->seed;
	if (options->key)
		rc = message_key_create(options->key, options->key_size,
					&sender->key);
	if (rc == 0)
		rc = passages_make(sender);
	if (rc < 0)
		return fault_set(ret_fault, rc, "sender: %s", err_sentence(rc));
	sender->step_fd = step_watch();
	return socket_make(sender, ret_fault);
}

int sender_create(const struct sender_options *options,
		  struct sender **ret_sender, struct fault *ret_fault)
{
	struct sender *sender = calloc(1, sizeof *sender);
	int rc;

	if (!sender)
		return fault_set(ret_fault, -ENOMEM, "%s",
				 err_sentence(-ENOMEM));
	sender->options = *options;
	sender->step_fd = -1;
	rc = parts_make(sender, ret_fault);
	if (rc < 0) {
		sender_destroy(sender);
		return rc;
	}
	*ret_sender = sender;
	return 0;
}

void sender_destroy(struct sender *sender)
{
	if (!sender)
		return;
	probe_socket_close(sender->socket);
	message_key_destroy(sender->key);
	if (sender->step_fd >= 0)
		close(sender->step_fd);
	free(sender->passages);
	free(sender->reflected);
	free(sender->blocks);
	free(sender->bytes);
	free(sender);
}

void sender_stop(struct sender *sender)
{
	atomic_store(&sender->stop, true);
}

point_set sender_points(const struct sender *sender)
{
	const struct sender_options *options = &sender->options;
	point_set set = POINT_BIT(LEG_FORWARD, POINT_SEND) |
			POINT_BIT(LEG_BACK, POINT_RECEIVE);

	if (!options->unstamped)
		set |= POINT_BIT(LEG_FORWARD, POINT_SCHED) |
		       POINT_BIT(LEG_FORWARD, POINT_SENT) |
		       POINT_BIT(LEG_BACK, POINT_RECEIVED);
	if (options->hardware)
		set |= POINT_BIT(LEG_FORWARD, POINT_SENT_HW) |
		       POINT_BIT(LEG_BACK, POINT_RECEIVED_HW);
	set |= watch_points(options->watch, LEG_FORWARD, LEG_BACK) &
	       ~(POINTS_OF_SLEEP(LEG_BACK) & ~sender->sleep_points);
	if (options->echo)
		return set;
	if (sender->peer_knows_points)
		return set | (reflector_points(options) &
			      (TOLD_ALWAYS | sender->peer_points));
	return set | sender->followed | POINT_BIT(LEG_FORWARD, POINT_RECEIVE) |
	       POINT_BIT(LEG_BACK, POINT_SEND);
}

size_t sender_size(const struct sender *sender)
{
	return sender->size;
}

bool sender_peer_knows_points(const struct sender *sender)
{
	return sender->peer_knows_points;
}

const char *sender_refusal(const struct sender *sender)
{
	return sender->refusal.text;
}

struct sockaddr_storage sender_local(const struct sender *sender)
{
	return probe_socket_local(sender->socket);
}

struct sender_counters sender_counters(const struct sender *sender)
{
	return sender->counters;
}
