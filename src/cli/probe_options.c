/* Keys and addresses of round trip measurements. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "cli/probe_private.h"

const struct option_row key_rows[KEY_ROWS_COUNT] = {
	{.name = "key",
	 .type = OPTION_TEXT,
	 .offset = offsetof(struct key_options, hex),
	 .min = 2,
	 .placeholder = "HEX",
	 .preset_note = "no authentication",
	 .help = "authenticate packets (HMAC-SHA-256) by this key"},
	{.name = "key-file",
	 .type = OPTION_TEXT,
	 .offset = offsetof(struct key_options, file),
	 .min = 1,
	 .placeholder = "FILE",
	 .help = "the same, hexadecimal digits in a file"},
};

const char *const tier_choices[] = {"auto", "T0", "T1", "T2", "T3", NULL};

enum tier tier_chosen(int64_t choice, bool *ret_forced)
{
	*ret_forced = choice > 0;
	return choice > 0 ? (enum tier)(choice - 1) : TIER_FUNCTION;
}

static int digit_of(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* False: not pairs of digits, or too many. */
static bool hex_read(const char *text, struct key *ret_key)
{
	ret_key->size = 0;
	for (; *text && *text != '\n' && *text != '\r'; text += 2) {
		int high = digit_of(text[0]);
		int low = high < 0 ? -1 : digit_of(text[1]);

		if (low < 0 || ret_key->size == MESSAGE_KEY_SIZE_MAX)
			return false;
		ret_key->bytes[ret_key->size++] = (uint8_t)(high << 4 | low);
	}
	return ret_key->size > 0;
}

static int key_file_read(const char *path, struct key *ret_key)
{
	char text[2 * MESSAGE_KEY_SIZE_MAX + 3];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size;

	if (fd < 0)
		return usage_fail("%s: %s", path, err_sentence(-errno));
	size = read(fd, text, sizeof text - 1);
	if (size < 0)
		size = -errno;
	close(fd);
	if (size < 0)
		return usage_fail("%s: %s", path, err_sentence((int)size));
	text[size] = 0;
	if (!hex_read(text, ret_key))
		return usage_fail("%s: not a key: 1 to %d bytes as pairs of "
				  "hexadecimal digits",
				  path, MESSAGE_KEY_SIZE_MAX);
	return -1;
}

int key_read(const struct key_options *options, struct key *ret_key)
{
	ret_key->size = 0;
	if (options->hex && options->file)
		return usage_fail("key, key-file: only one of them");
	if (options->file)
		return key_file_read(options->file, ret_key);
	if (options->hex && !hex_read(options->hex, ret_key))
		return usage_fail("key: 1 to %d bytes as pairs of hexadecimal "
				  "digits",
				  MESSAGE_KEY_SIZE_MAX);
	return -1;
}

/* Splits off a port; an IPv6 address with one stands in brackets. */
static bool host_split(char *host, const char **ret_port)
{
	char *end = host[0] == '[' ? strchr(host, ']') : NULL;
	char *colon = strchr(host, ':');

	if (host[0] == '[') {
		if (!end || (end[1] != ':' && end[1] != 0))
			return false;
		if (end[1] == ':')
			*ret_port = end + 2;
		*end = 0;
		memmove(host, host + 1, strlen(host));
	} else if (colon && !strchr(colon + 1, ':')) {
		*ret_port = colon + 1;
		*colon = 0;
	}
	return true;
}

int address_resolve(const char *text, uint16_t port, int family,
		    struct sockaddr_storage *ret_address)
{
	struct addrinfo hints = {.ai_family = family,
				 .ai_socktype = SOCK_DGRAM,
				 .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	char host[256], number[8];
	const char *service = number;
	int rc;

	(void)snprintf(number, sizeof number, "%u", port);
	if ((size_t)snprintf(host, sizeof host, "%s", text) >= sizeof host ||
	    !host_split(host, &service))
		return usage_fail("%s: not HOST, HOST:PORT or [ADDRESS]:PORT",
				  text);
	rc = getaddrinfo(host, service, &hints, &found);
	if (rc != 0)
		return usage_fail("%s: %s", text,
				  rc == EAI_SYSTEM ? err_sentence(-errno)
						   : gai_strerror(rc));
	memset(ret_address, 0, sizeof *ret_address);
	memcpy(ret_address, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return -1;
}

const char *address_show(const struct sockaddr_storage *address)
{
	static char text[INET6_ADDRSTRLEN + 16];
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
		(void)snprintf(text, sizeof text, "%s:%u", host,
			       ntohs(v4->sin_port));
	} else {
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
		(void)snprintf(text, sizeof text, "[%s]:%u", host,
			       ntohs(v6->sin6_port));
	}
	return text;
}
