#!/usr/bin/env python3
"""sonde watch: bytes of known traffic, to the last one, and what is said of damage."""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

import lab

# Two processes over TCP, UDP and Unix; each line of its output is "name pid".
PAIR = """
import os, socket, sys
count, size = int(sys.argv[1]), int(sys.argv[2])
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen(1)
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); datagrams.bind(("127.0.0.1", 0))
near, far = socket.socketpair()
child = os.fork()
if child == 0:
    tcp = socket.create_connection(listener.getsockname())
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    near.close(); datagram_to = datagrams.getsockname()
    for _ in range(count):
        tcp.sendall(b"t" * size)
        udp.sendto(b"u" * 100, datagram_to)
        far.sendall(b"x" * 10)
        assert udp and far.recv(1) == b"!"
    tcp.shutdown(socket.SHUT_WR); assert tcp.recv(1) == b""
    os._exit(0)
far.close()
tcp, _ = listener.accept()
left = count * size
for i in range(count):
    assert len(datagrams.recv(1000)) == 100
    got = 0
    while got < 10:
        got += len(near.recv(10 - got))
    got = 0
    while got < size:
        got += len(tcp.recv(min(65536, size - got)))
    near.sendall(b"!")
assert tcp.recv(1) == b""
tcp.close()
os.waitpid(child, 0)
print(os.getpid(), child, flush=True)
"""


def need_watch():
    """Counting works here, or skip by what this machine says of it."""
    lab.need_first_pids()
    rows = [json.loads(line) for line in lab.sonde("doctor", "-f", "json", check_rc=None).stdout.splitlines()]
    rows = [row for row in rows if row["area"] == "Sockets"]
    if not any(row["name"] == "sock_send_length" or row["verdict"] == "ok" for row in rows):
        raise lab.Skip(f"watch: {rows[0]['text']}")


class Watch:
    """A run of 'sonde watch --json'; its lines by type once it has ended."""

    def __init__(self, *options):
        lab.need_first_pids()
        # Into a file: whoever reads must not keep it waiting.
        self.out = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.process = subprocess.Popen([str(lab.SONDE), "watch", "--json", *map(str, options)], stdout=self.out,
                                        stderr=subprocess.PIPE, text=True)
        self.rows, self.rc, self.errors = [], None, ""

    def __enter__(self):
        lab.until("it counts", self.begun)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.out.close()

    def begun(self):
        if self.process.poll() is not None:
            raise AssertionError(f"ended with {self.process.returncode}: {self.process.stderr.read()}")
        return os.fstat(self.out.fileno()).st_size > 0

    def finish(self, timeout=60):
        self.rc = self.process.wait(timeout=timeout)
        self.errors = self.process.stderr.read()
        self.out.seek(0)
        self.rows = [json.loads(line) for line in self.out]
        lab.equal(self.rows[0]["type"], "begin", "the first line")
        lab.equal(self.rows[-1]["type"], "summary", "the last line")
        return self

    def of(self, kind, **wanted):
        return [row for row in self.rows if row["type"] == kind
                and all(row[key] == value for key, value in wanted.items())]

    @property
    def summary(self):
        return self.rows[-1]

    def process_of(self, pid):
        found = self.of("process", pid=pid)
        lab.equal(len(found), 1, f"process lines of {pid}")
        return found[0]


def check_sums(watch):
    """Intervals, totals and the ledger say the same, whatever the machine did beside."""
    summary, intervals = watch.summary, watch.of("interval")
    lab.equal([row["index"] for row in intervals], list(range(summary["intervals"])), "intervals")
    lab.equal(sum(row["duration_ns"] for row in intervals), summary["duration_ns"], "durations of the intervals")
    for row in watch.of("ledger"):
        lab.check(row["holds"] and row["residue"] == 0, f"the ledger: {row}")
        lab.equal(row["turns_failed"], 0, f"readings at which {row['name']} failed")
    kernel = summary["counters"]["kernel"]
    for side in ("tx", "rx"):
        calls = kernel[f"calls_{side}_bytes"]
        processes = sum(row[f"{side}_bytes"] for row in watch.of("process"))
        in_intervals = sum(row[f"{side}_bytes"] for row in intervals)
        missed = sum(row[f"missed_{side}_bytes"] for row in intervals)
        lab.equal(processes + kernel[f"unattributed_{side}_bytes"], calls, f"{side} bytes of all processes")
        lab.equal(in_intervals + missed + kernel[f"unattributed_{side}_bytes"], calls,
                  f"{side} bytes of all intervals")


def check_damage(watch, *flags):
    """Each flag is counted; none is there but these."""
    seen = {flag for row in watch.of("interval") for flag in row["flags"]}
    lab.equal(seen - set(flags), set(), "flags that should not be")
    damaged = sum(1 for row in watch.of("interval") if row["flags"])
    lab.equal(watch.summary["intervals_damaged"], damaged, "intervals counted as damaged")


def in_intervals(watch, pid, side):
    return sum(row[f"{side}_bytes"] for interval in watch.of("interval") for row in interval["processes"]
               if row["pid"] == pid)


@contextlib.contextmanager
def space():
    """A network namespace with a loopback of its own."""
    name = f"watch{os.getpid()}"
    lab.need_root()
    lab.run("ip", "netns", "add", name)
    try:
        lab.run("ip", "-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)


def pair_run(name, count, size):
    done = lab.run(*lab.Pair.inside(name, sys.executable, "-c", PAIR, count, size))
    return [int(pid) for pid in done.stdout.split()]


def check_pair(watch, receiver, sender, count, size):
    """Every byte, of each class, at the process that called."""
    sent, got = watch.process_of(sender), watch.process_of(receiver)
    for row, classes in ((sent, {"tcp": (count * size, 0), "udp": (100 * count, 0), "unix": (10 * count, count)}),
                         (got, {"tcp": (0, count * size), "udp": (0, 100 * count), "unix": (count, 10 * count)})):
        lab.check(row["exact"], f"{row['pid']} is not exact")
        for name, (tx, rx) in classes.items():
            lab.equal((row["classes"][name]["tx_bytes"], row["classes"][name]["rx_bytes"]), (tx, rx),
                      f"bytes of {row['pid']} over {name}")
        lab.equal(row["tx_bytes"], sum(tx for tx, _ in classes.values()), f"sent by {row['pid']}")
        lab.equal(row["rx_bytes"], sum(rx for _, rx in classes.values()), f"received by {row['pid']}")


def two_processes_to_the_last_byte():
    need_watch()
    with space() as name, Watch("--duration", "3s", "--interval", "10ms") as watch:
        receiver, sender = pair_run(name, 50, 30000)
        watch.finish()
        check_sums(watch)
        check_pair(watch, receiver, sender, 50, 30000)
        for pid in (receiver, sender):
            row = watch.process_of(pid)
            for side in ("tx", "rx"):
                lab.equal(in_intervals(watch, pid, side), row[f"{side}_bytes"], f"{side} of {pid} in intervals")
            lab.check(row["end_ns"] > row["start_ns"], f"its end: {row}")
        ends = [row for row in watch.of("socket", **{"class": "tcp"})
                if any(owner["pid"] in (sender, receiver) for owner in row["owners"]) and row["connection"]]
        lab.equal(len(ends), 2, "ends of the connection")
        for row in ends:
            lab.equal((row["close"], row["ended"], row["end_lost"]), ("fin", True, False), "how it ended")
            lab.equal(row["tx_bytes"] + row["rx_bytes"], 1500000, "bytes of an end")
            lab.check(row["tcp"]["srtt_us"] > 0 or row["rx_bytes"], f"no round trip time: {row}")
        lab.equal({row["opened"] for row in ends}, {"active", "passive"}, "how they were opened")


def the_duration_is_what_was_asked():
    need_watch()
    with Watch("--duration", "2500ms", "--interval", "10ms") as watch:
        watch.finish()
        summary = watch.summary
        lab.equal((watch.rc, summary["ended"]), (0, "duration"), "how it ended")
        lab.equal(summary["intervals"], 250, "intervals")
        lab.equal(summary["end_ns"] - summary["start_ns"], summary["duration_ns"], "end - start")
        over = summary["duration_ns"] - 2_500_000_000
        # As promised; the last interval has what is over.
        lab.check(0 <= over < 10_000_000, f"{over} ns too long")
        lab.equal(watch.of("interval")[-1]["duration_ns"], 10_000_000 + over, "the last interval")
        check_sums(watch)


def a_stopped_reader_is_flagged_and_loses_nothing():
    need_watch()
    with space() as name, Watch("--duration", "7s") as watch:
        time.sleep(1.2)
        watch.process.send_signal(signal.SIGSTOP)
        receiver, sender = pair_run(name, 20, 10000)
        time.sleep(4.2)
        watch.process.send_signal(signal.SIGCONT)
        watch.finish()
        check_sums(watch)
        check_damage(watch, "late")
        check_pair(watch, receiver, sender, 20, 10000)
        late = [row["index"] for row in watch.of("interval") if row["flags"]]
        lab.check(len(late) >= 10, f"late: {late}")
        lab.equal(late, list(range(late[0], late[-1] + 1)), "a gap without gaps")
        lab.check(watch.summary["turns_late"] >= 1, "no turn was late")
        lab.check(not watch.summary["complete"], "it says that it is complete")


def tiny_rings_are_flagged_and_totals_stay_exact():
    need_watch()
    with space() as name, Watch("--duration", "4s", "--interval", "10ms", "--buckets-size", 4096) as watch:
        # More sockets a reading than the ring has places.
        many = ("import socket\npairs = [socket.socketpair() for _ in range(5)]\n"
                "tcp = socket.socket(); tcp.bind(('127.0.0.1', 0)); tcp.listen(300)\n"
                "ends = [socket.create_connection(tcp.getsockname()) for _ in range(300)]\n"
                "import time\n"
                "for _ in range(5):\n"
                "    for end in ends: end.send(b'm' * 100)\n"
                "    time.sleep(0.02)\n"
                "import os; print(os.getpid())\n")
        # Its reader comes too late, but not so late that intervals are late too.
        watch.process.send_signal(signal.SIGSTOP)
        done = lab.run(*lab.Pair.inside(name, sys.executable, "-c", many))
        watch.process.send_signal(signal.SIGCONT)
        watch.finish()
        kernel = watch.summary["counters"]["kernel"]
        lab.check(kernel["bucket_refused"] > 0, "no bucket was refused: the ring is not tiny")
        check_sums(watch)
        check_damage(watch, "missed")
        lab.check(watch.summary["intervals_missed"] > 0, "no interval is flagged")
        lab.equal(sum(row["missed_buckets"] for row in watch.of("interval")), kernel["bucket_refused"],
                  "buckets missed, by interval and in all")
        for row in watch.of("interval"):
            lab.equal("missed" in row["flags"], row["missed_buckets"] > 0, f"the flag of interval {row['index']}")
        row = watch.process_of(int(done.stdout))
        lab.equal((row["tx_bytes"], row["exact"]), (150000, True), "sent, all the same")


def a_killed_process_keeps_its_bytes():
    need_watch()
    talk = ("import os, socket, time\nnear, far = socket.socketpair()\n"
            "listener = socket.socket(); listener.bind(('127.0.0.1', 0)); listener.listen(1)\n"
            "tcp = socket.create_connection(listener.getsockname()); there, _ = listener.accept()\n"
            "near.sendall(b'k' * 1234); tcp.sendall(b'k' * 4321)\n"
            "print(os.getpid(), flush=True); time.sleep(60)\n")
    with space() as name, Watch("--duration", "3s") as watch:
        with lab.started(*lab.Pair.inside(name, sys.executable, "-c", talk), stdout=subprocess.PIPE,
                         text=True) as process:
            pid = int(process.stdout.readline())
            os.kill(pid, signal.SIGKILL)
        watch.finish()
        check_sums(watch)
        check_damage(watch)
        row = watch.process_of(pid)
        lab.equal(row["tx_bytes"], 1234 + 4321, "sent before it was killed")
        lab.check(row["end_ns"] is not None, "its end was not seen")
        closes = {row["close"] for row in watch.of("socket", **{"class": "tcp"})
                  if row["creator"] and row["creator"]["pid"] == pid and row["connection"]}
        lab.check(closes, "its connection has no line")


def a_socket_of_before_the_start_is_counted_from_then():
    need_watch()
    talk = ("import os, socket, sys\nlistener = socket.socket(); listener.bind(('127.0.0.1', 0)); listener.listen(1)\n"
            "tcp = socket.create_connection(listener.getsockname()); there, _ = listener.accept()\n"
            "tcp.sendall(b'o' * 777); assert len(there.recv(777, socket.MSG_WAITALL)) == 777\n"
            "print(os.getpid(), flush=True); sys.stdin.readline()\n"
            "tcp.sendall(b'n' * 555); assert len(there.recv(555, socket.MSG_WAITALL)) == 555\n"
            "print('done', flush=True); sys.stdin.readline()\n")
    with space() as name, lab.started(*lab.Pair.inside(name, sys.executable, "-c", talk), stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        with Watch("--duration", "3s", "--pid", pid) as watch:
            process.stdin.write("go\n")
            process.stdin.flush()
            lab.equal(process.stdout.readline(), "done\n", "what it says")
            watch.finish()
        row = watch.process_of(pid)
        lab.equal((row["tx_bytes"], row["rx_bytes"]), (555, 555), "bytes since the start")
        sockets = [row for row in watch.of("socket", existing=True) if row["tx_bytes"] or row["rx_bytes"]]
        lab.equal(sorted(row["tx_bytes"] for row in sockets), [0, 555], "both ends, from before")
        lab.equal({row["ended"] for row in sockets}, {False}, "still there")
        lab.equal({row["pid"] for row in watch.of("process")}, {pid}, "processes that --pid shows")
        for row in watch.of("ledger"):
            lab.check(row["holds"], f"the ledger is of everything: {row}")


def an_interrupt_prints_what_was_measured():
    need_watch()
    with space() as name, Watch("--duration", "10m") as watch:
        receiver, sender = pair_run(name, 5, 1000)
        time.sleep(0.3)
        watch.process.send_signal(signal.SIGINT)
        watch.finish()
        lab.equal((watch.rc, watch.summary["ended"]), (0, "interrupted"), "how it ended")
        check_sums(watch)
        check_damage(watch)
        check_pair(watch, receiver, sender, 5, 1000)


def whoever_reads_slowly_keeps_nothing_up():
    need_watch()
    with lab.started(lab.SONDE, "watch", "--json", "--duration", "2s", "--interval", "10ms", "--per-socket",
                     stdout=subprocess.PIPE) as process:
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        time.sleep(3)
        rows = [json.loads(line) for line in process.communicate(timeout=30)[0].splitlines()]
    lab.equal(rows[-1]["type"], "summary", "the last line")
    lab.equal((rows[-1]["ended"], rows[-1]["intervals"], rows[-1]["lines_lost"]), ("duration", 200, 0), "the run")
    lab.check(rows[-1]["duration_ns"] < 2_010_000_000, f"its reader kept it up: {rows[-1]['duration_ns']}")


def a_reader_that_leaves_ends_it():
    need_watch()
    process = subprocess.Popen([str(lab.SONDE), "watch", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        process.stdout.readline()
        process.stdout.close()
        lab.check(process.wait(timeout=20) == 3, f"exit {process.returncode}")
        lab.equal(process.stderr.read(), b"", "what it says of that")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def events_and_samples_are_told():
    need_watch()
    with space() as name, Watch("--duration", "3s", "--events", "--samples", "--per-socket") as watch:
        receiver, sender = pair_run(name, 5, 1000)
        watch.finish()
        check_sums(watch)
        ids = {row["id"] for row in watch.of("socket") if row["creator"] and row["creator"]["pid"] == sender
               and row["class"] == "tcp"}
        states = [row["state"] for row in watch.of("event", event="state") if row["id"] in ids]
        lab.check("syn_sent,established,fin_wait_1" in ",".join(states), f"states: {states}")
        rows = [row for interval in watch.of("interval") for row in interval["processes"] if row["pid"] == sender]
        for row in rows:
            for key in ("tx_bytes", "rx_bytes", "tx_messages", "rx_messages"):
                lab.equal(sum(socket[key] for socket in row["sockets"]), row[key], f"{key} of the row's sockets")
        lab.check(ids & {socket["id"] for row in rows for socket in row["sockets"]}, "the connection is in no interval")
        _ = receiver


def without_a_privilege_it_says_so():
    lab.need_tool("setpriv")
    if os.geteuid() != 0:
        raise lab.Skip("needs root, to give it up")
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        copy = shutil.copy(lab.SONDE, place)
        done = lab.run("setpriv", "--reuid", 65534, "--regid", 65534, "--clear-groups", copy, "watch", "--duration",
                       "1s", "--json", check_rc=None)
    lab.equal((done.returncode, done.stdout), (1, ""), "exit and output")
    lab.check("doctor" in done.stderr and "sonde run" in done.stderr, f"it says: {done.stderr}")


def who_is_not_there_is_named():
    need_watch()
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    for pid, said in ((gone.pid, f"there is no process {gone.pid}"), (0, "out of range")):
        done = lab.sonde("watch", "--pid", pid, "--duration", "1s", check_rc=2)
        lab.check(said in done.stderr and not done.stdout, f"--pid {pid}: {done.stderr}")
    done = lab.sonde("watch", "--container", "nosuch", "--duration", "100ms")
    lab.check("no container 'nosuch' was seen" in done.stderr, done.stderr)


def links_of(pid):
    """How many programs it has attached."""
    links = 0
    for fd in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            links += "bpf_link" in os.readlink(fd.path)
    return links


def the_tables_name_everything():
    need_watch()
    with space() as name, lab.started(lab.SONDE, "watch", "--duration", "10m", stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True) as process:
        lab.until("it counts", lambda: links_of(process.pid) >= 10)
        time.sleep(0.5)
        _, sender = pair_run(name, 20, 20000)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    lab.equal((process.returncode, errors), (0, ""), "exit and errors")
    for word in ("PID", "LEDGER", "COST", "SOCKET", "tcp_sent_bytes", "intervals of 100ms"):
        lab.check(word in out, f"no {word} in:\n{out}")
    lab.check(re.search(rf"^ *{sender} .*40[0-9] kB", out, re.M), f"no line of {sender} in:\n{out}")


class Terminal:
    """The live view in a terminal of its own."""

    def __init__(self, *command, lines=30, columns=120):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm-256color"
            os.execv(command[0], list(map(str, command)))
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, timeout_s):
        while select.select([self.fd], [], [], timeout_s)[0]:
            try:
                part = os.read(self.fd, 65536)
            except OSError:
                return
            if not part:
                return
            self.seen += part.decode("utf-8", "replace")
            timeout_s = 0

    def wait_for(self, text, timeout_s=15):
        end = time.monotonic() + timeout_s
        while text not in self.seen:
            lab.check(time.monotonic() < end, f"'{text}' never came; the end of what came: {self.seen[-1500:]!r}")
            self.read(0.2)

    def type(self, keys):
        """What comes from here on is the answer."""
        self.seen = ""
        os.write(self.fd, keys.encode())

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


CHATTER = """
import socket, time
listener = socket.socket(); listener.bind(("127.0.0.1", 47811)); listener.listen(1)
tcp = socket.create_connection(listener.getsockname()); there, _ = listener.accept()
while True:
    tcp.sendall(b"c" * 50000); there.recv(50000, socket.MSG_WAITALL); time.sleep(0.05)
"""


def the_live_view_leads_from_processes_to_a_connection():
    need_watch()
    with space() as name, lab.started(*lab.Pair.inside(name, sys.executable, "-c", CHATTER)) as chatter:
        terminal = Terminal(lab.SONDE, "watch", "--pid", chatter.pid)
        try:
            terminal.wait_for("PROCESS")
            terminal.wait_for(str(chatter.pid))
            terminal.wait_for("ledger holds")
            terminal.type("\r")
            terminal.wait_for("127.0.0.1:47811")
            terminal.wait_for("established")
            terminal.type("\r")
            terminal.wait_for("bytes_acked")
            terminal.wait_for("srtt_us")
            terminal.type("l")
            terminal.wait_for("calls_tx_bytes")
            terminal.type("?")
            terminal.wait_for("hold still")
            terminal.type("\x1b")
            time.sleep(0.2)
            terminal.type("n/nothing like it\r")
            terminal.wait_for("nothing matches the filter")
            terminal.type("q")
            terminal.wait_for("LEDGER")
            terminal.wait_for(str(chatter.pid))
            terminal.wait_for("COST")
        finally:
            terminal.close()


if __name__ == "__main__":
    lab.main(two_processes_to_the_last_byte, the_duration_is_what_was_asked,
             a_stopped_reader_is_flagged_and_loses_nothing, tiny_rings_are_flagged_and_totals_stay_exact,
             a_killed_process_keeps_its_bytes, a_socket_of_before_the_start_is_counted_from_then,
             an_interrupt_prints_what_was_measured, whoever_reads_slowly_keeps_nothing_up, a_reader_that_leaves_ends_it,
             events_and_samples_are_told, who_is_not_there_is_named, without_a_privilege_it_says_so,
             the_tables_name_everything, the_live_view_leads_from_processes_to_a_connection)
