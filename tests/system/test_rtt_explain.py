"""Faults of eight kinds, live: does 'sonde rtt --explain' name the right one?

'python3 test_rtt_explain.py BUILD SOURCE trials COUNT [SEED [KIND]]' makes
random trials and tells each that goes wrong.  Each is a fault of one kind at
one host, 100 us and more, 200 packets: half of them between two runs, half
within one.  Kinds are made by

    queue         a token bucket (tbf) that is slower than the packets come
    driver        BPF that spins between the driver's call and its stamp
    interrupt     BPF that spins where the softirq hands a packet over
    wake-up       BPF that spins where the reader's thread is woken
    hog           a real-time thread on the reader's CPU
    pause         SIGSTOP and SIGCONT, or a reflector in Python that sleeps
    path forward, path back       the delay line
"""
import collections
import contextlib
import json
import os
import random
import subprocess
import sys
import time

from lab import BUILD, SONDE, SOURCE, Skip, check, folder, main, need_first_pids, run, started, until
from line import PORT, RIGHT, Line

INJECT = BUILD / "tests/system/inject"
PACKETS = 200
KINDS = ("queue", "driver", "interrupt", "wake-up", "hog", "pause", "path forward", "path back")
CPUS = {"sender": 0, "reflector": 1}
DEVICES = {"sender": "a0", "reflector": "b0"}
ENDLESS = 10**9

# Sleeps before some of its answers once the file named is there.
SLEEPER = """
import os, random, sys, time
from sonde_rtt import reflector
answer = reflector.Reflector.answer
def late(self, sock, packet):
    if os.path.exists(sys.argv[1]) and random.random() < float(sys.argv[3]):
        time.sleep(float(sys.argv[2]) / 1e9)
    answer(self, sock, packet)
reflector.Reflector.answer = late
sys.exit(reflector.main(["--port", sys.argv[4]]))
"""


class Trial:
    """What is done to whom; by chance, the same again from the same seed."""

    def __init__(self, seed, kind=None):
        pick = random.Random(seed)
        self.seed = seed
        self.kind = pick.choice(KINDS)
        if kind:
            self.kind = kind
        self.host = pick.choice(("sender", "reflector"))
        self.rate = pick.choice((200, 400, 700, 1000))
        self.delay_ns = int(100_000 * 20 ** pick.random())
        if self.kind in ("driver", "interrupt", "wake-up"):
            # Some have it twice a packet: that must not be all the time there is.
            self.delay_ns = min(self.delay_ns, 250_000_000 // self.rate)
        self.share = 1000
        self.way = self.kind
        if self.kind == "hog":
            self.delay_ns *= 2  # at a time: who comes by chance waits half of it
            self.share = pick.randrange(300, 700)
        if self.kind == "pause":
            self.way = pick.choice(("stop", "sleep"))
            self.share = pick.randrange(300, 700)
            if self.way == "sleep":
                self.host = "reflector"
            else:
                self.delay_ns *= 2
        self.size = pick.randrange(800, 1300)  # room for every stamp
        self.surplus = pick.uniform(1.05, 1.6)
        self.within = pick.random() < 0.5
        self.begin = pick.randrange(50, 130) if self.within else 3
        self.end = ENDLESS
        if self.within and self.kind != "queue" and pick.random() < 0.3:
            self.end = self.begin + pick.randrange(50, 80)
        self.sleeps = pick.random() < 0.5 or (self.kind == "wake-up" and self.host == "sender")
        self.tier = pick.choice(("T1", "T2"))

    def __str__(self):
        return (f"seed {self.seed}: {self.kind} ({self.way}) at the {self.host}, {self.delay_ns} ns, share "
                f"{self.share}, {self.rate} Hz, tier {self.tier}, {'within' if self.within else 'against'}"
                f"{f' {self.begin} to {self.end}' if self.within else ''}{', asleep' * self.sleeps}")

    def queue(self):
        """A token bucket that the packets' rate exceeds."""
        frame = self.size + 42
        bits = int(frame * 8 * self.rate / self.surplus)
        return ["tbf", "rate", f"{bits}bit", "burst", frame + 64, "limit", 4_000_000]

    def command(self):
        names = {"wake-up": "wakeup", "pause": "stop"}
        return [names.get(self.way, self.way), PORT, self.begin, self.end, self.delay_ns, self.share]


def verdict(trial, summary):
    """Whether the first culprit is the right one, whether it is one kind alone, and who it was."""
    moved = (summary.get("explain") or {}).get("moved") or []
    if not moved:
        return False, False, "nobody"
    first = moved[0]
    told = f"{' or '.join(first['culprits'])} at {first['host']}, {first['segment']}, {first['added_ns']} ns"
    right = trial.kind in first["culprits"] and len(first["culprits"]) <= 2
    if not trial.kind.startswith("path"):
        right = right and first["host"] == trial.host
    return right, len(first["culprits"]) == 1, told + "".join(f"; then {' or '.join(c['culprits'])} at {c['host']} {c['segment']} {c['added_ns']}"
                                 for c in moved[1:3])


class NoFault(Exception):
    """The run was over before the injector came to it."""


class Field:
    """The two hosts with reflectors, ready for trials."""

    def __init__(self, relayed):
        self.line = Line(relayed=relayed, tag="exr" if relayed else "exd")
        self.reflector = None

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        try:
            self.stack.enter_context(self.line)
            self.where = self.stack.enter_context(folder())
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    @contextlib.contextmanager
    def reflecting(self, trial):
        command = ["taskset", "-c", CPUS["reflector"]]
        if trial.way == "sleep":
            command += [sys.executable, "-c", SLEEPER, self.where / "late", trial.delay_ns, trial.share / 1000, PORT]
        else:
            command += [SONDE, "reflect", "--port", PORT, "--json", "--tier", trial.tier]
        environment = dict(os.environ, PYTHONPATH=str(SOURCE / "python"))
        with started(*self.line.inside(self.line.right, *command), stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL, env=environment) as process:
            until("the reflector listens", lambda: self.line.listens(self.line.right, PORT))
            yield process

    def rtt(self, trial, *more):
        command = [SONDE, "rtt", RIGHT, "--port", PORT, "--count", PACKETS, "--rate", trial.rate, "--json", "--tier",
                   trial.tier, "--timeout", "900ms", "--cpu", CPUS["sender"], *more]
        if trial.sleeps:
            command.append("--sleep")
        if trial.kind == "queue":
            command += ["--size", trial.size]
        return self.line.inside(self.line.left, *command)

    def script(self, trial):
        """Of the delay line: packets of one direction are late."""
        leg = "f" if trial.kind == "path forward" else "b"
        pick = random.Random(trial.seed)
        return "\n".join(f"{leg} {seq} 0 {int(trial.delay_ns * pick.uniform(0.8, 1.2))}"
                         for seq in range(trial.begin if trial.within else 0, min(trial.end, PACKETS)))

    @contextlib.contextmanager
    def relaying(self, name, text):
        if not self.line.relayed:
            yield
            return
        (self.where / name).write_text(text)
        with self.line.delayed(self.where / name, self.where / "log", cpu=CPUS["reflector"]):
            yield

    @contextlib.contextmanager
    def sending(self, command):
        """Into a file: whoever reads along takes CPU."""
        with open(self.where / "out", "w", encoding="ascii") as out:
            with started(*command, stdout=out, stderr=subprocess.DEVNULL) as sender:
                yield sender

    def told(self):
        """The summary."""
        lines = (self.where / "out").read_text().splitlines()
        check(lines, "the sender told nothing")
        return json.loads(lines[-1])

    def summary(self, command):
        with self.sending(command) as sender:
            sender.wait(timeout=60)
        return self.told()

    def faulty(self, trial, reflector, *more):
        """The summary of a run with the fault."""
        command = self.rtt(trial, *more)
        if self.line.relayed:
            with self.relaying("script", self.script(trial)):
                return self.summary(command)
        if trial.way == "sleep":
            return self.slept(trial, command)
        with self.sending(command) as sender:
            where = self.line.left if trial.host == "sender" else self.line.right
            pid = sender.pid if trial.host == "sender" else reflector.pid
            inject = self.line.inside(where, INJECT, *trial.command(), pid, CPUS[trial.host], DEVICES[trial.host],
                                      *trial.queue())
            with started(*inject, stdout=subprocess.PIPE, text=True) as injector:
                check(injector.stdout.readline() == "ready\n", "no injector")
                sender.wait(timeout=60)
                injector.terminate()
                times = int(injector.communicate(timeout=20)[0])
                if times == 0:
                    raise NoFault(f"{trial}")
        return self.told()

    def slept(self, trial, command):
        late = self.where / "late"
        late.unlink(missing_ok=True)
        try:
            if not trial.within:
                late.touch()
                return self.summary(command)
            with self.sending(command) as sender:
                while not self.begun(trial):
                    time.sleep(0.01)
                late.touch()
                sender.wait(timeout=60)
            return self.told()
        finally:
            late.unlink(missing_ok=True)

    def begun(self, trial):
        text = run(*self.line.inside(self.line.left, "cat", "/sys/class/net/a0/statistics/tx_packets")).stdout
        if not hasattr(trial, "first"):
            trial.first = int(text)
        return int(text) - trial.first >= trial.begin

    def trial(self, trial):
        store = self.where / "store.db"
        for path in self.where.glob("store.db*"):
            path.unlink()
        with self.reflecting(trial) as reflector:
            if trial.within:
                summary = self.faulty(trial, reflector, "--explain")
            else:
                with self.relaying("none", ""):
                    self.summary(self.rtt(trial, "--store", store))
                summary = self.faulty(trial, reflector, "--against", store)
        return verdict(trial, summary)


def idle():
    """The machine's share of idle time, of 100 ms."""
    def times():
        with open("/proc/stat", encoding="ascii") as stat:
            return [int(word) for word in stat.readline().split()[1:9]]
    before = times()
    time.sleep(0.1)
    spent = [after - one for after, one in zip(times(), before)]
    return (spent[3] + spent[4]) / max(sum(spent), 1)


def settle():
    """Faults are told from a machine that is busy otherwise only while it is not."""
    end = time.monotonic() + 20
    while idle() < 0.8 and time.monotonic() < end:
        pass
    return idle() >= 0.8


def trials(count, seed=1, kind=None):
    tried, right, alone = collections.Counter(), collections.Counter(), collections.Counter()
    with Field(False) as direct, Field(True) as relayed:
        for number in range(seed, seed + count):
            trial = Trial(number, kind)
            field = relayed if trial.kind.startswith("path") else direct
            settle()
            try:
                good, single, told = field.trial(trial)
            except NoFault as none:
                print(f"# no fault: {none}", flush=True)
                continue
            tried[trial.kind] += 1
            right[trial.kind] += good
            alone[trial.tier, trial.kind] += good and single
            if not good:
                print(f"# {trial}: {told}", flush=True)
    print("# right first in " + ", ".join(f"{name} {right[name]}/{tried[name]}" for name in KINDS if tried[name])
          + f": {right.total()} of {tried.total()}; named alone: {alone.total()}", flush=True)
    return tried, right


def named(kind, host, **more):
    """A fault of some size is named, in two of three trials: the machine has faults of its own.  One that other
    programs keep busy all the time has too many of them."""
    with Field(kind.startswith("path")) as field:
        told, quiet = [], True
        for seed in range(3):
            quiet &= settle()
            trial = Trial(seed, kind)
            vars(trial).update({"host": host, "rate": 400, "delay_ns": 600_000, "within": False, "begin": 3,
                                "end": ENDLESS, "tier": "T1", "sleeps": False, **more})
            with contextlib.suppress(NoFault):
                told.append(field.trial(trial))
            if sum(right for right, _, _ in told) == 2:
                return
        quiet &= settle()
    if not quiet:
        raise Skip(f"other programs keep this machine busy: {kind} at the {host} could not be told from what they do")
    check(False, f"{kind} at the {host}: {told}")


def need_injector():
    if not INJECT.exists():
        raise Skip("this build has no BPF")


def the_kernels_faults_are_named():
    need_injector()
    named("queue", "sender")
    named("queue", "reflector")
    named("driver", "reflector")
    named("interrupt", "reflector")


def the_readers_faults_are_named():
    need_injector()
    need_first_pids()  # its thread is chosen by its number
    named("wake-up", "reflector")
    named("hog", "reflector", way="hog", delay_ns=2_000_000, share=500)
    named("pause", "reflector", way="stop", delay_ns=2_000_000, share=500)


def the_paths_faults_are_named():
    named("path forward", None)
    named("path back", None)


def a_fault_is_found_within_a_run():
    need_injector()
    named("driver", "reflector", within=True, begin=80, end=ENDLESS)
    named("interrupt", "reflector", within=True, begin=60, end=130)


if len(sys.argv) > 3:
    trials(int(sys.argv[4]), *[int(word) if word.isdigit() else word for word in sys.argv[5:]])
    sys.exit(0)
main(
    the_kernels_faults_are_named,
    the_readers_faults_are_named,
    the_paths_faults_are_named,
    a_fault_is_found_within_a_run,
)
