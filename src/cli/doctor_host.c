/* sonde doctor: privileges, huge pages, the store, the clock. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "cli/doctor_private.h"
#include "store/store.h"

#define PAGE_SIZE_HUGE (UINT64_C(2) << 20)

static const struct privilege {
	int number;
	enum finding_verdict without;
	const char *name, *use;
} privileges[] = {
	{CAP_NET_RAW, FINDING_NO, "CAP_NET_RAW", "to capture"},
	{CAP_NET_ADMIN, FINDING_WARN, "CAP_NET_ADMIN",
	 "for promiscuous mode and hardware stamps"},
	{CAP_IPC_LOCK, FINDING_WARN, "CAP_IPC_LOCK",
	 "to keep tables from being swapped out"},
	{CAP_BPF, FINDING_WARN, "CAP_BPF",
	 "for tiers T2 and T3 of round trips"},
	{CAP_PERFMON, FINDING_WARN, "CAP_PERFMON",
	 "for tiers T2 and T3 of round trips"},
};

static uint64_t capabilities_effective(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}, {0}};

	if (syscall(SYS_capget, &head, data) < 0)
		return 0;
	return (uint64_t)data[1].effective << 32 | data[0].effective;
}

void privileges_check(struct doctor *doctor)
{
	uint64_t held = capabilities_effective();

	for (size_t i = 0; i < sizeof privileges / sizeof privileges[0]; i++) {
		const struct privilege *privilege = &privileges[i];
		struct finding *finding;

		if (held >> privilege->number & 1) {
			finding_add(doctor, privilege->name, FINDING_OK,
				    "held; needed %s", privilege->use);
			continue;
		}
		finding =
			finding_add(doctor, privilege->name, privilege->without,
				    "not held; needed %s", privilege->use);
		if (privilege->number <= CAP_IPC_LOCK)
			finding_remedy(finding,
				       "run as root, or by the systemd unit");
	}
}

/* KiB of huge pages behind a mapping, as /proc/self/smaps counts them. */
static uint64_t huge_kib(const void *start)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	char line[512], wanted[32];
	uint64_t kib = 0;
	bool inside = false;

	snprintf(wanted, sizeof wanted, "%" PRIxPTR "-", (uintptr_t)start);
	while (maps && fgets(line, sizeof line, maps)) {
		if (strncmp(line, wanted, strlen(wanted)) == 0)
			inside = true;
		if (inside && strncmp(line, "AnonHugePages:", 14) == 0) {
			kib = strtoull(line + 14, NULL, 10);
			break;
		}
	}
	if (maps)
		(void)fclose(maps);
	return kib;
}

static void transparent_check(struct doctor *doctor)
{
	size_t size = 4 * PAGE_SIZE_HUGE;
	uint8_t *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct finding *finding;
	uint64_t kib = 0;

	if (bytes != MAP_FAILED && madvise(bytes, size, MADV_HUGEPAGE) == 0) {
		memset(bytes, 1, size);
		kib = huge_kib(bytes);
	}
	if (bytes != MAP_FAILED)
		munmap(bytes, size);
	if (kib > 0) {
		finding_add(doctor, "transparent", FINDING_OK,
			    "got %" PRIu64 " KiB of them by asking", kib);
		return;
	}
	finding = finding_add(doctor, "transparent", FINDING_WARN,
			      "asked for them and got none; large flow "
			      "tables are slower");
	finding_remedy(finding, "echo madvise > "
				"/sys/kernel/mm/transparent_hugepage/enabled");
}

static void reserved_check(struct doctor *doctor)
{
	void *bytes = mmap(NULL, PAGE_SIZE_HUGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	struct finding *finding;

	if (bytes != MAP_FAILED) {
		munmap(bytes, PAGE_SIZE_HUGE);
		finding_add(doctor, "reserved", FINDING_OK,
			    "mapped a page of 2 MiB");
		return;
	}
	finding = finding_add(doctor, "reserved", FINDING_WARN,
			      "none is free (%s); transparent ones do",
			      err_sentence(-errno));
	finding_remedy(finding, "sysctl vm.nr_hugepages=256");
}

void pages_check(struct doctor *doctor)
{
	transparent_check(doctor);
	reserved_check(doctor);
}

/* Every file that a store can leave, and the folder. */
static void folder_remove(const char *folder, const char *path)
{
	static const char *const ends[] = {"", "-wal", "-shm", "-journal",
					   ".lock"};
	char file[320];

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		(void)unlink(file);
	}
	rmdir(folder);
}

static int store_try(const char *path, struct fault *ret_fault)
{
	struct store_options options = {.path = path,
					.probe = "doctor",
					.version = SONDE_VERSION,
					.epoch = (uint64_t)wall_now().ns};
	struct flow_record record = {.epoch = options.epoch,
				     .seq = 1,
				     .end_reason = FLOW_END_FORCED,
				     .tuple = {.ip_version = 4}};
	struct store *store;
	int rc = store_open(&options, &store, ret_fault);

	if (rc < 0)
		return rc;
	record.start = record.end = wall_now();
	rc = store_flow(store, &record);
	if (rc == 0)
		rc = store_commit(store, ret_fault);
	if (rc == 0 && store_counters(store).stored != 1)
		rc = fault_set(ret_fault, -EIO, "the record was not kept");
	store_close(store);
	return rc;
}

void store_check(struct doctor *doctor)
{
	const char *base = getenv("TMPDIR");
	char folder[256], path[300];
	struct fault fault = {""};
	struct finding *finding;
	int rc;

	snprintf(folder, sizeof folder, "%.200s/sonde-doctor-XXXXXX",
		 base && *base ? base : "/tmp");
	if (!mkdtemp(folder)) {
		finding = finding_add(doctor, "sqlite", FINDING_NO, "%s: %s",
				      folder, err_sentence(-errno));
		finding_remedy(finding, "set TMPDIR to a folder that can be "
					"written");
		return;
	}
	snprintf(path, sizeof path, "%s/doctor.db", folder);
	rc = store_try(path, &fault);
	folder_remove(folder, path);
	doctor->kept = rc == 0;
	if (rc == 0)
		finding_add(doctor, "sqlite", FINDING_OK,
			    "kept a record in a new database, removed again");
	else
		finding_add(doctor, "sqlite", FINDING_NO, "%s",
			    fault.text[0] ? fault.text : err_sentence(rc));
}

void clock_check(struct doctor *doctor)
{
	struct timex clock = {0};
	int state = adjtimex(&clock);
	struct finding *finding;
	char error[TEXT_SIZE];

	text_thousands((uint64_t)clock.maxerror, error);
	if (state >= 0 && state != TIME_ERROR) {
		finding_add(doctor, "system clock", FINDING_OK,
			    "synchronised, at most %s us off", error);
		return;
	}
	finding = finding_add(doctor, "system clock", FINDING_WARN,
			      "not synchronised: stamps of several machines "
			      "cannot be compared");
	finding_remedy(finding, "run chrony, systemd-timesyncd or ptp4l");
}
