/* The public C API over the engine: life cycle, packets, statistics.
 *
 * The engine wants one thread to collect its records; a session has it
 * (session_flow.c).  Errors are kept per thread, as errno is.
 */
#include "packet_capture.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/session_private.h"

#define POLL_MS_PRESET 100
#define POLL_BATCH     256

static _Thread_local struct {
	int code;
	struct fault fault;
} last_error;

/* Internal codes by their public name. */
static int code_public(int code)
{
	switch (code) {
	case ERR_BACKEND_UNKNOWN:
		return CAPTURE_EBACKEND;
	case ERR_FILTER:
		return CAPTURE_EFILTER;
	case ERR_FILE_FOREIGN:
	case ERR_FILE_TRUNCATED:
	case ERR_FILE_CORRUPT:
		return CAPTURE_EFILE;
	case ERR_STATE:
		return CAPTURE_ESTATE;
	case ERR_OPTION_RANGE:
		return CAPTURE_ERANGE;
	case ERR_NOT_BUILT:
		return CAPTURE_EVERSION;
	case ERR_END:
		return CAPTURE_END;
	default:
		return code;
	}
}

int session_error(int code, const char *sentence)
{
	last_error.code = code_public(code);
	fault_set(&last_error.fault, 0, "%s",
		  sentence && sentence[0] ? sentence
					  : capture_strerror(last_error.code));
	return last_error.code;
}

void session_error_clear(void)
{
	last_error.code = 0;
	last_error.fault.text[0] = 0;
}

const char *capture_strerror(int code)
{
	switch (code) {
	case CAPTURE_EBACKEND:
		return "no such backend; capture_backend_list() has them";
	case CAPTURE_EFILTER:
		return err_sentence(ERR_FILTER);
	case CAPTURE_EFILE:
		return "not a capture file, damaged, or cut short";
	case CAPTURE_ESTATE:
		return err_sentence(ERR_STATE);
	case CAPTURE_ERANGE:
		return err_sentence(ERR_OPTION_RANGE);
	case CAPTURE_EVERSION:
		return "not part of this version of the library";
	case CAPTURE_END:
		return err_sentence(ERR_END);
	default:
		return err_sentence(code);
	}
}

int capture_errno(void)
{
	return last_error.code;
}

const char *capture_error_text(void)
{
	return last_error.fault.text;
}

const char *capture_version(void)
{
	return SONDE_VERSION;
}

void capture_config_init(capture_config_t *config)
{
	if (!config)
		return;
	*config = (capture_config_t){
		.ring_size = CAPTURE_RING_SIZE_PRESET,
		.snap_length = CAPTURE_SNAP_MAX,
		.workers = 1,
		.poll_timeout_ms = POLL_MS_PRESET,
	};
}

static int config_check(const capture_config_t *config, struct fault *fault)
{
	const struct {
		const char *name, *unit;
		uint64_t value, min, max;
	} ranges[] = {
		{"ring_size", "bytes", config->ring_size, CAPTURE_RING_SIZE_MIN,
		 CAPTURE_RING_SIZE_MAX},
		{"snap_length", "bytes", config->snap_length, CAPTURE_SNAP_MIN,
		 CAPTURE_SNAP_MAX},
		{"workers", "threads", config->workers, 1, ENGINE_WORKERS_MAX},
		{"timestamp_source", "", (uint64_t)config->timestamp_source, 0,
		 CAPTURE_TIMESTAMP_KERNEL},
	};

	if (!config->interfaces || !config->interfaces[0])
		return fault_set(fault, -EINVAL,
				 "interfaces: nothing to capture from; name an "
				 "interface, \"any\" or a file");
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
		if (ranges[i].value == 0 || (ranges[i].value >= ranges[i].min &&
					     ranges[i].value <= ranges[i].max))
			continue;
		return fault_set(
			fault, ERR_OPTION_RANGE,
			"%s: %llu is out of range: %llu to %llu %s",
			ranges[i].name, (unsigned long long)ranges[i].value,
			(unsigned long long)ranges[i].min,
			(unsigned long long)ranges[i].max, ranges[i].unit);
	}
	return 0;
}

/* "a,b" into targets[]; 'text' is cut in place. */
static size_t targets_split(char *text, const char **targets)
{
	size_t count = 0;
	char *rest = text, *target;

	while ((target = strsep(&rest, ",")) && count < ENGINE_TARGETS_MAX + 1)
		if (*target)
			targets[count++] = target;
	return count;
}

static int session_open(capture_session_t *session,
			const capture_config_t *config, struct fault *fault)
{
	const char *targets[ENGINE_TARGETS_MAX + 1];
	char *text = strdup(config->interfaces);
	struct engine_options options = {
		.targets = targets,
		.backend = config->backend,
		.ring_size = config->ring_size,
		.snap_size = config->snap_length,
		.promiscuous = config->promiscuous != 0,
		.filter = config->filter,
		.stamp = (enum capture_stamp)config->timestamp_source,
		.workers = config->no_fanout ? 1 : (uint16_t)config->workers,
		.deliver = !config->no_packets,
		.record = session_record,
		.context = session,
	};
	int rc;

	if (!text)
		return -ENOMEM;
	options.target_count = targets_split(text, targets);
	rc = engine_create(&options, &session->engine, fault);
	free(text);
	return rc;
}

static int pool_make(capture_session_t *session)
{
	size_t count = session->engine->feed_count * DELIVERED_COUNT;

	session->pool = calloc(count, sizeof *session->pool);
	session->free_packets = calloc(count, sizeof *session->free_packets);
	if (!session->pool || !session->free_packets)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		session->free_packets[i] = &session->pool[i];
	session->free_count = count;
	return 0;
}

capture_session_t *capture_init(const capture_config_t *config)
{
	capture_session_t *session;
	struct fault fault = {""};
	int rc;

	if (!config) {
		session_error(-EINVAL, "capture_init: no configuration");
		return NULL;
	}
	rc = config_check(config, &fault);
	session = rc == 0 ? calloc(1, sizeof *session) : NULL;
	if (!session) {
		session_error(rc < 0 ? rc : -ENOMEM, fault.text);
		return NULL;
	}
	pthread_mutex_init(&session->stop_lock, NULL);
	pthread_mutex_init(&session->poll_lock, NULL);
	pthread_mutex_init(&session->pool_lock, NULL);
	pthread_mutex_init(&session->query_lock, NULL);
	pthread_mutex_init(&session->records_lock, NULL);
	session->poll_timeout_ms = config->poll_timeout_ms == 0
					   ? POLL_MS_PRESET
					   : config->poll_timeout_ms;
	session->no_packets = config->no_packets != 0;
	rc = session_open(session, config, &fault);
	if (rc == 0)
		rc = pool_make(session);
	if (rc < 0) {
		capture_cleanup(session);
		session_error(rc, fault.text);
		return NULL;
	}
	return session;
}

int capture_start(capture_session_t *session)
{
	int rc;

	if (!session || session->started)
		return session_error(ERR_STATE, NULL);
	if (session->no_packets && !session->metering)
		return session_error(ERR_STATE,
				     "no_packets: without flow metering there "
				     "is nothing to do");
	rc = engine_start(session->engine);
	if (rc < 0)
		return session_error(rc, NULL);
	session->started = true;
	rc = pthread_create(&session->collector, NULL, session_collect,
			    session);
	session->collecting = rc == 0;
	return rc == 0 ? 0 : session_error(-rc, NULL);
}

/* Who comes second waits until the first is done. */
int capture_stop(capture_session_t *session)
{
	if (!session || !session->started)
		return session_error(ERR_STATE, NULL);
	pthread_mutex_lock(&session->stop_lock);
	engine_stop(session->engine);
	if (session->collecting)
		pthread_join(session->collector, NULL);
	session->collecting = false;
	pthread_mutex_unlock(&session->stop_lock);
	return 0;
}

void capture_cleanup(capture_session_t *session)
{
	if (!session)
		return;
	if (session->started)
		(void)capture_stop(session);
	engine_destroy(session->engine);
	session_flow_fini(session);
	free(session->pool);
	free(session->free_packets);
	pthread_mutex_destroy(&session->stop_lock);
	pthread_mutex_destroy(&session->poll_lock);
	pthread_mutex_destroy(&session->pool_lock);
	pthread_mutex_destroy(&session->query_lock);
	pthread_mutex_destroy(&session->records_lock);
	free(session);
}

static void packet_fill(capture_session_t *session,
			const struct engine_frame *from,
			captured_packet_t *packet)
{
	const struct frame *frame = &from->frame;
	uint64_t place = (uint64_t)from->feed << 16 | from->source;

	*packet = (captured_packet_t){
		.data = frame->bytes,
		.captured_length = frame->captured_size,
		.length = frame->size,
		.timestamp_ns = frame->stamp.at.ns,
		.timestamp_source = (uint8_t)frame->stamp.source,
		.outgoing = frame->outgoing,
		.link_type = frame->link_type,
		.segment_length = frame->gso_size,
		.interface_index = from->interface,
		.interface = engine_interface(session->engine, from->interface),
		.reserved = {(uint64_t)(uintptr_t)frame->hold, place},
	};
}

/* The end; but a damaged file is told first, each once. */
static int poll_end(capture_session_t *session)
{
	const char *sentence =
		engine_fault(session->engine, session->faults_told);

	if (!sentence)
		return CAPTURE_END;
	session->faults_told++;
	return session_error(ERR_FILE_CORRUPT, sentence);
}

static int poll_locked(capture_session_t *session, captured_packet_t **packets,
		       int max)
{
	struct engine_frame frames[POLL_BATCH];
	int timeout =
		session->poll_timeout_ms < 0 ? 0 : session->poll_timeout_ms;
	int count = engine_poll(session->engine, timeout,
				max < POLL_BATCH ? max : POLL_BATCH, frames);

	if (count == ERR_END)
		return poll_end(session);
	/* Without packets the engine delivers none. */
	assert(packets || count <= 0);
	pthread_mutex_lock(&session->pool_lock);
	for (int i = 0; i < count; i++) {
		packets[i] = session->free_packets[--session->free_count];
		packet_fill(session, &frames[i], packets[i]);
	}
	pthread_mutex_unlock(&session->pool_lock);
	session->polled += count > 0 ? (uint64_t)count : 0;
	return count;
}

int capture_poll(capture_session_t *session, captured_packet_t **packets,
		 int max_packets)
{
	int count;

	if (!session || max_packets <= 0 || (!packets && !session->no_packets))
		return session_error(-EINVAL, NULL);
	if (!session->started)
		return session_error(ERR_STATE, NULL);
	pthread_mutex_lock(&session->poll_lock);
	count = poll_locked(session, packets, max_packets);
	pthread_mutex_unlock(&session->poll_lock);
	return count;
}

void capture_packets_release(capture_session_t *session,
			     captured_packet_t *const *packets, int count)
{
	if (!session || !packets)
		return;
	pthread_mutex_lock(&session->pool_lock);
	for (int i = 0; i < count; i++) {
		captured_packet_t *packet = packets[i];
		/* The public structure keeps the pointer as a number.
		 * NOLINTNEXTLINE(performance-no-int-to-ptr) */
		void *hold = (void *)(uintptr_t)packet->reserved[0];
		struct engine_frame frame = {
			.frame = {.bytes = packet->data,
				  .captured_size = packet->captured_length,
				  .size = packet->length,
				  .hold = hold},
			.interface = packet->interface_index,
			.feed = (uint16_t)(packet->reserved[1] >> 16),
			.source = (uint16_t)packet->reserved[1],
		};

		engine_release(session->engine, &frame, 1);
		session->free_packets[session->free_count++] = packet;
	}
	pthread_mutex_unlock(&session->pool_lock);
}

#define BACKENDS_MAX 16

static capture_backend_t backend_list[BACKENDS_MAX];
static int backend_count;
static pthread_once_t backends_once = PTHREAD_ONCE_INIT;

static void backends_make(void)
{
	const struct capture_backend *about;

	while (backend_count < BACKENDS_MAX &&
	       (about = capture_backend_at((size_t)backend_count))) {
		backend_list[backend_count++] = (capture_backend_t){
			about->name, about->line, about->live};
	}
}

const capture_backend_t *capture_backend_list(int *count)
{
	pthread_once(&backends_once, backends_make);
	if (count)
		*count = backend_count;
	return backend_list;
}

int capture_interface_list(capture_interface_t *interfaces, int max)
{
	struct capture_interface_info *infos;
	int count;

	if (max < 0 || (max > 0 && !interfaces))
		return session_error(-EINVAL, NULL);
	infos = calloc((size_t)max + 1, sizeof *infos);
	if (!infos)
		return session_error(-ENOMEM, NULL);
	count = capture_interfaces(infos, max);
	for (int i = 0; i < count && i < max; i++) {
		interfaces[i] = (capture_interface_t){
			.index = infos[i].index,
			.up = infos[i].up,
			.loopback = infos[i].loopback,
			.link_type = infos[i].link_type,
		};
		memcpy(interfaces[i].name, infos[i].name,
		       sizeof interfaces[i].name);
		memcpy(interfaces[i].mac, infos[i].mac,
		       sizeof interfaces[i].mac);
	}
	free(infos);
	return count < 0 ? session_error(count, NULL) : count;
}

const char *capture_interface_name(capture_session_t *session, uint16_t index)
{
	return session ? engine_interface(session->engine, index) : NULL;
}

int capture_netflow_enable(capture_session_t *session,
			   const netflow_config_t *config)
{
	(void)session;
	(void)config;
	return session_error(ERR_NOT_BUILT, NULL);
}

int capture_set_encryption(capture_session_t *session,
			   const crypto_config_t *config)
{
	(void)session;
	(void)config;
	return session_error(ERR_NOT_BUILT, NULL);
}

int capture_verify_firmware(const char *firmware_path,
			    const char *signature_path)
{
	(void)firmware_path;
	(void)signature_path;
	return session_error(ERR_NOT_BUILT, NULL);
}
