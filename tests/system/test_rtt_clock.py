"""The other clock, live: does the one-way interval have the truth?

'python3 test_rtt_clock.py BUILD SOURCE measure [COUNT]' prints what it finds
under offsets of 10 s, drifts of 100 ppm, a step and a path ten times as long
there as back, and on a bare veth pair.
"""
import json
import sys

from lab import BUILD, check, equal, folder, main, run
from line import PORT, RIGHT, Line

SECOND = 10**9


def clocks(line, count, rate, offset_ns, drift_ppb, step_ns):
    """What the judge says; the step comes in the middle."""
    after_ns = count * SECOND // rate // 2
    done = run(BUILD / "tests/system/clocks", f"/run/netns/{line.left}", f"/run/netns/{line.right}", RIGHT, PORT, count,
               rate, offset_ns, drift_ppb, step_ns, after_ns, timeout=120)
    told = json.loads(done.stdout)
    equal(told["trips"], count, "trips")
    return told


def asymmetric(count, rate, offset_ns, drift_ppb, step_ns, there_ns=1_000_000, back_ns=100_000):
    """Over the delay line, which is slower one way."""
    script = "\n".join(f"b {seq} 0 {back_ns}" for seq in range(count))
    with Line() as line, folder() as path:
        (path / "script").write_text(script)
        with line.delayed(path / "script", path / "log", there_ns):
            return clocks(line, count, rate, offset_ns, drift_ppb, step_ns)


def bare(count, rate, offset_ns, drift_ppb, step_ns):
    with Line(relayed=False) as line:
        return clocks(line, count, rate, offset_ns, drift_ppb, step_ns)


def judged(what, told, steps):
    for when in ("at_once", "at_end"):
        row = told[when]
        print(f"# {what}, {told['answered']} packets, {when.replace('_', ' ')}: {row['right']} of {row['delays']} "
              f"intervals have the truth, "
              f"+-{row['width_ns'] / 2:.0f} ns, {row['half_rtt_ns'] / (row['width_ns'] / 2 or 1):.1f} times as tight as "
              f"half of the round trip; the best guess is off by {row['error_ns']} ns; {told['steps']} steps seen",
              flush=True)
        check(row["delays"] > 1.9 * told["answered"] > told["trips"] / 4, f"{told}: too few delays")
        check(row["right"] >= 0.99 * row["delays"], f"{row['right']} of {row['delays']} intervals have the truth")
    equal(told["steps"], steps, "steps")


ROWS = (
    ("10 s ahead, 100 ppm fast, 10:1", asymmetric, (10 * SECOND, 100_000, 0), 0),
    ("10 s behind, 100 ppm slow, 10:1", asymmetric, (-10 * SECOND, -100_000, 0), 0),
    ("10 s ahead, 100 ppm slow, set by 5 ms, 10:1", asymmetric, (10 * SECOND, -100_000, 5_000_000), 1),
    ("10 s behind, 100 ppm fast, set by -1 s, 10:1", asymmetric, (-10 * SECOND, 100_000, -SECOND), 1),
    ("10 s ahead, 100 ppm fast, veth", bare, (10 * SECOND, 100_000, 0), 0),
    ("10 s behind, 100 ppm slow, set by 1 ms, veth", bare, (-10 * SECOND, -100_000, 1_000_000), 1),
)


def measure(count=3000, rate=1000):
    for what, where, clock, steps in ROWS:
        told = where(count, rate, *clock)
        judged(what, told, steps)
        if where == bare:
            row = told["at_end"]
            check(row["width_ns"] <= row["half_rtt_ns"], f"+-{row['width_ns'] / 2} ns of {row['half_rtt_ns']} ns")


def intervals_have_the_truth_of_every_clock():
    measure(1500)


if len(sys.argv) > 3:
    measure(*map(int, sys.argv[4:]))
    sys.exit(0)
main(intervals_have_the_truth_of_every_clock)
