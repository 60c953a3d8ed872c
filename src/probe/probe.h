/* Round trips, stamped at every layer of both hosts.
 *
 * A sender numbers UDP packets, a reflector answers them (STAMP, RFC 8762 and
 * its extensions, RFC 8972), and every packet is stamped where it passes: by
 * the application, by the kernel, on the wire.  A 'point' is such a place, a
 * 'trip' one packet there and back with all its stamps, a 'segment' the time
 * between two neighbouring points.  Segments of a trip add up to its round
 * trip time, to the nanosecond.
 *
 *     points.h     the places, in path order; trips and their segments
 *     message.h    STAMP packets as bytes
 *     socket.h     UDP sockets whose packets are stamped
 *     sender.h     a packet in each slot, joined with what comes back
 *     reflector.h  answers
 *     offset.h     the other host's clock: estimate and interval
 *     tally.h      loss, order, jitter, distributions
 *     exchange.h   requests and replies of other programs as trips
 *     explain.h    which part of the trip moved, and why
 *
 * This header is the room's one; the others are its parts.
 *
 * Nothing here starts a thread.  Functions that read a clock or a socket say
 * so; all others are pure.
 *
 * Threads: no function locks; an object belongs to one thread at a time.
 */
#ifndef PROBE_H
#define PROBE_H

#include "probe/exchange.h"
#include "probe/explain.h"
#include "probe/message.h"
#include "probe/offset.h"
#include "probe/points.h"
#include "probe/reflector.h"
#include "probe/sender.h"
#include "probe/socket.h"
#include "probe/tally.h"

#endif
