/* sonde doctor: the points that round trips have here, tier by tier, each one
 * seen on packets that go round the interface (lo), or out of it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cli/doctor_private.h"
#include "engine/engine.h"

#define PACKETS    40
#define RATE_HZ    1000
#define TIMEOUT_NS (NS_PER_S / 5)
#define TURNS_MAX  5000
#define DISCARD    9 /* RFC 863: nobody answers */

struct trial {
	struct doctor *doctor;
	const char *interface;
	bool around;                 /* answers come back */
	struct reflector *reflector; /* NULL: there is none */
	struct sockaddr_storage local, remote;
	point_set seen;
	bool traced; /* T2 works */
};

static struct sockaddr_storage address_of(const char *text, uint16_t port)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr_in v4 = {.sin_family = AF_INET,
				 .sin_port = htons(port)};

	(void)inet_pton(AF_INET, text, &v4.sin_addr);
	memcpy(&storage, &v4, sizeof v4);
	return storage;
}

static void trip_take(void *context, const struct trip *trip)
{
	struct trial *trial = context;

	trial->seen |= trip->stamped;
}

static int reflector_begin(struct trial *trial, struct fault *ret_fault)
{
	struct reflector_options options = {.error_ns = -1};
	struct sockaddr_storage local = address_of("127.0.0.1", 0);
	struct probe_socket_options asked = {
		.local = (const struct sockaddr *)&local};
	struct probe_socket *made;
	int rc = probe_socket_open(&asked, &made, ret_fault);

	if (rc < 0)
		return rc;
	trial->remote = probe_socket_local(made);
	rc = reflector_create(&options, &trial->reflector);
	if (rc < 0) {
		probe_socket_close(made);
		return fault_set(ret_fault, rc, "%s", err_sentence(rc));
	}
	return reflector_socket_add(trial->reflector, made);
}

/* Sends a few packets at this tier and notes what stamped them. */
static int tier_run(struct trial *trial, enum tier tier,
		    struct fault *ret_fault)
{
	struct path_options options = {
		.sender = {.local = (const struct sockaddr *)&trial->local,
			   .remote = (const struct sockaddr *)&trial->remote,
			   .interface = trial->interface,
			   .echo = !trial->around,
			   .rate_hz = RATE_HZ,
			   .count = PACKETS,
			   .ttl = trial->around ? 0 : 1,
			   .dscp_wanted = -1,
			   .sleep = true,
			   .unstamped = tier == TIER_APPLICATION,
			   .timeout_ns = TIMEOUT_NS,
			   .error_ns = -1},
		.tier = tier,
		.tier_forced = true,
		.cpu = PATH_CPU_ANY,
	};
	struct path *path;
	int rc = path_start(&options, &path, ret_fault);

	if (rc < 0)
		return rc;
	trial->seen = 0;
	for (int i = 0; i < TURNS_MAX && rc != ERR_END; i++) {
		if (trial->reflector)
			(void)reflector_turn(trial->reflector, 1);
		rc = path_collect(path, trial->reflector ? 0 : 1, trip_take,
				  trial);
	}
	path_destroy(path);
	return 0;
}

/* This host's points of the tier, and those of them that were not seen. */
static int points_list(const struct trial *trial, enum tier tier, bool seen,
		       char *ret_words, size_t room)
{
	int count = 0;
	size_t size = 0;

	*ret_words = 0;
	for (int point = 0; point < POINT_COUNT; point++) {
		bool out = point <= POINT_SENT_HW;
		point_set bit = POINT_BIT(out ? LEG_FORWARD : LEG_BACK, point);

		if (point_rows[point].tier != tier || (!out && !trial->around))
			continue;
		if (((trial->seen & bit) != 0) != seen)
			continue;
		size += (size_t)snprintf(ret_words + size, room - size, " %s",
					 point_rows[point].word);
		if (size >= room)
			break;
		count++;
	}
	return count;
}

static void tier_check(struct trial *trial, enum tier tier)
{
	struct finding *finding;
	struct fault fault;
	char seen[128], unseen[128];
	int missing;

	if (tier_run(trial, tier, &fault) < 0) {
		finding = finding_add(trial->doctor, tier_words[tier],
				      FINDING_WARN, "%s", fault.text);
		if (trial->traced)
			finding_remedy(finding, "boot a kernel with fentry and "
						"without lockdown; T2 works");
		else if (tier >= TIER_TRACEPOINT && kernel_points_built())
			finding_remedy(finding,
				       "run as root, or with CAP_BPF and "
				       "CAP_PERFMON; lower tiers need none");
		else if (tier >= TIER_TRACEPOINT)
			finding_remedy(finding, "build it with them");
		return;
	}
	trial->traced |= tier == TIER_TRACEPOINT;
	(void)points_list(trial, tier, true, seen, sizeof seen);
	missing = points_list(trial, tier, false, unseen, sizeof unseen);
	finding_add(trial->doctor, tier_words[tier],
		    missing ? FINDING_WARN : FINDING_OK,
		    "%s; on %s seen:%s%s%s", tier_lines[tier], trial->interface,
		    *seen ? seen : " nothing", missing ? "; not seen:" : "",
		    unseen);
}

void points_check(struct doctor *doctor)
{
	struct trial trial = {
		.doctor = doctor,
		.interface = doctor->interface ? doctor->interface : "lo"};
	struct fault fault;

	trial.around = strcmp(trial.interface, "lo") == 0;
	trial.local = address_of("0.0.0.0", 0);
	trial.remote = address_of("224.0.0.1", DISCARD); /* this link alone */
	if (trial.around && reflector_begin(&trial, &fault) < 0) {
		finding_add(doctor, "reflector", FINDING_WARN, "%s",
			    fault.text);
		reflector_destroy(trial.reflector);
		return;
	}
	for (enum tier tier = TIER_APPLICATION; tier <= TIER_FUNCTION; tier++)
		tier_check(&trial, tier);
	reflector_destroy(trial.reflector);
}
