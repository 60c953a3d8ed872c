#!/usr/bin/env python3
"""Round trips at tier T3: run by test_points.py inside the machine."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(sys.argv[2]) / "tests" / "system"))

import lab  # noqa: E402  pylint: disable=wrong-import-position
import test_points as points  # noqa: E402  pylint: disable=wrong-import-position


def functions_have_their_points():
    done = lab.sonde("doctor", "-f", "json", check_rc=None)
    rows = {row["name"]: row for row in map(json.loads, done.stdout.splitlines()) if row["area"] == "Round trips"}
    lab.equal(rows["T3"]["verdict"], "ok", rows["T3"]["text"])


def twenty_eight_points_of_every_packet():
    # Emulated: an answer can take its time.
    with lab.Pair("points") as pair, points.reflector(pair.right):
        trips, summary = points.rtt(pair.left, f"198.18.0.2:{points.PORT}", "--count", 2000, "--rate", 100,
                                    "--timeout", "5s", check_rc=None)
    print(f"# {json.dumps(summary)}")
    lab.equal((summary["tier"], summary["reflector_tier"], summary["tier_note"]), ("T3", "T3", ""), "tiers")
    lab.check(summary["answered"] >= 1000, f"too few packets: {summary}")
    points.check_trips(trips, summary, 28)


if __name__ == "__main__":
    lab.main(functions_have_their_points, twenty_eight_points_of_every_packet)
