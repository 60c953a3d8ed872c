"""What the system tests share: TAP, namespaces, small captures.

Run as 'python3 test_x.py BUILD SOURCE': the build folder with sonde in it,
and the root of the source tree.  A test is a function whose name is a
sentence; it passes when it returns, fails when it raises and skips, with its
reason, when it raises Skip.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = pathlib.Path(sys.argv[1]).resolve()
SOURCE = pathlib.Path(sys.argv[2]).resolve()
SONDE = BUILD / "sonde"
DATA = pathlib.Path(os.environ.get("SONDE_DATA", SOURCE.parent / "shared" / "data"))


class Skip(Exception):
    """This test cannot run here; the message says why."""


def main(*tests):
    """Run the tests in order and print TAP."""
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, test in enumerate(tests, 1):
        name = test.__name__
        try:
            test()
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except BaseException:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {name}", flush=True)
            print(f"{name}\n{traceback.format_exc()}", file=sys.stderr, flush=True)
    sys.exit(1 if failed else 0)


def check(condition, message):
    """An assertion that says what was seen."""
    if not condition:
        raise AssertionError(message)


def equal(is_, should, what):
    check(is_ == should, f"{what}: {is_!r}, expected {should!r}")


def need_data(name):
    """A public capture set beside the project, or skip by its name."""
    path = DATA / name
    if not path.is_dir():
        raise Skip(f"the captures '{name}' are not there ({path})")
    return path


def need_tool(*names):
    for name in names:
        if not shutil.which(name):
            raise Skip(f"'{name}' is not installed")


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root: network namespaces")
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        raise Skip("network namespaces cannot be made here")


def need_first_pids():
    """The kernel names processes as its first pid namespace does, and tests know their own as theirs does."""
    need_root()
    if os.readlink("/proc/self/ns/pid") != "pid:[4026531836]":
        raise Skip("this is not the first pid namespace: the kernel names processes by other numbers")


def need_tracepoints():
    """Tier T2, or skip by what this machine says of it."""
    need_root()
    rows = [json.loads(line) for line in sonde("doctor", "-f", "json", check_rc=None).stdout.splitlines()]
    row = next(row for row in rows if row["area"] == "Round trips" and row["name"] == "T2")
    if row["verdict"] != "ok":
        raise Skip(f"tier T2: {row['text']}")


def run(*command, check_rc=0, timeout=120, **more):
    """Run to the end; stdout and stderr as text."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout,
                          check=False, **more)
    if check_rc is not None and done.returncode != check_rc:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout[-2000:]}\n"
                             f"{done.stderr[-4000:]}")
    return done


def sonde(*arguments, check_rc=0, **more):
    return run(SONDE, *arguments, check_rc=check_rc, **more)


def flows(*arguments, check_rc=0, **more):
    """The records of 'sonde flows -f json', as dictionaries."""
    done = sonde("flows", "-f", "json", *arguments, check_rc=check_rc, **more)
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextlib.contextmanager
def folder():
    path = tempfile.mkdtemp(prefix="sonde-test-")
    try:
        yield pathlib.Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def started(*command, **more):
    """A process that is ended with the block, by its id."""
    process = subprocess.Popen([str(part) for part in command], **more)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def until(what, condition, timeout_s=20):
    """Wait for a condition; its value."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {timeout_s} s in vain for: {what}")


class Pair:
    """Two network namespaces joined by a veth pair: a (left) and b (right)."""

    def __init__(self, name, mtu=1500):
        self.left, self.right = f"{name}l{os.getpid()}", f"{name}r{os.getpid()}"
        self.mtu = mtu

    def __enter__(self):
        need_root()
        for space in (self.left, self.right):
            run("ip", "netns", "add", space)
        run("ip", "link", "add", "a0", "mtu", self.mtu, "netns", self.left, "type", "veth", "peer", "name", "b0",
            "mtu", self.mtu, "netns", self.right)
        for space, interface, address in ((self.left, "a0", "198.18.0.1/24"), (self.right, "b0", "198.18.0.2/24")):
            # No neighbour or router chatter beside the traffic of the test.
            self.quiet(space, interface)
            run("ip", "-n", space, "address", "add", address, "dev", interface)
            run("ip", "-n", space, "link", "set", interface, "up")
            run("ip", "-n", space, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_):
        for space in (self.left, self.right):
            subprocess.run(["ip", "netns", "delete", space], check=False)

    @staticmethod
    def quiet(space, interface):
        """No IPv6 on an interface: it sends router and neighbour messages of its own."""
        run("ip", "netns", "exec", space, "sh", "-c", f"echo 1 >/proc/sys/net/ipv6/conf/{interface}/disable_ipv6")

    @staticmethod
    def inside(space, *command):
        return ["ip", "netns", "exec", space, *map(str, command)]


# ---------------------------------------------------------------- captures --


def ethernet(payload, vlan=None):
    tag = struct.pack("!HH", 0x8100, vlan) if vlan else b""
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + tag + b"\x08\x00" + payload


def ipv4(src, dst, protocol, payload, ident=0, fragment=0):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, fragment, 64, protocol, 0,
                       socket.inet_aton(src), socket.inet_aton(dst))
    return head + payload


def udp(sport, dport, payload=b""):
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload


def tcp(sport, dport, flags, seq=0, ack=0, payload=b""):
    return struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 65535, 0, 0) + payload


def pcap(frames, cut=262144, link_type=1):
    """A nanosecond pcap of (time_ns, bytes)."""
    out = [struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, cut, link_type)]
    for at, frame in frames:
        out += [struct.pack("<IIII", at // 10**9, at % 10**9, min(len(frame), cut), len(frame)), frame[:cut]]
    return b"".join(out)


def signal_and_wait(process, number=signal.SIGINT, timeout=30):
    process.send_signal(number)
    return process.wait(timeout=timeout)
