#!/usr/bin/env python3
"""Who moved which bytes under other kernels, in an emulated machine.

Before Linux 6.3 functions stand for the tracepoints of calls.  Takes
'tools/setup vm' and the distribution's kernel packages; without them it skips
and names what is not there.
"""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(sys.argv[2]) / "tests" / "system"))
sys.path.insert(0, str(pathlib.Path(sys.argv[2]) / "tests" / "vm"))

import lab  # noqa: E402  pylint: disable=wrong-import-position
from test_points import BOOT, packages  # noqa: E402  pylint: disable=wrong-import-position

INSIDE = """mkdir -p /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; modprobe af_packet
"$1/tests/kernel/test_kernel_sockets" && python3 "$2/tests/vm/inside_sockets.py" "$1" "$2"
"""


def sockets_under(pattern):
    lab.need_root()
    lab.need_tool("qemu-system-x86_64", "busybox", "cpio", "xz")
    found = packages(pattern)
    if not found:
        raise lab.Skip(f"no kernel package '{pattern}' is offered here")
    with lab.folder() as out:
        done = subprocess.run([BOOT, found[-1], out, "bash", "-c", INSIDE, "inside", lab.BUILD, lab.SOURCE],
                              capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if re.match("ok|not ok|#", line):
            print(f"# {found[-1]}: {line}")
    if done.returncode == 77:
        raise lab.Skip(done.stderr.strip())
    lab.check(done.returncode == 0 and "not ok" not in done.stdout,
              f"{found[-1]}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-1000:]}")


def every_byte_under_linux_6_1():
    sockets_under(r"linux-image-6\.1\.0-\d+-amd64")


def every_byte_under_linux_6_12():
    sockets_under(r"linux-image-6\.12\.\d+\+deb\d+-amd64")


if __name__ == "__main__":
    lab.main(every_byte_under_linux_6_1, every_byte_under_linux_6_12)
