"""'sonde run': what it keeps, under kill -9, a full disk, and at its end."""
import contextlib
import json
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import time

from lab import (SONDE, Pair, check, equal, ethernet, folder, ipv4, main, need_root, need_tool, pcap, run, signal_and_wait,
                 sonde, started, udp, until)

SENDER = """
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.bind(("198.18.0.1", 7777))
rate, begin, sent = float(sys.argv[1]), time.monotonic(), 0
log = open(sys.argv[2], "a", buffering=1)
while True:
    due = int((time.monotonic() - begin) * rate)
    while sent < due:
        out.sendto(b"x" * 100, ("198.18.0.2", 9))
        sent += 1
    log.write(f"{time.time_ns()} {sent}\\n")
    time.sleep(0.01)
"""


def daemon(pair, database, *more, **streams):
    return started(*pair.inside(pair.right, SONDE, "run", "--no-tui", "-i", "b0", "--database", database, *more),
                   **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **streams})


def sender(pair, log, rate=1000):
    return started(*pair.inside(pair.left, sys.executable, "-c", SENDER, rate, log))


def query(database, sql):
    """Rows by name; [] while there is no such table yet."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql)]
    except sqlite3.OperationalError:
        return []


PROBE = "SELECT sum(packets) AS n FROM flows WHERE src_port = 7777 AND dst_port = 9"


def kept(database):
    rows = query(database, PROBE)
    return rows[0]["n"] or 0 if rows else 0


def capturing(database):
    """Whether the daemon is past its start: it keeps samples of interfaces."""
    return query(database, "SELECT 1 AS n FROM interface_counters LIMIT 1")


def sent_by(log, at_ns):
    """Packets that the sender had sent at that time."""
    count = 0
    for line in log.read_text().splitlines():
        parts = line.split()
        if len(parts) == 2 and int(parts[0]) <= at_ns:
            count = int(parts[1])
    return count


def integrity(database):
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]


def keeps_live_flows_and_ends_with_a_ledger_that_adds_up():
    with folder() as scratch, Pair("ru") as pair:
        database, log = scratch / "x.db", scratch / "log"
        with daemon(pair, database) as process:
            until("the first commit", lambda: capturing(database))
            with sender(pair, log):
                until("a live flow in the database", lambda: kept(database) > 3000)
                live = query(database, "SELECT end_reason FROM flows WHERE src_port = 7777")
                equal(live, [{"end_reason": None}], "the live flow")
            equal(signal_and_wait(process), 0, "exit status")
            out = process.stdout.read()
        check("adds up" in out, out[-2000:])
        check("198.18.0.1" in out, f"no talker in the log: {out[:2000]}")
        equal(integrity(database), "ok", "integrity")
        ledger = json.loads(query(database, "SELECT ledger FROM runs")[0]["ledger"])
        total = query(database, "SELECT sum(packets + rev_packets) AS n FROM flows")[0]["n"]
        equal(total, ledger["flow"]["metered"], "packets in the database against metered")
        check(total >= sent_by(log, time.time_ns()) > 3000, f"{total} kept")
        equal(query(database, "SELECT count(*) AS n FROM flows WHERE end_reason IS NULL")[0]["n"], 0, "live rows")
        check(query(database, "SELECT count(*) AS n FROM interface_counters WHERE name = 'b0'")[0]["n"] > 0,
              "no counters of b0")


def loses_at_most_the_last_second_when_killed():
    random.seed(3)
    late = []
    with folder() as scratch, Pair("rk") as pair:
        for turn in range(8):
            database, log = scratch / f"{turn}.db", scratch / f"{turn}.log"
            with daemon(pair, database, stdout=subprocess.DEVNULL) as process, sender(pair, log):
                until("flows in the database", lambda: kept(database) > 200)  # pylint: disable=cell-var-from-loop
                time.sleep(random.random() * 1.5)
                killed = time.time_ns()
                process.send_signal(signal.SIGKILL)
                process.wait()
            equal(integrity(database), "ok", "integrity")
            have = kept(database)
            behind = next(s for s in range(0, 300) if sent_by(log, killed - s * 10**8) <= have)
            late.append(behind / 10)
    print(f"# seconds missing after kill -9: {late}")
    check(statistics.median(late) <= 1 and max(late) <= 3, f"seconds missing: {late}")


def goes_on_when_the_disk_is_full_and_catches_up():
    need_root()
    with folder() as scratch, Pair("rf") as pair:
        disk = scratch / "disk"
        disk.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=8m", "full", disk)
        try:
            database, log = disk / "x.db", scratch / "log"
            with daemon(pair, database, "--report", "1s") as process, sender(pair, log):
                before = until("flows in the database", lambda: kept(database) > 100 and kept(database))
                filler = disk / "filler"
                with open(filler, "wb", buffering=0) as out:
                    try:
                        while True:
                            out.write(b"\0" * 4096)
                    except OSError:
                        pass
                time.sleep(3)
                check(process.poll() is None, "the daemon ended")
                check(kept(database) >= before, "rows were lost")
                filler.unlink()
                mark = sent_by(log, time.time_ns())
                until("the store to catch up", lambda: kept(database) >= mark)
                equal(signal_and_wait(process), 0, "exit status")
                out = process.stdout.read()
            equal(integrity(database), "ok", "integrity")
            check("full" in out.lower(), f"no word of the full disk:\n{out[:3000]}")
        finally:
            run("umount", disk)


def marks_what_several_interfaces_see_and_finds_new_ones():
    need_tool("tcpreplay")
    with folder() as scratch, Pair("rm") as pair:
        database = scratch / "x.db"
        inside = lambda *command: run(*pair.inside(pair.right, *command))
        frames = [(10**9 + i * 10**6, ethernet(ipv4("198.18.7.1", "198.18.7.2", 17, udp(5, 6, b"q" * 50))))
                  for i in range(50)]
        (scratch / "x.pcap").write_bytes(pcap(frames))
        with started(*pair.inside(pair.right, SONDE, "run", "--no-tui", "--database", database),
                     stdout=subprocess.DEVNULL) as process:
            until("the first commit", lambda: capturing(database))
            inside("ip", "link", "add", "n0", "type", "veth", "peer", "name", "n1")
            for name in ("n0", "n1"):
                pair.quiet(pair.right, name)
                inside("ip", "link", "set", name, "up")
            until("carrier", lambda: "LOWER_UP" in inside("ip", "link", "show", "n0").stdout)
            inside("tcpreplay", "-q", "-i", "n0", "--pps", "200", scratch / "x.pcap")
            rows = until("both interfaces", lambda: (r := query(
                database, "SELECT interface, duplicate, packets FROM flows WHERE src_ip = '198.18.7.1'"))
                and len(r) == 2 and all(x["packets"] == 50 for x in r) and r)
            equal(sorted(row["interface"] for row in rows), ["n0", "n1"], "interfaces")
            equal(sorted(row["duplicate"] for row in rows), [0, 1], "marks")
            equal(signal_and_wait(process, signal.SIGTERM), 0, "exit status")


def names_every_mistake_of_a_configuration():
    with folder() as scratch:
        conf = scratch / "sonde.conf"
        conf.write_text("# fine\nworkers = 2\nring_sise = 64M\nidle_timeout = 1\n\nflows = many\n")
        done = sonde("run", "--config", conf, "--check", check_rc=2)
        lines = done.stderr.splitlines()
        for number, key in ((3, "ring_sise"), (4, "idle_timeout"), (6, "flows")):
            check(any(f":{number}:" in line and key in line for line in lines), f"{number} {key}: {done.stderr}")
        conf.write_text(sonde("run", "--print-config").stdout)
        sonde("run", "--config", conf, "--check")
        sonde("run", "--config", scratch / "none.conf", "--check", check_rc=2)


def creates_nothing_when_it_cannot_start():
    with folder() as scratch:
        done = sonde("run", "--no-tui", "-i", "nowhere0", "--database", scratch / "x.db", check_rc=2)
        check("nowhere0" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr)
        equal(list(scratch.iterdir()), [], "files")
        (scratch / "foreign.db").write_bytes(b"not a database at all" * 400)
        need_root()
        done = sonde("run", "--no-tui", "-i", "lo", "--database", scratch / "foreign.db", check_rc=2)
        equal(len(done.stderr.splitlines()), 1, f"lines: {done.stderr}")
        equal((scratch / "foreign.db").read_bytes(), b"not a database at all" * 400, "the foreign file")


main(keeps_live_flows_and_ends_with_a_ledger_that_adds_up, loses_at_most_the_last_second_when_killed,
     goes_on_when_the_disk_is_full_and_catches_up, marks_what_several_interfaces_see_and_finds_new_ones,
     names_every_mistake_of_a_configuration, creates_nothing_when_it_cannot_start)
