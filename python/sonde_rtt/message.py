"""Test packets of STAMP: RFC 8762 section 4, the SSID and TLVs of RFC 8972.

Byte for byte what the C program writes, requests and answers alike.  Times
are nanoseconds since 1970.  Nothing here reads a clock or a socket.
"""
import hmac
import struct
from collections import namedtuple

from .points import (BACK_SENT, BACK_SENT_HW, POINT_COUNT, SETS_ALL, indices)

Layout = namedtuple("Layout", "size at error ssid received sender_seq sender_at sender_error sender_ttl hmac")
PLAIN = Layout(44, 4, 12, 14, 16, 24, 28, 36, 40, None)
KEYED = Layout(112, 16, 24, 26, 32, 48, 64, 72, 80, 96)

SIZE_TWAMP = 41  # RFC 5357: the shortest that can be answered
SIZE_MAX = 65507
HMAC_SIZE = 16
KEY_SIZE_MAX = 64
TLV_HEAD = 4

TLV_PADDING = 1
TLV_LOCATION = 2
TLV_TIMESTAMP_INFORMATION = 3
TLV_CLASS_OF_SERVICE = 4
TLV_DIRECT_MEASUREMENT = 5
TLV_ACCESS_REPORT = 6
TLV_FOLLOW_UP = 7
TLV_HMAC = 8
TLV_POINTS = 251

UNRECOGNIZED = 0x80
MALFORMED = 0x40
INTEGRITY = 0x20

POINTS_MAGIC = b"sond"
POINTS_VERSION = 1
POINTS_HEAD = 96
POINTS_ANSWER_HEAD = 24
POINTS_MAX = 8  # answers that one packet tells

SYNC_NTP = 1
SYNC_LOCAL = 5
METHOD_HARDWARE = 1
METHOD_SOFTWARE = 2

ERROR_PTP = 0x4000
ERROR_UNKNOWN = 63 << 8 | 255
NS_PER_S = 10**9
NTP_UNIX_S = 2208988800  # from 1900 to 1970

U32 = struct.Struct(">I")
U64 = struct.Struct(">Q")
U16 = struct.Struct(">H")
ARRIVALS = struct.Struct(">QQQQ")
ANSWER = struct.Struct(">IIQQ")

# Which of 64 requests in a row came: bit k is number 'last' - 63 + k.  'low'
# and 'high' count copies beyond the first, 3 at most, in binary.
Arrivals = namedtuple("Arrivals", "last known came low high late")
ARRIVALS_NONE = Arrivals(0, False, 0, 0, 0, 0)

# Flags of a points TLV: a block of 64 is asked for or told, the reflector has
# no numbers of its own, it is an answer.
POINTS_BLOCK = 1
POINTS_STATELESS = 2
POINTS_ANSWER = 4
Told = namedtuple("Told", "seq reflected_seq stamps")  # stamps: ns by index


class Refused(Exception):
    """No test packet: 'short' or 'hmac_wrong'."""


def layout_of(key):
    return KEYED if key else PLAIN


def time_pack(at_ns, ptp=False):
    """64-bit NTP (RFC 5905) or truncated PTPv2 time; rounded up, so that
    rounding down on the way back gives the same."""
    seconds, ns = divmod(at_ns, NS_PER_S)
    if ptp:
        return (seconds & 0xffffffff) << 32 | ns
    return (seconds + NTP_UNIX_S & 0xffffffff) << 32 | ((ns << 32) + NS_PER_S - 1) // NS_PER_S


def time_unpack(packed, ptp=False):
    seconds, low = packed >> 32, packed & 0xffffffff
    if ptp:
        return seconds * NS_PER_S + low
    seconds -= NTP_UNIX_S
    if seconds < 0:  # the era that begins in 2036
        seconds += 1 << 32
    return seconds * NS_PER_S + (low * NS_PER_S >> 32)


def seal(key, *parts):
    """HMAC-SHA-256 cut to 128 bits: RFC 8762 section 4.4."""
    return hmac.digest(key, b"".join(parts), "sha256")[:HMAC_SIZE]


# ---- requests --------------------------------------------------------------

def points_size(count, points):
    """Bytes of a points TLV with room for so many answers."""
    return POINTS_HEAD + count * (POINTS_ANSWER_HEAD + 4 * max(points - 1, 0))


def points_question(wanted, answers):
    value = bytearray(points_size(answers, bin(wanted).count("1")))
    value[0:4] = POINTS_MAGIC
    value[4] = POINTS_VERSION
    U64.pack_into(value, 8, wanted)
    return bytes(value)


class Request:
    """A request of fixed shape, sealed anew for each packet."""

    def __init__(self, key=None, ssid=0, error_estimate=ERROR_UNKNOWN):
        self.key = key
        self.layout = layout_of(key)
        self.bytes = bytearray(self.layout.size)
        self.ptp = bool(error_estimate & ERROR_PTP)
        U16.pack_into(self.bytes, self.layout.error, error_estimate)
        U16.pack_into(self.bytes, self.layout.ssid, ssid)
        self.hmac_at = None
        self.points_at = None  # where the points TLV's value is

    def ask(self, seq):
        """What came of the 64 around this number?"""
        if self.points_at:
            self.bytes[self.points_at + 6] |= POINTS_BLOCK
            U32.pack_into(self.bytes, self.points_at + 56, seq)

    def tlv(self, kind, value):
        if kind == TLV_POINTS:
            self.points_at = len(self.bytes) + TLV_HEAD
        self.bytes += struct.pack(">BBH", UNRECOGNIZED, kind, len(value)) + value

    def pad(self, size):
        """Extra padding up to 'size' bytes in all, the HMAC TLV counted;
        false if they are more already, or a TLV's head does not fit."""
        if size == len(self.bytes) and (not self.key or size == self.layout.size):
            return True
        if self.key:
            size -= TLV_HEAD + HMAC_SIZE
        if size == len(self.bytes) and size > self.layout.size:
            return True
        rest = size - len(self.bytes) - TLV_HEAD
        if rest < 0:
            return False
        self.tlv(TLV_PADDING, bytes(rest))
        return True

    def end(self, seq, at_ns):
        """The packet's bytes; they change with the next call."""
        packet, layout = self.bytes, self.layout
        U32.pack_into(packet, 0, seq)
        U64.pack_into(packet, layout.at, time_pack(at_ns, self.ptp))
        if self.key:
            self._seal()
        return packet

    def _seal(self):
        packet, base = self.bytes, self.layout.size
        packet[self.layout.hmac:base] = seal(self.key, packet[:self.layout.hmac])
        if len(packet) == base:
            return
        if self.hmac_at is None:
            self.hmac_at = len(packet)
            self.tlv(TLV_HMAC, bytes(HMAC_SIZE))
        packet[self.hmac_at + TLV_HEAD:] = seal(self.key, packet[:4], packet[base:self.hmac_at])


# ---- TLVs ------------------------------------------------------------------

def tlvs(packet, at):
    """(head, flags, type, size) of each whole TLV from 'at' on, then
    (head, None, None, bytes left) if the last one is broken."""
    end = len(packet)
    while at < end:
        if end - at < TLV_HEAD:
            yield at, None, None, end - at
            return
        size = packet[at + 2] << 8 | packet[at + 3]
        if end - at - TLV_HEAD < size:
            yield at, None, None, end - at
            return
        yield at, packet[at], packet[at + 1], size
        at += TLV_HEAD + size


def tlvs_proven(key, packet, base):
    for head, flags, kind, size in tlvs(packet, base):
        if flags is not None and kind == TLV_HMAC:
            value = packet[head + TLV_HEAD:head + TLV_HEAD + size]
            return (size == HMAC_SIZE and head + TLV_HEAD + size == len(packet) and
                    hmac.compare_digest(seal(key, packet[:4], packet[base:head]), bytes(value)))
    return False


def base_check(packet, key):
    if len(packet) < (KEYED.size if key else SIZE_TWAMP):
        raise Refused("short")
    if key and not hmac.compare_digest(seal(key, packet[:KEYED.hmac]), bytes(packet[KEYED.hmac:KEYED.size])):
        raise Refused("hmac_wrong")


# ---- the reflector's side --------------------------------------------------

class RequestIn:
    """A request as it came in; raises Refused."""

    def __init__(self, packet, key):
        base_check(packet, key)
        layout = layout_of(key)
        self.bytes = packet
        self.seq = U32.unpack_from(packet)[0]
        self.ssid = U16.unpack_from(packet, layout.ssid)[0]
        self.dscp_wanted = None
        self.stamps_wanted = False
        self.block_last = None  # asks what came of the 64 up to this one
        self.proven = len(packet) <= layout.size or not key or tlvs_proven(key, packet, layout.size)
        if len(packet) > layout.size and self.proven:
            self._wishes(layout.size)

    def _wishes(self, base):
        for head, flags, kind, size in tlvs(self.bytes, base):
            if flags is None or kind == 0:
                return
            if kind == TLV_CLASS_OF_SERVICE and size == 4 and self.dscp_wanted is None:
                self.dscp_wanted = self.bytes[head + TLV_HEAD] >> 2
            if kind in (TLV_FOLLOW_UP, TLV_POINTS):
                self.stamps_wanted = True
            if kind == TLV_POINTS and size >= POINTS_HEAD:
                asked = self.bytes[head + TLV_HEAD + 6] & POINTS_BLOCK
                self.block_last = U32.unpack_from(self.bytes, head + TLV_HEAD + 56)[0] | 63 if asked else None


class Reflection:
    """What the reflector's host knows of a request and its answer."""
    __slots__ = ("seq", "error_estimate", "received_ns", "ttl", "dscp", "ecn", "dscp_refused", "ip_version",
                 "addresses", "ports", "sync", "method", "received_count", "sent_count", "first", "newest", "block",
                 "earlier", "told", "follow_up")

    def __init__(self, **known):
        self.error_estimate = ERROR_UNKNOWN
        self.ttl = self.dscp = self.ecn = 0
        self.dscp_refused = False
        self.ip_version = 4
        self.addresses = (bytes(4), bytes(4))  # of the request: source, destination
        self.ports = (0, 0)
        self.sync = SYNC_LOCAL
        self.method = METHOD_SOFTWARE
        self.received_count = self.sent_count = 0
        self.first = 0         # number of the session's first request
        self.newest = self.block = ARRIVALS_NONE
        self.follow_up = None  # the newest answer that is known to have gone
        self.earlier = ()  # answers to tell, the most urgent first: Told
        self.told = 0      # so many of them went into the answer
        for name, value in known.items():
            setattr(self, name, value)


def _class_answer(value, reflection):
    dscp = reflection.dscp & 0x3f
    value[0] = value[0] & 0xfc | dscp >> 4
    value[1] = dscp << 4 & 0xff | (reflection.ecn & 3) << 2 | reflection.dscp_refused


def _time_answer(value, reflection):
    value[:] = bytes((reflection.sync, reflection.method, reflection.sync, METHOD_SOFTWARE))


def _direct_answer(value, reflection):
    U32.pack_into(value, 4, reflection.received_count)
    U32.pack_into(value, 8, reflection.sent_count)


def _follow_up_answer(value, reflection):
    """RFC 8972 section 4.7: when the answer before went out."""
    value[:] = bytes(len(value))
    told = reflection.follow_up
    if not told:
        return
    hardware = BACK_SENT_HW in told.stamps
    at = told.stamps[BACK_SENT_HW if hardware else BACK_SENT]
    U32.pack_into(value, 0, told.reflected_seq)
    U64.pack_into(value, 4, time_pack(at, bool(reflection.error_estimate & ERROR_PTP)))
    value[12] = METHOD_HARDWARE if hardware else METHOD_SOFTWARE


def _nothing_to_answer(_value, _reflection):
    pass


def _sub_answer(value, head, size, reflection):
    """RFC 8972 section 4.2.1: asked by a general type, answered by the type
    of what it is.  A socket knows no Ethernet address."""
    kind = value[head + 1]
    asked = 4 if kind < 7 else 7  # destination, source
    answer = asked + (2 if reflection.ip_version == 6 else 1)
    if size != 16 or not 4 <= kind <= 9 or kind not in (asked, answer):
        value[head] |= UNRECOGNIZED
        return
    value[head + 1] = answer
    address = reflection.addresses[asked == 4]
    value[head + TLV_HEAD:head + TLV_HEAD + 16] = address + bytes(16 - len(address))


def _location_answer(value, reflection):
    U16.pack_into(value, 0, reflection.ports[1])
    U16.pack_into(value, 2, reflection.ports[0])
    for head, flags, _kind, size in tlvs(value, 4):
        if flags is None:
            if size >= TLV_HEAD:
                value[head] |= MALFORMED
            return
        value[head] &= ~UNRECOGNIZED & 0xff
        _sub_answer(value, head, size, reflection)


def _answer_told(told, wanted):
    """One earlier answer as bytes: what is more than 2 s from its first
    stamp is left out."""
    stamps = [(index, told.stamps[index]) for index in indices(wanted & SETS_ALL) if index in told.stamps]
    if not stamps:
        return ANSWER.pack(told.seq, told.reflected_seq, 0, 0)
    first = stamps[0][1]
    near = [(index, at - first) for index, at in stamps if -1 << 31 <= at - first < 1 << 31]
    points = 0
    for index, _ in near:
        points |= 1 << index
    head = ANSWER.pack(told.seq, told.reflected_seq, points, first & 0xffffffffffffffff)
    return head + struct.pack(f">{len(near) - 1}i", *(distance for _, distance in near[1:]))


def _points_answer(value, reflection):
    wanted = U64.unpack_from(value, 8)[0]
    for at, numbers, sets, told in ((16, (reflection.newest.last, reflection.first), 24, reflection.newest),
                                    (56, (reflection.block.last, 0), 64, reflection.block)):
        struct.pack_into(">II", value, at, *numbers)
        ARRIVALS.pack_into(value, sets, told.came, told.low, told.high, told.late)
    value[POINTS_HEAD:] = bytes(len(value) - POINTS_HEAD)
    at = POINTS_HEAD
    count = 0
    for told in reflection.earlier:
        part = _answer_told(told, wanted)
        if at + len(part) > len(value):
            break
        value[at:at + len(part)] = part
        at += len(part)
        count += 1
    value[4] = POINTS_VERSION
    value[5] = count
    value[6] = POINTS_ANSWER | (POINTS_BLOCK if reflection.block.known else 0)
    value[7] = 0
    reflection.told = count


# least size, exact size, answer
_KINDS = {
    TLV_PADDING: (0, None, _nothing_to_answer),
    TLV_LOCATION: (4, None, _location_answer),
    TLV_TIMESTAMP_INFORMATION: (0, 4, _time_answer),
    TLV_CLASS_OF_SERVICE: (0, 4, _class_answer),
    TLV_DIRECT_MEASUREMENT: (0, 12, _direct_answer),
    TLV_ACCESS_REPORT: (0, 4, _nothing_to_answer),
    TLV_FOLLOW_UP: (0, 16, _follow_up_answer),
    TLV_HMAC: (0, 16, _nothing_to_answer),
    TLV_POINTS: (POINTS_HEAD, None, _points_answer),
}


def _tlv_answer(reply, head, kind, size, reflection):
    """Answers one TLV in place; its new flags."""
    begin = head + TLV_HEAD
    if kind == TLV_POINTS and reply[begin:begin + min(size, 4)] != POINTS_MAGIC:
        return UNRECOGNIZED  # somebody else's experiment
    row = _KINDS.get(kind)
    if not row:
        return UNRECOGNIZED
    least, exact, answer = row
    if size < least or exact not in (None, size):
        return MALFORMED
    value = reply[begin:begin + size]
    answer(value, reflection)
    reply[begin:begin + size] = value
    return 0


def _tlvs_answer(reply, base, reflection):
    for head, flags, kind, size in tlvs(reply, base):
        if flags is None:
            if size >= TLV_HEAD:
                reply[head] = MALFORMED
            return
        if kind == 0:  # padding of a TWAMP sender
            return
        reply[head] = _tlv_answer(reply, head, kind, size, reflection)
        if reply[head] & MALFORMED:
            return  # the rest stays as it came


def _tlvs_distrust(reply, base):
    for head, flags, _kind, size in tlvs(reply, base):
        if flags is not None or size >= TLV_HEAD:
            reply[head] = INTEGRITY


def reply_make(request, reflection, key):
    """The answer but for its time, as long as the request to the byte."""
    layout = layout_of(key)
    asked = request.bytes
    base = bytearray(layout.size)
    ptp = bool(reflection.error_estimate & ERROR_PTP)
    reflection.told = 0
    U32.pack_into(base, 0, reflection.seq)
    U16.pack_into(base, layout.error, reflection.error_estimate)
    U16.pack_into(base, layout.ssid, request.ssid)
    U64.pack_into(base, layout.received, time_pack(reflection.received_ns, ptp))
    base[layout.sender_seq:layout.sender_seq + 4] = asked[:4]
    base[layout.sender_at:layout.sender_at + 8] = asked[layout.at:layout.at + 8]
    base[layout.sender_error:layout.sender_error + 2] = asked[layout.error:layout.error + 2]
    base[layout.sender_ttl] = reflection.ttl
    if len(asked) <= layout.size:
        return base[:len(asked)]
    reply = base + asked[layout.size:]
    if not request.proven:
        _tlvs_distrust(reply, layout.size)
        return reply
    _tlvs_answer(reply, layout.size, reflection)
    if key:  # its TLV is the last and whole: it proved the others
        whole = TLV_HEAD + HMAC_SIZE
        reply[-HMAC_SIZE:] = seal(key, reply[:4], reply[layout.size:-whole])
    return reply


def reply_end(reply, sent_ns, error_estimate, key):
    """Writes the time of sending: the last thing before the system call."""
    layout = layout_of(key)
    U64.pack_into(reply, layout.at, time_pack(sent_ns, bool(error_estimate & ERROR_PTP)))
    if key:
        reply[layout.hmac:layout.size] = seal(key, reply[:layout.hmac])
    return reply


# ---- the sender's side -----------------------------------------------------

def _class_read(reply, value):
    reply.dscp = (value[0] & 3) << 4 | value[1] >> 4
    reply.ecn = value[1] >> 2 & 3
    reply.dscp_refused = bool(value[1] & 3)


def _time_read(reply, value):
    reply.method_in = value[1]


def _follow_up_read(reply, value):
    at = U64.unpack_from(value, 4)[0]
    if at and value[12]:  # else nothing to follow up yet
        reply.follow_up = (U32.unpack_from(value)[0], time_unpack(at, bool(reply.error_estimate & ERROR_PTP)),
                           value[12])


def _told_read(value, at):
    """(Told, where the next one begins) or None: not whole."""
    if len(value) - at < POINTS_ANSWER_HEAD:
        return None
    seq, reflected_seq, points, first = ANSWER.unpack_from(value, at)
    at += POINTS_ANSWER_HEAD
    if points & ~SETS_ALL:
        return None
    if not points:
        return Told(seq, reflected_seq, {}), at
    found = list(indices(points))
    if len(value) - at < 4 * (len(found) - 1):
        return None
    first -= (first & 1 << 63) << 1
    stamps = {found[0]: first}
    for index, distance in zip(found[1:], struct.unpack_from(f">{len(found) - 1}i", value, at)):
        stamps[index] = first + distance
    return Told(seq, reflected_seq, stamps), at + 4 * (len(found) - 1)


def _points_read(reply, value):
    if value[:4] != POINTS_MAGIC or value[4] != POINTS_VERSION or not value[6] & POINTS_ANSWER:
        return
    reply.first = U32.unpack_from(value, 20)[0]
    reply.newest = Arrivals(U32.unpack_from(value, 16)[0], True, *ARRIVALS.unpack_from(value, 24))
    reply.block = Arrivals(U32.unpack_from(value, 56)[0], bool(value[6] & POINTS_BLOCK),
                           *ARRIVALS.unpack_from(value, 64))
    at = POINTS_HEAD
    for _ in range(min(value[5], POINTS_MAX)):
        part = _told_read(value, at)
        if not part:
            return
        reply.told.append(part[0])
        at = part[1]


_READERS = {
    TLV_TIMESTAMP_INFORMATION: (4, _time_read),
    TLV_CLASS_OF_SERVICE: (4, _class_read),
    TLV_FOLLOW_UP: (16, _follow_up_read),
    TLV_POINTS: (POINTS_HEAD, _points_read),
}


class Reply:
    """An answer as it came in; raises Refused."""

    def __init__(self, packet, key):
        base_check(packet, key)
        layout = layout_of(key)
        u32, u64 = U32.unpack_from, U64.unpack_from
        self.error_estimate = U16.unpack_from(packet, layout.error)[0]
        ptp = bool(self.error_estimate & ERROR_PTP)
        sender_ptp = bool(U16.unpack_from(packet, layout.sender_error)[0] & ERROR_PTP)
        self.seq = u32(packet, layout.sender_seq)[0]
        self.reflected_seq = u32(packet)[0]
        self.ssid = U16.unpack_from(packet, layout.ssid)[0]
        self.ttl = packet[layout.sender_ttl]
        self.requested_ns = time_unpack(u64(packet, layout.sender_at)[0], sender_ptp)
        self.received_ns = time_unpack(u64(packet, layout.received)[0], ptp)
        self.sent_ns = time_unpack(u64(packet, layout.at)[0], ptp)
        self.tlv_flags = 0
        self.dscp = self.ecn = self.method_in = self.follow_up = None
        self.dscp_refused = False
        self.first = 0
        self.newest = self.block = ARRIVALS_NONE
        self.told = []
        if len(packet) <= layout.size:
            return
        if key and not tlvs_proven(key, packet, layout.size):
            self.tlv_flags = INTEGRITY
        else:
            self._tlvs_read(packet, layout.size)

    def _tlvs_read(self, packet, base):
        """A TLV that was not answered says nothing."""
        for head, flags, kind, size in tlvs(packet, base):
            if flags is None:
                if size >= TLV_HEAD:  # less is padding
                    self.tlv_flags |= MALFORMED
                return
            if kind == 0:
                return
            flags &= UNRECOGNIZED | MALFORMED | INTEGRITY
            self.tlv_flags |= flags
            row = _READERS.get(kind)
            if not flags and row and size >= row[0]:
                row[1](self, packet[head + TLV_HEAD:head + TLV_HEAD + size])


assert ARRIVALS.size == 32 and POINT_COUNT == 19
