#!/usr/bin/env python3
"""Who moved which bytes: the kernel's account beside that of the programs, to 0 bytes."""
import collections
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

import lab

DUMP = lab.BUILD / "tests" / "kernel" / "sockets_dump"
TRAFFIC = lab.BUILD / "tests" / "system" / "traffic"


class Watch:
    """sockets_dump beside the block; afterwards what it said."""

    def __init__(self, **options):
        lab.need_first_pids()
        self.options = {"turn_ms": 200, "interval_ms": 10, **options}
        self.lines = []

    def __enter__(self):
        command = [DUMP, *(f"{name}={value}" for name, value in self.options.items())]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        first = self.process.stdout.readline()
        if not first:
            _, why = self.process.communicate()
            if self.process.returncode == 77:
                raise lab.Skip(why.strip())
            raise AssertionError(f"sockets_dump: exit {self.process.returncode}: {why}")
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        return self

    def read(self):
        self.lines.extend(self.process.stdout)

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        self.reader.join(60)
        self.process.wait(10)
        why = self.process.stderr.read()
        if kind is None:
            lab.equal(self.process.returncode, 0, f"sockets_dump: {why}")
            self.parse()

    def parse(self):
        rows = [json.loads(line) for line in self.lines]
        of = collections.defaultdict(list)
        for row in rows:
            of[row["type"]].append(row)
        self.rows = of
        self.counters = of["counters"][0]
        self.end = of["end"][0]
        self.processes, self.buckets = of["process"], of["bucket"]
        self.sockets = {row["id"]: row for row in of["socket"]}      # the newest of each
        self.bytes = {tuple(row["key"]): row for row in of["bytes"]}  # the same


def totals(watch):
    """(pid, start) -> [sent, received], and how much of the latter no call returned."""
    sums, other = collections.defaultdict(lambda: [0, 0]), collections.Counter()
    for row in watch.sockets.values():
        if row["by_process"]:
            continue
        for owner in row["owners"]:
            sums[owner["pid"], owner["start_ns"]][0] += owner["tx_bytes"]
            sums[owner["pid"], owner["start_ns"]][1] += owner["rx_bytes"]
        if row["rx_other_bytes"]:
            last = row["owners"][row["last_receiver"]] if row["last_receiver"] >= 0 else None
            nobody = {"pid": 0, "start_ns": 0}
            owner = nobody if row["kernel"] else last or row["owners"][0]
            other[owner["pid"], owner["start_ns"]] += row["rx_other_bytes"]
    for key, row in watch.bytes.items():
        for each in row["classes"].values():
            sums[key][0] += each["tx_bytes"]
            sums[key][1] += each["rx_bytes"]
    return sums, other


def check_streams(watch):
    """The calls' bytes are those of the kernel's own TCP counters; returns how many were checked."""
    checked = 0
    for row in watch.sockets.values():
        tcp = row.get("tcp")
        if row["class"] != "tcp" or row["existing"] or not tcp or tcp["ulp"] or not tcp["isn_known"]:
            continue
        checked += 1
        what = f"{row['address']}:{row['port']} {row['peer']}:{row['peer_port']} {row['why']} {tcp}"
        lab.equal(tcp["bytes_queued"], row["tx_bytes"], f"taken = sent, {what}")
        if row["event"] == "end":
            lab.equal(tcp["bytes_consumed"], row["rx_bytes"] + row["rx_other_bytes"], f"given = received, {what}")
        if row["event"] == "end" and row["why"] == "fin":
            lab.equal(tcp["bytes_sent"], tcp["bytes_acked"] + tcp["bytes_retrans"], f"sent = acked + again, {what}")
            lab.equal(tcp["bytes_acked"], tcp["bytes_queued"], f"acked = taken, {what}")
    return checked


def check_ledger(watch, refused=False):
    """Every sum that must be exact."""
    check_streams(watch)
    sums, other = totals(watch)
    c = watch.counters
    for kind in ("process", "state", "end", "bucket"):
        lab.equal(c[f"{kind}_events"], c[f"{kind}_submitted"] + c[f"{kind}_refused"], f"{kind}: seen = in + refused")
        lab.equal(c[f"{kind}_submitted"], c[f"{kind}_consumed"], f"{kind}: in = out")
        if not refused:
            lab.equal(c[f"{kind}_refused"], 0, f"{kind} refused")
    if not refused:
        for side, way in enumerate(("tx", "rx")):
            lab.equal(sum(each[side] for each in sums.values()) + c[f"unattributed_{way}_bytes"],
                      c[f"calls_{way}_bytes"], f"processes = calls, {way}")
    in_buckets = collections.defaultdict(lambda: [0, 0])
    for row in watch.buckets:
        in_buckets[tuple(row["key"])][0] += row["tx_bytes"]
        in_buckets[tuple(row["key"])][1] += row["rx_bytes"]
    if not refused:
        lab.equal({key: each for key, each in in_buckets.items() if any(each)},
                  {key: each for key, each in sums.items() if any(each)}, "buckets = totals")
    for way, side in (("tx", 0), ("rx", 1)):
        lab.equal(sum(each[side] for each in in_buckets.values()) + c[f"bucket_refused_{way}_bytes"],
                  c[f"calls_{way}_bytes"] - c[f"unattributed_{way}_bytes"], f"buckets + refused = calls, {way}")
    last = max((row["index"] for row in watch.buckets), default=0)
    span = (watch.end["end_ns"] - watch.end["start_ns"]) / (watch.options["interval_ms"] * 1e6)
    lab.check(last <= span + 1, f"a bucket {last} of {span}")
    return sums, other


def truth(text):
    rows = [json.loads(line) for line in text.splitlines()]
    sums = collections.defaultdict(lambda: [0, 0])
    for row in rows:
        sums[row["pid"]][0] += row["tx"]
        sums[row["pid"]][1] += row["rx"]
    return sums


def check_bytes(watch, said, refused=False):
    """Each process's bytes exactly; returns those that no call returned."""
    sums, other = check_ledger(watch, refused)
    found = collections.defaultdict(lambda: [0, 0])
    for (pid, _), each in sums.items():
        found[pid][0] += each[0]
        found[pid][1] += each[1]
    for (pid, _), each in other.items():
        found[pid][1] += each
    wrong = {pid: (found[pid], each) for pid, each in said.items() if found[pid] != each}
    lab.check(not wrong, f"{len(wrong)} of {len(said)} processes; (kernel, program): {list(wrong.items())[:5]}")
    return other


def traffic(*arguments, skip=True):
    done = lab.run(TRAFFIC, *arguments, check_rc=None)
    if done.returncode == 77 and skip:
        raise lab.Skip(done.stderr.strip())
    lab.equal(done.returncode, 0, f"traffic {arguments}: {done.stderr}")
    said = truth(done.stdout)
    lab.check(any(any(each) for each in said.values()), "no traffic at all")
    return said


def watched(*arguments, **options):
    """A scenario under watch: exact, or an error."""
    with Watch(**options) as watch:
        said = traffic(*arguments)
    other = check_bytes(watch, said)
    return watch, said, other


def every_way_to_send_and_receive():
    lab.need_first_pids()
    names = lab.run(TRAFFIC, "list").stdout.split()
    lab.equal(len(names), 24, "scenarios")
    for name in names:
        try:
            watched(name)
            print(f"# {name}: exact", flush=True)
        except lab.Skip as reason:
            print(f"# {name}: SKIP {reason}", flush=True)
        except AssertionError as fault:
            raise AssertionError(f"{name}: {fault}") from fault


def frames_of_packet_sockets():
    watched("packet")


def a_descriptor_handed_over():
    watch, said, _ = watched("scm_rights")
    both = [row for row in watch.sockets.values() if row["class"] == "tcp" and len(row["owners"]) > 1]
    lab.equal(len(both), 1, "connections with two owners")
    lab.equal({owner["pid"] for owner in both[0]["owners"]}, {pid for pid, each in said.items() if each[0]}, "owners")


def a_connection_inherited_by_ten():
    watch, _, _ = watched("fork_inherited")
    lab.check(watch.counters["owners_full"] > 0, "four slots were enough for ten")


def ten_thousand_short_processes():
    watch, said, _ = watched("short_processes", 10000, turn_ms=1000)
    lab.check(len(said) >= 10000, f"only {len(said)} processes")
    forks = {row["key"][0] for row in watch.processes if row["event"] == "fork"}
    exits = {row["key"][0] for row in watch.processes if row["event"] == "exit"}
    lab.check(set(said) <= forks and set(said) <= exits, "a process's begin or end is missing")


def equal_tuples_in_two_namespaces():
    watch, _, _ = watched("namespaces")
    same = [row for row in watch.sockets.values() if row["port"] == 45001 and row["peer_port"] == 45000]
    lab.equal(len(same), 2, "sockets of one tuple")
    lab.equal(len({row["netns"] for row in same}), 2, "their namespaces")
    lab.equal(len({row["id"] for row in same}), 2, "their numbers")


def udp_segmentation():
    watched("udp_segmentation")


def peeks_do_not_count():
    watch, _, _ = watched("peeks")
    lab.check(watch.counters["peeked_calls"] > 0, "no peek was seen")


def pages_mapped():
    _, said, other = watched("zerocopy_receive")
    lab.check(set(other) and {pid for pid, _ in other} <= set(said), f"labelled: {dict(other)}")


def spliced_out():
    _, _, other = watched("splice_out")
    lab.equal(list(other.values()), [1234567], "bytes that no call returned")


def multipath():
    watch, _, _ = watched("mptcp")
    lab.check(any(row["class"] == "mptcp" for row in watch.sockets.values()) or
              any("mptcp" in row["classes"] for row in watch.bytes.values()), "no MPTCP socket")


def sockets_that_were_there_before():
    lab.need_root()
    with lab.started(TRAFFIC, "before", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                     text=True) as program:
        lab.equal(program.stderr.readline(), "before\n", "the program's word")
        with Watch() as watch:
            out, _ = program.communicate("x", timeout=20)
            lab.equal(program.returncode, 0, "exit code")
    check_bytes(watch, truth(out))
    mine = [row for row in watch.sockets.values()
            if row["class"] == "tcp" and row["existing"] and row["established_ns"] == 0]
    lab.check(len(mine) >= 2, "both ends are known as older")


def unified():
    """Where cgroup v2 is mounted."""
    with open("/proc/self/mounts", encoding="ascii", errors="replace") as mounts:
        for line in mounts:
            if line.split()[2] == "cgroup2":
                return pathlib.Path(line.split()[1])
    raise lab.Skip("cgroup v2 is not mounted")


@contextlib.contextmanager
def cgroup():
    path = unified() / f"sonde-sockets-{os.getpid()}"
    path.mkdir()
    try:
        yield path
    finally:
        lab.until("the cgroup is empty", lambda: not (path / "cgroup.procs").read_text())
        path.rmdir()


def a_folder_of_cgroup_v2():
    lab.need_root()
    with cgroup() as path, Watch() as watch:
        said = traffic("cgroup", path / "cgroup.procs")
        number = path.stat().st_ino
    check_bytes(watch, said)
    pid = next(iter(said))
    mine = [row for row in watch.sockets.values() if any(owner["pid"] == pid for owner in row["owners"])]
    lab.equal({row["cgroup"] for row in mine}, {number}, "cgroup of its sockets")
    lab.check(any(row["cgroup"] == number for row in watch.processes if row["event"] == "exit"), "and of its end")


def every_connection_of_many():
    watch, _, _ = watched("connections", 40000, turn_ms=1000, events_size=128 << 20)
    ends = [row for row in watch.sockets.values() if row["class"] == "tcp" and row["event"] == "end"]
    both = [row for row in ends if row["established_ns"]]
    lab.check(len(both) >= 80000, f"only {len(both)} ends of connections")
    lab.equal([row["why"] for row in ends if row["why"] in ("refused", "no_answer", "failed", "given_up")], [],
              "failed connects")
    bad = [row for row in both if not row["owners"] or not row["why"] or row["tx_bytes"] + row["rx_bytes"] not in (1, 33)]
    lab.check(not bad, f"{len(bad)} without owner, reason or bytes: {bad[:2]}")
    # Those that the client threw away left their numbers in an event before.
    told = {row["id"] for row in watch.rows["socket"] if row.get("tcp", {}).get("srtt_us")}
    without = [row for row in both if row["id"] not in told]
    lab.check(not without, f"{len(without)} without a round trip time: {without[:1]}")


def a_reader_that_sleeps_loses_nothing_unsaid():
    """Stopped for 5 s, with rings too small: what is missing is named, what is there is right."""
    with Watch(events_size=4096, buckets_size=4096, turn_ms=100) as watch:
        watch.process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        said = traffic("connections", 400)
        time.sleep(4.8)
        watch.process.send_signal(signal.SIGCONT)
        time.sleep(0.5)
    check_ledger(watch, refused=True)
    c = watch.counters
    lab.check(c["bucket_refused"] > 0 and c["end_refused"] > 0, f"nothing was refused: {c}")
    lab.equal(sum(row["count"] for row in watch.rows["missed"]), c["bucket_refused"], "missed buckets")
    lab.equal(sum(row["tx_bytes"] for row in watch.rows["missed"]), c["bucket_refused_tx_bytes"], "missed bytes")
    sums, _ = totals(watch)
    more = {key: each for key, each in sums.items() if key[0] in said and each > said[key[0]]}
    lab.check(not more, f"more than there was: {more}")


def limits_of_sixteen():
    """More sockets and processes than there is room for: each process's bytes stay exact."""
    watch, _, _ = watched("fork_inherited", socket_limit=16, drop_limit=16)
    lab.equal(watch.counters["unattributed_tx_bytes"], 0, "nobody's")
    with Watch(socket_limit=1, process_limit=1) as watch:
        said = traffic("fork_inherited")
    check_ledger(watch)
    lab.check(watch.counters["unattributed_tx_bytes"] > 0, "there was room")
    sums, _ = totals(watch)
    known = sum(each[0] for key, each in sums.items() if key[0] in said)
    nobodys = watch.counters["unattributed_tx_bytes"]
    lab.check(known <= sum(each[0] for each in said.values()) <= known + nobodys, f"{known} and {nobodys} nobody's")


def loss_is_sent_again_by_its_own_socket():
    """One packet in seven is thrown away: what is sent again is counted, and the bytes stay exact."""
    lab.need_tool("nft")
    rules = ("add table inet t; add chain inet t c { type filter hook input priority 0; };"
             "add rule inet t c tcp flags != syn numgen inc mod 7 == 0 drop")
    with lab.Pair("sockets", mtu=1500) as pair:
        lab.run(*lab.Pair.inside(pair.left, "nft", rules))
        lab.run(*lab.Pair.inside(pair.left, "ip", "link", "set", "lo", "mtu", "1500"))
        with Watch() as watch:
            done = lab.run(*lab.Pair.inside(pair.left, TRAFFIC, "tcp4_write_read"))
        said = truth(done.stdout)
    check_bytes(watch, said)
    sender = next(pid for pid, each in said.items() if each[0])
    row = next(row for row in watch.sockets.values() if any(owner["pid"] == sender and owner["tx_bytes"]
                                                             for owner in row["owners"]))
    lab.equal(row["why"], "fin", "the close")
    lab.check(row["tcp"]["retrans_segs"] > 0, f"nothing was sent again: {row['tcp']}")
    # One event may tell of several segments.
    lab.check(0 < row["retransmits"] <= row["tcp"]["retrans_segs"], f"{row['retransmits']} events")
    lab.check(row["tcp"]["bytes_retrans"] > 0 and row["tcp"]["srtt_us"] > 0, str(row["tcp"]))


def drops_are_their_receivers():
    with Watch() as watch:
        done = lab.run(TRAFFIC, "overflow")
        said = truth(done.stdout)
    check_bytes(watch, said)
    lost = next(row for row in map(json.loads, done.stdout.splitlines()) if row["role"] == "receiver")
    mine = [row for row in watch.rows["drop"] if row["reason"] in ("SOCKET_RCVBUFF", "PROTO_MEM") and
            row.get("owner", [0])[0] == lost["pid"]]
    newest = {(row["reason"], row["socket"]): row["packets"] for row in mine}
    sent = sum(each[0] for each in said.values()) // 1000
    got = said[lost["pid"]][1] // 1000
    lab.equal(sum(newest.values()), sent - got, "datagrams dropped at the receiver's socket")


def all_the_same_without_tick_and_cgroup():
    for name in ("tcp4_write_read", "udp4_sendmsg_recvmsg", "unix_dgram", "raw6"):
        watch, _, _ = watched(name, no_tick=1, no_cgroup=1)
        lab.equal(watch.counters["ticks"], 0, "ticks")


if __name__ == "__main__":
    lab.main(every_way_to_send_and_receive, frames_of_packet_sockets, a_descriptor_handed_over,
             a_connection_inherited_by_ten, ten_thousand_short_processes, equal_tuples_in_two_namespaces,
             udp_segmentation, peeks_do_not_count, pages_mapped, spliced_out, multipath,
             sockets_that_were_there_before, a_folder_of_cgroup_v2, every_connection_of_many,
             a_reader_that_sleeps_loses_nothing_unsaid, limits_of_sixteen, loss_is_sent_again_by_its_own_socket,
             drops_are_their_receivers,
             all_the_same_without_tick_and_cgroup)
