/* Runs a fuzz target over files and folders: its corpus is a test. */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int replay_file(const char *path, size_t size)
{
	uint8_t *bytes = malloc(size ? size : 1); /* exact: ASan sees the end */
	FILE *file = fopen(path, "rb");
	int rc = -1;

	if (file && bytes && fread(bytes, 1, size, file) == size) {
		LLVMFuzzerTestOneInput(bytes, size);
		rc = 0;
	} else {
		perror(path);
	}
	if (file)
		(void)fclose(file);
	free(bytes);
	return rc;
}

static int replay(const char *path)
{
	struct dirent *entry;
	struct stat st;
	DIR *folder;
	int rc = 0;

	if (stat(path, &st) < 0) {
		perror(path);
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path, (size_t)st.st_size);
	folder = opendir(path);
	while (folder && rc == 0 && (entry = readdir(folder))) {
		char inner[PATH_MAX];

		(void)snprintf(inner, sizeof inner, "%s/%s", path,
			       entry->d_name);
		if (stat(inner, &st) == 0 && S_ISREG(st.st_mode))
			rc = replay_file(inner, (size_t)st.st_size);
	}
	if (folder)
		(void)closedir(folder);
	return rc;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (replay(argv[i]) < 0)
			return EXIT_FAILURE;
	}
	return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
