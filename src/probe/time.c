/* Times and error estimates as they stand in test packets. */
#include "probe/probe_private.h"

/* From 1900 to 1970: RFC 5905, figure 4. */
#define NTP_UNIX_S INT64_C(2208988800)

/* Rounded up, so that rounding down on the way back gives the same. */
static uint64_t ntp_fraction(int64_t ns)
{
	return (((uint64_t)ns << 32) + NS_PER_S - 1) / NS_PER_S;
}

uint64_t message_time_pack(struct wall at, bool ptp)
{
	int64_t seconds = at.ns / NS_PER_S;
	int64_t ns = at.ns % NS_PER_S;

	if (ns < 0) {
		ns += NS_PER_S;
		seconds--;
	}
	if (ptp)
		return (uint64_t)seconds << 32 | (uint64_t)ns;
	return (uint64_t)(seconds + NTP_UNIX_S) << 32 | ntp_fraction(ns);
}

struct wall message_time_unpack(uint64_t packed, bool ptp)
{
	int64_t seconds = (int64_t)(packed >> 32);
	uint64_t low = packed & UINT32_MAX;

	if (ptp)
		return (struct wall){seconds * NS_PER_S + (int64_t)low};
	seconds -= NTP_UNIX_S;
	if (seconds < 0) /* the era that begins in 2036 */
		seconds += INT64_C(1) << 32;
	return (struct wall){seconds * NS_PER_S +
			     (int64_t)(low * NS_PER_S >> 32)};
}

#define ERROR_SYNCHRONIZED   0x8000
#define ERROR_SCALE_MAX      63u
#define ERROR_MULTIPLIER_MAX 255u

uint16_t message_error_estimate(bool synchronized, int64_t ns)
{
	uint16_t s = synchronized ? ERROR_SYNCHRONIZED : 0;
	unsigned scale = 0;
	uint64_t units; /* of 2^-32 s */

	if (ns < 0)
		return s | ERROR_SCALE_MAX << 8 | ERROR_MULTIPLIER_MAX;
	units = (uint64_t)(ns / NS_PER_S) << 32;
	units += ntp_fraction(ns % NS_PER_S);
	if (units == 0)
		units = 1; /* the multiplier must not be 0 */
	while (units > ERROR_MULTIPLIER_MAX) {
		units = (units + 1) / 2;
		scale++;
	}
	return (uint16_t)(s | scale << 8 | units);
}

int64_t message_error_ns(uint16_t estimate, bool *ret_synchronized)
{
	unsigned scale = (estimate >> 8) & ERROR_SCALE_MAX;
	double seconds = (double)(estimate & 0xff) *
			 ((double)(UINT64_C(1) << scale) / 4294967296.0);

	*ret_synchronized = (estimate & ERROR_SYNCHRONIZED) != 0;
	if (seconds >= (double)INT64_MAX / NS_PER_S)
		return INT64_MAX;
	return (int64_t)(seconds * NS_PER_S);
}
