"""The TCP metrics of public captures, against tshark's tcp.analysis.

Every direction of every connection: retransmissions (fast and spurious ones
too), out of order, duplicate ACKs, zero windows, and the initial round trip.
Where docs/TCP.md differs by definition, the rule is applied to tshark's
frames here (see Direction); what then still differs is in divergences.txt
with its reason, kind 'tcp'.
"""
import collections
import concurrent.futures
import json
import subprocess

from lab import BUILD, SONDE, SOURCE, Skip, check, equal, main, need_data, need_tool

WIDE = ["--idle-timeout", "3600", "--active-timeout", "86400",
        "--idle-tcp-opening", "3600", "--idle-tcp-closing", "3600"]  # no flow is split by time
SANITIZED = "asan" in BUILD.name
DIVERGENCES = SOURCE / "tests/system/divergences.txt"
COUNTERS = ("retransmitted_packets", "out_of_order_packets", "duplicate_acks", "zero_windows")
FIELDS = ("tcp.stream ip.src ip.dst ipv6.src ipv6.dst tcp.srcport tcp.dstport frame.time_epoch tcp.seq_raw tcp.len "
          "tcp.flags tcp.analysis.retransmission tcp.analysis.fast_retransmission tcp.analysis.spurious_retransmission "
          "tcp.analysis.out_of_order tcp.analysis.duplicate_ack tcp.analysis.zero_window "
          "tcp.analysis.initial_rtt").split()
FIN, SYN, RST = 1, 2, 4
LATE_NS = 3_000_000


def captures():
    """ndpi's and tcpdump's."""
    folders = [need_data("ndpi") / "tests/cfgs/default/pcap", need_data("tcpdump") / "tests"]
    return sorted(path for folder in folders for path in folder.iterdir()
                  if path.name.endswith((".pcap", ".pcapng", ".cap")))


def ours(path):
    """Counters by direction, and the handshake's whole time by initiator."""
    done = subprocess.run([SONDE, "flows", "-f", "json", "--tcp-metrics", *WIDE, path], capture_output=True,
                          text=True, timeout=120, check=False)
    counts, trips = collections.defaultdict(lambda: [0, 0, 0, 0]), {}
    for record in map(json.loads, done.stdout.splitlines()):
        if record["proto"] != 6:
            equal([value for name, value in record.items() if "tcp_" in name and "flags" not in name
                   and value is not None], [], f"{path}: TCP metrics of another protocol")
            continue
        ends = (record["src_ip"], record["src_port"]), (record["dst_ip"], record["dst_port"])
        for key, prefix in ((ends, "tcp_"), (ends[::-1], "rev_tcp_")):
            counts[key] = [have + record[prefix + name] for have, name in zip(counts[key], COUNTERS)]
        if record["tcp_handshake_client_ns"] is not None:
            trips.setdefault(ends, record["tcp_handshake_client_ns"] + record["tcp_handshake_server_ns"])
    return counts, trips


class Direction:
    """What one end of a connection sent, and tshark's flags by our rules:

    gap     a segment that fills no gap below the highest number is a
            retransmission, however soon it comes; one that does is out of
            order if it is in time, even if it ends at the highest number
    reset   a RST carries no sequence number of its own: never one of these
    """

    def __init__(self):
        self.ranges, self.high, self.high_ns = [], None, 0

    @staticmethod
    def ahead(one, other):
        return (one - other + 2**31) % 2**32 - 2**31

    def fills(self, first, last):
        """Whether the range has something new below the highest number; it is noted."""
        below = last if self.high is None or self.ahead(last, self.high) < 0 else self.high
        new = not any(self.ahead(first, begin) >= 0 and self.ahead(below, end) <= 0 for begin, end in self.ranges)
        for begin, end in [item for item in self.ranges
                           if self.ahead(item[1], first) >= 0 and self.ahead(last, item[0]) >= 0]:
            self.ranges.remove((begin, end))
            first = begin if self.ahead(first, begin) > 0 else first
            last = end if self.ahead(end, last) > 0 else last
        self.ranges.append((first, last))
        return new

    def take(self, frame):
        """The frame's four counts."""
        flags = int(frame["tcp.flags"], 16)
        sent_again, late = bool(frame["tcp.analysis.retransmission"]), bool(frame["tcp.analysis.out_of_order"])
        if flags & RST:
            return [0, 0, 0, 0]
        first = int(frame["tcp.seq_raw"])
        last = (first + int(frame["tcp.len"]) + bool(flags & SYN) + bool(flags & FIN)) % 2**32
        new = first != last and self.fills(first, last)
        at_ns = int(frame["frame.time_epoch"].replace(".", ""))
        if late and not new:
            sent_again, late = True, False
        plain = not frame["tcp.analysis.fast_retransmission"] and not frame["tcp.analysis.spurious_retransmission"]
        if sent_again and plain and new and last == self.high and 0 <= at_ns - self.high_ns < self.limit_ns(frame):
            sent_again, late = False, True
        if self.high is None or self.ahead(last, self.high) > 0:
            self.high, self.high_ns = last, at_ns
        return [sent_again, late, bool(frame["tcp.analysis.duplicate_ack"]), bool(frame["tcp.analysis.zero_window"])]

    @staticmethod
    def limit_ns(frame):
        return round(float(frame["tcp.analysis.initial_rtt"] or 0) * 1e9) or LATE_NS


def tshark(path):
    """The same as ours(); no round trip where a SYN-ACK came twice, which we leave out of it."""
    command = ["tshark", "-n", "-r", path, "-Y", "tcp && !icmp && !icmpv6", "-T", "fields", "-E", "occurrence=l",
               "-E", "separator=|"]
    for field in FIELDS:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    counts, trips = collections.defaultdict(lambda: [0, 0, 0, 0]), {}
    directions, answered = collections.defaultdict(Direction), collections.Counter()
    for line in done.stdout.splitlines():
        frame = dict(zip(FIELDS, line.split("|")))
        if len(frame) < len(FIELDS) or not frame["tcp.flags"] or not frame["tcp.len"]:
            continue
        ends = ((frame["ipv6.src"] or frame["ip.src"], int(frame["tcp.srcport"])),
                (frame["ipv6.dst"] or frame["ip.dst"], int(frame["tcp.dstport"])))
        flags = directions[frame["tcp.stream"], ends].take(frame)
        counts[ends] = [have + flag for have, flag in zip(counts[ends], flags)]
        answered[ends] += int(frame["tcp.flags"], 16) & (SYN | 16) == SYN | 16
        if frame["tcp.analysis.initial_rtt"] and answered[ends] + answered[ends[::-1]] < 2:
            trips.setdefault(ends, round(float(frame["tcp.analysis.initial_rtt"]) * 1e9))
    return counts, trips


def name_of(ends):
    return " ".join(f"{address}:{port}" for address, port in ends)


def compared(path):
    """Directions and round trips compared, and what differs."""
    mine, my_trips = ours(path)
    theirs, their_trips = tshark(path)
    differ, none = [], [0, 0, 0, 0]
    for ends in mine.keys() | theirs.keys():
        if mine.get(ends, none) != theirs.get(ends, none):
            differ.append((path.name, name_of(ends), f"sonde {mine.get(ends)}, tshark {theirs.get(ends)}"))
    trips = 0
    for ends, trip_ns in my_trips.items():
        if ends in their_trips:
            trips += 1
            if trip_ns != their_trips[ends]:
                differ.append((path.name, f"rtt {name_of(ends)}", f"sonde {trip_ns}, tshark {their_trips[ends]}"))
    totals = [sum(column) for column in zip(none, *theirs.values())]
    return len(mine), trips, totals, differ


def equals_tshark_in_every_direction_of_every_connection():
    if SANITIZED:
        raise Skip("compared once, with the plain build")
    need_tool("tshark")
    lines = [line.split("\t") for line in DIVERGENCES.read_text().splitlines() if line.startswith("tcp\t")]
    known = {(line[1], line[2]) for line in lines}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(compared, captures()))
    differ = [row for result in results for row in result[3]]
    fresh = [row for row in differ if (row[0], row[1]) not in known and (row[0], "*") not in known]
    totals = [sum(column) for column in zip(*(result[2] for result in results))]
    ways, trips = sum(result[0] for result in results), sum(result[1] for result in results)
    print(f"# {ways} directions, {trips} round trips; by tshark {dict(zip(COUNTERS, totals))}; "
          f"{len(differ)} differ, {len(differ) - len(fresh)} of them explained")
    check(ways > 5000 and trips > 1000 and min(totals) > 2, f"only {ways} directions, {trips} round trips, {totals}")
    stale = {(row[1], row[2]) for row in lines} - {(row[0], row[1]) for row in differ} - {
        (row[0], "*") for row in differ}
    equal(fresh, [], f"{len(fresh)} unexplained divergences")
    equal(sorted(stale), [], "divergences.txt explains what does not differ")


main(equals_tshark_in_every_direction_of_every_connection)
