/* HMAC-SHA-256 cut to 128 bits: RFC 8762 section 4.4. */
#include <errno.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "probe/probe_private.h"

#define SHA256_SIZE 32

struct message_key {
	EVP_MAC_CTX *context; /* has the key; each use begins it anew */
};

static EVP_MAC_CTX *context_make(const uint8_t *bytes, size_t size)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest,
						 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;

	EVP_MAC_free(mac);
	if (context && EVP_MAC_init(context, bytes, size, params) != 1) {
		EVP_MAC_CTX_free(context);
		return NULL;
	}
	return context;
}

int message_key_create(const uint8_t *bytes, size_t size,
		       struct message_key **ret_key)
{
	struct message_key *key;

	if (size == 0 || size > MESSAGE_KEY_SIZE_MAX)
		return -EINVAL;
	key = malloc(sizeof *key);
	if (!key)
		return -ENOMEM;
	key->context = context_make(bytes, size);
	if (!key->context) {
		free(key);
		return -ENOMEM;
	}
	*ret_key = key;
	return 0;
}

void message_key_destroy(struct message_key *key)
{
	if (!key)
		return;
	EVP_MAC_CTX_free(key->context);
	free(key);
}

/* Nothing in here can fail but for want of memory, and then the result is no
 * HMAC of anything: zeros, which no peer accepts but by a chance of 2^-128. */
void key_hmac(struct message_key *key, const struct sealed *sealed,
	      uint8_t ret_hmac[MESSAGE_HMAC_SIZE])
{
	const uint8_t *more = sealed->bytes + sealed->from;
	size_t more_size = sealed->to - sealed->from;
	uint8_t whole[SHA256_SIZE] = {0};
	size_t size;

	if (EVP_MAC_init(key->context, NULL, 0, NULL) != 1 ||
	    EVP_MAC_update(key->context, sealed->bytes, sealed->head) != 1 ||
	    (more_size > 0 &&
	     EVP_MAC_update(key->context, more, more_size) != 1) ||
	    EVP_MAC_final(key->context, whole, &size, sizeof whole) != 1)
		memset(whole, 0, sizeof whole);
	memcpy(ret_hmac, whole, MESSAGE_HMAC_SIZE);
}

bool key_proves(struct message_key *key, const struct sealed *sealed,
		const uint8_t hmac[MESSAGE_HMAC_SIZE])
{
	uint8_t own[MESSAGE_HMAC_SIZE];

	key_hmac(key, sealed, own);
	return CRYPTO_memcmp(own, hmac, sizeof own) == 0;
}
