"""What 'sonde rtt' shows, keeps and draws: two namespaces, no relay."""
import fcntl
import json
import math
import os
import pty
import random
import select
import signal
import sqlite3
import struct
import termios
import time
import xml.dom.minidom

import lab
from lab import SONDE, Pair, check, equal, folder, main, run, started, until

PORT = 8621
OUT = {"T1": ["send", "sched", "sent"], "T2": ["send", "call", "sched", "queue", "driver", "sent"]}
IN = {"T1": ["received", "receive"],
      "T2": ["received", "stack", "ready", "waking", "running", "return", "receive"]}
TIERS = {"T1": lab.need_root, "T2": lab.need_tracepoints}
# A sender that spins is seldom woken, and may lose its CPU.
SOMETIMES = {"waking", "running"}
SUMMARY_VALUES = {"count", "min", "p1", "p10", "p50", "p90", "p99", "p99_9", "p99_99", "p99_999", "max", "mean",
                  "deviation"}


def leg_of(names, leg):
    """The points of one leg in path order, from names of segments."""
    pairs = [name.split()[1].split("-") for name in names if name.split()[0] == leg]
    points = [pairs[0][0]] + [pair[1] for pair in pairs]
    equal([pair[0] for pair in pairs], points[:-1], f"segments of {leg} hang together")
    return points


def check_segments(names, tier):
    """Every point of the tier, in path order."""
    equal(leg_of(names, "forward"), OUT[tier] + IN[tier], "points there")
    back = leg_of(names, "back")
    equal([point for point in back if point not in SOMETIMES],
          OUT[tier] + [point for point in IN[tier] if point not in SOMETIMES], "points back")
    equal([name for name in names if name.startswith("reflector")], ["reflector receive-send"], "the reflector")


def for_each_tier(test):
    """The test at T1, and at T2 where this machine has it."""
    def at_both():
        for tier, need in TIERS.items():
            need()
            with Hosts(tier) as hosts:
                test(hosts, tier)
    at_both.__name__ = test.__name__
    return at_both


class Hosts:
    """A sender's host and a reflector's, with the reflector running."""

    def __init__(self, tier="T1"):
        self.tier = tier

    def __enter__(self):
        self.pair = Pair("rto")
        self.pair.__enter__()
        self.reflector = started("ip", "netns", "exec", self.pair.right, SONDE, "reflect", "--port", PORT, "--tier",
                                 self.tier)
        self.process = self.reflector.__enter__()
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        self.reflector.__exit__(None, None, None)
        self.pair.__exit__(None, None, None)

    def command(self, *arguments):
        return ["ip", "netns", "exec", self.pair.left, SONDE, "rtt", f"198.18.0.2:{PORT}", "--tier",
                self.tier, *arguments]

    def rtt(self, *arguments, check_rc=0):
        return run(*self.command(*arguments), check_rc=check_rc)


@for_each_tier
def the_table_fits_and_says_who(hosts, tier):
    text = hosts.rtt("--count", 300, "--rate", 500).stdout
    lines = text.splitlines()
    check(all(len(line) <= 80 for line in lines), f"lines beyond 80 columns:\n{text}")
    legs = {">": "forward", "=": "reflector", "<": "back"}
    rows = [line.split()[:2] for line in lines if line[:2] in ("> ", "< ", "= ") and "there," not in line]
    check_segments([f"{legs[leg]} {name}" for leg, name in rows], tier)
    check(f"tier {tier}:" in lines[0], lines[0])
    for word in ("round trip", "sockets", "kernels", "wire", "slots", "loss", "duplicates", "there", "back",
                 "its clock", "stamps", "Whose time:"):
        check(word in text, f"no '{word}' in\n{text}")
    check("own cost" not in text, "own cost without --interleave")


@for_each_tier
def the_summary_has_its_schema(hosts, tier):
    lines = hosts.rtt("--count", 400, "--rate", 500, "--json", "--interleave", "--explain").stdout.splitlines()
    packets, summary = [json.loads(line) for line in lines[:-1]], json.loads(lines[-1])
    equal(len(packets), 400, "packets")
    equal(summary["type"], "summary", "the last line")
    check_segments(list(summary["segments"]), tier)
    for name, values in list(summary["segments"].items()) + list(summary["distributions"].items()):
        equal(set(values), SUMMARY_VALUES, f"values of {name}")
    tally = summary["tally"]
    equal(tally["slots"], tally["sent"] + tally["skipped"] + tally["failed"], "slots")
    equal(tally["answered"], sum(packet["fate"] == "answered" for packet in packets), "answered")
    rtts = sorted(packet["rtt_ns"] for packet in packets if packet["fate"] == "answered")
    equal(summary["distributions"]["rtt"]["min"], rtts[0], "the least")
    equal(summary["distributions"]["rtt"]["max"], rtts[-1], "the greatest")
    check(abs(sum(summary["shares"].values()) - 1) < 0.01, f"shares: {summary['shares']}")
    offset = summary["offset"]
    check(offset["low_ns"] <= 0 <= offset["high_ns"], f"one clock, an offset: {offset}")
    check(summary["own_cost"]["low_ns"] <= summary["own_cost"]["cost_ns"] <= summary["own_cost"]["high_ns"],
          f"own cost: {summary['own_cost']}")
    check(isinstance(summary["explain"]["moved"], list), "no explanation")
    equal(set(summary["jitter_ns"]), {f"{leg}_{layer}" for leg in ("forward", "back")
                                      for layer in ("socket", "kernel", "wire")}, "jitter")
    equal({name for name in summary["missing"] if name.split()[1] not in SOMETIMES},
          {f"{leg} {point}" for leg in ("forward", "back") for point in OUT[tier] + IN[tier]
           if point not in SOMETIMES}, "missing")
    answered = [packet for packet in packets if packet["fate"] == "answered" and packet["seq"] % 2 == 0]
    complete = [packet for packet in answered if None not in packet["segments_ns"].values()]
    equal(tally["complete"], len(complete), "complete packets")
    for packet in complete:
        equal(sum(packet["segments_ns"].values()), packet["rtt_ns"], "the sum of the segments")


@for_each_tier
def packets_are_kept_and_compared(hosts, tier):
    with folder() as where:
        store = where / "rtt.db"
        hosts.rtt("--count", 3000, "--rate", "1k", "--store", store)
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as database:
            rows = database.execute("SELECT sum(count), sum(length(packed)) FROM rtt_packets").fetchone()
            equal(rows[0], 3000, "packets kept")
            check(rows[1] / rows[0] <= 24, f"{rows[1] / rows[0]:.1f} bytes a packet")
            names = {row[0] for row in database.execute("SELECT name FROM rtt_histograms")}
            ended, summary = database.execute("SELECT ended_ns, summary FROM rtt_runs").fetchone()
            check(ended, "the run has no end")
            summary = json.loads(summary)
            equal(summary["tally"]["slots"], 3000, "slots of the summary kept")
            check_segments(list(summary["segments"]), tier)
            had = {name for name, values in summary["segments"].items() if values["count"]}
            equal(names, had | {"rtt", "socket", "kernel", "wire"}, "histograms")
        text = hosts.rtt("--count", 300, "--rate", "1k", "--against", store).stdout
        check("since run 1" in text or "Nothing moved" in text, text)
        refused = hosts.rtt("--count", 300, "--against", f"{store}#7", check_rc=None)
        check(refused.returncode == 2 and "run 7" in refused.stderr, refused.stderr)


def killed(hosts, where, store, after_s):
    """A run that is killed so long after its first packet was told; how many were told by then."""
    lines = where / "lines"
    with open(lines, "w", encoding="ascii") as out:
        with started(*hosts.command("--rate", "1k", "--timeout", "100ms", "--store", store, "--json"),
                     stdout=out) as process:
            until("a packet is told", lambda: lines.stat().st_size > 0)
            time.sleep(after_s)
            process.kill()
            process.wait()
    return lines.read_bytes().count(b"\n")


def kept_of(store, known):
    """The database is whole; what it has of a run that it had not before, in a row without a gap."""
    with sqlite3.connect(store) as database:
        equal(database.execute("PRAGMA integrity_check").fetchone()[0], "ok", "the file")
        runs = dict(database.execute("SELECT id, ended_ns FROM rtt_runs"))
        blocks = [database.execute("SELECT first_seq, count FROM rtt_packets WHERE run = ? ORDER BY first_seq",
                                   (run_id,)).fetchall() for run_id in set(runs) - known]
    check(all(ended is None for ended in runs.values()), f"the end of a killed run: {runs}")
    check(len(blocks) <= 1, f"runs {runs}, before {known}")
    known |= set(runs)
    kept = 0
    for first, count in blocks[0] if blocks else []:
        equal(first, kept, "a block's first packet")
        kept += count
    return kept


def a_killed_run_keeps_all_but_the_last_second():
    pick, known = random.Random(7), set()
    with Hosts() as hosts, folder() as where:
        store = where / "rtt.db"
        for _ in range(8):
            told = killed(hosts, where, store, pick.uniform(0.01, 3.5))
            kept = kept_of(store, known)
            # At 1 kHz; half a second from commit to commit, and the time that one takes.
            check(told - 1000 <= kept <= told + 1000, f"{kept} packets kept, {told} told")
        check(len(known) >= 4, f"runs kept: {known}")
        read = hosts.rtt("--count", 100, "--rate", 500, "--against", f"{store}#{max(known)}").stdout
        check(f"run {max(known)} to" in read or "Nothing moved" in read, read)


@for_each_tier
def pictures_are_xml(hosts, _):
    with folder() as where:
        hosts.rtt("--count", 500, "--rate", "1k", "--plot", where / "p")
        for name in ("waterfall", "times", "cdf"):
            path = where / f"p-{name}.svg"
            document = xml.dom.minidom.parse(str(path))
            equal(document.documentElement.tagName, "svg", f"the root of {name}")
            check(path.stat().st_size < 300_000, f"{name}: {path.stat().st_size} bytes")
            check("NaN" not in path.read_text() and "nan" not in path.read_text(), f"{name} has no number")
            check(math.isfinite(float(document.documentElement.getAttribute("width"))), "its width")
        refused = hosts.rtt("--count", 5, "--plot", where / "no" / "p", check_rc=None)
        equal(refused.returncode, 3, "the exit code without pictures")


def on_a_terminal(hosts, *arguments):
    """The process, and the descriptor of its terminal of 100 columns and 30 lines."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        os.environ["TERM"] = "xterm"
        command = [str(part) for part in hosts.command(*arguments)]
        os.execvp(command[0], command)
    return pid, terminal


def read_until(terminal, seen, words, timeout_s=20):
    """What the terminal got, added to 'seen', until it has all the words or ends."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and not all(word in seen for word in words):
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                part = os.read(terminal, 65536)
            except OSError:  # the other side is closed
                break
            seen += part
    check(all(word in seen for word in words), f"{[word for word in words if word not in seen]} not in {seen[-3000:]}")
    return seen


def the_screen_lives_and_quits():
    with Hosts() as hosts:
        pid, terminal = on_a_terminal(hosts, "--rate", 200, "--tier", "T1")
        try:
            screen = read_until(terminal, b"", [f"{one}-{two}".encode() for way in (OUT["T1"], IN["T1"])
                                            for one, two in zip(way, way[1:])] +
                                [b"round trip", b"its clock", b"q quit", b" sent"])
            check(b"Whose time" not in screen, "the table before the end")
            os.write(terminal, b"q")
            read_until(terminal, b"", [b"slots", b"Whose time:"])  # the table, once the screen is gone
            equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, "exit code")
            pid = 0
        finally:
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            os.close(terminal)


main(the_table_fits_and_says_who, the_summary_has_its_schema, packets_are_kept_and_compared,
     a_killed_run_keeps_all_but_the_last_second, pictures_are_xml,
     the_screen_lives_and_quits)
