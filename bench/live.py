"""The live part of bench/run: meters on a veth pair, the same frames for each.

bench/sender sends from one CPU, the meter listens on the other.  What a meter
costs has two parts.  Its own: user and system time of its threads, from before
the first frame until it has come to rest.  The kernel's for it, the copy into
its ring and its waking up: that runs on the sender's CPU, where the pair's
NAPI runs, so it is what a frame costs the sender more than without a meter.
"""
import collections
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from typing import Callable, NamedTuple

SEND_CPU, METER_CPU = 0, 1
RING_MB = 256  # of every meter that can be told
READY_S, REST_S, STOP_S = 10, 10, 20
LOSS_FREE = 1e-4  # softflowd counts a few packets less than it was given
STEPS = 6  # of the search
COLUMNS = ("flows", "meter", "asked Mpps", "sent Mpps", "sent", "seen", "lost", "own ns a packet", "kernel's", "both",
           "smallest to largest", "sonde is times", "CPU s at the end")


class Traffic(NamedTuple):
    name: str
    options: dict

    def __hash__(self):
        return hash(self.name)

    def words(self):
        return sum(([f"--{key}", str(value)] for key, value in self.options.items()), [])


TRAFFICS = (Traffic("10 K, 60 B", {"flows": 10_000}), Traffic("100 K, 60 B", {"flows": 100_000}),
            Traffic("1 M, 60 B", {"flows": 1_000_000}))
ROOM = 262_144  # flows, as sonde has it unless told otherwise
RATES = (100_000, 500_000, 1_000_000)
QUICK_RATES = (1_000_000,)


class Meter(NamedTuple):
    """How a meter is started, and how many packets it says it has metered."""
    name: str
    command: list
    seen: Callable  # of the text it printed, when it has ended
    ask: list = []  # a command whose output is added to that text, before the end
    deaf: bool = False  # does not end when it is told to


class Trial(NamedTuple):
    """One meter under one load."""
    sent: int
    seen: int
    pps: float
    busy_ns: float  # the sender's time for a frame
    own_ns: float  # the meter's
    end_s: float  # the meter's after the load: to write what it has, and end

    @property
    def lost(self):
        return self.sent - self.seen


def number(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1].replace(",", "")) if found else 0


class Pair:
    """Two namespaces and the veth pair between them; removed with the block."""

    def __init__(self):
        self.left, self.right = (f"sonde-bench-{side}{os.getpid()}" for side in "lr")

    def __enter__(self):
        for space in (self.left, self.right):
            subprocess.run(["ip", "netns", "add", space], check=True)
        subprocess.run(["ip", "link", "add", "a0", "netns", self.left, "type", "veth", "peer", "name", "b0", "netns",
                        self.right], check=True)
        for space, name in ((self.left, "a0"), (self.right, "b0")):
            subprocess.run(self.inside(space, "sh", "-c", f"echo 1 >/proc/sys/net/ipv6/conf/{name}/disable_ipv6"),
                           check=False, stderr=subprocess.DEVNULL)
            subprocess.run(["ip", "-n", space, "link", "set", name, "up"], check=True)
            subprocess.run(self.inside(space, "ethtool", "-K", name, "gro", "on"), check=True)  # NAPI
        return self

    def __exit__(self, *_):
        for space in (self.left, self.right):
            subprocess.run(["ip", "netns", "delete", space], check=False)

    @staticmethod
    def inside(space, *command):
        return ["ip", "netns", "exec", space, *map(str, command)]

    def napi(self):
        """How the pair's far end polls."""
        done = subprocess.run(self.inside(self.right, "cat", "/sys/class/net/b0/threaded"), capture_output=True,
                              text=True, check=False)
        return "threaded" if done.stdout.strip() == "1" else "not threaded"


class Bench:
    """Trials on a pair."""

    def __init__(self, build, pair, scratch, seconds):
        self.build, self.pair, self.scratch, self.seconds = build, pair, scratch, seconds

    def send(self, traffic, rate):
        words = ["taskset", "-c", SEND_CPU, self.build / "bench/sender", *traffic.words(), "--ms",
                 int(self.seconds * 1000), "--pps", int(rate), "a0"]
        done = subprocess.run(self.pair.inside(self.pair.left, *words), capture_output=True, text=True, check=False,
                              timeout=60 + self.seconds * 4)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return json.loads(done.stdout)

    def base(self, traffic, rate):
        """A trial without a meter."""
        sent = self.send(traffic, rate)
        return Trial(sent["taken"], 0, sent["pps"], sent["busy_ns"], 0, 0)

    def trial(self, meter, traffic, rate):
        folder = self.scratch / "live"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "nfpcapd").mkdir(parents=True)
        with open(folder / "log", "w+", encoding="utf-8", errors="replace") as log:
            words = self.pair.inside(self.pair.right, "taskset", "-c", METER_CPU, *meter.command)
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                listening(process)
                before = cpu_s(process.pid)
                sent = self.send(traffic, rate)
                after = rest(process.pid)
                if meter.ask and not meter.ask[0].startswith("racount"):
                    subprocess.run(meter.ask, stdout=log, stderr=log, check=False, timeout=10)
                total = end(process, meter.deaf)
            finally:
                if process.returncode is None:
                    process.kill()
                    process.wait()
            if meter.ask and meter.ask[0].startswith("racount"):
                subprocess.run(meter.ask, stdout=log, stderr=log, check=False, timeout=60)
            log.flush()
            log.seek(0)
            text = log.read()
        return Trial(sent["taken"], meter.seen(text), sent["pps"], sent["busy_ns"],
                     (after - before) * 1e9 / max(1, sent["taken"]), max(0.0, total - after))


def bound(pid):
    """Whether a process's namespace has a packet socket on an interface."""
    try:
        with open(f"/proc/{pid}/net/packet", encoding="ascii") as file:
            return any(line.split()[4] != "0" for line in file.readlines()[1:])
    except OSError:
        return False


def listening(process):
    """Waits until the meter listens and has done with its start."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        if bound(process.pid):
            rest(process.pid)
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args[6]}: does not listen")


def cpu_s(pid):
    """User and system time of a process's threads, to the nanosecond."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def rest(pid):
    """Waits until a process has worked off its load; its CPU time by then."""
    now = cpu_s(pid)
    idle = 0
    for _ in range(int(REST_S / 0.1)):
        time.sleep(0.1)
        before, now = now, cpu_s(pid)
        idle = idle + 1 if now - before < 0.005 else 0
        if idle == 2:
            break
    return now


def end(process, deaf):
    """Ends a process; the CPU time of its life."""
    process.send_signal(signal.SIGKILL if deaf else signal.SIGINT)
    deadline = time.monotonic() + STOP_S
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_utime + usage.ru_stime
        if time.monotonic() > deadline:
            process.kill()
        time.sleep(0.01)


def meters(build, scratch, found, nfpcapd_folder, traffic):
    """Those that are installed, sonde first, with room for the traffic's flows where that can be told."""
    folder = scratch / "live"
    room = max(ROOM, traffic.options["flows"] * 5 // 4)
    sonde = [build / "sonde", "run", "-i", "b0", "--no-tui", "--workers", "1", "--config", "/dev/null",
             "--flows", room]
    metered = r"\n  metered +([\d,]+) "
    yield Meter("sonde", [*sonde, "--no-store"], lambda text: number(metered, text))
    yield Meter("sonde, SQLite", [*sonde, "--database", folder / "sonde.db"], lambda text: number(metered, text))
    if found("softflowd"):
        yield Meter("softflowd", [found("softflowd"), "-i", "b0", "-d", "-m", room, "-B", RING_MB << 20, "-p",
                                  folder / "pid", "-c", folder / "ctl"],
                    lambda text: number(r"Packets processed: (\d+)", text),
                    [found("softflowctl"), "-c", str(folder / "ctl"), "statistics"], True)
    if found("nfpcapd"):
        yield Meter("nfpcapd", [found("nfpcapd"), "-i", "b0", nfpcapd_folder(), folder / "nfpcapd", "-S", "0", "-b",
                                RING_MB], lambda text: number(r"Total: Processed: (\d+)", text))
    if found("argus") and found("racount"):
        yield Meter("argus", [found("argus"), "-i", "b0", "-w", folder / "argus.out", "-F", "/dev/null"],
                    lambda text: number(r"\n +sum +\d+ +(\d+)", text), ["racount", "-r", str(folder / "argus.out")])


def search(bench, meter, traffic):
    """The highest rate that a meter takes without loss; 0: all that the sender gives to it."""
    def good(rate):
        trial = bench.trial(meter, traffic, rate)
        return trial.lost <= trial.sent * LOSS_FREE, trial.pps
    low, high = 0.0, 0.0
    fine, high = good(0)
    if fine:
        return 0
    for _ in range(STEPS):
        rate = (low + high) / 2
        if good(rate)[0]:
            low = rate
        else:
            high = rate
    return low or 1000


class Row(NamedTuple):
    traffic: Traffic
    meter: str
    rate: str
    trials: list
    base: list  # the same load without a meter
    sonde: list

    @staticmethod
    def both(trials, base):
        return [trial.own_ns + trial.busy_ns - statistics.median(one.busy_ns for one in base) for trial in trials]

    def cells(self):
        own = statistics.median(trial.own_ns for trial in self.trials)
        kernel = statistics.median(trial.busy_ns for trial in self.trials) - statistics.median(
            trial.busy_ns for trial in self.base)
        owns = [trial.own_ns for trial in self.trials]
        sent, seen = (sum(getattr(trial, what) for trial in self.trials) for what in ("sent", "seen"))
        yield self.traffic.name
        yield self.meter
        yield self.rate
        yield f"{statistics.median(trial.pps for trial in self.trials) / 1e6:.2f}"
        yield f"{sent:,}"
        yield f"{seen:,}"
        yield f"{sent - seen:,}"
        yield f"{own:.0f}"
        yield f"{kernel:.0f}"
        yield f"{own + kernel:.0f}"
        yield f"{min(owns):.0f} to {max(owns):.0f}"
        yield f"{own / statistics.median(trial.own_ns for trial in self.sonde):.2f}" if self.sonde else ""
        yield f"{statistics.median(trial.end_s for trial in self.trials):.2f}"


def measure(bench, todo, traffic, rate, rounds):
    """Rows of one load: rounds in which the meters take turns, after a warm-up.

    A rate of None is each meter's own highest.
    """
    rates = {meter.name: search(bench, meter, traffic) if rate is None else rate for meter in todo}
    trials, base = collections.defaultdict(list), collections.defaultdict(list)
    bench.base(traffic, RATES[0])
    for _ in range(rounds):
        for load in sorted(set(rates.values())):
            base[load].append(bench.base(traffic, load))
        for meter in todo:
            try:
                trials[meter.name].append(bench.trial(meter, traffic, rates[meter.name]))
            except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
                print(f"bench: {meter.name}: {error}", file=sys.stderr)
    words = {meter.name: "all" if rates[meter.name] == 0 else f"{rates[meter.name] / 1e6:.2f}" for meter in todo}
    for meter in todo:
        if trials[meter.name]:
            yield Row(traffic, meter.name, ("most: " if rate is None else "") + words[meter.name], trials[meter.name],
                      base[rates[meter.name]], trials[todo[0].name] if todo[0].name.startswith("sonde") else [])


def why_not(build):
    """What keeps this from running here, or ""."""
    if not (build / "bench/sender").exists():
        return "this build has no bench/sender: it needs clang and libbpf 0.8 or later"
    if os.geteuid() != 0:
        return "needs root: network namespaces"
    if len(os.sched_getaffinity(0)) < 2:
        return "needs two CPUs: one for the sender, one for the meter"
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [name for name in ("ip", "ethtool", "taskset") if not shutil.which(name, path=path)]
    return f"not installed: {', '.join(missing)}" if missing else ""


def rows(build, scratch, options, found, nfpcapd_folder):
    """The table's rows, and how the pair polled."""
    rates = options.rates or (QUICK_RATES if options.quick else (*RATES, None))
    traffics = [one for one in TRAFFICS[:1 if options.quick else None] if (options.traffic or "") in one.name]
    todo = {traffic: [meter for meter in meters(build, scratch, found, nfpcapd_folder, traffic)
                      if not options.meters or meter.name in options.meters.split(";")] for traffic in traffics}
    with Pair() as pair:
        bench = Bench(build, pair, scratch, options.seconds)
        found_rows = [row for traffic in traffics for rate in rates
                      for row in measure(bench, todo[traffic], traffic, rate, options.rounds)]
        return found_rows, pair.napi()
