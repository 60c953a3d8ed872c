/* Whatever containerd's database holds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "owner/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char *const keys[] = {"v1", "sonde", "containers", "redis",
					   "image"};
	char text[32];
	int fd = memfd_create("bolt", MFD_CLOEXEC), rc;

	if (fd < 0)
		return 0;
	if (write(fd, bytes, size) != (ssize_t)size) {
		close(fd);
		return 0;
	}
	rc = owner_bolt_get(fd, keys, 5, text, sizeof text);
	if (rc == 0 && !memchr(text, 0, sizeof text))
		abort();
	if (rc != 0 && rc != -ENOENT && rc != -EBADMSG)
		abort();
	close(fd);
	return 0;
}
