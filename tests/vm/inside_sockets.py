#!/usr/bin/env python3
"""Bytes of processes: run by test_sockets.py inside the machine."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(sys.argv[2]) / "tests" / "system"))

import lab  # noqa: E402  pylint: disable=wrong-import-position
import test_sockets as sockets  # noqa: E402  pylint: disable=wrong-import-position

if __name__ == "__main__":
    lab.main(sockets.every_way_to_send_and_receive, sockets.frames_of_packet_sockets,
             sockets.a_descriptor_handed_over, sockets.a_connection_inherited_by_ten,
             sockets.equal_tuples_in_two_namespaces, sockets.udp_segmentation, sockets.peeks_do_not_count,
             sockets.pages_mapped, sockets.spliced_out, sockets.multipath, sockets.sockets_that_were_there_before,
             sockets.a_folder_of_cgroup_v2)
