#!/usr/bin/env python3
"""Who moved which bytes: the kernel's account beside that of the programs, to 0 bytes."""
import collections
import contextlib
import json
import os
import pathlib
import subprocess
import threading

import lab

DUMP = lab.BUILD / "tests" / "kernel" / "sockets_dump"
TRAFFIC = lab.BUILD / "tests" / "system" / "traffic"


class Watch:
    """sockets_dump beside the block; afterwards what it said."""

    def __init__(self, **options):
        lab.need_root()
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
            owner = last or row["owners"][0]
            other[owner["pid"], owner["start_ns"]] += row["rx_other_bytes"]
    for key, row in watch.bytes.items():
        for each in row["classes"].values():
            sums[key][0] += each["tx_bytes"]
            sums[key][1] += each["rx_bytes"]
    return sums, other


def check_ledger(watch, refused=False):
    """Every sum that must be exact."""
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
    lab.check(any(row["class"] == "mptcp" for row in watch.sockets.values()), "no MPTCP socket")


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


def all_the_same_without_tick_and_cgroup():
    for name in ("tcp4_write_read", "udp4_sendmsg_recvmsg", "unix_dgram", "raw6"):
        watch, _, _ = watched(name, no_tick=1, no_cgroup=1)
        lab.equal(watch.counters["ticks"], 0, "ticks")


if __name__ == "__main__":
    lab.main(every_way_to_send_and_receive, frames_of_packet_sockets, a_descriptor_handed_over,
             a_connection_inherited_by_ten, ten_thousand_short_processes, equal_tuples_in_two_namespaces,
             udp_segmentation, peeks_do_not_count, pages_mapped, spliced_out, multipath,
             sockets_that_were_there_before, a_folder_of_cgroup_v2, all_the_same_without_tick_and_cgroup)
