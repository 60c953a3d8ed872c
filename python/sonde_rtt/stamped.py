"""A plain UDP socket whose packets the kernel stamps.

SO_TIMESTAMPING (Linux Documentation/networking/timestamping.rst) needs no
privilege.  Stamps of what came in stand beside each packet, those of what went
out lie in the error queue; the kernel names them by counting what was sent.
"""
import errno
import socket
import struct
import time
from collections import namedtuple

# Of linux/net_tstamp.h and asm-generic/socket.h.
SO_TIMESTAMPING = getattr(socket, "SO_TIMESTAMPING", 37)
TX_SOFTWARE = 1 << 1
RX_SOFTWARE = 1 << 3
SOFTWARE = 1 << 4  # the report; without it stamps are made and not told
OPT_ID = 1 << 7
TX_SCHED = 1 << 8
OPT_TSONLY = 1 << 11
FLAGS = TX_SOFTWARE | TX_SCHED | RX_SOFTWARE | SOFTWARE | OPT_ID | OPT_TSONLY
SCM_TSTAMP_SND = 0
SCM_TSTAMP_SCHED = 1
ORIGIN_ICMP = (2, 3)
ORIGIN_TIMESTAMPING = 4

IP_RECVERR = 11
IP_RECVTTL = 12
IP_RECVTOS = 13
IP_PKTINFO = 8
IPV6_RECVERR = 25

TIMESPEC = struct.Struct("@ll")
ERROR = struct.Struct("=IBBBxII")
INT = struct.Struct("@i")
IN_PKTINFO = struct.Struct("=i4s4s")
IN6_PKTINFO = struct.Struct("@16si")

CONTROL_ROOM = 256
PACKET_ROOM = 65536
BUFFER_SIZE = 4 << 20
COUNTED_MAX = 1 << 16

Packet = namedtuple("Packet", "bytes peer at_ns received_ns ttl tos local")
Event = namedtuple("Event", "kind key at_ns")  # kind: 'sched', 'sent'
Refusal = namedtuple("Refusal", "error icmp_type icmp_code origin")


class Stamped:
    """Non-blocking.  'remote' None: serves anybody."""

    def __init__(self, local, remote=None, *, family, ttl=255, dscp=0, interface=None, stamps=True):
        self.family = family
        self.tos = dscp << 2
        self.stamps = stamps
        self.keys = {}    # by the kernel's count
        self.counted = 0
        self.remote = remote
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._set(ttl, interface)
            self.socket.bind(local)
            if remote:
                self.socket.connect(remote)
        except OSError:
            self.socket.close()
            raise
        self.fd = self.socket.fileno()

    def _set(self, ttl, interface):
        sock, tell = self.socket, self.socket.setsockopt
        sock.setblocking(False)
        if self.family == socket.AF_INET:
            names = (IP_RECVTTL, IP_RECVTOS, IP_PKTINFO)
            level, ways = socket.IPPROTO_IP, ((socket.IP_TTL, ttl), (socket.IP_TOS, self.tos))
            refusals = IP_RECVERR
        else:
            names = (socket.IPV6_RECVHOPLIMIT, socket.IPV6_RECVTCLASS, socket.IPV6_RECVPKTINFO)
            level = socket.IPPROTO_IPV6
            ways = ((socket.IPV6_V6ONLY, 1), (socket.IPV6_UNICAST_HOPS, ttl), (socket.IPV6_TCLASS, self.tos))
            refusals = IPV6_RECVERR
        for name in names:
            tell(level, name, 1)
        for name, value in ways:
            tell(level, name, value)
        if self.remote:
            tell(level, refusals, 1)
        if self.stamps:
            tell(socket.SOL_SOCKET, SO_TIMESTAMPING, FLAGS)
        tell(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_SIZE)
        if interface:
            tell(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())

    def close(self):
        self.socket.close()

    # ---- out ----

    def send(self, packet, key):
        """To the remote; 'key' names it among the stamps."""
        try:
            self.socket.send(packet)
        except OSError:
            self._count_anew()
            raise
        self._count(key)

    def send_to(self, packet, peer, control, key):
        try:
            self.socket.sendmsg((packet,), control, 0, peer)
        except OSError:
            self._count_anew()
            raise
        self._count(key)

    def _count(self, key):
        if not self.stamps:
            return
        self.keys[self.counted] = key
        self.keys.pop(self.counted - COUNTED_MAX, None)
        self.counted += 1

    def _count_anew(self):
        """The kernel also counts a packet that was refused late: after a
        refusal its count is unknown; setting the option begins it at 0."""
        if not self.stamps:
            return
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, FLAGS & ~OPT_ID)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, FLAGS)
        self.keys.clear()
        self.counted = 0

    def control_of(self, packet, dscp):
        """For an answer: from the address that the request came to, and of a
        class that is not the socket's."""
        control = []
        tos = dscp << 2
        ip6 = self.family == socket.AF_INET6
        if packet.local and ip6:
            scope = packet.peer[3] if packet.local.startswith(b"\xfe\x80") else 0
            control.append((socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, IN6_PKTINFO.pack(packet.local, scope)))
        elif packet.local:
            control.append((socket.IPPROTO_IP, IP_PKTINFO, IN_PKTINFO.pack(0, packet.local, bytes(4))))
        if tos != self.tos:
            level, name = ((socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if ip6 else
                           (socket.IPPROTO_IP, socket.IP_TOS))
            control.append((level, name, INT.pack(tos)))
        return control

    # ---- in ----

    def receive(self):
        """A packet that waits, or None; OSError: a refusal is in the error
        queue.  Its at_ns is the time right after the system call."""
        try:
            data, control, _, peer = self.socket.recvmsg(PACKET_ROOM, CONTROL_ROOM)
            at_ns = time.time_ns()
        except BlockingIOError:
            return None
        received_ns = local = None
        ttl = tos = 0
        for level, kind, value in control:
            if level == socket.SOL_SOCKET:
                if kind == SO_TIMESTAMPING:
                    received_ns = _stamp_of(value)
            elif level == socket.IPPROTO_IP:
                if kind == socket.IP_TTL:
                    ttl = INT.unpack(value)[0]
                elif kind == socket.IP_TOS:
                    tos = value[0]
                elif kind == IP_PKTINFO:
                    local = value[8:12]
            elif kind == socket.IPV6_HOPLIMIT:
                ttl = INT.unpack(value)[0]
            elif kind == socket.IPV6_TCLASS:
                tos = INT.unpack(value)[0]
            elif kind == socket.IPV6_PKTINFO:
                local = value[:16]
        return Packet(data, peer, at_ns, received_ns, ttl, tos, local)

    def event(self):
        """What the error queue says next: Event, Refusal, or None: empty."""
        while True:
            try:
                _, control, _, _ = self.socket.recvmsg(64, CONTROL_ROOM, socket.MSG_ERRQUEUE)
            except OSError:
                return None
            event = self._event_of(control)
            if event:
                return event

    def _event_of(self, control):
        at_ns = error = None
        for level, kind, value in control:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPING:
                at_ns = _stamp_of(value)
            elif (level, kind) in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
                error = value
        if not error:
            return None
        number, origin, icmp_type, icmp_code, info, data = ERROR.unpack_from(error)
        if origin in ORIGIN_ICMP:
            return Refusal(number, icmp_type, icmp_code, _address_of(error[ERROR.size:]))
        if origin != ORIGIN_TIMESTAMPING or at_ns is None:
            return None
        kind = {SCM_TSTAMP_SCHED: "sched", SCM_TSTAMP_SND: "sent"}.get(info)
        key = self.keys.get(data)
        if kind is None or key is None:
            return None
        return Event(kind, key, at_ns)

    def refused(self, error):
        """Whether an error of send or receive is one that the peer's host or
        the way there caused."""
        return error.errno in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES)


def _stamp_of(value):
    """ts[0], the software's; zeros are no stamp."""
    seconds, ns = TIMESPEC.unpack_from(value)
    return seconds * 10**9 + ns if seconds else None


def _address_of(value):
    if len(value) < 8:
        return "?"
    family = struct.unpack_from("=H", value)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(family, value[4:8])
    if family == socket.AF_INET6 and len(value) >= 24:
        return socket.inet_ntop(family, value[8:24])
    return "?"
