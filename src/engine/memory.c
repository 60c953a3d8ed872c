/* How much memory this process may use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine_private.h"

#define CGROUPS "/sys/fs/cgroup"
#define PATH    4096

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* memory.max of one group, UINT64_MAX: "max", or there is none. */
static uint64_t group_limit(const char *group)
{
	char path[PATH + 64];
	char text[32] = "", *end;
	unsigned long long size;
	FILE *file;

	(void)snprintf(path, sizeof path, CGROUPS "%s/memory.max", group);
	file = fopen(path, "re");
	if (!file)
		return UINT64_MAX;
	(void)!fgets(text, sizeof text, file);
	(void)fclose(file);
	size = strtoull(text, &end, 10);
	return end > text ? size : UINT64_MAX;
}

/* The least of our group's (cgroup v2, "0::/path") and those above. */
static uint64_t groups_limit(void)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	uint64_t limit = UINT64_MAX;
	char line[PATH], *end;

	if (!file)
		return limit;
	while (fgets(line, sizeof line, file)) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line[strcspn(line, "\n")] = 0;
		limit = group_limit("");
		while ((end = strrchr(line + 3, '/'))) {
			limit = least(limit, group_limit(line + 3));
			*end = 0;
		}
	}
	(void)fclose(file);
	return limit;
}

uint64_t memory_limit(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);
	long page = sysconf(_SC_PAGESIZE);
	uint64_t limit = groups_limit();

	if (pages > 0 && page > 0)
		limit = least(limit, (uint64_t)pages * (uint64_t)page);
	return limit;
}
