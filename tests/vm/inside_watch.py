#!/usr/bin/env python3
"""Other programs' exchanges: run by test_watch.py inside the machine."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(sys.argv[2]) / "tests" / "system"))

import lab  # noqa: E402  pylint: disable=wrong-import-position
import test_rtt_watch as watch  # noqa: E402  pylint: disable=wrong-import-position

if __name__ == "__main__":
    lab.main(watch.by_its_port_too_and_ipv6, watch.a_clients_wait_is_beyond_its_host,
             watch.two_queries_at_once_are_told_apart, watch.a_socket_that_is_made_later_is_found,
             watch.a_process_that_ends_keeps_what_was_measured)
