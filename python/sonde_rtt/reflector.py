"""The reflector in Python: RFC 8762 section 4.3, as 'sonde reflect'.

Never sends more bytes than it got, nor more packets than the rate allows to a
prefix; remembers a bounded number of senders.
"""
import argparse
import json
import os
import select
import signal
import socket
import sys
import time
from collections import OrderedDict, deque

from . import common
from .arrivals import Arrived
from .message import METHOD_SOFTWARE, POINTS_MAX, Reflection, Refused, RequestIn, Told, reply_end, reply_make
from .points import BACK_SCHED, BACK_SEND, BACK_SENT, FORWARD_RECEIVE, FORWARD_RECEIVED
from .stamped import Event, Stamped

AWAITED_MAX = 48  # answers later, stamps are given up
UNTOLD_MAX = 64
TOLD_TIMES = 2    # each answer's stamps travel so often
BUCKETS_MAX = 4096
COUNTERS = ("received", "answered", "short_packets", "hmac_wrong", "limited", "refused", "stamps_lost", "sessions",
            "sessions_evicted")


class Session:
    """A sender: what came of it, and its last answers until they are told."""

    def __init__(self):
        self.received_count = 0
        self.sent_count = 0
        self.arrived = Arrived()
        self.newest = None            # Told: of those known to have gone
        self.awaited = OrderedDict()  # Told by the reflector's number
        self.untold = [deque(maxlen=UNTOLD_MAX) for _ in range(TOLD_TIMES)]

    def gone(self, told):
        if not self.newest or told.reflected_seq > self.newest.reflected_seq:
            self.newest = told

    def complete(self, number):
        told = self.awaited.pop(number, None)
        if told:
            self.untold[0].append(told)

    def give_up(self):
        """No use in waiting longer; how many that concerns."""
        given_up = 0
        while self.awaited:
            number = next(iter(self.awaited))
            if self.sent_count - number <= AWAITED_MAX:
                break
            self.complete(number)
            given_up += 1
        return given_up

    def tell(self):
        """What to tell, those told least often first."""
        found = []
        for queue in self.untold:
            for told in queue:
                if len(found) == POINTS_MAX:
                    return found
                found.append(told)
        return found

    def told(self, count):
        again = []
        for times, queue in enumerate(self.untold):
            while count and queue:
                told = queue.popleft()
                count -= 1
                if times + 1 < TOLD_TIMES:
                    again.append((times + 1, told))
        for times, told in again:
            self.untold[times].append(told)


class Buckets:
    """So many answers a second for each prefix, /24 and /56, and a burst of
    a tenth of a second."""

    def __init__(self, rate):
        self.rate = rate
        self.level = OrderedDict()

    def take(self, address, family):
        if not self.rate:
            return True
        if family == socket.AF_INET:
            prefix = address.rpartition(".")[0]
        else:
            prefix = socket.inet_pton(family, address.partition("%")[0])[:7]
        now = time.monotonic()
        most = max(self.rate / 10, 1)
        level, since = self.level.pop(prefix, (most, now))
        level = min(level + (now - since) * self.rate, most)
        allowed = level >= 1
        self.level[prefix] = (level - allowed, now)
        if len(self.level) > BUCKETS_MAX:
            self.level.popitem(last=False)
        return allowed


class Reflector:
    """Answers on sockets of its own."""

    def __init__(self, sockets, key=None, rate=0, sessions=4096):
        self.sockets = sockets
        self.key = key
        self.buckets = Buckets(rate)
        self.sessions_max = sessions
        self.sessions = OrderedDict()
        self.counters = dict.fromkeys(COUNTERS, 0)

    def session_of(self, peer, ssid):
        name = (peer[0], peer[1], ssid)
        session = self.sessions.get(name)
        if session:
            self.sessions.move_to_end(name)
            return session
        session = self.sessions[name] = Session()
        self.counters["sessions"] += 1
        if len(self.sessions) > self.sessions_max:
            self.sessions.popitem(last=False)
            self.counters["sessions_evicted"] += 1
        return session

    def reflection_of(self, sock, packet, session):
        received_ns = packet.received_ns if packet.received_ns is not None else packet.at_ns
        ip6 = sock.family == socket.AF_INET6
        source = socket.inet_pton(sock.family, packet.peer[0].partition("%")[0])
        return Reflection(seq=session.sent_count, received_ns=received_ns, ttl=packet.ttl, dscp=packet.tos >> 2,
                          ecn=packet.tos & 3, ip_version=6 if ip6 else 4, method=METHOD_SOFTWARE,
                          addresses=(source, packet.local or bytes(16 if ip6 else 4)),
                          ports=(packet.peer[1], sock.port), received_count=session.received_count,
                          sent_count=session.sent_count, first=session.arrived.first,
                          newest=session.arrived.at(session.arrived.highest), follow_up=session.newest)

    def answer(self, sock, packet):
        """Answers one packet, or counts why not."""
        counters = self.counters
        counters["received"] += 1
        try:
            request = RequestIn(packet.bytes, self.key)
        except Refused as refused:
            counters["short_packets" if str(refused) == "short" else "hmac_wrong"] += 1
            return
        if not self.buckets.take(packet.peer[0], sock.family):
            counters["limited"] += 1
            return
        session = self.session_of(packet.peer, request.ssid)
        session.received_count += 1
        session.arrived.note(request.seq)
        reflection = self.reflection_of(sock, packet, session)
        if request.block_last is not None:
            reflection.block = session.arrived.at(request.block_last)
        told = None
        if request.stamps_wanted:
            counters["stamps_lost"] += session.give_up()
            reflection.earlier = session.tell()
            stamps = {FORWARD_RECEIVE: packet.at_ns}
            if packet.received_ns is not None:
                stamps[FORWARD_RECEIVED] = packet.received_ns
            told = Told(request.seq, session.sent_count, stamps)
        reply = reply_make(request, reflection, self.key)
        dscp = packet.tos >> 2 if request.dscp_wanted is None else request.dscp_wanted
        control = sock.control_of(packet, dscp)
        sent_ns = time.time_ns()
        reply_end(reply, sent_ns, reflection.error_estimate, self.key)
        try:
            sock.send_to(reply, packet.peer, control, (session, session.sent_count))
            counters["answered"] += 1
        except OSError:
            counters["refused"] += 1
        session.told(reflection.told)
        if told:
            told.stamps[BACK_SEND] = sent_ns
            session.awaited[session.sent_count] = told
            if not sock.stamps:
                session.complete(session.sent_count)
        session.sent_count += 1

    @staticmethod
    def events_take(sock):
        while True:
            event = sock.event()
            if event is None:
                return
            if not isinstance(event, Event):
                continue
            session, number = event.key
            told = session.awaited.get(number)
            if not told:
                continue
            told.stamps[BACK_SCHED if event.kind == "sched" else BACK_SENT] = event.at_ns
            if event.kind == "sent":
                session.gone(told)
            if BACK_SCHED in told.stamps and BACK_SENT in told.stamps:
                session.complete(number)

    def turn(self, sock):
        """All that waits: packets first, nobody waits for stamps."""
        while True:
            try:
                packet = sock.receive()
            except OSError:
                break
            if packet is None:
                break
            self.answer(sock, packet)
        self.events_take(sock)


def sockets_open(options):
    """All addresses are two sockets; a host may be without one of them."""
    if options.local:
        family, address = common.address_of(options.local, options.port, socket.AF_UNSPEC)
        wanted = [(family, address)]
    else:
        wanted = [(socket.AF_INET, ("0.0.0.0", options.port)), (socket.AF_INET6, ("::", options.port))]
    opened, failure = [], None
    for family, address in wanted:
        try:
            made = Stamped(address, family=family, interface=options.interface, stamps=not options.unstamped)
        except OSError as error:
            failure = error
            continue
        made.port = made.socket.getsockname()[1]
        opened.append(made)
    if not opened or wanted[0][0] == socket.AF_INET and opened[0].family != socket.AF_INET:
        raise failure
    return opened


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="python3 -m sonde_rtt.reflector", description="answer round trip packets")
    parser.add_argument("--port", "-p", type=int, default=862, help="UDP port")
    parser.add_argument("--local", metavar="ADDRESS", help="answer on this address alone")
    parser.add_argument("--interface", "-i", metavar="NAME", help="answer on this interface alone")
    parser.add_argument("--rate", type=int, default=50000, help="answers a second for each prefix; 0: no limit")
    parser.add_argument("--sessions", type=int, default=4096, help="senders that are remembered at most")
    parser.add_argument("--unstamped", action="store_true", help="without the kernel's stamps")
    parser.add_argument("--watch-stdin", action="store_true", help="end when standard input does")
    common.key_arguments(parser)
    return parser.parse_args(arguments)


def serve(reflector, watch_stdin):
    stopped = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.append(True))
    by_fd = {sock.fd: sock for sock in reflector.sockets}
    waiting = select.poll()
    for sock_fd in by_fd:
        waiting.register(sock_fd, select.POLLIN)
    if watch_stdin:
        waiting.register(0, select.POLLIN)
    while not stopped:
        for ready, _ in waiting.poll(200):
            if ready in by_fd:
                reflector.turn(by_fd[ready])
            elif not os.read(0, 256):
                return


def main(arguments=None):
    options = options_of(arguments)
    try:
        key = common.key_of(options)
        sockets = sockets_open(options)
    except (OSError, ValueError) as error:
        print(f"sonde_rtt: reflector: {error}", file=sys.stderr)
        return 2
    print(json.dumps({"type": "ready", "ports": [sock.port for sock in sockets]}), flush=True)
    reflector = Reflector(sockets, key, options.rate, options.sessions)
    serve(reflector, options.watch_stdin)
    print(json.dumps({"type": "counters", **reflector.counters}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
