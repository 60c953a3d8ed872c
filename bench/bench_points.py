#!/usr/bin/env python3
"""What do stamps cost?  bench_points.py BUILD SOURCE [ROUNDS [RATE [COUNT]]]

Runs of every tier that can be had here in turn, round by round, between two
namespaces; the median over the rounds of each tier's median round trip, and
of its distance from T0's in the same round.  Both hosts have the same tier.
"""
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(sys.argv[2]) / "tests" / "system"))

import lab  # noqa: E402  pylint: disable=wrong-import-position
import test_points as points  # noqa: E402  pylint: disable=wrong-import-position

ROUNDS, RATE, COUNT = (int(value) for value in (sys.argv[3:] + ["7", "1000", "1000"][len(sys.argv[3:]):]))


def median_rtt(pair, tier):
    """Median round trip in ns, and how many points; None: not here."""
    with points.reflector(pair.right, "--tier", tier) as there:
        if there.poll() is not None:
            return None
        trips, summary = points.rtt(pair.left, f"198.18.0.2:{points.PORT}", "--count", COUNT, "--rate", RATE,
                                    "--tier", tier, check_rc=None)
    times = sorted(trip["rtt_ns"] for trip in trips if trip["rtt_ns"] is not None)
    return statistics.median(times), summary["points"]


def main():
    lab.need_root()
    found = {}
    with lab.Pair("cost") as pair:
        for _ in range(ROUNDS):
            for tier in ("T0", "T1", "T2", "T3"):
                row = median_rtt(pair, tier)
                if row:
                    found.setdefault(tier, []).append(row)
    base = [rtt for rtt, _ in found["T0"]]
    for tier, rows in found.items():
        times = [rtt for rtt, _ in rows]
        more = statistics.median(rtt - other for rtt, other in zip(times, base))
        print(f"{tier}: {rows[0][1]} points, median round trip {statistics.median(times) / 1000:.2f} us, "
              f"{more / 1000:+.2f} us beside T0 ({ROUNDS} rounds of {COUNT} at {RATE} Hz)")


if __name__ == "__main__":
    main()
