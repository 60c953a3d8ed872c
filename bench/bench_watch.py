#!/usr/bin/env python3
"""What does 'sonde rtt --watch' cost the watched program?  bench_watch.py BUILD SOURCE [ROUNDS [COUNT]]

Round trips of a plain client and a plain server on this host, each asleep in its calls, in turn: nobody watches, the
server is watched, the client is, another program is.  The median over the rounds of each one's distance from the
unwatched run of the same round, of COUNT round trips each.
"""
import contextlib
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(sys.argv[2]) / "tests" / "system"))

import lab  # noqa: E402  pylint: disable=wrong-import-position
import test_points as points  # noqa: E402  pylint: disable=wrong-import-position

ROUNDS, COUNT = (int(value) for value in (sys.argv[3:] + ["7", "10000"][len(sys.argv[3:]):]))


@contextlib.contextmanager
def watched(pid):
    command = [lab.SONDE, "rtt", "--watch", f"pid:{pid}", "--json"]
    with lab.started(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        lab.until("it watches", lambda: points.capabilities_of(process.pid) and
                  not any(int(text, 16) for text in points.capabilities_of(process.pid)))
        yield


def median(program):
    program.stdin.write("\n")
    program.stdin.flush()
    return int(program.stdout.readline())


def main():
    lab.need_root()
    found = {}
    with lab.started(lab.BUILD / "bench" / "bench_watch", COUNT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                     text=True) as program, lab.started("sleep", 1000) as other:
        server = int(program.stdout.readline())
        rows = {"nobody": None, "the server": server, "the client": program.pid, "another program": other.pid}
        for _ in range(ROUNDS):
            for name, pid in rows.items():
                with watched(pid) if pid else contextlib.nullcontext():
                    found.setdefault(name, []).append(median(program))
    base = found["nobody"]
    for name, times in found.items():
        more = [time - other for time, other in zip(times, base)]
        print(f"watched: {name}: median round trip {statistics.median(times) / 1000:.2f} us, "
              f"{statistics.median(more):+.0f} ns ({min(more):+d} to {max(more):+d}; {ROUNDS} rounds of {COUNT})")


if __name__ == "__main__":
    main()
