/* Stamps from the card's own clock (Linux
 * Documentation/networking/timestamping.rst).
 *
 * The card's clock is worth having only if it tells the time of day: many
 * run free.  So 'auto' takes it where it agrees with the system's clock, and
 * leaves alone a card that is set up for a time protocol.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "capture/afpacket_private.h"

#define APART_MAX_NS (10 * INT64_C(1000000)) /* of the two clocks */

/* A POSIX clock for an open descriptor of /dev/ptpN, see clock_gettime(2)
 * under "dynamic clocks". */
static clockid_t clock_of(int fd)
{
	return (clockid_t)(~(unsigned int)fd << 3 | 3);
}

static int64_t ns_of(const struct timespec *time)
{
	return time->tv_sec * NS_PER_S + time->tv_nsec;
}

/* Whether the card's clock 'index' is within APART_MAX_NS of the system's. */
static bool clock_agrees(int index)
{
	struct timespec card;
	struct timespec host;
	char path[32];
	bool good;
	int fd;

	snprintf(path, sizeof path, "/dev/ptp%d", index);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	good = clock_gettime(clock_of(fd), &card) == 0 &&
	       clock_gettime(CLOCK_REALTIME, &host) == 0 &&
	       llabs(ns_of(&card) - ns_of(&host)) < APART_MAX_NS;
	close(fd);
	return good;
}

static int request_send(int fd, const char *name, unsigned long what,
			void *data)
{
	struct ifreq request = {.ifr_data = data};

	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
	return ioctl(fd, what, &request) == 0 ? 0 : -errno;
}

/* The number of the card's clock, or a negative errno. */
static int clock_index(int fd, const char *name)
{
	struct ethtool_ts_info info = {.cmd = ETHTOOL_GET_TS_INFO};
	int code = request_send(fd, name, SIOCETHTOOL, &info);

	if (code < 0)
		return code;
	if (!(info.so_timestamping & SOF_TIMESTAMPING_RAW_HARDWARE) ||
	    !(info.rx_filters & 1U << HWTSTAMP_FILTER_ALL))
		return -EOPNOTSUPP;
	return info.phc_index >= 0 ? info.phc_index : -EOPNOTSUPP;
}

/* Has the card stamp every frame it receives. */
static int card_setup(int fd, const char *name, enum capture_stamp want)
{
	struct hwtstamp_config config = {0};
	int code = request_send(fd, name, SIOCGHWTSTAMP, &config);

	if (code == 0 && config.rx_filter == HWTSTAMP_FILTER_ALL)
		return 0;
	if (code == 0 && want == CAPTURE_STAMP_AUTO &&
	    (config.rx_filter != HWTSTAMP_FILTER_NONE ||
	     config.tx_type != HWTSTAMP_TX_OFF))
		return -EBUSY;
	config.flags = 0;
	config.rx_filter = HWTSTAMP_FILTER_ALL;
	code = request_send(fd, name, SIOCSHWTSTAMP, &config);
	if (code == 0 && config.rx_filter != HWTSTAMP_FILTER_ALL)
		code = -EOPNOTSUPP;
	return code;
}

static int hardware_setup(int fd, const char *name, enum capture_stamp want)
{
	int source = SOF_TIMESTAMPING_RAW_HARDWARE;
	int clock = clock_index(fd, name);
	int code;

	if (clock < 0)
		return clock;
	if (want == CAPTURE_STAMP_AUTO && !clock_agrees(clock))
		return -ERANGE;
	code = card_setup(fd, name, want);
	if (code < 0)
		return code;
	return setsockopt(fd, SOL_PACKET, PACKET_TIMESTAMP, &source,
			  sizeof source) == 0
		       ? 0
		       : -errno;
}

int afpacket_stamp_setup(int fd, const char *name, enum capture_stamp want,
			 struct fault *ret_fault)
{
	int code;

	if (want == CAPTURE_STAMP_KERNEL)
		return STAMP_KERNEL;
	code = name ? hardware_setup(fd, name, want) : -EOPNOTSUPP;
	if (code == 0)
		return STAMP_HARDWARE;
	if (want == CAPTURE_STAMP_AUTO)
		return STAMP_KERNEL;
	return fault_set(ret_fault, code,
			 "%s: no hardware stamps for every frame: %s; "
			 "timestamps 'auto' or 'kernel' work",
			 name ?: "any", err_sentence(code));
}
