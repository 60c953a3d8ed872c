#!/usr/bin/env python3
"""'sonde rtt --watch' under other kernels, in an emulated machine.

Linux 6.1 has no tracepoint of a socket's reader, and both it and 6.12 name the packet that a reader takes.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(sys.argv[2]) / "tests" / "system"))
sys.path.insert(0, str(pathlib.Path(sys.argv[2]) / "tests" / "vm"))

import lab  # noqa: E402  pylint: disable=wrong-import-position
import test_points as vm  # noqa: E402  pylint: disable=wrong-import-position


def exchanges_under_linux_6_1():
    vm.under(r"linux-image-6\.1\.0-\d+-amd64", "inside_watch.py", 5)


def exchanges_under_linux_6_12():
    vm.under(r"linux-image-6\.12\.\d+\+deb\d+-amd64", "inside_watch.py", 5)


if __name__ == "__main__":
    lab.main(exchanges_under_linux_6_1, exchanges_under_linux_6_12)
