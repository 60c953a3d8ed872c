"""Two hosts for round trips, with the delay line between them or nothing."""
import collections
import contextlib
import json
import os
import signal
import subprocess

from lab import BUILD, SONDE, check, equal, need_root, run, started, until

PORT = 8620
LEFT, RIGHT = "198.18.0.1", "198.18.0.2"
LEFT6, RIGHT6 = "fd00:18::1", "fd00:18::2"
os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1")


class Line:
    """Two hosts, left and right, and between them nothing or the delay line."""

    def __init__(self, relayed=True, mtu=1500, tag="rtt"):
        self.relayed, self.mtu = relayed, mtu
        self.left, self.middle, self.right = (f"{tag}{side}{os.getpid()}" for side in "lmr")

    def __enter__(self):
        need_root()
        self.spaces = [self.left, self.right] + [self.middle] * self.relayed
        for space in self.spaces:
            run("ip", "netns", "add", space)
        if self.relayed:
            self.veth("a0", self.left, "m0", self.middle)
            self.veth("b0", self.right, "m1", self.middle)
            for interface in ("m0", "m1"):
                run("ip", "netns", "exec", self.middle, "sh", "-c",
                    f"echo 1 >/proc/sys/net/ipv6/conf/{interface}/disable_ipv6")
                run("ip", "-n", self.middle, "link", "set", interface, "up")
        else:
            self.veth("a0", self.left, "b0", self.right)
        for space, interface, four, six in ((self.left, "a0", LEFT, LEFT6), (self.right, "b0", RIGHT, RIGHT6)):
            run("ip", "-n", space, "address", "add", four + "/24", "dev", interface)
            run("ip", "-n", space, "address", "add", six + "/64", "dev", interface, "nodad")
            run("ip", "-n", space, "link", "set", interface, "up")
            run("ip", "-n", space, "link", "set", "lo", "up")
        return self

    def veth(self, one, one_space, other, other_space):
        run("ip", "link", "add", one, "mtu", self.mtu, "netns", one_space, "type", "veth", "peer", "name", other,
            "mtu", self.mtu, "netns", other_space)

    def __exit__(self, *_):
        for space in self.spaces:
            subprocess.run(["ip", "netns", "delete", space], check=False)

    @staticmethod
    def inside(space, *command):
        return ["ip", "netns", "exec", space, *map(str, command)]

    @contextlib.contextmanager
    def reflector(self, *arguments):
        """Yields the process; its counters are in .counters at the end."""
        command = self.inside(self.right, SONDE, "reflect", "--port", PORT, "--json", *arguments)
        with started(*command, stdout=subprocess.PIPE, text=True) as process:
            until("the reflector listens", lambda: self.listens(self.right, PORT))
            process.counters = None
            yield process
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.counters = json.loads(process.communicate(timeout=20)[0])
                equal(process.returncode, 0, "the reflector's exit code")
                counts = process.counters
                equal(counts["received"], sum(counts[name] for name in (
                    "answered", "short_packets", "hmac_wrong", "limited", "refused")), f"outcomes of {counts}")

    def listens(self, space, port):
        return f":{port} " in run(*self.inside(space, "ss", "-Hlun")).stdout

    @contextlib.contextmanager
    def delayed(self, script, log, delay_ns=0, keyed=False, cpu=None):
        """On a CPU of its own choice, or first on 'cpu'."""
        first = ["chrt", "-f", 50, "taskset", "-c", cpu] if cpu is not None else []
        command = self.inside(self.middle, *first, BUILD / "tests/system/relay", "m0", "m1", PORT, script, log, delay_ns,
                              *["keyed"] * keyed)
        with started(*command, stdout=subprocess.PIPE, text=True) as process:
            equal(process.stdout.readline(), "ready\n", "the delay line")
            yield
            process.terminate()
            said = process.communicate(timeout=60)[0]
            equal(process.returncode, 0, f"the delay line's exit code ({said})")

    def rtt(self, *arguments, check_rc=0, host=RIGHT, timeout=600):
        """The packets and the summary."""
        done = run(*self.inside(self.left, SONDE, "rtt", host, "--port", PORT, "--json", *arguments),
                   check_rc=check_rc, timeout=timeout)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return rows[:-1], rows[-1], done


def ledger_check(packets, summary, count):
    """Every slot is there once, in order, and the sums are right."""
    equal([row["seq"] for row in packets], list(range(count)), "the slots")
    equal(summary["trips_lost"], 0, "trips lost between threads")
    equal(summary["slots"], count, "slots")
    equal(summary["sent"] + summary["skipped"] + summary["failed"], count, "outcomes of slots")
    equal(summary["answered"] + summary["lost"], summary["sent"], "outcomes of packets")
    fates = collections.Counter(row["fate"] for row in packets)
    equal(fates["answered"], summary["answered"], "answered")
    equal(fates["skipped"], summary["skipped"], "skipped")


def residual_check(packets):
    """Segments add up to the round trip, to the nanosecond."""
    complete = 0
    for row in packets:
        parts = list(row["segments_ns"].values())
        if row["fate"] == "answered" and None not in parts:
            complete += 1
            if sum(parts) != row["rtt_ns"]:
                raise AssertionError(f"residual {row['rtt_ns'] - sum(parts)} ns in {row}")
    return complete
