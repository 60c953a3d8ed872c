"""'sonde flows' from outside: what it prints, and how it fails."""
import csv
import gzip
import json
import os
import random
import struct
import subprocess

from lab import SONDE, check, equal, ethernet, flows, folder, ipv4, main, pcap, sonde, tcp, udp

S, SA, A, FA = 0x02, 0x12, 0x10, 0x11
CLIENT, SERVER = "192.0.2.1", "198.51.100.7"
KEYS = """flow_id community_id interface src_ip src_port dst_ip dst_port proto vlan packets bytes frame_bytes rev_packets
    rev_bytes rev_frame_bytes start_ns end_ns end_reason state tcp_flags rev_tcp_flags tunnel""".split()


def at(seconds, frame):
    return 1_700_000_000 * 10**9 + int(seconds * 10**9), frame


def exchange(vlan=None):
    """A whole TCP connection: SYN, SYN-ACK, ACK, data, FINs."""
    there = lambda flags, *rest: ethernet(ipv4(CLIENT, SERVER, 6, tcp(40000, 443, flags, *rest)), vlan)
    back = lambda flags, *rest: ethernet(ipv4(SERVER, CLIENT, 6, tcp(443, 40000, flags, *rest)), vlan)
    return [at(0, there(S, 100)), at(.01, back(SA, 900, 101)), at(.02, there(A, 101, 901)),
            at(.03, there(A, 101, 901, b"x" * 100)), at(.04, back(A, 901, 201, b"y" * 1000)),
            at(.05, there(FA, 201, 1901)), at(.06, back(FA, 1901, 202)), at(.07, there(A, 202, 1902))]


def written(scratch, content, name="x.pcap"):
    path = scratch / name
    path.write_bytes(content)
    return path


def prints_one_json_object_a_flow_with_every_key():
    with folder() as scratch:
        (record,) = flows(written(scratch, pcap(exchange(vlan=7))))
        equal([key for key in KEYS if key not in record], [], "missing keys")
        expected = {"interface": "x.pcap", "src_ip": CLIENT, "src_port": 40000, "dst_ip": SERVER, "dst_port": 443,
                    "proto": 6, "vlan": 7, "packets": 5, "bytes": 5 * 40 + 100, "frame_bytes": 5 * 58 + 100,
                    "rev_packets": 3, "rev_bytes": 3 * 40 + 1000, "rev_frame_bytes": 3 * 58 + 1000,
                    "start_ns": 1_700_000_000_000_000_000, "end_ns": 1_700_000_000_070_000_000, "state": "closed",
                    "tcp_flags": S | A | 0x01, "rev_tcp_flags": S | A | 0x01, "tunnel": None}
        equal({key: record[key] for key in expected}, expected, "the record")
        equal(len(record["flow_id"]), 16, "digits of flow_id")
        check(record["community_id"].startswith("1:"), record["community_id"])


def tells_the_initiator_when_the_start_was_not_seen():
    with folder() as scratch:
        frames = exchange()[4:5] + exchange()[3:4]  # the server's data first
        (record,) = flows(written(scratch, pcap(frames)))
        equal((record["src_ip"], record["packets"], record["rev_packets"]), (CLIENT, 1, 1), "initiator")


def prints_csv_and_a_table_with_the_same_flows():
    with folder() as scratch:
        path = written(scratch, pcap(exchange()))
        rows = list(csv.DictReader(sonde("flows", "-f", "csv", path).stdout.splitlines()))
        equal(len(rows), 1, "CSV rows")
        equal(rows[0]["rev_bytes"], "1120", "rev_bytes")
        table = sonde("flows", path).stdout
        check(CLIENT in table and SERVER in table and "443" in table, table)


def counts_full_bytes_of_a_capture_cut_to_96():
    with folder() as scratch:
        (whole,) = flows(written(scratch, pcap(exchange())))
        (cut,) = flows(written(scratch, pcap(exchange(), cut=96)))
        equal({**cut}, {**whole}, "the record of the cut capture")


def keeps_every_fragment_in_its_flow_also_out_of_order():
    payload = udp(5000, 53, b"z" * 2992)
    parts = [ethernet(ipv4(CLIENT, SERVER, 17, payload[i:i + 1480], ident=9,
                           fragment=i // 8 | (0x2000 if i + 1480 < len(payload) else 0)))
             for i in range(0, len(payload), 1480)]
    with folder() as scratch:
        for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
            path = written(scratch, pcap([at(n / 10, parts[i]) for n, i in enumerate(order)]))
            (record,) = flows(path)
            equal((record["packets"], record["bytes"], record["dst_port"]), (3, 3060, 53), f"order {order}")


def reads_gzip_and_standard_input_alike():
    with folder() as scratch:
        plain = pcap(exchange())
        (expected,) = flows(written(scratch, plain))
        (zipped,) = flows(written(scratch, gzip.compress(plain), "x.pcap.gz"))
        done = subprocess.run([SONDE, "flows", "-f", "json", "-"], input=plain, capture_output=True, check=True)
        piped = json.loads(done.stdout)
        for record in (expected, zipped, piped):
            record.pop("interface")
        equal(zipped, expected, "gzip")
        equal(piped, expected, "standard input")


def meters_the_same_with_one_and_two_workers():
    random.seed(7)
    frames = []
    for i in range(20000):
        host, port = random.randrange(200), random.randrange(40)
        ends = (f"10.0.0.{host}", 40000 + port), (f"10.1.0.{host % 16}", 53)
        (src, sport), (dst, dport) = ends if random.random() < .5 else ends[::-1]
        frames.append(at(i / 100, ethernet(ipv4(src, dst, 17, udp(sport, dport, b"q" * random.randrange(400))))))
    with folder() as scratch:
        path = written(scratch, pcap(frames))
        outs = [sorted(sonde("flows", "-f", "json", "--idle-timeout", "30", "--workers", n, path).stdout.splitlines())
                for n in ("1", "2", "1")]
        check(len(outs[0]) > 3000, f"only {len(outs[0])} records")
        check(outs[0] == outs[1] == outs[2], "the sorted output differs between 1, 2 and again 1 workers")


def filters_with_a_pcap_expression():
    other = at(1, ethernet(ipv4(CLIENT, SERVER, 17, udp(1, 2))))
    with folder() as scratch:
        path = written(scratch, pcap(exchange() + [other]))
        equal([r["proto"] for r in flows("--filter", "udp", path)], [17], "protocols behind the filter")
        done = sonde("flows", "--filter", "udp and and", path, check_rc=2)
        check("udp and and" in done.stderr, done.stderr)
        equal(len(done.stderr.splitlines()), 1, "lines of the error")


def names_file_offset_and_fault_and_keeps_what_was_readable():
    good = pcap(exchange())
    broken = bytearray(good)
    struct.pack_into("<I", broken, 24 + 8, 0x7fffffff)  # the first record claims 2 GB
    cases = {"cut.pcap": (good[:-10], 1), "empty.pcap": (b"", 0), "foreign.pcap": (b"#!/bin/sh\necho no\n" * 9, 0),
             "corrupt.pcap": (bytes(broken), 0), "cutgz.pcap.gz": (gzip.compress(good)[:-20], None)}
    with folder() as scratch:
        fine = written(scratch, good, "fine.pcap")
        for name, (content, count) in cases.items():
            path = written(scratch, content, name)
            done = sonde("flows", "-f", "json", path, check_rc=3)
            if count is not None:
                equal(len(done.stdout.splitlines()), count, f"{name}: records")
            equal(len(done.stderr.splitlines()), 1, f"{name}: lines of the error: {done.stderr}")
            check(name in done.stderr, done.stderr)
            both = sonde("flows", "-f", "json", path, fine, check_rc=3)
            check('"fine.pcap"' in both.stdout, f"{name}: the next file was not metered")
        check("offset" in sonde("flows", scratch / "cut.pcap", check_rc=3).stderr, "no offset for cut.pcap")


def refuses_usage_errors_in_one_line_with_status_2():
    cases = [["flows"], ["flows", "/nowhere/x.pcap"], ["flows", "-i", "nowhere0"], ["flows", "--nonsense", "x"],
             ["flows", "--idle-timeout", "1", "x"], ["flows", "-f", "xml", "x"], ["nonsense"],
             ["flows", "--backend", "nul", "x"], ["flows", ""], ["flows", "-i", "lo,lo"],
             ["flows", "-i", "lo,any"], ["run", "-i", "any,lo"], ["flows", "--filter", "udp\nand and", "x"],
             ["flows", "--statistics", "length,mean", "x"], ["flows", "--statistics", "", "x"],
             ["run", "--statistics", "lengths"], ["flows", "--first-packets", "33", "x"]]
    for case in cases:
        done = sonde(*case, check_rc=2)
        equal(done.stdout, "", f"{case}: output")
        equal(len(done.stderr.splitlines()), 1, f"{case}: lines of the error: {done.stderr}")
    equal(sonde("flows", "--statistics", "mean", "x", check_rc=2).stderr,
          "sonde: statistics: 'mean' is none of: length, payload, interval, first, histogram, all, none\n", "the list")


def adds_the_statistics_that_are_named_and_no_others():
    with folder() as scratch:
        path = written(scratch, pcap(exchange()))
        (plain,), (chosen,) = flows(path), flows("--statistics", "length,first", "--first-packets=3", path)
        equal({key: chosen[key] for key in plain}, plain, "the fields that are always there")
        equal(len(chosen) - len(plain), 12 + 4, "fields more")
        equal([chosen[key] for key in ("length_min", "length_max", "length_mean", "rev_length_mean")],
              [40, 140, 60.0, 373.333], "lengths")
        equal([chosen[key] for key in ("first_directions", "first_lengths", "first_intervals_ns")],
              [[0, 1, 0], [40, 40, 40], [0, 10**7, 10**7]], "first packets")
        everything = flows("--statistics", "all", "--workers", "2", path)
        equal(len(everything[0]) - len(plain), 45, "fields of all")
        (row,) = csv.DictReader(sonde("flows", "-f", "csv", "--statistics", "all", path).stdout.splitlines())
        equal(row["first_lengths"], "40 40 40 140 1040 40 40 40", "a list in CSV")
        equal(row["length_mean"], "60.000", "a mean in CSV")
        equal(sum(map(int, row["both_interval_histogram"].split())), 7, "gaps")
        check("-" in sonde("flows", "--statistics", "all", path).stdout, "a table")


def ends_quietly_when_its_reader_does():
    random.seed(1)
    frames = [at(i, ethernet(ipv4(f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}", SERVER, 17, udp(1, 2))))
              for i in range(50000)]
    with folder() as scratch:
        path = written(scratch, pcap(frames))
        done = subprocess.run(f"{SONDE} flows -f json {path} | head -n 1", shell=True, capture_output=True, check=True,
                              env=os.environ)
        equal((len(done.stdout.splitlines()), done.stderr), (1, b""), "lines, errors")


def meters_files_in_any_order_like_each_alone():
    """Files that go back in time, and a clock that was set back within one."""
    day = 86400 * 10**9
    with folder() as scratch:
        paths = []
        for i, name in enumerate("cab"):  # in time, by name: 2, 0, 1
            frames = [(when + i * day, frame) for when, frame in exchange()]
            paths.append(written(scratch, pcap(frames), f"{name}.pcap"))
        back = [(when + d * day, frame) for d in (9, 1, 5) for when, frame in exchange()]
        paths.append(written(scratch, pcap(back), "back.pcap"))
        alone = sorted(json.dumps(r) for path in paths for r in flows(path))
        equal(len(alone), 6, "records of every file alone")
        for workers in (1, 2, 5):
            together = sorted(json.dumps(r) for r in flows("--workers", workers, *sorted(paths)))
            equal(together, alone, f"records of all files, {workers} workers")


def tells_files_apart_whose_names_begin_alike():
    with folder() as scratch:
        names = [f"{'a-very-long-name-of-a-capture-file' * 2}-{i}.pcap" for i in range(3)]
        records = flows(*[written(scratch, pcap(exchange()), name) for name in names])
        equal([r["packets"] for r in records], [5, 5, 5], "packets of each file's flow")


def ends_flows_for_the_same_reason_with_any_number_of_workers():
    """Whether a flow was idle does not hang on what else its worker saw."""
    frames = [at(i * 10, ethernet(ipv4(f"10.0.0.{i}", f"10.1.0.{i}", 17, udp(1, 2)))) for i in range(100)]
    with folder() as scratch:
        path = written(scratch, pcap(frames))
        reasons = [sorted((r["src_ip"], r["end_reason"]) for r in flows("--workers", n, path)) for n in (1, 2, 7)]
        equal(reasons[1], reasons[0], "2 workers")
        equal(reasons[2], reasons[0], "7 workers")


def says_what_could_not_be_written_and_touches_no_other_file():
    with folder() as scratch:
        path = written(scratch, pcap(exchange()))
        for verb in (f"flows {path}", f"flows -f json {path}", "--help", "--version", "run --print-config", "flows -h"):
            done = subprocess.run(f"{SONDE} {verb} >/dev/full", shell=True, capture_output=True, text=True, check=False)
            equal((done.returncode, done.stderr), (3, "sonde: standard output: No space left on device\n"), verb)
            done = subprocess.run(f"{SONDE} {verb} >&-", shell=True, capture_output=True, text=True, check=False)
            equal((done.returncode, done.stderr), (3, "sonde: standard output: Bad file descriptor\n"), verb)
        equal(path.read_bytes(), pcap(exchange()), "the file that was read")
        done = subprocess.run(f"{SONDE} flows - <&-", shell=True, capture_output=True, text=True, timeout=10, check=False)
        equal((done.returncode, len(done.stderr.splitlines())), (3, 1), "standard input closed")


def says_that_the_table_was_too_small():
    frames = [at(i / 1000, ethernet(ipv4(f"10.0.{i >> 8}.{i & 255}", SERVER, 17, udp(1, 2)))) for i in range(5000)]
    with folder() as scratch:
        path = written(scratch, pcap(frames))
        done = sonde("flows", "-f", "csv", "--flows", "4096", path)
        equal(len(done.stdout.splitlines()), 5001, "records and head")
        check("full: 904 flows" in done.stderr and "--flows" in done.stderr, done.stderr)
        equal(sonde("flows", path).stderr, "", "with room enough")


main(prints_one_json_object_a_flow_with_every_key, tells_the_initiator_when_the_start_was_not_seen,
     prints_csv_and_a_table_with_the_same_flows, counts_full_bytes_of_a_capture_cut_to_96,
     keeps_every_fragment_in_its_flow_also_out_of_order, reads_gzip_and_standard_input_alike,
     meters_the_same_with_one_and_two_workers, filters_with_a_pcap_expression,
     names_file_offset_and_fault_and_keeps_what_was_readable, refuses_usage_errors_in_one_line_with_status_2,
     adds_the_statistics_that_are_named_and_no_others,
     ends_quietly_when_its_reader_does, meters_files_in_any_order_like_each_alone,
     tells_files_apart_whose_names_begin_alike, ends_flows_for_the_same_reason_with_any_number_of_workers,
     says_what_could_not_be_written_and_touches_no_other_file, says_that_the_table_was_too_small)
