#!/usr/bin/env python3
"""'sonde rtt --watch': other programs' requests and replies, between two namespaces and within one.

What the watched programs say themselves is the truth: each notes when its calls returned and began.  A segment that
holds such a span is at least as long, and all segments together are no longer than what the other side saw.
"""
import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import time

import lab
import test_points as points

PORT = 8653

# serve.py FAMILY ADDRESS PORT MODE: notes "payload returned_ns calls_ns" of each request.
SERVE = r"""
import socket, sys, time
family = socket.AF_INET6 if sys.argv[1] == '6' else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
mode = sys.argv[4]
if mode == 'late':
    print('waits', flush=True)
    sys.stdin.readline()
s.bind((sys.argv[2], int(sys.argv[3])))
print('listens', flush=True)
held = []
while True:
    data, peer = s.recvfrom(2048)
    came = time.time_ns()
    if mode == 'mute':
        continue
    if mode == 'reverse':
        held.append((data, peer, came))
        if len(held) < 2:
            continue
        for data, peer, came in reversed(held):
            time.sleep(0.002)
            calls = time.time_ns()
            s.sendto(data[:2] + b'\x81' + data[3:], peer)
            print(data[1], came, calls, flush=True)
        held = []
        continue
    if mode == 'pairs':
        held.append(peer)
        if len(held) == 2:
            for peer in held:
                s.sendto(b'no number', peer)
                print('0 0 0', flush=True)
            held = []
        continue
    number = int(data[:8])
    if mode == 'pause' and number % 2:
        time.sleep(0.004)
    if mode == 'some' and number % 5 == 0:
        continue
    calls = time.time_ns()
    s.sendto(data, peer)
    if mode == 'some' and number % 5 == 1:
        s.sendto(data, peer)
    print(number, came, calls, flush=True)
"""

# ask.py FAMILY ADDRESS PORT COUNT MODE: waits for a line, then asks; notes "number begins_ns ended_ns".
ASK = r"""
import socket, sys, time
family = socket.AF_INET6 if sys.argv[1] == '6' else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.connect((sys.argv[2], int(sys.argv[3])))
s.settimeout(0.05 if sys.argv[5] == 'some' else 5)
print('ready', flush=True)
sys.stdin.readline()
count, mode = int(sys.argv[4]), sys.argv[5]
if mode == 'mute':
    for number in range(count):
        s.send(b'%08d' % number)
elif mode == 'dns':
    for pair in range(count // 2):
        began = {}
        for id in (2 * pair % 250, (2 * pair + 1) % 250):
            began[id] = time.time_ns()
            s.send(bytes([0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97 + id % 26, 0, 0, 1, 0, 1]))
        for _ in range(2):
            id = s.recv(2048)[1]
            print(id, began[id], time.time_ns(), flush=True)
elif mode == 'blind':
    for number in range(count):
        s.send(b'%08d' % number)
        s.send(b'%08d' % number)
        s.recv(2048), s.recv(2048)
else:
    for number in range(count):
        began = time.time_ns()
        s.send(b'%08d' % number)
        try:
            s.recv(2048)
            ended = time.time_ns()
        except TimeoutError:
            ended = 0
        except ConnectionRefusedError:
            break
        print(number, began, ended, flush=True)
        time.sleep(0.001)
print('done', flush=True)
sys.stdin.readline()
"""


def need_watch():
    """That sonde can watch, or skip by what it says."""
    lab.need_root()
    done = lab.sonde("rtt", "--watch", "port:9", "--duration", "1ms", check_rc=None)
    if done.returncode == 2 and "BPF" in done.stderr:
        raise lab.Skip(done.stderr.strip())
    lab.equal(done.returncode, 1, f"exit code of a watch of nothing ({done.stderr})")


class Program:
    """A watched program and what it noted."""

    def __init__(self, space, text, *arguments):
        self.process = subprocess.Popen(lab.Pair.inside(space, "python3", "-c", text, *arguments), text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.notes = []
        self.first = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()

    @property
    def pid(self):
        return self.process.pid

    def say(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def line(self):
        """The next line, noted if it has numbers."""
        line = self.process.stdout.readline().split()
        if len(line) == 3:
            self.notes.append(tuple(map(int, line)))
        return line

    def run(self):
        """Says 'go on' and notes all until the end."""
        self.say()
        while self.line() not in (["done"], []):
            pass

    def rest(self):
        self.process.kill()
        while self.line():
            pass
        return self.notes


def server(space, mode="echo", address="198.18.0.2", family=4):
    return Program(space, SERVE, family, address, PORT, mode)


def client(space, count, mode="ask", address="198.18.0.2", family=4):
    return Program(space, ASK, family, address, PORT, count, mode)


class Watch:
    """sonde at work; stamps from the first moment inside the block."""

    def __init__(self, space, target, *options):
        self.process = subprocess.Popen(
            lab.Pair.inside(space, lab.SONDE, "rtt", "--watch", target, "--json", *options),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.trips, self.summaries, self.errors = [], [], ""

    def __enter__(self):
        # It gives its capabilities back once everything is attached.
        lab.until("sonde watches", lambda: self.process.poll() is not None or
                  (points.capabilities_of(self.process.pid) and
                   not any(int(text, 16) for text in points.capabilities_of(self.process.pid))))
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def end(self, code=0, interrupt=False):
        if interrupt:
            time.sleep(0.3)
            self.process.send_signal(2)
        out, self.errors = self.process.communicate(timeout=30)
        rows = [json.loads(line) for line in out.splitlines()]
        self.trips = [row for row in rows if row["type"] == "packet"]
        self.summaries = [row for row in rows if row["type"] == "summary"]
        lab.equal(self.process.returncode, code, f"exit code ({self.errors})")
        return self.summaries[-1]


APPLICATION = "reflector return-call"
BEYOND = "reflector driver-received"


def check_sums(trips):
    """Nothing goes back in time; segments add up where all are there.  Complete but for one in fifty."""
    complete = 0
    for trip in trips:
        if trip["fate"] != "answered":
            continue
        values = trip["segments_ns"].values()
        lab.check(all(ns is None or ns >= 0 for ns in values), f"before its time: {trip}")
        if None not in values:
            complete += 1
            lab.equal(sum(values), trip["rtt_ns"], f"sum of segments of {trip['seq']}")
    answered = sum(trip["fate"] == "answered" for trip in trips)
    lab.check(complete >= 0.98 * answered > 0, f"complete: {complete} of {answered}; {trips[:3]}")


def check_ledger(summary):
    lab.equal(summary["requests"], summary["answered"] + summary["unanswered"] + summary["ambiguous"] +
              summary["elsewhere"] + summary["unfinished"], f"sum of what became of requests: {summary}")
    lab.equal((summary["bpf_lost"], summary["no_room"], summary["bpf_threads"]), (0, 0, 0), "lost")


def check_server(trips, there, here):
    """Each pause is in its application's segment, and nowhere else."""
    lab.equal(len(trips), len(there), "exchanges")
    spans = {number: ended - began for number, began, ended in here}
    for trip, (number, came, calls) in zip(trips, there):
        application = trip["segments_ns"][APPLICATION]
        if application is None or trip["rtt_ns"] is None:
            continue
        lab.check(application >= calls - came, f"{number}: {application} is less than {calls - came}")
        lab.check(trip["rtt_ns"] <= spans[number], f"{number}: {trip['rtt_ns']} is more than {spans[number]}")


def the_servers_pause_is_in_its_own_segment():
    need_watch()
    with lab.Pair("rttw") as pair, server(pair.right, "pause") as there, client(pair.left, 200) as here, \
            Watch(pair.right, there.pid, "--count", 200) as watch:
        here.run()
        summary = watch.end()
        notes = there.rest()
    lab.equal((summary["side"], summary["answered"], summary["by_identifier"]), ("server", 200, 200), "summary")
    check_ledger(summary)
    check_sums(watch.trips)
    check_server(watch.trips, notes, here.notes)
    # What is not the application's is the same with and without a pause: compare the two halves' medians.
    rest = [sorted(trip["rtt_ns"] - trip["segments_ns"][APPLICATION] for trip in watch.trips[half::2]
                   if trip["rtt_ns"] and trip["segments_ns"][APPLICATION])[45] for half in (0, 1)]
    pauses = [calls - came for number, came, calls in notes if number % 2]
    lab.check(abs(rest[1] - rest[0]) < min(pauses) / 2, f"the rest moved with the pause: {rest}")


def by_its_port_too_and_ipv6():
    need_watch()
    with lab.Pair("rttw") as pair, server(pair.left, "pause", "::1", 6) as there, \
            client(pair.left, 100, "ask", "::1", 6) as here, Watch(pair.left, f"port:{PORT}", "--count", 100) as watch:
        here.run()
        summary = watch.end()
        notes = there.rest()
    lab.equal((summary["side"], summary["answered"]), ("server", 100), "summary")
    check_ledger(summary)
    check_sums(watch.trips)
    check_server(watch.trips, notes, here.notes)


def a_clients_wait_is_beyond_its_host():
    need_watch()
    with lab.Pair("rttw") as pair, server(pair.right, "pause") as there, client(pair.left, 200) as here, \
            Watch(pair.left, here.pid, "--count", 200) as watch:
        here.run()
        summary = watch.end()
        notes = there.rest()
    lab.equal((summary["side"], summary["answered"]), ("client", 200), "summary")
    check_ledger(summary)
    check_sums(watch.trips)
    for trip, (number, came, calls), (_, began, ended) in zip(watch.trips, notes, here.notes):
        beyond = trip["segments_ns"][BEYOND]
        lab.check(beyond is None or beyond >= calls - came, f"{number}: {beyond} is less than {calls - came}")
        lab.check(trip["rtt_ns"] is None or trip["rtt_ns"] <= ended - began,
                  f"{number}: {trip['rtt_ns']} is more than {ended - began}")


def two_queries_at_once_are_told_apart():
    need_watch()
    with lab.Pair("rttw") as pair, server(pair.right, "reverse") as there, client(pair.left, 100, "dns") as here, \
            Watch(pair.left, here.pid, "--count", 100) as watch:
        here.run()
        summary = watch.end()
        there.rest()
    lab.equal((summary["answered"], summary["by_identifier"], summary["ambiguous"], summary["unasked"]),
              (100, 100, 0, 0), "summary")
    check_ledger(summary)
    check_sums(watch.trips)
    # The second of a pair is answered first: in order of requests, replies cross.
    replies = {number: (began, ended) for number, began, ended in here.notes[-2:]}
    for trip, (began, ended) in zip(watch.trips[-2:], [replies[key] for key in sorted(replies)]):
        lab.check(trip["rtt_ns"] <= ended - began, f"{trip['rtt_ns']} is more than {ended - began}")
    longer = sum(first["segments_ns"][BEYOND] > second["segments_ns"][BEYOND]
                 for first, second in zip(watch.trips[::2], watch.trips[1::2]))
    lab.equal(longer, 50, "pairs whose first query took longer")


def without_identifiers_they_are_counted():
    need_watch()
    with lab.Pair("rttw") as pair, server(pair.right, "pairs") as there, client(pair.left, 50, "blind") as here, \
            Watch(pair.left, here.pid) as watch:
        here.run()
        summary = watch.end(1, interrupt=True)
        lab.equal(len(there.rest()), 100, "answers")
    lab.equal((summary["requests"], summary["ambiguous"], summary["answered"]), (100, 100, 0), "summary")
    lab.equal(watch.trips, [], "exchanges that were guessed")
    check_ledger(summary)


def what_is_not_answered_and_what_comes_twice():
    need_watch()
    with lab.Pair("rttw") as pair, server(pair.right, "some") as there, client(pair.left, 50, "some") as here, \
            Watch(pair.right, there.pid, "--timeout", "200ms") as watch:
        here.run()
        summary = watch.end(3, interrupt=True)
        there.rest()
    lab.equal((summary["requests"], summary["answered"], summary["unanswered"], summary["reply_copies"]),
              (50, 40, 10, 10), "summary")
    lab.equal([trip["seq"] for trip in watch.trips if trip["fate"] == "lost"], list(range(0, 50, 5)), "lost")
    check_ledger(summary)


def a_server_that_never_answers():
    need_watch()
    with lab.Pair("rttw") as pair, server(pair.right, "mute") as there, client(pair.left, 20, "mute") as here, \
            Watch(pair.right, f"port:{PORT}", "--timeout", "100ms", "--count", 20) as watch:
        here.run()
        summary = watch.end(1)
        lab.equal(there.process.poll(), None, "the server's end")
    lab.equal((summary["requests"], summary["unanswered"], len(watch.trips)), (20, 20, 20), "summary")
    lab.check(f"port:{PORT}: no exchange was answered (20 requests seen)" in watch.errors, watch.errors)
    check_ledger(summary)


def a_socket_that_is_made_later_is_found():
    need_watch()
    with lab.Pair("rttw") as pair, server(pair.right, "late") as there, client(pair.left, 20) as here:
        done = lab.run(*lab.Pair.inside(pair.right, lab.SONDE, "rtt", "--watch", there.pid), check_rc=2)
        lab.check(re.search(rf"process {there.pid} \(python3[^)]*\) has no UDP socket; 'pid:{there.pid}' waits",
                            done.stderr), done.stderr)
        with Watch(pair.right, f"pid:{there.pid}", "--count", 20) as watch:
            there.say()
            lab.equal(there.line(), ["listens"], "the server")
            here.run()
            summary = watch.end()
        check_server(watch.trips, there.rest(), here.notes)
    lab.equal(summary["answered"], 20, "answered")
    check_sums(watch.trips)


def a_process_that_ends_keeps_what_was_measured():
    need_watch()
    with lab.Pair("rttw") as pair, server(pair.right, "pause") as there, client(pair.left, 100000) as here, \
            Watch(pair.right, there.pid) as watch:
        here.say()
        while len(there.notes) < 50:
            there.line()
        there.process.kill()
        summary = watch.end(3)
    lab.check(re.search(rf"pid:{there.pid} \(python3[^)]*\): the process ended", watch.errors), watch.errors)
    lab.check(summary["process_ended"] and summary["answered"] >= 50, f"{summary}")
    lab.equal(len(watch.trips), summary["answered"], "exchanges told")
    check_ledger(summary)


RELAY = """
import socket
a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
a.bind(('198.18.0.1', %d))
print('listens', flush=True)
while True:
    data, peer = a.recvfrom(2048)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
        b.sendto(data, ('198.18.0.2', %d))
        a.sendto(b.recv(2048), peer)
"""


def a_relay_is_a_server_and_a_client_and_is_kept():
    need_watch()
    with lab.Pair("rttw") as pair, lab.folder() as folder, server(pair.right, "pause"), \
            Program(pair.left, RELAY % (PORT, PORT)) as relay, \
            client(pair.left, 60, "ask", "198.18.0.1") as here, \
            Watch(pair.left, relay.pid, "--count", 120, "--store", folder / "x.db", "--plot", folder / "p") as watch:
        here.run()
        watch.end()
        drawn = sorted(path.name for path in folder.glob("*.svg"))
        kept = []
        for name in ("x.db", "x.db-client"):
            with contextlib.closing(sqlite3.connect(folder / name)) as db:
                kept += db.execute("SELECT host, address, count(*) FROM rtt_runs JOIN rtt_histograms "
                                   "ON rtt_runs.id = rtt_histograms.run").fetchall()
    lab.equal([row["side"] for row in watch.summaries], ["server", "client"], "summaries")
    for side in ("server", "client"):
        trips = [trip for trip in watch.trips if trip["side"] == side]
        lab.equal(len(trips), 60, side)
        check_sums(trips)
    # The relay's application is all of its other side.
    sides = [[trip for trip in watch.trips if trip["side"] == side] for side in ("server", "client")]
    for outer, inner in zip(*sides):
        lab.check(outer["segments_ns"][APPLICATION] > inner["rtt_ns"], f"{outer} does not hold {inner}")
    lab.equal(drawn, [f"p-{side}-{which}.svg" for side in ("client", "server")
                      for which in ("cdf", "times", "waterfall")], "pictures")
    lab.equal([(row[0].partition(", ")[2], row[1]) for row in kept],
              [(side, f"pid:{relay.pid}") for side in ("server", "client")], "runs kept")
    lab.check(min(row[2] for row in kept) >= 9, f"histograms kept: {kept}")


def other_traffic_is_not_taken():
    need_watch()
    flood = ("import socket, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
             "end = time.monotonic() + 2\nwhile time.monotonic() < end:\n    s.sendto(b'x' * 100, ('198.18.0.2', 9))\n")
    with lab.Pair("rttw") as pair, server(pair.right) as there, client(pair.left, 100) as here, \
            lab.started(*lab.Pair.inside(pair.left, "python3", "-c", flood)), \
            Watch(pair.right, there.pid, "--count", 100) as watch:
        here.run()
        summary = watch.end()
    lab.check(summary["bpf_taken"] <= 6 * 105, f"too many stamps: {summary}")
    check_ledger(summary)


def a_mistake_is_named():
    lab.need_root()
    free = max(int(path) for path in os.listdir("/proc") if path.isdigit()) + 20000
    rows = [(f"pid:{free}", f"there is no process {free}"), ("named", "'named' is no process and no port"),
            ("0", "no process and no port"), ("port:70000", "no process and no port"),
            ("99999999999", "no process and no port")]
    with lab.Pair("rttw") as pair:
        inside = lab.Pair.inside
        for target, words in rows:
            done = lab.run(*inside(pair.left, lab.SONDE, "rtt", "--watch", target), check_rc=2)
            lab.check(words in done.stderr or "without BPF" in done.stderr, f"{target}: {done.stderr}")
        for options, words in (((f"port:{PORT}", "198.18.0.2"), "not both"), ((f"port:{PORT}", "--echo"), "--echo"),
                               ((f"port:{PORT}", "--explain"), "--explain")):
            done = lab.run(*inside(pair.left, lab.SONDE, "rtt", "--watch", *options), check_rc=2)
            lab.check(words in done.stderr, f"{options}: {done.stderr}")


def a_number_that_is_both_is_not_guessed():
    need_watch()
    bind = ("import os, socket\ns = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]\n"
            "s[0].bind(('127.0.0.1', os.getpid() % 65536 or 1))\nprint('here', flush=True)\ninput()\n")
    with lab.Pair("rttw") as pair, Program(pair.left, bind) as both:
        if both.pid > 65535:
            raise lab.Skip("process numbers are beyond ports")
        done = lab.run(*lab.Pair.inside(pair.left, lab.SONDE, "rtt", "--watch", both.pid), check_rc=2)
    lab.check(f"say pid:{both.pid} or port:{both.pid}" in done.stderr, done.stderr)


def without_a_privilege_it_says_so():
    lab.need_root()
    lab.need_tool("setpriv")
    with lab.Pair("rttw") as pair, lab.folder() as folder, server(pair.right) as there:
        program = shutil.copy(lab.SONDE, folder / "sonde")
        os.chmod(folder, 0o755)
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", program, "rtt", "--watch"]
        for target in (f"port:{PORT}", there.pid):
            done = lab.run(*lab.Pair.inside(pair.right, *nobody, target), check_rc=2)
            lab.check("needs root" in done.stderr or "without BPF" in done.stderr, f"{target}: {done.stderr}")


if __name__ == "__main__":
    lab.main(the_servers_pause_is_in_its_own_segment, by_its_port_too_and_ipv6, a_clients_wait_is_beyond_its_host,
             two_queries_at_once_are_told_apart, without_identifiers_they_are_counted,
             what_is_not_answered_and_what_comes_twice, a_server_that_never_answers,
             a_socket_that_is_made_later_is_found, a_process_that_ends_keeps_what_was_measured,
             a_relay_is_a_server_and_a_client_and_is_kept, other_traffic_is_not_taken, a_mistake_is_named,
             a_number_that_is_both_is_not_guessed, without_a_privilege_it_says_so)
