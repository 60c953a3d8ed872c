"""The sender in Python, as 'sonde rtt --json': a packet in each slot of an
isochronous schedule, and every slot in the ledger, sent or not.

It waits for answers asleep, as most programs do.
"""
import argparse
import json
import os
import secrets
import select
import signal
import socket
import sys
import time

from . import common, points
from .arrivals import Gathered, ahead_of
from .message import (ERROR_UNKNOWN, INTEGRITY, KEYED, MALFORMED, METHOD_HARDWARE, PLAIN, SIZE_MAX,
                      TLV_CLASS_OF_SERVICE, TLV_FOLLOW_UP, TLV_POINTS, TLV_TIMESTAMP_INFORMATION, UNRECOGNIZED, Refused,
                      Reply, Request, points_question)
from .stamped import Event, Stamped

NS_PER_S = 10**9
WAKE_EARLY_NS = 200_000  # timers are late by less, mostly
START_NS = 2_000_000
CLOSING_COUNT = 64       # behind the last slot, to a reflector that tells no points
TELLING_NS = 500_000_000  # a loss waits so long for its direction
TRIPS_MAX = 1 << 17      # under way; then the oldest accounts close
CLOSING_NS = 2_000_000
LINGER_NS = 50_000_000
BLOCK_NS = 100_000_000
LATE_MIN_NS = 10_000
EMIT_MAX = 4             # lines at a time, between an answer and a slot
STEP_SLACK_NS = 1000
POINTS_ANSWERS = 3

COUNTERS = ("slots", "sent", "late", "skipped", "failed", "answered", "lost", "duplicates", "too_late", "strange",
            "short_packets", "hmac_wrong", "tlvs_unrecognized", "tlvs_malformed", "tlvs_integrity", "refusals",
            "clock_steps")


class Trip:
    """One packet there and back."""
    __slots__ = ("seq", "fate", "sent_mono_ns", "stamps", "late_ns", "late", "void", "overtaken", "overtaken_there",
                 "answered_mono_ns", "reflected_seq", "answers", "duplicates", "copies", "heads")

    def __init__(self, seq):
        self.seq = seq
        self.fate = "sent"
        self.sent_mono_ns = 0
        self.stamps = {}
        self.late_ns = None
        self.late = self.void = self.overtaken = self.overtaken_there = False
        self.answered_mono_ns = None
        self.reflected_seq = None
        self.answers = []    # told apart by the reflector's number and time
        self.duplicates = 0  # copies of an answer
        self.copies = 0      # that came to the reflector; 0: not known
        self.heads = None    # TTL and class there, and here


class StepWatch:
    """CLOCK_REALTIME and CLOCK_MONOTONIC are slewed alike: their distance
    changes only when the former is set."""

    def __init__(self):
        self.least, self.most = self._look()

    @staticmethod
    def _look():
        before = time.monotonic_ns()
        real = time.time_ns()
        after = time.monotonic_ns()
        return real - after - STEP_SLACK_NS, real - before + STEP_SLACK_NS

    def stepped(self):
        least, most = self._look()
        if least > self.most or most < self.least:
            self.least, self.most = least, most
            return True
        self.least, self.most = max(least, self.least), min(most, self.most)
        return False


def request_make(options, key):
    """As long as asked for; one that is too short for TLVs goes without."""
    ssid = secrets.randbelow(0xffff) + 1
    request = Request(key, ssid, ERROR_UNKNOWN)
    dscp = options.dscp if options.reply_dscp is None else options.reply_dscp
    request.tlv(TLV_TIMESTAMP_INFORMATION, bytes(4))
    request.tlv(TLV_CLASS_OF_SERVICE, bytes((dscp << 2, 0, 0, 0)))
    request.tlv(TLV_FOLLOW_UP, bytes(16))
    request.tlv(TLV_POINTS, points_question(points.REFLECTOR_SET, POINTS_ANSWERS))
    if not options.size:
        return request
    for shape in (request, Request(key, ssid, ERROR_UNKNOWN)):
        if options.size <= SIZE_MAX and shape.pad(options.size):
            return shape
    base = KEYED.size if key else PLAIN.size
    raise ValueError(f"size {options.size}: a test packet {'with' if key else 'without'} a key has {base} bytes, or "
                     f"{base + (24 if key else 4)} and more")


class Sender:
    """Sends, joins what comes back by sequence number, emits trips."""

    def __init__(self, options, key, emit):
        family, remote = common.address_of(options.host, options.port, options.family)
        local = common.address_of(options.local, 0, family)[1] if options.local else ("", 0)
        self.request = request_make(options, key)
        self.ssid = int.from_bytes(self.request.bytes[self.request.layout.ssid:][:2], "big")
        self.key = key
        self.options = options
        self.emit = emit
        self.sock = Stamped(local, remote, family=family, ttl=options.ttl, dscp=options.dscp,
                            interface=options.interface, stamps=not options.unstamped)
        self.interval_ns = max(int(NS_PER_S / options.rate), 1)
        self.timeout_ns = int(options.timeout * NS_PER_S)
        self.late_ns = max(self.interval_ns // 10, LATE_MIN_NS)
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.trips = {}  # under way, in order of seq
        self.by_number = {}
        self.next = 0
        self.emitted = 0
        self.closing = 0
        self.stamps_due = 0
        self.start_ns = self.slot_ns = self.checked_ns = self.last_sent_ns = 0
        self.rtt_max_ns = 0
        self.newest = None  # number and time of an answer: what is below is overtaken
        self.stateful = False
        self.gathered = Gathered()
        self.asked = 0
        self.closing_ns = 0  # wall time of the first closing packet
        self.peer_knows_points = False
        self.followed = 0
        self.refusal = None
        self.stopped = False
        self.steps = StepWatch()

    # ---- points ----

    def points(self):
        found = 1 << points.FORWARD_SEND | 1 << points.BACK_RECEIVE
        if not self.options.unstamped:
            found |= 1 << points.FORWARD_SCHED | 1 << points.FORWARD_SENT | 1 << points.BACK_RECEIVED
        if self.peer_knows_points:
            return found | points.REFLECTOR_SET
        return found | self.followed | 1 << points.FORWARD_RECEIVE | 1 << points.BACK_SEND

    # ---- what comes back ----

    def take(self):
        """All that waits: answers first, nobody waits for stamps."""
        while True:
            try:
                packet = self.sock.receive()
            except OSError:
                self.stamps_due += 1  # the error queue says more
                break
            if packet is None:
                break
            self.packet_join(packet)
        if self.stamps_due:
            self.events_take()

    def events_take(self):
        while self.stamps_due > 0:
            event = self.sock.event()
            if event is None:
                return
            if isinstance(event, Event):
                self.stamps_due -= 1
                trip = self.trips.get(event.key)
                if trip:
                    index = points.FORWARD_SCHED if event.kind == "sched" else points.FORWARD_SENT
                    trip.stamps[index] = event.at_ns
                continue
            self.counters["refusals"] += 1
            self.refusal = (f"{event.origin} says: {os.strerror(event.error)} (ICMP type {event.icmp_type}, code "
                            f"{event.icmp_code})")

    def packet_join(self, packet):
        counters = self.counters
        try:
            reply = Reply(packet.bytes, self.key)
        except Refused as refused:
            counters["short_packets" if str(refused) == "short" else "hmac_wrong"] += 1
            return
        trip = self.trips.get(reply.seq)
        if not self.is_ours(trip, reply, packet.at_ns):
            late = trip is None and reply.seq < self.emitted and reply.ssid in (self.ssid, 0)
            counters["too_late" if late else "strange"] += 1
            return
        for flag, name in ((UNRECOGNIZED, "tlvs_unrecognized"), (MALFORMED, "tlvs_malformed"),
                           (INTEGRITY, "tlvs_integrity")):
            counters[name] += bool(reply.tlv_flags & flag)
        self.reply_join(reply)
        if trip and trip.fate == "sent" and time.monotonic_ns() - trip.sent_mono_ns > self.timeout_ns:
            counters["too_late"] += 1
        elif trip:
            self.answer_join(trip, reply, packet)
        self.follow_up_join(reply)

    def is_closing(self, seq):
        return 0 <= seq - self.next < self.closing

    def is_ours(self, trip, reply, at_ns):
        """The time in the answer is the one in the request, or it answers
        another.  A peer that knows no SSID returns 0."""
        if reply.ssid not in (self.ssid, 0):
            return False
        if self.is_closing(reply.seq):
            return self.closing_ns <= reply.requested_ns <= at_ns
        return trip is not None and reply.requested_ns == trip.stamps.get(points.FORWARD_SEND)

    def reply_join(self, reply):
        if reply.newest.known:
            self.peer_knows_points = True
            for news in (reply.newest, reply.block):
                self.gathered.join(news, reply.first, self.emitted, self.next)
            if self.is_closing(reply.seq):
                self.is_overtaken(reply)
                block = self.gathered.block(reply.block.last)
                if reply.block.known and block:
                    block.closed = True
        for told in reply.told:
            trip = self.trips.get(told.seq)
            if trip:
                trip.stamps.update((index, at) for index, at in told.stamps.items() if not points.is_local(index))

    def answer_join(self, trip, reply, packet):
        name = (reply.reflected_seq, reply.sent_ns)
        new = name not in trip.answers
        overtaken = False
        if new:
            trip.answers.append(name)
            overtaken = self.is_overtaken(reply)
        if trip.answered_mono_ns is not None:
            self.counters["duplicates"] += 1
            trip.duplicates += not new or not self.peer_knows_points
            return
        trip.fate = "answered"
        trip.overtaken = overtaken
        trip.heads = (reply.ttl, reply.dscp, reply.ecn), (packet.ttl, packet.tos >> 2, packet.tos & 3)
        trip.answered_mono_ns = time.monotonic_ns()
        trip.reflected_seq = reply.reflected_seq
        self.by_number[reply.reflected_seq] = trip
        self.counters["answered"] += 1
        stamps = trip.stamps
        stamps[points.BACK_RECEIVE] = packet.at_ns
        if packet.received_ns is not None:
            stamps[points.BACK_RECEIVED] = packet.received_ns
        self.rtt_max_ns = max(self.rtt_max_ns, packet.at_ns - stamps[points.FORWARD_SEND])
        if points.FORWARD_RECEIVED not in stamps and points.FORWARD_RECEIVE not in stamps:
            hardware = reply.method_in == METHOD_HARDWARE
            stamps[points.FORWARD_RECEIVED_HW if hardware else points.FORWARD_RECEIVE] = reply.received_ns
        stamps[points.BACK_SEND] = reply.sent_ns

    def is_overtaken(self, reply):
        """Whether an answer that left later came earlier.  The reflector's
        own count says so unless it was started again; without one its clock
        does."""
        self.stateful |= reply.reflected_seq != reply.seq
        if self.newest and reply.sent_ns < self.newest[1]:
            if not self.stateful or ahead_of(reply.reflected_seq, self.newest[0]) < 0:
                return True
        self.newest = reply.reflected_seq, reply.sent_ns
        return False

    def follow_up_join(self, reply):
        trip = self.by_number.get(reply.follow_up[0]) if reply.follow_up else None
        if trip and reply.follow_up[2] != METHOD_HARDWARE:
            trip.stamps[points.BACK_SENT] = reply.follow_up[1]
            self.followed |= 1 << points.BACK_SENT

    # ---- the ledger ----

    def trip_end(self, trip):
        if trip.fate == "sent":
            trip.fate = "lost"
            self.counters["lost"] += 1
        if trip.fate in ("lost", "answered"):
            self.legs_end(trip)
        self.by_number.pop(trip.reflected_seq, None)
        self.emitted = trip.seq + 1
        self.emit(trip, self.points())

    def legs_end(self, trip):
        """What the reflector says of the packet, if it does."""
        block = self.gathered.block(trip.seq)
        bit = 1 << (trip.seq & 63)
        if not block or not block.told & bit:
            return
        trip.overtaken_there = bool(block.late & bit)
        came = bool(block.came & bit)
        if trip.fate == "lost":
            trip.fate = "lost_back" if came else "lost_forward"
            if not came:
                return
        trip.copies = max(1 + block.copies(bit), len(trip.answers))

    def is_untold(self, trip):
        """A loss without a direction: an answer that tells may still come."""
        block = self.gathered.block(trip.seq)
        return (trip.fate == "sent" and self.peer_knows_points and
                not (block and block.told & 1 << (trip.seq & 63)))

    def trips_emit(self, now_ns, most, all_of_them=False):
        """Hands out what is past its time limit, and at the end all."""
        while self.trips and most:
            seq = next(iter(self.trips))
            trip = self.trips[seq]
            if not all_of_them and trip.fate in ("sent", "answered"):
                limit_ns = trip.sent_mono_ns + self.timeout_ns + (TELLING_NS if self.is_untold(trip) else 0)
                if now_ns < limit_ns:
                    break
            del self.trips[seq]
            self.trip_end(trip)
            most -= 1
        self.gathered.forget(self.emitted)

    def step_check(self, now_ns):
        if self.steps.stepped():
            self.counters["clock_steps"] += 1
            for trip in self.trips.values():
                if trip.answered_mono_ns is None or trip.answered_mono_ns >= self.checked_ns:
                    trip.void = True
        self.checked_ns = now_ns

    # ---- slots ----

    def wait(self, until_ns):
        """Asleep until then, BLOCK_NS at most, or something is there."""
        left = min(until_ns - time.monotonic_ns(), BLOCK_NS)
        if left <= 0:
            return
        if select.select((self.sock.fd,), (), (), left / NS_PER_S)[0]:
            self.stamps_due += self.stamps_due == 0
            self.take()

    def slot_wait(self):
        emitted_for = None
        while not self.stopped:
            now_ns = time.monotonic_ns()
            left = self.slot_ns - now_ns
            if left <= WAKE_EARLY_NS:
                break
            last = self.trips.get(self.next - 1)
            quiet = not last or last.fate != "sent" or now_ns - self.last_sent_ns > self.interval_ns // 2
            if quiet and emitted_for != self.next:
                emitted_for = self.next
                self.trips_emit(now_ns, EMIT_MAX)
                self.step_check(now_ns)
                continue
            until_ns = self.slot_ns - WAKE_EARLY_NS
            if not quiet:
                until_ns = min(until_ns, self.last_sent_ns + self.interval_ns // 2 + WAKE_EARLY_NS)
            self.wait(until_ns)
        now_ns = time.monotonic_ns()
        while now_ns < self.slot_ns and not self.stopped:
            now_ns = time.monotonic_ns()
        return now_ns

    def slot_advance(self, trip):
        if len(self.trips) >= TRIPS_MAX:
            self.trips_emit(self.slot_ns, 1, True)
        self.trips[self.next] = trip
        self.next += 1
        self.counters["slots"] += 1
        self.slot_ns = self.start_ns + int(self.next * NS_PER_S / self.options.rate)

    def slot_turn(self):
        now_ns = self.slot_wait()
        if self.stopped:
            return
        counters = self.counters
        trip = Trip(self.next)
        trip.sent_mono_ns = now_ns
        if now_ns - self.slot_ns >= self.interval_ns:
            # Not made up for: a burst would measure itself.
            trip.fate = "skipped"
            counters["skipped"] += 1
            self.slot_advance(trip)
            return
        trip.late_ns = now_ns - self.slot_ns
        if trip.late_ns > self.late_ns:
            trip.late = True
            counters["late"] += 1
        if self.packet_send(self.next, trip):
            counters["sent"] += 1
            self.last_sent_ns = now_ns
        else:
            trip.fate = "failed"
            counters["failed"] += 1
        self.slot_advance(trip)
        self.take()

    def ask(self):
        """Each answer tells of the newest 64 without being asked."""
        if not self.closing and self.next - self.emitted <= 64:
            return
        if not self.emitted <= self.asked < self.next:
            self.asked = self.emitted & ~63
        self.request.ask(self.asked)
        self.asked += 64

    def packet_send(self, seq, trip):
        """True: it left.  The refusal of one before is told once, then it
        goes."""
        self.ask()
        at_ns = time.time_ns()
        packet = self.request.end(seq, at_ns)
        try:
            self.sock.send(packet, seq)
        except OSError:
            self.stamps_due += 1
            self.events_take()
            at_ns = time.time_ns()
            packet = self.request.end(seq, at_ns)
            try:
                self.sock.send(packet, seq)
            except OSError as error:
                self.refusal = self.refusal or os.strerror(error.errno)
                return False
        if trip:
            trip.stamps[points.FORWARD_SEND] = at_ns
        if self.sock.stamps:
            self.stamps_due += 2
        return True

    def is_complete(self):
        wanted = self.points()
        for trip in self.trips.values():
            if trip.fate == "sent":
                return False
            if trip.fate == "answered" and any(index not in trip.stamps for index in points.indices(wanted)):
                return False
        return not self.peer_knows_points or self.all_told()

    def all_told(self):
        for seq in range(self.emitted & ~63, self.next, 64):
            block = self.gathered.block(seq)
            if not (block and block.closed):
                return False
        return True

    def close(self):
        """Packets behind the last slot bring what the reflector knows of the
        last ones; then all there is to do is wait."""
        next_ns = 0
        # Often enough to ask about every block four times.
        interval_ns = min(self.timeout_ns // (4 * ((self.next - self.emitted) // 64 + 16)), CLOSING_NS)
        while self.trips:
            now_ns = time.monotonic_ns()
            end_ns = self.last_sent_ns + self.timeout_ns
            linger_ns = max(10 * self.rtt_max_ns, LINGER_NS)
            complete = self.is_complete()
            if complete and linger_ns < self.timeout_ns:
                end_ns = self.last_sent_ns + linger_ns
            if now_ns >= end_ns:
                break
            more = self.closing < CLOSING_COUNT or self.peer_knows_points
            if not complete and more and now_ns >= next_ns:
                self.closing += 1
                self.closing_ns = self.closing_ns or time.time_ns()
                self.packet_send(self.next + self.closing - 1, None)
                next_ns = now_ns + interval_ns
            self.wait(now_ns + 1_000_000)
            self.take()
        now_ns = time.monotonic_ns()
        self.step_check(now_ns)
        self.trips_emit(now_ns, -1, True)

    def run(self, start_ns):
        self.checked_ns = time.monotonic_ns()
        self.start_ns = self.slot_ns = start_ns or self.checked_ns + START_NS
        while not self.stopped and not 0 < self.options.count <= self.next:
            self.slot_turn()
        self.close()


def layer_ns(stamps, out, into):
    """Between two points of each leg, the reflector's part taken out by its
    own clock: no offset counts."""
    try:
        forward_out, forward_in = (stamps[points.bit_index("forward", word)] for word in (out, into))
        back_out, back_in = (stamps[points.bit_index("back", word)] for word in (out, into))
    except KeyError:
        return None
    return back_in - forward_out - (back_out - forward_in)


class Lines:
    """Trips as lines of JSON, as 'sonde rtt --json' writes them."""

    def __init__(self, file):
        self.file = file
        self.points = None
        self.segments = ()

    def trip(self, trip, point_set):
        if point_set != self.points:
            self.points, self.segments = point_set, points.segments(point_set)
        stamps = trip.stamps
        first, last = stamps.get(points.FORWARD_SEND), stamps.get(points.BACK_RECEIVE)
        line = {"type": "packet", "seq": trip.seq, "fate": trip.fate,
                "rtt_ns": None if first is None or last is None else last - first, "late_ns": trip.late_ns,
                "socket_ns": layer_ns(stamps, "send", "receive"), "kernel_ns": layer_ns(stamps, "sched", "received"),
                "wire_ns": layer_ns(stamps, "sent", "received")}
        line.update(self.flags(trip))
        line.update(self.heads(trip))
        line["segments_ns"] = {
            name: stamps[to] - stamps[start] if start in stamps and to in stamps else None
            for name, start, to in self.segments}
        self.write(line)

    @staticmethod
    def flags(trip):
        for name, is_set in (("void", trip.void), ("late", trip.late),
                             ("overtaken_forward", trip.overtaken_there), ("overtaken_back", trip.overtaken)):
            if is_set:
                yield name, True
        if trip.copies > 1:
            yield "duplicates_forward", trip.copies - 1
        if trip.duplicates:
            yield "duplicates_back", trip.duplicates
        if trip.copies > len(trip.answers):
            yield "answers_lost", trip.copies - len(trip.answers)

    @staticmethod
    def heads(trip):
        for leg, (ttl, dscp, ecn) in zip(points.LEGS, trip.heads or ()):
            if ttl:
                yield f"ttl_{leg}", ttl
            if dscp is not None:
                yield f"dscp_{leg}", dscp
                yield f"ecn_{leg}", ecn

    def write(self, line):
        self.file.write(json.dumps(line, separators=(",", ":")) + "\n")


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="python3 -m sonde_rtt.client", description="round trips from Python, a "
                                     "line of JSON each")
    parser.add_argument("host")
    parser.add_argument("--port", "-p", type=int, default=common.PORT, help="the reflector's UDP port")
    parser.add_argument("--rate", "-r", type=float, default=10, help="packets a second")
    parser.add_argument("--count", "-n", type=int, default=0, help="so many packets; 0: until interrupted")
    parser.add_argument("--timeout", type=float, default=1, help="seconds; what is answered later is lost")
    parser.add_argument("--size", "-s", type=int, default=0, help="UDP payload in bytes")
    parser.add_argument("--dscp", type=int, default=0, choices=range(64), metavar="0..63")
    parser.add_argument("--reply-dscp", type=int, choices=range(64), metavar="0..63")
    parser.add_argument("--ttl", type=int, default=255, choices=range(1, 256), metavar="1..255")
    parser.add_argument("--local", metavar="ADDRESS", help="send from this address")
    parser.add_argument("--interface", "-i", metavar="NAME", help="on this interface alone")
    parser.add_argument("--ipv4", "-4", dest="family", action="store_const", const=socket.AF_INET,
                        default=socket.AF_UNSPEC)
    parser.add_argument("--ipv6", "-6", dest="family", action="store_const", const=socket.AF_INET6)
    parser.add_argument("--unstamped", action="store_true", help="without the kernel's stamps")
    parser.add_argument("--cpu", type=int, help="on this CPU alone")
    parser.add_argument("--realtime", action="store_true", help="with real-time priority where permitted")
    parser.add_argument("--start-told", action="store_true", help="say when ready; then a line of standard input "
                        "says when to begin (CLOCK_MONOTONIC in ns)")
    common.key_arguments(parser)
    options = parser.parse_args(arguments)
    if not 0.001 <= options.rate <= 20000:
        parser.error("rate: from 0.001 to 20000 packets a second")
    if options.count < 0 or not 0.001 <= options.timeout <= 10:
        parser.error("count: from 0 on; timeout: from 0.001 to 10 seconds")
    return options


def place(options):
    """What is not permitted stays as it is: the ledger of slots tells."""
    try:
        with open("/proc/self/timerslack_ns", "w", encoding="ascii") as file:
            file.write("1")
    except OSError:
        pass
    try:
        if options.cpu is not None:
            os.sched_setaffinity(0, {options.cpu})
    except (OSError, ValueError):
        pass
    try:
        if options.realtime:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        pass


def start_told():
    """0: never; the other end is gone."""
    print(json.dumps({"type": "ready"}), flush=True)
    try:
        return int(sys.stdin.readline())
    except ValueError:
        return 0


def run(options):
    key = common.key_of(options)
    lines = Lines(sys.stdout)
    sender = Sender(options, key, lines.trip)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: setattr(sender, "stopped", True))
    place(options)
    start_ns = None
    if options.start_told:
        start_ns = start_told()
        if not start_ns:
            return 1
    sender.run(start_ns)
    lines.write({"type": "summary", **sender.counters, "trips_lost": 0})
    sys.stdout.flush()
    if sender.counters["answered"]:
        return 3 if sender.counters["lost"] else 0
    if sender.refusal:
        print(f"sonde_rtt: client: {sender.refusal}", file=sys.stderr)
    print(f"sonde_rtt: client: no answer to {sender.counters['sent']} packets", file=sys.stderr)
    return 1


def main(arguments=None):
    options = options_of(arguments)
    try:
        return run(options)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads; nothing to say at exit either
        return 1
    except (OSError, ValueError) as error:
        print(f"sonde_rtt: client: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
