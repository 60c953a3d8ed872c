/* Token buckets: so many answers a second for each prefix of addresses, with
 * bursts of a tenth of a second.  There is a fixed number of buckets, chosen
 * by a keyed hash: strangers cannot choose to share one with a given prefix.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "probe/reflector_private.h"

#define BUCKETS_COUNT 65536

struct bucket {
	int64_t full_ns; /* CLOCK_MONOTONIC: when it is full again */
};

int buckets_init(struct buckets *buckets, uint32_t rate_pps)
{
	buckets->rate_pps = rate_pps;
	buckets->all = NULL;
	if (rate_pps == 0)
		return 0;
	if (getrandom(buckets->secret, sizeof buckets->secret, 0) !=
	    (ssize_t)sizeof buckets->secret)
		return -EIO;
	buckets->all = calloc(BUCKETS_COUNT, sizeof *buckets->all);
	return buckets->all ? 0 : -ENOMEM;
}

void buckets_fini(struct buckets *buckets)
{
	free(buckets->all);
}

static uint64_t prefix_hash(const struct buckets *buckets,
			    const struct sockaddr_storage *peer)
{
	uint8_t bytes[16 + REFLECTOR_PREFIX6 / 8] = {0};
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;

	memcpy(bytes, buckets->secret, 16);
	if (peer->ss_family == AF_INET)
		memcpy(bytes + 16, &v4->sin_addr, REFLECTOR_PREFIX4 / 8);
	else
		memcpy(bytes + 16, &v6->sin6_addr, REFLECTOR_PREFIX6 / 8);
	return XXH3_64bits(bytes, sizeof bytes);
}

/* The bucket as a time: each packet moves it on by one packet's time, and it
 * may be ahead of now by a burst's. */
bool buckets_take(struct buckets *buckets, const struct sockaddr_storage *peer,
		  struct mono now)
{
	struct bucket *bucket;
	int64_t packet_ns, burst_ns = NS_PER_S / 10;

	if (!buckets->all)
		return true;
	packet_ns = NS_PER_S / buckets->rate_pps;
	if (burst_ns < packet_ns)
		burst_ns = packet_ns;
	bucket = &buckets->all[prefix_hash(buckets, peer) % BUCKETS_COUNT];
	if (bucket->full_ns < now.ns)
		bucket->full_ns = now.ns;
	if (bucket->full_ns + packet_ns - now.ns > burst_ns)
		return false;
	bucket->full_ns += packet_ns;
	return true;
}
