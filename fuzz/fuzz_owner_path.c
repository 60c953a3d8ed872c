/* Whatever a cgroup's path holds: marks lie in it, texts are whole. */
#include <stdlib.h>
#include <string.h>

#include "owner/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void marks(const char *path)
{
	struct owner_path said;

	owner_path_parse(path, &said);
	require(said.mark_count <= OWNER_MARKS_MAX);
	for (size_t i = 0; i < said.mark_count; i++) {
		const struct owner_mark *mark = &said.marks[i];

		require(mark->end > 0 && mark->end <= strlen(path));
		require(path[mark->end] == '/' || path[mark->end] == 0);
		require(i == 0 || said.marks[i - 1].end < mark->end);
		require(mark->runtime > OWNER_RUNTIME_NONE &&
			mark->runtime < OWNER_RUNTIME_COUNT);
		require(strlen(mark->id) < sizeof mark->id);
		require(!strchr(mark->id, '/') ||
			mark->runtime == OWNER_RUNTIME_NSPAWN);
	}
	require(strlen(said.pod_uid) <= 36);
	require(said.pod_id[0] == 0 || owner_id_is_hex(said.pod_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = malloc(size + 1), path[128];
	struct owner_stat stat;

	if (!text)
		return 0;
	memcpy(text, bytes, size);
	text[size] = 0;
	marks(text);
	if (owner_path_expand(text, path, sizeof path))
		require(path[0] == '/' && strlen(path) < sizeof path);
	(void)owner_stat_parse(text, size, &stat);
	(void)owner_argument(text, size, "-c\0--name\0");
	free(text);
	return 0;
}
