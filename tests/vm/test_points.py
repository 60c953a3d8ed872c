#!/usr/bin/env python3
"""Tier T3 under kernels that permit it, in an emulated machine.

Takes 'tools/setup vm' and the distribution's kernel packages; without them it
skips and names what is not there.
"""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(sys.argv[2]) / "tests" / "system"))

import lab  # noqa: E402  pylint: disable=wrong-import-position

BOOT = lab.SOURCE / "tests" / "vm" / "boot"


def packages(pattern):
    """Kernel packages whose name matches, as the distribution offers them; the newest last."""
    lab.need_tool("apt-cache")
    done = subprocess.run(["apt-cache", "pkgnames", "linux-image-"], capture_output=True, text=True, check=False)
    found = [name for name in done.stdout.split() if re.fullmatch(pattern, name)]
    return sorted(found, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])


def under(pattern, script, count):
    """Runs 'count' tests of a script under the newest kernel whose package matches; all pass, none is skipped."""
    lab.need_root()
    lab.need_tool("qemu-system-x86_64", "busybox", "cpio", "xz")
    found = packages(pattern)
    if not found:
        raise lab.Skip(f"no kernel package '{pattern}' is offered here")
    with lab.folder() as out:
        done = subprocess.run([BOOT, found[-1], out, "python3", lab.SOURCE / "tests/vm" / script, lab.BUILD,
                               lab.SOURCE], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        print(f"# {found[-1]}: {line}")
    if done.returncode == 77:
        raise lab.Skip(done.stderr.strip())
    lab.check(done.returncode == 0 and f"ok {count}" in done.stdout and "# SKIP" not in done.stdout,
              f"{found[-1]}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-1000:]}")


def twenty_eight_points_under_linux_6_1():
    under(r"linux-image-6\.1\.0-\d+-amd64", "inside_points.py", 2)


def twenty_eight_points_under_linux_6_12():
    under(r"linux-image-6\.12\.\d+\+deb\d+-amd64", "inside_points.py", 2)


if __name__ == "__main__":
    lab.main(twenty_eight_points_under_linux_6_1, twenty_eight_points_under_linux_6_12)
